//! `confdir` and `sourcedir` (`spec/config.md` sections 4.2, 4.3).

use super::directives::parse_source;
use super::error::{Fault, LineError, Place};
use super::line::{self, Line};
use super::loader::Environment;
use super::problem::Problem;
use super::source::SourceConfig;

/// Directories in one directive at most.
pub(super) const MAX_DIRECTORIES: usize = 10;

/// The files of some directories with a suffix, sorted by base name; of equal names the one in the directory
/// that is listed first. Directories that cannot be read have none.
pub(super) fn files(environment: &mut dyn Environment, directories: &[String], suffix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for directory in directories {
        let prefix = format!("{directory}/");
        let paths = environment
            .glob(&format!("{prefix}*{suffix}"))
            .unwrap_or_default();
        // Results of wildcards in the name of the directory are none of its files.
        let names = paths
            .iter()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.contains('/'));
        found.extend(names.map(|name| (name.to_owned(), prefix.clone())));
    }
    // Stable: directories stay in order.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
    found
        .into_iter()
        .map(|(name, directory)| directory + &name)
        .collect()
}

/// The sources in the files of all `sourcedir` directives, in the order in which they are found.
///
/// Lines that are wrong are ignored. A line without newline ends the reading of its file: it may be written
/// just now. What cannot be read is ignored too.
pub fn source_files(environment: &mut dyn Environment, source_dirs: &[Vec<String>]) -> Vec<SourceConfig> {
    let mut sources = Vec::new();
    for path in source_paths(environment, source_dirs) {
        let contents = environment.read(&path).unwrap_or_default();
        let complete = |raw: &&[u8]| raw.ends_with(b"\n") && line::text(raw).is_ok();
        let lines = line::raw_lines(&contents).take_while(complete);
        sources.extend(lines.filter_map(|raw| source(raw).ok().flatten()));
    }
    sources
}

/// The files of all `sourcedir` directives, in the order in which they are read.
pub fn source_paths(environment: &mut dyn Environment, source_dirs: &[Vec<String>]) -> Vec<String> {
    let valid = source_dirs
        .iter()
        .filter(|directories| directories.len() <= MAX_DIRECTORIES);
    valid
        .flat_map(|directories| files(environment, directories, ".sources"))
        .collect()
}

/// What is wrong with the lines that are ignored in a file of a `sourcedir` directive.
#[must_use]
pub fn ignored_sources(path: &str, contents: &[u8]) -> Vec<Problem> {
    let place = |line| Place {
        file: Some(path.into()),
        line,
    };
    let problem = |(raw, line)| {
        let fault = source(raw).err()?;
        Some(Problem::of_line(
            fault,
            place(line),
            &String::from_utf8_lossy(raw),
        ))
    };
    line::raw_lines(contents).zip(1..).filter_map(problem).collect()
}

/// A line of a file of a `sourcedir` directive; `None` if it is blank or a comment.
fn source(raw: &[u8]) -> Result<Option<SourceConfig>, Fault> {
    let text = match line::text(raw) {
        Ok(text) => line::normalise(&text),
        Err(error) => return Err(Line::new("").fault(error, "at most 2047 characters")),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let mut line = Line::new(&text);
    if let Some(source) = parse_source(&mut line)? {
        return Ok(Some(source));
    }
    let error = LineError::Directive(line.directive().to_owned());
    Err(line
        .fault(error, "server, pool or peer")
        .with(vec!["server", "pool", "peer"]))
}
