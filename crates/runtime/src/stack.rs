//! Frames and the layout of a coroutine's stack.
//!
//! ```text
//!  func | varargs ... | base: registers 0 .. max_stack | next func ...
//! ```
//! A frame's function stays in its slot while the frame lives; results are moved down to that slot. Frames hold
//! pointers into the stack; growing the stack rewrites them, and the open upvalues.

use perilune_bytecode::ops::Instr;

use crate::object::LuaClosure;
use crate::value::Value;

/// Slots behind `stack_limit` that short-lived pushes (metamethod arguments, error handling) may use without a check.
pub const EXTRA_SLOTS: usize = 16;

/// Slots of a new coroutine.
pub const INITIAL_SLOTS: usize = 24;

/// Most slots that a coroutine's stack may have, as in the reference.
pub const MAX_SLOTS: usize = 1_000_000;

/// Slots of the largest stack that are left for what handles its overflow. A stack takes them only when it is asked to.
pub const HANDLER_ROOM: usize = 1000;

/// One call in progress.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Frame {
    /// The slot of the called function.
    pub func: *mut Value,
    /// Register 0, or a native function's first argument.
    pub base: *mut Value,
    /// End of the registers; for a native function the end of what it may push without asking.
    pub top: *mut Value,
    /// The function as a pointer, of a Lua frame; null otherwise.
    pub closure: *mut LuaClosure,
    /// The next instruction; null for a native function.
    pub pc: *const Instr,
    /// Results that the caller wants; -1 for all.
    pub nresults: i32,
    /// What the frame is, see `perilune-vm::frame`.
    pub kind: u8,
    /// What happens to the results of the *callee* of this frame when it returns, see `perilune-vm::frame`.
    pub resume: u8,
    /// Flags, see `perilune-vm::frame`.
    pub flags: u16,
    /// Free for the frame's kind (varargs count, protected-call state, continuation data).
    pub extra: u64,
}

impl Frame {
    /// Makes it the frame of a plain call of a Lua function that wants `nresults`: kind and flags are zero.
    ///
    /// # Safety
    /// `this` is a place for a frame.
    #[inline(always)]
    pub unsafe fn set_plain(this: *mut Frame, nresults: i32) {
        // SAFETY: the caller's duty; the assertion below says that the fields make one word.
        unsafe { (&raw mut (*this).nresults).cast::<u64>().write(nresults as u32 as u64) }
    }

    /// Whether it is the frame of a plain call of a Lua function that wants `nresults`.
    ///
    /// # Safety
    /// `this` is a frame.
    #[inline(always)]
    pub unsafe fn is_plain(this: *const Frame, nresults: i32) -> bool {
        // SAFETY: as in `set_plain`.
        unsafe { (&raw const (*this).nresults).cast::<u64>().read() == nresults as u32 as u64 }
    }
}

/// How far compiled code may call compiled code: the frames of such calls exist on the host's stack alone, until they
/// are needed. All are addresses.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Room {
    /// The end of the stack slots that may be used; there are frames for the calls that fit below it.
    pub slots_end: u64,
    /// How far down the host's stack may grow.
    pub host_end: u64,
    /// The function of the frame that compiled code was entered in: it and what is above may be in machine registers.
    pub held: u64,
    /// The first slot from there on that the code writes: what is above may have its value in a machine register only.
    pub written: u64,
    /// How many slots are between the two, wherever the stack is.
    pub unwritten: u64,
    /// How many slots are at least from the function of a frame to that of the next, among those that may have to be made.
    pub per_frame: u64,
    /// The function that a compiled function has called in its own place, as the tier knows it.
    pub tail: u64,
}

// Number of results, kind, `resume` and flags are one aligned word, read and written at once by the interpreter.
const _: () = {
    let first = std::mem::offset_of!(Frame, nresults);
    assert!(first % align_of::<u64>() == 0 && cfg!(target_endian = "little"));
    assert!(std::mem::offset_of!(Frame, kind) == first + 4);
    assert!(std::mem::offset_of!(Frame, resume) == first + 5);
    assert!(std::mem::offset_of!(Frame, flags) == first + 6);
};
