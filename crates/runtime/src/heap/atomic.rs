//! The atomic step: the end of marking.
//!
//! It runs with the mutator stopped, in this order, which is the reference's:
//! 1. roots again, and all that changed without barriers: threads, open upvalues, tables that turned gray again;
//! 2. ephemerons, until nothing more is reached: now all that is strongly reachable is marked;
//! 3. entries with dead values leave weak tables, before finalizers can see them;
//! 4. dead objects with finalizers go to the queue and are marked with all that they refer to; ephemerons again;
//! 5. entries with dead keys leave weak tables, and dead values of tables that were reached only in step 4;
//! 6. the roots forget what refers to dead objects without keeping them alive: compiled code;
//! 7. upvalues of dead threads are closed, the whites are swapped, sweeping begins.

use super::cells::CLASSES;
use super::mark::{Reached, is_open};
use super::stacks::next_open;
use super::{Heap, Phase, Roots};
use crate::object::mark::{BLACK, WHITES};

impl Heap {
    /// Finishes marking and begins to sweep. Returns the bytes traversed.
    pub(super) fn atomic(&mut self, roots: &mut dyn Roots) -> usize {
        debug_assert!(self.phase == Phase::Propagate);
        self.in_atomic = true;
        let mut work = 0;
        self.mark_roots(roots);
        self.mark_shape_keys();
        work += self.find_lost();
        work += self.revisit_open_upvals();
        for h in std::mem::take(&mut self.gray_again) {
            // SAFETY: objects on the list are live: nothing was freed since they were put there.
            work += unsafe { self.traverse(h) };
        }
        self.gray_lost |= self.gray_again_lost;
        work += self.find_lost();
        work += self.converge_ephemerons();

        self.clear_dead_values(0, 0);
        let (settled_values, settled_all) = (self.weak_values.len(), self.all_weak.len());
        self.queue_dead_finalizables();
        work += self.find_lost();
        work += self.converge_ephemerons();

        self.clear_dead_keys();
        self.clear_dead_values(settled_values, settled_all);
        roots.forget_dead(&Reached::new(self));
        self.forget_gray_lists();
        self.drop_dead_threads();
        self.estimate = self.bytes;
        self.in_atomic = false;
        self.white ^= WHITES;
        self.enter_sweep();
        work
    }

    /// Marks the keys of all shapes: caches and templates may bring them back to a table at any time.
    fn mark_shape_keys(&mut self) {
        self.shapes.visit_keys(|key| {
            // SAFETY: keys of shapes are live strings, which refer to nothing.
            unsafe { (*key.header()).mark = (*key.header()).mark & !WHITES | BLACK }
        });
    }

    /// Reaches the variables of upvalues that were open when they were marked: the mutator may have assigned to them, and
    /// their thread may be dead.
    fn revisit_open_upvals(&mut self) -> usize {
        for uv in std::mem::take(&mut self.open_seen) {
            // SAFETY: marked upvalues are live, their slot is in a stack that is not freed or their own.
            unsafe {
                if is_open(uv) {
                    self.mark_value(*(*uv).slot);
                }
            }
        }
        self.find_lost()
    }

    /// Forgets the dead threads, and closes those of their upvalues that are alive. (The others die with them.)
    fn drop_dead_threads(&mut self) {
        let mut threads = std::mem::take(&mut self.threads);
        threads.retain(|&th| {
            // SAFETY: no thread is freed before it has left this list. The upvalues in its list are not freed either:
            // open upvalues are reached through their thread while it lives.
            unsafe {
                if (*th).header.mark & WHITES == 0 {
                    return true;
                }
                let mut uv = (*th).open_upvals;
                (*th).open_upvals = std::ptr::null_mut();
                while !uv.is_null() {
                    let next = next_open(uv);
                    if (*uv).header.mark & WHITES == 0 {
                        self.close_upval(uv);
                    }
                    uv = next;
                }
                false
            }
        });
        self.threads = threads;
    }

    pub(super) fn enter_sweep(&mut self) {
        self.phase = Phase::Sweep;
        for class in 0..CLASSES {
            self.free[class] = std::ptr::null_mut();
            let blocks = &mut self.blocks[class];
            blocks.next_sweep = 0;
            blocks.sweep_end = blocks.list.len();
            blocks.live = 0;
            blocks.kept_empty = 0;
        }
        self.sweep_class = 0;
        self.large_unswept = self.large.len();
    }
}
