//! Booleans and numbers.

use perilune_runtime::value::Tag;

use super::{FromLua, IntoLua, from_lua_by_stack};
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::Raw;
use crate::stack::{Frame, Slot, Stack};
use crate::value::{LightUserData, Value, integer_from};

impl IntoLua for bool {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::Boolean(self))
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push(Raw::bool(self))
    }
}

/// As Lua tests values: `nil` and `false` are false, all else is true.
impl FromLua for bool {
    fn from_lua(value: Value, _: &Lua) -> Result<bool> {
        Ok(value.is_truthy())
    }

    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<bool> {
        Ok(slot.raw.is_truthy())
    }
}

impl IntoLua for LightUserData {
    fn into_lua(self, _: &Lua) -> Result<Value> {
        Ok(Value::LightUserData(self))
    }
}

impl FromLua for LightUserData {
    fn from_lua(value: Value, _: &Lua) -> Result<LightUserData> {
        match value {
            Value::LightUserData(l) => Ok(l),
            other => Err(Error::from_lua(other.type_name(), "light userdata", None)),
        }
    }
}

/// The integer that a number is or a string spells.
#[inline]
fn integer_of(slot: &Slot<'_>, to: &'static str) -> Result<i64> {
    match slot.raw.tag {
        Tag::Int => Ok(slot.raw.raw_int()),
        _ => integer_of_other(slot, to),
    }
}

#[cold]
#[inline(never)]
fn integer_of_other(slot: &Slot<'_>, to: &'static str) -> Result<i64> {
    // Languages without integers cut fractions off where they need one, and have no answer for what is too large.
    let number = slot.lua.inner.with(|vm| vm.to_number(slot.raw));
    let integer = number.and_then(|n| if n.tag == Tag::Int { Some(n.raw_int()) } else { integer_from(n.raw_float()) });
    match (integer, number) {
        (Some(i), _) => Ok(i),
        (None, Some(_)) => {
            let message = Some("number has no integer representation".to_owned());
            Err(Error::from_lua(slot.raw.type_name(), to, message))
        }
        (None, None) => Err(slot.mismatch(to)),
    }
}

macro_rules! integers {
    ($($type:ident)*) => {$(
        impl IntoLua for $type {
            #[inline]
            fn into_lua(self, _: &Lua) -> Result<Value> {
                match i64::try_from(self) {
                    Ok(i) => Ok(Value::Integer(i)),
                    Err(_) => Err(Error::ToLuaConversionError {
                        from: stringify!($type),
                        to: "integer",
                        message: Some("out of range".to_owned()),
                    }),
                }
            }

            #[inline]
            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                match i64::try_from(self) {
                    Ok(i) => stack.push_int(i),
                    Err(_) => self.into_lua(stack.lua).map(drop),
                }
            }
        }

        impl FromLua for $type {
            from_lua_by_stack!();

            #[inline]
            fn from_slot(slot: Slot<'_>) -> Result<$type> {
                let i = integer_of(&slot, stringify!($type))?;
                match $type::try_from(i) {
                    Ok(i) => Ok(i),
                    Err(_) => {
                        let message = Some("out of range".to_owned());
                        Err(Error::from_lua(slot.raw.type_name(), stringify!($type), message))
                    }
                }
            }
        }
    )*};
}
integers! { i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize }

macro_rules! floats {
    ($($type:ident)*) => {$(
        impl IntoLua for $type {
            fn into_lua(self, _: &Lua) -> Result<Value> {
                Ok(Value::Number(f64::from(self)))
            }

            #[inline]
            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                stack.push(Raw::float(f64::from(self)))
            }
        }

        impl FromLua for $type {
            from_lua_by_stack!();

            #[inline]
            fn from_slot(slot: Slot<'_>) -> Result<$type> {
                match slot.raw.tag {
                    Tag::Float => Ok(slot.raw.raw_float() as $type),
                    Tag::Int => Ok(slot.raw.raw_int() as $type),
                    _ => match slot.lua.inner.with(|vm| vm.to_number(slot.raw)) {
                        Some(n) if n.tag == Tag::Int => Ok(n.raw_int() as $type),
                        Some(n) => Ok(n.raw_float() as $type),
                        None => Err(slot.mismatch(stringify!($type))),
                    },
                }
            }
        }
    )*};
}
floats! { f32 f64 }
