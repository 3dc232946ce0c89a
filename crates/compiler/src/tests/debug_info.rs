//! Lines of instructions, and the lives of variables.

use perilune_bytecode::listing::list;
use perilune_bytecode::proto::Proto;

use super::compiled;

/// The lines of a function's instructions, in order.
fn lines(source: &str) -> Vec<u32> {
    compiled(source).lines
}

fn locals(proto: &Proto) -> String {
    let locals = proto
        .locals
        .iter()
        .map(|local| format!("{} {}..{}", String::from_utf8_lossy(&local.name), local.start, local.end));
    locals.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_call_is_in_the_line_of_its_arguments() {
    assert_eq!(lines("f\n(\n1,\n2\n)\n\n"), [1, 3, 5, 2, 5]);
    assert_eq!(lines("local o = {}\no\n:m()\n:n\n()"), [1, 3, 3, 4, 5, 5]);
}

#[test]
fn an_operation_is_in_the_line_of_its_operator() {
    assert_eq!(lines("local a = b\n+\nc\n"), [2, 3, 2, 3]);
    assert_eq!(lines("local a = b ..\nc\n..\nd"), [1, 3, 4, 3, 4]);
    assert_eq!(lines("local a = -\nb"), [2, 1, 2]);
    assert_eq!(lines("local a <const>, b = b\n.c\n.d"), [1, 2, 3, 3, 3]);
}

#[test]
fn a_condition_is_tested_in_the_line_of_then() {
    assert_eq!(lines("if\na.b\nthen\nf()\nend"), [2, 3, 3, 4, 4, 5]);
    assert_eq!(lines("while\na.b\ndo\nf()\nend"), [2, 2, 2, 4, 4, 4, 5]);
}

#[test]
fn loops_end_in_the_line_where_they_begin() {
    assert_eq!(lines("for i = 1,\n2\ndo\nf()\nend"), [1, 2, 2, 3, 4, 4, 1, 5]);
    assert_eq!(lines("for k in\npairs(t)\ndo\nf()\nend"), [2, 2, 2, 3, 4, 4, 2, 2, 5, 5]);
}

#[test]
fn a_function_is_made_in_its_last_line_and_named_in_its_first() {
    assert_eq!(lines("function f(\n)\nend"), [3, 1, 3]);
    assert_eq!(lines("local f = function()\nend"), [2, 2]);
    let proto = compiled("\nlocal function f()\n  return 1\n\nend");
    assert_eq!((proto.protos[0].line_defined, proto.protos[0].last_line), (2, 5));
    assert_eq!(proto.protos[0].lines, [3, 3, 5]);
}

#[test]
fn items_of_constructors_have_their_own_lines() {
    assert_eq!(lines("local t = {\n1,\nx = 2,\nf()\n}"), [1, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!(lines("local t = {\nx = 1,\ny = 2\n}"), [1, 2, 3, 3, 4]);
}

#[test]
fn commas_end_the_values_before_them() {
    assert_eq!(lines("f(a.b\n,\n1)"), [1, 1, 2, 3, 1, 3]);
    assert_eq!(lines("local a, b = c -- ,\n--[[,]] , d"), [2, 2, 2]);
}

#[test]
fn variables_live_from_their_initialisation_to_the_end_of_their_block() {
    let proto = compiled("local a = 1\nlocal b <const> = 2\ndo local c = a end\nlocal d, e = b");
    assert_eq!(locals(&proto), "a 1..5, c 2..2, d 4..5, e 4..5");
    let proto = compiled("local function f(x, ...) local y end\nfor i = 1, 2 do end");
    assert_eq!(locals(&proto), "f 1..7, (for state) 4..6, (for state) 4..6, (for state) 4..6, i 5..5");
    assert_eq!(locals(&proto.protos[0]), "x 0..2, y 1..2");
    assert!(proto.protos[0].is_vararg && proto.protos[0].num_params == 1);
}

#[test]
fn generic_loops_have_four_variables_of_their_own() {
    let names = "(for state) 2..5, ".repeat(4);
    assert_eq!(locals(&compiled("for k, v in f() do end")), format!("{names}k 3..3, v 3..3"));
}

#[test]
fn upvalues_know_their_origin_and_attribute() {
    let source =
        "local a <const>, b <close> = f(), nil\nreturn function(c)\n  return function() return a, b, c, x end\nend";
    let text = list(&compiled(source));
    let upvalues: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("upvalue ")).collect();
    assert_eq!(
        upvalues,
        [
            "0 _ENV r0",
            "0 a r0 <const>",
            "1 b r1 <close>",
            "2 _ENV u0",
            "0 a u0 <const>",
            "1 b u1 <close>",
            "2 c r0",
            "3 _ENV u2",
        ]
    );
}

/// The name of a chunk without one is all of its source.
#[test]
fn the_name_of_a_chunk_is_kept_once() {
    let proto = compiled("function f() return function() end end");
    assert_eq!(&*proto.source, b"=test");
    assert!(proto.protos[0].source.is_empty() && proto.protos[0].protos[0].source.is_empty());
}
