//! `cargo xtask fuzz`: random programs, with the compiler against without it and against the reference.
//!
//! | module | what it does |
//! |---|---|
//! | [`program`] | the frame of a program, and its functions |
//! | [`statement`] | random statements |
//! | [`expression`] | random expressions |
//! | [`random`] | random numbers |
//! | [`shrink`] | makes a program that shows a difference small |
//!
//! Program `n` of a seed is the same on every machine. It runs on the reference and in some of [`MODES`]; where their
//! outputs differ, the program is run without the compiler to see whose fault it is, shrunk, and kept.

mod expression;
mod program;
mod random;
mod shrink;
mod statement;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::measure;

/// How long a program may run: they are made to end within some milliseconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Without the compiler.
const PLAIN: &[&str] = &["-joff"];

/// With the compiler. The first is run for each program, one of the others by turns.
const MODES: &[&[&str]] = &[&["--hot=1"], &["--hot=2"], &["--hot=1", "--exit-every=3"], &["-jon"]];

struct Options {
    engine: PathBuf,
    reference: String,
    keep: PathBuf,
}

/// `cargo xtask fuzz`.
///
/// # Errors
/// When an option is wrong, or an engine cannot be started.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let (mut count, mut seed, mut show) = (1000, 1, false);
    let mut options = Options {
        engine: crate::target_directory().join("release/perilune"),
        reference: "lua5.4".to_string(),
        keep: crate::target_directory().join("fuzz"),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("count") => count = arguments.value()?.parse()?,
            Long("seed") => seed = arguments.value()?.parse()?,
            Long("engine") => options.engine = arguments.value()?.into(),
            Long("reference") => options.reference = arguments.value()?.string()?,
            Long("keep") => options.keep = arguments.value()?.into(),
            Long("show") => show = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if show {
        print!("{}", program::program(seed));
        return Ok(ExitCode::SUCCESS);
    }
    if !options.engine.exists() {
        bail!("{} is not there: build it first, or name another with --engine", options.engine.display());
    }
    std::fs::create_dir_all(&options.keep)?;
    let mut differences = 0;
    for n in seed..seed + count {
        if n % 100 == 0 {
            eprint!("\r\x1b[K{n}");
        }
        differences += usize::from(compare(&options, n)?);
    }
    println!("\r\x1b[K{count} programs from seed {seed}, {differences} with a difference");
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares one program; true if there is a difference.
fn compare(options: &Options, seed: u64) -> anyhow::Result<bool> {
    let text = program::program(seed);
    let file = options.keep.join(format!("running-{}.lua", std::process::id()));
    std::fs::write(&file, &text)?;
    let expected = if program::has_one_output(seed) {
        output(Command::new(&options.reference).arg(&file))?
    } else {
        output(Command::new(&options.engine).args(PLAIN).arg(&file))?
    };
    let by_turns = MODES[1 + (seed % (MODES.len() as u64 - 1)) as usize];
    for mode in [MODES[0], by_turns] {
        let found = output(Command::new(&options.engine).args(mode).arg(&file))?;
        if found != expected {
            report(options, seed, mode, &file)?;
            return Ok(true);
        }
    }
    // Only what failed is worth a look.
    std::fs::remove_file(&file).with_context(|| file.display().to_string())?;
    Ok(false)
}

/// Shrinks and keeps a program that shows a difference.
fn report(options: &Options, seed: u64, mode: &[&str], file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let run = |arguments: &[&str]| output(Command::new(&options.engine).args(arguments).arg(file)).unwrap_or_default();
    let is_compiler = run(mode) != run(PLAIN);
    let whose = if is_compiler { "compiler" } else { "interpreter" };
    let small = shrink::shrink(&text, |text| {
        if std::fs::write(file, text).is_err() {
            return false;
        }
        if is_compiler {
            return run(mode) != run(PLAIN);
        }
        run(PLAIN) != output(Command::new(&options.reference).arg(file)).unwrap_or_default()
    });
    let kept = options.keep.join(format!("{whose}-{seed}.lua"));
    std::fs::write(&kept, format!("-- seed {seed}, {}\n{small}", mode.join(" ")))?;
    std::fs::write(options.keep.join(format!("{whose}-{seed}.full")), text)?;
    println!("\r\x1b[K{whose}: {} ({})", kept.display(), mode.join(" "));
    Ok(())
}

/// What a program prints, and how it ends. Which sign a NaN prints is not looked at: the machine decides it.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let run = measure::run(command, LIMIT)?;
    let text = String::from_utf8_lossy(&run.stdout).replace("-nan", "nan");
    Ok(format!("{text}{}", run.end.words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_program() {
        assert_eq!(program::program(3), program::program(3));
        assert_ne!(program::program(3), program::program(4));
    }
}
