//! Values in their two forms (`spec/chronyc.md` sections 5.1 to 5.6).

use std::fmt::Display;
use truechimer_engine::text::Fixed;
use truechimer_engine::time::{Cooked, Utc, utc};

/// One column.
pub(crate) trait Value {
    /// For people.
    fn human(&self) -> String;
    /// For programs.
    fn csv(&self) -> String;
}

/// The same in both forms.
pub(crate) struct Same<T>(pub(crate) T);

impl<T: Display> Value for Same<T> {
    fn human(&self) -> String {
        self.0.to_string()
    }

    fn csv(&self) -> String {
        self.0.to_string()
    }
}

/// Right-aligned for people.
pub(crate) struct Padded<T>(pub(crate) T, pub(crate) usize);

impl<T: Display> Value for Padded<T> {
    fn human(&self) -> String {
        let Self(value, width) = self;
        // Not every Display heeds the width.
        format!("{:>width$}", value.to_string())
    }

    fn csv(&self) -> String {
        self.0.to_string()
    }
}

/// A name: left-aligned for people.
pub(crate) struct Name<'a>(pub(crate) &'a str, pub(crate) usize);

impl Value for Name<'_> {
    fn human(&self) -> String {
        let Self(name, width) = *self;
        format!("{name:width$}")
    }

    fn csv(&self) -> String {
        self.0.to_owned()
    }
}

/// A text for people and one for programs.
pub(crate) struct Choice<A, B>(pub(crate) A, pub(crate) B);

impl<A: Display, B: Display> Value for Choice<A, B> {
    fn human(&self) -> String {
        self.0.to_string()
    }

    fn csv(&self) -> String {
        self.1.to_string()
    }
}

/// Age or span in seconds, four characters; `None` is "never".
pub(crate) struct Age(pub(crate) Option<u32>);

impl Age {
    /// Of a number as it is on the wire.
    pub(crate) fn of(seconds: u32) -> Self {
        Self(Some(seconds).filter(|seconds| *seconds != u32::MAX))
    }
}

impl Value for Age {
    fn human(&self) -> String {
        let Some(n) = self.0 else {
            return "   -".to_owned();
        };
        let days = n / 86_400;
        match n {
            0..1200 => format!("{n:4}"),
            1200..36_000 => format!("{:3}m", n / 60),
            36_000..345_600 => format!("{:3}h", n / 3600),
            _ if days <= 999 => format!("{days:3}d"),
            _ => format!("{:3}y", days / 365),
        }
    }

    fn csv(&self) -> String {
        self.0.unwrap_or(u32::MAX).to_string()
    }
}

/// Value in a unit that suits it, its unit, and whether it has one decimal.
fn scaled(x: f64) -> (f64, &'static str, bool) {
    let size = x.abs();
    if size < 9999.5e-9 {
        (x * 1e9, "ns", false)
    } else if size < 9999.5e-6 {
        (x * 1e6, "us", false)
    } else if size < 9999.5e-3 {
        (x * 1e3, "ms", false)
    } else if size < 999.5 {
        (x, "s", true)
    } else if size < 99_999.5 {
        (x, "s", false)
    } else if size < 99_999.5 * 60.0 {
        (x / 60.0, "m", false)
    } else if size < 99_999.5 * 3600.0 {
        (x / 3600.0, "h", false)
    } else if size < 99_999.5 * 86_400.0 {
        (x / 86_400.0, "d", false)
    } else {
        (x / (86_400.0 * 365.0), "y", false)
    }
}

/// Number with sign always.
fn signed(x: f64, precision: usize) -> String {
    let text = Fixed(x, precision).to_string();
    if text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

fn nanoseconds(x: f64) -> String {
    Fixed(x, 9).to_string()
}

/// Seconds without sign, normally six characters.
pub(crate) struct Seconds(pub(crate) f64);

impl Value for Seconds {
    fn human(&self) -> String {
        let (x, unit, decimal) = scaled(self.0.abs());
        let width = if unit.len() == 2 { 4 } else { 5 };
        format!("{:>width$}{unit}", Fixed(x, usize::from(decimal)))
    }

    fn csv(&self) -> String {
        nanoseconds(self.0)
    }
}

/// Seconds with sign, normally seven characters.
pub(crate) struct SignedSeconds(pub(crate) f64);

impl Value for SignedSeconds {
    fn human(&self) -> String {
        let (x, unit, decimal) = scaled(self.0);
        let width = if unit.len() == 2 { 5 } else { 6 };
        format!("{:>width$}{unit}", signed(x, usize::from(decimal)))
    }

    fn csv(&self) -> String {
        nanoseconds(self.0)
    }
}

/// Decimals of a frequency so large that a column has no room for more.
fn decimals(x: f64) -> usize {
    if x.abs() < 99_999.5 { 3 } else { 0 }
}

/// ppm, ten characters.
pub(crate) struct Freq(pub(crate) f64);

impl Value for Freq {
    fn human(&self) -> String {
        format!("{:>10}", Fixed(self.0, decimals(self.0)))
    }

    fn csv(&self) -> String {
        Fixed(self.0, 3).to_string()
    }
}

/// ppm with sign, ten characters.
pub(crate) struct SignedFreq(pub(crate) f64);

impl Value for SignedFreq {
    fn human(&self) -> String {
        format!("{:>10}", signed(self.0, decimals(self.0)))
    }

    fn csv(&self) -> String {
        Fixed(self.0, 3).to_string()
    }
}

/// Number with so many decimals and a sign, without padding.
pub(crate) struct Signed(pub(crate) f64, pub(crate) usize);

impl Value for Signed {
    fn human(&self) -> String {
        signed(self.0, self.1)
    }

    fn csv(&self) -> String {
        Fixed(self.0, self.1).to_string()
    }
}

/// An offset in words: positive is slow.
pub(crate) struct Offset(pub(crate) f64);

impl Value for Offset {
    fn human(&self) -> String {
        let direction = if self.0 > 0.0 { "slow" } else { "fast" };
        format!("{} seconds {direction}", Fixed(self.0.abs(), 9))
    }

    fn csv(&self) -> String {
        nanoseconds(self.0)
    }
}

/// A frequency in words: positive is fast.
pub(crate) struct Frequency(pub(crate) f64);

impl Value for Frequency {
    fn human(&self) -> String {
        let direction = if self.0 > 0.0 { "fast" } else { "slow" };
        format!("{} ppm {direction}", Fixed(self.0.abs(), 3))
    }

    fn csv(&self) -> String {
        Fixed(self.0, 3).to_string()
    }
}

/// The date of a time; `None` where C's `struct tm` has no room for the year.
pub(crate) fn date(time: Cooked) -> Option<Utc> {
    Some(utc(time.sec())).filter(|date| i32::try_from(date.year - 1900).is_ok())
}

/// A point in time.
pub(crate) struct Stamp(pub(crate) Cooked);

impl Value for Stamp {
    fn human(&self) -> String {
        date(self.0).map(|date| date.report()).unwrap_or_default()
    }

    fn csv(&self) -> String {
        format!("{}.{:09}", self.0.sec(), self.0.nsec())
    }
}

/// log2 of an interval, two characters; `None` is unknown.
pub(crate) struct LogInterval(pub(crate) Option<i8>);

impl Value for LogInterval {
    fn human(&self) -> String {
        self.0.map_or_else(|| " -".to_owned(), |log| format!("{log:2}"))
    }

    fn csv(&self) -> String {
        self.0.unwrap_or(i8::MAX).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (n, text) in [
            (0, "   0"),
            (1199, "1199"),
            (1200, " 20m"),
            (35_999, "599m"),
            (36_000, " 10h"),
            (345_599, " 95h"),
            (345_600, "  4d"),
            (86_399_999, "999d"),
            (86_400_000, "  2y"),
            (4_294_967_294, "136y"),
        ] {
            assert_eq!(Age(Some(n)).human(), text);
        }
        assert_eq!(
            (Age(None).human().as_str(), Age(None).csv().as_str()),
            ("   -", "4294967295")
        );
    }

    #[test]
    fn seconds() {
        for (x, plain, with_sign) in [
            (0.0, "   0ns", "   +0ns"),
            (9.9994e-6, "9999ns", "+9999ns"),
            (9.9996e-6, "  10us", "  +10us"),
            (9.9994e-3, "9999us", "+9999us"),
            (9.9996, " 10.0s", " +10.0s"),
            (999.6, " 1000s", " +1000s"),
            (99_999.6, " 1667m", " +1667m"),
            (8.64e9, "  274y", "  +274y"),
            (1e7, " 2778h", " +2778h"),
            (1e9, "11574d", "+11574d"),
            (4.0, "4000ms", "+4000ms"),
        ] {
            assert_eq!(Seconds(x).human(), plain);
            assert_eq!(SignedSeconds(x).human(), with_sign);
        }
        assert_eq!(Seconds(-0.5).human(), " 500ms");
        assert_eq!(SignedSeconds(-0.5).human(), " -500ms");
        assert_eq!(SignedSeconds(-0.5).csv(), "-0.500000000");
    }

    #[test]
    fn frequencies() {
        assert_eq!(SignedFreq(0.0).human(), "    +0.000");
        assert_eq!(SignedFreq(-0.0001).human(), "    -0.000");
        assert_eq!(SignedFreq(100_000.4).human(), "   +100000");
        assert_eq!(Freq(1e9).human(), "1000000000");
        assert_eq!(SignedFreq(1e9).human(), "+1000000000");
        assert_eq!(Freq(2000.0).human(), "  2000.000");
        assert_eq!(Freq(2000.0).csv(), "2000.000");
        assert_eq!(Frequency(0.081).human(), "0.081 ppm fast");
        assert_eq!(Frequency(0.0).human(), "0.000 ppm slow");
        assert_eq!(Offset(0.0).human(), "0.000000000 seconds fast");
        assert_eq!(Offset(1e-6).human(), "0.000001000 seconds slow");
    }

    #[test]
    fn stamps() {
        let time = Cooked::new(1_795_188_775, 795_829_684);
        assert_eq!(Stamp(time).human(), "Fri Nov 20 15:32:55 2026");
        assert_eq!(Stamp(time).csv(), "1795188775.795829684");
        assert_eq!(Stamp(Cooked::new(i64::MAX, 0)).human(), "");
        assert_eq!(Stamp(Cooked::default()).human(), "Thu Jan 01 00:00:00 1970");
    }
}
