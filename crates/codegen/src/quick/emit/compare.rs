//! Comparisons, in flags as long as nobody needs the answer as a value, and what depends on them.

use cranelift_assembler_x64::inst;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{Opcode, types};

use super::super::Unknown;
use super::super::alloc::{RAX, RCX, RDX, XMM_A};
use super::super::asm::{Condition, GprOrMemory, Regs};
use super::super::moves::Place;
use super::super::plan::Kind;
use super::{Emitter, put};
use crate::mir::{Inst, InstData, Value};

/// What a comparison leaves in the flags.
pub(super) enum Test {
    If(Condition),
    /// Equality of floats: equal, and neither is NaN.
    FloatsEqual,
    FloatsDiffer,
    Always(bool),
}

impl Emitter<'_> {
    /// Makes the flags for a condition.
    pub(super) fn test(&mut self, flag: Value) -> Test {
        let deferred = match self.plan.kind(flag) {
            Kind::Int(n) => return Test::Always(n & 0xff != 0),
            Kind::Deferred => self.func.maker(flag),
            Kind::Unused | Kind::Float(_) | Kind::Placed => None,
        };
        if let Some(inst) = deferred {
            return self.compare(inst);
        }
        let ty = self.ty(flag);
        let register = self.gpr(flag, RAX);
        if ty == types::I8 {
            put!(self, testb_mr, register, register);
        } else {
            put!(self, testq_mr, register, register);
        }
        Test::If(Condition::NotEqual)
    }

    pub(super) fn compare(&mut self, inst: Inst) -> Test {
        match *self.func.data(inst) {
            InstData::IntCompare { cond: IntCC::NotEqual, args: [a, b], .. } if self.is_certain(a, b) => {
                Test::Always(true)
            }
            InstData::IntCompare { cond, args: [a, b], .. } => {
                self.compare_ints(a, b);
                Test::If(condition(cond))
            }
            InstData::FloatCompare { cond, args: [a, b], .. } => self.compare_floats(cond, a, b),
            _ => {
                debug_assert!(false, "{inst:?} is no comparison");
                Test::Always(false)
            }
        }
    }

    /// Whether an integer that was a float is compared with the largest one, which no float is.
    fn is_certain(&self, a: Value, b: Value) -> bool {
        let is_conversion =
            |inst| matches!(self.func.data(inst), InstData::Unary { opcode: Opcode::FcvtToSintSat, .. });
        let is_converted = self.func.maker(a).is_some_and(is_conversion);
        is_converted && self.plan.kind(b) == Kind::Int(i64::MAX)
    }

    pub(super) fn compare_ints(&mut self, a: Value, b: Value) {
        if self.plan.kind(a) == Kind::Deferred {
            return self.compare_loaded(a, b);
        }
        let is_half = self.ty(a) != types::I64;
        let constant = if let Kind::Int(n) = self.plan.kind(b) { i32::try_from(n).ok() } else { None };
        match constant {
            Some(0) if matches!(self.places.of(a), Some(Place::Gpr(_))) => {
                let register = self.gpr(a, RAX);
                if is_half {
                    put!(self, testl_mr, register, register);
                } else {
                    put!(self, testq_mr, register, register);
                }
            }
            Some(n) => {
                let operand = self.gpr_or_memory(a, RAX);
                if is_half {
                    put!(self, cmpl_mi, operand, n as u32);
                } else {
                    put!(self, cmpq_mi, operand, n);
                }
            }
            None => {
                let first = self.gpr(a, RAX);
                let second = self.gpr_or_memory(b, RCX);
                if is_half {
                    put!(self, cmpl_rm, first, second);
                } else {
                    put!(self, cmpq_rm, first, second);
                }
            }
        }
    }

    /// Compares what a deferred load would load.
    pub(super) fn compare_loaded(&mut self, a: Value, b: Value) {
        let Some(load) = self.func.maker(a) else { return };
        let InstData::Load { opcode, arg, offset } = *self.func.data(load) else { return };
        let from = self.address(arg, offset);
        let constant = if let Kind::Int(n) = self.plan.kind(b) { i32::try_from(n).ok() } else { None };
        match constant {
            Some(n) if opcode == Opcode::Uload8 => put!(self, cmpb_mi, from, n as u8),
            Some(n) => put!(self, cmpq_mi, from, n),
            None => {
                let second = self.gpr(b, RDX);
                put!(self, cmpq_mr, from, second);
            }
        }
    }

    /// The machine's comparison says of NaN that it is equal and below; so conditions ask for above.
    pub(super) fn compare_floats(&mut self, cond: FloatCC, a: Value, b: Value) -> Test {
        let (a, b) = match cond {
            FloatCC::LessThan
            | FloatCC::LessThanOrEqual
            | FloatCC::UnorderedOrGreaterThan
            | FloatCC::UnorderedOrGreaterThanOrEqual => (b, a),
            _ => (a, b),
        };
        let first = self.xmm(a, XMM_A);
        let second = self.float(b);
        put!(self, ucomisd_a, first, second);
        match cond {
            FloatCC::Equal => Test::FloatsEqual,
            FloatCC::NotEqual => Test::FloatsDiffer,
            FloatCC::LessThan | FloatCC::GreaterThan => Test::If(Condition::Above),
            FloatCC::LessThanOrEqual | FloatCC::GreaterThanOrEqual => Test::If(Condition::AboveOrEqual),
            FloatCC::UnorderedOrGreaterThanOrEqual | FloatCC::UnorderedOrLessThanOrEqual => {
                Test::If(Condition::BelowOrEqual)
            }
            FloatCC::UnorderedOrGreaterThan | FloatCC::UnorderedOrLessThan => Test::If(Condition::Below),
            FloatCC::Ordered => Test::If(Condition::NoParity),
            FloatCC::Unordered => Test::If(Condition::Parity),
            FloatCC::OrderedNotEqual => Test::If(Condition::NotEqual),
            FloatCC::UnorderedOrEqual => Test::If(Condition::Equal),
        }
    }

    /// A comparison whose result is a value.
    pub(super) fn flag(&mut self, inst: Inst, result: Value) {
        match self.compare(inst) {
            Test::If(condition) => self.set_if(condition, RAX),
            Test::Always(is) => self.load_int(RAX, i64::from(is)),
            Test::FloatsEqual => {
                self.set_if(Condition::NoParity, RCX);
                self.set_if(Condition::Equal, RAX);
                put!(self, andq_rm, RAX, RCX);
            }
            Test::FloatsDiffer => {
                self.set_if(Condition::Parity, RCX);
                self.set_if(Condition::NotEqual, RAX);
                put!(self, orq_rm, RAX, RCX);
            }
        }
        self.give(result, RAX);
    }

    /// 1 if the condition holds, otherwise 0. The flags stay.
    pub(super) fn set_if(&mut self, condition: Condition, to: u8) {
        match condition {
            Condition::Below => put!(self, setb_m, to),
            Condition::AboveOrEqual => put!(self, setae_m, to),
            Condition::Equal => put!(self, sete_m, to),
            Condition::NotEqual => put!(self, setne_m, to),
            Condition::BelowOrEqual => put!(self, setbe_m, to),
            Condition::Above => put!(self, seta_m, to),
            Condition::Parity => put!(self, setp_m, to),
            Condition::NoParity => put!(self, setnp_m, to),
            Condition::Less => put!(self, setl_m, to),
            Condition::GreaterOrEqual => put!(self, setge_m, to),
            Condition::LessOrEqual => put!(self, setle_m, to),
            Condition::Greater => put!(self, setg_m, to),
        }
        put!(self, movzbl_rm, to, to);
    }

    pub(super) fn move_if(&mut self, condition: Condition, to: u8, from: GprOrMemory) {
        match condition {
            Condition::Below => put!(self, cmovbq_rm, to, from),
            Condition::AboveOrEqual => put!(self, cmovaeq_rm, to, from),
            Condition::Equal => put!(self, cmoveq_rm, to, from),
            Condition::NotEqual => put!(self, cmovneq_rm, to, from),
            Condition::BelowOrEqual => put!(self, cmovbeq_rm, to, from),
            Condition::Above => put!(self, cmovaq_rm, to, from),
            Condition::Parity => put!(self, cmovpq_rm, to, from),
            Condition::NoParity => put!(self, cmovnpq_rm, to, from),
            Condition::Less => put!(self, cmovlq_rm, to, from),
            Condition::GreaterOrEqual => put!(self, cmovgeq_rm, to, from),
            Condition::LessOrEqual => put!(self, cmovleq_rm, to, from),
            Condition::Greater => put!(self, cmovgq_rm, to, from),
        }
    }

    /// One of two values. Moves leave the flags as they are.
    pub(super) fn select(&mut self, flag: Value, a: Value, b: Value, result: Value) -> Result<(), Unknown> {
        let is_float = self.ty(result) == types::F64;
        let condition = match self.test(flag) {
            Test::If(condition) => condition,
            Test::Always(is) => {
                let chosen = if is { a } else { b };
                if is_float {
                    self.take_float(XMM_A, chosen);
                    self.give_float(result, XMM_A);
                } else {
                    self.take(RAX, chosen);
                    self.give(result, RAX);
                }
                return Ok(());
            }
            // The plan makes these where they stand.
            Test::FloatsEqual | Test::FloatsDiffer => return Err(Unknown::new(flag)),
        };
        if is_float {
            let done = self.code.label();
            self.take_float(XMM_A, a);
            self.code.jump_if(condition, done);
            self.take_float(XMM_A, b);
            self.code.bind(done);
            self.give_float(result, XMM_A);
        } else {
            self.take(RAX, b);
            let chosen = self.gpr_or_memory(a, RDX);
            self.move_if(condition, RAX, chosen);
            self.give(result, RAX);
        }
        Ok(())
    }
}

fn condition(cond: IntCC) -> Condition {
    match cond {
        IntCC::Equal => Condition::Equal,
        IntCC::NotEqual => Condition::NotEqual,
        IntCC::SignedLessThan => Condition::Less,
        IntCC::SignedGreaterThanOrEqual => Condition::GreaterOrEqual,
        IntCC::SignedGreaterThan => Condition::Greater,
        IntCC::SignedLessThanOrEqual => Condition::LessOrEqual,
        IntCC::UnsignedLessThan => Condition::Below,
        IntCC::UnsignedGreaterThanOrEqual => Condition::AboveOrEqual,
        IntCC::UnsignedGreaterThan => Condition::Above,
        IntCC::UnsignedLessThanOrEqual => Condition::BelowOrEqual,
    }
}
