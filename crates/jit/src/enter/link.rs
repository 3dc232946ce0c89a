//! Links: which code goes on where other code of the same tree has left.
//!
//! A tree's code is one function; what was recorded since is fragments, each a function of its own. The code of one leaves with
//! everything in its place, and that of the next is entered there, without the frames that the interpreter would need:
//!
//! ```text
//! tree ── exit 3 ──> fragment A ── joins header 0 ──> tree
//!                        └─ exit 9 ──> fragment B ── joins A's header ──> fragment A
//! ```
//!
//! They last until the tree is compiled anew, with all that they have.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use perilune_trace::fragment::{self, Fragment};
use perilune_trace::ir::{HeaderId, SnapId};
use perilune_vm::compiled::SlotTag;

use super::Compiled;
use super::exits::{Exit, Onward};

/// From an exit to the code that goes on there.
#[derive(Debug)]
pub(super) struct Link {
    /// The tree's own code, or that of a fragment, which the [`Links`] of the former keep.
    code: *const Compiled,
    /// Its header.
    pub(super) header: HeaderId,
    /// Whether it is where a fragment begins.
    is_fragment: bool,
    /// What the header expects, as far as the exit does not see to it.
    pub(super) unknown: Box<[SlotTag]>,
}

impl Link {
    /// The code that it leads to.
    ///
    /// # Safety
    /// The tree's own code lives as long as the borrow.
    #[inline]
    pub(super) unsafe fn code<'a>(&self) -> &'a Compiled {
        // SAFETY: the caller's duty: the links of the tree's own code keep all fragments that were ever added, and live as long as it does.
        unsafe { &*self.code }
    }
}

/// A header of a piece of code.
type Place = (*const Compiled, HeaderId);

/// The fragments of a tree.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// All of them. None is dropped before the tree's own code is: one may be running, or be on its way to another.
    fragments: RefCell<Vec<Rc<Compiled>>>,
    /// By snapshot of the tree: what begins there.
    at: RefCell<Vec<Option<Place>>>,
    /// By header of the tree: where it is, unless in the tree's own code.
    headers: RefCell<Vec<Option<Place>>>,
    followed: Cell<u32>,
}

impl Links {
    /// Adds the code of a fragment to those of the tree whose own code is `own`, and lets all exits lead there that can.
    pub(super) fn add(&self, own: &Rc<Compiled>, fragment: &Fragment, code: Rc<Compiled>) {
        let place = |header| Some((Rc::as_ptr(&code), header));
        put(&mut self.at.borrow_mut(), fragment.start.index(), place(fragment::ENTRY.0));
        for (id, header) in (1..).map(HeaderId).zip(&fragment.headers) {
            put(&mut self.headers.borrow_mut(), header.index(), place(id));
        }
        self.fragments.borrow_mut().push(code);
        for code in self.fragments.borrow().iter().chain([own]) {
            for exit in code.exits.all().iter().filter(|exit| exit.next.get().is_none()) {
                if let Some(link) = self.from(own, code, exit) {
                    // There was none.
                    let _ = exit.next.set(link);
                }
            }
        }
    }

    /// What goes on at an exit of one of the pieces of code, if there is anything.
    fn from(&self, own: &Rc<Compiled>, code: &Compiled, exit: &Exit) -> Option<Link> {
        let (to, header) = match exit.onward {
            Onward::Nothing => None,
            Onward::Fragment => self.at(exit.snap),
            Onward::Header(header) if header.index() < own.entries.len() => Some((Rc::as_ptr(own), header)),
            Onward::Header(header) => self.of_header(header),
        }?;
        let fragments = self.fragments.borrow();
        let target = fragments.iter().chain([own]).find(|code| Rc::as_ptr(code) == to)?;
        let known = exit.known(&code.exits, &code.entries);
        let is_known = |tag: &SlotTag| known.iter().find(|known| known.slot == tag.slot) == Some(tag);
        let unknown = target.expected(header).filter(|tag| !is_known(tag)).collect();
        Some(Link { code: to, header, is_fragment: exit.onward == Onward::Fragment, unknown })
    }

    /// The tags that are known where a fragment would begin; see [`Exits::found`](super::Exits::found).
    pub(super) fn found_at(&self, own: &Compiled, snap: SnapId) -> Box<[SlotTag]> {
        let leads_there = |exit: &&Exit| exit.onward == Onward::Fragment && exit.snap == snap;
        let found = |code: &Compiled| {
            let exit = code.exits.all().iter().find(leads_there)?;
            Some(exit.known(&code.exits, &code.entries))
        };
        let fragments = self.fragments.borrow();
        found(own).or_else(|| fragments.iter().find_map(|code| found(code))).unwrap_or_default().into()
    }

    /// The fragment that begins at a snapshot.
    fn at(&self, snap: SnapId) -> Option<Place> {
        self.at.borrow().get(snap.index()).copied().flatten()
    }

    /// The fragment that has a header.
    fn of_header(&self, header: HeaderId) -> Option<Place> {
        self.headers.borrow().get(header.index()).copied().flatten()
    }

    /// How many inputs of a header the fragment that has it looks at when it is entered there; none if there is no such fragment.
    pub(super) fn checked_inputs(&self, header: HeaderId) -> usize {
        let Some((code, header)) = self.of_header(header) else { return 0 };
        let fragments = self.fragments.borrow();
        let code = fragments.iter().find(|fragment| Rc::as_ptr(fragment) == code);
        code.map_or(0, |code| code.entries[header.index()].len())
    }

    /// Bytes of memory that the fragments take.
    pub(super) fn bytes(&self) -> usize {
        self.fragments.borrow().iter().map(|code| code.bytes()).sum()
    }

    /// Notes that code goes on by a link.
    #[inline]
    pub(super) fn follow(&self, link: &Link) {
        self.followed.set(self.followed.get().saturating_add(u32::from(link.is_fragment)));
    }

    /// How often a fragment has gone on since this was asked last.
    pub(super) fn take_followed(&self) -> u32 {
        self.followed.take()
    }
}

fn put(list: &mut Vec<Option<Place>>, at: usize, place: Option<Place>) {
    if list.len() <= at {
        list.resize(at + 1, None);
    }
    list[at] = place;
}
