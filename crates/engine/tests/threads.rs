//! Coroutines.

use perilune::prelude::*;
use perilune::{Result, ThreadStatus};

#[test]
fn values_go_in_and_out() -> Result<()> {
    let lua = Lua::new();
    let f: Function = lua
        .load("function(a) while true do local b, c = coroutine.yield(a, a * 2); if not b then return 'end' end a = b + c end end")
        .eval()?;
    let thread = lua.create_thread(f)?;
    assert_eq!(thread.status(), ThreadStatus::Resumable);
    assert_eq!(thread.resume::<(i64, i64)>(1)?, (1, 2));
    assert_eq!(thread.resume::<(i64, i64)>((10, 5))?, (15, 30));
    assert_eq!(thread.resume::<String>(())?, "end");
    assert_eq!(thread.status(), ThreadStatus::Finished);
    assert!(matches!(thread.resume::<()>(()), Err(Error::CoroutineUnresumable)));
    Ok(())
}

#[test]
fn a_failed_coroutine_says_so() -> Result<()> {
    let lua = Lua::new();
    let thread = lua.create_thread(lua.load("error('stuck')").set_name("=x").into_function()?)?;
    let error = thread.resume::<()>(()).unwrap_err().to_string();
    assert!(error.starts_with("x:1: stuck\nstack traceback:\n"), "{error}");
    assert_eq!(thread.status(), ThreadStatus::Error);
    assert!(thread.close().is_err());
    assert_eq!(thread.status(), ThreadStatus::Finished);
    thread.close()
}

#[test]
fn closing_closes_variables() -> Result<()> {
    let lua = Lua::new();
    let f = lua
        .load("local x <close> = setmetatable({}, {__close = function() closed = true end}) coroutine.yield()")
        .into_function()?;
    let thread = lua.create_thread(f)?;
    thread.resume::<()>(())?;
    thread.close()?;
    assert!(lua.load("closed").eval::<bool>()?);
    Ok(())
}

#[test]
fn rust_functions_run_in_coroutines() -> Result<()> {
    let lua = Lua::new();
    let outside = lua.current_thread();
    let check = lua.create_function(move |lua, ()| {
        let here = lua.current_thread();
        assert_eq!(here.status(), ThreadStatus::Running);
        assert!(here.close().is_err());
        assert!(matches!(here.resume::<()>(()), Err(Error::CoroutineUnresumable)));
        // Its own stack is used for its calls.
        lua.load("local t = {} for i = 1, 1000 do t[i] = i end return #t").eval::<i64>()
    })?;
    let thread = lua.create_thread(check)?;
    assert_ne!(thread, outside);
    assert_eq!(thread.resume::<i64>(())?, 1000);
    Ok(())
}

#[test]
fn yielding_across_rust_is_an_error() -> Result<()> {
    let lua = Lua::new();
    lua.globals().set("call", Function::wrap(|_, f: Function| f.call::<Value>(())))?;
    let thread = lua.create_thread(lua.load("return pcall(call, coroutine.yield)").into_function()?)?;
    let (ok, message): (bool, String) =
        thread.resume::<(bool, Value)>(()).and_then(|(ok, e)| Ok((ok, e.to_string()?)))?;
    assert!(!ok && message.starts_with("attempt to yield across a C-call boundary"), "{message}");
    Ok(())
}

#[test]
fn getters_and_bound_functions_may_yield() -> Result<()> {
    let lua = Lua::new();
    let yielder: Function = lua.load("coroutine.yield").eval()?;
    lua.globals().set("bound", yielder.bind("bound")?)?;
    let thread = lua.create_thread(lua.load("return bound('x')").into_function()?)?;
    assert_eq!(thread.resume::<(String, String)>(())?, ("bound".to_owned(), "x".to_owned()));
    assert_eq!(thread.resume::<i64>(3)?, 3);
    Ok(())
}
