//! What the kinds and flags of a [`Frame`] mean.
//!
//! A frame whose `flags` are zero is an ordinary Lua or native call made by a Lua instruction: its return is the fast path.
//! Everything else about a return is decided by one test of `flags` and then, in `call`, by the kind of the frame
//! below.

use perilune_runtime::stack::Frame;

/// A Lua function. `extra`: in the lower half the number of extra arguments of a vararg function, which lie between `func`
/// and `base`; in the upper half how many calls have been replaced by tail calls, where the language counts them.
pub const LUA: u8 = 0;
/// A native function.
pub const NATIVE: u8 = 1;
/// `pcall` waiting for its function, which is `base[0]`; once an error was caught, that is the error.
pub const PCALL: u8 = 2;
/// `xpcall` waiting for its function: `base[0]` is the handler, `base[1]` the function, or the error once one was caught.
pub const XPCALL: u8 = 3;
/// `coroutine.resume` waiting for its coroutine.
pub const RESUME: u8 = 4;
/// A function made by `coroutine.wrap`, waiting for its coroutine.
pub const WRAP: u8 = 5;
/// `coroutine.yield` of a suspended coroutine.
pub const YIELD: u8 = 6;
/// A native function that asked for a call whose results are its own.
pub const FORWARD: u8 = 7;
/// The frame below all others of a coroutine.
pub const BOTTOM: u8 = 8;

/// The host called it: its return ends the interpreter loop that the host entered.
pub const FRESH: u16 = 1;
/// The frame below does something with the results other than going on with its next instruction.
pub const HANDLED: u16 = 2;
/// It replaced its caller by a tail call (for tracebacks).
pub const TAIL: u16 = 4;
/// It is a finalizer (for tracebacks).
pub const FINALIZER: u16 = 8;
/// It is a hook function; the return from it must not be seen by hooks.
pub const HOOK: u16 = 16;
/// A protected call that has caught its error and is closing variables.
pub const CAUGHT: u16 = 32;
/// A recording waits for its return, and goes on in its caller.
pub const WATCHED: u16 = 64;
/// Compiled code has resumed a coroutine by it: its return ends the interpreter loop that runs the coroutine.
pub const NESTED: u16 = 128;

/// Above the flags: how many arguments `__call` has added.
const EXTRA_SHIFT: u32 = 12;
/// The most of them that may be counted, which bounds chains of `__call`.
const MAX_EXTRA: u16 = u16::MAX >> EXTRA_SHIFT;
/// One of them.
const ONE_EXTRA: u16 = 1 << EXTRA_SHIFT;

/// How many arguments `__call` has added.
///
/// # Safety
/// `f` is a frame of a live thread.
pub(crate) unsafe fn extra_arguments(f: *const Frame) -> u16 {
    // SAFETY: the caller's duty.
    unsafe { (*f).flags >> EXTRA_SHIFT }
}

/// Flags for a function that is called through one more `__call`, unless there are too many.
#[must_use]
pub fn with_extra_argument(flags: u16) -> Option<u16> {
    (flags >> EXTRA_SHIFT < MAX_EXTRA).then(|| flags + ONE_EXTRA)
}

/// The number of extra arguments of a vararg function.
///
/// # Safety
/// `f` is the frame of a vararg Lua function.
#[inline]
pub(crate) unsafe fn varargs(f: *const Frame) -> usize {
    // SAFETY: the caller's duty.
    unsafe { (*f).extra as u32 as usize }
}

/// How many calls were replaced by tail calls until this one, where the language counts them.
///
/// # Safety
/// `f` is a frame of a live thread.
pub(crate) unsafe fn lost_calls(f: *const Frame) -> u32 {
    // SAFETY: the caller's duty. Only tail calls leave something in the upper half.
    unsafe { if (*f).kind == LUA && (*f).flags & TAIL != 0 { ((*f).extra >> 32) as u32 } else { 0 } }
}

/// Notes how many calls were replaced by tail calls.
///
/// # Safety
/// `f` is the frame of a Lua function that a tail call made.
pub(crate) unsafe fn set_lost_calls(f: *mut Frame, count: u32) {
    // SAFETY: the caller's duty.
    unsafe { (*f).extra = (*f).extra & u64::from(u32::MAX) | u64::from(count) << 32 }
}
