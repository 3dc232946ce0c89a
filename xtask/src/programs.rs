//! The programs of `benches/programs/`: where they are and what their headers say.
//!
//! The folder is the class. A header of comment lines opens each file:
//!
//! ```lua
//! -- What the program does, in a line or two.
//! -- lua: 5.3+
//! -- held-out: true
//! ```
//!
//! `lua` names the oldest version it runs on; `held-out` programs are looked
//! at last, after the tuning, and have a mean of their own.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::root;

/// One program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The folder it is in.
    pub class: String,
    /// `class/name`, without the suffix.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The minor version of the oldest Lua it runs on.
    pub oldest: u8,
    /// Whether it is kept aside while tuning.
    pub held_out: bool,
}

impl Program {
    fn read(class: &str, path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut program = Program {
            class: class.to_string(),
            name: format!("{class}/{stem}"),
            path: path.to_path_buf(),
            oldest: 0,
            held_out: false,
        };
        for line in text.lines().map_while(|line| line.strip_prefix("--")) {
            match line.split_once(':').map(|(k, v)| (k.trim(), v.trim())) {
                Some(("lua", version)) => {
                    let minor = version.strip_prefix("5.").and_then(|v| v.strip_suffix('+'));
                    program.oldest = minor
                        .and_then(|digits| digits.parse().ok())
                        .with_context(|| format!("lua: {version}, where 5.N+ is wanted"))?;
                }
                Some(("held-out", "true")) => program.held_out = true,
                _ => {}
            }
        }
        if program.oldest == 0 {
            bail!("no line `-- lua: 5.N+`");
        }
        Ok(program)
    }
}

/// All programs whose `class/name` matches, sorted.
///
/// # Errors
/// When the folder cannot be read, a header is wrong, or nothing matches.
pub fn find(pattern: &str) -> anyhow::Result<Vec<Program>> {
    let glob = glob::Pattern::new(pattern).with_context(|| format!("--programs {pattern}"))?;
    let mut found = Vec::new();
    for class in entries(&root().join("benches/programs"))? {
        if !class.is_dir() {
            continue;
        }
        let class_name = class.file_name().unwrap_or_default().to_string_lossy();
        for path in entries(&class)? {
            if path.extension().is_none_or(|suffix| suffix != "lua") {
                continue;
            }
            let program = Program::read(&class_name, &path).with_context(|| path.display().to_string())?;
            if glob.matches(&program.name) {
                found.push(program);
            }
        }
    }
    if found.is_empty() {
        bail!("no program matches {pattern}");
    }
    Ok(found)
}

/// The entries of a directory, sorted.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_header_and_some_are_held_out() {
        let programs = find("*").expect("headers are well formed");
        assert!(programs.len() >= 75, "{} programs", programs.len());
        let held_out = programs.iter().filter(|program| program.held_out).count();
        assert!((8..=programs.len() / 4).contains(&held_out), "{held_out} held out");
    }
}
