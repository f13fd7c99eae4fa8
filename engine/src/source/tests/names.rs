//! Names, pools, replacement, reload (`spec/ntp.md` sections 2.15, 2.16, `spec/config.md` 4.3, 5.2.1).

use super::*;
use crate::config::AddressFamily;
use crate::source::{Activity, AddError, Association, SourceAddress};

fn pool(name: &str, max_sources: i32) -> SourceConfig {
    let mut config = SourceConfig::new(SourceKind::Pool, name);
    (config.max_sources, config.iburst) = (max_sources, true);
    config
}

fn begin(sim: &mut Sim) {
    sim.node().event(|m, cx, _| m.begin_resolving(cx));
    sim.pump();
}

/// Answers the newest query.
fn answer(sim: &mut Sim, result: Result<Vec<IpAddr>, ResolveError>) {
    let query = sim.node().queries.last().unwrap().1;
    sim.node().resolve(query, result);
    sim.pump();
}

/// The same, with addresses (last octets) of which some are `beyond` all routes.
fn answer_beyond(sim: &mut Sim, addresses: &[u8], beyond: &[u8]) {
    let query = sim.node().queries.last().unwrap().1;
    let ips = |octets: &[u8]| -> Vec<IpAddr> { octets.iter().copied().map(ip).collect() };
    sim.node().resolve_beyond(query, Ok(ips(addresses)), &ips(beyond));
    sim.pump();
}

/// Addresses of all sources that have one.
fn addresses(sim: &Sim) -> Vec<IpAddr> {
    let associations = sim.nodes[0].manager.associations();
    associations.filter_map(|a| a.address().ip()).collect()
}

#[test]
fn names_are_tried_again_at_growing_intervals() {
    let mut sim = Sim::new(silent());
    sim.node().add(&server("a.example", |_| {}));
    sim.node().add(&server("b.example", |_| {}));
    begin(&mut sim);
    let mut rounds = Vec::new();
    for _ in 0..10 {
        // One at a time, in the order of addition.
        let (at, _, name) = sim.node().queries.last().unwrap().clone();
        assert_eq!(name, "a.example");
        rounds.push(at);
        answer(&mut sim, Err(ResolveError::Temporary));
        assert_eq!(sim.node().queries.last().unwrap().2, "b.example");
        answer(&mut sim, Err(ResolveError::Temporary));
        let before = sim.node().queries.len();
        while sim.node().queries.len() == before {
            let next = sim.node().manager.next_wakeup().unwrap() - START;
            sim.run(next + 1e-6);
        }
    }
    let gaps: Vec<f64> = rounds
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).round())
        .collect();
    assert_eq!(
        gaps,
        [28.0, 56.0, 112.0, 224.0, 448.0, 896.0, 1792.0, 3584.0, 3584.0]
    );
    let warning = "Could not resolve any hostnames yet (misconfigured DNS?)";
    let warnings: Vec<f64> = sim.nodes[0]
        .events
        .iter()
        .filter(|(_, event)| event == warning)
        .map(|(at, _)| at.round())
        .collect();
    assert_eq!(warnings, [3556.0]);
}

#[test]
fn polling_waits_for_the_first_round() {
    let mut sim = Sim::new(silent());
    sim.node().add(&server("192.0.2.1", |_| {}));
    sim.node().add(&server("a.example", |_| {}));
    begin(&mut sim);
    assert!(!sim.node().manager.names_tried());
    sim.run(5.0);
    assert!(sim.node().sent.is_empty());
    answer(&mut sim, Ok(vec![ip(1), ip(2)]));
    assert!(sim.node().manager.names_tried());
    sim.node().event(Manager::start);
    sim.run(6.0);
    let to: Vec<IpAddr> = sim.node().sent.iter().map(|(_, to, _)| to.ip()).collect();
    // The address that is in use already was passed over.
    assert_eq!(to, [ip(1), ip(2)]);
    assert_eq!(sim.node().manager.next_wakeup().map(|at| at.0 > 0), Some(true));
}

#[test]
fn a_family_is_kept_to() {
    let mut sim = Sim::new(silent());
    sim.node()
        .add(&server("a.example", |c| c.family = AddressFamily::V6));
    begin(&mut sim);
    answer(&mut sim, Ok(vec![ip(1)]));
    assert_eq!(sim.node().manager.activity().unresolved, 1);
    let config = server("::1", |c| c.family = AddressFamily::V4);
    let refused = sim.node().event(|m, cx, d| m.add(cx, d, &config, true));
    assert_eq!(refused, Err(AddError::InvalidAddress));
}

#[test]
fn a_name_without_usable_address_is_given_up() {
    let mut sim = Sim::new(silent());
    sim.node().add(&server("fe80::1%lo", |_| {}));
    begin(&mut sim);
    answer(&mut sim, Err(ResolveError::NoAddress));
    assert!(sim.node().said("Invalid host fe80::1%lo"));
    assert!(sim.node().manager.names_tried());
    assert_eq!(sim.node().manager.next_wakeup(), None);
}

#[test]
fn what_cannot_be_added_is_told() {
    let mut sim = Sim::new(silent());
    let mut add = |config: &SourceConfig| sim.nodes[0].event(|m, cx, d| m.add(cx, d, config, true));
    assert!(add(&server("192.0.2.1", |_| {})).is_ok());
    assert_eq!(add(&server("192.0.2.1", |c| c.port = 11)), Err(AddError::InUse));
    assert_eq!(add(&server("bad name", |_| {})), Err(AddError::InvalidName));
    assert!(add(&server("a.example", |c| c.key = 99)).is_ok());
    assert!(add(&pool("p.example", 2)).is_ok());
    assert!(add(&pool("192.0.2.9", 2)).is_ok());
    let configured = server("192.0.2.1", |_| {});
    sim.node().event(|m, cx, d| m.add_configured(cx, d, &configured));
    let events: Vec<&str> = sim.nodes[0].events.iter().map(|(_, e)| e.as_str()).collect();
    assert_eq!(
        events,
        [
            "Added source 192.0.2.1",
            "Key 99 is missing",
            "Added source ID#0000000001 (a.example)",
            "Added pool p.example",
            "Added source 192.0.2.9",
            "Could not add source 192.0.2.1",
        ]
    );
    let expected = Activity {
        online: 1,
        burst_online: 1,
        unresolved: 5,
        ..Activity::default()
    };
    assert_eq!(sim.node().manager.activity(), expected);
}

#[test]
fn a_pool_keeps_as_many_good_sources_as_wanted() {
    let mut sim = Sim::new(Box::new(|request| match request.to.ip() {
        // The first address never answers.
        to if to == ip(1) => Vec::new(),
        _ => vec![request.reply().write().to_vec()],
    }));
    sim.node().add(&pool("p.example", 2));
    begin(&mut sim);
    assert_eq!(sim.node().manager.activity().unresolved, 4);
    answer(&mut sim, Ok((1..=3).map(ip).collect()));
    sim.node().event(Manager::start);
    assert_eq!(sim.node().manager.activity().unresolved, 1);
    sim.run(5.0);
    let node = sim.node();
    let left: Vec<SourceAddress> = node.manager.associations().map(Association::address).collect();
    assert_eq!(left, [2, 3].map(|last| SourceAddress::Ip(ip(last))));
    assert_eq!(node.discipline.sources.len(), 2);
    // Nothing is left to be resolved: no timer but those of the two sources.
    let queries = node.queries.len();
    sim.run(300.0);
    assert_eq!(sim.node().queries.len(), queries);
}

#[test]
fn a_pool_that_lost_a_source_by_command_wants_no_other() {
    let mut sim = Sim::new(good());
    sim.node().add(&pool("p.example", 2));
    begin(&mut sim);
    answer(&mut sim, Ok((1..=4).map(ip).collect()));
    sim.node().event(Manager::start);
    let gone = SourceAddress::Ip(ip(4));
    assert!(sim.node().event(|m, cx, d| m.delete(cx, d, gone)));
    assert!(sim.node().said("Removed source 192.0.2.4 (p.example)"));
    assert!(!sim.node().event(|m, cx, d| m.delete(cx, d, gone)));
    sim.run(10.0);
    assert_eq!(sim.node().manager.associations().count(), 2);
}

#[test]
fn an_unreachable_source_is_replaced() {
    let mut sim = Sim::new(Box::new(|request| match request.to.ip() {
        to if to == ip(1) => Vec::new(),
        _ => vec![request.reply().write().to_vec()],
    }));
    sim.node()
        .add(&server("a.example", |c| (c.minpoll, c.maxpoll) = (2, 2)));
    sim.node()
        .add(&server("b.example", |c| (c.minpoll, c.maxpoll) = (2, 2)));
    begin(&mut sim);
    answer(&mut sim, Ok(vec![ip(1)]));
    answer(&mut sim, Ok(vec![ip(2)]));
    sim.node().event(Manager::start);
    sim.run(30.0);
    assert_eq!(sim.node().queries.len(), 2);
    sim.run(40.0);
    // Eight updates without a reply.
    assert_eq!(sim.node().queries.len(), 3);
    assert_eq!(sim.node().queries[2].2, "a.example");
    answer(&mut sim, Ok(vec![ip(1), ip(2), ip(3)]));
    assert!(
        sim.node()
            .said("Source 192.0.2.1 replaced with 192.0.2.3 (a.example)")
    );
    sim.run(60.0);
    assert!(
        sim.node()
            .lines
            .iter()
            .any(|(_, line)| line.source == ip(3) && line.synced)
    );
    let index = sim.node().manager.find(SourceAddress::Ip(ip(3))).unwrap();
    assert_eq!(sim.node().manager.associations().next().unwrap().id(), index);
    assert_eq!(sim.node().manager.find(SourceAddress::Ip(ip(1))), None);
}

#[test]
fn an_address_without_a_route_is_none() {
    let mut sim = Sim::new(silent());
    sim.node().add(&server("a.example", |_| {}));
    sim.node().add(&server("b.example", |_| {}));
    // Nobody asks for a route to what the operator wrote.
    sim.node().add(&server("192.0.2.9", |_| {}));
    begin(&mut sim);
    answer_beyond(&mut sim, &[1, 2], &[1]);
    answer_beyond(&mut sim, &[3, 4], &[3, 4]);
    sim.node().event(Manager::start);
    assert_eq!(addresses(&sim), [ip(2), ip(9)]);
    // The network has come when the name is tried again.
    sim.run(30.0);
    assert_eq!(sim.node().queries.len(), 3);
    assert_eq!(sim.node().queries[2].2, "b.example");
    answer_beyond(&mut sim, &[3, 4], &[3]);
    assert_eq!(addresses(&sim), [ip(2), ip(4), ip(9)]);
    sim.run(300.0);
    assert_eq!(sim.node().queries.len(), 3);
}

#[test]
fn a_pool_keeps_slots_for_addresses_without_a_route() {
    let mut sim = Sim::new(silent());
    sim.node().add(&pool("p.example", 2));
    begin(&mut sim);
    answer_beyond(&mut sim, &[1, 2, 3, 4], &[1, 3]);
    sim.node().event(Manager::start);
    assert_eq!(addresses(&sim), [ip(2), ip(4)]);
    assert_eq!(sim.node().manager.activity().unresolved, 2);
    sim.run(30.0);
    answer_beyond(&mut sim, &[1, 2, 3, 4], &[]);
    assert_eq!(addresses(&sim), [ip(2), ip(4), ip(1), ip(3)]);
}

#[test]
fn a_bad_source_is_replaced_by_one_with_a_route_only() {
    let mut sim = Sim::new(silent());
    sim.node()
        .add(&server("a.example", |c| (c.minpoll, c.maxpoll) = (2, 2)));
    begin(&mut sim);
    answer(&mut sim, Ok(vec![ip(1)]));
    sim.node().event(Manager::start);
    sim.run(40.0);
    assert_eq!(sim.node().queries.len(), 2);
    answer_beyond(&mut sim, &[1, 2, 3], &[1, 3]);
    assert_eq!(addresses(&sim), [ip(2)]);
    // An address that still belongs to the name is kept while its network is away.
    for (answered, beyond, left) in [
        (&[2, 3][..], &[2][..], 2),
        (&[3, 4], &[3, 4], 2),
        (&[3, 4], &[3], 4),
    ] {
        sim.node().event(|m, cx, _| m.refresh_all(cx));
        sim.pump();
        answer_beyond(&mut sim, answered, beyond);
        assert_eq!(addresses(&sim), [ip(left)]);
    }
}

#[test]
fn a_source_by_address_is_not_replaced() {
    let mut sim = Sim::with_source(silent(), |c| (c.minpoll, c.maxpoll) = (2, 2));
    sim.run(100.0);
    assert!(sim.node().queries.is_empty());
}

#[test]
fn refresh_keeps_an_address_that_still_belongs_to_the_name() {
    let mut sim = Sim::new(good());
    sim.node().add(&server("a.example", |_| {}));
    begin(&mut sim);
    answer(&mut sim, Ok(vec![ip(1)]));
    sim.node().event(Manager::start);
    sim.run(10.0);
    sim.node().event(|m, cx, _| m.refresh_all(cx));
    sim.pump();
    answer(&mut sim, Ok(vec![ip(2), ip(1)]));
    assert!(
        sim.node()
            .events
            .iter()
            .all(|(_, event)| !event.contains("replaced"))
    );
    sim.node().event(|m, cx, _| m.refresh_all(cx));
    sim.pump();
    answer(&mut sim, Ok(vec![ip(2)]));
    assert!(
        sim.node()
            .said("Source 192.0.2.1 replaced with 192.0.2.2 (a.example)")
    );
}

#[test]
fn removing_a_source_while_its_name_is_resolved() {
    let mut sim = Sim::new(silent());
    sim.node().add(&server("a.example", |_| {}));
    sim.node().add(&server("b.example", |_| {}));
    begin(&mut sim);
    let first = SourceAddress::Id(1);
    assert!(sim.node().event(|m, cx, d| m.delete(cx, d, first)));
    answer(&mut sim, Ok(vec![ip(1)]));
    assert_eq!(sim.node().queries.last().unwrap().2, "b.example");
    answer(&mut sim, Ok(vec![ip(1)]));
    let left: Vec<SourceAddress> = sim
        .node()
        .manager
        .associations()
        .map(Association::address)
        .collect();
    assert_eq!(left, [SourceAddress::Ip(ip(1))]);
    // An answer to an old query changes nothing.
    sim.node().resolve(QueryId(0), Ok(vec![ip(7)]));
    assert_eq!(sim.node().manager.activity().online, 1);
}

#[test]
fn reload_takes_the_difference() {
    let mut sim = Sim::new(good());
    sim.node().add(&server("192.0.2.7", |_| {}));
    sim.node().start();
    let reload = |sim: &mut Sim, sources: Vec<SourceConfig>| {
        sim.nodes[0].events.clear();
        sim.nodes[0].event(|m, cx, d| m.reload(cx, d, sources));
        sim.pump();
        let events: Vec<String> = sim.nodes[0].events.iter().map(|(_, e)| e.clone()).collect();
        events
    };
    let one = || server("192.0.2.1", |_| {});
    let two = || server("192.0.2.2", |_| {});
    let taken = || server("192.0.2.7", |_| {});
    let events = reload(&mut sim, vec![two(), one(), taken()]);
    assert_eq!(
        events,
        [
            "Added source 192.0.2.1",
            "Added source 192.0.2.2",
            "Could not add source 192.0.2.7 : Already in use",
        ]
    );
    let id = sim.node().manager.find(SourceAddress::Ip(ip(1)));
    // The same again: nothing, not even the failure.
    assert!(reload(&mut sim, vec![one(), two(), taken()]).is_empty());
    assert_eq!(sim.node().manager.find(SourceAddress::Ip(ip(1))), id);
    // A changed option is a removal and an addition.
    let changed = server("192.0.2.2", |c| c.minpoll = 3);
    let events = reload(&mut sim, vec![one(), changed]);
    assert_eq!(events, ["Removed source 192.0.2.2", "Added source 192.0.2.2"]);
    let events = reload(&mut sim, vec![pool("p.example", 4), server("a.example", |_| {})]);
    assert_eq!(
        events,
        [
            "Removed source 192.0.2.1",
            "Removed source 192.0.2.2",
            "Added source ID#0000000001 (a.example)",
            "Added pool p.example",
        ]
    );
    assert_eq!(sim.node().queries.last().unwrap().2, "a.example");
    assert_eq!(sim.node().manager.activity().unresolved, 9);
    let events = reload(&mut sim, Vec::new());
    assert_eq!(
        events,
        [
            "Removed source ID#0000000001 (a.example)",
            "Removed pool p.example"
        ]
    );
    assert_eq!(sim.node().manager.associations().count(), 1);
}
