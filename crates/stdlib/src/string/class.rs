//! Character classes: `%a`, `%d`, ... of patterns, and sets of bytes.
//!
//! The classes are those of C's `<ctype.h>` in the "C" locale, so bytes from 128 on belong to no class.

/// A bit per class, see [`CLASSES`].
const ALPHA: u16 = 1 << 0;
const CNTRL: u16 = 1 << 1;
const DIGIT: u16 = 1 << 2;
const GRAPH: u16 = 1 << 3;
const LOWER: u16 = 1 << 4;
const PUNCT: u16 = 1 << 5;
const SPACE: u16 = 1 << 6;
const UPPER: u16 = 1 << 7;
const ALNUM: u16 = 1 << 8;
const XDIGIT: u16 = 1 << 9;
const ZERO: u16 = 1 << 10;

/// The classes of each byte.
static CLASSES: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = classes_of(byte as u8);
        byte += 1;
    }
    table
};

/// The members of each class, by the number of its bit.
static CLASS_SETS: [[u64; 4]; 11] = {
    let mut sets = [[0; 4]; 11];
    let mut byte = 0;
    while byte < 256 {
        let mut class = 0;
        while class < sets.len() {
            if classes_of(byte as u8) >> class & 1 != 0 {
                sets[class][byte / 64] |= 1 << (byte % 64);
            }
            class += 1;
        }
        byte += 1;
    }
    sets
};

const fn classes_of(byte: u8) -> u16 {
    let mut set = 0;
    if byte.is_ascii_alphabetic() {
        set |= ALPHA | ALNUM;
    }
    if byte.is_ascii_control() {
        set |= CNTRL;
    }
    if byte.is_ascii_digit() {
        set |= DIGIT | ALNUM;
    }
    if byte.is_ascii_graphic() {
        set |= GRAPH;
    }
    if byte.is_ascii_lowercase() {
        set |= LOWER;
    }
    if byte.is_ascii_punctuation() {
        set |= PUNCT;
    }
    if is_space(byte) {
        set |= SPACE;
    }
    if byte.is_ascii_uppercase() {
        set |= UPPER;
    }
    if byte.is_ascii_hexdigit() {
        set |= XDIGIT;
    }
    if byte == 0 {
        set |= ZERO;
    }
    set
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// A class of a pattern, or its complement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    mask: u16,
    is_complement: bool,
}

impl Class {
    /// The class of a letter behind `%`: `None` if the letter names no class, and then stands for itself.
    #[inline]
    pub(crate) fn named(letter: u8) -> Option<Class> {
        let mask = match letter.to_ascii_lowercase() {
            b'a' => ALPHA,
            b'c' => CNTRL,
            b'd' => DIGIT,
            b'g' => GRAPH,
            b'l' => LOWER,
            b'p' => PUNCT,
            b's' => SPACE,
            b'u' => UPPER,
            b'w' => ALNUM,
            b'x' => XDIGIT,
            b'z' => ZERO,
            _ => return None,
        };
        Some(Class { mask, is_complement: letter.is_ascii_uppercase() })
    }

    /// Whether a byte belongs to it.
    #[inline(always)]
    pub(crate) fn contains(self, byte: u8) -> bool {
        (CLASSES[usize::from(byte)] & self.mask != 0) != self.is_complement
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteSet {
    words: [u64; 4],
}

impl ByteSet {
    /// Adds a byte.
    #[inline]
    pub(crate) fn insert(&mut self, byte: u8) {
        self.words[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Adds the bytes from `first` to `last`; none if they are in the wrong order.
    pub(crate) fn insert_range(&mut self, first: u8, last: u8) {
        for (word, start) in self.words.iter_mut().zip([0u8, 64, 128, 192]) {
            let (low, high) = (first.max(start), last.min(start + 63));
            if low <= high {
                *word |= u64::MAX >> (63 - (high - low)) << (low & 63);
            }
        }
    }

    /// Adds the bytes of a class.
    #[inline]
    pub(crate) fn insert_class(&mut self, class: Class) {
        let members = &CLASS_SETS[class.mask.trailing_zeros() as usize];
        let flip = if class.is_complement { u64::MAX } else { 0 };
        for (word, members) in self.words.iter_mut().zip(members) {
            *word |= members ^ flip;
        }
    }

    /// Makes it the set of the other bytes.
    pub(crate) fn complement(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
    }

    /// Whether a byte belongs to it.
    #[inline(always)]
    pub(crate) fn contains(&self, byte: u8) -> bool {
        self.words[usize::from(byte >> 6)] >> (byte & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_members_of_the_c_locale() {
        // for _, c in ipairs{...} do local n = 0 for i = 0, 255 do if string.char(i):find("%" .. c) then n = n + 1 end end end
        let size = |letter| {
            let class = Class::named(letter).unwrap();
            (0..=u8::MAX).filter(|&byte| class.contains(byte)).count()
        };
        let sizes: Vec<_> = b"acdglpsuwxzACDGLPSUWX".iter().map(|&letter| size(letter)).collect();
        assert_eq!(sizes, [52, 33, 10, 94, 26, 32, 6, 26, 62, 22, 1, 204, 223, 246, 162, 230, 224, 250, 230, 194, 234]);
        assert!(Class::named(b'.').is_none());
    }

    #[test]
    fn sets_hold_what_was_inserted() {
        let mut set = ByteSet::default();
        set.insert_range(b'b', b'd');
        set.insert_range(b'z', b'y');
        set.insert_class(Class::named(b'd').unwrap());
        set.insert(255);
        set.insert_range(62, 65);
        let members: Vec<u8> = (0..=255).filter(|&byte| set.contains(byte)).collect();
        assert_eq!(members, b"0123456789>?@Abcd\xff");
        set.complement();
        assert!(set.contains(b'a') && !set.contains(b'b'));
    }
}
