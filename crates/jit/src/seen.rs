//! What instructions have met in recordings so far, and which of it differs from one to the next.
//!
//! The first recording that passes an instruction relies on what it sees. Where a later one sees something else, recordings
//! rely on less from then on. Otherwise a program that mixes integers and floats would need a path for each combination of
//! them, and one that makes its classes anew for each task, a path for each task.

use std::cell::RefCell;
use std::rc::Rc;

use perilune_runtime::object::ANY_ELEMENTS;
use perilune_trace::ir::Ty;
use rustc_hash::FxHashMap;

use crate::view::ProtoAt;

/// How a load of numbers is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// All numbers were of one kind so far.
    Typed,
    /// They were of both kinds; see `perilune_trace::build`.
    Either,
    /// They were of both kinds, in arrays of several element kinds.
    Mixed,
}

/// An instruction.
type Site = (ProtoAt, u32);

/// How often the element kind at an instruction may change, from one recording to the next, until it is no longer relied on.
/// Most loops run over one array from end to end, and a copy of the loop for each kind is several times as fast as one that
/// asks every element what it is.
const MAX_KIND_CHANGES: u8 = 2;

/// The numbers that an instruction was seen to load.
#[derive(Debug, Default)]
struct Numbers {
    /// A bit for each kind of number, and for each sort of array.
    kinds: u8,
    /// How often an array of one kind came after an array of the other.
    changes: u8,
}

const INT: u8 = 1;
const FLOAT: u8 = 2;
const FROM_ANY: u8 = 4;
const FROM_PACKED: u8 = 8;

impl Numbers {
    fn add(&mut self, kind: u8, from: u8) -> Load {
        let was = (self.kinds & (INT | FLOAT), self.kinds & (FROM_ANY | FROM_PACKED));
        if from == FROM_PACKED && was == (kind ^ (INT | FLOAT), FROM_PACKED) && self.changes < MAX_KIND_CHANGES {
            self.changes += 1;
            self.kinds = kind | from;
        }
        self.kinds |= kind | from;
        match (self.kinds & (INT | FLOAT) == (INT | FLOAT), self.kinds & FROM_PACKED != 0) {
            (false, _) => Load::Typed,
            (true, false) => Load::Either,
            (true, true) => Load::Mixed,
        }
    }
}

#[derive(Debug, Default)]
struct Sites {
    numbers: FxHashMap<Site, Numbers>,
    /// Whether an integer key was one of an element: a bit for yes, and one for no.
    elements: FxHashMap<Site, u8>,
    /// The element kind of the arrays that are traversed; null once there was another one.
    walks: FxHashMap<Site, u64>,
    /// The metatable of tables with a shape; null once there was another one.
    metatables: FxHashMap<(Site, u64), u64>,
    /// The closure of a prototype that is called; null once there was another one.
    closures: FxHashMap<(Site, ProtoAt), u64>,
}

/// What was seen, shared by the policy and the recorder.
#[derive(Clone, Debug, Default)]
pub struct Seen(Rc<RefCell<Sites>>);

impl Seen {
    /// An instruction loads a number of type `ty`, from an array with the element kind `elements`, if from one.
    pub fn number(&self, site: Site, ty: Ty, elements: Option<u8>) -> Load {
        let from = match elements {
            None => 0,
            Some(ANY_ELEMENTS) => FROM_ANY,
            Some(_) => FROM_PACKED,
        };
        let kind = if ty == Ty::Int { INT } else { FLOAT };
        self.0.borrow_mut().numbers.entry(site).or_default().add(kind, from)
    }

    /// An instruction looks up an integer key, which is that of an element or not: whether it was so each time.
    pub fn element(&self, site: Site, is_element: bool) -> bool {
        let mut sites = self.0.borrow_mut();
        let met = sites.elements.entry(site).or_default();
        *met |= 1 << u8::from(is_element);
        *met != 3
    }

    /// An instruction steps through arrays, of the element kind `elements` now: whether it was that one each time.
    pub fn walk(&self, site: Site, elements: u8) -> bool {
        let kind = u64::from(elements);
        is_same(self.0.borrow_mut().walks.entry(site).or_insert(kind), kind)
    }

    /// An instruction looks into the metatable `meta` of a table with a shape: whether it was that one each time.
    pub fn metatable(&self, site: Site, shape: u64, meta: u64) -> bool {
        is_same(self.0.borrow_mut().metatables.entry((site, shape)).or_insert(meta), meta)
    }

    /// An instruction calls a closure of a prototype: whether it was that one each time.
    pub fn closure(&self, site: Site, proto: ProtoAt, closure: u64) -> bool {
        is_same(self.0.borrow_mut().closures.entry((site, proto)).or_insert(closure), closure)
    }

    /// Forgets everything: addresses may be used again.
    pub fn clear(&self) {
        *self.0.borrow_mut() = Sites::default();
    }
}

/// Whether an object is the one that is known; if not, none is from then on.
fn is_same(known: &mut u64, object: u64) -> bool {
    if *known != object {
        *known = 0;
    }
    *known == object
}

#[cfg(test)]
mod tests {
    use super::{Load, Seen};
    use crate::view::ProtoAt;
    use perilune_runtime::object::ANY_ELEMENTS;
    use perilune_trace::ir::Ty;

    #[test]
    fn kinds_of_numbers_add_up() {
        let seen = Seen::default();
        let load = |pc, ty, elements| seen.number((ProtoAt(16), pc), ty, elements);
        assert_eq!(load(1, Ty::Int, None), Load::Typed);
        assert_eq!(load(1, Ty::Int, None), Load::Typed);
        assert_eq!(load(1, Ty::Float, None), Load::Either);
        assert_eq!(load(1, Ty::Int, None), Load::Either);
        assert_eq!(load(2, Ty::Float, Some(ANY_ELEMENTS)), Load::Typed);
        assert_eq!(load(2, Ty::Int, Some(ANY_ELEMENTS)), Load::Either);
        assert_eq!(load(2, Ty::Int, Some(Ty::Int as u8)), Load::Mixed);
        seen.clear();
        assert_eq!(load(1, Ty::Float, None), Load::Typed);
    }

    #[test]
    fn arrays_of_one_kind_each_are_told_apart_for_a_while() {
        let seen = Seen::default();
        let load = |ty| seen.number((ProtoAt(16), 1), ty, Some(ty as u8));
        for ty in [Ty::Int, Ty::Float, Ty::Float, Ty::Int] {
            assert_eq!(load(ty), Load::Typed);
        }
        assert_eq!(load(Ty::Float), Load::Mixed);
        assert_eq!(load(Ty::Float), Load::Mixed);
    }

    #[test]
    fn a_key_may_be_an_element_and_none() {
        let seen = Seen::default();
        let is_same = |pc, is_element| seen.element((ProtoAt(16), pc), is_element);
        assert!(is_same(1, true) && is_same(1, true));
        assert!(is_same(2, false), "another instruction");
        assert!(!is_same(1, false) && !is_same(1, true));
    }

    #[test]
    fn a_second_kind_of_arrays_is_remembered() {
        let seen = Seen::default();
        let walk = |kind| seen.walk((ProtoAt(16), 1), kind);
        assert!(walk(3) && walk(3));
        assert!(!walk(ANY_ELEMENTS) && !walk(3));
    }

    #[test]
    fn a_second_metatable_is_remembered() {
        let seen = Seen::default();
        let is_same = |shape, meta| seen.metatable((ProtoAt(16), 1), shape, meta);
        assert!(is_same(8, 64) && is_same(8, 64));
        assert!(is_same(24, 80), "tables of another shape");
        assert!(!is_same(8, 96) && !is_same(8, 64));
        let calls = |closure| seen.closure((ProtoAt(16), 1), ProtoAt(32), closure);
        assert!(calls(64) && calls(64) && !calls(80) && !calls(64));
    }
}
