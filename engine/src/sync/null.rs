//! The clock that is not touched (`-x`): corrections exist in cooked time only (`spec/sync.md` 6.11).

use super::clock::Cook;
use crate::time::{FastBy, Mono, Now, Raw};

/// Longest time (s) over which the frequency is applied in one piece.
const FOLD_INTERVAL: f64 = 1000.0;

/// A frequency and an offset that exist in memory only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Null {
    /// ppm, positive: fast.
    frequency: f64,
    /// Offset at `last`, s, positive: fast.
    register: f64,
    last: Raw,
    timer: Mono,
}

impl Null {
    pub(super) fn new(now: Now) -> Self {
        Self {
            frequency: 0.0,
            register: 0.0,
            last: now.raw,
            timer: now.mono.plus(FOLD_INTERVAL),
        }
    }

    pub(super) fn cook(&self) -> Cook {
        Cook {
            start: self.last,
            slew: -1e-6 * self.frequency,
            left: FastBy(self.register),
            error: 0.0,
            max_delay: 0.0,
        }
    }

    pub(super) const fn timer(&self) -> Mono {
        self.timer
    }

    pub(super) fn set_frequency(&mut self, now: Now, frequency: f64) {
        self.fold(now);
        self.frequency = frequency;
    }

    pub(super) fn accrue(&mut self, offset: FastBy) {
        self.register += offset.0;
    }

    /// Moves what the frequency has done so far into the register.
    pub(super) fn fold(&mut self, now: Now) {
        self.register += 1e-6 * self.frequency * (now.raw - self.last);
        self.last = now.raw;
        self.timer = now.mono.plus(FOLD_INTERVAL);
    }
}
