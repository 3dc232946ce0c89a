//! The recorded outputs of the fixtures are what the reference interpreters print.
//!
//! A test is called `VERSION::PATH`. Nothing is tested for a version whose `lua5.x` is not there; a line says so.
#![expect(clippy::disallowed_methods, reason = "the reference interpreters are other processes")]

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use perilune_base::dialect::LuaVersion;
use perilune_fixtures::normal::{PROGRAM, normalise};
use perilune_testkit::{Fixture, Stream, process, verdict};

/// How long a script may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Fixtures whose recorded output for 5.4 is that of the newest patch release, which decides, where the interpreter that
/// systems bring is an older one: `table.remove` and `utf8.codes` name their arguments otherwise there.
const NEWEST_PATCH_ONLY: [&str; 2] = ["matrix/numbers/arguments-of-table-functions", "matrix/strings/utf8-over-ranges"];

/// Whether a fixture's recorded output is not that of the interpreter that systems bring.
fn is_newer(fixture: &Fixture, version: LuaVersion) -> bool {
    version == LuaVersion::Lua54 && NEWEST_PATCH_ONLY.contains(&&fixture.name[..])
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let fixtures = perilune_testkit::fixtures();
    let mut trials = Vec::new();
    for version in LuaVersion::ALL {
        let reference = format!("lua{}", version.number());
        if let Err(error) = process::run(Command::new(&reference).arg("-v"), LIMIT) {
            println!("{reference} is not there ({error}): the fixtures of {version} are not compared with it");
            continue;
        }
        for fixture in fixtures.iter().filter(|fixture| fixture.is_for(version) && !is_newer(fixture, version)) {
            let (fixture, reference) = (fixture.clone(), reference.clone());
            let name = format!("{}::{}", version.number(), fixture.name);
            trials.push(Trial::test(name, move || test(&fixture, version, &reference)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn test(fixture: &Fixture, version: LuaVersion, reference: &str) -> Result<(), Failed> {
    let mut command = Command::new(reference);
    command.arg0(PROGRAM).current_dir(fixture.folder()).arg(fixture.file_name());
    let run = process::run(&mut command, LIMIT)?;
    let Some(status) = run.status else {
        return Err(format!("it did not end within {} s", LIMIT.as_secs()).into());
    };
    for (stream, what, actual) in
        [(Stream::Output, "output", &run.output), (Stream::Errors, "standard error", &run.errors)]
    {
        let expected = fixture.expected(version, stream).unwrap_or_default();
        verdict::same(what, &expected, &normalise(actual))?;
    }
    if status.success() == fixture.header.expects_error.unwrap_or_default() {
        return Err(format!("it ended with {status}, which its header does not expect").into());
    }
    Ok(())
}
