//! Smoothing of served time (`spec/sync.md` 8.1): clients see neither a step nor a large change of
//! frequency, but an offset that goes to zero with limited frequency and wander.

use super::cx::Outbox;
use super::kernel::{Change, ChangeKind};
use crate::config::SmoothTime;
use crate::event::{Event, clock::ClockEvent};
use crate::time::{Cooked, Ppm};

/// Smoothing starts by itself when our skew could be smoothed away within this time, s.
const UNLOCK_TIME: f64 = 10_000.0;

/// A piece of constant wander.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stage {
    /// s/s per s
    wander: f64,
    /// s
    length: f64,
}

/// Offset between served and our own time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smooth {
    /// s/s
    max_freq: f64,
    /// s/s per s
    max_wander: f64,
    leap_only: bool,
    locked: bool,
    /// s, at `at`; positive: served time is ahead.
    offset: f64,
    /// By how much the offset shrinks, s/s.
    freq: f64,
    at: Cooked,
    stages: [Stage; 3],
}

/// The `smoothing` report, in the signs of the protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmoothingReport {
    /// Smoothing is going on.
    pub active: bool,
    /// Leap seconds only.
    pub leap_only: bool,
    /// Served minus own time, s.
    pub offset: f64,
    /// Frequency of the offset.
    pub frequency: Ppm,
    /// Wander of the offset, ppm/s.
    pub wander: f64,
    /// Time since the last change, s.
    pub last_update: f64,
    /// Time until the offset is zero, s.
    pub remaining: f64,
}

impl Smooth {
    /// `None` if the directive disables it.
    #[must_use]
    pub fn new(config: SmoothTime) -> Option<Self> {
        (config.max_freq > 0.0 && config.max_wander > 0.0).then(|| Self {
            max_freq: 1e-6 * config.max_freq,
            max_wander: 1e-6 * config.max_wander,
            leap_only: config.leap_only,
            locked: true,
            offset: 0.0,
            freq: 0.0,
            at: Cooked::default(),
            stages: [Stage::default(); 3],
        })
    }

    /// Served minus own time (s) at `at`.
    #[must_use]
    pub fn offset(&self, at: Cooked) -> f64 {
        self.evaluate(at).0
    }

    /// Starts smoothing (command `smoothing activate`), if it has not begun yet.
    pub fn activate(&mut self, out: &mut Outbox, now: Cooked) {
        if self.locked {
            out.events
                .push(Event::Clock(ClockEvent::SmoothingActivated(self.leap_only)));
            self.locked = false;
            self.at = now;
        }
    }

    /// Starts anew from zero: command `smoothing reset`, and after each step of our own.
    pub fn reset(&mut self, out: &mut Outbox, now: Cooked) {
        (self.offset, self.freq, self.at) = (0.0, 0.0, now);
        self.stages = [Stage::default(); 3];
        out.events.push(Event::Clock(ClockEvent::SmoothingReset));
    }

    /// The clock was changed. `skew`: ours, s/s.
    pub(super) fn announce(&mut self, out: &mut Outbox, skew: f64, change: &Change) {
        if change.kind == ChangeKind::Adjust {
            let (dfreq, doffset) = if self.leap_only {
                (0.0, 0.0)
            } else {
                (change.dfreq, change.by.0)
            };
            self.accumulate(out, skew, change.cooked, doffset, dfreq);
        }
        self.at = self.at.adjusted(change.cooked, change.dfreq, change.by.0).0;
    }

    /// A leap second (1 inserted, -1 deleted) starts.
    pub(super) fn leap(&mut self, out: &mut Outbox, skew: f64, now: Cooked, leap: i8) {
        if self.leap_only {
            self.accumulate(out, skew, now, f64::from(leap), 0.0);
        }
    }

    fn accumulate(&mut self, out: &mut Outbox, skew: f64, now: Cooked, doffset: f64, dfreq: f64) {
        if self.locked {
            if self.leap_only || skew / self.max_wander < UNLOCK_TIME {
                self.activate(out, now);
            }
            return;
        }
        let (offset, freq, _) = self.evaluate(now);
        self.offset = offset + doffset;
        self.freq = (freq - dfreq) / (1.0 - dfreq);
        self.at = now;
        self.plan();
    }

    /// Offset, frequency and wander at `at`.
    fn evaluate(&self, at: Cooked) -> (f64, f64, f64) {
        let mut left = at - self.at;
        let (mut offset, mut freq, mut wander) = (self.offset, self.freq, 0.0);
        for stage in self.stages {
            if left <= 0.0 {
                break;
            }
            let length = stage.length.min(left);
            offset -= length * (2.0 * freq + stage.wander * length) / 2.0;
            freq += stage.wander * length;
            wander = stage.wander;
            left -= length;
        }
        if left > 0.0 {
            offset -= left * freq;
            wander = 0.0;
        }
        (offset, freq, wander)
    }

    /// Accelerates, keeps the frequency, decelerates, so that offset and frequency end at zero.
    fn plan(&mut self) {
        let (max_freq, max_wander) = (self.max_freq, self.max_wander);
        let own = self.freq * self.freq / (2.0 * max_wander * max_wander);
        let lengths = |dir: f64| {
            let (mut square, mut error) = (dir * self.offset / max_wander + own, 0.0);
            if square < 0.0 {
                error = -square;
                square = 0.0;
            }
            let last = libm::sqrt(square);
            let mut first = last - dir * self.freq / max_wander;
            if first < 0.0 {
                error += first * first;
                first = 0.0;
            }
            (dir, first, last, error)
        };
        let (back, ahead) = (lengths(-1.0), lengths(1.0));
        let (dir, mut first, mut last, _) = if back.3 < ahead.3 { back } else { ahead };
        let mut middle = 0.0;
        let surplus = dir * self.freq + first * max_wander - max_freq;
        if surplus > 0.0 {
            let cut = surplus / max_wander;
            let (cut, top) = if cut > first {
                (first, dir * self.freq)
            } else {
                (cut, max_freq)
            };
            middle = cut * (2.0 + surplus / top);
            first -= cut;
            last -= cut;
        }
        self.stages = [
            Stage {
                wander: dir * max_wander,
                length: first,
            },
            Stage {
                wander: 0.0,
                length: middle,
            },
            Stage {
                wander: -dir * max_wander,
                length: last,
            },
        ];
    }

    /// The `smoothing` report at `now`.
    #[must_use]
    pub fn report(&self, now: Cooked) -> SmoothingReport {
        let (offset, freq, wander) = self.evaluate(now);
        let elapsed = now - self.at;
        let total: f64 = self.stages.iter().map(|stage| stage.length).sum();
        SmoothingReport {
            active: !self.locked,
            leap_only: self.leap_only,
            offset,
            frequency: Ppm(-1e6 * freq),
            wander: -1e6 * wander,
            last_update: elapsed,
            remaining: (total - elapsed).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::FastBy;

    fn smooth(max_freq: f64, max_wander: f64, leap_only: bool) -> Smooth {
        Smooth::new(SmoothTime {
            max_freq,
            max_wander,
            leap_only,
        })
        .unwrap()
    }

    fn planned(offset: f64, freq: f64, max_freq: f64, max_wander: f64) -> Smooth {
        let mut smooth = smooth(1e6 * max_freq, 1e6 * max_wander, false);
        (smooth.locked, smooth.offset, smooth.freq) = (false, offset, freq);
        smooth.plan();
        smooth
    }

    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance, "{a} is not {b} +- {tolerance}");
    }

    #[test]
    fn stages_are_those_of_example_46() {
        for (offset, freq, max_freq, dir, lengths) in [
            (1.0, 0.0, 400e-6, 1.0, [10_000.0, 0.0, 10_000.0]),
            (0.1, 50e-6, 400e-6, -1.0, [6_581.138_83, 0.0, 1_581.138_83]),
            (0.0, 50e-6, 400e-6, -1.0, [8_535.533_906, 0.0, 3_535.533_906]),
            (0.03, -100e-6, 20e-6, 1.0, [12_000.0, 24_500.0, 2000.0]),
        ] {
            let smooth = planned(offset, freq, max_freq, 1e-8);
            near(smooth.stages[0].wander, dir * 1e-8, 1e-20);
            for (stage, length) in smooth.stages.iter().zip(lengths) {
                near(stage.length, length, 1e-5);
            }
            let total: f64 = lengths.iter().sum();
            let (offset, freq, _) = smooth.evaluate(smooth.at.plus(total + 1.0));
            near(offset, 0.0, 1e-12);
            near(freq, 0.0, 1e-12);
        }
        let smooth = planned(1.0, 0.0, 400e-6, 0.001_024e-6);
        near(smooth.report(smooth.at).remaining, 62_500.0, 1e-6);
        near(smooth.report(smooth.at.plus(31_250.0)).frequency.0, -32.0, 1e-6);
    }

    #[test]
    fn the_first_adjustment_with_small_skew_activates_and_does_not_count() {
        let mut smooth = smooth(400.0, 0.01, false);
        let mut out = Outbox::default();
        let now = Cooked::new(1000, 0);
        let change = Change {
            raw: crate::time::Raw::new(1000, 0),
            cooked: now,
            dfreq: 0.0,
            by: FastBy(0.5),
            kind: ChangeKind::Adjust,
        };
        smooth.announce(&mut out, 1e-3, &change);
        assert!(out.events.is_empty() && smooth.locked);
        smooth.announce(&mut out, 1e-6, &change);
        assert_eq!(out.events[0].to_string(), "Activated time smoothing");
        near(smooth.offset(now), 0.0, 0.0);
        smooth.announce(&mut out, 1e-6, &change);
        // After the change, the same instant is called 0.5 s less; served time is continuous.
        near(smooth.offset(now.plus(-0.5)), 0.5, 1e-12);
        smooth.announce(
            &mut out,
            1e-6,
            &Change {
                kind: ChangeKind::Step,
                ..change
            },
        );
        near(smooth.offset(now.plus(-1.0)), 0.5, 1e-12);
        smooth.reset(&mut out, now);
        near(smooth.offset(now.plus(10.0)), 0.0, 0.0);
        assert_eq!(out.events[1].to_string(), "Reset time smoothing");
    }

    #[test]
    fn leap_only_ignores_adjustments() {
        let mut smooth = smooth(400.0, 0.01, true);
        let mut out = Outbox::default();
        let now = Cooked::new(1000, 0);
        smooth.activate(&mut out, now);
        assert_eq!(
            out.events[0].to_string(),
            "Activated time smoothing (leap seconds only)"
        );
        let raw = crate::time::Raw::new(1000, 0);
        let change = Change {
            raw,
            cooked: now,
            dfreq: 0.0,
            by: FastBy(0.5),
            kind: ChangeKind::Adjust,
        };
        smooth.announce(&mut out, 1.0, &change);
        near(smooth.offset(now), 0.0, 0.0);
        smooth.leap(&mut out, 1.0, now, 1);
        near(smooth.offset(now), 1.0, 0.0);
        assert!(smooth.report(now).active);
    }
}
