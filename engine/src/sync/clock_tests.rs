//! Tests of the local clock.

use super::clock::Refused;
use super::kernel::Clock;
use super::testing::World;
use crate::config::ClockConfig;
use crate::event::{Event, clock::ClockEvent};
use crate::time::{FastBy, Ppm};

/// Clock, world, and one change of the clock after which the total frequency and the plan are looked at.
fn planned(base: f64, register: f64, rate: f64, config: &ClockConfig) -> (f64, f64, f64) {
    let mut world = World::new(0.0);
    world.kernel.frequency = base;
    let mut clock = world.clock(config);
    let now = world.kernel.now();
    world
        .with(|cx| clock.accumulate_offset(cx, FastBy(register), rate))
        .unwrap();
    let duration = clock.next_wakeup().unwrap() - now.mono;
    (world.kernel.frequency, clock.snapshot().slew, duration)
}

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b} +- {tolerance}");
}

#[test]
fn frequency_composes_as_in_example_41() {
    let mut world = World::new(0.0);
    world.kernel.frequency = 100.0;
    let mut clock = world.clock(&ClockConfig::default());
    world
        .with(|cx| clock.accumulate_frequency_and_offset(cx, 10e-6, FastBy(0.0), 0.0))
        .unwrap();
    near(clock.absolute_frequency().0, 109.999, 1e-9);
    assert_eq!(world.out.changes.len(), 1);
    near(world.out.changes[0].dfreq, 10e-6, 1e-15);
}

#[test]
fn plans_are_those_of_example_42() {
    let config = ClockConfig::default();
    let (total, slew, duration) = planned(0.0, 1e-3, 1.92e-3, &config);
    near(total, 520.8333, 1e-4);
    near(slew, 5.211_047_4e-4, 1e-10);
    near(duration, 1.919, 1e-3);

    let (total, slew, duration) = planned(99.99, 0.1128, 0.0, &config);
    near(total, 83_424.990_8, 1e-3);
    near(slew, 1.0 / 11.0, 1e-7);
    near(duration, 1.2408, 1e-4);

    near(planned(0.0, 5e-6, 1.92e-3, &config).0, 0.013_020_83, 1e-8);
    near(planned(0.0, 1000.0, 0.0, &config).2, 1e4, 0.0);
    near(planned(-20.0, -2e-5, 1.92e-3, &config).0, -20.208_337_5, 1e-7);
    near(planned(0.0, 1e-7, 1.92e-3, &config).2, 1e4, 0.0);

    let slow = ClockConfig {
        max_slew_rate: 500.0,
        ..config
    };
    near(planned(0.0, 0.1, 0.0, &slow).2, 199.9, 1e-9);
}

#[test]
fn precision_is_rounded_in_log2_as_in_example_43() {
    for (precision, log) in [(1e-6, -20), (25e-9, -25), (1e-9, -30), (1e-3, -10), (1e-12, -30)] {
        let config = ClockConfig {
            precision,
            ..ClockConfig::default()
        };
        assert_eq!(World::new(0.0).clock(&config).precision_log(), log);
    }
}

#[test]
fn temperature_compensation_follows_example_44() {
    let mut world = World::new(0.0);
    world.kernel.frequency = 10.0;
    let mut clock = world.clock(&ClockConfig::default());
    world.with(|cx| clock.set_temp_comp(cx, 2.0));
    near(world.kernel.frequency, 7.99998, 1e-9);
    near(clock.absolute_frequency().0, 10.0, 1e-9);
    assert!(world.out.changes.is_empty());
    world.with(|cx| clock.set_absolute_frequency(cx, Ppm(20.0)));
    near(clock.absolute_frequency().0, 20.0, 1e-9);
}

/// Property 48 (b).
#[test]
fn cooked_time_is_continuous_over_changes_of_frequency() {
    let mut world = World::new(50e-6);
    let mut clock = world.clock(&ClockConfig::default());
    let mut before = world.kernel.now().raw;
    for i in 0..50 {
        world.kernel.advance(0.37);
        world.with(|cx| clock.on_timeout(cx));
        let raw = world.kernel.now().raw;
        let (old, _) = clock.cook(raw);
        let dfreq = f64::from(i % 7 - 3) * 1e-5;
        world
            .with(|cx| clock.accumulate_frequency_and_offset(cx, dfreq, FastBy(0.0), 1e-3))
            .unwrap();
        near(clock.cook(raw).0 - old, 0.0, 2e-9);
        assert!(clock.cook(raw).0 > clock.cook(before).0);
        before = raw;
        world
            .with(|cx| clock.accumulate_offset(cx, FastBy(f64::from(i) * 1e-4), 1e-3))
            .unwrap();
        near(clock.cook(raw).0 - old, -f64::from(i) * 1e-4, 2e-9);
    }
}

/// Property 48 (c).
#[test]
fn raw_time_converges_to_cooked_time() {
    for (offset, rate) in [(1e-3, 1.92e-3), (-0.1, 0.0), (0.5, 1.0), (2e-5, 1e-6)] {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig::default());
        let start = world.kernel.now();
        world
            .with(|cx| clock.accumulate_offset(cx, FastBy(offset), rate))
            .unwrap();
        let longest = (rate / f64::abs(offset)).max(f64::abs(offset) * 12.0).max(1.0) * 1.1;
        loop {
            let at = clock.next_wakeup().unwrap();
            if at - start.mono > longest {
                break;
            }
            world.kernel.advance_to(at);
            world.with(|cx| clock.on_timeout(cx));
        }
        world.kernel.advance_to(start.mono.plus(longest));
        near(clock.correction(world.kernel.now().raw), 0.0, 1e-8);
    }
}

#[test]
fn a_step_moves_raw_time_and_leaves_the_correction() {
    let mut world = World::new(0.0);
    let mut clock = world.clock(&ClockConfig::default());
    world
        .with(|cx| clock.accumulate_offset(cx, FastBy(0.5), 0.0))
        .unwrap();
    world.kernel.advance(1.0);
    let before = clock.correction(world.kernel.now().raw);
    let raw = world.kernel.now().raw;
    world.with(|cx| clock.step(cx, FastBy(3.0))).unwrap();
    near(world.kernel.now().raw - raw, -3.0, 2e-9);
    near(clock.correction(world.kernel.now().raw), before, 1e-9);
    assert!(clock.take_stepped() && !clock.take_stepped());
    world.with(|cx| clock.make_step(cx)).unwrap();
    near(clock.correction(world.kernel.now().raw), 0.0, 2e-9);
}

#[test]
fn without_control_corrections_live_in_cooked_time() {
    let mut world = World::new(100e-6);
    world.kernel.control = false;
    let mut clock = world.clock(&ClockConfig::default());
    world
        .with(|cx| clock.accumulate_frequency_and_offset(cx, 100e-6, FastBy(0.25), 1.0))
        .unwrap();
    near(clock.correction(world.kernel.now().raw), -0.25, 1e-12);
    world.kernel.advance(1000.0);
    near(clock.correction(world.kernel.now().raw), -0.35, 1e-4);
    let before = clock.correction(world.kernel.now().raw);
    world.with(|cx| clock.on_timeout(cx));
    near(clock.correction(world.kernel.now().raw), before, 1e-9);
    assert_eq!(world.with(|cx| clock.make_step(cx)), Err(Refused::Step));
    near(clock.correction(world.kernel.now().raw), before, 1e-9);
    assert_eq!(world.kernel.frequency, 0.0);
}

#[test]
fn insane_adjustments_are_refused() {
    let mut world = World::new(0.0);
    let mut clock = world.clock(&ClockConfig::default());
    let result = world.with(|cx| clock.accumulate_offset(cx, FastBy(1e12), 0.0));
    assert_eq!(result, Err(Refused::Insane));
    assert!(world.out.changes.is_empty());
    let event = Event::Clock(ClockEvent::InvalidAdjustment(-1e12));
    assert_eq!(world.out.events, [event]);
}

#[test]
fn finishing_leaves_the_learned_frequency() {
    let mut world = World::new(0.0);
    world.kernel.frequency = 33.0;
    let mut clock = world.clock(&ClockConfig::default());
    world
        .with(|cx| clock.accumulate_offset(cx, FastBy(0.5), 0.0))
        .unwrap();
    assert!(world.kernel.frequency > 80_000.0);
    world.with(|cx| clock.cancel(cx));
    world.with(|cx| clock.finish(cx));
    near(world.kernel.frequency, 33.0, 1e-9);
    assert_eq!(clock.next_wakeup(), None);
}

#[test]
fn kernel_status_needs_rtcsync() {
    for rtc_sync in [false, true] {
        let mut world = World::new(0.0);
        let mut clock = world.clock(&ClockConfig {
            rtc_sync,
            ..ClockConfig::default()
        });
        world.with(|cx| clock.set_sync_status(cx, true, 1e-3, 2e-3));
        let status = world.kernel.status.unwrap();
        assert_eq!(status.synchronised, rtc_sync);
        near(status.max_error, if rtc_sync { 2e-3 } else { 16.0 }, 0.0);
        world.with(|cx| clock.set_sync_status(cx, true, 1.0, 17.0));
        assert!(!world.kernel.status.unwrap().synchronised);
    }
}
