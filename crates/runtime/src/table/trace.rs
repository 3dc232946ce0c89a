//! What the collector does to tables.
//!
//! Which keys and values it follows depends on the weakness of the table:
//!
//! | table | marked | cleared in the atomic step |
//! |---|---|---|
//! | strong | [`visit_strong`] | – |
//! | weak values | [`visit_keys`] | [`clear_values`] |
//! | ephemeron (weak keys) | [`visit_fields`], and of [`visit_entries`] the values of marked keys | [`clear_entries`] by key |
//! | all weak | – | [`clear_entries`] by key, [`clear_values`] |
//!
//! Array elements and properties have keys that never die (integers; strings, which the shapes keep), so that in an
//! ephemeron table they are strong. The metatable, and the keys of shapes, are not reported here.
//!
//! # Dead keys
//! Nothing keeps the key object of a tombstone alive. All functions that walk the hash part mark such keys dead,
//! so that nobody follows them; `next` still finds the entry by the address.
//!
//! # Invariants
//! These functions keep those of the parts; clearing an array element makes the kind `Any` first, and may shorten the
//! array. Callers pass live tables of their heap, and do not use a table while they walk through it.

use super::hash::{self, HashEntry, HashPart};
use super::{array, props};
use crate::heap::{Heap, raw_bytes};
use crate::object::{BOOL_ELEMENTS, Table, is_any};
use crate::value::{Tag, Value};

/// An entry of the hash part that has a value.
pub(crate) struct EntryRef<'a> {
    entry: &'a mut HashEntry,
    key: Value,
}

impl EntryRef<'_> {
    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> Value {
        self.key
    }

    /// The value.
    #[inline]
    pub(crate) fn value(&self) -> Value {
        self.entry.value()
    }

    /// Makes the entry a tombstone, and its key a dead one.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.entry.set_value(Value::NIL);
        self.entry.kill_key();
    }
}

/// Calls `visit` with the values of the array part and of the properties that refer to objects.
///
/// # Safety
/// `t` is a live table, which `visit` leaves alone.
#[inline]
pub(crate) unsafe fn visit_fields(t: *mut Table, mut visit: impl FnMut(Value)) {
    // SAFETY: the caller's duty; elements below the length and slots below the shape's count are initialised.
    unsafe {
        let len = array::len(t) as usize;
        let kind = (*t).header.aux;
        // Arrays of numbers or booleans, and empty ones, have nothing to show.
        if is_any(kind) || kind >= Tag::FIRST_OBJECT as u8 && kind != BOOL_ELEMENTS {
            for index in 0..len {
                let value = array::element(t, index);
                if value.is_object() {
                    visit(value);
                }
            }
        }
        for slot in 0..(*(*t).shape).count as usize {
            let value = *(*t).slots.add(slot);
            if value.is_object() {
                visit(value);
            }
        }
    }
}

/// Calls `visit` with each entry of the hash part that has a value.
///
/// # Safety
/// `t` is a live table, which `visit` leaves alone but for the entry.
#[inline]
pub(crate) unsafe fn visit_entries(t: *mut Table, mut visit: impl FnMut(&mut EntryRef<'_>)) {
    // SAFETY: the caller's duty; the first `used` entries of a hash part are initialised.
    unsafe {
        let hash = (*t).hash;
        if hash.is_null() {
            return;
        }
        for at in 0..(*hash).used {
            let entry = &mut *HashPart::entry(hash, at);
            if entry.value_tag == Tag::Nil {
                entry.kill_key();
            } else if let Some(key) = entry.key() {
                visit(&mut EntryRef { entry, key });
            }
        }
    }
}

/// Calls `visit` with all values, and with all keys of the hash part, that refer to objects.
///
/// # Safety
/// `t` is a live table, which `visit` leaves alone.
#[inline]
pub(crate) unsafe fn visit_strong(t: *mut Table, mut visit: impl FnMut(Value)) {
    // SAFETY: the caller's duty.
    unsafe {
        visit_fields(t, &mut visit);
        visit_entries(t, |entry| {
            for value in [entry.key(), entry.value()] {
                if value.is_object() {
                    visit(value);
                }
            }
        });
    }
}

/// Calls `visit` with all keys of the hash part that refer to objects.
///
/// # Safety
/// `t` is a live table, which `visit` leaves alone.
#[inline]
pub(crate) unsafe fn visit_keys(t: *mut Table, mut visit: impl FnMut(Value)) {
    // SAFETY: the caller's duty.
    unsafe {
        visit_entries(t, |entry| {
            if entry.key().is_object() {
                visit(entry.key());
            }
        });
    }
}

/// Removes the entries of the hash part for which `is_dead` says yes.
///
/// # Safety
/// `t` is a live table, which `is_dead` leaves alone.
pub(crate) unsafe fn clear_entries(t: *mut Table, mut is_dead: impl FnMut(&EntryRef<'_>) -> bool) {
    // SAFETY: the caller's duty.
    unsafe {
        visit_entries(t, |entry| {
            if is_dead(entry) {
                entry.clear();
            }
        });
    }
}

/// Removes the values of all parts for which `is_dead` says yes. It is asked about values that refer to objects.
///
/// # Safety
/// `t` is a live table of `heap`, which `is_dead` leaves alone.
pub(crate) unsafe fn clear_values(t: *mut Table, heap: &mut Heap, mut is_dead: impl FnMut(Value) -> bool) {
    // SAFETY: the caller's duty; elements below the length and slots below the shape's count are initialised. Nil is
    // only stored into an array that admits it.
    unsafe {
        for index in 0..array::len(t) as usize {
            let value = array::element(t, index);
            if value.is_object() && is_dead(value) {
                if !is_any((*t).header.aux) {
                    array::convert_to_any_unlimited(t, heap);
                }
                array::values(t).add(index).write(Value::NIL);
            }
        }
        if is_any((*t).header.aux) {
            array::trim(t);
        }
        for slot in 0..(*(*t).shape).count as usize {
            let slot = (*t).slots.add(slot);
            if (*slot).is_object() && is_dead(*slot) {
                slot.write(Value::NIL);
            }
        }
        clear_entries(t, |entry| entry.value().is_object() && is_dead(entry.value()));
    }
}

/// Bytes that the heap counts for the buffers of a table: what it has besides its cell.
///
/// # Safety
/// `t` is a live table.
pub(crate) unsafe fn buffer_bytes(t: *mut Table) -> usize {
    // SAFETY: the caller's duty; a table's hash part is null or live.
    unsafe { raw_bytes(array::bytes(t)) + raw_bytes(props::buffer_bytes(t)) + raw_bytes(HashPart::bytes((*t).hash)) }
}

/// Whether a table has no buffers.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(crate) unsafe fn is_bare(t: *mut Table) -> bool {
    // SAFETY: the caller's duty.
    unsafe { (*t).array.is_null() && (*t).hash.is_null() && (*t).slots == props::inline_slots(t) }
}

/// Frees the buffers of a table that dies.
///
/// # Safety
/// `t` is a live table of `heap`, and nothing uses its contents any more.
pub(crate) unsafe fn free_buffers(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty.
    unsafe {
        array::free(t, heap);
        props::free_buffer(t, heap);
        hash::free(t, heap);
    }
}
