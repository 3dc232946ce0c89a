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

use super::Compiled;

/// A place where code goes on.
#[derive(Clone, Debug)]
pub struct Link {
    /// The fragment; none for the tree's own code.
    pub code: Option<Rc<Compiled>>,
    /// Its header.
    pub header: HeaderId,
}

/// The fragments of a tree.
#[derive(Debug, Default)]
pub struct Links {
    /// By snapshot of the tree: what begins there.
    at: RefCell<Vec<Option<Link>>>,
    /// By header of the tree: where it is, unless in the tree's own code.
    headers: RefCell<Vec<Option<Link>>>,
    followed: Cell<u32>,
}

impl Links {
    /// Adds the code of a fragment.
    pub fn add(&self, fragment: &Fragment, code: Rc<Compiled>) {
        let link = |header| Some(Link { code: Some(code.clone()), header });
        put(&mut self.at.borrow_mut(), fragment.start.index(), link(fragment::ENTRY.0));
        for (id, header) in (1..).map(HeaderId).zip(&fragment.headers) {
            put(&mut self.headers.borrow_mut(), header.index(), link(id));
        }
    }

    /// The fragment that begins at a snapshot.
    pub fn at(&self, snap: SnapId) -> Option<Link> {
        let link = self.at.borrow().get(snap.index()).cloned().flatten();
        self.followed.set(self.followed.get().saturating_add(u32::from(link.is_some())));
        link
    }

    /// The fragment that has a header.
    pub fn of_header(&self, header: HeaderId) -> Option<Link> {
        self.headers.borrow().get(header.index()).cloned().flatten()
    }

    /// Bytes of memory that the fragments take.
    pub fn bytes(&self) -> usize {
        let begun = self.at.borrow();
        begun.iter().flatten().filter_map(|link| link.code.as_ref()).map(|code| code.bytes()).sum()
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
