//! Closing: open upvalues, and variables declared `<close>`.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::Thread;
use perilune_runtime::value::{Tag, Value};

use crate::call::{self, Step};
use crate::frame;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::{Abort, Vm};

/// What goes on after a `__close` handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The instruction (`Close`, `Return`) is executed once more, and closes the next variable.
    Instruction,
    /// The protected call in the current frame goes on closing.
    ProtectedCall,
}

/// Closes the open upvalues at and above `level`.
///
/// # Safety
/// `level` is a slot of the current thread's stack.
#[inline]
pub(crate) unsafe fn close_upvalues(vm: *mut Vm, level: *mut Value) {
    // SAFETY: the caller's duty.
    unsafe { (*vm).heap.close_upvals((*vm).thread, level) }
}

/// Whether variables at or above stack offset `level` wait to be closed.
///
/// # Safety
/// `th` is alive.
#[inline]
pub(crate) unsafe fn has_pending(th: *mut Thread, level: usize) -> bool {
    // SAFETY: the caller's duty.
    unsafe { (*th).to_close.last().is_some_and(|&at| at as usize >= level) }
}

/// `Tbc`: the value in `slot` will be closed.
///
/// # Safety
/// `slot` is a register of the current frame, whose `pc` is stored.
pub(crate) unsafe fn mark_to_be_closed(vm: *mut Vm, slot: *mut Value) -> Result<(), Raised> {
    // SAFETY: the caller's duty.
    unsafe {
        let v = *slot;
        if matches!(v.tag, Tag::Nil | Tag::False) {
            return Ok(());
        }
        if meta::metamethod(&*vm, v, Event::Close).is_nil() {
            return Err(crate::errors::no_close_method(&mut *vm, slot));
        }
        let th = (*vm).thread;
        let at = slot.offset_from((*th).stack) as u32;
        (*th).to_close.push(at);
        Ok(())
    }
}

/// Calls the handlers of the variables at and above `level`, last first, until one is not done at once, as a Lua function
/// (then it goes on when the interpreter does, and `again` says what follows), or none is left (`Next`).
///
/// `error` is the error on the way, if there is one; it is then also what the handlers get.
///
/// # Safety
/// The thread's top is above all live values.
pub(crate) unsafe fn call_pending(vm: *mut Vm, level: usize, error: Option<Value>, again: Again) -> Step {
    // SAFETY: offsets in `to_close` are slots of this stack.
    unsafe {
        loop {
            let th = (*vm).thread;
            if !has_pending(th, level) {
                return Step::Next;
            }
            let Some(at) = (*th).to_close.pop() else { return Step::Next };
            let slot = (*th).stack.add(at as usize);
            let v = *slot;
            if error.is_some() {
                // What is above the variable is dead.
                (*th).top = slot.add(1);
            }
            if (*vm).ensure_stack(4).is_err() {
                return Step::Raise;
            }
            let func = (*th).top;
            let handler = meta::metamethod(&*vm, v, Event::Close);
            if handler.is_nil() {
                let _ = crate::errors::close_method_gone(&mut *vm);
                return Step::Raise;
            }
            *func = handler;
            *func.add(1) = v;
            *func.add(2) = error.unwrap_or(Value::NIL);
            let has_second = error.is_some() || (*vm).dialect.close_gets_nil;
            (*th).top = func.add(2 + usize::from(has_second));
            let is_lua = (*func).tag != Tag::NativeFn;
            let flags = if is_lua { frame::HANDLED } else { 0 };
            debug_assert!(again == Again::Instruction || (*(*th).frame).kind != frame::LUA);
            let depth = (*th).frame.offset_from((*th).frames);
            match call::call_value(vm, func, 0, flags) {
                Step::Raise => return Step::Raise,
                step if is_lua => return step,
                step => {
                    let caller = (*th).frames.offset(depth);
                    if (*vm).thread != th || (*th).frame != caller {
                        // It waits for a function or a coroutine that it has called, or for being resumed.
                        (*caller.add(1)).flags |= frame::HANDLED;
                        return step;
                    }
                }
            }
        }
    }
}

/// `Close`: leaves a scope.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored.
pub(crate) unsafe fn close_instruction(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let first = (*f).base.add(i.a() as usize);
        close_upvalues(vm, first);
        let level = first.offset_from((*th).stack) as usize;
        if !has_pending(th, level) {
            return Step::Next;
        }
        (*th).top = (*f).top;
        call_pending(vm, level, None, Again::Instruction)
    }
}

/// After a handler that a `Close` or `Return` called: the instruction runs again and finds the next variable, or none.
///
/// # Safety
/// The current frame is a Lua frame behind such an instruction.
pub(crate) unsafe fn again(vm: *mut Vm) -> Step {
    // SAFETY: the handler wanted no results, so the thread's top is where it was before the call: an open list of
    // values that `Return` is about to return ends there.
    unsafe {
        let f = (*(*vm).thread).frame;
        (*f).pc = (*f).pc.sub(1);
        Step::Reload
    }
}

impl Vm {
    /// Closes everything at and above stack offset `level` of the current thread, for callers that cannot be resumed.
    /// The error on the way, or the one of a handler, comes back.
    pub(crate) fn close_all(&mut self, level: usize, mut error: Option<Value>) -> Option<Value> {
        let vm: *mut Vm = self;
        // A handler may forget the error, its argument, which the next one gets too.
        let place = self.pin(error.unwrap_or(Value::NIL));
        // SAFETY: the current thread is alive; handlers are called by nested loops.
        unsafe {
            let th = self.thread;
            close_upvalues(vm, (*th).stack.add(level));
            while has_pending(th, level) {
                let Some(at) = (*th).to_close.pop() else { break };
                let slot = (*th).stack.add(at as usize);
                let v = *slot;
                (*th).top = (*th).top.max(slot.add(1));
                let handler = meta::metamethod(&*vm, v, Event::Close);
                let arguments = [v, error.unwrap_or(Value::NIL)];
                let count = if error.is_some() || self.dialect.close_gets_nil { 2 } else { 1 };
                if self.call_value(handler, &arguments[..count]).is_err() {
                    match self.abort {
                        // A coroutine that closes itself while it is being closed drops the error on its way.
                        Some(Abort::Close) => {
                            self.abort = None;
                            error = None;
                        }
                        Some(_) => break,
                        None => error = Some(self.error),
                    }
                    self.replace_pin(place, error.unwrap_or(Value::NIL));
                }
            }
            self.unpin(place);
            error
        }
    }
}
