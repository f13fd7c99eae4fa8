//! The engine's sockets: NTP client and server.

mod group;

use super::departures::{Departure, Departures, Flags, NO_NUMBERS};
use super::hardware::{Frames, Hardware};
use super::options::{self, SO_SELECT_ERR_QUEUE, Settings, improve};
use super::watch::{Descriptor, Key, Wakes};
use super::workers::Pool;
use crate::logs;
use crate::sys::address::Address;
use crate::sys::socket::{Batch, Queue, Received, Sending, Stamping, send, timestamping};
use bytes::Bytes;
use socket2::{SockAddr, Socket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use truechimer_engine::io::{HardwareStamp, Origin, Role, SocketId, SocketSpec, Stamp, Token};
use truechimer_engine::time::{PhcReading, Raw};

const RX_FLAGS: u32 = timestamping::SOFTWARE | timestamping::RX_SOFTWARE;
/// Only of a card it matters which interface a datagram has left through. To say so with each is not for nothing.
const RX_HARDWARE: u32 = timestamping::RAW_HARDWARE | timestamping::RX_HARDWARE | timestamping::OPT_CMSG;
/// What newer kernels have.
const HARDWARE_EXTRAS: u32 = timestamping::OPT_PKTINFO | timestamping::OPT_TX_SWHW;
/// Errors of one socket after which it is left alone until something new is announced.
const MAX_ERRORS: usize = 4;
/// A kernel timestamp further away (s) from our own reading is not to be believed.
const MAX_DISTANCE: f64 = 1.0;
/// Receive buffer of a server's socket, octets (the kernel takes twice as much): enough for 20 ms without a processor at
/// 100,000 requests a second, for each of which it counts 768. Not more, as a server that can't keep up answers late,
/// and what waits for long is in no cache any more.
const SERVER_BUFFER: i32 = 1 << 20;

/// Where nothing is expected to listen.
const DISCARD_PORT: u16 = 9;

/// How receive timestamps are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// `SO_TIMESTAMPING`, for both directions.
    Full,
    /// It was refused once; receive timestamps by the older options.
    ReceiveOnly,
}

#[derive(Debug)]
struct Entry {
    descriptor: Descriptor,
    connected: Option<SocketAddr>,
    /// Workers have sockets with the same address, and get what comes in.
    shared: bool,
    /// Whoever waits for it is told when there is something to read.
    announced: bool,
    departures: Departures,
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
        /// When, by the network card.
        hardware: Option<HardwareStamp>,
    },
    /// A transmit timestamp of the network card.
    SentHardware {
        /// Of this datagram.
        token: Token,
        /// When it left.
        tx: HardwareStamp,
    },
    /// A transmit timestamp.
    Sent {
        /// Of this datagram.
        token: Token,
        /// When it left.
        tx: Stamp,
    },
}

/// A socket of the server, for a [`super::Responder`].
#[derive(Debug)]
pub struct Serving<'a> {
    /// The socket.
    pub fd: BorrowedFd<'a>,
    /// Replies whose transmit timestamps are awaited.
    pub departures: &'a mut Departures,
    /// What is needed to know timestamps of network cards.
    pub frames: &'a mut Frames,
}

/// All sockets that the engine asked for.
#[derive(Debug)]
pub struct NtpSockets {
    settings: Settings,
    stamping: Kind,
    /// Flags of `SO_TIMESTAMPING`.
    rx_flags: u32,
    tx_flags: u32,
    hardware: Hardware,
    frames: Frames,
    /// Datagrams of a socket that are numbered (`maxtxbuffers`).
    numbers: usize,
    wakes: Option<Wakes>,
    entries: BTreeMap<SocketId, Entry>,
    /// `serverthreads`
    pool: Option<Pool>,
    /// Keeps the kernel's receive timestamps switched on between our own sockets.
    keeper: Option<Socket>,
}

impl NtpSockets {
    /// No sockets yet.
    #[must_use]
    pub fn new(settings: Settings, hardware: Hardware, max_tx_buffers: u32) -> Self {
        let (mut rx_flags, mut tx_flags) = (RX_FLAGS, timestamping::TX_SOFTWARE);
        if !hardware.is_empty() {
            rx_flags |= RX_HARDWARE;
            tx_flags |= timestamping::TX_HARDWARE;
            if accepts(rx_flags | HARDWARE_EXTRAS) {
                rx_flags |= HARDWARE_EXTRAS;
            }
        }
        let mut numbers = max_tx_buffers as usize;
        if numbers > 0 && !takes_numbers() {
            logs::warning(NO_NUMBERS);
            numbers = 0;
        }
        if numbers > 0 {
            // Numbers are only taken by sockets that number.
            rx_flags |= timestamping::OPT_ID;
        }
        let frames = hardware.frames();
        Self {
            settings,
            stamping: Kind::Full,
            rx_flags,
            tx_flags,
            hardware,
            frames,
            numbers,
            wakes: None,
            entries: BTreeMap::new(),
            pool: None,
            keeper: None,
        }
    }

    /// Reads the clock of a network card, and the speed of its link (Mbit/s).
    pub fn read_phc(&mut self, interface: u32) -> (Vec<PhcReading>, Option<u32>) {
        self.hardware.read(interface)
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
        let mut stamps_all = false;
        let mut connected = None;
        let mut group = Vec::new();
        let socket = match spec {
            SocketSpec::Client { remote, local } => {
                let socket = self.connect(*remote, *local)?;
                stamps_all = self.set_timestamping(socket.as_fd(), self.rx_flags | self.tx_flags);
                connected = Some(*remote);
                socket
            }
            SocketSpec::Bound { local, role } => {
                self.check_family(local)?;
                let settings = &self.settings;
                let device = match role {
                    Role::Client => &settings.client_device,
                    Role::Server | Role::Ptp => &settings.device,
                };
                let socket = settings.socket(local, device.as_deref())?;
                if *role == Role::Server {
                    group = self.group(id, local);
                }
                self.bind(&socket, local, *role != Role::Client)?;
                socket
            }
        };
        let mut descriptor = Descriptor::Plain(OwnedFd::from(socket));
        // One for a request is watched when that is sent: a watched one that is closed without is open until the loop
        // waits again, and `onoffline` opens many.
        if let Some(wakes) = self.wakes.as_ref().filter(|_| connected.is_none()) {
            descriptor = descriptor.watch(Key::Ntp(id), wakes)?;
        }
        let entry = Entry {
            descriptor,
            connected,
            shared: !group.is_empty(),
            announced: true,
            departures: self.departures(stamps_all),
            link_local: None,
        };
        self.entries.insert(id, entry);
        self.hand_to_workers(group);
        Ok(())
    }

    fn check_family(&self, address: &SocketAddr) -> io::Result<()> {
        if options::allows(self.settings.family, address) {
            Ok(())
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// A socket for a request, without timestamps.
    fn connect(&self, remote: SocketAddr, local: Option<IpAddr>) -> io::Result<Socket> {
        self.check_family(&remote)?;
        let socket = options::new(&remote, self.settings.client_device.as_deref())?;
        self.set_dscp(&socket, &remote);
        if let Some(local) = local {
            options::bind(&socket, &SocketAddr::new(local, 0))?;
        }
        socket.connect(&SockAddr::from(remote))?;
        Ok(socket)
    }

    /// True if a socket for requests from `local` can be connected to `remote`. Nothing is sent.
    #[must_use]
    pub fn reaches(&self, remote: SocketAddr, local: Option<IpAddr>) -> bool {
        self.connect(remote, local).is_ok()
    }

    /// Sets the options of an unconnected socket and binds it.
    fn bind(&mut self, socket: &Socket, local: &SocketAddr, server: bool) -> io::Result<()> {
        self.set_dscp(socket, local);
        self.set_timestamping(socket.as_fd(), self.rx_flags);
        if server {
            let set = |option| improve(socket.as_fd(), libc::SOL_SOCKET, option, SERVER_BUFFER);
            // The first needs a capability that goes beyond the system's limit.
            let _ = set(libc::SO_RCVBUFFORCE) || set(libc::SO_RCVBUF);
            improve(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BROADCAST, 1);
            // Packets get their "don't fragment" bit as ever, but no number for fragments, which would be
            // counted in a table by destination: with many clients that is a quarter of what sending takes.
            let (option, probe) = (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
            improve(socket.as_fd(), libc::IPPROTO_IP, option, probe);
        }
        options::bind(socket, local)
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
        if self.stamping == Kind::Full {
            if set(SO_SELECT_ERR_QUEUE, 1) && set(libc::SO_TIMESTAMPING, flags as i32) {
                return true;
            }
            self.stamping = Kind::ReceiveOnly;
        }
        let _ = set(libc::SO_TIMESTAMPNS, 1) || set(libc::SO_TIMESTAMP, 1);
        false
    }

    /// Closes a socket.
    pub fn close(&mut self, id: SocketId) {
        let entry = self.entries.remove(&id);
        if let Some(pool) = self
            .pool
            .as_mut()
            .filter(|_| entry.is_some_and(|entry| entry.shared))
        {
            pool.close(id);
        }
    }

    /// Watches a socket that was opened for a request, if it is not watched yet.
    fn watch_for_reply(&mut self, id: SocketId) -> io::Result<()> {
        if let Some(wakes) = &self.wakes
            && let Entry {
                descriptor: Descriptor::Plain(_),
                ..
            } = self.entries.get(&id).ok_or(io::ErrorKind::NotFound)?
            && let Some(mut entry) = self.entries.remove(&id)
        {
            entry.descriptor = entry.descriptor.watch(Key::Ntp(id), wakes)?;
            self.entries.insert(id, entry);
        }
        Ok(())
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
        self.watch_for_reply(id)?;
        let entry = self.entries.get_mut(&id).ok_or(io::ErrorKind::NotFound)?;
        let address = Address::Ip(to);
        let heard = entry.link_local.filter(|(peer, _)| to.ip() == *peer);
        let heard = heard.map_or(0, |(_, index)| index);
        let how = Sending {
            to: entry.connected.is_none().then_some(&address),
            from: from.map(|local| (local, interface(&to, heard))),
            stamping: entry.departures.stamping(token.is_some()),
        };
        send(entry.descriptor.fd().as_fd(), &how, bytes)?;
        if let Some(token) = token {
            entry.departures.note(token, bytes);
        }
        Ok(())
    }

    /// What a [`super::Responder`] needs of a socket.
    pub fn serving(&mut self, id: SocketId) -> Option<Serving<'_>> {
        let entry = self.entries.get_mut(&id)?;
        Some(Serving {
            fd: entry.descriptor.fd().as_fd(),
            departures: &mut entry.departures,
            frames: &mut self.frames,
        })
    }

    /// What is known of frames of network cards.
    #[must_use]
    pub const fn frames(&self) -> &Frames {
        &self.frames
    }

    /// True if network cards take timestamps.
    #[must_use]
    pub const fn has_cards(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Transmit timestamps of a new socket; `all`: it asks for those of all datagrams.
    fn departures(&self, all: bool) -> Departures {
        let flags = Flags {
            socket: self.rx_flags,
            transmit: self.tx_flags,
        };
        let flags = (self.stamping == Kind::Full).then_some(flags);
        Departures::new(flags, all, self.numbers)
    }

    /// Stops or resumes the announcements of a socket; false if that is not possible now.
    pub fn announce(&mut self, id: SocketId, announced: bool) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else {
            return true;
        };
        if entry.announced != announced && entry.descriptor.set_watched(announced) {
            entry.announced = announced;
        }
        entry.announced == announced
    }

    /// True, once, if something was announced on the error queue of this socket.
    pub fn take_errors(&self, id: SocketId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.descriptor.take_errors())
    }

    /// Reads a batch from one queue of a socket into `batch`; false when it is empty (or the socket is gone).
    pub fn receive(&self, id: SocketId, queue: Queue, batch: &mut Batch) -> bool {
        let Some(entry) = self.entries.get(&id) else {
            return false;
        };
        take(|| batch.receive(entry.descriptor.fd().as_fd(), queue))
    }

    /// What a datagram of a batch means. `now` is our own reading, for those without a kernel timestamp.
    pub fn arrival<'a>(
        &mut self,
        id: SocketId,
        queue: Queue,
        received: &Received<'a>,
        now: Raw,
    ) -> Option<Arrival<'a>> {
        let kernel = near(received.info.stamp, now);
        if queue == Queue::Data && received.info.stamp.is_none() {
            self.keep_timestamps_on();
        }
        let entry = self.entries.get_mut(&id)?;
        if queue == Queue::Error {
            let (token, departure) =
                entry
                    .departures
                    .find(&received.info, received.bytes, &mut self.frames)?;
            return match departure {
                Departure::Kernel(_) => Some(Arrival::Sent {
                    token,
                    tx: Stamp::new(kernel?, Origin::Kernel),
                }),
                Departure::Card(tx) => Some(Arrival::SentHardware { token, tx }),
            };
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
        let rx = receive_stamp(kernel, now);
        let hardware = self
            .frames
            .received(&received.info, from.is_ipv6(), received.bytes.len());
        Some(Arrival::Datagram {
            from: without_scope(from),
            to: received.info.to,
            bytes: received.bytes,
            rx,
            hardware,
        })
    }

    /// Stamping is switched on for the whole machine with the first socket that asks for it, and off with the
    /// last; a packet that comes just then has none.
    pub fn keep_timestamps_on(&mut self) {
        if self.keeper.is_none() && self.stamping == Kind::Full {
            let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
            let socket = options::new(&any, None).ok();
            if let Some(socket) = &socket {
                self.set_timestamping(socket.as_fd(), self.rx_flags | self.tx_flags);
            }
            self.keeper = socket;
        }
    }
}

/// Takes a batch from a queue by `receive`; false when it is empty. An ICMP error is reported instead of data, once, and
/// there may be data behind it. An error that stays must not keep us busy.
pub(super) fn take(mut receive: impl FnMut() -> io::Result<usize>) -> bool {
    for _ in 0..MAX_ERRORS {
        match receive() {
            Ok(count) => return count > 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => {}
        }
    }
    false
}

/// A kernel's timestamp, if it can be believed.
pub(super) fn near(kernel: Option<Raw>, now: Raw) -> Option<Raw> {
    kernel.filter(|&stamp| (stamp - now).abs() <= MAX_DISTANCE)
}

/// The receive time of a datagram: the kernel's, if that is [`near`], or ours.
pub(super) fn receive_stamp(near: Option<Raw>, now: Raw) -> Stamp {
    match near {
        Some(at) => Stamp::new(at, Origin::Kernel),
        None => Stamp::new(now, Origin::Daemon),
    }
}

/// True if the kernel takes these flags.
fn accepts(flags: u32) -> bool {
    let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
    let socket = options::new(&any, None);
    socket.is_ok_and(|s| improve(s.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as i32))
}

/// True if the kernel takes numbers for transmit timestamps. It looks at a control message before anything else, so the
/// datagram need not be able to leave.
fn takes_numbers() -> bool {
    let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
    let nowhere = Address::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, DISCARD_PORT)));
    let how = Sending {
        to: Some(&nowhere),
        from: None,
        stamping: Some(Stamping {
            flags: Some(timestamping::TX_SOFTWARE),
            id: Some(0),
        }),
    };
    let flags = timestamping::SOFTWARE | timestamping::OPT_ID;
    options::new(&any, None).is_ok_and(|socket| {
        improve(
            socket.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            flags as i32,
        ) && !send(socket.as_fd(), &how, &[]).is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput)
    })
}

/// Only link-local addresses need their scope; everywhere else it would make equal addresses differ.
pub(super) fn without_scope(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if !v6.ip().is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0))
        }
        other => other,
    }
}

/// The interface that a reply has to take: none in particular unless its receiver's address is link-local. `v4` is where
/// a receiver with such an IPv4 address was heard.
pub(super) fn interface(to: &SocketAddr, v4: u32) -> u32 {
    match to {
        SocketAddr::V6(to) if to.ip().is_unicast_link_local() => to.scope_id(),
        SocketAddr::V4(to) if to.ip().is_link_local() => v4,
        _ => 0,
    }
}
