//! Watching the datagrams that pass the interfaces of a network namespace.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Namespace;
use crate::wait::{LIMIT, uninterrupted, until};

/// All protocols, as packet sockets have it: in network order.
const ALL: i32 = 0x0003_u16.to_be() as i32;
/// Ethernet header.
const LINK: usize = 14;
/// UDP header.
const UDP: usize = 8;
const IS_UDP: u8 = 17;

/// A UDP datagram that passed an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// Link address of the sender's interface.
    pub link: [u8; 6],
    /// Type of service (IPv4), traffic class (IPv6).
    pub class: u8,
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Payload.
    pub bytes: Vec<u8>,
}

/// All that passes the interfaces of a namespace from now on, in both directions.
#[derive(Debug)]
pub struct Wire(Socket);

impl Wire {
    /// Begins to watch.
    #[must_use]
    pub fn new(namespace: &Namespace) -> Self {
        let open = || Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)));
        let socket = namespace.enter(open).expect("a packet socket (needs root)");
        let step = Some(Duration::from_millis(20));
        socket.set_read_timeout(step).expect("a time-out");
        Self(socket)
    }

    /// The next UDP datagram that has come; none after a moment without one.
    fn next(&mut self) -> Option<Datagram> {
        let mut frame = [0; 2048];
        loop {
            match uninterrupted(|| self.0.read(&mut frame)) {
                Ok(length) => {
                    if let Some(datagram) = parse(&frame[..length]) {
                        return Some(datagram);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => panic!("could not read a packet socket: {error}"),
            }
        }
    }

    /// Waits for the next datagram that `wanted` likes; others before it are lost.
    ///
    /// # Panics
    /// When none comes.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Datagram) -> bool) -> Datagram {
        until(LIMIT, what, || {
            while let Some(datagram) = self.next() {
                if wanted(&datagram) {
                    return Some(datagram);
                }
            }
            None
        })
    }

    /// All datagrams that have come.
    pub fn seen(&mut self) -> Vec<Datagram> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// An unfragmented UDP datagram without IPv6 extension headers; none: something else.
fn parse(frame: &[u8]) -> Option<Datagram> {
    let link = frame.get(6..12)?.try_into().ok()?;
    let ip = frame.get(LINK..)?;
    let (class, from, to, udp): (u8, IpAddr, IpAddr, &[u8]) = match frame[12..LINK] {
        [0x08, 0x00] if *ip.get(9)? == IS_UDP => {
            let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
            let header = usize::from(ip[0] & 0xf) * 4;
            (ip[1], address(12)?.into(), address(16)?.into(), ip.get(header..)?)
        }
        [0x86, 0xdd] if *ip.get(6)? == IS_UDP => {
            let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?));
            let class = ip[0] << 4 | ip[1] >> 4;
            (class, address(8)?.into(), address(24)?.into(), ip.get(40..)?)
        }
        _ => return None,
    };
    let number = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    let length = usize::from(number(4)?);
    Some(Datagram {
        link,
        class,
        from: SocketAddr::new(from, number(0)?),
        to: SocketAddr::new(to, number(2)?),
        bytes: udp.get(UDP..length)?.to_vec(),
    })
}
