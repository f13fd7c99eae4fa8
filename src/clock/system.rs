//! The clock of this run: under control or not.

use super::{KernelClock, NullClock, Sequence};
use std::sync::Arc;
use truechimer_engine::event::clock::ClockEvent;
use truechimer_engine::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
use truechimer_engine::time::{FastBy, Now, Ppm, Raw};

/// The clock of this run. Other threads that read it learn of each change before it is made.
#[derive(Debug)]
pub struct SystemClock {
    kind: Kind,
    sequence: Arc<Sequence>,
}

#[derive(Debug)]
enum Kind {
    /// Under our control.
    Kernel(KernelClock),
    /// `-x`
    None(NullClock),
}

impl SystemClock {
    /// A clock under our control.
    #[must_use]
    pub fn controlled(clock: KernelClock) -> Self {
        Self::new(Kind::Kernel(clock))
    }

    /// A clock that is only read.
    #[must_use]
    pub fn read_only(clock: NullClock) -> Self {
        Self::new(Kind::None(clock))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            sequence: Arc::default(),
        }
    }

    /// Odd from before a change of the clock on, until somebody has [ended](Sequence::end) that.
    #[must_use]
    pub const fn sequence(&self) -> &Arc<Sequence> {
        &self.sequence
    }

    /// As the engine sees it.
    pub fn as_clock(&mut self) -> &mut dyn Clock {
        self
    }

    /// What there is to say since the last call.
    pub fn take_events(&mut self) -> Vec<ClockEvent> {
        match &mut self.kind {
            Kind::Kernel(clock) => clock.take_events(),
            Kind::None(_) => Vec::new(),
        }
    }

    fn inner(&mut self) -> &mut dyn Clock {
        match &mut self.kind {
            Kind::Kernel(clock) => clock,
            Kind::None(clock) => clock,
        }
    }
}

impl Clock for SystemClock {
    fn limits(&self) -> Limits {
        match &self.kind {
            Kind::Kernel(clock) => clock.limits(),
            Kind::None(clock) => clock.limits(),
        }
    }

    fn now(&mut self) -> Now {
        self.inner().now()
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        self.inner().frequency()
    }

    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        self.sequence.begin();
        self.inner().set_frequency(wanted)
    }

    fn step(&mut self, by: FastBy) -> Result<(), ClockError> {
        self.sequence.begin();
        self.inner().step(by)
    }

    /// Changes what the kernel tells others, not the time.
    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        self.inner().set_status(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_told_before() {
        let mut clock = SystemClock::read_only(NullClock::new(1e-7));
        let sequence = clock.sequence().clone();
        let number = sequence.settled().unwrap();
        clock.as_clock().now();
        let _ = clock.as_clock().frequency();
        let _ = clock.as_clock().set_status(KernelStatus {
            synchronised: true,
            est_error: 0.0,
            max_error: 0.0,
            leap: 0,
            tai: None,
        });
        assert!(sequence.is_still(number));
        for change in [
            |clock: &mut dyn Clock| clock.set_frequency(Ppm(1.0)).is_err(),
            |clock: &mut dyn Clock| clock.step(FastBy(1.0)).is_err(),
        ] {
            assert!(change(clock.as_clock()), "-x refuses");
            assert!(sequence.is_changing());
            sequence.end();
        }
    }
}
