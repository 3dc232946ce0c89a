//! Trees of segments, and the snapshots through which execution leaves them.

use std::rc::Rc;

use super::helper::{Effects, Helper};
use super::inst::{Class, Field, Format, Inst, Op, Ref, Ty};
use super::slots::Slots;

/// A snapshot of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapId(pub u32);

impl SnapId {
    /// The position in the tree's list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A segment of a tree. Number 0 is the one that was recorded first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u32);

impl SegmentId {
    /// The position in the tree's list.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A header of a tree: a place where paths meet. Number 0 is the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeaderId(pub u32);

impl HeaderId {
    /// The header where the recording of the tree began.
    pub const ROOT: HeaderId = HeaderId(0);

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
    /// The slot of the called function. At slot 0 it is called in the place of the root frame's function.
    pub func: u32,
    /// The slot of register 0: behind the function, or behind the extra arguments of a vararg function.
    pub base: u32,
    /// Extra arguments of a vararg function, directly below `base`.
    pub extra: u32,
    /// How many calls were replaced by tail calls until it was called, where the language counts them.
    pub lost: u32,
    /// The flags of its frame, as the interpreter means them.
    pub flags: u16,
    /// If `pcall` or `xpcall`, whose own frame is directly below, has called it: how many results that one wants.
    pub protected: Option<i32>,
    /// Whether it is `xpcall`, whose message handler is in the slot below the function.
    pub handled: bool,
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
    /// Counted from the root frame's function.
    pub slot: u32,
    /// Its value.
    pub value: Ref,
}

/// A table that the path has not made, as it is in the state of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What stands for the table: a `Sunk` instruction.
    pub object: Ref,
    /// Its shape.
    pub shape: Ref,
    /// Its metatable, or null.
    pub meta: Ref,
    /// Its properties, in the order of the shape: values, or further sunk tables.
    pub fields: Vec<Ref>,
    /// Its elements, likewise.
    pub elements: Vec<Ref>,
}

impl Recipe {
    /// Its properties, and behind them its elements.
    pub fn parts(&self) -> impl Iterator<Item = Ref> + '_ {
        self.fields.iter().chain(&self.elements).copied()
    }
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
    /// The slot behind the last one of an open list of values, if there is one.
    pub top: Option<u32>,
    /// Whether the path has called out of the tree: slots that are not named here are in their places.
    pub calls_out: bool,
    /// Further slots that are in their places.
    pub in_place: Vec<u32>,
    /// All slots that hold something here, in ascending order.
    pub live: Vec<u32>,
    /// The tables that must be made, in the order of their instructions. Filled by `opt::sink`.
    pub sunk: Vec<Recipe>,
}

impl Snapshot {
    /// A snapshot in front of an instruction, with nothing to store.
    #[must_use]
    pub fn new(kind: ExitKind, pc: u32) -> Snapshot {
        Snapshot {
            kind,
            segment: SegmentId(0),
            at: Ref(0),
            pc,
            frames: Vec::new(),
            slots: Vec::new(),
            fuel: 0,
            top: None,
            calls_out: false,
            in_place: Vec::new(),
            live: Vec::new(),
            sunk: Vec::new(),
        }
    }
}

/// Where a segment begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At a header: each header has one such segment.
    Header(HeaderId),
    /// Where a guard of another segment failed.
    Snapshot(SnapId),
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Still being recorded.
    Open,
    /// At a header, by a back-edge of the header's own loop: what is invariant in the loop has not changed.
    Around(HeaderId),
    /// At a header, from outside of its loop.
    Enter(HeaderId),
    /// Leaves.
    Exit(SnapId),
    /// The root frame's function returns, with so many results: they are in their places from slot 0 on.
    Return(SnapId, u32),
    /// The root frame's function calls another in its place, by the cell with its code: the function and its arguments are in
    /// their places from slot 0 on.
    Tail(SnapId, Ref),
}

/// Bounds checks of a counting loop that one check in front of the loop replaces; see `opt::ranges`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The loop's variable, an input of the header.
    pub variable: Ref,
    /// The input that it is a copy of, if it is one.
    pub index: Ref,
    /// What the index grows by in each round; must be above 0, or a constant.
    pub step: Ref,
    /// The input that counts the rounds to come.
    pub count: Ref,
    /// The length of the array, which does not change in the loop.
    pub len: Ref,
    /// The smallest and the largest difference between an element's number and the variable.
    pub offsets: (i64, i64),
    /// The checks, all `variable + offset below len`.
    pub checks: Vec<Ref>,
}

/// What the rounds of a loop have in common; see `opt::count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The input that counts the rounds to come: each takes one off, and the last one has 0.
    pub count: Ref,
    /// The fuel that each round costs.
    pub cost: u32,
}

/// A place where paths meet: the first instruction of a loop, with the types of the values that are known there.
///
/// A slot that is live at the header is in one of two places: in the header's input for it, or, if it has none, in its
/// place on the stack. Whatever jumps to the header sees to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The instruction, in the innermost frame's prototype.
    pub pc: u32,
    /// The inlined calls, outermost first.
    pub frames: Vec<InlinedFrame>,
    /// The slots that hold something at the header, in ascending order.
    pub live: Vec<u32>,
    /// The `Slot` instructions, in the order of their making.
    pub inputs: Vec<Ref>,
    /// The state at the header, before anything there has run. Its slots are the inputs.
    pub snap: SnapId,
    /// Instructions of the header's own segment that run once before the loop, in order. Filled by `opt::hoist`.
    pub hoisted: Vec<Ref>,
    /// Bounds checks that are made in front of the loop. Filled by `opt::ranges`.
    pub ranges: Vec<Range>,
    /// Inputs that are equal to others in all rounds if they are in the first one, which is checked in front of the loop.
    /// Filled by `opt::count`.
    pub copies: Vec<(Ref, Ref)>,
    /// Whether the fuel of the loop follows from its counter. Filled by `opt::count`.
    pub counted: Option<Counted>,
    /// Whether no range and no copy may be: one has failed too often.
    pub has_no_ranges: bool,
    /// Slots of inputs whose places may hold something older. Filled by `opt::places`.
    pub stale: Slots,
    /// Slots of inputs whose places may have the tag of another type. Filled by `opt::places`.
    pub untagged: Slots,
    /// The header of the same place, with inputs for the same slots, where execution goes when a hoisted guard fails.
    pub alternative: Option<HeaderId>,
    /// Whether nothing may be hoisted: a hoisted guard has failed too often.
    pub is_pinned: bool,
    /// Whether it is the entry of a function that compiled code calls: then inputs come in registers, and their places may
    /// hold anything.
    pub is_called: bool,
}

impl Header {
    /// A header without inputs, of which nothing is known yet.
    #[must_use]
    pub fn new(pc: u32, frames: Vec<InlinedFrame>, live: Vec<u32>, snap: SnapId) -> Header {
        Header {
            pc,
            frames,
            live,
            inputs: Vec::new(),
            snap,
            hoisted: Vec::new(),
            ranges: Vec::new(),
            copies: Vec::new(),
            counted: None,
            has_no_ranges: false,
            stale: Slots::default(),
            untagged: Slots::default(),
            alternative: None,
            is_pinned: false,
            is_called: false,
        }
    }
}

/// A straight path through the bytecode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub start: Start,
    /// Position of its first instruction.
    pub first: Ref,
    /// Position behind its last one.
    pub end_at: Ref,
    /// How it ends.
    pub end: End,
    /// The state at its end, if that is a header.
    pub end_snap: Option<SnapId>,
    /// Whether the path from the header calls out of the tree: then slots that it has not written may have changed.
    pub calls_out: bool,
    /// The positions of instructions that run first: they make sunk tables of its parents, which it needs. They leave through
    /// the snapshot where it begins. Filled by `opt::sink`.
    pub prologue: std::ops::Range<u32>,
}

impl Segment {
    /// A segment that begins somewhere, to be recorded.
    #[must_use]
    pub fn new(start: Start, first: Ref) -> Segment {
        let (end, end_snap, calls_out) = (End::Open, None, false);
        Segment { start, first, end_at: first, end, end_snap, calls_out, prologue: 0..0 }
    }
}

/// Paths through bytecode that are compiled together.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// All instructions. Those of a segment are consecutive but for its prologue; constants and inputs may stand among them.
    pub insts: Vec<Inst>,
    /// The ways out. Trees are copied, for each recording and for the passes, and most of that would be copying these, few of which
    /// change.
    pub snapshots: Vec<Rc<Snapshot>>,
    /// Where paths meet. They are shared as well.
    pub headers: Vec<Rc<Header>>,
    /// The paths; parents before children.
    pub segments: Vec<Segment>,
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

    /// A snapshot, for a change that other copies of the tree do not see.
    pub fn snapshot_mut(&mut self, id: SnapId) -> &mut Snapshot {
        Rc::make_mut(&mut self.snapshots[id.index()])
    }

    /// A segment.
    #[must_use]
    pub fn segment(&self, id: SegmentId) -> &Segment {
        &self.segments[id.index()]
    }

    /// The instructions of a segment in the order in which they run, without constants and inputs.
    pub fn body(&self, id: SegmentId) -> impl DoubleEndedIterator<Item = Ref> + '_ {
        let segment = self.segment(id);
        let prologue = segment.prologue.clone();
        prologue
            .chain(segment.first.0..segment.end_at.0)
            .map(Ref)
            .filter(|r| !matches!(self.inst(*r).op.format(), Format::Const | Format::Slot))
    }

    /// The memory that a store writes; `None` for what is no store, and for barriers.
    #[must_use]
    pub fn store_class(&self, inst: &Inst) -> Option<Class> {
        match inst.op {
            Op::StoreElem => Some(Class::Any),
            Op::StorePacked => Some(Class::Packed(self.ty(inst.c()))),
            Op::StoreFlag => Some(Class::Flags),
            Op::StoreProp | Op::StoreUp | Op::StoreField => inst.class(),
            _ => None,
        }
    }

    /// The object that a buffer pointer was loaded from.
    #[must_use]
    pub fn owner(&self, base: Ref) -> Ref {
        let inst = self.inst(base);
        match inst.field() {
            Some(Field::Slots | Field::Array | Field::UpSlot) if inst.op == Op::Load => inst.a(),
            _ => base,
        }
    }

    /// Whether an instruction makes a new object.
    #[must_use]
    pub fn is_new(&self, r: Ref) -> bool {
        self.inst(r).helper().map(Helper::effects) == Some(Effects::Allocates)
    }

    /// Whether `inst` stores into an object that its own path has made: nothing that was there before changes.
    #[must_use]
    pub fn initializes(&self, inst: &Inst) -> bool {
        matches!(inst.op, Op::StoreProp | Op::StoreField) && self.is_new(self.owner(inst.a()))
    }

    /// Whether running `inst` may change memory of `class`.
    #[must_use]
    pub fn clobbers(&self, inst: &Inst, class: Class) -> bool {
        if let Some(helper) = inst.helper() {
            return helper.effects().clobbers(class);
        }
        match inst.op {
            Op::CallOut => return true,
            Op::CallFn => return !class.outlives_calls(),
            _ => {}
        }
        self.store_class(inst) == Some(class)
    }

    /// A header.
    #[must_use]
    pub fn header(&self, id: HeaderId) -> &Header {
        &self.headers[id.index()]
    }

    /// A header, for a change that other copies of the tree do not see.
    pub fn header_mut(&mut self, id: HeaderId) -> &mut Header {
        Rc::make_mut(&mut self.headers[id.index()])
    }

    /// All segments.
    pub fn segment_ids(&self) -> impl Iterator<Item = SegmentId> + use<> {
        (0..self.segments.len() as u32).map(SegmentId)
    }

    /// All headers.
    pub fn header_ids(&self) -> impl Iterator<Item = HeaderId> + use<> {
        (0..self.headers.len() as u32).map(HeaderId)
    }

    /// The segment that continues at a snapshot.
    #[must_use]
    pub fn continuation(&self, snap: SnapId) -> Option<SegmentId> {
        self.starting(Start::Snapshot(snap))
    }

    /// The segment that begins at a place.
    #[must_use]
    pub fn starting(&self, start: Start) -> Option<SegmentId> {
        self.segment_ids().find(|id| self.segment(*id).start == start)
    }

    /// The segments from that of the header to `id`, the header's first.
    #[must_use]
    pub fn lineage(&self, id: SegmentId) -> Vec<SegmentId> {
        let mut line = vec![id];
        let mut at = id;
        while let Start::Snapshot(snap) = self.segment(at).start {
            at = self.snapshot(snap).segment;
            line.push(at);
        }
        line.reverse();
        line
    }

    /// The header that the path to a segment comes from.
    #[must_use]
    pub fn header_of(&self, id: SegmentId) -> HeaderId {
        let mut at = id;
        loop {
            match self.segment(at).start {
                Start::Header(header) => return header,
                Start::Snapshot(snap) => at = self.snapshot(snap).segment,
            }
        }
    }

    /// The input of a header for a slot.
    #[must_use]
    pub fn input(&self, header: HeaderId, slot: u32) -> Option<Ref> {
        self.header(header).inputs.iter().copied().find(|r| self.inst(*r).aux == slot)
    }

    /// The most fuel that any path from a header to a header, or out, costs.
    #[must_use]
    pub fn most_fuel(&self) -> u32 {
        self.snapshots.iter().map(|snapshot| snapshot.fuel).max().unwrap_or(0)
    }

    /// The first slot that a path writes: the places of those below hold what they held when the tree was entered. Where none
    /// is written, that is [`Tree::slots_end`], and nothing lies between the two.
    #[must_use]
    pub fn first_written(&self) -> u32 {
        let written = self.snapshots.iter().flat_map(|snapshot| &snapshot.slots).map(|written| written.slot);
        // What a compiled function is called with is in registers.
        let passed = self.insts.iter().filter(|inst| inst.op == Op::CallFn).map(|inst| inst.aux);
        written.chain(passed).fold(self.slots_end(), u32::min)
    }

    /// Says whether compiled code may call the function that begins at the root header, and at the other versions of it.
    pub fn set_called(&mut self, is_called: bool) {
        for id in self.header_ids() {
            let is_called = is_called && self.is_root(id);
            if self.header(id).is_called != is_called {
                self.header_mut(id).is_called = is_called;
            }
        }
    }

    /// Whether a header is a version of the root.
    #[must_use]
    pub fn is_root(&self, id: HeaderId) -> bool {
        let (root, header) = (self.header(HeaderId::ROOT), self.header(id));
        (header.pc, &header.frames) == (root.pc, &root.frames)
    }

    /// The slot behind the last one that the tree may hold in a register.
    #[must_use]
    pub fn slots_end(&self) -> u32 {
        let inputs = self.insts.iter().filter(|inst| inst.op == Op::Slot).map(|inst| inst.aux);
        let written = self.snapshots.iter().flat_map(|snapshot| &snapshot.slots).map(|written| written.slot);
        1 + inputs.chain(written).max().unwrap_or(0)
    }

    /// The constant integer behind a reference.
    #[must_use]
    pub fn const_int(&self, r: Ref) -> Option<i64> {
        let inst = self.inst(r);
        (inst.op == Op::KInt).then_some(inst.imm as i64)
    }

    /// Whether an integer is known not to be negative, by the operation that it comes from.
    #[must_use]
    pub fn is_never_negative(&self, r: Ref) -> bool {
        let inst = self.inst(r);
        let constant = |r: Ref| if r.is_some() { self.const_int(r) } else { None };
        match inst.op {
            Op::KInt => inst.imm as i64 >= 0,
            Op::LoadByte => true,
            Op::Load => matches!(inst.field(), Some(Field::Len | Field::StrLen)),
            Op::And => constant(inst.b()).is_some_and(|mask| mask >= 0),
            Op::Mod => constant(inst.b()).is_some_and(|divisor| divisor > 0),
            Op::Shr => constant(inst.b()).is_some_and(|n| n > 0),
            Op::IDiv => constant(inst.b()).is_some_and(|divisor| divisor > 0) && self.is_never_negative(inst.a()),
            _ => false,
        }
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
