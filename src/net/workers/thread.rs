//! What a worker does: waits, takes a batch, answers it from what was published last, looks again.

use super::backlog::Backlog;
use super::mailbox::{Letters, Message};
use super::publication::Reader;
use crate::logs;
use crate::net::departures::Departures;
use crate::net::hardware::Frames;
use crate::net::pace::Pace;
use crate::net::responder::Responder;
use crate::sys::clock;
use crate::sys::socket::Queue;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::Duration;
use truechimer_engine::io::SocketId;
use truechimer_engine::server::{Steering, Worker};

/// Most sockets: there is one for each family.
const MAX_SOCKETS: usize = 4;
/// Between two looks whether a change of the clock has been published. It takes the main thread microseconds, unless
/// it has no processor.
const SETTLING: Duration = Duration::from_micros(20);
/// A socket that is said to have something, so many times in a row, and has nothing, is left alone for a while.
const MAX_FUTILE: u32 = 16;
const REST: Duration = Duration::from_millis(1);

/// A worker's own socket on the server's port.
#[derive(Debug)]
pub(in crate::net) struct ServerSocket {
    /// What the engine calls all that share the port.
    pub(in crate::net) id: SocketId,
    /// The socket.
    pub(in crate::net) fd: OwnedFd,
    /// Replies whose transmit timestamps are awaited.
    pub(in crate::net) departures: Departures,
}

/// What a look at a socket has shown.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// There was something.
    any: bool,
    /// There may be more.
    more: bool,
}

/// All that belongs to a worker's thread.
pub(super) struct Thread {
    worker: Worker,
    steering: Steering,
    reader: Reader,
    letters: Letters,
    backlog: Backlog,
    sockets: Vec<ServerSocket>,
    responder: Responder,
    /// What is known of frames of network cards.
    frames: Frames,
    /// A batch from this socket is not answered completely, as the clock was changed.
    unfinished: Option<SocketId>,
    /// By place of the socket: it is to be looked at.
    ready: [bool; MAX_SOCKETS],
    /// By place of the socket: it had something when it was looked at last.
    busy: [bool; MAX_SOCKETS],
    /// By place of the socket: something was announced on its error queue.
    errors: [bool; MAX_SOCKETS],
    /// Something was announced.
    announced: bool,
    /// How many times in a row nothing was there in spite of that.
    futile: u32,
    /// The publication that the main thread was told about: it is not true any more.
    doubted: u64,
}

/// A daemon that has lost a thread would leave some clients without replies for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Thread {
    pub(super) fn new(
        worker: Worker,
        steering: Steering,
        reader: Reader,
        letters: Letters,
        backlog: Backlog,
        frames: Frames,
    ) -> Self {
        Self {
            worker,
            steering,
            reader,
            letters,
            backlog,
            sockets: Vec::with_capacity(MAX_SOCKETS),
            responder: Responder::new(Pace::shared()),
            frames,
            unfinished: None,
            ready: [true; MAX_SOCKETS],
            busy: [false; MAX_SOCKETS],
            errors: [false; MAX_SOCKETS],
            announced: false,
            futile: 0,
            doubted: 0,
        }
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) {
        let _guard = AbortOnPanic;
        while self.read_mail() {
            if !self.finish() {
                sleep(SETTLING);
                continue;
            }
            let (mut all, mut wait) = (Seen::default(), None);
            let stamps_due = self.responder.stamps_due();
            for place in 0..self.sockets.len() {
                if std::mem::take(&mut self.errors[place]) || stamps_due && self.busy[place] {
                    all.any |= self.take_stamps(place);
                }
                if !self.ready[place] {
                    continue;
                }
                let seen = self.take(place);
                self.busy[place] = seen.any;
                all.any |= seen.any;
                all.more |= seen.more;
                wait = self.responder.wait(clock::monotonic());
                if self.unfinished.is_some() {
                    all.more = true;
                    break;
                }
            }
            let in_vain = std::mem::take(&mut self.announced) && !all.any;
            self.futile = if in_vain { self.futile + 1 } else { 0 };
            if all.more {
                self.ready = [true; MAX_SOCKETS];
            } else {
                self.wait(wait);
            }
        }
    }

    /// Does what the main thread wants; false to end.
    fn read_mail(&mut self) -> bool {
        while let Ok(message) = self.letters.messages.try_recv() {
            match message {
                Message::Open(socket) if self.sockets.len() < MAX_SOCKETS => {
                    self.ready = [true; MAX_SOCKETS];
                    self.sockets.push(socket);
                }
                Message::Open(_) => logs::error("Too many NTP sockets for a server thread"),
                Message::Close(id, done) => {
                    // Others come to another place.
                    (self.ready, self.busy) = ([true; MAX_SOCKETS], [false; MAX_SOCKETS]);
                    self.sockets.retain(|socket| socket.id != id);
                    let _ = done.send(());
                }
                // Who does not wait any more needs no answer.
                Message::Ask(question, reply) => {
                    let _ = reply.send(self.worker.answer(&question));
                }
                Message::Stop => return false,
            }
        }
        true
    }

    /// Answers what is left of a batch; false if that is not possible yet.
    fn finish(&mut self) -> bool {
        let Some(id) = self.unfinished else {
            return true;
        };
        if let Some(socket) = self.sockets.iter_mut().find(|socket| socket.id == id) {
            let Some((published, current)) = self.reader.read() else {
                return false;
            };
            let mut server = self.worker.server(published, clock::now());
            let fd = socket.fd.as_fd();
            let is_current = || current.holds();
            if !self
                .responder
                .answer(fd, &mut server, &mut socket.departures, is_current)
            {
                return false;
            }
        }
        self.unfinished = None;
        true
    }

    /// Takes a batch of requests and answers it.
    fn take(&mut self, place: usize) -> Seen {
        let Some(socket) = self.sockets.get_mut(place) else {
            return Seen::default();
        };
        let Some((published, current)) = self.reader.read() else {
            sleep(SETTLING);
            let (any, more) = (true, true);
            return Seen { any, more };
        };
        if !published.is_valid_at(clock::now()) {
            // Somebody else has stepped the clock. What was sent to us waits where it is until the main thread has found
            // that out.
            if self.doubted != published.version() {
                self.doubted = published.version();
                self.backlog.wake();
            }
            sleep(SETTLING);
            let (any, more) = (true, true);
            return Seen { any, more };
        }
        let fd = socket.fd.as_fd();
        if !self.responder.take(fd, Queue::Data) {
            return Seen::default();
        }
        let now = clock::now();
        if published.is_valid_at(now) {
            self.backlog
                .read_cards(&self.frames, published, now, || self.responder.cards());
            let (index, steering) = (self.worker.index(), &self.steering);
            let mut server = self.worker.server(published, now);
            self.responder.admit(&mut server, &self.frames, now.raw, |from| {
                steering.worker(from) == index
            });
            let is_current = || current.holds();
            if !self
                .responder
                .answer(fd, &mut server, &mut socket.departures, is_current)
            {
                self.unfinished = Some(socket.id);
            }
        } else {
            // It was stepped just now. The main thread finds out when it handles these.
            self.responder.pass_on();
        }
        for datagram in self.responder.others() {
            self.backlog.push(socket.id, &datagram, now.raw);
        }
        let more = self.responder.more();
        Seen { any: true, more }
    }

    /// Takes transmit timestamps of replies. False if there were none.
    fn take_stamps(&mut self, place: usize) -> bool {
        let mut any = false;
        while let Some(socket) = self.sockets.get_mut(place)
            && let Some((published, _)) = self.reader.read()
            && self.responder.take(socket.fd.as_fd(), Queue::Error)
        {
            any = true;
            let now = clock::now();
            self.backlog
                .read_cards(&self.frames, published, now, || self.responder.cards());
            let mut server = self.worker.server(published, now);
            let departures = &mut socket.departures;
            self.responder
                .note_stamps(&mut server, departures, &mut self.frames, now.raw);
            if !self.responder.more() {
                break;
            }
        }
        any
    }

    /// Waits for messages and requests. If it is this long at most, requests to busy sockets are left to collect.
    fn wait(&mut self, most: Option<Duration>) {
        if self.futile > MAX_FUTILE {
            self.futile = 0;
            sleep(REST);
        }
        let bell = &self.letters.bell;
        // A socket that is not waited for costs the kernel nothing for what comes and goes.
        let collecting = self.busy.map(|busy| busy && most.is_some());
        let mut all: [PollFd<'_>; 1 + MAX_SOCKETS] =
            std::array::from_fn(|_| PollFd::new(bell.as_fd(), PollFlags::POLLIN));
        let mut places = [0; MAX_SOCKETS];
        let mut waited = 0;
        for (place, socket) in self.sockets.iter().enumerate() {
            if !collecting[place] {
                places[waited] = place;
                waited += 1;
                all[waited] = PollFd::new(socket.fd.as_fd(), PollFlags::POLLIN);
            }
        }
        let used = &mut all[..=waited];
        // What ends it early is a signal for the main thread.
        let _ = ppoll(used, most.map(TimeSpec::from_duration), None);
        let has = |fd: &PollFd<'_>, flag| fd.revents().is_some_and(|events| events.contains(flag));
        if has(&used[0], PollFlags::POLLIN) {
            let _ = bell.read();
        }
        self.ready = collecting;
        for (fd, &place) in used[1..].iter().zip(&places) {
            self.ready[place] = fd.any().unwrap_or(false);
            self.errors[place] = has(fd, PollFlags::POLLERR);
            self.announced |= self.ready[place];
        }
    }
}
