//! The heap: allocation, accounting and the incremental collector.
//!
//! # Terms
//! * **Cell**: the memory of one object. It begins with a [`GcHeader`]; small ones come from blocks of one size class
//!   (`cells`), large ones from the system allocator.
//! * **Raw buffer**: memory that belongs to one object without being one (array parts, stacks, ...), see `raw`. Its owner
//!   knows its size and frees it.
//! * **White, gray, black**: not reached, reached, reached and traversed. There are two whites: new objects get the
//!   *current* one, and after the atomic step the *other* one means dead.
//! * **Safepoint**: a place where the VM lets the collector work. The collector runs nowhere else, so that references in
//!   Rust variables stay good between two safepoints, and creating objects never needs roots.
//!
//! # Phases
//! ```text
//!  Pause --(start: trace roots)--> Propagate --(gray is empty: atomic step)--> Sweep --(all swept)--> Pause
//! ```
//! *Propagate* runs in slices, interleaved with the mutator; the write barriers keep its invariant: **no black object
//! refers to a white one**. The *atomic* step traces roots, threads and all that turned gray again, settles weak tables and
//! finalizers, and swaps the whites. *Sweep* runs in slices and on demand: a size class whose free list is empty sweeps its
//! next block. Finalizers are called by the VM, from a queue.
//!
//! # Who keeps the invariants
//! * Every pointer in a live object is to a live object, or is null: the mutator stores only references that it could
//!   reach, and the collector frees only what it could not reach from the roots that the VM gave.
//! * `bytes` is the sum of all cells in use, of all raw buffers, and of what was added by [`Heap::account`]; `check`
//!   proves it in tests.
//! * An object with the mark [`bits::FIXED`] is a string; it survives without being reached.
//!
//! # What it does not do
//! Objects never move. There is no generational collection: the mode is accepted, reported, and collects incrementally.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;

use crate::object::mark as bits;
use crate::object::{GcHeader, Kind, StrRef, Table, Thread, ThreadStatus, UpVal};
use crate::spare::SpareMemory;
use crate::table::ShapeTree;
use crate::value::Tag;

mod atomic;
mod barrier;
mod cells;
pub mod check;
mod finalize;
mod intern;
mod make;
mod mark;
mod pace;
mod pressure;
mod raw;
mod stacks;
mod strings;
mod sweep;
#[cfg(test)]
mod tests;
mod weak;

pub use barrier::needs_barrier;
pub use cells::{CLASSES, MAX_SMALL_CELL, class_bytes, class_of};
pub use make::MAX_INLINE_SLOTS;
pub use mark::{Marker, Reached, Roots};
pub use pace::{Mode, Param};
pub use raw::{MAX_SMALL_BUFFER, raw_bytes};
pub use stacks::GrowError;

use cells::{ClassBlocks, Large};
use intern::InternTable;
use raw::RawPool;

/// The memory limit was reached, or the system gave no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not enough memory")
    }
}

impl std::error::Error for OutOfMemory {}

/// Where the collector is in its cycle; see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Between two cycles.
    Pause,
    /// Marking, in slices.
    Propagate,
    /// Freeing, in slices and on demand.
    Sweep,
}

/// The heap of one VM. The hot fields come first; compiled code addresses them by offset.
#[repr(C)]
pub struct Heap {
    /// All bytes counted now.
    pub bytes: usize,
    /// A collector step is due at the next safepoint once `bytes` has reached this.
    pub threshold: usize,
    /// First free cell of each size class; the next one's address stands behind its header.
    pub(crate) free: [*mut GcHeader; CLASSES],
    /// The colour of new objects.
    white: u8,
    phase: Phase,
    /// Whether the atomic step is running.
    in_atomic: bool,
    /// Whether the collector may run by itself.
    running: bool,
    /// Whether every safepoint does a full collection.
    stress: bool,
    /// Whether the mutator has been told that the heap is being closed: no further finalizer is registered.
    closing: bool,
    mode: Mode,
    limit: usize,
    /// The most frames of a thread, its first one included.
    max_frames: usize,
    /// Bytes of reachable objects, as far as the last cycle knows.
    estimate: usize,
    /// Bytes of `shapes` that are counted in `bytes`.
    counted_shapes: usize,
    /// Bytes that were added with [`Heap::account`].
    external: usize,
    /// The state of the random numbers that scripts draw. It is here for direct forms, which reach nothing else.
    pub random: [u64; 4],
    pause: u32,
    stepmul: u32,
    /// Log2 of the bytes between two steps.
    stepsize: u32,

    blocks: Box<[ClassBlocks; CLASSES]>,
    large: Vec<Large>,
    /// While sweeping: how many entries of `large`, from its beginning, are not swept yet.
    large_unswept: usize,
    /// While sweeping: the class whose blocks the slices sweep now.
    sweep_class: usize,
    /// Host values of dead userdata, dropped when the heap is consistent: their `Drop` may panic.
    graveyard: Vec<Box<dyn Any>>,

    raw: RawPool,
    interned: InternTable,
    /// The strings of one byte that were made so far; they are never freed.
    one_byte: Box<[Option<StrRef>; 256]>,
    /// The names of the types, by tag, once they were asked for; they are never freed.
    type_names: [Option<StrRef>; Tag::Thread as usize + 1],
    seed: u64,
    /// The shapes of tables.
    pub shapes: ShapeTree,

    gray: Vec<*mut GcHeader>,
    /// Objects to traverse (again) in the atomic step.
    gray_again: Vec<*mut GcHeader>,
    /// Upvalues that were open when they were marked.
    open_seen: Vec<*mut UpVal>,
    /// Tables whose values are weak, to be cleared.
    weak_values: Vec<*mut Table>,
    /// Ephemeron tables that have a white key with a white value.
    ephemerons: Vec<*mut Table>,
    /// Whether a value of a table with weak keys is kept by its key only.
    has_ephemerons: bool,
    /// Tables with white keys, to be cleared by key; some of them by value too.
    all_weak: Vec<*mut Table>,
    /// Every thread that has not been found dead.
    threads: Vec<*mut Thread>,

    /// Objects with a finalizer, in the order of their registration.
    with_finalizer: Vec<*mut GcHeader>,
    /// Objects whose finalizer is to be called, next first. They are roots.
    to_finalize: VecDeque<*mut GcHeader>,
    name_mode: Option<StrRef>,
    cycles: u64,

    /// What the allocator keeps back, if it does.
    spare: Option<&'static SpareMemory>,
    /// Whether the last full collection has left too little memory to go on.
    is_exhausted: bool,
    /// Whether there are gray objects that are on no list.
    gray_lost: bool,
    /// Whether `gray_again` lacks objects.
    gray_again_lost: bool,
    /// Objects that a gray list may hold, so that tests can do without memory.
    #[cfg(test)]
    gray_room: usize,
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("bytes", &self.bytes)
            .field("threshold", &self.threshold)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Heap {
    /// Offset of the first free cells of the size classes, for compiled code: it takes cells as `alloc_small` does.
    pub const FREE: usize = std::mem::offset_of!(Heap, free);
    /// Offset of the colour of new objects, one byte.
    pub const WHITE: usize = std::mem::offset_of!(Heap, white);

    /// Bytes below which no cycle starts by itself.
    const FIRST_THRESHOLD: usize = 64 << 10;

    /// An empty heap; `seed` seeds the hash of strings.
    pub fn new(seed: u64) -> Heap {
        Heap {
            bytes: 0,
            threshold: Self::FIRST_THRESHOLD,
            free: [std::ptr::null_mut(); CLASSES],
            white: bits::WHITE0,
            phase: Phase::Pause,
            in_atomic: false,
            running: true,
            stress: false,
            closing: false,
            mode: Mode::Incremental,
            limit: usize::MAX,
            max_frames: usize::MAX,
            estimate: 0,
            counted_shapes: 0,
            external: 0,
            random: [0; 4],
            pause: pace::DEFAULT_PAUSE,
            stepmul: pace::DEFAULT_STEPMUL,
            stepsize: pace::DEFAULT_STEPSIZE,
            blocks: Box::new(std::array::from_fn(|_| ClassBlocks::default())),
            large: Vec::new(),
            large_unswept: 0,
            sweep_class: CLASSES,
            graveyard: Vec::new(),
            raw: RawPool::new(),
            interned: InternTable::new(),
            one_byte: Box::new([None; 256]),
            type_names: [None; Tag::Thread as usize + 1],
            seed,
            shapes: ShapeTree::new(),
            gray: Vec::new(),
            gray_again: Vec::new(),
            open_seen: Vec::new(),
            weak_values: Vec::new(),
            ephemerons: Vec::new(),
            has_ephemerons: true,
            all_weak: Vec::new(),
            threads: Vec::new(),
            with_finalizer: Vec::new(),
            to_finalize: VecDeque::new(),
            name_mode: None,
            cycles: 0,
            spare: None,
            is_exhausted: false,
            gray_lost: false,
            gray_again_lost: false,
            #[cfg(test)]
            gray_room: usize::MAX,
        }
    }

    /// The phase of the collector.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Completed cycles.
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// The colour of new objects, for code that writes headers itself. It changes at safepoints only.
    #[inline(always)]
    pub fn white(&self) -> u8 {
        self.white
    }

    /// The offset of the field behind [`Heap::white`].
    pub const fn white_offset() -> usize {
        std::mem::offset_of!(Heap, white)
    }

    /// The offset of the free list of a size class.
    pub const fn free_list_offset(class: usize) -> usize {
        std::mem::offset_of!(Heap, free) + class * size_of::<*mut GcHeader>()
    }

    /// The seed of the string hash.
    #[inline(always)]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Gives the heap the names of the metatable fields that concern it. They are kept alive; `__gc` is read by the VM.
    pub fn set_special_names(&mut self, mode: StrRef, gc: StrRef) {
        self.fix(mode);
        self.fix(gc);
        self.name_mode = Some(mode);
    }

    /// The name of a type, as `type` gives it.
    #[inline]
    pub fn type_name(&mut self, tag: Tag) -> StrRef {
        match self.type_names[tag as usize] {
            Some(name) => name,
            None => self.make_type_name(tag),
        }
    }

    #[cold]
    fn make_type_name(&mut self, tag: Tag) -> StrRef {
        let name = self.new_str(tag.type_name().as_bytes());
        self.fix(name);
        self.type_names[tag as usize] = Some(name);
        name
    }

    /// Whether a value of a table with weak keys is kept by its key only, as is usual, or by the table.
    pub fn set_ephemerons(&mut self, has_ephemerons: bool) {
        self.has_ephemerons = has_ephemerons;
    }

    /// Keeps a string alive as long as the heap.
    pub fn fix(&mut self, s: StrRef) {
        // SAFETY: a `StrRef` in the mutator's hands is a live string.
        unsafe { (*s.header()).mark |= bits::FIXED }
    }

    /// Counts bytes that another allocator holds for the heap's user (negative: no longer).
    #[inline]
    pub fn account(&mut self, delta: isize) {
        self.external = self.external.wrapping_add_signed(delta);
        self.add_bytes(delta);
    }

    /// Counts bytes of the heap's own that are neither cells nor raw buffers.
    #[inline]
    pub(crate) fn add_bytes(&mut self, delta: isize) {
        self.bytes = self.bytes.wrapping_add_signed(delta);
    }

    /// Sets the most bytes that the heap may hold; `usize::MAX` for no limit.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.threshold = self.threshold.min(limit);
    }

    /// Bounds the frames that a thread may have besides its first one.
    pub fn set_max_frames(&mut self, most: Option<usize>) {
        self.max_frames = most.map_or(usize::MAX, |most| most + 1);
    }

    /// The threads that can still run, as far as the last collection knows.
    pub fn live_threads(&self) -> usize {
        // SAFETY: the list holds threads that are not freed.
        self.threads.iter().filter(|&&th| unsafe { (*th).status != ThreadStatus::Dead }).count()
    }

    /// The most bytes that the heap may hold.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the limit has been reached. The VM answers with a full collection, and with an error if that did not help.
    #[inline]
    pub fn over_limit(&self) -> bool {
        self.bytes >= self.limit
    }

    /// Whether `extra` more bytes fit below the limit. Asked before large allocations; the VM answers an error with a full
    /// collection and a second try.
    #[inline]
    pub fn try_reserve(&self, extra: usize) -> Result<(), OutOfMemory> {
        match self.bytes.checked_add(extra) {
            Some(total) if total <= self.limit && extra <= isize::MAX as usize => Ok(()),
            _ => Err(OutOfMemory),
        }
    }

    /// Whether every safepoint does a full collection.
    pub fn stress(&self) -> bool {
        self.stress
    }

    /// Makes every safepoint do a full collection, or not.
    pub fn set_stress(&mut self, stress: bool) {
        self.stress = stress;
        self.set_threshold(self.bytes.saturating_add(1 << self.stepsize));
    }

    /// The white of the objects that the last atomic step found dead.
    #[inline(always)]
    fn dead_white(&self) -> u8 {
        self.white ^ bits::WHITES
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.release_all();
    }
}

/// The kind of the cell at `h`.
///
/// # Safety
/// `h` is the header of a cell of a heap that lives.
#[inline(always)]
unsafe fn kind_of(h: *mut GcHeader) -> Kind {
    // SAFETY: the caller's duty; headers of cells are always initialised, those of free cells too.
    unsafe { (*h).kind }
}
