//! Safepoints: the collector's steps, finalizers, and what happens when memory runs out.
//!
//! A safepoint is the only place where objects are freed. Everything live must then be reachable: registers of Lua frames
//! and values of native frames are, because `top` is set above them before.

use perilune_base::dialect::table::FinalizerErrors;
use perilune_bytecode::ops::Op;
use perilune_runtime::heap::Heap;
use perilune_runtime::object::Thread;
use perilune_runtime::spare::has_room;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use crate::frame;
use crate::limits::Violation;
use crate::meta::{self, Event};
use crate::names;
use crate::native::Raised;
use crate::vm::{Abort, Vm};

/// Where the live registers of a Lua frame end, if the instruction at which it stands tells: instructions that build
/// something do so on top of them.
///
/// # Safety
/// `f` is a Lua frame of a live thread, with `pc` stored.
pub(crate) unsafe fn live_registers(f: *mut Frame) -> Option<*mut Value> {
    // SAFETY: the registers of an instruction are slots of the frame.
    unsafe {
        let (p, _, pc) = names::code_of(f);
        let i = *p.code.get(pc)?;
        let end = match i.op()? {
            Op::NewTable | Op::NewRecord | Op::SetList | Op::Closure => usize::from(i.a()) + 1,
            // The operands, which the result need not replace.
            Op::Concat => usize::from(i.b()).max(usize::from(i.a()) + 1),
            _ => return None,
        };
        Some((*f).base.add(end))
    }
}

/// Clears the dead registers of the current Lua frame, from `end` on. What calls left in them would be kept alive for as
/// long as the function runs.
///
/// # Safety
/// `th` is the current thread, and `end` a slot of its stack above everything that lives.
pub(crate) unsafe fn forget(th: *mut Thread, end: *mut Value) {
    // SAFETY: the caller's duty; the registers end inside the stack.
    unsafe {
        let mut slot = end;
        while slot < (*(*th).frame).top {
            *slot = Value::NIL;
            slot = slot.add(1);
        }
    }
}

impl Vm {
    /// Lets the collector work if it is due. **(safepoint)**
    #[inline]
    pub fn safepoint(&mut self) -> Result<(), Raised> {
        if self.heap.step_due() && !self.frozen { self.collector_step() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn collector_step(&mut self) -> Result<(), Raised> {
        // What has a finalizer is freed only after that has run.
        const ROUNDS: u32 = 3;
        let (heap, mut roots) = self.roots();
        let mut fits = heap.safepoint(&mut roots).is_ok();
        self.hurry();
        for _ in 0..ROUNDS {
            let finalizes = self.heap.has_finalizable();
            self.run_finalizers()?;
            if fits || !finalizes {
                break;
            }
            self.emergency_collect();
            fits = !self.heap.lacks_memory();
        }
        if !fits && self.heap.lacks_memory() {
            return Err(self.memory_error());
        }
        Ok(())
    }

    /// A full collection, with the finalizers of what it found. **(safepoint)**
    pub fn collect(&mut self) -> Result<(), Raised> {
        if self.frozen {
            return Err(Raised(()));
        }
        let (heap, mut roots) = self.roots();
        heap.full(&mut roots);
        self.hurry();
        // A finalizer that collects runs others inside it, where it may collect.
        let outer = self.finalizing;
        self.finalizing &= !self.dialect.finalizers_collect;
        let result = self.run_finalizers();
        self.finalizing = outer;
        self.give_back_idle_stack();
        result
    }

    /// A collector step as `collectgarbage("step", kib)`: whether it ended a cycle. **(safepoint)**
    pub fn collect_step(&mut self, kib: usize) -> Result<bool, Raised> {
        if self.frozen {
            return Err(Raised(()));
        }
        let (heap, mut roots) = self.roots();
        let done = heap.step_kbytes(&mut roots, kib);
        self.hurry();
        self.run_finalizers()?;
        Ok(done)
    }

    /// A full collection without finalizers, because memory for what is being done is short. **(safepoint)**
    pub fn emergency_collect(&mut self) {
        if self.frozen {
            return;
        }
        let (heap, mut roots) = self.roots();
        heap.full(&mut roots);
        self.hurry();
    }

    /// [`Vm::emergency_collect`] that keeps values which may be in variables only. **(safepoint)**
    #[cold]
    pub(crate) fn collect_around(&mut self, values: [Value; 3]) {
        let places = values.map(|v| self.pin(v));
        self.emergency_collect();
        for place in places {
            self.unpin(place);
        }
    }

    /// Makes sure that `bytes` may be allocated, collecting if need be. **(safepoint)**
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Raised> {
        // What is smaller, an allocator that keeps memory back serves in any case.
        const LARGE: usize = 1 << 20;
        let fits = |heap: &Heap| heap.try_reserve(bytes).is_ok() && (bytes < LARGE || has_room(bytes));
        // What collects rarely is to collect always where that is tested.
        if fits(&self.heap) && !self.heap.stress() {
            return Ok(());
        }
        self.emergency_collect();
        if fits(&self.heap) { Ok(()) } else { Err(self.memory_error()) }
    }

    /// Makes sure that a string of so many bytes may be made. **(safepoint)**
    pub fn reserve_str(&mut self, len: usize) -> Result<(), Raised> {
        match Heap::room_for_str(len) {
            Some(0) => Ok(()),
            Some(bytes) => self.reserve(bytes),
            None => Err(self.memory_error()),
        }
    }

    /// Runs the finalizers that are due.
    fn run_finalizers(&mut self) -> Result<(), Raised> {
        if self.finalizing || !self.heap.has_finalizable() {
            return Ok(());
        }
        self.finalizing = true;
        let result = self.drain_finalizers();
        self.finalizing = false;
        result
    }

    fn drain_finalizers(&mut self) -> Result<(), Raised> {
        while self.heap.has_finalizable() {
            // What there is no room for now is finalized later.
            self.ensure_stack(4)?;
            let Some(object) = self.heap.next_finalizable() else { break };
            let handler = meta::metamethod(self, object, Event::Gc);
            let is_ignored = self.dialect.finalizer_errors == FinalizerErrors::Wrapped && !handler.is_function();
            if handler.is_nil() || is_ignored {
                continue;
            }
            // What is on its way stays there while the finalizer runs; it may happen between any two instructions.
            let waiting = self.error;
            let place = self.pin(waiting);
            // SAFETY: the current thread is alive; `top` is above its live values.
            let height = unsafe { (*self.thread).top.offset_from((*self.thread).stack) };
            // No hook looks at finalizers.
            // SAFETY: as above.
            let in_hook = unsafe { std::mem::replace(&mut (*self.thread).in_hook, true) };
            let result = if handler.is_function() || !meta::metamethod(self, handler, Event::Call).is_nil() {
                self.push(handler);
                self.push(object);
                self.call_flagged(1, 0, frame::FINALIZER)
            } else {
                Err(crate::errors::finalizer_call(self, handler))
            };
            let failed = result.is_err();
            if failed {
                self.drop_failed_above(height);
            }
            // SAFETY: as above; the stack may have moved.
            unsafe {
                (*self.thread).in_hook = in_hook;
                (*self.thread).top = (*self.thread).stack.offset(height);
            }
            if failed {
                if self.abort.is_some() {
                    self.unpin(place);
                    return Err(Raised(()));
                }
                let error = self.error;
                match self.dialect.finalizer_errors {
                    FinalizerErrors::Warned => self.warn_about_finalizer(error),
                    _ if self.closed => {}
                    FinalizerErrors::Raised => {
                        self.unpin(place);
                        return Err(self.raise(error));
                    }
                    FinalizerErrors::Wrapped => {
                        self.unpin(place);
                        let text = error.as_str().map_or_else(|| b"no message".to_vec(), |s| s.as_bytes().to_vec());
                        return Err(self.raise_unhandled(&[b"error in __gc metamethod (", &text[..], b")"].concat()));
                    }
                }
            }
            self.error = self.pinned(place);
            self.unpin(place);
        }
        Ok(())
    }

    fn warn_about_finalizer(&mut self, error: Value) {
        let text = match error.as_str() {
            Some(s) => s.as_bytes().to_vec(),
            None => b"error object is not a string".to_vec(),
        };
        self.warn(b"error in ", true);
        self.warn(b"__gc", true);
        self.warn(b" (", true);
        self.warn(&text, true);
        self.warn(b")", false);
    }

    /// Whether a finalizer is running.
    pub fn in_finalizer(&self) -> bool {
        self.finalizing
    }

    /// Emits a warning, or a part of one.
    pub fn warn(&mut self, message: &[u8], to_be_continued: bool) {
        crate::warnings::warn(self, message, to_be_continued);
    }

    /// Gives up the VM without closing it: variables and finalizers that wait are left alone.
    pub fn abandon(&mut self) {
        self.closed = true;
    }

    /// Closes the variables that wait for it and calls all finalizers: the end of a VM's life. `Some` is the exit code
    /// that one of them has asked for with `os.exit`.
    pub fn close(&mut self) -> Option<i32> {
        self.try_close().unwrap_or_default()
    }

    /// [`Vm::close`]; a limit that ends it early is an error.
    pub fn try_close(&mut self) -> Result<Option<i32>, Violation> {
        if self.closed {
            return Ok(None);
        }
        self.closed = true;
        self.abort = None;
        // SAFETY: no Lua code is running when a host closes its VM, so the main thread's frames may be dropped.
        unsafe {
            self.thread = self.main;
            (*self.main).frame = (*self.main).frames;
            (*self.main).top = (*(*self.main).frame).base;
        }
        let mut code = None;
        // Variables of the main program that wait to be closed are closed first.
        for stage in [Vm::close_variables, Vm::finalize_everything] {
            loop {
                stage(self);
                match self.abort.take() {
                    // The main thread does not close itself.
                    None | Some(Abort::Close) => break,
                    Some(Abort::Exit { code: asked, close }) => {
                        code = Some(asked);
                        if !close {
                            return Ok(code);
                        }
                    }
                    Some(Abort::Limit(violation)) => return Err(violation),
                }
            }
        }
        Ok(code)
    }

    fn close_variables(&mut self) {
        let _ = self.close_all(1, None);
    }

    fn finalize_everything(&mut self) {
        self.heap.finalize_all();
        // What stops it is looked at by the caller.
        let _ = self.run_finalizers();
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.close();
    }
}
