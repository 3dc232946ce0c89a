//! What constructors and libraries do to the array part as a whole. Positions are keys, from 1 to
//! [`TableRef::array_len`].

use std::ptr;

use super::{SetError, array, balance, barrier, hash, props};
use crate::heap::Heap;
use crate::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Form, StrRef, Table, TableRef, admits, is_any, is_flag, is_packable};
use crate::table::MAX_PROPS;
use crate::value::{Tag, Value};

/// Shorter lists of booleans are stored as values: they often stand for what is stored later, as in
/// `node = {false, false}`, and there is little room to win.
const MIN_FLAGS: usize = 8;

/// Room.
impl TableRef {
    /// Makes room for so many elements in all, and so many other keys: properties, or more than there can be of them.
    pub fn reserve(self, heap: &mut Heap, elements: usize, props: usize) -> Result<(), SetError> {
        let elements = u32::try_from(elements).map_err(|_| SetError::Overflow)?;
        // SAFETY: a `TableRef` refers to a live table.
        unsafe { array::reserve(self.as_ptr(), heap, elements)? };
        if props > MAX_PROPS as usize {
            let keys = u32::try_from(props).map_err(|_| SetError::Overflow)?;
            // SAFETY: a `TableRef` refers to a live table.
            return unsafe { hash::make_room(self.as_ptr(), heap, keys) };
        }
        // SAFETY: a `TableRef` refers to a live table.
        unsafe {
            if props > (*self.as_ptr()).slot_cap as usize {
                props::grow_slots(self.as_ptr(), heap, props as u32)?;
            }
        }
        Ok(())
    }
}

/// Access by position.
impl TableRef {
    /// Length of the array part.
    #[inline(always)]
    pub fn array_len(self) -> u32 {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe { array::len(self.as_ptr()) }
    }

    /// Panics unless the array part has the position.
    #[inline(always)]
    fn check_position(self, pos: u32) {
        assert!(pos.wrapping_sub(1) < self.array_len(), "position outside of the array part; this is a bug");
    }

    /// The element at `pos`. Panics unless the array part has it.
    #[inline]
    pub fn array_get(self, pos: u32) -> Value {
        self.check_position(pos);
        // SAFETY: a `TableRef` refers to a live table; `pos` was checked.
        unsafe { array::element(self.as_ptr(), pos as usize - 1) }
    }

    /// Replaces the element at `pos`. Panics unless the array part has it.
    #[inline]
    pub fn array_set(self, heap: &mut Heap, pos: u32, value: Value) -> Result<(), SetError> {
        self.check_position(pos);
        // SAFETY: a `TableRef` refers to a live table; `pos` was checked.
        unsafe {
            barrier(self.as_ptr(), heap, value);
            array::store(self.as_ptr(), heap, pos as usize - 1, value)
        }
    }

    /// Exchanges two elements. Panics unless the array part has both. A hole may not be moved to the end.
    #[inline]
    pub fn array_swap(self, a: u32, b: u32) {
        self.check_position(a);
        self.check_position(b);
        let (a, b) = (a as usize - 1, b as usize - 1);
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table; `a` and `b` were checked, and are in the form that the kind
        // says. The array is trimmed in case that a hole came to its end.
        unsafe {
            match Form::of((*t).header.aux) {
                Form::Values => ptr::swap(array::values(t).add(a), array::values(t).add(b)),
                Form::Payloads => return ptr::swap(array::payloads(t).add(a), array::payloads(t).add(b)),
                Form::Tags => ptr::swap(array::tags(t).add(a), array::tags(t).add(b)),
            }
            if array::element(t, self.array_len() as usize - 1).is_nil() {
                array::trim(t);
            }
        }
    }

    /// Copies elements, from `pos` on, as many as `out` takes. Panics unless the array part has them all.
    pub fn array_read(self, pos: u32, out: &mut [Value]) {
        if out.is_empty() {
            return;
        }
        assert!(
            pos >= 1 && pos as usize - 1 + out.len() <= self.array_len() as usize,
            "this is a bug: no such elements"
        );
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table; the range was checked. `out` is no part of a table: nobody has a
        // Rust slice of one.
        unsafe {
            if is_any((*t).header.aux) {
                ptr::copy_nonoverlapping(array::values(t).add(pos as usize - 1), out.as_mut_ptr(), out.len());
            } else {
                for (i, value) in out.iter_mut().enumerate() {
                    *value = array::element(t, pos as usize - 1 + i);
                }
            }
        }
    }
}

/// Moves `count` elements up by one, and gives the place that is free then.
///
/// # Safety
/// `at` and `count` places behind it are of one buffer.
#[inline(always)]
unsafe fn open<T>(at: *mut T, count: usize) -> *mut T {
    // SAFETY: the caller's duty.
    unsafe { ptr::copy(at, at.add(1), count) }
    at
}

/// Moves `count` elements down by one, onto the place below them.
///
/// # Safety
/// `at` and `count` places behind it are of one buffer.
#[inline(always)]
unsafe fn close<T>(at: *mut T, count: usize) {
    // SAFETY: the caller's duty.
    unsafe { ptr::copy(at.add(1), at, count) }
}

/// Changes of length.
impl TableRef {
    /// Inserts an element at `pos` and moves those from there on up by one. Panics unless the array part has `pos`.
    pub fn array_insert(self, heap: &mut Heap, pos: u32, value: Value) -> Result<(), SetError> {
        self.check_position(pos);
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table; `pos` was checked, and there is room for one more element when
        // they are moved. The kind admits the value when it is written.
        unsafe {
            barrier(t, heap, value);
            if !admits((*t).header.aux, value.tag) {
                array::convert_to_any(t, heap)?;
            }
            let (at, len) = (pos as usize - 1, self.array_len() as usize);
            array::reserve_one(t, heap)?;
            match Form::of((*t).header.aux) {
                Form::Values => open(array::values(t).add(at), len - at).write(value),
                Form::Payloads => open(array::payloads(t).add(at), len - at).write(value.payload),
                Form::Tags => open(array::tags(t).add(at), len - at).write(value.tag),
            }
            (*t).header.word = len as u32 + 1;
            balance::take_next_from_hash(t, heap);
            Ok(())
        }
    }

    /// Removes the element at `pos` and moves those above it down by one. Panics unless the array part has `pos`.
    pub fn array_remove(self, pos: u32) -> Value {
        let value = self.array_get(pos);
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table; `array_get` checked `pos`. The last element is given up.
        unsafe {
            let above = (self.array_len() - pos) as usize;
            let at = pos as usize - 1;
            match Form::of((*t).header.aux) {
                Form::Values => close(array::values(t).add(at), above),
                Form::Payloads => close(array::payloads(t).add(at), above),
                Form::Tags => close(array::tags(t).add(at), above),
            }
            array::pop(t);
        }
        value
    }

    /// Stores a value that is not nil under the key `#t + 1`.
    #[inline]
    pub fn append(self, heap: &mut Heap, value: Value) -> Result<(), SetError> {
        self.set_int(heap, self.length() + 1, value)
    }

    /// Stores values under the keys from `start` on. Nils are stored as well.
    pub fn extend_from_slice(self, heap: &mut Heap, start: i64, values: &[Value]) -> Result<(), SetError> {
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table.
        let is_append = start == self.length() + 1 && unsafe { hash::index_keys(t) } == 0;
        if !is_append {
            for (i, &value) in values.iter().enumerate() {
                self.set_int(heap, start.wrapping_add(i as i64), value)?;
            }
            return Ok(());
        }
        // Without index keys in the hash part, nils at the end have nothing to overwrite.
        let Some(last) = values.iter().rposition(|value| !value.is_nil()) else { return Ok(()) };
        let values = &values[..=last];
        let kind = kind_of_list(values);
        // SAFETY: a `TableRef` refers to a live table. There is room for all values, and the kind admits them, when
        // they are written; the last of them is not nil.
        unsafe {
            let len = self.array_len();
            if len == 0 {
                if (*t).header.aux != kind {
                    array::set_empty_kind(t, kind);
                }
            } else if !values.iter().all(|value| admits((*t).header.aux, value.tag)) {
                array::convert_to_any(t, heap)?;
            }
            let new_len = u32::try_from(len as usize + values.len()).map_err(|_| SetError::Overflow)?;
            array::reserve_amortized(t, heap, new_len)?;
            write_list(t, len as usize, values);
            (*t).header.word = new_len;
            // One object may stand for all: the barrier is about the table.
            if let Some(&object) = values.iter().find(|value| value.is_object()) {
                barrier(t, heap, object);
            }
        }
        Ok(())
    }
}

/// The element kind of an array that gets these values first, which are one at least.
fn kind_of_list(values: &[Value]) -> u8 {
    let tag = values[0].tag;
    if is_packable(tag) && values.iter().all(|value| value.tag == tag) {
        tag as u8
    } else if values.len() >= MIN_FLAGS && values.iter().all(|value| is_flag(value.tag)) {
        BOOL_ELEMENTS
    } else {
        ANY_ELEMENTS
    }
}

/// Writes elements from index `from` on.
///
/// # Safety
/// `t` is a live table, whose array has room for the values and a kind that admits them.
unsafe fn write_list(t: *mut Table, from: usize, values: &[Value]) {
    // SAFETY: the caller's duty.
    unsafe {
        debug_assert!(from + values.len() <= (*t).array_cap as usize);
        match Form::of((*t).header.aux) {
            Form::Values => ptr::copy_nonoverlapping(values.as_ptr(), array::values(t).add(from), values.len()),
            Form::Payloads => {
                for (i, value) in values.iter().enumerate() {
                    array::payloads(t).add(from + i).write(value.payload);
                }
            }
            Form::Tags => {
                for (i, value) in values.iter().enumerate() {
                    array::tags(t).add(from + i).write(value.tag);
                }
            }
        }
    }
}

/// New tables.
impl TableRef {
    /// Gives a new table elements, without regard to the memory limit. The last of the values is not nil. Panics if the table
    /// has elements.
    pub fn fill_unlimited(self, heap: &mut Heap, values: &[Value]) {
        let t = self.as_ptr();
        assert!(
            self.array_len() == 0 && values.last().is_some_and(|last| !last.is_nil()),
            "no new list; this is a bug"
        );
        // SAFETY: a `TableRef` refers to a live table, which has no elements, as was checked: its kind may change. The kind and
        // the room are made such as the values need. One object may stand for all: the barrier is about the table.
        unsafe {
            array::set_empty_kind(t, kind_of_list(values));
            array::reserve_unlimited(t, heap, values.len() as u32);
            write_list(t, 0, values);
            (*t).header.word = values.len() as u32;
            if let Some(&object) = values.iter().find(|value| value.is_object()) {
                barrier(t, heap, object);
            }
        }
    }
}

/// Sorting.
impl TableRef {
    /// Sorts the array part ascending, if it has integers only, floats only or strings only, and nothing else is wanted
    /// than the order of `<`. Returns whether it did. (NaN have some place.)
    pub fn array_sort(self) -> bool {
        let t = self.as_ptr();
        let len = self.array_len() as usize;
        if len < 2 {
            return true;
        }
        // SAFETY: a `TableRef` refers to a live table, whose array part, not being empty, has `len` initialised
        // payloads of the tag that is its kind. No other reference to them is in use: the comparisons touch no table.
        unsafe {
            let is_packed = Form::of((*t).header.aux) == Form::Payloads;
            let payloads = std::slice::from_raw_parts_mut(array::payloads(t), len * usize::from(is_packed));
            match (*t).header.aux {
                kind if kind == Tag::Int as u8 => payloads.sort_unstable_by_key(|&payload| payload as i64),
                kind if kind == Tag::Float as u8 => {
                    payloads.sort_unstable_by(|&a, &b| f64::from_bits(a).total_cmp(&f64::from_bits(b)));
                }
                kind if kind == Tag::Str as u8 => payloads.sort_unstable_by(|&a, &b| {
                    let (a, b) = (StrRef::from_address(a), StrRef::from_address(b));
                    a.as_bytes().cmp(b.as_bytes())
                }),
                _ => return false,
            }
        }
        true
    }
}
