//! One small task for each socket says when there is something to read; the reading is done by the main loop,
//! which owns the engine.

use super::workers::Forwarded;
use crate::sys;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::Interest;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, yield_now};
use truechimer_engine::io::{QueryId, ResolveError, SocketId};

/// A socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Key {
    /// One of the engine's.
    Ntp(SocketId),
    /// Those of the server that have something, by turns.
    Server,
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

/// Sockets in the queue of wake-ups. Each is there once, as it is read until nothing is left, or queued again.
type Queued = Arc<Mutex<BTreeSet<Key>>>;

/// The queue of wake-ups.
#[derive(Clone, Debug)]
pub struct Wakes {
    sender: UnboundedSender<Wake>,
    queued: Queued,
}

/// The reading end of the queue of wake-ups.
#[derive(Debug)]
pub struct WakeQueue {
    receiver: UnboundedReceiver<Wake>,
    queued: Queued,
}

impl Wakes {
    /// A queue and its reading end.
    #[must_use]
    pub fn new() -> (Self, WakeQueue) {
        let (sender, receiver) = unbounded_channel();
        let queued = Queued::default();
        let queue = WakeQueue {
            receiver,
            queued: queued.clone(),
        };
        (Self { sender, queued }, queue)
    }

    /// Queues a wake-up, unless it is one for a socket that is in the queue; when the loop has ended it doesn't matter.
    pub fn push(&self, wake: Wake) {
        if let Wake::Socket(key) = wake
            && !lock(&self.queued).insert(key)
        {
            return;
        }
        let _ = self.sender.send(wake);
    }

    /// Queues sockets behind all others that have something now.
    pub async fn push_behind(&self, keys: impl IntoIterator<Item = Key>) {
        // The first time the runtime asks the kernel who has something, the second time these queue it.
        yield_now().await;
        yield_now().await;
        for key in keys {
            self.push(Wake::Socket(key));
        }
    }
}

impl WakeQueue {
    /// Waits for the next wake-up; none: there will not be any. Nothing is lost if this is dropped while it waits.
    pub async fn next(&mut self) -> Option<Wake> {
        let wake = self.receiver.recv().await;
        // Before the socket is read: what comes after that queues it again.
        if let Some(Wake::Socket(key)) = &wake {
            lock(&self.queued).remove(key);
        }
        wake
    }

    /// The next wake-up, if it is there.
    #[cfg(test)]
    pub(super) fn try_recv(&mut self) -> Result<Wake, tokio::sync::mpsc::error::TryRecvError> {
        self.receiver.try_recv()
    }
}

fn lock(queued: &Queued) -> MutexGuard<'_, BTreeSet<Key>> {
    queued.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn watched(key: Key, wakes: &Wakes) -> (Watch, UdpSocket) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(socket.local_addr().unwrap()).unwrap();
        (
            Watch::new(OwnedFd::from(socket), key, wakes.clone()).unwrap(),
            sender,
        )
    }

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    /// What is in the queue when all that have something have queued it.
    async fn queued(wakes: &Wakes, queue: &mut WakeQueue) -> Vec<Key> {
        wakes.push_behind([Key::Resolver]).await;
        let mut keys = Vec::new();
        while let Some(Wake::Socket(key)) = queue.next().await
            && key != Key::Resolver
        {
            keys.push(key);
        }
        keys
    }

    #[test]
    fn a_socket_is_queued_once() {
        run(async {
            let (wakes, mut queue) = Wakes::new();
            let (_watch, sender) = watched(Key::Server, &wakes);
            for _ in 0..2 {
                // Nobody reads it: it is announced with each datagram, and comes back by itself.
                for _ in 0..10 {
                    sender.send(b"x").unwrap();
                    wakes.push_behind([Key::Server]).await;
                }
                wakes.push(Wake::Clock);
                wakes.push(Wake::Clock);
                assert_eq!(queue.receiver.len(), 3);
                assert!(matches!(queue.next().await, Some(Wake::Socket(Key::Server))));
                for _ in 0..2 {
                    assert!(matches!(queue.next().await, Some(Wake::Clock)));
                }
            }
        });
    }

    #[test]
    fn who_comes_back_lets_others_come_first() {
        run(async {
            let (wakes, mut queue) = Wakes::new();
            let (command, sender) = watched(Key::CommandV4, &wakes);
            assert_eq!(queued(&wakes, &mut queue).await, []);
            for _ in 0..10 {
                sender.send(b"x").unwrap();
                wakes.push_behind([Key::Server]).await;
                assert_eq!(queued(&wakes, &mut queue).await, [Key::CommandV4, Key::Server]);
                nix::unistd::read(command.fd(), &mut [0]).unwrap();
            }
        });
    }
}
