//! The table of sources: which there are, which packet is whose, when what is due
//! (`spec/ntp.md` sections 2.7, 2.15, 2.16).

mod control;
mod names;
mod pool;
mod reload;
mod table;

pub use control::Activity;
pub use table::{AddError, ConfigId};

use super::association::{Association, Env, LocalTime};
use super::io::{Io, Pending};
use super::timers::Alarm;
use super::{FIRST_SOCKET, Settings};
use crate::auth::Keys;
use crate::config::Config;
use crate::event::Event;
use crate::event::source::SourceEvent;
use crate::io::{Origin, Output, QueryId, ResolveError, SocketId, Stamp};
use crate::sync::SourceId;
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;
use crate::sync::kernel::Change;
use crate::time::Mono;
use crate::wire::ntp::{Mode, Packet};
use names::Names;
use pool::{Pool, PoolId};
use reload::Reloaded;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use table::Entry;

/// A timestamp of kernel or network card that is further away from ours is not believed, s.
const MAX_STAMP_AGE: f64 = 1.0;

/// What became of a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Handled {
    /// It was for a source, or for nobody.
    Consumed,
    /// It is no reply to us; perhaps a request.
    Unknown,
}

/// All NTP sources.
#[derive(Debug)]
pub struct Manager {
    settings: Settings,
    io: Io,
    /// In order of creation.
    table: BTreeMap<SourceId, Entry>,
    by_ip: BTreeMap<IpAddr, SourceId>,
    pools: BTreeMap<PoolId, Pool>,
    names: Names,
    started: bool,
    next_source: u32,
    next_unresolved: u32,
    next_config: u32,
    next_pool: u32,
    reloaded: Vec<Reloaded>,
    /// No bad source is replaced before this.
    next_replacement: Option<Mono>,
    /// `refresh`, s; 0 is off.
    refresh: f64,
    last_refresh: Option<Mono>,
    /// Socket opened by `onoffline` to see if a source can be reached, unless that has failed.
    probe: Option<SocketId>,
    /// Whose packet went last to a socket that several sources share.
    last_sent: BTreeMap<SocketId, SourceId>,
}

impl Manager {
    /// No sources yet; those of the configuration are added with [`Self::add`]. `port` is the one NTP is served on
    /// (0: never). `first` is the number of the first source; lower ones are for reference clocks.
    #[must_use]
    pub fn new(config: &Config, port: u16, keys: Arc<Keys>, first: SourceId) -> Self {
        Self {
            settings: Settings {
                keys,
                logs: config.files.logs,
                ptp: config.network.ptp_port != 0,
                hardware_timeout: None,
            },
            io: Io::new(&config.network, port),
            table: BTreeMap::new(),
            by_ip: BTreeMap::new(),
            pools: BTreeMap::new(),
            names: Names::default(),
            started: false,
            next_source: first.0,
            next_unresolved: 1,
            next_config: 1,
            next_pool: 1,
            reloaded: Vec::new(),
            next_replacement: None,
            refresh: f64::from(config.network.refresh),
            last_refresh: None,
            probe: None,
            last_sent: BTreeMap::new(),
        }
    }

    /// Sources begin polling. To be called when [`Self::names_tried`].
    pub fn start(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline) {
        self.started = true;
        self.last_refresh = Some(cx.now.mono);
        for id in self.ids() {
            self.with(cx, discipline, id, Association::start);
        }
    }

    /// After the preliminaries of `initstepslew`: sources that are added from now on wait for
    /// [`Self::begin_resolving`] and [`Self::start`] again.
    pub fn begin_again(&mut self) {
        self.started = false;
        self.names.begin_again();
    }

    /// New keys, after the key file was read again.
    pub fn set_keys(&mut self, keys: Arc<Keys>) {
        self.settings.keys = keys;
    }

    /// Network cards take timestamps: a response that comes before that of its request waits so long for it, s.
    pub fn set_hardware_timeout(&mut self, timeout: Option<f64>) {
        self.settings.hardware_timeout = timeout;
    }

    /// Tells which socket of the server serves a family; peers send from it.
    pub fn set_server_socket(&mut self, v6: bool, socket: Option<SocketId>) {
        self.io.set_server(v6, socket);
    }

    /// It is one of the sockets for NTP over PTP.
    #[must_use]
    pub fn is_ptp_socket(&self, socket: SocketId) -> bool {
        self.io.is_ptp(socket)
    }

    /// For how many the server's socket of a family is needed: each peer, and one for all requests that leave from it.
    #[must_use]
    pub fn server_socket_users(&self, v6: bool) -> usize {
        let peers = self.table.values().filter(|entry| {
            let a = &entry.association;
            a.is_peer() && a.address().ip().is_some_and(|ip| ip.is_ipv6() == v6)
        });
        peers.count() + usize::from(self.io.clients_use_server())
    }

    /// When [`Self::on_timeout`] wants to be called.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        self.io.timers.next_wakeup()
    }

    /// Runs the timers that are due. Ends early when one of them changed the clock, since the times in `cx` are
    /// then no longer right; [`Self::next_wakeup`] tells that it must be called again.
    pub fn on_timeout(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline) {
        while cx.out.changes.is_empty()
            && let Some(alarm) = self.io.timers.pop_due(cx.now.mono)
        {
            match alarm {
                Alarm::Transmit(id) => self.on_transmit(cx, discipline, id),
                Alarm::Saved(id) => self.process_saved(cx, discipline, id),
                Alarm::CloseSocket(id) => {
                    self.with(cx, discipline, id, Association::on_close);
                }
                Alarm::Resolve => self.names_due(cx),
            }
            self.replace_bad(cx, discipline);
        }
    }

    /// Takes a datagram. `to` is our address that it was sent to.
    #[allow(clippy::too_many_arguments)] // They are the fields of one input.
    pub fn handle_datagram(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        on: SocketId,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &[u8],
        rx: Stamp,
    ) -> Handled {
        // Nobody may ask on the sockets of our requests.
        let unknown = if on.0 < FIRST_SOCKET || self.io.is_ptp(on) {
            Handled::Unknown
        } else {
            Handled::Consumed
        };
        let mode = bytes.first().map(|first| Mode::from_bits(*first));
        if mode == Some(Mode::Client) {
            return unknown;
        }
        let Some(&id) = self.by_ip.get(&from.ip()) else {
            return unknown;
        };
        let Some(entry) = self.table.get_mut(&id) else {
            return unknown;
        };
        let association = &mut entry.association;
        if association.remote() != Some(from) {
            return unknown;
        }
        let rx = local_time(rx, cx, discipline);
        association.count_rx(rx.origin);
        let Ok(packet) = Packet::parse(bytes) else {
            return Handled::Consumed;
        };
        match (packet.header.mode, association.is_peer()) {
            (Mode::Active, false) => return unknown,
            (Mode::Active | Mode::Passive, true) | (Mode::Server, false) => {}
            _ => return Handled::Consumed,
        }
        let expected = if association.is_peer() {
            self.io.shared_for(from)
        } else {
            association.socket()
        };
        if !association.is_listening() || expected != Some(on) {
            return Handled::Consumed;
        }
        self.process_saved(cx, discipline, id);
        let good = self.with(cx, discipline, id, |association, env| {
            association.on_response(env, &packet, rx, to, false)
        });
        self.responded(cx, discipline, id, good == Some(true));
        Handled::Consumed
    }

    /// After a response was looked at.
    fn responded(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, id: SourceId, good: bool) {
        if good {
            self.confirm(cx, discipline, id);
            self.refresh_oldest(cx);
        }
        self.replace_bad(cx, discipline);
    }

    /// Looks at the response that waits for the transmit timestamp of its request, if there is one.
    fn process_saved(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, id: SourceId) {
        let good = self
            .with(cx, discipline, id, Association::process_saved)
            .flatten();
        if let Some(good) = good {
            self.responded(cx, discipline, id, good);
        }
    }

    fn on_transmit(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, id: SourceId) {
        self.with(cx, discipline, id, |association, _| association.begin_transmit());
        self.process_saved(cx, discipline, id);
        self.with(cx, discipline, id, |association, env| {
            // The response that waited may have planned the next request.
            if !association.is_transmit_armed() {
                association.on_transmit(env);
            }
        });
    }

    /// A better transmit timestamp of what was sent with [`crate::io::Token::Source`].
    pub fn sent(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, token: u64, tx: Stamp) {
        let id = SourceId((token >> 31) as u32);
        if let Some(entry) = self.table.get_mut(&id) {
            let (time, error) = discipline.clock.cook(tx.at);
            entry.association.sent(
                token,
                LocalTime {
                    time,
                    error: error + tx.error,
                    origin: tx.origin,
                    ..LocalTime::default()
                },
            );
        }
        if tx.origin == Origin::Hardware {
            self.process_saved(cx, discipline, id);
        }
    }

    /// A packet could not be sent on this socket, or the socket could not be opened.
    pub fn not_sent(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, on: SocketId) {
        if self.probe.take_if(|probe| *probe == on).is_some() {
            return;
        }
        let source = if self.io.is_shared(on) {
            self.last_sent.remove(&on)
        } else {
            self.table
                .iter()
                .find(|(_, entry)| entry.association.socket() == Some(on))
                .map(|(id, _)| *id)
        };
        match source {
            Some(id) => {
                self.with(cx, discipline, id, Association::not_sent);
                self.replace_bad(cx, discipline);
            }
            None => {
                self.io.lost_permanent(on);
            }
        }
    }

    /// Answer to a name query; none of the `unreachable` addresses is taken.
    pub fn resolved(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        query: QueryId,
        result: Result<Vec<IpAddr>, ResolveError>,
        unreachable: &[IpAddr],
    ) {
        self.on_resolved(cx, discipline, query, result, unreachable);
    }

    /// What is to be done, until there is nothing more. Packets are made here: `cx.now` is to be read freshly
    /// before each call.
    #[must_use]
    pub fn poll_output(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline) -> Option<Output> {
        loop {
            let id = match self.io.queue.pop_front()? {
                Pending::Output(output) => return Some(output),
                Pending::Probe(id) => match self.probe(id) {
                    Some(output) => return Some(output),
                    None => continue,
                },
                Pending::Probed(id, socket) => {
                    if let Some(output) = self.probed(cx, discipline, id, socket) {
                        return Some(output);
                    }
                    continue;
                }
                Pending::Transmit(id) => id,
            };
            let built = self.with(cx, discipline, id, |association, env| {
                let waiting = association.is_waiting();
                let built = association.build(env);
                if built.is_none() && waiting {
                    association.not_sent(env);
                }
                built
            });
            if let Some(Some(output)) = built {
                if let Output::Send { on, .. } = &output
                    && self.io.is_shared(*on)
                {
                    self.last_sent.insert(*on, id);
                }
                return Some(output);
            }
        }
    }

    /// The clock was changed: moves all stored times.
    pub fn announce(&mut self, cx: &mut Cx<'_>, discipline: &mut Discipline, change: &Change) {
        for id in self.ids() {
            self.with(cx, discipline, id, |association, env| {
                association.announce(change, env);
            });
        }
    }

    fn ids(&self) -> Vec<SourceId> {
        self.table.keys().copied().collect()
    }

    /// Calls a handler of an association.
    fn with<T>(
        &mut self,
        cx: &mut Cx<'_>,
        discipline: &mut Discipline,
        id: SourceId,
        handler: impl FnOnce(&mut Association, &mut Env<'_, '_>) -> T,
    ) -> Option<T> {
        let entry = self.table.get_mut(&id)?;
        let mut env = Env {
            cx,
            discipline,
            io: &mut self.io,
            settings: &self.settings,
        };
        Some(handler(&mut entry.association, &mut env))
    }
}

/// A receive timestamp as cooked time; one that is too far from the time we woke up at is not believed.
fn local_time(rx: Stamp, cx: &Cx<'_>, discipline: &Discipline) -> LocalTime {
    let (time, error) = discipline.clock.cook(rx.at);
    if rx.origin != Origin::Daemon && (time - cx.cooked).abs() > MAX_STAMP_AGE {
        let (time, error) = discipline.clock.cook(cx.now.raw);
        return LocalTime {
            time,
            error,
            ..LocalTime::default()
        };
    }
    LocalTime {
        time,
        error: error + rx.error,
        origin: rx.origin,
        duration: rx.duration,
        correction: rx.correction,
    }
}

fn log(cx: &mut Cx<'_>, event: SourceEvent) {
    cx.out.events.push(Event::Source(event));
}
