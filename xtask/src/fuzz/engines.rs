//! Runs programs: one in a process of Perilune, many in one of the reference.
//!
//! A program of a reference ends within a millisecond, which is less than its process takes to start; so
//! [`Engines::reference`] gives a file of them to one. Perilune has a process for each program: what one program made
//! the trace compiler do must not change what it does for the next, or no difference could be found again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use perilune_base::dialect::LuaVersion;

use crate::measure::{self, End};
use crate::peers::{self, Engine};

/// How long a program may run: they are made to end within some milliseconds.
const LIMIT: Duration = Duration::from_secs(30);

/// What a program may spend, in Perilune's units; only programs in the middle of being shrunk run for ever.
const FUEL: &str = "--max-instructions=50000000";

/// How a program ends that has spent all of that.
pub const OUT_OF_FUEL: &str = "exit 3";

/// What a program may hold, so that a fault does not fill the machine's memory.
const MEMORY: &str = "--max-memory=1G";

/// The script that runs a file of programs.
const BATCH: &str = include_str!("batch.lua");

/// The name of the file that a program is in, which messages of errors show.
const PROGRAM: &str = "program.lua";

/// What came of a program in Perilune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it has printed, and how it has ended.
    pub text: String,
    /// The units of work that it was charged.
    pub fuel: String,
}

/// A folder for the program that is running, and the engines to run it.
pub struct Engines {
    perilune: PathBuf,
    folder: tempfile::TempDir,
    references: HashMap<LuaVersion, Engine>,
}

impl Engines {
    /// The engines, with a build of Perilune.
    ///
    /// # Errors
    /// When that is not there.
    pub fn new(perilune: &Path) -> anyhow::Result<Engines> {
        if !perilune.exists() {
            bail!("{} is not there: build it first, or name another with --engine", perilune.display());
        }
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("batch.lua"), BATCH)?;
        Ok(Engines { perilune: std::path::absolute(perilune)?, folder, references: HashMap::new() })
    }

    /// What comes of a program in Perilune.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn perilune(&self, version: LuaVersion, options: &[&str], program: &str) -> anyhow::Result<Outcome> {
        std::fs::write(self.folder.path().join(PROGRAM), program)?;
        let mut command = Command::new(&self.perilune);
        command.args(["--lua-version", version.number(), "--stats", FUEL, MEMORY]).args(options).arg(PROGRAM);
        let run = measure::run(command.current_dir(self.folder.path()), LIMIT)?;
        let end = match run.end {
            End::Exited(status) if status.code() == Some(1) => "error".to_string(),
            end => end.words(),
        };
        let errors = String::from_utf8_lossy(&run.stderr);
        let fuel = errors.lines().find(|line| line.starts_with("fuel: ")).unwrap_or_default();
        Ok(Outcome { text: normal(&run.stdout) + &end, fuel: fuel.to_string() })
    }

    /// What the reference prints for each of some programs, and how that ends.
    ///
    /// # Errors
    /// When it cannot be started, or does not come to the end of all of them.
    pub fn reference<'a>(
        &mut self,
        version: LuaVersion,
        programs: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<Vec<String>> {
        let (mut batch, mut count) = (String::new(), 0);
        for program in programs {
            writeln!(batch, "{}", program.len())?;
            batch.push_str(program);
            count += 1;
        }
        let file = self.folder.path().join("batch.txt");
        std::fs::write(&file, batch)?;
        let engine = match self.references.get(&version) {
            Some(engine) => engine,
            None => self.references.entry(version).or_insert(peers::reference(version)?),
        };
        let arguments = [OsString::from("batch.lua"), "batch.txt".into()];
        let mut command = engine.command();
        let run = measure::run(command.args(arguments).current_dir(self.folder.path()), LIMIT + LIMIT / 20 * count)?;
        let outputs = split(&run.stdout);
        if outputs.len() != count as usize {
            let text =
                format!("{} ended with {} at program {} of {count}", engine.name, run.end.words(), outputs.len());
            return Err(anyhow::anyhow!(text)).context(run.error_line());
        }
        Ok(outputs)
    }
}

/// What a line begins with that says how a program of a batch has ended.
const MARK: &[u8] = b"\x01program ";

/// The outputs of the programs of a batch.
fn split(mut output: &[u8]) -> Vec<String> {
    let mut outputs = Vec::new();
    while let Some(at) = output.windows(MARK.len()).position(|bytes| bytes == MARK) {
        let (of_program, rest) = (&output[..at], &output[at + MARK.len()..]);
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        outputs.push(normal(of_program) + &String::from_utf8_lossy(&rest[..end]));
        output = rest.get(end + 1..).unwrap_or_default();
    }
    outputs
}

/// Output without what engines need not agree about: the signs of NaNs, which the machine decides, and addresses.
fn normal(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output).replace("-nan", "nan").replace("0X", "0x");
    let mut parts = text.split("0x");
    let mut normal = parts.next().unwrap_or_default().to_string();
    for part in parts {
        normal.push_str("0x");
        normal.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_of_a_batch_are_told_apart() {
        assert_eq!(
            split(b"1\n2\n\x01program ok\n\x01program error\n-nan table: 0x00ff1\n\x01program ok\n"),
            ["1\n2\nok", "error", "nan table: 0x\nok"]
        );
    }

    #[test]
    fn the_reference_runs_each_program_on_its_own() {
        let mut engines = Engines::new(&std::env::current_exe().expect("this test runs")).expect("a folder");
        let programs = ["x = 1 string.y = 2 print(x)", "print(x, string.y, _G.x)", "error()"];
        let outputs = engines.reference(LuaVersion::Lua54, programs).expect("lua5.4 is installed");
        assert_eq!(outputs, ["1\nok", "nil\tnil\tnil\nok", "error"]);
        assert!(engines.reference(LuaVersion::Lua54, ["print("]).is_err());
    }
}
