//! Values of Rust in Lua.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use perilune::prelude::*;
use perilune::{Result, UserDataRef, UserDataRefMut};

struct Probe {
    fuel: i64,
    log: Vec<String>,
}

impl UserData for Probe {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field("KIND", "probe");
        fields.add_field_method_get("fuel", |_, this| Ok(this.fuel));
        fields.add_field_method_set("fuel", |_, this, fuel: i64| {
            this.fuel = fuel;
            Ok(())
        });
        fields.add_field_function_get("twice", |_, this| Ok(this.borrow::<Probe>()?.fuel * 2));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("remaining", |_, this, burn: i64| Ok(this.fuel - burn));
        methods.add_method_mut("note", |_, this, text: String| {
            this.log.push(text);
            Ok(this.log.len())
        });
        methods.add_method_mut("during", |_, _this, f: Function| f.call::<Value>(()));
        methods.add_method("while_reading", |_, _this, f: Function| f.call::<Value>(()));
        methods.add_function("new", |_, fuel: i64| Ok(Probe { fuel, log: Vec::new() }));
        methods.add_meta_method(MetaMethod::Call, |_, this, n: i64| Ok(this.fuel + n));
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(format!("Probe({})", this.fuel)));
        methods.add_meta_method(MetaMethod::Index, |_, _, key: String| Ok(format!("no {key}")));
        methods.add_meta_function(MetaMethod::Add, |_, (a, b): (Value, Value)| {
            let fuel = |v: &Value| match v {
                Value::UserData(u) => Ok(u.borrow::<Probe>()?.fuel),
                other => Ok(other.as_integer().unwrap_or(0)),
            };
            Ok::<i64, Error>(fuel(&a)? + fuel(&b)?)
        });
        methods.add_meta_function(MetaMethod::Eq, |_, (a, b): (UserDataRef<Probe>, UserDataRef<Probe>)| {
            Ok(a.fuel == b.fuel)
        });
    }
}

fn with_probe() -> Result<Lua> {
    let lua = Lua::new();
    lua.globals().set("p", Probe { fuel: 10, log: Vec::new() })?;
    Ok(lua)
}

#[test]
fn fields_methods_and_metamethods_work() -> Result<()> {
    let lua = with_probe()?;
    lua.load(
        "assert(p.fuel == 10 and p.KIND == 'probe' and p.twice == 20)
         p.fuel = 12
         assert(p:remaining(2) == 10)
         assert(p:note('a') == 1 and p:note('b') == 2)
         assert(p(1) == 13 and tostring(p) == 'Probe(12)')
         assert(p + 1 == 13 and 1 + p == 13 and p + p == 24)
         assert(p == p.new(12) and p ~= p.new(1))
         assert(p.wings == 'no wings')
         assert(type(p) == 'userdata' and getmetatable(p) == false)
         assert(not pcall(function() p.wings = 1 end))",
    )
    .exec()?;
    let p: AnyUserData = lua.globals().get("p")?;
    assert_eq!(p.borrow::<Probe>()?.log, ["a", "b"]);
    assert_eq!(p.get::<i64>("fuel")?, 12);
    p.set("fuel", 3)?;
    assert_eq!(p.call_method::<i64>("remaining", 1)?, 2);
    Ok(())
}

#[test]
fn types_are_checked() -> Result<()> {
    struct Other;
    impl UserData for Other {}
    let lua = with_probe()?;
    lua.globals().set("o", Other)?;
    for (call, cause) in [
        ("p.remaining(o, 1)", "bad argument 'self' to 'Probe.remaining': userdata of another type"),
        ("p.remaining()", "bad argument 'self' to 'Probe.remaining': userdata of another type"),
        ("p.remaining(3)", "bad argument 'self' to 'Probe.remaining': userdata of another type"),
        ("p:remaining('x')", "bad argument #2 to 'Probe.remaining': cannot convert Lua string to i64"),
    ] {
        let message: String =
            lua.load(format!("local ok, e = pcall(function() {call} end) return tostring(e)")).eval()?;
        assert_eq!(message, cause, "{call}");
    }
    let o: AnyUserData = lua.globals().get("o")?;
    assert!(o.is::<Other>() && !o.is::<Probe>());
    assert!(matches!(o.borrow::<Probe>(), Err(Error::UserDataTypeMismatch)));
    let any = lua.create_function(|_, p: UserDataRef<Probe>| Ok(p.fuel))?;
    assert!(any.call::<i64>(o).is_err() && any.call::<i64>(1).is_err());
    Ok(())
}

#[test]
fn conflicting_borrows_are_errors() -> Result<()> {
    let lua = with_probe()?;
    let fails = |code: &str| -> Result<String> {
        lua.load(format!("local ok, e = pcall(function() {code} end) assert(not ok) return tostring(e)")).eval()
    };
    assert_eq!(
        fails("p:during(function() return p.fuel end)")?.lines().next(),
        Some("bad argument 'self' to 'Probe.fuel': userdata is mutably borrowed")
    );
    assert_eq!(
        fails("p:while_reading(function() p.fuel = 1 end)")?.lines().next(),
        Some("bad argument 'self' to 'Probe.fuel': userdata is borrowed")
    );
    assert_eq!(lua.load("p:while_reading(function() return p.fuel end)").eval::<i64>()?, 10);

    let p: AnyUserData = lua.globals().get("p")?;
    let reading = p.borrow::<Probe>()?;
    assert!(matches!(p.borrow_mut::<Probe>(), Err(Error::UserDataBorrowMutError)));
    assert!(matches!(p.take::<Probe>(), Err(Error::UserDataBorrowMutError)));
    assert!(p.borrow::<Probe>().is_ok());
    drop(reading);
    let mut writing = p.borrow_mut::<Probe>()?;
    writing.fuel = 1;
    assert!(matches!(p.borrow::<Probe>(), Err(Error::UserDataBorrowError)));
    drop(writing);
    assert_eq!(p.borrow_scoped(|p: &Probe| p.fuel)?, 1);
    p.borrow_mut_scoped(|p: &mut Probe| p.fuel = 2)?;

    let both = lua.create_function(|_, (a, b): (UserDataRefMut<Probe>, UserDataRef<Probe>)| Ok(a.fuel + b.fuel))?;
    assert!(both.call::<i64>((&p, &p)).is_err());
    Ok(())
}

#[test]
fn a_taken_value_is_gone() -> Result<()> {
    let lua = with_probe()?;
    let p: AnyUserData = lua.globals().get("p")?;
    assert_eq!(p.take::<Probe>()?.fuel, 10);
    assert!(p.is::<Probe>());
    assert!(matches!(p.take::<Probe>(), Err(Error::UserDataDestructed)));
    let error = lua.load("p.fuel").eval::<Value>().unwrap_err();
    assert!(matches!(error.root_cause(), Error::UserDataDestructed), "{error}");
    Ok(())
}

#[test]
fn a_borrow_keeps_the_value_alive() -> Result<()> {
    let lua = with_probe()?;
    let p: AnyUserData = lua.globals().get("p")?;
    let borrowed = p.borrow::<Probe>()?;
    lua.globals().set("p", Value::Nil)?;
    drop((p, lua.clone()));
    lua.gc_collect()?;
    lua.gc_collect()?;
    assert_eq!(borrowed.fuel, 10);
    drop(lua);
    assert_eq!(borrowed.fuel, 10);
    Ok(())
}

struct Tell(Rc<Cell<u32>>);
impl UserData for Tell {}
impl Drop for Tell {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn values_are_dropped_once() -> Result<()> {
    let count = Rc::new(Cell::new(0));
    let lua = Lua::new();
    drop(lua.create_userdata(Tell(count.clone()))?);
    lua.gc_collect()?;
    assert_eq!(count.get(), 1);
    let u = lua.create_userdata(Tell(count.clone()))?;
    drop(u.take::<Tell>()?);
    assert_eq!(count.get(), 2);
    drop(u);
    lua.gc_collect()?;
    assert_eq!(count.get(), 2);
    lua.globals().set("t", Tell(count.clone()))?;
    drop(lua);
    assert_eq!(count.get(), 3);
    Ok(())
}

#[test]
fn destructors_may_drop_handles_and_find_the_vm_busy() -> Result<()> {
    struct Holder(#[expect(dead_code, reason = "dropped")] Table, perilune::WeakLua, Rc<RefCell<Option<bool>>>);
    impl UserData for Holder {}
    impl Drop for Holder {
        fn drop(&mut self) {
            *self.2.borrow_mut() = Some(self.1.upgrade().is_some());
        }
    }
    let lua = Lua::new();
    let found = Rc::new(RefCell::new(None));
    let t = lua.create_table_from([("x", 1)])?;
    drop(lua.create_userdata(Holder(t, lua.weak(), found.clone()))?);
    lua.gc_collect()?;
    assert_eq!(*found.borrow(), Some(false));
    for _ in 0..10 {
        lua.create_table()?;
    }
    lua.gc_collect()?;
    Ok(())
}

#[test]
fn constants_of_a_type_may_be_of_the_type() -> Result<()> {
    #[derive(Clone)]
    struct Angle(f64);
    impl UserData for Angle {
        fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
            fields.add_field("RIGHT", Angle(90.0));
            fields.add_field_method_get("degrees", |_, this| Ok(this.0));
        }
    }
    let lua = Lua::new();
    lua.globals().set("a", Angle(1.0))?;
    assert_eq!(lua.load("a.RIGHT.degrees + a.degrees").eval::<f64>()?, 91.0);
    Ok(())
}

#[test]
fn user_values_belong_to_their_userdata() -> Result<()> {
    let lua = Lua::new();
    let u = lua.create_userdata_with_user_values(Probe { fuel: 0, log: vec![] }, 2)?;
    u.set_nth_user_value(2, "kept")?;
    lua.gc_collect()?;
    assert_eq!(u.nth_user_value::<String>(2)?, "kept");
    assert_eq!(u.nth_user_value::<Value>(3)?, Value::Nil);
    assert!(u.set_nth_user_value(3, 1).is_err());
    Ok(())
}

#[test]
fn metatables_are_restricted() -> Result<()> {
    struct Bad;
    impl UserData for Bad {
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_meta_function("__gc", |_, ()| Ok(()));
        }
    }
    let lua = with_probe()?;
    assert!(matches!(lua.create_userdata(Bad), Err(Error::MetaMethodRestricted(_))));
    let p: AnyUserData = lua.globals().get("p")?;
    let meta = p.metatable().unwrap();
    assert!(meta.contains("__call")? && meta.set("__gc", 1).is_err());
    meta.set("__len", lua.create_function(|_, p: UserDataRef<Probe>| Ok(p.fuel))?)?;
    assert_eq!(lua.load("#p").eval::<i64>()?, 10);
    Ok(())
}

#[test]
fn methods_may_take_the_value_out() -> Result<()> {
    struct Letter(String);
    impl UserData for Letter {
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_method_once("open", |_, this, ()| Ok(this.0));
            methods.add_method("open_while_borrowed", |lua, _, own: AnyUserData| {
                lua.load("local l = ... return l:open()").call::<String>(own)
            });
        }
    }
    let lua = Lua::new();
    let letter = lua.create_userdata(Letter("dear Moon".into()))?;
    let early = letter.call_method::<String>("open_while_borrowed", &letter).unwrap_err();
    assert!(matches!(early.root_cause(), Error::UserDataBorrowMutError), "{early:?}");
    assert_eq!(letter.call_method::<String>("open", ())?, "dear Moon");
    let late = letter.call_method::<String>("open", ()).unwrap_err();
    assert!(matches!(late.root_cause(), Error::UserDataDestructed), "{late:?}");
    Ok(())
}

#[test]
fn proxies_have_what_needs_no_value() -> Result<()> {
    struct Dish(f64);
    impl UserData for Dish {
        fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
            fields.add_field("unit", "m");
            fields.add_field_method_get("size", |_, this| Ok(this.0));
        }
        fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
            methods.add_function("new", |lua, size: f64| lua.create_userdata(Dish(size)));
            methods.add_method("double", |_, this, ()| Ok(this.0 * 2.0));
        }
    }
    let lua = Lua::new();
    lua.globals().set("Dish", lua.create_proxy::<Dish>()?)?;
    lua.load(
        "local d = Dish.new(3)
         assert(Dish.unit == 'm' and Dish.size == nil and d.size == 3)
         assert(d:double() == 6 and Dish.double(d) == 6)
         assert(not pcall(Dish.double, Dish))",
    )
    .exec()
}
