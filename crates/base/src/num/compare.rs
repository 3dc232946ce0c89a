//! Exact comparison of numbers of either kind (`luaV_lessthan`, `luaV_lessequal`, `luaV_equalobj`).
//!
//! Converting the integer to a float first would round it above 2^53, so a comparison of mixed kinds
//! converts the float to an integer instead, rounded in the direction that keeps the answer.

use super::Num;
use super::convert::{float_to_int, float_to_int_ceil, float_to_int_floor};

/// Whether every integer up to `int`, in magnitude, is exact as a float.
#[inline]
const fn is_exact_as_float(int: i64) -> bool {
    const LIMIT: i64 = 1 << 53;
    -LIMIT <= int && int <= LIMIT
}

/// `a == b`
#[inline]
#[must_use]
pub fn eq(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a == b,
        (Num::Float(a), Num::Float(b)) => a == b,
        (Num::Int(int), Num::Float(float)) | (Num::Float(float), Num::Int(int)) => int_eq_float(int, float),
    }
}

/// `a < b`
#[inline]
#[must_use]
pub fn lt(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a < b,
        (Num::Float(a), Num::Float(b)) => a < b,
        (Num::Int(a), Num::Float(b)) => int_lt_float(a, b),
        (Num::Float(a), Num::Int(b)) => float_lt_int(a, b),
    }
}

/// `a <= b`
#[inline]
#[must_use]
pub fn le(a: Num, b: Num) -> bool {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a <= b,
        (Num::Float(a), Num::Float(b)) => a <= b,
        (Num::Int(a), Num::Float(b)) => int_le_float(a, b),
        (Num::Float(a), Num::Int(b)) => float_le_int(a, b),
    }
}

/// `int == float`
#[inline]
#[must_use]
pub fn int_eq_float(int: i64, float: f64) -> bool {
    float_to_int(float) == Some(int)
}

/// `int < float`
#[inline]
#[must_use]
pub fn int_lt_float(int: i64, float: f64) -> bool {
    if is_exact_as_float(int) {
        (int as f64) < float
    } else {
        float_to_int_ceil(float).map_or(float > 0.0, |ceil| int < ceil)
    }
}

/// `int <= float`
#[inline]
#[must_use]
pub fn int_le_float(int: i64, float: f64) -> bool {
    if is_exact_as_float(int) {
        int as f64 <= float
    } else {
        float_to_int_floor(float).map_or(float > 0.0, |floor| int <= floor)
    }
}

/// `float < int`
#[inline]
#[must_use]
pub fn float_lt_int(float: f64, int: i64) -> bool {
    if is_exact_as_float(int) {
        float < int as f64
    } else {
        float_to_int_floor(float).map_or(float < 0.0, |floor| floor < int)
    }
}

/// `float <= int`
#[inline]
#[must_use]
pub fn float_le_int(float: f64, int: i64) -> bool {
    if is_exact_as_float(int) {
        float <= int as f64
    } else {
        float_to_int_ceil(float).map_or(float < 0.0, |ceil| ceil <= int)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_POW_53: i64 = 1 << 53;

    #[test]
    fn large_integers_are_compared_without_rounding() {
        assert!(!eq(Num::Int(TWO_POW_53 + 1), Num::Float(TWO_POW_53 as f64)));
        assert!(eq(Num::Int(TWO_POW_53), Num::Float(TWO_POW_53 as f64)));
        assert!(lt(Num::Float(TWO_POW_53 as f64), Num::Int(TWO_POW_53 + 1)));
        assert!(!le(Num::Int(TWO_POW_53 + 1), Num::Float(TWO_POW_53 as f64)));
        assert!(lt(Num::Int(i64::MAX), Num::Float(9_223_372_036_854_775_808.0)));
        assert!(!eq(Num::Int(i64::MAX), Num::Float(9_223_372_036_854_775_808.0)));
        assert!(le(Num::Float(-9_223_372_036_854_775_808.0), Num::Int(i64::MIN)));
        assert!(!lt(Num::Float(-9_223_372_036_854_775_808.0), Num::Int(i64::MIN)));
    }

    #[test]
    fn infinities_bound_all_integers() {
        for int in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert!(int_lt_float(int, f64::INFINITY) && int_le_float(int, f64::INFINITY));
            assert!(float_lt_int(f64::NEG_INFINITY, int) && float_le_int(f64::NEG_INFINITY, int));
            assert!(!int_lt_float(int, f64::NEG_INFINITY) && !float_le_int(f64::INFINITY, int));
        }
    }

    #[test]
    fn nan_compares_false_with_everything() {
        for int in [i64::MIN, 0, i64::MAX] {
            let (int, nan) = (Num::Int(int), Num::Float(f64::NAN));
            assert!(!eq(int, nan) && !lt(int, nan) && !le(int, nan));
            assert!(!eq(nan, int) && !lt(nan, int) && !le(nan, int));
        }
    }
}
