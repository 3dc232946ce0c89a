//! A host with plugins: modules in memory, a type with a constructor, an environment for each plugin, and a watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perilune::prelude::*;
use perilune::{Libraries, Result};

/// A place on a map, which plugins make and compare.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    x: f64,
    y: f64,
}

impl UserData for Place {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("x", |_, this| Ok(this.x));
        fields.add_field_method_get("y", |_, this| Ok(this.y));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_function("new", |lua, (x, y): (f64, f64)| lua.create_userdata(Place { x, y }));
        methods.add_method("distance", |_, this, to: AnyUserData| {
            let to = to.borrow::<Place>()?;
            Ok((this.x - to.x).hypot(this.y - to.y))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(format!("({}, {})", this.x, this.y)));
    }
}

/// What all plugins may require.
const LIBRARY: &str = "local M = {}
function M.nearest(from, places)
    table.sort(places, function(a, b) return from:distance(a) < from:distance(b) end)
    return places[1]
end
return M";

/// Plugins by their names. Each returns a table of handlers, and all have globals of their own.
const PLUGINS: [(&str, &str); 3] = [
    (
        "rover",
        "local routes = require 'routes'
         visits = 0
         local home = Place.new(0, 0)
         return {on_tick = function(self, places) visits = visits + 1 return tostring(routes.nearest(home, places)) end}",
    ),
    ("silent", "assert(visits == nil, 'globals of another plugin') return {}"),
    ("greedy", "return {on_tick = function() while true do end end}"),
];

/// A table for a plugin's globals, behind which those of the VM can be read.
fn environment(lua: &Lua) -> Result<Table> {
    let own = lua.create_table()?;
    own.set_metatable(Some(lua.create_table_from([("__index", lua.globals())])?))?;
    Ok(own)
}

fn main() -> Result<()> {
    let safe = Libraries::BASE | Libraries::TABLE | Libraries::MATH | Libraries::STRING | Libraries::PACKAGE;
    let lua = Lua::builder().libraries(safe).build()?;
    lua.globals().set("Place", lua.create_proxy::<Place>()?)?;
    lua.preload_module("routes", lua.load(LIBRARY).set_name("=routes").into_function()?)?;

    let stop = Arc::new(AtomicBool::new(false));
    lua.set_interrupt(stop.clone());

    for (name, source) in PLUGINS {
        let chunk = lua.load(source).set_name(format!("={name}")).set_environment(environment(&lua)?);
        let plugin: Table = chunk.eval()?;
        if !plugin.contains_key("on_tick")? {
            println!("{name}: has nothing to do");
            continue;
        }
        let places = [Place { x: 5.0, y: 1.0 }, Place { x: 1.0, y: 2.0 }];
        let places = places.into_iter().map(|place| lua.create_userdata(place)).collect::<Result<Vec<_>>>()?;
        // One watchdog for each call. Where a plugin must not get away with `pcall`, `Limits` have a time.
        let (stop, (end, ended)) = (stop.clone(), std::sync::mpsc::channel::<()>());
        let watchdog = std::thread::spawn(move || {
            if ended
                .recv_timeout(Duration::from_millis(100))
                .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let result = plugin.call_method::<String>("on_tick", places);
        drop(end);
        watchdog.join().expect("it does not panic");
        match result {
            Ok(place) => println!("{name}: drives to {place}"),
            Err(error) => println!("{name}: {}", error.to_string().lines().next().unwrap_or_default()),
        }
    }
    Ok(())
}
