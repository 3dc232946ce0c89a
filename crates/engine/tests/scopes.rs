//! Functions and userdata that borrow from the host.

use std::cell::Cell;

use perilune::prelude::*;
use perilune::{Result, UserDataRef};

struct Log(Vec<String>);

impl UserData for Log {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("len", |_, this, ()| Ok(this.0.len()));
        methods.add_method_mut("push", |_, this, line: String| {
            this.0.push(line);
            Ok(())
        });
    }
}

#[test]
fn functions_borrow_and_end_with_the_scope() -> Result<()> {
    let lua = Lua::new();
    let (factor, calls) = (3, Cell::new(0));
    let sum = lua.scope(|scope| {
        let times = scope.create_function(|_, n: i64| {
            calls.set(calls.get() + 1);
            Ok(n * factor)
        })?;
        lua.globals().set("times", &times)?;
        lua.load("return times(1) + times(2)").eval::<i64>()
    })?;
    assert_eq!((sum, calls.get()), (9, 2));
    let message: String = lua.load("return tostring(select(2, pcall(times, 1)))").eval()?;
    assert_eq!(message, "a function was called after its scope had ended");
    lua.gc_collect()
}

#[test]
fn errors_and_panics_end_a_scope_too() -> Result<()> {
    let lua = Lua::new();
    let text = String::from("borrowed");
    let failed: Result<()> = lua.scope(|scope| {
        lua.globals().set("f", scope.create_function(|_, ()| Ok(text.clone()))?)?;
        lua.load("assert(f() == 'borrowed') error('enough')").exec()
    });
    assert!(failed.is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        lua.scope(|scope| -> Result<()> {
            lua.globals().set("g", scope.create_function(|_, ()| -> Result<String> { panic!("{text}") })?)?;
            lua.load("g()").exec()
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(lua.load("return pcall(f), pcall(g)").eval::<(bool, bool)>()?, (false, false));
    Ok(())
}

#[test]
fn functions_that_change_what_they_borrow_are_not_called_again_meanwhile() -> Result<()> {
    let lua = Lua::new();
    let mut depth = 0;
    let message = lua.scope(|scope| {
        let again = scope.create_function_mut(|_, f: Function| {
            depth += 1;
            f.call::<()>(())
        })?;
        lua.globals().set("again", again)?;
        lua.load("return tostring(select(2, pcall(again, function() again(print) end)))").eval::<String>()
    })?;
    assert!(message.contains("mutable function called while it is running"), "{message}");
    assert_eq!(depth, 1);
    Ok(())
}

#[test]
fn userdata_are_lent_for_as_long_as_the_scope_lasts() -> Result<()> {
    let lua = Lua::new();
    let mut log = Log(Vec::new());
    lua.scope(|scope| {
        let lent = scope.create_userdata_ref_mut(&mut log)?;
        lua.globals().set("log", &lent)?;
        lua.load("log:push('one') log:push('two')").exec()?;
        assert_eq!(lent.borrow_scoped::<Log, _>(|log| log.0.len())?, 2);
        lent.borrow_mut_scoped::<Log, _>(|log| log.0.shrink_to_fit())?;
        assert!(matches!(lent.take::<Log>(), Err(Error::UserDataBorrowMutError)));
        Ok(())
    })?;
    assert_eq!(log.0, ["one", "two"]);
    assert!(lua.load("log:len()").exec().is_err());
    lua.scope(|scope| {
        lua.globals().set("log", scope.create_userdata_ref(&log)?)?;
        assert_eq!(lua.load("return log:len()").eval::<i64>()?, 2);
        assert!(lua.load("log:push('three')").exec().is_err(), "it is not borrowed exclusively");
        Ok(())
    })?;
    let lent: AnyUserData = lua.globals().get("log")?;
    assert!(matches!(lent.borrow::<Log>(), Err(Error::UserDataDestructed)));
    lua.globals().set("log", Value::Nil)?;
    drop(lent);
    lua.gc_collect()
}

#[test]
fn no_borrow_outlives_its_scope() -> Result<()> {
    let lua = Lua::new();
    let log = Log(Vec::new());
    let keep = lua.create_function(|lua, log: UserDataRef<Log>| {
        lua.set_app_data(log);
        Ok(())
    })?;
    lua.globals().set("keep", keep)?;
    let kept = lua.scope(|scope| {
        let lent = scope.create_userdata_ref(&log)?;
        assert!(lua.load("keep(...)").call::<()>(&lent).is_err());
        Ok((lent.borrow::<Log>(), lent.borrow_mut::<Log>()))
    })?;
    assert!(matches!(kept, (Err(Error::UserDataLent), Err(Error::UserDataLent))));
    Ok(())
}
