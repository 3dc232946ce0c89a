//! Constant folding, with the arithmetic that the program would use.
//!
//! Not folded: what would raise an error, division by zero of either kind, and results that are NaN or a float zero,
//! whose sign a constant could lose (and does lose in the versions that merge zeros).

use perilune_base::dialect::Dialect;
use perilune_base::num::Num;
use perilune_base::num::arith::{ArithOp, arith_in};
use perilune_syntax::ast::{Binop, Unop};

use crate::exp::{Exp, Kind};

/// The constant that results from a binary operation on two expressions, if they are numerals and it may be folded.
pub(crate) fn fold_binary(op: Binop, e1: &Exp, e2: &Exp, dialect: &Dialect) -> Option<Exp> {
    fold(binary_op(op)?, numeral(e1)?, numeral(e2)?, dialect)
}

/// The constant that results from a unary operation.
pub(crate) fn fold_unary(op: Unop, e: &Exp, dialect: &Dialect) -> Option<Exp> {
    let op = match op {
        Unop::Neg => ArithOp::Neg,
        Unop::BNot => ArithOp::BNot,
        Unop::Not | Unop::Len => return None,
    };
    fold(op, numeral(e)?, Num::Int(0), dialect)
}

fn numeral(e: &Exp) -> Option<Num> {
    match e.kind {
        Kind::Int(int) if !e.has_jumps() => Some(Num::Int(int)),
        Kind::Float(float) if !e.has_jumps() => Some(Num::Float(float)),
        _ => None,
    }
}

fn fold(op: ArithOp, a: Num, b: Num, dialect: &Dialect) -> Option<Exp> {
    let divides = matches!(op, ArithOp::Div | ArithOp::IDiv | ArithOp::Mod);
    if divides && b.to_float() == 0.0 {
        return None;
    }
    let kind = match arith_in(dialect, op, a, b)? {
        Num::Int(int) => Kind::Int(int),
        Num::Float(float) if float.is_nan() || float == 0.0 && !dialect.merged_zeros => return None,
        Num::Float(float) => Kind::Float(float),
    };
    Some(Exp::new(kind))
}

fn binary_op(op: Binop) -> Option<ArithOp> {
    Some(match op {
        Binop::Add => ArithOp::Add,
        Binop::Sub => ArithOp::Sub,
        Binop::Mul => ArithOp::Mul,
        Binop::Mod => ArithOp::Mod,
        Binop::Pow => ArithOp::Pow,
        Binop::Div => ArithOp::Div,
        Binop::IDiv => ArithOp::IDiv,
        Binop::BAnd => ArithOp::BAnd,
        Binop::BOr => ArithOp::BOr,
        Binop::BXor => ArithOp::BXor,
        Binop::Shl => ArithOp::Shl,
        Binop::Shr => ArithOp::Shr,
        Binop::Concat
        | Binop::Eq
        | Binop::Lt
        | Binop::Le
        | Binop::Ne
        | Binop::Gt
        | Binop::Ge
        | Binop::And
        | Binop::Or => return None,
    })
}
