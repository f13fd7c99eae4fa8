//! The line through the samples of a source (`spec/sync.md` 2.4).

use super::{MAX_ASYMMETRY_RUN, RegressionInfo, SourceStats, WORST_FREQUENCY, WORST_STD_DEV};
use crate::sync::regression::{MAX_POINTS, MAX_SAMPLES, best_regression, median, second_slope, student};
use crate::time::Cooked;

const MIN_SKEW: f64 = 1e-12;
const MAX_SKEW: f64 = 1.0;
const MIN_STD_DEV: f64 = 1e-9;
/// Beyond this an estimated asymmetry counts as complete.
const ASYMMETRIC: f64 = 0.45;
const MAX_ASYMMETRY: f64 = 0.5;
/// So many times in a row before an asymmetry is believed.
const ASYMMETRY_RUNS: i32 = 10;

impl SourceStats {
    /// Fits the line (`spec/sync.md` 2.4).
    pub(in crate::sync) fn regress(&mut self) -> Option<RegressionInfo> {
        let (points, n) = (self.points.len(), self.active);
        let mut x = [0.0; MAX_POINTS];
        let mut y = [0.0; MAX_POINTS];
        let newest = self.newest().map_or(Cooked::default(), |p| p.time);
        let mut fit = None;
        if n >= 3 {
            for ((x, y), p) in x.iter_mut().zip(&mut y).zip(&self.points) {
                *x = p.time - newest;
                *y = p.offset;
            }
            let weights = self.weights();
            self.correct_asymmetry(&x[..points], &mut y[..points]);
            fit = best_regression(&x[..points], &y[..points], &weights[..n], self.min_samples());
        }
        let info = if let Some(fit) = fit {
            let line = fit.line;
            let stress = (self.freq - line.slope).abs() / self.skew;
            self.freq = line.slope;
            self.freq_sd = line.slope_sd.clamp(MIN_SKEW, MAX_SKEW);
            self.skew = (line.slope_sd * student(line.dof)).clamp(MIN_SKEW, MAX_SKEW);
            self.offset = line.intercept;
            self.offset_sd = line.intercept_sd;
            self.offset_time = newest;
            self.std_dev = libm::sqrt(line.variance).max(MIN_STD_DEV);
            self.runs = fit.runs;
            self.regression_ok = true;
            self.prune(fit.start);
            Some(RegressionInfo {
                stress,
                samples: n,
                best_start: fit.start,
            })
        } else {
            self.regression_ok = false;
            (self.freq_sd, self.skew) = (WORST_FREQUENCY, WORST_FREQUENCY);
            (self.offset_sd, self.std_dev) = (WORST_STD_DEV, WORST_STD_DEV);
            self.runs = 0;
            self.offset = self.newest().map_or(0.0, |p| p.offset);
            self.offset_time = newest;
            None
        };
        self.find_best(newest);
        info
    }

    /// Variance factors of the active samples.
    pub(super) fn weights(&self) -> [f64; MAX_SAMPLES] {
        let mut weights = [0.0; MAX_SAMPLES];
        for (w, p) in weights.iter_mut().zip(self.active()) {
            *w = 0.5 * p.peer_delay + p.peer_dispersion;
        }
        let distances = &mut weights[..self.active.min(MAX_SAMPLES)];
        let mut sorted = [0.0; MAX_SAMPLES];
        let sorted = &mut sorted[..distances.len()];
        sorted.copy_from_slice(distances);
        let smallest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let q = self.config.precision;
        let sd = ((median(sorted) - smallest) / 0.7).min(smallest).max(q);
        for w in distances {
            let excess = ((*w - smallest - q) / sd).max(0.0);
            *w = (1.0 + excess) * (1.0 + excess);
        }
        weights
    }

    /// Takes the part of the offsets that follows the delay out of `y`.
    fn correct_asymmetry(&mut self, x: &[f64], y: &mut [f64]) {
        if self.config.asymmetry == 0.0 {
            return;
        }
        let min_delay = self.min_delay();
        let mut excess = [0.0; MAX_POINTS];
        for (d, p) in excess.iter_mut().zip(&self.points) {
            *d = p.peer_delay - min_delay;
        }
        let excess = &excess[..x.len().min(MAX_POINTS)];
        if self.config.asymmetry.abs() <= MAX_ASYMMETRY {
            self.asymmetry = self.config.asymmetry;
        } else if !self.estimate_asymmetry(x, excess, y) {
            return;
        }
        for (y, d) in y.iter_mut().zip(excess) {
            *y -= self.asymmetry * d;
        }
    }

    /// True if the estimate is to be used.
    fn estimate_asymmetry(&mut self, x: &[f64], excess: &[f64], y: &[f64]) -> bool {
        let estimate = second_slope(x, excess, y).filter(|a| a * f64::from(self.asymmetry_run) >= 0.0);
        let Some(a) = estimate else {
            (self.asymmetry, self.asymmetry_run) = (0.0, 0);
            return false;
        };
        if a <= -ASYMMETRIC {
            self.asymmetry_run = (self.asymmetry_run - 1).max(-MAX_ASYMMETRY_RUN);
        } else if a >= ASYMMETRIC {
            self.asymmetry_run = (self.asymmetry_run + 1).min(MAX_ASYMMETRY_RUN);
        }
        if self.asymmetry_run.abs() < ASYMMETRY_RUNS {
            return false;
        }
        self.asymmetry = a.clamp(-MAX_ASYMMETRY, MAX_ASYMMETRY);
        true
    }

    fn find_best(&mut self, newest: Cooked) {
        let skew = self.skew;
        let mut best = (0, f64::INFINITY);
        for (i, p) in self.active().enumerate() {
            let distance = p.root_dispersion + (newest - p.time) * skew + 0.5 * p.root_delay;
            if distance < best.1 {
                best = (i, distance);
            }
        }
        self.best = best.0;
    }
}
