//! Calls, returns and unwinding: everything that pushes and pops frames.
//!
//! No Lua-to-Lua call uses the host's stack: a call pushes a [`Frame`] and the same interpreter loop goes on. The host's
//! stack is used only when native code calls Lua ([`Vm::call`]), which enters a new loop.
//!
//! A step of the interpreter ends in a [`Step`]. The frame that is current when a native function or a returning function
//! is done decides what happens to its results ([`after_return`]):
//!
//! ```text
//! returning frame's flags   frame below       then
//! 0                         any               the results are in place, go on with its next instruction
//! FRESH                     any               leave the interpreter loop
//! HANDLED                   Lua               finish the instruction that called a metamethod (interp::finish)
//! HANDLED                   pcall, xpcall     deliver true and the results, or go on closing after an error
//! HANDLED                   forward           deliver the results as the native function's own
//! HANDLED                   bottom            the coroutine is done, deliver to whoever resumed it
//! WATCHED                   Lua               go on with its next instruction, recording
//! NESTED                    Lua               leave the interpreter loop; compiled code goes on
//! ```

use std::ptr;

use perilune_bytecode::ops::Instr;
use perilune_runtime::heap::{GrowError, OutOfMemory};
use perilune_runtime::object::{LuaClosure, NativeClosure, Thread};
use perilune_runtime::stack::{Frame, HANDLER_ROOM, MAX_SLOTS};
use perilune_runtime::value::{Tag, Value};

use crate::control;
use crate::frame;
use crate::interp::{self, Exit, close, finish, pointer};
use crate::meta;
use crate::native::{MIN_STACK, NativeFn, RETURN_CALL, Raised};
use crate::tier::{self, Called, Counting, Hooked, Plain, Recording};
use crate::vm::Vm;

/// How the interpreter goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// With the next instruction of the same frame; the stack may have moved.
    Next,
    /// With whatever frame is current now.
    Reload,
    /// An error was raised.
    Raise,
    /// The frame that the host called is done.
    Exit,
    /// In another instance of the loop.
    Switch,
}

/// Results that are wanted: all of them.
pub(crate) const ALL: i32 = -1;

/// Pushes the frame of a Lua function whose slot is `func` and whose arguments are the `nargs` slots behind it.
///
/// # Safety
/// `func` holds a Lua closure and lies in the current thread's stack, arguments included.
pub(crate) unsafe fn push_lua_frame(
    vm: *mut Vm,
    mut func: *mut Value,
    nargs: usize,
    nresults: i32,
    flags: u16,
) -> Result<(), Raised> {
    // SAFETY: the caller's duty; room is made before anything is written behind the arguments.
    unsafe {
        (*vm).charge(1)?;
        let th = (*vm).thread;
        let proto = (*pointer::<LuaClosure>(*func)).proto;
        let params = (*proto).num_params as usize;
        let is_vararg = (*proto).is_vararg;
        let needed = (*proto).max_stack as usize + if is_vararg { nargs + params } else { 0 };
        let args = func.add(1);
        let lacks_slots = args.add(nargs.max(params) + needed) > (*th).stack_limit;
        if lacks_slots || (*th).frame >= (*th).frames_limit {
            // All that lives is below the top when memory is collected.
            (*th).top = args.add(nargs);
            let offset = func.offset_from((*th).stack);
            if lacks_slots {
                (*vm).grow_stack_or_collect(nargs.max(params) + needed)?;
            }
            if (*th).frame >= (*th).frames_limit {
                (*vm).grow_frames()?;
            }
            func = (*th).stack.offset(offset);
        }
        let args = func.add(1);
        for n in nargs..params {
            *args.add(n) = Value::NIL;
        }
        let mut base = args;
        let mut extra = 0;
        if is_vararg {
            // The fixed parameters move above all arguments; the extra ones stay where they are, behind the function.
            extra = nargs.saturating_sub(params);
            base = args.add(nargs.max(params));
            for n in 0..params {
                *base.add(n) = *args.add(n);
                *args.add(n) = Value::NIL;
            }
        }
        // The last frame that fits is the one at `frames_limit`.
        let f = (*th).frame.add(1);
        (*f).func = func;
        (*f).base = base;
        (*f).top = base.add((*proto).max_stack as usize);
        (*f).closure = pointer::<LuaClosure>(*func);
        (*f).pc = (*proto).code;
        (*f).nresults = nresults;
        (*f).kind = frame::LUA;
        (*f).resume = 0;
        (*f).flags = flags;
        (*f).extra = extra as u64;
        (*th).frame = f;
        if (*vm).hooked {
            crate::hooks::enter(vm)?;
        }
        Ok(())
    }
}

/// Calls whatever is in `func` with the arguments between it and the thread's top.
///
/// A native function has run when this returns; a Lua function has its frame pushed (`Reload`).
///
/// # Safety
/// `func` and its arguments are slots of the current thread's stack below `top`.
pub(crate) unsafe fn call_value(vm: *mut Vm, mut func: *mut Value, nresults: i32, mut flags: u16) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        loop {
            match (*func).tag {
                Tag::LuaFn => {
                    let nargs = (*(*vm).thread).top.offset_from(func) as usize - 1;
                    return match push_lua_frame(vm, func, nargs, nresults, flags) {
                        Ok(()) => Step::Reload,
                        Err(_) => Step::Raise,
                    };
                }
                Tag::NativeFn => return call_native(vm, func, nresults, flags),
                _ => match put_handler(vm, func, flags) {
                    Some(next) => (func, flags) = next,
                    None => return Step::Raise,
                },
            }
        }
    }
}

/// Puts the handler of `__call` into the place of a value that is no function, which becomes its first argument: where it is,
/// since the stack may have moved, and the flags of the call. `None` if that is an error, which is raised.
///
/// # Safety
/// As [`call_value`].
unsafe fn put_handler(vm: *mut Vm, func: *mut Value, flags: u16) -> Option<(*mut Value, u16)> {
    // SAFETY: the caller's duty; there is room for one more value when the others move up.
    unsafe {
        let th = (*vm).thread;
        let offset = func.offset_from((*th).stack);
        let handler = meta::callable(&*vm, *func);
        if handler.is_nil() {
            let _ = crate::errors::call(&mut *vm, func);
            return None;
        }
        let moved = (*th).top.offset_from(func) as u64;
        (*vm).charge(meta::fuel_of_call(moved)).ok()?;
        (*vm).reserve_stack(1).ok()?;
        let func = (*th).stack.offset(offset);
        ptr::copy(func, func.add(1), (*th).top.offset_from(func) as usize);
        (*th).top = (*th).top.add(1);
        *func = handler;
        let flags = count_extra(vm, flags).ok()?;
        Some((func, flags))
    }
}

/// Flags for a function that is called through one more `__call`, where they are counted.
unsafe fn count_extra(vm: *mut Vm, flags: u16) -> Result<u16, Raised> {
    // SAFETY: `vm` is exclusively the caller's.
    unsafe {
        if !(*vm).dialect.extra_arguments {
            return Ok(flags);
        }
        frame::with_extra_argument(flags).ok_or_else(|| (*vm).run_error("'__call' chain too long"))
    }
}

/// Runs a native function.
///
/// # Safety
/// As [`call_value`]; `func` holds a native closure.
pub(crate) unsafe fn call_native(vm: *mut Vm, mut func: *mut Value, nresults: i32, flags: u16) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        (*vm).fuel -= 1;
        if (*vm).fuel < 0 && (*vm).fuel_spent().is_err() {
            return Step::Raise;
        }
        if (*th).top.add(MIN_STACK) > (*th).stack_limit {
            let offset = func.offset_from((*th).stack);
            if (*vm).grow_stack_or_collect(MIN_STACK).is_err() {
                return Step::Raise;
            }
            func = (*th).stack.offset(offset);
        }
        if (*th).frame >= (*th).frames_limit && (*vm).grow_frames().is_err() {
            return Step::Raise;
        }
        // The last frame that fits is the one at `frames_limit`.
        let f = (*th).frame.add(1);
        (*f).func = func;
        (*f).base = func.add(1);
        (*f).top = (*th).top.add(MIN_STACK);
        (*f).closure = ptr::null_mut();
        (*f).pc = ptr::null();
        (*f).nresults = nresults;
        (*f).kind = frame::NATIVE;
        (*f).resume = 0;
        (*f).flags = flags;
        (*f).extra = 0;
        (*th).frame = f;
        if (*vm).hooked && crate::hooks::enter(vm).is_err() {
            return Step::Raise;
        }
        let closure = pointer::<NativeClosure>(*func);
        if (*closure).control != 0 {
            return control::start(vm, (*closure).control);
        }
        // SAFETY: every native closure without control is made by `Vm::native` (or the engine's) from a `NativeFn`.
        let code: NativeFn = std::mem::transmute::<*const (), NativeFn>((*closure).code);
        match code(&mut *vm) {
            Ok(n) if n < RETURN_CALL => {
                let first = (*(*vm).thread).top.sub(n as usize);
                deliver_in_place(vm, first, n as usize)
            }
            Ok(n) => {
                let nargs = (n - RETURN_CALL) as usize;
                let th = (*vm).thread;
                (*(*th).frame).kind = frame::FORWARD;
                let wanted = (*(*th).frame).extra as i32 - 1;
                call_value(vm, (*th).top.sub(nargs + 1), wanted, frame::HANDLED)
            }
            Err(_) => Step::Raise,
        }
    }
}

/// Ends the current frame: its results are the `n` slots from `first`.
///
/// # Safety
/// The slots are inside the stack.
pub(crate) unsafe fn deliver(vm: *mut Vm, first: *mut Value, n: usize) -> Step {
    // SAFETY: the caller's duty.
    match unsafe { deliver_in_place(vm, first, n) } {
        // The interpreter was running another frame.
        Step::Next => Step::Reload,
        step => step,
    }
}

/// As [`deliver`], for a native function that the interpreter's current frame has called: that frame just goes on.
#[inline]
unsafe fn deliver_in_place(vm: *mut Vm, first: *mut Value, n: usize) -> Step {
    // SAFETY: results only move down, to the function's slot; the room that more wanted results need is there, because a
    // Lua caller's registers cover it and a host caller asked for it.
    unsafe {
        if (*vm).hooked {
            let th = (*vm).thread;
            let offset = first.offset_from((*th).stack);
            (*th).top = first.add(n);
            if crate::hooks::leave(vm, offset as usize, n).is_err() {
                return Step::Raise;
            }
            let th = (*vm).thread;
            return pop_frame(vm, (*th).stack.offset(offset), n);
        }
        pop_frame(vm, first, n)
    }
}

/// Pops the current frame and puts its results into place.
///
/// # Safety
/// As [`deliver`], for frames of any kind.
#[inline(always)]
unsafe fn pop_frame(vm: *mut Vm, first: *mut Value, n: usize) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let func = (*f).func;
        let flags = (*f).flags;
        let wanted = (*f).nresults;
        (*th).frame = f.sub(1);
        if wanted == 1 {
            *func = if n > 0 { *first } else { Value::NIL };
            (*th).top = func.add(1);
        } else if wanted < 0 {
            for k in 0..n {
                *func.add(k) = *first.add(k);
            }
            (*th).top = func.add(n);
        } else {
            let wanted = wanted as usize;
            for k in 0..n.min(wanted) {
                *func.add(k) = *first.add(k);
            }
            for k in n..wanted {
                *func.add(k) = Value::NIL;
            }
            (*th).top = func.add(wanted);
        }
        if flags & (frame::FRESH | frame::HANDLED | frame::WATCHED | frame::NESTED) != 0 {
            return after_return(vm, flags, func);
        }
        if ((*vm).heap.bytes >= (*vm).heap.threshold || (*vm).hooked) && (*f.sub(1)).kind == frame::LUA {
            return collect_after_call(vm, wanted);
        }
        Step::Next
    }
}

/// The safepoint behind a native function that was called by a Lua instruction, and has left `wanted` results below `top`.
///
/// # Safety
/// The current frame is the caller's, with its `pc` stored.
#[cold]
#[inline(never)]
pub(crate) unsafe fn collect_after_call(vm: *mut Vm, wanted: i32) -> Step {
    // SAFETY: with all results wanted, `top` is behind them and above every live register; otherwise the registers end
    // where the frame does.
    unsafe {
        let th = (*vm).thread;
        if wanted >= 0 {
            // Results are put on top of all live registers.
            crate::collect::forget(th, (*th).top);
            (*th).top = (*(*th).frame).top;
        }
        let top = (*th).top.offset_from((*th).stack);
        if (*vm).safepoint().is_err() {
            return Step::Raise;
        }
        let th = (*vm).thread;
        (*th).top = (*th).stack.offset(top);
        // The call may have set or removed a hook.
        if (*vm).hooked { Step::Switch } else { Step::Next }
    }
}

/// The safepoint of an instruction that allocated and has stored its result.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored.
#[cold]
#[inline(never)]
pub(crate) unsafe fn collect_in_lua(vm: *mut Vm) -> Step {
    // SAFETY: all live values are in the frame's registers.
    unsafe {
        let th = (*vm).thread;
        if let Some(end) = crate::collect::live_registers((*th).frame) {
            crate::collect::forget(th, end);
        }
        (*th).top = (*(*th).frame).top;
        match (*vm).safepoint() {
            Ok(()) => Step::Next,
            Err(_) => Step::Raise,
        }
    }
}

/// Decides what happens after a frame with special `flags` has returned. Its results start at `func` and, if all were
/// wanted, end at the thread's top.
///
/// # Safety
/// The frame has been popped.
pub(crate) unsafe fn after_return(vm: *mut Vm, flags: u16, func: *mut Value) -> Step {
    // SAFETY: see the table in the module's comment.
    unsafe {
        if flags & (frame::FRESH | frame::NESTED) != 0 {
            return Step::Exit;
        }
        if flags & frame::WATCHED != 0 {
            (*vm).recording = true;
            return Step::Switch;
        }
        if flags & frame::HANDLED == 0 {
            return Step::Reload;
        }
        let th = (*vm).thread;
        match (*(*th).frame).kind {
            frame::LUA => finish::finish_instruction(vm, func),
            frame::BOTTOM => control::coroutine_returned(vm, func),
            _ => control::finish(vm, func),
        }
    }
}

/// `Call`, when the callee is not a plain Lua function with room: native functions, `__call`, varargs, stack growth.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored; `i` is its `Call`.
#[inline(never)]
pub(crate) unsafe fn call_instruction(vm: *mut Vm, i: Instr, func: *mut Value) -> Step {
    // SAFETY: the arguments are registers, or end at `top` for an open list.
    unsafe {
        let th = (*vm).thread;
        if i.b() != 0 {
            (*th).top = func.add(i.b() as usize);
        }
        let nresults = i.c() as i32 - 1;
        if (*func).tag == Tag::NativeFn {
            return call_native(vm, func, nresults, 0);
        }
        call_value(vm, func, nresults, 0)
    }
}

/// The call of a generic loop's iterator, which is not one of those known to the loop.
///
/// # Safety
/// As [`call_instruction`]; iterator, state and control were copied to `R[a+4]` and behind.
#[inline(never)]
pub(crate) unsafe fn call_iterator(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the verifier has checked that `R[a+6]` exists.
    unsafe {
        let th = (*vm).thread;
        let func = (*(*th).frame).base.add(i.a() as usize + 4);
        (*th).top = func.add(3);
        call_value(vm, func, i.c() as i32, 0)
    }
}

/// `TailCall`: the callee takes over the current frame.
///
/// # Safety
/// As [`call_instruction`].
#[inline(never)]
pub(crate) unsafe fn tail_call_instruction(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the callee and its arguments move down over the current frame's function and registers, which are dead: open
    // upvalues into them are closed first, and there are no variables waiting to be closed (the compiler makes an ordinary
    // call when there are).
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let mut callee = (*f).base.add(i.a() as usize);
        if i.b() != 0 {
            (*th).top = callee.add(i.b() as usize);
        }
        if i.c() != 0 {
            close::close_upvalues(vm, (*f).base);
        }
        let mut extra = 0;
        while !(*callee).is_function() {
            let Some(next) = put_handler(vm, callee, extra) else { return Step::Raise };
            (callee, extra) = next;
        }
        if (*callee).tag == Tag::NativeFn {
            // A native function runs above the frame, which then returns its results.
            return call_native(vm, callee, ALL, frame::HANDLED | extra);
        }
        // Whatever can fail happens while the frame is still there: unwinding must find its flags. What is reserved here is
        // what `push_lua_frame` will ask for.
        let offset = callee.offset_from((*th).stack);
        let count = (*th).top.offset_from(callee) as usize;
        let proto = (*pointer::<LuaClosure>(*callee)).proto;
        let needed = 2 * (count + (*proto).num_params as usize) + (*proto).max_stack as usize;
        if (*vm).charge(1).is_err() || (*vm).reserve_stack(needed).is_err() {
            return Step::Raise;
        }
        (*vm).fuel += 1;
        let callee = (*th).stack.offset(offset);
        let f = (*th).frame;
        let func = (*f).func;
        ptr::copy(callee, func, count);
        (*th).top = func.add(count);
        let (nresults, flags) = ((*f).nresults, (*f).flags);
        // As in the reference, the arguments that `__call` has added to the replaced call still count, and those of this one
        // do not.
        let lost = frame::lost_calls(f);
        (*th).frame = f.sub(1);
        match push_lua_frame(vm, func, count - 1, nresults, flags | frame::TAIL) {
            Ok(()) => {
                if (*vm).dialect.counts_tail_calls {
                    frame::set_lost_calls((*th).frame, lost.saturating_add(1));
                }
                Step::Reload
            }
            Err(_) => Step::Raise,
        }
    }
}

/// `Return`, the general form.
///
/// # Safety
/// As [`call_instruction`].
#[inline(never)]
pub(crate) unsafe fn return_instruction(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the values are registers, or end at `top` for an open list.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let mut first = (*f).base.add(i.a() as usize);
        if i.c() != 0 {
            close::close_upvalues(vm, (*f).base);
            let level = (*f).base.offset_from((*th).stack) as usize;
            if close::has_pending(th, level) {
                // Each handler runs above the values, and above the variables that wait for the next ones: a single value is
                // returned from where it is, which may be below them. The instruction is executed again after each.
                if i.b() != 0 {
                    (*th).top = (*f).top;
                }
                let step = close::call_pending(vm, level, None, close::Again::Instruction);
                if step != Step::Next {
                    return step;
                }
                first = (*(*th).frame).base.add(i.a() as usize);
            }
        }
        if i.b() != 0 {
            (*th).top = first.add(i.b() as usize - 1);
        }
        let n = (*th).top.offset_from(first) as usize;
        return_values(vm, first, n)
    }
}

/// Returns `n` values from the current Lua frame, nothing left to close.
///
/// # Safety
/// The values lie above the frame's function slot.
#[inline(never)]
pub(crate) unsafe fn return_values(vm: *mut Vm, first: *mut Value, n: usize) -> Step {
    // SAFETY: the caller's duty.
    unsafe { deliver(vm, first, n) }
}

/// Finds who handles the error on its way and hands it over.
///
/// `Raise` means that the error has reached the frame which the host called last: the host's call fails.
///
/// # Safety
/// `vm.error` (or `vm.abort`) is set.
#[cold]
#[inline(never)]
pub(crate) unsafe fn unwind(vm: *mut Vm) -> Step {
    // SAFETY: frames are walked down to the bottom frame, which every thread has.
    unsafe {
        loop {
            let th = (*vm).thread;
            let mut f = (*th).frame;
            loop {
                let kind = (*f).kind;
                if (*vm).abort.is_none() && matches!(kind, frame::PCALL | frame::XPCALL) {
                    match control::catch(vm, f) {
                        Step::Raise => break,
                        step => return step,
                    }
                }
                if (*f).flags & frame::FRESH != 0 {
                    (*f).flags &= !frame::FRESH;
                    return Step::Raise;
                }
                if (*f).flags & frame::NESTED != 0 {
                    (*f).flags &= !frame::NESTED;
                    return Step::Raise;
                }
                if kind == frame::BOTTOM {
                    match control::coroutine_failed(vm) {
                        Step::Raise => break,
                        step => return step,
                    }
                }
                f = f.sub(1);
            }
        }
    }
}

/// Runs interpreter loops until the frame returns that the host has called, or that compiled code waits with.
///
/// # Safety
/// The current frame is a Lua frame.
pub(crate) unsafe fn run(vm: *mut Vm) -> Result<(), Raised> {
    // SAFETY: the caller's duty.
    unsafe {
        loop {
            let exit = if (*vm).hooked {
                interp::execute::<Hooked>(vm)
            } else if (*vm).recording {
                interp::execute::<Recording>(vm)
            } else if (*vm).tier.counts() {
                interp::execute::<Counting>(vm)
            } else {
                interp::execute::<Plain>(vm)
            };
            match exit {
                Exit::Returned => return Ok(()),
                Exit::Raised => return Err(Raised(())),
                Exit::SwitchMode | Exit::Continue => {}
            }
        }
    }
}

impl Vm {
    /// Calls the function below the topmost `nargs` values; the results (`nresults` of them, or all for -1) replace it and
    /// its arguments. **(safepoint)**
    pub fn call(&mut self, nargs: usize, nresults: i32) -> Result<(), Raised> {
        self.call_flagged(nargs, nresults, 0)
    }

    pub(crate) fn call_flagged(&mut self, nargs: usize, nresults: i32, flags: u16) -> Result<(), Raised> {
        if self.frozen {
            return Err(Raised(()));
        }
        let th = self.thread;
        let vm: *mut Vm = self;
        // SAFETY: function and arguments were pushed, so they lie below `top`. A native frame has MIN_STACK slots above its
        // arguments for the results that are wanted.
        unsafe {
            let func = (*th).top.sub(nargs + 1);
            let depth = self.frame_depth();
            let is_plain = (*func).tag == Tag::LuaFn && flags == 0;
            self.enter_host_call()?;
            let called = if is_plain { tier::call(vm, func, nargs, nresults) } else { Called::Refused };
            if matches!(called, Called::Returned(_)) {
                (*vm).host_depth -= 1;
                return Ok(());
            }
            (*th).non_yieldable += 1;
            let step = match called {
                Called::Left(after) => tier::go_on(vm, after),
                Called::Refused | Called::Returned(_) => match call_value(vm, func, nresults, flags | frame::FRESH) {
                    Step::Reload if is_plain => tier::called(vm),
                    step => step,
                },
            };
            let result = match step {
                Step::Exit => Ok(()),
                // Nothing was pushed: the error is not that of a frame, so no frame of ours is passed.
                Step::Raise if ptr::eq((*vm).thread, th) && self.frame_depth() == depth => Err(Raised(())),
                Step::Raise => match unwind(vm) {
                    Step::Raise => Err(Raised(())),
                    Step::Exit => Ok(()),
                    _ => run(vm),
                },
                _ => run(vm),
            };
            debug_assert!(ptr::eq((*vm).thread, th));
            (*th).non_yieldable -= 1;
            (*vm).host_depth -= 1;
            result
        }
    }

    /// Calls `f` and gives its first result, which is no root. **(safepoint)**
    pub fn call_value(&mut self, f: Value, args: &[Value]) -> Result<Value, Raised> {
        self.ensure_stack(args.len() + 2)?;
        self.push(f);
        for a in args {
            self.push(*a);
        }
        self.call(args.len(), 1)?;
        Ok(self.pop())
    }

    /// Ends a native function with a call: what was pushed last, a function and `nargs` arguments, is called, and its
    /// results become the native function's own. Lua code may yield in it.
    pub fn return_call(&mut self, nargs: usize) -> crate::native::NativeResult {
        debug_assert!(nargs < 0xff);
        Ok(RETURN_CALL + nargs as u32)
    }

    /// As [`Vm::return_call`], with exactly `nresults` results.
    pub fn return_call_exactly(&mut self, nargs: usize, nresults: u16) -> crate::native::NativeResult {
        // SAFETY: the current frame is that of the native function.
        unsafe {
            (*(*self.thread).frame).extra = u64::from(nresults) + 1;
        }
        self.return_call(nargs)
    }

    fn enter_host_call(&mut self) -> Result<(), Raised> {
        const LIMIT: u32 = perilune_base::limits::MAX_C_CALLS;
        // Error handling may go a little deeper than what failed.
        const SLACK: u32 = LIMIT / 10;
        self.host_depth += 1;
        if self.host_depth == LIMIT {
            self.host_depth += 1;
            let e = self.run_error("C stack overflow");
            self.host_depth -= 2;
            return Err(e);
        }
        if self.host_depth > LIMIT + SLACK {
            self.host_depth -= 1;
            return Err(self.error_in_error_handling());
        }
        Ok(())
    }

    /// Makes room for `n` slots above the thread's top.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow_stack_by(&mut self, n: usize) -> Result<(), Raised> {
        self.check_stack(n)?;
        // SAFETY: the thread is alive; the heap rewrites every pointer into its stack.
        let grown = unsafe { self.heap.grow_stack(self.thread, n) };
        grown.map_err(|error| self.growth_error(error))
    }

    /// As [`Vm::grow_stack_by`]; where memory is short, it collects. **(safepoint)**
    #[cold]
    #[inline(never)]
    pub(crate) fn grow_stack_or_collect(&mut self, n: usize) -> Result<(), Raised> {
        self.check_stack(n)?;
        // SAFETY: as in `grow_stack_by`; a stack that does not grow is as it was.
        let mut grown = unsafe { self.heap.grow_stack(self.thread, n) };
        if grown == Err(GrowError::OutOfMemory) {
            self.emergency_collect();
            // SAFETY: as above.
            grown = unsafe { self.heap.grow_stack(self.thread, n) };
        }
        grown.map_err(|error| self.growth_error(error))
    }

    /// Whether the stack may grow by `n` slots, else an error. What handles an overflow may use the room that is kept for it.
    fn check_stack(&mut self, n: usize) -> Result<(), Raised> {
        if self.frozen {
            return Err(Raised(()));
        }
        let wanted = self.stack_height() + n;
        if wanted > MAX_SLOTS - HANDLER_ROOM {
            if !self.overflowing {
                self.overflowing = true;
                return Err(self.run_error("stack overflow"));
            }
            if wanted > MAX_SLOTS {
                return Err(self.error_in_error_handling());
            }
        }
        Ok(())
    }

    fn growth_error(&mut self, error: GrowError) -> Raised {
        match error {
            GrowError::Overflow => self.run_error("stack overflow"),
            GrowError::OutOfMemory => self.memory_error(),
        }
    }

    /// Makes room for more frames; where memory is short, it collects. **(safepoint)**
    #[cold]
    #[inline(never)]
    fn grow_frames(&mut self) -> Result<(), Raised> {
        if self.is_nested_too_deep() {
            return Err(self.run_error("C stack overflow"));
        }
        self.check_depth()?;
        // SAFETY: the current thread is alive; callers read their frame pointers again. Frames that do not grow are as they
        // were.
        let mut grown = unsafe { self.heap.grow_frames(self.thread) };
        if grown.is_err() {
            self.emergency_collect();
            // SAFETY: as above.
            grown = unsafe { self.heap.grow_frames(self.thread) };
        }
        grown.map_err(|OutOfMemory| self.memory_error())
    }
}

impl Vm {
    /// Whether more protected calls and handlers of metamethods wait for one another than the reference, where they use
    /// the stack of C, allows by far.
    ///
    /// They use no such stack here. But a runaway recursion through them should end like one: a handler that adds to the
    /// message on each of a million levels would not end in reasonable time. It is enough to look when frames grow.
    fn is_nested_too_deep(&self) -> bool {
        // SAFETY: the current thread is alive.
        let nested = unsafe { frames_down(self.thread).filter(|&f| (*f).flags & frame::HANDLED != 0).count() };
        nested >= perilune_base::limits::MAX_C_CALLS as usize
    }
}

/// The live part of a thread's stack, and its frames from the current one down, for walkers.
///
/// # Safety
/// `th` is alive.
pub(crate) unsafe fn frames_down(th: *mut Thread) -> impl Iterator<Item = *mut Frame> {
    // SAFETY: the frames of a live thread lie between its buffer's start and its current frame.
    unsafe {
        let first = (*th).frames;
        let mut at = (*th).frame;
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let f = at;
            if f == first {
                done = true;
            } else {
                at = at.sub(1);
            }
            Some(f)
        })
    }
}
