//! Finds out which inputs of headers are in their places on the stack as well.
//!
//! Execution that comes from outside finds the inputs of a header in their places. A segment that leaves another value in
//! a slot hands it on in a register only, and from then on the place is *stale*. An exit has nothing to do for slots whose
//! places are not.
//!
//! It also finds out which places have another *tag* than the header's input: where the tag is right already, an exit
//! stores the payload alone.
//!
//! The result is a least fixed point over the edges between headers: a place is stale at a header if some segment that ends
//! there has written the slot, or started where the place was stale already. A tag is right if the segment started at a
//! header with an input of the same type, whose tag was right; nothing is said of places that helpers and calls write.

use crate::ir::{Effects, End, HeaderId, Inputs, Op, Ref, SegmentId, Slots, SnapSlot, Tree};

/// Fills [`crate::ir::Header::stale`] and [`crate::ir::Header::untagged`] of all headers.
pub fn run(tree: &mut Tree) {
    let mut found = begin(tree);
    let edges = edges(tree, &Inputs::of(tree), &mut found);
    let mut changed = true;
    while changed {
        changed = false;
        for Edge { from, to, stale, untagged } in &edges {
            changed |= pass(&mut found.stale, *from, *to, stale);
            changed |= pass(&mut found.untagged, *from, *to, untagged);
        }
    }
    for ((id, stale), untagged) in tree.header_ids().zip(found.stale).zip(found.untagged) {
        let header = tree.header_mut(id);
        (header.stale, header.untagged) = (stale, untagged);
    }
}

/// What is known so far, by header: slots of its inputs.
struct Found {
    stale: Vec<Slots>,
    untagged: Vec<Slots>,
}

/// A way from one header to another.
struct Edge {
    from: HeaderId,
    to: HeaderId,
    /// The slots that are stale there if they are at the header where the way begins.
    stale: Slots,
    /// The same of tags.
    untagged: Slots,
}

/// What is so at each header, whatever way leads there.
fn begin(tree: &Tree) -> Found {
    let written = WrittenElsewhere::by(tree, Ref(0));
    let slots = |id: HeaderId, are_in: &dyn Fn(u32) -> bool| {
        let slots = tree.header(id).inputs.iter().map(|input| tree.inst(*input).aux);
        slots.filter(|slot| are_in(*slot)).collect()
    };
    // What comes in registers has no place yet.
    let is_called = |id: HeaderId| tree.header(id).is_called;
    Found {
        stale: tree.header_ids().map(|id| slots(id, &|_| is_called(id))).collect(),
        untagged: tree.header_ids().map(|id| slots(id, &|slot| is_called(id) || written.has(slot))).collect(),
    }
}

/// All ways between headers. What a way leaves stale or untagged in any case is noted at its end.
fn edges(tree: &Tree, inputs: &Inputs, found: &mut Found) -> Vec<Edge> {
    let mut edges = Vec::new();
    for id in tree.segment_ids() {
        if let End::Around(to) | End::Enter(to) = tree.segment(id).end {
            edges.push(edge_of_segment(tree, inputs, id, to, found));
        }
    }
    for from in tree.header_ids() {
        if let Some(to) = tree.header(from).alternative {
            let stale = tree.header(to).inputs.iter().map(|input| tree.inst(*input).aux).collect();
            let untagged = passed_tags(tree, inputs, (from, to), |_| false, found);
            edges.push(Edge { from, to, stale, untagged });
        }
    }
    edges
}

fn edge_of_segment(tree: &Tree, inputs: &Inputs, id: SegmentId, to: HeaderId, found: &mut Found) -> Edge {
    let from = inputs.header_of(id);
    let end = tree.segment(id).end_snap.map(|snap| tree.snapshot(snap));
    let (mut written, mut replaced) = (Slots::default(), Slots::default());
    for SnapSlot { slot, value } in end.iter().flat_map(|end| &end.slots) {
        written.add(*slot);
        if inputs.input(from, *slot) != Some(*value) {
            replaced.add(*slot);
        }
    }
    let mut stale = Slots::default();
    for input in &tree.header(to).inputs {
        let slot = tree.inst(*input).aux;
        if end.is_none() || replaced.has(slot) {
            found.stale[to.index()].add(slot);
        } else if written.has(slot) || !tree.segment(id).calls_out {
            stale.add(slot);
        }
    }
    let untagged = passed_tags(tree, inputs, (from, to), |slot| end.is_none() || written.has(slot), found);
    Edge { from, to, stale, untagged }
}

/// The slots whose tags are unknown at the end of a way, which writes some slots, if they are at its beginning. Those that are
/// unknown in any case are noted.
fn passed_tags(
    tree: &Tree,
    inputs: &Inputs,
    (from, to): (HeaderId, HeaderId),
    writes: impl Fn(u32) -> bool,
    found: &mut Found,
) -> Slots {
    let mut passed = Slots::default();
    for input in &tree.header(to).inputs {
        let slot = tree.inst(*input).aux;
        match inputs.input(from, slot).map(|input| tree.ty(input)) {
            Some(ty) if ty == tree.ty(*input) => passed.add(slot),
            // What is in no register is loaded from its place, tag and all.
            None if !writes(slot) => {}
            Some(_) | None => found.untagged[to.index()].add(slot),
        }
    }
    passed
}

/// What is so at one header is so at another, of some slots: whether that is new.
fn pass(at: &mut [Slots], from: HeaderId, to: HeaderId, slots: &Slots) -> bool {
    if from == to {
        return false;
    }
    let there = std::mem::take(&mut at[from.index()]);
    let is_new = at[to.index()].add_common(&there, slots);
    at[from.index()] = there;
    is_new
}

/// The slots whose places are written by anything but exits.
#[derive(Debug)]
pub struct WrittenElsewhere {
    /// All from this one on.
    from: u32,
    /// Some others.
    slots: Vec<u32>,
}

impl WrittenElsewhere {
    /// Those that the instructions from one on write.
    #[must_use]
    pub fn by(tree: &Tree, first: Ref) -> WrittenElsewhere {
        let mut written = WrittenElsewhere { from: u32::MAX, slots: Vec::new() };
        for inst in &tree.insts[first.index()..] {
            match inst.op {
                Op::CallOut => written.from = 0,
                // The function's frame is there.
                Op::CallFn => written.from = written.from.min(inst.aux),
                Op::StorePlace => written.slots.push(inst.aux),
                Op::Call if inst.helper().is_some_and(writes_places) => {
                    let addresses = inst.operands().map(|r| tree.inst(r)).filter(|inst| inst.op == Op::PlaceAddr);
                    written.from = addresses.map(|inst| inst.aux).fold(written.from, u32::min);
                }
                _ => {}
            }
        }
        written
    }

    /// Whether a slot is among them.
    #[must_use]
    pub fn has(&self, slot: u32) -> bool {
        slot >= self.from || self.slots.contains(&slot)
    }
}

fn writes_places(helper: crate::ir::Helper) -> bool {
    helper.effects() == Effects::WritesPlaces || helper.pays()
}

#[cfg(test)]
mod tests {
    use crate::ir::{Slots, Tree};

    fn slots(of: &Slots) -> Vec<u32> {
        of.iter().collect()
    }

    fn run(text: &str) -> Tree {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        super::run(&mut tree);
        assert_eq!(crate::verify::verify(&tree), Ok(()));
        tree
    }

    const LOOP: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int
segment 0 from header 0
  %2 = add %0 1 int
  %3 lt %2 100 -> snap 1
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 9, slots #1=%2
snap 2 guard, pc 1, slots #1=%2
";

    #[test]
    fn what_a_round_writes_is_stale_from_then_on() {
        let tree = run(LOOP);
        assert_eq!(slots(&tree.headers[0].stale), [1]);
        assert!(slots(&tree.headers[0].untagged).is_empty(), "it is an integer as before");
    }

    #[test]
    fn a_call_out_has_had_everything_in_place() {
        let tree = run("\
header 0 pc 1, snap 0, inputs %0=#1:int
header 1 pc 5, snap 1, inputs %1=#1:int
segment 0 from header 0
  %2 callout #3 0 to 0 -> snap 2
  enter header 1, snap 3
segment 1 from header 1
  exit snap 4
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 service, pc 2
snap 3 guard, pc 5, calls out
snap 4 end, pc 6
"
        .replace("segment 0 from header 0", "segment 0 from header 0, calls out")
        .as_str());
        assert!(slots(&tree.headers[1].stale).is_empty());
    }

    #[test]
    fn staleness_goes_on_to_later_headers() {
        let tree = run("\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int
header 1 pc 5, snap 1, inputs %4=#1:int %5=#2:flt
segment 0 from header 0
  %2 = add %0 1 int
  %3 = itof %2 flt
  enter header 1, snap 2
segment 1 from header 1
  around header 1, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 guard, pc 5, slots #1=%2 #2=%3
snap 3 guard, pc 5
");
        assert_eq!(slots(&tree.headers[1].stale), [1, 2]);
        assert_eq!(slots(&tree.headers[1].untagged), [2], "its place had an integer");
        assert!(slots(&tree.headers[0].stale).is_empty());
    }

    #[test]
    fn an_alternative_begins_as_its_header_does() {
        let text = LOOP.replace("%1=#2:int\n", "%1=#2:int, alternative 1\nheader 1 pc 1, snap 3, inputs %6=#1:int\n");
        let tree = run(&(text
            .replace("snap 0 guard", "segment 1 from header 1\n  %7 = add %6 2 int\n  exit snap 4\nsnap 0 guard")
            + "snap 3 guard, pc 1\nsnap 4 end, pc 2\n"));
        assert_eq!(slots(&tree.headers[1].stale), [1]);
    }
}
