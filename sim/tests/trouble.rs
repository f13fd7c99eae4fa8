//! Clients in worlds that misbehave: lying, vanishing and drifting servers, clocks that others move, bad
//! networks.

use truechimer_engine::wire::command::SourceState;
use truechimer_sim::measure::ErrorMeter;
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Jitter, Link, NodeId, NodeSpec, World};

/// A world with a server for each number, fast by so many seconds.
fn servers(seed: u64, offsets: &[f64]) -> World {
    let mut world = World::new(EPOCH, seed);
    world.set_default_link(Link::exponential(1e-4, 1e-4));
    for &offset in offsets {
        let server = NodeSpec::perfect(server_config(1)).fast_by(offset, 0.0);
        world.add(server).unwrap();
    }
    world
}

/// Adds a client of the first `count` nodes, 0.1 s and 100 ppm fast.
fn client(world: &mut World, count: usize, options: &str, more: &[&str]) -> NodeId {
    let mut lines: Vec<String> = (0..count)
        .map(|i| format!("server {} {options}", World::address(NodeId(i))))
        .collect();
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let spec = NodeSpec::reading(&lines)
        .unwrap()
        .fast_by(0.1, 1e-4)
        .wandering(1e-9);
    world.add(spec).unwrap()
}

/// Largest error of the clock (s) within the next `seconds`.
fn worst(world: &mut World, node: NodeId, seconds: f64) -> f64 {
    let mut meter = ErrorMeter::new(0, 1e-3);
    world.run_metered(seconds, node, |second, error| meter.add(second, error));
    meter.max_time()
}

fn logged(world: &World, node: NodeId, text: &str) -> bool {
    world.log(node).any(|(_, event)| event.to_string().contains(text))
}

#[test]
fn two_falsetickers_of_five_never_win() {
    for seed in 1..=10 {
        // They even agree with each other.
        let mut world = servers(seed, &[0.0, 0.0, 0.0, 0.5, 0.5]);
        let client = client(&mut world, 5, "iburst minpoll 4 maxpoll 6", &[]);
        world.run(300.0);
        let mut meter = ErrorMeter::new(0, 1e-3);
        for _ in 0..20 {
            world.run_metered(1000.0, client, |second, error| meter.add(second, error));
            let states: Vec<_> = world.sources(client).iter().map(|s| s.state).collect();
            assert!(
                !states[..3].contains(&SourceState::Falseticker),
                "seed {seed}: {states:?}"
            );
            assert_eq!(states[3..], [SourceState::Falseticker; 2], "seed {seed}");
        }
        assert!(meter.max_time() < 1e-3, "seed {seed}: {:e}", meter.max_time());
        assert!(logged(&world, client, "Detected falseticker"));
    }
}

#[test]
fn without_a_majority_the_clock_is_left_alone() {
    let mut world = servers(1, &[0.0, 0.5]);
    let client = client(&mut world, 2, "iburst minpoll 4 maxpoll 6", &[]);
    world.run(5000.0);
    assert!(logged(&world, client, "Can't synchronise: no majority"));
    assert_eq!(world.tracking(client).unwrap().stratum, 0);
    assert_eq!(world.clock(client).steps(), 0);
}

#[test]
fn all_servers_lost_for_a_day_and_back() {
    let mut world = servers(2, &[0.0, 0.0, 0.0]);
    let client = client(&mut world, 3, "iburst minpoll 4 maxpoll 6", &[]);
    world.run(20_000.0);
    let down = Link {
        down: true,
        ..Link::default()
    };
    world.set_default_link(down);
    let lost = worst(&mut world, client, 86_400.0);
    // Free running: 1e-9 per second of random walk is some milliseconds after a day, not seconds.
    assert!(lost > 1e-4 && lost < 0.1, "error of {lost} s after a day alone");
    let report = world.tracking(client).unwrap();
    assert!(report.stratum == 2 && report.root_dispersion > 0.08, "{report:?}");
    assert!(world.sources(client).iter().all(|source| source.reach == 0));
    world.set_default_link(Link::exponential(1e-4, 1e-4));
    world.run(1500.0);
    assert!(world.sources(client).iter().all(|source| source.reach != 0));
    assert!(worst(&mut world, client, 5000.0) < 5e-4);
}

#[test]
fn somebody_else_steps_the_clock() {
    for step in [100.0, -100.0] {
        let mut world = servers(3, &[0.0, 0.0, 0.0]);
        let client = client(&mut world, 3, "iburst minpoll 4 maxpoll 6", &["makestep 1 -1"]);
        world.run(5000.0);
        assert!(world.clock(client).error().abs() < 5e-4);
        world.clock(client).disturb(step);
        world.run(300.0);
        let direction = if step > 0.0 { "Forward" } else { "Backward" };
        assert!(logged(
            &world,
            client,
            &format!("{direction} time jump detected!")
        ));
        assert_eq!(world.clock(client).steps(), 1);
        let worst = worst(&mut world, client, 3000.0);
        assert!(worst < 1e-3, "{worst} s after a step of {step} s");
    }
}

#[test]
fn a_step_too_small_to_be_a_jump_is_measured_away() {
    let mut world = servers(4, &[0.0]);
    let client = client(&mut world, 1, "iburst minpoll 4 maxpoll 4", &[]);
    world.run(5000.0);
    world.clock(client).disturb(0.05);
    world.run(600.0);
    assert!(!logged(&world, client, "time jump"));
    assert_eq!(world.clock(client).steps(), 0);
    assert!(worst(&mut world, client, 2000.0) < 5e-4);
}

#[test]
fn a_machine_suspended_for_an_hour() {
    let mut world = servers(5, &[0.0, 0.0, 0.0]);
    let client = client(&mut world, 3, "iburst minpoll 4 maxpoll 6", &["makestep 0.1 -1"]);
    world.run(5000.0);
    let before = world.sent(client);
    world.suspend(client, 3600.0);
    world.run(3599.0);
    assert_eq!(world.sent(client), before);
    // Such a clock comes back with the precision of the real-time clock only.
    world.clock(client).disturb(0.4);
    world.run(301.0);
    assert!(logged(&world, client, "Forward time jump detected!"));
    assert!(world.sent(client) > before);
    assert!(worst(&mut world, client, 3000.0) < 1e-3);
}

#[test]
fn thirty_percent_loss() {
    let mut world = servers(6, &[0.0]);
    world.set_default_link(Link {
        delay: 1e-4,
        jitter: Jitter::Exponential(1e-4),
        loss: 0.3,
        duplication: 0.1,
        ..Link::default()
    });
    let client = client(&mut world, 1, "minpoll 6 maxpoll 6", &[]);
    world.run(20_000.0);
    assert!(worst(&mut world, client, 100_000.0) < 3e-4);
    // Half of the exchanges are lost: 0.7 * 0.7.
    let reach = world.sources(client)[0].reach;
    assert!(reach != 0 && reach != 0xff, "reach {reach:o}");
}

#[test]
fn network_and_names_come_an_hour_late() {
    let mut world = servers(7, &[0.0]);
    world.set_default_link(Link {
        down: true,
        ..Link::default()
    });
    let lines = [
        "server ntp.example iburst",
        "server 192.168.123.1 iburst",
        "makestep 1 3",
    ];
    let spec = NodeSpec::reading(&lines).unwrap().fast_by(-5.0, -5e-5);
    let client = world.add(spec).unwrap();
    world.run(3600.0);
    assert_eq!(world.tracking(client).unwrap().stratum, 0);
    assert!((world.clock(client).error() + 5.18).abs() < 1e-3);
    world.set_default_link(Link::exponential(1e-4, 1e-4));
    world.set_name("ntp.example", vec![World::address(NodeId(0))]);
    world.run(1200.0);
    assert_eq!(world.tracking(client).unwrap().stratum, 2);
    assert!(worst(&mut world, client, 10_000.0) < 2e-3);
}

#[test]
fn a_server_that_drifts_away_is_dropped() {
    let mut world = servers(8, &[0.0, 0.0, 0.0]);
    let client = client(&mut world, 3, "iburst minpoll 4 maxpoll 6", &[]);
    world.run(5000.0);
    world.clock(NodeId(1)).oscillator().shift(5e-5);
    let worst = worst(&mut world, client, 20_000.0);
    assert!(worst < 2e-3, "dragged along by {worst} s");
    assert!(world.clock(NodeId(1)).error() > 0.9);
    let states: Vec<_> = world.sources(client).iter().map(|s| s.state).collect();
    assert_eq!(states[1], SourceState::Falseticker);
    assert!(!states.contains(&SourceState::Nonselectable));
}
