//! Modules for `require` that come from the host.

use perilune_stdlib::package;
use perilune_vm::Vm;

use crate::IntoLua;
use crate::error::Result;
use crate::function::Function;
use crate::lua::Lua;
use crate::raw::Raw;
use crate::stack::Frame;
use crate::value::Value;

/// Modules.
impl Lua {
    /// Makes a value what `require(name)` returns.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`](crate::Error::ToLuaConversionError), or what else [`IntoLua::into_lua`] gives,
    /// if the value cannot be converted. [`Error::MemoryError`](crate::Error::MemoryError) at the limit of memory; if
    /// the collector runs, what [`Lua::gc_collect`] gives.
    ///
    /// ```
    /// let lua = perilune::Lua::new();
    /// lua.register_module("moon", lua.create_table_from([("gravity", 1.62)])?)?;
    /// assert_eq!(lua.load("require('moon').gravity").eval::<f64>()?, 1.62);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn register_module(&self, name: &str, module: impl IntoLua) -> Result<()> {
        self.set_module(package::loaded, name, module)
    }

    /// Makes a function what `require(name)` calls, the first time, to get the module. It is called with the name. Modules
    /// in memory are functions of their text:
    ///
    /// ```
    /// let lua = perilune::Lua::new();
    /// let source = "local name = ... return {hello = function() return 'Hello from ' .. name end}";
    /// lua.preload_module("moon", lua.load(source).set_name("=moon").into_function()?)?;
    /// assert_eq!(lua.load("require('moon').hello()").eval::<String>()?, "Hello from moon");
    /// # Ok::<(), perilune::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::ForeignValue`](crate::Error::ForeignValue) if the function is of another VM.
    /// [`Error::MemoryError`](crate::Error::MemoryError) at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`] gives.
    pub fn preload_module(&self, name: &str, loader: Function) -> Result<()> {
        self.set_module(package::preload, name, loader)
    }

    /// Lets the next `require(name)` look for the module again.
    ///
    /// # Errors
    /// [`Error::MemoryError`](crate::Error::MemoryError) at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`] gives.
    pub fn unload_module(&self, name: &str) -> Result<()> {
        self.set_module(package::loaded, name, Value::Nil)
    }

    fn set_module(
        &self,
        table: fn(&mut Vm) -> perilune_runtime::object::TableRef,
        name: &str,
        value: impl IntoLua,
    ) -> Result<()> {
        let frame = Frame::new(self);
        frame.push(name)?;
        let value = frame.push(value)?;
        let name: Raw = frame.get(0);
        self.protect(|vm| {
            let table = table(vm);
            vm.raw_set(table, name, value)
        })
    }
}
