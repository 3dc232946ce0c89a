//! The table library (§6.6 of the manual).
//!
//! A *plain* table has no metatable: its array part is worked on directly, and no Lua code runs in between. Anything else
//! that behaves like a table goes through its metamethods, one element after the other, in the order of the reference.
//!
//! | module | question it answers |
//! |---|---|
//! | this one | the functions, but for `sort` |
//! | `access` | what may be used as a table, and how its elements are reached |
//! | `sort` | `table.sort` |
//! | `bygone` | what newer versions lack |

mod access;
mod bygone;
mod sort;

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua55};
use perilune_base::num::format::write_int;
use perilune_runtime::heap::Heap;
use perilune_runtime::object::{Direct, TableRef};
use perilune_runtime::table::{MAX_ENTRIES, SetError};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Life, Row, alias, intrinsic, row};

use self::access::{Needs, bare, check, element, length, plain, position, set_element};
use crate::numbers::write_float;
use crate::string::buffer::{self, append};

/// The functions of the library.
pub const ROWS: &[Row] = &[
    intrinsic("concat", concat, Intrinsic::TableConcat),
    row("create", create).since(Lua55),
    row("foreach", bygone::foreach).until(Lua51).not_in_manual(&[Lua51]),
    row("foreachi", bygone::foreachi).until(Lua51).not_in_manual(&[Lua51]),
    row("getn", bygone::getn).until(Lua51).not_in_manual(&[Lua51]),
    intrinsic("insert", insert, Intrinsic::TableInsert).direct(append_direct),
    row("maxn", bygone::maxn).until(Lua52).not_in_manual(&[Lua52]),
    row("move", r#move).since(Lua53),
    row("pack", pack).since(Lua52),
    intrinsic("remove", remove, Intrinsic::TableRemove).direct(pop_direct).since(Lua52),
    intrinsic("remove", remove_of_list, Intrinsic::TableRemoveOld).until(Lua51),
    row("setn", bygone::setn).until(Lua51).not_in_manual(&[Lua51]),
    row("sort", sort::sort),
    intrinsic("unpack", unpack, Intrinsic::Unpack).since(Lua52),
];

/// What stood among the basic functions before the library had it.
const GLOBAL_ROWS: &[Row] = &[intrinsic("unpack", unpack, Intrinsic::Unpack).until(Lua51)];

/// Elements of an array part that are moved for one unit of fuel.
const ELEMENTS_PER_UNIT: i64 = 16;

/// Elements handled one by one between two charges of fuel.
const CHARGED_TOGETHER: i64 = 64;

/// Opens the library.
pub fn open(vm: &mut Vm) {
    let library = crate::new_library(vm, "table", ROWS);
    let globals = vm.globals();
    crate::row::register(vm, globals, GLOBAL_ROWS);
    let unpack = Life::until(Lua52).since(Lua52).not_in_manual(&[Lua52]);
    alias(vm, (library, "unpack"), (globals, "unpack"), unpack);
}

/// Charges for the elements handled one by one, of which this is number `done`.
#[inline]
fn charge_elements(vm: &mut Vm, done: i64) -> Result<(), Raised> {
    if done % CHARGED_TOGETHER == CHARGED_TOGETHER - 1 { vm.charge(CHARGED_TOGETHER as u64) } else { Ok(()) }
}

/// `table.insert(t, v)` of a plain table.
fn append_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    let [object, value] = args else { return Direct::Unknown };
    match bare(*object) {
        Some(table) if !value.is_nil() && table.set_int(heap, table.length() + 1, *value).is_ok() => Direct::Nothing,
        _ => Direct::Unknown,
    }
}

/// Whether a position is one of those up to `end`.
fn is_position(vm: &Vm, position: i64, end: i64) -> bool {
    if vm.dialect().positions_wrap {
        (position as u64).wrapping_sub(1) < end as u64
    } else {
        (1..=end).contains(&position)
    }
}

fn insert(vm: &mut Vm) -> NativeResult {
    let count = vm.nargs();
    let object = check(vm, 1, Needs::READ_WRITE_LENGTH)?;
    let mut end = length(vm, object)?.wrapping_add(1);
    match count {
        2 => {
            set_element(vm, object, end, vm.arg(2))?;
        }
        3 => {
            let position = position(vm, 2, None)?;
            if vm.dialect().lists_grow {
                end = end.max(position);
            } else if !is_position(vm, position, end) {
                return Err(vm.arg_error(2, "position out of bounds"));
            }
            match plain(vm, object) {
                Some(table) if position < end && position > 0 && end == table.length() + 1 => {
                    insert_plain(vm, table, position, vm.arg(3))?
                }
                _ => {
                    // What has moved by the time that this fails must not move again.
                    if position < end {
                        vm.demand_thaw()?;
                    }
                    for i in (position..end).rev() {
                        charge_elements(vm, end - i)?;
                        let moved = element(vm, object, i)?;
                        set_element(vm, object, i + 1, moved)?;
                    }
                    set_element(vm, object, position, vm.arg(3))?;
                }
            }
        }
        _ => return Err(vm.error("wrong number of arguments to 'insert'")),
    }
    Ok(0)
}

/// Inserts into the array part, which has the position.
fn insert_plain(vm: &mut Vm, table: TableRef, position: i64, value: Value) -> Result<(), Raised> {
    vm.charge(((table.length() - position) / ELEMENTS_PER_UNIT) as u64)?;
    let inserted = match table.array_insert(vm.heap_mut(), position as u32, value) {
        Err(SetError::Memory) => {
            vm.emergency_collect();
            table.array_insert(vm.heap_mut(), position as u32, value)
        }
        inserted => inserted,
    };
    inserted.map_err(|error| vm.set_error(error))
}

/// `table.remove(t)` of a plain table that is not empty.
fn pop_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    let [object] = args else { return Direct::Unknown };
    match bare(*object) {
        Some(table) if table.array_len() > 0 => Direct::One(table.array_remove(table.array_len())),
        _ => Direct::Unknown,
    }
}

fn remove(vm: &mut Vm) -> NativeResult {
    let object = check(vm, 1, Needs::READ_WRITE_LENGTH)?;
    let size = length(vm, object)?;
    let position = position(vm, 2, Some(size))?;
    let is_inside = if vm.dialect().unsigned_removal {
        (position as u64).wrapping_sub(1) <= size as u64
    } else {
        is_position(vm, position, size.wrapping_add(1))
    };
    if position != size && !is_inside {
        return Err(vm.arg_error(vm.dialect().remove_complaint, "position out of bounds"));
    }
    // The length may be what `__len` says.
    if let Some(table) = plain(vm, object)
        && size == table.length()
        && (1..=size).contains(&position)
    {
        vm.charge(((size - position) / ELEMENTS_PER_UNIT) as u64)?;
        let removed = table.array_remove(position as u32);
        return vm.ret(removed);
    }
    let removed = element(vm, object, position)?;
    vm.push(removed);
    let mut i = position;
    while i < size {
        charge_elements(vm, i.wrapping_sub(position))?;
        let moved = element(vm, object, i + 1)?;
        set_element(vm, object, i, moved)?;
        i += 1;
    }
    set_element(vm, object, i, Value::NIL)?;
    Ok(1)
}

/// `remove` of 5.1: outside of the list there is nothing to remove.
fn remove_of_list(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let size = table.length();
    let position = position(vm, 2, Some(size))?;
    if (1..=size).contains(&position) { remove(vm) } else { Ok(0) }
}

fn create(vm: &mut Vm) -> NativeResult {
    let elements = vm.check_int(1)?;
    let fields = vm.opt_int(2, 0)?;
    let room = |count: i64| i32::try_from(count).ok().and_then(|count| usize::try_from(count).ok());
    let Some(elements) = room(elements) else { return Err(vm.arg_error(1, "out of range")) };
    let Some(fields) = room(fields) else { return Err(vm.arg_error(2, "out of range")) };
    if fields > MAX_ENTRIES as usize {
        // Before the memory for so many is asked for.
        return Err(vm.set_error(SetError::Overflow));
    }
    vm.reserve((elements + fields) * size_of::<Value>())?;
    let table = vm.table(elements, fields);
    // What the program asks for it gets, although the table would grow by itself.
    if let Err(error) = table.reserve(vm.heap_mut(), elements, fields) {
        return Err(vm.set_error(error));
    }
    vm.ret(Value::table(table))
}

fn r#move(vm: &mut Vm) -> NativeResult {
    let first = vm.check_int(2)?;
    let last = vm.check_int(3)?;
    let to = vm.check_int(4)?;
    let target_arg = if vm.arg(5).is_nil() { 1 } else { 5 };
    let source = check(vm, 1, Needs::READ)?;
    let target = check(vm, target_arg, Needs::WRITE)?;
    if last >= first {
        if first <= 0 && last >= i64::MAX.wrapping_add(first) {
            return Err(vm.arg_error(3, "too many elements to move"));
        }
        let count = last - first + 1;
        if to > i64::MAX - count + 1 {
            return Err(vm.arg_error(4, "destination wrap around"));
        }
        let is_upwards = to > last || to <= first || (target_arg != 1 && !vm.equals(source, target)?);
        for done in 0..count {
            charge_elements(vm, done)?;
            let i = if is_upwards { done } else { count - 1 - done };
            let moved = element(vm, source, first + i)?;
            set_element(vm, target, to + i, moved)?;
        }
    }
    vm.ret(target)
}

fn concat(vm: &mut Vm) -> NativeResult {
    if vm.dialect().raw_lists {
        vm.opt_str(2)?;
    }
    let object = check(vm, 1, Needs::READ_LENGTH)?;
    // Where lists are raw, only what is not told is asked for.
    let is_told = vm.dialect().raw_lists && !vm.arg(4).is_nil();
    let size = if is_told { 0 } else { length(vm, object)? };
    let separator = vm.opt_str(2)?;
    let separator = separator.as_ref().map_or(&b""[..], |separator| separator.as_bytes());
    let first = position(vm, 3, Some(1))?;
    let last = position(vm, 4, Some(size))?;
    let mut out = vm.take_buffer();
    let mut i = first;
    while i <= last {
        charge_elements(vm, i.wrapping_sub(first))?;
        let value = match plain(vm, object) {
            // The table keeps it alive: no Lua code runs before it is copied.
            Some(table) => table.get_int(i),
            None => {
                let value = element(vm, object, i)?;
                vm.set_top(4);
                vm.push(value);
                value
            }
        };
        add_text(vm, &mut out, value, i)?;
        if i == last {
            break;
        }
        append(vm, &mut out, separator)?;
        i += 1;
    }
    buffer::return_buffer(vm, out)
}

/// Appends the text of element `i`.
#[inline]
fn add_text(vm: &mut Vm, out: &mut Vec<u8>, value: Value, i: i64) -> Result<(), Raised> {
    match value.tag {
        Tag::Int => write_int(out, value.raw_int()),
        Tag::Float => write_float(vm, out, value.raw_float()),
        _ => match value.as_str() {
            Some(text) => append(vm, out, text.as_bytes())?,
            None => {
                let i = if vm.dialect().wide_concat_index { i } else { i64::from(i as i32) };
                let message = format!("invalid value ({}) at index {i} in table for 'concat'", value.type_name());
                return Err(vm.error(&message));
            }
        },
    }
    Ok(())
}

fn pack(vm: &mut Vm) -> NativeResult {
    /// Arguments copied at a time.
    const PART: usize = 16;
    let count = vm.nargs();
    vm.reserve(count * size_of::<Value>())?;
    let table = vm.table(count, 1);
    vm.push(Value::table(table));
    let mut part = [Value::NIL; PART];
    for first in (1..=count).step_by(PART) {
        let len = PART.min(count + 1 - first);
        for (i, value) in part[..len].iter_mut().enumerate() {
            *value = vm.arg(first + i);
        }
        let stored = table.extend_from_slice(vm.heap_mut(), first as i64, &part[..len]);
        if stored.is_err() {
            vm.emergency_collect();
            for (i, &value) in part[..len].iter().enumerate() {
                vm.raw_set_int(table, (first + i) as i64, value)?;
            }
        }
    }
    vm.set_field(table, "n", vm.int_value(count as i64));
    Ok(1)
}

fn unpack(vm: &mut Vm) -> NativeResult {
    const MAX_RESULTS: u64 = perilune_runtime::stack::MAX_SLOTS as u64;
    let object = vm.arg(1);
    if vm.dialect().unpack_checks {
        let measures = vm.dialect().unpack_measures || vm.arg(3).is_nil();
        let needs = if measures { Needs::READ_LENGTH } else { Needs::READ };
        check(vm, 1, needs)?;
    }
    let first = position(vm, 2, Some(1))?;
    let last = if vm.arg(3).is_nil() {
        length(vm, object)?
    } else {
        if vm.dialect().unpack_measures {
            length(vm, object)?;
        }
        position(vm, 3, None)?
    };
    if first > last {
        return Ok(0);
    }
    let more = (last as u64).wrapping_sub(first as u64);
    let room = vm.dialect().native_stack.saturating_sub(vm.nargs()) as u64;
    if more >= MAX_RESULTS.min(room) {
        return Err(vm.error("too many results to unpack"));
    }
    let count = more as usize + 1;
    if !vm.has_stack_for(count) {
        return Err(vm.error("too many results to unpack"));
    }
    vm.charge((count as i64 / ELEMENTS_PER_UNIT) as u64)?;
    vm.reserve_stack(count)?;
    for done in 0..count as i64 {
        let value = match plain(vm, object) {
            Some(table) => table.get_int(first + done),
            None => element(vm, object, first + done)?,
        };
        vm.push(value);
    }
    Ok(count as u32)
}
