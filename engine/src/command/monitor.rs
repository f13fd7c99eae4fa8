//! Commands that only read (`spec/command-protocol.md` 6.5, 6.6).

use super::{Answer, Target};
use crate::source::{Association, SourceAddress};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::report::Who;
use crate::sync::sources::Kind;
use crate::sync::status::SourceState as State;
use crate::wire::command::{
    AccessList as List, ActivityReport, Address, AuthMode, AuthReport, NtpDataReport, Reply, Request,
    SelectReport, SourceMode, SourceName, SourceReport, SourceState, SourceStatsReport, Status,
    TrackingReport,
};

/// Answers a request that only reads; `None`: it is not one of them.
pub(super) fn report(cx: &mut Cx<'_>, target: &mut Target<'_>, request: &Request) -> Option<Answer> {
    Some(match *request {
        Request::NSources => Ok(Reply::NSources(target.discipline.sources.len() as u32)),
        Request::SourceData(index) => source(cx, target, index).map(Reply::Source),
        Request::SourceStats(index) => stats(cx, target, index).map(Reply::SourceStats),
        Request::SelectData(index) => select(target, index).map(Reply::Select),
        Request::Tracking => Ok(Reply::Tracking(tracking(cx, target))),
        Request::Activity => Ok(Reply::Activity(activity(target))),
        Request::NtpData(address) => ntp_data(target, address).map(Reply::NtpData),
        Request::AuthData(address) => auth_data(target, address).map(Reply::Auth),
        Request::SourceName(address) => source_name(target, address).map(Reply::SourceName),
        Request::CheckAccess(List::Ntp, address) => Err(match address.ip() {
            Some(ip) if target.access.verdicts().allows(ip) => Status::AccessAllowed,
            _ => Status::AccessDenied,
        }),
        // Features that this build does not have answer as a daemon built or configured without them.
        Request::RtcReport | Request::WriteRtc | Request::TrimRtc => Err(Status::NoRtc),
        _ => return None,
    })
}

fn tracking(cx: &mut Cx<'_>, target: &mut Target<'_>) -> TrackingReport {
    let report = target.discipline.tracking(cx);
    TrackingReport {
        ref_id: report.refid,
        address: report.address.map_or(Address::Unspecified, Address::Ip),
        stratum: u16::from(report.stratum),
        leap: report.leap as u16,
        ref_time: report.ref_time,
        correction: report.correction.0,
        last_offset: report.last_offset.0,
        rms_offset: report.rms_offset,
        frequency: report.frequency.0,
        residual_frequency: report.residual.0,
        skew: report.skew.0,
        root_delay: report.root_delay,
        root_dispersion: report.root_dispersion,
        update_interval: report.update_interval,
    }
}

/// Address of a source as the protocol has it: `unspecified` stands for a reference clock.
fn address(target: &Target<'_>, who: Who) -> Address {
    match who.kind {
        Kind::Refclock => Address::Unspecified,
        Kind::Ntp(_) => target
            .manager
            .get(who.id)
            .map_or(Address::Unspecified, |source| Address::from(source.address())),
    }
}

impl From<SourceAddress> for Address {
    fn from(address: SourceAddress) -> Self {
        match address {
            SourceAddress::Ip(ip) => Self::Ip(ip),
            SourceAddress::Id(id) => Self::Id(id),
        }
    }
}

fn source(cx: &Cx<'_>, target: &Target<'_>, index: u32) -> Result<SourceReport, Status> {
    let report = target
        .discipline
        .sources
        .source_report(index as usize, cx.cooked)
        .ok_or(Status::NoSuchSource)?;
    let (mode, poll) = match target.manager.get(report.who.id) {
        Some(source) => {
            let mode = if source.is_peer() {
                SourceMode::Peer
            } else {
                SourceMode::Client
            };
            (mode, source.report_poll(target.discipline))
        }
        None => (SourceMode::RefClock, 0),
    };
    Ok(SourceReport {
        address: match report.who.kind {
            Kind::Refclock => Address::of_refclock(report.who.refid),
            Kind::Ntp(_) => address(target, report.who),
        },
        poll: poll as i16,
        stratum: u16::from(report.stratum),
        state: match report.state {
            State::Selected => SourceState::Selected,
            State::NonSelectable => SourceState::Nonselectable,
            State::Falseticker => SourceState::Falseticker,
            State::Jittery => SourceState::Jittery,
            State::Combined => SourceState::Combined,
            State::Selectable => SourceState::Selectable,
        },
        mode,
        flags: 0,
        reach: u16::from(report.reach),
        last_sample: (report.since_sample != u32::MAX).then_some(report.since_sample),
        measured_offset: report.original.0,
        adjusted_offset: report.adjusted.0,
        error: report.error,
    })
}

fn stats(cx: &Cx<'_>, target: &Target<'_>, index: u32) -> Result<SourceStatsReport, Status> {
    let report = target
        .discipline
        .sources
        .stats_report(index as usize, cx.cooked)
        .ok_or(Status::NoSuchSource)?;
    let stats = report.stats;
    Ok(SourceStatsReport {
        ref_id: report.who.refid,
        address: address(target, report.who),
        samples: stats.samples as u32,
        runs: stats.runs as u32,
        span: stats.span as u32,
        std_dev: stats.std_dev,
        frequency: 1e6 * stats.freq,
        skew: 1e6 * stats.skew,
        offset: stats.offset.0,
        offset_error: stats.offset_error,
    })
}

fn select(target: &Target<'_>, index: u32) -> Result<SelectReport, Status> {
    let report = target
        .discipline
        .sources
        .select_report(index as usize)
        .ok_or(Status::NoSuchSource)?;
    let bits = |options| u16::from(crate::sync::select::option_bits(options));
    Ok(SelectReport {
        ref_id: report.who.refid,
        address: address(target, report.who),
        state: report.status.letter() as u8,
        authenticated: report.authenticated,
        leap: report.leap as u8,
        configured: bits(report.configured),
        effective: bits(report.effective),
        last_sample: Some(report.last_sample_ago),
        score: report.score,
        low: report.low.0,
        high: report.high.0,
    })
}

fn activity(target: &Target<'_>) -> ActivityReport {
    let activity = target.manager.activity();
    ActivityReport {
        online: activity.online,
        offline: activity.offline,
        burst_online: activity.burst_online,
        burst_offline: activity.burst_offline,
        unresolved: activity.unresolved,
    }
}

/// The NTP source with exactly this address.
pub(super) fn find(target: &Target<'_>, address: Address) -> Result<SourceId, Status> {
    source_address(address)
        .and_then(|address| target.manager.find(address))
        .ok_or(Status::NoSuchSource)
}

/// The address that stands for one NTP source.
pub(super) fn source_address(address: Address) -> Option<SourceAddress> {
    match address {
        Address::Ip(ip) => Some(SourceAddress::Ip(ip)),
        Address::Id(id) => Some(SourceAddress::Id(id)),
        Address::Unspecified => None,
    }
}

fn source_name(target: &Target<'_>, address: Address) -> Result<SourceName, Status> {
    let id = find(target, address)?;
    target
        .manager
        .name(id)
        .map(SourceName::new)
        .ok_or(Status::NoSuchSource)
}

fn auth_data(target: &Target<'_>, address: Address) -> Result<AuthReport, Status> {
    let id = find(target, address)?;
    let mut report = AuthReport {
        mode: AuthMode::None,
        key_type: 0,
        key_id: 0,
        key_length: 0,
        ke_attempts: 0,
        last_ke: None,
        cookies: 0,
        cookie_length: 0,
        nak: 0,
    };
    let key_id = target.manager.get(id).map_or(0, Association::key);
    if key_id != 0 {
        report.mode = AuthMode::Symmetric;
        report.key_id = key_id;
        if let Some(key) = target.keys.get(key_id) {
            report.key_type = u16::from(key.kind().number());
            report.key_length = key.bits() as u16;
        }
    }
    Ok(report)
}

fn ntp_data(target: &Target<'_>, wanted: Address) -> Result<NtpDataReport, Status> {
    let id = find(target, wanted)?;
    let data = target.manager.get(id).ok_or(Status::NoSuchSource)?.ntp_data();
    let totals = data.totals;
    let mut report = NtpDataReport {
        remote: wanted,
        local: Address::Unspecified,
        remote_port: data.remote.map_or(0, |remote| remote.port()),
        leap: 0,
        version: 0,
        mode: 0,
        stratum: 0,
        poll: 0,
        precision: 0,
        root_delay: 0.0,
        root_dispersion: 0.0,
        ref_id: 0,
        ref_time: crate::time::Cooked::default(),
        offset: 0.0,
        peer_delay: 0.0,
        peer_dispersion: 0.0,
        response_time: 0.0,
        jitter_asymmetry: 0.0,
        flags: 0,
        tx_origin: 0,
        rx_origin: 0,
        total_tx: totals.tx,
        total_rx: totals.rx,
        total_valid: totals.valid_rx,
        total_good: totals.good_rx,
        kernel_tx: totals.kernel_tx,
        kernel_rx: totals.kernel_rx,
        hardware_tx: totals.hardware_tx,
        hardware_rx: totals.hardware_rx,
    };
    if let Some(last) = data.last {
        let flag = |on: bool, bit: u16| if on { bit } else { 0 };
        report.local = last.local.map_or(Address::Unspecified, Address::Ip);
        report.leap = last.header.leap;
        report.version = last.header.version;
        report.mode = last.header.mode as u8;
        report.stratum = last.header.stratum;
        report.poll = last.header.poll;
        report.precision = last.header.precision;
        report.root_delay = last.root_delay;
        report.root_dispersion = last.root_dispersion;
        report.ref_id = last.header.refid;
        report.ref_time = last.reference;
        report.offset = last.offset.0;
        report.peer_delay = last.peer_delay;
        report.peer_dispersion = last.peer_dispersion;
        report.response_time = last.response_time;
        report.jitter_asymmetry = last.asymmetry;
        report.flags = last.tests
            | flag(last.interleaved, NtpDataReport::INTERLEAVED)
            | flag(last.authenticated, NtpDataReport::AUTHENTICATED);
        report.tx_origin = last.tx_origin as u8;
        report.rx_origin = last.rx_origin as u8;
    }
    Ok(report)
}
