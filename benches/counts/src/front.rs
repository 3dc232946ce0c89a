//! From source to a function: each stage alone, over the same program.

use std::hint::black_box;

use perilune_base::dialect::Dialect;
use perilune_bytecode::{dump, verify};
use perilune_compiler::{compile, compile_source};
use perilune_syntax::parse;
use perilune_vm::load::LoadMode;

use crate::lua::vm;
use crate::{Scenario, Work};

/// An ordinary program of a few hundred lines.
const PROGRAM: &[u8] = include_bytes!("../../programs/interpreters/stack_machine.lua");

const NAME: &[u8] = b"=program";

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "front/lex", prepare: lex },
    Scenario { name: "front/parse", prepare: parse_program },
    Scenario { name: "front/compile", prepare: compile_program },
    Scenario { name: "front/verify", prepare: verify_program },
    Scenario { name: "front/dump", prepare: dump_program },
    Scenario { name: "front/undump", prepare: undump_program },
    Scenario { name: "front/load", prepare: load_program },
];

/// Comments, literals and blanks, with as little grammar as a chunk can have: the lexer's work.
fn lex() -> Work {
    let mut source = b"return {\n".to_vec();
    for i in 0..200 {
        source.extend_from_slice(b"  -- a comment of some words, as they stand between statements\n");
        source.extend_from_slice(
            format!("  identifier_{i} == {i}.25e3, 0x{i:x}, \"text\\n\\x41\\u{{20ac}}\",\n").as_bytes(),
        );
        source.extend_from_slice(b"  [==[ a long\n string ]==], a .. b // c ~= d << 1,\n");
    }
    source.push(b'}');
    Box::new(move || drop(black_box(parse(&source, NAME, Dialect::DEFAULT))))
}

fn parse_program() -> Work {
    Box::new(|| drop(black_box(parse(PROGRAM, NAME, Dialect::DEFAULT))))
}

fn compile_program() -> Work {
    let chunk = parse(PROGRAM, NAME, Dialect::DEFAULT).expect("the program is well formed");
    Box::new(move || drop(black_box(compile(&chunk, PROGRAM, NAME, Dialect::DEFAULT))))
}

fn verify_program() -> Work {
    let proto = compile_source(PROGRAM, NAME, Dialect::DEFAULT).expect("the program compiles");
    Box::new(move || black_box(verify::verify(&proto)).expect("the compiler's output is valid"))
}

fn dump_program() -> Work {
    let proto = compile_source(PROGRAM, NAME, Dialect::DEFAULT).expect("the program compiles");
    Box::new(move || drop(black_box(dump::dump(&proto, Dialect::DEFAULT.version, false))))
}

fn undump_program() -> Work {
    let mut vm = vm();
    let function = vm.load(PROGRAM, NAME, LoadMode::Text, None).expect("the program compiles");
    let binary = vm.dump(function, false).expect("a Lua function");
    Box::new(move || {
        let _ = black_box(vm.load(&binary, NAME, LoadMode::Binary, None));
    })
}

fn load_program() -> Work {
    let mut vm = vm();
    Box::new(move || {
        let _ = black_box(vm.load(PROGRAM, NAME, LoadMode::Text, None));
    })
}
