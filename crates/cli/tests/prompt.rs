//! What the command does with what is typed, and what scripts see of the command line.
#![expect(clippy::disallowed_methods, reason = "the command is run as its users do")]

mod common;

use common::run;

/// What it prints.
fn printed(arguments: &[&str], input: &str) -> String {
    String::from_utf8(run(arguments, input).stdout).expect("text")
}

#[test]
fn a_block_goes_on_over_lines_in_all_versions() {
    for version in ["5.1", "5.2", "5.3", "5.4", "5.5"] {
        let shown = printed(&["--lua-version", version, "-i"], "for i = 1, 2 do\nprint('round', i)\nend\n");
        assert!(shown.contains("round\t1\nround\t2\n"), "{version}: {shown}");
    }
}

#[test]
fn arguments_are_there_as_in_the_version() {
    let show = "print(type(arg))";
    for (version, kind) in [("5.1", "nil"), ("5.2", "nil"), ("5.3", "table"), ("5.4", "table"), ("5.5", "table")] {
        assert_eq!(printed(&["--lua-version", version, "-e", show], ""), format!("{kind}\n"), "{version}");
        let with_script = printed(&["--lua-version", version, "-e", show, "-", "x"], "print(arg[1])");
        assert_eq!(with_script, format!("{kind}\nx\n"), "{version}");
    }
}

#[test]
fn the_exit_of_5_1_takes_numbers_alone() {
    let exit = |version: &str, script: &str| run(&["--lua-version", version, "-e", script], "");
    let refused = exit("5.1", "os.exit(true)");
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("bad argument #1 to 'exit' (number expected, got boolean)"), "{message}");
    let finalizer =
        "local p = newproxy(true) getmetatable(p).__gc = function() print('finalized') end os.exit(4, true)";
    let left = exit("5.1", finalizer);
    assert_eq!((left.status.code(), &left.stdout[..]), (Some(4), &b""[..]));
    assert_eq!(exit("5.2", "os.exit(true)").status.code(), Some(0));
    assert_eq!(exit("5.2", "os.exit(false)").status.code(), Some(1));
}
