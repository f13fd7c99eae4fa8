//! The 32-bit floating point number of the protocol: 7 bits of exponent, 25 of coefficient, both two's
//! complement; value = coefficient * 2^(exponent - 25) (section 2.4).

const COEF_BITS: i32 = 25;
const EXP_MIN: i32 = -64;
const EXP_MAX: i32 = 63;
const COEF_MASK: u32 = (1 << COEF_BITS) - 1;

/// The word for `x`: not-a-number is 0, what is too large saturates, what is too small becomes 0.
pub(super) fn encode(x: f64) -> u32 {
    let negative = x < 0.0;
    let x = x.abs();
    let max = (1_i64 << (COEF_BITS - 1)) - 1 + i64::from(negative);
    let (exp, coef) = if x.is_nan() || x < 1e-100 {
        (0, 0)
    } else if x > 1e100 {
        (EXP_MAX, max)
    } else {
        let mut exp = (libm::log2(x) + 1.0) as i32;
        let mut coef = libm::floor(libm::scalbn(x, COEF_BITS - exp) + 0.5) as i64;
        // Rounded to 25 bits first; the bit that then is too much is cut off.
        while coef > max {
            coef >>= 1;
            exp += 1;
        }
        if exp > EXP_MAX {
            (EXP_MAX, max)
        } else if exp >= EXP_MIN {
            (exp, coef)
        } else if exp + COEF_BITS >= EXP_MIN {
            (EXP_MIN, coef >> (EXP_MIN - exp))
        } else {
            (0, 0)
        }
    };
    let coef = if negative { -coef } else { coef };
    (exp as u32) << COEF_BITS | (coef as u32 & COEF_MASK)
}

/// The value of `word`, exact.
pub(super) fn decode(word: u32) -> f64 {
    let exp = (word as i32) >> COEF_BITS;
    let coef = ((word << (32 - COEF_BITS)) as i32) >> (32 - COEF_BITS);
    libm::scalbn(f64::from(coef), exp - COEF_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_table_bit_for_bit() {
        for (x, word) in [
            (0.0, 0),
            (-0.0, 0),
            (f64::NAN, 0),
            (1e-28, 0),
            (1.0, 0x0480_0000),
            (-1.0, 0x0300_0000),
            (0.5, 0x0280_0000),
            (-0.5, 0x0100_0000),
            (0.25, 0x0080_0000),
            (0.1, 0xfccc_cccd),
            (-0.1, 0xfd33_3333),
            (1.0 / 3.0, 0x00aa_aaab),
            (2.0, 0x0680_0000),
            (3.0, 0x06c0_0000),
            (4.0, 0x0880_0000),
            (10.0, 0x0aa0_0000),
            (300.0, 0x1496_0000),
            (2000.0, 0x18fa_0000),
            (0.001, 0xf083_126f),
            (1e-6, 0xdc86_37bd),
            (1e-9, 0xc889_705f),
            (-1e-9, 0xc976_8fa1),
            (1e9, 0x3eee_6b28),
            (123_456.789, 0x24f1_2065),
            (-13.5, 0x0b28_0000),
            (16_777_215.0, 0x32ff_ffff),
            (16_777_216.0, 0x3480_0000),
            (-16_777_216.0, 0x3300_0000),
            (33_554_431.0, 0x34ff_ffff),
            (0.999_999_99, 0x0480_0000),
            (1e18, 0x7ade_0b6b),
            (9.2e18, 0x7eff_ffff),
            (1e19, 0x7eff_ffff),
            (f64::INFINITY, 0x7eff_ffff),
            (-9.3e18, 0x7f00_0000),
            (f64::NEG_INFINITY, 0x7f00_0000),
            (1e-20, 0x805e_7284),
            (1e-27, 0x8000_0000),
        ] {
            assert_eq!(encode(x), word, "{x}: {:08x} instead of {word:08x}", encode(x));
        }
    }

    #[test]
    fn decodes_any_word() {
        assert_eq!(decode(0x34ff_ffff), 33_554_430.0);
        assert_eq!(decode(0x8000_0000), 0.0);
        assert_eq!(decode(0x0000_0001), 2.0_f64.powi(-25));
        assert_eq!(decode(0x01ff_ffff), -(2.0_f64.powi(-25)));
        assert_eq!(decode(0x0100_0000), -0.5);
        assert_eq!(decode(0x8000_0001), 1.615_587_133_892_632_2e-27);
        assert_eq!(decode(0xffff_ffff), -(2.0_f64.powi(-26)));
        assert!(decode(encode(-0.0)).is_sign_positive());
    }

    proptest::proptest! {
        #[test]
        fn a_decoded_value_is_kept(word: u32) {
            let value = decode(word);
            // Encoding loses at most the last bit of the coefficient, and nothing the second time.
            let again = decode(encode(value));
            let ulp = libm::scalbn(1.0, ((word as i32) >> COEF_BITS) - COEF_BITS);
            proptest::prop_assert!((value - again).abs() <= ulp);
            proptest::prop_assert_eq!(decode(encode(again)), again);
        }
    }
}
