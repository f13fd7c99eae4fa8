//! Source selection (section 5.4).

use super::{Action, Table};
use crate::config::AuthSelectMode;

pub(super) const TABLE: &Table = &[
    (
        "authselectmode",
        Action::Set(|line, config| {
            line.keyword(AUTH_MODES)
                .map(|mode| config.selection.auth_mode = mode)
        }),
    ),
    (
        "combinelimit",
        Action::Set(|line, config| line.double().map(|x| config.selection.combine_limit = x)),
    ),
    (
        "maxdistance",
        Action::Set(|line, config| line.double().map(|x| config.selection.max_distance = x)),
    ),
    (
        "maxjitter",
        Action::Set(|line, config| line.double().map(|x| config.selection.max_jitter = x)),
    ),
    (
        "reselectdist",
        Action::Set(|line, config| line.double().map(|x| config.selection.reselect_distance = x)),
    ),
    (
        "stratumweight",
        Action::Set(|line, config| line.double().map(|x| config.selection.stratum_weight = x)),
    ),
    (
        "minsources",
        Action::Set(|line, config| line.int(1, i32::MAX).map(|x| config.selection.min_sources = x)),
    ),
    (
        "minstratum",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.selection.min_stratum = x)),
    ),
    (
        "maxstratum",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.selection.max_stratum = x)),
    ),
    (
        "minsamples",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.selection.min_samples = x)),
    ),
    (
        "maxsamples",
        Action::Set(|line, config| line.int(0, i32::MAX).map(|x| config.selection.max_samples = x)),
    ),
];

const AUTH_MODES: &[(&str, AuthSelectMode)] = &[
    ("require", AuthSelectMode::Require),
    ("prefer", AuthSelectMode::Prefer),
    ("mix", AuthSelectMode::Mix),
    ("ignore", AuthSelectMode::Ignore),
];
