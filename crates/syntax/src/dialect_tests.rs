//! What the versions accept and refuse, with the reference's messages.

use perilune_base::dialect::{Dialect, LuaVersion};

use super::parse;

/// The message about a source in each version, oldest first; empty where it is valid.
fn messages(source: &str) -> [String; 5] {
    LuaVersion::ALL.map(|version| match parse(source.as_bytes(), b"=c", Dialect::of(version, false)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    })
}

/// Asserts in which versions a source is valid.
fn valid_in(source: &str, expected: [bool; 5]) {
    assert_eq!(messages(source).map(|message| message.is_empty()), expected, "{source}");
}

#[test]
fn statements_come_and_go() {
    valid_in("goto = 1", [true, false, false, false, false]);
    valid_in("goto l ::l::", [false, true, true, true, true]);
    valid_in(";", [false, true, true, true, true]);
    valid_in("while x do break f() end", [false, true, true, true, true]);
    valid_in("local x <const> = 1", [false, false, false, true, true]);
    valid_in("local <const> x, y = 1, 2", [false, false, false, false, true]);
    valid_in("global x, y <const> = 1, 2 global * global function f() end", [false, false, false, false, true]);
    valid_in("global = global.x", [true; 5]);
    valid_in("f = function(...t) end", [false, false, false, false, true]);
    valid_in("x = f\n(1)", [false, true, true, true, true]);
    assert_eq!(messages("break")[0], "c:1: no loop to break near '<eof>'");
    assert_eq!(messages("break")[4], "c:1: break outside loop near 'break'");
}

#[test]
fn operators_and_numerals_follow_the_version() {
    for source in ["x = 1 // 2", "x = 1 & 2", "x = ~1", "x = 1 << 2"] {
        valid_in(source, [false, false, true, true, true]);
    }
    valid_in("x = 0xA.8p1", [false, true, true, true, true]);
    valid_in("x = 1 e = 2", [true; 5]);
    assert_eq!(messages("x = 3x")[0], "c:1: malformed number near '3x'");
    assert_eq!(messages("x = f(3x)")[1], "c:1: ')' expected near 'x'");
    assert_eq!(messages("x = 3x")[3], "c:1: malformed number near '3x'");
}

#[test]
fn escapes_and_their_errors_follow_the_version() {
    valid_in(r#"x = "\q""#, [true, false, false, false, false]);
    valid_in(r#"x = "\x41\z ""#, [true, true, true, true, true]);
    valid_in(r#"x = "\u{7FFFFFFF}""#, [true, false, false, true, true]);
    let [v51, v52, v53, ..] = messages(r#"x = "ab\300""#);
    assert_eq!(v51, "c:1: escape sequence too large near '\"ab'");
    assert_eq!(v52, "c:1: decimal escape too large near '\\300'");
    assert_eq!(v53, "c:1: decimal escape too large near '\"ab\\300\"'");
}

#[test]
fn tokens_are_shown_as_the_version_shows_them() {
    let [v51, v52, v53, ..] = messages("x =");
    assert_eq!(v51, "c:1: unexpected symbol near '<eof>'");
    assert_eq!((v52, v53), ("c:1: unexpected symbol near <eof>".into(), "c:1: unexpected symbol near <eof>".into()));
    let [v51, v52, v53, ..] = messages("x = \x01");
    assert_eq!(v51, "c:1: unexpected symbol near 'char(1)'");
    assert_eq!(v52, "c:1: unexpected symbol near char(1)");
    assert_eq!(v53, "c:1: unexpected symbol near '<\\1>'");
    assert_eq!(messages("local 1")[0], "c:1: '<name>' expected near '1'");
}

#[test]
fn limits_are_worded_by_the_version() {
    let deep = format!("x = {}", "(".repeat(300));
    let [v51, v52, _, v54, _] = messages(&deep);
    assert_eq!(v51, "c:1: chunk has too many syntax levels");
    assert_eq!(v52, "c:1: too many C levels (limit is 200) in main function near '('");
    assert_eq!(v54, "C stack overflow");
}

#[test]
fn strict_dialects_reserve_global() {
    let message = |source: &str| match parse(source.as_bytes(), b"=c", Dialect::of(LuaVersion::Lua55, true)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert_eq!(message("global x; x = 1 global * global function f() end"), "");
    assert_eq!(message("local global = 1"), "c:1: <name> expected near 'global'");
    assert_eq!(message("global = 1"), "c:1: <name> expected near '='");
    assert_eq!(message("x = a.global"), "c:1: <name> expected near 'global'");
    assert_eq!(message("x = global"), "c:1: unexpected symbol near 'global'");
}
