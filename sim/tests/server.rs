//! The server of an engine: what it tells about its time, whom it answers, what it knows about its clients.

mod common;

use common::{allow_all, ask, ask_ntp, client_config, fast, has_message, pair, source, tracking};
use std::net::{IpAddr, SocketAddr};
use truechimer_engine::config::{
    AddressFamily, Broadcast, Config, RateLimit, SmoothTime, SourceConfig, SourceKind,
};
use truechimer_engine::time::NtpTimestamp;
use truechimer_engine::wire::command::{
    AccessList, Address, NtpDataReport, Reply, Request, ServerStatsReport, Status, Subnet,
};
use truechimer_engine::wire::ntp::{Builder, Header, Mode, Packet};
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Launch, NodeId, NodeSpec, World};

const HOST: &str = "10.9.8.7";

fn serving(mut config: Config) -> Config {
    config.network.port = None;
    config.network.access.push(allow_all());
    config
}

fn access(allow: bool, subnet: &str, bits: i32) -> Request {
    Request::ChangeAccess {
        list: AccessList::Ntp,
        allow,
        all: false,
        subnet: Subnet {
            address: Address::parse(subnet).unwrap(),
            bits,
        },
    }
}

fn stats(world: &mut World, node: NodeId) -> ServerStatsReport {
    match ask(world, node, &Request::ServerStats) {
        (Status::Success, Reply::ServerStats(report)) => report,
        other => panic!("{other:?}"),
    }
}

fn ntp_data(world: &mut World, node: NodeId, of: NodeId) -> NtpDataReport {
    let address = Address::Ip(World::address(of));
    match ask(world, node, &Request::NtpData(address)) {
        (Status::Success, Reply::NtpData(report)) => report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unsynchronised_server_says_so() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(serving(Config::default()))).unwrap();
    world.run(1.0);
    let reply = ask_ntp(&mut world, node, HOST).unwrap();
    assert_eq!((reply.leap, reply.stratum, reply.refid), (3, 0, 0));
    assert!(reply.reference.is_zero());
    assert_eq!((reply.root_delay.0, reply.root_dispersion.0), (0x10000, 0x10000));
}

#[test]
fn local_mode_serves_its_stratum() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(server_config(5))).unwrap();
    world.run(1.0);
    let reply = ask_ntp(&mut world, node, HOST).unwrap();
    assert_eq!((reply.leap, reply.stratum, reply.refid), (0, 5, 0x7f7f_0101));
    assert_eq!((reply.root_delay.0, reply.root_dispersion.0), (0, 0));
    let age = (reply.receive.0 - reply.reference.0) >> 32;
    assert!((1..64).contains(&age), "{age}");
}

#[test]
fn a_synchronised_server_serves_its_source() {
    let (mut world, node) = pair(serving(client_config()));
    let reply = ask_ntp(&mut world, node, HOST).unwrap();
    assert_eq!((reply.leap, reply.stratum), (0, 2));
    assert_eq!(reply.refid, u32::from_be_bytes([192, 168, 123, 1]));
    // Two ways of 100 us, in units of 2^-16 s.
    assert!((10..=15).contains(&reply.root_delay.0), "{reply:?}");
    assert!(
        reply.root_dispersion.0 > 0 && reply.root_dispersion.0 < 100,
        "{reply:?}"
    );
    // Both are fuzzed below the clock's precision.
    let error = reply.transmit.0.wrapping_sub(reply.receive.0) as i64;
    assert!(error.abs() < 1 << 14, "{reply:?}");
}

#[test]
fn access_changes_at_run_time() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(Config::default())).unwrap();
    world.run(1.0);
    assert!(!world.is_open(node, 123));
    assert_eq!(
        ask(&mut world, node, &access(true, "10.0.0.0", 8)).0,
        Status::Success
    );
    assert!(has_message(&world, node, "Allowed NTP access from 10.0.0.0/8"));
    assert!(world.is_open(node, 123));
    assert!(ask_ntp(&mut world, node, HOST).is_some());
    assert!(ask_ntp(&mut world, node, "11.9.8.7").is_none());
    assert_eq!(ask(&mut world, node, &access(false, HOST, 32)).0, Status::Success);
    assert!(has_message(
        &world,
        node,
        &format!("Denied NTP access from {HOST}")
    ));
    assert!(ask_ntp(&mut world, node, HOST).is_none());
    assert!(world.is_open(node, 123));
    // Nothing is left that is allowed.
    assert_eq!(
        ask(&mut world, node, &access(false, "10.0.0.0", 8)).0,
        Status::Success
    );
    assert!(!world.is_open(node, 123));
}

#[test]
fn sockets_come_back() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(Config::default())).unwrap();
    world.allow_server_sockets(node, false);
    world.run(1.0);
    let allow = access(true, "10.0.0.0", 8);
    assert_eq!(ask(&mut world, node, &allow).0, Status::Success);
    assert!(!world.is_open(node, 123));
    world.allow_server_sockets(node, true);
    // Only a new use of the socket tries again.
    ask(&mut world, node, &Request::Tracking);
    assert_eq!(ask(&mut world, node, &allow).0, Status::Success);
    assert!(!world.is_open(node, 123));
    ask(&mut world, node, &access(false, "10.0.0.0", 8));
    assert_eq!(ask(&mut world, node, &allow).0, Status::Success);
    assert!(world.is_open(node, 123));
    // More rounds than there are numbers for sockets.
    for _ in 0..300 {
        ask(&mut world, node, &access(false, "10.0.0.0", 8));
        ask(&mut world, node, &allow);
    }
    assert!(ask_ntp(&mut world, node, HOST).is_some());
}

#[test]
fn no_socket_of_an_unwanted_family() {
    let mut world = World::new(EPOCH, 1);
    let launch = Launch {
        family: AddressFamily::V6,
        ..Launch::default()
    };
    let node = world.launch(NodeSpec::perfect(server_config(1)), launch).unwrap();
    world.run(1.0);
    assert!(!world.is_open(node, 123));
}

#[test]
fn clients_are_logged() {
    let (mut world, _) = pair(client_config());
    let server = NodeId(0);
    assert!(ask_ntp(&mut world, server, HOST).is_some());
    let request = |reset| Request::Clients {
        first: 0,
        count: 8,
        min_hits: 0,
        reset,
    };
    let (status, Reply::Clients(report)) = ask(&mut world, server, &request(true)) else {
        panic!("no report");
    };
    assert_eq!((status, report.next), (Status::Success, report.indices));
    let hits = |report: &truechimer_engine::wire::command::ClientsReport| {
        let mut hits: Vec<_> = report
            .clients
            .iter()
            .map(|c| (c.address.to_string(), c.ntp_hits))
            .collect();
        hits.sort();
        hits
    };
    let before = hits(&report);
    assert_eq!(before[0], (HOST.to_owned(), 1));
    assert_eq!(before[1].0, "192.168.123.2");
    assert_eq!(
        u64::from(before[0].1 + before[1].1),
        stats(&mut world, server).ntp_hits
    );
    let Reply::Clients(report) = ask(&mut world, server, &request(false)).1 else {
        panic!("no report");
    };
    assert!(hits(&report).iter().all(|(_, hits)| *hits == 0));
}

#[test]
fn the_rate_is_limited() {
    let mut world = World::new(EPOCH, 1);
    let mut config = server_config(1);
    config.network.rate_limit = Some(RateLimit {
        interval: 3,
        burst: 4,
        leak: 4,
        kod: 0,
    });
    let node = world.add(NodeSpec::perfect(config)).unwrap();
    world.run(1.0);
    let answers = (0..100)
        .filter(|_| ask_ntp(&mut world, node, HOST).is_some())
        .count();
    assert!((4..30).contains(&answers), "{answers}");
    assert!(ask_ntp(&mut world, node, "10.9.8.8").is_some());
    assert_eq!(stats(&mut world, node).ntp_drops, 100 - answers as u64);
}

#[test]
fn broadcasts_are_sent_at_their_interval() {
    let mut world = World::new(EPOCH, 1);
    let mut config = server_config(3);
    config.network.access.clear();
    let to = SocketAddr::new([192, 168, 255, 255].into(), 123);
    config.network.broadcasts = vec![Broadcast {
        interval: 10,
        address: to.ip(),
        port: 123,
    }];
    let node = world.add(NodeSpec::perfect(config)).unwrap();
    world.run(9.0);
    assert!(world.is_open(node, 123));
    assert!(world.take_strays().is_empty());
    world.run(96.0);
    let sent = world.take_strays();
    assert_eq!(sent.len(), 10);
    for stray in sent {
        assert_eq!((stray.to, stray.from.port()), (to, 123));
        let header = Packet::parse(&stray.bytes).unwrap().header;
        assert_eq!(
            (header.mode, header.stratum, header.poll),
            (Mode::Broadcast, 3, 3)
        );
        assert!(header.originate.is_zero() && header.receive.is_zero());
        let epoch = NtpTimestamp::from_cooked(truechimer_engine::time::Cooked::new(EPOCH, 0), 0);
        let since = header.transmit.0.wrapping_sub(epoch.0) >> 32;
        assert!((10..=105).contains(&since), "{since}");
    }
    // Nobody is answered on the socket of a broadcast.
    assert!(ask_ntp(&mut world, node, HOST).is_none());
}

#[test]
fn interleaved_clients_get_late_timestamps() {
    let mut config = client_config();
    config.sources[0].xleave = true;
    let (mut world, client) = pair(config);
    world.run(600.0);
    let report = ntp_data(&mut world, client, NodeId(0));
    assert_ne!(report.flags & NtpDataReport::INTERLEAVED, 0);
    assert!(report.total_good > 30, "{report:?}");
    let stats = stats(&mut world, NodeId(0));
    assert!(stats.ntp_interleaved_hits > 30, "{stats:?}");
    assert!(stats.kernel_tx > 30 && stats.ntp_timestamps > 0, "{stats:?}");
    assert!(world.clock(client).error().abs() < 1e-4);
}

#[test]
fn interleaved_peers_use_each_other() {
    let mut world = World::new(EPOCH, 1);
    let peer = |other: u32| SourceConfig {
        kind: SourceKind::Peer,
        xleave: true,
        iburst: false,
        ..source(&World::address(NodeId(other as usize)).to_string())
    };
    let mut config = server_config(1);
    config.network.access.clear();
    config.sources.push(peer(1));
    let a = world.add(NodeSpec::perfect(config)).unwrap();
    let mut config = Config::default();
    config.sources.push(peer(0));
    let b = world.add(fast(config, 0.0)).unwrap();
    world.run(1500.0);
    assert!(world.is_open(a, 123) && world.is_open(b, 123));
    assert_eq!(tracking(&mut world, b).stratum, 2);
    for (node, other) in [(a, b), (b, a)] {
        let report = ntp_data(&mut world, node, other);
        assert_ne!(report.flags & NtpDataReport::INTERLEAVED, 0, "{report:?}");
        assert!(report.total_valid > 30, "{report:?}");
    }
    assert!(world.clock(b).error().abs() < 1e-4);
}

#[test]
fn extension_fields_are_exchanged() {
    let mut config = client_config();
    config.sources[0].mono_root = true;
    config.sources[0].net_correction = true;
    let (mut world, client) = pair(config);
    world.run(600.0);
    let report = ntp_data(&mut world, client, NodeId(0));
    assert!(
        report.total_good > 30 && report.total_good == report.total_rx,
        "{report:?}"
    );
    let good = report.total_good;
    // The fields tell the client of the server's step: its old samples stay of use.
    let request = Request::AdjustOffset(0.5);
    assert_eq!(ask(&mut world, NodeId(0), &request).0, Status::Success);
    world.run(200.0);
    assert!(ntp_data(&mut world, client, NodeId(0)).total_good > good);
    let ours = world.clock(client).error();
    let theirs = world.clock(NodeId(0)).error();
    assert!(
        (theirs + 0.5).abs() < 1e-6 && (ours - theirs).abs() < 1e-3,
        "{ours} {theirs}"
    );
}

#[test]
fn requests_of_all_modes_and_versions() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(server_config(1))).unwrap();
    world.run(1.0);
    let from = |port| SocketAddr::new(HOST.parse::<IpAddr>().unwrap(), port);
    let expected = [
        (1, Mode::Undefined, 4000, Some(Mode::Server)),
        (1, Mode::Undefined, 123, None),
        (4, Mode::Undefined, 4000, None),
        (4, Mode::Active, 123, Some(Mode::Passive)),
        (2, Mode::Client, 4000, Some(Mode::Server)),
        (4, Mode::Passive, 4000, None),
        (4, Mode::Server, 4000, None),
        (4, Mode::Broadcast, 4000, None),
        (2, Mode::Control, 4000, None),
        (2, Mode::Private, 4000, None),
    ];
    for (version, mode, port, answer) in expected {
        let request = Header {
            version,
            mode,
            transmit: NtpTimestamp(99),
            ..Header::default()
        };
        world.inject(node, from(port), 123, Builder::new(&request).bytes());
        let replies = world.take_strays();
        let modes: Vec<_> = replies
            .iter()
            .map(|stray| Packet::parse(&stray.bytes).unwrap().header.mode)
            .collect();
        assert_eq!(modes, answer.into_iter().collect::<Vec<_>>(), "{mode:?}");
        assert!(replies.iter().all(|stray| stray.bytes.len() == 48));
    }
}

#[test]
fn served_time_is_smoothed() {
    let mut config = serving(client_config());
    config.clock.smooth_time = Some(SmoothTime {
        max_freq: 400.0,
        max_wander: 0.01,
        leap_only: false,
    });
    let (mut world, node) = pair(config);
    world.run(2000.0);
    assert_eq!(ask(&mut world, node, &Request::Smoothing).0, Status::Success);
    let offline = Request::Offline(truechimer_engine::wire::command::SourceMatch::ALL);
    assert_eq!(ask(&mut world, node, &offline).0, Status::Success);
    // What the clock is slewed by is hidden from clients.
    assert_eq!(
        ask(&mut world, node, &Request::AdjustOffset(0.1)).0,
        Status::Success
    );
    world.run(5.0);
    let (Status::Success, Reply::Smoothing(report)) = ask(&mut world, node, &Request::Smoothing) else {
        panic!("no report");
    };
    assert!(report.active && (report.offset - 0.1).abs() < 1e-2, "{report:?}");
    let reply = ask_ntp(&mut world, node, HOST).unwrap();
    assert_eq!(reply.refid, 0x7f7f_01ff);
    let true_now = truechimer_engine::time::Cooked::new(EPOCH, 0).plus(world.elapsed());
    let served = reply
        .receive
        .0
        .wrapping_sub(NtpTimestamp::from_cooked(true_now, 0).0) as i64;
    let served = served as f64 / 4_294_967_296.0;
    assert!(served.abs() < 1e-2, "{served}");
}
