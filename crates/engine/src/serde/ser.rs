//! From Rust to Lua.

use serde::ser::{self, Serialize};

use super::{MAX_DEPTH, NULL};
use crate::IntoLua;
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::table::Table;
use crate::value::Value;

/// Makes one value.
#[derive(Clone, Copy)]
pub(super) struct Serializer<'a> {
    lua: &'a Lua,
    depth: usize,
}

impl<'a> Serializer<'a> {
    pub(super) fn new(lua: &'a Lua) -> Serializer<'a> {
        Serializer { lua, depth: 0 }
    }

    /// For what is inside.
    fn inner(self) -> Result<Serializer<'a>> {
        if self.depth == MAX_DEPTH {
            return Err(ser::Error::custom("values are nested too deeply"));
        }
        Ok(Serializer { depth: self.depth + 1, ..self })
    }

    /// A compound of so many fields or elements, which becomes the field `variant` of a table if that is given.
    fn compound(self, len: Option<usize>, variant: Option<&'static str>) -> Result<Compound<'a>> {
        let table = self.lua.create_table_with_capacity(len.unwrap_or(0), 0)?;
        Ok(Compound { inner: self.inner()?, table, key: None, variant })
    }
}

/// A table that is being filled.
pub(super) struct Compound<'a> {
    inner: Serializer<'a>,
    table: Table,
    /// The key of a map whose value comes next.
    key: Option<Value>,
    variant: Option<&'static str>,
}

impl Compound<'_> {
    fn push(&mut self, element: &(impl Serialize + ?Sized)) -> Result<()> {
        match element.serialize(self.inner)? {
            Value::Nil => self.table.raw_push(NULL),
            value => self.table.raw_push(value),
        }
    }

    fn set(&mut self, key: impl IntoLua, value: &(impl Serialize + ?Sized)) -> Result<()> {
        self.table.raw_set(key, value.serialize(self.inner)?)
    }

    fn finish(self) -> Result<Value> {
        match self.variant {
            Some(name) => wrap(self.inner.lua, name, Value::Table(self.table)),
            None => Ok(Value::Table(self.table)),
        }
    }
}

/// The table of a variant with data.
fn wrap(lua: &Lua, variant: &str, data: Value) -> Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(variant, data)?;
    Ok(Value::Table(table))
}

macro_rules! plain {
    ($($method:ident $type:ty;)*) => {$(
        fn $method(self, v: $type) -> Result<Value> {
            v.into_lua(self.lua)
        }
    )*};
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Compound<'a>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Compound<'a>;

    plain! {
        serialize_bool bool; serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_f32 f32; serialize_f64 f64; serialize_str &str;
    }

    fn serialize_char(self, v: char) -> Result<Value> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, v: &[u8]) -> Result<Value> {
        self.lua.create_string(v).map(Value::String)
    }

    fn serialize_none(self) -> Result<Value> {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result<Value> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<Value> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value> {
        match value.serialize(self.inner()?)? {
            Value::Nil => wrap(self.lua, variant, NULL),
            data => wrap(self.lua, variant, data),
        }
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'a>> {
        self.compound(len, None)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'a>> {
        self.compound(Some(len), None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Result<Compound<'a>> {
        self.compound(Some(len), None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'a>> {
        self.compound(Some(len), Some(variant))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Compound<'a>> {
        self.compound(None, None)
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Compound<'a>> {
        self.compound(None, None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Compound<'a>> {
        self.compound(None, Some(variant))
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.push(value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        }
    )*};
}
elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for Compound<'_> {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.set(key, value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        }
    )*};
}
fields! { SerializeStruct; SerializeStructVariant; }

impl ser::SerializeMap for Compound<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(self.inner)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        match self.key.take() {
            Some(key) => self.set(key, value),
            None => Err(ser::Error::custom("a value of a map came before its key")),
        }
    }

    fn end(self) -> Result<Value> {
        self.finish()
    }
}

/// Lua values can be given to any format. Functions, coroutines and userdata are errors.
impl Serialize for Value {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_value(self, serializer, 0)
    }
}

impl Serialize for Table {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_table(self, serializer, 0)
    }
}

/// A value inside of so many others.
struct Nested<'a>(&'a Value, usize);

impl Serialize for Nested<'_> {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_value(self.0, serializer, self.1)
    }
}

fn serialize_value<S: ser::Serializer>(value: &Value, serializer: S, depth: usize) -> Result<S::Ok, S::Error> {
    match value {
        Value::Nil => serializer.serialize_unit(),
        null if *null == NULL => serializer.serialize_unit(),
        Value::Boolean(b) => serializer.serialize_bool(*b),
        Value::Integer(i) => serializer.serialize_i64(*i),
        Value::Number(n) => serializer.serialize_f64(*n),
        Value::String(s) => match s.to_str() {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(s.as_bytes()),
        },
        Value::Table(t) => serialize_table(t, serializer, depth),
        Value::LightUserData(_) | Value::Function(_) | Value::Thread(_) | Value::UserData(_) | Value::Error(_) => {
            Err(ser::Error::custom(format!("a {} cannot be serialized", value.type_name())))
        }
    }
}

fn serialize_table<S: ser::Serializer>(table: &Table, serializer: S, depth: usize) -> Result<S::Ok, S::Error> {
    use serde::ser::{SerializeMap, SerializeSeq};
    if depth == MAX_DEPTH {
        return Err(ser::Error::custom("tables are nested too deeply"));
    }
    match super::de::contents(table).map_err(ser::Error::custom)? {
        super::de::Contents::Sequence(elements) => {
            let mut seq = serializer.serialize_seq(Some(elements.len()))?;
            for element in &elements {
                seq.serialize_element(&Nested(element, depth + 1))?;
            }
            seq.end()
        }
        super::de::Contents::Map(pairs) => {
            let mut map = serializer.serialize_map(Some(pairs.len()))?;
            for (key, value) in &pairs {
                map.serialize_entry(&Nested(key, depth + 1), &Nested(value, depth + 1))?;
            }
            map.end()
        }
    }
}
