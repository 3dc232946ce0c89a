//! Machine code of trace trees.
//!
//! A tree becomes one function of a machine IR (modules `lower` and `mir`), which is translated quickly (module `quick`) or by
//! Cranelift ([`Effort`]). The owner places it into executable memory and calls it with the VM, the root frame's registers and
//! the number of a header. What it returns says how it ended:
//!
//! ```text
//! fn(vm, base, header) -> n      n < snapshots     it left through snapshot n; the rest is the caller's, see [`Handover`]
//!                                AHEAD + n         the same, in front of a loop whose rounds are not all as one check has it
//!                                MISMATCH          as a function: its arguments have other types, or there is no room
//!                                CALLED            a call out of the tree did not come back; the VM knows the rest
//!                                UNWOUND           left inside of calls of compiled functions, which have noted where
//!                                TAIL              the root frame's function has called another in its place
//!                                RETURNED - n      the root frame's function has returned n results: they are from slot 0 on
//! ```
//!
//! A tree whose root header is the entry of a function ([`Callable`]) can be called by the code of others, with its arguments
//! in registers (module `lower::convention`), and is called through a [`Gate`] otherwise: with the number of a header, or with
//! [`ANY_VERSION`] and its arguments in their places. The frame of such a call exists on the host's stack alone: its caller
//! notes what must become of it when the call does not return.
//!
//! This crate runs nothing: it makes bytes for the machine that it is asked for, which need not be this one.
#![forbid(unsafe_code)]

#[cfg(test)]
mod execution;
mod handover;
mod layout;
mod lower;
mod machine;
mod mir;
mod quick;

pub use handover::{Handover, SlotWrite, TableImage, Tags, entry_types, exit_tables, spare_slots};
pub use layout::{Callable, Calls, Environment};
pub use machine::{Code, CodegenError, Effort, Gate, Machine};

/// Added to the number of a header's snapshot: what was checked for all rounds of the loop at once does not hold (see
/// `perilune_trace::opt::ranges` and `count`).
pub const AHEAD: u32 = 1 << 30;

/// The returned number of a function that compiled code has called with other types than it knows, or without room on the
/// stack: nothing has run.
pub const MISMATCH: i64 = -1;

/// The returned number of a tree that was left by a call.
pub const CALLED: i64 = -2;

/// The returned number of a tree that was left in the middle of calls of compiled functions.
pub const UNWOUND: i64 = -3;

/// The returned number of a function that another must be called for: its cell is in [`Room::tail`](perilune_runtime::stack::Room).
pub const TAIL: i64 = -4;

/// The returned number of a function without results; of one with `n` results it is `n` less.
pub const RETURNED: i64 = -16;

/// Instead of the number of a header: whichever version of the function's entry fits.
pub const ANY_VERSION: u32 = u32::MAX;
