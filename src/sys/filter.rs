//! The system call filter (`-F`, `spec/files-and-security.md` section 8): what the daemon never does itself,
//! nobody who takes it over can make it do.
//!
//! A call that is missing in `CALLS` ends the daemon, so whoever makes it do something new under level 1 adds
//! the calls of that here, and lets `compat-tests/tests/filter.rs` do it. The list has what glibc and musl use,
//! old and new. Names are not looked up under level 1 (see [`crate::net::Resolver`]): the modules of
//! `nsswitch.conf` make any call they like.

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};
use std::collections::BTreeMap;

/// Why there is no filter; `Display` is chrony's message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// No such level.
    #[error("Unsupported filter level")]
    Level,
    /// The filter can't be made for this processor.
    #[error("Failed to initialize seccomp")]
    Initialise,
    /// The kernel does not take it.
    #[error("Failed to load seccomp rules")]
    Load,
}

/// What is forbidden.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// Everything but what the daemon needs.
    Strict,
    /// Other programs and processes.
    Basic,
}

/// A filter to be loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Filter {
    /// What is forbidden.
    pub level: Level,
    /// A forbidden call raises SIGSYS, which leaves a core; otherwise the process is killed.
    pub trap: bool,
}

impl Filter {
    /// The filter of `-F`; `None` for 0.
    ///
    /// # Errors
    /// There is no such level.
    pub fn from_option(number: i32) -> Result<Option<Self>, FilterError> {
        let level = match number.unsigned_abs() {
            0 => return Ok(None),
            1 => Level::Strict,
            2 => Level::Basic,
            _ => return Err(FilterError::Level),
        };
        let trap = number < 0;
        Ok(Some(Self { level, trap }))
    }

    /// Puts the filter on all threads, for ever.
    ///
    /// # Errors
    /// It can't be made, or the kernel refuses it.
    pub fn load(self) -> Result<(), FilterError> {
        let program = self.program().map_err(|_| FilterError::Initialise)?;
        apply_filter_all_threads(&program).map_err(|_| FilterError::Load)
    }

    fn program(self) -> Result<BpfProgram, BackendError> {
        let deny = if self.trap {
            SeccompAction::Trap
        } else {
            SeccompAction::KillProcess
        };
        let (rules, otherwise, then) = match self.level {
            Level::Strict => (strict()?, deny, SeccompAction::Allow),
            Level::Basic => (basic(), SeccompAction::Allow, deny),
        };
        SeccompFilter::new(
            rules,
            otherwise,
            then,
            TargetArch::try_from(std::env::consts::ARCH)?,
        )?
        .try_into()
    }
}

/// Rules by number of the call; no rules: whatever the arguments are.
type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

fn basic() -> Rules {
    let mut denied = vec![libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace];
    // Newer processors have only `clone`, which threads need.
    #[cfg(target_arch = "x86_64")]
    {
        denied.extend([libc::SYS_fork, libc::SYS_vfork]);
        // The same calls of the x32 convention, which other numbers stand for; fork and vfork keep theirs.
        const X32: c_long = 0x4000_0000;
        denied.extend([520, 545, 521, libc::SYS_fork, libc::SYS_vfork].map(|number| X32 | number));
    }
    denied.into_iter().map(|number| (number, Vec::new())).collect()
}

/// Calls that are allowed with any arguments.
const CALLS: &[c_long] = &[
    // Clock.
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_settime,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // Process and threads.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_membarrier,
    libc::SYS_prlimit64,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_memfd_create,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Files.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat2,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // Sockets.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
];

/// Older forms of the same calls, which newer processors do not have.
#[cfg(target_arch = "x86_64")]
const OLD_CALLS: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_dup2,
    libc::SYS_epoll_wait,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
#[cfg(target_arch = "aarch64")]
const OLD_CALLS: &[c_long] = &[libc::SYS_getrlimit, libc::SYS_renameat];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLD_CALLS: &[c_long] = &[];

/// `socket()`: families.
const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// `setsockopt()`: levels and options.
const SOCKET_OPTIONS: &[(i32, i32)] = &[
    (libc::IPPROTO_IP, libc::IP_FREEBIND),
    (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER),
    (libc::IPPROTO_IP, libc::IP_PKTINFO),
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
    (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF),
    (libc::SOL_SOCKET, libc::SO_BROADCAST),
    (libc::SOL_SOCKET, libc::SO_RCVBUF),
    (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE),
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, SO_SELECT_ERR_QUEUE),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPING),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS),
];
const SO_SELECT_ERR_QUEUE: i32 = 45;

/// `fcntl()`. Seals are for long messages to the journal.
const FCNTL: &[i32] = &[
    libc::F_ADD_SEALS,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_GETFL,
    libc::F_SETFD,
    libc::F_SETFL,
];

/// `ioctl()`: TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO; SIOCGIFNAME, SIOCGIFINDEX for names of interfaces. (The C
/// libraries do not agree on the type of these numbers.)
const IOCTL: &[u64] = &[0x5401, 0x5413, 0x541b, 0x5421, 0x8910, 0x8933];

/// `prctl()`: names of threads and of memory.
const PRCTL: &[i32] = &[libc::PR_SET_NAME, libc::PR_SET_VMA];

fn strict() -> Result<Rules, BackendError> {
    let mut rules: Rules = CALLS
        .iter()
        .chain(OLD_CALLS)
        .map(|&number| (number, Vec::new()))
        .collect();
    let mut allow = |number, alternatives: Result<Vec<SeccompRule>, BackendError>| {
        alternatives.map(|alternatives| rules.insert(number, alternatives))
    };
    let one = |place: u8, value: u64| SeccompRule::new(vec![equal(place, value)?]);
    let numbers = |values: &[i32]| -> Vec<u64> { values.iter().map(|&value| value as u64).collect() };
    let any_of = |place: u8, values: &[u64]| values.iter().map(|&value| one(place, value)).collect();
    allow(libc::SYS_socket, any_of(0, &numbers(FAMILIES)))?;
    allow(libc::SYS_fcntl, any_of(1, &numbers(FCNTL)))?;
    allow(
        libc::SYS_ioctl,
        any_of(1, &[IOCTL, &super::hardware::RUNNING].concat()),
    )?;
    allow(libc::SYS_prctl, any_of(0, &numbers(PRCTL)))?;
    // For `abort()`: a panic is to look like one.
    let ourselves = u64::from(std::process::id());
    allow(libc::SYS_tgkill, any_of(0, &[ourselves]))?;
    let options = SOCKET_OPTIONS
        .iter()
        .map(|&(level, option)| SeccompRule::new(vec![equal(1, level as u64)?, equal(2, option as u64)?]));
    allow(libc::SYS_setsockopt, options.collect())?;
    Ok(rules)
}

fn equal(place: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(place, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::fork;
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::ForkResult;

    /// How a process ends that does something under a filter; 0 if it may.
    fn outcome(number: i32, act: fn()) -> WaitStatus {
        let filter = Filter::from_option(number).unwrap().unwrap();
        match fork().unwrap() {
            ForkResult::Child => {
                if filter.load().is_ok() {
                    act();
                    // SAFETY: ends the child without running the destructors of the parent's test harness.
                    unsafe { libc::_exit(0) }
                }
                // SAFETY: as above.
                unsafe { libc::_exit(1) }
            }
            ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        }
    }

    fn allowed(number: i32, act: fn()) -> bool {
        matches!(outcome(number, act), WaitStatus::Exited(_, 0))
    }

    fn killed(number: i32, act: fn()) -> bool {
        matches!(outcome(number, act), WaitStatus::Signaled(_, Signal::SIGSYS, _))
    }

    fn run_a_program() {
        let path = c"/bin/true";
        let arguments = [path.as_ptr(), std::ptr::null()];
        // SAFETY: the path and the argument are NUL-terminated, the array ends with a null pointer.
        unsafe { libc::execv(path.as_ptr(), arguments.as_ptr()) };
    }

    fn make_a_directory() {
        let _ = std::fs::create_dir("/nonexistent/dir");
    }

    #[test]
    fn levels() {
        assert_eq!(Filter::from_option(0), Ok(None));
        assert_eq!(Filter::from_option(3), Err(FilterError::Level));
        assert_eq!(Filter::from_option(i32::MIN), Err(FilterError::Level));
        let filter = Filter {
            level: Level::Basic,
            trap: true,
        };
        assert_eq!(Filter::from_option(-2), Ok(Some(filter)));
    }

    #[test]
    fn no_level_lets_another_program_run() {
        for number in [1, -1, 2, -2] {
            assert!(killed(number, run_a_program), "level {number}");
        }
    }

    #[test]
    fn only_the_strict_level_forbids_the_unknown() {
        assert!(killed(1, make_a_directory) && killed(-1, make_a_directory));
        assert!(allowed(2, make_a_directory) && allowed(-2, make_a_directory));
    }

    #[test]
    fn arguments_count() {
        // SAFETY: no pointers; the descriptors are left to the end of the process.
        assert!(allowed(1, || unsafe {
            libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0);
        }));
        // SAFETY: as above.
        assert!(killed(1, || unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0);
        }));
        // SAFETY: as above.
        assert!(killed(1, || unsafe {
            libc::kill(libc::getppid(), 0);
        }));
    }

    #[test]
    fn a_signal_only_if_asked_for() {
        fn with_handler() {
            extern "C" fn handler(_: libc::c_int) {
                // SAFETY: ends the process, which is allowed in a signal handler.
                unsafe { libc::_exit(0) }
            }
            let handler: extern "C" fn(libc::c_int) = handler;
            // SAFETY: the handler makes only calls that are allowed in one.
            unsafe { libc::signal(libc::SIGSYS, handler as libc::sighandler_t) };
            make_a_directory();
        }
        assert!(allowed(-1, with_handler), "the handler ends the process with 0");
        assert!(killed(1, with_handler));
    }
}
