//! The directives of a configuration as words, to point at them.

use super::report::{Finding, Level};
use std::ops::Range;
use truechimer_engine::config::{KeptLine, Place, Problem};

/// A directive that was understood.
#[derive(Debug)]
pub(super) struct Line {
    place: Place,
    written: String,
    words: Vec<Range<usize>>,
}

impl Line {
    fn new(line: &KeptLine) -> Self {
        let written = String::from_utf8_lossy(&line.raw).trim_end().to_owned();
        let mut words = Vec::new();
        let mut end = 0;
        for word in written.split_ascii_whitespace() {
            let start = written
                .get(end..)
                .and_then(|rest| rest.find(word))
                .map_or(end, |at| end + at);
            end = start + word.len();
            words.push(start..end);
        }
        Self {
            place: line.place.clone(),
            written,
            words,
        }
    }

    /// All words; the first is the name of the directive.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words
            .iter()
            .map(|at| self.written.get(at.clone()).unwrap_or(""))
    }

    /// Is it this directive?
    pub(super) fn is(&self, directive: &str) -> bool {
        self.words()
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case(directive))
    }

    /// Where an option is.
    pub(super) fn find(&self, option: &str) -> Option<usize> {
        self.words()
            .skip(1)
            .position(|word| word.eq_ignore_ascii_case(option))
            .map(|index| index + 1)
    }

    /// A finding about a word.
    pub(super) fn at(&self, level: Level, word: usize, message: String) -> Finding {
        let end = self.written.len()..self.written.len();
        Finding {
            level,
            message,
            place: Some(self.place.clone()),
            written: self.written.clone(),
            at: self.words.get(word).cloned().unwrap_or(end),
            label: String::new(),
            help: String::new(),
        }
    }
}

/// All directives that were understood.
#[derive(Debug)]
pub(super) struct Lines(Vec<Line>);

impl Lines {
    /// The lines without those that have problems.
    pub(super) fn new(kept: &[KeptLine], problems: &[Problem]) -> Self {
        let wrong: std::collections::HashSet<_> = problems
            .iter()
            .filter_map(|problem| problem.place.as_ref())
            .map(|p| (&p.file, p.line))
            .collect();
        let right = kept
            .iter()
            .filter(|line| !wrong.contains(&(&line.place.file, line.place.line)));
        Self(right.map(Line::new).collect())
    }

    /// All.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.0.iter()
    }

    /// The lines with a directive.
    pub(super) fn of<'a>(&'a self, directive: &'a str) -> impl Iterator<Item = &'a Line> {
        self.iter().filter(move |line| line.is(directive))
    }

    /// A finding at the first line with a directive or option; if there is none, about the whole.
    pub(super) fn about(&self, word: &str, level: Level, message: String) -> Finding {
        if let Some(line) = self.of(word).next() {
            return line.at(level, 0, message);
        }
        let option = self.iter().find_map(|line| Some((line, line.find(word)?)));
        option.map_or_else(
            || whole(level, message.clone()),
            |(line, index)| line.at(level, index, message.clone()),
        )
    }
}

/// A finding about the configuration as a whole.
pub(super) fn whole(level: Level, message: String) -> Finding {
    let (written, label, help) = (String::new(), String::new(), String::new());
    Finding {
        level,
        message,
        place: None,
        written,
        at: 0..0,
        label,
        help,
    }
}
