//! Settings of the trace compiler: what an embedder or the command may choose of the policy, and what is told of it.
//!
//! Which of them are options of the command is said where the command lists its options; the other modules of the tier only
//! read them.

use perilune_codegen::Effort;

use crate::dump::{Dump, Sink};
use crate::log::LogLevel;

/// Settings of the trace compiler.
#[derive(Clone, Debug)]
pub struct JitOptions {
    /// Rounds of a loop before it is recorded.
    pub hot: u32,
    /// Exits through a guard before a side segment is recorded.
    pub hot_exit: u32,
    /// How much work is put into code; if nothing is said, little at first, and all when the code has proved its worth.
    pub effort: Option<Effort>,
    /// Exits that code which would save them may be waited for, for each instruction that it would be made of with all work.
    /// They have cost as much then as making it does.
    pub waits_per_inst: u32,
    /// Instructions that are made code of with little work, without asking how long the program has run.
    pub free_insts: u64,
    /// Instructions of a tree for which a path that cannot be code of its own is recorded once more, so that it can, rather than code
    /// made of all.
    pub insts_to_record_anew: usize,
    /// Segments of a tree that are many: it has more only where very much is to be won.
    pub max_segments: usize,
    /// Most bytes of code.
    pub max_code: usize,
    /// Of the guards of a tree, each so many-th always fails, to exercise exits; 0 for none.
    pub exit_every: u32,
    /// What to tell on standard error, a line for each event.
    pub log: LogLevel,
    /// Phases of each compilation to print.
    pub dump: Dump,
    /// Where they go.
    pub dump_to: Sink,
    /// Passes that do not run, by their names; those that others rely on run anyway.
    pub passes_off: Vec<String>,
    /// Whether to name code for `perf`.
    pub perf_map: bool,
}

impl Default for JitOptions {
    fn default() -> Self {
        JitOptions {
            hot: 300,
            hot_exit: 12,
            effort: None,
            waits_per_inst: 32,
            free_insts: 700,
            insts_to_record_anew: 1_000,
            max_segments: 160,
            max_code: 32 << 20,
            exit_every: 0,
            log: LogLevel::Off,
            dump: Dump::default(),
            dump_to: Sink::default(),
            passes_off: Vec::new(),
            perf_map: false,
        }
    }
}

impl JitOptions {
    /// Everything is hot at once, as tests want it, which are short.
    #[must_use]
    pub fn eager() -> JitOptions {
        JitOptions {
            hot: 1,
            hot_exit: 1,
            waits_per_inst: 8,
            free_insts: 60_000,
            insts_to_record_anew: 0,
            ..JitOptions::default()
        }
    }
}
