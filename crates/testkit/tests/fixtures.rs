//! Each fixture gives what the references gave, in each mode and each version of its header.
//!
//! A test is called `MODE::VERSION::PATH`, so that `cargo test -p perilune-testkit --test fixtures -- plain::5.1::stdlib`
//! runs some. Standard output and the error stream must be those of the reference, byte for byte. Where the header says that
//! Perilune diverges, they must *not* be: what agrees again is to leave `docs/compatibility/divergences.md`.
//!
//! Fixtures whose `.out` is missing fail. A run of all tests fails when fewer were run than `fixture-floor` says.
#![expect(clippy::disallowed_methods, reason = "the runner reads its floor from a file")]

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use perilune_base::dialect::LuaVersion;
use perilune_fixtures::normal::normalise;
use perilune_testkit::driver::{self, CUT_SHORT, UNSOUND};
use perilune_testkit::mode::Mode;
use perilune_testkit::process::Run;
use perilune_testkit::{Fixture, Stream, verdict};

/// How long a script may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(20);

/// The same for a script that is cut short: one whose calls have become so slow that it notices the end of its time late.
const CUT_LIMIT: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    if let Some(request) = driver::requested() {
        driver::serve(&request);
    }
    let arguments = Arguments::from_args();
    let fixtures = perilune_testkit::fixtures();
    let tally = Arc::new(Mutex::new(HashMap::new()));
    let trials = Mode::all().flat_map(|mode| trials(&fixtures, mode, &tally)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        report(&tally);
    }
    if is_partial(&arguments, &conclusion) { conclusion.exit_code() } else { judge(&conclusion) }
}

/// The tests of one mode.
fn trials(fixtures: &[Fixture], mode: Mode, tally: &Arc<Mutex<Tally>>) -> Vec<Trial> {
    let trial = |fixture: &Fixture, version: LuaVersion| {
        let (fixture, tally) = (fixture.clone(), Arc::clone(tally));
        let name = format!("{}::{}::{}", mode.name(), version.number(), fixture.name);
        Trial::test(name, move || test(&fixture, version, mode, &tally))
    };
    let of_fixture = |fixture| mode.versions(fixture).into_iter().map(move |version| trial(fixture, version));
    fixtures.iter().flat_map(of_fixture).collect()
}

/// For each mode: how many were run, and how many of them were cut short.
type Tally = HashMap<&'static str, (usize, usize)>;

fn test(fixture: &Fixture, version: LuaVersion, mode: Mode, tally: &Mutex<Tally>) -> Result<(), Failed> {
    let limit = if mode.budget().is_some() { CUT_LIMIT } else { LIMIT };
    let run = driver::drive(fixture, version, mode, limit)?;
    let cut_short = mode.budget().is_some() && run.status.is_none_or(|status| status.code() == Some(CUT_SHORT));
    if let Ok(mut tally) = tally.lock() {
        let (ran, cut) = tally.entry(mode.name()).or_default();
        *ran += 1;
        *cut += usize::from(cut_short);
    }
    let judged = if cut_short { compare_beginning(fixture, version, &run) } else { compare(fixture, version, &run) };
    let judged = match (fixture.header.diverges.contains(&version), judged) {
        (true, Ok(())) if !cut_short => Err("its header says that it diverges, and it does not".to_owned()),
        (true, _) => Ok(()),
        (false, judged) => judged,
    };
    judged.map_err(|problem| Failed::from(format!("{}: {problem}", fixture.script.display())))
}

fn expected_output(fixture: &Fixture, version: LuaVersion) -> Result<Vec<u8>, String> {
    let recorded = fixture.expected(version, Stream::Output);
    recorded.ok_or_else(|| "its .out is missing: run `cargo xtask bless`".to_owned())
}

/// A script that a mode makes too slow.
fn compare_beginning(fixture: &Fixture, version: LuaVersion, run: &Run) -> Result<(), String> {
    verdict::beginning("output", &expected_output(fixture, version)?, &normalise(&run.output))
}

fn compare(fixture: &Fixture, version: LuaVersion, run: &Run) -> Result<(), String> {
    let Some(status) = run.status else {
        return Err(format!("it did not end within {} s", LIMIT.as_secs()));
    };
    let errors = String::from_utf8_lossy(&run.errors);
    if status.code() == Some(UNSOUND) {
        return Err(errors.into_owned());
    }
    let with_errors = |problem: String| {
        let end: String =
            errors.lines().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
        if end.is_empty() { problem } else { format!("{problem}standard error ends with:\n{end}\n") }
    };
    verdict::same("output", &expected_output(fixture, version)?, &normalise(&run.output)).map_err(with_errors)?;
    let expects_error = fixture.header.expects_error.unwrap_or_default();
    if status.success() == expects_error || status.code().is_none_or(|code| code == 101) {
        return Err(with_errors(format!("it ended with {status}; @expects-error: {expects_error}\n")));
    }
    let expected = fixture.expected(version, Stream::Errors).unwrap_or_default();
    verdict::same("standard error", &expected, &normalise(&run.errors))
}

/// Prints how many were run.
fn report(tally: &Mutex<Tally>) {
    let Ok(tally) = tally.lock() else { return };
    let mut sum = 0;
    for mode in Mode::all() {
        let (ran, cut) = tally.get(mode.name()).copied().unwrap_or_default();
        sum += ran;
        let note = match mode.budget() {
            Some(budget) if cut > 0 => format!(", {cut} of them cut short after {} ms", budget.as_millis()),
            _ => String::new(),
        };
        println!("fixtures in mode {}: {ran}{note}", mode.name());
    }
    println!("fixtures run: {sum}");
}

/// Whether only some of the tests were asked for.
fn is_partial(arguments: &Arguments, conclusion: &Conclusion) -> bool {
    arguments.list || arguments.filter.is_some() || !arguments.skip.is_empty() || conclusion.num_filtered_out > 0
}

/// The result of a run of all tests.
fn judge(conclusion: &Conclusion) -> ExitCode {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixture-floor");
    let floor = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let Some(floor) = floor else {
        eprintln!("{} holds no number", file.display());
        return ExitCode::FAILURE;
    };
    let ran = conclusion.num_passed + conclusion.num_failed;
    if ran < floor {
        eprintln!("only {ran} fixtures were run; {} asks for {floor}", file.display());
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
