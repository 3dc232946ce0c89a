//! `tonumber`, which has a function for each way in which versions read numerals in a base.

use perilune_base::num::parse::parse_in_base;
use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

/// The base that is as good as none in 5.1.
const DECIMAL: i64 = 10;

/// Numerals are integers, and wrap around.
pub(super) fn tonumber(vm: &mut Vm) -> NativeResult {
    charge(vm)?;
    if vm.arg(2).is_nil() {
        return convert(vm);
    }
    let base = vm.check_int(2)?;
    let Some(text) = vm.arg(1).as_str() else { return Err(vm.type_error(1, "string")) };
    let base = valid_base(vm, base)?;
    vm.ret(parse_in_base(text.as_bytes(), base).map_or(Value::NIL, Value::int))
}

/// Numerals are floats.
pub(super) fn tonumber_of_floats(vm: &mut Vm) -> NativeResult {
    charge(vm)?;
    if vm.arg(2).is_nil() {
        return convert(vm);
    }
    let text = vm.check_str(1)?;
    let base = vm.check_int(2)?;
    let base = valid_base(vm, base)?;
    vm.ret(float_in_base(text.as_bytes(), base).map_or(Value::NIL, Value::float))
}

/// Numerals are read by C's `strtoul`.
pub(super) fn tonumber_as_c(vm: &mut Vm) -> NativeResult {
    charge(vm)?;
    let base = vm.opt_int(2, DECIMAL)?;
    if base == DECIMAL {
        return convert(vm);
    }
    let text = vm.check_str(1)?;
    let base = valid_base(vm, base)?;
    vm.ret(strtoul(text.as_bytes(), base).map_or(Value::NIL, |int| Value::float(int as f64)))
}

/// Pays for reading a long numeral.
fn charge(vm: &mut Vm) -> Result<(), Raised> {
    const BYTES_PER_UNIT: usize = 16;
    let length = vm.arg(1).as_str().map_or(0, |text| text.as_bytes().len());
    vm.charge((length / BYTES_PER_UNIT) as u64)
}

fn valid_base(vm: &mut Vm, base: i64) -> Result<u32, Raised> {
    match u32::try_from(base) {
        Ok(base @ 2..=36) => Ok(base),
        _ => Err(vm.arg_error(2, "base out of range")),
    }
}

/// Without a base: what the argument is as a number.
fn convert(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    if value.is_number() {
        return vm.ret(value);
    }
    let number = vm.to_number(value);
    vm.ret(number.unwrap_or(Value::NIL))
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn without_space(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    &text[start..]
}

/// Whether there is a minus, and what follows the sign.
fn without_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn digit(byte: u8, base: u32) -> Option<u32> {
    char::from(byte).to_digit(36).filter(|digit| *digit < base)
}

fn float_in_base(text: &[u8], base: u32) -> Option<f64> {
    let (is_negative, mut rest) = without_sign(without_space(text));
    let mut float = 0.0;
    let mut digits = 0;
    while let [first, behind @ ..] = rest
        && first.is_ascii_alphanumeric()
    {
        float = float * f64::from(base) + f64::from(digit(*first, base)?);
        digits += 1;
        rest = behind;
    }
    let is_numeral = digits > 0 && without_space(rest).is_empty();
    is_numeral.then_some(if is_negative { -float } else { float })
}

/// What is no numeral at all gives nothing. Texts end at a zero byte, and what is too large is the largest number.
fn strtoul(text: &[u8], base: u32) -> Option<u64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let (is_negative, mut rest) = without_sign(without_space(text));
    if base == 16
        && let [b'0', b'x' | b'X', first, ..] = rest
        && first.is_ascii_hexdigit()
    {
        rest = &rest[2..];
    }
    let count = rest.iter().take_while(|byte| digit(**byte, base).is_some()).count();
    let (digits, behind) = rest.split_at(count);
    if digits.is_empty() || !without_space(behind).is_empty() {
        return None;
    }
    let append = |int: u64, byte: &u8| int.checked_mul(u64::from(base))?.checked_add(u64::from(digit(*byte, base)?));
    match digits.iter().try_fold(0, append) {
        Some(int) => Some(if is_negative { int.wrapping_neg() } else { int }),
        None => Some(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerals_as_c_reads_them() {
        assert_eq!(strtoul(b" 0xfF ", 16), Some(255));
        assert_eq!(strtoul(b"-1", 8), Some(u64::MAX));
        assert_eq!(strtoul(b"99999999999999999999999", 16), Some(u64::MAX));
        assert_eq!(strtoul(b"1\0z", 2), Some(1));
        for text in [&b""[..], b"-", b"0x", b"2", b"1 1"] {
            assert_eq!(strtoul(text, 2), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn numerals_as_floats() {
        assert_eq!(float_in_base(b"-zz", 36), Some(-1295.0));
        assert_eq!(float_in_base(b"ffffffffffffffffff", 16), Some(2f64.powi(72)));
        assert_eq!(float_in_base(b"1.", 10), None);
        assert_eq!(float_in_base(b"--1", 10), None);
    }
}
