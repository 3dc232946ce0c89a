//! Values that the host keeps by a key.

use std::fmt;
use std::rc::Weak;

use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::{Inner, Raw, Shared};
use crate::stack::{Frame, Slot};
use crate::value::Value;
use crate::{FromLua, IntoLua};

/// The key of a value that the VM keeps alive for the host.
///
/// Unlike a handle of the value, a key does not keep the VM alive, so that a userdata or a Rust function may hold one.
/// Dropping it gives the value up.
///
/// ```
/// use perilune::{Function, Lua, RegistryKey};
///
/// let lua = Lua::new();
/// let handler: Function = lua.load("function(x) return x * 2 end").eval()?;
/// let key: RegistryKey = lua.create_registry_value(handler)?;
/// let call_handler = lua.create_function(move |lua, x: i64| {
///     let handler: Function = lua.registry_value(&key)?;
///     handler.call::<i64>(x)
/// })?;
/// assert_eq!(call_handler.call::<i64>(21)?, 42);
/// # Ok::<(), perilune::Error>(())
/// ```
pub struct RegistryKey {
    owner: Weak<Inner>,
    place: u32,
}

impl RegistryKey {
    /// The value, for use in a VM, which must be the key's.
    pub(crate) fn raw_in(&self, lua: &Lua) -> Result<Raw> {
        if lua.owns_registry_value(self) { Ok(lua.inner.pinned(self.place)) } else { Err(Error::MismatchedRegistryKey) }
    }
}

impl Drop for RegistryKey {
    fn drop(&mut self) {
        if let Some(inner) = Shared::upgrade(&self.owner) {
            inner.unpin(self.place);
        }
    }
}

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryKey({})", self.place)
    }
}

/// The registry.
impl Lua {
    /// Keeps a value, for the key that is returned.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if it cannot be converted.
    pub fn create_registry_value(&self, value: impl IntoLua) -> Result<RegistryKey> {
        let frame = Frame::new(self);
        let v = frame.push(value)?;
        Ok(RegistryKey { place: self.inner.pin(v), owner: self.inner.downgrade() })
    }

    /// The value that was kept.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`] if the key is of another VM. [`Error::FromLuaConversionError`], or what else
    /// [`FromLua::from_lua`] gives, if the value cannot be converted.
    pub fn registry_value<T: FromLua>(&self, key: &RegistryKey) -> Result<T> {
        T::from_slot(Slot { lua: self, raw: key.raw_in(self)? })
    }

    /// Keeps another value for a key.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`] if the key is of another VM. [`Error::ToLuaConversionError`], or what else
    /// [`IntoLua::into_lua`] gives, if the value cannot be converted; the key keeps what it has.
    pub fn replace_registry_value(&self, key: &mut RegistryKey, value: impl IntoLua) -> Result<()> {
        key.raw_in(self)?;
        *key = self.create_registry_value(value)?;
        Ok(())
    }

    /// Gives a value up. Dropping the key does the same.
    ///
    /// # Errors
    /// [`Error::MismatchedRegistryKey`] if the key is of another VM; it is dropped all the same.
    pub fn remove_registry_value(&self, key: RegistryKey) -> Result<()> {
        if self.owns_registry_value(&key) { Ok(()) } else { Err(Error::MismatchedRegistryKey) }
    }

    /// Whether a key is of this VM.
    pub fn owns_registry_value(&self, key: &RegistryKey) -> bool {
        std::ptr::eq(key.owner.as_ptr(), &raw const *self.inner)
    }

    /// Keeps a value under a name that all host code of this VM shares.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the value cannot be converted.
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn set_named_registry_value(&self, name: &str, value: impl IntoLua) -> Result<()> {
        let frame = Frame::new(self);
        let (name, v) = frame.push_pair(name, value)?;
        self.protect(|vm| {
            let registry = vm.registry();
            vm.raw_set(registry, name, v)
        })
    }

    /// The value under a name; `nil` if there is none.
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if the value cannot be converted.
    /// [`Error::MemoryError`] for a long name at the limit of memory; if the collector runs, what [`Lua::gc_collect`]
    /// gives.
    pub fn named_registry_value<T: FromLua>(&self, name: &str) -> Result<T> {
        let frame = Frame::new(self);
        let name = frame.push_key(name)?;
        let raw = self.inner.with(|vm| vm.registry().get(name));
        T::from_slot(Slot { lua: self, raw })
    }

    /// Gives up the value under a name.
    ///
    /// # Errors
    /// [`Error::MemoryError`] for a long name at the limit of memory; if the collector runs, what [`Lua::gc_collect`]
    /// gives.
    pub fn unset_named_registry_value(&self, name: &str) -> Result<()> {
        self.set_named_registry_value(name, Value::Nil)
    }
}
