//! A timer as a descriptor: exact to the microsecond, where the runtime's own timers are up to 1 ms late.

use super::error::check;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use truechimer_engine::time::Mono;

/// A timer on `CLOCK_MONOTONIC`; its descriptor is readable when it has expired.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// A timer that is not running.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a non-negative result is a descriptor that nobody else owns.
        let fd = check(unsafe {
            libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC)
        })?;
        // SAFETY: as above.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Expires at `when`, at once if that has passed; `None` stops it. Any earlier setting is forgotten.
    pub fn set(&self, when: Option<Mono>) -> io::Result<()> {
        // A zero time would stop the timer instead.
        let at = when.map_or(0, |when| when.0.max(1));
        let value = libc::timespec {
            tv_sec: at.div_euclid(1_000_000_000),
            tv_nsec: at.rem_euclid(1_000_000_000),
        };
        let setting = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        // SAFETY: the descriptor is open, the setting is read only, the old one isn't asked for.
        check(unsafe {
            libc::timerfd_settime(
                self.0.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const setting,
                std::ptr::null_mut(),
            )
        })?;
        Ok(())
    }

    /// Takes the expiration, so that the descriptor is not readable any more. False if there was none.
    pub fn take(&self) -> bool {
        let mut count = [0; 8];
        nix::unistd::read(&self.0, &mut count) == Ok(8)
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;

    #[test]
    fn expires_once_and_can_be_stopped() {
        let timer = Timer::new().unwrap();
        assert!(!timer.take());
        let when = clock::monotonic().plus(0.01);
        timer.set(Some(when)).unwrap();
        assert!(!timer.take());
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(timer.take() && !timer.take());
        timer.set(Some(Mono(-5))).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(timer.take(), "the past is now");
        timer.set(Some(when.plus(1000.0))).unwrap();
        timer.set(None).unwrap();
        assert!(!timer.take());
    }
}
