//! Making UDP sockets (`spec/ntp.md` 8.2).

use super::inherited::{Inherited, is_bound};
use crate::sys::socket::set_option;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use truechimer_engine::config::{AddressFamily, NetworkConfig};

/// `SO_SELECT_ERR_QUEUE`: looped-back datagrams wake whoever waits for the socket.
pub(super) const SO_SELECT_ERR_QUEUE: i32 = 45;

/// True if the address is of a family that may be used.
pub(super) const fn allows(family: AddressFamily, address: &SocketAddr) -> bool {
    match family {
        AddressFamily::Any => true,
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
    }
}

/// What the configuration says about all sockets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `-4`, `-6`
    pub family: AddressFamily,
    /// `dscp`
    pub dscp: u8,
    /// `binddevice`
    pub device: Option<String>,
    /// `bindacqdevice`
    pub client_device: Option<String>,
    /// `bindcmddevice`
    pub command_device: Option<String>,
    /// `LISTEN_FDS`
    pub inherited: Arc<Inherited>,
}

impl Settings {
    /// Takes what is needed from the configuration.
    #[must_use]
    pub fn new(config: &NetworkConfig, family: AddressFamily, inherited: Inherited) -> Self {
        Self {
            family,
            dscp: config.dscp,
            device: config.bind_device.clone(),
            client_device: config.bind_acq_device.clone(),
            command_device: config.bind_cmd_device.clone(),
            inherited: Arc::new(inherited),
        }
    }

    /// A UDP socket to be bound to `address`: the inherited one that already is, or a new one.
    pub(super) fn socket(&self, address: &SocketAddr, device: Option<&str>) -> io::Result<Socket> {
        match self.inherited.find(address) {
            Some(socket) => prepare(socket, address, device),
            None => new(address, device),
        }
    }
}

/// An option that only makes things better: a kernel or simulator that lacks it is no reason to give up.
pub(super) fn improve(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> bool {
    set_option(socket, level, option, value).is_ok()
}

/// A UDP socket of the family of `address`: non-blocking, closed at exec, IPv6 only if it is IPv6, with packet
/// information.
pub(super) fn new(address: &SocketAddr, device: Option<&str>) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(*address), kind, Some(Protocol::UDP))?;
    prepare(socket, address, device)
}

fn prepare(socket: Socket, address: &SocketAddr, device: Option<&str>) -> io::Result<Socket> {
    if address.is_ipv6() {
        improve(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1);
        improve(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1);
    } else {
        improve(socket.as_fd(), libc::IPPROTO_IP, libc::IP_PKTINFO, 1);
    }
    if let Some(device) = device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(socket)
}

/// Binds, if there is anything to bind to and that isn't done. An address that no interface has (yet) is no error.
pub(super) fn bind(socket: &Socket, address: &SocketAddr) -> io::Result<()> {
    if address.port() == 0 && address.ip().is_unspecified() || is_bound(socket, address) {
        return Ok(());
    }
    let fd = socket.as_fd();
    if address.port() != 0 {
        improve(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
        improve(fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    }
    // The option of IPv4 works for IPv6 sockets as well.
    improve(fd, libc::IPPROTO_IP, libc::IP_FREEBIND, 1);
    socket.bind(&SockAddr::from(*address))
}
