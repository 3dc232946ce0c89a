//! Which input a header has for a slot, and which header the path to a segment comes from: asked for each slot of each snapshot
//! when code is made, and so looked up rather than searched for, as [`Tree::input`] and [`Tree::header_of`] do.

use super::inst::Ref;
use super::tree::{HeaderId, SegmentId, Start, Tree};

/// The inputs of all headers of a tree, which must not get further ones meanwhile.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// By header, then by slot.
    of: Vec<Vec<Option<Ref>>>,
    /// By segment.
    headers: Vec<HeaderId>,
}

impl Inputs {
    /// Those of a tree.
    #[must_use]
    pub fn of(tree: &Tree) -> Inputs {
        let by_slot = |inputs: &[Ref]| {
            let slots = inputs.iter().map(|input| tree.inst(*input).aux as usize + 1).max().unwrap_or(0);
            let mut by_slot = vec![None; slots];
            for input in inputs {
                by_slot[tree.inst(*input).aux as usize].get_or_insert(*input);
            }
            by_slot
        };
        let of = tree.headers.iter().map(|header| by_slot(&header.inputs)).collect();
        let mut headers: Vec<HeaderId> = Vec::with_capacity(tree.segments.len());
        for segment in &tree.segments {
            headers.push(match segment.start {
                Start::Header(header) => header,
                // Parents come before children.
                Start::Snapshot(snap) => headers[tree.snapshot(snap).segment.index()],
            });
        }
        Inputs { of, headers }
    }

    /// The input of a header for a slot.
    #[must_use]
    pub fn input(&self, header: HeaderId, slot: u32) -> Option<Ref> {
        self.of[header.index()].get(slot as usize).copied().flatten()
    }

    /// The header that the path to a segment comes from.
    #[must_use]
    pub fn header_of(&self, segment: SegmentId) -> HeaderId {
        self.headers[segment.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::Inputs;
    use crate::ir::{HeaderId, Tree};

    #[test]
    fn they_are_those_of_the_tree() {
        let tree: Tree = "\
header 0 pc 1, snap 0, inputs %0=#1:int
header 1 pc 5, snap 1, inputs %3=#1:int %4=#4:flt
segment 0 from header 0
  %1 lt %0 9 -> snap 2
  exit snap 3
segment 1 from snap 2
  exit snap 4
segment 2 from header 1
  exit snap 5
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 guard, pc 2
snap 3 end, pc 3
snap 4 end, pc 3
snap 5 end, pc 6
"
        .parse()
        .unwrap_or_else(|why| panic!("{why}"));
        let inputs = Inputs::of(&tree);
        for header in tree.header_ids() {
            for slot in 0..6 {
                assert_eq!(inputs.input(header, slot), tree.input(header, slot), "{header:?} {slot}");
            }
        }
        assert!(inputs.input(HeaderId(1), 4).is_some());
        for segment in tree.segment_ids() {
            assert_eq!(inputs.header_of(segment), tree.header_of(segment), "{segment:?}");
        }
    }
}
