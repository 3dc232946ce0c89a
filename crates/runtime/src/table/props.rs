//! The property part: string keys in slots, as the shape says, or all of them in the hash part in dictionary mode.
//!
//! # Which it is
//! A new key that a constant-key store adds (`t.x = 1`) takes a shape transition. One that a dynamic-key store adds
//! (`t[k] = 1`) turns the table into a dictionary if it has no properties yet, or already [`MAX_DYNAMIC_PROPS`] of that
//! kind: a table whose first key is computed is a map, not a record. But where its value is a function, or the key the name
//! of a metamethod, it is a class or a module that others are copied into: of those there may be [`MAX_DYNAMIC_METHODS`].
//! Where constant keys have made many properties, as of the table of globals, some more may come by computed ones. Long
//! strings are never properties, and shapes are limited in number and size (see the module `shape`): what has no
//! transition makes a dictionary too. There is no way back.
//!
//! # Invariants
//! * The first `shape.count` slots are initialised; a nil slot is an absent property. Deleting keeps the shape.
//! * With another shape than the dictionary shape the hash part has no string key.
//! * `header.flags`, the cached absence of metamethods, is reset whenever a string key becomes present.

use std::ptr;

use super::hash::{self, Key};
use super::shape::Shape;
use super::{SetError, barrier, try_realloc};
use crate::heap::Heap;
use crate::object::{StrRef, Table};
use crate::value::{Tag, Value};

/// Properties of dynamic-key stores from which on such a store adds no further one.
const MAX_DYNAMIC_PROPS: u32 = 16;

/// The same for stores of methods.
const MAX_DYNAMIC_METHODS: u32 = 32;

/// How many more there may be for each property of a constant-key store.
const DYNAMIC_PER_CONSTANT: u32 = 2;

/// What a table's own part says about a string key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldSlot {
    /// All tables of its shape have the key in this slot. The slot may be nil: absent in this table.
    Own(u32),
    /// All tables of its shape lack the key.
    Absent,
    /// The table is a dictionary, its shape says nothing.
    Dict,
}

/// How a store came by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeySource {
    /// A constant of the program.
    Constant,
    /// Computed.
    Dynamic,
}

/// The slots behind the struct.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn inline_slots(t: *mut Table) -> *mut Value {
    // SAFETY: the allocation of a table includes its inline slots, directly behind the struct.
    unsafe { t.add(1).cast() }
}

/// Where a string key is; see [`FieldSlot`].
///
/// # Safety
/// `t` is a live table.
#[inline]
pub unsafe fn lookup_field(t: *mut Table, key: StrRef) -> FieldSlot {
    // SAFETY: the caller's duty; a table's shape lives as long as the heap.
    unsafe {
        let shape = &*(*t).shape;
        if shape.is_dict() {
            return FieldSlot::Dict;
        }
        match shape.find(key) {
            Some(slot) => FieldSlot::Own(slot),
            None => FieldSlot::Absent,
        }
    }
}

/// The value of a string key.
///
/// # Safety
/// `t` is a live table.
#[inline]
pub unsafe fn get_str_fast(t: *mut Table, key: StrRef) -> Value {
    // SAFETY: the caller's duty; slots below the shape's count are initialised.
    unsafe {
        let shape = &*(*t).shape;
        if !shape.is_dict() {
            return match shape.find(key) {
                Some(slot) => *(*t).slots.add(slot as usize),
                None => Value::NIL,
            };
        }
        let entry = hash::find_short_str(t, key.as_ptr());
        if !entry.is_null() {
            return (*entry).value();
        }
        if key.is_short() { Value::NIL } else { hash::get(t, Key::of_str(key)) }
    }
}

/// Adds a property: the table takes `new_shape`, and the value goes to `slot`, the last one of that shape.
///
/// # Safety
/// `t` is a live table of `heap`, `new_shape` is a child of its shape with `slot + 1` properties, `value` is live.
#[inline(always)]
pub unsafe fn add_field_slot(
    t: *mut Table,
    heap: &mut Heap,
    new_shape: *mut Shape,
    slot: u32,
    value: Value,
) -> Result<(), SetError> {
    // SAFETY: the caller's duties; `slot` is below the room when it is written.
    unsafe {
        debug_assert!((*new_shape).parent == (*t).shape && (*new_shape).count == slot + 1);
        if slot >= u32::from((*t).slot_cap) {
            grow_slots(t, heap, slot + 1)?;
        }
        (*t).slots.add(slot as usize).write(value);
        (*t).shape = new_shape;
        (*t).header.flags = 0;
        barrier(t, heap, value);
        Ok(())
    }
}

/// Makes room for at least `need` slots.
///
/// # Safety
/// `t` is a live table of `heap`.
#[cold]
#[inline(never)]
pub(super) unsafe fn grow_slots(t: *mut Table, heap: &mut Heap, need: u32) -> Result<(), SetError> {
    // SAFETY: the caller's duty. `slot_cap` is the room of the inline slots or of the buffer, whichever is in use.
    unsafe {
        let old_cap = (*t).slot_cap as usize;
        let new_cap = (need as usize).max(old_cap + 1).next_power_of_two().max(4);
        let new_cap_u16 = u16::try_from(new_cap).map_err(|_| SetError::Overflow)?;
        let (old, new) = (old_cap * size_of::<Value>(), new_cap * size_of::<Value>());
        if (*t).slots == inline_slots(t) {
            let buffer: *mut Value = heap.try_alloc_raw(new)?.cast();
            ptr::copy_nonoverlapping((*t).slots, buffer, old_cap);
            (*t).slots = buffer;
        } else {
            (*t).slots = try_realloc(heap, (*t).slots.cast(), old, new)?.cast();
        }
        (*t).slot_cap = new_cap_u16;
        Ok(())
    }
}

/// Bytes of the slot buffer: none while the inline slots are in use.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn buffer_bytes(t: *mut Table) -> usize {
    // SAFETY: the caller's duty.
    unsafe { if (*t).slots == inline_slots(t) { 0 } else { (*t).slot_cap as usize * size_of::<Value>() } }
}

/// Frees the slot buffer; the slots are the inline ones again.
///
/// # Safety
/// `t` is a live table of `heap` whose shape has no properties, or that dies.
pub(super) unsafe fn free_buffer(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty; the table forgets the buffer.
    unsafe {
        let bytes = buffer_bytes(t);
        if bytes != 0 {
            heap.free_raw((*t).slots.cast(), bytes);
        }
        (*t).slots = inline_slots(t);
        (*t).slot_cap = (*t).inline_cap;
    }
}

/// Stores a value under a string key.
///
/// # Safety
/// `t` is a live table of `heap`, `key` and `value` are live.
#[inline]
pub(super) unsafe fn set(
    t: *mut Table,
    heap: &mut Heap,
    key: StrRef,
    value: Value,
    source: KeySource,
) -> Result<(), SetError> {
    // SAFETY: the caller's duties; slots below the shape's count are initialised.
    unsafe {
        let shape = &*(*t).shape;
        if shape.is_dict() {
            let entry = hash::find_short_str(t, key.as_ptr());
            if !entry.is_null() && (*entry).value_tag != Tag::Nil {
                (*entry).set_value(value);
                barrier(t, heap, value);
                return Ok(());
            }
            return set_in_dict(t, heap, key, value);
        }
        match shape.find(key) {
            Some(slot) => {
                let slot = (*t).slots.add(slot as usize);
                if (*slot).is_nil() {
                    (*t).header.flags = 0;
                }
                *slot = value;
                barrier(t, heap, value);
                Ok(())
            }
            None if value.is_nil() => Ok(()),
            None => add(t, heap, key, value, source),
        }
    }
}

/// Stores a value under a string key of a dictionary.
#[inline(never)]
unsafe fn set_in_dict(t: *mut Table, heap: &mut Heap, key: StrRef, value: Value) -> Result<(), SetError> {
    // SAFETY: as `set`, whose duties are passed on.
    unsafe {
        (*t).header.flags = 0;
        barrier(t, heap, Value::str(key));
        barrier(t, heap, value);
        hash::set(t, heap, Key::of_str(key), value)
    }
}

/// Adds a property, or turns to a dictionary for it.
#[inline(never)]
unsafe fn add(t: *mut Table, heap: &mut Heap, key: StrRef, value: Value, source: KeySource) -> Result<(), SetError> {
    // SAFETY: as `set`, whose duties are passed on.
    unsafe {
        let shape = (*t).shape;
        let count = (*shape).count;
        let computed = (*shape).computed;
        let is_method = matches!(value.tag, Tag::LuaFn | Tag::NativeFn) || key.as_bytes().starts_with(b"__");
        let most = if is_method { MAX_DYNAMIC_METHODS } else { MAX_DYNAMIC_PROPS };
        let most = most + DYNAMIC_PER_CONSTANT * count.saturating_sub(computed);
        let is_dynamic = source == KeySource::Dynamic;
        let is_map = is_dynamic && (count == 0 && !is_method || computed >= most);
        if !is_map && let Some(new_shape) = transition(heap, shape, key) {
            if is_dynamic {
                (*new_shape).computed = (*new_shape).computed.max(computed + 1);
            }
            return add_field_slot(t, heap, new_shape, count, value);
        }
        convert_to_dict(t, heap)?;
        set_in_dict(t, heap, key, value)
    }
}

/// [`super::ShapeTree::transition`] in the heap's tree.
///
/// # Safety
/// `shape` is of the heap's tree and `key`, a live string, is not among its properties.
#[inline(always)]
pub unsafe fn transition(heap: &mut Heap, shape: *mut Shape, key: StrRef) -> Option<*mut Shape> {
    // SAFETY: the caller's duties.
    unsafe { heap.shapes.transition(shape, key) }
}

/// Moves all properties to the hash part.
///
/// # Safety
/// `t` is a live table of `heap` that is not a dictionary.
#[cold]
#[inline(never)]
pub(super) unsafe fn convert_to_dict(t: *mut Table, heap: &mut Heap) -> Result<(), SetError> {
    // SAFETY: the caller's duty. `make_room` sees to room for all properties, none of which is in the hash part.
    unsafe {
        let shape = &*(*t).shape;
        if shape.count > 0 {
            hash::make_room(t, heap, shape.count)?;
            for slot in 0..shape.count {
                let value = *(*t).slots.add(slot as usize);
                if !value.is_nil() {
                    hash::push(t, Key::of_str(shape.key_at(slot)), value);
                }
            }
        }
        // The keys had been roots and are now kept by the table.
        if shape.count > 0 {
            barrier(t, heap, Value::str(shape.key_at(0)));
        }
        (*t).shape = heap.shapes.dict();
        free_buffer(t, heap);
        Ok(())
    }
}

/// Gives a table without properties a shape, all of whose properties are then nil.
///
/// # Safety
/// `t` is a live table of `heap` with the root shape; `shape` is of the heap's tree and not the dictionary shape.
#[inline]
pub unsafe fn adopt_shape(t: *mut Table, heap: &mut Heap, shape: *mut Shape) -> Result<(), SetError> {
    // SAFETY: the caller's duties; there is room for the slots that are written.
    unsafe {
        debug_assert!((*(*t).shape).count == 0 && !(*(*t).shape).is_dict() && !(*shape).is_dict());
        let count = (*shape).count;
        if count > u32::from((*t).slot_cap) {
            grow_slots(t, heap, count)?;
        }
        for slot in 0..count as usize {
            (*t).slots.add(slot).write(Value::NIL);
        }
        (*t).shape = shape;
        Ok(())
    }
}
