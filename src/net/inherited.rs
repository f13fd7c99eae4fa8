//! Sockets that whoever started us had opened for us (`LISTEN_FDS`, `spec/config.md` 6.5).

use crate::logs;
use crate::sys::process::adopt;
use socket2::{Socket, Type};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

const FIRST: i32 = 3;
/// Descriptors from this on would not outlive going into the background.
const END: i32 = 1024;

/// The sockets, open until the end of the daemon.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Socket>);

impl Inherited {
    /// Takes the sockets over. `count` is `LISTEN_FDS`; what is no number is 0. `except` belongs to somebody
    /// else. To be called once, before anything is opened.
    #[must_use]
    pub fn take(count: Option<&OsStr>, except: Option<i32>) -> Self {
        let count = count.and_then(OsStr::to_str);
        let count = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        let end = FIRST.saturating_add(count).min(END);
        let numbers = (FIRST..end).filter(|&number| Some(number) != except);
        Self(numbers.filter_map(adopt).map(Socket::from).collect())
    }

    /// Their numbers.
    #[must_use]
    pub fn descriptors(&self) -> Vec<i32> {
        self.0.iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn bound(&self, address: &SocketAddr) -> Option<&Socket> {
        self.0.iter().find(|socket| {
            address.port() != 0
                && socket.r#type().is_ok_and(|kind| kind == Type::DGRAM)
                && is_bound(socket, address)
        })
    }

    /// True if there is a UDP socket bound to exactly this address.
    pub(super) fn has(&self, address: &SocketAddr) -> bool {
        self.bound(address).is_some()
    }

    /// A UDP socket bound to exactly this address, which must have a port; `None` if there is none.
    pub(super) fn find(&self, address: &SocketAddr) -> Option<Socket> {
        let bound = self.bound(address)?;
        // The caller may close its own.
        let socket = bound.try_clone().ok()?;
        socket.set_nonblocking(true).ok()?;
        if address.is_ipv6() && socket.only_v6().is_ok_and(|only| !only) {
            logs::warning("Reusable IPv6 socket missing IPV6_V6ONLY option");
        }
        Some(socket)
    }
}

/// True if the socket has this address and port.
pub(super) fn is_bound(socket: &Socket, address: &SocketAddr) -> bool {
    let local = socket.local_addr().ok().and_then(|local| local.as_socket());
    local.is_some_and(|local| (local.ip(), local.port()) == (address.ip(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn nothing_is_taken_without_a_number() {
        for count in ["", "x", "1x", "-1", "99999999999999999999"] {
            assert!(Inherited::take(Some(OsStr::new(count)), None).0.is_empty());
        }
        assert!(Inherited::take(None, None).descriptors().is_empty());
    }

    #[test]
    fn type_address_and_port_must_be_equal() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (ours, theirs) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let sockets = Inherited(vec![tcp.into(), udp.into()]);
        let found = sockets.find(&ours).unwrap();
        assert_eq!(found.local_addr().unwrap().as_socket(), Some(ours));
        assert_ne!(found.as_raw_fd(), sockets.descriptors()[1]);
        let any = SocketAddr::from(([0, 0, 0, 0], ours.port()));
        for other in [theirs, any, SocketAddr::from(([127, 0, 0, 1], 0))] {
            assert!(sockets.find(&other).is_none(), "{other}");
        }
    }
}
