//! A function that is not of a scope cannot borrow.

fn main() -> perilune::Result<()> {
    let lua = perilune::Lua::new();
    let text = String::from("borrowed");
    lua.create_function(|_, ()| Ok(text.len()))?;
    Ok(())
}
