//! What the selection hands to the reference.

use super::sample::Leap;
use crate::time::{Cooked, FastBy};
use std::net::IpAddr;

/// An update of the reference from the selected and combined sources (`spec/sync.md` 4.3 step 11, 5.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Stratum of the selected source (ours is one more).
    pub stratum: u8,
    /// Vote of the sources.
    pub leap: Leap,
    /// Number of combined sources.
    pub combined: u32,
    /// Reference ID of the selected source.
    pub refid: u32,
    /// Address of the selected source; none for a reference clock.
    pub address: Option<IpAddr>,
    /// Time to which the offset refers.
    pub ref_time: Cooked,
    /// Offset.
    pub offset: FastBy,
    /// Its standard deviation, s.
    pub offset_sd: f64,
    /// Frequency, s/s, positive: fast.
    pub freq: f64,
    /// Its standard deviation, s/s.
    pub freq_sd: f64,
    /// Skew, s/s.
    pub skew: f64,
    /// Root delay, s.
    pub root_delay: f64,
    /// Root dispersion, s.
    pub root_dispersion: f64,
}

/// Result of a source selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing for the reference.
    Nothing,
    /// The majority was lost: the reference becomes unsynchronised (`spec/sync.md` 5.8).
    Unsynchronise,
    /// The reference gets an update.
    Update(Update),
}
