//! Any value, handles of values, userdata, errors and registry keys.

use perilune_runtime::value::Tag;

use super::strings::string_of;
use super::{FromLua, IntoLua, from_lua_by_stack, into_lua_by_stack};
use crate::error::{Error, Result, is_error};
use crate::function::Function;
use crate::lua::Lua;
use crate::raw::Handle;
use crate::registry::RegistryKey;
use crate::stack::{Frame, Slot, Stack};
use crate::string::LuaString;
use crate::table::Table;
use crate::thread::Thread;
use crate::userdata::{AnyUserData, UserData, UserDataRef, UserDataRefMut};
use crate::value::Value;

impl IntoLua for Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self)
    }

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        self.push_ref(stack)
    }
}

impl IntoLua for &Value {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(self.clone())
    }

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        self.push_ref(stack)
    }
}

impl FromLua for Value {
    fn from_lua(value: Value, _: &Lua) -> Result<Value> {
        Ok(value)
    }

    fn from_slot(slot: Slot<'_>) -> Result<Value> {
        Ok(slot.to_value())
    }
}

// Handles.

macro_rules! handles {
    ($($name:ident $variant:ident: $($tag:ident)|+;)*) => {$(
        impl From<$name> for Value {
            fn from(v: $name) -> Value {
                Value::$variant(v)
            }
        }

        impl IntoLua for $name {
            fn into_lua(self, lua: &Lua) -> Result<Value> {
                self.0.raw_in(lua)?;
                Ok(Value::$variant(self))
            }

            #[inline]
            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                stack.push_handle(&self.0)
            }
        }

        impl IntoLua for &$name {
            fn into_lua(self, lua: &Lua) -> Result<Value> {
                self.clone().into_lua(lua)
            }

            #[inline]
            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                stack.push_handle(&self.0)
            }
        }

        impl FromLua for $name {
            from_lua_by_stack!();

            #[inline]
            fn from_slot(slot: Slot<'_>) -> Result<$name> {
                match slot.raw.tag {
                    $(Tag::$tag)|+ => Ok($name(slot.to_handle())),
                    _ => Err(slot.mismatch(stringify!($name))),
                }
            }
        }
    )*};
}
handles! {
    Table Table: Table;
    Function Function: LuaFn | NativeFn;
    Thread Thread: Thread;
}

impl From<LuaString> for Value {
    fn from(v: LuaString) -> Value {
        Value::String(v)
    }
}

impl IntoLua for LuaString {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.0.raw_in(lua)?;
        Ok(Value::String(self))
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_handle(&self.0)
    }
}

impl IntoLua for &LuaString {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.clone().into_lua(lua)
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_handle(&self.0)
    }
}

/// Numbers become strings.
impl FromLua for LuaString {
    from_lua_by_stack!();

    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<LuaString> {
        match string_of(&slot)? {
            Some(s) => Ok(LuaString(Handle::new(slot.lua, s))),
            None => Err(slot.mismatch("string")),
        }
    }
}

impl From<AnyUserData> for Value {
    fn from(v: AnyUserData) -> Value {
        Value::UserData(v)
    }
}

impl IntoLua for AnyUserData {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.0.raw_in(lua)?;
        Ok(Value::UserData(self))
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_handle(&self.0)
    }
}

impl IntoLua for &AnyUserData {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        self.clone().into_lua(lua)
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_handle(&self.0)
    }
}

/// Errors are no userdata.
impl FromLua for AnyUserData {
    from_lua_by_stack!();

    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<AnyUserData> {
        if slot.raw.tag == Tag::UserData && !is_error(slot.raw) {
            Ok(AnyUserData(slot.to_handle()))
        } else {
            Err(slot.mismatch("userdata"))
        }
    }
}

// Userdata.

impl<T: UserData> IntoLua for T {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        Ok(Value::UserData(lua.create_userdata(self)?))
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        let v = stack.lua.new_userdata(self)?;
        stack.push(v)
    }
}

impl<T: 'static> FromLua for UserDataRef<T> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<UserDataRef<T>> {
        UserDataRef::new(AnyUserData::from_slot(slot)?)
    }
}

impl<T: 'static> FromLua for UserDataRefMut<T> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<UserDataRefMut<T>> {
        UserDataRefMut::new(AnyUserData::from_slot(slot)?)
    }
}

// Errors.

impl IntoLua for Error {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Error(Box::new(self)))
    }
}

/// A value that is no error becomes a runtime error with its text.
impl FromLua for Error {
    fn from_lua(value: Value, _: &Lua) -> Result<Error> {
        match value {
            Value::Error(e) => Ok(*e),
            other => Ok(Error::RuntimeError(other.to_string()?)),
        }
    }
}

// Registry keys.

impl IntoLua for &RegistryKey {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        let v = self.raw_in(stack.lua)?;
        stack.push(v)
    }
}
