//! `cargo xtask bench --dialects LIST`: is a version of Lua slower here than 5.4 is, each measured by its own reference?
//!
//! Of a program in version V, four times are taken: ours and the reference's, in V and in 5.4. What counts is
//!
//! ```text
//! (ours in V / reference V) / (ours in 5.4 / reference 5.4)
//! ```
//!
//! which should not be above [`MOST`]. It is the quotient of two changes, and both are shown: how our time changes from 5.4
//! to V, and how the reference's does. Where ours does not grow, it is the reference that is faster in V.

use std::process::ExitCode;

use anyhow::{Context, bail};
use perilune_base::dialect::LuaVersion;

use super::Options;
use super::contest::{Contestant, Measured, Outcome, hold};
use super::samples::{Samples, geometric_mean};
use super::tables::{self, ratio_cell};
use crate::peers::{self, Engine};
use crate::programs;
use crate::table::Table;

/// The version that others are compared with.
const BASE: LuaVersion = LuaVersion::Lua54;

/// What a version may cost of the base version's figure.
const MOST: f64 = 1.1;

/// The versions of a list such as `5.1,5.3`, without the base; `all` is all others.
pub fn versions(list: &str) -> anyhow::Result<Vec<LuaVersion>> {
    let named: Vec<LuaVersion> = match list {
        "all" => LuaVersion::ALL.to_vec(),
        _ => list
            .split(',')
            .map(|name| name.parse().ok().with_context(|| format!("--dialects {list}: no version {name}")))
            .collect::<anyhow::Result<_>>()?,
    };
    let others: Vec<LuaVersion> = named.into_iter().filter(|version| *version != BASE).collect();
    if others.is_empty() {
        bail!("--dialects {list}: other versions than {} are wanted", BASE.number());
    }
    Ok(others)
}

/// Measures, and prints what there is to see.
///
/// # Errors
/// When Perilune cannot be had or the programs cannot be read.
pub fn compare(others: &[LuaVersion], options: &Options) -> anyhow::Result<ExitCode> {
    let name = options.engines.first().map_or("perilune", String::as_str);
    let own = peers::engine(name, options.build)?;
    if !own.is_perilune {
        bail!("--engines {name}: with --dialects, a build of perilune is wanted");
    }
    let versions: Vec<LuaVersion> = std::iter::once(BASE).chain(others.iter().copied()).collect();
    let contestants: Vec<Contestant> = versions.iter().flat_map(|version| pair(*version, &own)).collect();
    let programs = programs::find(&options.programs)?;
    let measured = hold(&programs, &contestants, options.runs, options.timeout);

    println!("{}", per_program(&measured, &versions));
    println!("{}", means(&measured, &versions));
    for contestant in contestants.iter().step_by(2).chain(&contestants[1..2]) {
        println!("{}: {}", contestant.name, contestant.version());
    }
    println!(
        "median of {} interleaved runs, more where they disagree; changes are from {base} to the version; `of {base}` is \
         how the ratio of ours to the reference's changes",
        options.runs,
        base = BASE.number()
    );
    for line in tables::failures(&measured, &contestants) {
        println!("{line}");
    }
    for line in slower(&measured, &versions) {
        println!("above {MOST}: {line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The reference of a version, and Perilune as that version; neither, where there is no reference.
fn pair(version: LuaVersion, own: &Engine) -> [Contestant; 2] {
    let reference = peers::reference(version).map_err(|error| format!("{error:#}"));
    let engine = reference.clone().map(|reference| {
        let mut engine = own.clone();
        engine.options.extend(["--lua-version".into(), version.number().into()]);
        engine.language = reference.language;
        engine
    });
    let name =
        reference.as_ref().map_or_else(|_| format!("reference {}", version.number()), |engine| engine.name.clone());
    [Contestant { name, engine: reference }, Contestant { name: format!("perilune {}", version.number()), engine }]
}

/// How times change from the base version to another one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    own: f64,
    reference: f64,
}

impl Change {
    /// Of the version at `index`, where all four times are there.
    fn of(entry: &Measured, index: usize) -> Option<Change> {
        let cpu = |at: usize| match &entry.outcomes[at] {
            Outcome::Measured(samples) => Some(Samples::cpu(samples)),
            Outcome::Failed(_) => None,
        };
        let (own, reference) = (2 * index + 1, 2 * index);
        Some(Change { own: cpu(own)? / cpu(1)?, reference: cpu(reference)? / cpu(0)? })
    }

    /// How the ratio of ours to the reference's changes.
    fn relative(self) -> f64 {
        self.own / self.reference
    }
}

/// A row per program: our seconds and the ratio to the reference in the base version, and the changes to the others.
fn per_program(measured: &[Measured], versions: &[LuaVersion]) -> Table {
    let mut heading = vec!["program".to_string(), format!("{} s", BASE.number()), "ratio".to_string()];
    for version in &versions[1..] {
        heading.extend([
            format!("{} ours", version.number()),
            "reference's".to_string(),
            format!("of {}", BASE.number()),
        ]);
    }
    let mut table = Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for entry in measured {
        let seconds = match &entry.outcomes[1] {
            Outcome::Measured(samples) => format!("{:.3}", samples.cpu()),
            Outcome::Failed(_) => "-".to_string(),
        };
        let mut row = vec![entry.program.name.clone(), seconds, ratio_cell(entry.ratio(1, Samples::cpu))];
        for index in 1..versions.len() {
            let change = Change::of(entry, index);
            row.push(ratio_cell(change.map(|change| change.own)));
            row.push(ratio_cell(change.map(|change| change.reference)));
            row.push(ratio_cell(change.map(Change::relative)));
        }
        table.row(row);
    }
    table
}

/// The geometric means of the changes, and how many programs are above the bound.
fn means(measured: &[Measured], versions: &[LuaVersion]) -> Table {
    let of_base = format!("of {}", BASE.number());
    let above = format!("above {MOST}");
    let mut table = Table::new(&["geometric means", "programs", "ours", "reference's", &of_base, &above]);
    for (index, version) in versions.iter().enumerate().skip(1) {
        let changes: Vec<Change> = measured.iter().filter_map(|entry| Change::of(entry, index)).collect();
        let mean = |value: fn(Change) -> f64| {
            ratio_cell(geometric_mean(&changes.iter().map(|change| value(*change)).collect::<Vec<_>>()))
        };
        table.row(vec![
            version.number().to_string(),
            changes.len().to_string(),
            mean(|change| change.own),
            mean(|change| change.reference),
            mean(Change::relative),
            changes.iter().filter(|change| change.relative() > MOST).count().to_string(),
        ]);
    }
    table
}

/// A line for each program and version above the bound.
fn slower(measured: &[Measured], versions: &[LuaVersion]) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, version) in versions.iter().enumerate().skip(1) {
        for entry in measured {
            if let Some(change) = Change::of(entry, index).filter(|change| change.relative() > MOST) {
                let (name, relative) = (&entry.program.name, change.relative());
                let Change { own, reference } = change;
                lines.push(format!(
                    "{} {name}: {relative:.2} (ours {own:.2}, the reference's {reference:.2})",
                    version.number()
                ));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::programs::Program;

    /// A program with these CPU seconds, of the reference and ours by turns.
    fn measured(name: &str, cpu: &[f64]) -> Measured {
        let program =
            Program { class: String::new(), name: name.to_string(), path: PathBuf::new(), oldest: 1, held_out: false };
        let outcome = |cpu: &f64| match cpu.is_nan() {
            true => Outcome::Failed("5.3+".to_string()),
            false => Outcome::Measured(Samples { cpu: vec![*cpu], peak: vec![1.0] }),
        };
        Measured { program, outcomes: cpu.iter().map(outcome).collect() }
    }

    #[test]
    fn a_version_is_slower_by_its_own_reference() {
        let versions = [BASE, LuaVersion::Lua51];
        let entries = [
            measured("ours-grows", &[1.0, 0.5, 1.0, 0.6]),
            measured("both-grow", &[1.0, 0.5, 2.0, 1.0]),
            measured("reference-shrinks", &[1.0, 0.5, 0.5, 0.5]),
            measured("newer-lua", &[1.0, 0.5, f64::NAN, f64::NAN]),
        ];
        let expected = [
            "5.1 ours-grows: 1.20 (ours 1.20, the reference's 1.00)",
            "5.1 reference-shrinks: 2.00 (ours 1.00, the reference's 0.50)",
        ];
        assert_eq!(slower(&entries, &versions), expected);
        let table = means(&entries, &versions).to_string();
        assert!(
            table.lines().last().is_some_and(|row| row.trim_start().starts_with("5.1 ") && row.ends_with(" 2")),
            "{table}"
        );
        let rows = per_program(&entries, &versions).to_string();
        assert!(rows.lines().any(|row| row.starts_with("newer-lua") && row.ends_with('-')), "{rows}");
    }

    #[test]
    fn lists_of_versions_leave_out_the_base() {
        let names = |list: &str| versions(list).ok();
        assert_eq!(names("5.1,5.4,5.3"), Some(vec![LuaVersion::Lua51, LuaVersion::Lua53]));
        assert_eq!(names("all").map(|all| all.len()), Some(4));
        assert_eq!(names("5.4"), None);
        assert_eq!(names("5.1,6.0"), None);
    }
}
