//! From Lua to Rust.

use serde::de::{self, IntoDeserializer, Visitor, value::StringDeserializer};
use serde::forward_to_deserialize_any;

use super::{MAX_DEPTH, NULL};
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::table::Table;
use crate::value::{Value, integer_from};

/// What is in a table.
pub(super) enum Contents {
    /// The elements, if there are any and nothing else.
    Sequence(Vec<Value>),
    /// All pairs.
    Map(Vec<(Value, Value)>),
}

/// Looks into a table, without metamethods.
pub(super) fn contents(table: &Table) -> Result<Contents> {
    let pairs: Vec<(Value, Value)> = table.pairs().collect::<Result<_>>()?;
    let len = table.raw_len();
    let is_index = |key: &Value| key.as_usize().is_some_and(|n| (1..=len).contains(&n));
    if len > 0 && pairs.len() == len && pairs.iter().all(|(key, _)| is_index(key)) {
        return elements(table).map(Contents::Sequence);
    }
    Ok(Contents::Map(pairs))
}

/// The elements of a sequence.
fn elements(table: &Table) -> Result<Vec<Value>> {
    (1..=table.raw_len()).map(|n| table.raw_get(n)).collect()
}

/// Reads one value.
pub(super) struct Deserializer<'a> {
    lua: &'a Lua,
    value: Value,
    depth: usize,
}

impl<'a> Deserializer<'a> {
    pub(super) fn new(lua: &'a Lua, value: Value) -> Deserializer<'a> {
        Deserializer { lua, value, depth: 0 }
    }

    fn table(&self, expected: &dyn de::Expected) -> Result<&Table> {
        match &self.value {
            Value::Table(_) if self.depth == MAX_DEPTH => Err(de::Error::custom("tables are nested too deeply")),
            Value::Table(table) => Ok(table),
            other => Err(de::Error::invalid_type(de::Unexpected::Other(other.type_name()), expected)),
        }
    }

    fn visit_elements<'de, V: Visitor<'de>>(self, elements: Vec<Value>, visitor: V) -> Result<V::Value> {
        let mut items = Items { lua: self.lua, depth: self.depth + 1, rest: elements.into_iter() };
        let result = visitor.visit_seq(&mut items)?;
        match items.rest.len() {
            0 => Ok(result),
            left => Err(de::Error::custom(format!("{left} elements too many"))),
        }
    }

    fn visit_pairs<'de, V: Visitor<'de>>(self, pairs: Vec<(Value, Value)>, visitor: V) -> Result<V::Value> {
        let rest = pairs.into_iter();
        visitor.visit_map(Pairs { lua: self.lua, depth: self.depth + 1, rest, value: None })
    }
}

impl<'de> de::Deserializer<'de> for Deserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.value {
            Value::Nil => visitor.visit_unit(),
            null if *null == NULL => visitor.visit_unit(),
            Value::Boolean(b) => visitor.visit_bool(*b),
            Value::Integer(i) => visitor.visit_i64(*i),
            Value::Number(n) => match integer_from(*n) {
                Some(i) if !self.lua.has_integers() => visitor.visit_i64(i),
                _ => visitor.visit_f64(*n),
            },
            Value::String(s) => match s.to_str() {
                Ok(text) => visitor.visit_str(text),
                Err(_) => visitor.visit_bytes(s.as_bytes()),
            },
            Value::Table(_) => match contents(self.table(&visitor)?)? {
                Contents::Sequence(elements) => self.visit_elements(elements, visitor),
                Contents::Map(pairs) => self.visit_pairs(pairs, visitor),
            },
            Value::LightUserData(_) | Value::Function(_) | Value::Thread(_) | Value::UserData(_) | Value::Error(_) => {
                Err(de::Error::invalid_type(de::Unexpected::Other(self.value.type_name()), &visitor))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.value.is_nil() || self.value == NULL { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let elements = elements(self.table(&visitor)?)?;
        self.visit_elements(elements, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let pairs = self.table(&visitor)?.pairs().collect::<Result<_>>()?;
        self.visit_pairs(pairs, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if let Value::String(name) = &self.value {
            return visitor.visit_enum(name.to_str()?.to_owned().into_deserializer());
        }
        let mut pairs = self.table(&visitor)?.pairs::<String, Value>();
        match (pairs.next().transpose()?, pairs.next()) {
            (Some((name, data)), None) => {
                let data = Deserializer { lua: self.lua, value: data, depth: self.depth + 1 };
                visitor.visit_enum(Variant { name, data })
            }
            _ => Err(de::Error::custom("a variant is a table with one field")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct identifier
        ignored_any
    }
}

/// The elements that are left.
struct Items<'a> {
    lua: &'a Lua,
    depth: usize,
    rest: std::vec::IntoIter<Value>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        match self.rest.next() {
            Some(value) => seed.deserialize(Deserializer { lua: self.lua, value, depth: self.depth }).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The pairs that are left.
struct Pairs<'a> {
    lua: &'a Lua,
    depth: usize,
    rest: std::vec::IntoIter<(Value, Value)>,
    /// The value of the key that came last.
    value: Option<Value>,
}

impl<'de> de::MapAccess<'de> for Pairs<'_> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Deserializer { lua: self.lua, value: key, depth: self.depth }).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.value.take() {
            Some(value) => seed.deserialize(Deserializer { lua: self.lua, value, depth: self.depth }),
            None => Err(de::Error::custom("a value of a map was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant with data.
struct Variant<'a> {
    name: String,
    data: Deserializer<'a>,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Deserializer<'a>;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Deserializer<'a>)> {
        let name: StringDeserializer<Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self.data))
    }
}

impl<'de> de::VariantAccess<'de> for Deserializer<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_map(self, visitor)
    }
}
