//! What the daemon says: the message log (syslog, journal, stderr or a file) and the files below `logdir`.

mod files;
mod message;
mod record;

pub use files::LogFiles;
pub use message::{Destination, MessageLog};
pub use truechimer_engine::time::{Utc, utc};

use std::fmt::Display;
use truechimer_engine::event::fields::Fields;
use truechimer_engine::event::{Event, Severity};

/// Target of our messages in `tracing`; those of libraries are not logged.
const TARGET: &str = "chronyd";
/// Target of fatal errors, for which `tracing` has no level.
const FATAL: &str = "chronyd::fatal";

/// Longest message, bytes.
const MAX_LENGTH: usize = 2047;

/// Logs a message.
pub fn log(severity: Severity, text: impl Display) {
    say(severity, &text, &Fields::default());
}

/// Logs a message of the engine, with the values that it has.
pub fn event(event: &Event) {
    say(event.severity(), event, &event.fields());
}

fn say(severity: Severity, text: &dyn Display, fields: &Fields<'_>) {
    // The names of fields are those in the journal, there in upper case.
    macro_rules! say {
        ($level:ident, $target:expr, $text:expr) => {
            tracing::$level!(
                target: $target,
                source = fields.source,
                source_name = fields.source_name,
                offset = fields.offset,
                frequency = fields.frequency,
                skew = fields.skew,
                file = fields.file,
                key = fields.key,
                "{}",
                $text
            )
        };
    }
    let text = text.to_string();
    let mut lengths = (0..=MAX_LENGTH.min(text.len())).rev();
    let length = lengths.find(|&length| text.is_char_boundary(length));
    let text = text.get(..length.unwrap_or(0)).unwrap_or_default();
    match severity {
        Severity::Info => say!(info, TARGET, text),
        Severity::Warning => say!(warn, TARGET, text),
        Severity::Error => say!(error, TARGET, text),
        Severity::Fatal => say!(error, FATAL, format_args!("Fatal error : {text}")),
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
