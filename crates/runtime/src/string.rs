//! Strings: reading them, comparing them, hashing them. The heap makes them, see `heap`.
//!
//! The bytes follow the struct. A short string's hash is computed when it is made, with the heap's seed, to intern it. A
//! long string's hash is computed when a table asks for it; until then the place of the hash holds the seed.

use std::borrow::Cow;

use crate::object::{Str, StrRef};

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;
const K2: u64 = 0x8ebc_6af0_9c88_c6e3;

#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn read8(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().expect("this is a bug: eight bytes are eight bytes"))
}

#[inline(always)]
fn read4(b: &[u8], at: usize) -> u64 {
    u32::from_le_bytes(b[at..at + 4].try_into().expect("this is a bug: four bytes are four bytes")) as u64
}

/// The hash of all bytes, in the manner of wyhash: 16 bytes a step, the last step may overlap the one before.
#[inline]
pub fn hash_bytes(seed: u64, b: &[u8]) -> u32 {
    let n = b.len();
    let mut h = seed ^ K0;
    let (x, y) = if n > 16 {
        let mut at = 0;
        while at + 16 < n {
            h = mix(read8(b, at) ^ K1, read8(b, at + 8) ^ h);
            at += 16;
        }
        (read8(b, n - 16), read8(b, n - 8))
    } else if n >= 8 {
        (read8(b, 0), read8(b, n - 8))
    } else if n >= 4 {
        (read4(b, 0), read4(b, n - 4))
    } else if n > 0 {
        ((b[0] as u64) << 16 | (b[n / 2] as u64) << 8 | b[n - 1] as u64, 0)
    } else {
        (0, 0)
    };
    let h = mix(K2 ^ n as u64, mix(x ^ K1, y ^ h));
    (h ^ h >> 32) as u32
}

/// The first byte of a string.
///
/// # Safety
/// `s` is the cell of a string, or is about to become one.
#[inline(always)]
pub(crate) unsafe fn bytes_ptr(s: *mut Str) -> *mut u8 {
    // SAFETY: the bytes follow the struct, in the same cell.
    unsafe { s.add(1).cast() }
}

/// The bytes of a string.
///
/// # Safety
/// `s` is a string that is not freed while the slice is used.
#[inline(always)]
pub unsafe fn bytes_of<'a>(s: *mut Str) -> &'a [u8] {
    // SAFETY: `len` initialised bytes follow the struct, and they never change.
    unsafe { std::slice::from_raw_parts(bytes_ptr(s), (*s).len) }
}

impl StrRef {
    /// The bytes. The borrow does not keep the string alive: it must stay reachable while the slice is used.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: a reference in the mutator's hands is to a live string.
        unsafe {
            debug_assert_eq!((*self.header()).kind, crate::object::Kind::Str);
            bytes_of(self.as_ptr())
        }
    }

    /// Length in bytes.
    #[inline(always)]
    pub fn len(self) -> usize {
        // SAFETY: as in `as_bytes`.
        unsafe { (*self.as_ptr()).len }
    }

    /// Whether it is interned: equal short strings are the same object.
    #[inline(always)]
    pub fn is_short(self) -> bool {
        // SAFETY: as in `as_bytes`.
        unsafe { (*self.header()).flags & Str::SHORT != 0 }
    }

    /// The hash.
    #[inline(always)]
    pub fn hash(self) -> u32 {
        // SAFETY: as in `as_bytes`.
        unsafe { if (*self.header()).flags & Str::HASHED != 0 { (*self.header()).word } else { self.hash_long() } }
    }

    #[cold]
    #[inline(never)]
    fn hash_long(self) -> u32 {
        let h = self.header();
        // SAFETY: as in `as_bytes`; no reference to the header exists while it is written.
        unsafe {
            let hash = hash_bytes((*h).word as u64, self.as_bytes());
            (*h).word = hash;
            (*h).flags |= Str::HASHED;
            hash
        }
    }

    /// Equality by content.
    #[inline(always)]
    pub fn str_eq(self, other: StrRef) -> bool {
        self == other || !self.is_short() && !other.is_short() && self.as_bytes() == other.as_bytes()
    }

    /// The text, with replacement characters where it is not UTF-8.
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hash_depends_on_every_byte_and_on_the_seed() {
        for n in 0..70usize {
            let base = vec![7u8; n];
            let mut seen = HashSet::from([hash_bytes(1, &base)]);
            assert!(seen.insert(hash_bytes(2, &base)));
            for i in 0..n {
                let mut changed = base.clone();
                changed[i] ^= 0x20;
                assert!(seen.insert(hash_bytes(1, &changed)), "byte {i} of {n}");
            }
        }
    }
}
