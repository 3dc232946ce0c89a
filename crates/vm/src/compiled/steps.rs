//! Steps of the interpreter that compiled code takes as they are: parts of instructions, without their errors and limits.
//!
//! A step that would fail, collect or be charged for says so, and the instruction is the interpreter's.

use perilune_runtime::heap::Heap;
use perilune_runtime::object::{LuaClosure, Proto, StrRef};
use perilune_runtime::value::Value;

use crate::frame;
use crate::interp::concat;
use crate::vm::Vm;

/// The outcome of a comparison that is left to the interpreter.
pub const NOT_COMPARED: i64 = i64::MIN;

/// Joins the texts of `n` strings and numbers; `None` where the interpreter would have to collect or to look at limits.
///
/// # Safety
/// There are `n` values at `first`, all strings or numbers.
pub unsafe fn join(vm: *mut Vm, first: *const Value, n: usize) -> Option<StrRef> {
    // SAFETY: the caller's duty.
    unsafe {
        (*vm).frozen = true;
        let fuel = (*vm).fuel;
        let joined = concat::join_text(&mut *vm, std::slice::from_raw_parts(first, n));
        (*vm).frozen = false;
        // Long results are charged for, which the interpreter does.
        if joined.is_err() || (*vm).fuel != fuel {
            (*vm).error = Value::NIL;
            (*vm).fuel = fuel;
            return None;
        }
        joined.ok()
    }
}

/// A new function of prototype `proto`, made in a frame of function `outer` whose registers begin at `base`.
///
/// # Safety
/// All are live, and belong together.
pub unsafe fn new_closure(vm: *mut Vm, outer: *mut LuaClosure, proto: *mut Proto, base: *mut Value) -> *mut LuaClosure {
    // SAFETY: the caller's duty; creating objects is no safepoint.
    unsafe { crate::interp::closure::make(vm, outer, proto, base).as_ptr() }
}

/// As [`new_closure`], or the last function of the prototype, if a new one would have the same upvalues.
///
/// # Safety
/// As [`new_closure`].
pub unsafe fn same_closure(
    vm: *mut Vm,
    outer: *mut LuaClosure,
    proto: *mut Proto,
    base: *mut Value,
) -> *mut LuaClosure {
    // SAFETY: the caller's duty; creating objects is no safepoint.
    unsafe { crate::interp::closure::reuse(vm, outer, proto, base).as_ptr() }
}

/// Closes the upvalues of the current thread's slots from `level` up.
///
/// # Safety
/// `level` is a slot of the current thread's stack; the slots hold their variables' values.
pub unsafe fn close_upvalues(vm: *mut Vm, level: *mut Value) {
    // SAFETY: the caller's duty.
    unsafe { crate::interp::close::close_upvalues(vm, level) }
}

/// Whether variables from `level` up wait to be closed.
///
/// # Safety
/// The current thread is alive.
pub unsafe fn has_pending_close(vm: *const Vm, level: usize) -> bool {
    // SAFETY: the caller's duty.
    unsafe { crate::interp::close::has_pending((*vm).thread, level) }
}

/// A step of `next` in the registers of a generic loop from `ra` on: 1 for a pair, 0 at the end, 2 if it must be called.
/// Numbers among the keys may be floats only.
///
/// # Safety
/// As the interpreter's step: `ra` is the first of the loop's registers, and `R[a+1]` a table.
pub unsafe fn next_pair(ra: *mut Value, wanted: u8, with_floats: bool) -> i64 {
    use crate::interp::loops::{Advance, next_pair, next_pair_float};
    let step = if with_floats { next_pair_float } else { next_pair };
    // SAFETY: the caller's duty.
    match unsafe { step(ra, wanted) } {
        Advance::More => 1,
        Advance::Done => 0,
        Advance::Unknown => 2,
    }
}

/// Copies `wanted` variable arguments of the current frame, or nil for what it lacks: how many it has.
///
/// # Safety
/// The current frame is that of a Lua function that takes varargs; there are `wanted` slots at `target`, above its base.
pub unsafe fn var_args(vm: *mut Vm, target: *mut Value, wanted: usize) -> usize {
    // SAFETY: the caller's duty: the extra arguments are directly below the base.
    unsafe {
        let frame = (*(*vm).thread).frame;
        let extra = frame::varargs(frame);
        let first = (*frame).base.sub(extra);
        for n in 0..wanted {
            *target.add(n) = if n < extra { *first.add(n) } else { Value::NIL };
        }
        extra
    }
}

/// Whether two strings are left to the interpreter, which charges for comparing them.
#[inline]
pub fn are_long(a: &[u8], b: &[u8]) -> bool {
    crate::interp::compare::are_long(a, b)
}

/// The heap of a VM, for helpers.
///
/// # Safety
/// The VM is exclusively the caller's.
pub unsafe fn heap<'a>(vm: *mut Vm) -> &'a mut Heap {
    // SAFETY: the caller's duty.
    unsafe { &mut (*vm).heap }
}
