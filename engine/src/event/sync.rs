//! Messages of source statistics and selection.

use super::Severity;
use std::fmt;

/// Messages of source statistics and selection (`spec/config.md` 11.5). A `source` is an address, followed by
/// the configured name if that differs, or a reference ID.
#[derive(Clone, Debug, PartialEq)]
pub enum SyncEvent {
    /// New best source.
    Selected {
        /// Which.
        source: String,
    },
    /// The source disagrees with the majority.
    Falseticker {
        /// Which.
        source: String,
    },
    /// The root distance has been too large for a while.
    RootDistance {
        /// Of which source.
        source: String,
        /// `maxdistance`, s.
        max: f64,
    },
    /// The jitter has been too large for a while.
    Jitter {
        /// Of which source.
        source: String,
        /// `maxjitter`, s.
        max: f64,
    },
    /// The stratum has been too low for a while.
    StratumBelow {
        /// Of which source.
        source: String,
        /// `minstratum`
        min: u32,
    },
    /// The stratum has been too high for a while.
    StratumAbove {
        /// Of which source.
        source: String,
        /// `maxstratum`
        max: u32,
    },
    /// The last source was removed.
    NoSources,
    /// No source is usable.
    NoUsable {
        /// So many can't be reached.
        unreachable: usize,
    },
    /// All usable sources are falsetickers.
    NoSelectable,
    /// Fewer than `minsources`.
    NotEnough,
    /// None of the sources with option `require` is selectable.
    NoRequired,
    /// The sources don't agree.
    NoMajority {
        /// So many agree.
        agree: usize,
        /// Of so many.
        total: usize,
        /// Only trusted sources were counted.
        trusted: bool,
    },
    /// A sample was older than the one before it.
    OutOfOrder {
        /// Of which source.
        source: String,
    },
    /// Our own reference ID towards another orphan is not known.
    UnknownLocalRefid,
    /// A sample was dropped around a leap second.
    LeapSample,
    /// Command `selectopts`.
    SelectOptions {
        /// Of which source.
        source: String,
    },
    /// Command `reselectdist`.
    ReselectDistance {
        /// New value, s.
        distance: f64,
    },
    /// Command `reset sources`.
    ResetAll,
    /// A dump file was used.
    DumpLoaded {
        /// Of which source.
        source: String,
    },
    /// A dump file was not usable.
    DumpNotLoaded {
        /// Of which source.
        source: String,
    },
}

impl SyncEvent {
    /// How serious it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Selected { .. }
            | Self::LeapSample
            | Self::SelectOptions { .. }
            | Self::ReselectDistance { .. }
            | Self::ResetAll
            | Self::DumpLoaded { .. } => Severity::Info,
            Self::UnknownLocalRefid => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

impl fmt::Display for SyncEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Selected { source } => write!(f, "Selected source {source}"),
            Self::Falseticker { source } => write!(f, "Detected falseticker {source}"),
            Self::RootDistance { source, max } => {
                write!(
                    f,
                    "Root distance of {source} exceeds maxdistance of {max:.3} seconds"
                )
            }
            Self::Jitter { source, max } => {
                write!(f, "Jitter of {source} exceeds maxjitter of {max:.3} seconds")
            }
            Self::StratumBelow { source, min } => write!(f, "Stratum of {source} below minstratum of {min}"),
            Self::StratumAbove { source, max } => write!(f, "Stratum of {source} above maxstratum of {max}"),
            Self::NoSources => f.write_str("Can't synchronise: no sources"),
            Self::NoUsable { unreachable } => {
                write!(
                    f,
                    "Can't synchronise: no selectable sources ({unreachable} unreachable sources)"
                )
            }
            Self::NoSelectable => f.write_str("Can't synchronise: no selectable sources"),
            Self::NotEnough => f.write_str("Can't synchronise: not enough selectable sources"),
            Self::NoRequired => f.write_str("Can't synchronise: no required source in selectable sources"),
            Self::NoMajority {
                agree,
                total,
                trusted,
            } => {
                let trusted = if *trusted { "trusted " } else { "" };
                if *agree < 2 {
                    write!(
                        f,
                        "Can't synchronise: no majority (no agreement among {total} {trusted}sources)"
                    )
                } else {
                    write!(
                        f,
                        "Can't synchronise: no majority (only {agree} of {total} {trusted}sources agree)"
                    )
                }
            }
            Self::OutOfOrder { source } => {
                write!(f, "Out of order sample detected, discarding history for {source}")
            }
            Self::UnknownLocalRefid => f.write_str("Unknown local refid in orphan mode"),
            Self::LeapSample => f.write_str("Dropping sample around leap second"),
            Self::SelectOptions { source } => write!(f, "Source {source} selection options modified"),
            Self::ReselectDistance { distance } => write!(f, "New reselect distance {distance:.6}"),
            Self::ResetAll => f.write_str("Reset all sources"),
            Self::DumpLoaded { source } => write!(f, "Loaded dump file for {source}"),
            Self::DumpNotLoaded { source } => write!(f, "Could not load dump file for {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_catalogue() {
        let source = || "192.0.2.1 (ntp.example.net)".to_owned();
        for (event, severity, text) in [
            (
                SyncEvent::Selected { source: source() },
                Severity::Info,
                "Selected source 192.0.2.1 (ntp.example.net)",
            ),
            (
                SyncEvent::RootDistance {
                    source: "GPS".to_owned(),
                    max: 3.0,
                },
                Severity::Warning,
                "Root distance of GPS exceeds maxdistance of 3.000 seconds",
            ),
            (
                SyncEvent::NoMajority {
                    agree: 1,
                    total: 2,
                    trusted: false,
                },
                Severity::Warning,
                "Can't synchronise: no majority (no agreement among 2 sources)",
            ),
            (
                SyncEvent::NoMajority {
                    agree: 2,
                    total: 4,
                    trusted: true,
                },
                Severity::Warning,
                "Can't synchronise: no majority (only 2 of 4 trusted sources agree)",
            ),
            (
                SyncEvent::NoUsable { unreachable: 3 },
                Severity::Warning,
                "Can't synchronise: no selectable sources (3 unreachable sources)",
            ),
            (
                SyncEvent::ReselectDistance { distance: 1e-4 },
                Severity::Info,
                "New reselect distance 0.000100",
            ),
            (
                SyncEvent::UnknownLocalRefid,
                Severity::Error,
                "Unknown local refid in orphan mode",
            ),
        ] {
            assert_eq!(event.to_string(), text);
            assert_eq!(event.severity(), severity);
        }
    }
}
