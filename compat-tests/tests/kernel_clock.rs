//! The kernel's clock under our control for a minute. The source is a daemon that reads the same clock, so there is
//! nothing to correct and never a step; what the daemon tells the kernel is what counts. Frequency, tick, status and
//! errors of the kernel are put back in the end.

use std::fs;
use std::time::{Duration, Instant};

use compat_tests::kernel::{KernelClock, KernelClockGuard, STA_UNSYNC};
use compat_tests::{Chronyd, LIMIT, Namespace, old, subject, until};

/// How far the frequency estimate may move, ppm. The measurements' noise is all there is, and on a busy machine that is
/// some 10 us from second to second. `maxupdateskew` keeps the first estimates away, which are worse.
const NOISE: f64 = 50.0;
/// Configured `maxslewrate`, ppm.
const MAX_SLEW: f64 = 100.0;

fn drift_file(text: &str) -> (f64, f64) {
    let mut numbers = text.split_whitespace().map(|n| n.parse().unwrap());
    (numbers.next().expect("frequency"), numbers.next().expect("skew"))
}

#[test]
fn a_minute_of_the_kernel_clock() {
    let namespace = Namespace::new();
    let guard = KernelClockGuard::new();
    let start = guard.saved().ppm();

    let server = Chronyd::new(&old())
        .within(&namespace)
        .config("port 11123\nlocal stratum 2\nallow 127.0.0.1")
        .start();
    let daemon = Chronyd::new(&subject()).controlling_the_clock().within(&namespace).config(
        "port 0\ncmdport 0\nrtcsync\nlog tracking\nmaxslewrate 100\nmaxupdateskew 20\nserver 127.0.0.1 port 11123 iburst minpoll 0 maxpoll 0",
    );
    let mut daemon = daemon.start();
    assert!(
        KernelClock::read().status & STA_UNSYNC != 0,
        "synchronised before the first measurement"
    );
    daemon.wait_synchronised(LIMIT);

    // Status and errors reach the kernel, since rtcsync wants its clock to be marked as synchronised.
    until(LIMIT, "STA_UNSYNC clear", || {
        (KernelClock::read().status & STA_UNSYNC == 0).then_some(())
    });
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        let kernel = KernelClock::read();
        assert_eq!(kernel.status & STA_UNSYNC, 0, "{kernel:?}");
        assert!(
            kernel.max_error < 1_000_000 && kernel.est_error < 1_000_000,
            "{kernel:?}"
        );
        assert!(
            (kernel.ppm() - start).abs() < NOISE + MAX_SLEW,
            "{start} ppm before, {kernel:?}"
        );
        std::thread::sleep(Duration::from_secs(2));
    }

    let tracking = daemon.chronyc(&["-c", "-n", "tracking"]).ok();
    let fields: Vec<&str> = tracking.trim_end().split(',').collect();
    assert_eq!(
        (fields[1], fields[2], fields[13]),
        ("127.0.0.1", "3", "Normal"),
        "{tracking}"
    );
    let value = |i: usize| -> f64 { fields[i].parse().unwrap() };
    assert!(value(4).abs() < 1e-3, "correction in {tracking}");

    assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
    assert!(!daemon.log().contains("stepped"), "{}", daemon.log());
    let (frequency, skew) = drift_file(&fs::read_to_string(daemon.dir.join("drift")).unwrap());
    assert!(skew > 0.0 && skew < NOISE, "skew {skew} ppm");
    // Positive in the drift file: the clock gains, so the kernel slows it down. No slew is left after the end.
    let kernel = KernelClock::read();
    assert!(
        (kernel.ppm() + frequency).abs() < 0.01,
        "drift file {frequency} ppm, {kernel:?}"
    );
    assert!(
        (frequency + start).abs() < NOISE,
        "drift file {frequency} ppm, {start} ppm before"
    );
    let log = fs::read_to_string(daemon.dir.join("logs/tracking.log")).unwrap();
    assert!(
        log.lines().filter(|line| line.contains(" 127.0.0.1 ")).count() >= 10,
        "{log}"
    );

    drop(server);
    let saved = guard.saved().clone();
    drop(guard);
    let after = KernelClock::read();
    assert_eq!(
        (after.frequency, after.tick, after.status),
        (saved.frequency, saved.tick, saved.status)
    );
}
