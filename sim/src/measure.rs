//! Figures of merit of a simulated clock.

/// A change of the error within a second that can only be a step, s.
pub const STEP: f64 = 0.2;

/// Collects the error of a clock once a second and condenses it.
#[derive(Clone, Debug, Default)]
pub struct ErrorMeter {
    from: i64,
    seconds: u64,
    sum_time: f64,
    sum_frequency: f64,
    steps: u64,
    max_time: f64,
    last: Option<f64>,
    threshold: f64,
    last_beyond: i64,
}

impl ErrorMeter {
    /// Counts from true second `from` on; convergence is to `threshold` s.
    #[must_use]
    pub fn new(from: i64, threshold: f64) -> Self {
        Self {
            from,
            threshold,
            ..Self::default()
        }
    }

    /// The clock's error (s) at a whole true second.
    pub fn add(&mut self, second: i64, error: f64) {
        if error.abs() > self.threshold {
            self.last_beyond = second;
        }
        if second >= self.from {
            self.seconds += 1;
            self.sum_time += error * error;
            self.max_time = self.max_time.max(error.abs());
            if let Some(last) = self.last {
                let frequency = error - last;
                // No slew is as fast as this.
                if frequency.abs() < STEP {
                    self.sum_frequency += frequency * frequency;
                } else {
                    self.steps += 1;
                }
            }
        }
        self.last = Some(error);
    }

    /// Root mean square of the time error, s.
    #[must_use]
    pub fn rms_time(&self) -> f64 {
        libm::sqrt(self.sum_time / self.seconds.max(1) as f64)
    }

    /// Root mean square of the frequency error, s/s, from second to second; steps don't count.
    #[must_use]
    pub fn rms_frequency(&self) -> f64 {
        let seconds = self.seconds - self.steps;
        libm::sqrt(self.sum_frequency / seconds.max(1) as f64)
    }

    /// Largest time error, s.
    #[must_use]
    pub fn max_time(&self) -> f64 {
        self.max_time
    }

    /// First second from which on the error stayed below the threshold.
    #[must_use]
    pub fn converged_at(&self) -> i64 {
        self.last_beyond + 1
    }
}

/// Value below which the part `p` (0 to 1) of the values lies, interpolated; 0 of none.
#[must_use]
pub fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = p.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let below = at as usize;
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(low), Some(high)) => low + (at - below as f64) * (high - low),
        (Some(only), None) => *only,
        _ => 0.0,
    }
}

/// Middle value; of an even number the mean of the two middle ones; 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}
