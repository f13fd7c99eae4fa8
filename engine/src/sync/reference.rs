//! The reference: what we believe about our time, and what an update does to the clock (`spec/sync.md`
//! section 5).

use super::clock::LocalClock;
use super::cx::{Cx, Outbox};
use super::drift::{Drift, DriftAge};
use super::fallback::Fallback;
use super::kernel::{Change, ChangeKind};
use super::leap::{LeapFile, Leaps};
use super::mix::{RmsOffset, correction_rate, mix};
use super::sample::Leap;
use super::served::ReferenceModel;
use super::special::Mode;
use super::update::Update;
use crate::config::{Config, LeapMode, LocalMode, MailOnChange, MakeStep, MaxChange};
use crate::event::record::{Record, Subject, Tracking};
use crate::event::{Event, clock::ClockEvent};
use crate::io::Mail;
use crate::time::{Cooked, FastBy, Mono, Ppm};
use std::net::{IpAddr, Ipv4Addr};

const MIN_SKEW: f64 = 1e-12;
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The drift file as it was found at start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text; `None` if there is no such file.
    pub text: Option<&'a str>,
}

/// What the daemon found at start, beside its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Start<'a> {
    /// `driftfile`
    pub drift: Option<DriftFile<'a>>,
    /// `leapseclist`
    pub leap_list: Option<LeapFile<'a>>,
    /// `leapsectz`
    pub leap_zone: Option<LeapFile<'a>>,
    /// Contents of the file of points of `tempcomp`; `None` if it can't be read or none is configured.
    pub temp_points: Option<&'a str>,
    /// `-R`: no `makestep` with a positive limit.
    pub restarted: bool,
}

/// The reference.
#[derive(Clone, Debug)]
pub struct Reference {
    corr_time_ratio: f64,
    max_update_skew: f64,
    log_change: f64,
    mail_on_change: Option<MailOnChange>,
    make_step: MakeStep,
    max_change: Option<MaxChange>,
    log_tracking: bool,
    keep_drift: bool,

    mode: Mode,
    ended: Option<bool>,
    /// What others are told, but for the leap status, which `leaps` has.
    pub(super) model: ReferenceModel,
    pub(super) address: Option<IpAddr>,
    freq_sd: f64,
    offset_sd: f64,
    started: Mono,
    last_update: Option<Mono>,
    pub(super) last_interval: f64,
    pub(super) last_offset: FastBy,
    /// What was left to be corrected at the last line of the tracking log, s.
    last_remaining: f64,
    pub(super) rms: RmsOffset,
    pub(super) leaps: Leaps,
    fallback: Option<Fallback>,
    drift_age: DriftAge,
}

impl Reference {
    /// At start: reads the database of leap seconds, and takes the frequency from the drift file.
    pub fn new(cx: &mut Cx<'_>, clock: &mut LocalClock, config: &Config, start: &Start<'_>) -> Self {
        let c = &config.clock;
        let never = MakeStep {
            threshold: 0.0,
            limit: 0,
        };
        let mut reference = Self {
            corr_time_ratio: c.corr_time_ratio,
            max_update_skew: 1e-6 * c.max_update_skew.abs(),
            log_change: c.log_change,
            mail_on_change: c.mail_on_change.clone(),
            make_step: c
                .make_step
                .filter(|step| !start.restarted || step.limit < 0)
                .unwrap_or(never),
            max_change: c.max_change.filter(|change| change.start >= 0),
            log_tracking: config.files.logs.tracking,
            keep_drift: config.files.drift_file.is_some(),
            mode: Mode::Normal,
            ended: None,
            model: ReferenceModel::new(
                clock.max_clock_error(),
                cx.now.mono,
                config.network.local,
                cx.random.bits64(),
            ),
            address: None,
            freq_sd: 0.0,
            offset_sd: 0.0,
            started: cx.now.mono,
            last_update: None,
            last_interval: 0.0,
            last_offset: FastBy(0.0),
            last_remaining: 0.0,
            rms: RmsOffset::default(),
            leaps: Leaps::new(c.leap_mode, clock),
            fallback: c.fallback_drift.and_then(Fallback::new),
            drift_age: DriftAge::new(config.files.drift_interval),
        };
        reference.leaps.load(cx.out, start.leap_list, start.leap_zone);
        reference.read_drift(cx, clock, start.drift);
        reference.unsynchronise(cx, clock);
        reference
    }

    fn read_drift(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock, file: Option<DriftFile<'_>>) {
        let text = file.and_then(|file| Some((file.name.to_owned(), file.text?)));
        let mut frequency = 0.0;
        if let Some((name, text)) = text {
            let event = if let Some(drift) = Drift::parse(text) {
                frequency = drift.frequency.0;
                self.model.skew = (1e-6 * drift.skew.0).max(MIN_SKEW);
                ClockEvent::DriftRead {
                    frequency,
                    skew: 1e6 * self.model.skew,
                    file: name,
                }
            } else {
                ClockEvent::DriftInvalid(name)
            };
            cx.out.events.push(Event::Clock(event));
        }
        if frequency != 0.0 {
            clock.set_absolute_frequency(cx, Ppm(frequency));
        } else if clock.absolute_frequency().0 != 0.0 {
            let found = ClockEvent::InitialFrequency(clock.absolute_frequency().0);
            cx.out.events.push(Event::Clock(found));
        }
    }

    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Enters a mode.
    pub fn set_mode(&mut self, mode: Mode) {
        (self.mode, self.ended) = (mode, None);
    }

    /// True or false once after a special mode has ended; true: with a correction.
    pub fn take_end(&mut self) -> Option<bool> {
        self.ended.take()
    }

    /// Ends a special mode without an offset; in other modes nothing happens.
    pub fn give_up(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) {
        self.conclude(cx, clock, None);
    }

    fn conclude(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock, offset: Option<FastBy>) {
        if let Some(ok) = self.mode.conclude(cx, clock, offset) {
            if matches!(self.mode, Mode::UpdateOnce | Mode::PrintOnce) {
                cx.out.exit = Some(u8::from(!ok));
            }
            self.ended = Some(ok);
            self.mode = Mode::Ignore;
        }
    }

    /// An update from the selected sources, or by hand (`spec/sync.md` 5.2). By hand its leap status is
    /// [`Leap::Unsynchronised`].
    pub fn update(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock, update: &Update) {
        if !self.mode.is_normal() {
            self.conclude(cx, clock, Some(update.offset));
            return;
        }
        let manual = update.leap == Leap::Unsynchronised;
        let mono = cx.now.mono;
        let raw = cx.kernel.now().raw;
        let uncorrected = clock.correction(raw);
        let now = clock.cook(raw).0;
        let offset = update.offset.0 + (now - update.ref_time) * update.freq;
        let interval = self.last_update.map_or(0.0, |last| mono - last);
        let mixed = mix(
            manual,
            self.model.skew,
            update.freq,
            update.skew,
            self.max_update_skew,
        );
        if !self.accept(cx, offset) {
            return;
        }
        let distance = self.model.root_delay / 2.0 + self.dispersion(now);

        self.model.synchronised = !manual;
        self.model.stratum = update.stratum.saturating_add(1);
        self.model.refid = update.refid;
        self.address = update.address;
        self.model.ref_time = Some(update.ref_time);
        (self.model.skew, self.model.residual) = (mixed.skew, mixed.residual);
        (self.model.root_delay, self.model.root_dispersion) = (update.root_delay, update.root_dispersion);
        (self.freq_sd, self.offset_sd) = (update.freq_sd, update.offset_sd);
        self.last_update = Some(mono);
        self.last_interval = interval;
        self.last_offset = FastBy(offset);

        let (accumulate, step) = if self.wants_step(offset - uncorrected) {
            // The first cancels what is outstanding.
            (uncorrected, Some(FastBy(offset - uncorrected)))
        } else {
            (offset, None)
        };
        let rate = correction_rate(self.corr_time_ratio, update.offset_sd, interval);
        // Refused only beyond all valid times, with a message of its own.
        let _ = clock.accumulate_frequency_and_offset(cx, mixed.freq, FastBy(accumulate), rate);
        if offset.abs() > self.log_change {
            cx.out
                .events
                .push(Event::Clock(ClockEvent::WrongBy(FastBy(offset))));
        }
        if let Some(mail) = &self.mail_on_change
            && offset.abs() > mail.threshold
        {
            cx.out.mails.push(Mail {
                to: mail.user.clone(),
                adjustment: -offset,
                threshold: mail.threshold,
            });
        }
        if let Some(step) = step {
            if clock.step(cx, step).is_ok() {
                cx.out.events.push(Event::Clock(ClockEvent::Stepped(step)));
            } else {
                let _ = clock.accumulate_offset(cx, step, 0.0);
            }
        }
        self.leaps.update(cx, clock, update.leap, Some(raw), false);
        self.tell_kernel(cx, clock, now);
        // Privacy: the time of our last poll is nobody's business.
        self.model.ref_time = Some(update.ref_time.plus(-cx.random.uniform()));
        self.log(cx, clock, now, offset, update.combined, uncorrected, distance);
        if self.drift_age.add(interval) {
            self.save_drift(cx, clock);
        }
        if self.model.synchronised
            && let Some(fallback) = &mut self.fallback
        {
            fallback.update(interval, clock.absolute_frequency());
            self.plan_fallback(cx, clock);
        }
        self.rms.add(offset);
    }

    /// `maxchange` (`spec/sync.md` 5.4).
    fn accept(&mut self, cx: &mut Cx<'_>, offset: f64) -> bool {
        let Some(limit) = &mut self.max_change else {
            return true;
        };
        if limit.start > 0 {
            limit.start -= 1;
            return true;
        }
        if offset.abs() <= limit.offset {
            return true;
        }
        let exiting = limit.ignore == 0;
        let offset = FastBy(offset);
        let event = ClockEvent::ExceedsMaxChange {
            offset,
            max: limit.offset,
            exiting,
        };
        cx.out.events.push(Event::Clock(event));
        if exiting {
            cx.out.exit = Some(1);
        } else if limit.ignore > 0 {
            limit.ignore -= 1;
        }
        false
    }

    /// `makestep` (`spec/sync.md` 5.5).
    fn wants_step(&mut self, offset: f64) -> bool {
        match self.make_step.limit {
            0 => return false,
            1.. => self.make_step.limit -= 1,
            _ => {}
        }
        offset.abs() > self.make_step.threshold
    }

    /// The reference is lost (`spec/sync.md` 5.8). What was known keeps ageing.
    pub fn unsynchronise(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) {
        if !self.mode.is_normal() {
            self.conclude(cx, clock, None);
            return;
        }
        self.plan_fallback(cx, clock);
        let raw = cx.kernel.now().raw;
        let uncorrected = clock.correction(raw);
        let now = clock.cook(raw).0;
        let distance = self.model.root_delay / 2.0 + self.dispersion(now);
        self.leaps.update(cx, clock, Leap::Unsynchronised, None, false);
        self.address = Some(NO_ADDRESS);
        self.model.stratum = 0;
        if self.model.synchronised {
            self.model.unsynced_since = cx.now.mono;
        }
        self.model.synchronised = false;
        clock.set_sync_status(cx, false, 0.0, 0.0);
        let offset_sd = std::mem::replace(&mut self.offset_sd, 0.0);
        self.log(cx, clock, now, 0.0, 0, uncorrected, distance);
        self.offset_sd = offset_sd;
    }

    /// The vote of the sources about leap seconds may have changed.
    pub fn update_leap(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock, leap: Leap) {
        if !self.model.synchronised || !self.mode.is_normal() {
            return;
        }
        let raw = cx.kernel.now().raw;
        self.leaps.update(cx, clock, leap, Some(raw), false);
        self.tell_kernel(cx, clock, clock.cook(raw).0);
    }

    /// The clock was changed.
    pub fn announce(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock, change: &Change) {
        self.model.ref_time = self
            .model
            .ref_time
            .map(|time| time.adjusted(change.cooked, change.dfreq, change.by.0).0);
        if change.kind == ChangeKind::UnknownStep {
            self.last_update = None;
            self.unsynchronise(cx, clock);
        }
        if change.kind != ChangeKind::Adjust && self.leaps.is_pending() {
            let raw = cx.kernel.now().raw;
            let status = self.leaps.status();
            self.leaps.update(cx, clock, status, Some(raw), true);
        }
    }

    /// True within 5 s of a leap second; Unix seconds (`spec/sync.md` 1.4).
    #[must_use]
    pub fn leap_close(&self, second: i64) -> bool {
        self.leaps.is_close(second)
    }

    /// How leap seconds are applied.
    #[must_use]
    pub const fn leap_mode(&self) -> LeapMode {
        self.leaps.mode()
    }

    /// TAI - UTC (s) at `when` (Unix seconds), if there is a database that knows it.
    #[must_use]
    pub fn tai_offset(&self, when: i64) -> Option<i32> {
        self.leaps.tai_offset(when)
    }

    /// New contents of the files of the leap second database (`leapseclist`, `leapsectz`).
    pub fn reload_leaps(&mut self, out: &mut Outbox, list: Option<LeapFile<'_>>, zone: Option<LeapFile<'_>>) {
        self.leaps.reload(out, list, zone);
    }

    /// Our skew, s/s.
    #[must_use]
    pub const fn skew(&self) -> f64 {
        self.model.skew
    }

    /// When [`Self::on_timeout`] wants to be called.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        let fallback = self.fallback.as_ref().and_then(Fallback::timer);
        self.leaps.timer().into_iter().chain(fallback).min()
    }

    /// Leap seconds and fallback drifts. Returns a leap second (1 or -1) that smoothing has to know of.
    pub fn on_timeout(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) -> Option<i8> {
        let frequency = self
            .fallback
            .as_mut()
            .and_then(|fallback| fallback.on_timeout(cx.now.mono));
        if let Some(frequency) = frequency {
            clock.set_absolute_frequency(cx, frequency);
            self.unsynchronise(cx, clock);
        }
        self.leaps.on_timeout(cx, clock)
    }

    /// `local` mode, changed by command.
    pub fn set_local(&mut self, cx: &mut Cx<'_>, local: Option<LocalMode>) {
        self.model.local.config = local;
        let event = if local.is_some() {
            ClockEvent::LocalEnabled
        } else {
            ClockEvent::LocalDisabled
        };
        cx.out.events.push(Event::Clock(event));
    }

    /// Stratum of local mode if it is an orphan's; sources of this stratum or more are peers in it.
    #[must_use]
    pub fn orphan_stratum(&self) -> Option<u8> {
        let local = self
            .model
            .local
            .config
            .filter(|local| local.orphan && self.mode.is_normal());
        local.map(|local| local.stratum)
    }

    /// Command `maxupdateskew`, ppm.
    pub fn set_max_update_skew(&mut self, cx: &mut Cx<'_>, ppm: f64) {
        self.max_update_skew = 1e-6 * ppm;
        cx.out
            .events
            .push(Event::Clock(ClockEvent::NewMaxUpdateSkew(ppm)));
    }

    /// Command `makestep` with arguments.
    pub fn set_make_step(&mut self, cx: &mut Cx<'_>, make_step: MakeStep) {
        self.make_step = make_step;
        let event = ClockEvent::NewMakeStep(make_step.threshold, make_step.limit);
        cx.out.events.push(Event::Clock(event));
    }

    /// At the end: no source that goes may touch the clock, the drift file is written, no leap second is left
    /// in the kernel.
    pub fn finish(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) {
        self.mode = Mode::Ignore;
        self.leaps.update(cx, clock, Leap::Unsynchronised, None, false);
        self.save_drift(cx, clock);
    }

    fn save_drift(&self, cx: &mut Cx<'_>, clock: &LocalClock) {
        if self.keep_drift {
            let drift = Drift {
                frequency: clock.absolute_frequency(),
                skew: Ppm(1e6 * self.model.skew),
            };
            cx.out.saves.push(drift.save());
        }
    }

    fn plan_fallback(&mut self, cx: &mut Cx<'_>, clock: &mut LocalClock) {
        let unsynced = cx.now.mono - self.last_update.unwrap_or(self.started);
        let set = self
            .fallback
            .as_mut()
            .and_then(|fallback| fallback.schedule(cx.now.mono, unsynced));
        if let Some(frequency) = set {
            clock.set_absolute_frequency(cx, frequency);
        }
    }

    fn tell_kernel(&self, cx: &mut Cx<'_>, clock: &mut LocalClock, now: Cooked) {
        let age = self.model.ref_time.map_or(0.0, |ref_time| (now - ref_time).abs());
        let est_error = self.offset_sd + age * self.freq_sd;
        let max_error = self.model.root_delay / 2.0 + self.dispersion(now);
        clock.set_sync_status(cx, self.model.synchronised, est_error, max_error);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the columns of a line that the reference does not keep"
    )]
    fn log(
        &mut self,
        cx: &mut Cx<'_>,
        clock: &LocalClock,
        now: Cooked,
        offset: f64,
        combined: u32,
        uncorrected: f64,
        distance: f64,
    ) {
        let before = std::mem::replace(&mut self.last_remaining, offset - uncorrected);
        if !self.log_tracking {
            return;
        }
        let line = Tracking {
            time: now,
            source: self
                .address
                .map_or(Subject::RefId(self.model.refid), Subject::Address),
            stratum: self.model.stratum,
            frequency: clock.absolute_frequency(),
            skew: Ppm(1e6 * self.model.skew),
            offset: FastBy(offset),
            leap: self.leaps.status() as u8,
            combined,
            offset_sd: self.offset_sd,
            uncorrected,
            root_delay: self.model.root_delay,
            root_dispersion: self.dispersion(now),
            max_error: distance + before.abs(),
        };
        cx.out.records.push(Record::Tracking(Box::new(line)));
    }
}
