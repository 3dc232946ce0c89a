//! What compiled code asks of the VM: room before it runs, frames when it stops, and calls of native functions.
//!
//! | module   | what it answers                                                        |
//! |----------|------------------------------------------------------------------------|
//! | `room`   | whether the stacks are large enough, and where they end                |
//! | `image`  | how the values, tables and frames of an exit come to be                |
//! | `inside` | what becomes of calls that compiled code has not made frames for       |
//! | `calls`  | how compiled code calls native functions                               |
//! | `steps`  | which parts of the interpreter's instructions compiled code has in common with it |
//!
//! Compiled functions call one another on the host's stack, without frames. When execution leaves in the middle of such
//! calls, each of them notes on its way out what it was doing ([`Unwound`]), and the frames are made from the notes.
//!
//! Compiled code keeps values in machine registers, where the collector does not see them. So two kinds of calls exist:
//!
//! * [`call_out`]: all live values are on the stack, frames included. Anything may happen.
//! * [`call_pure`]: they are not. The VM is *frozen* for the time of the call: it neither collects nor runs Lua code; a
//!   function that wants either fails instead, and whoever called it does so again later in the interpreter.
//!
//! What holds while compiled code runs, and what the unsafe functions here rely on:
//!
//! 1. The current frame of the running thread is the one that the code was entered in, a Lua frame; for code that host code
//!    has called ([`enter_called`]) it is the frame of the native function that called.
//! 2. Slots are counted from the function of that frame, directly below its base. All that the code or its exits name are
//!    inside the room that was made, so that nothing which happens at an exit can run out of stack.
//! 3. Nothing collects and no stack moves but in [`call_out`], which measures the room anew and gives back the base.
//! 4. Tags in images are numbers of [`Tag`](perilune_runtime::value::Tag), and fit what is in their slots.
//! 5. An exit is completed in this order: values, tables, frames. Until the last of them nothing allocates that may collect.

mod calls;
mod image;
mod inside;
mod room;
mod steps;

pub use self::calls::{call_out, call_pure};
pub use self::image::{FrameImage, SlotImage, SlotTag, TableImage, complete, have_tags, make_tables, push_frames};
pub use self::inside::{
    Unwound, add_flags, push_called, replace_function, set_tail, settle, tail_of, watch_resumer, watch_return,
};
pub(crate) use self::room::{CALL_FRAMES, has_host_room};
pub use self::room::{
    enter_called, enter_room, has_room, has_room_inside, leave_room, left_calls, make_room, measure_room,
    refuse_called, set_written,
};
pub use self::steps::{
    NOT_COMPARED, are_long, close_upvalues, has_pending_close, heap, join, new_closure, next_pair, same_closure,
    var_args,
};

use perilune_runtime::value::Value;

use crate::vm::Vm;

/// The registers of the current frame.
///
/// # Safety
/// There is one.
#[inline]
pub unsafe fn registers(vm: *const Vm) -> *mut Value {
    // SAFETY: the caller's duty.
    unsafe { (*(*(*vm).thread).frame).base }
}
