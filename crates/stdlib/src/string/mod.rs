//! The string library (§6.4 of the manual).
//!
//! | module | question it answers |
//! |---|---|
//! | this one | the functions on whole strings and ranges |
//! | `pattern` | does a pattern match here |
//! | `class`, `search` | which bytes belong to a class; where is a byte or a string |
//! | `find`, `gsub` | the functions that take patterns |
//! | `format`, `directive` | `string.format`; what a `%` of it says |
//! | `pack`, `layout` | `string.pack` and its like; what their formats say |
//! | `arith` | arithmetic on strings |
//! | `buffer`, `meter`, `position` | making long strings, paying for long work, reading positions |

mod arith;
pub(crate) mod buffer;
mod class;
mod directive;
mod find;
mod format;
mod gsub;
mod layout;
mod meter;
mod pack;
mod pattern;
mod position;
pub(crate) mod search;

use perilune_base::dialect::LuaVersion::{Lua51, Lua53, Lua54, Lua55};
use perilune_runtime::heap::Heap;
use perilune_runtime::object::{Direct, Str};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Life, Row, alias, intrinsic, plain, row};

use self::buffer::string_with;
use self::meter::Meter;

/// The functions of the library.
pub const ROWS: &[Row] = &[
    intrinsic("byte", byte, Intrinsic::StringByte).direct(byte_direct),
    intrinsic("char", char, Intrinsic::StringChar).direct(char_direct),
    row("dump", dump).until(Lua54),
    row("dump", dump_of_lua_functions).since(Lua55),
    intrinsic("find", find::find, Intrinsic::StringFind),
    intrinsic("format", format::format, Intrinsic::StringFormat),
    intrinsic("gmatch", find::gmatch, Intrinsic::StringGmatch),
    intrinsic("gsub", gsub::gsub, Intrinsic::StringGsub),
    intrinsic("len", len, Intrinsic::StringLen).direct(len_direct),
    intrinsic("lower", lower, Intrinsic::StringLower),
    intrinsic("match", find::r#match, Intrinsic::StringMatch),
    plain("pack", pack::pack).since(Lua53),
    plain("packsize", pack::packsize).since(Lua53),
    intrinsic("rep", rep, Intrinsic::StringRep),
    intrinsic("reverse", reverse, Intrinsic::StringReverse),
    intrinsic("sub", sub, Intrinsic::StringSub).direct(sub_direct),
    plain("unpack", pack::unpack).since(Lua53),
    intrinsic("upper", upper, Intrinsic::StringUpper),
];

/// Longest string that `string.rep` makes, and largest size that a format of `string.pack` may ask for (`MAXSIZE`).
const MAX_SIZE: usize = i32::MAX as usize;

/// The largest size that a string may be asked to have; whether there is memory for it is another question.
fn max_size(vm: &Vm) -> usize {
    if vm.dialect().wide_sizes { i64::MAX as usize } else { MAX_SIZE }
}

/// Bytes that one unit of fuel pays for when each is a value of its own.
const BYTES_PER_UNIT: usize = 16;

/// Most values that fit on a Lua stack, whatever else is on it.
const MAX_RESULTS: usize = perilune_runtime::stack::MAX_SLOTS;

/// Opens the library, and gives strings their metatable.
pub fn open(vm: &mut Vm) {
    let library = crate::new_library(vm, "string", ROWS);
    alias(vm, (library, "gmatch"), (library, "gfind"), Life::until(Lua51).not_in_manual(&[Lua51]));
    let metatable = vm.table(0, arith::ROWS.len() + 1);
    if vm.dialect().string_metamethods {
        crate::row::register(vm, metatable, arith::ROWS);
    }
    vm.set_field(metatable, "__index", Value::table(library));
    vm.set_type_metatable(Tag::Str, Some(metatable));
}

/// The VM's fuel pays for the steps of algorithms.
impl Meter for Vm {
    type Stop = Raised;

    #[inline]
    fn spend(&mut self, steps: u32) -> Result<(), Raised> {
        self.charge(u64::from(steps))
    }
}

fn len_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args.first().and_then(|v| v.as_str()) {
        Some(s) => Direct::One(Value::int(s.len() as i64)),
        None => Direct::Unknown,
    }
}

fn len(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    vm.ret(vm.int_value(s.len() as i64))
}

/// Pieces that are interned, by integers.
fn sub_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    let (s, first, last) = match args {
        [s, first] => (s, first, -1),
        [s, first, last, ..] if last.tag == Tag::Int => (s, first, last.raw_int()),
        _ => return Direct::Unknown,
    };
    let Some(text) = s.as_str() else { return Direct::Unknown };
    if first.tag != Tag::Int {
        return Direct::Unknown;
    }
    let bytes = text.as_bytes();
    let start = position::start(first.raw_int(), bytes.len());
    let end = position::end(last, bytes.len());
    let range = bytes.get(start - 1..end).unwrap_or_default();
    if range.len() == bytes.len() {
        Direct::One(*s)
    } else if range.len() <= Str::MAX_SHORT {
        Direct::One(Value::str(heap.new_str(range)))
    } else {
        Direct::Unknown
    }
}

fn sub(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    let start = position::start(vm.check_int(2)?, bytes.len());
    let end = position::end(vm.opt_int(3, -1)?, bytes.len());
    let range = bytes.get(start - 1..end).unwrap_or_default();
    let result = if range.len() == bytes.len() { vm.arg(1) } else { buffer::string(vm, range)? };
    vm.ret(result)
}

/// One byte by its position from the front.
fn byte_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    let (s, position) = match args {
        [s] => (s, 1),
        [s, position] if position.tag == Tag::Int => (s, position.raw_int()),
        _ => return Direct::Unknown,
    };
    let Some(text) = s.as_str() else { return Direct::Unknown };
    match text.as_bytes().get((position as usize).wrapping_sub(1)) {
        Some(byte) => Direct::One(Value::int(i64::from(*byte))),
        None => Direct::Unknown,
    }
}

fn byte(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let bytes = s.as_bytes();
    let position = vm.opt_int(2, 1)?;
    let start = position::start(position, bytes.len());
    let end = position::end(vm.opt_int(3, position)?, bytes.len());
    match bytes.get(start - 1..end).unwrap_or_default() {
        [] => Ok(0),
        [byte] => vm.ret(vm.int_value(i64::from(*byte))),
        range if range.len() >= MAX_SIZE => Err(vm.error("string slice too long")),
        range => {
            if range.len() >= MAX_RESULTS || range.len() + vm.nargs() > vm.dialect().native_stack {
                return Err(vm.error("stack overflow (string slice too long)"));
            }
            vm.charge((range.len() / BYTES_PER_UNIT) as u64)?;
            vm.reserve_stack_for(range.len(), "string slice too long")?;
            for byte in range {
                vm.push(vm.int_value(i64::from(*byte)));
            }
            Ok(range.len() as u32)
        }
    }
}

/// As many bytes as fit a word.
fn char_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    let mut bytes = [0; 8];
    if args.len() > bytes.len() {
        return Direct::Unknown;
    }
    for (to, from) in bytes.iter_mut().zip(args) {
        match u8::try_from(from.raw_int()) {
            Ok(byte) if from.tag == Tag::Int => *to = byte,
            _ => return Direct::Unknown,
        }
    }
    Direct::One(Value::str(heap.new_str(&bytes[..args.len()])))
}

fn char(vm: &mut Vm) -> NativeResult {
    vm.charge((vm.nargs() / BYTES_PER_UNIT) as u64)?;
    let mut out = vm.take_buffer();
    for i in 1..=vm.nargs() {
        let code = vm.check_int(i)?;
        // Without integers it is C's `int`.
        let code = if vm.dialect().integers { code } else { i64::from(code as i32) };
        match u8::try_from(code) {
            Ok(byte) => out.push(byte),
            Err(_) if vm.dialect().c_strings => return Err(vm.arg_error(i, "invalid value")),
            Err(_) => return Err(vm.arg_error(i, "value out of range")),
        }
    }
    buffer::return_buffer(vm, out)
}

fn dump(vm: &mut Vm) -> NativeResult {
    let function = vm.check_function(1)?;
    let is_stripped = vm.dialect().strips && vm.arg(2).is_truthy();
    match vm.dump(function, is_stripped) {
        Some(chunk) => {
            let result = buffer::string(vm, &chunk)?;
            vm.ret(result)
        }
        None => Err(vm.error("unable to dump given function")),
    }
}

/// With one complaint about everything else.
fn dump_of_lua_functions(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).as_lua_fn().is_none() {
        return Err(vm.arg_error(1, "Lua function expected"));
    }
    dump(vm)
}

fn lower(vm: &mut Vm) -> NativeResult {
    map(vm, |byte| byte.to_ascii_lowercase())
}

fn upper(vm: &mut Vm) -> NativeResult {
    map(vm, |byte| byte.to_ascii_uppercase())
}

/// Returns the string argument with each byte replaced.
#[inline]
fn map(vm: &mut Vm, replacement: impl Fn(u8) -> u8) -> NativeResult {
    let s = vm.check_str(1)?;
    let result = string_with(vm, s.len(), |out| {
        for (to, &from) in out.iter_mut().zip(s.as_bytes()) {
            *to = replacement(from);
        }
    })?;
    vm.ret(result)
}

fn reverse(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let result = string_with(vm, s.len(), |out| {
        for (to, &from) in out.iter_mut().rev().zip(s.as_bytes()) {
            *to = from;
        }
    })?;
    vm.ret(result)
}

fn rep(vm: &mut Vm) -> NativeResult {
    let s = vm.check_str(1)?;
    let count = vm.check_int(2)?;
    // Without integers the count is C's `int`: what does not fit is cut.
    let count = if vm.dialect().integers { count } else { i64::from(count as i32) };
    let separator = if vm.dialect().rep_separator { vm.opt_str(3)? } else { None };
    let separator = separator.as_ref().map_or(&b""[..], |separator| separator.as_bytes());
    let unit = s.len() + separator.len();
    let Ok(count @ 1..) = usize::try_from(count) else {
        let empty = vm.string(b"");
        return vm.ret(empty);
    };
    // Where sizes are wide, the buffer of the result needs a byte more than the result.
    let is_too_large = |size| vm.dialect().wide_sizes && size >= max_size(vm);
    if unit > max_size(vm) / count || is_too_large(count * unit - separator.len()) {
        return Err(vm.error("resulting string too large"));
    }
    let result = string_with(vm, count * unit - separator.len(), |out| {
        let (first, rest) = out.split_at_mut(s.len());
        first.copy_from_slice(s.as_bytes());
        if !rest.is_empty() {
            rest[..separator.len()].copy_from_slice(separator);
            repeat(out, unit);
        }
    })?;
    vm.ret(result)
}

/// Fills `out` with its first `unit` bytes, again and again.
fn repeat(out: &mut [u8], unit: usize) {
    let mut filled = unit;
    while filled < out.len() {
        let more = filled.min(out.len() - filled);
        out.copy_within(..more, filled);
        filled += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeating_fills_with_whole_and_cut_units() {
        let mut out = *b"ab,........";
        repeat(&mut out, 3);
        assert_eq!(&out, b"ab,ab,ab,ab");
    }
}
