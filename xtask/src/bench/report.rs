//! A run as JSON, with every sample.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::contest::{Contestant, Measured, Outcome, mean_ratio};
use super::samples::Samples;

/// The whole run.
pub fn report(measured: &[Measured], contestants: &[Contestant], versions: &[String], runs: usize) -> Value {
    let engines: Vec<_> = contestants
        .iter()
        .zip(versions)
        .enumerate()
        .map(|(index, (contestant, version))| {
            let mean = |aside: bool, value: fn(&Samples) -> f64| {
                mean_ratio(measured.iter().filter(|entry| entry.program.held_out == aside), index, value)
            };
            json!({
                "name": contestant.name,
                "version": version,
                "mean_cpu_ratio": mean(false, Samples::cpu),
                "mean_cpu_ratio_held_out": mean(true, Samples::cpu),
                "mean_peak_ratio": mean(false, Samples::peak),
            })
        })
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
    json!({ "runs": runs, "engines": engines, "programs": programs })
}

fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Measured(samples) => json!({
            "cpu_seconds": samples.cpu,
            "cpu_median": samples.cpu(),
            "cpu_spread": samples.spread(),
            "peak_bytes": samples.peak(),
        }),
        Outcome::Failed(reason) => json!({ "failed": reason }),
    }
}
