//! `cargo xtask suite`: an official test suite, file by file.
//!
//! The suite's own driver stops at the first failure, so each file runs in a
//! process of its own, in the suite's folder, with the globals of its
//! portable mode set (`_U`, `_port`, `_soft`). The code of the suites is not
//! part of this repository; the task runs whatever folder it is pointed at.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::bench::progress::Progress;
use crate::measure;
use crate::peers::{self, Build, Engine};
use crate::table::Table;

const PORTABLE: &str = "_U=true _port=true _soft=true _nomsg=true";

/// Files that are not run unless named, with the reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("all.lua", "the driver: runs the other files once more, in one state"),
    ("heavy.lua", "fills all memory of the machine on purpose"),
];

/// `cargo xtask suite --dir DIR`.
///
/// # Errors
/// When an option is wrong, or the folder or the engine is not there.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut directory: Option<PathBuf> = None;
    let mut engine_name = "perilune".to_string();
    let mut timeout = Duration::from_secs(120);
    let mut named = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("dir") => directory = Some(arguments.value()?.into()),
            Long("engine") => engine_name = arguments.value()?.string()?,
            Long("timeout") => timeout = Duration::from_secs(arguments.value()?.parse()?),
            Value(file) => named.push(file.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(directory) = directory else {
        bail!("--dir DIR is needed: the folder of a test suite");
    };
    let engine = peers::engine(&engine_name, Build::No)?;
    let files = if named.is_empty() { files_of(&directory)? } else { named };

    let mut table = Table::new(&["file", "result", "cpu s", "peak MB", "error"]);
    let mut progress = Progress::new(files.len());
    let mut passed = 0;
    for file in &files {
        progress.step(file, &engine.name, true);
        let run = measure::run(&mut command(&engine, &directory, file), timeout)?;
        let success = run.end.is_success();
        passed += usize::from(success);
        table.row(vec![
            file.clone(),
            if success { "pass".to_string() } else { format!("FAIL ({})", run.end.words()) },
            format!("{:.2}", run.cpu.as_secs_f64()),
            format!("{:.0}", run.peak as f64 / 1e6),
            if success { String::new() } else { run.error_line() },
        ]);
    }
    drop(progress);
    println!("{} on {}\n", engine.version(), directory.display());
    print!("{table}");
    println!("\n{passed} passed, {} failed", files.len() - passed);
    for (file, reason) in LEFT_OUT {
        if directory.join(file).exists() && !files.iter().any(|run| run == file) {
            println!("left out: {file} ({reason})");
        }
    }
    Ok(if passed == files.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn command(engine: &Engine, directory: &Path, file: &str) -> std::process::Command {
    let mut command = engine.command();
    command.current_dir(directory).args(["-e", PORTABLE]).arg(file);
    command
}

fn files_of(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".lua") && !LEFT_OUT.iter().any(|(file, _)| *file == name) {
            files.push(name);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("no .lua file in {}", directory.display());
    }
    Ok(files)
}
