//! The mathematical library (§6.7 of the manual), with the functions that the reference's default build keeps from older
//! versions (`LUA_COMPAT_MATHLIB`).

mod feedback;
mod random;

use std::f64::consts::PI;

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua54};
use perilune_base::dialect::library::Random;
use perilune_base::num::convert::{float_to_int_ceil, float_to_int_floor};
use perilune_runtime::heap::Heap;
use perilune_runtime::object::Direct;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Life, Row, alias, intrinsic, plain, row};

/// The functions of the library.
pub const ROWS: &[Row] = &[
    intrinsic("abs", abs, Intrinsic::MathAbs).direct(abs_direct).since(Lua53),
    intrinsic("abs", |vm| map(vm, f64::abs), Intrinsic::MathAbs).until(Lua52),
    plain("acos", |vm| map(vm, acos)).direct(|_, args, _| map_direct(args, acos)),
    plain("asin", |vm| map(vm, asin)).direct(|_, args, _| map_direct(args, asin)),
    plain("atan", atan).since(Lua53),
    plain("atan", |vm| map(vm, f64::atan)).until(Lua52),
    plain("atan2", atan2).until(Lua52),
    intrinsic("ceil", ceil, Intrinsic::MathCeil).direct(ceil_direct).since(Lua53),
    intrinsic("ceil", |vm| map(vm, f64::ceil), Intrinsic::MathCeil).until(Lua52),
    intrinsic("cos", |vm| map(vm, f64::cos), Intrinsic::MathCos).direct(|_, args, _| map_direct(args, f64::cos)),
    plain("cosh", |vm| map(vm, f64::cosh)).until(Lua54).not_in_manual(&[Lua53, Lua54]),
    plain("deg", |vm| map(vm, |x| x * (180.0 / PI))),
    intrinsic("exp", |vm| map(vm, f64::exp), Intrinsic::MathExp).direct(|_, args, _| map_direct(args, f64::exp)),
    intrinsic("floor", floor, Intrinsic::MathFloor).direct(floor_direct).since(Lua53),
    intrinsic("floor", |vm| map(vm, f64::floor), Intrinsic::MathFloor).until(Lua52),
    intrinsic("fmod", fmod, Intrinsic::MathFmod).direct(fmod_direct),
    plain("frexp", frexp).not_in_manual(&[Lua53, Lua54]),
    plain("ldexp", ldexp).not_in_manual(&[Lua53, Lua54]),
    intrinsic("log", log, Intrinsic::MathLog).direct(log_direct).since(Lua53),
    intrinsic("log", log_without_binary, Intrinsic::MathLog).since(Lua52).until(Lua52),
    intrinsic("log", |vm| map(vm, f64::ln), Intrinsic::MathLog).until(Lua51),
    plain("log10", |vm| map(vm, log10)).until(Lua54).not_in_manual(&[Lua52, Lua53, Lua54]),
    intrinsic("max", max, Intrinsic::MathMax)
        .direct(|_, args, _| extreme_direct(args, |best, value| best < value, |best, value| best < value))
        .since(Lua53),
    intrinsic("max", |vm| extreme_float(vm, |best, x| x > best), Intrinsic::MathMax).until(Lua52),
    intrinsic("min", min, Intrinsic::MathMin)
        .direct(|_, args, _| extreme_direct(args, |best, value| value < best, |best, value| value < best))
        .since(Lua53),
    intrinsic("min", |vm| extreme_float(vm, |best, x| x < best), Intrinsic::MathMin).until(Lua52),
    intrinsic("modf", modf, Intrinsic::MathModf).since(Lua53),
    intrinsic("modf", modf_of_floats, Intrinsic::MathModf).until(Lua52),
    plain("pow", pow).direct(pow_direct).until(Lua54).not_in_manual(&[Lua53, Lua54]),
    plain("rad", |vm| map(vm, |x| x * (PI / 180.0))),
    intrinsic("random", random::random, Intrinsic::MathRandom).direct(random::random_direct).since(Lua54),
    row("randomseed", random::randomseed).since(Lua54),
    intrinsic("sin", |vm| map(vm, f64::sin), Intrinsic::MathSin).direct(|_, args, _| map_direct(args, f64::sin)),
    plain("sinh", |vm| map(vm, f64::sinh)).until(Lua54).not_in_manual(&[Lua53, Lua54]),
    intrinsic("sqrt", |vm| map(vm, f64::sqrt), Intrinsic::MathSqrt).direct(|_, args, _| map_direct(args, f64::sqrt)),
    intrinsic("tan", |vm| map(vm, f64::tan), Intrinsic::MathTan).direct(|_, args, _| map_direct(args, f64::tan)),
    plain("tanh", |vm| map(vm, f64::tanh)).until(Lua54).not_in_manual(&[Lua53, Lua54]),
    intrinsic("tointeger", tointeger, Intrinsic::MathToInteger).direct(tointeger_direct).since(Lua53),
    intrinsic("type", r#type, Intrinsic::MathType).since(Lua53),
    intrinsic("ult", ult, Intrinsic::MathUlt).since(Lua53),
];

/// Opens the library. The generator of newer versions is seeded from the host.
pub fn open(vm: &mut Vm) {
    let library = crate::new_library(vm, "math", ROWS);
    let atan2 = Life::until(Lua54).since(Lua53).not_in_manual(&[Lua53, Lua54]);
    alias(vm, (library, "atan"), (library, "atan2"), atan2);
    alias(vm, (library, "fmod"), (library, "mod"), Life::until(Lua51).not_in_manual(&[Lua51]));
    vm.set_field(library, "pi", Value::float(PI));
    vm.set_field(library, "huge", Value::float(f64::INFINITY));
    if vm.dialect().integers {
        vm.set_field(library, "maxinteger", Value::int(i64::MAX));
        vm.set_field(library, "mininteger", Value::int(i64::MIN));
    }
    match vm.dialect().random {
        Random::FeedbackOfInts => feedback::publish(vm, library, &feedback::OF_51),
        Random::FeedbackOfFloats => feedback::publish(vm, library, &feedback::OF_52),
        Random::FeedbackOfIntegers => feedback::publish(vm, library, &feedback::OF_53),
        Random::Xoshiro => random::seed_from_host(vm),
    }
}

/// Returns a function of the float argument.
#[inline(always)]
fn map(vm: &mut Vm, function: impl Fn(f64) -> f64) -> NativeResult {
    let x = vm.check_float(1)?;
    vm.ret(Value::float(function(x)))
}

/// A function of a float, called directly.
#[inline(always)]
fn map_direct(args: &[Value], function: impl Fn(f64) -> f64) -> Direct {
    let result = args.first().and_then(float_of).map(function);
    result.map_or(Direct::Unknown, |result| Direct::One(Value::float(result)))
}

/// A number as a float; texts are for the function itself.
fn float_of(value: &Value) -> Option<f64> {
    match value.tag {
        Tag::Float => Some(value.raw_float()),
        Tag::Int => Some(value.raw_int() as f64),
        _ => None,
    }
}

// Outside of their domain, these give the NaN that the shared library of the GNU C library gives for the reference, which shows
// no sign. That of the same library linked statically has one.

fn acos(x: f64) -> f64 {
    if x.abs() > 1.0 { f64::NAN } else { x.acos() }
}

fn asin(x: f64) -> f64 {
    if x.abs() > 1.0 { f64::NAN } else { x.asin() }
}

fn log10(x: f64) -> f64 {
    if x < 0.0 { f64::NAN } else { x.log10() }
}

fn abs_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [x, ..] if x.tag == Tag::Float => Direct::One(Value::float(x.raw_float().abs())),
        [x, ..] if x.tag == Tag::Int => Direct::One(Value::int(x.raw_int().wrapping_abs())),
        _ => Direct::Unknown,
    }
}

fn abs(vm: &mut Vm) -> NativeResult {
    match vm.arg(1).as_int() {
        Some(int) => vm.ret(Value::int(int.wrapping_abs())),
        None => map(vm, f64::abs),
    }
}

fn atan(vm: &mut Vm) -> NativeResult {
    let y = vm.check_float(1)?;
    let x = vm.opt_float(2, 1.0)?;
    vm.ret(Value::float(y.atan2(x)))
}

fn ceil_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [x, ..] if x.tag == Tag::Int => Direct::One(*x),
        [x, ..] if x.tag == Tag::Float => float_to_int_ceil(x.raw_float()).map_or(Direct::Unknown, whole),
        _ => Direct::Unknown,
    }
}

/// An integer result.
fn whole(int: i64) -> Direct {
    Direct::One(Value::int(int))
}

fn atan2(vm: &mut Vm) -> NativeResult {
    // The reference, as compiled for this platform, looks at the second argument first.
    let x = vm.check_float(2)?;
    let y = vm.check_float(1)?;
    vm.ret(Value::float(y.atan2(x)))
}

fn ceil(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    if value.tag == Tag::Int {
        return vm.ret(value);
    }
    let float = vm.check_float(1)?;
    vm.ret(float_to_int_ceil(float).map_or_else(|| Value::float(float.ceil()), Value::int))
}

fn floor_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [x, ..] if x.tag == Tag::Int => Direct::One(*x),
        [x, ..] if x.tag == Tag::Float => float_to_int_floor(x.raw_float()).map_or(Direct::Unknown, whole),
        _ => Direct::Unknown,
    }
}

fn floor(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    if value.tag == Tag::Int {
        return vm.ret(value);
    }
    let float = vm.check_float(1)?;
    vm.ret(floored(float))
}

/// The largest integer not above a float; a float if no integer is large enough.
fn floored(float: f64) -> Value {
    float_to_int_floor(float).map_or_else(|| Value::float(float.floor()), Value::int)
}

fn fmod_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [a, b, ..] if a.tag == Tag::Float && b.tag == Tag::Float => {
            Direct::One(Value::float(a.raw_float() % b.raw_float()))
        }
        _ => Direct::Unknown,
    }
}

fn fmod(vm: &mut Vm) -> NativeResult {
    if let (Some(a), Some(b)) = (vm.arg(1).as_int(), vm.arg(2).as_int()) {
        if b == 0 {
            return Err(vm.arg_error(2, "zero"));
        }
        return vm.ret(Value::int(a.wrapping_rem(b)));
    }
    // The reference, as compiled for this platform, looks at the second argument first.
    let b = vm.check_float(2)?;
    let a = vm.check_float(1)?;
    vm.ret(Value::float(a % b))
}

fn modf(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    if value.tag == Tag::Int {
        vm.push(value);
        vm.push(Value::float(0.0));
        return Ok(2);
    }
    let float = vm.check_float(1)?;
    let whole = float.trunc();
    // The difference of infinities would be NaN.
    let fraction = if float == whole { 0.0 } else { float - whole };
    vm.push(floored(whole));
    vm.push(Value::float(fraction));
    Ok(2)
}

fn log_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    if args.len() == 1 { map_direct(args, f64::ln) } else { Direct::Unknown }
}

fn modf_of_floats(vm: &mut Vm) -> NativeResult {
    let float = vm.check_float(1)?;
    let whole = float.trunc();
    // The difference of infinities would be NaN; a zero has the sign of the whole.
    let fraction = if float.is_infinite() { 0.0 } else { float - whole };
    vm.push(Value::float(whole));
    vm.push(Value::float(fraction.copysign(float)));
    Ok(2)
}

/// To the base 2 as to any other.
fn log_without_binary(vm: &mut Vm) -> NativeResult {
    let x = vm.check_float(1)?;
    let result = if vm.arg(2).is_nil() {
        x.ln()
    } else {
        match vm.check_float(2)? {
            10.0 => log10(x),
            base => x.ln() / base.ln(),
        }
    };
    vm.ret(Value::float(result))
}

fn log(vm: &mut Vm) -> NativeResult {
    let x = vm.check_float(1)?;
    let result = if vm.arg(2).is_nil() {
        x.ln()
    } else {
        match vm.check_float(2)? {
            2.0 => x.log2(),
            10.0 => log10(x),
            base => x.ln() / base.ln(),
        }
    };
    vm.ret(Value::float(result))
}

fn pow_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    let [x, y, ..] = args else { return Direct::Unknown };
    let operands = float_of(x).zip(float_of(y));
    operands.map_or(Direct::Unknown, |(x, y)| Direct::One(Value::float(x.powf(y))))
}

fn pow(vm: &mut Vm) -> NativeResult {
    if vm.dialect().arguments_from_the_last {
        vm.check_float(2)?;
    }
    let x = vm.check_float(1)?;
    let y = vm.check_float(2)?;
    vm.ret(Value::float(x.powf(y)))
}

fn max(vm: &mut Vm) -> NativeResult {
    extreme(vm, less)
}

fn min(vm: &mut Vm) -> NativeResult {
    extreme(vm, |vm, best, value| less(vm, value, best))
}

/// Returns the float argument that `is_better` than those before it.
fn extreme_float(vm: &mut Vm, is_better: fn(f64, f64) -> bool) -> NativeResult {
    let mut best = vm.check_float(1)?;
    for i in 2..=vm.nargs() {
        let float = vm.check_float(i)?;
        if is_better(best, float) {
            best = float;
        }
    }
    vm.ret(Value::float(best))
}

/// Returns the argument that `is_better` than those before it.
#[inline(always)]
fn extreme(vm: &mut Vm, is_better: impl Fn(&mut Vm, Value, Value) -> Result<bool, Raised>) -> NativeResult {
    let count = vm.nargs();
    let mut best = vm.check_any(1)?;
    for i in 2..=count {
        let value = vm.arg(i);
        if is_better(vm, best, value)? {
            best = value;
        }
    }
    vm.ret(best)
}

/// The extreme of several numbers of one kind, called directly.
#[inline(always)]
fn extreme_direct(args: &[Value], int: impl Fn(i64, i64) -> bool, float: impl Fn(f64, f64) -> bool) -> Direct {
    let [first, rest @ ..] = args else { return Direct::Unknown };
    let mut best = *first;
    for &value in rest {
        let is_better = match (best.tag, value.tag) {
            (Tag::Int, Tag::Int) => int(best.raw_int(), value.raw_int()),
            (Tag::Float, Tag::Float) => float(best.raw_float(), value.raw_float()),
            _ => return Direct::Unknown,
        };
        if is_better {
            best = value;
        }
    }
    Direct::One(best)
}

#[inline(always)]
fn less(vm: &mut Vm, a: Value, b: Value) -> Result<bool, Raised> {
    match (a.tag, b.tag) {
        (Tag::Int, Tag::Int) => Ok(a.raw_int() < b.raw_int()),
        (Tag::Float, Tag::Float) => Ok(a.raw_float() < b.raw_float()),
        // Anything that can be compared is allowed.
        _ => vm.less_than(a, b),
    }
}

fn tointeger_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [x, ..] if x.tag == Tag::Int => Direct::One(*x),
        _ => Direct::Unknown,
    }
}

fn tointeger(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    vm.before_conversion(value);
    let int = vm.to_integer(value);
    vm.ret(int.map_or(Value::NIL, Value::int))
}

fn r#type(vm: &mut Vm) -> NativeResult {
    let name = match vm.check_any(1)?.tag {
        Tag::Int => "integer",
        Tag::Float => "float",
        _ => return vm.ret(Value::NIL),
    };
    let name = vm.string(name.as_bytes());
    vm.ret(name)
}

fn ult(vm: &mut Vm) -> NativeResult {
    let a = vm.check_int(1)?;
    let b = vm.check_int(2)?;
    vm.ret(Value::bool((a as u64) < b as u64))
}

fn frexp(vm: &mut Vm) -> NativeResult {
    let (fraction, exponent) = split_float(vm.check_float(1)?);
    vm.push(Value::float(fraction));
    vm.push(vm.int_value(i64::from(exponent)));
    Ok(2)
}

fn ldexp(vm: &mut Vm) -> NativeResult {
    if vm.dialect().arguments_from_the_last {
        vm.check_int(2)?;
    }
    let x = vm.check_float(1)?;
    // C's `int`: what does not fit is cut.
    let exponent = vm.check_int(2)? as i32;
    vm.ret(Value::float(scale(x, exponent)))
}

const FRACTION_BITS: u32 = 52;
const EXPONENT_MASK: u64 = 0x7FF << FRACTION_BITS;
const BIAS: i32 = 1023;

/// C's `frexp`: a fraction from 0.5 to 1, and the power of two to multiply it with.
fn split_float(x: f64) -> (f64, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    const TO_NORMAL: i32 = 64;
    let (x, correction) = if x.is_subnormal() { (x * 2f64.powi(TO_NORMAL), TO_NORMAL) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = (bits & EXPONENT_MASK) >> FRACTION_BITS;
    let fraction = f64::from_bits(bits & !EXPONENT_MASK | ((BIAS - 1) as u64) << FRACTION_BITS);
    (fraction, exponent as i32 - (BIAS - 1) - correction)
}

/// C's `ldexp`: `x` times a power of two, rounded once.
fn scale(x: f64, exponent: i32) -> f64 {
    const LARGEST: i32 = BIAS;
    // Steps down leave room for all bits of the fraction, so that only the last product can round.
    const SMALLEST: i32 = 1 - BIAS + FRACTION_BITS as i32 + 1;
    let power = |exponent: i32| f64::from_bits(((exponent + BIAS) as u64) << FRACTION_BITS);
    let (mut x, mut exponent) = (x, exponent);
    for _ in 0..2 {
        if exponent > LARGEST {
            x *= power(LARGEST);
            exponent -= LARGEST;
        } else if exponent < 1 - BIAS {
            x *= power(SMALLEST);
            exponent -= SMALLEST;
        }
    }
    x * power(exponent.clamp(1 - BIAS, LARGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_split_as_by_c() {
        assert_eq!(split_float(8.0), (0.5, 4));
        assert_eq!(split_float(-0.3), (-0.6, -1));
        assert_eq!(split_float(0.0), (0.0, 0));
        assert_eq!(split_float(5e-324), (0.5, -1073));
        assert_eq!(split_float(f64::MAX), (0.999_999_999_999_999_9, 1024));
        assert_eq!(split_float(f64::INFINITY), (f64::INFINITY, 0));
    }

    #[test]
    fn nan_outside_of_a_domain_has_no_sign() {
        for function in [acos, asin, log10] {
            for x in [-2.0, f64::NEG_INFINITY] {
                assert!(function(x).is_nan() && function(x).is_sign_positive(), "{x}");
            }
            // The sign of one that was there before remains.
            assert!(function(-f64::NAN).is_sign_negative());
        }
        assert_eq!((acos(1.0), asin(0.0), log10(100.0)), (0.0, 0.0, 2.0));
        assert_eq!(log10(-0.0), f64::NEG_INFINITY);
    }

    #[test]
    fn scaling_goes_through_the_whole_range() {
        assert_eq!(scale(0.5, 4), 8.0);
        assert_eq!(scale(0.5, -1073), 5e-324);
        assert_eq!(scale(5e-324, 1074), 1.0);
        assert_eq!(scale(5e-324, 1074 + 1023), 2f64.powi(1023));
        assert_eq!(scale(1.0, 1024), f64::INFINITY);
        assert_eq!(scale(1.0, i32::MIN), 0.0);
        assert_eq!(scale(1.0, i32::MAX), f64::INFINITY);
        assert_eq!(scale(3.0, -1075), 1e-323);
        assert_eq!(scale(1.5, -1074), 1e-323);
    }
}
