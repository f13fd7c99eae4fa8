//! The screen of the terminal behind standard output, which is given back as it was, however the program ends.

use crate::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

/// Second screen, no cursor, no line wrap.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
/// The same taken back.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// What a screen is taken for that does not tell its size.
const USUAL_SIZE: (usize, usize) = (80, 24);
/// A signal may come right before a wait; it is seen after this time.
const PIECE: Duration = Duration::from_millis(200);
/// No such character, to be given where one would have a meaning.
const DISABLED: u8 = 0;

/// What is to be given back; `None` when nothing is.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    /// How standard input was, if it is a terminal.
    input: Option<Termios>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// It is time.
    Time,
    /// The terminal has another size.
    Resized,
    /// The user wants to leave.
    Quit,
    /// A signal that ends the program.
    Interrupted,
}

/// The terminal's screen; dropped, it is as before.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Whether keys are read.
    keys: bool,
}

/// Gives the terminal back. Does nothing the second time.
fn restore() {
    // Not waited for: who holds the lock has panicked, or is this thread.
    let Ok(mut taken) = TAKEN.try_lock() else {
        return;
    };
    if let Some(taken) = taken.take() {
        // A terminal that is gone needs nothing.
        let _ = write(LEAVE);
        if let Some(input) = taken.input {
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &input);
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Keys one by one and unseen; Ctrl-C stays a signal, Ctrl-Z would leave the terminal in our hands.
fn keys_one_by_one() -> Option<Termios> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).ok()?;
    let mut wanted = before.clone();
    wanted.local_flags &= !(LocalFlags::ICANON | LocalFlags::ECHO);
    wanted.control_chars[SpecialCharacterIndices::VSUSP as usize] = DISABLED;
    wanted.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    wanted.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    tcsetattr(&stdin, SetArg::TCSADRAIN, &wanted).ok()?;
    Some(before)
}

impl Screen {
    /// Whether there is one.
    pub(crate) fn exists() -> bool {
        io::stdout().is_terminal()
            && std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
    }

    /// Takes it.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub(crate) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        // Destructors don't run after a panic that aborts, and its text would be drawn over.
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        sys::catch_resizing();
        let input = keys_one_by_one();
        let keys = input.is_some();
        if let Ok(mut taken) = TAKEN.lock() {
            *taken = Some(Taken { input });
        }
        // From here on dropping gives back.
        let screen = Self { keys };
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        sys::window_size(io::stdout().as_fd())
            .filter(|(columns, rows)| *columns > 0 && *rows > 0)
            .unwrap_or(USUAL_SIZE)
    }

    /// Draws these lines, and nothing below them.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        for (row, line) in lines.iter().enumerate() {
            if row > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        write(&text)
    }

    /// Waits until `deadline`, or until something else happens.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Event {
        loop {
            if sys::interrupted() {
                return Event::Interrupted;
            }
            if sys::resized() {
                return Event::Resized;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Event::Time;
            }
            let timeout = left.min(PIECE).as_micros().div_ceil(1000);
            let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
            let stdin = io::stdin();
            let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            let watched = if self.keys { ready.as_mut_slice() } else { &mut [] };
            // A signal ends it early; the flags above say which.
            if matches!(poll(watched, timeout), Ok(n) if n > 0) {
                let mut typed = [0; 64];
                match nix::unistd::read(&stdin, &mut typed) {
                    Ok(n) if n > 0 => {
                        let typed = typed.get(..n).unwrap_or_default();
                        // Ctrl-D as where commands are typed.
                        if typed.iter().any(|key| matches!(key, b'q' | b'Q' | 4)) {
                            return Event::Quit;
                        }
                    }
                    // It hung up.
                    Ok(_) => return Event::Quit,
                    Err(nix::Error::EINTR | nix::Error::EAGAIN) => {}
                    Err(_) => self.keys = false,
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::pty::openpty;
    use std::fs::File;
    use std::io::Read;
    use std::process::{Command, Stdio};

    #[test]
    #[ignore = "run on a terminal of its own by the next one"]
    fn panics() {
        let screen = Screen::enter().unwrap();
        screen.draw(&["line".to_owned()]).unwrap();
        panic!("words");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_its_words() {
        let pty = openpty(None, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let test = std::env::current_exe().unwrap();
        let mut child = Command::new(test)
            .args([
                "--exact",
                "watch::screen::tests::panics",
                "--ignored",
                "--nocapture",
            ])
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        // Far less than a terminal holds unread, so the end can be waited for first.
        assert!(!child.wait().unwrap().success());
        let after = tcgetattr(&pty.slave).unwrap();
        assert_eq!(after.local_flags, before.local_flags);
        assert_eq!(after.control_chars, before.control_chars);
        drop(pty.slave);
        let mut seen = Vec::new();
        // Ends with an error, as the other side is closed.
        let _ = File::from(pty.master).read_to_end(&mut seen);
        let seen = String::from_utf8_lossy(&seen);
        let at = |text| {
            seen.find(text)
                .unwrap_or_else(|| panic!("no {text:?} in {seen:?}"))
        };
        assert!(at(ENTER) < at("line") && at("line") < at(LEAVE) && at(LEAVE) < at("words"));
        assert_eq!(seen.matches(LEAVE).count(), 1, "{seen:?}");
    }
}
