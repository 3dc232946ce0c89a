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
use std::ptr;
use std::rc::Rc;

use perilune_trace::fragment::{self, Fragment};
use perilune_trace::ir::{HeaderId, SnapId};

use super::Compiled;

/// A place where code goes on.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The code of a fragment, which the [`Links`] that the link is from keep; null for the tree's own.
    code: *const Compiled,
    /// Its header.
    pub header: HeaderId,
}

impl Link {
    /// To a header of the tree's own code.
    pub fn own(header: HeaderId) -> Link {
        Link { code: ptr::null(), header }
    }

    /// The code that it leads to, where `own` is the tree's.
    ///
    /// # Safety
    /// The link is one of `own`, or of its fragments.
    pub unsafe fn code(self, own: &Compiled) -> &Compiled {
        // SAFETY: the caller's duty: the links of `own` keep all fragments that were ever added, and live as long as it does.
        unsafe { self.code.as_ref() }.unwrap_or(own)
    }
}

/// The fragments of a tree.
#[derive(Debug, Default)]
pub struct Links {
    /// All of them. None is dropped before the tree's own code is: one may be running, or be on its way to another.
    fragments: RefCell<Vec<Rc<Compiled>>>,
    /// By snapshot of the tree: what begins there.
    at: RefCell<Vec<Option<Link>>>,
    /// By header of the tree: where it is, unless in the tree's own code.
    headers: RefCell<Vec<Option<Link>>>,
    followed: Cell<u32>,
}

impl Links {
    /// Adds the code of a fragment.
    pub fn add(&self, fragment: &Fragment, code: Rc<Compiled>) {
        let link = |header| Some(Link { code: Rc::as_ptr(&code), header });
        put(&mut self.at.borrow_mut(), fragment.start.index(), link(fragment::ENTRY.0));
        for (id, header) in (1..).map(HeaderId).zip(&fragment.headers) {
            put(&mut self.headers.borrow_mut(), header.index(), link(id));
        }
        self.fragments.borrow_mut().push(code);
    }

    /// The fragment that begins at a snapshot.
    #[inline]
    pub fn at(&self, snap: SnapId) -> Option<Link> {
        let link = self.at.borrow().get(snap.index()).copied().flatten();
        self.followed.set(self.followed.get().saturating_add(u32::from(link.is_some())));
        link
    }

    /// The fragment that has a header.
    #[inline]
    pub fn of_header(&self, header: HeaderId) -> Option<Link> {
        self.headers.borrow().get(header.index()).copied().flatten()
    }

    /// How many inputs of a header the fragment that has it looks at when it is entered there; none if there is no such fragment.
    pub fn checked_inputs(&self, header: HeaderId) -> usize {
        let Some(link) = self.of_header(header) else { return 0 };
        let fragments = self.fragments.borrow();
        let code = fragments.iter().find(|code| ptr::eq(Rc::as_ptr(code), link.code));
        code.map_or(0, |code| code.entries[link.header.index()].len())
    }

    /// Bytes of memory that the fragments take.
    pub fn bytes(&self) -> usize {
        self.fragments.borrow().iter().map(|code| code.bytes()).sum()
    }

    /// How often a fragment has gone on since this was asked last.
    pub fn take_followed(&self) -> u32 {
        self.followed.take()
    }
}

fn put(list: &mut Vec<Option<Link>>, at: usize, link: Option<Link>) {
    if list.len() <= at {
        list.resize(at + 1, None);
    }
    list[at] = link;
}
