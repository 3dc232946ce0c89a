//! The trace IR: what hot loops look like between the recorder and the code generator.
//!
//! A [`Tree`](ir::Tree) is one hot loop: a *root segment*, the path that was recorded first, and *side segments*, recorded
//! later from guards that failed often. All of them are compiled as one function with real control flow:
//!
//! ```text
//!            entry: load and check the input slots
//!              |
//!     +---> preheader: hoisted loads and guards  ------(a guard fails)----> exit 0: interpreter, at the header
//!     |        |
//!     |  +-> header: the values of the input slots
//!     |  |     |
//!     |  |   root segment ----guard fails----> side segment ---> back to the header, or to the preheader
//!     |  |     |                   |
//!     |  +-----+                   +-----> exit n: store what the snapshot says, leave to the interpreter
//!     +-- outer back-edge
//! ```
//!
//! Nothing here knows the VM or the machine: objects are numbers, fields have names. The flow of a trace through this
//! crate:
//!
//! 1. the recorder calls the [`build::Builder`], which folds, finds common subexpressions and forwards stores while it
//!    appends instructions;
//! 2. the passes of [`opt`] move invariants to the preheader;
//! 3. the crate `perilune-codegen` makes machine code of it.
//!
//! In between, [`verify`] tells trees that break the rules; [`eval`] says what a tree means, for tests.
#![forbid(unsafe_code)]

pub mod build;
pub mod eval;
pub mod fragment;
pub mod ir;
pub mod opt;
pub mod verify;
