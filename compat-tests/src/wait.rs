//! Bounded waiting.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(20);

/// Waits until `poll` gives a value.
///
/// # Panics
/// When `limit` passed without one; the message names `what`.
pub fn until<T>(limit: Duration, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        std::thread::sleep(STEP);
    }
}

/// Waits until `poll` is true and returns whether it became so within `limit`.
pub fn within(limit: Duration, mut poll: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if poll() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(STEP);
    }
}
