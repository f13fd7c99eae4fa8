//! Accuracy under other conditions than jitter and wander (docs/accuracy.md). Chrony's figures are medians of 21
//! seeds with chrony 4.9.

use truechimer_sim::measure::{ErrorMeter, median};
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Jitter, Link, NodeId, NodeSpec, World};

const JITTER: f64 = 1e-4;
const WANDER: f64 = 1e-9;
const SEEDS: u64 = 15;

/// Servers that are fast by these seconds, and a client with these options for each of them.
fn world(seed: u64, servers: &[f64], options: &str) -> (World, NodeId) {
    let mut world = World::new(EPOCH, seed);
    world.set_default_link(Link::exponential(1e-4, JITTER));
    let mut lines = Vec::new();
    for &offset in servers {
        let node = NodeSpec::perfect(server_config(1)).fast_by(offset, 0.0);
        let node = world.add(node).unwrap();
        lines.push(format!("server {} {options}", World::address(node)));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = NodeSpec::reading(&lines)
        .unwrap()
        .fast_by(0.1, 1e-4)
        .wandering(WANDER);
    let client = world.add(client).unwrap();
    (world, client)
}

/// Errors from 100 polls on, for 900 polls.
fn steady(world: &mut World, client: NodeId, poll: i32) -> ErrorMeter {
    let mut meter = ErrorMeter::new(100 << poll, 1e-3);
    world.run_metered(f64::from(1000 << poll), client, |second, error| {
        meter.add(second, error);
    });
    meter
}

/// Checks the median of RMS time errors against chrony's.
fn check(name: &str, chrony: f64, run: impl Fn(u64) -> ErrorMeter) {
    let errors: Vec<f64> = (1..=SEEDS).map(|seed| run(seed).rms_time()).collect();
    let rms = median(&errors);
    println!(
        "{name:28} RMS {rms:.2e}, chrony {chrony:.2e}, ratio {:.2}",
        rms / chrony
    );
    assert!(rms <= 1.15 * chrony, "{name}: RMS time error {rms:e}");
    assert!(rms >= 0.2 * chrony, "{name}: too good to be true: {rms:e}");
}

#[test]
fn a_falseticker_among_three_servers() {
    check("3 servers, 1 falseticker", 2.23e-5, |seed| {
        let (mut world, client) = world(seed, &[0.0, 0.0, 1.0], "minpoll 6 maxpoll 6");
        steady(&mut world, client, 6)
    });
}

#[test]
fn jitter_in_one_direction_is_recognised() {
    check("asymmetric jitter", 6.87e-6, |seed| {
        let (mut world, client) = world(seed, &[0.0], "minpoll 6 maxpoll 6");
        world.set_link(NodeId(0), client, Link::exponential(1e-4, 2.0 * JITTER));
        world.set_link(client, NodeId(0), Link::default());
        steady(&mut world, client, 6)
    });
}

#[test]
fn a_tenth_of_the_packets_is_lost() {
    check("10 % loss", 2.56e-5, |seed| {
        let (mut world, client) = world(seed, &[0.0], "minpoll 6 maxpoll 6");
        world.set_default_link(Link {
            delay: 1e-4,
            jitter: Jitter::Exponential(JITTER),
            loss: 0.1,
            ..Link::default()
        });
        steady(&mut world, client, 6)
    });
}

#[test]
fn filtered_samples() {
    check("filter 5", 1.93e-5, |seed| {
        let (mut world, client) = world(seed, &[0.0], "minpoll 4 maxpoll 4 filter 5");
        steady(&mut world, client, 4)
    });
}

#[test]
fn samples_with_the_smaller_half_of_delays() {
    check("maxdelayquant 0.5", 1.15e-5, |seed| {
        let (mut world, client) = world(seed, &[0.0], "minpoll 4 maxpoll 4 maxdelayquant 0.5");
        steady(&mut world, client, 4)
    });
}

/// Peak error after a step of the frequency by 1 ppm, and seconds until the error stays below five times
/// what it was before.
fn frequency_step(seed: u64) -> (f64, f64) {
    const BEFORE: i64 = 50_000;
    let (mut world, client) = world(seed, &[0.0], "minpoll 6 maxpoll 6");
    world.set_default_link(Link::exponential(1e-4, 1e-5));
    let mut before = ErrorMeter::new(10_000, 1e-3);
    world.run_metered(BEFORE as f64, client, |second, error| before.add(second, error));
    world.clock(client).oscillator().shift(1e-6);
    let mut after = ErrorMeter::new(BEFORE, 5.0 * before.rms_time());
    world.run_metered(2000.0, client, |second, error| after.add(second, error));
    (after.max_time(), (after.converged_at() - BEFORE) as f64)
}

#[test]
fn a_step_of_the_frequency() {
    let runs: Vec<_> = (1..=SEEDS).map(frequency_step).collect();
    let peak = median(&runs.iter().map(|run| run.0).collect::<Vec<_>>());
    let time = median(&runs.iter().map(|run| run.1).collect::<Vec<_>>());
    println!("frequency step: peak {peak:.2e} (chrony 9.47e-5), back after {time} s (chrony 406)");
    assert!(peak <= 1.5 * 9.47e-5, "peak {peak:e}");
    assert!(peak >= 3e-5, "the step of 1 ppm was not seen: {peak:e}");
    assert!(time <= 1.1 * 406.0 + 64.0, "back after {time} s");
}
