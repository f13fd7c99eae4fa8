//! What can be wrong with a configuration, in chrony's words (`spec/config.md` section 3).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use thiserror::Error;

/// Where a line is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// File as it was opened; `None`: an argument of the command line.
    pub file: Option<Arc<str>>,
    /// From 1; the position among the arguments if there is no file.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.file {
            Some(file) => write!(f, " in file {file}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a line. Directives are named as they are written.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LineError {
    /// No such directive.
    #[error("Invalid directive {0}")]
    Directive(String),
    /// General failure.
    #[error("Could not parse {0} directive")]
    Unparsed(String),
    /// Fewer words than needed.
    #[error("Missing arguments for {0} directive")]
    Missing(String),
    /// More words than allowed.
    #[error("Too many arguments for {0} directive")]
    TooMany(String),
    /// Integer out of its range.
    #[error("Invalid value {value} in {directive} directive (min {min}, max {max})")]
    Range {
        /// Directive.
        directive: String,
        /// What was given.
        value: i64,
        /// Smallest value.
        min: i32,
        /// Largest value.
        max: i32,
    },
    /// Unknown option of `server` and its kin, `local`, `refclock`.
    #[error("Invalid option in {0} directive")]
    Option(String),
    /// Bad value of an option of these.
    #[error("Invalid value in {0} directive")]
    Value(String),
    /// `server` and its kin without a name.
    #[error("Invalid syntax for {0} directive")]
    Syntax(String),
    /// Unknown word in `log`.
    #[error("Invalid log parameter")]
    Log,
    /// More than 2047 octets.
    #[error("String too long")]
    TooLong,
}

/// Why a configuration cannot be used. The operator is to blame.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ConfigError {
    /// A line is wrong. The text is cut after 255 octets, the place is not.
    #[error("{} at {place}", beginning(&error.to_string()))]
    Line {
        /// What is wrong.
        error: LineError,
        /// Where.
        place: Place,
    },
    /// More than 10 files nested.
    #[error("Maximum include level reached")]
    Level,
    /// A file cannot be opened.
    #[error("Could not open {path} : {reason}")]
    Open {
        /// The file.
        path: String,
        /// Text of the C library.
        reason: String,
    },
    /// The directory of a pattern cannot be read.
    #[error("Could not search for files matching {0}")]
    Search(String),
}

/// At most 255 octets of a text (`spec/config.md` 3.2).
fn beginning(text: &str) -> &str {
    let mut ends = (0..=255).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or("")
}

/// What is accepted and logged with severity warning.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Warning {
    /// A directive that has no effect any more.
    #[error("{0} directive is no longer supported")]
    Retired(String),
    /// A name in `initstepslew` has no address.
    #[error("Could not resolve address of initstepslew server {0}")]
    Unresolved(String),
}

/// A wrong line, with what is needed to explain it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    /// What is wrong.
    pub(super) error: LineError,
    /// The offending octets of the normalised line; empty where something is missing.
    pub(super) at: Range<usize>,
    /// What is expected there; may be empty.
    pub(super) expected: Cow<'static, str>,
    /// Words that would be accepted there, to find a misspelt one.
    pub(super) words: Vec<&'static str>,
}
