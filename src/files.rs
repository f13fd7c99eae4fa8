//! Files as chrony makes them (`spec/files-and-security.md` section 1): new ones are created exclusively, an
//! existing one or a planted link is removed and never followed.

use crate::logs;
use crate::sys::error::reason;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// Why a file could not be written; `Display` is chrony's message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FileError {
    /// Not created or opened.
    #[error("Could not open {path} : {reason}")]
    Open {
        /// Which file.
        path: String,
        /// The C library's text.
        reason: String,
    },
    /// The old file or link is in the way.
    #[error("Could not remove {path} : {reason}")]
    Remove {
        /// Which file.
        path: String,
        /// The C library's text.
        reason: String,
    },
    /// Not renamed.
    #[error("Could not replace {path} with {with} : {reason}")]
    Replace {
        /// The file.
        path: String,
        /// The new one.
        with: String,
        /// The C library's text.
        reason: String,
    },
    /// Opened, but not written (the disk is full). The old file stays.
    #[error("Could not write {path} : {reason}")]
    Write {
        /// Which file.
        path: String,
        /// The C library's text.
        reason: String,
    },
}

impl FileError {
    fn open(path: &str, error: &io::Error) -> Self {
        Self::Open {
            path: path.to_owned(),
            reason: reason(error),
        }
    }
}

/// Creates a file exclusively, removing what is in its place. `mode` is reduced by the umask.
///
/// # Errors
/// The kernel's refusal.
pub fn create(path: &str, mode: u32) -> Result<File, FileError> {
    let mut attempts = 0_u32;
    let mut warn_at = 100;
    loop {
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
        {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove(path)?;
                attempts = attempts.saturating_add(1);
                if attempts == warn_at {
                    logs::warning(format_args!("Failing to replace {path} ({attempts} attempts)"));
                    warn_at = warn_at.saturating_mul(10);
                }
            }
            Err(error) => return Err(FileError::open(path, &error)),
        }
    }
}

/// Removes a file; a missing one is no error, nor is one in a directory that we can't look into.
///
/// # Errors
/// The kernel's refusal.
pub fn remove(path: &str) -> Result<(), FileError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::Remove {
            path: path.to_owned(),
            reason: reason(&error),
        }),
        _ => Ok(()),
    }
}

/// Writes `contents` to `PATH.tmp` and renames it to `path`: whoever reads finds the old contents or the new,
/// never a part.
///
/// # Errors
/// The old file is then untouched.
pub fn replace(path: &str, mode: u32, contents: &[u8]) -> Result<(), FileError> {
    let temporary = format!("{path}.tmp");
    let mut file = create(&temporary, mode)?;
    if let Err(error) = file.write_all(contents) {
        let _ = fs::remove_file(&temporary);
        return Err(FileError::Write {
            path: temporary,
            reason: reason(&error),
        });
    }
    drop(file);
    fs::rename(&temporary, path).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        FileError::Replace {
            path: path.to_owned(),
            with: temporary,
            reason: reason(&error),
        }
    })
}

/// Opens a file for appending, without following a link. A pipe that nobody reads is refused, and never waited for.
///
/// # Errors
/// The kernel's refusal.
pub fn append(path: &str, mode: u32) -> Result<File, FileError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| FileError::open(path, &error))
}

/// The first bytes of a file, at most `limit`. What opens but can't be read (a directory) is empty, as for C's
/// functions. A pipe is not read, with a warning: it could keep us waiting for ever.
///
/// # Errors
/// The file can't be opened, or is a pipe.
pub fn read_start(path: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_no_pipe(path).inspect_err(|error| {
        if error.kind() == io::ErrorKind::InvalidInput {
            logs::warning(format_args!("Could not read {path} : {}", reason(error)));
        }
    })?;
    let mut contents = Vec::new();
    let _ = file.take(limit).read_to_end(&mut contents);
    Ok(contents)
}

/// Opens a file for reading, without waiting for anything.
///
/// # Errors
/// The file can't be opened; `InvalidInput` if it is a pipe.
pub fn open_no_pipe(path: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        let what = "Is a named pipe, not a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn dir(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("truechimer-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_planted_link_is_replaced_not_followed() {
        let dir = dir("link");
        let (target, link) = (dir.join("target"), dir.join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        create(link.to_str().unwrap(), 0o644)
            .unwrap()
            .write_all(b"1\n")
            .unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
        symlink(&target, dir.join("log")).unwrap();
        let error = append(dir.join("log").to_str().unwrap(), 0o644).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("log : Too many levels of symbolic links"),
            "{error}"
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn replacing_leaves_no_temporary_file() {
        let dir = dir("replace");
        let path = dir.join("drift");
        replace(path.to_str().unwrap(), 0o600, b"one").unwrap();
        replace(path.to_str().unwrap(), 0o600, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_file(&path).unwrap();
        fs::create_dir_all(path.join("x")).unwrap();
        let error = replace(path.to_str().unwrap(), 0o600, b"three").unwrap_err();
        assert!(error.to_string().contains("Could not replace"), "{error}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn messages_are_chronys() {
        let error = replace("/nonexistent/drift", 0o644, b"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not open /nonexistent/drift.tmp : No such file or directory"
        );
    }
}
