//! One measurement (`spec/sync.md` section 1).

use crate::time::{Cooked, SlowBy};

/// One accumulated measurement. Stratum and leap status belong to the source, not to the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Local time to which the offset refers: middle of the local interval.
    pub time: Cooked,
    /// Reference minus local.
    pub offset: SlowBy,
    /// Round-trip delay to the source, s.
    pub peer_delay: f64,
    /// Precisions plus the effect of the frequency's uncertainty over the exchange, s.
    pub peer_dispersion: f64,
    /// Source's root delay + `peer_delay`, s.
    pub root_delay: f64,
    /// Source's root dispersion + `peer_dispersion`, s.
    pub root_dispersion: f64,
}

/// Leap status as in NTP packets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Leap {
    /// No leap second ahead.
    Normal = 0,
    /// The last minute of the day has 61 seconds.
    Insert = 1,
    /// The last minute of the day has 59 seconds.
    Delete = 2,
    /// Not synchronised.
    #[default]
    Unsynchronised = 3,
}

impl Leap {
    /// From the two bits of a packet; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Normal,
            1 => Self::Insert,
            2 => Self::Delete,
            _ => Self::Unsynchronised,
        }
    }
}
