//! What a process is and may do: forking, capabilities, scheduling, memory.

use super::error::check;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::ForkResult;
use std::io;

/// The capabilities that a time daemon may need, by number (linux/capability.h).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Capability {
    /// Change the group IDs.
    SetGid = 6,
    /// Change the user IDs.
    SetUid = 7,
    /// Bind ports below 1024.
    NetBindService = 10,
    /// Bind sockets to devices (older kernels).
    NetRaw = 13,
    /// Set the clock.
    SysTime = 25,
}

impl Capability {
    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// True if the capability is effective in this thread.
pub fn has_capability(wanted: Capability) -> bool {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: the kernel writes at most two elements for this version; both structures are ours. (glibc has no
    // declaration of `capget` for us; `syscall` is a function of libc.)
    let status = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    let effective = u64::from(data[0].effective) | u64::from(data[1].effective) << 32;
    status == 0 && effective & wanted.bit() != 0
}

/// Makes the permitted and effective capabilities of this thread exactly these, the inheritable ones none.
pub fn set_capabilities(wanted: &[Capability]) -> io::Result<()> {
    let bits = wanted.iter().fold(0, |bits, capability| bits | capability.bit());
    let part = |shift: u32| {
        let half = (bits >> shift) as u32;
        CapabilityData {
            effective: half,
            permitted: half,
            inheritable: 0,
        }
    };
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let data = [part(0), part(32)];
    // SAFETY: the kernel reads two elements for this version; both structures are ours.
    let status = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// True if the capability is in the bounding set: nothing below can get it otherwise.
pub fn in_bounding_set(capability: Capability) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability as libc::c_ulong, 0, 0, 0) == 1 }
}

/// Forks. Only the calling thread lives on in the child.
///
/// # Errors
/// The kernel's refusal.
pub fn fork() -> nix::Result<ForkResult> {
    // SAFETY: called at start only, before any other thread exists, so no lock can be held by a thread that
    // is missing in the child.
    unsafe { nix::unistd::fork() }
}

/// Ignores a signal from now on.
///
/// # Errors
/// It can't be ignored.
pub fn ignore(number: Signal) -> nix::Result<()> {
    // SAFETY: no handler of ours runs.
    unsafe { signal(number, SigHandler::SigIgn) }.map(|_| ())
}

/// Closes every descriptor from `first` to 1023, except those listed.
pub fn close_from(first: i32, except: &[i32]) {
    for fd in (first..1024).filter(|fd| !except.contains(fd)) {
        // SAFETY: called right after `fork`, when nothing in this program owns a descriptor that isn't listed.
        unsafe { libc::close(fd) };
    }
}

/// Real-time scheduling (`SCHED_FIFO`) with this priority, 1 to 99, for this thread; 0: the usual scheduling.
pub fn set_priority(priority: i32) -> io::Result<()> {
    let policy = if priority == 0 {
        libc::SCHED_OTHER
    } else {
        libc::SCHED_FIFO
    };
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the parameters are read only and live through the call.
    let status = unsafe { libc::pthread_setschedparam(libc::pthread_self(), policy, &raw const parameters) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(status))
    }
}

/// Makes room for this many open files, as far as the hard limit allows. Returns how many there may be now.
///
/// # Errors
/// The limit can't be read or set.
pub fn allow_open_files(wanted: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted || soft >= hard {
        return Ok(soft);
    }
    let limit = wanted.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, limit, hard)?;
    Ok(limit)
}

/// Takes the limit off locked memory.
pub fn unlimit_locked_memory() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit is read only and lives through the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })?;
    Ok(())
}

/// Keeps all memory, present and future, out of swap.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })?;
    Ok(())
}

/// Takes over a descriptor that the operator named (`-N`) or the service manager passed on (`LISTEN_FDS`).
/// `None` if it isn't open, so that nothing opened later can be closed by mistake.
pub fn adopt(fd: i32) -> Option<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: `F_GETFD` changes nothing and is allowed on any number.
    if fd < 0 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, was here before we started, and by the contract of -N or LISTEN_FDS it is ours.
    Some(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsRawFd, IntoRawFd};

    #[test]
    fn setting_the_capabilities_in_a_child_leaves_exactly_those() {
        match fork().unwrap() {
            ForkResult::Child => {
                let kept = has_capability(Capability::SysTime);
                let wanted: &[_] = if kept { &[Capability::SysTime] } else { &[] };
                let right = set_capabilities(wanted).is_ok()
                    && has_capability(Capability::SysTime) == kept
                    && !has_capability(Capability::NetRaw)
                    && set_capabilities(&[]).is_ok()
                    && !has_capability(Capability::SysTime);
                // SAFETY: ends the child without running the destructors of the parent's test harness.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn closing_spares_the_listed_ones() {
        match fork().unwrap() {
            ForkResult::Child => {
                let (reader, writer) = nix::unistd::pipe().unwrap();
                close_from(3, &[writer.as_raw_fd()]);
                // SAFETY: `F_GETFD` only asks.
                let open = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
                let right = open(writer.as_raw_fd()) && !open(reader.as_raw_fd());
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn open_files_in_a_child() {
        match fork().unwrap() {
            ForkResult::Child => {
                let limits = |soft, hard| setrlimit(Resource::RLIMIT_NOFILE, soft, hard).is_ok();
                let right = limits(20, 100)
                    && matches!(allow_open_files(10), Ok(20))
                    && matches!(allow_open_files(50), Ok(50))
                    && matches!(allow_open_files(200), Ok(100))
                    && getrlimit(Resource::RLIMIT_NOFILE) == Ok((100, 100));
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn scheduling_and_locking_in_a_child() {
        match fork().unwrap() {
            ForkResult::Child => {
                // Whether they are allowed depends on where the test runs; they must answer either way.
                let allowed = |result: io::Result<()>| match result {
                    Ok(()) => true,
                    Err(error) => matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOMEM)),
                };
                let right = allowed(set_priority(1))
                    && allowed(unlimit_locked_memory())
                    && allowed(lock_memory())
                    && set_priority(1000).is_err();
                let _ = in_bounding_set(Capability::SysTime);
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(!right)) }
            }
            ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn only_an_open_descriptor_can_be_adopted() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let fd = file.into_raw_fd();
        assert!(adopt(fd).is_some());
        assert!(adopt(-1).is_none() && adopt(1_000_000).is_none());
    }
}
