//! The interpreter.
//!
//! | module | what it holds |
//! |---|---|
//! | [`dispatch`] | how one instruction follows another |
//! | [`handlers`] | what each opcode does in the cases that hot code meets |
//! | `arith`, `compare`, `concat`, `index`, `closure`, `loops`, `close` | the rest of each family |
//! | `caches` | where the fields of tables are |
//! | `finish` | instructions whose metamethod has returned |
//!
//! A handler does inline what hot code meets; the rest is a call to a cold function of the same family, which does the whole
//! operation and says with a [`Step`](crate::call::Step) how to go on.
//!
//! # State
//! `pc`, `base`, `consts` and `frame` are arguments of the handlers and live in machine registers. Whatever may raise, call,
//! collect or look at the frame needs `frame.pc` stored first, and must assume afterwards that both the stack and the
//! frames have moved.
//!
//! # Invariants
//! The bytecode has passed the verifier, or comes from our compiler, which makes only what the verifier accepts: every
//! register, constant, cache and jump of an instruction is in range, `ForLoop` finds the registers that `ForPrep` left, and an
//! open list of values is consumed by the instruction after the one that made it. The stack has room for `max_stack`
//! registers behind `base`. These two facts, established by [`crate::load`] and [`crate::call::push_lua_frame`], make every
//! raw access in the handlers sound; they say more only where they rely on more.

pub(crate) mod arith;
pub(crate) mod caches;
pub(crate) mod close;
pub(crate) mod closure;
pub(crate) mod compare;
pub(crate) mod concat;
mod dispatch;
pub(crate) mod finish;
mod handlers;
pub(crate) mod index;
pub(crate) mod loops;
pub(crate) mod varargs;

use perilune_base::num::compare as cmp;
use perilune_runtime::object::{LuaClosure, Proto};
use perilune_runtime::value::{Tag, Value};

use crate::frame;
use crate::vm::Vm;

pub(crate) use dispatch::{Registers, execute};

/// Why the interpreter stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not: the next instruction's state is in [`Vm::registers`].
    Continue,
    /// The frame that the host called has returned.
    Returned,
    /// An error passed the frame that the host called.
    Raised,
    /// Another instance of the handlers must go on.
    SwitchMode,
}

/// Reads an object's pointer out of a value whose tag was just tested.
#[inline(always)]
pub(crate) fn pointer<T>(v: Value) -> *mut T {
    std::ptr::with_exposed_provenance_mut(v.payload as usize)
}

/// The tag with number `n`.
///
/// # Safety
/// `n` is the element kind of an array of payloads, which is always the number of a tag.
#[inline(always)]
pub(crate) unsafe fn tag_of_kind(n: u8) -> Tag {
    debug_assert!(n <= Tag::Thread as u8);
    // SAFETY: the caller's duty; `Tag` is `repr(u8)` with all numbers from 0 to `Thread`.
    unsafe { std::mem::transmute::<u8, Tag>(n) }
}

/// The pieces of a prototype that the loop's cold functions need again and again.
///
/// # Safety
/// The current frame is a Lua frame.
#[inline]
pub(crate) unsafe fn current_proto(vm: *mut Vm) -> *mut Proto {
    // SAFETY: the function slot of a Lua frame holds its closure.
    unsafe {
        let frame = (*(*vm).thread).frame;
        debug_assert!((*frame).kind == frame::LUA);
        (*pointer::<LuaClosure>(*(*frame).func)).proto
    }
}

/// Orders an integer and a float, for the cold sides of comparisons.
#[inline]
pub(crate) fn number_lt(x: Value, y: Value) -> bool {
    match (x.tag, y.tag) {
        (Tag::Int, Tag::Int) => x.raw_int() < y.raw_int(),
        (Tag::Float, Tag::Float) => x.raw_float() < y.raw_float(),
        (Tag::Int, _) => cmp::int_lt_float(x.raw_int(), y.raw_float()),
        _ => cmp::float_lt_int(x.raw_float(), y.raw_int()),
    }
}

/// As [`number_lt`], for `<=`.
#[inline]
pub(crate) fn number_le(x: Value, y: Value) -> bool {
    match (x.tag, y.tag) {
        (Tag::Int, Tag::Int) => x.raw_int() <= y.raw_int(),
        (Tag::Float, Tag::Float) => x.raw_float() <= y.raw_float(),
        (Tag::Int, _) => cmp::int_le_float(x.raw_int(), y.raw_float()),
        _ => cmp::float_le_int(x.raw_float(), y.raw_int()),
    }
}
