//! Any value, and lists of them.

use std::collections::VecDeque;
use std::fmt;

use perilune_runtime::value::Tag;

use crate::error::{Error, Result, unwrap, wrap};
use crate::function::Function;
use crate::lua::Lua;
use crate::raw::{Handle, Raw};
use crate::stack::{Frame, Stack};
use crate::string::LuaString;
use crate::table::Table;
use crate::thread::Thread;
use crate::userdata::AnyUserData;

/// A number that Lua can hold and compare but not look into, made by a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LightUserData(pub u64);

/// Any Lua value.
///
/// ```
/// use perilune::{Lua, Value};
///
/// let lua = Lua::new();
/// let value: Value = lua.load("2^53").eval()?;
/// assert_eq!(value, Value::Number(9007199254740992.0));
/// assert_eq!(value.type_name(), "number");
/// assert_eq!(value.to_string()?, "9.007199254741e+15");
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Value {
    /// `nil`
    #[default]
    Nil,
    /// A boolean.
    Boolean(bool),
    /// An address that means something to the host only.
    LightUserData(LightUserData),
    /// An integer.
    Integer(i64),
    /// A float.
    Number(f64),
    /// A string of bytes.
    String(LuaString),
    /// A table.
    Table(Table),
    /// A function, of Lua or of Rust.
    Function(Function),
    /// A coroutine.
    Thread(Thread),
    /// A value of Rust.
    UserData(AnyUserData),
    /// An error that a Rust function returned.
    Error(Box<Error>),
}

/// The `nil` value.
#[expect(non_upper_case_globals, reason = "it is written as the variant is")]
pub const Nil: Value = Value::Nil;

impl Value {
    #[inline]
    pub(crate) fn from_raw(lua: &Lua, raw: Raw) -> Value {
        match raw.tag {
            Tag::Nil => Value::Nil,
            Tag::False => Value::Boolean(false),
            Tag::True => Value::Boolean(true),
            Tag::Int => Value::Integer(raw.raw_int()),
            Tag::Float => Value::Number(raw.raw_float()),
            Tag::Light => Value::LightUserData(LightUserData(raw.payload)),
            Tag::Str => Value::String(LuaString(Handle::new(lua, raw))),
            Tag::Table => Value::Table(Table(Handle::new(lua, raw))),
            Tag::LuaFn | Tag::NativeFn => Value::Function(Function(Handle::new(lua, raw))),
            Tag::Thread => Value::Thread(Thread(Handle::new(lua, raw))),
            Tag::UserData => match unwrap(raw) {
                Some(error) => Value::Error(Box::new(error)),
                None => Value::UserData(AnyUserData(Handle::new(lua, raw))),
            },
        }
    }

    pub(crate) fn push_ref(&self, stack: &mut Stack<'_>) -> Result<()> {
        match self {
            Value::Nil => stack.push(Raw::NIL),
            Value::Boolean(b) => stack.push(Raw::bool(*b)),
            Value::LightUserData(l) => stack.push(Raw::light(l.0)),
            Value::Integer(i) => stack.push_int(*i),
            Value::Number(n) => stack.push(Raw::float(*n)),
            Value::Error(e) => {
                let error = (**e).clone();
                let inner = &stack.lua.inner;
                let v = stack.lua.protect(|vm| wrap(vm, inner, error))?;
                stack.push(v)
            }
            Value::String(LuaString(h))
            | Value::Table(Table(h))
            | Value::Function(Function(h))
            | Value::Thread(Thread(h))
            | Value::UserData(AnyUserData(h)) => stack.push_handle(h),
        }
    }

    /// Refuses a value of another VM.
    pub(crate) fn check_owner(&self, lua: &Lua) -> Result<()> {
        self.handle().map_or(Ok(()), |h| h.raw_in(lua).map(drop))
    }

    fn handle(&self) -> Option<&Handle> {
        match self {
            Value::String(LuaString(h))
            | Value::Table(Table(h))
            | Value::Function(Function(h))
            | Value::Thread(Thread(h))
            | Value::UserData(AnyUserData(h)) => Some(h),
            Value::Nil
            | Value::Boolean(_)
            | Value::LightUserData(_)
            | Value::Integer(_)
            | Value::Number(_)
            | Value::Error(_) => None,
        }
    }

    /// The type's name; `integer` and `number`, `lightuserdata` and `error` are told apart.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Boolean(_) => "boolean",
            Value::LightUserData(_) => "lightuserdata",
            Value::Integer(_) => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Table(_) => "table",
            Value::Function(_) => "function",
            Value::Thread(_) => "thread",
            Value::UserData(_) => "userdata",
            Value::Error(_) => "error",
        }
    }

    /// Equality as `==` has it in Lua, with `__eq`. (The `PartialEq` of Rust is that of `rawequal`.)
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if both are strings or objects, of different VMs. What `__eq` ends with, as in
    /// [`Function::call`].
    pub fn equals(&self, other: &Value) -> Result<bool> {
        match (self.handle(), other.handle()) {
            (Some(a), Some(b)) => {
                let (x, y) = (a.raw(), b.raw_in(a.lua())?);
                a.lua().protect(|vm| vm.equals(x, y))
            }
            _ => Ok(self == other),
        }
    }

    /// The text that `tostring` gives, with `__tostring` of tables and userdata. A float belongs to no VM: it is written as by
    /// the default version.
    ///
    /// # Errors
    /// What `__tostring` ends with, as in [`Function::call`]; [`Error::RuntimeError`] if it gives no string.
    /// [`Error::FromLuaConversionError`] if the value is a string that is not UTF-8.
    pub fn to_string(&self) -> Result<String> {
        match self {
            Value::Nil => Ok("nil".to_owned()),
            Value::Boolean(b) => Ok(b.to_string()),
            Value::Integer(i) => Ok(i.to_string()),
            Value::Number(n) => {
                let mut text = Vec::new();
                perilune_base::num::format::write_float(&mut text, *n);
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            Value::LightUserData(l) => Ok(format!("userdata: 0x{:014x}", l.0)),
            Value::Error(e) => Ok(e.to_string()),
            Value::String(s) => Ok(s.to_str()?.to_owned()),
            Value::Table(Table(h))
            | Value::Function(Function(h))
            | Value::Thread(Thread(h))
            | Value::UserData(AnyUserData(h)) => {
                let raw = h.raw();
                let text = h.lua().protect(|vm| vm.to_display(raw))?;
                Ok(text.to_string_lossy().into_owned())
            }
        }
    }

    /// Is it `nil`?
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Is it anything but `nil` and `false`?
    pub fn is_truthy(&self) -> bool {
        !matches!(self, Value::Nil | Value::Boolean(false))
    }

    /// Is it a boolean?
    pub fn is_boolean(&self) -> bool {
        matches!(self, Value::Boolean(_))
    }

    /// Is it an integer? In languages without integers nothing is: [`Value::as_integer`] asks for the number.
    pub fn is_integer(&self) -> bool {
        matches!(self, Value::Integer(_))
    }

    /// Is it a float? [`Value::as_f64`] gives numbers of both kinds.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Number(_))
    }

    /// Is it a string?
    pub fn is_string(&self) -> bool {
        matches!(self, Value::String(_))
    }

    /// Is it a table?
    pub fn is_table(&self) -> bool {
        matches!(self, Value::Table(_))
    }

    /// Is it a function, of Lua or of Rust?
    pub fn is_function(&self) -> bool {
        matches!(self, Value::Function(_))
    }

    /// Is it a coroutine?
    pub fn is_thread(&self) -> bool {
        matches!(self, Value::Thread(_))
    }

    /// Is it a full userdata?
    pub fn is_userdata(&self) -> bool {
        matches!(self, Value::UserData(_))
    }

    /// Is it a light userdata?
    pub fn is_light_userdata(&self) -> bool {
        matches!(self, Value::LightUserData(_))
    }

    /// Is it an error of Rust that went through Lua?
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// The boolean, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Value::Boolean(b) = self { Some(*b) } else { None }
    }

    /// The integer, if it is one, or a float that is equal to one: in languages without integers, all numbers are floats.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(i) => Some(*i),
            Value::Number(n) => integer_from(*n),
            _ => None,
        }
    }

    /// The float, if it is one.
    pub fn as_number(&self) -> Option<f64> {
        if let Value::Number(n) = self { Some(*n) } else { None }
    }

    /// As [`Value::as_integer`], as an `i32`, if it fits.
    pub fn as_i32(&self) -> Option<i32> {
        self.as_integer().and_then(|i| i.try_into().ok())
    }

    /// As [`Value::as_integer`], as a `usize`, if it fits.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_integer().and_then(|i| i.try_into().ok())
    }

    /// The number, integer or float, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Integer(i) => Some(*i as f64),
            Value::Number(n) => Some(*n),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn as_string(&self) -> Option<&LuaString> {
        if let Value::String(s) = self { Some(s) } else { None }
    }

    /// The string's text, if it is one and is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_string().and_then(|s| s.to_str().ok())
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        if let Value::Table(t) = self { Some(t) } else { None }
    }

    /// The function, if it is one.
    pub fn as_function(&self) -> Option<&Function> {
        if let Value::Function(f) = self { Some(f) } else { None }
    }

    /// The coroutine, if it is one.
    pub fn as_thread(&self) -> Option<&Thread> {
        if let Value::Thread(t) = self { Some(t) } else { None }
    }

    /// The userdata, if it is one.
    pub fn as_userdata(&self) -> Option<&AnyUserData> {
        if let Value::UserData(u) = self { Some(u) } else { None }
    }

    /// The light userdata, if it is one.
    pub fn as_light_userdata(&self) -> Option<LightUserData> {
        if let Value::LightUserData(l) = self { Some(*l) } else { None }
    }

    /// The error, if it is one.
    pub fn as_error(&self) -> Option<&Error> {
        if let Value::Error(e) = self { Some(e) } else { None }
    }
}

/// The integer that a float is equal to.
pub(crate) fn integer_from(n: f64) -> Option<i64> {
    // The bounds are exact: the first is the least integer, the second the first power of two that is none.
    const LEAST: f64 = i64::MIN as f64;
    ((LEAST..-LEAST).contains(&n) && n.fract() == 0.0).then_some(n as i64)
}

/// Equality without metamethods, as `rawequal` has it: integers and floats compare by value, strings by content, objects
/// by identity. Two errors are never equal.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::LightUserData(a), Value::LightUserData(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Integer(i), Value::Number(n)) | (Value::Number(n), Value::Integer(i)) => {
                Raw::int(*i).raw_equals(Raw::float(*n))
            }
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Table(a), Value::Table(b)) => a == b,
            (Value::Function(a), Value::Function(b)) => a == b,
            (Value::Thread(a), Value::Thread(b)) => a == b,
            (Value::UserData(a), Value::UserData(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("Nil"),
            Value::Boolean(b) => f.debug_tuple("Boolean").field(b).finish(),
            Value::LightUserData(l) => f.debug_tuple("LightUserData").field(&l.0).finish(),
            Value::Integer(i) => f.debug_tuple("Integer").field(i).finish(),
            Value::Number(n) => f.debug_tuple("Number").field(n).finish(),
            Value::String(s) => f.debug_tuple("String").field(&s.to_string_lossy()).finish(),
            Value::Table(t) => t.fmt(f),
            Value::Function(v) => v.fmt(f),
            Value::Thread(t) => t.fmt(f),
            Value::UserData(u) => u.fmt(f),
            Value::Error(e) => f.debug_tuple("Error").field(e).finish(),
        }
    }
}

/// A list of values: arguments or results.
///
/// ```
/// use perilune::{Lua, MultiValue, Value};
///
/// let lua = Lua::new();
/// let all: MultiValue = lua.load("1, 'two', nil").eval()?;
/// assert_eq!(all.len(), 3);
/// assert_eq!(all[0], Value::Integer(1));
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MultiValue(VecDeque<Value>);

impl MultiValue {
    /// No values.
    pub fn new() -> MultiValue {
        MultiValue::default()
    }

    /// No values, with room.
    pub fn with_capacity(capacity: usize) -> MultiValue {
        MultiValue(VecDeque::with_capacity(capacity))
    }

    /// The values of a vector.
    pub fn from_vec(values: Vec<Value>) -> MultiValue {
        MultiValue(values.into())
    }

    /// As a vector.
    pub fn into_vec(self) -> Vec<Value> {
        self.0.into()
    }

    /// Converts them to what is asked for.
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`], or what else
    /// [`FromLuaMulti::from_lua_multi`](crate::FromLuaMulti::from_lua_multi) gives, if one cannot be converted.
    pub fn to<T: crate::FromLuaMulti>(self, lua: &Lua) -> Result<T> {
        T::from_lua_multi(self, lua)
    }

    pub(crate) fn push_ref(&self, stack: &mut Stack<'_>) -> Result<u32> {
        for v in &self.0 {
            v.push_ref(stack)?;
        }
        Ok(self.0.len() as u32)
    }

    /// Converts them by way of the stack.
    pub(crate) fn through_stack<T: crate::FromLuaMulti>(self, lua: &Lua) -> Result<T> {
        let frame = Frame::new(lua);
        self.push_ref(&mut frame.stack())?;
        T::from_slots(frame.results())
    }
}

impl std::ops::Deref for MultiValue {
    type Target = VecDeque<Value>;

    fn deref(&self) -> &VecDeque<Value> {
        &self.0
    }
}

impl std::ops::DerefMut for MultiValue {
    fn deref_mut(&mut self) -> &mut VecDeque<Value> {
        &mut self.0
    }
}

impl FromIterator<Value> for MultiValue {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> MultiValue {
        MultiValue(values.into_iter().collect())
    }
}

impl IntoIterator for MultiValue {
    type Item = Value;
    type IntoIter = std::collections::vec_deque::IntoIter<Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a MultiValue {
    type Item = &'a Value;
    type IntoIter = std::collections::vec_deque::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<Vec<Value>> for MultiValue {
    fn from(values: Vec<Value>) -> MultiValue {
        MultiValue::from_vec(values)
    }
}

/// Any number of values of one type: the last arguments of a function, or its results.
///
/// ```
/// use perilune::{Lua, Variadic};
///
/// let lua = Lua::new();
/// let sum = lua.create_function(|_, numbers: Variadic<f64>| Ok(numbers.iter().sum::<f64>()))?;
/// assert_eq!(sum.call::<f64>((1, 2, 3.5))?, 6.5);
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variadic<T>(pub Vec<T>);

impl<T> Variadic<T> {
    /// No values.
    pub const fn new() -> Variadic<T> {
        Variadic(Vec::new())
    }
}

impl<T> std::ops::Deref for Variadic<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Variadic<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> FromIterator<T> for Variadic<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Variadic<T> {
        Variadic(values.into_iter().collect())
    }
}

impl<T> IntoIterator for Variadic<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> From<Vec<T>> for Variadic<T> {
    fn from(values: Vec<T>) -> Variadic<T> {
        Variadic(values)
    }
}
