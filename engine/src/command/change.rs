//! Commands that change something (`spec/command-protocol.md` 6.5). All come from the Unix socket.

use super::monitor::{find, source_address};
use super::source_options::{select_options, source_config};
use super::{Commands, Target};
use crate::config::{AccessRule, LocalMode, MakeStep, Subnet};
use crate::event::{
    Event, clock::ClockEvent, command::CommandEvent, server::ServerEvent, source::NewValue, sync::SyncEvent,
};
use crate::io::{FileJob, Output};
use crate::source::{AddError, Matching, SourceAddress};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::sources::Sources;
use crate::time::FastBy;
use crate::wire::command::{
    AccessList as List, Address, LocalSettings, Network, Parameter, Request, SourceMatch, SourceRef, Status,
    Subnet as WireSubnet,
};

impl Commands {
    /// Does what the request wants.
    pub(super) fn change(
        &mut self,
        cx: &mut Cx<'_>,
        target: &mut Target<'_>,
        request: &Request,
    ) -> Result<(), Status> {
        match *request {
            Request::Online(sources) => online(cx, target, sources, true),
            Request::Offline(sources) => online(cx, target, sources, false),
            Request::OnOffline => {
                target.manager.online_if_reachable(cx);
                Ok(())
            }
            Request::Burst { sources, good, total } => {
                let any = target
                    .manager
                    .burst(cx, target.discipline, matching(sources), (good, total));
                any.then_some(()).ok_or(Status::NoSuchSource)
            }
            Request::Modify(address, parameter) => modify(cx, target, address, new_value(parameter)),
            Request::Offset(SourceRef::Address(address), offset) => {
                modify(cx, target, address, NewValue::Offset(offset))
            }
            Request::Offset(SourceRef::RefId(_), _) => Err(Status::NoSuchSource),
            Request::SelectOptions {
                source,
                mask,
                options,
            } => {
                let id = any_source(target, source)?;
                let (mask, options) = (select_options(mask), select_options(options));
                let sources = &mut target.discipline.sources;
                let changed = sources.modify_select_options(id, mask, options);
                if let Some(source) = target.manager.get(id).filter(|_| changed) {
                    let source = source.address().to_string();
                    cx.out
                        .events
                        .push(Event::Sync(SyncEvent::SelectOptions { source }));
                }
                Ok(())
            }
            Request::AddSource(ref add) => add_source(cx, target, &source_config(add)),
            Request::DeleteSource(address) => {
                let address = source_address(address).ok_or(Status::NoSuchSource)?;
                let done = target.manager.delete(cx, target.discipline, address);
                done.then_some(()).ok_or(Status::NoSuchSource)
            }
            Request::Refresh => {
                target.manager.refresh_all(cx);
                Ok(())
            }
            Request::Reselect => {
                target.discipline.reselect(cx);
                Ok(())
            }
            Request::ReselectDistance(distance) => {
                target.discipline.sources.set_reselect_distance(cx, distance);
                Ok(())
            }
            Request::ResetSources => {
                target.discipline.reset_sources(cx);
                Ok(())
            }
            Request::ReloadSources => {
                target.outputs.push_back(Output::ReloadSources);
                Ok(())
            }
            Request::ChangeAccess {
                list,
                allow,
                all,
                subnet,
            } => self.change_access(cx, target, list, allow, all, subnet),
            Request::CheckAccess(List::Command, address) => Err(match address.ip() {
                Some(ip) if self.access.verdicts().allows(ip) => Status::AccessAllowed,
                _ => Status::AccessDenied,
            }),
            Request::MakeStep => target.discipline.clock.make_step(cx).map_err(|_| Status::Failed),
            Request::SetMakeStep { limit, threshold } => {
                target
                    .discipline
                    .reference
                    .set_make_step(cx, MakeStep { threshold, limit });
                Ok(())
            }
            Request::MaxUpdateSkew(ppm) => {
                target.discipline.reference.set_max_update_skew(cx, ppm);
                Ok(())
            }
            Request::AdjustFrequency(ppm) => {
                target
                    .discipline
                    .clock
                    .accumulate_frequency_and_offset(cx, 1e-6 * ppm, FastBy(0.0), 0.0)
                    .ok();
                cx.out.events.push(Event::Clock(ClockEvent::AddedFrequency(ppm)));
                Ok(())
            }
            Request::AdjustOffset(seconds) => {
                target
                    .discipline
                    .clock
                    .accumulate_offset(cx, FastBy(seconds), 0.0)
                    .map_err(|_| Status::Failed)?;
                cx.out.events.push(Event::Clock(ClockEvent::AddedOffset(seconds)));
                Ok(())
            }
            Request::Local(settings) => {
                target
                    .discipline
                    .reference
                    .set_local(cx, settings.map(local_mode));
                Ok(())
            }
            Request::Dump => {
                if self.dumps {
                    target.outputs.extend(dumps(&target.discipline.sources));
                }
                Ok(())
            }
            Request::Rekey => {
                target.outputs.push_back(Output::Rekey);
                Ok(())
            }
            Request::CycleLogs => {
                target.outputs.push_back(Output::Save(FileJob::CycleLogs));
                Ok(())
            }
            Request::Shutdown => {
                cx.out.events.push(Event::Command(CommandEvent::Shutdown));
                cx.out.exit = Some(0);
                Ok(())
            }
            // What `monitor` answers never comes here.
            _ => Err(Status::Invalid),
        }
    }

    fn change_access(
        &mut self,
        cx: &mut Cx<'_>,
        target: &mut Target<'_>,
        list: List,
        allow: bool,
        all: bool,
        subnet: WireSubnet,
    ) -> Result<(), Status> {
        let subnet = match subnet.network()? {
            Network::All => Subnet::Any,
            Network::Net(ip, bits) => Subnet::Net(ip, u32::from(bits)),
        };
        let rule = AccessRule { allow, all, subnet };
        let access = match list {
            List::Ntp => &mut *target.access,
            List::Command => &mut self.access,
        };
        access.apply(&rule).map_err(|_| Status::BadSubnet)?;
        cx.out.events.push(Event::Server(ServerEvent::Access {
            command: list == List::Command,
            allow,
            all,
            subnet: match subnet {
                Subnet::Any => None,
                Subnet::Net(ip, bits) => Some((ip, bits)),
            },
        }));
        Ok(())
    }
}

fn modify(cx: &mut Cx<'_>, target: &mut Target<'_>, address: Address, value: NewValue) -> Result<(), Status> {
    let address = source_address(address).ok_or(Status::NoSuchSource)?;
    let done = target.manager.modify(cx, target.discipline, address, value);
    done.then_some(()).ok_or(Status::NoSuchSource)
}

fn new_value(parameter: Parameter) -> NewValue {
    match parameter {
        Parameter::MinPoll(x) => NewValue::MinPoll(x),
        Parameter::MaxPoll(x) => NewValue::MaxPoll(x),
        Parameter::MaxDelay(x) => NewValue::MaxDelay(x),
        Parameter::MaxDelayRatio(x) => NewValue::MaxDelayRatio(x),
        Parameter::MaxDelayDevRatio(x) => NewValue::MaxDelayDevRatio(x),
        Parameter::MinStratum(x) => NewValue::MinStratum(x),
        Parameter::PollTarget(x) => NewValue::PollTarget(x),
    }
}

/// All sources' histories, to be written by the driver.
pub(crate) fn dumps(sources: &Sources) -> impl Iterator<Item = Output> {
    let ids = (0..sources.len()).filter_map(|index| sources.id_at(index));
    ids.filter_map(|id| {
        let (name, text) = (sources.dump_name(id)?, sources.dump(id));
        Some(Output::Save(FileJob::Dump { name, text }))
    })
}

fn online(
    cx: &mut Cx<'_>,
    target: &mut Target<'_>,
    sources: SourceMatch,
    online: bool,
) -> Result<(), Status> {
    let which = matching(sources);
    let any = if online {
        target.manager.online(cx, target.discipline, which)
    } else {
        target.manager.offline(cx, target.discipline, which)
    };
    any.then_some(()).ok_or(Status::NoSuchSource)
}

fn matching(sources: SourceMatch) -> Matching {
    match (sources.address, sources.mask) {
        (Address::Unspecified, _) => Matching::All,
        (Address::Ip(address), Address::Ip(mask)) => Matching::Subnet { address, mask },
        (Address::Ip(address), _) => Matching::Exact(SourceAddress::Ip(address)),
        (Address::Id(id), _) => Matching::Exact(SourceAddress::Id(id)),
    }
}

/// The source with this address, or the first reference clock with this ID.
fn any_source(target: &Target<'_>, source: SourceRef) -> Result<SourceId, Status> {
    match source {
        SourceRef::Address(address) => find(target, address),
        // There are no reference clocks in this build.
        SourceRef::RefId(_) => Err(Status::NoSuchSource),
    }
}

fn add_source(
    cx: &mut Cx<'_>,
    target: &mut Target<'_>,
    config: &crate::config::SourceConfig,
) -> Result<(), Status> {
    if config.nts {
        // Without NTS the source would never be polled.
        return Err(Status::Failed);
    }
    target
        .manager
        .add(cx, target.discipline, config, true)
        .map_err(|error| match error {
            AddError::InUse => Status::SourceAlreadyKnown,
            AddError::TooMany => Status::TooManySources,
            AddError::InvalidAddress => Status::InvalidFamily,
            AddError::InvalidName => Status::InvalidName,
        })?;
    target.manager.resolve_now(cx);
    Ok(())
}

fn local_mode(settings: LocalSettings) -> LocalMode {
    LocalMode {
        stratum: settings.stratum.clamp(1, 15) as u8,
        orphan: settings.orphan,
        distance: settings.distance,
        activate: settings.activate,
        wait_synced: settings.wait_synced,
        wait_unsynced: settings.wait_unsynced,
    }
}
