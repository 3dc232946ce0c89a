//! Running the command as its users do.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// How the command ends, and what it leaves, when it gets these options and this input.
pub fn run(options: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_perilune"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    // The input is closed once it was written.
    child.stdin.take().expect("it is a pipe").write_all(input.as_bytes()).expect("the command reads");
    child.wait_with_output().expect("the command ends")
}
