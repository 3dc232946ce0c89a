//! What an embedding API needs beyond [`crate::host_call`]: values by their height on the stack, calls whose arguments and
//! results stay there, and places of handles that change their value.
//!
//! Heights count slots from the bottom of the current thread's stack, so they stay right when the stack moves.

use std::mem;
use std::time::Duration;

use perilune_runtime::object::ThreadRef;
use perilune_runtime::value::Value;

use crate::host_call::VmError;
use crate::limits::{Limits, Violation};
use crate::native::{MIN_STACK, Raised};
use crate::vm::{Abort, Vm};

/// Most slots that a function needs beside its arguments: registers, parameters, and room for its own calls.
const CALLEE_SLOTS: usize = 3 * 256 + MIN_STACK;

impl Limits {
    /// No limits.
    #[must_use]
    pub fn new() -> Limits {
        Limits::default()
    }

    /// Limits the units of fuel.
    #[must_use]
    pub fn with_instructions(mut self, units: u64) -> Limits {
        self.instructions = Some(units);
        self
    }

    /// Limits the bytes of the heap.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Limits {
        self.memory = Some(bytes);
        self
    }

    /// Limits the depth of calls in a coroutine, the main one included; less than four counts as four.
    #[must_use]
    pub fn with_depth(mut self, calls: u32) -> Limits {
        self.depth = Some(calls);
        self
    }

    /// Limits the coroutines that are alive at once, the main one not counted.
    #[must_use]
    pub fn with_coroutines(mut self, count: u32) -> Limits {
        self.coroutines = Some(count);
        self
    }

    /// Limits the time.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Limits {
        self.time = Some(time);
        self
    }
}

/// Values on the stack.
impl Vm {
    /// The height of the running native function's first argument.
    #[inline]
    pub fn args_height(&self) -> usize {
        // SAFETY: the current thread is alive; the base of its frame is a slot of its stack.
        unsafe { (*(*self.thread).frame).base.offset_from((*self.thread).stack) as usize }
    }

    /// The value at a height; nil above the top.
    #[inline]
    pub fn slot(&self, height: usize) -> Value {
        // SAFETY: the slots below `top` are initialised.
        unsafe { if height < self.stack_height() { *(*self.thread).stack.add(height) } else { Value::NIL } }
    }

    /// Drops the values above a height. Does nothing when there are none.
    #[inline]
    pub fn truncate(&mut self, height: usize) {
        debug_assert!(height >= self.args_height());
        // SAFETY: `top` only moves down, and not below the current frame.
        unsafe {
            if height < self.stack_height() {
                (*self.thread).top = (*self.thread).stack.add(height);
            }
        }
    }
}

/// Calls.
impl Vm {
    /// Calls the function below the topmost `nargs` values. Its results (`nresults` of them, or all for -1) take their
    /// place; after an error nothing does. **(safepoint)**
    pub fn call_from_host(&mut self, nargs: usize, nresults: i32) -> Result<(), VmError> {
        let height = self.stack_height() - nargs - 1;
        self.catch_above(height, |vm| {
            // These fail here, where no frame of the callee exists yet that unwinding could stop at.
            if vm.fuel < 1 {
                vm.charge(1)?;
                vm.fuel += 1;
            }
            vm.ensure_stack(2 * nargs + CALLEE_SLOTS + nresults.max(0) as usize)?;
            vm.check_callable(height)?;
            vm.call(nargs, nresults)
        })
    }

    /// Runs an operation that may raise an error, and gives the error as a value of Rust. **(safepoint)**
    #[inline]
    pub fn catch<R>(&mut self, operation: impl FnOnce(&mut Vm) -> Result<R, Raised>) -> Result<R, VmError> {
        let height = self.stack_height();
        self.catch_above(height, operation)
    }

    #[inline]
    fn catch_above<R>(
        &mut self,
        height: usize,
        operation: impl FnOnce(&mut Vm) -> Result<R, Raised>,
    ) -> Result<R, VmError> {
        let depth = self.frame_depth();
        match operation(self) {
            Ok(r) => Ok(r),
            Err(Raised(())) => Err(self.leave_failed(depth, height, true)),
        }
    }

    #[inline]
    fn check_callable(&mut self, height: usize) -> Result<(), Raised> {
        let f = self.slot(height);
        if f.is_function() || !self.metamethod(f, crate::meta::Event::Call).is_nil() {
            return Ok(());
        }
        let text = format!("attempt to call a {} value", f.type_name());
        Err(self.run_error(&text))
    }

    /// Lets a violation that a host function was told of go on to the next host.
    pub fn abort_with(&mut self, violation: Violation) -> Raised {
        self.abort = Some(Abort::Limit(violation));
        Raised(())
    }
}

/// Odds and ends.
impl Vm {
    /// Keeps another value at a place.
    #[inline]
    pub fn replace_pin(&mut self, place: u32, v: Value) -> Value {
        mem::replace(&mut self.pins[place as usize], v)
    }

    /// Sets the memory limit alone, and gives the previous one.
    pub fn set_memory_limit(&mut self, bytes: Option<usize>) -> Option<usize> {
        self.heap.set_limit(bytes.unwrap_or(usize::MAX));
        mem::replace(&mut self.limits.memory, bytes)
    }

    /// The error that a dead coroutine ended with.
    pub fn coroutine_error(&self, co: ThreadRef) -> Option<Value> {
        // SAFETY: the thread is alive.
        let error = unsafe { (*co.as_ptr()).error };
        (!error.is_nil()).then_some(error)
    }
}
