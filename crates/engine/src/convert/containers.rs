//! Options, sequences, maps and sets.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use super::{FromLua, IntoLua, from_lua_by_stack, into_lua_by_stack};
use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::raw::Raw;
use crate::stack::{Frame, Slot, Stack};
use crate::table::Table;
use crate::value::Value;

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
        lua.safepoint()?;
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
        lua.safepoint()?;
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
