//! An engine with a clock of its own and nobody around it but the input.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use truechimer_engine::auth::Keys;
use truechimer_engine::config::{Config, Environment, Loader, Options, Unsearchable};
use truechimer_engine::engine::{Engine, EngineOptions};
use truechimer_engine::io::{FileJob, Input, Origin, Output, SocketId, SocketSpec, Stamp, Token};
use truechimer_engine::random::Seeded;
use truechimer_engine::sync::kernel::{Clock, ClockError, KernelStatus, Limits};
use truechimer_engine::sync::reference::Start;
use truechimer_engine::time::{FastBy, Mono, Now, Ppm, Raw};

/// More outputs for one input, or more timers at one time, are a loop without end.
const TOO_MANY: u32 = 100_000;
const SECOND: i64 = 1_000_000_000;

/// A clock that goes by itself only in [`World::pass`].
pub(super) struct StillClock {
    mono: i64,
    /// Wall clock less monotonic clock, ns.
    ahead: i128,
    frequency: Ppm,
}

impl Clock for StillClock {
    fn limits(&self) -> Limits {
        Limits {
            control: true,
            leap: true,
            max_frequency: Ppm(100_000.0),
            max_delay: 1e-5,
            precision: 1e-7,
        }
    }

    fn now(&mut self) -> Now {
        let wall = i128::from(self.mono) + self.ahead;
        let second = i128::from(SECOND);
        Now {
            mono: Mono(self.mono),
            raw: Raw::new(wall.div_euclid(second) as i64, wall.rem_euclid(second) as u32),
        }
    }

    fn frequency(&mut self) -> Result<Ppm, ClockError> {
        Ok(self.frequency)
    }

    fn set_frequency(&mut self, wanted: Ppm) -> Result<(Ppm, Raw), ClockError> {
        assert!(
            wanted.0.abs() <= 100_000.001,
            "a frequency that no kernel takes: {wanted:?}"
        );
        self.frequency = wanted;
        Ok((wanted, self.now().raw))
    }

    fn step(&mut self, by: FastBy) -> Result<(), ClockError> {
        assert!(by.0.is_finite(), "a step by {by:?}");
        self.ahead -= (by.0 * 1e9) as i128;
        Ok(())
    }

    fn set_status(&mut self, status: KernelStatus) -> Result<(), ClockError> {
        assert!((-1..=1).contains(&status.leap), "{status:?}");
        assert!(
            !status.est_error.is_nan() && !status.max_error.is_nan(),
            "{status:?}"
        );
        Ok(())
    }
}

/// A datagram that the engine sent.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) on: SocketId,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) token: Option<Token>,
}

/// The engine and what it left.
pub(super) struct World {
    engine: Engine,
    clock: StillClock,
    sockets: BTreeMap<SocketId, SocketSpec>,
    /// Last datagram to each address.
    pub(super) sent: BTreeMap<SocketAddr, Sent>,
    /// All since this was taken last.
    pub(super) fresh: Vec<Sent>,
    pub(super) replies: Vec<Vec<u8>>,
    pub(super) dumps: BTreeMap<String, String>,
    ended: bool,
}

/// No files, and names that all resolve.
struct Nothing;

impl Environment for Nothing {
    fn read(&mut self, _: &str) -> Result<Vec<u8>, String> {
        Err("No such file or directory".to_owned())
    }

    fn glob(&mut self, _: &str) -> Result<Vec<String>, Unsearchable> {
        Err(Unsearchable)
    }

    fn resolve(&mut self, _: &str) -> Option<IpAddr> {
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99)))
    }
}

/// A configuration of these lines, which are right.
pub(super) fn configured(lines: &[&str]) -> Config {
    let mut nothing = Nothing;
    let mut loader = Loader::new(&mut nothing, Options::default());
    loader.directives(lines).expect("lines that are right");
    loader.finish()
}

impl World {
    /// Starts an engine in June 2015, shortly before a leap second; `None` if it refuses its configuration.
    pub(super) fn new(
        config: Config,
        start: &Start<'_>,
        keys: &[u8],
        dumps: Vec<(String, String)>,
    ) -> Option<Self> {
        let mut clock = StillClock {
            mono: 1000 * SECOND,
            ahead: 1_435_700_000 * i128::from(SECOND),
            frequency: Ppm(0.0),
        };
        let random = Box::new(Seeded::new(1));
        let mut engine = Engine::new(config, &EngineOptions::default(), start, random, &mut clock).ok()?;
        engine.set_keys(Keys::parse(keys, "keys").0);
        engine.set_dumps(dumps);
        engine.open();
        let now = clock.now();
        engine.start(now, &mut clock, Vec::new());
        let mut world = Self {
            engine,
            clock,
            sockets: BTreeMap::new(),
            sent: BTreeMap::new(),
            fresh: Vec::new(),
            replies: Vec::new(),
            dumps: BTreeMap::new(),
            ended: false,
        };
        world.drain();
        Some(world)
    }

    pub(super) fn now(&mut self) -> Raw {
        self.clock.now().raw
    }

    /// Somebody else sets the wall clock.
    pub(super) fn disturb(&mut self, seconds: f64) {
        self.clock.ahead += (seconds * 1e9) as i128;
    }

    /// A socket of the server; IPv4 or IPv6.
    pub(super) fn server(&self, v6: bool) -> Option<SocketId> {
        let bound =
            |spec: &SocketSpec| matches!(spec, SocketSpec::Bound { local, .. } if local.is_ipv6() == v6);
        self.sockets
            .iter()
            .find(|(_, spec)| bound(spec))
            .map(|(id, _)| *id)
    }

    pub(super) fn input(&mut self, input: Input<'_>) {
        if self.ended {
            return;
        }
        let now = self.clock.now();
        self.engine.handle(now, &mut self.clock, input);
        self.drain();
    }

    /// A datagram arrives, `late` seconds before now.
    pub(super) fn datagram(&mut self, on: SocketId, from: SocketAddr, bytes: &[u8], late: f64) {
        let rx = Stamp {
            at: self.now().plus(-late),
            error: 1e-6,
            origin: Origin::Kernel,
            ..Stamp::default()
        };
        let to = Some(match from {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
        self.input(Input::Datagram {
            hardware: None,
            on,
            from,
            to,
            bytes,
            rx,
        });
    }

    /// Lets time pass, with all its timers.
    pub(super) fn pass(&mut self, seconds: f64) {
        let end = self.clock.mono + (seconds * 1e9) as i64;
        let mut at_this_time = 0;
        while !self.ended
            && let Some(due) = self.engine.next_wakeup().filter(|due| due.0 <= end)
        {
            at_this_time = if due.0 > self.clock.mono {
                0
            } else {
                at_this_time + 1
            };
            assert!(at_this_time < TOO_MANY, "a timer that never ends");
            self.clock.mono = self.clock.mono.max(due.0);
            self.input(Input::Timeout);
        }
        self.clock.mono = end;
    }

    /// Ends the engine in good order.
    pub(super) fn end(&mut self) {
        if !self.ended {
            let now = self.clock.now();
            self.engine.shutdown(now, &mut self.clock);
            self.drain();
        }
        self.ended = true;
    }

    fn drain(&mut self) {
        let mut count = 0;
        while !self.ended {
            count += 1;
            assert!(count < TOO_MANY, "outputs without end");
            let now = self.clock.now();
            let Some(output) = self.engine.poll_output(now, &mut self.clock) else {
                break;
            };
            match output {
                Output::Open { socket, spec } => {
                    self.sockets.insert(socket, spec);
                }
                Output::Close(socket) => {
                    self.sockets.remove(&socket);
                }
                Output::Send {
                    on, to, bytes, token, ..
                } => {
                    let bytes = bytes.to_vec();
                    let sent = Sent { on, to, bytes, token };
                    self.sent.insert(to, sent.clone());
                    self.fresh.push(sent);
                }
                Output::Resolve { query, name } => {
                    let last = name.bytes().last().unwrap_or(0);
                    let result = Ok(vec![IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))]);
                    let input = Input::Resolved {
                        query,
                        result,
                        unreachable: &[],
                    };
                    self.engine.handle(now, &mut self.clock, input);
                }
                Output::Reply { bytes, .. } => self.replies.push(bytes.to_vec()),
                Output::Log(event) => assert!(!event.to_string().is_empty()),
                Output::Save(FileJob::Dump {
                    name,
                    text: Some(text),
                }) => {
                    self.dumps.insert(name, text);
                }
                Output::Save(FileJob::Drift { frequency, skew }) => {
                    assert!(
                        frequency.is_finite() && !skew.is_nan(),
                        "drift {frequency} {skew}"
                    );
                }
                Output::ReloadSources => self.engine.reload_sources(now, &mut self.clock, Vec::new()),
                Output::Exit(_) => {
                    self.engine.shutdown(now, &mut self.clock);
                    self.ended = true;
                }
                // Nobody signs, mails, or has a thermometer.
                _ => {}
            }
        }
    }
}
