//! Tables.

use perilune::Result;
use perilune::prelude::*;

#[test]
fn metamethods_are_asked_unless_it_is_raw() -> Result<()> {
    let lua = Lua::new();
    let t: Table = lua
        .load(
            "log = {}
             return setmetatable({}, {
                 __index = function(t, k) return k .. '!' end,
                 __newindex = function(t, k, v) log[#log + 1] = k; rawset(t, k, v) end,
                 __len = function() return 7 end,
             })",
        )
        .eval()?;
    assert_eq!(t.get::<String>("x")?, "x!");
    assert_eq!(t.raw_get::<Option<String>>("x")?, None);
    t.set("y", 1)?;
    t.raw_set("z", 2)?;
    assert_eq!(lua.load("log").eval::<Vec<String>>()?, ["y"]);
    assert_eq!((t.len()?, t.raw_len()), (7, 0));
    assert!(t.contains_key("anything")?);
    Ok(())
}

#[test]
fn sequences_grow_and_shrink() -> Result<()> {
    let lua = Lua::new();
    let t = lua.create_sequence_from(["b", "d"])?;
    t.raw_insert(1, "a")?;
    t.raw_insert(3, "c")?;
    t.push("e")?;
    assert_eq!(t.sequence_values::<String>().collect::<Result<Vec<_>>>()?.concat(), "abcde");
    assert_eq!(t.raw_remove::<String>(2)?, "b");
    assert_eq!(t.pop::<String>()?, "e");
    assert_eq!(t.raw_pop::<String>()?, "d");
    assert_eq!(lua.unpack::<Vec<String>>(Value::Table(t.clone()))?.concat(), "ac");
    assert!(t.raw_insert(5, "x").is_err() && t.raw_insert(0, "x").is_err() && t.raw_remove::<Value>(3).is_err());
    t.raw_insert(1, 1.5)?;
    assert_eq!(t.raw_get::<f64>(1)?, 1.5);
    Ok(())
}

#[test]
fn clearing_leaves_the_metatable() -> Result<()> {
    let lua = Lua::new();
    let t: Table = lua.load("setmetatable({1, 2, 3, x = 1, [true] = 2, [2^53] = 3}, {})").eval()?;
    t.clear()?;
    assert!(t.is_empty() && t.raw_len() == 0 && t.metatable().is_some());
    t.set_metatable(None)?;
    assert!(t.metatable().is_none());
    Ok(())
}

#[test]
fn all_pairs_are_visited_once() -> Result<()> {
    let lua = Lua::new();
    let t: Table = lua.load("local t = {10, 20, 30, a = 1, b = 2, [1.5] = 3}; t[2] = nil; return t").eval()?;
    let mut seen = Vec::new();
    t.for_each(|k: Value, v: i64| {
        seen.push((k.to_string()?, v));
        Ok(())
    })?;
    assert_eq!(seen.len(), 5);
    // Fields may be removed meanwhile, the collector may run, and the values may go.
    for pair in t.pairs::<Value, Value>() {
        let (k, v) = pair?;
        t.set(k, Value::Nil)?;
        drop(v);
        lua.gc_collect()?;
    }
    assert!(t.is_empty());
    assert!(lua.load("{x = 'y'}").eval::<Table>()?.pairs::<i64, i64>().next().unwrap().is_err());
    Ok(())
}

#[test]
fn refused_keys_are_errors() -> Result<()> {
    let lua = Lua::new();
    let t = lua.create_table()?;
    assert_eq!(t.set(Value::Nil, 1).unwrap_err().to_string().lines().next(), Some("table index is nil"));
    assert!(t.raw_set(f64::NAN, 1).is_err());
    assert_eq!(t.get::<Value>(f64::NAN)?, Value::Nil);
    Ok(())
}

#[test]
fn handles_keep_their_tables() -> Result<()> {
    let lua = Lua::new();
    let tables: Vec<Table> = (0..1000).map(|i| lua.create_table_from([("i", i)])).collect::<Result<_>>()?;
    lua.gc_collect()?;
    let before = lua.used_memory();
    for (i, t) in tables.iter().enumerate() {
        assert_eq!(t.get::<usize>("i")?, i);
    }
    drop(tables);
    lua.gc_collect()?;
    assert!(lua.used_memory() < before - 50_000, "{before} {}", lua.used_memory());
    Ok(())
}

#[test]
fn what_only_rust_makes_is_collected_too() -> Result<()> {
    let lua = Lua::new();
    for i in 0..200_000 {
        let t = lua.create_table()?;
        t.set("text", format!("number {i}"))?;
    }
    assert!(lua.used_memory() < 10 << 20, "{}", lua.used_memory());
    Ok(())
}

#[test]
fn a_converter_may_collect_between_key_and_value() -> Result<()> {
    struct Nosy;
    impl IntoLua for Nosy {
        fn into_lua(self, lua: &Lua) -> Result<Value> {
            lua.gc_collect()?;
            lua.load("string.rep('x', 100)").eval()
        }
    }
    let lua = Lua::new();
    let t = lua.create_table()?;
    t.set(lua.load("{}").eval::<Table>()?, Nosy)?;
    t.set(Nosy, Nosy)?;
    t.set("list", vec![Nosy, Nosy])?;
    assert_eq!(t.pairs::<Value, Value>().count(), 3);
    assert_eq!(t.get::<String>(Nosy)?.len(), 100);
    Ok(())
}

#[test]
fn functions_in_tables_are_called_by_key() -> Result<()> {
    let lua = Lua::new();
    let t: Table = lua
        .load("setmetatable({n = 2, [5] = math.max}, {__index = {add = function(self, ...) return self.n + ..., 'more' end}})")
        .eval()?;
    assert_eq!(t.call_method::<(i64, String)>("add", 3)?, (5, "more".into()));
    assert_eq!(t.call_function::<i64>(5, (1, 4))?, 4);
    assert_eq!(t.call_function::<i64>("add", (&t, 1))?, 3);
    assert!(t.call_method::<()>("absent", ()).unwrap_err().to_string().contains("attempt to call a nil value"));
    assert!(matches!(t.call_function::<()>("n", ()), Err(Error::FromLuaConversionError { .. })));
    Ok(())
}

/// Empties a list while it becomes a value of Lua.
struct Emptying(Table);

impl IntoLua for Emptying {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        self.0.clear()?;
        Ok(Value::Integer(9))
    }
}

#[test]
fn a_list_that_shrinks_while_a_value_is_converted_keeps_its_bounds() -> Result<()> {
    let lua = Lua::new();
    let list = lua.create_sequence_from([1, 2, 3])?;
    let error = list.raw_insert(2, Emptying(list.clone())).unwrap_err();
    assert_eq!(error.to_string(), "position out of bounds");
    list.raw_insert(1, Emptying(list.clone()))?;
    list.raw_insert(1, 8)?;
    assert_eq!(list.sequence_values::<i64>().collect::<Result<Vec<_>>>()?, [8, 9]);
    Ok(())
}
