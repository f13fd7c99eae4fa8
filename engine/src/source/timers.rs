//! Timers of the sources, on the clock that never steps. Transmissions of a class keep a distance from each
//! other (`spec/ntp.md` section 2.3, `spec/sync.md` section 9.3).

use crate::random::Random;
use crate::sync::SourceId;
use crate::time::Mono;
use std::collections::BTreeMap;

/// Timers that are spread out among themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// Requests of clients.
    Client,
    /// Packets to peers.
    Peer,
}

/// What is to be done when a timer fires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Alarm {
    /// A source transmits.
    Transmit(SourceId),
    /// A source looks at a response that waited for a transmit timestamp.
    Saved(SourceId),
    /// A source closes the socket of a request that got no reply.
    CloseSocket(SourceId),
    /// The next round of name resolving.
    Resolve,
}

/// Names an armed timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TimerId {
    at: Mono,
    sequence: u64,
    queue: usize,
}

const CLASSES: usize = 2;
const PLAIN: usize = CLASSES;

/// All timers, sorted; equal times fire in the order of arming.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queues: [BTreeMap<(Mono, u64), Alarm>; CLASSES + 1],
    last_fired: [Option<Mono>; CLASSES],
    next: u64,
}

impl Timers {
    /// Arms a timer of no class, `delay` s from `now`.
    pub(super) fn arm(&mut self, now: Mono, delay: f64, alarm: Alarm) -> TimerId {
        self.insert(PLAIN, now.plus(delay), alarm)
    }

    /// Arms a timer of a class, `delay` s from `now` or later: delay and `separation` (s) are stretched by up
    /// to the share `randomness`, then the timer is moved behind those that are closer than the separation.
    pub(super) fn arm_in_class(
        &mut self,
        now: Mono,
        class: Class,
        (delay, separation, randomness): (f64, f64, f64),
        alarm: Alarm,
        random: &mut dyn Random,
    ) -> TimerId {
        let stretch = 1.0 + random.uniform() * randomness;
        let separation = Mono::default().plus(separation * stretch).0;
        let mut at = now.plus(delay * stretch).0;
        let queue = class as usize;
        if let Some(last) = self.last_fired[queue] {
            let earliest = last.0.saturating_add(separation);
            if now.0 >= last.0 && now.0 < earliest && at < earliest {
                at = earliest;
            }
        }
        // Timers further away on the early side are not in the way, and the new one only moves later.
        let first = (Mono(at.saturating_sub(separation)), 0);
        for (other, _) in self.queues[queue].range(first..).map(|(key, _)| *key) {
            if at.abs_diff(other.0) < separation.unsigned_abs() {
                at = other.0.saturating_add(separation);
            } else if other.0 > at {
                break;
            }
        }
        self.insert(queue, Mono(at), alarm)
    }

    fn insert(&mut self, queue: usize, at: Mono, alarm: Alarm) -> TimerId {
        let sequence = self.next;
        self.next += 1;
        self.queues[queue].insert((at, sequence), alarm);
        TimerId { at, sequence, queue }
    }

    /// Cancels a timer, if it has not fired, and forgets it.
    pub(super) fn cancel(&mut self, timer: &mut Option<TimerId>) {
        if let Some(id) = timer.take() {
            self.queues[id.queue].remove(&(id.at, id.sequence));
        }
    }

    /// Removes and returns the first timer that is due.
    pub(super) fn pop_due(&mut self, now: Mono) -> Option<Alarm> {
        let (key, queue) = self.first()?;
        if key.0 > now {
            return None;
        }
        if let Some(last) = self.last_fired.get_mut(queue) {
            *last = Some(now);
        }
        self.queues[queue].remove(&key)
    }

    /// When the first timer fires.
    pub(super) fn next_wakeup(&self) -> Option<Mono> {
        self.first().map(|((at, _), _)| at)
    }

    fn first(&self) -> Option<((Mono, u64), usize)> {
        self.queues
            .iter()
            .enumerate()
            .filter_map(|(queue, timers)| Some((*timers.first_key_value()?.0, queue)))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn timers_of_a_class_keep_their_distance() {
        let mut timers = Timers::default();
        let mut random = Seeded::new(1);
        for i in 0..5 {
            let alarm = Alarm::Transmit(SourceId(i));
            timers.arm_in_class(Mono(0), Class::Client, (0.2, 0.2, 0.0), alarm, &mut random);
        }
        timers.arm_in_class(
            Mono(0),
            Class::Peer,
            (0.2, 0.2, 0.0),
            Alarm::Transmit(SourceId(9)),
            &mut random,
        );
        let mut fired = Vec::new();
        while let Some(at) = timers.next_wakeup() {
            fired.push((at.0, timers.pop_due(at).unwrap()));
        }
        assert_eq!(fired[0], (SECOND / 5, Alarm::Transmit(SourceId(0))));
        assert_eq!(fired[1], (SECOND / 5, Alarm::Transmit(SourceId(9))));
        for (i, &(at, _)) in fired[2..].iter().enumerate() {
            assert_eq!(at, SECOND / 5 * (i as i64 + 2));
        }
    }

    #[test]
    fn a_new_timer_keeps_away_from_the_last_one_that_fired() {
        let mut timers = Timers::default();
        let mut random = Seeded::new(1);
        let alarm = Alarm::Transmit(SourceId(0));
        let arm = |timers: &mut Timers, random: &mut Seeded, now, delay| {
            timers.arm_in_class(now, Class::Client, (delay, 0.2, 0.0), alarm, random)
        };
        arm(&mut timers, &mut random, Mono(0), 1.0);
        assert_eq!(timers.pop_due(Mono(SECOND)), Some(alarm));
        let id = arm(&mut timers, &mut random, Mono(SECOND + SECOND / 10), 0.0);
        assert_eq!(id.at, Mono(SECOND + SECOND / 5));
        let id = arm(&mut timers, &mut random, Mono(3 * SECOND), 0.0);
        assert_eq!(id.at, Mono(3 * SECOND));
    }

    #[test]
    fn delays_are_stretched_by_at_most_the_randomness() {
        let mut timers = Timers::default();
        let mut random = Seeded::new(7);
        for i in 0..100 {
            let mut id = Some(timers.arm_in_class(
                Mono(0),
                Class::Client,
                (10.0, 0.2, 0.02),
                Alarm::Transmit(SourceId(i)),
                &mut random,
            ));
            let at = id.unwrap().at - Mono(0);
            assert!((10.0..=10.2).contains(&at), "{at}");
            timers.cancel(&mut id);
        }
        assert_eq!(timers.next_wakeup(), None);
    }

    #[test]
    fn equal_times_fire_in_the_order_of_arming() {
        let mut timers = Timers::default();
        let other = Alarm::Transmit(SourceId(1));
        timers.arm(Mono(0), 1.0, Alarm::Resolve);
        timers.arm(Mono(0), 1.0, other);
        assert_eq!(timers.pop_due(Mono(SECOND - 1)), None);
        assert_eq!(timers.pop_due(Mono(SECOND)), Some(Alarm::Resolve));
        assert_eq!(timers.pop_due(Mono(SECOND)), Some(other));
    }
}
