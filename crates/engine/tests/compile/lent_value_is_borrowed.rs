//! While a scope has borrowed a value exclusively, nobody else uses it.

struct Tank(f64);
impl perilune::UserData for Tank {}

fn main() -> perilune::Result<()> {
    let lua = perilune::Lua::new();
    let mut tank = Tank(1.0);
    lua.scope(|scope| {
        scope.create_userdata_ref_mut(&mut tank)?;
        tank.0 = 2.0;
        Ok(())
    })
}
