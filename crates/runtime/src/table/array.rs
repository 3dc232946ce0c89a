//! The array part: the values of the keys `1..=len`, packed when they have one type.
//!
//! # Terms
//! * *Element kind* (`header.aux`): how the elements are stored ([`Form`]).
//!
//! | kind | elements | nils ("holes") |
//! |---|---|---|
//! | [`ANY_ELEMENTS`] | 16-byte values | yes |
//! | [`BOOL_ELEMENTS`] | 1-byte tags: booleans are nothing else | yes |
//! | a tag number | 8-byte payloads of that tag | none |
//!
//! * *Index*: counted from 0 in this module, so that the key is `index + 1`. Functions that take a key say so.
//!
//! # Invariants
//! * The last element is not nil. With the rule that the hash part never has the key `len + 1`, it follows that `len`
//!   is a border: `#t` is one load. Every function that changes `len` upwards calls [`balance::take_next_from_hash`] at
//!   the end.
//! * When `len` is 0 the kind is not `Any`: the first element decides it anew. (After a failed growth it may be; that
//!   costs the packing, nothing else.)
//! * A buffer is a whole number of 16-byte elements, whatever the kind, so that an empty array can take another kind.
//!
//! Appending doubles the buffer. Keys that are not appended go to the hash part; see the module `balance` for how they
//! come back.

use std::ptr;

use super::{SetError, balance, barrier, hash, realloc_unlimited, try_realloc};
use crate::heap::Heap;
use crate::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Form, Table, admits, is_any, is_flag, is_packable, may_have_holes};
use crate::value::{Tag, Value};

/// Most elements.
pub(super) const MAX_LEN: u32 = 1 << 30;

/// Arrays below this length grow without a look at their holes.
const SPILL_MIN_LEN: u32 = 64;

/// The length.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn len(t: *mut Table) -> u32 {
    // SAFETY: the caller's duty.
    unsafe { (*t).header.word }
}

/// Bytes of an element of this kind.
#[inline(always)]
const fn element_size(kind: u8) -> usize {
    Form::of(kind).size()
}

/// The room of a buffer that has at least so many elements of this kind.
#[inline(always)]
const fn whole_room(kind: u8, cap: u32) -> u32 {
    cap.next_multiple_of((size_of::<Value>() / element_size(kind)) as u32)
}

/// Bytes of the buffer.
///
/// # Safety
/// `t` is a live table.
#[inline]
pub(super) unsafe fn bytes(t: *mut Table) -> usize {
    // SAFETY: the caller's duty.
    unsafe { (*t).array_cap as usize * element_size((*t).header.aux) }
}

/// The elements as values.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn values(t: *mut Table) -> *mut Value {
    // SAFETY: the caller's duty.
    unsafe { (*t).array.cast() }
}

/// The elements as payloads.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn payloads(t: *mut Table) -> *mut u64 {
    // SAFETY: the caller's duty.
    unsafe { (*t).array.cast() }
}

/// The elements as tags.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn tags(t: *mut Table) -> *mut Tag {
    // SAFETY: the caller's duty.
    unsafe { (*t).array.cast() }
}

/// The tag of the elements of an array of payloads.
///
/// # Safety
/// `kind` is the element kind of an array of payloads.
#[inline(always)]
unsafe fn tag_of(kind: u8) -> Tag {
    debug_assert!(kind <= Tag::Thread as u8);
    // SAFETY: element kinds but `Any` and `Bool` are made from tags, and `Tag` is `repr(u8)`.
    unsafe { std::mem::transmute::<u8, Tag>(kind) }
}

/// The element at `index`.
///
/// # Safety
/// `t` is a live table, `index < len`.
#[inline(always)]
pub(super) unsafe fn element(t: *mut Table, index: usize) -> Value {
    // SAFETY: the caller's duties; elements below `len` are initialised, in the form that the kind says.
    unsafe {
        debug_assert!(index < len(t) as usize);
        let kind = (*t).header.aux;
        match Form::of(kind) {
            Form::Values => *values(t).add(index),
            Form::Payloads => Value { payload: *payloads(t).add(index), tag: tag_of(kind) },
            Form::Tags => Value { payload: 0, tag: *tags(t).add(index) },
        }
    }
}

/// Stores an element that the kind admits.
///
/// # Safety
/// `t` is a live table, `index < array_cap`, the kind [`admits`] the value's tag.
#[inline(always)]
pub(super) unsafe fn write(t: *mut Table, index: usize, value: Value) {
    // SAFETY: the caller's duties.
    unsafe {
        debug_assert!(index < (*t).array_cap as usize && admits((*t).header.aux, value.tag));
        match Form::of((*t).header.aux) {
            Form::Values => values(t).add(index).write(value),
            Form::Payloads => payloads(t).add(index).write(value.payload),
            Form::Tags => tags(t).add(index).write(value.tag),
        }
    }
}

/// The kind of an array whose elements have this tag.
#[inline]
const fn kind_for(tag: Tag) -> u8 {
    if is_packable(tag) {
        tag as u8
    } else if is_flag(tag) {
        BOOL_ELEMENTS
    } else {
        ANY_ELEMENTS
    }
}

/// The element with the integer key `key`.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub unsafe fn get_int_fast(t: *mut Table, key: i64) -> Option<Value> {
    // SAFETY: the caller's duty; the index is compared with the length.
    unsafe {
        let index = (key as u64).wrapping_sub(1);
        (index < u64::from(len(t))).then(|| element(t, index as usize))
    }
}

/// Stores an element where that is simple: over another one of the same kind, or appended where there is room. Returns
/// false, having done nothing, when [`Table`]'s `set_int` is needed. Runs the write barrier.
///
/// This is a raw store: the caller knows that no `__newindex` applies.
///
/// # Safety
/// `t` is a live table of `heap`, and so is what `value` refers to.
#[inline(always)]
pub unsafe fn set_int_fast(t: *mut Table, heap: &mut Heap, key: i64, value: Value) -> bool {
    // SAFETY: the caller's duties; the index is compared with the length and the room.
    unsafe {
        let index = (key as u64).wrapping_sub(1);
        let len = len(t);
        let kind = (*t).header.aux;
        if index >= u64::from(len) {
            if index != u64::from(len) || len >= (*t).array_cap || hash::index_keys(t) != 0 {
                return false;
            }
            if !put(t, kind, index as usize, value) {
                return false;
            }
            (*t).header.word = len + 1;
        } else if !put(t, kind, index as usize, value) {
            return false;
        }
        barrier(t, heap, value);
        true
    }
}

/// Stores an element, unless it is nil or of another kind.
///
/// # Safety
/// `t` is a live table of element kind `kind`, `index < array_cap`.
#[inline(always)]
unsafe fn put(t: *mut Table, kind: u8, index: usize, value: Value) -> bool {
    // SAFETY: the caller's duties.
    unsafe {
        if kind == value.tag as u8 {
            payloads(t).add(index).write(value.payload);
        } else if value.is_nil() {
            return false;
        } else if is_any(kind) {
            values(t).add(index).write(value);
        } else if admits(kind, value.tag) {
            tags(t).add(index).write(value.tag);
        } else {
            return false;
        }
        true
    }
}

/// Stores an element below the length.
///
/// # Safety
/// `t` is a live table of `heap`, `index < len`.
#[inline]
pub(super) unsafe fn store(t: *mut Table, heap: &mut Heap, index: usize, value: Value) -> Result<(), SetError> {
    // SAFETY: the caller's duties; the kind admits what is stored.
    unsafe {
        debug_assert!(index < len(t) as usize);
        if value.is_nil() && index as u32 + 1 == len(t) {
            pop(t);
            return Ok(());
        }
        if !admits((*t).header.aux, value.tag) {
            convert_to_any(t, heap)?;
        }
        write(t, index, value);
        Ok(())
    }
}

/// Removes the last element, and the holes before it.
///
/// # Safety
/// `t` is a live table that has elements.
#[inline]
pub(super) unsafe fn pop(t: *mut Table) {
    // SAFETY: the caller's duty.
    unsafe {
        (*t).header.word -= 1;
        if may_have_holes((*t).header.aux) {
            trim(t);
        }
    }
}

/// Makes the last element one that is not nil.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn trim(t: *mut Table) {
    // SAFETY: the caller's duty; elements below `len` are initialised.
    unsafe {
        let mut len = len(t);
        while len > 0 && element(t, len as usize - 1).is_nil() {
            len -= 1;
        }
        (*t).header.word = len;
        // Tags stay tags, which are small: less room would make keys invalid that a traversal has seen being removed.
        if len == 0 && is_any((*t).header.aux) {
            set_empty_kind(t, Tag::Int as u8);
        }
    }
}

/// Gives an empty array another kind, or `Any` if its buffer has room for more elements of that than can be counted.
///
/// # Safety
/// `t` is a live table without elements.
pub(super) unsafe fn set_empty_kind(t: *mut Table, kind: u8) {
    // SAFETY: the caller's duty. The buffer is a whole number of elements of any kind.
    unsafe {
        debug_assert!(len(t) == 0);
        let (cap, kind) = match u32::try_from(bytes(t) / element_size(kind)) {
            Ok(cap) => (cap, kind),
            Err(_) => ((bytes(t) / size_of::<Value>()) as u32, ANY_ELEMENTS),
        };
        (*t).array_cap = cap;
        (*t).header.aux = kind;
    }
}

/// Turns bare payloads, or tags, into values.
///
/// # Safety
/// `t` is a live table of `heap` with an array that is not of kind `Any`.
#[cold]
#[inline(never)]
pub(super) unsafe fn convert_to_any(t: *mut Table, heap: &mut Heap) -> Result<(), SetError> {
    // SAFETY: the caller's duty.
    unsafe {
        let cap = room_for_values(t);
        if cap as usize * size_of::<Value>() != bytes(t) {
            (*t).array = try_realloc(heap, (*t).array, bytes(t), cap as usize * size_of::<Value>())?;
        }
        widen(t, cap);
        Ok(())
    }
}

/// `convert_to_any` without regard to the memory limit, for the collector.
///
/// # Safety
/// As for `convert_to_any`.
pub(super) unsafe fn convert_to_any_unlimited(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty.
    unsafe {
        let cap = room_for_values(t);
        if cap as usize * size_of::<Value>() != bytes(t) {
            (*t).array = realloc_unlimited(heap, (*t).array, bytes(t), cap as usize * size_of::<Value>());
        }
        widen(t, cap);
    }
}

/// The room that an array has once its elements are values. That of its buffer, if they fit: otherwise an array that is
/// emptied and filled again and again would have a larger buffer each time. Else the room that there is, but at most
/// twice what is needed: tags have much room in little memory.
unsafe fn room_for_values(t: *mut Table) -> u32 {
    // SAFETY: the caller passes a live table.
    unsafe {
        let in_buffer = (bytes(t) / size_of::<Value>()) as u32;
        if in_buffer >= len(t) { in_buffer } else { (*t).array_cap.min(len(t).saturating_mul(2)) }
    }
}

/// Turns the elements, in a buffer with room for `cap` values, into those.
unsafe fn widen(t: *mut Table, cap: u32) {
    // SAFETY: the caller passes a live table. From the last element down, a value is written over elements that were
    // read before, since no element is larger than a value.
    unsafe {
        debug_assert!(!is_any((*t).header.aux) && len(t) <= cap);
        for index in (0..len(t) as usize).rev() {
            let value = element(t, index);
            values(t).add(index).write(value);
        }
        (*t).header.aux = ANY_ELEMENTS;
        (*t).array_cap = cap;
    }
}

/// Makes room for `cap` elements.
///
/// # Safety
/// `t` is a live table of `heap`.
#[inline]
pub(super) unsafe fn reserve(t: *mut Table, heap: &mut Heap, cap: u32) -> Result<(), SetError> {
    // SAFETY: the caller's duty.
    unsafe { if cap > (*t).array_cap { resize(t, heap, cap) } else { Ok(()) } }
}

/// Changes the buffer to `cap` elements, or some more that make it a whole number of values.
#[cold]
#[inline(never)]
unsafe fn resize(t: *mut Table, heap: &mut Heap, cap: u32) -> Result<(), SetError> {
    // SAFETY: the caller passes a live table and a room that is not below the length.
    unsafe {
        if cap > MAX_LEN {
            return Err(SetError::Overflow);
        }
        let cap = whole_room((*t).header.aux, cap);
        (*t).array = try_realloc(heap, (*t).array, bytes(t), cap as usize * element_size((*t).header.aux))?;
        (*t).array_cap = cap;
        Ok(())
    }
}

/// `resize` without regard to the memory limit.
unsafe fn resize_unlimited(t: *mut Table, heap: &mut Heap, cap: u32) {
    // SAFETY: the caller passes a live table and a room that is not below the length.
    unsafe {
        let cap = whole_room((*t).header.aux, cap);
        (*t).array = realloc_unlimited(heap, (*t).array, bytes(t), cap as usize * element_size((*t).header.aux));
        (*t).array_cap = cap;
    }
}

/// `reserve` without regard to the memory limit.
///
/// # Safety
/// As for `reserve`.
pub(super) unsafe fn reserve_unlimited(t: *mut Table, heap: &mut Heap, cap: u32) {
    // SAFETY: the caller's duty.
    unsafe {
        if cap > (*t).array_cap {
            resize_unlimited(t, heap, cap);
        }
    }
}

/// Makes room for one more element.
///
/// # Safety
/// `t` is a live table of `heap`.
#[inline]
pub(super) unsafe fn reserve_one(t: *mut Table, heap: &mut Heap) -> Result<(), SetError> {
    // SAFETY: the caller's duty.
    unsafe { if len(t) < (*t).array_cap { Ok(()) } else { reserve_amortized(t, heap, len(t) + 1) } }
}

/// Makes room for `need` elements: exactly so many in an array without a buffer, else at least twice as many as before.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(super) unsafe fn reserve_amortized(t: *mut Table, heap: &mut Heap, need: u32) -> Result<(), SetError> {
    // SAFETY: the caller's duty.
    unsafe {
        let cap = (*t).array_cap;
        if need <= cap {
            return Ok(());
        }
        let doubled = if cap == 0 { 0 } else { cap.saturating_mul(2).clamp(4, MAX_LEN) };
        resize(t, heap, need.max(doubled))
    }
}

/// Makes the kind one that admits `tag`.
#[cold]
#[inline(never)]
pub(super) unsafe fn admit(t: *mut Table, heap: &mut Heap, tag: Tag) -> Result<(), SetError> {
    // SAFETY: the caller passes a live table.
    unsafe {
        if len(t) > 0 {
            return convert_to_any(t, heap);
        }
        set_empty_kind(t, kind_for(tag));
        Ok(())
    }
}

/// Stores a value that is not nil under the key `len + 1`.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(super) unsafe fn append(t: *mut Table, heap: &mut Heap, value: Value) -> Result<(), SetError> {
    // SAFETY: the caller's duty; the kind admits the value and there is room when it is written.
    unsafe {
        debug_assert!(!value.is_nil());
        if !admits((*t).header.aux, value.tag) {
            admit(t, heap, value.tag)?;
        }
        let len = len(t);
        if len >= (*t).array_cap {
            if may_have_holes((*t).header.aux) && len >= SPILL_MIN_LEN && balance::spill_to_hash(t, heap)? {
                return super::set_int(t, heap, i64::from(len) + 1, value);
            }
            reserve_amortized(t, heap, (len + 1).max(4))?;
        }
        write(t, len as usize, value);
        (*t).header.word = len + 1;
        balance::take_next_from_hash(t, heap);
        Ok(())
    }
}

/// Stores a value that is not nil under the key `len + 1`, without regard to the memory limit and to the hash part.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(super) unsafe fn push_unlimited(t: *mut Table, heap: &mut Heap, value: Value) {
    // SAFETY: the caller's duty; the kind admits the value and there is room when it is written.
    unsafe {
        let len = len(t);
        if !admits((*t).header.aux, value.tag) {
            if len > 0 {
                convert_to_any_unlimited(t, heap);
            } else {
                set_empty_kind(t, kind_for(value.tag));
            }
        }
        if len == (*t).array_cap {
            resize_unlimited(t, heap, (2 * len).max(4));
        }
        write(t, len as usize, value);
        (*t).header.word = len + 1;
    }
}

/// Makes the kind one that has holes, and admits elements of which all or not all are booleans; of an empty array too.
pub(super) unsafe fn admit_holes(t: *mut Table, heap: &mut Heap, are_flags: bool) -> Result<(), SetError> {
    // SAFETY: the caller passes a live table.
    unsafe {
        let kind = (*t).header.aux;
        if is_any(kind) || are_flags && kind == BOOL_ELEMENTS {
            Ok(())
        } else if len(t) == 0 {
            set_empty_kind(t, if are_flags { BOOL_ELEMENTS } else { ANY_ELEMENTS });
            Ok(())
        } else {
            convert_to_any(t, heap)
        }
    }
}

/// How many elements are not nil.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn present(t: *mut Table) -> usize {
    // SAFETY: the caller's duty; elements below `len` are initialised, and nothing changes them meanwhile. An array that
    // has any has a buffer.
    unsafe {
        let len = len(t) as usize;
        match Form::of((*t).header.aux) {
            _ if len == 0 => 0,
            Form::Values => std::slice::from_raw_parts(values(t), len).iter().filter(|value| !value.is_nil()).count(),
            Form::Tags => {
                // Counts of a byte are added up as vectors.
                let chunks = std::slice::from_raw_parts(tags(t), len).chunks(u8::MAX as usize);
                chunks.map(|tags| tags.iter().map(|tag| u8::from(*tag != Tag::Nil)).sum::<u8>() as usize).sum()
            }
            Form::Payloads => len,
        }
    }
}

/// Makes holes of elements that are not initialised.
///
/// # Safety
/// `t` is a live table with an array that may have holes, and room for `to` elements.
pub(super) unsafe fn fill_with_nil(t: *mut Table, from: usize, to: usize) {
    // SAFETY: the caller's duty. Nil is a valid tag of one byte.
    unsafe {
        match Form::of((*t).header.aux) {
            Form::Values => (from..to).for_each(|index| values(t).add(index).write(Value::NIL)),
            Form::Tags if from < to => tags(t).add(from).write_bytes(Tag::Nil as u8, to - from),
            Form::Tags => {}
            Form::Payloads => debug_assert!(from >= to, "payloads are never nil"),
        }
    }
}

/// Returns the room that is not needed.
pub(super) unsafe fn shrink_buffer(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller passes a live table; the new room is not below the length.
    unsafe {
        let cap = whole_room((*t).header.aux, len(t));
        if cap == 0 {
            free(t, heap);
        } else if cap < (*t).array_cap {
            resize_unlimited(t, heap, cap);
        }
    }
}

/// Frees the buffer of an array of length 0, or of a table that dies.
///
/// # Safety
/// `t` is a live table of `heap`; its elements are not used any more.
pub(super) unsafe fn free(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty; the table forgets the buffer.
    unsafe {
        if !(*t).array.is_null() {
            heap.free_raw((*t).array, bytes(t));
        }
        (*t).array = ptr::null_mut();
        (*t).array_cap = 0;
        (*t).header.word = 0;
    }
}
