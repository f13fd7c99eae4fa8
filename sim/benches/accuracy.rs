//! The tables of docs/accuracy.md: ours beside chrony's. `cargo bench -p truechimer-sim --bench accuracy [-- SEEDS]`
//!
//! FAIL means that the median is beyond what is accepted of chrony's figures over many seeds, where there are some, else
//! of the table's. The exit status tells whether there is a FAIL.

use std::process::ExitCode;
use std::time::Instant;
use truechimer_sim::measure::median;
use truechimer_sim::reference::{
    ACCEPTED, ACCEPTED_CONVERGENCE, CONDITIONS, CONVERGENCE, FREQUENCY_STEP, Failure, STEADY, frequency_step,
};
use truechimer_sim::scenario::Scenario;

/// Simulated seconds per second that have to be reached.
const SPEED: f64 = 1e6;

/// Counts what is not accepted.
#[derive(Default)]
struct Verdicts {
    failed: u32,
}

impl Verdicts {
    fn of(&mut self, good: bool) -> &'static str {
        if good {
            "PASS"
        } else {
            self.failed += 1;
            "FAIL"
        }
    }
}

fn main() -> ExitCode {
    // Cargo adds an option of its own.
    let seeds = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(25);
    match tables(seeds) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("{failed} FAIL");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Median of one figure over all seeds.
fn over(seeds: u64, run: impl Fn(u64) -> Result<f64, Failure>) -> Result<f64, Failure> {
    let values: Result<Vec<f64>, Failure> = (1..=seeds).map(run).collect();
    Ok(median(&values?))
}

fn tables(seeds: u64) -> Result<u32, Failure> {
    let mut verdicts = Verdicts::default();
    println!("Medians of {seeds} seeds. chrony: 4.9, 41 seeds (in brackets the table of 5 seeds)\n");
    println!(
        "{:42} {:22} {:>9} {:>9} {:>11} {:>6}",
        "steady state", "figure", "ours", "chrony", "", "ratio"
    );
    for row in &STEADY {
        let runs: Result<Vec<_>, Failure> = (1..=seeds).map(|seed| row.measure(seed)).collect();
        let runs = runs?;
        for (i, name) in [
            "RMS time error, s",
            "RMS frequency error",
            "largest time error, s",
        ]
        .into_iter()
        .enumerate()
        {
            let ours = median(&runs.iter().map(|run| run[i]).collect::<Vec<_>>());
            let ratio = ours / row.again[i];
            println!(
                "{:42} {name:22} {ours:>9.2e} {:>9.2e} {:>11} {ratio:>6.2} {}",
                if i == 0 { row.name() } else { String::new() },
                row.again[i],
                format!("({:.2e})", row.table[i]),
                verdicts.of(ratio <= ACCEPTED[i])
            );
        }
    }
    println!(
        "\n{:42} {:>9} {:>9} {:>9}",
        "convergence to 1 ms, s", "ours", "chrony", "accepted"
    );
    for row in &CONVERGENCE {
        for (jitter, chrony) in row.table {
            let ours = over(seeds, |seed| row.measure(jitter, seed))?;
            let options = format!("{} {}", row.options, row.line.unwrap_or(""));
            let name = if options.trim().is_empty() {
                "no options"
            } else {
                options.trim()
            };
            println!(
                "{:42} {ours:>9} {chrony:>9} {:>9.0} {}",
                format!("{name}, jitter {jitter:e}"),
                row.accepted(chrony),
                verdicts.of(ours <= row.accepted(chrony))
            );
        }
    }
    println!(
        "\n{:42} {:>9} {:>9} {:>11} {:>6}",
        "other conditions, RMS time error, s", "ours", "chrony", "", "ratio"
    );
    for row in &CONDITIONS {
        let ours = over(seeds, |seed| row.measure(seed))?;
        let ratio = ours / row.again;
        println!(
            "{:42} {ours:>9.2e} {:>9.2e} {:>11} {ratio:>6.2} {}",
            row.name,
            row.again,
            format!("({:.2e})", row.table),
            verdicts.of(ratio <= ACCEPTED[0])
        );
    }
    let peak = over(seeds, |seed| Ok(frequency_step(seed)?.0))?;
    let back = over(seeds, |seed| Ok(frequency_step(seed)?.1))?;
    let (chrony_peak, chrony_back) = FREQUENCY_STEP;
    println!("\nstep of the frequency by 1 ppm");
    println!(
        "{:42} {peak:>9.2e} {chrony_peak:>9.2e} {:>11} {:>6.2} {}",
        "largest error, s",
        "",
        peak / chrony_peak,
        verdicts.of(peak <= ACCEPTED[2] * chrony_peak)
    );
    println!(
        "{:42} {back:>9} {chrony_back:>9} {:>18} {}",
        "back after, s",
        "",
        verdicts.of(back <= ACCEPTED_CONVERGENCE * chrony_back + 64.0)
    );
    let mut scenario = Scenario::new(1e-4, 1e-9, 1);
    (scenario.source.minpoll, scenario.source.maxpoll) = (6, 6);
    let seconds = 86_400_000;
    let start = Instant::now();
    scenario.measure(10_000, seconds)?;
    let speed = seconds as f64 / start.elapsed().as_secs_f64();
    println!(
        "\n{:42} {speed:>9.2e} {SPEED:>9.2e} wanted {:>11} {}",
        "simulated seconds per second",
        "",
        verdicts.of(speed >= SPEED)
    );
    Ok(verdicts.failed)
}
