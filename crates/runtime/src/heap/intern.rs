//! The table of interned strings: open addressing over addresses.
//!
//! An entry packs the string's address (48 bits) with 16 bits of its hash, so that a probe seldom looks at a string that is
//! not the one. Removed entries leave tombstones, because moving entries would need the hashes of their neighbours. The
//! table holds strings weakly: the sweep removes those that it frees.

use crate::object::Str;
use crate::string::bytes_of;

const EMPTY: u64 = 0;
const TOMBSTONE: u64 = 1;
const ADDRESS_BITS: u32 = 48;
const ADDRESS: u64 = (1 << ADDRESS_BITS) - 1;
const FIRST_SIZE: usize = 256;

#[derive(Debug)]
pub(super) struct InternTable {
    slots: Box<[u64]>,
    live: usize,
    tombstones: usize,
}

#[inline(always)]
fn fragment(hash: u32) -> u64 {
    (hash >> 16) as u64
}

#[inline(always)]
fn address(entry: u64) -> *mut Str {
    std::ptr::with_exposed_provenance_mut((entry & ADDRESS) as usize)
}

fn entry(hash: u32, s: *mut Str) -> u64 {
    let a = s.expose_provenance() as u64;
    assert!(a >> ADDRESS_BITS == 0, "this is a bug: an address of more than 48 bits");
    fragment(hash) << ADDRESS_BITS | a
}

/// Whether two short strings are equal. They nearly always are when their hashes are, so the comparison is done here, in
/// a few words, without the call that comparing slices makes.
#[inline]
fn same_short(a: &[u8], b: &[u8]) -> bool {
    let word = |s: &[u8], at: usize| u64::from_ne_bytes(s[at..at + 8].try_into().expect("eight bytes"));
    let n = a.len();
    if n != b.len() {
        return false;
    }
    if n < 8 {
        return a.iter().zip(b).all(|(x, y)| x == y);
    }
    let mut at = 0;
    while at + 8 <= n {
        if word(a, at) != word(b, at) {
            return false;
        }
        at += 8;
    }
    word(a, n - 8) == word(b, n - 8)
}

impl InternTable {
    pub fn new() -> InternTable {
        InternTable { slots: Box::new([]), live: 0, tombstones: 0 }
    }

    /// Bytes of the table itself.
    pub fn bytes(&self) -> usize {
        self.slots.len() * 8
    }

    /// Strings in the table.
    pub fn len(&self) -> usize {
        self.live
    }

    /// The string with these bytes.
    #[inline]
    pub fn find(&self, hash: u32, bytes: &[u8]) -> Option<*mut Str> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            let e = self.slots[i];
            if e == EMPTY {
                return None;
            }
            if e >> ADDRESS_BITS == fragment(hash) && e != TOMBSTONE {
                let s = address(e);
                // SAFETY: the table holds live or not yet swept strings only: the sweep removes what it frees.
                unsafe {
                    if (*s).header.word == hash && same_short(bytes_of(s), bytes) {
                        return Some(s);
                    }
                }
            }
            i = (i + 1) & mask;
        }
    }

    /// Adds a string that is not in the table. Returns by how many bytes the table grew.
    #[inline]
    pub fn insert(&mut self, hash: u32, s: *mut Str) -> isize {
        let mut grown = 0;
        if (self.live + self.tombstones + 1) * 4 > self.slots.len() * 3 {
            grown = self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        while self.slots[i] > TOMBSTONE {
            i = (i + 1) & mask;
        }
        self.tombstones -= (self.slots[i] == TOMBSTONE) as usize;
        self.slots[i] = entry(hash, s);
        self.live += 1;
        grown
    }

    /// Removes a string.
    pub fn remove(&mut self, hash: u32, s: *mut Str) {
        let wanted = entry(hash, s);
        let mask = self.slots.len() - 1;
        let mut i = hash as usize & mask;
        loop {
            if self.slots[i] == wanted {
                break;
            }
            if self.slots[i] == EMPTY {
                debug_assert!(false, "this is a bug: a short string that is not interned");
                return;
            }
            i = (i + 1) & mask;
        }
        self.live -= 1;
        if self.slots[(i + 1) & mask] != EMPTY {
            self.slots[i] = TOMBSTONE;
            self.tombstones += 1;
            return;
        }
        // The run ends here: it needs no tombstones at its end.
        self.slots[i] = EMPTY;
        let mut before = i.wrapping_sub(1) & mask;
        while self.slots[before] == TOMBSTONE {
            self.slots[before] = EMPTY;
            self.tombstones -= 1;
            before = before.wrapping_sub(1) & mask;
        }
    }

    /// Shrinks a table that became much too large. Returns the change in bytes.
    pub fn shrink(&mut self) -> isize {
        if self.slots.len() > FIRST_SIZE && self.live * 8 < self.slots.len() { self.resize() } else { 0 }
    }

    /// Makes the table larger, or cleans it. Once the system has refused, it is asked again at some insertions only.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> isize {
        const ASKED_EVERY: usize = 1024;
        let used = self.live + self.tombstones;
        let is_refused = used * 4 > (self.slots.len() + ASKED_EVERY) * 3;
        if is_refused && self.has_place() && !used.is_multiple_of(ASKED_EVERY) { 0 } else { self.resize() }
    }

    /// Whether one more string leaves a slot that ends a search.
    fn has_place(&self) -> bool {
        self.live + self.tombstones + 1 < self.slots.len()
    }

    /// Whether the table is so full, because the system has refused a larger one, that strings have to go.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        (self.live + self.tombstones) * 8 > self.slots.len() * 7
    }

    /// Tries once more to get a larger table for one that is crowded. Returns by how many bytes it grew.
    pub fn relieve(&mut self) -> isize {
        if self.is_crowded() { self.resize() } else { 0 }
    }

    /// Rebuilds the table at a size that fits its strings.
    #[cold]
    #[inline(never)]
    fn resize(&mut self) -> isize {
        let size = ((self.live + 1) * 2).next_power_of_two().max(FIRST_SIZE);
        let mask = size - 1;
        let mut slots = Vec::new();
        if slots.try_reserve_exact(size).is_err() && self.has_place() {
            // The system refuses so much. Searches take longer in a fuller table.
            return 0;
        }
        slots.resize(size, EMPTY);
        let mut slots = slots.into_boxed_slice();
        for &e in self.slots.iter().filter(|&&e| e > TOMBSTONE) {
            // SAFETY: the table holds live or not yet swept strings only.
            let hash = unsafe { (*address(e)).header.word };
            let mut i = hash as usize & mask;
            while slots[i] != EMPTY {
                i = (i + 1) & mask;
            }
            slots[i] = e;
        }
        let grown = (size as isize - self.slots.len() as isize) * 8;
        self.slots = slots;
        self.tombstones = 0;
        grown
    }
}
