//! Statements: assignment, scopes, loops, jumps.

use super::check;

#[test]
fn values_are_assigned_from_right_to_left() {
    check(
        r#"local a, b
a, b = b, a
a, b = f()
a, b = 1
a = 1, 2
x, y = y, x"#,
        r#"main
  0 loadnil r0 1
  1 move r2 r1
  2 move r1 r0
  3 move r0 r2
  4 gettabup r2 u0 "f"
  5 call r2 1 3
  6 move r1 r3
  7 move r0 r2
  8 loadi r2 1
  9 loadnil r3 0
  10 move r1 r3
  11 move r0 r2
  12 loadi r2 1
  13 loadi r3 2
  14 move r0 r2
  15 gettabup r2 u0 "y"
  16 gettabup r3 u0 "x"
  17 settabup u0 "y" r3
  18 settabup u0 "x" r2
  19 return0"#,
    );
}

#[test]
fn a_table_that_is_assigned_to_is_copied_first() {
    check(
        r#"local a, i
a[i], a.x, i, a = 1, 2, 3, 4"#,
        r#"main
  0 loadnil r0 1
  1 move r2 r1
  2 move r3 r0
  3 loadi r4 1
  4 loadi r5 2
  5 loadi r6 3
  6 loadi r0 4
  7 move r1 r6
  8 setfield r3 "x" r5
  9 settable r3 r2 r4
  10 return0"#,
    );
}

#[test]
fn an_upvalue_that_is_assigned_to_is_copied_first() {
    check(
        r#"local t
return function() t.x, t = 1, 2 end"#,
        r#"main
  0 loadnil r0 0
  1 closure r1 f0
  2 return r1 2 1
  3 return r1 1 1
main.f0
  0 getupval r0 u0
  1 loadi r1 1
  2 loadi r2 2
  3 setupval r2 u0
  4 setfield r0 "x" r1
  5 return0"#,
    );
}

#[test]
fn locals_are_adjusted() {
    check(
        r#"local a, b, c = 1
local d, e = 1, 2, f()
local g, h = f(), 3
local i, j, k = 1, f()"#,
        r#"main
  0 loadi r0 1
  1 loadnil r1 1
  2 loadi r3 1
  3 loadi r4 2
  4 gettabup r5 u0 "f"
  5 call r5 1 1
  6 gettabup r5 u0 "f"
  7 call r5 1 2
  8 loadi r6 3
  9 loadi r7 1
  10 gettabup r8 u0 "f"
  11 call r8 1 3
  12 return0"#,
    );
}

#[test]
fn the_last_constant_local_needs_no_register() {
    check(
        r#"local a, b <const> = f(), 5
local c = b"#,
        r#"main
  0 gettabup r0 u0 "f"
  1 call r0 1 2
  2 loadi r1 5
  3 return0"#,
    );
}

#[test]
fn functions_are_stored_under_their_names() {
    check(
        r#"local f
function f() end
function g.h.i() end
function g:j() end
local function k() return k end"#,
        r#"main
  0 loadnil r0 0
  1 closure r1 f0
  2 move r0 r1
  3 gettabup r1 u0 "g"
  4 getfield r1 r1 "h"
  5 closure r2 f1
  6 setfield r1 "i" r2
  7 gettabup r1 u0 "g"
  8 closure r2 f2
  9 setfield r1 "j" r2
  10 closure r1 f3
  11 return r2 1 1
main.f0
  0 return0
main.f1
  0 return0
main.f2
  0 return0
main.f3
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn a_while_loop_ends_in_its_back_edge() {
    check(
        r#"local a
while a do a = a.next end
while true do f() end"#,
        r#"main
  0 loadnil r0 0
  1 test r0 false -> 4
  2 getfield r0 r0 "next"
  3 loop -> 1
  4 gettabup r1 u0 "f"
  5 call r1 1 1
  6 loop -> 4
  7 return0"#,
    );
}

#[test]
fn break_leaves_the_innermost_loop() {
    check(
        r#"while x do
  while y do break end
  if z then break end
  do f() break end
end"#,
        r#"main
  0 gettabup r0 u0 "x"
  1 test r0 false -> 12
  2 gettabup r0 u0 "y"
  3 test r0 false -> 6
  4 jump -> 6
  5 loop -> 2
  6 gettabup r0 u0 "z"
  7 test r0 true -> 12
  8 gettabup r0 u0 "f"
  9 call r0 1 1
  10 jump -> 12
  11 loop -> 0
  12 return0"#,
    );
}

#[test]
fn a_repeat_loop_exits_forwards() {
    check(
        r#"local a
repeat f() until a
repeat f() until a == 1 and f()"#,
        r#"main
  0 loadnil r0 0
  1 gettabup r1 u0 "f"
  2 call r1 1 1
  3 test r0 true -> 5
  4 loop -> 1
  5 gettabup r1 u0 "f"
  6 call r1 1 1
  7 eqi r0 1 false -> 11
  8 gettabup r1 u0 "f"
  9 call r1 1 2
  10 test r1 true -> 12
  11 loop -> 5
  12 return0"#,
    );
}

#[test]
fn constant_conditions_of_repeat() {
    check(
        r#"repeat f() until true
repeat f() until false
local a
repeat f() until a and true
repeat f() until a or true"#,
        r#"main
  0 gettabup r0 u0 "f"
  1 call r0 1 1
  2 gettabup r0 u0 "f"
  3 call r0 1 1
  4 loop -> 2
  5 loadnil r0 0
  6 gettabup r1 u0 "f"
  7 call r1 1 1
  8 test r0 false -> 10
  9 jump -> 11
  10 loop -> 6
  11 gettabup r1 u0 "f"
  12 call r1 1 1
  13 test r0 true -> 14
  14 return0"#,
    );
}

#[test]
fn a_repeat_loop_closes_its_variables_on_both_ways() {
    check(
        r#"repeat local a; f(function() return a end) until a"#,
        r#"main
  0 loadnil r0 0
  1 gettabup r1 u0 "f"
  2 closure r2 f0
  3 call r1 2 1
  4 test r0 true -> 7
  5 close r0
  6 loop -> 0
  7 close r0
  8 return r0 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn a_while_loop_closes_the_variables_of_its_body() {
    check(
        r#"while x do local a; f(function() return a end) if a then break end end"#,
        r#"main
  0 gettabup r0 u0 "x"
  1 test r0 false -> 10
  2 loadnil r0 0
  3 gettabup r1 u0 "f"
  4 closure r2 f0
  5 call r1 2 1
  6 test r0 true -> 9
  7 close r0
  8 loop -> 0
  9 close r0
  10 return r0 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn numeric_loops() {
    check(
        r#"for i = 1, 10 do f(i) end
for i = 10, 1, -1 do end"#,
        r#"main
  0 loadi r0 1
  1 loadi r1 10
  2 loadi r2 1
  3 forprep r0 -> 8
  4 gettabup r4 u0 "f"
  5 move r5 r3
  6 call r4 2 1
  7 forloop r0 -> 4
  8 loadi r0 10
  9 loadi r1 1
  10 loadi r2 -1
  11 forprep r0 -> 13
  12 forloop r0 -> 12
  13 return0"#,
    );
}

#[test]
fn numeric_loops_close_their_variable() {
    check(
        r#"for i = 1, 2 do f(function() return i end) end"#,
        r#"main
  0 loadi r0 1
  1 loadi r1 2
  2 loadi r2 1
  3 forprep r0 -> 9
  4 gettabup r4 u0 "f"
  5 closure r5 f0
  6 call r4 2 1
  7 close r3
  8 forloop r0 -> 4
  9 return r0 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn generic_loops() {
    check(
        r#"for k, v in pairs(t) do f(k, v) end"#,
        r#"main
  0 gettabup r0 u0 "pairs"
  1 gettabup r1 u0 "t"
  2 call r0 2 5
  3 tforprep r0 -> 8
  4 gettabup r6 u0 "f"
  5 move r7 r4
  6 move r8 r5
  7 call r6 3 1
  8 tforcall r0 2
  9 tforloop r0 -> 4
  10 close r0
  11 return0"#,
    );
}

#[test]
fn conditions_of_if() {
    check(
        r#"if a then f() elseif b then g() else h() end
if true then f() end
if nil then f() end"#,
        r#"main
  0 gettabup r0 u0 "a"
  1 test r0 false -> 5
  2 gettabup r0 u0 "f"
  3 call r0 1 1
  4 jump -> 12
  5 gettabup r0 u0 "b"
  6 test r0 false -> 10
  7 gettabup r0 u0 "g"
  8 call r0 1 1
  9 jump -> 12
  10 gettabup r0 u0 "h"
  11 call r0 1 1
  12 gettabup r0 u0 "f"
  13 call r0 1 1
  14 loadnil r0 0
  15 test r0 false -> 18
  16 gettabup r0 u0 "f"
  17 call r0 1 1
  18 return0"#,
    );
}

#[test]
fn gotos_forwards_and_backwards() {
    check(
        r#"::top::
if x then goto done end
goto top
::done::"#,
        r#"main
  0 gettabup r0 u0 "x"
  1 test r0 true -> 3
  2 loop -> 0
  3 return0"#,
    );
}

#[test]
fn a_goto_that_leaves_captured_variables_closes_them() {
    check(
        r#"do
  local a
  f(function() return a end)
  if a then goto out end
  f()
end
::out:: g()"#,
        r#"main
  0 loadnil r0 0
  1 gettabup r1 u0 "f"
  2 closure r2 f0
  3 call r1 2 1
  4 test r0 true -> 8
  5 gettabup r1 u0 "f"
  6 call r1 1 1
  7 close r0
  8 close r0
  9 gettabup r0 u0 "g"
  10 call r0 1 1
  11 return r0 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn a_goto_backwards_closes_what_follows_the_label() {
    check(
        r#"::top::
local a
f(function() return a end)
goto top"#,
        r#"main
  0 loadnil r0 0
  1 gettabup r1 u0 "f"
  2 closure r2 f0
  3 call r1 2 1
  4 close r0
  5 loop -> 0
  6 return r1 1 1
main.f0
  0 getupval r0 u0
  1 return1 r0
  2 return0"#,
    );
}

#[test]
fn continue_is_a_goto() {
    check(
        r#"for i = 1, 3 do
  if i == 2 then goto continue end
  f(i)
  ::continue::
end"#,
        r#"main
  0 loadi r0 1
  1 loadi r1 3
  2 loadi r2 1
  3 forprep r0 -> 9
  4 eqi r3 2 true -> 8
  5 gettabup r4 u0 "f"
  6 move r5 r3
  7 call r4 2 1
  8 forloop r0 -> 4
  9 return0"#,
    );
}

#[test]
fn to_be_closed_variables() {
    check(
        r#"do
  local a <const>, b <close> = 1, f()
  g()
end
h()"#,
        r#"main
  0 loadi r0 1
  1 gettabup r1 u0 "f"
  2 call r1 1 2
  3 tbc r1
  4 gettabup r2 u0 "g"
  5 call r2 1 1
  6 close r0
  7 gettabup r0 u0 "h"
  8 call r0 1 1
  9 return0"#,
    );
}

#[test]
fn jumps_to_jumps_go_straight() {
    check(
        r#"while a do
  if b then if c then f() else g() end else h() end
end"#,
        r#"main
  0 gettabup r0 u0 "a"
  1 test r0 false -> 15
  2 gettabup r0 u0 "b"
  3 test r0 false -> 12
  4 gettabup r0 u0 "c"
  5 test r0 false -> 9
  6 gettabup r0 u0 "f"
  7 call r0 1 1
  8 jump -> 14
  9 gettabup r0 u0 "g"
  10 call r0 1 1
  11 jump -> 14
  12 gettabup r0 u0 "h"
  13 call r0 1 1
  14 loop -> 0
  15 return0"#,
    );
}
