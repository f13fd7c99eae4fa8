//! Sockets, timers and what waits to be handed to the driver.

use super::timers::Timers;
use crate::config::NetworkConfig;
use crate::io::{Output, Role, SocketId, SocketSpec};
use crate::sync::SourceId;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Sockets of the manager are numbered from here; lower numbers belong to the engine.
pub const FIRST_SOCKET: u32 = 1 << 8;

/// Something for the driver.
#[derive(Debug)]
pub(super) enum Pending {
    /// `onoffline`: a socket for this source is to be opened, to see if that works.
    Probe(SourceId),
    /// It has been opened, or that has failed.
    Probed(SourceId, SocketId),
    Output(Output),
    /// The packet of this source is still to be made.
    Transmit(SourceId),
}

/// Which sockets requests of clients leave from (`spec/ntp.md` section 8.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClientSockets {
    /// A connected one for each request.
    PerRequest,
    /// Permanent ones on a port of their own.
    Permanent(u16),
    /// Those of the server.
    Server,
}

/// IPv4 and IPv6.
type PerFamily<T> = [Option<T>; 2];

const ANY: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

fn family(ip: IpAddr) -> usize {
    usize::from(ip.is_ipv6())
}

/// What all associations share.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) timers: Timers,
    pub(super) queue: VecDeque<Pending>,
    clients: ClientSockets,
    /// `bindacqaddress`
    local: PerFamily<IpAddr>,
    permanent: PerFamily<SocketId>,
    /// `ptpport`; 0: none.
    ptp_port: u16,
    ptp: PerFamily<SocketId>,
    server: PerFamily<SocketId>,
    next_socket: u32,
}

impl Io {
    /// `port` is the one NTP is served on; 0: never.
    pub(super) fn new(config: &NetworkConfig, port: u16) -> Self {
        let clients = match config.acquisition_port {
            None => ClientSockets::PerRequest,
            Some(own) if own == port && port != 0 => ClientSockets::Server,
            Some(own) => ClientSockets::Permanent(own),
        };
        let mut io = Self {
            timers: Timers::default(),
            queue: VecDeque::new(),
            clients,
            local: [false, true].map(|v6| config.acquisition_address(v6)),
            permanent: [None; 2],
            ptp_port: config.ptp_port,
            ptp: [None; 2],
            server: [None; 2],
            next_socket: FIRST_SOCKET,
        };
        if let ClientSockets::Permanent(port) = clients {
            io.open_permanent(port);
        }
        if config.ptp_port != 0 {
            let bind = [config.bind_v4.map(IpAddr::V4), config.bind_v6.map(IpAddr::V6)];
            for (i, any) in ANY.into_iter().enumerate() {
                let local = SocketAddr::new(bind[i].unwrap_or(any), config.ptp_port);
                io.ptp[i] = Some(io.open(SocketSpec::Bound {
                    local,
                    role: Role::Ptp,
                }));
            }
        }
        io
    }

    fn open_permanent(&mut self, port: u16) {
        for (i, any) in ANY.into_iter().enumerate() {
            let local = SocketAddr::new(self.local[i].unwrap_or(any), port);
            self.permanent[i] = Some(self.open(SocketSpec::Bound {
                local,
                role: Role::Client,
            }));
        }
    }

    /// Asks for a new socket.
    pub(super) fn open(&mut self, spec: SocketSpec) -> SocketId {
        let socket = self.next_socket();
        self.push(Output::Open { socket, spec });
        socket
    }

    pub(super) fn next_socket(&mut self) -> SocketId {
        let socket = SocketId(self.next_socket);
        self.next_socket = self.next_socket.checked_add(1).unwrap_or(FIRST_SOCKET);
        socket
    }

    /// A socket connected to `remote`.
    pub(super) fn connected(&self, remote: SocketAddr) -> SocketSpec {
        let local = self.local[family(remote.ip())];
        SocketSpec::Client { remote, local }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.queue.push_back(Pending::Output(output));
    }

    /// Asks for a packet of this source to be made and sent.
    pub(super) fn transmit(&mut self, source: SourceId) {
        self.queue.push_back(Pending::Transmit(source));
    }

    /// The socket that a packet to `remote` leaves from; `None`: there is none.
    pub(super) fn socket_for(&mut self, remote: SocketAddr, peer: bool) -> Option<SocketId> {
        let i = family(remote.ip());
        match self.clients {
            _ if peer || self.is_ptp_port(remote) => self.shared_for(remote),
            ClientSockets::PerRequest => Some(self.open(self.connected(remote))),
            ClientSockets::Permanent(_) => self.permanent[i],
            ClientSockets::Server => self.server[i],
        }
    }

    /// Closes the socket of a request, unless it is a permanent one, and forgets it.
    pub(super) fn close(&mut self, socket: &mut Option<SocketId>) {
        if let Some(id) = socket.take()
            && !self.is_shared(id)
        {
            self.push(Output::Close(id));
        }
    }

    pub(super) fn is_shared(&self, id: SocketId) -> bool {
        id.0 < FIRST_SOCKET || self.permanent.contains(&Some(id)) || self.is_ptp(id)
    }

    /// It is one of the sockets for NTP over PTP.
    pub(super) fn is_ptp(&self, id: SocketId) -> bool {
        self.ptp.contains(&Some(id))
    }

    fn is_ptp_port(&self, remote: SocketAddr) -> bool {
        self.ptp_port != 0 && remote.port() == self.ptp_port
    }

    /// The socket that packets to a peer leave from, and requests over PTP.
    pub(super) fn shared_for(&self, remote: SocketAddr) -> Option<SocketId> {
        let sockets = if self.is_ptp_port(remote) {
            &self.ptp
        } else {
            &self.server
        };
        sockets[family(remote.ip())]
    }

    /// The server's socket of a family, or that there is none.
    pub(super) fn set_server(&mut self, v6: bool, socket: Option<SocketId>) {
        self.server[usize::from(v6)] = socket;
    }

    /// Any server socket is open.
    pub(super) fn serves(&self) -> bool {
        self.server.iter().chain(&self.ptp).any(Option::is_some)
    }

    /// Requests of clients leave from the server's sockets.
    pub(super) fn clients_use_server(&self) -> bool {
        self.clients == ClientSockets::Server
    }

    /// A permanent socket could not be opened. True if it was one of ours.
    pub(super) fn lost_permanent(&mut self, id: SocketId) -> bool {
        let mut shared = self.permanent.iter_mut().chain(&mut self.ptp);
        let lost = shared.find(|socket| **socket == Some(id));
        lost.map(|socket| *socket = None).is_some()
    }
}
