//! Making strings.
//!
//! Short strings are interned: looked up by content first. Nothing is allocated for a string that exists already.

use super::cells::MAX_SMALL_CELL;
use super::{Heap, OutOfMemory};
use crate::object::{GcHeader, Kind, Str, StrRef, mark};
use crate::string::{bytes_ptr, hash_bytes};

impl Heap {
    /// The string with these bytes. Aborts when the system has no memory for a large one; see [`Heap::new_str_with`].
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

    /// The bytes that must be left below the limit for a string of `len` bytes: none for one in a small cell. `None` for a
    /// length that no string has.
    pub fn room_for_str(len: usize) -> Option<usize> {
        let size = len.checked_add(size_of::<Str>())?;
        Some(if size <= MAX_SMALL_CELL { 0 } else { size })
    }

    /// A string of `len` bytes, zero at first, that `write` fills. Short results are interned.
    pub fn new_str_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Result<StrRef, OutOfMemory> {
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

    fn try_alloc_str(&mut self, len: usize) -> Result<*mut u8, OutOfMemory> {
        match Heap::room_for_str(len).ok_or(OutOfMemory)? {
            0 => Ok(self.alloc_cell(size_of::<Str>() + len)),
            size => {
                self.try_reserve(size)?;
                self.alloc_large(size)
            }
        }
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
