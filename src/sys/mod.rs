//! Calls into libc that have no safe wrapper, and nothing else: the only place with `unsafe`. Everything goes
//! through libc's functions, so that a simulator can stand between us and the kernel.

#![allow(unsafe_code)]

pub mod address;
pub mod clock;
pub mod control;
pub mod datagrams;
pub mod date;
pub mod error;
pub mod filter;
pub mod hardware;
pub mod name;
pub mod process;
pub mod random;
pub mod reuseport;
pub mod socket;
pub mod syslog;
pub mod timer;
pub mod watch;
