//! Versions of Lua, and how they differ.
//!
//! [`LuaVersion`] names a version; a [`Dialect`] says how it behaves. Everything that differs between versions is a row of
//! the [`table`], with its value in each of them. Whoever depends on a difference reads the row, before the hot path:
//! the compiler emits another instruction, a library registers another function. Nobody compares versions.

pub mod library;
pub mod table;
mod version;

pub use table::Dialect;
pub use version::{LuaVersion, UnknownVersion};
