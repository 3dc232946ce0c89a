//! What is known about memory along the path: which value each place holds.
//!
//! A place is known after it was loaded or stored. A store forgets the places that may be the same one, a helper those
//! of the classes that it changes. Two places are different when
//!
//! * their classes differ ([`Class`]), or
//! * their objects do: two different constants; an object made on this path and one known before it was made, or
//! * they are elements with different constant numbers of the same array.

use crate::ir::{Class, Effects, Field, Format, Helper, Inst, Op, Ref, Tree};

/// A place in memory: its class, the pointer that reaches it, and the element's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    class: Class,
    base: Ref,
    index: Ref,
}

/// The known places.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    known: Vec<(Place, Ref)>,
}

impl Memory {
    /// The value that a load gives, if it is known.
    pub(super) fn known(&self, load: &Inst) -> Option<Ref> {
        let place = loaded_place(load)?;
        self.known.iter().rev().find(|(known, _)| *known == place).map(|(_, value)| *value)
    }

    /// A load has given `value`.
    pub(super) fn loaded(&mut self, load: &Inst, value: Ref) {
        if let Some(place) = loaded_place(load) {
            self.known.retain(|(known, _)| *known != place);
            self.known.push((place, value));
        }
    }

    /// A store has run.
    pub(super) fn stored(&mut self, tree: &Tree, store: &Inst) {
        let Some(class) = tree.store_class(store) else { return };
        let (place, value) = match store.op.format() {
            Format::StoreElem => (Place { class, base: store.a(), index: store.b() }, store.c()),
            _ => (Place { class, base: store.a(), index: Ref::NONE }, store.b()),
        };
        self.known.retain(|(known, _)| !may_be_same(tree, *known, place));
        self.known.push((place, value));
    }

    /// A helper has run.
    pub(super) fn clobbered(&mut self, effects: Effects) {
        self.known.retain(|(place, _)| !effects.clobbers(place.class));
    }
}

fn loaded_place(load: &Inst) -> Option<Place> {
    let index = match load.op.format() {
        Format::Elem | Format::Packed => load.b(),
        _ => Ref::NONE,
    };
    Some(Place { class: load.class()?, base: load.a(), index })
}

fn may_be_same(tree: &Tree, x: Place, y: Place) -> bool {
    if x.class != y.class {
        return false;
    }
    if x.base == y.base {
        return match (x.index == y.index, tree_const(tree, x.index), tree_const(tree, y.index)) {
            (true, _, _) => true,
            (false, Some(n), Some(m)) => n == m,
            (false, _, _) => true,
        };
    }
    !are_different(tree, owner(tree, x.base), owner(tree, y.base))
}

fn tree_const(tree: &Tree, r: Ref) -> Option<i64> {
    if r.is_some() { tree.const_int(r) } else { None }
}

/// The object that a buffer pointer was loaded from.
fn owner(tree: &Tree, base: Ref) -> Ref {
    let inst = tree.inst(base);
    match inst.field() {
        Some(Field::Slots | Field::Array | Field::UpSlot) if inst.op == Op::Load => inst.a(),
        _ => base,
    }
}

/// Whether two references are different objects for sure.
fn are_different(tree: &Tree, x: Ref, y: Ref) -> bool {
    if x == y {
        return false;
    }
    if tree.is_const(x) && tree.is_const(y) {
        return true;
    }
    let (earlier, later) = if x < y { (x, y) } else { (y, x) };
    // A constant may stand behind the allocation in the list, but what it names was there before.
    is_new(tree, later) || is_new(tree, earlier) && tree.is_const(later)
}

/// Whether an instruction makes a new object.
fn is_new(tree: &Tree, r: Ref) -> bool {
    tree.inst(r).helper().map(Helper::effects) == Some(Effects::Allocates)
}
