//! Names of sources: resolving, retrying, replacing bad addresses, refreshing old ones
//! (`spec/ntp.md` section 2.16, `spec/config.md` 5.2.1).

use super::pool::PoolId;
use super::table::{Entry, family_accepts};
use super::{Manager, log};
use crate::event::source::SourceEvent;
use crate::io::{Output, QueryId, ResolveError};
use crate::random::Random;
use crate::source::Operating;
use crate::source::timers::{Alarm, TimerId};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::time::{Mono, pow2};
use std::net::IpAddr;

/// Intervals between rounds are 7 * 2^n s.
const INTERVAL: f64 = 7.0;
const MIN_INTERVAL: i32 = 2;
const MAX_INTERVAL: i32 = 9;

/// What a name is resolved for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Purpose {
    /// The first address of a source.
    Source(SourceId),
    /// Addresses for the empty slots of a pool.
    Pool(PoolId),
    /// Another address instead of a bad one; tried once.
    Replace(SourceId),
    /// To see if a source's address is still one of the name's; tried once.
    Refresh(SourceId),
}

impl Purpose {
    fn source(self) -> Option<SourceId> {
        match self {
            Self::Source(id) | Self::Replace(id) | Self::Refresh(id) => Some(id),
            Self::Pool(_) => None,
        }
    }

    fn once(self) -> bool {
        matches!(self, Self::Replace(_) | Self::Refresh(_))
    }
}

#[derive(Debug)]
struct Wanted {
    purpose: Purpose,
    name: String,
}

/// Names to be resolved, one after another, in rounds.
#[derive(Debug, Default)]
pub(super) struct Names {
    list: Vec<Wanted>,
    /// Rounds may begin.
    begun: bool,
    /// The first round is over.
    tried: bool,
    /// The query under way and the position of its name; no position if that has been removed.
    query: Option<(QueryId, Option<usize>)>,
    /// Next name of the round.
    position: usize,
    /// The list is to be gone through once more.
    again: bool,
    interval: i32,
    timer: Option<TimerId>,
    next_query: u32,
    /// Any name was resolved since the start, or the warning about that was logged.
    settled: bool,
}

impl Names {
    fn add(&mut self, purpose: Purpose, name: &str) {
        if !self.list.iter().any(|wanted| wanted.purpose == purpose) {
            let name = name.to_owned();
            self.list.push(Wanted { purpose, name });
        }
    }

    pub(super) fn add_source(&mut self, id: SourceId, name: &str) {
        self.add(Purpose::Source(id), name);
    }

    pub(super) fn add_pool(&mut self, id: PoolId, name: &str) {
        self.add(Purpose::Pool(id), name);
    }

    fn remove(&mut self, index: usize) {
        self.list.remove(index);
        if index < self.position {
            self.position -= 1;
        }
        if let Some((_, at)) = &mut self.query {
            *at = match *at {
                Some(at) if at == index => None,
                Some(at) if at > index => Some(at - 1),
                other => other,
            };
        }
    }

    /// The first round is still to come.
    pub(super) fn begin_again(&mut self) {
        (self.begun, self.tried) = (false, false);
    }

    fn forget(&mut self, which: impl Fn(Purpose) -> bool) {
        while let Some(index) = self.list.iter().position(|wanted| which(wanted.purpose)) {
            self.remove(index);
        }
    }

    pub(super) fn forget_source(&mut self, id: SourceId) {
        self.forget(|purpose| purpose.source() == Some(id));
    }

    pub(super) fn forget_pool(&mut self, id: PoolId) {
        self.forget(|purpose| purpose == Purpose::Pool(id));
    }
}

impl Manager {
    /// Begins the first round of resolving, after the sources of the configuration were added.
    pub fn begin_resolving(&mut self, cx: &mut Cx<'_>) {
        self.names.begun = true;
        self.resolve_now(cx);
    }

    /// The first round of resolving is over: sources may be started.
    #[must_use]
    pub fn names_tried(&self) -> bool {
        self.names.tried
    }

    /// Starts a round of resolving, or another one after the one under way.
    pub fn resolve_now(&mut self, cx: &mut Cx<'_>) {
        if !self.names.begun {
            return;
        }
        if self.names.query.is_some() {
            self.names.again = true;
            return;
        }
        if self.names.timer.is_some() {
            self.io.timers.cancel(&mut self.names.timer);
            self.names.interval -= 1;
        }
        self.begin_round(cx);
    }

    /// It is time for the next round.
    pub(super) fn names_due(&mut self, cx: &mut Cx<'_>) {
        self.names.timer = None;
        self.begin_round(cx);
    }

    fn begin_round(&mut self, cx: &mut Cx<'_>) {
        self.names.position = 0;
        self.names.again = false;
        self.resolve_next(cx);
    }

    fn resolve_next(&mut self, cx: &mut Cx<'_>) {
        let names = &mut self.names;
        if names.position >= names.list.len() && std::mem::take(&mut names.again) {
            names.position = 0;
        }
        let Some(wanted) = names.list.get(names.position) else {
            self.end_round(cx);
            return;
        };
        let query = QueryId(names.next_query);
        let name = wanted.name.clone();
        names.next_query = names.next_query.wrapping_add(1);
        names.query = Some((query, Some(names.position)));
        names.position += 1;
        self.io.push(Output::Resolve { query, name });
    }

    fn end_round(&mut self, cx: &mut Cx<'_>) {
        self.names.tried = true;
        if self.names.list.is_empty() {
            self.names.interval = 0;
            return;
        }
        let interval = (self.names.interval + 1).clamp(MIN_INTERVAL, MAX_INTERVAL);
        self.names.interval = interval;
        let delay = INTERVAL * pow2(interval);
        self.names.timer = Some(self.io.timers.arm(cx.now.mono, delay, Alarm::Resolve));
        let hopeful = |entry: &Entry| {
            entry.address().ip().is_none()
                && matches!(
                    entry.association.operating(),
                    Operating::Online | Operating::BurstWasOnline
                )
        };
        if interval == MAX_INTERVAL && !self.names.settled && self.table.values().any(hopeful) {
            self.names.settled = true;
            log(cx, SourceEvent::NothingResolved);
        }
    }

    /// The answer to a query; goes on with the next name.
    pub(super) fn on_resolved(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        query: QueryId,
        result: Result<Vec<IpAddr>, ResolveError>,
        unreachable: &[IpAddr],
    ) {
        let Some((_, at)) = self.names.query.take_if(|(id, _)| *id == query) else {
            return;
        };
        let wanted = at.and_then(|at| Some((at, self.names.list.get(at)?)));
        if let Some((at, wanted)) = wanted {
            let purpose = wanted.purpose;
            let finished = match result {
                Ok(addresses) => {
                    self.names.settled = true;
                    self.use_addresses(cx, discipline, purpose, &addresses, unreachable)
                }
                Err(ResolveError::Temporary) => false,
                Err(ResolveError::NoAddress) => {
                    log(cx, SourceEvent::InvalidHost(wanted.name.clone()));
                    true
                }
            };
            if (finished || purpose.once()) && self.names.list.get(at).is_some_and(|w| w.purpose == purpose) {
                self.names.remove(at);
            }
        }
        self.resolve_next(cx);
    }

    /// True if the name needs not be tried again.
    fn use_addresses(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        purpose: Purpose,
        addresses: &[IpAddr],
        unreachable: &[IpAddr],
    ) -> bool {
        let usable: Vec<IpAddr> = addresses
            .iter()
            .filter(|ip| !unreachable.contains(ip))
            .copied()
            .collect();
        match purpose {
            Purpose::Source(id) => self.use_first(cx, discipline, id, &usable),
            Purpose::Pool(pool) => self.fill_pool(cx, discipline, pool, &usable),
            Purpose::Replace(id) => self.use_other(cx, discipline, id, &usable),
            Purpose::Refresh(id) => {
                let current = self.table.get(&id).and_then(|entry| entry.address().ip());
                if current.is_some_and(|ip| addresses.contains(&ip)) {
                    if let Some(entry) = self.table.get_mut(&id) {
                        entry.resolved_at = Some(cx.now.mono);
                    }
                    true
                } else {
                    self.use_other(cx, discipline, id, &usable)
                }
            }
        }
    }

    fn use_first(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        addresses: &[IpAddr],
    ) -> bool {
        let Some(family) = self.table.get(&id).map(|entry| entry.family) else {
            return true;
        };
        addresses
            .iter()
            .any(|ip| family_accepts(family, *ip) && self.change_address(cx, discipline, id, *ip))
    }

    fn fill_pool(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        pool: PoolId,
        addresses: &[IpAddr],
    ) -> bool {
        let slots = self.empty_slots(pool);
        let mut left = slots.iter().copied().peekable();
        for ip in addresses {
            let Some(&slot) = left.peek() else { break };
            let family = self.table.get(&slot).map(|entry| entry.family);
            let accepted = family.is_some_and(|family| family_accepts(family, *ip));
            if accepted && self.change_address(cx, discipline, slot, *ip) {
                left.next();
            }
        }
        left.peek().is_none()
    }

    /// Tries the addresses in rotated order, so that not all clients move to the same server.
    fn use_other(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        addresses: &[IpAddr],
    ) -> bool {
        let start = rotation(addresses.len(), cx.random);
        let rotated: Vec<IpAddr> = addresses[start..]
            .iter()
            .chain(&addresses[..start])
            .copied()
            .collect();
        self.use_first(cx, discipline, id, &rotated)
    }

    /// Looks for other addresses instead of those that the selection found bad.
    pub(super) fn replace_bad(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline) {
        for id in discipline.sources.take_bad() {
            let now = cx.now.mono;
            if self.next_replacement.is_some_and(|at| now < at) {
                continue;
            }
            let Some(entry) = self.table.get(&id).filter(|entry| !entry.literal) else {
                continue;
            };
            if entry.address().ip().is_none() {
                continue;
            }
            let longest = INTERVAL * pow2(MAX_INTERVAL);
            self.next_replacement = Some(now.plus(longest * cx.random.uniform()));
            self.names.add(Purpose::Replace(id), &entry.name);
            self.resolve_now(cx);
        }
    }

    /// After a good reply: resolves the name that was resolved longest ago again, if that is due.
    pub(super) fn refresh_oldest(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due = |since: Option<Mono>| since.is_some_and(|since| now - since >= self.refresh);
        if self.refresh <= 0.0 || !due(self.last_refresh) {
            return;
        }
        self.last_refresh = Some(now);
        let oldest = self
            .table
            .iter()
            .filter(|(_, entry)| !entry.literal && entry.address().ip().is_some())
            .min_by_key(|(_, entry)| entry.resolved_at);
        if let Some((&id, entry)) = oldest.filter(|(_, entry)| due(entry.resolved_at)) {
            self.names.add(Purpose::Refresh(id), &entry.name);
            self.resolve_now(cx);
        }
    }

    /// Command `refresh`: resolves all names again.
    pub fn refresh_all(&mut self, cx: &mut Cx<'_>) {
        for (id, entry) in &self.table {
            if !entry.literal && entry.address().ip().is_some() {
                self.names.add(Purpose::Refresh(*id), &entry.name);
            }
        }
        self.resolve_now(cx);
    }
}

/// A random index into `count` things; 0 if there are none.
fn rotation(count: usize, random: &mut dyn Random) -> usize {
    match u64::try_from(count) {
        Ok(count @ 1..) => usize::try_from(random.bits64() % count).unwrap_or(0),
        _ => 0,
    }
}
