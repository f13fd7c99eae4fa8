//! Slewing by changes of frequency: the offset register and its plan (`spec/sync.md` 6.3, 6.4).

use super::clock::Cook;
use super::kernel::{Clock, ClockError, Limits};
use crate::time::{FastBy, Mono, Ppm, Raw};

/// Longest time between two plans, s.
const MAX_DURATION: f64 = 1e4;
/// Shortest slew, s: the timer's lateness must stay small beside it.
const MIN_DURATION: f64 = 1.0;
/// Offsets below this (s) are not slewed.
const MIN_OFFSET: f64 = 1e-9;
/// Lateness of more than this (s) says nothing about the timer.
const MAX_LATENESS: f64 = 100.0;

/// What a kernel without offset slewing needs: it changes the frequency for as long as an offset is
/// outstanding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slew {
    /// Frequency that the clock module asked for, ppm.
    base: f64,
    /// Outstanding offset at `start`, s, positive: fast.
    register: f64,
    /// Slewing frequency in force, dimensionless, positive: slows the clock down.
    frequency: f64,
    /// Time of the last plan.
    start: Raw,
    /// Planned length, s.
    duration: f64,
    /// By how much plans ended late recently, s.
    excess: f64,
    /// Correction rate, s^2.
    rate: f64,
    /// Error (s) of cooked times close to the last plan.
    error: f64,
    max_slew: f64,
    max_frequency: f64,
    max_delay: f64,
    timer: Option<Mono>,
}

impl Slew {
    /// `base`: the frequency in force. `max_slew_rate`: ppm.
    pub(super) fn new(base: Ppm, limits: &Limits, max_slew_rate: f64, now: Raw) -> Self {
        Self {
            base: base.0,
            register: 0.0,
            frequency: 0.0,
            start: now,
            // Nothing is due: the first slew is not late.
            duration: MAX_DURATION,
            excess: 0.0,
            rate: 0.0,
            error: 0.0,
            max_slew: 1e-6 * max_slew_rate,
            max_frequency: limits.max_frequency.0,
            max_delay: limits.max_delay * (1.0 + limits.max_frequency.0 * 1e-6),
            timer: None,
        }
    }

    pub(super) fn cook(&self) -> Cook {
        Cook {
            start: self.start,
            slew: self.frequency,
            left: FastBy(self.register),
            error: self.error,
            max_delay: self.max_delay,
        }
    }

    pub(super) const fn timer(&self) -> Option<Mono> {
        self.timer
    }

    /// Outstanding offset, not counting what was slewed since the last plan.
    pub(super) const fn register(&self) -> FastBy {
        FastBy(self.register)
    }

    /// Makes `base` (ppm) the frequency without slewing. Returns the dispersion (s) that this adds.
    pub(super) fn set_frequency(&mut self, kernel: &mut dyn Clock, base: f64) -> Result<f64, ClockError> {
        self.base = base;
        self.plan(kernel)
    }

    /// Adds to the outstanding offset. Returns the dispersion (s) that this adds.
    pub(super) fn accrue(
        &mut self,
        kernel: &mut dyn Clock,
        offset: FastBy,
        rate: f64,
    ) -> Result<f64, ClockError> {
        self.register += offset.0;
        self.rate = rate;
        self.plan(kernel)
    }

    /// Plans anew, from the register as it is now. The only place that sets the kernel's frequency.
    pub(super) fn plan(&mut self, kernel: &mut dyn Clock) -> Result<f64, ClockError> {
        let now = kernel.now();
        let elapsed = now.raw - self.start;
        self.register -= self.frequency * elapsed;
        self.start = now.raw;

        // A timer that ends late makes a slew too long: leave room for it, and forget it slowly.
        self.excess = (self.excess + 1e-9) * 0.9;
        let late = elapsed - self.duration;
        if self.excess < late && late <= MAX_LATENESS {
            self.excess = late;
        }
        let wanted = if self.register.abs() < MIN_OFFSET {
            MAX_DURATION
        } else {
            (self.rate / self.register.abs())
                .max(MIN_DURATION)
                .max(5.0 * self.excess)
        };
        let slew = clamp(-self.max_slew, self.register / wanted, self.max_slew);
        let total = clamp(
            -self.max_frequency,
            self.base + slew * (1e6 - self.base),
            self.max_frequency,
        );

        let (Ppm(total), after) = kernel.set_frequency(Ppm(total))?;
        let old = self.frequency;
        self.frequency = (total - self.base) / (1e6 - total);
        // The old frequency was in force until the kernel took the new one.
        self.register -= old * (after - now.raw);
        self.start = after;
        self.error = ((old - self.frequency) * self.max_delay).abs();

        self.duration = if self.register.abs() < MIN_OFFSET || self.register * self.frequency <= 0.0 {
            MAX_DURATION
        } else {
            clamp(MIN_DURATION, self.register / self.frequency, MAX_DURATION)
        };
        self.timer = Some(now.mono.plus(self.duration));
        Ok(if self.error >= MIN_OFFSET { self.error } else { 0.0 })
    }

    /// The kernel's clock was moved back by `by`.
    pub(super) fn stepped(&mut self, by: FastBy) {
        self.start = self.start.plus(-by.0);
    }

    /// Ends slewing; the kernel keeps the learned frequency (`spec/sync.md` 6.10).
    pub(super) fn finish(&mut self, kernel: &mut dyn Clock) -> Result<(), ClockError> {
        self.timer = None;
        let base = clamp(-self.max_frequency, self.base, self.max_frequency);
        kernel.set_frequency(Ppm(base)).map(|_| ())
    }
}

/// As the specification defines it: the lower limit wins.
pub(super) fn clamp(low: f64, x: f64, high: f64) -> f64 {
    low.max(x.min(high))
}
