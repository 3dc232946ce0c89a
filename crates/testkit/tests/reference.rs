//! The recorded outputs of the fixtures are what the reference interpreter prints.
//!
//! Nothing is tested where there is no `lua5.4`; a line says so.
#![expect(clippy::disallowed_methods, reason = "the reference interpreter is another process")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use perilune_testkit::fixture::{self, Fixture};
use perilune_testkit::{process, verdict};

/// The reference interpreter.
const REFERENCE: &str = "lua5.4";

/// The name under which it runs: it stands in its messages.
const NAME: &str = "lua";

/// How long a script may take.
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut fixtures = match fixture::all() {
        Ok(fixtures) => fixtures,
        Err(error) => {
            eprintln!("fixtures cannot be read: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = process::run(Command::new(REFERENCE).arg("-v"), LIMIT) {
        println!("{REFERENCE} is not there ({error}): the fixtures are not compared with the reference");
        fixtures.clear();
    }
    fixtures.retain(Fixture::applies);
    let trial = |fixture: Fixture| Trial::test(fixture.name.clone(), move || test(&fixture));
    libtest_mimic::run(&arguments, fixtures.into_iter().map(trial).collect()).exit_code()
}

fn test(fixture: &Fixture) -> Result<(), Failed> {
    let mut command = Command::new(REFERENCE);
    command.arg0(NAME).current_dir(fixture.folder()).arg(fixture.file_name());
    let run = process::run(&mut command, LIMIT)?;
    let Some(status) = run.status else {
        return Err(format!("it did not end within {} s", LIMIT.as_secs()).into());
    };
    let expected = fixture.expected_output().unwrap_or_default();
    verdict::same("output", &expected, &run.output)?;
    if let Some(expected) = fixture.expected_errors() {
        verdict::same("standard error", &expected, &run.errors)?;
    }
    if status.success() == fixture.header.expects_error.unwrap_or_default() {
        return Err(format!("it ended with {status}, which its header does not expect").into());
    }
    Ok(())
}
