//! Findings as text: the line, the offending word underlined, what is expected.

use std::io::{self, Write};
use std::ops::Range;
use truechimer_engine::config::{ConfigError, LineError, Place, Problem};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Level {
    /// The daemon would not start.
    Error,
    /// It would, but not as it seems to be meant.
    Warning,
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) level: Level,
    /// What it is.
    pub(super) message: String,
    /// The line.
    pub(super) place: Option<Place>,
    /// The line as written; may be empty.
    pub(super) written: String,
    /// The octets to be underlined.
    pub(super) at: Range<usize>,
    /// Said beside the underline; may be empty.
    pub(super) label: String,
    /// What to do about it; may be empty.
    pub(super) help: String,
}

impl Finding {
    /// A problem of the parser.
    pub(super) fn problem(level: Level, problem: &Problem) -> Self {
        let message = match &problem.error {
            ConfigError::Line { error, .. } => error.to_string(),
            other => other.to_string(),
        };
        let word = problem.written.get(problem.at.clone()).unwrap_or("");
        let help = match (&problem.error, problem.suggestion) {
            (_, Some(meant)) => format!("did you mean '{meant}'?"),
            (
                ConfigError::Line {
                    error: LineError::TooLong,
                    ..
                },
                _,
            ) => "a line has at most 2046 characters, comments too".to_owned(),
            (ConfigError::Level, _) => {
                "files may include others 10 deep: does one of them include itself?".to_owned()
            }
            _ if word.starts_with(['#', '!', ';', '%']) => "a comment needs a line of its own".to_owned(),
            _ if word.starts_with('\u{feff}') => {
                "there is an invisible byte order mark before this word: save the file without it".to_owned()
            }
            _ if word.contains('=') || problem.written.contains(" = ") => {
                "names and values are separated by white space, without '='".to_owned()
            }
            _ => String::new(),
        };
        let expected = problem.expected.as_str();
        Self {
            level,
            message,
            place: problem.place.clone(),
            written: problem.written.clone(),
            at: problem.at.clone(),
            label: if expected.is_empty() {
                String::new()
            } else {
                format!("expected {expected}")
            },
            help,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(out, "{level}: {}", self.message)?;
        if let Some(Place { file, line }) = &self.place {
            let before = self.written.get(..self.at.start).unwrap_or("").chars().count();
            let marked = self.written.get(self.at.clone()).unwrap_or("").chars().count();
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            match file {
                Some(file) => writeln!(out, "{margin}--> {file}:{line}:{}", before + 1)?,
                None => writeln!(out, "{margin}--> directive {line}, column {}", before + 1)?,
            }
            if !self.written.is_empty() {
                // One column for each character, or the underline would be elsewhere.
                let written = self.written.trim_end().replace(char::is_control, " ");
                let underline = format!("{}{}", " ".repeat(before), "^".repeat(marked.max(1)));
                writeln!(out, "{margin} |\n{number} | {written}")?;
                writeln!(
                    out,
                    "{}",
                    format!("{margin} | {underline} {}", self.label).trim_end()
                )?;
            }
        }
        if !self.help.is_empty() {
            writeln!(out, "  = help: {}", self.help)?;
        }
        writeln!(out)
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Is there nothing so far?
    pub(super) fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Writes everything and a summary; returns the exit status.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<u8> {
        for finding in &self.findings {
            finding.write(out)?;
        }
        let count = |level| {
            self.findings
                .iter()
                .filter(|finding| finding.level == level)
                .count()
        };
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        if errors + warnings == 0 {
            writeln!(out, "no problems found")?;
        } else {
            writeln!(
                out,
                "{errors} error{}, {warnings} warning{}",
                plural(errors),
                plural(warnings)
            )?;
        }
        out.flush()?;
        Ok(if errors > 0 {
            1
        } else if warnings > 0 {
            2
        } else {
            0
        })
    }
}
