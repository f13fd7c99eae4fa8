//! Offsets and frequencies whose sign is part of the type (`spec/sync.md` section 0.1).

use core::ops::Neg;

/// Seconds, positive when the local clock is ahead of the reference (fast).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct FastBy(pub f64);

/// Seconds, positive when the local clock is behind the reference (slow): NTP's sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct SlowBy(pub f64);

/// Parts per million. As an absolute frequency: positive when the uncorrected clock runs fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Ppm(pub f64);

impl From<SlowBy> for FastBy {
    fn from(slow: SlowBy) -> Self {
        Self(-slow.0)
    }
}

impl From<FastBy> for SlowBy {
    fn from(fast: FastBy) -> Self {
        Self(-fast.0)
    }
}

impl Neg for FastBy {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// 2^`poll` seconds, with the exponent limited to -31 to 31 (`spec/sync.md` section 0).
#[must_use]
pub fn pow2(poll: i32) -> f64 {
    libm::scalbn(1.0, poll.clamp(-31, 31))
}
