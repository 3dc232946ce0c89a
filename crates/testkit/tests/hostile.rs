//! Hostile input gives errors, not crashes: sources, binary chunks, patterns, recursion, crowds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use perilune_base::dialect::LuaVersion;
use perilune_testkit::lab::{self, Lab, Outcome};
use perilune_vm::limits::Limits;
use perilune_vm::load::LoadMode;

/// Generates the same numbers on each run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

#[test]
fn nesting_without_end_is_a_syntax_error() {
    const DEPTH: usize = 200_000;
    let nests: &[(&str, &str, &str, &str)] = &[
        ("parentheses", "return ", "(", ""),
        ("closed parentheses", "return ", "(", ")"),
        ("tables", "return ", "{", "}"),
        ("keyed tables", "return ", "{x={", "}}"),
        ("functions", "return ", "function() return ", " end"),
        ("calls", "return ", "f(", ")"),
        ("indices", "return ", "t[", "]"),
        ("unary operators", "return ", "- ", ""),
        ("not", "return ", "not ", ""),
        ("powers", "return ", "2^", ""),
        ("concatenations", "return ", "'x'..", ""),
        ("blocks", "", "do ", " end"),
        ("loops", "", "while true do ", " end"),
        ("conditions", "", "if x then ", " end"),
        ("alternatives", "if x then ", "else if x then ", ""),
        ("repeats", "", "repeat ", " until x"),
        ("loops with variables", "", "for i = 1, 2 do ", " end"),
        ("assignments", "", "a, ", ""),
    ];
    for (name, start, open, close) in nests {
        let source = [start, &open.repeat(DEPTH)[..], "1", &close.repeat(DEPTH)[..]].concat();
        let mut lab = Lab::new();
        let outcome = lab.run(&source);
        assert!(matches!(outcome, Outcome::Error(_)), "{name}: {outcome:?}");
        lab.assert_usable();
    }
}

#[test]
fn long_sources_without_nesting_are_fine() {
    let mut lab = Lab::new();
    let additions = format!("return 0{}", " + 1".repeat(50_000));
    assert_eq!(lab.run(&additions).values(), "50000");
    let joined = format!("local x = 'a' return #('' {})", " .. x".repeat(150));
    assert_eq!(lab.run(&joined).values(), "150");
    let elements = format!("return #{{{}}}", "1,".repeat(100_000));
    assert_eq!(lab.run(&elements).values(), "100000");
    let keys: String = (0..60_000).map(|i| format!("k{i}={i},")).collect();
    assert_eq!(lab.run(&format!("return ({{{keys}}}).k59999")).values(), "59999");
    let chain = format!("local x = ... {} return 'none'", "if x then elseif not x then end ".repeat(10_000));
    assert_eq!(lab.run(&chain).values(), "none");
    let arms = format!(
        "local x = 9999 if x == -1 then {} end",
        (0..10_000).map(|i| format!("elseif x == {i} then return {i} ")).collect::<String>()
    );
    assert_eq!(lab.run(&arms).values(), "9999");
    for (count, kind) in [(300, "local v{} = 1 "), (100_000, "v{} = 1 "), (20_000, "goto l{} ::l{}:: "), (100_000, ";")]
    {
        eprintln!("{kind}");
        let source: String = (0..count).map(|i| kind.replace("{}", &i.to_string())).collect();
        // Too many of something is an error; the rest runs.
        let outcome = lab.run(&source);
        assert!(matches!(outcome, Outcome::Values(_) | Outcome::Error(_)), "{kind}: {outcome:?}");
        lab.assert_usable();
    }
}

#[test]
fn arbitrary_bytes_are_no_program() {
    let mut numbers = Numbers(1);
    let words = [
        "local", "function", "end", "(", ")", "x", "=", "'", "\"", "[[", "]]", "--", "\n", "1e", "0x", "..", "...",
        "::", "goto", "<close>", "for", "in", "do", "if", "then", "return", "{", "}", ",", "\\", "\0", "\u{ff}", "#",
        "//", "~=",
    ];
    let mut lab = Lab::new();
    for _ in 0..5_000 {
        let mut source = Vec::new();
        for _ in 0..numbers.below(40) {
            match numbers.below(4) {
                0 => source.push(numbers.next() as u8),
                _ => source.extend_from_slice(words[numbers.below(words.len())].as_bytes()),
            }
            source.push(b' ');
        }
        // Whether it can be compiled does not matter here.
        let _ = lab.vm.load(&source, b"=noise", LoadMode::Both, None);
    }
    lab.assert_usable();
}

/// Programs whose binary forms are damaged.
const PROGRAMS: &[&str] = &[
    "local s = 0 for i = 1, 10 do s = s + i * 2 // 3 end return s",
    "local t = {1, 2, 3, x = 'y', [4.5] = true} t.z = t.x .. t[1] return #t, t.z, t[4.5]",
    "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f(7)",
    "local a, b = ... local up = 0 local function inc() up = up + 1 return up end inc() return inc(), a, b, select('#', ...)",
    "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b .. 'x' end) return co(1), co('q')",
    "local r = {} for k, v in pairs{a = 1, b = 2} do r[#r + 1] = k end table.sort(r) return table.concat(r)",
    "local x <close> = setmetatable({}, {__close = function() end}) goto out do return 1 end ::out:: return 2",
    "local t = setmetatable({}, {__index = function(t, k) return k end, __add = function(a, b) return 1 end}) return t.x, t + 1",
    "return (('abc'):gsub('%w', '%0%0')), ('x'):rep(3), pcall(error, {}), 1 << 3 | 5 & ~2, 7.5 % 2, -2 ^ 2, not nil",
    "local function v(...) local t = {...} return ... end return v(1, nil, 3), (v()), v(v(1, 2), v(3))",
];

#[test]
fn damaged_binary_chunks_are_refused_or_harmless() {
    let mut numbers = Numbers(2);
    let (mut refused, mut ran) = (0, 0);
    for (index, program) in PROGRAMS.iter().enumerate() {
        let mut source = Lab::new();
        let Ok(function) = source.vm.load(program.as_bytes(), b"=program", LoadMode::Text, None) else {
            panic!("{program} does not compile");
        };
        let whole = source.vm.dump(function, index % 2 == 1).unwrap_or_default();
        assert!(whole.len() > 50);
        let mut lab = Lab::new();
        for round in 0..2_500 {
            let damaged = damage(&whole, &mut numbers);
            let verdict = catch_unwind(AssertUnwindSafe(|| try_chunk(&mut lab, &damaged)));
            match verdict {
                Ok(true) => ran += 1,
                Ok(false) => refused += 1,
                Err(_) => panic!("program {index}, round {round}: {damaged:02x?} of {program}"),
            }
            if round % 100 == 0 {
                lab = Lab::new();
            }
        }
    }
    eprintln!("{refused} refused, {ran} ran");
    assert!(refused > 1000 && ran > 100, "{refused} refused, {ran} ran: the damage is of one kind only");
}

/// Changes a few bytes, or the length.
fn damage(whole: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match numbers.below(8) {
        0 => bytes.truncate(numbers.below(whole.len())),
        1 => {
            let at = numbers.below(whole.len());
            bytes.insert(at, numbers.next() as u8);
        }
        2 => {
            let at = numbers.below(whole.len());
            bytes.remove(at);
        }
        3 => {
            let (from, to) = (numbers.below(whole.len()), numbers.below(whole.len()));
            bytes.swap(from, to);
        }
        _ => {
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(whole.len());
                bytes[at] = match numbers.below(3) {
                    0 => bytes[at] ^ (1 << numbers.below(8)),
                    1 => bytes[at].wrapping_add(1),
                    _ => numbers.next() as u8,
                };
            }
        }
    }
    bytes
}

/// Whether a chunk could be loaded; then it has run.
fn try_chunk(lab: &mut Lab, chunk: &[u8]) -> bool {
    lab.vm.set_limits(lab::memory(64 << 20));
    let Ok(function) = lab.vm.load(chunk, b"=damaged", LoadMode::Binary, None) else {
        return false;
    };
    let mut limits = Limits::default();
    limits.memory = Some(64 << 20);
    limits.instructions = Some(20_000);
    lab.vm.set_limits(limits);
    // Any outcome will do.
    let _ = lab.call(function, &[]);
    lab.vm.set_limits(Limits::default());
    lab.assert_sound();
    true
}

#[test]
fn patterns_that_explode_end_with_their_fuel() {
    let searches = [
        "return (('a'):rep(40)):find(('a*'):rep(20) .. 'b')",
        "return (('a'):rep(40)):find(('a-'):rep(20) .. 'b')",
        "return (('a'):rep(40)):match(('(a?)'):rep(20) .. ('a'):rep(40) .. 'b')",
        "return (('x'):rep(30000)):find('.-.-.-y')",
        "return (('x'):rep(30000)):gsub('.-.-y', '')",
        "for _ in (('ab'):rep(20000)):gmatch('a.-.-.-c') do end",
        "return (('('):rep(20000)):find('%b()')",
    ];
    for search in searches {
        let mut lab = Lab::with_fuel(500_000);
        let outcome = lab.run(search);
        assert!(matches!(outcome, Outcome::Limit(_)), "{search}: {outcome:?}");
        lab.assert_usable();
    }
}

#[test]
fn crowds_of_coroutines_live_at_once() {
    let mut lab = Lab::new();
    let source = "
        local all = {}
        for i = 1, 100000 do
            local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return a + b end)
            co(i)
            all[i] = co
        end
        local sum = 0
        for i = 1, #all do sum = sum + all[i](1) end
        return sum";
    assert_eq!(lab.run(source).values(), (100_000_i64 * 100_001 / 2 + 100_000).to_string());
    lab.assert_usable();
}

#[test]
fn recursion_without_end_is_an_error() {
    let recursions = [
        ("functions", "local function f() return 1 + f() end f()"),
        ("many locals", "local function f(a, b, c, d, e) local g, h, i = 1, 2, 3 return f(g, h, i, a, b) + 1 end f()"),
        ("varargs", "local function f(...) return 1 + f(1, ...) end f()"),
        ("pcall", "local function f() local ok, e = pcall(f) error(e, 0) end f()"),
        ("xpcall", "local function f() local ok, e = xpcall(f, function(m) return m end) error(e, 0) end f()"),
        ("handlers", "local function h(m) error(m) end local ok, e = xpcall(error, h, 'x') error(e)"),
        ("gsub", "local function f(s) return (s:gsub('.', f)) end f('x')"),
        ("sort", "local function f(a, b) table.sort({1, 2, 3}, f) return a < b end table.sort({1, 2, 3}, f)"),
        (
            "__index functions",
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end
            return t.x",
        ),
        ("__index chains", "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x"),
        ("__newindex", "local t = setmetatable({}, {__newindex = function(t, k, v) t[k .. 'x'] = v end}) t.x = 1"),
        ("__call functions", "local t = setmetatable({}, {__call = function(t) return t() + 1 end}) t()"),
        ("__tostring", "local t = setmetatable({}, {__tostring = function(t) return tostring(t) end}) tostring(t)"),
        ("__concat", "local t = setmetatable({}, {__concat = function(a, b) return a .. b end}) return t .. t"),
        (
            "__eq",
            "local mt = {__eq = function(a, b) return a == b end} return setmetatable({}, mt) == setmetatable({}, mt)",
        ),
        (
            "__lt",
            "local mt = {__lt = function(a, b) return a < b end} return setmetatable({}, mt) < setmetatable({}, mt)",
        ),
        ("__len", "return #setmetatable({}, {__len = function(t) return #t end})"),
        ("__unm", "return -setmetatable({}, {__unm = function(t) return -t end})"),
        ("__close", "local function f() local x <close> = setmetatable({}, {__close = f}) end f()"),
        ("__pairs", "local t = setmetatable({}, {__pairs = function(t) return pairs(t) end}) pairs(t)"),
        ("coroutines", "local function f() coroutine.wrap(f)() end f()"),
        (
            "coroutine.resume",
            "local function f() local ok, e = coroutine.resume(coroutine.create(f)) error(e, 0) end f()",
        ),
        ("load", "local function f() load('local f = ... f()')(f) end f()"),
        ("load with a reader", "local function f() load(f) return nil end f() error('end')"),
        ("require", "package.searchers[2] = function(name) return require(name .. 'x') end require 'x'"),
        (
            "dofile",
            "local t = {} t.f = function() return select(2, string.format('%s', setmetatable({}, {__tostring = t.f}))) end t.f()",
        ),
        (
            "hooks",
            "local function f() f() end debug.sethook(function() end, 'c') local ok, e = pcall(f) debug.sethook() error(e, 0)",
        ),
    ];
    for (name, source) in recursions {
        eprintln!("{name}");
        let mut lab = Lab::with_limits(lab::memory(256 << 20));
        // Errors, whichever; `pcall` sees them as errors too.
        let outcome = lab.run(source);
        assert!(matches!(outcome, Outcome::Error(_)), "{name}: {outcome:?}");
        let caught = lab.run(&format!("return (pcall(function() {source} end))"));
        assert_eq!(caught.values(), "false", "{name}");
        lab.assert_usable();
    }
}

/// In the order in which each round through the table finds one more key.
#[test]
fn chains_of_ephemerons_settle_in_any_order() {
    let source = "
        local ephemerons, keys = setmetatable({}, {__mode = 'k'}), {}
        for i = 1, 60000 do keys[i] = {} end
        for i = #keys, 2, -1 do ephemerons[keys[i - 1]] = keys[i] end
        local first = keys[1]
        keys = nil
        collectgarbage()
        local n = 0
        for _ in pairs(ephemerons) do n = n + 1 end
        first = nil
        collectgarbage()
        return n, next(ephemerons)";
    let mut lab = Lab::new();
    assert_eq!(lab.run(source).values(), "59999 nil");
    // Each key brings the table with the next one.
    let source = "
        local first, tables = {}, {}
        local key = first
        for i = 1, 20000 do
            local next = {}
            tables[i] = setmetatable({[key] = {next, i}}, {__mode = 'k'})
            key = next
        end
        for i = 1, #tables // 2 do tables[i], tables[#tables + 1 - i] = tables[#tables + 1 - i], tables[i] end
        key = nil
        collectgarbage()
        local n = 0
        for _, t in ipairs(tables) do n = n + (next(t) and 1 or 0) end
        first = nil
        collectgarbage()
        for _, t in ipairs(tables) do n = n + (next(t) and 1 or 0) end
        return n";
    assert_eq!(lab.run(source).values(), "20000");
    lab.assert_usable();
}

/// The reference crashes.
#[test]
fn what_stands_for_a_table_of_arguments_may_be_anything() {
    for expansion in ["return ...", "return (...)", "local a, b = ... return a, b", "print(1, ...)"] {
        for other in ["5", "nil", "'text'", "{}", "{n = -1}", "{n = 1.5}", "{n = 1 << 62}"] {
            let mut lab = Lab::of_version(LuaVersion::Lua55);
            let source = format!(
                "local function f(...t)
                    local function escape() return t end
                    debug.setlocal(1, 1, {other})
                    {expansion}
                end
                return f(1, 2)"
            );
            assert!(lab.run(&source).error().contains("vararg table has no proper 'n'"), "{source}");
            lab.assert_usable();
        }
    }
}

/// A table that is its own `__call` becomes its own first argument again and again.
#[test]
fn endless_call_handlers_are_an_error() {
    let mut lab = Lab::with_memory(256 << 10);
    let outcome = lab.run("local t = setmetatable({}, {}) getmetatable(t).__call = t t()");
    assert!(matches!(outcome, Outcome::Error(_)), "{outcome:?}");
    lab.assert_usable();
}

#[test]
fn protected_calls_nest_deeply() {
    let mut lab = Lab::new();
    let source = "
        local depth = 0
        local function f() depth = depth + 1 local ok, e = pcall(f) return ok, e end
        local ok = pcall(f)
        return ok, depth > 150, (pcall(error))";
    assert_eq!(lab.run(source).values(), "true true false");
    lab.assert_usable();
}

#[test]
fn many_arguments_and_results_are_refused_or_passed() {
    let mut lab = Lab::new();
    assert_eq!(lab.run("return select('#', table.unpack({}, 1, 200000))").values(), "200000");
    for call in [
        "table.unpack({}, 1, 1 << 24)",
        "table.unpack({}, 1, math.maxinteger)",
        "table.unpack({}, math.mininteger, math.maxinteger)",
        "string.byte(('x'):rep(1 << 24), 1, -1)",
        "print(table.unpack({}, 1, 1 << 22))",
        "string.char(table.unpack({}, 1, 1 << 22))",
        "coroutine.wrap(function(...) return ... end)(table.unpack({}, 1, 1 << 22))",
    ] {
        let outcome = lab.run(&format!("return {call}"));
        assert!(matches!(outcome, Outcome::Error(_)), "{call}: {outcome:?}");
        lab.assert_usable();
    }
}
