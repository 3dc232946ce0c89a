//! Numbers to text: `tostring`, and the conversions of C's `printf` that `string.format` offers.
//!
//! All functions append to a byte vector and work in its tail, without buffers of their own. Digits
//! come from the standard library, whose precise forms (`{:.n}`, `{:.ne}`) round exactly, ties to even,
//! as glibc does, or for floats of usual size from `digits`; what is added here is C's layout.

use std::io::Write;

use super::digits;
use crate::dialect::table::FloatText;

/// Significant digits that `tostring` shows of a float in most versions (`LUAI_NUMFFORMAT` is `"%.14g"`).
pub const FLOAT_DIGITS: usize = 14;

/// Appends an integer in decimal.
#[inline]
pub fn write_int(out: &mut Vec<u8>, int: i64) {
    if int < 0 {
        out.push(b'-');
    }
    write_unsigned(out, int.unsigned_abs());
}

fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    const LONGEST: usize = 20;
    let mut digits = [0; LONGEST];
    let mut at = LONGEST;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a float as `tostring` shows it in the default version: `%.14g`, with `.0` added if it then looks like an
/// integer.
pub fn write_float(out: &mut Vec<u8>, float: f64) {
    write_float_as(out, float, FloatText::Marked);
}

/// Appends a float as `tostring` shows it.
pub fn write_float_as(out: &mut Vec<u8>, float: f64, text: FloatText) {
    /// Integral floats below this have at most [`FLOAT_DIGITS`] digits, and print all of them.
    const ALL_DIGITS_SHOWN: f64 = 1e14;
    let mark: &[u8] = if text == FloatText::Plain { b"" } else { b".0" };
    if float.abs() < ALL_DIGITS_SHOWN && float.trunc() == float {
        if float.is_sign_negative() {
            out.push(b'-');
        }
        write_unsigned(out, float.abs() as u64);
        out.extend_from_slice(mark);
        return;
    }
    let start = out.len();
    match text {
        FloatText::Plain | FloatText::Marked => write_digits_of(out, float, FLOAT_DIGITS),
        FloatText::RoundTrip => write_round_trip(out, float),
    }
    if out[start..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'-') {
        out.extend_from_slice(mark);
    }
}

/// Appends `%.15g`, or `%.17g` if that does not read back as the same float.
fn write_round_trip(out: &mut Vec<u8>, float: f64) {
    let start = out.len();
    write_digits_of(out, float, 15);
    let reads_back = std::str::from_utf8(&out[start..]).ok().and_then(|text| text.parse::<f64>().ok());
    if reads_back != Some(float) {
        out.truncate(start);
        write_digits_of(out, float, 17);
    }
}

/// Appends `%.{digits}g`.
fn write_digits_of(out: &mut Vec<u8>, float: f64, digits: usize) {
    write_signed_float(out, float, |out, magnitude| write_general(out, magnitude, digits, false));
}

/// The flags of a conversion.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Flags {
    /// `-`: pad on the right.
    pub left: bool,
    /// `+`: show the sign of positive numbers.
    pub plus: bool,
    /// space: a space in place of the sign of positive numbers.
    pub space: bool,
    /// `#`: the alternate form.
    pub alternate: bool,
    /// `0`: pad with zeros behind sign and prefix.
    pub zero: bool,
}

/// What to write and how: `%[flags][width][.precision]conversion`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Spec {
    /// The flags.
    pub flags: Flags,
    /// The minimum number of bytes written.
    pub width: usize,
    /// Digits or bytes, depending on the conversion; the conversion's default if not given.
    pub precision: Option<usize>,
}

/// Conversions of integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntConversion {
    /// `%d`, `%i`
    Decimal,
    /// `%u`
    Unsigned,
    /// `%o`
    Octal,
    /// `%x`
    LowerHex,
    /// `%X`
    UpperHex,
}

/// Conversions of floats.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatStyle {
    /// `%e`
    Scientific,
    /// `%f`
    Fixed,
    /// `%g`
    General,
    /// `%a`
    Hex,
}

/// Appends an integer as C's `printf` would.
pub fn format_int(out: &mut Vec<u8>, spec: &Spec, conversion: IntConversion, int: i64) {
    let is_signed = conversion == IntConversion::Decimal;
    let start = out.len();
    if is_signed {
        write_sign(out, &spec.flags, int < 0);
    }
    let bits = int as u64;
    let is_prefixed = spec.flags.alternate && bits != 0;
    match conversion {
        IntConversion::LowerHex if is_prefixed => out.extend_from_slice(b"0x"),
        IntConversion::UpperHex if is_prefixed => out.extend_from_slice(b"0X"),
        _ => {}
    }
    let digits = out.len();
    match conversion {
        IntConversion::Decimal => write_unsigned(out, int.unsigned_abs()),
        IntConversion::Unsigned => write_unsigned(out, bits),
        IntConversion::Octal => append(out, format_args!("{bits:o}")),
        IntConversion::LowerHex => append(out, format_args!("{bits:x}")),
        IntConversion::UpperHex => append(out, format_args!("{bits:X}")),
    }
    if let Some(precision) = spec.precision {
        if int == 0 && precision == 0 {
            out.truncate(digits);
        }
        insert_fill(out, digits, precision.saturating_sub(out.len() - digits), b'0');
    }
    if conversion == IntConversion::Octal && spec.flags.alternate && out.get(digits) != Some(&b'0') {
        out.insert(digits, b'0');
    }
    // A precision turns zero padding off.
    let zeros_at = (spec.flags.zero && spec.precision.is_none()).then_some(digits);
    pad(out, start, spec, zeros_at);
}

/// Appends a float as C's `printf` would, with letters in upper case for `%E`, `%F`, `%G`, `%A`.
pub fn format_float(out: &mut Vec<u8>, spec: &Spec, style: FloatStyle, is_upper_case: bool, float: f64) {
    const DEFAULT_PRECISION: usize = 6;
    let start = out.len();
    write_sign(out, &spec.flags, float.is_sign_negative());
    let mut digits = out.len();
    let magnitude = float.abs();
    let is_alternate = spec.flags.alternate;
    let precision = spec.precision.unwrap_or(DEFAULT_PRECISION);
    if !float.is_finite() {
        write_non_finite(out, magnitude);
    } else {
        match style {
            FloatStyle::Scientific => write_scientific(out, magnitude, precision, is_alternate),
            FloatStyle::Fixed => {
                write_fixed(out, magnitude, precision);
                if is_alternate && precision == 0 {
                    out.push(b'.');
                }
            }
            FloatStyle::General => write_general(out, magnitude, precision, is_alternate),
            FloatStyle::Hex => {
                out.extend_from_slice(b"0x");
                digits = out.len();
                write_hex(out, magnitude, spec.precision, is_alternate);
            }
        }
    }
    if is_upper_case {
        out[start..].make_ascii_uppercase();
    }
    let zeros_at = (spec.flags.zero && float.is_finite()).then_some(digits);
    pad(out, start, spec, zeros_at);
}

/// Appends bytes as `%s` would: cut to the precision, padded to the width.
pub fn format_bytes(out: &mut Vec<u8>, spec: &Spec, bytes: &[u8]) {
    let start = out.len();
    let shown = spec.precision.map_or(bytes.len(), |precision| precision.min(bytes.len()));
    out.extend_from_slice(&bytes[..shown]);
    pad(out, start, spec, None);
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

fn write_sign(out: &mut Vec<u8>, flags: &Flags, is_negative: bool) {
    if is_negative {
        out.push(b'-');
    } else if flags.plus {
        out.push(b'+');
    } else if flags.space {
        out.push(b' ');
    }
}

fn write_non_finite(out: &mut Vec<u8>, magnitude: f64) {
    out.extend_from_slice(if magnitude.is_nan() { b"nan" } else { b"inf" });
}

fn write_signed_float(out: &mut Vec<u8>, float: f64, write: impl FnOnce(&mut Vec<u8>, f64)) {
    if float.is_sign_negative() {
        out.push(b'-');
    }
    if float.is_finite() {
        write(out, float.abs());
    } else {
        write_non_finite(out, float);
    }
}

/// Brings what stands from `start` on to the width of the spec. Zeros go to `zeros_at`, behind sign and
/// prefix, if they are wanted.
fn pad(out: &mut Vec<u8>, start: usize, spec: &Spec, zeros_at: Option<usize>) {
    let missing = spec.width.saturating_sub(out.len() - start);
    match zeros_at {
        _ if spec.flags.left => out.resize(out.len() + missing, b' '),
        Some(at) => insert_fill(out, at, missing, b'0'),
        None => insert_fill(out, start, missing, b' '),
    }
}

/// Inserts `count` times `byte` at position `at`.
fn insert_fill(out: &mut Vec<u8>, at: usize, count: usize, byte: u8) {
    if count > 0 {
        let old_len = out.len();
        out.resize(old_len + count, byte);
        out.copy_within(at..old_len, at + count);
        out[at..at + count].fill(byte);
    }
}

/// Appends the decimal digits of a finite, non-negative float, rounded to `count` of them, without
/// point; returns the exponent of the first digit.
fn write_digits(out: &mut Vec<u8>, magnitude: f64, count: usize) -> i32 {
    if let Some((digits, exponent)) = digits::leading(magnitude, count) {
        write_unsigned(out, digits);
        return exponent;
    }
    let start = out.len();
    let fraction = count - 1;
    append(out, format_args!("{magnitude:.fraction$e}"));
    let exponent_at = start + out[start..].iter().position(|&byte| byte == b'e').expect("an exponent, this is a bug");
    let (is_negative, digits) = match &out[exponent_at + 1..] {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let exponent = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    out.truncate(exponent_at);
    if fraction > 0 {
        out.remove(start + 1);
    }
    if is_negative { -exponent } else { exponent }
}

/// `%.{precision}f`
fn write_fixed(out: &mut Vec<u8>, magnitude: f64, precision: usize) {
    let scaled = u32::try_from(precision).ok().and_then(|power| digits::scaled(magnitude, power));
    let Some(scaled) = scaled else { return append(out, format_args!("{magnitude:.precision$}")) };
    let start = out.len();
    write_unsigned(out, scaled);
    // At least one digit stands in front of the point.
    insert_fill(out, start, (precision + 1).saturating_sub(out.len() - start), b'0');
    if precision > 0 {
        out.insert(out.len() - precision, b'.');
    }
}

/// Appends `e+XX`, with at least two digits.
fn write_exponent(out: &mut Vec<u8>, exponent: i32) {
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let magnitude = exponent.unsigned_abs();
    if magnitude < 10 {
        out.push(b'0');
    }
    write_unsigned(out, u64::from(magnitude));
}

/// `%.{precision}e`
fn write_scientific(out: &mut Vec<u8>, magnitude: f64, precision: usize, is_alternate: bool) {
    let start = out.len();
    let exponent = write_digits(out, magnitude, precision + 1);
    if precision > 0 || is_alternate {
        out.insert(start + 1, b'.');
    }
    write_exponent(out, exponent);
}

/// `%.{precision}g`
fn write_general(out: &mut Vec<u8>, magnitude: f64, precision: usize, is_alternate: bool) {
    const SMALLEST_FIXED_EXPONENT: i32 = -4;
    let start = out.len();
    let count = precision.max(1);
    let exponent = write_digits(out, magnitude, count);
    if !is_alternate {
        while out.len() > start + 1 && out.last() == Some(&b'0') {
            out.pop();
        }
    }
    let has_point = |digits_before: usize, len: usize| is_alternate || len > digits_before;
    if exponent < SMALLEST_FIXED_EXPONENT || usize::try_from(exponent).is_ok_and(|x| x >= count) {
        if has_point(1, out.len() - start) {
            out.insert(start + 1, b'.');
        }
        write_exponent(out, exponent);
    } else if let Ok(exponent) = usize::try_from(exponent) {
        let whole = exponent + 1;
        if out.len() - start < whole {
            out.resize(start + whole, b'0');
        }
        if has_point(whole, out.len() - start) {
            out.insert(start + whole, b'.');
        }
    } else {
        let zeros = exponent.unsigned_abs() as usize;
        insert_fill(out, start, zeros + 1, b'0');
        out[start + 1] = b'.';
    }
}

/// `%a` behind its `0x`, laid out as by glibc: a leading digit 1, or 0 for zero and subnormals.
fn write_hex(out: &mut Vec<u8>, magnitude: f64, precision: Option<usize>, is_alternate: bool) {
    const FRACTION_BITS: u32 = 52;
    const FRACTION_DIGITS: usize = 13;
    const BIAS: i32 = 1023;
    let bits = magnitude.to_bits();
    let biased = (bits >> FRACTION_BITS) as i32;
    let exponent = match (biased, bits) {
        (_, 0) => 0,
        (0, _) => 1 - BIAS,
        _ => biased - BIAS,
    };
    let leading = u64::from(biased != 0) << FRACTION_BITS;
    let mut significand = leading | bits & ((1 << FRACTION_BITS) - 1);
    if let Some(precision) = precision
        && precision < FRACTION_DIGITS
    {
        // Ties to even; a carry may make the leading digit 2.
        let dropped = 4 * (FRACTION_DIGITS - precision);
        let rest = significand & ((1 << dropped) - 1);
        let half = 1 << (dropped - 1);
        significand >>= dropped;
        significand += u64::from(rest > half || rest == half && significand & 1 == 1);
        significand <<= dropped;
    }
    let fraction = significand & ((1 << FRACTION_BITS) - 1);
    out.push(b'0' + (significand >> FRACTION_BITS) as u8);
    let point = out.len();
    append(out, format_args!(".{fraction:013x}"));
    match precision {
        Some(precision) => out.resize(point + 1 + precision, b'0'),
        None => {
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }
    if out.len() == point + 1 && !is_alternate {
        out.pop();
    }
    out.push(b'p');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    write_unsigned(out, u64::from(exponent.unsigned_abs()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `%...c` and formats, so that the tests read as the calls of `string.format` that were
    /// recorded.
    fn spec_of(text: &str) -> (Spec, u8) {
        let mut spec = Spec::default();
        let mut rest = text.strip_prefix('%').unwrap();
        loop {
            match rest.as_bytes()[0] {
                b'-' => spec.flags.left = true,
                b'+' => spec.flags.plus = true,
                b' ' => spec.flags.space = true,
                b'#' => spec.flags.alternate = true,
                b'0' => spec.flags.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        let (numbers, conversion) = rest.split_at(rest.len() - 1);
        let (width, precision) = match numbers.split_once('.') {
            Some((width, precision)) => (width, Some(precision.parse().unwrap_or(0))),
            None => (numbers, None),
        };
        spec.width = width.parse().unwrap_or(0);
        spec.precision = precision;
        (spec, conversion.as_bytes()[0])
    }

    fn float(text: &str, value: f64) -> String {
        let (spec, conversion) = spec_of(text);
        let style = match conversion.to_ascii_lowercase() {
            b'e' => FloatStyle::Scientific,
            b'f' => FloatStyle::Fixed,
            b'g' => FloatStyle::General,
            b'a' => FloatStyle::Hex,
            other => panic!("no float conversion: {other}"),
        };
        let mut out = b"<".to_vec();
        format_float(&mut out, &spec, style, conversion.is_ascii_uppercase(), value);
        String::from_utf8(out.split_off(1)).unwrap()
    }

    fn int(text: &str, value: i64) -> String {
        let (spec, conversion) = spec_of(text);
        let conversion = match conversion {
            b'd' => IntConversion::Decimal,
            b'u' => IntConversion::Unsigned,
            b'o' => IntConversion::Octal,
            b'x' => IntConversion::LowerHex,
            b'X' => IntConversion::UpperHex,
            other => panic!("no integer conversion: {other}"),
        };
        let mut out = b"<".to_vec();
        format_int(&mut out, &spec, conversion, value);
        String::from_utf8(out.split_off(1)).unwrap()
    }

    fn shown(value: f64) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tostring_of_integers() {
        for value in [0, 7, -1, 10, 1_000_000_007, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_int(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn tostring_of_floats() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-100.0, "-100.0"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333333333333"),
            (std::f64::consts::PI, "3.1415926535898"),
            (1e14, "1e+14"),
            (1e15, "1e+15"),
            (99999999999999.0, "99999999999999.0"),
            (99999999999999.9, "1e+14"),
            (9007199254740992.0, "9.007199254741e+15"),
            (1e100, "1e+100"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (123456.789, "123456.789"),
            (f64::MAX, "1.7976931348623e+308"),
            (f64::from_bits(1), "4.9406564584125e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (-f64::NAN, "-nan"),
            (-9223372036854775808.0, "-9.2233720368548e+18"),
            (0.99999999999999999, "1.0"),
            (2.999_999_999_999_999_6, "3.0"),
        ] {
            assert_eq!(shown(value), text, "{value:e}");
        }
    }

    #[test]
    fn fixed_and_scientific_round_ties_to_even() {
        assert_eq!(float("%.0f", 0.5), "0");
        assert_eq!(float("%.0f", 1.5), "2");
        assert_eq!(float("%.0f", 2.5), "2");
        assert_eq!(float("%.2f", 0.125), "0.12");
        assert_eq!(float("%.2f", 0.375), "0.38");
        assert_eq!(float("%.0e", 2.5), "2e+00");
        assert_eq!(float("%.0e", 3.5), "4e+00");
        assert_eq!(float("%.1e", 0.00125), "1.3e-03");
        assert_eq!(float("%.20f", 0.1), "0.10000000000000000555");
        assert_eq!(float("%.3f", 1e20), "100000000000000000000.000");
        assert_eq!(float("%f", 1.0), "1.000000");
        assert_eq!(float("%e", 12345.678), "1.234568e+04");
        assert_eq!(float("%E", 1e-300), "1.000000E-300");
        assert_eq!(float("%#.0f", 2.0), "2.");
        assert_eq!(float("%#.0e", 2.0), "2.e+00");
    }

    #[test]
    fn general_picks_the_layout_by_the_rounded_exponent() {
        assert_eq!(float("%g", 100000.0), "100000");
        assert_eq!(float("%g", 1e6), "1e+06");
        assert_eq!(float("%g", 999999.5), "1e+06");
        assert_eq!(float("%g", 0.0001), "0.0001");
        assert_eq!(float("%g", 0.00001234), "1.234e-05");
        assert_eq!(float("%g", 0.0), "0");
        assert_eq!(float("%#g", 1.0), "1.00000");
        assert_eq!(float("%#.3g", 0.0), "0.00");
        assert_eq!(float("%.0g", 15.0), "2e+01");
        assert_eq!(float("%#.1g", 10.0), "1.e+01");
        assert_eq!(float("%.3g", 120.0), "120");
        assert_eq!(float("%G", 1e-10), "1E-10");
        assert_eq!(float("%.17g", 0.1), "0.10000000000000001");
        assert_eq!(float("%.99g", 0.5), "0.5");
    }

    #[test]
    fn hexadecimal_floats_are_laid_out_as_by_glibc() {
        let smallest = f64::from_bits(1);
        assert_eq!(float("%a", 1.5), "0x1.8p+0");
        assert_eq!(float("%a", 0.1), "0x1.999999999999ap-4");
        assert_eq!(float("%a", smallest), "0x0.0000000000001p-1022");
        assert_eq!(float("%a", 0.0), "0x0p+0");
        assert_eq!(float("%.0a", 1.5), "0x2p+0");
        assert_eq!(float("%.3a", 1.9999999), "0x2.000p+0");
        assert_eq!(float("%.3a", 1e-310), "0x0.012p-1022");
        assert_eq!(float("%.15a", 1.5), "0x1.800000000000000p+0");
        assert_eq!(float("%#.0a", 0.1), "0x2.p-4");
        assert_eq!(float("%A", 0.1), "0X1.999999999999AP-4");
        assert_eq!(float("%20a", 1.5), "            0x1.8p+0");
        assert_eq!(float("%020a", 1.5), "0x0000000000001.8p+0");
        assert_eq!(float("%-10a", -1.0), "-0x1p+0   ");
    }

    #[test]
    fn infinities_and_nan_are_never_padded_with_zeros() {
        assert_eq!(float("%010f", f64::INFINITY), "       inf");
        assert_eq!(float("%010f", f64::NEG_INFINITY), "      -inf");
        assert_eq!(float("%+g", f64::INFINITY), "+inf");
        assert_eq!(float("%A", f64::INFINITY), "INF");
        assert_eq!(float("%.3f", f64::NAN), "nan");
    }

    #[test]
    fn integers_honour_flags_width_and_precision() {
        assert_eq!(int("%5d", 42), "   42");
        assert_eq!(int("%-5d", 42), "42   ");
        assert_eq!(int("%05d", -3), "-0003");
        assert_eq!(int("%+.3d", 3), "+003");
        assert_eq!(int("%05.3d", 7), "  007");
        assert_eq!(int("%.0d", 0), "");
        assert_eq!(int("%+.0d", 0), "+");
        assert_eq!(int("% d", 5), " 5");
        assert_eq!(int("%#x", 255), "0xff");
        assert_eq!(int("%#010X", 255), "0X000000FF");
        assert_eq!(int("%#x", 0), "0");
        assert_eq!(int("%#o", 8), "010");
        assert_eq!(int("%#o", 0), "0");
        assert_eq!(int("%#.0o", 0), "0");
        assert_eq!(int("%x", -1), "ffffffffffffffff");
        assert_eq!(int("%u", -1), "18446744073709551615");
        assert_eq!(int("%d", i64::MIN), "-9223372036854775808");
    }

    #[test]
    fn bytes_are_cut_and_padded() {
        let text = |spec: &str, bytes: &[u8]| {
            let mut out = Vec::new();
            format_bytes(&mut out, &spec_of(spec).0, bytes);
            out
        };
        assert_eq!(text("%5s", b"abc"), b"  abc");
        assert_eq!(text("%-5s", b"abc"), b"abc  ");
        assert_eq!(text("%.2s", b"abc"), b"ab");
        assert_eq!(text("%s", b"a\0b"), b"a\0b");
    }
}
