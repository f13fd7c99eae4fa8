//! What only libc has. All `unsafe` of the client is here.
#![allow(unsafe_code)]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use truechimer_engine::time::days_since_1970;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Makes the signals that ask to end set a flag; waiting calls end early.
pub(crate) fn catch_signals() {
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGQUIT,
        Signal::SIGHUP,
        Signal::SIGPIPE,
    ] {
        // Cannot fail for these signals; without the handler they end the program, which is as good.
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

/// True once such a signal came.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

static RESIZED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_resize(_: libc::c_int) {
    RESIZED.store(true, Ordering::Relaxed);
}

/// Makes a change of the terminal's size set a flag and end waiting calls early.
pub(crate) fn catch_resizing() {
    let action = SigAction::new(SigHandler::Handler(on_resize), SaFlags::empty(), SigSet::empty());
    // Without it the next round finds the new size.
    // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
    let _ = unsafe { sigaction(Signal::SIGWINCH, &action) };
}

/// True if the size changed since the last call.
pub(crate) fn resized() -> bool {
    RESIZED.swap(false, Ordering::Relaxed)
}

/// Columns and rows of a terminal.
pub(crate) fn window_size(terminal: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open, and this request writes a `winsize` where the pointer leads.
    let done = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

/// The name of an address, if it has one.
pub(crate) fn host_name(ip: IpAddr) -> Option<String> {
    let address = socket2::SockAddr::from(SocketAddr::new(ip, 0));
    let mut name = [0_u8; libc::NI_MAXHOST as usize];
    // SAFETY: address and buffer are valid for the lengths given with them, and outlive the call; no service
    // name is asked for.
    let error = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            name.as_mut_ptr().cast(),
            name.len() as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    let name = name.split(|c| *c == 0).next().filter(|_| error == 0)?;
    String::from_utf8(name.to_vec()).ok()
}

/// Date and time of day in local time, as in C's `struct tm`, but years and months as people count them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct LocalTime {
    pub(crate) year: i32,
    /// 1 to 12.
    pub(crate) month: i32,
    pub(crate) day: i32,
    pub(crate) hour: i32,
    pub(crate) minute: i32,
    pub(crate) second: i32,
}

impl LocalTime {
    /// Seconds since 1970 if this were UTC.
    pub(crate) fn as_utc(&self) -> i64 {
        let days = days_since_1970(i64::from(self.year), i64::from(self.month), i64::from(self.day));
        days * 86_400 + i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    /// 0: Sunday.
    pub(crate) fn weekday(&self) -> i64 {
        (self.as_utc().div_euclid(86_400) + 4).rem_euclid(7)
    }

    /// Local time of seconds since 1970.
    pub(crate) fn of(seconds: i64) -> Option<(Self, bool)> {
        // SAFETY: all-zero bytes are a valid `tm` (numbers and a pointer that may be null).
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are valid for the call. The environment is not changed by this program.
        let done = unsafe { libc::localtime_r(&seconds, &mut tm) };
        (!done.is_null()).then_some((
            Self {
                year: tm.tm_year.checked_add(1900)?,
                month: tm.tm_mon + 1,
                day: tm.tm_mday,
                hour: tm.tm_hour,
                minute: tm.tm_min,
                second: tm.tm_sec,
            },
            tm.tm_isdst > 0,
        ))
    }

    /// Seconds since 1970 of this local time; values out of their range are carried over. `dst`: whether it is
    /// daylight-saving time, if known.
    pub(crate) fn seconds(&self, dst: Option<bool>) -> Option<i64> {
        // SAFETY: as above.
        let mut tm: libc::tm = unsafe { std::mem::zeroed() };
        tm.tm_year = self.year.checked_sub(1900)?;
        tm.tm_mon = self.month.checked_sub(1)?;
        tm.tm_mday = self.day;
        tm.tm_hour = self.hour;
        tm.tm_min = self.minute;
        tm.tm_sec = self.second;
        tm.tm_isdst = dst.map_or(-1, i32::from);
        tm.tm_wday = -1;
        // SAFETY: the pointer is valid for the call. The environment is not changed by this program.
        let seconds = unsafe { libc::mktime(&mut tm) };
        // -1 is both the error and a second of 1969; on success the day of the week is set.
        (seconds != -1 || tm.tm_wday != -1).then_some(seconds)
    }
}
