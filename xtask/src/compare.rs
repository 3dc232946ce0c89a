//! `cargo xtask compare`: every fixture on Perilune and on the reference of each version that its header names.
//!
//! Compared are standard output, standard error and exit code, byte for byte after what
//! [`normal`](perilune_fixtures::normal) makes equal. A difference counts as known when the fixture's header says that
//! Perilune diverges in that version; an agreement there is reported, since the header is then wrong. A version whose
//! reference is missing is reported and fails the task.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use perilune_base::dialect::LuaVersion;
use perilune_fixtures::Fixture;
use serde_json::json;

use crate::fixtures::{self, LIMIT};
use crate::measure::Run;
use crate::parity::{Case, Parity, Verdict};
use crate::peers::{self, Build, Engine};

/// What is asked for.
struct Options {
    engine: String,
    mode: Mode,
    versions: Vec<LuaVersion>,
    filter: Option<String>,
    json: Option<PathBuf>,
    paths: Vec<PathBuf>,
}

/// How Perilune runs the scripts.
#[derive(Clone, Copy)]
enum Mode {
    /// As the command does by itself.
    Usual,
    /// Without the trace compiler.
    Interpreter,
    /// With it.
    Compiler,
    /// With it, from the first iteration on.
    Hot,
}

impl Mode {
    fn named(name: &str) -> anyhow::Result<Mode> {
        Ok(match name {
            "interp" => Mode::Interpreter,
            "jit" => Mode::Compiler,
            "hot" => Mode::Hot,
            _ => bail!("no mode {name}: interp, jit or hot"),
        })
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Mode::Usual => &[],
            Mode::Interpreter => &["-joff"],
            Mode::Compiler => &["-j", "on"],
            Mode::Hot => &["-j", "on", "--hot=1"],
        }
    }
}

fn options(mut arguments: lexopt::Parser) -> anyhow::Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options {
        engine: "perilune".to_owned(),
        mode: Mode::Usual,
        versions: Vec::new(),
        filter: None,
        json: None,
        paths: Vec::new(),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("engine") => options.engine = arguments.value()?.string()?,
            Long("mode") => options.mode = Mode::named(&arguments.value()?.string()?)?,
            Long("version") => options.versions.push(arguments.value()?.string()?.parse()?),
            Long("filter") => options.filter = Some(arguments.value()?.string()?),
            Long("json") => options.json = Some(arguments.value()?.into()),
            Value(path) => options.paths.push(path.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    if options.versions.is_empty() {
        options.versions = LuaVersion::ALL.to_vec();
    }
    Ok(options)
}

/// `cargo xtask compare [--version V] [--filter TEXT] [--mode interp|jit|hot] [--json FILE] [--engine ENGINE] [PATH...]`.
///
/// # Errors
/// When an option is wrong, Perilune is missing, or a file cannot be written.
pub fn task(arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let options = options(arguments)?;
    let mut engine = peers::engine(&options.engine, Build::No)?;
    engine.options.extend(options.mode.options().iter().map(Into::into));
    println!("{}: {}", engine.name, engine.version());

    let mut found = fixtures::find(&options.paths)?;
    if let Some(filter) = &options.filter {
        found.retain(|fixture| fixture.name.contains(filter));
    }
    let mut missing = Vec::new();
    let mut work = Vec::new();
    for version in &options.versions {
        match peers::reference(*version) {
            Ok(reference) => {
                println!("{}: {}", reference.name, reference.version());
                let of_version = found.iter().filter(|fixture| fixture.is_for(*version));
                work.extend(of_version.map(|fixture| (fixture, *version, reference.clone())));
            }
            Err(error) => {
                println!("MISSING  {version}: {error}");
                missing.push(*version);
            }
        }
    }
    let cases =
        fixtures::in_parallel(&work, |(fixture, version, reference)| case(fixture, *version, reference, &engine));
    let cases = cases.into_iter().collect::<anyhow::Result<Vec<Case>>>()?;
    for case in cases.iter().filter(|case| !case.verdict.is_fine()) {
        println!("\n{} in {}", case.fixture, case.version);
        for line in &case.differences {
            println!("    {line}");
        }
    }
    let parity = Parity::of(&cases);
    println!("\n{parity}");
    if let Some(file) = &options.json {
        let missing: Vec<&str> = missing.iter().map(|version| version.number()).collect();
        let report = json!({ "missing": missing, "parity": parity.json(), "cases": cases.iter().map(Case::json).collect::<Vec<_>>() });
        fs::write(file, format!("{report:#}\n"))?;
    }
    let is_fine = missing.is_empty() && cases.iter().all(|case| case.verdict.is_fine());
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one fixture on both.
fn case(fixture: &Fixture, version: LuaVersion, reference: &Engine, engine: &Engine) -> anyhow::Result<Case> {
    let expected = fixtures::run(fixture, reference, version, LIMIT)?;
    let actual = fixtures::run(fixture, engine, version, LIMIT)?;
    let mut differences = differences(&expected, &actual);
    let verdict = match (differences.is_empty(), fixture.header.diverges.contains(&version)) {
        (true, false) => Verdict::Agrees,
        (false, true) => Verdict::Known,
        (false, false) => Verdict::Differs,
        (true, true) => {
            differences.push("agrees, although its header says that it diverges".to_owned());
            Verdict::Outdated
        }
    };
    let (fixture, area) = (fixture.name.clone(), fixture.area().to_owned());
    Ok(Case { fixture, area, version, verdict, differences })
}

/// What differs between two runs, in a few lines.
fn differences(expected: &Run, actual: &Run) -> Vec<String> {
    let mut found = Vec::new();
    if expected.end != actual.end {
        found.push(format!("ends with {}, the reference with {}", actual.end.words(), expected.end.words()));
    }
    let streams = [("output", &expected.stdout, &actual.stdout), ("standard error", &expected.stderr, &actual.stderr)];
    for (what, theirs, ours) in streams {
        if theirs != ours {
            let (line, theirs, ours) = first_difference(theirs, ours);
            found.push(format!("{what}, line {line}"));
            found.push(format!("  - {theirs}"));
            found.push(format!("  + {ours}"));
        }
    }
    found
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
