//! Strings: text and bytes.

use std::borrow::Cow;
use std::hash::Hash;

use perilune_runtime::value::Tag;

use super::{FromLua, IntoLua, from_lua_by_stack, into_lua_by_stack};
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::Raw;
use crate::stack::{Frame, Slot, Stack};
use crate::value::Value;

/// The string that a string or number is as text.
#[inline]
pub(super) fn string_of(slot: &Slot<'_>) -> Result<Option<Raw>> {
    match slot.raw.tag {
        Tag::Str => Ok(Some(slot.raw)),
        Tag::Int | Tag::Float => {
            slot.lua.safepoint()?;
            Ok(slot.lua.inner.with(|vm| vm.number_to_str(slot.raw)).map(Raw::str))
        }
        _ => Ok(None),
    }
}

macro_rules! texts {
    ($($type:ty),*) => {$(
        impl IntoLua for $type {
            into_lua_by_stack!();

            #[inline]
            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                stack.push_bytes(self.as_bytes())
            }
        }
    )*};
}
texts! { &str, String, &String, Box<str>, Cow<'_, str> }

/// Numbers become text; a string must be UTF-8.
impl FromLua for String {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<String> {
        let Some(s) = string_of(&slot)?.and_then(Raw::as_str) else {
            return Err(slot.mismatch("String"));
        };
        match std::str::from_utf8(s.as_bytes()) {
            Ok(text) => Ok(text.to_owned()),
            Err(e) => Err(Error::from_lua("string", "String", Some(e.to_string()))),
        }
    }
}

impl FromLua for Box<str> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Box<str>> {
        String::from_slot(slot).map(String::into_boxed_str)
    }
}

/// The bytes of a Lua string, which need not be text. (A `Vec<u8>` is a table of integers.)
///
/// ```
/// use perilune::{Bytes, Lua};
///
/// let lua = Lua::new();
/// let b: Bytes = lua.load(r"'\xff\0'").eval()?;
/// assert_eq!(b.0, [0xff, 0]);
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Bytes {
        Bytes(bytes.to_vec())
    }
}

impl IntoLua for Bytes {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_bytes(&self.0)
    }
}

impl IntoLua for &Bytes {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        stack.push_bytes(&self.0)
    }
}

impl FromLua for Bytes {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Bytes> {
        match string_of(&slot)?.and_then(Raw::as_str) {
            Some(s) => Ok(Bytes(s.as_bytes().to_vec())),
            None => Err(slot.mismatch("Bytes")),
        }
    }
}
