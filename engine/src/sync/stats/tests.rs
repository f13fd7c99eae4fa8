//! Worked examples of `spec/sync.md` 11.2 and properties.

use super::*;
use crate::time::{Raw, SlowBy};
use proptest::prelude::*;

const START: i64 = 1_800_000_000;

fn at(t: f64) -> Cooked {
    Cooked::new(START, 0).plus(t)
}

fn near(got: f64, want: f64) {
    assert!(
        (got - want).abs() <= 1e-6 * want.abs() + 1e-15,
        "{got:e} is not {want:e}"
    );
}

fn sample(t: f64, offset: f64, peer_delay: f64, dispersion: f64) -> Sample {
    Sample {
        time: at(t),
        offset: SlowBy(offset),
        peer_delay,
        peer_dispersion: dispersion,
        root_delay: peer_delay,
        root_dispersion: dispersion,
    }
}

const OFFSETS: [f64; 8] = [
    -1.00e-3, -1.05e-3, -1.20e-3, -1.22e-3, -1.41e-3, -1.44e-3, -1.63e-3, -1.66e-3,
];
const DELAYS: [f64; 8] = [2.0e-3, 2.1e-3, 2.4e-3, 2.0e-3, 2.2e-3, 2.05e-3, 3.0e-3, 2.0e-3];

fn example_16(mut after: impl FnMut(&SourceStats)) -> SourceStats {
    let mut stats = SourceStats::new(StatsConfig::default());
    for (i, (offset, delay)) in OFFSETS.into_iter().zip(DELAYS).enumerate() {
        let sample = Sample {
            peer_dispersion: 20e-6,
            root_delay: delay + 1e-3,
            root_dispersion: 100e-6,
            ..sample(64.0 * i as f64, offset, delay, 0.0)
        };
        assert!(!stats.accumulate(&sample).out_of_order);
        after(&stats);
    }
    stats
}

#[test]
fn example_16_state_after_each_sample() {
    let want = [
        (1.000000e-3, 4.0, 0.0, 2e-3, 2e-3, 4.0, 0, 0),
        (1.050000e-3, 4.0, 0.0, 2e-3, 2e-3, 4.0, 0, 1),
        (
            1.146323774e-3,
            4.986467e-5,
            1.172410204e-6,
            4.453085e-7,
            2.834834e-4,
            2.811182e-5,
            3,
            2,
        ),
        (
            1.219550633e-3,
            8.745930e-6,
            1.154727971e-6,
            6.497963e-8,
            2.053356e-6,
            1.195570e-5,
            3,
            3,
        ),
        (
            1.322788361e-3,
            3.148437e-5,
            1.298417289e-6,
            1.753368e-7,
            2.265352e-6,
            3.707132e-5,
            5,
            4,
        ),
        (
            1.420488875e-3,
            2.424256e-5,
            1.354792430e-6,
            1.111445e-7,
            9.569540e-7,
            3.225899e-5,
            5,
            5,
        ),
        (
            1.516327626e-3,
            2.885156e-5,
            1.383980747e-6,
            1.071438e-7,
            7.359709e-7,
            3.404457e-5,
            5,
            5,
        ),
        (
            1.642628175e-3,
            1.989660e-5,
            1.491411644e-6,
            6.932914e-8,
            4.131324e-7,
            3.330990e-5,
            7,
            7,
        ),
    ];
    let mut want = want.into_iter();
    let stats = example_16(|s| {
        let (offset, offset_sd, freq, freq_sd, skew, std_dev, runs, best) = want.next().expect("a row");
        near(s.offset, offset);
        near(s.offset_sd, offset_sd);
        near(s.freq, freq);
        near(s.freq_sd, freq_sd);
        near(s.skew, skew);
        near(s.std_dev, std_dev);
        assert_eq!((s.runs, s.best), (runs, best));
    });
    let weights = [
        1.0, 3.66594844, 22.2280818, 1.0, 8.111104, 2.096704, 106.392348, 1.0,
    ];
    for (got, want) in stats.weights().into_iter().zip(weights) {
        near(got, want);
    }
}

#[test]
fn example_17_derived_values() {
    let stats = example_16(|_| ());
    let data = stats.selection_data(at(500.0)).expect("samples");
    near(data.root_distance, 1.621482884e-3);
    near(data.low, 1.160705218e-4);
    near(data.high, 3.359036289e-3);
    assert_eq!((data.first_ago, data.last_ago, data.valid), (500.0, 52.0, true));
    near(stats.predicted_offset(at(500.0)).0, 1.720181581e-3);
    let tracking = stats.tracking_data().expect("samples");
    near(tracking.root_dispersion, 1.198966e-4);
    near(tracking.root_delay, 3.0e-3);
    near(stats.frequency_range().0, 1.078279e-6);
    near(stats.frequency_range().1, 1.904544e-6);
    near(stats.frequency_range_half_width(), 4.131324e-7);
    let test = stats.delay_test_data(at(500.0)).expect("six samples");
    near(test.ago, 52.0);
    near(test.min_delay, 2e-3);
}

fn change(t: f64, dfreq: f64, by: f64) -> Change {
    Change {
        raw: Raw::new(START, 0),
        cooked: at(t),
        dfreq,
        by: FastBy(by),
        kind: ChangeKind::Adjust,
    }
}

#[test]
fn example_18_slew() {
    let mut stats = example_16(|_| ());
    stats.announce(&change(450.0, 1e-6, 1e-3));
    let (first, last) = (stats.points[0], *stats.newest().expect("samples"));
    assert!((first.time - at(0.0) + 0.00055).abs() < 2e-9 && (last.time - at(447.999002)).abs() < 2e-9);
    near(first.offset, 4.5e-4);
    near(last.offset, 6.62e-4);
    near(stats.offset, 6.446281754e-4);
    near(stats.freq, 4.914121355e-7);
    let (offset, freq) = (stats.offset, stats.freq);
    stats.regress();
    assert!((stats.offset - offset).abs() < 1e-12 && (stats.freq - freq).abs() < 1e-12);

    stats.announce(&Change {
        kind: ChangeKind::UnknownStep,
        ..change(500.0, 0.0, 0.0)
    });
    assert_eq!((stats.samples(), stats.skew(), stats.std_dev()), (0, 2e-3, 4.0));
    assert_eq!(stats.selection_data(at(501.0)), None);
}

#[test]
fn example_19_fixed_delay_and_few_samples() {
    let mut stats = SourceStats::new(StatsConfig {
        min_delay: 2e-3,
        ..StatsConfig::default()
    });
    stats.accumulate(&sample(0.0, 0.0, 1.5e-3, 1e-6));
    near(stats.newest().expect("a sample").peer_delay, 2.5e-3);
    assert_eq!(stats.min_delay(), 2e-3);

    let mut stats = SourceStats::new(StatsConfig {
        max_samples: 8,
        ..StatsConfig::default()
    });
    for i in 0..12 {
        let offset = 1e-6 * f64::from((5 * i) % 7);
        stats.accumulate(&sample(16.0 * f64::from(i), offset, 1e-3, 1e-6));
    }
    assert_eq!((stats.active, stats.older()), (8, 4));
    near(stats.offset, -3.083333333e-6);
    near(stats.freq, 5.208333333e-9);
    near(stats.skew, 1.399511e-7);
}

#[test]
fn example_20_change_of_frequency() {
    let mut stats = SourceStats::new(StatsConfig::default());
    for i in 0..40 {
        let trend = if i < 25 { 0.0 } else { 64e-6 * f64::from(i - 25) };
        let offset = 1e-6 * f64::from((5 * i) % 7 - 3) - trend;
        stats.accumulate(&sample(64.0 * f64::from(i), offset, 1e-3, 1e-6));
        let counts = (stats.active, stats.older());
        match i {
            25 => assert_eq!(counts.0, 26),
            26..=30 => assert_eq!(counts, (6, 6)),
            39 => assert_eq!(counts, (15, 6)),
            _ => {}
        }
    }
    near(stats.freq, 1.000390625e-6);
}

#[test]
fn example_21_asymmetry() {
    let mut stats = SourceStats::new(StatsConfig::default());
    for i in 0..30_i32 {
        let delay = 1e-3 + f64::from((37 * i) % 11) * 1e-4;
        let noise = 1e-7 * f64::from((13 * i) % 7 - 3);
        let offset = -(1e-7 * f64::from(i)) - 0.5 * (delay - 1e-3) + noise;
        stats.accumulate(&sample(16.0 * f64::from(i), offset, delay, 2e-6));
        match i + 1 {
            n @ 1..=12 => {
                assert_eq!(stats.asymmetry_run, (n - 3).max(0));
                assert_eq!(stats.asymmetry(), 0.0);
                if n == 12 {
                    assert!((stats.std_dev - 1.6e-4).abs() < 0.1e-4, "{:e}", stats.std_dev);
                }
            }
            13 => {
                assert_eq!(stats.asymmetry_run, 10);
                assert!((stats.asymmetry() - 0.4998).abs() < 1e-4);
                assert!((stats.std_dev - 1.93e-7).abs() < 0.01e-7, "{:e}", stats.std_dev);
            }
            14 => assert_eq!((stats.active, stats.older()), (6, 6)),
            _ => {}
        }
    }
}

#[test]
fn one_allowed_sample_is_enough() {
    let mut stats = SourceStats::new(StatsConfig {
        max_samples: 1,
        ..StatsConfig::default()
    });
    for t in [0.0, 10.0] {
        stats.accumulate(&sample(t, 1e-3, 1e-3, 1e-6));
        let data = stats.selection_data(at(20.0)).expect("a sample");
        assert!(data.valid && data.std_dev.is_none() && stats.samples() == 1);
    }
}

#[test]
fn out_of_order_discards_the_history() {
    let mut stats = example_16(|_| ());
    assert!(stats.accumulate(&sample(448.0, 0.0, 1e-3, 1e-6)).out_of_order);
    assert_eq!(stats.samples(), 1);
}

#[test]
fn reports() {
    let empty = SourceStats::new(StatsConfig::default());
    let report = empty.report(at(0.0));
    assert_eq!(
        (report.samples, report.skew, report.std_dev, report.span),
        (0, 2e-3, 4.0, 0.0)
    );
    assert_eq!(empty.last_sample(), None);
    let stats = example_16(|_| ());
    let report = stats.report(at(500.0));
    assert_eq!((report.samples, report.runs, report.span), (8, 7, 448.0));
    near(report.offset.0, 1.720181581e-3);
    near(
        report.offset_error,
        1.989660e-5 + 52.0 * 4.131324e-7 + 1.5e-3 + 1e-4,
    );
    let last = stats.last_sample().expect("samples");
    assert_eq!((last.original.0, last.adjusted.0), (1.66e-3, 1.66e-3));
    near(last.error, 1.6e-3);
}

proptest! {
    /// `spec/sync.md` 48 (a): correcting the samples and predicting commute.
    #[test]
    fn predicting_and_correcting_commute(
        noise in prop::collection::vec(-1e-4..1e-4_f64, 3..64),
        dfreq in -1e-4..1e-4_f64,
        doffset in -1.0..1.0_f64,
        ahead in 0.0..1000.0_f64,
    ) {
        let mut stats = SourceStats::new(StatsConfig::default());
        for (i, y) in noise.iter().enumerate() {
            stats.accumulate(&sample(16.0 * i as f64, *y, 1e-3, 1e-6));
        }
        let now = at(16.0 * noise.len() as f64 + ahead);
        let before = stats.predicted_offset(now).0;
        stats.announce(&Change { cooked: now, ..change(0.0, dfreq, doffset) });
        let (moved, delta) = now.adjusted(now, dfreq, doffset);
        prop_assert!((stats.predicted_offset(moved).0 - (before + delta)).abs() < 2e-9);
    }

    /// Whatever comes, in any order and with any change in between, nothing panics and all stays finite.
    #[test]
    fn values_stay_finite(
        samples in prop::collection::vec(
            (-1e9..1e9_f64, -1e9..1e9_f64, 0.0..10.0_f64, 1e-9..16.0_f64, -0.08..0.08_f64), 1..200),
        asymmetry in -1.0..1.0_f64,
        max_samples in 0..70_u32,
        ordered in any::<bool>(),
    ) {
        let mut stats =
            SourceStats::new(StatsConfig { asymmetry, max_samples, ..StatsConfig::default() });
        let mut time = 0.0;
        for (t, y, delay, dispersion, dfreq) in samples {
            time = if ordered { time + t.abs() / 1e9 * 10.0 + 1e-6 } else { t };
            stats.accumulate(&sample(time, if ordered { y * 1e-9 } else { y }, delay, dispersion));
            stats.announce(&change(time + 1.0, dfreq, dfreq));
            prop_assert!(stats.active <= MAX_SAMPLES && stats.older() <= stats.active);
            let now = at(time + 5.0);
            let data = stats.selection_data(now).expect("a sample");
            let tracking = stats.tracking_data().expect("a sample");
            for v in [
                data.root_distance, data.low, data.high, tracking.offset.0, tracking.offset_sd, tracking.freq,
                tracking.freq_sd, tracking.skew, tracking.root_dispersion, stats.std_dev, stats.asymmetry,
                stats.predicted_offset(now).0, stats.min_delay(),
            ] {
                prop_assert!(v.is_finite());
            }
            prop_assert!(tracking.skew >= 1e-12 && tracking.skew <= 1.0 && data.low <= data.high);
        }
    }
}
