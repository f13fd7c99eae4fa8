//! A thread that serves beside the main thread: its own knowledge of the clients that belong to it, its own random
//! numbers. What it shares with others it only reads.

use super::answer::Shard;
use super::clientlog::Parts;
use super::published::Published;
use super::question::{Answer, Question};
use super::serve::Server;
use crate::config::NetworkConfig;
use crate::random::Random;
use crate::sync::served::ServedTime;
use crate::time::Now;

/// What a worker thread has for itself: all that changes while serving. Made by the thread, it is in memory of that
/// thread's own (the tables come from its allocator, and are allocated by it when they grow), so no other thread writes
/// to a cache line of it. 128 octets are two cache lines, since processors fetch them in pairs.
#[repr(align(128))]
pub struct Worker {
    shard: Shard,
    random: Box<dyn Random + Send>,
    index: usize,
    seen: Option<Seen>,
}

/// What was taken from the last publication.
struct Seen {
    version: u64,
    /// Changes of the clock that the shard knows.
    changes: u64,
    /// As published, with what serving leaves in it.
    time: ServedTime,
}

impl Worker {
    /// Worker `index` of `count`, which share `clientloglimit` with the main thread. To be called in its own thread.
    ///
    /// Of the slots of 8 records that `clientloglimit` has room for (960 octets each) every worker gets the largest
    /// power of two that leaves the main thread a sixteenth, and the main thread the largest that is left. By default
    /// (546 slots) two workers get 256 each and the main thread 32. As many timestamps are saved for interleaved mode
    /// as there are records.
    #[must_use]
    pub fn new(
        config: &NetworkConfig,
        index: usize,
        count: usize,
        mut random: Box<dyn Random + Send>,
    ) -> Self {
        Self {
            shard: Shard::of_worker(config, count, &mut *random),
            random,
            index,
            seen: None,
        }
    }

    /// Most clients that each of `count` workers knows.
    #[must_use]
    pub fn capacity(config: &NetworkConfig, count: usize) -> usize {
        Parts::of(config.client_log_limit, count).worker_records()
    }

    /// Its number: the clients for which [`super::Steering::worker`] says this are its own.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// What answers a batch of requests for which [`super::is_plain`] holds, of clients that belong to this worker.
    /// To be used only if [`Published::is_valid_at`] this time.
    pub fn server<'a>(&'a mut self, published: &'a Published, now: Now) -> Server<'a> {
        let Self {
            shard, random, seen, ..
        } = self;
        let seen = Seen::of(seen, published, shard);
        let view = published.snapshot(&mut seen.time, now);
        Server::new(view, published.cards(), shard, &mut **random)
    }

    /// Answers what the main thread wants to know for its reports.
    pub fn answer(&mut self, question: &Question) -> Answer {
        question.answer(&mut self.shard)
    }
}

impl Seen {
    /// Takes over what is new in a publication.
    fn of<'a>(seen: &'a mut Option<Self>, published: &Published, shard: &mut Shard) -> &'a mut Self {
        let seen = seen.get_or_insert_with(|| Self {
            version: published.version(),
            changes: published.changes().count(),
            time: published.time,
        });
        if seen.version != published.version() {
            match published.changes().since(seen.changes) {
                Some(changes) => changes.for_each(|change| shard.changed(change)),
                None => shard.forget_timestamps(),
            }
            let mut time = published.time;
            time.reference.adopt(&seen.time.reference);
            *seen = Self {
                version: published.version(),
                changes: published.changes().count(),
                time,
            };
        }
        seen
    }
}
