//! Folding: what an operation comes to when its operands are constants, or say enough.
//!
//! The arithmetic is that of `perilune_base::num`, which the interpreter uses too, so that both cannot disagree.
//!
//! Floats fold only where the result is the same for every bit pattern. `x + 0.0` is not `x` when `x` is `-0.0`, and
//! `x * 0.0` is not `0.0` when `x` is NaN, infinite or negative: neither is folded.

use std::cmp::Ordering;

use perilune_base::num::{arith, convert};

use crate::ir::{Helper, Inst, Op, Ref, Tree, Ty};

/// What an operation comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Folded {
    /// This integer.
    Int(i64),
    /// This float.
    Float(f64),
    /// This earlier value.
    Same(Ref),
    /// Nothing simpler.
    No,
}

/// Folds a pure operation, or a checked conversion.
#[must_use]
pub fn fold(tree: &Tree, inst: &Inst) -> Folded {
    match (int_operand(tree, inst.a()), int_operand(tree, inst.b())) {
        (Some(a), Some(b)) => fold_ints(inst.op, a, b),
        (Some(a), None) => fold_left_int(inst, a),
        (None, Some(b)) => fold_right_int(inst, b),
        (None, None) => fold_floats(tree, inst),
    }
}

fn int_operand(tree: &Tree, r: Ref) -> Option<i64> {
    if r.is_some() { tree.const_int(r) } else { None }
}

fn float_operand(tree: &Tree, r: Ref) -> Option<f64> {
    if r.is_some() { tree.const_float(r) } else { None }
}

fn fold_ints(op: Op, a: i64, b: i64) -> Folded {
    match op {
        Op::Add => Folded::Int(a.wrapping_add(b)),
        Op::Sub => Folded::Int(a.wrapping_sub(b)),
        Op::Mul => Folded::Int(a.wrapping_mul(b)),
        Op::IDiv => arith::int_idiv(a, b).map_or(Folded::No, Folded::Int),
        Op::Mod => arith::int_mod(a, b).map_or(Folded::No, Folded::Int),
        Op::And => Folded::Int(a & b),
        Op::Or => Folded::Int(a | b),
        Op::Xor => Folded::Int(a ^ b),
        Op::Shl => Folded::Int(arith::shift_left(a, b)),
        Op::Shr => Folded::Int(arith::shift_right(a, b)),
        Op::Sar => Folded::Int(a >> (b & 63)),
        Op::IMax => Folded::Int(a.max(b)),
        Op::IMin => Folded::Int(a.min(b)),
        _ => Folded::No,
    }
}

fn fold_left_int(inst: &Inst, a: i64) -> Folded {
    match inst.op {
        Op::Neg => Folded::Int(a.wrapping_neg()),
        Op::Not => Folded::Int(!a),
        Op::IToF | Op::SmallToF => Folded::Float(a as f64),
        Op::Add | Op::Or | Op::Xor if a == 0 => Folded::Same(inst.b()),
        Op::Mul if a == 1 => Folded::Same(inst.b()),
        Op::And if a == -1 => Folded::Same(inst.b()),
        Op::Mul | Op::And if a == 0 => Folded::Int(0),
        _ => Folded::No,
    }
}

fn fold_right_int(inst: &Inst, b: i64) -> Folded {
    match inst.op {
        Op::Add | Op::Sub | Op::Or | Op::Xor | Op::Shl | Op::Shr if b == 0 => Folded::Same(inst.a()),
        Op::Mul | Op::IDiv if b == 1 => Folded::Same(inst.a()),
        Op::And if b == -1 => Folded::Same(inst.a()),
        Op::Mul | Op::And if b == 0 => Folded::Int(0),
        Op::Mod if b == 1 || b == -1 => Folded::Int(0),
        _ => Folded::No,
    }
}

fn fold_floats(tree: &Tree, inst: &Inst) -> Folded {
    let Some(a) = float_operand(tree, inst.a()) else { return fold_same(tree, inst) };
    if !inst.b().is_some() {
        return match inst.op {
            Op::FNeg => Folded::Float(-a),
            Op::FAbs => Folded::Float(a.abs()),
            Op::FSqrt => Folded::Float(a.sqrt()),
            Op::FFloor => Folded::Float(a.floor()),
            Op::FCeil => Folded::Float(a.ceil()),
            Op::FToI => convert::float_to_int(a).map_or(Folded::No, Folded::Int),
            _ => Folded::No,
        };
    }
    let Some(b) = float_operand(tree, inst.b()) else { return Folded::No };
    match inst.op {
        Op::FAdd => Folded::Float(a + b),
        Op::FSub => Folded::Float(a - b),
        Op::FMul => Folded::Float(a * b),
        Op::FDiv => Folded::Float(a / b),
        Op::FMax => Folded::Float(if a < b { b } else { a }),
        Op::FMin => Folded::Float(if b < a { b } else { a }),
        Op::Call if inst.helper() == Some(Helper::Pow) => Folded::Float(arith::pow(a, b)),
        Op::Call if inst.helper() == Some(Helper::FMod) && arith::float_mod_is_common(a, b) => {
            Folded::Float(arith::float_mod(a, b))
        }
        _ => Folded::No,
    }
}

/// Identities that need no constant.
fn fold_same(tree: &Tree, inst: &Inst) -> Folded {
    match inst.op {
        Op::Sub | Op::Xor if inst.a() == inst.b() => Folded::Int(0),
        Op::And | Op::Or if inst.a() == inst.b() => Folded::Same(inst.a()),
        // An integer converted to a float has no fraction.
        Op::FFloor | Op::FCeil if matches!(tree.inst(inst.a()).op, Op::IToF | Op::SmallToF) => Folded::Same(inst.a()),
        // What was stored on this path is known as what it is.
        Op::AsTable if tree.ty(inst.a()) == Ty::Table => Folded::Same(inst.a()),
        Op::Neg | Op::Not | Op::FNeg if tree.inst(inst.a()).op == inst.op => Folded::Same(tree.inst(inst.a()).a()),
        _ => Folded::No,
    }
}

/// Whether a guard holds, if that is known.
#[must_use]
pub fn decide(tree: &Tree, guard: &Inst) -> Option<bool> {
    if !guard.b().is_some() {
        return None;
    }
    let (a, b) = (guard.a(), guard.b());
    if a == b {
        return match guard.op {
            Op::Eq | Op::Le | Op::Ge => Some(true),
            Op::Ne | Op::Lt | Op::Gt | Op::Below => Some(false),
            Op::NotBelow => Some(true),
            // NaN is not equal to itself.
            _ => None,
        };
    }
    if let (Some(x), Some(y)) = (tree.const_float(a), tree.const_float(b)) {
        return match guard.op {
            Op::FEq => Some(x == y),
            Op::FNe => Some(x != y),
            Op::FLt => Some(x < y),
            Op::FLe => Some(x <= y),
            Op::FNotLt => Some(x.partial_cmp(&y) != Some(Ordering::Less)),
            Op::FNotLe => Some(matches!(x.partial_cmp(&y), None | Some(Ordering::Greater))),
            _ => None,
        };
    }
    if !(tree.is_const(a) && tree.is_const(b)) {
        return None;
    }
    let (x, y) = (tree.inst(a).imm as i64, tree.inst(b).imm as i64);
    match guard.op {
        Op::Eq => Some(x == y),
        Op::Ne => Some(x != y),
        Op::Lt => Some(x < y),
        Op::Le => Some(x <= y),
        Op::Gt => Some(x > y),
        Op::Ge => Some(x >= y),
        Op::Below => Some((x as u64) < y as u64),
        Op::NotBelow => Some(x as u64 >= y as u64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Folded, decide, fold};
    use crate::ir::{Op, Ref, Tree};

    /// What the last instruction of a segment with these lines comes to. `%0` is an integer, `%1` a float.
    fn folded(lines: &str) -> (Tree, Ref) {
        let text = format!(
            "header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt\nsegment 0 from header 0\n  {}\n  open\nsnap 0 guard, pc 1\n",
            lines.replace("; ", "\n  ")
        );
        let tree: Tree = text.parse().unwrap_or_else(|why| panic!("{lines}: {why}"));
        let last = tree.body(crate::ir::SegmentId(0)).last().expect("a line");
        (tree, last)
    }

    fn value(lines: &str) -> Folded {
        let (tree, last) = folded(lines);
        fold(&tree, tree.inst(last))
    }

    fn decided(line: &str) -> Option<bool> {
        let (tree, last) = folded(line);
        decide(&tree, tree.inst(last))
    }

    #[test]
    fn integers_fold_as_lua_counts() {
        for (line, n) in [
            ("%2 = add 9223372036854775807 1 int", i64::MIN),
            ("%2 = mul 4611686018427387904 4 int", 0),
            ("%2 = idiv -7 2 int", -4),
            ("%2 = idiv -9223372036854775808 -1 int", i64::MIN),
            ("%2 = mod -7 3 int", 2),
            ("%2 = mod 7 -3 int", -2),
            ("%2 = shl 1 64 int", 0),
            ("%2 = shl -1 -63 int", 1),
            ("%2 = shr -1 63 int", 1),
            ("%2 = sar -8 1 int", -4),
            ("%2 = neg -9223372036854775808 int", i64::MIN),
            ("%2 = mul %0 0 int", 0),
            ("%2 = mod %0 -1 int", 0),
            ("%2 = sub %0 %0 int", 0),
            ("%2 = ftoi 3.0 int -> snap 0", 3),
        ] {
            assert_eq!(value(line), Folded::Int(n), "{line}");
        }
    }

    #[test]
    fn identities_give_the_operand() {
        for line in ["add %0 0", "sub %0 0", "mul %0 1", "idiv %0 1", "or %0 0", "and %0 -1", "shl %0 0", "and %0 %0"] {
            assert_eq!(value(&format!("%2 = {line} int")), Folded::Same(Ref(0)), "{line}");
        }
        assert_eq!(value("%2 = fneg %1 flt; %3 = fneg %2 flt"), Folded::Same(Ref(1)));
        assert_eq!(value("%2 = itof %0 flt; %3 = ffloor %2 flt"), Folded::Same(Ref(2)));
    }

    #[test]
    fn floats_fold_only_where_every_bit_is_right() {
        // -0.0 + 0.0 is 0.0; NaN * 0.0 is NaN.
        for line in ["fadd %1 0.0", "fmul %1 0.0", "fmul %1 1.0", "fsub %1 %1", "fdiv %1 %1"] {
            assert_eq!(value(&format!("%2 = {line} flt")), Folded::No, "{line}");
        }
        let Folded::Float(zero) = value("%2 = fmul -1.0 0.0 flt") else { panic!("a constant") };
        assert!(zero == 0.0 && zero.is_sign_negative());
        // The order of operands decides.
        let Folded::Float(first) = value("%2 = fmax nan:0x7ff8000000000000 1.0 flt") else { panic!("a constant") };
        assert!(first.is_nan());
        assert_eq!(value("%2 = fmax 1.0 nan:0x7ff8000000000000 flt"), Folded::Float(1.0));
    }

    #[test]
    fn what_would_fail_or_trap_stays() {
        for line in
            ["idiv 1 0 int", "mod 1 0 int", "ftoi 2.5 int -> snap 0", "ftoi 9223372036854775808.0 int -> snap 0"]
        {
            assert_eq!(value(&format!("%2 = {line}")), Folded::No, "{line}");
        }
    }

    #[test]
    fn guards_are_decided_where_they_cannot_be_otherwise() {
        for (line, holds) in [
            ("eq 1 1", Some(true)),
            ("below 1 -1", Some(true)),
            ("lt 1 -1", Some(false)),
            ("le %0 %0", Some(true)),
            ("lt %0 %0", Some(false)),
            ("lt %0 5", None),
            // NaN is not equal to itself.
            ("feq %1 %1", None),
            ("fnlt nan:0x7ff8000000000000 1.0", Some(true)),
            ("fle nan:0x7ff8000000000000 1.0", Some(false)),
        ] {
            assert_eq!(decided(&format!("%2 {line} -> snap 0")), holds, "{line}");
        }
    }

    #[test]
    fn folding_and_evaluation_agree() {
        let ints = [0, 1, -1, 2, -2, 3, 63, 64, -64, 1 << 40, i64::MAX, i64::MIN];
        for op in [Op::Add, Op::Sub, Op::Mul, Op::IDiv, Op::Mod, Op::And, Op::Or, Op::Xor, Op::Shl, Op::Shr, Op::IMax] {
            for (a, b) in ints.iter().flat_map(|a| ints.iter().map(move |b| (*a, *b))) {
                let (tree, last) = folded(&format!("%2 = {} {a} {b} int", op.mnemonic()));
                let Folded::Int(n) = fold(&tree, tree.inst(last)) else { continue };
                let text = format!(
                    "header 0 pc 1, snap 0, inputs %0=#1:int\nsegment 0 from header 0\n  %1 = {} {a} {b} int\n  \
                     exit snap 1\nsnap 0 guard, pc 1\nsnap 1 end, pc 2, slots #1=%1\n",
                    op.mnemonic()
                );
                let tree: Tree = text.parse().unwrap_or_else(|why| panic!("{text}: {why}"));
                let mut model = crate::eval::Model { fuel: 100, ..Default::default() };
                model.set_slot(1, crate::eval::Val::int(0));
                crate::eval::run(&tree, &mut model, crate::ir::HeaderId::ROOT, 2);
                assert_eq!(model.slot(1), crate::eval::Val::int(n), "{op:?} {a} {b}\n{text}");
            }
        }
    }
}
