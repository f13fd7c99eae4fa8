//! Words and numbers of dates.

use super::Half;

/// What a relative number counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unit {
    Year,
    Month,
    Days(i64),
    Seconds(i64),
}

/// A part of a date.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Without sign.
    Number(i64),
    /// With sign.
    Signed(i64),
    Colon,
    Slash,
    Comma,
    Half(Half),
    /// 1 to 12.
    Month(i64),
    /// 0: Sunday.
    Day(i64),
    Unit(Unit),
    /// So many days from today.
    Fixed(i64),
    Ago,
    /// Minutes west of Greenwich.
    Zone(i64),
    /// The same without the hour of daylight-saving time.
    SummerZone(i64),
    Dst,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const UNITS: [(&str, Unit); 10] = [
    ("year", Unit::Year),
    ("month", Unit::Month),
    ("fortnight", Unit::Days(14)),
    ("week", Unit::Days(7)),
    ("day", Unit::Days(1)),
    ("hour", Unit::Seconds(3600)),
    ("minute", Unit::Seconds(60)),
    ("min", Unit::Seconds(60)),
    ("second", Unit::Seconds(1)),
    ("sec", Unit::Seconds(1)),
];

/// "Second" is a unit.
const NUMBERS: [(&str, i64); 14] = [
    ("last", -1),
    ("this", 0),
    ("next", 1),
    ("first", 1),
    ("third", 3),
    ("fourth", 4),
    ("fifth", 5),
    ("sixth", 6),
    ("seventh", 7),
    ("eighth", 8),
    ("ninth", 9),
    ("tenth", 10),
    ("eleventh", 11),
    ("twelfth", 12),
];

/// Hours west of Greenwich.
const ZONES: [(&str, i64); 36] = [
    ("gmt", 0),
    ("ut", 0),
    ("utc", 0),
    ("wet", 0),
    ("wat", 1),
    ("at", 2),
    ("ast", 4),
    ("est", 5),
    ("cst", 6),
    ("mst", 7),
    ("pst", 8),
    ("yst", 9),
    ("hst", 10),
    ("cat", 10),
    ("ahst", 10),
    ("nt", 11),
    ("idlw", 12),
    ("cet", -1),
    ("met", -1),
    ("mewt", -1),
    ("swt", -1),
    ("fwt", -1),
    ("eet", -2),
    ("bt", -3),
    ("zp4", -4),
    ("zp5", -5),
    ("zp6", -6),
    ("wast", -7),
    ("cct", -8),
    ("jst", -9),
    ("east", -10),
    ("gst", -10),
    ("nzt", -12),
    ("nzst", -12),
    ("idle", -12),
    ("z", 0),
];

/// Hours west of Greenwich in winter.
const SUMMER_ZONES: [(&str, i64); 15] = [
    ("bst", 0),
    ("adt", 4),
    ("edt", 5),
    ("cdt", 6),
    ("mdt", 7),
    ("pdt", 8),
    ("ydt", 9),
    ("hdt", 10),
    ("mest", -1),
    ("mesz", -1),
    ("sst", -1),
    ("fst", -1),
    ("wadt", -7),
    ("eadt", -10),
    ("nzdt", -12),
];

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, value)| *value)
}

/// Number of a name in a list; the first three letters will do.
fn name(list: &[&str], word: &str) -> Option<i64> {
    let place = list
        .iter()
        .position(|name| *name == word || name.get(..3) == Some(word))?;
    i64::try_from(place).ok()
}

fn word(text: &str) -> Option<Token> {
    let text = text.to_ascii_lowercase();
    let simple = match text.as_str() {
        "am" | "a.m." => Some(Token::Half(Half::Am)),
        "pm" | "p.m." => Some(Token::Half(Half::Pm)),
        "dst" => Some(Token::Dst),
        "ago" => Some(Token::Ago),
        "tomorrow" => Some(Token::Fixed(1)),
        "yesterday" => Some(Token::Fixed(-1)),
        "today" | "now" => Some(Token::Fixed(0)),
        _ => None,
    };
    if simple.is_some() {
        return simple;
    }
    // A dot ends a name cut to three letters, and nothing else.
    let short = text
        .strip_suffix('.')
        .filter(|short| short.len() == 3)
        .unwrap_or(&text);
    if let Some(month) = name(&MONTHS, short).or((short == "sept").then_some(8)) {
        return Some(Token::Month(month + 1));
    }
    let day = match short {
        "tues" => Some(2),
        "wednes" => Some(3),
        "thur" | "thurs" => Some(4),
        _ => name(&DAYS, short),
    };
    if let Some(day) = day {
        return Some(Token::Day(day));
    }
    if let Some(west) = find(&ZONES, &text) {
        return Some(Token::Zone(60 * west));
    }
    if let Some(west) = find(&SUMMER_ZONES, &text) {
        return Some(Token::SummerZone(60 * west));
    }
    let singular = text.strip_suffix('s').unwrap_or(&text);
    if let Some(unit) = find(&UNITS, &text).or_else(|| find(&UNITS, singular)) {
        return Some(Token::Unit(unit));
    }
    find(&NUMBERS, &text)
        .map(Token::Number)
        .or_else(|| military(&text))
}

/// One letter, as on old maps: no J.
fn military(text: &str) -> Option<Token> {
    let [letter] = text.as_bytes() else {
        return None;
    };
    let hours = match letter {
        b'a'..=b'i' => i64::from(letter - b'a') + 1,
        b'k'..=b'm' => i64::from(letter - b'k') + 10,
        b'n'..=b'y' => -(i64::from(letter - b'n') + 1),
        _ => return None,
    };
    Some(Token::Zone(60 * hours))
}

/// Cuts a text into tokens; `None` if there is something without meaning in it.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..)?;
        let digit_follows = after.starts_with(|c: char| c.is_ascii_digit());
        rest = match first {
            c if c.is_ascii_whitespace() => after,
            '(' => comment(after)?,
            '+' | '-' if digit_follows => {
                let (number, after) = number(after)?;
                tokens.push(Token::Signed(if first == '-' { -number } else { number }));
                after
            }
            // A sign before a word is a hyphen.
            '+' | '-' => after,
            '0'..='9' => {
                let (number, after) = number(rest)?;
                tokens.push(Token::Number(number));
                after
            }
            c if c.is_ascii_alphabetic() => {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphabetic() && c != '.')
                    .unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                tokens.push(word(text)?);
                after
            }
            ':' => {
                tokens.push(Token::Colon);
                after
            }
            '/' => {
                tokens.push(Token::Slash);
                after
            }
            ',' => {
                tokens.push(Token::Comma);
                after
            }
            _ => return None,
        };
    }
    Some(tokens)
}

fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((i64::from(digits.parse::<i32>().ok()?), rest))
}

/// What follows a comment, which may have others in it. One without end has all the rest.
fn comment(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(at + 1..);
        }
    }
    Some("")
}
