//! The order in which the main loop looks at the server's sockets that have something: all of them once, then a wait for
//! all together, then again.

use std::time::Duration;
use truechimer_engine::io::SocketId;

/// Looks at each socket before others than the server get their turn.
const ROUNDS: usize = 8;
/// The same, of rounds after which there may be more at once: each takes longer, on a slow processor much longer.
const MAX_FULL: usize = 4;
/// Looks at a socket that show nothing, one after the other, until it is left alone.
const MAX_VAIN: u32 = 32;

/// What a look at a socket has shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    /// Nothing.
    Nothing,
    /// There may be more.
    More,
    /// All that was there.
    All,
    /// It is not to be looked at any more.
    Gone,
}

/// Who has the sockets.
pub(super) trait Serves {
    /// What makes it impossible to go on.
    type Error;

    /// Takes a batch from a socket and answers it. `stamps_due`: transmit timestamps of its replies are to be looked for,
    /// now, and then after this batch.
    ///
    /// # Errors
    /// The daemon has to end.
    fn look(&mut self, socket: SocketId, stamps_due: &mut bool) -> Result<Seen, Self::Error>;

    /// How long to wait for more after a round; none: until something is announced.
    fn pause(&mut self) -> Option<Duration>;

    /// Stops or resumes the announcements of a socket; false if that is not possible now.
    fn announce(&mut self, socket: SocketId, announced: bool) -> bool;

    /// Waits; false if something else is to be done now.
    fn wait(&mut self, time: Duration) -> bool;
}

#[derive(Debug)]
struct Member {
    socket: SocketId,
    stamps_due: bool,
    seen: Seen,
    /// Looks that have shown nothing.
    vain: u32,
}

/// The sockets that have something, or may have it without that being announced.
#[derive(Debug, Default)]
pub(super) struct Rounds(Vec<Member>);

impl Rounds {
    /// Something was announced on a socket. True if a turn is due for that; else one will come anyway.
    pub(super) fn join(&mut self, socket: SocketId) -> bool {
        let first = self.0.is_empty();
        if self.0.iter().all(|member| member.socket != socket) {
            self.0.push(Member {
                socket,
                stamps_due: false,
                seen: Seen::Nothing,
                vain: 0,
            });
        }
        first
    }

    /// Looks at all sockets, again and again; true if there is to be another turn when others had theirs.
    ///
    /// # Errors
    /// The daemon has to end.
    pub(super) fn turn<S: Serves>(&mut self, server: &mut S) -> Result<bool, S::Error> {
        let mut full = 0;
        for _ in 0..ROUNDS {
            for member in &mut self.0 {
                member.seen = server.look(member.socket, &mut member.stamps_due)?;
                let in_vain = member.seen == Seen::Nothing;
                member.vain = if in_vain { member.vain + 1 } else { 0 };
            }
            let pause = server.pause();
            self.0.retain(|member| {
                let awaited = pause.is_some() && member.vain < MAX_VAIN;
                member.seen != Seen::Gone
                    && (!server.announce(member.socket, !awaited) || awaited || member.seen == Seen::More)
            });
            if self.0.is_empty() {
                return Ok(false);
            }
            if self.0.iter().any(|member| member.seen == Seen::More) {
                full += 1;
                if full == MAX_FULL {
                    break;
                }
            } else if !pause.is_some_and(|pause| server.wait(pause)) {
                break;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const SECOND: u64 = 1_000_000_000;
    const BATCH: u64 = 32;
    const PAUSE: Duration = Duration::from_micros(400);
    /// What a look takes, ns.
    const LOOK: u64 = 20_000;
    /// What a socket holds.
    const ROOM: u64 = 1000;

    /// A socket to which requests come.
    #[derive(Clone, Copy, Debug)]
    struct Socket {
        /// Between two requests, ns.
        period: u64,
        taken: u64,
        lost: u64,
        looks: u32,
        announced: bool,
    }

    impl Socket {
        fn queued(&self, now: u64) -> u64 {
            now / self.period - self.taken - self.lost
        }
    }

    /// Sockets in a time of their own (ns).
    struct Simulated {
        now: u64,
        sockets: Vec<Socket>,
        pause: Option<Duration>,
        waits: usize,
        /// How often announcements can't be resumed yet.
        slow: usize,
    }

    fn simulated(periods: &[u64]) -> Simulated {
        let socket = |&period| Socket {
            period,
            taken: 0,
            lost: 0,
            looks: 0,
            announced: true,
        };
        Simulated {
            now: 0,
            sockets: periods.iter().map(socket).collect(),
            pause: Some(PAUSE),
            waits: 0,
            slow: 0,
        }
    }

    impl Simulated {
        /// One turn after the other for a second; sockets are announced that have something. When the last one ended.
        fn run(&mut self) -> (u64, Vec<Socket>) {
            let mut rounds = Rounds::default();
            let mut again = false;
            while self.now < SECOND {
                let mut due = again;
                for (place, socket) in self.sockets.iter().enumerate() {
                    if socket.announced && socket.queued(self.now) > 0 {
                        due |= rounds.join(SocketId(place as u32));
                    }
                }
                if due {
                    self.waits = 0;
                    again = rounds.turn(self).unwrap();
                    assert!(self.waits <= ROUNDS);
                    assert_eq!(again, !rounds.0.is_empty());
                } else {
                    self.now += LOOK;
                }
            }
            (self.now, self.sockets.clone())
        }
    }

    impl Serves for Simulated {
        type Error = Infallible;

        fn look(&mut self, SocketId(place): SocketId, _: &mut bool) -> Result<Seen, Infallible> {
            self.now += LOOK;
            let socket = &mut self.sockets[place as usize];
            socket.looks += 1;
            socket.lost += socket.queued(self.now).saturating_sub(ROOM);
            let count = socket.queued(self.now).min(BATCH);
            socket.taken += count;
            Ok(match count {
                0 => Seen::Nothing,
                BATCH => Seen::More,
                _ => Seen::All,
            })
        }

        fn pause(&mut self) -> Option<Duration> {
            self.pause
        }

        fn announce(&mut self, SocketId(place): SocketId, announced: bool) -> bool {
            let socket = &mut self.sockets[place as usize];
            if announced && !socket.announced && self.slow > 0 {
                self.slow -= 1;
                return false;
            }
            socket.announced = announced;
            true
        }

        fn wait(&mut self, time: Duration) -> bool {
            self.now += time.as_nanos() as u64;
            self.waits += 1;
            true
        }
    }

    #[test]
    fn who_has_little_costs_others_nothing() {
        for periods in [
            [7000, SECOND / 500],
            [7000, SECOND / 20],
            [14_000, 14_000],
            [20_000, 10_000],
        ] {
            let mut world = simulated(&periods);
            let (now, sockets) = world.run();
            for socket in sockets {
                assert_eq!(socket.lost, 0, "{socket:?}");
                // What is left has come in the last round, or is announced.
                assert!(socket.queued(now) <= 1 + 1_000_000 / socket.period, "{socket:?}");
            }
        }
    }

    #[test]
    fn who_has_too_much_leaves_others_theirs() {
        let mut world = simulated(&[400, SECOND / 500, SECOND / 10_000]);
        let (now, sockets) = world.run();
        let [much, few, more] = sockets[..] else { panic!() };
        assert!(
            much.lost > 0 && few.lost == 0 && more.lost == 0,
            "{much:?} {few:?} {more:?}"
        );
        assert!(few.queued(now) <= 1 && more.queued(now) <= 4, "{few:?} {more:?}");
    }

    #[test]
    fn others_come_after_a_few_full_rounds() {
        let mut world = simulated(&[400, SECOND]);
        world.now = SECOND / 2;
        let mut rounds = Rounds::default();
        assert!(rounds.join(SocketId(0)) && !rounds.join(SocketId(1)));
        for turn in 1..=5 {
            assert_eq!(rounds.turn(&mut world), Ok(true));
            assert!(
                world
                    .sockets
                    .iter()
                    .all(|socket| socket.looks as usize == MAX_FULL * turn),
                "{turn}"
            );
        }
        assert_eq!(world.waits, 0);
    }

    #[test]
    fn who_has_nothing_is_left_alone() {
        let mut world = simulated(&[20_000, SECOND / 4]);
        let (_, sockets) = world.run();
        let seldom = sockets[1];
        assert!(
            seldom.taken == 3 && seldom.announced && seldom.looks <= 3 * (MAX_VAIN + 1),
            "{seldom:?}"
        );
    }

    #[test]
    fn few_requests_are_announced() {
        let mut world = simulated(&[SECOND / 1000, SECOND / 100]);
        world.pause = None;
        let (now, sockets) = world.run();
        for socket in sockets {
            assert!(
                socket.announced && u64::from(socket.looks) <= socket.taken,
                "{socket:?}"
            );
            assert!(socket.queued(now) <= 1, "{socket:?}");
        }
    }

    #[test]
    fn nobody_is_left_before_he_is_announced_again() {
        let mut world = simulated(&[SECOND / 4, SECOND / 4]);
        let mut rounds = Rounds::default();
        world.now = SECOND;
        assert!(rounds.join(SocketId(0)) && !rounds.join(SocketId(1)) && !rounds.join(SocketId(0)));
        assert_eq!(rounds.turn(&mut world), Ok(true));
        assert_eq!(world.waits, ROUNDS);
        (world.pause, world.slow) = (None, 3);
        assert_eq!(rounds.turn(&mut world), Ok(true));
        assert_eq!(world.waits, ROUNDS, "something else is done meanwhile");
        assert_eq!(rounds.turn(&mut world), Ok(true));
        assert_eq!(rounds.turn(&mut world), Ok(false));
        assert!(
            world
                .sockets
                .iter()
                .all(|socket| socket.announced && socket.taken == 4)
        );
    }
}
