//! Answering requests of NTP clients (`spec/ntp.md` sections 3.2 and 5): access list, client log, rate limit,
//! saved timestamps, reply.
//!
//! A request is judged by [`admit`] when it comes in; the [`PendingReply`] is built directly before it is sent,
//! so that its transmit timestamp is fresh. What both read is a [`Snapshot`], what they change is a [`Shard`].

pub mod access;
pub mod answer;
pub mod broadcast;
pub mod clientlog;
pub mod interleaved;
pub mod published;
pub mod question;
pub mod ratelimit;
pub mod reply;
pub mod serve;
pub mod steer;
#[cfg(test)]
mod tests;
pub mod worker;

pub use access::{AccessList, BadSubnet, Verdicts};
pub use answer::{Answers, ServerStats, Shard, Snapshot, Verdict, admit, admit_packet};
pub use broadcast::{Broadcasts, DueBroadcast};
pub use clientlog::{ClientLog, ClientReport, Service};
pub use published::{Published, Publisher};
pub use question::{Answer, Page, Question, ServerTotals, Workers};
pub use reply::{Built, Draft, PendingReply, Written};
pub use serve::{Server, is_plain};
pub use steer::Steering;
pub use worker::Worker;
