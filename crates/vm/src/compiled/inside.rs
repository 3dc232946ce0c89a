//! Calls inside compiled code: functions that compiled code runs without frames, and those that host code calls so.
//!
//! They get frames only when execution leaves in the middle of them: from the innermost call outwards each notes what it was
//! doing ([`Unwound`]), and the frames are made from the notes, the outermost first.

use std::ptr;

use perilune_runtime::object::LuaClosure;
use perilune_runtime::stack::Frame;
#[cfg(doc)]
use perilune_runtime::stack::Room;
use perilune_runtime::value::{Tag, Value};

use crate::frame;
use crate::interp::pointer;
use crate::vm::Vm;

#[cfg(doc)]
use super::enter_called;

/// What a call inside compiled code was in the middle of when execution left: the state that one of the exits of its code
/// tells. The VM only keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Unwound {
    /// The exits of the code, an address that the tier knows.
    pub exits: u64,
    /// The number of the exit.
    pub snap: u32,
    /// The slot behind an open list of results, where it is not as the exit says.
    pub top: Option<u32>,
    /// Flags of its innermost frame besides those that the exit tells.
    pub flags: u16,
    /// Whether what the path has cost is paid.
    pub is_paid: bool,
    /// Whether the slots are as the exit says already.
    pub is_complete: bool,
}

impl Vm {
    /// Keeps what a call inside compiled code was in the middle of.
    pub fn push_unwound(&mut self, unwound: Unwound) {
        self.unwound.push(unwound);
    }

    /// The exit of what [`Vm::pop_unwound`] would give, and the number of that.
    pub fn last_unwound(&self) -> Option<(u64, u32)> {
        self.unwound.last().map(|unwound| (unwound.exits, unwound.snap))
    }

    /// What was kept, the outermost call first.
    pub fn pop_unwound(&mut self) -> Option<Unwound> {
        self.unwound.pop()
    }
}

/// Makes the frame of a function in slot `func` that host code has called, and whose code has left.
///
/// # Safety
/// The code has found room, see [`enter_called`].
pub unsafe fn push_called(vm: *mut Vm, func: *mut Value, nresults: i32) {
    // SAFETY: the caller's duty; the function is in its slot, and takes no varargs.
    unsafe {
        let th = (*vm).thread;
        let closure = pointer::<LuaClosure>(*func);
        let f = (*th).frame.add(1);
        (*f).func = func;
        (*f).base = func.add(1);
        (*f).top = (*f).base.add((*(*closure).proto).max_stack as usize);
        (*f).closure = closure;
        (*f).pc = (*(*closure).proto).code;
        Frame::set_plain(f, nresults);
        (*f).flags = frame::FRESH;
        (*f).extra = 0;
        (*th).frame = f;
        (*th).top = (*f).top;
    }
}

/// The current frame's function has called another in its place, which is at its slot with its arguments behind it.
///
/// # Safety
/// The current frame is a Lua frame without extra arguments; what is at its slot is a Lua function, and room has been made
/// for its registers.
pub unsafe fn replace_function(vm: *mut Vm) {
    // SAFETY: the caller's duty.
    unsafe {
        let frame = (*(*vm).thread).frame;
        debug_assert!((*(*frame).func).tag == Tag::LuaFn && ptr::eq((*frame).func.add(1), (*frame).base));
        let closure = pointer::<LuaClosure>(*(*frame).func);
        (*frame).closure = closure;
        (*frame).top = (*frame).base.add((*(*closure).proto).max_stack as usize);
        (*frame).pc = (*(*closure).proto).code;
        (*frame).flags |= frame::TAIL;
        (*frame).extra = 0;
        (*(*vm).thread).top = (*frame).top;
    }
}

/// The function that compiled code has called in another's place; see [`Room::tail`].
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn tail_of(vm: *const Vm) -> u64 {
    // SAFETY: the caller's duty.
    unsafe { (*vm).room.tail }
}

/// Sets what [`tail_of`] gives.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn set_tail(vm: *mut Vm, function: u64) {
    // SAFETY: the caller's duty.
    unsafe { (*vm).room.tail = function }
}

/// Adds flags to the current frame.
///
/// # Safety
/// The current frame was just made for a call inside compiled code.
pub unsafe fn add_flags(vm: *mut Vm, flags: u16) {
    // SAFETY: the caller's duty.
    unsafe { (*(*(*vm).thread).frame).flags |= flags }
}

/// Makes `count` results of a compiled function, which stand at `func`, as many as `wanted`.
///
/// # Safety
/// There is room for so many at `func`.
pub unsafe fn settle(func: *mut Value, count: usize, wanted: usize) {
    // SAFETY: the caller's duty.
    unsafe {
        for n in count..wanted {
            *func.add(n) = Value::NIL;
        }
    }
}

/// Lets a recording wait for the return of the current frame.
///
/// # Safety
/// The current frame is a Lua frame that a Lua instruction has called.
pub unsafe fn watch_return(vm: *mut Vm) {
    // SAFETY: the caller's duty.
    unsafe {
        let frame = (*(*vm).thread).frame;
        (*frame).flags |= frame::WATCHED;
    }
}

/// Lets a recording wait until the coroutine gives back that the thread at an address has just resumed; false if it has not.
///
/// # Safety
/// `vm` is exclusively the caller's.
pub unsafe fn watch_resumer(vm: *mut Vm, thread: u64) -> bool {
    // SAFETY: the thread that has resumed the running one is alive, and its current frame waits.
    unsafe {
        let resumer = (*(*vm).thread).resumer;
        if resumer.is_null() || resumer.expose_provenance() as u64 != thread {
            return false;
        }
        (*(*resumer).frame).flags |= frame::WATCHED;
        true
    }
}
