//! Arithmetic on numbers (`luaO_rawarith`, `luaV_mod`, `luaV_idiv`, `luaV_shiftl`).

use super::Num;
use crate::dialect::Dialect;

/// Arithmetic and bitwise operations, as in the reference's `LUA_OP*`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ArithOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a % b`
    Mod,
    /// `a ^ b`
    Pow,
    /// `a / b`
    Div,
    /// `a // b`
    IDiv,
    /// `a & b`
    BAnd,
    /// `a | b`
    BOr,
    /// `a ~ b`
    BXor,
    /// `a << b`
    Shl,
    /// `a >> b`
    Shr,
    /// `-a`
    Neg,
    /// `~a`
    BNot,
}

impl ArithOp {
    /// Whether the operation works on integers only.
    #[inline]
    #[must_use]
    pub const fn is_bitwise(self) -> bool {
        match self {
            ArithOp::BAnd | ArithOp::BOr | ArithOp::BXor | ArithOp::Shl | ArithOp::Shr | ArithOp::BNot => true,
            ArithOp::Add
            | ArithOp::Sub
            | ArithOp::Mul
            | ArithOp::Mod
            | ArithOp::Pow
            | ArithOp::Div
            | ArithOp::IDiv
            | ArithOp::Neg => false,
        }
    }
}

/// Applies an operation to numbers; unary operations ignore `b`.
///
/// `None` if Lua raises an error: an integer division or modulo by zero, or a bitwise operation on
/// a float without integer representation.
#[inline]
#[must_use]
pub fn arith(op: ArithOp, a: Num, b: Num) -> Option<Num> {
    let ints = || Some((a.to_int()?, b.to_int()?));
    Some(match op {
        ArithOp::Add => int_or_float(a, b, i64::wrapping_add, |a, b| a + b),
        ArithOp::Sub => int_or_float(a, b, i64::wrapping_sub, |a, b| a - b),
        ArithOp::Mul => int_or_float(a, b, i64::wrapping_mul, |a, b| a * b),
        ArithOp::Mod => match (a, b) {
            (Num::Int(a), Num::Int(b)) => Num::Int(int_mod(a, b)?),
            _ => Num::Float(float_mod(a.to_float(), b.to_float())),
        },
        ArithOp::IDiv => match (a, b) {
            (Num::Int(a), Num::Int(b)) => Num::Int(int_idiv(a, b)?),
            _ => Num::Float(float_idiv(a.to_float(), b.to_float())),
        },
        ArithOp::Pow => Num::Float(pow(a.to_float(), b.to_float())),
        ArithOp::Div => Num::Float(a.to_float() / b.to_float()),
        ArithOp::BAnd => ints().map(|(a, b)| Num::Int(a & b))?,
        ArithOp::BOr => ints().map(|(a, b)| Num::Int(a | b))?,
        ArithOp::BXor => ints().map(|(a, b)| Num::Int(a ^ b))?,
        ArithOp::Shl => ints().map(|(a, b)| Num::Int(shift_left(a, b)))?,
        ArithOp::Shr => ints().map(|(a, b)| Num::Int(shift_right(a, b)))?,
        ArithOp::Neg => match a {
            Num::Int(a) => Num::Int(a.wrapping_neg()),
            Num::Float(a) => Num::Float(-a),
        },
        ArithOp::BNot => Num::Int(!a.to_int()?),
    })
}

/// Applies an operation as a dialect does.
#[inline]
#[must_use]
pub fn arith_in(dialect: &Dialect, op: ArithOp, a: Num, b: Num) -> Option<Num> {
    match (op, a, b) {
        (ArithOp::Mod, ..) if !dialect.integers => Some(Num::Float(float_mod_by_floor(a.to_float(), b.to_float()))),
        (ArithOp::Mod, Num::Int(_), Num::Int(_)) => arith(op, a, b),
        (ArithOp::Mod, ..) => Some(Num::Float(float_mod_in(dialect, a.to_float(), b.to_float()))),
        _ => arith(op, a, b),
    }
}

/// `a % b` where all numbers are floats: `a - floor(a / b) * b`, not exact for large quotients.
#[inline]
#[must_use]
pub fn float_mod_by_floor(a: f64, b: f64) -> f64 {
    a - floor(a / b) * b
}

/// The largest integral float not above `x`. Quotients are seldom so large that they have no fraction; smaller ones are
/// rounded here, because the processors that we compile for by default need a function call for it.
#[inline]
fn floor(x: f64) -> f64 {
    const WHOLE: f64 = (1i64 << 52) as f64;
    if x.abs() < WHOLE {
        let towards_zero = x as i64 as f64;
        // Of zero the sign matters: `-0.0 % 5` is `0 - -0 * 5`.
        if towards_zero > x { towards_zero - 1.0 } else { towards_zero.copysign(x) }
    } else {
        x.floor()
    }
}

#[inline]
fn int_or_float(a: Num, b: Num, on_ints: impl FnOnce(i64, i64) -> i64, on_floats: impl FnOnce(f64, f64) -> f64) -> Num {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => Num::Int(on_ints(a, b)),
        _ => Num::Float(on_floats(a.to_float(), b.to_float())),
    }
}

/// `a // b` on integers, rounded towards minus infinity; `None` if `b` is zero.
#[inline]
#[must_use]
pub const fn int_idiv(a: i64, b: i64) -> Option<i64> {
    if b == 0 { None } else { Some(int_idiv_nonzero(a, b)) }
}

/// `a // b` on integers. `b` must not be zero.
#[inline]
#[must_use]
pub const fn int_idiv_nonzero(a: i64, b: i64) -> i64 {
    let quotient = a.wrapping_div(b);
    let is_rounded_up = (a ^ b) < 0 && quotient.wrapping_mul(b) != a;
    quotient - is_rounded_up as i64
}

/// `a % b` on integers, with the sign of `b`; `None` if `b` is zero.
#[inline]
#[must_use]
pub const fn int_mod(a: i64, b: i64) -> Option<i64> {
    if b == 0 { None } else { Some(int_mod_nonzero(a, b)) }
}

/// `a % b` on integers. `b` must not be zero.
#[inline]
#[must_use]
pub const fn int_mod_nonzero(a: i64, b: i64) -> i64 {
    let remainder = a.wrapping_rem(b);
    if remainder != 0 && (remainder ^ b) < 0 { remainder + b } else { remainder }
}

/// `a // b` on floats.
#[inline]
#[must_use]
pub fn float_idiv(a: f64, b: f64) -> f64 {
    (a / b).floor()
}

/// C's `fmod`: the exact remainder with the sign of `a`.
///
/// The general algorithm takes a step for each bit by which the exponents differ. Integral operands, by far the most
/// common, are divided as integers instead.
#[inline]
fn fmod(a: f64, b: f64) -> f64 {
    const EXACT: f64 = (1i64 << 53) as f64;
    if a.abs() < EXACT && b.abs() < EXACT {
        let (x, y) = (a as i64, b as i64);
        if x as f64 == a && y as f64 == b && y != 0 {
            let remainder = x % y;
            return if remainder == 0 { 0.0f64.copysign(a) } else { remainder as f64 };
        }
    }
    a % b
}

/// `a % b` on floats: C's `fmod`, moved to the sign of `b`.
#[inline]
#[must_use]
pub fn float_mod(a: f64, b: f64) -> f64 {
    let remainder = fmod(a, b);
    let has_wrong_sign = if remainder > 0.0 { b < 0.0 } else { remainder < 0.0 && b > 0.0 };
    if has_wrong_sign { remainder + b } else { remainder }
}

/// [`float_mod`] in a dialect with integers.
#[inline]
#[must_use]
pub fn float_mod_in(dialect: &Dialect, a: f64, b: f64) -> f64 {
    if !dialect.modulo_by_product {
        return float_mod(a, b);
    }
    let remainder = fmod(a, b);
    if remainder * b < 0.0 { remainder + b } else { remainder }
}

/// Whether `a % b` on floats is the same in all dialects with integers.
#[inline]
#[must_use]
pub fn float_mod_is_common(a: f64, b: f64) -> bool {
    let remainder = fmod(a, b);
    remainder == 0.0 || remainder * b != 0.0
}

/// `a ^ b`.
#[inline]
#[must_use]
pub fn pow(a: f64, b: f64) -> f64 {
    if b == 2.0 { a * a } else { a.powf(b) }
}

/// `a << b`: logical, to the right if `b` is negative, 0 if all bits leave.
#[inline]
#[must_use]
pub const fn shift_left(a: i64, b: i64) -> i64 {
    if b <= -64 || b >= 64 {
        0
    } else if b >= 0 {
        ((a as u64) << b) as i64
    } else {
        ((a as u64) >> -b) as i64
    }
}

/// `a >> b`: logical, to the left if `b` is negative, 0 if all bits leave.
#[inline]
#[must_use]
pub const fn shift_right(a: i64, b: i64) -> i64 {
    shift_left(a, b.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::LuaVersion;

    #[test]
    fn integer_division_rounds_down() {
        assert_eq!(int_idiv(7, 2), Some(3));
        assert_eq!(int_idiv(-7, 2), Some(-4));
        assert_eq!(int_idiv(7, -2), Some(-4));
        assert_eq!(int_idiv(-7, -2), Some(3));
        assert_eq!(int_idiv(-8, 2), Some(-4));
        assert_eq!(int_idiv(i64::MIN, -1), Some(i64::MIN));
        assert_eq!(int_idiv(i64::MIN, 1), Some(i64::MIN));
        assert_eq!(int_idiv(1, 0), None);
    }

    #[test]
    fn integer_modulo_has_the_sign_of_the_divisor() {
        assert_eq!(int_mod(7, 3), Some(1));
        assert_eq!(int_mod(-7, 3), Some(2));
        assert_eq!(int_mod(7, -3), Some(-2));
        assert_eq!(int_mod(-7, -3), Some(-1));
        assert_eq!(int_mod(6, -3), Some(0));
        assert_eq!(int_mod(i64::MIN, -1), Some(0));
        assert_eq!(int_mod(1, 0), None);
    }

    #[test]
    fn float_modulo_has_the_sign_of_the_divisor() {
        assert_eq!(float_mod(5.5, 2.0), 1.5);
        assert_eq!(float_mod(-5.5, 2.0), 0.5);
        assert_eq!(float_mod(5.5, -2.0), -0.5);
        assert_eq!(float_mod(-5.5, -2.0), -1.5);
        assert_eq!(float_mod(1.0, f64::INFINITY), 1.0);
        assert_eq!(float_mod(-1.0, f64::INFINITY), f64::INFINITY);
        assert_eq!(float_mod(1.0, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(float_mod(-1.0, f64::NEG_INFINITY), -1.0);
        assert!(float_mod(1.0, 0.0).is_nan());
        assert!(float_mod(-6.0, 2.0).is_sign_negative());
    }

    #[test]
    fn floors_are_those_of_the_standard_library() {
        let whole = (1i64 << 52) as f64;
        for x in [0.0, 0.5, 1.0, 1.5, 5e-324, 1e300, whole, whole - 0.5, whole + 1.0, f64::INFINITY] {
            for x in [x, -x] {
                assert_eq!(floor(x).to_bits(), x.floor().to_bits(), "{x}");
            }
        }
        assert!(floor(f64::NAN).is_nan());
    }

    #[test]
    fn products_that_vanish_tell_no_signs() {
        let (old, new) = (Dialect::of(LuaVersion::Lua53, false), Dialect::of(LuaVersion::Lua54, false));
        assert_eq!(float_mod_in(new, -3e-200, 2e-200), 1e-200);
        assert_eq!(float_mod_in(old, -3e-200, 2e-200), -1e-200);
        assert!(!float_mod_is_common(-3e-200, 2e-200));
        for (a, b) in [(-5.5, 2.0), (6.0, -4.0), (-6.0, 2.0), (-1.0, f64::INFINITY), (1e-200, 3.0)] {
            assert_eq!(float_mod_in(old, a, b).to_bits(), float_mod_in(new, a, b).to_bits());
            assert!(float_mod_is_common(a, b));
        }
    }

    #[test]
    fn float_division_rounds_down() {
        assert_eq!(float_idiv(-7.0, 2.0), -4.0);
        assert_eq!(float_idiv(1.0, 0.0), f64::INFINITY);
        assert!(float_idiv(0.0, 0.0).is_nan());
    }

    #[test]
    fn shifts_are_logical_and_accept_any_distance() {
        assert_eq!(shift_left(1, 63), i64::MIN);
        assert_eq!(shift_left(1, 64), 0);
        assert_eq!(shift_right(-1, 1), i64::MAX);
        assert_eq!(shift_right(-1, 63), 1);
        assert_eq!(shift_right(-1, 64), 0);
        assert_eq!(shift_left(-1, -4), shift_right(-1, 4));
        assert_eq!(shift_right(1, -3), 8);
        assert_eq!(shift_left(1, i64::MIN), 0);
        assert_eq!(shift_right(1, i64::MIN), 0);
    }

    #[test]
    fn arithmetic_keeps_integers_and_mixes_to_floats() {
        let arith = |op, a: Num, b: Num| arith(op, a, b);
        assert_eq!(arith(ArithOp::Add, Num::Int(i64::MAX), Num::Int(1)), Some(Num::Int(i64::MIN)));
        assert_eq!(arith(ArithOp::Add, Num::Int(1), Num::Float(0.5)), Some(Num::Float(1.5)));
        assert_eq!(arith(ArithOp::Div, Num::Int(4), Num::Int(2)), Some(Num::Float(2.0)));
        assert_eq!(arith(ArithOp::Pow, Num::Int(2), Num::Int(10)), Some(Num::Float(1024.0)));
        assert_eq!(arith(ArithOp::BOr, Num::Float(2.0), Num::Int(1)), Some(Num::Int(3)));
        assert_eq!(arith(ArithOp::BOr, Num::Float(2.5), Num::Int(1)), None);
        assert_eq!(arith(ArithOp::Mod, Num::Int(1), Num::Int(0)), None);
        assert_eq!(arith(ArithOp::Neg, Num::Int(i64::MIN), Num::Int(0)), Some(Num::Int(i64::MIN)));
        assert_eq!(arith(ArithOp::BNot, Num::Int(0), Num::Int(0)), Some(Num::Int(-1)));
    }
}
