//! What the daemon says: the message log (syslog, journal, stderr or a file) and the files below `logdir`.

mod files;
mod message;
mod record;

pub use files::LogFiles;
pub use message::{Destination, MessageLog};
pub use truechimer_engine::time::{Utc, utc};

use std::fmt::Display;
use truechimer_engine::event::Severity;

/// Target of our messages in `tracing`; those of libraries are not logged.
const TARGET: &str = "chronyd";
/// Target of fatal errors, for which `tracing` has no level.
const FATAL: &str = "chronyd::fatal";

/// Logs a message.
pub fn log(severity: Severity, text: impl Display) {
    match severity {
        Severity::Info => tracing::info!(target: TARGET, "{text}"),
        Severity::Warning => tracing::warn!(target: TARGET, "{text}"),
        Severity::Error => tracing::error!(target: TARGET, "{text}"),
        Severity::Fatal => tracing::error!(target: FATAL, "{text}"),
    }
}

/// Logs normal information.
pub fn info(text: impl Display) {
    log(Severity::Info, text);
}

/// Logs something to look at.
pub fn warning(text: impl Display) {
    log(Severity::Warning, text);
}

/// Logs a failure.
pub fn error(text: impl Display) {
    log(Severity::Error, text);
}
