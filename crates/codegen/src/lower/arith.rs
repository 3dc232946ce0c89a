//! Numbers: Lua's arithmetic on 64-bit integers and floats.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types;
use perilune_trace::ir::{Inst, Op, Ref, Ty};

use super::Lowering;
use crate::mir::Value;

impl Lowering<'_, '_> {
    pub(super) fn arith(&mut self, r: Ref, inst: &Inst) {
        let a = self.value(inst.a());
        if !inst.b().is_some() {
            let v = self.unary(inst.op, a);
            self.define(r, v);
            return;
        }
        let v = match (inst.op, self.tree.const_int(inst.b())) {
            (Op::Add, Some(n)) => self.b.iadd_imm(a, n),
            (Op::Sub, Some(n)) => self.b.iadd_imm(a, n.wrapping_neg()),
            (Op::Shl, Some(n)) => self.shift_constant(a, n),
            (Op::Shr, Some(n)) => self.shift_constant(a, n.wrapping_neg()),
            (Op::IDiv, Some(n)) => self.idiv_constant(a, n),
            (Op::Mod, Some(n)) => self.mod_constant(a, n),
            _ => {
                let b = self.value(inst.b());
                self.binary(inst.op, a, b)
            }
        };
        self.define(r, v);
    }

    /// The payload of a number by its tag.
    pub(super) fn select_payload(&mut self, r: Ref, inst: &Inst) {
        let (tag, of_int, of_float) = (self.value(inst.a()), self.value(inst.b()), self.value(inst.c()));
        let is_int = self.b.icmp_imm(IntCC::Equal, tag, Ty::Int as i64);
        let of_float = self.b.bitcast(types::I64, of_float);
        let v = self.b.select(is_int, of_int, of_float);
        self.define(r, v);
    }

    fn unary(&mut self, op: Op, a: Value) -> Value {
        match op {
            Op::Neg => self.b.ineg(a),
            Op::Not => self.b.bnot(a),
            Op::FNeg => self.b.fneg(a),
            Op::FAbs => self.b.fabs(a),
            Op::FSqrt => self.b.sqrt(a),
            Op::FFloor => self.b.floor(a),
            Op::FCeil => self.b.ceil(a),
            Op::IToF | Op::SmallToF => self.b.fcvt_from_sint(types::F64, a),
            Op::AsTable => a,
            Op::AsFloat => self.b.bitcast(types::F64, a),
            other => {
                debug_assert!(false, "{other:?} has more operands");
                a
            }
        }
    }

    fn binary(&mut self, op: Op, a: Value, b: Value) -> Value {
        match op {
            Op::Add => self.b.iadd(a, b),
            Op::Sub => self.b.isub(a, b),
            Op::Mul => self.b.imul(a, b),
            Op::IDiv => self.idiv(a, b),
            Op::Mod => self.modulo(a, b),
            Op::And => self.b.band(a, b),
            Op::Or => self.b.bor(a, b),
            Op::Xor => self.b.bxor(a, b),
            Op::Shl => self.shift(a, b),
            Op::Shr => {
                let left = self.b.ineg(b);
                self.shift(a, left)
            }
            Op::Sar => self.b.sshr(a, b),
            Op::IMax => self.b.smax(a, b),
            Op::IMin => self.b.smin(a, b),
            Op::NToF => {
                let is_int = self.b.icmp_imm(IntCC::Equal, b, Ty::Int as i64);
                let of_int = self.b.fcvt_from_sint(types::F64, a);
                let of_float = self.b.bitcast(types::F64, a);
                self.b.select(is_int, of_int, of_float)
            }
            Op::FAdd => self.b.fadd(a, b),
            Op::FSub => self.b.fsub(a, b),
            Op::FMul => self.b.fmul(a, b),
            Op::FDiv => self.b.fdiv(a, b),
            // Not the machine's maximum: the order of operands decides for NaN and for zeros.
            Op::FMax => {
                let less = self.b.fcmp(FloatCC::LessThan, a, b);
                self.b.select(less, b, a)
            }
            Op::FMin => {
                let less = self.b.fcmp(FloatCC::LessThan, b, a);
                self.b.select(less, b, a)
            }
            other => {
                debug_assert!(false, "{other:?} is no arithmetic");
                a
            }
        }
    }

    /// `a` shifted left by a constant, right if it is negative; bits that leave are lost.
    fn shift_constant(&mut self, a: Value, n: i64) -> Value {
        match n {
            0 => a,
            1..=63 => self.b.ishl_imm(a, n),
            -63..=-1 => self.b.ushr_imm(a, -n),
            _ => self.int(0),
        }
    }

    /// As [`Self::shift_constant`] with any amount. The machine looks at six bits of it only.
    fn shift(&mut self, a: Value, n: Value) -> Value {
        let zero = self.int(0);
        let left = self.b.ishl(a, n);
        let is_left = self.b.icmp_imm(IntCC::UnsignedLessThan, n, 64);
        let left = self.b.select(is_left, left, zero);
        let right_by = self.b.ineg(n);
        let right = self.b.ushr(a, right_by);
        let is_right = self.b.icmp_imm(IntCC::UnsignedLessThan, right_by, 64);
        self.b.select(is_right, right, left)
    }

    /// `a // b`, rounded down. `b` is not 0; -1 would trap for the smallest integer.
    fn idiv(&mut self, a: Value, b: Value) -> Value {
        let one = self.int(1);
        let is_minus_one = self.b.icmp_imm(IntCC::Equal, b, -1);
        let divisor = self.b.select(is_minus_one, one, b);
        let quotient = self.b.sdiv(a, divisor);
        let back = self.b.imul(quotient, divisor);
        let rest = self.b.isub(a, back);
        let lower = self.rounds_down(rest, divisor);
        let quotient = self.b.isub(quotient, lower);
        let negated = self.b.ineg(a);
        self.b.select(is_minus_one, negated, quotient)
    }

    /// 1 if a division that truncates must go one further down: the remainder is not 0 and its sign is not the divisor's.
    fn rounds_down(&mut self, rest: Value, divisor: Value) -> Value {
        let differs = self.b.bxor(rest, divisor);
        let differs = self.b.icmp_imm(IntCC::SignedLessThan, differs, 0);
        let inexact = self.b.icmp_imm(IntCC::NotEqual, rest, 0);
        let both = self.b.band(differs, inexact);
        self.b.uextend(types::I64, both)
    }

    /// `a % b` with the sign of `b`, which is not 0.
    fn modulo(&mut self, a: Value, b: Value) -> Value {
        let one = self.int(1);
        let is_minus_one = self.b.icmp_imm(IntCC::Equal, b, -1);
        let divisor = self.b.select(is_minus_one, one, b);
        let rest = self.b.srem(a, divisor);
        let differs = self.b.bxor(rest, divisor);
        let differs = self.b.icmp_imm(IntCC::SignedLessThan, differs, 0);
        let inexact = self.b.icmp_imm(IntCC::NotEqual, rest, 0);
        let both = self.b.band(differs, inexact);
        let up = self.b.iadd(rest, divisor);
        self.b.select(both, up, rest)
    }

    fn idiv_constant(&mut self, a: Value, n: i64) -> Value {
        if n > 0 && n.count_ones() == 1 {
            return self.b.sshr_imm(a, i64::from(n.trailing_zeros()));
        }
        if n > 1 {
            let shifted = self.floor_divide(a, n as u64);
            return shifted;
        }
        let b = self.int(n);
        self.idiv(a, b)
    }

    fn mod_constant(&mut self, a: Value, n: i64) -> Value {
        if n > 0 && n.count_ones() == 1 {
            let mask = self.int(n - 1);
            return self.b.band(a, mask);
        }
        if n > 1 {
            let quotient = self.floor_divide(a, n as u64);
            let divisor = self.int(n);
            let back = self.b.imul(quotient, divisor);
            return self.b.isub(a, back);
        }
        let b = self.int(n);
        self.modulo(a, b)
    }

    /// `a // d` for a constant `d > 1` that is no power of two, by multiplication (Warren, Hacker's Delight, 10-1): the
    /// high half of `a * m`, shifted, is the quotient that truncates once the sign of `a` is added. It is one above the
    /// quotient that Lua wants when `a` is negative and the division is not exact, which multiplying back shows.
    fn floor_divide(&mut self, a: Value, d: u64) -> Value {
        let (magic, shift) = magic(d);
        let m = self.int(magic);
        let mut q = self.b.smulhi(a, m);
        if magic < 0 {
            q = self.b.iadd(q, a);
        }
        if shift > 0 {
            q = self.b.sshr_imm(q, i64::from(shift));
        }
        let sign = self.b.ushr_imm(a, 63);
        let truncated = self.b.iadd(q, sign);
        let divisor = self.int(d as i64);
        let back = self.b.imul(truncated, divisor);
        let above = self.b.icmp(IntCC::SignedGreaterThan, back, a);
        let above = self.b.uextend(types::I64, above);
        self.b.isub(truncated, above)
    }

    /// The float as an integer, which it must be exactly.
    pub(super) fn float_to_int(&mut self, r: Ref, inst: &Inst) {
        let snap = Self::snap(inst);
        let a = self.value(inst.a());
        // Saturates, and gives 0 for NaN: the way back tells. The largest integer is no float, but what saturates to it
        // comes back as 2^63, which is equal to 2^63: that one must be refused.
        let n = self.b.fcvt_to_sint_sat(types::I64, a);
        let back = self.b.fcvt_from_sint(types::F64, n);
        let same = self.b.fcmp(FloatCC::Equal, back, a);
        self.leave_unless(same, snap);
        let fits = self.b.icmp_imm(IntCC::NotEqual, n, i64::MAX);
        self.leave_unless(fits, snap);
        self.define(r, n);
    }
}

/// The multiplier and shift of a signed division by `d > 1` (Warren, Hacker's Delight, figure 10-1).
fn magic(d: u64) -> (i64, u32) {
    const TWO63: u64 = 1 << 63;
    let anc = TWO63 - 1 - TWO63 % d;
    let mut p = 63;
    let (mut q1, mut r1) = (TWO63 / anc, TWO63 % anc);
    let (mut q2, mut r2) = (TWO63 / d, TWO63 % d);
    loop {
        p += 1;
        q1 = q1.wrapping_mul(2);
        r1 = r1.wrapping_mul(2);
        if r1 >= anc {
            q1 = q1.wrapping_add(1);
            r1 -= anc;
        }
        q2 = q2.wrapping_mul(2);
        r2 = r2.wrapping_mul(2);
        if r2 >= d {
            q2 = q2.wrapping_add(1);
            r2 -= d;
        }
        let delta = d - r2;
        if !(q1 < delta || q1 == delta && r1 == 0) {
            return (q2.wrapping_add(1) as i64, p - 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::magic;

    /// The same steps as the machine's, on the host.
    fn floor_divide(a: i64, d: u64) -> i64 {
        let (m, shift) = magic(d);
        let mut q = ((i128::from(a) * i128::from(m)) >> 64) as i64;
        if m < 0 {
            q = q.wrapping_add(a);
        }
        q >>= shift;
        let truncated = q + (a as u64 >> 63) as i64;
        let back = truncated.wrapping_mul(d as i64);
        truncated - i64::from(back > a)
    }

    #[test]
    fn division_by_magic_numbers_rounds_down() {
        let numbers = [0, 1, -1, 2, -2, 6, 7, -7, 99, 100, -100, 101, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        for d in
            [3u64, 5, 6, 7, 9, 10, 11, 12, 25, 100, 641, 1000, 65_537, 1_000_000_007, (1 << 62) + 1, i64::MAX as u64]
        {
            for a in numbers.into_iter().chain((-300..300).map(|n: i64| n.wrapping_mul(0x1234_5678_9abc))) {
                let expected = perilune_base::num::arith::int_idiv(a, d as i64);
                assert_eq!(Some(floor_divide(a, d)), expected, "{a} // {d}");
            }
        }
    }
}
