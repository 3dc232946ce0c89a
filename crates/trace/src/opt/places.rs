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

use crate::ir::{Effects, End, HeaderId, Op, Ref, SegmentId, Tree};

/// Fills [`crate::ir::Header::stale`] and [`crate::ir::Header::untagged`] of all headers.
pub fn run(tree: &mut Tree) {
    find_stale(tree);
    find_untagged(tree);
}

fn find_stale(tree: &mut Tree) {
    for id in tree.header_ids() {
        // What comes in registers has no place yet.
        let mut stale = if tree.header(id).is_called { inputs(tree, id) } else { Vec::new() };
        stale.sort_unstable();
        tree.headers[id.index()].stale = stale;
    }
    let ids: Vec<SegmentId> = tree.segment_ids().collect();
    let mut changed = true;
    while changed {
        changed = false;
        changed |= pass_to_alternatives(tree);
        for id in &ids {
            let (End::Around(to) | End::Enter(to)) = tree.segment(*id).end else { continue };
            let inputs: Vec<u32> = tree.header(to).inputs.iter().map(|r| tree.inst(*r).aux).collect();
            for slot in inputs {
                if leaves_stale(tree, *id, slot)
                    && let Err(at) = tree.header(to).stale.binary_search(&slot)
                {
                    tree.headers[to.index()].stale.insert(at, slot);
                    changed = true;
                }
            }
        }
    }
}

fn find_untagged(tree: &mut Tree) {
    for id in tree.header_ids() {
        let is_called = tree.header(id).is_called;
        let mut untagged: Vec<u32> =
            inputs(tree, id).into_iter().filter(|slot| is_called || is_written_elsewhere(tree, *slot)).collect();
        untagged.sort_unstable();
        tree.headers[id.index()].untagged = untagged;
    }
    let mut changed = true;
    while changed {
        changed = false;
        for id in tree.segment_ids() {
            if let End::Around(to) | End::Enter(to) = tree.segment(id).end {
                changed |= pass_tags(tree, tree.header_of(id), to, Some(id));
            }
        }
        for id in tree.header_ids() {
            if let Some(to) = tree.header(id).alternative {
                changed |= pass_tags(tree, id, to, None);
            }
        }
    }
}

/// What is not known of tags at one header is not known at another that a segment leads to.
fn pass_tags(tree: &mut Tree, from: HeaderId, to: HeaderId, segment: Option<SegmentId>) -> bool {
    let mut changed = false;
    for slot in inputs(tree, to) {
        let ty = |header| tree.input(header, slot).map(|r| tree.ty(r));
        let is_kept = ty(from) == ty(to) && tree.header(from).untagged.binary_search(&slot).is_err();
        // What is in no register is loaded from its place, tag and all.
        let is_loaded = ty(from).is_none() && !segment.is_some_and(|id| writes(tree, id, slot));
        if !is_kept
            && !is_loaded
            && let Err(at) = tree.header(to).untagged.binary_search(&slot)
        {
            tree.headers[to.index()].untagged.insert(at, slot);
            changed = true;
        }
    }
    changed
}

fn inputs(tree: &Tree, id: HeaderId) -> Vec<u32> {
    tree.header(id).inputs.iter().map(|r| tree.inst(*r).aux).collect()
}

/// Whether the end of a segment has a value for a slot.
fn writes(tree: &Tree, id: SegmentId, slot: u32) -> bool {
    let snap = tree.segment(id).end_snap;
    snap.is_none_or(|snap| tree.snapshot(snap).slots.iter().any(|written| written.slot == slot))
}

/// Whether the place of a slot is written by anything but exits.
fn is_written_elsewhere(tree: &Tree, slot: u32) -> bool {
    tree.insts.iter().any(|inst| match inst.op {
        Op::CallOut => true,
        // The function's frame is there.
        Op::CallFn => inst.aux <= slot,
        Op::StorePlace => inst.aux == slot,
        Op::Call if inst.helper().is_some_and(writes_places) => {
            inst.operands().any(|r: Ref| tree.inst(r).op == Op::PlaceAddr && tree.inst(r).aux <= slot)
        }
        _ => false,
    })
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
            if tree.input(to, slot).is_some()
                && let Err(at) = tree.header(to).stale.binary_search(&slot)
            {
                tree.headers[to.index()].stale.insert(at, slot);
                changed = true;
            }
        }
    }
    changed
}

/// Whether the place of a slot may be stale at the end of a segment.
fn leaves_stale(tree: &Tree, id: SegmentId, slot: u32) -> bool {
    let segment = tree.segment(id);
    let from: HeaderId = tree.header_of(id);
    let Some(snap) = segment.end_snap else { return true };
    let written = tree.snapshot(snap).slots.iter().find(|written| written.slot == slot);
    match written {
        Some(written) => !is_own_input(tree, from, slot, written.value) || is_stale(tree, from, slot),
        None if segment.calls_out => false,
        None => is_stale(tree, from, slot),
    }
}

fn is_own_input(tree: &Tree, header: HeaderId, slot: u32, value: crate::ir::Ref) -> bool {
    tree.input(header, slot) == Some(value)
}

fn is_stale(tree: &Tree, header: HeaderId, slot: u32) -> bool {
    tree.header(header).stale.binary_search(&slot).is_ok()
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
