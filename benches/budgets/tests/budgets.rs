//! Readings stay within the committed budgets, and the budgets within what the project promises.

use std::collections::BTreeMap;

use perilune_budgets::{Reading, readings};

const BUDGETS: &str = include_str!("../budgets.toml");

/// Bytes per operation, of the heap or of the system, that no budget may exceed. They are not added up: the system's
/// include the blocks that the heap's come from.
const PROMISED: &[(&str, f64)] = &[
    ("call/lua", 0.0),
    ("call/method", 0.0),
    ("call/userdata-method", 0.0),
    ("string/match", 50.0),
    ("string/gsub", 200.0),
    ("string/format", 100.0),
];

fn budgets() -> BTreeMap<String, Reading> {
    let rows: toml::Table = BUDGETS.parse().expect("budgets.toml is well formed");
    rows.into_iter()
        .map(|(name, row)| {
            let number = |key: &str| row.get(key).and_then(toml::Value::as_integer).map(|n| n as f64);
            let budget = Reading {
                heap_bytes: number("heap_bytes").unwrap_or_else(|| panic!("{name} has no heap_bytes")),
                host_allocations: number("host_allocations")
                    .unwrap_or_else(|| panic!("{name} has no host_allocations")),
                host_bytes: number("host_bytes").unwrap_or_else(|| panic!("{name} has no host_bytes")),
            };
            (name, budget)
        })
        .collect()
}

#[test]
fn nothing_allocates_more_than_its_budget() {
    let budgets = budgets();
    let readings = readings();
    let mut problems = Vec::new();
    for (&name, reading) in &readings {
        let Some(budget) = budgets.get(name) else {
            problems.push(format!("{name} has no budget"));
            continue;
        };
        for ((number, value), (_, allowed)) in reading.numbers().into_iter().zip(budget.numbers()) {
            if value > allowed {
                problems.push(format!("{name}: {number} is {value}, budget {allowed}"));
            }
        }
    }
    for name in budgets.keys().filter(|name| !readings.contains_key(name.as_str())) {
        problems.push(format!("{name} has a budget but no scenario"));
    }
    assert!(problems.is_empty(), "{} problems in benches/budgets:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_budgets_keep_what_is_promised() {
    let budgets = budgets();
    for (name, most) in PROMISED {
        let budget = budgets.get(*name).unwrap_or_else(|| panic!("{name} has no budget"));
        let bytes = budget.heap_bytes.max(budget.host_bytes);
        assert!(bytes <= *most, "{name} may allocate {bytes} bytes, where {most} are promised");
    }
}
