//! Calls of runtime functions.
//!
//! A helper is `extern "C" fn(vm, operands ...) -> result`; a Lua value among the operands is two of them, payload and tag.
//! Its address is a constant of the code, which therefore has no relocations.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, SigRef, Signature, Type, Value, types};
use perilune_trace::ir::{Arg, Helper, Inst, Op, Ref, Returns, SnapId, Ty};

use super::Lowering;
use crate::layout::{Callable, ROOM_HOST, ROOM_SLOTS, ROOM_TAIL};
use crate::{ANY_VERSION, CALLED, RETURNED, TAIL};

impl Lowering<'_, '_, '_> {
    fn import(&mut self, params: &[Type], result: Option<Type>) -> SigRef {
        let mut signature = Signature::new(self.call_conv);
        signature.params.extend(params.iter().map(|ty| AbiParam::new(*ty)));
        signature.returns.extend(result.map(AbiParam::new));
        if let Some((_, known)) = self.signatures.iter().find(|(known, _)| *known == signature) {
            return *known;
        }
        let made = self.b.import_signature(signature.clone());
        self.signatures.push((signature, made));
        made
    }

    /// Calls the function at an address.
    pub(super) fn call_address(&mut self, address: u64, args: &[Value], result: Option<Type>) -> Option<Value> {
        let params: Vec<Type> = args.iter().map(|v| self.b.func.dfg.value_type(*v)).collect();
        let signature = self.import(&params, result);
        let callee = self.int(address as i64);
        let call = self.b.ins().call_indirect(signature, callee, args);
        self.b.inst_results(call).first().copied()
    }

    /// Calls a helper with an instruction's operands.
    pub(super) fn call_helper(&mut self, inst: &Inst, helper: Helper) -> Option<Value> {
        let mut args = vec![self.vm];
        for (kind, operand) in helper.args().iter().zip(inst.args) {
            if self.tree.ty(operand) == Ty::Num {
                let (payload, tag) = self.parts(operand);
                args.extend([payload, tag]);
                continue;
            }
            let v = self.value(operand);
            args.push(v);
            match kind {
                Arg::Int | Arg::Float | Arg::Address => {}
                Arg::Value => {
                    // A float travels in an integer register here.
                    if let Some(payload) = args.last_mut()
                        && self.tree.ty(operand) == Ty::Float
                    {
                        *payload = self.b.ins().bitcast(types::I64, super::MemFlagsData::new(), v);
                    }
                    let tag = self.int(self.tree.ty(operand) as i64);
                    args.push(tag);
                }
            }
        }
        let result = match helper.returns() {
            Returns::Nothing => None,
            Returns::Plain(ty) | Returns::OrNull(ty) => Some(Self::machine_type(ty)),
            Returns::Success | Returns::Value => Some(types::I64),
        };
        self.call_address(self.env.helper(helper), &args, result)
    }

    pub(super) fn helper_call(&mut self, r: Ref, inst: &Inst) {
        let Some(helper) = inst.helper() else { return };
        if helper == Helper::NewRecord {
            return self.new_record(r, inst);
        }
        if helper == Helper::NextPair {
            return self.next_pair(r, inst);
        }
        if !self.look_up(r, inst, helper) {
            self.plain_call(r, inst, helper);
        }
    }

    /// Calls a helper, and takes its result.
    pub(super) fn plain_call(&mut self, r: Ref, inst: &Inst, helper: Helper) {
        if helper.pays() {
            self.pay(-i64::from(inst.aux));
        }
        let Some(v) = self.call_helper(inst, helper) else { return };
        if helper.pays() {
            self.read_fuel(i64::from(inst.aux));
        }
        match helper.returns() {
            Returns::Nothing => {}
            Returns::Plain(_) => self.define(r, v),
            Returns::OrNull(_) => {
                self.leave_unless(v, Self::snap(inst));
                self.define(r, v);
            }
            Returns::Success => self.leave_unless(v, Self::snap(inst)),
            Returns::Value => {
                let fits = self.b.ins().icmp_imm_s(IntCC::Equal, v, inst.ty as i64);
                self.leave_unless(fits, Self::snap(inst));
                if !inst.ty.is_primitive() {
                    let vm = self.vm;
                    let payload = self.load(Self::machine_type(inst.ty), vm, self.env.scratch);
                    self.define(r, payload);
                }
            }
        }
    }

    /// Leaves the tree for the time of a call: everything is in its place.
    pub(super) fn call_out(&mut self, inst: &Inst) {
        debug_assert!(inst.op == Op::CallOut);
        let snap = Self::snap(inst);
        self.materialize(snap);
        let numbers = [
            self.env.exits as i64,
            i64::from(snap.0),
            i64::from(inst.aux),
            (inst.imm & 0xffff_ffff) as i64,
            (inst.imm >> 32) as i64,
        ];
        let mut args = vec![self.vm];
        args.extend(numbers.map(|n| self.int(n)));
        let Some(base) = self.call_address(self.env.call_out, &args, Some(types::I64)) else { return };
        let (on, gone) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(gone);
        self.b.ins().brif(base, on, &[], gone, &[]);
        self.b.switch_to_block(gone);
        let n = self.int(CALLED);
        self.b.ins().return_(&[n]);
        self.b.switch_to_block(on);
        self.b.def_var(self.base, base);
        self.read_fuel(i64::from(self.tree.snapshot(snap).fuel));
    }

    /// In front of a function that compiled code may call: leaves if the stack, or the host's, is used up.
    pub(super) fn check_room(&mut self, callable: Callable, mismatch: Block) {
        let (base, vm) = (self.base(), self.vm);
        let top = self.b.ins().iadd_imm_s(base, i64::from(callable.slots) * crate::layout::VALUE);
        let end = self.load(types::I64, vm, self.env.room + ROOM_SLOTS);
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, top, end);
        let (some, on) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(fits, some, &[], mismatch, &[]);
        self.b.switch_to_block(some);
        let here = self.b.ins().get_stack_pointer(types::I64);
        let end = self.load(types::I64, vm, self.env.room + ROOM_HOST);
        let fits = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, here, end);
        self.b.ins().brif(fits, on, &[], mismatch, &[]);
        self.b.switch_to_block(on);
    }

    /// Calls the compiled function behind a cell. Its arguments are in their places already.
    pub(super) fn call_fn(&mut self, r: Ref, inst: &Inst) {
        let snap = Self::snap(inst);
        let fuel = i64::from(self.tree.snapshot(snap).fuel);
        self.pay(-fuel);
        let cell = self.value(inst.a());
        let code = self.load(types::I64, cell, 0);
        let base = self.base();
        let registers = self.b.ins().iadd_imm_s(base, i64::from(Self::slot_offset(inst.aux + 1)));
        let header = self.int(i64::from(ANY_VERSION));
        let signature = self.import(&[types::I64; 3], Some(types::I64));
        let vm = self.vm;
        let call = self.b.ins().call_indirect(signature, code, &[vm, registers, header]);
        let status = self.b.inst_results(call)[0];
        let has_returned = self.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, status, RETURNED);
        let (on, gone) = (self.b.create_block(), self.b.create_block());
        self.b.append_block_param(on, types::I64);
        self.b.set_cold_block(gone);
        self.b.ins().brif(has_returned, on, &[status.into()], gone, &[]);
        self.b.switch_to_block(gone);
        self.finish_call(snap, cell, status, registers, on);
        self.b.switch_to_block(on);
        let status = self.b.block_params(on)[0];
        self.read_fuel(fuel);
        let none = self.int(RETURNED);
        let count = self.b.ins().isub(none, status);
        self.define(r, count);
        let wanted = inst.imm as i64;
        // A function without results has left nil at its slot.
        if wanted > 1 {
            self.settle(inst.aux, count, wanted);
        }
    }

    /// A call that has not returned: makes the calls that it has asked for in its place, and goes on at `on` if they return.
    /// Otherwise leaves in the middle of the call.
    fn finish_call(&mut self, snap: SnapId, cell: Value, status: Value, registers: Value, on: Block) {
        let vm = self.vm;
        let (replaced, left) = (self.b.create_block(), self.b.create_block());
        for block in [replaced, left] {
            self.b.set_cold_block(block);
        }
        self.b.append_block_param(left, types::I64);
        self.b.append_block_param(left, types::I64);
        let is_tail = self.b.ins().icmp_imm_s(IntCC::Equal, status, TAIL);
        self.b.ins().brif(is_tail, replaced, &[], left, &[cell.into(), status.into()]);
        self.b.switch_to_block(replaced);
        let answer = self.call_address(self.env.calls.tail, &[vm, registers], Some(types::I64)).unwrap_or(status);
        let has_returned = self.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, answer, RETURNED);
        let none = self.int(0);
        self.b.ins().brif(has_returned, on, &[answer.into()], left, &[none.into(), answer.into()]);
        // Only now: a payload goes with the tag that is written when the frames are made, and with no other.
        self.b.switch_to_block(left);
        let (cell, status) = (self.b.block_params(left)[0], self.b.block_params(left)[1]);
        self.store_payloads(snap);
        let (exits, n) = (self.int(self.env.exits as i64), self.int(i64::from(snap.0)));
        let answer = self.call_address(self.env.calls.unwound, &[vm, exits, n, cell, status], Some(types::I64));
        self.b.ins().return_(&[answer.unwrap_or(status)]);
    }

    /// Fills up the results of a call with nils.
    fn settle(&mut self, func: u32, count: Value, wanted: i64) {
        let is_enough = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, count, wanted);
        let (on, short) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(short);
        self.b.ins().brif(is_enough, on, &[], short, &[]);
        self.b.switch_to_block(short);
        let base = self.base();
        let place = self.b.ins().iadd_imm_s(base, i64::from(Self::slot_offset(func)));
        let wanted = self.int(wanted);
        self.call_address(self.env.calls.settle, &[place, count, wanted], None);
        self.b.ins().jump(on, &[]);
        self.b.switch_to_block(on);
    }

    /// Goes on only if an open list of results is as long as it was when it was recorded.
    pub(super) fn returned(&mut self, inst: &Inst) {
        let snap = Self::snap(inst);
        let count = self.value(inst.a());
        let fits = self.b.ins().icmp_imm_s(IntCC::Equal, count, inst.imm as i64);
        let fits = self.or_forced(fits, snap);
        let (on, other) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(other);
        self.b.ins().brif(fits, on, &[], other, &[]);
        self.b.switch_to_block(other);
        self.materialize(snap);
        let (exits, n) = (self.int(self.env.exits as i64), self.int(i64::from(snap.0)));
        let top = self.b.ins().iadd_imm_s(count, i64::from(inst.aux));
        let vm = self.vm;
        let answer = self.call_address(self.env.calls.left_open, &[vm, exits, n, top], Some(types::I64));
        let answer = answer.unwrap_or(count);
        self.b.ins().return_(&[answer]);
        self.b.switch_to_block(on);
    }

    /// The root frame's function returns; its results are in their places.
    pub(super) fn return_to_caller(&mut self, snap: SnapId, count: u32) {
        self.pay(-i64::from(self.tree.snapshot(snap).fuel));
        let n = self.int(RETURNED - i64::from(count));
        self.b.ins().return_(&[n]);
    }

    /// The root frame's function calls another in its place: whoever has called it does so.
    pub(super) fn tail_call(&mut self, snap: SnapId, cell: Ref) {
        self.pay(-i64::from(self.tree.snapshot(snap).fuel));
        let (cell, vm) = (self.value(cell), self.vm);
        self.store(cell, vm, self.env.room + ROOM_TAIL);
        let n = self.int(TAIL);
        self.b.ins().return_(&[n]);
    }

    /// The VM gets the fuel that is left when the path so far is paid.
    pub(super) fn pay(&mut self, cost: i64) {
        let mut left = self.b.use_var(self.fuel);
        if cost != 0 {
            left = self.b.ins().iadd_imm_s(left, cost);
        }
        let vm = self.vm;
        self.store(left, vm, self.env.fuel);
    }

    /// Takes the fuel back from the VM; the path so far is to be paid again at its end.
    fn read_fuel(&mut self, cost: i64) {
        let vm = self.vm;
        let left = self.load(types::I64, vm, self.env.fuel);
        let fuel = self.b.ins().iadd_imm_s(left, cost);
        self.b.def_var(self.fuel, fuel);
    }
}
