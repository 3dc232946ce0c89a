//! Conversions there and back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use perilune::prelude::*;
use perilune::{Bytes, LightUserData, LuaVersion, Nil, Result};

#[test]
fn numbers_keep_their_kind_and_value() -> Result<()> {
    let lua = Lua::new();
    let kind = lua.load("return math.type(...)").into_function()?;
    assert_eq!(kind.call::<String>(1u8)?, "integer");
    assert_eq!(kind.call::<String>(1f32)?, "float");
    let same = lua.load("return ...").into_function()?;
    assert_eq!(same.call::<i64>(i64::MIN)?, i64::MIN);
    assert_eq!(same.call::<u64>(i64::MAX)?, i64::MAX as u64);
    assert_eq!(same.call::<f64>(0.1)?, 0.1);
    assert_eq!(same.call::<i32>(7.0)?, 7);
    assert_eq!(same.call::<i32>("0x10")?, 16);
    assert_eq!(same.call::<f64>("1e2")?, 100.0);
    Ok(())
}

#[test]
fn integers_out_of_range_are_errors() -> Result<()> {
    let lua = Lua::new();
    let same = lua.load("return ...").into_function()?;
    for text in ["300", "-1", "1.5", "'x'", "{}", "nil"] {
        let value: Value = lua.load(text).eval()?;
        let result = same.call::<u8>(value);
        assert!(matches!(result, Err(Error::FromLuaConversionError { .. })), "{text}: {result:?}");
    }
    assert!(matches!(same.call::<Value>(u64::MAX), Err(Error::ToLuaConversionError { .. })));
    assert_eq!(
        same.call::<Value>(u64::MAX).unwrap_err().to_string(),
        "cannot convert u64 to Lua integer (out of range)"
    );
    Ok(())
}

#[test]
fn strings_are_bytes() -> Result<()> {
    let lua = Lua::new();
    let raw = lua.create_string([0xff, 0x00, 0x41])?;
    assert_eq!(raw.as_bytes(), [0xff, 0, 0x41]);
    assert!(raw.to_str().is_err());
    assert_eq!(raw.to_string_lossy(), "\u{fffd}\0A");
    assert!(lua.unpack::<String>(Value::String(raw.clone())).is_err());
    assert_eq!(lua.unpack::<Bytes>(Value::String(raw))?.0, [0xff, 0, 0x41]);
    assert_eq!(lua.load("12").eval::<String>()?, "12");
    assert_eq!(lua.load("'12' .. 1.5").eval::<LuaString>()?, "121.5");
    let long = "x".repeat(100_000);
    assert_eq!(lua.create_string(&long)?, long.as_str());
    Ok(())
}

#[test]
fn strings_compare_with_those_of_rust() -> Result<()> {
    let lua = Lua::new();
    let text = lua.create_string("moon")?;
    let (same, other) = (String::from("moon"), String::from("sun"));
    assert!(text == "moon" && text == same && text == *b"moon".as_slice() && text != *other.as_str());
    assert!("moon" == text && same == text && other != text && *other.as_str() != text);
    Ok(())
}

#[test]
fn containers_become_tables() -> Result<()> {
    let lua = Lua::new();
    let globals = lua.globals();
    globals.set("list", vec![Some(1), None, Some(3)])?;
    globals.set("names", BTreeMap::from([("a", 1), ("b", 2)]))?;
    globals.set("set", BTreeSet::from(["x"]))?;
    globals.set("rows", vec![vec![1, 2], vec![3]])?;
    lua.load("assert(list[1] == 1 and list[2] == nil and list[3] == 3)").exec()?;
    lua.load("assert(names.a + names.b == 3 and set.x == true and #rows == 2 and rows[1][2] == 2)").exec()?;
    assert_eq!(globals.get::<Vec<Vec<i64>>>("rows")?, [vec![1, 2], vec![3]]);
    assert_eq!(globals.get::<HashMap<String, i64>>("names")?.len(), 2);
    assert_eq!(globals.get::<BTreeMap<String, i64>>("names")?["b"], 2);
    assert_eq!(globals.get::<BTreeSet<String>>("set")?, BTreeSet::from(["x".to_owned()]));
    assert_eq!(lua.load("{1, 2, 3}").eval::<[i64; 3]>()?, [1, 2, 3]);
    assert!(lua.load("{1, 2}").eval::<[i64; 3]>().is_err());
    assert!(lua.load("{1, 'x'}").eval::<Vec<i64>>().is_err());
    Ok(())
}

#[test]
fn lists_are_as_long_as_they_are_wanted() -> Result<()> {
    let lua = Lua::new();
    let f = lua.load("return 1, 2, 3").into_function()?;
    assert_eq!(f.call::<i64>(())?, 1);
    assert_eq!(f.call::<(i64, i64)>(())?, (1, 2));
    assert_eq!(f.call::<(i64, i64, i64, Option<i64>)>(())?, (1, 2, 3, None));
    let (first, rest): (i64, Variadic<i64>) = f.call(())?;
    assert_eq!((first, rest.0), (1, vec![2, 3]));
    assert_eq!(f.call::<MultiValue>(())?.len(), 3);
    f.call::<()>(())?;
    let none = lua.load("return").into_function()?;
    assert_eq!(none.call::<Value>(())?, Nil);
    assert_eq!(none.call::<MultiValue>(())?.len(), 0);
    let count = lua.load("return select('#', ...)").into_function()?;
    assert_eq!(count.call::<i64>((1, Nil, Variadic(vec![1, 2])))?, 4);
    let many: Variadic<i64> = (0..5000).collect();
    assert_eq!(count.call::<i64>(many)?, 5000);
    Ok(())
}

#[test]
fn values_tell_what_they_are() -> Result<()> {
    let lua = Lua::new();
    let all: MultiValue = lua.load("nil, true, 1, 1.5, 's', {}, print, coroutine.create(print)").eval()?;
    let names: Vec<_> = all.iter().map(Value::type_name).collect();
    assert_eq!(names, ["nil", "boolean", "integer", "number", "string", "table", "function", "thread"]);
    let kinds: [fn(&Value) -> bool; 8] = [
        Value::is_nil,
        Value::is_boolean,
        Value::is_integer,
        Value::is_number,
        Value::is_string,
        Value::is_table,
        Value::is_function,
        Value::is_thread,
    ];
    for (n, value) in all.iter().enumerate() {
        let told: Vec<usize> = (0..kinds.len()).filter(|kind| kinds[*kind](value)).collect();
        assert_eq!(told, [n], "{}", value.type_name());
    }
    assert!(lua.pack(LightUserData(7))?.is_light_userdata() && lua.pack(Error::runtime("no"))?.is_error());
    assert_eq!(all[2].as_f64(), Some(1.0));
    assert_eq!(all[4].as_str(), Some("s"));
    assert!(all[5].as_table().is_some() && all[6].as_function().is_some() && all[7].as_thread().is_some());
    assert_eq!(all[3].to_string()?, "1.5");
    assert!(all[5].to_string()?.starts_with("table: 0x"));
    assert_eq!(lua.unpack::<LightUserData>(lua.pack(LightUserData(7))?)?, LightUserData(7));
    Ok(())
}

#[test]
fn equality_is_raw_and_equals_is_not() -> Result<()> {
    let lua = Lua::new();
    let (a, b): (Value, Value) = lua
        .load("local m = {__eq = function() return true end}; return setmetatable({}, m), setmetatable({}, m)")
        .eval()?;
    assert_ne!(a, b);
    assert!(a.equals(&b)?);
    assert_eq!(a, a.clone());
    assert_eq!(Value::Integer(1), Value::Number(1.0));
    assert_ne!(Value::Integer(i64::MAX), Value::Number(i64::MAX as f64));
    Ok(())
}

#[test]
fn results_of_rust_may_be_results_for_lua() -> Result<()> {
    let lua = Lua::new();
    let parse = lua.create_function(|_, text: String| Ok(text.parse::<i64>().map_err(|e| e.to_string())))?;
    assert_eq!(parse.call::<i64>("12")?, 12);
    let (value, message): (Option<i64>, String) = parse.call("x")?;
    assert_eq!((value, message.as_str()), (None, "invalid digit found in string"));
    Ok(())
}

#[test]
fn coercions_say_no_without_an_error() -> Result<()> {
    let lua = Lua::new();
    assert_eq!(lua.coerce_integer(Value::Number(3.0))?, Some(3));
    assert_eq!(lua.coerce_integer(Value::Number(3.5))?, None);
    assert_eq!(lua.coerce_number(lua.pack("0x1p4")?)?, Some(16.0));
    assert_eq!(lua.coerce_string(Value::Integer(3))?.unwrap(), "3");
    assert!(lua.coerce_string(Value::Boolean(true))?.is_none());
    Ok(())
}

#[test]
fn numbers_become_integers_only_where_they_are_some() -> Result<()> {
    for version in [LuaVersion::Lua51, LuaVersion::Lua52, LuaVersion::Lua53, LuaVersion::Lua54] {
        let lua = Lua::builder().version(version).build()?;
        for none in ["0/0", "1/0", "-1/0", "2^63", "1e300", "1.5", "'1.5'"] {
            assert!(lua.load(none).eval::<i64>().is_err(), "{version:?} {none}");
            assert_eq!(lua.load(none).eval::<Value>()?.as_integer(), None, "{version:?} {none}");
        }
        for (text, n) in [("-2^63", i64::MIN), ("2^53", 1 << 53), ("-0.0", 0), ("'10'", 10), ("10", 10)] {
            assert_eq!(lua.load(text).eval::<i64>()?, n, "{version:?} {text}");
        }
        let host = lua.create_function(|_, n: i64| Ok(n))?;
        assert!(lua.load("return (pcall(..., 1/0))").call::<bool>(host).is_ok_and(|ok| !ok), "{version:?}");
        assert_eq!(lua.load("10").eval::<Value>()?.as_i32(), Some(10));
        let t: Table = lua.load("{7, 8}").eval()?;
        for pair in t.pairs::<Value, Value>() {
            let (key, value) = pair?;
            assert_eq!(key.type_name(), value.type_name(), "{version:?}");
        }
        assert_eq!(t.pairs::<i64, i64>().collect::<Result<Vec<_>>>()?, [(1, 7), (2, 8)]);
    }
    Ok(())
}
