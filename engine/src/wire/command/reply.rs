//! Replies (section 5).

use super::field::{Field, Reader};
use super::{
    ActivityReport, AuthReport, ClientRecord, ClientsReport, MAX_CLIENTS, MAX_MANUAL_SAMPLES, MIN_LENGTH,
    ManualSample, NtpDataReport, ReplyCode, ReplyHeader, RequestHeader, RtcReport, SelectReport,
    ServerStatsReport, SetTimeReport, SmoothingReport, SourceName, SourceReport, SourceStatsReport, Status,
    TrackingReport, VERSION,
};

/// Reserved octets at the end of two replies; they are ones.
const RESERVED: u8 = 0xff;

/// The data of a reply.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is documented at its report")]
pub enum Reply {
    /// None.
    Null,
    /// Number of sources, reference clocks included.
    NSources(u32),
    Source(SourceReport),
    Tracking(TrackingReport),
    SourceStats(SourceStatsReport),
    Rtc(RtcReport),
    Activity(ActivityReport),
    Smoothing(SmoothingReport),
    SetTime(SetTimeReport),
    /// At most [`MAX_MANUAL_SAMPLES`], oldest first.
    ManualList(Vec<ManualSample>),
    SourceName(SourceName),
    Auth(AuthReport),
    Clients(ClientsReport),
    Select(SelectReport),
    ServerStats(ServerStatsReport),
    NtpData(NtpDataReport),
}

impl Reply {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> ReplyCode {
        match self {
            Self::Null => ReplyCode::Null,
            Self::NSources(_) => ReplyCode::NSources,
            Self::Source(_) => ReplyCode::SourceData,
            Self::Tracking(_) => ReplyCode::Tracking,
            Self::SourceStats(_) => ReplyCode::SourceStats,
            Self::Rtc(_) => ReplyCode::Rtc,
            Self::Activity(_) => ReplyCode::Activity,
            Self::Smoothing(_) => ReplyCode::Smoothing,
            Self::SetTime(_) => ReplyCode::ManualTimestamp,
            Self::ManualList(_) => ReplyCode::ManualList,
            Self::SourceName(_) => ReplyCode::SourceName,
            Self::Auth(_) => ReplyCode::AuthData,
            Self::Clients(_) => ReplyCode::Clients,
            Self::Select(_) => ReplyCode::SelectData,
            Self::ServerStats(_) => ReplyCode::ServerStats,
            Self::NtpData(_) => ReplyCode::NtpData,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::NSources(n) => n.put(out),
            Self::Source(report) => report.put(out),
            Self::Tracking(report) => report.put(out),
            Self::SourceStats(report) => report.put(out),
            Self::Rtc(report) => report.put(out),
            Self::Activity(report) => report.put(out),
            Self::Smoothing(report) => report.put(out),
            Self::SetTime(report) => report.put(out),
            Self::ManualList(samples) => {
                let samples = samples.get(..MAX_MANUAL_SAMPLES).unwrap_or(samples);
                (samples.len() as u32).put(out);
                samples.iter().for_each(|sample| sample.put(out));
            }
            Self::SourceName(name) => name.put(out),
            Self::Auth(report) => report.put(out),
            Self::Clients(report) => {
                let clients = report.clients.get(..MAX_CLIENTS).unwrap_or(&report.clients);
                report.indices.put(out);
                report.next.put(out);
                (clients.len() as u32).put(out);
                clients.iter().for_each(|client| client.put(out));
            }
            Self::Select(report) => report.put(out),
            Self::ServerStats(report) => report.put(out),
            Self::NtpData(report) => report.put(out),
        }
    }

    const fn padding(&self) -> u8 {
        match self {
            Self::ServerStats(_) | Self::NtpData(_) => RESERVED,
            _ => 0,
        }
    }

    /// The data of a datagram whose header says that it is of this kind; `None` if it is too short.
    #[must_use]
    pub fn decode(code: ReplyCode, datagram: &[u8]) -> Option<Self> {
        if datagram.len() < code.length() {
            return None;
        }
        let r = &mut Reader::at(datagram, MIN_LENGTH);
        Some(match code {
            ReplyCode::Null => Self::Null,
            ReplyCode::NSources => Self::NSources(r.get()),
            ReplyCode::SourceData => Self::Source(r.get()),
            ReplyCode::Tracking => Self::Tracking(r.get()),
            ReplyCode::SourceStats => Self::SourceStats(r.get()),
            ReplyCode::Rtc => Self::Rtc(r.get()),
            ReplyCode::Activity => Self::Activity(r.get()),
            ReplyCode::Smoothing => Self::Smoothing(r.get()),
            ReplyCode::ManualTimestamp => Self::SetTime(r.get()),
            ReplyCode::ManualList => {
                let n = r.get::<u32>() as usize;
                Self::ManualList((0..n.min(MAX_MANUAL_SAMPLES)).map(|_| r.get()).collect())
            }
            ReplyCode::SourceName => Self::SourceName(r.get()),
            ReplyCode::AuthData => Self::Auth(r.get()),
            ReplyCode::Clients => {
                let (indices, next, n) = (r.get(), r.get(), r.get::<u32>() as usize);
                let clients = (0..n.min(MAX_CLIENTS)).map(|_| r.get::<ClientRecord>()).collect();
                Self::Clients(ClientsReport {
                    indices,
                    next,
                    clients,
                })
            }
            ReplyCode::SelectData => Self::Select(r.get()),
            ReplyCode::ServerStats => Self::ServerStats(r.get()),
            ReplyCode::NtpData => Self::NtpData(r.get()),
        })
    }
}

/// The datagram that answers `request`.
#[must_use]
pub fn encode_reply(request: &RequestHeader, status: Status, reply: &Reply) -> Vec<u8> {
    let code = reply.code();
    let mut out = Vec::with_capacity(code.length());
    ReplyHeader {
        version: VERSION,
        command: request.command,
        reply: code.number(),
        status,
        sequence: request.sequence,
    }
    .put(&mut out);
    reply.put(&mut out);
    out.resize(code.length(), reply.padding());
    out
}
