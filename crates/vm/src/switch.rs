//! Coroutine switches as hot code makes them: a Lua function calls `yield`, `resume` or a wrapped function, and a Lua
//! function goes on.
//!
//! [`control`](crate::control) knows the general form, and what can be wrong. Here nothing is: what is checked first are the
//! conditions under which that form would neither fail, nor collect, nor ask a limit. It leaves the same frames behind:
//!
//! ```text
//! resumer   | ... Lua frame | frame of resume (RESUME or WRAP), waits |
//! coroutine | bottom | ... Lua frame | frame of yield (YIELD)         |
//! ```
//!
//! A switch pushes the one frame, pops the other, and moves the values straight to where the other side's instruction wants
//! them.
//!
//! Compiled code that resumes a coroutine stays on the host's stack meanwhile: [`resume_inside`] runs an interpreter's loop
//! above it until the coroutine gives back. The frame that waits is marked [`NESTED`](frame::NESTED). Coroutines resume one
//! another in a chain, of which only the last runs, so that these loops end in the reverse order of their beginnings.

use std::ptr;

use perilune_runtime::object::{NativeClosure, Thread, ThreadStatus};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use crate::call::{self, Step};
use crate::compiled;
use crate::control::{Control, MAX_NESTED_RESUMES, has_boundary};
use crate::frame;
use crate::interp::{self, Exit, pointer};
use crate::native::MIN_STACK;
use crate::tier::{Counting, Waits};
use crate::vm::Vm;

/// A call of a function that switches coroutines.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The function's slot; the arguments follow it.
    pub func: *mut Value,
    pub nargs: usize,
    /// Results that the instruction wants; -1 for all.
    pub wanted: i32,
    /// Flags for its frame.
    pub flags: u16,
}

/// Switches, if the function is one of those that do, and nothing else has to be done. Then the current frame is a Lua frame of
/// the other coroutine, at its next instruction, and the step says whether the same loop goes on with it. Otherwise nothing
/// has changed.
///
/// # Safety
/// The current frame is a Lua frame with `pc` stored, no hook is set; the function is a native one, and its arguments are there.
#[inline(always)]
pub(crate) unsafe fn switch(vm: *mut Vm, call: Call) -> Option<Step> {
    // SAFETY: the caller's duty; the upvalue of a wrapped function is its coroutine.
    unsafe {
        let closure = pointer::<NativeClosure>(*call.func);
        let control = (*closure).control;
        if control == Control::Yield as u32 {
            return give_back(vm, call);
        }
        if control == Control::Wrapped as u32 {
            let co = pointer::<Thread>(*NativeClosure::upvals(closure));
            return resume(vm, call, co, frame::WRAP, 0);
        }
        if control == Control::Resume as u32 && call.nargs > 0 && (*call.func.add(1)).tag == Tag::Thread {
            return resume(vm, call, pointer::<Thread>(*call.func.add(1)), frame::RESUME, 1);
        }
        None
    }
}

/// Whether the frame of the call can be pushed, and nobody wants to look.
#[inline(always)]
unsafe fn is_plain(vm: *mut Vm, call: Call) -> bool {
    // SAFETY: the current thread is alive.
    unsafe {
        let th = (*vm).thread;
        (*vm).fuel >= 1
            && !(*vm).hooked
            && (*vm).heap.bytes < (*vm).heap.threshold
            && (*th).frame < (*th).frames_limit
            && call.func.add(1 + call.nargs + MIN_STACK) <= (*th).stack_limit
    }
}

/// Whether a frame that waits was called by a Lua instruction that just wants its results, maybe from compiled code, and `n`
/// of them fit.
#[inline(always)]
unsafe fn takes(th: *mut Thread, n: usize) -> bool {
    // SAFETY: the thread is alive, and its current frame is not the bottom one.
    unsafe {
        let f = (*th).frame;
        (*f).flags & !frame::NESTED == 0
            && (*f.sub(1)).kind == frame::LUA
            && ((*f).nresults >= 0 || (*f).func.add(n) <= (*th).stack_limit)
    }
}

#[inline(always)]
unsafe fn resume(vm: *mut Vm, call: Call, co: *mut Thread, kind: u8, skipped: usize) -> Option<Step> {
    // SAFETY: the coroutine is kept by its function or by the argument. One that was started and is suspended has the frame of
    // `yield` on top.
    unsafe {
        let n = call.nargs - skipped;
        if (*co).status != ThreadStatus::Suspended
            || !(*co).started
            || (*vm).resume_depth >= MAX_NESTED_RESUMES
            || !is_plain(vm, call)
            || !takes(co, n)
        {
            return None;
        }
        debug_assert!((*(*co).frame).kind == frame::YIELD);
        let th = (*vm).thread;
        (*vm).fuel -= 1;
        wait(th, call, kind);
        (*vm).resume_depth += 1;
        (*co).resumer = th;
        (*th).status = ThreadStatus::Normal;
        (*co).status = ThreadStatus::Running;
        (*vm).thread = co;
        deliver(co, None, call.func.add(1 + skipped), n);
        Some(Step::Reload)
    }
}

#[inline(always)]
unsafe fn give_back(vm: *mut Vm, call: Call) -> Option<Step> {
    // SAFETY: a coroutine that may yield has a resumer, whose current frame waits for it.
    unsafe {
        let co = (*vm).thread;
        if (*co).non_yieldable > 0 || !is_plain(vm, call) {
            return None;
        }
        if !(*vm).dialect.yields_anywhere && has_boundary(co, (*co).frame) {
            return None;
        }
        let th = (*co).resumer;
        if !takes(th, call.nargs + 1) {
            return None;
        }
        (*vm).fuel -= 1;
        wait(co, call, frame::YIELD);
        // What is yielded leaves this stack; what `resume` passes will take its place.
        let first = call.func.add(1);
        (*co).top = first;
        (*co).status = ThreadStatus::Suspended;
        (*co).resumer = ptr::null_mut();
        (*vm).thread = th;
        (*th).status = ThreadStatus::Running;
        (*vm).resume_depth -= 1;
        let waiting = (*th).frame;
        let succeeded = ((*waiting).kind == frame::RESUME).then_some(Value::TRUE);
        deliver(th, succeeded, first, call.nargs);
        Some(if (*waiting).flags & frame::NESTED == 0 { Step::Reload } else { Step::Exit })
    }
}

/// Pushes the frame of the call, as [`call_native`](crate::call::call_native) does.
#[inline(always)]
unsafe fn wait(th: *mut Thread, call: Call, kind: u8) {
    // SAFETY: `is_plain` has found room.
    unsafe {
        let f = (*th).frame.add(1);
        let top = call.func.add(1 + call.nargs);
        (*f).func = call.func;
        (*f).base = call.func.add(1);
        (*f).top = top.add(MIN_STACK);
        (*f).closure = ptr::null_mut();
        (*f).pc = ptr::null();
        Frame::set_plain(f, call.wanted);
        (*f).kind = kind;
        (*f).flags = call.flags;
        (*f).extra = 0;
        (*th).top = top;
        (*th).frame = f;
    }
}

/// Ends the frame on which a thread waits: its results are `first`, if there is one, and the `n` values at `values`, which are
/// on another stack.
#[inline(always)]
unsafe fn deliver(th: *mut Thread, first: Option<Value>, values: *const Value, n: usize) {
    // SAFETY: `takes` has found room; registers of the instruction that called cover the results that it wants.
    unsafe {
        let f = (*th).frame;
        (*th).frame = f.sub(1);
        let mut place = (*f).func;
        let end = match (*f).nresults {
            wanted @ 0.. => place.add(wanted as usize),
            _ => place.add(n + usize::from(first.is_some())),
        };
        (*th).top = end;
        if let Some(first) = first
            && place < end
        {
            *place = first;
            place = place.add(1);
        }
        let mut from = values;
        let last = values.add(n);
        while place < end {
            *place = if from < last { *from } else { Value::NIL };
            from = from.wrapping_add(1);
            place = place.add(1);
        }
    }
}

/// Calls the native function in slot `func` for compiled code, and if it resumes a coroutine, runs that until it gives back.
/// `Next` says that the results are in place; anything else is for the interpreter.
///
/// # Safety
/// As [`call::call_native`].
#[inline(always)]
pub(crate) unsafe fn resume_inside(vm: *mut Vm, func: *mut Value, wanted: i32) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let control = (*pointer::<NativeClosure>(*func)).control;
        if control != Control::Wrapped as u32 && control != Control::Resume as u32 || !compiled::has_host_room(vm) {
            return call::call_native(vm, func, wanted, 0);
        }
        let (waits, fuel) = ((*vm).waits, (*vm).fuel);
        let step = wait_for(vm, func, wanted);
        // The counter may have been filled up meanwhile.
        let spent = (fuel - (*vm).fuel).max(0);
        (*vm).waits = Waits { resumes: waits.resumes + 1, fuel: waits.fuel + spent };
        step
    }
}

#[inline(always)]
unsafe fn wait_for(vm: *mut Vm, func: *mut Value, wanted: i32) -> Step {
    // SAFETY: the caller's duty; a loop runs as long as there is a Lua frame above the one that waits.
    unsafe {
        let nargs = (*(*vm).thread).top.offset_from(func) as usize - 1;
        if switch(vm, Call { func, nargs, wanted, flags: frame::NESTED }).is_none() {
            return call_inside(vm, func, wanted);
        }
        // Code that counts has called, and no hook is set, or there would have been something else to do.
        if (*vm).recording {
            return run(vm);
        }
        match interp::execute::<Counting>(vm) {
            Exit::Returned => Step::Next,
            Exit::Raised => Step::Raise,
            Exit::SwitchMode | Exit::Continue => run(vm),
        }
    }
}

/// As [`wait_for`], where there is something else to do than to switch: a coroutine is started, say.
#[inline(never)]
unsafe fn call_inside(vm: *mut Vm, func: *mut Value, wanted: i32) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        match call::call_native(vm, func, wanted, frame::NESTED) {
            Step::Exit => Step::Next,
            Step::Raise if ptr::eq((*vm).thread, th) => {
                // Nobody was resumed: the error is that of the frame, if there is one.
                (*(*th).frame).flags &= !frame::NESTED;
                Step::Raise
            }
            Step::Raise => match call::unwind(vm) {
                Step::Raise => Step::Raise,
                Step::Exit => Step::Next,
                Step::Next | Step::Reload | Step::Switch => run(vm),
            },
            Step::Next | Step::Reload | Step::Switch => run(vm),
        }
    }
}

#[inline(never)]
unsafe fn run(vm: *mut Vm) -> Step {
    // SAFETY: the current frame is one of the coroutine that was resumed.
    match unsafe { call::run(vm) } {
        Ok(()) => Step::Next,
        Err(_) => Step::Raise,
    }
}
