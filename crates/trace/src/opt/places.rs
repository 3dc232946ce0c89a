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

use crate::ir::{Effects, End, HeaderId, Inputs, Op, Ref, SegmentId, SnapSlot, Tree};

/// Fills [`crate::ir::Header::stale`] and [`crate::ir::Header::untagged`] of all headers.
pub fn run(tree: &mut Tree) {
    let inputs = Inputs::of(tree);
    find_stale(tree, &inputs);
    find_untagged(tree, &inputs);
}

fn find_stale(tree: &mut Tree, inputs: &Inputs) {
    for id in tree.header_ids() {
        // What comes in registers has no place yet.
        let mut stale = if tree.header(id).is_called { slots_of(tree, id) } else { Vec::new() };
        stale.sort_unstable();
        tree.headers[id.index()].stale = stale;
    }
    let mut changed = true;
    while changed {
        changed = false;
        changed |= pass_to_alternatives(tree);
        for id in tree.segment_ids() {
            let (End::Around(to) | End::Enter(to)) = tree.segment(id).end else { continue };
            for n in 0..tree.header(to).inputs.len() {
                let slot = tree.inst(tree.header(to).inputs[n]).aux;
                if !is_stale(tree, to, slot) && leaves_stale(tree, inputs, id, slot) {
                    add(&mut tree.headers[to.index()].stale, slot);
                    changed = true;
                }
            }
        }
    }
}

fn find_untagged(tree: &mut Tree, inputs: &Inputs) {
    let written = WrittenElsewhere::by(tree, Ref(0));
    for id in tree.header_ids() {
        let is_called = tree.header(id).is_called;
        let mut untagged = slots_of(tree, id);
        untagged.retain(|slot| is_called || written.has(*slot));
        untagged.sort_unstable();
        tree.headers[id.index()].untagged = untagged;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for id in tree.segment_ids() {
            if let End::Around(to) | End::Enter(to) = tree.segment(id).end {
                changed |= pass_tags(tree, inputs, inputs.header_of(id), to, Some(id));
            }
        }
        for id in tree.header_ids() {
            if let Some(to) = tree.header(id).alternative {
                changed |= pass_tags(tree, inputs, id, to, None);
            }
        }
    }
}

/// What is not known of tags at one header is not known at another that a segment leads to.
fn pass_tags(tree: &mut Tree, inputs: &Inputs, from: HeaderId, to: HeaderId, segment: Option<SegmentId>) -> bool {
    let mut changed = false;
    for n in 0..tree.header(to).inputs.len() {
        let input = *tree.inst(tree.header(to).inputs[n]);
        let slot = input.aux;
        if !has_known_tag(tree, to, slot) {
            continue;
        }
        let ty = inputs.input(from, slot).map(|r| tree.ty(r));
        let is_kept = ty == Some(input.ty) && has_known_tag(tree, from, slot);
        // What is in no register is loaded from its place, tag and all.
        let is_loaded = ty.is_none() && !segment.is_some_and(|id| writes(tree, id, slot));
        if !is_kept && !is_loaded {
            add(&mut tree.headers[to.index()].untagged, slot);
            changed = true;
        }
    }
    changed
}

/// Adds a slot to a list in ascending order, if it is not there.
fn add(slots: &mut Vec<u32>, slot: u32) {
    if let Err(at) = slots.binary_search(&slot) {
        slots.insert(at, slot);
    }
}

fn slots_of(tree: &Tree, id: HeaderId) -> Vec<u32> {
    tree.header(id).inputs.iter().map(|r| tree.inst(*r).aux).collect()
}

/// The end of a segment as far as it says something of a slot, if the segment has an end.
fn written(tree: &Tree, id: SegmentId, slot: u32) -> Option<Option<&SnapSlot>> {
    let snap = tree.segment(id).end_snap?;
    Some(tree.snapshot(snap).slots.iter().find(|written| written.slot == slot))
}

/// Whether the end of a segment has a value for a slot.
fn writes(tree: &Tree, id: SegmentId, slot: u32) -> bool {
    written(tree, id, slot).is_none_or(|written| written.is_some())
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

/// What is stale at a header is stale at its alternative.
fn pass_to_alternatives(tree: &mut Tree) -> bool {
    let mut changed = false;
    for id in tree.header_ids() {
        let Some(to) = tree.header(id).alternative else { continue };
        for slot in tree.header(id).stale.clone() {
            if tree.input(to, slot).is_some() && !is_stale(tree, to, slot) {
                add(&mut tree.headers[to.index()].stale, slot);
                changed = true;
            }
        }
    }
    changed
}

/// Whether the place of a slot may be stale at the end of a segment.
fn leaves_stale(tree: &Tree, inputs: &Inputs, id: SegmentId, slot: u32) -> bool {
    let from = inputs.header_of(id);
    match written(tree, id, slot) {
        None => true,
        Some(Some(written)) => inputs.input(from, slot) != Some(written.value) || is_stale(tree, from, slot),
        Some(None) => !tree.segment(id).calls_out && is_stale(tree, from, slot),
    }
}

fn is_stale(tree: &Tree, header: HeaderId, slot: u32) -> bool {
    tree.header(header).stale.binary_search(&slot).is_ok()
}

fn has_known_tag(tree: &Tree, header: HeaderId, slot: u32) -> bool {
    tree.header(header).untagged.binary_search(&slot).is_err()
}

#[cfg(test)]
mod tests {
    use crate::ir::Tree;

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
        assert_eq!(tree.headers[0].stale, [1]);
        assert!(tree.headers[0].untagged.is_empty(), "it is an integer as before");
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
        assert!(tree.headers[1].stale.is_empty());
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
        assert_eq!(tree.headers[1].stale, [1, 2]);
        assert_eq!(tree.headers[1].untagged, [2], "its place had an integer");
        assert!(tree.headers[0].stale.is_empty());
    }

    #[test]
    fn an_alternative_begins_as_its_header_does() {
        let text = LOOP.replace("%1=#2:int\n", "%1=#2:int, alternative 1\nheader 1 pc 1, snap 3, inputs %6=#1:int\n");
        let tree = run(&(text
            .replace("snap 0 guard", "segment 1 from header 1\n  %7 = add %6 2 int\n  exit snap 4\nsnap 0 guard")
            + "snap 3 guard, pc 1\nsnap 4 end, pc 2\n"));
        assert_eq!(tree.headers[1].stale, [1]);
    }
}
