//! The order of traversal: array part, property slots, hash part; each in its own order, nils left out.
//!
//! A [`Cursor`] is a place in that order: what comes next. A traversal that keeps one needs no lookups. Since a program
//! may call `next` with any key at any time, a kept cursor is only a guess: [`TableRef::cursor_after`] verifies that
//! what is in front of it is the key that was given, or else looks the key up.
//!
//! # During a traversal
//! Existing fields may be assigned to, nil included. That keeps slots and entries where they are. It may shorten the
//! array part; so a key that is in neither part, but for which the array still has room, is taken for one that was
//! removed from its end, and the traversal goes on behind the array.

use super::hash::{HashEntry, HashPart, Key};
use super::{NormalKey, array, normalize};
use crate::object::TableRef;
use crate::value::{Tag, Value};

/// A place in a table's order: the part in the upper half, the index in that part of what comes next in the lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Cursor(pub u64);

const SLOTS: u64 = 1 << 32;
const HASH: u64 = 2 << 32;

impl Cursor {
    /// Before the first entry. In the array part, the cursor's number is the key in front of it.
    pub const START: Cursor = Cursor(0);
    /// Behind the last element, in front of the first property.
    pub const BEHIND_ARRAY: Cursor = Cursor(SLOTS);
    /// In front of the first entry of the hash part.
    pub const HASH: Cursor = Cursor(HASH);
}

/// The key given to `next` is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

impl TableRef {
    /// The entry after `key`, or the first one for nil; `None` at the end.
    pub fn next(self, key: Value) -> Result<Option<(Value, Value)>, InvalidKey> {
        let cursor = self.cursor_of(key)?;
        Ok(self.next_at(cursor).map(|(_, key, value)| (key, value)))
    }

    /// As [`TableRef::next`], with the number of places that were looked at.
    pub fn next_counted(self, key: Value) -> Result<(Option<(Value, Value)>, u64), InvalidKey> {
        let cursor = self.cursor_of(key)?;
        let found = self.next_at(cursor);
        let end = found.map_or(Cursor(u64::MAX), |(cursor, _, _)| cursor);
        let places = self.places_before(end) - self.places_before(cursor).min(self.places_before(end));
        Ok((found.map(|(_, key, value)| (key, value)), places))
    }

    /// The places of all parts in front of a cursor.
    fn places_before(self, cursor: Cursor) -> u64 {
        let t = self.as_ptr();
        // SAFETY: as in `next_behind_array`.
        let (elements, slots, used) = unsafe {
            let hash = (*t).hash;
            (array::len(t), (*(*t).shape).count, if hash.is_null() { 0 } else { (*hash).used })
        };
        let part = |start: u64, count: u64| cursor.0.saturating_sub(start).min(count);
        part(0, elements.into()) + part(SLOTS, slots.into()) + part(HASH, used.into())
    }

    /// The entry at or after `cursor`, and the cursor behind it; `None` at the end. Any cursor will do, of whatever
    /// table.
    #[inline]
    pub fn next_at(self, cursor: Cursor) -> Option<(Cursor, Value, Value)> {
        let t = self.as_ptr();
        if cursor.0 < SLOTS {
            let mut at = cursor.0;
            // SAFETY: a `TableRef` refers to a live table; `at` is compared with the length.
            unsafe {
                while at < u64::from(array::len(t)) {
                    let value = array::element(t, at as usize);
                    at += 1;
                    if !value.is_nil() {
                        return Some((Cursor(at), Value::int(at as i64), value));
                    }
                }
            }
        }
        self.next_behind_array(cursor)
    }

    #[inline]
    fn next_behind_array(self, cursor: Cursor) -> Option<(Cursor, Value, Value)> {
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table, with a live shape and a live or no hash part. Indices are
        // compared with the number of properties and of used entries; up to there slots and entries are initialised.
        unsafe {
            if cursor.0 < HASH {
                let shape = &*(*t).shape;
                let mut slot = cursor.0.saturating_sub(SLOTS);
                while slot < u64::from(shape.count) {
                    let value = *(*t).slots.add(slot as usize);
                    if !value.is_nil() {
                        let key = Value::str(shape.key_at(slot as u32));
                        return Some((Cursor(SLOTS + slot + 1), key, value));
                    }
                    slot += 1;
                }
            }
            let hash = (*t).hash;
            if hash.is_null() {
                return None;
            }
            let mut at = cursor.0.saturating_sub(HASH);
            while at < u64::from((*hash).used) {
                let entry = &*HashPart::entry(hash, at as u32);
                at += 1;
                if entry.value_tag != Tag::Nil
                    && let Some(key) = entry.key()
                {
                    return Some((Cursor(HASH + at), key, entry.value()));
                }
            }
            None
        }
    }

    /// The entry behind `cursor`, if that stands in the hash part between `key` and an entry with a value. So do most
    /// cursors of a traversal of a dictionary.
    #[inline]
    pub fn next_in_hash(self, cursor: Cursor, key: Value) -> Option<(Cursor, Value, Value)> {
        // SAFETY: as in `next_behind_array`.
        unsafe {
            let hash = (*self.as_ptr()).hash;
            // Too large for a cursor that is not behind an entry.
            let front = cursor.0.wrapping_sub(HASH + 1);
            if hash.is_null() || front >= u64::from((*hash).used).saturating_sub(1) {
                return None;
            }
            let (before, entry) = (&*HashPart::entry(hash, front as u32), &*HashPart::entry(hash, front as u32 + 1));
            if before.key != key.payload || before.key_tag != key.tag as u8 || entry.value_tag == Tag::Nil {
                return None;
            }
            Some((Cursor(cursor.0 + 1), entry.key()?, entry.value()))
        }
    }

    /// The cursor behind `key`: `guess` if that is right.
    #[inline]
    pub fn cursor_after(self, guess: Cursor, key: Value) -> Result<Cursor, InvalidKey> {
        if self.is_behind(guess, key) { Ok(guess) } else { self.cursor_of(key) }
    }

    /// Is `key` what is in front of the cursor?
    #[inline]
    fn is_behind(self, cursor: Cursor, key: Value) -> bool {
        let t = self.as_ptr();
        // SAFETY: as in `next_behind_array`.
        unsafe {
            if cursor.0 < SLOTS {
                // A key beyond the length is looked up: the array may have lost it, the hash part may have got it.
                let index = cursor.0.wrapping_sub(1);
                return key.tag == Tag::Int && key.payload == cursor.0 && index < u64::from(array::len(t));
            }
            if cursor.0 < HASH {
                let slot = (cursor.0 - SLOTS).wrapping_sub(1);
                let shape = &*(*t).shape;
                return key.tag == Tag::Str
                    && slot < u64::from(shape.count)
                    && shape.key_at(slot as u32).address() == key.payload;
            }
            let at = (cursor.0 - HASH).wrapping_sub(1);
            let hash = (*t).hash;
            if hash.is_null() || at >= u64::from((*hash).used) || key.is_nil() {
                return false;
            }
            let entry = &*HashPart::entry(hash, at as u32);
            // A dead key is looked up: it may live again in another entry. So is a boolean with another payload.
            entry.key == key.payload && entry.key().is_some_and(|other| other.tag == key.tag)
        }
    }

    /// The cursor behind `key`, or the first one for nil. Keys are those that tables give: a float with an integer's value
    /// is none of them.
    pub fn cursor_of(self, key: Value) -> Result<Cursor, InvalidKey> {
        let t = self.as_ptr();
        // SAFETY: a `TableRef` refers to a live table, with a live shape.
        unsafe {
            match normalize(key) {
                NormalKey::Nil => Ok(Cursor::START),
                NormalKey::Nan => Err(InvalidKey),
                NormalKey::Int(_) if key.tag == Tag::Float => Err(InvalidKey),
                NormalKey::Int(key) => {
                    let index = (key as u64).wrapping_sub(1);
                    if index < u64::from(array::len(t)) {
                        return Ok(Cursor(key as u64));
                    }
                    match self.cursor_in_hash(Key::of_int(key)) {
                        Err(InvalidKey) if index < u64::from((*t).array_cap) => Ok(Cursor(SLOTS)),
                        found => found,
                    }
                }
                NormalKey::Str(key) => match (*(*t).shape).find(key) {
                    Some(slot) => Ok(Cursor(SLOTS + u64::from(slot) + 1)),
                    None => self.cursor_in_hash(Key::of_str(key)),
                },
                NormalKey::Hash(key) => self.cursor_in_hash(key),
            }
        }
    }

    fn cursor_in_hash(self, key: Key) -> Result<Cursor, InvalidKey> {
        // SAFETY: a `TableRef` refers to a live table, and the key is made of a live value. The entry found is one of
        // those from the first on.
        unsafe {
            let hash = (*self.as_ptr()).hash;
            if hash.is_null() {
                return Err(InvalidKey);
            }
            let mut entry: *mut HashEntry = HashPart::find(hash, key);
            if entry.is_null() && key.is_object() {
                entry = HashPart::find_dead(hash, key);
            }
            if entry.is_null() {
                return Err(InvalidKey);
            }
            Ok(Cursor(HASH + entry.offset_from_unsigned(HashPart::entry(hash, 0)) as u64 + 1))
        }
    }
}
