//! Text to numbers (`luaO_str2num`, and `tonumber` with a base).

use super::Num;
use crate::dialect::Dialect;

/// The whitespace of C's `isspace` in the "C" locale.
#[inline]
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_space(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(*last)
    {
        text = rest;
    }
    text
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// The number that a text denotes, with optional whitespace and sign around it.
///
/// Hexadecimal integers wrap around; decimal integers that do not fit become floats. Floats are
/// correctly rounded in both notations.
#[must_use]
pub fn str_to_number(text: &[u8]) -> Option<Num> {
    let (is_negative, digits) = split_sign(trim(text));
    match numeral(digits, is_negative)? {
        Num::Int(int) if is_negative => Some(Num::Int(int.wrapping_neg())),
        Num::Float(float) if is_negative => Some(Num::Float(-float)),
        number => Some(number),
    }
}

/// The number that a text denotes in a dialect.
#[inline]
#[must_use]
pub fn text_to_number(text: &[u8], dialect: &Dialect) -> Option<Num> {
    if dialect.integers { str_to_number(text) } else { str_to_float(text, dialect.c_numerals).map(Num::Float) }
}

/// The float that a text denotes, with optional whitespace and sign around it.
///
/// By the rules of C's `strtod` if `as_c`: texts end at a zero byte, and infinities and NaN may be spelled.
fn str_to_float(text: &[u8], as_c: bool) -> Option<f64> {
    let text = match text.iter().position(|&byte| byte == 0) {
        Some(end) if as_c => &text[..end],
        _ => text,
    };
    let (is_negative, digits) = split_sign(trim(text));
    let magnitude = unsigned_float(digits).or_else(|| if as_c { spelled_float(digits) } else { None })?;
    Some(if is_negative { -magnitude } else { magnitude })
}

/// `inf`, `infinity`, `nan` and `nan(...)`, in any case.
fn spelled_float(text: &[u8]) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    match lower.as_slice() {
        b"inf" | b"infinity" => Some(f64::INFINITY),
        b"nan" => Some(f64::NAN),
        [b'n', b'a', b'n', b'(', inside @ .., b')']
            if inside.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') =>
        {
            Some(f64::NAN)
        }
        _ => None,
    }
}

/// The float that an unsigned numeral denotes, if it is well-formed.
fn unsigned_float(text: &[u8]) -> Option<f64> {
    match text {
        [b'0', b'x' | b'X', digits @ ..] => hex_float(digits),
        _ => decimal_float(text),
    }
}

/// The value of a numeral as it stands in a program: without sign or whitespace.
#[inline]
#[must_use]
pub fn lexical_number(text: &[u8], dialect: &Dialect) -> Option<Num> {
    if dialect.integers { numeral(text, false) } else { unsigned_float(text).map(Num::Float) }
}

/// Parses an unsigned numeral. A decimal integer may be as large as 2^63 if it is going to be negated.
#[inline]
fn numeral(text: &[u8], is_negative: bool) -> Option<Num> {
    if let [b'0', b'x' | b'X', digits @ ..] = text {
        return hex_int(digits).map(Num::Int).or_else(|| hex_float(digits).map(Num::Float));
    }
    match decimal_int(text, is_negative) {
        Some(int) => Some(Num::Int(int)),
        None => decimal_float(text).map(Num::Float),
    }
}

fn decimal_int(text: &[u8], is_negative: bool) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    (value <= i64::MAX as u64 + u64::from(is_negative)).then_some(value as i64)
}

fn hex_int(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in digits {
        value = value << 4 | u64::from(hex_digit(byte)?);
    }
    Some(value as i64)
}

#[inline]
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Parses `digits [. digits] [e [sign] digits]`. The standard library rounds correctly, but also
/// accepts signs, `inf` and `nan`, which no text made of these bytes alone spells.
fn decimal_float(text: &[u8]) -> Option<f64> {
    let is_plain = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.iter().all(is_plain) || matches!(text.first(), Some(b'+' | b'-')) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses `digits [. digits] [p [sign] decimal-digits]`, behind the `0x`.
fn hex_float(text: &[u8]) -> Option<f64> {
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => (&text[..at], binary_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let mut mantissa: u64 = 0;
    // Whether a digit other than zero has been dropped from the end of the mantissa.
    let mut is_inexact = false;
    let mut exponent: i64 = exponent;
    let (mut has_digits, mut has_dot) = (false, false);
    for &byte in digits {
        if byte == b'.' && !has_dot {
            has_dot = true;
            continue;
        }
        let digit = hex_digit(byte)?;
        has_digits = true;
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            exponent -= if has_dot { 4 } else { 0 };
        } else {
            is_inexact |= digit != 0;
            exponent += if has_dot { 0 } else { 4 };
        }
    }
    has_digits.then(|| scale(mantissa, is_inexact, exponent))
}

fn binary_exponent(text: &[u8]) -> Option<i64> {
    // No text is long enough to bring an exponent of this size back into the range of floats.
    const FAR: i64 = 1 << 40;
    let (is_negative, digits) = split_sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(FAR);
    }
    Some(if is_negative { -value } else { value })
}

/// The float nearest to `mantissa * 2^exponent`, ties to even, where the mantissa stands for slightly
/// more than its value if it is inexact.
fn scale(mantissa: u64, is_inexact: bool, exponent: i64) -> f64 {
    const FRACTION_BITS: u32 = 52;
    const MIN_EXPONENT: i64 = -1022;
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let mantissa = mantissa << shift;
    // The value lies in [2^magnitude, 2^(magnitude + 1)).
    let magnitude = exponent - i64::from(shift) + 63;
    if magnitude > 1023 {
        return f64::INFINITY;
    }
    let is_subnormal = magnitude < MIN_EXPONENT;
    let dropped = 63 - i64::from(FRACTION_BITS) + (MIN_EXPONENT - magnitude).max(0);
    if dropped > 64 {
        return 0.0;
    }
    // The mantissa stands above the binary point of a fixed-point number with 64 fraction bits.
    let fixed = (u128::from(mantissa) << 64) >> dropped;
    let (kept, rest) = ((fixed >> 64) as u64, fixed as u64);
    let half = 1 << 63;
    let rounds_up = rest > half || rest == half && (is_inexact || kept & 1 == 1);
    let rounded = kept + u64::from(rounds_up);
    // A carry out of the fraction runs into the exponent field, which is what rounding up means there.
    f64::from_bits(if is_subnormal { rounded } else { (((magnitude + 1022) as u64) << FRACTION_BITS) + rounded })
}

/// The integer that a text denotes in a base from 2 to 36, with optional whitespace and sign; wraps
/// around.
#[must_use]
pub fn parse_in_base(text: &[u8], base: u32) -> Option<i64> {
    let (is_negative, digits) = split_sign(trim(text));
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = char::from(byte).to_digit(base)?;
        value = value.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit));
    }
    let value = value as i64;
    Some(if is_negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::LuaVersion;

    fn number(text: &str) -> Option<Num> {
        str_to_number(text.as_bytes())
    }

    #[test]
    fn integers_keep_their_kind() {
        assert_eq!(number("0"), Some(Num::Int(0)));
        assert_eq!(number(" \t\n\x0b\x0c\r12 "), Some(Num::Int(12)));
        assert_eq!(number("-12"), Some(Num::Int(-12)));
        assert_eq!(number("+12"), Some(Num::Int(12)));
        assert_eq!(number("9223372036854775807"), Some(Num::Int(i64::MAX)));
        assert_eq!(number("-9223372036854775808"), Some(Num::Int(i64::MIN)));
        assert_eq!(number("00000000000000000000000000012"), Some(Num::Int(12)));
    }

    #[test]
    fn decimal_integers_that_do_not_fit_become_floats() {
        assert_eq!(number("9223372036854775808"), Some(Num::Float(9_223_372_036_854_775_808.0)));
        assert_eq!(number("-9223372036854775809"), Some(Num::Float(-9_223_372_036_854_775_808.0)));
        assert_eq!(lexical_number(b"9223372036854775808", Dialect::DEFAULT), Some(Num::Float(2f64.powi(63))));
        assert_eq!(number("1e400"), Some(Num::Float(f64::INFINITY)));
    }

    #[test]
    fn hexadecimal_integers_wrap() {
        assert_eq!(number("0xff"), Some(Num::Int(255)));
        assert_eq!(number("-0xff"), Some(Num::Int(-255)));
        assert_eq!(number("0xffffffffffffffff"), Some(Num::Int(-1)));
        assert_eq!(number("0x1ffffffffffffffff"), Some(Num::Int(-1)));
        assert_eq!(number("0X7fffffffffffffff"), Some(Num::Int(i64::MAX)));
    }

    #[test]
    fn floats_may_omit_either_side_of_the_point() {
        assert_eq!(number("1."), Some(Num::Float(1.0)));
        assert_eq!(number(".5"), Some(Num::Float(0.5)));
        assert_eq!(number("1.e2"), Some(Num::Float(100.0)));
        assert_eq!(number(".5E+1"), Some(Num::Float(5.0)));
        assert_eq!(number("-.5e-1"), Some(Num::Float(-0.05)));
        assert_eq!(number("0x.8"), Some(Num::Float(0.5)));
        assert_eq!(number("0x8."), Some(Num::Float(8.0)));
    }

    #[test]
    fn malformed_texts_are_no_numbers() {
        for text in [
            "", " ", ".", "e1", ".e1", "1e", "1e+", "0x", "0x.", "0xp1", "0x.p1", "0x1p", "0x1p+", "1 2", "1a", "0xg",
            "--1", "+-1", "1-", "inf", "nan", "-inf", "infinity", "NaN", "1.2.3", "0x1.2.3", "1e1.5", "0x1p1.5",
            "0x1pa", "1\0", "0b1", "- 1", "1_000", "e+1", "1e++1",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn hexadecimal_floats_are_correctly_rounded() {
        assert_eq!(number("0x1p4"), Some(Num::Float(16.0)));
        assert_eq!(number("0x1.8p-1"), Some(Num::Float(0.75)));
        assert_eq!(number("0xA.8"), Some(Num::Float(10.5)));
        // 2^53 + 1 is a tie and goes to even; the smallest excess breaks it.
        assert_eq!(number("0x20000000000001p0"), Some(Num::Float(9_007_199_254_740_992.0)));
        assert_eq!(number("0x20000000000001.0000000000000001p0"), Some(Num::Float(9_007_199_254_740_994.0)));
        assert_eq!(number("0x1p-1074"), Some(Num::Float(f64::from_bits(1))));
        assert_eq!(number("0x1p-1075"), Some(Num::Float(0.0)));
        assert_eq!(number("0x1.00001p-1075"), Some(Num::Float(f64::from_bits(1))));
        assert_eq!(number("0x1p-1076"), Some(Num::Float(0.0)));
        assert_eq!(number("0x1.fffffffffffffp1023"), Some(Num::Float(f64::MAX)));
        assert_eq!(number("0x1.fffffffffffff8p1023"), Some(Num::Float(f64::INFINITY)));
        assert_eq!(number("0x1p99999999999999999999"), Some(Num::Float(f64::INFINITY)));
        assert_eq!(number("0x1p-99999999999999999999"), Some(Num::Float(0.0)));
        assert_eq!(number("0x0p99999999999999999999"), Some(Num::Float(0.0)));
        let long = format!("0x{}p-4000", "1".repeat(1000));
        assert_eq!(number(&long), Some(Num::Float(f64::from_bits(0x3fb1_1111_1111_1111))));
        let small = format!("0x.{}1p4004", "0".repeat(1000));
        assert_eq!(number(&small), Some(Num::Float(1.0)));
    }

    #[test]
    fn without_integers_all_numbers_are_floats() {
        let number = |text: &[u8], version| text_to_number(text, Dialect::of(version, false));
        for version in [LuaVersion::Lua51, LuaVersion::Lua52] {
            assert_eq!(number(b" -12 ", version), Some(Num::Float(-12.0)));
            assert_eq!(number(b"0xffffffffffffffffff", version), Some(Num::Float(2f64.powi(72))));
            assert_eq!(number(b"0x", version), None);
        }
        assert_eq!(number(b"-Inf", LuaVersion::Lua51), Some(Num::Float(f64::NEG_INFINITY)));
        assert!(matches!(number(b"nan(1)", LuaVersion::Lua51), Some(Num::Float(nan)) if nan.is_nan()));
        assert_eq!(number(b"1\0x", LuaVersion::Lua51), Some(Num::Float(1.0)));
        for text in [&b"inf"[..], b"nan", b"1\0"] {
            assert_eq!(number(text, LuaVersion::Lua52), None);
        }
    }

    #[test]
    fn a_negative_zero_keeps_its_sign() {
        assert!(matches!(number("-0.0"), Some(Num::Float(zero)) if zero.is_sign_negative()));
        assert_eq!(number("-0"), Some(Num::Int(0)));
        assert!(matches!(number("-0x0p1"), Some(Num::Float(zero)) if zero.is_sign_negative()));
    }

    #[test]
    fn a_base_limits_the_digits() {
        assert_eq!(parse_in_base(b" 10 ", 2), Some(2));
        assert_eq!(parse_in_base(b"-ff", 16), Some(-255));
        assert_eq!(parse_in_base(b"zZ", 36), Some(35 * 36 + 35));
        assert_eq!(parse_in_base(b"7fffffffffffffff", 16), Some(i64::MAX));
        assert_eq!(parse_in_base(b"1ffffffffffffffff", 16), Some(-1));
        for text in [&b""[..], b" ", b"-", b"2", b"1 1", b"1.0", b"\xff"] {
            assert_eq!(parse_in_base(text, 2), None, "{text:?}");
        }
    }
}
