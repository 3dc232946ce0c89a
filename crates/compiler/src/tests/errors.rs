//! What is wrong with sources beyond their grammar.

use perilune_base::dialect::Dialect;

use crate::compile_source;

/// The error that a source has.
#[track_caller]
pub(super) fn error(source: &str) -> String {
    let result = compile_source(source.as_bytes(), b"=test", Dialect::DEFAULT);
    result.expect_err("the source has an error").to_string()
}

#[test]
fn break_needs_a_loop() {
    for (source, expected) in [
        ("break", "test:1: break outside loop at line 1"),
        ("function f()\n break\nend\n\nreturn 1", "test:5: break outside loop at line 2"),
        ("while true do local function f() break end end", "test:1: break outside loop at line 1"),
    ] {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn gotos_need_a_visible_label() {
    for (source, expected) in [
        ("goto x", "test:1: no visible label 'x' for <goto> at line 1"),
        ("do ::a:: end goto a", "test:1: no visible label 'a' for <goto> at line 1"),
        ("goto l1; do ::l1:: end", "test:1: no visible label 'l1' for <goto> at line 1"),
        ("x = function() return function() goto nope end end", "test:1: no visible label 'nope' for <goto> at line 1"),
        (
            "for i = 1, 2 do local function f() goto continue end ::continue:: end",
            "test:1: no visible label 'continue' for <goto> at line 1",
        ),
        ("for i = 1, 2 do end goto \n\n z do end", "test:3: no visible label 'z' for <goto> at line 3"),
    ] {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn labels_are_missed_only_where_a_function_ends() {
    for (source, expected) in [
        ("for i = 1, 3 do goto continue", "test:1: 'end' expected near <eof>"),
        (
            "for i = 1, 3 do\nif i == 2 then goto continue end\n",
            "test:3: 'end' expected (to close 'for' at line 1) near <eof>",
        ),
        ("goto x; end", "test:1: <eof> expected near 'end'"),
        ("goto x )", "test:1: unexpected symbol near ')'"),
        ("break; end", "test:1: <eof> expected near 'end'"),
        ("local q\nbreak end", "test:2: <eof> expected near 'end'"),
        ("function a() goto x; function b() ", "test:1: 'end' expected near <eof>"),
        ("function a() break; x = {", "test:1: unexpected symbol near <eof>"),
        ("function a() goto x end end", "test:1: no visible label 'x' for <goto> at line 1"),
        ("function a() goto x end x = )", "test:1: no visible label 'x' for <goto> at line 1"),
    ] {
        assert_eq!(error(source), expected, "{source}");
    }
}

#[test]
fn labels_are_unique_where_they_are_visible() {
    for (source, expected) in [
        ("::a:: ::a::", "test:1: label 'a' already defined on line 1"),
        ("::a:: do ::a:: end", "test:1: label 'a' already defined on line 1"),
        ("local x ::l1::\n;\n::l1::\nreturn 1", "test:4: label 'l1' already defined on line 3"),
    ] {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn gotos_do_not_enter_the_scope_of_a_local() {
    for (source, expected) in [
        ("do goto x; local a; ::x:: print(a) end", "test:1: <goto x> at line 1 jumps into the scope of local 'a'"),
        ("goto l1\nlocal aa ::l1:: ::l2:: print(3)", "test:2: <goto l1> at line 1 jumps into the scope of local 'aa'"),
        (
            "repeat if x then goto cont end; local xuxu = 10; ::cont:: until xuxu < x",
            "test:1: <goto cont> at line 1 jumps into the scope of local 'xuxu'",
        ),
        ("do goto a end local x; ::a:: x = 1", "test:1: <goto a> at line 1 jumps into the scope of local 'x'"),
        (
            "goto done; local x; ::done:: repeat until true",
            "test:1: <goto done> at line 1 jumps into the scope of local 'x'",
        ),
    ] {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn constants_are_not_assigned_to() {
    for (source, expected) in [
        ("local x <const> = 1; x = 2", "test:1: attempt to assign to const variable 'x'"),
        ("local x <const> = 1;\n\nx\n=\n2", "test:4: attempt to assign to const variable 'x'"),
        ("local x <const> = f(); function foo() x = 2 end", "test:1: attempt to assign to const variable 'x'"),
        ("local x <close> = nil\nx = 3", "test:2: attempt to assign to const variable 'x'"),
        ("local x <const> = 1 function x() end\n\nreturn 1", "test:3: attempt to assign to const variable 'x'"),
        ("local k <const> = 2 y, k = 1", "test:1: attempt to assign to const variable 'k'"),
        ("local a <const> = {}; for a = 1, 2 do a = 3 end; a = 1", "test:1: attempt to assign to const variable 'a'"),
    ] {
        assert_eq!(error(source), expected);
    }
}

#[test]
fn one_variable_of_a_list_is_closed() {
    assert_eq!(error("local a <close>, b <close> = nil"), "test:1: multiple to-be-closed variables in local list");
}

#[test]
fn blocks_end_the_scope_of_their_labels_and_locals() {
    for source in [
        "do goto x; local a; ::x:: end",
        "do goto x; local a; ::x:: ; ; end",
        "do ::a:: end ::a:: goto a",
        "do ::a:: end do ::a:: end",
        "for i = 1, 2 do goto continue; local a; ::continue:: end",
        "repeat goto x; ::x:: until true",
        "goto x; do local a end ::x::",
    ] {
        compile_source(source.as_bytes(), b"=test", Dialect::DEFAULT)
            .unwrap_or_else(|error| panic!("{source}: {error}"));
    }
}
