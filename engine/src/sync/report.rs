//! Reports about sources: `sources`, `sourcestats`, `selectdata` (`spec/command-protocol.md` 5, 6.6), and
//! dump files.

use super::SourceId;
use super::dump::DumpError;
use super::sample::Leap;
use super::sources::{Kind, Source, Sources};
use super::stats::StatsReport;
use super::status::{SourceState, Status};
use crate::config::SelectOptions;
use crate::time::{Cooked, Era, FastBy};
use std::fmt::Write as _;

/// Age of the last sample when there is none.
const NO_SAMPLE: u32 = u32::MAX;
const MAX_STRATUM: u8 = 16;

/// Who a report is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Who {
    /// Number.
    pub id: SourceId,
    /// NTP source with its address, if known, or reference clock.
    pub kind: Kind,
    /// Reference ID.
    pub refid: u32,
}

/// Report `sources`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceReport {
    /// The source.
    pub who: Who,
    /// Stratum; 0 without samples.
    pub stratum: u8,
    /// State.
    pub state: SourceState,
    /// Reachability register.
    pub reach: u8,
    /// Age of the last sample, s; `u32::MAX` without samples.
    pub since_sample: u32,
    /// Last sample as measured.
    pub original: FastBy,
    /// Last sample adjusted for later corrections of the clock.
    pub adjusted: FastBy,
    /// Error bound of the last sample, s.
    pub error: f64,
}

/// Report `sourcestats`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceStatsReport {
    /// The source.
    pub who: Who,
    /// Numbers.
    pub stats: StatsReport,
}

/// Report `selectdata`, all of the last selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelectReport {
    /// The source.
    pub who: Who,
    /// State.
    pub status: Status,
    /// The source is authenticated.
    pub authenticated: bool,
    /// Leap status.
    pub leap: Leap,
    /// Options as configured.
    pub configured: SelectOptions,
    /// Options in force.
    pub effective: SelectOptions,
    /// Age of the last sample, s.
    pub last_sample_ago: u32,
    /// Score.
    pub score: f64,
    /// Lower end of the interval of the true offset.
    pub low: FastBy,
    /// Higher end of the interval of the true offset.
    pub high: FastBy,
}

impl Sources {
    /// The number of the source at `index`, in order of creation.
    #[must_use]
    pub fn id_at(&self, index: usize) -> Option<SourceId> {
        self.table.get(index).map(|s| s.id)
    }

    /// State of a source in the selection.
    #[must_use]
    pub fn status(&self, id: SourceId) -> Option<Status> {
        self.get(id).map(|s| s.status)
    }

    /// How messages call a source: its address, followed by the configured name if that differs; or its
    /// reference ID.
    #[must_use]
    pub fn label(&self, id: SourceId) -> Option<String> {
        self.get(id).map(Source::label)
    }

    /// Report `sources` about the source at `index`, in order of creation. `now` is the time of the event.
    #[must_use]
    pub fn source_report(&self, index: usize, now: Cooked) -> Option<SourceReport> {
        let s = self.table.get(index)?;
        let mut report = SourceReport {
            who: who(s),
            stratum: 0,
            state: s.status.state(),
            reach: s.reach,
            since_sample: NO_SAMPLE,
            original: FastBy(0.0),
            adjusted: FastBy(0.0),
            error: 0.0,
        };
        if let Some(last) = s.stats.last_sample() {
            // The time at which a packet of an NTP source arrived is nobody's business.
            let time = if s.is_ntp() {
                Cooked::new(last.time.sec(), 0)
            } else {
                last.time
            };
            report.stratum = s.stratum;
            report.since_sample = (now - time) as u32;
            report.original = last.original;
            report.adjusted = last.adjusted;
            report.error = last.error;
        }
        Some(report)
    }

    /// Report `sourcestats` about the source at `index`, in order of creation. `now` is the time of the event.
    #[must_use]
    pub fn stats_report(&self, index: usize, now: Cooked) -> Option<SourceStatsReport> {
        let s = self.table.get(index)?;
        Some(SourceStatsReport {
            who: who(s),
            stats: s.stats.report(now),
        })
    }

    /// Report `selectdata` about the source at `index`, in order of creation.
    #[must_use]
    pub fn select_report(&self, index: usize) -> Option<SelectReport> {
        let s = self.table.get(index)?;
        Some(SelectReport {
            who: who(s),
            status: s.status,
            authenticated: s.authenticated,
            leap: s.leap,
            configured: s.configured,
            effective: s.options,
            last_sample_ago: s.data.last_ago as u32,
            score: s.score,
            low: FastBy(s.data.low),
            high: FastBy(s.data.high),
        })
    }

    /// Name of the dump file of a source; `None` without an address.
    #[must_use]
    pub fn dump_name(&self, id: SourceId) -> Option<String> {
        let s = self.get(id)?;
        match s.kind {
            Kind::Ntp(address) => address.ip().map(|ip| format!("{ip}.dat")),
            Kind::Refclock => Some(format!("refid:{:08x}.dat", s.refid)),
        }
    }

    /// Contents of the dump file of a source; `None` without samples: there must be no file then.
    #[must_use]
    pub fn dump(&self, id: SourceId) -> Option<String> {
        let s = self.get(id).filter(|s| s.stats.samples() > 0)?;
        let name = if s.is_ntp() { s.name.as_str() } else { "." };
        let mut text = format!("SRC0\n{name}\n");
        let (authenticated, leap) = (u8::from(s.authenticated), s.leap as u8);
        let _ = writeln!(
            text,
            "{authenticated} {:o} {} {} {leap}",
            s.reach, s.reach_size, s.stratum
        );
        s.stats.save(&mut text);
        Some(text)
    }

    /// Restores a source from its dump file. After all files were loaded, [`Self::dumps_loaded`] and a selection
    /// (without updated source) must follow.
    ///
    /// # Errors
    /// The text is not of this source or has wrong values; the source is then as after a reset.
    pub fn load_dump(&mut self, id: SourceId, text: &str, now: Cooked, era: Era) -> Result<(), DumpError> {
        let index = self.index(id).ok_or(DumpError::Unusable)?;
        let Some(s) = self.table.get_mut(index) else {
            return Err(DumpError::Unusable);
        };
        let mut lines = text.lines();
        if lines.next() != Some("SRC0") {
            return Err(DumpError::Malformed);
        }
        let words: Vec<&str> = lines
            .next()
            .ok_or(DumpError::Malformed)?
            .split_whitespace()
            .collect();
        let [name] = words[..] else {
            return Err(DumpError::Malformed);
        };
        if s.is_ntp() && name != s.name {
            return Err(DumpError::Unusable);
        }
        let fields: Vec<&str> = lines
            .next()
            .ok_or(DumpError::Malformed)?
            .split_whitespace()
            .collect();
        let [authenticated, reach, size, stratum, leap] = fields[..] else {
            return Err(DumpError::Malformed);
        };
        let malformed = |_| DumpError::Malformed;
        let authenticated = authenticated.parse::<i32>().map_err(malformed)? != 0;
        let reach = u32::from_str_radix(reach, 8).map_err(malformed)?;
        let size: i32 = size.parse().map_err(malformed)?;
        let stratum: u8 = stratum.parse().map_err(malformed)?;
        let leap: u8 = leap.parse().map_err(malformed)?;
        if (s.authenticated && !authenticated) || stratum >= MAX_STRATUM || leap > 2 {
            return Err(DumpError::Unusable);
        }
        s.stats.load(lines, now, era)?;
        s.reach = reach as u8;
        s.reach_size = size.clamp(0, 8) as u8;
        s.stratum = stratum;
        s.leap = Leap::from_bits(leap);
        Ok(())
    }

    /// All dump files were loaded: the reference may be set without waiting for a new sample.
    pub fn dumps_loaded(&mut self) {
        for s in &mut self.table {
            s.updates += 1;
        }
    }
}

fn who(s: &Source) -> Who {
    Who {
        id: s.id,
        kind: s.kind,
        refid: s.refid,
    }
}
