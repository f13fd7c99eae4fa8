//! Messages of NTP sources and names (`spec/config.md` section 11.5).

use super::Severity;
use std::fmt;

/// A new value of an option of a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NewValue {
    /// `minpoll`, log2 s.
    MinPoll(i32),
    /// `maxpoll`, log2 s.
    MaxPoll(i32),
    /// `maxdelay`, s.
    MaxDelay(f64),
    /// `maxdelayratio`
    MaxDelayRatio(f64),
    /// `maxdelaydevratio`
    MaxDelayDevRatio(f64),
    /// `minstratum`
    MinStratum(i32),
    /// `polltarget`
    PollTarget(i32),
    /// `offset`, s.
    Offset(f64),
}

impl fmt::Display for NewValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinPoll(x) => write!(f, "minpoll {x}"),
            Self::MaxPoll(x) => write!(f, "maxpoll {x}"),
            Self::MaxDelay(x) => write!(f, "maxdelay {x:.6}"),
            Self::MaxDelayRatio(x) => write!(f, "maxdelayratio {x:.6}"),
            Self::MaxDelayDevRatio(x) => write!(f, "maxdelaydevratio {x:.6}"),
            Self::MinStratum(x) => write!(f, "minstratum {x}"),
            Self::PollTarget(x) => write!(f, "polltarget {x}"),
            Self::Offset(x) => write!(f, "offset {x:.6}"),
        }
    }
}

/// Messages of NTP sources and names. A source is named by its address, or `ID#...` while it has none.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceEvent {
    /// A source went online (true) or offline by command or by itself.
    Online(String, bool),
    /// An option of a source was changed by command.
    New(String, NewValue),
    /// A source was added: address, followed by its name in parentheses if that differs.
    Added(String),
    /// A source was removed: as in `Added`.
    Removed(String),
    /// A pool was added.
    PoolAdded(String),
    /// A pool was removed.
    PoolRemoved(String),
    /// A source could not be added: name, and reason if it is to be told.
    NotAdded(String, Option<String>),
    /// An address was replaced by another of the same name.
    Replaced {
        /// Old address.
        old: String,
        /// New address.
        new: String,
        /// Name.
        name: String,
    },
    /// A name has no usable address.
    InvalidHost(String),
    /// No name was resolved for an hour.
    NothingResolved,
    /// A key is not in the key file.
    KeyMissing(u32),
    /// A key has less than 80 bits.
    KeyTooShort(u32),
    /// `nts` with `peer`.
    NtsWithPeer,
    /// A server asks for fewer requests.
    KodRate(String),
}

impl SourceEvent {
    /// How serious it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Online(..)
            | Self::New(..)
            | Self::Added(_)
            | Self::Removed(_)
            | Self::PoolAdded(_)
            | Self::PoolRemoved(_)
            | Self::Replaced { .. } => Severity::Info,
            Self::InvalidHost(_)
            | Self::NothingResolved
            | Self::KeyMissing(_)
            | Self::KeyTooShort(_)
            | Self::NtsWithPeer
            | Self::KodRate(_) => Severity::Warning,
            Self::NotAdded(..) => Severity::Error,
        }
    }
}

impl fmt::Display for SourceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online(source, online) => {
                write!(
                    f,
                    "Source {source} {}",
                    if *online { "online" } else { "offline" }
                )
            }
            Self::New(source, value) => write!(f, "Source {source} new {value}"),
            Self::Added(source) => write!(f, "Added source {source}"),
            Self::Removed(source) => write!(f, "Removed source {source}"),
            Self::PoolAdded(name) => write!(f, "Added pool {name}"),
            Self::PoolRemoved(name) => write!(f, "Removed pool {name}"),
            Self::NotAdded(name, None) => write!(f, "Could not add source {name}"),
            Self::NotAdded(name, Some(reason)) => write!(f, "Could not add source {name} : {reason}"),
            Self::Replaced { old, new, name } => write!(f, "Source {old} replaced with {new} ({name})"),
            Self::InvalidHost(name) => write!(f, "Invalid host {name}"),
            Self::NothingResolved => f.write_str("Could not resolve any hostnames yet (misconfigured DNS?)"),
            Self::KeyMissing(id) => write!(f, "Key {id} is missing"),
            Self::KeyTooShort(id) => write!(f, "Key {id} is too short"),
            Self::NtsWithPeer => f.write_str("NTS not supported with peers"),
            Self::KodRate(source) => write!(f, "Received KoD RATE from {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_catalogue() {
        let ip = || "192.0.2.1".to_owned();
        let texts = [
            (SourceEvent::Online(ip(), true), "Source 192.0.2.1 online"),
            (SourceEvent::Online(ip(), false), "Source 192.0.2.1 offline"),
            (
                SourceEvent::New(ip(), NewValue::MaxDelay(0.5)),
                "Source 192.0.2.1 new maxdelay 0.500000",
            ),
            (
                SourceEvent::New(ip(), NewValue::MinPoll(-3)),
                "Source 192.0.2.1 new minpoll -3",
            ),
            (
                SourceEvent::NotAdded(ip(), Some("Already in use".to_owned())),
                "Could not add source 192.0.2.1 : Already in use",
            ),
            (
                SourceEvent::NotAdded(ip(), None),
                "Could not add source 192.0.2.1",
            ),
            (
                SourceEvent::Replaced {
                    old: ip(),
                    new: "192.0.2.2".to_owned(),
                    name: "foo".to_owned(),
                },
                "Source 192.0.2.1 replaced with 192.0.2.2 (foo)",
            ),
        ];
        for (event, text) in texts {
            assert_eq!(event.to_string(), text);
        }
    }
}
