//! Who has an integer key: moves between the array part and the hash part.
//!
//! * Appending to the array part may make a key of the hash part its next one: [`take_next_from_hash`].
//! * When the hash part is full, [`take_from_hash`] counts as the reference does, and moves what fills an array more
//!   than half.
//! * When an array with many holes would grow, [`spill_to_hash`] does the reverse. So a queue does not grow forever:
//! ```text
//! q[last + 1] = job; last = last + 1     -- appends
//! job = q[first]; q[first] = nil; first = first + 1     -- makes holes
//! ```
//!
//! # Invariant
//! Outside of this module, the hash part has no index key at or below `len + 1`, not even as a tombstone: a traversal
//! that looks such a key up must not find the wrong place.

use super::array::{self, element, len};
use super::{SetError, hash};
use crate::heap::Heap;
use crate::object::{Table, is_flag, may_have_holes};
use crate::value::{Tag, Value};

/// Restores the rule that the hash part does not have the key `len + 1`.
///
/// # Safety
/// `t` is a live table of `heap`.
#[inline(always)]
pub(super) unsafe fn take_next_from_hash(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty.
    unsafe {
        if hash::index_keys(t) > 0 {
            take_next_from_hash_slow(t, heap);
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn take_next_from_hash_slow(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller passes a live table. The memory limit is not asked, since a failure halfway would leave a key
    // in both parts; the hash part already holds as much as the array part will.
    unsafe {
        while let Some(value) = hash::remove_index(t, u64::from(len(t)) + 1) {
            array::push_unlimited(t, heap, value);
        }
    }
}

/// Stores a value that is not nil under any key that an array with room for it should have: below the length, at its
/// end, or further on with holes between.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(super) unsafe fn store_at(t: *mut Table, heap: &mut Heap, key: u64, value: Value) -> Result<(), SetError> {
    // SAFETY: the caller's duty; after `reserve` there is room up to `key`.
    unsafe {
        let len = len(t);
        if key <= u64::from(len) {
            return array::store(t, heap, key as usize - 1, value);
        }
        if key == u64::from(len) + 1 {
            return array::append(t, heap, value);
        }
        array::admit_holes(t, heap, is_flag(value.tag))?;
        array::reserve(t, heap, u32::try_from(key).map_err(|_| SetError::Overflow)?)?;
        array::fill_with_nil(t, len as usize, key as usize - 1);
        array::write(t, key as usize - 1, value);
        (*t).header.word = key as u32;
        take_next_from_hash(t, heap);
        Ok(())
    }
}

/// How many keys are in each range `2^(i-1) < key <= 2^i`.
struct KeyCount {
    ranges: [u64; 32],
    total: u64,
}

impl KeyCount {
    fn new() -> KeyCount {
        KeyCount { ranges: [0; 32], total: 0 }
    }

    /// Counts a key above 0; those that no array can have are left out.
    #[inline]
    fn add(&mut self, key: u64) {
        if key <= u64::from(array::MAX_LEN) {
            self.ranges[(64 - (key - 1).leading_zeros()) as usize] += 1;
            self.total += 1;
        }
    }

    /// Counts all keys from 1 to `len`.
    fn add_dense(&mut self, len: u32) {
        let len = u64::from(len);
        let mut below = 0;
        for (i, range) in self.ranges.iter_mut().enumerate() {
            let limit = len.min(1 << i);
            *range += limit - below;
            below = limit;
        }
        self.total += len;
    }

    /// Counts the elements that are not nil.
    ///
    /// # Safety
    /// `t` is a live table.
    unsafe fn add_elements(&mut self, t: *mut Table) {
        // SAFETY: the caller's duty; elements below `len` are initialised.
        unsafe {
            if may_have_holes((*t).header.aux) {
                for index in 0..len(t) as usize {
                    if !element(t, index).is_nil() {
                        self.add(index as u64 + 1);
                    }
                }
            } else {
                self.add_dense(len(t));
            }
        }
    }

    /// The largest power of two such that more than half of the keys up to it are there; or 0.
    fn best_size(&self) -> u64 {
        let (mut best, mut keys) = (0, 0);
        for (i, range) in self.ranges.iter().enumerate() {
            let size = 1u64 << i;
            if self.total <= size / 2 {
                break;
            }
            keys += range;
            if keys > size / 2 {
                best = size;
            }
        }
        best
    }
}

/// When the hash part is full: moves its index keys to the array part if they fill that more than half, `extra`, a key
/// about to be stored (with the tag of its value), counted with them. Returns the size for which that holds, or `None` if
/// nothing is to be done.
///
/// # Safety
/// `t` is a live table of `heap`.
pub(super) unsafe fn take_from_hash(
    t: *mut Table,
    heap: &mut Heap,
    extra: Option<(u64, Tag)>,
) -> Result<Option<u64>, SetError> {
    // SAFETY: the caller's duty. Values are written below `size`, for which there is room, after all elements up to the
    // largest key were set to nil.
    unsafe {
        let old_len = len(t);
        let mut in_hash = KeyCount::new();
        let mut are_flags = true;
        let mut add = |key, tag| {
            in_hash.add(key);
            are_flags &= is_flag(tag);
        };
        extra.into_iter().for_each(|(key, tag)| add(key, tag));
        hash::each_index_key(t, add);
        let has_key_below = |size, last| last > u64::from(old_len) || extra.is_some_and(|(key, _)| key <= size);
        // Most often it fails with the array taken as full, which needs no look at it.
        let mut all = KeyCount { ..in_hash };
        all.add_dense(old_len);
        let mut size = all.best_size();
        if size == 0 {
            return Ok(None);
        }
        let mut last = last_index_key(t, size);
        if !has_key_below(size, last) {
            return Ok(None);
        }
        // Where the array has room already, it was counted when it got that: looking at all elements again for each gap
        // that a program leaves and fills (`t[i], t[i + 1] = a, b` stores the last first) would take quadratic time.
        if may_have_holes((*t).header.aux) && size > u64::from((*t).array_cap) {
            in_hash.add_elements(t);
            size = in_hash.best_size();
            last = last_index_key(t, size);
            if !has_key_below(size, last) {
                return Ok(None);
            }
        }
        array::admit_holes(t, heap, are_flags)?;
        array::reserve(t, heap, size as u32)?;
        if !(*t).hash.is_null() {
            // Below `size` there shall be no tombstones either: `extra` may become the array's last key.
            array::fill_with_nil(t, old_len as usize, last as usize);
            hash::remove_indices(t, size, |key, value| array::write(t, key as usize - 1, value));
            (*t).header.word = old_len.max(last as u32);
            take_next_from_hash(t, heap);
            hash::drop_if_empty(t, heap);
        }
        Ok(Some(size))
    }
}

/// The largest index key of the hash part that is not above `limit`; or 0.
unsafe fn last_index_key(t: *mut Table, limit: u64) -> u64 {
    let mut last = 0;
    // SAFETY: the caller passes a live table.
    unsafe {
        hash::each_index_key(t, |key, _| {
            if key <= limit {
                last = last.max(key);
            }
        });
    }
    last
}

/// When a full array is to grow: moves what is above the best size to the hash part, if the array is sparse. Returns
/// whether it did.
///
/// # Safety
/// `t` is a live table of `heap` with an array that may have holes.
#[cold]
#[inline(never)]
pub(super) unsafe fn spill_to_hash(t: *mut Table, heap: &mut Heap) -> Result<bool, SetError> {
    // SAFETY: the caller's duty. `make_room` saw to room for all that is pushed, and the
    // keys, being below the old length, are not in the hash part.
    unsafe {
        let old_len = len(t) as usize;
        // Most often the array is dense, which this alone finds out, and faster.
        if (array::present(t) + 1) * 2 > old_len {
            return Ok(false);
        }
        let mut count = KeyCount::new();
        count.add_elements(t);
        count.add(old_len as u64 + 1);
        let size = count.best_size().min(old_len as u64) as usize;
        if size == old_len {
            return Ok(false);
        }
        let moved = (size..old_len).filter(|&index| !element(t, index).is_nil()).count();
        hash::make_room(t, heap, moved as u32)?;
        for index in size..old_len {
            let value = element(t, index);
            if !value.is_nil() {
                hash::push(t, hash::Key::of_int(index as i64 + 1), value);
            }
        }
        (*t).header.word = size as u32;
        array::trim(t);
        array::shrink_buffer(t, heap);
        take_next_from_hash(t, heap);
        Ok(true)
    }
}
