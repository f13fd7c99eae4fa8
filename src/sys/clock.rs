//! Reading and setting the kernel's clock.

use super::error::check;
use nix::time::{ClockId, clock_gettime};
use std::io;
use truechimer_engine::time::{Mono, Now, Raw};

pub use libc::timex;

/// An empty `timex`: `modes` is 0, so nothing is changed by it.
pub fn empty_timex() -> timex {
    // SAFETY: `timex` consists of integers only, for which all-zero bytes are valid.
    unsafe { std::mem::zeroed() }
}

/// `adjtimex()`: applies what `modes` says and fills in the rest. Returns the state of the clock (`TIME_OK`...).
pub fn adjtimex(values: &mut timex) -> io::Result<i32> {
    // SAFETY: the pointer is valid for the duration of the call, which reads and writes one `timex`.
    check(unsafe { libc::adjtimex(values) })
}

/// Both clocks, read one right after the other. Signed seconds: simulations visit times before 1970.
pub fn now() -> Now {
    let mono = monotonic();
    Now {
        mono,
        raw: realtime(),
    }
}

/// `CLOCK_REALTIME`.
pub fn realtime() -> Raw {
    read(ClockId::CLOCK_REALTIME)
}

/// `CLOCK_MONOTONIC`.
pub fn monotonic() -> Mono {
    nanos(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_MONOTONIC_RAW`, which no frequency adjustment touches.
pub fn monotonic_raw() -> Mono {
    nanos(ClockId::CLOCK_MONOTONIC_RAW)
}

fn nanos(clock: ClockId) -> Mono {
    let at = read(clock);
    Mono(
        at.sec()
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(at.nsec())),
    )
}

/// These clocks exist on every kernel that we run on, so the error can't happen; zero is as good as any answer.
fn read(clock: ClockId) -> Raw {
    clock_gettime(clock)
        .map(|at| Raw::new(at.tv_sec(), u32::try_from(at.tv_nsec()).unwrap_or(0)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance() {
        let (first, raw) = (now(), monotonic_raw());
        let second = now();
        assert!(second.mono >= first.mono && monotonic_raw() >= raw);
        assert!(first.mono.0 > 0 && first.raw.sec() > 1_500_000_000);
    }

    #[test]
    fn a_timex_without_modes_only_reads() {
        let mut values = empty_timex();
        assert!(adjtimex(&mut values).unwrap() >= 0);
        assert!((9_000..=11_000).contains(&values.tick));
    }
}
