//! Small worlds, and requests of the command protocol to their nodes.

#![allow(dead_code, reason = "every test file uses another part")]

use std::net::SocketAddr;
use truechimer_engine::config::{AccessRule, Config, SourceConfig, SourceKind, Subnet};
use truechimer_engine::io::Peer;
use truechimer_engine::time::NtpTimestamp;
use truechimer_engine::wire::command::{
    self, AccessList, Address, Reply, ReplyCode, ReplyHeader, Request, Status, TrackingReport, VERSION,
};
use truechimer_engine::wire::ntp::{Builder, Header, Mode, Packet};
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{NodeId, NodeSpec, World};

/// Address of the first node of a world.
pub(crate) const SERVER: &str = "192.168.123.1";

/// A source that is asked every 16 s, and quickly at the start.
pub(crate) fn source(name: &str) -> SourceConfig {
    SourceConfig {
        iburst: true,
        minpoll: 4,
        maxpoll: 4,
        ..SourceConfig::new(SourceKind::Server, name)
    }
}

/// A configuration with the first node as its source, and no server.
pub(crate) fn client_config() -> Config {
    let mut config = Config::default();
    config.network.port = Some(0);
    config.sources.push(source(SERVER));
    config
}

pub(crate) fn allow_all() -> AccessRule {
    AccessRule {
        allow: true,
        all: false,
        subnet: Subnet::Any,
    }
}

/// A clock that is `offset` s and 100 ppm fast.
pub(crate) fn fast(config: Config, offset: f64) -> NodeSpec {
    NodeSpec {
        offset,
        frequency: 1e-4,
        ..NodeSpec::perfect(config)
    }
}

/// A world with one good server, which is its first node.
pub(crate) fn world() -> World {
    let mut world = World::new(EPOCH, 1);
    world.add(NodeSpec::perfect(server_config(1))).unwrap();
    world
}

/// [`world`] with a client that has been synchronised for a while.
pub(crate) fn pair(config: Config) -> (World, NodeId) {
    let mut world = world();
    let client = world.add(fast(config, 0.0)).unwrap();
    world.run(120.0);
    (world, client)
}

fn decode(bytes: &[u8]) -> (Status, Reply) {
    let header = ReplyHeader::decode(bytes).unwrap();
    let code = ReplyCode::from_number(header.reply).unwrap();
    assert_eq!(header.sequence, 77);
    (header.status, Reply::decode(code, bytes).unwrap())
}

/// What a request on the Unix socket is answered.
pub(crate) fn ask(world: &mut World, node: NodeId, request: &Request) -> (Status, Reply) {
    let reply = world.command(node, &request.encode(VERSION, 0, 77));
    decode(&reply.expect("no reply"))
}

/// What a request over UDP is answered, if it is.
pub(crate) fn ask_udp(world: &mut World, node: NodeId, from: &str, request: &Request) -> Option<Status> {
    let remote = SocketAddr::new(from.parse().unwrap(), 4000);
    let from = Peer::Udp { remote, local: None };
    let reply = world.command_from(node, from, &request.encode(VERSION, 0, 77))?;
    Some(decode(&reply).0)
}

pub(crate) fn tracking(world: &mut World, node: NodeId) -> TrackingReport {
    match ask(world, node, &Request::Tracking) {
        (Status::Success, Reply::Tracking(report)) => report,
        other => panic!("{other:?}"),
    }
}

/// All messages of a node so far.
pub(crate) fn messages(world: &World, node: NodeId) -> Vec<String> {
    world.log(node).map(|(_, event)| event.to_string()).collect()
}

pub(crate) fn has_message(world: &World, node: NodeId, text: &str) -> bool {
    messages(world, node).iter().any(|message| message == text)
}

/// Sends an NTP request from outside of the world, and returns the reply's header.
pub(crate) fn ask_ntp(world: &mut World, node: NodeId, from: &str) -> Option<Header> {
    let request = Header {
        version: 4,
        mode: Mode::Client,
        transmit: NtpTimestamp(0x1234_5678_9abc_def0),
        ..Header::default()
    };
    let from = SocketAddr::new(from.parse().unwrap(), 4000);
    world.take_strays();
    world.inject(node, from, 123, Builder::new(&request).bytes());
    let mut replies = world.take_strays().into_iter().filter(|stray| stray.to == from);
    let bytes = replies.next()?.bytes;
    assert!(replies.next().is_none());
    let header = Packet::parse(&bytes).unwrap().header;
    assert_eq!((header.mode, header.originate), (Mode::Server, request.transmit));
    Some(header)
}

/// An address as chronyc sends it.
pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A request that changes an access list.
pub(crate) fn access(list: AccessList, allow: bool, all: bool, net: Address, bits: i32) -> Request {
    Request::ChangeAccess {
        list,
        allow,
        all,
        subnet: command::Subnet { address: net, bits },
    }
}
