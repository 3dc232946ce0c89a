//! The registry of tasks: what the dispatcher runs and what help shows.

use std::ffi::OsString;
use std::fmt::Write;
use std::process::ExitCode;

use crate::{bench, bless, compare, counts, dashboard, fuzz, history, order, peers, suite};

/// A task.
pub struct Task {
    pub name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// What follows its name.
    arguments: &'static str,
    /// Each option with what it means.
    options: &'static [(&'static str, &'static str)],
    example: &'static str,
    pub run: fn(lexopt::Parser) -> anyhow::Result<ExitCode>,
}

/// All tasks, in the order in which help shows them.
pub const TASKS: &[Task] = &[
    Task {
        name: "peers",
        about: "build the reference runners, and show every engine's version",
        arguments: "[NAME...]",
        options: &[("NAME", "also build this one: luna, omnilua, piccolo")],
        example: "cargo xtask peers piccolo",
        run: peers::task,
    },
    Task {
        name: "bench",
        about: "measure CPU time and memory of whole programs, engine against engine",
        arguments: "[OPTIONS]",
        options: &[
            ("--programs GLOB", "class/name, such as 'sorting/*' (default: all)"),
            ("--engines A,B,...", "the first is the base of the ratios (default: puc54,perilune)"),
            ("--runs N", "timed runs of each, up to 3 N where they disagree (default: 5)"),
            ("--timeout SECONDS", "of one run (default: 60)"),
            ("--json FILE", "write every sample as JSON"),
            ("--against REV", "this commit and REV, with peers; appends to perf-history/ and fails on regressions"),
            (
                "--dialects V,...|all",
                "perilune in these versions and in 5.4, each by its reference; --engines names the build",
            ),
            ("--no-build", "measure the perilune binary that is there"),
        ],
        example: "cargo xtask bench --programs 'sorting/*' --engines puc54,perilune,luajit --runs 9",
        run: bench::task,
    },
    Task {
        name: "counts",
        about: "count instructions of small scenarios with valgrind; fails above the committed limits",
        arguments: "[OPTIONS]",
        options: &[
            ("--scenarios GLOB", "such as 'interp/*' (default: all)"),
            ("--bless", "write what was counted to benches/counts/limits.json"),
            ("--json FILE", "write the counts as JSON"),
        ],
        example: "cargo xtask counts --scenarios 'interp/*'",
        run: counts::task,
    },
    Task {
        name: "order",
        about: "note which functions programs run, for the order of the command's file",
        arguments: "[--no-build]",
        options: &[("--no-build", "observe the perilune binary that is there, by the map beside it")],
        example: "cargo xtask order",
        run: order::task,
    },
    Task {
        name: "history",
        about: "list and check the records of bench --against",
        arguments: "[--report | --schema]",
        options: &[("--report", "show the newest one in Markdown"), ("--schema", "write their schema")],
        example: "cargo xtask history --report",
        run: history::task,
    },
    Task {
        name: "dashboard",
        about: "make the page that shows the records, ready to be published",
        arguments: "--out DIR [OPTIONS]",
        options: &[("--out DIR", "where the page goes"), ("--repository URL", "where its commits are")],
        example: "cargo xtask dashboard --out target/dashboard/site",
        run: dashboard::task,
    },
    Task {
        name: "suite",
        about: "run an official test suite, file by file",
        arguments: "--dir DIR [OPTIONS] [FILE...]",
        options: &[
            ("--dir DIR", "where the suite is"),
            ("--engine ENGINE", "(default: perilune)"),
            ("--timeout SECONDS", "of one file (default: 120)"),
            ("FILE", "only this one"),
        ],
        example: "cargo xtask suite --dir ../lua-5.4.8-tests strings.lua",
        run: suite::task,
    },
    Task {
        name: "bless",
        about: "record what the references print for fixtures (never what perilune does)",
        arguments: "[--widen] [PATH...]",
        options: &[
            ("--widen", "add to each header the versions whose reference runs the script"),
            ("PATH", "only this fixture or folder"),
        ],
        example: "cargo xtask bless fixtures/language/goto/backward-jump-closes-upvalues.lua",
        run: bless::task,
    },
    Task {
        name: "compare",
        about: "run fixtures on perilune and on the reference of each of their versions, and show differences",
        arguments: "[OPTIONS] [PATH...]",
        options: &[
            ("--version V", "only this version (may be repeated)"),
            ("--filter TEXT", "only fixtures whose names contain it"),
            ("--mode interp|jit|hot", "how perilune runs them"),
            ("--json FILE", "write verdicts and parity as JSON"),
            ("--engine ENGINE", "another build of perilune"),
            ("PATH", "only this fixture or folder"),
        ],
        example: "cargo xtask compare --version 5.1 --filter coroutine --mode hot",
        run: compare::task,
    },
    Task {
        name: "fuzz",
        about: "run random programs with and without the compiler, and keep those that differ",
        arguments: "[OPTIONS]",
        options: &[
            ("--count N", "how many (default: 1000)"),
            ("--seed N", "the number of the first (default: 1)"),
            ("--show", "print the program of the seed instead"),
            ("--version V", "only for this version (default: all by turns)"),
            ("--modes N", "run each in so many modes of the compiler (default: 1)"),
            ("--engine FILE", "(default: target/release/perilune)"),
            ("--keep DIR", "where programs with a difference go (default: target/fuzz)"),
        ],
        example: "cargo xtask fuzz --seed 1000 --count 5000 --modes 3",
        run: fuzz::task,
    },
];

const ENGINES: &str = "An ENGINE is a name that `peers` lists, or the path or command of an interpreter that takes
`script args` as `lua` does. Options for it may follow, as in 'perilune --hot=1'.
";

/// The task of a name.
pub fn named(name: &str) -> Option<&'static Task> {
    TASKS.iter().find(|task| task.name == name)
}

/// Whether a task's arguments ask for help.
pub fn asks_for_help(arguments: &[OsString]) -> bool {
    let mut own = arguments.iter().take_while(|argument| *argument != "--");
    own.any(|argument| argument == "--help" || argument == "-h")
}

/// The help about all tasks.
pub fn overview() -> String {
    let mut text = "usage: cargo xtask TASK [OPTIONS]\n\n".to_owned();
    for task in TASKS {
        // Writing into a string does not fail.
        let _ = writeln!(text, "  {:<10} {}", task.name, task.about);
    }
    text + "\n`cargo xtask TASK --help` shows the options of a task.\n"
}

impl Task {
    /// The help about the task.
    pub fn help(&self) -> String {
        let Task { name, about, arguments, options, example, .. } = self;
        let mut text = format!("cargo xtask {name}: {about}\n\nusage: cargo xtask {name} {arguments}\n\n");
        let width = options.iter().map(|(option, _)| option.len()).max().unwrap_or(0);
        for (option, meaning) in *options {
            // Writing into a string does not fail.
            let _ = writeln!(text, "  {option:<width$}  {meaning}");
        }
        text += &format!("  {:<width$}  show this text\n\nexample: {example}\n", "--help");
        if arguments.contains("ENGINE")
            || options.iter().any(|(option, _)| option.contains("ENGINE") || option.contains("engines"))
        {
            text += "\n";
            text += ENGINES;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_is_shown_with_its_options_and_an_example() {
        let all = overview();
        for task in TASKS {
            assert!(all.contains(&format!("\n  {} ", task.name)));
            let help = task.help();
            assert!(help.contains(&format!("usage: cargo xtask {}", task.name)), "{help}");
            assert!(task.example.starts_with(&format!("cargo xtask {}", task.name)), "{help}");
            for (option, _) in task.options {
                assert!(help.contains(&format!("\n  {option}")), "{help}");
            }
            assert!(help.lines().all(|line| line.len() <= 130), "{help}");
        }
    }

    #[test]
    fn examples_use_options_that_exist() {
        for task in TASKS {
            let used = task.example.split(' ').filter(|word| word.starts_with("--"));
            for word in used {
                assert!(task.options.iter().any(|(option, _)| option.split(' ').next() == Some(word)), "{word}");
            }
        }
    }

    #[test]
    fn help_is_asked_for_in_front_of_what_is_passed_on() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(asks_for_help(&words("--runs 3 --help")) && asks_for_help(&words("-h")));
        assert!(!asks_for_help(&words("--runs 3")) && !asks_for_help(&words("-- --help")));
    }
}
