//! Mechanisms of spec/sync.md that no other file of tests goes through, each in a world.

mod common;

use common::{ask, has_message, messages, tracking};
use truechimer_engine::wire::command::{Reply, Request, SourceState, Status};
use truechimer_sim::measure::ErrorMeter;
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Link, NodeId, NodeSpec, World};

/// Perfect servers, fast by these seconds.
fn servers(seed: u64, offsets: &[f64]) -> World {
    let mut world = World::new(EPOCH, seed);
    world.set_default_link(Link::exponential(1e-4, 1e-5));
    for &offset in offsets {
        let server = NodeSpec::perfect(server_config(1)).fast_by(offset, 0.0);
        world.add(server).unwrap();
    }
    world
}

/// A client that is fast by `offset` s and 10 ppm.
fn client(world: &mut World, offset: f64, lines: &[&str]) -> NodeId {
    let spec = NodeSpec::reading(lines).unwrap().fast_by(offset, 1e-5);
    world.add(spec).unwrap()
}

const QUICK: &str = "server 192.168.123.1 iburst minpoll 4 maxpoll 4";

/// State letters of all sources, as `selectdata` shows them.
fn letters(world: &mut World, node: NodeId) -> String {
    let count = match ask(world, node, &Request::NSources) {
        (Status::Success, Reply::NSources(count)) => count,
        other => panic!("{other:?}"),
    };
    (0..count)
        .map(|i| match ask(world, node, &Request::SelectData(i)) {
            (Status::Success, Reply::Select(report)) => char::from(report.state),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn offsets_beyond_maxchange_end_the_daemon_or_are_ignored() {
    // The first update may be anything.
    let mut world = servers(1, &[0.0]);
    let node = client(&mut world, 5.0, &[QUICK, "maxchange 1 1 2", "makestep 0.1 -1"]);
    world.run(600.0);
    assert!(world.clock(node).error().abs() < 1e-3);
    world.clock(node).disturb(3.0);
    world.run(200.0);
    assert!((world.clock(node).error() - 3.0).abs() < 1e-2, "ignored");
    let ignored = messages(&world, node);
    let ignored = ignored
        .iter()
        .filter(|text| text.contains("allowed maximum of 1.000 seconds (ignored)"));
    assert_eq!(ignored.count(), 2);
    assert_eq!(world.exited(node), Some(1), "{:?}", messages(&world, node));
    let text = messages(&world, node).pop().unwrap();
    assert!(
        text.starts_with("Adjustment of -") && text.contains("allowed maximum of 1.000 seconds (exiting)"),
        "{text}"
    );
}

#[test]
fn large_corrections_are_logged_and_mailed() {
    let run = |lines: &[&str]| {
        let mut world = servers(2, &[0.0]);
        let mut all = vec![QUICK];
        all.extend(lines);
        let node = client(&mut world, 0.3, &all);
        world.run(300.0);
        (world, node)
    };
    let (world, node) = run(&["logchange 0.2", "mailonchange root@here 0.25"]);
    let wrong: Vec<String> = messages(&world, node)
        .into_iter()
        .filter(|text| text.contains("wrong by"))
        .collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].starts_with("System clock wrong by -0.3"), "{wrong:?}");
    let mails = world.mails(node);
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!((mails[0].to.as_str(), mails[0].threshold), ("root@here", 0.25));
    assert!((mails[0].adjustment + 0.3).abs() < 1e-3, "{mails:?}");
    // Above what is configured, and the default of 1 s.
    let (world, node) = run(&["mailonchange root@here 0.35"]);
    assert!(world.mails(node).is_empty());
    assert!(
        !messages(&world, node)
            .iter()
            .any(|text| text.contains("wrong by"))
    );
}

#[test]
fn corrtimeratio_makes_corrections_slower() {
    // How long an offset of 1 ms is left after the second update, on the average of some seeds.
    let error = |ratio: &str| {
        let sum: f64 = (1..=5)
            .map(|seed| {
                let mut world = servers(seed, &[0.0]);
                world.set_default_link(Link::exponential(1e-4, 1e-3));
                let lines = ["server 192.168.123.1 minpoll 6 maxpoll 6", ratio];
                let node = client(&mut world, 0.0, &lines);
                let mut meter = ErrorMeter::new(6400, 1e-3);
                world.run_metered(40_000.0, node, |second, error| meter.add(second, error));
                meter.rms_frequency()
            })
            .sum();
        sum / 5.0
    };
    let (quick, usual, slow) = (
        error("corrtimeratio 0.3"),
        error("corrtimeratio 3"),
        error("corrtimeratio 30"),
    );
    assert!(
        quick > 1.5 * usual && usual > 1.2 * slow,
        "{quick:e} {usual:e} {slow:e}"
    );
}

#[test]
fn maxdrift_limits_the_frequency() {
    let mut world = servers(3, &[0.0]);
    let node = client(&mut world, 0.0, &[QUICK, "maxdrift 5"]);
    world.run(3600.0);
    let report = tracking(&mut world, node);
    assert!((report.frequency - 5.0).abs() < 1e-3, "{report:?}");
    assert!(
        messages(&world, node)
            .iter()
            .any(|text| text.starts_with("Frequency 1") && text.ends_with("ppm exceeds allowed maximum"))
    );
}

#[test]
fn maxupdateskew_keeps_uncertain_frequencies_out() {
    let learned = |limit: &str| {
        let mut world = servers(4, &[0.0]);
        world.set_default_link(Link::exponential(1e-4, 1e-3));
        let node = client(&mut world, 0.0, &[QUICK, limit]);
        world.run(300.0);
        tracking(&mut world, node).frequency
    };
    assert_eq!(learned("maxupdateskew 1e-9"), 0.0);
    assert!((learned("maxupdateskew 1000") - 10.0).abs() < 5.0);
}

#[test]
fn polls_follow_what_there_is_to_learn() {
    let poll = |jitter: f64, wander: f64| {
        let mut world = servers(5, &[0.0]);
        world.set_default_link(Link::exponential(1e-4, jitter));
        let lines = ["server 192.168.123.1 minpoll 4 maxpoll 12"];
        let spec = NodeSpec::reading(&lines)
            .unwrap()
            .fast_by(0.0, 1e-5)
            .wandering(wander);
        let node = world.add(spec).unwrap();
        world.run(500_000.0);
        world.sources(node)[0].poll
    };
    let (calm, restless) = (poll(1e-3, 1e-12), poll(1e-6, 1e-8));
    assert_eq!(calm, 12);
    assert!(restless <= 6, "{restless}");
}

#[test]
fn states_of_sources() {
    let note = |world: &mut World, node: NodeId, expected: &str| {
        // Which of those that agree is the selected one is left to chance.
        let found = letters(world, node);
        let alike = |letters: &str| (letters.replace('*', "+"), letters.matches('*').count());
        assert_eq!(
            alike(&found),
            alike(expected),
            "{found} {:?}",
            messages(world, node)
        );
    };
    let source =
        |n: usize, options: &str| format!("server 192.168.123.{n} iburst minpoll 4 maxpoll 4 {options}");
    let add = |world: &mut World, lines: &[String]| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        client(world, 0.0, &lines)
    };

    // Two that agree, a falseticker, one that is not to be selected, one without answers, one far away.
    let down = Link {
        down: true,
        ..Link::default()
    };
    let mut world = servers(6, &[0.0, 0.0, 1.0, 0.0, 0.0]);
    world.add(NodeSpec::perfect(server_config(1))).unwrap();
    let options = ["", "", "", "noselect", "", ""];
    let mut lines: Vec<String> = options
        .iter()
        .zip(1..)
        .map(|(options, n)| source(n, options))
        .collect();
    lines.push("maxdistance 0.1".to_owned());
    let node = add(&mut world, &lines);
    world.set_link(NodeId(4), node, down);
    world.set_link(NodeId(5), node, Link::exponential(0.3, 1e-5));
    world.run(600.0);
    note(&mut world, node, "*+xNMd");

    // One whose clock goes up and down.
    let mut world = servers(6, &[0.0]);
    let restless = NodeSpec::perfect(server_config(1)).wandering(2e-4);
    world.add(restless).unwrap();
    let node = add(
        &mut world,
        &[source(1, ""), source(2, ""), "maxjitter 1e-3".to_owned()],
    );
    world.run(1000.0);
    note(&mut world, node, "*~");

    // What is not heard of for long is stale.
    let mut world = servers(7, &[0.0, 0.0, 0.0]);
    let node = add(&mut world, &[source(1, ""), source(2, ""), source(3, "")]);
    world.run(400.0);
    world.set_link(NodeId(2), node, down);
    world.run(3000.0);
    let found = letters(&mut world, node);
    assert!(found.ends_with('S') && found.contains('*'), "{found}");

    // Some are preferred, some are trusted, and too few are not enough.
    let mut world = servers(8, &[0.0, 0.0]);
    let node = add(&mut world, &[source(1, "prefer"), source(2, "")]);
    world.run(400.0);
    note(&mut world, node, "*P");
    let mut world = servers(9, &[0.0, 3e-3, 5e-4]);
    for (n, delay) in [(0, 6e-3), (1, 6e-3), (2, 1e-3)] {
        let link = Link::exponential(delay, 1e-6);
        world.set_link(NodeId(n), NodeId(3), link);
        world.set_link(NodeId(3), NodeId(n), link);
    }
    let node = add(
        &mut world,
        &[
            source(1, "trust"),
            source(2, "trust"),
            source(3, "trust"),
            "minsources 4".to_owned(),
        ],
    );
    assert_eq!(node, NodeId(3));
    world.run(400.0);
    note(&mut world, node, "WWW");

    // A stratum that is not wanted, and a source too far away to be combined.
    let mut world = servers(11, &[0.0, 0.0]);
    world.add(NodeSpec::perfect(server_config(9))).unwrap();
    let far = Link::exponential(0.02, 1e-6);
    world.set_link(NodeId(1), NodeId(3), far);
    world.set_link(NodeId(3), NodeId(1), far);
    let node = add(
        &mut world,
        &[
            source(1, ""),
            source(2, ""),
            source(3, ""),
            "maxstratum 8".to_owned(),
        ],
    );
    world.run(1000.0);
    note(&mut world, node, "*Dr");
}

#[test]
fn a_trusted_source_beats_a_majority() {
    let mut world = servers(12, &[0.0, 1.0, 1.0]);
    let lines = [
        "server 192.168.123.1 iburst minpoll 4 maxpoll 4 trust",
        "server 192.168.123.2 iburst minpoll 4 maxpoll 4",
        "server 192.168.123.3 iburst minpoll 4 maxpoll 4",
    ];
    let node = client(&mut world, 0.0, &lines);
    world.run(600.0);
    assert_eq!(letters(&mut world, node), "*xx");
    assert!(world.clock(node).error().abs() < 1e-3);
}

#[test]
fn bad_servers_of_a_name_are_replaced() {
    // Six servers have the name: the first lies, and the second vanishes after a while.
    let mut world = servers(13, &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let all: Vec<_> = (0..6).map(|n| World::address(NodeId(n))).collect();
    world.set_name("one.example", all[..1].to_vec());
    world.set_name("two.example", all[1..2].to_vec());
    let lines = [
        "server one.example iburst minpoll 4 maxpoll 4",
        "server two.example iburst minpoll 4 maxpoll 4",
        "server 192.168.123.5 iburst minpoll 4 maxpoll 4",
        "server 192.168.123.6 iburst minpoll 4 maxpoll 4",
    ];
    let node = client(&mut world, 0.0, &lines);
    world.run(10.0);
    assert_eq!(world.sources(node)[0].state, SourceState::Falseticker);
    world.set_name("one.example", all[..4].to_vec());
    world.set_name("two.example", all[1..4].to_vec());
    world.run(8000.0);
    let replaced = |world: &World, old: &str| {
        let texts = messages(world, node);
        texts
            .iter()
            .any(|text| text.starts_with(&format!("Source {old} replaced with ")))
    };
    assert!(replaced(&world, "192.168.123.1"), "{:?}", messages(&world, node));
    let down = Link {
        down: true,
        ..Link::default()
    };
    world.set_link(NodeId(1), node, down);
    world.run(30_000.0);
    assert!(
        world.sources(node).iter().all(|source| source.reach == 0xff),
        "{:?}",
        world.sources(node)
    );
    assert!(!replaced(&world, "192.168.123.5") && !replaced(&world, "192.168.123.6"));
    assert!(!has_message(&world, node, "Can't synchronise: no majority"));
}

#[test]
fn packets_that_are_doubled_and_overtaken_do_no_harm() {
    let mut world = servers(14, &[0.0]);
    world.set_default_link(Link {
        duplication: 0.3,
        reordering: 0.3,
        hold: 2.5,
        ..Link::exponential(1e-4, 1e-4)
    });
    let node = client(
        &mut world,
        0.1,
        &["server 192.168.123.1 iburst minpoll 0 maxpoll 4", "makestep 1 -1"],
    );
    world.run(2000.0);
    let mut meter = ErrorMeter::new(0, 1e-3);
    world.run_metered(20_000.0, node, |second, error| meter.add(second, error));
    assert!(meter.max_time() < 2e-3, "{}", meter.max_time());
    assert_eq!(world.clock(node).steps(), 0);
}
