//! Timestamps saved for replies in interleaved mode (`spec/ntp.md` section 3.2).

use crate::io::Origin;
use crate::sync::kernel::{Change, ChangeKind};
use crate::time::{Cooked, NtpTimestamp};
use std::collections::VecDeque;

/// A new entry may move at most this many others.
const MAX_MOVED: usize = 64;
/// One second in NTP's fraction.
const SECOND: i64 = 1 << 32;
/// A transmit timestamp further than this from the receive timestamp is not used.
const MAX_DISTANCE: i64 = 2 * SECOND;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Receive timestamp as it was sent; the key.
    receive: NtpTimestamp,
    /// Transmit timestamp without fuzz; zero: none that can be used.
    transmit: NtpTimestamp,
    /// Number of changes of the clock when it was made.
    changes: u16,
    /// Was used, or its key is not unique.
    disabled: bool,
    /// The offset of time smoothing was added.
    smoothed: bool,
    origin: Origin,
}

/// Pairs of receive and transmit timestamps of replies, shared by all clients. Each answers one request.
#[derive(Clone, Debug)]
pub struct SavedTimestamps {
    /// By receive timestamp, oldest first.
    entries: VecDeque<Entry>,
    capacity: usize,
    changes: u16,
    /// Phase of the last change of the clock, s, positive: it was moved back.
    last_change: f64,
}

/// How far `a` is after `b`, in units of 2^-32 s.
fn difference(a: NtpTimestamp, b: NtpTimestamp) -> i64 {
    a.0.wrapping_sub(b.0) as i64
}

impl SavedTimestamps {
    /// Room for this many pairs; memory is taken when it is needed.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity,
            changes: 0,
            last_change: 0.0,
        }
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Seconds between the oldest and the newest receive timestamp.
    #[must_use]
    pub fn span(&self) -> u32 {
        match (self.entries.front(), self.entries.back()) {
            (Some(first), Some(last)) => (difference(last.receive, first.receive).max(0) / SECOND) as u32,
            _ => 0,
        }
    }

    /// Saves the timestamps of a reply: the receive timestamp as sent, our own transmit timestamp without fuzz,
    /// and whether they are smoothed. A receive timestamp that is there already makes its entry useless, as
    /// nobody can know which is meant.
    pub fn save(&mut self, receive: NtpTimestamp, transmit: NtpTimestamp, smoothed: bool) {
        if receive.is_zero() || self.capacity == 0 {
            return;
        }
        let mut entry = Entry {
            receive,
            transmit: NtpTimestamp::ZERO,
            changes: self.changes,
            disabled: false,
            smoothed,
            origin: Origin::Daemon,
        };
        entry.set_transmit(transmit, Origin::Daemon);
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(self.capacity);
        }
        let index = self.place(receive);
        if let Some(found) = self.entries.get_mut(index).filter(|e| e.receive == receive) {
            found.disabled = true;
            return;
        }
        // After a step backwards what is ahead would stay the newest for ever.
        while self
            .entries
            .back()
            .is_some_and(|last| difference(last.receive, receive) > SECOND)
        {
            self.entries.pop_back();
        }
        if self.entries.len() - index > MAX_MOVED {
            self.entries[index.saturating_sub(1)] = entry;
        } else if self.entries.len() < self.capacity {
            self.entries.insert(index, entry);
        } else {
            self.entries.pop_front();
            self.entries.insert(index.saturating_sub(1), entry);
        }
    }

    /// The transmit timestamp (without fuzz, zero: unusable) that belongs to a receive timestamp. It is given
    /// only once.
    pub fn take(&mut self, receive: NtpTimestamp) -> Option<(NtpTimestamp, Origin)> {
        let entry = self.find(receive).filter(|entry| !entry.disabled)?;
        entry.disabled = true;
        Some((entry.transmit, entry.origin))
    }

    /// A better transmit timestamp of the reply that had this receive timestamp; `smoothing` (s) is added if the
    /// reply was smoothed. A change of the clock between the two is undone, so that the client's delay stays
    /// right.
    pub fn update(&mut self, receive: NtpTimestamp, transmit: Cooked, smoothing: f64, origin: Origin) {
        let (changes, last_change) = (self.changes, self.last_change);
        if let Some(entry) = self.find(receive) {
            let once = entry.changes.wrapping_add(1) == changes;
            let undone = if once { last_change } else { 0.0 };
            let smoothing = if entry.smoothed { smoothing } else { 0.0 };
            let transmit = transmit.plus(undone + smoothing);
            entry.set_transmit(NtpTimestamp::from_cooked(transmit, 0), origin);
        }
    }

    /// The clock was changed.
    pub fn changed(&mut self, change: &Change) {
        if change.kind == ChangeKind::UnknownStep {
            self.entries.clear();
        }
        self.changes = self.changes.wrapping_add(1);
        self.last_change = change.by.0;
    }

    /// Forgets all pairs.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn find(&mut self, receive: NtpTimestamp) -> Option<&mut Entry> {
        let index = self.place(receive);
        self.entries
            .get_mut(index)
            .filter(|entry| entry.receive == receive)
    }

    /// Index of the first entry that is not before this one. Searched for from the end on, in steps that double: what
    /// is looked for is mostly there, and in a cache.
    fn place(&self, receive: NtpTimestamp) -> usize {
        let before = |index: usize| {
            self.entries
                .get(index)
                .is_some_and(|entry| difference(entry.receive, receive) < 0)
        };
        let length = self.entries.len();
        let (mut end, mut step) = (length, 1);
        while step <= length && !before(length - step) {
            end = length - step;
            step *= 2;
        }
        let mut start = length.saturating_sub(step);
        while start < end {
            let middle = usize::midpoint(start, end);
            if before(middle) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }
}

impl Entry {
    fn set_transmit(&mut self, transmit: NtpTimestamp, origin: Origin) {
        let usable = (-MAX_DISTANCE..MAX_DISTANCE).contains(&difference(transmit, self.receive));
        self.transmit = if usable { transmit } else { NtpTimestamp::ZERO };
        self.origin = origin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{FastBy, Raw};

    fn at(seconds: u64) -> NtpTimestamp {
        NtpTimestamp(seconds << 32 | 1)
    }

    fn save(saved: &mut SavedTimestamps, seconds: u64) {
        saved.save(at(seconds), NtpTimestamp(at(seconds).0 + 1000), false);
    }

    fn keys(saved: &SavedTimestamps) -> Vec<u64> {
        saved.entries.iter().map(|e| e.receive.0 >> 32).collect()
    }

    fn change(kind: ChangeKind, by: f64) -> Change {
        Change {
            raw: Raw::default(),
            cooked: Cooked::default(),
            dfreq: 0.0,
            by: FastBy(by),
            kind,
        }
    }

    #[test]
    fn each_pair_answers_once() {
        let mut saved = SavedTimestamps::new(4);
        save(&mut saved, 100);
        assert_eq!(
            saved.take(at(100)),
            Some((NtpTimestamp(at(100).0 + 1000), Origin::Daemon))
        );
        assert_eq!((saved.take(at(100)), saved.take(at(99))), (None, None));
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut saved = SavedTimestamps::new(4);
        (100..106).for_each(|t| save(&mut saved, t));
        assert_eq!(
            (keys(&saved), saved.span(), saved.len()),
            (vec![102, 103, 104, 105], 3, 4)
        );
        assert_eq!(saved.take(at(101)), None);
    }

    #[test]
    fn equal_keys_disable_each_other() {
        let mut saved = SavedTimestamps::new(4);
        save(&mut saved, 100);
        save(&mut saved, 100);
        assert_eq!((saved.take(at(100)), saved.len()), (None, 1));
    }

    #[test]
    fn what_is_far_ahead_goes() {
        let mut saved = SavedTimestamps::new(4);
        (100..104).for_each(|t| save(&mut saved, t));
        save(&mut saved, 101);
        assert_eq!(keys(&saved), [100, 101, 102, 103]);
        saved.save(NtpTimestamp(at(101).0 + 2), at(101), false);
        assert_eq!(keys(&saved), [100, 101, 101, 102]);
    }

    #[test]
    fn late_ones_are_sorted_in_or_replace_the_next_older() {
        let mut saved = SavedTimestamps::new(100);
        for i in 0..100 {
            saved.save(NtpTimestamp(at(5).0 + 10 * i), at(5), false);
        }
        saved.save(NtpTimestamp(at(5).0 + 985), at(5), false);
        assert_eq!((saved.len(), saved.entries[98].receive.0 - at(5).0), (100, 985));
        saved.save(NtpTimestamp(at(5).0 + 105), at(5), false);
        assert_eq!(saved.len(), 100);
        assert!(saved.take(NtpTimestamp(at(5).0 + 100)).is_none());
        assert!(saved.take(NtpTimestamp(at(5).0 + 105)).is_some());
    }

    #[test]
    fn every_place_is_found() {
        for length in 0..40 {
            let mut saved = SavedTimestamps::new(40);
            (0..length).for_each(|i| save(&mut saved, 100 + 2 * i));
            for time in 98..200 {
                let naive = saved.entries.iter().filter(|e| e.receive.0 < at(time).0).count();
                assert_eq!(saved.place(at(time)), naive, "{time} among {length}");
            }
        }
    }

    #[test]
    fn distant_transmit_timestamps_are_no_use() {
        let mut saved = SavedTimestamps::new(4);
        saved.save(at(100), at(102), false);
        assert_eq!(saved.take(at(100)), Some((NtpTimestamp::ZERO, Origin::Daemon)));
        saved.save(at(103), at(101), false);
        assert_eq!(saved.take(at(103)), Some((at(101), Origin::Daemon)));
    }

    #[test]
    fn a_late_timestamp_replaces_the_first_one() {
        let time = Cooked::new(1_767_225_600, 500);
        let receive = NtpTimestamp(NtpTimestamp::from_cooked(time, 0).0 | 1);
        let late = |moved: f64, smoothed: bool, changes: &[Change]| {
            let mut saved = SavedTimestamps::new(4);
            saved.save(receive, NtpTimestamp::from_cooked(time, 0), smoothed);
            changes.iter().for_each(|c| saved.changed(c));
            saved.update(receive, time.plus(0.25), 0.5, Origin::Kernel);
            let expected = NtpTimestamp::from_cooked(time.plus(0.25 + moved), 0);
            assert_eq!(saved.take(receive), Some((expected, Origin::Kernel)));
        };
        late(0.0, false, &[]);
        late(0.5, true, &[]);
        late(0.125, false, &[change(ChangeKind::Adjust, 0.125)]);
        late(
            0.0,
            false,
            &[change(ChangeKind::Adjust, 0.125), change(ChangeKind::Step, 1.0)],
        );
        let mut saved = SavedTimestamps::new(4);
        save(&mut saved, 100);
        saved.changed(&change(ChangeKind::UnknownStep, 0.0));
        assert!(saved.is_empty());
    }
}
