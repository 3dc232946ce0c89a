//! How compiled functions call each other: what travels in registers, and the gate for everybody else.
//!
//! ```text
//! fn(vm, base, header, fuel, a0, a1, x0 ... x5) -> (status, fuel, result)
//! ```
//!
//! * Arguments come first, and then the function: the first two of these in `a0` and `a1`, the others in float registers, as
//!   they are. A caller passes those only that there are. Nothing is in its place on the stack: whoever leaves stores it.
//! * Which types they have, the caller says in `header`: a negative number, see [`types_of`]. The code compares it with the
//!   types of each version of the function's entry. With [`ANY_VERSION`](crate::ANY_VERSION) everything is in its place.
//! * A function that calls itself says `header` by [`PASSES_BY`] and the version of its entry, if it knows that what the preheader
//!   looks at holds; see `perilune_trace::opt::recursion`.
//! * A function that calls itself does so directly. Others call what its cell holds, so that it can get other code.
//! * Fuel is the caller's, less what its path has cost. When the status says that the function has returned, it is in a
//!   register again, and the counter of the VM is old; otherwise the counter is right.
//! * A function that refuses a call puts everything into its place, so that the caller needs to keep nothing for that.
//! * A single result comes in a register, and the status says its type: [`RESULT`] less its number. More results, or none, are
//!   in their places.
//!
//! The VM knows one result only. Its calls go through a *gate*, which has the signature of trees that are no functions. It takes
//! fuel from the counter and puts it there, and the result into its place.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Type, types};
use perilune_trace::ir::Ty;

use crate::layout::{TAG, VALUE};
use crate::mir::{Builder, Signature, Value};
use crate::{MISMATCH, RETURNED};

/// What a call says for the entry's header 0, if it passes by the preheader. Numbers of types are negative, headers small.
pub(crate) const PASSES_BY: i64 = 0x4000_0000;

/// The status of a function whose one result is in a register, if that is nil; for other types it is less by their number.
pub(crate) const RESULT: i64 = -0x1000;

/// Most parameters of functions that take them in registers: their types must fit into a number.
pub(crate) const MOST_PARAMS: usize = 7;

/// Where the values begin among the parameters.
pub(crate) const FIRST_VALUE: usize = 4;

/// How many of them are in registers for integers.
const IN_INTEGERS: usize = 2;

/// Bits for the type of one parameter.
const TYPE_BITS: usize = 4;

/// The signature of compiled functions, as called with `values` values.
pub(crate) fn signature(values: usize) -> Signature {
    let mut params = vec![types::I64; FIRST_VALUE];
    params.extend((0..values).map(register));
    Signature { params, returns: vec![types::I64; 3] }
}

/// The kind of register that a value is in.
pub(crate) fn register(n: usize) -> Type {
    if n < IN_INTEGERS { types::I64 } else { types::F64 }
}

/// The number that says the types of parameters: negative, and all of it that is not about them is their count.
pub(crate) fn types_of(params: impl ExactSizeIterator<Item = Ty>) -> i64 {
    debug_assert!(params.len() <= MOST_PARAMS);
    let count = (params.len() as i64) << (TYPE_BITS * MOST_PARAMS);
    !params.enumerate().fold(count, |number, (n, ty)| number | (ty as i64) << (TYPE_BITS * n))
}

/// The bits of such a number that are about parameter `n`.
pub(crate) fn mask_of(n: usize) -> i64 {
    ((1 << TYPE_BITS) - 1) << (TYPE_BITS * n)
}

/// What a number of types says in some of its bits.
fn bits_of(b: &mut Builder, header: Value, first: usize, mask: i64) -> Value {
    let bits = b.bnot(header);
    let bits = b.ushr_imm(bits, first as i64);
    b.band_imm(bits, mask)
}

/// Puts argument `n` into its place, with the tag that the number of types says.
pub(crate) fn store_argument(b: &mut Builder, header: Value, base: Value, n: usize, value: Value) {
    let offset = n as i32 * VALUE as i32;
    let tag = bits_of(b, header, TYPE_BITS * n, mask_of(0));
    let tag = b.ireduce(types::I8, tag);
    b.store(value, base, offset);
    b.store(tag, base, offset + TAG);
}

/// Puts the function into its place.
pub(crate) fn store_function(b: &mut Builder, base: Value, value: Value) {
    let tag = b.iconst(types::I8, Ty::LuaFn as i64);
    b.store(value, base, -VALUE as i32);
    b.store(tag, base, -VALUE as i32 + TAG);
}

/// Fills a function with the gate: `fn(vm, base, header, code) -> status`, where `code` is that of a compiled function, and the
/// status what trees return.
pub(crate) fn gate(fuel_at: i32, b: &mut Builder) {
    let enter = b.begin(Signature { params: vec![types::I64; 4], returns: vec![types::I64] });
    let [vm, base, header, code] = [0, 1, 2, 3].map(|n| b.block_params(enter)[n]);
    let fuel = b.load(types::I64, vm, fuel_at);
    let callee = b.import_signature(signature(0));
    let call = b.call_indirect(callee, code, &[vm, base, header, fuel]);
    let results = [0, 1, 2].map(|n| b.result(call, n).unwrap_or(vm));
    return_to_vm(b, fuel_at, (vm, base), results);
}

/// Returns what the VM understands: puts fuel and result of a function that has returned into their places.
pub(crate) fn return_to_vm(
    b: &mut Builder,
    fuel_at: i32,
    (vm, base): (Value, Value),
    [status, fuel, result]: [Value; 3],
) {
    let [gone, returned, typed] = [(); 3].map(|()| b.create_block());
    let has_returned = b.icmp_imm(IntCC::SignedLessThanOrEqual, status, RETURNED);
    b.brif(has_returned, returned, &[], gone, &[]);
    b.switch_to_block(returned);
    b.store(fuel, vm, fuel_at);
    let has_result = b.icmp_imm(IntCC::SignedLessThanOrEqual, status, RESULT);
    b.brif(has_result, typed, &[], gone, &[]);
    b.switch_to_block(typed);
    store_result(b, status, result, base, -VALUE as i32);
    let one = b.iconst(types::I64, RETURNED - 1);
    b.return_(&[one]);
    b.switch_to_block(gone);
    b.return_(&[status]);
}

/// Puts a result that has come in a register into its place.
pub(crate) fn store_result(b: &mut Builder, status: Value, result: Value, base: Value, offset: i32) {
    b.store(result, base, offset);
    let nil = b.iconst(types::I64, RESULT);
    let tag = b.isub(nil, status);
    let tag = b.ireduce(types::I8, tag);
    b.store(tag, base, offset + TAG);
}

/// Fills a function with what stands for the code of a function that has none: nothing runs, and the interpreter makes the call.
pub(crate) fn refusal(fuel_at: i32, b: &mut Builder) {
    let enter = b.begin(signature(1 + MOST_PARAMS));
    let [called, done] = [(); 2].map(|()| b.create_block());
    let params = b.block_params(enter).to_vec();
    let [vm, base, header, fuel] = [0, 1, 2, 3].map(|n| params[n]);
    b.store(fuel, vm, fuel_at);
    let is_placed = b.icmp_imm(IntCC::SignedGreaterThanOrEqual, header, 0);
    b.brif(is_placed, done, &[], called, &[]);
    b.switch_to_block(called);
    let count = bits_of(b, header, TYPE_BITS * MOST_PARAMS, MOST_PARAMS as i64);
    for (n, value) in params[FIRST_VALUE..].iter().enumerate() {
        let [function, argument] = [(); 2].map(|()| b.create_block());
        let is_function = b.icmp_imm(IntCC::Equal, count, n as i64);
        b.brif(is_function, function, &[], argument, &[]);
        b.switch_to_block(function);
        store_function(b, base, *value);
        b.jump(done, &[]);
        b.switch_to_block(argument);
        if n < MOST_PARAMS {
            store_argument(b, header, base, n, *value);
        }
    }
    b.jump(done, &[]);
    b.switch_to_block(done);
    let status = b.iconst(types::I64, MISMATCH);
    b.return_(&[status, status, status]);
}

#[cfg(test)]
mod tests {
    use perilune_trace::ir::Ty;

    use super::{MOST_PARAMS, mask_of, types_of};

    #[test]
    fn types_are_a_number_that_fits_an_immediate_operand() {
        let most = [Ty::Thread; MOST_PARAMS];
        for count in 0..=MOST_PARAMS {
            let number = types_of(most[..count].iter().copied());
            assert!(number < 0 && i32::try_from(number).is_ok());
        }
    }

    #[test]
    fn parameters_have_bits_of_their_own() {
        let [ints, other] = [[Ty::Int, Ty::Int], [Ty::Int, Ty::Str]].map(|types| types_of(types.into_iter()));
        assert_ne!(ints, other);
        assert_eq!(ints & !mask_of(1), other & !mask_of(1));
        assert_ne!(ints, types_of([Ty::Int].into_iter()));
    }
}
