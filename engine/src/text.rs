//! Numbers as C's `printf` writes them, where Rust's formatting differs. Log files, messages and chronyc's
//! output are part of the contract, byte for byte.

use std::fmt;

/// `%.{precision}e`: at least two digits of exponent, with sign. Use the formatter's width as usual:
/// `format!("{:>10}", Exp(x, 3))` is `%10.3e`.
#[derive(Clone, Copy, Debug)]
pub struct Exp(pub f64, pub usize);

impl fmt::Display for Exp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(x, precision) = *self;
        let text = if x.is_finite() {
            let text = format!("{x:.precision$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        } else {
            Fixed(x, 0).to_string()
        };
        f.pad(&text)
    }
}

/// `%.{precision}f`, with C's `inf` and `nan`.
#[derive(Clone, Copy, Debug)]
pub struct Fixed(pub f64, pub usize);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(x, precision) = *self;
        let text = if x.is_nan() {
            if x.is_sign_negative() {
                "-nan".to_owned()
            } else {
                "nan".to_owned()
            }
        } else if x.is_infinite() {
            if x > 0.0 {
                "inf".to_owned()
            } else {
                "-inf".to_owned()
            }
        } else {
            format!("{x:.precision$}")
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_have_a_sign_and_two_digits() {
        assert_eq!(format!("{:>10}", Exp(1.145e-4, 3)), " 1.145e-04");
        assert_eq!(format!("{:>10}", Exp(-16.0, 3)), "-1.600e+01");
        assert_eq!(format!("{}", Exp(1e-100, 3)), "1.000e-100");
        assert_eq!(format!("{}", Exp(0.0, 3)), "0.000e+00");
        assert_eq!(format!("{:>5}", Exp(f64::INFINITY, 3)), "  inf");
    }

    #[test]
    fn fixed_keeps_the_sign_of_a_small_negative_number() {
        assert_eq!(Fixed(-0.0001, 3).to_string(), "-0.000");
        assert_eq!(format!("{:>8}", Fixed(2.5, 2)), "    2.50");
    }
}
