//! Whose rights the daemon runs with (`spec/config.md` 7.4, `spec/files-and-security.md` section 7).

mod directories;
mod landlock;

pub use directories::{check_socket_directory, create_directories};
pub use landlock::{LandlockError, Reach};

use crate::args::DEFAULT_USER;
use crate::logs;
use crate::sys::error::text;
use crate::sys::process::{Capability, has_capability, in_bounding_set, set_capabilities};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, getegid, geteuid, setegid, seteuid, setgid, setgroups, setuid};

/// Why the privileges can't be dropped; `Display` is chrony's message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("Could not get user/group ID of {0}")]
    User(String),
    /// Capabilities don't survive the change of the user.
    #[error("prctl() failed")]
    Keep,
    /// The supplementary groups stay.
    #[error("setgroups() failed : {0}")]
    Groups(String),
    /// The group stays.
    #[error("setgid({0}) failed : {1}")]
    Group(u32, String),
    /// The user stays.
    #[error("setuid({0}) failed : {1}")]
    SetUser(u32, String),
    /// The capabilities stay.
    #[error("cap_set_proc() failed")]
    Capabilities,
}

/// The user that the daemon runs as after its start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunUser {
    /// User.
    pub uid: Uid,
    /// Primary group.
    pub gid: Gid,
    /// Nobody asked for a user, and we may not change ours: stay root, with fewer capabilities.
    confined: bool,
}

impl RunUser {
    /// Looks the user up. `explicit` comes from `-u` or `user`. The compiled-in default need not exist (a
    /// container without a user database), and need not be changed to (a container without the capabilities
    /// for it): the daemon then stays what it is.
    ///
    /// # Errors
    /// There is no such user.
    pub fn find(explicit: Option<&str>) -> Result<Self, PrivilegeError> {
        let name = explicit.unwrap_or(DEFAULT_USER);
        let stay = |confined| Self {
            uid: geteuid(),
            gid: getegid(),
            confined,
        };
        let may_change = has_capability(Capability::SetUid) && has_capability(Capability::SetGid);
        if explicit.is_none() && geteuid().is_root() && !may_change {
            return Ok(stay(true));
        }
        // Whoever isn't root stays who he is; the owner of the directories is compared with that.
        if explicit.is_none() && !geteuid().is_root() {
            return Ok(stay(false));
        }
        match User::from_name(name) {
            Ok(Some(user)) => Ok(Self {
                uid: user.uid,
                gid: user.gid,
                confined: false,
            }),
            _ if explicit.is_none() => {
                logs::info(format_args!(
                    "Default user {name} does not exist, keeping UID {}",
                    geteuid()
                ));
                Ok(stay(false))
            }
            _ => Err(PrivilegeError::User(name.to_owned())),
        }
    }

    /// The same user without looking anybody up, for tests.
    #[cfg(test)]
    pub(crate) fn current() -> Self {
        Self {
            uid: geteuid(),
            gid: getegid(),
            confined: false,
        }
    }

    /// Becomes this user and keeps only those capabilities that are in `keep`, as far as we have them. Does nothing unless we are root and the
    /// user is not. Threads started before would keep their rights, so there must be none.
    ///
    /// # Errors
    /// Some privilege could not be dropped; the daemon must not go on.
    pub fn become_it(&self, keep: &[Capability]) -> Result<(), PrivilegeError> {
        // A container may lack what is needed for a part of the work only, such as the port.
        let left: Vec<Capability> = keep.iter().copied().filter(|&one| has_capability(one)).collect();
        if self.confined {
            set_capabilities(&left).map_err(|_| PrivilegeError::Capabilities)?;
            logs::info(format_args!(
                "Keeping UID 0 with reduced capabilities (no CAP_SETUID and CAP_SETGID to become {DEFAULT_USER})"
            ));
            return Ok(());
        }
        if self.is_current() {
            return Ok(());
        }
        nix::sys::prctl::set_keepcaps(true).map_err(|_| PrivilegeError::Keep)?;
        setgroups(&[]).map_err(|error| PrivilegeError::Groups(text(error as i32)))?;
        setgid(self.gid).map_err(not_group(self.gid))?;
        setuid(self.uid).map_err(not_user(self.uid))?;
        set_capabilities(&left).map_err(|_| PrivilegeError::Capabilities)
    }

    /// Does something with the rights of this user and takes the own ones back: for reading files that the
    /// user can replace by anything. There must be no other threads.
    ///
    /// # Errors
    /// The rights can't be changed, there or back; the daemon must not go on.
    pub fn lend<T>(&self, act: impl FnOnce() -> T) -> Result<T, PrivilegeError> {
        if self.confined || self.is_current() {
            return Ok(act());
        }
        let (uid, gid) = (geteuid(), getegid());
        setegid(self.gid).map_err(not_group(self.gid))?;
        seteuid(self.uid).map_err(not_user(self.uid))?;
        let result = act();
        seteuid(uid).map_err(not_user(uid))?;
        setegid(gid).map_err(not_group(gid))?;
        Ok(result)
    }

    /// True if there is nothing to change, or no right to.
    fn is_current(&self) -> bool {
        !geteuid().is_root() || self.uid.is_root() && self.gid.as_raw() == 0
    }
}

fn not_group(gid: Gid) -> impl FnOnce(Errno) -> PrivilegeError {
    move |error| PrivilegeError::Group(gid.as_raw(), text(error as i32))
}

fn not_user(uid: Uid) -> impl FnOnce(Errno) -> PrivilegeError {
    move |error| PrivilegeError::SetUser(uid.as_raw(), text(error as i32))
}

/// What has to be kept for running on. `port` is one that may have to be bound later, 0: none; `device` says
/// that sockets are bound to a device (which takes no capability since Linux 5.7).
#[must_use]
pub fn needed(control_clock: bool, port: u16, device: bool) -> Vec<Capability> {
    let mut keep = Vec::new();
    if control_clock {
        keep.push(Capability::SysTime);
    }
    if (1..first_free_port()).contains(&port) {
        keep.push(Capability::NetBindService);
    }
    if device && kernel_release().is_none_or(|release| release < (5, 7)) {
        keep.push(Capability::NetRaw);
    }
    keep
}

/// The first port that everybody may bind; containers often have 0.
fn first_free_port() -> u16 {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

fn kernel_release() -> Option<(u32, u32)> {
    let names = nix::sys::utsname::uname().ok()?;
    let release = names.release().to_str()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What to do about a missing right to set the clock, for the operator; `None` if that isn't what is missing.
#[must_use]
pub fn clock_advice() -> Option<&'static str> {
    if !has_capability(Capability::SysTime) {
        return Some(
            "CAP_SYS_TIME is missing: add it (for a container: --cap-add SYS_TIME) or use -x to leave the clock alone",
        );
    }
    is_in_user_namespace().then_some(
        "CAP_SYS_TIME does not count in a user namespace: start as root of the machine (for a container: rootful, \
         with --cap-add SYS_TIME) or use -x to leave the clock alone",
    )
}

/// True if our users are others to the kernel, as in a rootless container.
fn is_in_user_namespace() -> bool {
    let all = ["0", "0", "4294967295"];
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !map.split_whitespace().eq(all))
}

/// True if nothing started from here can ever set the clock.
#[must_use]
pub fn clock_out_of_bounds() -> bool {
    !in_bounding_set(Capability::SysTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let root = RunUser::find(Some("root")).unwrap();
        assert!(root.uid.is_root() && !root.confined);
        let error = RunUser::find(Some("no-such-user")).unwrap_err();
        assert_eq!(error.to_string(), "Could not get user/group ID of no-such-user");
        assert!(RunUser::find(None).is_ok());
    }

    #[test]
    fn capabilities_by_configuration() {
        let both = [Capability::SysTime, Capability::NetBindService];
        let free = first_free_port() <= 123;
        assert_eq!(needed(true, 123, false), both[..if free { 1 } else { 2 }]);
        assert_eq!(needed(false, 0, false), []);
        assert_eq!(needed(true, 11123, false), [Capability::SysTime]);
        assert!(kernel_release().unwrap() > (2, 6));
    }

    #[test]
    fn staying_the_same_user_is_no_change() {
        assert_eq!(
            RunUser::find(Some("root"))
                .unwrap()
                .become_it(&[Capability::SysTime]),
            Ok(())
        );
    }

    #[test]
    fn lent_rights_come_back() {
        use crate::sys::process::fork;
        use nix::sys::wait::{WaitStatus, waitpid};
        use nix::unistd::ForkResult;
        match fork().unwrap() {
            ForkResult::Child => {
                let before = (geteuid(), getegid(), has_capability(Capability::SysTime));
                let user = RunUser {
                    uid: Uid::from_raw(54_321),
                    gid: Gid::from_raw(54_321),
                    confined: false,
                };
                let lent = user.lend(|| (geteuid(), getegid(), has_capability(Capability::SysTime)));
                let expected = if before.0.is_root() {
                    (user.uid, user.gid, false)
                } else {
                    before
                };
                let after = (geteuid(), getegid(), has_capability(Capability::SysTime));
                std::process::exit(i32::from(lent != Ok(expected) || after != before));
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }
}
