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
            (Op::IDiv, Some(n)) => self.idiv_constant(inst.a(), n),
            (Op::Mod, Some(n)) => self.mod_constant(inst.a(), n),
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

    fn idiv_constant(&mut self, a: Ref, n: i64) -> Value {
        let dividend = self.value(a);
        if is_power_of_two(n) {
            return self.b.sshr_imm(dividend, i64::from(n.trailing_zeros()));
        }
        if n > 1 {
            return self.floor_divide(a, n as u64);
        }
        let b = self.int(n);
        self.idiv(dividend, b)
    }

    fn mod_constant(&mut self, a: Ref, n: i64) -> Value {
        let dividend = self.value(a);
        if is_power_of_two(n) {
            let mask = self.int(n - 1);
            return self.b.band(dividend, mask);
        }
        if n > 1 {
            let quotient = self.floor_divide(a, n as u64);
            let divisor = self.int(n);
            let back = self.b.imul(quotient, divisor);
            return self.b.isub(dividend, back);
        }
        let b = self.int(n);
        self.modulo(dividend, b)
    }

    /// `a // d` for a constant `d > 1` that is no power of two, by multiplication: the high half of `a * m`, shifted, is the
    /// quotient of an `a` that is not negative. Of others it is the complement of what the complement of `a` comes to, which
    /// rounds down.
    fn floor_divide(&mut self, a: Ref, d: u64) -> Value {
        let (magic, shift) = magic(d);
        let is_unsigned = self.tree.is_never_negative(a);
        let a = self.value(a);
        let m = self.int(magic as i64);
        if is_unsigned {
            let high = self.b.umulhi(a, m);
            return self.b.ushr_imm(high, i64::from(shift));
        }
        let sign = self.b.sshr_imm(a, 63);
        let size = self.b.bxor(a, sign);
        let high = self.b.umulhi(size, m);
        let quotient = self.b.ushr_imm(high, i64::from(shift));
        self.b.bxor(quotient, sign)
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

fn is_power_of_two(n: i64) -> bool {
    n > 0 && n.cast_unsigned().is_power_of_two()
}

/// The multiplier `m` and the shift of the high half by which 63-bit numbers are divided by `d`, no power of two.
///
/// With `2^l` the power of two above `d`, `m` is the integer above `2^(63 + l) / d`. It has 64 bits, for `2^(l - 1) < d`, and
/// `m * d` is above `2^(63 + l)` by at most `d < 2^l`: so the quotients of numbers below `2^63` are exact (Granlund and
/// Montgomery, Division by Invariant Integers using Multiplication, theorem 4.2).
fn magic(d: u64) -> (u64, u32) {
    let log = u64::BITS - d.leading_zeros();
    let m = (1_u128 << (63 + log)) / u128::from(d) + 1;
    debug_assert!(m <= u128::from(u64::MAX), "{d} is no power of two");
    (m as u64, log - 1)
}

#[cfg(test)]
mod tests {
    use super::magic;

    /// The same steps as the machine's, on the host.
    fn floor_divide(a: i64, d: u64) -> i64 {
        let (m, shift) = magic(d);
        let sign = a >> 63;
        let high = (u128::from((a ^ sign) as u64) * u128::from(m)) >> 64;
        ((high >> shift) as i64) ^ sign
    }

    #[test]
    fn division_by_magic_numbers_rounds_down() {
        let numbers = [0, 1, -1, 2, -2, 6, 7, -7, 99, 100, -100, 101, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        for d in
            [3u64, 5, 6, 7, 9, 10, 11, 12, 25, 100, 641, 1000, 65_537, 1_000_000_007, (1 << 62) + 1, i64::MAX as u64]
        {
            // Multiples and their neighbours are where a quotient changes.
            let steps = (-300..300).map(|n: i64| n.wrapping_mul(0x1234_5678_9abc) / d as i64);
            let edges = steps.flat_map(|n| (-1..=1).map(move |more| n.wrapping_mul(d as i64).wrapping_add(more)));
            let largest = i64::MAX - i64::MAX % d as i64;
            for a in numbers.into_iter().chain(edges).chain([largest, largest - 1, -largest, -largest - 1]) {
                let expected = perilune_base::num::arith::int_idiv(a, d as i64);
                assert_eq!(Some(floor_divide(a, d)), expected, "{a} // {d}");
            }
        }
    }
}
