//! States of a source in the selection (`spec/sync.md` 4.2).

/// What the last selection made of a source. In increasing order of merit.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Status {
    /// Passed so far; not seen outside of a selection.
    Ok,
    /// Option `noselect`.
    Unselectable,
    /// Too few samples.
    #[default]
    BadStats,
    /// Leap status "not synchronised".
    Unsynchronised,
    /// Outside of `minstratum` and `maxstratum`.
    BadStratum,
    /// Root distance larger than `maxdistance`.
    BadDistance,
    /// Standard deviation larger than `maxjitter`.
    Jittery,
    /// Waits for samples of others.
    WaitsStats,
    /// Unreachable for too long.
    Stale,
    /// Orphan.
    Orphan,
    /// Outside of the interval of the trusted sources.
    Untrusted,
    /// Disagrees with the majority.
    Falseticker,
    /// Too few sources, or none of the required ones.
    WaitsSources,
    /// Others are preferred.
    NonPreferred,
    /// The best source has no new sample.
    WaitsUpdate,
    /// Too far from the selected source to be combined.
    Distant,
    /// Combined.
    Unselected,
    /// Selected.
    Selected,
}

/// State of a source as `sources` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum SourceState {
    /// `*`
    Selected = 0,
    /// `?`
    NonSelectable = 1,
    /// `x`
    Falseticker = 2,
    /// `~`
    Jittery = 3,
    /// `+`
    Combined = 4,
    /// `-`
    Selectable = 5,
}

impl Status {
    /// The letter in `selectdata` and the selection log.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Ok => '?',
            Self::Unselectable => 'N',
            Self::BadStats => 'M',
            Self::Unsynchronised => 's',
            Self::BadStratum => 'r',
            Self::BadDistance => 'd',
            Self::Jittery => '~',
            Self::WaitsStats => 'w',
            Self::Stale => 'S',
            Self::Orphan => 'O',
            Self::Untrusted => 'T',
            Self::Falseticker => 'x',
            Self::WaitsSources => 'W',
            Self::NonPreferred => 'P',
            Self::WaitsUpdate => 'U',
            Self::Distant => 'D',
            Self::Unselected => '+',
            Self::Selected => '*',
        }
    }

    /// State in the report `sources`.
    #[must_use]
    pub const fn state(self) -> SourceState {
        match self {
            Self::Jittery => SourceState::Jittery,
            Self::Falseticker => SourceState::Falseticker,
            Self::WaitsSources | Self::NonPreferred | Self::WaitsUpdate | Self::Distant => {
                SourceState::Selectable
            }
            Self::Unselected => SourceState::Combined,
            Self::Selected => SourceState::Selected,
            _ => SourceState::NonSelectable,
        }
    }

    /// A source that stays like this may be wrong: its address should be replaced (`spec/sync.md` 4.9).
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(
            self,
            Self::Falseticker | Self::BadDistance | Self::BadStratum | Self::Jittery
        )
    }
}
