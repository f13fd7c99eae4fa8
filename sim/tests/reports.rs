//! Reports of a running engine, and who gets which: permissions, limits, bad requests
//! (`spec/command-protocol.md` section 6).

mod common;

use common::{SERVER, access, address, ask, ask_udp, client_config, pair, tracking};
use truechimer_engine::config::{OpenCommands, RateLimit};
use truechimer_engine::io::Peer;
use truechimer_engine::wire::command::{
    AccessList, Address, Reply, Request, SourceMode, SourceState, Status, VERSION,
};
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{NodeSpec, World};

#[test]
fn reports_tell_what_is() {
    let (mut world, node) = pair(client_config());
    let server = address(SERVER);
    let all: Vec<(Status, Reply)> = [
        Request::NSources,
        Request::SourceData(0),
        Request::SourceStats(0),
        Request::SelectData(0),
        Request::Activity,
        Request::NtpData(server),
        Request::AuthData(server),
        Request::SourceName(server),
    ]
    .iter()
    .map(|request| ask(&mut world, node, request))
    .collect();
    assert!(all.iter().all(|(status, _)| *status == Status::Success));
    let report = tracking(&mut world, node);
    assert_eq!((report.address, report.stratum, report.leap), (server, 2, 0));
    assert_eq!(report.ref_id, 0xc0a8_7b01);
    assert!((report.frequency - 100.0).abs() < 1.0, "{report:?}");
    for (_, reply) in all {
        match reply {
            Reply::NSources(n) => assert_eq!(n, 1),
            Reply::Source(r) => {
                assert_eq!((r.address, r.poll, r.stratum), (server, 4, 1));
                assert_eq!((r.state, r.mode), (SourceState::Selected, SourceMode::Client));
                assert_eq!(r.reach, 0xff);
                assert!(r.last_sample.is_some_and(|age| age <= 17));
            }
            Reply::SourceStats(r) => {
                assert_eq!((r.address, r.ref_id), (server, 0xc0a8_7b01));
                assert!(r.samples > 4 && r.span > 16 && r.std_dev < 1e-3, "{r:?}");
            }
            Reply::Select(r) => {
                assert_eq!((r.address, r.state, r.authenticated), (server, b'*', false));
            }
            Reply::Activity(r) => {
                assert_eq!((r.online, r.offline, r.unresolved), (1, 0, 0));
            }
            Reply::NtpData(r) => {
                assert_eq!((r.remote, r.remote_port), (server, 123));
                assert_eq!((r.version, r.mode, r.stratum), (4, 4, 1));
                assert_eq!(r.flags & 0x3ff, 0x3ff);
                assert_eq!((r.tx_origin, r.rx_origin), (b'K', b'K'));
                assert!(r.total_tx >= r.total_good && r.total_good > 4);
                assert!((r.peer_delay - 2e-4).abs() < 1e-5, "{r:?}");
            }
            Reply::Auth(r) => assert_eq!(r.key_id, 0),
            Reply::SourceName(name) => assert_eq!(name.text(), Some(SERVER)),
            other => panic!("{other:?}"),
        }
    }
    for request in [
        Request::SourceData(1),
        Request::SourceStats(99),
        Request::SelectData(u32::MAX),
        Request::NtpData(address("10.0.0.1")),
        Request::AuthData(Address::Id(5)),
        Request::SourceName(Address::Unspecified),
    ] {
        assert_eq!(
            ask(&mut world, node, &request).0,
            Status::NoSuchSource,
            "{request:?}"
        );
    }
}

#[test]
fn only_open_commands_are_answered_over_udp() {
    let (mut world, node) = pair(client_config());
    for (from, request, status) in [
        ("127.0.0.1", Request::Tracking, Some(Status::Success)),
        ("::1", Request::NSources, Some(Status::Success)),
        ("127.0.0.1", Request::ServerStats, Some(Status::Unauthorised)),
        ("127.0.0.1", Request::Shutdown, Some(Status::Unauthorised)),
        (
            "127.0.0.1",
            Request::CheckAccess(AccessList::Ntp, address("10.0.0.1")),
            Some(Status::Unauthorised),
        ),
        ("127.0.0.2", Request::Tracking, None),
        ("10.1.1.1", Request::Tracking, None),
    ] {
        assert_eq!(
            ask_udp(&mut world, node, from, &request),
            status,
            "{from} {request:?}"
        );
    }
    let allow = access(AccessList::Command, true, false, address("10.0.0.0"), 8);
    assert_eq!(ask(&mut world, node, &allow).0, Status::Success);
    assert_eq!(
        ask_udp(&mut world, node, "10.1.1.1", &Request::Tracking),
        Some(Status::Success)
    );
    assert_eq!(
        ask_udp(&mut world, node, "10.1.1.1", &Request::Dump),
        Some(Status::Unauthorised)
    );
    assert_eq!(ask_udp(&mut world, node, "127.0.0.2", &Request::Tracking), None);
    // Nobody to reply to.
    let bytes = Request::Tracking.encode(VERSION, 0, 77);
    assert_eq!(world.command_from(node, Peer::Unix(Vec::new()), &bytes), None);
    assert_eq!(world.exited(node), None);
}

#[test]
fn opencommands_opens_and_closes() {
    let mut config = client_config();
    config.network.open_commands = OpenCommands {
        serverstats: true,
        ..OpenCommands::NONE
    };
    let (mut world, node) = pair(config);
    let status = |world: &mut World, request| ask_udp(world, node, "127.0.0.1", &request);
    assert_eq!(status(&mut world, Request::ServerStats), Some(Status::Success));
    assert_eq!(status(&mut world, Request::Tracking), Some(Status::Unauthorised));
    assert_eq!(status(&mut world, Request::NSources), Some(Status::Unauthorised));
}

#[test]
fn commands_are_limited_in_rate() {
    let mut world = World::new(EPOCH, 1);
    let mut config = server_config(1);
    config.network.cmd_access.push(common::allow_all());
    config.network.cmd_rate_limit = Some(RateLimit {
        interval: -4,
        burst: 8,
        leak: 2,
        kod: 0,
    });
    let node = world.add(NodeSpec::perfect(config)).unwrap();
    world.run(1.0);
    let answered = |world: &mut World, from| {
        let asked = (0..60).map(|_| ask_udp(world, node, from, &Request::Tracking));
        asked.map(|status| status.is_some()).collect::<Vec<_>>()
    };
    let some = answered(&mut world, "127.0.0.21");
    assert!(some[..8].iter().all(|answered| *answered));
    let more = some[8..].iter().filter(|answered| **answered).count();
    assert!((1..40).contains(&more), "{more}");
    assert!(answered(&mut world, "127.0.0.1").iter().all(|answered| *answered));
    let Reply::ServerStats(stats) = ask(&mut world, node, &Request::ServerStats).1 else {
        panic!("no report");
    };
    assert_eq!((stats.cmd_hits, stats.cmd_drops), (121, 52 - more as u64));
}

#[test]
fn bad_headers_are_refused_as_in_example_18() {
    let (mut world, node) = pair(client_config());
    let good = Request::Tracking.encode(VERSION, 0, 77);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let code = |number: u16, length: usize| {
        let mut bytes = good.clone();
        bytes[4..6].copy_from_slice(&number.to_be_bytes());
        bytes.resize(length, 0);
        bytes
    };
    let cases: [(Vec<u8>, Option<u16>); 13] = [
        (good.clone(), Some(0)),
        (with(0, 5), Some(18)),
        (with(0, 7), Some(18)),
        (with(0, 4), None),
        (with(1, 2), None),
        (with(2, 1), None),
        (with(3, 1), None),
        (code(33, 32), Some(19)),
        (code(200, 28), Some(3)),
        (code(0, 104), Some(3)),
        (code(33, 27), None),
        (code(33, 897), None),
        (code(33, 896), Some(0)),
    ];
    for (bytes, status) in cases {
        let reply = world.command(node, &bytes);
        let got = reply
            .as_ref()
            .map(|reply| u16::from_be_bytes([reply[8], reply[9]]));
        assert_eq!(got, status, "{:02x?}", &bytes[..8]);
        if let Some(reply) = reply {
            assert_eq!((reply[0], reply[1]), (6, 2));
            assert!(reply.len() <= bytes.len());
            if status != Some(0) {
                assert_eq!(reply.len(), 28);
            }
        }
    }
}
