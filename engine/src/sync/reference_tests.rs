//! Tests of the reference.

use super::clock::LocalClock;
use super::kernel::{Change, ChangeKind, Clock};
use super::reference::{DriftFile, Reference, Start};
use super::sample::Leap;
use super::served::LOCAL_REFID;
use super::special::Mode;
use super::testing::World;
use super::update::Update;
use crate::config::{Config, FallbackDrift, LocalMode, MakeStep, MaxChange};
use crate::event::record::{Record, Subject};
use crate::io::FileJob;
use crate::time::{Cooked, FastBy, Ppm};
use std::net::IpAddr;

struct Fixture {
    world: World,
    clock: LocalClock,
    reference: Reference,
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

impl Fixture {
    fn new(config: &Config) -> Self {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&config.clock);
        let reference = world.with(|cx| Reference::new(cx, &mut clock, config, &Start::default()));
        Self {
            world,
            clock,
            reference,
        }
    }

    fn now(&mut self) -> Cooked {
        let raw = self.world.kernel.now().raw;
        self.clock.cook(raw).0
    }

    /// An update with an offset (s, positive: fast) and announcement of what it changed.
    fn update(&mut self, offset: f64) {
        self.update_with(offset, |_| {});
    }

    fn update_with(&mut self, offset: f64, change: impl FnOnce(&mut Update)) {
        let mut update = Update {
            stratum: 1,
            leap: Leap::Normal,
            combined: 1,
            refid: 0xc000_0201,
            address: Some(ADDRESS),
            ref_time: self.now(),
            offset: FastBy(offset),
            offset_sd: 20e-6,
            freq: 0.0,
            freq_sd: 1e-7,
            skew: 1e-6,
            root_delay: 1e-3,
            root_dispersion: 1e-4,
        };
        change(&mut update);
        let Self {
            world,
            clock,
            reference,
        } = self;
        world.with(|cx| reference.update(cx, clock, &update));
        self.announce();
    }

    fn announce(&mut self) {
        let Self {
            world,
            clock,
            reference,
        } = self;
        while !world.out.changes.is_empty() {
            for change in std::mem::take(&mut world.out.changes) {
                world.with(|cx| reference.announce(cx, clock, &change));
            }
        }
    }

    fn served(&mut self) -> super::served::Served {
        let (at, mono) = (self.now(), self.world.kernel.now().mono);
        self.reference.served(at, mono)
    }

    fn texts(&mut self) -> Vec<String> {
        std::mem::take(&mut self.world.out.events)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Lets time pass while slews end when they should.
    fn wait(&mut self, seconds: f64) {
        let end = self.world.kernel.now().mono.plus(seconds);
        while let Some(at) = self.clock.next_wakeup().filter(|&at| at <= end) {
            self.world.kernel.advance_to(at);
            self.world.with(|cx| self.clock.on_timeout(cx));
        }
        self.world.kernel.advance_to(end);
    }
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} +- {tolerance}");
}

fn config() -> Config {
    let mut config = Config::default();
    config.files.logs.tracking = true;
    config
}

#[test]
fn first_line_of_the_tracking_log_says_unsynchronised() {
    let fixture = Fixture::new(&config());
    let [Record::Tracking(line)] = fixture.world.out.records.as_slice() else {
        panic!("{:?}", fixture.world.out.records);
    };
    assert_eq!(line.source, Subject::Address("0.0.0.0".parse().unwrap()));
    assert_eq!((line.stratum, line.leap, line.combined), (0, 3, 0));
    assert_eq!((line.skew, line.max_error), (Ppm(1e6), 1.5));
}

#[test]
fn an_update_makes_us_synchronised() {
    let mut fixture = Fixture::new(&config());
    let served = fixture.served();
    assert_eq!(
        (served.stratum, served.leap, served.root_delay),
        (16, Leap::Unsynchronised, 1.0)
    );
    fixture.update(0.01);
    let served = fixture.served();
    assert_eq!(
        (served.stratum, served.leap, served.refid),
        (2, Leap::Normal, 0xc000_0201)
    );
    assert!(served.synchronised);
    near(
        fixture.clock.correction(fixture.world.kernel.now().raw),
        -0.01,
        1e-9,
    );
    let age = fixture.now() - served.ref_time;
    assert!((0.0..=1.0).contains(&age), "{age}");
    let [_, Record::Tracking(line)] = fixture.world.out.records.as_slice() else {
        panic!("{:?}", fixture.world.out.records);
    };
    assert_eq!(
        (line.offset, line.offset_sd, line.combined),
        (FastBy(0.01), 20e-6, 1)
    );
    near(line.max_error, 1.5, 1e-12);

    let report = fixture
        .world
        .with(|cx| fixture.reference.tracking(cx, &fixture.clock));
    assert_eq!((report.address, report.stratum), (Some(ADDRESS), 2));
    assert_eq!((report.last_offset, report.rms_offset), (FastBy(0.01), 0.01));
    near(report.correction.0, -0.01, 1e-9);
    near(report.skew.0, 1.0, 0.01);
}

#[test]
fn dispersion_grows_as_in_example_37() {
    let mut fixture = Fixture::new(&config());
    fixture.update(0.0);
    fixture.reference.model.skew = 1e-6;
    fixture.reference.model.residual = -1e-7;
    let at = fixture.reference.model.ref_time.unwrap().plus(100.0);
    near(fixture.reference.dispersion(at), 3.1e-4, 1e-12);
}

#[test]
fn makestep_counts_updates_and_compares_strictly() {
    let mut config = config();
    config.clock.make_step = Some(MakeStep {
        threshold: 0.5,
        limit: 2,
    });
    let mut fixture = Fixture::new(&config);
    let before = fixture.world.kernel.now().raw;
    fixture.update(2.0);
    near(fixture.world.kernel.now().raw - before, -2.0, 2e-9);
    assert_eq!(
        fixture.texts(),
        [
            "System clock wrong by -2.000000 seconds",
            "System clock was stepped by -2.000000 seconds"
        ]
    );
    fixture.update(0.5);
    near(fixture.clock.correction(before), -0.5, 0.2);
    fixture.update(5.0);
    assert_eq!(fixture.texts(), ["System clock wrong by -5.000000 seconds"]);
}

#[test]
fn a_step_takes_what_is_outstanding_along() {
    let mut config = config();
    config.clock.make_step = Some(MakeStep {
        threshold: 1.0,
        limit: -1,
    });
    let mut fixture = Fixture::new(&config);
    fixture.update(0.9);
    let before = fixture.world.kernel.now().raw;
    fixture.update(0.2);
    near(fixture.world.kernel.now().raw - before, -1.1, 1e-8);
    near(
        fixture.clock.correction(fixture.world.kernel.now().raw),
        0.0,
        1e-8,
    );
}

#[test]
fn restarted_forbids_limited_makestep() {
    let mut world = World::new(0.0);
    let mut config = config();
    config.clock.make_step = Some(MakeStep {
        threshold: 0.1,
        limit: 3,
    });
    let mut clock = world.clock(&config.clock);
    let start = Start {
        restarted: true,
        ..Start::default()
    };
    let reference = world.with(|cx| Reference::new(cx, &mut clock, &config, &start));
    let mut fixture = Fixture {
        world,
        clock,
        reference,
    };
    let before = fixture.world.kernel.now().raw;
    fixture.update(5.0);
    near(fixture.world.kernel.now().raw - before, 0.0, 0.0);
}

#[test]
fn maxchange_lets_some_through_ignores_some_and_ends() {
    let mut config = config();
    config.clock.max_change = Some(MaxChange {
        offset: 1.0,
        start: 1,
        ignore: 1,
    });
    let mut fixture = Fixture::new(&config);
    fixture.update(3.0);
    assert_eq!(fixture.reference.last_offset, FastBy(3.0));
    fixture.texts();
    fixture.update(2.0);
    assert_eq!(fixture.reference.last_offset, FastBy(3.0));
    assert_eq!(
        fixture.texts(),
        ["Adjustment of -2.000 seconds exceeds the allowed maximum of 1.000 seconds (ignored) "]
    );
    assert_eq!(fixture.world.out.exit, None);
    fixture.update(-2.0);
    assert_eq!(
        fixture.texts(),
        ["Adjustment of 2.000 seconds exceeds the allowed maximum of 1.000 seconds (exiting) "]
    );
    assert_eq!(fixture.world.out.exit, Some(1));
}

#[test]
fn an_unknown_step_unsynchronises_and_forgets_the_interval() {
    let mut fixture = Fixture::new(&config());
    fixture.update(0.0);
    fixture.wait(64.0);
    fixture.update(0.0);
    near(fixture.reference.last_interval, 64.0, 1e-6);
    let raw = fixture.world.kernel.now().raw;
    let cooked = fixture.now();
    let change = Change {
        raw,
        cooked,
        dfreq: 0.0,
        by: FastBy(-20.0),
        kind: ChangeKind::UnknownStep,
    };
    let Fixture {
        world,
        clock,
        reference,
    } = &mut fixture;
    world.with(|cx| reference.announce(cx, clock, &change));
    assert_eq!(fixture.served().leap, Leap::Unsynchronised);
    fixture.update(0.0);
    assert_eq!(fixture.reference.last_interval, 0.0);
}

#[test]
fn drift_file_is_read_and_written() {
    let mut world = World::new(0.0);
    let mut config = config();
    config.files.drift_file = Some("drift".to_owned());
    config.files.drift_interval = 100;
    let mut clock = world.clock(&config.clock);
    let file = DriftFile {
        name: "drift",
        text: Some("  12.5 0.25\n"),
    };
    let start = Start {
        drift: Some(file),
        ..Start::default()
    };
    let reference = world.with(|cx| Reference::new(cx, &mut clock, &config, &start));
    near(world.kernel.frequency, 12.5, 1e-9);
    let mut fixture = Fixture {
        world,
        clock,
        reference,
    };
    assert_eq!(
        fixture.texts(),
        ["Frequency 12.500 +/- 0.250 ppm read from drift"]
    );
    fixture.world.out.changes.clear();
    fixture.update(0.0);
    fixture.wait(64.0);
    fixture.update(0.0);
    assert!(fixture.world.out.saves.is_empty());
    fixture.wait(64.0);
    fixture.update(0.0);
    let [FileJob::Drift { frequency, skew }] = fixture.world.out.saves.as_slice() else {
        panic!("{:?}", fixture.world.out.saves);
    };
    near(*frequency, 12.5, 1e-9);
    assert!(*skew > 0.1 && *skew < 1.0);
    let Fixture {
        world,
        clock,
        reference,
    } = &mut fixture;
    world.with(|cx| reference.finish(cx, clock));
    assert_eq!(world.out.saves.len(), 2);
}

#[test]
fn without_a_drift_file_the_kernel_frequency_is_kept() {
    let mut world = World::new(0.0);
    world.kernel.frequency = -3.25;
    let mut clock = world.clock(&config().clock);
    let file = DriftFile {
        name: "drift",
        text: Some("x"),
    };
    let start = Start {
        drift: Some(file),
        ..Start::default()
    };
    world.with(|cx| Reference::new(cx, &mut clock, &config(), &start));
    let texts: Vec<_> = world.out.events.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "Could not read valid frequency and skew from driftfile drift",
            "Initial frequency -3.250 ppm"
        ]
    );
    assert_eq!(world.kernel.frequency, -3.25);
}

#[test]
fn local_mode_serves_when_unsynchronised_or_too_distant() {
    let local = LocalMode {
        stratum: 10,
        orphan: false,
        distance: 0.5,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 10.0,
    };
    let mut config = config();
    config.network.local = Some(local);
    let mut fixture = Fixture::new(&config);
    assert_eq!(fixture.served().stratum, 16);
    fixture.wait(11.0);
    let served = fixture.served();
    assert_eq!(
        (served.stratum, served.refid, served.leap),
        (10, LOCAL_REFID, Leap::Normal)
    );
    assert!(!served.synchronised);
    assert_eq!(fixture.served().ref_time, served.ref_time);
    fixture.wait(70.0);
    assert_ne!(fixture.served().ref_time, served.ref_time);
    fixture.update(0.0);
    assert_eq!(fixture.served().stratum, 2);
    fixture.reference.model.root_delay = 2.0;
    assert_eq!(fixture.served().stratum, 10);

    config.network.local = Some(LocalMode {
        activate: 0.1,
        wait_unsynced: 0.0,
        ..local
    });
    let mut fixture = Fixture::new(&config);
    assert_eq!(fixture.served().stratum, 16);
    fixture.update(0.0);
    assert_eq!(fixture.served().stratum, 2);
    let Fixture {
        world,
        clock,
        reference,
    } = &mut fixture;
    world.with(|cx| reference.unsynchronise(cx, clock));
    assert_eq!(fixture.served().stratum, 10);
}

#[test]
fn a_manual_reference_is_not_synchronised() {
    let mut fixture = Fixture::new(&config());
    fixture.update_with(0.5, |update| {
        update.leap = Leap::Unsynchronised;
        update.address = None;
        update.freq = 1e-5;
        update.skew = 0.099_999_999;
    });
    assert!(!fixture.served().synchronised);
    near(fixture.clock.absolute_frequency().0, 10.0, 1e-9);
    let Some(Record::Tracking(line)) = fixture.world.out.records.last() else {
        panic!("no record");
    };
    assert_eq!((line.source, line.leap), (Subject::RefId(0xc000_0201), 3));
}

#[test]
fn fallback_drift_unsynchronises_when_updates_stop() {
    let mut config = config();
    config.clock.fallback_drift = Some(FallbackDrift { min: 4, max: 4 });
    let mut fixture = Fixture::new(&config);
    for _ in 0..8 {
        fixture.update(0.0);
        fixture.wait(8.0);
    }
    fixture.update(0.0);
    let at = fixture.reference.next_wakeup().unwrap();
    near(at - fixture.world.kernel.now().mono, 16.0, 1e-6);
    fixture.wait(16.0);
    let Fixture {
        world,
        clock,
        reference,
    } = &mut fixture;
    world.with(|cx| reference.on_timeout(cx, clock));
    assert_eq!(reference.next_wakeup(), None);
    assert!(!fixture.served().synchronised);
}

#[test]
fn special_modes_take_one_offset() {
    for (mode, step, text) in [
        (
            Mode::UpdateOnce,
            -0.25,
            "System clock wrong by -0.250000 seconds (step)",
        ),
        (
            Mode::PrintOnce,
            0.0,
            "System clock wrong by -0.250000 seconds (ignored)",
        ),
        (
            Mode::InitStepSlew(0.25),
            -0.25,
            "System's initial offset : 0.250000 seconds fast of true (step)",
        ),
        (
            Mode::InitStepSlew(1.0),
            0.0,
            "System's initial offset : 0.250000 seconds fast of true (slew)",
        ),
    ] {
        let mut fixture = Fixture::new(&config());
        fixture.reference.set_mode(mode);
        let before = fixture.world.kernel.now().raw;
        fixture.update(0.25);
        near(fixture.world.kernel.now().raw - before, step, 2e-9);
        assert_eq!(fixture.texts(), [text]);
        assert_eq!(fixture.reference.take_end(), Some(true));
        assert_eq!(fixture.reference.mode(), Mode::Ignore);
        fixture.update(0.25);
        assert!(fixture.texts().is_empty());
    }
    let mut fixture = Fixture::new(&config());
    fixture.reference.set_mode(Mode::PrintOnce);
    let Fixture {
        world,
        clock,
        reference,
    } = &mut fixture;
    world.with(|cx| reference.give_up(cx, clock));
    assert_eq!(fixture.texts(), ["No suitable source for synchronisation"]);
    assert_eq!(fixture.world.out.exit, Some(1));
}
