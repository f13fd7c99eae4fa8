//! A plot of the last offsets, made of characters.

use crate::output::{SignedSeconds, Value};

/// Columns of a label and what separates it from the plot.
const LABEL: usize = 9;
/// Smallest range shown, s: what is below is the noise of the clock itself.
const MIN_SCALE: f64 = 100e-9;

/// The next larger of 1, 2 and 5 times a power of ten.
fn scale(largest: f64) -> f64 {
    let mut decade = MIN_SCALE;
    // Ends: offsets are numbers below 10^13 or so, and infinity is taken for the largest of them.
    while decade < 1e15 {
        for step in [1.0, 2.0, 5.0] {
            if largest <= decade * step {
                return decade * step;
            }
        }
        decade *= 10.0;
    }
    decade
}

/// Draws the newest of the values, one a column, the newest at the right. `None` is a round without an answer.
pub(super) fn plot(values: &[Option<f64>], columns: usize, rows: usize) -> Vec<String> {
    let width = columns.saturating_sub(LABEL);
    if width == 0 || rows < 3 {
        return Vec::new();
    }
    let shown = values.get(values.len().saturating_sub(width)..).unwrap_or(values);
    let largest = shown.iter().flatten().fold(0.0, |all: f64, x| all.max(x.abs()));
    let scale = scale(largest);
    // An odd number, so that zero has a row.
    let rows = rows - (1 - rows % 2);
    let last = rows - 1;
    let row_of = |x: f64| ((scale - x) / (2.0 * scale) * last as f64).round() as usize;
    (0..rows)
        .map(|row| {
            let label = match row {
                0 => SignedSeconds(scale).human(),
                row if row == last => SignedSeconds(-scale).human(),
                row if row == last / 2 => SignedSeconds(0.0).human(),
                _ => String::new(),
            };
            let empty = if row == last / 2 { '-' } else { ' ' };
            let marks = shown.iter().map(|value| match value {
                Some(x) if row_of(*x) == row => '*',
                _ => empty,
            });
            let free = std::iter::repeat_n(empty, width - shown.len());
            format!("{label:>7} |{}", free.chain(marks).collect::<String>())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_round_numbers() {
        for (largest, expected) in [
            (0.0, 1e-7),
            (1e-7, 1e-7),
            (1.1e-7, 2e-7),
            (3e-3, 5e-3),
            (7.0, 10.0),
        ] {
            assert!((scale(largest) / expected - 1.0).abs() < 1e-9, "{largest}");
        }
        assert!(scale(f64::INFINITY).is_finite());
    }

    #[test]
    fn the_newest_value_is_at_the_right() {
        let values = [Some(1e-6), None, Some(0.0), Some(-1e-6)];
        assert_eq!(
            plot(&values, 15, 5),
            [
                "+1000ns |  *   ",
                "        |      ",
                "   +0ns |----*-",
                "        |      ",
                "-1000ns |     *",
            ]
        );
        // More values than columns: the oldest are left out, also of the scale.
        assert_eq!(
            plot(&values, 11, 4),
            ["+1000ns |  ", "   +0ns |*-", "-1000ns | *"]
        );
        assert!(plot(&values, 9, 5).is_empty() && plot(&values, 80, 2).is_empty());
        let odd = [Some(f64::NAN), Some(f64::INFINITY), Some(f64::MAX), Some(-1e300)];
        assert_eq!(plot(&odd, 20, 3).len(), 3);
    }
}
