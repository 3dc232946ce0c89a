//! Functions of Lua and of Rust.

use std::cell::Cell;
use std::rc::Rc;

use perilune::prelude::*;
use perilune::{ChunkMode, LuaVersion, RegistryKey, Result};

#[test]
fn rust_calls_lua_calls_rust() -> Result<()> {
    let lua = Lua::new();
    let apply = lua.create_function(|_, (f, n): (Function, i64)| f.call::<i64>(n))?;
    lua.globals().set("apply", apply)?;
    let deep: i64 = lua
        .load("local function down(n) if n == 0 then return 1 end return 1 + apply(down, n - 1) end return down(50)")
        .eval()?;
    assert_eq!(deep, 51);
    Ok(())
}

#[test]
fn arguments_that_do_not_fit_are_named() -> Result<()> {
    let lua = Lua::new();
    let f = lua.create_function(|_, (_, b): (i64, Option<i64>)| Ok(b))?;
    lua.globals().set("f", f)?;
    let message: String = lua.load("local _, e = pcall(f, 1, 'x') return tostring(e)").eval()?;
    assert_eq!(message, "bad argument #2: cannot convert Lua string to i64");
    assert_eq!(lua.load("f(1, nil)").eval::<Option<i64>>()?, None);
    assert!(matches!(
        lua.load("f()").exec(),
        Err(Error::CallbackError { cause, .. }) if matches!(*cause, Error::BadArgument { pos: 1, .. })
    ));
    Ok(())
}

#[test]
fn mutable_functions_refuse_recursion() -> Result<()> {
    let lua = Lua::new();
    let mut count = 0;
    let f = lua.create_function_mut(move |_, again: Option<Function>| {
        count += 1;
        if let Some(again) = again {
            again.call::<()>(())?;
        }
        Ok(count)
    })?;
    assert_eq!((f.call::<i64>(())?, f.call::<i64>(())?), (1, 2));
    let error = f.call::<i64>(&f).unwrap_err();
    assert!(matches!(error.root_cause(), Error::RecursiveMutCallback), "{error}");
    assert_eq!(f.call::<i64>(())?, 4);
    Ok(())
}

#[test]
fn bound_arguments_come_first() -> Result<()> {
    let lua = Lua::new();
    let f: Function = lua.load("function(...) return table.concat({...}, ' ') end").eval()?;
    assert_eq!(f.bind(("a", 1))?.bind("b")?.call::<String>((2, "c"))?, "a 1 b 2 c");
    let many: Variadic<i64> = (0..300).collect();
    let count: Function = lua.load("function(...) return select('#', ...) end").eval()?;
    assert_eq!(count.bind(many)?.call::<i64>((1, 2))?, 302);
    Ok(())
}

#[test]
fn functions_say_where_they_are_from() -> Result<()> {
    let lua = Lua::new();
    let f: Function = lua.load("\n\nreturn function(a, b, ...)\nend").set_name("@ship.lua").eval()?;
    let info = f.info();
    assert_eq!((info.what, info.short_source.as_str()), ("Lua", "ship.lua"));
    assert_eq!((info.line_defined, info.last_line_defined), (Some(3), Some(4)));
    assert_eq!((info.params, info.is_vararg), (2, true));
    assert_eq!(lua.create_function(|_, ()| Ok(()))?.info().what, "C");
    Ok(())
}

#[test]
fn dumps_load_again() -> Result<()> {
    let lua = Lua::new();
    let f: Function = lua.load("function(x) return x * 3 end").eval()?;
    let binary = f.dump(true).unwrap();
    assert!(matches!(lua.load(&binary).into_function(), Err(Error::SyntaxError { .. })));
    assert_eq!(lua.load(binary).set_mode(ChunkMode::Binary).call::<i64>(14)?, 42);
    assert!(lua.create_function(|_, ()| Ok(()))?.dump(false).is_none());
    Ok(())
}

#[test]
fn closures_are_dropped_with_their_functions() -> Result<()> {
    struct Tell(Rc<Cell<u32>>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let lua = Lua::new();
    let tell = Tell(dropped.clone());
    let f = lua.create_function(move |_, ()| {
        let _ = &tell;
        Ok(())
    })?;
    f.call::<()>(())?;
    drop(f);
    lua.gc_collect()?;
    assert_eq!(dropped.get(), 1);
    let tell = Tell(dropped.clone());
    lua.globals().set(
        "f",
        Function::wrap(move |_, ()| {
            let _ = &tell;
            Ok(())
        }),
    )?;
    drop(lua);
    assert_eq!(dropped.get(), 2);
    Ok(())
}

#[test]
fn a_function_may_outlive_its_last_reference_while_it_runs() -> Result<()> {
    let lua = Lua::new();
    let f = lua.create_function(|lua, ()| {
        lua.globals().set("f", Value::Nil)?;
        lua.gc_collect()?;
        lua.gc_collect()?;
        Ok("still here")
    })?;
    lua.globals().set("f", f)?;
    assert_eq!(lua.load("return f()").eval::<String>()?, "still here");
    Ok(())
}

#[test]
fn registry_keys_hold_values_without_holding_the_vm() -> Result<()> {
    let lua = Lua::new();
    let weak = lua.weak();
    let key: RegistryKey = lua.create_registry_value("kept")?;
    lua.gc_collect()?;
    assert_eq!(lua.registry_value::<String>(&key)?, "kept");
    let f = lua.create_function(move |lua, ()| lua.registry_value::<String>(&key))?;
    assert_eq!(f.call::<String>(())?, "kept");
    drop((f, lua));
    assert!(weak.upgrade().is_none());

    let lua = Lua::new();
    lua.set_named_registry_value("name", 5)?;
    assert_eq!(lua.named_registry_value::<i64>("name")?, 5);
    lua.unset_named_registry_value("name")?;
    assert_eq!(lua.named_registry_value::<Value>("name")?, Value::Nil);
    let mut key = lua.create_registry_value(1)?;
    lua.replace_registry_value(&mut key, 2)?;
    assert_eq!(lua.registry_value::<i64>(&key)?, 2);
    assert!(matches!(Lua::new().registry_value::<i64>(&key), Err(Error::MismatchedRegistryKey)));
    Ok(())
}

#[test]
fn app_data_is_found_by_type() {
    let lua = Lua::new();
    assert_eq!(lua.set_app_data(1u32), None);
    assert_eq!(lua.set_app_data(2u32), Some(1));
    lua.set_app_data("text");
    *lua.app_data_mut::<u32>().unwrap() += 1;
    let borrowed = lua.app_data_ref::<u32>().unwrap();
    assert_eq!(*borrowed, 3);
    assert!(lua.app_data_mut::<u32>().is_none() && lua.remove_app_data::<u32>().is_none());
    drop(borrowed);
    assert_eq!(lua.remove_app_data::<u32>(), Some(3));
    assert!(lua.app_data_ref::<u32>().is_none());
    assert_eq!(*lua.app_data_ref::<&str>().unwrap(), "text");
}

#[test]
fn a_call_of_something_else_is_an_error_that_scripts_catch() -> Result<()> {
    let lua = Lua::new();
    let call_it = lua.create_function(|_, t: Table| t.get::<Value>("anything").map(drop))?;
    lua.globals().set("call_it", call_it)?;
    let (ok, after): (bool, i64) = lua
        .load("local ok = pcall(call_it, setmetatable({}, {__index = setmetatable({}, {__index = function() error 'no' end})})) return ok, 1")
        .eval()?;
    assert_eq!((ok, after), (false, 1));
    Ok(())
}

#[test]
fn functions_have_environments_in_every_version() -> Result<()> {
    for version in [LuaVersion::Lua51, LuaVersion::Lua52, LuaVersion::Lua54] {
        let lua = Lua::builder().version(version).build()?;
        let f: Function = lua.load("function() return x end").eval()?;
        assert_eq!(f.environment(), Some(lua.globals()), "{version:?}");
        let globals = lua.create_table_from([("x", 42)])?;
        assert!(f.set_environment(globals.clone())?);
        assert_eq!(f.environment(), Some(globals));
        assert_eq!(f.call::<i64>(())?, 42);
    }
    Ok(())
}
