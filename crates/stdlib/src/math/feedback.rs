//! `math.random` up to 5.3: the generator behind `rand` and `random` of the GNU C library, so that equal seeds give the
//! sequences that scripts know.
//!
//! It is an additive feedback generator over the trinomial x^31 + x^3 + 1: each number is the sum of the numbers 3 and 31
//! places before it, and its lowest bit, the least random one, is not shown.

use perilune_base::num::convert::float_to_int_as_c;
use perilune_runtime::object::TableRef;
use perilune_runtime::value::Value;
use perilune_vm::native::{Intrinsic, NativeFn, NativeResult, Raised};
use perilune_vm::vm::Vm;

/// How far back the sums reach.
const DEGREE: usize = 31;
const SEPARATION: usize = 3;

/// The largest number of the sequence (`RAND_MAX`).
const MAX: u32 = i32::MAX as u32;

struct Generator {
    /// The last numbers; the oldest one is at `oldest`.
    state: [u32; DEGREE],
    oldest: usize,
}

impl Generator {
    fn seeded(seed: u32) -> Generator {
        const DISCARDED: usize = 10 * DEGREE;
        // The multiplicative generator that fills the state, on signed numbers.
        const MULTIPLIER: i64 = 16807;
        const MODULUS: i64 = 2_147_483_647;
        let mut word = if seed == 0 { 1 } else { seed as i32 };
        let state = std::array::from_fn(|i| {
            if i > 0 {
                let next = i64::from(word) * MULTIPLIER % MODULUS;
                word = (if next < 0 { next + MODULUS } else { next }) as i32;
            }
            word as u32
        });
        // The first three numbers stand for those that would come before them.
        let mut generator = Generator { state, oldest: SEPARATION };
        for _ in 0..DISCARDED {
            generator.next();
        }
        generator
    }

    fn next(&mut self) -> u32 {
        let near = self.state[(self.oldest + DEGREE - SEPARATION) % DEGREE];
        let sum = self.state[self.oldest].wrapping_add(near);
        self.state[self.oldest] = sum;
        self.oldest = (self.oldest + 1) % DEGREE;
        sum >> 1
    }
}

/// What `random` and `randomseed` of a version are.
pub(super) struct Functions {
    random: NativeFn,
    randomseed: NativeFn,
}

pub(super) const OF_51: Functions = Functions { random: random_of_ints, randomseed: |vm| seed(vm, seed_as_int, false) };
pub(super) const OF_52: Functions =
    Functions { random: random_of_floats, randomseed: |vm| seed(vm, seed_rounded, true) };
pub(super) const OF_53: Functions = Functions { random: random_of_integers, randomseed: |vm| seed(vm, seed_cut, true) };

/// Publishes both functions in the library's table. Their upvalue is the generator, which begins like one whose seed is 1.
pub(super) fn publish(vm: &mut Vm, library: TableRef, functions: &Functions) {
    // A memory limit that leaves no room for the libraries is met again by the first thing that a script does.
    let Ok(generator) = vm.userdata(Box::new(Generator::seeded(1)), None, 0) else { return };
    let rows =
        [("random", functions.random, Intrinsic::MathRandom), ("randomseed", functions.randomseed, Intrinsic::None)];
    for (name, function, intrinsic) in rows {
        let function = vm.native(function, intrinsic, &[Value::userdata(generator)]);
        vm.set_field(library, name, function);
    }
}

/// Uses the generator of the running function.
fn with_generator<R: Default>(vm: &mut Vm, work: impl FnOnce(&mut Generator) -> R) -> R {
    let owner = vm.upvalue(1).as_userdata();
    match owner.and_then(|owner| owner.downcast_mut::<Generator>(vm.heap_mut())) {
        Some(generator) => work(generator),
        None => R::default(),
    }
}

fn seed(vm: &mut Vm, read: fn(&mut Vm) -> Result<u32, Raised>, discards_first: bool) -> NativeResult {
    let seed = read(vm)?;
    with_generator(vm, |generator| {
        *generator = Generator::seeded(seed);
        if discards_first {
            generator.next();
        }
    });
    Ok(0)
}

/// Cut to C's `int`.
fn seed_as_int(vm: &mut Vm) -> Result<u32, Raised> {
    Ok(vm.check_int(1)? as u32)
}

/// Rounded to the nearest integer, and wrapped around.
fn seed_rounded(vm: &mut Vm) -> Result<u32, Raised> {
    let float = vm.check_float(1)?;
    Ok(crate::bits::float_to_word(float))
}

/// Cut to an integer, and wrapped around.
fn seed_cut(vm: &mut Vm) -> Result<u32, Raised> {
    let float = vm.check_float(1)?;
    Ok(float_to_int_as_c(float) as u32)
}

/// Draws a number for what a call asks for. One that fails draws as well, but does not draw twice when it is made again.
fn drawn<W>(vm: &mut Vm, wanted: Result<W, Raised>, draw: fn(&mut Vm) -> f64) -> Result<(f64, W), Raised> {
    if wanted.is_err() && vm.is_frozen() {
        return wanted.map(|wanted| (0.0, wanted));
    }
    let fraction = draw(vm);
    wanted.map(|wanted| (fraction, wanted))
}

/// 5.1: the interval is one of C's `int`s.
fn random_of_ints(vm: &mut Vm) -> NativeResult {
    let wanted = interval_of_ints(vm);
    let (fraction, interval) = drawn(vm, wanted, fraction_of_max)?;
    let result = match interval {
        None => fraction,
        Some((low, high)) => {
            let width = high.wrapping_sub(low).wrapping_add(1);
            (fraction * f64::from(width)).floor() + f64::from(low)
        }
    };
    vm.ret(Value::float(result))
}

fn interval_of_ints(vm: &mut Vm) -> Result<Option<(i32, i32)>, Raised> {
    let (low, high) = match vm.nargs() {
        0 => return Ok(None),
        1 => (1, vm.check_int(1)? as i32),
        2 => (vm.check_int(1)? as i32, vm.check_int(2)? as i32),
        _ => return Err(vm.error("wrong number of arguments")),
    };
    if low > high {
        return Err(vm.arg_error(vm.nargs(), "interval is empty"));
    }
    Ok(Some((low, high)))
}

/// 5.2: the interval is one of floats.
fn random_of_floats(vm: &mut Vm) -> NativeResult {
    let wanted = interval_of_floats(vm);
    let (fraction, interval) = drawn(vm, wanted, fraction_of_max)?;
    let result = match interval {
        None => fraction,
        Some((low, high)) => (fraction * (high - low + 1.0)).floor() + low,
    };
    vm.ret(Value::float(result))
}

fn interval_of_floats(vm: &mut Vm) -> Result<Option<(f64, f64)>, Raised> {
    let (low, high) = match vm.nargs() {
        0 => return Ok(None),
        1 => (1.0, vm.check_float(1)?),
        2 => (vm.check_float(1)?, vm.check_float(2)?),
        _ => return Err(vm.error("wrong number of arguments")),
    };
    if low > high || low.is_nan() || high.is_nan() {
        return Err(vm.arg_error(vm.nargs(), "interval is empty"));
    }
    Ok(Some((low, high)))
}

/// 5.3: the interval is one of integers.
fn random_of_integers(vm: &mut Vm) -> NativeResult {
    let wanted = interval_of_integers(vm);
    let (fraction, interval) = drawn(vm, wanted, fraction_below_one)?;
    let Some((low, width)) = interval else { return vm.ret(Value::float(fraction)) };
    let distance = float_to_int_as_c(fraction * (width as f64 + 1.0));
    vm.ret(Value::int(distance.wrapping_add(low)))
}

/// The lowest number, and how far the highest is from it.
fn interval_of_integers(vm: &mut Vm) -> Result<Option<(i64, i64)>, Raised> {
    let (low, high) = match vm.nargs() {
        0 => return Ok(None),
        1 => (1, vm.check_int(1)?),
        2 => (vm.check_int(1)?, vm.check_int(2)?),
        _ => return Err(vm.error("wrong number of arguments")),
    };
    if low > high {
        return Err(vm.arg_error(1, "interval is empty"));
    }
    match high.checked_sub(low) {
        Some(width) => Ok(Some((low, width))),
        None => Err(vm.arg_error(1, "interval too large")),
    }
}

/// The next number as a part of what it never reaches.
fn fraction_below_one(vm: &mut Vm) -> f64 {
    f64::from(with_generator(vm, Generator::next)) * (1.0 / (f64::from(MAX) + 1.0))
}

/// The next number as a part of the largest one, which itself counts as zero.
fn fraction_of_max(vm: &mut Vm) -> f64 {
    let random = with_generator(vm, Generator::next);
    f64::from(random % MAX) / f64::from(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_those_of_the_c_library() {
        let first = |seed| {
            let mut generator = Generator::seeded(seed);
            [generator.next(), generator.next(), generator.next()]
        };
        assert_eq!(first(1), [1_804_289_383, 846_930_886, 1_681_692_777]);
        assert_eq!(first(0), first(1));
        assert_eq!(first(42), [71_876_166, 708_592_740, 1_483_128_881]);
    }
}
