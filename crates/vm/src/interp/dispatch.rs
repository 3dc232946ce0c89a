//! How the interpreter goes from one instruction to the next.
//!
//! Each opcode has a *handler*, a function that gets the machine state in its arguments, and ends by calling the next
//! instruction's handler with the state that it leaves: threaded code. The state never leaves the machine registers, each
//! handler has its own indirect jump for the branch predictor, and what one handler's slow path needs costs the others
//! nothing.
//!
//! The call at the end is a *sibling call*, same signature and nothing left to do, which the code generator turns into a
//! jump in optimised builds. Only those use it (`threaded_dispatch`, set by the build script); a build without that
//! guarantee, or with debug assertions, returns the state to a loop instead, so that the host's stack cannot grow.
//! The fixture `traps/long-loop-needs-no-host-stack`, in a release build, would overflow the stack if that call were a real one.

use perilune_bytecode::ops::Instr;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use super::Exit;
use crate::call::{self, Step};
use crate::frame;
use crate::tier::Mode;
use crate::vm::Vm;

/// A handler: the VM, the instruction behind the one to run, the frame's registers and constants, and the frame.
pub(super) type Handler = unsafe fn(*mut Vm, *const Instr, *mut Value, *const Value, *mut Frame) -> Exit;

/// The handlers of a mode, by opcode number.
pub(super) trait Handlers: Mode {
    /// One for each possible byte; those that are no opcode cannot be met in verified code.
    const TABLE: &'static [Handler; 256];
}

/// Machine state between two instructions, for builds that return to a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
}

impl Registers {
    pub(crate) const EMPTY: Registers = Registers {
        pc: std::ptr::null(),
        base: std::ptr::null_mut(),
        consts: std::ptr::null(),
        frame: std::ptr::null_mut(),
    };
}

/// Goes on with the instruction at `pc`.
#[inline(always)]
pub(super) unsafe fn next<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: the caller is a handler, or the entry; both pass the current frame's state.
    unsafe {
        if M::INSPECTS || !cfg!(threaded_dispatch) {
            (*vm).registers = Registers { pc, base, consts, frame };
            return Exit::Continue;
        }
        jump::<M>(vm, pc, base, consts, frame)
    }
}

/// Runs the handler of the instruction at `pc`.
#[inline(always)]
unsafe fn jump<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    base: *mut Value,
    consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: as `next`.
    unsafe {
        let handler = M::TABLE[(*pc).op_byte() as usize];
        handler(vm, pc.add(1), base, consts, frame)
    }
}

/// Goes on with the current frame, whose state is in memory.
#[inline(always)]
pub(super) unsafe fn reload<M: Handlers>(vm: *mut Vm) -> Exit {
    // SAFETY: the current frame is a Lua frame.
    unsafe {
        let frame = (*(*vm).thread).frame;
        debug_assert!((*frame).kind == frame::LUA);
        let consts = (*(*(*frame).closure).proto).consts;
        next::<M>(vm, (*frame).pc, (*frame).base, consts, frame)
    }
}

/// Goes on after a slow path of an instruction, before which `frame.pc` was stored.
#[inline(always)]
pub(super) unsafe fn after<M: Handlers>(vm: *mut Vm, consts: *const Value, step: Step) -> Exit {
    // SAFETY: see each step.
    unsafe {
        if step == Step::Next {
            let frame = (*(*vm).thread).frame;
            return next::<M>(vm, (*frame).pc, (*frame).base, consts, frame);
        }
        after_change::<M>(vm, step)
    }
}

/// As [`after`], for steps that leave the frame.
#[inline(never)]
unsafe fn after_change<M: Handlers>(vm: *mut Vm, step: Step) -> Exit {
    // SAFETY: a `Reload` leaves a Lua frame current.
    unsafe {
        match step {
            Step::Next | Step::Reload => reload::<M>(vm),
            Step::Raise => raise::<M>(vm),
            Step::Exit => Exit::Returned,
            Step::Switch => Exit::SwitchMode,
        }
    }
}

/// Goes on after an error was raised: with whoever handles it.
#[cold]
#[inline(never)]
pub(super) unsafe fn raise<M: Handlers>(vm: *mut Vm) -> Exit {
    // SAFETY: `unwind` leaves a Lua frame current when it says so.
    unsafe {
        match call::unwind(vm) {
            Step::Next | Step::Reload => reload::<M>(vm),
            Step::Raise => Exit::Raised,
            Step::Exit => Exit::Returned,
            Step::Switch => Exit::SwitchMode,
        }
    }
}

/// Runs from the current frame until the frame that the host called returns.
///
/// # Safety
/// `vm` is exclusively ours, and its current frame is a Lua frame pushed by [`call::push_lua_frame`].
#[expect(private_bounds, reason = "modes are chosen inside this crate")]
pub(crate) unsafe fn execute<M: Handlers>(vm: *mut Vm) -> Exit {
    // SAFETY: the caller's duty.
    unsafe {
        let mut exit = reload::<M>(vm);
        while exit == Exit::Continue {
            let Registers { pc, base, consts, frame } = (*vm).registers;
            if M::INSPECTS {
                (*frame).pc = pc;
                if !M::HOOKS {
                    // The tier has the last word before each instruction; it changes nothing.
                    if !crate::tier::before_instruction(vm) {
                        return Exit::SwitchMode;
                    }
                    exit = jump::<M>(vm, pc, base, consts, frame);
                    continue;
                }
                match crate::hooks::before_instruction(vm) {
                    Step::Next => {
                        // The hook may have made stack and frames move.
                        let frame = (*(*vm).thread).frame;
                        exit = jump::<M>(vm, (*frame).pc, (*frame).base, consts, frame);
                    }
                    Step::Raise => exit = raise::<M>(vm),
                    _ => return Exit::SwitchMode,
                }
                continue;
            }
            exit = jump::<M>(vm, pc, base, consts, frame);
        }
        exit
    }
}

/// The handler of bytes that are no opcode: code that holds one was refused by the verifier.
pub(super) unsafe fn no_opcode<M: Handlers>(
    vm: *mut Vm,
    pc: *const Instr,
    _base: *mut Value,
    _consts: *const Value,
    frame: *mut Frame,
) -> Exit {
    // SAFETY: the current frame is a Lua frame.
    unsafe {
        debug_assert!((*pc.sub(1)).op().is_none());
        (*frame).pc = pc;
        let _ = (*vm).run_error("this is a bug: unverified bytecode");
        raise::<M>(vm)
    }
}
