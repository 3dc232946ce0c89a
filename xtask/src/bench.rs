//! `cargo xtask bench`: engines against each other on whole programs.
//!
//! Runs are interleaved (A B A B ...), so that a change in the machine's mood
//! falls on all engines alike, and what is reported are ratios of medians of
//! CPU time, never the times alone. Outputs must agree byte for byte with
//! those of the first engine that ran; an engine that fails, differs or does
//! not finish gets a word in its column and counts in no mean.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::measure::{self, Run};
use crate::peers::{self, Build, Engine};
use crate::programs::{self, Program};
use crate::table::Table;

struct Options {
    programs: String,
    engines: Vec<String>,
    runs: usize,
    timeout: Duration,
    json: Option<PathBuf>,
    build: Build,
}

fn options(mut arguments: lexopt::Parser) -> anyhow::Result<Options> {
    use lexopt::prelude::*;
    let mut options = Options {
        programs: "*".to_string(),
        engines: vec!["puc54".to_string(), "perilune".to_string()],
        runs: 5,
        timeout: Duration::from_secs(60),
        json: None,
        build: Build::Yes,
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
            Long("no-build") => options.build = Build::No,
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(options)
}

/// What one engine did with one program.
#[derive(Clone, Debug)]
enum Outcome {
    /// Every run succeeded and agreed.
    Measured(Samples),
    /// It is not counted, for this reason.
    Failed(String),
}

/// The samples of one engine on one program.
#[derive(Clone, Debug, Default)]
struct Samples {
    cpu: Vec<f64>,
    peak: Vec<f64>,
}

impl Samples {
    fn cpu(&self) -> f64 {
        median(&self.cpu)
    }

    fn peak(&self) -> f64 {
        median(&self.peak)
    }

    /// How far the samples of CPU time lie apart, relative to their median.
    fn spread(&self) -> f64 {
        let least = self.cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.cpu.iter().copied().fold(0.0, f64::max);
        (most - least) / self.cpu().max(f64::MIN_POSITIVE)
    }
}

/// The middle of the samples; of an even number, the mean of the middle two.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The geometric mean, or `None` of nothing.
fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let logs: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logs / values.len() as f64).exp())
}

/// One program's outcomes, in the order of the engines.
struct Measured {
    program: Program,
    outcomes: Vec<Outcome>,
}

impl Measured {
    /// The ratio of engine `index` to the base, by `value`.
    fn ratio(&self, index: usize, value: impl Fn(&Samples) -> f64) -> Option<f64> {
        match (&self.outcomes[0], &self.outcomes[index]) {
            (Outcome::Measured(base), Outcome::Measured(other)) => Some(value(other) / value(base)),
            _ => None,
        }
    }
}

/// An engine of the run, or why it cannot take part.
struct Contestant {
    name: String,
    engine: Result<Engine, String>,
}

/// `cargo xtask bench`.
///
/// # Errors
/// When an option is wrong or the programs cannot be read; not when an engine fails.
pub fn task(arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let options = options(arguments)?;
    let programs = programs::find(&options.programs)?;
    let contestants: Vec<Contestant> = options
        .engines
        .iter()
        .map(|name| Contestant {
            name: name.clone(),
            engine: peers::engine(name, options.build).map_err(|error| format!("{error:#}")),
        })
        .collect();
    let versions: Vec<String> = contestants
        .iter()
        .map(|contestant| match &contestant.engine {
            Ok(engine) => engine.version(),
            Err(error) => error.clone(),
        })
        .collect();

    let mut measured = Vec::new();
    for (place, program) in programs.iter().enumerate() {
        eprint!("\r\x1b[K[{}/{}] {}", place + 1, programs.len(), program.name);
        measured.push(measure_program(program, &contestants, &options));
    }
    eprint!("\r\x1b[K");

    println!("{}", per_program(&measured, &contestants));
    println!("{}", means(&measured, &contestants));
    for (contestant, version) in contestants.iter().zip(&versions) {
        println!("{}: {version}", contestant.name);
    }
    println!("median of {} interleaved runs; ratios to {}; lower is better", options.runs, contestants[0].name,);
    print_failures(&measured, &contestants);
    if let Some(file) = &options.json {
        let report = report(&measured, &contestants, &versions, &options);
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measure_program(program: &Program, contestants: &[Contestant], options: &Options) -> Measured {
    let mut outcomes: Vec<Outcome> = contestants
        .iter()
        .map(|contestant| match &contestant.engine {
            Err(_) => Outcome::Failed("absent".to_string()),
            Ok(engine) if engine.language.minor < program.oldest => Outcome::Failed(format!("5.{}+", program.oldest)),
            Ok(_) => Outcome::Measured(Samples::default()),
        })
        .collect();
    let mut expected: Option<Vec<u8>> = None;
    for _ in 0..options.runs {
        for (contestant, outcome) in contestants.iter().zip(&mut outcomes) {
            let (Ok(engine), Outcome::Measured(samples)) = (&contestant.engine, &mut *outcome) else {
                continue;
            };
            let mut command = engine.command();
            command.arg(&program.path);
            match judge(measure::run(&mut command, options.timeout), &mut expected) {
                Ok(run) => {
                    samples.cpu.push(run.cpu.as_secs_f64());
                    samples.peak.push(run.peak as f64);
                }
                Err(reason) => *outcome = Outcome::Failed(reason),
            }
        }
    }
    Measured { program: program.clone(), outcomes }
}

/// Accepts a run that succeeded and printed what was expected; else says why not.
fn judge(run: std::io::Result<Run>, expected: &mut Option<Vec<u8>>) -> Result<Run, String> {
    let run = run.map_err(|error| error.to_string())?;
    if !run.end.is_success() {
        let line = run.error_line();
        return Err(if line.is_empty() { run.end.words() } else { format!("{}: {line}", run.end.words()) });
    }
    match expected {
        None => *expected = Some(run.stdout.clone()),
        Some(expected) if *expected != run.stdout => return Err("output differs".to_string()),
        Some(_) => {}
    }
    Ok(run)
}

/// The first word or two of a reason, to fit a column.
fn brief(reason: &str) -> String {
    reason.split(':').next().unwrap_or(reason).to_string()
}

fn ratio_cell(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_string(), |ratio| format!("{ratio:.2}"))
}

fn per_program(measured: &[Measured], contestants: &[Contestant]) -> Table {
    let mut heading = vec!["program".to_string()];
    for (index, contestant) in contestants.iter().enumerate() {
        heading.push(format!("{} s", contestant.name));
        if index > 0 {
            heading.push("ratio".to_string());
            heading.push("memory".to_string());
        }
    }
    heading.push("spread".to_string());
    let mut table = Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for entry in measured {
        let mark = if entry.program.held_out { " *" } else { "" };
        let mut row = vec![format!("{}{mark}", entry.program.name)];
        let mut spread: f64 = 0.0;
        for (index, outcome) in entry.outcomes.iter().enumerate() {
            match outcome {
                Outcome::Measured(samples) => {
                    row.push(format!("{:.3}", samples.cpu()));
                    spread = spread.max(samples.spread());
                }
                Outcome::Failed(reason) => row.push(brief(reason)),
            }
            if index > 0 {
                row.push(ratio_cell(entry.ratio(index, Samples::cpu)));
                row.push(ratio_cell(entry.ratio(index, Samples::peak)));
            }
        }
        row.push(format!("{:.0}%", spread * 100.0));
        table.row(row);
    }
    table
}

fn means(measured: &[Measured], contestants: &[Contestant]) -> Table {
    let mut heading = vec!["geometric means".to_string(), "programs".to_string()];
    for contestant in &contestants[1..] {
        heading.push(contestant.name.clone());
        heading.push("memory".to_string());
    }
    let mut table = Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    let mut groups: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for entry in measured.iter().filter(|entry| !entry.program.held_out) {
        groups.entry(&entry.program.class).or_default().push(entry);
    }
    for (class, entries) in &groups {
        table.row(mean_row(class, entries, contestants.len()));
    }
    let (aside, tuned): (Vec<_>, Vec<_>) = measured.iter().partition(|entry| entry.program.held_out);
    table.row(mean_row("all", &tuned, contestants.len()));
    if !aside.is_empty() {
        table.row(mean_row("held out *", &aside, contestants.len()));
    }
    table
}

/// A mean counts the programs that both the base and the engine ran; where
/// these are fewer than the row's, their number stands behind the mean.
fn mean_row(name: &str, entries: &[&Measured], engines: usize) -> Vec<String> {
    let mut row = vec![name.to_string(), entries.len().to_string()];
    for index in 1..engines {
        let cpu: Vec<f64> = ratios(entries, index, Samples::cpu);
        let peak: Vec<f64> = ratios(entries, index, Samples::peak);
        let mut cell = ratio_cell(geometric_mean(&cpu));
        if cpu.len() < entries.len() && !cpu.is_empty() {
            cell = format!("{cell} ({})", cpu.len());
        }
        row.push(cell);
        row.push(ratio_cell(geometric_mean(&peak)));
    }
    row
}

fn ratios(entries: &[&Measured], index: usize, value: impl Fn(&Samples) -> f64) -> Vec<f64> {
    entries.iter().filter_map(|entry| entry.ratio(index, &value)).collect()
}

fn print_failures(measured: &[Measured], contestants: &[Contestant]) {
    for entry in measured {
        for (contestant, outcome) in contestants.iter().zip(&entry.outcomes) {
            if let (Ok(_), Outcome::Failed(reason)) = (&contestant.engine, outcome)
                && !reason.starts_with("5.")
            {
                println!("{} on {}: {reason}", contestant.name, entry.program.name);
            }
        }
    }
}

fn report(
    measured: &[Measured],
    contestants: &[Contestant],
    versions: &[String],
    options: &Options,
) -> serde_json::Value {
    let engines: Vec<_> = contestants
        .iter()
        .zip(versions)
        .map(|(contestant, version)| json!({ "name": contestant.name, "version": version }))
        .collect();
    let programs: Vec<_> = measured
        .iter()
        .map(|entry| {
            let outcomes: BTreeMap<_, _> = contestants
                .iter()
                .zip(&entry.outcomes)
                .map(|(contestant, outcome)| (contestant.name.clone(), outcome_json(outcome)))
                .collect();
            json!({
                "program": entry.program.name,
                "class": entry.program.class,
                "held_out": entry.program.held_out,
                "engines": outcomes,
            })
        })
        .collect();
    json!({ "runs": options.runs, "engines": engines, "programs": programs })
}

fn outcome_json(outcome: &Outcome) -> serde_json::Value {
    match outcome {
        Outcome::Measured(samples) => json!({
            "cpu_seconds": samples.cpu,
            "cpu_median": samples.cpu(),
            "peak_bytes": samples.peak(),
        }),
        Outcome::Failed(reason) => json!({ "failed": reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn the_geometric_mean_of_a_half_and_a_double_is_one() {
        let mean = geometric_mean(&[0.5, 2.0]).expect("not empty");
        assert!((mean - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean(&[]), None);
    }
}
