//! Moves invariants of the loop in front of it.
//!
//! The loop of a tree is its root segment and the side segments that come back to the header by the loop's own
//! back-edge ([`End::Loop`]). What enters the loop anew (from outside, or from a segment that ends in [`End::Enter`], as the
//! body of an outer loop does) passes the preheader, where the hoisted instructions run again.
//!
//! An instruction of the root is hoisted when
//!
//! * its operands are hoisted, constants, or inputs that no segment of the loop changes;
//! * no segment of the loop changes the memory that it reads;
//! * it cannot fault where it runs earlier: a division only by a constant other than zero, and a load from a buffer only
//!   when all guards in front of it that look at the buffer's owner are hoisted as well.
//!
//! A hoisted guard leaves through snapshot 0, at the header: nothing has run yet, so that is always right. A guard that
//! only some rounds would have reached is checked before each; that costs time when it fails, never correctness.
//!
//! Only the root is looked at: instructions of side segments run on some paths only.
//!
//! ```text
//! for i = 1, n do s = s + t[i] end          hoisted    in the loop
//!
//! 0 slot #0 tab       t                      x
//! 1 load kind 0                              x
//! 2 eq 1 kint(3)                             x
//! 3 load len 0                               x
//! 4 load array 0                             x
//! 5 slot #4 int       i                                 (changes)
//! 6 sub 5 kint(1)                                       x
//! 7 below 6 3                                           x
//! 8 ldpack 4 6 int                                      x
//! ```

use crate::ir::{End, Format, Inst, Op, Ref, SegmentId, Tree};

/// Fills [`Tree::hoisted`].
pub fn run(tree: &mut Tree) {
    let hoisted = Hoist::new(tree).collect();
    tree.hoisted = hoisted;
}

struct Hoist<'a> {
    tree: &'a Tree,
    /// The segments of the loop.
    inside: Vec<SegmentId>,
    /// By instruction: whether its value is the same in all rounds.
    is_fixed: Vec<bool>,
}

impl<'a> Hoist<'a> {
    fn new(tree: &'a Tree) -> Hoist<'a> {
        let ids = (0..tree.segments.len() as u32).map(SegmentId);
        // A segment that other segments of the loop pass through belongs to it, however it ends itself.
        let mut is_inside = vec![false; tree.segments.len()];
        for id in ids.clone().filter(|id| tree.segment(*id).end == End::Loop) {
            for above in tree.lineage(id) {
                is_inside[above.index()] = true;
            }
        }
        let inside = ids.filter(|id| is_inside[id.index()]).collect();
        Hoist { tree, inside, is_fixed: vec![false; tree.insts.len()] }
    }

    fn collect(mut self) -> Vec<Ref> {
        let tree = self.tree;
        if self.inside.is_empty() {
            return Vec::new();
        }
        for at in 0..tree.insts.len() {
            let inst = &tree.insts[at];
            self.is_fixed[at] = match inst.op.format() {
                Format::Const => true,
                Format::Slot => !self.changes_slot(inst.aux, Ref(at as u32)),
                _ => false,
            };
        }
        let mut hoisted = Vec::new();
        let mut kept_guards: Vec<Ref> = Vec::new();
        for r in tree.body(SegmentId::ROOT) {
            let inst = tree.inst(r);
            if self.can_move(inst, &kept_guards) {
                self.is_fixed[r.index()] = true;
                hoisted.push(r);
            } else if inst.op.format() == Format::Guard {
                kept_guards.push(r);
            }
        }
        hoisted
    }

    /// Whether a round of the loop may leave another value in a slot than it found there.
    fn changes_slot(&self, slot: u32, input: Ref) -> bool {
        self.inside
            .iter()
            .any(|id| self.tree.segment(*id).slots.iter().any(|written| written.slot == slot && written.value != input))
    }

    fn can_move(&self, inst: &Inst, kept_guards: &[Ref]) -> bool {
        if !inst.operands().all(|r| self.is_fixed[r.index()]) {
            return false;
        }
        match inst.op.format() {
            Format::Unary | Format::Guard | Format::GuardUnary => true,
            Format::Binary => match inst.op {
                Op::IDiv | Op::Mod => self.tree.const_int(inst.b()).is_some_and(|divisor| divisor != 0),
                Op::LoadByte => !self.is_guarded(inst.a(), kept_guards),
                Op::Barrier | Op::BarrierUp => false,
                _ => true,
            },
            Format::Field => !self.is_changed(inst),
            Format::Up => !self.is_changed(inst),
            Format::Prop | Format::Elem | Format::Packed => {
                let owner = self.tree.inst(inst.a()).a();
                !self.is_changed(inst) && owner.is_some() && !self.is_guarded(owner, kept_guards)
            }
            Format::Call => inst.helper().is_some_and(|h| h.effects() == crate::ir::Effects::Pure),
            Format::Const
            | Format::Slot
            | Format::GuardNullary
            | Format::StoreProp
            | Format::StoreElem
            | Format::StoreUp
            | Format::StoreField => false,
        }
    }

    /// Whether the loop may change what a load reads.
    fn is_changed(&self, load: &Inst) -> bool {
        let Some(class) = load.class() else { return true };
        if load.field().is_some_and(|field| field.is_constant()) {
            return false;
        }
        self.inside.iter().any(|id| self.tree.body(*id).any(|r| self.tree.clobbers(self.tree.inst(r), class)))
    }

    /// Whether a guard that stays in the loop looks at `owner`, or at one of its fields.
    fn is_guarded(&self, owner: Ref, kept_guards: &[Ref]) -> bool {
        kept_guards.iter().any(|guard| {
            self.tree.inst(*guard).operands().any(|r| {
                let operand = self.tree.inst(r);
                r == owner || operand.op == Op::Load && operand.a() == owner
            })
        })
    }
}
