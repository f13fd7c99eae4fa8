//! Everything the engine has to say to people and log files, as typed values. Their texts are made here and
//! nowhere else, since chrony's messages are part of the contract (`spec/config.md` section 11).
//!
//! One file a family: [`clock`], [`sync`], [`source`], [`command`], [`keys`], [`server`]; [`record`] has the
//! lines of the log files below `logdir`, [`fields`] the values in messages.

pub mod clock;
pub mod command;
pub mod fields;
pub mod keys;
pub mod record;
pub mod server;
pub mod source;
pub mod sync;

use std::fmt;

/// How serious a message is; the threshold of `chronyd -L` compares these.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Normal information (`-L 0`).
    Info,
    /// Something to look at (`-L 1`).
    Warning,
    /// Something failed (`-L 2`).
    Error,
    /// The daemon ends (`-L 3`).
    Fatal,
}

/// One message for the message log. `Display` gives chrony's text.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Of the clock module and the reference.
    Clock(clock::ClockEvent),
    /// Of the selection of sources.
    Sync(sync::SyncEvent),
    /// Of NTP sources.
    Source(source::SourceEvent),
    /// Of commands that changed something.
    Command(command::CommandEvent),
    /// Of symmetric keys.
    Keys(keys::KeyEvent),
    /// Of access to the server.
    Server(server::ServerEvent),
}

impl Event {
    /// How serious it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Clock(event) => event.severity(),
            Self::Sync(event) => event.severity(),
            Self::Source(event) => event.severity(),
            Self::Command(event) => event.severity(),
            Self::Keys(event) => event.severity(),
            Self::Server(event) => event.severity(),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock(event) => event.fmt(f),
            Self::Sync(event) => event.fmt(f),
            Self::Source(event) => event.fmt(f),
            Self::Command(event) => event.fmt(f),
            Self::Keys(event) => event.fmt(f),
            Self::Server(event) => event.fmt(f),
        }
    }
}
