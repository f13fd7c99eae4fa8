//! The time scale that no step disturbs: monotonic root field of replies and of packets to
//! peers (`spec/ntp.md` section 1.4).

use super::kernel::{Change, ChangeKind};
use crate::random::Random;

/// Monotonic time = cooked time + `offset`, comparable within one epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonoScale {
    /// Sum of all slews of the epoch, s.
    pub offset: f64,
    /// Random number of the epoch.
    pub epoch: u32,
}

impl MonoScale {
    /// A new epoch.
    #[must_use]
    pub fn new(random: &mut dyn Random) -> Self {
        Self {
            offset: 0.0,
            epoch: random.bits32(),
        }
    }

    /// Every slew is taken back, every step starts a new epoch.
    pub fn changed(&mut self, change: &Change, random: &mut dyn Random) {
        match change.kind {
            ChangeKind::Adjust => self.offset += change.by.0,
            ChangeKind::Step | ChangeKind::UnknownStep => *self = Self::new(random),
        }
    }
}
