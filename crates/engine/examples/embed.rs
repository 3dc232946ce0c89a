//! A host that gives scripts a type, functions and limits.

use perilune::prelude::*;
use perilune::{Libraries, Limits, Result};

/// What the scripts steer.
struct Lander {
    height: f64,
    speed: f64,
    fuel: f64,
}

impl UserData for Lander {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("height", |_, this| Ok(this.height));
        fields.add_field_method_get("speed", |_, this| Ok(this.speed));
        fields.add_field_method_get("fuel", |_, this| Ok(this.fuel));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("burn", |_, this, amount: f64| {
            if amount > this.fuel {
                return Err(Error::runtime(format!("only {} units of fuel left", this.fuel)));
            }
            this.fuel -= amount;
            this.speed -= amount;
            Ok(())
        });
    }
}

fn main() -> Result<()> {
    let lua = Lua::builder()
        .libraries(Libraries::BASE.union(Libraries::MATH))
        .limits(Limits::new().with_instructions(1_000_000).with_memory(4 << 20))
        .build()?;

    let autopilot: Function = lua
        .load(
            "return function(lander)
                 -- Brake harder the nearer the ground is.
                 local wanted = math.max(1, lander.height / 10)
                 if lander.speed > wanted then
                     lander:burn(math.min(lander.speed - wanted, 5))
                 end
             end",
        )
        .set_name("=autopilot")
        .eval()?;

    let lander = lua.create_userdata(Lander { height: 200.0, speed: 10.0, fuel: 60.0 })?;
    let mut seconds = 0;
    while lander.borrow::<Lander>()?.height > 0.0 {
        autopilot.call::<()>(&lander)?;
        let mut state = lander.borrow_mut::<Lander>()?;
        state.speed += 1.62;
        state.height -= state.speed;
        seconds += 1;
    }
    let state = lander.borrow::<Lander>()?;
    println!("down after {seconds} s at {:.1} m/s, {:.1} units of fuel left", state.speed, state.fuel);
    drop(state);

    // Errors say where they are from, and endless loops end.
    lua.globals().set("lander", &lander)?;
    println!("{}", lua.load("lander:burn(1000)").set_name("=console").exec().unwrap_err());
    println!("{}", lua.load("while true do end").exec().unwrap_err());
    Ok(())
}
