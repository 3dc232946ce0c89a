//! Nothing can be made by a scope that has ended.

fn main() -> perilune::Result<()> {
    let lua = perilune::Lua::new();
    let mut kept = None;
    lua.scope(|scope| {
        kept = Some(scope);
        Ok(())
    })
}
