//! One small task for each socket says when there is something to read; the reading is done by the main loop,
//! which owns the engine.

use super::workers::Forwarded;
use crate::sys;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::Interest;
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
    /// A worker has received something that is not for it.
    Forwarded(Box<Forwarded>),
    /// A worker has found that the clock was stepped by somebody else.
    Clock,
    /// A worker has a timestamp of this interface's card, whose clock is to be read.
    Card(u32),
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
    fd: Arc<OwnedFd>,
    key: Key,
    wakes: Wakes,
    /// There was something on the error queue.
    errors: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Watch {
    /// To be called within the runtime.
    pub(super) fn new(fd: OwnedFd, key: Key, wakes: Wakes) -> std::io::Result<Self> {
        let (fd, errors) = (Arc::new(fd), Arc::new(AtomicBool::new(false)));
        let task = Self::spawn(&fd, key, &wakes, &errors)?;
        Ok(Self {
            fd,
            key,
            wakes,
            errors,
            task,
        })
    }

    fn spawn(
        fd: &Arc<OwnedFd>,
        key: Key,
        wakes: &Wakes,
        errors: &Arc<AtomicBool>,
    ) -> std::io::Result<JoinHandle<()>> {
        // Error: transmit timestamps.
        let interest = Interest::READABLE | Interest::ERROR;
        let watched = sys::watch::descriptor(fd.clone(), interest)?;
        let (wakes, errors) = (wakes.clone(), errors.clone());
        Ok(tokio::spawn(async move {
            while let Ok(mut guard) = watched.ready(interest).await {
                if guard.ready().is_error() {
                    errors.store(true, Ordering::Relaxed);
                }
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
        }))
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Stops watching: whoever reads the socket all the time need not be told of each datagram, for which the kernel
    /// takes its time, also with each that is sent.
    pub(super) fn rest(&self) {
        self.task.abort();
    }

    /// Watches again; false if that is not possible yet.
    pub(super) fn resume(&mut self) -> bool {
        if !self.task.is_finished() {
            return false;
        }
        match Self::spawn(&self.fd, self.key, &self.wakes, &self.errors) {
            Ok(task) => self.task = task,
            Err(_) => return false,
        }
        true
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

    /// True, once, if something was announced on the error queue.
    pub(super) fn take_errors(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Watched(watch) => watch.errors.swap(false, Ordering::Relaxed),
        }
    }

    /// Stops or resumes watching; false if that is not possible now.
    pub(super) fn set_watched(&mut self, watched: bool) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Watched(watch) if watched => watch.resume(),
            Self::Watched(watch) => {
                watch.rest();
                true
            }
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
