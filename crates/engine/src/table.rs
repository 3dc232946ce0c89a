//! Tables.

use std::fmt;
use std::marker::PhantomData;

use perilune_runtime::object::TableRef;
use perilune_runtime::table::Cursor;

use crate::error::{Error, Result};
use crate::function::{self, Function};
use crate::raw::{Handle, Raw};
use crate::stack::{Frame, Slot};
use crate::value::Value;
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

/// A Lua table.
///
/// ```
/// use perilune::{Lua, Table};
///
/// let lua = Lua::new();
/// let ship = lua.create_table()?;
/// ship.set("name", "Luna 2")?;
/// ship.set("mass", 390.2)?;
/// lua.globals().set("ship", &ship)?;
/// lua.load("ship.crew = {'-'}; ship.mass = ship.mass - 0.2").exec()?;
///
/// assert_eq!(ship.get::<f64>("mass")?, 390.0);
/// assert_eq!(ship.get::<Table>("crew")?.raw_len(), 1);
/// assert_eq!(ship.get::<Option<String>>("captain")?, None);
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Table(pub(crate) Handle);

/// Access with metamethods.
impl Table {
    /// The value of a key, through `__index`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key cannot be converted. What
    /// `__index` ends with, as in [`Function::call`]. [`Error::FromLuaConversionError`], or what else
    /// [`FromLua::from_lua`] gives, if the value cannot be converted.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let key = frame.push_key(key)?;
        let t = self.0.raw();
        let mut raw = self.table_ref().get(key);
        if raw.is_nil() && self.table_ref().metatable().is_some() {
            raw = lua.protect(|vm| vm.index(t, key))?;
        }
        V::from_slot(Slot { lua, raw })
    }

    /// Stores a value under a key, through `__newindex`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key or the value cannot be
    /// converted; [`Error::RuntimeError`] if the key is `nil` or NaN. What `__newindex` ends with, as in
    /// [`Function::call`]. [`Error::MemoryError`] at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let (key, value) = frame.push_pair(key, value)?;
        let t = self.0.raw();
        lua.protect(|vm| vm.set_index(t, key, value))
    }

    /// Whether there is a value under a key, through `__index`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key cannot be converted. What
    /// `__index` ends with, as in [`Function::call`].
    pub fn contains_key(&self, key: impl IntoLua) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }

    /// The length, through `__len`.
    ///
    /// # Errors
    /// What `__len` ends with, as in [`Function::call`]; [`Error::RuntimeError`] if it gives no integer.
    pub fn len(&self) -> Result<i64> {
        let t = self.0.raw();
        self.0.lua().protect(|vm| vm.len_int(t))
    }

    /// Whether there is nothing in it; metamethods are not asked.
    pub fn is_empty(&self) -> bool {
        self.table_ref().next_at(Cursor::START).is_none()
    }

    /// Appends a value to the sequence, through `__len` and `__newindex`.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the value cannot be converted.
    /// What a metamethod ends with, as in [`Function::call`]. [`Error::MemoryError`] at the limit of memory; if the
    /// collector runs, what [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn push(&self, value: impl IntoLua) -> Result<()> {
        let next = self.len()?.wrapping_add(1);
        self.set(next, value)
    }

    /// Takes the last value off the sequence, through `__len`, `__index` and `__newindex`: what key 0 has if it is empty,
    /// `nil` as a rule.
    ///
    /// # Errors
    /// What a metamethod ends with, as in [`Function::call`]. [`Error::FromLuaConversionError`], or what else
    /// [`FromLua::from_lua`] gives, if the value cannot be converted; it is off the sequence all the same.
    pub fn pop<V: FromLua>(&self) -> Result<V> {
        let last = self.len()?;
        let value: Value = self.get(last)?;
        self.set(last, Value::Nil)?;
        V::from_lua(value, self.0.lua())
    }

    /// Calls the function under a key, as a script does with `table.name(...)`. It must be a function; objects with `__call`
    /// are called by [`Table::call_method`].
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`] if what is under the key is no function; else as [`Table::get`] and
    /// [`Function::call`].
    ///
    /// ```
    /// use perilune::{Lua, Table};
    ///
    /// let lua = Lua::new();
    /// let ship: Table = lua.load("{mass = 390, weight = function(self, g) return self.mass * g end}").eval()?;
    /// assert_eq!(ship.call_method::<f64>("weight", 1.5)?, 585.0);
    /// assert_eq!(ship.call_function::<f64>("weight", (&ship, 2))?, 780.0);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn call_function<R: FromLuaMulti>(&self, key: impl IntoLua, args: impl IntoLuaMulti) -> Result<R> {
        self.get::<Function>(key)?.call(args)
    }

    /// Calls a method, as a script does with `table:name(...)`.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if what is under the name cannot be called; else as [`Table::get`] and
    /// [`Function::call`].
    pub fn call_method<R: FromLuaMulti>(&self, name: &str, args: impl IntoLuaMulti) -> Result<R> {
        let method: Value = self.get(name)?;
        function::call_method(self.0.lua(), &method, self.0.raw(), args)
    }

    /// Equality as `==` has it in Lua, with `__eq`. (The `PartialEq` of Rust is identity.)
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the other table is of another VM. What `__eq` ends with, as in [`Function::call`].
    pub fn equals(&self, other: &Table) -> Result<bool> {
        let lua = self.0.lua();
        let (a, b) = (self.0.raw(), other.0.raw_in(lua)?);
        lua.protect(|vm| vm.equals(a, b))
    }
}

/// Access without metamethods.
impl Table {
    /// The value of a key.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key cannot be converted.
    /// [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if the value cannot be converted.
    #[inline]
    pub fn raw_get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let key = frame.push_key(key)?;
        V::from_slot(Slot { lua, raw: self.table_ref().get(key) })
    }

    /// Stores a value under a key.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the key or the value cannot be
    /// converted; [`Error::RuntimeError`] if the key is `nil` or NaN. [`Error::MemoryError`] at the limit of memory;
    /// if the collector runs, what [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn raw_set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let (key, value) = frame.push_pair(key, value)?;
        let t = self.table_ref();
        lua.protect(|vm| vm.raw_set(t, key, value))
    }

    /// The length: a border.
    pub fn raw_len(&self) -> usize {
        self.table_ref().length() as usize
    }

    /// Appends a value to the sequence.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if the value cannot be converted.
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn raw_push(&self, value: impl IntoLua) -> Result<()> {
        self.raw_set(self.raw_len() as i64 + 1, value)
    }

    /// Takes the last value off the sequence: what key 0 has if it is empty, `nil` as a rule.
    ///
    /// # Errors
    /// [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if the value cannot be converted;
    /// it is off the sequence all the same.
    pub fn raw_pop<V: FromLua>(&self) -> Result<V> {
        let last = self.raw_len() as i64;
        let value: Value = self.raw_get(last)?;
        self.raw_set(last, Value::Nil)?;
        V::from_lua(value, self.0.lua())
    }

    /// Inserts a value into the sequence, moving those from there on up. The position is from 1 to one past the length.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if the position is out of bounds. [`Error::ToLuaConversionError`], or what else
    /// [`IntoLua::into_lua`] gives, if the value cannot be converted. [`Error::MemoryError`] at the limit of memory;
    /// if the collector runs, what [`Lua::gc_collect`](crate::Lua::gc_collect) gives.
    pub fn raw_insert(&self, position: i64, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        lua.safepoint()?;
        let frame = Frame::new(lua);
        let value = frame.push(value)?;
        // Finalizers, and the conversion of the value, may have changed the table.
        let length = self.raw_len() as i64;
        if position < 1 || position > length + 1 {
            return Err(Error::runtime("position out of bounds"));
        }
        let t = self.table_ref();
        lua.protect(|vm| {
            if position == length + 1 {
                return vm.raw_set(t, Raw::int(position), value);
            }
            let stored = t.array_insert(vm.heap_mut(), position as u32, value);
            stored.map_err(|e| vm.set_error(e))
        })
    }

    /// Removes a value from the sequence, moving those above down, and gives it.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if the position is out of bounds. [`Error::FromLuaConversionError`], or what else
    /// [`FromLua::from_lua`] gives, if the value cannot be converted; it is removed all the same.
    pub fn raw_remove<V: FromLua>(&self, position: i64) -> Result<V> {
        let length = self.raw_len() as i64;
        if position < 1 || position > length {
            return Err(Error::runtime("position out of bounds"));
        }
        let value: Value = self.raw_get(position)?;
        self.table_ref().array_remove(position as u32);
        V::from_lua(value, self.0.lua())
    }

    /// Removes everything; the metatable stays.
    ///
    /// # Errors
    /// It never fails: removing takes no memory.
    pub fn clear(&self) -> Result<()> {
        let t = self.table_ref();
        self.0.lua().protect(|vm| {
            while t.array_len() > 0 {
                t.array_remove(t.array_len());
            }
            let mut cursor = Cursor::START;
            while let Some((next, key, _)) = t.next_at(cursor) {
                vm.raw_set(t, key, Raw::NIL)?;
                cursor = next;
            }
            Ok(())
        })
    }

    /// The metatable.
    pub fn metatable(&self) -> Option<Table> {
        let meta = self.table_ref().metatable()?;
        Some(Table(Handle::new(self.0.lua(), Raw::table(meta))))
    }

    /// Sets or removes the metatable.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the metatable is of another VM.
    pub fn set_metatable(&self, metatable: Option<Table>) -> Result<()> {
        let lua = self.0.lua();
        let meta = metatable.map(|m| m.0.raw_in(lua)).transpose()?.and_then(Raw::as_table);
        let t = self.0.raw();
        lua.inner.with(|vm| vm.set_metatable(t, meta));
        Ok(())
    }

    /// The fields, in the order of `next`, each converted.
    ///
    /// As in Lua, fields may be assigned to during the traversal, and removed, but new ones may make others appear twice
    /// or not at all.
    ///
    /// ```
    /// let lua = perilune::Lua::new();
    /// let t = lua.create_table_from([("a", 1), ("b", 2)])?;
    /// let mut sum = 0;
    /// for pair in t.pairs::<String, i64>() {
    ///     let (_, n) = pair?;
    ///     sum += n;
    /// }
    /// assert_eq!(sum, 3);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn pairs<K: FromLua, V: FromLua>(&self) -> TablePairs<'_, K, V> {
        TablePairs { table: self, cursor: Cursor::START, types: PhantomData }
    }

    /// The elements of the sequence up to the first `nil`, each converted.
    ///
    /// ```
    /// let lua = perilune::Lua::new();
    /// let t = lua.create_sequence_from([2, 3, 5, 7])?;
    /// let product: i64 = t.sequence_values::<i64>().product::<perilune::Result<i64>>()?;
    /// assert_eq!(product, 210);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn sequence_values<V: FromLua>(&self) -> TableSequence<'_, V> {
        TableSequence { table: self, index: 1, types: PhantomData }
    }

    /// Calls a function with each field.
    ///
    /// # Errors
    /// What the function fails with. [`Error::FromLuaConversionError`], or what else [`FromLua::from_lua`] gives, if a
    /// key or a value cannot be converted.
    pub fn for_each<K: FromLua, V: FromLua>(&self, mut f: impl FnMut(K, V) -> Result<()>) -> Result<()> {
        for pair in self.pairs() {
            let (k, v) = pair?;
            f(k, v)?;
        }
        Ok(())
    }

    /// The address, which tells tables apart while they live.
    pub fn to_pointer(&self) -> usize {
        self.0.raw().payload as usize
    }
}

impl Table {
    /// The table. The handle keeps it alive.
    #[inline]
    pub(crate) fn table_ref(&self) -> TableRef {
        self.0.raw().as_table().expect("this is a bug: the handle of a table has another value")
    }
}

/// An iterator over the fields of a [`Table`].
pub struct TablePairs<'a, K, V> {
    table: &'a Table,
    cursor: Cursor,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: FromLua, V: FromLua> Iterator for TablePairs<'_, K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Result<(K, V)>> {
        let (cursor, key, value) = self.table.table_ref().next_at(self.cursor)?;
        self.cursor = cursor;
        let lua = self.table.0.lua();
        // A table has its indices as integers, also where the language has none.
        let key = key.as_int().map_or(key, |n| lua.inner.int_value(n));
        let pair = || {
            // The value may have to survive the conversion of its key.
            let frame = Frame::new(lua);
            frame.stack().push(value)?;
            let key = K::from_slot(Slot { lua, raw: key })?;
            Ok((key, V::from_slot(Slot { lua, raw: frame.get(0) })?))
        };
        Some(pair())
    }
}

/// An iterator over the elements of a [`Table`]'s sequence.
pub struct TableSequence<'a, V> {
    table: &'a Table,
    index: i64,
    types: PhantomData<fn() -> V>,
}

impl<V: FromLua> Iterator for TableSequence<'_, V> {
    type Item = Result<V>;

    fn next(&mut self) -> Option<Result<V>> {
        let raw = self.table.table_ref().get_int(self.index);
        if raw.is_nil() {
            return None;
        }
        self.index += 1;
        Some(V::from_slot(Slot { lua: self.table.0.lua(), raw }))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table(0x{:x})", self.to_pointer())
    }
}
