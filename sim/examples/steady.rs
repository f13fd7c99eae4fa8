//! Clock errors in the steady state over many seeds, for comparison with other implementations in the same
//! world: `steady POLL|default JITTER WANDER SEEDS`.

use truechimer_sim::measure::{ErrorMeter, quantile};
use truechimer_sim::scenario::Scenario;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: f64| args.get(i).and_then(|text| text.parse().ok()).unwrap_or(default);
    let poll: Option<i32> = args.first().and_then(|text| text.parse().ok());
    let (jitter, wander) = (number(1, 1e-4), number(2, 1e-9));
    let meters: Vec<_> = (1..=number(3, 21.0) as u64)
        .filter_map(|seed| {
            let mut scenario = Scenario::new(jitter, wander, seed);
            let (from, until) = poll.map_or((60_000, 300_000), |poll| (100 << poll, 1000 << poll));
            if let Some(poll) = poll {
                scenario.source.minpoll = poll;
                scenario.source.maxpoll = poll;
            }
            scenario.measure(from, until).ok()
        })
        .collect();
    println!(
        "poll {poll:?} jitter {jitter:e} wander {wander:e} {} seeds: 25 %, median, 75 %",
        meters.len()
    );
    type Figure = fn(&ErrorMeter) -> f64;
    let figures: [(&str, Figure); 3] = [
        ("RMS time", ErrorMeter::rms_time),
        ("RMS frequency", ErrorMeter::rms_frequency),
        ("max time", ErrorMeter::max_time),
    ];
    for (name, figure) in figures {
        let values: Vec<f64> = meters.iter().map(figure).collect();
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|p| quantile(&values, p));
        println!("  {name:14} {low:.3e} {middle:.3e} {high:.3e}");
    }
}
