//! A function of a scope cannot borrow what goes away before the scope ends.

fn main() -> perilune::Result<()> {
    let lua = perilune::Lua::new();
    lua.scope(|scope| {
        let local = String::from("short-lived");
        let f = scope.create_function(|_, ()| Ok(local.len()))?;
        f.call::<()>(())
    })
}
