//! Limits hold at the same points with the trace compiler on, off, and hot from the start.

use std::time::Duration;

use perilune_jit::{Jit, JitOptions};
use perilune_testkit::lab::{self, Lab, Outcome};
use perilune_vm::limits::{LimitKind, Limits};

/// Programs that leave their progress in the global `p`.
const PROGRAMS: &[(&str, &str)] = &[
    ("numeric loop", "p = 0 for i = 1, 300 do p = p + i % 7 end return p"),
    (
        "branches",
        "p = 0 for i = 1, 300 do if i % 3 == 0 then p = p + 1 elseif i % 5 == 0 then p = p + 2.5 end end return p",
    ),
    ("nested loops", "p = 0 for i = 1, 20 do for j = 1, i do p = p + j end end return p"),
    ("calls", "local function f(a, b) return a + b, b end p = 0 for i = 1, 150 do p = f(p, i) end return p"),
    ("closures", "p = 0 for i = 1, 100 do local f = function() p = p + i end f() end return p"),
    ("tables", "local t = {} p = 0 for i = 1, 150 do t[#t + 1] = i p = p + #t t.x = t end return p"),
    ("library", "p = 0 for i = 1, 100 do p = p + #('x'):rep(i % 9) + ('abc'):byte(2) + select('#', 1, 2) end return p"),
    (
        "removal",
        "local t = {} p = 0 for i = 1, 100 do table.insert(t, 1, i) p = p + (table.remove(t) or 0) end return p",
    ),
    ("pcall", "p = 0 for i = 1, 60 do if not pcall(error, i) then p = p + 1 end end return p"),
    ("pairs", "local t = {} for i = 1, 60 do t['k' .. i] = i end p = 0 for _, v in pairs(t) do p = p + v end return p"),
    (
        "coroutine",
        "local f = coroutine.wrap(function() for i = 1, 99 do coroutine.yield(i) end end)
        p = 0 for i = 1, 60 do p = p + f() end return p",
    ),
    (
        "recursion",
        "p = 0 local function f(n) p = p + 1 if n < 2 then return n end return f(n - 1) + f(n - 2) end
        for i = 1, 6 do f(i) end return p",
    ),
    (
        "recursion with loops",
        "p = 0 local function f(n) for i = 1, n do p = p + 1 if i % 2 == 0 then f(n - 2) end end end
        for i = 1, 6 do f(i) end return p",
    ),
    (
        "tail calls",
        "p = 0 local function f(n, s) p = p + 1 if n == 0 then return s end return f(n - 1, s + n) end
        for i = 1, 12 do f(i, 0) end return p",
    ),
    (
        "metamethods",
        "local mt = {__add = function(a, b) return a.v + b end, __index = function(_, k) return #k end}
        local o = setmetatable({v = 1}, mt) p = 0 for i = 1, 80 do p = p + (o + i) + o.name end return p",
    ),
];

/// Settings of the compiler that must make no difference.
fn settings() -> [JitOptions; 3] {
    let hot = JitOptions { hot: 1, hot_exit: 1, ..JitOptions::default() };
    [JitOptions::default(), hot.clone(), JitOptions { exit_every: 3, ..hot }]
}

fn with_limits(limits: Limits, options: Option<&JitOptions>) -> Lab {
    let mut lab = Lab::new();
    if let Some(options) = options {
        lab.vm.set_tier(Jit::new(options.clone()));
    }
    lab.vm.set_limits(limits);
    lab
}

/// How a program ends, its fuel, and how far it came.
fn state(source: &str, limits: Limits, options: Option<&JitOptions>) -> (Outcome, u64, String) {
    let mut lab = with_limits(limits, options);
    let outcome = lab.run(source);
    let fuel = lab.vm.fuel_used();
    lab.vm.set_limits(Limits::default());
    let progress = lab.run("return p").values();
    (outcome, fuel, progress)
}

#[test]
fn fuel_is_the_same_with_the_compiler() {
    for (name, source) in PROGRAMS {
        let expected = state(source, Limits::default(), None);
        for options in &settings() {
            assert_eq!(state(source, Limits::default(), Some(options)), expected, "{name}, {options:?}");
        }
    }
}

#[test]
fn fuel_ends_at_the_same_point_with_the_compiler() {
    for (name, source) in PROGRAMS {
        let (_, total, _) = state(source, Limits::default(), None);
        for n in 0..24 {
            // Close to the end too, where most of the code is compiled.
            let budget = if n < 20 { total * (n + 1) / 21 } else { total - (n - 20) };
            let expected = state(source, lab::fuel(budget), None);
            for options in &settings() {
                assert_eq!(state(source, lab::fuel(budget), Some(options)), expected, "{name}: {budget}, {options:?}");
            }
        }
    }
}

#[test]
fn depth_ends_recursion_at_the_same_point() {
    let source = "p = 0 local function f(n) p = n if n == 0 then return 0 end return 1 + f(n - 1) end
        for i = 1, 40 do f(i % 9) end for i = 10, 99 do f(i) end";
    for depth in [20, 33, 64] {
        let limits = || Limits { depth: Some(depth), ..Limits::default() };
        let (expected, _, progress) = state(source, limits(), None);
        for options in &settings() {
            let (outcome, _, come) = state(source, limits(), Some(options));
            assert_eq!((&outcome, &come), (&expected, &progress), "{depth}, {options:?}");
        }
    }
}

#[test]
fn memory_and_time_end_compiled_loops() {
    for options in &settings() {
        let mut lab = with_limits(Limits::default(), Some(options));
        let limits = lab::memory(lab.vm.heap().bytes + (1 << 20));
        lab.vm.set_limits(limits);
        let outcome = lab.run("local t = {} for i = 1, math.huge do t[i] = {i} end");
        assert!(!matches!(outcome, Outcome::Values(_)), "{outcome:?}");
        lab.assert_usable();

        let mut limits = Limits::default();
        limits.time = Some(Duration::from_millis(50));
        for source in
            ["local s = 0 while true do s = s + 1 end", "while true do pcall(function() while true do end end) end"]
        {
            lab.vm.set_limits(limits.clone());
            assert_eq!(lab.run(source).violation().kind, LimitKind::Time, "{source}");
            lab.assert_usable();
        }
    }
}
