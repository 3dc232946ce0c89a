//! Small operations on tables and strings that the interpreter's loop wants inlined.

use perilune_base::limits::MAX_RECORD;

use crate::heap::{Heap, MAX_SMALL_BUFFER};
use crate::object::{StrRef, TableRef};
use crate::table::{Cursor, InvalidKey, Shape, adopt_shape};
use crate::value::Value;

const _: () =
    assert!(MAX_RECORD * size_of::<Value>() <= MAX_SMALL_BUFFER, "the properties of a record are in a size class");

impl TableRef {
    /// The cached absence of metamethods, a bit per event.
    #[inline(always)]
    pub fn flags(self) -> u8 {
        // SAFETY: a `TableRef` refers to a live table.
        unsafe { (*self.as_ptr()).header.flags }
    }

    /// Remembers that metamethods are absent.
    #[inline(always)]
    pub fn add_flags(self, bits: u8) {
        // SAFETY: as in `flags`.
        unsafe { (*self.as_ptr()).header.flags |= bits }
    }

    /// The entry after `key`, found by a cursor from the last step when that is right: the next cursor, key and value.
    #[inline]
    pub fn next_with_hint(self, key: Value, hint: u64) -> Result<Option<(u64, Value, Value)>, InvalidKey> {
        if let Some((cursor, key, value)) = self.next_in_hash(Cursor(hint), key) {
            return Ok(Some((cursor.0, key, value)));
        }
        let cursor = self.cursor_after(Cursor(hint), key)?;
        Ok(self.next_at(cursor).map(|(c, k, v)| (c.0, k, v)))
    }
}

impl StrRef {
    /// Whether it has no bytes.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Heap {
    /// A table with this shape, all of whose properties are nil, and room for `n` of them in its cell. `None` without memory
    /// for the others.
    ///
    /// # Safety
    /// `shape` is of this heap's tree and not the dictionary shape.
    #[inline]
    pub unsafe fn new_shaped(&mut self, shape: *mut Shape, n: u16) -> Option<TableRef> {
        let t = self.new_table(0, n);
        // SAFETY: the caller's duty; a new table has the root shape.
        unsafe { adopt_shape(t.as_ptr(), self, shape).ok().map(|()| t) }
    }

    /// A table with a record's shape whose properties are the `n` values from `values`.
    ///
    /// # Safety
    /// `shape` is of this heap's tree, has `n` properties, no more than [`MAX_RECORD`], and is not the dictionary shape; the values are
    /// live.
    #[inline]
    pub unsafe fn new_record(&mut self, shape: *mut Shape, values: *const Value, n: u16) -> TableRef {
        debug_assert!(usize::from(n) <= MAX_RECORD);
        let t = self.new_table(0, n);
        // SAFETY: the caller's duties. The table is white, so no barrier is needed.
        unsafe {
            let adopted = adopt_shape(t.as_ptr(), self, shape);
            debug_assert!(adopted.is_ok(), "a size class always has room");
            if adopted.is_ok() {
                let slots = (*t.as_ptr()).slots;
                for k in 0..n as usize {
                    *slots.add(k) = *values.add(k);
                }
            }
        }
        t
    }
}
