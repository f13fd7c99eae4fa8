//! The local clock: bookkeeping of its frequency, corrections, cooking (`spec/sync.md` 6.1 to 6.4, 6.6 to
//! 6.11). On top of it a slewing driver for a kernel clock that can be changed, or one that keeps all
//! corrections in memory.

use super::cx::{Cx, Outbox};
use super::kernel::{Change, ChangeKind, Clock, ClockError, KernelStatus};
use super::null::Null;
use super::slew::{Slew, clamp};
use crate::config::ClockConfig;
use crate::event::{
    Event,
    clock::{ClockEvent, KernelLeap},
};
use crate::time::{Cooked, Era, FastBy, Mono, Ppm, Raw};

/// Largest frequency that can be configured, ppm.
const MAX_DRIFT: f64 = 100_000.0;
/// Steps of [`Cook::uncook`]: enough for the fastest slew.
const UNCOOK_STEPS: usize = 20;
/// Errors of the kernel's status are limited to this, s; at the limit it counts as unsynchronised.
const MAX_SYNC_ERROR: f64 = 16.0;

/// One straight piece of the line that turns raw time into cooked time. Valid until the next [`Change`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cook {
    pub(super) start: Raw,
    /// Correction gained a second of raw time.
    pub(super) slew: f64,
    /// Outstanding offset at `start`.
    pub(super) left: FastBy,
    /// Uncertainty (s) within `max_delay` (s) of `start`.
    pub(super) error: f64,
    pub(super) max_delay: f64,
}

impl Cook {
    /// Cooked minus raw time, s: positive when the raw clock is behind.
    #[must_use]
    pub fn correction(&self, raw: Raw) -> f64 {
        self.slew * (raw - self.start) - self.left.0
    }

    /// Cooked time of a raw time, and its uncertainty, s.
    #[must_use]
    pub fn cook(&self, raw: Raw) -> (Cooked, f64) {
        let error = if (raw - self.start).abs() <= self.max_delay {
            self.error
        } else {
            0.0
        };
        (
            Cooked::new(raw.sec(), raw.nsec()).plus(self.correction(raw)),
            error,
        )
    }

    /// The raw time that is cooked to this, to a nanosecond.
    #[must_use]
    pub fn uncook(&self, cooked: Cooked) -> Raw {
        let mut raw = Raw::new(cooked.sec(), cooked.nsec());
        // The correction is a line of small slope: each step leaves a small part of the distance.
        for _ in 0..UNCOOK_STEPS {
            let off = cooked - self.cook(raw).0;
            if off.abs() < 1e-9 {
                break;
            }
            raw = raw.plus(off);
        }
        raw
    }
}

/// Why the clock was not changed. The message has been left in the outbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The time would leave the valid range.
    #[error("adjustment is invalid")]
    Insane,
    /// The kernel's clock cannot be stepped.
    #[error("could not step system clock")]
    Step,
}

#[derive(Clone, Copy, Debug)]
enum Driver {
    Slew(Slew),
    Null(Null),
}

/// The local clock.
#[derive(Clone, Debug)]
pub struct LocalClock {
    driver: Driver,
    /// Frequency in force without slewing, temperature compensation included, ppm, positive: fast.
    frequency: f64,
    max_drift: f64,
    /// Temperature compensation, ppm.
    temp_comp: f64,
    precision: f64,
    precision_log: i8,
    max_clock_error: f64,
    era: Era,
    rtc_sync: bool,
    leap_control: bool,
    /// What the kernel was told last.
    status: KernelStatus,
    tai: i32,
    stepped: bool,
}

impl LocalClock {
    /// Takes a clock over. Its frequency is kept and no correction is outstanding.
    ///
    /// # Errors
    /// The kernel's refusal to tell its frequency.
    pub fn new(config: &ClockConfig, era: Era, kernel: &mut dyn Clock) -> Result<Self, ClockError> {
        let limits = kernel.limits();
        let now = kernel.now();
        let (driver, frequency) = if limits.control {
            let frequency = kernel.frequency()?;
            (
                Driver::Slew(Slew::new(frequency, &limits, config.max_slew_rate, now.raw)),
                frequency.0,
            )
        } else {
            (Driver::Null(Null::new(now)), 0.0)
        };
        let precision = if config.precision > 0.0 {
            config.precision
        } else {
            limits.precision
        };
        let precision = clamp(1e-9, precision, 1.0);
        let max_drift = clamp(0.0, config.max_drift, MAX_DRIFT);
        Ok(Self {
            driver,
            frequency,
            max_drift: if limits.control {
                max_drift.min(limits.max_frequency.0)
            } else {
                max_drift
            },
            temp_comp: 0.0,
            precision,
            precision_log: libm::round(libm::log2(precision)) as i8,
            max_clock_error: 1e-6 * config.max_clock_error,
            era,
            rtc_sync: config.rtc_sync,
            leap_control: limits.control && limits.leap,
            status: KernelStatus {
                synchronised: false,
                est_error: MAX_SYNC_ERROR,
                max_error: MAX_SYNC_ERROR,
                leap: 0,
                tai: None,
            },
            tai: 0,
            stepped: false,
        })
    }

    /// The conversion in force, for a snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Cook {
        match &self.driver {
            Driver::Slew(slew) => slew.cook(),
            Driver::Null(null) => null.cook(),
        }
    }

    /// Cooked time of a raw time, and its uncertainty, s.
    #[must_use]
    pub fn cook(&self, raw: Raw) -> (Cooked, f64) {
        self.snapshot().cook(raw)
    }

    /// Cooked minus raw time, s ("System time" of the tracking report).
    #[must_use]
    pub fn correction(&self, raw: Raw) -> f64 {
        self.snapshot().correction(raw)
    }

    /// Precision of the clock, s.
    #[must_use]
    pub const fn precision(&self) -> f64 {
        self.precision
    }

    /// Precision of the clock, log2 s.
    #[must_use]
    pub const fn precision_log(&self) -> i8 {
        self.precision_log
    }

    /// Frequency error that the clock may pick up unnoticed, s/s (`spec/sync.md` 6.9).
    #[must_use]
    pub const fn max_clock_error(&self) -> f64 {
        self.max_clock_error
    }

    /// The times that are valid.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// True if the clock can be changed (not `-x`).
    #[must_use]
    pub const fn controlled(&self) -> bool {
        matches!(self.driver, Driver::Slew(_))
    }

    /// True if the kernel inserts and deletes leap seconds.
    #[must_use]
    pub const fn leap_control(&self) -> bool {
        self.leap_control
    }

    /// Frequency of the uncorrected clock without temperature compensation; positive: fast.
    #[must_use]
    pub fn absolute_frequency(&self) -> Ppm {
        if self.temp_comp == 0.0 {
            Ppm(self.frequency)
        } else {
            Ppm((self.frequency + self.temp_comp) / (1.0 - 1e-6 * self.temp_comp))
        }
    }

    /// Removes a measured excess of frequency `dfreq` (dimensionless, positive: fast) and an offset that is
    /// slewed at `rate` (s^2, `spec/sync.md` 5.6; 0: as fast as possible).
    ///
    /// # Errors
    /// [`Refused::Insane`].
    pub fn accumulate_frequency_and_offset(
        &mut self,
        cx: &mut Cx<'_>,
        dfreq: f64,
        doffset: FastBy,
        rate: f64,
    ) -> Result<(), Refused> {
        let (raw, cooked) = self.read(cx);
        self.check(cooked, doffset, cx.out)?;
        let old = self.frequency;
        self.set_frequency(cx, old + dfreq * (1e6 - old));
        let dfreq = (self.frequency - old) / (1e6 - old);
        self.accrue(cx, doffset, rate);
        let change = Change {
            raw,
            cooked,
            dfreq,
            by: doffset,
            kind: ChangeKind::Adjust,
        };
        cx.out.changes.push(change);
        Ok(())
    }

    /// Sets the frequency, without temperature compensation; positive: the uncorrected clock is fast.
    pub fn set_absolute_frequency(&mut self, cx: &mut Cx<'_>, frequency: Ppm) {
        let (raw, cooked) = self.read(cx);
        let mut wanted = self.limited(frequency.0, cx.out);
        if self.temp_comp != 0.0 {
            wanted = wanted * (1.0 - 1e-6 * self.temp_comp) - self.temp_comp;
        }
        let old = self.frequency;
        self.drive_frequency(cx, wanted);
        let dfreq = (self.frequency - old) / (1e6 - old);
        let change = Change {
            raw,
            cooked,
            dfreq,
            by: FastBy(0.0),
            kind: ChangeKind::Adjust,
        };
        cx.out.changes.push(change);
    }

    /// Slews an offset away, at `rate` (s^2; 0: as fast as possible).
    ///
    /// # Errors
    /// [`Refused::Insane`].
    pub fn accumulate_offset(&mut self, cx: &mut Cx<'_>, offset: FastBy, rate: f64) -> Result<(), Refused> {
        let (raw, cooked) = self.read(cx);
        self.check(cooked, offset, cx.out)?;
        self.accrue(cx, offset, rate);
        let change = Change {
            raw,
            cooked,
            dfreq: 0.0,
            by: offset,
            kind: ChangeKind::Adjust,
        };
        cx.out.changes.push(change);
        Ok(())
    }

    /// Moves the clock back by `by` at once.
    ///
    /// # Errors
    /// Both, the clock is then unchanged.
    pub fn step(&mut self, cx: &mut Cx<'_>, by: FastBy) -> Result<(), Refused> {
        let (raw, cooked) = self.read(cx);
        self.check(Cooked::new(raw.sec(), raw.nsec()), by, cx.out)?;
        let Driver::Slew(slew) = &mut self.driver else {
            return not_stepped(cx.out);
        };
        if cx.kernel.step(by).is_err() {
            return not_stepped(cx.out);
        }
        slew.stepped(by);
        self.stepped = true;
        cx.out.changes.push(Change {
            raw,
            cooked,
            dfreq: 0.0,
            by,
            kind: ChangeKind::Step,
        });
        Ok(())
    }

    /// Takes note that somebody else moved the clock back by `by` before `raw`, with `dispersion` (s) of
    /// uncertainty. Drops the outstanding correction.
    pub fn external_step(&mut self, cx: &mut Cx<'_>, raw: Raw, cooked: Cooked, by: FastBy, dispersion: f64) {
        self.cancel(cx);
        cx.out.changes.push(Change {
            raw,
            cooked,
            dfreq: 0.0,
            by,
            kind: ChangeKind::UnknownStep,
        });
        cx.out.dispersion += dispersion;
    }

    /// Steps the outstanding correction away (command `makestep`).
    ///
    /// # Errors
    /// Both; the correction is then slewed on.
    pub fn make_step(&mut self, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let correction = self.correction(cx.kernel.now().raw);
        self.accumulate_offset(cx, FastBy(correction), 0.0)?;
        if let Err(refused) = self.step(cx, FastBy(-correction)) {
            self.accumulate_offset(cx, FastBy(-correction), 0.0)?;
            return Err(refused);
        }
        cx.out
            .events
            .push(Event::Clock(ClockEvent::Stepped(FastBy(-correction))));
        Ok(())
    }

    /// Drops the outstanding correction: raw time becomes cooked time.
    pub fn cancel(&mut self, cx: &mut Cx<'_>) {
        let correction = self.correction(cx.kernel.now().raw);
        // Refused only when the correction is beyond all valid times; there is nothing better to do then.
        let _ = self.accumulate_offset(cx, FastBy(correction), 0.0);
    }

    /// Speeds the clock up by `compensation` (ppm), on the assumption that it has become slower by that. So
    /// nobody is told.
    pub fn set_temp_comp(&mut self, cx: &mut Cx<'_>, compensation: f64) {
        if self.temp_comp == compensation {
            return;
        }
        let uncompensated = (self.frequency + self.temp_comp) / (1.0 - 1e-6 * self.temp_comp);
        self.drive_frequency(cx, uncompensated * (1.0 - 1e-6 * compensation) - compensation);
        self.temp_comp = (uncompensated - self.frequency) / (1e-6 * uncompensated + 1.0);
    }

    /// Tells all who keep times that UTC is about to have a leap second: 1 inserted, -1 deleted
    /// (`spec/sync.md` 5.10). Stored times are as if UTC itself had jumped.
    pub fn announce_leap(&mut self, cx: &mut Cx<'_>, leap: i8) {
        let (raw, cooked) = self.read(cx);
        let by = FastBy(-f64::from(leap));
        cx.out.changes.push(Change {
            raw,
            cooked,
            dfreq: 0.0,
            by,
            kind: ChangeKind::Step,
        });
    }

    /// True once after each step of our own.
    pub fn take_stepped(&mut self) -> bool {
        std::mem::take(&mut self.stepped)
    }

    /// Tells the kernel how good the clock is: errors in s.
    pub fn set_sync_status(&mut self, cx: &mut Cx<'_>, synchronised: bool, est_error: f64, max_error: f64) {
        let Driver::Slew(slew) = &self.driver else {
            return;
        };
        let register = slew.register().0.abs();
        let (est_error, max_error) = (est_error.max(register), max_error + register);
        self.status.synchronised = synchronised && self.rtc_sync && max_error < MAX_SYNC_ERROR;
        (self.status.est_error, self.status.max_error) = if self.status.synchronised {
            (est_error.min(MAX_SYNC_ERROR), max_error)
        } else {
            (MAX_SYNC_ERROR, MAX_SYNC_ERROR)
        };
        // Not fatal (spec/sync.md 6.5): time is kept without it.
        let _ = cx.kernel.set_status(KernelStatus {
            tai: None,
            ..self.status
        });
    }

    /// Tells the kernel about a leap second at the end of the day (1 insert, -1 delete, 0 none) and about
    /// TAI - UTC (s; 0: unknown). `applied`: the kernel has just done one.
    pub fn set_leap(&mut self, cx: &mut Cx<'_>, leap: i8, tai: i32, applied: bool) {
        if !self.leap_control {
            return;
        }
        if applied {
            // The kernel moved its TAI offset itself.
            self.tai += i32::from(self.status.leap);
        }
        let old = std::mem::replace(&mut self.status.leap, leap);
        let status = KernelStatus {
            tai: (tai != 0).then_some(tai),
            ..self.status
        };
        if let Err(error) = cx.kernel.set_status(status) {
            fatal(cx.out, error);
            return;
        }
        if tai != 0 && tai != self.tai {
            self.tai = tai;
            cx.out.events.push(Event::Clock(ClockEvent::TaiOffset(tai)));
        }
        if old != leap {
            let what = match leap {
                1.. => KernelLeap::Insert,
                0 if applied => KernelLeap::ResetAfter,
                0 => KernelLeap::Cleared,
                _ => KernelLeap::Delete,
            };
            cx.out.events.push(Event::Clock(ClockEvent::KernelLeap(what)));
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    #[must_use]
    pub const fn next_wakeup(&self) -> Option<Mono> {
        match &self.driver {
            Driver::Slew(slew) => slew.timer(),
            Driver::Null(null) => Some(null.timer()),
        }
    }

    /// No slew is to be ended. The bookkeeping of a clock that is not controlled does not count.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        match &self.driver {
            Driver::Slew(slew) => slew.timer().is_none(),
            Driver::Null(_) => true,
        }
    }

    /// Ends a slew, or plans its rest.
    pub fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.next_wakeup().is_none_or(|at| at > cx.now.mono) {
            return;
        }
        match &mut self.driver {
            Driver::Slew(slew) => {
                let result = slew.plan(cx.kernel);
                leave(cx.out, result);
            }
            Driver::Null(null) => null.fold(cx.kernel.now()),
        }
    }

    /// Leaves the clock to itself: no slew, the learned frequency (`spec/sync.md` 6.10).
    pub fn finish(&mut self, cx: &mut Cx<'_>) {
        if let Driver::Slew(slew) = &mut self.driver {
            let result = slew.finish(cx.kernel);
            leave(cx.out, result.map(|()| 0.0));
        }
    }

    fn read(&self, cx: &mut Cx<'_>) -> (Raw, Cooked) {
        let raw = cx.kernel.now().raw;
        (raw, self.cook(raw).0)
    }

    fn check(&self, time: Cooked, offset: FastBy, out: &mut Outbox) -> Result<(), Refused> {
        if self.era.is_sane(time, -offset.0) {
            return Ok(());
        }
        out.events
            .push(Event::Clock(ClockEvent::InvalidAdjustment(-offset.0)));
        Err(Refused::Insane)
    }

    fn limited(&self, frequency: f64, out: &mut Outbox) -> f64 {
        if frequency.abs() <= self.max_drift {
            return frequency;
        }
        out.events
            .push(Event::Clock(ClockEvent::FrequencyTooLarge(frequency)));
        if frequency.is_nan() {
            self.frequency
        } else {
            clamp(-self.max_drift, frequency, self.max_drift)
        }
    }

    fn set_frequency(&mut self, cx: &mut Cx<'_>, wanted: f64) {
        let wanted = self.limited(wanted, cx.out);
        self.drive_frequency(cx, wanted);
    }

    /// The slewing driver may set another total frequency than was asked for; the difference is its to know
    /// and counts as slewing.
    fn drive_frequency(&mut self, cx: &mut Cx<'_>, wanted: f64) {
        match &mut self.driver {
            Driver::Slew(slew) => {
                let result = slew.set_frequency(cx.kernel, wanted);
                leave(cx.out, result);
            }
            Driver::Null(null) => null.set_frequency(cx.kernel.now(), wanted),
        }
        self.frequency = wanted;
    }

    fn accrue(&mut self, cx: &mut Cx<'_>, offset: FastBy, rate: f64) {
        match &mut self.driver {
            Driver::Slew(slew) => {
                let result = slew.accrue(cx.kernel, offset, rate);
                leave(cx.out, result);
            }
            Driver::Null(null) => null.accrue(offset),
        }
    }
}

fn not_stepped(out: &mut Outbox) -> Result<(), Refused> {
    out.events.push(Event::Clock(ClockEvent::NotStepped));
    Err(Refused::Step)
}

fn leave(out: &mut Outbox, result: Result<f64, ClockError>) {
    match result {
        Ok(dispersion) => out.dispersion += dispersion,
        Err(error) => fatal(out, error),
    }
}

fn fatal(out: &mut Outbox, error: ClockError) {
    out.events.push(Event::Clock(ClockEvent::Kernel(error)));
    out.exit = Some(1);
}
