//! `chronyd --check-config`: all problems of a configuration at once, and what is accepted silently but is
//! nearly always a mistake. The normal start keeps chrony's own texts.

mod hints;
mod lines;
mod report;

use crate::config_files::{ConfigFiles, Origin, load};
use lines::{Lines, whole};
use report::{Finding, Level, Report};
use std::io::{self, Write};
use truechimer_engine::config::{AddressFamily, Loader, Options, unsupported};

/// What is to be checked.
#[derive(Clone, Debug)]
pub struct Check {
    /// The configuration.
    pub origin: Origin,
    /// `-4`, `-6`
    pub family: AddressFamily,
    /// `-R`
    pub restarted: bool,
}

/// Checks a configuration and writes what is wrong with it. The exit status is 0 if nothing is, 1 after errors,
/// 2 after warnings alone.
///
/// # Errors
///
/// Of the output.
pub fn run(check: &Check, out: &mut dyn Write) -> io::Result<u8> {
    let mut files = ConfigFiles::of(&check.origin, check.family);
    let options = Options {
        restarted: check.restarted,
        keep_lines: true,
        all_problems: true,
    };
    let mut loader = Loader::new(&mut files, options);
    let mut report = Report::default();
    if let Err(error) = load(&mut loader, &check.origin) {
        report.add(whole(Level::Error, error.to_string()));
    }
    for problem in loader.problems() {
        report.add(Finding::problem(Level::Error, problem));
    }
    let lines = Lines::new(loader.lines(), loader.problems());
    let wrong = !report.is_empty();
    let warnings = loader.warnings().to_vec();
    let config = loader.finish();
    for missing in unsupported(&config) {
        let word = missing.what.split(' ').next().unwrap_or("");
        report.add(lines.about(word, Level::Error, missing.to_string()));
    }
    hints::collect(&config, &lines, &warnings, &mut files, &mut report);
    if !wrong {
        // A source may be in a line that was not understood.
        hints::few_sources(&config, &mut files, &mut report);
    }
    report.write(out)
}

#[cfg(test)]
mod tests;
