//! All directives, a table for each family (`spec/config.md` section 5.1).

mod access;
mod clock;
mod files;
mod network;
mod nts;
mod own;
mod refclock;
mod selection;
mod source;

use super::Config;
use super::error::{Fault, LineError};
use super::line::Line;
use super::loader::Names;

pub(super) use source::parse as parse_source;

/// What a directive does.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// Changes the configuration.
    Set(fn(&mut Line<'_>, &mut Config) -> Result<(), Fault>),
    /// Needs addresses of names.
    Resolve(fn(&mut Line<'_>, &mut Config, &mut Names<'_>) -> Result<(), Fault>),
    /// `include`
    Include,
    /// `confdir`
    ConfDir,
    /// Has no effect any more; a warning is logged.
    Retired,
    /// Has no effect any more.
    Ignored,
}

/// The directives of a family.
pub(super) type Table = [(&'static str, Action)];

const FAMILIES: [&Table; 10] = [
    source::TABLE,
    refclock::TABLE,
    clock::TABLE,
    selection::TABLE,
    network::TABLE,
    access::TABLE,
    nts::TABLE,
    files::TABLE,
    OTHERS,
    own::TABLE,
];

const OTHERS: &Table = &[
    ("include", Action::Include),
    ("confdir", Action::ConfDir),
    ("commandkey", Action::Retired),
    ("generatecommandkey", Action::Retired),
    ("linux_freq_scale", Action::Retired),
    ("linux_hz", Action::Retired),
    ("dumponexit", Action::Ignored),
];

/// The directive of that name, any case.
pub(super) fn find(line: &Line<'_>) -> Result<Action, Fault> {
    let name = line.directive();
    let mut all = FAMILIES.iter().copied().flatten();
    all.find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, action)| *action)
        .ok_or_else(|| {
            let names = FAMILIES
                .iter()
                .copied()
                .flatten()
                .map(|(name, _)| *name)
                .collect();
            line.fault(LineError::Directive(name.to_owned()), "a directive")
                .with(names)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hundred_of_chrony_and_our_own_each_once() {
        let names: Vec<_> = FAMILIES
            .iter()
            .copied()
            .flatten()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len());
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
        assert_eq!(names.len() - own::TABLE.len(), 100);
    }
}
