//! How often a source is asked (`spec/sync.md` 7.2).

/// The polling interval of one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PollControl {
    min: i32,
    max: i32,
    target: i32,
    poll: i32,
    score: f64,
}

impl PollControl {
    /// Shortest interval, log2 s.
    pub const SHORTEST: i32 = -7;
    /// Longest interval, log2 s.
    pub const LONGEST: i32 = 24;
    /// Delay above which intervals below 1 s are not used, s.
    pub const MAX_SUB_SECOND_DELAY: f64 = 0.01;

    /// `min` and `max` in log2 s, -7 to 24, `min` <= `max`; `target` is `polltarget`, at least 1.
    #[must_use]
    pub fn new(min: i32, max: i32, target: i32) -> Self {
        let min = min.clamp(Self::SHORTEST, Self::LONGEST);
        let max = max.clamp(min, Self::LONGEST);
        Self {
            min,
            max,
            target: target.max(1),
            poll: min.max(0).min(max.max(0)),
            score: 0.0,
        }
    }

    /// Interval, log2 s.
    #[must_use]
    pub fn poll(&self) -> i32 {
        self.poll
    }

    /// Score: 0 to 1 on the way from one interval to the next.
    #[must_use]
    pub fn score(&self) -> f64 {
        self.score
    }

    /// `minpoll`, log2 s.
    #[must_use]
    pub fn min(&self) -> i32 {
        self.min
    }

    /// `maxpoll`, log2 s.
    #[must_use]
    pub fn max(&self) -> i32 {
        self.max
    }

    /// `polltarget`.
    #[must_use]
    pub fn target(&self) -> i32 {
        self.target
    }

    /// New `minpoll`; the interval itself follows at the next adjustment. `maxpoll` is raised if it is lower.
    pub fn set_min(&mut self, min: i32) {
        self.min = min.clamp(Self::SHORTEST, Self::LONGEST);
        self.max = self.max.max(self.min);
    }

    /// New `maxpoll`; the interval itself follows at the next adjustment. `minpoll` is lowered if it is higher.
    pub fn set_max(&mut self, max: i32) {
        self.max = max.clamp(Self::SHORTEST, Self::LONGEST);
        self.min = self.min.min(self.max);
    }

    /// New `polltarget`.
    pub fn set_target(&mut self, target: i32) {
        self.target = target.max(1);
    }

    /// Back to `minpoll`; true if the interval changed.
    pub fn reset(&mut self) -> bool {
        let changed = self.poll != self.min;
        (self.poll, self.score) = (self.min, 0.0);
        changed
    }

    /// Moves the score by `amount`. `sub_second`: intervals below 1 s are allowed now (the source is reachable
    /// and near).
    pub fn adjust(&mut self, amount: f64, sub_second: bool) {
        // More than the whole range of intervals makes no difference.
        self.score += if amount.is_nan() {
            0.0
        } else {
            amount.clamp(-100.0, 100.0)
        };
        if self.score >= 1.0 {
            self.carry(self.score);
        }
        if self.score < 0.0 {
            self.carry(self.score - 1.0);
        }
        if self.poll < self.min {
            (self.poll, self.score) = (self.min, 0.0);
        } else if self.poll > self.max {
            (self.poll, self.score) = (self.max, 1.0);
        }
        if self.poll < 0 && !sub_second {
            self.poll = 0;
        }
    }

    fn carry(&mut self, whole: f64) {
        let k = libm::trunc(whole);
        self.poll += k as i32;
        self.score -= k;
    }

    /// After an accepted sample: `error` (s) of the prediction, `distance` (s) of the sample (half of the peer
    /// delay and the peer dispersion), number of samples in the statistics.
    pub fn after_sample(&mut self, error: f64, distance: f64, samples: usize, sub_second: bool) {
        self.adjust(self.amount(error, distance, samples), sub_second);
    }

    fn amount(&self, error: f64, distance: f64, samples: usize) -> f64 {
        if error > distance {
            return -libm::log2(error / distance);
        }
        let target = f64::from(self.target);
        let amount = (samples as f64 / target - 1.0) / target;
        if (samples as f64) < target {
            2.0 * amount
        } else {
            amount
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn example_45_amounts() {
        let p = PollControl::new(6, 10, 8);
        assert_eq!(p.amount(1.0, 1.0, 8), 0.0);
        assert_eq!(p.amount(0.0, 1.0, 4), -0.125);
        assert_eq!(p.amount(0.0, 1.0, 16), 0.125);
        assert!((p.amount(3.0, 1.0, 8) + 1.58496).abs() < 1e-5);
    }

    #[test]
    fn example_45_adjustments() {
        for ((score, poll), amount, want) in [
            ((0.0, 8), -0.125, (0.875, 7)),
            ((0.9, 6), 0.125, (0.025, 7)),
            ((0.2, 8), -1.585, (0.615, 6)),
            ((0.95, 10), 0.125, (1.0, 10)),
            ((1.0, 10), -0.1, (0.9, 10)),
            ((0.0, 7), 2.5, (0.5, 9)),
        ] {
            let mut p = PollControl {
                score,
                poll,
                ..PollControl::new(6, 10, 8)
            };
            p.adjust(amount, false);
            assert!((p.score - want.0).abs() < 1e-9 && p.poll == want.1, "{p:?}");
        }
    }

    #[test]
    fn short_intervals_need_a_near_source() {
        let mut p = PollControl::new(-4, 4, 8);
        assert_eq!(p.poll(), 0);
        p.adjust(-1.5, true);
        assert_eq!(p.poll(), -2);
        p.adjust(0.0, false);
        assert_eq!(p.poll(), 0);
        assert!(p.reset());
        assert_eq!(p.poll(), -4);
        p.adjust(f64::NEG_INFINITY, true);
        assert_eq!((p.poll(), p.score()), (-4, 0.0));
    }
}
