//! The engine's inputs and outputs: the whole interface between thinking and doing.

use crate::event::{Event, record::Record};
use crate::time::{NtpTimestamp, PhcReading, PhcTime, Raw};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// A socket that the engine asked for; numbers are never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId(pub u32);

/// A name query; numbers are never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct QueryId(pub u32);

/// Marks a packet whose transmit timestamp is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Token {
    /// A request to a source, or a packet to a peer.
    Source(u64),
    /// A reply that has this receive timestamp.
    Reply(NtpTimestamp),
}

/// Who took a timestamp.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    /// We, after waking up.
    #[default]
    Daemon,
    /// The kernel's network stack.
    Kernel,
    /// The network card.
    Hardware,
}

impl Origin {
    /// The letter in logs and reports.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Daemon => 'D',
            Self::Kernel => 'K',
            Self::Hardware => 'H',
        }
    }
}

/// A timestamp of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stamp {
    /// When, by the kernel's clock.
    pub at: Raw,
    /// Uncertainty of the reading, s.
    pub error: f64,
    /// Who took it.
    pub origin: Origin,
    /// Time that the packet took to come in, s; 0: unknown. Only network cards tell.
    pub duration: f64,
    /// Delay in the network that is known, `duration` included, s; 0: unknown.
    pub correction: f64,
}

impl Stamp {
    /// An exact one, without any knowledge of the network.
    #[must_use]
    pub const fn new(at: Raw, origin: Origin) -> Self {
        Self {
            at,
            error: 0.0,
            origin,
            duration: 0.0,
            correction: 0.0,
        }
    }
}

/// A timestamp that a network card took of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HardwareStamp {
    /// Index of the interface.
    pub interface: u32,
    /// When, by the card's clock.
    pub at: PhcTime,
    /// Octets of the frame without its check sum; 0: unknown. Only of received ones.
    pub length: u32,
}

/// Which socket to open. All are UDP, non-blocking, with receive timestamps (`spec/ntp.md` section 8).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SocketSpec {
    /// For one request: connected to `remote`, from `local` if given.
    Client {
        /// Server's address.
        remote: SocketAddr,
        /// `bindacqaddress`.
        local: Option<IpAddr>,
    },
    /// Unconnected, bound to `local` (`port`, `ptpport`, `acquisitionport`). An IPv6 one takes IPv6 only.
    Bound {
        /// Address and port.
        local: SocketAddr,
        /// For whom.
        role: Role,
    },
}

/// What a bound socket is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Requests of ours (`acquisitionport`): `bindacqdevice`.
    Client,
    /// The server's clients (`port`): `SO_BROADCAST`, `binddevice`. Several threads may share it.
    Server,
    /// NTP in messages of PTP (`ptpport`), for requests of both sides: as the server's, but for one thread alone.
    Ptp,
}

/// Where a command came from, and where its reply goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Peer {
    /// The Unix socket: path of the client's socket, as bytes.
    Unix(Vec<u8>),
    /// UDP.
    Udp {
        /// Client's address.
        remote: SocketAddr,
        /// Our address that it was sent to, if known.
        local: Option<IpAddr>,
    },
}

/// Why a name has no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResolveError {
    /// May work later.
    #[error("temporary failure in name resolution")]
    Temporary,
    /// There is no usable address.
    #[error("no usable address")]
    NoAddress,
}

/// What happened outside.
#[derive(Debug)]
pub enum Input<'a> {
    /// `next_wakeup` was reached.
    Timeout,
    /// A datagram arrived.
    Datagram {
        /// On this socket.
        on: SocketId,
        /// From here.
        from: SocketAddr,
        /// To this address of ours, if known.
        to: Option<IpAddr>,
        /// Its payload.
        bytes: &'a [u8],
        /// When.
        rx: Stamp,
        /// When by the clock of the network card.
        hardware: Option<HardwareStamp>,
    },
    /// A transmit timestamp of the network card. Better than that of the kernel, which is not to be handed in then.
    SentHardware {
        /// The packet's mark.
        token: Token,
        /// When it left.
        tx: HardwareStamp,
    },
    /// The clock of a network card was read, because of [`Output::ReadPhc`] or `Engine::is_phc_due`.
    Phc {
        /// Index of the interface.
        interface: u32,
        /// What was read.
        readings: &'a [PhcReading],
        /// Speed of the link, Mbit/s, if known.
        speed: Option<u32>,
    },
    /// A better transmit timestamp of a packet sent with a token.
    Sent {
        /// The packet's mark.
        token: Token,
        /// When it left.
        tx: Stamp,
    },
    /// The packet that was to be sent last on this socket could not be sent.
    NotSent {
        /// The socket.
        on: SocketId,
    },
    /// A socket could not be opened.
    NotOpened {
        /// The socket.
        on: SocketId,
    },
    /// Answer to [`Output::Resolve`].
    Resolved {
        /// The query.
        query: QueryId,
        /// Addresses in the resolver's order.
        result: Result<Vec<IpAddr>, ResolveError>,
        /// Those of them that a socket like [`SocketSpec::Client`] cannot be connected to: there is no route. None of
        /// them is taken for a source (`spec/ntp.md` 2.16).
        unreachable: &'a [IpAddr],
    },
    /// Answer to [`Output::ReadTemperature`]: what the sensor says; `None` if it could not be read.
    Temperature(Option<f64>),
    /// Answer to [`Output::Sign`].
    Signed {
        /// From this socket.
        on: SocketId,
        /// To this client.
        to: SocketAddr,
        /// From this address of ours, if it matters.
        from: Option<IpAddr>,
        /// The signed reply.
        bytes: Bytes,
    },
    /// A datagram on a command socket.
    Command {
        /// From whom.
        from: Peer,
        /// Its payload.
        bytes: &'a [u8],
    },
}

/// A file that the engine wants written.
#[derive(Clone, Debug, PartialEq)]
pub enum FileJob {
    /// The drift file: frequency (ppm) and skew (ppm).
    Drift {
        /// Absolute frequency, ppm.
        frequency: f64,
        /// Skew, ppm.
        skew: f64,
    },
    /// A dump of a source's history: file name below `dumpdir`; `None` removes the file.
    Dump {
        /// For example `192.0.2.1.dat`.
        name: String,
        /// Contents.
        text: Option<String>,
    },
    /// Close the log files, so that they are opened again at the next line (`cyclelogs`).
    CycleLogs,
}

/// A mail about a large correction of the clock (`mailonchange`).
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// Recipient.
    pub to: String,
    /// What the clock is corrected by, s; positive: forward.
    pub adjustment: f64,
    /// What it had to exceed, s.
    pub threshold: f64,
}

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a socket.
    Open {
        /// Its number from now on.
        socket: SocketId,
        /// Which.
        spec: SocketSpec,
    },
    /// Close a socket.
    Close(SocketId),
    /// Send a datagram.
    Send {
        /// From this socket.
        on: SocketId,
        /// To here (also for a connected socket).
        to: SocketAddr,
        /// From this address of ours (`IP_PKTINFO`), if it matters.
        from: Option<IpAddr>,
        /// Payload.
        bytes: Bytes,
        /// If its transmit timestamp is wanted.
        token: Option<Token>,
    },
    /// Have a reply signed by the MS-SNTP signing daemon (`ntpsigndsocket`): [`Input::Signed`].
    Sign {
        /// From this socket.
        on: SocketId,
        /// To here.
        to: SocketAddr,
        /// From this address of ours, if it matters.
        from: Option<IpAddr>,
        /// Key of the client's account.
        key: u32,
        /// The reply, unsigned.
        bytes: Bytes,
    },
    /// Look a name up.
    Resolve {
        /// The query.
        query: QueryId,
        /// The name.
        name: String,
    },
    /// Read the first number of this file, which is a thermometer (`tempcomp`).
    ReadTemperature(String),
    /// Send a mail (`mailonchange`).
    Mail(Mail),
    /// Read the clock of the network card of this interface: [`Input::Phc`].
    ReadPhc {
        /// Index of the interface.
        interface: u32,
    },
    /// Write a file.
    Save(FileJob),
    /// Answer a command.
    Reply {
        /// To whom.
        to: Peer,
        /// Payload.
        bytes: Bytes,
    },
    /// A message for the message log.
    Log(Event),
    /// A line for a log file.
    Record(Record),
    /// Read the `sourcedir` files again and hand them to the engine.
    ReloadSources,
    /// Read the key file again and hand it to the engine.
    Rekey,
    /// End the daemon with this exit status, in good order.
    Exit(u8),
}
