//! The way from a sample to the clock: statistics, selection, reference, clock. What the layers above call.

use super::SourceId;
use super::clock::LocalClock;
use super::cx::{Cx, Outbox};
use super::kernel::{Change, ChangeKind, Clock, ClockError};
use super::manual::{Manual, ManualError, ManualReport};
use super::mono::MonoScale;
use super::reference::{Reference, Start};
use super::sample::{Leap, Sample};
use super::select::{NO_ORPHAN, SelectEnv};
use super::served::{Served, ServedTime, TrackingReport};
use super::smooth::Smooth;
use super::sources::{Sources, SourcesParams};
use super::special::Mode;
use super::update::Outcome;
use crate::config::{Config, LeapMode};
use crate::event::{Event, clock::ClockEvent, sync::SyncEvent};
use crate::random::Random;
use crate::time::{Cooked, Era, FastBy, Mono, Now};

/// A difference between the clocks' readings of an interval that is a jump, s.
const JUMP: f64 = 10.0;

/// By how much (s) somebody stepped the clock between two readings, positive: ahead; none if nobody did.
#[must_use]
pub fn jump(last: Now, now: Now) -> Option<f64> {
    let jump = (now.raw - last.raw) - (now.mono - last.mono);
    (jump.abs() > JUMP).then_some(jump)
}

/// Clock, sources and reference.
#[derive(Debug)]
pub struct Discipline {
    /// The local clock. What changes it is announced as usual.
    pub clock: LocalClock,
    /// Statistics and selection. For reports and for what needs no selection afterwards.
    pub sources: Sources,
    /// The reference.
    pub reference: Reference,
    /// The scale of monotonic root fields.
    pub mono: MonoScale,
    /// Smoothing of served time, if configured.
    pub smooth: Option<Smooth>,
    manual: Manual,
    /// The event before this one; its raw time follows our steps.
    last: Now,
}

impl Discipline {
    /// At start: takes over the clock, reads the leap second database and the drift file, and leaves the first
    /// line of the tracking log. Changes of the clock need no announcement, nobody keeps times yet.
    ///
    /// # Errors
    /// The kernel's refusal to tell its frequency.
    pub fn new(
        config: &Config,
        start: &Start<'_>,
        era: Era,
        kernel: &mut dyn Clock,
        random: &mut dyn Random,
        out: &mut Outbox,
    ) -> Result<Self, ClockError> {
        let mono = MonoScale::new(random);
        let mut clock = LocalClock::new(&config.clock, era, kernel)?;
        let now = kernel.now();
        let cooked = clock.cook(now.raw).0;
        let mut cx = Cx {
            now,
            cooked,
            kernel,
            random,
            out,
        };
        let reference = Reference::new(&mut cx, &mut clock, config, start);
        out.changes.clear();
        let sources = Sources::new(
            &config.selection,
            SourcesParams {
                precision: clock.precision(),
                max_clock_error: clock.max_clock_error(),
                log_statistics: config.files.logs.statistics,
                log_selection: config.files.logs.selection,
            },
        );
        Ok(Self {
            clock,
            sources,
            reference,
            mono,
            smooth: config.clock.smooth_time.and_then(Smooth::new),
            manual: Manual::new(config.clock.manual),
            last: now,
        })
    }

    /// A measurement that passed all tests of its source. Its stratum and leap status were handed in with
    /// [`Self::status`].
    pub fn sample(&mut self, cx: &mut Cx<'_>, id: SourceId, sample: &Sample) {
        let there = sample.time.plus(sample.offset.0);
        if self.leap_close(cx)
            || [sample.time, there]
                .iter()
                .any(|t| self.reference.leap_close(t.sec()))
        {
            cx.out.events.push(Event::Sync(SyncEvent::LeapSample));
        } else {
            self.sources.accumulate(cx, id, sample);
        }
        self.select_with(cx, Some(id));
    }

    /// Shifts the reachability register of a source.
    pub fn reachability(&mut self, cx: &mut Cx<'_>, id: SourceId, reached: bool) {
        let unreachable = self.sources.reachability(id, reached);
        self.check_special_mode(cx);
        if unreachable {
            self.select(cx);
        }
    }

    /// Stratum and leap status of a synchronised packet or of a reference clock, before each sample.
    pub fn status(&mut self, cx: &mut Cx<'_>, id: SourceId, stratum: u8, leap: Leap) {
        let close = self.leap_close(cx);
        if self.sources.status_update(id, stratum, leap, close) {
            let vote = self.sources.leap_vote();
            self.reference.update_leap(cx, &mut self.clock, vote);
        }
    }

    /// A source goes online or offline. Offline it forgets its reachability.
    pub fn set_active(&mut self, cx: &mut Cx<'_>, id: SourceId, active: bool) {
        self.sources.set_active(id, active);
        if !active {
            self.sources.reset_reachability(id);
            self.reachability(cx, id, false);
        }
    }

    /// Forgets all about a source but its options.
    pub fn reset_source(&mut self, cx: &mut Cx<'_>, id: SourceId) {
        if self.sources.reset(id) {
            self.select(cx);
        }
    }

    /// Removes a source. One that is online goes offline first, with the selection that belongs to that.
    pub fn remove_source(&mut self, cx: &mut Cx<'_>, id: SourceId) {
        if self.sources.is_active(id) {
            self.set_active(cx, id, false);
        }
        if self.sources.remove(id) {
            self.select(cx);
        }
    }

    /// Command `reset sources` (`spec/sync.md` 4.7): forgets all measurements, keeps the frequency.
    pub fn reset_sources(&mut self, cx: &mut Cx<'_>) {
        for index in 0..self.sources.len() {
            if let Some(id) = self.sources.id_at(index) {
                self.reset_source(cx, id);
            }
        }
        cx.out.events.push(Event::Sync(SyncEvent::ResetAll));
        self.clock
            .external_step(cx, cx.now.raw, cx.cooked, FastBy(0.0), 0.0);
        self.settle(cx);
    }

    /// Command `reselect`.
    pub fn reselect(&mut self, cx: &mut Cx<'_>) {
        self.sources.forget_selected();
        self.select(cx);
    }

    /// Selects anew, without a new sample.
    pub fn select(&mut self, cx: &mut Cx<'_>) {
        self.select_with(cx, None);
    }

    fn select_with(&mut self, cx: &mut Cx<'_>, updated: Option<SourceId>) {
        let env = SelectEnv {
            normal: self.reference.mode().is_normal(),
            orphan_stratum: self.reference.orphan_stratum().unwrap_or(NO_ORPHAN),
        };
        match self.sources.select(cx, updated, env) {
            Outcome::Nothing => {}
            Outcome::Unsynchronise => self.reference.unsynchronise(cx, &mut self.clock),
            Outcome::Update(update) => self.reference.update(cx, &mut self.clock, &update),
        }
        self.settle(cx);
    }

    /// Enters a special mode; to be followed by [`Self::check_special_mode`] when the sources are there.
    pub fn set_mode(&mut self, mode: Mode) {
        self.reference.set_mode(mode);
    }

    /// Ends a special mode if no active source can deliver any more.
    pub fn check_special_mode(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.reference.mode(), Mode::Normal | Mode::Ignore) && self.sources.is_hopeless() {
            self.reference.give_up(cx, &mut self.clock);
            self.settle(cx);
        }
    }

    /// Looks for a jump of the system clock (`spec/sync.md` 9.4). To be called first at every event. What it
    /// leaves in the outbox is to be announced before anything else uses the time of the event.
    pub fn check_jump(&mut self, cx: &mut Cx<'_>) {
        let last = std::mem::replace(&mut self.last, cx.now);
        let Some(jump) = jump(last, cx.now) else {
            return;
        };
        cx.out.events.push(Event::Clock(ClockEvent::Jump(jump > 0.0)));
        let raw = cx.now.raw;
        let unknown = Cooked::new(raw.sec(), raw.nsec());
        self.clock
            .external_step(cx, raw, unknown, FastBy(-jump), jump.abs());
        self.settle(cx);
    }

    /// The clock was changed. To be called once for each change in the outbox, in order, when the handler that
    /// made it has returned; may leave further changes there. Moves the time of the event along.
    pub fn announce(&mut self, cx: &mut Cx<'_>, change: &Change) {
        if change.kind != ChangeKind::UnknownStep {
            cx.cooked = cx.cooked.adjusted(change.cooked, change.dfreq, change.by.0).0;
        }
        if change.kind == ChangeKind::Step {
            cx.now.raw = cx.now.raw.plus(-change.by.0);
            self.last.raw = self.last.raw.plus(-change.by.0);
        }
        self.sources.announce(change);
        self.mono.changed(change, cx.random);
        if change.kind == ChangeKind::UnknownStep {
            self.select(cx);
        }
        self.reference.announce(cx, &mut self.clock, change);
        self.manual.announce(change);
        if let Some(smooth) = &mut self.smooth {
            smooth.announce(cx.out, self.reference.skew(), change);
            if change.kind == ChangeKind::Step && self.clock.take_stepped() {
                smooth.reset(cx.out, cx.cooked);
            }
        }
        self.settle(cx);
    }

    /// Hands the dispersion that changes of frequency have added to those who keep samples.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let dispersion = std::mem::take(&mut cx.out.dispersion);
        if dispersion > 0.0 {
            self.sources.add_dispersion(dispersion);
        }
    }

    /// When [`Self::on_timeout`] wants to be called.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.clock
            .next_wakeup()
            .into_iter()
            .chain(self.reference.next_wakeup())
            .min()
    }

    /// Ends of slews, leap seconds, fallback drifts. May be called at any time.
    pub fn on_timeout(&mut self, cx: &mut Cx<'_>) {
        self.clock.on_timeout(cx);
        let leap = self.reference.on_timeout(cx, &mut self.clock);
        if let (Some(smooth), Some(leap)) = (&mut self.smooth, leap) {
            smooth.leap(cx.out, self.reference.skew(), cx.cooked, leap);
        }
        self.settle(cx);
    }

    /// What to tell clients at cooked time `at`.
    pub fn served(&mut self, at: Cooked, mono: Mono) -> Served {
        self.reference.served(at, mono)
    }

    /// All that serving takes, good until something changes. What is told at a moment is to be asked with
    /// [`Self::served`], or with a copy of the reference.
    #[must_use]
    pub fn served_time(&self) -> ServedTime {
        ServedTime {
            cook: self.clock.snapshot(),
            reference: self.reference.model(),
            smooth: self.smooth,
            quantum: self.clock.precision(),
            precision: self.clock.precision_log(),
            // Smoothing hides leap seconds from clients, so they are not announced.
            hide_leap: self.smooth.is_some() && self.reference.leap_mode() == LeapMode::Slew,
            mono: self.mono,
        }
    }

    /// Entries of time by hand.
    pub fn manual(&mut self) -> &mut Manual {
        &mut self.manual
    }

    /// Command `settime`: it is now `entered`.
    ///
    /// # Errors
    /// Manual input is off, or the entry makes no sense.
    pub fn enter_time(&mut self, cx: &mut Cx<'_>, entered: Cooked) -> Result<ManualReport, ManualError> {
        let report = self
            .manual
            .enter(cx, &mut self.clock, &mut self.reference, entered);
        self.settle(cx);
        report
    }

    /// Command `manual delete`.
    ///
    /// # Errors
    /// There is no such entry.
    pub fn delete_manual(&mut self, cx: &mut Cx<'_>, index: usize) -> Result<ManualReport, ManualError> {
        let report = self
            .manual
            .delete(cx, &mut self.clock, &mut self.reference, index);
        self.settle(cx);
        report
    }

    /// The `tracking` report, of a fresh reading of the clock.
    pub fn tracking(&mut self, cx: &mut Cx<'_>) -> TrackingReport {
        self.reference.tracking(cx, &self.clock)
    }

    /// Begins the end (`spec/sync.md` 6.10): drops the outstanding correction. The change has to be announced,
    /// then sources are dumped, then comes [`Self::finish`].
    pub fn stop(&mut self, cx: &mut Cx<'_>) {
        self.clock.cancel(cx);
        self.settle(cx);
    }

    /// Writes the drift file and leaves the clock with the learned frequency. No source touches the clock from
    /// now on.
    pub fn finish(&mut self, cx: &mut Cx<'_>) {
        self.reference.finish(cx, &mut self.clock);
        self.clock.finish(cx);
    }

    /// True if now is within 5 s of a leap second (`spec/sync.md` 1.4).
    fn leap_close(&self, cx: &Cx<'_>) -> bool {
        self.reference.leap_close(cx.cooked.sec()) || self.reference.leap_close(cx.now.raw.sec())
    }
}
