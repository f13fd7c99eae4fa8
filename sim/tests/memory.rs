//! Memory of sources. The only test of this file, since it looks at the memory of the whole process.

use truechimer_sim::cost::{full, sources};

/// Memory of this process in use, bytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    1024.0 * kib
}

#[test]
fn a_source_needs_less_than_20_kilobytes() {
    const MANY: u32 = 300;
    let run = |count| {
        let (mut world, client) = sources(count).unwrap();
        world.run(full(count));
        (world, client)
    };
    let _few = run(1);
    let before = resident();
    let (mut world, client) = run(MANY);
    let each = (resident() - before) / f64::from(MANY);
    let stats = world.source_stats(client);
    assert_eq!(stats.len(), MANY as usize);
    let samples: u32 = stats.iter().map(|report| report.samples).sum();
    println!(
        "{each:.0} bytes a source with {:.1} samples",
        f64::from(samples) / f64::from(MANY)
    );
    assert!(samples > 60 * MANY, "only {samples} samples");
    assert!(each < 20_000.0, "{each} bytes a source");
    // Less than the samples alone would mean that nothing was measured.
    assert!(each > 3000.0, "{each} bytes a source");
}
