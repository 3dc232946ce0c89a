//! A record as Markdown, for a comment below a change.

use std::fmt::Write;

use super::record::{BASE, Reading, Record, TIME_TOLERANCE, short};

/// How many programs are listed on each side.
const LISTED: usize = 5;

/// What a reviewer wants to know of a record.
pub fn markdown(record: &Record) -> String {
    let mut text = format!(
        "### Measured: {} against {}\n\n{} interleaved runs on {} ({} cores). Ratios of CPU time: below 1, this change is faster.\n\n",
        short(&record.head.id),
        short(&record.base.id),
        record.runs,
        record.machine.cpu,
        record.machine.cores
    );
    let mut line = |written: String| {
        text.push_str(&written);
        text.push('\n');
    };
    if record.regressions.is_empty() {
        line(format!("No program is more than {:.0} % slower.", TIME_TOLERANCE * 100.0));
    } else {
        line("**Regressions:**\n".to_string());
        for regression in &record.regressions {
            line(format!("- {regression}"));
        }
    }
    line("\n| compared with | mean | held out | memory |\n|---|---|---|---|".to_string());
    for (engine, means) in &record.means {
        let cell = |mean: Option<f64>| mean.map_or("–".to_string(), |mean| format!("{mean:.3}"));
        line(format!("| {engine} | {} | {} | {} |", cell(means.cpu), cell(means.cpu_held_out), cell(means.peak)));
    }
    programs(&mut text, record);
    text
}

/// The programs that moved most, in both directions.
fn programs(text: &mut String, record: &Record) {
    let mut moved: Vec<(&str, f64, f64)> = record
        .programs
        .iter()
        .filter_map(|program| {
            let spread = match program.engines.get(BASE)? {
                Reading::Ran { spread, .. } => *spread,
                Reading::Failed { .. } => return None,
            };
            Some((program.name.as_str(), *program.ratios.get(BASE)?, spread))
        })
        .collect();
    moved.sort_by(|a, b| b.1.total_cmp(&a.1));
    let slowest = moved.iter().take(LISTED);
    let fastest = moved.iter().skip(LISTED.max(moved.len().saturating_sub(LISTED)));
    text.push_str("\n| program | ratio to base | spread of the base |\n|---|---|---|\n");
    for (name, ratio, spread) in slowest.chain(fastest) {
        // A string takes all.
        let _ = writeln!(text, "| {name} | {ratio:.3} | {:.1} % |", spread * 100.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn regressions_come_first() {
        let text = markdown(&record(1.3, 1000));
        let first = text.find("sorting/quick: 1.30 times").expect("it is named");
        assert!(first < text.find("| sorting/quick | 1.300 |").expect("it is listed"), "{text}");
        assert!(markdown(&record(1.0, 1000)).contains("No program is more than 15 % slower."));
    }
}
