//! The library `jit`: scripts switch the trace compiler, where the host lets them.
#![cfg(feature = "jit")]

use perilune::{Lua, LuaVersion};

/// A loop that is hot after some thousand rounds.
const HOT: &str = "local function hot(n) local s = 0 for i = 1, n do s = s + i % 7 end return s end\n";

/// Runs a script, which checks itself, in all versions.
fn check(script: &str) {
    for version in LuaVersion::ALL {
        let lua = Lua::builder().version(version).jit_library(true).build().expect("a VM");
        let result = lua.load(format!("{HOT}{script}")).exec();
        assert!(result.is_ok(), "{version:?}: {}", result.unwrap_err());
    }
}

#[test]
fn scripts_have_it_only_if_the_host_says_so() {
    let lua = Lua::builder().build().expect("a VM");
    assert!(lua.load("return jit == nil").eval::<bool>().expect("a boolean"));
    check("assert(type(jit.on) == 'function' and require('jit') == jit)");
}

#[test]
fn status_tells_of_all_code_and_of_a_function() {
    check(
        "local is_on, pieces, bytes = jit.status() assert(is_on and pieces == 0 and bytes == 0)
         local allowed, has = jit.status(hot) assert(allowed and not has)
         hot(5000)
         allowed, has = jit.status(hot) assert(allowed and has)
         is_on, pieces, bytes = jit.status() assert(is_on and pieces >= 1 and bytes > 0)
         jit.flush(hot)
         is_on, pieces, bytes = jit.status() assert(is_on and pieces == 0 and bytes == 0)",
    );
}

#[test]
fn off_stops_all_compiling_until_on() {
    check(
        "hot(5000) jit.off() assert(not jit.status() and not select(2, jit.status(hot)))
         hot(50000) assert(select(2, jit.status()) == 0)
         jit.on() hot(50000) assert(jit.status() and select(2, jit.status(hot)))",
    );
}

#[test]
fn off_in_the_middle_of_compiled_code() {
    check(
        "local sum = 0
         for i = 1, 3000 do
           if i == 1000 then jit.off() elseif i == 1500 then jit.on() elseif i == 2500 then jit.flush() end
           sum = sum + hot(i % 5)
         end
         local expected = 0
         jit.off()
         for i = 1, 3000 do expected = expected + hot(i % 5) end
         assert(sum == expected)",
    );
}

#[test]
fn a_function_that_is_off_is_not_followed_either() {
    check(
        "jit.off(hot)
         assert(not jit.status(hot))
         local function caller(n) local s = 0 for i = 1, n do s = s + hot(i % 3) end return s end
         local sum = caller(5000)
         assert(not select(2, jit.status(hot)) and not select(2, jit.status(caller)))
         jit.on(hot)
         assert(caller(5000) == sum)
         hot(5000)
         assert(select(2, jit.status(hot)))",
    );
}

#[test]
fn off_with_inner_functions_and_for_the_caller() {
    check(
        "local function outer()
           jit.off(true, true)
           return function(n) local s = 0 for i = 1, n do s = s + i end return s end
         end
         local inner = outer()
         inner(5000)
         assert(not jit.status(outer) and not jit.status(inner) and not select(2, jit.status(inner)))
         jit.on(outer)
         assert(jit.status(outer) and not jit.status(inner))",
    );
}

#[test]
fn flush_of_a_function_forgets_what_it_has_a_part_in() {
    check(
        "local function part(x) return x + 1 end
         local function whole(n) local s = 0 for i = 1, n do s = part(s) end return s end
         whole(5000) hot(5000)
         assert(select(2, jit.status(whole)) and select(2, jit.status(hot)))
         jit.flush(part)
         assert(not select(2, jit.status(whole)) and select(2, jit.status(hot)))
         assert(whole(5000) == 5000 and select(2, jit.status(whole)))
         jit.flush()
         assert(select(2, jit.status()) == 0)",
    );
}

#[test]
fn what_is_no_lua_function_is_refused() {
    check("assert(not pcall(jit.off, 1) and not pcall(jit.status, print) and not pcall(jit.flush, {}))");
}

#[test]
fn without_compiler_nothing_is_on() {
    let lua = Lua::builder().jit(false).jit_library(true).build().expect("a VM");
    let script = "jit.on() assert(not jit.status()) jit.off() jit.flush() jit.off(true) return jit.status(true)";
    assert!(!lua.load(script).eval::<bool>().expect("a boolean"));
}
