//! `cargo xtask counts`: instructions of the scenarios in `benches/counts`, against committed limits.
//!
//! Callgrind runs each scenario in a process of its own and counts the function `measured` with all that it calls.
//! Counts repeat to a few instructions in a million, so a limit can be as narrow as [`TOLERANCE`]; they are of one
//! architecture, one compiler and one C library, so `limits.json` has a section per target, and a count that has moved
//! without a change of ours is blessed again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, bail};

use crate::table::Table;
use crate::{peers, root, target_directory};

/// How far a count may go above its limit.
pub const TOLERANCE: f64 = 0.02;

/// The function that callgrind looks at, as it is called with its crate.
const MEASURED: &str = "*perilune_counts::measured*";

/// Instructions by scenario.
pub type Counts = BTreeMap<String, u64>;

/// Counts by target.
type Limits = BTreeMap<String, Counts>;

struct Options {
    scenarios: glob::Pattern,
    bless: bool,
    json: Option<PathBuf>,
}

fn options(mut arguments: lexopt::Parser) -> anyhow::Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options { scenarios: glob::Pattern::new("*")?, bless: false, json: None };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("scenarios") => options.scenarios = glob::Pattern::new(&arguments.value()?.string()?)?,
            Long("bless") => options.bless = true,
            Long("json") => options.json = Some(arguments.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// `cargo xtask counts`.
///
/// # Errors
/// When valgrind is absent, or a scenario fails. A count over its limit is the exit code 1.
pub fn task(arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let options = options(arguments)?;
    let counts = measure(&root(), &target_directory(), &options.scenarios)?;
    let mut limits = read_limits()?;
    let known = limits.entry(target()).or_default();
    let over = show(&counts, known);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&counts)? + "\n")
            .with_context(|| file.display().to_string())?;
    }
    if options.bless {
        known.retain(|name, _| !options.scenarios.matches(name));
        known.extend(counts);
        std::fs::write(limits_file(), serde_json::to_string_pretty(&limits)? + "\n")?;
        println!("limits are as counted now: {}", peers::relative(&limits_file()));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(if over == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a row per scenario and says how many are over their limits.
fn show(counts: &Counts, limits: &Counts) -> usize {
    let mut table = Table::new(&["scenario", "instructions", "limit", "change", "verdict"]);
    let mut over = 0;
    for (name, &count) in counts {
        let (limit, change, verdict) = match limits.get(name) {
            None => ("-".to_string(), "-".to_string(), "no limit yet: --bless"),
            Some(&limit) => {
                let verdict = verdict(limit, count);
                over += usize::from(verdict == Verdict::Over);
                let change = format!("{:+.2}%", change(limit, count) * 100.0);
                (limit.to_string(), change, verdict.words())
            }
        };
        table.row(vec![name.clone(), count.to_string(), limit, change, verdict.to_string()]);
    }
    print!("{table}");
    println!("{} scenarios counted on {}, {over} over the limit", counts.len(), target());
    over
}

/// What a count says of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Within,
    Over,
    Under,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Within => "",
            Verdict::Over => "OVER",
            Verdict::Under => "better: --bless keeps it so",
        }
    }
}

fn change(limit: u64, count: u64) -> f64 {
    count as f64 / limit as f64 - 1.0
}

fn verdict(limit: u64, count: u64) -> Verdict {
    match change(limit, count) {
        change if change > TOLERANCE => Verdict::Over,
        change if change < -TOLERANCE => Verdict::Under,
        _ => Verdict::Within,
    }
}

/// The section of `limits.json` that holds here.
fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

fn limits_file() -> PathBuf {
    root().join("benches/counts/limits.json")
}

fn read_limits() -> anyhow::Result<Limits> {
    let file = limits_file();
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).with_context(|| peers::relative(&file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Limits::new()),
        Err(error) => Err(error).context(peers::relative(&file)),
    }
}

/// Builds the scenarios of a checkout and counts those that match.
///
/// # Errors
/// When valgrind is absent, the build fails, or a scenario does.
pub fn measure(checkout: &Path, target: &Path, scenarios: &glob::Pattern) -> anyhow::Result<Counts> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        bail!("counting needs valgrind");
    }
    peers::build_package(checkout, target, "perilune-counts")?;
    let program = target.join("release").join("perilune-counts");
    let list = Command::new(&program).arg("--list").output()?;
    let names = String::from_utf8(list.stdout)?;
    let names: Vec<&str> = names.lines().filter(|name| scenarios.matches(name)).collect();
    let folder = tempfile::tempdir()?;
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let count = count(&program, name, folder.path());
                    counted.lock().expect("no thread panics").push((name.to_string(), count));
                }
            });
        }
    });
    let counted = counted.into_inner()?;
    counted.into_iter().map(|(name, count)| Ok((name.clone(), count.context(name)?))).collect()
}

/// The instructions of one scenario.
fn count(program: &Path, name: &str, folder: &Path) -> anyhow::Result<u64> {
    let file = folder.join(name.replace('/', "-"));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program)
        .arg(name)
        .output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    total(&std::fs::read_to_string(&file)?).context("callgrind wrote no total")
}

/// The total of a file that callgrind wrote; zero means that [`MEASURED`] named no function.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok().filter(|&total| total > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_its_line() {
        assert_eq!(total("version: 1\nevents: Ir\nfn=(1) x\n1 2\n\ntotals: 12345\n"), Some(12345));
        assert_eq!(total("totals: 0\n"), None);
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn two_per_cent_are_allowed_and_no_more() {
        assert_eq!(verdict(1000, 1019), Verdict::Within);
        assert_eq!(verdict(1000, 1021), Verdict::Over);
        assert_eq!(verdict(1000, 979), Verdict::Under);
    }

    #[test]
    fn the_committed_limits_can_be_read() {
        let limits = read_limits().expect("well formed");
        assert!(limits.values().all(|counts| counts.len() >= 50), "each target has all scenarios");
    }
}
