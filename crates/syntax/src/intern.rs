//! The names of one chunk, each stored once.

use crate::ast::Name;

/// An open-addressing table over [`Chunk::names`](crate::ast::Chunk::names).
#[derive(Debug, Default)]
pub(crate) struct Interner {
    names: Vec<Box<[u8]>>,
    /// Hashes of `names`, in the same order.
    hashes: Vec<u32>,
    /// Positions in `names` plus one; 0 is free. The length is a power of two.
    slots: Vec<u32>,
}

impl Interner {
    /// The name with these bytes, which is added if it is new.
    pub(crate) fn intern(&mut self, bytes: &[u8]) -> Name {
        const SPARSENESS: usize = 2;
        if self.slots.len() <= self.names.len() * SPARSENESS {
            self.grow();
        }
        let hash = hash(bytes);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(index) = self.slots[at].checked_sub(1) {
            if self.hashes[index as usize] == hash && *self.names[index as usize] == *bytes {
                return Name(index);
            }
            at = (at + 1) & mask;
        }
        let name = Name(self.names.len() as u32);
        self.names.push(bytes.into());
        self.hashes.push(hash);
        self.slots[at] = name.0 + 1;
        name
    }

    /// The bytes of a name.
    pub(crate) fn name(&self, name: Name) -> &[u8] {
        &self.names[name.0 as usize]
    }

    /// All names, in the order of their indices.
    pub(crate) fn into_names(self) -> Vec<Box<[u8]>> {
        self.names
    }

    #[cold]
    fn grow(&mut self) {
        const SMALLEST: usize = 64;
        let len = (self.slots.len() * 4).max(SMALLEST);
        self.slots.clear();
        self.slots.resize(len, 0);
        for (index, hash) in self.hashes.iter().enumerate() {
            let mut at = *hash as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = index as u32 + 1;
        }
    }
}

/// Eight bytes at a time, mixed by a multiplication folded to its middle.
fn hash(bytes: &[u8]) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(MULTIPLIER);
        product as u64 ^ (product >> 64) as u64
    };
    let mut state = MULTIPLIER ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word)).rotate_left(5);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = mix(state, u64::from_le_bytes(last));
    (state ^ state >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_equal_names() {
        let mut interner = Interner::default();
        let texts: Vec<String> = (0..10_000).map(|number| format!("name{number}")).collect();
        let names: Vec<Name> = texts.iter().map(|text| interner.intern(text.as_bytes())).collect();
        for (text, &name) in texts.iter().zip(&names) {
            assert_eq!(interner.intern(text.as_bytes()), name);
            assert_eq!(interner.name(name), text.as_bytes());
        }
        assert_eq!(interner.into_names().len(), texts.len());
    }

    #[test]
    fn zero_bytes_count() {
        let mut interner = Interner::default();
        let names = [&b""[..], b"\0", b"\0\0", b"a", b"a\0"].map(|bytes| interner.intern(bytes));
        assert_eq!(names, [Name(0), Name(1), Name(2), Name(3), Name(4)]);
    }
}
