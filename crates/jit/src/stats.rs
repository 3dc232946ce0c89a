//! What the trace compiler has done: counters, for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::abort::Abort;

/// Counters of one VM's trace compiler.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Trees that were begun.
    pub trees: u64,
    /// Instructions of all trees.
    pub instructions: usize,
    /// Segments that were recorded.
    pub segments: u64,
    /// Times that code was made.
    pub compilations: u64,
    /// Instructions that it was made of, each time anew.
    pub compiled_instructions: u64,
    /// Bytes of code memory in use.
    pub code_bytes: usize,
    /// Times that code was entered.
    pub entries: u64,
    /// Fragments of a tree that were made.
    pub fragments: u64,
    /// Times that a fragment has gone on where other code left.
    pub followed: u64,
    /// Entries that found other types.
    pub mismatches: u64,
    /// Exits through guards.
    pub guard_exits: u64,
    /// Exits for the collector, for fuel, and for helpers that gave up.
    pub service_exits: u64,
    /// Exits at the ends of segments.
    pub end_exits: u64,
    /// Functions that returned to the interpreter.
    pub returns: u64,
    /// Calls that did not come back.
    pub left_over: u64,
    /// Calls of compiled functions by host code.
    pub callbacks: u64,
    /// Time spent on recording.
    pub record_time: Duration,
    /// Time spent on passes and machine code, by either code generator.
    pub compile_time: Duration,
    /// The exits that were taken most: tree, snapshot, source line, times.
    pub hot_exits: Vec<(usize, u32, u32, u32)>,
    /// Recordings given up, by reason.
    pub aborts: BTreeMap<&'static str, u64>,
}

/// The time, for statistics alone: nothing that a script can see depends on it.
pub(crate) struct Clock(std::time::Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "statistics of the compiler, which no script sees")]
    pub(crate) fn start() -> Clock {
        Clock(std::time::Instant::now())
    }

    #[expect(clippy::disallowed_methods, reason = "statistics of the compiler, which no script sees")]
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Stats {
    /// Time spent on all that it takes to have code.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.record_time + self.compile_time
    }

    /// Counts an abort.
    pub(crate) fn aborted(&mut self, why: Abort) {
        *self.aborts.entry(why.text()).or_insert(0) += 1;
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "jit: {} trees, {} instructions, {} segments recorded in {:.1} ms, \
             compiled {} times ({} instructions) in {:.1} ms, {} KiB of code",
            self.trees,
            self.instructions,
            self.segments,
            self.record_time.as_secs_f64() * 1e3,
            self.compilations,
            self.compiled_instructions,
            self.compile_time.as_secs_f64() * 1e3,
            self.code_bytes / 1024
        )?;
        writeln!(
            f,
            "jit: {} entries ({} mismatched), {} times on in one of {} fragments; \
             exits: {} guards, {} services, {} ends, {} returns, {} calls",
            self.entries,
            self.mismatches,
            self.followed,
            self.fragments,
            self.guard_exits,
            self.service_exits,
            self.end_exits,
            self.returns,
            self.left_over
        )?;
        if self.callbacks > 0 {
            writeln!(f, "jit: {} calls of compiled functions by the library", self.callbacks)?;
        }
        let mut aborts: Vec<(&&str, &u64)> = self.aborts.iter().collect();
        aborts.sort_by(|x, y| y.1.cmp(x.1));
        for (why, count) in aborts {
            writeln!(f, "jit: {count} aborts: {why}")?;
        }
        for (tree, snap, line, count) in self.hot_exits.iter().take(12) {
            writeln!(f, "jit: exit {snap} of tree {tree} at line {line}: {count} times")?;
        }
        Ok(())
    }
}
