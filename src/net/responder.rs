//! What a thread that serves needs besides a socket: takes requests in batches, answers them in batches.

use super::departures::{Departure, Departures, has_room};
use super::hardware::Frames;
use super::ntp::{interface, near, receive_stamp, take, without_scope};
use super::pace::Pace;
use crate::sys::clock;
use crate::sys::datagrams::{Datagram, Datagrams, MANY};
use crate::sys::socket::Queue;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;
use truechimer_engine::io::{Origin, Stamp, Token};
use truechimer_engine::server::{Draft, PendingReply, Server, is_plain};
use truechimer_engine::sync::cards::Direction;
use truechimer_engine::time::{Mono, Raw};

/// Most replies after one reading of the clock. The transmit timestamp of each after the first is later by what
/// sending one takes, as measured.
const MAX_SENT: usize = 16;
/// By how much a batch that took longer makes the measured cost of sending one reply grow, ns.
const MAX_GAIN: i64 = 20;
/// Most that sending one reply is taken to cost, ns.
const MAX_COST: i64 = 5000;
/// Fewest datagrams asked for at a time: more than one, so that one call tells that there are no others.
const MIN_LIMIT: usize = 4;
/// Most datagrams asked for at a time. The kernel gives the memory of each back to the processor that it came in on, and
/// interrupts that one when there is too much before it has sent something itself.
const MAX_LIMIT: usize = 32;

/// A request that will be answered.
#[derive(Debug)]
struct Pending {
    index: usize,
    /// Our address and interface to answer from.
    from: Option<(IpAddr, u32)>,
    reply: PendingReply,
    draft: Option<Draft>,
}

/// Buffers for batches of requests and their replies.
#[derive(Debug)]
pub struct Responder {
    datagrams: Datagrams,
    pending: Vec<Pending>,
    /// How many of `pending` are done with.
    done: usize,
    /// Datagrams of the batch that are no plain requests.
    others: Vec<usize>,
    /// How many datagrams to ask for: grows and shrinks with the load.
    limit: usize,
    /// How many were asked for last, and of which queue.
    asked: (usize, Queue),
    pace: Pace,
    /// So many transmit timestamps of replies are to be expected.
    stamps_due: usize,
    /// Fewer came than were expected.
    stamps_lost: bool,
    /// A request came without a timestamp of the kernel.
    stamp_missing: bool,
    /// What sending one reply of several takes, ns.
    sending: i64,
}

impl Responder {
    /// Empty buffers.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            datagrams: Datagrams::new(),
            pending: Vec::with_capacity(MANY),
            done: 0,
            others: Vec::with_capacity(MANY),
            limit: MIN_LIMIT,
            asked: (MIN_LIMIT, Queue::Data),
            pace,
            stamps_due: 0,
            stamps_lost: false,
            stamp_missing: false,
            sending: 0,
        }
    }

    /// Takes a batch from one queue of a socket. False when it is empty.
    pub fn take(&mut self, socket: BorrowedFd<'_>, queue: Queue) -> bool {
        self.others.clear();
        let due = match queue {
            Queue::Data => 0,
            Queue::Error => std::mem::take(&mut self.stamps_due),
        };
        // One more than expected, so that one call tells that there are no others.
        let limit = (due + 1).clamp(self.limit, MANY);
        self.asked = (limit, queue);
        let taken = take(|| self.datagrams.receive(socket, queue, limit));
        if due > 0 {
            self.stamps_lost = self.datagrams.len() < due;
        }
        taken
    }

    /// True if the queue may hold more than the batch that was just taken. The next batch of requests is made larger
    /// then, and smaller after one that was small.
    pub fn more(&mut self) -> bool {
        let count = self.datagrams.len();
        let (asked, queue) = self.asked;
        let more = count >= asked;
        if queue == Queue::Error {
            return more;
        }
        if more {
            self.limit = (2 * self.limit).min(MAX_LIMIT);
        } else if count < self.limit / 4 {
            self.limit = (self.limit / 2).max(MIN_LIMIT);
        }
        more
    }

    /// True if replies were sent whose transmit timestamps have not been looked for.
    #[must_use]
    pub const fn stamps_due(&self) -> bool {
        self.stamps_due > 0
    }

    /// True, once, if a request came without a timestamp of the kernel.
    pub fn stamp_missing(&mut self) -> bool {
        std::mem::take(&mut self.stamp_missing)
    }

    /// Interfaces whose cards took timestamps of the datagrams of a batch, as often as they did.
    pub fn cards(&self) -> impl Iterator<Item = u32> {
        let datagrams = (0..self.datagrams.len()).filter_map(|index| self.datagrams.get(index));
        datagrams.filter_map(|datagram| datagram.info.hardware.map(|_| datagram.info.taken_by()))
    }

    /// Judges the plain requests of a batch from the data queue; `now` is when it was taken. What was sent to many is
    /// left alone unless `is_ours` says that its sender is ours.
    pub fn admit(
        &mut self,
        server: &mut Server<'_>,
        frames: &Frames,
        now: Raw,
        is_ours: impl Fn(IpAddr) -> bool,
    ) {
        self.pending.clear();
        self.done = 0;
        let all = 0..self.datagrams.len();
        let senders = all.filter_map(|index| self.datagrams.sender(index));
        server.expect(senders.map(|from| from.ip()));
        for index in 0..self.datagrams.len() {
            let Some(datagram) = self.datagrams.get(index) else {
                continue;
            };
            let Some(from) = datagram.from else { continue };
            if datagram.info.to_many && !is_ours(from.ip()) {
                continue;
            }
            if !is_plain(datagram.bytes) {
                self.others.push(index);
                continue;
            }
            self.stamp_missing |= datagram.info.stamp.is_none();
            let card = frames
                .received(&datagram.info, from.is_ipv6(), datagram.bytes.len())
                .and_then(|stamp| server.convert(&stamp, Direction::Received, now));
            let rx = card.unwrap_or_else(|| receive_stamp(near(datagram.info.stamp, now), now));
            if let Some(reply) = server.admit(datagram.bytes, without_scope(from), &rx) {
                let local = datagram.info.to;
                self.pending.push(Pending {
                    index,
                    from: local.map(|local| (local, interface(&from, datagram.info.interface))),
                    reply,
                    draft: None,
                });
            }
        }
    }

    /// Leaves all of a batch to somebody else.
    pub fn pass_on(&mut self) {
        self.pending.clear();
        self.done = 0;
        self.others.extend(0..self.datagrams.len());
    }

    /// Answers the requests that were admitted. Real transmit timestamps are asked for where they are wanted.
    /// `is_current` is asked when the time has been read: if what `server` knows about the clock is not true any more,
    /// the rest is not sent. False then; to be called again with a server that knows.
    #[must_use]
    pub fn answer(
        &mut self,
        socket: BorrowedFd<'_>,
        server: &mut Server<'_>,
        departures: &mut Departures,
        is_current: impl Fn() -> bool,
    ) -> bool {
        let Self {
            datagrams,
            pending,
            done,
            stamps_due,
            stamps_lost,
            sending,
            ..
        } = self;
        let rest = pending.get_mut(*done..).unwrap_or_default();
        let saved = rest.iter().filter(|pending| pending.reply.is_saved()).count();
        let asks = departures.expected() && saved > 0 && (!*stamps_lost || has_room(socket));
        departures.prefer(socket, if asks { saved } else { 0 }, rest.len());
        for part in rest.chunks_mut(MAX_SENT) {
            for Pending {
                index,
                from,
                reply,
                draft,
            } in &mut *part
            {
                *draft = server.draft(reply, datagrams.buffer(*index));
                if let Some(draft) = draft {
                    let stamped = asks && reply.is_saved();
                    let stamping = departures.stamping(stamped);
                    if stamped {
                        *stamps_due += 1;
                        departures.note_reply(draft.receive());
                    }
                    datagrams.queue(*index, draft.length(), *from, stamping);
                }
            }
            let start = clock::realtime();
            if !is_current() {
                datagrams.forget();
                return false;
            }
            let mut place = 0;
            for Pending {
                index, reply, draft, ..
            } in &*part
            {
                let Some(draft) = draft else { continue };
                let now = start.plus_nanos(place * *sending);
                let written = server.finish(reply, draft, now, datagrams.buffer(*index));
                datagrams.set_length(*index, written.map_or(0, |written| written.length));
                place += i64::from(written.is_some());
            }
            datagrams.send(socket);
            *done += part.len();
            if place > 1 {
                *sending = next_cost(*sending, clock::realtime() - start, place);
            }
        }
        true
    }

    /// Takes the transmit timestamps of replies out of a batch from the error queue.
    pub fn note_stamps(
        &mut self,
        server: &mut Server<'_>,
        departures: &mut Departures,
        frames: &mut Frames,
        now: Raw,
    ) {
        for index in 0..self.datagrams.len() {
            let Some(Datagram { info, bytes, .. }) = self.datagrams.get(index) else {
                continue;
            };
            match departures.find(&info, bytes, frames) {
                Some((Token::Reply(receive), departure)) => {
                    let tx = match departure {
                        Departure::Kernel(at) => near(Some(at), now).map(|at| Stamp::new(at, Origin::Kernel)),
                        Departure::Card(stamp) => server.convert(&stamp, Direction::Sent, now),
                    };
                    if let Some(tx) = tx {
                        server.sent(receive, &tx);
                    }
                }
                Some((Token::Source(_), _)) => self.others.push(index),
                None => {}
            }
        }
    }

    /// Those of the batch that are for somebody else.
    pub fn others(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.others.iter().filter_map(|&index| self.datagrams.get(index))
    }

    /// How long to wait for more when the queue is empty; none: until something is announced. To be called after every
    /// look at the data queue.
    pub fn wait(&mut self, now: Mono) -> Option<Duration> {
        self.pace.note(self.datagrams.len(), now);
        self.pace.wait()
    }
}

/// What sending one reply takes (ns), after `count` were sent in `elapsed` (s). What takes longer than usual was
/// interrupted: that is believed slowly.
fn next_cost(cost: i64, elapsed: f64, count: i64) -> i64 {
    let measured = (elapsed * 1e9) as i64 / count;
    if measured < cost {
        measured.max(0)
    } else {
        (cost + (measured - cost).min(MAX_GAIN)).min(MAX_COST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NullClock;
    use crate::sys::random::KernelRandom;
    use std::cell::Cell;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use truechimer_engine::config::{AccessRule, Config, Subnet};
    use truechimer_engine::engine::{Engine, EngineOptions};
    use truechimer_engine::sync::reference::Start;

    #[test]
    fn what_the_clock_changes_under_is_drafted_again() {
        const REQUESTS: u8 = 40;
        let mut config = Config::default();
        config.network.access.push(AccessRule {
            allow: true,
            all: false,
            subnet: Subnet::Any,
        });
        let (mut clock, random) = (NullClock::new(1e-7), Box::new(KernelRandom::new()));
        let (options, start) = (EngineOptions::default(), Start::default());
        let mut engine = Engine::new(config, &options, &start, random, &mut clock).unwrap();
        let [server, client] = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        client.connect(server.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        for i in 1..=REQUESTS {
            let mut request = [0; 48];
            (request[0], request[47]) = (4 << 3 | 3, i);
            client.send_to(&request, server.local_addr().unwrap()).unwrap();
        }
        let mut responder = Responder::new(Pace::alone());
        responder.limit = MANY;
        assert!(responder.take(server.as_fd(), Queue::Data));
        let now = crate::sys::clock::now();
        let frames = Frames::default();
        responder.admit(&mut engine.server(now, &mut clock), &frames, now.raw, |_| true);
        let mut departures = Departures::new(None, false, 0);
        let mut replies = Vec::new();
        let mut collect = || {
            let mut reply = [0; 64];
            while let Ok(length) = client.recv(&mut reply) {
                assert_eq!((length, reply[0] & 7), (48, 4));
                replies.push(reply[31]);
            }
            replies.clone()
        };
        // Not at once, after one part, after another.
        for (asked, answered) in [(1, 0), (2, 16), (2, 32)] {
            let asks = Cell::new(0);
            let is_current = || {
                asks.set(asks.get() + 1);
                asks.get() < asked
            };
            let now = crate::sys::clock::now();
            let mut server_now = engine.server(now, &mut clock);
            assert!(!responder.answer(server.as_fd(), &mut server_now, &mut departures, is_current));
            assert_eq!(collect(), (1..=answered).collect::<Vec<u8>>());
        }
        let mut server_now = engine.server(crate::sys::clock::now(), &mut clock);
        for _ in 0..2 {
            assert!(responder.answer(server.as_fd(), &mut server_now, &mut departures, || true));
            assert_eq!(collect(), (1..=REQUESTS).collect::<Vec<u8>>(), "each once");
        }
    }
}
