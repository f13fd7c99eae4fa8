//! Serving time by the main loop: in batches, past the engine's inputs and outputs.

use super::Fatal;
use super::event_loop::Daemon;
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

/// Looks at a queue before others get their turn.
const SERVED_BATCHES: usize = 8;

/// What a look at a queue has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    /// Nothing, or the socket is gone.
    Nothing,
    /// There may be more.
    More,
    /// All that was there.
    All,
}

impl Daemon {
    /// True for a socket of the server that has no worker threads.
    pub(super) fn serves_in_batches(&self, socket: SocketId) -> bool {
        !self.sockets.is_shared(socket) && self.engine.serves_on(socket)
    }

    /// Reads a socket of the server. While many requests come it looks again and again, after a short wait that never
    /// goes past the time that the engine wants to be called at, and has nothing announced.
    pub(super) fn serve(&mut self, socket: SocketId, responder: &mut Responder) -> Result<(), Fatal> {
        for _ in 0..SERVED_BATCHES {
            if self.sockets.take_errors(socket) || responder.stamps_due() {
                while self.take(socket, Queue::Error, responder)? == Seen::More {}
            }
            let seen = self.take(socket, Queue::Data, responder)?;
            if self.ending.is_some() || !self.engine.serves_on(socket) {
                return Ok(());
            }
            let now = clock::monotonic();
            let wait = responder.wait(now);
            let announced = self.sockets.announce(socket, wait.is_none());
            if seen == Seen::More {
                continue;
            }
            let Some(wait) = wait else {
                if announced {
                    return Ok(());
                }
                break;
            };
            let left = self.engine.next_wakeup().map_or(f64::INFINITY, |next| next - now);
            if left <= 0.0 {
                break;
            }
            sleep(Duration::from_secs_f64(left.min(wait.as_secs_f64())));
        }
        self.come_back(Key::Ntp(socket));
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
