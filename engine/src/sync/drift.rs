//! The drift file: its text, and when it is written (`spec/sync.md` 5.13).

use crate::io::FileJob;
use crate::time::Ppm;

/// Frequency and skew that an earlier run has left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drift {
    /// Absolute frequency; positive: the uncorrected clock is fast.
    pub frequency: Ppm,
    /// Skew, ppm.
    pub skew: Ppm,
}

impl Drift {
    /// The first two numbers of the drift file's text, if there are two.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_ascii_whitespace().map(str::parse::<f64>);
        match (numbers.next()?, numbers.next()?) {
            (Ok(frequency), Ok(skew)) if frequency.is_finite() && !skew.is_nan() => Some(Self {
                frequency: Ppm(frequency),
                skew: Ppm(skew),
            }),
            _ => None,
        }
    }

    /// The request to write it.
    #[must_use]
    pub fn save(self) -> FileJob {
        FileJob::Drift {
            frequency: self.frequency.0,
            skew: self.skew.0,
        }
    }
}

/// Adds the intervals of updates up until the drift file is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriftAge {
    interval: f64,
    age: f64,
}

impl DriftAge {
    /// `interval`: s between writes.
    pub(super) fn new(interval: i32) -> Self {
        Self {
            interval: f64::from(interval),
            age: 0.0,
        }
    }

    /// True when the file is due, `interval` s after the last update.
    pub(super) fn add(&mut self, interval: f64) -> bool {
        self.age += interval;
        let due = self.age >= self.interval;
        if due {
            self.age = 0.0;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_are_needed() {
        let drift = Drift::parse("            2.553938             0.021140\n").unwrap();
        assert_eq!(
            drift,
            Drift {
                frequency: Ppm(2.553_938),
                skew: Ppm(0.021_14)
            }
        );
        assert!(Drift::parse("2.5").is_none());
        assert!(Drift::parse("").is_none());
        assert!(Drift::parse("a b").is_none());
        assert!(Drift::parse("nan 1").is_none());
    }

    #[test]
    fn age_counts_intervals() {
        let mut age = DriftAge::new(100);
        assert!(!age.add(64.0));
        assert!(age.add(64.0));
        assert!(!age.add(64.0));
    }
}
