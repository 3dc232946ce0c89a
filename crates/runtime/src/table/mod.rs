//! Tables: an array part, a property part and a hash part behind one interface.
//!
//! | part | keys | module |
//! |---|---|---|
//! | array | integers `1..=len`, packed by element kind | `array` |
//! | properties | string keys of record-like tables, in slots laid out by a shape | `props`, `shape` |
//! | hash | all others; all string keys of a table in dictionary mode | `hash` |
//!
//! This module has the interface on [`TableRef`] and the way from a key to its part; `balance` moves
//! integer keys between the parts; `bulk` is what libraries do to whole arrays;
//! `next` the order of traversal; `trace` what the collector needs. Everything here is *raw*: metamethods are the
//! caller's affair.
//!
//! # Which part has a key
//! An integer key in `1..=len` is in the array part; `len + 1` is nowhere; other integers are in the hash part. Floats
//! with integer values become integers first. So `#t` is `len`, without a search.
//!
//! # The two faces
//! `TableRef`'s methods are safe as long as the references are: a `Gc` is only made from a live object, and what is
//! live at a safepoint is the VM's care (see the module `value`). The free functions on `*mut Table` are for the
//! interpreter and compiled code; each states its duties.
//!
//! # Failure
//! A store fails before it changes anything that can be seen, so it may be tried again after a collection.

mod array;
mod balance;
mod bulk;
mod hash;
mod next;
mod props;
mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use std::alloc::{Layout, handle_alloc_error};

use perilune_base::num::convert::float_to_int;

use crate::heap::{Heap, OutOfMemory};
use crate::object::{Kind, StrRef, Table, TableRef, mark};
use crate::value::{Tag, Value};

pub use array::{get_int_fast, set_int_fast};
pub use hash::{DEAD_KEY, HashEntry, HashPart, LONG_STRING_KEY, MAX_ENTRIES, NO_ENTRY, REMOVED_KEY};
pub use next::{Cursor, InvalidKey};
pub use props::{FieldSlot, add_field_slot, adopt_shape, get_str_fast, lookup_field, transition};
pub use shape::{MAX_PROPS, MAX_SHAPES, SPREAD, Shape, ShapeTree, offsets as shape_offsets};

use hash::Key;
use props::KeySource;

/// Why a store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The key is nil.
    NilKey,
    /// The key is not a number.
    NanKey,
    /// The memory limit is reached.
    Memory,
    /// The table would be larger than any may be.
    Overflow,
}

impl From<OutOfMemory> for SetError {
    fn from(_: OutOfMemory) -> SetError {
        SetError::Memory
    }
}

/// A raw buffer with another size, within the limit; of one of no size, a new one.
///
/// # Safety
/// As for [`Heap::realloc_raw`].
unsafe fn try_realloc(heap: &mut Heap, buffer: *mut u8, old: usize, new: usize) -> Result<*mut u8, SetError> {
    heap.try_reserve(new.saturating_sub(old))?;
    // SAFETY: the caller's duty.
    let buffer = unsafe { heap.realloc_raw(buffer, old, new) };
    if buffer.is_null() && new != 0 { Err(SetError::Memory) } else { Ok(buffer) }
}

/// A raw buffer with another size, whatever the limit. The process ends if the system has no memory.
///
/// # Safety
/// As for [`Heap::realloc_raw`].
unsafe fn realloc_unlimited(heap: &mut Heap, buffer: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: the caller's duty.
    let buffer = unsafe { heap.realloc_raw(buffer, old, new) };
    if buffer.is_null() && new != 0 {
        handle_alloc_error(Layout::new::<Value>());
    }
    buffer
}

/// Runs the write barrier for a value stored into a table.
#[inline(always)]
unsafe fn barrier(t: *mut Table, heap: &mut Heap, value: Value) {
    // SAFETY: the caller passes a live table of `heap`; its header is its first field.
    unsafe {
        if value.is_object() && (*t).header.mark & mark::BLACK != 0 {
            heap.barrier_back(&raw mut (*t).header);
        }
    }
}

/// The element kind of a new table's array part. Arrays without elements are never of kind `Any`.
pub const EMPTY_ELEMENTS: u8 = Tag::Int as u8;

/// Makes an empty table of a new cell, but for the colour in its header.
///
/// # Safety
/// `t` is a cell with room for a table with `inline_cap` slots; `root` is the root shape of its heap.
#[inline(always)]
pub unsafe fn init(t: *mut Table, root: *mut Shape, inline_cap: u16) {
    // SAFETY: the caller's duty.
    unsafe {
        (*t).header.kind = Kind::Table;
        (*t).header.flags = 0;
        (*t).header.aux = EMPTY_ELEMENTS;
        (*t).header.word = 0;
        (*t).shape = root;
        (*t).meta = std::ptr::null_mut();
        (*t).slots = props::inline_slots(t);
        (*t).array = std::ptr::null_mut();
        (*t).hash = std::ptr::null_mut();
        (*t).array_cap = 0;
        (*t).slot_cap = inline_cap;
        (*t).inline_cap = inline_cap;
    }
}

/// A key in the form of the part that has it.
enum NormalKey {
    Int(i64),
    Str(StrRef),
    Hash(Key),
    Nil,
    Nan,
}

#[inline]
fn normalize(key: Value) -> NormalKey {
    match key.tag {
        Tag::Int => NormalKey::Int(key.raw_int()),
        Tag::Float => {
            let float = key.raw_float();
            match float_to_int(float) {
                Some(int) => NormalKey::Int(int),
                None if float.is_nan() => NormalKey::Nan,
                None => NormalKey::Hash(Key::of(key)),
            }
        }
        Tag::Nil => NormalKey::Nil,
        _ => match key.as_str() {
            Some(s) => NormalKey::Str(s),
            None => NormalKey::Hash(Key::of(key)),
        },
    }
}

/// Stores a value under an integer key.
///
/// # Safety
/// `t` is a live table of `heap`, `value` is live.
#[inline]
unsafe fn set_int(t: *mut Table, heap: &mut Heap, key: i64, value: Value) -> Result<(), SetError> {
    // SAFETY: the caller's duties.
    unsafe { if set_int_fast(t, heap, key, value) { Ok(()) } else { set_int_slow(t, heap, key, value) } }
}

#[inline(never)]
unsafe fn set_int_slow(t: *mut Table, heap: &mut Heap, key: i64, value: Value) -> Result<(), SetError> {
    // SAFETY: as `set_int`, whose duties are passed on; the index is compared with the length.
    unsafe {
        barrier(t, heap, value);
        let index = (key as u64).wrapping_sub(1);
        let len = u64::from(array::len(t));
        if index < len {
            array::store(t, heap, index as usize, value)
        } else if index > len {
            hash::set(t, heap, Key::of_int(key), value)
        } else if value.is_nil() {
            Ok(())
        } else {
            array::append(t, heap, value)
        }
    }
}

/// Access by key.
impl TableRef {
    /// The value of a key; nil when there is none.
    #[inline]
    pub fn get(self, key: Value) -> Value {
        if let Some(key) = key.as_str() {
            return self.get_str(key);
        }
        if let Some(key) = key.as_int() {
            return self.get_int(key);
        }
        self.get_other(key)
    }

    #[inline(never)]
    fn get_other(self, key: Value) -> Value {
        match normalize(key) {
            NormalKey::Int(key) => self.get_int(key),
            NormalKey::Str(key) => self.get_str(key),
            // SAFETY: a `TableRef` refers to a live table, the key is made of a live value.
            NormalKey::Hash(key) => unsafe { hash::get(self.as_ptr(), key) },
            NormalKey::Nil | NormalKey::Nan => Value::NIL,
        }
    }

    /// The value of an integer key.
    #[inline]
    pub fn get_int(self, key: i64) -> Value {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe {
            match get_int_fast(self.as_ptr(), key) {
                Some(value) => value,
                None => hash::get(self.as_ptr(), Key::of_int(key)),
            }
        }
    }

    /// The value of a string key.
    #[inline]
    pub fn get_str(self, key: StrRef) -> Value {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe { get_str_fast(self.as_ptr(), key) }
    }

    /// The number of the entry of the hash part that has a short string for its key.
    pub fn entry_of(self, key: StrRef) -> Option<u32> {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe { hash::entry_of(self.as_ptr(), key.as_ptr()) }
    }

    /// Stores a value under any key.
    #[inline]
    pub fn set(self, heap: &mut Heap, key: Value, value: Value) -> Result<(), SetError> {
        if let Some(key) = key.as_str() {
            return self.set_str(heap, key, value);
        }
        if let Some(key) = key.as_int() {
            return self.set_int(heap, key, value);
        }
        self.set_other(heap, key, value)
    }

    #[inline(never)]
    fn set_other(self, heap: &mut Heap, key: Value, value: Value) -> Result<(), SetError> {
        match normalize(key) {
            NormalKey::Int(key) => self.set_int(heap, key, value),
            NormalKey::Str(key) => self.set_str(heap, key, value),
            NormalKey::Hash(hash_key) => {
                // SAFETY: a `TableRef` refers to a live table, the key is made of a live value.
                unsafe {
                    barrier(self.as_ptr(), heap, key);
                    barrier(self.as_ptr(), heap, value);
                    hash::set(self.as_ptr(), heap, hash_key, value)
                }
            }
            NormalKey::Nil => Err(SetError::NilKey),
            NormalKey::Nan => Err(SetError::NanKey),
        }
    }

    /// Stores a value under an integer key.
    #[inline]
    pub fn set_int(self, heap: &mut Heap, key: i64, value: Value) -> Result<(), SetError> {
        // SAFETY: a `TableRef` refers to a live table, and values refer to live objects.
        unsafe { set_int(self.as_ptr(), heap, key, value) }
    }

    /// Stores a value under a computed string key.
    #[inline]
    pub fn set_str(self, heap: &mut Heap, key: StrRef, value: Value) -> Result<(), SetError> {
        // SAFETY: a `TableRef` refers to a live table, and values refer to live objects.
        unsafe { props::set(self.as_ptr(), heap, key, value, KeySource::Dynamic) }
    }

    /// Stores a value under a string key that is a constant of the program.
    #[inline]
    pub fn set_field(self, heap: &mut Heap, key: StrRef, value: Value) -> Result<(), SetError> {
        // SAFETY: a `TableRef` refers to a live table, and values refer to live objects.
        unsafe { props::set(self.as_ptr(), heap, key, value, KeySource::Constant) }
    }

    /// The border: `#t` without metamethods.
    #[inline(always)]
    pub fn length(self) -> i64 {
        i64::from(self.array_len())
    }

    /// The metatable.
    #[inline(always)]
    pub fn metatable(self) -> Option<TableRef> {
        // SAFETY: a `TableRef` refers to a live table, whose metatable is null or live.
        unsafe {
            let meta = (*self.as_ptr()).meta;
            (!meta.is_null()).then(|| TableRef::from_ptr(meta))
        }
    }

    /// Replaces the metatable.
    pub fn set_metatable(self, heap: &mut Heap, meta: Option<TableRef>) {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe {
            (*self.as_ptr()).meta = meta.map_or(std::ptr::null_mut(), |meta| meta.as_ptr());
            if let Some(meta) = meta {
                let mark = &mut (*meta.as_ptr()).header.mark;
                *mark |= if *mark & mark::METATABLE != 0 { mark::SHARED } else { mark::METATABLE };
                barrier(self.as_ptr(), heap, Value::table(meta));
            }
        }
    }
}
