//! From the start to the end: names, `initstepslew`, `-q` and `-Q`, files, `sourcedir`, and what an engine does
//! about its clock when sources fail or seconds leap.

mod common;

use common::{SERVER, ask, client_config, fast, has_message, messages, pair, source, tracking, world};
use std::net::IpAddr;
use truechimer_engine::config::{Config, FallbackDrift, LeapMode, SourceConfig, SourceKind};
use truechimer_engine::engine::Mode;
use truechimer_engine::io::ResolveError;
use truechimer_engine::wire::command::{Reply, Request, Status};
use truechimer_sim::scenario::server_config;
use truechimer_sim::{Launch, Link, NodeId, NodeSpec, World};

fn count(world: &mut World, node: NodeId) -> u32 {
    match ask(world, node, &Request::NSources) {
        (Status::Success, Reply::NSources(n)) => n,
        other => panic!("{other:?}"),
    }
}

fn no_server(sources: Vec<SourceConfig>) -> Config {
    let mut config = Config::default();
    config.network.port = Some(0);
    config.sources = sources;
    config
}

#[test]
fn a_pool_keeps_as_many_good_sources_as_it_wants() {
    let mut world = world();
    for _ in 0..4 {
        world.add(NodeSpec::perfect(server_config(1))).unwrap();
    }
    // Two of the addresses answer to nobody.
    let addresses = (0..5).map(|n| World::address(NodeId(n)));
    let dead = (100..102).map(|n| World::address(NodeId(n)));
    world.set_name("pool.example", dead.chain(addresses).collect());
    let pool = SourceConfig {
        kind: SourceKind::Pool,
        max_sources: 3,
        ..source("pool.example")
    };
    let client = world.add(fast(no_server(vec![pool]), 0.01)).unwrap();
    world.run(1.0);
    assert_eq!(count(&mut world, client), 6);
    world.run(120.0);
    assert_eq!(count(&mut world, client), 3);
    assert_eq!(tracking(&mut world, client).stratum, 2);
}

#[test]
fn names_are_tried_again_and_bad_ones_given_up() {
    let mut world = world();
    world.set_name_error("none.example", ResolveError::NoAddress);
    let sources = vec![source("late.example"), source("none.example")];
    let client = world.add(fast(no_server(sources), 0.0)).unwrap();
    world.run(20.0);
    assert!(has_message(&world, client, "Invalid host none.example"));
    let Reply::Activity(activity) = ask(&mut world, client, &Request::Activity).1 else {
        panic!("no report");
    };
    assert_eq!((activity.unresolved, activity.online), (2, 0));
    world.set_name("late.example", vec![World::address(NodeId(0))]);
    world.run(60.0);
    assert!(has_message(
        &world,
        client,
        &format!("Selected source {SERVER} (late.example)")
    ));
}

#[test]
fn only_addresses_of_the_wanted_family_are_used() {
    let mut world = world();
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    world.set_name("both.example", vec![six, World::address(NodeId(0))]);
    let launch = Launch {
        family: truechimer_engine::config::AddressFamily::V4,
        ..Launch::default()
    };
    let spec = fast(no_server(vec![source("both.example")]), 0.0);
    let client = world.launch(spec, launch).unwrap();
    world.run(60.0);
    assert_eq!(tracking(&mut world, client).stratum, 2);
}

fn once(mode: Mode, config: Config, seconds: f64) -> (World, NodeId) {
    let mut world = world();
    let launch = Launch {
        mode,
        ..Launch::default()
    };
    let client = world.launch(fast(config, 0.1), launch).unwrap();
    world.run(seconds);
    (world, client)
}

#[test]
fn update_once_steps_and_ends() {
    let (mut world, client) = once(Mode::UpdateOnce, client_config(), 30.0);
    assert_eq!(world.exited(client), Some(0));
    let messages = messages(&world, client);
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("System clock wrong by -0.10"),
        "{messages:?}"
    );
    assert!(messages[0].ends_with(" seconds (step)"), "{messages:?}");
    assert_eq!(world.clock(client).steps(), 1);
    assert!(world.clock(client).error().abs() < 0.01);
}

#[test]
fn print_once_leaves_the_clock_alone() {
    let (mut world, client) = once(Mode::PrintOnce, client_config(), 30.0);
    assert_eq!(world.exited(client), Some(0));
    let messages = messages(&world, client);
    assert!(messages[0].ends_with(" seconds (ignored)"), "{messages:?}");
    assert_eq!(world.clock(client).steps(), 0);
    assert!((world.clock(client).error() - 0.103).abs() < 1e-3);
}

#[test]
fn once_without_a_usable_source_fails() {
    let text = "No suitable source for synchronisation";
    let (world, client) = once(Mode::UpdateOnce, no_server(Vec::new()), 0.1);
    assert_eq!(world.exited(client), Some(1));
    assert!(has_message(&world, client, text));

    let (world, client) = once(Mode::PrintOnce, no_server(vec![source("192.168.200.1")]), 60.0);
    assert_eq!(world.exited(client), Some(1));
    assert!(has_message(&world, client, text));

    // Without an answer about the name there is nothing to end it but `-t`.
    let (world, client) = once(Mode::PrintOnce, no_server(vec![source("late.example")]), 60.0);
    assert_eq!(world.exited(client), None);
}

#[test]
fn initstepslew_comes_before_the_configured_sources() {
    for (offset, threshold, how) in [(0.5, 0.1, "step"), (0.05, 1.0, "slew")] {
        let mut world = world();
        let mut config = client_config();
        config.init_step_slew = Some((threshold, vec![World::address(NodeId(0))]));
        let client = world.add(fast(config, offset)).unwrap();
        assert!(!world.is_ready(client));
        world.run(2.0);
        assert!(!world.is_ready(client), "still measuring");
        world.run(58.0);
        assert!(world.is_ready(client));
        let log: Vec<(f64, String)> = world.log(client).map(|(at, e)| (at, e.to_string())).collect();
        let (first, text) = &log[0];
        assert!(
            text.starts_with(&format!("System's initial offset : {offset:.2}")),
            "{log:?}"
        );
        assert!(
            text.ends_with(&format!("seconds fast of true ({how})")),
            "{log:?}"
        );
        let (second, text) = &log[1];
        assert_eq!(text, &format!("Selected source {SERVER}"), "{log:?}");
        assert!(second - first > 2.0 && second - first < 20.0, "{log:?}");
        assert_eq!(log.len(), 2, "{log:?}");
        assert_eq!(count(&mut world, client), 1);
        assert_eq!(tracking(&mut world, client).stratum, 2);
        assert_eq!(world.clock(client).steps(), usize::from(how == "step"));
    }
}

#[test]
fn initstepslew_may_fail_and_is_skipped_after_a_restart() {
    let mut world = world();
    let mut config = client_config();
    config.init_step_slew = Some((0.1, vec![World::address(NodeId(100))]));
    let failing = world.add(fast(config.clone(), 0.0)).unwrap();
    let restarted = Launch {
        restarted: true,
        ..Launch::default()
    };
    let restarted = world.launch(fast(config, 0.0), restarted).unwrap();
    world.run(120.0);
    let expected = [
        "No suitable source for initstepslew",
        "Selected source 192.168.123.1",
    ];
    assert_eq!(messages(&world, failing), expected);
    assert_eq!(messages(&world, restarted), expected[1..]);
}

#[test]
fn the_history_survives_a_restart() {
    let mut world = world();
    let mut config = client_config();
    config.files.dump_dir = Some("/dumps".to_owned());
    config.files.drift_file = Some("/drift".to_owned());
    let before = world.add(fast(config.clone(), 0.0)).unwrap();
    world.run(600.0);
    assert!(world.dumps(before).is_empty());
    assert_eq!(ask(&mut world, before, &Request::Dump).0, Status::Success);
    assert_eq!(
        world.dumps(before).keys().collect::<Vec<_>>(),
        [&format!("{SERVER}.dat")]
    );
    world.stop(before);
    let (frequency, skew) = world.drift(before).unwrap();
    assert!((frequency - 100.0).abs() < 0.1, "{frequency}");

    let launch = Launch {
        drift: Some(format!("{frequency:20.6} {skew:20.6}\n")),
        dumps: world.dumps(before).clone(),
        ..Launch::default()
    };
    let after = world.launch(fast(config, 0.0), launch).unwrap();
    world.run(1.0);
    assert_eq!(
        messages(&world, after),
        [
            format!("Frequency {frequency:.3} +/- {skew:.3} ppm read from /drift"),
            format!("Loaded dump file for {SERVER}"),
            format!("Selected source {SERVER}"),
        ]
    );
    assert_eq!(tracking(&mut world, after).stratum, 2);
}

#[test]
fn a_bad_dump_file_is_reported() {
    let mut world = world();
    let launch = Launch {
        dumps: [(format!("{SERVER}.dat"), "SRC0\nnobody\n".to_owned())].into(),
        ..Launch::default()
    };
    let client = world.launch(fast(client_config(), 0.0), launch).unwrap();
    world.run(1.0);
    let text = format!("Could not load dump file for {SERVER}");
    assert_eq!(messages(&world, client), [text]);
}

#[test]
fn sources_of_files_come_and_go() {
    let mut world = world();
    for _ in 0..2 {
        world.add(NodeSpec::perfect(server_config(1))).unwrap();
    }
    let [a, b, c] = [0, 1, 2].map(|n| source(&World::address(NodeId(n)).to_string()));
    let launch = Launch {
        source_files: vec![b.clone(), a.clone()],
        ..Launch::default()
    };
    let client = world.launch(fast(no_server(Vec::new()), 0.0), launch).unwrap();
    world.run(100.0);
    let texts = messages(&world, client);
    assert_eq!(
        texts[..2],
        ["Added source 192.168.123.1", "Added source 192.168.123.2"]
    );
    let age = |world: &mut World, index| match ask(world, client, &Request::SourceStats(index)) {
        (Status::Success, Reply::SourceStats(report)) => report.samples,
        other => panic!("{other:?}"),
    };
    let samples = age(&mut world, 1);
    assert!(samples > 4);
    let before = messages(&world, client).len();

    let other = SourceConfig { maxpoll: 5, ..c };
    world.set_source_files(client, vec![other, b]);
    assert_eq!(
        ask(&mut world, client, &Request::ReloadSources).0,
        Status::Success
    );
    let texts = messages(&world, client);
    assert_eq!(texts[before], "Removed source 192.168.123.1");
    assert!(
        texts[before..].contains(&"Added source 192.168.123.3".to_owned()),
        "{texts:?}"
    );
    assert_eq!(count(&mut world, client), 2);
    assert_eq!(age(&mut world, 0), samples);

    let before = texts.len();
    assert_eq!(
        ask(&mut world, client, &Request::ReloadSources).0,
        Status::Success
    );
    assert_eq!(messages(&world, client).len(), before);
}

#[test]
fn fallback_drifts_take_over_when_updates_stop() {
    let mut config = client_config();
    config.clock.fallback_drift = Some(FallbackDrift { min: 7, max: 8 });
    let (mut world, client) = pair(config);
    world.run(1000.0);
    let down = Link {
        down: true,
        ..Link::default()
    };
    world.set_link(client, NodeId(0), down);
    world.run(100.0);
    assert_eq!(tracking(&mut world, client).stratum, 2);
    world.run(60.0);
    let report = tracking(&mut world, client);
    assert_eq!((report.stratum, report.leap), (0, 3));
    assert!((report.frequency - 100.0).abs() < 1.0, "{report:?}");
}

#[test]
fn a_leap_second_is_slewed() {
    // An hour before the end of 2016.
    let mut world = World::new(1_483_228_800 - 3600, 1);
    world.add(NodeSpec::perfect(server_config(1))).unwrap();
    let mut config = client_config();
    config.clock.leap_mode = LeapMode::Slew;
    let list = "#$ 3676924800\n#@ 4000000000\n2272060800 10\n3439756800 34\n3550089600 35\n\
                3644697600 36\n3692217600 37\n";
    let spec = NodeSpec {
        leap_list: Some(list.to_owned()),
        ..fast(config, 0.0)
    };
    let client = world.add(spec).unwrap();
    world.run(3595.0);
    assert_eq!(
        tracking(&mut world, client).leap,
        1,
        "{:?}",
        messages(&world, client)
    );
    world.run(5.0);
    // The server's kernel inserts its second.
    world.clock(NodeId(0)).disturb(-1.0);
    world.run(30.0);
    assert_eq!(tracking(&mut world, client).leap, 0);
    world.run(270.0);
    let error = world.clock(client).error();
    assert!((error + 1.0).abs() < 1e-3, "{error}");
    assert_eq!(world.clock(client).steps(), 0);
    let texts = messages(&world, client);
    assert!(
        texts.contains(&"Adjusting system clock for leap second".to_owned()),
        "{texts:?}"
    );
    let bad = |text: &String| text.starts_with("Can't") || text.starts_with("Detected");
    assert!(!texts.iter().any(bad), "{texts:?}");
}
