//! Source in, listing out. The errors are those of the reference, recorded from Lua 5.4.8.

mod calls;
mod debug_info;
mod dialects;
mod errors;
mod expressions;
mod limits;
mod statements;
mod verified;

use perilune_base::dialect::Dialect;
use perilune_bytecode::listing::list;
use perilune_bytecode::proto::Proto;

use crate::compile_source;

#[track_caller]
fn compiled(source: &str) -> Proto {
    compile_source(source.as_bytes(), b"=test", Dialect::DEFAULT).unwrap_or_else(|error| panic!("{error}"))
}

/// The listing without headers, lines and variables.
fn code(source: &str) -> String {
    let mut text = String::new();
    for line in list(&compiled(source)).lines() {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["local" | "upvalue", ..] => {}
            ["function", name, ..] => {
                let name = name.trim_start_matches('<').split(':').next().unwrap_or_default();
                text += name;
                text += "\n";
            }
            [pc, _line, ..] => {
                let operands = line.split_once("] ").map_or(line, |(_, operands)| operands);
                text += &format!("  {pc} {operands}\n");
            }
            _ => {}
        }
    }
    text
}

/// Checks the code of a source.
#[track_caller]
fn check(source: &str, expected: &str) {
    let actual = code(source);
    assert!(actual.trim_end() == expected, "{source}\n--- is\n{actual}");
}
