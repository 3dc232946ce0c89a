//! Interrupts and deadlines are heeded soon, whatever runs: interpreted and compiled loops, long library calls, coroutines.
//!
//! What is not divided is a single pass over a string: one over a hundred megabytes takes its time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use perilune_jit::{Effort, Jit, JitOptions};
use perilune_testkit::lab::Lab;
use perilune_vm::Vm;
use perilune_vm::host::{Host, SystemHost};
use perilune_vm::limits::{LimitKind, Limits};
use perilune_vm::sample::Sampler;

/// Programs without end.
const PROGRAMS: &[(&str, &str)] = &[
    ("empty loop", "while true do end"),
    ("numeric loop", "for i = 1, math.huge do end"),
    ("sums", "local x = 0 while true do x = x + 1.5 end"),
    ("calls", "local function f(x) return x + 1 end local x = 0 while true do x = f(x) end"),
    (
        "recursion",
        "local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end while true do f(20) end",
    ),
    ("tail calls", "local function f(n) return f(n + 1) end f(1)"),
    ("nested loops", "while true do for i = 1, 10 do for j = 1, 10 do end end end"),
    ("long inner loops", "while true do for i = 1, 1e6 do local x = i * 2 end end"),
    ("arrays", "local t = {} for i = 1, 1000 do t[i] = i end while true do for i = 1, 1000 do t[i] = t[i] + 1 end end"),
    ("pairs", "local t = {} for i = 1, 1000 do t['k' .. i] = i end while true do for k, v in pairs(t) do end end"),
    ("allocation", "while true do local t = {1, 2, {}} end"),
    ("strings", "local i = 0 while true do i = i + 1 local s = 'x' .. i end"),
    (
        "coroutines",
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    ),
    ("a loop in a coroutine", "coroutine.wrap(function() while true do end end)()"),
    ("protected calls", "while true do pcall(error) end"),
    ("protected loops", "while true do local ok, e = pcall(function() for i = 1, 10 do end end) end"),
    (
        "metamethods",
        "local t = setmetatable({}, {__index = function(_, k) return k end}) while true do local x = t[1] end",
    ),
    ("string.rep", "while true do local s = ('x'):rep(1e6) end"),
    ("string.rep of nothing", "while true do local s = (''):rep(1e9) end"),
    ("concatenation", "local s = ('x'):rep(1e5) while true do local t = s .. s end"),
    ("string.find, plain", "local s = ('a'):rep(1e6) while true do s:find('b', 1, true) end"),
    (
        "string.find, plain and hard",
        "local s = ('a'):rep(1e6) .. 'c' while true do s:find(('a'):rep(100) .. 'b', 1, true) end",
    ),
    ("string.find, a pattern", "local s = ('a'):rep(1e6) while true do s:find('.-b') end"),
    ("string.match, with captures", "local s = ('a b '):rep(1e5) while true do s:match('((%a) (%a) )-x') end"),
    ("string.gsub", "local s = ('a'):rep(1e6) while true do s:gsub('a', 'bb') end"),
    ("string.gsub with a function", "local s = ('a'):rep(1e6) while true do s:gsub('a', function(c) return c end) end"),
    ("string.gsub without matches", "local s = ('a'):rep(1e6) while true do s:gsub('b', '') end"),
    ("string.upper and reverse", "local s = ('a'):rep(1e6) while true do s:upper() s:reverse() end"),
    ("string.format", "local s = ('a'):rep(1e5) while true do local x = ('%s%q'):format(s, s) end"),
    ("string.byte and char", "local s = ('a'):rep(1e4) while true do string.char(s:byte(1, 1e4)) end"),
    (
        "comparison",
        "local a = ('x'):rep(2e6) local b, c, d = a .. 'y', a .. 'z', a .. 'z'
        while true do local x = c == d and b < c and a ~= b end",
    ),
    ("numbers in long strings", "local s = (' '):rep(1e5) .. '1' while true do local x = s + 1 x = math.floor(s) end"),
    ("full collections", "local t = {} for i = 1, 2000 do t[i] = {i} end while true do collectgarbage() end"),
    (
        "next behind a gap",
        "local t = {} for i = 1, 1e5 do t[i] = i end for i = 1, 1e5 - 1 do t[i] = nil end while true do next(t) end",
    ),
    ("string.unpack", "local f, s = ('b'):rep(1e4), ('x'):rep(1e4) while true do string.unpack(f, s) end"),
    ("string.packsize", "local f = (' b'):rep(1e5) while true do string.packsize(f) end"),
    ("string.find of a long text", "local p = ('a'):rep(1e6) while true do ('b'):find(p) end"),
    ("utf8.codepoint", "local s = ('x'):rep(1e4) while true do utf8.codepoint(s, 1, 1e4) end"),
    ("os.date", "local f = ('%c'):rep(1e4) while true do os.date(f) end"),
    ("package.searchpath", "local p = ('/?;'):rep(1000) while true do package.searchpath('a.b', p) end"),
    (
        "table.sort",
        "local t = {} for i = 1, 1e5 do t[i] = i * 7919 % 100003 end
        while true do table.sort(t) table.sort(t, function(a, b) return a > b end) end",
    ),
    (
        "table.sort of strings",
        "local t = {} for i = 1, 1e5 do t[i] = 'k' .. i * 7919 % 100003 end
        while true do table.sort(t) for i = 1, 5e4 do t[i], t[1e5 - i] = t[1e5 - i], t[i] end end",
    ),
    ("table.concat", "local t = {} for i = 1, 1e6 do t[i] = 'ab' end while true do table.concat(t, ',') end"),
    ("table.unpack", "local t = {} for i = 1, 1e4 do t[i] = i end while true do select('#', table.unpack(t)) end"),
    (
        "table.insert and remove",
        "local t = {} for i = 1, 1e6 do t[i] = i end
        while true do table.insert(t, 1, 0) table.remove(t, 1) end",
    ),
    ("table.move", "local t = {} for i = 1, 1e6 do t[i] = i end while true do table.move(t, 1, 1e6, 2) end"),
    ("string.pack", "while true do string.unpack('s4', string.pack('s4', ('x'):rep(1e5))) end"),
    ("tonumber", "local s = ('1'):rep(1e6) while true do tonumber(s) end"),
    ("utf8.len", "local s = ('ä'):rep(1e5) while true do utf8.len(s) end"),
    ("string.format of zeros", "local s = ('\\0'):rep(1e7) while true do local x = ('%q'):format(s) end"),
    ("string.unpack of a long format", "local f = ('x'):rep(1e7) local s = f while true do string.unpack(f, s) end"),
    ("string.pack of a long format", "local f = ('x'):rep(1e7) while true do string.pack(f) end"),
    ("utf8.len of a long text", "local s = ('x'):rep(1e7) while true do utf8.len(s) end"),
    ("utf8.offset", "local s = ('x'):rep(1e7) while true do utf8.offset(s, 1e7) utf8.offset(s, -1e7) end"),
    ("load", "local s = ('local x = 1 '):rep(100) while true do load(s) end"),
    (
        "next of an empty table",
        "local t = {} for i = 1, 1e5 do t['k' .. i] = i end for k in pairs(t) do t[k] = nil end
        while true do next(t) end",
    ),
];

/// The most CPU time between two looks: a millisecond, and twice as much again for the assertions in the builds of tests.
const MOST: Duration = Duration::from_millis(3);

/// How programs are run: interpreted, compiled as usual, and compiled with all work from the start.
fn tiers() -> [(&'static str, Option<JitOptions>); 3] {
    let full = JitOptions { effort: Some(Effort::Full), ..JitOptions::eager() };
    [("interpreted", None), ("tiered", Some(JitOptions::default())), ("compiled at once", Some(full))]
}

fn lab(options: &Option<JitOptions>) -> Lab {
    let mut lab = Lab::new();
    if let Some(options) = options {
        lab.vm.set_tier(Jit::new(options.clone()));
    }
    lab
}

/// Notes the CPU time between two looks at the limits: nobody else's work counts.
struct Looks {
    host: SystemHost,
    last: Duration,
    gaps: Rc<RefCell<Vec<Duration>>>,
}

impl Sampler for Looks {
    fn sample(&mut self, _: &Vm, _: u64) {
        let now = self.host.cpu_time();
        self.gaps.borrow_mut().push(now - self.last);
        self.last = now;
    }
}

/// The time between looks while a program runs until a deadline: that which nine of ten are below.
fn gap(options: &Option<JitOptions>, source: &str) -> Duration {
    let mut lab = lab(options);
    let gaps = Rc::new(RefCell::new(Vec::new()));
    let host = SystemHost::new();
    let last = host.cpu_time();
    lab.vm.set_sampler(Some(Box::new(Looks { host, last, gaps: gaps.clone() })));
    let mut limits = Limits::default();
    limits.time = Some(Duration::from_millis(25));
    lab.vm.set_limits(limits);
    let outcome = lab.run(source);
    assert_eq!(outcome.violation().kind, LimitKind::Time, "{source}");
    let mut gaps = gaps.borrow().clone();
    gaps.sort();
    gaps[gaps.len() * 9 / 10]
}

#[test]
fn limits_are_looked_at_every_millisecond() {
    for (tier, options) in tiers() {
        for (name, source) in PROGRAMS {
            // A slow measurement may be the machine's fault, but hardly three of them.
            let is_prompt = (0..3).any(|_| gap(&options, source) <= MOST);
            assert!(is_prompt, "{name}, {tier}: {:?}", gap(&options, source));
        }
    }
}
