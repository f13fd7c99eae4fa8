//! A small world for tests: an oscillator of constant frequency error behind [`Clock`].

use super::clock::LocalClock;
use super::cx::{Cx, Outbox};
use super::kernel::{Clock, ClockError, KernelStatus, Limits};
use crate::config::ClockConfig;
use crate::random::Seeded;
use crate::time::{Cooked, Era, FastBy, Mono, Now, Ppm, Raw};

/// Where all test worlds start: 2026-01-01.
pub(crate) const START: i64 = 1_767_225_600;

/// A kernel clock. It runs at `(1 + error) * (1 - 1e-6 * frequency)` of true time.
#[derive(Debug)]
pub(crate) struct SimClock {
    /// Frequency error of the oscillator, dimensionless, positive: fast.
    pub(crate) error: f64,
    /// Compensation in force, ppm.
    pub(crate) frequency: f64,
    pub(crate) control: bool,
    pub(crate) status: Option<KernelStatus>,
    /// True time since the start, s.
    pub(crate) elapsed: f64,
    /// Kernel time since the start without steps, s.
    ran: f64,
    /// Steps and the first offset, s, positive: forward.
    stepped: f64,
}

impl SimClock {
    /// Lets true time pass, s.
    pub(crate) fn advance(&mut self, seconds: f64) {
        self.elapsed += seconds;
        self.ran += seconds * self.rate();
    }

    /// Lets time pass until the timers' clock reads `at`.
    pub(crate) fn advance_to(&mut self, at: Mono) {
        let left = at - self.now().mono;
        if left > 0.0 {
            self.advance((left + 1e-9) / self.rate());
        }
    }

    /// Moves the clock, s, positive: forward. As an operator would.
    pub(crate) fn jump(&mut self, seconds: f64) {
        self.stepped += seconds;
    }

    /// Raw minus true time, s.
    pub(crate) fn fast_by(&self) -> f64 {
        self.ran + self.stepped - self.elapsed
    }

    fn rate(&self) -> f64 {
        (1.0 + self.error) * (1.0 - 1e-6 * self.frequency)
    }
}

impl Clock for SimClock {
    fn limits(&self) -> Limits {
        Limits {
            control: self.control,
            leap: self.control,
            max_frequency: Ppm(100_000.0),
            max_delay: 1e-5,
            precision: 1e-9,
        }
    }

    fn now(&mut self) -> Now {
        Now {
            mono: Mono(1_000_000_000).plus(self.ran),
            raw: Raw::new(START, 0).plus(self.ran + self.stepped),
        }
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        Ok(Ppm(self.frequency))
    }

    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        if !self.control {
            return Err(ClockError::NotControlled);
        }
        self.frequency = wanted.0;
        Ok((wanted, self.now().raw))
    }

    fn step(&mut self, by: FastBy) -> Result<(), ClockError> {
        if !self.control {
            return Err(ClockError::NotControlled);
        }
        self.stepped -= by.0;
        Ok(())
    }

    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        self.status = Some(status);
        Ok(())
    }
}

/// A clock, randomness and an outbox.
pub(crate) struct World {
    pub(crate) kernel: SimClock,
    pub(crate) random: Seeded,
    pub(crate) out: Outbox,
}

impl World {
    /// With an oscillator that is fast by `error` (dimensionless).
    pub(crate) fn new(error: f64) -> Self {
        let kernel = SimClock {
            error,
            frequency: 0.0,
            control: true,
            status: None,
            elapsed: 0.0,
            ran: 0.0,
            stepped: 0.0,
        };
        Self {
            kernel,
            random: Seeded::new(1),
            out: Outbox::default(),
        }
    }

    /// A local clock on it.
    pub(crate) fn clock(&mut self, config: &ClockConfig) -> LocalClock {
        LocalClock::new(config, Era::starting_at(0), &mut self.kernel).unwrap()
    }

    /// Calls a handler whose last event time is the raw clock (right as long as nothing is outstanding).
    pub(crate) fn with<T>(&mut self, handler: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let raw = self.kernel.now().raw;
        self.at(Cooked::new(raw.sec(), raw.nsec()), handler)
    }

    /// Calls a handler at a cooked time of now.
    pub(crate) fn at<T>(&mut self, cooked: Cooked, handler: impl FnOnce(&mut Cx<'_>) -> T) -> T {
        let now = self.kernel.now();
        handler(&mut Cx {
            now,
            cooked,
            kernel: &mut self.kernel,
            random: &mut self.random,
            out: &mut self.out,
        })
    }
}
