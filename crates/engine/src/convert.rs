//! Conversions between values of Rust and of Lua.
//!
//! Each type says once how it gets onto the stack and how it comes from there ([`IntoLua::push_onto`],
//! [`FromLua::from_slot`]); the conversions by way of [`Value`] follow from that. Calls use the stack directly.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use perilune_runtime::value::Tag;

use crate::error::{Error, Result, unwrap};
use crate::function::Function;
use crate::lua::Lua;
use crate::raw::{Handle, Raw};
use crate::registry::RegistryKey;
use crate::stack::{Frame, Slot, Slots, Stack};
use crate::string::LuaString;
use crate::table::Table;
use crate::thread::Thread;
use crate::userdata::{AnyUserData, UserData, UserDataRef, UserDataRefMut};
use crate::value::{LightUserData, MultiValue, Value, Variadic};

/// What can become a Lua value.
///
/// ```
/// use perilune::{IntoLua, Lua, Result, Value};
///
/// struct Celsius(f64);
///
/// impl IntoLua for Celsius {
///     fn into_lua(self, lua: &Lua) -> Result<Value> {
///         let table = lua.create_table()?;
///         table.set("celsius", self.0)?;
///         table.into_lua(lua)
///     }
/// }
///
/// let lua = Lua::new();
/// lua.globals().set("outside", Celsius(-12.5))?;
/// assert_eq!(lua.load("outside.celsius").eval::<f64>()?, -12.5);
/// # Ok::<(), perilune::Error>(())
/// ```
pub trait IntoLua: Sized {
    /// The value.
    fn into_lua(self, lua: &Lua) -> Result<Value>;

    /// Pushes the value.
    #[doc(hidden)]
    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        self.into_lua(stack.lua)?.push_ref(stack)
    }
}

/// What a Lua value can become.
///
/// ```
/// use perilune::{Error, FromLua, Lua, Result, Table, Value};
///
/// struct Point { x: f64, y: f64 }
///
/// impl FromLua for Point {
///     fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
///         let table = Table::from_lua(value, lua)?;
///         Ok(Point { x: table.get("x")?, y: table.get("y")? })
///     }
/// }
///
/// let lua = Lua::new();
/// let p: Point = lua.load("{x = 3, y = 4}").eval()?;
/// assert_eq!(p.x.hypot(p.y), 5.0);
/// # Ok::<(), Error>(())
/// ```
pub trait FromLua: Sized {
    /// Converts the value.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self>;

    /// Converts a value from the stack.
    #[doc(hidden)]
    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        Self::from_lua(slot.to_value(), slot.lua)
    }
}

/// What can become a list of Lua values: arguments or results. Everything that can become one value can; so do tuples,
/// [`MultiValue`], [`Variadic`], `()`, and a `Result` whose error is to be a second result behind `nil`.
pub trait IntoLuaMulti: Sized {
    /// The values.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue>;

    /// Pushes the values, and says how many there are.
    #[doc(hidden)]
    #[inline]
    fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
        self.into_lua_multi(stack.lua)?.push_ref(stack)
    }
}

/// What a list of Lua values can become: arguments or results. What is missing is `nil`, what is too much is dropped.
pub trait FromLuaMulti: Sized {
    /// How many values are of use; -1 for all.
    #[doc(hidden)]
    const WANTED: i32 = -1;

    /// Converts the values.
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self>;

    /// Converts values from the stack.
    #[doc(hidden)]
    #[inline]
    fn from_slots(slots: Slots<'_>) -> Result<Self> {
        Self::from_lua_multi(slots.to_multi(), slots.lua)
    }
}

/// Implements `into_lua` by `push_onto`.
macro_rules! into_lua_by_stack {
    () => {
        fn into_lua(self, lua: &Lua) -> Result<Value> {
            let frame = Frame::new(lua);
            let raw = frame.push(self)?;
            Ok(Value::from_raw(lua, raw))
        }
    };
}

/// Implements `from_lua` by `from_slot`.
macro_rules! from_lua_by_stack {
    () => {
        fn from_lua(value: Value, lua: &Lua) -> Result<Self> {
            let frame = Frame::new(lua);
            value.push_ref(&mut frame.stack())?;
            Self::from_slot(Slot { lua, raw: frame.get(0) })
        }
    };
}

// Any value.

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
        match string_of(&slot) {
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
        if slot.raw.tag == Tag::UserData && unwrap(slot.raw).is_none() {
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

// Booleans and numbers.

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
    let (integer, number) = slot.lua.inner.with(|vm| (vm.to_integer(slot.raw), vm.to_number(slot.raw)));
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

// Strings.

/// The string that a string or number is as text.
#[inline]
fn string_of(slot: &Slot<'_>) -> Option<Raw> {
    match slot.raw.tag {
        Tag::Str => Some(slot.raw),
        Tag::Int | Tag::Float => slot.lua.inner.with(|vm| vm.number_to_str(slot.raw)).map(Raw::str),
        _ => None,
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
        let Some(s) = string_of(&slot).and_then(Raw::as_str) else {
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
        match string_of(&slot).and_then(Raw::as_str) {
            Some(s) => Ok(Bytes(s.as_bytes().to_vec())),
            None => Err(slot.mismatch("Bytes")),
        }
    }
}

// Containers.

/// `None` is `nil`.
impl<T: IntoLua> IntoLua for Option<T> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        match self {
            Some(v) => v.into_lua(lua),
            None => Ok(Value::Nil),
        }
    }

    #[inline]
    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        match self {
            Some(v) => v.push_onto(stack),
            None => stack.push(Raw::NIL),
        }
    }
}

/// `nil` is `None`.
impl<T: FromLua> FromLua for Option<T> {
    fn from_lua(value: Value, lua: &Lua) -> Result<Option<T>> {
        if value.is_nil() { Ok(None) } else { T::from_lua(value, lua).map(Some) }
    }

    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<Option<T>> {
        if slot.raw.is_nil() { Ok(None) } else { T::from_slot(slot).map(Some) }
    }
}

/// Pushes a table of a sequence's elements.
pub(crate) fn push_sequence<T: IntoLua>(
    stack: &mut Stack<'_>,
    size: usize,
    values: impl IntoIterator<Item = T>,
) -> Result<()> {
    let lua = stack.lua;
    lua.safepoint()?;
    let at = lua.inner.height();
    stack.push(lua.inner.with(|vm| Raw::table(vm.table(size, 0))))?;
    for (i, v) in values.into_iter().enumerate() {
        let frame = Frame::new(lua);
        let v = frame.push(v)?;
        let t = lua.inner.slot(at);
        lua.protect(|vm| match t.as_table() {
            Some(t) => vm.raw_set_int(t, i as i64 + 1, v),
            None => Ok(()),
        })?;
    }
    Ok(())
}

/// Pushes a table of pairs.
pub(crate) fn push_map<K: IntoLua, V: IntoLua>(
    stack: &mut Stack<'_>,
    size: usize,
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<()> {
    let lua = stack.lua;
    lua.safepoint()?;
    let at = lua.inner.height();
    stack.push(lua.inner.with(|vm| Raw::table(vm.table(0, size))))?;
    for (k, v) in pairs {
        let frame = Frame::new(lua);
        frame.push(k)?;
        let v = frame.push(v)?;
        let (t, k) = (lua.inner.slot(at), frame.get(0));
        lua.protect(|vm| match t.as_table() {
            Some(t) => vm.raw_set(t, k, v),
            None => Ok(()),
        })?;
    }
    Ok(())
}

/// The elements of a sequence, up to the border of the table.
fn elements<T: FromLua, C: FromIterator<T>>(slot: &Slot<'_>, to: &str) -> Result<C> {
    let Some(t) = slot.raw.as_table() else {
        return Err(slot.mismatch(to));
    };
    // Conversions may run any code: from here on, the table is alive by a handle.
    let table = Table(slot.to_handle());
    let count = t.length();
    (1..=count).map(|i| table.raw_get(i)).collect()
}

/// The pairs of a table.
fn entries<K: FromLua, V: FromLua, C: FromIterator<(K, V)>>(slot: &Slot<'_>, to: &str) -> Result<C> {
    if slot.raw.as_table().is_none() {
        return Err(slot.mismatch(to));
    }
    Table(slot.to_handle()).pairs::<K, V>().collect()
}

macro_rules! sequences {
    ($([$($generics:tt)*] $type:ty, $item:ty, $name:literal;)*) => {$(
        impl<$($generics)*> IntoLua for $type where $item: IntoLua {
            into_lua_by_stack!();

            fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
                push_sequence(stack, self.len(), self)
            }
        }

        impl<$($generics)*> FromLua for $type where $item: FromLua {
            from_lua_by_stack!();

            fn from_slot(slot: Slot<'_>) -> Result<Self> {
                elements(&slot, $name)
            }
        }
    )*};
}
sequences! {
    [T] Vec<T>, T, "Vec";
    [T] Box<[T]>, T, "Box<[T]>";
}

impl<T: IntoLua + Clone> IntoLua for &[T] {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_sequence(stack, self.len(), self.iter().cloned())
    }
}

impl<T: IntoLua, const N: usize> IntoLua for [T; N] {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_sequence(stack, N, self)
    }
}

/// The table must have exactly `N` elements.
impl<T: FromLua, const N: usize> FromLua for [T; N] {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<[T; N]> {
        let all: Vec<T> = elements(&slot, "array")?;
        let count = all.len();
        all.try_into()
            .map_err(|_| Error::from_lua("table", format!("array of {N}"), Some(format!("it has {count} elements"))))
    }
}

impl<K: IntoLua + Eq + Hash, V: IntoLua, S: BuildHasher> IntoLua for HashMap<K, V, S> {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_map(stack, self.len(), self)
    }
}

impl<K: FromLua + Eq + Hash, V: FromLua, S: BuildHasher + Default> FromLua for HashMap<K, V, S> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        entries(&slot, "HashMap")
    }
}

impl<K: IntoLua + Ord, V: IntoLua> IntoLua for BTreeMap<K, V> {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_map(stack, self.len(), self)
    }
}

impl<K: FromLua + Ord, V: FromLua> FromLua for BTreeMap<K, V> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        entries(&slot, "BTreeMap")
    }
}

/// The elements are the keys of a table.
impl<T: IntoLua + Eq + Hash, S: BuildHasher> IntoLua for HashSet<T, S> {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_map(stack, self.len(), self.into_iter().map(|k| (k, true)))
    }
}

/// The keys of a table.
impl<T: FromLua + Eq + Hash, S: BuildHasher + Default> FromLua for HashSet<T, S> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        let all: Vec<(T, Value)> = entries(&slot, "HashSet")?;
        Ok(all.into_iter().map(|(k, _)| k).collect())
    }
}

/// The elements are the keys of a table.
impl<T: IntoLua + Ord> IntoLua for BTreeSet<T> {
    into_lua_by_stack!();

    fn push_onto(self, stack: &mut Stack<'_>) -> Result<()> {
        push_map(stack, self.len(), self.into_iter().map(|k| (k, true)))
    }
}

/// The keys of a table.
impl<T: FromLua + Ord> FromLua for BTreeSet<T> {
    from_lua_by_stack!();

    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        let all: Vec<(T, Value)> = entries(&slot, "BTreeSet")?;
        Ok(all.into_iter().map(|(k, _)| k).collect())
    }
}

// Lists.

impl<T: IntoLua> IntoLuaMulti for T {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::from_vec(vec![self.into_lua(lua)?]))
    }

    #[inline]
    fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
        self.push_onto(stack)?;
        Ok(1)
    }
}

impl<T: FromLua> FromLuaMulti for T {
    const WANTED: i32 = 1;

    fn from_lua_multi(mut values: MultiValue, lua: &Lua) -> Result<T> {
        T::from_lua(values.pop_front().unwrap_or_default(), lua)
    }

    #[inline]
    fn from_slots(slots: Slots<'_>) -> Result<T> {
        slots.first_as()
    }
}

impl IntoLuaMulti for () {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(MultiValue::new())
    }

    #[inline]
    fn push_all(self, _: &mut Stack<'_>) -> Result<u32> {
        Ok(0)
    }
}

impl FromLuaMulti for () {
    const WANTED: i32 = 0;

    fn from_lua_multi(_: MultiValue, _: &Lua) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn from_slots(_: Slots<'_>) -> Result<()> {
        Ok(())
    }
}

impl IntoLuaMulti for MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self)
    }
}

impl IntoLuaMulti for &MultiValue {
    fn into_lua_multi(self, _: &Lua) -> Result<MultiValue> {
        Ok(self.clone())
    }

    fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
        self.push_ref(stack)
    }
}

impl FromLuaMulti for MultiValue {
    fn from_lua_multi(values: MultiValue, _: &Lua) -> Result<MultiValue> {
        Ok(values)
    }
}

impl<T: IntoLua> IntoLuaMulti for Variadic<T> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        self.into_iter().map(|v| v.into_lua(lua)).collect::<Result<Vec<_>>>().map(MultiValue::from_vec)
    }

    fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
        let count = self.len() as u32;
        for v in self {
            v.push_onto(stack)?;
        }
        Ok(count)
    }
}

impl<T: FromLua> FromLuaMulti for Variadic<T> {
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Variadic<T>> {
        values.into_iter().map(|v| T::from_lua(v, lua)).collect::<Result<Vec<_>>>().map(Variadic)
    }

    fn from_slots(mut slots: Slots<'_>) -> Result<Variadic<T>> {
        let mut all = Vec::with_capacity(slots.count);
        while slots.count > 0 {
            let (value, rest) = slots.split_first()?;
            all.push(value);
            slots = rest;
        }
        Ok(Variadic(all))
    }
}

/// An error is a second result behind `nil`, as the functions of `io` have it.
impl<T: IntoLuaMulti, E: IntoLua> IntoLuaMulti for Result<T, E> {
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
        match self {
            Ok(v) => v.into_lua_multi(lua),
            Err(e) => Ok(MultiValue::from_vec(vec![Value::Nil, e.into_lua(lua)?])),
        }
    }

    fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
        match self {
            Ok(v) => v.push_all(stack),
            Err(e) => {
                stack.push(Raw::NIL)?;
                e.push_onto(stack)?;
                Ok(2)
            }
        }
    }
}

/// Tuples: one value for each element, and any number for the last.
macro_rules! tuples {
    ($($($name:ident)* . $last:ident;)*) => {$(
        impl<$($name: IntoLua,)* $last: IntoLuaMulti> IntoLuaMulti for ($($name,)* $last,) {
            fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue> {
                let frame = Frame::new(lua);
                self.push_all(&mut frame.stack())?;
                Ok(frame.results().to_multi())
            }

            #[inline]
            #[expect(non_snake_case, reason = "a variable for each type, under its name")]
            fn push_all(self, stack: &mut Stack<'_>) -> Result<u32> {
                let ($($name,)* $last,) = self;
                let mut count = 0;
                $(
                    $name.push_onto(stack)?;
                    count += 1;
                )*
                count += $last.push_all(stack)?;
                Ok(count)
            }
        }

        impl<$($name: FromLua,)* $last: FromLuaMulti> FromLuaMulti for ($($name,)* $last,) {
            const WANTED: i32 = {
                let front: &[&str] = &[$(stringify!($name)),*];
                if $last::WANTED < 0 { -1 } else { front.len() as i32 + $last::WANTED }
            };

            fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self> {
                values.through_stack(lua)
            }

            #[inline]
            #[expect(non_snake_case, reason = "a variable for each type, under its name")]
            fn from_slots(slots: Slots<'_>) -> Result<Self> {
                $(let ($name, slots) = slots.split_first()?;)*
                let $last = $last::from_slots(slots)?;
                Ok(($($name,)* $last,))
            }
        }
    )*};
}
tuples! {
    . A;
    A . B;
    A B . C;
    A B C . D;
    A B C D . E;
    A B C D E . F;
    A B C D E F . G;
    A B C D E F G . H;
    A B C D E F G H . I;
    A B C D E F G H I . J;
    A B C D E F G H I J . K;
    A B C D E F G H I J K . L;
}
