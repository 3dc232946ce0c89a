//! Arithmetic and bitwise operators.
//!
//! Tags are compared where they are before payloads are read: then a handler needs no register that it would have to save.

use perilune_base::dialect::Dialect;
use perilune_base::num::arith as num;
use perilune_bytecode::ops::Instr;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::super::dispatch::{Handlers, after, next};
use super::super::{Exit, arith};
use super::state::{a_of, again, b_of, c_of, d_of, handler, next_apart, reg, to_float};
use crate::vm::Vm;

/// Where the right operand of a binary operator is: in a register or among the constants.
macro_rules! right {
    (register, $base:ident, $consts:ident, $pc:ident) => {
        reg($base, c_of($pc)).cast_const()
    };
    (constant, $base:ident, $consts:ident, $pc:ident) => {
        $consts.add(d_of($pc) as usize)
    };
}

/// The cold side of a binary operator.
macro_rules! binary_cold {
    ($cold:ident, $right:ident, $slow:path) => {
        handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame) {
            (*frame).pc = pc;
            let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, pc));
            after::<M>(vm, consts, $slow(vm, again(pc), x, y))
        });
    };
}

/// Operators with a result for two integers and for two floats.
macro_rules! int_float {
    ($($name:ident $cold:ident $right:ident $int:path, $float:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, pc));
                let operate: fn(f64, f64) -> f64 = $float;
                if (*x).tag == Tag::Int {
                    if (*y).tag == Tag::Int {
                        *reg(base, a_of(pc)) = Value::int($int((*x).raw_int(), (*y).raw_int()));
                        return next_apart::<M, 1>(vm, pc, base, consts, frame);
                    }
                    if (*y).tag == Tag::Float {
                        *reg(base, a_of(pc)) = Value::float(operate(to_float((*x).raw_int()), (*y).raw_float()));
                        return next_apart::<M, 2>(vm, pc, base, consts, frame);
                    }
                } else if (*x).tag == Tag::Float {
                    if (*y).tag == Tag::Float {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), (*y).raw_float()));
                        return next_apart::<M, 3>(vm, pc, base, consts, frame);
                    }
                    if (*y).tag == Tag::Int {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), to_float((*y).raw_int())));
                        return next_apart::<M, 4>(vm, pc, base, consts, frame);
                    }
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            binary_cold!($cold, $right, $slow);
        )*
    };
}
int_float! {
    add add_cold register i64::wrapping_add, |x, y| x + y, arith::add;
    sub sub_cold register i64::wrapping_sub, |x, y| x - y, arith::sub;
    mul mul_cold register i64::wrapping_mul, |x, y| x * y, arith::mul;
    add_k add_k_cold constant i64::wrapping_add, |x, y| x + y, arith::add;
    sub_k sub_k_cold constant i64::wrapping_sub, |x, y| x - y, arith::sub;
    mul_k mul_k_cold constant i64::wrapping_mul, |x, y| x * y, arith::mul;
}

handler!(add_i(vm, pc, base, consts, frame) {
    let x = reg(base, b_of(pc));
    if (*x).tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int((*x).raw_int().wrapping_add(d_of(pc) as i64));
        return next_apart::<M, 1>(vm, pc, base, consts, frame);
    }
    if (*x).tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float((*x).raw_float() + to_float(d_of(pc) as i64));
        return next_apart::<M, 2>(vm, pc, base, consts, frame);
    }
    add_i_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[cold] #[inline(never)] add_i_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::add_immediate(vm, again(pc), *reg(base, b_of(pc))))
});

handler!(div(vm, pc, base, consts, frame) {
    let (x, y) = (reg(base, b_of(pc)), reg(base, c_of(pc)));
    if (*x).tag == Tag::Float && (*y).tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float((*x).raw_float() / (*y).raw_float());
        return next::<M>(vm, pc, base, consts, frame);
    }
    div_cold::<M>(vm, pc, base, consts, frame)
});

handler!(div_k(vm, pc, base, consts, frame) {
    let (x, y) = (reg(base, b_of(pc)), consts.add(d_of(pc) as usize));
    if (*x).tag == Tag::Float && (*y).tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float((*x).raw_float() / (*y).raw_float());
        return next::<M>(vm, pc, base, consts, frame);
    }
    div_k_cold::<M>(vm, pc, base, consts, frame)
});

/// The value of a number as a float, for operators whose result is always one.
#[inline(always)]
fn float_of(v: Value) -> f64 {
    if v.tag == Tag::Int { to_float(v.raw_int()) } else { v.raw_float() }
}

/// Operators whose result is a float whatever the operands: the sides that take integers too.
macro_rules! float_only {
    ($($(#[$attribute:meta])* $name:ident $right:ident $float:expr, $slow:path;)*) => {
        $(
            handler!($(#[$attribute])* $name(vm, pc, base, consts, frame) {
                let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, pc));
                if x.is_number() && y.is_number() {
                    let operate: fn(f64, f64) -> f64 = $float;
                    *reg(base, a_of(pc)) = Value::float(operate(float_of(x), float_of(y)));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                (*frame).pc = pc;
                after::<M>(vm, consts, $slow(vm, again(pc), x, y))
            });
        )*
    };
}
float_only! {
    #[inline(never)] div_cold register |x, y| x / y, arith::div;
    #[inline(never)] div_k_cold constant |x, y| x / y, arith::div;
    pow register num::pow, arith::pow;
    pow_k constant num::pow, arith::pow;
    mod_f register num::float_mod_by_floor, arith::modulo;
    mod_f_k constant num::float_mod_by_floor, arith::modulo;
}

/// Integer division and modulo, whose integer form fails for a zero divisor.
macro_rules! division {
    ($($name:ident $cold:ident $right:ident $int:path, $float:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, pc));
                if (*x).tag == Tag::Int
                    && (*y).tag == Tag::Int
                    && let Some(r) = $int((*x).raw_int(), (*y).raw_int())
                {
                    *reg(base, a_of(pc)) = Value::int(r);
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            handler!(#[inline(never)] $cold(vm, pc, base, consts, frame) {
                (*frame).pc = pc;
                let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, pc));
                if x.tag == Tag::Float && y.tag == Tag::Float {
                    let operate: fn(&Dialect, f64, f64) -> f64 = $float;
                    *reg(base, a_of(pc)) = Value::float(operate((*vm).dialect, x.raw_float(), y.raw_float()));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                after::<M>(vm, consts, $slow(vm, again(pc), x, y))
            });
        )*
    };
}
division! {
    modulo modulo_cold register num::int_mod, num::float_mod_in, arith::modulo;
    mod_k mod_k_cold constant num::int_mod, num::float_mod_in, arith::modulo;
    idiv idiv_cold register num::int_idiv, |_, x, y| num::float_idiv(x, y), arith::idiv;
    idiv_k idiv_k_cold constant num::int_idiv, |_, x, y| num::float_idiv(x, y), arith::idiv;
}

/// Operators on integers.
macro_rules! bitwise {
    ($($name:ident $cold:ident $right:ident $int:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, pc));
                if (*x).tag == Tag::Int && (*y).tag == Tag::Int {
                    let operate: fn(i64, i64) -> i64 = $int;
                    *reg(base, a_of(pc)) = Value::int(operate((*x).raw_int(), (*y).raw_int()));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            binary_cold!($cold, $right, $slow);
        )*
    };
}
bitwise! {
    band band_cold register |x, y| x & y, arith::band;
    bor bor_cold register |x, y| x | y, arith::bor;
    bxor bxor_cold register |x, y| x ^ y, arith::bxor;
    shl shl_cold register num::shift_left, arith::shl;
    shr shr_cold register num::shift_right, arith::shr;
    band_k band_k_cold constant |x, y| x & y, arith::band;
    bor_k bor_k_cold constant |x, y| x | y, arith::bor;
    bxor_k bxor_k_cold constant |x, y| x ^ y, arith::bxor;
}

macro_rules! shift_by_immediate {
    ($($name:ident $cold:ident $shift:path, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame) {
                let x = reg(base, b_of(pc));
                if (*x).tag == Tag::Int {
                    *reg(base, a_of(pc)) = Value::int($shift((*x).raw_int(), d_of(pc) as i64));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame) {
                (*frame).pc = pc;
                after::<M>(vm, consts, $slow(vm, again(pc), *reg(base, b_of(pc)), Value::int(d_of(pc) as i64)))
            });
        )*
    };
}
shift_by_immediate! {
    shl_i shl_i_cold num::shift_left, arith::shl;
    shr_i shr_i_cold num::shift_right, arith::shr;
}

handler!(unm(vm, pc, base, consts, frame) {
    let x = reg(base, b_of(pc));
    if (*x).tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int((*x).raw_int().wrapping_neg());
        return next_apart::<M, 1>(vm, pc, base, consts, frame);
    }
    if (*x).tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float(-(*x).raw_float());
        return next_apart::<M, 2>(vm, pc, base, consts, frame);
    }
    unm_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[cold] #[inline(never)] unm_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::unm(vm, again(pc), *reg(base, b_of(pc))))
});

handler!(bnot(vm, pc, base, consts, frame) {
    let x = reg(base, b_of(pc));
    if (*x).tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int(!(*x).raw_int());
        return next::<M>(vm, pc, base, consts, frame);
    }
    bnot_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[cold] #[inline(never)] bnot_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::bnot(vm, again(pc), *reg(base, b_of(pc))))
});

handler!(not(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::bool(!(*reg(base, b_of(pc))).is_truthy());
    next::<M>(vm, pc, base, consts, frame)
});
