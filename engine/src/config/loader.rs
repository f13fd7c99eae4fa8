//! Reads configuration files and directives of the command line (`spec/config.md` sections 1.5, 4).

use super::directives::{self, Action};
use super::error::{ConfigError, Fault, Place, Warning};
use super::line::{self, Line};
use super::problem::Problem;
use super::search;
use super::{Config, MakeStep};
use std::net::IpAddr;
use std::sync::Arc;

/// Files nested in each other at most.
const MAX_LEVEL: usize = 10;

/// What the loader wants to know from the world. Paths are taken as they are written.
pub trait Environment {
    /// The contents of a file; nothing for a directory.
    ///
    /// # Errors
    ///
    /// The C library's text for the reason, if the file cannot be opened.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// The paths that match a pattern of POSIX `glob`, sorted. A pattern without wildcards is its own result
    /// even if there is no such file.
    ///
    /// # Errors
    ///
    /// [`Unsearchable`] if a directory does not exist or cannot be read.
    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable>;

    /// The first address of a name, now.
    fn resolve(&mut self, name: &str) -> Option<IpAddr>;
}

/// A directory of a pattern does not exist or cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("directory does not exist or cannot be read")]
pub struct Unsearchable;

/// How to read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// `-R`: without `initstepslew` and without `makestep` with a positive limit.
    pub restarted: bool,
    /// Keep the lines, for `-p` and for hints.
    pub keep_lines: bool,
    /// Go on after errors and collect them as problems.
    pub all_problems: bool,
}

/// A line that is neither blank nor a comment nor `include` or `confdir`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeptLine {
    /// Where it is.
    pub place: Place,
    /// As written.
    pub raw: Vec<u8>,
}

impl KeptLine {
    /// Its words, as `chronyd -p` prints them with one space in between (section 4.5).
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        line::words_of(&self.raw)
    }

    /// The same as one line.
    #[must_use]
    pub fn normalised(&self) -> Vec<u8> {
        self.words().collect::<Vec<_>>().join(&b' ')
    }
}

/// Names to addresses, for directives that need it at once.
pub(super) struct Names<'a> {
    environment: &'a mut dyn Environment,
    warnings: &'a mut Vec<Warning>,
    restarted: bool,
}

impl Names<'_> {
    /// A literal address or the first address of a name.
    pub(super) fn address(&mut self, name: &str) -> Option<IpAddr> {
        name.parse().ok().or_else(|| self.environment.resolve(name))
    }

    /// Warns about a server of `initstepslew`.
    pub(super) fn unresolved(&mut self, name: &str) {
        self.warnings.push(Warning::Unresolved(name.to_owned()));
    }

    /// `-R`
    pub(super) fn restarted(&self) -> bool {
        self.restarted
    }
}

/// Makes a [`Config`].
pub struct Loader<'e> {
    environment: &'e mut dyn Environment,
    options: Options,
    level: usize,
    config: Config,
    warnings: Vec<Warning>,
    lines: Vec<KeptLine>,
    problems: Vec<Problem>,
}

impl<'e> Loader<'e> {
    /// Starts from the defaults.
    pub fn new(environment: &'e mut dyn Environment, options: Options) -> Self {
        Self {
            environment,
            options,
            level: 0,
            config: Config::default(),
            warnings: Vec::new(),
            lines: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Reads a file and what it includes.
    ///
    /// # Errors
    ///
    /// The first error; with [`Options::all_problems`] none, all are in [`Loader::problems`].
    pub fn file(&mut self, path: &str) -> Result<(), ConfigError> {
        match self.nested(path) {
            Err(error) if self.options.all_problems => {
                self.problems.push(Problem::whole(error, None));
                Ok(())
            }
            result => result,
        }
    }

    /// Reads directives of the command line, one an argument.
    ///
    /// # Errors
    ///
    /// As [`Loader::file`].
    pub fn directives<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Result<(), ConfigError> {
        for (argument, line) in arguments.iter().zip(1..) {
            self.line(argument.as_ref(), None, line)?;
        }
        Ok(())
    }

    /// What is to be logged with severity warning, in order.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The lines up to the first error, if [`Options::keep_lines`].
    #[must_use]
    pub fn lines(&self) -> &[KeptLine] {
        &self.lines
    }

    /// Takes the lines away.
    pub fn take_lines(&mut self) -> Vec<KeptLine> {
        std::mem::take(&mut self.lines)
    }

    /// All errors, if [`Options::all_problems`].
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What the lines mean.
    #[must_use]
    pub fn finish(mut self) -> Config {
        if self.options.restarted
            && let Some(MakeStep { limit, .. }) = &mut self.config.clock.make_step
        {
            *limit = (*limit).min(0);
        }
        self.config
    }

    fn nested(&mut self, path: &str) -> Result<(), ConfigError> {
        if self.level >= MAX_LEVEL {
            return Err(ConfigError::Level);
        }
        let open = |reason| ConfigError::Open {
            path: path.to_owned(),
            reason,
        };
        let contents = self.environment.read(path).map_err(open)?;
        self.level += 1;
        let result = self.contents(path, &contents);
        self.level -= 1;
        result
    }

    fn contents(&mut self, path: &str, contents: &[u8]) -> Result<(), ConfigError> {
        let (mut number, mut cut) = (0, false);
        let path = Arc::from(path);
        for raw in line::raw_lines(contents) {
            // What is left of a line that is too long is not a line.
            if !cut {
                number += 1;
                self.line(raw, Some(&path), number)?;
            }
            cut = self.options.all_problems && !raw.ends_with(b"\n");
        }
        Ok(())
    }

    fn line(&mut self, raw: &[u8], file: Option<&Arc<str>>, line: usize) -> Result<(), ConfigError> {
        let place = || Place {
            file: file.cloned(),
            line,
        };
        let written = match line::text(raw) {
            Ok(text) => text,
            Err(error) => {
                return self.report(Problem::whole(
                    ConfigError::Line {
                        error,
                        place: place(),
                    },
                    Some(place()),
                ));
            }
        };
        let text = line::normalise(&written);
        if text.is_empty() {
            return Ok(());
        }
        let mut cursor = Line::new(&text);
        let action = directives::find(&cursor);
        if self.options.keep_lines && !matches!(action, Ok(Action::Include | Action::ConfDir)) {
            self.lines.push(KeptLine {
                place: place(),
                raw: raw.to_owned(),
            });
        }
        match action
            .map_err(Failure::Line)
            .and_then(|action| self.act(action, &mut cursor))
        {
            Ok(()) => Ok(()),
            Err(Failure::Line(fault)) => self.report(Problem::of_line(fault, place(), &written)),
            Err(Failure::Files(error)) => {
                let at = line::original(&written, &cursor.mark());
                self.report(Problem {
                    written: written.into_owned(),
                    at,
                    ..Problem::whole(error, Some(place()))
                })
            }
        }
    }

    /// An error ends the reading, or is collected.
    fn report(&mut self, problem: Problem) -> Result<(), ConfigError> {
        if self.options.all_problems {
            self.problems.push(problem);
            Ok(())
        } else {
            Err(problem.error)
        }
    }

    fn act(&mut self, action: Action, line: &mut Line<'_>) -> Result<(), Failure> {
        match action {
            Action::Set(set) => set(line, &mut self.config)?,
            Action::Resolve(set) => {
                let restarted = self.options.restarted;
                let mut names = Names {
                    environment: self.environment,
                    warnings: &mut self.warnings,
                    restarted,
                };
                set(line, &mut self.config, &mut names)?;
            }
            Action::Include => {
                let pattern = line.string()?;
                let files = self.environment.glob(&pattern);
                self.files(&files.map_err(|Unsearchable| ConfigError::Search(pattern))?)?;
            }
            Action::ConfDir => {
                line.arguments(1..=search::MAX_DIRECTORIES)
                    .map_err(|fault| Fault {
                        error: line.unparsed("").error,
                        ..fault
                    })?;
                let files = search::files(self.environment, &line.words(), ".conf");
                self.files(&files)?;
            }
            Action::Retired => self.warnings.push(Warning::Retired(line.directive().to_owned())),
            Action::Ignored => (),
        }
        Ok(())
    }

    /// Reads files in place. The first error counts; the files after it are read only to find more problems.
    fn files(&mut self, files: &[String]) -> Result<(), ConfigError> {
        let mut result = Ok(());
        for file in files {
            let read = self.nested(file);
            result = result.and(read);
            if result.is_err() && !self.options.all_problems {
                break;
            }
        }
        result
    }
}

/// Why a line has no effect.
enum Failure {
    /// The line itself is wrong.
    Line(Fault),
    /// The files that it names, or a line in them.
    Files(ConfigError),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Line(fault)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Files(error)
    }
}
