//! Values of one VM in another, and the ends of VMs.

use perilune::Result;
use perilune::prelude::*;

#[test]
fn foreign_values_are_refused_everywhere() -> Result<()> {
    let (a, b) = (Lua::new(), Lua::new());
    let table = a.create_table()?;
    let function = a.load("return 1").into_function()?;
    let foreign = |r: Result<()>| assert!(matches!(r, Err(Error::ForeignValue)), "{r:?}");
    foreign(b.globals().set("t", &table));
    foreign(b.globals().set(&table, 1));
    foreign(b.globals().set("list", vec![table.clone()]));
    foreign(b.globals().get::<Value>(&table).map(drop));
    foreign(b.globals().raw_set(1, &function));
    foreign(b.globals().set_metatable(Some(table.clone())));
    foreign(b.globals().equals(&table).map(drop));
    foreign(b.load("return ...").call::<()>((1, &table)));
    foreign(b.load("x = 1").set_environment(table.clone()).exec());
    foreign(b.create_thread(function.clone()).map(drop));
    foreign(b.create_registry_value(&function).map(drop));
    foreign(b.set_type_metatable::<bool>(Some(table.clone())));
    foreign(b.pack(&table).map(drop));
    foreign(b.pack_multi((1, &table)).map(drop));
    foreign(b.unpack_multi::<MultiValue>(a.pack_multi((1, &table))?).map(drop));
    foreign(b.load("return 1").into_function()?.bind(&table).map(drop));
    let leak = b.create_function(move |_, ()| Ok(table.clone()))?;
    let error = leak.call::<Value>(()).unwrap_err();
    assert!(matches!(error.root_cause(), Error::ForeignValue));
    Ok(())
}

#[test]
fn plain_values_and_errors_go_anywhere() -> Result<()> {
    let (a, b) = (Lua::new(), Lua::new());
    let v: Value = a.load("1.5").eval()?;
    assert_eq!(b.load("return ...").call::<f64>(v)?, 1.5);
    a.globals().set("f", Function::wrap(|_, ()| -> Result<()> { Err(Error::runtime("from a")) }))?;
    let e: Value = a.load("select(2, pcall(f))").eval()?;
    assert_eq!(b.load("return tostring(...)").call::<String>(e)?, "from a");
    assert_eq!(a.create_string("x")?, b.create_string("x")?);
    Ok(())
}

#[test]
fn one_vm_may_run_inside_another() -> Result<()> {
    let (a, b) = (Lua::new(), Lua::new());
    let inner: Function = b.load("function(n) if n == 0 then error('deep') end return n * 2 end").eval()?;
    a.globals().set("inner", Function::wrap(move |_, n: i64| inner.call::<i64>(n)))?;
    assert_eq!(a.load("inner(4) + inner(5)").eval::<i64>()?, 18);
    assert!(a.load("inner(0)").exec().unwrap_err().to_string().contains("deep"));
    Ok(())
}

#[test]
fn handles_keep_their_vm() -> Result<()> {
    let f: Function = {
        let lua = Lua::new();
        lua.load("function(n) return n + 1 end").eval()?
    };
    assert_eq!(f.call::<i64>(1)?, 2);
    let text = Lua::new().create_string("alone")?;
    assert_eq!(text, "alone");
    Ok(())
}

#[test]
fn finalizers_run_at_the_end_and_may_call_rust() -> Result<()> {
    let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let lua = Lua::new();
    let weak = lua.weak();
    let seen = log.clone();
    lua.globals().set(
        "log",
        Function::wrap(move |lua: &Lua, text: String| {
            let sum: i64 = lua.load("1 + 1").eval()?;
            seen.borrow_mut().push(format!("{text} {sum}"));
            Ok(())
        }),
    )?;
    lua.load("local l = log; x = setmetatable({}, {__gc = function() l('end') end})").exec()?;
    drop(lua);
    assert_eq!(*log.borrow(), ["end 2"]);
    assert!(weak.upgrade().is_none());
    Ok(())
}

#[test]
fn values_of_another_vm_are_refused_by_conversions() -> Result<()> {
    let (lua, other) = (Lua::new(), Lua::new());
    let table = Value::Table(other.create_table()?);
    assert!(matches!(lua.pack(&table), Err(Error::ForeignValue)));
    assert!(matches!(lua.unpack::<Value>(table.clone()), Err(Error::ForeignValue)));
    let mut key = other.create_registry_value(1)?;
    assert!(matches!(lua.replace_registry_value(&mut key, 2), Err(Error::MismatchedRegistryKey)));
    assert_eq!(other.registry_value::<i64>(&key)?, 1);
    Ok(())
}
