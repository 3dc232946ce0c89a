//! Serde both ways.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;

use perilune::prelude::*;
use perilune::{Result, serde::NULL};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Craft {
    name: String,
    mass: f64,
    stages: Vec<Stage>,
    crew: Option<u8>,
    origin: (i32, i32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stage {
    Ballast,
    Solid(u32),
    Burn(f64, f64),
    Liquid { fuel: String, litres: u64 },
}

fn craft() -> Craft {
    Craft {
        name: "Luna".to_owned(),
        mass: 390.5,
        stages: vec![
            Stage::Ballast,
            Stage::Solid(7),
            Stage::Burn(1.5, -0.5),
            Stage::Liquid { fuel: "kerosene".to_owned(), litres: 40_000 },
        ],
        crew: None,
        origin: (-3, 4),
    }
}

#[test]
fn values_come_back_as_they_went() -> Result<()> {
    let lua = Lua::new();
    let value = lua.to_value(&craft())?;
    assert_eq!(lua.from_value::<Craft>(value)?, craft());
    let map = BTreeMap::from([(3, Some('x')), (9, None)]);
    assert_eq!(lua.from_value::<BTreeMap<i64, Option<char>>>(lua.to_value(&map)?)?, BTreeMap::from([(3, Some('x'))]));
    Ok(())
}

#[test]
fn scripts_see_plain_tables() -> Result<()> {
    let lua = Lua::new();
    lua.globals().set("craft", lua.to_value(&craft())?)?;
    let code = "return craft.name, craft.stages[1], craft.stages[2].Solid, craft.stages[3].Burn[2],
        craft.stages[4].Liquid.litres, craft.crew, #craft.origin";
    let seen: (String, String, u32, f64, u64, Option<u8>, usize) = lua.load(code).eval()?;
    assert_eq!(seen, ("Luna".to_owned(), "Ballast".to_owned(), 7, -0.5, 40_000, None, 2));
    Ok(())
}

#[test]
fn scripts_make_values() -> Result<()> {
    let lua = Lua::new();
    let code = "return { name = 'Eagle', mass = 12, crew = 2, origin = { 1, 2 }, extra = print and true,
        stages = { 'Ballast', { Solid = 1 }, { Liquid = { fuel = 'LH2', litres = 5 } } } }";
    let eagle: Craft = lua.from_value(lua.load(code).eval()?)?;
    assert_eq!((eagle.name.as_str(), eagle.mass, eagle.crew), ("Eagle", 12.0, Some(2)));
    assert_eq!(eagle.stages[2], Stage::Liquid { fuel: "LH2".to_owned(), litres: 5 });
    for wrong in ["{ name = 1 }", "{}", "3", "{ name = 'x', mass = 1, origin = { 1, 2, 3 }, stages = {} }"] {
        assert!(lua.from_value::<Craft>(lua.load(format!("return {wrong}")).eval()?).is_err(), "{wrong}");
    }
    Ok(())
}

#[test]
fn absent_elements_leave_no_hole() -> Result<()> {
    let lua = Lua::new();
    let list = [Some(1), None, Some(3)];
    let value = lua.to_value(&list)?;
    let table = value.as_table().expect("a sequence is a table");
    assert_eq!((table.raw_len(), table.raw_get::<Value>(2)?), (3, NULL));
    assert_eq!(lua.from_value::<Vec<Option<i32>>>(value)?, list);
    Ok(())
}

#[test]
fn lua_values_are_serializable() -> Result<()> {
    let lua = Lua::new();
    let value: Value = lua.load("return { list = { 1, 2.5, 'x' }, empty = {}, flag = false }").eval()?;
    let json = serde_json::to_value(&value).expect("all of it has a counterpart");
    assert_eq!(json, serde_json::json!({ "list": [1, 2.5, "x"], "empty": {}, "flag": false }));
    let looped: Value = lua.load("local t = {} t.t = t return t").eval()?;
    assert!(serde_json::to_value(&looped).is_err());
    assert!(lua.from_value::<serde_json::Value>(looped).is_err());
    assert!(serde_json::to_value(lua.load("return print").eval::<Value>()?).is_err());
    Ok(())
}

#[test]
fn integers_are_read_in_languages_without_them() -> Result<()> {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Order {
        count: i32,
        price: f64,
    }
    let lua = Lua::builder().version(perilune::LuaVersion::Lua51).build()?;
    let order = lua.load("{count = 3, price = 2}").eval::<Value>()?;
    assert_eq!(lua.from_value::<Order>(order)?, Order { count: 3, price: 2.0 });
    assert!(lua.from_value::<i32>(lua.load("1.5").eval::<Value>()?).is_err());
    Ok(())
}
