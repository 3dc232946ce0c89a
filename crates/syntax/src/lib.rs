//! Lexer, parser and syntax tree of Lua.
//!
//! [`parse`] turns the bytes of a source into a [`Chunk`](ast::Chunk); it resolves no names and
//! checks nothing that needs scopes. That is the compiler's work, which reports its own findings as
//! [`SyntaxError`]s too.
#![forbid(unsafe_code)]

pub mod ast;
mod dump;
mod error;
mod intern;
mod lexer;
mod parser;
#[cfg(test)]
mod recorded_errors;
mod token;

pub use error::{SyntaxError, is_incomplete};
pub use parser::{Broken, Stop, limit_text, parse, parse_until_error};
