//! Numbers, and whatever else makes a value of others.

use cranelift_assembler_x64::{Fixed, TrapCode, inst};
use cranelift_codegen::ir::{Opcode, types};

use super::super::Unknown;
use super::super::alloc::{RAX, RCX, RDX, XMM_A, XMM_B};
use super::super::asm::{Condition, GprOrMemory, Regs, XmmOrMemory, at, sum};
use super::values::Operand;
use super::{Emitter, put};
use crate::mir::Value;

/// How `roundsd` rounds, without raising that a result is inexact.
const DOWN: u8 = 9;
const UP: u8 = 10;

const SIGN: u64 = 1 << 63;

/// Appends an operation with a register for its target, and any operand for its source, which may be a constant.
macro_rules! put_binary {
    ($self:ident, $to:expr, $source:expr, $rm:ident, $mi:ident) => {
        match $self.operand($source) {
            Operand::Int(n) => match i32::try_from(n) {
                Ok(n) => put!($self, $mi, GprOrMemory::from($to), n),
                Err(_) => {
                    $self.load_int(RCX, n);
                    put!($self, $rm, $to, RCX);
                }
            },
            Operand::Gpr(operand) => put!($self, $rm, $to, operand),
        }
    };
}

impl Emitter<'_> {
    pub(super) fn binary(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let ty = self.ty(result);
        match opcode {
            Opcode::Fadd | Opcode::Fsub | Opcode::Fmul | Opcode::Fdiv => {
                return self.float_binary(opcode, a, b, result);
            }
            // Who reads the result reads so many bits of it.
            Opcode::Iadd | Opcode::Isub | Opcode::Band | Opcode::Bor | Opcode::Bxor => {}
            _ if ty != types::I64 => return Err(Unknown::new((opcode, ty))),
            _ => {}
        }
        match opcode {
            Opcode::Iadd => self.add(a, b, result),
            Opcode::Isub | Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Imul => {
                self.two_operands(opcode, a, b, result);
            }
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr => self.shift(opcode, a, b, result),
            Opcode::Sdiv | Opcode::Srem => {
                self.take(RAX, a);
                let divisor = self.gpr_or_memory(b, RCX);
                put!(self, cqto_zo, Fixed(RDX), Fixed(RAX));
                put!(self, idivq_m, Fixed(RAX), Fixed(RDX), divisor, TrapCode(std::num::NonZeroU8::MIN));
                self.give(result, if opcode == Opcode::Sdiv { RAX } else { RDX });
            }
            Opcode::Umulhi => {
                self.take(RAX, a);
                let factor = self.gpr_or_memory(b, RDX);
                put!(self, mulq_m, Fixed(RAX), Fixed(RDX), factor);
                self.give(result, RDX);
            }
            Opcode::Smax | Opcode::Smin => {
                self.take(RAX, a);
                let other = self.gpr_or_memory(b, RCX);
                put!(self, cmpq_rm, RAX, other);
                let condition = if opcode == Opcode::Smax { Condition::Less } else { Condition::Greater };
                self.move_if(condition, RAX, other);
                self.give(result, RAX);
            }
            _ => return Err(Unknown::new((opcode, ty))),
        }
        Ok(())
    }

    /// A sum can be made in a register that has neither operand.
    pub(super) fn add(&mut self, a: Value, b: Value, result: Value) {
        let to = self.target(result);
        match (self.operand(a), self.operand(b)) {
            (Operand::Gpr(GprOrMemory::Gpr(x)), Operand::Int(n)) if x != to && i32::try_from(n).is_ok() => {
                put!(self, leaq_rm, to, at(x, n as i32));
                self.give(result, to);
            }
            (Operand::Gpr(GprOrMemory::Gpr(x)), Operand::Gpr(GprOrMemory::Gpr(y))) if x != to && y != to => {
                put!(self, leaq_rm, to, sum(x, y, 0, 0));
                self.give(result, to);
            }
            _ => self.two_operands(Opcode::Iadd, a, b, result),
        }
    }

    /// An operation whose target is its first operand.
    pub(super) fn two_operands(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) {
        let to = self.target(result);
        let is_in_target = |operand: Operand| matches!(operand, Operand::Gpr(GprOrMemory::Gpr(r)) if r == to);
        let (mut a, mut b) = (a, b);
        if opcode != Opcode::Isub && (is_in_target(self.operand(b)) || matches!(self.operand(a), Operand::Int(_))) {
            (a, b) = (b, a);
        }
        // The second operand must outlive the move of the first.
        let to = if is_in_target(self.operand(b)) && !is_in_target(self.operand(a)) { RAX } else { to };
        self.take(to, a);
        match opcode {
            Opcode::Iadd => put_binary!(self, to, b, addq_rm, addq_mi_sxl),
            Opcode::Isub => put_binary!(self, to, b, subq_rm, subq_mi_sxl),
            Opcode::Band => put_binary!(self, to, b, andq_rm, andq_mi_sxl),
            Opcode::Bor => put_binary!(self, to, b, orq_rm, orq_mi_sxl),
            Opcode::Bxor => put_binary!(self, to, b, xorq_rm, xorq_mi_sxl),
            _ => match self.operand(b) {
                Operand::Int(n) if i32::try_from(n).is_ok() => put!(self, imulq_rmi_sxl, to, to, n as i32),
                _ => {
                    let factor = self.gpr_or_memory(b, RCX);
                    put!(self, imulq_rm, to, factor);
                }
            },
        }
        self.give(result, to);
    }

    /// The machine looks at six bits of the amount, as the IR does.
    pub(super) fn shift(&mut self, opcode: Opcode, a: Value, by: Value, result: Value) {
        if let Operand::Int(n) = self.operand(by) {
            let (to, n) = (self.target(result), (n & 63) as u8);
            self.take(to, a);
            match opcode {
                Opcode::Ishl => put!(self, shlq_mi, to, n),
                Opcode::Ushr => put!(self, shrq_mi, to, n),
                _ => put!(self, sarq_mi, to, n),
            }
            self.give(result, to);
            return;
        }
        self.take(RCX, by);
        self.take(RAX, a);
        match opcode {
            Opcode::Ishl => put!(self, shlq_mc, RAX, Fixed(RCX)),
            Opcode::Ushr => put!(self, shrq_mc, RAX, Fixed(RCX)),
            _ => put!(self, sarq_mc, RAX, Fixed(RCX)),
        }
        self.give(result, RAX);
    }

    pub(super) fn float_binary(&mut self, opcode: Opcode, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let to = self.target_float(result);
        if self.features.avx {
            let first = self.xmm(a, XMM_B);
            let second = self.float(b);
            match opcode {
                Opcode::Fadd => put!(self, vaddsd_b, to, first, second),
                Opcode::Fsub => put!(self, vsubsd_b, to, first, second),
                Opcode::Fmul => put!(self, vmulsd_b, to, first, second),
                Opcode::Fdiv => put!(self, vdivsd_b, to, first, second),
                _ => return Err(Unknown::new(opcode)),
            }
            self.give_float(result, to);
            return Ok(());
        }
        let second = self.float(b);
        let is_in_target = |operand: &XmmOrMemory| matches!(operand, XmmOrMemory::Xmm(r) if *r == to);
        // The second operand must outlive the move of the first.
        let to = if is_in_target(&second) && !is_in_target(&self.float(a)) { XMM_A } else { to };
        self.take_float(to, a);
        match opcode {
            Opcode::Fadd => put!(self, addsd_a, to, second),
            Opcode::Fsub => put!(self, subsd_a, to, second),
            Opcode::Fmul => put!(self, mulsd_a, to, second),
            Opcode::Fdiv => put!(self, divsd_a, to, second),
            _ => return Err(Unknown::new(opcode)),
        }
        self.give_float(result, to);
        Ok(())
    }

    pub(super) fn unary(&mut self, opcode: Opcode, a: Value, result: Value) -> Result<(), Unknown> {
        let (from, ty) = (self.ty(a), self.ty(result));
        match opcode {
            Opcode::Ineg | Opcode::Bnot if ty == types::I64 => {
                let to = self.target(result);
                self.take(to, a);
                if opcode == Opcode::Ineg {
                    put!(self, negq_m, to);
                } else {
                    put!(self, notq_m, to);
                }
                self.give(result, to);
            }
            Opcode::Uextend => {
                let to = self.target(result);
                let operand = self.gpr(a, RAX);
                match from {
                    types::I8 => put!(self, movzbl_rm, to, operand),
                    types::I32 => put!(self, movl_rm, to, operand),
                    _ => return Err(Unknown::new((opcode, ty))),
                }
                self.give(result, to);
            }
            // Who reads the result reads so many bits of it.
            Opcode::Ireduce => {
                let to = self.target(result);
                self.take(to, a);
                self.give(result, to);
            }
            Opcode::FcvtFromSint if from == types::I64 => {
                let operand = self.gpr_or_memory(a, RAX);
                let to = self.target_float(result);
                // The conversion writes half of the register: whoever has written it last must not be waited for.
                put!(self, xorpd_a, to, to);
                put!(self, cvtsi2sdq_a, to, operand);
                self.give_float(result, to);
            }
            Opcode::FcvtToSintSat if ty == types::I64 => self.float_to_int(a, result),
            Opcode::Fneg | Opcode::Fabs => {
                let mask = if opcode == Opcode::Fneg { SIGN } else { !SIGN };
                self.take_float(XMM_A, a);
                let mask = self.code.constant(mask);
                put!(self, movsd_a_m, XMM_B, mask);
                if opcode == Opcode::Fneg {
                    put!(self, xorpd_a, XMM_A, XMM_B);
                } else {
                    put!(self, andpd_a, XMM_A, XMM_B);
                }
                self.give_float(result, XMM_A);
            }
            Opcode::Sqrt => {
                let (to, operand) = (self.target_float(result), self.float(a));
                put!(self, sqrtsd_a, to, operand);
                self.give_float(result, to);
            }
            Opcode::Floor | Opcode::Ceil => {
                let (to, operand) = (self.target_float(result), self.float(a));
                put!(self, roundsd_rmi, to, operand, if opcode == Opcode::Floor { DOWN } else { UP });
                self.give_float(result, to);
            }
            _ => return Err(Unknown::new((opcode, ty))),
        }
        Ok(())
    }

    pub(super) fn bitcast(&mut self, a: Value, result: Value) {
        if self.ty(result) == types::F64 {
            let operand = self.gpr_or_memory(a, RAX);
            let to = self.target_float(result);
            put!(self, movq_a, to, operand);
            self.give_float(result, to);
        } else {
            let operand = self.xmm(a, XMM_A);
            let to = self.target(result);
            put!(self, movq_b, to, operand);
            self.give(result, to);
        }
    }

    /// What has no equal among the integers becomes the smallest one here, where the IR has the nearest, or 0 for NaN. Whoever
    /// converts compares the way back, which tells for the one as for the other: see `lower::arith`.
    pub(super) fn float_to_int(&mut self, a: Value, result: Value) {
        let (x, to) = (self.xmm(a, XMM_A), self.target(result));
        put!(self, cvttsd2si_aq, to, x);
        self.give(result, to);
    }
}
