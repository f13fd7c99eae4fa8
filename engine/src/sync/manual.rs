//! Time entered by hand (`spec/sync.md` 8.3).

use super::clock::LocalClock;
use super::cx::Cx;
use super::kernel::{Change, ChangeKind};
use super::reference::Reference;
use super::regression::robust_regression;
use super::sample::Leap;
use super::update::Update;
use crate::event::{Event, clock::ClockEvent};
use crate::time::{Cooked, FastBy, Ppm};

const MAX_SAMPLES: usize = 16;
/// Shortest interval between two entries, s.
const MIN_INTERVAL: f64 = 1.0;
const TOLERANCE: f64 = 1e-8;
/// Skew of manual input: large, so that the first good source takes over at once.
const SKEW: f64 = 0.099_999_999;
/// "MANU"
const REFID: u32 = 0x4d41_4e55;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ManualSample {
    /// When it was made.
    pub when: Cooked,
    /// How fast the clock was, by today's clock.
    pub offset: FastBy,
    /// The same, as entered.
    pub original: FastBy,
    /// Distance from the line through all entries, s.
    pub residual: f64,
}

/// What an entry did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ManualReport {
    /// Offset at the entry by the line through all entries.
    pub offset: FastBy,
    /// Change of frequency that was made.
    pub dfreq: Ppm,
    /// Absolute frequency afterwards.
    pub frequency: Ppm,
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ManualError {
    /// Manual input is off.
    #[error("manual input is disabled")]
    Disabled,
    /// A time outside of the valid range.
    #[error("time is out of range")]
    Insane,
    /// Less than 1 s after the last entry.
    #[error("too early after the last entry")]
    TooEarly,
    /// There is no such entry.
    #[error("no such entry")]
    NoSample,
}

/// Entries of time by hand.
#[derive(Clone, Debug, Default)]
pub struct Manual {
    enabled: bool,
    samples: Vec<ManualSample>,
}

impl Manual {
    /// `enabled`: directive `manual`.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self {
            enabled,
            samples: Vec::new(),
        }
    }

    /// Commands `manual on` and `manual off`.
    pub fn enable(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// Command `manual reset`.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// All entries, oldest first.
    #[must_use]
    pub fn samples(&self) -> &[ManualSample] {
        &self.samples
    }

    /// Command `settime`: it is now `entered`.
    ///
    /// # Errors
    /// Disabled, out of range, or too early.
    pub fn enter(
        &mut self,
        cx: &mut Cx<'_>,
        clock: &mut LocalClock,
        reference: &mut Reference,
        entered: Cooked,
    ) -> Result<ManualReport, ManualError> {
        if !self.enabled {
            return Err(ManualError::Disabled);
        }
        if !clock.era().is_sane(entered, 0.0) {
            return Err(ManualError::Insane);
        }
        let now = clock.cook(cx.kernel.now().raw).0;
        if self
            .samples
            .last()
            .is_some_and(|last| now - last.when < MIN_INTERVAL)
        {
            return Err(ManualError::TooEarly);
        }
        if self.samples.len() >= MAX_SAMPLES {
            self.samples.remove(0);
        }
        let offset = FastBy(now - entered);
        self.samples.push(ManualSample {
            when: now,
            offset,
            original: offset,
            residual: 0.0,
        });
        Ok(self.estimate(cx, clock, reference, now, Some(offset)))
    }

    /// Command `manual delete`: forgets an entry and estimates anew.
    ///
    /// # Errors
    /// There is no such entry.
    pub fn delete(
        &mut self,
        cx: &mut Cx<'_>,
        clock: &mut LocalClock,
        reference: &mut Reference,
        index: usize,
    ) -> Result<ManualReport, ManualError> {
        if index >= self.samples.len() {
            return Err(ManualError::NoSample);
        }
        self.samples.remove(index);
        let now = clock.cook(cx.kernel.now().raw).0;
        Ok(self.estimate(cx, clock, reference, now, None))
    }

    fn estimate(
        &mut self,
        cx: &mut Cx<'_>,
        clock: &mut LocalClock,
        reference: &mut Reference,
        now: Cooked,
        entered: Option<FastBy>,
    ) -> ManualReport {
        let newest = self.samples.last().map_or(now, |sample| sample.when);
        let ages: Vec<f64> = self.samples.iter().map(|sample| newest - sample.when).collect();
        let offsets: Vec<f64> = self.samples.iter().map(|sample| sample.offset.0).collect();
        let line = robust_regression(&ages, &offsets, TOLERANCE);
        let fallback = entered.unwrap_or_default().0;
        let (intercept, slope) = line.map_or((fallback, 0.0), |line| (line.intercept, line.slope));
        for (sample, age) in self.samples.iter_mut().zip(ages) {
            sample.residual = sample.offset.0 - (intercept + age * slope);
        }

        // Age goes backwards.
        let freq = -slope;
        let offset = entered.unwrap_or(FastBy(intercept));
        cx.out.events.push(Event::Clock(if line.is_some() {
            ClockEvent::ManualFrequency(1e6 * freq, offset)
        } else {
            ClockEvent::ManualSlew(offset)
        }));
        let update = Update {
            stratum: 0,
            leap: Leap::Unsynchronised,
            combined: 1,
            refid: REFID,
            address: None,
            ref_time: now,
            offset,
            offset_sd: 0.0,
            freq,
            freq_sd: SKEW,
            skew: SKEW,
            root_delay: 0.0,
            root_dispersion: 0.0,
        };
        reference.update(cx, clock, &update);
        ManualReport {
            offset: FastBy(intercept),
            dfreq: Ppm(1e6 * freq),
            frequency: clock.absolute_frequency(),
        }
    }

    /// The clock was changed.
    pub(super) fn announce(&mut self, change: &Change) {
        if change.kind == ChangeKind::UnknownStep {
            self.samples.clear();
        }
        for sample in &mut self.samples {
            let (when, delta) = sample.when.adjusted(change.cooked, change.dfreq, change.by.0);
            sample.when = when;
            sample.offset.0 += delta;
        }
    }
}
