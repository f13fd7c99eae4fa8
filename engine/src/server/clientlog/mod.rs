//! What is remembered about clients (`spec/ntp.md` section 5.3): hits, drops, rates and tokens of each address,
//! in a table that grows up to a fixed size and then replaces the records that were not used for longest.

#[cfg(test)]
mod tests;

use super::ratelimit::{Limit, Limiter};
use crate::config::RateLimit;
use crate::random::Random;
use crate::time::Cooked;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

/// Records of a slot: an address can be in any record of its slot.
const SLOT: usize = 8;
/// What `clientloglimit` counts for a record: the record, its saved timestamps, and half as much during growth.
const RECORD_COST: u64 = (64 + 16) * SLOT as u64 * 3 / 2;
const MAX_RECORDS: u64 = 1 << 24;
/// A rate that is not known yet.
const NO_RATE: i8 = i8::MIN;

/// What a client can ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// NTP
    Ntp = 0,
    /// NTS key establishment.
    Nke = 1,
    /// Commands.
    Command = 2,
}

/// Number of services.
const SERVICES: usize = 3;

/// A record of the table. Numbers are valid until the next hit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordIndex(usize);

/// What is known about one client, as the command `clients` reports it. Arrays are by [`Service`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientReport {
    /// Its address.
    pub address: IpAddr,
    /// Requests.
    pub hits: [u32; SERVICES],
    /// Requests dropped by the rate limit.
    pub drops: [u32; SERVICES],
    /// log2 s between requests; 127: not known.
    pub interval: [i8; SERVICES],
    /// log2 s between NTP requests after dropped ones; 127: not known.
    pub timeout_interval: i8,
    /// Seconds since the last request; `u32::MAX`: never.
    pub last_hit_ago: [u32; SERVICES],
}

/// Totals of a service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Requests.
    pub hits: u64,
    /// Requests dropped by the rate limit.
    pub drops: u64,
}

/// One line of the processor's cache.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Record {
    address: Option<IpAddr>,
    last_hit: [u32; SERVICES],
    hits: [u32; SERVICES],
    drops: [u16; SERVICES],
    tokens: [u16; SERVICES],
    /// Quarters of log2 of requests a second.
    rate: [i8; SERVICES],
    timeout_rate: i8,
    /// Bit of each service whose last request was dropped.
    dropped: u8,
}

impl Record {
    const EMPTY: Self = Self {
        address: None,
        last_hit: [0; SERVICES],
        hits: [0; SERVICES],
        drops: [0; SERVICES],
        tokens: [0; SERVICES],
        rate: [NO_RATE; SERVICES],
        timeout_rate: NO_RATE,
        dropped: 0,
    };

    /// Time of the last request of any service, as an age: larger is older.
    fn age(&self, now: u32) -> u32 {
        let ages = self
            .last_hit
            .iter()
            .filter(|&&hit| hit != 0)
            .map(|&hit| age(hit, now));
        ages.min().unwrap_or(u32::MAX)
    }

    fn total_hits(&self) -> u64 {
        self.hits.iter().map(|&hits| u64::from(hits)).sum()
    }
}

/// The client log.
#[derive(Clone, Debug)]
pub struct ClientLog {
    /// Whole slots, a power of two of them; none: `noclientlog`.
    records: Vec<Record>,
    /// By slot: says which records to look at.
    marks: Vec<Marks>,
    max_slots: usize,
    limiters: [Option<Limiter>; SERVICES],
    totals: [Totals; SERVICES],
    replaced: u64,
    made: u64,
    /// Has been given a secret, so that nobody can choose addresses that share a slot.
    hasher: DefaultHasher,
    /// Added to all times, ns, so that clients cannot know where a tick starts.
    offset: u32,
}

/// Nanoseconds of a tick.
const TICK: u32 = 62_500_000;

/// How `clientloglimit` is shared by the logs of the main thread and its workers, octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parts {
    /// Of the main thread.
    pub(super) main: u64,
    /// Of each worker.
    pub(super) worker: u64,
}

impl Parts {
    /// Most records of each worker's table.
    pub(super) fn worker_records(&self) -> usize {
        max_slots(self.worker) * SLOT
    }

    /// A table has a power of two of slots. Each worker gets the largest one that leaves the main thread a sixteenth,
    /// which is enough as most of its clients send commands; the rest is the main thread's. Every table has a slot
    /// even if the limit is too small for that.
    pub(super) fn of(limit: u64, workers: usize) -> Self {
        let slots = limit / RECORD_COST;
        if workers == 0 {
            return Self {
                main: limit,
                worker: 0,
            };
        }
        let each = slots.saturating_sub((slots / 16).max(1)) / workers as u64;
        let each = 1_u64 << each.max(1).ilog2();
        Self {
            main: slots.saturating_sub(each.saturating_mul(workers as u64)) * RECORD_COST,
            worker: each * RECORD_COST,
        }
    }
}

/// The marks of a slot's records: an octet of the hash of each address, never 0, and 0 where there is no record.
#[derive(Clone, Copy, Debug)]
struct Marks([u8; SLOT]);

impl Marks {
    const EMPTY: Self = Self([0; SLOT]);

    /// The mark for an address with this hash. The lower bits choose the slot.
    fn mark(hash: u64) -> u8 {
        ((hash >> 56) as u8).max(1)
    }

    /// Records that may have this mark: all that have it, in order, the first of them really has it.
    fn with(self, mark: u8) -> impl Iterator<Item = usize> {
        const ONES: u64 = u64::from_ne_bytes([1; SLOT]);
        let other = u64::from_le_bytes(self.0) ^ (u64::from(mark) * ONES);
        // Where an octet is 0 its highest bit becomes 1; the borrow may do that to the next ones, too.
        let mut found = other.wrapping_sub(ONES) & !other & ONES << 7;
        std::iter::from_fn(move || {
            let place = found.trailing_zeros() / 8;
            found &= found.wrapping_sub(1);
            (place < u64::BITS / 8).then_some(place as usize)
        })
    }
}

/// Tables of no more records than this stay in the cache.
const SMALL: usize = 8192;
/// Most addresses that [`ClientLog::expect`] looks at.
const EXPECTED: usize = 64;

impl ClientLog {
    /// A log of at most `limit` octets (`clientloglimit`); none: `noclientlog`. `limits` are by [`Service`].
    #[must_use]
    pub fn new(limit: Option<u64>, limits: [Option<RateLimit>; SERVICES], random: &mut dyn Random) -> Self {
        let max_slots = limit.map_or(0, max_slots);
        let mut limiters = limits.map(|limit| limit.map(|limit| Limiter::new(&limit)));
        // Only NTP has a KoD.
        for limiter in limiters.iter_mut().skip(1).flatten() {
            limiter.kod = 0;
        }
        Self {
            records: vec![Record::EMPTY; if max_slots > 0 { SLOT } else { 0 }],
            marks: vec![Marks::EMPTY; max_slots.min(1)],
            max_slots,
            limiters,
            totals: [Totals::default(); SERVICES],
            replaced: 0,
            made: 0,
            hasher: seeded([random.bits64(), random.bits64()]),
            offset: random.bits32() % TICK,
        }
    }

    /// False with `noclientlog`.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.max_slots > 0
    }

    /// Most records that there can be; also the number of timestamps to be saved for interleaved mode.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.max_slots * SLOT
    }

    /// Records that there are now, empty ones included: where the command `clients` ends.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// True if there is no table.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Totals of a service.
    #[must_use]
    pub const fn totals(&self, service: Service) -> Totals {
        self.totals[service as usize]
    }

    /// Records that were replaced by others.
    #[must_use]
    pub const fn replaced(&self) -> u64 {
        self.replaced
    }

    /// The limit of a service.
    #[must_use]
    pub const fn limiter(&self, service: Service) -> Option<&Limiter> {
        self.limiters[service as usize].as_ref()
    }

    /// Counts a request; `address` is none for commands over the Unix socket. Returns the client's record, if
    /// there is one.
    pub fn hit(&mut self, service: Service, address: Option<IpAddr>, time: Cooked) -> Option<RecordIndex> {
        let s = service as usize;
        self.totals[s].hits += 1;
        let now = self.ticks(time);
        let index = self.find(address?, now)?;
        let limiter = self.limiters[s];
        let record = self.records.get_mut(index)?;
        let last = std::mem::replace(&mut record.last_hit[s], now);
        record.hits[s] = record.hits[s].saturating_add(1);
        let interval = now.wrapping_sub(last);
        if last == 0 || interval > i32::MAX as u32 {
            return Some(RecordIndex(index));
        }
        if let Some(limiter) = limiter {
            record.tokens[s] = limiter.refill(record.tokens[s], last, now);
        }
        let after_drop = service == Service::Ntp && record.dropped & 1 != 0;
        let rate = if after_drop {
            &mut record.timeout_rate
        } else {
            &mut record.rate[s]
        };
        *rate = next_rate(*rate, interval);
        Some(RecordIndex(index))
    }

    /// Decides about the request that was just counted. Without a record or a limit it passes.
    pub fn limit(&mut self, service: Service, record: Option<RecordIndex>, random: &mut dyn Random) -> Limit {
        let s = service as usize;
        let Some((record, limiter)) = record
            .and_then(|i| self.records.get_mut(i.0))
            .zip(self.limiters[s])
        else {
            return Limit::Pass;
        };
        record.dropped &= !(1 << s);
        if let Some(left) = record.tokens[s].checked_sub(limiter.per_hit) {
            record.tokens[s] = left;
            return Limit::Pass;
        }
        let bits = random.bits32();
        let mut drop = bits & ((1 << limiter.leak) - 1) != 0;
        // A client that asks more often when it gets no answer is better answered.
        let impatient =
            record.timeout_rate != NO_RATE && i32::from(record.timeout_rate) > i32::from(record.rate[s]) + 4;
        drop ^= service == Service::Ntp && impatient;
        if !drop {
            record.tokens[s] = 0;
            return Limit::Pass;
        }
        if limiter.kod > 0 && bits >> 16 & ((1 << limiter.kod) - 1) == 0 {
            return Limit::Kod;
        }
        record.dropped |= 1 << s;
        record.drops[s] = record.drops[s].saturating_add(1);
        self.totals[s].drops += 1;
        Limit::Drop
    }

    /// What is known about the client in this place of the table; none: the place is empty.
    #[must_use]
    pub fn report(&self, index: usize, now: Cooked) -> Option<ClientReport> {
        let record = self.records.get(index)?;
        let now = self.ticks(now);
        Some(ClientReport {
            address: record.address?,
            hits: record.hits,
            drops: record.drops.map(u32::from),
            interval: record.rate.map(interval_of_rate),
            timeout_interval: interval_of_rate(record.timeout_rate),
            last_hit_ago: record
                .last_hit
                .map(|hit| if hit == 0 { u32::MAX } else { age(hit, now) >> 4 }),
        })
    }

    /// Zeroes the hits and drops of the client in this place.
    pub fn reset(&mut self, index: usize) {
        if let Some(record) = self.records.get_mut(index) {
            record.hits = [0; SERVICES];
            record.drops = [0; SERVICES];
        }
    }

    /// Time in 1/16 s, never 0.
    fn ticks(&self, time: Cooked) -> u32 {
        let nanos = u64::from(time.nsec() + self.offset);
        let ticks = (time.sec() as u32)
            .wrapping_shl(4)
            .wrapping_add((nanos / u64::from(TICK)) as u32);
        ticks.max(1)
    }

    fn hash(&self, address: &IpAddr) -> u64 {
        let mut hasher = self.hasher.clone();
        match address {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        hasher.finish()
    }

    /// The slot of an address with this hash, if there is a table.
    fn slot(&self, hash: u64) -> usize {
        hash as usize & self.marks.len().wrapping_sub(1)
    }

    /// The record of an address with this hash.
    fn place(&self, address: &IpAddr, hash: u64) -> Option<usize> {
        let slot = self.slot(hash);
        let first = slot * SLOT;
        let marks = self.marks.get(slot)?;
        let records = self.records.get(first..first + SLOT)?;
        let same = |&i: &usize| {
            records
                .get(i)
                .is_some_and(|r| r.address.as_ref() == Some(address))
        };
        marks.with(Marks::mark(hash)).find(same).map(|i| first + i)
    }

    /// Reads what requests from these addresses will need, so that it waits for the memory of all of them at the same
    /// time instead of one after the other.
    pub fn expect(&self, addresses: impl Iterator<Item = IpAddr>) {
        if self.records.len() <= SMALL {
            return;
        }
        let mut hashes = [0; EXPECTED];
        let mut count = 0;
        for (hash, address) in hashes.iter_mut().zip(addresses) {
            *hash = self.hash(&address);
            count += 1;
        }
        let mut seen = 0;
        // No loop waits for what it reads: the first reads marks, the second records.
        for &hash in hashes.iter().take(count) {
            seen ^= self.marks.get(self.slot(hash)).map_or(0, |marks| marks.0[0]);
        }
        for &hash in hashes.iter().take(count) {
            let slot = self.slot(hash);
            let marks = self.marks.get(slot);
            for i in marks.into_iter().flat_map(|marks| marks.with(Marks::mark(hash))) {
                seen ^= self.records.get(slot * SLOT + i).map_or(0, |r| r.dropped);
            }
        }
        std::hint::black_box(seen);
    }

    /// Where the record of an address is, if there is one.
    #[must_use]
    pub fn place_of(&self, address: IpAddr) -> Option<usize> {
        self.place(&address, self.hash(&address))
    }

    /// Records that were ever made: while this stays, so do the addresses in the table.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// The record of an address, made if there is none.
    fn find(&mut self, address: IpAddr, now: u32) -> Option<usize> {
        if !self.is_active() {
            return None;
        }
        let hash = self.hash(&address);
        loop {
            if let Some(found) = self.place(&address, hash) {
                return Some(found);
            }
            let slot = self.slot(hash);
            let first = slot * SLOT;
            let place = match self.marks.get(slot)?.with(0).next() {
                Some(free) => free,
                None if self.grow() => continue,
                None => {
                    self.replaced += 1;
                    let key = |r: &Record| (u32::MAX - r.age(now), r.total_hits());
                    slot_min(self.records.get(first..first + SLOT)?, key)?.0
                }
            };
            self.made += 1;
            let tokens = self.limiters.map(|limiter| limiter.map_or(0, |l| l.max));
            self.marks.get_mut(slot)?.0[place] = Marks::mark(hash);
            *self.records.get_mut(first + place)? = Record {
                address: Some(address),
                tokens,
                ..Record::EMPTY
            };
            return Some(first + place);
        }
    }

    /// Doubles the number of slots if that is allowed. A slot's records go to two new ones, so all find room.
    fn grow(&mut self) -> bool {
        let slots = self.marks.len();
        if 2 * slots > self.max_slots {
            return false;
        }
        let old = std::mem::replace(&mut self.records, vec![Record::EMPTY; 2 * slots * SLOT]);
        self.marks = vec![Marks::EMPTY; 2 * slots];
        for record in old {
            let Some(address) = record.address else { continue };
            let hash = self.hash(&address);
            let slot = self.slot(hash);
            let marks = &mut self.marks[slot];
            if let Some(free) = marks.with(0).next() {
                marks.0[free] = Marks::mark(hash);
                self.records[slot * SLOT + free] = record;
            }
        }
        true
    }
}

/// Most slots of a table within a limit, octets.
fn max_slots(limit: u64) -> usize {
    let slots = (limit / RECORD_COST).clamp(1, MAX_RECORDS / SLOT as u64);
    1 << slots.ilog2()
}

/// A hasher that has been given this secret.
fn seeded(seed: [u64; 2]) -> DefaultHasher {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    hasher
}

fn slot_min<K: Ord>(slot: &[Record], key: impl Fn(&Record) -> K) -> Option<(usize, &Record)> {
    slot.iter().enumerate().min_by_key(|(_, record)| key(record))
}

/// A rate, moved toward that of the last interval (ticks): slowly up, quickly down.
fn next_rate(rate: i8, interval: u32) -> i8 {
    // Minus the rate of this interval.
    let log = if interval == 0 {
        -20
    } else {
        let (mut i, mut log) = (interval + interval / 2, -16);
        while i > 1 && log < 56 {
            i >>= 1;
            log += 4;
        }
        log
    };
    let old = i32::from(rate);
    let new = if rate == NO_RATE {
        -log
    } else if old < -log {
        old + 1
    } else if old > -log {
        if old > 10 - log {
            10 - log
        } else {
            (old - log - 1) / 2
        }
    } else {
        old
    };
    new as i8
}

/// How long ago a request was, both in 1/16 s. One after now is young: it came to another thread since, or the clock was
/// stepped back.
fn age(hit: u32, now: u32) -> u32 {
    let age = now.wrapping_sub(hit);
    if age > i32::MAX as u32 { 0 } else { age }
}

/// log2 s between requests; 127: not known.
fn interval_of_rate(rate: i8) -> i8 {
    if rate == NO_RATE {
        return 127;
    }
    let rate = i32::from(rate);
    ((rate + if rate > 0 { 2 } else { -2 }) / -4) as i8
}
