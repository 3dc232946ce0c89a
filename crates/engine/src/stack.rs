//! The stack as conversions see it: where arguments and results go, and where they come from.
//!
//! The types here appear in hidden methods of the conversion traits. They cannot be named outside of this crate, so that
//! nobody else can override those methods: what is handed around in them is not kept alive by anything.

use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::{Handle, Raw};
use crate::value::{MultiValue, Value};
use crate::{FromLua, IntoLua};

/// Where values are pushed.
pub struct Stack<'a> {
    pub(crate) lua: &'a Lua,
    /// Whether a short string is pushed even where memory is used up: one that only looks something up is soon gone.
    pub(crate) for_key: bool,
}

impl Stack<'_> {
    /// Pushes a value.
    #[inline]
    pub(crate) fn push(&mut self, v: Raw) -> Result<()> {
        self.lua.inner.push(v)
    }

    /// Pushes an integer, as the language has it.
    #[inline]
    pub(crate) fn push_int(&mut self, n: i64) -> Result<()> {
        self.lua.inner.push_int(n)
    }

    /// Pushes what a handle keeps.
    #[inline]
    pub(crate) fn push_handle(&mut self, handle: &Handle) -> Result<()> {
        let v = handle.raw_in(self.lua)?;
        self.push(v)
    }

    /// Pushes a string.
    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match self.lua.make_room(bytes.len()) {
            Err(Error::MemoryError) if self.for_key && bytes.len() <= LARGE => {}
            made => made?,
        }
        let v = self.lua.inner.string(bytes);
        self.push(v)
    }
}

/// Strings above this size are checked against the limit of memory before they are made.
const LARGE: usize = 4 << 10;

impl Lua {
    /// Before a string is made: lets the collector work if it is due, and makes sure that a large one may be made.
    #[inline]
    pub(crate) fn make_room(&self, len: usize) -> Result<()> {
        self.safepoint()?;
        if len > LARGE { self.protect(|vm| vm.reserve_str(len)) } else { Ok(()) }
    }
}

/// One value on its way to Rust.
pub struct Slot<'a> {
    pub(crate) lua: &'a Lua,
    pub(crate) raw: Raw,
}

impl Slot<'_> {
    /// The value, kept alive.
    #[inline]
    pub(crate) fn to_value(&self) -> Value {
        Value::from_raw(self.lua, self.raw)
    }

    /// A handle of the value.
    #[inline]
    pub(crate) fn to_handle(&self) -> Handle {
        Handle::new(self.lua, self.raw)
    }

    /// The error of a value that is not what was asked for.
    #[cold]
    pub(crate) fn mismatch(&self, to: &str) -> Error {
        Error::from_lua(type_name(self.raw), to, None)
    }
}

/// The type's name as errors give it.
pub(crate) fn type_name(v: Raw) -> &'static str {
    if crate::error::is_error(v) { "error" } else { v.type_name() }
}

/// What a list of values is, for the errors of its conversion.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// Results, elements: errors say what is wrong with a value.
    Results,
    /// Arguments: errors say which one is wrong.
    Arguments {
        /// The function, if it has a name.
        to: Option<&'a str>,
        /// Arguments in front of the list.
        before: usize,
    },
}

/// A list of values on the stack.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    pub(crate) lua: &'a Lua,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) purpose: Purpose<'a>,
}

impl<'a> Slots<'a> {
    /// The first value (nil if there is none), converted, and the rest of the list.
    #[inline]
    pub(crate) fn split_first<T: FromLua>(self) -> Result<(T, Slots<'a>)> {
        let value = self.first_as()?;
        let purpose = match self.purpose {
            Purpose::Results => Purpose::Results,
            Purpose::Arguments { to, before } => Purpose::Arguments { to, before: before + 1 },
        };
        let used = usize::from(self.count > 0);
        Ok((value, Slots { first: self.first + used, count: self.count - used, purpose, ..self }))
    }

    /// The first value (nil if there is none), converted.
    #[inline]
    pub(crate) fn first_as<T: FromLua>(self) -> Result<T> {
        let raw = if self.count > 0 { self.lua.inner.slot(self.first) } else { Raw::NIL };
        match T::from_slot(Slot { lua: self.lua, raw }) {
            Ok(value) => Ok(value),
            Err(e) => Err(self.error(e)),
        }
    }

    #[cold]
    fn error(self, error: Error) -> Error {
        match self.purpose {
            Purpose::Results => error,
            Purpose::Arguments { to, before } => Error::bad_argument(to, before + 1, None, error),
        }
    }

    /// The error of a method whose `self` is in front of these arguments.
    #[cold]
    pub(crate) fn bad_self(self, error: Error) -> Error {
        match self.purpose {
            Purpose::Results => error,
            Purpose::Arguments { to, .. } => Error::bad_argument(to, 1, Some("self"), error),
        }
    }

    /// All values, kept alive.
    pub(crate) fn to_multi(self) -> MultiValue {
        (self.first..self.first + self.count).map(|at| Value::from_raw(self.lua, self.lua.inner.slot(at))).collect()
    }
}

/// Restores the height of the stack.
pub(crate) struct Frame<'a> {
    pub(crate) lua: &'a Lua,
    /// The height to restore.
    pub(crate) height: usize,
}

impl<'a> Frame<'a> {
    #[inline]
    pub(crate) fn new(lua: &'a Lua) -> Frame<'a> {
        Frame { lua, height: lua.inner.height() }
    }

    #[inline]
    pub(crate) fn stack(&self) -> Stack<'a> {
        Stack { lua: self.lua, for_key: false }
    }

    /// The `n`-th value pushed since, from 0.
    #[inline]
    pub(crate) fn get(&self, n: usize) -> Raw {
        self.lua.inner.slot(self.height + n)
    }

    /// Converts and pushes a value, and gives it.
    #[inline]
    pub(crate) fn push(&self, value: impl IntoLua) -> Result<Raw> {
        let at = self.lua.inner.height();
        value.push_onto(&mut self.stack())?;
        Ok(self.lua.inner.slot(at))
    }

    /// As [`Frame::push`], for what is looked up.
    #[inline]
    pub(crate) fn push_key(&self, key: impl IntoLua) -> Result<Raw> {
        let at = self.lua.inner.height();
        key.push_onto(&mut Stack { lua: self.lua, for_key: true })?;
        Ok(self.lua.inner.slot(at))
    }

    /// Pushes a key and the value to store under it, and gives them. To store nil never fails for lack of memory.
    #[inline]
    pub(crate) fn push_pair(&self, key: impl IntoLua, value: impl IntoLua) -> Result<(Raw, Raw)> {
        let at = self.lua.inner.height();
        self.push_key(key)?;
        let value = self.push(value)?;
        if !value.is_nil() {
            self.lua.safepoint()?;
        }
        Ok((self.lua.inner.slot(at), value))
    }

    /// The values pushed since, as results.
    #[inline]
    pub(crate) fn results(&self) -> Slots<'a> {
        let count = self.lua.inner.height() - self.height;
        Slots { lua: self.lua, first: self.height, count, purpose: Purpose::Results }
    }
}

impl Drop for Frame<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lua.inner.truncate(self.height);
    }
}
