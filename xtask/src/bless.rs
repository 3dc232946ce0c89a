//! `cargo xtask bless`: records what fixtures print, in each version of their headers.
//!
//! What is recorded is what the *references* print, never what Perilune does: an expectation made by the engine under test
//! would expect its bugs. A fixture that does not end as its header says is left alone and reported. Read the diff before
//! committing it.
//!
//! With `--widen`, the header of a fixture first gets every version whose reference runs it: twice with equal output, and to
//! the end that the header asks for. A script that is to fail must also say the same as in a version that is there already,
//! for a script of another version may fail for many reasons.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use perilune_base::dialect::LuaVersion;
use perilune_fixtures::{Fixture, Stream, header, record};

use crate::fixtures::{self, LIMIT};
use crate::measure::Run;
use crate::peers::{self, Engine};

/// How long a script may take in a version that it may not be for: there it may well run for ever.
const TRIAL: Duration = Duration::from_secs(5);

/// The references that are there, oldest version first.
type References = Vec<(LuaVersion, anyhow::Result<Engine>)>;

/// What became of one fixture's expectations.
enum Effect {
    Unchanged,
    Written,
    Refused(String),
}

/// `cargo xtask bless [--widen] [PATH...]`.
///
/// # Errors
/// When an option is wrong, or a file cannot be read or written.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut widen = false;
    let mut paths: Vec<PathBuf> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("widen") => widen = true,
            Value(path) => paths.push(path.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    let references: References =
        LuaVersion::ALL.into_iter().map(|version| (version, peers::reference(version))).collect();
    let found = fixtures::find(&paths)?;
    let effects = fixtures::in_parallel(&found, |fixture| bless(fixture, &references, widen));
    let (mut same, mut written, mut refused) = (0, 0, 0);
    for (fixture, effect) in found.iter().zip(effects) {
        match effect? {
            Effect::Unchanged => same += 1,
            Effect::Written => {
                written += 1;
                println!("wrote    {}", fixture.name);
            }
            Effect::Refused(reason) => {
                refused += 1;
                println!("REFUSED  {}: {reason}", fixture.name);
            }
        }
    }
    println!("{written} written, {same} unchanged, {refused} refused");
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bless(fixture: &Fixture, references: &References, widen: bool) -> anyhow::Result<Effect> {
    let mut runs = Vec::new();
    for (version, reference) in references.iter().filter(|(version, _)| fixture.is_for(*version)) {
        let reference = match reference {
            Ok(reference) => reference,
            Err(error) => return Ok(Effect::Refused(error.to_string())),
        };
        let run = fixtures::run(fixture, reference, *version, LIMIT)?;
        if let Some(problem) = wrong_end(fixture, &run) {
            return Ok(Effect::Refused(format!("{}: {problem}", reference.name)));
        }
        runs.push((*version, run));
    }
    let mut changed = false;
    if widen {
        let before = runs.len();
        add_versions(fixture, references, &mut runs)?;
        if runs.len() > before {
            let versions: Vec<LuaVersion> = runs.iter().map(|(version, _)| *version).collect();
            let source = fs::read(&fixture.script)?;
            fs::write(&fixture.script, header::with_versions(&source, &versions))?;
            changed = true;
        }
    }
    for stream in Stream::ALL {
        let outputs: Vec<_> = runs.iter().map(|(version, run)| (*version, written_to(run, stream))).collect();
        changed |= record::write(fixture, stream, &outputs).with_context(|| fixture.name.clone())?;
    }
    Ok(if changed { Effect::Written } else { Effect::Unchanged })
}

/// Runs a fixture in the versions that its header does not name, and keeps those runs that make sense there.
fn add_versions(fixture: &Fixture, references: &References, runs: &mut Vec<(LuaVersion, Run)>) -> anyhow::Result<()> {
    for (version, reference) in references.iter().filter(|(version, _)| !fixture.is_for(*version)) {
        let Ok(reference) = reference else { continue };
        let first = fixtures::run(fixture, reference, *version, TRIAL)?;
        if wrong_end(fixture, &first).is_some() {
            continue;
        }
        let second = fixtures::run(fixture, reference, *version, TRIAL)?;
        let is_stable = first.stdout == second.stdout && first.stderr == second.stderr;
        let known = |(_, run): &(_, Run)| run.stdout == first.stdout && run.error_line() == first.error_line();
        if is_stable && (!expects_error(fixture) || runs.iter().any(known)) {
            runs.push((*version, first));
        }
    }
    runs.sort_by_key(|(version, _)| *version);
    Ok(())
}

/// What is wrong with the end of a run, if it is not the one that the header asks for.
fn wrong_end(fixture: &Fixture, run: &Run) -> Option<String> {
    let expects_error = expects_error(fixture);
    (run.end.is_success() == expects_error).then(|| {
        format!("@expects-error: {expects_error}, yet it ended with {}: {}", run.end.words(), run.error_line())
    })
}

fn expects_error(fixture: &Fixture) -> bool {
    fixture.header.expects_error.unwrap_or_default()
}

fn written_to(run: &Run, stream: Stream) -> Vec<u8> {
    match stream {
        Stream::Output => run.stdout.clone(),
        Stream::Errors => run.stderr.clone(),
    }
}
