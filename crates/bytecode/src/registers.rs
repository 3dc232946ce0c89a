//! Sets of registers, of which a function has no more than 256: what analyses of bytecode reckon with.
//!
//! The verifier knows by them what has a value, the trace compiler what may still be read.

use crate::effects::Span;

/// A set of registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers([u64; 4]);

impl Registers {
    /// Those below `end`, in ascending order.
    pub fn below(mut self, end: u32) -> impl Iterator<Item = u32> {
        self.remove(Span::above(0, end.min(256) as u16));
        Members { set: self, word: 0 }
    }

    /// The registers of a list.
    #[must_use]
    pub fn of(registers: impl Iterator<Item = u8>) -> Registers {
        let mut set = Registers::default();
        registers.for_each(|register| set.add(Span::one(register)));
        set
    }

    /// Those of a span.
    #[must_use]
    pub fn span(span: Span) -> Registers {
        let mut set = Registers::default();
        set.add(span);
        set
    }

    /// Puts those of a span in.
    pub fn add(&mut self, span: Span) {
        words(span).for_each(|(word, bits)| self.0[word] |= bits);
    }

    /// Takes those of a span out.
    pub fn remove(&mut self, span: Span) {
        words(span).for_each(|(word, bits)| self.0[word] &= !bits);
    }

    fn zip(self, other: Registers, op: impl Fn(u64, u64) -> u64) -> Registers {
        Registers(std::array::from_fn(|word| op(self.0[word], other.0[word])))
    }

    /// Those of either set.
    #[must_use]
    pub fn union(self, other: Registers) -> Registers {
        self.zip(other, |a, b| a | b)
    }

    /// Those of both sets.
    #[must_use]
    pub fn intersection(self, other: Registers) -> Registers {
        self.zip(other, |a, b| a & b)
    }

    /// Those that the other set has not.
    #[must_use]
    pub fn without(self, other: Registers) -> Registers {
        self.zip(other, |a, b| a & !b)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    /// Whether all of the other set are in this one.
    #[must_use]
    pub fn contains_all(self, other: Registers) -> bool {
        other.without(self).is_empty()
    }
}

/// The words of a set that a span has registers in, and the bits of these.
fn words(span: Span) -> impl Iterator<Item = (usize, u64)> {
    let (first, end) = (usize::from(span.first), usize::from(span.end()).min(256));
    let words = if first < end { first / 64..end.div_ceil(64) } else { 0..0 };
    words.map(move |word| {
        let (low, high) = (first.saturating_sub(word * 64), (end - word * 64).min(64));
        (word, (u64::MAX >> (64 - (high - low))) << low)
    })
}

/// The registers of a set, in ascending order, those taken out that came.
struct Members {
    set: Registers,
    /// There are none in the words before.
    word: usize,
}

impl Iterator for Members {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while let Some(bits) = self.set.0.get_mut(self.word) {
            if *bits != 0 {
                let register = self.word as u32 * 64 + bits.trailing_zeros();
                *bits &= *bits - 1;
                return Some(register);
            }
            self.word += 1;
        }
        None
    }

    /// Word by word, which is quicker.
    fn fold<B, F: FnMut(B, u32) -> B>(self, init: B, mut f: F) -> B {
        let mut folded = init;
        for (mut bits, first) in self.set.0.into_iter().zip((0..).step_by(64)) {
            while bits != 0 {
                folded = f(folded, first + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        folded
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.set.0.iter().map(|bits| bits.count_ones() as usize).sum();
        (count, Some(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_given_in_order() {
        let registers = Registers::of([200, 0, 63, 64, 5, 255].into_iter());
        assert_eq!(registers.below(256).collect::<Vec<_>>(), [0, 5, 63, 64, 200, 255]);
        assert_eq!(registers.below(64).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(registers.below(0).next(), None);
        assert_eq!(registers.below(200).last(), Some(64));
    }

    #[test]
    fn spans_are_added_and_removed_whole() {
        let mut registers = Registers::default();
        registers.add(Span::from(60, 0, 140));
        assert_eq!(registers.below(256).collect::<Vec<_>>(), (60..200).collect::<Vec<_>>());
        registers.remove(Span::from(64, 0, 64));
        registers.remove(Span::above(190, 0));
        registers.remove(Span::from(62, 0, 0));
        assert_eq!(registers.below(256).collect::<Vec<_>>(), (60..64).chain(128..190).collect::<Vec<_>>());
    }

    #[test]
    fn a_span_that_reaches_beyond_the_last_register_ends_there() {
        assert_eq!(Registers::span(Span::above(250, 0)).below(256).collect::<Vec<_>>(), (250..256).collect::<Vec<_>>());
        assert!(Registers::span(Span::above(255, 1)).is_empty());
        assert!(Registers::span(Span::NONE).is_empty());
    }

    #[test]
    fn sets_are_compared_register_by_register() {
        let (low, high) = (Registers::span(Span::from(0, 0, 100)), Registers::span(Span::from(60, 0, 100)));
        assert_eq!(low.intersection(high), Registers::span(Span::from(60, 0, 40)));
        assert_eq!(low.without(high), Registers::span(Span::from(0, 0, 60)));
        assert!(low.union(high).contains_all(low) && !low.contains_all(high));
    }
}
