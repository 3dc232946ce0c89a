//! The contest: engines run one program in turns (A B A B ...), so that a change in the machine's mood falls on all
//! alike. Outputs must agree byte for byte with those of the first engine that ran.
//!
//! On a quiet machine the rounds that were asked for settle the medians. Where one is still uncertain by more than
//! [`CERTAIN`], all engines go on in turns, until none is, or the program has had [`MOST`] times the rounds, or its
//! [`SHARE`] of the time.

use std::time::Duration;

use super::progress::Progress;
use super::samples::{Samples, geometric_mean};
use crate::measure::{self, Run};
use crate::peers::{self, Build, Engine};
use crate::programs::Program;

/// An engine of the run, or why it cannot take part.
pub struct Contestant {
    /// What it is called in tables and reports.
    pub name: String,
    /// The engine, or why there is none.
    pub engine: Result<Engine, String>,
}

impl Contestant {
    /// The engine of a name that [`peers::engine`] knows.
    pub fn named(name: &str, build: Build) -> Self {
        let engine = peers::engine(name, build).map_err(|error| format!("{error:#}"));
        Contestant { name: name.to_string(), engine }
    }

    /// What the engine says it is, or why it is absent.
    pub fn version(&self) -> String {
        match &self.engine {
            Ok(engine) => engine.version(),
            Err(error) => error.clone(),
        }
    }
}

/// What one engine did with one program.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Every run succeeded and agreed.
    Measured(Samples),
    /// It is not counted, for this reason.
    Failed(String),
}

impl Outcome {
    /// Whether another run would tell nothing new.
    fn is_settled(&self) -> bool {
        match self {
            Outcome::Measured(samples) => samples.uncertainty() <= CERTAIN,
            Outcome::Failed(_) => true,
        }
    }
}

/// One program's outcomes, in the order of the engines.
pub struct Measured {
    /// The program.
    pub program: Program,
    /// What each engine did with it.
    pub outcomes: Vec<Outcome>,
}

impl Measured {
    /// The ratio of engine `index` to the base, by `value`.
    pub fn ratio(&self, index: usize, value: impl Fn(&Samples) -> f64) -> Option<f64> {
        match (&self.outcomes[0], &self.outcomes[index]) {
            (Outcome::Measured(base), Outcome::Measured(other)) => Some(value(other) / value(base)),
            _ => None,
        }
    }
}

/// The ratios of engine `index` to the base, of the programs that both ran.
pub fn ratios<'a>(
    entries: impl IntoIterator<Item = &'a Measured>,
    index: usize,
    value: impl Fn(&Samples) -> f64,
) -> Vec<f64> {
    entries.into_iter().filter_map(|entry| entry.ratio(index, &value)).collect()
}

/// The geometric mean of [`ratios`].
pub fn mean_ratio<'a>(
    entries: impl IntoIterator<Item = &'a Measured>,
    index: usize,
    value: impl Fn(&Samples) -> f64,
) -> Option<f64> {
    geometric_mean(&ratios(entries, index, value))
}

/// How uncertain a median may be, as [`Samples::uncertainty`] tells: two of them then differ by less than 3 %.
const CERTAIN: f64 = 0.01;

/// How many times the rounds that were asked for there are at most.
const MOST: usize = 3;

/// CPU time of a program on each engine, beyond which no rounds are added: all programs on three engines stay below
/// twelve minutes.
const SHARE: Duration = Duration::from_millis(1900);

/// Runs every program on every engine `runs` times, and more often where the runs disagree.
pub fn hold(programs: &[Program], contestants: &[Contestant], runs: usize, limit: Duration) -> Vec<Measured> {
    let mut progress = Progress::new(programs.len() * contestants.len() * runs);
    programs.iter().map(|program| measure_program(program, contestants, runs, limit, &mut progress)).collect()
}

fn measure_program(
    program: &Program,
    contestants: &[Contestant],
    runs: usize,
    limit: Duration,
    progress: &mut Progress,
) -> Measured {
    let mut outcomes: Vec<Outcome> = contestants
        .iter()
        .map(|contestant| match &contestant.engine {
            Err(_) => Outcome::Failed("absent".to_string()),
            Ok(engine) if engine.language.minor < program.oldest => Outcome::Failed(format!("5.{}+", program.oldest)),
            Ok(_) => Outcome::Measured(Samples::default()),
        })
        .collect();
    let mut expected: Option<Vec<u8>> = None;
    let mut spent = Duration::ZERO;
    let share = SHARE * contestants.len() as u32;
    for round in 0..runs * MOST {
        if round >= runs && (spent > share || outcomes.iter().all(Outcome::is_settled)) {
            break;
        }
        for (contestant, outcome) in contestants.iter().zip(&mut outcomes) {
            progress.step(&program.name, &contestant.name, round < runs);
            let (Ok(engine), Outcome::Measured(samples)) = (&contestant.engine, &mut *outcome) else {
                continue;
            };
            let mut command = engine.command();
            command.arg(&program.path);
            match judge(measure::run(&mut command, limit), &mut expected) {
                Ok(run) => {
                    spent += run.cpu;
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
