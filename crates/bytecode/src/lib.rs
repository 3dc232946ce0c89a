//! Bytecode: the instruction table, prototypes, the verifier, the dump format and the disassembler.
//!
//! Stands between the compiler, which fills prototypes, and the runtime, which loads them.
#![forbid(unsafe_code)]

pub mod assigned;
pub mod control;
pub mod dump;
pub mod effects;
pub mod listing;
pub mod ops;
pub mod proto;
pub mod registers;
pub mod verify;
