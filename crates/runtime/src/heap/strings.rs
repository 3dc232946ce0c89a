//! Making strings.
//!
//! Short strings are interned: looked up by content first. Nothing is allocated for a string that exists already, nor for
//! the parts of a concatenation.

use std::ptr::NonNull;

use super::cells::MAX_SMALL_CELL;
use super::{Heap, OutOfMemory};
use crate::object::{GcHeader, Kind, Str, StrRef, mark};
use crate::string::{bytes_ptr, hash_bytes};

/// The bytes of a string in the making, written from its beginning to its end.
#[derive(Debug)]
pub struct StrFill {
    at: NonNull<u8>,
    left: usize,
}

impl StrFill {
    /// Appends bytes; what exceeds the announced length is dropped.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.left, "this is a bug: more bytes than announced");
        let n = bytes.len().min(self.left);
        // SAFETY: `left` bytes from `at` are allocated and belong to this value; `bytes` cannot overlap them, because
        // no reference to them has been given out.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.as_ptr(), n);
            self.at = self.at.add(n);
        }
        self.left -= n;
    }

    fn finish(self) {
        debug_assert!(self.left == 0, "this is a bug: fewer bytes than announced");
        // SAFETY: as in `push`.
        unsafe { self.at.as_ptr().write_bytes(0, self.left) }
    }
}

impl Heap {
    /// The string with these bytes. Aborts when the system has no memory for a large one; see [`Heap::try_new_str`].
    #[inline]
    pub fn new_str(&mut self, bytes: &[u8]) -> StrRef {
        if bytes.len() <= Str::MAX_SHORT { self.intern(bytes) } else { self.new_long(bytes) }
    }

    #[inline(never)]
    fn new_long(&mut self, bytes: &[u8]) -> StrRef {
        let p = self.alloc_cell(size_of::<Str>() + bytes.len());
        // SAFETY: the cell is new and has room for the struct and the bytes.
        unsafe {
            let s = self.init_long(p, bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), bytes_ptr(s.as_ptr()), bytes.len());
            s
        }
    }

    /// The string with these bytes, within the limit.
    #[inline]
    pub fn try_new_str(&mut self, bytes: &[u8]) -> Result<StrRef, OutOfMemory> {
        if bytes.len() + size_of::<Str>() <= MAX_SMALL_CELL {
            return Ok(self.new_str(bytes));
        }
        self.build_str(bytes.len(), |fill| fill.push(bytes))
    }

    /// A string of `len` bytes which `write` appends one part after the other.
    pub fn build_str(&mut self, len: usize, write: impl FnOnce(&mut StrFill)) -> Result<StrRef, OutOfMemory> {
        if len <= Str::MAX_SHORT {
            let mut buffer = [0; Str::MAX_SHORT];
            let mut fill = StrFill { at: NonNull::from(&mut buffer).cast(), left: len };
            write(&mut fill);
            fill.finish();
            return Ok(self.intern(&buffer[..len]));
        }
        let p = self.try_alloc_str(len)?;
        // SAFETY: the cell is new and has room for the struct and `len` bytes.
        unsafe {
            // Should `write` unwind, an empty string is left behind.
            let s = self.init_long(p, 0);
            let mut fill = StrFill { at: NonNull::new_unchecked(bytes_ptr(s.as_ptr())), left: len };
            write(&mut fill);
            fill.finish();
            (*s.as_ptr()).len = len;
            Ok(s)
        }
    }

    /// A string of `len` bytes, zero at first, that `write` fills. Short results are interned.
    pub fn new_long_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Result<StrRef, OutOfMemory> {
        if len <= Str::MAX_SHORT {
            let mut buffer = [0; Str::MAX_SHORT];
            write(&mut buffer[..len]);
            return Ok(self.intern(&buffer[..len]));
        }
        let p = self.try_alloc_str(len)?;
        // SAFETY: the cell is new and has room for the struct and `len` bytes, which are initialised before the slice
        // is made.
        unsafe {
            // Should `write` unwind, an empty string is left behind.
            let s = self.init_long(p, 0);
            let bytes = bytes_ptr(s.as_ptr());
            bytes.write_bytes(0, len);
            write(std::slice::from_raw_parts_mut(bytes, len));
            (*s.as_ptr()).len = len;
            Ok(s)
        }
    }

    /// The strings of one byte, by the byte, for compiled code to take them from: all are there, and stay where they are.
    /// `None` if one cannot be had.
    pub fn one_byte_strings(&mut self) -> Option<*const StrRef> {
        for byte in 0..=u8::MAX {
            if self.one_byte[byte as usize].is_none() {
                self.new_str(&[byte]);
            }
        }
        // An option of a reference has the reference's layout.
        self.one_byte.iter().all(Option::is_some).then_some(self.one_byte.as_ptr().cast())
    }

    /// The concatenation of two strings.
    pub fn concat2(&mut self, a: &[u8], b: &[u8]) -> Result<StrRef, OutOfMemory> {
        let len = a.len().checked_add(b.len()).ok_or(OutOfMemory)?;
        self.build_str(len, |fill| {
            fill.push(a);
            fill.push(b);
        })
    }

    /// The concatenation of all parts.
    pub fn concat(&mut self, parts: &[&[u8]]) -> Result<StrRef, OutOfMemory> {
        let len = parts.iter().try_fold(0usize, |n, p| n.checked_add(p.len())).ok_or(OutOfMemory)?;
        self.build_str(len, |fill| parts.iter().for_each(|p| fill.push(p)))
    }

    fn try_alloc_str(&mut self, len: usize) -> Result<*mut u8, OutOfMemory> {
        let size = len.checked_add(size_of::<Str>()).ok_or(OutOfMemory)?;
        if size <= MAX_SMALL_CELL {
            return Ok(self.alloc_cell(size));
        }
        self.try_reserve(size)?;
        self.alloc_large(size)
    }

    /// Writes the struct of a long string.
    ///
    /// # Safety
    /// `p` is a new cell of at least `16 + len` bytes.
    unsafe fn init_long(&mut self, p: *mut u8, len: usize) -> StrRef {
        let s: *mut Str = p.cast();
        // The hash is computed when it is asked for; until then its place holds the seed.
        let header = GcHeader { kind: Kind::Str, mark: self.white(), flags: 0, aux: 0, word: self.seed as u32 };
        // SAFETY: the caller's duty.
        unsafe {
            s.write(Str { header, len });
            StrRef::from_ptr(s)
        }
    }

    #[inline]
    fn intern(&mut self, bytes: &[u8]) -> StrRef {
        if let [byte] = bytes
            && let Some(s) = self.one_byte[*byte as usize]
        {
            return s;
        }
        let hash = hash_bytes(self.seed, bytes);
        if let Some(s) = self.interned.find(hash, bytes) {
            // SAFETY: the table holds strings that are not freed.
            unsafe {
                if (*s).header.mark & self.dead_white() != 0 {
                    // Found dead, but not swept yet: alive again.
                    (*s).header.mark ^= mark::WHITES;
                }
                return StrRef::from_ptr(s);
            }
        }
        let p = self.alloc_cell(size_of::<Str>() + bytes.len());
        let s: *mut Str = p.cast();
        let flags = Str::SHORT | Str::HASHED;
        let header = GcHeader { kind: Kind::Str, mark: self.white(), flags, aux: 0, word: hash };
        // SAFETY: the cell is new and has room for the struct and the bytes.
        unsafe {
            s.write(Str { header, len: bytes.len() });
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), bytes_ptr(s), bytes.len());
            let grown = self.interned.insert(hash, s);
            self.add_bytes(grown);
            let s = StrRef::from_ptr(s);
            if let [byte] = bytes {
                // Programs that look at text byte by byte make these again and again: they stay.
                self.fix(s);
                self.one_byte[*byte as usize] = Some(s);
            }
            s
        }
    }
}
