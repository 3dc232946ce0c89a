//! `math.random`: the generator xoshiro256**, with the seeding and the projections of the reference, so that equal seeds
//! give equal sequences.

use perilune_runtime::heap::Heap;
use perilune_runtime::object::Direct;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

type State = [u64; 4];

/// The next number of the sequence.
#[inline]
fn next(state: &mut State) -> u64 {
    let [s0, s1, s2, s3] = *state;
    let s2 = s2 ^ s0;
    let s3 = s3 ^ s1;
    *state = [s0 ^ s3, s1 ^ s2, s2 ^ s1 << 17, s3.rotate_left(45)];
    s1.wrapping_mul(5).rotate_left(7).wrapping_mul(9)
}

/// The state for a seed of two numbers.
fn seeded(first: u64, second: u64) -> State {
    const DISCARDED: usize = 16;
    // The constant keeps the state from being zero.
    let mut state = [first, 0xff, second, 0];
    for _ in 0..DISCARDED {
        next(&mut state);
    }
    state
}

/// A random number as a float from 0 to below 1.
#[inline]
fn to_float(random: u64) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    const SCALE: f64 = 1.0 / (1u64 << BITS) as f64;
    (random >> (u64::BITS - BITS)) as f64 * SCALE
}

/// A random number from 0 to `limit`, without bias: numbers above it are thrown away, once they have no more bits than it.
#[inline]
fn project(mut random: u64, limit: u64, state: &mut State) -> u64 {
    let mask = u64::MAX.checked_shr(limit.leading_zeros()).unwrap_or(0);
    loop {
        random &= mask;
        if random <= limit {
            return random;
        }
        random = next(state);
    }
}

/// The integer of an interval that a random number stands for; more are drawn where it stands for none.
fn between(low: i64, high: i64, random: u64, state: &mut State) -> i64 {
    low.wrapping_add(project(random, high.wrapping_sub(low) as u64, state) as i64)
}

/// What a call of `random` with arguments asks for.
#[derive(Clone, Copy)]
enum Wanted {
    /// All bits of a number.
    Bits,
    Between(i64, i64),
}

pub(super) fn random(vm: &mut Vm) -> NativeResult {
    if vm.nargs() == 0 {
        let random = next(vm.rng_state());
        return vm.ret(Value::float(to_float(random)));
    }
    let wanted = wanted(vm);
    // A call that fails draws as well, but does not draw twice when it is made again.
    if wanted.is_err() && vm.is_frozen() {
        return wanted.map(|_| 0);
    }
    let random = next(vm.rng_state());
    match wanted? {
        Wanted::Bits => vm.ret(Value::int(random as i64)),
        Wanted::Between(low, high) => {
            let int = between(low, high, random, vm.rng_state());
            vm.ret(Value::int(int))
        }
    }
}

/// `random` of no arguments, or of integers that are an interval. What fails is left to the function, before a number is drawn.
pub(super) fn random_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    let state = &mut heap.random;
    let (low, high) = match args {
        [] => return Direct::One(Value::float(to_float(next(state)))),
        [high] if high.tag == Tag::Int && high.raw_int() > 0 => (1, high.raw_int()),
        [low, high] if low.tag == Tag::Int && high.tag == Tag::Int && low.raw_int() <= high.raw_int() => {
            (low.raw_int(), high.raw_int())
        }
        _ => return Direct::Unknown,
    };
    let random = next(state);
    Direct::One(Value::int(between(low, high, random, state)))
}

fn wanted(vm: &mut Vm) -> Result<Wanted, Raised> {
    let (low, high) = match vm.nargs() {
        1 => match vm.check_int(1)? {
            0 => return Ok(Wanted::Bits),
            high => (1, high),
        },
        2 => (vm.check_int(1)?, vm.check_int(2)?),
        _ => return Err(vm.error("wrong number of arguments")),
    };
    if low > high {
        return Err(vm.arg_error(1, "interval is empty"));
    }
    Ok(Wanted::Between(low, high))
}

pub(super) fn randomseed(vm: &mut Vm) -> NativeResult {
    let (first, second) =
        if vm.nargs() == 0 { vm.host().random_seed() } else { (vm.check_int(1)? as u64, vm.opt_int(2, 0)? as u64) };
    *vm.rng_state() = seeded(first, second);
    vm.push(Value::int(first as i64));
    vm.push(Value::int(second as i64));
    Ok(2)
}

/// Seeds the generator of a new VM.
pub(super) fn seed_from_host(vm: &mut Vm) {
    let (first, second) = vm.host().random_seed();
    *vm.rng_state() = seeded(first, second);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_give_the_sequences_of_the_reference() {
        // math.randomseed(7); math.random(1, 100), math.random(), math.random(0)
        let mut state = seeded(7, 0);
        let first = next(&mut state);
        assert_eq!(project(first, 99, &mut state) + 1, 64);
        assert_eq!(format!("{:.14}", to_float(next(&mut state))), "0.38808095006413");
        assert_eq!(next(&mut state) as i64, -4642864493851272806);
    }

    #[test]
    fn projections_stay_within_the_limit() {
        let mut state = seeded(1, 2);
        for limit in [0, 1, 2, 6, 1 << 40, u64::MAX - 1, u64::MAX] {
            for _ in 0..50 {
                let random = next(&mut state);
                assert!(project(random, limit, &mut state) <= limit);
            }
        }
        assert_eq!(project(u64::MAX, 0, &mut state), 0);
    }
}
