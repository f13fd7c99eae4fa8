//! The command protocol between chronyc and chronyd, version 6 (`spec/command-protocol.md` sections 2 to 5):
//! both directions of every request and reply. No state, no transport, no meaning of commands.
//!
//! A server takes a datagram in four steps, in the order of section 6.1: [`RequestHeader::decode`] (else
//! silence), [`RequestHeader::code`] (version, number, length), permission by [`Code::access`], and
//! [`Request::decode`], whose result is valid. [`encode_reply`] makes the answer.
//!
//! A client writes [`Request::encode`], and reads [`ReplyHeader::decode`] and [`Reply::decode`].

mod add_source;
mod address;
mod code;
mod field;
mod float;
mod header;
mod reply;
mod report;
mod request;
mod request_codec;
mod status;
#[cfg(test)]
mod tests;

pub use add_source::{AddSource, SourceFlags, SourceKind};
pub use address::{Address, Network, SourceMatch, SourceRef, Subnet, ref_id_text};
pub use code::{Access, Code, ReplyCode, Topic, reply_length};
pub use header::{Refusal, ReplyHeader, RequestHeader};
pub use reply::{Reply, encode_reply};
pub use report::{
    ActivityReport, AuthMode, AuthReport, ClientRecord, ClientsReport, ManualSample, NtpDataReport,
    RtcReport, SelectReport, ServerStatsReport, SetTimeReport, SmoothingReport, SourceMode, SourceName,
    SourceReport, SourceState, SourceStatsReport, TrackingReport,
};
pub use request::{AccessList, LocalSettings, ManualMode, Parameter, Request, SelectBits, SmoothTimeAction};
pub use status::Status;

/// Version of the protocol.
pub const VERSION: u8 = 6;
/// Oldest version that gets an answer (`Bad packet version`).
pub const OLDEST_ANSWERED: u8 = 5;
/// Shortest request, and length of a reply without data.
pub const MIN_LENGTH: usize = 28;
/// Longest request that is looked at; no request is that long.
pub const MAX_REQUEST: usize = 896;
/// Longest reply.
pub const MAX_REPLY: usize = 520;
/// Most samples in one reply to `manual list`.
pub const MAX_MANUAL_SAMPLES: usize = 16;
/// Most clients in one reply.
pub const MAX_CLIENTS: usize = 8;
