//! Calls and returns.
//!
//! | callee | goes through |
//! |---|---|
//! | a Lua function that takes no varargs, room on the stack | [`call_`], [`call_open`]: a frame, and on with its code |
//! | a native function with a direct form | [`call_other`]: no frame; see [`DirectFn`](perilune_runtime::object::DirectFn) |
//! | one that switches coroutines, with nothing else to do | [`call_control`]: see [`switch`] |
//! | any other native function | [`call_native`] |
//! | a Lua function that takes varargs | [`call_vararg`] |
//! | a Lua function as the iterator of a loop | [`iterate`] |
//! | the rest: `__call`, stack to be grown, fuel spent | [`call_slow`] |

use std::ptr::{null, null_mut};

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{Direct, LuaClosure, NativeClosure};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::super::dispatch::{Handlers, after, next, reload};
use super::super::{Exit, finish, pointer};
use super::state::{a_of, again, b_of, c_of, handler, reg};
use crate::call::{self, Step};
use crate::frame;
use crate::switch;
use crate::tier;
use crate::vm::Vm;

/// Enters the Lua function `target` in `func`, no argument of which is missing, or goes on at [`call_slow`].
macro_rules! enter {
    ($func:ident, $target:ident, $proto:ident, $vm:ident, $pc:ident, $consts:ident, $frame:ident) => {{
        let th = (*$vm).thread;
        let args = $func.add(1);
        let top = args.add((*$proto).max_stack as usize);
        let callee = $frame.add(1);
        if (*$proto).is_vararg {
            return call_vararg::<M>($vm, $pc, null_mut(), null(), $frame);
        }
        if top > (*th).stack_limit || callee > (*th).frames_limit {
            return call_slow::<M>($vm, $pc, null_mut(), null(), $frame);
        }
        (*$vm).fuel -= 1;
        if (*$vm).fuel < 0 {
            return call_unpaid::<M>($vm, $pc, null_mut(), null(), $frame);
        }
        (*$frame).pc = $pc;
        (*callee).func = $func;
        (*callee).base = args;
        (*callee).top = top;
        (*callee).closure = $target;
        Frame::set_plain(callee, c_of($pc) as i32 - 1);
        (*th).frame = callee;
        let code = (*$proto).code;
        if M::HOOKS {
            (*callee).pc = code;
            return after::<M>($vm, $consts, crate::hooks::call($vm));
        }
        if M::COUNTS && tier::counts_call($proto) {
            return entered::<M>($vm, code, args, (*$proto).consts, callee);
        }
        next::<M>($vm, code, args, (*$proto).consts, callee)
    }};
}

// A function that is called often is about to begin.
handler!(#[cold] #[inline(never)] entered(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, tier::entered(vm))
});

handler!(call_(vm, pc, base, consts, frame) {
    let func = reg(base, a_of(pc));
    if (*func).tag != Tag::LuaFn {
        return call_other::<M>(vm, pc, base, consts, frame);
    }
    let target = pointer::<LuaClosure>(*func);
    let proto = (*target).proto;
    // `b` counts the function too, and is 0 for an open list.
    if b_of(pc) <= (*proto).num_params {
        return call_open::<M>(vm, pc, base, consts, frame);
    }
    enter!(func, target, proto, vm, pc, consts, frame)
});

// A call of a Lua function with an open list of arguments, or with too few.
handler!(#[inline(never)] call_open(vm, pc, base, consts, frame) {
    let func = reg(base, a_of(pc));
    let target = pointer::<LuaClosure>(*func);
    let proto = (*target).proto;
    let args = func.add(1);
    let given = match b_of(pc) {
        0 => (*(*vm).thread).top.offset_from(args) as usize,
        b => b as usize - 1,
    };
    // Room for parameters is part of the room for registers, which an `enter` that goes on at `call_slow` has not
    // asked for yet; but then the frame is current still, and its registers are below.
    if args.add((*proto).max_stack as usize) <= (*(*vm).thread).stack_limit {
        for n in given..(*proto).num_params as usize {
            *args.add(n) = Value::NIL;
        }
    }
    enter!(func, target, proto, vm, pc, consts, frame)
});

// A call of a Lua function that takes varargs: its parameters move above all arguments, of which the extra ones stay.
handler!(#[inline(never)] call_vararg(vm, pc, _base, _consts, frame) {
    let func = reg((*frame).base, a_of(pc));
    let target = pointer::<LuaClosure>(*func);
    let proto = (*target).proto;
    let th = (*vm).thread;
    let args = func.add(1);
    let given = match b_of(pc) {
        0 => (*th).top.offset_from(args) as usize,
        b => b as usize - 1,
    };
    let params = (*proto).num_params as usize;
    let base = args.add(given.max(params));
    let top = base.add((*proto).max_stack as usize);
    let callee = frame.add(1);
    if M::HOOKS || top > (*th).stack_limit || callee > (*th).frames_limit || (*vm).fuel < 1 {
        return call_slow::<M>(vm, pc, null_mut(), null(), frame);
    }
    (*vm).fuel -= 1;
    (*frame).pc = pc;
    for n in 0..params {
        *base.add(n) = if n < given { *args.add(n) } else { Value::NIL };
        *args.add(n) = Value::NIL;
    }
    (*callee).func = func;
    (*callee).base = base;
    (*callee).top = top;
    (*callee).closure = target;
    Frame::set_plain(callee, c_of(pc) as i32 - 1);
    (*callee).extra = given.saturating_sub(params) as u64;
    (*th).frame = callee;
    next::<M>(vm, (*proto).code, base, (*proto).consts, callee)
});

// The call of a generic loop's iterator, a Lua function; it was copied to `R[a+4]`, and its two arguments behind.
handler!(#[inline(never)] iterate(vm, pc, base, consts, frame) {
    let func = reg(base, a_of(pc)).add(4);
    let target = pointer::<LuaClosure>(*func);
    let proto = (*target).proto;
    let th = (*vm).thread;
    let args = func.add(1);
    let top = args.add((*proto).max_stack as usize);
    let callee = frame.add(1);
    let is_plain = !M::HOOKS && !(*proto).is_vararg && (*vm).fuel >= 1;
    if !is_plain || top > (*th).stack_limit || callee > (*th).frames_limit {
        return after::<M>(vm, consts, call::call_iterator(vm, again(pc)));
    }
    (*vm).fuel -= 1;
    for n in 2..(*proto).num_params as usize {
        *args.add(n) = Value::NIL;
    }
    (*callee).func = func;
    (*callee).base = args;
    (*callee).top = top;
    (*callee).closure = target;
    Frame::set_plain(callee, c_of(pc).into());
    (*th).frame = callee;
    if M::COUNTS && tier::counts_call(proto) {
        return entered::<M>(vm, (*proto).code, args, (*proto).consts, callee);
    }
    next::<M>(vm, (*proto).code, args, (*proto).consts, callee)
});

// A call of anything but a Lua function.
handler!(#[inline(never)] call_other(vm, pc, base, consts, frame) {
    let func = reg(base, a_of(pc));
    if (*func).tag != Tag::NativeFn {
        return call_slow::<M>(vm, pc, null_mut(), null(), frame);
    }
    let target = pointer::<NativeClosure>(*func);
    let Some(direct) = (*target).direct else {
        return call_control::<M>(vm, pc, base, consts, frame);
    };
    if M::HOOKS || (*vm).fuel < 1 {
        return call_native::<M>(vm, pc, base, consts, frame);
    }
    let given = match b_of(pc) {
        0 => (*(*vm).thread).top.offset_from(func) as usize - 1,
        b => b as usize - 1,
    };
    let args = std::slice::from_raw_parts(func.add(1), given);
    match direct(&mut (*vm).heap, args, c_of(pc) as i32 - 1) {
        Direct::Unknown => return call_native::<M>(vm, pc, base, consts, frame),
        Direct::One(v) if c_of(pc) == 2 => *func = v,
        Direct::One(v) => {
            *func = v;
            place_results(vm, func, 1, c_of(pc) as i32 - 1);
        }
        Direct::Nothing => place_results(vm, func, 0, c_of(pc) as i32 - 1),
    }
    (*vm).fuel -= 1;
    if (*vm).heap.bytes >= (*vm).heap.threshold {
        return collect::<M>(vm, pc, base, consts, frame);
    }
    next::<M>(vm, pc, base, consts, frame)
});

// A call of a native function that may be one of those which switch coroutines.
handler!(#[inline(never)] call_control(vm, pc, base, consts, frame) {
    let func = reg(base, a_of(pc));
    if M::HOOKS || (*pointer::<NativeClosure>(*func)).control == 0 {
        return call_native::<M>(vm, pc, base, consts, frame);
    }
    let nargs = match b_of(pc) {
        0 => (*(*vm).thread).top.offset_from(func) as usize - 1,
        b => b as usize - 1,
    };
    (*frame).pc = pc;
    match switch::switch(vm, switch::Call { func, nargs, wanted: c_of(pc) as i32 - 1, flags: 0 }) {
        None => call_native::<M>(vm, pc, base, consts, frame),
        Some(Step::Reload) => reload::<M>(vm),
        Some(step) => after::<M>(vm, consts, step),
    }
});

/// Makes `n` results at `func`, none or one, those that are wanted.
#[inline(never)]
unsafe fn place_results(vm: *mut Vm, func: *mut Value, n: usize, wanted: i32) {
    // SAFETY: the registers of the instruction that called cover the results that it wants.
    unsafe {
        if wanted < 0 {
            (*(*vm).thread).top = func.add(n);
        }
        for k in n as i32..wanted {
            *func.add(k as usize) = Value::NIL;
        }
    }
}

// The safepoint behind a native function called directly.
handler!(#[cold] #[inline(never)] collect(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    let wanted = c_of(pc) as i32 - 1;
    if wanted >= 0 {
        (*(*vm).thread).top = reg(base, a_of(pc)).add(wanted as usize);
    }
    after::<M>(vm, consts, call::collect_after_call(vm, wanted))
});

handler!(#[inline(never)] call_native(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    let func = reg(base, a_of(pc));
    if b_of(pc) != 0 {
        (*(*vm).thread).top = func.add(b_of(pc) as usize);
    }
    after::<M>(vm, consts, call::call_native(vm, func, c_of(pc) as i32 - 1, 0))
});

// A call that could not be paid: the general form looks at the limits.
handler!(#[cold] #[inline(never)] call_unpaid(vm, pc, base, consts, frame) {
    (*vm).fuel += 1;
    call_slow::<M>(vm, pc, base, consts, frame)
});

// It finds registers and constants by the frame, so that nothing has to be kept for it.
handler!(#[inline(never)] call_slow(vm, pc, _base, _consts, frame) {
    (*frame).pc = pc;
    let (base, consts) = ((*frame).base, (*(*(*frame).closure).proto).consts);
    after::<M>(vm, consts, call::call_instruction(vm, again(pc), reg(base, a_of(pc))))
});

handler!(tail_call(vm, pc, base, consts, frame) {
    let callee = reg(base, a_of(pc));
    if (*callee).tag != Tag::LuaFn || c_of(pc) != 0 || M::HOOKS {
        return tail_call_slow::<M>(vm, pc, base, consts, frame);
    }
    let target = pointer::<LuaClosure>(*callee);
    let proto = (*target).proto;
    let th = (*vm).thread;
    let func = (*frame).func;
    let args = func.add(1);
    let top = args.add((*proto).max_stack as usize);
    // `b` counts the function too, and is 0 for an open list.
    if b_of(pc) <= (*proto).num_params || (*proto).is_vararg || top > (*th).stack_limit || (*vm).fuel < 1 {
        return tail_call_slow::<M>(vm, pc, base, consts, frame);
    }
    (*vm).fuel -= 1;
    // Arguments that the function does not take need not move.
    for n in 0..=(*proto).num_params as usize {
        *func.add(n) = *callee.add(n);
    }
    (*frame).base = args;
    (*frame).top = top;
    (*frame).closure = target;
    (*frame).flags |= frame::TAIL;
    // No extra arguments, and no count of calls that were replaced.
    (*frame).extra = 0;
    if M::COUNTS && tier::counts_call(proto) {
        return entered::<M>(vm, (*proto).code, args, (*proto).consts, frame);
    }
    next::<M>(vm, (*proto).code, args, (*proto).consts, frame)
});

handler!(#[inline(never)] tail_call_slow(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::tail_call_instruction(vm, again(pc)))
});

/// Whether a frame that returns was called by a Lua instruction that just wants its results.
#[inline(always)]
unsafe fn returns_plainly(frame: *mut Frame) -> bool {
    // SAFETY: `frame` is the current one.
    unsafe { (*frame).flags & (frame::FRESH | frame::HANDLED | frame::WATCHED) == 0 }
}

/// Goes on with the caller of a frame that just ended.
#[inline(always)]
unsafe fn to_caller<M: Handlers>(vm: *mut Vm, frame: *mut Frame) -> Exit {
    // SAFETY: the frame returns plainly, so a Lua function called it.
    unsafe {
        let caller = frame.sub(1);
        (*(*vm).thread).frame = caller;
        let consts = (*(*(*caller).closure).proto).consts;
        next::<M>(vm, (*caller).pc, (*caller).base, consts, caller)
    }
}

handler!(return_(vm, pc, base, consts, frame) {
    if M::HOOKS || c_of(pc) != 0 || !returns_plainly(frame) {
        return return_slow::<M>(vm, pc, base, consts, frame);
    }
    let first = reg(base, a_of(pc));
    let have = match b_of(pc) {
        0 => (*(*vm).thread).top.offset_from(first) as usize,
        b => b as usize - 1,
    };
    let func = (*frame).func;
    let wanted = match (*frame).nresults {
        n @ 0.. => n as usize,
        _ => {
            (*(*vm).thread).top = func.add(have);
            have
        }
    };
    for n in 0..have.min(wanted) {
        *func.add(n) = *first.add(n);
    }
    for n in have..wanted {
        *func.add(n) = Value::NIL;
    }
    to_caller::<M>(vm, frame)
});

handler!(#[inline(never)] return_slow(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_instruction(vm, again(pc)))
});

handler!(return_0(vm, pc, base, consts, frame) {
    if M::HOOKS || !returns_plainly(frame) || (*frame).nresults > 0 {
        return return_0_cold::<M>(vm, pc, base, consts, frame);
    }
    if (*frame).nresults < 0 {
        (*(*vm).thread).top = (*frame).func;
    }
    to_caller::<M>(vm, frame)
});

handler!(#[inline(never)] return_0_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_values(vm, base, 0))
});

handler!(return_1(vm, pc, base, consts, frame) {
    if M::HOOKS || !Frame::is_plain(frame, 1) {
        return return_1_other::<M>(vm, pc, base, consts, frame);
    }
    *(*frame).func = *reg(base, a_of(pc));
    to_caller::<M>(vm, frame)
});

// Returns one value where not just that is wanted, or not by a plain caller.
handler!(#[inline(never)] return_1_other(vm, pc, base, consts, frame) {
    let wanted = (*frame).nresults;
    let func = (*frame).func;
    if M::HOOKS || wanted > 1 || (*frame).flags & frame::WATCHED != 0 {
        return return_1_slow::<M>(vm, pc, base, consts, frame);
    }
    if returns_plainly(frame) {
        if wanted != 0 {
            *func = *reg(base, a_of(pc));
            if wanted < 0 {
                (*(*vm).thread).top = func.add(1);
            }
        }
        return to_caller::<M>(vm, frame);
    }
    let caller = frame.sub(1);
    if wanted == 1 && ((*frame).flags & frame::FRESH != 0 || (*caller).kind == frame::LUA) {
        *func = *reg(base, a_of(pc));
        let th = (*vm).thread;
        (*th).top = func.add(1);
        (*th).frame = caller;
        if (*frame).flags & frame::FRESH != 0 {
            // Host code called it, and goes on.
            return Exit::Returned;
        }
        // An instruction called it as a metamethod, and has to be finished.
        return match finish::finish_instruction(vm, func) {
            Step::Reload => reload::<M>(vm),
            step => after::<M>(vm, consts, step),
        };
    }
    return_1_slow::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] return_1_slow(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, call::return_values(vm, reg(base, a_of(pc)), 1))
});
