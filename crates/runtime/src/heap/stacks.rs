//! Threads: their stacks, frames and open upvalues.
//!
//! A stack is a raw buffer of `stack_limit - stack + EXTRA_SLOTS` values, all of them initialised. Growing moves it, and
//! rewrites every pointer into it that the thread knows of: `top`, the frames' `func`, `base` and `top`, and the slots of
//! open upvalues. Pointers in Rust variables are the caller's to renew.

use std::fmt;
use std::ptr;

use super::pressure::push;
use super::{Heap, OutOfMemory};
use crate::object::mark::{BLACK, WHITES};
use crate::object::{Kind, Thread, ThreadRef, ThreadStatus, UpVal};
use crate::stack::{EXTRA_SLOTS, Frame, HANDLER_ROOM, MAX_SLOTS};
use crate::value::Value;

/// Frames of a new thread.
const INITIAL_FRAMES: usize = 4;

/// Slots above the base that a thread's first frame calls its own.
const NATIVE_ROOM: usize = 20;

/// Why a stack did not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowError {
    /// It would have more than [`MAX_SLOTS`] slots.
    Overflow,
    /// There is no memory for it.
    OutOfMemory,
}

impl From<OutOfMemory> for GrowError {
    fn from(OutOfMemory: OutOfMemory) -> GrowError {
        GrowError::OutOfMemory
    }
}

impl fmt::Display for GrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GrowError::Overflow => "stack overflow",
            GrowError::OutOfMemory => "not enough memory",
        })
    }
}

impl std::error::Error for GrowError {}

/// Slots of a thread's stack, the extra ones included; 0 without a stack.
///
/// # Safety
/// `th` is a live thread.
pub(super) unsafe fn stack_slots(th: *mut Thread) -> usize {
    // SAFETY: the caller's duty; the pointers of a thread with a stack are into one buffer.
    unsafe { if (*th).stack.is_null() { 0 } else { (*th).stack_limit.offset_from_unsigned((*th).stack) + EXTRA_SLOTS } }
}

/// Frames that fit into a thread's buffer; 0 without one.
///
/// # Safety
/// `th` is a live thread.
pub(super) unsafe fn frame_count(th: *mut Thread) -> usize {
    // SAFETY: the caller's duty; `frames_limit` is the last frame of the buffer.
    unsafe { if (*th).frames.is_null() { 0 } else { (*th).frames_limit.offset_from_unsigned((*th).frames) + 1 } }
}

/// The end of the live slots.
///
/// # Safety
/// `th` is a live thread with a stack.
pub(super) unsafe fn live_end(th: *mut Thread) -> *mut Value {
    // SAFETY: the caller's duty; `frame` is the current frame, in the thread's buffer.
    unsafe {
        let frame = (*th).frame;
        let extent = if frame.is_null() || (*frame).pc.is_null() { (*th).top } else { (*frame).top };
        (*th).top.max(extent)
    }
}

impl Heap {
    /// A suspended thread whose stack has `slots` slots, all nil. It has one frame, of a native function: `func` is the
    /// first slot, `base` and `top` the second. The VM sets it up further.
    pub fn new_thread(&mut self, slots: usize) -> Result<ThreadRef, GrowError> {
        if slots > MAX_SLOTS {
            return Err(GrowError::Overflow);
        }
        let slots = slots.max(2);
        let stack: *mut Value = self.try_alloc_raw((slots + EXTRA_SLOTS) * size_of::<Value>())?.cast();
        let frames: *mut Frame = self.alloc_raw(INITIAL_FRAMES * size_of::<Frame>()).cast();
        let p: *mut Thread = self.alloc_cell(size_of::<Thread>()).cast();
        let header = self.header(Kind::Thread, 0);
        // SAFETY: the buffers and the cell are new and have room for what is written.
        unsafe {
            for i in 0..slots + EXTRA_SLOTS {
                stack.add(i).write(Value::NIL);
            }
            frames.write(Frame {
                func: stack,
                base: stack.add(1),
                top: stack.add(slots.min(1 + NATIVE_ROOM)),
                closure: ptr::null_mut(),
                pc: ptr::null(),
                nresults: 0,
                kind: 0,
                resume: 0,
                flags: 0,
                extra: 0,
            });
            p.write(Thread {
                header,
                stack,
                stack_limit: stack.add(slots),
                top: stack.add(1),
                frames,
                frame: frames,
                frames_limit: frames.add(INITIAL_FRAMES - 1),
                open_upvals: ptr::null_mut(),
                to_close: Vec::new(),
                resumer: ptr::null_mut(),
                status: ThreadStatus::Suspended,
                started: false,
                non_yieldable: 0,
                hook: Value::NIL,
                hook_mask: 0,
                in_hook: false,
                hook_count: 0,
                hook_left: 0,
                hook_line: 0,
                hook_pc: 0,
                error: Value::NIL,
            });
            push(self.spare, &mut self.threads, p);
            Ok(ThreadRef::from_ptr(p))
        }
    }

    /// Makes room for `needed` slots above `top`. Everything in the stack keeps its value and its distance from the
    /// bottom, slots above `top` too. New slots are nil.
    ///
    /// # Safety
    /// `th` is a live thread with a stack. The caller renews its pointers into the stack.
    pub unsafe fn grow_stack(&mut self, th: *mut Thread, needed: usize) -> Result<(), GrowError> {
        // SAFETY: the caller's duty.
        let (used, size) = unsafe {
            ((*th).top.offset_from_unsigned((*th).stack), (*th).stack_limit.offset_from_unsigned((*th).stack))
        };
        let wanted = used.checked_add(needed).filter(|&n| n <= MAX_SLOTS).ok_or(GrowError::Overflow)?;
        if wanted <= size {
            return Ok(());
        }
        // The room kept for the handling of an overflow is taken at once: growing into it call by call would copy a huge
        // stack each time.
        let limit = MAX_SLOTS - HANDLER_ROOM;
        let slots = if wanted > limit { MAX_SLOTS } else { (size * 2).clamp(wanted, limit) };
        // SAFETY: the caller's duty.
        unsafe { self.resize_stack(th, slots) }
    }

    /// Gives back most of a stack that is much larger than what is in use. Returns whether the stack has moved.
    ///
    /// # Safety
    /// As for [`Heap::grow_stack`]. Nothing that is needed is above `top` and the frames' `top`.
    pub unsafe fn shrink_stack(&mut self, th: *mut Thread) -> bool {
        // SAFETY: the caller's duty; frames up to `frame` are initialised.
        unsafe {
            if (*th).stack.is_null() {
                return false;
            }
            let mut end = live_end(th);
            let mut f = (*th).frames;
            while f <= (*th).frame {
                end = end.max((*f).top);
                f = f.add(1);
            }
            let used = end.offset_from_unsigned((*th).stack);
            let size = (*th).stack_limit.offset_from_unsigned((*th).stack);
            let wanted = (used * 2).max(crate::stack::INITIAL_SLOTS);
            if used > MAX_SLOTS / 3 || size <= used * 3 || wanted >= size {
                return false;
            }
            self.resize_stack(th, wanted).is_ok()
        }
    }

    /// Moves the stack to a buffer of `slots` slots.
    ///
    /// # Safety
    /// `th` is a live thread with a stack, whose slots in use are fewer.
    unsafe fn resize_stack(&mut self, th: *mut Thread, slots: usize) -> Result<(), GrowError> {
        let bytes = |slots: usize| (slots + EXTRA_SLOTS) * size_of::<Value>();
        // SAFETY: the caller's duty. All pointers into the stack are rewritten before the old buffer is freed; those that
        // lie above what is kept (of a native frame's `top`) are clamped.
        unsafe {
            let old = (*th).stack;
            let old_slots = (*th).stack_limit.offset_from_unsigned(old);
            let new: *mut Value = self.try_alloc_raw(bytes(slots))?.cast();
            let kept = old_slots.min(slots) + EXTRA_SLOTS;
            ptr::copy_nonoverlapping(old, new, kept);
            for i in kept..slots + EXTRA_SLOTS {
                new.add(i).write(Value::NIL);
            }
            let moved = |p: *mut Value| new.add(p.offset_from_unsigned(old).min(slots + EXTRA_SLOTS));
            (*th).stack = new;
            (*th).stack_limit = new.add(slots);
            (*th).top = moved((*th).top);
            let mut f = (*th).frames;
            while f <= (*th).frame {
                (*f).func = moved((*f).func);
                (*f).base = moved((*f).base);
                (*f).top = moved((*f).top);
                f = f.add(1);
            }
            let mut uv = (*th).open_upvals;
            while !uv.is_null() {
                (*uv).slot = moved((*uv).slot);
                uv = next_open(uv);
            }
            self.free_raw(old.cast(), bytes(old_slots));
        }
        Ok(())
    }

    /// Makes room for more frames: at least one behind the current one.
    ///
    /// # Safety
    /// `th` is a live thread with frames. The caller renews its pointers to frames.
    pub unsafe fn grow_frames(&mut self, th: *mut Thread) -> Result<(), OutOfMemory> {
        // SAFETY: the caller's duty.
        unsafe {
            let n = frame_count(th);
            let current = (*th).frame.offset_from_unsigned((*th).frames);
            let wanted = (n * 2).min(self.max_frames).max(n + 1);
            let (old, new) = (n * size_of::<Frame>(), wanted * size_of::<Frame>());
            self.try_reserve(new - old)?;
            let frames: *mut Frame = self.realloc_raw((*th).frames.cast(), old, new).cast();
            if frames.is_null() {
                return Err(OutOfMemory);
            }
            (*th).frames = frames;
            (*th).frame = frames.add(current);
            (*th).frames_limit = frames.add(wanted - 1);
        }
        Ok(())
    }

    /// Whether `more` frames above the current one are within the limit of depth.
    ///
    /// # Safety
    /// As for [`Heap::grow_frames`].
    pub unsafe fn may_grow_frames(&self, th: *const Thread, more: usize) -> bool {
        // SAFETY: the caller's duty.
        let current = unsafe { (*th).frame.offset_from_unsigned((*th).frames) };
        current.saturating_add(more) < self.max_frames
    }

    /// Gives back most of a buffer of frames that is much larger than what is in use.
    ///
    /// # Safety
    /// As for [`Heap::grow_frames`].
    pub unsafe fn shrink_frames(&mut self, th: *mut Thread) {
        // SAFETY: the caller's duty; the frames up to the current one are kept.
        unsafe {
            let n = frame_count(th);
            let current = (*th).frame.offset_from_unsigned((*th).frames);
            let wanted = ((current + 1) * 2).max(INITIAL_FRAMES);
            if n / 4 < wanted {
                return;
            }
            let (old, new) = (n * size_of::<Frame>(), wanted * size_of::<Frame>());
            let frames: *mut Frame = self.realloc_raw((*th).frames.cast(), old, new).cast();
            if frames.is_null() {
                // The larger buffer serves as well.
                return;
            }
            (*th).frames = frames;
            (*th).frame = frames.add(current);
            (*th).frames_limit = frames.add(wanted - 1);
        }
    }

    /// Frees the stack and the frames of a thread that is dead for good: `stack`, `frames` and what points into them
    /// become null.
    ///
    /// # Safety
    /// `th` is a live thread, without open upvalues, that does not run again.
    pub unsafe fn release_stack(&mut self, th: *mut Thread) {
        // SAFETY: the caller's duty; the sizes are those that were allocated.
        unsafe {
            debug_assert!((*th).open_upvals.is_null());
            self.free_raw((*th).stack.cast(), stack_slots(th) * size_of::<Value>());
            self.free_raw((*th).frames.cast(), frame_count(th) * size_of::<Frame>());
            (*th).stack = ptr::null_mut();
            (*th).stack_limit = ptr::null_mut();
            (*th).top = ptr::null_mut();
            (*th).frames = ptr::null_mut();
            (*th).frame = ptr::null_mut();
            (*th).frames_limit = ptr::null_mut();
        }
    }

    /// The open upvalue of a stack slot, made if there is none.
    ///
    /// # Safety
    /// `th` is a live thread and `slot` is in its stack.
    pub unsafe fn find_upval(&mut self, th: *mut Thread, slot: *mut Value) -> *mut UpVal {
        // SAFETY: the caller's duty; the list of open upvalues is kept in order, highest slot first.
        unsafe {
            let mut above: *mut UpVal = ptr::null_mut();
            let mut uv = (*th).open_upvals;
            while !uv.is_null() && (*uv).slot >= slot {
                if (*uv).slot == slot {
                    return uv;
                }
                above = uv;
                uv = next_open(uv);
            }
            let new = self.new_upval(slot);
            (*new).closed.payload = uv.expose_provenance() as u64;
            if above.is_null() {
                (*th).open_upvals = new;
            } else {
                (*above).closed.payload = new.expose_provenance() as u64;
            }
            new
        }
    }

    /// Closes all upvalues at or above a slot.
    ///
    /// # Safety
    /// `th` is a live thread and `level` is in its stack.
    #[inline]
    pub unsafe fn close_upvals(&mut self, th: *mut Thread, level: *mut Value) {
        // SAFETY: the caller's duty.
        unsafe {
            while !(*th).open_upvals.is_null() && (*(*th).open_upvals).slot >= level {
                let uv = (*th).open_upvals;
                (*th).open_upvals = next_open(uv);
                self.close_upval(uv);
            }
        }
    }

    /// Moves the variable from the stack into the upvalue.
    ///
    /// # Safety
    /// `uv` is open and has been unlinked from its thread's list.
    pub(super) unsafe fn close_upval(&mut self, uv: *mut UpVal) {
        // SAFETY: the caller's duty: an open upvalue's slot is in a live stack.
        unsafe {
            let value = *(*uv).slot;
            (*uv).closed = value;
            (*uv).slot = &raw mut (*uv).closed;
            if (*uv).header.mark & WHITES == 0 {
                // It was gray, because the slot was traced with the stack. Now it is like any marked upvalue.
                (*uv).header.mark |= BLACK;
                self.barrier_forward(&raw mut (*uv).header, value);
            }
        }
    }
}

/// The next open upvalue further down the stack.
///
/// # Safety
/// `uv` is open.
#[inline(always)]
pub(super) unsafe fn next_open(uv: *mut UpVal) -> *mut UpVal {
    // SAFETY: the caller's duty; an open upvalue keeps the address in the payload of `closed`.
    unsafe { ptr::with_exposed_provenance_mut((*uv).closed.payload as usize) }
}
