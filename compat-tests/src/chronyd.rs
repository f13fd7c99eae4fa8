//! A running chronyd with a directory of its own.

use std::ffi::OsString;
use std::net::UdpSocket;
use std::ops::{Deref, DerefMut};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::dir::TempDir;
use crate::filter_options;
use crate::netns::Namespace;
use crate::process::{Finished, Process, finish};
use crate::programs::{Programs, ours};
use crate::sim_clock::SimClock;
use crate::wait::{LIMIT, until};

/// A chronyd to be started: `Chronyd::new(&programs).config("local stratum 1").start()`.
///
/// Unless told otherwise it doesn't control the clock (`-x`), stays in the foreground, logs to its standard error,
/// runs as root and keeps all its files in a directory of its own: `chrony.conf`, `log` (messages), `chronyd.pid`,
/// `drift`, `run/chronyd.sock` and the log files of `log` below `logs`.
#[derive(Debug)]
pub struct Chronyd<'a> {
    programs: Programs,
    namespace: Option<&'a Namespace>,
    config: String,
    options: Vec<String>,
    controls_clock: bool,
    clock: Option<&'a SimClock>,
    socket: Option<UdpSocket>,
    dir: TempDir,
}

impl<'a> Chronyd<'a> {
    /// A daemon of these programs.
    #[must_use]
    pub fn new(programs: &Programs) -> Self {
        Self {
            programs: programs.clone(),
            namespace: None,
            config: String::new(),
            options: Vec::new(),
            controls_clock: false,
            clock: None,
            socket: None,
            dir: TempDir::new(),
        }
    }

    /// Lines of chrony.conf, added to those that name the daemon's own files.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self.config.push('\n');
        self
    }

    /// One more command line argument.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Runs it in a network namespace.
    #[must_use]
    pub fn within(mut self, namespace: &'a Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Lets it control the clock of this machine (no `-x`).
    #[must_use]
    pub fn controlling_the_clock(mut self) -> Self {
        self.controls_clock = true;
        self
    }

    /// Lets it control a simulated clock in place of this machine's (no `-x`).
    #[must_use]
    pub fn on(mut self, clock: &'a SimClock) -> Self {
        self.clock = Some(clock);
        self.controlling_the_clock()
    }

    /// Passes a socket on to it, by `LISTEN_FDS`.
    #[must_use]
    pub fn socket(mut self, socket: UdpSocket) -> Self {
        self.socket = Some(socket);
        self
    }

    /// The directory, to put files in before the start.
    #[must_use]
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// Starts it and waits until its command socket is there and it can be ended in order.
    ///
    /// # Panics
    /// When it ends instead, or takes too long.
    #[must_use]
    pub fn start(self) -> Instance {
        let dir = self.dir;
        dir.subdir("run", 0o700);
        let at = dir.display();
        let socket = dir.join("run/chronyd.sock");
        let text = format!(
            "user root\npidfile {at}/chronyd.pid\nbindcmdaddress {}\ndriftfile {at}/drift\nlogdir {at}/logs\n{}",
            socket.display(),
            self.config
        );
        let conf = dir.write("chrony.conf", text);
        let mut line = self.clock.map_or_else(Vec::new, SimClock::before);
        if self.socket.is_some() {
            // A shell makes standard input the first passed descriptor.
            let script = "LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null";
            line.extend(["sh", "-c", script].map(OsString::from));
        }
        line.push(self.programs.chronyd.clone().into());
        let mut command = match self.namespace {
            Some(namespace) => namespace.command(&line[0]),
            None => Command::new(&line[0]),
        };
        command.args(&line[1..]);
        let filter = filter_options();
        if !filter.is_empty() && self.programs.chronyd == ours().chronyd {
            command.args(filter);
        }
        command.args(["-d", "-f"]).arg(conf).args(&self.options);
        if !self.controls_clock {
            command.arg("-x");
        }
        let input = self
            .socket
            .map_or_else(Stdio::null, |socket| OwnedFd::from(socket).into());
        let mut process = Process::start_with(&mut command, &dir.join("log"), input);
        until(LIMIT, "the command socket of chronyd", || {
            if let Some(status) = process.ended() {
                panic!("chronyd ended at start ({status}):\n{}", process.log());
            }
            socket.exists().then_some(())
        });
        process.wait_handlers();
        Instance {
            process,
            programs: self.programs.clone(),
            socket,
            dir,
        }
    }
}

/// A running chronyd; a [`Process`], too. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Instance {
    // Before the directory, so that the daemon ends first.
    process: Process,
    programs: Programs,
    /// Its Unix command socket.
    pub socket: PathBuf,
    /// Its directory.
    pub dir: TempDir,
}

impl Instance {
    /// Runs its own chronyc on its Unix socket.
    #[must_use]
    pub fn chronyc(&self, arguments: &[&str]) -> Finished {
        self.chronyc_of(&self.programs, arguments)
    }

    /// Runs another version's chronyc on its Unix socket.
    #[must_use]
    pub fn chronyc_of(&self, programs: &Programs, arguments: &[&str]) -> Finished {
        let mut command = Command::new(&programs.chronyc);
        command
            .args(programs.stay_root())
            .arg("-h")
            .arg(&self.socket)
            .args(arguments);
        finish(&mut command, LIMIT)
    }

    /// Waits until it is synchronised: it has selected a source, and corrected the clock or would have.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub fn wait_synchronised(&self, limit: Duration) {
        until(limit, "synchronisation", || {
            // Leap status is the last field; "Not synchronised" until the first update.
            let tracking = self.chronyc(&["-c", "tracking"]).stdout;
            let leap = tracking.trim_end().rsplit(',').next().unwrap_or_default();
            (leap == "Normal").then_some(())
        });
    }
}

impl Deref for Instance {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Instance {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
