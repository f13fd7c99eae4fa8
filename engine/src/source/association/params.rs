//! What an association takes from its configuration, in effective values (`spec/ntp.md` section 2.1).

use crate::config::{SourceConfig, SourceKind};
use crate::sync::poll::PollControl;
use crate::wire::ntp::Packet;

/// Smallest and largest poll, log2 s.
pub(super) const POLLS: std::ops::RangeInclusive<i32> = PollControl::SHORTEST..=PollControl::LONGEST;
const DEFAULT_MIN_POLL: i32 = 6;
const DEFAULT_MAX_POLL: i32 = 10;
/// A presend that no poll reaches.
const NO_PRESEND: i32 = 25;
const MAX_DELAY: f64 = 1e3;
const MAX_RATIO: f64 = 1e6;

/// Effective values of the options of a source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Params {
    /// `peer` instead of `server`.
    pub(crate) peer: bool,
    /// log2 s; 25 is off.
    pub(crate) presend: i32,
    pub(crate) iburst: bool,
    pub(crate) burst: bool,
    pub(crate) xleave: bool,
    pub(crate) copy: bool,
    pub(crate) auto_offline: bool,
    /// Key ID; 0 is none.
    pub(crate) key: u32,
    /// NTS was asked for: nothing else may be trusted.
    pub(crate) nts: bool,
    /// As configured; 0 is automatic.
    pub(crate) version: u8,
    /// s.
    pub(crate) max_delay: f64,
    pub(crate) max_delay_ratio: f64,
    pub(crate) max_delay_dev_ratio: f64,
    /// Probability; `None` is off.
    pub(crate) max_delay_quant: Option<f64>,
    /// s, added to measured offsets.
    pub(crate) offset: f64,
    pub(crate) min_stratum: i32,
    /// Length of the median filter; 0 is off.
    pub(crate) filter: usize,
    pub(crate) mono_root: bool,
    pub(crate) net_correction: bool,
}

/// `maxdelay` and its kin, with not-a-number as zero.
fn limited(value: f64, max: f64) -> f64 {
    if value > 0.0 { value.min(max) } else { 0.0 }
}

/// The polling interval as configured.
pub(super) fn poll_control(config: &SourceConfig) -> PollControl {
    let poll = |value: i32, default: i32| {
        if value < *POLLS.start() {
            default
        } else {
            value.min(*POLLS.end())
        }
    };
    let minpoll = poll(config.minpoll, DEFAULT_MIN_POLL);
    let maxpoll = poll(config.maxpoll, DEFAULT_MAX_POLL).max(minpoll);
    PollControl::new(minpoll, maxpoll, config.poll_target)
}

impl Params {
    pub(crate) fn new(config: &SourceConfig) -> Self {
        let peer = config.kind == SourceKind::Peer;
        let quantile = config.max_delay_quant;
        Self {
            peer,
            presend: if peer || config.presend > *POLLS.end() {
                NO_PRESEND
            } else {
                config.presend
            },
            iburst: config.iburst && !peer,
            burst: config.burst && !peer,
            xleave: config.xleave,
            copy: config.copy && !peer,
            auto_offline: config.auto_offline,
            key: if config.nts { 0 } else { config.key },
            nts: config.nts && !peer,
            version: config.version.min(4),
            max_delay: limited(config.max_delay, MAX_DELAY),
            max_delay_ratio: limited(config.max_delay_ratio, MAX_RATIO),
            max_delay_dev_ratio: limited(config.max_delay_dev_ratio, MAX_RATIO),
            max_delay_quant: (quantile > 0.0).then_some(quantile),
            offset: config.offset,
            min_stratum: config.min_stratum.clamp(0, 15),
            filter: usize::try_from(config.filter).unwrap_or(0).min(256),
            mono_root: config.mono_root,
            net_correction: config.net_correction,
        }
    }

    /// Version of requests, given the length (octets) of the digest that the key makes, if the key is known.
    pub(crate) fn request_version(&self, digest: Option<usize>) -> u8 {
        if self.version != 0 {
            self.version
        } else if self.mono_root || self.net_correction || self.xleave {
            4
        } else if digest.is_some_and(|length| length > 20) {
            3
        } else {
            4
        }
    }

    /// How long the network delayed our request, by a response, s; 0: unknown.
    pub(crate) fn net_correction(&self, response: &Packet<'_>) -> f64 {
        let field = response.net_correction.filter(|_| self.net_correction);
        field.unwrap_or(0.0)
    }

    pub(crate) fn set_max_delay(&mut self, value: f64) {
        self.max_delay = limited(value, MAX_DELAY);
    }

    pub(crate) fn set_max_delay_ratio(&mut self, value: f64) {
        self.max_delay_ratio = limited(value, MAX_RATIO);
    }

    pub(crate) fn set_max_delay_dev_ratio(&mut self, value: f64) {
        self.max_delay_dev_ratio = limited(value, MAX_RATIO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(change: impl FnOnce(&mut SourceConfig)) -> Params {
        let mut config = SourceConfig::new(SourceKind::Server, "192.0.2.1");
        change(&mut config);
        Params::new(&config)
    }

    #[test]
    fn polls_out_of_range_are_corrected() {
        let polls = |min, max| {
            let mut config = SourceConfig::new(SourceKind::Server, "192.0.2.1");
            (config.minpoll, config.maxpoll) = (min, max);
            let poll = poll_control(&config);
            (poll.min(), poll.max())
        };
        assert_eq!(polls(-8, -8), (6, 10));
        assert_eq!(polls(30, 10), (24, 24));
        assert_eq!(polls(6, 4), (6, 6));
        assert_eq!(polls(-7, -7), (-7, -7));
    }

    #[test]
    fn peers_have_no_bursts_and_no_presend() {
        let p = params(|c| {
            (c.kind, c.iburst, c.burst, c.copy, c.presend) = (SourceKind::Peer, true, true, true, 3);
        });
        assert!(!p.iburst && !p.burst && !p.copy);
        assert_eq!(p.presend, NO_PRESEND);
    }

    #[test]
    fn a_long_digest_asks_for_version_3() {
        assert_eq!(params(|_| {}).request_version(Some(32)), 3);
        assert_eq!(params(|_| {}).request_version(Some(20)), 4);
        assert_eq!(params(|_| {}).request_version(None), 4);
        assert_eq!(params(|c| c.xleave = true).request_version(Some(32)), 4);
        assert_eq!(params(|c| c.mono_root = true).request_version(Some(32)), 4);
        assert_eq!(params(|c| c.version = 1).request_version(Some(32)), 1);
    }
}
