//! How precisely the clock can be read (`spec/sync.md` 6.8). Measured at start only: a simulated clock stands
//! still while we run later on.

use crate::sys::clock::{monotonic_raw, realtime};
use truechimer_engine::time::Mono;

/// Readings of one round of [`resolution`].
const READINGS: usize = 64;
/// Longest time spent on measuring the resolution, s.
const MAX_TIME: f64 = 0.1;

/// Precision in s, 1e-9 to 1. `configured` is `clockprecision`; 0 or less: measure.
#[must_use]
pub fn measure_precision(configured: f64) -> f64 {
    let precision = if configured > 0.0 {
        configured
    } else {
        let delay = read_delay();
        resolution().map_or(delay, |resolution| resolution.min(delay))
    };
    precision.clamp(1e-9, 1.0)
}

/// Shortest time between two different readings.
fn read_delay() -> f64 {
    const CHANGES: u32 = 100;
    // A clock that doesn't move must not hold up the start.
    const MAX_READINGS: u32 = 10_000_000;
    let (mut shortest, mut changes) = (1.0_f64, 0);
    let mut last = realtime();
    for _ in 0..MAX_READINGS {
        let next = realtime();
        let difference = next - last;
        last = next;
        if difference > 0.0 {
            shortest = shortest.min(difference);
            changes += 1;
            if changes == CHANGES {
                break;
            }
        }
    }
    shortest
}

/// The step in which readings of a clock differ, found by reading it at varying distances; `None` if that can't
/// be told.
fn resolution() -> Option<f64> {
    let start = monotonic_raw();
    let mut busy = 1_u32;
    while busy <= 100_000 {
        let mut readings = [Mono(0); READINGS];
        for (left, reading) in (0..READINGS as u32).rev().zip(&mut readings) {
            *reading = monotonic_raw();
            for work in 0..busy.saturating_mul(left) / READINGS as u32 {
                std::hint::black_box(work);
            }
        }
        let mut differences = [0_i64; READINGS - 1];
        for (difference, pair) in differences.iter_mut().zip(readings.windows(2)) {
            if let [first, second] = pair {
                *difference = second.0.saturating_sub(first.0);
            }
        }
        if differences
            .iter()
            .any(|difference| !(1..=1_000_000_000).contains(difference))
        {
            return None;
        }
        if let Some(nanos) = smallest_step(&mut differences) {
            return Some(nanos as f64 * 1e-9);
        }
        if monotonic_raw() - start > MAX_TIME {
            return None;
        }
        busy = busy * 3 / 2 + 1;
    }
    None
}

/// From the smaller half of `differences` (ns), those more than 1 ns apart; if there are three, the smallest
/// distance between them.
fn smallest_step(differences: &mut [i64]) -> Option<i64> {
    differences.sort_unstable();
    let half = differences.get(..differences.len() / 2)?;
    let mut kept: Vec<i64> = Vec::with_capacity(half.len());
    for &difference in half {
        if kept.last().is_none_or(|&last| difference - last > 1) {
            kept.push(difference);
        }
    }
    if kept.len() < 3 {
        return None;
    }
    kept.windows(2)
        .filter_map(|pair| if let [a, b] = pair { Some(b - a) } else { None })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_wins_within_limits() {
        assert_eq!(measure_precision(1e-6), 1e-6);
        assert_eq!(measure_precision(1e-12), 1e-9);
        assert_eq!(measure_precision(5.0), 1.0);
    }

    #[test]
    fn a_real_clock_is_better_than_a_millisecond() {
        let precision = measure_precision(0.0);
        assert!((1e-9..1e-3).contains(&precision), "{precision}");
    }

    #[test]
    fn steps_of_a_coarse_clock_are_found() {
        let mut differences = [40, 80, 120, 121, 160, 200, 400, 400, 400, 400, 400, 400];
        assert_eq!(smallest_step(&mut differences), Some(40));
        assert_eq!(smallest_step(&mut [20, 21, 22, 23, 900, 900, 900, 900]), None);
    }
}
