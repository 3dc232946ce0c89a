//! The trace compiler: watches the interpreter, records hot paths, and runs them as machine code.
//!
//! ```text
//! hot back-edge ──> tier: is there code? ──yes──> enter ──> exit n ──> frames restored ──> interpreter
//!                     │ no                                   │ often
//!                     v                                      v
//!                  recorder: root segment             recorder: side segment
//!                     └────────────── tree ──> passes ──> perilune-codegen ──> code memory
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | `tier` | when is what recorded, compiled and entered |
//! | `record` | what an instruction means for a trace |
//! | `view` | what the recorder sees of the VM |
//! | `liveness` | which registers matter |
//! | `enter`, `function` | how compiled code is run, and calls compiled code |
//! | `helpers` | what compiled code calls |
//! | `code` | where code is kept |
//! | `dump`, `log`, `perf` | what can be seen of code, and of how it came about |
//! | `abort` | why recordings are given up |
//! | `stats` | what happened |
//!
//! `unsafe` lives in `view`, `helpers`, `code` and `enter`; the recorder has none.

mod abort;
mod code;
mod dump;
mod enter;
mod function;
mod gate;
mod helpers;
mod liveness;
mod log;
mod perf;
mod record;
mod seen;
mod stats;
mod tier;
mod view;

pub use perilune_codegen::Effort;

pub use dump::{Dump, Phase, Sink, UnknownPhase};
pub use log::{LogLevel, UnknownLevel};
pub use stats::Stats;
pub use tier::{Jit, JitOptions};

/// Whether a pass of this name can be switched off; see [`JitOptions::passes_off`].
#[must_use]
pub fn is_switch(name: &str) -> bool {
    perilune_trace::opt::PASSES.iter().any(|pass| pass.is_optional && pass.name == name)
}
