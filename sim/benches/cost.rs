//! What the engine costs: `cargo bench -p truechimer-sim --bench cost`. An exchange is all that happens for one sample:
//! request, answer of the server, arrival, statistics, selection, update of the clock; an update is a part of it.

use std::time::Instant;
use truechimer_sim::cost::{full, sources};
use truechimer_sim::reference::Failure;

fn main() -> Result<(), Failure> {
    for count in [1, 8, 64] {
        let (mut world, client) = sources(count)?;
        world.run(full(count));
        let stats = world.source_stats(client);
        let samples: u32 = stats.iter().map(|report| report.samples).sum();
        let before = world.sent(client);
        let start = Instant::now();
        world.run(16.0 * 400_000.0 / f64::from(count * count.min(8)));
        let exchanges = (world.sent(client) - before) as f64;
        let cost = 1e6 * start.elapsed().as_secs_f64() / exchanges;
        println!(
            "{count:>3} sources of {:.0} samples: {cost:6.2} us an exchange (wanted for 8: below 50 us)",
            f64::from(samples) / f64::from(count)
        );
    }
    Ok(())
}
