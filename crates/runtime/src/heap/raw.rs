//! Raw buffers: memory that one object owns (array parts, slots, hash parts, stacks, frames).
//!
//! Sizes up to [`MAX_SMALL_BUFFER`] come from free lists by 16 bytes, which are filled from chunks that all sizes share; larger
//! ones from the system allocator. The owner remembers the size and gives it back when freeing. All buffers are aligned to
//! 16. A buffer of no bytes is the null pointer.
//!
//! Chunks that became free as a whole go back to the system when more than three quarters of all chunk memory is free
//! ([`Heap::trim_raw`], at the end of a cycle). That takes a walk over the free lists, hence the threshold.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};

use super::pressure::push;
use super::{Heap, OutOfMemory};
use crate::spare::SpareMemory;

const ALIGN: usize = 16;
/// Buffers up to this many bytes are cut from chunks; the first ones that the system refuses come out of spare memory.
pub const MAX_SMALL_BUFFER: usize = 1024;
const CLASSES: usize = MAX_SMALL_BUFFER / ALIGN;
const FIRST_CHUNK: usize = 4 << 10;
const LAST_CHUNK: usize = 32 << 10;
/// Free bytes that are not worth a walk.
const TRIM_MIN: usize = 2 << 20;

#[derive(Clone, Copy, Debug)]
struct Chunk {
    start: *mut u8,
    bytes: usize,
}

/// The free lists and chunks of small raw buffers.
#[derive(Debug)]
pub(super) struct RawPool {
    /// First free buffer of each class; the next one's address stands in its first bytes.
    free: [*mut u8; CLASSES],
    /// The unused end of the newest chunk.
    bump: *mut u8,
    bump_left: usize,
    chunks: Vec<Chunk>,
    chunk_bytes: usize,
    /// Bytes on the free lists.
    free_bytes: usize,
}

/// The bytes that a raw buffer of `size` bytes is counted as.
#[inline(always)]
pub const fn raw_bytes(size: usize) -> usize {
    if size <= MAX_SMALL_BUFFER { size.next_multiple_of(ALIGN) } else { size }
}

#[inline(always)]
fn class_of(size: usize) -> usize {
    debug_assert!(size > 0 && size <= MAX_SMALL_BUFFER);
    (size - 1) / ALIGN
}

impl RawPool {
    pub fn new() -> RawPool {
        RawPool {
            free: [std::ptr::null_mut(); CLASSES],
            bump: std::ptr::null_mut(),
            bump_left: 0,
            chunks: Vec::new(),
            chunk_bytes: 0,
            free_bytes: 0,
        }
    }

    /// Bytes of all chunks.
    #[cfg(test)]
    pub fn held_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Puts a buffer on the free list of its class.
    ///
    /// # Safety
    /// `p` is a buffer of the class, which no one uses.
    #[inline(always)]
    unsafe fn push(&mut self, class: usize, p: *mut u8) {
        // SAFETY: a buffer has at least 16 bytes, aligned to 16, and is the free list's now.
        unsafe { p.cast::<*mut u8>().write(self.free[class]) };
        self.free[class] = p;
        self.free_bytes += (class + 1) * ALIGN;
    }

    /// A buffer of a class whose free list is empty, from the newest chunk or a new one.
    fn carve(&mut self, class: usize, spare: Option<&SpareMemory>) -> *mut u8 {
        let size = (class + 1) * ALIGN;
        if self.bump_left < size {
            if self.bump_left > 0 {
                // SAFETY: the end of the chunk is unused; it is a multiple of 16 below the largest class.
                unsafe { self.push(class_of(self.bump_left), self.bump) };
            }
            let bytes = self.chunk_bytes.next_power_of_two().clamp(FIRST_CHUNK, LAST_CHUNK);
            let layout = chunk_layout(bytes);
            // SAFETY: the layout is not of size zero.
            let start = unsafe { alloc(layout) };
            if start.is_null() {
                handle_alloc_error(layout);
            }
            push(spare, &mut self.chunks, Chunk { start, bytes });
            self.chunk_bytes += bytes;
            self.bump = start;
            self.bump_left = bytes;
        }
        let p = self.bump;
        // SAFETY: `size <= bump_left`, the unused bytes from `bump` on.
        self.bump = unsafe { p.add(size) };
        self.bump_left -= size;
        p
    }

    /// Gives chunks without a used buffer back to the system.
    fn trim(&mut self) {
        self.chunks.sort_unstable_by_key(|c| c.start.addr());
        let chunks = &self.chunks;
        let find = |p: *mut u8| chunks.partition_point(|c| c.start.addr() <= p.addr()) - 1;
        let mut free_in = vec![0usize; chunks.len()];
        for (class, &head) in self.free.iter().enumerate() {
            let mut p = head;
            while !p.is_null() {
                free_in[find(p)] += (class + 1) * ALIGN;
                // SAFETY: free buffers hold the next one's address.
                p = unsafe { p.cast::<*mut u8>().read() };
            }
        }
        if self.bump_left > 0 {
            free_in[find(self.bump)] += self.bump_left;
        }
        let empty: Vec<bool> = chunks.iter().zip(&free_in).map(|(c, &n)| c.bytes == n).collect();
        let mut kept = [std::ptr::null_mut(); CLASSES];
        let mut kept_bytes = 0;
        for (class, &head) in self.free.iter().enumerate() {
            let mut p = head;
            while !p.is_null() {
                // SAFETY: as above; the next address is read before it may be overwritten.
                let next = unsafe { p.cast::<*mut u8>().read() };
                if !empty[find(p)] {
                    // SAFETY: the buffer is free and its chunk stays.
                    unsafe { p.cast::<*mut u8>().write(kept[class]) };
                    kept[class] = p;
                    kept_bytes += (class + 1) * ALIGN;
                }
                p = next;
            }
        }
        if self.bump_left > 0 && empty[find(self.bump)] {
            self.bump = std::ptr::null_mut();
            self.bump_left = 0;
        }
        self.free = kept;
        self.free_bytes = kept_bytes;
        let mut i = 0;
        let freed = &mut self.chunk_bytes;
        self.chunks.retain(|c| {
            i += 1;
            if empty[i - 1] {
                *freed -= c.bytes;
                // SAFETY: `carve` allocated it with this layout; no free list or bump pointer refers to it any more,
                // and no buffer in it is used: all of its bytes were free.
                unsafe { dealloc(c.start, chunk_layout(c.bytes)) };
            }
            !empty[i - 1]
        });
    }

    /// Frees all chunks.
    ///
    /// # Safety
    /// No small buffer is used any more.
    pub unsafe fn release(&mut self) {
        for c in self.chunks.drain(..) {
            // SAFETY: `carve` allocated it with this layout; the caller vouches that it is unused.
            unsafe { dealloc(c.start, chunk_layout(c.bytes)) };
        }
        *self = RawPool::new();
    }
}

fn chunk_layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGN).expect("this is a bug: a chunk's size is a small constant")
}

impl Heap {
    /// A buffer of `size` bytes, uninitialised. Null when `size` is 0, and when the system has no memory for a large one;
    /// small ones never fail. Does not ask the limit: see [`Heap::try_reserve`].
    #[inline]
    pub fn alloc_raw(&mut self, size: usize) -> *mut u8 {
        if size == 0 || size > MAX_SMALL_BUFFER {
            return self.alloc_raw_large(size);
        }
        let class = class_of(size);
        self.bytes += (class + 1) * ALIGN;
        let p = self.raw.free[class];
        if p.is_null() {
            return self.carve_raw(class);
        }
        // SAFETY: free buffers hold the next one's address.
        self.raw.free[class] = unsafe { p.cast::<*mut u8>().read() };
        self.raw.free_bytes -= (class + 1) * ALIGN;
        p
    }

    #[cold]
    #[inline(never)]
    fn alloc_raw_large(&mut self, size: usize) -> *mut u8 {
        let Ok(layout) = Layout::from_size_align(size, ALIGN) else { return std::ptr::null_mut() };
        if size == 0 {
            return std::ptr::null_mut();
        }
        // SAFETY: the layout is not of size zero.
        let p = unsafe { alloc(layout) };
        if !p.is_null() {
            self.bytes += size;
            self.heed_pressure();
        }
        p
    }

    #[cold]
    #[inline(never)]
    fn carve_raw(&mut self, class: usize) -> *mut u8 {
        let p = self.raw.carve(class, self.spare);
        self.heed_pressure();
        p
    }

    /// A buffer of `size` bytes, within the limit.
    #[inline]
    pub fn try_alloc_raw(&mut self, size: usize) -> Result<*mut u8, OutOfMemory> {
        if size > MAX_SMALL_BUFFER {
            self.try_reserve(size)?;
        }
        let p = self.alloc_raw(size);
        if p.is_null() && size != 0 { Err(OutOfMemory) } else { Ok(p) }
    }

    /// Frees a buffer.
    ///
    /// # Safety
    /// `p` was returned by this heap for `size` bytes, is not freed yet, and is not used afterwards. Null may be freed.
    #[inline]
    pub unsafe fn free_raw(&mut self, p: *mut u8, size: usize) {
        if p.is_null() {
            return;
        }
        if cfg!(debug_assertions) {
            // SAFETY: the buffer has `size` bytes and its owner has let go of it.
            unsafe { p.write_bytes(0xdb, size) };
        }
        self.bytes -= raw_bytes(size);
        if size <= MAX_SMALL_BUFFER {
            // SAFETY: the caller's duty.
            unsafe { self.raw.push(class_of(size), p) };
        } else {
            // SAFETY: `alloc_raw_large` allocated it with this layout.
            unsafe { dealloc(p, Layout::from_size_align_unchecked(size, ALIGN)) };
        }
    }

    /// Changes a buffer's size; the bytes that fit are kept. Null when the system has no memory: then the old buffer
    /// stays as it was. Does not ask the limit.
    ///
    /// # Safety
    /// As for [`Heap::free_raw`] with `old` bytes, unless null is returned.
    pub unsafe fn realloc_raw(&mut self, p: *mut u8, old: usize, new: usize) -> *mut u8 {
        if raw_bytes(old) == raw_bytes(new) {
            return p;
        }
        if old > MAX_SMALL_BUFFER && new > MAX_SMALL_BUFFER {
            if new > isize::MAX as usize - ALIGN {
                return std::ptr::null_mut();
            }
            // SAFETY: allocated with this layout; the new size is not zero and does not overflow.
            let q = unsafe { realloc(p, Layout::from_size_align_unchecked(old, ALIGN), new) };
            if !q.is_null() {
                self.bytes = self.bytes - old + new;
                self.heed_pressure();
            }
            return q;
        }
        let q = self.alloc_raw(new);
        if q.is_null() && new != 0 {
            return q;
        }
        if !p.is_null() {
            // SAFETY: both buffers hold at least the smaller size, and they are distinct; the old one is the caller's.
            unsafe {
                std::ptr::copy_nonoverlapping(p, q, old.min(new));
                self.free_raw(p, old);
            }
        }
        q
    }

    /// Gives unused chunks back to the system if much of them is unused.
    pub(super) fn trim_raw(&mut self) {
        if self.raw.free_bytes > TRIM_MIN && self.raw.free_bytes > self.raw.chunk_bytes / 4 * 3 {
            self.raw.trim();
        }
    }

    /// Frees the chunks of raw buffers.
    ///
    /// # Safety
    /// No raw buffer is used any more.
    pub(super) unsafe fn release_raw(&mut self) {
        // SAFETY: the caller's duty.
        unsafe { self.raw.release() }
    }
}
