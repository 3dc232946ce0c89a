//! Calls of runtime functions.
//!
//! A helper is `extern "C" fn(vm, operands ...) -> result`; a Lua value among the operands is two of them, payload and tag.
//! Its address is a constant of the code, which therefore has no relocations.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Type, types};
use perilune_trace::ir::{Arg, Helper, Inst, Op, Ref, Returns, Ty};

use super::Lowering;
use crate::CALLED;
use crate::mir::{Signature, Value};

impl Lowering<'_, '_> {
    /// Calls the function at an address.
    pub(super) fn call_address(&mut self, address: u64, args: &[Value], result: Option<Type>) -> Option<Value> {
        let params = args.iter().map(|v| self.b.value_type(*v)).collect();
        let signature = self.b.import_signature(Signature { params, returns: result.into_iter().collect() });
        let callee = self.int(address as i64);
        let call = self.b.call_indirect(signature, callee, args);
        self.b.result(call, 0)
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
                        *payload = self.b.bitcast(types::I64, v);
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
                let fits = self.b.icmp_imm(IntCC::Equal, v, inst.ty as i64);
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
        self.b.brif(base, on, &[], gone, &[]);
        self.go_on_in(gone);
        let n = self.int(CALLED);
        self.give_back(n);
        self.go_on_in(on);
        if let Some(moved) = self.moved {
            self.b.def_var(moved, base);
        }
        self.read_fuel(i64::from(self.tree.snapshot(snap).fuel));
    }
}
