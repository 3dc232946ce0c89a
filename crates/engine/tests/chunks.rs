//! Loading code.

use perilune::Result;
use perilune::prelude::*;

#[test]
fn expressions_are_tried_first() -> Result<()> {
    let lua = Lua::new();
    assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    assert_eq!(lua.load("return 3").eval::<i64>()?, 3);
    assert_eq!(lua.load("local x = 4; return x").eval::<i64>()?, 4);
    assert_eq!(lua.load("x = 1").eval::<Value>()?, Value::Nil);
    lua.load("n = 0; function f() n = n + 1 return n end").exec()?;
    assert_eq!(lua.load("f()").eval::<i64>()?, 1);
    assert_eq!(lua.load("-- nothing").eval::<Value>()?, Value::Nil);
    assert!(matches!(lua.load("1 +").eval::<Value>(), Err(Error::SyntaxError { incomplete_input: true, .. })));
    Ok(())
}

#[test]
fn chunks_take_arguments_and_environments() -> Result<()> {
    let lua = Lua::new();
    assert_eq!(lua.load("local a, b = ... return a - b").call::<i64>((5, 3))?, 2);
    let env = lua.create_table_from([("x", 1)])?;
    let f = lua.load("y = x; return function() return y end").set_environment(env.clone()).into_function()?;
    let g: Function = f.call(())?;
    assert_eq!((env.get::<i64>("y")?, g.call::<i64>(())?), (1, 1));
    assert_eq!(f.environment(), Some(env));
    let other = lua.create_table_from([("x", 5)])?;
    assert!(f.set_environment(other.clone())?);
    f.call::<()>(())?;
    assert_eq!(other.get::<i64>("y")?, 5);
    assert!(lua.globals().get::<Value>("y")?.is_nil());
    Ok(())
}

#[test]
fn names_are_in_messages() -> Result<()> {
    let lua = Lua::new();
    let message = lua.load("error('x')").set_name("@dir/file.lua").exec().unwrap_err().to_string();
    assert!(message.starts_with("dir/file.lua:1: x"), "{message}");
    let message = lua.load("error('x')").exec().unwrap_err().to_string();
    assert!(message.contains("tests/chunks.rs:"), "{message}");
    Ok(())
}

#[test]
fn damaged_binaries_are_refused() -> Result<()> {
    let lua = Lua::new();
    let good =
        lua.load("local t = {...} for i = 1, #t do t[i] = t[i] * 2 end return t").into_function()?.dump(false).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // It is refused, or it is a program.
        let _ = lua.load(bad).set_mode(perilune::ChunkMode::Both).into_function();
        let _ = lua.load(&good[..at]).set_mode(perilune::ChunkMode::Both).into_function();
    }
    Ok(())
}
