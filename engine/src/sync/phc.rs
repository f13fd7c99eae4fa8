//! Tracking of the hardware clock of a network card, so that its timestamps become ours (`spec/ntp.md` section 6.7).

use super::clock::LocalClock;
use super::kernel::{Change, ChangeKind};
use super::quantile::DelayQuantile;
use super::regression::robust_regression;
use crate::random::Random;
use crate::time::{Cooked, PhcReading, PhcTime, Raw};

/// Readings are taken around the first and second tenth of the delays.
const QUANTILES: [f64; 2] = [0.1, 0.2];
const QUANTILE_STEP: f64 = 1e-9;
const LARGE_STEP_DELAY: f64 = 1000.0;
/// Readings with delays that are this far outside of the quantiles still count, s.
const QUANTILE_MARGIN: f64 = 0.5e-9;
/// Tolerance of the fitted slope.
const TOLERANCE: f64 = 1e-10;
/// Frequencies further from 1 are no clock's.
const MAX_FREQUENCY_ERROR: f64 = 2.0 / 3.0;

/// How a clock is to be tracked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhcParams {
    /// Samples kept at least, 2 to 64.
    pub min_samples: usize,
    /// Samples kept at most, 2 to 64.
    pub max_samples: usize,
    /// Smallest error of a sample, s.
    pub precision: f64,
    /// Expected distance of samples, s; those much closer start the tracking again.
    pub separation: f64,
}

/// One sample: both clocks at the same moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sample {
    phc: PhcTime,
    local: Raw,
    /// s
    error: f64,
}

/// The newest sample, in cooked time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Last {
    phc: PhcTime,
    local: Cooked,
    error: f64,
}

/// Speed of the card's clock and what it is ahead of the newest sample, s.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    frequency: f64,
    offset: f64,
}

/// How the clock of a card and cooked time belong together, as known now. Good until the next reading or change of the
/// local clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relation {
    last: Last,
    line: Line,
}

impl Relation {
    /// Cooked time at a time of the card, and its error, s.
    #[must_use]
    pub fn cooked(&self, phc: PhcTime) -> (Cooked, f64) {
        let Self { last, line } = self;
        let elapsed = (phc - last.phc) / line.frequency - line.offset;
        (last.local.plus(elapsed), last.error)
    }
}

/// Finds out the relation between the clock of a card and cooked time.
#[derive(Clone, Debug)]
pub struct PhcTracker {
    params: PhcParams,
    quantiles: [DelayQuantile; 2],
    /// Samples, oldest first, as intervals (s) to the newest: local clock, card.
    local: Vec<f64>,
    phc: Vec<f64>,
    last: Option<Last>,
    line: Option<Line>,
}

impl PhcTracker {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(params: PhcParams) -> Self {
        Self {
            params,
            quantiles: QUANTILES.map(|p| DelayQuantile::with(p, QUANTILE_STEP, LARGE_STEP_DELAY)),
            local: Vec::new(),
            phc: Vec::new(),
            last: None,
            line: None,
        }
    }

    /// What is known; none: not enough yet.
    #[must_use]
    pub fn relation(&self) -> Option<Relation> {
        let (last, line) = (self.last?, self.line?);
        Some(Relation { last, line })
    }

    /// Takes the readings of one batch. False if they say nothing new.
    pub fn accumulate(
        &mut self,
        readings: &[PhcReading],
        clock: &LocalClock,
        random: &mut dyn Random,
    ) -> bool {
        let Some(sample) = self.reduce(readings, clock, random) else {
            return false;
        };
        self.add(sample, clock);
        true
    }

    /// Makes one sample of a batch of readings.
    fn reduce(
        &mut self,
        readings: &[PhcReading],
        clock: &LocalClock,
        random: &mut dyn Random,
    ) -> Option<Sample> {
        let (first, last) = (readings.first()?, readings.last()?);
        let length = last.after - first.before;
        let ratio = if length == 0.0 {
            1.0
        } else {
            (clock.cook(last.after).0 - clock.cook(first.before).0) / length
        };
        let delay = |reading: &PhcReading| ratio * (reading.after - reading.before);
        if readings.iter().any(|reading| delay(reading) < 0.0) {
            return None;
        }
        for reading in readings {
            for quantile in &mut self.quantiles {
                quantile.accumulate(delay(reading), random);
            }
        }
        let [low, high] = [0, 1].map(|i| self.quantiles[i].value());
        let (low, high) = (low - QUANTILE_MARGIN, high + QUANTILE_MARGIN);
        let low = low.min(high);
        let high = high.max(low + clock.precision());

        // Means, relative to the first reading.
        let (mut phc, mut local, mut delays, mut count) = (0.0, 0.0, 0.0, 0.0);
        let middle =
            |reading: &PhcReading| (reading.before - first.before) + (reading.after - reading.before) / 2.0;
        for reading in readings {
            let delay = delay(reading);
            if (low..=high).contains(&delay) {
                phc += reading.phc - first.phc;
                local += middle(reading);
                delays += delay;
                count += 1.0;
            }
        }
        let error = |delay: f64| (delay / 2.0).max(self.params.precision);
        if count > 0.0 {
            return Some(Sample {
                phc: first.phc.plus(phc / count),
                local: first.before.plus(local / count),
                error: error(delays / count),
            });
        }
        let best = readings.iter().min_by(|a, b| delay(a).total_cmp(&delay(b)))?;
        let sample = Sample {
            phc: best.phc,
            local: first.before.plus(middle(best)),
            error: error(delay(best)),
        };
        // One that only confirms what is known is not worth its error.
        let surprising = self
            .relation()
            .map(|relation| relation.cooked(sample.phc).0)
            .is_none_or(|predicted| clock.cook(sample.local).0 - predicted > sample.error);
        surprising.then_some(sample)
    }

    fn add(&mut self, sample: Sample, clock: &LocalClock) {
        let (local, cooking_error) = clock.cook(sample.local);
        let error = sample.error + cooking_error;
        let speed = 1.0 - clock.absolute_frequency().0 * 1e-6;
        if let Some(last) = self.last {
            let phc_delta = sample.phc - last.phc;
            let local_delta = (local - last.local) / speed;
            if phc_delta <= 0.0 || local_delta < self.params.separation / 2.0 {
                self.reset();
            }
            self.local.iter_mut().for_each(|x| *x -= local_delta);
            self.phc.iter_mut().for_each(|y| *y -= phc_delta);
        }
        if self.local.len() >= self.params.max_samples {
            self.local.remove(0);
            self.phc.remove(0);
        }
        self.local.push(0.0);
        self.phc.push(0.0);
        self.last = Some(Last {
            phc: sample.phc,
            local,
            error,
        });
        let Some(fit) = robust_regression(&self.local, &self.phc, TOLERANCE) else {
            self.line = None;
            return;
        };
        let frequency = fit.slope / speed;
        self.line = Some(Line {
            frequency,
            offset: fit.intercept,
        });
        let old = fit
            .start
            .min(self.local.len().saturating_sub(self.params.min_samples));
        self.local.drain(..old);
        self.phc.drain(..old);
        if fit.intercept.abs() > error || (frequency - 1.0).abs() > MAX_FREQUENCY_ERROR {
            self.reset();
        }
    }

    /// Drops everything but what is known about delays.
    fn reset(&mut self) {
        self.local.clear();
        self.phc.clear();
        self.last = None;
        self.line = None;
    }

    /// The local clock was changed.
    pub fn announce(&mut self, change: &Change) {
        if change.kind == ChangeKind::UnknownStep {
            self.reset();
            return;
        }
        if let Some(last) = &mut self.last {
            last.local = last.local.adjusted(change.cooked, change.dfreq, change.by.0).0;
        }
        if let Some(line) = &mut self.line {
            line.frequency /= 1.0 - change.dfreq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClockConfig;
    use crate::random::Seeded;
    use crate::sync::testing::World;
    use crate::time::FastBy;

    const PARAMS: PhcParams = PhcParams {
        min_samples: 2,
        max_samples: 16,
        precision: 100e-9,
        separation: 1.0,
    };

    /// A card whose clock is 37 s ahead and runs fast by 20 ppm, read 25 times at a time.
    struct Card {
        world: World,
        clock: LocalClock,
        tracker: PhcTracker,
        random: Seeded,
        /// s, of all readings
        offset: f64,
        /// Delay (s) of a reading, by its number.
        delay: fn(usize) -> f64,
        elapsed: f64,
    }

    fn start() -> Raw {
        Raw::new(crate::sync::testing::START, 0)
    }

    impl Card {
        fn new(params: PhcParams) -> Self {
            let mut world = World::new(0.0);
            let clock = world.clock(&ClockConfig::default());
            Self {
                world,
                clock,
                tracker: PhcTracker::new(params),
                random: Seeded::new(1),
                offset: 37.0,
                delay: |_| 1e-6,
                elapsed: 0.0,
            }
        }

        fn phc(&self, local: Raw) -> PhcTime {
            let since = local - start();
            PhcTime::new(crate::sync::testing::START, 0)
                .plus(self.offset)
                .plus(since)
                .plus(20e-6 * since)
        }

        fn read(&mut self) -> bool {
            let mut readings = Vec::new();
            let mut at = start().plus(self.elapsed);
            for i in 0..25 {
                let delay = (self.delay)(i);
                readings.push(PhcReading {
                    before: at,
                    phc: self.phc(at.plus(delay / 2.0)),
                    after: at.plus(delay),
                });
                at = at.plus(delay + 1e-6);
            }
            self.tracker.accumulate(&readings, &self.clock, &mut self.random)
        }

        /// Reads every second.
        fn run(&mut self, count: usize) {
            for _ in 0..count {
                assert!(self.read());
                self.elapsed += 1.0;
            }
        }

        /// By how much the tracking is wrong now, s.
        fn error(&self) -> Option<f64> {
            let local = start().plus(self.elapsed);
            let (cooked, error) = self.tracker.relation()?.cooked(self.phc(local));
            assert!(error >= self.tracker.params.precision);
            Some(cooked - self.clock.cook(local).0)
        }
    }

    #[test]
    fn a_line_through_two_samples_is_enough() {
        let mut card = Card::new(PARAMS);
        assert_eq!(card.error(), None);
        card.run(1);
        assert_eq!(card.error(), None);
        card.run(1);
        assert!(card.error().unwrap().abs() < 50e-9, "{:?}", card.error());
        card.run(30);
        assert!(card.error().unwrap().abs() < 10e-9, "{:?}", card.error());
        let line = card.tracker.line.unwrap();
        assert!((line.frequency - 1.000_02).abs() < 1e-8, "{line:?}");
        assert!((2..=16).contains(&card.tracker.local.len()));
    }

    #[test]
    fn readings_that_took_long_do_not_count() {
        let mut card = Card::new(PARAMS);
        // Two of three are late on one side: their middle is wrong by 5 us.
        card.delay = |i| if i % 3 == 0 { 1e-6 } else { 11e-6 };
        card.run(20);
        let error = card.error().unwrap();
        assert!(error.abs() < 50e-9, "{error}");
        assert!((card.tracker.last.unwrap().error - 500e-9).abs() < 20e-9);
    }

    #[test]
    fn a_clock_that_was_set_is_tracked_anew() {
        let mut card = Card::new(PARAMS);
        card.run(10);
        // Ahead: the line does not fit any more.
        card.offset += 1e-3;
        card.run(1);
        assert_eq!((card.tracker.local.len(), card.error()), (0, None));
        card.run(3);
        assert!(card.error().unwrap().abs() < 50e-9);
        // Back: time never runs backwards.
        card.offset -= 10.0;
        card.run(1);
        assert_eq!((card.tracker.local.len(), card.error()), (1, None));
        card.run(2);
        assert!(card.error().unwrap().abs() < 50e-9);
        // Within the tolerated error it goes on.
        card.tracker.params.precision = 1e-3;
        card.run(3);
        card.offset += 5e-4;
        card.run(1);
        assert!(card.tracker.local.len() >= 3);
    }

    #[test]
    fn samples_too_close_together_start_again() {
        let mut card = Card::new(PARAMS);
        card.run(5);
        card.elapsed -= 0.6;
        assert!(card.read());
        assert_eq!(card.tracker.local.len(), 1);
    }

    #[test]
    fn negative_delays_and_confirmations_are_no_samples() {
        let mut card = Card::new(PARAMS);
        card.run(5);
        card.delay = |i| if i == 7 { -1e-6 } else { 1e-6 };
        assert!(!card.read());
        // All of them are slower than the quantiles, and as expected.
        card.delay = |_| 100e-6;
        assert!(!card.read());
        // Unless the clock has moved, in the direction that says so.
        card.offset -= 1e-3;
        assert!(card.read());
    }

    #[test]
    fn one_exact_reading_is_a_sample() {
        let mut card = Card::new(PARAMS);
        for _ in 0..5 {
            let at = start().plus(card.elapsed);
            let reading = PhcReading {
                before: at,
                phc: card.phc(at),
                after: at,
            };
            assert!(card.tracker.accumulate(&[reading], &card.clock, &mut card.random));
            card.elapsed += 1.0;
        }
        assert!(card.error().unwrap().abs() < 5e-9);
        assert!(!card.tracker.accumulate(&[], &card.clock, &mut card.random));
    }

    #[test]
    fn changes_of_the_clock_are_followed() {
        let mut card = Card::new(PARAMS);
        card.run(8);
        let now = start().plus(card.elapsed);
        let (before, _) = card.tracker.relation().unwrap().cooked(card.phc(now));
        let cooked = Cooked::new(now.sec(), now.nsec());
        let change = |kind, dfreq, by| Change {
            raw: now,
            cooked,
            dfreq,
            by: FastBy(by),
            kind,
        };
        card.tracker.announce(&change(ChangeKind::Adjust, 0.0, 0.125));
        let (after, _) = card.tracker.relation().unwrap().cooked(card.phc(now));
        assert!((after - before + 0.125).abs() < 2e-9);
        // The clock runs slower by 10 ppm from now on: so do cooked times of the card's.
        card.tracker.announce(&change(ChangeKind::Adjust, 10e-6, 0.0));
        let span = |card: &Card| {
            let at = |s: f64| card.tracker.relation().unwrap().cooked(card.phc(now.plus(s))).0;
            at(100.0) - at(0.0)
        };
        assert!(
            (span(&card) - 100.0 * (1.0 - 10e-6)).abs() < 1e-6,
            "{}",
            span(&card)
        );
        card.tracker.announce(&change(ChangeKind::UnknownStep, 0.0, 0.0));
        assert_eq!(card.tracker.relation(), None);
        assert!(card.world.out.events.is_empty());
    }
}
