//! How a handler is written, and what it reads its operands with.
//!
//! Handlers are small functions whose speed is that of the machine code that becomes of them. What keeps that good:
//!
//! * The state takes all argument registers, and few others are free. A handler that calls a function, or needs many values
//!   at once, saves registers at its entry, on every way through it. So a fast path calls nothing: what needs a call goes on
//!   in a *cold side*, a handler of its own, by a sibling call.
//! * Operands are read from memory, each when it is needed: that takes fewer instructions, and fewer registers, than taking
//!   them out of the instruction's word.
//! * Each way that hot code takes ends in a dispatch of its own; see [`next_apart`].

use perilune_bytecode::ops::Instr;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use super::super::Exit;
use super::super::dispatch::{Handlers, after, next};
use super::super::loops;
use crate::tier;
use crate::vm::Vm;

/// Defines handlers. The names of the state's parts are given at each use, because a macro's own names are invisible to
/// the code passed to it.
macro_rules! handler {
    ($(#[$attribute:meta])* $name:ident($vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident) $body:block) => {
        $(#[$attribute])*
        #[allow(unused_mut, reason = "not every handler jumps")]
        pub(super) unsafe fn $name<M: Handlers>(
            $vm: *mut Vm,
            mut $pc: *const Instr,
            $base: *mut Value,
            $consts: *const Value,
            $frame: *mut Frame,
        ) -> Exit {
            // SAFETY: the invariants in the comment of the module `interp`.
            unsafe { $body }
        }
    };
}
pub(super) use handler;

#[inline(always)]
pub(super) unsafe fn reg(base: *mut Value, n: u8) -> *mut Value {
    // SAFETY: operands name registers of the frame, by verification.
    unsafe { base.add(n as usize) }
}

/// The instruction in front of `pc`, which the handler runs.
#[inline(always)]
pub(super) unsafe fn again(pc: *const Instr) -> Instr {
    // SAFETY: a handler's `pc` is behind the instruction that it runs.
    unsafe { *pc.sub(1) }
}

/// Operand `a` of the instruction in front of `pc`.
#[inline(always)]
pub(super) unsafe fn a_of(pc: *const Instr) -> u8 {
    // SAFETY: as in `again`.
    unsafe { *pc.cast::<u8>().sub(7) }
}

/// As [`a_of`], for operand `b`.
#[inline(always)]
pub(super) unsafe fn b_of(pc: *const Instr) -> u8 {
    // SAFETY: as in `again`.
    unsafe { *pc.cast::<u8>().sub(6) }
}

/// As [`a_of`], for operand `c`.
#[inline(always)]
pub(super) unsafe fn c_of(pc: *const Instr) -> u8 {
    // SAFETY: as in `again`.
    unsafe { *pc.cast::<u8>().sub(5) }
}

/// As [`a_of`], for the operand of `b` and `c` together.
#[inline(always)]
pub(super) unsafe fn bc_of(pc: *const Instr) -> u16 {
    // SAFETY: as in `again`; the two bytes begin at an even one.
    unsafe { *pc.cast::<u16>().sub(3) }
}

/// As [`a_of`], for operand `d`.
#[inline(always)]
pub(super) unsafe fn d_of(pc: *const Instr) -> i32 {
    // SAFETY: as in `again`; `d` is the upper half.
    unsafe { *pc.cast::<i32>().sub(1) }
}

// The operands are found at these places in a word with the little end first.
const _: () = assert!(cfg!(target_endian = "little"));

#[inline(always)]
pub(super) unsafe fn constant(consts: *const Value, n: usize) -> Value {
    // SAFETY: operands name constants of the prototype, by verification.
    unsafe { *consts.add(n) }
}

/// As [`next`], on a way through a handler that keeps a dispatch of its own: it is not merged with one that has another `N`.
///
/// That is a jump less, and an indirect jump whose history tells the ways apart.
#[inline(always)]
pub(super) unsafe fn next_apart<M: Handlers, const N: u8>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: as `next`.
    unsafe { next_on_way::<M, N, false>(vm, pc, base, consts, frame) }
}

/// As [`next_apart`], on one of two ways.
#[inline(always)]
unsafe fn next_on_way<M: Handlers, const N: u8, const TAKEN: bool>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: as `next`. No instruction is emitted by the assembly, whose text is a comment.
    unsafe {
        if M::INSPECTS || !cfg!(threaded_dispatch) {
            return next::<M>(vm, pc, base, consts, frame);
        }
        let handler = M::TABLE[(*pc).op_byte() as usize];
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        std::arch::asm!("/* {} {} {} */", const N, const TAKEN as u8, in(reg) handler as usize, options(nomem, nostack, preserves_flags));
        handler(vm, pc.add(1), base, consts, frame)
    }
}

/// An integer as a float.
///
/// The conversion of x86 writes half a register, and so waits for whatever wrote the register last. The compiler breaks
/// that dependency within a function, but not on what another handler did.
#[inline(always)]
pub(super) fn to_float(n: i64) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        let float: f64;
        // SAFETY: the two instructions touch nothing but the output register.
        unsafe {
            std::arch::asm!(
                "xorps {0}, {0}",
                "cvtsi2sd {0}, {1}",
                out(xmm_reg) float,
                in(reg) n,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        float
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        n as f64
    }
}

/// Goes on behind a conditional jump.
///
/// The ways must stay ways. Merged into a conditional move they would make the address of the next instruction wait for the
/// operands; as branches they are predicted.
#[inline(always)]
pub(super) unsafe fn branch<M: Handlers, const N: u8>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
    outcome: bool,
) -> Exit {
    // SAFETY: jumps stay in the function, by verification. `d` holds offset and condition, see `Instr::cond`.
    unsafe {
        let d = d_of(pc);
        if if outcome { d & 1 != 0 } else { d & 1 == 0 } {
            return next_on_way::<M, N, true>(vm, pc.offset((d >> 1) as isize), base, consts, frame);
        }
        next_on_way::<M, N, false>(vm, pc, base, consts, frame)
    }
}

/// Takes a back-edge over `offset` (negative) instructions: fuel, hot counter.
#[inline(always)]
pub(super) unsafe fn back_edge<M: Handlers>(
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
                None => return meet::<M>(vm, pc, base, consts, frame),
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

/// Gives the loop header at `pc` a counter.
#[cold]
#[inline(never)]
unsafe fn meet<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: the current frame is a Lua frame.
    unsafe {
        if tier::meet(vm, pc) {
            return hot::<M>(vm, pc, consts, frame);
        }
        next::<M>(vm, pc, base, consts, frame)
    }
}
