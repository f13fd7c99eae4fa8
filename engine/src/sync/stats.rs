//! What the samples of one source say about the local clock (`spec/sync.md` section 2). Offsets and
//! frequencies in here are fast-positive; the sign of a sample is turned round when it is accumulated.

use super::kernel::{Change, ChangeKind};
use super::regression::{MAX_POINTS, MAX_SAMPLES};
use super::sample::Sample;
use crate::time::{Cooked, FastBy};
use std::collections::VecDeque;

mod estimate;
mod fit;
#[cfg(test)]
mod tests;

pub use estimate::{DelayTest, LastSample, SelectionData, StatsReport, TrackingData};

/// Bound of the frequency of a clock of which nothing is known (s/s).
pub const WORST_FREQUENCY: f64 = 0.002;
/// Standard deviation of samples of which nothing is known (s).
pub const WORST_STD_DEV: f64 = 4.0;
const MAX_ASYMMETRY_RUN: i32 = 1000;

/// Settings of one source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatsConfig {
    /// `minsamples`: fewer are not dropped by the runs test.
    pub min_samples: u32,
    /// `maxsamples`; 0 is no limit.
    pub max_samples: u32,
    /// `mindelay`: the known smallest delay, s; 0 or less: use the smallest that was measured.
    pub min_delay: f64,
    /// `asymmetry` of the network jitter, -0.5 to 0.5; anything else: estimate it.
    pub asymmetry: f64,
    /// Precision of the local clock, s (`spec/sync.md` 6.8).
    pub precision: f64,
}

impl Default for StatsConfig {
    fn default() -> Self {
        Self {
            min_samples: 6,
            max_samples: 0,
            min_delay: 0.0,
            asymmetry: 1.0,
            precision: 1e-6,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) time: Cooked,
    pub(super) offset: f64,
    pub(super) peer_delay: f64,
    /// As measured, for reports only.
    pub(super) original: f64,
    pub(super) peer_dispersion: f64,
    pub(super) root_delay: f64,
    pub(super) root_dispersion: f64,
}

/// What accumulating a sample did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accumulated {
    /// The sample was not newer than the last one: the history was discarded.
    pub out_of_order: bool,
    /// Details of the regression, if there was one.
    pub regression: Option<RegressionInfo>,
}

/// Details of a regression for the statistics log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionInfo {
    /// |old frequency - new| / old skew.
    pub stress: f64,
    /// Number of samples before old ones were dropped.
    pub samples: usize,
    /// Index of the first sample that was kept.
    pub best_start: usize,
}

/// Samples of one source and the line through them.
#[derive(Clone, Debug)]
pub struct SourceStats {
    config: StatsConfig,
    /// Active samples at the end, before them at most as many older ones for the runs test.
    points: VecDeque<Point>,
    /// Number of active samples.
    active: usize,
    /// Smallest delay of all points, s.
    smallest_delay: f64,
    regression_ok: bool,
    /// Index of the best single sample among the active ones.
    best: usize,
    runs: usize,
    freq: f64,
    freq_sd: f64,
    skew: f64,
    offset: f64,
    offset_sd: f64,
    offset_time: Cooked,
    std_dev: f64,
    asymmetry: f64,
    asymmetry_run: i32,
}

impl SourceStats {
    /// No samples yet.
    #[must_use]
    pub fn new(config: StatsConfig) -> Self {
        Self {
            config,
            points: VecDeque::new(),
            active: 0,
            smallest_delay: f64::INFINITY,
            regression_ok: false,
            best: 0,
            runs: 0,
            freq: 0.0,
            freq_sd: WORST_FREQUENCY,
            skew: WORST_FREQUENCY,
            offset: 0.0,
            offset_sd: WORST_STD_DEV,
            offset_time: Cooked::default(),
            std_dev: WORST_STD_DEV,
            asymmetry: 0.0,
            asymmetry_run: 0,
        }
    }

    /// Forgets everything (`spec/sync.md` 2.2).
    pub fn reset(&mut self) {
        let mut points = std::mem::take(&mut self.points);
        points.clear();
        *self = Self {
            points,
            ..Self::new(self.config)
        };
    }

    fn max_samples(&self) -> usize {
        match self.config.max_samples as usize {
            0 => MAX_SAMPLES,
            max => max.min(MAX_SAMPLES),
        }
    }

    fn min_samples(&self) -> usize {
        (self.config.min_samples as usize).clamp(1, self.max_samples())
    }

    /// Number of older points before the active samples.
    fn older(&self) -> usize {
        self.points.len() - self.active
    }

    pub(super) fn active(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.points.iter().skip(self.older())
    }

    fn newest(&self) -> Option<&Point> {
        self.points.back()
    }

    fn best(&self) -> Option<&Point> {
        self.points.get(self.older() + self.best)
    }

    /// Takes a sample and fits the line again (`spec/sync.md` 2.3, 2.4).
    pub fn accumulate(&mut self, sample: &Sample) -> Accumulated {
        if self.active > 0 && self.active >= self.max_samples() {
            self.prune(1);
        }
        let out_of_order = self.newest().is_some_and(|newest| newest.time >= sample.time);
        if out_of_order {
            self.reset();
        }
        let mut peer_delay = sample.peer_delay;
        if self.config.min_delay > 0.0 && peer_delay < self.config.min_delay {
            peer_delay = 2.0 * self.config.min_delay - peer_delay;
        }
        let offset = FastBy::from(sample.offset).0;
        self.push(Point {
            time: sample.time,
            offset,
            peer_delay,
            original: offset,
            peer_dispersion: sample.peer_dispersion,
            root_delay: sample.root_delay,
            root_dispersion: sample.root_dispersion,
        });
        Accumulated {
            out_of_order,
            regression: self.regress(),
        }
    }

    pub(super) fn push(&mut self, point: Point) {
        if self.points.capacity() == 0 {
            self.points.reserve_exact(MAX_POINTS);
        }
        self.smallest_delay = self.smallest_delay.min(point.peer_delay);
        self.points.push_back(point);
        self.active += 1;
    }

    /// The `k` oldest active samples stop being active.
    fn prune(&mut self, k: usize) {
        if k == 0 {
            return;
        }
        let older = self.older() + k;
        self.active -= k;
        let surplus = older.saturating_sub(self.active);
        self.points.drain(..surplus);
        self.smallest_delay = self
            .points
            .iter()
            .map(|p| p.peer_delay)
            .fold(f64::INFINITY, f64::min);
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.active
    }

    /// Effective `minsamples`.
    #[must_use]
    pub fn required_samples(&self) -> usize {
        self.min_samples()
    }

    /// Number of runs of residuals of the same sign.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// Standard deviation of the samples, s.
    #[must_use]
    pub fn std_dev(&self) -> f64 {
        self.std_dev
    }

    /// Skew, s/s.
    #[must_use]
    pub fn skew(&self) -> f64 {
        self.skew
    }

    /// Estimated or configured asymmetry of the jitter, -0.5 to 0.5; positive: on the way from the source.
    #[must_use]
    pub fn asymmetry(&self) -> f64 {
        self.asymmetry
    }

    pub(super) fn asymmetry_run(&self) -> i32 {
        self.asymmetry_run
    }

    pub(super) fn set_asymmetry_run(&mut self, run: i32) {
        self.asymmetry_run = run.clamp(-MAX_ASYMMETRY_RUN, MAX_ASYMMETRY_RUN);
    }

    /// Offset expected at `time`.
    #[must_use]
    pub fn predicted_offset(&self, time: Cooked) -> FastBy {
        if self.active < 3 {
            return FastBy(self.newest().map_or(0.0, |p| p.offset));
        }
        FastBy(self.offset + (time - self.offset_time) * self.freq)
    }

    /// Smallest round-trip delay, s; infinite without samples.
    #[must_use]
    pub fn min_delay(&self) -> f64 {
        if self.config.min_delay > 0.0 {
            self.config.min_delay
        } else {
            self.smallest_delay
        }
    }

    /// Half of the width of the range of possible frequencies (s/s), at most 0.002 (`spec/sync.md` 1.1).
    #[must_use]
    pub fn frequency_range_half_width(&self) -> f64 {
        self.skew.min(WORST_FREQUENCY)
    }

    /// Lowest and highest possible frequency (s/s, fast-positive).
    #[must_use]
    pub fn frequency_range(&self) -> (f64, f64) {
        if self.skew > WORST_FREQUENCY {
            return (-WORST_FREQUENCY, WORST_FREQUENCY);
        }
        (self.freq - self.skew, self.freq + self.skew)
    }

    /// What the delay tests need, once there are 6 samples.
    #[must_use]
    pub fn delay_test_data(&self, time: Cooked) -> Option<DelayTest> {
        let ago = time - self.offset_time;
        (self.active >= 6).then(|| DelayTest {
            ago,
            predicted: FastBy(self.offset + ago * self.freq),
            min_delay: self.min_delay(),
            skew: self.skew,
            std_dev: self.std_dev,
        })
    }

    /// What the selection needs; `None` without samples.
    #[must_use]
    pub fn selection_data(&self, now: Cooked) -> Option<SelectionData> {
        let (oldest, newest, best) = (self.points.get(self.older())?, self.newest()?, self.best()?);
        let elapsed = (now - best.time).abs();
        let offset = best.offset + elapsed * self.freq;
        let root_distance = 0.5 * best.root_delay + best.root_dispersion + elapsed * self.skew;
        // With `maxsamples` 1 or 2 there never are more.
        let enough = self.active < 3 && self.active == self.config.max_samples as usize;
        Some(SelectionData {
            root_distance,
            low: offset - root_distance,
            high: offset + root_distance,
            first_ago: now - oldest.time,
            last_ago: now - newest.time,
            std_dev: (self.regression_ok || !enough).then_some(self.std_dev),
            valid: self.regression_ok || enough,
        })
    }

    /// What the reference needs; `None` without samples.
    #[must_use]
    pub fn tracking_data(&self) -> Option<TrackingData> {
        let best = self.best()?;
        Some(TrackingData {
            ref_time: self.offset_time,
            offset: FastBy(self.offset),
            offset_sd: self.offset_sd,
            freq: self.freq,
            freq_sd: self.freq_sd,
            skew: self.skew,
            root_delay: best.root_delay,
            root_dispersion: best.root_dispersion
                + self.skew * (self.offset_time - best.time)
                + self.offset_sd,
        })
    }

    /// The clock was changed (`spec/sync.md` 2.6).
    pub fn announce(&mut self, change: &Change) {
        match change.kind {
            ChangeKind::UnknownStep => self.reset(),
            ChangeKind::Adjust | ChangeKind::Step => self.slew(change.cooked, change.dfreq, change.by.0),
        }
    }

    fn slew(&mut self, when: Cooked, dfreq: f64, doffset: f64) {
        if self.active == 0 {
            return;
        }
        for p in &mut self.points {
            let (time, delta) = p.time.adjusted(when, dfreq, doffset);
            p.time = time;
            p.offset += delta;
        }
        let (time, delta) = self.offset_time.adjusted(when, dfreq, doffset);
        self.offset_time = time;
        self.offset += delta;
        self.freq = (self.freq - dfreq) / (1.0 - dfreq);
    }

    /// Adds `dispersion` (s) to all active samples.
    pub fn add_dispersion(&mut self, dispersion: f64) {
        let older = self.older();
        for p in self.points.iter_mut().skip(older) {
            p.root_dispersion += dispersion;
            p.peer_dispersion += dispersion;
        }
    }

    /// Adds to all stored offsets: the source's time scale moved.
    pub fn shift_offsets(&mut self, by: FastBy) {
        for p in &mut self.points {
            p.offset += by.0;
        }
        self.offset += by.0;
    }

    /// Numbers for `sourcestats` at `now` (`spec/sync.md` 2.7).
    #[must_use]
    pub fn report(&self, now: Cooked) -> StatsReport {
        let mut report = StatsReport {
            samples: self.active,
            runs: self.runs,
            freq: self.freq,
            skew: self.skew,
            std_dev: self.std_dev,
            ..StatsReport::default()
        };
        if let (Some(best), Some(newest), Some(oldest)) =
            (self.best(), self.newest(), self.points.get(self.older()))
        {
            report.span = libm::round(newest.time - oldest.time);
            report.offset = FastBy(self.offset + (now - self.offset_time) * self.freq);
            report.offset_error =
                self.offset_sd + (now - best.time) * self.skew + 0.5 * best.root_delay + best.root_dispersion;
        }
        report
    }

    /// The newest sample for `sources`; `None` without samples (`spec/sync.md` 2.7).
    #[must_use]
    pub fn last_sample(&self) -> Option<LastSample> {
        self.newest().map(|p| LastSample {
            time: p.time,
            original: FastBy(p.original),
            adjusted: FastBy(p.offset),
            error: 0.5 * p.root_delay + p.root_dispersion,
        })
    }
}
