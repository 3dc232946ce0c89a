//! Cells: memory for objects.
//!
//! Small cells come from *blocks*. A block holds cells of one size class, so a sweep can walk it by its cell size alone. The
//! first block of a class is small and later ones grow, so that a class used once costs little. A free cell has
//! [`Kind::Free`], and behind its header the next free cell of its class. Large cells are single allocations.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

use super::pressure::push;
use super::{Heap, OutOfMemory};
use crate::object::{GcHeader, Kind};

/// Number of size classes.
pub const CLASSES: usize = SIZES.len();

/// Largest cell that comes from a block.
pub const MAX_SMALL_CELL: usize = 1024;

/// Bytes of a cell of each class: by 8 to 128, by 16 to 256, by 32 to 512, by 64 to 1024.
const SIZES: [u16; 39] = {
    let mut sizes = [0; 39];
    let mut i = 0;
    let mut size = 16;
    while size <= MAX_SMALL_CELL as u16 {
        sizes[i] = size;
        i += 1;
        size += match size {
            0..128 => 8,
            128..256 => 16,
            256..512 => 32,
            _ => 64,
        };
    }
    assert!(i == 39);
    sizes
};

/// The class of each size in units of 8 bytes, rounded up.
const CLASS_OF: [u8; MAX_SMALL_CELL / 8 + 1] = {
    let mut table = [0; MAX_SMALL_CELL / 8 + 1];
    let mut class = 0;
    let mut units = 0;
    while units < table.len() {
        if units * 8 > SIZES[class] as usize {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

const FIRST_BLOCK: usize = 2 << 10;
const LAST_BLOCK: usize = 32 << 10;
/// Alignment of blocks and large cells.
const ALIGN: usize = 16;

/// The size class of a cell of `size` bytes.
#[inline(always)]
pub const fn class_of(size: usize) -> usize {
    debug_assert!(size <= MAX_SMALL_CELL);
    CLASS_OF[size.div_ceil(8)] as usize
}

/// The bytes of a cell of a class.
#[inline(always)]
pub const fn class_bytes(class: usize) -> usize {
    SIZES[class] as usize
}

/// A run of cells of one class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub start: *mut u8,
    pub bytes: u32,
    pub cells: u32,
}

/// The blocks of one class.
#[derive(Debug, Default)]
pub(super) struct ClassBlocks {
    pub list: Vec<Block>,
    /// Bytes of all blocks.
    pub total: usize,
    /// While sweeping: the next block to sweep, and the end of those that are to be swept.
    pub next_sweep: usize,
    pub sweep_end: usize,
    /// While sweeping: bytes in use, and bytes of empty blocks kept, in the blocks swept so far.
    pub live: usize,
    pub kept_empty: usize,
}

/// A cell of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Large {
    pub header: *mut GcHeader,
    pub bytes: usize,
}

/// The address of the next free cell, kept in a free cell.
///
/// # Safety
/// `cell` is a cell of a block that nothing else uses.
#[inline(always)]
pub(super) unsafe fn next_free(cell: *mut GcHeader) -> *mut *mut GcHeader {
    // SAFETY: a cell has at least 16 bytes, aligned to 8.
    unsafe { cell.add(1).cast() }
}

impl Block {
    pub fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGN).expect("this is a bug: a block's size is a small constant")
    }
}

impl Heap {
    /// Memory for an object of `size` bytes: uninitialised but for its header, whose kind is still free. The caller
    /// writes the object at once. Never collects. When the system has no memory for a small cell, the process aborts.
    #[inline(always)]
    pub(crate) fn alloc_cell(&mut self, size: usize) -> *mut u8 {
        if size <= MAX_SMALL_CELL { self.alloc_small(class_of(size)) } else { self.alloc_large_or_abort(size) }
    }

    /// Memory for an object of a size class.
    #[inline(always)]
    pub(crate) fn alloc_small(&mut self, class: usize) -> *mut u8 {
        let mut head = self.free[class];
        if head.is_null() {
            head = self.refill(class);
        }
        // SAFETY: cells on a free list are free, and no one else refers to them.
        unsafe {
            debug_assert_eq!((*head).kind, Kind::Free);
            self.free[class] = *next_free(head);
        }
        self.bytes += class_bytes(class);
        head.cast()
    }

    /// Makes the free list of a class non-empty and returns its head.
    #[cold]
    #[inline(never)]
    fn refill(&mut self, class: usize) -> *mut GcHeader {
        while self.blocks[class].next_sweep < self.blocks[class].sweep_end {
            self.sweep_next_block(class);
            if !self.free[class].is_null() {
                return self.free[class];
            }
        }
        self.add_block(class);
        self.free[class]
    }

    fn add_block(&mut self, class: usize) {
        let cell = class_bytes(class);
        let blocks = &mut self.blocks[class];
        let bytes = blocks.total.next_power_of_two().clamp(FIRST_BLOCK, LAST_BLOCK).max(cell * 4);
        let layout = Block::layout(bytes);
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        let cells = bytes / cell;
        blocks.total += bytes;
        push(self.spare, &mut blocks.list, Block { start, bytes: bytes as u32, cells: cells as u32 });
        let mut next = self.free[class];
        for i in (0..cells).rev() {
            // SAFETY: `i * cell + cell <= bytes`; the block is new and aligned to 16, cells to 8.
            unsafe {
                let h: *mut GcHeader = start.add(i * cell).cast();
                h.write(GcHeader { kind: Kind::Free, mark: 0, flags: 0, aux: 0, word: 0 });
                next_free(h).write(next);
                next = h;
            }
        }
        self.free[class] = next;
        self.heed_pressure();
    }

    /// Gives an empty block back to the system.
    ///
    /// # Safety
    /// No cell of the block is in use, or on a free list, and the block is taken from its list.
    pub(super) unsafe fn free_block(&mut self, class: usize, block: Block) {
        self.blocks[class].total -= block.bytes as usize;
        // SAFETY: `add_block` allocated it with this layout; the caller vouches that nothing refers to it.
        unsafe { dealloc(block.start, Block::layout(block.bytes as usize)) }
    }

    #[cold]
    #[inline(never)]
    fn alloc_large_or_abort(&mut self, size: usize) -> *mut u8 {
        match self.alloc_large(size) {
            Ok(p) => p,
            Err(OutOfMemory) => handle_alloc_error(Layout::new::<GcHeader>()),
        }
    }

    /// Memory for an object above [`MAX_SMALL_CELL`].
    #[cold]
    #[inline(never)]
    pub(crate) fn alloc_large(&mut self, size: usize) -> Result<*mut u8, OutOfMemory> {
        debug_assert!(size > MAX_SMALL_CELL);
        let layout = Layout::from_size_align(size, ALIGN).map_err(|_| OutOfMemory)?;
        // SAFETY: the layout is not of size zero.
        let p = unsafe { alloc(layout) };
        if p.is_null() {
            return Err(OutOfMemory);
        }
        let header: *mut GcHeader = p.cast();
        // SAFETY: the allocation is new, larger than a header and aligned to 16.
        unsafe { header.write(GcHeader { kind: Kind::Free, mark: 0, flags: 0, aux: 0, word: 0 }) };
        push(self.spare, &mut self.large, Large { header, bytes: size });
        self.bytes += size;
        self.heed_pressure();
        Ok(p)
    }

    /// Gives a large cell back to the system. The caller has taken it from the list.
    ///
    /// # Safety
    /// Nothing refers to the cell any more.
    pub(super) unsafe fn free_large(&mut self, cell: Large) {
        self.bytes -= cell.bytes;
        // SAFETY: `alloc_large` allocated it with this layout.
        unsafe { dealloc(cell.header.cast(), Layout::from_size_align_unchecked(cell.bytes, ALIGN)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_cover_every_small_size_tightly() {
        for size in 1..=MAX_SMALL_CELL {
            let class = class_of(size);
            assert!(class_bytes(class) >= size);
            assert!(class == 0 || class_bytes(class - 1) < size);
        }
    }
}
