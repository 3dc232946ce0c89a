//! Operators on descriptors: arithmetic with constant operands, comparisons fused with their jump, `and`, `or`, `not`.
//!
//! A binary operator is compiled in two steps around its right operand: [`FuncState::infix`] settles the left operand as
//! far as the evaluation order demands, [`FuncState::posfix`] emits the operation. The operands of `..` are handled by
//! the walk over the tree, which sees the whole chain.

use perilune_bytecode::ops::{Instr, Op};
use perilune_syntax::ast::{Binop, Unop};

use crate::exp::{Exp, JumpList, Kind, Reg};
use crate::failure::Res;
use crate::fold::{fold_binary, fold_unary};
use crate::func_state::FuncState;
use crate::jumps::NO_REG;

/// The right operand of an arithmetic instruction.
#[derive(Clone, Copy)]
enum Operand {
    Reg(Reg),
    Imm(i32),
    Const(i32),
}

impl FuncState<'_> {
    /// Applies a unary operator, which stands in `line`.
    pub(crate) fn prefix(&mut self, op: Unop, e: &mut Exp, line: u32) -> Res<()> {
        self.discharge_vars(e);
        if let Some(folded) = fold_unary(op, e, self.dialect) {
            *e = folded;
            return Ok(());
        }
        let op = match op {
            Unop::Not => return self.not(e),
            Unop::Neg => Op::Unm,
            Unop::BNot => Op::BNot,
            Unop::Len if self.dialect.integers => Op::Len,
            Unop::Len => Op::LenF,
        };
        let reg = self.exp_to_any(e)?;
        self.free_exp(e);
        *e = Exp::new(Kind::Pending(self.emit_abc(op, 0, reg, 0)));
        self.fix_operator_line(line);
        Ok(())
    }

    /// Prepares the left operand, before the right one is compiled.
    pub(crate) fn infix(&mut self, op: Binop, e: &mut Exp) -> Res<()> {
        self.discharge_vars(e);
        match op {
            Binop::And => self.go_if_true(e)?,
            Binop::Or => self.go_if_false(e)?,
            Binop::Concat => {
                self.exp_to_next(e)?;
            }
            Binop::Eq | Binop::Ne if e.is_constant() => {
                if self.dialect.merged_zeros {
                    // The first operand is the first one among the constants.
                    self.exp_const(e);
                }
            }
            Binop::Add
            | Binop::Sub
            | Binop::Mul
            | Binop::Mod
            | Binop::Pow
            | Binop::Div
            | Binop::IDiv
            | Binop::BAnd
            | Binop::BOr
            | Binop::BXor
            | Binop::Shl
            | Binop::Shr
            | Binop::Lt
            | Binop::Le
            | Binop::Gt
            | Binop::Ge
                if e.is_numeral() => {}
            _ => {
                self.exp_to_any(e)?;
            }
        }
        Ok(())
    }

    /// Completes a binary operation; the operator stands in `line`.
    pub(crate) fn posfix(&mut self, op: Binop, e1: Exp, e2: Exp, line: u32) -> Res<Exp> {
        let mut e2 = e2;
        self.discharge_vars(&mut e2);
        if let Some(folded) = fold_binary(op, &e1, &e2, self.dialect) {
            return Ok(folded);
        }
        match op {
            Binop::And => {
                self.append(&mut e2.f, e1.f);
                Ok(e2)
            }
            Binop::Or => {
                self.append(&mut e2.t, e1.t);
                Ok(e2)
            }
            Binop::Add | Binop::Mul => self.commutative(op, e1, e2, line),
            Binop::Sub => self.subtraction(e1, e2, line),
            Binop::Mod | Binop::Pow | Binop::Div | Binop::IDiv => self.arithmetic(op, e1, e2, false, line),
            Binop::BAnd | Binop::BOr | Binop::BXor => self.bitwise(op, e1, e2, line),
            Binop::Shl | Binop::Shr => self.shift(op, e1, e2, line),
            Binop::Eq | Binop::Ne => self.equality(op, e1, e2),
            Binop::Lt | Binop::Le | Binop::Gt | Binop::Ge => self.order(op, e1, e2),
            Binop::Concat => {
                debug_assert!(false, "chains of `..` are compiled as a whole");
                Ok(e2)
            }
        }
    }

    /// Concatenates `n` values in the registers from `base` up, which are the last used ones.
    pub(crate) fn concat(&mut self, base: Reg, n: u8, line: u32) -> Exp {
        debug_assert_eq!(base + n, self.free);
        self.free = base;
        let pc = self.emit_abc(Op::Concat, 0, base, n);
        self.fix_operator_line(line);
        Exp::new(Kind::Pending(pc))
    }

    /// Lets the instruction of an operator count to the operator's line, if it does not to that of the last token.
    fn fix_operator_line(&mut self, line: u32) {
        if self.dialect.operators_have_lines {
            self.fix_line(line);
        }
    }

    // Arithmetic.

    /// Emits an operation whose right operand is settled.
    fn binary(&mut self, op: Op, e1: &mut Exp, e2: &Exp, operand: Operand, c: u8, line: u32) -> Res<Exp> {
        let lhs = self.exp_to_any(e1)?;
        let pc = self.emit(match operand {
            Operand::Reg(rhs) => Instr::new(op, 0, lhs, rhs, 0),
            Operand::Imm(d) | Operand::Const(d) => Instr::new(op, 0, lhs, c, d),
        });
        self.free_exps(e1, e2);
        self.fix_operator_line(line);
        Ok(Exp::new(Kind::Pending(pc)))
    }

    /// Emits an operation on two registers.
    fn binary_regs(&mut self, op: Binop, e1: &mut Exp, e2: &mut Exp, line: u32) -> Res<Exp> {
        let rhs = self.exp_to_any(e2)?;
        self.binary(self.register_op(op), e1, e2, Operand::Reg(rhs), 0, line)
    }

    /// Emits an operation with a constant as `e2`, which was the left operand if `flipped`.
    fn binary_const(&mut self, op: Op, e1: &mut Exp, e2: &Exp, flipped: bool, line: u32) -> Res<Option<Exp>> {
        match self.exp_const(e2) {
            Some(k) => self.binary(op, e1, e2, Operand::Const(k as i32), u8::from(flipped), line).map(Some),
            None => Ok(None),
        }
    }

    /// `+ - * % ^ / //`, with a constant right operand if possible. If `flipped`, the operands have been exchanged.
    fn arithmetic(&mut self, op: Binop, e1: Exp, e2: Exp, flipped: bool, line: u32) -> Res<Exp> {
        let (mut e1, mut e2) = (e1, e2);
        if e2.is_numeral()
            && let Some(op) = self.const_op(op)
            && let Some(e) = self.binary_const(op, &mut e1, &e2, flipped, line)?
        {
            return Ok(e);
        }
        if flipped {
            std::mem::swap(&mut e1, &mut e2);
        }
        self.binary_regs(op, &mut e1, &mut e2, line)
    }

    /// `+` and `*`: a constant left operand is exchanged with the right one.
    fn commutative(&mut self, op: Binop, e1: Exp, e2: Exp, line: u32) -> Res<Exp> {
        let (mut e1, mut e2) = (e1, e2);
        let flipped = e1.is_numeral();
        if flipped {
            std::mem::swap(&mut e1, &mut e2);
        }
        match small(&e2) {
            Some(imm) if op == Binop::Add => {
                let flag = if flipped { 2 } else { 0 };
                self.binary(Op::AddI, &mut e1, &e2, Operand::Imm(imm), flag, line)
            }
            _ => self.arithmetic(op, e1, e2, flipped, line),
        }
    }

    /// `-`: `x - 3` is `x + -3`. As in some references, so is `x - 0`, which makes a negative zero positive.
    fn subtraction(&mut self, e1: Exp, e2: Exp, line: u32) -> Res<Exp> {
        match small(&e2).and_then(i32::checked_neg) {
            Some(negated) if negated != 0 || self.dialect.subtracts_by_adding => {
                let mut e1 = e1;
                self.binary(Op::AddI, &mut e1, &e2, Operand::Imm(negated), 1, line)
            }
            _ => self.arithmetic(Binop::Sub, e1, e2, false, line),
        }
    }

    /// `& | ~`, with an integer constant as right operand if one of them is.
    fn bitwise(&mut self, op: Binop, e1: Exp, e2: Exp, line: u32) -> Res<Exp> {
        let (mut e1, mut e2) = (e1, e2);
        let flipped = e1.as_int().is_some();
        if flipped {
            std::mem::swap(&mut e1, &mut e2);
        }
        if e2.as_int().is_some()
            && let Some(op) = self.const_op(op)
            && let Some(e) = self.binary_const(op, &mut e1, &e2, flipped, line)?
        {
            return Ok(e);
        }
        if flipped {
            std::mem::swap(&mut e1, &mut e2);
        }
        self.binary_regs(op, &mut e1, &mut e2, line)
    }

    /// `<< >>`, with an immediate right operand if possible.
    fn shift(&mut self, op: Binop, e1: Exp, e2: Exp, line: u32) -> Res<Exp> {
        let (mut e1, mut e2) = (e1, e2);
        match small(&e2) {
            Some(imm) => {
                let op = if op == Binop::Shl { Op::ShlI } else { Op::ShrI };
                self.binary(op, &mut e1, &e2, Operand::Imm(imm), 0, line)
            }
            None => self.binary_regs(op, &mut e1, &mut e2, line),
        }
    }

    /// The instruction for an operation on two registers.
    fn register_op(&self, op: Binop) -> Op {
        if op == Binop::Mod && !self.dialect.integers { Op::ModF } else { register_op(op) }
    }

    /// The instruction for an operation with a constant.
    fn const_op(&self, op: Binop) -> Option<Op> {
        if op == Binop::Mod && !self.dialect.integers { Some(Op::ModFK) } else { const_op(op) }
    }

    // Comparisons.

    /// The comparison `instr`, as an expression that jumps when its outcome is `cond`.
    fn comparison(&mut self, instr: Instr, cond: bool, e1: &Exp, e2: &Exp) -> Exp {
        self.free_exps(e1, e2);
        Exp::new(Kind::Jump(self.cond_jump(instr, cond)))
    }

    /// `== ~=`. A constant operand comes second, since the order of operands makes no difference.
    fn equality(&mut self, op: Binop, e1: Exp, e2: Exp) -> Res<Exp> {
        let (mut e1, mut e2) = (e1, e2);
        if !matches!(e1.kind, Kind::Reg(_)) {
            std::mem::swap(&mut e1, &mut e2);
        }
        let lhs = self.exp_to_any(&mut e1)?;
        if self.dialect.merged_zeros && e2.integral() == Some(0) {
            // The zero counts as a constant of the function, although it is an immediate.
            self.exp_const(&e2);
        }
        let immediate = e2.integral().and_then(|int| i16::try_from(int).ok());
        let instr = if let Some(imm) = immediate {
            Instr::with_bc(Op::EqI, lhs, imm as u16, 0)
        } else if let Some(k) = self.small_const(&e2) {
            Instr::with_bc(Op::EqK, lhs, k, 0)
        } else {
            let rhs = self.exp_to_any(&mut e2)?;
            Instr::new(Op::Eq, lhs, rhs, 0, 0)
        };
        Ok(self.comparison(instr, op == Binop::Eq, &e1, &e2))
    }

    /// `< <= > >=`. With a numeral on the left, `3 < x` becomes `x > 3`.
    fn order(&mut self, op: Binop, e1: Exp, e2: Exp) -> Res<Exp> {
        let (mut e1, mut e2, mut op) = (e1, e2, op);
        if e1.is_numeral() && !e2.is_numeral() {
            std::mem::swap(&mut e1, &mut e2);
            op = mirrored(op);
        }
        if let Some(imm) = e2.as_int().and_then(|int| i16::try_from(int).ok()) {
            let lhs = self.exp_to_any(&mut e1)?;
            let instr = Instr::with_bc(immediate_order(op), lhs, imm as u16, 0);
            return Ok(self.comparison(instr, true, &e1, &e2));
        }
        if e2.is_numeral()
            && let Some(k) = self.small_const(&e2)
        {
            let lhs = self.exp_to_any(&mut e1)?;
            let instr = Instr::with_bc(const_order(op), lhs, k, 0);
            return Ok(self.comparison(instr, true, &e1, &e2));
        }
        if matches!(op, Binop::Gt | Binop::Ge) {
            std::mem::swap(&mut e1, &mut e2);
            op = mirrored(op);
        }
        let lhs = self.exp_to_any(&mut e1)?;
        let rhs = self.exp_to_any(&mut e2)?;
        let op = if op == Binop::Lt { Op::Lt } else { Op::Le };
        Ok(self.comparison(Instr::new(op, lhs, rhs, 0, 0), true, &e1, &e2))
    }

    /// The index of a constant, if it has 16 bits.
    fn small_const(&mut self, e: &Exp) -> Option<u16> {
        if !e.is_constant() {
            return None;
        }
        u16::try_from(self.exp_const(e)?).ok()
    }

    // Logic.

    /// Inverts the condition of a comparison.
    fn negate(&mut self, pc: u32) {
        let instr = self.instr_mut(pc);
        *instr = instr.set_d(instr.d() ^ 1);
    }

    /// Emits a jump that is taken if the truth of `e` is `cond`, keeping the value.
    fn jump_on(&mut self, e: &mut Exp, cond: bool) -> Res<JumpList> {
        if let Kind::Pending(pc) = e.kind {
            let instr = self.instr(pc);
            if instr.op() == Some(Op::Not) {
                debug_assert_eq!(pc + 1, self.pc());
                self.remove_last();
                return Ok(Some(self.cond_jump(Instr::new(Op::Test, instr.b(), 0, 0, 0), !cond)));
            }
        }
        let reg = self.discharge_to_any(e)?;
        self.free_exp(e);
        Ok(Some(self.cond_jump(Instr::new(Op::TestSet, NO_REG, reg, 0, 0), cond)))
    }

    /// Goes on if the expression is true, jumps otherwise.
    pub(crate) fn go_if_true(&mut self, e: &mut Exp) -> Res<()> {
        self.discharge_vars(e);
        let jump = match e.kind {
            Kind::Jump(pc) => {
                self.negate(pc);
                Some(pc)
            }
            kind if kind.is_true_constant() => None,
            _ => self.jump_on(e, false)?,
        };
        self.prepend(&mut e.f, jump);
        self.patch_to_here(e.t.take());
        Ok(())
    }

    /// Goes on if the expression is false, jumps otherwise.
    pub(crate) fn go_if_false(&mut self, e: &mut Exp) -> Res<()> {
        self.discharge_vars(e);
        let jump = match e.kind {
            Kind::Jump(pc) => Some(pc),
            Kind::Nil | Kind::False => None,
            _ => self.jump_on(e, true)?,
        };
        self.prepend(&mut e.t, jump);
        self.patch_to_here(e.f.take());
        Ok(())
    }

    /// `not`
    fn not(&mut self, e: &mut Exp) -> Res<()> {
        match e.kind {
            Kind::Nil | Kind::False => e.kind = Kind::True,
            kind if kind.is_true_constant() => e.kind = Kind::False,
            Kind::Jump(pc) => self.negate(pc),
            _ => {
                let reg = self.discharge_to_any(e)?;
                self.free_exp(e);
                e.kind = Kind::Pending(self.emit_abc(Op::Not, 0, reg, 0));
            }
        }
        std::mem::swap(&mut e.t, &mut e.f);
        self.remove_values(e.f);
        self.remove_values(e.t);
        Ok(())
    }
}

/// An integer constant that fits an immediate operand.
fn small(e: &Exp) -> Option<i32> {
    i32::try_from(e.as_int()?).ok()
}

fn mirrored(op: Binop) -> Binop {
    match op {
        Binop::Lt => Binop::Gt,
        Binop::Le => Binop::Ge,
        Binop::Gt => Binop::Lt,
        Binop::Ge => Binop::Le,
        other => other,
    }
}

/// The instruction for an operation on two registers.
fn register_op(op: Binop) -> Op {
    match op {
        Binop::Add => Op::Add,
        Binop::Sub => Op::Sub,
        Binop::Mul => Op::Mul,
        Binop::Mod => Op::Mod,
        Binop::Pow => Op::Pow,
        Binop::Div => Op::Div,
        Binop::IDiv => Op::IDiv,
        Binop::BAnd => Op::BAnd,
        Binop::BOr => Op::BOr,
        Binop::BXor => Op::BXor,
        Binop::Shl => Op::Shl,
        Binop::Shr => Op::Shr,
        Binop::Concat => Op::Concat,
        Binop::Eq | Binop::Ne => Op::Eq,
        Binop::Lt | Binop::Gt => Op::Lt,
        Binop::Le | Binop::Ge => Op::Le,
        Binop::And | Binop::Or => Op::TestSet,
    }
}

/// The instruction for an operation with a constant.
fn const_op(op: Binop) -> Option<Op> {
    Some(match op {
        Binop::Add => Op::AddK,
        Binop::Sub => Op::SubK,
        Binop::Mul => Op::MulK,
        Binop::Mod => Op::ModK,
        Binop::Pow => Op::PowK,
        Binop::Div => Op::DivK,
        Binop::IDiv => Op::IDivK,
        Binop::BAnd => Op::BAndK,
        Binop::BOr => Op::BOrK,
        Binop::BXor => Op::BXorK,
        Binop::Shl
        | Binop::Shr
        | Binop::Concat
        | Binop::Eq
        | Binop::Ne
        | Binop::Lt
        | Binop::Le
        | Binop::Gt
        | Binop::Ge
        | Binop::And
        | Binop::Or => return None,
    })
}

fn immediate_order(op: Binop) -> Op {
    match op {
        Binop::Lt => Op::LtI,
        Binop::Le => Op::LeI,
        Binop::Gt => Op::GtI,
        _ => Op::GeI,
    }
}

fn const_order(op: Binop) -> Op {
    match op {
        Binop::Lt => Op::LtK,
        Binop::Le => Op::LeK,
        Binop::Gt => Op::GtK,
        _ => Op::GeK,
    }
}
