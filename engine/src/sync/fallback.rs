//! Fallback drifts: average frequencies over windows of 2^n s, used one after the other when updates stop
//! (`spec/sync.md` 5.14).

use crate::config::FallbackDrift;
use crate::time::{Mono, Ppm};

#[derive(Clone, Copy, Debug, Default)]
struct Average {
    /// ppm
    frequency: f64,
    /// Seconds that the average stands for, until there are enough.
    seconds: f64,
}

/// The averages and the one in use.
#[derive(Clone, Debug)]
pub(super) struct Fallback {
    min: i32,
    averages: Vec<Average>,
    /// Window (log2 s) in use or waited for; 0: none.
    next: i32,
    timer: Option<Mono>,
}

fn window(log: i32) -> f64 {
    libm::scalbn(1.0, log)
}

impl Fallback {
    /// `None` if the directive disables it.
    pub(super) fn new(config: FallbackDrift) -> Option<Self> {
        let FallbackDrift { min, max } = config;
        // Windows of more than 2^62 s can never be filled.
        let count = usize::try_from(max.min(62).checked_sub(min)?).ok()? + 1;
        (min > 0).then(|| Self {
            min,
            averages: vec![Average::default(); count],
            next: 0,
            timer: None,
        })
    }

    /// An update of the reference: `interval` (s) since the last one, at absolute frequency `frequency`.
    pub(super) fn update(&mut self, interval: f64, frequency: Ppm) {
        self.next = 0;
        self.timer = None;
        if interval < 1.0 {
            return;
        }
        for (log, average) in (self.min..).zip(&mut self.averages) {
            let (Ppm(f), window) = (frequency, window(log));
            if average.seconds < window {
                average.frequency = (average.frequency * average.seconds + 0.5 * interval * f)
                    / (0.5 * interval + average.seconds);
                average.seconds += 0.5 * interval;
            } else {
                average.frequency += (1.0 - libm::exp(-interval / window)) * (f - average.frequency);
            }
        }
    }

    /// Plans the next fallback. `unsynced`: s since the last update. Returns a frequency to be set now.
    pub(super) fn schedule(&mut self, now: Mono, unsynced: f64) -> Option<Ppm> {
        if self.timer.is_some() {
            return None;
        }
        let mut current = 0;
        let mut frequency = 0.0;
        let mut waiting = None;
        for (log, average) in (self.min..).zip(&self.averages) {
            if average.seconds < window(log) {
                continue;
            }
            if unsynced < window(log) && log > self.next {
                waiting = Some(log);
                break;
            }
            (current, frequency) = (log, average.frequency);
        }
        let set = (current > self.next).then_some(Ppm(frequency));
        if set.is_some() {
            self.next = current;
        }
        if let Some(log) = waiting {
            self.next = log;
            self.timer = Some(now.plus(window(log) - unsynced));
        }
        set
    }

    pub(super) const fn timer(&self) -> Option<Mono> {
        self.timer
    }

    /// The timer was reached: the frequency to be set. The reference becomes unsynchronised then.
    pub(super) fn on_timeout(&mut self, now: Mono) -> Option<Ppm> {
        if self.timer.is_none_or(|at| at > now) {
            return None;
        }
        self.timer = None;
        let index = usize::try_from(self.next.checked_sub(self.min)?).ok()?;
        self.averages.get(index).map(|average| Ppm(average.frequency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_those_of_example_38() {
        let mut fallback = Fallback::new(FallbackDrift { min: 4, max: 4 }).unwrap();
        let expected = [
            (10.0, 4.0),
            (11.0, 8.0),
            (12.0, 12.0),
            (13.0, 16.0),
            (15.754_285, 16.0),
        ];
        for (f, (frequency, seconds)) in [10.0, 12.0, 14.0, 16.0, 20.0].into_iter().zip(expected) {
            fallback.update(8.0, Ppm(f));
            let average = fallback.averages[0];
            assert!((average.frequency - frequency).abs() < 1e-6, "{average:?}");
            assert!((average.seconds - seconds).abs() < 1e-12);
        }
    }

    #[test]
    fn filled_windows_take_over_in_turn() {
        let mut fallback = Fallback::new(FallbackDrift { min: 4, max: 5 }).unwrap();
        let start = Mono(0);
        assert_eq!(fallback.schedule(start, 0.0), None);
        assert_eq!(fallback.timer(), None);
        for _ in 0..10 {
            fallback.update(8.0, Ppm(7.0));
        }
        assert_eq!(fallback.schedule(start, 0.0), None);
        assert_eq!(fallback.timer(), Some(start.plus(16.0)));
        let first = start.plus(16.0);
        assert_eq!(fallback.on_timeout(first), Some(Ppm(7.0)));
        assert_eq!(fallback.schedule(first, 16.0), None);
        assert_eq!(fallback.timer(), Some(start.plus(32.0)));
        assert_eq!(fallback.on_timeout(start.plus(32.0)), Some(Ppm(7.0)));
        assert_eq!(fallback.schedule(start.plus(32.0), 32.0), None);
        assert_eq!(fallback.timer(), None);
        fallback.update(8.0, Ppm(7.0));
        assert_eq!(fallback.next, 0);
    }

    #[test]
    fn a_limit_below_one_disables() {
        assert!(Fallback::new(FallbackDrift { min: 0, max: 5 }).is_none());
        assert!(Fallback::new(FallbackDrift { min: 6, max: 5 }).is_none());
        assert!(
            Fallback::new(FallbackDrift {
                min: i32::MIN,
                max: i32::MAX
            })
            .is_none()
        );
    }
}
