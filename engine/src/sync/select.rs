//! Which source to believe (`spec/sync.md` 4.3): Marzullo's intersection with trusted and preferred sources,
//! then scores, so that the selection doesn't hop between equally good ones.

use super::SourceId;
use super::cx::{Cx, Outbox};
use super::sample::Leap;
use super::sources::{Source, Sources};
use super::status::Status;
use super::update::Outcome;
use crate::event::Event;
use crate::event::sync::SyncEvent;
use crate::time::Cooked;

mod intersect;
mod mark;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use intersect::{Agreement, Endpoint, intersect};
pub use mark::option_bits;

/// Reference ID is not of an orphan: strata never get there.
pub const NO_ORPHAN: u8 = 16;
/// Penalty of a source that gets back among the good ones.
pub(super) const DISTANT_PENALTY: u32 = 32;
/// Score that a source must exceed to take the selected one's place.
const SCORE_LIMIT: f64 = 10.0;
const FULL_REACH: u8 = 8;

/// What the selection must know about the rest of the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectEnv {
    /// The reference is in its normal mode: messages are wanted.
    pub normal: bool,
    /// Stratum of `local orphan` in normal mode, else [`NO_ORPHAN`].
    pub orphan_stratum: u8,
}

impl Default for SelectEnv {
    fn default() -> Self {
        Self {
            normal: true,
            orphan_stratum: NO_ORPHAN,
        }
    }
}

/// Lists of the selection, kept for their memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    endpoints: Vec<Endpoint>,
    survivors: Vec<usize>,
}

/// What steps 2 and 3 find out about all sources.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    unreachable: usize,
    selectable: usize,
    /// An effective `require` is not yet fulfilled.
    need_required: bool,
    some_bad_stats: bool,
    bad_stats_reach: u8,
    bad_stats_reach_size: u8,
    ok_reach: u8,
    ok_reach_size: u8,
    /// Longest history of the reachable sources, s.
    max_reach_age: f64,
}

/// One selection.
struct Run<'a> {
    sources: &'a mut Sources,
    out: &'a mut Outbox,
    now: Cooked,
    env: SelectEnv,
}

impl Sources {
    /// Selects the best source and combines others with it. `updated` is the source that got a sample.
    pub fn select(&mut self, cx: &mut Cx<'_>, updated: Option<SourceId>, env: SelectEnv) -> Outcome {
        let updated = updated.and_then(|id| self.index(id));
        if let Some(s) = updated.and_then(|i| self.table.get_mut(i)) {
            s.updates = s.updates.saturating_add(1);
            self.last_updated = Some(s.id);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let outcome = Run {
            sources: self,
            out: cx.out,
            now: cx.cooked,
            env,
        }
        .select(updated, &mut scratch);
        self.scratch = scratch;
        outcome
    }
}

impl Run<'_> {
    fn select(&mut self, updated: Option<usize>, scratch: &mut Scratch) -> Outcome {
        if self.sources.table.is_empty() {
            self.lose(Some(SyncEvent::NoSources));
            return Outcome::Nothing;
        }
        let mut census = self.check_all();
        self.check_stale(&mut census);

        // Sources started together should all have their samples before the first selection.
        if census.some_bad_stats
            && census.selectable > 0
            && self.sources.selected.is_none()
            && census.ok_reach_size < FULL_REACH
            && census.ok_reach >> 1 == census.bad_stats_reach
        {
            self.mark_ok(Status::WaitsStats);
            self.lose(None);
            return Outcome::Nothing;
        }
        if !self.sources.start_over && census.ok_reach_size.max(census.bad_stats_reach_size) == FULL_REACH {
            self.sources.start_over = true;
            self.sources.loss_pending = true;
        }
        if census.selectable == 0 {
            self.lose(Some(SyncEvent::NoUsable {
                unreachable: census.unreachable,
            }));
            return Outcome::Nothing;
        }

        let agreement = intersect(self.ok(), &mut scratch.endpoints);
        let trusted_only = agreement.trusted.is_some();
        let total = if trusted_only {
            self.ok().filter(|s| s.options.trust).count()
        } else {
            census.selectable
        };
        if agreement.depth <= total / 2 {
            return self.no_majority(SyncEvent::NoMajority {
                agree: agreement.depth,
                total,
                trusted: trusted_only,
            });
        }
        let survivors = &mut scratch.survivors;
        self.find_survivors(&agreement, survivors, &mut census);
        let failure = if survivors.is_empty() {
            Some(SyncEvent::NoSelectable)
        } else if census.need_required {
            Some(SyncEvent::NoRequired)
        } else if survivors.len() < self.sources.config.min_sources as usize {
            Some(SyncEvent::NotEnough)
        } else {
            None
        };
        if failure.is_some() {
            self.lose(failure);
            self.mark_ok(Status::WaitsSources);
            return Outcome::Nothing;
        }
        for &i in survivors.iter() {
            let s = &mut self.sources.table[i];
            s.leap_vote = !trusted_only || s.options.trust;
        }
        self.keep_preferred(survivors);
        let Some(best) = self.score(survivors, updated) else {
            return Outcome::Nothing;
        };
        let Some(selected) = self.switch_to(best) else {
            return Outcome::Nothing;
        };
        self.mark(selected, Status::Selected);
        if self.sources.table[selected].updates == 0 {
            for &i in survivors.iter() {
                let s = &self.sources.table[i];
                if s.status == Status::Ok {
                    self.mark(
                        i,
                        if s.distant > 0 {
                            Status::Distant
                        } else {
                            Status::Unselected
                        },
                    );
                }
            }
            return Outcome::Nothing;
        }
        for s in &mut self.sources.table {
            s.updates = 0;
        }
        self.combine(selected, survivors)
    }

    fn ok(&self) -> impl Iterator<Item = &Source> {
        self.sources.table.iter().filter(|s| s.status == Status::Ok)
    }

    /// Step 2: is each source usable by itself?
    fn check_all(&mut self) -> Census {
        let mut census = Census::default();
        for i in 0..self.sources.table.len() {
            let status = self.check(i, &mut census);
            let s = &mut self.sources.table[i];
            if status == Status::Ok {
                s.status = Status::Ok;
                if s.reach != 0 {
                    census.max_reach_age = census.max_reach_age.max(s.data.first_ago);
                }
                census.ok_reach = census.ok_reach.max(s.reach);
                census.ok_reach_size = census.ok_reach_size.max(s.reach_size);
            } else {
                self.mark(i, status);
            }
        }
        census
    }

    fn check(&mut self, i: usize, census: &mut Census) -> Status {
        let now = self.now;
        let Sources {
            table,
            config,
            params,
            ..
        } = &mut *self.sources;
        let s = &mut table[i];
        s.leap_vote = false;
        census.need_required |= s.options.require;
        if s.options.noselect {
            return Status::Unselectable;
        }
        census.unreachable += usize::from(s.reach == 0);
        let data = s.stats.selection_data(now);
        s.data = data.unwrap_or_default();
        if !s.data.valid {
            census.some_bad_stats = true;
            census.bad_stats_reach = census.bad_stats_reach.max(s.reach);
            census.bad_stats_reach_size = census.bad_stats_reach_size.max(s.reach_size);
            return Status::BadStats;
        }
        if s.leap == Leap::Unsynchronised {
            return Status::Unsynchronised;
        }
        if !(config.min_stratum..=config.max_stratum).contains(&u32::from(s.stratum)) {
            return Status::BadStratum;
        }
        let data = &mut s.data;
        // No sample for longer than the samples span: the clock may have drifted away.
        if data.first_ago < 2.0 * data.last_ago {
            let extra = params.max_clock_error * (2.0 * data.last_ago - data.first_ago);
            data.root_distance += extra;
            data.low -= extra;
            data.high += extra;
        }
        if !(data.root_distance <= config.max_distance && data.low <= data.high) {
            return Status::BadDistance;
        }
        if data.std_dev.unwrap_or(config.max_jitter) > config.max_jitter {
            return Status::Jittery;
        }
        Status::Ok
    }

    /// Step 3: unreachable sources with too old samples, and orphans.
    fn check_stale(&mut self, census: &mut Census) {
        let mut orphan: Option<(u32, usize)> = None;
        for i in 0..self.sources.table.len() {
            let s = &self.sources.table[i];
            if s.status != Status::Ok {
                continue;
            }
            if s.reach == 0
                && (s.data.last_ago > census.max_reach_age || s.unreachable_run > s.max_unreachable_run)
            {
                self.mark(i, Status::Stale);
            } else if s.is_ntp() && s.stratum >= self.env.orphan_stratum {
                if s.stratum == self.env.orphan_stratum
                    && s.reach != 0
                    && orphan.is_none_or(|(refid, _)| s.refid < refid)
                {
                    orphan = Some((s.refid, i));
                }
                self.mark(i, Status::Orphan);
            } else {
                census.selectable += 1;
            }
        }
        // Of orphans that poll each other the one with the smallest reference ID serves its own time.
        if let (0, Some((refid, i))) = (census.selectable, orphan) {
            let s = &mut self.sources.table[i];
            if s.local_refid == 0 {
                self.out.events.push(Event::Sync(SyncEvent::UnknownLocalRefid));
            } else if refid < s.local_refid {
                s.status = Status::Ok;
                census.selectable = 1;
            }
        }
    }

    fn no_majority(&mut self, message: SyncEvent) -> Outcome {
        if !self.sources.no_majority_reported {
            self.sources.no_majority_reported = true;
            self.message(message);
            self.sources.loss_pending = false;
        }
        let lost = self.sources.selected.take().is_some();
        self.mark_ok(Status::Falseticker);
        if lost {
            Outcome::Unsynchronise
        } else {
            Outcome::Nothing
        }
    }

    /// Step 6: truechimers.
    fn find_survivors(&mut self, agreement: &Agreement, survivors: &mut Vec<usize>, census: &mut Census) {
        survivors.clear();
        for i in 0..self.sources.table.len() {
            let s = &self.sources.table[i];
            if s.status != Status::Ok {
                continue;
            }
            let (low, high) = (s.data.low, s.data.high);
            let contains = low <= agreement.low && high >= agreement.high;
            let inside = low >= agreement.low && high <= agreement.high;
            if !contains && !inside {
                self.mark(i, Status::Falseticker);
                continue;
            }
            let trustworthy = s.options.trust
                || agreement
                    .trusted
                    .is_none_or(|(from, to)| low >= from && high <= to);
            if !trustworthy {
                self.mark(i, Status::Untrusted);
                continue;
            }
            if s.options.require {
                census.need_required = false;
            }
            survivors.push(i);
        }
    }

    /// Step 8.
    fn keep_preferred(&mut self, survivors: &mut Vec<usize>) {
        let preferred = |run: &Self, i: usize| run.sources.table[i].options.prefer;
        if !survivors.iter().any(|&i| preferred(self, i)) {
            return;
        }
        survivors.retain(|&i| {
            let keep = preferred(self, i);
            if !keep {
                self.mark(i, Status::NonPreferred);
            }
            keep
        });
    }

    /// Step 9: updates the scores and returns the source with the highest.
    fn score(&mut self, survivors: &[usize], updated: Option<usize>) -> Option<usize> {
        let Sources {
            table,
            config,
            selected,
            ..
        } = &mut *self.sources;
        let min_stratum = survivors.iter().map(|&i| table[i].stratum).min()?;
        let distance = |s: &Source| {
            let above = f64::from(s.stratum) - f64::from(min_stratum);
            s.data.root_distance + above * config.stratum_weight
        };
        let selected = selected.and_then(|id| table.binary_search_by_key(&id, |s| s.id).ok());
        let selected_distance = selected.map(|i| distance(&table[i]));
        let mut best: Option<(f64, usize)> = None;
        for (i, s) in table.iter_mut().enumerate() {
            if s.status != Status::Ok {
                s.score = 1.0;
                s.distant = DISTANT_PENALTY;
                continue;
            }
            let own = distance(s) + if s.is_ntp() { config.reselect_distance } else { 0.0 };
            match selected_distance {
                Some(of_selected) => {
                    if updated == Some(i) || (updated.is_some() && updated == selected) {
                        s.score = (s.score * of_selected / own).max(1.0);
                    }
                }
                None => s.score = 1.0 / own,
            }
            if best.is_none_or(|(score, _)| s.score > score) {
                best = Some((s.score, i));
            }
        }
        best.map(|(_, i)| i)
    }

    /// Step 10: the source to be selected from now on; `None` if the best one must get a sample first.
    fn switch_to(&mut self, best: usize) -> Option<usize> {
        let sources = &mut *self.sources;
        let current = sources.selected.and_then(|id| sources.index(id));
        if let Some(current) = current.filter(|&i| sources.table[i].status == Status::Ok)
            && (best == current || sources.table[best].score <= SCORE_LIMIT)
        {
            return Some(current);
        }
        if sources.table[best].updates == 0 {
            self.lose(None);
            self.mark_ok(Status::WaitsUpdate);
            return None;
        }
        sources.selected = Some(sources.table[best].id);
        for s in &mut sources.table {
            (s.score, s.distant, s.reported) = (1.0, 0, 0);
        }
        sources.no_majority_reported = false;
        sources.loss_pending = false;
        sources.start_over = true;
        Some(best)
    }

    fn combine(&mut self, selected: usize, survivors: &[usize]) -> Outcome {
        let leap = self.sources.leap_vote();
        let update = self.sources.combine(selected, survivors, leap);
        for &i in survivors {
            let s = &self.sources.table[i];
            if i != selected && s.status == Status::Ok {
                self.mark(
                    i,
                    if s.distant > 0 {
                        Status::Distant
                    } else {
                        Status::Unselected
                    },
                );
            }
        }
        update.map_or(Outcome::Nothing, Outcome::Update)
    }
}
