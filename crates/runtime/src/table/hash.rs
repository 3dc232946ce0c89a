//! The hash part: keys that are neither array indices nor properties, in the order of their insertion.
//!
//! ```text
//! HashPart | entries: HashEntry x cap | heads: u32 x 2 cap
//!            entry -next-> entry ... <-- index of the bucket's newest entry, or NO_ENTRY
//! ```
//! New entries are appended and put at the head of their bucket's chain. So iteration is a walk over the entries, its
//! order does not depend on hashes, and hashes may use addresses.
//!
//! # Terms
//! * *Tombstone*: an entry whose value is nil. It keeps its key, so that `next` goes on from it, and is used again
//!   when the key gets a value. Tombstones go when the entries are compacted, which only the insertion of a new key
//!   does.
//! * *Dead key*: a tombstone whose key object may have been freed ([`DEAD_KEY`]). Its payload is kept for `next` and
//!   never followed; lookups do not find it.
//! * *Removed key*: an entry whose value has moved to the array part ([`REMOVED_KEY`]). Nothing finds it.
//! * *Index key*: an integer key above 0, which the array part may take over some day.
//!
//! # Invariants
//! * Entries whose value is not nil have a tag number or [`LONG_STRING_KEY`] as key tag.
//! * Float keys are neither NaN nor integral; boolean keys have payload 0. So but for long strings, equal keys are
//!   those with equal payload and tag.
//! * There is no index key at or below the array part's length + 1, not even as a tombstone (see the module `balance`).

use std::ptr;

use super::shape::spread;
use super::{SetError, array, balance, try_realloc};
use crate::heap::Heap;
use crate::object::{Str, StrRef, Table};
use crate::value::{Tag, Value};

/// Key tag of a long string: those are compared by content.
pub const LONG_STRING_KEY: u8 = 0x10;
/// Key tag of an entry whose key object may be gone.
pub const DEAD_KEY: u8 = 0xfe;
/// Key tag of an entry that moved to the array part.
pub const REMOVED_KEY: u8 = 0xff;

/// The end of a chain.
pub const NO_ENTRY: u32 = u32::MAX;

/// Buckets for each entry that fits. With two, four of five keys of a full hash part are the first of their chain.
const BUCKETS_PER_ENTRY: u32 = 2;

/// Most entries of a hash part.
pub const MAX_ENTRIES: u32 = 1 << 28;

/// A key with its value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HashEntry {
    /// The key's payload.
    pub key: u64,
    /// The value's payload.
    pub value: u64,
    /// The next entry of the bucket, or [`NO_ENTRY`].
    pub next: u32,
    /// A tag number, [`LONG_STRING_KEY`], [`DEAD_KEY`] or [`REMOVED_KEY`].
    pub key_tag: u8,
    /// The value's tag.
    pub value_tag: Tag,
}

const _: () = assert!(size_of::<HashEntry>() == 24);

impl HashEntry {
    /// The value.
    #[inline(always)]
    pub fn value(&self) -> Value {
        Value { payload: self.value, tag: self.value_tag }
    }

    /// Replaces the value.
    #[inline(always)]
    pub fn set_value(&mut self, value: Value) {
        self.value = value.payload;
        self.value_tag = value.tag;
    }

    /// The key, unless it is dead or removed.
    #[inline]
    pub fn key(&self) -> Option<Value> {
        const TAGS: [Tag; 12] = [
            Tag::Nil,
            Tag::False,
            Tag::True,
            Tag::Int,
            Tag::Float,
            Tag::Light,
            Tag::Str,
            Tag::Table,
            Tag::LuaFn,
            Tag::NativeFn,
            Tag::UserData,
            Tag::Thread,
        ];
        let tag = if self.key_tag == LONG_STRING_KEY { Tag::Str } else { *TAGS.get(self.key_tag as usize)? };
        Some(Value { payload: self.key, tag })
    }

    /// Is the key an integer above 0?
    #[inline(always)]
    fn is_index(&self) -> bool {
        self.key_tag == Tag::Int as u8 && self.key as i64 > 0
    }

    /// Forgets the key object of a tombstone.
    #[inline]
    pub(super) fn kill_key(&mut self) {
        debug_assert!(self.value_tag == Tag::Nil);
        if self.key_tag >= Tag::FIRST_OBJECT as u8 && self.key_tag != REMOVED_KEY {
            self.key_tag = DEAD_KEY;
        }
    }
}

/// The head of a hash part. See the module documentation.
#[repr(C)]
pub struct HashPart {
    /// The heads of the buckets, behind the entries. There, a buffer that grows keeps its entries in place.
    pub heads: *mut u32,
    /// 64 minus the binary logarithm of the number of buckets.
    pub shift: u32,
    /// Entries in use, tombstones included.
    pub used: u32,
    /// Room for entries: a power of two.
    pub cap: u32,
    /// Entries with an index key, tombstones included.
    pub index_keys: u32,
    // The entries follow, then the heads.
}

/// A key in the form in which entries hold it.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub payload: u64,
    pub tag: u8,
}

impl Key {
    /// The key of a value that is neither nil, nor NaN, nor an integral float.
    #[inline]
    pub fn of(value: Value) -> Key {
        debug_assert!(!value.is_nil());
        match value.as_str() {
            Some(s) => Key::of_str(s),
            None if value.tag as u8 <= Tag::True as u8 => Key { payload: 0, tag: value.tag as u8 },
            None => Key { payload: value.payload, tag: value.tag as u8 },
        }
    }

    #[inline(always)]
    pub fn of_str(s: StrRef) -> Key {
        Key { payload: s.address(), tag: if s.is_short() { Tag::Str as u8 } else { LONG_STRING_KEY } }
    }

    #[inline(always)]
    pub fn of_int(i: i64) -> Key {
        Key { payload: i as u64, tag: Tag::Int as u8 }
    }

    /// Is it an object's address?
    #[inline]
    pub fn is_object(self) -> bool {
        self.tag >= Tag::FIRST_OBJECT as u8
    }

    /// What selects the bucket: the content's hash of a long string, the payload of the others.
    ///
    /// # Safety
    /// The key is made of a live value.
    #[inline(always)]
    unsafe fn hash_bits(self) -> u64 {
        if self.tag == LONG_STRING_KEY {
            // SAFETY: the tag says that the payload is a string; the caller, that it is live.
            u64::from(unsafe { StrRef::from_address(self.payload) }.hash())
        } else {
            self.payload
        }
    }
}

impl HashPart {
    fn bytes_for(cap: u32) -> usize {
        size_of::<HashPart>()
            + BUCKETS_PER_ENTRY as usize * cap as usize * size_of::<u32>()
            + cap as usize * size_of::<HashEntry>()
    }

    /// Bytes of the allocation of `hash`, which may be null.
    ///
    /// # Safety
    /// `hash` is null or a live hash part.
    pub(super) unsafe fn bytes(hash: *const HashPart) -> usize {
        // SAFETY: the caller's duty.
        if hash.is_null() { 0 } else { HashPart::bytes_for(unsafe { (*hash).cap }) }
    }

    /// The entry at an index.
    ///
    /// # Safety
    /// `hash` is a live hash part, `at` is not above `cap`.
    #[inline(always)]
    pub(super) unsafe fn entry(hash: *const HashPart, at: u32) -> *mut HashEntry {
        // SAFETY: the caller's duties; the entries follow the struct.
        unsafe { hash.add(1).cast::<HashEntry>().cast_mut().add(at as usize) }
    }

    /// The head of a key's bucket.
    #[inline(always)]
    unsafe fn head(hash: *const HashPart, hash_bits: u64) -> *mut u32 {
        // SAFETY: the caller passes a live hash part. The upper `64 - shift` bits are below the number of heads.
        unsafe { (*hash).heads.add((spread(hash_bits) >> (*hash).shift) as usize) }
    }

    /// The entry with exactly this payload and tag, or null.
    ///
    /// # Safety
    /// `hash` is a live hash part.
    #[inline(always)]
    pub(super) unsafe fn find_exact(hash: *const HashPart, payload: u64, tag: u8) -> *mut HashEntry {
        // SAFETY: the caller's duty; heads and `next` are indices of entries in use or `NO_ENTRY`.
        unsafe {
            let mut at = *HashPart::head(hash, payload);
            while at != NO_ENTRY {
                let entry = HashPart::entry(hash, at);
                if (*entry).key == payload && (*entry).key_tag == tag {
                    return entry;
                }
                at = (*entry).next;
            }
            ptr::null_mut()
        }
    }

    /// The entry of a long string with the same content, or null.
    #[cold]
    #[inline(never)]
    unsafe fn find_long(hash: *const HashPart, key: StrRef) -> *mut HashEntry {
        // SAFETY: as `find_exact`. A key with the tag of long strings is a live string: the collector gives keys that
        // may die another tag.
        unsafe {
            let mut at = *HashPart::head(hash, u64::from(key.hash()));
            while at != NO_ENTRY {
                let entry = HashPart::entry(hash, at);
                if (*entry).key_tag == LONG_STRING_KEY {
                    let other = StrRef::from_address((*entry).key);
                    if other == key || (other.hash() == key.hash() && other.as_bytes() == key.as_bytes()) {
                        return entry;
                    }
                }
                at = (*entry).next;
            }
            ptr::null_mut()
        }
    }

    /// The entry of a key, or null.
    ///
    /// # Safety
    /// `hash` is a live hash part, `key` is made of a live value.
    #[inline]
    pub(super) unsafe fn find(hash: *const HashPart, key: Key) -> *mut HashEntry {
        // SAFETY: the caller's duties; the tag says that the payload is a long string.
        unsafe {
            if key.tag == LONG_STRING_KEY {
                HashPart::find_long(hash, StrRef::from_address(key.payload))
            } else {
                HashPart::find_exact(hash, key.payload, key.tag)
            }
        }
    }

    /// The entry whose dead key was this very object, or null.
    ///
    /// # Safety
    /// `hash` is a live hash part, `key` is made of a live value.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn find_dead(hash: *const HashPart, key: Key) -> *mut HashEntry {
        // SAFETY: as `find_exact`. The entry is still in the chain into which it was put for this object.
        unsafe {
            let mut at = *HashPart::head(hash, key.hash_bits());
            while at != NO_ENTRY {
                let entry = HashPart::entry(hash, at);
                if (*entry).key_tag == DEAD_KEY && (*entry).key == key.payload {
                    return entry;
                }
                at = (*entry).next;
            }
            ptr::null_mut()
        }
    }

    /// Puts entry `at` into the chain of its bucket.
    unsafe fn link(hash: *mut HashPart, at: u32) {
        // SAFETY: the caller passes an initialised entry with a live key.
        unsafe {
            let entry = HashPart::entry(hash, at);
            let key = Key { payload: (*entry).key, tag: (*entry).key_tag };
            let head = HashPart::head(hash, key.hash_bits());
            (*entry).next = *head;
            *head = at;
        }
    }

    /// Appends an entry for a key that has none.
    unsafe fn push(hash: *mut HashPart, key: Key, value: Value) {
        // SAFETY: the caller passes a live hash part with room and a key made of a live value.
        unsafe {
            let at = (*hash).used;
            debug_assert!(at < (*hash).cap);
            let entry = HashPart::entry(hash, at);
            entry.write(HashEntry {
                key: key.payload,
                value: value.payload,
                next: NO_ENTRY,
                key_tag: key.tag,
                value_tag: value.tag,
            });
            (*hash).used = at + 1;
            (*hash).index_keys += u32::from((*entry).is_index());
            HashPart::link(hash, at);
        }
    }

    /// Number of entries with a value.
    unsafe fn live(hash: *const HashPart) -> u32 {
        // SAFETY: the caller passes a live hash part; the first `used` entries are initialised.
        unsafe { (0..(*hash).used).filter(|&at| (*HashPart::entry(hash, at)).value_tag != Tag::Nil).count() as u32 }
    }

    /// Moves the entries with a value to the front, and drops the others. The chains are not right afterwards.
    unsafe fn compact(hash: *mut HashPart) {
        // SAFETY: the caller passes a live hash part. `to` never overtakes `from`.
        unsafe {
            let (mut to, mut index_keys) = (0, 0);
            for from in 0..(*hash).used {
                let entry = HashPart::entry(hash, from);
                if (*entry).value_tag != Tag::Nil {
                    if to != from {
                        *HashPart::entry(hash, to) = *entry;
                    }
                    index_keys += u32::from((*entry).is_index());
                    to += 1;
                }
            }
            (*hash).used = to;
            (*hash).index_keys = index_keys;
        }
    }

    /// Makes the buckets of a hash part of room `cap`, all of whose entries have values.
    unsafe fn index(hash: *mut HashPart, cap: u32) {
        // SAFETY: the caller passes a hash part in an allocation for `cap` entries and their heads, with all fields set
        // but those that say where the heads are. Entries with a value have live keys.
        unsafe {
            let buckets = BUCKETS_PER_ENTRY * cap;
            (*hash).cap = cap;
            (*hash).shift = 64 - buckets.trailing_zeros();
            (*hash).heads = HashPart::entry(hash, cap).cast();
            (*hash).heads.write_bytes(0xff, buckets as usize);
            for at in 0..(*hash).used {
                HashPart::link(hash, at);
            }
        }
    }
}

/// The value of a key.
///
/// # Safety
/// `t` is a live table, `key` is made of a live value.
#[inline]
pub(super) unsafe fn get(t: *mut Table, key: Key) -> Value {
    // SAFETY: the caller's duties; a table's hash part is null or live.
    unsafe {
        let hash = (*t).hash;
        if hash.is_null() {
            return Value::NIL;
        }
        let entry = HashPart::find(hash, key);
        if entry.is_null() { Value::NIL } else { (*entry).value() }
    }
}

/// The entry of a short string, or null. (That of a long one is not found.)
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn find_short_str(t: *mut Table, key: *mut Str) -> *mut HashEntry {
    // SAFETY: the caller's duty; a table's hash part is null or live.
    unsafe {
        let hash = (*t).hash;
        if hash.is_null() {
            return ptr::null_mut();
        }
        HashPart::find_exact(hash, key.expose_provenance() as u64, Tag::Str as u8)
    }
}

/// The number of a short string's entry.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn entry_of(t: *mut Table, key: *mut Str) -> Option<u32> {
    // SAFETY: the caller's duty; an entry that was found is one of the table's hash part.
    unsafe {
        let entry = find_short_str(t, key);
        (!entry.is_null()).then(|| entry.offset_from(HashPart::entry((*t).hash, 0)) as u32)
    }
}

/// Stores a value under a key that belongs to the hash part: no index of the array part, no index at its end. Storing
/// nil under an absent key does nothing.
///
/// # Safety
/// `t` is a live table, `key` and `value` are live.
#[inline]
pub(super) unsafe fn set(t: *mut Table, heap: &mut Heap, key: Key, value: Value) -> Result<(), SetError> {
    // SAFETY: the caller's duties; a table's hash part is null or live.
    unsafe {
        let hash = (*t).hash;
        if !hash.is_null() {
            let entry = HashPart::find(hash, key);
            if !entry.is_null() {
                (*entry).set_value(value);
                return Ok(());
            }
        }
        if value.is_nil() { Ok(()) } else { insert(t, heap, key, value) }
    }
}

/// Adds an entry for a key that has none.
unsafe fn insert(t: *mut Table, heap: &mut Heap, key: Key, value: Value) -> Result<(), SetError> {
    // SAFETY: as `set`, whose duties are passed on.
    unsafe {
        let hash = (*t).hash;
        if hash.is_null() || (*hash).used == (*hash).cap {
            return insert_with_growth(t, heap, key, value);
        }
        HashPart::push(hash, key, value);
        Ok(())
    }
}

#[cold]
#[inline(never)]
unsafe fn insert_with_growth(t: *mut Table, heap: &mut Heap, key: Key, value: Value) -> Result<(), SetError> {
    // SAFETY: as `set`, whose duties are passed on.
    unsafe {
        let index = (key.tag == Tag::Int as u8 && key.payload as i64 > 0).then_some(key.payload);
        if (index.is_some() || index_keys(t) > 0)
            && let Some(size) = balance::take_from_hash(t, heap, index.map(|index| (index, value.tag)))?
            && let Some(index) = index
            && index <= size.max(array::len(t) as u64 + 1)
        {
            return balance::store_at(t, heap, index, value);
        }
        make_room(t, heap, 1)?;
        HashPart::push((*t).hash, key, value);
        Ok(())
    }
}

/// Makes sure that `extra` further entries fit.
///
/// # Safety
/// `t` is a live table.
#[cold]
#[inline(never)]
pub(super) unsafe fn make_room(t: *mut Table, heap: &mut Heap, extra: u32) -> Result<(), SetError> {
    // SAFETY: the caller's duty; a table's hash part is null or live, and the old one is not used after it is freed.
    unsafe {
        let old = (*t).hash;
        let (cap, live) = if old.is_null() { (0, 0) } else { ((*old).cap, HashPart::live(old)) };
        if !old.is_null() && cap - (*old).used >= extra {
            return Ok(());
        }
        let need = live.checked_add(extra).filter(|&need| need <= MAX_ENTRIES).ok_or(SetError::Overflow)?;
        // A compaction pays when a quarter becomes free; otherwise the next one would come too soon.
        let keeps_cap = need <= cap - cap / 4;
        let is_sparse = need < cap / 8;
        let new_cap = if is_sparse {
            2 * need.next_power_of_two()
        } else if keeps_cap {
            cap
        } else {
            need.max(cap + 1).next_power_of_two()
        };
        let (old_bytes, new_bytes) = (HashPart::bytes(old), HashPart::bytes_for(new_cap));
        if new_cap < cap {
            HashPart::compact(old);
        }
        let new: *mut HashPart = if new_cap == cap {
            old
        } else {
            match try_realloc(heap, old.cast(), old_bytes, new_bytes) {
                Ok(new) => new.cast(),
                Err(error) => {
                    if new_cap < cap {
                        HashPart::index(old, cap);
                    }
                    return Err(error);
                }
            }
        };
        if old.is_null() {
            new.write(HashPart { heads: ptr::null_mut(), shift: 0, used: 0, cap: 0, index_keys: 0 });
        }
        (*t).hash = new;
        HashPart::compact(new);
        HashPart::index(new, new_cap);
        Ok(())
    }
}

/// Appends an entry after `make_room` was asked for it.
///
/// # Safety
/// `t` is a live table whose hash part has room and no such key.
pub(super) unsafe fn push(t: *mut Table, key: Key, value: Value) {
    // SAFETY: the caller's duties.
    unsafe { HashPart::push((*t).hash, key, value) }
}

/// Number of index keys, tombstones included.
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(super) unsafe fn index_keys(t: *mut Table) -> u32 {
    // SAFETY: the caller's duty; a table's hash part is null or live.
    unsafe { if (*t).hash.is_null() { 0 } else { (*(*t).hash).index_keys } }
}

/// Calls `visit` with each index key that has a value.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn each_index_key(t: *mut Table, mut visit: impl FnMut(u64, Tag)) {
    // SAFETY: the caller's duty; the first `used` entries of a hash part are initialised.
    unsafe {
        let hash = (*t).hash;
        if !hash.is_null() && (*hash).index_keys > 0 {
            for at in 0..(*hash).used {
                let entry = &*HashPart::entry(hash, at);
                if entry.is_index() && entry.value_tag != Tag::Nil {
                    visit(entry.key, entry.value_tag);
                }
            }
        }
    }
}

/// Removes the index key `index`, and returns its value if it had one.
///
/// # Safety
/// `t` is a live table with a hash part.
pub(super) unsafe fn remove_index(t: *mut Table, index: u64) -> Option<Value> {
    // SAFETY: the caller's duty; `find_exact` returns null or an entry of the hash part.
    unsafe {
        let hash = (*t).hash;
        let entry = HashPart::find_exact(hash, index, Tag::Int as u8);
        if entry.is_null() {
            return None;
        }
        let value = (*entry).value();
        (*entry).key_tag = REMOVED_KEY;
        (*entry).set_value(Value::NIL);
        (*hash).index_keys -= 1;
        (!value.is_nil()).then_some(value)
    }
}

/// Removes the index keys up to `limit` and calls `visit` with those that had a value.
///
/// # Safety
/// `t` is a live table with a hash part, which `visit` leaves alone.
pub(super) unsafe fn remove_indices(t: *mut Table, limit: u64, mut visit: impl FnMut(u64, Value)) {
    // SAFETY: the caller's duties; the first `used` entries of a hash part are initialised.
    unsafe {
        let hash = (*t).hash;
        for at in 0..(*hash).used {
            let entry = HashPart::entry(hash, at);
            if (*entry).is_index() && (*entry).key <= limit {
                let (index, value) = ((*entry).key, (*entry).value());
                (*entry).key_tag = REMOVED_KEY;
                (*entry).set_value(Value::NIL);
                (*hash).index_keys -= 1;
                if !value.is_nil() {
                    visit(index, value);
                }
            }
        }
    }
}

/// Frees the hash part if it has no value.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn drop_if_empty(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty; the table forgets the part that is freed.
    unsafe {
        let hash = (*t).hash;
        if !hash.is_null() && HashPart::live(hash) == 0 {
            free(t, heap);
        }
    }
}

/// Frees the hash part.
///
/// # Safety
/// `t` is a live table.
pub(super) unsafe fn free(t: *mut Table, heap: &mut Heap) {
    // SAFETY: the caller's duty; the table forgets the part that is freed.
    unsafe {
        let hash = (*t).hash;
        if !hash.is_null() {
            heap.free_raw(hash.cast(), HashPart::bytes((*t).hash));
            (*t).hash = ptr::null_mut();
        }
    }
}
