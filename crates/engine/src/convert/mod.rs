//! Conversions between values of Rust and of Lua.
//!
//! Each type says once how it gets onto the stack and how it comes from there ([`IntoLua::push_onto`],
//! [`FromLua::from_slot`]); the conversions by way of [`Value`] follow from that. Calls use the stack directly.
//!
//! | module | types |
//! |---|---|
//! | `handles` | any value, handles, userdata, errors, registry keys |
//! | `numbers`, `strings` | booleans and numbers; text and bytes |
//! | `containers` | options, sequences, maps, sets |
//! | `lists` | lists of values: arguments and results |

mod containers;
mod handles;
mod lists;
mod numbers;
mod strings;

use crate::error::Result;
use crate::lua::Lua;
use crate::stack::{Slot, Slots, Stack};
use crate::value::{MultiValue, Value};

pub(crate) use self::containers::{push_map, push_sequence};
pub use self::strings::Bytes;

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
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`](crate::Error::ToLuaConversionError) if an integer is out of range;
    /// [`Error::ForeignValue`](crate::Error::ForeignValue) if a handle is of another VM,
    /// [`Error::MismatchedRegistryKey`](crate::Error::MismatchedRegistryKey) if a registry key is;
    /// [`Error::RuntimeError`](crate::Error::RuntimeError) if a key of a map is `nil` or NaN, or the stack is full.
    /// [`Error::MemoryError`](crate::Error::MemoryError) at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`] gives. For a userdata, see [`Lua::create_userdata`]. Types of a host may give anything.
    fn into_lua(self, lua: &Lua) -> Result<Value>;

    /// Pushes the value.
    ///
    /// # Errors
    /// As [`IntoLua::into_lua`].
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
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`](crate::Error::FromLuaConversionError) if the value is not what is asked for,
    /// is out of range, or is a string that is not UTF-8; [`Error::ForeignValue`](crate::Error::ForeignValue) if it is
    /// of another VM; [`Error::MemoryError`](crate::Error::MemoryError) if a number must become a string at the limit
    /// of memory. For a borrow, see [`AnyUserData::borrow`](crate::AnyUserData::borrow), for an error
    /// [`Value::to_string`]. Types of a host may give anything.
    fn from_lua(value: Value, lua: &Lua) -> Result<Self>;

    /// Converts a value from the stack.
    ///
    /// # Errors
    /// As [`FromLua::from_lua`].
    #[doc(hidden)]
    #[inline]
    fn from_slot(slot: Slot<'_>) -> Result<Self> {
        Self::from_lua(slot.to_value(), slot.lua)
    }
}

/// What can become a list of Lua values: arguments or results. Everything that can become one value can; so do tuples,
/// [`MultiValue`], [`Variadic`](crate::Variadic), `()`, and a `Result` whose error is to be a second result behind `nil`.
pub trait IntoLuaMulti: Sized {
    /// The values.
    ///
    /// # Errors
    /// As [`IntoLua::into_lua`], for the first value that cannot be converted.
    fn into_lua_multi(self, lua: &Lua) -> Result<MultiValue>;

    /// Pushes the values, and says how many there are.
    ///
    /// # Errors
    /// As [`IntoLuaMulti::into_lua_multi`].
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
    ///
    /// # Errors
    /// As [`FromLua::from_lua`], for the first value that cannot be converted.
    fn from_lua_multi(values: MultiValue, lua: &Lua) -> Result<Self>;

    /// Converts values from the stack.
    ///
    /// # Errors
    /// As [`FromLuaMulti::from_lua_multi`]; in [`Error::BadArgument`](crate::Error::BadArgument) if the values are
    /// arguments.
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
use into_lua_by_stack;

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
use from_lua_by_stack;
