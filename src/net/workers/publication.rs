//! What the main thread publishes and workers read without waiting for each other.

use crate::clock::Sequence;
use arc_swap::{ArcSwap, Cache};
use std::sync::Arc;
use truechimer_engine::server::Published;

/// The writing end, and what readers are made of.
#[derive(Clone, Debug)]
pub struct Publication {
    last: Arc<ArcSwap<Published>>,
    sequence: Arc<Sequence>,
}

impl Publication {
    /// With a first publication. `sequence` is that of the clock that it is about.
    #[must_use]
    pub fn new(first: Published, sequence: &Arc<Sequence>) -> Self {
        let publication = Self {
            last: Arc::new(ArcSwap::from_pointee(first)),
            sequence: Arc::clone(sequence),
        };
        sequence.end();
        publication
    }

    /// True if readers wait, as the clock was changed.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.sequence.is_changing()
    }

    /// Publishes what is served from now on.
    pub fn publish(&self, next: Published) {
        self.last.store(Arc::new(next));
        self.sequence.end();
    }

    /// For one thread.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            last: Cache::new(Arc::clone(&self.last)),
            sequence: Arc::clone(&self.sequence),
        }
    }
}

/// The reading end of one thread. What it read last is kept, so that reading writes to no memory that is shared: it
/// compares a pointer which changes only with a publication.
pub(super) struct Reader {
    last: Cache<Arc<ArcSwap<Published>>, Arc<Published>>,
    sequence: Arc<Sequence>,
}

impl Reader {
    /// What was published last, and what tells whether it still is true of the clock; none while that changes.
    pub(super) fn read(&mut self) -> Option<(&Published, Current<'_>)> {
        // In this order: what is published later than the number says is found out, earlier is not.
        let number = self.sequence.settled()?;
        let current = Current {
            sequence: &self.sequence,
            number,
        };
        let published: &Published = self.last.load();
        Some((published, current))
    }
}

/// Tells whether a publication still is true of the clock.
#[derive(Clone, Copy)]
pub(super) struct Current<'a> {
    sequence: &'a Sequence,
    number: u64,
}

impl Current<'_> {
    /// True for readings of the clock made before this call.
    pub(super) fn holds(&self) -> bool {
        self.sequence.is_still(self.number)
    }
}
