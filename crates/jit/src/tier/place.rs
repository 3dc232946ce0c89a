//! Loop headers as the policy knows them: whether there is code, and whether it is worth entering.

use std::cell::Cell;
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
    /// Whether it is that of a function whose code calls functions, itself maybe: calls of it lie inside one another.
    pub(super) nests: bool,
    /// Entries since the last account, and the instructions of the interpreter that they have stood for.
    entries: Cell<u32>,
    steps: Cell<i64>,
    /// Accounts so far.
    accounts: Cell<u32>,
    /// Accounts in a row that have shown that entering is not worth it.
    poor: Cell<u32>,
    /// Arrivals until the next entry, which follow from that.
    rest: Cell<u32>,
}

/// Entries after which a door is judged.
const ACCOUNTED: u32 = 256;

/// Instructions that an entry must run on the average at first: the interpreter runs more in the time that it takes to enter and
/// to leave, but code gets better as it grows, for which it must be entered.
const WORTH: i64 = 15;

/// The same for code that has stayed as it is for so many accounts.
const WORTH_AT_LAST: i64 = 40;
const ACCOUNTS_OF_GROWTH: u32 = 8;

/// The most arrivals between two entries, as a power of two.
const MAX_REST: u32 = 10;

/// As [`MAX_REST`], for functions whose calls lie inside one another, in their first accounts. Most of the calls are short, and
/// the few that the others lie in must not be missed.
const MAX_REST_OF_NESTED: u32 = 3;

/// What these accounts are: so many until such a function rests as long as any other.
const PATIENCE_WITH_NESTED: u32 = 5;

/// Accounts in a row after which a door is of no use.
const POOR: u32 = 3;

/// What the accounts of a door say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing new.
    Open,
    /// Entering was not worth it at so many arrivals, those that went by included.
    Poor(u32),
}

impl Door {
    /// The way to some headers of a tree, which nobody has taken yet.
    pub(super) fn new(
        tree: usize,
        code: Rc<Compiled>,
        headers: Box<[HeaderId]>,
        function: Option<u64>,
        nests: bool,
    ) -> Door {
        let (entries, steps, accounts) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Door { tree, code, headers, function, nests, entries, steps, accounts, poor: Cell::new(0), rest: Cell::new(1) }
    }

    /// Notes an entry that has run so many instructions.
    #[inline]
    pub(super) fn account(&self, steps: i64) -> Verdict {
        self.steps.set(self.steps.get() + steps);
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() < ACCOUNTED { Verdict::Open } else { self.verdict() }
    }

    /// Judges the entries since the last time.
    #[cold]
    fn verdict(&self) -> Verdict {
        let accounts = self.accounts.get().saturating_add(1);
        self.accounts.set(accounts);
        let worth = if accounts > ACCOUNTS_OF_GROWTH { WORTH_AT_LAST } else { WORTH };
        let pays = self.steps.get() >= i64::from(ACCOUNTED) * worth;
        self.entries.set(0);
        self.steps.set(0);
        let arrivals = ACCOUNTED * self.rest();
        self.poor.set(if pays { 0 } else { self.poor.get() + 1 });
        self.rest.set(self.rest_when_poor());
        if pays { Verdict::Open } else { Verdict::Poor(arrivals) }
    }

    /// Whether entering has not been worth it for long.
    pub(super) fn is_poor(&self) -> bool {
        self.poor.get() >= POOR
    }

    /// Arrivals until the next entry: the less entering is worth, the more.
    #[inline]
    pub(super) fn rest(&self) -> u32 {
        self.rest.get()
    }

    fn rest_when_poor(&self) -> u32 {
        let poor = self.poor.get();
        let rest =
            if self.nests { poor.min(MAX_REST_OF_NESTED).max(poor.saturating_sub(PATIENCE_WITH_NESTED)) } else { poor };
        1 << rest.min(MAX_REST)
    }
}
