//! `broadcast`: packets sent without being asked (`spec/ntp.md` section 4.2).

use super::answer::Snapshot;
use super::reply::served_header;
use crate::config::Broadcast;
use crate::random::Random;
use crate::time::{Mono, NtpTimestamp, Raw, fuzz, pow2};
use crate::wire::ntp::{Builder, Header, Mode};
use bytes::Bytes;
use std::net::SocketAddr;

/// Longest interval, s.
const MAX_INTERVAL: i32 = 1 << 24;
/// Intervals are up to this share longer than configured, so that servers do not send at the same time.
const RANDOMNESS: f64 = 0.02;
/// Distance of the first packets, s.
const FIRST_SEPARATION: f64 = 0.2;

/// All broadcasts and when they are due.
#[derive(Clone, Debug)]
pub struct Broadcasts {
    entries: Vec<Entry>,
    last_sent: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    remote: SocketAddr,
    /// s
    interval: f64,
    poll: i8,
    next: Mono,
}

/// A packet that is due: [`DueBroadcast::build`] it and send it from the server's socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DueBroadcast {
    /// Where to.
    pub remote: SocketAddr,
    poll: i8,
}

impl Broadcasts {
    /// The configured broadcasts. Each is first sent after one interval.
    #[must_use]
    pub fn new(config: &[Broadcast], now: Mono, random: &mut dyn Random) -> Self {
        let mut all = Self {
            entries: Vec::new(),
            last_sent: None,
        };
        for broadcast in config {
            let interval = f64::from(broadcast.interval.clamp(1, MAX_INTERVAL));
            let poll = libm::round(libm::log2(interval)) as i8;
            let remote = SocketAddr::new(broadcast.address, broadcast.port as u16);
            let next = all.time(now, interval, FIRST_SEPARATION, random);
            all.entries.push(Entry {
                remote,
                interval,
                poll,
                next,
            });
        }
        all
    }

    /// When the next packet is due.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.entries.iter().map(|entry| entry.next).min()
    }

    /// How many broadcasts go to addresses of this family: its server socket is needed for each.
    #[must_use]
    pub fn count(&self, v6: bool) -> usize {
        let family = self.entries.iter().filter(|entry| entry.remote.is_ipv6() == v6);
        family.count()
    }

    /// Takes one packet that is due; its next one is scheduled.
    pub fn pop_due(&mut self, now: Mono, random: &mut dyn Random) -> Option<DueBroadcast> {
        let (index, due) = self
            .entries
            .iter()
            .enumerate()
            .min_by_key(|(_, entry)| entry.next)?;
        if due.next > now {
            return None;
        }
        let mut entry = self.entries.remove(index);
        self.last_sent = Some(now);
        let separation = pow2(i32::from(entry.poll) - 3).clamp(0.002, FIRST_SEPARATION);
        entry.next = self.time(now, entry.interval, separation, random);
        self.entries.push(entry);
        Some(DueBroadcast {
            remote: entry.remote,
            poll: entry.poll,
        })
    }

    /// A time `delay` s from now or a little later, at least `separation` s away from the other packets
    /// (`spec/ntp.md` section 2.3).
    fn time(&self, now: Mono, delay: f64, separation: f64, random: &mut dyn Random) -> Mono {
        let stretch = 1.0 + random.uniform() * RANDOMNESS;
        let separation = separation * stretch;
        let mut at = now.plus(delay * stretch);
        if let Some(last) = self.last_sent {
            at = at.max(last.plus(separation));
        }
        let mut others: Vec<Mono> = self.entries.iter().map(|entry| entry.next).collect();
        others.sort_unstable();
        for other in others {
            if (at - other).abs() < separation {
                at = other.plus(separation);
            }
        }
        at
    }
}

impl DueBroadcast {
    /// The packet; `now` is a fresh reading of the clock.
    #[must_use]
    pub fn build(&self, view: &Snapshot<'_>, random: &mut dyn Random, now: Raw) -> Bytes {
        let smoothed = view.smoothing.abs() > view.quantum;
        let shift = if smoothed { view.smoothing } else { 0.0 };
        let time = view.cook.cook(now).0.plus(shift);
        let header = Header {
            version: 4,
            mode: Mode::Broadcast,
            poll: self.poll,
            transmit: NtpTimestamp::from_cooked(time, fuzz(view.precision, random.bits64())),
            ..served_header(view, smoothed, 0.0)
        };
        Bytes::copy_from_slice(Builder::new(&header).bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;

    fn broadcast(interval: i32, last: u8) -> Broadcast {
        Broadcast {
            interval,
            address: [192, 0, 2, last].into(),
            port: 123,
        }
    }

    #[test]
    fn packets_come_at_their_intervals_and_apart() {
        let mut random = Seeded::new(3);
        let config: Vec<_> = (0..4).map(|i| broadcast(1, i)).collect();
        let mut all = Broadcasts::new(&config, Mono(0), &mut random);
        let mut times = Vec::new();
        while times.len() < 40 {
            let now = all.next_wakeup().unwrap();
            assert_eq!(all.pop_due(Mono(now.0 - 1), &mut random), None);
            let due = all.pop_due(now, &mut random).unwrap();
            assert_eq!(due.poll, 0);
            times.push(now);
        }
        assert!(times[0].0 >= 1_000_000_000);
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] > 0.124),
            "{times:?}"
        );
        assert!((9.5..12.5).contains(&(times[39] - times[0])), "{times:?}");
    }

    #[test]
    fn intervals_are_limited() {
        let mut random = Seeded::new(3);
        let config = [broadcast(0, 1), broadcast(i32::MAX, 2), broadcast(100, 3)];
        let all = Broadcasts::new(&config, Mono(0), &mut random);
        let polls: Vec<_> = all.entries.iter().map(|e| (e.interval, e.poll)).collect();
        assert_eq!(polls, [(1.0, 0), (16_777_216.0, 24), (100.0, 7)]);
        assert_eq!((all.count(false), all.count(true)), (3, 0));
        assert_eq!(Broadcasts::new(&[], Mono(0), &mut random).next_wakeup(), None);
    }
}
