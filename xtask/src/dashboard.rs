//! `cargo xtask dashboard --out DIR`: the page that shows the measurements, ready to be published as it is.
//!
//! Two files of data go beside the page of `docs/dashboard/`:
//!
//! * `history.js`, all records turned into columns (one list per program and engine, with an element per record): a few
//!   bytes per number, so that hundreds of records fit a phone;
//! * `data.js`, the same ratios in the format that other tools for benchmarks in a repository write and read. Entries that
//!   such a tool has put into an existing `data.js` of another suite are kept.
//!
//! Both are scripts that set a global, so that the page works from a file system too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use crate::history;
use crate::history::record::{BASE, HEAD, Pair, Reading, Record};
use crate::root;

/// The suite's name in `data.js`.
const SUITE: &str = "Perilune";

/// What `data.js` begins with.
const DATA_PREFIX: &str = "window.BENCHMARK_DATA = ";

/// `cargo xtask dashboard`.
///
/// # Errors
/// When a record is invalid or the directory cannot be written.
pub fn task(mut arguments: lexopt::Parser) -> anyhow::Result<ExitCode> {
    let mut out: Option<PathBuf> = None;
    let mut repository = env!("CARGO_PKG_REPOSITORY").to_string();
    while let Some(argument) = arguments.next()? {
        use lexopt::prelude::*;
        match argument {
            Long("out") => out = Some(arguments.value()?.into()),
            Long("repository") => repository = arguments.value()?.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(out) = out else { bail!("--out DIR is missing") };
    let records = history::read()?;
    copy(&root().join("docs/dashboard"), &out)?;
    let history = format!("window.PERF_HISTORY = {};\n", columns(&records, &repository));
    std::fs::write(out.join("history.js"), history)?;
    let data = out.join("data.js");
    let before = std::fs::read_to_string(&data).ok();
    std::fs::write(&data, format!("{DATA_PREFIX}{}\n", data_js(&records, &repository, before.as_deref())))?;
    println!("{} records: {}", records.len(), out.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

/// Copies a folder's files; what serves development only stays behind.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else if path.extension().is_none_or(|suffix| suffix != "mjs" && suffix != "md") {
            std::fs::copy(&path, to.join(name)).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Four digits are more than a measurement has.
fn rounded(value: f64) -> Value {
    if value == 0.0 || !value.is_finite() {
        return json!(0);
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    json!((value * scale).round() / scale)
}

/// All records, turned into columns.
fn columns(records: &[Record], repository: &str) -> Value {
    let rows: Vec<Value> = records
        .iter()
        .map(|record| {
            json!({
                "date": record.date,
                "head": record.head,
                "base": record.base,
                "machine": record.machine,
                "runs": record.runs,
                "engines": record.engines,
                "means": record.means,
                "regressions": record.regressions,
            })
        })
        .collect();
    json!({
        "repository": repository,
        "records": rows,
        "programs": programs(records),
        "counts": numbers(records, |record| record.counts.as_ref(), |&count| json!(count)),
        "budgets": numbers(records, |record| record.budgets.as_ref(), |&number| rounded(number)),
    })
}

/// For each program: its class, and a list per number with an element per record.
fn programs(records: &[Record]) -> Value {
    let names: BTreeSet<&str> = records.iter().flat_map(|r| r.programs.iter().map(|p| p.name.as_str())).collect();
    let column = |name: &str, value: &dyn Fn(&history::record::ProgramRecord) -> Option<Value>| -> Vec<Value> {
        let of = |record: &Record| record.programs.iter().find(|program| program.name == name).and_then(value);
        records.iter().map(|record| of(record).unwrap_or(Value::Null)).collect()
    };
    let mut all = Map::new();
    for name in names {
        let Some(newest) = records.iter().rev().find_map(|r| r.programs.iter().find(|p| p.name == name)) else {
            continue;
        };
        let engines: BTreeSet<&str> = records
            .iter()
            .flat_map(|record| record.engines.keys())
            .map(String::as_str)
            .filter(|e| *e != HEAD)
            .collect();
        let ratios: Map<String, Value> = engines
            .into_iter()
            .map(|engine| {
                let ratios = column(name, &|program| program.ratios.get(engine).copied().map(rounded));
                (engine.to_string(), ratios.into())
            })
            .collect();
        let ran = |number: fn(f64, u64) -> f64| {
            column(name, &|program| match program.engines.get(HEAD)? {
                Reading::Ran { spread, peak, .. } => Some(rounded(number(*spread, *peak))),
                Reading::Failed { .. } => None,
            })
        };
        let failure = newest.engines.get(HEAD).and_then(|reading| match reading {
            Reading::Failed { failed } => Some(failed.clone()),
            Reading::Ran { .. } => None,
        });
        all.insert(
            name.to_string(),
            json!({
                "class": newest.class,
                "heldOut": newest.held_out,
                "ratios": ratios,
                "spread": ran(|spread, _| spread),
                "peak": ran(|_, peak| peak as f64),
                "failure": failure,
            }),
        );
    }
    all.into()
}

/// For each name: the head's numbers, with an element per record, and the newest base's.
fn numbers<T>(
    records: &[Record],
    pair: impl Fn(&Record) -> Option<&Pair<T>>,
    shown: impl Fn(&T) -> Value,
) -> Map<String, Value> {
    let names: BTreeSet<&String> = records.iter().filter_map(&pair).flat_map(|pair| pair.head.keys()).collect();
    let newest = records.iter().rev().find_map(&pair);
    names
        .into_iter()
        .map(|name| {
            let of = |numbers: Option<&BTreeMap<String, T>>| {
                numbers.and_then(|numbers| numbers.get(name)).map_or(Value::Null, &shown)
            };
            let head: Vec<Value> = records.iter().map(|record| of(pair(record).map(|pair| &pair.head))).collect();
            (name.clone(), json!({ "head": head, "base": of(newest.map(|pair| &pair.base)) }))
        })
        .collect()
}

/// The records as `data.js`, beside the suites that `before` has.
fn data_js(records: &[Record], repository: &str, before: Option<&str>) -> Value {
    let known: Option<Value> = before
        .and_then(|text| text.trim().strip_prefix(DATA_PREFIX))
        .and_then(|text| serde_json::from_str(text.trim_end_matches(';')).ok());
    let mut entries = match known.as_ref().and_then(|data| data["entries"].as_object()) {
        Some(entries) => entries.clone(),
        None => Map::new(),
    };
    let ours: Vec<Value> = records.iter().map(|record| data_entry(record, repository)).collect();
    let newest = ours.last().map_or(json!(0), |entry| entry["date"].clone());
    entries.insert(SUITE.to_string(), ours.into());
    json!({ "lastUpdate": newest, "repoUrl": repository, "entries": entries })
}

fn data_entry(record: &Record, repository: &str) -> Value {
    let milliseconds = record.date.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond);
    let peers: Vec<&String> = record.engines.keys().filter(|engine| ![HEAD, BASE].contains(&engine.as_str())).collect();
    let mut benches = Vec::new();
    for peer in &peers {
        if let Some(mean) = record.means.get(*peer).and_then(|means| means.cpu) {
            let unit = format!("of {peer}");
            benches.push(json!({ "name": format!("mean/{peer}"), "value": rounded(mean), "unit": unit }));
        }
        for program in &record.programs {
            let Some(ratio) = program.ratios.get(*peer) else { continue };
            let spread = match program.engines.get(HEAD) {
                Some(Reading::Ran { spread, .. }) => format!("± {:.1}%", spread * 50.0),
                Some(Reading::Failed { .. }) | None => String::new(),
            };
            benches.push(json!({
                "name": format!("{}/{peer}", program.name),
                "value": rounded(*ratio),
                "unit": format!("of {peer}"),
                "range": spread,
            }));
        }
    }
    json!({
        "commit": {
            "id": record.head.id,
            "message": record.head.subject,
            "timestamp": record.head.date,
            "url": format!("{repository}/commit/{}", record.head.id),
        },
        "date": milliseconds,
        "tool": "customSmallerIsBetter",
        "benches": benches,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(rounded(0.123_456), json!(0.1235));
        assert_eq!(rounded(123_456.0), json!(123_500.0));
        assert_eq!(rounded(0.0), json!(0));
    }

    #[test]
    fn suites_of_other_tools_are_kept() {
        let before = "window.BENCHMARK_DATA = {\"entries\": {\"Other\": [{\"date\": 1}]}}\n";
        let data = data_js(&[], "https://example.org/project", Some(before));
        assert_eq!(data["entries"]["Other"][0]["date"], json!(1));
        assert_eq!(data["entries"][SUITE], json!([]));
        assert_eq!(data["repoUrl"], json!("https://example.org/project"));
    }
}
