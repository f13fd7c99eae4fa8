//! Addresses of servers and sockets to them.

use super::unix::UnixClient;
use crate::names::Names;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Where a daemon listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Server {
    /// Unix socket.
    Unix(PathBuf),
    /// UDP.
    Udp(SocketAddr),
}

/// The servers of a comma-separated list; names that mean nothing are left out.
pub(crate) fn servers(list: &str, port: u16, names: &Names) -> Vec<Server> {
    let udp = |name| {
        names
            .addresses(name)
            .into_iter()
            .map(|ip| Server::Udp(SocketAddr::new(ip, port)))
    };
    list.split(',')
        .filter(|item| !item.is_empty())
        .flat_map(|item| match item.starts_with('/') {
            true => vec![Server::Unix(PathBuf::from(item))],
            false => udp(item).collect(),
        })
        .collect()
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Udp(address) => address.fmt(f),
        }
    }
}

impl Server {
    /// A socket connected to the server. `letters` makes its name unlike others.
    pub(super) fn open(&self, letters: [u8; 16]) -> Option<Socket> {
        match self {
            Self::Unix(path) => UnixClient::open(Path::new(path), letters).map(Socket::Unix),
            Self::Udp(address) => {
                let any: IpAddr = match address {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0)).ok()?;
                socket.connect(address).ok()?;
                Some(Socket::Udp(socket))
            }
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixClient),
    Udp(UdpSocket),
}

impl Socket {
    pub(super) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(client) => client.socket.send(bytes),
            Self::Udp(socket) => socket.send(bytes),
        }
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(client) => client.socket.recv(buffer),
            Self::Udp(socket) => socket.recv(buffer),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(client) => client.socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Family;

    #[test]
    fn lists_mix_paths_and_addresses() {
        let all = servers("/run/x,127.0.0.1,,::1", 323, &Names::default());
        assert_eq!(
            all,
            [
                Server::Unix("/run/x".into()),
                Server::Udp("127.0.0.1:323".parse().unwrap()),
                Server::Udp("[::1]:323".parse().unwrap())
            ]
        );
        let names = Names {
            family: Family::V6,
            ..Names::default()
        };
        assert_eq!(
            servers("127.0.0.1,::1", 5, &names),
            [Server::Udp("[::1]:5".parse().unwrap())]
        );
    }
}
