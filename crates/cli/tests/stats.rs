//! `--stats` tells what a program took, however it ends.
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

use std::process::Command;

#[track_caller]
fn ends_with(arguments: &[&str], code: i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perilune"));
    let output = command.arg("--stats").args(arguments).output().expect("it runs");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {shown}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "before\n", "{arguments:?}");
    for words in ["jit: recording and compiling took", "fuel: "] {
        assert_eq!(shown.matches(words).count(), 1, "{arguments:?}: {shown}");
    }
}

#[test]
fn stats_are_told_at_every_end() {
    ends_with(&["-e", "print 'before'"], 0);
    ends_with(&["-e", "print 'before' error 'x'"], 1);
    ends_with(&["-e", "print 'before' os.exit(5, true)"], 5);
    ends_with(&["-e", "io.write 'before\\n' os.exit(5)"], 5);
}

#[test]
fn stats_are_told_when_a_limit_is_reached() {
    ends_with(&["--max-instructions=100000", "-e", "io.write 'before\\n' while true do end"], 3);
    ends_with(&["--max-memory=1M", "-e", "print 'before' local t = {} while true do t[#t + 1] = {} end"], 3);
    ends_with(&["--timeout=0.05", "-e", "print 'before' while true do end"], 3);
}
