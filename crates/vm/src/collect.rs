//! Safepoints: the collector's steps, finalizers, and what happens when memory runs out.
//!
//! A safepoint is the only place where objects are freed. Everything live must then be reachable: registers of Lua frames
//! and values of native frames are, because `top` is set above them before.

use perilune_runtime::value::Value;

use crate::frame;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

impl Vm {
    /// Lets the collector work if it is due. **(safepoint)**
    #[inline]
    pub fn safepoint(&mut self) -> Result<(), Raised> {
        if self.heap.step_due() { self.collector_step() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn collector_step(&mut self) -> Result<(), Raised> {
        let (heap, mut roots) = self.roots();
        let fits = heap.safepoint(&mut roots).is_ok();
        self.run_finalizers()?;
        if !fits && self.heap.over_limit() {
            return Err(self.memory_error());
        }
        Ok(())
    }

    /// A full collection, with the finalizers of what it found. **(safepoint)**
    pub fn collect(&mut self) -> Result<(), Raised> {
        let (heap, mut roots) = self.roots();
        heap.full(&mut roots);
        self.run_finalizers()
    }

    /// A collector step as `collectgarbage("step", kib)`: whether it ended a cycle. **(safepoint)**
    pub fn collect_step(&mut self, kib: usize) -> Result<bool, Raised> {
        let (heap, mut roots) = self.roots();
        let done = heap.step_kbytes(&mut roots, kib);
        self.run_finalizers()?;
        Ok(done)
    }

    /// A full collection without finalizers, because memory for what is being done is short. **(safepoint)**
    pub fn emergency_collect(&mut self) {
        let (heap, mut roots) = self.roots();
        heap.full(&mut roots);
    }

    /// Makes sure that `bytes` may be allocated, collecting if need be. **(safepoint)**
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Raised> {
        if self.heap.try_reserve(bytes).is_ok() {
            return Ok(());
        }
        self.emergency_collect();
        if self.heap.try_reserve(bytes).is_ok() { Ok(()) } else { Err(self.memory_error()) }
    }

    /// Runs the finalizers that are due. Their errors become warnings.
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
        while let Some(object) = self.heap.next_finalizable() {
            let handler = meta::metamethod(self, object, Event::Gc);
            if handler.is_nil() {
                continue;
            }
            // What is on its way stays there while the finalizer runs; it may happen between any two instructions.
            let waiting = self.error;
            let place = self.pin(waiting);
            // SAFETY: the current thread is alive; `top` is above its live values.
            let height = unsafe { (*self.thread).top.offset_from((*self.thread).stack) };
            self.ensure_stack(4)?;
            self.push(handler);
            self.push(object);
            let result = self.call_flagged(1, 0, frame::FINALIZER);
            let failed = result.is_err();
            if failed {
                self.drop_frames_above(height);
            }
            // SAFETY: as above; the stack may have moved.
            unsafe {
                (*self.thread).top = (*self.thread).stack.offset(height);
            }
            if failed {
                if self.abort.is_some() {
                    self.unpin(place);
                    return Err(Raised(()));
                }
                let error = self.error;
                self.warn_about_finalizer(error);
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

    /// Closes the variables that wait for it and calls all finalizers: the end of a VM's life.
    pub fn close(&mut self) {
        if self.closed {
            return;
        }
        self.closed = true;
        self.abort = None;
        // Variables of the main program that wait to be closed are closed first.
        // SAFETY: no Lua code is running when a host closes its VM, so the main thread's frames may be dropped.
        unsafe {
            self.thread = self.main;
            (*self.main).frame = (*self.main).frames;
            (*self.main).top = (*(*self.main).frame).base;
        }
        let _ = self.close_all(1, None);
        self.abort = None;
        // Finalizers may create more objects with finalizers; a few rounds are enough for any honest program.
        for _ in 0..10 {
            self.heap.finalize_all();
            if !self.heap.has_finalizable() {
                break;
            }
            if self.run_finalizers().is_err() {
                break;
            }
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.close();
    }
}
