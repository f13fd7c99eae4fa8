//! How fast simulated time passes: one client and one server at poll 6, for so many days (default 1000).

use std::time::Instant;
use truechimer_sim::scenario::Scenario;

fn main() {
    let days: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let seconds = i64::from(days) * 86_400;
    let mut scenario = Scenario::new(1e-4, 1e-9, 1);
    scenario.source.minpoll = 6;
    scenario.source.maxpoll = 6;
    let start = Instant::now();
    match scenario.measure(10_000, seconds) {
        Ok(meter) => {
            let real = start.elapsed().as_secs_f64();
            println!(
                "{seconds} simulated seconds in {real:.2} s: {:.0} a second; RMS time error {:.2e} s",
                seconds as f64 / real,
                meter.rms_time()
            );
        }
        Err(error) => println!("{error}"),
    }
}
