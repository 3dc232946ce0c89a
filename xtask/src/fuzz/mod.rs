//! `cargo xtask fuzz`: random programs, with the compiler against without it and against the reference.
//!
//! | module | what it does |
//! |---|---|
//! | [`program`] | the frame of a program, and its functions |
//! | [`statement`] | random statements |
//! | [`expression`] | random expressions |
//! | [`idiom`] | pieces of programs as people write them |
//! | [`random`] | random numbers |
//! | [`engines`] | runs programs |
//! | [`shrink`] | makes a program that shows a difference small |
//!
//! Program `n` is the same on every machine, and its number says which version of Lua it is for. The reference of that
//! version runs it, and Perilune does in one of [`MODES`] after the other. Where their outputs differ, the program is run
//! without the compiler to see whose fault it is, shrunk, and kept. Programs whose output is for the engine to choose are
//! compared with Perilune's own interpreter, fuel included.

mod engines;
mod expression;
mod idiom;
mod program;
mod random;
mod shrink;
mod statement;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use perilune_base::dialect::LuaVersion;

use engines::{Engines, OUT_OF_FUEL, Outcome};

/// Without the compiler.
const PLAIN: &[&str] = &["-joff"];

/// With the compiler. A program is run in one or more of them by turns. None runs so long that its code proves its worth: so
/// half of them say how much work is put into all of it.
const MODES: &[&[&str]] = &[
    &["--hot=1", "--code=quick"],
    &["--hot=2", "--code=full"],
    &["--hot=1", "--code=full", "--exit-every=3"],
    &["--hot=2", "--code=quick", "--exit-every=7"],
    &["--hot=1", "--code=quick", "--jit-opt=-hoist,-ranges"],
    &["--hot=3", "--code=full", "--exit-every=2"],
    &["--hot=3", "--code=quick"],
    &["--hot=1", "--code=full"],
    &["--hot=7", "--code=quick"],
    &["--hot=2", "--code=quick"],
    &["--hot=20"],
    &["--hot=5", "--code=quick", "--exit-every=4"],
    &["-jon"],
];

/// The versions of programs, by their numbers.
const VERSIONS: [LuaVersion; 8] = [
    LuaVersion::Lua54,
    LuaVersion::Lua51,
    LuaVersion::Lua54,
    LuaVersion::Lua53,
    LuaVersion::Lua54,
    LuaVersion::Lua55,
    LuaVersion::Lua52,
    LuaVersion::Lua55,
];

/// How many programs one process of a reference runs.
const BATCH: u64 = 100;

struct Options {
    engine: PathBuf,
    /// Run only programs of this version.
    version: Option<LuaVersion>,
    /// How many of [`MODES`] each program runs in.
    modes: u64,
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
        version: None,
        modes: 1,
        keep: crate::target_directory().join("fuzz"),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("count") => count = arguments.value()?.parse()?,
            Long("seed") => seed = arguments.value()?.parse()?,
            Long("engine") => options.engine = arguments.value()?.into(),
            Long("version") => options.version = Some(arguments.value()?.parse()?),
            Long("modes") => options.modes = arguments.value()?.parse()?,
            Long("keep") => options.keep = arguments.value()?.into(),
            Long("show") => show = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if show {
        print!("{}", program::program(seed, options.version.unwrap_or(version_of(seed))));
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&options.keep)?;
    let mut fuzz = Fuzz { engines: Engines::new(&options.engine)?, options, differences: 0 };
    let start = Instant::now();
    for first in (seed..seed + count).step_by(BATCH as usize) {
        for version in LuaVersion::ALL {
            if fuzz.options.version.is_none_or(|only| only == version) {
                // A program of which the reference sees no end is the generator's fault: the others go on.
                if let Err(error) = fuzz.batch(first..(first + BATCH).min(seed + count), version) {
                    println!("\r\x1b[K{} from seed {first}: {error:#}", version.number());
                }
            }
        }
        let done = (first + BATCH).min(seed + count) - seed;
        let rate = done as f64 / start.elapsed().as_secs_f64();
        eprint!("\r\x1b[K{done} programs, {rate:.0} a second, {} with a difference", fuzz.differences);
    }
    println!("\r\x1b[K{count} programs from seed {seed}, {} with a difference", fuzz.differences);
    Ok(if fuzz.differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The version of the program of a seed.
fn version_of(seed: u64) -> LuaVersion {
    VERSIONS[(seed % VERSIONS.len() as u64) as usize]
}

struct Fuzz {
    engines: Engines,
    options: Options,
    differences: usize,
}

/// A program to compare.
struct Case {
    seed: u64,
    version: LuaVersion,
    program: String,
}

/// What must come of a program.
enum Expected {
    /// What the reference has printed.
    Text(String),
    /// What it has printed without the compiler, for so much fuel.
    All(Outcome),
}

impl Fuzz {
    /// Compares the programs of a version among some seeds.
    fn batch(&mut self, seeds: std::ops::Range<u64>, version: LuaVersion) -> anyhow::Result<()> {
        let is_only = self.options.version.is_some();
        let cases: Vec<Case> = seeds
            .filter(|seed| is_only || version_of(*seed) == version)
            .map(|seed| Case { seed, version, program: program::program(seed, version) })
            .collect();
        let same_everywhere: Vec<&str> =
            cases.iter().filter(|case| program::has_one_output(case.seed)).map(|case| &case.program[..]).collect();
        let mut of_reference = self.engines.reference(version, same_everywhere)?.into_iter();
        for case in &cases {
            let expected = if program::has_one_output(case.seed) { of_reference.next() } else { None };
            let expected = match expected {
                Some(text) => Expected::Text(text),
                None => Expected::All(self.engines.perilune(version, PLAIN, &case.program)?),
            };
            self.compare(case, &expected)?;
        }
        Ok(())
    }

    /// Compares a program with what it is to print, in modes by turns.
    fn compare(&mut self, case: &Case, expected: &Expected) -> anyhow::Result<()> {
        for turn in 0..self.options.modes {
            // Not in step with the versions.
            let at = case.seed / VERSIONS.len() as u64 + case.seed % VERSIONS.len() as u64 + turn;
            let mode = MODES[(at % MODES.len() as u64) as usize];
            let found = self.engines.perilune(case.version, mode, &case.program)?;
            let is_same = match expected {
                Expected::Text(text) => found.text == *text,
                Expected::All(outcome) => found == *outcome,
            };
            if !is_same {
                return self.report(case, mode);
            }
        }
        Ok(())
    }

    /// Shrinks and keeps a program that shows a difference.
    fn report(&mut self, case: &Case, mode: &[&str]) -> anyhow::Result<()> {
        let &Case { seed, version, ref program } = case;
        let engines = &mut self.engines;
        // What cannot be started differs from nothing.
        let run = |options: &[&str], program: &str| engines.perilune(version, options, program).unwrap_or_default();
        let plain = run(PLAIN, program);
        let is_compiler = run(mode, program) != plain;
        if !is_compiler && plain.text.ends_with(OUT_OF_FUEL) {
            println!("\r\x1b[K{}: seed {seed} takes too long", version.number());
            return Ok(());
        }
        self.differences += 1;
        let small = if is_compiler {
            shrink::shrink(program, |program| run(mode, program) != run(PLAIN, program))
        } else {
            shrink::shrink(program, |program| {
                let plain = engines.perilune(version, PLAIN, program).unwrap_or_default().text;
                let is_endless = plain.ends_with(OUT_OF_FUEL);
                !is_endless && engines.reference(version, [program]).is_ok_and(|expected| expected != [plain])
            })
        };
        let whose = if is_compiler { "compiler" } else { "interpreter" };
        let name = format!("{whose}-{}-{seed}", version.number());
        let kept = self.options.keep.join(format!("{name}.lua"));
        std::fs::write(&kept, format!("-- {}: seed {seed}, {}\n{small}", version.number(), mode.join(" ")))?;
        std::fs::write(self.options.keep.join(format!("{name}.full")), program)?;
        println!("\r\x1b[K{whose}: {} ({})", kept.display(), mode.join(" "));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_program() {
        let program = |seed| program::program(seed, LuaVersion::Lua54);
        assert_eq!(program(3), program(3));
        assert_ne!(program(3), program(4));
    }

    #[test]
    fn programs_of_all_versions_can_be_compiled() {
        let mut engines = Engines::new(&std::env::current_exe().expect("this test runs")).expect("a folder");
        for version in LuaVersion::ALL {
            let Ok(engine) = crate::peers::reference(version) else { continue };
            let checked: String = (1..100)
                .map(|seed| program::program(seed, version))
                .map(|program| format!("do local f = assert((loadstring or load)[==[{program}]==]) end\n"))
                .collect();
            assert_eq!(engines.reference(version, [&checked[..]]).expect("it runs"), ["ok"], "{}", engine.name);
        }
    }
}
