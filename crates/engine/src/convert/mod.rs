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
/// [`MultiValue`], [`Variadic`](crate::Variadic), `()`, and a `Result` whose error is to be a second result behind `nil`.
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
