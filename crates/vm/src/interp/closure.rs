//! Creating closures.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{Gc, LuaClosure, Proto, mark};
use perilune_runtime::value::Value;

use super::pointer;
use crate::call::{self, Step};
use crate::vm::Vm;

/// `Closure`.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored; `i` is its instruction.
#[inline(never)]
pub(crate) unsafe fn closure(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the child prototype exists and its upvalue descriptors name registers and upvalues of this function, as the
    // verifier has checked. Creating objects is no safepoint, so the half-filled closure cannot be seen.
    unsafe {
        let f = (*(*vm).thread).frame;
        let outer = pointer::<LuaClosure>(*(*f).func);
        let proto = *(*(*outer).proto).protos.add(i.d() as usize);
        let make = if i.c() == 0 { make } else { reuse };
        let made = make(vm, outer, proto, (*f).base);
        *(*f).base.add(i.a() as usize) = Value::lua_fn(made);
        if (*vm).heap.bytes >= (*vm).heap.threshold {
            return call::collect_in_lua(vm);
        }
        Step::Next
    }
}

/// A function of `proto`, made in a frame of `outer` with registers at `base`.
///
/// # Safety
/// `outer` and `proto` are live, and `proto` is a child of the prototype of `outer`.
pub(crate) unsafe fn make(vm: *mut Vm, outer: *mut LuaClosure, proto: *mut Proto, base: *mut Value) -> Gc<LuaClosure> {
    // SAFETY: the upvalue descriptors name registers and upvalues of the outer function, as the verifier has checked.
    // Creating objects is no safepoint, so the half-filled closure cannot be seen.
    unsafe {
        let descriptors = &(*proto).info.plain.upvals;
        let made = (*vm).heap.new_lua_closure(proto, descriptors.len() as u32);
        let upvals = LuaClosure::upvals(made.as_ptr());
        for (n, d) in descriptors.iter().enumerate() {
            *upvals.add(n) = if d.in_stack {
                (*vm).heap.find_upval((*vm).thread, base.add(d.index as usize))
            } else {
                *LuaClosure::upvals(outer).add(d.index as usize)
            };
        }
        made
    }
}

/// As [`make`], or the last closure of the prototype, if a new one would have the same upvalues.
///
/// # Safety
/// As [`make`].
pub(crate) unsafe fn reuse(vm: *mut Vm, outer: *mut LuaClosure, proto: *mut Proto, base: *mut Value) -> Gc<LuaClosure> {
    // SAFETY: the caller's duty.
    unsafe {
        if let Some(last) = reusable(proto, outer, base) {
            return last;
        }
        let made = make(vm, outer, proto, base);
        if (*proto).header.mark & mark::BLACK == 0 {
            // A prototype that has been traversed must not refer to what has not.
            (*proto).info.last_closure = made.as_ptr();
        }
        made
    }
}

/// The last closure of a prototype, if a new one in a frame of the function `outer` with registers at `base` would have
/// the same upvalues.
///
/// # Safety
/// As [`make`].
unsafe fn reusable(proto: *mut Proto, outer: *mut LuaClosure, base: *mut Value) -> Option<Gc<LuaClosure>> {
    // SAFETY: the collector forgets the closure before it frees it; upvalue descriptors name registers and upvalues, as
    // the verifier has checked.
    unsafe {
        let last = (*proto).info.last_closure;
        if last.is_null() {
            return None;
        }
        let descriptors = &(*proto).info.plain.upvals;
        let is_same = descriptors.iter().enumerate().all(|(n, d)| {
            let up = *LuaClosure::upvals(last).add(n);
            if d.in_stack {
                std::ptr::eq((*up).slot, base.add(d.index as usize))
            } else {
                std::ptr::eq(up, *LuaClosure::upvals(outer).add(d.index as usize))
            }
        });
        is_same.then(|| Gc::from_ptr(last))
    }
}
