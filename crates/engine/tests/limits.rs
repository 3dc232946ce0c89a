//! What scripts may spend.

use std::time::Duration;

use perilune::prelude::*;
use perilune::{DeterministicHost, Libraries, LimitKind, Limits, Nil, NullHost, Result, Violation};

#[test]
fn no_script_catches_a_violation() -> Result<()> {
    for code in [
        "while true do end",
        "pcall(function() while true do end end)",
        "while true do pcall(string.rep, 'x', 1e6) end",
        "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()",
        "local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x",
    ] {
        let lua = Lua::builder().limits(Limits::new().with_instructions(50_000)).build()?;
        match lua.load(code).exec() {
            Err(Error::LimitReached(Violation { kind: LimitKind::Instructions, limit: 50_000, .. })) => {}
            other => panic!("{code}: {other:?}"),
        }
        // Nothing is left, until the host gives more.
        assert!(matches!(lua.load("return 1").eval::<i64>(), Err(Error::LimitReached(_))));
        assert!(matches!(lua.load("pcall(print)").exec(), Err(Error::LimitReached(_))));
        lua.set_limits(Limits::new().with_instructions(1000));
        assert_eq!(lua.load("return 1").eval::<i64>()?, 1);
    }
    Ok(())
}

#[test]
fn rust_in_between_passes_violations_on() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_instructions(10_000)).build()?;
    lua.globals().set("call", Function::wrap(|_, f: Function| f.call::<()>(())))?;
    lua.globals().set("swallow", Function::wrap(|_, f: Function| Ok(f.call::<()>(()).is_ok())))?;
    let endless = "function() while true do end end";
    for code in [format!("pcall(call, {endless})"), format!("while true do swallow({endless}) end")] {
        lua.set_limits(Limits::new().with_instructions(10_000));
        assert!(matches!(lua.load(code).exec(), Err(Error::LimitReached(_))));
    }
    Ok(())
}

#[test]
fn time_is_limited() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_time(Duration::from_millis(20))).build()?;
    match lua.load("while true do end").exec() {
        Err(Error::LimitReached(Violation { kind: LimitKind::Time, .. })) => Ok(()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_is_limited() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_memory(4 << 20)).build()?;
    let hog = "local t = {} for i = 1, 1e9 do t[i] = 'number ' .. i end";
    assert!(matches!(lua.load(hog).exec(), Err(Error::MemoryError)));
    // A script may catch it; its memory is given back then.
    assert!(!lua.load(format!("(pcall(function() {hog} end))")).eval::<bool>()?);
    let mut kept = Vec::new();
    let error = loop {
        match lua.create_string(vec![b'x'; 10_000]) {
            Ok(s) => kept.push(s),
            Err(e) => break e,
        }
    };
    assert!(matches!(error, Error::MemoryError) && kept.len() > 200 && kept.len() < 420, "{}", kept.len());
    kept.clear();
    assert_eq!(lua.set_memory_limit(0), 4 << 20);
    lua.create_string(vec![b'x'; 10 << 20])?;
    Ok(())
}

#[test]
fn fuel_is_the_same_on_every_run() -> Result<()> {
    let spent = || -> Result<u64> {
        let lua = Lua::new();
        lua.globals().set("f", Function::wrap(|_, n: i64| Ok(n + 1)))?;
        lua.load("local s = 0 for i = 1, 1000 do s = f(s) end").exec()?;
        Ok(lua.fuel_used())
    };
    assert_eq!(spent()?, spent()?);
    Ok(())
}

#[test]
fn libraries_and_worlds_are_of_choice() -> Result<()> {
    let lua =
        Lua::builder().libraries(Libraries::BASE.union(Libraries::MATH)).host(Box::new(NullHost::new())).build()?;
    assert!(lua.load("math and not string and not os").eval::<bool>()?);
    let seeded = || -> Result<Vec<i64>> {
        let host = DeterministicHost::new(Box::new(NullHost::new()), 7);
        let lua = Lua::builder().host(Box::new(host)).build()?;
        lua.load("local t = {} for i = 1, 5 do t[i] = math.random(1000) end return t").eval()
    };
    assert_eq!(seeded()?, seeded()?);
    for version in perilune::LuaVersion::ALL {
        let lua = Lua::builder().version(version).build()?;
        assert_eq!(lua.load("return _VERSION").eval::<String>()?, version.to_string());
    }
    Ok(())
}

#[test]
fn a_deterministic_host_shows_no_addresses() -> Result<()> {
    let shown = |jit: bool| -> Result<String> {
        let host = DeterministicHost::new(Box::new(NullHost::new()), 7);
        let lua = Lua::builder().host(Box::new(host)).jit(jit).build()?;
        lua.load(
            "local t, texts = {}, {tostring(print), ('%p %p'):format('a text', io.stdout), tostring(io.stdout)}
            for i = 1, 2000 do
                local s = tostring({i})
                if i % 500 == 0 then collectgarbage() texts[#texts + 1] = s end
            end
            assert(tostring(t) == tostring(t) and tostring(t):match('0x%x+') == ('%p'):format(t))
            assert(tostring(t) ~= tostring({}))
            return table.concat(texts, ' ')",
        )
        .eval()
    };
    let first = shown(false)?;
    assert_eq!(first, shown(false)?);
    assert_eq!(first, shown(true)?);
    assert!(first.contains(": 0x10000000"), "{first}");
    Ok(())
}

#[test]
fn the_collector_obeys() -> Result<()> {
    let lua = Lua::new();
    assert!(lua.gc_is_running());
    lua.gc_stop();
    // Each is seen by the next: the trace compiler leaves out tables that nobody sees.
    lua.load("local t; for i = 1, 1e5 do t = { last = t }; t.last = nil end").exec()?;
    let full = lua.used_memory();
    assert!(!lua.gc_is_running());
    lua.gc_restart();
    while !lua.gc_step()? {}
    assert!(lua.used_memory() < full / 2);
    lua.gc_inc(150, 0, 0);
    Ok(())
}

#[test]
fn other_threads_interrupt() -> Result<()> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    for jit in [false, true] {
        let lua = Lua::builder().jit(jit).build()?;
        let flag = Arc::new(AtomicBool::new(false));
        lua.set_interrupt(flag.clone());
        let running = lua.create_function({
            let flag = flag.clone();
            move |_, ()| {
                let flag = flag.clone();
                std::thread::spawn(move || flag.store(true, Ordering::Relaxed));
                Ok(())
            }
        })?;
        lua.globals().set("running", running)?;
        let (ok, e): (bool, String) = lua.load("pcall(function() running() while true do end end)").eval()?;
        assert!(!ok && e.ends_with("interrupted!"), "{e}");
        assert!(!flag.load(Ordering::Relaxed));
        assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    }
    Ok(())
}

/// Strings that Rust makes are collected, whatever they are made for.
#[test]
fn strings_from_rust_are_collected() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_memory(4 << 20)).build()?;
    let length: Function = lua.load("function(s) return #s end").eval()?;
    let object: Table = lua.load("{length = function(_, s) return #s end}").eval()?;
    for i in 0..10_000 {
        let text = format!("{i:01000}");
        assert_eq!(length.call::<f64>(&text)?, 1000.0);
        assert_eq!(object.call_method::<f64>("length", &text)?, 1000.0);
        assert!(!object.contains_key(&text)?);
        assert!(object.raw_get::<Value>(text.as_str())?.is_nil());
        assert!(lua.named_registry_value::<Value>(&text)?.is_nil());
        lua.pack(text.as_str())?;
        drop(lua.create_registry_value(text)?);
        lua.unpack::<String>(Value::Number(f64::from(i) + 0.5))?;
    }
    assert!(lua.used_memory() < 4 << 20);
    Ok(())
}

#[test]
fn strings_from_rust_meet_the_limit() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_memory(4 << 20)).build()?;
    let many: Vec<String> = (0..10_000).map(|i| format!("{i:01000}")).collect();
    assert!(matches!(lua.pack(many.clone()), Err(Error::MemoryError)));
    assert!(matches!(lua.pack("x".repeat(8 << 20)), Err(Error::MemoryError)));
    lua.globals().set("many", Function::wrap(move |_, ()| Ok(many.clone())))?;
    assert!(!lua.load("(pcall(many))").eval::<bool>()?);
    lua.gc_collect()
}

#[test]
fn nil_is_stored_even_when_memory_is_used_up() -> Result<()> {
    let lua = Lua::new();
    lua.load("config, other = string.rep('x', 1 << 22), string.rep('y', 1 << 22)").exec()?;
    lua.set_memory_limit(1 << 20);
    assert!(matches!(lua.globals().set("more", "text"), Err(Error::MemoryError)));
    lua.globals().set("config", Nil)?;
    lua.globals().raw_set("other", Nil)?;
    lua.unset_named_registry_value("nothing")?;
    lua.gc_collect()?;
    lua.globals().set("more", "text")
}

#[test]
fn time_is_limited_without_a_world() -> Result<()> {
    let limits = Limits::new().with_time(Duration::from_millis(20));
    let lua = Lua::builder().host(Box::new(NullHost::new())).limits(limits).build()?;
    match lua.load("while true do end").exec() {
        Err(Error::LimitReached(Violation { kind: LimitKind::Time, .. })) => Ok(()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_source_for_which_there_is_no_memory_is_no_wrong_source() -> Result<()> {
    let lua = Lua::builder().limits(Limits::new().with_memory(1 << 20)).build()?;
    let large = format!("return {{{}}}", "'some text', ".repeat(1 << 20));
    assert!(matches!(lua.load(&large).exec(), Err(Error::MemoryError)));
    assert!(matches!(lua.load(&large).eval::<Value>(), Err(Error::MemoryError)));
    Ok(())
}
