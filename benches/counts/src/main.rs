//! Scenarios to count instructions of: `perilune-counts NAME` prepares one and runs it once inside [`measured`], the only
//! function that `cargo xtask counts` has callgrind look at. `perilune-counts --list` names them all.
//!
//! A count is exact where a time is not: it says whether a change made a path longer, on any machine and however busy.
//! It does not say what the path costs; that is for `cargo xtask bench`. So a scenario is one path and nothing else:
//! everything that warms up (inline caches, interned strings, grown stacks) has happened in its preparation.
//!
//! | module | what it prepares |
//! |---|---|
//! | [`front`] | source: lexer, parser, compiler, verifier, loading |
//! | [`heap`] | tables and collector, without an interpreter |
//! | [`lua`] | pieces of Lua for the interpreter and the libraries |
//! | [`trace`] | some of them for the trace compiler |
//!
//! A scenario of another kind is a module of its own with a table `SCENARIOS`, named in [`TABLES`].
#![forbid(unsafe_code)]

mod front;
mod heap;
mod lua;
mod trace;

use std::process::ExitCode;

/// What is counted, when all is prepared.
type Work = Box<dyn FnMut()>;

/// A scenario and its preparation.
struct Scenario {
    name: &'static str,
    prepare: fn() -> Work,
}

/// The scenarios that are written in Rust.
const TABLES: [&[Scenario]; 3] = [front::SCENARIOS, heap::SCENARIOS, trace::SCENARIOS];

/// The name of this function is known to `xtask/src/counts.rs`.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

fn prepare(name: &str) -> Option<Work> {
    let found = TABLES.into_iter().flatten().find(|scenario| scenario.name == name);
    match found {
        Some(scenario) => Some((scenario.prepare)()),
        None => lua::prepare(name),
    }
}

fn all() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().flatten().map(|scenario| scenario.name).chain(lua::names())
}

#[expect(clippy::disallowed_methods, reason = "the command line of a command")]
fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        Some("--list") => {
            for name in all() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        Some(name) => match prepare(name) {
            Some(mut work) => {
                measured(&mut work);
                // What is released with the work is none of it.
                std::mem::forget(work);
                ExitCode::SUCCESS
            }
            None => {
                eprintln!("no scenario {name}");
                ExitCode::FAILURE
            }
        },
        None => {
            eprintln!("usage: perilune-counts --list | NAME");
            ExitCode::FAILURE
        }
    }
}
