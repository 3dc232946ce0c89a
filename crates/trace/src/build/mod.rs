//! The builder: appends instructions to a tree while it is recorded, and leaves out those that are not needed.
//!
//! Four optimizations happen here, because the recorder then sees their results (a known shape needs no guard):
//!
//! * *folding*: operations on constants, and identities ([`fold`]);
//! * *common subexpressions*: a pure operation, or a guard, that the path has passed is not repeated;
//! * *narrowing*: floats that are integers are computed as such, where they are needed as such (`narrow`);
//! * *forwarding*: a load gives the value that was last loaded from or stored to the same place (`memory`).
//!
//! What is known holds along one path: from the header through the lineage of segments to the end of the open one. A
//! builder that continues a tree at a snapshot learns it by reading that path again.
//!
//! ```text
//! 0  slot #1 tab            t
//! 1  load shape 0           its shape
//! 2  eq 1 kptr(S)   snap 1  guard
//! 3  load slots 0
//! 4  ldprop 3 #2 int snap 1 t.x
//! 5  add 4 kint(1)
//! 6  stprop 3 #2 5          t.x = t.x + 1
//!    ldprop 3 #2            is 5, and needs no instruction
//! ```

pub mod fold;
mod memory;
mod narrow;
mod number;

use std::rc::Rc;

use self::memory::Memory;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ir::{
    Arg, Effects, End, ExitKind, Field, Format, Header, HeaderId, Helper, Inst, Op, Ref, ResultType, Segment,
    SegmentId, SnapId, Snapshot, Start, Tree, Ty,
};

/// A guard that cannot hold: what was recorded contradicts what is known. The recording is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

/// Two instructions with the same key compute the same.
type Key = (Op, Ty, [Ref; 3], u32, u64);

/// Room for the instructions of most recordings.
const ROOM: usize = 256;

/// Builds segments of a tree, one at a time.
#[derive(Debug, Default)]
pub struct Builder {
    tree: Tree,
    segment: Option<SegmentId>,
    header: Option<HeaderId>,
    consts: FxHashMap<(Op, Ty, u64), Ref>,
    /// By slot: the header's input for it, or none.
    inputs: Vec<Ref>,
    values: FxHashMap<Key, Ref>,
    passed: FxHashSet<(Op, [Ref; 3])>,
    /// Integers that instructions on the path know to be small: see `narrow`.
    small: FxHashSet<Ref>,
    memory: Memory,
    calls_out: bool,
    effects: u32,
}

impl Builder {
    /// Goes on with a copy of a tree.
    #[must_use]
    pub fn new(tree: &Tree) -> Builder {
        // Without room for more, the first instruction would have all of them copied once more.
        let mut insts = Vec::with_capacity(tree.insts.len() + ROOM);
        insts.extend_from_slice(&tree.insts);
        let (snapshots, headers, segments) = (tree.snapshots.clone(), tree.headers.clone(), tree.segments.clone());
        let mut builder = Builder { tree: Tree { insts, snapshots, headers, segments }, ..Builder::default() };
        builder.values.reserve(ROOM / 2);
        for (inst, at) in tree.insts.iter().zip(0..) {
            if inst.op.format() == Format::Const {
                builder.consts.insert((inst.op, inst.ty, inst.imm), Ref(at));
            }
        }
        builder
    }

    /// Adds a header with inputs of these types, and begins its segment.
    pub fn begin_at_header(
        &mut self,
        pc: u32,
        frames: Vec<crate::ir::InlinedFrame>,
        live: Vec<u32>,
        inputs: &[(u32, Ty)],
    ) -> HeaderId {
        let id = HeaderId(self.tree.headers.len() as u32);
        let snap = SnapId(self.tree.snapshots.len() as u32);
        let segment = SegmentId(self.tree.segments.len() as u32);
        self.tree.snapshots.push(Rc::new(Snapshot {
            segment,
            at: Ref(self.tree.insts.len() as u32),
            frames: frames.clone(),
            live: live.clone(),
            ..Snapshot::new(ExitKind::Guard, pc)
        }));
        self.tree.headers.push(Rc::new(Header::new(pc, frames, live, snap)));
        self.begin(Start::Header(id));
        for (slot, ty) in inputs {
            let _ = self.slot(*slot, *ty);
        }
        id
    }

    /// States where execution goes when a hoisted guard of a header fails.
    pub fn set_alternative(&mut self, of: HeaderId, alternative: HeaderId) {
        self.tree.header_mut(of).alternative = Some(alternative);
    }

    /// Begins a segment at a snapshot.
    pub fn begin_at_snapshot(&mut self, snap: SnapId) {
        self.begin(Start::Snapshot(snap));
    }

    fn begin(&mut self, start: Start) {
        let segment = SegmentId(self.tree.segments.len() as u32);
        let first = Ref(self.tree.insts.len() as u32);
        self.tree.segments.push(Segment::new(start, first));
        let header = self.tree.header_of(segment);
        self.segment = Some(segment);
        self.header = Some(header);
        self.inputs.clear();
        self.values.clear();
        self.passed.clear();
        self.small.clear();
        self.memory = Memory::default();
        self.calls_out = false;
        for n in 0..self.tree.header(header).inputs.len() {
            let input = self.tree.header(header).inputs[n];
            self.add_input(self.tree.inst(input).aux, input);
        }
        let line = self.tree.lineage(segment);
        for pair in line.windows(2) {
            let Start::Snapshot(start) = self.tree.segment(pair[1]).start else { continue };
            let until = self.tree.snapshot(start).at;
            let path: Vec<Ref> = self.tree.body(pair[0]).filter(|r| *r < until).collect();
            for r in path {
                self.note(r);
            }
        }
    }

    /// Remembers what is known once `r` has run.
    fn note(&mut self, r: Ref) {
        let inst = *self.tree.inst(r);
        let key = (inst.op, inst.ty, inst.args, inst.aux, inst.imm);
        match inst.op.format() {
            Format::Const | Format::Slot | Format::Place | Format::LoadPlace | Format::StorePlace => {}
            Format::CallOut => {
                self.memory = Memory::default();
                self.values.retain(|key, _| key.0 != Op::UpIsPlace);
                self.calls_out = true;
            }
            Format::CallFn => self.memory.called(),
            Format::Returned | Format::Gone => {}
            Format::Unary | Format::GuardUnary | Format::GuardPlace => {
                self.values.insert(key, r);
                if inst.op == Op::SmallToF {
                    self.small.insert(inst.a());
                }
            }
            Format::Binary => {
                if inst.op.is_pure() {
                    self.values.insert(key, r);
                }
                if inst.op == Op::Num && self.tree.inst(inst.a()).is_part() {
                    self.memory.loaded(self.tree.inst(inst.a()), r);
                }
            }
            // Whether a collector step is due changes with every allocation.
            Format::GuardNullary => {}
            Format::Guard => drop(self.passed.insert((inst.op, inst.args))),
            Format::Field => {
                if inst.field().is_some_and(Field::is_constant) {
                    self.values.insert(key, r);
                } else {
                    self.memory.loaded(&inst, r);
                }
            }
            Format::Ternary => drop(self.values.insert(key, r)),
            Format::Prop | Format::Elem | Format::Packed | Format::Up | Format::Mixed => {
                if !inst.is_part() {
                    self.memory.loaded(&inst, r);
                }
            }
            Format::StoreProp | Format::StoreElem | Format::StoreUp | Format::StoreField => {
                self.memory.stored(&self.tree, &inst);
            }
            Format::Call => {
                let Some(helper) = inst.helper() else { return };
                self.memory.clobbered(helper.effects());
                if helper.effects() == Effects::Closes {
                    self.values.retain(|key, _| !matches!(key.0, Op::UpIsPlace | Op::OffStack | Op::OffWritten));
                }
                if helper.effects() == Effects::Pure {
                    self.values.insert(key, r);
                }
                match helper {
                    Helper::NewRecord | Helper::NewTable => self.note_record(r, inst.a()),
                    Helper::AddProp => self.assume(Field::Shape, inst.a(), inst.b()),
                    _ => {}
                }
            }
        }
    }

    /// A table was made with a shape, and without a metatable.
    fn note_record(&mut self, table: Ref, shape: Ref) {
        self.assume(Field::Shape, table, shape);
        let null = self.pointer(0);
        self.assume(Field::Meta, table, null);
    }

    /// The tree so far.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The header that the open segment's path comes from.
    #[must_use]
    pub fn header(&self) -> Option<HeaderId> {
        self.header
    }

    /// How many instructions so far have changed something: between two equal counts, a path can be run again.
    #[must_use]
    pub fn effects(&self) -> u32 {
        self.effects
    }

    /// Whether the path from the header has called out of the tree.
    #[must_use]
    pub fn calls_out(&self) -> bool {
        self.calls_out
    }

    /// The type of a value.
    #[must_use]
    pub fn ty(&self, r: Ref) -> Ty {
        self.tree.ty(r)
    }

    fn push(&mut self, inst: Inst) -> Ref {
        self.effects += u32::from(inst.has_effect());
        let r = Ref(self.tree.insts.len() as u32);
        self.tree.insts.push(inst);
        self.note(r);
        r
    }

    fn constant(&mut self, op: Op, ty: Ty, imm: u64) -> Ref {
        if let Some(r) = self.consts.get(&(op, ty, imm)) {
            return *r;
        }
        let r = self.push(Inst { imm, ..Inst::new(op, ty) });
        self.consts.insert((op, ty, imm), r);
        r
    }

    /// An integer constant.
    pub fn int(&mut self, i: i64) -> Ref {
        self.constant(Op::KInt, Ty::Int, i as u64)
    }

    /// A float constant.
    pub fn float(&mut self, f: f64) -> Ref {
        self.constant(Op::KFloat, Ty::Float, f.to_bits())
    }

    /// Nil, false or true.
    pub fn primitive(&mut self, ty: Ty) -> Ref {
        debug_assert!(ty.is_primitive());
        self.constant(Op::KPrim, ty, 0)
    }

    /// An object that the tree's owner keeps alive.
    pub fn object(&mut self, ty: Ty, address: u64) -> Ref {
        debug_assert!(ty.is_object() || ty == Ty::Light);
        self.constant(Op::KObj, ty, address)
    }

    /// An address that is no Lua value.
    pub fn pointer(&mut self, address: u64) -> Ref {
        self.constant(Op::KPtr, Ty::Ptr, address)
    }

    /// The value of a stack slot at the header. `None` if the header knows the slot with another type.
    pub fn slot(&mut self, slot: u32, ty: Ty) -> Option<Ref> {
        if let Some(r) = self.input(slot) {
            return (self.tree.ty(r) == ty).then_some(r);
        }
        let header = self.header?;
        let r = self.push(Inst { aux: slot, imm: u64::from(header.0), ..Inst::new(Op::Slot, ty) });
        self.add_input(slot, r);
        let header = self.tree.header_mut(header);
        header.inputs.push(r);
        if let Err(at) = header.live.binary_search(&slot) {
            header.live.insert(at, slot);
        }
        Some(r)
    }

    /// The header's input for a slot.
    #[must_use]
    pub fn input(&self, slot: u32) -> Option<Ref> {
        self.inputs.get(slot as usize).copied().filter(|r| r.is_some())
    }

    fn add_input(&mut self, slot: u32, input: Ref) {
        let slots = self.inputs.len().max(slot as usize + 1);
        self.inputs.resize(slots, Ref::NONE);
        self.inputs[slot as usize] = input;
    }

    /// A pure operation.
    pub fn value(&mut self, op: Op, args: &[Ref]) -> Ref {
        debug_assert!(op.is_pure() && op.format() != Format::Const);
        if let (Op::Add | Op::Sub, [a, b]) = (op, args) {
            return self.sum(op, *a, *b);
        }
        let inst = self.shaped(op, args);
        self.unique(inst)
    }

    /// A sum or difference. Constants come last and are added, and constants that are added one after the other are added
    /// once: all of it wraps around, so that nothing changes. Then neighbouring elements have indices that differ in the
    /// constant alone.
    fn sum(&mut self, op: Op, a: Ref, b: Ref) -> Ref {
        let (mut base, mut constant) = match (op, self.tree.const_int(a), self.tree.const_int(b)) {
            (Op::Add, None, Some(n)) => (a, n),
            (Op::Add, Some(n), None) => (b, n),
            (Op::Sub, None, Some(n)) => (a, n.wrapping_neg()),
            _ => {
                let inst = self.shaped(op, &[a, b]);
                return self.unique(inst);
            }
        };
        let inner = *self.tree.inst(base);
        if inner.op == Op::Add
            && let Some(n) = self.tree.const_int(inner.b())
        {
            base = inner.a();
            constant = constant.wrapping_add(n);
        }
        if constant == 0 {
            return base;
        }
        let constant = self.int(constant);
        let inst = self.shaped(Op::Add, &[base, constant]);
        self.unique(inst)
    }

    /// An operation without result that checks nothing: a barrier.
    pub fn effect(&mut self, op: Op, args: &[Ref]) {
        debug_assert!(matches!(op, Op::Barrier | Op::BarrierUp));
        let inst = self.shaped(op, args);
        self.push(inst);
    }

    fn shaped(&self, op: Op, args: &[Ref]) -> Inst {
        let ty = match op.result() {
            ResultType::Is(ty) => ty,
            ResultType::Given | ResultType::OfField | ResultType::OfHelper => Ty::Void,
        };
        let mut inst = Inst::new(op, ty);
        inst.args[..args.len()].copy_from_slice(args);
        inst
    }

    /// `inst`, or what it folds to, or an earlier instruction with the same result.
    fn unique(&mut self, inst: Inst) -> Ref {
        match fold::fold(&self.tree, &inst) {
            fold::Folded::Int(i) => return self.int(i),
            fold::Folded::Float(f) => return self.float(f),
            fold::Folded::Same(r) => return r,
            fold::Folded::No => {}
        }
        let key = (inst.op, inst.ty, inst.args, inst.aux, inst.imm);
        match self.values.get(&key) {
            Some(r) => *r,
            None => self.push(inst),
        }
    }

    /// As [`Builder::float_to_int`], of a float that nothing is known of.
    fn convert(&mut self, a: Ref, snap: SnapId) -> Ref {
        let mut inst = self.shaped(Op::FToI, &[a]);
        inst.snap = Some(snap);
        match self.values.get(&(inst.op, inst.ty, inst.args, inst.aux, inst.imm)) {
            Some(r) => *r,
            None => match fold::fold(&self.tree, &inst) {
                fold::Folded::Int(i) => self.int(i),
                fold::Folded::Same(r) => r,
                fold::Folded::Float(_) | fold::Folded::No => self.push(inst),
            },
        }
    }

    /// Lets execution go on only if the condition holds.
    pub fn guard(&mut self, op: Op, args: &[Ref], snap: SnapId) -> Result<(), Contradiction> {
        let mut inst = self.shaped(op, args);
        inst.snap = Some(snap);
        match fold::decide(&self.tree, &inst) {
            Some(true) => return Ok(()),
            Some(false) => return Err(Contradiction),
            None => {}
        }
        if op.format() == Format::Guard && self.passed.contains(&(op, inst.args)) {
            return Ok(());
        }
        if op.format() == Format::GuardUnary
            && self.values.contains_key(&(inst.op, inst.ty, inst.args, inst.aux, inst.imm))
        {
            return Ok(());
        }
        self.push(inst);
        Ok(())
    }

    /// Lets execution go on only if the variable of an upvalue is a stack slot.
    pub fn up_is_place(&mut self, upvalue: Ref, slot: u32, snap: SnapId) {
        let inst = Inst { aux: slot, snap: Some(snap), ..self.shaped(Op::UpIsPlace, &[upvalue]) };
        if !self.values.contains_key(&(inst.op, inst.ty, inst.args, inst.aux, inst.imm)) {
            self.push(inst);
        }
    }

    /// The address of a stack slot.
    pub fn place(&mut self, slot: u32) -> Ref {
        self.push(Inst { aux: slot, ..Inst::new(Op::PlaceAddr, Ty::Ptr) })
    }

    /// The value in the place of a stack slot.
    pub fn load_place(&mut self, slot: u32, ty: Ty, snap: SnapId) -> Ref {
        self.push(Inst { aux: slot, snap: Some(snap), ..Inst::new(Op::LoadPlace, ty) })
    }

    /// Puts a value into the place of a stack slot.
    pub fn store_place(&mut self, slot: u32, value: Ref) {
        self.push(Inst { aux: slot, args: [value, Ref::NONE, Ref::NONE], ..Inst::new(Op::StorePlace, Ty::Void) });
    }

    /// A call of the native function in a slot, out of the tree, with `nargs` arguments for `nresults` results.
    pub fn call_out(&mut self, func: u32, nargs: u32, nresults: u32, snap: SnapId) {
        let imm = u64::from(nargs) | u64::from(nresults) << 32;
        self.push(Inst { aux: func, imm, snap: Some(snap), ..Inst::new(Op::CallOut, Ty::Void) });
    }

    /// A call of the compiled function in slot `func`, by the cell that has its code: how many results it has. `wanted` of
    /// them are needed, or all for -1.
    pub fn call_fn(&mut self, cell: Ref, func: u32, wanted: i32, snap: SnapId) -> Ref {
        let imm = i64::from(wanted) as u64;
        self.push(Inst { aux: func, imm, snap: Some(snap), ..self.shaped(Op::CallFn, &[cell]) })
    }

    /// Lets execution go on only if a call of the compiled function in slot `func` has had `count` results.
    pub fn returned(&mut self, call: Ref, func: u32, count: u32, snap: SnapId) {
        let inst = self.shaped(Op::Returned, &[call]);
        self.push(Inst { aux: func, imm: u64::from(count), snap: Some(snap), ..inst });
    }

    /// A field of an object.
    pub fn load(&mut self, field: Field, a: Ref) -> Ref {
        self.load_numbered(field, a, 0)
    }

    /// One of many fields of an object.
    pub fn load_numbered(&mut self, field: Field, a: Ref, number: u32) -> Ref {
        let mut inst = self.shaped(Op::Load, &[a]);
        inst.ty = field.ty();
        inst.imm = field as u64;
        inst.aux = number;
        if field.is_constant() {
            return self.unique(inst);
        }
        match self.memory.known(&inst) {
            Some(r) => r,
            None => self.push(inst),
        }
    }

    fn load_checked(&mut self, inst: Inst) -> Result<Ref, Contradiction> {
        match self.memory.known(&inst) {
            Some(r) if self.tree.ty(r) == inst.ty => Ok(r),
            Some(r) if self.tree.ty(r) == Ty::Num && matches!(inst.ty, Ty::Int | Ty::Float) => match inst.snap {
                Some(snap) => self.typed_number(r, inst.ty, snap),
                None => Err(Contradiction),
            },
            // All that is known is that it is not nil.
            Some(r) if self.tree.ty(r) == Ty::Void && inst.ty != Ty::Nil => Ok(self.push(inst)),
            Some(_) => Err(Contradiction),
            None => Ok(self.push(inst)),
        }
    }

    /// Property `n` behind the slots pointer of a table with a shape.
    pub fn load_prop(&mut self, slots: Ref, n: u32, shape: u64, ty: Ty, snap: SnapId) -> Result<Ref, Contradiction> {
        let inst = Inst {
            args: [slots, Ref::NONE, Ref::NONE],
            aux: n,
            imm: shape,
            snap: Some(snap),
            ..Inst::new(Op::LoadProp, ty)
        };
        self.load_checked(inst)
    }

    /// Element `n` (from 0) of an array part of whole values.
    pub fn load_elem(&mut self, array: Ref, n: Ref, ty: Ty, snap: SnapId) -> Result<Ref, Contradiction> {
        let inst = Inst { args: [array, n, Ref::NONE], snap: Some(snap), ..Inst::new(Op::LoadElem, ty) };
        self.load_checked(inst)
    }

    /// Element `n` (from 0) of a packed array part.
    pub fn load_packed(&mut self, array: Ref, n: Ref, ty: Ty) -> Result<Ref, Contradiction> {
        let inst = Inst { args: [array, n, Ref::NONE], ..Inst::new(Op::LoadPacked, ty) };
        self.load_checked(inst)
    }

    /// Element `n` (from 0) of an array part of booleans and nils.
    pub fn load_flag(&mut self, array: Ref, n: Ref, ty: Ty, snap: SnapId) -> Result<Ref, Contradiction> {
        debug_assert!(ty.is_primitive());
        let inst = Inst { args: [array, n, Ref::NONE], snap: Some(snap), ..Inst::new(Op::LoadFlag, ty) };
        self.load_checked(inst)
    }

    /// The variable at an address, which functions assign to or not.
    pub fn load_up(&mut self, place: Ref, ty: Ty, is_assigned: bool, snap: SnapId) -> Result<Ref, Contradiction> {
        let op = if is_assigned { Op::LoadUp } else { Op::LoadFixed };
        let inst = Inst { args: [place, Ref::NONE, Ref::NONE], snap: Some(snap), ..Inst::new(op, ty) };
        self.load_checked(inst)
    }

    /// Checks that property `n` behind the slots pointer of a table with a shape is not nil.
    pub fn has_prop(&mut self, slots: Ref, n: u32, shape: u64, snap: SnapId) -> Result<(), Contradiction> {
        self.present(Inst {
            args: [slots, Ref::NONE, Ref::NONE],
            aux: n,
            imm: shape,
            snap: Some(snap),
            ..Inst::new(Op::HasProp, Ty::Void)
        })
    }

    /// Checks that element `n` (from 0) of an array part of whole values is not nil.
    pub fn has_elem(&mut self, array: Ref, n: Ref, snap: SnapId) -> Result<(), Contradiction> {
        self.present(Inst { args: [array, n, Ref::NONE], snap: Some(snap), ..Inst::new(Op::HasElem, Ty::Void) })
    }

    fn present(&mut self, inst: Inst) -> Result<(), Contradiction> {
        match self.memory.known(&inst).map(|value| self.tree.ty(value)) {
            Some(Ty::Nil) => Err(Contradiction),
            Some(_) => Ok(()),
            None => {
                self.push(inst);
                Ok(())
            }
        }
    }

    /// Property `n` behind the slots pointer of a table with a shape becomes `value`.
    pub fn store_prop(&mut self, slots: Ref, n: u32, shape: u64, value: Ref) {
        let inst = Inst { args: [slots, value, Ref::NONE], aux: n, imm: shape, ..Inst::new(Op::StoreProp, Ty::Void) };
        self.push(inst);
    }

    /// Element `n` (from 0) of an array part of whole values becomes `value`.
    pub fn store_elem(&mut self, array: Ref, n: Ref, value: Ref) {
        self.push(Inst { args: [array, n, value], ..Inst::new(Op::StoreElem, Ty::Void) });
    }

    /// Element `n` (from 0) of a packed array part becomes `value`.
    pub fn store_packed(&mut self, array: Ref, n: Ref, value: Ref) {
        self.push(Inst { args: [array, n, value], ..Inst::new(Op::StorePacked, Ty::Void) });
    }

    /// Element `n` (from 0) of an array part of booleans and nils becomes `value`, a boolean.
    pub fn store_flag(&mut self, array: Ref, n: Ref, value: Ref) {
        debug_assert!(matches!(self.ty(value), Ty::False | Ty::True));
        self.push(Inst { args: [array, n, value], ..Inst::new(Op::StoreFlag, Ty::Void) });
    }

    /// The variable at an address becomes `value`.
    pub fn store_up(&mut self, place: Ref, value: Ref) {
        self.push(Inst { args: [place, value, Ref::NONE], ..Inst::new(Op::StoreUp, Ty::Void) });
    }

    /// A field of an object becomes `value`.
    pub fn store_field(&mut self, field: Field, object: Ref, value: Ref) {
        self.push(Inst { args: [object, value, Ref::NONE], imm: field as u64, ..Inst::new(Op::StoreField, Ty::Void) });
    }

    /// A call of a helper. `ty` is the expected type of a helper that returns any value, and is not looked at otherwise.
    pub fn call(&mut self, helper: Helper, args: &[Ref], ty: Ty, snap: Option<SnapId>) -> Ref {
        debug_assert_eq!(helper.args().len(), args.len());
        debug_assert!(!helper.can_fail() || snap.is_some());
        debug_assert!(helper.args().iter().zip(args).all(|(kind, arg)| match kind {
            Arg::Int => self.ty(*arg) == Ty::Int,
            Arg::Float => self.ty(*arg) == Ty::Float,
            Arg::Address => self.ty(*arg) as u8 >= Ty::Light as u8,
            Arg::Value => self.ty(*arg).is_value(),
        }));
        let mut inst = self.shaped(Op::Call, args);
        inst.ty = helper.result().unwrap_or(ty);
        inst.imm = helper as u64;
        inst.snap = snap.filter(|_| helper.can_fail());
        if helper.effects() == Effects::Pure { self.unique(inst) } else { self.push(inst) }
    }

    /// Gives a table that the open segment makes room for so many 8-byte elements, if it has less. False if it is no such
    /// table, or was not made with room for any.
    pub fn make_room(&mut self, table: Ref, elements: u32) -> bool {
        let first = self.segment.map(|id| self.tree.segment(id).first);
        let inst = self.tree.inst(table);
        let has = if inst.helper() == Some(Helper::NewTable) { self.tree.const_int(inst.b()) } else { None };
        let Some(has) = has.filter(|_| first.is_some_and(|first| first <= table)) else { return false };
        if has < i64::from(elements) {
            let room = self.int(i64::from(elements));
            self.tree.insts[table.index()].args[1] = room;
        }
        true
    }

    /// States that a field of an object has a value, which the caller has reason to know.
    pub fn assume(&mut self, field: Field, object: Ref, value: Ref) {
        let inst = Inst { args: [object, Ref::NONE, Ref::NONE], imm: field as u64, ..Inst::new(Op::Load, field.ty()) };
        self.memory.loaded(&inst, value);
    }

    /// Adds a snapshot of the state before the next instruction. Where on the path that is, the builder knows.
    pub fn snapshot(&mut self, state: Snapshot) -> SnapId {
        let id = SnapId(self.tree.snapshots.len() as u32);
        self.tree.snapshots.push(Rc::new(Snapshot {
            // Without an open segment there is no path to be the state of.
            segment: self.segment.unwrap_or(SegmentId(0)),
            at: Ref(self.tree.insts.len() as u32),
            calls_out: self.calls_out,
            ..state
        }));
        id
    }

    /// States that slots are in their places when execution leaves through a snapshot.
    pub fn keep_in_place(&mut self, snap: SnapId, slots: impl Iterator<Item = u32>) {
        self.tree.snapshot_mut(snap).in_place.extend(slots);
    }

    /// As [`Builder::call`], of a helper that pays fuel after the path has cost `fuel`.
    pub fn call_paying(&mut self, helper: Helper, args: &[Ref], fuel: u32) -> Ref {
        debug_assert!(helper.pays());
        let inst = Inst {
            ty: helper.result().unwrap_or(Ty::Void),
            imm: helper as u64,
            aux: fuel,
            ..self.shaped(Op::Call, args)
        };
        self.push(inst)
    }

    /// What is known of the properties of an object that has a shape: their numbers and values.
    #[must_use]
    pub fn known_props(&self, object: Ref, shape: u64) -> Vec<(u32, Ref)> {
        let load = Inst {
            args: [object, Ref::NONE, Ref::NONE],
            imm: Field::Slots as u64,
            ..Inst::new(Op::Load, Field::Slots.ty())
        };
        self.memory.known(&load).map_or(Vec::new(), |slots| self.memory.props(slots, shape))
    }

    /// States the value of a property, which the caller has reason to know.
    pub fn assume_prop(&mut self, slots: Ref, n: u32, shape: u64, value: Ref) {
        let inst = Inst {
            args: [slots, Ref::NONE, Ref::NONE],
            aux: n,
            imm: shape,
            ..Inst::new(Op::LoadProp, self.tree.ty(value))
        };
        self.memory.loaded(&inst, value);
    }

    /// Ends the open segment.
    pub fn end(&mut self, end: End, end_snap: Option<SnapId>) {
        let Some(open) = self.segment.take() else { return };
        let end_at = Ref(self.tree.insts.len() as u32);
        let segment = &mut self.tree.segments[open.index()];
        segment.end_at = end_at;
        segment.end = end;
        segment.end_snap = end_snap;
        segment.calls_out = self.calls_out;
    }

    /// Gives the tree back, whose segments are all ended.
    #[must_use]
    pub fn into_tree(self) -> Tree {
        self.tree
    }
}
