//! `watch`, which chrony does not have: how often, and how many times.

use super::Fault;
use super::health::seconds;

/// Shortest time between two rounds, s.
const MIN_INTERVAL: f64 = 0.1;
/// Longest one, s: a day.
const MAX_INTERVAL: f64 = 86_400.0;

/// What is to be watched how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Watch {
    /// Between two rounds, s.
    pub(crate) interval: f64,
    /// Rounds; `None`: until the end.
    pub(crate) count: Option<u64>,
}

const BAD: Fault = Fault::Message("Invalid syntax for watch command");

/// The words after `watch`.
pub(super) fn parse(words: &[&str]) -> Result<Watch, Fault> {
    let mut watch = Watch {
        interval: 1.0,
        count: None,
    };
    // Both `--option value` and `--option=value`.
    let mut words = words.iter().flat_map(|word| word.split('='));
    while let Some(word) = words.next() {
        let value = words.next().ok_or(BAD)?;
        match word {
            "--interval" => {
                watch.interval = seconds(value)
                    .filter(|interval| (MIN_INTERVAL..=MAX_INTERVAL).contains(interval))
                    .ok_or(Fault::Message("Interval must be 0.1 to 86400 seconds"))?;
            }
            "--count" => watch.count = Some(value.parse().ok().filter(|&count| count > 0).ok_or(BAD)?),
            _ => return Err(BAD),
        }
    }
    Ok(watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_count() {
        let watch = |interval, count| Ok(Watch { interval, count });
        assert_eq!(parse(&[]), watch(1.0, None));
        assert_eq!(parse(&["--interval", "500ms", "--count=3"]), watch(0.5, Some(3)));
        for bad in [
            &["3"][..],
            &["--interval"],
            &["--interval", "1h"],
            &["--interval", "0.01"],
            &["--interval", "nan"],
            &["--interval", "1e9"],
            &["--count", "0"],
            &["--count", "-1"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
