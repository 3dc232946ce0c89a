//! Perilune, a Lua engine to embed: fast, contained, deterministic when asked.
//!
//! ```
//! use perilune::{Limits, Lua, Result};
//!
//! fn main() -> Result<()> {
//!     let lua = Lua::builder().limits(Limits::new().with_instructions(100_000)).build()?;
//!     lua.globals().set("thrust", lua.create_function(|_, (mass, g): (f64, f64)| Ok(mass * g))?)?;
//!     let newtons: f64 = lua.load("thrust(390, 1.62) / 2").eval()?;
//!     assert!((newtons - 315.9).abs() < 1e-9);
//!     Ok(())
//! }
//! ```
//!
//! | to | use |
//! |---|---|
//! | make a VM | [`Lua::new`], [`Lua::builder`] with [`Libraries`], [`Limits`] and a [`Host`] |
//! | run code | [`Lua::load`] and [`Chunk`] |
//! | exchange values | [`Value`], [`Table`], [`Function`], [`Thread`], [`LuaString`]; [`IntoLua`] and [`FromLua`] |
//! | give scripts your functions | [`Lua::create_function`], [`Lua::create_function_mut`] |
//! | lend scripts what you have borrowed | [`Lua::scope`] |
//! | give scripts your types | [`UserData`], [`Lua::register_userdata_type`] |
//! | give scripts modules | [`Lua::register_module`], [`Lua::preload_module`] |
//! | give scripts a world of your own | [`host`] |
//! | stop a script from another thread | [`Lua::set_interrupt`] |
//! | keep values | any handle; [`RegistryKey`] where a handle would be a cycle |
//! | exchange any serializable value | feature `serde`: `Lua::to_value`, `Lua::from_value` |
//! | know what went wrong | [`Error`] |
//!
//! Values are handles: they keep alive what they refer to, have no lifetime, and cost a few nanoseconds to clone and drop.
//! Nothing here can make a VM misbehave: there is no `unsafe`, values of another VM are refused, borrow conflicts are
//! errors, and panics of host functions never pass through the interpreter.
#![warn(clippy::missing_errors_doc)]
#![deny(unsafe_code)]

mod chunk;
mod convert;
mod error;
mod function;
pub mod host;
mod lua;
mod modules;
#[expect(unsafe_code, reason = "the one module that reaches the VM")]
mod raw;
mod registry;
#[cfg(feature = "serde")]
pub mod serde;
mod stack;
mod string;
mod table;
mod thread;
mod userdata;
mod value;

pub use perilune_base::dialect::LuaVersion;
pub use perilune_runtime::spare::SpareMemory;
pub use perilune_stdlib::Libraries;
pub use perilune_stdlib::sandbox::Sandbox;
pub use perilune_vm::host::{DeterministicHost, Host, NullHost, SystemHost};
pub use perilune_vm::limits::{LimitKind, Limits, Violation};

pub use chunk::{AsChunk, Chunk, ChunkMode};
pub use convert::{Bytes, FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};
pub use error::{Error, ErrorContext, ExternalError, ExternalResult, Result};
pub use function::{Function, FunctionInfo};
pub use lua::{AppDataRef, AppDataRefMut, Lua, LuaBuilder, SharedMetatable, WeakLua};
pub use raw::scope::Scope;
pub use registry::RegistryKey;
pub use string::LuaString;
pub use table::{Table, TablePairs, TableSequence};
pub use thread::{Thread, ThreadStatus};
pub use userdata::{
    AnyUserData, MetaMethod, UserData, UserDataFields, UserDataMetatable, UserDataMethods, UserDataRef, UserDataRefMut,
    UserDataRegistry,
};
pub use value::{LightUserData, MultiValue, Nil, Value, Variadic};

/// What most programs need: `use perilune::prelude::*`.
pub mod prelude {
    pub use crate::{
        AnyUserData, Error, ErrorContext, ExternalError, ExternalResult, FromLua, FromLuaMulti, Function, IntoLua,
        IntoLuaMulti, Lua, LuaString, MetaMethod, MultiValue, Table, Thread, UserData, UserDataFields, UserDataMethods,
        Value, Variadic,
    };
}

/// The example of the README is compiled and run with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
