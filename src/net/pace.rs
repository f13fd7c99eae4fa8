//! How long to wait for more requests before taking a batch: while many come, a short wait saves waking up for each.

use std::time::Duration;
use truechimer_engine::time::Mono;

/// Requests that the longest wait must collect to pay.
const LEAST: f64 = 3.0;
/// Requests that are worth a batch.
const WANTED: f64 = 48.0;
/// Longest wait of a thread that serves alone, s.
const ALONE: f64 = 400e-6;
/// Longest wait of a thread that serves a share, s. It has fewer requests for what waking up costs: with two threads, it
/// takes this long that a reply costs about what it costs one thread.
const SHARED: f64 = 600e-6;
/// The rate is measured over at least this time, s.
const PERIOD: f64 = 0.01;

/// The rate of requests.
#[derive(Debug)]
pub struct Pace {
    /// Longest wait, s.
    longest: f64,
    since: Mono,
    count: usize,
    /// 1/s
    rate: f64,
}

impl Pace {
    /// Of a thread that serves alone.
    #[must_use]
    pub fn alone() -> Self {
        Self::with(ALONE)
    }

    /// Of one of several threads.
    pub(super) fn shared() -> Self {
        Self::with(SHARED)
    }

    fn with(longest: f64) -> Self {
        Self {
            longest,
            since: Mono::default(),
            count: 0,
            rate: 0.0,
        }
    }

    /// So many requests were taken now.
    pub(super) fn note(&mut self, count: usize, now: Mono) {
        self.count += count;
        let elapsed = now - self.since;
        if elapsed >= PERIOD {
            self.rate = self.count as f64 / elapsed;
            self.since = now;
            self.count = 0;
        }
    }

    /// How long to wait for more when there is nothing left; none: not at all.
    pub(super) fn wait(&self) -> Option<Duration> {
        let pays = self.rate * self.longest >= LEAST;
        pays.then(|| Duration::from_secs_f64((WANTED / self.rate).min(self.longest)))
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
        for (mut pace, too_few, enough, longest) in [
            (Pace::alone(), 7000, 8000, 400),
            (Pace::shared(), 4500, 5500, 600),
        ] {
            assert_eq!(pace.wait(), None);
            let second = 1_000_000_000;
            assert_eq!(wait_at(&mut pace, second, too_few), None);
            for (i, rate) in [enough, 20_000].into_iter().enumerate() {
                let wait = wait_at(&mut pace, (2 + i as i64) * second, rate);
                assert_eq!(wait, Some(Duration::from_micros(longest)), "{rate}");
            }
            let wait = wait_at(&mut pace, 4 * second, 200_000).unwrap();
            assert!((200..300).contains(&wait.as_micros()), "{wait:?}");
            // One after a pause.
            pace.note(1, Mono(6 * second));
            assert_eq!(pace.wait(), None);
        }
    }
}
