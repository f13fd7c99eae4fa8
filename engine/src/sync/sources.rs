//! The table of all sources: statistics, reachability and state of selection of each
//! (`spec/sync.md` 4.1, 4.9). The selection itself is in [`super::select`].

use super::address::SourceAddress;
use super::cx::Cx;
use super::kernel::{Change, ChangeKind};
use super::sample::{Leap, Sample};
use super::stats::{RegressionInfo, SelectionData, SourceStats, StatsConfig};
use super::{SourceId, status::Status};
use crate::config::{AuthSelectMode, SelectOptions, SelectionConfig};
use crate::event::Event;
use crate::event::record::{Record, Statistics, Subject};
use crate::event::sync::SyncEvent;
use std::net::IpAddr;

/// Updates with an empty reachability register after which a source is bad.
const REACH_BITS: u8 = 8;
/// What is over before the first selection is expected in special modes (`spec/sync.md` 8.4).
const SPECIAL_MODE_UPDATES: usize = 7;

/// What a source is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An NTP source.
    Ntp(SourceAddress),
    /// A reference clock.
    Refclock,
}

/// Parameters of the table that don't come from the selection's directives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourcesParams {
    /// Precision of the local clock, s.
    pub precision: f64,
    /// `maxclockerror` as a ratio (1e-6 is 1 ppm).
    pub max_clock_error: f64,
    /// `log statistics`
    pub log_statistics: bool,
    /// `log selection`
    pub log_selection: bool,
}

/// A source to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSource {
    /// Its number. The table is kept in the order of these, so later sources must have higher numbers.
    pub id: SourceId,
    /// What it is.
    pub kind: Kind,
    /// Name or address as configured; of no meaning for a reference clock.
    pub name: String,
    /// Reference ID: that of the address, or of the reference clock.
    pub refid: u32,
    /// `noselect`, `prefer`, `trust`, `require`
    pub select: SelectOptions,
    /// Packets are authenticated.
    pub authenticated: bool,
    /// `minsamples`; negative: the global setting.
    pub min_samples: i32,
    /// `maxsamples`; negative: the global setting.
    pub max_samples: i32,
    /// `mindelay`, s; ignored for a reference clock.
    pub min_delay: f64,
    /// `asymmetry`; ignored for a reference clock.
    pub asymmetry: f64,
    /// `maxunreach`
    pub max_unreach: i32,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) refid: u32,
    /// Reference ID of our own address towards this source; 0: not known.
    pub(super) local_refid: u32,
    pub(super) authenticated: bool,
    pub(super) active: bool,
    pub(super) reach: u8,
    pub(super) reach_size: u8,
    pub(super) unreachable_run: i32,
    pub(super) max_unreachable_run: i32,
    /// Selections triggered by this source since the last update of the reference.
    pub(super) updates: u32,
    /// Remaining penalty in combining.
    pub(super) distant: u32,
    /// Bad statuses in a row on own updates.
    pub(super) bad: u32,
    pub(super) status: Status,
    pub(super) score: f64,
    pub(super) stratum: u8,
    pub(super) leap: Leap,
    pub(super) leap_vote: bool,
    pub(super) configured: SelectOptions,
    pub(super) options: SelectOptions,
    /// Of the last selection.
    pub(super) data: SelectionData,
    /// Statuses about which there was a message, one bit each.
    pub(super) reported: u32,
    pub(super) stats: SourceStats,
}

impl Source {
    pub(super) fn is_ntp(&self) -> bool {
        matches!(self.kind, Kind::Ntp(_))
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.kind {
            Kind::Ntp(address) => address.ip(),
            Kind::Refclock => None,
        }
    }

    pub(super) fn subject(&self) -> Subject {
        self.address()
            .map_or(Subject::RefId(self.refid), Subject::Address)
    }

    /// How messages call this source.
    pub(super) fn label(&self) -> String {
        let shown = match self.kind {
            Kind::Ntp(address) => address.to_string(),
            Kind::Refclock => return refid_text(self.refid),
        };
        if shown == self.name {
            shown
        } else {
            format!("{shown} ({})", self.name)
        }
    }

    fn reset(&mut self) {
        self.reset_reach();
        (self.updates, self.distant, self.bad, self.reported) = (0, 0, 0, 0);
        self.status = Status::BadStats;
        self.score = 1.0;
        (self.stratum, self.leap, self.leap_vote) = (0, Leap::Unsynchronised, false);
        self.stats.reset();
    }

    fn reset_reach(&mut self) {
        (self.reach, self.reach_size, self.unreachable_run) = (0, 0, 0);
    }
}

/// A reference ID as text: its printable characters.
#[must_use]
pub fn refid_text(refid: u32) -> String {
    let printable = |b: &u8| (0x20..0x7f).contains(b);
    refid
        .to_be_bytes()
        .iter()
        .filter(|b| printable(b))
        .map(|&b| char::from(b))
        .collect()
}

/// All sources, in order of creation.
#[derive(Debug)]
pub struct Sources {
    pub(super) config: SelectionConfig,
    pub(super) params: SourcesParams,
    pub(super) table: Vec<Source>,
    pub(super) selected: Option<SourceId>,
    /// The source whose sample was the reason of the last selection that had one.
    pub(super) last_updated: Option<SourceId>,
    /// There was a loss of the selected source about which there was no message yet.
    pub(super) loss_pending: bool,
    /// The one message that is allowed before the first selection is no longer due.
    pub(super) start_over: bool,
    pub(super) no_majority_reported: bool,
    /// Sources whose address should be replaced.
    pub(super) bad: Vec<SourceId>,
    /// Kept for their memory only.
    pub(super) scratch: super::select::Scratch,
}

impl Sources {
    /// No sources yet.
    #[must_use]
    pub fn new(config: &SelectionConfig, params: SourcesParams) -> Self {
        Self {
            config: config.clone(),
            params,
            table: Vec::new(),
            selected: None,
            last_updated: None,
            loss_pending: false,
            start_over: false,
            no_majority_reported: false,
            bad: Vec::new(),
            scratch: super::select::Scratch::default(),
        }
    }

    pub(super) fn index(&self, id: SourceId) -> Option<usize> {
        self.table.binary_search_by_key(&id, |s| s.id).ok()
    }

    pub(super) fn get(&self, id: SourceId) -> Option<&Source> {
        self.table.get(self.index(id)?)
    }

    fn get_mut(&mut self, id: SourceId) -> Option<&mut Source> {
        let index = self.index(id)?;
        self.table.get_mut(index)
    }

    /// Adds a source; one with the same number is replaced.
    pub fn add(&mut self, new: NewSource) {
        let global = |own: i32, all: u32| u32::try_from(own).unwrap_or(all);
        let refclock = new.kind == Kind::Refclock;
        let stats = SourceStats::new(StatsConfig {
            min_samples: global(new.min_samples, self.config.min_samples),
            max_samples: global(new.max_samples, self.config.max_samples),
            min_delay: if refclock { 0.0 } else { new.min_delay },
            asymmetry: if refclock { 0.0 } else { new.asymmetry },
            precision: self.params.precision,
        });
        let source = Source {
            id: new.id,
            kind: new.kind,
            name: new.name,
            refid: new.refid,
            local_refid: 0,
            authenticated: new.authenticated,
            active: false,
            reach: 0,
            reach_size: 0,
            unreachable_run: 0,
            max_unreachable_run: new.max_unreach,
            updates: 0,
            distant: 0,
            bad: 0,
            status: Status::BadStats,
            score: 1.0,
            stratum: 0,
            leap: Leap::Unsynchronised,
            leap_vote: false,
            configured: new.select,
            options: new.select,
            data: SelectionData::default(),
            reported: 0,
            stats,
        };
        match self.table.binary_search_by_key(&new.id, |s| s.id) {
            Ok(index) => self.table[index] = source,
            Err(index) => self.table.insert(index, source),
        }
        self.update_options();
    }

    /// Removes a source. A selection (without updated source) must follow; false if there was no such source.
    /// chrony takes an NTP source that is online offline first, with the selection that belongs to that: the
    /// count of unreachable sources in a message then still has the removed one.
    pub fn remove(&mut self, id: SourceId) -> bool {
        let Some(index) = self.index(id) else {
            return false;
        };
        self.table.remove(index);
        self.bad.retain(|&bad| bad != id);
        if self.selected == Some(id) {
            self.selected = None;
            self.loss_pending = true;
        }
        if self.last_updated == Some(id) {
            self.last_updated = None;
        }
        self.update_options();
        true
    }

    /// Effective options (`spec/sync.md` 4.1).
    fn update_options(&mut self) {
        let (mut authenticated, mut unauthenticated) = (0, 0);
        for s in self.table.iter().filter(|s| s.is_ntp() && !s.configured.noselect) {
            if s.authenticated {
                authenticated += 1;
            } else {
                unauthenticated += 1;
            }
        }
        for s in &mut self.table {
            s.options = s.configured;
            if s.configured.noselect {
                continue;
            }
            let distrusted = s.is_ntp() && !s.authenticated;
            match self.config.auth_mode {
                AuthSelectMode::Ignore => {}
                AuthSelectMode::Mix if authenticated > 0 && unauthenticated > 0 => {
                    s.options.trust |= !distrusted;
                    s.options.require |= !distrusted;
                }
                AuthSelectMode::Mix => {}
                AuthSelectMode::Prefer => s.options.noselect = distrusted && authenticated > 0,
                AuthSelectMode::Require => s.options.noselect = distrusted,
            }
        }
    }

    /// The source makes updates of its reachability (it is online), or not.
    pub fn set_active(&mut self, id: SourceId, active: bool) {
        if let Some(s) = self.get_mut(id) {
            s.active = active;
        }
    }

    /// The source makes updates of its reachability.
    #[must_use]
    pub fn is_active(&self, id: SourceId) -> bool {
        self.get(id).is_some_and(|s| s.active)
    }

    /// The source got an address, or another one.
    pub fn set_address(&mut self, id: SourceId, address: IpAddr, refid: u32) {
        if let Some(s) = self.get_mut(id) {
            s.kind = Kind::Ntp(SourceAddress::Ip(address));
            s.refid = refid;
        }
    }

    /// The source's reference ID changed (option `copy`).
    pub fn set_refid(&mut self, id: SourceId, refid: u32) {
        if let Some(s) = self.get_mut(id) {
            s.refid = refid;
        }
    }

    /// Reference ID of our own address towards the source, for orphan mode; 0 is not known.
    pub fn set_local_refid(&mut self, id: SourceId, refid: u32) {
        if let Some(s) = self.get_mut(id) {
            s.local_refid = refid;
        }
    }

    /// Forgets all about a source but its options. True if a selection (without updated source) must follow.
    pub fn reset(&mut self, id: SourceId) -> bool {
        if let Some(s) = self.get_mut(id) {
            s.reset();
        }
        self.selected == Some(id)
    }

    /// Stratum and leap status of a valid packet or of a reference clock, before each sample. The leap status is
    /// not taken near a leap second. True if the source has a vote: the reference must look at
    /// [`Self::leap_vote`] again.
    pub fn status_update(&mut self, id: SourceId, stratum: u8, leap: Leap, leap_close: bool) -> bool {
        let Some(s) = self.get_mut(id) else {
            return false;
        };
        s.stratum = stratum;
        if !leap_close {
            s.leap = leap;
        }
        s.leap_vote
    }

    /// Shifts the reachability register. True if a selection (without updated source) must follow.
    pub fn reachability(&mut self, id: SourceId, reached: bool) -> bool {
        let Some(s) = self.get_mut(id) else {
            return false;
        };
        s.reach = s.reach << 1 | u8::from(reached);
        s.reach_size = (s.reach_size + 1).min(REACH_BITS);
        s.unreachable_run = if s.reach == 0 {
            s.unreachable_run.saturating_add(1)
        } else {
            0
        };
        let unreachable = s.reach == 0;
        if unreachable && s.reach_size == REACH_BITS {
            self.handle_bad(id);
        }
        unreachable
    }

    /// Clears the reachability register, for a source that goes offline.
    pub fn reset_reachability(&mut self, id: SourceId) {
        if let Some(s) = self.get_mut(id) {
            s.reset_reach();
        }
    }

    /// Puts an NTP source on the list of those whose address should be replaced (`spec/sync.md` 4.9).
    pub(super) fn handle_bad(&mut self, id: SourceId) {
        if self.get(id).is_some_and(Source::is_ntp) && !self.bad.contains(&id) {
            self.bad.push(id);
        }
    }

    /// The sources whose address should be replaced since the last call.
    pub fn take_bad(&mut self) -> Vec<SourceId> {
        std::mem::take(&mut self.bad)
    }

    /// Takes a sample into the statistics of its source.
    pub fn accumulate(&mut self, cx: &mut Cx<'_>, id: SourceId, sample: &Sample) {
        let log = self.params.log_statistics;
        let Some(s) = self.get_mut(id) else {
            return;
        };
        let done = s.stats.accumulate(sample);
        if done.out_of_order {
            cx.out
                .events
                .push(Event::Sync(SyncEvent::OutOfOrder { source: s.label() }));
        }
        if let Some(info) = done.regression.filter(|_| log) {
            cx.out.records.push(statistics_record(s, info));
        }
    }

    /// The statistics of a source.
    #[must_use]
    pub fn stats(&self, id: SourceId) -> Option<&SourceStats> {
        self.get(id).map(|s| &s.stats)
    }

    /// The statistics of a source.
    pub fn stats_mut(&mut self, id: SourceId) -> Option<&mut SourceStats> {
        self.get_mut(id).map(|s| &mut s.stats)
    }

    /// The clock was changed. After an unknown step a selection (without updated source) must follow.
    pub fn announce(&mut self, change: &Change) {
        for s in &mut self.table {
            s.stats.announce(change);
        }
        debug_assert!(
            change.kind != ChangeKind::UnknownStep || self.table.iter().all(|s| s.stats.samples() == 0)
        );
    }

    /// Adds `dispersion` (s) to all samples.
    pub fn add_dispersion(&mut self, dispersion: f64) {
        for s in &mut self.table {
            s.stats.add_dispersion(dispersion);
        }
    }

    /// The selected source.
    #[must_use]
    pub fn selected(&self) -> Option<SourceId> {
        self.selected
    }

    /// Number of sources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// There is no source.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Reachability register of a source; 0 if there is no such source.
    #[must_use]
    pub fn reach(&self, id: SourceId) -> u8 {
        self.get(id).map_or(0, |s| s.reach)
    }

    /// Majority of the sources that have a vote (`spec/sync.md` 4.8).
    #[must_use]
    pub fn leap_vote(&self) -> Leap {
        let voters = || self.table.iter().filter(|s| s.leap_vote);
        let half = voters().count() / 2;
        let count = |leap| voters().filter(|s| s.leap == leap).count();
        if count(Leap::Insert) > half {
            Leap::Insert
        } else if count(Leap::Delete) > half {
            Leap::Delete
        } else {
            Leap::Normal
        }
    }

    /// In a special mode (`spec/sync.md` 8.4): no active source can get enough samples any more.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.table.iter().filter(|s| s.active).all(|s| {
            let left = SPECIAL_MODE_UPDATES.saturating_sub(usize::from(s.reach_size));
            left == 0 || left + s.stats.samples() < 3
        })
    }

    /// Command `reselect`: forgets the selected source. A selection (without updated source) must follow.
    pub fn forget_selected(&mut self) {
        self.selected = None;
    }

    /// Command `reselectdist` (s).
    pub fn set_reselect_distance(&mut self, cx: &mut Cx<'_>, distance: f64) {
        if self.config.reselect_distance != distance {
            self.config.reselect_distance = distance;
            cx.out
                .events
                .push(Event::Sync(SyncEvent::ReselectDistance { distance }));
        }
    }

    /// Command `selectopts`: the configured options without those of `mask`, and with `options`. True if that
    /// is a change.
    pub fn modify_select_options(
        &mut self,
        id: SourceId,
        mask: SelectOptions,
        options: SelectOptions,
    ) -> bool {
        let Some(s) = self.get_mut(id) else {
            return false;
        };
        let old = s.configured;
        let merged = |old: bool, mask: bool, new: bool| old && !mask || new;
        s.configured = SelectOptions {
            noselect: merged(old.noselect, mask.noselect, options.noselect),
            prefer: merged(old.prefer, mask.prefer, options.prefer),
            trust: merged(old.trust, mask.trust, options.trust),
            require: merged(old.require, mask.require, options.require),
        };
        let changed = s.configured != old;
        if changed {
            self.update_options();
        }
        changed
    }
}

fn statistics_record(s: &Source, info: RegressionInfo) -> Record {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (report, tracking) = (s.stats.report(Default::default()), s.stats.tracking_data());
    Record::Statistics(Box::new(Statistics {
        time: tracking.map(|t| t.ref_time).unwrap_or_default(),
        source: s.subject(),
        std_dev: report.std_dev,
        offset: tracking.map(|t| t.offset).unwrap_or_default(),
        offset_sd: tracking.map_or(0.0, |t| t.offset_sd),
        freq: report.freq,
        skew: report.skew,
        stress: info.stress,
        samples: count(info.samples),
        best_start: count(info.best_start),
        runs: count(report.runs),
        asymmetry: s.stats.asymmetry(),
    }))
}
