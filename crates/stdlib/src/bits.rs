//! The library `bit32` of Lua 5.2: numbers as words of 32 bits.

use perilune_base::num::convert::float_to_int;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, intrinsic};

/// The functions of the library.
pub const ROWS: &[Row] = &[
    intrinsic("arshift", arshift, Intrinsic::BitArshift),
    intrinsic("band", band, Intrinsic::BitAnd),
    intrinsic("bnot", bnot, Intrinsic::BitNot),
    intrinsic("bor", bor, Intrinsic::BitOr),
    intrinsic("btest", btest, Intrinsic::BitTest),
    intrinsic("bxor", bxor, Intrinsic::BitXor),
    intrinsic("extract", extract, Intrinsic::BitExtract),
    intrinsic("lrotate", |vm| rotate(vm, 1), Intrinsic::BitLrotate),
    intrinsic("lshift", |vm| shift(vm, 1), Intrinsic::BitLshift),
    intrinsic("replace", replace, Intrinsic::BitOther),
    intrinsic("rrotate", |vm| rotate(vm, -1), Intrinsic::BitRrotate),
    intrinsic("rshift", |vm| shift(vm, -1), Intrinsic::BitRshift),
];

/// Bits of a word.
const BITS: i64 = u32::BITS as i64;

/// Opens the library, in dialects that have it.
pub fn open(vm: &mut Vm) {
    if vm.dialect().bit32 {
        crate::new_library(vm, "bit32", ROWS);
    }
}

/// A float rounded to the nearest integer, ties to even, and wrapped around to a word.
pub(crate) fn float_to_word(float: f64) -> u32 {
    /// Adding it moves the integer into the lowest bits of the sum.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    (float + MAGIC).to_bits() as u32
}

/// Argument `i` as a word.
fn word(vm: &mut Vm, i: usize) -> Result<u32, Raised> {
    if !vm.dialect().integers {
        return Ok(float_to_word(vm.check_float(i)?));
    }
    let value = vm.check_number(i)?;
    match value.tag {
        Tag::Int => Ok(value.raw_int() as u32),
        _ => {
            // An integer, or a float that has one of up to 64 bits: 2^63 and more wrap around as well.
            let float = value.raw_float();
            match float_to_int(float) {
                Some(int) => Ok(int as u32),
                None => Err(vm.arg_error(i, "number has no integer representation")),
            }
        }
    }
}

/// Argument `i` as a distance or position.
fn place(vm: &mut Vm, i: usize) -> Result<i64, Raised> {
    let int = vm.check_int(i)?;
    // Without integers these are C's `int`.
    Ok(if vm.dialect().integers { int } else { i64::from(int as i32) })
}

fn return_word(vm: &mut Vm, word: u32) -> NativeResult {
    vm.ret(vm.int_value(i64::from(word)))
}

/// All arguments joined.
fn fold(vm: &mut Vm, start: u32, join: fn(u32, u32) -> u32) -> Result<u32, Raised> {
    let mut result = start;
    for i in 1..=vm.nargs() {
        result = join(result, word(vm, i)?);
    }
    Ok(result)
}

fn band(vm: &mut Vm) -> NativeResult {
    let result = fold(vm, u32::MAX, |a, b| a & b)?;
    return_word(vm, result)
}

fn btest(vm: &mut Vm) -> NativeResult {
    let result = fold(vm, u32::MAX, |a, b| a & b)?;
    vm.ret(Value::bool(result != 0))
}

fn bor(vm: &mut Vm) -> NativeResult {
    let result = fold(vm, 0, |a, b| a | b)?;
    return_word(vm, result)
}

fn bxor(vm: &mut Vm) -> NativeResult {
    let result = fold(vm, 0, |a, b| a ^ b)?;
    return_word(vm, result)
}

fn bnot(vm: &mut Vm) -> NativeResult {
    let word = word(vm, 1)?;
    return_word(vm, !word)
}

/// To the left for positive distances if `sign` is 1, to the right if it is -1.
fn shift(vm: &mut Vm, sign: i64) -> NativeResult {
    // The reference, as compiled for this platform, looks at the second argument first.
    let distance = place(vm, 2)?.wrapping_mul(sign);
    let word = word(vm, 1)?;
    return_word(vm, shifted(word, distance))
}

fn shifted(word: u32, distance: i64) -> u32 {
    let by = u32::try_from(distance.unsigned_abs()).unwrap_or(u32::MAX);
    let result = if distance >= 0 { word.checked_shl(by) } else { word.checked_shr(by) };
    result.unwrap_or(0)
}

fn arshift(vm: &mut Vm) -> NativeResult {
    let word = word(vm, 1)?;
    let distance = place(vm, 2)?;
    let result = if distance < 0 || (word as i32) >= 0 {
        shifted(word, distance.wrapping_neg())
    } else {
        (word as i32 >> distance.min(BITS - 1)) as u32
    };
    return_word(vm, result)
}

fn rotate(vm: &mut Vm, sign: i64) -> NativeResult {
    // The reference, as compiled for this platform, looks at the second argument first.
    let distance = place(vm, 2)?.wrapping_mul(sign);
    let word = word(vm, 1)?;
    return_word(vm, word.rotate_left(distance.rem_euclid(BITS) as u32))
}

/// The field that arguments `i` and `i + 1` describe: its position and a mask as wide as it is.
fn field(vm: &mut Vm, i: usize) -> Result<(u32, u32), Raised> {
    let position = place(vm, i)?;
    let width = if vm.arg(i + 1).is_nil() { 1 } else { place(vm, i + 1)? };
    if position < 0 {
        return Err(vm.arg_error(i, "field cannot be negative"));
    }
    if width <= 0 {
        return Err(vm.arg_error(i + 1, "width must be positive"));
    }
    if position.checked_add(width).is_none_or(|end| end > BITS) {
        return Err(vm.error("trying to access non-existent bits"));
    }
    Ok((position as u32, u32::MAX >> (BITS - width)))
}

fn extract(vm: &mut Vm) -> NativeResult {
    let word = word(vm, 1)?;
    let (position, mask) = field(vm, 2)?;
    return_word(vm, word >> position & mask)
}

fn replace(vm: &mut Vm) -> NativeResult {
    let into = word(vm, 1)?;
    let value = word(vm, 2)?;
    let (position, mask) = field(vm, 3)?;
    return_word(vm, into & !(mask << position) | (value & mask) << position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_wrap_around_to_words() {
        for (float, word) in [(0.0, 0), (-1.0, u32::MAX), (4_294_967_297.0, 1), (1.5, 2), (2.5, 2), (0.5, 0)] {
            assert_eq!(float_to_word(float), word, "{float}");
        }
    }

    #[test]
    fn shifts_of_any_distance() {
        assert_eq!([shifted(1, 31), shifted(1, 32), shifted(1 << 31, -31), shifted(1, i64::MIN)], [1 << 31, 0, 1, 0]);
    }
}
