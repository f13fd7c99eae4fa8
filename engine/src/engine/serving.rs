//! The server's sockets, and requests on their way to a reply.

use super::{Engine, StartError};
use crate::auth::Keys;
use crate::config::{AddressFamily, NetworkConfig};
use crate::io::{Output, Role, SocketId, SocketSpec, Stamp, Token};
use crate::random::Random;
use crate::server::{
    AccessList, Answers, Broadcasts, DueBroadcast, PendingReply, Published, Publisher, Server, Shard,
    Snapshot, Verdict, Workers, admit,
};
use crate::sync::cards::Cards;
use crate::sync::discipline::Discipline;
use crate::sync::kernel::Change;
use crate::time::{Mono, Now};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Packets that wait to be made; a driver that polls after every input never has more than a few.
const MAX_PENDING: usize = 1024;

/// The NTP server without its thread.
pub(super) struct Serving {
    pub(super) access: AccessList,
    pub(super) shard: Shard,
    port: u16,
    family: AddressFamily,
    bind: [IpAddr; 2],
    answers: Answers,
    sockets: [Option<SocketId>; 2],
    /// How many need the socket of a family: one for the access list, and each peer and broadcast.
    users: [usize; 2],
    /// Sockets that could not be opened, with the number of users then; tried again when there are more.
    failed: [Option<usize>; 2],
    next_socket: u32,
    broadcasts: Broadcasts,
    pending: VecDeque<Pending>,
    /// The packet handed out last was one of ours.
    sent_last: bool,
    publisher: Publisher,
}

/// A packet that is to be made.
enum Pending {
    /// To a request.
    Reply {
        on: SocketId,
        from: SocketAddr,
        to: Option<IpAddr>,
        reply: PendingReply,
    },
    Broadcast(DueBroadcast),
}

impl Serving {
    pub(super) fn new(
        config: &NetworkConfig,
        port: u16,
        family: AddressFamily,
        random: &mut dyn Random,
    ) -> Result<Self, StartError> {
        Ok(Self {
            access: AccessList::new(&config.access)?,
            shard: Shard::new(config, random),
            port,
            family,
            bind: [
                IpAddr::V4(config.bind_v4.unwrap_or(Ipv4Addr::UNSPECIFIED)),
                IpAddr::V6(config.bind_v6.unwrap_or(Ipv6Addr::UNSPECIFIED)),
            ],
            answers: Answers {
                ptp: config.ptp_port != 0,
                signs: config.signd_dir.is_some(),
            },
            sockets: [None; 2],
            users: [0; 2],
            failed: [None; 2],
            next_socket: 0,
            broadcasts: Broadcasts::new(&[], Mono::default(), random),
            pending: VecDeque::new(),
            sent_last: false,
            publisher: Publisher::default(),
        })
    }

    /// Begins to broadcast.
    pub(super) fn start_broadcasts(&mut self, config: &NetworkConfig, now: Mono, random: &mut dyn Random) {
        self.broadcasts = Broadcasts::new(&config.broadcasts, now, random);
    }

    /// Opens or closes the socket of a family (`spec/ntp.md` section 8.1). Gives the new state if it changed.
    /// `sources`: how many of them need it.
    pub(super) fn update_socket(
        &mut self,
        v6: bool,
        sources: usize,
        outputs: &mut VecDeque<Output>,
    ) -> Option<Option<SocketId>> {
        let i = usize::from(v6);
        let enabled = match self.family {
            AddressFamily::Any => true,
            AddressFamily::V4 => !v6,
            AddressFamily::V6 => v6,
        };
        let allowed = if v6 {
            self.access.verdicts().any_v6()
        } else {
            self.access.verdicts().any_v4()
        };
        let users = sources + usize::from(allowed) + self.broadcasts.count(v6);
        self.users[i] = users;
        let wanted = self.port != 0 && enabled && users > 0;
        match (wanted, self.sockets[i]) {
            (true, None) if self.failed[i].is_none_or(|before| users > before) => {
                self.failed[i] = None;
                let socket = self.new_socket();
                let local = SocketAddr::new(self.bind[i], self.port);
                outputs.push_back(Output::Open {
                    socket,
                    spec: SocketSpec::Bound {
                        local,
                        role: Role::Server,
                    },
                });
                self.sockets[i] = Some(socket);
                Some(self.sockets[i])
            }
            (false, Some(socket)) => {
                outputs.push_back(Output::Close(socket));
                self.sockets[i] = None;
                Some(None)
            }
            (_, None) => {
                self.failed[i] = wanted.then_some(users);
                None
            }
            (true, Some(_)) => None,
        }
    }

    /// Numbers below those of the sources' sockets. They come back after a round, but never while in use.
    fn new_socket(&mut self) -> SocketId {
        loop {
            let socket = SocketId(self.next_socket);
            self.next_socket = (self.next_socket + 1) % crate::source::FIRST_SOCKET;
            if !self.sockets.contains(&Some(socket)) {
                return socket;
            }
        }
    }

    /// A socket could not be opened. Gives its family (true is IPv6) if it is one of the server's.
    pub(super) fn not_opened(&mut self, on: SocketId) -> Option<bool> {
        let i = self.sockets.iter().position(|socket| *socket == Some(on))?;
        self.sockets[i] = None;
        self.failed[i] = Some(self.users[i]);
        Some(i == 1)
    }

    /// True if the packet that was handed out last is one of ours; nobody cares for its loss.
    pub(super) const fn sent_last(&self) -> bool {
        self.sent_last
    }

    /// The packet handed out last was somebody else's.
    pub(super) const fn other_sent(&mut self) {
        self.sent_last = false;
    }

    /// When [`Self::on_timeout`] wants to be called.
    pub(super) fn next_wakeup(&self) -> Option<Mono> {
        self.broadcasts.next_wakeup()
    }

    /// Takes the broadcasts that are due.
    pub(super) fn on_timeout(&mut self, now: Mono, random: &mut dyn Random) {
        while let Some(due) = self.broadcasts.pop_due(now, random) {
            self.push(Pending::Broadcast(due));
        }
    }

    fn push(&mut self, packet: Pending) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(packet);
        }
    }

    /// Takes what is no reply to one of our own requests.
    #[allow(clippy::too_many_arguments)] // They are the fields of one input.
    pub(super) fn request(
        &mut self,
        discipline: &mut Discipline,
        keys: &Keys,
        random: &mut dyn Random,
        now: Now,
        on: SocketId,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &[u8],
        rx: &Stamp,
    ) {
        let view = snapshot(discipline, &self.access, keys, self.answers, now);
        if let Verdict::Reply(reply) = admit(&view, &mut self.shard, random, bytes, from, rx) {
            self.push(Pending::Reply { on, from, to, reply });
        }
    }

    /// The next reply, with a fresh transmit timestamp.
    pub(super) fn poll_output(
        &mut self,
        discipline: &mut Discipline,
        keys: &Keys,
        random: &mut dyn Random,
        now: Now,
    ) -> Option<Output> {
        while let Some(packet) = self.pending.pop_front() {
            let view = snapshot(discipline, &self.access, keys, self.answers, now);
            let output = match packet {
                Pending::Reply { on, from, to, reply } => {
                    let Some(built) = reply.build(&view, &mut self.shard, random, now.raw) else {
                        continue;
                    };
                    let (to, from, bytes) = (from, to, built.bytes);
                    match built.sign {
                        Some(key) => Output::Sign {
                            on,
                            to,
                            from,
                            key,
                            bytes,
                        },
                        None => Output::Send {
                            on,
                            to,
                            from,
                            bytes,
                            token: built.saved.map(Token::Reply),
                        },
                    }
                }
                Pending::Broadcast(due) => {
                    let Some(on) = self.sockets[usize::from(due.remote.is_ipv6())] else {
                        continue;
                    };
                    Output::Send {
                        on,
                        to: due.remote,
                        from: None,
                        token: None,
                        bytes: due.build(&view, random, now.raw),
                    }
                }
            };
            self.sent_last = true;
            return Some(output);
        }
        None
    }

    /// What answers a batch of plain requests.
    pub(super) fn server<'a>(
        &'a mut self,
        discipline: &mut Discipline,
        keys: &'a Keys,
        cards: &'a Cards,
        random: &'a mut dyn Random,
        now: Now,
    ) -> Server<'a> {
        let view = snapshot(discipline, &self.access, keys, self.answers, now);
        Server::new(view, cards, &mut self.shard, random)
    }

    /// The clock was changed.
    pub(super) fn announce(&mut self, change: &Change) {
        self.shard.changed(change);
        self.publisher.changed(change);
    }
}

impl Engine {
    /// True for a socket of the server: see [`Self::server`].
    #[must_use]
    pub fn serves_on(&self, socket: SocketId) -> bool {
        self.serving.sockets.contains(&Some(socket))
    }

    /// There are threads that serve from [`Self::publish`]: `serverthreads`. They are asked for reports.
    pub fn set_workers(&mut self, workers: Box<dyn Workers>) {
        self.workers = Some(workers);
    }

    /// True if what was published last is not what is served now. To be asked after every call that may have changed
    /// something; costs less than a reply.
    #[must_use]
    pub fn publication_due(&self, now: Now) -> bool {
        let Serving {
            publisher, access, ..
        } = &self.serving;
        let (time, cards) = (self.discipline.served_time(), self.hardware.cards());
        publisher.is_due(&time, access.verdicts(), &self.keys, cards, now)
    }

    /// What workers are to serve from now on. Nobody is told of it but the caller.
    pub fn publish(&mut self, now: Now) -> Published {
        let Self {
            discipline, serving, ..
        } = self;
        // Serving may activate local mode, which all workers have to know; the distance is never less than now.
        let at = discipline.clock.cook(now.raw).0;
        discipline.served(at, now.mono);
        serving.publisher.publish(
            discipline.served_time(),
            serving.answers,
            serving.access.verdicts(),
            &self.keys,
            self.hardware.cards(),
            now,
        )
    }
}

fn snapshot<'a>(
    discipline: &mut Discipline,
    access: &'a AccessList,
    keys: &'a Keys,
    answers: Answers,
    now: Now,
) -> Snapshot<'a> {
    let time = discipline.served_time();
    let at = time.cook.cook(now.raw).0;
    let served = discipline.served(at, now.mono);
    Snapshot::new(&time, at, served, answers, access.verdicts(), keys)
}
