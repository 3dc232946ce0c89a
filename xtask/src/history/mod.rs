//! `perf-history/`: one JSON file per measurement, written by `cargo xtask bench --against REV` and by nothing else.
//!
//! | module | question it answers |
//! |---|---|
//! | [`record`] | what a record holds, and what counts as a regression |
//! | [`machine`] | where we are, and which commits these are |
//! | [`report`] | how a record reads below a change |

pub mod machine;
pub mod record;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};

use record::Record;

use crate::table::Table;
use crate::{peers, root};

/// Where the records are.
pub fn directory() -> PathBuf {
    root().join("perf-history")
}

fn schema_file() -> PathBuf {
    directory().join("schema.json")
}

/// All records, oldest first.
///
/// # Errors
/// When one is not as the format wants it.
pub fn read() -> anyhow::Result<Vec<Record>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory()).context("perf-history")? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "json") && path != schema_file() {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|file| read_one(file).with_context(|| peers::relative(file))).collect()
}

fn read_one(file: &std::path::Path) -> anyhow::Result<Record> {
    let record: Record = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    if let Some(problem) = record.problem() {
        bail!("{problem}");
    }
    if file.file_name().is_none_or(|name| name != record.file_name().as_str()) {
        bail!("its name should be {}", record.file_name());
    }
    Ok(record)
}

/// Writes a record: its path.
///
/// # Errors
/// When it cannot be written, or is not valid.
pub fn append(record: &Record) -> anyhow::Result<PathBuf> {
    if let Some(problem) = record.problem() {
        bail!("the record is invalid: {problem}");
    }
    let file = directory().join(record.file_name());
    std::fs::write(&file, pretty(record)?).with_context(|| peers::relative(&file))?;
    Ok(file)
}

fn pretty(value: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// The schema of records as the types give it.
fn schema() -> anyhow::Result<String> {
    pretty(&schemars::schema_for!(Record))
}

/// `cargo xtask history`: lists and checks the records, reports the newest one in Markdown, or writes the schema.
///
/// # Errors
/// When a record is invalid.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    match arguments.next()? {
        None => list(),
        Some(lexopt::Arg::Long("schema")) => {
            std::fs::write(schema_file(), schema()?)?;
            println!("written: {}", peers::relative(&schema_file()));
            Ok(ExitCode::SUCCESS)
        }
        Some(lexopt::Arg::Long("report")) => {
            let records = read()?;
            print!("{}", report::markdown(records.last().context("there is no record")?));
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut table = Table::new(&["date", "head", "base", "head/base", "to puc54", "regressions", "subject"]);
    for record in read()? {
        let mean = |engine: &str| {
            let mean = record.means.get(engine).and_then(|means| means.cpu);
            mean.map_or("-".to_string(), |mean| format!("{mean:.3}"))
        };
        table.row(vec![
            record.date.clone(),
            record::short(&record.head.id).to_string(),
            record::short(&record.base.id).to_string(),
            mean(record::BASE),
            mean("puc54"),
            record.regressions.len().to_string(),
            record.head.subject.clone(),
        ]);
    }
    print!("{table}");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::record::{BASE, Commit, FORMAT, HEAD, Machine, Pair, ProgramRecord, Reading};
    use super::*;

    fn commit(letter: &str) -> Commit {
        Commit { id: letter.repeat(40), date: "2026-01-01T00:00:00Z".into(), subject: "A change".into() }
    }

    /// A record of one program and one scenario.
    pub fn record(ratio: f64, count: u64) -> Record {
        let ran = |cpu| Reading::Ran { cpu, spread: 0.01, peak: 4096, runs: 5 };
        let mut record = Record {
            format: FORMAT,
            date: "2026-01-31T12:00:00Z".into(),
            head: commit("a"),
            base: commit("b"),
            machine: Machine {
                cpu: "any".into(),
                cores: 2,
                arch: "x86_64".into(),
                os: "linux".into(),
                rustc: "1".into(),
            },
            command: "cargo xtask bench".into(),
            runs: 5,
            engines: [HEAD, BASE].map(|name| (name.to_string(), "v".to_string())).into(),
            programs: vec![ProgramRecord {
                name: "sorting/quick".into(),
                class: "sorting".into(),
                held_out: false,
                engines: [(HEAD.to_string(), ran(ratio)), (BASE.to_string(), ran(1.0))].into(),
                ratios: [(BASE.to_string(), ratio)].into(),
            }],
            means: BTreeMap::new(),
            counts: Some(Pair {
                base: [("interp/calls".to_string(), 1000)].into(),
                head: [("interp/calls".to_string(), count), ("interp/new".to_string(), 7)].into(),
            }),
            budgets: None,
            regressions: Vec::new(),
        };
        record.regressions = record.find_regressions();
        record
    }

    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let committed = std::fs::read_to_string(schema_file()).expect("perf-history/schema.json");
        assert_eq!(committed, schema().expect("a schema"), "`cargo xtask history --schema` writes it");
    }

    #[test]
    fn the_committed_records_are_valid() {
        read().expect("all records are valid");
    }

    #[test]
    fn regressions_are_named_beyond_the_tolerances() {
        assert_eq!(record(1.14, 1019).regressions, Vec::<String>::new());
        let found = record(1.16, 1030).regressions;
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("sorting/quick: 1.16 times"));
        assert!(found[1].starts_with("interp/calls: +3.0% instructions"));
    }

    #[test]
    fn a_record_survives_its_file() {
        let text = pretty(&record(1.0, 1000)).expect("it is JSON");
        let back: Record = serde_json::from_str(&text).expect("it is a record");
        assert_eq!(pretty(&back).expect("it is JSON"), text);
        assert_eq!(back.file_name(), "20260131T120000Z-aaaaaaaaaa-bbbbbbbbbb.json");
    }

    #[test]
    fn unknown_fields_and_impossible_numbers_are_refused() {
        let mut value = serde_json::to_value(record(1.0, 1000)).expect("it is JSON");
        value["mood"] = "fine".into();
        assert!(serde_json::from_value::<Record>(value).is_err());
        let mut wrong = record(1.0, 1000);
        wrong.head.id = "a".into();
        assert!(wrong.problem().is_some());
        assert!(record(-1.0, 1000).problem().is_some());
        let mut hidden = record(2.0, 1000);
        hidden.regressions.clear();
        assert!(hidden.problem().is_some());
    }
}
