//! The kernel's clock variables, read and put back with the program adjtimex, since `unsafe` has no place here.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;

use crate::process::finish;
use crate::programs::{cache, debian12};
use crate::wait::LIMIT;

/// What the kernel says about its clock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KernelClock {
    /// Frequency offset in units of 2^-16 ppm; positive makes the clock faster.
    pub frequency: i64,
    /// Microseconds added per tick, nominally 1 000 000 / HZ.
    pub tick: i64,
    /// Bits of `STA_...`.
    pub status: i64,
    /// Maximum error, microseconds.
    pub max_error: i64,
    /// Estimated error, microseconds.
    pub est_error: i64,
}

/// Status bit: the clock is not synchronised.
pub const STA_UNSYNC: i64 = 0x40;
/// Status bits that can be set: all but those of PPS and of the clock itself.
const SETTABLE: i64 = 0xff;

fn adjtimex(arguments: &[String]) -> String {
    let done = finish(Command::new(debian12().join("adjtimex")).args(arguments), LIMIT);
    // The status is the kernel's state, 5 while not synchronised; errors are told in words.
    assert!(
        done.stderr.is_empty(),
        "adjtimex {}: {}",
        arguments.join(" "),
        done.stderr
    );
    done.stdout
}

impl KernelClock {
    /// Reads it; needs no rights.
    #[must_use]
    pub fn read() -> Self {
        let text = adjtimex(&["--print".into()]);
        let values: BTreeMap<&str, i64> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter_map(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)))
            .collect();
        let value = |name| {
            *values
                .get(name)
                .unwrap_or_else(|| panic!("no {name} in adjtimex's output:\n{text}"))
        };
        Self {
            frequency: value("frequency"),
            tick: value("tick"),
            status: value("status"),
            max_error: value("maxerror"),
            est_error: value("esterror"),
        }
    }

    /// How much the clock is sped up in all, ppm. HZ as on every Linux that userspace sees: 100.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        let frequency = i32::try_from(self.frequency).expect("at most 500 ppm");
        let tick = i32::try_from(self.tick - 10_000).expect("about 10000");
        f64::from(frequency) / 65536.0 + f64::from(tick) * 100.0
    }

    fn set(&self) {
        let option = |name: &str, value: i64| [format!("--{name}"), value.to_string()];
        let status = self.status & SETTABLE;
        adjtimex(
            &[
                option("frequency", self.frequency),
                option("tick", self.tick),
                option("status", status),
                option("maxerror", self.max_error),
                option("esterror", self.est_error),
            ]
            .concat(),
        );
    }
}

/// Puts the kernel's clock variables back when dropped, also after a panic, and keeps other tests from changing them
/// meanwhile.
#[derive(Debug)]
pub struct KernelClockGuard {
    saved: KernelClock,
    _lock: File,
}

impl KernelClockGuard {
    /// Saves the variables. Needs the right to set the clock.
    ///
    /// # Panics
    /// When they cannot be set.
    #[must_use]
    pub fn new() -> Self {
        let path = cache().join("kernel-clock.lock");
        let lock = File::create(&path).unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
        lock.lock()
            .unwrap_or_else(|e| panic!("could not lock {}: {e}", path.display()));
        let saved = KernelClock::read();
        // Better now than in the end.
        saved.set();
        Self { saved, _lock: lock }
    }

    /// The variables as they were before.
    #[must_use]
    pub fn saved(&self) -> &KernelClock {
        &self.saved
    }
}

impl Default for KernelClockGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for KernelClockGuard {
    fn drop(&mut self) {
        self.saved.set();
    }
}
