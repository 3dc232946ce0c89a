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

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::pressure::push;
use super::{Heap, Phase};
use crate::object::mark::{BLACK, WHITES};
use crate::object::{GcHeader, Table, TableRef};
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

/// The values of ephemerons that wait for their keys, by the addresses of those.
#[derive(Default)]
struct Waiting(HashMap<*mut GcHeader, Vec<Value>, BuildHasherDefault<DefaultHasher>>);

impl Waiting {
    /// A value that waits for a key, if there is memory for that.
    fn add(&mut self, key: Value, value: Value) {
        let Some(h) = key.header() else { return };
        if self.0.try_reserve(1).is_ok() {
            let values = self.0.entry(h).or_default();
            if values.try_reserve(1).is_ok() {
                values.push(value);
            }
        }
    }

    /// What waits for a key.
    fn take(&mut self, key: *mut GcHeader) -> Vec<Value> {
        self.0.remove(&key).unwrap_or_default()
    }

    /// What waits for keys that are reached.
    fn take_reached(&mut self) -> Vec<Value> {
        let mut found = Vec::new();
        self.0.retain(|&key, values| {
            // SAFETY: keys of entries that have a value are not freed before the entries are cleared.
            let is_waiting = unsafe { (*key).mark } & WHITES != 0;
            if !is_waiting && found.try_reserve(values.len()).is_ok() {
                found.append(values);
            }
            is_waiting
        });
        found
    }
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
    /// in either direction settle fast; those that do not, in any order, are followed link by link.
    pub(super) fn converge_ephemerons(&mut self) -> usize {
        const ROUNDS: u32 = 8;
        let mut work = 0;
        for n in 1u32.. {
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
                break;
            }
            if n % ROUNDS == 0 {
                work += self.follow_ephemerons();
            }
        }
        work
    }

    /// Follows chains of ephemerons in time that is proportional to their length: what waits for a key is reached as soon as
    /// that is traversed. Without memory for that it ends early, as rounds go on anyway.
    fn follow_ephemerons(&mut self) -> usize {
        let mut waiting = Waiting::default();
        let (mut work, mut listed) = (0, 0);
        loop {
            while let Some(&t) = self.ephemerons.get(listed) {
                listed += 1;
                // SAFETY: tables on the list were reached; marking leaves tables alone.
                unsafe {
                    trace::visit_entries(t, |entry| {
                        if is_white(entry.key()) && entry.key().tag != Tag::Str {
                            waiting.add(entry.key(), entry.value());
                        } else {
                            self.mark_value(entry.value());
                        }
                    });
                    work += size_of::<Table>() + trace::buffer_bytes(t);
                }
            }
            if let Some(h) = self.gray.pop() {
                // SAFETY: gray objects are live.
                work += unsafe { self.traverse(h) };
                waiting.take(h).into_iter().for_each(|v| self.mark_value(v));
                continue;
            }
            // What refers to nothing is never gray, and what is gray may be lost.
            let missed = waiting.take_reached();
            work += self.find_lost();
            if missed.is_empty() {
                return work;
            }
            missed.into_iter().for_each(|v| self.mark_value(v));
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
