//! What compiled code leaves to whoever runs it: the types of inputs at the way in, tags and constants at the way out.
//!
//! Both are known when the code is made, and both are needed once per entry. As machine code they would be a good part of
//! each tree, and of the time that it takes to make it; so they are data, which the runner goes through.
//!
//! ```text
//! in     the caller compares the tags of the header's inputs; the code loads the payloads
//! out    the code stores payloads that only it knows, and the fuel in front of the path;
//!        the caller stores tags and constants, makes sunk tables, and takes the path's cost off the fuel
//! ```
//!
//! The properties and elements of sunk tables are handed over in *spare* slots, above all that the tree has.

use perilune_runtime::heap::{MAX_INLINE_SLOTS, MAX_SMALL_BUFFER};
use perilune_trace::ir::{HeaderId, Inputs, Op, Recipe, Ref, Slots, SnapId, Tree, Ty};
use perilune_trace::opt::places::WrittenElsewhere;
use perilune_trace::opt::sink::{MAX_ELEMENTS, MAX_FIELDS};

use crate::layout::VALUE;

/// What the caller puts into a slot's place after an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotWrite {
    /// The slot.
    pub slot: u32,
    /// The type of its value.
    pub ty: Ty,
    /// The payload, if the code has not stored it.
    pub payload: Option<u64>,
}

/// The slots and types that the code relies on when it is entered at a header.
#[must_use]
pub fn entry_types(tree: &Tree, header: HeaderId) -> Vec<(u32, Ty)> {
    tree.header(header).inputs.iter().map(|input| (tree.inst(*input).aux, tree.ty(*input))).collect()
}

const _: () = assert!(MAX_FIELDS <= MAX_INLINE_SLOTS as usize, "a sunk table has its properties in its cell");
const _: () = assert!(MAX_ELEMENTS * VALUE as usize <= MAX_SMALL_BUFFER, "a sunk table's elements are in a size class");

/// A table that the caller makes after the code has left through a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableImage {
    /// The address of its shape.
    pub shape: u64,
    /// The address of its metatable, or 0.
    pub meta: u64,
    /// The slot with its first property; the others are behind it, and behind them its elements.
    pub first: u32,
    /// How many properties it has.
    pub count: u32,
    /// How many elements it has.
    pub elements: u32,
    /// The slots that refer to it, those of parts of other tables among them.
    pub slots: Vec<u32>,
}

/// The tables that the caller makes after the code has left through a snapshot: first all of them, then what is in them.
#[must_use]
pub fn exit_tables(tree: &Tree, snap: SnapId, spare: u32) -> Vec<TableImage> {
    let snapshot = tree.snapshot(snap);
    if snapshot.sunk.is_empty() {
        return Vec::new();
    }
    let mut next = spare;
    let written = snapshot.slots.iter().map(|slot| (slot.slot, slot.value));
    let refers: Vec<(u32, Ref)> = written.chain(spare_values(tree, snap, spare)).collect();
    let image = |recipe: &Recipe| {
        let (first, count, elements) = (next, recipe.fields.len() as u32, recipe.elements.len() as u32);
        next += count + elements;
        let [shape, meta] = [recipe.shape, recipe.meta].map(|r| tree.inst(r).imm);
        let slots = refers.iter().filter(|(_, value)| *value == recipe.object).map(|(slot, _)| *slot).collect();
        TableImage { shape, meta, first, count, elements, slots }
    };
    snapshot.sunk.iter().map(image).collect()
}

/// The properties and elements of a snapshot's sunk tables, each with its spare slot.
pub(crate) fn spare_values(tree: &Tree, snap: SnapId, spare: u32) -> impl Iterator<Item = (u32, Ref)> + '_ {
    (spare..).zip(tree.snapshot(snap).sunk.iter().flat_map(Recipe::parts))
}

/// How many spare slots the exits of a tree use.
#[must_use]
pub fn spare_slots(tree: &Tree) -> u32 {
    let count = |recipes: &[Recipe]| recipes.iter().map(|recipe| recipe.parts().count()).sum::<usize>();
    tree.snapshots.iter().map(|snapshot| count(&snapshot.sunk)).max().unwrap_or(0) as u32
}

/// Whether a value is a table that only the caller makes.
pub(crate) fn is_sunk(tree: &Tree, value: Ref) -> bool {
    tree.inst(value).op == Op::Sunk
}

/// What is handed over at the exits of a tree, looked up for one snapshot after the other.
#[derive(Debug)]
pub struct Handover<'a> {
    tree: &'a Tree,
    inputs: &'a Inputs,
    /// The slots that are live at the snapshot and still have the input of the header.
    kept: Slots,
}

impl<'a> Handover<'a> {
    /// What a tree hands over, whose inputs these are.
    #[must_use]
    pub fn of(tree: &'a Tree, inputs: &'a Inputs) -> Handover<'a> {
        Handover { tree, inputs, kept: Slots::default() }
    }

    /// The inputs of the path's header that have come in by a register, and have no other value since.
    pub(crate) fn carried(&mut self, snap: SnapId) -> impl Iterator<Item = Ref> + '_ {
        self.look_at(snap);
        self.carried_where(snap, |_| true)
    }

    fn look_at(&mut self, snap: SnapId) {
        let snapshot = self.tree.snapshot(snap);
        self.kept.clear();
        if !snapshot.calls_out {
            snapshot.live.iter().for_each(|slot| self.kept.add(*slot));
            let named = snapshot.slots.iter().map(|named| named.slot);
            named.chain(snapshot.in_place.iter().copied()).for_each(|slot| self.kept.remove(slot));
        }
    }

    /// As [`Handover::carried`], of some slots, for the snapshot that was looked at last.
    fn carried_where(&self, snap: SnapId, which: impl Fn(u32) -> bool) -> impl Iterator<Item = Ref> {
        let header = self.inputs.header_of(self.tree.snapshot(snap).segment);
        let stale = self.kept.common(&self.tree.header(header).stale);
        stale.filter(move |slot| which(*slot)).filter_map(move |slot| self.inputs.input(header, slot))
    }

    /// What the caller puts into places after the code has left through a snapshot. Spare slots begin at `spare`.
    pub fn writes(&mut self, snap: SnapId, spare: u32) -> impl Iterator<Item = SlotWrite> + '_ {
        self.look_at(snap);
        let (tree, inputs) = (self.tree, self.inputs);
        let snapshot = tree.snapshot(snap);
        let header = inputs.header_of(snapshot.segment);
        let untagged = &tree.header(header).untagged;
        let written = snapshot.slots.iter().map(|slot| (slot.slot, slot.value));
        // The others are of their inputs' types.
        let carried = self.carried_where(snap, |slot| untagged.has(slot)).map(|input| (tree.inst(input).aux, input));
        written
            .chain(carried)
            .chain(spare_values(tree, snap, spare))
            // A number whose tag only the code knows is stored by it.
            .filter(|(_, value)| tree.ty(*value) != Ty::Num && !is_sunk(tree, *value))
            .map(|(slot, value)| SlotWrite { slot, ty: tree.ty(value), payload: constant(tree, value) })
            .filter(move |write| write.payload.is_some() || !has_tag(tree, inputs, header, write.slot, write.ty))
    }
}

/// The tags that stay in their places when code leaves.
#[derive(Debug)]
pub struct Tags<'a> {
    tree: &'a Tree,
    inputs: &'a Inputs,
    written: WrittenElsewhere,
    headers: Vec<HeaderTags>,
}

/// The inputs of a header, a bit for each of the first 64.
#[derive(Debug)]
struct HeaderTags {
    /// Those whose tags are in their places on all paths from the header.
    tagged: u64,
    /// By slot, the bit of the input.
    bits: Vec<u64>,
}

impl Tags<'_> {
    /// Those of a tree.
    #[must_use]
    pub fn of<'a>(tree: &'a Tree, inputs: &'a Inputs) -> Tags<'a> {
        let tags_at = |id: HeaderId| {
            let header = tree.header(id);
            let slots = header.inputs.iter().map(|input| tree.inst(*input).aux as usize + 1).max();
            let mut tags = HeaderTags { tagged: 0, bits: vec![0; slots.unwrap_or(0)] };
            for (n, input) in header.inputs.iter().take(64).enumerate() {
                let (slot, bit) = (tree.inst(*input).aux, 1 << n);
                if has_tag(tree, inputs, id, slot, tree.ty(*input)) {
                    tags.tagged |= bit;
                }
                tags.bits[slot as usize] = bit;
            }
            tags
        };
        let headers = tree.header_ids().map(tags_at).collect();
        Tags { tree, inputs, written: WrittenElsewhere::by(tree, Ref(0)), headers }
    }

    /// Which inputs of the path's header still have their tags in their places when the code has left through a snapshot and
    /// the caller has put there what [`Handover::writes`] says: a bit for each of the first 64.
    #[must_use]
    pub fn kept(&self, snap: SnapId) -> u64 {
        let snapshot = self.tree.snapshot(snap);
        let header = self.inputs.header_of(snapshot.segment);
        let tags = &self.headers[header.index()];
        if snapshot.calls_out || tags.tagged == 0 {
            return 0;
        }
        let bit = |slot: u32| tags.bits.get(slot as usize).copied().unwrap_or(0);
        // A slot that is not named has the input, if it is live. One that is has another value, whose tag is in its place or is written.
        let live = snapshot.live.iter().fold(0, |live, slot| live | bit(*slot));
        let mut kept = tags.tagged & live;
        for named in &snapshot.slots {
            let (ty, input) = (self.tree.ty(named.value), self.inputs.input(header, named.slot));
            let has_type = input.is_some_and(|input| self.tree.ty(input) == ty) && !is_sunk(self.tree, named.value);
            kept = if has_type { kept | bit(named.slot) & tags.tagged } else { kept & !bit(named.slot) };
        }
        snapshot.in_place.iter().fold(kept, |kept, slot| kept & !bit(*slot))
    }

    /// Which of some tags, each in a slot, are still there, where the path comes from a header at which they were. Where the
    /// header has an input for the slot, that is the business of [`Tags::kept`]. A bit for each of the first 64.
    #[must_use]
    pub fn passed(&self, snap: SnapId, slots: impl Iterator<Item = u32> + Clone) -> u64 {
        let snapshot = self.tree.snapshot(snap);
        // Most code knows of no such tags.
        if snapshot.calls_out || slots.clone().next().is_none() {
            return 0;
        }
        let header = self.inputs.header_of(snapshot.segment);
        // Those of other values are written.
        let numbers =
            snapshot.slots.iter().filter(|named| self.tree.ty(named.value) == Ty::Num).map(|named| named.slot);
        let lost: Vec<u32> = numbers.chain(snapshot.in_place.iter().copied()).collect();
        let is_passed =
            |slot| self.inputs.input(header, slot).is_none() && !self.written.has(slot) && !lost.contains(&slot);
        slots.take(64).enumerate().fold(0, |passed, (n, slot)| passed | u64::from(is_passed(slot)) << n)
    }
}

/// The payload of a constant.
pub(crate) fn constant(tree: &Tree, value: Ref) -> Option<u64> {
    let inst = tree.inst(value);
    matches!(inst.op, Op::KInt | Op::KFloat | Op::KObj).then_some(inst.imm)
}

/// Whether the place of a slot has the tag of a type already, on the path from a header: it has an input of the type there.
pub(crate) fn has_tag(tree: &Tree, inputs: &Inputs, header: HeaderId, slot: u32, ty: Ty) -> bool {
    inputs.input(header, slot).is_some_and(|input| tree.ty(input) == ty) && !tree.header(header).untagged.has(slot)
}

#[cfg(test)]
mod tests {
    use perilune_trace::ir::{HeaderId, Inputs, SnapId, Tree, Ty};
    use perilune_trace::opt;

    use super::{Handover, SlotWrite, Tags, entry_types};

    fn tree() -> Tree {
        let mut tree: Tree = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int
segment 0 from header 0
  %2 = add %0 1 int
  %3 = itof %2 flt
  %4 lt %2 100 -> snap 1
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 9, slots #1=%2 #3=%3 #4=7, live 1 2 3 4
snap 2 guard, pc 1, slots #1=%2
"
        .parse()
        .unwrap_or_else(|why| panic!("{why}"));
        opt::places::run(&mut tree);
        tree
    }

    #[test]
    fn inputs_are_asked_for() {
        assert_eq!(entry_types(&tree(), HeaderId::ROOT), [(1, Ty::Int), (2, Ty::Int)]);
    }

    #[test]
    fn tags_that_are_right_are_not_written() {
        let expected =
            [SlotWrite { slot: 3, ty: Ty::Float, payload: None }, SlotWrite { slot: 4, ty: Ty::Int, payload: Some(7) }];
        let (tree, inputs) = (tree(), Inputs::of(&tree()));
        let writes: Vec<SlotWrite> = Handover::of(&tree, &inputs).writes(SnapId(1), 9).collect();
        assert_eq!(writes, expected);
    }
    #[test]
    fn tags_of_inputs_stay_where_the_slot_has_the_same_type() {
        let tree: Tree = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:int %3=#4:int
segment 0 from header 0
  %4 = itof %1 flt
  %5 = add %0 1 int
  %6 lt %5 100 -> snap 1
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 9, slots #1=%5 #2=%4, live 1 2 3
snap 2 guard, pc 1, slots #1=%5, live 1 2 3 4
"
        .parse()
        .unwrap_or_else(|why| panic!("{why}"));
        let inputs = Inputs::of(&tree);
        let tags = Tags::of(&tree, &inputs);
        assert_eq!(tags.kept(SnapId(1)), 0b0101, "the second is a float, the fourth is dead");
        assert_eq!(tags.kept(SnapId(2)), 0b1111);
        assert_eq!(tags.passed(SnapId(1), [1, 6, 7].into_iter()), 0b110, "the first is an input");
    }

    #[test]
    fn tags_of_what_only_the_code_knows_are_not_known() {
        let tree: Tree = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:flt
segment 0 from header 0
  %3 = num %0 %1 num
  exit snap 1
snap 0 guard, pc 1
snap 1 guard, pc 9, slots #2=%3 #5=%3, in place 3, live 1 2 3 5
"
        .parse()
        .unwrap_or_else(|why| panic!("{why}"));
        let inputs = Inputs::of(&tree);
        let tags = Tags::of(&tree, &inputs);
        assert_eq!(tags.kept(SnapId(1)), 0b001);
        assert_eq!(tags.passed(SnapId(1), [4, 5].into_iter()), 0b01);
    }
}
