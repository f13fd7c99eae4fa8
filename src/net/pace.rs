//! How long to wait for more requests before taking a batch: while many come, a short wait saves waking up for each.

use std::time::Duration;
use truechimer_engine::time::Mono;

/// Requests a second from which on waiting pays: it must collect a few.
const MIN_RATE: f64 = 8000.0;
/// Requests that are worth a batch.
const WANTED: f64 = 48.0;
/// Longest wait, s.
const MAX_WAIT: f64 = 400e-6;
/// The rate is measured over at least this time, s.
const PERIOD: f64 = 0.01;

/// The rate of requests.
#[derive(Debug, Default)]
pub(super) struct Pace {
    since: Mono,
    count: usize,
    /// 1/s
    rate: f64,
}

impl Pace {
    /// So many requests were taken now.
    pub(super) fn note(&mut self, count: usize, now: Mono) {
        self.count += count;
        let elapsed = now - self.since;
        if elapsed >= PERIOD {
            self.rate = self.count as f64 / elapsed;
            *self = Self {
                since: now,
                count: 0,
                rate: self.rate,
            };
        }
    }

    /// How long to wait for more when there is nothing left; none: not at all.
    pub(super) fn wait(&self) -> Option<Duration> {
        (self.rate >= MIN_RATE).then(|| Duration::from_secs_f64((WANTED / self.rate).min(MAX_WAIT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is waited for after a second of so many requests, evenly spread.
    fn wait_at(pace: &mut Pace, start: i64, rate: i64) -> Option<Duration> {
        for i in 0..rate {
            pace.note(1, Mono(start + i * (1_000_000_000 / rate)));
        }
        pace.wait()
    }

    #[test]
    fn only_while_many_come() {
        let mut pace = Pace::default();
        assert_eq!(pace.wait(), None);
        let second = 1_000_000_000;
        assert_eq!(wait_at(&mut pace, second, 1000), None);
        assert_eq!(
            wait_at(&mut pace, 2 * second, 20_000),
            Some(Duration::from_micros(400))
        );
        let wait = wait_at(&mut pace, 3 * second, 200_000).unwrap();
        assert!((200..300).contains(&wait.as_micros()), "{wait:?}");
        // One after a pause.
        pace.note(1, Mono(5 * second));
        assert_eq!(pace.wait(), None);
    }
}
