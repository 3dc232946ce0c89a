//! What a run prints: a row per program, means per class, and a line for each failure.

use std::collections::BTreeMap;

use super::contest::{Contestant, Measured, Outcome, ratios};
use super::samples::{Samples, geometric_mean};
use crate::table::Table;

/// A row per program: seconds, ratios of time and memory, and the widest spread. A star marks a held-out program.
pub fn per_program(measured: &[Measured], contestants: &[Contestant]) -> Table {
    let mut heading = vec!["program".to_string()];
    for (index, contestant) in contestants.iter().enumerate() {
        heading.push(format!("{} s", contestant.name));
        if index == 0 {
            heading.push("MiB".to_string());
        } else {
            heading.push("ratio".to_string());
            heading.push("memory".to_string());
        }
    }
    heading.push("spread".to_string());
    let mut table = Table::new(&heading.iter().map(String::as_str).collect::<Vec<_>>());
    for entry in measured {
        table.row(program_row(entry));
    }
    table
}

fn program_row(entry: &Measured) -> Vec<String> {
    let mark = if entry.program.held_out { " *" } else { "" };
    let mut row = vec![format!("{}{mark}", entry.program.name)];
    let mut spread: f64 = 0.0;
    for (index, outcome) in entry.outcomes.iter().enumerate() {
        let mut memory = "-".to_string();
        match outcome {
            Outcome::Measured(samples) => {
                row.push(format!("{:.3}", samples.cpu()));
                memory = format!("{:.1}", samples.peak() / f64::from(1 << 20));
                spread = spread.max(samples.spread());
            }
            Outcome::Failed(reason) => row.push(brief(reason)),
        }
        if index == 0 {
            row.push(memory);
        } else {
            row.push(ratio_cell(entry.ratio(index, Samples::cpu)));
            row.push(ratio_cell(entry.ratio(index, Samples::peak)));
        }
    }
    row.push(format!("{:.0}%", spread * 100.0));
    row
}

/// The first word or two of a reason, to fit a column.
fn brief(reason: &str) -> String {
    reason.split(':').next().unwrap_or(reason).to_string()
}

/// A ratio with two decimals, or a dash.
pub fn ratio_cell(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_string(), |ratio| format!("{ratio:.2}"))
}

/// Geometric means per class, over all, and over the held-out programs.
pub fn means(measured: &[Measured], contestants: &[Contestant]) -> Table {
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
        let cpu: Vec<f64> = ratios(entries.iter().copied(), index, Samples::cpu);
        let peak: Vec<f64> = ratios(entries.iter().copied(), index, Samples::peak);
        let mut cell = ratio_cell(geometric_mean(&cpu));
        if cpu.len() < entries.len() && !cpu.is_empty() {
            cell = format!("{cell} ({})", cpu.len());
        }
        row.push(cell);
        row.push(ratio_cell(geometric_mean(&peak)));
    }
    row
}

/// A line for each engine that failed on a program it was expected to run.
pub fn failures(measured: &[Measured], contestants: &[Contestant]) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in measured {
        for (contestant, outcome) in contestants.iter().zip(&entry.outcomes) {
            if let (Ok(_), Outcome::Failed(reason)) = (&contestant.engine, outcome)
                && !reason.starts_with("5.")
            {
                lines.push(format!("{} on {}: {reason}", contestant.name, entry.program.name));
            }
        }
    }
    lines
}
