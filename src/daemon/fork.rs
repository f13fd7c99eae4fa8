//! Going into the background (`spec/config.md` 7.2). To be done before anything is opened and before any
//! thread or the runtime exists.

use super::Fatal;
use crate::sys::error::text;
use crate::sys::process::{close_from, fork};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, read, setsid, write};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

/// What the daemon writes to the pipe when it is ready; anything else is the text of a fatal error.
const READY: &[u8] = &[0];

/// The foreground process, which waits for the daemon to become ready.
#[derive(Debug, Default)]
pub(super) struct Parent(Option<OwnedFd>);

impl Parent {
    /// There is none: we are the foreground process.
    #[must_use]
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Lets the foreground process end with status 0.
    ///
    /// # Errors
    /// It is gone, which means that somebody no longer wants the daemon.
    pub(super) fn ready(&mut self) -> Result<(), Errno> {
        self.0
            .take()
            .map_or(Ok(()), |pipe| write(&pipe, READY).map(|_| ()))
    }

    /// Lets the foreground process print the text of a fatal error and end with status 1.
    pub(super) fn fatal(&mut self, error: &Fatal) {
        if let Some(pipe) = self.0.take() {
            let _ = write(&pipe, error.0.as_bytes());
        }
    }
}

/// Which process we are after forking.
#[derive(Debug)]
pub(super) enum Role {
    /// The one that the operator started; it has nothing more to do.
    Foreground(ExitCode),
    /// The daemon.
    Daemon(Parent),
}

/// Forks twice, so that the daemon leads no session. It has `/` as working directory, nothing open but the
/// pipe to the foreground process and the descriptors in `keep`.
///
/// # Errors
/// Something in the way of this.
pub(super) fn daemonise(keep: &[i32]) -> Result<Role, Fatal> {
    let failed = |what: &str, error: Errno| Fatal(format!("{what} : {}", text(error as i32)));
    let (from_daemon, to_parent) = pipe2(OFlag::O_CLOEXEC).map_err(|error| failed("pipe() failed", error))?;
    if let ForkResult::Parent { .. } = fork().map_err(|error| failed("fork() failed", error))? {
        drop(to_parent);
        return Ok(Role::Foreground(wait_for(&from_daemon)));
    }
    drop(from_daemon);
    let mut parent = Parent(Some(to_parent));
    match detach(&parent, keep) {
        Ok(()) => Ok(Role::Daemon(parent)),
        Err(error) => {
            parent.fatal(&error);
            Err(error)
        }
    }
}

/// The second half, in the child.
fn detach(parent: &Parent, keep: &[i32]) -> Result<(), Fatal> {
    let failed = |what: &str, error: Errno| Fatal(format!("{what} : {}", text(error as i32)));
    // Fails only for the leader of a process group, which a fresh child is not.
    let _ = setsid();
    if let ForkResult::Parent { .. } = fork().map_err(|error| failed("fork() failed", error))? {
        std::process::exit(0);
    }
    chdir("/").map_err(|error| failed("chdir() failed", error))?;
    let mut keep = keep.to_vec();
    keep.extend(parent.0.as_ref().map(AsRawFd::as_raw_fd));
    close_from(3, &keep);
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
    let null = null.map_err(|error| failed("Could not open /dev/null", error))?;
    let redirected = dup2_stdin(&null).and(dup2_stdout(&null)).and(dup2_stderr(&null));
    redirected.map_err(|error| failed("Could not open /dev/null", error))
}

/// Waits for the daemon; gives the exit status of the foreground process.
fn wait_for(pipe: &OwnedFd) -> ExitCode {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match read(pipe, &mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
        if answer == READY {
            return ExitCode::SUCCESS;
        }
    }
    if !answer.is_empty() {
        answer.push(b'\n');
        let _ = std::io::stderr().write_all(&answer);
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_foreground_learns_how_it_went() {
        let status = |act: &dyn Fn(&mut Parent)| {
            let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
            act(&mut Parent(Some(writer)));
            wait_for(&reader)
        };
        let success = format!("{:?}", ExitCode::SUCCESS);
        assert_eq!(
            format!("{:?}", status(&|parent| parent.ready().unwrap())),
            success
        );
        assert_ne!(
            format!("{:?}", status(&|parent| parent.fatal(&Fatal::new("text")))),
            success
        );
        assert_ne!(format!("{:?}", status(&|_| ())), success, "it died");
    }

    #[test]
    fn a_daemon_notices_that_nobody_waits() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        drop(reader);
        assert_eq!(Parent(Some(writer)).ready(), Err(Errno::EPIPE));
        assert_eq!(Parent::none().ready(), Ok(()));
    }
}
