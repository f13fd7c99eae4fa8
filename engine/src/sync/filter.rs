//! The filter that makes one sample of several (`spec/sync.md` 3.2): option `filter` of NTP sources, and all
//! reference clocks.

use super::kernel::{Change, ChangeKind};
use super::regression::{chi_squared, weighted_line};
use super::sample::Sample;
use crate::time::SlowBy;
use std::collections::VecDeque;

/// Degrees of freedom after which the average variance forgets.
const FORGETTING: usize = 50;
const MIN_VARIANCE: f64 = 1e-20;

/// Settings of a filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FilterConfig {
    /// Fewest samples for an output.
    pub min_samples: usize,
    /// Most samples kept, 1 to 256; the oldest go.
    pub max_samples: usize,
    /// Largest dispersion of an output, s; 0 or less is no limit.
    pub max_dispersion: f64,
    /// Part of the samples around the median that is combined.
    pub combine_ratio: f64,
    /// Precision of the local clock, s.
    pub precision: f64,
}

impl FilterConfig {
    /// Option `filter` of an NTP source: the median of `samples`.
    #[must_use]
    pub fn ntp(samples: usize, precision: f64) -> Self {
        Self {
            min_samples: 1,
            max_samples: samples.clamp(1, 256),
            max_dispersion: 16.0,
            combine_ratio: 0.0,
            precision,
        }
    }

    /// A reference clock: options `filter` and `maxdispersion`.
    #[must_use]
    pub fn refclock(samples: usize, max_dispersion: f64, precision: f64) -> Self {
        Self {
            min_samples: 1,
            max_samples: samples.clamp(1, 256),
            max_dispersion,
            combine_ratio: 0.6,
            precision,
        }
    }
}

/// Samples waiting to be made one.
#[derive(Clone, Debug)]
pub struct SampleFilter {
    config: FilterConfig,
    samples: VecDeque<Sample>,
    /// Newest sample of an emptied filter.
    last: Option<Sample>,
    average_variance: f64,
    /// Degrees of freedom in the average.
    average_dof: usize,
}

/// Mean and scatter of the samples to be combined.
struct Combined {
    variance: f64,
    dispersion: f64,
    dof: usize,
}

impl SampleFilter {
    /// An empty filter.
    #[must_use]
    pub fn new(config: FilterConfig) -> Self {
        Self {
            config,
            samples: VecDeque::new(),
            last: None,
            average_variance: config.precision * config.precision,
            average_dof: 0,
        }
    }

    /// Number of samples waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// No sample is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The newest sample, also after it was used.
    #[must_use]
    pub fn last(&self) -> Option<&Sample> {
        self.samples.back().or(self.last.as_ref())
    }

    /// Average standard deviation of the samples, s.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        libm::sqrt(self.average_variance)
    }

    /// Takes a sample; false if it is not newer than the one before.
    pub fn accumulate(&mut self, sample: &Sample) -> bool {
        if self.samples.back().is_some_and(|last| last.time >= sample.time) {
            return false;
        }
        if self.samples.len() >= self.config.max_samples {
            self.samples.pop_front();
        }
        self.samples.push_back(*sample);
        true
    }

    /// Makes one sample of those waiting and empties the filter. `None` if there are too few or they scatter too
    /// much; they are kept then.
    pub fn take(&mut self) -> Option<Sample> {
        if self.samples.len() < self.config.min_samples.max(1) {
            return None;
        }
        let chosen = self.choose();
        let result = self.combine(&chosen)?;
        self.last = self.samples.back().copied();
        self.samples.clear();
        Some(result)
    }

    /// The samples around the median offset, in order of time.
    fn choose(&self) -> Vec<Sample> {
        let mut chosen: Vec<Sample> = self.samples.iter().copied().collect();
        if chosen.len() > 4 {
            let limit = 1.5
                * chosen
                    .iter()
                    .map(|s| s.peer_dispersion)
                    .fold(f64::INFINITY, f64::min);
            if chosen.iter().filter(|s| s.peer_dispersion <= limit).count() >= 4 {
                chosen.retain(|s| s.peer_dispersion <= limit);
            }
        }
        chosen.sort_by(|a, b| a.offset.0.total_cmp(&b.offset.0));
        let n = chosen.len();
        if n > 2 {
            let wanted = (n as f64 * (1.0 - self.config.combine_ratio) / 2.0) as usize;
            // Lower bound last: it wins when the bounds cross.
            let from = wanted.min((n - 1) / 2).max(1);
            chosen = chosen.drain(from..n - from).collect();
        }
        chosen.sort_by_key(|s| s.time);
        chosen
    }

    fn combine(&mut self, chosen: &[Sample]) -> Option<Sample> {
        let last = chosen.last()?.time;
        let mean = |of: &dyn Fn(&Sample) -> f64| chosen.iter().map(of).sum::<f64>() / chosen.len() as f64;
        let mean_x = mean(&|s| s.time - last);
        let mean_y = mean(&|s| s.offset.0);
        let mut scatter = self.scatter(chosen, mean_x, mean_y)?;
        if scatter.variance < MIN_VARIANCE {
            scatter.variance = MIN_VARIANCE;
            scatter.dispersion = libm::sqrt(MIN_VARIANCE);
        }
        let limit = self.config.max_dispersion;
        if limit > 0.0 && scatter.variance > limit * limit {
            return None;
        }
        let expected = self.average(&scatter);
        let mut dispersion = scatter.dispersion;
        if scatter.variance * scatter.dof as f64 / chi_squared(scatter.dof) < expected {
            // A lucky set: trust the average instead.
            dispersion = libm::sqrt(self.average_variance) * dispersion / libm::sqrt(scatter.variance);
        }
        Some(Sample {
            time: last.plus(mean_x),
            offset: SlowBy(mean_y),
            peer_delay: mean(&|s| s.peer_delay),
            peer_dispersion: dispersion.max(mean(&|s| s.peer_dispersion)),
            root_delay: mean(&|s| s.root_delay),
            root_dispersion: dispersion.max(mean(&|s| s.root_dispersion)),
        })
    }

    fn scatter(&self, chosen: &[Sample], mean_x: f64, mean_y: f64) -> Option<Combined> {
        let n = chosen.len();
        let last = chosen.last()?.time;
        if n >= 4 {
            let column = |of: &dyn Fn(&Sample) -> f64| chosen.iter().map(of).collect::<Vec<_>>();
            let x = column(&|s| (s.time - last) - mean_x);
            let y = column(&|s| s.offset.0);
            let w = column(&|s| s.peer_dispersion);
            let line = weighted_line(&x, &y, &w)?;
            return Some(Combined {
                variance: line.variance,
                dispersion: line.intercept_sd,
                dof: line.dof,
            });
        }
        if n >= 2 {
            let squares: f64 = chosen
                .iter()
                .map(|s| (s.offset.0 - mean_y) * (s.offset.0 - mean_y))
                .sum();
            let variance = squares / (n - 1) as f64;
            return Some(Combined {
                variance,
                dispersion: libm::sqrt(variance),
                dof: n - 1,
            });
        }
        let variance = self.average_variance;
        Some(Combined {
            variance,
            dispersion: libm::sqrt(variance),
            dof: 1,
        })
    }

    /// Takes the variance into the average and returns the one before (the new one at the first time).
    fn average(&mut self, scatter: &Combined) -> f64 {
        let previous = self.average_variance;
        let dof = scatter.dof;
        if self.average_dof > FORGETTING {
            let share = dof as f64 / (dof + FORGETTING) as f64;
            self.average_variance += share * (scatter.variance - self.average_variance);
            return previous;
        }
        let first = self.average_dof == 0;
        self.average_variance = (self.average_variance * self.average_dof as f64
            + scatter.variance * dof as f64)
            / (self.average_dof + dof) as f64;
        self.average_dof += dof;
        if first { self.average_variance } else { previous }
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.samples.clear();
        self.last = None;
    }

    /// The clock was changed (`spec/sync.md` 0.2).
    pub fn announce(&mut self, change: &Change) {
        if change.kind == ChangeKind::UnknownStep {
            self.clear();
            return;
        }
        for sample in self.samples.iter_mut().chain(&mut self.last) {
            let (time, delta) = sample.time.adjusted(change.cooked, change.dfreq, change.by.0);
            sample.time = time;
            sample.offset.0 -= delta;
        }
    }

    /// Adds `dispersion` (s) to all samples waiting.
    pub fn add_dispersion(&mut self, dispersion: f64) {
        for sample in &mut self.samples {
            sample.peer_dispersion += dispersion;
            sample.root_dispersion += dispersion;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Cooked, FastBy, Raw};

    fn sample(t: f64, offset: f64, dispersion: f64) -> Sample {
        Sample {
            time: Cooked::new(1_800_000_000, 0).plus(t),
            offset: SlowBy(offset),
            peer_delay: 1e-3,
            peer_dispersion: dispersion,
            root_delay: 2e-3,
            root_dispersion: dispersion,
        }
    }

    fn time_of(sample: &Sample) -> f64 {
        sample.time - Cooked::new(1_800_000_000, 0)
    }

    #[test]
    fn example_22_median_of_five() {
        let mut filter = SampleFilter::new(FilterConfig::ntp(5, 1e-6));
        for (i, offset) in [5e-6, 1e-6, 9e-6, 3e-6, 4e-6].into_iter().enumerate() {
            assert!(filter.accumulate(&sample(16.0 * i as f64, offset, 2e-6)));
        }
        let result = filter.take().expect("five samples");
        assert_eq!(time_of(&result), 64.0);
        assert!((result.offset.0 - 4e-6).abs() < 1e-12 && (result.peer_dispersion - 2e-6).abs() < 1e-12);
        assert!(filter.is_empty() && filter.last().is_some() && filter.take().is_none());

        for (i, offset) in [5e-6, 1e-6, 9e-6, 3e-6, -40e-6].into_iter().enumerate() {
            let dispersion = if i == 4 { 9e-6 } else { 2e-6 };
            assert!(filter.accumulate(&sample(16.0 * (i + 5) as f64, offset, dispersion)));
        }
        let result = filter.take().expect("five samples");
        assert!((time_of(&result) - 104.0).abs() < 1e-8);
        assert!((result.offset.0 - 4e-6).abs() < 1e-12);
        assert!(
            (filter.deviation() - 1.224745e-6).abs() < 1e-12,
            "{}",
            filter.deviation()
        );
    }

    #[test]
    fn example_23_reference_clock() {
        let fill = |max_dispersion| {
            let mut filter = SampleFilter::new(FilterConfig::refclock(16, max_dispersion, 1e-6));
            for i in 0..16_u32 {
                let offset = 1e-9 * f64::from((7 * i) % 16).powi(2);
                assert!(filter.accumulate(&sample(f64::from(i), offset, 1e-7)));
            }
            filter
        };
        let mut filter = fill(0.0);
        let result = filter.take().expect("enough samples");
        assert!((time_of(&result) - 7.7).abs() < 1e-8);
        assert!((result.offset.0 - 6.45e-8).abs() < 1e-14);
        assert!((result.peer_dispersion - 1e-7).abs() < 1e-13);
        assert!(
            (filter.deviation() - 4.850202e-8).abs() < 5e-14,
            "{}",
            filter.deviation()
        );
        assert_eq!(filter.average_dof, 8);

        let mut filter = fill(1e-9);
        assert_eq!(filter.take(), None);
        assert_eq!(filter.len(), 16);
    }

    #[test]
    fn samples_follow_the_clock_and_old_ones_are_refused() {
        let mut filter = SampleFilter::new(FilterConfig::ntp(3, 1e-6));
        assert!(filter.accumulate(&sample(10.0, 1e-3, 1e-6)));
        assert!(!filter.accumulate(&sample(10.0, 1e-3, 1e-6)));
        let mut change = Change {
            raw: Raw::new(1_800_000_460, 0),
            cooked: Cooked::new(1_800_000_460, 0),
            dfreq: 1e-6,
            by: FastBy(1e-3),
            kind: ChangeKind::Adjust,
        };
        filter.announce(&change);
        let last = filter.last().expect("a sample");
        assert!((last.offset.0 - 1.55e-3).abs() < 1e-12 && (time_of(last) - 9.99945).abs() < 1e-8);
        change.kind = ChangeKind::UnknownStep;
        filter.announce(&change);
        assert!(filter.is_empty() && filter.last().is_none());
    }
}
