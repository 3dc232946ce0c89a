//! What the compiler makes of a source in other versions than the default one.

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_bytecode::ops::Op;
use perilune_bytecode::proto::{Const, FUNCTION_ENV, Proto};
use perilune_bytecode::verify::verify;

use crate::compile_source;

fn compiled(version: LuaVersion, source: &str) -> Proto {
    let proto = compile_source(source.as_bytes(), b"=test", Dialect::of(version, false));
    let proto = proto.unwrap_or_else(|error| panic!("{source}: {error}"));
    assert_eq!(verify(&proto), Ok(()), "{source}");
    proto
}

fn refused(version: LuaVersion, source: &str) -> String {
    match compile_source(source.as_bytes(), b"=test", Dialect::of(version, false)) {
        Ok(_) => panic!("{source}"),
        Err(error) => error.to_string(),
    }
}

fn uses(proto: &Proto, op: Op) -> bool {
    proto.code.iter().any(|instr| instr.op() == Some(op))
}

#[test]
fn without_integers_numbers_are_floats() {
    let proto = compiled(LuaVersion::Lua51, "for i = 1, #t do t[1] = i % 2 + 3 end");
    assert!(uses(&proto, Op::LenF) && uses(&proto, Op::ModFK) && uses(&proto, Op::ForPrepOld));
    assert!(uses(&proto, Op::ForFloat));
    assert!(uses(&proto, Op::SetInt) && !uses(&proto, Op::AddI) && !uses(&proto, Op::LoadI));
    assert!(!proto.consts.iter().any(|constant| matches!(constant, Const::Int(_))));
}

#[test]
fn zeros_of_a_function_are_one_constant_in_5_1() {
    let zeros = |version| {
        let proto = compiled(version, "return 0, -0");
        proto.consts.iter().filter(|constant| matches!(constant, Const::Float(zero) if *zero == 0.0)).count()
    };
    assert_eq!((zeros(LuaVersion::Lua51), zeros(LuaVersion::Lua52)), (1, 0));
}

#[test]
fn functions_of_5_1_have_their_environment_first() {
    let proto = compiled(LuaVersion::Lua51, "local a; function f() return function() return a end end");
    for function in [&proto, &proto.protos[0], &proto.protos[0].protos[0]] {
        assert_eq!(&*function.upvals[0].name, FUNCTION_ENV);
    }
    assert!(refused(LuaVersion::Lua51, &captures(61)).contains("has more than 60 upvalues"));
    compiled(LuaVersion::Lua51, &captures(60));
}

/// A function that uses `count` variables of the one around it.
fn captures(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|n| format!("a{n}")).collect();
    format!("local {0} return function() return {0} end", names.join(", "))
}

#[test]
fn the_table_of_varargs_is_made_when_it_is_used() {
    let function = |version, source| compiled(version, source).protos[0].clone();
    assert!(uses(&function(LuaVersion::Lua51, "function f(...) end"), Op::VarArgTable));
    assert!(!uses(&function(LuaVersion::Lua51, "function f(...) return ... end"), Op::VarArgTable));
    let plain = function(LuaVersion::Lua55, "function f(...t) return ... end");
    assert!(uses(&plain, Op::VarArg) && !uses(&plain, Op::VarArgTable));
    let used = function(LuaVersion::Lua55, "function f(...t) t.n = 0 return ... end");
    assert!(uses(&used, Op::VarArgOf) && uses(&used, Op::VarArgTable));
}

#[test]
fn declared_globals_are_checked() {
    let check = |source| refused(LuaVersion::Lua55, source);
    assert_eq!(check("global x y = 1"), "test:1: variable 'y' not declared");
    assert_eq!(check("global <const> * x = 1"), "test:1: attempt to assign to const variable 'x'");
    assert_eq!(check("global _ENV, x x = 1"), "test:1: _ENV is global when accessing variable 'x'");
    assert_eq!(check("for i = 1, 2 do i = 3 end"), "test:1: attempt to assign to const variable 'i'");
    assert_eq!(check("function f(...t) t = 1 end"), "test:1: attempt to assign to const variable 't'");
    assert!(uses(&compiled(LuaVersion::Lua55, "global x = 1"), Op::NewGlobal));
    compiled(LuaVersion::Lua55, "do global x x = 1 end y = 2");
}

#[test]
fn a_goto_of_5_3_finds_the_nearest_label() {
    let proto = compiled(LuaVersion::Lua53, "::l:: do goto l; ::l:: end");
    assert!(!uses(&proto, Op::Loop));
    assert!(refused(LuaVersion::Lua54, "::l:: do goto l; ::l:: end").contains("already defined"));
}
