//! The utf8 library (§6.5 of the manual).
//!
//! Positions in code are from 0, unlike those that scripts give and get.

use perilune_base::dialect::LuaVersion::{Lua54, Lua55};
use perilune_base::dialect::library::Utf8;
use perilune_runtime::object::StrRef;
use perilune_runtime::value::Value;
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, plain, row};

use crate::string::buffer;

/// The functions of the library.
pub const ROWS: &[Row] = &[
    plain("char", char),
    plain("codepoint", codepoint),
    row("codes", codes),
    plain("len", len),
    plain("offset", offset).until(Lua54),
    plain("offset", offset_and_end).since(Lua55),
];

/// The pattern that matches one character of a valid string.
const CHAR_PATTERN: &[u8] = b"[\0-\x7F\xC2-\xFD][\x80-\xBF]*";

/// The same where no character has more than four bytes.
const UNICODE_PATTERN: &[u8] = b"[\0-\x7F\xC2-\xF4][\x80-\xBF]*";

/// The largest code point of Unicode.
const MAX_UNICODE: u32 = 0x10_FFFF;

/// The largest value that the original encoding of up to six bytes has.
const MAX_CODE: u32 = 0x7FFF_FFFF;

const INVALID: &str = "invalid UTF-8 code";

/// Bytes that one unit of fuel pays for.
const BYTES_PER_UNIT: usize = 8;

/// Bytes, or characters, between two looks at the limits.
const PIECE: usize = 8 << 10;

/// Opens the library.
pub fn open(vm: &mut Vm) {
    if vm.dialect().utf8 == Utf8::Absent {
        return;
    }
    let library = crate::new_library(vm, "utf8", ROWS);
    let pattern = if vm.dialect().utf8 == Utf8::Unicode { UNICODE_PATTERN } else { CHAR_PATTERN };
    let pattern = vm.string(pattern);
    vm.set_field(library, "charpattern", pattern);
}

/// Whether the byte at a position continues a character. Behind the end there is a zero, as it were.
fn is_continuation(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|byte| byte & 0xC0 == 0x80)
}

/// The character at a position, and the position behind it; `None` if there is none that is valid. If `is_lax`, values
/// that are no code points of Unicode are valid.
fn decode(bytes: &[u8], at: usize, is_lax: bool) -> Option<(u32, usize)> {
    /// The smallest value that needs so many continuation bytes. Without any, a byte that is not ASCII is invalid.
    const SMALLEST: [u32; 6] = [u32::MAX, 0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000];
    let first = bytes.get(at).copied().unwrap_or(0);
    if first < 0x80 {
        return Some((u32::from(first), at + 1));
    }
    if first >= 0xFE {
        return None;
    }
    let count = first.leading_ones() as usize - 1;
    let mut code = u32::from(first & (0x3F >> count));
    for i in 1..=count {
        if !is_continuation(bytes, at + i) {
            return None;
        }
        code = code << 6 | u32::from(bytes[at + i] & 0x3F);
    }
    let is_valid = code >= SMALLEST[count] && (is_lax || code <= MAX_UNICODE && !matches!(code, 0xD800..=0xDFFF));
    is_valid.then_some((code, at + 1 + count))
}

/// What [`decode`] gives under the rules of the dialect, where argument `lax` may ask for others.
fn decode_for(vm: &Vm, bytes: &[u8], at: usize, lax: bool) -> Option<(u32, usize)> {
    match vm.dialect().utf8 {
        Utf8::Unicode => decode(bytes, at, true).filter(|(code, _)| *code <= MAX_UNICODE),
        Utf8::Absent | Utf8::Lax => decode(bytes, at, lax),
    }
}

/// Appends the encoding of a value up to [`MAX_CODE`].
fn encode(out: &mut Vec<u8>, code: u32) {
    if code < 0x80 {
        out.push(code as u8);
        return;
    }
    // Six bits a byte, and what the first byte has room for beside its mark.
    let count = match code {
        0..0x800 => 1,
        0x800..0x1_0000 => 2,
        0x1_0000..0x20_0000 => 3,
        0x20_0000..0x400_0000 => 4,
        _ => 5,
    };
    let mark = !(0x7F_u8 >> count);
    out.push(mark | (code >> (6 * count)) as u8);
    for i in (0..count).rev() {
        out.push(0x80 | (code >> (6 * i) & 0x3F) as u8);
    }
}

/// A position given by a script, from 1: negative ones count from the end, 0 stands for those before the string.
fn position(given: i64, len: usize) -> i64 {
    let len = len as i64;
    match given {
        0.. => given,
        _ if given < -len => 0,
        _ => len + given + 1,
    }
}

/// The error for a position: out of bounds, or in the words of older versions.
fn out_of(vm: &mut Vm, i: usize, what: &str, older: &str) -> Raised {
    let word = if vm.dialect().utf8 == Utf8::Unicode { older } else { "bounds" };
    vm.arg_error(i, &format!("{what}{word}"))
}

fn char(vm: &mut Vm) -> NativeResult {
    let mut out = vm.take_buffer();
    for i in 1..=vm.nargs() {
        let most = if vm.dialect().utf8 == Utf8::Unicode { MAX_UNICODE } else { MAX_CODE };
        match u32::try_from(vm.check_int(i)?) {
            Ok(code) if code <= most => encode(&mut out, code),
            _ => return Err(vm.arg_error(i, "value out of range")),
        }
    }
    buffer::return_buffer(vm, out)
}

fn len(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    let first = position(vm.opt_int(2, 1)?, bytes.len());
    let last = position(vm.opt_int(3, -1)?, bytes.len());
    let is_lax = vm.arg(4).is_truthy();
    if first < 1 || first - 1 > bytes.len() as i64 {
        return Err(out_of(vm, 2, "initial position out of ", "string"));
    }
    if last > bytes.len() as i64 {
        return Err(out_of(vm, 3, "final position out of ", "string"));
    }
    let (mut at, end) = (first as usize - 1, last.max(0) as usize);
    let mut count = 0;
    while at < end {
        let end_of_piece = end.min(at + PIECE);
        vm.charge(((end_of_piece - at) / BYTES_PER_UNIT) as u64)?;
        while at < end_of_piece {
            let Some((_, next)) = decode_for(vm, bytes, at, is_lax) else {
                vm.push(Value::NIL);
                vm.push(Value::int(at as i64 + 1));
                return Ok(2);
            };
            at = next;
            count += 1;
        }
    }
    vm.ret(Value::int(count))
}

fn codepoint(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    let first = position(vm.opt_int(2, 1)?, bytes.len());
    let last = position(vm.opt_int(3, first)?, bytes.len());
    let is_lax = vm.arg(4).is_truthy();
    if first < 1 {
        return Err(out_of(vm, 2, "out of ", "range"));
    }
    if last > bytes.len() as i64 {
        return Err(out_of(vm, 3, "out of ", "range"));
    }
    if first > last {
        return Ok(0);
    }
    if last - first >= i64::from(i32::MAX) {
        return Err(vm.error("string slice too long"));
    }
    let most = (last - first) as usize + 1;
    if most >= perilune_runtime::stack::MAX_SLOTS {
        return Err(vm.error("stack overflow (string slice too long)"));
    }
    vm.reserve_stack_for(most, "string slice too long")?;
    vm.charge((most / BYTES_PER_UNIT) as u64)?;
    let (mut at, end) = (first as usize - 1, last as usize);
    let mut count = 0;
    while at < end {
        let Some((code, next)) = decode_for(vm, bytes, at, is_lax) else { return Err(vm.error(INVALID)) };
        vm.push(Value::int(i64::from(code)));
        at = next;
        count += 1;
    }
    Ok(count)
}

fn offset(vm: &mut Vm) -> NativeResult {
    let found = find_offset(vm)?;
    vm.ret(found.map_or(Value::NIL, |(_, at)| Value::int(at as i64 + 1)))
}

/// With the position of the character's last byte as a second result.
fn offset_and_end(vm: &mut Vm) -> NativeResult {
    let Some((s, at)) = find_offset(vm)? else { return vm.ret(Value::NIL) };
    let bytes = s.as_bytes();
    if is_continuation(bytes, at) {
        return Err(vm.error("initial position is a continuation byte"));
    }
    let mut end = at;
    let is_multibyte = bytes.get(at).is_some_and(|byte| !byte.is_ascii());
    while is_multibyte && is_continuation(bytes, end + 1) {
        end += 1;
    }
    vm.push(Value::int(at as i64 + 1));
    vm.push(Value::int(end as i64 + 1));
    Ok(2)
}

/// The string, and where the character begins that the arguments ask for.
fn find_offset(vm: &mut Vm) -> Result<Option<(StrRef, usize)>, Raised> {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    let mut count = vm.check_int(2)?;
    let default = if count >= 0 { 1 } else { bytes.len() as i64 + 1 };
    let from = position(vm.opt_int(3, default)?, bytes.len());
    if from < 1 || from - 1 > bytes.len() as i64 {
        return Err(out_of(vm, 3, "position out of ", "range"));
    }
    let mut from = from as usize - 1;
    if count != 0 && is_continuation(bytes, from) {
        return Err(vm.error("initial position is a continuation byte"));
    }
    const STEP: i64 = PIECE as i64;
    while count.unsigned_abs() > PIECE as u64 {
        // As many characters on or back; a count forward names the character that it starts from as the first.
        let step = if count > 0 { STEP + 1 } else { -STEP };
        let Some(at) = character_at(bytes, from, step) else { return Ok(None) };
        vm.charge((at.abs_diff(from) / BYTES_PER_UNIT) as u64)?;
        count -= if count > 0 { STEP } else { -STEP };
        from = at;
    }
    let found = character_at(bytes, from, count);
    let passed = found.map_or(bytes.len(), |at| at.abs_diff(from));
    vm.charge((passed / BYTES_PER_UNIT) as u64)?;
    Ok(found.map(|at| (s, at)))
}

/// Where the `count`-th character from a position on begins: that position is the first, or is behind the last if `count`
/// is negative. The 0th is the one that the position is in.
fn character_at(bytes: &[u8], mut at: usize, mut count: i64) -> Option<usize> {
    let start_of_character = |mut at: usize| {
        while at > 0 && is_continuation(bytes, at) {
            at -= 1;
        }
        at
    };
    if count == 0 {
        return Some(start_of_character(at));
    }
    while count < 0 {
        at = start_of_character(at.checked_sub(1)?);
        count += 1;
        if count == 0 {
            return Some(at);
        }
    }
    while count > 1 {
        if at >= bytes.len() {
            return None;
        }
        at += 1;
        while is_continuation(bytes, at) {
            at += 1;
        }
        count -= 1;
    }
    Some(at)
}

fn codes(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    if is_continuation(s.as_bytes(), 0) && vm.dialect().utf8 != Utf8::Unicode {
        return Err(vm.arg_error(1, INVALID));
    }
    let step = if vm.arg(2).is_truthy() { codes_step_lax } else { codes_step };
    let step = vm.native(step, Intrinsic::None, &[]);
    vm.push(step);
    vm.push(Value::str(s));
    vm.push(Value::int(0));
    Ok(3)
}

fn codes_step(vm: &mut Vm) -> NativeResult {
    next_code(vm, false)
}

fn codes_step_lax(vm: &mut Vm) -> NativeResult {
    next_code(vm, true)
}

/// The character behind the one that begins at the control variable, which is from 1.
fn next_code(vm: &mut Vm, is_lax: bool) -> NativeResult {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    // A negative position is behind any string.
    let mut at = vm.to_integer(vm.arg(2)).unwrap_or(0) as u64 as usize;
    let is_fixed = at == 0 && vm.dialect().utf8 == Utf8::Unicode;
    while !is_fixed && is_continuation(bytes, at) {
        at += 1;
    }
    if at >= bytes.len() {
        return Ok(0);
    }
    match decode_for(vm, bytes, at, is_lax) {
        Some((code, next)) if !is_continuation(bytes, next) => {
            vm.push(Value::int(at as i64 + 1));
            vm.push(Value::int(i64::from(code)));
            Ok(2)
        }
        _ => Err(vm.error(INVALID)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_of_encodings_are_read_back() {
        for code in
            [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1_0000, 0x1F_FFFF, 0x20_0000, 0x3FF_FFFF, 0x400_0000, MAX_CODE]
        {
            let mut bytes = Vec::new();
            encode(&mut bytes, code);
            assert_eq!(decode(&bytes, 0, true), Some((code, bytes.len())));
            assert_eq!(decode(&bytes, 0, false).is_some(), code <= MAX_UNICODE);
            assert_eq!(decode(&bytes[..bytes.len() - 1], 0, true).is_some(), code < 0x80);
        }
    }

    #[test]
    fn encodings_are_those_of_the_reference() {
        let encoded = |code| {
            let mut bytes = Vec::new();
            encode(&mut bytes, code);
            bytes
        };
        assert_eq!(encoded(0x20AC), b"\xE2\x82\xAC");
        assert_eq!(encoded(0x1F600), b"\xF0\x9F\x98\x80");
        assert_eq!(encoded(MAX_CODE), b"\xFD\xBF\xBF\xBF\xBF\xBF");
        assert_eq!(encoded(0x20_0000), b"\xF8\x88\x80\x80\x80");
    }

    #[test]
    fn invalid_sequences_are_refused() {
        for bytes in [
            &b"\x80"[..],
            b"\xC0\x80",
            b"\xC1\xBF",
            b"\xE0\x80\x80",
            b"\xFE",
            b"\xFF",
            b"\xED\xA0\x80",
            b"\xF4\x90\x80\x80",
        ] {
            assert_eq!(decode(bytes, 0, false), None, "{bytes:x?}");
        }
        assert_eq!(decode(b"\xED\xA0\x80", 0, true), Some((0xD800, 3)));
    }

    #[test]
    fn characters_are_counted_in_both_directions() {
        let text = "aé€x".as_bytes();
        assert_eq!(
            [1, 2, 3, 4, 5, 6].map(|n| character_at(text, 0, n)),
            [Some(0), Some(1), Some(3), Some(6), Some(7), None]
        );
        assert_eq!([-1, -4, -5].map(|n| character_at(text, 7, n)), [Some(6), Some(0), None]);
        assert_eq!(character_at(text, 5, 0), Some(3));
    }
}
