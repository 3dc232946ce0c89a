//! The runtime: values, the heap with its collector, strings, tables, closures, coroutine stacks.
//!
//! Stands between the bytecode, whose prototypes it loads, and the VM, which runs them. It never calls Lua code: what
//! needs a call (metamethods, finalizers) is handed to the VM.

pub mod fast;
pub mod heap;
pub mod object;
pub mod proto;
pub mod spare;
pub mod stack;
pub mod string;
pub mod table;
pub mod userdata;
pub mod value;
