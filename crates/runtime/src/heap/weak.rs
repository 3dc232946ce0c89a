//! Tables, strong and weak.
//!
//! A metatable's `__mode` makes a table weak. Weak tables are settled in the atomic step only; when they are met before,
//! what is certainly reachable through them is reached, and they wait among the gray-again objects.
//!
//! | `__mode` | reached | put on the list | cleared |
//! |---|---|---|---|
//! | `"v"` | keys | `weak_values` | entries with dead values |
//! | `"k"` (*ephemeron*) | values whose key is reached | `ephemerons`, if a dead key has a dead value; else `all_weak`, if there is a dead key | entries with dead keys |
//! | `"kv"` | nothing | `all_weak` | both |
//!
//! An ephemeron's value may be what makes another ephemeron's key reachable: those on the list are traversed until nothing
//! more is reached.
//!
//! Strings are values, not objects, to a weak table: they are never removed from one. A string that is looked at here is
//! marked.

use super::pressure::push;
use super::{Heap, Phase};
use crate::object::mark::{BLACK, WHITES};
use crate::object::{Table, TableRef};
use crate::table::trace;
use crate::value::{Tag, Value};

/// Which references of a table are weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weakness {
    Values,
    Keys,
    Both,
}

/// Whether a weak reference to the value is to be cleared: is it an object that is not reached? Strings are reached now.
fn is_cleared(v: Value) -> bool {
    let Some(h) = v.header() else { return false };
    // SAFETY: keys and values of entries that have a value are not freed before the entries are cleared.
    unsafe {
        if (*h).mark & WHITES == 0 {
            return false;
        }
        if v.tag == Tag::Str {
            (*h).mark = (*h).mark & !WHITES | BLACK;
            return false;
        }
    }
    true
}

/// Is it an object that is not reached?
fn is_white(v: Value) -> bool {
    // SAFETY: as in `is_cleared`.
    v.header().is_some_and(|h| unsafe { (*h).mark } & WHITES != 0)
}

/// The work that traversing a table is.
///
/// # Safety
/// `t` is a live table.
unsafe fn work(t: *mut Table) -> usize {
    // SAFETY: the caller's duty.
    unsafe { size_of::<Table>() + trace::buffer_bytes(t) }
}

impl Heap {
    /// What the metatable says.
    ///
    /// # Safety
    /// `meta` is null or a live table.
    pub(super) unsafe fn weakness(&mut self, meta: *mut Table) -> Option<Weakness> {
        let name = self.name_mode?;
        if meta.is_null() {
            return None;
        }
        // SAFETY: the caller's duty; the name is fixed.
        let mode = unsafe { TableRef::from_ptr(meta) }.get_str(name).as_str()?;
        let mode = mode.as_bytes();
        match (mode.contains(&b'k'), mode.contains(&b'v')) {
            (false, false) => None,
            (false, true) => Some(Weakness::Values),
            (true, false) => Some(Weakness::Keys),
            (true, true) => Some(Weakness::Both),
        }
    }

    /// # Safety
    /// `t` is a live table.
    pub(super) unsafe fn traverse_strong(&mut self, t: *mut Table) -> usize {
        // SAFETY: the caller's duty; marking leaves tables alone.
        unsafe {
            trace::visit_strong(t, |v| self.mark_value(v));
            work(t)
        }
    }

    /// # Safety
    /// `t` is a live table.
    pub(super) unsafe fn traverse_weak(&mut self, t: *mut Table, weakness: Weakness) -> usize {
        // SAFETY: the caller's duty; marking leaves tables alone.
        unsafe {
            (*t).header.mark &= !BLACK;
            match weakness {
                Weakness::Values => {
                    trace::visit_keys(t, |v| self.mark_value(v));
                    if self.in_atomic {
                        push(self.spare, &mut self.weak_values, t);
                    }
                }
                Weakness::Keys => {
                    self.traverse_ephemeron(t);
                }
                Weakness::Both if self.in_atomic => push(self.spare, &mut self.all_weak, t),
                Weakness::Both => {}
            }
            if !self.in_atomic {
                debug_assert!(self.phase == Phase::Propagate);
                self.push_gray_again(t.cast());
            }
            work(t)
        }
    }

    /// Reaches the values whose keys are reached. Returns whether that reached anything.
    ///
    /// # Safety
    /// `t` is a live table.
    unsafe fn traverse_ephemeron(&mut self, t: *mut Table) -> bool {
        let (mut reached, mut dead_key, mut dead_pair) = (false, false, false);
        // SAFETY: the caller's duty; marking leaves tables alone.
        unsafe {
            trace::visit_fields(t, |v| {
                reached |= is_white(v);
                self.mark_value(v);
            });
            trace::visit_entries(t, |entry| {
                let white = is_white(entry.value());
                let is_dead = is_cleared(entry.key());
                dead_key |= is_dead;
                if is_dead && self.has_ephemerons {
                    dead_pair |= white;
                } else if white {
                    reached = true;
                    self.mark_value(entry.value());
                }
            });
        }
        if self.in_atomic {
            if dead_pair {
                push(self.spare, &mut self.ephemerons, t);
            } else if dead_key {
                push(self.spare, &mut self.all_weak, t);
            }
        }
        reached
    }

    /// Traverses the ephemerons on the list until nothing more is reached. Each round goes the other way, so that chains
    /// in either direction settle fast.
    pub(super) fn converge_ephemerons(&mut self) -> usize {
        let mut work = 0;
        loop {
            let mut reached = false;
            let mut round = std::mem::take(&mut self.ephemerons);
            // The list was filled in the order of the last round.
            round.reverse();
            for t in round {
                // SAFETY: tables on the lists were reached.
                if unsafe { self.traverse_ephemeron(t) } {
                    reached = true;
                    work += self.find_lost();
                }
            }
            if !reached {
                return work;
            }
        }
    }

    /// Clears the entries with dead values of the tables on the lists, from these positions on.
    pub(super) fn clear_dead_values(&mut self, from_values: usize, from_all: usize) {
        let lists =
            [(std::mem::take(&mut self.weak_values), from_values), (std::mem::take(&mut self.all_weak), from_all)];
        for (list, from) in &lists {
            for &t in &list[*from..] {
                // SAFETY: tables on the lists were reached.
                unsafe { trace::clear_values(t, self, is_cleared) }
            }
        }
        [self.weak_values, self.all_weak] = lists.map(|(list, _)| list);
    }

    /// Clears the entries with dead keys.
    pub(super) fn clear_dead_keys(&mut self) {
        for list in [&self.ephemerons, &self.all_weak] {
            for &t in list {
                // SAFETY: tables on the lists were reached.
                unsafe { trace::clear_entries(t, |entry| is_cleared(entry.key())) }
            }
        }
    }
}
