//! Numbers as C's `sscanf` reads them: from the start of a word, whatever follows.

/// Reads a line word by word. What follows a number in the same word is the next word.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    pub(crate) fn word(&mut self) -> Option<&'a str> {
        let start = self.rest.trim_ascii_start();
        let (word, rest) = start.split_once(' ').unwrap_or((start, ""));
        self.rest = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn number<T>(&mut self, read: impl Fn(&str) -> Option<(T, &str)>) -> Option<T> {
        let (number, rest) = read(self.rest.trim_ascii_start())?;
        self.rest = self.rest.get(self.rest.len().checked_sub(rest.len())?..)?;
        Some(number)
    }

    /// `%d`
    pub(crate) fn int(&mut self) -> Option<i32> {
        self.number(int_prefix)
    }

    /// `%u`
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        self.number(unsigned_prefix)
    }

    /// `%x`
    pub(crate) fn hex(&mut self) -> Option<u32> {
        self.number(|text| {
            let body = text
                .strip_prefix("0x")
                .or_else(|| text.strip_prefix("0X"))
                .unwrap_or(text);
            let end = body.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(body.len());
            let (digits, rest) = body.split_at(end);
            Some((u32::from_str_radix(digits, 16).ok()?, rest))
        })
    }

    /// `%lf`
    pub(crate) fn float(&mut self) -> Option<f64> {
        self.number(float_prefix)
    }
}

/// Length of the digits at the start of `text`.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Length of a sign at the start of `text`.
fn sign(text: &str) -> usize {
    usize::from(text.starts_with(['+', '-']))
}

/// Sign and digits at the start of `text`, and what follows them.
fn whole(text: &str) -> Option<(&str, &str)> {
    let sign = sign(text);
    let end = sign + digits(text.get(sign..)?);
    (end > sign).then(|| text.split_at(end))
}

/// `%d`, and what follows it. A number beyond 64 bits is cut off there, then to 32 bits.
pub(crate) fn int_prefix(text: &str) -> Option<(i32, &str)> {
    let (number, rest) = whole(text)?;
    let limit = if number.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    };
    Some((number.parse().unwrap_or(limit) as i32, rest))
}

/// `%u`, and what follows it: negative numbers wrap.
fn unsigned_prefix(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = whole(text)?;
    let size = number.trim_start_matches(['+', '-']).parse::<u64>();
    let value = match size {
        Ok(size) if number.starts_with('-') => size.wrapping_neg(),
        Ok(size) => size,
        Err(_) => u64::MAX,
    };
    Some((value as u32, rest))
}

/// Length of a decimal number without sign at the start of `text`.
fn decimal(text: &str) -> Option<usize> {
    let mut end = digits(text);
    let mut count = end;
    if let Some(fraction) = text.get(end..)?.strip_prefix('.') {
        let length = digits(fraction);
        count += length;
        end += 1 + length;
    }
    if count == 0 {
        return None;
    }
    if let Some(exponent) = text.get(end..)?.strip_prefix(['e', 'E'])
        && let Some((number, _)) = whole(exponent)
    {
        end += 1 + number.len();
    }
    Some(end)
}

/// The hexadecimal integer after `0x`, and its length; fractions are not looked at.
fn hexadecimal(text: &str) -> Option<(f64, usize)> {
    let body = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    let length = body.bytes().take_while(u8::is_ascii_hexdigit).count();
    let value = body
        .chars()
        .take(length)
        .filter_map(|c| c.to_digit(16))
        .fold(0.0, |v, d| v * 16.0 + f64::from(d));
    (length > 0).then_some((value, length + 2))
}

/// `%lf`, and what follows it.
fn float_prefix(text: &str) -> Option<(f64, &str)> {
    let sign = sign(text);
    let body = text.get(sign..)?;
    let is_word = |word: &str| {
        body.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let (value, length) = if is_word("infinity") {
        (f64::INFINITY, 8)
    } else if is_word("inf") {
        (f64::INFINITY, 3)
    } else if is_word("nan") {
        (f64::NAN, 3)
    } else if let Some(hexadecimal) = hexadecimal(body) {
        hexadecimal
    } else {
        let end = decimal(body)?;
        (body.get(..end)?.parse().ok()?, end)
    };
    let value = if text.starts_with('-') { -value } else { value };
    Some((value, body.get(length..)?))
}

/// `%d`
pub(crate) fn int(text: &str) -> Option<i32> {
    int_prefix(text).map(|(number, _)| number)
}

/// `%u`
pub(crate) fn unsigned(text: &str) -> Option<u32> {
    unsigned_prefix(text).map(|(number, _)| number)
}

/// `%lf`
pub(crate) fn float(text: &str) -> Option<f64> {
    float_prefix(text).map(|(number, _)| number)
}

/// `atoi`: 0 when there is no number.
pub(crate) fn atoi(text: &str) -> i32 {
    int(text.trim_ascii_start()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_text_is_ignored() {
        assert_eq!(int("3.7"), Some(3));
        assert_eq!(int("-12x"), Some(-12));
        assert_eq!(int("x"), None);
        assert_eq!(int("-"), None);
        assert_eq!(int(""), None);
        assert_eq!(int("4294967297"), Some(1));
        assert_eq!(int("99999999999999999999"), Some(-1));
        assert_eq!(unsigned("-1"), Some(u32::MAX));
        assert_eq!(unsigned("5/6"), Some(5));
        assert_eq!(int_prefix("3/5"), Some((3, "/5")));
    }

    #[test]
    fn floats() {
        assert_eq!(float("0.5x"), Some(0.5));
        assert_eq!(float(".5"), Some(0.5));
        assert_eq!(float("-5."), Some(-5.0));
        assert_eq!(float("1e3"), Some(1000.0));
        assert_eq!(float("1e"), Some(1.0));
        assert_eq!(float("1e+z"), Some(1.0));
        assert_eq!(float("+2"), Some(2.0));
        assert_eq!(float("0x1f"), Some(31.0));
        assert_eq!(float("0x"), Some(0.0));
        assert_eq!(float("-inf"), Some(f64::NEG_INFINITY));
        assert!(float("nan").is_some_and(f64::is_nan));
        assert_eq!(float("."), None);
        assert_eq!(float("\u{e9}"), None);
        assert_eq!(float("in\u{e9}"), None);
        assert_eq!(float("e5"), None);
    }

    #[test]
    fn a_number_ends_where_it_ends() {
        let mut line = Scanner::new(" a  5b  1.5e2c ");
        assert_eq!(line.word(), Some("a"));
        assert_eq!(line.int(), Some(5));
        assert_eq!(line.word(), Some("b"));
        assert_eq!(line.float(), Some(150.0));
        assert_eq!(line.unsigned(), None);
        assert_eq!(line.word(), Some("c"));
        assert_eq!(line.word(), None);
    }
}
