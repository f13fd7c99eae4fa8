//! A problem with all that is needed to show it: what is wrong, where, what is expected.

use super::error::{ConfigError, Fault, Place};
use super::line;
use std::ops::Range;

/// What is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Chrony's text.
    pub error: ConfigError,
    /// The line; `None`: the main file itself.
    pub place: Option<Place>,
    /// The line as written; empty if it is of no use.
    pub written: String,
    /// The offending octets of `written`; empty where something is missing.
    pub at: Range<usize>,
    /// What is expected there; may be empty.
    pub expected: String,
    /// What was meant, if it looks like a misspelt word.
    pub suggestion: Option<&'static str>,
}

impl Problem {
    /// A problem with no line to show.
    pub(super) fn whole(error: ConfigError, place: Option<Place>) -> Self {
        Self {
            error,
            place,
            written: String::new(),
            at: 0..0,
            expected: String::new(),
            suggestion: None,
        }
    }

    /// A problem with a word of a line.
    pub(super) fn of_line(fault: Fault, place: Place, written: &str) -> Self {
        let at = line::original(written, &fault.at);
        let word = written.get(at.clone()).unwrap_or("");
        Self {
            suggestion: nearest(word, &fault.words),
            error: ConfigError::Line {
                error: fault.error,
                place: place.clone(),
            },
            place: Some(place),
            written: written.trim_end_matches(line::is_space).to_owned(),
            at,
            expected: fault.expected.into_owned(),
        }
    }
}

/// The known word that a word looks like: at most a third of its letters differ, or it is the beginning.
pub(super) fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    // Distances are quadratic in the length; no known word is longer than this.
    if word.is_empty() || word.len() > 32 {
        return None;
    }
    let near = known.iter().map(|&name| (distance(&word, name), name));
    let (distance, name) = near.min_by_key(|(distance, _)| *distance)?;
    if distance <= (word.len() / 3).max(1) && distance < name.len() {
        return Some(name);
    }
    let mut longer = known
        .iter()
        .filter(|name| word.len() > 2 && name.starts_with(&word));
    longer.next().copied().filter(|_| longer.next().is_none())
}

/// Letters to insert, delete, replace or swap with their neighbour to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, letter) in a.bytes().enumerate() {
        let mut row = vec![i + 1];
        for (j, &other) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut best = at(&last, j) + usize::from(letter != other);
            best = best.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            if j > 0 && previous == Some(other) && b.get(j - 1) == Some(&letter) {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_are_found() {
        let known = [
            "maxsources",
            "maxsamples",
            "minsources",
            "iburst",
            "burst",
            "port",
        ];
        assert_eq!(nearest("maxsource", &known), Some("maxsources"));
        assert_eq!(nearest("MAXSUORCES", &known), Some("maxsources"));
        assert_eq!(nearest("ibrust", &known), Some("iburst"));
        assert_eq!(nearest("maxso", &known), Some("maxsources"));
        assert_eq!(nearest("reload", &known), None);
        assert_eq!(nearest("#", &known), None);
        assert_eq!(nearest("x", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn swapped_letters_are_one_mistake() {
        assert_eq!(distance("prot", "port"), 1);
        assert_eq!(distance("", "port"), 4);
        assert_eq!(distance("port", "port"), 0);
        assert_eq!(distance("sever", "server"), 1);
    }
}
