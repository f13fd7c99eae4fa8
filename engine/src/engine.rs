//! Ties the parts together: inputs in, outputs out.

mod dumps;
mod hardware;
#[cfg(test)]
mod hardware_tests;
#[cfg(test)]
mod report_tests;
mod serving;
mod start;
#[cfg(test)]
mod worker_tests;

use crate::auth::Keys;
use crate::command::{Commands, Target};
use crate::config::{AddressFamily, Config, HwTimestamp};
use crate::event::Event;
use crate::event::clock::{ClockError, ClockEvent};
use crate::event::server::ServerEvent;
use crate::io::{HardwareStamp, Input, Output, QueryId, ResolveError, SocketId, Stamp, Token};
use crate::random::Random;
use crate::server::{BadSubnet, Server, Workers};
use crate::source::{Handled, Manager};
use crate::sync::SourceId;
use crate::sync::cards::Direction;
use crate::sync::cx::{Cx, Outbox};
use crate::sync::discipline::Discipline;
use crate::sync::kernel::Clock;
use crate::sync::leap::LeapFile;
use crate::sync::reference::Start;
use crate::sync::special;
use crate::sync::tempcomp::Thermometer;
use crate::time::{Era, Mono, Now};
use crate::wire::ntp::{self, ptp};
use hardware::Hardware;
use serving::Serving;
use start::Phase;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// NTP timestamps mean times from 1970 to 2106, as in the chrony of the distributions
/// (`spec/files-and-security.md`), so that a machine may start in 1970.
pub const ERA: Era = Era::starting_at(0);
/// The end of the era is worth a warning when it is nearer than ten years, s.
const END_OF_ERA_NEAR: i64 = 3650 * 86_400;

/// Numbers of NTP sources start here; lower ones are for reference clocks.
const FIRST_SOURCE: SourceId = SourceId(1 << 16);

/// What the run is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Keep the clock.
    #[default]
    Normal,
    /// `-q`: step the clock once and end.
    UpdateOnce,
    /// `-Q`: say how wrong the clock is and end.
    PrintOnce,
}

/// How the engine is to run, beside its configuration.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// What the run is for.
    pub mode: Mode,
    /// `-4`, `-6`
    pub family: AddressFamily,
}

/// Why an engine cannot start.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StartError {
    /// A subnet with more bits than its addresses have.
    #[error("Bad subnet in {}/{}", .0.0, .0.1)]
    Subnet(BadSubnet),
    /// The file of points of `tempcomp` is not usable.
    #[error("{0}")]
    Points(ClockEvent),
    /// The kernel refused something that must work.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl From<BadSubnet> for StartError {
    fn from(bad: BadSubnet) -> Self {
        Self::Subnet(bad)
    }
}

/// The whole brain of one time daemon.
///
/// A driver calls [`Engine::handle`] for everything that happens, then [`Engine::poll_output`] until there is
/// nothing more to do, then waits until [`Engine::next_wakeup`] or the next happening.
pub struct Engine {
    discipline: Discipline,
    manager: Manager,
    serving: Serving,
    hardware: Hardware,
    commands: Commands,
    thermometer: Option<Thermometer>,
    keys: Arc<Keys>,
    random: Box<dyn Random>,
    out: Outbox,
    outputs: VecDeque<Output>,
    config: Config,
    /// Numbers the messages of NTP over PTP.
    ptp_sequence: u16,
    family: AddressFamily,
    dumps: Vec<(String, String)>,
    /// `-R`
    restarted: bool,
    phase: Phase,
    workers: Option<Box<dyn Workers>>,
}

/// Runs `$body` with `$cx` at the given time, then announces what it changed and hands on what it left.
macro_rules! with_cx {
    ($self:ident, $now:expr, $kernel:expr, |$cx:ident| $body:expr) => {{
        let now: Now = $now;
        let (cooked, _) = $self.discipline.clock.cook(now.raw);
        let $cx = &mut Cx {
            now,
            cooked,
            kernel: &mut *$kernel,
            random: &mut *$self.random,
            out: &mut $self.out,
        };
        let result = $body;
        announce_changes(
            $cx,
            &mut $self.discipline,
            &mut $self.manager,
            &mut $self.serving,
            &mut $self.hardware,
        );
        $self.hand_on();
        result
    }};
}
use with_cx;

impl Engine {
    /// An engine that has taken over the clock as it is. `start` has the contents of files that are
    /// read at start.
    ///
    /// # Errors
    /// What must end the daemon.
    pub fn new(
        config: Config,
        options: &EngineOptions,
        start: &Start<'_>,
        mut random: Box<dyn Random>,
        kernel: &mut dyn Clock,
    ) -> Result<Self, StartError> {
        let network = &config.network;
        let limited = network
            .rate_limit
            .or(network.nts_rate_limit)
            .or(network.cmd_rate_limit);
        let default_port = if options.mode == Mode::PrintOnce {
            0
        } else {
            ntp::PORT
        };
        let port = network.port.unwrap_or(default_port);
        let keys = Arc::new(Keys::default());
        let commands = Commands::new(network, config.files.dump_dir.is_some())?;
        let serving = Serving::new(network, port, options.family, &mut *random)?;
        let mut out = Outbox::default();
        if kernel.now().raw.sec() > ERA.end() - END_OF_ERA_NEAR {
            out.events.push(Event::Clock(ClockEvent::NtpTimeEnds(ERA.end())));
        }
        let mut discipline = Discipline::new(&config, start, ERA, kernel, &mut *random, &mut out)?;
        if network.signd_dir.is_some() {
            out.events.push(Event::Server(ServerEvent::SigndEnabled));
        }
        if network.no_client_log && limited.is_some() {
            // Fatal, but in its turn among the messages of the start.
            out.events.push(Event::Server(ServerEvent::RateLimitWithoutLog));
        }
        discipline.set_mode(match options.mode {
            Mode::Normal => special::Mode::Normal,
            Mode::UpdateOnce => special::Mode::UpdateOnce,
            Mode::PrintOnce => special::Mode::PrintOnce,
        });
        let log = config.files.logs.tempcomp;
        let thermometer = Thermometer::new(&config.clock, start.temp_points, log, kernel.now().mono)
            .map_err(StartError::Points)?;
        let manager = Manager::new(&config, port, Arc::clone(&keys), FIRST_SOURCE);
        let mut engine = Self {
            discipline,
            manager,
            serving,
            hardware: Hardware::default(),
            commands,
            thermometer,
            keys,
            random,
            out,
            outputs: VecDeque::new(),
            config,
            ptp_sequence: 0,
            family: options.family,
            dumps: Vec::new(),
            restarted: start.restarted,
            phase: Phase::New,
            workers: None,
        };
        engine.hand_on();
        engine.read_temperature(kernel.now().mono);
        Ok(engine)
    }

    /// Keys of NTP, after the key file was read (again).
    pub fn set_keys(&mut self, keys: Keys) {
        self.keys = Arc::new(keys);
        self.manager.set_keys(Arc::clone(&self.keys));
    }

    /// New contents of the files of the leap second database. To be called at least every half day, so that a
    /// leap second announced meanwhile is known in time.
    pub fn reload_leaps(&mut self, list: Option<LeapFile<'_>>, zone: Option<LeapFile<'_>>) {
        self.discipline.reference.reload_leaps(&mut self.out, list, zone);
        self.hand_on();
    }

    /// Dump files to be loaded when the sources are known (`-r`): names and contents.
    pub fn set_dumps(&mut self, dumps: Vec<(String, String)>) {
        self.dumps = dumps;
    }

    /// Opens the sockets of the server.
    pub fn open(&mut self) {
        self.update_server_sockets();
    }

    /// Something has happened.
    pub fn handle(&mut self, now: Now, kernel: &mut dyn Clock, input: Input<'_>) {
        with_cx!(self, now, kernel, |cx| self.discipline.check_jump(cx));
        match input {
            Input::Timeout => {
                with_cx!(self, now, kernel, |cx| self.discipline.on_timeout(cx));
                // After a change of the clock the manager stops, to be called with fresh times.
                with_cx!(self, kernel.now(), kernel, |cx| self
                    .manager
                    .on_timeout(cx, &mut self.discipline));
                self.serving.on_timeout(now.mono, &mut *self.random);
                while let Some(interface) = self.hardware.pop_due(now.mono, &mut *self.random) {
                    self.outputs.push_back(Output::ReadPhc { interface });
                }
                self.read_temperature(now.mono);
            }
            Input::Datagram {
                on,
                from,
                to,
                bytes,
                rx,
                hardware,
            } => {
                let better = hardware.and_then(|stamp| self.convert(&stamp, Direction::Received, now));
                let rx = better.unwrap_or(rx);
                let (bytes, rx) = if self.manager.is_ptp_socket(on) {
                    match unwrap(bytes, rx, self.config.network.ptp_domain) {
                        Some(message) => message,
                        None => return self.continue_start(now, kernel),
                    }
                } else {
                    (bytes, rx)
                };
                let handled = with_cx!(self, now, kernel, |cx| {
                    self.manager
                        .handle_datagram(cx, &mut self.discipline, on, from, to, bytes, rx)
                });
                if handled == Handled::Unknown {
                    self.serving.request(
                        &mut self.discipline,
                        &self.keys,
                        &mut *self.random,
                        now,
                        on,
                        from,
                        to,
                        bytes,
                        &rx,
                    );
                }
            }
            Input::SentHardware { token, tx } => {
                if let Some(tx) = self.convert(&tx, Direction::Sent, now) {
                    self.sent(now, kernel, token, tx);
                }
            }
            Input::Phc {
                interface,
                readings,
                speed,
            } => {
                let (clock, random) = (&self.discipline.clock, &mut *self.random);
                self.hardware
                    .read(interface, readings, speed, clock, now.mono, random);
            }
            Input::Sent { token, tx } => self.sent(now, kernel, token, tx),
            Input::NotSent { .. } if self.serving.sent_last() => {}
            Input::NotSent { on } => self.not_sent(now, kernel, on),
            Input::NotOpened { on } => match self.serving.not_opened(on) {
                Some(v6) => self.manager.set_server_socket(v6, None),
                None => self.not_sent(now, kernel, on),
            },
            Input::Resolved {
                query,
                result,
                unreachable,
            } => self.resolved(now, kernel, query, result, unreachable),
            Input::Temperature(temperature) => {
                with_cx!(
                    self,
                    now,
                    kernel,
                    |cx| if let Some(thermometer) = &self.thermometer {
                        thermometer.read(cx, &mut self.discipline.clock, temperature);
                    }
                );
            }
            Input::Signed { on, to, from, bytes } => self.outputs.push_back(Output::Send {
                on,
                to,
                from,
                bytes,
                token: None,
            }),
            Input::Command { from, bytes } => {
                let reply = with_cx!(self, now, kernel, |cx| {
                    let target = &mut Target {
                        discipline: &mut self.discipline,
                        manager: &mut self.manager,
                        access: &mut self.serving.access,
                        shard: &mut self.serving.shard,
                        workers: self.workers.as_deref_mut(),
                        keys: &self.keys,
                        outputs: &mut self.outputs,
                    };
                    self.commands.handle(cx, target, &from, bytes)
                });
                if let Some(bytes) = reply {
                    // When the client hears of it, it is done: logs are closed, sources reloaded.
                    self.outputs.push_back(Output::Reply { to: from, bytes });
                }
                self.update_server_sockets();
            }
        }
        self.continue_start(now, kernel);
    }

    /// Asks for the temperature if it is time.
    fn read_temperature(&mut self, now: Mono) {
        let file = self
            .thermometer
            .as_mut()
            .and_then(|thermometer| thermometer.due(now));
        self.outputs.extend(file.map(Output::ReadTemperature));
    }

    /// Timestamps of the network card of this interface are to be used; `config` says how.
    pub fn add_hardware(&mut self, interface: u32, config: &HwTimestamp) {
        self.hardware.add(interface, config);
        self.manager
            .set_hardware_timeout(Some(self.config.network.hw_timeout).filter(|timeout| *timeout > 0.0));
    }

    /// The clock of this interface's card is to be read ([`Input::Phc`]) before a timestamp of it is handed in.
    #[must_use]
    pub fn is_phc_due(&self, interface: u32, now: Now) -> bool {
        self.hardware.cards().is_due(interface, now.mono)
    }

    fn convert(&self, stamp: &HardwareStamp, direction: Direction, now: Now) -> Option<Stamp> {
        let cook = self.discipline.clock.snapshot();
        self.hardware.cards().convert(stamp, direction, &cook, now.raw)
    }

    /// A better transmit timestamp.
    fn sent(&mut self, now: Now, kernel: &mut dyn Clock, token: Token, tx: Stamp) {
        match token {
            Token::Source(token) => with_cx!(self, now, kernel, |cx| self.manager.sent(
                cx,
                &mut self.discipline,
                token,
                tx
            )),
            Token::Reply(receive) => self.server(now, kernel).sent(receive, &tx),
        }
    }

    /// What answers a batch of requests for which [`crate::server::is_plain`] holds, received on a socket of the
    /// server. A driver may hand over each of them as [`Input::Datagram`] as well; that only takes longer.
    pub fn server(&mut self, now: Now, kernel: &mut dyn Clock) -> Server<'_> {
        with_cx!(self, now, kernel, |cx| self.discipline.check_jump(cx));
        let (cards, random) = (self.hardware.cards(), &mut *self.random);
        self.serving
            .server(&mut self.discipline, &self.keys, cards, random, now)
    }

    fn not_sent(&mut self, now: Now, kernel: &mut dyn Clock, on: SocketId) {
        with_cx!(self, now, kernel, |cx| self.manager.not_sent(
            cx,
            &mut self.discipline,
            on
        ));
    }

    /// What is to be done next; to be called until there is nothing more, after every call of another method.
    /// Packets are made here, with the time from `now`, which is to be read freshly for each call.
    #[must_use]
    pub fn poll_output(&mut self, now: Now, kernel: &mut dyn Clock) -> Option<Output> {
        let mut output = self.next_output(now, kernel)?;
        if let Output::Send { on, bytes, .. } = &mut output
            && self.manager.is_ptp_socket(*on)
        {
            *bytes = ptp::wrap(bytes, self.config.network.ptp_domain, self.ptp_sequence);
            self.ptp_sequence = self.ptp_sequence.wrapping_add(1);
        }
        Some(output)
    }

    fn next_output(&mut self, now: Now, kernel: &mut dyn Clock) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if let Some(output) =
            self.serving
                .poll_output(&mut self.discipline, &self.keys, &mut *self.random, now)
        {
            return Some(output);
        }
        self.serving.other_sent();
        let output = with_cx!(self, now, kernel, |cx| self
            .manager
            .poll_output(cx, &mut self.discipline));
        // Building a packet may have had something to say.
        output.or_else(|| self.outputs.pop_front())
    }

    /// When the engine wants [`Input::Timeout`].
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Mono> {
        [
            self.discipline.next_wakeup(),
            self.manager.next_wakeup(),
            self.serving.next_wakeup(),
            self.hardware.next_wakeup(),
            self.start_wakeup(),
            self.thermometer.as_ref().map(Thermometer::next_wakeup),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Nothing will ever be done unless something comes from outside.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let timers = [
            self.discipline.reference.next_wakeup(),
            self.manager.next_wakeup(),
            self.serving.next_wakeup(),
            self.hardware.next_wakeup(),
            self.start_wakeup(),
            self.thermometer.as_ref().map(Thermometer::next_wakeup),
        ];
        self.discipline.clock.is_idle() && timers.iter().all(Option::is_none)
    }

    /// Our own stratum is below 16, by a source or by `local` mode: exit status of `-t`.
    pub fn is_synchronised(&mut self, now: Now) -> bool {
        let (cooked, _) = self.discipline.clock.cook(now.raw);
        self.discipline.reference.served(cooked, now.mono).stratum < 16
    }

    /// Ends in good order: what is left of a slew is dropped, dump files and the drift file are handed to the
    /// driver. Afterwards only [`Engine::poll_output`] is to be called.
    pub fn shutdown(&mut self, now: Now, kernel: &mut dyn Clock) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        self.phase = Phase::Ended;
        with_cx!(self, now, kernel, |cx| self.discipline.stop(cx));
        if self.config.files.dump_dir.is_some() {
            self.outputs
                .extend(crate::command::dumps(&self.discipline.sources));
        }
        self.discipline.set_mode(special::Mode::Ignore);
        with_cx!(self, now, kernel, |cx| self.discipline.finish(cx));
    }

    fn resolved(
        &mut self,
        now: Now,
        kernel: &mut dyn Clock,
        query: QueryId,
        result: Result<Vec<IpAddr>, ResolveError>,
        unreachable: &[IpAddr],
    ) {
        let result = result.map(|addresses| {
            let wanted = |ip: &IpAddr| match self.family {
                AddressFamily::Any => true,
                AddressFamily::V4 => ip.is_ipv4(),
                AddressFamily::V6 => ip.is_ipv6(),
            };
            addresses.into_iter().filter(wanted).collect()
        });
        with_cx!(self, now, kernel, |cx| self.manager.resolved(
            cx,
            &mut self.discipline,
            query,
            result,
            unreachable
        ));
        self.update_server_sockets();
    }

    /// Opens and closes the sockets of the server as access list, peers and requests need them.
    fn update_server_sockets(&mut self) {
        for v6 in [false, true] {
            let sources = self.manager.server_socket_users(v6);
            if let Some(socket) = self.serving.update_socket(v6, sources, &mut self.outputs) {
                self.manager.set_server_socket(v6, socket);
            }
        }
    }

    /// Hands on what handlers have left.
    fn hand_on(&mut self) {
        self.outputs.extend(self.out.events.drain(..).map(Output::Log));
        self.outputs
            .extend(self.out.records.drain(..).map(Output::Record));
        self.outputs.extend(self.out.mails.drain(..).map(Output::Mail));
        self.outputs.extend(self.out.saves.drain(..).map(Output::Save));
        if let Some(status) = self.out.exit.take() {
            self.outputs.push_back(Output::Exit(status));
        }
    }
}

/// The NTP message within a PTP message, and its receive timestamp with what the network added to it.
fn unwrap(bytes: &[u8], rx: Stamp, domain: u8) -> Option<(&[u8], Stamp)> {
    let (message, correction) = ptp::unwrap(bytes, domain)?;
    // Without the duration, which only network cards tell, the correction would be less than it seems.
    let correction = if rx.correction > 0.0 {
        rx.correction + correction
    } else {
        rx.correction
    };
    Some((message, Stamp { correction, ..rx }))
}

/// Announces changes of the clock, in order, to all who keep cooked times (`spec/sync.md` section 10).
fn announce_changes(
    cx: &mut Cx<'_>,
    discipline: &mut Discipline,
    manager: &mut Manager,
    serving: &mut Serving,
    hardware: &mut Hardware,
) {
    while !cx.out.changes.is_empty() {
        for change in std::mem::take(&mut cx.out.changes) {
            discipline.announce(cx, &change);
            manager.announce(cx, discipline, &change);
            serving.announce(&change);
            hardware.announce(&change);
        }
    }
}
