//! The engine's sockets: NTP client and server.

use super::options::{self, SO_SELECT_ERR_QUEUE, Settings, improve};
use super::watch::{Descriptor, Key, Wakes};
use crate::sys::address::Address;
use crate::sys::socket::{Batch, Queue, Received, Sending, send, timestamping};
use bytes::Bytes;
use socket2::{SockAddr, Socket};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use truechimer_engine::io::{Origin, SocketId, SocketSpec, Stamp, Token};
use truechimer_engine::time::Raw;

const RX_FLAGS: u32 = timestamping::SOFTWARE | timestamping::RX_SOFTWARE | timestamping::OPT_CMSG;
/// Datagrams of one socket whose transmit timestamp can be awaited at the same time.
const MAX_AWAITED: usize = 256;
/// Errors of one socket after which it is left alone until something new is announced.
const MAX_ERRORS: usize = 4;
/// A kernel timestamp further away (s) from our own reading is not to be believed.
const MAX_DISTANCE: f64 = 1.0;
/// IP and UDP headers of a looped-back datagram, at least.
const MIN_HEADERS: usize = 28;

/// How receive timestamps are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stamping {
    /// `SO_TIMESTAMPING`, for both directions.
    Full,
    /// It was refused once; receive timestamps by the older options.
    ReceiveOnly,
}

#[derive(Debug)]
struct Entry {
    descriptor: Descriptor,
    connected: Option<SocketAddr>,
    /// Transmit timestamps are asked for by the socket, not by each datagram.
    stamps_all: bool,
    awaited: VecDeque<(Token, Bytes)>,
    /// Interface of the last sender with an IPv4 link-local address: the reply has to go back through it.
    link_local: Option<(Ipv4Addr, u32)>,
}

/// What came out of a socket.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// A datagram from somebody.
    Datagram {
        /// Sender.
        from: SocketAddr,
        /// Our address.
        to: Option<IpAddr>,
        /// Payload.
        bytes: &'a [u8],
        /// When it came.
        rx: Stamp,
    },
    /// A transmit timestamp.
    Sent {
        /// Of this datagram.
        token: Token,
        /// When it left.
        tx: Stamp,
    },
}

/// All sockets that the engine asked for.
#[derive(Debug)]
pub struct NtpSockets {
    settings: Settings,
    stamping: Stamping,
    wakes: Option<Wakes>,
    entries: BTreeMap<SocketId, Entry>,
    /// Keeps the kernel's receive timestamps switched on between our own sockets.
    keeper: Option<Socket>,
}

impl NtpSockets {
    /// No sockets yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            stamping: Stamping::Full,
            wakes: None,
            entries: BTreeMap::new(),
            keeper: None,
        }
    }

    /// True if none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Watches all sockets, open ones and later ones. To be called within the runtime.
    ///
    /// # Errors
    /// A socket can't be watched.
    pub fn start(&mut self, wakes: &Wakes) -> io::Result<()> {
        self.wakes = Some(wakes.clone());
        for (id, entry) in std::mem::take(&mut self.entries) {
            let descriptor = entry.descriptor.watch(Key::Ntp(id), wakes)?;
            self.entries.insert(id, Entry { descriptor, ..entry });
        }
        Ok(())
    }

    /// Opens a socket. One of a family that is switched off (`-4`, `-6`) is refused with `Unsupported`.
    ///
    /// # Errors
    /// The kernel's refusal; there is no socket with this number then.
    pub fn open(&mut self, id: SocketId, spec: &SocketSpec) -> io::Result<()> {
        let settings = &self.settings;
        let (address, device) = match spec {
            SocketSpec::Client { remote, .. } => (remote, &settings.client_device),
            SocketSpec::Bound { local, server: false } => (local, &settings.client_device),
            SocketSpec::Bound { local, server: true } => (local, &settings.device),
        };
        if !options::allows(settings.family, address) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let socket = match spec {
            SocketSpec::Client { .. } => options::new(address, device.as_deref())?,
            SocketSpec::Bound { .. } => settings.socket(address, device.as_deref())?,
        };
        self.set_dscp(&socket, address);
        let mut stamps_all = false;
        let mut connected = None;
        match spec {
            SocketSpec::Client { remote, local } => {
                stamps_all = self.set_timestamping(socket.as_fd(), RX_FLAGS | timestamping::TX_SOFTWARE);
                if let Some(local) = local {
                    options::bind(&socket, &SocketAddr::new(*local, 0))?;
                }
                socket.connect(&SockAddr::from(*remote))?;
                connected = Some(*remote);
            }
            SocketSpec::Bound { local, server } => {
                self.set_timestamping(socket.as_fd(), RX_FLAGS);
                if *server {
                    improve(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BROADCAST, 1);
                }
                options::bind(&socket, local)?;
            }
        }
        let mut descriptor = Descriptor::Plain(OwnedFd::from(socket));
        if let Some(wakes) = &self.wakes {
            descriptor = descriptor.watch(Key::Ntp(id), wakes)?;
        }
        let entry = Entry {
            descriptor,
            connected,
            stamps_all,
            awaited: VecDeque::new(),
            link_local: None,
        };
        self.entries.insert(id, entry);
        Ok(())
    }

    fn set_dscp(&self, socket: &Socket, address: &SocketAddr) {
        if self.settings.dscp > 0 {
            let value = i32::from(self.settings.dscp) << 2;
            let (level, option) = if address.is_ipv6() {
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
            } else {
                (libc::IPPROTO_IP, libc::IP_TOS)
            };
            improve(socket.as_fd(), level, option, value);
        }
    }

    /// Asks for kernel timestamps. True if `flags` are in force.
    fn set_timestamping(&mut self, socket: BorrowedFd<'_>, flags: u32) -> bool {
        let set = |option, value| improve(socket, libc::SOL_SOCKET, option, value);
        if self.stamping == Stamping::Full {
            if set(SO_SELECT_ERR_QUEUE, 1) && set(libc::SO_TIMESTAMPING, flags as i32) {
                return true;
            }
            self.stamping = Stamping::ReceiveOnly;
        }
        let _ = set(libc::SO_TIMESTAMPNS, 1) || set(libc::SO_TIMESTAMP, 1);
        false
    }

    /// Closes a socket.
    pub fn close(&mut self, id: SocketId) {
        self.entries.remove(&id);
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// The kernel's refusal, or there is no such socket.
    pub fn send(
        &mut self,
        id: SocketId,
        to: SocketAddr,
        from: Option<IpAddr>,
        bytes: &Bytes,
        token: Option<Token>,
    ) -> io::Result<()> {
        let stamping = self.stamping;
        let entry = self.entries.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let address = Address::Ip(to);
        let by_datagram = token.is_some() && !entry.stamps_all && stamping == Stamping::Full;
        let how = Sending {
            to: entry.connected.is_none().then_some(&address),
            from: from.map(|local| (local, interface(to, entry.link_local))),
            timestamping: by_datagram.then_some(timestamping::TX_SOFTWARE),
        };
        send(entry.descriptor.fd().as_fd(), &how, bytes)?;
        if let Some(token) = token.filter(|_| stamping == Stamping::Full) {
            if entry.awaited.len() == MAX_AWAITED {
                entry.awaited.pop_front();
            }
            entry.awaited.push_back((token, bytes.clone()));
        }
        Ok(())
    }

    /// Reads a batch from one queue of a socket into `batch`; false when it is empty (or the socket is gone).
    pub fn receive(&self, id: SocketId, queue: Queue, batch: &mut Batch) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            return false;
        };
        // An ICMP error is reported instead of data, once, and there may be data behind it. An error that stays
        // must not keep us busy.
        for _ in 0..MAX_ERRORS {
            match batch.receive(entry.descriptor.fd().as_fd(), queue) {
                Ok(count) => return count > 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {}
            }
        }
        false
    }

    /// What a datagram of a batch means. `now` is our own reading, for those without a kernel timestamp.
    pub fn arrival<'a>(
        &mut self,
        id: SocketId,
        queue: Queue,
        received: &Received<'a>,
        now: Raw,
    ) -> Option<Arrival<'a>> {
        let kernel = received
            .info
            .stamp
            .filter(|&stamp| (stamp - now).abs() <= MAX_DISTANCE);
        if queue == Queue::Data && received.info.stamp.is_none() {
            self.keep_timestamps_on();
        }
        let entry = self.entries.get_mut(&id)?;
        if queue == Queue::Error {
            // The data are a frame with all its headers; the payload is what we sent.
            let tx = Stamp::new(kernel?, Origin::Kernel);
            let frame = received.bytes;
            let place = entry
                .awaited
                .iter()
                .position(|(_, sent)| frame.len() >= sent.len() + MIN_HEADERS && frame.ends_with(sent))?;
            let (token, _) = entry.awaited.remove(place).filter(|_| received.info.sent)?;
            return Some(Arrival::Sent { token, tx });
        }
        let from = match (&received.from, entry.connected) {
            (Some(Address::Ip(from)), _) => *from,
            (_, Some(remote)) => remote,
            _ => return None,
        };
        if let IpAddr::V4(v4) = from.ip()
            && v4.is_link_local()
        {
            entry.link_local = Some((v4, received.info.interface));
        }
        let rx = match kernel {
            Some(at) => Stamp::new(at, Origin::Kernel),
            None => Stamp::new(now, Origin::Daemon),
        };
        Some(Arrival::Datagram {
            from: without_scope(from),
            to: received.info.to,
            bytes: received.bytes,
            rx,
        })
    }

    /// Stamping is switched on for the whole machine with the first socket that asks for it, and off with the
    /// last; a packet that comes just then has none.
    fn keep_timestamps_on(&mut self) {
        if self.keeper.is_none() && self.stamping == Stamping::Full {
            let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
            let socket = options::new(&any, None).ok();
            if let Some(socket) = &socket {
                self.set_timestamping(socket.as_fd(), RX_FLAGS | timestamping::TX_SOFTWARE);
            }
            self.keeper = socket;
        }
    }
}

/// Only link-local addresses need their scope; everywhere else it would make equal addresses differ.
fn without_scope(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if !v6.ip().is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0))
        }
        other => other,
    }
}

/// The interface that a reply has to take: none in particular unless the address is link-local.
fn interface(to: SocketAddr, link_local: Option<(Ipv4Addr, u32)>) -> u32 {
    match to {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => v6.scope_id(),
        SocketAddr::V6(_) => 0,
        SocketAddr::V4(v4) => link_local
            .filter(|(peer, _)| peer == v4.ip())
            .map_or(0, |(_, index)| index),
    }
}
