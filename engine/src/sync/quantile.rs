//! Running estimate of a quantile of the delay, for `maxdelayquant` (`spec/sync.md` 3.3).

use super::regression::median;
use crate::random::Random;

/// Independent estimates; their median counts.
const ESTIMATES: usize = 7;
/// So many steps in the same direction until they grow, after the estimate has gone back and forth for long.
const LARGE_STEP_DELAY: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    value: f64,
    step: f64,
    up: bool,
}

impl Estimate {
    /// One step of the frugal estimator; `r` is uniform in [0, 1].
    fn update(&mut self, value: f64, r: f64, probability: f64, min_step: f64, step_limit: f64) {
        let up = value >= self.value;
        if (up && r < 1.0 - probability) || (!up && r < probability) {
            return;
        }
        let turned = up != self.up;
        self.step += if turned { -min_step } else { min_step };
        let move_by = self.step.max(min_step);
        // Overshooting takes the step back and ends just beyond the value.
        if up {
            self.value += move_by;
            if self.value > value {
                self.step += value - self.value;
                self.value = value + min_step / 4.0;
            }
        } else {
            self.value -= move_by;
            if self.value < value {
                self.step += self.value - value;
                self.value = value - min_step / 4.0;
            }
        }
        if turned && self.step > min_step {
            self.step = min_step;
        }
        self.up = up;
        self.step = self.step.max(step_limit);
    }
}

/// Estimates a quantile of the values it is given.
#[derive(Clone, Debug)]
pub struct DelayQuantile {
    estimates: [Estimate; ESTIMATES],
    started: bool,
    probability: f64,
    min_step: f64,
    /// Smallest step while the estimate goes back and forth, s.
    step_limit: f64,
}

impl DelayQuantile {
    /// `p` is the probability (rounded to 1 %, 0.05 to 0.95), `precision` that of the local clock (s).
    #[must_use]
    pub fn new(p: f64, precision: f64) -> Self {
        let probability = libm::round(p.clamp(0.05, 0.95) * 100.0) / 100.0;
        Self::with(probability, precision / 2.0, LARGE_STEP_DELAY)
    }

    /// With this probability; steps are `min_step` s at least, and become longer after as many as `large_step_delay`
    /// in the same direction.
    pub(super) fn with(probability: f64, min_step: f64, large_step_delay: f64) -> Self {
        Self {
            estimates: [Estimate::default(); ESTIMATES],
            started: false,
            probability,
            min_step,
            step_limit: -large_step_delay * min_step,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.estimates = [Estimate::default(); ESTIMATES];
        self.started = false;
    }

    /// Takes a delay (s).
    pub fn accumulate(&mut self, delay: f64, random: &mut dyn Random) {
        if !self.started {
            self.estimates = [Estimate {
                value: delay,
                step: self.min_step,
                up: true,
            }; ESTIMATES];
            self.started = true;
            return;
        }
        for estimate in &mut self.estimates {
            let r = random.uniform();
            estimate.update(delay, r, self.probability, self.min_step, self.step_limit);
        }
    }

    /// The quantile, s; 0 before the first value.
    #[must_use]
    pub fn value(&self) -> f64 {
        median(&mut self.estimates.map(|e| e.value))
    }

    /// Test C: the delay (s) is not longer than the quantile (`spec/sync.md` 3.1).
    #[must_use]
    pub fn accepts(&self, delay: f64) -> bool {
        delay <= self.value() + self.min_step / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;

    #[test]
    fn example_24_steps() {
        let mut e = Estimate {
            value: 1.0,
            step: 0.1,
            up: true,
        };
        let inputs = [2.0, 2.0, 2.0, 0.5, 0.5, 3.0, 3.0, 0.0, 1.2];
        let values = [1.2, 1.5, 1.9, 1.6, 1.4, 1.5, 1.7, 1.6, 1.4];
        let steps = [0.2, 0.3, 0.4, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2];
        for ((input, value), step) in inputs.into_iter().zip(values).zip(steps) {
            e.update(input, 1.0, 0.5, 0.1, -10.0);
            assert!(
                (e.value - value).abs() < 1e-9 && (e.step - step).abs() < 1e-9,
                "{e:?}"
            );
        }
    }

    #[test]
    fn the_first_delay_is_refused_and_becomes_the_estimate() {
        let mut q = DelayQuantile::new(0.3, 1e-6);
        assert!(!q.accepts(1e-3));
        q.accumulate(1e-3, &mut Seeded::new(1));
        assert_eq!(q.value(), 1e-3);
        assert!(q.accepts(1e-3) && !q.accepts(1.001e-3));
    }

    #[test]
    fn it_finds_the_quantile() {
        let mut random = Seeded::new(7);
        let mut q = DelayQuantile::new(0.2, 1e-5);
        for _ in 0..20_000 {
            let delay = 1e-3 + 1e-3 * random.uniform();
            q.accumulate(delay, &mut random);
        }
        assert!((q.value() - 1.2e-3).abs() < 0.1e-3, "{}", q.value());
    }
}
