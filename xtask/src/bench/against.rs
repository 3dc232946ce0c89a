//! `cargo xtask bench --against REV`: this commit and another one, run in turns on this machine, with peers beside them.
//!
//! The other commit is checked out into `target/against/checkout` and built in `target/against/build`, so that a second
//! comparison builds only what differs. Counts and allocations are taken where both commits have the tools for them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

use super::contest::{Contestant, Measured, Outcome, hold, mean_ratio};
use super::samples::Samples;
use super::{Options, tables};
use crate::history::record::{BASE, FORMAT, HEAD, Means, Pair, ProgramRecord, Reading, Record, short};
use crate::history::{self, machine};
use crate::peers::{self, Engine};
use crate::{counts, programs, root, target_directory};

/// A built checkout.
struct Checkout {
    root: PathBuf,
    target: PathBuf,
}

impl Checkout {
    /// Builds a package and gives its binary.
    fn build(&self, package: &str, binary: &str) -> anyhow::Result<PathBuf> {
        peers::build_package(&self.root, &self.target, package)?;
        Ok(self.target.join("release").join(binary))
    }

    fn contestant(&self, name: &str) -> anyhow::Result<Contestant> {
        let program = self.build("perilune-cli", "perilune").with_context(|| format!("the {name}"))?;
        Ok(Contestant { name: name.to_string(), engine: Ok(Engine::perilune(name, program)) })
    }

    fn has(&self, package: &str) -> bool {
        self.root.join("benches").join(package).join("Cargo.toml").exists()
    }

    fn counts(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        counts::measure(&self.root, &self.target, &glob::Pattern::new("*")?)
    }

    fn budgets(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let program = self.build("perilune-budgets", "perilune-budgets")?;
        let output = Command::new(&program).output()?;
        if !output.status.success() {
            bail!("perilune-budgets: {}", output.status);
        }
        let readings: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_slice(&output.stdout)?;
        let flat = |(operation, numbers): (String, BTreeMap<String, f64>)| {
            numbers.into_iter().map(move |(number, value)| (format!("{operation}/{number}"), value)).collect::<Vec<_>>()
        };
        Ok(readings.into_iter().flat_map(flat).collect())
    }
}

/// Measures, prints, and appends the record.
///
/// # Errors
/// When a commit cannot be built, or the work tree is not that of a commit. A regression is the exit code 1.
pub fn compare(revision: &str, options: &Options, command: String) -> anyhow::Result<ExitCode> {
    if machine::has_changes()? {
        bail!("there are changes that no commit has: a record names commits");
    }
    let head = machine::commit("HEAD")?;
    let base = machine::commit(revision)?;
    let place = target_directory().join("against");
    let base_checkout = Checkout { root: place.join("checkout").join(short(&base.id)), target: place.join("build") };
    machine::check_out(&base.id, &base_checkout.root)?;
    let head_checkout = Checkout { root: root(), target: target_directory() };

    let mut contestants = vec![head_checkout.contestant(HEAD)?, base_checkout.contestant(BASE)?];
    contestants.extend(options.engines.iter().map(|name| Contestant::named(name, options.build)));
    let programs = programs::find(&options.programs)?;
    let measured = hold(&programs, &contestants, options.runs, options.timeout);

    let mut record = Record {
        format: FORMAT,
        date: machine::now(),
        head,
        base,
        machine: machine::here(),
        command,
        runs: options.runs as u32,
        engines: contestants.iter().map(|contestant| (contestant.name.clone(), contestant.version())).collect(),
        programs: measured.iter().map(|entry| program_record(entry, &contestants)).collect(),
        means: contestants
            .iter()
            .enumerate()
            .skip(1)
            .map(|(index, contestant)| (contestant.name.clone(), means(&measured, index)))
            .collect(),
        counts: both(&head_checkout, &base_checkout, "counts", Checkout::counts),
        budgets: both(&head_checkout, &base_checkout, "budgets", Checkout::budgets),
        regressions: Vec::new(),
    };
    record.regressions = record.find_regressions();
    show(&record, &measured, &contestants);
    println!("recorded: {}", peers::relative(&history::append(&record)?));
    Ok(if record.regressions.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn program_record(entry: &Measured, contestants: &[Contestant]) -> ProgramRecord {
    let names = || contestants.iter().map(|contestant| contestant.name.clone());
    ProgramRecord {
        name: entry.program.name.clone(),
        class: entry.program.class.clone(),
        held_out: entry.program.held_out,
        engines: names().zip(entry.outcomes.iter().map(reading)).collect(),
        ratios: names()
            .enumerate()
            .skip(1)
            .filter_map(|(index, name)| Some((name, 1.0 / entry.ratio(index, Samples::cpu)?)))
            .collect(),
    }
}

fn reading(outcome: &Outcome) -> Reading {
    match outcome {
        Outcome::Measured(samples) => {
            let runs = samples.cpu.len() as u32;
            Reading::Ran { cpu: samples.cpu(), spread: samples.spread(), peak: samples.peak() as u64, runs }
        }
        Outcome::Failed(reason) => Reading::Failed { failed: reason.clone() },
    }
}

/// The means of the head relative to engine `index`.
fn means(measured: &[Measured], index: usize) -> Means {
    let mean = |aside: bool, value: fn(&Samples) -> f64| {
        mean_ratio(measured.iter().filter(|entry| entry.program.held_out == aside), index, value).map(|mean| 1.0 / mean)
    };
    Means { cpu: mean(false, Samples::cpu), cpu_held_out: mean(true, Samples::cpu), peak: mean(false, Samples::peak) }
}

/// Numbers of both checkouts, or `None`, with a word on standard error, where one cannot give them.
fn both<T>(
    head: &Checkout,
    base: &Checkout,
    package: &str,
    measure: impl Fn(&Checkout) -> anyhow::Result<BTreeMap<String, T>>,
) -> Option<Pair<T>> {
    let of = |checkout: &Checkout| if checkout.has(package) { measure(checkout) } else { Ok(BTreeMap::new()) };
    match (of(base), of(head)) {
        (Ok(base), Ok(head)) => Some(Pair { base, head }),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("no {package}: {error:#}");
            None
        }
    }
}

fn show(record: &Record, measured: &[Measured], contestants: &[Contestant]) {
    println!("{}", tables::per_program(measured, contestants));
    println!("{}", tables::means(measured, contestants));
    println!(
        "head {} {}\nbase {} {}",
        short(&record.head.id),
        record.head.subject,
        short(&record.base.id),
        record.base.subject
    );
    println!(
        "{} interleaved runs, more where they disagree; ratios to the head: above 1, the head is faster",
        record.runs
    );
    for line in tables::failures(measured, contestants) {
        println!("{line}");
    }
    for line in &record.regressions {
        println!("regression: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_a_commit_lacks_gives_no_numbers() {
        let here = Checkout { root: root(), target: PathBuf::new() };
        let empty = Checkout { root: PathBuf::from("nowhere"), target: PathBuf::new() };
        let pair = both(&here, &empty, "counts", |_| Ok([("a".to_string(), 1)].into())).expect("nothing fails");
        assert_eq!((pair.base.len(), pair.head.len()), (0, 1));
    }
}
