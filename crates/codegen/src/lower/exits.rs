//! The ways out: what is stored before the code returns.
//!
//! Exits along a path store much of the same: what the path has written so far, and what has come in by registers. So the
//! stores of all exits are a tree, in which each exit is a way to the root. What several exits have in common is made once,
//! in a block that they jump to:
//!
//! ```text
//! exit 4: #1=%7 #2=%9        store %9 ─┐
//! exit 6: #1=%7 #2=%12 #3=%5 store %12 ┴> store %7, %5 ──> pay, return the number of the exit
//! ```
//!
//! Stores are ordered by their values, the oldest next to the root: younger values differ more from exit to exit.

use cranelift_codegen::ir::types;
use perilune_trace::ir::{HeaderId, Ref, SnapId, Ty};

use super::{HeaderBlocks, Lowering};
use crate::handover;
use crate::mir::{Block, Value};

/// The store of a value's payload to the place of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Payload {
    value: Ref,
    slot: u32,
}

/// An exit whose block is not filled yet.
struct Leaving<'p> {
    block: Block,
    snap: SnapId,
    /// In ascending order.
    payloads: &'p [Payload],
}

/// Stores that a block of their own must save; it costs a jump, and a register for the number of the exit.
const LEAST_SAVED: usize = 3;

impl Lowering<'_, '_> {
    /// The block that execution leaves through a snapshot by.
    pub(super) fn exit_of(&mut self, snap: SnapId) -> Block {
        if let Some((_, block)) = self.prologue.filter(|(start, _)| *start == snap) {
            return block;
        }
        if let Some(block) = self.exits[snap.index()] {
            return block;
        }
        let block = self.b.create_block();
        self.exits[snap.index()] = Some(block);
        if !self.is_continued[snap.index()] {
            self.b.set_cold_block(block);
            self.pending.push((block, snap));
        }
        block
    }

    /// Fills the blocks of all exits whose inputs are those of the headers' loops.
    pub(super) fn leave_all(&mut self) {
        for id in self.tree.header_ids().filter(|id| self.meters[id.index()].is_none()) {
            self.pending.push((self.headers[id.index()].exit, self.tree.header(id).snap));
        }
        let pending = std::mem::take(&mut self.pending);
        let mut payloads = Vec::new();
        let ends: Vec<usize> = pending.iter().map(|(_, snap)| self.add_payloads(*snap, &mut payloads)).collect();
        let mut first = 0;
        let mut exits: Vec<Leaving<'_>> = Vec::with_capacity(pending.len());
        for ((block, snap), end) in pending.into_iter().zip(ends) {
            exits.push(Leaving { block, snap, payloads: &payloads[first..end] });
            first = end;
        }
        // The order among exits that store the same is that of their numbers: the code must not depend on chance.
        exits.sort_by(|a, b| (a.payloads, a.snap).cmp(&(b.payloads, b.snap)));
        let root = self.shared_block();
        let n = self.b.block_params(root)[0];
        self.return_exit(n);
        self.leave_through(&exits, 0, root);
    }

    /// Fills the blocks of exits. The first `done` stores are the same in all of them, and made from the block `to` on.
    fn leave_through(&mut self, mut exits: &[Leaving<'_>], done: usize, to: Block) {
        while let [first, rest @ ..] = exits {
            let next = first.payloads.get(done);
            let count = 1 + rest.iter().take_while(|exit| next.is_some() && exit.payloads.get(done) == next).count();
            let (group, others) = exits.split_at(count);
            exits = others;
            // They are in order: what the first and the last have in common, all have.
            let last = group[count - 1].payloads;
            let common = first.payloads.iter().zip(last).take_while(|(a, b)| a == b).count();
            if (count - 1) * (common - done) >= LEAST_SAVED {
                let shared = self.shared_block();
                self.store_all(&first.payloads[done..common]);
                let n = self.b.block_params(shared)[0];
                self.b.jump(to, &[n]);
                self.leave_through(group, common, shared);
                continue;
            }
            for exit in group {
                self.b.switch_to_block(exit.block);
                self.read_meter(exit.snap);
                self.store_all(&exit.payloads[done..]);
                let n = self.int(i64::from(exit.snap.0));
                self.b.jump(to, &[n]);
            }
        }
    }

    /// A cold block that gets the number of the exit; it is the current one then.
    fn shared_block(&mut self) -> Block {
        let shared = self.b.create_block();
        self.b.set_cold_block(shared);
        self.b.append_block_param(shared, types::I64);
        self.b.switch_to_block(shared);
        shared
    }

    /// Adds to a list what only the code knows of the state of a snapshot, in ascending order; gives the list's new length. The
    /// caller does the rest: see [`handover`].
    fn add_payloads(&mut self, snap: SnapId, to: &mut Vec<Payload>) -> usize {
        let tree = self.tree;
        let is_known = |value| {
            let is_constant = handover::constant(tree, value).is_some();
            tree.ty(value).is_primitive() || is_constant || handover::is_sunk(tree, value)
        };
        let first = to.len();
        let mut add = |slot, value| {
            if !is_known(value) {
                to.push(Payload { value, slot });
            }
        };
        tree.snapshot(snap).slots.iter().for_each(|slot| add(slot.slot, slot.value));
        self.handover.carried(snap).for_each(|input| add(tree.inst(input).aux, input));
        handover::spare_values(tree, snap, self.env.spare).for_each(|(slot, value)| add(slot, value));
        to[first..].sort_unstable();
        to.len()
    }

    fn store_all(&mut self, payloads: &[Payload]) {
        for Payload { value, slot } in payloads {
            let (base, offset) = (self.base(), Self::slot_offset(*slot));
            if self.tree.ty(*value) == Ty::Num {
                // Only the code knows its tag.
                self.store_value(*value, base, offset);
                continue;
            }
            let v = self.value(*value);
            self.store(v, base, offset);
        }
    }

    /// Stores what only the code knows of the state of a snapshot.
    pub(super) fn store_payloads(&mut self, snap: SnapId) {
        let mut payloads = Vec::new();
        self.add_payloads(snap, &mut payloads);
        self.store_all(&payloads);
    }

    /// Puts the state of a snapshot into memory, and pays the path's fuel.
    pub(super) fn materialize(&mut self, snap: SnapId) {
        let header = self.inputs.header_of(self.tree.snapshot(snap).segment);
        let base = self.base();
        for slot in &self.tree.snapshot(snap).slots {
            self.store_slot(header, slot.slot, slot.value, base);
        }
        let carried: Vec<Ref> = self.handover.carried(snap).collect();
        for input in carried {
            self.store_slot(header, self.tree.inst(input).aux, input, base);
        }
        self.pay(-i64::from(self.tree.snapshot(snap).fuel));
    }

    /// Leaves in front of a header, with the preheader's parameters for inputs; `why` is added to the number of the exit.
    pub(super) fn leave_from_preheader(&mut self, id: HeaderId, why: u32) {
        let HeaderBlocks { preheader, .. } = self.headers[id.index()];
        self.take_inputs(id, preheader);
        let snap = self.tree.header(id).snap;
        self.store_payloads(snap);
        let n = self.int(i64::from(why + snap.0));
        self.return_exit(n);
    }

    /// Returns with the number of a snapshot, when everything is stored. The caller takes the path's cost off the fuel.
    fn return_exit(&mut self, n: Value) {
        self.pay(0);
        self.give_back(n);
    }
}
