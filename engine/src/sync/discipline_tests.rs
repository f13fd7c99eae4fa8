//! End to end: samples of a perfect server, a clock with an error (`spec/sync.md` 11.8).

use super::SourceId;
use super::address::SourceAddress;
use super::cx::Cx;
use super::discipline::Discipline;
use super::kernel::Clock;
use super::manual::ManualError;
use super::reference::Start;
use super::sample::{Leap, Sample};
use super::sources::{Kind, NewSource};
use super::testing::World;
use crate::config::{Config, SelectOptions, SmoothTime};
use crate::event::record::Record;
use crate::time::{Cooked, Era, FastBy, SlowBy};

const SOURCE: SourceId = SourceId(1);
const DELAY: f64 = 2e-3;

struct Fixture {
    world: World,
    discipline: Discipline,
}

impl Fixture {
    /// With one source, an oscillator that is fast by `error` (dimensionless), and a clock that is ahead by
    /// `offset` (s).
    fn new(error: f64, offset: f64, config: &Config) -> Self {
        Self::with_control(true, error, offset, config)
    }

    fn with_control(control: bool, error: f64, offset: f64, config: &Config) -> Self {
        let mut world = World::new(error);
        world.kernel.control = control;
        world.kernel.jump(offset);
        let World { kernel, random, out } = &mut world;
        let era = Era::starting_at(0);
        let mut discipline = Discipline::new(config, &Start::default(), era, kernel, random, out).unwrap();
        discipline.sources.add(NewSource {
            id: SOURCE,
            kind: Kind::Ntp(SourceAddress::Ip([192, 0, 2, 1].into())),
            name: "192.0.2.1".to_owned(),
            refid: 0xc000_0201,
            select: SelectOptions::default(),
            authenticated: false,
            min_samples: -1,
            max_samples: -1,
            min_delay: 0.0,
            asymmetry: 1.0,
            max_unreach: 100_000,
        });
        let mut fixture = Self { world, discipline };
        fixture.event(|d, cx| d.set_active(cx, SOURCE, true));
        fixture
    }

    fn cooked(&mut self) -> Cooked {
        let raw = self.world.kernel.now().raw;
        self.discipline.clock.cook(raw).0
    }

    /// One event of the main loop, with all announcements.
    fn event<T>(&mut self, handler: impl FnOnce(&mut Discipline, &mut Cx<'_>) -> T) -> T {
        let cooked = self.cooked();
        let Self { world, discipline } = self;
        let result = world.at(cooked, |cx| {
            discipline.check_jump(cx);
            announce(discipline, cx);
            let result = handler(discipline, cx);
            announce(discipline, cx);
            result
        });
        assert_eq!(self.world.out.dispersion, 0.0);
        result
    }

    /// Lets time pass until the timers' clock has gone on by `seconds`; timers run.
    fn wait(&mut self, seconds: f64) {
        let end = self.world.kernel.now().mono.plus(seconds);
        while let Some(at) = self.discipline.next_wakeup().filter(|&at| at <= end) {
            self.world.kernel.advance_to(at);
            self.event(Discipline::on_timeout);
        }
        self.world.kernel.advance_to(end);
    }

    /// One exchange with a perfect server, 1 ms each way.
    fn poll(&mut self) {
        let sent = self.cooked();
        self.wait(DELAY);
        let received = self.cooked();
        let middle = sent.plus((received - sent) / 2.0);
        // True time at the middle of the exchange, by the same scale.
        let raw = self.world.kernel.now().raw;
        let fast = self.world.kernel.fast_by() + (received - Cooked::new(raw.sec(), raw.nsec()));
        let rate = (received - sent - DELAY) / 2.0;
        let sample = Sample {
            time: middle,
            offset: SlowBy(-(fast - rate)),
            peer_delay: DELAY,
            peer_dispersion: 1e-6,
            root_delay: DELAY,
            root_dispersion: 1e-6,
        };
        self.event(|d, cx| {
            d.reachability(cx, SOURCE, true);
            d.status(cx, SOURCE, 1, Leap::Normal);
            d.sample(cx, SOURCE, &sample);
        });
    }

    fn texts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.world.out.events)
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn announce(discipline: &mut Discipline, cx: &mut Cx<'_>) {
    while !cx.out.changes.is_empty() {
        for change in std::mem::take(&mut cx.out.changes) {
            discipline.announce(cx, &change);
        }
    }
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} +- {tolerance}");
}

/// Example 47.
#[test]
fn two_updates_bring_the_clock_to_true_time() {
    let mut config = Config::default();
    config.files.logs.tracking = true;
    let mut fixture = Fixture::new(1e-4, 0.1, &config);
    for _ in 0..3 {
        fixture.poll();
        fixture.wait(64.0);
    }
    // Corrected within 1.4 s of the third sample.
    near(fixture.world.kernel.fast_by(), 0.0, 1e-6);
    fixture.poll();
    fixture.wait(64.0);
    let lines: Vec<_> = fixture.world.out.records.iter().collect();
    let [_, Record::Tracking(first), Record::Tracking(second)] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    near(first.offset.0, 0.1128, 1e-4);
    near(first.frequency.0, 99.990, 1e-3);
    assert!(first.skew.0 < 1.0);
    near(second.offset.0, 0.0, 1e-6);
    near(second.frequency.0, 99.990, 0.01);
    for _ in 0..30 {
        fixture.poll();
        fixture.wait(64.0);
        near(fixture.discipline.clock.absolute_frequency().0, 99.990, 0.01);
        near(fixture.world.kernel.fast_by(), 0.0, 1e-6);
    }
    let samples = fixture.discipline.sources.stats(SOURCE).unwrap().samples();
    assert!(samples > 5, "{samples}");
    let texts = fixture.texts();
    assert_eq!(texts, ["Selected source 192.0.2.1"]);
}

#[test]
fn without_control_cooked_time_is_disciplined() {
    let mut fixture = Fixture::with_control(false, 1e-4, 0.1, &Config::default());
    for _ in 0..20 {
        fixture.poll();
        fixture.wait(64.0);
    }
    let raw = fixture.world.kernel.now().raw;
    let correction = fixture.discipline.clock.correction(raw);
    near(fixture.world.kernel.fast_by() + correction, 0.0, 1e-6);
    assert!(fixture.world.kernel.fast_by() > 0.2);
    near(fixture.discipline.clock.absolute_frequency().0, 99.990, 0.01);
}

#[test]
fn a_jump_is_an_unknown_step() {
    let mut fixture = Fixture::new(0.0, 0.0, &Config::default());
    for _ in 0..4 {
        fixture.poll();
        fixture.wait(16.0);
    }
    fixture.texts();
    let now = fixture.world.kernel.now();
    let cooked = fixture.cooked();
    assert!(fixture.discipline.served(cooked, now.mono).synchronised);
    fixture.world.kernel.jump(9.0);
    fixture.event(|_, _| ());
    assert!(fixture.texts().is_empty());
    fixture.world.kernel.jump(-11.0);
    fixture.event(|d, cx| {
        near(
            cx.cooked - Cooked::new(cx.now.raw.sec(), cx.now.raw.nsec()),
            0.0,
            2e-9,
        );
        near(d.clock.correction(cx.now.raw), 0.0, 1e-12);
    });
    assert_eq!(fixture.texts()[0], "Backward time jump detected!");
    assert_eq!(fixture.discipline.sources.stats(SOURCE).unwrap().samples(), 0);
    assert!(!fixture.discipline.served(cooked, now.mono).synchronised);
    fixture.world.kernel.jump(3600.0);
    fixture.event(|_, _| ());
    assert_eq!(fixture.texts()[0], "Forward time jump detected!");
}

#[test]
fn our_own_step_is_no_jump() {
    let mut fixture = Fixture::new(0.0, 0.0, &Config::default());
    fixture.event(|d, cx| d.clock.step(cx, FastBy(100.0))).unwrap();
    fixture.wait(1.0);
    fixture.event(|_, _| ());
    assert!(fixture.texts().is_empty());
}

#[test]
fn resetting_all_sources_drops_the_slew_and_the_reference() {
    let mut fixture = Fixture::new(0.0, 0.5, &Config::default());
    for _ in 0..3 {
        fixture.poll();
        fixture.wait(1.0);
    }
    fixture.event(Discipline::reset_sources);
    let now = fixture.world.kernel.now();
    near(fixture.discipline.clock.correction(now.raw), 0.0, 1e-12);
    let cooked = fixture.cooked();
    assert!(!fixture.discipline.served(cooked, now.mono).synchronised);
    assert!(fixture.texts().contains(&"Reset all sources".to_owned()));
}

#[test]
fn special_mode_ends_when_no_source_is_left() {
    let mut fixture = Fixture::new(0.0, 0.0, &Config::default());
    fixture.discipline.set_mode(super::special::Mode::PrintOnce);
    fixture.event(Discipline::check_special_mode);
    assert_eq!(fixture.world.out.exit, None);
    fixture.event(|d, cx| d.set_active(cx, SOURCE, false));
    assert_eq!(fixture.world.out.exit, Some(1));
    assert_eq!(fixture.texts(), ["No suitable source for synchronisation"]);
}

#[test]
fn the_end_leaves_the_learned_frequency() {
    let mut config = Config::default();
    config.files.drift_file = Some("drift".to_owned());
    let mut fixture = Fixture::new(1e-4, 0.1, &config);
    for _ in 0..3 {
        fixture.poll();
        fixture.wait(16.0);
    }
    fixture.event(Discipline::stop);
    fixture.event(Discipline::finish);
    near(fixture.world.kernel.frequency, 99.99, 0.1);
    assert_eq!(fixture.world.out.saves.len(), 1);
    assert_eq!(fixture.discipline.next_wakeup(), None);
}

#[test]
fn time_entered_by_hand_sets_offset_and_frequency() {
    let config = Config::default();
    let mut fixture = Fixture::new(1e-4, 0.5, &config);
    let truth = |fixture: &Fixture| Cooked::new(super::testing::START, 0).plus(fixture.world.kernel.elapsed);
    let now = truth(&fixture);
    let refused = fixture.event(|d, cx| d.enter_time(cx, now));
    assert_eq!(refused, Err(ManualError::Disabled));
    fixture.discipline.manual().enable(true);
    let report = fixture.event(|d, cx| d.enter_time(cx, now)).unwrap();
    near(report.offset.0, 0.5, 1e-9);
    assert_eq!(report.dfreq.0, 0.0);
    assert_eq!(
        fixture.event(|d, cx| d.enter_time(cx, now)),
        Err(ManualError::TooEarly)
    );
    fixture.wait(1000.0);
    let now = truth(&fixture);
    let report = fixture.event(|d, cx| d.enter_time(cx, now)).unwrap();
    near(report.dfreq.0, 100.0, 0.1);
    near(report.frequency.0, 100.0, 0.1);
    fixture.wait(100.0);
    near(fixture.world.kernel.fast_by(), 0.0, 1e-4);
    let samples = fixture.discipline.manual().samples();
    assert_eq!(samples.len(), 2);
    near(samples[0].original.0, 0.5, 1e-9);
    near(samples[0].residual, 0.0, 1e-9);
    assert_eq!(
        fixture.event(|d, cx| d.delete_manual(cx, 2)),
        Err(ManualError::NoSample)
    );
    fixture.event(|d, cx| d.delete_manual(cx, 0)).unwrap();
    let texts = fixture.texts();
    assert_eq!(texts[0], "Making a slew of 0.500000");
    assert!(texts[1].starts_with("Making a frequency change of "), "{texts:?}");
    assert_eq!(texts[2], "Making a slew of 0.000000");
}

#[test]
fn our_own_step_resets_smoothing() {
    let mut config = Config::default();
    config.clock.smooth_time = Some(SmoothTime {
        max_freq: 400.0,
        max_wander: 0.01,
        leap_only: false,
    });
    let mut fixture = Fixture::new(0.0, 0.0, &config);
    fixture.event(|d, cx| d.smooth.as_mut().unwrap().activate(cx.out, cx.cooked));
    fixture
        .event(|d, cx| d.clock.accumulate_offset(cx, FastBy(0.25), 0.0))
        .unwrap();
    let now = fixture.cooked();
    near(fixture.discipline.served_time().smoothing_offset(now), 0.25, 1e-9);
    fixture.event(|d, cx| d.clock.make_step(cx)).unwrap();
    let now = fixture.cooked();
    near(fixture.discipline.served_time().smoothing_offset(now), 0.0, 0.0);
    assert_eq!(
        fixture.texts().last().map(String::as_str),
        Some("Reset time smoothing")
    );
}
