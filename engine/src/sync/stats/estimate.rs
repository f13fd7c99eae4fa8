//! What is asked of the statistics of a source (`spec/sync.md` 2.5, 2.7).

use crate::time::{Cooked, FastBy};

/// Input of the delay tests B and C (`spec/sync.md` 3.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DelayTest {
    /// Seconds since the estimate.
    pub ago: f64,
    /// Offset expected at the asked time.
    pub predicted: FastBy,
    /// Smallest delay, s.
    pub min_delay: f64,
    /// Skew, s/s.
    pub skew: f64,
    /// Standard deviation of the samples, s.
    pub std_dev: f64,
}

/// Input of the selection (`spec/sync.md` 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelectionData {
    /// Largest possible error, s.
    pub root_distance: f64,
    /// Lower end of the interval of the true offset, s, fast-positive.
    pub low: f64,
    /// Higher end of the interval of the true offset, s, fast-positive.
    pub high: f64,
    /// Age of the oldest sample, s.
    pub first_ago: f64,
    /// Age of the newest sample, s.
    pub last_ago: f64,
    /// Standard deviation of the samples, s; `None`: too few samples, but no more are allowed.
    pub std_dev: Option<f64>,
    /// The source may be selected.
    pub valid: bool,
}

/// What the reference gets from the selected source (`spec/sync.md` 2.5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingData {
    /// Time to which the offset refers.
    pub ref_time: Cooked,
    /// Offset.
    pub offset: FastBy,
    /// Its standard deviation, s.
    pub offset_sd: f64,
    /// Frequency, s/s, positive: fast.
    pub freq: f64,
    /// Its standard deviation, s/s.
    pub freq_sd: f64,
    /// Skew, s/s.
    pub skew: f64,
    /// Root delay, s.
    pub root_delay: f64,
    /// Root dispersion, s.
    pub root_dispersion: f64,
}

/// Numbers of `sourcestats`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StatsReport {
    /// Number of samples.
    pub samples: usize,
    /// Number of runs.
    pub runs: usize,
    /// Time between oldest and newest sample, whole s.
    pub span: f64,
    /// Residual frequency, s/s, positive: fast.
    pub freq: f64,
    /// Skew, s/s.
    pub skew: f64,
    /// Standard deviation of the samples, s.
    pub std_dev: f64,
    /// Estimated offset now.
    pub offset: FastBy,
    /// Its largest error, s.
    pub offset_error: f64,
}

/// The newest sample of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastSample {
    /// When.
    pub time: Cooked,
    /// Offset as measured.
    pub original: FastBy,
    /// Offset as it would be measured with the clock as it is now.
    pub adjusted: FastBy,
    /// Half of the root delay and the root dispersion, s.
    pub error: f64,
}
