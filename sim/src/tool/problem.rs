//! What can be wrong with what the user gave: where it is, and what to do about it.

use std::io;
use std::ops::Range;
use truechimer_engine::config::{ConfigError, Problem};
use truechimer_sim::WorldError;

/// Why nothing is simulated, or no result could be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SimError {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    /// Something in a text.
    #[error("{place}: {what}{}", hint(fix))]
    Text {
        /// File, line and column.
        place: String,
        what: String,
        /// What to do; may be empty.
        fix: String,
    },
    /// Several of these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<SimError>),
    /// An engine refuses its configuration.
    #[error("{name}: {error}")]
    Start { name: String, error: WorldError },
}

fn hint(fix: &str) -> String {
    if fix.is_empty() {
        String::new()
    } else {
        format!("\n  {fix}")
    }
}

/// Text of an error without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

impl SimError {
    pub(crate) fn file(path: &str, error: &io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason(error),
        }
    }

    /// A problem with a configuration.
    pub(crate) fn config(path: &str, problem: &Problem) -> Self {
        let what = match &problem.error {
            ConfigError::Line { error, .. } => error.to_string(),
            other => other.to_string(),
        };
        let before = problem.written.get(..problem.at.start).unwrap_or("");
        let place = problem.place.as_ref().map_or_else(
            || path.to_owned(),
            |place| {
                let file = place.file.as_deref().unwrap_or(path);
                format!("{file}:{}:{}", place.line, before.chars().count() + 1)
            },
        );
        let fix = match (problem.suggestion, problem.expected.as_str()) {
            (Some(meant), _) => format!("did you mean '{meant}'?"),
            (None, "") => String::new(),
            (None, expected) => format!("expected {expected}"),
        };
        Self::Text { place, what, fix }
    }
}

/// A text with its name, to point into it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    /// A problem at some bytes of the text.
    pub(crate) fn problem(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> SimError {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        SimError::Text {
            place: format!("{}:{line}:{column}", self.path),
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// What the TOML parser found.
    pub(crate) fn toml(&self, error: &toml::de::Error) -> SimError {
        self.problem(error.span().unwrap_or(0..0), error.message(), "")
    }
}
