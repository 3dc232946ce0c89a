//! Loop headers as the policy knows them: whether there is code, and whether it is worth entering.

use std::cell::Cell;
use std::hash::Hasher;
use std::rc::Rc;

use perilune_trace::ir::HeaderId;

use crate::enter::Compiled;

/// What is known of a loop header.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// No code yet.
    Cold { tries: u32 },
    /// A tree has headers here.
    Compiled { door: Rc<Door>, mismatches: u32 },
    /// Not worth a try.
    Blacklisted,
}

/// The way into a tree at one place.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) tree: usize,
    pub(super) code: Rc<Compiled>,
    /// The headers of the place, which differ in the types that they expect.
    pub(super) headers: Box<[HeaderId]>,
    /// The function that the root frame must run.
    pub(super) function: Option<u64>,
    /// Entries since the last account, and the fuel that was spent in the code.
    pub(super) entries: Cell<u32>,
    pub(super) spent: Cell<i64>,
    /// Accounts in a row that have shown that entering is not worth it.
    pub(super) poor: Cell<u32>,
}

/// Entries after which a door is judged.
const ACCOUNTED: u32 = 256;

/// Fuel that an entry must be worth on the average: about so many instructions does the interpreter run in the time that
/// it takes to enter and to leave.
const WORTH: i64 = 20;

/// The most arrivals between two entries, as a power of two.
const MAX_REST: u32 = 10;

/// What the accounts of a door say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Open,
    /// Entering was not worth it at so many arrivals, those that went by included.
    Poor(u32),
}

impl Door {
    /// Notes an entry that has spent so much fuel.
    pub(super) fn account(&self, spent: i64) -> Verdict {
        // The counter may have been filled up meanwhile, by a call.
        self.spent.set(self.spent.get() + if spent < 0 { WORTH } else { spent });
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() < ACCOUNTED {
            return Verdict::Open;
        }
        let pays = self.spent.get() >= i64::from(ACCOUNTED) * WORTH;
        self.entries.set(0);
        self.spent.set(0);
        let arrivals = ACCOUNTED * self.rest();
        self.poor.set(if pays { 0 } else { self.poor.get() + 1 });
        if pays { Verdict::Open } else { Verdict::Poor(arrivals) }
    }

    /// Whether entering has not been worth it for so long that it is given up, unless the code grows.
    pub(super) fn is_hopeless(&self) -> bool {
        self.poor.get() >= MAX_REST
    }

    /// Arrivals until the next entry: the less entering is worth, the more.
    pub(super) fn rest(&self) -> u32 {
        1 << self.poor.get().min(MAX_REST)
    }
}

/// A hash of addresses: instructions are eight bytes apart.
#[derive(Default)]
pub(super) struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0.rotate_left(5) ^ (n as u64 >> 3)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}
