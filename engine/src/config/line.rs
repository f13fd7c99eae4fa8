//! Lines and words (`spec/config.md` section 1) and a cursor over the words of one line.

use super::error::{Fault, LineError};
use super::value;
use nom::IResult;
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

/// Longest line with its newline, octets.
const MAX_LINE: usize = 2047;

/// White space of the C locale.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Octets up to the first that is (or is not) white space. White space is ASCII: looking at octets is enough, and quicker.
fn length_until(i: &str, space: bool) -> usize {
    let found = i.bytes().position(|octet| is_space(char::from(octet)) == space);
    found.unwrap_or(i.len())
}

/// What is behind the white space in front.
fn skip_space(i: &str) -> &str {
    i.get(length_until(i, false)..).unwrap_or("")
}

/// The next word and what is left behind it.
fn word(i: &str) -> Option<(&str, &str)> {
    let i = skip_space(i);
    i.split_at_checked(length_until(i, true))
        .filter(|(word, _)| !word.is_empty())
}

/// The raw lines of a file as `fgets` with a buffer for one octet more than the longest line cuts them; the
/// newline is part of a line.
pub(super) fn raw_lines(mut contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let window = contents.get(..=MAX_LINE).unwrap_or(contents);
        let length = window
            .iter()
            .position(|&b| b == b'\n')
            .map_or(window.len(), |newline| newline + 1);
        let (line, rest) = contents
            .split_at_checked(length)
            .filter(|(line, _)| !line.is_empty())?;
        contents = rest;
        Some(line)
    })
}

/// The text of a raw line up to the first NUL. Octets that are not UTF-8 become U+FFFD.
///
/// # Errors
///
/// [`LineError::TooLong`] for more than 2047 octets.
pub(super) fn text(raw: &[u8]) -> Result<Cow<'_, str>, LineError> {
    let raw = until_nul(raw);
    if raw.len() > MAX_LINE {
        Err(LineError::TooLong)
    } else {
        Ok(String::from_utf8_lossy(raw))
    }
}

/// The part before the first NUL.
fn until_nul(raw: &[u8]) -> &[u8] {
    raw.split(|&b| b == 0).next().unwrap_or(raw)
}

/// One space between words, none around; comments become empty (section 1.2).
pub(super) fn normalise(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((next, after)) = word(rest) {
        if line.is_empty() {
            if next.starts_with(['!', ';', '#', '%']) {
                break;
            }
        } else {
            line.push(' ');
        }
        line.push_str(next);
        rest = after;
    }
    line
}

/// The words of a line, which is no comment, on octets: to print a line as it is.
pub(super) fn words_of(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let space = |b: &u8| is_space(char::from(*b));
    until_nul(raw).split(space).filter(|word| !word.is_empty())
}

/// Where octets of the normalised line are in the line as written.
pub(super) fn original(written: &str, at: &Range<usize>) -> Range<usize> {
    let (mut rest, mut start) = (written, 0);
    while let Some((next, after)) = word(rest) {
        let from = written.len() - after.len() - next.len();
        if at.start <= start + next.len() {
            let begin = from + at.start.saturating_sub(start);
            return begin..begin + at.len();
        }
        start += next.len() + 1;
        rest = after;
    }
    let end = written.trim_end_matches(is_space).len();
    end..end
}

/// A cursor over a normalised line. `mark` is always the word or value that was looked at last: errors point
/// there.
#[derive(Debug)]
pub(super) struct Line<'a> {
    text: &'a str,
    position: usize,
    mark: Range<usize>,
    directive: &'a str,
}

impl<'a> Line<'a> {
    /// The cursor stands behind the name of the directive.
    pub(super) fn new(text: &'a str) -> Self {
        let mut line = Self {
            text,
            position: 0,
            mark: 0..0,
            directive: "",
        };
        line.directive = line.word().unwrap_or("");
        line
    }

    /// The name as written.
    pub(super) fn directive(&self) -> &'a str {
        self.directive
    }

    /// Where the word or value is that was looked at last.
    pub(super) fn mark(&self) -> Range<usize> {
        self.mark.clone()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    /// Is nothing left?
    pub(super) fn is_end(&self) -> bool {
        skip_space(self.rest()).is_empty()
    }

    /// The next word.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        let Some((next, after)) = word(self.rest()) else {
            self.mark = self.text.len()..self.text.len();
            return None;
        };
        self.position = self.text.len() - after.len();
        self.mark = self.position - next.len()..self.position;
        Some(next)
    }

    /// The next word, without reading it.
    pub(super) fn next_word(&self) -> Option<&'a str> {
        word(self.rest()).map(|(next, _)| next)
    }

    /// Skips what a value left of its word.
    pub(super) fn skip_word(&mut self) {
        if !self.rest().starts_with(is_space) {
            self.word();
        }
    }

    /// All words that are left.
    pub(super) fn words(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.word()).map(str::to_owned).collect()
    }

    /// A value that may end inside of a word.
    fn value<T>(&mut self, parse: impl Fn(&'a str) -> IResult<&'a str, T>) -> Option<T> {
        let text = skip_space(self.rest());
        let start = self.text.len() - text.len();
        let Ok((after, value)) = parse(text) else {
            let end = word(text).map_or(start, |(next, _)| start + next.len());
            self.mark = start..end;
            return None;
        };
        self.position = self.text.len() - after.len();
        self.mark = start..self.position;
        Some(value)
    }

    /// `%d`
    pub(super) fn c_int(&mut self) -> Option<i32> {
        self.value(value::c_int)
    }

    /// `%u`
    pub(super) fn c_unsigned(&mut self) -> Option<u32> {
        self.value(value::c_unsigned)
    }

    /// `%lu`
    pub(super) fn c_unsigned_long(&mut self) -> Option<u64> {
        self.value(value::c_unsigned_long)
    }

    /// `%x`
    pub(super) fn c_hex(&mut self) -> Option<u32> {
        self.value(value::c_hex)
    }

    /// `%lf`
    pub(super) fn c_double(&mut self) -> Option<f64> {
        self.value(value::c_double)
    }

    /// Checks the number of words that are left.
    pub(super) fn arguments(&self, allowed: std::ops::RangeInclusive<usize>) -> Result<(), Fault> {
        let mut ahead = Self {
            text: self.text,
            position: self.position,
            mark: 0..0,
            directive: self.directive,
        };
        for given in 0..*allowed.end() {
            if ahead.word().is_none() {
                return if given < *allowed.start() {
                    Err(ahead.fault(LineError::Missing(self.directive.to_owned()), "another argument"))
                } else {
                    Ok(())
                };
            }
        }
        match ahead.word() {
            Some(_) => Err(ahead.fault(
                LineError::TooMany(self.directive.to_owned()),
                "the end of the line",
            )),
            None => Ok(()),
        }
    }

    /// NULL: no argument.
    pub(super) fn nothing(&self) -> Result<(), Fault> {
        self.arguments(0..=0)
    }

    /// STR: exactly one word.
    pub(super) fn string(&mut self) -> Result<String, Fault> {
        self.arguments(1..=1)?;
        Ok(self.word().unwrap_or("").to_owned())
    }

    /// INT: exactly one integer in a range.
    pub(super) fn int<T: TryFrom<i64>>(&mut self, min: i32, max: i32) -> Result<T, Fault> {
        self.arguments(1..=1)?;
        self.next_int(min, max)
    }

    /// One integer of several.
    pub(super) fn next_int<T: TryFrom<i64>>(&mut self, min: i32, max: i32) -> Result<T, Fault> {
        let expected = || format!("an integer from {min} to {max}");
        let number = self
            .word()
            .and_then(value::strict_int)
            .ok_or_else(|| self.unparsed(expected()))?;
        if number >= i64::from(min)
            && number <= i64::from(max)
            && let Ok(value) = T::try_from(number)
        {
            return Ok(value);
        }
        let directive = self.directive.to_owned();
        Err(self.fault(
            LineError::Range {
                directive,
                value: number,
                min,
                max,
            },
            expected(),
        ))
    }

    /// DBL: exactly one word that starts with a number.
    pub(super) fn double(&mut self) -> Result<f64, Fault> {
        self.arguments(1..=1)?;
        self.next_double()
    }

    /// One number of several.
    pub(super) fn next_double(&mut self) -> Result<f64, Fault> {
        self.c_double().ok_or_else(|| self.unparsed("a number"))
    }

    /// One integer of several; may be followed directly by something else.
    pub(super) fn next_c_int(&mut self) -> Result<i32, Fault> {
        self.c_int().ok_or_else(|| self.unparsed("an integer"))
    }

    /// Exactly one IP address.
    pub(super) fn address(&mut self) -> Result<IpAddr, Fault> {
        self.arguments(1..=1)?;
        self.next_address()
    }

    /// An IP address.
    pub(super) fn next_address(&mut self) -> Result<IpAddr, Fault> {
        self.word()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| self.unparsed("an IP address"))
    }

    /// Exactly one of some keywords, any case.
    pub(super) fn keyword<T: Copy>(&mut self, keywords: &[(&'static str, T)]) -> Result<T, Fault> {
        let found = self.word().and_then(|word| find(keywords, word));
        match found {
            Some(value) if self.is_end() => Ok(value),
            Some(_) => {
                self.word();
                Err(self.unparsed("the end of the line"))
            }
            None => Err(self.misspelt(keywords.iter().map(|(name, _)| *name).collect())),
        }
    }

    /// `Could not parse ...`, because the marked word is none of `words`.
    pub(super) fn misspelt(&self, words: Vec<&'static str>) -> Fault {
        self.unparsed(one_of(&words)).with(words)
    }

    /// `Could not parse ...`
    pub(super) fn unparsed(&self, expected: impl Into<Cow<'static, str>>) -> Fault {
        self.fault(LineError::Unparsed(self.directive.to_owned()), expected)
    }

    /// An error about the marked word.
    pub(super) fn fault(&self, error: LineError, expected: impl Into<Cow<'static, str>>) -> Fault {
        Fault {
            error,
            at: self.mark.clone(),
            expected: expected.into(),
            words: Vec::new(),
        }
    }
}

impl Fault {
    /// Adds the words that would be accepted.
    pub(super) fn with(mut self, words: Vec<&'static str>) -> Self {
        self.words = words;
        self
    }
}

/// The value of a keyword, any case.
pub(super) fn find<T: Copy>(table: &[(&'static str, T)], word: &str) -> Option<T> {
    table
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, value)| *value)
}

/// `one of a, b, c`
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [only] => (*only).to_owned(),
        _ => format!("one of {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_normalised() {
        assert_eq!(normalise(" \t server  a.b\t\tiburst \r\n"), "server a.b iburst");
        assert_eq!(normalise("port\x0b1\x0c\n"), "port 1");
        for comment in ["! x", "  ;x", "#", "%% y"] {
            assert_eq!(normalise(comment), "");
        }
        assert_eq!(normalise("port 123 # x"), "port 123 # x");
        let words: Vec<_> = words_of(b" a \xff\tb\0 c").collect();
        assert_eq!(words, [&b"a"[..], b"\xff", b"b"]);
        assert_eq!(words_of(b" \0port").count(), 0);
    }

    #[test]
    fn lines_are_cut_and_limited() {
        let lines = |contents: &[u8]| raw_lines(contents).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lines(b"a\n\nb"), [2, 1, 1]);
        assert_eq!(lines(b""), [0; 0]);
        let long = |n: usize, end: &str| [vec![b'x'; n], end.as_bytes().to_vec()].concat();
        let fits = |raw: Vec<u8>| raw_lines(&raw).all(|line| text(line).is_ok());
        assert!(fits(long(2046, "\n")));
        assert!(fits(long(2047, "")));
        assert!(!fits(long(2047, "\n")));
        assert!(!fits(long(2048, "")));
    }

    #[test]
    fn errors_are_found_in_the_line_as_written() {
        let written = "  server   a.b\t minpol 5 ";
        let normal = normalise(written);
        let at = normal
            .find("minpol")
            .map(|start| start..start + 6)
            .unwrap_or_default();
        assert_eq!(written.get(original(written, &at)), Some("minpol"));
        assert_eq!(original(written, &(normal.len()..normal.len())), 24..24);
    }
}
