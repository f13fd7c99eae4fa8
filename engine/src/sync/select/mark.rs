//! Setting the status of a source, and what is said about it (`spec/sync.md` 4.2).

use super::Run;
use crate::config::SelectOptions;
use crate::event::Event;
use crate::event::record::{Record, Selection};
use crate::event::sync::SyncEvent;
use crate::sync::sources::Source;
use crate::sync::status::Status;
use crate::time::{Cooked, FastBy};

/// Bad statuses in a row after which there are messages, and the address is to be replaced.
const BAD_LIMIT: u32 = 4;

impl Run<'_> {
    /// Nothing can be selected. The reference stays as it is and just gets no more updates.
    pub(super) fn lose(&mut self, message: Option<SyncEvent>) {
        if self.sources.selected.take().is_some() {
            self.sources.loss_pending = true;
        }
        if let (true, Some(message)) = (self.sources.loss_pending, message) {
            self.sources.loss_pending = false;
            self.message(message);
        }
    }

    pub(super) fn message(&mut self, message: SyncEvent) {
        if self.env.normal {
            self.out.events.push(Event::Sync(message));
        }
    }

    pub(super) fn mark_ok(&mut self, status: Status) {
        for i in 0..self.sources.table.len() {
            if self.sources.table[i].status == Status::Ok {
                self.set_status(i, status);
            }
        }
    }

    fn set_status(&mut self, i: usize, status: Status) {
        let (log, last_updated) = (self.sources.params.log_selection, self.sources.last_updated);
        let s = &mut self.sources.table[i];
        s.status = status;
        let mut replace = false;
        if last_updated == Some(s.id) {
            s.bad = if status.is_bad() {
                s.bad.saturating_add(1)
            } else {
                0
            };
            replace = s.bad >= BAD_LIMIT;
        }
        if log {
            self.out.records.push(selection_record(s, self.now));
        }
        if replace {
            let id = s.id;
            self.sources.handle_bad(id);
        }
    }

    /// Sets a status, with the message that goes with it.
    pub(super) fn mark(&mut self, i: usize, status: Status) {
        self.set_status(i, status);
        if !self.env.normal {
            return;
        }
        let s = &self.sources.table[i];
        let bit = 1 << status as u32;
        if s.reported & bit != 0 {
            return;
        }
        let lasting = s.bad >= BAD_LIMIT;
        let config = &self.sources.config;
        let message = match status {
            Status::Selected => SyncEvent::Selected { source: s.label() },
            Status::Falseticker => SyncEvent::Falseticker { source: s.label() },
            Status::BadDistance if lasting => SyncEvent::RootDistance {
                source: s.label(),
                max: config.max_distance,
            },
            Status::Jittery if lasting => SyncEvent::Jitter {
                source: s.label(),
                max: config.max_jitter,
            },
            Status::BadStratum if lasting && u32::from(s.stratum) < config.min_stratum => {
                SyncEvent::StratumBelow {
                    source: s.label(),
                    min: config.min_stratum,
                }
            }
            Status::BadStratum if lasting => SyncEvent::StratumAbove {
                source: s.label(),
                max: config.max_stratum,
            },
            _ => return,
        };
        self.sources.table[i].reported |= bit;
        self.message(message);
    }
}

/// Options as the protocol's and the log's bits: noselect 1, prefer 2, trust 4, require 8.
#[must_use]
pub fn option_bits(options: SelectOptions) -> u8 {
    u8::from(options.noselect)
        | u8::from(options.prefer) << 1
        | u8::from(options.trust) << 2
        | u8::from(options.require) << 3
}

fn selection_record(s: &Source, now: Cooked) -> Record {
    Record::Selection(Box::new(Selection {
        time: now,
        source: s.subject(),
        state: s.status.letter(),
        options: option_bits(s.options),
        authenticated: s.authenticated,
        reach: s.reach,
        score: s.score,
        last_sample: s.data.last_ago,
        low: FastBy(s.data.low),
        high: FastBy(s.data.high),
    }))
}
