//! What each opcode does in the cases that hot code meets.
//!
//! The names of the functions are those of the opcodes. A handler whose fast cases do not apply continues in a second
//! function, its *cold side*: as a function of its own that takes the same state it costs the fast path no register.

use perilune_base::num::arith as num;
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::object::{ANY_ELEMENTS, Gc, LuaClosure, NativeClosure, Table, cache_of, mark};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::dispatch::{Handler, Handlers, after, next, no_opcode, raise};
use super::{Exit, arith, close, closure, compare, concat, index, loops, pointer, tag_of_kind, varargs};
use crate::call;
use crate::frame;
use crate::native::Intrinsic;
use crate::tier::{self, Counting, Hooked, Plain, Recording};
use crate::vm::Vm;

/// Defines handlers. The names of the state's parts are given at each use, because a macro's own names are invisible to
/// the code passed to it.
macro_rules! handler {
    ($(#[$attribute:meta])* $name:ident($vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident, $i:ident) $body:block) => {
        $(#[$attribute])*
        #[allow(unused_mut, reason = "not every handler jumps")]
        unsafe fn $name<M: Handlers>(
            $vm: *mut Vm,
            mut $pc: *const Instr,
            $base: *mut Value,
            $consts: *const Value,
            $frame: *mut Frame,
            $i: Instr,
        ) -> Exit {
            // SAFETY: the invariants in the comment of the module `interp`.
            unsafe { $body }
        }
    };
}

#[inline(always)]
unsafe fn reg(base: *mut Value, n: u8) -> *mut Value {
    // SAFETY: operands name registers of the frame, by verification.
    unsafe { base.add(n as usize) }
}

/// Operand `a` of the instruction in front of `pc`. Reading the byte from memory takes fewer instructions than taking it
/// out of the word that the handler was given.
#[inline(always)]
unsafe fn a_of(pc: *const Instr) -> u8 {
    // SAFETY: a handler's `pc` is behind the instruction that it runs.
    unsafe { *pc.cast::<u8>().sub(7) }
}

/// As [`a_of`], for operand `b`.
#[inline(always)]
unsafe fn b_of(pc: *const Instr) -> u8 {
    // SAFETY: as in `a_of`.
    unsafe { *pc.cast::<u8>().sub(6) }
}

/// As [`a_of`], for operand `c`.
#[inline(always)]
unsafe fn c_of(pc: *const Instr) -> u8 {
    // SAFETY: as in `a_of`.
    unsafe { *pc.cast::<u8>().sub(5) }
}

#[inline(always)]
unsafe fn constant(consts: *const Value, n: usize) -> Value {
    // SAFETY: operands name constants of the prototype, by verification.
    unsafe { *consts.add(n) }
}

/// Goes on behind a conditional jump.
///
/// The two ways must stay two ways. Merged into a conditional move they would make the address of the next instruction
/// wait for the operands; as a branch it is predicted.
#[inline(always)]
unsafe fn branch<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
    i: Instr,
    outcome: bool,
) -> Exit {
    // SAFETY: jumps stay in the function, by verification.
    unsafe {
        if outcome == i.cond() {
            keep_apart();
            return next::<M>(vm, pc.offset(i.cond_offset() as isize), base, consts, frame);
        }
        next::<M>(vm, pc, base, consts, frame)
    }
}

/// Does nothing, in a way that keeps the code around it from being merged with other code.
#[inline(always)]
fn keep_apart() {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: no instruction is emitted.
    unsafe {
        std::arch::asm!("", options(nomem, nostack, preserves_flags));
    }
}

/// Takes a back-edge over `offset` (negative) instructions: fuel, hot counter.
#[inline(always)]
unsafe fn back_edge<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
    offset: i32,
) -> Exit {
    // SAFETY: jumps stay in the function, by verification.
    unsafe {
        let pc = pc.offset(offset as isize);
        (*vm).fuel += offset as i64;
        if (*vm).fuel < 0 {
            return out_of_fuel::<M>(vm, pc, consts, frame);
        }
        if M::COUNTS {
            match (*vm).hot.count(pc) {
                Some(false) => {}
                Some(true) => return hot::<M>(vm, pc, consts, frame),
                None => {
                    if tier::meet(vm, pc) {
                        return hot::<M>(vm, pc, consts, frame);
                    }
                }
            }
        }
        next::<M>(vm, pc, base, consts, frame)
    }
}

#[cold]
#[inline(never)]
unsafe fn out_of_fuel<M: Handlers>(vm: *mut Vm, pc: *const Instr, consts: *const Value, frame: *mut Frame) -> Exit {
    // SAFETY: the current frame is a Lua frame.
    unsafe {
        (*frame).pc = pc;
        after::<M>(vm, consts, loops::fuel_spent(vm))
    }
}

#[cold]
#[inline(never)]
unsafe fn hot<M: Handlers>(vm: *mut Vm, pc: *const Instr, consts: *const Value, frame: *mut Frame) -> Exit {
    // SAFETY: the current frame is a Lua frame.
    unsafe {
        (*frame).pc = pc;
        after::<M>(vm, consts, tier::hot(vm))
    }
}

// Moves and constants.

handler!(move_(vm, pc, base, consts, frame, _i) {
    *reg(base, a_of(pc)) = *reg(base, b_of(pc));
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_i(vm, pc, base, consts, frame, i) {
    *reg(base, a_of(pc)) = Value::int(i.d() as i64);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_f(vm, pc, base, consts, frame, i) {
    *reg(base, a_of(pc)) = Value::float(i.d() as f64);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_k(vm, pc, base, consts, frame, i) {
    *reg(base, a_of(pc)) = constant(consts, i.d() as usize);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_nil(vm, pc, base, consts, frame, i) {
    for n in 0..=i.b() as usize {
        *reg(base, a_of(pc)).add(n) = Value::NIL;
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_false(vm, pc, base, consts, frame, _i) {
    *reg(base, a_of(pc)) = Value::FALSE;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_true(vm, pc, base, consts, frame, _i) {
    *reg(base, a_of(pc)) = Value::TRUE;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_false_skip(vm, pc, base, consts, frame, _i) {
    *reg(base, a_of(pc)) = Value::FALSE;
    next::<M>(vm, pc.add(1), base, consts, frame)
});

handler!(get_upval(vm, pc, base, consts, frame, i) {
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    *reg(base, a_of(pc)) = *(*up).slot;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(set_upval(vm, pc, base, consts, frame, i) {
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    let v = *reg(base, a_of(pc));
    *(*up).slot = v;
    if (*up).header.mark & mark::BLACK != 0 && v.is_object() {
        (*vm).heap.barrier_forward(up.cast(), v);
    }
    next::<M>(vm, pc, base, consts, frame)
});

// Tables.

/// The own field that a cache knows, nil when it does not.
macro_rules! own_field {
    ($object:expr, $cache:expr) => {{
        let object: Value = $object;
        let cache = $cache;
        if object.tag == Tag::Table {
            let t = pointer::<Table>(object);
            if (*t).shape == (*cache).shape { *(*t).slots.add((*cache).slot as usize) } else { Value::NIL }
        } else {
            Value::NIL
        }
    }};
}

handler!(get_tab_up(vm, pc, base, consts, frame, i) {
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    let v = own_field!(*(*up).slot, cache_of(consts, i.d() as usize));
    if v.is_nil() {
        return get_tab_up_cold::<M>(vm, pc, base, consts, frame, i);
    }
    *reg(base, a_of(pc)) = v;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_tab_up_cold(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    after::<M>(vm, consts, index::get_field(vm, i, cache_of(consts, i.d() as usize), *(*up).slot))
});

handler!(get_field(vm, pc, base, consts, frame, i) {
    let v = own_field!(*reg(base, b_of(pc)), cache_of(consts, i.d() as usize));
    if v.is_nil() {
        return get_field_cold::<M>(vm, pc, base, consts, frame, i);
    }
    *reg(base, a_of(pc)) = v;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_field_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_field(vm, i, cache_of(consts, i.d() as usize), *reg(base, b_of(pc))))
});

handler!(self_field(vm, pc, base, consts, frame, i) {
    let object = *reg(base, b_of(pc));
    if object.tag == Tag::Table {
        let v = index::cached_method(pointer::<Table>(object), cache_of(consts, i.d() as usize));
        if !v.is_nil() {
            *reg(base, a_of(pc)).add(1) = object;
            *reg(base, a_of(pc)) = v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    self_field_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] self_field_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_method(vm, i, cache_of(consts, i.d() as usize), *reg(base, b_of(pc))))
});

/// The element `n` (from 0) of a table's array part, nil when there is none.
macro_rules! element {
    ($object:expr, $n:expr) => {{
        let t = pointer::<Table>($object);
        let n: u64 = $n;
        if n < (*t).header.word as u64 {
            let kind = (*t).header.aux;
            if kind != ANY_ELEMENTS {
                let payload = *(*t).array.cast::<u64>().add(n as usize);
                Value { payload, tag: tag_of_kind(kind) }
            } else {
                *(*t).array.cast::<Value>().add(n as usize)
            }
        } else {
            Value::NIL
        }
    }};
}

/// Whether an integer key that is not in the array part of `t` is absent for sure.
#[inline(always)]
unsafe fn has_nothing_else(t: *mut Table) -> bool {
    // SAFETY: `t` is alive.
    unsafe { (*t).meta.is_null() && (*t).hash.is_null() }
}

handler!(get_table(vm, pc, base, consts, frame, i) {
    let (object, key) = (*reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if object.tag == Tag::Table && key.tag == Tag::Int {
        let v = element!(object, key.payload.wrapping_sub(1));
        if !v.is_nil() || has_nothing_else(pointer(object)) {
            *reg(base, a_of(pc)) = v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    get_table_cold::<M>(vm, pc, base, consts, frame, i)
});

/// The index (from 0) of an element that a float key may name.
#[inline(always)]
fn float_index(key: Value) -> Option<u64> {
    let float = key.raw_float();
    let int = float as i64;
    if int as f64 == float { Some((int as u64).wrapping_sub(1)) } else { None }
}

handler!(#[inline(never)] get_table_cold(vm, pc, base, consts, frame, i) {
    let (object, key) = (*reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if key.tag == Tag::Float
        && object.tag == Tag::Table
        && let Some(n) = float_index(key)
    {
        let v = element!(object, n);
        if !v.is_nil() {
            *reg(base, a_of(pc)) = v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    get_table_colder::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] get_table_colder(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_table(vm, i, *reg(base, b_of(pc)), *reg(base, c_of(pc))))
});

handler!(get_int(vm, pc, base, consts, frame, i) {
    let object = *reg(base, b_of(pc));
    if object.tag == Tag::Table {
        let v = element!(object, (i.d() as i64 as u64).wrapping_sub(1));
        if !v.is_nil() || has_nothing_else(pointer(object)) {
            *reg(base, a_of(pc)) = v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    get_int_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] get_int_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_table(vm, i, *reg(base, b_of(pc)), (*vm).int_value(i.d() as i64)))
});

handler!(set_tab_up(vm, pc, base, consts, frame, i) {
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    let object = *(*up).slot;
    let v = *reg(base, c_of(pc));
    if object.tag == Tag::Table && index::store_cached(vm, pointer(object), cache_of(consts, i.d() as usize), v) {
        return next::<M>(vm, pc, base, consts, frame);
    }
    set_tab_up_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] set_tab_up_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    let up = *LuaClosure::upvals((*frame).closure).add(i.b() as usize);
    after::<M>(vm, consts, index::set_field(vm, cache_of(consts, i.d() as usize), *(*up).slot, *reg(base, c_of(pc))))
});

handler!(set_field(vm, pc, base, consts, frame, i) {
    let object = *reg(base, a_of(pc));
    let v = *reg(base, c_of(pc));
    if object.tag == Tag::Table && index::store_cached(vm, pointer(object), cache_of(consts, i.d() as usize), v) {
        return next::<M>(vm, pc, base, consts, frame);
    }
    set_field_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] set_field_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_field(vm, cache_of(consts, i.d() as usize), *reg(base, a_of(pc)), *reg(base, c_of(pc))))
});

handler!(set_table(vm, pc, base, consts, frame, i) {
    let (object, key, v) = (*reg(base, a_of(pc)), *reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if object.tag == Tag::Table
        && key.tag == Tag::Int
        && index::store_element(vm, pointer(object), key.payload.wrapping_sub(1), v)
    {
        return next::<M>(vm, pc, base, consts, frame);
    }
    set_table_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] set_table_cold(vm, pc, base, consts, frame, i) {
    let (object, key, v) = (*reg(base, a_of(pc)), *reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if key.tag == Tag::Float
        && object.tag == Tag::Table
        && let Some(n) = float_index(key)
        && index::store_element(vm, pointer(object), n, v)
    {
        return next::<M>(vm, pc, base, consts, frame);
    }
    set_table_colder::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] set_table_colder(vm, pc, base, consts, frame, _i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_table(vm, *reg(base, a_of(pc)), *reg(base, b_of(pc)), *reg(base, c_of(pc))))
});

handler!(set_int(vm, pc, base, consts, frame, i) {
    let (object, v) = (*reg(base, a_of(pc)), *reg(base, c_of(pc)));
    if object.tag == Tag::Table
        && index::store_element(vm, pointer(object), (i.d() as i64 as u64).wrapping_sub(1), v)
    {
        return next::<M>(vm, pc, base, consts, frame);
    }
    set_int_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] set_int_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_table(vm, *reg(base, a_of(pc)), (*vm).int_value(i.d() as i64), *reg(base, c_of(pc))))
});

handler!(new_table(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::new_table(vm, i))
});

handler!(new_record(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    let proto = (*(*frame).closure).proto;
    index::new_record(vm, base, i, *(*proto).templates.add(i.d() as usize));
    if (*vm).heap.bytes >= (*vm).heap.threshold {
        return after::<M>(vm, consts, call::collect_in_lua(vm));
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(set_list(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_list(vm, i))
});

// Arithmetic.

/// Where the right operand of a binary operator is: in a register or among the constants.
macro_rules! right {
    (register, $base:ident, $consts:ident, $i:ident, $pc:ident) => {
        reg($base, c_of($pc)).cast_const()
    };
    (constant, $base:ident, $consts:ident, $i:ident, $pc:ident) => {
        $consts.add($i.d() as usize)
    };
}

/// The cold side of a binary operator.
macro_rules! binary_cold {
    ($cold:ident, $right:ident, $slow:path) => {
        handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame, i) {
            (*frame).pc = pc;
            let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, i, pc));
            after::<M>(vm, consts, $slow(vm, i, x, y))
        });
    };
}

/// Operators with a result for two integers and for two floats. Tags are compared where they are before payloads are
/// read: then a handler needs no register that it would have to save.
macro_rules! int_float {
    ($($name:ident $cold:ident $right:ident $int:path, $float:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, i, pc));
                let operate: fn(f64, f64) -> f64 = $float;
                if (*x).tag == Tag::Int {
                    if (*y).tag == Tag::Int {
                        *reg(base, a_of(pc)) = Value::int($int((*x).raw_int(), (*y).raw_int()));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                    if (*y).tag == Tag::Float {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_int() as f64, (*y).raw_float()));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                } else if (*x).tag == Tag::Float {
                    if (*y).tag == Tag::Float {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), (*y).raw_float()));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                    if (*y).tag == Tag::Int {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), (*y).raw_int() as f64));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
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

handler!(add_i(vm, pc, base, consts, frame, i) {
    let x = *reg(base, b_of(pc));
    if x.tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int(x.raw_int().wrapping_add(i.d() as i64));
        return next::<M>(vm, pc, base, consts, frame);
    }
    if x.tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float(x.raw_float() + i.d() as f64);
        return next::<M>(vm, pc, base, consts, frame);
    }
    add_i_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[cold] #[inline(never)] add_i_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::add_immediate(vm, i, *reg(base, b_of(pc))))
});

/// Operators whose result is a float whatever the operands.
macro_rules! float_only {
    ($($name:ident $cold:ident $right:ident $float:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, i, pc));
                let operate: fn(f64, f64) -> f64 = $float;
                if (*x).tag == Tag::Float {
                    if (*y).tag == Tag::Float {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), (*y).raw_float()));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                    if (*y).tag == Tag::Int {
                        *reg(base, a_of(pc)) = Value::float(operate((*x).raw_float(), (*y).raw_int() as f64));
                        return next::<M>(vm, pc, base, consts, frame);
                    }
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
            });
            handler!(#[inline(never)] $cold(vm, pc, base, consts, frame, i) {
                let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, i, pc));
                if x.is_number() && y.is_number() {
                    let operate: fn(f64, f64) -> f64 = $float;
                    *reg(base, a_of(pc)) = Value::float(operate(arith::as_float(x), arith::as_float(y)));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                (*frame).pc = pc;
                after::<M>(vm, consts, $slow(vm, i, x, y))
            });
        )*
    };
}
float_only! {
    div div_cold register |x, y| x / y, arith::div;
    div_k div_k_cold constant |x, y| x / y, arith::div;
    pow pow_cold register num::pow, arith::pow;
    pow_k pow_k_cold constant num::pow, arith::pow;
    mod_f mod_f_cold register num::float_mod_by_floor, arith::modulo;
    mod_f_k mod_f_k_cold constant num::float_mod_by_floor, arith::modulo;
}

/// Integer division and modulo, whose integer form fails for a zero divisor.
macro_rules! division {
    ($($name:ident $cold:ident $right:ident $int:path, $float:path, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, i, pc));
                if (*x).tag == Tag::Int
                    && (*y).tag == Tag::Int
                    && let Some(r) = $int((*x).raw_int(), (*y).raw_int())
                {
                    *reg(base, a_of(pc)) = Value::int(r);
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
            });
            handler!(#[inline(never)] $cold(vm, pc, base, consts, frame, i) {
                (*frame).pc = pc;
                let (x, y) = (*reg(base, b_of(pc)), *right!($right, base, consts, i, pc));
                if x.tag == Tag::Float && y.tag == Tag::Float {
                    *reg(base, a_of(pc)) = Value::float($float(x.raw_float(), y.raw_float()));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                after::<M>(vm, consts, $slow(vm, i, x, y))
            });
        )*
    };
}
division! {
    modulo modulo_cold register num::int_mod, num::float_mod, arith::modulo;
    mod_k mod_k_cold constant num::int_mod, num::float_mod, arith::modulo;
    idiv idiv_cold register num::int_idiv, num::float_idiv, arith::idiv;
    idiv_k idiv_k_cold constant num::int_idiv, num::float_idiv, arith::idiv;
}

/// Operators on integers.
macro_rules! bitwise {
    ($($name:ident $cold:ident $right:ident $int:expr, $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let (x, y) = (reg(base, b_of(pc)), right!($right, base, consts, i, pc));
                if (*x).tag == Tag::Int && (*y).tag == Tag::Int {
                    let operate: fn(i64, i64) -> i64 = $int;
                    *reg(base, a_of(pc)) = Value::int(operate((*x).raw_int(), (*y).raw_int()));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
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
            handler!($name(vm, pc, base, consts, frame, i) {
                let x = reg(base, b_of(pc));
                if (*x).tag == Tag::Int {
                    *reg(base, a_of(pc)) = Value::int($shift((*x).raw_int(), i.d() as i64));
                    return next::<M>(vm, pc, base, consts, frame);
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
            });
            handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame, i) {
                (*frame).pc = pc;
                after::<M>(vm, consts, $slow(vm, i, *reg(base, b_of(pc)), Value::int(i.d() as i64)))
            });
        )*
    };
}
shift_by_immediate! {
    shl_i shl_i_cold num::shift_left, arith::shl;
    shr_i shr_i_cold num::shift_right, arith::shr;
}

handler!(unm(vm, pc, base, consts, frame, i) {
    let x = *reg(base, b_of(pc));
    if x.tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int(x.raw_int().wrapping_neg());
        return next::<M>(vm, pc, base, consts, frame);
    }
    if x.tag == Tag::Float {
        *reg(base, a_of(pc)) = Value::float(-x.raw_float());
        return next::<M>(vm, pc, base, consts, frame);
    }
    unm_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[cold] #[inline(never)] unm_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::unm(vm, i, *reg(base, b_of(pc))))
});

handler!(bnot(vm, pc, base, consts, frame, i) {
    let x = *reg(base, b_of(pc));
    if x.tag == Tag::Int {
        *reg(base, a_of(pc)) = Value::int(!x.raw_int());
        return next::<M>(vm, pc, base, consts, frame);
    }
    bnot_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[cold] #[inline(never)] bnot_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, arith::bnot(vm, i, *reg(base, b_of(pc))))
});

handler!(not(vm, pc, base, consts, frame, _i) {
    *reg(base, a_of(pc)) = Value::bool(!(*reg(base, b_of(pc))).is_truthy());
    next::<M>(vm, pc, base, consts, frame)
});

handler!(len(vm, pc, base, consts, frame, i) {
    let x = *reg(base, b_of(pc));
    if x.tag == Tag::Table {
        let t = pointer::<Table>(x);
        if (*t).meta.is_null() {
            *reg(base, a_of(pc)) = Value::int(Gc::from_ptr(t).length());
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    len_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(len_f(vm, pc, base, consts, frame, i) {
    let x = *reg(base, b_of(pc));
    if x.tag == Tag::Table {
        let t = pointer::<Table>(x);
        if (*t).meta.is_null() {
            *reg(base, a_of(pc)) = Value::float(Gc::from_ptr(t).length() as f64);
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    len_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] len_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::len(vm, i, *reg(base, b_of(pc))))
});

handler!(concat_(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, concat::concat(vm, i))
});

// Jumps and tests.

handler!(jump(vm, pc, base, consts, frame, i) {
    next::<M>(vm, pc.offset(i.d() as isize), base, consts, frame)
});

handler!(loop_(vm, pc, base, consts, frame, i) {
    back_edge::<M>(vm, pc, base, consts, frame, i.d())
});

handler!(test(vm, pc, base, consts, frame, i) {
    branch::<M>(vm, pc, base, consts, frame, i, (*reg(base, a_of(pc))).is_truthy())
});

handler!(test_set(vm, pc, base, consts, frame, i) {
    let v = *reg(base, b_of(pc));
    let outcome = v.is_truthy();
    if outcome == i.cond() {
        *reg(base, a_of(pc)) = v;
    }
    branch::<M>(vm, pc, base, consts, frame, i, outcome)
});

handler!(eq(vm, pc, base, consts, frame, i) {
    let (x, y) = (*reg(base, a_of(pc)), *reg(base, b_of(pc)));
    let outcome = if x.tag == y.tag {
        if x.tag == Tag::Float {
            x.raw_float() == y.raw_float()
        } else if x.tag as u8 <= Tag::True as u8 || x.payload == y.payload {
            true
        } else if x.tag as u8 <= Tag::Light as u8 {
            false
        } else {
            return eq_cold::<M>(vm, pc, base, consts, frame, i);
        }
    } else {
        x.is_number() && y.is_number() && x.raw_equals(y)
    };
    branch::<M>(vm, pc, base, consts, frame, i, outcome)
});

handler!(#[inline(never)] eq_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, compare::eq(vm, i, *reg(base, a_of(pc)), *reg(base, b_of(pc))))
});

handler!(eq_k(vm, pc, base, consts, frame, i) {
    let (x, y) = (*reg(base, a_of(pc)), constant(consts, i.bc() as usize));
    let outcome = x.tag == y.tag && x.payload == y.payload && x.tag != Tag::Float || x.raw_equals(y);
    branch::<M>(vm, pc, base, consts, frame, i, outcome)
});

handler!(eq_i(vm, pc, base, consts, frame, i) {
    let x = *reg(base, a_of(pc));
    let outcome = if x.tag == Tag::Int {
        x.raw_int() == i.imm() as i64
    } else {
        x.tag == Tag::Float && x.raw_float() == i.imm() as f64
    };
    branch::<M>(vm, pc, base, consts, frame, i, outcome)
});

/// The right operand of an ordering.
macro_rules! ordered {
    (register, $base:ident, $consts:ident, $i:ident, $pc:ident) => {
        *reg($base, b_of($pc))
    };
    (constant, $base:ident, $consts:ident, $i:ident, $pc:ident) => {
        constant($consts, $i.bc() as usize)
    };
}

macro_rules! orders {
    ($($name:ident $cold:ident $right:ident $op:tt $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let (x, y) = (*reg(base, a_of(pc)), ordered!($right, base, consts, i, pc));
                if x.tag == Tag::Int && y.tag == Tag::Int {
                    let outcome = x.raw_int() $op y.raw_int();
                    return branch::<M>(vm, pc, base, consts, frame, i, outcome);
                }
                if x.tag == Tag::Float && y.tag == Tag::Float {
                    let outcome = x.raw_float() $op y.raw_float();
                    return branch::<M>(vm, pc, base, consts, frame, i, outcome);
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
            });
            handler!(#[inline(never)] $cold(vm, pc, base, consts, frame, i) {
                (*frame).pc = pc;
                let (x, y) = (*reg(base, a_of(pc)), ordered!($right, base, consts, i, pc));
                after::<M>(vm, consts, $slow(vm, i, x, y))
            });
        )*
    };
}
orders! {
    lt lt_cold register < compare::lt;
    le le_cold register <= compare::le;
    lt_k lt_k_cold constant < compare::lt;
    le_k le_k_cold constant <= compare::le;
    gt_k gt_k_cold constant > compare::gt;
    ge_k ge_k_cold constant >= compare::ge;
}

macro_rules! orders_immediate {
    ($($name:ident $cold:ident $op:tt $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame, i) {
                let x = reg(base, a_of(pc));
                if (*x).tag == Tag::Int {
                    let outcome = (*x).raw_int() $op i.imm() as i64;
                    return branch::<M>(vm, pc, base, consts, frame, i, outcome);
                }
                if (*x).tag == Tag::Float {
                    let outcome = (*x).raw_float() $op i.imm() as f64;
                    return branch::<M>(vm, pc, base, consts, frame, i, outcome);
                }
                $cold::<M>(vm, pc, base, consts, frame, i)
            });
            handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame, i) {
                (*frame).pc = pc;
                after::<M>(vm, consts, $slow(vm, i, *reg(base, a_of(pc)), Value::int(i.imm() as i64)))
            });
        )*
    };
}
orders_immediate! {
    lt_i lt_i_cold < compare::lt;
    le_i le_i_cold <= compare::le;
    gt_i gt_i_cold > compare::gt;
    ge_i ge_i_cold >= compare::ge;
}

// Calls.

handler!(call_(vm, pc, base, consts, frame, i) {
    let func = reg(base, a_of(pc));
    let callee = *func;
    if callee.tag != Tag::LuaFn {
        return call_cold::<M>(vm, pc, base, consts, frame, i);
    }
    let th = (*vm).thread;
    let target = pointer::<LuaClosure>(callee);
    let proto = (*target).proto;
    let args = func.add(1);
    let top = args.add((*proto).max_stack as usize);
    let callee_frame = frame.add(1);
    if (*proto).is_vararg || top > (*th).stack_limit || callee_frame > (*th).frames_limit || (*vm).fuel < 1 {
        return call_cold::<M>(vm, pc, base, consts, frame, i);
    }
    (*vm).fuel -= 1;
    (*frame).pc = pc;
    let given = if i.b() != 0 { i.b() as usize - 1 } else { (*th).top.offset_from(args) as usize };
    let params = (*proto).num_params as usize;
    for n in given..params {
        *args.add(n) = Value::NIL;
    }
    (*callee_frame).func = func;
    (*callee_frame).base = args;
    (*callee_frame).top = top;
    (*callee_frame).closure = target;
    (*callee_frame).nresults = i.c() as i32 - 1;
    (*callee_frame).kind = frame::LUA;
    (*callee_frame).flags = 0;
    (*th).frame = callee_frame;
    let pc = (*proto).code;
    if M::HOOKS {
        (*callee_frame).pc = pc;
        return after::<M>(vm, consts, crate::hooks::call(vm));
    }
    next::<M>(vm, pc, args, (*proto).consts, callee_frame)
});

handler!(#[inline(never)] call_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::call_instruction(vm, i, reg(base, a_of(pc))))
});

handler!(tail_call(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::tail_call_instruction(vm, i))
});

handler!(return_(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_instruction(vm, i))
});

/// Goes on with the caller of a frame that just ended.
#[inline(always)]
unsafe fn to_caller<M: Handlers>(vm: *mut Vm, frame: *mut Frame) -> Exit {
    // SAFETY: the flags of the frame said that a Lua function called it.
    unsafe {
        let caller = frame.sub(1);
        (*(*vm).thread).frame = caller;
        let consts = (*(*(*caller).closure).proto).consts;
        next::<M>(vm, (*caller).pc, (*caller).base, consts, caller)
    }
}

handler!(return_0(vm, pc, base, consts, frame, i) {
    if M::HOOKS || (*frame).flags != 0 || (*frame).nresults > 0 {
        return return_0_cold::<M>(vm, pc, base, consts, frame, i);
    }
    if (*frame).nresults < 0 {
        (*(*vm).thread).top = (*frame).func;
    }
    to_caller::<M>(vm, frame)
});

handler!(#[inline(never)] return_0_cold(vm, pc, base, consts, frame, _i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_values(vm, base, 0))
});

handler!(return_1(vm, pc, base, consts, frame, i) {
    let wanted = (*frame).nresults;
    if M::HOOKS || (*frame).flags != 0 || wanted > 1 {
        return return_1_cold::<M>(vm, pc, base, consts, frame, i);
    }
    let func = (*frame).func;
    if wanted != 0 {
        *func = *reg(base, a_of(pc));
        if wanted < 0 {
            (*(*vm).thread).top = func.add(1);
        }
    }
    to_caller::<M>(vm, frame)
});

handler!(#[inline(never)] return_1_cold(vm, pc, base, consts, frame, _i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_values(vm, reg(base, a_of(pc)), 1))
});

handler!(closure_(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, closure::closure(vm, i))
});

handler!(var_arg(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::spread(vm, i))
});

handler!(#[cold] var_arg_table(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::table(vm, i))
});

handler!(#[cold] var_arg_of(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::spread_table(vm, i))
});

handler!(new_global(vm, pc, base, consts, frame, i) {
    if (*reg(base, a_of(pc))).is_nil() {
        return next::<M>(vm, pc, base, consts, frame);
    }
    (*frame).pc = pc;
    let _ = crate::errors::global_defined(&mut *vm, constant(consts, i.d() as usize));
    raise::<M>(vm)
});

// Loops.

handler!(for_prep(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    match loops::prepare(vm, reg(base, a_of(pc))) {
        Ok(true) => next::<M>(vm, pc, base, consts, frame),
        Ok(false) => next::<M>(vm, pc.offset(i.d() as isize), base, consts, frame),
        Err(_) => raise::<M>(vm),
    }
});

handler!(for_prep_old(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    match loops::prepare_old(vm, reg(base, a_of(pc))) {
        Ok(true) if M::HOOKS => {
            // The reference goes back to the body, even for the first time.
            (*(*vm).thread).hook_pc = u32::MAX;
            next::<M>(vm, pc, base, consts, frame)
        }
        Ok(true) => next::<M>(vm, pc, base, consts, frame),
        Ok(false) => next::<M>(vm, pc.offset(i.d() as isize), base, consts, frame),
        Err(_) => raise::<M>(vm),
    }
});

handler!(for_loop(vm, pc, base, consts, frame, i) {
    let ra = reg(base, a_of(pc));
    if (*ra.add(2)).tag == Tag::Int {
        let count = (*ra.add(1)).payload;
        if count == 0 {
            return next::<M>(vm, pc, base, consts, frame);
        }
        let index = (*ra).payload.wrapping_add((*ra.add(2)).payload);
        (*ra.add(1)).payload = count - 1;
        (*ra).payload = index;
        *ra.add(3) = Value { payload: index, tag: Tag::Int };
        return back_edge::<M>(vm, pc, base, consts, frame, i.d());
    }
    let step = (*ra.add(2)).raw_float();
    let limit = (*ra.add(1)).raw_float();
    let index = (*ra).raw_float() + step;
    if if step > 0.0 { index <= limit } else { limit <= index } {
        (*ra).payload = index.to_bits();
        *ra.add(3) = Value::float(index);
        return back_edge::<M>(vm, pc, base, consts, frame, i.d());
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(t_for_prep(vm, pc, base, consts, frame, i) {
    let closing = reg(base, a_of(pc)).add(3);
    if (*closing).is_nil() {
        // A nil carries the cursor of a traversal by `next` in its payload.
        (*closing).payload = 0;
    } else {
        (*frame).pc = pc;
        if close::mark_to_be_closed(vm, closing).is_err() {
            return raise::<M>(vm);
        }
    }
    next::<M>(vm, pc.offset(i.d() as isize), base, consts, frame)
});

handler!(t_for_call(vm, pc, base, consts, frame, i) {
    let ra = reg(base, a_of(pc));
    let iterator = *ra;
    if iterator.tag == Tag::NativeFn && (*ra.add(1)).tag == Tag::Table && !M::HOOKS {
        let known = (*pointer::<NativeClosure>(iterator)).intrinsic;
        let advance = if known == Intrinsic::Next as u32 {
            loops::next_pair(ra, i.c())
        } else if known == Intrinsic::IpairsStep as u32 {
            loops::next_element(ra, i.c())
        } else if known == Intrinsic::NextFloat as u32 {
            loops::next_pair_float(ra, i.c())
        } else if known == Intrinsic::IpairsStepFloat as u32 {
            loops::next_element_float(ra, i.c())
        } else {
            loops::Advance::Unknown
        };
        // The `TForLoop` behind this instruction goes on with the loop.
        match advance {
            loops::Advance::More => {
                *ra.add(2) = *ra.add(4);
                return back_edge::<M>(vm, pc.add(1), base, consts, frame, (*pc).d());
            }
            loops::Advance::Done => return next::<M>(vm, pc.add(1), base, consts, frame),
            loops::Advance::Unknown => {}
        }
    }
    t_for_call_cold::<M>(vm, pc, base, consts, frame, i)
});

handler!(#[inline(never)] t_for_call_cold(vm, pc, base, consts, frame, i) {
    (*frame).pc = pc;
    let ra = reg(base, a_of(pc));
    for n in 0..3 {
        *ra.add(4 + n) = *ra.add(n);
    }
    after::<M>(vm, consts, call::call_iterator(vm, i))
});

handler!(t_for_loop(vm, pc, base, consts, frame, i) {
    let ra = reg(base, a_of(pc));
    if (*ra.add(4)).is_nil() {
        return next::<M>(vm, pc, base, consts, frame);
    }
    *ra.add(2) = *ra.add(4);
    back_edge::<M>(vm, pc, base, consts, frame, i.d())
});

// Scopes.

handler!(tbc(vm, pc, base, consts, frame, _i) {
    (*frame).pc = pc;
    if close::mark_to_be_closed(vm, reg(base, a_of(pc))).is_err() {
        return raise::<M>(vm);
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(close_(vm, pc, _base, consts, frame, i) {
    (*frame).pc = pc;
    after::<M>(vm, consts, close::close_instruction(vm, i))
});

/// The handler of an opcode.
const fn handler_of<M: Handlers>(op: Op) -> Handler {
    match op {
        Op::Move => move_::<M>,
        Op::LoadI => load_i::<M>,
        Op::LoadF => load_f::<M>,
        Op::LoadK => load_k::<M>,
        Op::LoadNil => load_nil::<M>,
        Op::LoadFalse => load_false::<M>,
        Op::LoadTrue => load_true::<M>,
        Op::LoadFalseSkip => load_false_skip::<M>,
        Op::GetUpval => get_upval::<M>,
        Op::SetUpval => set_upval::<M>,
        Op::GetTabUp => get_tab_up::<M>,
        Op::SetTabUp => set_tab_up::<M>,
        Op::GetTable => get_table::<M>,
        Op::GetInt => get_int::<M>,
        Op::GetField => get_field::<M>,
        Op::SetTable => set_table::<M>,
        Op::SetInt => set_int::<M>,
        Op::SetField => set_field::<M>,
        Op::SelfField => self_field::<M>,
        Op::NewTable => new_table::<M>,
        Op::NewRecord => new_record::<M>,
        Op::SetList => set_list::<M>,
        Op::Add => add::<M>,
        Op::Sub => sub::<M>,
        Op::Mul => mul::<M>,
        Op::Div => div::<M>,
        Op::Mod => modulo::<M>,
        Op::IDiv => idiv::<M>,
        Op::Pow => pow::<M>,
        Op::AddK => add_k::<M>,
        Op::SubK => sub_k::<M>,
        Op::MulK => mul_k::<M>,
        Op::DivK => div_k::<M>,
        Op::ModK => mod_k::<M>,
        Op::IDivK => idiv_k::<M>,
        Op::PowK => pow_k::<M>,
        Op::AddI => add_i::<M>,
        Op::BAnd => band::<M>,
        Op::BOr => bor::<M>,
        Op::BXor => bxor::<M>,
        Op::Shl => shl::<M>,
        Op::Shr => shr::<M>,
        Op::BAndK => band_k::<M>,
        Op::BOrK => bor_k::<M>,
        Op::BXorK => bxor_k::<M>,
        Op::ShlI => shl_i::<M>,
        Op::ShrI => shr_i::<M>,
        Op::Unm => unm::<M>,
        Op::BNot => bnot::<M>,
        Op::Not => not::<M>,
        Op::Len => len::<M>,
        Op::LenF => len_f::<M>,
        Op::ModF => mod_f::<M>,
        Op::ModFK => mod_f_k::<M>,
        Op::Concat => concat_::<M>,
        Op::Jump => jump::<M>,
        Op::Loop => loop_::<M>,
        Op::Test => test::<M>,
        Op::TestSet => test_set::<M>,
        Op::Eq => eq::<M>,
        Op::Lt => lt::<M>,
        Op::Le => le::<M>,
        Op::EqK => eq_k::<M>,
        Op::EqI => eq_i::<M>,
        Op::LtK => lt_k::<M>,
        Op::LeK => le_k::<M>,
        Op::GtK => gt_k::<M>,
        Op::GeK => ge_k::<M>,
        Op::LtI => lt_i::<M>,
        Op::LeI => le_i::<M>,
        Op::GtI => gt_i::<M>,
        Op::GeI => ge_i::<M>,
        Op::Call => call_::<M>,
        Op::TailCall => tail_call::<M>,
        Op::Return => return_::<M>,
        Op::Return0 => return_0::<M>,
        Op::Return1 => return_1::<M>,
        Op::Closure => closure_::<M>,
        Op::VarArg => var_arg::<M>,
        Op::VarArgTable => var_arg_table::<M>,
        Op::VarArgOf => var_arg_of::<M>,
        Op::NewGlobal => new_global::<M>,
        Op::ForPrep => for_prep::<M>,
        Op::ForPrepOld => for_prep_old::<M>,
        Op::ForLoop => for_loop::<M>,
        Op::TForPrep => t_for_prep::<M>,
        Op::TForPrepOld => jump::<M>,
        Op::TForCall => t_for_call::<M>,
        Op::TForLoop => t_for_loop::<M>,
        Op::Tbc => tbc::<M>,
        Op::Close => close_::<M>,
    }
}

const fn table<M: Handlers>() -> [Handler; 256] {
    let mut table: [Handler; 256] = [no_opcode::<M>; 256];
    let mut n = 0;
    while n < Op::ALL.len() {
        table[n] = handler_of::<M>(Op::ALL[n]);
        n += 1;
    }
    table
}

impl Handlers for Plain {
    const TABLE: &'static [Handler; 256] = &table::<Plain>();
}

impl Handlers for Counting {
    const TABLE: &'static [Handler; 256] = &table::<Counting>();
}

impl Handlers for Hooked {
    const TABLE: &'static [Handler; 256] = &table::<Hooked>();
}

impl Handlers for Recording {
    const TABLE: &'static [Handler; 256] = &table::<Recording>();
}
