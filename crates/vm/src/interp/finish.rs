//! Finishing an instruction whose metamethod has returned: the other half of every slow path that called one.
//!
//! A metamethod runs in a frame of its own above the instruction's, which may be left for good (error) or for a while
//! (yield). So the instruction cannot wait for it on the host's stack; instead its frame's `pc` says what to finish.

use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::Value;

use super::{close, compare, concat};
use crate::call::{self, Step};
use crate::frame;
use crate::vm::Vm;

/// Calls `handler` for the current instruction; [`finish_instruction`] will see its result.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored.
pub(crate) unsafe fn call_handler(vm: *mut Vm, handler: Value, args: &[Value], nresults: i32) -> Step {
    // SAFETY: a Lua frame ends at or below `stack_limit`, and EXTRA_SLOTS exist behind that: enough for a handler with
    // three arguments.
    unsafe {
        debug_assert!(args.len() < perilune_runtime::stack::EXTRA_SLOTS);
        let th = (*vm).thread;
        let func = (*(*th).frame).top;
        *func = handler;
        for (n, a) in args.iter().enumerate() {
            *func.add(1 + n) = *a;
        }
        (*th).top = func.add(1 + args.len());
        call::call_value(vm, func, nresults, frame::HANDLED)
    }
}

/// Finishes the current frame's instruction with the result in `func`.
///
/// # Safety
/// The current frame is a Lua frame whose last instruction called a handler, which has returned.
pub(crate) unsafe fn finish_instruction(vm: *mut Vm, func: *mut Value) -> Step {
    // SAFETY: `pc` is behind the instruction that called; its operands are registers of the frame.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let i: Instr = *(*f).pc.sub(1);
        let Some(op) = i.op() else { return Step::Reload };
        let result = *func;
        let target = (*f).base.add(i.a() as usize);
        match op {
            Op::GetTabUp
            | Op::GetTable
            | Op::GetInt
            | Op::GetField
            | Op::SelfField
            | Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Div
            | Op::Mod
            | Op::ModF
            | Op::IDiv
            | Op::Pow
            | Op::AddK
            | Op::SubK
            | Op::MulK
            | Op::DivK
            | Op::ModK
            | Op::ModFK
            | Op::IDivK
            | Op::PowK
            | Op::AddI
            | Op::BAnd
            | Op::BOr
            | Op::BXor
            | Op::Shl
            | Op::Shr
            | Op::BAndK
            | Op::BOrK
            | Op::BXorK
            | Op::ShlI
            | Op::ShrI
            | Op::Unm
            | Op::BNot
            | Op::Len
            | Op::LenF => {
                *target = result;
                Step::Reload
            }
            perilune_bytecode::comparison!() => {
                if compare::outcome(f, result) == i.cond() {
                    (*f).pc = (*f).pc.offset(i.cond_offset() as isize);
                }
                Step::Reload
            }
            Op::Concat => concat::resume(vm, i, result),
            Op::Close | Op::Return => close::again(vm),
            Op::TailCall => {
                let n = (*th).top.offset_from(func) as usize;
                call::return_values(vm, func, n)
            }
            // Stores want no result; the rest never calls a handler.
            Op::SetTabUp | Op::SetTable | Op::SetInt | Op::SetField => Step::Reload,
            Op::Move
            | Op::LoadI
            | Op::LoadF
            | Op::LoadK
            | Op::LoadNil
            | Op::LoadFalse
            | Op::LoadTrue
            | Op::LoadFalseSkip
            | Op::GetUpval
            | Op::SetUpval
            | Op::NewTable
            | Op::NewRecord
            | Op::SetList
            | Op::Not
            | Op::Jump
            | Op::Loop
            | Op::Test
            | Op::TestSet
            | Op::Call
            | Op::Return0
            | Op::Return1
            | Op::Closure
            | Op::VarArg
            | Op::VarArgTable
            | Op::VarArgOf
            | Op::GetVarArg
            | Op::NewGlobal
            | Op::ForPrep
            | Op::ForPrepOld
            | Op::ForFloat
            | Op::ForLoop
            | Op::TForPrep
            | Op::TForPrepOld
            | Op::TForCall
            | Op::TForLoop
            | Op::Tbc => {
                debug_assert!(false, "{op:?} has no handler to finish");
                Step::Reload
            }
        }
    }
}
