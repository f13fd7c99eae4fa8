//! No control of the clock (`-x`): it is only read, corrections stay in the engine (`spec/sync.md` 6.11).

use crate::sys;
use truechimer_engine::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
use truechimer_engine::time::{FastBy, Now, Ppm, Raw};

/// The system clock, read only.
#[derive(Debug)]
pub struct NullClock {
    precision: f64,
}

impl NullClock {
    /// `precision` in s.
    #[must_use]
    pub const fn new(precision: f64) -> Self {
        Self { precision }
    }
}

impl Clock for NullClock {
    fn limits(&self) -> Limits {
        Limits {
            control: false,
            leap: false,
            max_frequency: Ppm(100_000.0),
            max_delay: 0.0,
            precision: self.precision,
        }
    }

    fn now(&mut self) -> Now {
        sys::clock::now()
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        Ok(Ppm(0.0))
    }

    fn set_frequency(&mut self, _wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        Err(ClockError::NotControlled)
    }

    fn step(&mut self, _by: FastBy) -> Result<(), ClockError> {
        Err(ClockError::NotControlled)
    }

    fn set_status(&mut self, _status: KernelStatus) -> Result<(), ClockError> {
        Err(ClockError::NotControlled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_refuses() {
        let mut clock = NullClock::new(1e-7);
        assert!(!clock.limits().control && clock.now().raw.sec() > 0);
        assert_eq!(clock.step(FastBy(1.0)), Err(ClockError::NotControlled));
        assert_eq!(clock.set_frequency(Ppm(1.0)), Err(ClockError::NotControlled));
    }
}
