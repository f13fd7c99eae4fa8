//! Telling whoever started us that we are ready (`spec/config.md` 6.2 and 6.5): systemd by a socket, other
//! supervisors by a descriptor.

use super::Fatal;
use crate::sys::process::adopt;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

/// Who wants to know.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<OsString>,
    number: Option<i32>,
    descriptor: Option<OwnedFd>,
}

impl Notifier {
    /// `socket` is `NOTIFY_SOCKET`, `number` the descriptor of `-N`. To be called before anything is opened.
    #[must_use]
    pub(super) fn new(socket: Option<OsString>, number: Option<i32>) -> Self {
        Self {
            socket,
            number,
            descriptor: number.and_then(adopt),
        }
    }

    /// We are ready.
    ///
    /// # Errors
    /// Nobody can be told.
    pub(super) fn ready(&mut self) -> Result<(), Fatal> {
        if let Some(number) = self.number.take() {
            let written = self.descriptor.take().map(File::from).is_some_and(|mut file| {
                let written = file.write_all(b"\n").is_ok();
                close(file, number);
                written
            });
            if !written {
                return Err(Fatal::new("Could not send notification requested by -N option"));
            }
        }
        self.send(b"READY=1")
    }

    /// We are about to end.
    ///
    /// # Errors
    /// Nobody can be told.
    pub(super) fn stopping(&self) -> Result<(), Fatal> {
        self.send(b"STOPPING=1")
    }

    fn send(&self, text: &[u8]) -> Result<(), Fatal> {
        let Some(path) = &self.socket else { return Ok(()) };
        if !path.as_bytes().starts_with(b"/") {
            return Err(Fatal::new("Unsupported notification socket"));
        }
        UnixDatagram::unbound()
            .and_then(|socket| socket.send_to(text, path))
            .map(|_| ())
            .map_err(|_| Fatal::new("Could not send notification to $NOTIFY_SOCKET"))
    }
}

/// The standard descriptors must not be left closed, or the next file opened would get a library's messages.
fn close(file: File, number: i32) {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else {
        return;
    };
    let replaced = match number {
        0 => dup2_stdin(&null).is_ok(),
        1 => dup2_stdout(&null).is_ok(),
        2 => dup2_stderr(&null).is_ok(),
        _ => false,
    };
    if replaced {
        // It is /dev/null now, and stays open.
        std::mem::forget(file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::IntoRawFd;

    #[test]
    fn systemd_is_told_twice() {
        let path = std::env::temp_dir().join(format!("truechimer-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::new(Some(path.clone().into_os_string()), None);
        notifier.ready().unwrap();
        notifier.stopping().unwrap();
        let mut buffer = [0; 32];
        let count = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1");
        let count = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"STOPPING=1");
        std::fs::remove_file(&path).unwrap();
        let error = notifier.stopping().unwrap_err();
        assert_eq!(error.0, "Could not send notification to $NOTIFY_SOCKET");
        let error = Notifier::new(Some("@name".into()), None).ready().unwrap_err();
        assert_eq!(error.0, "Unsupported notification socket");
        assert_eq!(Notifier::new(None, None).ready(), Ok(()));
    }

    #[test]
    fn a_descriptor_gets_a_newline_and_is_closed() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        Notifier::new(None, Some(writer.into_raw_fd())).ready().unwrap();
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "\n");
        let error = Notifier::new(None, Some(1_000_000)).ready().unwrap_err();
        assert_eq!(error.0, "Could not send notification requested by -N option");
    }
}
