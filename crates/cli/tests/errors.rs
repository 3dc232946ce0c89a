//! How the command shows the errors that end a script.
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

mod common;

use common::run;

/// What a script of a version leaves on the standard error.
fn error_of(version: &str, script: &str) -> String {
    let output = run(&["--lua-version", version, "-e", script], "");
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

/// How the command ends, and what it leaves on the standard error.
fn end_of(options: &[&str], input: &str) -> (i32, String) {
    let output = run(options, input);
    (output.status.code().expect("no signal ends it"), String::from_utf8(output.stderr).expect("the message is text"))
}

#[test]
fn a_limit_that_strikes_in_a_finalizer_at_the_end_is_told() {
    let endless = "x = setmetatable({}, {__gc = function() while true do end end})";
    for script in [endless.to_owned(), format!("{endless} os.exit(true, true)")] {
        let (code, message) = end_of(&["--max-instructions", "100000", "-"], &script);
        assert_eq!((code, message.lines().count()), (3, 1), "{message}");
    }
}

#[test]
fn memory_that_runs_out_in_a_wrapped_coroutine_is_a_limit() {
    let script = "coroutine.wrap(function() local s = 'x' while true do s = s .. s end end)()";
    for version in ["5.1", "5.3", "5.4", "5.5"] {
        let (code, message) = end_of(&["--lua-version", version, "--max-memory", "20M", "-"], script);
        assert_eq!(code, 3, "{message}");
        assert!(message.contains(": not enough memory"), "{message}");
    }
    let caught = format!("local ok, e = pcall(function() {script} end) error(e, 0)");
    let (_, message) = end_of(&["--max-memory", "20M", "-"], &caught);
    assert!(!message.contains("stdin:1: not enough memory"), "{message}");
}

#[test]
fn only_a_program_that_was_named_fails_the_command() {
    for script in ["error('x')", "x x x"] {
        let (code, message) = end_of(&[], script);
        assert!(code == 0 && message.contains("stdin:1: "), "{code} {message}");
        assert_eq!(end_of(&["-"], script).0, 1);
    }
    assert_eq!(end_of(&[], "os.exit(7)").0, 7);
    assert_eq!(end_of(&["--max-instructions", "1000"], "while true do end").0, 3);
}

#[test]
fn messages_end_with_their_first_zero_byte() {
    let message = error_of("5.4", "error('a\\0b', 0)");
    assert!(message.contains(": a\nstack traceback:\n"), "{message}");
}
