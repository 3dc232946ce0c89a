//! How a host calls into the VM: values in, values out, errors as values of Rust.

use perilune_runtime::value::Value;

use crate::control::Control;
use crate::limits::Violation;
use crate::native::Raised;
use crate::vm::{Abort, Vm};

/// Why a call from the host failed.
#[derive(Clone, Debug)]
pub enum VmError {
    /// A Lua error that nothing caught.
    Lua {
        /// The error value. It is no root: pin it or use it before the next safepoint.
        value: Value,
        /// The traceback where it was raised, if it was asked for.
        traceback: Option<Vec<u8>>,
    },
    /// A limit was reached.
    Limit(Violation),
    /// The script asked to leave with this code, after closing the VM or without.
    Exit {
        /// The exit code.
        code: i32,
        /// Whether the VM should be closed first.
        close: bool,
    },
}

impl Vm {
    /// Calls `f`. The results are no roots. **(safepoint)**
    pub fn host_call(&mut self, f: Value, args: &[Value], with_traceback: bool) -> Result<Vec<Value>, VmError> {
        let height = self.stack_height();
        let frame = self.frame_depth();
        let call = |vm: &mut Vm| -> Result<(), Raised> {
            vm.ensure_stack(args.len() + 2)?;
            vm.push(f);
            for a in args {
                vm.push(*a);
            }
            vm.call(args.len(), -1)
        };
        match call(self) {
            Ok(()) => Ok(self.pop_above(height)),
            Err(Raised(())) => Err(self.leave_failed(frame, height, with_traceback)),
        }
    }

    /// Calls `f` as `xpcall` does: a failure is what `handler` makes of the error, before anything is closed. The results
    /// are no roots. **(safepoint)**
    pub fn host_call_handled(&mut self, f: Value, handler: Value, args: &[Value]) -> Result<Vec<Value>, VmError> {
        let protected = self.control_function(Control::HostXPCall, &[]);
        let all = [&[f, handler], args].concat();
        let mut results = self.host_call(protected, &all, false)?;
        if results.first().is_some_and(|ok| ok.is_truthy()) {
            results.remove(0);
            return Ok(results);
        }
        let value = results.get(1).copied().unwrap_or(Value::NIL);
        Err(VmError::Lua { value, traceback: None })
    }

    /// The error on its way as a value of Rust. The frames that it passed are still in place.
    pub fn take_error(&mut self, with_traceback: bool) -> VmError {
        self.overflowing = false;
        match self.abort.take() {
            Some(Abort::Limit(v)) => VmError::Limit(v),
            Some(Abort::Exit { code, close }) => VmError::Exit { code, close },
            Some(Abort::Close) => {
                // Code of the host lies between the coroutine's end and its beginning.
                let value = self.string(b"cannot close a coroutine through a call of the host");
                VmError::Lua { value, traceback: None }
            }
            None => {
                let value = self.caught_error();
                let traceback = with_traceback.then(|| {
                    let (th, _) = self.running();
                    self.traceback(th, None, 0)
                });
                VmError::Lua { value, traceback }
            }
        }
    }

    /// After a failed call: drops its frames, closing their variables, and takes the error.
    #[cold]
    #[inline(never)]
    pub(crate) fn leave_failed(&mut self, depth: usize, height: usize, with_traceback: bool) -> VmError {
        let trace = (with_traceback && self.abort.is_none()).then(|| {
            let (running, _) = self.running();
            self.traceback(running, None, 0)
        });
        self.drop_failed(depth, height);
        self.give_back_idle_stack();
        match self.take_error(false) {
            VmError::Lua { value, .. } => VmError::Lua { value, traceback: trace },
            stopped => stopped,
        }
    }

    /// Values on the current thread's stack.
    pub fn stack_height(&self) -> usize {
        // SAFETY: the current thread is alive.
        unsafe { (*self.thread).top.offset_from((*self.thread).stack) as usize }
    }

    /// Takes off all values above a height.
    pub fn pop_above(&mut self, height: usize) -> Vec<Value> {
        // SAFETY: the values between `height` and `top` are initialised.
        unsafe {
            let th = self.thread;
            let from = (*th).stack.add(height);
            let n = (*th).top.offset_from(from).max(0) as usize;
            let values = std::slice::from_raw_parts(from, n).to_vec();
            (*th).top = from;
            values
        }
    }

    /// Frames on the current thread.
    pub(crate) fn frame_depth(&self) -> usize {
        // SAFETY: the current thread is alive.
        unsafe { (*self.thread).frame.offset_from((*self.thread).frames) as usize }
    }

    /// After a failed call: closes what its frames left open, and drops them. The error on its way may be another one then.
    pub(crate) fn drop_failed(&mut self, depth: usize, height: usize) {
        let vm: *mut Vm = self;
        // SAFETY: the frames above `depth` and the values above `height` belong to the failed call.
        unsafe {
            let th = self.thread;
            if self.abort.is_none() {
                (*th).frame = (*th).frames.add(depth);
                crate::hooks::frames_dropped(th);
                if let Some(error) = self.close_all(height, Some(self.error)) {
                    let _ = self.raise(error);
                }
            }
            // Leaving with `os.exit(code, true)` closes variables too, and so does a coroutine that closes itself. Another
            // `os.exit` in a handler changes the code.
            while let Some(Abort::Exit { close: true, .. } | Abort::Close) = self.abort
                && crate::interp::close::has_pending(th, height)
            {
                let exit = self.abort.take();
                (*th).frame = (*th).frames.add(depth);
                let _ = self.close_all(height, None);
                if self.abort.is_none() {
                    self.abort = exit;
                }
            }
            // Nothing is closed if the script was stopped.
            crate::interp::close::close_upvalues(vm, (*th).stack.add(height));
            (*th).to_close.retain(|&at| (at as usize) < height);
            (*th).frame = (*th).frames.add(depth);
            crate::hooks::frames_dropped(th);
            (*th).top = (*th).stack.add(height);
            self.overflowing = false;
        }
    }

    /// As [`Vm::drop_failed`] for the frames whose function lies at or above a stack offset.
    pub(crate) fn drop_failed_above(&mut self, height: isize) {
        // SAFETY: the current thread is alive; its bottom frame's function is the first slot.
        let depth = unsafe {
            let th = self.thread;
            let mut f = (*th).frame;
            while f > (*th).frames && (*f).func.offset_from((*th).stack) >= height {
                f = f.sub(1);
            }
            f.offset_from((*th).frames) as usize
        };
        self.drop_failed(depth, height as usize);
    }

    /// The text that `tostring` gives, with `__tostring` and `__name`. **(safepoint)**
    pub fn to_display(&mut self, v: Value) -> Result<perilune_runtime::object::StrRef, Raised> {
        crate::display::to_display(self, v)
    }
}
