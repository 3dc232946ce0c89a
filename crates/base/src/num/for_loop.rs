//! Preparation of numeric `for` loops (`forprep`, `forlimit`).
//!
//! ```lua
//! for i = start, limit, step do ... end
//! ```
//!
//! If start and step are integers the loop is an integer loop, whatever the limit is; the number of
//! iterations is known before it starts, so the control variable never overflows. Otherwise all three
//! are floats. The caller has checked that all three are numbers (it may have converted a limit that is
//! a string, which the reference accepts) and that the step is not zero.

use super::Num;
use super::convert::{float_to_int, float_to_int_ceil, float_to_int_floor};

/// The size up to which integers are small: sums of two are floats without loss.
pub const SMALL: i64 = 1 << 52;

/// How many times an integer loop goes *back* to its start, that is its iterations less one, or
/// `None` if it does not run at all.
///
/// `step` must not be zero.
#[inline]
#[must_use]
pub fn int_loop_count(start: i64, limit: Num, step: i64) -> Option<u64> {
    let limit = clip_limit(limit, step)?;
    if if step > 0 { start > limit } else { start < limit } {
        return None;
    }
    Some(if step > 0 {
        (limit as u64).wrapping_sub(start as u64) / step as u64
    } else {
        (start as u64).wrapping_sub(limit as u64) / step.unsigned_abs()
    })
}

/// How a loop goes whose control variable wraps around when it overflows, and for which a step of zero counts as negative: its first
/// value, and how many times it goes back. A loop that does not end does so as often as can be counted.
#[must_use]
pub fn wrapping_loop(start: i64, limit: Num, step: i64) -> Option<(i64, u64)> {
    /// Wrapping around this often, a loop is taken for endless.
    const PASSES: u32 = 64;
    let (start, limit) = wrapping_limit(start, limit, step);
    let runs = |index: i64| if step > 0 { index <= limit } else { limit <= index };
    if !runs(start) {
        return None;
    }
    let first = start;
    if step == 0 {
        return Some((first, u64::MAX));
    }
    let (mut start, mut total) = (start, 0u64);
    for _ in 0..PASSES {
        let count = int_loop_count(start, Num::Int(limit), step)?;
        let last = start.wrapping_add(step.wrapping_mul(count as i64));
        total = total.saturating_add(count);
        if last.checked_add(step).is_some() {
            return Some((first, total));
        }
        start = last.wrapping_add(step);
        if !runs(start) {
            return Some((first, total));
        }
        total = total.saturating_add(1);
    }
    Some((first, u64::MAX))
}

/// Start and limit of a loop that wraps around, as integers. Where the limit lies behind all integers, the loop begins at 0 if it is not to
/// run: with a step of zero down to such a limit it runs all the same.
fn wrapping_limit(start: i64, limit: Num, step: i64) -> (i64, i64) {
    let float = match limit {
        Num::Int(limit) => return (start, limit),
        Num::Float(limit) => limit,
    };
    match rounded(float, step) {
        Some(limit) => (start, limit),
        None if float > 0.0 => (if step < 0 { 0 } else { start }, i64::MAX),
        None => (if step >= 0 { 0 } else { start }, i64::MIN),
    }
}

/// The last integer before a limit, if there is one.
#[inline]
fn rounded(limit: f64, step: i64) -> Option<i64> {
    if step < 0 { float_to_int_ceil(limit) } else { float_to_int_floor(limit) }
}

/// The limit of an integer loop as an integer; `None` if no integer satisfies it.
#[inline]
fn clip_limit(limit: Num, step: i64) -> Option<i64> {
    let float = match limit {
        Num::Int(limit) => return Some(limit),
        Num::Float(limit) => limit,
    };
    match rounded(float, step) {
        Some(limit) => Some(limit),
        None if float > 0.0 => (step > 0).then_some(i64::MAX),
        // Not a number takes this way too, as in the reference: a loop down to it is not bounded.
        None => (step < 0).then_some(i64::MIN),
    }
}

/// Whether a float loop runs at all. A loop whose start or limit is not a number runs once.
///
/// `step` must not be zero.
#[inline]
#[must_use]
pub fn float_loop_starts(start: f64, limit: f64, step: f64) -> bool {
    let is_past = if 0.0 < step { limit < start } else { start < limit };
    !is_past
}

/// Whether a float loop goes on with the control value `value`, which already includes the step.
///
/// `step` must not be zero.
#[inline]
#[must_use]
pub fn float_loop_continues(value: f64, limit: f64, step: f64) -> bool {
    if 0.0 < step { value <= limit } else { limit <= value }
}

/// A loop over floats that are small integers, as integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Narrowed {
    /// The first value.
    pub start: i64,
    /// The last value that the variable may have, rounded to an integer.
    pub limit: i64,
    /// The step, which is not zero.
    pub step: i64,
}

/// A loop as one over integers, if its start and step are small ones and its limit lies among them: then its variable has
/// the same values, without loss.
#[inline]
#[must_use]
pub fn narrowed(start: f64, limit: f64, step: f64) -> Option<Narrowed> {
    let small = |int: i64| (-SMALL..=SMALL).contains(&int).then_some(int);
    let (start, step) = (small(float_to_int(start)?)?, small(float_to_int(step)?)?);
    let rounded = match float_to_int(limit) {
        Some(limit) => limit,
        None if step > 0 => float_to_int_floor(limit)?,
        None => float_to_int_ceil(limit)?,
    };
    (step != 0).then_some(Narrowed { start, limit: small(rounded)?, step })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_over_small_integers_are_narrowed() {
        let whole = |start, limit, step| Some(Narrowed { start, limit, step });
        assert_eq!(narrowed(1.0, 10.0, 1.0), whole(1, 10, 1));
        assert_eq!(narrowed(-0.0, 2.5, 1.0), whole(0, 2, 1));
        assert_eq!(narrowed(3.0, -2.5, -1.0), whole(3, -2, -1));
        let edge = SMALL as f64;
        assert_eq!(narrowed(-edge, edge, edge), whole(-SMALL, SMALL, SMALL));
        for (start, limit, step) in [
            (0.5, 2.0, 1.0),
            (1.0, 2.0, 0.5),
            (1.0, 2.0, 0.0),
            (1.0, f64::INFINITY, 1.0),
            (1.0, f64::NAN, 1.0),
            (f64::NAN, 1.0, 1.0),
            (1.0, edge + 1.0, 1.0),
            (-edge - 1.0, 1.0, 1.0),
        ] {
            assert_eq!(narrowed(start, limit, step), None, "{start} {limit} {step}");
        }
    }

    #[test]
    fn loops_that_wrap_around_go_on() {
        assert_eq!(wrapping_loop(1, Num::Int(10), 3), Some((1, 3)));
        assert_eq!(wrapping_loop(1, Num::Int(0), 1), None);
        assert_eq!(wrapping_loop(i64::MAX - 1, Num::Int(i64::MAX), 1), Some((i64::MAX - 1, u64::MAX)));
        assert_eq!(wrapping_loop(1, Num::Int(0), 0), Some((1, u64::MAX)));
        assert_eq!(wrapping_loop(1, Num::Int(2), 0), None);
        // A float behind all integers.
        assert_eq!(wrapping_loop(5, Num::Float(-1e308), 0), Some((0, u64::MAX)));
        assert_eq!(wrapping_loop(5, Num::Float(1e308), 0), None);
        assert_eq!(wrapping_loop(i64::MAX, Num::Float(1e308), 0), Some((i64::MAX, u64::MAX)));
        assert_eq!(wrapping_loop(5, Num::Float(-1e308), 1), None);
        assert_eq!(wrapping_loop(5, Num::Float(1e308), -1), None);
        // 0, 2^62, then back to the least integer, and up by steps of 2^62 to 2^62 again.
        assert_eq!(wrapping_loop(0, Num::Int(i64::MAX), 1 << 62), Some((0, u64::MAX)));
        assert_eq!(wrapping_loop(0, Num::Int(1 << 61), i64::MAX), Some((0, 0)));
    }

    #[test]
    fn the_count_of_an_integer_loop_is_exact_at_the_ends_of_the_range() {
        assert_eq!(int_loop_count(1, Num::Int(10), 1), Some(9));
        assert_eq!(int_loop_count(1, Num::Int(10), 3), Some(3));
        assert_eq!(int_loop_count(10, Num::Int(1), -3), Some(3));
        assert_eq!(int_loop_count(1, Num::Int(0), 1), None);
        assert_eq!(int_loop_count(0, Num::Int(1), -1), None);
        assert_eq!(int_loop_count(i64::MIN, Num::Int(i64::MAX), 1), Some(u64::MAX));
        assert_eq!(int_loop_count(i64::MAX, Num::Int(i64::MIN), i64::MIN), Some(1));
        assert_eq!(int_loop_count(i64::MAX - 1, Num::Int(i64::MAX), 2), Some(0));
    }

    #[test]
    fn a_float_limit_of_an_integer_loop_is_clipped() {
        assert_eq!(int_loop_count(1, Num::Float(3.9), 1), Some(2));
        assert_eq!(int_loop_count(3, Num::Float(1.1), -1), Some(1));
        assert_eq!(int_loop_count(1, Num::Float(f64::INFINITY), i64::MAX - 1), Some(1));
        assert_eq!(int_loop_count(1, Num::Float(f64::NEG_INFINITY), 1), None);
        assert_eq!(int_loop_count(1, Num::Float(f64::INFINITY), -1), None);
        assert_eq!(int_loop_count(1, Num::Float(f64::NAN), 1), None);
    }

    #[test]
    fn a_float_loop_runs_up_to_its_limit() {
        assert!(float_loop_starts(1.0, 1.0, 0.1));
        assert!(!float_loop_starts(1.1, 1.0, 0.1));
        assert!(float_loop_continues(1.0, 1.0, 0.1));
        assert!(!float_loop_continues(1.1, 1.0, 0.1));
        assert!(float_loop_continues(1.1, 1.0, -0.1));
    }

    #[test]
    fn a_float_loop_over_nan_runs_once() {
        for (start, limit) in [(1.0, f64::NAN), (f64::NAN, 1.0)] {
            for step in [1.0, -1.0] {
                assert!(float_loop_starts(start, limit, step));
                assert!(!float_loop_continues(start + step, limit, step));
            }
        }
    }
}
