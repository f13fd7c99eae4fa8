//! `allow`, `deny` and their kin, rate limits, `opencommands` (sections 2.2, 5.6.4, 5.8).

use super::{Action, Table};
use crate::config::error::Fault;
use crate::config::line::{Line, find};
use crate::config::loader::Names;
use crate::config::options::{self, Options, Report, Set, Value};
use crate::config::value::{self, SubnetText};
use crate::config::{AccessRule, Config, OpenCommands, RateLimit, Subnet};

pub(super) const TABLE: &Table = &[
    (
        "allow",
        Action::Resolve(|line, config, names| rule(line, names, true, &mut config.network.access)),
    ),
    (
        "deny",
        Action::Resolve(|line, config, names| rule(line, names, false, &mut config.network.access)),
    ),
    (
        "cmdallow",
        Action::Resolve(|line, config, names| rule(line, names, true, &mut config.network.cmd_access)),
    ),
    (
        "cmddeny",
        Action::Resolve(|line, config, names| rule(line, names, false, &mut config.network.cmd_access)),
    ),
    (
        "ratelimit",
        Action::Set(|line, config| limit(line, WITH_KOD, 3, &mut config.network.rate_limit)),
    ),
    (
        "ntsratelimit",
        Action::Set(|line, config| limit(line, LIMITS, 6, &mut config.network.nts_rate_limit)),
    ),
    (
        "cmdratelimit",
        Action::Set(|line, config| limit(line, LIMITS, -4, &mut config.network.cmd_rate_limit)),
    ),
    ("opencommands", Action::Set(opencommands)),
];

fn rule(
    line: &mut Line<'_>,
    names: &mut Names<'_>,
    allow: bool,
    rules: &mut Vec<AccessRule>,
) -> Result<(), Fault> {
    let mut word = line.word();
    let all = word == Some("all");
    if all {
        word = line.word();
    }
    let subnet = match word {
        None => Subnet::Any,
        Some(text) => {
            let unknown = || line.unparsed("'all', an address, a subnet or a hostname");
            match value::subnet(text).ok_or_else(unknown)? {
                SubnetText::Net(subnet) => subnet,
                SubnetText::Name(name) => {
                    let address = names.address(name);
                    let address =
                        address.ok_or_else(|| line.unparsed("an address or a name that resolves"))?;
                    Subnet::Net(address, if address.is_ipv4() { 32 } else { 128 })
                }
            }
        }
    };
    if line.word().is_some() {
        return Err(line.unparsed("the end of the line"));
    }
    rules.push(AccessRule { allow, all, subnet });
    Ok(())
}

const WITH_KOD: &Options<RateLimit> = &[
    ("interval", Value::Int(-32, 255, |r, x| r.interval = x)),
    ("burst", Value::Int(-32, 255, |r, x| r.burst = x)),
    ("leak", Value::Int(-32, 255, |r, x| r.leak = x)),
    ("kod", Value::Int(-32, 255, |r, x| r.kod = x)),
];

/// All but the last.
const LIMITS: &Options<RateLimit> = WITH_KOD.split_at(3).0;

fn limit(
    line: &mut Line<'_>,
    options: &Options<RateLimit>,
    interval: i32,
    to: &mut Option<RateLimit>,
) -> Result<(), Fault> {
    let mut limit = to.unwrap_or(RateLimit {
        interval,
        burst: 8,
        leak: 2,
        kod: 0,
    });
    options::parse(line, options, Report::Plain, &mut limit)?;
    *to = Some(limit);
    Ok(())
}

const COMMANDS: &[(&str, Set<OpenCommands>)] = &[
    ("activity", |c| c.activity = true),
    ("authdata", |c| c.authdata = true),
    ("clients", |c| c.clients = true),
    ("manual", |c| c.manual = true),
    ("ntpdata", |c| c.ntpdata = true),
    ("rtcdata", |c| c.rtcdata = true),
    ("selectdata", |c| c.selectdata = true),
    ("serverstats", |c| c.serverstats = true),
    ("smoothing", |c| c.smoothing = true),
    ("sourcename", |c| c.sourcename = true),
    ("sources", |c| c.sources = true),
    ("sourcestats", |c| c.sourcestats = true),
    ("tracking", |c| c.tracking = true),
];

fn opencommands(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let mut open = OpenCommands::NONE;
    while let Some(word) = line.word() {
        let set = find(COMMANDS, word);
        set.ok_or_else(|| line.misspelt(COMMANDS.iter().map(|(name, _)| *name).collect()))?(&mut open);
    }
    config.network.open_commands = open;
    Ok(())
}
