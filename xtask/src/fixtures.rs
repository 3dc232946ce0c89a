//! Fixtures on engines: which are asked for, and how one is run.
//!
//! A fixture runs in its own folder under its bare file name, so that the positions in error messages are short and stay when
//! a folder is renamed; and every engine runs under the same name, which its messages show.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use perilune_base::dialect::LuaVersion;
use perilune_fixtures::Fixture;
use perilune_fixtures::normal::{PROGRAM, normalise};

use crate::measure::{self, Run};
use crate::peers::Engine;
use crate::root;

/// How long one fixture may take on any engine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs a fixture on an engine as a script of a version; outputs are normalised.
///
/// # Errors
/// When the engine cannot be started.
pub fn run(fixture: &Fixture, engine: &Engine, version: LuaVersion, limit: Duration) -> anyhow::Result<Run> {
    let mut command = engine.command();
    if engine.is_perilune {
        command.args(["--lua-version", version.number()]);
    }
    command.arg0(PROGRAM).current_dir(fixture.folder()).arg(fixture.file_name());
    let mut run = measure::run(&mut command, limit)
        .with_context(|| format!("{} on {}", engine.name, fixture.script.display()))?;
    run.stdout = normalise(&run.stdout);
    run.stderr = normalise(&run.stderr);
    Ok(run)
}

/// The fixtures below these paths, all of `fixtures/` when there are none; by name.
///
/// # Errors
/// When no fixture is found.
pub fn find(paths: &[PathBuf]) -> anyhow::Result<Vec<Fixture>> {
    let mut found = perilune_fixtures::all(&root().join("fixtures"))?;
    if !paths.is_empty() {
        let paths = paths.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let is_below = |script: &Path| paths.iter().any(|path| script.starts_with(path));
        found.retain(|fixture| is_below(&fixture.script));
    }
    if found.is_empty() {
        bail!("no fixture found");
    }
    Ok(found)
}

/// Applies `work` to all items on as many threads as there are processors; results in the order of the items.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let threads = thread::available_parallelism().map_or(1, |n| n.get());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    // A thread that panicked while it held the lock has failed the whole task already.
                    results.lock().unwrap_or_else(|broken| broken.into_inner()).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|broken| broken.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_their_items() {
        let items: Vec<usize> = (0..100).collect();
        assert_eq!(in_parallel(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
    }
}
