//! From a measurement to the clock: samples, statistics, selection, reference, slewing
//! (`spec/sync.md`).

pub mod address;
pub mod cards;
pub mod clock;
#[cfg(test)]
mod clock_tests;
mod combine;
pub mod cx;
pub mod discipline;
#[cfg(test)]
mod discipline_tests;
pub mod drift;
pub mod dump;
mod fallback;
pub mod filter;
pub mod kernel;
pub mod leap;
pub mod leapdb;
pub mod manual;
mod mix;
pub mod mono;
mod null;
pub mod phc;
pub mod poll;
pub mod quantile;
pub mod reference;
#[cfg(test)]
mod reference_tests;
pub mod regression;
pub mod report;
pub mod sample;
pub mod select;
pub mod served;
mod slew;
pub mod smooth;
pub mod sources;
pub mod special;
pub mod stats;
pub mod status;
pub mod tempcomp;
#[cfg(test)]
pub(crate) mod testing;
pub mod update;

/// One source of time: an NTP source or a reference clock. Numbers are never used again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceId(pub u32);
