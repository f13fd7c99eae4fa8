//! `server`, `pool`, `peer` (`spec/config.md` section 5.2.1, `spec/ntp.md` section 2.1).

/// Which directive a source comes from.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum SourceKind {
    /// `server`
    #[default]
    Server,
    /// `peer`
    Peer,
    /// `pool`
    Pool,
}

/// Which addresses a name may resolve to.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum AddressFamily {
    /// Both.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// `noselect`, `prefer`, `trust`, `require`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct SelectOptions {
    /// Never select.
    pub noselect: bool,
    /// Prefer over sources without the option.
    pub prefer: bool,
    /// Assume that the source's time is always true.
    pub trust: bool,
    /// At least one such source must be selectable.
    pub require: bool,
}

/// One line `server`, `pool` or `peer`. Values are as given; what is out of the effective range is corrected
/// when the source is made (`spec/ntp.md` 2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Directive.
    pub kind: SourceKind,
    /// Name or address as written.
    pub name: String,
    /// Remote UDP port.
    pub port: u16,
    /// `minpoll`, log2 s.
    pub minpoll: i32,
    /// `maxpoll`, log2 s.
    pub maxpoll: i32,
    /// `presend`, log2 s; 100 is off.
    pub presend: i32,
    /// `iburst`
    pub iburst: bool,
    /// `burst`
    pub burst: bool,
    /// `xleave`
    pub xleave: bool,
    /// `copy`
    pub copy: bool,
    /// Online at start (no `offline`).
    pub online: bool,
    /// `auto_offline`
    pub auto_offline: bool,
    /// `nts`
    pub nts: bool,
    /// `ntsport`
    pub nts_port: u16,
    /// `certset`
    pub cert_set: u32,
    /// `maxntsretry`, log2 s.
    pub max_nts_retry: i32,
    /// `key`; 0 is none.
    pub key: u32,
    /// `version`; 0 is automatic.
    pub version: u8,
    /// `maxdelay`, s.
    pub max_delay: f64,
    /// `maxdelayratio`
    pub max_delay_ratio: f64,
    /// `maxdelaydevratio`
    pub max_delay_dev_ratio: f64,
    /// `maxdelayquant`; 0 is off.
    pub max_delay_quant: f64,
    /// `mindelay`, s; 0 is off.
    pub min_delay: f64,
    /// `asymmetry`; beyond +-0.5 it is estimated.
    pub asymmetry: f64,
    /// `offset`, s; added to measured offsets (reference - local).
    pub offset: f64,
    /// `minsamples`; -1 is the global setting.
    pub min_samples: i32,
    /// `maxsamples`; -1 is the global setting.
    pub max_samples: i32,
    /// `maxunreach`
    pub max_unreach: i32,
    /// `filter`; 0 is off.
    pub filter: i32,
    /// `polltarget`
    pub poll_target: i32,
    /// `minstratum`
    pub min_stratum: i32,
    /// `maxsources` of a pool.
    pub max_sources: i32,
    /// `extfield F323`
    pub mono_root: bool,
    /// `extfield 10A`
    pub net_correction: bool,
    /// `ipv4`, `ipv6`
    pub family: AddressFamily,
    /// Selection.
    pub select: SelectOptions,
}

impl SourceConfig {
    /// A source with the default options.
    #[must_use]
    pub fn new(kind: SourceKind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            port: 123,
            minpoll: 6,
            maxpoll: 10,
            presend: 100,
            iburst: false,
            burst: false,
            xleave: false,
            copy: false,
            online: true,
            auto_offline: false,
            nts: false,
            nts_port: 4460,
            cert_set: 0,
            max_nts_retry: 19,
            key: 0,
            version: 0,
            max_delay: 3.0,
            max_delay_ratio: 0.0,
            max_delay_dev_ratio: 10.0,
            max_delay_quant: 0.0,
            min_delay: 0.0,
            asymmetry: 1.0,
            offset: 0.0,
            min_samples: -1,
            max_samples: -1,
            max_unreach: 100_000,
            filter: 0,
            poll_target: 8,
            min_stratum: 0,
            max_sources: 4,
            mono_root: false,
            net_correction: false,
            family: AddressFamily::Any,
            select: SelectOptions::default(),
        }
    }
}
