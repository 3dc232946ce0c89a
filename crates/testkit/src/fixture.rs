//! Fixtures: Lua scripts with a header, and with what they print beside them.
//!
//! ```lua
//! -- Test: string.rep rejects a count without integer representation
//! -- @lua-versions: 5.3, 5.4, 5.5
//! -- @expects-error: false
//! -- @reference: §6.4
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `name.lua` | the script; it runs in its own folder under its bare name |
//! | `name.out` | its standard output |
//! | `name.err` | its standard error stream; without this file nothing is said about that |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The version of Lua whose fixtures are run.
const VERSION: &str = "5.4";

/// One fixture.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Where the script is.
    pub script: PathBuf,
    /// The path under `fixtures/` without its suffix: `stdlib/os/exit-codes`.
    pub name: String,
    /// What its header says.
    pub header: Header,
}

/// What the comment lines that open a fixture say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `Test:`, the behaviour.
    pub test: Option<String>,
    /// `@lua-versions:`, the versions that behave so: `5.4`; empty if it does not say.
    pub versions: Vec<String>,
    /// `@expects-error:`, whether the script fails.
    pub expects_error: Option<bool>,
    /// `@reference:`, the section of the manual.
    pub reference: Option<String>,
    /// Directives that mean nothing.
    pub unknown: Vec<String>,
}

impl Header {
    /// Reads the header of a script.
    pub fn parse(source: &str) -> Header {
        let mut header = Header::default();
        for line in source.lines().map_while(|line| line.strip_prefix("--")) {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "Test" => header.test = Some(value.to_owned()),
                "@lua-versions" => header.versions = versions(value),
                "@expects-error" => header.expects_error = flag(value),
                "@reference" => header.reference = Some(value.to_owned()),
                key if key.starts_with('@') => header.unknown.push(key.to_owned()),
                _ => {}
            }
        }
        header
    }
}

/// `true` or `false`; what follows is for people.
fn flag(value: &str) -> Option<bool> {
    match value.split_whitespace().next() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    }
}

/// The versions in a list such as `5.3, 5.4` or `5.3+`; what follows in parentheses is for people.
fn versions(list: &str) -> Vec<String> {
    const ALL: [&str; 5] = ["5.1", "5.2", "5.3", "5.4", "5.5"];
    let list = list.split('(').next().unwrap_or_default();
    let mut found = Vec::new();
    for item in list.split([',', ' ']).filter(|item| !item.is_empty()) {
        match item.strip_suffix('+') {
            Some(first) => found.extend(ALL.iter().skip_while(|v| **v != first).map(|v| (*v).to_owned())),
            None => found.push(item.to_owned()),
        }
    }
    found
}

impl Fixture {
    /// Reads the header of the script at a path below `folder`.
    fn read(folder: &Path, script: PathBuf) -> io::Result<Fixture> {
        let source = fs::read(&script)?;
        let header = Header::parse(&String::from_utf8_lossy(&source));
        let name = script.strip_prefix(folder).unwrap_or(&script).with_extension("");
        Ok(Fixture { name: name.to_string_lossy().into_owned(), script, header })
    }

    /// The folder in which it runs.
    pub fn folder(&self) -> &Path {
        self.script.parent().unwrap_or(&self.script)
    }

    /// The name under which it runs.
    pub fn file_name(&self) -> &str {
        self.script.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether it is for the version of Lua that runs here.
    pub fn applies(&self) -> bool {
        self.header.versions.is_empty() || self.header.versions.iter().any(|v| v == VERSION)
    }

    /// The recorded standard output, if there is one.
    pub fn expected_output(&self) -> Option<Vec<u8>> {
        fs::read(self.script.with_extension("out")).ok()
    }

    /// The recorded standard error stream, if there is one.
    pub fn expected_errors(&self) -> Option<Vec<u8>> {
        fs::read(self.script.with_extension("err")).ok()
    }
}

/// All fixtures, by name.
///
/// # Errors
/// When a folder or script cannot be read.
pub fn all() -> io::Result<Vec<Fixture>> {
    let folder = crate::root().join("fixtures");
    let mut scripts = Vec::new();
    scripts_below(&folder, &mut scripts)?;
    scripts.sort();
    scripts.into_iter().map(|script| Fixture::read(&folder, script)).collect()
}

fn scripts_below(folder: &Path, scripts: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            scripts_below(&path, scripts)?;
        } else if path.extension().is_some_and(|suffix| suffix == "lua") {
            scripts.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_end_at_the_first_line_that_is_no_comment() {
        let header = Header::parse(
            "-- Test: what happens\n-- @lua-versions: 5.3+ (5.2 differs)\n-- @expects-error: true\n-- @colour: blue\n\
             print(1) -- @reference: none\n-- @shape: round\n",
        );
        assert_eq!(header.test.as_deref(), Some("what happens"));
        assert_eq!(header.versions, ["5.3", "5.4", "5.5"]);
        assert_eq!((header.expects_error, header.reference), (Some(true), None));
        assert_eq!(header.unknown, ["@colour"]);
    }
}
