//! Running programs: to their end within a time limit, or in the background until dropped.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{LIMIT, until, within};

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output. Bytes that are no UTF-8 are replaced.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit status as a number; none when a signal killed the program.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns standard output of a program that must have succeeded.
    pub fn ok(self) -> String {
        assert!(
            self.status.success(),
            "{}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// Runs a command to its end, with nothing on standard input.
///
/// # Panics
/// When it can't be started or doesn't end within `limit` (it is killed then).
pub fn finish(command: &mut Command, limit: Duration) -> Finished {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("could not run {shown}: {e}"));
    // Read beside waiting, or a full pipe would stop the program.
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let ended = within(limit, || matches!(child.try_wait(), Ok(Some(_))));
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().expect("status of a child");
    let stdout = stdout.join().expect("reader of stdout");
    let stderr = stderr.join().expect("reader of stderr");
    assert!(
        ended,
        "not done after {limit:?}: {shown}\nstdout:\n{stdout}\nstderr:\n{stderr}"
    );
    Finished {
        status,
        stdout,
        stderr,
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What came before a failure is worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A program in the background. Dropping it ends it: SIGTERM, then SIGKILL when it stays.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a command; standard output and standard error go to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        Self::start_with(command, log, Stdio::null())
    }

    /// Starts a command with something on standard input.
    pub fn start_with(command: &mut Command, log: &Path, input: Stdio) -> Self {
        let name = format!("{command:?}");
        let file = File::create(log).unwrap_or_else(|e| panic!("could not make {}: {e}", log.display()));
        let both = file.try_clone().expect("second descriptor of a file");
        let child = command
            .stdin(input)
            .stdout(both)
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("could not run {name}: {e}"));
        Self {
            child,
            name,
            log: log.to_owned(),
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("status of a child")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("process ids are positive"));
        kill(pid, signal).unwrap_or_else(|e| panic!("could not send {signal} to {}: {e}", self.name));
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `limit`; what it wrote is in the message.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        if within(limit, || self.ended().is_some()) {
            return self.ended().expect("it has ended");
        }
        panic!("still running after {limit:?}: {}\n{}", self.name, self.log());
    }

    /// Ends it with SIGTERM and returns its exit status.
    ///
    /// # Panics
    /// When it had ended before, or still runs after [`LIMIT`].
    pub fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.ended() {
            panic!("ended by itself ({status}): {}\n{}", self.name, self.log());
        }
        self.signal(Signal::SIGTERM);
        self.wait(LIMIT)
    }

    /// Waits until it catches all the signals that are to end it: before that one would end it on the spot.
    ///
    /// # Panics
    /// When it ended instead, or [`LIMIT`] passed.
    pub fn wait_handlers(&mut self) {
        let path = format!("/proc/{}/status", self.pid());
        let ending = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP];
        let wanted: u64 = ending.iter().map(|&signal| 1 << (signal as u32 - 1)).sum();
        let caught = |status: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        until(LIMIT, &format!("signal handlers of {}", self.name), || {
            if let Some(status) = self.ended() {
                panic!("ended ({status}): {}\n{}", self.name, self.log());
            }
            let mask = caught(&fs::read_to_string(&path).unwrap_or_default())?;
            (mask & wanted == wanted).then_some(())
        });
    }

    /// Waits until its log has the text.
    ///
    /// # Panics
    /// When it ended without it, or `limit` passed.
    pub fn wait_log(&mut self, text: &str, limit: Duration) {
        until(limit, &format!("'{text}' in the log of {}", self.name), || {
            let ended = self.ended();
            let log = self.log();
            let found = log.contains(text);
            assert!(
                found || ended.is_none(),
                "ended ({ended:?}) without '{text}': {}\n{log}",
                self.name
            );
            found.then_some(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log());
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if !within(LIMIT, || matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
