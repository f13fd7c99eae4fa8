//! Workers answer from what the engine publishes as the engine itself would.

use super::*;
use crate::auth::Keys;
use crate::config::{AccessRule, LeapMode, LocalMode, MakeStep, NetworkConfig, SmoothTime, Subnet};
use crate::io::Origin;
use crate::random::Seeded;
use crate::server::{Answer, Published, Question, Worker};
use crate::sync::sample::Leap;
use crate::sync::testing::{SimClock, World};
use crate::sync::update::Update;
use crate::time::{FastBy, NtpTimestamp};
use crate::wire::ntp::{Builder, Header, MAX_LEN, Mode as NtpMode, Packet};
use proptest::prelude::*;
use std::net::SocketAddr;

/// Two who draw the same get the same, however often each of them has drawn.
struct Constant;

impl Random for Constant {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0x35);
    }
}

/// Something that may change what is served.
#[derive(Clone, Debug)]
enum Event {
    Update(Update),
    Lost,
    Local(Option<LocalMode>),
    MakeStep,
    Step(f64),
    /// Somebody else steps the clock.
    Jump(f64),
    Smooth(bool),
    Access(bool, u32),
    Keys,
    /// A second passes, or many.
    Wait(f64),
}

const CLIENT: [u8; 4] = [192, 0, 2, 7];

fn everybody() -> AccessRule {
    AccessRule {
        allow: true,
        all: false,
        subnet: Subnet::Any,
    }
}

struct Fixture {
    engine: Engine,
    kernel: SimClock,
    worker: Worker,
    published: Option<Published>,
    /// Receive timestamp of the last reply.
    last: NtpTimestamp,
}

impl Fixture {
    fn new(mut config: Config) -> Self {
        config.network.access.push(everybody());
        let mut kernel = World::new(1e-5).kernel;
        let worker = Worker::new(&config.network, 0, 1, Box::new(Constant));
        let options = EngineOptions::default();
        let engine = Engine::new(
            config,
            &options,
            &Start::default(),
            Box::new(Constant),
            &mut kernel,
        );
        Self {
            engine: engine.unwrap(),
            kernel,
            worker,
            published: None,
            last: NtpTimestamp::ZERO,
        }
    }

    fn happen(&mut self, event: &Event) {
        let Self { engine, kernel, .. } = self;
        let now = kernel.now();
        match *event {
            Event::Update(update) => {
                let update = Update {
                    ref_time: engine.discipline.clock.cook(now.raw).0,
                    ..update
                };
                with_cx!(engine, now, kernel, |cx| {
                    let Discipline { clock, reference, .. } = &mut engine.discipline;
                    reference.update(cx, clock, &update);
                });
            }
            Event::Lost => {
                with_cx!(engine, now, kernel, |cx| {
                    let Discipline { clock, reference, .. } = &mut engine.discipline;
                    reference.unsynchronise(cx, clock);
                });
            }
            Event::Local(local) => with_cx!(engine, now, kernel, |cx| engine
                .discipline
                .reference
                .set_local(cx, local)),
            Event::MakeStep => {
                with_cx!(engine, now, kernel, |cx| engine.discipline.clock.make_step(cx)).unwrap();
            }
            Event::Step(by) => {
                let by = FastBy(by);
                with_cx!(engine, now, kernel, |cx| engine.discipline.clock.step(cx, by)).unwrap();
            }
            Event::Jump(by) => kernel.jump(by),
            Event::Smooth(activate) => {
                with_cx!(engine, now, kernel, |cx| {
                    let cooked = cx.cooked;
                    if let Some(smooth) = &mut engine.discipline.smooth {
                        if activate {
                            smooth.activate(cx.out, cooked);
                        } else {
                            smooth.reset(cx.out, cooked);
                        }
                    }
                });
            }
            Event::Access(allow, bits) => {
                let rule = AccessRule {
                    allow,
                    all: true,
                    subnet: Subnet::Net(CLIENT.into(), bits),
                };
                engine.serving.access.apply(&rule).unwrap();
            }
            Event::Keys => engine.set_keys(Keys::default()),
            Event::Wait(seconds) => {
                kernel.advance(seconds);
                while engine.next_wakeup().is_some_and(|at| at <= kernel.now().mono) {
                    engine.handle(kernel.now(), kernel, Input::Timeout);
                }
            }
        }
    }

    /// What the main loop does between two events.
    fn publish(&mut self) {
        // A driver reads the clocks anew for every event, so that a jump is noticed.
        self.engine.server(self.kernel.now(), &mut self.kernel);
        let now = self.kernel.now();
        if self.engine.publication_due(now) {
            self.published = Some(self.engine.publish(now));
            assert!(!self.engine.publication_due(now), "published in vain");
        }
    }

    /// Both answer the same request; true if there was a reply.
    fn ask(&mut self, interleaved: bool) -> bool {
        let now = self.kernel.now();
        let published = self.published.as_ref().unwrap();
        assert!(published.is_valid_at(now));
        let request = Header {
            version: 4,
            mode: NtpMode::Client,
            originate: if interleaved {
                self.last
            } else {
                NtpTimestamp::ZERO
            },
            receive: NtpTimestamp(1),
            transmit: NtpTimestamp(0x1234_5678_9abc_def0),
            ..Header::default()
        };
        let request = Builder::new(&request);
        let (from, rx) = (
            SocketAddr::from((CLIENT, 40_000)),
            Stamp::new(now.raw, Origin::Kernel),
        );
        let late = Stamp::new(now.raw.plus(1e-5), Origin::Kernel);
        let answer = |mut server: Server<'_>| {
            let view = *server.view();
            let told = (view.served, view.cook, view.smoothing, view.hide_leap, view.mono);
            let mut out = [0; MAX_LEN];
            let reply = server.admit(request.bytes(), from, &rx);
            // With timestamps that leave no choice there is none.
            let reply = reply.and_then(|reply| {
                let draft = server.draft(&reply, &mut out)?;
                let written = server.finish(&reply, &draft, now.raw, &mut out)?;
                if let Some(saved) = written.saved {
                    server.sent(saved, &late);
                }
                Some(out[..written.length].to_vec())
            });
            (told, reply)
        };
        let by_main = answer(self.engine.server(now, &mut self.kernel));
        let by_worker = answer(self.worker.server(published, now));
        assert_eq!(by_worker, by_main);
        let reply = by_main.1.map(|bytes| Packet::parse(&bytes).unwrap().header);
        if let Some(reply) = &reply {
            self.last = reply.receive;
        }
        reply.is_some()
    }
}

fn local() -> impl Strategy<Value = Option<LocalMode>> {
    let seconds = || prop_oneof![Just(0.0), Just(20.0), Just(400.0)];
    let distance = || prop_oneof![Just(0.0), Just(1e-3), Just(0.02), Just(1.0)];
    prop::option::of(
        (
            1_u8..16,
            any::<bool>(),
            distance(),
            distance(),
            seconds(),
            seconds(),
        )
            .prop_map(
                |(stratum, orphan, distance, activate, wait_synced, wait_unsynced)| LocalMode {
                    stratum,
                    orphan,
                    distance,
                    activate,
                    wait_synced,
                    wait_unsynced,
                },
            ),
    )
}

pub(super) fn update() -> impl Strategy<Value = Update> {
    let leap = prop_oneof![
        Just(Leap::Normal),
        Just(Leap::Normal),
        Just(Leap::Insert),
        Just(Leap::Unsynchronised)
    ];
    let values = (1_u8..15, leap, any::<u32>(), -0.3..0.3_f64, 1e-9..1e-4_f64);
    (
        values,
        -1e-5..1e-5_f64,
        1e-9..1e-5_f64,
        0.0..0.02_f64,
        0.0..0.02_f64,
    )
        .prop_map(
            |((stratum, leap, refid, offset, offset_sd), freq, skew, root_delay, root_dispersion)| Update {
                stratum,
                leap,
                combined: 1,
                refid,
                address: None,
                ref_time: crate::time::Cooked::default(),
                offset: FastBy(offset),
                offset_sd,
                freq,
                freq_sd: 1e-8,
                skew,
                root_delay,
                root_dispersion,
            },
        )
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![0.0..2.0_f64, 2.0..100.0_f64, 100.0..5000.0_f64];
    prop_oneof![
        4 => update().prop_map(Event::Update),
        1 => Just(Event::Lost),
        1 => local().prop_map(Event::Local),
        1 => Just(Event::MakeStep),
        1 => (-2.0..2.0_f64).prop_map(Event::Step),
        1 => prop_oneof![Just(-3600.0), Just(25.0)].prop_map(Event::Jump),
        1 => any::<bool>().prop_map(Event::Smooth),
        1 => (any::<bool>(), 8_u32..=32).prop_map(|(allow, bits)| Event::Access(allow, bits)),
        1 => Just(Event::Keys),
        6 => wait.prop_map(Event::Wait),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    let smooth = (1.0..1000.0_f64, 0.001..1.0_f64, any::<bool>());
    let smooth = smooth.prop_map(|(max_freq, max_wander, leap_only)| SmoothTime {
        max_freq,
        max_wander,
        leap_only,
    });
    let make_step = prop::option::of(Just(MakeStep {
        threshold: 0.1,
        limit: -1,
    }));
    (local(), prop::option::of(smooth), make_step, any::<bool>()).prop_map(
        |(local, smooth_time, make_step, slew)| {
            let mut config = Config::default();
            config.network.local = local;
            config.clock.smooth_time = smooth_time;
            config.clock.make_step = make_step;
            if slew {
                config.clock.leap_mode = LeapMode::Slew;
            }
            config
        },
    )
}

proptest! {
    /// Whatever happens, `publication_due` notices it, and what was published tells the same as the engine at any
    /// later time, also about timestamps that were saved before the clock was changed.
    #[test]
    fn workers_tell_what_the_engine_tells(
        config in config(),
        events in prop::collection::vec((event(), any::<bool>()), 1..30),
        moments in prop::collection::vec(0.0..300.0_f64, 3),
    ) {
        let mut fixture = Fixture::new(config);
        fixture.publish();
        fixture.ask(false);
        for (event, interleaved) in &events {
            fixture.happen(event);
            fixture.publish();
            fixture.ask(*interleaved);
        }
        // Without anything in between, up to the time at which the engine has something to do.
        for moment in moments {
            let now = fixture.kernel.now().mono;
            let left = fixture.engine.next_wakeup().map_or(f64::INFINITY, |next| next - now);
            fixture.kernel.advance(moment.min(0.9 * left.max(0.0)));
            prop_assert!(!fixture.engine.publication_due(fixture.kernel.now()));
            fixture.ask(true);
        }
    }
}

fn serving() -> Fixture {
    let mut config = Config::default();
    config.network.local = Some(LocalMode {
        stratum: 5,
        orphan: false,
        distance: 1.0,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 0.0,
    });
    let mut fixture = Fixture::new(config);
    fixture.publish();
    fixture
}

#[test]
fn threads_with_other_random_numbers_tell_the_same_reference_time() {
    let mut fixture = serving();
    // Only then do we know our own packets when they come back to us.
    fixture.worker = Worker::new(&Config::default().network, 0, 1, Box::new(Seeded::new(9)));
    let mut told = Vec::new();
    for wait in [0.0, 1.0, 3.0, 30.0, 40.0, 64.0, 65.0, 1000.0, 86_400.0] {
        fixture.happen(&Event::Wait(wait));
        fixture.publish();
        let Fixture {
            engine,
            kernel,
            worker,
            published,
            ..
        } = &mut fixture;
        let now = kernel.now();
        let by_main = engine.server(now, kernel).view().served.ref_time;
        let by_worker = worker
            .server(published.as_ref().unwrap(), now)
            .view()
            .served
            .ref_time;
        assert_eq!(by_worker, by_main);
        let age = engine.discipline.clock.cook(now.raw).0 - by_main;
        assert!((1.0..=64.0).contains(&age), "{age}");
        told.push(by_main);
    }
    told.dedup();
    assert!((5..9).contains(&told.len()), "{told:?}");
}

/// Timestamps that both have saved.
fn saved(fixture: &mut Fixture) -> (u64, u64) {
    let Answer::Totals(worker) = fixture.worker.answer(&Question::Totals) else {
        panic!("no totals");
    };
    (
        fixture.engine.serving.shard.stats().timestamps,
        worker.stats.timestamps,
    )
}

#[test]
fn each_change_of_the_clock_is_applied_once_and_too_many_are_as_unknown() {
    // A late timestamp is undone if there was exactly one change, so the replies tell how many were applied.
    for (changes, publications) in [
        (0, 0),
        (1, 0),
        (1, 3),
        (2, 0),
        (64, 0),
        (64, 5),
        (65, 0),
        (200, 0),
    ] {
        let mut fixture = serving();
        fixture.ask(false);
        fixture.kernel.advance(1.0);
        assert!(fixture.ask(true));
        assert_eq!(saved(&mut fixture), (1, 1));
        for _ in 0..changes {
            fixture.happen(&Event::Step(0.001));
        }
        for _ in 0..=publications {
            let now = fixture.kernel.now();
            fixture.published = Some(fixture.engine.publish(now));
            if changes <= 64 {
                // Asking for the server alone takes the changes over.
                fixture.worker.server(fixture.published.as_ref().unwrap(), now);
            }
        }
        let now = fixture.kernel.now();
        let published = fixture.published.clone().unwrap();
        let late = Stamp::new(now.raw, Origin::Kernel);
        let saved_key = fixture.last;
        fixture
            .engine
            .server(now, &mut fixture.kernel)
            .sent(saved_key, &late);
        fixture.worker.server(&published, now).sent(saved_key, &late);
        if changes <= 64 {
            assert_eq!(saved(&mut fixture), (1, 1), "{changes}");
            fixture.kernel.advance(1.0);
            assert!(fixture.ask(true), "{changes}");
        } else {
            assert_eq!(saved(&mut fixture), (1, 0), "{changes}");
        }
    }
}

#[test]
fn what_is_published_stays_as_it_was() {
    let mut fixture = serving();
    let first = fixture.published.clone().unwrap();
    assert_eq!(first.version(), 1);
    fixture.happen(&Event::Access(false, 32));
    let now = fixture.kernel.now();
    assert!(fixture.engine.publication_due(now));
    let request = Builder::new(&Header {
        version: 4,
        mode: NtpMode::Client,
        ..Header::default()
    });
    let (from, rx) = (
        SocketAddr::from((CLIENT, 40_000)),
        Stamp::new(now.raw, Origin::Kernel),
    );
    let admits = |published: &Published, worker: &mut Worker| {
        worker
            .server(published, now)
            .admit(request.bytes(), from, &rx)
            .is_some()
    };
    assert!(admits(&first, &mut fixture.worker));
    let second = fixture.engine.publish(now);
    assert_eq!(second.version(), 2);
    assert!(!admits(&second, &mut fixture.worker));
}

#[test]
fn a_step_by_somebody_else_is_for_the_main_thread() {
    let mut fixture = serving();
    fixture.kernel.jump(3600.0);
    let now = fixture.kernel.now();
    assert!(!fixture.published.as_ref().unwrap().is_valid_at(now));
    assert!(fixture.engine.publication_due(now));
    // The main thread forgets its reference; local mode goes on.
    fixture.engine.handle(now, &mut fixture.kernel, Input::Timeout);
    fixture.publish();
    assert!(fixture.ask(false));
}

#[test]
fn workers_have_their_own_memory_and_can_go_to_other_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Worker>();
    sent::<Question>();
    sent::<Answer>();
    shared::<Published>();
    assert_eq!(align_of::<Worker>() % 128, 0);
    let network = NetworkConfig::default();
    let [mut first, mut second] = [0, 1].map(|index| Worker::new(&network, index, 2, Box::new(Constant)));
    let mut fixture = serving();
    let (now, published) = (fixture.kernel.now(), fixture.published.clone().unwrap());
    let rx = Stamp::new(now.raw, Origin::Kernel);
    let request = Builder::new(&Header {
        version: 4,
        mode: NtpMode::Client,
        ..Header::default()
    });
    let from = SocketAddr::from((CLIENT, 40_000));
    first
        .server(&published, now)
        .admit(request.bytes(), from, &rx)
        .unwrap();
    let known = |worker: &mut Worker| {
        let question = Question::Clients {
            addresses: vec![CLIENT.into()],
            reset: false,
            now: fixture.engine.discipline.clock.cook(now.raw).0,
        };
        match worker.answer(&question) {
            Answer::Clients(found) => found[0].is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(known(&mut first) && !known(&mut second));
    assert_eq!((first.index(), second.index()), (0, 1));
}
