//! Points in time on three scales: the kernel's clock, the corrected clock and the timers' clock.

use core::ops::Sub;

const NANOS: i64 = 1_000_000_000;

macro_rules! wall_clock {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name {
            sec: i64,
            nsec: u32,
        }

        impl $name {
            /// Seconds since 1970 (negative before) and nanoseconds; surplus nanoseconds are carried over.
            #[must_use]
            pub const fn new(sec: i64, nsec: u32) -> Self {
                let nsec = nsec as i64;
                Self { sec: sec.saturating_add(nsec / NANOS), nsec: (nsec % NANOS) as u32 }
            }

            /// Whole seconds since 1970, rounded down.
            #[must_use]
            pub const fn sec(self) -> i64 {
                self.sec
            }

            /// Nanoseconds of the second, 0 to 999 999 999.
            #[must_use]
            pub const fn nsec(self) -> u32 {
                self.nsec
            }

            /// True for the all-zero instant, which stands for "none" in protocol fields.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.sec == 0 && self.nsec == 0
            }

            /// This instant moved by `seconds` (positive: later), in steps of 1 ns, truncating toward zero
            /// as `spec/sync.md` section 0 says. Not-a-number counts as zero, overflow saturates.
            #[must_use]
            pub fn plus(self, seconds: f64) -> Self {
                // Nearly all moves are small, and statistics make very many.
                let whole = if seconds.abs() < 1.0 { 0.0 } else { libm::trunc(seconds) };
                let nsec = f64::from(self.nsec) + 1e9 * (seconds - whole);
                Self::normalised(self.sec.saturating_add(whole as i64), nsec as i64)
            }

            /// This instant moved by whole nanoseconds.
            #[must_use]
            pub fn plus_nanos(self, nanos: i64) -> Self {
                Self::normalised(
                    self.sec.saturating_add(nanos / NANOS),
                    i64::from(self.nsec) + nanos % NANOS,
                )
            }

            fn normalised(sec: i64, nsec: i64) -> Self {
                if (0..NANOS).contains(&nsec) {
                    return Self { sec, nsec: nsec as u32 };
                }
                Self {
                    sec: sec.saturating_add(nsec.div_euclid(NANOS)),
                    nsec: nsec.rem_euclid(NANOS) as u32,
                }
            }
        }

        /// Difference in seconds. Only differences are kept in `f64`, never absolute times.
        impl Sub for $name {
            type Output = f64;

            fn sub(self, other: Self) -> f64 {
                self.sec.wrapping_sub(other.sec) as f64
                    + 1e-9 * (i64::from(self.nsec) - i64::from(other.nsec)) as f64
            }
        }
    };
}

wall_clock! {
    /// A reading of the kernel's `CLOCK_REALTIME`.
    Raw
}

wall_clock! {
    /// Raw time plus the part of the correction that has been accepted but not yet slewed into the kernel
    /// clock. All samples and served timestamps are cooked.
    Cooked
}

wall_clock! {
    /// A reading of the hardware clock of a network card, on a scale of its own (often TAI).
    PhcTime
}

impl Cooked {
    /// This instant as it would have been read had the change of frequency `dfreq` (dimensionless) and phase
    /// `doffset` (s, positive: the clock was fast and is moved back), made at cooked time `when`, always been
    /// in force (`spec/sync.md` section 0.2). Returns the new instant and the exact amount it moved by.
    #[must_use]
    pub fn adjusted(self, when: Self, dfreq: f64, doffset: f64) -> (Self, f64) {
        let delta = (when - self) * dfreq - doffset;
        (self.plus(delta), delta)
    }
}

/// Nanoseconds on a clock that never steps (`CLOCK_MONOTONIC`). All timers run on it, so that a step of the
/// system clock moves none of them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Mono(pub i64);

impl Mono {
    /// This instant moved by `seconds` (positive: later); saturates.
    #[must_use]
    pub fn plus(self, seconds: f64) -> Self {
        Self(self.0.saturating_add((seconds * 1e9) as i64))
    }
}

/// Difference in seconds.
impl Sub for Mono {
    type Output = f64;

    #[expect(clippy::suspicious_arithmetic_impl, reason = "nanoseconds become seconds")]
    fn sub(self, other: Self) -> f64 {
        1e-9 * self.0.wrapping_sub(other.0) as f64
    }
}

/// The clock of the card between two readings of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PhcReading {
    /// Our clock before.
    pub before: Raw,
    /// The card's.
    pub phc: PhcTime,
    /// Our clock after.
    pub after: Raw,
}

/// The timers' clock and the kernel's clock, read together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// For timers and intervals.
    pub mono: Mono,
    /// For timestamps.
    pub raw: Raw,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_truncates_to_nanoseconds_on_both_sides_of_zero() {
        assert_eq!(Raw::new(10, 5).plus(1.5), Raw::new(11, 500_000_005));
        assert_eq!(Raw::new(0, 0).plus(-0.25), Raw::new(-1, 750_000_000));
        assert_eq!(Raw::new(1, 0).plus(-1e-9), Raw::new(0, 999_999_999));
        assert_eq!(Raw::new(5, 0).plus(f64::NAN), Raw::new(5, 0));
        assert_eq!(Raw::new(-1, 999_999_999).plus_nanos(1), Raw::new(0, 0));
    }

    #[test]
    fn difference_is_signed() {
        assert!((Raw::new(1, 0) - Raw::new(2, 500_000_000) + 1.5).abs() < 1e-15);
    }

    #[test]
    fn adjusting_follows_the_worked_example_18() {
        let (t, delta) = Cooked::new(0, 0).adjusted(Cooked::new(450, 0), 1e-6, 1e-3);
        assert!((delta + 0.00055).abs() < 1e-15);
        assert_eq!(t, Cooked::new(0, 0).plus(-0.00055));
    }
}
