//! What messages are about, as values: fields of their entries in the journal.

use super::Event;
use super::clock::ClockEvent;
use super::keys::KeyEvent;
use super::source::SourceEvent;
use super::sync::SyncEvent;
use crate::time::{FastBy, SlowBy};

/// The values in a message, as far as it has some.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fields<'a> {
    /// A source: its address or reference ID, or its name while it has no address.
    pub source: Option<&'a str>,
    /// Name of the source in the configuration if it differs from its address.
    pub source_name: Option<&'a str>,
    /// By how much the clock has to be moved, or was moved, s; positive: forward.
    pub offset: Option<f64>,
    /// Frequency, ppm; positive: the clock is fast.
    pub frequency: Option<f64>,
    /// Error bound of the frequency, ppm.
    pub skew: Option<f64>,
    /// A file.
    pub file: Option<&'a str>,
    /// ID of a key.
    pub key: Option<u32>,
}

impl<'a> Fields<'a> {
    /// `text` is an address, followed by the name in parentheses if that differs.
    fn source(text: &'a str) -> Self {
        let parts = text.strip_suffix(')').and_then(|text| text.split_once(" ("));
        Self {
            source: Some(parts.map_or(text, |(address, _)| address)),
            source_name: parts.map(|(_, name)| name),
            ..Self::default()
        }
    }

    fn offset(by: FastBy) -> Self {
        Self {
            offset: Some(SlowBy::from(by).0),
            ..Self::default()
        }
    }

    fn frequency(ppm: f64) -> Self {
        Self {
            frequency: Some(ppm),
            ..Self::default()
        }
    }

    fn file(name: &'a str) -> Self {
        Self {
            file: Some(name),
            ..Self::default()
        }
    }

    fn key(id: u32) -> Self {
        Self {
            key: Some(id),
            ..Self::default()
        }
    }
}

impl Event {
    /// The values in its text.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        match self {
            Self::Clock(event) => clock(event),
            Self::Sync(event) => sync(event),
            Self::Source(event) => source(event),
            Self::Keys(event) => keys(event),
            Self::Command(_) | Self::Server(_) => Fields::default(),
        }
    }
}

fn clock(event: &ClockEvent) -> Fields<'_> {
    match event {
        ClockEvent::DriftRead {
            frequency,
            skew,
            file,
        } => Fields {
            skew: Some(*skew),
            file: Some(file),
            ..Fields::frequency(*frequency)
        },
        ClockEvent::WrongBy(by)
        | ClockEvent::Stepped(by)
        | ClockEvent::ExceedsMaxChange { offset: by, .. }
        | ClockEvent::InitialOffset(by, _)
        | ClockEvent::OnceWrongBy(by, _) => Fields::offset(*by),
        ClockEvent::InitialFrequency(ppm) | ClockEvent::FrequencyTooLarge(ppm) => Fields::frequency(*ppm),
        ClockEvent::DriftInvalid(file)
        | ClockEvent::LeapListUsed(file)
        | ClockEvent::LeapListFailed(file)
        | ClockEvent::LeapListNotOpened(file)
        | ClockEvent::LeapListNotParsed(file)
        | ClockEvent::LeapListExpired(file)
        | ClockEvent::NoTemperature(file)
        | ClockEvent::BadCompensationPoint(file)
        | ClockEvent::FewCompensationPoints(file) => Fields::file(file),
        _ => Fields::default(),
    }
}

fn sync(event: &SyncEvent) -> Fields<'_> {
    match event {
        SyncEvent::Selected { source }
        | SyncEvent::Falseticker { source }
        | SyncEvent::RootDistance { source, .. }
        | SyncEvent::Jitter { source, .. }
        | SyncEvent::StratumBelow { source, .. }
        | SyncEvent::StratumAbove { source, .. }
        | SyncEvent::OutOfOrder { source }
        | SyncEvent::SelectOptions { source }
        | SyncEvent::DumpLoaded { source }
        | SyncEvent::DumpNotLoaded { source } => Fields::source(source),
        _ => Fields::default(),
    }
}

fn source(event: &SourceEvent) -> Fields<'_> {
    match event {
        SourceEvent::Online(source, _)
        | SourceEvent::New(source, _)
        | SourceEvent::Added(source)
        | SourceEvent::Removed(source)
        | SourceEvent::PoolAdded(source)
        | SourceEvent::PoolRemoved(source)
        | SourceEvent::NotAdded(source, _)
        | SourceEvent::InvalidHost(source)
        | SourceEvent::KodRate(source) => Fields::source(source),
        SourceEvent::Replaced { new, name, .. } => Fields {
            source_name: Some(name),
            ..Fields::source(new)
        },
        SourceEvent::KeyMissing(id) | SourceEvent::KeyTooShort(id) => Fields::key(*id),
        SourceEvent::NothingResolved | SourceEvent::NtsWithPeer => Fields::default(),
    }
}

fn keys(event: &KeyEvent) -> Fields<'_> {
    match event {
        KeyEvent::CannotOpen { file }
        | KeyEvent::WorldReadable { file }
        | KeyEvent::WorldWritable { file }
        | KeyEvent::BadLine { file, .. } => Fields::file(file),
        KeyEvent::Undecodable(id)
        | KeyEvent::UnsupportedHash(id)
        | KeyEvent::BadLength { id, .. }
        | KeyEvent::UnknownType(id)
        | KeyEvent::Duplicate(id)
        | KeyEvent::Missing(id)
        | KeyEvent::TooShort(id) => Fields::key(*id),
        KeyEvent::Loaded(_) => Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_messages() {
        let event = Event::Sync(SyncEvent::Selected {
            source: "192.0.2.1 (ntp.example.net)".to_owned(),
        });
        let fields = event.fields();
        assert_eq!(
            (fields.source, fields.source_name),
            (Some("192.0.2.1"), Some("ntp.example.net"))
        );
        let event = Event::Sync(SyncEvent::Falseticker {
            source: "GPS".to_owned(),
        });
        assert_eq!(event.fields(), Fields::source("GPS"));
        assert_eq!(event.fields().source_name, None);
        // As in the text, positive is forward.
        let event = Event::Clock(ClockEvent::WrongBy(FastBy(-0.25)));
        assert_eq!(event.to_string(), "System clock wrong by 0.250000 seconds");
        assert_eq!(event.fields().offset, Some(0.25));
        let event = Event::Keys(KeyEvent::Duplicate(7));
        assert_eq!(event.fields().key, Some(7));
    }
}
