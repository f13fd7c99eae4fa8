//! Nodes, the links between them, and the passing of true time.

use crate::clock::SimClock;
use crate::link::Link;
use crate::node::{EPHEMERAL, Launch, Node, NodeId, NodeSpec, WorldError};
use crate::oscillator::Oscillator;
use crate::random::Draw;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use truechimer_engine::auth::Keys;
use truechimer_engine::config::SourceConfig;
use truechimer_engine::engine::{Engine, EngineOptions};
use truechimer_engine::event::{Event, record::Record};
use truechimer_engine::io::{
    FileJob, Input, Mail, Origin, Output, Peer, QueryId, ResolveError, SocketId, Stamp,
};
use truechimer_engine::sync::kernel::Clock;
use truechimer_engine::sync::leap::LeapFile;
use truechimer_engine::sync::reference::{DriftFile, Start};

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Happening {
    Start,
    Timer {
        serial: u64,
    },
    Arrival {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Answer {
        query: QueryId,
        name: String,
    },
    Wake {
        /// How long the machine was asleep, ns.
        slept: i64,
    },
}

/// A world: true time, nodes, links, names.
pub struct World {
    epoch: i64,
    now: i64,
    nodes: Vec<Node>,
    by_address: BTreeMap<IpAddr, NodeId>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    default_link: Link,
    names: BTreeMap<String, Result<Vec<IpAddr>, ResolveError>>,
    draw: Draw,
    /// Time, serial number (first come first served), node, what.
    queue: BinaryHeap<Reverse<(i64, u64, NodeId, Happening)>>,
    serial: u64,
    keep_records: bool,
    strays: Vec<Stray>,
}

/// A datagram to an address that no node has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stray {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// Payload.
    pub bytes: Vec<u8>,
}

impl World {
    /// An empty world that starts at Unix second `epoch`.
    #[must_use]
    pub fn new(epoch: i64, seed: u64) -> Self {
        Self {
            epoch,
            now: 0,
            nodes: Vec::new(),
            by_address: BTreeMap::new(),
            links: BTreeMap::new(),
            default_link: Link::default(),
            names: BTreeMap::new(),
            draw: Draw::new(seed),
            queue: BinaryHeap::new(),
            serial: 0,
            keep_records: false,
            strays: Vec::new(),
        }
    }

    /// The link of every pair of nodes that has none of its own.
    pub fn set_default_link(&mut self, link: Link) {
        self.default_link = link;
    }

    /// The link from one node to another.
    pub fn set_link(&mut self, from: NodeId, to: NodeId, link: Link) {
        self.links.insert((from, to), link);
    }

    /// What a name resolves to.
    pub fn set_name(&mut self, name: &str, addresses: Vec<IpAddr>) {
        self.names.insert(name.to_owned(), Ok(addresses));
    }

    /// Why a name does not resolve. Without, that is temporary.
    pub fn set_name_error(&mut self, name: &str, error: ResolveError) {
        self.names.insert(name.to_owned(), Err(error));
    }

    /// Keeps the lines of the log files from now on.
    pub fn keep_records(&mut self) {
        self.keep_records = true;
    }

    /// Address that the node with this number has or will have.
    #[must_use]
    pub fn address(node: NodeId) -> IpAddr {
        let n = node.0 + 1;
        IpAddr::V4(Ipv4Addr::new(192, 168, (123 + n / 250) as u8, (n % 250) as u8))
    }

    /// Adds a node; its daemon starts at once.
    ///
    /// # Errors
    /// If the engine refuses the configuration.
    pub fn add(&mut self, spec: NodeSpec) -> Result<NodeId, WorldError> {
        self.launch(spec, Launch::default())
    }

    /// Adds a node that is started in a special way.
    ///
    /// # Errors
    /// If the engine refuses the configuration.
    pub fn launch(&mut self, spec: NodeSpec, launch: Launch) -> Result<NodeId, WorldError> {
        let id = NodeId(self.nodes.len());
        let oscillator =
            Oscillator::new(spec.frequency, spec.wander, self.draw.fork()).at_temperature(spec.temperature);
        let mut clock = SimClock::new(oscillator, self.epoch, spec.offset);
        if spec.no_control {
            clock = clock.without_control();
        }
        clock.advance(self.now, |_, _| {});
        let options = EngineOptions {
            mode: launch.mode,
            family: launch.family,
        };
        let drift_file = spec.config.files.drift_file.clone();
        let zone_name = spec.config.clock.leap_tz.clone();
        let address = spec.address.map_or(Self::address(id), IpAddr::V4);
        let random = Box::new(self.draw.seeded());
        let start = Start {
            leap_list: spec.leap_list.as_ref().map(|list| LeapFile {
                name: "leap-seconds.list",
                contents: Some(list.as_bytes()),
            }),
            drift: drift_file.as_deref().map(|name| DriftFile {
                name,
                text: launch.drift.as_deref(),
            }),
            leap_zone: spec.leap_zone.as_deref().map(|zone| LeapFile {
                name: zone_name.as_deref().unwrap_or(""),
                contents: Some(zone),
            }),
            temp_points: spec.temp_points.as_deref(),
            restarted: launch.restarted,
        };
        let mut engine = Engine::new(spec.config, &options, &start, random, &mut clock)
            .map_err(|error| WorldError::Start(id, error))?;
        if let Some(text) = &spec.keys {
            engine.set_keys(Keys::parse(text, "keys").0);
        }
        engine.set_dumps(launch.dumps.into_iter().collect());
        self.by_address.insert(address, id);
        self.nodes.push(Node {
            engine,
            clock,
            address,
            sockets: BTreeMap::new(),
            next_port: EPHEMERAL,
            wakeup: None,
            asleep_until: None,
            exited: None,
            log: Vec::new(),
            records: Vec::new(),
            drift: None,
            dumps: BTreeMap::new(),
            source_files: launch.source_files,
            mails: Vec::new(),
            no_server_sockets: false,
            replies: Vec::new(),
            sent: 0,
        });
        self.push(self.now, id, Happening::Start);
        Ok(id)
    }

    /// True seconds since the start.
    #[must_use]
    pub fn elapsed(&self) -> f64 {
        1e-9 * self.now as f64
    }

    /// The clock of a node, brought to the present.
    pub fn clock(&mut self, node: NodeId) -> &mut SimClock {
        let clock = &mut self.nodes[node.0].clock;
        clock.advance(self.now, |_, _| {});
        clock
    }

    /// Messages of a node with their true time in seconds.
    pub fn log(&self, node: NodeId) -> impl Iterator<Item = (f64, &Event)> {
        self.nodes[node.0]
            .log
            .iter()
            .map(|(at, event)| (1e-9 * *at as f64, event))
    }

    /// Lines of the node's log files, if they are kept.
    #[must_use]
    pub fn records(&self, node: NodeId) -> &[Record] {
        &self.nodes[node.0].records
    }

    /// Mails that a node has sent.
    #[must_use]
    pub fn mails(&self, node: NodeId) -> &[Mail] {
        &self.nodes[node.0].mails
    }

    /// Last drift file of a node: frequency and skew, ppm.
    #[must_use]
    pub fn drift(&self, node: NodeId) -> Option<(f64, f64)> {
        self.nodes[node.0].drift
    }

    /// Dump files that a node has written and not removed.
    #[must_use]
    pub fn dumps(&self, node: NodeId) -> &BTreeMap<String, String> {
        &self.nodes[node.0].dumps
    }

    /// Changes what the `sourcedir` files of a node say.
    pub fn set_source_files(&mut self, node: NodeId, sources: Vec<SourceConfig>) {
        self.nodes[node.0].source_files = sources;
    }

    /// Lets a node open the sockets of its server, or not.
    pub fn allow_server_sockets(&mut self, node: NodeId, allow: bool) {
        self.nodes[node.0].no_server_sockets = !allow;
    }

    /// True if a node has an unconnected socket on this port.
    #[must_use]
    pub fn is_open(&self, node: NodeId, port: u16) -> bool {
        let mut sockets = self.nodes[node.0].sockets.values();
        sockets.any(|socket| socket.port == port && socket.remote.is_none())
    }

    /// False until the start of a node is past `initstepslew`.
    #[must_use]
    pub fn is_ready(&self, node: NodeId) -> bool {
        self.nodes[node.0].engine.is_ready()
    }

    /// Gives a node one more address.
    pub fn add_address(&mut self, node: NodeId, address: IpAddr) {
        self.by_address.insert(address, node);
    }

    /// Hands a node a datagram from somewhere outside of this world.
    pub fn inject(&mut self, node: NodeId, from: SocketAddr, port: u16, bytes: &[u8]) {
        let to = SocketAddr::new(self.nodes[node.0].address, port);
        let bytes = bytes.to_vec();
        self.clock(node);
        self.happen(node, Happening::Arrival { from, to, bytes });
    }

    /// Datagrams to addresses that no node has, since the last call.
    pub fn take_strays(&mut self) -> Vec<Stray> {
        std::mem::take(&mut self.strays)
    }

    /// Datagrams that a node has sent.
    #[must_use]
    pub fn sent(&self, node: NodeId) -> u64 {
        self.nodes[node.0].sent
    }

    /// Exit status of a node's daemon, if it has ended.
    #[must_use]
    pub fn exited(&self, node: NodeId) -> Option<u8> {
        self.nodes[node.0].exited
    }

    /// Suspends a node: it does and receives nothing for `seconds`, its monotonic clock stands still and its
    /// wall clock is right afterwards, as right as before.
    pub fn suspend(&mut self, node: NodeId, seconds: f64) {
        let slept = (seconds * 1e9) as i64;
        let until = self.now + slept;
        self.nodes[node.0].asleep_until = Some(until);
        self.push(until, node, Happening::Wake { slept });
    }

    /// Sends a request of the command protocol to a node, as if on its Unix socket, and returns the reply.
    pub fn command(&mut self, node: NodeId, request: &[u8]) -> Option<Vec<u8>> {
        self.command_from(node, Peer::Unix(b"/client".to_vec()), request)
    }

    /// Sends a request of the command protocol to a node and returns the reply.
    pub fn command_from(&mut self, node: NodeId, from: Peer, request: &[u8]) -> Option<Vec<u8>> {
        self.clock(node);
        let this = &mut self.nodes[node.0];
        if this.exited.is_some() {
            return None;
        }
        this.replies.clear();
        let now = this.clock.now();
        this.engine
            .handle(now, &mut this.clock, Input::Command { from, bytes: request });
        self.drain(node);
        self.nodes[node.0].replies.pop()
    }

    /// Ends a node's daemon with status 0, as SIGTERM does.
    pub fn stop(&mut self, node: NodeId) {
        self.clock(node);
        if self.nodes[node.0].exited.is_none() {
            self.end(node, 0);
        }
    }

    fn end(&mut self, node: NodeId, status: u8) {
        let this = &mut self.nodes[node.0];
        this.exited = Some(status);
        let now = this.clock.now();
        this.engine.shutdown(now, &mut this.clock);
        self.drain(node);
    }

    /// Lets `seconds` of true time pass.
    pub fn run(&mut self, seconds: f64) {
        self.run_metered(seconds, NodeId(0), |_, _| {});
    }

    /// Lets `seconds` of true time pass; `second` gets every whole true second and the error of `node`'s
    /// clock (s, positive: fast) then.
    pub fn run_metered(&mut self, seconds: f64, node: NodeId, mut second: impl FnMut(i64, f64)) {
        let end = self.now + (seconds * 1e9).round() as i64;
        while let Some(Reverse((at, ..))) = self.queue.peek()
            && *at <= end
        {
            let Some(Reverse((at, _, id, happening))) = self.queue.pop() else {
                break;
            };
            self.now = at;
            if id == node {
                self.nodes[id.0].clock.advance(at, &mut second);
            } else {
                self.nodes[id.0].clock.advance(at, |_, _| {});
            }
            self.happen(id, happening);
        }
        self.now = end;
        for (i, n) in self.nodes.iter_mut().enumerate() {
            if i == node.0 {
                n.clock.advance(end, &mut second);
            } else {
                n.clock.advance(end, |_, _| {});
            }
        }
    }

    fn push(&mut self, at: i64, node: NodeId, what: Happening) -> u64 {
        self.serial += 1;
        self.queue.push(Reverse((at, self.serial, node, what)));
        self.serial
    }

    fn happen(&mut self, id: NodeId, happening: Happening) {
        let node = &mut self.nodes[id.0];
        if node.exited.is_some() {
            return;
        }
        if node.asleep_until.is_some_and(|until| self.now < until) {
            return;
        }
        if let Happening::Wake { slept } = happening {
            node.asleep_until = None;
            node.wakeup = None;
            node.clock.stand_still(slept);
        }
        let now = node.clock.now();
        match happening {
            Happening::Wake { .. } => {}
            Happening::Start => {
                node.engine.open();
                let sources = node.source_files.clone();
                node.engine.start(now, &mut node.clock, sources);
            }
            Happening::Timer { serial } => {
                if node.wakeup.map(|w| w.1) != Some(serial) {
                    return;
                }
                node.wakeup = None;
                if node
                    .engine
                    .next_wakeup()
                    .is_some_and(|deadline| deadline <= now.mono)
                {
                    node.engine.handle(now, &mut node.clock, Input::Timeout);
                }
            }
            Happening::Arrival { from, to, bytes } => {
                let Some(on) = node.socket_for(from, to) else {
                    return;
                };
                let rx = Stamp::new(now.raw, Origin::Kernel);
                let input = Input::Datagram {
                    on,
                    from,
                    to: Some(to.ip()),
                    bytes: &bytes,
                    rx,
                    hardware: None,
                };
                node.engine.handle(now, &mut node.clock, input);
            }
            Happening::Answer { query, name } => {
                let result = match self.names.get(&name) {
                    Some(result) => result.clone(),
                    None => Err(ResolveError::Temporary),
                };
                let input = Input::Resolved {
                    query,
                    result,
                    unreachable: &[],
                };
                node.engine.handle(now, &mut node.clock, input);
            }
        }
        self.drain(id);
    }

    /// Does what the engine wants done, and arms the timer.
    fn drain(&mut self, id: NodeId) {
        loop {
            let node = &mut self.nodes[id.0];
            let now = node.clock.now();
            let Some(output) = node.engine.poll_output(now, &mut node.clock) else {
                break;
            };
            match output {
                Output::Open { socket, spec } => {
                    if !node.open(socket, &spec) {
                        let on = socket;
                        node.engine.handle(now, &mut node.clock, Input::NotOpened { on });
                    }
                }
                Output::Close(socket) => {
                    node.sockets.remove(&socket);
                }
                Output::Send {
                    on,
                    to,
                    from,
                    bytes,
                    token,
                } => {
                    node.sent += 1;
                    if let Some(token) = token {
                        let tx = Stamp::new(now.raw, Origin::Kernel);
                        node.engine
                            .handle(now, &mut node.clock, Input::Sent { token, tx });
                    }
                    self.transmit(id, on, from, to, &bytes);
                }
                Output::Resolve { query, name } => {
                    let at = self.now + 1_000_000;
                    self.push(at, id, Happening::Answer { query, name });
                }
                Output::ReadTemperature(_) => {
                    let temperature = node.clock.oscillator().temperature();
                    node.engine
                        .handle(now, &mut node.clock, Input::Temperature(temperature));
                }
                Output::Mail(mail) => node.mails.push(mail),
                Output::Save(FileJob::Drift { frequency, skew }) => node.drift = Some((frequency, skew)),
                Output::Reply { bytes, .. } => node.replies.push(bytes.to_vec()),
                Output::Log(event) => node.log.push((self.now, event)),
                Output::Record(record) => {
                    if self.keep_records {
                        node.records.push(record);
                    }
                }
                Output::Exit(status) => {
                    if node.exited.is_none() {
                        self.end(id, status);
                    }
                }
                Output::Save(FileJob::Dump { name, text }) => {
                    match text {
                        Some(text) => node.dumps.insert(name, text),
                        None => node.dumps.remove(&name),
                    };
                }
                Output::ReloadSources => {
                    let sources = node.source_files.clone();
                    node.engine.reload_sources(now, &mut node.clock, sources);
                }
                // Nobody signs there.
                Output::Save(FileJob::CycleLogs)
                | Output::Rekey
                | Output::Sign { .. }
                | Output::ReadPhc { .. } => {}
            }
        }
        self.arm(id);
    }

    fn arm(&mut self, id: NodeId) {
        let node = &self.nodes[id.0];
        let Some(deadline) = node.engine.next_wakeup() else {
            self.nodes[id.0].wakeup = None;
            return;
        };
        let at = node.clock.when(deadline);
        if node.wakeup.map(|w| w.0) != Some(at) {
            // The serial number is known only after pushing, and a timer is recognised by it.
            let serial = self.serial + 1;
            self.push(at, id, Happening::Timer { serial });
            self.nodes[id.0].wakeup = Some((at, serial));
        }
    }

    fn transmit(&mut self, from: NodeId, on: SocketId, local: Option<IpAddr>, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.nodes[from.0].sockets.get(&on) else {
            return;
        };
        let local = local.unwrap_or(self.nodes[from.0].address);
        let source = SocketAddr::new(local, socket.port);
        let Some(&target) = self.by_address.get(&to.ip()) else {
            self.strays.push(Stray {
                from: source,
                to,
                bytes: bytes.to_vec(),
            });
            return;
        };
        let link = *self.links.get(&(from, target)).unwrap_or(&self.default_link);
        for delay in link.arrivals(&mut self.draw) {
            let at = self.now + (delay * 1e9).round() as i64;
            self.push(
                at,
                target,
                Happening::Arrival {
                    from: source,
                    to,
                    bytes: bytes.to_vec(),
                },
            );
        }
    }
}
