//! Limits hold everywhere, cannot be caught, and leave a VM that works.

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_jit::{Jit, JitOptions};
use perilune_testkit::lab::{self, Lab, Outcome};
use perilune_vm::host::SystemHost;
use perilune_vm::limits::{LimitKind, Limits};
use perilune_vm::{Vm, VmOptions};

/// Programs that end, for counting.
const PROGRAMS: &[(&str, &str)] = &[
    ("loop", "local s = 0 for i = 1, 1000 do s = s + i end return s"),
    ("while", "local i = 0 while i < 500 do i = i + 1 if i % 3 == 0 then i = i + 1 end end return i"),
    ("recursion", "local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end return fib(12)"),
    ("tail calls", "local function f(n) if n > 0 then return f(n - 1) end end return f(3000)"),
    ("closures", "local t = {} for i = 1, 200 do t[i] = function() return i end end return t[7]()"),
    (
        "coroutines",
        "local co = coroutine.wrap(function() for i = 1, 300 do coroutine.yield(i) end end)
        local s = 0 for i = 1, 300 do s = s + co() end return s",
    ),
    ("pcall", "local n = 0 for i = 1, 200 do if not pcall(error, i) then n = n + 1 end end return n"),
    ("strings", "local s = '' for i = 1, 100 do s = s .. i end return #s:rep(3), s:find('99'), s:gsub('%d', '%0%0')"),
    (
        "sort",
        "local t = {} for i = 1, 200 do t[i] = (i * 7919) % 1009 end
        table.sort(t) table.sort(t, function(a, b) return a > b end) return t[1]",
    ),
    (
        "pairs",
        "local t, n = {}, 0 for i = 1, 100 do t['k' .. i] = i end
        for k, v in pairs(t) do n = n + v end for i, v in ipairs{1, 2, 3} do n = n + v end return n",
    ),
    (
        "metamethods",
        "local mt = {} mt.__add = function(a, b) return a.v + b.v end mt.__index = function(t, k) return k end
        local a = setmetatable({v = 2}, mt) local s = 0 for i = 1, 100 do s = s + (a + a) + #a.name end return s",
    ),
    ("load", "local n = 0 for i = 1, 20 do n = n + load('local a = ' .. i .. ' return a * 2')() end return n"),
    ("collector", "for i = 1, 2000 do local t = {i, {}} end collectgarbage() return 1"),
    (
        "close",
        "local n = 0 for i = 1, 50 do local x <close> = setmetatable({}, {__close = function() n = n + 1 end}) end
        return n",
    ),
];

/// Programs that never end, or not within the lifetime of a test.
const ENDLESS: &[(&str, &str)] = &[
    ("while true", "while true do end"),
    ("repeat", "repeat until false"),
    ("goto", "::top:: goto top"),
    ("for", "for i = 1, math.huge do end"),
    ("float loop", "for x = 0.0, math.huge, 0.5 do end"),
    ("generic for", "for _ in function() return 1 end do end"),
    ("next on a growing table", "local t = {} while true do t[#t % 100 + 1] = 1 for k in pairs(t) do end end"),
    ("recursion", "local function f(n) return n < 2 and n or f(n - 1) + f(n - 2) end f(60)"),
    ("tail calls", "local function f() return f() end f()"),
    ("calls with ever more arguments", "local function f(...) return f(1, ...) end f(table.unpack({}, 1, 3000))"),
    ("mutual tail calls through pcall", "local function f() return pcall(f) end while true do f() end"),
    ("pcall in a loop", "while true do pcall(function() while true do end end) end"),
    ("pcall of error", "while true do pcall(error) end"),
    ("xpcall with a handler", "while true do xpcall(function() while true do end end, function() return 1 end) end"),
    ("an endless handler", "xpcall(error, function() while true do end end)"),
    ("coroutine.wrap", "while true do coroutine.wrap(function() while true do end end)() end"),
    ("coroutine.resume", "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"),
    ("yields", "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end"),
    (
        "pcall in a coroutine",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
    ),
    (
        "coroutine.close",
        "while true do
        local co = coroutine.create(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end})
            coroutine.yield()
        end)
        coroutine.resume(co) coroutine.close(co) end",
    ),
    (
        "__close",
        "while true do
        local x <close> = setmetatable({}, {__close = function() while true do end end}) end",
    ),
    (
        "__close while unwinding",
        "while true do pcall(function()
        local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x') end) end",
    ),
    ("string.rep", "while true do local s = ('x'):rep(100000) end"),
    ("string.find", "local s = ('a'):rep(200) while true do s:find('a-b') end"),
    ("string.find plain", "local s = ('a'):rep(5000) while true do s:find(('a'):rep(20) .. 'b', 1, true) end"),
    ("a catastrophic pattern", "(('a'):rep(60)):find(('a*'):rep(30) .. 'b')"),
    ("string.gsub", "while true do (('x'):rep(1000)):gsub('x', 'yy') end"),
    ("string.gsub with a function", "while true do (('x'):rep(100)):gsub('x', function(c) return c end) end"),
    ("an endless callback of string.gsub", "(('x'):rep(100)):gsub('x', function(c) while true do end end)"),
    ("string.gmatch", "while true do for w in ('a b c d'):gmatch('%a') do end end"),
    ("string.format", "while true do local s = ('%s%d%g'):format('x', 1, 2.5) end"),
    ("string.byte and string.char", "while true do string.char(('abc'):rep(50):byte(1, -1)) end"),
    ("string.reverse and string.upper", "local s = ('x'):rep(100000) while true do s:reverse() s:upper() end"),
    ("string.pack", "while true do string.unpack('i4', string.pack('i4', 1)) end"),
    (
        "table.sort",
        "local t = {} for i = 1, 2000 do t[i] = -i end while true do table.sort(t, function(a, b) return a < b end)
        table.sort(t) end",
    ),
    ("an endless comparison", "table.sort({3, 2, 1}, function() while true do end end)"),
    ("table.concat", "local t = {} for i = 1, 2000 do t[i] = 'x' end while true do table.concat(t, ',') end"),
    ("table.insert in front", "local t = {} while true do table.insert(t, 1, 1) if #t > 2000 then t = {} end end"),
    (
        "table.remove in front",
        "local t = {} while true do for i = 1, 2000 do t[i] = i end
        while #t > 0 do table.remove(t, 1) end end",
    ),
    ("table.move", "local t = {} for i = 1, 2000 do t[i] = i end while true do table.move(t, 1, 2000, 2) end"),
    ("table.unpack", "local t = {} for i = 1, 200 do t[i] = i end while true do table.pack(table.unpack(t)) end"),
    (
        "table.move over a large range",
        "table.move(setmetatable({}, {__index = function() return nil end}), 1, 1 << 40, 2)",
    ),
    (
        "table.concat with __index",
        "table.concat(setmetatable({}, {__index = function() return '' end,
        __len = function() return 1 << 40 end}))",
    ),
    ("utf8", "local s = ('é'):rep(1000) while true do utf8.len(s) for p, c in utf8.codes(s) do end end"),
    ("load", "while true do load('return 1 + 1') end"),
    ("load with an endless reader", "load(function() return ' ' end)"),
    ("tostring", "while true do tostring(1.5) tonumber('0x10') end"),
    ("__gc", "setmetatable({}, {__gc = function() while true do end end}) collectgarbage() while true do end"),
    ("__gc in a loop", "while true do setmetatable({}, {__gc = function() end}) end"),
    ("collectgarbage", "while true do collectgarbage('step') end"),
    ("__index", "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x"),
    (
        "__eq",
        "local mt = {__eq = function() while true do end end}
        return setmetatable({}, mt) == setmetatable({}, mt)",
    ),
    ("__lt", "local mt = {__lt = function() while true do end end} return setmetatable({}, mt) < setmetatable({}, mt)"),
    ("__concat", "local mt = {__concat = function() while true do end end} return setmetatable({}, mt) .. 'x'"),
    ("__len", "return #setmetatable({}, {__len = function() while true do end end})"),
    ("__call", "return setmetatable({}, {__call = function() while true do end end})()"),
    ("__tostring", "return tostring(setmetatable({}, {__tostring = function() while true do end end}))"),
    ("__pairs", "for k in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end"),
    ("__newindex", "setmetatable({}, {__newindex = function() while true do end end}).x = 1"),
    (
        "debug.sethook",
        "coroutine.wrap(function()
        debug.sethook(function() while true do end end, 'l')
        local x = 1
        local y = 2 end)()",
    ),
    ("require", "package.preload.x = function() while true do end end require 'x'"),
];

/// The fuel for programs that never end.
const ENOUGH: u64 = 300_000;

#[test]
fn the_count_of_units_is_the_same_on_every_run() {
    for (name, program) in PROGRAMS {
        let count = || {
            let mut lab = Lab::with_fuel(u64::MAX);
            let outcome = lab.run(program);
            (outcome.values(), lab.vm.fuel_used())
        };
        let first = count();
        assert!(first.1 > 0, "{name} costs nothing");
        for _ in 0..3 {
            assert_eq!(count(), first, "{name}");
        }
    }
}

#[test]
fn the_count_of_units_does_not_depend_on_the_size_of_slices() {
    for (name, program) in PROGRAMS {
        eprintln!("{name}");
        let mut lab = Lab::new();
        let expected = (lab.run(program).values(), lab.vm.fuel_used());
        // Just enough: the last slice ends with the program.
        let mut lab = Lab::with_fuel(expected.1);
        assert_eq!((lab.run(program).values(), lab.vm.fuel_used()), expected, "{name}");
        let mut lab = Lab::with_fuel(expected.1 - 1);
        assert_eq!(lab.run(program).violation().kind, LimitKind::Instructions, "{name} with one unit too few");
    }
}

/// Whatever is going on at that moment: calls from native functions, tail calls, metamethods, closing.
#[test]
fn fuel_may_strike_at_any_point() {
    for (name, program) in PROGRAMS.iter().chain(CALLBACKS) {
        eprintln!("{name}");
        let mut lab = Lab::new();
        let expected = lab.run(program).values();
        let used = lab.vm.fuel_used();
        let step = (used / 500).max(1);
        for units in (0..used).step_by(step as usize) {
            lab.vm.set_limits(lab::fuel(units));
            let outcome = lab.run(program);
            assert!(matches!(outcome, Outcome::Limit(_)), "{name} with {units} units of {used}: {outcome:?}");
            lab.vm.set_limits(Limits::default());
            assert_eq!(lab.run(program).values(), expected, "{name} after {units} units");
        }
        lab.assert_usable();
    }
}

/// Lua code that native functions call.
const CALLBACKS: &[(&str, &str)] = &[
    ("gsub", "return (('abc'):gsub('.', function(c) return c:upper() end))"),
    (
        "a tail call in gsub",
        "local function up(c) return c:upper() end
        local function f(c) return up(c) end return (('abc'):gsub('.', f))",
    ),
    ("pcall in gsub", "return (('abc'):gsub('.', function(c) return select(2, pcall(error, c)) end))"),
    ("gsub calls pcall", "return (('abc'):gsub('.', pcall))"),
    (
        "sort",
        "local t = {3, 1, 2} table.sort(t, function(a, b) return (function() return a < b end)() end) return t[1]",
    ),
    ("load", "local n = 0 return load(function() n = n + 1 return n == 1 and 'return 7' or nil end)()"),
    ("tostring", "return tostring(setmetatable({}, {__tostring = function() return 'x' end}))"),
    (
        "concat",
        "return table.concat(setmetatable({}, {__index = function(_, i) return 'v' .. i end,
        __len = function() return 5 end}))",
    ),
    ("require", "package.loaded.x = nil package.preload.x = function() return 'loaded' end return (require 'x')"),
    (
        "coroutine in gsub",
        "return (('abc'):gsub('.', function(c)
        return coroutine.wrap(function() coroutine.yield(c .. c) end)() end))",
    ),
    (
        "closing a coroutine",
        "local log = '' local co = coroutine.create(function()
        local x <close> = setmetatable({}, {__close = function() log = log .. 'closed' end}) coroutine.yield() end)
        coroutine.resume(co) coroutine.close(co) return log",
    ),
    (
        "a handler",
        "return select(2, xpcall(function() local x = nil; return x.y end, function(m) return (m:gsub('.*:', '')) end))",
    ),
    (
        "errors while closing",
        "return select(2, pcall(function()
        local a <close> = setmetatable({}, {__close = function(_, e) error(e .. 'b', 0) end}) error('a', 0) end))",
    ),
    (
        "a finalizer",
        "local n = 0 for i = 1, 3 do setmetatable({}, {__gc = function() n = n + 1 end}) end
        collectgarbage() return n",
    ),
    (
        "a hook",
        "local n = 0 local function count() n = n + 1 end
        debug.sethook(count, '', 10) for i = 1, 50 do end debug.sethook() return n > 0",
    ),
];

#[test]
fn fuel_ends_all_endless_programs() {
    for (name, program) in ENDLESS {
        eprintln!("{name}");
        let mut lab = Lab::with_fuel(ENOUGH);
        let outcome = lab.run(program);
        let Outcome::Limit(violation) = outcome else { panic!("{name}: a limit was to be reached, but: {outcome:?}") };
        assert_eq!((violation.kind, violation.limit), (LimitKind::Instructions, ENOUGH), "{name}");
        assert!(violation.actual > ENOUGH, "{name}");
        // What is charged at once is at most one long library operation.
        assert!(violation.actual < 3 * ENOUGH, "{name}: {} units were spent", violation.actual);
        lab.assert_usable();
    }
}

#[test]
fn a_violation_cannot_be_caught() {
    let catchers = [
        "pcall(function() while true do end end)",
        "xpcall(function() while true do end end, function() caught = true end)",
        "coroutine.wrap(function() while true do end end)()",
        "coroutine.resume(coroutine.create(function() while true do end end))",
        "local co = coroutine.create(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end}) coroutine.yield() end)
            coroutine.resume(co) coroutine.close(co)",
        "local x <close> = setmetatable({}, {__close = function() caught = true end}) while true do end",
        "pcall(function()
            local x <close> = setmetatable({}, {__close = function() caught = true end}) while true do end end)",
        "pcall(string.gsub, 'x', 'x', function() while true do end end)",
        "pcall(table.sort, {3, 2, 1}, function() while true do end end)",
        "pcall(load, function() while true do end end)",
        "pcall(tostring, setmetatable({}, {__tostring = function() while true do end end}))",
        "pcall(pcall, pcall, xpcall, function() while true do end end, print)",
        "setmetatable({}, {__gc = function() while true do end end}) pcall(collectgarbage)",
        "for _ in pcall, function() while true do end end do end",
        "package.preload.x = function() while true do end end pcall(require, 'x')",
    ];
    for catcher in catchers {
        eprintln!("{catcher}");
        let mut lab = Lab::with_fuel(50_000);
        let source = format!("caught = false do {catcher} end caught = true");
        let outcome = lab.run(&source);
        assert!(matches!(outcome, Outcome::Limit(_)), "{catcher}: {outcome:?}");
        lab.vm.set_limits(Limits::default());
        assert_eq!(lab.run("return caught").values(), "false", "{catcher}: code of the script ran after the limit");
        lab.assert_usable();
    }
}

#[test]
fn a_vm_goes_on_with_new_limits() {
    let mut lab = Lab::new();
    for round in 0..20 {
        lab.vm.set_limits(lab::fuel(10_000));
        assert!(matches!(lab.run("n = (n or 0) + 1 while true do end"), Outcome::Limit(_)), "round {round}");
        lab.vm.set_limits(lab::fuel(10_000));
        assert_eq!(lab.run("return n").values(), (round + 1).to_string());
    }
    lab.assert_usable();
}

#[test]
fn a_coroutine_that_met_a_limit_is_dead() {
    let mut lab = Lab::with_fuel(20_000);
    let outcome = lab.run("co = coroutine.create(function() while true do end end) coroutine.resume(co)");
    assert!(matches!(outcome, Outcome::Limit(_)), "{outcome:?}");
    lab.vm.set_limits(Limits::default());
    assert_eq!(lab.run("return coroutine.status(co), (coroutine.resume(co))").values(), "dead false");
    lab.assert_usable();
}

#[test]
fn time_ends_an_endless_loop() {
    let mut limits = Limits::default();
    limits.time = Some(std::time::Duration::from_millis(30));
    let mut lab = Lab::with_limits(limits);
    assert_eq!(lab.run("while true do pcall(function() while true do end end) end").violation().kind, LimitKind::Time);
    lab.assert_usable();
}

/// A source that takes long to compile is given up; nothing of the script runs after that.
#[test]
fn time_ends_the_compilation_of_a_large_source() {
    for loads in [
        "load(source)",
        "pcall(load, source)",
        "load(function() local piece = rest rest = nil return piece end)",
        "load(source .. ')')",
    ] {
        let mut lab = Lab::new();
        lab.run("source = ('x = {f(1)} '):rep(500000) rest = source").values();
        let mut limits = Limits::default();
        limits.time = Some(std::time::Duration::from_millis(40));
        lab.vm.set_limits(limits);
        assert_eq!(lab.run(&format!("{loads} done = true")).violation().kind, LimitKind::Time, "{loads}");
        lab.vm.set_limits(Limits::default());
        assert_eq!(lab.run("return done").values(), "nil", "{loads}");
        lab.assert_usable();
    }
}

/// That of limits a VM was made with counts from its first unit of work on, however long that takes.
#[test]
fn time_is_looked_at_soon() {
    let mut limits = Limits::default();
    limits.time = Some(std::time::Duration::from_millis(50));
    let mut vm = Vm::new(VmOptions { dialect: Dialect::DEFAULT, host: Box::new(SystemHost::new()), limits });
    perilune_stdlib::open_all(&mut vm);
    let mut lab = Lab { vm };
    // A few units are some milliseconds here.
    let source = "local s, t = ('x'):rep(2e7), {} t[s .. 'y'] = 1 local k = s .. 'y' while true do local x = t[k] end";
    let violation = lab.run(source).violation().clone();
    assert!(violation.kind == LimitKind::Time && violation.actual < 5000, "{violation:?}");
    lab.assert_usable();
}

/// Comparing them is work, which is charged for where code is compiled too.
#[test]
fn comparing_long_strings_is_charged() {
    let source = "
        local a = ('x'):rep(1e5)
        local b, c, d, n = a .. 'y', a .. 'z', a .. 'z', 0
        for i = 1, 200 do
            if i > 100 then a, b = b, a end
            if c == d then n = n + 1 end
            if b < c then n = n + 1 end
            if a == b then n = n + 1 end
        end
        return n";
    let mut lab = Lab::new();
    assert_eq!(lab.run(source).values(), "400");
    let used = lab.vm.fuel_used();
    assert!(used > 400 * 1500, "{used}");
    for options in [JitOptions::eager(), JitOptions { hot: 20, ..JitOptions::eager() }] {
        let mut lab = Lab::new();
        lab.vm.set_tier(Jit::new(options));
        assert_eq!(lab.run(source).values(), "400");
        assert_eq!(lab.vm.fuel_used(), used);
    }
}

/// Programs that want more memory than there is; each returns what `pcall` said.
const HUNGRY: &[(&str, &str)] = &[
    ("string doubling", "local s = 'x' while true do s = s .. s end"),
    ("string.rep", "local s = ('x'):rep(1 << 30)"),
    ("string.rep with a separator", "local s = ('x'):rep(1 << 28, 'abc')"),
    ("table of integers", "local t = {} for i = 1, math.huge do t[i] = i end"),
    ("table of floats", "local t = {} for i = 1, math.huge do t[i] = i + 0.5 end"),
    ("table of tables", "local t = {} for i = 1, math.huge do t[i] = {} end"),
    ("table with string keys", "local t = {} for i = 1, math.huge do t['k' .. i] = i end"),
    ("table with float keys", "local t = {} for i = 1, math.huge do t[i + 0.5] = i end"),
    ("closures", "local t = {} for i = 1, math.huge do t[i] = function() return i end end"),
    ("coroutines", "local t = {} for i = 1, math.huge do t[i] = coroutine.create(print) end"),
    (
        "started coroutines",
        "local t = {} for i = 1, math.huge do
        local co = coroutine.wrap(function() coroutine.yield() end) co() t[i] = co end",
    ),
    ("a linked list", "local l while true do l = {next = l, value = 1} end"),
    (
        "strings",
        "local t = {} for i = 1, math.huge do t[i] = 'string number ' .. i .. ' which is rather long, so not interned' end",
    ),
    (
        "table.concat",
        "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1000) end
        local s = table.concat(t) for i = 1, 1000 do t[i] = s end return table.concat(t)",
    ),
    ("package.searchpath", "package.searchpath(('a'):rep(1e5), ('?'):rep(1e5))"),
    ("string.gsub", "return (('x'):rep(10000)):gsub('x', ('y'):rep(10000))"),
    (
        "string.format",
        "local s = ('x'):rep(1 << 20) return ('%s'):rep(90):format(table.unpack((function()
        local t = {} for i = 1, 90 do t[i] = s end return t end)()))",
    ),
    ("table.unpack", "local t = {} for i = 1, 100 do t[i] = i end local f f = function(...) return f(1, ...) end f()"),
    ("table.pack", "local t = {} while true do t[#t + 1] = table.pack(1, 2, 3, 4, 5, 6, 7, 8) end"),
    ("table.move", "local t = {1} while true do table.move(t, 1, #t, #t + 1) end"),
    (
        "string.pack",
        "local s = ('x'):rep(1 << 20) local t = {} while true do t[#t + 1] = string.pack('s4', s) .. #t end",
    ),
    (
        "load",
        "local t = {} for i = 1, math.huge do t[i] = load('local a = ' .. i .. ' return function() return a end') end",
    ),
    ("os.date", "for i = 1, math.huge do os.date(('%c'):rep(1e5 * i)) end"),
    ("finalizers", "local t = {} for i = 1, math.huge do t[i] = setmetatable({}, {__gc = function() end}) end"),
    ("weak tables", "local t = {} for i = 1, math.huge do t[i] = setmetatable({i}, {__mode = 'k'}) end"),
];

#[test]
fn memory_is_limited_by_an_error_that_can_be_caught() {
    const MEGABYTE: usize = 1 << 20;
    for (name, program) in HUNGRY {
        eprintln!("{name}");
        let mut lab = Lab::with_memory(4 * MEGABYTE);
        let limit = lab.vm.heap().limit();
        // Whether the limit is kept is seen from within, at the moment of failure.
        let source = format!(
            "local ok, message = pcall(function() {program} end) most = collectgarbage('count') * 1024 return ok, message"
        );
        assert_eq!(lab.run(&source).values(), "false not enough memory", "{name}");
        let bytes = lab.vm.heap().bytes;
        assert!(bytes < limit + MEGABYTE, "{name}: {bytes} bytes, the limit is {limit}");
        lab.assert_usable();
    }
}

/// What a reader gives is counted before anything is made of it.
#[test]
fn a_source_without_end_meets_the_memory_limit() {
    let mut lab = Lab::with_memory(4 << 20);
    let mut limits = lab::fuel(3_000_000);
    limits.memory = Some(lab.vm.heap().limit());
    lab.vm.set_limits(limits);
    let source = "local piece = ('x = 1 '):rep(20) return pcall(load, function() return piece end)";
    let outcome = lab.run(source);
    assert!(matches!(outcome, Outcome::Values(_) | Outcome::Error(_)), "{outcome:?}");
    lab.assert_usable();
}

/// The collection that makes room for a piece of a source may not take the piece.
#[test]
fn pieces_of_a_source_outlive_the_collection_for_them() {
    let mut lab = Lab::with_memory(2 << 20);
    let source = "
        local function endless()
            local n = 0
            return load(function() n = n + 1 return n == 1 and 'return --[[' or ('x'):rep(10000) .. n end)
        end
        endless()
        return endless()";
    let outcome = lab.run(source);
    assert_eq!(outcome.error(), "not enough memory");
    lab.assert_usable();
}

/// The collection that makes room in a table may not take what is about to be stored.
#[test]
fn what_is_stored_outlives_the_collection_for_it() {
    // All that a round leaves is garbage, which is there until a store finds no room.
    let programs = [
        (
            LuaVersion::Lua51,
            "local name = 'm' .. i .. '.a.b' (function() module(name) end)() local made = _G['m' .. i] _G['m' .. i] = nil
             package.loaded[name] = nil assert(made.a.b._NAME == name)",
        ),
        (
            LuaVersion::Lua54,
            "local meta = {__mode = 'v', __newindex = {}} setmetatable(meta, meta)
             local t = setmetatable({}, meta) local text = ('x'):rep(2000) .. i
             for k = 1, 200 do t['k' .. k] = k end",
        ),
        (
            LuaVersion::Lua54,
            "local moved = table.move(source, 1, 9, 2, setmetatable({}, {}))
             for k = 1, 9 do assert(moved[k + 1][1] == k) end",
        ),
    ];
    for (version, round) in programs {
        let mut lab = Lab::of_version(version);
        lab.vm.set_limits(lab::memory(lab.vm.heap().bytes + (256 << 10)));
        let program = format!(
            "collectgarbage('stop')
             local source = setmetatable({{}}, {{__index = function(_, k) return {{k}} end}})
             for i = 1, 5000 do {round} end
             return 'done'"
        );
        assert_eq!(lab.run(&program).values(), "done");
        lab.vm.set_limits(Limits::default());
        lab.assert_sound();
    }
}

/// Garbage makes room for what is made, whether the collector would have come by or not.
#[test]
fn garbage_is_no_reason_to_be_out_of_memory() {
    let operations = [
        "('x'):rep(2000)",
        "('x'):rep(12000)",
        "kept[1] .. kept[2]",
        "kept[1]:upper()",
        "kept[1]:reverse() .. i",
        "kept[1]:gsub('y', 'zz')",
        "table.concat(kept, ',', 1, 3)",
        "('%s%d'):format(kept[1], i)",
        "coroutine.wrap(function() return deep(200) end)()",
        "coroutine.wrap(function() return more(60) end)()",
        "coroutine.wrap(function() return handed(60) end)()",
        "coroutine.wrap(function() return table.unpack({n = 300}, 1, 300) end)()",
        "coroutine.wrap(function() return kept[1]:byte(1, 300) end)()",
    ];
    for operation in operations {
        for setting in ["restart", "stop"] {
            let mut lab = Lab::new();
            lab.vm.set_limits(lab::memory(lab.vm.heap().bytes + 1_000_000));
            let program = format!(
                "collectgarbage('{setting}') local kept = {{}}
                 local function deep(n) return n == 0 and 0 or 1 + deep(n - 1) end
                 local function handed(n, ...) if n == 0 then return select('#', ...) end return handed(n - 1, n, ...) end
                 local function more(n, ...) if n > 0 then return (more(n - 1, n, ...)) end return select('#', ...) end
                 for i = 1, 600 do kept[i] = ('y'):rep(1000) .. i end
                 for i = 1, 2000 do local made = {operation} end return 'done'"
            );
            assert_eq!(lab.run(&program).values(), "done", "{operation}, {setting}");
        }
    }
}

/// The compiler works outside the heap, with many times the size of a source.
#[test]
fn compiling_meets_the_memory_limit() {
    let mut lab = Lab::with_memory(4 << 20);
    let run = |lab: &mut Lab, n: u32| lab.run(&format!("return load(('x = 1 '):rep({n})) and 'fits'")).values();
    assert_eq!(run(&mut lab, 10_000), "fits");
    assert_eq!(run(&mut lab, 100_000), "nil");
    assert_eq!(lab.run("return select(2, load(('x = 1 '):rep(100000)))").values(), "not enough memory");
    lab.assert_usable();
}

#[test]
fn memory_that_is_not_caught_fails_the_call() {
    let mut lab = Lab::with_memory(1 << 20);
    assert_eq!(lab.run("local s = 'x' while true do s = s .. s end").error(), "not enough memory");
    lab.assert_usable();
}

#[test]
fn catching_the_memory_error_again_and_again_stays_within_the_limit() {
    let mut lab = Lab::with_memory(2 << 20);
    let limit = lab.vm.heap().limit();
    let source = "
        local n = 0
        for i = 1, 30 do
            local t = {}
            if not pcall(function() while true do t[#t + 1] = {#t} end end) then n = n + 1 end
        end
        return n";
    assert_eq!(lab.run(source).values(), "30");
    assert!(lab.vm.heap().bytes < limit + (1 << 20));
    lab.assert_usable();
}

/// Memory that runs out at many points of many programs gives errors that are Lua errors, and a sound heap.
#[test]
fn memory_may_run_out_at_any_point() {
    for (name, program) in PROGRAMS.iter().chain(CALLBACKS) {
        eprintln!("{name}");
        let mut lab = Lab::new();
        let expected = lab.run(program).values();
        for extra in (0..40_000).step_by(499) {
            lab.run("collectgarbage()").values();
            let limit = lab.vm.heap().bytes + extra;
            lab.vm.set_limits(lab::memory(limit));
            match lab.run(program) {
                // Programs that catch errors may give other values.
                Outcome::Values(_) => {}
                Outcome::Error(message) => assert!(message.contains("not enough memory"), "{name}: {message}"),
                other => panic!("{name} in {limit} bytes: {other:?}"),
            }
            lab.vm.set_limits(Limits::default());
            lab.assert_sound();
            assert_eq!(lab.run(program).values(), expected, "{name} after {limit} bytes");
        }
        lab.assert_usable();
    }
}

#[test]
fn the_depth_of_calls_is_limited() {
    for code in [
        "local function f(n) return 1 + f(n + 1) end f(1)",
        "local function f(...) return 1 + select('#', f(1, ...)) end f()",
        "local function f() pcall(f) return 1 end pcall(f)",
        "coroutine.wrap(function() local function f() return 1 + f() end f() end)()",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]",
    ] {
        let mut lab = Lab::with_limits(Limits::new().with_depth(150));
        let violation = lab.run(code).violation().clone();
        assert_eq!((violation.kind, violation.limit, violation.actual), (LimitKind::Depth, 150, 151), "{code}");
        lab.vm.set_limits(Limits::default());
        lab.assert_usable();
    }
    let mut lab = Lab::with_limits(Limits::new().with_depth(150));
    let fits = "local function f(n) return n == 0 and 0 or 1 + f(n - 1) end return f(140)";
    assert_eq!(lab.run(fits).values(), "140");
}

#[test]
fn coroutines_alive_are_counted() {
    let mut lab = Lab::with_limits(Limits::new().with_coroutines(50));
    // Those that have ended, or that nobody can resume any more, count no more.
    let many = "local n = 0 for i = 1, 1000 do
        coroutine.wrap(function() n = n + 1 end)()
        coroutine.wrap(function() coroutine.yield() end)()
    end return n";
    assert_eq!(lab.run(many).values(), "1000");
    let hoard = "t = {} for i = 1, 1000 do t[i] = coroutine.create(print) end";
    let violation = lab.run(&format!("pcall(function() {hoard} end)")).violation().clone();
    assert_eq!((violation.kind, violation.limit, violation.actual), (LimitKind::Coroutines, 50, 51));
    lab.vm.set_limits(Limits::default());
    assert_eq!(lab.run("return #t").values(), "50");
    lab.assert_usable();
}

#[test]
fn an_interrupt_is_an_error_of_the_running_code() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut lab = Lab::new();
    let flag = Arc::new(AtomicBool::new(true));
    lab.vm.set_interrupt(flag.clone());
    assert_eq!(lab.run("return select(2, pcall(function() while true do end end))").values(), "lab:1: interrupted!");
    assert!(!flag.load(Ordering::Relaxed));
    lab.assert_usable();
}
