//! `cargo xtask`: the project's own tasks.
//!
//! | task | module | what it does |
//! |---|---|---|
//! | `peers` | [`peers`] | builds the reference runners and shows every engine's version |
//! | `bench` | [`mod@bench`] | CPU time and memory of whole programs, engine against engine |
//! | `counts` | [`counts`] | instructions of small scenarios, against committed limits |
//! | `history` | [`history`] | the records of `bench --against` |
//! | `dashboard` | [`dashboard`] | the page that shows the records |
//! | `suite` | [`suite`] | an official test suite, file by file |
//! | `bless` | [`bless`] | writes the expectations of fixtures, from the reference interpreters |
//! | `compare` | [`compare`] | all fixtures on Perilune and on the references, differences shown |
//! | `fuzz` | [`fuzz`] | random programs, compiled and not, differences kept |
//!
//! Every task runs engines as child processes, through [`measure`], and never
//! links one: what is measured and compared is what a user would run.

mod bench;
mod bless;
mod compare;
mod counts;
mod dashboard;
mod fixtures;
mod fuzz;
mod history;
mod measure;
mod parity;
mod peers;
mod programs;
mod suite;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask TASK [OPTIONS]

  peers [NAME...]            build the reference runners, show versions (luna, omnilua and
                             piccolo are built only when they are named)
  bench [OPTIONS]            measure programs
      --programs GLOB        class/name, such as 'sorting/*' (default: all)
      --engines A,B,...      the first is the base of the ratios (default: puc54,perilune)
      --runs N               timed runs of each, up to 3 N where they disagree (default: 5)
      --timeout SECONDS      of one run (default: 60)
      --json FILE            write every sample as JSON
      --against REV          this commit and REV, with peers; appends to perf-history/ and
                             fails on regressions (engines: puc54,luajit)
      --no-build             measure the perilune binary that is there
  counts [OPTIONS]           count instructions with valgrind; fails above the limits
      --scenarios GLOB       such as 'interp/*' (default: all)
      --bless                write what was counted to benches/counts/limits.json
      --json FILE            write the counts as JSON
  history [OPTION]           list and check the records
      --report               the newest one in Markdown
      --schema               write their schema
  dashboard --out DIR        the page that shows them, ready to be published
      --repository URL       where its commits are
  suite --dir DIR [OPTIONS] [FILE...]
      --engine ENGINE        (default: perilune)
      --timeout SECONDS      of one file (default: 120)
  bless [--widen] [PATH...]  record what the references print (never perilune)
      --widen                add to each header the versions whose reference runs the script
  compare [OPTIONS] [PATH...]
                             run fixtures on perilune and on the reference of each of their versions
      --version V            only this version (may be repeated)
      --filter TEXT          only fixtures whose names contain it
      --mode interp|jit|hot  how perilune runs them
      --json FILE            write verdicts and parity as JSON
      --engine ENGINE        another build of perilune
  fuzz [OPTIONS]             run random programs with and without the compiler
      --count N              how many (default: 1000)
      --seed N               the number of the first (default: 1)
      --show                 print the program of the seed instead
      --version V            only for this version (default: all by turns)
      --modes N              run each in so many modes of the compiler (default: 1)
      --engine FILE          (default: target/release/perilune)
      --keep DIR             where programs with a difference go (default: target/fuzz)

An ENGINE is a name that `peers` lists, or the path or command of an
interpreter that takes `script args` as `lua` does.
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let mut arguments = lexopt::Parser::from_env();
    let task = match arguments.next()? {
        Some(lexopt::Arg::Value(task)) => task,
        None | Some(lexopt::Arg::Short('h') | lexopt::Arg::Long("help")) => {
            print!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    match task.to_str() {
        Some("peers") => peers::task(arguments),
        Some("bench") => bench::task(arguments),
        Some("counts") => counts::task(arguments),
        Some("history") => history::task(arguments),
        Some("dashboard") => dashboard::task(arguments),
        Some("suite") => suite::task(arguments),
        Some("bless") => bless::task(arguments),
        Some("compare") => compare::task(arguments),
        Some("fuzz") => fuzz::task(arguments),
        _ => anyhow::bail!("no task {}\n\n{USAGE}", task.display()),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The directory cargo builds into.
fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root().join(directory),
        None => root().join("target"),
    }
}
