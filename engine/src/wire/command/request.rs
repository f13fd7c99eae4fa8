//! Requests as values.

use super::{AddSource, Address, Code, SourceMatch, SourceRef, Subnet};
use crate::time::Cooked;

/// Which of the two access lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessList {
    /// Of NTP clients (`allow`, `deny`).
    Ntp,
    /// Of chronyc (`cmdallow`, `cmddeny`).
    Command,
}

/// One parameter of one NTP source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parameter {
    /// log2 s.
    MinPoll(i32),
    /// log2 s.
    MaxPoll(i32),
    /// s.
    MaxDelay(f64),
    /// A ratio.
    MaxDelayRatio(f64),
    /// A ratio.
    MaxDelayDevRatio(f64),
    /// Stratum.
    MinStratum(i32),
    /// Samples.
    PollTarget(i32),
}

/// `manual`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ManualMode {
    /// `manual off`
    Off,
    /// `manual on`
    On,
    /// `manual reset`
    Reset,
}

/// `smoothtime`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SmoothTimeAction {
    /// `smoothtime reset`
    Reset,
    /// `smoothtime activate`
    Activate,
    /// Invalid, but only where smoothing is enabled: the other error comes first.
    Unknown(i32),
}

/// `local`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalSettings {
    /// Stratum; out of 1 to 15 it is corrected by the server.
    pub stratum: i32,
    /// s.
    pub distance: f64,
    /// `orphan`
    pub orphan: bool,
    /// s.
    pub activate: f64,
    /// s.
    pub wait_synced: f64,
    /// s.
    pub wait_unsynced: f64,
}

/// Select options as bits (numbering of SELECT_DATA).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SelectBits(pub u16);

impl SelectBits {
    /// `noselect`
    pub const NOSELECT: Self = Self(1);
    /// `prefer`
    pub const PREFER: Self = Self(2);
    /// `trust`
    pub const TRUST: Self = Self(4);
    /// `require`
    pub const REQUIRE: Self = Self(8);
    /// Every option.
    pub const ALL: [Self; 4] = [Self::NOSELECT, Self::PREFER, Self::TRUST, Self::REQUIRE];

    /// True if all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// `online`
    Online(SourceMatch),
    /// `offline`
    Offline(SourceMatch),
    /// `burst`
    Burst {
        /// Which sources.
        sources: SourceMatch,
        /// Wanted good measurements.
        good: i32,
        /// Most measurements.
        total: i32,
    },
    /// `minpoll`, `maxdelay` and their kin.
    Modify(Address, Parameter),
    /// `dump`
    Dump,
    /// `maxupdateskew`, ppm.
    MaxUpdateSkew(f64),
    /// `settime`: the true time now.
    SetTime(Cooked),
    /// `manual on`, `off`, `reset`
    Manual(ManualMode),
    /// Number of sources.
    NSources,
    /// `sources`: one, by index.
    SourceData(u32),
    /// `rekey`
    Rekey,
    /// `allow`, `deny`, `cmdallow`, `cmddeny`
    ChangeAccess {
        /// Which list.
        list: AccessList,
        /// Allow, not deny.
        allow: bool,
        /// `all`: also what is configured for parts of the subnet.
        all: bool,
        /// Whom.
        subnet: Subnet,
    },
    /// `accheck`, `cmdaccheck`
    CheckAccess(AccessList, Address),
    /// `delete`
    DeleteSource(Address),
    /// `writertc`
    WriteRtc,
    /// `dfreq`: added to the frequency, ppm.
    AdjustFrequency(f64),
    /// `doffset`: to be slewed, s.
    AdjustOffset(f64),
    /// `tracking`
    Tracking,
    /// `sourcestats`: one, by index.
    SourceStats(u32),
    /// `rtcdata`
    RtcReport,
    /// `trimrtc`
    TrimRtc,
    /// `cyclelogs`
    CycleLogs,
    /// `manual list`
    ManualList,
    /// `manual delete`, by index.
    ManualDelete(u32),
    /// `makestep`
    MakeStep,
    /// `makestep THRESHOLD LIMIT`
    SetMakeStep {
        /// Updates; negative: always.
        limit: i32,
        /// s.
        threshold: f64,
    },
    /// `activity`
    Activity,
    /// `reselect`
    Reselect,
    /// `reselectdist`, s.
    ReselectDistance(f64),
    /// `smoothing`
    Smoothing,
    /// `smoothtime`
    SmoothTime(SmoothTimeAction),
    /// `refresh`
    Refresh,
    /// `serverstats`
    ServerStats,
    /// `ntpdata`
    NtpData(Address),
    /// `shutdown`
    Shutdown,
    /// `onoffline`
    OnOffline,
    /// `sourcename`
    SourceName(Address),
    /// `reset sources`
    ResetSources,
    /// `authdata`
    AuthData(Address),
    /// `clients`
    Clients {
        /// First slot of the table to look at.
        first: u32,
        /// Most entries wanted; the server gives 8 at most.
        count: u32,
        /// Only clients with at least as many packets of one service.
        min_hits: u32,
        /// Zero the counters afterwards.
        reset: bool,
    },
    /// `selectdata`: one, by index.
    SelectData(u32),
    /// `reload sources`
    ReloadSources,
    /// `selectopts`
    SelectOptions {
        /// Which source.
        source: SourceRef,
        /// Options to be changed.
        mask: SelectBits,
        /// Those of them that are to be on.
        options: SelectBits,
    },
    /// `offset`: source and correction, s.
    Offset(SourceRef, f64),
    /// `local`; `None`: off.
    Local(Option<LocalSettings>),
    /// `add`
    AddSource(Box<AddSource>),
}

impl Request {
    /// Its code (of two, the newer).
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Online(_) => Code::Online,
            Self::Offline(_) => Code::Offline,
            Self::Burst { .. } => Code::Burst,
            Self::Modify(_, parameter) => match parameter {
                Parameter::MinPoll(_) => Code::ModifyMinPoll,
                Parameter::MaxPoll(_) => Code::ModifyMaxPoll,
                Parameter::MaxDelay(_) => Code::ModifyMaxDelay,
                Parameter::MaxDelayRatio(_) => Code::ModifyMaxDelayRatio,
                Parameter::MaxDelayDevRatio(_) => Code::ModifyMaxDelayDevRatio,
                Parameter::MinStratum(_) => Code::ModifyMinStratum,
                Parameter::PollTarget(_) => Code::ModifyPollTarget,
            },
            Self::Dump => Code::Dump,
            Self::MaxUpdateSkew(_) => Code::ModifyMaxUpdateSkew,
            Self::SetTime(_) => Code::SetTime,
            Self::Manual(_) => Code::Manual,
            Self::NSources => Code::NSources,
            Self::SourceData(_) => Code::SourceData,
            Self::Rekey => Code::Rekey,
            Self::ChangeAccess { list, allow, all, .. } => match (list, allow, all) {
                (AccessList::Ntp, true, false) => Code::Allow,
                (AccessList::Ntp, true, true) => Code::AllowAll,
                (AccessList::Ntp, false, false) => Code::Deny,
                (AccessList::Ntp, false, true) => Code::DenyAll,
                (AccessList::Command, true, false) => Code::CmdAllow,
                (AccessList::Command, true, true) => Code::CmdAllowAll,
                (AccessList::Command, false, false) => Code::CmdDeny,
                (AccessList::Command, false, true) => Code::CmdDenyAll,
            },
            Self::CheckAccess(AccessList::Ntp, _) => Code::AccessCheck,
            Self::CheckAccess(AccessList::Command, _) => Code::CmdAccessCheck,
            Self::DeleteSource(_) => Code::DeleteSource,
            Self::WriteRtc => Code::WriteRtc,
            Self::AdjustFrequency(_) => Code::AdjustFrequency,
            Self::AdjustOffset(_) => Code::AdjustOffset,
            Self::Tracking => Code::Tracking,
            Self::SourceStats(_) => Code::SourceStats,
            Self::RtcReport => Code::RtcReport,
            Self::TrimRtc => Code::TrimRtc,
            Self::CycleLogs => Code::CycleLogs,
            Self::ManualList => Code::ManualList,
            Self::ManualDelete(_) => Code::ManualDelete,
            Self::MakeStep => Code::MakeStep,
            Self::SetMakeStep { .. } => Code::ModifyMakeStep,
            Self::Activity => Code::Activity,
            Self::Reselect => Code::Reselect,
            Self::ReselectDistance(_) => Code::ReselectDistance,
            Self::Smoothing => Code::Smoothing,
            Self::SmoothTime(_) => Code::SmoothTime,
            Self::Refresh => Code::Refresh,
            Self::ServerStats => Code::ServerStats,
            Self::NtpData(_) => Code::NtpData,
            Self::Shutdown => Code::Shutdown,
            Self::OnOffline => Code::OnOffline,
            Self::SourceName(_) => Code::SourceName,
            Self::ResetSources => Code::ResetSources,
            Self::AuthData(_) => Code::AuthData,
            Self::Clients { .. } => Code::Clients,
            Self::SelectData(_) => Code::SelectData,
            Self::ReloadSources => Code::ReloadSources,
            Self::SelectOptions { .. } => Code::ModifySelectOptions,
            Self::Offset(..) => Code::ModifyOffset,
            Self::Local(_) => Code::Local,
            Self::AddSource(_) => Code::AddSource,
        }
    }
}
