//! The sockets that commands come in on (`spec/command-protocol.md` section 1).

use super::options::{self, Settings};
use super::watch::{Descriptor, Key, Wakes};
use crate::logs;
use crate::privilege::{RunUser, check_socket_directory};
use crate::sys::address::Address;
use crate::sys::socket::{Batch, Queue, Received, Sending, send};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use truechimer_engine::io::Peer;

/// Which command sockets there are to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CommandSpec {
    /// Path of the Unix socket.
    pub unix: Option<String>,
    /// IPv4.
    pub v4: Option<SocketAddr>,
    /// IPv6.
    pub v6: Option<SocketAddr>,
}

/// The command sockets.
#[derive(Debug, Default)]
pub struct CommandSockets {
    unix: Option<(String, Descriptor)>,
    v4: Option<Descriptor>,
    v6: Option<Descriptor>,
}

impl CommandSockets {
    /// Opens the UDP sockets (as root). One that can't be opened is logged and missing.
    #[must_use]
    pub fn open_udp(spec: &CommandSpec, settings: &Settings) -> Self {
        let open = |address: Option<SocketAddr>| {
            let address = address.filter(|address| options::allows(settings.family, address))?;
            let opened = settings
                .socket(&address, settings.command_device.as_deref())
                .and_then(|socket| {
                    options::bind(&socket, &address)?;
                    Ok(Descriptor::Plain(OwnedFd::from(socket)))
                });
            if opened.is_err() {
                logs::error(format_args!("Could not open command socket on {address}"));
            }
            opened.ok()
        };
        Self {
            unix: None,
            v4: open(spec.v4),
            v6: open(spec.v6),
        }
    }

    /// True if only the daemon's user can get at the directory of the Unix socket; if not, that is logged.
    /// To be asked before privileges are dropped, as the directory may be out of sight afterwards.
    #[must_use]
    pub fn is_directory_safe(path: &str, user: &RunUser) -> bool {
        let directory = Path::new(path).parent().unwrap_or_else(|| Path::new("/"));
        let checked = check_socket_directory(directory, user);
        if let Err(error) = &checked {
            logs::error(error);
            logs::warning(format_args!("Disabled command socket {path}"));
        }
        checked.is_ok()
    }

    /// Opens the Unix socket (as the daemon's user), in place of whatever has its name. It must be the first
    /// Unix socket that is bound.
    pub fn open_unix(&mut self, path: &str) {
        let _ = std::fs::remove_file(path);
        let opened = UnixDatagram::bind(path).and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(Descriptor::Plain(OwnedFd::from(socket)))
        });
        match opened {
            Ok(descriptor) => self.unix = Some((path.to_owned(), descriptor)),
            Err(_) => logs::error(format_args!("Could not open command socket on {path}")),
        }
    }

    /// Watches the sockets. To be called within the runtime.
    ///
    /// # Errors
    /// A socket can't be watched.
    pub fn start(&mut self, wakes: &Wakes) -> io::Result<()> {
        if let Some((path, descriptor)) = self.unix.take() {
            self.unix = Some((path, descriptor.watch(Key::CommandUnix, wakes)?));
        }
        for (place, key) in [(&mut self.v4, Key::CommandV4), (&mut self.v6, Key::CommandV6)] {
            if let Some(descriptor) = place.take() {
                *place = Some(descriptor.watch(key, wakes)?);
            }
        }
        Ok(())
    }

    /// True if none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unix.is_none() && self.v4.is_none() && self.v6.is_none()
    }

    fn descriptor(&self, key: Key) -> Option<&Descriptor> {
        match key {
            Key::CommandUnix => self.unix.as_ref().map(|(_, descriptor)| descriptor),
            Key::CommandV4 => self.v4.as_ref(),
            Key::CommandV6 => self.v6.as_ref(),
            Key::Ntp(_) | Key::Server | Key::Resolver | Key::Signer => None,
        }
    }

    /// Reads a batch; false when there is nothing.
    pub fn receive(&self, key: Key, batch: &mut Batch) -> bool {
        self.descriptor(key)
            .is_some_and(|descriptor| batch.receive(descriptor.fd().as_fd(), Queue::Data).is_ok())
    }

    /// Who sent a command; `None` if no reply could reach it.
    #[must_use]
    pub fn peer(received: &Received<'_>) -> Option<Peer> {
        match received.from.as_ref()? {
            Address::Unix(path) => Some(Peer::Unix(path.clone())),
            Address::Ip(remote) => Some(Peer::Udp {
                remote: *remote,
                local: received.info.to,
            }),
        }
    }

    /// Sends a reply. A client that is gone, or doesn't read, gets none.
    pub fn reply(&self, to: &Peer, bytes: &[u8]) {
        let (key, address, from) = match to {
            Peer::Unix(path) => (Key::CommandUnix, Address::Unix(path.clone()), None),
            Peer::Udp { remote, local } => {
                let (key, scope) = match remote {
                    SocketAddr::V4(_) => (Key::CommandV4, 0),
                    SocketAddr::V6(v6) => (Key::CommandV6, v6.scope_id()),
                };
                (key, Address::Ip(*remote), local.map(|local| (local, scope)))
            }
        };
        if let Some(descriptor) = self.descriptor(key) {
            let how = Sending {
                to: Some(&address),
                from,
                stamping: None,
            };
            let _ = send(descriptor.fd().as_fd(), &how, bytes);
        }
    }

    /// Removes the Unix socket's name.
    pub fn close(&mut self) {
        if let Some((path, _)) = self.unix.take() {
            let _ = std::fs::remove_file(path);
        }
        self.v4 = None;
        self.v6 = None;
    }
}
