//! Small operations on tables and strings that the interpreter's loop wants inlined.

use crate::heap::Heap;
use crate::object::{Str, StrRef, TableRef};
use crate::table::{Cursor, InvalidKey, Shape, adopt_shape};
use crate::value::Value;

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

impl Str {
    /// The bytes.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes follow the struct, in the same allocation.
        unsafe { std::slice::from_raw_parts((&raw const *self).add(1).cast(), self.len) }
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
    /// `shape` is of this heap's tree, has `n` properties and is not the dictionary shape; the values are live.
    #[inline]
    pub unsafe fn new_record(&mut self, shape: *mut Shape, values: *const Value, n: u16) -> TableRef {
        let t = self.new_table(0, n);
        // SAFETY: the caller's duties. The table is white, so no barrier is needed.
        unsafe {
            if adopt_shape(t.as_ptr(), self, shape).is_ok() {
                let slots = (*t.as_ptr()).slots;
                for k in 0..n as usize {
                    *slots.add(k) = *values.add(k);
                }
            }
        }
        t
    }
}
