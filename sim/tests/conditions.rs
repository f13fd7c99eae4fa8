//! Accuracy under other conditions than jitter and wander (docs/accuracy.md).

use truechimer_sim::measure::median;
use truechimer_sim::reference::{ACCEPTED, ACCEPTED_CONVERGENCE, CONDITIONS, FREQUENCY_STEP, frequency_step};

const SEEDS: u64 = 15;

#[test]
fn other_conditions() {
    for row in &CONDITIONS {
        let errors: Vec<f64> = (1..=SEEDS).map(|seed| row.measure(seed).unwrap()).collect();
        let ratio = median(&errors) / row.again;
        println!("{:28} ratio {ratio:.2}", row.name);
        assert!(
            ratio <= ACCEPTED[0],
            "{}: RMS time error {ratio:.2} times chrony's",
            row.name
        );
        assert!(ratio >= 0.2, "{}: too good to be true: {ratio:.2}", row.name);
    }
}

#[test]
fn a_step_of_the_frequency() {
    let runs: Vec<_> = (1..=SEEDS).map(|seed| frequency_step(seed).unwrap()).collect();
    let peak = median(&runs.iter().map(|run| run.0).collect::<Vec<_>>());
    let time = median(&runs.iter().map(|run| run.1).collect::<Vec<_>>());
    println!("frequency step: peak {peak:.2e}, back after {time} s; chrony {FREQUENCY_STEP:?}");
    assert!(peak <= ACCEPTED[2] * FREQUENCY_STEP.0, "peak {peak:e}");
    assert!(peak >= 3e-5, "the step of 1 ppm was not seen: {peak:e}");
    assert!(
        time <= ACCEPTED_CONVERGENCE * FREQUENCY_STEP.1 + 64.0,
        "back after {time} s"
    );
}
