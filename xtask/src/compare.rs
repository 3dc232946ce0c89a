//! `cargo xtask compare`: every fixture on Perilune and on the reference.
//!
//! Compared are standard output byte for byte, whether the run succeeded, and
//! the error message without the program's name. A fixture that is not for
//! the reference's version is skipped and counted.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::fixtures;
use crate::measure::Run;
use crate::peers::{self, Build, Engine};

/// `cargo xtask compare [--engine ENGINE] [--reference ENGINE] [PATH...]`.
///
/// # Errors
/// When an option is wrong or an engine is missing.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut engine_name = "perilune".to_string();
    let mut reference_name = "lua5.4".to_string();
    let mut paths: Vec<PathBuf> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("engine") => engine_name = arguments.value()?.string()?,
            Long("reference") => reference_name = arguments.value()?.string()?,
            Value(path) => paths.push(path.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let engine = peers::engine(&engine_name, Build::No)?;
    let reference = peers::engine(&reference_name, Build::No)?;
    println!("{}: {}", reference.name, reference.version());
    println!("{}: {}", engine.name, engine.version());

    let (mut agreed, mut differed, mut skipped) = (0, 0, 0);
    for fixture in fixtures::find(&paths)? {
        if !fixture.is_for(reference.language.minor) {
            skipped += 1;
            continue;
        }
        let expected = fixture.run(&reference)?;
        let actual = fixture.run(&engine)?;
        let found = differences(&expected, &actual, &reference, &engine);
        if found.is_empty() {
            agreed += 1;
        } else {
            differed += 1;
            println!("\n{}", fixture.path.display());
            for line in found {
                println!("    {line}");
            }
        }
    }
    println!("\n{agreed} agree, {differed} differ, {skipped} skipped (not for the reference's version)");
    Ok(if differed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What differs between two runs, in a few lines.
fn differences(expected: &Run, actual: &Run, reference: &Engine, engine: &Engine) -> Vec<String> {
    let mut found = Vec::new();
    if expected.end != actual.end {
        found.push(format!("ends with {}, the reference with {}", actual.end.words(), expected.end.words()));
    }
    if expected.stdout != actual.stdout {
        let (line, theirs, ours) = first_difference(&expected.stdout, &actual.stdout);
        found.push(format!("output, line {line}"));
        found.push(format!("  - {theirs}"));
        found.push(format!("  + {ours}"));
    }
    let theirs = message(expected, reference);
    let ours = message(actual, engine);
    if theirs != ours {
        found.push("error message".to_string());
        found.push(format!("  - {theirs}"));
        found.push(format!("  + {ours}"));
    }
    found
}

/// The error message without `progname: `.
fn message(run: &Run, engine: &Engine) -> String {
    let line = run.error_line();
    let name = engine.program.file_name().unwrap_or_default().to_string_lossy();
    let at = line.find(&format!("{name}: ")).map(|at| at + name.len() + 2);
    at.map_or(line.clone(), |at| line[at..].to_string())
}

/// The first line that differs: its number and both texts.
fn first_difference(expected: &[u8], actual: &[u8]) -> (usize, String, String) {
    let mut theirs = expected.split(|byte| *byte == b'\n');
    let mut ours = actual.split(|byte| *byte == b'\n');
    let mut number = 1;
    loop {
        let pair = (theirs.next(), ours.next());
        if pair.0 != pair.1 || pair.0.is_none() {
            return (number, shown(pair.0), shown(pair.1));
        }
        number += 1;
    }
}

fn shown(line: Option<&[u8]>) -> String {
    line.map_or("(end of output)".to_string(), |line| line.escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_shown() {
        let (line, theirs, ours) = first_difference(b"a\nb\n", b"a\nc\n");
        assert_eq!((line, theirs.as_str(), ours.as_str()), (2, "b", "c"));
        let (line, theirs, ours) = first_difference(b"a\n", b"a");
        assert_eq!((line, theirs.as_str(), ours.as_str()), (2, "", "(end of output)"));
    }
}
