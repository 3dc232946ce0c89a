//! Narrowing: floats that are integers, as integers.
//!
//! Where all numbers are floats, indices are floats too:
//!
//! ```text
//! t[#t + 1] = v                          as it is read           narrowed
//!
//! 3 load len 1
//! 4 itof 3
//! 5 fadd 4 1.0
//!   the key, an integer                  6 ftoi 5   snap 1       6 add 3 1
//! ```
//!
//! An integer of at most 52 bits is a float without loss, and so is its sum with another one. So `ftoi` of a sum is the sum
//! of what its operand is as an integer, if that is such a small one: that is known of lengths and bytes, and checked of
//! others, and of the variables of numeric loops, which the interpreter has narrowed itself ([`Op::SmallToF`]). The check is one for all elements near a place, `t[i - 1]`, `t[i]` and `t[i + 1]`, and then their numbers differ in
//! a constant alone, which other optimizations see.
//!
//! So is the floor of such an integer divided by a constant, `floor(i / 2)`, which the languages without `//` write for it:
//! a division of integers.
//!
//! The operand may be no integer although the sum is rounded to one, as that of `1e-20` and `1.0`: then its conversion
//! leaves, which is slow and not wrong.

use perilune_base::num::convert::float_to_int;
use perilune_base::num::for_loop;

use super::{Builder, Contradiction};
use crate::ir::{Field, Op, Ref, SnapId};

/// The size up to which integers are small: twice as large ones are still floats without loss.
const SMALL: i64 = for_loop::SMALL;

impl Builder {
    /// A float as an integer, which it must be exactly.
    pub fn float_to_int(&mut self, a: Ref, snap: SnapId) -> Ref {
        let inst = *self.tree.inst(a);
        match inst.op {
            Op::SmallToF => inst.a(),
            Op::IToF if self.is_exact(inst.a()) => inst.a(),
            Op::FAdd | Op::FSub => self.sum_to_int(a, snap).unwrap_or_else(|| self.convert(a, snap)),
            Op::FFloor | Op::FCeil => self.quotient_to_int(a, None, snap).unwrap_or_else(|| self.convert(a, snap)),
            _ => self.convert(a, snap),
        }
    }

    /// A rounded quotient as an integer, if it is that of a small integer and a constant. If the quotient that was `seen` says
    /// that the integer was small, that is checked; else it must be known.
    ///
    /// The quotient of small `n` and `c` that is no integer differs from each integer by `1 / c` or more, and rounding it to a
    /// float moves it by `|n / c| / 2^53` at most, which is half of that. So the float lies between the same two integers.
    /// A product with `1 / c` is exact, if `c` is a power of two.
    pub fn quotient_to_int(&mut self, rounded: Ref, seen: Option<f64>, snap: SnapId) -> Option<Ref> {
        let rounding = *self.tree.inst(rounded);
        if !matches!(rounding.op, Op::FFloor | Op::FCeil) {
            return None;
        }
        let inst = *self.tree.inst(rounding.a());
        let (dividend, divisor) = match inst.op {
            Op::FDiv => (inst.a(), self.constant_int(inst.b())?),
            Op::FMul => match (self.power_of_two_below(inst.a()), self.power_of_two_below(inst.b())) {
                (None, Some(divisor)) => (inst.a(), divisor),
                (Some(divisor), None) => (inst.b(), divisor),
                _ => return None,
            },
            _ => return None,
        };
        let dividend = *self.tree.inst(dividend);
        if divisor < 1 || !matches!(dividend.op, Op::IToF | Op::SmallToF) {
            return None;
        }
        let mut n = dividend.a();
        if dividend.op != Op::SmallToF && !self.is_small(n) {
            // Rounding has moved the quotient by less than 1.
            seen.filter(|seen| (seen.abs() + 1.0) * divisor as f64 <= SMALL as f64)?;
            self.ensure_small(n, snap).ok()?;
        }
        if rounding.op == Op::FCeil {
            let more = self.int(divisor - 1);
            n = self.value(Op::Add, &[n, more]);
        }
        let divisor = self.int(divisor);
        Some(self.value(Op::IDiv, &[n, divisor]))
    }

    /// `c` of a constant `1 / c` that is a power of two, if it is small.
    fn power_of_two_below(&self, r: Ref) -> Option<i64> {
        let inverse = self.tree.const_float(r)?.recip();
        let int = float_to_int(inverse).filter(|int| (1..=SMALL).contains(int))?;
        (int.count_ones() == 1).then_some(int)
    }

    /// A sum of a float and a constant as an integer, if that is one.
    fn sum_to_int(&mut self, a: Ref, snap: SnapId) -> Option<Ref> {
        let inst = *self.tree.inst(a);
        let (operand, constant) = match (self.constant_int(inst.a()), self.constant_int(inst.b())) {
            (None, Some(n)) => (inst.a(), if inst.op == Op::FAdd { n } else { -n }),
            (Some(n), None) if inst.op == Op::FAdd => (inst.b(), n),
            _ => return None,
        };
        let base = self.float_to_int(operand, snap);
        self.ensure_small(base, snap).ok()?;
        let constant = self.int(constant);
        Some(self.value(Op::Add, &[base, constant]))
    }

    /// The small integer that a constant float is.
    fn constant_int(&self, r: Ref) -> Option<i64> {
        let int = float_to_int(self.tree.const_float(r)?)?;
        (-SMALL..=SMALL).contains(&int).then_some(int)
    }

    /// Whether an integer is a float without loss.
    fn is_exact(&mut self, int: Ref) -> bool {
        let inst = *self.tree.inst(int);
        let is_moved = inst.op == Op::Add && self.tree.const_int(inst.b()).is_some_and(|n| n.abs() <= SMALL);
        self.is_small(int) || is_moved && self.is_small(inst.a())
    }

    /// Lets execution go on only if an integer is small.
    pub fn ensure_small(&mut self, int: Ref, snap: SnapId) -> Result<(), Contradiction> {
        if self.is_small(int) {
            return Ok(());
        }
        let (moved, limit) = self.moved(int);
        self.guard(Op::Below, &[moved, limit], snap)
    }

    /// Whether an integer is known to be small.
    fn is_small(&mut self, int: Ref) -> bool {
        let inst = *self.tree.inst(int);
        let constant = |r: Ref| if r.is_some() { self.tree.const_int(r) } else { None };
        match inst.op {
            Op::KInt => (-SMALL..=SMALL).contains(&(inst.imm as i64)),
            Op::LoadByte => true,
            Op::Load if matches!(inst.field(), Some(Field::Len | Field::StrLen)) => true,
            Op::And if constant(inst.b()).is_some_and(|n| (0..=SMALL).contains(&n)) => true,
            Op::Mod if constant(inst.b()).is_some_and(|n| (1..=SMALL).contains(&n)) => true,
            Op::IDiv if constant(inst.b()).is_some_and(|n| n >= 1) => self.is_small(inst.a()),
            _ if self.small.contains(&int) => true,
            _ => {
                let (moved, limit) = self.moved(int);
                self.passed.contains(&(Op::Below, [moved, limit, Ref::NONE]))
            }
        }
    }

    /// What is below what, unsigned, if an integer is small.
    fn moved(&mut self, int: Ref) -> (Ref, Ref) {
        let (half, whole) = (self.int(SMALL), self.int(2 * SMALL));
        (self.value(Op::Add, &[int, half]), whole)
    }
}

#[cfg(test)]
mod tests {
    use crate::build::Builder;
    use crate::ir::{Field, Op, Ref, SnapId, Ty};

    /// A builder with a float and a table.
    fn begun() -> (Builder, Ref, Ref, SnapId) {
        let mut b = Builder::default();
        let header = b.begin_at_header(1, Vec::new(), vec![1, 2], &[(1, Ty::Float), (2, Ty::Table)]);
        let [x, t] = [1, 2].map(|slot| b.input(slot).expect("an input"));
        let snap = b.tree().header(header).snap;
        (b, x, t, snap)
    }

    fn count(b: &Builder, op: Op) -> usize {
        b.tree().insts.iter().filter(|inst| inst.op == op).count()
    }

    #[test]
    fn neighbours_are_converted_and_checked_once() {
        let (mut b, x, _, snap) = begun();
        let one = b.float(1.0);
        let (above, below) = (b.value(Op::FAdd, &[x, one]), b.value(Op::FSub, &[x, one]));
        let [i, next, last] = [x, above, below].map(|r| b.float_to_int(r, snap));
        let (plus, minus) = (b.int(1), b.int(-1));
        assert_eq!((b.value(Op::Add, &[i, plus]), b.value(Op::Add, &[i, minus])), (next, last));
        assert_eq!((count(&b, Op::FToI), count(&b, Op::Below)), (1, 1));
    }

    #[test]
    fn lengths_need_no_check() {
        let (mut b, _, t, snap) = begun();
        let (len, one) = (b.load(Field::Len, t), b.float(1.0));
        let float = b.value(Op::IToF, &[len]);
        let sum = b.value(Op::FAdd, &[float, one]);
        let plus = b.int(1);
        assert_eq!(b.float_to_int(float, snap), len);
        assert_eq!(b.float_to_int(sum, snap), b.value(Op::Add, &[len, plus]));
        assert_eq!((count(&b, Op::FToI), count(&b, Op::Below)), (0, 0));
    }

    #[test]
    fn variables_of_narrowed_loops_need_no_check() {
        let mut b = Builder::default();
        b.begin_at_header(1, Vec::new(), vec![1], &[(1, Ty::Int)]);
        let i = b.input(1).expect("an input");
        let (float, one) = (b.value(Op::SmallToF, &[i]), b.float(1.0));
        let below = b.value(Op::FSub, &[float, one]);
        let minus = b.int(-1);
        let snap = b.tree().header(crate::ir::HeaderId(0)).snap;
        assert_eq!(b.float_to_int(float, snap), i);
        assert_eq!(b.float_to_int(below, snap), b.value(Op::Add, &[i, minus]));
        assert_eq!((count(&b, Op::FToI), count(&b, Op::Below)), (0, 0));
    }

    /// The float rounded, as an integer.
    fn rounded(b: &mut Builder, op: Op, float: Ref, snap: SnapId) -> Ref {
        let float = b.value(op, &[float]);
        b.float_to_int(float, snap)
    }

    #[test]
    fn floors_of_quotients_are_divisions_of_integers() {
        let (mut b, _, t, snap) = begun();
        let len = b.load(Field::Len, t);
        let float = b.value(Op::IToF, &[len]);
        let (ten, quarter) = (b.float(10.0), b.float(0.25));
        let (tenth, fourth) = (b.value(Op::FDiv, &[float, ten]), b.value(Op::FMul, &[quarter, float]));
        let (ten, four, nine) = (b.int(10), b.int(4), b.int(9));
        assert_eq!(rounded(&mut b, Op::FFloor, tenth, snap), b.value(Op::IDiv, &[len, ten]));
        assert_eq!(rounded(&mut b, Op::FFloor, fourth, snap), b.value(Op::IDiv, &[len, four]));
        let above = b.value(Op::Add, &[len, nine]);
        assert_eq!(rounded(&mut b, Op::FCeil, tenth, snap), b.value(Op::IDiv, &[above, ten]));
        assert_eq!((count(&b, Op::FToI), count(&b, Op::Below)), (0, 0), "a length is small");
    }

    #[test]
    fn dividends_that_were_large_are_not_checked_to_be_small() {
        let mut b = Builder::default();
        let header = b.begin_at_header(1, Vec::new(), vec![1], &[(1, Ty::Int)]);
        let (n, snap) = (b.input(1).expect("an input"), b.tree().header(header).snap);
        let (float, three) = (b.value(Op::IToF, &[n]), b.float(3.0));
        let quotient = b.value(Op::FDiv, &[float, three]);
        let rounded = b.value(Op::FFloor, &[quotient]);
        for seen in [None, Some(1e18), Some(f64::NEG_INFINITY), Some(f64::NAN)] {
            assert_eq!(b.quotient_to_int(rounded, seen, snap), None);
        }
        let three = b.int(3);
        let divided = b.quotient_to_int(rounded, Some(-7.0), snap);
        assert_eq!((divided, count(&b, Op::Below)), (Some(b.value(Op::IDiv, &[n, three])), 1));
    }

    #[test]
    fn other_quotients_are_converted() {
        let (mut b, x, t, snap) = begun();
        let len = b.load(Field::Len, t);
        let float = b.value(Op::IToF, &[len]);
        let mut quotients = Vec::new();
        for divisor in [0.0, -2.0, 2.5, 9007199254740992.0, f64::NAN] {
            let divisor = b.float(divisor);
            quotients.push(b.value(Op::FDiv, &[float, divisor]));
        }
        for factor in [0.1, -0.5, 2.0, 0.0] {
            let factor = b.float(factor);
            quotients.push(b.value(Op::FMul, &[float, factor]));
        }
        let two = b.float(2.0);
        quotients.extend([b.value(Op::FDiv, &[x, two]), b.value(Op::FDiv, &[two, float])]);
        for quotient in &quotients {
            rounded(&mut b, Op::FFloor, *quotient, snap);
        }
        assert_eq!((count(&b, Op::FToI), count(&b, Op::IDiv)), (quotients.len(), 0));
    }

    #[test]
    fn large_integers_are_converted_back() {
        let (mut b, x, _, snap) = begun();
        let int = b.float_to_int(x, snap);
        let float = b.value(Op::IToF, &[int]);
        assert_ne!(b.float_to_int(float, snap), int, "its float may be another integer's as well");
        let (half, far) = (b.float(0.5), b.float(9007199254740992.0));
        for constant in [half, far] {
            let sum = b.value(Op::FAdd, &[x, constant]);
            b.float_to_int(sum, snap);
        }
        assert_eq!(count(&b, Op::Below), 0);
    }
}
