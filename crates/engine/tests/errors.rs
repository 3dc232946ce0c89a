//! Errors on their way between Lua and Rust.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use perilune::prelude::*;
use perilune::{LuaVersion, Result};

#[derive(Debug)]
struct Custom(i32);
impl std::fmt::Display for Custom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "custom {}", self.0)
    }
}
impl std::error::Error for Custom {}

#[test]
fn lua_errors_have_message_and_traceback() {
    let lua = Lua::new();
    let error = lua.load("local function inner() error('oh') end\ninner()").set_name("=chunk").exec().unwrap_err();
    let Error::RuntimeError(text) = error else { panic!("{error:?}") };
    assert!(text.starts_with("chunk:1: oh\nstack traceback:\n"), "{text}");
    assert!(text.contains("chunk:2: in main chunk"), "{text}");
}

#[test]
fn errors_that_are_no_strings_have_some_text() {
    let lua = Lua::new();
    let message = |code: &str| lua.load(code).exec().unwrap_err().to_string().lines().next().unwrap().to_owned();
    assert_eq!(message("error({})"), "(error object is a table value)");
    assert_eq!(message("error(nil)"), "(error object is a nil value)");
    assert_eq!(message("error(12)"), "12");
    assert_eq!(message("error(setmetatable({}, {__tostring = function() return 'text' end}))"), "text");
    assert_eq!(
        message("error(setmetatable({}, {__tostring = function() error 'x' end}))"),
        "(error object is a table value)"
    );
}

#[test]
fn a_rust_error_goes_through_lua_unchanged() -> Result<()> {
    let lua = Lua::new();
    lua.globals().set("fail", Function::wrap(|_, n: i32| -> Result<()> { Err(Error::external(Custom(n))) }))?;
    let error = lua.load("local function f() fail(7) end f()").exec().unwrap_err();
    assert!(matches!(error, Error::CallbackError { .. }));
    assert_eq!(error.downcast_ref::<Custom>().unwrap().0, 7);
    assert!(error.to_string().starts_with("custom 7\nstack traceback:"), "{error}");

    // Through two layers of Rust, and rethrown by a script.
    lua.globals().set("again", Function::wrap(|_, f: Function| f.call::<()>(8)))?;
    let error = lua.load("local ok, e = pcall(again, fail); assert(not ok); error(e)").exec().unwrap_err();
    assert_eq!(error.downcast_ref::<Custom>().unwrap().0, 8);

    let value: Value = lua.load("select(2, pcall(fail, 9))").eval()?;
    assert_eq!((value.type_name(), value.to_string()?.as_str()), ("error", "custom 9"));
    let back: Value = lua.load("return ...").call(value)?;
    assert_eq!(back.as_error().unwrap().downcast_ref::<Custom>().unwrap().0, 9);
    Ok(())
}

#[test]
fn contexts_are_put_in_front() -> Result<()> {
    let lua = Lua::new();
    let f = lua.create_function(|_, ()| -> Result<()> { Err(Error::runtime("inner")).context("outer") })?;
    let error = f.call::<()>(()).unwrap_err();
    assert!(error.to_string().starts_with("outer: inner\n"), "{error}");
    assert_eq!(error.root_cause().to_string(), "inner");
    let e: Error = Error::external(Box::new(Error::MemoryError) as Box<dyn std::error::Error + Send + Sync>);
    assert!(matches!(e, Error::MemoryError));
    let wrapped = Error::CallbackError { traceback: String::new(), cause: Arc::new(Error::external(Custom(1))) };
    assert!(wrapped.downcast_ref::<Custom>().is_some());
    Ok(())
}

#[test]
fn syntax_errors_tell_incomplete_input() {
    for version in LuaVersion::ALL {
        let lua = Lua::builder().version(version).build().unwrap();
        let error = lua.load("for i = 1, 2 do").exec().unwrap_err();
        assert!(matches!(error, Error::SyntaxError { incomplete_input: true, .. }), "{version}: {error}");
    }
    let lua = Lua::new();
    for (code, incomplete) in
        [("x = ", true), ("if x then", true), ("x = = 1", false), ("x = 'abc", true), ("end", false)]
    {
        match lua.load(code).exec() {
            Err(Error::SyntaxError { incomplete_input, message }) => {
                assert_eq!(incomplete_input, incomplete, "{code}: {message}");
            }
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[test]
fn exit_is_for_the_host() -> Result<()> {
    let lua = Lua::new();
    for code in ["os.exit(3)", "pcall(os.exit, 3)", "coroutine.wrap(function() pcall(os.exit, 3) end)()"] {
        assert!(matches!(lua.load(code).exec(), Err(Error::Exit { code: 3, .. })), "{code}");
    }
    // A Rust function in between passes it on, and the VM can be used afterwards.
    lua.globals().set("call", Function::wrap(|_, f: Function| f.call::<()>(())))?;
    assert!(matches!(
        lua.load("pcall(call, function() os.exit(true, true) end)").exec(),
        Err(Error::Exit { code: 0, close: true })
    ));
    assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    Ok(())
}

#[test]
fn panics_pass_lua_and_nothing_breaks() -> Result<()> {
    let lua = Lua::new();
    lua.globals().set("boom", Function::wrap(|_, ()| -> Result<()> { panic!("boom") }))?;
    lua.globals().set("call", Function::wrap(|_, f: Function| f.call::<()>(())))?;
    for code in ["boom()", "pcall(boom)", "coroutine.wrap(function() pcall(call, boom) end)()", "pcall(call, boom)"] {
        let caught = catch_unwind(AssertUnwindSafe(|| lua.load(code).exec()));
        let payload = caught.expect_err("a script must not catch it");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"boom"), "{code}");
        assert_eq!(lua.load("select('#', pcall(error))").eval::<i64>()?, 2);
    }
    // Rust in between may catch it.
    let catcher =
        lua.create_function(|_, f: Function| Ok(catch_unwind(AssertUnwindSafe(|| f.call::<()>(()))).is_err()))?;
    lua.globals().set("catcher", catcher)?;
    assert!(lua.load("catcher(boom)").eval::<bool>()?);
    Ok(())
}

#[test]
fn panics_of_destructors_reach_the_host() -> Result<()> {
    struct Bomb;
    impl UserData for Bomb {}
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb")
        }
    }
    let lua = Lua::new();
    drop(lua.create_userdata(Bomb)?);
    let caught = catch_unwind(AssertUnwindSafe(|| lua.gc_collect()));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"bomb"));
    lua.gc_collect()?;
    lua.globals().set("b", Bomb)?;
    drop(lua);
    Ok(())
}

#[test]
fn deep_recursion_is_an_error() {
    // Unoptimised builds need much of the host's stack for each level.
    let test = || -> Result<()> {
        let lua = Lua::new();
        let error = lua.load("local function f() return 1 + f() end f()").exec().unwrap_err();
        assert!(error.to_string().contains("stack overflow"), "{error}");
        lua.globals().set("call", Function::wrap(|_, f: Function| f.call::<()>(())))?;
        let error = lua.load("local function f() call(f) end f()").exec().unwrap_err();
        assert!(error.to_string().contains("stack overflow"), "{error}");
        assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
        Ok(())
    };
    std::thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join().unwrap().unwrap();
}

#[test]
fn calling_what_cannot_be_called_is_an_error() -> Result<()> {
    let lua = Lua::new();
    struct Plain;
    impl UserData for Plain {
        fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
            fields.add_field("number", 1);
        }
    }
    let u = lua.create_userdata(Plain)?;
    lua.globals().set("f", Function::wrap(move |_, u: AnyUserData| u.call_method::<()>("number", ())))?;
    let (ok, message): (bool, Value) = lua.load("return pcall(f, ...)").call(u)?;
    assert!(!ok && message.to_string()?.starts_with("attempt to call a number value"), "{message:?}");
    Ok(())
}

#[test]
fn errors_of_rust_functions_count_as_memory() -> Result<()> {
    for external in [false, true] {
        let lua = Lua::builder().limits(perilune::Limits::new().with_memory(8 << 20)).build()?;
        let get = lua.create_function(move |_, n: String| -> Result<()> {
            let text = format!("no such item: {n}");
            Err(if external { Error::external(text) } else { Error::runtime(text) })
        })?;
        lua.globals().set("get", get)?;
        // Those that are garbage go, whatever else is made.
        lua.load("local s = ('x'):rep(2^20) for i = 1, 50 do assert(not pcall(get, s)) end").exec()?;
        lua.load("local s = ('x'):rep(100) for i = 1, 5000 do assert(not pcall(get, s)) end").exec()?;
        assert!(lua.used_memory() < 8 << 20);
        // Those that are kept meet the limit.
        let caught: i64 = lua
            .load(
                "local s, kept = ('x'):rep(2^20), {}
                for i = 1, 50 do local _, e = pcall(get, s) if type(e) == 'userdata' then kept[#kept + 1] = e end end
                return #kept",
            )
            .eval()?;
        assert!((1..8).contains(&caught), "{caught}");
        lua.gc_collect()?;
        assert!(lua.used_memory() < 1 << 20, "{}", lua.used_memory());
    }
    Ok(())
}

#[test]
fn errors_that_go_round_through_rust_do_not_nest_for_ever() -> Result<()> {
    #[derive(Debug)]
    struct Outer(Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "outer {}", self.0)
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let lua = Lua::new();
    lua.globals().set("fail", Function::wrap(|_, ()| -> Result<()> { Err(Error::external(Custom(7))) }))?;
    lua.globals().set("in_context", Function::wrap(|_, f: Function| f.call::<Value>(()).context("in try")))?;
    lua.globals().set(
        "in_another",
        Function::wrap(|_, f: Function| f.call::<Value>(()).map_err(|e| Error::external(Outer(e)))),
    )?;
    let round = "local try = ...
        local ok, e = pcall(fail)
        for i = 1, 5000 do ok, e = pcall(try, function() error(e, 0) end) end
        return e";
    let in_context: Value = lua.load(round).call(lua.globals().get::<Function>("in_context")?)?;
    let error = in_context.as_error().unwrap();
    assert_eq!(error.downcast_ref::<Custom>().unwrap().0, 7);
    let text = error.to_string();
    assert!(text.starts_with("in try: ") && text.contains("custom 7") && text.len() < 1 << 20, "{}", text.len());

    let in_another: Value = lua.load(round).call(lua.globals().get::<Function>("in_another")?)?;
    assert!(in_another.as_error().unwrap().to_string().starts_with("outer "));

    let mut error = Error::runtime("root");
    for _ in 0..100_000 {
        error = error.context("again");
    }
    assert!(error.to_string().ends_with("root"));
    Ok(())
}

#[test]
fn errors_without_frames_have_no_traceback() {
    let lua = Lua::new();
    let error = lua.globals().get::<Function>("error").unwrap().call::<()>(("plain", 0)).unwrap_err();
    assert!(!error.to_string().trim_end().ends_with("stack traceback:"), "{error}");
}
