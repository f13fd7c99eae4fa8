//! `server`, `pool`, `peer`, `sourcedir`, `refresh` (section 5.2.1).

use super::{Action, Table};
use crate::config::error::{Fault, LineError};
use crate::config::line::{Line, find};
use crate::config::options::{self, Options, Report, Value};
use crate::config::{AddressFamily, SourceConfig, SourceKind};

pub(super) const TABLE: &Table = &[
    (
        "server",
        Action::Set(|line, config| add(line, &mut config.sources)),
    ),
    ("pool", Action::Set(|line, config| add(line, &mut config.sources))),
    ("peer", Action::Set(|line, config| add(line, &mut config.sources))),
    (
        "sourcedir",
        Action::Set(|line, config| {
            config.source_dirs.push(line.words());
            Ok(())
        }),
    ),
    (
        "refresh",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.network.refresh = x)),
    ),
];

const KINDS: [(&str, SourceKind); 3] = [
    ("server", SourceKind::Server),
    ("pool", SourceKind::Pool),
    ("peer", SourceKind::Peer),
];

const OPTIONS: &Options<SourceConfig> = &[
    ("minpoll", Value::Int(-32, 32, |s, x| s.minpoll = x)),
    ("maxpoll", Value::Int(-32, 32, |s, x| s.maxpoll = x)),
    ("iburst", Value::Flag(|s| s.iburst = true)),
    ("burst", Value::Flag(|s| s.burst = true)),
    ("key", Value::Unsigned(1, |s, x| s.key = x)),
    ("nts", Value::Flag(|s| s.nts = true)),
    ("certset", Value::Unsigned(0, |s, x| s.cert_set = x)),
    ("maxntsretry", Value::Int(-32, 32, |s, x| s.max_nts_retry = x)),
    ("maxdelay", Value::Double(|s, x| s.max_delay = x)),
    ("maxdelayratio", Value::Double(|s, x| s.max_delay_ratio = x)),
    (
        "maxdelaydevratio",
        Value::Double(|s, x| s.max_delay_dev_ratio = x),
    ),
    ("maxdelayquant", Value::Double(|s, x| s.max_delay_quant = x)),
    ("mindelay", Value::Double(|s, x| s.min_delay = x)),
    ("asymmetry", Value::Double(|s, x| s.asymmetry = x)),
    ("offset", Value::Double(|s, x| s.offset = x)),
    ("minsamples", Value::Int(0, i32::MAX, |s, x| s.min_samples = x)),
    ("maxsamples", Value::Int(0, i32::MAX, |s, x| s.max_samples = x)),
    ("maxunreach", Value::Int(0, i32::MAX, |s, x| s.max_unreach = x)),
    ("filter", Value::Int(0, i32::MAX, |s, x| s.filter = x)),
    ("offline", Value::Flag(|s| s.online = false)),
    ("auto_offline", Value::Flag(|s| s.auto_offline = true)),
    ("prefer", Value::Flag(|s| s.select.prefer = true)),
    ("noselect", Value::Flag(|s| s.select.noselect = true)),
    ("trust", Value::Flag(|s| s.select.trust = true)),
    ("require", Value::Flag(|s| s.select.require = true)),
    ("xleave", Value::Flag(|s| s.xleave = true)),
    ("polltarget", Value::Int(1, i32::MAX, |s, x| s.poll_target = x)),
    (
        "port",
        Value::Int(0, 65535, |s, x| s.port = u16::try_from(x).unwrap_or(u16::MAX)),
    ),
    (
        "ntsport",
        Value::Int(0, 65535, |s, x| s.nts_port = u16::try_from(x).unwrap_or(u16::MAX)),
    ),
    ("presend", Value::Int(-32, 32, |s, x| s.presend = x)),
    ("minstratum", Value::Int(0, 16, |s, x| s.min_stratum = x)),
    (
        "version",
        Value::Int(1, 4, |s, x| s.version = u8::try_from(x).unwrap_or(0)),
    ),
    ("copy", Value::Flag(|s| s.copy = true)),
    (
        "extfield",
        Value::Hex(&[
            (0xf323, |s| s.mono_root = true),
            (0x10a, |s| s.net_correction = true),
            (0xf324, |s| s.net_correction = true),
        ]),
    ),
    ("ipv4", Value::Flag(|s| s.family = AddressFamily::V4)),
    ("ipv6", Value::Flag(|s| s.family = AddressFamily::V6)),
    ("maxsources", Value::Int(1, i32::MAX, |s, x| s.max_sources = x)),
];

fn add(line: &mut Line<'_>, sources: &mut Vec<SourceConfig>) -> Result<(), Fault> {
    sources.extend(parse(line)?);
    Ok(())
}

/// A source; `None` if the directive is none of the three.
pub(in crate::config) fn parse(line: &mut Line<'_>) -> Result<Option<SourceConfig>, Fault> {
    let Some(kind) = find(&KINDS, line.directive()) else {
        return Ok(None);
    };
    let Some(name) = line.word() else {
        return Err(line.fault(
            LineError::Syntax(line.directive().to_owned()),
            "a hostname or an IP address",
        ));
    };
    let mut source = SourceConfig::new(kind, name);
    options::parse(line, OPTIONS, Report::Named, &mut source)?;
    Ok(Some(source))
}
