//! Numbers as C's `sscanf` and chrony's strict integers read them, addresses, subnets
//! (`spec/config.md` section 2).
//!
//! The `c_` parsers take the longest prefix that is a number and leave the rest: options continue directly
//! after it (`maxpoll 5maxsamples 3` is two options).

use super::access::Subnet;
use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take_while, take_while1};
use nom::character::complete::{char, digit1, one_of};
use nom::combinator::{not, opt, recognize, verify};
use nom::error::{Error, ErrorKind};
use nom::sequence::{delimited, pair, preceded, terminated};
use nom::{Err, IResult, Parser};
use std::net::IpAddr;

fn sign(i: &str) -> IResult<&str, bool> {
    opt(one_of("+-")).map(|s| s == Some('-')).parse(i)
}

fn fail<T>(i: &str) -> IResult<&str, T> {
    Err(Err::Error(Error::new(i, ErrorKind::Digit)))
}

/// Digits as C's `strtol`: saturated at the limits of a 64-bit `long`.
fn saturated(negative: bool, digits: &str) -> i64 {
    match (digits.parse::<u64>(), negative) {
        (Ok(x), false) => i64::try_from(x).unwrap_or(i64::MAX),
        (Ok(x), true) => 0_i64.checked_sub_unsigned(x).unwrap_or(i64::MIN),
        (Err(_), false) => i64::MAX,
        (Err(_), true) => i64::MIN,
    }
}

/// Digits as C's `strtoul`: saturated at 2^64-1; a minus sign wraps.
fn wrapped(negative: bool, digits: &str, radix: u32) -> u64 {
    match u64::from_str_radix(digits, radix) {
        Ok(x) if negative => x.wrapping_neg(),
        Ok(x) => x,
        Err(_) => u64::MAX,
    }
}

/// `%d`: what does not fit in 32 bits wraps.
#[expect(clippy::cast_possible_truncation, reason = "C stores the low 32 bits")]
pub(super) fn c_int(i: &str) -> IResult<&str, i32> {
    pair(sign, digit1)
        .map(|(negative, digits)| saturated(negative, digits) as i32)
        .parse(i)
}

/// `%u`: wraps as well, and `-1` is 4294967295.
#[expect(clippy::cast_possible_truncation, reason = "C stores the low 32 bits")]
pub(super) fn c_unsigned(i: &str) -> IResult<&str, u32> {
    c_unsigned_long(i).map(|(rest, x)| (rest, x as u32))
}

/// `%lu` of a 64-bit machine.
pub(super) fn c_unsigned_long(i: &str) -> IResult<&str, u64> {
    pair(sign, digit1)
        .map(|(negative, digits)| wrapped(negative, digits, 10))
        .parse(i)
}

/// `%x`
#[expect(clippy::cast_possible_truncation, reason = "C stores the low 32 bits")]
pub(super) fn c_hex(i: &str) -> IResult<&str, u32> {
    let digits = take_while1(|c: char| c.is_ascii_hexdigit());
    (sign, opt(pair(char('0'), one_of("xX"))), digits)
        .map(|(negative, _, digits)| wrapped(negative, digits, 16) as u32)
        .parse(i)
}

/// `%lf`: decimal, `inf`, `nan`, hexadecimal. A number that is begun and not completed (`1e`, `0x`, `infi`)
/// is none.
pub(super) fn c_double(i: &str) -> IResult<&str, f64> {
    let (rest, negative) = sign(i)?;
    let (rest, x) = alt((infinity, nan, hexadecimal, decimal)).parse(rest)?;
    Ok((rest, if negative { -x } else { x }))
}

/// The number with which a text begins, after white space, as `scanf("%lf")` reads it.
#[must_use]
pub fn leading_number(text: &str) -> Option<f64> {
    leading_numbers(text, 1)?.first().copied()
}

/// The numbers with which a text begins, as `scanf` reads so many `%lf`.
pub(crate) fn leading_numbers(text: &str, count: usize) -> Option<Vec<f64>> {
    let mut rest = text;
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let (after, number) = c_double(rest.trim_start_matches(super::line::is_space)).ok()?;
        numbers.push(number);
        rest = after;
    }
    Some(numbers)
}

fn infinity(i: &str) -> IResult<&str, f64> {
    let long = tag_no_case("infinity");
    let short = terminated(tag_no_case("inf"), not(one_of("iI")));
    alt((long, short)).map(|_| f64::INFINITY).parse(i)
}

fn nan(i: &str) -> IResult<&str, f64> {
    let payload = delimited(
        char('('),
        take_while(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        char(')'),
    );
    let end = alt((recognize(payload), recognize(not(char('(')))));
    preceded(tag_no_case("nan"), end).map(|_| f64::NAN).parse(i)
}

fn decimal(i: &str) -> IResult<&str, f64> {
    // Not nom's `digit0`: what it leaves at the end of the input is not where it stopped.
    let digits = || take_while(|c: char| c.is_ascii_digit());
    let mantissa = verify(
        recognize((digits(), opt(pair(char('.'), digits())))),
        |text: &str| text.bytes().any(|b| b.is_ascii_digit()),
    );
    let exponent = (one_of("eE"), sign, digit1);
    let hexadecimal = pair(char('0'), one_of("xX"));
    let (rest, text) = recognize((not(hexadecimal), mantissa, opt(exponent))).parse(i)?;
    if rest.starts_with(['e', 'E']) && !text.contains(['e', 'E']) {
        return fail(i);
    }
    text.parse().map_or_else(|_| fail(i), |x| Ok((rest, x)))
}

fn hexadecimal(i: &str) -> IResult<&str, f64> {
    let hex0 = |i| take_while(|c: char| c.is_ascii_hexdigit()).parse(i);
    let (i, _) = pair(char('0'), one_of("xX")).parse(i)?;
    let (rest, (whole, fraction)) = (hex0, opt(preceded(char('.'), hex0))).parse(i)?;
    let fraction: &str = fraction.unwrap_or("");
    if whole.is_empty() && fraction.is_empty() {
        return fail(i);
    }
    let (rest, power) = opt(preceded(one_of("pP"), c_int)).parse(rest)?;
    if power.is_none() && rest.starts_with(['p', 'P']) {
        return fail(i);
    }
    let digits = whole
        .chars()
        .chain(fraction.chars())
        .filter_map(|c| c.to_digit(16));
    let mantissa = digits.fold(0.0, |x, d| x * 16.0 + f64::from(d));
    let places = i32::try_from(fraction.len()).unwrap_or(0) * 4;
    Ok((
        rest,
        libm::ldexp(mantissa, power.unwrap_or(0).saturating_sub(places)),
    ))
}

/// INT, the argument of a directive: the whole word is one decimal integer that fits in 64 bits.
pub(super) fn strict_int(word: &str) -> Option<i64> {
    let (rest, text) = recognize(pair(sign, digit1)).parse(word).ok()?;
    if rest.is_empty() { text.parse().ok() } else { None }
}

/// A reference ID: 1 to 4 octets, the first in the most significant one.
pub(super) fn refid(word: &str) -> Option<u32> {
    if word.is_empty() || word.len() > 4 {
        return None;
    }
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(word.bytes()) {
        *to = from;
    }
    Some(u32::from_be_bytes(bytes))
}

/// How a subnet is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SubnetText<'a> {
    /// As numbers.
    Net(Subnet),
    /// As a name to be resolved.
    Name(&'a str),
}

/// The subnet of `allow` and its kin (section 2.2).
pub(super) fn subnet(word: &str) -> Option<SubnetText<'_>> {
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => {
            let (rest, length) = c_int(length).ok()?;
            (
                address,
                Some(u32::try_from(length).ok().filter(|_| rest.is_empty())?),
            )
        }
        None => (word, None),
    };
    if let Ok(ip) = address.parse::<IpAddr>() {
        let full = if ip.is_ipv4() { 32 } else { 128 };
        return Some(SubnetText::Net(Subnet::Net(ip, length.unwrap_or(full))));
    }
    if let Some((octets, given)) = shortened(address) {
        let [a, b, c] = octets.map(u8::try_from);
        let ip = IpAddr::from([a.ok()?, b.ok()?, c.ok()?, 0]);
        return Some(SubnetText::Net(Subnet::Net(ip, length.unwrap_or(given * 8))));
    }
    match length {
        None => Some(SubnetText::Name(word)),
        Some(_) => None,
    }
}

/// `1`, `1.2` or `1.2.3` and how many numbers are given.
fn shortened(text: &str) -> Option<([u32; 3], u32)> {
    let mut octets = [0; 3];
    let mut given = 0;
    let mut parts = text.split('.');
    for (octet, part) in octets.iter_mut().zip(parts.by_ref()) {
        let (rest, number) = c_unsigned(part).ok()?;
        if !rest.is_empty() {
            return None;
        }
        *octet = number;
        given += 1;
    }
    parts.next().is_none().then_some((octets, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(text: &str) -> Option<(&str, f64)> {
        c_double(text).ok()
    }

    #[test]
    fn doubles_are_prefixes() {
        assert_eq!(double("1.5abc"), Some(("abc", 1.5)));
        assert_eq!(double("3"), Some(("", 3.0)));
        assert_eq!(double("1,5"), Some((",5", 1.0)));
        assert_eq!(double(".5iburst"), Some(("iburst", 0.5)));
        assert_eq!(double("1.iburst"), Some(("iburst", 1.0)));
        assert_eq!(double("-1e-3 x"), Some((" x", -1e-3)));
        assert_eq!(double("0x1p-3"), Some(("", 0.125)));
        assert_eq!(double("0x10"), Some(("", 16.0)));
        assert_eq!(double("0x.8"), Some(("", 0.5)));
        assert_eq!(double("infx"), Some(("x", f64::INFINITY)));
        assert_eq!(double("-infinityiburst"), Some(("iburst", f64::NEG_INFINITY)));
        assert!(matches!(double("naniburst"), Some(("iburst", x)) if x.is_nan()));
        assert!(matches!(double("nan(1)x"), Some(("x", x)) if x.is_nan()));
        assert!(matches!(double("-nan"), Some(("", x)) if x.is_nan()));
    }

    #[test]
    fn a_double_that_is_not_completed_is_none() {
        for text in [
            "", "x", "-", "+-1", ".", "1e", "1ex", "1e+", "0x", "0x.", "0x1p", "infi", "in", "e5",
        ] {
            assert_eq!(double(text), None, "{text}");
        }
    }

    #[test]
    fn integers_wrap_like_c() {
        assert_eq!(c_int("4294967296"), Ok(("", 0)));
        assert_eq!(c_int("99999999999"), Ok(("", 1_215_752_191)));
        assert_eq!(c_int("99999999999999999999"), Ok(("", -1)));
        assert_eq!(c_int("-99999999999999999999"), Ok(("", 0)));
        assert_eq!(c_int("0x10"), Ok(("x10", 0)));
        assert_eq!(c_int("+08maxpoll"), Ok(("maxpoll", 8)));
        assert_eq!(c_unsigned("-1"), Ok(("", u32::MAX)));
        assert_eq!(c_unsigned("4294967296"), Ok(("", 0)));
        assert_eq!(c_unsigned_long("99999999999999999999999"), Ok(("", u64::MAX)));
        assert_eq!(c_hex("0xF323x"), Ok(("x", 0xf323)));
        assert_eq!(c_hex("+10a"), Ok(("", 0x10a)));
        assert!(c_int("x").is_err() && c_unsigned("").is_err() && c_hex("-").is_err());
    }

    #[test]
    fn strict_integers_are_whole_words() {
        assert_eq!(strict_int("0123"), Some(123));
        assert_eq!(strict_int("+5"), Some(5));
        assert_eq!(strict_int("-0"), Some(0));
        for word in ["", "5.", "0x7b", "12abc", "1e3", "+-1", "99999999999999999999"] {
            assert_eq!(strict_int(word), None, "{word}");
        }
    }

    #[test]
    fn reference_ids_are_left_aligned() {
        assert_eq!(refid("GPS"), Some(0x4750_5300));
        assert_eq!(refid("ABCD"), Some(0x4142_4344));
        assert_eq!(refid("ABCDE"), None);
        assert_eq!(refid(""), None);
    }

    #[test]
    fn subnets() {
        let net = |text: &str| match subnet(text) {
            Some(SubnetText::Net(Subnet::Net(ip, length))) => Some(format!("{ip}/{length}")),
            _ => None,
        };
        let reads = |text, as_net: &str| assert_eq!(net(text).as_deref(), Some(as_net), "{text}");
        reads("1.2.3.4", "1.2.3.4/32");
        reads("1.2.3.4/0", "1.2.3.4/0");
        reads("1.2.3.4/33", "1.2.3.4/33");
        reads("1.2.3.0/+24", "1.2.3.0/24");
        reads("1.2.3", "1.2.3.0/24");
        reads("1.2.3/20", "1.2.3.0/20");
        reads("1", "1.0.0.0/8");
        reads("010.1", "10.1.0.0/16");
        reads("0/0", "0.0.0.0/0");
        reads("4294967297", "1.0.0.0/8");
        reads("2001:db8::/129", "2001:db8::/129");
        reads("::1", "::1/128");
        for bad in [
            "1.2.3.4/-1",
            "1.2.3.4/24x",
            "256",
            "1.-2",
            "1.2/",
            "/24",
            "localhost/32",
            "1.2.3/24/3",
        ] {
            assert_eq!(subnet(bad), None, "{bad}");
        }
        for name in [
            "localhost",
            "ALL",
            "0x7f.1",
            "1.",
            ".1",
            "1x",
            "1.2.3.400",
            "fe80::1%lo",
            "-",
        ] {
            assert_eq!(subnet(name), Some(SubnetText::Name(name)));
        }
    }
}
