//! Temperature compensation in a room that gets warm and cold (`tempcomp`, spec/sync.md 8.2).

mod common;

use common::{messages, world};
use truechimer_engine::event::record::Record;
use truechimer_sim::measure::ErrorMeter;
use truechimer_sim::{NodeId, NodeSpec, Temperature, World};

/// Between 20 and 30 degrees in two hours; 0.5 ppm faster for each degree.
const ROOM: Temperature = Temperature {
    mean: 25.0,
    swing: 5.0,
    period: 7200.0,
    effect: 5e-7,
};

fn client(lines: &[&str], points: Option<&str>) -> (World, NodeId) {
    let mut world = world();
    world.keep_records();
    let mut all = vec!["server 192.168.123.1 iburst minpoll 6 maxpoll 6"];
    all.extend(lines);
    let spec = NodeSpec {
        temperature: Some(ROOM),
        temp_points: points.map(str::to_owned),
        ..NodeSpec::reading(&all).unwrap().fast_by(0.0, 1e-5)
    };
    let client = world.add(spec).unwrap();
    (world, client)
}

/// RMS error after the first two hours.
fn error(lines: &[&str], points: Option<&str>) -> f64 {
    let (mut world, client) = client(lines, points);
    let mut meter = ErrorMeter::new(7200, 1e-3);
    world.run_metered(86_400.0, client, |second, error| meter.add(second, error));
    meter.rms_time()
}

#[test]
fn a_known_effect_of_the_temperature_is_taken_away() {
    let without = error(&[], None);
    // Positive: the clock is made faster, since it is slow when it is cold.
    let polynomial = error(&["tempcomp /sensor 10 25 0 -0.5 0"], None);
    let points = error(&["tempcomp /sensor 10 /points"], Some("20 2.5\n30 -2.5\n"));
    assert!(without > 2e-5, "{without:e}");
    assert!(polynomial < 0.1 * without, "{polynomial:e}, without {without:e}");
    assert!(points < 0.1 * without, "{points:e}, without {without:e}");
    let wrong = error(&["tempcomp /sensor 10 25 0 0.5 0"], None);
    assert!(wrong > 1.5 * without, "{wrong:e}, without {without:e}");
}

#[test]
fn readings_come_at_their_interval_and_are_logged() {
    let (mut world, client) = client(&["tempcomp /sensor 100 25 0 -0.5 0"], None);
    world.run(3650.0);
    assert!(
        !world
            .records(client)
            .iter()
            .any(|record| matches!(record, Record::TempComp(_)))
    );

    let (mut world, client) = self::client(&["tempcomp /sensor 100 25 0 -0.5 0", "log tempcomp"], None);
    world.run(3650.0);
    let readings: Vec<_> = world
        .records(client)
        .iter()
        .filter_map(|record| match record {
            Record::TempComp(reading) => Some(*reading),
            _ => None,
        })
        .collect();
    assert_eq!(readings.len(), 37, "one at the start");
    for (pair, reading) in readings.windows(2).zip(&readings) {
        assert!((pair[1].time - pair[0].time - 100.0).abs() < 0.1);
        let right = -0.5 * (reading.temperature - 25.0);
        assert!((reading.compensation.0 - right).abs() < 1e-9);
    }
    let warmest = readings
        .iter()
        .map(|reading| reading.temperature)
        .fold(0.0, f64::max);
    assert!((warmest - 30.0).abs() < 0.01, "{warmest}");
}

#[test]
fn the_learned_frequency_is_the_one_without_compensation() {
    // At the end it is 25 degrees again, and 29 in the middle.
    for (seconds, kept) in [(86_400.0, 10.0), (87_900.0, 10.0)] {
        let lines = ["tempcomp /sensor 10 25 0 -0.5 0", "driftfile /drift"];
        let (mut world, client) = client(&lines, None);
        world.run(seconds);
        world.stop(client);
        let (frequency, _) = world.drift(client).unwrap();
        assert!((frequency - kept).abs() < 0.05, "{frequency} after {seconds} s");
    }
}

#[test]
fn a_compensation_that_nobody_believes_is_not_applied() {
    let (mut world, client) = client(&["tempcomp /sensor 1000 25 20 0 0"], None);
    world.run(3600.0);
    let too_large = "Temperature compensation of 20.000 ppm exceeds sanity limit of 10.0";
    assert_eq!(
        messages(&world, client)
            .iter()
            .filter(|text| *text == too_large)
            .count(),
        4
    );

    // Without a thermometer.
    let mut world = common::world();
    let spec = NodeSpec::reading(&["tempcomp /sensor 1000 25 20 0 0", "port 0"]).unwrap();
    let client = world.add(spec).unwrap();
    world.run(3600.0);
    let unreadable = "Could not read temperature from /sensor";
    assert_eq!(
        messages(&world, client)
            .iter()
            .filter(|text| *text == unreadable)
            .count(),
        4
    );
}

#[test]
fn a_wrong_file_of_points_ends_the_start() {
    for (points, message) in [
        ("20 1\n", "Not enough points in /points"),
        ("20 1\nwarm\n", "Could not read tempcomp point from /points"),
    ] {
        let spec = NodeSpec {
            temp_points: Some(points.to_owned()),
            ..NodeSpec::reading(&["tempcomp /sensor 10 /points"]).unwrap()
        };
        let error = common::world().add(spec).unwrap_err().to_string();
        assert_eq!(error, format!("node 2: {message}"));
    }
}
