//! The key file as a file: reading it, and whether the right people can (`spec/config.md` 5.12).

use crate::files;
use crate::logs;
use crate::sys::error::text;
use nix::unistd::{AccessFlags, access};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use truechimer_engine::auth::Keys;
use truechimer_engine::event::Event;
use truechimer_engine::event::keys::KeyEvent;

/// Longest key file, bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Loads the key file; `None`, with a warning, if it can't be read. Rights that others should not have are
/// warned of.
pub(super) fn load(path: &str) -> Option<Keys> {
    if let Ok(found) = fs::metadata(path)
        && !found.is_dir()
    {
        let mode = found.permissions().mode();
        if mode & 0o004 != 0 {
            say(KeyEvent::WorldReadable {
                file: path.to_owned(),
            });
        } else if mode & 0o002 != 0 {
            say(KeyEvent::WorldWritable {
                file: path.to_owned(),
            });
        } else if mode & 0o777 & !0o771 != 0 {
            logs::warning(format_args!("Wrong permissions on {path}"));
        }
    }
    let contents = files::read_start(path, MAX_SIZE).ok();
    if contents.is_none() {
        say(KeyEvent::CannotOpen {
            file: path.to_owned(),
        });
    }
    let (keys, events) = Keys::parse(&contents?, path);
    events.into_iter().for_each(say);
    Some(keys)
}

fn say(event: KeyEvent) {
    logs::event(&Event::Keys(event));
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
