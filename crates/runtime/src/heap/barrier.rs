//! Write barriers: they keep the invariant that no black object refers to a white one.
//!
//! * *Back*: the owner turns gray again and waits for the atomic step. For tables, which are written again and again.
//! * *Forward*: the new referent is marked. For owners that are seldom written: closed upvalues, closures, metatables.
//!
//! While sweeping there is nothing to keep: an owner that is still black, not yet swept, just turns white as the sweep
//! would turn it, so that it causes no further barriers.
//!
//! Stacks and open upvalues need no barrier: threads are never black, nor are open upvalues.

use super::{Heap, Phase};
use crate::object::GcHeader;
use crate::object::mark::{BLACK, WHITES};
use crate::value::Value;

/// Whether storing `value` into `owner` asks for a barrier: a black owner, and a white object.
///
/// # Safety
/// `owner` is the header of a live object, `value` is live.
#[inline(always)]
pub unsafe fn needs_barrier(owner: *mut GcHeader, value: Value) -> bool {
    // SAFETY: the caller's duty.
    unsafe { (*owner).mark & BLACK != 0 && value.header().is_some_and(|h| (*h).mark & WHITES != 0) }
}

impl Heap {
    /// To be called after a reference was stored into a table (or another object that is written often).
    ///
    /// # Safety
    /// `owner` is the header of a live object.
    #[inline(always)]
    pub unsafe fn barrier_back(&mut self, owner: *mut GcHeader) {
        // SAFETY: the caller's duty.
        if unsafe { (*owner).mark } & BLACK != 0 {
            self.turn_gray(owner);
        }
    }

    /// To be called after `value` was stored into `owner`, which is seldom written.
    ///
    /// # Safety
    /// `owner` is the header of a live object, `value` is live.
    #[inline(always)]
    pub unsafe fn barrier_forward(&mut self, owner: *mut GcHeader, value: Value) {
        // SAFETY: the caller's duty.
        if unsafe { needs_barrier(owner, value) }
            && let Some(h) = value.header()
        {
            self.keep_invariant(owner, h);
        }
    }

    /// To be called after a reference to the object at `target` (a metatable, an upvalue, a prototype) was stored into
    /// `owner`. Null is no object.
    ///
    /// # Safety
    /// `owner` and `target` are headers of live objects, `target` may be null.
    #[inline(always)]
    pub unsafe fn barrier_object(&mut self, owner: *mut GcHeader, target: *mut GcHeader) {
        // SAFETY: the caller's duty.
        if unsafe { (*owner).mark & BLACK != 0 && !target.is_null() && (*target).mark & WHITES != 0 } {
            self.keep_invariant(owner, target);
        }
    }

    #[cold]
    #[inline(never)]
    fn turn_gray(&mut self, owner: *mut GcHeader) {
        // SAFETY: called by the barriers, with a live black owner.
        unsafe {
            (*owner).mark &= !BLACK;
            match self.phase {
                Phase::Propagate => self.push_gray_again(owner),
                Phase::Pause | Phase::Sweep => (*owner).mark |= self.white(),
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn keep_invariant(&mut self, owner: *mut GcHeader, target: *mut GcHeader) {
        // SAFETY: called by the barriers, with a live black owner and a live white target.
        unsafe {
            match self.phase {
                Phase::Propagate => self.mark_object(target),
                Phase::Pause | Phase::Sweep => (*owner).mark = (*owner).mark & !BLACK | self.white(),
            }
        }
    }
}
