//! What the policy of the trace compiler records and compiles, seen by its counters: none of it depends on time.

use perilune_jit::{Jit, JitOptions, Stats};
use perilune_testkit::lab::Lab;

/// What the compiler has done for a program, which must run without error.
fn stats(options: JitOptions, source: &str) -> Stats {
    let mut lab = Lab::new();
    let jit = Jit::new(options);
    lab.vm.set_tier(jit.clone());
    lab.run(source).values();
    jit.stats()
}

#[test]
fn a_function_that_begins_with_a_loop_and_calls_itself_gets_code_of_its_own() {
    let source = "
        local function eval(x)
          while true do
            if type(x) ~= 'table' then return x end
            eval(x[1])
            x = x[2]
          end
        end
        local x = 1
        for i = 1, 12 do x = {x, x} end
        for round = 1, 40 do eval(x) end";
    let stats = stats(JitOptions::default(), source);
    let aborts = stats.aborts.get("a recursive call").copied().unwrap_or(0);
    assert!(aborts <= 2, "the loop is recorded in vain: {stats}");
    assert!(stats.entries < 20_000, "the calls lie in compiled code: {stats}");
}

#[test]
fn a_version_that_waits_for_its_code_is_not_recorded_again() {
    let source = "
        local function sum(x, n) local s = x while n > 0 do s = x + x n = n - 1 end return s end
        for i = 1, 200 do sum(1, 20) end
        for i = 1, 400 do sum(1.5, 20) end";
    let stats = stats(JitOptions { free_insts: 30, waits_per_inst: 10_000, ..JitOptions::default() }, source);
    assert!(stats.trees > 0, "{stats}");
    assert!(stats.segments < 12, "{stats}");
}

#[test]
fn programs_that_never_come_back_are_hardly_compiled() {
    let source = "
        for n = 1, 400 do
          load('local s = 0 for i = 1, 400 do if i % 3 == ' .. n .. ' then s = s + i else s = s - ' .. n .. ' end end')()
        end";
    let options = JitOptions::default();
    let free = options.free_insts;
    let stats = stats(options, source);
    assert!(stats.compilations > 0, "{stats}");
    assert!(stats.compiled_instructions < 2 * free, "{stats}");
}

#[test]
fn a_loop_that_runs_long_is_compiled_whatever_the_others_have_cost() {
    let source = "
        for n = 1, 400 do
          load('local s = 0 for i = 1, 400 do s = s + i * ' .. n .. ' end')()
        end
        local s = 0
        for i = 1, 3000000 do if i % 2 == 0 then s = s + i end end";
    let stats = stats(JitOptions::default(), source);
    assert!(stats.guard_exits < 2_000, "its ways have code: {stats}");
}

#[test]
fn new_paths_of_a_tree_get_code_without_the_tree() {
    let source = "
        local kinds, s = {}, 0
        for i = 1, 64 do kinds[i] = i % 16 end
        for round = 1, 2000 do
          local k = kinds[round % 64 + 1]
          if k < 2 then s = s + 1 elseif k < 4 then s = s + 2 elseif k < 6 then s = s - 1
          elseif k < 8 then s = s * 2 % 1000 elseif k < 10 then s = s + k elseif k < 12 then s = s - k
          elseif k < 14 then s = s + 7 else s = s + 9 end
        end";
    let stats = stats(JitOptions { hot: 20, hot_exit: 4, free_insts: 10_000, ..JitOptions::default() }, source);
    assert!(stats.fragments >= 4, "each way is code as soon as it is recorded: {stats}");
    assert!(stats.followed > 500, "{stats}");
    assert!(stats.guard_exits < 200, "hardly a round is interpreted: {stats}");
}

#[test]
fn a_called_function_that_leaves_goes_on_in_a_fragment() {
    let source = "
        local function f(n, k)
          if n == 0 then return k end
          if k % 3 == 0 then return f(n - 1, k + 1) + 1 end
          return f(n - 1, k + 1)
        end
        local s = 0
        for i = 1, 3000 do s = s + f(6, i) end";
    let stats = stats(JitOptions { free_insts: 10_000, ..JitOptions::default() }, source);
    assert!(stats.fragments > 0 && stats.guard_exits < 600, "{stats}");
}

#[test]
fn paths_through_many_functions_meet_where_those_have_returned() {
    let source = "
        local functions, s = {}, 0
        for i = 1, 6 do functions[i] = load('return function(x) local v = x + ' .. i .. ' return v end')() end
        local function chain(f, g, h, x) local a = f(x) local b = g(a) local c = h(b) return c % 1000 end
        for i = 1, 20000 do
          s = chain(functions[i % 6 + 1], functions[i // 6 % 6 + 1], functions[i // 36 % 6 + 1], s)
        end";
    let stats = stats(JitOptions { free_insts: 10_000, ..JitOptions::default() }, source);
    assert!(stats.segments < 40, "six ways through each call, not through all three: {stats}");
    assert!(stats.guard_exits < 2_500, "{stats}");
}
