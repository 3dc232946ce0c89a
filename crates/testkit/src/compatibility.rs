//! The pages of `docs/compatibility/` that are made from tables: what differs between versions, what `strict` removes, and
//! where Perilune differs from the references.
//!
//! A page is text by hand, with generated parts between two marks:
//!
//! ```text
//! <!-- generated: changes 5.1 5.2 -->
//! ...
//! <!-- end -->
//! ```
//!
//! `tests/compatibility.rs` fails when a part is not what the tables say, and writes it when `BLESS_PAGES` is set.

use std::fmt::{Debug, Write};

use perilune_base::dialect::table::ROWS;
use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_vm::host::NullHost;
use perilune_vm::limits::Limits;
use perilune_vm::load::LoadMode;
use perilune_vm::{Vm, VmOptions};

use crate::Fixture;

const START: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// A page with its generated parts made anew.
///
/// # Errors
/// When a mark is not understood or not closed.
pub fn renew(page: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = page;
    while let Some(at) = rest.find(START) {
        let behind = &rest[at + START.len()..];
        let (what, body) = behind.split_once(" -->").ok_or("a mark is not closed")?;
        let end = body.find(END).ok_or_else(|| format!("`{what}` has no end"))?;
        let words: Vec<&str> = what.split_whitespace().collect();
        let part = part(&words).ok_or_else(|| format!("there is nothing called `{what}`"))?;
        out.push_str(&rest[..at]);
        // Writing to a string does not fail.
        let _ = write!(out, "{START}{what} -->\n{part}{END}");
        rest = &body[end + END.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

fn part(words: &[&str]) -> Option<String> {
    match words {
        ["behaviour"] => Some(behaviour()),
        ["functions"] => Some(functions()),
        ["strict"] => Some(strict()),
        ["divergences"] => Some(divergences(&crate::fixtures())),
        ["changes", from, to] => Some(changes(from.parse().ok()?, to.parse().ok()?)),
        _ => None,
    }
}

/// A value of a row, as a page shows it.
fn shown(value: &dyn Debug) -> String {
    match format!("{value:?}").as_str() {
        "true" => "yes".to_owned(),
        "false" => "no".to_owned(),
        "None" => "–".to_owned(),
        text => {
            let inner = text.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(text);
            format!("`{}`", inner.trim_matches('"'))
        }
    }
}

/// The areas of rows, each once, in the order of the table.
fn areas() -> Vec<&'static str> {
    let mut areas: Vec<&str> = Vec::new();
    for row in ROWS {
        if !areas.contains(&row.area) {
            areas.push(row.area);
        }
    }
    areas
}

fn about(row: &perilune_base::dialect::table::Row) -> String {
    row.about.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// All rows with their values in each version.
fn behaviour() -> String {
    let mut out = String::new();
    for area in areas() {
        let _ = write!(out, "\n### {area}\n\n| behaviour | 5.1 | 5.2 | 5.3 | 5.4 | 5.5 |\n|---|---|---|---|---|---|\n");
        for row in ROWS.iter().filter(|row| row.area == area) {
            let _ = write!(out, "| {} |", about(row));
            for version in LuaVersion::ALL {
                let _ = write!(out, " {} |", shown((row.value)(Dialect::of(version, false))));
            }
            out.push('\n');
        }
    }
    out.push('\n');
    out
}

/// What is another from one version to another: rows, and functions that come and go.
fn changes(from: LuaVersion, to: LuaVersion) -> String {
    let (old, new) = (Dialect::of(from, false), Dialect::of(to, false));
    let mut out = format!("\n| behaviour | {} | {} |\n|---|---|---|\n", from.number(), to.number());
    for row in ROWS {
        let (before, after) = (shown((row.value)(old)), shown((row.value)(new)));
        if before != after {
            let _ = writeln!(out, "| {} | {before} | {after} |", about(row));
        }
    }
    let (before, after) = (names(old), names(new));
    let list = |names: &[String], others: &[String]| {
        let only: Vec<String> =
            names.iter().filter(|name| !others.contains(name)).map(|name| format!("`{name}`")).collect();
        if only.is_empty() { "none".to_owned() } else { only.join(", ") }
    };
    let _ = write!(out, "\nGone: {}.\n\nNew: {}.\n\n", list(&before, &after), list(&after, &before));
    out
}

/// Which version has which name.
fn functions() -> String {
    let of_versions: Vec<Vec<String>> =
        LuaVersion::ALL.into_iter().map(|version| names(Dialect::of(version, false))).collect();
    let mut all: Vec<&String> = of_versions.iter().flatten().collect();
    all.sort();
    all.dedup();
    let mut out = "\n| name | 5.1 | 5.2 | 5.3 | 5.4 | 5.5 |\n|---|---|---|---|---|---|\n".to_owned();
    for name in all {
        let marks: Vec<&str> = of_versions.iter().map(|names| if names.contains(name) { "yes" } else { "" }).collect();
        // What all versions have needs no row.
        if marks.contains(&"") {
            let _ = writeln!(out, "| `{name}` | {} |", marks.join(" | "));
        }
    }
    out.push('\n');
    out
}

/// What the strict dialects lack or do otherwise.
fn strict() -> String {
    let mut out = String::new();
    for version in LuaVersion::ALL {
        let (plain, strict) = (Dialect::of(version, false), Dialect::of(version, true));
        let _ = write!(out, "\n### {version}\n\n");
        let kept = names(strict);
        let gone: Vec<String> =
            names(plain).iter().filter(|name| !kept.contains(name)).map(|name| format!("`{name}`")).collect();
        let _ = writeln!(out, "Gone: {}.", if gone.is_empty() { "nothing".to_owned() } else { gone.join(", ") });
        for row in ROWS {
            let (before, after) = (shown((row.value)(plain)), shown((row.value)(strict)));
            if before != after {
                let _ = write!(out, "\n- {} {before}; strict: {after}.", about(row));
            }
        }
        out.push('\n');
    }
    out
}

/// Fixtures whose headers say that Perilune differs.
fn divergences(fixtures: &[Fixture]) -> String {
    let mut out = "\n| fixture | versions | what differs, and why it stays |\n|---|---|---|\n".to_owned();
    for fixture in fixtures.iter().filter(|fixture| !fixture.header.diverges.is_empty()) {
        let versions: Vec<&str> = fixture.header.diverges.iter().map(|version| version.number()).collect();
        let reason = fixture.header.reason.as_deref().unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | {} | {reason} |", fixture.name, versions.join(", "));
    }
    out.push('\n');
    out
}

/// The names of globals and of fields of library tables, sorted.
fn names(dialect: &'static Dialect) -> Vec<String> {
    const LIST: &[u8] = b"
        local found = {}
        for name, value in pairs(_G) do
            if type(value) == 'table' and name ~= '_G' then
                for field in pairs(value) do
                    if type(field) == 'string' and value ~= package.loaded then found[#found + 1] = name .. '.' .. field end
                end
            else
                found[#found + 1] = name
            end
        end
        table.sort(found)
        return table.concat(found, ' ')";
    let mut vm = Vm::new(VmOptions { dialect, host: Box::new(NullHost::new()), limits: Limits::default() });
    perilune_stdlib::open_all(&mut vm);
    let list = vm.load(LIST, b"=names", LoadMode::Text, None);
    let results = list.ok().and_then(|list| vm.host_call(list, &[], false).ok()).unwrap_or_default();
    let text = results.first().and_then(|value| value.as_str());
    let text = text.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()).unwrap_or_default();
    text.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_dialect() {
        let of = |version, strict| names(Dialect::of(version, strict));
        assert!(of(LuaVersion::Lua51, false).contains(&"setfenv".to_owned()));
        assert!(of(LuaVersion::Lua54, false).contains(&"math.pow".to_owned()));
        assert!(!of(LuaVersion::Lua54, true).contains(&"math.pow".to_owned()));
    }

    #[test]
    fn unknown_parts_are_problems() {
        assert!(renew("<!-- generated: nonsense -->\n<!-- end -->").is_err());
        assert!(renew("<!-- generated: strict -->").is_err());
        assert_eq!(renew("plain"), Ok("plain".to_owned()));
    }
}
