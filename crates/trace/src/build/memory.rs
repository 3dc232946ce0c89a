//! What is known about memory along the path: which value each place holds.
//!
//! A place is known after it was loaded or stored. A store forgets the places that may be the same one, a helper those
//! of the classes that it changes. Two places are different when
//!
//! * their classes differ ([`Class`]), or
//! * their objects do: two different constants; an object made on this path and one known before it was made, or
//! * they are elements with different constant numbers of the same array.

use crate::ir::{Class, Effects, Format, Inst, Ref, Tree};

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

    /// The known properties of a table of a shape, by its slots.
    pub(super) fn props(&self, slots: Ref, shape: u64) -> Vec<(u32, Ref)> {
        let prop = |(place, value): &(Place, Ref)| match place.class {
            Class::Prop(n, of) if place.base == slots && of == shape => Some((n, *value)),
            _ => None,
        };
        self.known.iter().filter_map(prop).collect()
    }

    /// A compiled function has run.
    pub(super) fn called(&mut self) {
        self.known.retain(|(place, _)| place.class.outlives_calls());
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
    !are_different(tree, tree.owner(x.base), tree.owner(y.base))
}

fn tree_const(tree: &Tree, r: Ref) -> Option<i64> {
    if r.is_some() { tree.const_int(r) } else { None }
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
    tree.is_new(later) || tree.is_new(earlier) && tree.is_const(later)
}

#[cfg(test)]
mod tests {
    use crate::build::Builder;
    use crate::ir::{Field, HeaderId, Helper, Ref, Ty};

    /// A builder with two tables, an integer and an array pointer of each table.
    struct Two {
        b: Builder,
        x: Ref,
        y: Ref,
        n: Ref,
        snap: crate::ir::SnapId,
    }

    fn two() -> Two {
        let mut b = Builder::default();
        let inputs = [(1, Ty::Table), (2, Ty::Table), (3, Ty::Int)];
        let header: HeaderId = b.begin_at_header(1, Vec::new(), vec![1, 2, 3], &inputs);
        let [x, y, n] = [1, 2, 3].map(|slot| b.input(slot).expect("an input"));
        let snap = b.tree().header(header).snap;
        Two { b, x, y, n, snap }
    }

    #[test]
    fn a_load_gives_what_was_loaded_or_stored() {
        let Two { mut b, x, n, snap, .. } = two();
        let slots = b.load(Field::Slots, x);
        assert_eq!(b.load(Field::Slots, x), slots);
        let v = b.load_prop(slots, 2, 9, Ty::Int, snap).expect("no contradiction");
        assert_eq!(b.load_prop(slots, 2, 9, Ty::Int, snap), Ok(v));
        b.store_prop(slots, 2, 9, n);
        assert_eq!(b.load_prop(slots, 2, 9, Ty::Int, snap), Ok(n));
        assert!(b.load_prop(slots, 2, 9, Ty::Str, snap).is_err(), "it is known to be an integer");
    }

    #[test]
    fn tables_that_may_be_the_same_forget_each_other() {
        let Two { mut b, x, y, n, snap } = two();
        let (xs, ys) = (b.load(Field::Slots, x), b.load(Field::Slots, y));
        b.store_prop(xs, 0, 9, n);
        let one = b.int(1);
        b.store_prop(ys, 0, 9, one);
        assert_ne!(b.load_prop(xs, 0, 9, Ty::Int, snap), Ok(n));
    }

    #[test]
    fn other_classes_numbers_and_shapes_are_other_places() {
        let Two { mut b, x, y, n, snap } = two();
        let (xs, ys) = (b.load(Field::Slots, x), b.load(Field::Slots, y));
        b.store_prop(xs, 0, 9, n);
        let one = b.int(1);
        b.store_prop(ys, 1, 9, one);
        b.store_prop(ys, 0, 8, one);
        let array = b.load(Field::Array, y);
        b.store_elem(array, one, one);
        b.store_packed(array, one, one);
        b.store_up(ys, one);
        assert_eq!(b.load_prop(xs, 0, 9, Ty::Int, snap), Ok(n));
    }

    #[test]
    fn elements_with_other_constant_numbers_are_other_places() {
        let Two { mut b, x, n, .. } = two();
        let array = b.load(Field::Array, x);
        let (zero, one) = (b.int(0), b.int(1));
        b.store_packed(array, zero, n);
        b.store_packed(array, one, zero);
        assert_eq!(b.load_packed(array, zero, Ty::Int), Ok(n));
        // The number `n` may be 0.
        b.store_packed(array, n, one);
        assert_ne!(b.load_packed(array, zero, Ty::Int), Ok(n));
    }

    #[test]
    fn a_new_table_is_no_table_that_was_there() {
        let Two { mut b, x, n, snap, .. } = two();
        let slots = b.load(Field::Slots, x);
        b.store_prop(slots, 0, 9, n);
        let zero = b.int(0);
        let root = b.pointer(9);
        let made = b.call(Helper::NewTable, &[root, zero, zero], Ty::Table, Some(snap));
        let its = b.load(Field::Slots, made);
        b.store_prop(its, 0, 9, zero);
        assert_eq!(b.load_prop(slots, 0, 9, Ty::Int, snap), Ok(n));
    }

    #[test]
    fn helpers_forget_what_they_may_change() {
        let Two { mut b, x, n, snap, .. } = two();
        let (len, shape) = (b.load(Field::Len, x), b.load(Field::Shape, x));
        b.call(Helper::SetInt, &[x, n, n], Ty::Void, Some(snap));
        assert_ne!(b.load(Field::Len, x), len);
        assert_eq!(b.load(Field::Shape, x), shape, "elements are no properties");
        b.call_out(4, 0, 0, snap);
        assert_ne!(b.load(Field::Shape, x), shape);
    }
}
