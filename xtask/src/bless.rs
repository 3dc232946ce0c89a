//! `cargo xtask bless`: writes the `.out` of fixtures.
//!
//! What is recorded is what the *reference* prints, never what Perilune
//! does: an expectation made by the engine under test would expect its bugs.
//! A fixture that prints nothing gets no `.out`; one that is there is kept in
//! step all the same. A fixture that does not end as its header says is left
//! alone and reported. Read the diff before committing it.

use std::fs;
use std::process::ExitCode;

use anyhow::bail;

use crate::fixtures::{self, Fixture};
use crate::measure::Run;
use crate::peers::{self, Build, Engine};

/// What became of one fixture's expectation.
enum Effect {
    Unchanged,
    Written,
    NotWanted,
    Refused(String),
}

/// `cargo xtask bless [--engine ENGINE] [PATH...]`.
///
/// # Errors
/// When an option is wrong, a reference is missing, or a file cannot be written.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    use lexopt::prelude::*;
    let mut engine: Option<Engine> = None;
    let mut paths = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("engine") => {
                engine = Some(peers::engine(&arguments.value()?.string()?, Build::No)?);
            }
            Value(path) => paths.push(path.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    if engine.as_ref().is_some_and(|engine| engine.is_perilune) {
        bail!("expectations come from a reference interpreter, never from perilune");
    }

    let (mut same, mut written, mut silent, mut refused) = (0, 0, 0, 0);
    for fixture in fixtures::find(&paths)? {
        let reference = match &engine {
            Some(engine) if fixture.is_for(engine.language.minor) => Ok(engine.clone()),
            Some(engine) => Err(anyhow::anyhow!("not for the version of {}", engine.name)),
            None => peers::reference(fixture.deciding_version()),
        };
        let effect = match reference {
            Ok(reference) => bless(&fixture, &fixture.run(&reference)?)?,
            Err(error) => Effect::Refused(error.to_string()),
        };
        match effect {
            Effect::Unchanged => same += 1,
            Effect::NotWanted => silent += 1,
            Effect::Written => {
                written += 1;
                println!("wrote    {}", fixture.expectation().display());
            }
            Effect::Refused(reason) => {
                refused += 1;
                println!("REFUSED  {}: {reason}", fixture.path.display());
            }
        }
    }
    println!("{written} written, {same} unchanged, {silent} print nothing, {refused} refused");
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bless(fixture: &Fixture, run: &Run) -> anyhow::Result<Effect> {
    if run.end.is_success() == fixture.expects_error {
        return Ok(Effect::Refused(format!(
            "@expects-error: {}, yet it ended with {}: {}",
            fixture.expects_error,
            run.end.words(),
            run.error_line()
        )));
    }
    let file = fixture.expectation();
    let present = file.exists();
    if run.stdout.is_empty() && !present {
        return Ok(Effect::NotWanted);
    }
    if present && fs::read(&file)? == run.stdout {
        return Ok(Effect::Unchanged);
    }
    fs::write(file, &run.stdout)?;
    Ok(Effect::Written)
}
