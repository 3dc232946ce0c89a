//! Serde both ways: any serializable value of Rust to Lua, and back (feature `serde`).
//!
//! | Rust | Lua |
//! |---|---|
//! | booleans, numbers, text, bytes | the same |
//! | `None`, `()` | `nil`; among the elements of a sequence [`NULL`], which leaves no hole |
//! | sequences, tuples | a table with the elements from 1 on |
//! | maps, structs | a table with the keys; what is `nil` is absent |
//! | a variant without data | its name |
//! | any other variant | a table with one field: its name, and the data in it |
//!
//! On the way back a table is a sequence if all of its keys are `1..=n` for an `n` that is not 0, unless the type asks for
//! one or the other. Functions, coroutines and userdata have no counterpart.

mod de;
mod ser;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::value::{LightUserData, Value};

/// What stands for `None` among the elements of a sequence.
pub const NULL: Value = Value::LightUserData(LightUserData(0));

/// How deep values may be nested: a table that contains itself has no end.
const MAX_DEPTH: usize = 128;

impl Lua {
    /// A Lua value made of a serializable one.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`] if the value is nested too deeply, an integer is out of range, or serializing
    /// it fails by itself; [`Error::RuntimeError`] if the key of a map is `nil` or NaN. [`Error::MemoryError`] at the
    /// limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    ///
    /// ```
    /// use perilune::Lua;
    /// use std::collections::BTreeMap;
    ///
    /// let lua = Lua::new();
    /// let stages = BTreeMap::from([("first", vec![1.5, 2.5]), ("second", vec![])]);
    /// lua.globals().set("stages", lua.to_value(&stages)?)?;
    /// assert_eq!(lua.load("return stages.first[2], #stages.second").eval::<(f64, i64)>()?, (2.5, 0));
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn to_value(&self, value: &(impl Serialize + ?Sized)) -> Result<Value> {
        value.serialize(ser::Serializer::new(self))
    }

    /// A value made of a Lua one.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the value is of another VM; [`Error::FromLuaConversionError`] if it is not what `T`
    /// asks for, is nested too deeply, or has something in it that is no data, such as a function.
    ///
    /// ```
    /// use perilune::Lua;
    /// use std::collections::BTreeMap;
    ///
    /// let lua = Lua::new();
    /// let value = lua.load("return { { mass = 12, mono = true }, { mass = 0.5 } }").eval()?;
    /// let tanks: Vec<BTreeMap<String, serde_json::Value>> = lua.from_value(value)?;
    /// assert_eq!(tanks[0]["mono"], true);
    /// assert_eq!(tanks[1]["mass"], 0.5);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn from_value<T: DeserializeOwned>(&self, value: Value) -> Result<T> {
        value.check_owner(self)?;
        T::deserialize(de::Deserializer::new(self, value))
    }
}

impl ::serde::ser::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Error {
        Error::ToLuaConversionError { from: "a serializable value", to: "value", message: Some(message.to_string()) }
    }
}

impl ::serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Error {
        Error::from_lua("value", "a deserializable value", Some(message.to_string()))
    }
}
