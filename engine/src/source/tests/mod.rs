//! Sources in a small world: nodes with a clock of their own, scripted servers, virtual time.

mod exchange;
mod names;
mod timing;

use super::{Handled, Manager};
use crate::auth::Keys;
use crate::config::{Config, LocalMode, SourceConfig, SourceKind};
use crate::event::record::{Measurement, Record};
use crate::io::{Origin, Output, QueryId, ResolveError, SocketId, SocketSpec, Stamp, Token};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::sync::kernel::Clock;
use crate::sync::reference::Start;
use crate::sync::testing::World;
use crate::time::{Cooked, Era, Mono, NtpTimestamp};
use crate::wire::ntp::captures::KEYS;
use crate::wire::ntp::{Header, Mode, NtpShort, Packet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// One way through the network, s.
const ONE_WAY: f64 = 50e-6;
const SERVER_SOCKET: SocketId = SocketId(1);
/// Time on the timers' clock when a world begins.
const START: Mono = Mono(1_000_000_000);

/// `192.0.2.x`
fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Address of a node.
fn node_ip(index: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, index as u8 + 1))
}

fn server(name: &str, change: impl FnOnce(&mut SourceConfig)) -> SourceConfig {
    let mut config = SourceConfig::new(SourceKind::Server, name);
    change(&mut config);
    config
}

/// A request on its way.
struct Request<'a> {
    to: SocketAddr,
    bytes: &'a [u8],
    /// When it arrives, by a perfect clock.
    arrival: Cooked,
    /// How many were sent before by this node.
    count: usize,
}

impl Request<'_> {
    fn header(&self) -> Header {
        Packet::parse(self.bytes).unwrap().header
    }

    /// What a good server of stratum 2 replies.
    fn reply(&self) -> Header {
        let request = self.header();
        let stamp = NtpTimestamp::from_cooked(self.arrival, 0);
        Header {
            leap: 0,
            version: request.version,
            mode: Mode::Server,
            stratum: 2,
            poll: request.poll,
            precision: -25,
            root_delay: NtpShort::from_seconds(1.0 / 256.0),
            root_dispersion: NtpShort::from_seconds(1.0 / 256.0),
            refid: 0xc633_6401,
            reference: NtpTimestamp::from_cooked(self.arrival.plus(-10.0), 0),
            originate: request.transmit,
            receive: stamp,
            transmit: NtpTimestamp(stamp.0 + (1 << 12)),
        }
    }
}

/// A server: what it sends back.
type Script = Box<dyn FnMut(&Request<'_>) -> Vec<Vec<u8>>>;

fn silent() -> Script {
    Box::new(|_| Vec::new())
}

fn good() -> Script {
    Box::new(|request| vec![request.reply().write().to_vec()])
}

struct Delivery {
    at: Mono,
    node: usize,
    on: SocketId,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// A daemon without its I/O.
struct Node {
    world: World,
    discipline: Discipline,
    manager: Manager,
    open: Vec<SocketId>,
    /// When (s since the start) what was sent where.
    sent: Vec<(f64, SocketAddr, Vec<u8>)>,
    queries: Vec<(f64, QueryId, String)>,
    events: Vec<(f64, String)>,
    lines: Vec<(f64, Measurement)>,
    /// Handed to the server.
    unknown: usize,
    /// The network refuses everything.
    unreachable: bool,
    /// Most sockets that can be open.
    descriptors: usize,
}

impl Node {
    fn new(seed: u64, local: Option<u8>) -> Self {
        let mut config = Config::default();
        config.files.logs.raw_measurements = true;
        config.network.local = local.map(|stratum| LocalMode {
            stratum,
            orphan: false,
            distance: 1.0,
            activate: 0.0,
            wait_synced: 0.0,
            wait_unsynced: 0.0,
        });
        let mut world = World::new(0.0);
        world.random = crate::random::Seeded::new(seed);
        let World { kernel, random, out } = &mut world;
        let era = Era::starting_at(0);
        let discipline = Discipline::new(&config, &Start::default(), era, kernel, random, out).unwrap();
        out.records.clear();
        let (keys, _) = Keys::parse(KEYS.as_bytes(), "keys");
        let mut manager = Manager::new(&config, 123, Arc::new(keys), SourceId(1));
        manager.set_server_socket(false, Some(SERVER_SOCKET));
        Self {
            world,
            discipline,
            manager,
            open: Vec::new(),
            sent: Vec::new(),
            queries: Vec::new(),
            events: Vec::new(),
            lines: Vec::new(),
            unknown: 0,
            unreachable: false,
            descriptors: usize::MAX,
        }
    }

    fn now(&mut self) -> Mono {
        self.world.kernel.now().mono
    }

    /// One event, with the announcements that follow.
    fn event<T>(&mut self, handler: impl FnOnce(&mut Manager, &mut Cx<'_>, &mut Discipline) -> T) -> T {
        let raw = self.world.kernel.now().raw;
        let cooked = self.discipline.clock.cook(raw).0;
        let (manager, discipline) = (&mut self.manager, &mut self.discipline);
        let result = self.world.at(cooked, |cx| {
            let result = handler(manager, cx, discipline);
            while !cx.out.changes.is_empty() {
                let change = cx.out.changes.remove(0);
                discipline.announce(cx, &change);
                manager.announce(cx, discipline, &change);
            }
            result
        });
        let at = self.now() - START;
        for event in self.world.out.events.drain(..) {
            self.events.push((at, event.to_string()));
        }
        for record in self.world.out.records.drain(..) {
            if let Record::Measurement(line) = record {
                self.lines.push((at, *line));
            }
        }
        result
    }

    fn add(&mut self, config: &SourceConfig) {
        self.event(|m, cx, d| m.add(cx, d, config, false)).unwrap();
    }

    /// The first round of resolving and the start of polling, if all names are literal.
    fn start(&mut self) {
        self.event(|m, cx, _| m.begin_resolving(cx));
        assert!(self.manager.names_tried());
        self.event(Manager::start);
    }

    fn resolve(&mut self, query: QueryId, result: Result<Vec<IpAddr>, ResolveError>) {
        self.resolve_beyond(query, result, &[]);
    }

    /// There is no route to some of the addresses.
    fn resolve_beyond(
        &mut self,
        query: QueryId,
        result: Result<Vec<IpAddr>, ResolveError>,
        unreachable: &[IpAddr],
    ) {
        self.event(|m, cx, d| m.resolved(cx, d, query, result, unreachable));
    }

    /// Times between packets, s.
    fn gaps(&self) -> Vec<f64> {
        self.sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    fn said(&self, text: &str) -> bool {
        self.events.iter().any(|(_, event)| event == text)
    }
}

struct Sim {
    nodes: Vec<Node>,
    script: Script,
    deliveries: Vec<Delivery>,
}

impl Sim {
    fn new(script: Script) -> Self {
        Self {
            nodes: vec![Node::new(1, None)],
            script,
            deliveries: Vec::new(),
        }
    }

    /// One source at 192.0.2.1, started.
    fn with_source(script: Script, change: impl FnOnce(&mut SourceConfig)) -> Self {
        let mut sim = Self::new(script);
        sim.nodes[0].add(&server("192.0.2.1", change));
        sim.nodes[0].start();
        sim.pump();
        sim
    }

    fn node(&mut self) -> &mut Node {
        &mut self.nodes[0]
    }

    /// Does what the nodes want done.
    fn pump(&mut self) {
        for index in 0..self.nodes.len() {
            while let Some(output) = {
                let node = &mut self.nodes[index];
                node.event(Manager::poll_output)
            } {
                self.perform(index, output);
            }
        }
    }

    fn perform(&mut self, index: usize, output: Output) {
        let node = &mut self.nodes[index];
        let now = node.now();
        let at = now - START;
        match output {
            Output::Open { socket, spec } => {
                assert!(matches!(spec, SocketSpec::Client { .. }));
                if node.unreachable || node.open.len() >= node.descriptors {
                    node.event(|m, cx, d| m.not_sent(cx, d, socket));
                } else {
                    node.open.push(socket);
                }
            }
            Output::Close(socket) => node.open.retain(|open| *open != socket),
            Output::Resolve { query, name } => node.queries.push((at, query, name)),
            Output::Send {
                on, to, bytes, token, ..
            } => {
                if node.unreachable {
                    return;
                }
                assert!(
                    on == SERVER_SOCKET || node.open.contains(&on),
                    "sent to a closed socket"
                );
                let tx = Stamp::new(node.world.kernel.now().raw.plus(3e-6), Origin::Kernel);
                let Some(Token::Source(token)) = token else {
                    panic!("{token:?}");
                };
                node.event(|m, cx, d| m.sent(cx, d, token, tx));
                let count = node.sent.len();
                node.sent.push((at, to, bytes.to_vec()));
                let peer = (0..self.nodes.len()).find(|i| node_ip(*i) == to.ip());
                if let Some(peer) = peer {
                    self.deliveries.push(Delivery {
                        at: now.plus(ONE_WAY),
                        node: peer,
                        on: SERVER_SOCKET,
                        from: SocketAddr::new(node_ip(index), 123),
                        bytes: bytes.to_vec(),
                    });
                    return;
                }
                let true_time = Cooked::new(crate::sync::testing::START, 0);
                let request = Request {
                    to,
                    bytes: &bytes,
                    arrival: true_time.plus(at + 3e-6 + ONE_WAY),
                    count,
                };
                for bytes in (self.script)(&request) {
                    self.deliveries.push(Delivery {
                        at: now.plus(3e-6 + 2.0 * ONE_WAY),
                        node: index,
                        on,
                        from: to,
                        bytes,
                    });
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Lets `seconds` (since the start) be reached.
    fn run(&mut self, until: f64) {
        let end = START.plus(until);
        loop {
            let wakeups = self.nodes.iter().enumerate().flat_map(|(i, node)| {
                let timers = [node.manager.next_wakeup(), node.discipline.next_wakeup()];
                timers.into_iter().flatten().map(move |at| (at, i))
            });
            let arrivals = self.deliveries.iter().map(|d| (d.at, d.node));
            let Some((at, index)) = wakeups.chain(arrivals).min().filter(|(at, _)| *at <= end) else {
                break;
            };
            for node in &mut self.nodes {
                node.world.kernel.advance_to(at);
            }
            let due = self.deliveries.iter().position(|d| d.at <= at && d.node == index);
            let node = &mut self.nodes[index];
            if let Some(due) = due {
                let d = self.deliveries.remove(due);
                let rx = Stamp::new(node.world.kernel.now().raw, Origin::Kernel);
                if node.open.contains(&d.on) || d.on == SERVER_SOCKET {
                    let to = Some(node_ip(index));
                    let handled =
                        node.event(|m, cx, disc| m.handle_datagram(cx, disc, d.on, d.from, to, &d.bytes, rx));
                    node.unknown += usize::from(handled == Handled::Unknown);
                }
            } else {
                node.event(|m, cx, d| {
                    d.on_timeout(cx);
                    m.on_timeout(cx, d);
                });
            }
            self.pump();
        }
        for node in &mut self.nodes {
            node.world.kernel.advance_to(end);
        }
    }
}

/// Tests as the log shows them.
fn tests(line: &Measurement) -> String {
    let digits = format!("{:010b}", line.tests);
    format!("{} {} {}", &digits[..3], &digits[3..6], &digits[6..])
}
