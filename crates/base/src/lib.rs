//! What every Perilune crate agrees on: dialects, number semantics, limits and typed indices.
//!
//! Nothing here knows about values, the heap or the VM. All functions are pure.
#![forbid(unsafe_code)]

pub mod chunkid;
pub mod dialect;
pub mod index;
pub mod limits;
pub mod num;
