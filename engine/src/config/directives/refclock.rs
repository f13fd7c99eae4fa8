//! `refclock`, `initstepslew` (sections 5.2.4, 5.2.5).

use super::{Action, Table};
use crate::config::error::Fault;
use crate::config::line::Line;
use crate::config::loader::Names;
use crate::config::options::{self, Options, Report, Value};
use crate::config::{Config, RefclockConfig};

pub(super) const TABLE: &Table = &[
    ("refclock", Action::Set(refclock)),
    ("initstepslew", Action::Resolve(init_step_slew)),
];

const OPTIONS: &Options<RefclockConfig> = &[
    ("poll", Value::Int(-32, 32, |r, x| r.poll = x)),
    ("dpoll", Value::Int(-32, 32, |r, x| r.driver_poll = x)),
    ("refid", Value::RefId(|r, x| r.refid = x)),
    ("lock", Value::RefId(|r, x| r.lock = x)),
    ("rate", Value::Int(1, i32::MAX, |r, x| r.rate = x)),
    ("maxlockage", Value::Int(0, i32::MAX, |r, x| r.max_lock_age = x)),
    ("width", Value::Double(|r, x| r.width = x)),
    ("pps", Value::Flag(|r| r.pps = true)),
    ("offset", Value::Double(|r, x| r.offset = x)),
    ("delay", Value::Double(|r, x| r.delay = x)),
    (
        "stratum",
        Value::Int(0, 15, |r, x| r.stratum = u8::try_from(x).unwrap_or(0)),
    ),
    ("precision", Value::Double(|r, x| r.precision = x)),
    ("maxdispersion", Value::Double(|r, x| r.max_dispersion = x)),
    ("filter", Value::Int(0, i32::MAX, |r, x| r.filter = x)),
    ("prefer", Value::Flag(|r| r.select.prefer = true)),
    ("noselect", Value::Flag(|r| r.select.noselect = true)),
    ("trust", Value::Flag(|r| r.select.trust = true)),
    ("require", Value::Flag(|r| r.select.require = true)),
    ("tai", Value::Flag(|r| r.tai = true)),
    ("local", Value::Flag(|r| r.local = true)),
    ("minsamples", Value::Int(0, i32::MAX, |r, x| r.min_samples = x)),
    ("maxsamples", Value::Int(0, i32::MAX, |r, x| r.max_samples = x)),
    ("maxunreach", Value::Int(0, i32::MAX, |r, x| r.max_unreach = x)),
    ("optional", Value::Flag(|r| r.optional = true)),
];

fn refclock(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let driver = line
        .word()
        .ok_or_else(|| line.unparsed("a driver: SHM, SOCK, PPS, PHC or RTC"))?;
    let parameter = line
        .word()
        .ok_or_else(|| line.unparsed("the parameter of the driver"))?;
    let mut refclock = RefclockConfig::new(driver, parameter);
    options::parse(line, OPTIONS, Report::Named, &mut refclock)?;
    config.refclocks.push(refclock);
    Ok(())
}

fn init_step_slew(line: &mut Line<'_>, config: &mut Config, names: &mut Names<'_>) -> Result<(), Fault> {
    if names.restarted() {
        return Ok(());
    }
    let threshold = line.next_double()?;
    let mut servers = Vec::new();
    // The rest of a word that only starts with a number is skipped.
    line.skip_word();
    while let Some(name) = line.word() {
        match names.address(name) {
            Some(address) => servers.push(address),
            None => names.unresolved(name),
        }
    }
    config.init_step_slew = Some((threshold, servers));
    Ok(())
}
