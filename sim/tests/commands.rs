//! The requests of the command protocol that change something, against a running engine: status, effect, message
//! (`spec/command-protocol.md` section 6).

mod common;

use common::{SERVER, access, address, ask, client_config, messages, pair, tracking, world};
use truechimer_engine::config::{Config, SmoothTime};
use truechimer_engine::time::Cooked;
use truechimer_engine::wire::command::{
    AccessList, AddSource, Address, LocalSettings, ManualMode, Parameter, Reply, Request, SelectBits,
    SmoothTimeAction, SourceFlags, SourceKind, SourceMatch, SourceRef, SourceState, Status, VERSION,
};
use truechimer_sim::scenario::EPOCH;
use truechimer_sim::{NodeId, NodeSpec, World};

fn subnet(text: &str, mask: &str) -> SourceMatch {
    SourceMatch {
        mask: address(mask),
        address: address(text),
    }
}

fn add(kind: SourceKind, name: &str, flags: SourceFlags) -> Request {
    Request::AddSource(Box::new(AddSource {
        flags,
        ..AddSource::new(kind, name)
    }))
}

/// Checks the status of each request and the messages that it causes.
fn check(world: &mut World, node: NodeId, steps: &[(Request, Status, &[&str])]) {
    for (request, status, expected) in steps {
        let before = messages(world, node).len();
        assert_eq!(ask(world, node, request).0, *status, "{request:?}");
        assert_eq!(messages(world, node)[before..], **expected, "{request:?}");
    }
}

#[test]
fn sources_are_switched_and_modified() {
    use Status::{NoSuchSource, Success};
    let (mut world, node) = pair(client_config());
    let none = subnet("10.0.0.0", "255.0.0.0");
    let server = address(SERVER);
    let modify = |parameter| Request::Modify(server, parameter);
    let select = |options| Request::SelectOptions {
        source: SourceRef::Address(server),
        mask: SelectBits::PREFER,
        options,
    };
    let cannot = "Can't synchronise: no selectable sources (1 unreachable sources)";
    let steps: &[(Request, Status, &[&str])] = &[
        (Request::Offline(none), NoSuchSource, &[]),
        (
            Request::Offline(SourceMatch::ALL),
            Success,
            &[cannot, "Source 192.168.123.1 offline"],
        ),
        (Request::Offline(SourceMatch::ALL), Success, &[]),
        (Request::Online(none), NoSuchSource, &[]),
        (
            Request::Online(subnet("192.168.0.0", "255.255.0.0")),
            Success,
            &["Source 192.168.123.1 online"],
        ),
        (
            Request::Burst {
                sources: none,
                good: 1,
                total: 2,
            },
            NoSuchSource,
            &[],
        ),
        (
            Request::Burst {
                sources: SourceMatch::ALL,
                good: 1,
                total: 2,
            },
            Success,
            &[],
        ),
        (
            modify(Parameter::MinPoll(5)),
            Success,
            &[
                "Source 192.168.123.1 new minpoll 5",
                "Source 192.168.123.1 new maxpoll 5",
            ],
        ),
        (modify(Parameter::MinPoll(25)), Success, &[]),
        (
            modify(Parameter::MaxPoll(6)),
            Success,
            &["Source 192.168.123.1 new maxpoll 6"],
        ),
        (
            modify(Parameter::MaxDelay(2000.0)),
            Success,
            &["Source 192.168.123.1 new maxdelay 1000.000000"],
        ),
        (
            modify(Parameter::MaxDelayRatio(-1.0)),
            Success,
            &["Source 192.168.123.1 new maxdelayratio 0.000000"],
        ),
        (
            modify(Parameter::MaxDelayDevRatio(2.5)),
            Success,
            &["Source 192.168.123.1 new maxdelaydevratio 2.500000"],
        ),
        (
            modify(Parameter::MinStratum(3)),
            Success,
            &["Source 192.168.123.1 new minstratum 3"],
        ),
        (
            modify(Parameter::PollTarget(0)),
            Success,
            &["Source 192.168.123.1 new polltarget 1"],
        ),
        (
            Request::Modify(address("10.0.0.1"), Parameter::MinPoll(5)),
            NoSuchSource,
            &[],
        ),
        (
            Request::Offset(SourceRef::Address(server), 0.25),
            Success,
            &["Source 192.168.123.1 new offset 0.250000"],
        ),
        (Request::Offset(SourceRef::RefId(1), 0.25), NoSuchSource, &[]),
        (
            select(SelectBits::PREFER),
            Success,
            &["Source 192.168.123.1 selection options modified"],
        ),
        (select(SelectBits::PREFER), Success, &[]),
        (
            Request::SelectOptions {
                source: SourceRef::RefId(1),
                mask: SelectBits::PREFER,
                options: SelectBits::PREFER,
            },
            NoSuchSource,
            &[],
        ),
        (
            Request::ReselectDistance(1e-3),
            Success,
            &["New reselect distance 0.001000"],
        ),
        (Request::ReselectDistance(1e-3), Success, &[]),
        (Request::Refresh, Success, &[]),
        (Request::OnOffline, Success, &[]),
        (Request::DeleteSource(address("10.0.0.1")), NoSuchSource, &[]),
        (Request::DeleteSource(Address::Unspecified), NoSuchSource, &[]),
    ];
    check(&mut world, node, steps);
    let Reply::Source(report) = ask(&mut world, node, &Request::SourceData(0)).1 else {
        panic!("no report");
    };
    assert_eq!((report.state, report.reach), (SourceState::Nonselectable, 0));
}

#[test]
fn sources_are_added_and_deleted() {
    use Status::{InvalidFamily, InvalidName, NoSuchSource, SourceAlreadyKnown, Success};
    let (mut world, node) = pair(client_config());
    world.set_name("ntp.example", vec![[192, 0, 2, 77].into()]);
    let on = SourceFlags::ONLINE;
    let six = SourceFlags(on.0 | SourceFlags::IPV6.0);
    let server = |name: &str, flags| add(SourceKind::Server, name, flags);
    let steps: &[(Request, Status, &[&str])] = &[
        (server("192.0.2.9", on), Success, &["Added source 192.0.2.9"]),
        (server("192.0.2.9", on), SourceAlreadyKnown, &[]),
        (server("192.0.2.10", six), InvalidFamily, &[]),
        (server("a b", on), InvalidName, &[]),
        (
            server("ntp.example", on),
            Success,
            &["Added source ID#0000000001 (ntp.example)"],
        ),
        (
            add(SourceKind::Pool, "pool.example", on),
            Success,
            &["Added pool pool.example"],
        ),
        (
            add(SourceKind::Peer, "192.0.2.11", on),
            Success,
            &["Added source 192.0.2.11"],
        ),
        (
            Request::DeleteSource(address("192.0.2.9")),
            Success,
            &["Removed source 192.0.2.9"],
        ),
        (Request::DeleteSource(address("192.0.2.9")), NoSuchSource, &[]),
    ];
    check(&mut world, node, steps);
    let Reply::NSources(n) = ask(&mut world, node, &Request::NSources).1 else {
        panic!("no report");
    };
    assert_eq!(n, 1 + 1 + 8 + 1);
    let prefer = |source| Request::SelectOptions {
        source: SourceRef::Address(source),
        mask: SelectBits::PREFER,
        options: SelectBits::PREFER,
    };
    check(
        &mut world,
        node,
        &[(
            prefer(Address::Id(1)),
            Success,
            &["Source ID#0000000001 selection options modified"],
        )],
    );
    world.run(1.0);
    let name = Request::SourceName(address("192.0.2.77"));
    let (Status::Success, Reply::SourceName(name)) = ask(&mut world, node, &name) else {
        panic!("not resolved");
    };
    assert_eq!(name.text(), Some("ntp.example"));
    check(
        &mut world,
        node,
        &[(
            Request::DeleteSource(address("192.0.2.77")),
            Success,
            &["Removed source 192.0.2.77 (ntp.example)"],
        )],
    );
}

#[test]
fn the_clock_is_adjusted() {
    use Status::Success;
    let (mut world, node) = pair(client_config());
    let frequency = tracking(&mut world, node).frequency;
    check(
        &mut world,
        node,
        &[
            (
                Request::AdjustFrequency(1.5),
                Success,
                &["Accumulated delta freq of 1.500ppm"],
            ),
            (
                Request::AdjustOffset(0.25),
                Success,
                &["Accumulated delta offset of 0.250000 seconds"],
            ),
            (
                Request::MaxUpdateSkew(5.0),
                Success,
                &["New maxupdateskew 5.000000 ppm"],
            ),
            (
                Request::SetMakeStep {
                    limit: 3,
                    threshold: 0.1,
                },
                Success,
                &["New makestep 0.100000 3"],
            ),
        ],
    );
    let report = tracking(&mut world, node);
    assert!((report.frequency - frequency - 1.5).abs() < 1e-2, "{report:?}");
    assert!((report.correction + 0.25).abs() < 1e-3, "{report:?}");
    assert_eq!(ask(&mut world, node, &Request::MakeStep).0, Success);
    let stepped = messages(&world, node).pop().unwrap();
    assert!(
        stepped.starts_with("System clock was stepped by -0.2"),
        "{stepped}"
    );
    assert!((world.clock(node).error() + 0.25).abs() < 1e-3);
    let huge = Request::AdjustOffset(1e18);
    assert_eq!(ask(&mut world, node, &huge).0, Status::Failed);
}

#[test]
fn a_clock_out_of_control_is_not_stepped() {
    let mut world = world();
    let spec = NodeSpec {
        no_control: true,
        ..common::fast(client_config(), 0.1)
    };
    let node = world.add(spec).unwrap();
    world.run(60.0);
    assert_eq!(
        ask(&mut world, node, &Request::AdjustOffset(0.1)).0,
        Status::Success
    );
    assert_eq!(ask(&mut world, node, &Request::MakeStep).0, Status::Failed);
    let text = "Could not step system clock".to_owned();
    assert_eq!(messages(&world, node).last(), Some(&text));
}

#[test]
fn local_mode_and_reset() {
    use Status::Success;
    let (mut world, node) = pair(client_config());
    let local = LocalSettings {
        stratum: 8,
        distance: 1.0,
        orphan: false,
        activate: 0.0,
        wait_synced: 0.0,
        wait_unsynced: 0.0,
    };
    let frequency = tracking(&mut world, node).frequency;
    assert_eq!(ask(&mut world, node, &Request::ResetSources).0, Success);
    let reset = messages(&world, node);
    assert!(reset.contains(&"Reset all sources".to_owned()), "{reset:?}");
    let report = tracking(&mut world, node);
    assert_eq!((report.ref_id, report.stratum, report.leap), (0, 0, 3));
    assert!((report.frequency - frequency).abs() < 1e-3);
    check(
        &mut world,
        node,
        &[(
            Request::Local(Some(local)),
            Success,
            &["Enabled local reference mode"],
        )],
    );
    let report = tracking(&mut world, node);
    assert_eq!((report.ref_id, report.stratum, report.leap), (0x7f7f_0101, 8, 0));
    assert_eq!(report.address, Address::Unspecified);
    check(
        &mut world,
        node,
        &[(Request::Local(None), Success, &["Disabled local reference mode"])],
    );
    assert_eq!(tracking(&mut world, node).stratum, 0);
}

#[test]
fn access_lists_are_changed() {
    use Status::{AccessAllowed, AccessDenied, BadSubnet, Success};
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(Config::default())).unwrap();
    world.run(1.0);
    let (ntp, cmd) = (AccessList::Ntp, AccessList::Command);
    let ten = address("10.0.0.0");
    let host = address("10.1.2.3");
    check(
        &mut world,
        node,
        &[
            (Request::CheckAccess(ntp, host), AccessDenied, &[]),
            (
                access(ntp, true, false, ten, 8),
                Success,
                &["Allowed NTP access from 10.0.0.0/8"],
            ),
            (Request::CheckAccess(ntp, host), AccessAllowed, &[]),
            (Request::CheckAccess(cmd, host), AccessDenied, &[]),
            (
                access(ntp, false, true, Address::Unspecified, 0),
                Success,
                &["Denied all NTP access from any address"],
            ),
            (Request::CheckAccess(ntp, host), AccessDenied, &[]),
            (
                access(cmd, true, true, address("2001:db8::1"), 128),
                Success,
                &["Allowed all command access from 2001:db8::1"],
            ),
            (
                Request::CheckAccess(cmd, address("2001:db8::1")),
                AccessAllowed,
                &[],
            ),
            (Request::CheckAccess(cmd, address("127.0.0.1")), AccessDenied, &[]),
            (Request::CheckAccess(cmd, Address::Unspecified), AccessDenied, &[]),
            (access(ntp, true, false, ten, 33), BadSubnet, &[]),
            (access(ntp, true, false, ten, -1), BadSubnet, &[]),
            (access(ntp, true, false, Address::Unspecified, 1), BadSubnet, &[]),
            (access(ntp, true, false, Address::Id(1), 0), BadSubnet, &[]),
        ],
    );
}

#[test]
fn what_is_not_there_says_so() {
    use Status::{BadSample, Inactive, NoRtc, NotEnabled, Success};
    let mut config = client_config();
    config.network.no_client_log = true;
    let (mut world, node) = pair(config);
    let steps: &[(Request, Status, &[&str])] = &[
        (Request::WriteRtc, NoRtc, &[]),
        (Request::TrimRtc, NoRtc, &[]),
        (Request::RtcReport, NoRtc, &[]),
        (Request::Smoothing, NotEnabled, &[]),
        (Request::SmoothTime(SmoothTimeAction::Reset), NotEnabled, &[]),
        (Request::SmoothTime(SmoothTimeAction::Unknown(7)), NotEnabled, &[]),
        (Request::SetTime(Cooked::new(EPOCH, 0)), NotEnabled, &[]),
        (Request::ManualDelete(0), BadSample, &[]),
        (Request::ManualList, Success, &[]),
        (Request::ServerStats, Success, &[]),
        (Request::Dump, Success, &[]),
        (Request::Rekey, Success, &[]),
        (Request::CycleLogs, Success, &[]),
        (
            Request::Clients {
                first: 0,
                count: 8,
                min_hits: 0,
                reset: false,
            },
            Inactive,
            &[],
        ),
    ];
    check(&mut world, node, steps);
    assert!(world.dumps(node).is_empty());
}

#[test]
fn time_is_entered_by_hand() {
    let mut world = World::new(EPOCH, 1);
    let node = world.add(NodeSpec::perfect(Config::default())).unwrap();
    world.run(1.0);
    assert_eq!(
        ask(&mut world, node, &Request::Manual(ManualMode::On)).0,
        Status::Success
    );
    world.run(9.0);
    // The clock is right, but we say that it is half a second slow.
    let (Status::Success, Reply::SetTime(report)) = ask(
        &mut world,
        node,
        &Request::SetTime(Cooked::new(EPOCH + 10, 500_000_000)),
    ) else {
        panic!("not taken");
    };
    assert!((report.offset + 0.5).abs() < 1e-6, "{report:?}");
    let slew = "Making a slew of -0.500000".to_owned();
    assert_eq!(messages(&world, node).last(), Some(&slew));
    let again = Request::SetTime(Cooked::new(EPOCH + 10, 500_000_000));
    assert_eq!(ask(&mut world, node, &again).0, Status::Failed);
    world.run(30.0);
    assert!((world.clock(node).error() - 0.5).abs() < 1e-6);
    let Reply::ManualList(samples) = ask(&mut world, node, &Request::ManualList).1 else {
        panic!("no list");
    };
    assert_eq!(samples.len(), 1);
    assert!(samples[0].slewed.abs() < 1e-6 && (samples[0].original + 0.5).abs() < 1e-6);
    assert_eq!(
        ask(&mut world, node, &Request::ManualDelete(1)).0,
        Status::BadSample
    );
    assert_eq!(
        ask(&mut world, node, &Request::ManualDelete(0)).0,
        Status::Success
    );
    assert_eq!(
        ask(&mut world, node, &Request::Manual(ManualMode::Off)).0,
        Status::Success
    );
    assert_eq!(ask(&mut world, node, &again).0, Status::NotEnabled);
}

#[test]
fn smoothing_is_controlled() {
    use Status::{Invalid, Success};
    let mut config = client_config();
    config.clock.smooth_time = Some(SmoothTime {
        max_freq: 400.0,
        max_wander: 0.01,
        leap_only: true,
    });
    let mut world = world();
    let node = world.add(common::fast(config, 0.0)).unwrap();
    world.run(0.1);
    check(
        &mut world,
        node,
        &[
            (
                Request::SmoothTime(SmoothTimeAction::Activate),
                Success,
                &["Activated time smoothing (leap seconds only)"],
            ),
            (Request::SmoothTime(SmoothTimeAction::Activate), Success, &[]),
            (
                Request::SmoothTime(SmoothTimeAction::Reset),
                Success,
                &["Reset time smoothing"],
            ),
            (Request::SmoothTime(SmoothTimeAction::Unknown(2)), Invalid, &[]),
        ],
    );
    let (Success, Reply::Smoothing(report)) = ask(&mut world, node, &Request::Smoothing) else {
        panic!("no report");
    };
    assert!(report.active && report.leap_only && report.offset == 0.0);
}

#[test]
fn shutdown_is_answered_and_logged() {
    let (mut world, node) = pair(client_config());
    assert_eq!(ask(&mut world, node, &Request::Shutdown).0, Status::Success);
    assert_eq!(world.exited(node), Some(0));
    let text = "Received shutdown command".to_owned();
    assert_eq!(messages(&world, node).last(), Some(&text));
    assert_eq!(
        world.command(node, &Request::Tracking.encode(VERSION, 0, 77)),
        None
    );
}
