//! Calls, returns and table constructors.

use super::check;

#[test]
fn calls_count_arguments_and_results() {
    check(
        r#"f()
local a = f(1)
local b, c = f(1, 2)
f(f())
f(1, (f()))"#,
        r#"main
  0 gettabup r0 u0 "f"
  1 call r0 1 1
  2 gettabup r0 u0 "f"
  3 loadi r1 1
  4 call r0 2 2
  5 gettabup r1 u0 "f"
  6 loadi r2 1
  7 loadi r3 2
  8 call r1 3 3
  9 gettabup r3 u0 "f"
  10 gettabup r4 u0 "f"
  11 call r4 1 0
  12 call r3 0 1
  13 gettabup r3 u0 "f"
  14 loadi r4 1
  15 gettabup r5 u0 "f"
  16 call r5 1 2
  17 call r3 3 1
  18 return0"#,
    );
}

#[test]
fn methods_get_their_object() {
    check(
        r#"local o
o:m(1)
o.p:m("s"):n{}"#,
        r#"main
  0 loadnil r0 0
  1 self r1 r0 "m"
  2 loadi r3 1
  3 call r1 3 1
  4 getfield r1 r0 "p"
  5 self r1 r1 "m"
  6 loadk r3 "s"
  7 call r1 3 2
  8 self r1 r1 "n"
  9 newtable r3 0 0
  10 call r1 3 1
  11 return0"#,
    );
}

#[test]
fn a_lone_call_is_returned_as_a_tail_call() {
    check(
        r#"if x then return f() end
if x then return (f()) end
if x then return 1, f() end
return f(...)"#,
        r#"main
  0 gettabup r0 u0 "x"
  1 test r0 false -> 4
  2 gettabup r0 u0 "f"
  3 tailcall r0 1
  4 gettabup r0 u0 "x"
  5 test r0 false -> 9
  6 gettabup r0 u0 "f"
  7 call r0 1 2
  8 return1 r0
  9 gettabup r0 u0 "x"
  10 test r0 false -> 15
  11 loadi r0 1
  12 gettabup r1 u0 "f"
  13 call r1 1 0
  14 return r0 0
  15 gettabup r0 u0 "f"
  16 vararg r1 0
  17 tailcall r0 0
  18 return0"#,
    );
}

#[test]
fn there_are_no_tail_calls_out_of_to_be_closed_scopes() {
    check(
        r#"do
  local x <close> = nil
  return f()
end"#,
        r#"main
  0 loadnil r0 0
  1 tbc r0
  2 gettabup r1 u0 "f"
  3 call r1 1 0
  4 return r1 0 1
  5 close r0
  6 return0"#,
    );
}

#[test]
fn returns_of_locals_need_no_move() {
    check(
        r"local a, b
if a then return end
if a then return b end
return b, a",
        r"main
  0 loadnil r0 1
  1 test r0 false -> 3
  2 return0
  3 test r0 false -> 5
  4 return1 r1
  5 move r2 r1
  6 move r3 r0
  7 return r2 3
  8 return0",
    );
}

#[test]
fn returns_close_captured_variables() {
    check(
        r"local a
local f = function() return a end
if f then return a end
if f then return a, f end
if f then return end
return f()",
        r"main
  0 loadnil r0 0
  1 closure r1 f0
  2 test r1 false -> 4
  3 return r0 2 1
  4 test r1 false -> 8
  5 move r2 r0
  6 move r3 r1
  7 return r2 3 1
  8 test r1 false -> 10
  9 return r2 1 1
  10 move r2 r1
  11 tailcall r2 1 1
  12 return r2 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0",
    );
}

#[test]
fn returns_close_variables_only_in_their_scope() {
    check(
        r#"do local x <close> = nil; if x then return x end end
if y then return y end"#,
        r#"main
  0 loadnil r0 0
  1 tbc r0
  2 test r0 false -> 4
  3 return r0 2 1
  4 close r0
  5 gettabup r0 u0 "y"
  6 test r0 false -> 9
  7 gettabup r0 u0 "y"
  8 return1 r0
  9 return0"#,
    );
}

#[test]
fn named_items_make_a_record() {
    check(
        r#"local t = {a = 1, ["b"] = {c = 2}}"#,
        r#"main
  0 loadi r1 1
  1 loadi r3 2
  2 newrecord r2 "c"
  3 newrecord r0 "a" "b"
  4 return0"#,
    );
}

#[test]
fn repeated_names_make_no_record() {
    check(
        r#"local t = {a = 1, a = 2}"#,
        r#"main
  0 newtable r0 0 2
  1 loadi r1 1
  2 setfield r0 "a" r1
  3 loadi r1 2
  4 setfield r0 "a" r1
  5 return0"#,
    );
}

#[test]
fn mixed_items() {
    check(
        r#"local t = {1, a = 2, [3] = 4, f(), [f] = 5, 6}"#,
        r#"main
  0 newtable r0 3 3
  1 loadi r1 1
  2 loadi r2 2
  3 setfield r0 "a" r2
  4 loadi r2 4
  5 setint r0 3 r2
  6 gettabup r2 u0 "f"
  7 call r2 1 2
  8 gettabup r3 u0 "f"
  9 loadi r4 5
  10 settable r0 r3 r4
  11 loadi r3 6
  12 setlist r0 3 0
  13 return0"#,
    );
}

#[test]
fn positional_items_are_stored_together() {
    check(
        r#"local t = {1, 2, 3}
t = {}
t = {f()}
t = {1, ...}
t = {(f())}"#,
        r#"main
  0 newtable r0 3 0
  1 loadi r1 1
  2 loadi r2 2
  3 loadi r3 3
  4 setlist r0 3 0
  5 newtable r1 0 0
  6 move r0 r1
  7 newtable r1 0 0
  8 gettabup r2 u0 "f"
  9 call r2 1 0
  10 setlist r1 0 0
  11 move r0 r1
  12 newtable r1 1 0
  13 loadi r2 1
  14 vararg r3 0
  15 setlist r1 0 0
  16 move r0 r1
  17 newtable r1 1 0
  18 gettabup r2 u0 "f"
  19 call r2 1 2
  20 setlist r1 1 0
  21 move r0 r1
  22 return0"#,
    );
}

#[test]
fn a_record_may_begin_a_line() {
    check(
        r#"local t = {
  a = 1,
  b = 2,
}"#,
        r#"main
  0 loadfalse r0
  1 loadi r1 1
  2 loadi r2 2
  3 newrecord r0 "a" "b"
  4 return0"#,
    );
}
