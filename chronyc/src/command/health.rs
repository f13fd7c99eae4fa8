//! `health`, which chrony does not have: limits within which the clock is well.

use super::Fault;
use super::scan::Scanner;

/// Limits; what is not given does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Health {
    /// Largest correction that is still to be made, s.
    pub(crate) max_offset: Option<f64>,
    /// Largest stratum.
    pub(crate) max_stratum: Option<u16>,
    /// Least number of sources that the clock follows.
    pub(crate) min_sources: Option<u32>,
}

const BAD: Fault = Fault::Message("Invalid syntax for health command");

/// The words after `health`.
pub(super) fn parse(words: &[&str]) -> Result<Health, Fault> {
    let mut limits = Health::default();
    // Both `--option value` and `--option=value`.
    let mut words = words.iter().flat_map(|word| word.split('='));
    while let Some(word) = words.next() {
        let value = words.next().ok_or(BAD)?;
        match word {
            "--max-offset" => limits.max_offset = Some(seconds(value).ok_or(BAD)?),
            "--max-stratum" => limits.max_stratum = Some(value.parse().map_err(|_| BAD)?),
            "--min-sources" => limits.min_sources = Some(value.parse().map_err(|_| BAD)?),
            _ => return Err(BAD),
        }
    }
    Ok(limits)
}

/// A number with `s`, `ms`, `us`, `ns` or nothing after it.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut scanner = Scanner::new(text);
    let number = scanner.float()?;
    let unit = match scanner.word() {
        None | Some("s") => 1.0,
        Some("ms") => 1e-3,
        Some("us") => 1e-6,
        Some("ns") => 1e-9,
        Some(_) => return None,
    };
    Some(number * unit).filter(|limit| *limit >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(parse(&[]), Ok(Health::default()));
        let some = Health {
            max_offset: Some(0.1),
            max_stratum: Some(3),
            min_sources: Some(2),
        };
        assert_eq!(
            parse(&["--max-offset", "0.1s", "--max-stratum=3", "--min-sources", "2"]),
            Ok(some)
        );
        assert_eq!(
            parse(&["--max-offset", "100ms"]).map(|h| h.max_offset),
            Ok(Some(0.1))
        );
        for bad in [
            &["--max-offset"][..],
            &["--max-offset", "1h"],
            &["--max-offset", "-1"],
            &["x", "1"],
        ] {
            assert_eq!(parse(bad), Err(BAD));
        }
    }
}
