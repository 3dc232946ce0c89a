//! An evaluator of trees over a model of memory: what a tree means, without a machine.
//!
//! It serves tests. A tree must do the same before and after each pass, and machine code the same as the tree.
//!
//! # The model
//! Memory is addresses with cells behind them ([`Model`]): fields of objects, whole values, elements of eight bytes and of
//! one, bytes of strings. Stack slot `n` is the whole value at `stack + 16 * n`. Helpers other than those of numbers and strings are not
//! run: they reply what the model says, and are written down ([`Model::calls`]). Those that look for a key are called only
//! where the model has neither hash part nor shape of the table (see `lookup`).
//!
//! # What is compared
//! When execution leaves, all live slots are in their places in the model, whether or not the tree knew a place to hold the
//! value already. A hoisted guard may leave at a header before the path would have left further on; then the state must be
//! that of the same arrival at the header without hoisting, for which evaluation can be stopped after a number of arrivals.

mod lookup;

use std::collections::BTreeMap;

use perilune_base::num::{arith, convert};

use self::lookup::Found;
use crate::ir::{End, Field, HeaderId, Helper, Inst, Op, Range, Ref, Returns, SegmentId, SnapId, Start, Tree, Ty};

/// Bytes of a whole value.
pub const VALUE: u64 = 16;

/// A Lua value: its type is its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Val {
    /// The type.
    pub ty: Ty,
    /// The payload; 0 for nil, false and true.
    pub bits: u64,
}

impl Val {
    /// Nil.
    pub const NIL: Val = Val { ty: Ty::Nil, bits: 0 };

    /// An integer.
    #[must_use]
    pub const fn int(n: i64) -> Val {
        Val { ty: Ty::Int, bits: n as u64 }
    }

    /// A float.
    #[must_use]
    pub const fn float(x: f64) -> Val {
        Val { ty: Ty::Float, bits: x.to_bits() }
    }
}

/// What a helper replies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The result.
    pub result: u64,
    /// The payload that it leaves in the scratch place.
    pub scratch: u64,
}

/// The state that a tree works on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The address of slot 0.
    pub stack: u64,
    /// Fuel that is left.
    pub fuel: i64,
    /// Whether a collector step is due.
    pub collects: bool,
    /// Fields of objects, by the object's address; the number tells many of one kind apart.
    pub fields: BTreeMap<(u64, Field, u32), u64>,
    /// Whole values by address: slots, properties, elements, variables of upvalues.
    pub values: BTreeMap<u64, Val>,
    /// Packed elements by address.
    pub packed: BTreeMap<u64, u64>,
    /// Booleans and nils that are elements of one byte, by address.
    pub flags: BTreeMap<u64, Ty>,
    /// The bytes of strings.
    pub bytes: BTreeMap<u64, Vec<u8>>,
    /// Entries of hash parts: the value of a key, by the table's address and the key. Of tables that have any, all are here.
    pub entries: BTreeMap<(u64, Ty, u64), Val>,
    /// The keys of shapes, in the order of their slots.
    pub shapes: BTreeMap<u64, Vec<u64>>,
    /// Free cells for records, by the number of properties that they have room for: those in front are taken first.
    pub cells: BTreeMap<u64, Vec<u64>>,
    /// The cells that were taken, with that number.
    pub made: Vec<(u64, u64)>,
    /// What helpers reply; those that are not here fail, or are computed.
    pub replies: BTreeMap<Helper, Reply>,
    /// The helpers that were called, with their machine operands.
    pub calls: Vec<(Helper, Vec<u64>)>,
}

impl Model {
    /// The address of a slot.
    #[must_use]
    pub const fn place(&self, slot: u32) -> u64 {
        self.stack + slot as u64 * VALUE
    }

    /// The value in the place of a slot.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Val {
        self.value_at(self.place(slot))
    }

    /// Puts a value into the place of a slot.
    pub fn set_slot(&mut self, slot: u32, value: Val) {
        self.values.insert(self.place(slot), value);
    }

    /// Whether slots have the same values as those of another model, where tables are the same that have the same shapes,
    /// metatables, properties and elements: it does not matter which cells they are in, nor how many were made for nothing.
    #[must_use]
    pub fn looks_like(&self, other: &Model, slots: u32) -> bool {
        let mut met = BTreeMap::new();
        self.fuel == other.fuel
            && (0..slots).all(|slot| self.is_same(self.slot(slot), other, other.slot(slot), &mut met))
    }

    fn is_same(&self, value: Val, other: &Model, there: Val, met: &mut BTreeMap<u64, u64>) -> bool {
        let made = |model: &Model, at: u64| {
            let is_list = model.replies.get(&Helper::NewTable).is_some_and(|list| list.result == at);
            let record = model.made.iter().find(|(_, cell)| *cell == at).map(|(n, _)| *n);
            record.or(is_list.then_some(0))
        };
        let (Some(n), Some(m)) = (made(self, value.bits), made(other, there.bits)) else { return value == there };
        if let Some(known) = met.insert(value.bits, there.bits) {
            return known == there.bits;
        }
        let field = |model: &Model, at: u64, field| model.fields.get(&(at, field, 0)).copied();
        let is_field_same = |name| field(self, value.bits, name) == field(other, there.bits, name);
        let property = |model: &Model, at: u64, k: u64| {
            model.value_at(field(model, at, Field::Slots).unwrap_or_default() + k * VALUE)
        };
        n == m
            && value.ty == there.ty
            && is_field_same(Field::Shape)
            && is_field_same(Field::Meta)
            && (0..n).all(|k| self.is_same(property(self, value.bits, k), other, property(other, there.bits, k), met))
            && is_field_same(Field::Len)
            && self.elements(value.bits).zip(other.elements(there.bits)).all(|(x, y)| self.is_same(x, other, y, met))
    }

    /// The elements of a table.
    fn elements(&self, table: u64) -> impl Iterator<Item = Val> + '_ {
        let [kind, array, len] = [Field::Kind, Field::Array, Field::Len]
            .map(|field| self.fields.get(&(table, field, 0)).copied().unwrap_or_default());
        (0..len).map(move |n| match u8::try_from(kind).ok().and_then(Ty::of_tag) {
            Some(ty) => Val { ty, bits: self.packed.get(&(array + n * 8)).copied().unwrap_or_default() },
            None => self.value_at(array + n * VALUE),
        })
    }

    /// An empty table in the next free cell with room for `n` properties. Where its slots are, the model says already.
    fn take_cell(&mut self, n: u64, shape: u64) -> Option<u64> {
        let free = self.cells.get_mut(&n).filter(|free| !free.is_empty())?;
        let cell = free.remove(0);
        self.made.push((n, cell));
        let nothing = [Field::Meta, Field::Array, Field::Hash, Field::Len, Field::Cap].map(|field| (field, 0));
        let fields = nothing.into_iter().chain([(Field::Shape, shape), (Field::Kind, Ty::Int as u64)]);
        self.fields.extend(fields.map(|(field, value)| ((cell, field, 0), value)));
        Some(cell)
    }

    fn value_at(&self, address: u64) -> Val {
        self.values.get(&address).copied().unwrap_or(Val::NIL)
    }
}

/// How an evaluation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It left through a snapshot.
    Left(SnapId),
    /// The function has returned so many results.
    Returned(u32),
    /// The header's inputs had other types.
    Mismatch,
    /// The given number of arrivals was reached; the state is that of the header.
    Stopped(HeaderId),
    /// There is no meaning: memory that the model has not, an operation that needs a VM, a tree that is wrong.
    Undefined(Ref),
}

/// An evaluation of a tree.
#[derive(Debug)]
pub struct Eval<'a> {
    tree: &'a Tree,
    model: &'a mut Model,
    values: Vec<u64>,
    /// By header: whether its hoisted instructions have run for the present round.
    is_ready: Vec<bool>,
    fuel: i64,
    arrivals: u64,
    most_arrivals: u64,
}

/// Execution goes on elsewhere than at the next instruction.
enum Leave {
    Through(SnapId),
    Nowhere(Ref),
}

/// What follows a segment, or a way into a header.
enum Next {
    Segment(SegmentId),
    Done(Outcome),
}

/// Evaluates a tree from a header on, at most to the arrival number `most_arrivals` at headers (the entry is the first).
/// Gives the outcome, and the number of arrivals.
pub fn run(tree: &Tree, model: &mut Model, header: HeaderId, most_arrivals: u64) -> (Outcome, u64) {
    let mut eval = Eval {
        tree,
        values: vec![0; tree.insts.len()],
        is_ready: vec![false; tree.headers.len()],
        fuel: model.fuel,
        model,
        arrivals: 0,
        most_arrivals,
    };
    for (at, inst) in tree.insts.iter().enumerate() {
        if tree.is_const(Ref(at as u32)) {
            eval.values[at] = inst.imm;
        }
    }
    let mut next = eval.enter(header);
    loop {
        match next {
            Next::Segment(id) => next = eval.segment(id),
            Next::Done(outcome) => return (outcome, eval.arrivals),
        }
    }
}

impl Eval<'_> {
    /// Comes from outside: inputs are in their places.
    fn enter(&mut self, header: HeaderId) -> Next {
        match self.inputs_from(header, |_| None) {
            Some(inputs) => self.arrive(header, false, &inputs, 0),
            None => Next::Done(Outcome::Mismatch),
        }
    }

    /// The inputs of a header: what `carried` has, or else what is in their places. `None` if a type is another one.
    fn inputs_from(&self, header: HeaderId, carried: impl Fn(u32) -> Option<Val>) -> Option<Vec<u64>> {
        let inputs = self.tree.header(header).inputs.iter();
        inputs
            .map(|r| {
                let inst = self.tree.inst(*r);
                let value = carried(inst.aux).unwrap_or_else(|| self.model.slot(inst.aux));
                (value.ty == inst.ty).then_some(value.bits)
            })
            .collect()
    }

    fn val(&self, r: Ref) -> Val {
        let inst = self.tree.inst(r);
        if inst.op == Op::Num {
            let ty = if self.values[inst.b().index()] == Ty::Int as u64 { Ty::Int } else { Ty::Float };
            return Val { ty, bits: self.values[inst.a().index()] };
        }
        Val { ty: self.tree.ty(r), bits: self.values[r.index()] }
    }

    fn arrive(&mut self, to: HeaderId, around: bool, inputs: &[u64], cost: u32) -> Next {
        self.fuel -= i64::from(cost);
        self.arrivals += 1;
        let header = self.tree.header(to);
        for (r, value) in header.inputs.iter().zip(inputs) {
            self.values[r.index()] = *value;
        }
        if self.arrivals >= self.most_arrivals {
            self.materialize(header.snap);
            return Next::Done(Outcome::Stopped(to));
        }
        if self.fuel < i64::from(self.tree.most_fuel()) {
            return self.leave(header.snap);
        }
        if !(around && self.is_ready[to.index()]) {
            self.forget_copies(to);
            let hoisted = &self.tree.header(to).hoisted;
            for r in hoisted {
                match self.inst(*r) {
                    Ok(()) => {}
                    Err(Leave::Nowhere(r)) => return Next::Done(Outcome::Undefined(r)),
                    Err(Leave::Through(_)) => return self.fail_hoisted(to),
                }
            }
            let header = self.tree.header(to);
            let are_equal = header.copies.iter().all(|(a, b)| self.values[a.index()] == self.values[b.index()]);
            if !are_equal || !header.ranges.iter().all(|range| self.is_inside(range)) {
                return self.fail_hoisted(to);
            }
            self.is_ready[to.index()] = true;
        }
        match self.tree.starting(Start::Header(to)) {
            Some(segment) => Next::Segment(segment),
            None => Next::Done(Outcome::Undefined(Ref::NONE)),
        }
    }

    /// Whether all rounds of a loop stay within the bounds of an array.
    fn is_inside(&self, range: &Range) -> bool {
        let [variable, index, step, count, len] =
            [range.variable, range.index, range.step, range.count, range.len].map(|r| self.values[r.index()]);
        let falls = self.tree.const_int(range.step).is_some_and(|step| step < 0);
        let step = if falls { step.wrapping_neg() } else { step };
        let distance = count.wrapping_mul(step);
        let (first, last) = if falls {
            let last = variable.wrapping_sub(distance).wrapping_add_signed(range.offsets.0);
            (variable.wrapping_add_signed(range.offsets.1), last)
        } else {
            let last = variable.wrapping_add(distance).wrapping_add_signed(range.offsets.1);
            (variable.wrapping_add_signed(range.offsets.0), last)
        };
        let is_bounded = step.wrapping_sub(1) < len && count < len && distance < len;
        is_bounded && variable == index && first < len && last < len
    }

    /// Copies of a loop may change what the others have hoisted.
    fn forget_copies(&mut self, id: HeaderId) {
        let here = self.tree.header(id);
        for other in self.tree.header_ids() {
            let there = self.tree.header(other);
            if there.pc == here.pc && there.frames == here.frames {
                self.is_ready[other.index()] = false;
            }
        }
    }

    /// A hoisted guard has failed: to the alternative, or out at the header.
    fn fail_hoisted(&mut self, id: HeaderId) -> Next {
        let header = self.tree.header(id);
        let Some(to) = header.alternative else { return self.leave(header.snap) };
        self.materialize(header.snap);
        let carried = |slot| self.tree.input(id, slot).map(|r| self.val(r));
        match self.inputs_from(to, carried) {
            Some(inputs) => {
                self.arrivals -= 1;
                self.arrive(to, false, &inputs, 0)
            }
            None => self.leave(header.snap),
        }
    }

    fn segment(&mut self, id: SegmentId) -> Next {
        let tree = self.tree;
        let header = tree.header(tree.header_of(id));
        let is_done =
            |r: Ref| header.hoisted.contains(&r) || header.ranges.iter().any(|range| range.checks.contains(&r));
        for r in tree.body(id) {
            if is_done(r) {
                continue;
            }
            match self.inst(r) {
                Ok(()) => {}
                Err(Leave::Nowhere(r)) => return Next::Done(Outcome::Undefined(r)),
                Err(Leave::Through(snap)) if tree.segment(id).prologue.contains(&r.0) => return self.leave(snap),
                Err(Leave::Through(snap)) => {
                    return match tree.continuation(snap) {
                        Some(next) => Next::Segment(next),
                        None => self.leave(snap),
                    };
                }
            }
        }
        let segment = tree.segment(id);
        match (segment.end, segment.end_snap) {
            (End::Around(to), Some(snap)) => self.edge(to, true, snap),
            (End::Enter(to), Some(snap)) => self.edge(to, false, snap),
            (End::Exit(snap), _) => self.leave(snap),
            (End::Return(snap, count), _) => {
                self.model.fuel = self.fuel - i64::from(tree.snapshot(snap).fuel);
                Next::Done(Outcome::Returned(count))
            }
            // What is called is not part of the tree.
            (End::Tail(_, cell), _) => Next::Done(Outcome::Undefined(cell)),
            (End::Around(_) | End::Enter(_) | End::Open, _) => Next::Done(Outcome::Undefined(Ref::NONE)),
        }
    }

    fn edge(&mut self, to: HeaderId, around: bool, snap: SnapId) -> Next {
        let snapshot = self.tree.snapshot(snap);
        let from = self.tree.header_of(snapshot.segment);
        let carried = |slot| {
            let written = snapshot.slots.iter().find(|written| written.slot == slot).map(|written| written.value);
            written.or(if snapshot.calls_out { None } else { self.tree.input(from, slot) }).map(|r| self.val(r))
        };
        let Some(inputs) = self.inputs_from(to, carried) else { return self.leave(snap) };
        // Slots without an input at the header travel in their places.
        let live = &self.tree.header(to).live;
        let stored: Vec<(u32, Val)> = live
            .iter()
            .filter(|slot| self.tree.input(to, **slot).is_none())
            .filter_map(|slot| carried(*slot).map(|value| (*slot, value)))
            .collect();
        let cost = snapshot.fuel;
        let is_short = self.fuel - i64::from(cost) < i64::from(self.tree.most_fuel());
        if around && is_short && self.tree.header(to).counted.is_some() {
            self.arrivals += 1;
            return self.leave(snap);
        }
        for (slot, value) in stored {
            self.model.set_slot(slot, value);
        }
        self.arrive(to, around, &inputs, cost)
    }

    /// Puts the state of a snapshot into the model.
    fn materialize(&mut self, snap: SnapId) {
        self.make_sunk(snap);
        let snapshot = self.tree.snapshot(snap);
        let header = self.tree.header_of(snapshot.segment);
        let written: Vec<(u32, Val)> = snapshot.slots.iter().map(|slot| (slot.slot, self.val(slot.value))).collect();
        if !snapshot.calls_out {
            for slot in &snapshot.live {
                if !snapshot.in_place.contains(slot)
                    && let Some(input) = self.tree.input(header, *slot)
                {
                    self.model.set_slot(*slot, self.val(input));
                }
            }
        }
        for (slot, value) in written {
            self.model.set_slot(slot, value);
        }
        self.model.fuel = self.fuel - i64::from(snapshot.fuel);
    }

    /// Makes the sunk tables of a snapshot, for which there are cells. Elements are whole values behind the properties there.
    fn make_sunk(&mut self, snap: SnapId) {
        let recipes = &self.tree.snapshot(snap).sunk;
        for recipe in recipes {
            let [shape, meta] = [recipe.shape, recipe.meta].map(|r| self.values[r.index()]);
            let cell = self.model.take_cell(recipe.fields.len() as u64, shape).unwrap_or_default();
            self.model.fields.insert((cell, Field::Meta, 0), meta);
            self.values[recipe.object.index()] = cell;
        }
        for recipe in recipes {
            let cell = self.values[recipe.object.index()];
            let slots = self.model.fields.get(&(cell, Field::Slots, 0)).copied().unwrap_or_default();
            for (n, field) in recipe.fields.iter().enumerate() {
                self.store_value(slots + n as u64 * VALUE, *field);
            }
            let array = slots + recipe.fields.len() as u64 * VALUE;
            for (n, element) in recipe.elements.iter().enumerate() {
                self.store_value(array + n as u64 * VALUE, *element);
            }
            if !recipe.elements.is_empty() {
                let len = recipe.elements.len() as u64;
                let fields =
                    [(Field::Array, array), (Field::Kind, lookup::WHOLE), (Field::Len, len), (Field::Cap, len)];
                self.model.fields.extend(fields.map(|(field, value)| ((cell, field, 0), value)));
            }
        }
    }

    fn leave(&mut self, snap: SnapId) -> Next {
        self.materialize(snap);
        Next::Done(Outcome::Left(snap))
    }

    // Instructions.

    fn inst(&mut self, r: Ref) -> Result<(), Leave> {
        let inst = *self.tree.inst(r);
        let bits = |r: Ref| if r.is_some() { self.values[r.index()] } else { 0 };
        let (a, b) = (bits(inst.a()), bits(inst.b()));
        if let Some(result) = pure(&inst, a, b) {
            self.values[r.index()] = result.ok_or(Leave::Nowhere(r))?;
            return Ok(());
        }
        if let Some(holds) = condition(inst.op, a, b) {
            return self.check(&inst, r, holds);
        }
        match inst.op {
            Op::FToI => {
                let n = convert::float_to_int(f64::from_bits(a));
                self.values[r.index()] = n.unwrap_or_default() as u64;
                self.check(&inst, r, n.is_some())
            }
            Op::NSel => {
                self.values[r.index()] = if a == Ty::Int as u64 { b } else { bits(inst.c()) };
                Ok(())
            }
            Op::Sunk | Op::Gone => Ok(()),
            Op::Fuel => self.check(&inst, r, self.fuel >= i64::from(self.tree.most_fuel())),
            Op::NoCollect => self.check(&inst, r, !self.model.collects),
            Op::Call => self.call(r, &inst),
            _ => self.memory(r, &inst, a, b),
        }
    }

    fn check(&self, inst: &Inst, r: Ref, holds: bool) -> Result<(), Leave> {
        match inst.snap {
            _ if holds => Ok(()),
            Some(snap) => Err(Leave::Through(snap)),
            None => Err(Leave::Nowhere(r)),
        }
    }

    fn memory(&mut self, r: Ref, inst: &Inst, a: u64, b: u64) -> Result<(), Leave> {
        let nowhere = Leave::Nowhere(r);
        match inst.op {
            Op::Load => {
                let key = (a, inst.field().ok_or(Leave::Nowhere(r))?, inst.aux);
                self.values[r.index()] = *self.model.fields.get(&key).ok_or(nowhere)?;
            }
            Op::StoreField => {
                let key = (a, inst.field().ok_or(nowhere)?, inst.aux);
                self.model.fields.insert(key, b);
            }
            Op::LoadProp => return self.load_value(r, inst, a + u64::from(inst.aux) * VALUE),
            Op::LoadElem => return self.load_value(r, inst, a.wrapping_add(b.wrapping_mul(VALUE))),
            Op::LoadUp | Op::LoadFixed => return self.load_value(r, inst, a),
            Op::TagProp | Op::RawProp => return self.load_part(r, inst, a + u64::from(inst.aux) * VALUE),
            Op::TagElem | Op::RawElem => return self.load_part(r, inst, a.wrapping_add(b.wrapping_mul(VALUE))),
            Op::TagUp | Op::RawUp => return self.load_part(r, inst, a),
            Op::TagMixed => return self.load_mixed(r, inst, inst),
            Op::RawMixed => {
                let tag = *self.tree.inst(inst.a());
                return self.load_mixed(r, inst, &tag);
            }
            Op::LoadPlace => return self.load_value(r, inst, self.model.place(inst.aux)),
            Op::HasProp => {
                let value = self.model.value_at(a + u64::from(inst.aux) * VALUE);
                return self.check(inst, r, value.ty != Ty::Nil);
            }
            Op::HasElem => {
                let value = self.model.value_at(a.wrapping_add(b.wrapping_mul(VALUE)));
                return self.check(inst, r, value.ty != Ty::Nil);
            }
            Op::LoadPacked => {
                let address = a.wrapping_add(b.wrapping_mul(8));
                self.values[r.index()] = *self.model.packed.get(&address).ok_or(nowhere)?;
            }
            Op::LoadFlag => {
                let ty = *self.model.flags.get(&a.wrapping_add(b)).ok_or(nowhere)?;
                return self.check(inst, r, ty == inst.ty);
            }
            Op::LoadByte => {
                let byte = self.model.bytes.get(&a).and_then(|bytes| bytes.get(b as usize));
                self.values[r.index()] = u64::from(*byte.ok_or(nowhere)?);
            }
            Op::StoreProp => self.store_value(a + u64::from(inst.aux) * VALUE, inst.b()),
            Op::StoreElem => self.store_value(a.wrapping_add(b.wrapping_mul(VALUE)), inst.c()),
            Op::StoreUp => self.store_value(a, inst.b()),
            Op::StorePlace => self.store_value(self.model.place(inst.aux), inst.a()),
            Op::StorePacked => {
                let value = self.values[inst.c().index()];
                self.model.packed.insert(a.wrapping_add(b.wrapping_mul(8)), value);
            }
            Op::StoreFlag => drop(self.model.flags.insert(a.wrapping_add(b), self.tree.ty(inst.c()))),
            Op::PlaceAddr => self.values[r.index()] = self.model.place(inst.aux),
            Op::UpIsPlace => {
                let at = self.model.fields.get(&(a, Field::UpSlot, 0)).copied().ok_or(nowhere)?;
                return self.check(inst, r, at == self.model.place(inst.aux));
            }
            Op::OffStack | Op::OffWritten => {
                let end = self.model.place(self.tree.slots_end());
                let first = if inst.op == Op::OffStack { 0 } else { self.tree.first_written() };
                return self.check(inst, r, !(self.model.place(first)..end).contains(&a));
            }
            // They are for the collector, which the model has not.
            Op::Barrier | Op::BarrierUp => {}
            // Needs a VM; the rest is handled elsewhere.
            _ => return Err(nowhere),
        }
        Ok(())
    }

    fn load_value(&mut self, r: Ref, inst: &Inst, address: u64) -> Result<(), Leave> {
        let value = self.model.value_at(address);
        self.check(inst, r, value.ty == inst.ty)?;
        self.values[r.index()] = value.bits;
        Ok(())
    }

    /// Tag or payload of a number.
    fn load_part(&mut self, r: Ref, inst: &Inst, address: u64) -> Result<(), Leave> {
        let value = self.model.value_at(address);
        self.take_part(r, inst, value)
    }

    fn take_part(&mut self, r: Ref, inst: &Inst, value: Val) -> Result<(), Leave> {
        let is_tag = matches!(inst.op, Op::TagProp | Op::TagElem | Op::TagUp | Op::TagMixed);
        self.check(inst, r, !is_tag || matches!(value.ty, Ty::Int | Ty::Float))?;
        self.values[r.index()] = if is_tag { value.ty as u64 } else { value.bits };
        Ok(())
    }

    /// Tag or payload of an element that `load` names, whatever the element kind.
    fn load_mixed(&mut self, r: Ref, inst: &Inst, load: &Inst) -> Result<(), Leave> {
        let [array, n, table] = load.args.map(|r| self.values[r.index()]);
        let kind = self.model.fields.get(&(table, Field::Kind, 0)).copied().ok_or(Leave::Nowhere(r))?;
        let packed = || self.model.packed.get(&array.wrapping_add(n.wrapping_mul(8))).copied();
        let value = match (kind, packed()) {
            (3, Some(bits)) => Val { ty: Ty::Int, bits },
            (4, Some(bits)) => Val { ty: Ty::Float, bits },
            (lookup::WHOLE, _) => self.model.value_at(array.wrapping_add(n.wrapping_mul(VALUE))),
            _ => Val::NIL,
        };
        self.take_part(r, inst, value)
    }

    fn store_value(&mut self, address: u64, r: Ref) {
        let value = self.val(r);
        self.model.values.insert(address, value);
    }

    fn call(&mut self, r: Ref, inst: &Inst) -> Result<(), Leave> {
        let helper = inst.helper().ok_or(Leave::Nowhere(r))?;
        match self.look_up(helper, inst) {
            Found::Value(value) => {
                self.check(inst, r, value.ty == inst.ty)?;
                self.values[r.index()] = value.bits;
                return Ok(());
            }
            Found::Replaced => return Ok(()),
            Found::Unknown => {}
        }
        if helper == Helper::NewRecord
            && let Some(made) = self.model.take_cell(self.values[inst.b().index()], self.values[inst.a().index()])
        {
            self.values[r.index()] = made;
            return Ok(());
        }
        if helper == Helper::NextPair
            && let Some(has_pair) = self.next_pair(inst)
        {
            self.values[r.index()] = u64::from(has_pair);
            return Ok(());
        }
        let mut operands = Vec::new();
        for (kind, operand) in helper.args().iter().zip(inst.args) {
            let value = self.val(operand);
            operands.push(value.bits);
            if *kind == crate::ir::Arg::Value {
                operands.push(value.ty as u64);
            }
        }
        let reply = match self.model.replies.get(&helper) {
            Some(reply) => *reply,
            None => self.compute(helper, &operands).unwrap_or_default(),
        };
        self.model.calls.push((helper, operands));
        self.values[r.index()] = reply.result;
        match helper.returns() {
            Returns::Nothing | Returns::Plain(_) => Ok(()),
            Returns::OrNull(_) | Returns::Success => self.check(inst, r, reply.result != 0),
            Returns::Value => {
                self.check(inst, r, reply.result == inst.ty as u64)?;
                self.values[r.index()] = if inst.ty.is_primitive() { 0 } else { reply.scratch };
                Ok(())
            }
        }
    }

    /// What a helper of numbers or strings gives.
    fn compute(&self, helper: Helper, operands: &[u64]) -> Option<Reply> {
        let x = |n: usize| f64::from_bits(operands.get(n).copied().unwrap_or_default());
        let bytes = |n: usize| operands.get(n).and_then(|address| self.model.bytes.get(address));
        let float = |x: f64| Some(Reply { result: x.to_bits(), scratch: 0 });
        match helper {
            Helper::Pow => float(arith::pow(x(0), x(1))),
            Helper::FMod => float(arith::float_mod(x(0), x(1))),
            Helper::FRem => float(x(0) % x(1)),
            Helper::Sin => float(x(0).sin()),
            Helper::Cos => float(x(0).cos()),
            Helper::Tan => float(x(0).tan()),
            Helper::Exp => float(x(0).exp()),
            Helper::Log => float(x(0).ln()),
            Helper::StrCompare => Some(Reply { result: bytes(0)?.cmp(bytes(1)?) as i64 as u64, scratch: 0 }),
            Helper::StrEq => Some(Reply { result: u64::from(bytes(0)? == bytes(1)?), scratch: 0 }),
            _ => None,
        }
    }
}

/// The result of a pure operation on numbers: none if `inst` is something else, `Some(None)` if it has no result.
fn pure(inst: &Inst, a: u64, b: u64) -> Option<Option<u64>> {
    let (i, j) = (a as i64, b as i64);
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    let int = |n: i64| Some(Some(n as u64));
    let float = |x: f64| Some(Some(x.to_bits()));
    match inst.op {
        Op::Add => int(i.wrapping_add(j)),
        Op::Sub => int(i.wrapping_sub(j)),
        Op::Mul => int(i.wrapping_mul(j)),
        Op::IDiv => Some(arith::int_idiv(i, j).map(|n| n as u64)),
        Op::Mod => Some(arith::int_mod(i, j).map(|n| n as u64)),
        Op::And => int(i & j),
        Op::Or => int(i | j),
        Op::Xor => int(i ^ j),
        Op::Shl => int(arith::shift_left(i, j)),
        Op::Shr => int(arith::shift_right(i, j)),
        Op::Sar => int(i >> (j & 63)),
        Op::IMax => int(i.max(j)),
        Op::IMin => int(i.min(j)),
        Op::Neg => int(i.wrapping_neg()),
        Op::Not => int(!i),
        Op::FAdd => float(x + y),
        Op::FSub => float(x - y),
        Op::FMul => float(x * y),
        Op::FDiv => float(x / y),
        Op::FMax => float(if x < y { y } else { x }),
        Op::FMin => float(if y < x { y } else { x }),
        Op::FNeg => float(-x),
        Op::FAbs => float(x.abs()),
        Op::FSqrt => float(x.sqrt()),
        Op::FFloor => float(x.floor()),
        Op::FCeil => float(x.ceil()),
        Op::IToF | Op::SmallToF => float(i as f64),
        Op::AsTable | Op::AsFloat => Some(Some(a)),
        // Whoever takes it looks at its parts.
        Op::Num => Some(Some(0)),
        Op::NToF if b == Ty::Int as u64 => float(i as f64),
        Op::NToF => Some(Some(a)),
        _ => None,
    }
}

/// Whether the condition of a guard on two values holds; none if the operation is something else.
fn condition(op: Op, a: u64, b: u64) -> Option<bool> {
    let (i, j) = (a as i64, b as i64);
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    Some(match op {
        Op::Eq => i == j,
        Op::Ne => i != j,
        Op::Lt => i < j,
        Op::Le => i <= j,
        Op::Gt => i > j,
        Op::Ge => i >= j,
        Op::Below => a < b,
        Op::NotBelow => a >= b,
        Op::FEq => x == y,
        Op::FNe => x != y,
        Op::FLt => x < y,
        Op::FLe => x <= y,
        Op::FNotLt => x.partial_cmp(&y) != Some(std::cmp::Ordering::Less),
        Op::FNotLe => matches!(x.partial_cmp(&y), None | Some(std::cmp::Ordering::Greater)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Model, Outcome, Val, run};
    use crate::ir::{HeaderId, SnapId, Tree, Ty};

    /// `for i = i, 10 do s = s + i end`
    const SUM: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int
segment 0 from header 0
  %2 = add %1 %0 int
  %3 = add %0 1 int
  %4 le %3 10 -> snap 1
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 5, slots #1=%3 #2=%2
snap 2 guard, pc 1, slots #1=%3 #2=%2, fuel 2
";

    fn tree(text: &str) -> Tree {
        text.parse().unwrap_or_else(|why| panic!("{why}"))
    }

    fn model(fuel: i64) -> Model {
        let mut model = Model { stack: 0x1000, fuel, ..Model::default() };
        model.set_slot(1, Val::int(1));
        model.set_slot(2, Val::int(0));
        model
    }

    #[test]
    fn a_loop_goes_round_until_its_guard_fails() {
        let mut m = model(1000);
        let (outcome, arrivals) = run(&tree(SUM), &mut m, HeaderId::ROOT, u64::MAX);
        assert_eq!((outcome, arrivals), (Outcome::Left(SnapId(1)), 10));
        assert_eq!((m.slot(1), m.slot(2)), (Val::int(11), Val::int(55)));
        assert_eq!(m.fuel, 1000 - 9 * 2);
    }

    #[test]
    fn fuel_and_arrivals_end_it_at_the_header() {
        let mut m = model(7);
        assert_eq!(run(&tree(SUM), &mut m, HeaderId::ROOT, u64::MAX), (Outcome::Left(SnapId(0)), 4));
        assert_eq!((m.slot(1), m.slot(2), m.fuel), (Val::int(4), Val::int(6), 1));
        let mut m = model(100);
        assert_eq!(run(&tree(SUM), &mut m, HeaderId::ROOT, 3), (Outcome::Stopped(HeaderId::ROOT), 3));
        assert_eq!((m.slot(1), m.slot(2)), (Val::int(3), Val::int(3)));
    }

    #[test]
    fn other_types_do_not_enter() {
        let mut m = model(100);
        m.set_slot(2, Val::float(0.5));
        assert_eq!(run(&tree(SUM), &mut m, HeaderId::ROOT, u64::MAX).0, Outcome::Mismatch);
        assert_eq!(m.slot(2).ty, Ty::Float);
    }
}
