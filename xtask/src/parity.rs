//! How far Perilune agrees with the references: verdicts on single runs, and their counts by version and area.

use std::collections::BTreeMap;
use std::fmt;

use perilune_base::dialect::LuaVersion;
use serde_json::{Value, json};

use crate::table::Table;

/// What came of running one fixture in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both did the same.
    Agrees,
    /// They differ, and the fixture's header says so.
    Known,
    /// They differ.
    Differs,
    /// They agree where the header says that they differ.
    Outdated,
}

impl Verdict {
    /// Whether nothing is to be done about it.
    pub fn is_fine(self) -> bool {
        matches!(self, Verdict::Agrees | Verdict::Known)
    }

    fn name(self) -> &'static str {
        match self {
            Verdict::Agrees => "agrees",
            Verdict::Known => "known",
            Verdict::Differs => "differs",
            Verdict::Outdated => "outdated",
        }
    }
}

/// One fixture in one version.
pub struct Case {
    /// The fixture's name.
    pub fixture: String,
    /// What it belongs to.
    pub area: String,
    /// The version.
    pub version: LuaVersion,
    /// What came of it.
    pub verdict: Verdict,
    /// What differs, in lines.
    pub differences: Vec<String>,
}

impl Case {
    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "fixture": self.fixture,
            "version": self.version.number(),
            "verdict": self.verdict.name(),
            "differences": self.differences,
        })
    }
}

/// Agreeing and all runs.
#[derive(Clone, Copy, Default)]
struct Count {
    agreeing: usize,
    known: usize,
    all: usize,
}

impl Count {
    fn add(&mut self, verdict: Verdict) {
        self.all += 1;
        self.agreeing += usize::from(verdict == Verdict::Agrees);
        self.known += usize::from(verdict == Verdict::Known);
    }

    fn shown(self) -> String {
        match self {
            Count { all: 0, .. } => String::new(),
            Count { agreeing, known: 0, all } => format!("{agreeing}/{all}"),
            Count { agreeing, known, all } => format!("{agreeing}+{known}/{all}"),
        }
    }
}

/// The counts of all areas in all versions.
pub struct Parity(BTreeMap<String, BTreeMap<LuaVersion, Count>>);

/// The row of all areas.
const TOTAL: &str = "all";

impl Parity {
    /// Counts.
    pub fn of(cases: &[Case]) -> Parity {
        let mut counts: BTreeMap<String, BTreeMap<LuaVersion, Count>> = BTreeMap::new();
        for case in cases {
            for area in [&case.area[..], TOTAL] {
                counts.entry(area.to_owned()).or_default().entry(case.version).or_default().add(case.verdict);
            }
        }
        Parity(counts)
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let of_area = |counts: &BTreeMap<LuaVersion, Count>| -> Value {
            counts
                .iter()
                .map(|(version, count)| {
                    let count = json!({ "agree": count.agreeing, "known": count.known, "all": count.all });
                    (version.number().to_owned(), count)
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        self.0.iter().map(|(area, counts)| (area.clone(), of_area(counts))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl fmt::Display for Parity {
    /// A table of areas and versions: runs that agree, `+` known divergences, of all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = vec!["area"];
        head.extend(LuaVersion::ALL.iter().map(|version| version.number()));
        let mut table = Table::new(&head);
        let areas = self.0.iter().filter(|(area, _)| *area != TOTAL);
        for (area, counts) in areas.chain(self.0.get_key_value(TOTAL)) {
            let mut cells = vec![area.clone()];
            cells.extend(LuaVersion::ALL.iter().map(|v| counts.get(v).copied().unwrap_or_default().shown()));
            table.row(cells);
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_divergences_are_counted_apart() {
        let case = |verdict| Case {
            fixture: "stdlib/os/date".to_owned(),
            area: "stdlib/os".to_owned(),
            version: LuaVersion::Lua53,
            verdict,
            differences: Vec::new(),
        };
        let parity = Parity::of(&[case(Verdict::Agrees), case(Verdict::Known), case(Verdict::Differs)]);
        assert!(parity.to_string().contains("1+1/3"), "{parity}");
        assert_eq!(parity.json()["all"]["5.3"]["all"], 3);
    }
}
