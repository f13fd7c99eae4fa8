//! What the black-box tests share: the programs under test and the reference programs, daemons that are always
//! stopped, network namespaces that are always deleted, directories that are always removed, and bounded waiting.
//!
//! A test that needs something gets it or fails with a message; nothing is skipped. Most tests need root, because
//! of network namespaces. The variable `SUBJECT` says whose programs are tested: `ours` (default) or `reference`.
//! A test that passes with `SUBJECT=reference` is known to test what chrony does.
//!
//! All functions panic when something goes wrong, as test code does.

pub mod chronyd;
pub mod dir;
pub mod harmless;
pub mod kernel;
pub mod memory;
pub mod netns;
pub mod package;
pub mod process;
pub mod programs;
pub mod root;
pub mod sim_clock;
pub mod third_party;
pub mod time_programs;
pub mod wait;
pub mod wire;

pub use chronyd::{Chronyd, Instance};
pub use dir::TempDir;
pub use memory::Memory;
pub use netns::{Namespace, Pair};
pub use process::{Finished, Process, finish};
pub use programs::{Programs, old, ours, reference, subject};
pub use sim_clock::SimClock;
pub use wait::{LIMIT, uninterrupted, until, within};

/// The option `-F` for our daemon, if the variable `FILTER` names a level: every test can run under a system call
/// filter.
#[must_use]
pub fn filter_options() -> Vec<String> {
    let level = std::env::var("FILTER").unwrap_or_default();
    if level.is_empty() {
        return Vec::new();
    }
    vec!["-F".to_owned(), level]
}

/// By how much a test that can be made longer is to be longer: the variable `SOAK`, 1 without it.
#[must_use]
pub fn soak() -> u32 {
    std::env::var("SOAK").map_or(1, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("SOAK is '{text}', no number"))
    })
}
