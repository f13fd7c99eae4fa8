//! One small task for each socket says when there is something to read; the reading is done by the main loop,
//! which owns the engine.

use crate::sys;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use truechimer_engine::io::{QueryId, ResolveError, SocketId};

/// A socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Key {
    /// One of the engine's.
    Ntp(SocketId),
    /// The Unix socket for commands.
    CommandUnix,
    /// The UDP socket for commands, IPv4.
    CommandV4,
    /// The UDP socket for commands, IPv6.
    CommandV6,
    /// The process that looks names up.
    Resolver,
    /// The MS-SNTP signing daemon.
    Signer,
}

/// Why the main loop wakes up, apart from timers and signals.
#[derive(Debug)]
pub enum Wake {
    /// A signal to end.
    Stop,
    /// Something to read, or a transmit timestamp.
    Socket(Key),
    /// A name was looked up.
    Resolved(QueryId, Result<Vec<std::net::IpAddr>, ResolveError>),
}

/// The queue of wake-ups.
#[derive(Clone, Debug)]
pub struct Wakes(UnboundedSender<Wake>);

impl Wakes {
    /// A queue and its reading end.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Wake>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Queues a wake-up; when the loop has ended it doesn't matter.
    pub fn push(&self, wake: Wake) {
        let _ = self.0.send(wake);
    }
}

/// A socket being watched; ends with this.
#[derive(Debug)]
pub(super) struct Watch {
    fd: Arc<AsyncFd<OwnedFd>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// To be called within the runtime.
    pub(super) fn new(fd: OwnedFd, key: Key, wakes: Wakes) -> std::io::Result<Self> {
        // Error: transmit timestamps.
        let fd = Arc::new(sys::watch::descriptor(fd, Interest::READABLE | Interest::ERROR)?);
        let watched = fd.clone();
        let task = tokio::spawn(async move {
            while let Ok(mut guard) = watched.ready(Interest::READABLE | Interest::ERROR).await {
                // Cleared before reading: what arrives meanwhile is announced again, and the loop reads until
                // nothing is left.
                let ended = guard.ready().is_read_closed();
                guard.clear_ready();
                wakes.push(Wake::Socket(key));
                // That the other side has gone is not cleared, and nothing comes any more.
                if ended {
                    return;
                }
            }
        });
        Ok(Self { fd, task })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        self.fd.get_ref()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket before and after the runtime has started.
#[derive(Debug)]
pub(super) enum Descriptor {
    /// Opened at start, with privileges.
    Plain(OwnedFd),
    /// Watched.
    Watched(Watch),
}

impl Descriptor {
    pub(super) fn fd(&self) -> &OwnedFd {
        match self {
            Self::Plain(fd) => fd,
            Self::Watched(watch) => watch.fd(),
        }
    }

    /// Watched from now on.
    pub(super) fn watch(self, key: Key, wakes: &Wakes) -> std::io::Result<Self> {
        match self {
            Self::Plain(fd) => Ok(Self::Watched(Watch::new(fd, key, wakes.clone())?)),
            watched @ Self::Watched(_) => Ok(watched),
        }
    }
}
