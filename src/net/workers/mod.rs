//! `serverthreads`: threads that answer plain requests, each with sockets, clients and buffers of its own.
//!
//! The sockets on the server's port form a group (`SO_REUSEPORT`): one for each worker, then that of the main thread.
//! A [`steering`] program in the kernel leads each client to one worker, so its record, rate limit and saved
//! timestamps need no lock. The main thread's socket gets nothing but copies of broadcasts; it sends from it.
//!
//! What workers share they only read: the [`Publication`]. What is no plain request goes to the main thread
//! ([`Forwarded`]); what the main thread wants of a worker comes through its mailbox.

mod backlog;
mod mailbox;
mod publication;
mod steering;
mod thread;

pub use backlog::Forwarded;
pub use mailbox::Inquiry;
pub use publication::Publication;
pub(super) use thread::ServerSocket;

use super::hardware::Frames;
use super::watch::Wakes;
use crate::logs;
use crate::sys::process::set_priority;
use crate::sys::reuseport;
use backlog::{Backlog, Counters};
use mailbox::{Letters, Mailbox, Message};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use thread::Thread;
use truechimer_engine::io::SocketId;
use truechimer_engine::server::{Steering, Worker};

/// Stack of a worker, octets. It needs a few KiB; all of it is locked in memory with `lock_all`.
const STACK: usize = 256 << 10;

/// The workers, as the main thread has them.
#[derive(Debug)]
pub struct Pool {
    mailboxes: Vec<Mailbox>,
    steering: Steering,
    counters: Arc<Counters>,
    threads: Vec<JoinHandle<()>>,
    /// Before the threads start: their ends of the mailboxes, and the groups of sockets.
    letters: Vec<Letters>,
    early: Vec<Vec<ServerSocket>>,
}

impl Pool {
    /// The workers that clients are spread over, whose threads do not run yet.
    ///
    /// # Errors
    /// There are no descriptors for their mailboxes.
    pub fn new(steering: Steering) -> io::Result<Self> {
        let both: io::Result<Vec<_>> = (0..steering.count()).map(|_| Mailbox::new()).collect();
        let (mailboxes, letters) = both?.into_iter().unzip();
        Ok(Self {
            mailboxes,
            steering,
            counters: Arc::default(),
            threads: Vec::new(),
            letters,
            early: Vec::new(),
        })
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.steering.count()
    }

    /// Which of them a client belongs to.
    #[must_use]
    pub const fn steering(&self) -> &Steering {
        &self.steering
    }

    /// Starts the threads. To be called once, when nothing is left to be done that is for the calling thread alone:
    /// rights, access to files, filters. `frames` is what is known of network cards. `priority` is for
    /// [`set_priority`]; none: theirs is the calling thread's.
    ///
    /// # Errors
    /// There are too many threads.
    pub fn start(
        &mut self,
        publication: &Publication,
        wakes: &Wakes,
        frames: &Frames,
        priority: Option<i32>,
        mut worker: impl FnMut(usize) -> Worker,
    ) -> io::Result<()> {
        for (index, letters) in std::mem::take(&mut self.letters).into_iter().enumerate() {
            let backlog = Backlog::new(wakes.clone(), Arc::clone(&self.counters));
            let (worker, reader) = (worker(index), publication.reader());
            let thread = Thread::new(worker, self.steering, reader, letters, backlog, frames.clone());
            let named = Builder::new().name(format!("server-{index}")).stack_size(STACK);
            let run = move || {
                if priority.is_some_and(|priority| set_priority(priority).is_err()) {
                    logs::error("pthread_setschedparam() failed");
                }
                thread.run();
            };
            self.threads.push(named.spawn(run)?);
        }
        for group in std::mem::take(&mut self.early) {
            self.open(group);
        }
        Ok(())
    }

    /// Lets each worker serve on one socket of a group.
    pub(super) fn open(&mut self, group: Vec<ServerSocket>) {
        if self.threads.is_empty() {
            self.early.push(group);
            return;
        }
        for (mailbox, socket) in self.mailboxes.iter().zip(group) {
            mailbox.send(Message::Open(socket));
        }
    }

    /// Closes the sockets of a group. Waits for it, as those who have not closed theirs would still be in the group
    /// when the port is opened again.
    pub(super) fn close(&mut self, id: SocketId) {
        self.early
            .retain(|group| group.iter().all(|socket| socket.id != id));
        if !self.threads.is_empty() {
            for mailbox in &self.mailboxes {
                let _ = mailbox.request(|done| Message::Close(id, done));
            }
        }
    }

    /// Asks them for reports.
    #[must_use]
    pub fn inquiry(&self) -> Inquiry {
        Inquiry(self.mailboxes.clone(), self.steering)
    }

    /// A [`Forwarded`] datagram has been taken: there is room for another.
    pub fn taken(&self) {
        self.counters.taken();
    }

    /// Ends the threads, if they run.
    pub fn stop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Stop);
        }
        for thread in self.threads.drain(..) {
            // It aborts the process in place of ending by a panic.
            let _ = thread.join();
        }
        let dropped = self.counters.dropped();
        if dropped > 0 {
            logs::info(format_args!("{dropped} packets other than requests were dropped"));
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Leads each client to its worker. `bound` are the workers' sockets, in order and the first ones in their group.
///
/// # Errors
/// The kernel's refusal: it is too old.
pub fn steer_group(bound: &[socket2::Socket], v6: bool, steering: &Steering) -> io::Result<()> {
    match bound.first() {
        Some(first) => reuseport::attach(first.as_fd(), &steering::program(v6, steering)),
        None => Ok(()),
    }
}
