//! Descriptors that the runtime waits for.

use super::timer::Timer;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a descriptor. To be called within the runtime.
///
/// # Errors
/// The kernel's refusal.
pub fn descriptor(fd: Arc<OwnedFd>, interest: Interest) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    register(fd, interest)
}

/// Waits for a timer. To be called within the runtime.
///
/// # Errors
/// The kernel's refusal.
pub fn timer(timer: Timer) -> io::Result<AsyncFd<Timer>> {
    register(timer, Interest::READABLE)
}

fn register<T: AsRawFd>(inner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: both types that come here own their descriptor, alone or with others, keep it open as long as they live,
    // and always give the same number.
    Ok(unsafe { AsyncFd::register_with_interest(inner, interest) }?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock;
    use std::io::Write;

    #[test]
    fn both_kinds_wake_up() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (reader, writer) = nix::unistd::pipe().unwrap();
            let reader = descriptor(Arc::new(reader), Interest::READABLE).unwrap();
            std::fs::File::from(writer).write_all(b"x").unwrap();
            reader.readable().await.unwrap().clear_ready();
            let timer = timer(Timer::new().unwrap()).unwrap();
            timer.get_ref().set(Some(clock::monotonic().plus(0.005))).unwrap();
            timer.readable().await.unwrap().clear_ready();
            assert!(timer.get_ref().take());
        });
    }
}
