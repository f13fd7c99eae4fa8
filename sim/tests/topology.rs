//! Many nodes: peers, chains, large numbers of sources.

use truechimer_engine::wire::command::SourceState;
use truechimer_sim::measure::ErrorMeter;
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Link, NodeId, NodeSpec, World};

fn world(seed: u64) -> World {
    let mut world = World::new(EPOCH, seed);
    world.set_default_link(Link::exponential(1e-4, 2e-5));
    world.add(NodeSpec::perfect(server_config(1))).unwrap();
    world
}

fn node(lines: &[&str], offset: f64, frequency: f64) -> NodeSpec {
    NodeSpec::reading(lines)
        .unwrap()
        .fast_by(offset, frequency)
        .wandering(1e-10)
}

#[test]
fn a_chain_of_strata() {
    let mut world = world(1);
    for i in 1..8 {
        let line = format!(
            "server {} iburst minpoll 4 maxpoll 4",
            World::address(NodeId(i - 1))
        );
        let frequency = if i % 2 == 0 { 3e-5 } else { -6e-5 };
        world
            .add(node(&[&line, "allow"], 0.05 * i as f64, frequency))
            .unwrap();
    }
    world.run(5000.0);
    let mut distance = 0.0;
    for i in 1..8 {
        let report = world.tracking(NodeId(i)).unwrap();
        assert_eq!(usize::from(report.stratum), i + 1);
        let error = world.clock(NodeId(i)).error().abs();
        assert!(error < 2e-4, "stratum {}: {error:e}", i + 1);
        let more = 0.5 * report.root_delay + report.root_dispersion;
        assert!(
            error < more,
            "stratum {}: {error:e} beyond the bound {more:e}",
            i + 1
        );
        assert!(more > distance, "the bound shrinks on the way: {more:e}");
        distance = more;
    }
}

#[test]
fn a_chain_that_loses_its_head_says_so_at_its_end() {
    let mut world = world(2);
    for i in 1..4 {
        let line = format!(
            "server {} iburst minpoll 4 maxpoll 4",
            World::address(NodeId(i - 1))
        );
        world.add(node(&[&line, "allow"], 0.0, 1e-5)).unwrap();
    }
    world.run(2000.0);
    let before = world.tracking(NodeId(3)).unwrap().root_dispersion;
    let down = Link {
        down: true,
        ..Link::default()
    };
    world.set_link(NodeId(0), NodeId(1), down);
    world.run(20_000.0);
    let after = world.tracking(NodeId(3)).unwrap().root_dispersion;
    assert!(
        after > before + 0.015,
        "root dispersion {before} and then {after}"
    );
}

#[test]
fn peers_agree_and_share_a_lost_server() {
    let mut world = world(3);
    let (a, b) = (NodeId(1), NodeId(2));
    for (other, offset) in [(b, 0.2), (a, -0.1)] {
        let peer = format!("peer {} minpoll 4 maxpoll 4", World::address(other));
        let server = format!("server {} iburst minpoll 4 maxpoll 4", World::address(NodeId(0)));
        world.add(node(&[&server, &peer, "allow"], offset, 2e-5)).unwrap();
    }
    world.run(3000.0);
    for node in [a, b] {
        assert_eq!(world.tracking(node).unwrap().stratum, 2);
        assert!(world.clock(node).error().abs() < 1e-4);
        assert_eq!(world.sources(node)[1].reach, 0xff, "the peer of node {node:?}");
    }
    let down = Link {
        down: true,
        ..Link::default()
    };
    world.set_link(NodeId(0), b, down);
    world.run(10_000.0);
    assert_eq!(world.tracking(b).unwrap().stratum, 3, "b follows a now");
    assert_eq!(world.sources(b)[1].state, SourceState::Selected);
    assert_eq!(world.tracking(a).unwrap().stratum, 2);
    assert!(world.clock(b).error().abs() < 2e-4);
}

#[test]
fn orphans_agree_on_one_of_them() {
    let mut world = World::new(EPOCH, 4);
    world.set_default_link(Link::exponential(1e-4, 2e-5));
    let all: Vec<String> = (0..3)
        .map(|i| format!("peer {} minpoll 4 maxpoll 4", World::address(NodeId(i))))
        .collect();
    for i in 0..3 {
        let mut lines: Vec<&str> = all.iter().map(String::as_str).collect();
        lines.remove(i);
        lines.extend(["allow", "local stratum 10 orphan"]);
        world.add(node(&lines, 0.01 * i as f64, 1e-5 * i as f64)).unwrap();
    }
    world.run(10_000.0);
    let errors: Vec<f64> = (0..3).map(|i| world.clock(NodeId(i)).error()).collect();
    let spread =
        errors.iter().fold(f64::MIN, |a, b| a.max(*b)) - errors.iter().fold(f64::MAX, |a, b| a.min(*b));
    assert!(spread < 5e-4, "{errors:?}");
    let strata: Vec<u16> = (0..3)
        .map(|i| world.tracking(NodeId(i)).unwrap().stratum)
        .collect();
    let mut sorted = strata.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [10, 11, 11], "{strata:?}");
}

#[test]
fn a_thousand_sources() {
    let mut world = World::new(EPOCH, 5);
    world.set_default_link(Link::exponential(1e-4, 1e-4));
    let mut lines = Vec::new();
    for i in 0..1000 {
        // A third of them is wrong, each in its own way.
        let offset = if i % 3 == 2 { 0.1 * f64::from(i) } else { 0.0 };
        let server = NodeSpec::perfect(server_config(1)).fast_by(offset, 0.0);
        let id = world.add(server).unwrap();
        lines.push(format!("server {}", World::address(id)));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = world.add(node(&lines, 0.1, 1e-4)).unwrap();
    world.run(1200.0);

    let mut meter = ErrorMeter::new(0, 1e-3);
    world.run_metered(400.0, client, |second, error| meter.add(second, error));
    assert!(meter.max_time() < 5e-4, "{:e}", meter.max_time());
    let sources = world.sources(client);
    let count = |state| sources.iter().filter(|source| source.state == state).count();
    assert_eq!(sources.len(), 1000);
    assert_eq!(count(SourceState::Falseticker), 333);
    assert_eq!(count(SourceState::Selected), 1);
}
