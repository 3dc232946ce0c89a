//! The fixtures: which there are, what their headers say, how one is run.
//!
//! A header of comment lines opens each file; `@lua-versions` and
//! `@expects-error` are what matters here:
//!
//! ```lua
//! -- Test: string.rep rejects a count without integer representation
//! -- @lua-versions: 5.3, 5.4, 5.5
//! -- @expects-error: false
//! ```
//!
//! A fixture runs in its own folder under its bare file name, so that the
//! positions in error messages are short and stay when a folder is renamed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::measure::{self, Run};
use crate::peers::Engine;
use crate::root;

/// How long one fixture may take on any engine.
const LIMIT: Duration = Duration::from_secs(60);

/// One fixture.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    /// The minor versions of Lua it is for; empty when it does not say.
    pub versions: Vec<u8>,
    /// Whether it is to end in an error.
    pub expects_error: bool,
}

impl Fixture {
    fn read(path: PathBuf) -> anyhow::Result<Self> {
        let bytes = std::fs::read(root().join(&path))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut fixture = Fixture { path, versions: Vec::new(), expects_error: false };
        for line in text.lines().map_while(|line| line.strip_prefix("--")) {
            match line.split_once(':').map(|(k, v)| (k.trim(), v.trim())) {
                Some(("@lua-versions", list)) => fixture.versions = versions(list),
                Some(("@expects-error", value)) => {
                    // What follows `true` is the message expected; it is not judged here.
                    fixture.expects_error = value.starts_with("true");
                }
                _ => {}
            }
        }
        Ok(fixture)
    }

    /// Whether it is for that minor version.
    pub fn is_for(&self, minor: u8) -> bool {
        self.versions.is_empty() || self.versions.contains(&minor)
    }

    /// The version whose reference decides: 5.4 where it applies, else the newest.
    pub fn deciding_version(&self) -> u8 {
        if self.is_for(4) { 4 } else { self.versions.iter().copied().max().unwrap_or(4) }
    }

    /// Where its expected output is.
    pub fn expectation(&self) -> PathBuf {
        root().join(&self.path).with_extension("out")
    }

    /// Runs it on an engine.
    ///
    /// # Errors
    /// When the engine cannot be started.
    pub fn run(&self, engine: &Engine) -> anyhow::Result<Run> {
        let file = root().join(&self.path);
        let mut command = engine.command();
        command.current_dir(file.parent().unwrap_or(&file)).arg(file.file_name().unwrap_or_default());
        measure::run(&mut command, LIMIT).with_context(|| format!("{} on {}", engine.name, self.path.display()))
    }
}

/// The minor versions in a list such as `5.1, 5.2` or `5.3+`.
fn versions(list: &str) -> Vec<u8> {
    let mut found = Vec::new();
    for item in list.split([',', ' ']).filter(|item| !item.is_empty()) {
        let (number, open) = match item.strip_suffix('+') {
            Some(number) => (number, true),
            None => (item, false),
        };
        let Some(minor) = number.strip_prefix("5.").and_then(|m| m.parse().ok()) else {
            continue;
        };
        let last = if open { 5 } else { minor };
        found.extend(minor..=last);
    }
    found
}

/// The fixtures below these paths, all of `fixtures/` when there are none; sorted.
///
/// # Errors
/// When a path is not there or no fixture is found.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Fixture>> {
    let mut files = Vec::new();
    if paths.is_empty() {
        collect(&root().join("fixtures"), &mut files)?;
    }
    for path in paths {
        collect(&std::path::absolute(path)?, &mut files)?;
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        bail!("no fixture found");
    }
    files
        .into_iter()
        .map(|file| {
            let relative =
                file.strip_prefix(root()).with_context(|| format!("{} is not in the repository", file.display()))?;
            Fixture::read(relative.to_path_buf()).with_context(|| file.display().to_string())
        })
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.extension().is_some_and(|suffix| suffix == "lua") {
        files.push(path.to_path_buf());
    } else if !path.exists() {
        bail!("no such path: {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_lists_may_be_open_to_the_top() {
        assert_eq!(versions("5.1, 5.2"), [1, 2]);
        assert_eq!(versions("5.3+"), [3, 4, 5]);
        assert_eq!(versions("5.4, 5.5        (5.3+ differs)"), [4, 5]);
    }
}
