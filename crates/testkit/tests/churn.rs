//! Memory: what is dropped is reused, an idle VM is small, and the heap is sound whatever ran in it.
#![expect(clippy::disallowed_methods, reason = "churning lasts a given time")]

use std::time::{Duration, Instant};

use perilune_base::dialect::LuaVersion;
use perilune_testkit::lab::{self, Lab};
use perilune_vm::limits::Limits;

/// Pieces of work that leave nothing behind; each makes some hundred KiB of garbage.
const WORK: &[(&str, &str)] = &[
    ("tables", "for i = 1, 2000 do local t = {i, i + 1, x = i, y = {}} end"),
    ("strings", "for i = 1, 2000 do local s = 'number ' .. i .. ' of many' end"),
    ("long strings", "for i = 1, 50 do local s = ('x'):rep(10000) .. i end"),
    ("closures", "for i = 1, 2000 do local f = function() return i end f() end"),
    ("coroutines", "for i = 1, 200 do local co = coroutine.wrap(function(a) coroutine.yield(a) end) co(i) end"),
    ("coroutines that fail", "for i = 1, 200 do pcall(coroutine.wrap(function() error({i}) end)) end"),
    ("finalizers", "for i = 1, 300 do setmetatable({}, {__gc = function(o) o.x = 1 end}) end"),
    ("weak tables", "local w = setmetatable({}, {__mode = 'k'}) for i = 1, 500 do w[{}] = {i} end"),
    ("ephemerons", "local w = setmetatable({}, {__mode = 'k'}) for i = 1, 300 do local k = {} w[k] = {k} end"),
    ("chunks", "for i = 1, 100 do load('local a = ' .. i .. ' return function(b) return a + b end')()(1) end"),
    ("dumps", "local f = load('return ...') for i = 1, 100 do load(string.dump(f))(i) end"),
    ("growing and shrinking", "local t = {} for i = 1, 3000 do t[i] = i end for i = 3000, 1, -1 do t[i] = nil end"),
    ("shapes", "for i = 1, 200 do local t = {} for j = 1, 10 do t['f' .. (i * j) % 500] = j end end"),
    ("cycles", "for i = 1, 500 do local a, b = {}, {} a.b = b b.a = a end"),
    ("gsub", "for i = 1, 50 do local s = (('ab'):rep(100)):gsub('a', function(c) return c .. i end) end"),
    ("sort", "local t = {} for i = 1, 500 do t[i] = tostring((i * 7919) % 1009) end table.sort(t)"),
    ("errors", "for i = 1, 500 do pcall(error, {i}) pcall(function() return nil + i end) end"),
    ("deep recursion", "local function f(n) if n > 0 then return 1 + f(n - 1) end return 0 end f(5000)"),
];

#[test]
fn churning_keeps_memory_flat() {
    let mut lab = Lab::new();
    let functions: Vec<_> = WORK
        .iter()
        .map(|(name, source)| {
            let loaded = lab.vm.load(source.as_bytes(), b"=work", perilune_vm::load::LoadMode::Text, None);
            let function = loaded.unwrap_or_else(|_| panic!("{name} does not compile"));
            lab.vm.pin(function);
            (*name, function)
        })
        .collect();
    let turn = |lab: &mut Lab| {
        for (name, function) in &functions {
            let outcome = lab.call(*function, &[]);
            assert!(matches!(outcome, lab::Outcome::Values(_)), "{name}: {outcome:?}");
        }
        lab.vm.heap().bytes
    };
    let settle = |lab: &mut Lab| {
        lab.run("collectgarbage() collectgarbage()").values();
        lab.vm.heap().bytes
    };
    let warm = (0..20).map(|_| turn(&mut lab)).max().unwrap_or_default();
    let settled = settle(&mut lab);
    let end = Instant::now() + Duration::from_secs(2);
    let mut turns = 0;
    while Instant::now() < end {
        let bytes = turn(&mut lab);
        turns += 1;
        assert!(bytes < 2 * warm + (1 << 20), "{bytes} bytes after {turns} turns, {warm} when warm");
    }
    let left = settle(&mut lab);
    assert!(left < settled + (32 << 10), "{left} bytes are left after {turns} turns, {settled} before");
    lab.assert_sound();
}

#[test]
fn each_piece_of_work_leaves_nothing_behind() {
    for (name, source) in WORK {
        let mut lab = Lab::new();
        let measure = |lab: &mut Lab| {
            lab.run(source).values();
            lab.run("collectgarbage() collectgarbage()").values();
            lab.vm.heap().bytes
        };
        let early = (0..3).map(|_| measure(&mut lab)).max().unwrap_or_default();
        let late = (0..12).map(|_| measure(&mut lab)).max().unwrap_or_default();
        assert!(late <= early + (8 << 10), "{name}: {early} bytes grew to {late}");
        lab.assert_sound();
    }
}

#[test]
fn errors_move_no_stack_unless_it_is_huge() {
    let count = |depth: u32| {
        let mut lab = Lab::new();
        let source = format!(
            "local function down(n) if n > 0 then return 1 + down(n - 1) end return 0 end
            down({depth})
            collectgarbage('stop')
            local before = collectgarbage('count')
            pcall(error)
            return before - collectgarbage('count') > 16"
        );
        lab.run(&source).values()
    };
    assert_eq!(count(2_000), "false", "it may be needed again");
    assert_eq!(count(100_000), "true", "a runaway recursion gives back what it has used");
}

#[test]
fn an_idle_vm_is_small() {
    let lab = Lab::new();
    let bytes = lab.vm.heap().bytes;
    assert!(bytes < 100 << 10, "an idle VM takes {bytes} bytes");
    lab.assert_sound();
}

#[test]
fn the_heap_is_sound_in_the_middle_of_a_cycle() {
    let mut lab = Lab::new();
    lab.run("keep = {} for i = 1, 500 do keep[i] = {i, tostring(i), function() return i end} end").values();
    for (name, source) in WORK {
        for _ in 0..4 {
            lab.run(source).values();
            lab.run("collectgarbage('step', 1)").values();
            lab.assert_sound();
        }
        eprintln!("{name}");
    }
    assert_eq!(lab.run("return #keep, keep[500][2], keep[77][3]()").values(), "500 500 77");
}

#[test]
fn stress_finds_nothing() {
    for (name, source) in WORK {
        let mut lab = Lab::new();
        let mut limits = Limits::default();
        limits.time = Some(Duration::from_millis(300));
        lab.vm.set_limits(limits);
        lab.vm.heap_mut().set_stress(true);
        let outcome = lab.run(source);
        lab.vm.heap_mut().set_stress(false);
        assert!(!matches!(outcome, lab::Outcome::Error(_)), "{name}: {outcome:?}");
        lab.assert_usable();
    }
}

/// One VM runs many fixtures after one another, as a server would: its heap stays sound.
#[test]
fn one_vm_survives_many_scripts() {
    let fixtures = perilune_testkit::fixtures();
    let language = fixtures.iter().filter(|f| f.is_for(LuaVersion::DEFAULT) && f.name.starts_with("language/"));
    let mut lab = Lab::new();
    let mut ran = 0;
    for fixture in language {
        let Ok(source) = std::fs::read(&fixture.script) else { continue };
        lab.vm.set_limits(lab::fuel(20_000_000));
        // Output is silenced; some scripts change what others need, so that their results say nothing here.
        lab.run("function print() end io.write = print").values();
        lab.run_bytes(&source);
        lab.vm.set_limits(Limits::default());
        lab.run("debug.setmetatable(nil) debug.setmetatable(1) debug.setmetatable(print) debug.setmetatable(true)");
        if let Err(problem) = lab::check(&lab.vm) {
            panic!("the heap is not sound after {}: {problem}", fixture.name);
        }
        ran += 1;
    }
    assert!(ran > 50, "only {ran} scripts ran");
    lab.assert_usable();
}
