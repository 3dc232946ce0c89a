//! The scenarios on PUC-Rio Lua 5.4.

pub use ::mlua as api;

#[path = "scenarios.rs"]
#[expect(clippy::duplicate_mod, reason = "one source for both engines")]
pub mod scenarios;
