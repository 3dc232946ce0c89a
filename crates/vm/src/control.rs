//! The native functions that move frames: protected calls and coroutines.
//!
//! They are marked by a control number in their closure. The interpreter does not run code for them but comes here, so that
//! protected calls and resumes use no host stack and can be yielded across.
//!
//! ```text
//!          resume                    body returns / error
//! suspended ------> running ---------------------------> dead
//!     ^              |  | resumes another one
//!     |    yield     |  v
//!     +--------------+ normal
//! ```

use perilune_base::dialect::table::ResumeText;
use perilune_bytecode::ops::Op;
use perilune_runtime::object::{Gc, Thread, ThreadRef, ThreadStatus};
use perilune_runtime::stack::{Frame, MAX_SLOTS};
use perilune_runtime::value::Value;

use crate::call::{self, ALL, Step};
use crate::frame;
use crate::hooks;
use crate::interp::close::{self, Again};
use crate::interp::pointer;
use crate::native::{Intrinsic, Raised};
use crate::vm::{Abort, Vm, new_thread};

/// The functions of this module, by control number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Control {
    /// `pcall`
    PCall = 1,
    /// `xpcall`
    XPCall = 2,
    /// `coroutine.resume`
    Resume = 3,
    /// What `coroutine.wrap` makes; its upvalue is the coroutine.
    Wrapped = 4,
    /// `coroutine.yield`
    Yield = 5,
    /// `xpcall` for the host, which passes arguments in all versions.
    HostXPCall = 6,
}

impl Control {
    /// The function with a control number; none has 0.
    #[must_use]
    pub fn of(number: u32) -> Option<Control> {
        let all = [Control::PCall, Control::XPCall, Control::Resume, Control::Wrapped, Control::Yield];
        all.into_iter().find(|control| *control as u32 == number)
    }
}

impl Vm {
    /// A function value for one of the control functions.
    pub fn control_function(&mut self, control: Control, upvalues: &[Value]) -> Value {
        // Wrapped functions are all different, and known by what they do.
        let known = if control == Control::Wrapped { Intrinsic::Wrapped } else { Intrinsic::None };
        Value::native_fn(self.heap.new_control(control as u32, known as u32, upvalues))
    }
}

/// Starts the control function whose native frame was just pushed.
///
/// # Safety
/// The current frame is that native frame.
pub(crate) unsafe fn start(vm: *mut Vm, control: u32) -> Step {
    // SAFETY: control numbers are only given by `Vm::control_function`.
    unsafe {
        match control {
            c if c == Control::PCall as u32 => start_pcall(vm),
            c if c == Control::XPCall as u32 => start_xpcall(vm, (*vm).dialect.xpcall_arguments),
            c if c == Control::HostXPCall as u32 => start_xpcall(vm, true),
            c if c == Control::Resume as u32 => start_resume(vm),
            c if c == Control::Wrapped as u32 => start_wrapped(vm),
            _ => start_yield(vm),
        }
    }
}

unsafe fn start_pcall(vm: *mut Vm) -> Step {
    // SAFETY: the current frame is ours; its arguments are the slots up to `top`.
    unsafe {
        if (*vm).check_any(1).is_err() {
            return Step::Raise;
        }
        let f = (*(*vm).thread).frame;
        (*f).kind = frame::PCALL;
        call::call_value(vm, (*f).base, ALL, frame::HANDLED)
    }
}

unsafe fn start_xpcall(vm: *mut Vm, passes_arguments: bool) -> Step {
    // SAFETY: as in `start_pcall`. The function and the handler change places, so that the function's arguments follow it.
    unsafe {
        if (*vm).dialect.checked_handlers {
            if !(*vm).arg(2).is_function() {
                let _ = (*vm).type_error(2, "function");
                return Step::Raise;
            }
        } else if (*vm).nargs() < 2 {
            let _ = (*vm).arg_error(2, "value expected");
            return Step::Raise;
        }
        if !passes_arguments {
            (*vm).set_top(2);
        }
        let f = (*(*vm).thread).frame;
        (*f).kind = frame::XPCALL;
        std::ptr::swap((*f).base, (*f).base.add(1));
        call::call_value(vm, (*f).base.add(1), ALL, frame::HANDLED)
    }
}

/// Goes on with a control frame after the function that it called has returned; the results start at `func` and end at the
/// thread's top.
///
/// # Safety
/// The current frame is a control frame.
pub(crate) unsafe fn finish(vm: *mut Vm, func: *mut Value) -> Step {
    // SAFETY: see each kind.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        match (*f).kind {
            frame::PCALL | frame::XPCALL if (*f).flags & frame::CAUGHT != 0 => go_on_closing(vm, f),
            frame::PCALL | frame::XPCALL => {
                let n = (*th).top.offset_from(func) as usize;
                deliver_outcome(vm, Value::TRUE, func, n)
            }
            _ => {
                let n = (*th).top.offset_from(func) as usize;
                call::deliver(vm, func, n)
            }
        }
    }
}

/// A protected call catches the error on its way: calls the message handler, then closes what the failed call left open.
///
/// # Safety
/// `f` is a protected call's frame on the current thread; the frames above it are dead but in place.
pub(crate) unsafe fn catch(vm: *mut Vm, f: *mut Frame) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let th = (*vm).thread;
        let at = f.offset_from((*th).frames);
        // Errors of `__close` handlers that run because of an error go to the message handler too.
        if (*f).kind == frame::XPCALL && (*vm).call_message_handler(*(*f).base).is_err() {
            return Step::Raise;
        }
        // The handler may have made the buffers move.
        let f = (*th).frames.offset(at);
        (*th).frame = f;
        hooks::frames_dropped(th);
        (*f).flags |= frame::CAUGHT;
        // Flags of frames above are dead with them. Upvalues are closed before any `__close` handler runs.
        let slot = error_slot(f);
        close::close_upvalues(vm, slot.add(1));
        *slot = (*vm).caught_error();
        (*vm).overflowing = false;
        go_on_closing(vm, f)
    }
}

/// Where a protected call keeps the error that it caught: in the slot of the function that failed, so that the message
/// handler of `xpcall` stays in place.
///
/// # Safety
/// `f` is a protected call's frame.
unsafe fn error_slot(f: *mut Frame) -> *mut Value {
    // SAFETY: the function that was called is in a slot of the frame.
    unsafe { if (*f).kind == frame::XPCALL { (*f).base.add(1) } else { (*f).base } }
}

impl Vm {
    /// Lets a message handler replace the error on its way. `Err` when something that cannot be caught came up instead.
    ///
    /// The frames of what failed are still in place; the handler runs above them.
    fn call_message_handler(&mut self, handler: Value) -> Result<(), Raised> {
        // SAFETY: the current frame is alive.
        unsafe {
            let th = self.thread;
            if (*(*th).frame).kind == frame::LUA {
                (*th).top = (*(*th).frame).top;
            }
        }
        if !handler.is_function() {
            self.error = self.string(b"error in error handling");
            return Ok(());
        }
        let depth = self.host_depth;
        // An error in the handler goes to the handler again. As in the reference, where these calls are nested, that ends
        // with the errors for a call stack that is too deep.
        while !self.unhandled {
            let error = self.error;
            match self.call_value(handler, &[error]) {
                Ok(value) => {
                    self.error = value;
                    break;
                }
                Err(raised) if self.abort.is_some() => {
                    self.host_depth = depth;
                    return Err(raised);
                }
                Err(_) => self.host_depth += 1,
            }
        }
        self.host_depth = depth;
        Ok(())
    }

    /// The message handler that errors of the running function meet: that of the innermost protected call.
    pub(crate) fn message_handler(&self) -> Option<Value> {
        // SAFETY: the current thread is alive; the first slot of an `xpcall` frame holds the handler.
        unsafe {
            for f in call::frames_down(self.thread) {
                match (*f).kind {
                    frame::XPCALL => return Some(*(*f).base),
                    frame::PCALL => return None,
                    // The collector catches the errors of finalizers.
                    _ if (*f).flags & frame::FINALIZER != 0 => return None,
                    _ => {}
                }
            }
            None
        }
    }

    /// Calls the function below the topmost `nargs` values for a native function that deals with its errors: `Ok(Err(_))`
    /// is what the message handler in force made of one. **(safepoint)**
    pub fn call_caught(&mut self, nargs: usize, nresults: i32) -> Result<Result<(), Value>, Raised> {
        let handler = self.message_handler();
        let depth = self.frame_depth();
        let height = self.stack_height() - nargs - 1;
        match self.call(nargs, nresults) {
            Ok(()) => return Ok(Ok(())),
            Err(raised) if self.abort.is_some() => return Err(raised),
            Err(_) => {}
        }
        if let Some(handler) = handler {
            self.call_message_handler(handler)?;
        }
        self.drop_failed(depth, height);
        if self.abort.is_some() {
            return Err(Raised(()));
        }
        Ok(Err(self.caught_error()))
    }

    /// What the message handler in force makes of an error that the running native function is about to return as a
    /// value. **(safepoint)**
    pub fn handled_error(&mut self, error: Value) -> Result<Value, Raised> {
        let _ = self.raise(error);
        if let Some(handler) = self.message_handler() {
            self.call_message_handler(handler)?;
        }
        Ok(self.caught_error())
    }
}

/// A stack of so many slots stays as it is after an error. What compiled code makes room for is less: it would be made again for each
/// error.
const KEPT_SLOTS: usize = MAX_SLOTS / 16;

/// Gives back what a runaway recursion has used of a stack.
///
/// # Safety
/// `th` is the current thread; the caller renews its pointers into the stack and to frames.
unsafe fn give_back_stack(vm: *mut Vm, th: *mut Thread) {
    // SAFETY: the caller's duty. Nothing is needed above the frames up to the current one and the values up to `top`.
    unsafe {
        if (*th).stack_limit.offset_from_unsigned((*th).stack) > KEPT_SLOTS {
            (*vm).heap.shrink_frames(th);
            (*vm).heap.shrink_stack(th);
        }
    }
}

/// Closes the next variables of a failed protected call, then delivers `false` and the error.
unsafe fn go_on_closing(vm: *mut Vm, f: *mut Frame) -> Step {
    // SAFETY: `f` is the current frame.
    unsafe {
        let th = (*vm).thread;
        let slot = error_slot(f);
        let level = slot.offset_from((*th).stack) as usize + 1;
        let error = *slot;
        if close::has_pending(th, level) {
            match close::call_pending(vm, level, Some(error), Again::ProtectedCall) {
                Step::Next => {}
                step => return step,
            }
        }
        let f = (*th).frame;
        let first = (*f).base;
        *first = error;
        (*th).top = first.add(1);
        // This also makes room for the handling of the next overflow.
        give_back_stack(vm, th);
        deliver_outcome(vm, Value::FALSE, (*th).top.sub(1), 1)
    }
}

/// Ends a protected call with a success flag and the `n` values from `first` up to the thread's top.
///
/// # Safety
/// The current frame is the protected call's.
unsafe fn deliver_outcome(vm: *mut Vm, ok: Value, first: *mut Value, n: usize) -> Step {
    // SAFETY: the slot below the values (pcall itself, or the handler) is dead, but for a hook, which looks at the function:
    // for that the values are copied, after room was made.
    unsafe {
        if !(*vm).hooked {
            *first.sub(1) = ok;
            return call::deliver(vm, first.sub(1), n + 1);
        }
        let offset = first.offset_from((*(*vm).thread).stack);
        if (*vm).ensure_stack(n + 1).is_err() {
            return Step::Raise;
        }
        let th = (*vm).thread;
        let copy = (*th).top;
        *copy = ok;
        std::ptr::copy_nonoverlapping((*th).stack.offset(offset), copy.add(1), n);
        (*th).top = copy.add(n + 1);
        call::deliver(vm, copy, n + 1)
    }
}

/// Moves `n` values from one thread's stack to the top of another's.
unsafe fn move_values(vm: *mut Vm, from: *mut Value, n: usize, to: *mut Thread) -> Result<(), Raised> {
    // SAFETY: room is made on the target's stack; the stacks are different buffers.
    unsafe {
        let current = (*vm).thread;
        (*vm).thread = to;
        let room = (*vm).ensure_stack(n + 2);
        (*vm).thread = current;
        room?;
        for k in 0..n {
            *(*to).top.add(k) = *from.add(k);
        }
        (*to).top = (*to).top.add(n);
        Ok(())
    }
}

unsafe fn start_resume(vm: *mut Vm) -> Step {
    // SAFETY: the current frame is ours; its first argument is checked.
    unsafe {
        let Ok(co) = (*vm).check_thread(1) else {
            return Step::Raise;
        };
        let th = (*vm).thread;
        (*(*th).frame).kind = frame::RESUME;
        let args = (*(*th).frame).base.add(1);
        let n = (*th).top.offset_from(args) as usize;
        resume(vm, co.as_ptr(), args, n)
    }
}

unsafe fn start_wrapped(vm: *mut Vm) -> Step {
    // SAFETY: the upvalue of a wrapped function is its coroutine.
    unsafe {
        let th = (*vm).thread;
        (*(*th).frame).kind = frame::WRAP;
        let args = (*(*th).frame).base;
        let n = (*th).top.offset_from(args) as usize;
        let co = pointer::<Thread>((*vm).upvalue(1));
        resume(vm, co, args, n)
    }
}

/// Resumes `co` with `n` values. The current frame is the one that waits for it.
unsafe fn resume(vm: *mut Vm, co: *mut Thread, args: *mut Value, n: usize) -> Step {
    // SAFETY: a suspended coroutine has either its body below the arguments on top of its bottom frame, or a `yield` frame.
    unsafe {
        let th = (*vm).thread;
        if (*co).status != ThreadStatus::Suspended {
            let what = match (*co).status {
                ThreadStatus::Dead => "dead",
                status => match (*vm).dialect.resume_text {
                    ResumeText::Status if status == ThreadStatus::Normal => "normal",
                    ResumeText::Status => "running",
                    // Nothing is left on its stack. Its own arguments are, if it resumes itself.
                    ResumeText::Dead
                        if (*(*co).frame).kind == frame::WRAP && (status == ThreadStatus::Normal || n == 0) =>
                    {
                        "dead"
                    }
                    ResumeText::Dead | ResumeText::NonSuspended => "non-suspended",
                },
            };
            let text = format!("cannot resume {what} coroutine");
            return refuse_resume(vm, text.as_bytes());
        }
        if (*vm).resume_depth >= MAX_NESTED_RESUMES {
            return refuse_resume(vm, b"C stack overflow");
        }
        if move_values(vm, args, n, co).is_err() {
            return refuse_resume(vm, b"too many arguments to resume");
        }
        (*vm).resume_depth += 1;
        (*co).resumer = th;
        (*th).status = ThreadStatus::Normal;
        (*co).status = ThreadStatus::Running;
        (*vm).thread = co;
        if !(*co).started {
            (*co).started = true;
            let func = (*co).top.sub(n + 1);
            return call::call_value(vm, func, ALL, frame::HANDLED);
        }
        // The values are what `yield` returns.
        debug_assert!((*(*co).frame).kind == frame::YIELD);
        call::deliver(vm, (*co).top.sub(n), n)
    }
}

/// Coroutines that may have resumed one another in a chain.
pub(crate) const MAX_NESTED_RESUMES: u32 = perilune_base::limits::MAX_C_CALLS - 4;

/// A resume that cannot happen: an error value for `resume`, an error for a wrapped function.
unsafe fn refuse_resume(vm: *mut Vm, message: &[u8]) -> Step {
    // SAFETY: the current frame waits for the coroutine.
    unsafe {
        let text = (*vm).string(message);
        if (*(*(*vm).thread).frame).kind == frame::WRAP {
            let _ = (*vm).error_bytes(message);
            return Step::Raise;
        }
        deliver_to_resumer(vm, false, &[text])
    }
}

/// Ends the `resume` frame of the current thread with a success flag and values.
unsafe fn deliver_to_resumer(vm: *mut Vm, ok: bool, values: &[Value]) -> Step {
    // SAFETY: a native frame has room for a few results.
    unsafe {
        let th = (*vm).thread;
        let first = (*(*th).frame).base;
        (*th).top = first;
        (*vm).push(Value::bool(ok));
        for v in values {
            (*vm).push(*v);
        }
        call::deliver(vm, first, 1 + values.len())
    }
}

/// Gives control back to the resumer with the `n` values from `first` of the current coroutine.
unsafe fn switch_to_resumer(vm: *mut Vm, first: *mut Value, n: usize) -> Step {
    // SAFETY: a running coroutine other than the main one has a resumer, whose current frame waits for it.
    unsafe {
        let co = (*vm).thread;
        let th = (*co).resumer;
        (*co).resumer = std::ptr::null_mut();
        (*vm).thread = th;
        (*th).status = ThreadStatus::Running;
        (*vm).resume_depth -= 1;
        let f = (*th).frame;
        let wrapped = (*f).kind == frame::WRAP;
        (*th).top = (*f).base;
        if !wrapped {
            (*vm).push(Value::TRUE);
        }
        if move_values(vm, first, n, th).is_err() {
            return Step::Raise;
        }
        let f = (*th).frame;
        let total = n + usize::from(!wrapped);
        call::deliver(vm, (*f).base, total)
    }
}

/// Whether a coroutine is not in Lua functions only that call one another, or is the main one.
///
/// # Safety
/// `f` is the frame that calls `yield`; if it is that of a Lua function, its `pc` is stored.
#[inline(never)]
pub(crate) unsafe fn has_boundary(co: *mut Thread, mut f: *mut Frame) -> bool {
    // SAFETY: the lowest frame is the thread's bottom frame. The `pc` of a Lua frame that waits for another one is behind an
    // instruction of its code.
    unsafe {
        if (*co).non_yieldable > 0 {
            return true;
        }
        while (*f).kind == frame::LUA && matches!((*(*f).pc.sub(1)).op(), Some(Op::Call | Op::TailCall)) {
            f = f.sub(1);
        }
        (*f).kind != frame::BOTTOM
    }
}

unsafe fn start_yield(vm: *mut Vm) -> Step {
    // SAFETY: the current frame is ours.
    unsafe {
        let co = (*vm).thread;
        if !(*vm).dialect.yields_anywhere && has_boundary(co, (*co).frame.sub(1)) {
            let _ = (*vm).run_error("attempt to yield across metamethod/C-call boundary");
            return Step::Raise;
        }
        if (*co).non_yieldable > 0 {
            let message = if std::ptr::eq(co, (*vm).main) {
                "attempt to yield from outside a coroutine"
            } else {
                "attempt to yield across a C-call boundary"
            };
            let _ = (*vm).run_error(message);
            return Step::Raise;
        }
        let f = (*co).frame;
        (*f).kind = frame::YIELD;
        (*co).status = ThreadStatus::Suspended;
        let first = (*f).base;
        let n = (*co).top.offset_from(first) as usize;
        // What is yielded leaves this stack; what `resume` passes will take its place.
        (*co).top = first;
        switch_to_resumer(vm, first, n)
    }
}

/// The body of the current coroutine has returned; its results start at `func`.
///
/// # Safety
/// The current frame is the coroutine's bottom frame.
pub(crate) unsafe fn coroutine_returned(vm: *mut Vm, func: *mut Value) -> Step {
    // SAFETY: results end at the thread's top.
    unsafe {
        let co = (*vm).thread;
        let n = (*co).top.offset_from(func) as usize;
        (*co).status = ThreadStatus::Dead;
        (*co).top = (*(*co).frame).base;
        switch_to_resumer(vm, func, n)
    }
}

/// The current coroutine has closed itself, and all its frames are given up: closes its variables, and ends it.
///
/// # Safety
/// As [`coroutine_failed`].
unsafe fn coroutine_closed_itself(vm: *mut Vm) -> Step {
    // SAFETY: the bottom frame of a coroutine is always there, and handlers run above its variables.
    unsafe {
        let co = (*vm).thread;
        (*co).frame = (*co).frames;
        let error = (*vm).close_all(1, None);
        (*co).frame = (*co).frames;
        if let Some(error) = error {
            let _ = (*vm).raise(error);
        }
        if error.is_some() || (*vm).abort.is_some() {
            return coroutine_failed(vm);
        }
        (*co).status = ThreadStatus::Dead;
        (*co).top = (*(*co).frame).base;
        switch_to_resumer(vm, (*co).top, 0)
    }
}

/// An error has reached the bottom of the current coroutine.
///
/// # Safety
/// The current thread is not the main one, which has a frame that the host called.
pub(crate) unsafe fn coroutine_failed(vm: *mut Vm) -> Step {
    // SAFETY: as in `switch_to_resumer`.
    unsafe {
        let co = (*vm).thread;
        if matches!((*vm).abort, Some(Abort::Close)) {
            (*vm).abort = None;
            return coroutine_closed_itself(vm);
        }
        let th = (*co).resumer;
        (*co).status = ThreadStatus::Dead;
        (*co).resumer = std::ptr::null_mut();
        (*co).error = (*vm).error;
        (*vm).thread = th;
        (*th).status = ThreadStatus::Running;
        (*vm).resume_depth -= 1;
        if (*vm).abort.is_some() {
            return Step::Raise;
        }
        if (*(*th).frame).kind == frame::RESUME {
            let error = (*vm).caught_error();
            return deliver_to_resumer(vm, false, &[error]);
        }
        // A wrapped function closes its coroutine and passes the error on, with a position when it is a string.
        let ran_out = (*vm).is_memory_error();
        let failed_with = (*co).error;
        let error = match (*vm).close_coroutine(Gc::from_ptr(co)) {
            Ok(Some(e)) => e,
            Ok(None) => Value::NIL,
            Err(_) => return Step::Raise,
        };
        if ran_out && (*vm).dialect.bare_memory_errors && error.raw_equals(failed_with) {
            let _ = (*vm).memory_error();
            return Step::Raise;
        }
        let _ = match error.as_str() {
            Some(s) => (*vm).error_bytes(s.as_bytes()),
            None => (*vm).throw(error),
        };
        Step::Raise
    }
}

/// The status of a coroutine as `coroutine.status` names it.
#[must_use]
pub fn status_of(co: ThreadRef) -> &'static str {
    // SAFETY: the thread is alive.
    match unsafe { (*co.as_ptr()).status } {
        ThreadStatus::Suspended => "suspended",
        ThreadStatus::Running => "running",
        ThreadStatus::Normal => "normal",
        ThreadStatus::Dead => "dead",
    }
}

impl Vm {
    /// A suspended coroutine that will run `f`, which is kept somewhere. **(safepoint)**
    pub fn new_coroutine(&mut self, f: Value) -> Result<ThreadRef, Raised> {
        self.check_coroutines()?;
        let Ok(th) = new_thread(&mut self.heap) else {
            return Err(self.memory_error());
        };
        // SAFETY: the thread was just made; its stack has room. A new thread inherits what its maker's hook waits for, not the
        // function: the debug library knows that by the thread.
        unsafe {
            *(*th).top = f;
            (*th).top = (*th).top.add(1);
            let maker = self.thread;
            (*th).hook_mask = (*maker).hook_mask;
            (*th).hook_count = (*maker).hook_count;
            (*th).hook_left = (*th).hook_count;
            self.hooked_threads += u32::from((*maker).hook_mask != 0);
            self.inherit_globals(Gc::from_ptr(th))?;
            Ok(Gc::from_ptr(th))
        }
    }

    /// Gives back what a runaway recursion has used of the current thread's stack, if no function runs on it. One that does
    /// may have made room for more than its frame.
    pub(crate) fn give_back_idle_stack(&mut self) {
        if self.frame_depth() == 0 {
            // SAFETY: it is the current thread. No frame has pointers into its stack, and hosts, native functions among them, know values
            // there by their numbers.
            unsafe { give_back_stack(self, self.thread) };
        }
    }

    /// Whether a coroutine could yield now.
    pub fn is_yieldable(&self, co: ThreadRef) -> bool {
        // SAFETY: the thread is alive.
        unsafe { (*co.as_ptr()).non_yieldable == 0 }
    }

    /// Kills a suspended or dead coroutine, closing its variables: `Some` is the error that it ended with.
    pub fn close_coroutine(&mut self, co: ThreadRef) -> Result<Option<Value>, Raised> {
        let co = co.as_ptr();
        // SAFETY: the thread is alive and not running, so its frames may be dropped. Handlers run on its own stack, as the
        // current thread, which is restored.
        unsafe {
            let failed = !(*co).error.is_nil();
            let error = failed.then_some((*co).error);
            (*co).status = ThreadStatus::Dead;
            (*co).error = Value::NIL;
            let back = self.thread;
            (*self.thread).status = ThreadStatus::Normal;
            (*co).resumer = back;
            self.thread = co;
            (*co).status = ThreadStatus::Running;
            (*co).frame = (*co).frames;
            let result = self.close_all(1, error);
            (*co).status = ThreadStatus::Dead;
            (*co).resumer = std::ptr::null_mut();
            (*co).frame = (*co).frames;
            (*co).top = (*(*co).frame).base;
            (*co).to_close.clear();
            self.thread = back;
            (*back).status = ThreadStatus::Running;
            if self.abort.is_some() { Err(Raised(())) } else { Ok(result) }
        }
    }

    /// Resumes a coroutine from host code: the values that it yielded or returned, or its error. **(safepoint)**
    pub fn resume(&mut self, co: ThreadRef, args: &[Value]) -> Result<Vec<Value>, Raised> {
        let f = self.control_function(Control::Wrapped, &[Value::thread(co)]);
        self.ensure_stack(args.len() + 2)?;
        let below = self.stack_height();
        self.push(f);
        for a in args {
            self.push(*a);
        }
        self.call(args.len(), ALL)?;
        Ok(self.pop_above(below))
    }

    /// The running coroutine ends here: no protected call keeps it from that, but its variables are closed.
    pub fn close_running(&mut self) -> Raised {
        self.abort = Some(Abort::Close);
        Raised(())
    }

    /// Whether a value is a coroutine that is the running one or waits for it.
    pub fn is_active(&self, co: ThreadRef) -> bool {
        // SAFETY: the thread is alive.
        matches!(unsafe { (*co.as_ptr()).status }, ThreadStatus::Running | ThreadStatus::Normal)
    }
}
