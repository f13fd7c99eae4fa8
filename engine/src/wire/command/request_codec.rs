//! Requests as bytes (section 4.1).

use super::code::REQUEST_HEADER;
use super::field::{Field, Reader};
use super::{
    AccessList, AddSource, Code, LocalSettings, ManualMode, Parameter, Request, RequestHeader, SelectBits,
    SmoothTimeAction, SourceFlags, Status, Subnet, VERSION,
};

/// Bits of select options in `options` of MODIFY_SELECTOPTS, which are those of ADD_SOURCE, beside their
/// number everywhere else.
const OPTION_BITS: [(SelectBits, SourceFlags); 4] = [
    (SelectBits::NOSELECT, SourceFlags::NOSELECT),
    (SelectBits::PREFER, SourceFlags::PREFER),
    (SelectBits::TRUST, SourceFlags::TRUST),
    (SelectBits::REQUIRE, SourceFlags::REQUIRE),
];

impl Request {
    /// The datagram. Version 5 differs in having no padding.
    #[must_use]
    pub fn encode(&self, version: u8, attempt: u16, sequence: u32) -> Vec<u8> {
        let code = self.code();
        let length = if version < VERSION {
            REQUEST_HEADER + code.payload()
        } else {
            code.request_length()
        };
        let mut out = Vec::with_capacity(length);
        RequestHeader {
            version,
            command: code.number(),
            attempt,
            sequence,
        }
        .put(&mut out);
        self.put(&mut out);
        out.resize(length, 0);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Online(sources) | Self::Offline(sources) => sources.put(out),
            Self::Burst { sources, good, total } => {
                sources.put(out);
                good.put(out);
                total.put(out);
            }
            Self::Modify(address, parameter) => {
                address.put(out);
                match parameter {
                    Parameter::MinPoll(n)
                    | Parameter::MaxPoll(n)
                    | Parameter::MinStratum(n)
                    | Parameter::PollTarget(n) => n.put(out),
                    Parameter::MaxDelay(x) | Parameter::MaxDelayRatio(x) | Parameter::MaxDelayDevRatio(x) => {
                        x.put(out);
                    }
                }
            }
            Self::MaxUpdateSkew(x)
            | Self::AdjustFrequency(x)
            | Self::AdjustOffset(x)
            | Self::ReselectDistance(x) => x.put(out),
            Self::SetTime(time) => time.put(out),
            Self::Manual(mode) => match mode {
                ManualMode::Off => 0_i32.put(out),
                ManualMode::On => 1_i32.put(out),
                ManualMode::Reset => 2_i32.put(out),
            },
            Self::SourceData(index)
            | Self::SourceStats(index)
            | Self::SelectData(index)
            | Self::ManualDelete(index) => index.put(out),
            Self::ChangeAccess { subnet, .. } => subnet.put(out),
            Self::CheckAccess(_, address)
            | Self::DeleteSource(address)
            | Self::NtpData(address)
            | Self::SourceName(address)
            | Self::AuthData(address) => address.put(out),
            Self::SetMakeStep { limit, threshold } => {
                limit.put(out);
                threshold.put(out);
            }
            Self::SmoothTime(action) => match action {
                SmoothTimeAction::Reset => 0_i32.put(out),
                SmoothTimeAction::Activate => 1_i32.put(out),
                SmoothTimeAction::Unknown(n) => n.put(out),
            },
            Self::Clients {
                first,
                count,
                min_hits,
                reset,
            } => {
                first.put(out);
                count.put(out);
                min_hits.put(out);
                u32::from(*reset).put(out);
            }
            Self::SelectOptions {
                source,
                mask,
                options,
            } => {
                source.put(out);
                u32::from(mask.0).put(out);
                let mut flags = SourceFlags::default();
                for (bit, flag) in OPTION_BITS {
                    flags.set(flag, options.contains(bit));
                }
                flags.0.put(out);
            }
            Self::Offset(source, offset) => {
                source.put(out);
                offset.put(out);
            }
            Self::Local(Some(local)) => {
                1_i32.put(out);
                local.stratum.put(out);
                local.distance.put(out);
                i32::from(local.orphan).put(out);
                local.activate.put(out);
                local.wait_synced.put(out);
                local.wait_unsynced.put(out);
            }
            Self::AddSource(source) => source.put(out),
            Self::Local(None)
            | Self::Dump
            | Self::NSources
            | Self::Rekey
            | Self::WriteRtc
            | Self::Tracking
            | Self::RtcReport
            | Self::TrimRtc
            | Self::CycleLogs
            | Self::ManualList
            | Self::MakeStep
            | Self::Activity
            | Self::Reselect
            | Self::Smoothing
            | Self::Refresh
            | Self::ServerStats
            | Self::Shutdown
            | Self::OnOffline
            | Self::ResetSources
            | Self::ReloadSources => {}
        }
    }

    /// The request in a datagram of this code, whose length has been checked by [`RequestHeader::code`]. The
    /// error is the answer.
    pub fn decode(code: Code, datagram: &[u8]) -> Result<Self, Status> {
        let r = &mut Reader::at(datagram, REQUEST_HEADER);
        Ok(match code {
            Code::Online => Self::Online(r.get()),
            Code::Offline => Self::Offline(r.get()),
            Code::Burst => Self::Burst {
                sources: r.get(),
                good: r.get(),
                total: r.get(),
            },
            Code::ModifyMinPoll => Self::Modify(r.get(), Parameter::MinPoll(r.get())),
            Code::ModifyMaxPoll => Self::Modify(r.get(), Parameter::MaxPoll(r.get())),
            Code::ModifyMaxDelay => Self::Modify(r.get(), Parameter::MaxDelay(r.get())),
            Code::ModifyMaxDelayRatio => Self::Modify(r.get(), Parameter::MaxDelayRatio(r.get())),
            Code::ModifyMaxDelayDevRatio => Self::Modify(r.get(), Parameter::MaxDelayDevRatio(r.get())),
            Code::ModifyMinStratum => Self::Modify(r.get(), Parameter::MinStratum(r.get())),
            Code::ModifyPollTarget => Self::Modify(r.get(), Parameter::PollTarget(r.get())),
            Code::Dump => Self::Dump,
            Code::ModifyMaxUpdateSkew => Self::MaxUpdateSkew(r.get()),
            Code::SetTime => Self::SetTime(r.get()),
            Code::Manual => Self::Manual(match r.get::<i32>() {
                0 => ManualMode::Off,
                1 => ManualMode::On,
                2 => ManualMode::Reset,
                _ => return Err(Status::Invalid),
            }),
            Code::NSources => Self::NSources,
            Code::SourceData => Self::SourceData(r.get()),
            Code::Rekey => Self::Rekey,
            Code::Allow => access(r, AccessList::Ntp, true, false)?,
            Code::AllowAll => access(r, AccessList::Ntp, true, true)?,
            Code::Deny => access(r, AccessList::Ntp, false, false)?,
            Code::DenyAll => access(r, AccessList::Ntp, false, true)?,
            Code::CmdAllow => access(r, AccessList::Command, true, false)?,
            Code::CmdAllowAll => access(r, AccessList::Command, true, true)?,
            Code::CmdDeny => access(r, AccessList::Command, false, false)?,
            Code::CmdDenyAll => access(r, AccessList::Command, false, true)?,
            Code::AccessCheck => Self::CheckAccess(AccessList::Ntp, r.get()),
            Code::CmdAccessCheck => Self::CheckAccess(AccessList::Command, r.get()),
            Code::DeleteSource => Self::DeleteSource(r.get()),
            Code::WriteRtc => Self::WriteRtc,
            Code::AdjustFrequency => Self::AdjustFrequency(r.get()),
            Code::AdjustOffset => Self::AdjustOffset(r.get()),
            Code::Tracking => Self::Tracking,
            Code::SourceStats => Self::SourceStats(r.get()),
            Code::RtcReport => Self::RtcReport,
            Code::TrimRtc => Self::TrimRtc,
            Code::CycleLogs => Self::CycleLogs,
            Code::ManualList => Self::ManualList,
            Code::ManualDelete => Self::ManualDelete(r.get()),
            Code::MakeStep => Self::MakeStep,
            Code::ModifyMakeStep => Self::SetMakeStep {
                limit: r.get(),
                threshold: r.get(),
            },
            Code::Activity => Self::Activity,
            Code::Reselect => Self::Reselect,
            Code::ReselectDistance => Self::ReselectDistance(r.get()),
            Code::Smoothing => Self::Smoothing,
            Code::SmoothTime => Self::SmoothTime(match r.get() {
                0 => SmoothTimeAction::Reset,
                1 => SmoothTimeAction::Activate,
                n => SmoothTimeAction::Unknown(n),
            }),
            Code::Refresh => Self::Refresh,
            Code::ServerStats => Self::ServerStats,
            Code::NtpData => Self::NtpData(r.get()),
            Code::Shutdown => Self::Shutdown,
            Code::OnOffline => Self::OnOffline,
            Code::SourceName => Self::SourceName(r.get()),
            Code::ResetSources => Self::ResetSources,
            Code::AuthData => Self::AuthData(r.get()),
            Code::Clients => Self::Clients {
                first: r.get(),
                count: r.get(),
                min_hits: r.get(),
                reset: r.get::<u32>() != 0,
            },
            Code::SelectData => Self::SelectData(r.get()),
            Code::ReloadSources => Self::ReloadSources,
            Code::ModifySelectOptions => {
                let (source, mask, flags) = (r.get(), r.get::<u32>(), SourceFlags(r.get()));
                let mut options = SelectBits::default();
                for (bit, flag) in OPTION_BITS {
                    if flags.contains(flag) {
                        options = options.with(bit);
                    }
                }
                Self::SelectOptions {
                    source,
                    mask: SelectBits((mask & 0xf) as u16),
                    options,
                }
            }
            Code::ModifyOffset => Self::Offset(r.get(), r.get()),
            Code::Local => {
                let on = r.get::<i32>() != 0;
                let local = LocalSettings {
                    stratum: r.get(),
                    distance: r.get(),
                    orphan: r.get::<i32>() != 0,
                    activate: r.get(),
                    wait_synced: r.get(),
                    wait_unsynced: r.get(),
                };
                Self::Local(on.then_some(local))
            }
            Code::AddSource => Self::AddSource(Box::new(AddSource::get(r, false)?)),
            Code::AddSourceOld => Self::AddSource(Box::new(AddSource::get(r, true)?)),
        })
    }
}

fn access(r: &mut Reader<'_>, list: AccessList, allow: bool, all: bool) -> Result<Request, Status> {
    let subnet: Subnet = r.get();
    subnet.network()?;
    Ok(Request::ChangeAccess {
        list,
        allow,
        all,
        subnet,
    })
}
