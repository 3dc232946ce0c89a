//! A VM belongs to one thread, and so do its values.

fn main() {
    let lua = perilune::Lua::new();
    let globals = lua.globals();
    std::thread::spawn(move || drop(globals));
    std::thread::spawn(move || drop(lua));
}
