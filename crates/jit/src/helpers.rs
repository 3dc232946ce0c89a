//! The runtime functions that compiled code calls.
//!
//! One `extern "C"` function for each row of the helper table of `perilune_trace`. None runs Lua code, none collects, and
//! none unwinds: one that cannot do its work says so, and the interpreter does it instead.
//!
//! # Safety
//! All of them are called by compiled code only, with a VM that is exclusively theirs and operands as their rows say:
//! live objects, whose types the recorder has guarded.

use perilune_base::num::arith;
use perilune_runtime::heap::Heap;
use perilune_runtime::object::{Gc, LuaClosure, Proto, Str, StrRef, Table, TableRef, UpVal};
use perilune_runtime::string::bytes_of;
use perilune_runtime::table::{Shape, add_field_slot};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Helper, Ty};
use perilune_vm::Vm;
use perilune_vm::compiled;

const FLOAT_KEYS: u64 = crate::record::FLOAT_KEYS as u64;

/// A type that says which tag a value has is numbered as the tag.
const _: () = {
    assert!(Ty::Nil as u8 == Tag::Nil as u8);
    assert!(Ty::False as u8 == Tag::False as u8);
    assert!(Ty::True as u8 == Tag::True as u8);
    assert!(Ty::Int as u8 == Tag::Int as u8);
    assert!(Ty::Float as u8 == Tag::Float as u8);
    assert!(Ty::Light as u8 == Tag::Light as u8);
    assert!(Ty::Str as u8 == Tag::Str as u8);
    assert!(Ty::Table as u8 == Tag::Table as u8);
    assert!(Ty::LuaFn as u8 == Tag::LuaFn as u8);
    assert!(Ty::NativeFn as u8 == Tag::NativeFn as u8);
    assert!(Ty::UserData as u8 == Tag::UserData as u8);
    assert!(Ty::Thread as u8 == Tag::Thread as u8);
};

/// A value from its two machine operands.
fn value(payload: u64, tag: u64) -> Value {
    debug_assert!(Ty::of_tag(tag as u8).is_some());
    // SAFETY: tags come from the types of the trace, which are numbered as tags are.
    Value { payload, tag: unsafe { std::mem::transmute::<u8, Tag>(tag as u8) } }
}

/// A table operand.
unsafe fn table(t: *mut Table) -> TableRef {
    // SAFETY: the caller passes the operand of a helper, a live table.
    unsafe { Gc::from_ptr(t) }
}

/// Leaves the payload of a result for compiled code, and gives its tag.
unsafe fn give(vm: *mut Vm, v: Value) -> u64 {
    // SAFETY: helpers have the VM to themselves.
    unsafe { (*vm).set_scratch(v.payload) };
    v.tag as u64
}

unsafe fn heap<'a>(vm: *mut Vm) -> &'a mut Heap {
    // SAFETY: helpers have the VM to themselves.
    unsafe { compiled::heap(vm) }
}

// Numbers.

unsafe extern "C" fn pow(_: *mut Vm, a: f64, b: f64) -> f64 {
    arith::pow(a, b)
}

unsafe extern "C" fn fmod(vm: *mut Vm, a: f64, b: f64) -> f64 {
    // SAFETY: helpers have the VM to themselves.
    arith::float_mod_in(unsafe { (*vm).dialect() }, a, b)
}

unsafe extern "C" fn frem(_: *mut Vm, a: f64, b: f64) -> f64 {
    a % b
}

unsafe extern "C" fn sin(_: *mut Vm, a: f64) -> f64 {
    a.sin()
}

unsafe extern "C" fn cos(_: *mut Vm, a: f64) -> f64 {
    a.cos()
}

unsafe extern "C" fn tan(_: *mut Vm, a: f64) -> f64 {
    a.tan()
}

unsafe extern "C" fn exp(_: *mut Vm, a: f64) -> f64 {
    a.exp()
}

unsafe extern "C" fn log(_: *mut Vm, a: f64) -> f64 {
    a.ln()
}

// Tables.

unsafe extern "C" fn new_record(vm: *mut Vm, shape: *mut Shape, n: u64) -> *mut Table {
    // SAFETY: see the module; `Recorder::new_table` passes the root shape, and `new_record` that of a template of this VM, which it
    // refuses if it is the dictionary shape. Shapes live as long as the heap.
    unsafe { heap(vm).new_shaped(shape, n as u16).map_or(std::ptr::null_mut(), |t| t.as_ptr()) }
}

unsafe extern "C" fn new_table(vm: *mut Vm, shape: *mut Shape, elements: u64, properties: u64) -> *mut Table {
    // SAFETY: as for `new_record`. Code relies on the room.
    unsafe {
        let Some(made) = heap(vm).new_shaped(shape, properties as u16) else { return std::ptr::null_mut() };
        made.reserve(heap(vm), elements as usize, 0).map_or(std::ptr::null_mut(), |()| made.as_ptr())
    }
}

unsafe extern "C" fn get_raw(vm: *mut Vm, t: *mut Table, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { give(vm, table(t).get(value(payload, tag))) }
}

unsafe extern "C" fn get_int(vm: *mut Vm, t: *mut Table, key: i64) -> u64 {
    // SAFETY: see the module.
    unsafe { give(vm, table(t).get_int(key)) }
}

unsafe extern "C" fn get_str(vm: *mut Vm, t: *mut Table, key: *mut Str) -> u64 {
    // SAFETY: see the module.
    unsafe { give(vm, table(t).get_str(Gc::from_ptr(key))) }
}

unsafe extern "C" fn get_entry(vm: *mut Vm, t: *mut Table, key: *mut Str, _likely: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { give(vm, table(t).get_str(Gc::from_ptr(key))) }
}

unsafe extern "C" fn set_raw(vm: *mut Vm, t: *mut Table, key: u64, key_tag: u64, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { u64::from(table(t).set(heap(vm), value(key, key_tag), value(payload, tag)).is_ok()) }
}

unsafe extern "C" fn set_int(vm: *mut Vm, t: *mut Table, key: i64, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { u64::from(table(t).set_int(heap(vm), key, value(payload, tag)).is_ok()) }
}

unsafe extern "C" fn set_str(vm: *mut Vm, t: *mut Table, key: *mut Str, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { u64::from(table(t).set_field(heap(vm), Gc::from_ptr(key), value(payload, tag)).is_ok()) }
}

unsafe extern "C" fn set_dynamic(vm: *mut Vm, t: *mut Table, key: *mut Str, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module.
    unsafe { u64::from(table(t).set_str(heap(vm), Gc::from_ptr(key), value(payload, tag)).is_ok()) }
}

unsafe extern "C" fn add_prop(vm: *mut Vm, t: *mut Table, shape: *mut Shape, payload: u64, tag: u64) -> u64 {
    // SAFETY: see the module; the table has the shape's parent.
    unsafe {
        let slot = (*shape).count - 1;
        u64::from(add_field_slot(t, heap(vm), shape, slot, value(payload, tag)).is_ok())
    }
}

unsafe extern "C" fn set_list(vm: *mut Vm, t: *mut Table, first: *const Value, n: u64) -> u64 {
    // SAFETY: see the module; `n` values are in consecutive places.
    unsafe {
        let values = std::slice::from_raw_parts(first, n as usize);
        u64::from(table(t).extend_from_slice(heap(vm), 1, values).is_ok())
    }
}

unsafe extern "C" fn var_arg(vm: *mut Vm, target: *mut Value, wanted: u64) -> i64 {
    // SAFETY: code that asks for variable arguments has been entered in the frame that has them, and has reached so far.
    unsafe { compiled::var_args(vm, target, wanted as usize) as i64 }
}

unsafe extern "C" fn next_pair(_: *mut Vm, _table: *mut Table, ra: *mut Value, wanted: u64) -> i64 {
    // SAFETY: see the module; the table is in the place behind `ra`.
    unsafe { compiled::next_pair(ra, wanted as u8, wanted & FLOAT_KEYS != 0) }
}

// Strings.

unsafe fn bytes<'a>(s: *mut Str) -> &'a [u8] {
    // SAFETY: a string operand is live, and nothing frees it while a helper runs.
    unsafe { bytes_of(s) }
}

/// The first and last position (from 1) that `string.sub` takes.
fn span(len: usize, start: i64, end: i64) -> (usize, usize) {
    let len = len as i64;
    let start = if start > 0 {
        start
    } else if start == 0 || start < -len {
        1
    } else {
        len + start + 1
    };
    let end = if end > len {
        len
    } else if end >= 0 {
        end
    } else if end < -len {
        0
    } else {
        len + end + 1
    };
    (start as usize, end as usize)
}

/// Longest result of a helper that makes a string; longer ones ask for memory and are charged for.
const LONGEST: usize = 1024;

unsafe extern "C" fn str_sub(vm: *mut Vm, s: *mut Str, start: i64, end: i64) -> *mut Str {
    // SAFETY: see the module.
    unsafe {
        let all = bytes(s);
        let (start, end) = span(all.len(), start, end);
        let range = all.get(start - 1..end).unwrap_or_default();
        if range.len() == all.len() {
            return s;
        }
        if range.len() > LONGEST {
            return std::ptr::null_mut();
        }
        heap(vm).new_str(range).as_ptr()
    }
}

unsafe extern "C" fn str_char(vm: *mut Vm, byte: u64) -> *mut Str {
    // SAFETY: see the module.
    unsafe { heap(vm).new_str(&[byte as u8]).as_ptr() }
}

unsafe extern "C" fn str_cat(vm: *mut Vm, a: *mut Str, b: *mut Str) -> *mut Str {
    // SAFETY: see the module.
    unsafe {
        let parts = [Value::str(Gc::from_ptr(a)), Value::str(Gc::from_ptr(b))];
        address_of(compiled::join(vm, parts.as_ptr(), 2))
    }
}

unsafe extern "C" fn concat(vm: *mut Vm, first: *const Value, n: u64) -> *mut Str {
    // SAFETY: see the module; `n` strings and numbers are in consecutive places.
    unsafe { address_of(compiled::join(vm, first, n as usize)) }
}

fn address_of(s: Option<StrRef>) -> *mut Str {
    s.map_or(std::ptr::null_mut(), |s| s.as_ptr())
}

unsafe extern "C" fn str_compare(_: *mut Vm, a: *mut Str, b: *mut Str) -> i64 {
    // SAFETY: see the module.
    unsafe {
        match (bytes(a), bytes(b)) {
            (a, b) if compiled::are_long(a, b) => compiled::NOT_COMPARED,
            (a, b) => a.cmp(b) as i64,
        }
    }
}

unsafe extern "C" fn str_eq(_: *mut Vm, a: *mut Str, b: *mut Str) -> i64 {
    // SAFETY: see the module.
    unsafe {
        match (bytes(a), bytes(b)) {
            _ if std::ptr::eq(a, b) => 1,
            (a, b) if a.len() != b.len() => 0,
            (a, b) if compiled::are_long(a, b) => compiled::NOT_COMPARED,
            (a, b) => i64::from(a == b),
        }
    }
}

// Functions.

unsafe extern "C" fn new_closure(
    vm: *mut Vm,
    outer: *mut LuaClosure,
    proto: *mut Proto,
    base: *mut Value,
) -> *mut LuaClosure {
    // SAFETY: see the module; `base` is the place of register 0 of a frame of `outer`.
    unsafe { compiled::new_closure(vm, outer, proto, base) }
}

unsafe extern "C" fn same_closure(
    vm: *mut Vm,
    outer: *mut LuaClosure,
    proto: *mut Proto,
    base: *mut Value,
) -> *mut LuaClosure {
    // SAFETY: as in `new_closure`.
    unsafe { compiled::same_closure(vm, outer, proto, base) }
}

unsafe extern "C" fn close(vm: *mut Vm, level: *mut Value) -> u64 {
    // SAFETY: see the module; the values of the variables are in their places.
    unsafe {
        if pending(vm, level) != 0 {
            return 0;
        }
        compiled::close_upvalues(vm, level);
        1
    }
}

unsafe extern "C" fn pending(vm: *mut Vm, level: *mut Value) -> u64 {
    // SAFETY: see the module; the address of a place, which the recorder passes, is that of a slot of the current thread's stack.
    unsafe {
        let base = (*(*vm).current_thread()).stack;
        u64::from(compiled::has_pending_close(vm, level.offset_from(base) as usize))
    }
}

unsafe extern "C" fn call_pure(vm: *mut Vm, func: *mut Value, numbers: i64) -> i64 {
    let (nargs, wanted) = (numbers as u32, (numbers >> 32) as i32);
    // SAFETY: see the module; function and arguments are in consecutive places, with room behind them.
    unsafe { compiled::call_pure(vm, func, nargs as usize, wanted).map_or(-1, i64::from) }
}

// Barriers.

unsafe extern "C" fn barrier(vm: *mut Vm, t: *mut Table) {
    // SAFETY: see the module.
    unsafe { heap(vm).barrier_back(t.cast()) }
}

unsafe extern "C" fn barrier_up(vm: *mut Vm, up: *mut UpVal, payload: u64, tag: u64) {
    // SAFETY: see the module.
    unsafe { heap(vm).barrier_forward(up.cast(), value(payload, tag)) }
}

/// The addresses of the two barriers.
pub fn barriers() -> [u64; 2] {
    [barrier as *const () as u64, barrier_up as *const () as u64]
}

/// The addresses of all helpers, by their numbers.
pub fn addresses() -> Vec<u64> {
    Helper::ALL.iter().map(|helper| address(*helper) as u64).collect()
}

fn address(helper: Helper) -> *const () {
    match helper {
        Helper::Pow => pow as *const (),
        Helper::FMod => fmod as *const (),
        Helper::FRem => frem as *const (),
        Helper::Sin => sin as *const (),
        Helper::Cos => cos as *const (),
        Helper::Tan => tan as *const (),
        Helper::Exp => exp as *const (),
        Helper::Log => log as *const (),
        Helper::NewRecord => new_record as *const (),
        Helper::NewTable => new_table as *const (),
        Helper::GetRaw => get_raw as *const (),
        Helper::GetInt => get_int as *const (),
        Helper::GetEntry => get_entry as *const (),
        Helper::GetStr | Helper::GetProp => get_str as *const (),
        Helper::SetRaw => set_raw as *const (),
        Helper::SetInt => set_int as *const (),
        Helper::SetStr => set_str as *const (),
        Helper::SetDynamic => set_dynamic as *const (),
        Helper::AddProp => add_prop as *const (),
        Helper::SetList => set_list as *const (),
        Helper::NextPair => next_pair as *const (),
        Helper::VarArg => var_arg as *const (),
        Helper::StrSub => str_sub as *const (),
        Helper::StrChar => str_char as *const (),
        Helper::StrCat => str_cat as *const (),
        Helper::Concat => concat as *const (),
        Helper::StrCompare => str_compare as *const (),
        Helper::StrEq => str_eq as *const (),
        Helper::NewClosure => new_closure as *const (),
        Helper::SameClosure => same_closure as *const (),
        Helper::Close => close as *const (),
        Helper::Pending => pending as *const (),
        Helper::CallPure | Helper::CallOnTable => call_pure as *const (),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn positions_of_sub_are_clipped() {
        assert_eq!(span(5, 2, 4), (2, 4));
        assert_eq!(span(5, -3, -1), (3, 5));
        assert_eq!(span(5, 0, 99), (1, 5));
        assert_eq!(span(5, -99, -99), (1, 0));
        assert_eq!(span(0, 1, -1), (1, 0));
        assert_eq!(span(5, 4, 2), (4, 2));
    }
}
