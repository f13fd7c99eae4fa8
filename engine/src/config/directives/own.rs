//! Directives of our own: chrony does not know them, so a configuration with one of them is for us alone.

use super::{Action, Table};
use crate::config::error::Fault;
use crate::config::line::Line;
use crate::config::{Config, MAX_SERVER_THREADS, ServerThreads};

pub(super) const TABLE: &Table = &[("serverthreads", Action::Set(serverthreads))];

fn serverthreads(line: &mut Line<'_>, config: &mut Config) -> Result<(), Fault> {
    line.arguments(1..=1)?;
    let auto = line
        .next_word()
        .is_some_and(|word| word.eq_ignore_ascii_case("auto"));
    config.network.server_threads = if auto {
        line.word();
        ServerThreads::Auto
    } else {
        let count =
            line.int(1, i32::from(MAX_SERVER_THREADS)).map_err(|fault| {
                Fault {
            expected: format!(
                "a number of threads from 1 to {MAX_SERVER_THREADS}, or auto for as many as there are cores"
            )
            .into(),
            words: vec!["auto"],
            ..fault
        }
            })?;
        ServerThreads::Count(count)
    };
    Ok(())
}
