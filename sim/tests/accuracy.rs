//! The simulated clock is as good as chrony's (docs/accuracy.md).

use truechimer_sim::measure::median;
use truechimer_sim::reference::{ACCEPTED, CONVERGENCE, STEADY, Steady};

/// A single run scatters by up to 50 %, a median of so many by a tenth.
const SEEDS: u64 = 15;

#[test]
fn every_row_of_the_table_is_within_the_accepted_bounds() {
    let mut bad = Vec::new();
    for row in &STEADY {
        let runs: Vec<_> = (1..=SEEDS).map(|seed| row.measure(seed).unwrap()).collect();
        let ratios: Vec<f64> = (0..3)
            .map(|i| median(&runs.iter().map(|run| run[i]).collect::<Vec<_>>()) / row.again[i])
            .collect();
        println!("{:40} ratios {ratios:.2?}", row.name());
        if ratios
            .iter()
            .zip(ACCEPTED)
            .any(|(ratio, accepted)| *ratio > accepted)
        {
            bad.push((row.name(), ratios));
        }
    }
    assert!(bad.is_empty(), "beyond the accepted ratios: {bad:?}");
}

#[test]
fn the_clock_converges_as_fast_as_with_chrony() {
    for row in &CONVERGENCE {
        for (jitter, chrony) in row.table {
            let runs: Vec<_> = (1..=9).map(|seed| row.measure(jitter, seed).unwrap()).collect();
            let converged = median(&runs);
            let name = format!("{} {}, jitter {jitter:e}", row.options, row.line.unwrap_or(""));
            println!("{name:40}: {converged} s, chrony {chrony} s");
            assert!(converged <= row.accepted(chrony), "{name}: {converged} s");
            assert!(converged >= 4.0, "{name}: sooner than possible: {converged} s");
        }
    }
}

#[test]
fn a_month_stays_within_the_row_of_default_polling() {
    const MONTH: i64 = 30 * 86_400;
    let row = &STEADY[7];
    assert_eq!((row.poll, row.jitter), (None, 1e-4));
    let run = |row: &Steady, seed| row.scenario(seed).measure(60_000, MONTH).unwrap();
    let meter = run(row, 1);
    // The lower of the two figures of docs/accuracy.md.
    let lower = |i: usize| ACCEPTED[i] * row.table[i].min(row.again[i]);
    assert!(
        meter.rms_time() <= lower(0),
        "RMS time error {:e}",
        meter.rms_time()
    );
    assert!(
        meter.rms_frequency() <= lower(1),
        "RMS frequency error {:e}",
        meter.rms_frequency()
    );
    let again = run(row, 1);
    assert_eq!(meter.rms_time().to_bits(), again.rms_time().to_bits());
    assert_eq!(meter.max_time().to_bits(), again.max_time().to_bits());
    assert_ne!(meter.rms_time().to_bits(), run(row, 2).rms_time().to_bits());
}
