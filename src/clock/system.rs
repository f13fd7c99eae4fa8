//! The clock of this run: under control or not.

use super::{KernelClock, NullClock};
use truechimer_engine::event::clock::ClockEvent;
use truechimer_engine::sync::kernel::Clock;

/// The clock of this run.
#[derive(Debug)]
pub enum SystemClock {
    /// Under our control.
    Kernel(KernelClock),
    /// `-x`
    None(NullClock),
}

impl SystemClock {
    /// As the engine sees it.
    pub fn as_clock(&mut self) -> &mut dyn Clock {
        match self {
            Self::Kernel(clock) => clock,
            Self::None(clock) => clock,
        }
    }

    /// What there is to say since the last call.
    pub fn take_events(&mut self) -> Vec<ClockEvent> {
        match self {
            Self::Kernel(clock) => clock.take_events(),
            Self::None(_) => Vec::new(),
        }
    }
}
