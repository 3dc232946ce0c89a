//! Fragments: the newest paths of a tree, cut out as a tree of their own.
//!
//! All of a tree is compiled at once, which is dear when one path has been added to many. A fragment is the new path alone. It
//! begins where the path does, at an exit of code that is there already, and finds the slots that are live there in their
//! places, as the interpreter would. So that exit becomes the fragment's only header from outside:
//!
//! ```text
//! tree                                     fragment
//! header 0, segment 0                      header 0 at the pc of snap 3, inputs: slots that the path needs
//!   ... %9 lt %4 %5 -> snap 3              segment 0 from header 0
//!   around header 0                          what the path needs besides slots, computed again
//! segment 1 from snap 3                      the instructions of segment 1
//!   ...                                      exit snap 5: it joins header 0 of the tree
//!   around header 0, snap 8
//! ```
//!
//! # What a path needs
//! The builder lets a path use whatever was computed before it began: see [`build`](crate::build). Of that,
//!
//! * what is in a slot at the exit comes from the slot's place,
//! * a result that depends on its operands alone is computed again,
//! * a load is done again if nothing on the way to the exit may have changed its memory: then it gives the same.
//!
//! What was checked on the way still holds, for nothing runs between the exit and the fragment; so it is not checked again. The
//! exceptions are guards that compare addresses with the slots that the *code* holds in registers: a fragment holds others.
//!
//! Where a path needs anything else, there is no fragment of it.

use std::ops::Range;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::ir::{
    Effects, End, ExitKind, Field, Format, Header, HeaderId, Inst, Op, Ref, Segment, SegmentId, SnapId, SnapSlot,
    Snapshot, Start, Tree, Ty,
};
use crate::opt::places::WrittenElsewhere;

/// A path of a tree as a tree of its own.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Where it begins: a snapshot of the tree.
    pub start: SnapId,
    /// The path. Header 0 stands for the snapshot.
    pub tree: Tree,
    /// By snapshot of the path: where execution stands when it leaves there, as the tree has it.
    pub ways: Vec<Way>,
    /// The headers of the tree that the path's headers from 1 on are.
    pub headers: Vec<HeaderId>,
}

/// A way out of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The snapshot of the tree.
    pub snap: SnapId,
    /// The header of the tree that execution goes on at.
    pub joins: Option<HeaderId>,
}

/// Cuts out segments of a tree: one that begins at an exit, and those that were recorded with it. The code that leaves there has
/// checked the first `checked` inputs of the header that its path comes from. `None` where the segments need what cannot be had at the
/// exit.
#[must_use]
pub fn cut(tree: &Tree, segments: Range<u32>, checked: usize) -> Option<Fragment> {
    let first = SegmentId(segments.start);
    let Start::Snapshot(start) = tree.segments.get(first.index())?.start else { return None };
    let snapshot = tree.snapshot(start);
    // An open list of values has no header.
    if snapshot.top.is_some() {
        return None;
    }
    let mut cutter = Cutter::new(tree, first, start);
    let end = tree.segments.get(segments.end.checked_sub(1)? as usize)?.end_at;
    cutter.out.insts.reserve(end.index().saturating_sub(tree.segment(first).first.index()) + ROOM);
    cutter.begin();
    cutter.check_inputs(checked);
    cutter.fetch_all()?;
    for id in segments.map(SegmentId) {
        cutter.segment(id)?;
    }
    Some(Fragment { start, tree: cutter.out, ways: cutter.ways, headers: cutter.new_headers })
}

/// Room for what most paths need besides themselves.
const ROOM: usize = 32;

/// The header of a fragment that stands for the exit where it begins, and its snapshot.
pub const ENTRY: (HeaderId, SnapId) = (HeaderId(0), SnapId(0));

/// The snapshots of a segment.
fn snapshots_of(tree: &Tree, id: SegmentId) -> impl Iterator<Item = SnapId> {
    let all = (0..).map(SnapId).zip(&tree.snapshots);
    all.filter(move |(_, snapshot)| snapshot.segment == id).map(|(snap, _)| snap)
}

struct Cutter<'a> {
    tree: &'a Tree,
    first: SegmentId,
    start: &'a Snapshot,
    /// The header that the path to the exit comes from.
    from: HeaderId,
    /// The instructions that run before the exit, in order.
    path: Vec<Ref>,
    out: Tree,
    ways: Vec<Way>,
    /// By instruction of the tree: what it is in the fragment, or none.
    refs: Vec<Ref>,
    snaps: FxHashMap<SnapId, SnapId>,
    headers: FxHashMap<HeaderId, HeaderId>,
    new_headers: Vec<HeaderId>,
    /// The inputs of that header which are not in their places at the exit.
    displaced: Vec<SnapSlot>,
    /// The snapshots of the first segment, with what is written at each.
    first_snaps: Vec<(SnapId, Vec<SnapSlot>)>,
    /// Slots whose places the path itself may write.
    written: WrittenElsewhere,
}

impl<'a> Cutter<'a> {
    fn new(tree: &'a Tree, first: SegmentId, start: SnapId) -> Cutter<'a> {
        let snapshot = tree.snapshot(start);
        let line = tree.lineage(first);
        let mut path = Vec::new();
        for pair in line.windows(2) {
            if let Start::Snapshot(snap) = tree.segment(pair[1]).start {
                let until = tree.snapshot(snap).at;
                path.extend(tree.body(pair[0]).filter(|r| *r < until));
            }
        }
        Cutter {
            tree,
            first,
            start: snapshot,
            from: tree.header_of(first),
            path,
            out: Tree::default(),
            ways: vec![Way { snap: start, joins: None }],
            refs: vec![Ref::NONE; tree.insts.len()],
            snaps: FxHashMap::default(),
            headers: FxHashMap::default(),
            new_headers: Vec::new(),
            displaced: Vec::new(),
            first_snaps: Vec::new(),
            written: WrittenElsewhere::by(tree, tree.segment(first).first),
        }
    }

    /// The header that stands for the exit.
    fn begin(&mut self) {
        let (pc, frames, live) = (self.start.pc, self.start.frames.clone(), self.start.live.clone());
        self.out.snapshots.push(Rc::new(Snapshot {
            frames: frames.clone(),
            live: live.clone(),
            ..Snapshot::new(ExitKind::Guard, pc)
        }));
        self.out.headers.push(Rc::new(Header::new(pc, frames, live, ENTRY.1)));
    }

    fn push(&mut self, inst: Inst) -> Ref {
        let r = Ref(self.out.insts.len() as u32);
        self.out.insts.push(inst);
        r
    }

    // What the path needs.

    /// A header gets further inputs as paths need them, each of which expects a type: nobody has looked at those that came later than
    /// the code.
    fn check_inputs(&mut self, checked: usize) {
        for r in self.tree.header(self.from).inputs.iter().skip(checked) {
            let inst = *self.tree.inst(*r);
            if let Some(input) = self.untouched(&inst) {
                self.refs[r.index()] = input;
            }
        }
    }

    /// Makes all that the first segment uses and does not make itself. It comes first, while memory is as it was at the exit.
    fn fetch_all(&mut self) -> Option<()> {
        let tree = self.tree;
        for n in 0..self.path.len() {
            let r = self.path[n];
            if matches!(tree.inst(r).op, Op::OffStack | Op::OffWritten) {
                self.repeat(r)?;
            }
        }
        for r in tree.body(self.first) {
            for operand in tree.inst(r).operands() {
                self.need(operand)?;
            }
        }
        self.note_displaced();
        for snap in snapshots_of(tree, self.first) {
            let written = self.written(tree.snapshot(snap));
            for slot in &written {
                self.need(slot.value)?;
            }
            self.first_snaps.push((snap, written));
        }
        if let End::Tail(_, cell) = tree.segment(self.first).end {
            self.need(cell)?;
        }
        Some(())
    }

    /// The first segment uses a value.
    fn need(&mut self, r: Ref) -> Option<()> {
        let segment = self.tree.segment(self.first);
        let is_own = (segment.first..segment.end_at).contains(&r);
        if !is_own || matches!(self.tree.inst(r).op.format(), Format::Const | Format::Slot) {
            self.fetch(r)?;
        }
        Some(())
    }

    /// Notes which inputs of the path's header are not in their places at the exit.
    fn note_displaced(&mut self) {
        let inputs = self.tree.header(self.from).inputs.iter();
        let slots = inputs.map(|r| SnapSlot { slot: self.tree.inst(*r).aux, value: *r });
        self.displaced = slots.filter(|input| !self.has_input_in_place(input.slot)).collect();
    }

    /// The slots whose places do not hold what they hold in a state of the first segment.
    fn written(&self, snapshot: &Snapshot) -> Vec<SnapSlot> {
        let mut slots: Vec<SnapSlot> = snapshot.slots.iter().copied().filter(|slot| !self.is_in_place(slot)).collect();
        if snapshot.calls_out {
            return slots;
        }
        // A slot that is not named holds the input of the path's header: again, if its place had something else at the exit, or nothing
        // that counts.
        for SnapSlot { slot, value } in &self.displaced {
            let is_named = snapshot.slots.iter().any(|named| named.slot == *slot) || snapshot.in_place.contains(slot);
            if !is_named && snapshot.live.binary_search(slot).is_ok() {
                slots.push(SnapSlot { slot: *slot, value: *value });
            }
        }
        slots
    }

    /// Whether a slot has the value at the exit already, and its place keeps it.
    fn is_in_place(&self, slot: &SnapSlot) -> bool {
        self.start.slots.contains(slot) && !self.written.has(slot.slot)
    }

    /// The value as the fragment knows it.
    fn fetch(&mut self, r: Ref) -> Option<Ref> {
        let known = self.refs[r.index()];
        if known.is_some() {
            return Some(known);
        }
        let inst = self.tree.inst(r);
        let is_it = |slot: &&SnapSlot| slot.value == r && !self.start.in_place.contains(&slot.slot);
        let at_exit = self.start.slots.iter().find(is_it).filter(|_| inst.ty.has_tag());
        let made = match (inst.op.format(), at_exit) {
            (Format::Const, _) => self.push(*inst),
            (_, Some(slot)) => self.input(slot.slot, inst.ty),
            (Format::Slot, None) => self.untouched(inst).or_else(|| self.counted_back(r))?,
            (_, None) => self.repeat(r)?,
        };
        self.refs[r.index()] = made;
        Some(made)
    }

    fn input(&mut self, slot: u32, ty: Ty) -> Ref {
        let (header, _) = ENTRY;
        let known = self.out.input(header, slot);
        known.unwrap_or_else(|| {
            let r = self.push(Inst { aux: slot, imm: u64::from(header.0), ..Inst::new(Op::Slot, ty) });
            self.out.header_mut(header).inputs.push(r);
            r
        })
    }

    /// An input of the path's header, from a slot that holds at the exit what is so much more: of counters that go down and up again.
    fn counted_back(&mut self, r: Ref) -> Option<Ref> {
        let mut written = self.start.slots.iter().filter(|slot| !self.start.in_place.contains(&slot.slot));
        let (slot, more) = written.find_map(|slot| {
            let inst = self.tree.inst(slot.value);
            let more = if inst.op == Op::Add && inst.a() == r { self.tree.const_int(inst.b()) } else { None };
            Some((slot.slot, more?))
        })?;
        let sum = self.input(slot, Ty::Int);
        let less = self.push(Inst { imm: more.wrapping_neg() as u64, ..Inst::new(Op::KInt, Ty::Int) });
        Some(self.push(Inst { args: [sum, less, Ref::NONE], ..Inst::new(Op::Add, Ty::Int) }))
    }

    /// An input of the path's header whose slot has the same value at the exit.
    fn untouched(&mut self, inst: &Inst) -> Option<Ref> {
        let is_of_path = inst.imm == u64::from(self.from.0);
        (is_of_path && self.has_input_in_place(inst.aux)).then(|| self.input(inst.aux, inst.ty))
    }

    /// Whether the place of a slot has the input of the path's header at the exit.
    fn has_input_in_place(&self, slot: u32) -> bool {
        !self.start.calls_out
            && self.start.live.binary_search(&slot).is_ok()
            && self.start.slots.iter().all(|written| written.slot != slot)
            // There the place has what a call has left in it.
            && !self.start.in_place.contains(&slot)
    }

    /// An instruction of the path before the exit, done again.
    fn repeat(&mut self, r: Ref) -> Option<Ref> {
        let inst = *self.tree.inst(r);
        if self.path.binary_search(&r).is_err() || !self.is_repeatable(r, &inst) {
            return None;
        }
        let mut copy = inst;
        for (n, operand) in inst.args.iter().enumerate().filter(|(_, operand)| operand.is_some()) {
            copy.args[n] = self.fetch(*operand)?;
        }
        copy.snap = inst.snap.map(|_| ENTRY.1);
        Some(self.push(copy))
    }

    /// Whether it gives the same at the exit.
    fn is_repeatable(&self, r: Ref, inst: &Inst) -> bool {
        let later = || self.path.iter().filter(|other| **other > r).map(|other| self.tree.inst(*other));
        match inst.op.format() {
            Format::Unary | Format::Binary | Format::Ternary => inst.op.is_pure(),
            Format::GuardUnary | Format::Place => true,
            Format::Field if inst.field().is_some_and(Field::is_constant) => true,
            Format::Field => !self.is_list_of_new(inst) && later().all(|other| !self.changes(other, inst)),
            Format::Prop | Format::Elem | Format::Packed | Format::Up | Format::Mixed => {
                later().all(|other| !self.changes(other, inst))
            }
            Format::Call => match inst.helper().map(crate::ir::Helper::effects) {
                Some(Effects::Pure) => true,
                Some(Effects::ReadsTables) => later().all(|other| !other.has_effect()),
                _ => false,
            },
            Format::Const
            | Format::Slot
            | Format::Guard
            | Format::GuardNullary
            | Format::StoreProp
            | Format::StoreElem
            | Format::StoreUp
            | Format::StoreField
            | Format::GuardPlace
            | Format::LoadPlace
            | Format::StorePlace
            | Format::CallOut
            | Format::CallFn
            | Format::Returned
            | Format::Gone => false,
        }
    }

    /// Whether an instruction may change what a load reads.
    fn changes(&self, inst: &Inst, load: &Inst) -> bool {
        match load.class() {
            Some(class) => self.tree.clobbers(inst, class),
            None => inst.has_effect(),
        }
    }

    /// Whether it reaches for the elements of a table that the path before the exit has made. Only the exit may really make it, and then
    /// its array part need not be as the path has it.
    fn is_list_of_new(&self, inst: &Inst) -> bool {
        let is_of_list =
            matches!(inst.field(), Some(Field::Array | Field::Hash | Field::Kind | Field::Len | Field::Cap));
        is_of_list && self.tree.is_new(inst.a()) && self.path.binary_search(&inst.a()).is_ok()
    }

    // The path.

    fn segment(&mut self, id: SegmentId) -> Option<()> {
        let segment = self.tree.segment(id);
        let is_first = id == self.first;
        let (start, first) = match segment.start {
            _ if is_first => (Start::Header(ENTRY.0), Ref(0)),
            Start::Header(header) => {
                let header = self.header(header);
                (Start::Header(header), Ref(self.out.insts.len() as u32))
            }
            Start::Snapshot(_) => return None,
        };
        let tree = self.tree;
        let own: Vec<(SnapId, Vec<SnapSlot>)> = if is_first {
            std::mem::take(&mut self.first_snaps)
        } else {
            snapshots_of(tree, id).map(|snap| (snap, tree.snapshot(snap).slots.clone())).collect()
        };
        for (snap, _) in &own {
            self.snaps.entry(*snap).or_insert_with(|| {
                self.ways.push(Way { snap: *snap, joins: None });
                let new = SnapId(self.out.snapshots.len() as u32);
                self.out.snapshots.push(Rc::new(Snapshot::new(ExitKind::Guard, 0)));
                new
            });
        }
        let new_id = SegmentId(self.out.segments.len() as u32);
        self.out.segments.push(Segment::new(start, first));
        let paid = if is_first { self.start.fuel } else { 0 };
        // By instruction of the segment, and for its end: how many of the fragment are in front of it.
        let mut places: Vec<Ref> = Vec::with_capacity((segment.end_at.0 - segment.first.0) as usize + 1);
        let mut called_out = None;
        for at in segment.first.0..segment.end_at.0 {
            let r = Ref(at);
            places.push(Ref(self.out.insts.len() as u32));
            let inst = self.tree.inst(r);
            if matches!(inst.op.format(), Format::Const | Format::Slot) {
                continue;
            }
            if is_first && self.is_list_of_new(inst) {
                return None;
            }
            if inst.op == Op::CallOut {
                called_out.get_or_insert(r);
            }
            let copy = self.copy(inst, paid)?;
            let copied = self.push(copy);
            self.refs[r.index()] = copied;
        }
        let end_at = Ref(self.out.insts.len() as u32);
        places.push(end_at);
        for (snap, mut slots) in own {
            let old = tree.snapshot(snap);
            for slot in &mut slots {
                slot.value = self.known(slot.value)?;
            }
            let calls_out = if is_first { called_out.is_some_and(|call| call < old.at) } else { old.calls_out };
            let new = self.snaps[&snap];
            self.out.snapshots[new.index()] = Rc::new(Snapshot {
                segment: new_id,
                at: *places.get(old.at.0.checked_sub(segment.first.0)? as usize)?,
                frames: old.frames.clone(),
                slots,
                fuel: old.fuel.checked_sub(paid)?,
                top: old.top,
                calls_out,
                in_place: old.in_place.clone(),
                live: old.live.clone(),
                ..Snapshot::new(old.kind, old.pc)
            });
        }
        let (end, end_snap) = self.end(segment)?;
        let out = &mut self.out.segments[new_id.index()];
        (out.end_at, out.end, out.end_snap) = (end_at, end, end_snap);
        out.calls_out = if is_first { called_out.is_some() } else { segment.calls_out };
        Some(())
    }

    fn copy(&mut self, inst: &Inst, paid: u32) -> Option<Inst> {
        let mut copy = *inst;
        for (n, operand) in inst.args.iter().enumerate().filter(|(_, operand)| operand.is_some()) {
            copy.args[n] = self.known(*operand)?;
        }
        if let Some(snap) = inst.snap {
            copy.snap = Some(*self.snaps.get(&snap)?);
        }
        if inst.helper().is_some_and(crate::ir::Helper::pays) {
            copy.aux = inst.aux.checked_sub(paid)?;
        }
        Some(copy)
    }

    /// What was fetched or copied; constants are there always.
    fn known(&mut self, r: Ref) -> Option<Ref> {
        if self.tree.is_const(r) { self.fetch(r) } else { Some(self.refs[r.index()]).filter(|known| known.is_some()) }
    }

    /// A header that the tree has got with the path.
    fn header(&mut self, id: HeaderId) -> HeaderId {
        let old = self.tree.header(id);
        let new = self.next_header(id);
        let snap = SnapId(self.out.snapshots.len() as u32);
        self.out.snapshots.push(Rc::new(Snapshot::new(ExitKind::Guard, 0)));
        self.ways.push(Way { snap: old.snap, joins: None });
        self.snaps.insert(old.snap, snap);
        self.out.headers.push(Rc::new(Header::new(old.pc, old.frames.clone(), old.live.clone(), snap)));
        self.new_headers.push(id);
        for input in &old.inputs {
            let r = self.push(Inst { imm: u64::from(new.0), ..*self.tree.inst(*input) });
            self.refs[input.index()] = r;
            self.out.header_mut(new).inputs.push(r);
        }
        new
    }

    /// The number that a header gets whose segment comes next.
    fn next_header(&mut self, id: HeaderId) -> HeaderId {
        let next = HeaderId(self.out.headers.len() as u32);
        self.headers.insert(id, next);
        next
    }

    fn end(&mut self, segment: &Segment) -> Option<(End, Option<SnapId>)> {
        let end_snap = segment.end_snap.map(|snap| self.snaps[&snap]);
        Some(match segment.end {
            End::Around(to) | End::Enter(to) if self.is_old(to) => {
                let snap = end_snap?;
                self.ways[snap.index()].joins = Some(to);
                (End::Exit(snap), None)
            }
            End::Around(to) => (End::Around(*self.headers.get(&to)?), end_snap),
            // The header that a path has led to first comes next.
            End::Enter(to) => {
                let next = HeaderId(self.out.headers.len() as u32);
                (End::Enter(self.headers.get(&to).copied().unwrap_or(next)), end_snap)
            }
            End::Exit(snap) => (End::Exit(self.snaps[&snap]), None),
            End::Return(snap, count) => (End::Return(self.snaps[&snap], count), None),
            End::Tail(snap, cell) => (End::Tail(self.snaps[&snap], self.known(cell)?), None),
            End::Open => return None,
        })
    }

    /// Whether the tree had a header before the path was recorded.
    fn is_old(&self, header: HeaderId) -> bool {
        self.tree.starting(Start::Header(header)).is_none_or(|segment| segment < self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fragment, Way, cut};
    use crate::ir::{HeaderId, SnapId, Tree};

    fn parsed(text: &str) -> Tree {
        let tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(crate::verify::verify(&tree), Ok(()), "{tree}");
        tree
    }

    /// The fragment of all segments from 1 on, where the code has checked two inputs.
    fn fragment(text: &str) -> Option<Fragment> {
        let tree = parsed(text);
        let fragment = cut(&tree, 1..tree.segments.len() as u32, 2)?;
        assert_eq!(crate::verify::verify(&fragment.tree), Ok(()), "{}", fragment.tree);
        Some(fragment)
    }

    /// The lines of the only segment of a fragment.
    fn body(text: &str) -> Vec<String> {
        let tree = fragment(text).expect("a fragment").tree.to_string();
        let lines = tree.lines().skip_while(|line| !line.starts_with("segment"));
        let lines = lines.skip(1).take_while(|line| line.starts_with(' '));
        lines.map(|line| line.split_whitespace().collect::<Vec<&str>>().join(" ")).collect()
    }

    const LOOP: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:tab
segment 0 from header 0
  %2 = load.len %1 int
  %3 = add %0 1 int
  %4 lt %3 %2 -> snap 1
  around header 0, snap 2
segment 1 from snap 1
  %5 = mul %3 %2 int
  %6 gt %5 9 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 guard, pc 5, fuel 3, live 1 2 3, slots #3=%3
snap 2 guard, pc 1, fuel 7, live 1 2, slots #1=%3
snap 3 guard, pc 6, fuel 3, live 1 2 3, slots #3=%3
snap 4 guard, pc 1, fuel 8, live 1 2, slots #1=%5
";

    #[test]
    fn what_is_in_slots_comes_from_there_and_the_rest_is_made_again() {
        assert_eq!(body(LOOP), ["%2 = load.len %1 int", "%4 = mul %0 %2 int", "%5 gt %4 9 -> snap 1", "exit snap 2"]);
        let fragment = fragment(LOOP).expect("a fragment");
        let inputs = fragment.tree.to_string();
        assert!(inputs.contains("header 0 pc 5, snap 0, inputs %0=#3:int %1=#2:tab, live 1 2 3"), "{inputs}");
    }

    #[test]
    fn it_pays_for_what_is_behind_the_exit_and_joins_the_tree() {
        let fragment = fragment(LOOP).expect("a fragment");
        let fuel: Vec<u32> = fragment.tree.snapshots.iter().map(|snapshot| snapshot.fuel).collect();
        assert_eq!(fuel, [0, 0, 5]);
        let way = |snap, joins| Way { snap: SnapId(snap), joins };
        assert_eq!(fragment.ways, [way(1, None), way(3, None), way(4, Some(HeaderId(0)))]);
        assert!(fragment.tree.snapshots[1].slots.is_empty(), "the place has the value since the exit");
    }

    #[test]
    fn a_load_whose_memory_has_changed_is_not_done_again() {
        let changed = LOOP
            .replace("  %4 lt %3 %2 -> snap 1\n", "  %4 stfield.len %1 %3\n  %5 lt %3 %2 -> snap 1\n")
            .replace("%5 = mul", "%6 = mul")
            .replace("%6 gt %5 9", "%7 gt %6 9")
            .replace("slots #1=%5", "slots #1=%6");
        assert!(fragment(&changed).is_none());
    }

    #[test]
    fn a_slot_that_has_its_first_value_again_is_written() {
        // The slot has one less at the exit, and is not named behind it.
        let counter = LOOP
            .replace("%3 = add %0 1 int", "%3 = add %0 -1 int")
            .replace(
                "snap 1 guard, pc 5, fuel 3, live 1 2 3, slots #3=%3",
                "snap 1 guard, pc 5, fuel 3, live 1 2 3, slots #1=%3",
            )
            .replace("snap 3 guard, pc 6, fuel 3, live 1 2 3, slots #3=%3", "snap 3 guard, pc 6, fuel 3, live 1 2 3");
        let fragment = fragment(&counter).expect("a fragment");
        let written = fragment.tree.snapshots[1].slots[0];
        assert_eq!(written.slot, 1);
        let value = fragment.tree.inst(written.value);
        assert_eq!((value.op, fragment.tree.const_int(value.b())), (crate::ir::Op::Add, Some(1)));
    }

    #[test]
    fn a_slot_that_is_of_no_account_at_the_exit_is_written_when_it_is_again() {
        // No place need have the table at the exit; behind it, its slot is in use again, with the same table.
        let revived = LOOP
            .replace("live 1 2 3, slots #3=%3\nsnap 2", "live 1 3 4, slots #3=%3 #4=%1\nsnap 2")
            .replace("live 1 2 3, slots #3=%3\nsnap 4", "live 1 2\nsnap 4");
        let fragment = fragment(&revived).expect("a fragment");
        let written = fragment.tree.snapshots[1].slots[0];
        assert_eq!(written.slot, 2);
        assert_eq!(fragment.tree.inst(written.value).aux, 4, "that place has it at the exit");
    }

    #[test]
    fn inputs_that_nobody_has_checked_are_checked() {
        let later = LOOP.replace("%1=#2:tab\n", "%1=#2:tab %7=#4:fal\n").replace("live 1 2 3", "live 1 2 3 4");
        let fragment = fragment(&later).expect("a fragment");
        let text = fragment.tree.to_string();
        assert!(text.contains("=#4:fal"), "{text}");
    }

    #[test]
    fn what_a_call_has_left_in_a_place_is_not_what_the_slot_held() {
        let called = LOOP.replace(
            "snap 1 guard, pc 5, fuel 3, live 1 2 3, slots #3=%3",
            "snap 1 guard, pc 5, fuel 3, in place 2, live 1 2 3, slots #3=%3",
        );
        assert!(fragment(&called).is_none(), "the table of the header is in no place");
    }

    #[test]
    fn the_array_of_a_table_that_only_the_exit_makes_is_not_relied_on() {
        let list = "\
header 0 pc 1, snap 0, inputs %0=#1:int
segment 0 from header 0
  %1 = call.newtable ptr@9 4 0 tab -> snap 1
  %2 lt %0 9 -> snap 2
  around header 0, snap 3
segment 1 from snap 2
  %3 = load.array %1 ptr
  %4 stpack %3 0 %0
  exit snap 4
snap 0 guard, pc 1
snap 1 service, pc 2, live 1
snap 2 guard, pc 5, live 1 2, slots #2=%1
snap 3 guard, pc 1, live 1
snap 4 end, pc 6, live 1 2, slots #2=%1
";
        assert!(fragment(list).is_none());
        let kept = list.replace("  %3 = load.array %1 ptr\n  %4 stpack %3 0 %0\n", "");
        assert!(fragment(&kept).is_some());
    }

    #[test]
    fn loops_that_were_recorded_with_it_are_its_own() {
        let inner = LOOP
            .replace("  around header 0, snap 4\n", "  enter header 1, snap 4\nsegment 2 from header 1\n  %8 = add %7 1 int\n  %9 lt %8 50 -> snap 6\n  around header 1, snap 7\n")
            .replace("segment 0 from", "header 1 pc 9, snap 5, inputs %7=#1:int\nsegment 0 from")
            .replace("snap 4 guard, pc 1,", "snap 4 guard, pc 9,");
        let text = inner
            + "snap 5 guard, pc 9, live 1\nsnap 6 guard, pc 10, live 1, slots #1=%8\nsnap 7 guard, pc 9, fuel 2, live 1, slots #1=%8\n";
        let fragment = fragment(&text).expect("a fragment");
        assert_eq!(fragment.headers, [HeaderId(1)]);
        assert_eq!(fragment.tree.segments.len(), 2);
        assert!(fragment.tree.to_string().contains("around header 1"), "{}", fragment.tree);
    }
}
