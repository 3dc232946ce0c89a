//! Userdata in the hands of a host, whatever its type.

use std::fmt;

use super::{UserCell, UserDataRef, UserDataRefMut};
use crate::error::{Error, Result};
use crate::function;
use crate::raw::{Handle, Raw};
use crate::stack::{Frame, Slot};
use crate::table::Table;
use crate::value::Value;
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

/// A userdata: a value of Rust in Lua, of whatever type.
///
/// ```
/// use perilune::{AnyUserData, Lua, UserData};
///
/// struct Tank { litres: f64 }
/// impl UserData for Tank {}
///
/// let lua = Lua::new();
/// let tank: AnyUserData = lua.create_userdata(Tank { litres: 40.0 })?;
/// tank.borrow_mut::<Tank>()?.litres -= 0.5;
/// assert_eq!(tank.borrow::<Tank>()?.litres, 39.5);
/// assert_eq!(tank.take::<Tank>()?.litres, 39.5);
/// assert!(tank.borrow::<Tank>().is_err());
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AnyUserData(pub(crate) Handle);

impl AnyUserData {
    /// Whether the value is (or was, before it was taken) a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.0.cell::<T>().is_some()
    }

    /// Borrows the value. One that a [`Scope`](crate::Scope) lends is [`Error::UserDataLent`]; see
    /// [`AnyUserData::borrow_scoped`].
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowError`] if it is borrowed exclusively, [`Error::UserDataLent`] if a
    /// scope lends it.
    pub fn borrow<T: 'static>(&self) -> Result<UserDataRef<T>> {
        UserDataRef::new(self.clone())
    }

    /// Borrows the value exclusively.
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowMutError`] if it is borrowed, [`Error::UserDataLent`] if a scope
    /// lends it.
    pub fn borrow_mut<T: 'static>(&self) -> Result<UserDataRefMut<T>> {
        UserDataRefMut::new(self.clone())
    }

    /// Calls a function with the value, be it the userdata's own or lent by a [`Scope`](crate::Scope).
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowError`] if it is borrowed exclusively.
    pub fn borrow_scoped<T: 'static, R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        Ok(f(&*self.cell::<T>()?.borrow()?))
    }

    /// Calls a function with the value, which it may change.
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowMutError`] if it is borrowed or a scope lends it to be read only.
    pub fn borrow_mut_scoped<T: 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(f(&mut *self.cell::<T>()?.borrow_mut()?))
    }

    /// Takes the value out. Scripts that use the userdata later get [`Error::UserDataDestructed`].
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowMutError`] if it is borrowed or a scope lends it.
    pub fn take<T: 'static>(&self) -> Result<T> {
        self.cell::<T>()?.take()
    }

    /// Drops the value, which is a `T`.
    ///
    /// # Errors
    /// [`Error::UserDataTypeMismatch`] if the value is no `T`, [`Error::UserDataDestructed`] if it was taken out or
    /// its scope has ended, [`Error::UserDataBorrowMutError`] if it is borrowed or a scope lends it.
    pub fn destroy<T: 'static>(&self) -> Result<()> {
        self.take::<T>().map(drop)
    }

    fn cell<T: 'static>(&self) -> Result<&UserCell<T>> {
        self.0.cell::<T>().ok_or(Error::UserDataTypeMismatch)
    }

    /// What a script gets for `userdata[key]`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key cannot be converted. What
    /// `__index` ends with, as in [`Function::call`](crate::Function::call); [`Error::RuntimeError`] if there is none.
    /// [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if the value cannot be converted.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let key = frame.push_key(key)?;
        let u = self.0.raw();
        let raw = lua.protect(|vm| vm.index(u, key))?;
        V::from_slot(Slot { lua, raw })
    }

    /// What a script does with `userdata[key] = value`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key or the value cannot be
    /// converted. What `__newindex` ends with, as in [`Function::call`](crate::Function::call);
    /// [`Error::RuntimeError`] if there is none, or no such field. [`Error::MemoryError`] at the limit of memory; if
    /// the collector runs, what [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let (key, value) = frame.push_pair(key, value)?;
        let u = self.0.raw();
        lua.protect(|vm| vm.set_index(u, key, value))
    }

    /// Calls a method, as a script does with `userdata:name(...)`.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if what is under the name cannot be called; else as [`AnyUserData::get`] and
    /// [`Function::call`](crate::Function::call).
    pub fn call_method<R: FromLuaMulti>(&self, name: &str, args: impl IntoLuaMulti) -> Result<R> {
        let method: Value = self.get(name)?;
        function::call_method(self.0.lua(), &method, self.0.raw(), args)
    }

    /// The `n`-th user value, from 1; see [`Lua::create_userdata_with_user_values`](crate::Lua::create_userdata_with_user_values).
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if it cannot be converted. One
    /// that does not exist is `nil`.
    pub fn nth_user_value<V: FromLua>(&self, n: usize) -> Result<V> {
        let lua = self.0.lua();
        let u = self.0.raw().as_userdata().ok_or(Error::UserDataTypeMismatch)?;
        let raw = u32::try_from(n).ok().and_then(|n| u.user_value(n)).unwrap_or(Raw::NIL);
        V::from_slot(Slot { lua, raw })
    }

    /// Sets the `n`-th user value, from 1.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if the userdata has no such user value. [`Error::ToLuaConversionError`], or what else
    /// [`IntoLua::into_lua`] gives, if the value cannot be converted.
    pub fn set_nth_user_value(&self, n: usize, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let value = frame.push(value)?;
        let u = self.0.raw().as_userdata().ok_or(Error::UserDataTypeMismatch)?;
        let stored = match u32::try_from(n) {
            Ok(n) => lua.inner.with(|vm| u.set_user_value(vm.heap_mut(), n, value)),
            Err(_) => false,
        };
        if stored { Ok(()) } else { Err(Error::runtime("the userdata has no such user value")) }
    }

    /// The metatable, which all values of the type share.
    pub fn metatable(&self) -> Option<UserDataMetatable> {
        let lua = self.0.lua();
        let metatable = self.0.raw().as_userdata()?.metatable()?;
        Some(UserDataMetatable(Table(Handle::new(lua, Raw::table(metatable)))))
    }

    /// The address, which tells userdata apart while they live.
    pub fn to_pointer(&self) -> usize {
        self.0.raw().payload as usize
    }
}

impl fmt::Debug for AnyUserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyUserData(0x{:x})", self.to_pointer())
    }
}

/// The metatable of a host type. Unlike a [`Table`], it does not let go of what the type relies on.
#[derive(Clone, Debug)]
pub struct UserDataMetatable(Table);

impl UserDataMetatable {
    /// A field.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] for `__gc`, `__metatable` and `__mode`. [`Error::FromLuaConversionError`], or
    /// what else [`FromLua::from_lua`] gives, if the value cannot be converted.
    ///
    /// ```
    /// use perilune::{Lua, MetaMethod, UserData, Value};
    ///
    /// struct Tank;
    /// impl UserData for Tank {}
    ///
    /// let tank = Lua::new().create_userdata(Tank)?;
    /// let metatable = tank.metatable().expect("it has one");
    /// assert_eq!(metatable.get::<Value>(MetaMethod::Add)?, Value::Nil);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn get<V: FromLua>(&self, key: impl AsRef<str>) -> Result<V> {
        self.0.raw_get(restricted(key.as_ref())?)
    }

    /// Sets a field.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] for `__gc`, `__metatable` and `__mode`. [`Error::ToLuaConversionError`], or
    /// what else [`IntoLua::into_lua`] gives, if the value cannot be converted. [`Error::MemoryError`] at the limit of
    /// memory; if the collector runs, what [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn set(&self, key: impl AsRef<str>, value: impl IntoLua) -> Result<()> {
        self.0.raw_set(restricted(key.as_ref())?, value)
    }

    /// Whether there is a field.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] for `__gc`, `__metatable` and `__mode`.
    pub fn contains(&self, key: impl AsRef<str>) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }
}

/// The name of a metamethod that hosts may set.
pub(super) fn restricted(name: &str) -> Result<&str> {
    match name {
        "__gc" | "__metatable" | "__mode" => Err(Error::MetaMethodRestricted(name.to_owned())),
        _ => Ok(name),
    }
}
