//! Options `name [value]` of `server`, `refclock`, `local` and the like, as tables
//! (`spec/config.md` section 2: oint, oflt, u32, hex).

use super::error::{Fault, LineError};
use super::line::{Line, find, one_of};
use super::value;

/// What a word without value changes.
pub(super) type Set<T> = fn(&mut T);

/// What follows the name of an option, and what becomes of it.
pub(super) enum Value<T: 'static> {
    /// Nothing.
    Flag(Set<T>),
    /// An integer in a range.
    Int(i32, i32, fn(&mut T, i32)),
    /// A number.
    Double(fn(&mut T, f64)),
    /// An unsigned integer of 32 bits, which wraps; from a smallest value.
    Unsigned(u32, fn(&mut T, u32)),
    /// Hexadecimal, one of some.
    Hex(&'static [(u32, Set<T>)]),
    /// A reference ID.
    RefId(fn(&mut T, u32)),
    /// One of some words.
    Word(&'static [(&'static str, Set<T>)]),
}

impl<T: 'static> Clone for Value<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: 'static> Copy for Value<T> {}

/// The options of a directive.
pub(super) type Options<T> = [(&'static str, Value<T>)];

/// How problems are reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Report {
    /// `Invalid option in ...`, `Invalid value in ...`
    Named,
    /// `Could not parse ...`
    Plain,
}

/// Reads options up to the end of the line.
///
/// # Errors
///
/// An option that is not in the table, a value that is missing or wrong.
pub(super) fn parse<T: 'static>(
    line: &mut Line<'_>,
    table: &Options<T>,
    report: Report,
    to: &mut T,
) -> Result<(), Fault> {
    let directive = line.directive().to_owned();
    let named = |error: fn(String) -> LineError| match report {
        Report::Named => error(directive.clone()),
        Report::Plain => LineError::Unparsed(directive.clone()),
    };
    while let Some(word) = line.word() {
        let Some(option) = find(table, word) else {
            let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
            return Err(line
                .fault(named(LineError::Option), "an option of this directive")
                .with(names));
        };
        option
            .read(line, to)
            .map_err(|expected| line.fault(named(LineError::Value), expected))?;
    }
    Ok(())
}

impl<T: 'static> Value<T> {
    /// Reads the value; the error is what is expected.
    fn read(self, line: &mut Line<'_>, to: &mut T) -> Result<(), String> {
        match self {
            Self::Flag(set) => set(to),
            Self::Int(min, max, set) => {
                let in_range = line.c_int().filter(|x| (min..=max).contains(x));
                set(to, in_range.ok_or_else(|| range(min, max))?);
            }
            Self::Double(set) => set(to, line.c_double().ok_or("a number")?),
            Self::Unsigned(min, set) => {
                let in_range = line.c_unsigned().filter(|x| *x >= min);
                set(
                    to,
                    in_range.ok_or_else(|| format!("an integer from {min} to {}", u32::MAX))?,
                );
            }
            Self::Hex(known) => {
                let set = line
                    .c_hex()
                    .and_then(|x| known.iter().find(|(number, _)| *number == x));
                let expected = || {
                    let numbers: Vec<_> = known.iter().map(|(number, _)| format!("{number:X}")).collect();
                    format!("one of {}", numbers.join(", "))
                };
                set.ok_or_else(expected)?.1(to);
            }
            Self::RefId(set) => {
                set(
                    to,
                    line.word()
                        .and_then(value::refid)
                        .ok_or("a reference ID of 1 to 4 characters")?,
                );
            }
            Self::Word(words) => {
                let set = line.word().and_then(|word| find(words, word));
                let expected = || one_of(&words.iter().map(|(name, _)| *name).collect::<Vec<_>>());
                set.ok_or_else(expected)?(to);
            }
        }
        Ok(())
    }
}

fn range(min: i32, max: i32) -> String {
    if max == i32::MAX {
        format!("an integer, {min} or more")
    } else {
        format!("an integer from {min} to {max}")
    }
}
