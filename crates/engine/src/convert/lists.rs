//! Lists of values: arguments and results.

use super::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};
use crate::error::Result;
use crate::lua::Lua;
use crate::raw::Raw;
use crate::stack::{Frame, Slots, Stack};
use crate::value::{MultiValue, Value, Variadic};

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
