//! What the heap does when the system refuses memory.
//!
//! * Its user learns of it at the next safepoint, which collects, and fails if that did not help: see
//!   [`crate::spare`].
//! * Its lists grow by little where they cannot double.
//! * **The gray lists need no memory**: an object that finds no place in them stays gray, which its header says, and
//!   `gray_lost` says that there are such objects. Before the atomic step the whole heap is searched for them; and in it
//!   again, for those that `gray_again_lost` tells of.

use super::cells::{CLASSES, class_bytes};
use super::{Heap, kind_of};
use crate::object::mark::{BLACK, WHITES};
use crate::object::{GcHeader, Kind};
use crate::spare::SpareMemory;

/// Adds to a list, which doubles when it is full, or grows by little if the system has no memory for that.
#[inline]
pub(super) fn push<T>(spare: Option<&SpareMemory>, list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        make_room(spare, list);
    }
    list.push(item);
}

#[cold]
#[inline(never)]
fn make_room<T>(spare: Option<&SpareMemory>, list: &mut Vec<T>) {
    const FEW: usize = 1 << 10;
    const MANY: usize = 1 << 18;
    if list.try_reserve(1).is_err() {
        let some = (list.len() / 8).clamp(FEW, MANY);
        if list.try_reserve_exact(some).is_err()
            && let Some(spare) = spare
        {
            spare.release();
            // If this is refused, too, the process ends with the push that follows.
            let _ = list.try_reserve_exact(some);
        }
    }
}

/// Adds to a gray list. False if there is no place for the object.
#[inline]
fn try_push(list: &mut Vec<*mut GcHeader>, h: *mut GcHeader) -> bool {
    if list.len() == list.capacity() && list.try_reserve(1).is_err() {
        return false;
    }
    list.push(h);
    true
}

impl Heap {
    /// Tells the heap what its allocator keeps back, and has it keep back some.
    pub fn set_spare(&mut self, spare: &'static SpareMemory) {
        spare.refill();
        self.spare = Some(spare);
    }

    /// Whether the system has refused memory since the last full collection.
    #[inline]
    pub fn is_pressed(&self) -> bool {
        self.spare.is_some_and(SpareMemory::is_spent) || self.interned.is_crowded()
    }

    /// Whether a collection has left the program with too little memory to go on.
    pub fn lacks_memory(&self) -> bool {
        self.over_limit() || self.is_exhausted
    }

    /// Makes a step due if the system has refused memory. Asked whenever the heap has got memory from the system.
    #[inline]
    pub(super) fn heed_pressure(&mut self) {
        if self.is_pressed() {
            self.threshold = self.threshold.min(self.bytes);
        }
    }

    /// After a full collection: has memory kept back again.
    pub(super) fn relieve(&mut self) {
        let grown = self.interned.relieve();
        self.add_bytes(grown);
        let is_refilled = self.spare.is_none_or(|spare| !spare.is_spent() || spare.refill());
        self.is_exhausted = !is_refilled || self.interned.is_crowded();
    }

    /// Whether a test wants no more objects in a gray list of this length.
    #[inline(always)]
    fn lacks_gray_room(&self, length: usize) -> bool {
        #[cfg(test)]
        return length >= self.gray_room;
        #[cfg(not(test))]
        {
            let _ = length;
            false
        }
    }

    /// Lists an object that just turned gray.
    #[inline]
    pub(super) fn push_gray(&mut self, h: *mut GcHeader) {
        if self.lacks_gray_room(self.gray.len()) || !try_push(&mut self.gray, h) {
            self.gray_lost = true;
        }
    }

    /// Lists a gray object to be traversed (again) in the atomic step.
    #[inline]
    pub(super) fn push_gray_again(&mut self, h: *mut GcHeader) {
        if self.lacks_gray_room(self.gray_again.len()) || !try_push(&mut self.gray_again, h) {
            self.gray_again_lost = true;
        }
    }

    /// Traverses the gray objects of the whole heap until none is lost. Returns the bytes traversed.
    ///
    /// Threads and weak tables stay gray. They are traversed in each round, but a further round takes place only if a
    /// white object has turned gray and was lost in this one, and there are ever fewer of those.
    pub(super) fn find_lost(&mut self) -> usize {
        let mut work = self.propagate(usize::MAX);
        while std::mem::take(&mut self.gray_lost) {
            for class in 0..CLASSES {
                for index in 0..self.blocks[class].list.len() {
                    let block = self.blocks[class].list[index];
                    for cell in 0..block.cells as usize {
                        // SAFETY: the block has so many cells of this size, with initialised headers.
                        work += unsafe { self.find_in(block.start.add(cell * class_bytes(class)).cast()) };
                    }
                }
            }
            for index in 0..self.large.len() {
                // SAFETY: the list holds large cells that are not freed.
                work += unsafe { self.find_in(self.large[index].header) };
            }
        }
        work
    }

    /// Traverses an object if it is gray, and all that turn gray by that.
    ///
    /// # Safety
    /// `h` is the header of a cell of this heap, which is marking.
    unsafe fn find_in(&mut self, h: *mut GcHeader) -> usize {
        // SAFETY: the caller's duty. Nothing is freed while the heap marks, and a gray object is live.
        unsafe {
            if (*h).mark & (WHITES | BLACK) != 0 || matches!(kind_of(h), Kind::Free | Kind::UpVal) {
                return 0;
            }
            self.traverse(h) + self.propagate(usize::MAX)
        }
    }
}
