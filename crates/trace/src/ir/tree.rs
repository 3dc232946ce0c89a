//! Trees of segments, and the snapshots through which execution leaves them.

use super::inst::{Class, Format, Inst, Op, Ref, Ty};

/// A snapshot of a tree. Number 0 is the header itself: nothing to store, go on there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapId(pub u32);

impl SnapId {
    /// The snapshot of the loop's header.
    pub const HEADER: SnapId = SnapId(0);

    /// The position in the tree's list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A segment of a tree. Number 0 is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

impl SegmentId {
    /// The segment that starts at the header.
    pub const ROOT: SegmentId = SegmentId(0);

    /// The position in the tree's list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A prototype that the tree runs through, as its owner numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtoId(pub u32);

/// A call that the trace runs inside its own frame: what its frame must look like when execution leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InlinedFrame {
    /// The slot of the called function, relative to the root frame's base. Registers follow it.
    pub func: u32,
    /// The function's prototype.
    pub proto: ProtoId,
    /// Where its caller goes on.
    pub return_pc: u32,
    /// Results that its caller wants; -1 for all.
    pub nresults: i32,
}

/// A stack slot that must be written before the interpreter goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapSlot {
    /// Relative to the root frame's base.
    pub slot: u32,
    /// Its value.
    pub value: Ref,
}

/// Why execution leaves through a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitKind {
    /// A value, type or path differs from what was recorded: a side segment may continue here.
    Guard,
    /// Work for the interpreter alone (fuel, collector, failed helper): no segment ever continues here.
    Service,
    /// The segment ends here: what follows was not recorded.
    End,
}

/// The interpreter's state at one instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Why execution leaves here.
    pub kind: ExitKind,
    /// The segment that it belongs to.
    pub segment: SegmentId,
    /// Instructions of its segment in front of this position have run when execution leaves.
    pub at: Ref,
    /// The instruction that the interpreter runs next, in the innermost frame's prototype.
    pub pc: u32,
    /// The inlined calls, outermost first.
    pub frames: Vec<InlinedFrame>,
    /// Slots that the path from the header to here has written, and that are live here.
    pub slots: Vec<SnapSlot>,
    /// Fuel that the path from the header to here costs.
    pub fuel: u32,
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Still being recorded.
    Open,
    /// At the header, by a back-edge of the loop itself.
    Loop,
    /// At the header, having entered the loop anew: what is invariant in the loop may have changed.
    Enter,
    /// Leaves.
    Exit(SnapId),
}

/// A straight path through the bytecode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The snapshot where it continues another segment; `None` for the root.
    pub start: Option<SnapId>,
    /// Position of its first instruction.
    pub first: Ref,
    /// Position behind its last one.
    pub end_at: Ref,
    /// How it ends.
    pub end: End,
    /// The slots that the path from the header to the end has written and that are live at the header; empty for an
    /// exit, whose snapshot says it.
    pub slots: Vec<SnapSlot>,
    /// Fuel that the path from the header to the end costs.
    pub fuel: u32,
}

/// A loop as a tree of paths.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// All instructions. Those of a segment are consecutive, constants and inputs may stand among them.
    pub insts: Vec<Inst>,
    /// The ways out.
    pub snapshots: Vec<Snapshot>,
    /// The paths; the root first, parents before children.
    pub segments: Vec<Segment>,
    /// The `Slot` instructions, in the order of their making.
    pub inputs: Vec<Ref>,
    /// Instructions of the root that run once before the loop, in order. Filled by the pass `opt::hoist`.
    pub hoisted: Vec<Ref>,
}

impl Tree {
    /// The instruction behind a reference.
    #[must_use]
    pub fn inst(&self, r: Ref) -> &Inst {
        &self.insts[r.index()]
    }

    /// The type of a value.
    #[must_use]
    pub fn ty(&self, r: Ref) -> Ty {
        self.inst(r).ty
    }

    /// A snapshot.
    #[must_use]
    pub fn snapshot(&self, id: SnapId) -> &Snapshot {
        &self.snapshots[id.index()]
    }

    /// A segment.
    #[must_use]
    pub fn segment(&self, id: SegmentId) -> &Segment {
        &self.segments[id.index()]
    }

    /// The instructions of a segment, without constants and inputs.
    pub fn body(&self, id: SegmentId) -> impl DoubleEndedIterator<Item = Ref> + '_ {
        let segment = self.segment(id);
        (segment.first.0..segment.end_at.0)
            .map(Ref)
            .filter(|r| !matches!(self.inst(*r).op.format(), Format::Const | Format::Slot))
    }

    /// The memory that a store writes; `None` for what is no store, and for barriers.
    #[must_use]
    pub fn store_class(&self, inst: &Inst) -> Option<Class> {
        match inst.op {
            Op::StoreElem => Some(Class::Any),
            Op::StorePacked => Some(Class::Packed(self.ty(inst.c()))),
            Op::StoreProp | Op::StoreUp | Op::StoreField => inst.class(),
            _ => None,
        }
    }

    /// Whether running `inst` may change memory of `class`.
    #[must_use]
    pub fn clobbers(&self, inst: &Inst, class: Class) -> bool {
        if let Some(helper) = inst.helper() {
            return helper.effects().clobbers(class);
        }
        self.store_class(inst) == Some(class)
    }

    /// The segment that continues at a snapshot.
    #[must_use]
    pub fn continuation(&self, snap: SnapId) -> Option<SegmentId> {
        let at = self.segments.iter().position(|s| s.start == Some(snap))?;
        Some(SegmentId(at as u32))
    }

    /// The segments from the root to `id`, root first.
    #[must_use]
    pub fn lineage(&self, id: SegmentId) -> Vec<SegmentId> {
        let mut line = vec![id];
        let mut at = id;
        while let Some(snap) = self.segment(at).start {
            at = self.snapshot(snap).segment;
            line.push(at);
        }
        line.reverse();
        line
    }

    /// The constant integer behind a reference.
    #[must_use]
    pub fn const_int(&self, r: Ref) -> Option<i64> {
        let inst = self.inst(r);
        (inst.op == Op::KInt).then_some(inst.imm as i64)
    }

    /// The constant float behind a reference.
    #[must_use]
    pub fn const_float(&self, r: Ref) -> Option<f64> {
        let inst = self.inst(r);
        (inst.op == Op::KFloat).then(|| f64::from_bits(inst.imm))
    }

    /// Whether a reference is a constant.
    #[must_use]
    pub fn is_const(&self, r: Ref) -> bool {
        self.inst(r).op.format() == Format::Const
    }
}
