//! What this build lacks (`ARCHITECTURE.md` rule 9): the one place where a configuration is refused for it.

use super::Config;
use thiserror::Error;

/// A directive whose effect this build does not have.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{what} is not supported by this build")]
pub struct Unsupported {
    /// The directive, or the directive and its option.
    pub what: &'static str,
}

/// A directive and whether a configuration relies on it. Delete a line when the feature lands.
type Feature = (&'static str, fn(&Config) -> bool);

const MISSING: &[Feature] = &[
    ("refclock", |c| !c.refclocks.is_empty()),
    ("nts", |c| c.sources.iter().any(|s| s.nts)),
    ("ntsserverkey", |c| !c.network.nts.server_keys.is_empty()),
    ("ntsservercert", |c| !c.network.nts.server_certs.is_empty()),
    ("rtcfile", |c| c.clock.rtc_file.is_some()),
];

/// The directives of a configuration that this build does not support; empty if it can be used.
#[must_use]
pub fn unsupported(config: &Config) -> Vec<Unsupported> {
    let lacking = MISSING.iter().filter(|(_, used)| used(config));
    lacking.map(|(what, _)| Unsupported { what }).collect()
}
