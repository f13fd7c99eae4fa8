//! The PID file (`spec/config.md` 7.3).

use super::Fatal;
use crate::files;
use crate::logs;
use nix::unistd::{Pid, getsid};
use std::io::Write;

/// The PID file of this process.
#[derive(Debug)]
pub(super) struct PidFile(String);

impl PidFile {
    /// Makes sure that no process with the PID in the file exists. Whatever else is in it does not matter.
    ///
    /// # Errors
    /// There is such a process.
    pub(super) fn check(path: &str) -> Result<(), Fatal> {
        let text = files::read_start(path, 64).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_start();
        let end = text
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(text.len());
        match text.get(..end).unwrap_or_default().parse() {
            Ok(pid) if pid > 0 && getsid(Some(Pid::from_raw(pid))).is_ok() => Err(Fatal(format!(
                "Another chronyd may already be running (pid={pid}), check {path}"
            ))),
            _ => Ok(()),
        }
    }

    /// Writes the file, in place of an old one.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write(path: &str) -> Result<Self, Fatal> {
        let mut file = files::create(path, 0o644).map_err(Fatal::new)?;
        writeln!(file, "{}", std::process::id()).map_err(|error| {
            Fatal(format!(
                "Could not write {path} : {}",
                crate::sys::error::reason(&error)
            ))
        })?;
        Ok(Self(path.to_owned()))
    }

    /// Removes the file. Failure is logged.
    pub(super) fn remove(self) {
        if let Err(error) = files::remove(&self.0) {
            logs::error(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_checked_removed() {
        let path = std::env::temp_dir().join(format!("truechimer-pid-{}", std::process::id()));
        let path = path.to_str().unwrap();
        assert_eq!(PidFile::check(path), Ok(()));
        let file = PidFile::write(path).unwrap();
        let error = PidFile::check(path).unwrap_err();
        let pid = std::process::id();
        assert_eq!(
            error.0,
            format!("Another chronyd may already be running (pid={pid}), check {path}")
        );
        for harmless in ["garbage", "-5", "", "0", "2147483646\n", "99999999999"] {
            std::fs::write(path, harmless).unwrap();
            assert_eq!(PidFile::check(path), Ok(()));
        }
        PidFile::write(path).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{pid}\n"));
        file.remove();
        assert!(!std::path::Path::new(path).exists());
        let error = PidFile::write("/nonexistent/dir/pid").unwrap_err();
        assert_eq!(
            error.0,
            "Could not open /nonexistent/dir/pid : No such file or directory"
        );
    }
}
