//! Bounded waiting.

use std::io;
use std::time::{Duration, Instant};

/// Longer than anything takes that is to happen at once, also on a machine that is slow and busy. What is waited for
/// usually comes after a fraction of it; only a failure takes that long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at: at first often, since most programs end within milliseconds.
const FIRST_STEP: Duration = Duration::from_millis(1);
/// How often it is looked at in the end.
const LAST_STEP: Duration = Duration::from_millis(20);

/// Sleeps a bit longer each time.
struct Steps(Duration);

impl Steps {
    fn new() -> Self {
        Self(FIRST_STEP)
    }

    fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 5 / 4).min(LAST_STEP);
    }
}

/// Waits until `poll` gives a value.
///
/// # Panics
/// When `limit` passed without one; the message names `what`.
pub fn until<T>(limit: Duration, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut steps = Steps::new();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        steps.sleep();
    }
}

/// Waits until `poll` is true and returns whether it became so within `limit`.
pub fn within(limit: Duration, mut poll: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut steps = Steps::new();
    loop {
        if poll() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        steps.sleep();
    }
}

/// Makes a call again that something interrupted, as may happen to a socket with a time-out without any signal of ours.
///
/// # Errors
/// As the call, but never `Interrupted`.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
