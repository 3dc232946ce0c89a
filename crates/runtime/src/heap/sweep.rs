//! Sweeping: freeing what the atomic step found dead, and turning the rest white for the next cycle.
//!
//! A size class is swept block by block, by the slices of the collector or when its free list runs dry. Free lists are
//! empty when sweeping begins and are built anew, so that a block without any object can go back to the system.

use super::cells::{Block, CLASSES, Large, class_bytes, next_free};
use super::stacks::{frame_count, stack_slots};
use super::{Heap, Phase};
use crate::object::mark::{BLACK, FIXED, WHITES};
use crate::object::{GcHeader, Kind, Proto, Str, Table, Thread, UserData};
use crate::stack::Frame;
use crate::value::Value;

/// Bytes of empty blocks of a class that are kept whatever is in use.
const KEEP_EMPTY: usize = 32 << 10;

/// Whether an object has nothing besides its cell, as most that die young.
///
/// # Safety
/// The cell holds an object.
#[inline(always)]
unsafe fn owns_nothing(h: *mut GcHeader) -> bool {
    // SAFETY: the caller's duty; the kind says what the cell holds.
    unsafe {
        match (*h).kind {
            Kind::Table => crate::table::trace::is_bare(h.cast()),
            Kind::LuaFn | Kind::NativeFn | Kind::UpVal | Kind::Free => true,
            Kind::Str => (*h).flags & Str::SHORT == 0,
            Kind::UserData | Kind::Thread | Kind::Proto => false,
        }
    }
}

impl Heap {
    /// Sweeps until all is swept or `budget` is spent. Returns the work done.
    pub(super) fn sweep(&mut self, budget: usize) -> usize {
        let mut done = 0;
        while done < budget && self.sweep_class < CLASSES {
            let class = self.sweep_class;
            let blocks = &self.blocks[class];
            if blocks.next_sweep == blocks.sweep_end {
                self.finish_class(class);
                self.sweep_class += 1;
            } else {
                done += blocks.list[blocks.next_sweep].bytes as usize / 4;
                self.sweep_next_block(class);
            }
        }
        while done < budget && self.large_unswept > 0 {
            self.large_unswept -= 1;
            done += self.sweep_large(self.large_unswept);
        }
        done
    }

    /// Whether everything is swept.
    pub(super) fn swept(&self) -> bool {
        self.sweep_class == CLASSES && self.large_unswept == 0
    }

    /// Takes the blocks that were given back out of the list of a class.
    fn finish_class(&mut self, class: usize) {
        let blocks = &mut self.blocks[class];
        blocks.list.retain(|b| !b.start.is_null());
        blocks.next_sweep = 0;
        blocks.sweep_end = 0;
        if blocks.list.len() * 4 < blocks.list.capacity() {
            blocks.list.shrink_to(blocks.list.len() * 2);
        }
    }

    /// Sweeps the next block of a class: its free cells join the free list, or it goes back to the system when it has
    /// become empty and enough empty ones are kept.
    pub(super) fn sweep_next_block(&mut self, class: usize) {
        debug_assert!(self.phase == Phase::Sweep);
        let blocks = &mut self.blocks[class];
        let index = blocks.next_sweep;
        blocks.next_sweep += 1;
        let block = blocks.list[index];
        let before = self.free[class];
        let used = self.sweep_block(block, class);
        let blocks = &mut self.blocks[class];
        if used > 0 {
            blocks.live += used;
        } else if blocks.kept_empty + block.bytes as usize <= blocks.live.max(KEEP_EMPTY) {
            blocks.kept_empty += block.bytes as usize;
        } else {
            blocks.list[index].start = std::ptr::null_mut();
            self.free[class] = before;
            // SAFETY: none of its cells is in use, and the free list is as it was before they joined it.
            unsafe { self.free_block(class, block) };
        }
    }

    /// Returns the bytes in use.
    fn sweep_block(&mut self, block: Block, class: usize) -> usize {
        let size = class_bytes(class);
        let (dead, white) = (self.dead_white(), self.white());
        let mut free = self.free[class];
        let mut used = 0;
        let mut freed = 0;
        for i in (0..block.cells as usize).rev() {
            // SAFETY: the block has `cells` cells of this size, each with an initialised header; an object with the dead
            // white that is not fixed is not reachable, so nothing will refer to it again.
            unsafe {
                let h: *mut GcHeader = block.start.add(i * size).cast();
                let mark = (*h).mark;
                if (*h).kind != Kind::Free {
                    if mark & dead == 0 || mark & FIXED != 0 {
                        (*h).mark = mark & !(WHITES | BLACK) | white;
                        used += size;
                        continue;
                    }
                    if !owns_nothing(h) {
                        self.release_object(h);
                    }
                    freed += size;
                    if cfg!(debug_assertions) {
                        h.cast::<u8>().write_bytes(0xdb, size);
                    }
                    h.write(GcHeader { kind: Kind::Free, mark: 0, flags: 0, aux: 0, word: 0 });
                }
                next_free(h).write(free);
                free = h;
            }
        }
        self.free[class] = free;
        self.bytes -= freed;
        self.estimate = self.estimate.saturating_sub(freed);
        used
    }

    /// Sweeps an entry of the list of large cells. Returns the work done.
    fn sweep_large(&mut self, index: usize) -> usize {
        let Large { header: h, .. } = self.large[index];
        // SAFETY: as in `sweep_block`.
        unsafe {
            let mark = (*h).mark;
            if mark & self.dead_white() == 0 || mark & FIXED != 0 {
                (*h).mark = mark & !(WHITES | BLACK) | self.white();
                return 64;
            }
            self.release_object(h);
            let cell = self.large.swap_remove(index);
            self.estimate = self.estimate.saturating_sub(cell.bytes);
            if cfg!(debug_assertions) {
                h.cast::<u8>().write_bytes(0xdb, cell.bytes);
            }
            self.free_large(cell);
            256
        }
    }

    /// Runs the drop glue of an object: frees what it owns besides its cell.
    ///
    /// # Safety
    /// The object is dead, or the heap is being dropped; its cell is freed next.
    unsafe fn release_object(&mut self, h: *mut GcHeader) {
        let before = self.bytes;
        // SAFETY: the caller's duty; the kind says what the cell holds, and an object's buffers are its own.
        unsafe {
            match (*h).kind {
                Kind::Str => {
                    if (*h).flags & Str::SHORT != 0 {
                        self.interned.remove((*h).word, h.cast());
                    }
                }
                Kind::Table => crate::table::trace::free_buffers(h.cast::<Table>(), self),
                Kind::LuaFn | Kind::NativeFn | Kind::UpVal => {}
                Kind::UserData => {
                    let u: *mut UserData = h.cast();
                    self.add_bytes(-((*u).host_bytes() as isize));
                    self.graveyard.extend((*u).data.take());
                    self.free_raw((*u).user_values.cast(), (*h).word as usize * size_of::<Value>());
                }
                Kind::Thread => {
                    let th: *mut Thread = h.cast();
                    drop(std::mem::take(&mut (*th).to_close));
                    self.free_raw((*th).stack.cast(), stack_slots(th) * size_of::<Value>());
                    self.free_raw((*th).frames.cast(), frame_count(th) * size_of::<Frame>());
                }
                Kind::Proto => {
                    let p: *mut Proto = h.cast();
                    self.add_bytes(-((*p).info.bytes as isize));
                    std::ptr::drop_in_place(&raw mut (*p).info);
                }
                Kind::Free => {}
            }
        }
        self.estimate = self.estimate.saturating_sub(before - self.bytes);
    }

    /// Drops the host values of dead userdata.
    pub(super) fn bury(&mut self) {
        while let Some(data) = self.graveyard.pop() {
            drop(data);
        }
    }

    /// Frees everything, when the heap is dropped. The intern table is not kept up to date.
    pub(super) fn release_all(&mut self) {
        for class in 0..CLASSES {
            for block in std::mem::take(&mut self.blocks[class].list) {
                if block.start.is_null() {
                    continue;
                }
                for i in 0..block.cells as usize {
                    // SAFETY: as in `sweep_block`; nothing looks at an object again: releasing one follows no
                    // reference to another.
                    unsafe {
                        let h: *mut GcHeader = block.start.add(i * class_bytes(class)).cast();
                        if (*h).kind != Kind::Str {
                            self.release_object(h);
                        }
                    }
                }
                // SAFETY: none of its cells is used again.
                unsafe { self.free_block(class, block) };
            }
        }
        for cell in std::mem::take(&mut self.large) {
            // SAFETY: as above. (Large strings are long: they are not interned.)
            unsafe {
                self.release_object(cell.header);
                self.free_large(cell);
            }
        }
        // SAFETY: all owners of raw buffers are gone.
        unsafe { self.release_raw() };
        self.bury();
    }
}
