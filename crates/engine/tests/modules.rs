//! Modules that come from the host.

use perilune::prelude::*;
use perilune::{Libraries, LuaVersion, Result};

#[test]
fn values_are_required_in_all_versions() -> Result<()> {
    for version in LuaVersion::ALL {
        let lua = Lua::builder().version(version).build()?;
        lua.register_module("host.answers", lua.create_table_from([("all", 42)])?)?;
        assert_eq!(lua.load("return require('host.answers').all").eval::<i64>()?, 42, "{version}");
        lua.unload_module("host.answers")?;
        assert!(lua.load("require('host.answers')").exec().is_err(), "{version}");
    }
    Ok(())
}

#[test]
fn loaders_are_called_once_and_again_after_unloading() -> Result<()> {
    for version in LuaVersion::ALL {
        let lua = Lua::builder().version(version).build()?;
        let mut calls = 0;
        let loader = lua.create_function_mut(move |_, name: String| {
            calls += 1;
            Ok(format!("{name} {calls}"))
        })?;
        lua.preload_module("counted", loader)?;
        let required = lua.load("return require 'counted', (require 'counted')").into_function()?;
        assert_eq!(required.call::<(String, String)>(())?, ("counted 1".into(), "counted 1".into()), "{version}");
        lua.unload_module("counted")?;
        assert_eq!(required.call::<String>(())?, "counted 2", "{version}");
    }
    Ok(())
}

#[test]
fn what_is_registered_waits_for_the_library() -> Result<()> {
    let lua = Lua::builder().libraries(Libraries::BASE).build()?;
    lua.register_module("early", 1)?;
    assert!(lua.globals().get::<Value>("require")?.is_nil());
    lua.unload_module("never there")
}
