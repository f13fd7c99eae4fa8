//! What commands do with sources, and what they ask (`spec/ntp.md` section 2.14,
//! `spec/command-protocol.md` 6.5).

use super::Manager;
use crate::event::source::{NewValue, SourceEvent};
use crate::io::{Output, SocketId};
use crate::source::io::Pending;
use crate::source::{Association, Matching, Operating, SourceAddress};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;

/// Report `activity`: numbers of sources.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Activity {
    /// Online.
    pub online: u32,
    /// Offline.
    pub offline: u32,
    /// In a burst, online afterwards.
    pub burst_online: u32,
    /// In a burst, offline afterwards.
    pub burst_offline: u32,
    /// Without address.
    pub unresolved: u32,
}

impl Manager {
    /// The source with this number.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&Association> {
        Some(&self.table.get(&id)?.association)
    }

    /// All sources, in order of creation.
    pub fn associations(&self) -> impl Iterator<Item = &Association> {
        self.table.values().map(|entry| &entry.association)
    }

    /// The source with this address.
    #[must_use]
    pub fn find(&self, address: SourceAddress) -> Option<SourceId> {
        match address {
            SourceAddress::Ip(ip) => self.by_ip.get(&ip).copied(),
            SourceAddress::Id(_) => self
                .table
                .iter()
                .find(|(_, entry)| entry.address() == address)
                .map(|(id, _)| *id),
        }
    }

    /// Name of a source as configured.
    #[must_use]
    pub fn name(&self, id: SourceId) -> Option<&str> {
        Some(&self.table.get(&id)?.name)
    }

    /// Report `activity`.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let mut activity = Activity::default();
        for association in self.associations() {
            let count = match association.operating() {
                _ if association.address().ip().is_none() => &mut activity.unresolved,
                Operating::Online => &mut activity.online,
                Operating::Offline => &mut activity.offline,
                Operating::BurstWasOnline => &mut activity.burst_online,
                Operating::BurstWasOffline => &mut activity.burst_offline,
            };
            *count += 1;
        }
        activity
    }

    /// The sources that a command is for, the selected one last.
    fn matching(&self, discipline: &Discipline, which: Matching) -> Vec<SourceId> {
        let mut ids: Vec<SourceId> = match which {
            Matching::Exact(address) => self.find(address).into_iter().collect(),
            _ => self
                .table
                .iter()
                .filter(|(_, entry)| which.includes(entry.address()))
                .map(|(id, _)| *id)
                .collect(),
        };
        let selected = discipline.sources.selected();
        ids.sort_by_key(|id| Some(*id) == selected);
        ids
    }

    /// Command `online`. False if no source matches.
    pub fn online(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, which: Matching) -> bool {
        let ids = self.matching(discipline, which);
        for &id in &ids {
            self.set_online(cx, discipline, id, true);
        }
        if !ids.is_empty() {
            self.resolve_now(cx);
        }
        !ids.is_empty()
    }

    /// Command `offline`. False if no source matches.
    pub fn offline(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, which: Matching) -> bool {
        let ids = self.matching(discipline, which);
        for &id in &ids {
            self.set_online(cx, discipline, id, false);
        }
        !ids.is_empty()
    }

    fn set_online(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, id: SourceId, online: bool) {
        self.with(cx, discipline, id, |association, env| {
            let changed = if online {
                association.go_online(env)
            } else {
                association.go_offline(env)
            };
            if changed {
                let address = association.address().to_string();
                env.log(SourceEvent::Online(address, online));
            }
        });
    }

    /// Command `onoffline`: sources that can be reached go online, the others offline. A socket is opened for each, one
    /// after the other, and what became of it is known when the outputs that open them have been performed: before the
    /// next command, as users expect who ask for `activity` then.
    pub fn online_if_reachable(&mut self, cx: &mut Cx<'_>) {
        let ids = self.table.keys().copied();
        self.io.queue.extend(ids.map(Pending::Probe));
        self.resolve_now(cx);
    }

    /// Opens a socket for a source; the next thing to be done is to see what became of it.
    pub(super) fn probe(&mut self, id: SourceId) -> Option<Output> {
        let remote = self.table.get(&id)?.association.remote()?;
        let spec = self.io.connected(remote);
        let socket = self.io.next_socket();
        self.probe = Some(socket);
        self.io.queue.push_front(Pending::Probed(id, socket));
        Some(Output::Open { socket, spec })
    }

    /// The end of a probe; it has succeeded if nobody complained.
    pub(super) fn probed(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        socket: SocketId,
    ) -> Option<Output> {
        let online = self.probe.take().is_some();
        self.set_online(cx, discipline, id, online);
        online.then_some(Output::Close(socket))
    }

    /// Command `burst`: `good` samples or `total` packets. False if no source matches.
    pub fn burst(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        which: Matching,
        (good, total): (i32, i32),
    ) -> bool {
        let ids = self.matching(discipline, which);
        for &id in &ids {
            self.with(cx, discipline, id, |association, env| {
                association.start_burst(env, good, total);
            });
        }
        !ids.is_empty()
    }

    /// Commands `minpoll`, `maxdelay` and so on. False if there is no such source.
    pub fn modify(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        address: SourceAddress,
        value: NewValue,
    ) -> bool {
        let id = self.find(address);
        let done = id.and_then(|id| {
            self.with(cx, discipline, id, |association, env| {
                association.modify(env, value);
            })
        });
        done.is_some()
    }

    /// Command `delete`. False if there is no such source.
    pub fn delete(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, address: SourceAddress) -> bool {
        let Some(id) = self.find(address) else {
            return false;
        };
        let pool = self.table.get(&id).and_then(|entry| entry.pool);
        self.remove(cx, discipline, id, true);
        if let Some(pool) = pool {
            self.shrink_pool(pool);
        }
        true
    }
}
