//! Files, logs, process (sections 5.3, 5.10, 5.12, 5.13).

use super::{Action, Table};
use crate::config::error::{Fault, LineError};
use crate::config::line::{Line, one_of};
use crate::config::options::Set;
use crate::config::{Config, Logs};

pub(super) const TABLE: &Table = &[
    ("driftfile", Action::Set(driftfile)),
    (
        "dumpdir",
        Action::Set(|line, config| line.string().map(|x| config.files.dump_dir = Some(x))),
    ),
    (
        "keyfile",
        Action::Set(|line, config| line.string().map(|x| config.files.key_file = Some(x))),
    ),
    (
        "logdir",
        Action::Set(|line, config| line.string().map(|x| config.files.log_dir = Some(x))),
    ),
    ("log", Action::Set(log)),
    (
        "logbanner",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.files.log_banner = x)),
    ),
    (
        "pidfile",
        Action::Set(|line, config| line.string().map(|x| config.files.pid_file = Some(x))),
    ),
    (
        "user",
        Action::Set(|line, config| line.string().map(|x| config.files.user = Some(x))),
    ),
    (
        "lock_all",
        Action::Set(|line, config| line.nothing().map(|()| config.files.lock_all = true)),
    ),
    (
        "sched_priority",
        Action::Set(|line, config| line.int(0, 100).map(|x| config.files.sched_priority = x)),
    ),
];

fn driftfile(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    let path = line.word().ok_or_else(|| line.unparsed("a file"))?.to_owned();
    if let Some(word) = line.word() {
        if !word.eq_ignore_ascii_case("interval") {
            return Err(line.misspelt(vec!["interval"]));
        }
        let interval = line
            .c_int()
            .ok_or_else(|| line.unparsed("an interval in seconds"))?;
        line.skip_word();
        if line.word().is_some() {
            return Err(line.unparsed("the end of the line"));
        }
        config.files.drift_interval = interval;
    }
    config.files.drift_file = Some(path);
    Ok(())
}

const LOGS: &[(&str, Set<Logs>)] = &[
    ("measurements", |l| l.measurements = true),
    ("rawmeasurements", |l| l.raw_measurements = true),
    ("statistics", |l| l.statistics = true),
    ("selection", |l| l.selection = true),
    ("tracking", |l| l.tracking = true),
    ("rtc", |l| l.rtc = true),
    ("refclocks", |l| l.refclocks = true),
    ("tempcomp", |l| l.tempcomp = true),
];

fn log(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    while let Some(word) = line.word() {
        // The only keywords whose case matters.
        let Some((_, set)) = LOGS.iter().find(|(name, _)| *name == word) else {
            let names: Vec<_> = LOGS.iter().map(|(name, _)| *name).collect();
            return Err(line.fault(LineError::Log, one_of(&names)).with(names));
        };
        set(&mut config.files.logs);
    }
    Ok(())
}
