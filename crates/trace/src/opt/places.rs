//! Finds out which inputs of headers are in their places on the stack as well.
//!
//! Execution that comes from outside finds the inputs of a header in their places. A segment that leaves another value in
//! a slot hands it on in a register only, and from then on the place is *stale*. An exit has nothing to do for slots whose
//! places are not.
//!
//! The result is a least fixed point over the edges between headers: a place is stale at a header if some segment that ends
//! there has written the slot, or started where the place was stale already.

use crate::ir::{End, HeaderId, SegmentId, Tree};

/// Fills [`crate::ir::Header::stale`] of all headers.
pub fn run(tree: &mut Tree) {
    for header in &mut tree.headers {
        header.stale.clear();
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
