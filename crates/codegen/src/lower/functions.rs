//! Calls of compiled functions, and what is special about the code of such: how it is entered, and how it returns.
//!
//! The trace IR has a call's arguments and results in their places on the stack:
//!
//! ```text
//! %9    stplace lfn@7 #4
//! %10   stplace %8 #5
//! %11 = callfn ptr@12 #4 to 1 -> snap 6
//! %13 = ldplace #4 int -> snap 7
//! ```
//!
//! Here these four become one call with all values in registers; see [`convention`](super::convention). The stores are made
//! only if the function refuses the call, and the load only if the result is of another type.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Type, types};
use perilune_trace::ir::{End, HeaderId, Inst, Op, Ref, SnapId, Ty};

use super::Lowering;
use super::convention::{self, FIRST_VALUE, MOST_PARAMS, RESULT};
use crate::layout::{Callable, ROOM_HOST, ROOM_SLOTS, ROOM_TAIL};
use crate::mir::{Block, Value};
use crate::{ANY_VERSION, MISMATCH, RETURNED, TAIL, layout};

/// A call of a compiled function.
pub(super) struct Calling {
    /// The call itself.
    call: Ref,
    /// The function and its arguments, if they go in registers.
    values: Vec<Ref>,
    /// The check that there is one result, if the caller wants all that there are.
    count: Option<Ref>,
    /// The load of its only result, if that may come in one.
    result: Option<Ref>,
    /// How many instructions all of this is.
    pub insts: usize,
}

/// What a call has come back with.
#[derive(Clone, Copy)]
struct Answer {
    status: Value,
    fuel: Value,
    result: Value,
}

impl Lowering<'_, '_> {
    // Calls.

    /// The call of a compiled function that these instructions begin with.
    pub(super) fn calling(&self, insts: &[Ref]) -> Option<Calling> {
        let op = |r: &Ref| self.tree.inst(*r).op;
        let stores = insts.iter().take_while(|r| op(r) == Op::StorePlace).count();
        let call = *insts.get(stores).filter(|r| op(r) == Op::CallFn)?;
        let inst = self.tree.inst(call);
        let values: Vec<Ref> = insts[..stores].iter().map(|r| self.tree.inst(*r).a()).collect();
        let are_its_own = insts[..stores].iter().zip(inst.aux..).all(|(r, slot)| self.tree.inst(*r).aux == slot);
        let fit = stores <= 1 + MOST_PARAMS && values.iter().all(|value| self.tree.ty(*value) != Ty::Num);
        if stores > 0 && !(are_its_own && fit) {
            return None;
        }
        let rest = &insts[stores + 1..];
        let is_one = |r: &Ref| op(r) == Op::Returned && self.tree.inst(*r).imm == 1;
        let is_result = |r: &Ref| op(r) == Op::LoadPlace && self.tree.inst(*r).aux == inst.aux;
        let (count, result) = match rest {
            [load, ..] if inst.imm == 1 && is_result(load) => (None, Some(*load)),
            [count, load, ..] if is_one(count) && is_result(load) => (Some(*count), Some(*load)),
            _ => (None, None),
        };
        let taken = usize::from(count.is_some()) + usize::from(result.is_some());
        Some(Calling { call, values, count, result, insts: stores + 1 + taken })
    }

    /// Calls the compiled function behind a cell.
    pub(super) fn call_fn(&mut self, calling: &Calling) {
        let inst = *self.tree.inst(calling.call);
        let snap = Self::snap(&inst);
        let cost = i64::from(self.tree.snapshot(snap).fuel);
        let left = self.fuel_less(cost);
        let cell = self.value(inst.a());
        let base = self.base();
        let registers = self.b.iadd_imm(base, i64::from(Self::slot_offset(inst.aux + 1)));
        let entry = self.int(self.entry_of(inst.a(), &calling.values));
        let mut args = vec![self.vm, registers, entry, left];
        args.extend(self.in_registers(&calling.values));
        let signature = self.b.import_signature(convention::signature(calling.values.len()));
        let call = if self.is_own(inst.a()) {
            self.b.call_own(signature, &args)
        } else {
            let code = self.load(types::I64, cell, 0);
            self.b.call_indirect(signature, code, &args)
        };
        let [status, fuel, result] = [0, 1, 2].map(|n| self.b.result(call, n).unwrap_or(left));
        let fuel = if cost == 0 { fuel } else { self.b.iadd_imm(fuel, cost) };
        let answer = Answer { status, fuel, result };
        let gone = self.b.create_block();
        self.b.set_cold_block(gone);
        // The status of a function whose results are in their places.
        let placed = self.b.create_block();
        self.b.append_block_param(placed, types::I64);
        let on = self.come_back(calling, answer, placed, gone);
        self.b.switch_to_block(gone);
        self.finish_call(&inst, status, placed);
        match calling.result {
            Some(load) => self.take_one(calling, load, placed, on),
            None => self.take_many(calling.call, &inst, placed),
        }
    }

    /// Whether a cell is that of the function whose code this is. Nobody gives it other code while this runs.
    fn is_own(&self, cell: Ref) -> bool {
        self.env.callable.is_some_and(|callable| callable.cell == self.tree.inst(cell).imm)
    }

    /// The number that says the types of arguments.
    fn types(&self, values: &[Ref]) -> i64 {
        match values {
            [] => i64::from(ANY_VERSION),
            [_, params @ ..] => convention::types_of(params.iter().map(|value| self.tree.ty(*value))),
        }
    }

    /// What a call says of itself: the types of its arguments, or the version of the function's own entry whose preheader it passes
    /// by.
    fn entry_of(&self, cell: Ref, values: &[Ref]) -> i64 {
        let types = self.types(values);
        let Some(callable) = self.env.callable.filter(|_| self.is_own(cell)) else { return types };
        let [function, ..] = values else { return types };
        let passes_by = |id: &HeaderId| {
            // Most headers are no entry.
            self.may_be_passed_by(*id, callable)
                && types == self.version(*id, callable).0
                && self.recursion.passes_by(self.tree, self.header, *function, *id)
        };
        let version = self.tree.header_ids().find(passes_by);
        version.map_or(types, |id| convention::PASSES_BY + i64::from(id.0))
    }

    /// The number of the types that a version of the entry wants, as far as it has inputs, and the bits that are about those.
    fn version(&self, id: HeaderId, callable: Callable) -> (i64, i64) {
        let mut types = Vec::new();
        let mut known = -1;
        for n in 0..callable.params as usize {
            let input = self.tree.input(id, 1 + n as u32);
            types.push(input.map_or(Ty::Nil, |input| self.tree.ty(input)));
            if input.is_none() {
                known &= !convention::mask_of(n);
            }
        }
        (convention::types_of(types.into_iter()) & known, known)
    }

    /// Whether the preheader of a version of the entry does nothing that calls of the function that runs need. The number of the
    /// version stands for the types of all arguments.
    fn may_be_passed_by(&self, id: HeaderId, callable: Callable) -> bool {
        let is_plain = self.recursion.is_entry(id) && self.headers[id.index()].ready.is_none();
        is_plain && self.version(id, callable).1 == -1
    }

    /// A function and its arguments as they travel.
    fn in_registers(&mut self, values: &[Ref]) -> Vec<Value> {
        let [function, params @ ..] = values else { return Vec::new() };
        let mut travelling = Vec::new();
        for (n, value) in params.iter().chain([function]).enumerate() {
            let v = self.value(*value);
            travelling.push(self.as_type(v, convention::register(n)));
        }
        travelling
    }

    /// The same bits in another kind of register.
    fn as_type(&mut self, v: Value, ty: Type) -> Value {
        if self.b.value_type(v) == ty { v } else { self.b.bitcast(ty, v) }
    }

    /// Looks at what a call has come back with: if it has not returned, goes to `gone`, if the result has the type that it
    /// should have, to the block that is returned, with the result as its parameter, and otherwise to `placed`.
    fn come_back(&mut self, calling: &Calling, answer: Answer, placed: Block, gone: Block) -> Block {
        let Answer { status, fuel, result } = answer;
        let call = *self.tree.inst(calling.call);
        let [on, returned] = [(); 2].map(|()| self.b.create_block());
        if let Some(load) = calling.result {
            let ty = self.tree.ty(load);
            let machine_type = Self::machine_type(ty);
            let [expected, other] = [(); 2].map(|()| self.b.create_block());
            for block in [other, returned, placed] {
                self.b.set_cold_block(block);
            }
            self.b.append_block_param(on, machine_type);
            let is_expected = self.b.icmp_imm(IntCC::Equal, status, RESULT - ty as i64);
            self.b.brif(is_expected, expected, &[], other, &[]);
            self.b.switch_to_block(expected);
            self.b.def_var(self.fuel, fuel);
            let result_here = self.as_type(result, machine_type);
            self.b.jump(on, &[result_here]);
            self.b.switch_to_block(other);
        }
        let has_returned = self.b.icmp_imm(IntCC::SignedLessThanOrEqual, status, RETURNED);
        self.b.brif(has_returned, returned, &[], gone, &[]);
        self.b.switch_to_block(returned);
        self.b.def_var(self.fuel, fuel);
        if call.imm == 0 {
            // Nobody looks at the results.
            self.b.jump(placed, &[status]);
        } else {
            self.place_result(&call, status, result, placed);
        }
        on
    }

    /// Takes the one result of a call, which is the parameter of block `on`, or in its place.
    fn take_one(&mut self, calling: &Calling, load: Ref, placed: Block, on: Block) {
        let inst = *self.tree.inst(load);
        self.b.switch_to_block(placed);
        if let Some(count) = calling.count {
            self.count_results(calling.call, placed);
            let count = *self.tree.inst(count);
            self.returned(&count);
        }
        let (base, offset) = (self.base(), Self::slot_offset(inst.aux));
        let tag = self.load_tag(base, offset);
        let fits = self.is_tag(tag, inst.ty);
        self.leave_unless(fits, Self::snap(&inst));
        let loaded = self.load(Self::machine_type(inst.ty), base, offset);
        self.b.jump(on, &[loaded]);
        self.b.switch_to_block(on);
        let value = self.b.block_params(on)[0];
        self.define(load, value);
    }

    /// Goes on with the results of a call in their places.
    fn take_many(&mut self, r: Ref, call: &Inst, placed: Block) {
        self.b.switch_to_block(placed);
        let count = self.count_results(r, placed);
        let wanted = call.imm as i64;
        // A function without results has left nil at its slot.
        if wanted > 1 {
            self.settle(call.aux, count, wanted);
        }
    }

    /// How many results a call has had, which are all in their places.
    fn count_results(&mut self, call: Ref, placed: Block) -> Value {
        let status = self.b.block_params(placed)[0];
        let none = self.int(RETURNED);
        let count = self.b.isub(none, status);
        self.define(call, count);
        count
    }

    /// Puts the result of a function that has returned into its place, if it is in a register, and goes to `placed`.
    fn place_result(&mut self, call: &Inst, status: Value, result: Value, placed: Block) {
        let typed = self.b.create_block();
        self.b.set_cold_block(typed);
        let has_result = self.b.icmp_imm(IntCC::SignedLessThanOrEqual, status, RESULT);
        self.b.brif(has_result, typed, &[], placed, &[status]);
        self.b.switch_to_block(typed);
        let base = self.base();
        convention::store_result(self.b, status, result, base, Self::slot_offset(call.aux));
        let one = self.int(RETURNED - 1);
        self.b.jump(placed, &[one]);
    }

    /// A call that has not returned: makes the calls that it has asked for in its place, lets fragments go on, and is at
    /// `placed` if that ends in a return. Otherwise leaves in the middle of the call.
    fn finish_call(&mut self, call: &Inst, status: Value, placed: Block) {
        let (vm, snap) = (self.vm, Self::snap(call));
        // Made again rather than kept in registers over the call.
        let (cell, base) = (self.value(call.a()), self.base());
        let registers = self.b.iadd_imm(base, i64::from(Self::slot_offset(call.aux + 1)));
        let [replaced, returned, left, gone] = [(); 4].map(|()| self.b.create_block());
        for block in [replaced, returned, left, gone] {
            self.b.set_cold_block(block);
        }
        self.b.append_block_param(returned, types::I64);
        self.b.append_block_param(left, types::I64);
        self.b.append_block_param(left, types::I64);
        let is_tail = self.b.icmp_imm(IntCC::Equal, status, TAIL);
        self.b.brif(is_tail, replaced, &[], left, &[cell, status]);
        self.b.switch_to_block(replaced);
        let answer = self.call_address(self.env.calls.tail, &[vm, registers], Some(types::I64)).unwrap_or(status);
        let has_returned = self.b.icmp_imm(IntCC::SignedLessThanOrEqual, answer, RETURNED);
        let none = self.int(0);
        self.b.brif(has_returned, returned, &[answer], left, &[none, answer]);
        self.b.switch_to_block(left);
        let (cell, status) = (self.b.block_params(left)[0], self.b.block_params(left)[1]);
        let args = [vm, registers, cell, status];
        let status = self.call_address(self.env.calls.go_on, &args, Some(types::I64)).unwrap_or(status);
        let has_returned = self.b.icmp_imm(IntCC::SignedLessThanOrEqual, status, RETURNED);
        self.b.brif(has_returned, returned, &[status], gone, &[]);
        self.b.switch_to_block(returned);
        let answer = self.b.block_params(returned)[0];
        self.read_fuel(i64::from(self.tree.snapshot(snap).fuel));
        self.b.jump(placed, &[answer]);
        // Only now: a payload goes with the tag that is written when the frames are made, and with no other.
        self.b.switch_to_block(gone);
        self.store_payloads(snap);
        let (exits, n) = (self.int(self.env.exits as i64), self.int(i64::from(snap.0)));
        let answer = self.call_address(self.env.calls.unwound, &[vm, exits, n, cell, status], Some(types::I64));
        self.give_back(answer.unwrap_or(status));
    }

    /// Fills up the results of a call with nils.
    fn settle(&mut self, func: u32, count: Value, wanted: i64) {
        let is_enough = self.b.icmp_imm(IntCC::SignedGreaterThanOrEqual, count, wanted);
        let (on, short) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(short);
        self.b.brif(is_enough, on, &[], short, &[]);
        self.b.switch_to_block(short);
        let base = self.base();
        let place = self.b.iadd_imm(base, i64::from(Self::slot_offset(func)));
        let wanted = self.int(wanted);
        self.call_address(self.env.calls.settle, &[place, count, wanted], None);
        self.b.jump(on, &[]);
        self.b.switch_to_block(on);
    }

    /// Goes on only if an open list of results is as long as it was when it was recorded.
    pub(super) fn returned(&mut self, inst: &Inst) {
        let snap = Self::snap(inst);
        let count = self.value(inst.a());
        let fits = self.b.icmp_imm(IntCC::Equal, count, inst.imm as i64);
        let fits = self.or_forced(fits, snap);
        let (on, other) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(other);
        self.b.brif(fits, on, &[], other, &[]);
        self.b.switch_to_block(other);
        self.materialize(snap);
        let (exits, n) = (self.int(self.env.exits as i64), self.int(i64::from(snap.0)));
        let top = self.b.iadd_imm(count, i64::from(inst.aux));
        let vm = self.vm;
        let answer = self.call_address(self.env.calls.left_open, &[vm, exits, n, top], Some(types::I64));
        self.give_back(answer.unwrap_or(count));
        self.b.switch_to_block(on);
    }

    // Entry.

    /// A call by compiled code: a negative `header` says the types of the arguments, which are in registers. Goes to the
    /// version of the function's entry that has them; comes back for what is no such call.
    pub(super) fn entered_by_call(&mut self, header: Value, params: &[Value], callable: Callable) {
        if callable.params as usize > MOST_PARAMS {
            return;
        }
        let refused = self.b.create_block();
        self.b.set_cold_block(refused);
        self.b.append_block_param(refused, types::I64);
        let roots: Vec<HeaderId> = self.tree.header_ids().filter(|id| self.tree.is_root(*id)).collect();
        let passed_by: Vec<HeaderId> =
            roots.iter().copied().filter(|id| self.may_be_passed_by(*id, callable)).collect();
        for id in passed_by {
            let next = self.go_on_if(header, convention::PASSES_BY + i64::from(id.0));
            let types = self.int(self.version(id, callable).0);
            self.check_room(callable, refused, &[types]);
            self.take_arguments((id, true), types, params, callable);
            self.b.switch_to_block(next);
        }
        for id in roots {
            let (expected, known) = self.version(id, callable);
            let looked_at = if known == -1 { header } else { self.b.band_imm(header, known) };
            let next = self.go_on_if(looked_at, expected);
            self.check_room(callable, refused, &[header]);
            self.take_arguments((id, false), header, params, callable);
            self.b.switch_to_block(next);
        }
        let other = self.b.create_block();
        let is_call = self.b.icmp_imm(IntCC::SignedLessThan, header, 0);
        self.b.brif(is_call, refused, &[header], other, &[]);
        self.b.switch_to_block(refused);
        let header = self.b.block_params(refused)[0];
        let base = self.base();
        for n in 0..callable.params as usize {
            convention::store_argument(self.b, header, base, n, params[FIRST_VALUE + n]);
        }
        convention::store_function(self.b, base, params[FIRST_VALUE + callable.params as usize]);
        self.refuse_call();
        self.b.switch_to_block(other);
    }

    /// Goes on if a number is the expected one, and otherwise at the block that is returned.
    fn go_on_if(&mut self, number: Value, expected: i64) -> Block {
        let fits = self.b.icmp_imm(IntCC::Equal, number, expected);
        let [here, next] = [(); 2].map(|()| self.b.create_block());
        self.b.brif(fits, here, &[], next, &[]);
        self.b.switch_to_block(here);
        next
    }

    /// Refuses a call: everything is in its place.
    pub(super) fn refuse_call(&mut self) {
        self.pay(0);
        let n = self.int(MISMATCH);
        self.give_back(n);
    }

    /// Goes to a version of the function's entry, or past its preheader. Arguments that it has no inputs for go to their places.
    fn take_arguments(
        &mut self,
        (id, passes_by): (HeaderId, bool),
        header: Value,
        params: &[Value],
        callable: Callable,
    ) {
        let count = callable.params;
        // The function comes behind its parameters.
        let value = |slot: u32| params[FIRST_VALUE + slot.checked_sub(1).unwrap_or(count) as usize];
        let base = self.base();
        for slot in 0..=count {
            if self.tree.input(id, slot).is_some() || self.tree.header(id).live.binary_search(&slot).is_err() {
                continue;
            }
            match slot.checked_sub(1) {
                None => convention::store_function(self.b, base, value(slot)),
                Some(n) => convention::store_argument(self.b, header, base, n as usize, value(slot)),
            }
        }
        let mut args = Vec::new();
        for input in self.tree.header(id).inputs.clone() {
            let inst = self.tree.inst(input);
            debug_assert!(inst.aux <= count, "only arguments are there when a function begins");
            args.push(self.as_type(value(inst.aux), Self::machine_type(inst.ty)));
        }
        self.arrive(id, passes_by, &args, 0);
    }

    /// In front of a function that compiled code may call: leaves if the stack, or the host's, is used up.
    pub(super) fn check_room(&mut self, callable: Callable, mismatch: Block, args: &[Value]) {
        let (base, vm) = (self.base(), self.vm);
        let top = self.b.iadd_imm(base, i64::from(callable.slots) * layout::VALUE);
        let end = self.load(types::I64, vm, self.env.room + ROOM_SLOTS);
        let fits = self.b.icmp(IntCC::UnsignedLessThanOrEqual, top, end);
        let (some, on) = (self.b.create_block(), self.b.create_block());
        self.b.brif(fits, some, &[], mismatch, args);
        self.b.switch_to_block(some);
        let here = self.b.stack_pointer();
        let end = self.load(types::I64, vm, self.env.room + ROOM_HOST);
        let fits = self.b.icmp(IntCC::UnsignedGreaterThanOrEqual, here, end);
        self.b.brif(fits, on, &[], mismatch, args);
        self.b.switch_to_block(on);
    }

    // Return.

    /// Takes the store of the only result, which comes last, from the instructions of a segment at whose end the root frame's
    /// function returns: the result goes in a register.
    pub(super) fn take_result(&self, end: End, body: &mut Vec<Ref>) -> Option<Ref> {
        let End::Return(_, 1) = end else { return None };
        let inst = self.tree.inst(*body.last()?);
        let goes = inst.op == Op::StorePlace && inst.aux == 0 && self.tree.ty(inst.a()) != Ty::Num;
        if self.env.callable.is_none() || !goes {
            return None;
        }
        body.pop();
        Some(inst.a())
    }

    /// The root frame's function returns; its results are in their places, but for one that is in a register.
    pub(super) fn return_to_caller(&mut self, snap: SnapId, count: u32, result: Option<Ref>) {
        let cost = i64::from(self.tree.snapshot(snap).fuel);
        if self.env.callable.is_none() {
            self.pay(-cost);
            let status = self.int(RETURNED - i64::from(count));
            return self.give_back(status);
        }
        let left = self.fuel_less(cost);
        let (status, value) = match result {
            Some(result) => {
                let v = self.value(result);
                (RESULT - self.tree.ty(result) as i64, self.as_type(v, types::I64))
            }
            None => (RETURNED - i64::from(count), left),
        };
        let status = self.int(status);
        self.b.return_(&[status, left, value]);
    }

    /// The root frame's function calls another in its place: whoever has called it does so.
    pub(super) fn tail_call(&mut self, snap: SnapId, cell: Ref) {
        self.pay(-i64::from(self.tree.snapshot(snap).fuel));
        let (cell, vm) = (self.value(cell), self.vm);
        self.store(cell, vm, self.env.room + ROOM_TAIL);
        let n = self.int(TAIL);
        self.give_back(n);
    }

    /// Returns with a status, after everything else was stored.
    pub(super) fn give_back(&mut self, status: Value) {
        match self.env.callable {
            // Nobody looks at the rest.
            Some(_) => self.b.return_(&[status, status, status]),
            None => self.b.return_(&[status]),
        };
    }
}
