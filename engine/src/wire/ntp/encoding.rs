//! Fixed-point numbers of packets (`spec/ntp.md` section 1.2).

/// Largest value of the 16.16 format, as given in the specification (s).
const MAX_SHORT: f64 = 65535.99998;

/// Encodes a non-negative number with `fraction_bits` bits of fraction, rounded up; saturates.
fn encode(seconds: f64, fraction_bits: i32, max: f64) -> u32 {
    if seconds >= max {
        return u32::MAX;
    }
    // The comparison is also false for not-a-number.
    if seconds > 0.0 {
        libm::ceil(libm::scalbn(seconds, fraction_bits)) as u32
    } else {
        0
    }
}

/// NTP's short format, unsigned 16.16: root delay and root dispersion of the header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NtpShort(pub u32);

impl NtpShort {
    /// One second, what an unsynchronised server sends.
    pub const ONE: Self = Self(0x1_0000);

    /// Rounds up; negative is zero, too large is the largest.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        Self(encode(seconds, 16, MAX_SHORT))
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        f64::from(self.0) / 65536.0
    }
}

/// Unsigned 4.28: root delay and root dispersion of the monotonic root field.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Time32(pub u32);

impl Time32 {
    const ONE_SECOND: f64 = 268_435_456.0;

    /// Rounds up; negative is zero, too large is the largest.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Self {
        Self(encode(seconds, 28, f64::from(u32::MAX) / Self::ONE_SECOND))
    }

    /// In seconds; the largest encoding stands for the largest value of [`NtpShort`].
    #[must_use]
    pub fn seconds(self) -> f64 {
        if self.0 == u32::MAX {
            MAX_SHORT
        } else {
            f64::from(self.0) / Self::ONE_SECOND
        }
    }
}

/// Encodes a network correction (s) as signed 32.32; saturates, not-a-number is zero.
#[must_use]
pub fn encode_correction(seconds: f64) -> u64 {
    if seconds.is_nan() {
        return 0;
    }
    let seconds = seconds.clamp(f64::from(i32::MIN), f64::from(i32::MAX));
    let whole = libm::floor(seconds);
    let fraction = ((seconds - whole) * 4_294_967_296.0) as u32;
    u64::from(whole as i32 as u32) << 32 | u64::from(fraction)
}

/// Decodes a network correction to seconds.
#[must_use]
pub fn decode_correction(encoded: u64) -> f64 {
    f64::from((encoded >> 32) as u32 as i32) + f64::from(encoded as u32) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_rounds_up_and_saturates() {
        for (seconds, encoded) in [
            (0.0, 0),
            (-1.0, 0),
            (f64::NAN, 0),
            (1e-9, 1),
            (1.0, 0x1_0000),
            (0.00390625, 0x100),
            (16.0, 0x10_0000),
            (65535.99997, 0xffff_ffff),
            (65536.0, u32::MAX),
            (f64::INFINITY, u32::MAX),
        ] {
            assert_eq!(NtpShort::from_seconds(seconds), NtpShort(encoded), "{seconds}");
        }
        assert_eq!(NtpShort(0x8000).seconds(), 0.5);
    }

    #[test]
    fn time32_keeps_the_largest_value_apart() {
        assert_eq!(Time32::from_seconds(1.0), Time32(0x1000_0000));
        assert_eq!(Time32::from_seconds(1e-10), Time32(1));
        assert_eq!(Time32::from_seconds(16.0), Time32(u32::MAX));
        assert_eq!(Time32(u32::MAX).seconds(), MAX_SHORT);
        assert_eq!(Time32(0x0800_0000).seconds(), 0.5);
    }

    #[test]
    fn correction_is_signed() {
        for (seconds, encoded) in [
            (0.0, 0),
            (1.5, 0x0000_0001_8000_0000),
            (-0.25, 0xffff_ffff_c000_0000),
            (1e12, 0x7fff_ffff_0000_0000),
            (-1e12, 0x8000_0000_0000_0000),
            (f64::NAN, 0),
        ] {
            assert_eq!(encode_correction(seconds), encoded, "{seconds}");
        }
        assert_eq!(decode_correction(0xffff_ffff_c000_0000), -0.25);
        assert!((decode_correction(encode_correction(3.25e-6)) - 3.25e-6).abs() < 1e-9);
    }
}
