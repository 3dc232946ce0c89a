//! Limits hold at the same points with the trace compiler on, off, and hot from the start.

use std::time::Duration;

use perilune_base::dialect::LuaVersion;
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
    (
        "protected calls",
        "local function f(i) if i % 9 == 0 then error('x') end p = p + i return i, 2 end
        p = 0 for i = 1, 90 do local _, n, m = pcall(f, i) p = p + (m or 0) + select('#', pcall(f, i)) end return p",
    ),
    (
        "variable arguments",
        "local function sum(...) local s = 0 for i = 1, select('#', ...) do s = s + (select(i, ...)) end return s end
        local function count(a, ...) if a == nil then return 0 end return 1 + count(...) end
        p = 0 for i = 1, 60 do p = p + sum(i, 2, p % 3) + count(1, 2, i) end return p",
    ),
    (
        "matches",
        "p = 0 for i = 1, 40 do for w, n in ('a1 b22 ccc333'):gmatch('(%a+)(%d*)') do p = p + #w + #n end end return p",
    ),
    (
        "stores by handlers",
        "local t = setmetatable({}, {__newindex = function(t, k, v) p = p + v if k % 2 == 0 then rawset(t, k, v) end end})
        p = 0 for i = 1, 90 do t[i % 30] = i end return p",
    ),
    (
        "last elements",
        "local t = {} p = 0 local function pop() return table.remove(t) end
        for i = 1, 99 do t[#t + 1] = i t[#t + 1] = i % 2 == 0 and 'x' or i p = p + #t if i % 2 == 0 then pop() end end return p",
    ),
    (
        "results of library functions handed on",
        "local function step(t, k) return next(t, k) end local function part(s) return s:match('%d+') end p = 0
        for i = 1, 60 do for _, v in step, {1, 2, x = 3} do p = p + v end p = p + #(part('a' .. i) or part('1'))
        local _, d = pcall(part, i % 3 == 0 and 'x' or 'y2') p = p + (tonumber(d) or 0) end return p",
    ),
];

/// As [`PROGRAMS`], of versions in which numbers are floats, or loops are not those of today.
const OLD_PROGRAMS: &[(&str, &str)] = &[
    (
        "float loops",
        "p = 0 for i = 1, 120 do p = p + i % 7 end for i = 3, 1, -0.01 do p = p + i end for i = 1, 0 do p = 1 end return p",
    ),
    (
        "float keys",
        "local t = {} p = 0 for i = 1, 120 do t[#t + 1] = i p = p + t[i] + (t[i - 1] or 0) + #t end
        for i, v in ipairs(t) do p = p + i * v end for k in pairs(t) do p = p + k end return p",
    ),
    (
        "strings",
        "local s = ('abcdef'):rep(9) p = 0
        for i = 1, #s do p = p + s:byte(i) + #s:sub(i, i + 2) + math.floor(i / 2) + math.max(i, 20) end return p",
    ),
    (
        "tail calls",
        "local function h(n) p = p + n return n end local function g(n) return h(n + 1) end local function f(n) return g(n) end
        p = 0 for i = 1, 90 do local v = f(i) p = p + v end return p",
    ),
    ("same closures", "p = 0 for i = 1, 90 do local f = function(x) return x + 1 end p = f(p) end return p"),
];

/// Settings of the compiler that must make no difference.
fn settings() -> [JitOptions; 3] {
    let hot = JitOptions { free_insts: 12_000, ..JitOptions::eager() };
    [JitOptions { hot: 120, ..JitOptions::default() }, hot.clone(), JitOptions { exit_every: 3, ..hot }]
}

fn with_limits(limits: Limits, options: Option<&JitOptions>) -> Lab {
    prepare(Lab::new(), limits, options)
}

fn prepare(mut lab: Lab, limits: Limits, options: Option<&JitOptions>) -> Lab {
    if let Some(options) = options {
        lab.vm.set_tier(Jit::new(options.clone()));
    }
    lab.vm.set_limits(limits);
    lab
}

/// How a program ends, its fuel, and how far it came.
fn state(source: &str, limits: Limits, options: Option<&JitOptions>) -> (Outcome, u64, String) {
    state_of(Lab::new(), source, limits, options)
}

fn state_of(lab: Lab, source: &str, limits: Limits, options: Option<&JitOptions>) -> (Outcome, u64, String) {
    let mut lab = prepare(lab, limits, options);
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
fn fuel_is_the_same_in_older_versions() {
    for (version, (name, source)) in
        LuaVersion::ALL.into_iter().flat_map(|version| PROGRAMS.iter().chain(OLD_PROGRAMS).map(move |p| (version, p)))
    {
        let lab = || Lab::of_version(version);
        let (_, total, _) = state_of(lab(), source, Limits::default(), None);
        for budget in [total / 3, total * 2 / 3, total - 1, u64::MAX] {
            let expected = state_of(lab(), source, lab::fuel(budget), None);
            for options in &settings() {
                let got = state_of(lab(), source, lab::fuel(budget), Some(options));
                assert_eq!(got, expected, "{version}, {name}: {budget}, {options:?}");
            }
        }
    }
}

#[test]
fn depth_ends_recursion_at_the_same_point() {
    let source = "p = 0 local function f(n) p = n if n == 0 then return 0 end return 1 + f(n - 1) end
        for i = 1, 40 do f(i % 9) end for i = 10, 99 do f(i) end";
    for depth in [20, 33, 64] {
        let limits = || {
            let mut limits = Limits::default();
            limits.depth = Some(depth);
            limits
        };
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
