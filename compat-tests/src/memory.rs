//! Memory of a process, which must not grow.

use std::fs;

/// What an allocator may keep, kB.
const SLACK: u64 = 2048;

/// Watches a process, which must have all the memory that it needs after the first fifth of a test.
#[derive(Debug)]
pub struct Memory {
    pid: u32,
    early: Option<u64>,
}

impl Memory {
    /// Of this process.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self { pid, early: None }
    }

    /// To be called every now and then: so much of the test is done.
    pub fn look(&mut self, done: u64, of: u64) {
        if self.early.is_none() && done >= of / 5 {
            self.early = Some(resident(self.pid));
        }
    }

    /// # Panics
    /// If there is more than what there was early.
    pub fn check(&self) {
        let (early, now) = (self.early.expect("a long test"), resident(self.pid));
        assert!(now <= early + SLACK, "{early} kB, then {now} kB");
    }
}

/// Memory in use, kB.
fn resident(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|e| panic!("could not read {path}: {e}"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    size.unwrap_or_else(|| panic!("no VmRSS in {status}"))
}
