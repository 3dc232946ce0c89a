//! Facts about this machine and about commits, asked from the system and from git.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::record::{Commit, Machine};
use crate::root;

/// This machine.
pub fn here() -> Machine {
    Machine {
        cpu: cpu().unwrap_or_else(|| "unknown".to_string()),
        cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
        arch: std::env::consts::ARCH.to_string(),
        os: std::env::consts::OS.to_string(),
        rustc: first_line(Command::new("rustc").arg("--version")).unwrap_or_else(|_| "unknown".to_string()),
    }
}

/// The processor's name, where Linux tells it.
fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}

/// Now, in UTC.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The commit that a revision names.
///
/// # Errors
/// When it names none.
pub fn commit(revision: &str) -> anyhow::Result<Commit> {
    let field = |format: &str| {
        let format = format!("--format={format}");
        first_line(git().args(["show", "--no-patch", &format, &format!("{revision}^{{commit}}")]))
    };
    Ok(Commit { id: field("%H")?, date: field("%cI")?, subject: field("%s")? })
}

/// Whether what would be built differs from the commit that is checked out.
///
/// # Errors
/// When git cannot tell.
pub fn has_changes() -> anyhow::Result<bool> {
    let output =
        git().args(["status", "--porcelain", "--", "crates", "benches", "Cargo.toml", "Cargo.lock"]).output()?;
    Ok(!output.stdout.is_empty())
}

/// Checks a commit out into a directory, unless it is there.
///
/// # Errors
/// When git fails.
pub fn check_out(id: &str, directory: &Path) -> anyhow::Result<()> {
    if directory.join("Cargo.toml").exists() {
        return Ok(());
    }
    // A directory that was deleted is still known to git.
    first_line(git().args(["worktree", "prune", "--verbose"])).ok();
    let status = git().args(["worktree", "add", "--quiet", "--detach"]).arg(directory).arg(id).status()?;
    if !status.success() {
        bail!("git worktree add failed ({status})");
    }
    Ok(())
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(root());
    command
}

/// The first line of what a command prints.
fn first_line(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_string())
}
