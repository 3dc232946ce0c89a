//! How the command shows the errors that end a script.
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

use std::process::Command;

/// What a script of a version leaves on the standard error.
fn error_of(version: &str, script: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_perilune"))
        .args(["--lua-version", version, "-e", script])
        .output()
        .expect("the command runs");
    String::from_utf8(output.stderr).expect("the message is text")
}

#[test]
fn tracebacks_of_5_1_are_made_by_the_debug_library_of_the_globals() {
    let without = error_of("5.1", "setfenv(0, {}) error('nothing', 0)");
    assert!(without.ends_with(": nothing\n"), "{without}");
    let other = error_of("5.1", "debug = {traceback = function(m, n) return m .. n end} error('level ', 0)");
    assert!(other.ends_with(": level 2\n"), "{other}");
    assert!(error_of("5.1", "error('all', 0)").contains("stack traceback:\n"));
    assert!(error_of("5.2", "_ENV = {error = error} error('all', 0)").contains("stack traceback:\n"));
}
