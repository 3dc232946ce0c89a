//! Finalizers: which objects have one, and whose is to be called next.
//!
//! ```text
//!  setmetatable with __gc           atomic step: dead             the VM
//!  -------------------> registered ------------------> queued ------------> called, unregistered
//! ```
//! Queued objects are roots. The heap calls nothing: the VM pops an object, reads its `__gc` at that time, and calls it.

use super::Heap;
use super::pressure::push;
use crate::object::mark::{FINALIZED, FINALIZER, WHITES};
use crate::object::{GcHeader, Kind};
use crate::value::{Tag, Value};

impl Heap {
    /// Registers an object (a table or a userdata) for finalization, unless it is already, or the heap is being closed.
    /// Finalizers are called in the reverse order of registration.
    pub fn register_finalizer(&mut self, value: Value) {
        let Some(h) = value.header() else { return };
        // SAFETY: a value in the mutator's hands refers to a live object.
        unsafe {
            if (*h).mark & FINALIZER == 0 && !self.closing {
                (*h).mark |= FINALIZER;
                push(self.spare, &mut self.with_finalizer, h);
            }
        }
    }

    /// Whether an object's finalizer has been called.
    #[must_use]
    pub fn is_finalized(value: Value) -> bool {
        // SAFETY: a value in the mutator's hands refers to a live object.
        value.header().is_some_and(|h| unsafe { (*h).mark & FINALIZED != 0 })
    }

    /// The next object whose finalizer is to be called. It is no longer registered, and no longer a root.
    pub fn next_finalizable(&mut self) -> Option<Value> {
        let h = self.to_finalize.pop_front()?;
        // SAFETY: queued objects are roots.
        unsafe {
            (*h).mark = (*h).mark & !FINALIZER | FINALIZED;
            Some(value_of(h))
        }
    }

    /// Whether a finalizer is to be called.
    #[inline]
    pub fn has_finalizable(&self) -> bool {
        !self.to_finalize.is_empty()
    }

    /// Queues all registered objects, when the VM closes. From now on none is registered any more.
    pub fn finalize_all(&mut self) {
        self.closing = true;
        let mut registered = std::mem::take(&mut self.with_finalizer);
        registered.reverse();
        if self.to_finalize.is_empty() {
            // There may be little memory: the list becomes the queue.
            self.to_finalize = registered.into();
        } else {
            self.to_finalize.extend(registered);
        }
    }

    /// Queues the registered objects that were not reached, and reaches them.
    pub(super) fn queue_dead_finalizables(&mut self) {
        let queued = self.to_finalize.len();
        let mut registered = std::mem::take(&mut self.with_finalizer);
        // SAFETY: registered objects are not freed: here they are either marked or queued in every cycle.
        unsafe {
            let mut waiting = registered.len();
            for (i, &h) in registered.iter().enumerate().rev() {
                if (*h).mark & WHITES != 0 {
                    if self.to_finalize.try_reserve(1).is_err() {
                        break;
                    }
                    self.to_finalize.push_back(h);
                }
                waiting = i;
            }
            if self.to_finalize.len() > queued {
                let mut place = 0;
                registered.retain(|&h| {
                    place += 1;
                    place <= waiting || (*h).mark & WHITES == 0
                });
                for i in queued..self.to_finalize.len() {
                    self.mark_object(self.to_finalize[i]);
                }
            }
            // Without memory for the queue, those that are left live on to the next cycle.
            for &h in &registered[..waiting] {
                self.mark_object(h);
            }
        }
        self.with_finalizer = registered;
    }
}

/// The value that refers to an object of a kind that values can refer to.
///
/// # Safety
/// `h` is the header of a live object.
pub(super) unsafe fn value_of(h: *mut GcHeader) -> Value {
    // SAFETY: the caller's duty.
    let tag = match unsafe { (*h).kind } {
        Kind::Str => Tag::Str,
        Kind::Table => Tag::Table,
        Kind::LuaFn => Tag::LuaFn,
        Kind::NativeFn => Tag::NativeFn,
        Kind::UserData => Tag::UserData,
        Kind::Thread => Tag::Thread,
        Kind::Free | Kind::UpVal | Kind::Proto => return Value::NIL,
    };
    Value { payload: h.expose_provenance() as u64, tag }
}
