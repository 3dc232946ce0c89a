//! `cargo xtask`: the project's own tasks.
//!
//! | task | module | what it does |
//! |---|---|---|
//! | `peers` | [`peers`] | builds the reference runners and shows every engine's version |
//! | `bench` | [`mod@bench`] | CPU time and memory of whole programs, engine against engine |
//! | `counts` | [`counts`] | instructions of small scenarios, against committed limits |
//! | `order` | [`order`] | which functions come first in the command's file |
//! | `history` | [`history`] | the records of `bench --against` |
//! | `dashboard` | [`dashboard`] | the page that shows the records |
//! | `suite` | [`suite`] | an official test suite, file by file |
//! | `bless` | [`bless`] | writes the expectations of fixtures, from the reference interpreters |
//! | `compare` | [`compare`] | all fixtures on Perilune and on the references, differences shown |
//! | `fuzz` | [`fuzz`] | random programs, compiled and not, differences kept |
//!
//! [`tasks`] is the registry of them, from which help is made.
//!
//! Every task runs engines as child processes, through [`measure`], and never
//! links one: what is measured and compared is what a user would run.

mod bench;
mod bless;
mod compare;
mod counts;
mod dashboard;
mod fixtures;
mod fuzz;
mod history;
mod measure;
mod order;
mod parity;
mod peers;
mod programs;
mod suite;
mod table;
mod tasks;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((first, rest)) = words.split_first().filter(|(first, _)| *first != "--help" && *first != "-h") else {
        print!("{}", tasks::overview());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(task) = first.to_str().and_then(tasks::named) else {
        anyhow::bail!("no task {}\n\n{}", first.display(), tasks::overview());
    };
    if tasks::asks_for_help(rest) {
        print!("{}", task.help());
        return Ok(ExitCode::SUCCESS);
    }
    (task.run)(lexopt::Parser::from_args(rest))
}

/// The root of the repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The directory cargo builds into.
fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}
