//! The key file as a file: reading it, and whether the right people can (`spec/config.md` 5.12).

use crate::files;
use crate::logs;
use crate::sys::error::text;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use truechimer_engine::auth::Keys;

/// Longest key file, bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Loads the key file; `None`, with a warning, if it can't be read. Rights that others should not have are
/// warned of.
pub(super) fn load(path: &str) -> Option<Keys> {
    if let Ok(found) = fs::metadata(path) {
        let mode = found.permissions().mode();
        if mode & 0o004 != 0 {
            logs::warning(format_args!("World-readable permissions on {path}"));
        } else if mode & 0o002 != 0 {
            logs::warning(format_args!("World-writable permissions on {path}"));
        } else if mode & 0o7777 & !0o771 != 0 {
            logs::warning(format_args!("Wrong permissions on {path}"));
        }
    }
    let contents = files::read_start(path, MAX_SIZE).ok();
    if contents.is_none() {
        logs::warning(format_args!("Could not open keyfile {path}"));
    }
    let (keys, events) = Keys::parse(&contents?, path);
    for event in events {
        logs::log(event.severity(), event);
    }
    Some(keys)
}

/// Warns if the daemon, as it is now, will not be able to read the file again, or could change it.
pub(super) fn check_access(path: &str) {
    match access(path, AccessFlags::R_OK) {
        Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
        Err(error) => {
            logs::warning(format_args!(
                "Missing read access to {path} : {}",
                text(error as i32)
            ));
        }
    }
    if !nix::unistd::geteuid().is_root() && access(path, AccessFlags::W_OK).is_ok() {
        logs::warning(format_args!("Having write access to {path}"));
    }
}
