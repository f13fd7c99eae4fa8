//! What worker threads answer from: a copy of all that the server needs, made anew after every change.

use super::access::Verdicts;
use super::answer::{Answers, Snapshot};
use crate::auth::Keys;
use crate::sync::cards::Cards;
use crate::sync::discipline::jump;
use crate::sync::kernel::Change;
use crate::sync::served::ServedTime;
use crate::time::Now;
use std::collections::VecDeque;
use std::sync::Arc;

/// Changes of the clock that are remembered. There are a few for every update of the clock, at most some in a second;
/// a worker that slept longer than these took has nothing of worth for interleaved mode.
const REMEMBERED: usize = 64;

/// Everything that answers requests, but what is known about clients. Good until the next one is published; whoever
/// has a copy can make a [`Snapshot`] of any moment of that time, without the engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Published {
    version: u64,
    /// When it was made.
    made: Now,
    pub(super) time: ServedTime,
    answers: Answers,
    access: Arc<Verdicts>,
    keys: Arc<Keys>,
    cards: Arc<Cards>,
    changes: Arc<Changes>,
}

impl Published {
    /// Counts from 1 with every publication.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// False when the clock was stepped since, by the daemon itself or by somebody else. Nothing is to be answered
    /// from it then: the request is for the main thread, which finds out and publishes anew.
    #[must_use]
    pub fn is_valid_at(&self, now: Now) -> bool {
        jump(self.made, now).is_none()
    }

    /// The clock of this interface's card is to be read. Only the main thread can do that, which publishes anew then; until
    /// it has, timestamps of the card are worth a little less.
    #[must_use]
    pub fn is_phc_due(&self, interface: u32, now: Now) -> bool {
        self.cards.is_due(interface, now.mono)
    }

    /// What makes timestamps of network cards ours.
    pub(super) fn cards(&self) -> &Cards {
        &self.cards
    }

    /// The changes of the clock up to its making.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What is served at `now`; `time` is [`Self::time`] with what serving has left in it.
    pub(super) fn snapshot<'a>(&'a self, time: &mut ServedTime, now: Now) -> Snapshot<'a> {
        let at = time.cook.cook(now.raw).0;
        let served = time.reference.served(at, now.mono);
        Snapshot::new(time, at, served, self.answers, &self.access, &self.keys)
    }
}

/// Makes [`Published`] and knows when it has to be made anew.
#[derive(Clone, Debug, Default)]
pub struct Publisher {
    last: Option<Published>,
    changes: Arc<Changes>,
}

impl Publisher {
    /// The clock was changed.
    pub fn changed(&mut self, change: &Change) {
        Arc::make_mut(&mut self.changes).push(*change);
    }

    /// True if the last publication differs from what is served now.
    #[must_use]
    pub fn is_due(
        &self,
        time: &ServedTime,
        access: &Arc<Verdicts>,
        keys: &Arc<Keys>,
        cards: &Arc<Cards>,
        now: Now,
    ) -> bool {
        let Some(last) = &self.last else { return true };
        last.time != *time
            || self.changes.count != last.changes.count
            || !Arc::ptr_eq(access, &last.access)
            || !Arc::ptr_eq(keys, &last.keys)
            || !Arc::ptr_eq(cards, &last.cards)
            || !last.is_valid_at(now)
    }

    /// What is served from `now` on.
    pub fn publish(
        &mut self,
        time: ServedTime,
        answers: Answers,
        access: &Arc<Verdicts>,
        keys: &Arc<Keys>,
        cards: &Arc<Cards>,
        now: Now,
    ) -> Published {
        let published = Published {
            version: self.last.as_ref().map_or(0, Published::version) + 1,
            made: now,
            time,
            answers,
            access: Arc::clone(access),
            keys: Arc::clone(keys),
            cards: Arc::clone(cards),
            changes: Arc::clone(&self.changes),
        };
        self.last = Some(published.clone());
        published
    }
}

/// The last changes of the clock, numbered from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// Number of all changes that there were.
    count: u64,
    last: VecDeque<Change>,
}

impl Changes {
    fn push(&mut self, change: Change) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(change);
        self.count += 1;
    }

    /// Number of all changes that there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The changes from this number on, in order; none if some of them are not remembered any more.
    pub(super) fn since(&self, number: u64) -> Option<impl Iterator<Item = &Change>> {
        let missed = usize::try_from(self.count.saturating_sub(number)).ok()?;
        let known = self.last.len().checked_sub(missed)?;
        Some(self.last.range(known..))
    }
}
