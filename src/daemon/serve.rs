//! Serving time by the main loop: in batches, past the engine's inputs and outputs.

use super::Fatal;
use super::event_loop::Daemon;
use super::rounds::{Seen, Serves};
use crate::net::{Forwarded, Key, Publication, Responder};
use crate::sys::clock;
use crate::sys::error::reason;
use crate::sys::random::KernelRandom;
use crate::sys::socket::Queue;
use std::thread::sleep;
use std::time::Duration;
use truechimer_engine::io::SocketId;
use truechimer_engine::server::Worker;
use truechimer_engine::time::Now;

/// What looks at the sockets.
struct Turn<'a> {
    daemon: &'a mut Daemon,
    responder: &'a mut Responder,
    /// How long to wait for more.
    pause: Option<Duration>,
}

impl Serves for Turn<'_> {
    type Error = Fatal;

    fn look(&mut self, socket: SocketId, stamps_due: &mut bool) -> Result<Seen, Fatal> {
        let Self {
            daemon, responder, ..
        } = self;
        if std::mem::take(stamps_due) | daemon.sockets.take_errors(socket) {
            while daemon.take(socket, Queue::Error, responder)? == Seen::More {}
        }
        let seen = daemon.take(socket, Queue::Data, responder)?;
        self.pause = responder.wait(clock::monotonic());
        *stamps_due = seen != Seen::Nothing && responder.stamps_due();
        let gone = daemon.ending.is_some() || !daemon.engine.serves_on(socket);
        Ok(if gone { Seen::Gone } else { seen })
    }

    fn pause(&mut self) -> Option<Duration> {
        self.pause
    }

    fn announce(&mut self, socket: SocketId, announced: bool) -> bool {
        self.daemon.sockets.announce(socket, announced)
    }

    /// Never goes past the time that the engine wants to be called at.
    fn wait(&mut self, time: Duration) -> bool {
        let next = self.daemon.engine.next_wakeup();
        let left = next.map_or(f64::INFINITY, |next| next - clock::monotonic());
        if left > 0.0 {
            sleep(Duration::from_secs_f64(left.min(time.as_secs_f64())));
        }
        left > 0.0
    }
}

impl Daemon {
    /// True for a socket of the server that has no worker threads.
    pub(super) fn serves_in_batches(&self, socket: SocketId) -> bool {
        !self.sockets.is_shared(socket) && self.engine.serves_on(socket)
    }

    /// Reads the sockets of the server that have something. While many requests come it looks again and again, after a
    /// short wait for all, and has nothing announced.
    pub(super) fn serve(&mut self, responder: &mut Responder) -> Result<(), Fatal> {
        let mut rounds = std::mem::take(&mut self.rounds);
        let again = rounds.turn(&mut Turn {
            daemon: self,
            responder,
            pause: None,
        })?;
        self.rounds = rounds;
        if again {
            self.come_back(Key::Server);
        }
        Ok(())
    }

    /// Takes a batch from a queue and does all that is in it.
    fn take(&mut self, id: SocketId, queue: Queue, responder: &mut Responder) -> Result<Seen, Fatal> {
        let Some(socket) = self.sockets.serving(id) else {
            return Ok(Seen::Nothing);
        };
        if !responder.take(socket.fd, queue) {
            return Ok(Seen::Nothing);
        }
        let now = self.clock.as_clock().now();
        if self.sockets.has_cards() {
            for interface in responder.cards() {
                self.refresh_phc(now, Some(interface))?;
            }
        }
        let Some(socket) = self.sockets.serving(id) else {
            return Ok(Seen::Nothing);
        };
        let mut server = self.engine.server(now, self.clock.as_clock());
        match queue {
            Queue::Data => {
                responder.admit(&mut server, socket.frames, now.raw, |_| true);
                // Nothing changes the clock meanwhile.
                let _ = responder.answer(socket.fd, &mut server, socket.departures, || true);
            }
            Queue::Error => {
                responder.note_stamps(&mut server, socket.departures, socket.frames, now.raw);
            }
        }
        if responder.stamp_missing() {
            self.sockets.keep_timestamps_on();
        }
        self.hand_over(id, queue, responder, now)?;
        self.work_off()?;
        Ok(if responder.more() { Seen::More } else { Seen::All })
    }

    /// Gives the engine what is no plain request.
    fn hand_over(
        &mut self,
        id: SocketId,
        queue: Queue,
        responder: &Responder,
        now: Now,
    ) -> Result<(), Fatal> {
        for datagram in responder.others() {
            self.arrived(id, queue, &datagram.into(), now, now.raw)?;
        }
        Ok(())
    }

    /// Starts the worker threads, if there are any. `priority` is the main thread's (`sched_priority`): theirs is less, as
    /// it must get a processor whatever they have to do.
    pub(super) fn start_workers(&mut self, priority: i32) -> Result<(), Fatal> {
        let now = self.now();
        let frames = self.sockets.frames().clone();
        let (Some(pool), Some(wakes)) = (self.sockets.pool(), &self.wakes) else {
            return Ok(());
        };
        let publication = Publication::new(self.engine.publish(now), self.clock.sequence());
        let (network, count) = (&self.config.network, pool.count());
        let worker = |index| Worker::new(network, index, count, Box::new(KernelRandom::new()));
        let priority = (priority > 0).then_some(priority - 1);
        pool.start(&publication, wakes, &frames, priority, worker)
            .map_err(|error| Fatal(format!("Could not start server thread : {}", reason(&error))))?;
        self.engine.set_workers(Box::new(pool.inquiry()));
        self.publication = Some(publication);
        self.sockets.keep_timestamps_on();
        Ok(())
    }

    /// Lets the workers know what is served now, if that is new. To be called after whatever may have changed it: while
    /// the clock is changed and they do not know how, they wait.
    pub(super) fn publish(&mut self) {
        let Some(publication) = &self.publication else {
            return;
        };
        let now = self.clock.as_clock().now();
        if publication.is_awaited() || self.engine.publication_due(now) {
            publication.publish(self.engine.publish(now));
        }
    }

    /// Takes what a worker has received and is not for it.
    pub(super) fn take_forwarded(&mut self, datagram: &Forwarded) -> Result<(), Fatal> {
        if let Some(pool) = self.sockets.pool() {
            pool.taken();
        }
        let now = self.now();
        self.arrived(
            datagram.on,
            Queue::Data,
            &datagram.received(),
            now,
            datagram.taken,
        )
    }
}
