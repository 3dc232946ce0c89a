//! Debug hooks: called by the hooked instance of the interpreter's loop, and at calls and returns.
//!
//! A hook belongs to a thread. While any thread has one, the VM runs the hooked instance of the loop; setting or removing
//! one takes effect when the call of `debug.sethook` returns.

use perilune_bytecode::ops::Op;
use perilune_runtime::object::{Thread, ThreadRef};
use perilune_runtime::value::Value;

use crate::call::{self, Step};
use crate::frame;
use crate::names;
use crate::native::Raised;
use crate::vm::Vm;

/// The hook is called when a function is called.
pub const CALL: u8 = 1;
/// The hook is called when a function returns.
pub const RETURN: u8 = 2;
/// The hook is called when a new line begins.
pub const LINE: u8 = 4;
/// The hook is called after every so many instructions.
pub const COUNT: u8 = 8;

/// The values that a call or return hook may look at: the index of the first in its frame, and how many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Transfer {
    pub first: u16,
    pub count: u16,
}

/// Calls the current thread's hook, unless it is running already.
unsafe fn run(vm: *mut Vm, event: &str, line: Option<u32>, transfer: Transfer) -> Result<(), Raised> {
    // SAFETY: the hook runs above everything live in the current frame.
    unsafe {
        let th = (*vm).thread;
        if (*th).in_hook || !(*th).hook.is_function() {
            return Ok(());
        }
        let f = (*th).frame;
        let top = (*th).top.offset_from((*th).stack);
        if (*f).kind == frame::LUA && (*th).top < (*f).top {
            (*th).top = (*f).top;
        }
        (*vm).ensure_stack(4)?;
        (*th).in_hook = true;
        (*vm).transfer = if transfer.count > 0 { transfer } else { Transfer::default() };
        (*vm).push((*th).hook);
        let name = (*vm).string(event.as_bytes());
        (*vm).push(name);
        let line = line.map_or(Value::NIL, |l| (*vm).int_value(i64::from(l)));
        (*vm).push(line);
        let result = (*vm).call_flagged(2, 0, frame::HOOK);
        (*vm).transfer = Transfer::default();
        // A failed hook keeps the others away until its error is caught, so that the message handler runs without any.
        result?;
        (*th).in_hook = false;
        (*th).top = (*th).stack.offset(top);
        Ok(())
    }
}

/// A thread has dropped frames because of an error, and with them maybe a hook or a finalizer that was running.
///
/// # Safety
/// The thread is alive.
pub(crate) unsafe fn frames_dropped(th: *mut Thread) {
    // SAFETY: the caller's duty.
    unsafe {
        if (*th).in_hook {
            (*th).in_hook = call::frames_down(th).any(|f| (*f).flags & (frame::HOOK | frame::FINALIZER) != 0);
        }
    }
}

/// Before an instruction of a Lua frame: count and line events.
///
/// # Safety
/// The current frame is a Lua frame; its `pc` is at the instruction.
pub(crate) unsafe fn before_instruction(vm: *mut Vm) -> Step {
    // SAFETY: the caller's duty. While a hook runs, `pc` is behind the instruction as everywhere else.
    unsafe {
        let th = (*vm).thread;
        if !(*vm).hooked {
            return Step::Switch;
        }
        let mask = (*th).hook_mask;
        if mask & (LINE | COUNT) == 0 || (*th).in_hook {
            return Step::Next;
        }
        let f = (*th).frame;
        // What a narrowed loop does beside counting is no instruction that a script could know of.
        if (*(*f).pc).op() == Some(Op::ForFloat) {
            return Step::Next;
        }
        (*f).pc = (*f).pc.add(1);
        let result = count_and_line(vm, mask);
        let f = (*(*vm).thread).frame;
        (*f).pc = (*f).pc.sub(1);
        match result {
            Ok(()) => Step::Next,
            Err(_) => Step::Raise,
        }
    }
}

unsafe fn count_and_line(vm: *mut Vm, mask: u8) -> Result<(), Raised> {
    // SAFETY: as in `before_instruction`.
    unsafe {
        let th = (*vm).thread;
        if mask & COUNT != 0 {
            (*th).hook_left = (*th).hook_left.saturating_sub(1);
            if (*th).hook_left == 0 {
                (*th).hook_left = (*th).hook_count;
                run(vm, "count", None, Transfer::default())?;
            }
        }
        if (*th).hook_mask & LINE != 0 {
            let (p, _, pc) = names::code_of((*th).frame);
            let first = names::prologue((*vm).dialect, p);
            if pc < first {
                return Ok(());
            }
            // Stripped code has no lines, but the hook still sees where it begins and where it jumps back.
            let line = p.lines.get(pc).copied();
            let old = (*th).hook_pc as usize;
            (*th).hook_pc = pc as u32;
            // A jump back, even to the same line, is a new line too.
            if pc == first || pc <= old || p.lines.get(old).copied() != line {
                (*th).hook_line = line.unwrap_or(0);
                run(vm, "line", line, Transfer::default())?;
            }
        }
        Ok(())
    }
}

/// The fast call path has pushed a Lua frame.
///
/// # Safety
/// The current frame is that frame.
pub(crate) unsafe fn call(vm: *mut Vm) -> Step {
    // SAFETY: the caller's duty.
    match unsafe { enter(vm) } {
        Ok(()) => Step::Reload,
        Err(_) => Step::Raise,
    }
}

/// A frame was pushed.
///
/// # Safety
/// The current frame is that frame.
pub(crate) unsafe fn enter(vm: *mut Vm) -> Result<(), Raised> {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        (*th).hook_pc = 0;
        if (*th).hook_mask & CALL == 0 || (*th).in_hook {
            return Ok(());
        }
        let f = (*th).frame;
        let is_lua = (*f).kind == frame::LUA;
        let is_tail_call = (*f).flags & frame::TAIL != 0 && !(*vm).dialect.tail_returns;
        let event = if is_tail_call { "tail call" } else { "call" };
        let count = if is_lua {
            (*f).pc = (*f).pc.add(1);
            u16::from((*names::code_of(f).1).num_params)
        } else {
            (*th).top.offset_from((*f).base) as u16
        };
        run(vm, event, None, Transfer { first: 1, count })?;
        if is_lua {
            let f = (*(*vm).thread).frame;
            (*f).pc = (*f).pc.sub(1);
        }
        Ok(())
    }
}

/// The current frame is about to return `n` values that start at a stack offset and end at the thread's top.
///
/// # Safety
/// They do.
pub(crate) unsafe fn leave(vm: *mut Vm, first: usize, n: usize) -> Result<(), Raised> {
    // SAFETY: the caller's duty; below a frame that returns there is another.
    unsafe {
        let th = (*vm).thread;
        if (*th).hook_mask & RETURN != 0 && !(*th).in_hook {
            let f = (*th).frame;
            // Counted from 1 at the first register, even in a vararg function, where the function is further below.
            let at = ((*th).stack.add(first).offset_from((*f).base) as u16).wrapping_add(1);
            run(vm, "return", None, Transfer { first: at, count: n as u16 })?;
            if (*vm).dialect.tail_returns {
                tail_returns(vm)?;
            }
        }
        let caller = (*th).frame.sub(1);
        if (*caller).kind == frame::LUA {
            (*th).hook_pc = names::code_of(caller).2 as u32;
        }
        Ok(())
    }
}

/// The calls that the current frame has replaced return one after the other: each is forgotten, then the hook hears of it.
///
/// # Safety
/// The current frame is about to return.
unsafe fn tail_returns(vm: *mut Vm) -> Result<(), Raised> {
    // SAFETY: the caller's duty. The hook runs above the frame, which may move with the buffer.
    unsafe {
        loop {
            let f = (*(*vm).thread).frame;
            let lost = frame::lost_calls(f);
            if lost == 0 || (*(*vm).thread).hook_mask & RETURN == 0 {
                return Ok(());
            }
            frame::set_lost_calls(f, lost - 1);
            if lost == 1 {
                (*f).flags &= !frame::TAIL;
            }
            run(vm, "tail return", None, Transfer::default())?;
        }
    }
}

impl Vm {
    /// Sets the hook of a thread, or removes it when `mask` is zero.
    pub fn set_hook(&mut self, thread: ThreadRef, hook: Value, mask: u8, count: i32) {
        let th: *mut Thread = thread.as_ptr();
        // SAFETY: the thread is alive.
        unsafe {
            let mask = if hook.is_nil() { 0 } else { mask };
            let had = (*th).hook_mask != 0;
            (*th).hook = if mask == 0 { Value::NIL } else { hook };
            (*th).hook_mask = mask;
            (*th).hook_count = count;
            (*th).hook_left = count;
            self.heap.barrier_forward(thread.header(), (*th).hook);
            match (had, mask != 0) {
                (false, true) => self.hooked_threads += 1,
                (true, false) => self.hooked_threads = self.hooked_threads.saturating_sub(1),
                _ => {}
            }
        }
        self.hooked = self.hooked_threads > 0;
    }

    /// The hook of a thread: function, mask and count.
    pub fn hook(&self, thread: ThreadRef) -> (Value, u8, i32) {
        // SAFETY: the thread is alive.
        unsafe {
            let th = thread.as_ptr();
            ((*th).hook, (*th).hook_mask, (*th).hook_count)
        }
    }
}
