//! Clocks that start in the wrong century, the end of an NTP era, leap seconds.

use truechimer_sim::measure::ErrorMeter;
use truechimer_sim::scenario::{EPOCH, server_config};
use truechimer_sim::{Link, NodeId, NodeSpec, World};

const HOUR: f64 = 3600.0;

/// A perfect server and a client with these lines, `offset` s fast, in a world that starts at `epoch`.
fn world(epoch: i64, offset: f64, lines: &[&str]) -> (World, NodeId) {
    let mut world = World::new(epoch, 1);
    world.set_default_link(Link::exponential(1e-4, 1e-5));
    let server = world.add(NodeSpec::perfect(server_config(1))).unwrap();
    let server = format!("server {} iburst minpoll 4 maxpoll 6", World::address(server));
    let lines: Vec<&str> = std::iter::once(server.as_str())
        .chain(lines.iter().copied())
        .collect();
    let client = NodeSpec::reading(&lines).unwrap().fast_by(offset, 2e-5);
    let client = world.add(client).unwrap();
    (world, client)
}

/// Largest difference (s) of the client's and the server's clock within the next `seconds`.
fn worst(world: &mut World, client: NodeId, seconds: f64) -> f64 {
    let server = world.clock(NodeId(0)).error();
    let mut meter = ErrorMeter::new(0, 1e-3);
    world.run_metered(seconds, client, |second, error| meter.add(second, error - server));
    meter.max_time()
}

#[test]
fn a_clock_that_starts_in_another_century() {
    const YEAR_1970: f64 = 10.0 - EPOCH as f64;
    const YEAR_2100: f64 = 4_102_444_800.0 - EPOCH as f64;
    for offset in [YEAR_1970, YEAR_2100] {
        let (mut world, client) = world(EPOCH, offset, &["makestep 1 3"]);
        world.run(60.0);
        let error = world.clock(client).error();
        assert!(error.abs() < 1e-3, "{error} s after a start {offset} s off");
        assert_eq!(world.clock(client).steps(), 1);
        assert!(worst(&mut world, client, HOUR) < 1e-3);
    }
}

#[test]
fn without_makestep_a_wrong_century_is_slewed() {
    let (mut world, client) = world(EPOCH, -1e9, &[]);
    world.run(60.0);
    let before = world.clock(client).error();
    world.run(1000.0);
    let gained = world.clock(client).error() - before;
    // The largest rate is 1/12.
    assert!((gained - 1000.0 / 12.0).abs() < 1.0, "gained {gained} s");
    assert_eq!(world.clock(client).steps(), 0);
}

#[test]
fn time_goes_on_in_2100() {
    let (mut world, client) = world(4_102_444_800, 0.1, &[]);
    world.run(600.0);
    assert!(worst(&mut world, client, 4.0 * HOUR) < 1e-4);
    let report = world.tracking(client).unwrap();
    assert!(
        (report.ref_time.sec() - 4_102_444_800 - 15_000).abs() < 200,
        "{report:?}"
    );
    let warning = "Assumed NTP time ends at 2106-02-07 06:28:15!";
    assert!(world.log(client).any(|(_, event)| event.to_string() == warning));
}

#[test]
fn a_world_without_a_real_time_clock_starts_in_1970() {
    let (mut world, client) = world(100, 0.1, &[]);
    world.run(600.0);
    assert!(worst(&mut world, client, 4.0 * HOUR) < 1e-4);
    assert_eq!(world.tracking(client).unwrap().stratum, 2);
    assert_eq!(world.clock(client).steps(), 0);
}

#[test]
fn seconds_since_1900_overflow_in_2036() {
    // 7 February 2036, 06:28:16.
    const ROLLOVER: i64 = 2_085_978_496;
    let (mut world, client) = world(ROLLOVER - 3600, 0.1, &[]);
    world.run(600.0);
    assert!(worst(&mut world, client, 4.0 * HOUR) < 1e-4);
    assert_eq!(world.clock(client).steps(), 0);
    assert_eq!(world.tracking(client).unwrap().stratum, 2);
    let late = world.log(client).filter(|(at, _)| *at > 600.0).count();
    assert_eq!(late, 0, "nothing to say about the rollover");
}

#[test]
fn seconds_since_1970_overflow_in_2038() {
    let (mut world, client) = world((1 << 31) - 3600, 0.1, &[]);
    world.run(600.0);
    assert!(worst(&mut world, client, 4.0 * HOUR) < 1e-4);
    assert_eq!(world.clock(client).steps(), 0);
}

/// 30 June 2026, midnight at its end.
const MIDNIGHT: i64 = 1_782_864_000;

/// A leap second at `MIDNIGHT`: 1 inserted, -1 deleted.
fn list(leap: i64) -> String {
    let ntp = |unix: i64| unix + 2_208_988_800;
    format!(
        "#$ 3676924800\n#@ {}\n2272060800 10\n3439756800 34\n3550089600 35\n3644697600 36\n3692217600 37\n{} {}\n",
        ntp(MIDNIGHT + 100 * 86_400),
        ntp(MIDNIGHT),
        37 + leap
    )
}

/// Two hours around a leap second that only the client's list announces. The server's clock does it at the
/// right time. Returns the world, the client and the largest error in the two hours but for the 20 s around
/// the leap second, and later.
fn leap_second(leap: i64, mode: &str, settling: f64) -> (World, NodeId, f64) {
    let mut world = World::new(MIDNIGHT - 3600, 7);
    world.set_default_link(Link::exponential(1e-4, 1e-5));
    let server = world.add(NodeSpec::perfect(server_config(1))).unwrap();
    let lines = [
        format!("server {} iburst minpoll 4 maxpoll 4", World::address(server)),
        "leapseclist list".to_owned(),
        format!("leapsecmode {mode}"),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut client = NodeSpec::reading(&lines).unwrap().fast_by(0.01, 2e-5);
    client.leap_list = Some(list(leap));
    let client = world.add(client).unwrap();
    world.run(300.0);
    let before = worst(&mut world, client, 3290.0);
    // A deleted second ends the day at 23:59:58.
    let moment = if leap > 0 { 10.0 } else { 9.0 };
    world.run(moment);
    world.clock(server).disturb(-leap as f64);
    world.run(20.0 - moment + settling);
    let after = worst(&mut world, client, HOUR);
    (world, client, before.max(after))
}

#[test]
fn the_kernel_does_a_leap_second() {
    for leap in [1, -1] {
        let (mut world, client, error) = leap_second(leap, "system", 0.0);
        assert!(error < 1e-4, "leap {leap}: {error}");
        assert_eq!(world.clock(client).steps(), 0, "the engine itself did nothing");
        let texts: Vec<_> = world.log(client).map(|(_, event)| event.to_string()).collect();
        let what = if leap > 0 { "insert" } else { "delete" };
        assert!(
            texts.contains(&format!("System clock status set to {what} leap second")),
            "{texts:?}"
        );
        assert!(
            texts.contains(&"System clock status reset after leap second".to_owned()),
            "{texts:?}"
        );
        assert_eq!(world.clock(client).status().unwrap().leap, 0);
    }
}

#[test]
fn the_engine_steps_a_leap_second() {
    for leap in [1, -1] {
        let (mut world, client, error) = leap_second(leap, "step", 0.0);
        assert!(error < 1e-4, "leap {leap}: {error}");
        assert_eq!(world.clock(client).steps(), 1);
    }
}

#[test]
fn the_engine_slews_a_leap_second() {
    for leap in [1, -1] {
        let (mut world, client, error) = leap_second(leap, "slew", 60.0);
        assert!(error < 1e-3, "leap {leap}: {error}");
        assert_eq!(world.clock(client).steps(), 0);
    }
}

#[test]
fn an_ignored_leap_second_is_measured_and_slewed() {
    for leap in [1, -1] {
        let (mut world, client, error) = leap_second(leap, "ignore", 600.0);
        assert!(error < 1e-3, "leap {leap}: {error}");
        assert_eq!(world.clock(client).steps(), 0);
        let texts: Vec<_> = world.log(client).map(|(_, event)| event.to_string()).collect();
        assert!(texts.contains(&"Ignoring leap second".to_owned()), "{texts:?}");
    }
}
