//! `chronyc watch`: on the screen of a terminal, which it leaves as it was, and into a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use compat_tests::{Chronyd, Instance, LIMIT, finish, ours, until, within};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What is written when the screen is taken, and when it is given back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A program on a terminal of its own.
struct Terminal {
    child: Child,
    /// Our side: what is written here is typed there.
    typing: File,
    /// The program's side, which stays open so that its settings can be read in the end.
    other: OwnedFd,
    seen: Arc<Mutex<Vec<u8>>>,
    before: String,
}

/// The terminal's settings, as `stty` tells them.
fn stty(terminal: &OwnedFd, arguments: &[&str]) -> String {
    let input = terminal.try_clone().unwrap();
    let done = Command::new("stty")
        .args(arguments)
        .stdin(Stdio::from(input))
        .output();
    let done = done.expect("stty of coreutils");
    assert!(done.status.success(), "stty {arguments:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

impl Terminal {
    fn start(daemon: &Instance, columns: u16, rows: u16, watch: &str) -> Self {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        let before = stty(&pty.slave, &["-g"]);
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        // A session of its own, so that the terminal's keys make signals.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(ours().chronyc)
            .args(["-u", "root", "-n", "-h"])
            .arg(&daemon.socket)
            .arg(watch)
            .env("TERM", "xterm");
        let child = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("setsid of util-linux");
        let typing = File::from(pty.master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (typing.try_clone().unwrap(), Arc::clone(&seen));
        // Ends with an error when the last of the other side is closed.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self {
            child,
            typing,
            other: pty.slave,
            seen,
            before,
        }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, text: &str) {
        assert!(
            within(LIMIT, || self.seen().contains(text)),
            "no '{text}' in {:?}",
            self.seen()
        );
    }

    fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        stty(&self.other, &["cols", &columns, "rows", &rows]);
    }

    /// The last page drawn: its lines without what moves the cursor.
    fn page(&self) -> Vec<String> {
        let seen = self.seen();
        let page = seen.rsplit("\x1b[H").find(|page| page.contains("\x1b[J"));
        let page = page
            .and_then(|page| page.split("\x1b[J").next())
            .unwrap_or_default();
        page.split("\x1b[K")
            .map(|line| line.trim_start_matches(['\r', '\n']).to_owned())
            .collect()
    }

    /// The process id of the program itself: the only child of `setsid`, or `setsid` that became it.
    fn pid(&self) -> Pid {
        let id = self.child.id();
        until(LIMIT, "the program below setsid", || {
            let name = std::fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
            if name.trim() == "chronyc" {
                return Some(Pid::from_raw(id.cast_signed()));
            }
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            children
                .split_whitespace()
                .next()?
                .parse()
                .ok()
                .map(Pid::from_raw)
        })
    }

    /// Waits for the end and checks that the terminal is as it was.
    fn ended(mut self) -> ExitStatus {
        let status = until(LIMIT, "the end of chronyc", || self.child.try_wait().unwrap());
        self.wait_for(LEAVE);
        let seen = self.seen();
        assert_eq!(seen.matches(ENTER).count(), 1, "{seen:?}");
        assert_eq!(seen.matches(LEAVE).count(), 1, "{seen:?}");
        let (_, after) = seen.split_once(LEAVE).unwrap();
        assert!(!after.contains('\x1b'), "{after:?}");
        assert_eq!(stty(&self.other, &["-g"]), self.before);
        status
    }
}

fn daemon() -> Instance {
    Chronyd::new(&ours())
        .config("port 0\ncmdport 0\nserver 127.0.0.99 port 9 offline\nlocal stratum 7")
        .start()
}

#[test]
fn a_page_and_a_plot_until_q() {
    let daemon = daemon();
    let mut terminal = Terminal::start(&daemon, 80, 30, "watch --interval 0.1");
    // A mark in the plot of each round, so at least three rounds.
    until(LIMIT, "three rounds", || {
        let marks = terminal
            .page()
            .iter()
            .any(|line| line.contains(" |-") && line.ends_with("***"));
        marks.then_some(())
    });
    let page = terminal.page();
    assert!(page.iter().all(|line| line.chars().count() <= 80), "{page:?}");
    assert!(page.len() <= 31, "{page:?}");
    for start in [
        "chronyc watch   every 0.1 s   /",
        "Reference   7F7F0101 ()   stratum 7   Normal",
        "Offset      0.000000000 seconds fast",
        "MS Name/IP address         Stratum Poll Reach LastRx Last sample",
        "^? 127.0.0.99                    0   6     0     -     +0ns[   +0ns] +/-    0ns",
        "System clock ahead of NTP time, one column is 0.1 s",
        "   +0ns |---",
    ] {
        assert!(
            page.iter().any(|line| line.starts_with(start)),
            "'{start}' in {page:#?}"
        );
    }
    terminal.typing.write_all(b"xq").unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn any_size_and_its_change() {
    let daemon = daemon();
    let mut terminal = Terminal::start(&daemon, 20, 5, "watch --interval 0.1");
    until(LIMIT, "a small page", || {
        (terminal.page().len() == 6).then_some(())
    });
    assert!(terminal.page().iter().all(|line| line.chars().count() <= 20));
    terminal.resize(100, 40);
    until(LIMIT, "a large page", || {
        terminal
            .page()
            .iter()
            .any(|line| line.chars().count() == 100)
            .then_some(())
    });
    terminal.resize(3, 1);
    until(LIMIT, "a tiny page", || {
        (terminal.page() == ["chr", ""]).then_some(())
    });
    terminal.typing.write_all(b"\x04").unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn a_number_of_rounds() {
    let daemon = daemon();
    let terminal = Terminal::start(&daemon, 80, 24, "watch --interval 0.1 --count 2");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn signals_and_the_keys_that_make_them() {
    let daemon = daemon();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        // A long wait, which the signal ends.
        let terminal = Terminal::start(&daemon, 80, 24, "watch --interval 1000");
        terminal.wait_for("Reference   7F7F0101");
        kill(terminal.pid(), signal).unwrap();
        assert_eq!(terminal.ended().code(), Some(1), "{signal}");
    }
    // Ctrl-Z is no key that would leave the terminal to the shell as it is; Ctrl-C ends.
    let mut terminal = Terminal::start(&daemon, 80, 24, "watch --interval 1000");
    terminal.wait_for("Reference   7F7F0101");
    terminal.typing.write_all(b"\x1a\x03").unwrap();
    assert_eq!(terminal.ended().code(), Some(1));
}

#[test]
fn a_daemon_that_ends_is_waited_for() {
    let mut first = daemon();
    let mut terminal = Terminal::start(&first, 80, 24, "watch --interval 0.1");
    terminal.wait_for("Reference   7F7F0101");
    assert_eq!(first.stop().code(), Some(0));
    until(LIMIT, "words about it", || {
        terminal
            .page()
            .contains(&"506 Cannot talk to daemon".to_owned())
            .then_some(())
    });
    terminal.typing.write_all(b"q").unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn plain_text_where_there_is_no_screen() {
    let daemon = daemon();
    let text = daemon
        .chronyc_of(&ours(), &["-n", "watch --interval 100ms --count 3"])
        .ok();
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(
        text.matches("Reference ID    : 7F7F0101 ()\n").count(),
        3,
        "{text}"
    );
    let row = "\n^? 127.0.0.99                    0   6     0     -     +0ns[   +0ns] +/-    0ns\n";
    assert_eq!(text.matches(row).count(), 3, "{text}");

    let csv = daemon
        .chronyc_of(&ours(), &["-c", "watch --interval 0.1 --count 2"])
        .ok();
    let lines: Vec<_> = csv.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(lines, [14, 10, 14, 10], "{csv}");

    let json = daemon
        .chronyc_of(&ours(), &["-j", "watch --interval 0.1 --count 2"])
        .ok();
    assert_eq!(json.lines().count(), 2);
    for line in json.lines() {
        assert!(
            line.starts_with(r#"{"tracking":{"name":"#) && line.ends_with("}]}"),
            "{line}"
        );
    }

    let done = daemon.chronyc_of(&ours(), &["watch --count 0"]);
    assert_eq!(
        (done.code(), done.stderr.as_str()),
        (Some(1), "Invalid syntax for watch command\n")
    );

    // Nobody there: it says so each time, and fails in the end.
    let mut command = Command::new(ours().chronyc);
    command.args([
        "-u",
        "root",
        "-h",
        "127.0.0.1",
        "-p",
        "1",
        "watch --interval 0.1 --count 2",
    ]);
    let done = finish(&mut command, LIMIT);
    assert_eq!(
        done.stdout.matches("506 Cannot talk to daemon\n").count(),
        2,
        "{done:?}"
    );
    assert_eq!(done.code(), Some(1));
}
