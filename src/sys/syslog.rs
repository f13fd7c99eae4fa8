//! The system log.

use std::ffi::CString;

const IDENT: &std::ffi::CStr = c"chronyd";

/// Priority of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Priority {
    /// Fatal errors.
    Critical,
    /// Errors.
    Error,
    /// Warnings.
    Warning,
    /// The rest.
    Info,
}

/// Ident `chronyd` with PID, facility daemon.
pub fn open() {
    // SAFETY: the ident is static, as the library keeps the pointer.
    unsafe { libc::openlog(IDENT.as_ptr(), libc::LOG_PID, libc::LOG_DAEMON) }
}

/// One message. NUL bytes are left out.
pub fn write(priority: Priority, text: &str) {
    let priority = match priority {
        Priority::Critical => libc::LOG_CRIT,
        Priority::Error => libc::LOG_ERR,
        Priority::Warning => libc::LOG_WARNING,
        Priority::Info => libc::LOG_INFO,
    };
    let bytes: Vec<u8> = text.bytes().filter(|&byte| byte != 0).collect();
    let Ok(text) = CString::new(bytes) else { return };
    // SAFETY: the format takes exactly one string, which is NUL-terminated and outlives the call.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn writing_without_a_log_daemon_returns() {
        super::open();
        super::write(super::Priority::Info, "test of %s and \0 in a message");
    }
}
