//! Memory that is kept back for the time when the system refuses more.
//!
//! A program that meets the end of the system's memory is to get an error that it can handle, as it does at a limit of the
//! VM. But much is allocated where nothing can fail: objects, the compiler's trees, the trace compiler's code. So a program
//! that wants more than an abort makes a [`SpareMemory`] its allocator and tells its VMs of it:
//!
//! ```text
//! refused ──> spare given back, request served ──> next safepoint: full collection ──> spare taken again
//!                                                             │ refused
//!                                                             └──> "not enough memory"
//! ```
//! The spare has to last from the refusal to the safepoint. Large requests do not get it: those who make them can fail, or
//! have asked before whether there is room ([`has_room`]). When it does not last, the
//! process ends, as it would without it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Bytes that are kept back. They are not written to, so that they take address space but no memory.
const FULL: usize = 8 << 20;

/// Bytes with which a program can go on; with less it has to let go of something.
const ENOUGH: usize = FULL / 2;

/// What is kept back, rather than nothing, when there is no more.
const LEAST: usize = 128 << 10;

/// Requests above this size do not get what is kept back.
const LARGEST_SERVED: usize = 1 << 20;

const ALIGN: usize = 16;

/// The system's allocator, with some memory kept back.
///
/// ```
/// use perilune_runtime::spare::SpareMemory;
///
/// #[global_allocator]
/// static MEMORY: SpareMemory = SpareMemory::new();
/// # assert!(MEMORY.is_spent() && MEMORY.refill() && !MEMORY.is_spent());
/// ```
pub struct SpareMemory {
    /// What is kept back, or null. Its size stands in its first bytes, so that both change at once.
    block: AtomicPtr<usize>,
}

impl Default for SpareMemory {
    fn default() -> SpareMemory {
        SpareMemory::new()
    }
}

impl fmt::Debug for SpareMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpareMemory").field("is_spent", &self.is_spent()).finish()
    }
}

/// Whether the system has so many bytes in one piece. Asked before work that cannot fail, but takes much.
pub fn has_room(bytes: usize) -> bool {
    let mut piece: Vec<u8> = Vec::new();
    let has_room = piece.try_reserve_exact(bytes).is_ok();
    // Without this, the request would not be made: nobody uses what it gives.
    std::hint::black_box(piece);
    has_room
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGN).expect("this is a bug: the sizes are small constants")
}

impl SpareMemory {
    /// An allocator that keeps nothing back yet.
    pub const fn new() -> SpareMemory {
        SpareMemory { block: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether nothing is kept back: the system has refused memory since the last [`SpareMemory::refill`].
    #[inline]
    pub fn is_spent(&self) -> bool {
        self.block.load(Ordering::Relaxed).is_null()
    }

    /// Keeps back as much as the system gives now. False says that the program has to let go of something.
    pub fn refill(&self) -> bool {
        self.release();
        let mut bytes = FULL;
        while bytes >= LEAST {
            // SAFETY: the layout is not of size zero.
            let block: *mut usize = unsafe { System.alloc(layout(bytes)) }.cast();
            if !block.is_null() {
                // SAFETY: the block is new, aligned, and has room for a number.
                unsafe { block.write(bytes) };
                let old = self.block.swap(block, Ordering::AcqRel);
                // SAFETY: only `refill` stores blocks, and the swap made this one ours alone.
                unsafe { give_back(old) };
                return bytes >= ENOUGH;
            }
            bytes /= 2;
        }
        false
    }

    /// Gives back to the system what is kept.
    pub(crate) fn release(&self) {
        let block = self.block.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: only `refill` stores blocks, and the swap made this one ours alone.
        unsafe { give_back(block) }
    }

    /// Serves a request that the system has refused.
    #[cold]
    fn serve(&self, bytes: usize, request: impl Fn() -> *mut u8) -> *mut u8 {
        if bytes > LARGEST_SERVED {
            return ptr::null_mut();
        }
        // Another thread may have given it back just now: the request is worth a try in any case.
        self.release();
        request()
    }
}

/// # Safety
/// `block` is null or was made by [`SpareMemory::refill`], and nobody else knows it.
unsafe fn give_back(block: *mut usize) {
    if !block.is_null() {
        // SAFETY: the caller's duty; the block begins with the size that it was allocated with.
        unsafe { System.dealloc(block.cast(), layout(block.read())) }
    }
}

// SAFETY: all requests are passed on to `System`, unchanged, once or twice if it has returned null; what it returns is
// returned. Its blocks are kept apart from those of `refill`, which no request sees.
unsafe impl GlobalAlloc for SpareMemory {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        let request = || unsafe { System.alloc(layout) };
        let p = request();
        if p.is_null() { self.serve(layout.size(), request) } else { p }
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's duty.
        unsafe { System.dealloc(p, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duty.
        let request = || unsafe { System.alloc_zeroed(layout) };
        let p = request();
        if p.is_null() { self.serve(layout.size(), request) } else { p }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's duty; a refused request leaves the old block as it was.
        let request = || unsafe { System.realloc(p, layout, new_size) };
        let q = request();
        if q.is_null() { self.serve(new_size, request) } else { q }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_back_is_given_back_once() {
        let memory = SpareMemory::new();
        assert!(memory.is_spent());
        assert!(memory.refill());
        assert!(!memory.is_spent());
        assert!(memory.refill(), "a second time replaces the first");
        memory.release();
        assert!(memory.is_spent());
        memory.release();
        assert!(memory.refill());
        memory.release();
    }

    #[test]
    fn refused_requests_are_tried_again_when_they_are_small() {
        let memory = SpareMemory::new();
        assert!(memory.refill());
        assert!(memory.serve(LARGEST_SERVED + 1, || panic!("not tried again")).is_null());
        assert!(!memory.is_spent());
        let mut place = 0u8;
        let p = &raw mut place;
        assert_eq!(memory.serve(LARGEST_SERVED, || p), p);
        assert!(memory.is_spent());
    }
}
