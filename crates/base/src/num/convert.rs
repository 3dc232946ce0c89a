//! Floats to integers (`luaV_flttointns`).

/// 2^63, the smallest positive float above all integers.
const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// The integer a float is equal to, if there is one.
#[inline]
#[must_use]
pub fn float_to_int(float: f64) -> Option<i64> {
    // The cast saturates, and 2^63 saturates to the integer 2^63 - 1, whose float is 2^63 again.
    let int = float as i64;
    (int as f64 == float && float < TWO_POW_63).then_some(int)
}

/// The largest integer not above a float, if it is in range.
#[inline]
#[must_use]
pub fn float_to_int_floor(float: f64) -> Option<i64> {
    in_range(float.floor())
}

/// The smallest integer not below a float, if it is in range.
#[inline]
#[must_use]
pub fn float_to_int_ceil(float: f64) -> Option<i64> {
    in_range(float.ceil())
}

#[inline]
fn in_range(integral: f64) -> Option<i64> {
    (-TWO_POW_63..TWO_POW_63).contains(&integral).then_some(integral as i64)
}

/// A float without its fraction as a cast does it in C on the usual machines: what does not fit becomes the least integer.
#[inline]
#[must_use]
pub fn float_to_int_as_c(float: f64) -> i64 {
    let int = float as i64;
    if int == i64::MAX || float.is_nan() { i64::MIN } else { int }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integral_floats_in_range_are_integers() {
        assert_eq!(float_to_int(3.0), Some(3));
        assert_eq!(float_to_int(-0.0), Some(0));
        assert_eq!(float_to_int(3.5), None);
        assert_eq!(float_to_int(-TWO_POW_63), Some(i64::MIN));
        assert_eq!(float_to_int(TWO_POW_63), None);
        assert_eq!(float_to_int(9_223_372_036_854_774_784.0), Some(9_223_372_036_854_774_784));
        assert_eq!(float_to_int(f64::NAN), None);
        assert_eq!(float_to_int(f64::INFINITY), None);
        assert_eq!(float_to_int(f64::NEG_INFINITY), None);
    }

    #[test]
    fn floor_and_ceil_round_in_their_direction() {
        assert_eq!(float_to_int_floor(3.7), Some(3));
        assert_eq!(float_to_int_floor(-3.2), Some(-4));
        assert_eq!(float_to_int_ceil(3.2), Some(4));
        assert_eq!(float_to_int_ceil(-3.7), Some(-3));
        assert_eq!(float_to_int_floor(TWO_POW_63), None);
        assert_eq!(float_to_int_ceil(-1e300), None);
        assert_eq!(float_to_int_ceil(f64::NAN), None);
    }
}
