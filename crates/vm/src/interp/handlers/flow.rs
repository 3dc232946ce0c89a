//! Jumps, tests, comparisons and loops.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{NativeClosure, Str};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::super::dispatch::{Handlers, after, next, raise, reload};
use super::super::{Exit, close, compare, loops, pointer};
use super::calls::iterate;
use super::state::{a_of, again, b_of, back_edge, bc_of, branch, c_of, constant, d_of, handler, reg, to_float};
use crate::call::{self, Step};
use crate::native::Intrinsic;
use crate::switch;
use crate::vm::Vm;

handler!(jump(vm, pc, base, consts, frame) {
    next::<M>(vm, pc.offset(d_of(pc) as isize), base, consts, frame)
});

handler!(loop_(vm, pc, base, consts, frame) {
    back_edge::<M>(vm, pc, base, consts, frame, d_of(pc))
});

handler!(test(vm, pc, base, consts, frame) {
    branch::<M, 0>(vm, pc, base, consts, frame, (*reg(base, a_of(pc))).is_truthy())
});

handler!(test_set(vm, pc, base, consts, frame) {
    let v = reg(base, b_of(pc));
    let d = d_of(pc);
    if (*v).is_truthy() != (d & 1 != 0) {
        return next::<M>(vm, pc, base, consts, frame);
    }
    *reg(base, a_of(pc)) = *v;
    next::<M>(vm, pc.offset((d >> 1) as isize), base, consts, frame)
});

handler!(eq(vm, pc, base, consts, frame) {
    let (x, y) = (reg(base, a_of(pc)), reg(base, b_of(pc)));
    if (*x).tag != (*y).tag {
        if (*x).is_number() && (*y).is_number() {
            return eq_cold::<M>(vm, pc, base, consts, frame);
        }
        return branch::<M, 2>(vm, pc, base, consts, frame, false);
    }
    if (*x).tag == Tag::Float {
        return branch::<M, 4>(vm, pc, base, consts, frame, (*x).raw_float() == (*y).raw_float());
    }
    // Nil and the booleans are all tag. What is an object may have a metamethod, or be a long string.
    if (*x).tag as u8 <= Tag::True as u8 || (*x).payload == (*y).payload {
        return branch::<M, 6>(vm, pc, base, consts, frame, true);
    }
    if (*x).tag as u8 <= Tag::Light as u8 {
        return branch::<M, 8>(vm, pc, base, consts, frame, false);
    }
    eq_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] eq_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, compare::eq(vm, again(pc), *reg(base, a_of(pc)), *reg(base, b_of(pc))))
});

handler!(eq_k(vm, pc, base, consts, frame) {
    let (x, y) = (reg(base, a_of(pc)), consts.add(bc_of(pc) as usize));
    if (*x).tag != (*y).tag {
        if (*x).is_number() {
            return eq_k_cold::<M>(vm, pc, base, consts, frame);
        }
        return branch::<M, 2>(vm, pc, base, consts, frame, false);
    }
    if (*x).tag == Tag::Str && (*pointer::<Str>(*y)).header.flags & Str::SHORT != 0 {
        return branch::<M, 4>(vm, pc, base, consts, frame, (*x).payload == (*y).payload);
    }
    eq_k_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] eq_k_cold(vm, pc, base, consts, frame) {
    let (x, y) = (*reg(base, a_of(pc)), constant(consts, bc_of(pc) as usize));
    branch::<M, 0>(vm, pc, base, consts, frame, x.raw_equals(y))
});

handler!(eq_i(vm, pc, base, consts, frame) {
    let x = reg(base, a_of(pc));
    if (*x).tag == Tag::Int {
        return branch::<M, 2>(vm, pc, base, consts, frame, (*x).raw_int() == bc_of(pc) as i16 as i64);
    }
    let outcome = (*x).tag == Tag::Float && (*x).raw_float() == to_float(bc_of(pc) as i16 as i64);
    branch::<M, 0>(vm, pc, base, consts, frame, outcome)
});

/// The right operand of an ordering.
macro_rules! ordered {
    (register, $base:ident, $consts:ident, $pc:ident) => {
        reg($base, b_of($pc)).cast_const()
    };
    (constant, $base:ident, $consts:ident, $pc:ident) => {
        $consts.add(bc_of($pc) as usize)
    };
}

macro_rules! orders {
    ($($name:ident $cold:ident $right:ident $op:tt $slow:path;)*) => {
        $(
            handler!($name(vm, pc, base, consts, frame) {
                let (x, y) = (reg(base, a_of(pc)), ordered!($right, base, consts, pc));
                if (*x).tag == Tag::Int && (*y).tag == Tag::Int {
                    return branch::<M, 2>(vm, pc, base, consts, frame, (*x).raw_int() $op (*y).raw_int());
                }
                if (*x).tag == Tag::Float && (*y).tag == Tag::Float {
                    return branch::<M, 4>(vm, pc, base, consts, frame, (*x).raw_float() $op (*y).raw_float());
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            handler!(#[inline(never)] $cold(vm, pc, base, consts, frame) {
                (*frame).pc = pc;
                let (x, y) = (*reg(base, a_of(pc)), *ordered!($right, base, consts, pc));
                after::<M>(vm, consts, $slow(vm, again(pc), x, y))
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
            handler!($name(vm, pc, base, consts, frame) {
                let x = reg(base, a_of(pc));
                if (*x).tag == Tag::Int {
                    return branch::<M, 2>(vm, pc, base, consts, frame, (*x).raw_int() $op bc_of(pc) as i16 as i64);
                }
                if (*x).tag == Tag::Float {
                    let y = to_float(bc_of(pc) as i16 as i64);
                    return branch::<M, 4>(vm, pc, base, consts, frame, (*x).raw_float() $op y);
                }
                $cold::<M>(vm, pc, base, consts, frame)
            });
            handler!(#[cold] #[inline(never)] $cold(vm, pc, base, consts, frame) {
                (*frame).pc = pc;
                let y = Value::int(bc_of(pc) as i16 as i64);
                after::<M>(vm, consts, $slow(vm, again(pc), *reg(base, a_of(pc)), y))
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

handler!(for_prep(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    match loops::prepare(vm, reg(base, a_of(pc))) {
        Ok(true) => next::<M>(vm, pc, base, consts, frame),
        Ok(false) => next::<M>(vm, pc.offset(d_of(pc) as isize), base, consts, frame),
        Err(_) => raise::<M>(vm),
    }
});

handler!(for_prep_old(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    match loops::prepare_old(vm, reg(base, a_of(pc))) {
        Ok(true) if M::HOOKS => {
            // The reference goes back to the body, even for the first time.
            (*(*vm).thread).hook_pc = u32::MAX;
            next::<M>(vm, pc, base, consts, frame)
        }
        Ok(true) => next::<M>(vm, pc, base, consts, frame),
        Ok(false) => next::<M>(vm, pc.offset(d_of(pc) as isize), base, consts, frame),
        Err(_) => raise::<M>(vm),
    }
});

handler!(for_float(vm, pc, base, consts, frame) {
    let variable = reg(base, a_of(pc));
    if (*variable).tag == Tag::Int {
        *variable = Value::float((*variable).raw_int() as f64);
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(for_loop(vm, pc, base, consts, frame) {
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
        return back_edge::<M>(vm, pc, base, consts, frame, d_of(pc));
    }
    let step = (*ra.add(2)).raw_float();
    let limit = (*ra.add(1)).raw_float();
    let index = (*ra).raw_float() + step;
    if if step > 0.0 { index <= limit } else { limit <= index } {
        (*ra).payload = index.to_bits();
        *ra.add(3) = Value::float(index);
        return back_edge::<M>(vm, pc, base, consts, frame, d_of(pc));
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(t_for_prep(vm, pc, base, consts, frame) {
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
    next::<M>(vm, pc.offset(d_of(pc) as isize), base, consts, frame)
});

handler!(t_for_call(vm, pc, base, consts, frame) {
    let ra = reg(base, a_of(pc));
    let iterator = *ra;
    if iterator.tag == Tag::NativeFn && (*ra.add(1)).tag == Tag::Table && !M::HOOKS {
        let known = (*pointer::<NativeClosure>(iterator)).intrinsic;
        let advance = if known == Intrinsic::Next as u32 {
            loops::next_pair(ra, c_of(pc))
        } else if known == Intrinsic::IpairsStep as u32 {
            loops::next_element(ra, c_of(pc))
        } else if known == Intrinsic::NextFloat as u32 {
            loops::next_pair_float(ra, c_of(pc))
        } else if known == Intrinsic::IpairsStepFloat as u32 {
            loops::next_element_float(ra, c_of(pc))
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
    t_for_call_cold::<M>(vm, pc, base, consts, frame)
});

/// Whether an iterator is that of `ipairs`, over a table.
///
/// # Safety
/// `ra` is the first of the loop's registers.
unsafe fn is_step_of_list(ra: *const Value) -> bool {
    // SAFETY: the caller's duty; a native function's payload is its closure.
    unsafe {
        (*ra).tag == Tag::NativeFn && (*ra.add(1)).tag == Tag::Table && {
            let known = (*pointer::<NativeClosure>(*ra)).intrinsic;
            known == Intrinsic::IpairsStep as u32 || known == Intrinsic::IpairsStepFloat as u32
        }
    }
}

handler!(#[inline(never)] t_for_call_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    let ra = reg(base, a_of(pc));
    if !M::HOOKS && is_step_of_list(ra) {
        match loops::next_inherited(vm, ra, c_of(pc)) {
            loops::Advance::More => {
                *ra.add(2) = *ra.add(4);
                return back_edge::<M>(vm, pc.add(1), base, consts, frame, (*pc).d());
            }
            loops::Advance::Done => return next::<M>(vm, pc.add(1), base, consts, frame),
            loops::Advance::Unknown => {}
        }
    }
    for n in 0..3 {
        *ra.add(4 + n) = *ra.add(n);
    }
    if (*ra).tag == Tag::LuaFn {
        return iterate::<M>(vm, pc, base, consts, frame);
    }
    if !M::HOOKS && (*ra).tag == Tag::NativeFn {
        let call = switch::Call { func: ra.add(4), nargs: 2, wanted: c_of(pc).into(), flags: 0 };
        match switch::switch(vm, call) {
            None => {}
            Some(Step::Reload) => return reload::<M>(vm),
            Some(step) => return after::<M>(vm, consts, step),
        }
    }
    after::<M>(vm, consts, call::call_iterator(vm, again(pc)))
});

handler!(t_for_loop(vm, pc, base, consts, frame) {
    let ra = reg(base, a_of(pc));
    if (*ra.add(4)).is_nil() {
        return next::<M>(vm, pc, base, consts, frame);
    }
    *ra.add(2) = *ra.add(4);
    back_edge::<M>(vm, pc, base, consts, frame, d_of(pc))
});
