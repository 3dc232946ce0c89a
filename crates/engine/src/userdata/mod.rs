//! Values of Rust in Lua: borrowing them, and what scripts can do with them.
//!
//! A type's metatable is made when its first value comes to a VM, from what [`UserData::add_fields`] and
//! [`UserData::add_methods`] say. With methods only, its `__index` is the table of methods; with field getters or an
//! `__index` of its own, it is a native function that asks methods, getters and that `__index`, in this order.
//!
//! | module | question it answers |
//! |---|---|
//! | this one | what a type says of itself |
//! | `borrow` | who may use the value now |
//! | `any` | what hosts do with a userdata of whatever type |
//! | `registry` | how the metatable of a type is made, and what its functions do |

mod any;
mod borrow;
mod registry;

use crate::error::Result;
use crate::lua::Lua;
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

pub use self::any::{AnyUserData, UserDataMetatable};
pub(crate) use self::borrow::UserCell;
pub use self::borrow::{UserDataRef, UserDataRefMut};
pub use self::registry::UserDataRegistry;

/// A type whose values scripts can hold, with what they can do with them.
///
/// ```
/// use perilune::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, UserDataRef};
///
/// #[derive(Clone, Copy)]
/// struct Vec2 { x: f64, y: f64 }
///
/// impl UserData for Vec2 {
///     fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
///         fields.add_field_method_get("x", |_, this| Ok(this.x));
///         fields.add_field_method_set("x", |_, this, x: f64| Ok(this.x = x));
///     }
///
///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
///         methods.add_method("length", |_, this, ()| Ok(this.x.hypot(this.y)));
///         methods.add_method_mut("scale", |_, this, k: f64| {
///             this.x *= k;
///             this.y *= k;
///             Ok(())
///         });
///         methods.add_meta_method(MetaMethod::Add, |_, a, b: UserDataRef<Vec2>| {
///             Ok(Vec2 { x: a.x + b.x, y: a.y + b.y })
///         });
///     }
/// }
///
/// let lua = Lua::new();
/// lua.globals().set("v", Vec2 { x: 3.0, y: 4.0 })?;
/// assert_eq!(lua.load("v:scale(2) return v:length()").eval::<f64>()?, 10.0);
/// assert_eq!(lua.load("v.x = 0; return (v + v).x, (v + v):length()").eval::<(f64, f64)>()?, (0.0, 16.0));
/// # Ok::<(), perilune::Error>(())
/// ```
///
/// While a method runs, its `self` is borrowed, exclusively if it is a mutable one. A call that conflicts with that fails
/// with [`Error::UserDataBorrowError`](crate::Error::UserDataBorrowError) or [`Error::UserDataBorrowMutError`](crate::Error::UserDataBorrowMutError).
pub trait UserData: Sized + 'static {
    /// Says what fields there are.
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        let _ = fields;
    }

    /// Says what methods and metamethods there are.
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        let _ = methods;
    }
}

macro_rules! metamethods {
    ($($name:ident $text:literal)*) => {
        /// A metamethod of a host type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MetaMethod { $(#[doc = concat!("`", $text, "`")] $name,)* }

        impl MetaMethod {
            /// The field's name in a metatable.
            pub const fn name(self) -> &'static str {
                match self { $(MetaMethod::$name => $text,)* }
            }
        }
    };
}
metamethods! {
    Add "__add" Sub "__sub" Mul "__mul" Div "__div" Mod "__mod" Pow "__pow" Unm "__unm" IDiv "__idiv"
    BAnd "__band" BOr "__bor" BXor "__bxor" BNot "__bnot" Shl "__shl" Shr "__shr"
    Concat "__concat" Len "__len" Eq "__eq" Lt "__lt" Le "__le"
    Index "__index" NewIndex "__newindex" Call "__call" ToString "__tostring" Pairs "__pairs" Close "__close"
    Type "__name"
}

impl AsRef<str> for MetaMethod {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl From<MetaMethod> for String {
    fn from(m: MetaMethod) -> String {
        m.name().to_owned()
    }
}

/// The fields of a host type.
pub trait UserDataFields<T> {
    /// A constant, the same for all values of the type.
    fn add_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V);

    /// A field that is read by a method.
    fn add_field_method_get<M, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T) -> Result<R> + 'static,
        R: IntoLua;

    /// A field that is written by a method.
    fn add_field_method_set<M, A>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<()> + 'static,
        A: FromLua;

    /// A field that is read by a function, which gets the userdata unborrowed.
    fn add_field_function_get<F, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData) -> Result<R> + 'static,
        R: IntoLua;

    /// A field that is written by a function, which gets the userdata unborrowed.
    fn add_field_function_set<F, A>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData, A) -> Result<()> + 'static,
        A: FromLua;

    /// A field of the metatable.
    fn add_meta_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V);
}

/// The methods of a host type.
pub trait UserDataMethods<T> {
    /// A method: `value:name(...)`.
    fn add_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A method that changes the value.
    fn add_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A method that takes the value out of the userdata, with which nothing can be done any more. It fails while the value
    /// is borrowed.
    fn add_method_once<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A function among the methods; called as a method, it gets the userdata as its first argument.
    fn add_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// As [`UserDataMethods::add_function`], for a function that changes what it has captured.
    fn add_function_mut<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod. Of a binary operator, it is called only when the value is the left operand; otherwise the call fails
    /// with [`Error::UserDataTypeMismatch`](crate::Error::UserDataTypeMismatch). Use [`UserDataMethods::add_meta_function`] for both sides.
    fn add_meta_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod that changes the value.
    fn add_meta_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;

    /// A metamethod that gets all operands as arguments.
    fn add_meta_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti;
}
