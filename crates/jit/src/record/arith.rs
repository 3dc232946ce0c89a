//! Arithmetic, bit operations, length, concatenation.

use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;

use super::Recorder;
use super::loops::float_of;
use crate::abort::Abort;
use crate::view::View;

/// A binary operator, whatever the form of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    /// As `Mod`, of floats by the quotient rounded down.
    ModByFloor,
    IDiv,
    Pow,
    And,
    Or,
    Xor,
    Shl,
    Shr,
}

fn operator(op: Op) -> Option<Operator> {
    Some(match op {
        Op::Add | Op::AddK | Op::AddI => Operator::Add,
        Op::Sub | Op::SubK => Operator::Sub,
        Op::Mul | Op::MulK => Operator::Mul,
        Op::Div | Op::DivK => Operator::Div,
        Op::Mod | Op::ModK => Operator::Mod,
        Op::ModF | Op::ModFK => Operator::ModByFloor,
        Op::IDiv | Op::IDivK => Operator::IDiv,
        Op::Pow | Op::PowK => Operator::Pow,
        Op::BAnd | Op::BAndK => Operator::And,
        Op::BOr | Op::BOrK => Operator::Or,
        Op::BXor | Op::BXorK => Operator::Xor,
        Op::Shl | Op::ShlI => Operator::Shl,
        Op::Shr | Op::ShrI => Operator::Shr,
        _ => return None,
    })
}

impl Operator {
    /// Whether operands may be numbers of either kind.
    fn takes_either(self) -> bool {
        matches!(self, Operator::Add | Operator::Sub | Operator::Mul | Operator::Div | Operator::Pow)
    }

    fn event(self) -> Event {
        match self {
            Operator::Add => Event::Add,
            Operator::Sub => Event::Sub,
            Operator::Mul => Event::Mul,
            Operator::Div => Event::Div,
            Operator::Mod | Operator::ModByFloor => Event::Mod,
            Operator::IDiv => Event::IDiv,
            Operator::Pow => Event::Pow,
            Operator::And => Event::BAnd,
            Operator::Or => Event::BOr,
            Operator::Xor => Event::BXor,
            Operator::Shl => Event::Shl,
            Operator::Shr => Event::Shr,
        }
    }
}

pub(super) fn is_number(ty: Ty) -> bool {
    matches!(ty, Ty::Int | Ty::Float | Ty::Num)
}

/// Whether a float is a power of two whose reciprocal is one, too.
fn has_reciprocal(x: f64) -> bool {
    const FRACTION: u64 = (1 << 52) - 1;
    x.to_bits() & FRACTION == 0 && x.is_normal() && (1.0 / x).is_normal()
}

impl Recorder {
    pub(super) fn arith_registers(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let (x, y) = (self.get_number(view, i.b())?, self.get_number(view, i.c())?);
        let seen = (view.reg(i.b().into()), view.reg(i.c().into()));
        self.arith(view, op, i.a(), (x, y), seen)
    }

    pub(super) fn arith_constant(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.b())?;
        let constant = view.constant(self.frame().proto, i.d() as usize);
        let y = self.constant_of(constant)?;
        let seen = view.reg(i.b().into());
        // Operands were swapped only for operators that do not mind; a metamethod would.
        if i.c() != 0 {
            return self.arith(view, op, i.a(), (y, x), (constant, seen));
        }
        self.arith(view, op, i.a(), (x, y), (seen, constant))
    }

    pub(super) fn arith_immediate(&mut self, view: &View<'_>, op: Op, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.b())?;
        let seen = view.reg(i.b().into());
        if op == Op::AddI && !is_number(self.ty(x)) {
            return self.immediate_metamethod(view, i, (x, seen));
        }
        let constant = Value::int(i64::from(i.d()));
        let y = self.constant_of(constant)?;
        self.arith(view, op, i.a(), (x, y), (seen, constant))
    }

    /// `AddI` of no number: the operands are those of the source, which had `x + n`, `x - n` or `n + x`.
    fn immediate_metamethod(&mut self, view: &View<'_>, i: Instr, x: (Ref, Value)) -> Result<(), Abort> {
        let (x, seen) = x;
        let n = i64::from(i.d());
        let constant = Value::int(if i.c() == 1 { -n } else { n });
        let y = self.constant_of(constant)?;
        match i.c() {
            0 => self.binary_metamethod(view, Event::Add, (x, y), (seen, constant)),
            1 => self.binary_metamethod(view, Event::Sub, (x, y), (seen, constant)),
            _ => self.binary_metamethod(view, Event::Add, (y, x), (constant, seen)),
        }
    }

    fn arith(
        &mut self,
        view: &View<'_>,
        op: Op,
        target: u8,
        operands: (Ref, Ref),
        seen: (Value, Value),
    ) -> Result<(), Abort> {
        let operator = operator(op).ok_or(Abort::Opcode)?;
        let (x, y) = operands;
        if !is_number(self.ty(x)) || !is_number(self.ty(y)) {
            return self.binary_metamethod(view, operator.event(), operands, seen);
        }
        let (x, y) = if operator.takes_either() { (x, y) } else { (self.typed(x, seen.0)?, self.typed(y, seen.1)?) };
        let result = match self.exact_remainder(operator, (x, y), seen.0)? {
            Some(result) => result,
            None => self.number_op(operator, x, y)?,
        };
        self.set(target, result);
        Ok(())
    }

    /// The remainder of a float above 0 by a power of two from 1 on: quotient, product and difference are exact, for none is above the
    /// float. (The quotient by less than 1 may be infinite.) Others differ in the sign of a zero.
    fn exact_remainder(&mut self, operator: Operator, (x, y): (Ref, Ref), seen: Value) -> Result<Option<Ref>, Abort> {
        let is_int = self.ty(x) == Ty::Int && self.ty(y) == Ty::Int;
        if operator != Operator::Mod || is_int || float_of(seen) <= 0.0 {
            return Ok(None);
        }
        let (x, y) = (self.float_of(x), self.float_of(y));
        if !self.builder.tree().const_float(y).is_some_and(|y| y >= 1.0 && has_reciprocal(y)) {
            return Ok(None);
        }
        let zero = self.builder.float(0.0);
        self.guard(Ir::FLt, &[zero, x])?;
        Ok(Some(self.remainder_by_floor(x, y)))
    }

    /// `x - floor(x / y) * y`.
    fn remainder_by_floor(&mut self, x: Ref, y: Ref) -> Ref {
        let quotient = self.quotient(x, y);
        let floor = self.builder.value(Ir::FFloor, &[quotient]);
        let product = self.builder.value(Ir::FMul, &[floor, y]);
        self.builder.value(Ir::FSub, &[x, product])
    }

    /// The quotient of two floats: by a power of two it is a product, rounded once, with the same bits.
    fn quotient(&mut self, x: Ref, y: Ref) -> Ref {
        match self.builder.tree().const_float(y) {
            Some(divisor) if has_reciprocal(divisor) => {
                let factor = self.builder.float(1.0 / divisor);
                self.builder.value(Ir::FMul, &[x, factor])
            }
            _ => self.builder.value(Ir::FDiv, &[x, y]),
        }
    }

    fn number_op(&mut self, operator: Operator, x: Ref, y: Ref) -> Result<Ref, Abort> {
        let both_int = self.ty(x) == Ty::Int && self.ty(y) == Ty::Int;
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Shl | Operator::Shr => {
                let (x, y) = (self.int_of(x)?, self.int_of(y)?);
                let ir = match operator {
                    Operator::And => Ir::And,
                    Operator::Or => Ir::Or,
                    Operator::Xor => Ir::Xor,
                    Operator::Shl => Ir::Shl,
                    _ => Ir::Shr,
                };
                Ok(self.builder.value(ir, &[x, y]))
            }
            Operator::Add | Operator::Sub | Operator::Mul => {
                let (int, float) = match operator {
                    Operator::Add => (Ir::Add, Ir::FAdd),
                    Operator::Sub => (Ir::Sub, Ir::FSub),
                    _ => (Ir::Mul, Ir::FMul),
                };
                if both_int {
                    return Ok(self.builder.value(int, &[x, y]));
                }
                if self.ty(x) == Ty::Num || self.ty(y) == Ty::Num {
                    return Ok(self.either_op(int, float, x, y));
                }
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(self.builder.value(float, &[x, y]))
            }
            Operator::Div => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(self.quotient(x, y))
            }
            Operator::Pow => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                // The square is one multiplication, rounded once: the same bits.
                if self.builder.tree().const_float(y) == Some(2.0) {
                    return Ok(self.builder.value(Ir::FMul, &[x, x]));
                }
                Ok(self.builder.call(Helper::Pow, &[x, y], Ty::Float, None))
            }
            Operator::IDiv | Operator::Mod if both_int => {
                let zero = self.builder.int(0);
                self.guard(Ir::Ne, &[y, zero])?;
                Ok(self.builder.value(if operator == Operator::IDiv { Ir::IDiv } else { Ir::Mod }, &[x, y]))
            }
            Operator::IDiv => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                let quotient = self.quotient(x, y);
                Ok(self.builder.value(Ir::FFloor, &[quotient]))
            }
            Operator::Mod => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(self.builder.call(Helper::FMod, &[x, y], Ty::Float, None))
            }
            Operator::ModByFloor => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(self.remainder_by_floor(x, y))
            }
        }
    }

    /// A number as a float.
    pub(super) fn float_of(&mut self, x: Ref) -> Ref {
        match self.ty(x) {
            Ty::Int => self.builder.value(Ir::IToF, &[x]),
            Ty::Num => self.builder.number_as_float(x),
            _ => x,
        }
    }

    /// An integer as the language has it: a float where all numbers are floats.
    pub(super) fn number_of(&mut self, view: &View<'_>, int: Ref) -> Ref {
        if view.dialect().integers { int } else { self.float_of(int) }
    }

    /// A number as an integer, which it must be exactly.
    pub(super) fn int_of(&mut self, x: Ref) -> Result<Ref, Abort> {
        match self.ty(x) {
            Ty::Int => Ok(x),
            Ty::Float => {
                let snap = self.snap();
                Ok(self.builder.float_to_int(x, snap))
            }
            _ => Err(Abort::Types),
        }
    }

    pub(super) fn unm(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.b())?;
        let result = match self.ty(x) {
            Ty::Num => self.builder.number_negated(x),
            Ty::Int => self.builder.value(Ir::Neg, &[x]),
            Ty::Float => self.builder.value(Ir::FNeg, &[x]),
            _ => {
                let seen = view.reg(i.b().into());
                return self.binary_metamethod(view, Event::Unm, (x, x), (seen, seen));
            }
        };
        self.set(i.a(), result);
        Ok(())
    }

    pub(super) fn bnot(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get(view, i.b())?;
        if !is_number(self.ty(x)) {
            let seen = view.reg(i.b().into());
            return self.binary_metamethod(view, Event::BNot, (x, x), (seen, seen));
        }
        let x = self.int_of(x)?;
        let result = self.builder.value(Ir::Not, &[x]);
        self.set(i.a(), result);
        Ok(())
    }

    pub(super) fn not(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get_number(view, i.b())?;
        let result = self.boolean(matches!(self.ty(x), Ty::Nil | Ty::False));
        self.set(i.a(), result);
        Ok(())
    }

    pub(super) fn len(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let x = self.get(view, i.b())?;
        let seen = view.reg(i.b().into());
        let result = match self.ty(x) {
            Ty::Str => self.load(Field::StrLen, x),
            Ty::Table => {
                if view.dialect().len_of_tables
                    && let Some((function, handler)) = self.metamethod(view, x, seen, Event::Len)?
                {
                    return self.call_handler(view, function, handler, &[x, x], 1);
                }
                self.load(Field::Len, x)
            }
            _ => return Err(Abort::Types),
        };
        let result = self.number_of(view, result);
        self.set(i.a(), result);
        Ok(())
    }

    pub(super) fn concat(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let count = i.c();
        let mut parts = Vec::new();
        for n in 0..count {
            let v = self.get(view, i.b() + n)?;
            if !matches!(self.ty(v), Ty::Str | Ty::Int | Ty::Float) {
                if count == 2 {
                    let x = self.get(view, i.b())?;
                    let y = self.get(view, i.b() + 1)?;
                    let seen = (view.reg(i.b().into()), view.reg(u32::from(i.b()) + 1));
                    return self.binary_metamethod(view, Event::Concat, (x, y), seen);
                }
                return Err(Abort::Metamethod);
            }
            parts.push(v);
        }
        let snap = self.service();
        let result = match parts[..] {
            [x, y] if self.ty(x) == Ty::Str && self.ty(y) == Ty::Str => {
                self.builder.call(Helper::StrCat, &[x, y], Ty::Str, Some(snap))
            }
            _ => {
                let first = self.frame().base + u32::from(i.b());
                for (n, part) in parts.iter().enumerate() {
                    self.builder.store_place(first + n as u32, *part);
                }
                let place = self.builder.place(first);
                let n = self.builder.int(i64::from(count));
                self.builder.call(Helper::Concat, &[place, n], Ty::Str, Some(snap))
            }
        };
        self.allocated = true;
        self.set(i.a(), result);
        Ok(())
    }

    /// Whether the VM's value is a number that arithmetic converts from a string.
    pub(super) fn is_numeric_string(seen: Value) -> bool {
        seen.tag == Tag::Str
    }
}
