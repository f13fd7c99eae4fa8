//! Values as people write them in a world description and on the command line.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// Longest time that makes sense, s: a hundred years.
const MAX_TIME: f64 = 3.2e9;

/// Units of time that a number may have.
const UNITS: [(&str, f64); 11] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
    ("w", 604_800.0),
    ("y", 31_557_600.0),
];

/// Seconds from a text: `0.1`, `100us`, `-2.5ms`, `1h 30m`.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let wrong =
        || format!("'{text}' is not a time; write seconds (0.1) or a number with a unit (100us, 5ms, 2h)");
    let (negative, rest) = match text.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.trim()),
    };
    let end = rest.find(char::is_alphabetic).unwrap_or(rest.len());
    let (number, unit) = rest.split_at(end);
    // `1e-4` has a letter too.
    let value = match (rest.parse::<f64>(), number.trim().parse::<f64>()) {
        (Ok(value), _) => value,
        (_, Ok(number)) if UNITS.iter().any(|(name, _)| *name == unit) => {
            let scale = UNITS.iter().find(|(name, _)| *name == unit);
            number * scale.map_or(1.0, |(_, scale)| *scale)
        }
        _ => humantime::parse_duration(rest)
            .map_err(|_| wrong())?
            .as_secs_f64(),
    };
    if !(value.is_finite() && value <= MAX_TIME && !rest.starts_with(['-', '+'])) {
        return Err(wrong());
    }
    Ok(if negative { -value } else { value })
}

/// Seconds that are not negative, from a text.
pub(crate) fn span(text: &str) -> Result<f64, String> {
    let value = seconds(text)?;
    if value < 0.0 {
        return Err(format!("'{text}' is negative"));
    }
    Ok(value)
}

/// Seconds of either sign: a number, or a text as [`seconds`] takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seconds(pub(crate) f64);

/// Seconds that are not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Span(pub(crate) f64);

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Probability(pub(crate) f64);

/// Takes numbers and texts.
struct Time;

impl Visitor<'_> for Time {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time, as seconds (0.1) or as a text with a unit (\"100us\", \"2h\")")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        if value.abs() <= MAX_TIME {
            Ok(value)
        } else {
            Err(E::custom(format!("{value} s is more than a hundred years")))
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        self.visit_f64(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<f64, E> {
        seconds(value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Time).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = from.deserialize_any(Time)?;
        if value < 0.0 {
            return Err(D::Error::custom(format!("{value} s is negative")));
        }
        Ok(Self(value))
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(from)?;
        if !(0.0..=1.0).contains(&value) {
            return Err(D::Error::custom(format!(
                "{value} is not a probability; write a number from 0 to 1 (0.3 is 30 %)"
            )));
        }
        Ok(Self(value))
    }
}

/// A time for people: `12.3 us`.
pub(crate) fn human(seconds: f64) -> String {
    let size = seconds.abs();
    let (scale, unit) = match size {
        _ if size < 1e-12 => return "0 s".to_owned(),
        _ if size < 1e-6 => (1e9, "ns"),
        _ if size < 1e-3 => (1e6, "us"),
        _ if size < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    let value = seconds * scale;
    let digits = match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, value) in [
            ("0.1", 0.1),
            ("1e-4", 1e-4),
            ("100us", 1e-4),
            ("2.5 ms", 2.5e-3),
            ("-2.5ms", -2.5e-3),
            ("3", 3.0),
            ("1h 30m", 5400.0),
            ("1h30m", 5400.0),
            ("30d", 2_592_000.0),
        ] {
            let read = seconds(text).unwrap();
            assert!((read - value).abs() < 1e-12 * value.abs(), "{text}: {read}");
        }
        for text in ["", "abc", "5 parsecs", "nan", "inf", "1e300", "--1", "-+1", "s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(span("-1").is_err());
    }

    #[test]
    fn times_are_written_for_people() {
        for (value, text) in [
            (0.0, "0 s"),
            (-1.234e-5, "-12.3 us"),
            (0.1, "100 ms"),
            (9.996e-6, "10.0 us"),
            (123_456.0, "123456 s"),
        ] {
            assert_eq!(human(value), text);
        }
    }
}
