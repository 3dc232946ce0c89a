//! `cargo xtask bench`: engines against each other on whole programs.
//!
//! What is reported are ratios of medians of CPU time, never the times alone: an engine that fails, differs or does
//! not finish gets a word in its column and counts in no mean.
//!
//! | module | question it answers |
//! |---|---|
//! | [`contest`] | who runs what, in which order, and whose output is right |
//! | [`samples`] | what the numbers of several runs come to |
//! | [`tables`], [`report`] | how a run is shown, and written |
//! | [`progress`] | how far a run is |
//! | [`against`] | how this commit compares with another one |
//! | [`dialects`] | how versions of Lua compare, each with its own reference |

mod against;
mod contest;
mod dialects;
pub mod progress;
mod report;
mod samples;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;

use contest::Contestant;
use perilune_base::dialect::LuaVersion;

use crate::peers::Build;
use crate::programs;

struct Options {
    programs: String,
    engines: Vec<String>,
    runs: usize,
    timeout: Duration,
    json: Option<PathBuf>,
    build: Build,
    /// The revision to compare with.
    against: Option<String>,
    /// The versions to compare with 5.4.
    dialects: Vec<LuaVersion>,
}

fn options(mut arguments: lexopt::Parser) -> anyhow::Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options {
        programs: "*".to_string(),
        engines: Vec::new(),
        runs: 5,
        timeout: Duration::from_secs(60),
        json: None,
        build: Build::Yes,
        against: None,
        dialects: Vec::new(),
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("programs") => options.programs = arguments.value()?.string()?,
            Long("engines") => {
                let list = arguments.value()?.string()?;
                options.engines = list.split(',').map(str::to_string).collect();
            }
            Long("runs") => options.runs = arguments.value()?.parse::<usize>()?.max(1),
            Long("timeout") => {
                options.timeout = Duration::from_secs(arguments.value()?.parse()?);
            }
            Long("json") => options.json = Some(arguments.value()?.into()),
            Long("against") => options.against = Some(arguments.value()?.string()?),
            Long("dialects") => options.dialects = dialects::versions(&arguments.value()?.string()?)?,
            Long("no-build") => options.build = Build::No,
            other => return Err(other.unexpected().into()),
        }
    }
    if options.engines.is_empty() && options.dialects.is_empty() {
        // Beside the two commits, the peers that most users would choose from.
        let engines = if options.against.is_some() { ["puc54", "luajit"] } else { ["puc54", "perilune"] };
        options.engines = engines.map(str::to_string).to_vec();
    }
    Ok(options)
}

/// The command line as it was given.
fn command_line() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

/// `cargo xtask bench`.
///
/// # Errors
/// When an option is wrong or the programs cannot be read; not when an engine fails.
pub fn task(arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let options = options(arguments)?;
    if let Some(revision) = &options.against {
        return against::compare(revision, &options, command_line());
    }
    if !options.dialects.is_empty() {
        return dialects::compare(&options.dialects, &options);
    }
    let programs = programs::find(&options.programs)?;
    let contestants: Vec<Contestant> =
        options.engines.iter().map(|name| Contestant::named(name, options.build)).collect();
    let versions: Vec<String> = contestants.iter().map(Contestant::version).collect();

    let start = Instant::now();
    let measured = contest::hold(&programs, &contestants, options.runs, options.timeout);
    let elapsed = start.elapsed().as_secs();

    println!("{}", tables::per_program(&measured, &contestants));
    println!("{}", tables::means(&measured, &contestants));
    for (contestant, version) in contestants.iter().zip(&versions) {
        println!("{}: {version}", contestant.name);
    }
    println!(
        "median of {} interleaved runs, more where they disagree; ratios to {}; lower is better; took {}:{:02}",
        options.runs,
        contestants[0].name,
        elapsed / 60,
        elapsed % 60
    );
    for line in tables::failures(&measured, &contestants) {
        println!("{line}");
    }
    if let Some(file) = &options.json {
        let report = report::report(&measured, &contestants, &versions, options.runs);
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
