//! Timestamps of network cards are worth the same whether requests are answered in batches or one by one.

use super::*;
use crate::config::{AccessRule, Subnet};
use crate::io::Origin;
use crate::sync::testing::{SimClock, World};
use crate::time::{NtpTimestamp, PhcReading, PhcTime, Raw};
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
    /// How long ago the kernel took the request.
    kernel: Option<f64>,
    /// What a card says of the request and of the reply.
    received: Option<Taken>,
    sent: Vec<Taken>,
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
    /// Receive timestamp of the last reply.
    last: NtpTimestamp,
}

impl Fixture {
    fn new() -> Self {
        let mut config = Config::default();
        config.network.access.push(AccessRule {
            allow: true,
            all: false,
            subnet: Subnet::Any,
        });
        let mut kernel = World::new(1e-5).kernel;
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
        Self {
            engine,
            kernel,
            socket: socket.unwrap(),
            last: NtpTimestamp::ZERO,
        }
    }

    fn phc(raw: Raw) -> PhcTime {
        PhcTime::new(raw.sec(), raw.nsec()).plus(AHEAD)
    }

    /// Reads the clock of a card if it is time.
    fn read(&mut self, interface: u32, now: Now) {
        if self.engine.is_phc_due(interface, now) {
            let reading = PhcReading {
                before: now.raw,
                phc: Self::phc(now.raw),
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
        }
    }

    fn stamp(taken: Taken, now: Now) -> HardwareStamp {
        HardwareStamp {
            interface: taken.interface,
            at: Self::phc(now.raw.plus(-taken.ago)),
            length: taken.length,
        }
    }

    /// The reply, made in a batch or not.
    fn exchange(&mut self, exchange: &Exchange, batch: bool) -> Vec<u8> {
        self.kernel.advance(exchange.wait);
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
        let received = exchange.received.map(|taken| Self::stamp(taken, now));
        if let Some(stamp) = &received {
            self.read(stamp.interface, now);
        }
        let (reply, token) = if batch {
            let mut server = self.engine.server(now, &mut self.kernel);
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
        for taken in &exchange.sent {
            let Some(token) = token else { break };
            self.read(taken.interface, now);
            let tx = Self::stamp(*taken, now);
            match token {
                Token::Reply(receive) if batch => {
                    let mut server = self.engine.server(now, &mut self.kernel);
                    if let Some(tx) = server.convert(&tx, Direction::Sent, now.raw) {
                        server.sent(receive, &tx);
                    }
                }
                _ => self
                    .engine
                    .handle(now, &mut self.kernel, Input::SentHardware { token, tx }),
            }
        }
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

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        0.01..1.5,
        any::<bool>(),
        prop::option::of(0.0..0.1),
        prop::option::weighted(0.8, taken()),
        prop::collection::vec(taken(), 0..3),
    )
        .prop_map(|(wait, interleaved, kernel, received, sent)| Exchange {
            wait,
            interleaved,
            kernel,
            received,
            sent,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn batches_make_the_same_of_them(exchanges in prop::collection::vec(exchange(), 1..40)) {
        let (mut batch, mut single) = (Fixture::new(), Fixture::new());
        for exchange in &exchanges {
            prop_assert_eq!(batch.exchange(exchange, true), single.exchange(exchange, false));
            prop_assert_eq!(batch.engine.next_wakeup(), single.engine.next_wakeup());
        }
        prop_assert_eq!(batch.engine.serving.shard.stats(), single.engine.serving.shard.stats());
    }
}

#[test]
fn they_are_used() {
    let mut fixture = Fixture::new();
    let near = Taken {
        interface: 1,
        ago: 1e-3,
        length: 90,
    };
    let exchange = Exchange {
        wait: 1.1,
        interleaved: true,
        kernel: Some(1e-4),
        received: Some(near),
        sent: vec![Taken { ago: -1e-5, ..near }],
    };
    for _ in 0..6 {
        fixture.exchange(&exchange, true);
    }
    let stats = fixture.engine.serving.shard.stats();
    // Two readings make a line; a reply tells when the one before it left.
    assert_eq!(stats.rx, [0, 1, 5], "{stats:?}");
    assert_eq!((stats.tx[0] + stats.tx[1], stats.tx[2]), (2, 4), "{stats:?}");
}
