//! The scenarios, for whichever engine `super::api` is.

use std::fmt::Write;
use std::hint::black_box;

use super::api::{Function, Lua, Table, UserData, UserDataFields, UserDataMethods};
use crate::{Case, Work};

/// Operations of a case whose single operation is too short to time.
const MANY: u64 = 100;

const fn case(group: &'static str, name: &'static str, operations: u64, prepare: fn() -> Work) -> Case {
    Case { group, name, operations, prepare }
}

/// All cases, those of a group together.
pub const CASES: &[Case] = &[
    case("NumericLoops", "integers", 1, || script(INTEGERS)),
    case("NumericLoops", "floats", 1, || script(FLOATS)),
    case("NumericLoops", "recursion", 1, || script(RECURSION)),
    case("TableMutation", "array", 1, || script(ARRAY)),
    case("TableMutation", "records", 1, || script(RECORDS)),
    case("TableMutation", "hash", 1, || script(HASH)),
    case("CoroutinePipeline", "three stages", 1, || script(PIPELINE)),
    case("UserDataInterop", "method from Lua", MANY, || script(USERDATA_METHOD)),
    case("UserDataInterop", "field from Lua", MANY, || script(USERDATA_FIELD)),
    case("UserDataInterop", "borrow from Rust", MANY, userdata_borrow),
    case("ScriptLoading", "compile tiny", 1, || compile(1)),
    case("ScriptLoading", "compile small", 1, || compile(10)),
    case("ScriptLoading", "compile medium", 1, || compile(100)),
    case("ScriptLoading", "compile large", 1, || compile(1000)),
    case("ScriptLoading", "execute tiny", 1, || execute(1)),
    case("ScriptLoading", "execute small", 1, || execute(10)),
    case("ScriptLoading", "execute medium", 1, || execute(100)),
    case("ScriptLoading", "execute large", 1, || execute(1000)),
    case("RustToLua", "no arguments", MANY, call_without_arguments),
    case("RustToLua", "two integers", MANY, call_with_integers),
    case("RustToLua", "a string", MANY, call_with_string),
    case("LuaToRust", "no arguments", MANY, || script(RUST_NOTHING)),
    case("LuaToRust", "two integers", MANY, || script(RUST_ADD)),
    case("LuaToRust", "a string", MANY, || script(RUST_LENGTH)),
    case("TableAccess", "get field", MANY, get_field),
    case("TableAccess", "set field", MANY, set_field),
    case("TableAccess", "get element", MANY, get_element),
    case("TableAccess", "set element", MANY, set_element),
    case("StringCrossing", "short, to Lua", MANY, || string_to_lua(8)),
    case("StringCrossing", "long, to Lua", MANY, || string_to_lua(1024)),
    case("StringCrossing", "to Rust", MANY, string_to_rust),
    case("VmCreation", "all libraries", 1, create_vm),
];

const INTEGERS: &str = "
    return function()
      local sum = 0
      for i = 1, 100000 do sum = (sum + i * i) % 1000003 end
      return sum
    end";

const FLOATS: &str = "
    return function()
      local x, y = 0.0, 1.0
      for i = 1, 100000 do x = x * 0.5 + y; y = y - x * 0.001 end
      return x + y
    end";

const RECURSION: &str = "
    local function fibonacci(n) return n < 2 and n or fibonacci(n - 1) + fibonacci(n - 2) end
    return function() return fibonacci(20) end";

const ARRAY: &str = "
    return function()
      local t = {}
      for i = 1, 10000 do t[i] = i end
      for i = 1, #t, 2 do t[i] = t[i] + t[#t - i + 1] end
      while #t > 100 do t[#t] = nil end
      return #t
    end";

const RECORDS: &str = "
    return function()
      local points = {}
      for i = 1, 2000 do points[i] = { x = i, y = -i, seen = 0 } end
      for round = 1, 5 do
        for _, p in ipairs(points) do p.x, p.y, p.seen = p.y, p.x, p.seen + round end
      end
      return points[7].seen
    end";

const HASH: &str = "
    return function()
      local counts = {}
      for i = 1, 10000 do
        local key = 'k' .. i % 500
        counts[key] = (counts[key] or 0) + 1
      end
      for i = 1, 500, 2 do counts['k' .. i] = nil end
      return next(counts)
    end";

const PIPELINE: &str = "
    local wrap, yield = coroutine.wrap, coroutine.yield
    return function()
      local source = wrap(function() for i = 1, 2000 do yield(i) end end)
      local even = wrap(function() for i in source do if i % 2 == 0 then yield(i) end end end)
      local square = wrap(function() for i in even do yield(i * i) end end)
      local sum = 0
      for n in square do sum = sum + n end
      return sum
    end";

const USERDATA_METHOD: &str = "
    local counter = new_counter()
    return function() for i = 1, 100 do counter:add(i) end end";

const USERDATA_FIELD: &str = "
    local counter = new_counter()
    return function() local n for i = 1, 100 do n = counter.value end return n end";

const RUST_NOTHING: &str = "
    local nothing = nothing
    return function() for i = 1, 100 do nothing() end end";

const RUST_ADD: &str = "
    local add = add
    return function() local n = 0 for i = 1, 100 do n = add(n, i) end return n end";

const RUST_LENGTH: &str = "
    local length = length
    return function() local n = 0 for i = 1, 100 do n = n + length('a string') end return n end";

struct Counter {
    value: i64,
}

impl UserData for Counter {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("value", |_, counter| Ok(counter.value));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("add", |_, counter, n: i64| {
            counter.value += n;
            Ok(counter.value)
        });
    }
}

/// A VM with the functions of Rust that scripts call.
fn vm() -> Lua {
    let lua = Lua::new();
    let globals = lua.globals();
    let set = |name: &str, function| globals.set(name, function).expect("the globals take it");
    set("nothing", lua.create_function(|_, ()| Ok(())).expect("memory"));
    set("add", lua.create_function(|_, (a, b): (i64, i64)| Ok(a + b)).expect("memory"));
    set("length", lua.create_function(|_, text: String| Ok(text.len())).expect("memory"));
    set("new_counter", lua.create_function(|lua, ()| lua.create_userdata(Counter { value: 0 })).expect("memory"));
    lua
}

fn function(lua: &Lua, source: &str) -> Function {
    lua.load(source).eval().expect("the script is well formed")
}

/// Times the function that a script returns.
fn script(source: &str) -> Work {
    let lua = vm();
    let function = function(&lua, source);
    Box::new(move || {
        black_box(&lua);
        function.call::<()>(()).expect("the script does not fail");
    })
}

fn userdata_borrow() -> Work {
    let lua = vm();
    let counter = lua.create_userdata(Counter { value: 1 }).expect("memory");
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            black_box(counter.borrow::<Counter>().expect("it is one").value);
        }
    })
}

/// A module of so many functions, which a table at its end names.
fn module(functions: usize) -> String {
    let mut source = String::from("local M = {}\n");
    for i in 0..functions {
        writeln!(
            source,
            "-- Function {i} of the module.
             function M.f{i}(a, b, ...)
               local t, s = {{ n = {i}, 'x', b }}, 'text {i}'
               if a == {i} and not b then return s .. a end
               for i, v in ipairs(t) do t[i] = v * 2 + (... or 0) end
               return t.n < {i} and M.f0 or function(x) return x, t end
             end"
        )
        .expect("a string takes all");
    }
    source.push_str("return M\n");
    source
}

/// Times parser and compiler.
fn compile(functions: usize) -> Work {
    let lua = vm();
    let source = module(functions);
    Box::new(move || drop(black_box(lua.load(source.as_str()).into_function().expect("it is well formed"))))
}

/// Times running a compiled chunk.
fn execute(functions: usize) -> Work {
    let lua = vm();
    let chunk = lua.load(module(functions).as_str()).into_function().expect("it is well formed");
    Box::new(move || {
        black_box(&lua);
        drop(black_box(chunk.call::<Table>(()).expect("it does not fail")));
    })
}

fn call_without_arguments() -> Work {
    let lua = vm();
    let function = function(&lua, "return function() end");
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            function.call::<()>(()).expect("it does not fail");
        }
    })
}

fn call_with_integers() -> Work {
    let lua = vm();
    let function = function(&lua, "return function(a, b) return a + b end");
    Box::new(move || {
        black_box(&lua);
        for i in 0..MANY as i64 {
            black_box(function.call::<i64>((i, 1)).expect("it does not fail"));
        }
    })
}

fn call_with_string() -> Work {
    let lua = vm();
    let function = function(&lua, "return function(s) return #s end");
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            black_box(function.call::<i64>("a string").expect("it does not fail"));
        }
    })
}

/// A table with fields and elements.
fn table(lua: &Lua) -> Table {
    lua.load("return { 1, 2, 3, 4, x = 1, y = 2 }").eval().expect("the script is well formed")
}

fn get_field() -> Work {
    let lua = vm();
    let table = table(&lua);
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            black_box(table.get::<i64>("x").expect("it is there"));
        }
    })
}

fn set_field() -> Work {
    let lua = vm();
    let table = table(&lua);
    Box::new(move || {
        black_box(&lua);
        for i in 0..MANY as i64 {
            table.set("x", i).expect("a string is a key");
        }
    })
}

fn get_element() -> Work {
    let lua = vm();
    let table = table(&lua);
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            black_box(table.raw_get::<i64>(3).expect("it is there"));
        }
    })
}

fn set_element() -> Work {
    let lua = vm();
    let table = table(&lua);
    Box::new(move || {
        black_box(&lua);
        for i in 0..MANY as i64 {
            table.raw_set(3, i).expect("an integer is a key");
        }
    })
}

fn string_to_lua(length: usize) -> Work {
    let lua = vm();
    let text = "x".repeat(length);
    Box::new(move || {
        for _ in 0..MANY {
            black_box(lua.create_string(&text).expect("memory"));
        }
    })
}

fn string_to_rust() -> Work {
    let lua = vm();
    let text = lua.create_string("a string of some thirty letters").expect("memory");
    Box::new(move || {
        black_box(&lua);
        for _ in 0..MANY {
            black_box(text.to_str().expect("it is UTF-8").len());
        }
    })
}

fn create_vm() -> Work {
    Box::new(|| drop(black_box(Lua::new())))
}
