//! Timestamps of network cards are worth the same whether requests are answered in batches, one by one or by a worker.

use super::*;
use crate::config::{AccessRule, Subnet};
use crate::io::Origin;
use crate::server::{Answer, Published, Question, ServerStats, Worker};
use crate::sync::testing::{START, SimClock, World};
use crate::sync::update::Update;
use crate::time::{FastBy, NtpTimestamp, PhcReading, PhcTime};
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

/// The clock of a card is ahead of ours by this, s.
const AHEAD: f64 = 37.0;
const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 7], 40_000);

/// A request, and its reply on its way.
#[derive(Clone, Debug)]
struct Exchange {
    /// Seconds since the one before.
    wait: f64,
    interleaved: bool,
    /// What happens to our clock before.
    change: Option<Change>,
    /// How long ago the kernel took the request.
    kernel: Option<f64>,
    /// What a card says of the request and of the reply.
    received: Option<Taken>,
    sent: Vec<Taken>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// s
    Step(f64),
    Update(Update),
}

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    /// The engine, one input for each datagram.
    Engine,
    /// The engine's server, as for a batch.
    Batch,
    /// A worker, from what was published last.
    Worker,
}

#[derive(Clone, Copy, Debug)]
struct Taken {
    interface: u32,
    /// s
    ago: f64,
    length: u32,
}

struct Fixture {
    engine: Engine,
    kernel: SimClock,
    socket: SocketId,
    by: By,
    /// Clocks of cards are read when their timestamps have been used already, as a worker does not wait for it.
    reads_late: bool,
    worker: Worker,
    published: Published,
    /// Receive timestamp of the last reply.
    last: NtpTimestamp,
}

impl Fixture {
    fn new(by: By, reads_late: bool) -> Self {
        let mut config = Config::default();
        config.network.access.push(AccessRule {
            allow: true,
            all: false,
            subnet: Subnet::Any,
        });
        let mut kernel = World::new(1e-5).kernel;
        let worker = Worker::new(&config.network, 0, 1, Box::new(Constant));
        let (options, start) = (EngineOptions::default(), Start::default());
        let mut engine = Engine::new(config, &options, &start, Box::new(Constant), &mut kernel).unwrap();
        for interface in [1, 2] {
            engine.add_hardware(interface, &hardware::tests::config(|_| {}));
        }
        engine.open();
        let mut socket = None;
        while let Some(output) = engine.poll_output(kernel.now(), &mut kernel) {
            if let Output::Open { socket: opened, .. } = output {
                socket.get_or_insert(opened);
            }
        }
        let published = engine.publish(kernel.now());
        Self {
            engine,
            kernel,
            socket: socket.unwrap(),
            by,
            reads_late,
            worker,
            published,
            last: NtpTimestamp::ZERO,
        }
    }

    /// What a card's clock shows. Nobody sets it.
    fn phc(&self) -> PhcTime {
        PhcTime::new(START, 0).plus(self.kernel.elapsed + AHEAD)
    }

    /// What the main loop does after every call of the engine.
    fn publish(&mut self) {
        let now = self.kernel.now();
        if self.engine.publication_due(now) {
            self.published = self.engine.publish(now);
        }
    }

    fn change(&mut self, change: Change) {
        let Self { engine, kernel, .. } = self;
        let now = kernel.now();
        with_cx!(engine, now, kernel, |cx| match change {
            Change::Step(by) => engine.discipline.clock.step(cx, FastBy(by)).unwrap(),
            Change::Update(update) => {
                let ref_time = cx.cooked;
                let Discipline { clock, reference, .. } = &mut engine.discipline;
                reference.update(cx, clock, &Update { ref_time, ..update });
            }
        });
        self.publish();
    }

    /// Reads the clock of a card if it is time.
    fn read(&mut self, interface: u32, now: Now) {
        let is_due = self.engine.is_phc_due(interface, now);
        assert_eq!(self.published.is_phc_due(interface, now), is_due);
        if is_due {
            let reading = PhcReading {
                before: now.raw,
                phc: self.phc(),
                after: now.raw,
            };
            let readings = &[reading];
            let speed = Some(100);
            let input = Input::Phc {
                interface,
                readings,
                speed,
            };
            self.engine.handle(now, &mut self.kernel, input);
            self.publish();
        }
    }

    fn stamp(&self, taken: Taken) -> HardwareStamp {
        HardwareStamp {
            interface: taken.interface,
            at: self.phc().plus(-taken.ago),
            length: taken.length,
        }
    }

    /// What answers many at once.
    fn server(&mut self, now: Now) -> Server<'_> {
        match self.by {
            By::Worker => {
                assert!(self.published.is_valid_at(now));
                self.worker.server(&self.published, now)
            }
            By::Engine | By::Batch => self.engine.server(now, &mut self.kernel),
        }
    }

    /// What was counted where the requests were answered.
    fn stats(&mut self) -> ServerStats {
        match (self.by, self.worker.answer(&Question::Totals)) {
            (By::Worker, Answer::Totals(totals)) => totals.stats,
            _ => self.engine.serving.shard.stats(),
        }
    }

    /// The reply.
    fn exchange(&mut self, exchange: &Exchange) -> Vec<u8> {
        self.kernel.advance(exchange.wait);
        if let Some(change) = exchange.change {
            self.change(change);
        }
        let now = self.kernel.now();
        let originate = if exchange.interleaved {
            self.last
        } else {
            NtpTimestamp::ZERO
        };
        let header = Header {
            version: 4,
            mode: NtpMode::Client,
            originate,
            receive: NtpTimestamp(1),
            transmit: NtpTimestamp(0x1234_5678_9abc_def0),
            ..Header::default()
        };
        let request = Builder::new(&header);
        let (bytes, from) = (request.bytes(), SocketAddr::from(CLIENT));
        let rx = match exchange.kernel {
            Some(ago) => Stamp::new(now.raw.plus(-ago), Origin::Kernel),
            None => Stamp::new(now.raw, Origin::Daemon),
        };
        let received = exchange.received.map(|taken| self.stamp(taken));
        if let Some(stamp) = received.filter(|_| !self.reads_late) {
            self.read(stamp.interface, now);
        }
        let one_by_one = self.by == By::Engine;
        let (reply, token) = if !one_by_one {
            let mut server = self.server(now);
            let card = received.and_then(|stamp| server.convert(&stamp, Direction::Received, now.raw));
            let reply = server.admit(bytes, from, &card.unwrap_or(rx)).unwrap();
            let mut out = [0; MAX_LEN];
            let draft = server.draft(&reply, &mut out).unwrap();
            let written = server.finish(&reply, &draft, now.raw, &mut out).unwrap();
            let token = written.saved.map(Token::Reply);
            assert_eq!(token.is_some(), reply.is_saved());
            assert!(token.is_none_or(|token| token == Token::Reply(draft.receive())));
            (out[..written.length].to_vec(), token)
        } else {
            let input = Input::Datagram {
                on: self.socket,
                from,
                to: None,
                bytes,
                rx,
                hardware: received,
            };
            self.engine.handle(now, &mut self.kernel, input);
            match self.engine.poll_output(now, &mut self.kernel) {
                Some(Output::Send { bytes, token, .. }) => (bytes.to_vec(), token),
                other => panic!("{other:?}"),
            }
        };
        if let Some(stamp) = received.filter(|_| self.reads_late) {
            self.read(stamp.interface, now);
        }
        for taken in &exchange.sent {
            let Some(token) = token else { break };
            if !self.reads_late {
                self.read(taken.interface, now);
            }
            let tx = self.stamp(*taken);
            match token {
                Token::Reply(receive) if !one_by_one => {
                    let mut server = self.server(now);
                    if let Some(tx) = server.convert(&tx, Direction::Sent, now.raw) {
                        server.sent(receive, &tx);
                    }
                }
                _ => self
                    .engine
                    .handle(now, &mut self.kernel, Input::SentHardware { token, tx }),
            }
            if self.reads_late {
                self.read(taken.interface, now);
            }
        }
        self.publish();
        self.last = Packet::parse(&reply).unwrap().header.receive;
        reply
    }
}

fn taken() -> impl Strategy<Value = Taken> {
    let ago = prop_oneof![-1e-4..0.1, -1e-4..0.1, -1e-4..0.1, -3.0..3.0];
    (1_u32..=3, ago, prop_oneof![Just(0_u32), 60..1500_u32]).prop_map(|(interface, ago, length)| Taken {
        interface,
        ago,
        length,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let step = (-2.0..2.0_f64).prop_map(Change::Step);
    prop_oneof![step, worker_tests::update().prop_map(Change::Update)]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        0.01..1.5,
        any::<bool>(),
        prop::option::weighted(0.15, change()),
        prop::option::of(0.0..0.1),
        prop::option::weighted(0.8, taken()),
        prop::collection::vec(taken(), 0..3),
    )
        .prop_map(|(wait, interleaved, change, kernel, received, sent)| Exchange {
            wait,
            interleaved,
            change,
            kernel,
            received,
            sent,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn batches_and_workers_make_the_same_of_them(
        exchanges in prop::collection::vec(exchange(), 1..40),
        many in prop_oneof![Just(By::Batch), Just(By::Worker)],
        reads_late: bool,
    ) {
        let [mut many, mut single] = [many, By::Engine].map(|by| Fixture::new(by, reads_late));
        for exchange in &exchanges {
            prop_assert_eq!(many.exchange(exchange), single.exchange(exchange));
            prop_assert_eq!(many.engine.next_wakeup(), single.engine.next_wakeup());
        }
        prop_assert_eq!(many.stats(), single.stats());
    }
}

#[test]
fn they_are_used() {
    let near = Taken {
        interface: 1,
        ago: 1e-3,
        length: 90,
    };
    let exchange = |change| Exchange {
        wait: 1.1,
        interleaved: true,
        change,
        kernel: Some(1e-4),
        received: Some(near),
        sent: vec![Taken { ago: -1e-5, ..near }],
    };
    for by in [By::Engine, By::Batch, By::Worker] {
        let mut fixture = Fixture::new(by, by == By::Worker);
        for _ in 0..6 {
            fixture.exchange(&exchange(None));
        }
        // Two readings make a line; a reply tells when the one before it left. A worker has the second reading later: its
        // transmit timestamp is the first to be converted.
        let late = u64::from(by == By::Worker);
        let stats = fixture.stats();
        assert_eq!(stats.rx, [0, 1 + late, 5 - late], "{by:?} {stats:?}");
        assert_eq!(
            (stats.tx[0] + stats.tx[1], stats.tx[2]),
            (2, 4),
            "{by:?} {stats:?}"
        );
        // A step moves the card's clock against ours as well, for everybody at once.
        let reply = fixture.exchange(&exchange(Some(Change::Step(1.5))));
        assert_eq!(fixture.stats().rx[2], 6 - late, "{by:?}");
        let now = fixture.kernel.now();
        let (cooked, _) = fixture.engine.discipline.clock.cook(now.raw);
        let received = Packet::parse(&reply).unwrap().header.receive;
        let era = fixture.engine.discipline.clock.era();
        let ago = cooked - era.cooked(received);
        // 1 ms, less the duration of the frame.
        assert!((ago - 1e-3).abs() < 2e-5, "{by:?} {ago}");
    }
}
