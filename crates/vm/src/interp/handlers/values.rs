//! Moves, constants, upvalues, closures and scopes.

use perilune_base::limits::MAX_REGISTERS;
use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{LuaClosure, UpVal, mark};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use super::super::dispatch::{Handlers, after, next, raise};
use super::super::{Exit, close, closure, varargs};
use super::state::{a_of, again, b_of, c_of, constant, d_of, handler, reg};
use crate::frame;
use crate::vm::Vm;

handler!(move_(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = *reg(base, b_of(pc));
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_i(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::int(d_of(pc) as i64);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_f(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::float(d_of(pc) as f64);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_k(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = constant(consts, d_of(pc) as usize);
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_nil(vm, pc, base, consts, frame) {
    for n in 0..=b_of(pc) as usize {
        *reg(base, a_of(pc)).add(n) = Value::NIL;
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_false(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::FALSE;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_true(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::TRUE;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(load_false_skip(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = Value::FALSE;
    next::<M>(vm, pc.add(1), base, consts, frame)
});

/// The upvalue that operand `b` names.
#[inline(always)]
pub(super) unsafe fn upvalue(frame: *mut Frame, pc: *const Instr) -> *mut UpVal {
    // SAFETY: a Lua frame has a closure, whose upvalues the operands name, by verification.
    unsafe { *LuaClosure::upvals((*frame).closure).add(b_of(pc) as usize) }
}

handler!(get_upval(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = *(*upvalue(frame, pc)).slot;
    next::<M>(vm, pc, base, consts, frame)
});

handler!(set_upval(vm, pc, base, consts, frame) {
    let up = upvalue(frame, pc);
    let v = reg(base, a_of(pc));
    let slot = (*up).slot;
    (*slot).payload = (*v).payload;
    (*slot).tag = (*v).tag;
    if (*up).header.mark & mark::BLACK != 0 && (*v).is_object() {
        return set_upval_cold::<M>(vm, pc, base, consts, frame);
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(#[cold] #[inline(never)] set_upval_cold(vm, pc, base, consts, frame) {
    (*vm).heap.barrier_forward(upvalue(frame, pc).cast(), *reg(base, a_of(pc)));
    next::<M>(vm, pc, base, consts, frame)
});

handler!(closure_(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, closure::closure(vm, again(pc)))
});

handler!(var_arg(vm, pc, base, consts, frame) {
    let have = frame::varargs(frame);
    let to = reg(base, a_of(pc));
    let wanted = match c_of(pc) {
        0 => have,
        c => c as usize - 1,
    };
    // Registers are there; an open list may need room for more, and a long one is charged for.
    if c_of(pc) == 0 {
        if have > MAX_REGISTERS || to.add(have) > (*(*vm).thread).stack_limit {
            return var_arg_slow::<M>(vm, pc, base, consts, frame);
        }
        (*(*vm).thread).top = to.add(have);
    }
    let from = base.sub(have);
    for n in 0..have.min(wanted) {
        *to.add(n) = *from.add(n);
    }
    for n in have..wanted {
        *to.add(n) = Value::NIL;
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] var_arg_slow(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::spread(vm, again(pc)))
});

handler!(#[cold] var_arg_table(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::table(vm, again(pc)))
});

handler!(#[cold] var_arg_of(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, varargs::spread_table(vm, again(pc)))
});

handler!(get_var_arg(vm, pc, base, consts, frame) {
    *reg(base, a_of(pc)) = varargs::one(vm, frame, *reg(base, c_of(pc)));
    next::<M>(vm, pc, base, consts, frame)
});

handler!(new_global(vm, pc, base, consts, frame) {
    if (*reg(base, a_of(pc))).is_nil() {
        return next::<M>(vm, pc, base, consts, frame);
    }
    (*frame).pc = pc;
    let _ = crate::errors::global_defined(&mut *vm, constant(consts, d_of(pc) as usize));
    raise::<M>(vm)
});

handler!(tbc(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    if close::mark_to_be_closed(vm, reg(base, a_of(pc))).is_err() {
        return raise::<M>(vm);
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(close_(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, close::close_instruction(vm, again(pc)))
});
