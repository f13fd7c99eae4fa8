//! The main loop: one task that owns the engine, wakes up, tells the engine, does what it says.

use super::leap_files::LeapFiles;
use super::rounds::Rounds;
use super::{Fatal, dumps, keys, mail};
use crate::clock::{SystemClock, read_temperature, write_drift};
use crate::config_files::ConfigFiles;
use crate::logs::{self, LogFiles, MessageLog};
use crate::net::{
    Arrival, CommandSockets, Key, NtpSockets, Pace, Publication, Resolver, Responder, Signed, Signer, Wake,
    WakeQueue, Wakes,
};
use crate::sys::error::reason;
use crate::sys::socket::{Batch, Queue, Received};
use crate::sys::timer::Timer;
use crate::sys::watch;
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use truechimer_engine::config::{AddressFamily, Config, source_files};
use truechimer_engine::engine::Engine;
use truechimer_engine::event::{Event, Severity};
use truechimer_engine::io::{FileJob, Input, Output, QueryId, ResolveError, Role, SocketId, SocketSpec};
use truechimer_engine::time::{Mono, Now, Raw};
use truechimer_engine::wire::ntp;

/// Batches taken from one socket before others get their turn.
const MAX_BATCHES: usize = 4;

/// How long (s) the files of the leap second database are taken to be unchanged: chrony reads them at most
/// this often.
const LEAP_PERIOD: f64 = 43_200.0;

/// How the loop ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// By a signal or a command.
    Wanted,
    /// After the time of `-t`.
    Timeout,
    /// By the engine, with this exit status.
    Status(u8),
}

/// Everything that a running daemon has.
pub(super) struct Daemon {
    pub(super) engine: Engine,
    pub(super) clock: SystemClock,
    pub(super) sockets: NtpSockets,
    pub(super) commands: CommandSockets,
    pub(super) resolver: Resolver,
    /// `ntpsigndsocket`
    pub(super) signer: Option<Signer>,
    pub(super) log_files: LogFiles,
    pub(super) log: MessageLog,
    pub(super) config: Config,
    pub(super) family: AddressFamily,
    /// What worker threads serve from, when they have started.
    pub(super) publication: Option<Publication>,
    /// Set when the runtime has started.
    pub(super) wakes: Option<Wakes>,
    pub(super) ending: Option<Ending>,
    /// When the files of the leap second database were read.
    pub(super) leaps_read: Mono,
    /// Sockets of the server that have something.
    pub(super) rounds: Rounds,
    /// Where there is more to read; others come first.
    pub(super) again: Vec<Key>,
}

/// What the loop waits for.
pub(super) struct Events {
    wakes: WakeQueue,
    timer: AsyncFd<Timer>,
    /// What the timer is set to.
    armed: Option<Mono>,
}

fn no_runtime(error: &io::Error) -> Fatal {
    Fatal(format!("Could not start runtime : {error}"))
}

impl Daemon {
    /// Both clocks, now.
    pub(super) fn now(&mut self) -> Now {
        self.clock.as_clock().now()
    }

    /// Opens the sockets that need privileges. What else the engine has to say waits until they are dropped.
    pub(super) fn open_sockets(&mut self) -> Result<Vec<Output>, Fatal> {
        self.engine.open();
        let network = &self.config.network;
        let port = network.port;
        let all_permanent = network.acquisition_port.is_some() && network.acquisition_port == port;
        let (mut permanent, mut opened) = (0, 0);
        let mut deferred = Vec::new();
        loop {
            let now = self.now();
            let Some(output) = self.engine.poll_output(now, self.clock.as_clock()) else {
                break;
            };
            match output {
                Output::Open { socket, spec } => {
                    let counts = match spec {
                        SocketSpec::Bound { role, .. } => match role {
                            Role::Client => true,
                            Role::Server => all_permanent,
                            Role::Ptp => false,
                        },
                        SocketSpec::Client { .. } => false,
                    };
                    let done = self.open(socket, &spec);
                    permanent += u32::from(counts);
                    opened += u32::from(counts && done);
                }
                other => deferred.push(other),
            }
        }
        if permanent > 0 && opened == 0 {
            return Err(Fatal::new("Could not open NTP sockets"));
        }
        Ok(deferred)
    }

    /// Installs the signal handlers and watches everything that is open.
    pub(super) fn enter_runtime(&mut self) -> Result<Events, Fatal> {
        let (wakes, receiver) = Wakes::new();
        for (kind, number) in [
            (SignalKind::terminate(), libc::SIGTERM),
            (SignalKind::interrupt(), libc::SIGINT),
            (SignalKind::quit(), libc::SIGQUIT),
            (SignalKind::hangup(), libc::SIGHUP),
        ] {
            let mut stream = signal(kind).map_err(|_| Fatal(format!("sigaction({number}) failed")))?;
            let wakes = wakes.clone();
            tokio::spawn(async move {
                stream.recv().await;
                wakes.push(Wake::Stop);
            });
        }
        self.sockets.start(&wakes).map_err(|error| no_runtime(&error))?;
        self.resolver.start(&wakes).map_err(|error| no_runtime(&error))?;
        self.wakes = Some(wakes);
        self.watch_commands()?;
        let timer = Timer::new()
            .and_then(watch::timer)
            .map_err(|error| no_runtime(&error))?;
        Ok(Events {
            wakes: receiver,
            timer,
            armed: None,
        })
    }

    /// Watches the command sockets that are not watched yet.
    pub(super) fn watch_commands(&mut self) -> Result<(), Fatal> {
        match &self.wakes {
            Some(wakes) => self.commands.start(wakes).map_err(|error| no_runtime(&error)),
            None => Ok(()),
        }
    }

    /// Runs until something ends it, at `deadline` at the latest; or until the start is past `initstepslew`.
    pub(super) async fn run(
        &mut self,
        events: &mut Events,
        deadline: Mono,
        until_ready: bool,
    ) -> Result<(), Fatal> {
        let mut batch = Batch::new();
        let mut responder = Responder::new(Pace::alone());
        loop {
            self.work_off()?;
            if self.ending.is_some() || until_ready && self.engine.is_ready() {
                return Ok(());
            }
            let wakeup = self
                .engine
                .next_wakeup()
                .map_or(deadline, |next| next.min(deadline));
            if deadline == Mono(i64::MAX) && self.engine.is_idle() && self.is_deaf() {
                return Err(Fatal::new("Nothing to do"));
            }
            events.arm(wakeup)?;
            let wake = events.next().await?;
            let now = self.now();
            if now.mono >= deadline {
                logs::info("Timeout reached");
                self.ending = Some(Ending::Timeout);
                return Ok(());
            }
            self.refresh_leaps(now.mono);
            if self.engine.next_wakeup().is_some_and(|next| next <= now.mono) {
                self.handle(now, Input::Timeout)?;
            }
            if let Some(wake) = wake {
                self.wake(wake, &mut batch, &mut responder)?;
            }
            if let Some(wakes) = self.wakes.as_ref().filter(|_| !self.again.is_empty()) {
                wakes.push_behind(self.again.drain(..)).await;
            }
        }
    }

    /// Neither a socket nor an answer could wake us up.
    fn is_deaf(&self) -> bool {
        self.sockets.is_empty() && self.commands.is_empty() && self.resolver.is_idle()
    }

    /// Reads the files of the leap second database again if it is time. Without anything that wakes us up
    /// nobody asks for them.
    fn refresh_leaps(&mut self, now: Mono) {
        if self.leaps_read.plus(LEAP_PERIOD) > now {
            return;
        }
        self.leaps_read = now;
        let config = &self.config.clock;
        let files = LeapFiles::read(config);
        self.engine.reload_leaps(files.list(config), files.zone(config));
    }

    fn wake(&mut self, wake: Wake, batch: &mut Batch, responder: &mut Responder) -> Result<(), Fatal> {
        match wake {
            Wake::Stop => self.ending = Some(Ending::Wanted),
            Wake::Resolved(query, result) => self.resolved(query, result)?,
            Wake::Forwarded(datagram) => self.take_forwarded(&datagram)?,
            Wake::Clock => {
                let now = self.now();
                self.handle(now, Input::Timeout)?;
            }
            Wake::Card(interface) => {
                let now = self.now();
                self.refresh_phc(now, Some(interface))?;
            }
            Wake::Socket(Key::Resolver) => self.read_answers()?,
            Wake::Socket(Key::Signer) => self.read_signed(),
            Wake::Socket(Key::Server) => self.serve(responder)?,
            Wake::Socket(Key::Ntp(socket)) if self.serves_in_batches(socket) => {
                if self.rounds.join(socket) {
                    self.serve(responder)?;
                }
            }
            Wake::Socket(Key::Ntp(socket)) => self.read_ntp(socket, batch)?,
            Wake::Socket(key) => self.read_commands(key, batch)?,
        }
        Ok(())
    }

    /// Transmit timestamps first: they belong to requests whose replies may be waiting behind.
    fn read_ntp(&mut self, socket: SocketId, batch: &mut Batch) -> Result<(), Fatal> {
        for queue in [Queue::Error, Queue::Data] {
            let mut batches = 0;
            while self.sockets.receive(socket, queue, batch) {
                let now = self.now();
                for received in batch.datagrams() {
                    // A worker forwards it, if it is not its own.
                    if received.info.to_many && self.sockets.is_shared(socket) {
                        continue;
                    }
                    self.arrived(socket, queue, &received, now, now.raw)?;
                }
                batches += 1;
                if batches == MAX_BATCHES {
                    self.come_back(Key::Ntp(socket));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Tells the engine what a datagram means that was taken from its socket at `taken`.
    pub(super) fn arrived(
        &mut self,
        socket: SocketId,
        queue: Queue,
        received: &Received<'_>,
        now: Now,
        taken: Raw,
    ) -> Result<(), Fatal> {
        match self.sockets.arrival(socket, queue, received, taken) {
            Some(Arrival::Datagram {
                from,
                to,
                bytes,
                rx,
                hardware,
            }) => {
                self.refresh_phc(now, hardware.map(|stamp| stamp.interface))?;
                self.handle(
                    now,
                    Input::Datagram {
                        on: socket,
                        from,
                        to,
                        bytes,
                        rx,
                        hardware,
                    },
                )?;
            }
            Some(Arrival::Sent { token, tx }) => self.handle(now, Input::Sent { token, tx })?,
            Some(Arrival::SentHardware { token, tx }) => {
                self.refresh_phc(now, Some(tx.interface))?;
                self.handle(now, Input::SentHardware { token, tx })?;
            }
            None => {}
        }
        Ok(())
    }

    fn read_signed(&mut self) {
        while let Some(signed) = self.signer.as_mut().and_then(Signer::receive) {
            let Signed { on, to, from, bytes } = signed;
            self.tell(Input::Signed { on, to, from, bytes });
        }
    }

    /// Reads the clock of a network card if that is due; its timestamp comes next.
    pub(super) fn refresh_phc(&mut self, now: Now, interface: Option<u32>) -> Result<(), Fatal> {
        match interface.filter(|&interface| self.engine.is_phc_due(interface, now)) {
            Some(interface) => {
                self.read_phc(interface);
                self.work_off()
            }
            None => Ok(()),
        }
    }

    fn read_phc(&mut self, interface: u32) {
        let (readings, speed) = self.sockets.read_phc(interface);
        self.tell(Input::Phc {
            interface,
            readings: &readings,
            speed,
        });
    }

    fn read_answers(&mut self) -> Result<(), Fatal> {
        let gone = |error| Fatal(format!("Could not read from helper : {}", reason(&error)));
        while let Some((query, result)) = self.resolver.receive().map_err(gone)? {
            self.resolved(query, result)?;
        }
        Ok(())
    }

    /// A name was looked up. To which of its addresses a request could be sent, only the kernel knows.
    fn resolved(&mut self, query: QueryId, result: Result<Vec<IpAddr>, ResolveError>) -> Result<(), Fatal> {
        self.resolver.answered();
        let network = &self.config.network;
        let mut unreachable = result.clone().unwrap_or_default();
        // The port does not matter to a route.
        unreachable.retain(|ip| {
            let local = network.acquisition_address(ip.is_ipv6());
            !self.sockets.reaches(SocketAddr::new(*ip, ntp::PORT), local)
        });
        let input = Input::Resolved {
            query,
            result,
            unreachable: &unreachable,
        };
        let now = self.now();
        self.handle(now, input)
    }

    fn read_commands(&mut self, key: Key, batch: &mut Batch) -> Result<(), Fatal> {
        for _ in 0..MAX_BATCHES {
            if !self.commands.receive(key, batch) {
                return Ok(());
            }
            let now = self.now();
            for received in batch.datagrams() {
                if let Some(from) = CommandSockets::peer(&received) {
                    self.handle(
                        now,
                        Input::Command {
                            from,
                            bytes: received.bytes,
                        },
                    )?;
                }
            }
        }
        self.come_back(key);
        Ok(())
    }

    /// There may be more to read, which nothing else would announce. Others come first.
    pub(super) fn come_back(&mut self, key: Key) {
        self.again.push(key);
    }

    pub(super) fn handle(&mut self, now: Now, input: Input<'_>) -> Result<(), Fatal> {
        self.engine.handle(now, self.clock.as_clock(), input);
        self.publish();
        self.work_off()
    }

    /// Does all that the engine wants done.
    pub(super) fn work_off(&mut self) -> Result<(), Fatal> {
        loop {
            for event in self.clock.take_events() {
                logs::event(&Event::Clock(event));
            }
            let now = self.now();
            let output = self.engine.poll_output(now, self.clock.as_clock());
            self.publish();
            match output {
                Some(output) => self.perform(output)?,
                None => return Ok(()),
            }
        }
    }

    /// Does one thing that the engine wants done.
    pub(super) fn perform(&mut self, output: Output) -> Result<(), Fatal> {
        match output {
            Output::Send {
                on,
                to,
                from,
                bytes,
                token,
            } => {
                if self.sockets.send(on, to, from, &bytes, token).is_err() {
                    self.tell(Input::NotSent { on });
                }
            }
            Output::Sign {
                on,
                to,
                from,
                key,
                bytes,
            } => {
                if let (Some(signer), Some(wakes)) = (&mut self.signer, &self.wakes) {
                    signer.sign(Signed { on, to, from, bytes }, key, wakes);
                }
            }
            Output::Reply { to, bytes } => self.commands.reply(&to, &bytes),
            Output::Open { socket, spec } => {
                self.open(socket, &spec);
            }
            Output::Close(socket) => self.sockets.close(socket),
            Output::ReadPhc { interface } => self.read_phc(interface),
            Output::Resolve { query, name } => {
                if let Some(wakes) = &self.wakes {
                    self.resolver.resolve(query, &name, self.family, wakes);
                }
            }
            Output::Log(event) if event.severity() == Severity::Fatal => return Err(Fatal::new(event)),
            Output::Log(event) => logs::event(&event),
            Output::Record(record) => self.log_files.write(&record),
            Output::ReadTemperature(file) => self.tell(Input::Temperature(read_temperature(&file))),
            Output::Mail(mail) => mail::send(&mail),
            Output::Save(job) => self.save(job),
            Output::ReloadSources => {
                let mut files = ConfigFiles::new(self.family);
                let sources = source_files(&mut files, &self.config.source_dirs);
                let now = self.now();
                self.engine.reload_sources(now, self.clock.as_clock(), sources);
            }
            Output::Rekey => {
                if let Some(path) = self.config.files.key_file.as_deref() {
                    // Keys that are gone from the disk are revoked.
                    self.engine.set_keys(keys::load(path).unwrap_or_default());
                }
            }
            Output::Exit(0) => self.end(Ending::Wanted),
            Output::Exit(status) => self.end(Ending::Status(status)),
        }
        Ok(())
    }

    /// The first reason counts.
    fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    fn tell(&mut self, input: Input<'_>) {
        let now = self.now();
        self.engine.handle(now, self.clock.as_clock(), input);
        self.publish();
    }

    /// Opens a socket for the engine; true if that worked.
    fn open(&mut self, socket: SocketId, spec: &SocketSpec) -> bool {
        let Err(error) = self.sockets.open(socket, spec) else {
            return true;
        };
        if let SocketSpec::Bound {
            local,
            role: Role::Server | Role::Ptp,
        } = spec
            && error.kind() != io::ErrorKind::Unsupported
        {
            logs::error(format_args!("Could not open NTP socket on {local}"));
        }
        self.tell(Input::NotOpened { on: socket });
        false
    }

    fn save(&mut self, job: FileJob) {
        let files = &self.config.files;
        match job {
            FileJob::Drift { frequency, skew } => {
                if let Some(path) = &files.drift_file {
                    write_drift(path, frequency, skew);
                }
            }
            FileJob::Dump { name, text } => {
                if let Some(directory) = &files.dump_dir {
                    dumps::save(directory, &name, text.as_deref());
                }
            }
            FileJob::CycleLogs => {
                self.log_files.cycle();
                self.log.cycle();
            }
        }
    }

    /// Ends in good order (`spec/config.md` section 9); gives the exit status. Nothing here waits.
    pub(super) fn shut_down(&mut self) -> Result<u8, Fatal> {
        let now = self.now();
        let status = match self.ending {
            Some(Ending::Timeout) => u8::from(!self.engine.is_synchronised(now)),
            Some(Ending::Status(status)) => status,
            Some(Ending::Wanted) | None => 0,
        };
        if let Some(pool) = self.sockets.pool() {
            pool.stop();
        }
        self.engine.shutdown(now, self.clock.as_clock());
        self.work_off()?;
        self.commands.close();
        Ok(status)
    }
}

impl Events {
    fn arm(&mut self, wakeup: Mono) -> Result<(), Fatal> {
        let wakeup = Some(wakeup).filter(|&wakeup| wakeup != Mono(i64::MAX));
        if self.armed != wakeup {
            let set = self.timer.get_ref().set(wakeup);
            set.map_err(|error| Fatal(format!("Could not set timer : {error}")))?;
            self.armed = wakeup;
        }
        Ok(())
    }

    /// Waits; `None` if it was the timer.
    async fn next(&mut self) -> Result<Option<Wake>, Fatal> {
        tokio::select! {
            biased;
            ready = self.timer.readable() => {
                let mut guard = ready.map_err(|error| no_runtime(&error))?;
                guard.clear_ready();
                self.timer.get_ref().take();
                self.armed = None;
                Ok(None)
            }
            wake = self.wakes.next() => Ok(wake),
        }
    }
}
