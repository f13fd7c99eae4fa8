//! Messages of commands that changed something, where they belong to no other family.

use super::Severity;
use std::fmt;

/// Messages of commands that changed something.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandEvent {
    /// `shutdown`
    Shutdown,
}

impl CommandEvent {
    /// How serious it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Shutdown => Severity::Info,
        }
    }
}

impl fmt::Display for CommandEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("Received shutdown command"),
        }
    }
}
