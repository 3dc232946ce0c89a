//! `string.pack`, `string.packsize` and `string.unpack`.

use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::buffer::{self, append, make_room};
use super::layout::{Item, Kind, Layout, Malformed};
use super::search::find_byte;
use super::{max_size, position};

/// Bytes of a Lua integer.
const INT_SIZE: usize = size_of::<i64>();

pub(super) fn pack(vm: &mut Vm) -> NativeResult {
    let format = vm.check_str(1)?;
    let mut layout = Layout::new(format.as_bytes(), max_size(vm), vm.dialect().native_alignment);
    let mut out = vm.take_buffer();
    // The first missing argument is nil, as where the reference has a mark behind the arguments.
    vm.push(Value::NIL);
    let mut arg = 1;
    while let Some(item) = next_item(vm, &mut layout, out.len())? {
        if vm.dialect().wide_sizes {
            let fits = item.padding + item.size <= max_size(vm) - out.len();
            check(vm, fits, arg, "result too long")?;
            if item.kind == Kind::Chars {
                // Looked at before there is room for it, which may be too much.
                vm.check_str(arg + 1)?;
            }
        }
        make_room(vm, &mut out, item.padding + item.size)?;
        out.resize(out.len() + item.padding, 0);
        match item.kind {
            Kind::Padding => out.push(0),
            Kind::Align | Kind::Nothing => {}
            _ => {
                arg += 1;
                pack_argument(vm, &mut out, item, arg)?;
            }
        }
    }
    buffer::return_buffer(vm, out)
}

fn pack_argument(vm: &mut Vm, out: &mut Vec<u8>, item: Item, arg: usize) -> Result<(), Raised> {
    let bits = 8 * item.size.min(INT_SIZE) as u32;
    match item.kind {
        Kind::Int => {
            let int = vm.check_int(arg)?;
            if item.size < INT_SIZE {
                let limit = 1i64 << (bits - 1);
                check(vm, (-limit..limit).contains(&int), arg, "integer overflow")?;
            }
            write_int(out, int as u64, item, int < 0);
        }
        Kind::Uint => {
            let int = vm.check_int(arg)? as u64;
            if item.size < INT_SIZE {
                check(vm, int < 1 << bits, arg, "unsigned overflow")?;
            }
            write_int(out, int, item, false);
        }
        Kind::Float => {
            let float = vm.check_float(arg)? as f32;
            write_int(out, u64::from(float.to_bits()), item, false);
        }
        Kind::Double => {
            let float = vm.check_float(arg)?;
            write_int(out, float.to_bits(), item, false);
        }
        Kind::Chars => {
            let s = vm.check_str(arg)?;
            check(vm, s.len() <= item.size, arg, "string longer than given size")?;
            let end = out.len() + item.size;
            out.extend_from_slice(s.as_bytes());
            out.resize(end, 0);
        }
        Kind::Sized => {
            let s = vm.check_str(arg)?;
            let fits = item.size >= INT_SIZE || s.len() < 1 << bits;
            check(vm, fits, arg, "string length does not fit in given size")?;
            write_int(out, s.len() as u64, item, false);
            append(vm, out, s.as_bytes())?;
        }
        Kind::Zero => {
            let s = vm.check_str(arg)?;
            check(vm, find_byte(s.as_bytes(), 0).is_none(), arg, "string contains zeros")?;
            append(vm, out, s.as_bytes())?;
            out.push(0);
        }
        Kind::Padding | Kind::Align | Kind::Nothing => {}
    }
    Ok(())
}

pub(super) fn packsize(vm: &mut Vm) -> NativeResult {
    let format = vm.check_str(1)?;
    let mut layout = Layout::new(format.as_bytes(), max_size(vm), vm.dialect().native_alignment);
    let mut total = 0;
    while let Some(item) = next_item(vm, &mut layout, total)? {
        let is_fixed = !matches!(item.kind, Kind::Sized | Kind::Zero);
        check(vm, is_fixed, 1, "variable-length format")?;
        let size = item.padding + item.size;
        check(vm, size <= max_size(vm) - total, 1, "format result too large")?;
        total += size;
    }
    vm.ret(Value::int(total as i64))
}

pub(super) fn unpack(vm: &mut Vm) -> NativeResult {
    const TOO_SHORT: &str = "data string too short";
    let format = vm.check_str(1)?;
    let s = vm.check_str(2)?;
    let data = s.as_bytes();
    let from = vm.opt_int(3, 1)?;
    let is_before = from == 0 || from < 0 && from.unsigned_abs() > data.len() as u64;
    check(vm, !is_before || vm.dialect().unpacks_from_first, 3, "initial position out of string")?;
    let mut at = position::start(from, data.len()) - 1;
    check(vm, at <= data.len(), 3, "initial position out of string")?;
    let mut layout = Layout::new(format.as_bytes(), max_size(vm), vm.dialect().native_alignment);
    let mut count = 0;
    while let Some(item) = next_item(vm, &mut layout, at)? {
        check(vm, at + item.padding + item.size <= data.len(), 2, TOO_SHORT)?;
        at += item.padding;
        vm.ensure_stack(2)?;
        let (bytes, behind) = data[at..].split_at(item.size);
        at += item.size;
        let value = match item.kind {
            Kind::Int | Kind::Uint => Value::int(unpack_int(vm, bytes, item)?),
            Kind::Float => Value::float(f64::from(f32::from_bits(read_int(bytes, item) as u32))),
            Kind::Double => Value::float(f64::from_bits(read_int(bytes, item))),
            Kind::Chars => buffer::string(vm, bytes)?,
            Kind::Sized => {
                let len = unpack_int(vm, bytes, item)? as u64;
                if len > behind.len() as u64
                    && vm.dialect().wrapping_lengths
                    && (at as u64).wrapping_add(len) <= data.len() as u64
                {
                    return Err(vm.run_error("memory allocation error: block too big"));
                }
                check(vm, len <= behind.len() as u64, 2, TOO_SHORT)?;
                at += len as usize;
                buffer::string(vm, &behind[..len as usize])?
            }
            Kind::Zero => {
                let rest = Some(behind.len()).filter(|_| vm.dialect().open_strings);
                let Some(len) = find_byte(behind, 0).or(rest) else {
                    return Err(vm.arg_error(2, "unfinished string for format 'z'"));
                };
                at += len + 1;
                buffer::string(vm, &behind[..len])?
            }
            Kind::Padding | Kind::Align | Kind::Nothing => continue,
        };
        vm.push(value);
        count += 1;
    }
    vm.push(Value::int(at as i64 + 1));
    Ok(count + 1)
}

/// A piece of a format, and what reading it costs.
const PIECE: usize = 64;
const UNITS_PER_PIECE: u64 = 16;

/// Reads an item, and charges for a piece of the format at the end of each.
fn next_item(vm: &mut Vm, layout: &mut Layout<'_>, total: usize) -> Result<Option<Item>, Raised> {
    let pieces = layout.unread() / PIECE;
    let item = layout.next(total).map_err(|malformed| match malformed {
        Malformed::Error(message) => vm.error_bytes(&message),
        Malformed::Argument(message) => vm.arg_error(1, message),
    })?;
    if layout.unread() / PIECE != pieces {
        vm.charge(UNITS_PER_PIECE)?;
    }
    Ok(item)
}

#[inline]
fn check(vm: &mut Vm, condition: bool, arg: usize, message: &str) -> Result<(), Raised> {
    if condition { Ok(()) } else { Err(vm.arg_error(arg, message)) }
}

/// Appends the lowest bytes of an integer, with the sign's bytes behind them where the item is larger than the integer.
fn write_int(out: &mut Vec<u8>, int: u64, item: Item, is_negative: bool) {
    let start = out.len();
    let own = item.size.min(INT_SIZE);
    out.extend_from_slice(&int.to_le_bytes()[..own]);
    out.resize(start + item.size, if is_negative { 0xff } else { 0 });
    if !item.is_little {
        out[start..].reverse();
    }
}

/// The lowest bytes of an item as an integer.
fn read_int(bytes: &[u8], item: Item) -> u64 {
    let add = |int: u64, &byte: &u8| int << 8 | u64::from(byte);
    if item.is_little { bytes.iter().take(INT_SIZE).rev().fold(0, add) } else { bytes.iter().fold(0, add) }
}

/// The integer of an item, if the bytes beyond a Lua integer only repeat its sign.
fn checked_int(bytes: &[u8], item: Item) -> Option<i64> {
    let int = read_int(bytes, item);
    let is_signed = item.kind == Kind::Int;
    if item.size < INT_SIZE {
        let unused = 64 - 8 * item.size as u32;
        return Some(if is_signed { (int << unused) as i64 >> unused } else { int as i64 });
    }
    let beyond = item.size - INT_SIZE;
    let mut beyond = if item.is_little { bytes[INT_SIZE..].iter() } else { bytes[..beyond].iter() };
    let sign = if is_signed && (int as i64) < 0 { 0xff } else { 0 };
    beyond.all(|&byte| byte == sign).then_some(int as i64)
}

fn unpack_int(vm: &mut Vm, bytes: &[u8], item: Item) -> Result<i64, Raised> {
    match checked_int(bytes, item) {
        Some(int) => Ok(int),
        None => {
            let message = format!("{}-byte integer does not fit into Lua Integer", item.size);
            Err(vm.error(&message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: Kind, size: usize, is_little: bool) -> Item {
        Item { kind, size, padding: 0, is_little }
    }

    #[test]
    fn integers_of_all_sizes_survive() {
        for size in 1..=16 {
            for is_little in [true, false] {
                for int in [0, 1, -1, 100, -128, 127] {
                    let item = item(Kind::Int, size, is_little);
                    let mut out = Vec::new();
                    write_int(&mut out, int as u64, item, int < 0);
                    assert_eq!(out.len(), size);
                    assert_eq!(checked_int(&out, item), Some(int));
                }
            }
        }
    }

    #[test]
    fn bytes_stand_in_the_order_that_was_asked_for() {
        let mut out = Vec::new();
        write_int(&mut out, 0x0102_0304, item(Kind::Uint, 3, true), false);
        write_int(&mut out, 0x0102_0304, item(Kind::Uint, 3, false), false);
        assert_eq!(out, [4, 3, 2, 2, 3, 4]);
    }

    #[test]
    fn integers_that_do_not_fit_are_refused() {
        let bytes = |low: u8, high: u8| [[low; 8], [high; 8]].concat();
        let signed = item(Kind::Int, 16, true);
        assert_eq!(checked_int(&bytes(0xff, 0xff), signed), Some(-1));
        assert_eq!(checked_int(&bytes(0xff, 0), signed), None);
        assert_eq!(checked_int(&bytes(0xff, 1), signed), None);
        assert_eq!(checked_int(&bytes(0xff, 0), item(Kind::Uint, 16, true)), Some(-1));
        assert_eq!(checked_int(&bytes(0xff, 0xff), item(Kind::Uint, 16, true)), None);
    }
}
