//! A record: what one measurement of two commits on one machine gave.
//!
//! These types are the format. `perf-history/schema.json` is made from them, and a test compares; a field that is not
//! here makes a record invalid. Absent numbers are absent keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of this format. A reader refuses others.
pub const FORMAT: u32 = 1;

/// The two measured builds, as they are called among the engines.
pub const HEAD: &str = "head";
/// See [`HEAD`].
pub const BASE: &str = "base";

/// One measurement of two commits on one machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The number of the format.
    pub format: u32,
    /// When the measurement ended, in UTC, as `2026-01-31T12:00:00Z`.
    pub date: String,
    /// The commit that is judged.
    pub head: Commit,
    /// The commit it is compared with.
    pub base: Commit,
    /// Where it was measured.
    pub machine: Machine,
    /// The command that measured.
    pub command: String,
    /// Runs that were asked for, of each program on each engine, interleaved.
    pub runs: u32,
    /// The engines and their versions; `head` and `base` are the two commits.
    pub engines: BTreeMap<String, String>,
    /// The programs.
    pub programs: Vec<ProgramRecord>,
    /// Geometric means of the ratios of `head` to each other engine.
    pub means: BTreeMap<String, Means>,
    /// Instructions of the scenarios, where they were counted.
    pub counts: Option<Pair<u64>>,
    /// What operations allocate, where it was measured: `operation/number`.
    pub budgets: Option<Pair<f64>>,
    /// What got worse by more than is allowed, in words.
    pub regressions: Vec<String>,
}

/// A commit of this project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its full name.
    pub id: String,
    /// Its date, as git shows it in ISO 8601.
    pub date: String,
    /// The first line of its message.
    pub subject: String,
}

/// A machine, as far as numbers depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that may be used.
    pub cores: u32,
    /// The architecture.
    pub arch: String,
    /// The operating system.
    pub os: String,
    /// The compiler.
    pub rustc: String,
}

/// A program on all engines.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramRecord {
    /// `class/name`.
    pub name: String,
    /// The class.
    pub class: String,
    /// Whether it was kept aside while tuning.
    pub held_out: bool,
    /// What each engine did.
    pub engines: BTreeMap<String, Reading>,
    /// CPU time of `head` relative to each engine that ran it.
    pub ratios: BTreeMap<String, f64>,
}

/// What one engine did with one program.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Reading {
    /// It ran.
    Ran {
        /// Median of CPU seconds.
        cpu: f64,
        /// How far the samples lie apart, relative to the median.
        spread: f64,
        /// Median of peak resident bytes.
        peak: u64,
        /// How often: more often than was asked for where the runs disagreed.
        runs: u32,
    },
    /// It did not, for this reason.
    Failed {
        /// The reason.
        failed: String,
    },
}

/// Geometric means of ratios.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Means {
    /// CPU time, over the programs that are not held out.
    pub cpu: Option<f64>,
    /// CPU time, over those that are.
    pub cpu_held_out: Option<f64>,
    /// Peak memory, over the programs that are not held out.
    pub peak: Option<f64>,
}

/// Numbers of both commits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pair<T> {
    /// Those of the base; what it does not have yet is absent.
    pub base: BTreeMap<String, T>,
    /// Those of the head.
    pub head: BTreeMap<String, T>,
}

/// How much slower a program may get before it is named.
pub const TIME_TOLERANCE: f64 = 0.15;

impl Record {
    /// What got worse by more than is allowed: CPU time of a program, instructions of a scenario.
    pub fn find_regressions(&self) -> Vec<String> {
        let slower = self.programs.iter().filter_map(|program| {
            let ratio = *program.ratios.get(BASE)?;
            (ratio > 1.0 + TIME_TOLERANCE)
                .then(|| format!("{}: {ratio:.2} times the CPU time of the base", program.name))
        });
        let longer = self.counts.iter().flat_map(|counts| {
            counts.head.iter().filter_map(|(name, &head)| {
                let base = *counts.base.get(name)?;
                let change = head as f64 / base as f64 - 1.0;
                (change > crate::counts::TOLERANCE)
                    .then(|| format!("{name}: {:+.1}% instructions, from {base} to {head}", change * 100.0))
            })
        });
        slower.chain(longer).collect()
    }

    /// The name of the file: sorted by name is sorted by date.
    pub fn file_name(&self) -> String {
        let date: String = self.date.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        format!("{date}-{}-{}.json", short(&self.head.id), short(&self.base.id))
    }

    /// What is wrong beyond the types, if anything.
    pub fn problem(&self) -> Option<String> {
        let is_id = |id: &str| id.len() == 40 && id.chars().all(|c| c.is_ascii_hexdigit());
        if self.format != FORMAT {
            return Some(format!("format {}, not {FORMAT}", self.format));
        }
        for commit in [&self.head, &self.base] {
            if !is_id(&commit.id) {
                return Some(format!("{:?} names no commit", commit.id));
            }
        }
        for program in &self.programs {
            for (engine, reading) in &program.engines {
                if !self.engines.contains_key(engine) {
                    return Some(format!("{} was run on {engine}, which is not among the engines", program.name));
                }
                if let Reading::Ran { cpu, spread, peak, runs } = reading
                    && !(*cpu > 0.0 && *spread >= 0.0 && *peak > 0 && *runs > 0)
                {
                    return Some(format!("{} on {engine} has impossible numbers", program.name));
                }
            }
        }
        (self.find_regressions() != self.regressions)
            .then(|| "its regressions are not those of its numbers".to_string())
    }
}

/// The first letters of a commit's name.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
