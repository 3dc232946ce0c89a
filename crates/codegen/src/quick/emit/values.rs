//! Operands and results: from where they are into registers, and back.

use cranelift_assembler_x64::inst;
use cranelift_codegen::ir::Type;

use super::super::alloc::{RAX, RBP, RCX, RSP, XMM_A};
use super::super::asm::{Address, GprOrMemory, Regs, XmmOrMemory, at, sum};
use super::super::moves::Place;
use super::super::plan::{Kind, scaled};
use super::{Emitter, put};
use crate::mir::{InstData, Value};

/// An integer to read.
pub(super) enum Operand {
    Int(i64),
    Gpr(GprOrMemory),
}

impl Emitter<'_> {
    pub(super) fn ty(&self, v: Value) -> Type {
        self.func.ty(v)
    }

    pub(super) fn memory(place: Place) -> Address {
        match place {
            Place::Slot(offset) => at(RBP, offset),
            Place::Out(offset) => at(RSP, offset),
            Place::Gpr(_) | Place::Xmm(_) => {
                debug_assert!(false, "a register is no memory");
                at(RBP, 0)
            }
        }
    }

    pub(super) fn operand(&self, v: Value) -> Operand {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Int(n), _) => Operand::Int(n),
            (_, Some(Place::Gpr(register))) => Operand::Gpr(register.into()),
            (_, Some(place)) => Operand::Gpr(Self::memory(place).into()),
            (kind, None) => {
                debug_assert!(false, "{v:?} has no place: {kind:?}");
                Operand::Int(0)
            }
        }
    }

    pub(super) fn load_int(&mut self, to: u8, n: i64) {
        if let Ok(n) = u32::try_from(n) {
            // It fills up with zeros. Flags stay as they are, which an exclusive or would not do.
            put!(self, movl_oi, to, n);
        } else if let Ok(n) = i32::try_from(n) {
            put!(self, movq_mi_sxl, to, n);
        } else {
            put!(self, movabsq_oi, to, n as u64);
        }
    }

    /// Puts an integer into a register.
    pub(super) fn take(&mut self, to: u8, v: Value) {
        match self.operand(v) {
            Operand::Int(n) => self.load_int(to, n),
            Operand::Gpr(GprOrMemory::Gpr(from)) if from == to => {}
            Operand::Gpr(operand) => put!(self, movq_rm, to, operand),
        }
    }

    /// The register of an integer, or `spare` with it.
    pub(super) fn gpr(&mut self, v: Value, spare: u8) -> u8 {
        if let Operand::Gpr(GprOrMemory::Gpr(register)) = self.operand(v) {
            return register;
        }
        self.take(spare, v);
        spare
    }

    /// The register or memory of an integer, or `spare` with it if it is a constant.
    pub(super) fn gpr_or_memory(&mut self, v: Value, spare: u8) -> GprOrMemory {
        match self.operand(v) {
            Operand::Int(n) => {
                self.load_int(spare, n);
                spare.into()
            }
            Operand::Gpr(operand) => operand,
        }
    }

    pub(super) fn float(&mut self, v: Value) -> XmmOrMemory {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Float(bits), _) => self.code.constant(bits).into(),
            (Kind::Deferred, _) => self.loaded(v).into(),
            (_, Some(Place::Xmm(register))) => register.into(),
            (_, Some(place)) => Self::memory(place).into(),
            (kind, None) => {
                debug_assert!(false, "{v:?} has no place: {kind:?}");
                XMM_A.into()
            }
        }
    }

    /// Where a deferred load reads.
    fn loaded(&mut self, v: Value) -> Address {
        match self.func.maker(v).map(|load| *self.func.data(load)) {
            Some(InstData::Load { arg, offset, .. }) => self.address(arg, offset),
            other => {
                debug_assert!(false, "{v:?} is no load: {other:?}");
                at(RBP, 0)
            }
        }
    }

    pub(super) fn take_float(&mut self, to: u8, v: Value) {
        match self.float(v) {
            XmmOrMemory::Xmm(from) if from == to => {}
            XmmOrMemory::Xmm(from) => put!(self, movapd_a, to, from),
            XmmOrMemory::Mem(address) => put!(self, movsd_a_m, to, address),
        }
    }

    pub(super) fn xmm(&mut self, v: Value, spare: u8) -> u8 {
        if let XmmOrMemory::Xmm(register) = self.float(v) {
            return register;
        }
        self.take_float(spare, v);
        spare
    }

    /// The register where the result of an operation is to be made: its own, or one that is kept back.
    pub(super) fn target(&self, v: Value) -> u8 {
        match self.places.of(v) {
            Some(Place::Gpr(register)) => register,
            _ => RAX,
        }
    }

    pub(super) fn target_float(&self, v: Value) -> u8 {
        match self.places.of(v) {
            Some(Place::Xmm(register)) => register,
            _ => XMM_A,
        }
    }

    /// The result of an operation is in a register.
    pub(super) fn give(&mut self, v: Value, from: u8) {
        match self.places.of(v) {
            Some(Place::Gpr(to)) if to != from => put!(self, movq_rm, to, from),
            Some(Place::Slot(offset)) => put!(self, movq_mr, at(RBP, offset), from),
            Some(Place::Gpr(_) | Place::Xmm(_) | Place::Out(_)) | None => {}
        }
    }

    pub(super) fn give_float(&mut self, v: Value, from: u8) {
        match self.places.of(v) {
            Some(Place::Xmm(to)) if to != from => put!(self, movapd_a, to, from),
            Some(Place::Slot(offset)) => put!(self, movsd_c_m, at(RBP, offset), from),
            Some(Place::Gpr(_) | Place::Xmm(_) | Place::Out(_)) | None => {}
        }
    }

    /// The memory at an address. Two registers that are kept back may be in it: `RAX` and `RCX`.
    pub(super) fn address(&mut self, address: Value, offset: i32) -> Address {
        let sum_of = match (self.plan.kind(address), self.func.maker(address)) {
            (Kind::Deferred, Some(inst)) => Some(self.func.args(inst)),
            _ => None,
        };
        let Some([base, index]) = sum_of else { return at(self.gpr(address, RAX), offset) };
        let base = self.gpr(*base, RAX);
        if let Kind::Int(n) = self.plan.kind(*index) {
            return at(base, offset + n as i32);
        }
        let shifted = match (self.plan.kind(*index), self.func.maker(*index)) {
            (Kind::Deferred, Some(inst)) => scaled(self.func, inst),
            _ => None,
        };
        let (index, shift) = shifted.unwrap_or((*index, 0));
        sum(base, self.gpr(index, RCX), shift, offset)
    }
}
