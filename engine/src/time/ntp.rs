//! 64-bit NTP timestamps (RFC 5905 section 6) and their era.

use super::Cooked;

/// Seconds from 1900 to 1970.
const UNIX_OFFSET: u32 = 2_208_988_800;
const NANOS_TO_FRACTION: f64 = 4.294_967_296;

/// 32 bits of seconds since 1900 and 32 bits of fraction. Zero means "unknown".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct NtpTimestamp(pub u64);

impl NtpTimestamp {
    /// "Unknown".
    pub const ZERO: Self = Self(0);

    /// Encodes a cooked time; the all-zero time encodes as zero and is never fuzzed. `fuzz` is XORed in
    /// (`spec/ntp.md` section 1.2).
    #[must_use]
    pub fn from_cooked(time: Cooked, fuzz: u64) -> Self {
        if time.is_zero() {
            return Self::ZERO;
        }
        let seconds = (time.sec() as u32).wrapping_add(UNIX_OFFSET);
        let fraction = (f64::from(time.nsec()) * NANOS_TO_FRACTION) as u32;
        Self((u64::from(seconds) << 32 | u64::from(fraction)) ^ fuzz)
    }

    /// True for "unknown".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// True if this timestamp is later than `other`: sign of the wrapped difference of the seconds, then of
    /// the fractions.
    #[must_use]
    pub const fn is_after(self, other: Self) -> bool {
        let (a, b) = ((self.0 >> 32) as u32, (other.0 >> 32) as u32);
        if a != b {
            (a.wrapping_sub(b) as i32) > 0
        } else {
            (self.0 as u32) > (other.0 as u32)
        }
    }
}

/// Which 2^32 seconds the NTP timestamps of this build mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Era {
    split: i64,
}

impl Era {
    /// The era that starts at Unix second `split`.
    #[must_use]
    pub const fn starting_at(split: i64) -> Self {
        Self { split }
    }

    /// First Unix second of the era.
    #[must_use]
    pub const fn start(self) -> i64 {
        self.split
    }

    /// Last Unix second of the era.
    #[must_use]
    pub const fn end(self) -> i64 {
        self.split + u32::MAX as i64
    }

    /// Decodes a timestamp into this era; zero decodes as the zero time.
    #[must_use]
    pub fn cooked(self, timestamp: NtpTimestamp) -> Cooked {
        if timestamp.is_zero() {
            return Cooked::default();
        }
        let seconds = ((timestamp.0 >> 32) as u32).wrapping_sub(UNIX_OFFSET);
        let since_split = seconds.wrapping_sub(self.split as u32);
        let nsec = (f64::from(timestamp.0 as u32) / NANOS_TO_FRACTION) as u32;
        Cooked::new(self.split + i64::from(since_split), nsec)
    }

    /// The "sane offset" test of `spec/sync.md` section 1.3: `offset` (s) is a usable number, and `time`
    /// moved by it is neither before 1970 nor outside of the era.
    #[must_use]
    pub fn is_sane(self, time: Cooked, offset: f64) -> bool {
        if offset.is_nan() || offset.abs() >= 4_294_967_296.0 {
            return false;
        }
        let moved = time.plus(offset);
        moved.sec() >= 0 && (self.start()..=self.end()).contains(&moved.sec())
    }
}

/// Fuzz for a timestamp of precision 2^`precision` s (-32 to 32): the lowest `precision + 32` bits of
/// `random`, the others zero (`spec/ntp.md` section 1.2).
#[must_use]
pub fn fuzz(precision: i8, random: u64) -> u64 {
    match precision {
        32.. => random,
        -31..32 => random & ((1 << (precision + 32)) - 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn era_resolves_both_sides_of_2036() {
        let era = Era::starting_at(1_767_225_600 - 18_250 * 86_400);
        for sec in [0x1234_5678, 2_085_978_495, 2_085_978_496, era.start(), era.end()] {
            let time = Cooked::new(sec, 250_000_000);
            let back = era.cooked(NtpTimestamp::from_cooked(time, 0));
            assert_eq!(back.sec(), sec);
            assert!((back - time).abs() < 2e-9);
        }
    }

    #[test]
    fn zero_stays_zero() {
        assert_eq!(
            NtpTimestamp::from_cooked(Cooked::default(), u64::MAX),
            NtpTimestamp::ZERO
        );
        assert!(Era::starting_at(0).cooked(NtpTimestamp::ZERO).is_zero());
    }

    #[test]
    fn comparison_wraps_with_the_seconds() {
        let before = NtpTimestamp(0xffff_ffff_0000_0000);
        let after = NtpTimestamp(0x0000_0001_0000_0000);
        assert!(after.is_after(before) && !before.is_after(after) && !after.is_after(after));
    }

    #[test]
    fn fuzz_has_as_many_bits_as_the_precision_leaves() {
        assert_eq!(fuzz(-20, u64::MAX), 0xfff);
        assert_eq!(fuzz(-30, u64::MAX), 3);
        assert_eq!(fuzz(32, u64::MAX), u64::MAX);
        assert_eq!(fuzz(-32, u64::MAX), 0);
    }
}
