//! Datagrams on their way from workers to the main thread: whatever is no plain request.

use crate::logs;
use crate::net::hardware::Frames;
use crate::net::watch::{Wake, Wakes};
use crate::sys::address::Address;
use crate::sys::control::Info;
use crate::sys::datagrams::Datagram;
use crate::sys::socket::Received;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use truechimer_engine::io::SocketId;
use truechimer_engine::server::Published;
use truechimer_engine::time::{Now, Raw};

/// Most datagrams that wait for the main thread; each has up to 1280 octets.
const MAX_WAITING: usize = 256;

/// A datagram from a worker's socket.
#[derive(Debug)]
pub struct Forwarded {
    /// What the engine calls the socket.
    pub on: SocketId,
    /// When it was taken from there.
    pub taken: Raw,
    from: SocketAddr,
    info: Info,
    bytes: Box<[u8]>,
}

impl Forwarded {
    /// As if the main thread had received it.
    #[must_use]
    pub fn received(&self) -> Received<'_> {
        Received {
            from: Some(Address::Ip(self.from)),
            info: self.info,
            bytes: &self.bytes,
        }
    }
}

/// A worker's way to the main thread.
#[derive(Debug)]
pub(super) struct Backlog {
    wakes: Wakes,
    counters: Arc<Counters>,
    /// The publication with which the clock of a card was asked for.
    asked: u64,
}

/// All workers write here, though only for what is no plain request. Apart from all that is read for each reply: two
/// cache lines, as processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Counters {
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Backlog {
    pub(super) const fn new(wakes: Wakes, counters: Arc<Counters>) -> Self {
        Self {
            wakes,
            counters,
            asked: 0,
        }
    }

    /// Lets the main thread look at its clock.
    pub(super) fn wake(&self) {
        self.wakes.push(Wake::Clock);
    }

    /// Lets the main thread read the clock of one of the cards that took timestamps (`used`), if that is due; once a
    /// publication, as each reading makes a new one. Nobody waits for it: an older reading makes a timestamp less exact
    /// by nanoseconds, and there is one every `maxpoll` seconds in any case.
    pub(super) fn read_cards<C: Iterator<Item = u32>>(
        &mut self,
        frames: &Frames,
        published: &Published,
        now: Now,
        used: impl Fn() -> C,
    ) {
        let due = |&card: &u32| published.is_phc_due(card, now) && used().any(|other| other == card);
        if self.asked != published.version()
            && let Some(card) = frames.interfaces().find(due)
        {
            self.asked = published.version();
            self.wakes.push(Wake::Card(card));
        }
    }

    /// Hands a datagram over, taken at this time. If too many wait it is dropped, as the kernel would.
    pub(super) fn push(&self, on: SocketId, datagram: &Datagram<'_>, taken: Raw) {
        let Some(from) = datagram.from else { return };
        if !self.counters.admit() {
            return;
        }
        self.wakes.push(Wake::Forwarded(Box::new(Forwarded {
            on,
            taken,
            from,
            info: datagram.info,
            bytes: datagram.bytes.into(),
        })));
    }
}

impl Counters {
    /// True if one more may wait.
    fn admit(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING {
            return true;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            logs::warning("Packets other than requests come faster than they can be handled : dropped");
        }
        false
    }

    /// One has been taken.
    pub(super) fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::NullClock;
    use crate::sys::random::KernelRandom;
    use truechimer_engine::config::{Config, HwTimestamp, RxFilter};
    use truechimer_engine::engine::{Engine, EngineOptions};
    use truechimer_engine::io::Input;
    use truechimer_engine::sync::kernel::Clock;
    use truechimer_engine::sync::reference::Start;

    #[test]
    fn the_clock_of_a_card_that_is_used_is_asked_for_once() {
        let card = HwTimestamp {
            interface: "eth0".to_owned(),
            minpoll: 20,
            maxpoll: None,
            min_samples: 2,
            max_samples: 16,
            precision: 1e-7,
            tx_comp: 0.0,
            rx_comp: 0.0,
            no_cross_timestamp: false,
            rx_filter: RxFilter::Any,
        };
        let (mut clock, random) = (NullClock::new(1e-7), Box::new(KernelRandom::new()));
        let (options, start) = (EngineOptions::default(), Start::default());
        let mut engine = Engine::new(Config::default(), &options, &start, random, &mut clock).unwrap();
        for interface in [3, 5] {
            engine.add_hardware(interface, &card);
        }
        let (wakes, mut woken) = Wakes::new();
        let mut backlog = Backlog::new(wakes, Arc::default());
        let frames = Frames::new(&[3, 5]);
        let mut asked = |published: &Published, now, used: &[u32]| {
            backlog.read_cards(&frames, published, now, || used.iter().copied());
            std::iter::from_fn(|| match woken.try_recv() {
                Ok(Wake::Card(interface)) => Some(interface),
                _ => None,
            })
            .collect::<Vec<_>>()
        };
        let now = clock.now();
        let published = engine.publish(now);
        for (used, wanted) in [
            (&[][..], &[][..]),
            (&[0, 7], &[]),
            (&[0, 5, 5], &[5]),
            (&[5], &[]),
        ] {
            assert_eq!(asked(&published, now, used), wanted, "{used:?}");
        }
        // It has been read, if in vain, and the other one has not.
        let input = Input::Phc {
            interface: 5,
            readings: &[],
            speed: None,
        };
        engine.handle(now, &mut clock, input);
        assert!(engine.publication_due(now));
        let published = engine.publish(now);
        assert_eq!(asked(&published, now, &[5]), []);
        assert_eq!(asked(&published, now, &[5, 3]), [3]);
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted() {
        let counters = Counters::default();
        let admitted = (0..MAX_WAITING + 3).filter(|_| counters.admit()).count();
        assert_eq!((admitted, counters.dropped()), (MAX_WAITING, 3));
        counters.taken();
        assert!(counters.admit() && !counters.admit());
        assert_eq!(counters.dropped(), 4);
    }
}
