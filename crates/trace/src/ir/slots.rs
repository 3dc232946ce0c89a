//! Sets of stack slots, a bit for each.

/// A set of slots, counted from the root frame's function.
#[derive(Clone, Debug, Default)]
pub struct Slots(Vec<u64>);

impl Slots {
    /// Takes all of them out; the memory is kept.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Puts a slot in.
    pub fn add(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (slot % 64);
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
        }
    }

    /// Whether a slot is in the set.
    #[must_use]
    pub fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 != 0)
    }

    /// Puts all slots in that two other sets have in common: whether any is new.
    pub fn add_common(&mut self, a: &Slots, b: &Slots) -> bool {
        let words = a.0.len().min(b.0.len()).max(self.0.len());
        self.0.resize(words, 0);
        let mut is_new = false;
        for (word, (a, b)) in self.0.iter_mut().zip(a.0.iter().zip(&b.0)) {
            is_new |= a & b & !*word != 0;
            *word |= a & b;
        }
        is_new
    }

    /// Those that another set has as well, in ascending order.
    pub fn common<'a>(&'a self, other: &'a Slots) -> impl Iterator<Item = u32> + 'a {
        members(self.0.iter().zip(&other.0).map(|(a, b)| a & b))
    }

    /// All of them, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        members(self.0.iter().copied())
    }
}

/// Whether both have the same slots.
impl PartialEq for Slots {
    fn eq(&self, other: &Slots) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Slots {}

impl FromIterator<u32> for Slots {
    fn from_iter<I: IntoIterator<Item = u32>>(slots: I) -> Slots {
        let mut set = Slots::default();
        slots.into_iter().for_each(|slot| set.add(slot));
        set
    }
}

/// The slots of a set that is given by its words.
struct Members<W> {
    words: W,
    /// What is left of the word that was taken last.
    bits: u64,
    /// The first slot of the next one.
    next: u32,
}

fn members<W: Iterator<Item = u64>>(words: W) -> Members<W> {
    Members { words, bits: 0, next: 0 }
}

impl<W: Iterator<Item = u64>> Iterator for Members<W> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.bits == 0 {
            self.bits = self.words.next()?;
            self.next += 64;
        }
        let slot = self.next - 64 + self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    fn set(slots: &[u32]) -> Slots {
        slots.iter().copied().collect()
    }

    #[test]
    fn slots_are_given_in_order() {
        let slots = [0, 5, 63, 64, 130];
        assert_eq!(set(&[130, 5, 64, 0, 63, 5]).iter().collect::<Vec<_>>(), slots);
        assert!(slots.iter().all(|slot| set(&slots).has(*slot)) && !set(&slots).has(1000));
    }

    #[test]
    fn what_is_taken_out_is_there_no_more() {
        let mut slots = set(&[3, 70]);
        slots.remove(70);
        slots.remove(500);
        assert_eq!(slots.iter().collect::<Vec<_>>(), [3]);
        slots.clear();
        assert_eq!(slots, Slots::default());
    }

    #[test]
    fn sets_of_any_sizes_have_slots_in_common() {
        let (a, b) = (set(&[1, 2, 70, 200]), set(&[2, 3, 70]));
        assert_eq!(a.common(&b).collect::<Vec<_>>(), [2, 70]);
        let mut slots = set(&[2]);
        assert!(slots.add_common(&a, &b) && !slots.add_common(&b, &a));
        assert_eq!(slots.iter().collect::<Vec<_>>(), [2, 70]);
    }
}
