//! Machine code of trace trees: Perilune's trace IR through Cranelift.
//!
//! A tree becomes one function (module `lower`) that the owner places into executable memory and calls with the VM, the root
//! frame's registers and the number of a header. What it returns says how it ended:
//!
//! ```text
//! fn(vm, base, header) -> n      n < snapshots     it left through snapshot n; the rest is the caller's, see [`exit_writes`]
//!                                CALLED            a call out of the tree did not come back; the VM knows the rest
//! ```
//!
//! This crate runs nothing: it makes bytes for the machine that it is asked for, which need not be this one.
#![forbid(unsafe_code)]

#[cfg(test)]
mod execution;
mod handover;
mod layout;
mod lower;
mod machine;

pub use handover::{SlotWrite, entry_types, exit_writes};
pub use layout::Environment;
pub use machine::{Code, CodegenError, Machine};

/// The returned number of a tree that was left by a call.
pub const CALLED: i64 = -1;
