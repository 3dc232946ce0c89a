//! What `--trace-log` tells at each level.
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

use std::process::Command;

/// A loop with a side path, and one whose instructions are not recorded.
const SCRIPT: &str = "local n = 0
for i = 1, 5000 do
  if i % 3 == 0 then n = n + 1 else n = n + 2 end
end
local yields = coroutine.wrap(function()
  for _ = 1, 1000 do coroutine.yield() end
end)
for _ = 1, 1000 do yields() end";

fn log(option: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
    let output = command.args([option, "--hot=2", "-e", SCRIPT]).output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

#[track_caller]
fn tells(log: &[String], words: &str) -> bool {
    log.iter().any(|line| line.starts_with("jit: ") && line.contains(words))
}

#[test]
fn each_level_says_more() {
    let logs = ["--trace-log=1", "--trace-log=2", "--trace-log=3"].map(log);
    assert_eq!(logs[0], log("--trace-log"));
    let first_at = [
        (1, "tree 0, root: 1 segments"),
        (1, "tree 0, exit "),
        (1, "abort at line 6 of what began at line 6: a library function that is not recorded"),
        (1, "line 6 is given up"),
        (2, "closes the loop of header 0"),
        (2, "at line 3 is hot"),
        (2, "tree 0, quick code of 1 segments: "),
        (3, "recording tree 0 from line 3"),
        (3, "recording tree 0 from exit "),
        (3, "where fails: "),
    ];
    for (level, words) in first_at {
        for (at, log) in (1..).zip(&logs) {
            assert_eq!(tells(log, words), at >= level, "{words}, at level {at}: {log:#?}");
        }
    }
}

#[test]
fn other_levels_are_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
    let output = command.args(["--trace-log=4", "-e", ""]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
}
