//! The directories of the container. Which user they belong to depends on how it is run; they come from the image, a
//! volume, a tmpfs or the host, with any owner and mode.

use crate::privilege::RunUser;
use crate::sys::error::{reason, text};
use nix::unistd::{AccessFlags, Uid, chown, eaccess, geteuid};
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

/// Mode of a directory of ours.
const PRIVATE: u32 = 0o750;
/// Everybody may write, nobody may touch what belongs to another.
const SHARED: u32 = 0o1777;

/// What a directory is good for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It belongs to the daemon's user alone.
    Ready,
    /// The daemon can write there, and so can others.
    Shared,
    /// The daemon can't write there: why, and what to do about it.
    Unusable(String),
}

/// Gives a directory to the daemon's user as far as we may.
pub(super) fn prepare(path: &Path, user: &RunUser) -> State {
    let shown = path.display();
    let failed = |error: &io::Error| State::Unusable(format!("{shown} : {}", reason(error)));
    if let Err(error) = make(path, user) {
        return failed(&error);
    }
    let found = match fs::metadata(path) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return State::Unusable(format!("{shown} is not a directory")),
        Err(error) => return failed(&error),
    };
    let mut refused = writable(path, user).err();
    if refused.is_some() && found.uid() == geteuid().as_raw() && user.uid != geteuid() {
        // Ours, but we may not give it away.
        let _ = fs::set_permissions(path, Permissions::from_mode(SHARED));
        refused = writable(path, user).err();
    }
    match refused {
        None if is_private(&found, user) => State::Ready,
        None => State::Shared,
        Some(why) => State::Unusable(format!(
            "{shown} can't be written by UID {} : {why} (owner {}:{}, mode {:04o}); {}",
            user.uid,
            found.uid(),
            found.gid(),
            found.mode() & 0o7777,
            fix(path, user)
        )),
    }
}

fn is_private(found: &Metadata, user: &RunUser) -> bool {
    found.uid() == user.uid.as_raw()
        && found.gid() == user.gid.as_raw()
        && found.mode() & 0o7777 & !0o770 == 0
}

/// Makes the directory and tries to give it the right owner and mode; only its absence is an error.
fn make(path: &Path, user: &RunUser) -> io::Result<()> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Ok(()) => {}
        Err(_) if path.exists() => {}
        Err(error) => return Err(error),
    }
    let set_mode = || match fs::metadata(path) {
        Ok(found) if found.is_dir() && found.mode() & 0o7777 & !0o770 != 0 => {
            let _ = fs::set_permissions(path, Permissions::from_mode(PRIVATE));
        }
        _ => {}
    };
    // Which of us may set the mode depends on whose it is, before and after.
    set_mode();
    if fs::metadata(path).is_ok_and(|found| {
        found.is_dir() && (found.uid(), found.gid()) != (user.uid.as_raw(), user.gid.as_raw())
    }) {
        let _ = chown(path, Some(user.uid), Some(user.gid));
        let _ = user.lend(set_mode);
    }
    Ok(())
}

fn writable(path: &Path, user: &RunUser) -> Result<(), String> {
    let asked = user.lend(|| eaccess(path, AccessFlags::W_OK | AccessFlags::X_OK));
    match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(text(error as i32)),
        Err(error) => Err(error.to_string()),
    }
}

fn fix(path: &Path, user: &RunUser) -> String {
    let shown = path.display();
    if eaccess(path, AccessFlags::W_OK) == Err(nix::errno::Errno::EROFS) {
        return format!("add --tmpfs={shown} or a volume");
    }
    let owner = format!("give it to {}:{} on the host", user.uid, user.gid);
    if geteuid().is_root() {
        format!("add --cap-add=CHOWN, or {owner}")
    } else {
        format!("let podman give it away (--tmpfs={shown}:U, --volume=NAME:{shown}:U), or {owner}")
    }
}

/// Gives the files of a directory to the daemon's user, as far as we may: another user may have run before.
pub(super) fn adopt_files(directory: &Path, user: &RunUser) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let other = |found: &Metadata| found.uid() != user.uid.as_raw() && !found.is_dir();
        if entry.metadata().is_ok_and(|found| other(&found)) {
            let _ = lchown(entry.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()));
        }
    }
}

/// Makes a directory for the daemon's user alone in one that others can write to, and leads the socket's usual path
/// there. Anybody who can write to the socket's directory could take its place.
/// Gives the socket's path.
pub(super) fn private_socket(shared: &Path, user: &RunUser) -> io::Result<String> {
    let name = user.uid.to_string();
    let own = shared.join(&name);
    let made = user.lend(|| {
        match DirBuilder::new().mode(PRIVATE).create(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // A set-group-ID bit above is inherited, and the group with it.
        chown(&own, None::<Uid>, Some(user.gid))?;
        fs::set_permissions(&own, Permissions::from_mode(PRIVATE))?;
        let usual = shared.join("chronyd.sock");
        match fs::remove_file(&usual) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(Path::new(&name).join("chronyd.sock"), usual)
    });
    made.map_err(io::Error::other)??;
    Ok(own.join("chronyd.sock").display().to_string())
}

/// Removes the PID file of a daemon that is gone. In a container the same few numbers are used again and again: its
/// process seems to exist, and is we ourselves. False if the file can't be removed.
pub(super) fn remove_stale_pid_file(path: &Path, user: &RunUser) -> bool {
    let Ok(contents) = fs::read_to_string(path) else {
        return true;
    };
    let pid: Option<u32> = contents.trim().parse().ok();
    if pid.is_some_and(is_other_daemon) {
        return true;
    }
    let gone = |removed: io::Result<()>| match removed {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    gone(fs::remove_file(path)) || user.lend(|| gone(fs::remove_file(path))).unwrap_or(false)
}

fn is_other_daemon(pid: u32) -> bool {
    pid != std::process::id()
        && fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "chronyd")
}

/// True if a port below 1024 can be opened.
pub(super) fn may_open(port: u16) -> bool {
    use crate::sys::process::{Capability, has_capability};
    let first_free = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse::<u16>().ok());
    has_capability(Capability::NetBindService) || first_free.unwrap_or(1024) <= port
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("truechimer-{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            Self(path)
        }

        fn dir(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn ones_own_become_private() {
        let scratch = Scratch::new("own");
        let user = RunUser::current();
        for (name, before, after) in [
            ("open", 0o1777, 0o750),
            ("usual", 0o755, 0o750),
            ("closed", 0o700, 0o700),
            ("set-group", 0o2770, 0o750),
        ] {
            let path = scratch.dir(name, before);
            assert_eq!(prepare(&path, &user), State::Ready, "{name}");
            assert_eq!(mode(&path), after, "{name}");
        }
        let missing = scratch.0.join("missing");
        assert_eq!(prepare(&missing, &user), State::Ready);
        assert_eq!(mode(&missing), 0o750);
    }

    #[test]
    fn what_is_no_directory() {
        let scratch = Scratch::new("none");
        let file = scratch.0.join("file");
        fs::write(&file, "").unwrap();
        let user = RunUser::current();
        let State::Unusable(why) = prepare(&file, &user) else {
            panic!("a file is no directory")
        };
        assert_eq!(why, format!("{} is not a directory", file.display()));
        assert!(matches!(prepare(&file.join("x"), &user), State::Unusable(_)));
    }

    #[test]
    fn a_private_place_in_a_shared_directory() {
        let scratch = Scratch::new("shared");
        let user = RunUser::current();
        let shared = scratch.dir("run", 0o2777);
        for _ in 0..2 {
            let own = shared.join(user.uid.to_string());
            let socket = private_socket(&shared, &user).unwrap();
            assert_eq!(Path::new(&socket), own.join("chronyd.sock"));
            assert_eq!(crate::privilege::check_socket_directory(&own, &user), Ok(()));
            fs::write(own.join("chronyd.sock"), "here").unwrap();
            assert_eq!(fs::read_to_string(shared.join("chronyd.sock")).unwrap(), "here");
        }
    }

    #[test]
    fn pid_files() {
        let scratch = Scratch::new("pids");
        let user = RunUser::current();
        let path = scratch.0.join("chronyd.pid");
        assert!(remove_stale_pid_file(&path, &user));
        for stale in [format!("{}\n", std::process::id()), "1\n".into(), "junk".into()] {
            fs::write(&path, &stale).unwrap();
            assert!(remove_stale_pid_file(&path, &user));
            assert!(!path.exists(), "{stale}");
        }
        fs::create_dir(&path).unwrap();
        assert!(remove_stale_pid_file(&path, &user), "nothing that a PID file is");
    }

    #[test]
    fn ports() {
        assert!(may_open(1024) && may_open(11_123));
    }
}
