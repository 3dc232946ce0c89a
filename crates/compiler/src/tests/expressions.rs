//! Expressions: constants, arithmetic, comparisons, logic, and where their values go.

use super::check;

#[test]
fn constants_are_loaded_by_the_shortest_instruction() {
    check(
        r#"local a, b, c, d, e, f = 1, 3000000000, 2.0, 0.5, "s", nil
local g, h = true, false"#,
        r#"main
  0 loadi r0 1
  1 loadk r1 3000000000
  2 loadf r2 2
  3 loadk r3 0.5
  4 loadk r4 "s"
  5 loadnil r5 0
  6 loadtrue r6
  7 loadfalse r7
  8 return0"#,
    );
}

#[test]
fn nils_beside_each_other_are_loaded_at_once() {
    check(
        r"local a
local b, c
do local d end",
        r"main
  0 loadnil r0 3
  1 return0",
    );
}

#[test]
fn a_jump_target_keeps_nils_apart() {
    check(
        r"local a
if a then a = nil end
local b",
        r"main
  0 loadnil r0 0
  1 test r0 false -> 3
  2 loadnil r0 0
  3 loadnil r1 0
  4 return0",
    );
}

#[test]
fn locals_are_operands_in_place() {
    check(
        r"local a, b
a = a + b
b = -a",
        r"main
  0 loadnil r0 1
  1 add r0 r0 r1
  2 unm r1 r0
  3 return0",
    );
}

#[test]
fn constant_operands_of_arithmetic() {
    check(
        r"local a
a = a + 1; a = 1 + a; a = a - 1; a = 1 - a
a = a * 2; a = 2 * a; a = a / 2.5; a = a % 3; a = a // 4; a = a ^ 2",
        r"main
  0 loadnil r0 0
  1 addi r0 r0 1
  2 addi r0 r0 1 2
  3 addi r0 r0 -1 1
  4 loadi r1 1
  5 sub r0 r1 r0
  6 mulk r0 r0 2
  7 mulk r0 r0 2 1
  8 divk r0 r0 2.5
  9 modk r0 r0 3
  10 idivk r0 r0 4
  11 powk r0 r0 2
  12 return0",
    );
}

#[test]
fn an_integer_zero_is_subtracted_by_adding_it() {
    check(
        r"local a
a = a - 0
a = a - 0.0",
        r"main
  0 loadnil r0 0
  1 addi r0 r0 0 1
  2 subk r0 r0 0.0
  3 return0",
    );
}

#[test]
fn immediates_have_32_bits() {
    check(
        r"local a
a = a + 2147483647; a = a + 2147483648
a = a - 2147483647; a = a - -2147483648; a = a + -2147483648",
        r"main
  0 loadnil r0 0
  1 addi r0 r0 2147483647
  2 addk r0 r0 2147483648
  3 addi r0 r0 -2147483647 1
  4 subk r0 r0 -2147483648
  5 addi r0 r0 -2147483648
  6 return0",
    );
}

#[test]
fn constant_operands_of_bitwise_operators() {
    check(
        r"local a
a = a & 1; a = 1 | a; a = a ~ 2.0
a = a << 3; a = 3 << a; a = a >> -1",
        r"main
  0 loadnil r0 0
  1 bandk r0 r0 1
  2 bork r0 r0 1 1
  3 loadf r1 2
  4 bxor r0 r0 r1
  5 shli r0 r0 3
  6 loadi r1 3
  7 shl r0 r1 r0
  8 shri r0 r0 -1
  9 return0",
    );
}

#[test]
fn constants_are_folded() {
    check(
        r"return 1 + 2 * 3, 7 // 2, 2 ^ 3, -(5), ~0, 1 << 4, 3 & 2.0, 2 - 2",
        r"main
  0 loadi r0 7
  1 loadi r1 3
  2 loadf r2 8
  3 loadi r3 -5
  4 loadi r4 -1
  5 loadi r5 16
  6 loadi r6 2
  7 loadi r7 0
  8 return r0 9
  9 return0",
    );
}

#[test]
fn errors_and_zeros_are_not_folded() {
    check(
        r"local a
a = 1 // 0; a = 1 / 0; a = 5 % 0
a = 0.0 * 1; a = -0.0; a = 1 & 1.5; a = 1e308 * 10 - 1e308 * 10",
        r"main
  0 loadnil r0 0
  1 loadi r1 1
  2 idivk r0 r1 0
  3 loadi r1 1
  4 divk r0 r1 0
  5 loadi r1 5
  6 modk r0 r1 0
  7 loadi r1 1
  8 mulk r0 r1 0.0 1
  9 loadf r1 0
  10 unm r0 r1
  11 loadk r1 1.5
  12 bandk r0 r1 1 1
  13 loadk r1 inf
  14 subk r0 r1 inf
  15 return0",
    );
}

#[test]
fn chains_of_concatenation_are_one_instruction() {
    check(
        r#"local a
a = a .. "x" .. a .. 1
a = a .. ("x" .. a)
a = (a .. "x") .. a"#,
        r#"main
  0 loadnil r0 0
  1 move r1 r0
  2 loadk r2 "x"
  3 move r3 r0
  4 loadi r4 1
  5 concat r0 r1 4
  6 move r1 r0
  7 loadk r2 "x"
  8 move r3 r0
  9 concat r0 r1 3
  10 move r1 r0
  11 loadk r2 "x"
  12 concat r1 r1 2
  13 move r2 r0
  14 concat r0 r1 2
  15 return0"#,
    );
}

#[test]
fn comparisons_jump() {
    check(
        r"local a, b
if a < b then a = 1 end
if a >= b then a = 2 end
if not (a <= b) then a = 3 end
if a ~= b then a = 4 end",
        r"main
  0 loadnil r0 1
  1 lt r0 r1 false -> 3
  2 loadi r0 1
  3 le r1 r0 false -> 5
  4 loadi r0 2
  5 le r0 r1 true -> 7
  6 loadi r0 3
  7 eq r0 r1 true -> 9
  8 loadi r0 4
  9 return0",
    );
}

#[test]
fn comparisons_with_constants() {
    check(
        r"local a
if a < 1 then a = 1 end
if 1 < a then a = 2 end
if a >= 1.5 then a = 3 end
if 70000 > a then a = 4 end
if a > 1.0 then a = 5 end",
        r"main
  0 loadnil r0 0
  1 lti r0 1 false -> 3
  2 loadi r0 1
  3 gti r0 1 false -> 5
  4 loadi r0 2
  5 gek r0 1.5 false -> 7
  6 loadi r0 3
  7 ltk r0 70000 false -> 9
  8 loadi r0 4
  9 gtk r0 1.0 false -> 11
  10 loadi r0 5
  11 return0",
    );
}

#[test]
fn equality_with_constants() {
    check(
        r#"local a
if a == 1 then a = 1 end
if 2.0 == a then a = 2 end
if a ~= "s" then a = 3 end
if a == nil then a = 4 end
if a == 40000 then a = 5 end"#,
        r#"main
  0 loadnil r0 0
  1 eqi r0 1 false -> 3
  2 loadi r0 1
  3 eqi r0 2 false -> 5
  4 loadi r0 2
  5 eqk r0 "s" true -> 7
  6 loadi r0 3
  7 eqk r0 nil false -> 9
  8 loadi r0 4
  9 eqk r0 40000 false -> 11
  10 loadi r0 5
  11 return0"#,
    );
}

#[test]
fn a_comparison_as_a_value() {
    check(
        r"local a, b
local c = a < b
local d = not (a == b)",
        r"main
  0 loadnil r0 1
  1 lt r0 r1 true -> 3
  2 loadfalseskip r2
  3 loadtrue r2
  4 eq r0 r1 false -> 6
  5 loadfalseskip r3
  6 loadtrue r3
  7 return0",
    );
}

#[test]
fn logic_keeps_values() {
    check(
        r"local a, b
local c = a and b
local d = a or b
a = a and b or c
local e = a and b < c or d",
        r"main
  0 loadnil r0 1
  1 testset r2 r0 false -> 3
  2 move r2 r1
  3 testset r3 r0 true -> 5
  4 move r3 r1
  5 test r0 false -> 7
  6 testset r0 r1 true -> 8
  7 move r0 r2
  8 test r0 false -> 10
  9 lt r1 r2 true -> 13
  10 move r4 r3
  11 jump -> 14
  12 loadfalseskip r4
  13 loadtrue r4
  14 return0",
    );
}

#[test]
fn logic_with_constants() {
    check(
        r"local a
local b = nil and a
local c = 1 and a
local d = a or 5
local e = false or a",
        r"main
  0 loadnil r0 1
  1 test r1 false -> 3
  2 move r1 r0
  3 move r2 r0
  4 testset r3 r0 true -> 6
  5 loadi r3 5
  6 move r4 r0
  7 return0",
    );
}

#[test]
fn negated_logic_has_no_values() {
    check(
        r"local a, b
local c = not (a and b)
local d = not not a",
        r"main
  0 loadnil r0 1
  1 test r0 false -> 5
  2 not r2 r1
  3 jump -> 6
  4 loadfalseskip r2
  5 loadtrue r2
  6 not r3 r0
  7 not r3 r3
  8 return0",
    );
}

#[test]
fn conditions_jump_over_each_other() {
    check(
        r"local a, b, c
if (a and b) or not c then a = 1 end",
        r"main
  0 loadnil r0 2
  1 test r0 false -> 3
  2 test r1 true -> 4
  3 test r2 true -> 5
  4 loadi r0 1
  5 return0",
    );
}

#[test]
fn globals_are_fields_of_the_environment() {
    check(
        r#"x = y"#,
        r#"main
  0 gettabup r0 u0 "y"
  1 settabup u0 "x" r0
  2 return0"#,
    );
}

#[test]
fn a_local_environment_is_a_table_like_others() {
    check(
        r#"local _ENV = {}
x = y"#,
        r#"main
  0 newtable r0 0 0
  1 getfield r1 r0 "y"
  2 setfield r0 "x" r1
  3 return0"#,
    );
}

#[test]
fn a_constant_environment_is_loaded() {
    check(
        r#"local _ENV <const> = 1
x = y"#,
        r#"main
  0 loadi r0 1
  1 loadi r1 1
  2 getfield r1 r1 "y"
  3 setfield r0 "x" r1
  4 return0"#,
    );
}

#[test]
fn keys_of_each_kind() {
    check(
        r#"local t, k
k = t.a; k = t["b"]; k = t[1]; k = t[-1]; k = t[k]; k = t[1.5]; k = t[3000000000]
t.a = k; t[1] = k; t[k] = 5; t[1.5] = k"#,
        r#"main
  0 loadnil r0 1
  1 getfield r1 r0 "a"
  2 getfield r1 r0 "b"
  3 getint r1 r0 1
  4 getint r1 r0 -1
  5 gettable r1 r0 r1
  6 loadk r2 1.5
  7 gettable r1 r0 r2
  8 loadk r2 3000000000
  9 gettable r1 r0 r2
  10 setfield r0 "a" r1
  11 setint r0 1 r1
  12 loadi r2 5
  13 settable r0 r1 r2
  14 loadk r2 1.5
  15 settable r0 r2 r1
  16 return0"#,
    );
}

#[test]
fn upvalues_are_indexed_by_names() {
    check(
        r#"local t
return function(k) t.x = t.y; t[k] = t[1] end"#,
        r#"main
  0 loadnil r0 0
  1 closure r1 f0
  2 return r1 2 1
  3 return r1 1 1
main.f0
  0 gettabup r1 u0 "y"
  1 settabup u0 "x" r1
  2 getupval r1 u0
  3 getupval r2 u0
  4 getint r2 r2 1
  5 settable r1 r0 r2
  6 return0"#,
    );
}

#[test]
fn suffixes_chain() {
    check(
        r#"local a
return a.b.c[a.d](a).e"#,
        r#"main
  0 loadnil r0 0
  1 getfield r1 r0 "b"
  2 getfield r1 r1 "c"
  3 getfield r2 r0 "d"
  4 gettable r1 r1 r2
  5 move r2 r0
  6 call r1 2 2
  7 getfield r1 r1 "e"
  8 return1 r1
  9 return0"#,
    );
}

#[test]
fn upvalues_pass_through_functions() {
    check(
        r#"local a <const>, b = f(), 1
return function() return function() b = a end end"#,
        r#"main
  0 gettabup r0 u0 "f"
  1 call r0 1 2
  2 loadi r1 1
  3 closure r2 f0
  4 return r2 2 1
  5 return r2 1 1
main.f0
  0 closure r0 f0
  1 return1 r0
  2 return0
main.f0.f0
  0 getupval r0 u1
  1 setupval r0 u0
  2 return0"#,
    );
}

#[test]
fn constants_of_the_compiler_are_no_upvalues() {
    check(
        r"local a <const> = 5
return function() return a + a end",
        r"main
  0 closure r0 f0
  1 return1 r0
  2 return0
main.f0
  0 loadi r0 10
  1 return1 r0
  2 return0",
    );
}

#[test]
fn vararg_takes_its_count_from_its_place() {
    check(
        r#"local a, b = ...
local c = (...)
f(...)
return ..."#,
        r#"main
  0 vararg r0 3
  1 vararg r2 2
  2 gettabup r3 u0 "f"
  3 vararg r4 0
  4 call r3 0 1
  5 vararg r3 0
  6 return r3 0
  7 return0"#,
    );
}
