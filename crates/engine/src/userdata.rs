//! Values of Rust in Lua: borrowing them, and what scripts can do with them.
//!
//! A type's metatable is made when its first value comes to a VM, from what [`UserData::add_fields`] and
//! [`UserData::add_methods`] say. With methods only, its `__index` is the table of methods; with field getters or an
//! `__index` of its own, it is a native function that asks methods, getters and that `__index`, in this order.

use std::any::TypeId;
use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::marker::PhantomData;

use perilune_vm::Vm;
use perilune_vm::native::{Intrinsic, NativeResult};

use crate::error::{Error, Result};
use crate::function::{Function, no_closure};
use crate::lua::{Lua, running_closure};
use crate::raw::{Guarded, Handle, OwnedRef, OwnedRefMut, Raw, callback};
use crate::stack::{Frame, Purpose, Slot, Slots, Stack};
use crate::table::Table;
use crate::value::Value;
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

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
/// with [`Error::UserDataBorrowError`] or [`Error::UserDataBorrowMutError`].
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
    /// with [`Error::UserDataTypeMismatch`]. Use [`UserDataMethods::add_meta_function`] for both sides.
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

/// The value in a userdata.
pub(crate) struct UserCell<T>(RefCell<Option<Guarded<T>>>);

impl<T> UserCell<T> {
    fn borrow(&self) -> Result<Ref<'_, T>> {
        let value = self.0.try_borrow().map_err(|_| Error::UserDataBorrowError)?;
        Ref::filter_map(value, |v| v.as_deref()).map_err(|_| Error::UserDataDestructed)
    }

    fn borrow_mut(&self) -> Result<RefMut<'_, T>> {
        let value = self.0.try_borrow_mut().map_err(|_| Error::UserDataBorrowMutError)?;
        RefMut::filter_map(value, |v| v.as_deref_mut()).map_err(|_| Error::UserDataDestructed)
    }
}

/// A userdata: a value of Rust in Lua, of whatever type.
///
/// ```
/// use perilune::{AnyUserData, Lua, UserData};
///
/// struct Tank { litres: f64 }
/// impl UserData for Tank {}
///
/// let lua = Lua::new();
/// let tank: AnyUserData = lua.create_userdata(Tank { litres: 40.0 })?;
/// tank.borrow_mut::<Tank>()?.litres -= 0.5;
/// assert_eq!(tank.borrow::<Tank>()?.litres, 39.5);
/// assert_eq!(tank.take::<Tank>()?.litres, 39.5);
/// assert!(tank.borrow::<Tank>().is_err());
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AnyUserData(pub(crate) Handle);

impl AnyUserData {
    /// Whether the value is (or was, before it was taken) a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.0.cell::<T>().is_some()
    }

    /// Borrows the value.
    pub fn borrow<T: 'static>(&self) -> Result<UserDataRef<T>> {
        UserDataRef::new(self.clone())
    }

    /// Borrows the value exclusively.
    pub fn borrow_mut<T: 'static>(&self) -> Result<UserDataRefMut<T>> {
        UserDataRefMut::new(self.clone())
    }

    /// Calls a function with the value.
    pub fn borrow_scoped<T: 'static, R>(&self, f: impl FnOnce(&T) -> R) -> Result<R> {
        Ok(f(&*self.cell::<T>()?.borrow()?))
    }

    /// Calls a function with the value, which it may change.
    pub fn borrow_mut_scoped<T: 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(f(&mut *self.cell::<T>()?.borrow_mut()?))
    }

    /// Takes the value out. Scripts that use the userdata later get [`Error::UserDataDestructed`].
    pub fn take<T: 'static>(&self) -> Result<T> {
        let mut value = self.cell::<T>()?.0.try_borrow_mut().map_err(|_| Error::UserDataBorrowMutError)?;
        value.take().map(Guarded::into_inner).ok_or(Error::UserDataDestructed)
    }

    /// Drops the value, of whatever type: `T` as in [`AnyUserData::take`].
    pub fn destroy<T: 'static>(&self) -> Result<()> {
        self.take::<T>().map(drop)
    }

    fn cell<T: 'static>(&self) -> Result<&UserCell<T>> {
        self.0.cell::<T>().ok_or(Error::UserDataTypeMismatch)
    }

    /// What a script gets for `userdata[key]`.
    pub fn get<V: FromLua>(&self, key: impl IntoLua) -> Result<V> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let key = frame.push(key)?;
        let u = self.0.raw();
        let raw = lua.protect(|vm| vm.index(u, key))?;
        V::from_slot(Slot { lua, raw })
    }

    /// What a script does with `userdata[key] = value`.
    pub fn set(&self, key: impl IntoLua, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        frame.push(key)?;
        let value = frame.push(value)?;
        let (u, key) = (self.0.raw(), frame.get(0));
        lua.protect(|vm| vm.set_index(u, key, value))
    }

    /// Calls a method, as a script does with `userdata:name(...)`.
    pub fn call_method<R: FromLuaMulti>(&self, name: &str, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua();
        let method: Value = self.get(name)?;
        let frame = Frame::new(lua);
        let mut stack = frame.stack();
        method.push_ref(&mut stack)?;
        stack.push(self.0.raw())?;
        let count = args.push_all(&mut stack)? as usize;
        match lua.inner.with(|vm| vm.call_from_host(count + 1, R::WANTED)) {
            Ok(()) => lua.inner.resume_panic(),
            Err(e) => return Err(lua.failure(e)),
        }
        R::from_slots(frame.results())
    }

    /// The `n`-th user value, from 1; see [`Lua::create_userdata_with_user_values`].
    pub fn nth_user_value<V: FromLua>(&self, n: usize) -> Result<V> {
        let lua = self.0.lua();
        let u = self.0.raw().as_userdata().ok_or(Error::UserDataTypeMismatch)?;
        let raw = u32::try_from(n).ok().and_then(|n| u.user_value(n)).unwrap_or(Raw::NIL);
        V::from_slot(Slot { lua, raw })
    }

    /// Sets the `n`-th user value, from 1.
    pub fn set_nth_user_value(&self, n: usize, value: impl IntoLua) -> Result<()> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let value = frame.push(value)?;
        let u = self.0.raw().as_userdata().ok_or(Error::UserDataTypeMismatch)?;
        let stored = match u32::try_from(n) {
            Ok(n) => lua.inner.with(|vm| u.set_user_value(vm.heap_mut(), n, value)),
            Err(_) => false,
        };
        if stored { Ok(()) } else { Err(Error::runtime("the userdata has no such user value")) }
    }

    /// The metatable, which all values of the type share.
    pub fn metatable(&self) -> Option<UserDataMetatable> {
        let lua = self.0.lua();
        let metatable = self.0.raw().as_userdata()?.metatable()?;
        Some(UserDataMetatable(Table(Handle::new(lua, Raw::table(metatable)))))
    }

    /// The address, which tells userdata apart while they live.
    pub fn to_pointer(&self) -> usize {
        self.0.raw().payload as usize
    }
}

impl fmt::Debug for AnyUserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyUserData(0x{:x})", self.to_pointer())
    }
}

/// The metatable of a host type. Unlike a [`Table`], it does not let go of what the type relies on.
#[derive(Clone, Debug)]
pub struct UserDataMetatable(Table);

impl UserDataMetatable {
    /// A field.
    pub fn get<V: FromLua>(&self, key: impl AsRef<str>) -> Result<V> {
        self.0.raw_get(restricted(key.as_ref())?)
    }

    /// Sets a field.
    pub fn set(&self, key: impl AsRef<str>, value: impl IntoLua) -> Result<()> {
        self.0.raw_set(restricted(key.as_ref())?, value)
    }

    /// Whether there is a field.
    pub fn contains(&self, key: impl AsRef<str>) -> Result<bool> {
        Ok(!self.get::<Value>(key)?.is_nil())
    }
}

/// The name of a metamethod that hosts may set.
fn restricted(name: &str) -> Result<&str> {
    match name {
        "__gc" | "__metatable" | "__mode" => Err(Error::MetaMethodRestricted(name.to_owned())),
        _ => Ok(name),
    }
}

/// A borrow of a userdata's value. As an argument of a Rust function, it accepts userdata of this type only.
pub struct UserDataRef<T: 'static>(OwnedRef<T, Handle>);

impl<T: 'static> UserDataRef<T> {
    pub(crate) fn new(u: AnyUserData) -> Result<UserDataRef<T>> {
        match OwnedRef::new::<UserCell<T>, Error>(u.0, |cell| cell.borrow()) {
            Some(borrow) => borrow.map(UserDataRef),
            None => Err(Error::UserDataTypeMismatch),
        }
    }
}

impl<T> std::ops::Deref for UserDataRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An exclusive borrow of a userdata's value.
pub struct UserDataRefMut<T: 'static>(OwnedRefMut<T, Handle>);

impl<T: 'static> UserDataRefMut<T> {
    pub(crate) fn new(u: AnyUserData) -> Result<UserDataRefMut<T>> {
        match OwnedRefMut::new::<UserCell<T>, Error>(u.0, |cell| cell.borrow_mut()) {
            Some(borrow) => borrow.map(UserDataRefMut),
            None => Err(Error::UserDataTypeMismatch),
        }
    }
}

impl<T> std::ops::Deref for UserDataRefMut<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for UserDataRefMut<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for UserDataRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for UserDataRefMut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Userdata.
impl Lua {
    /// A userdata with a value.
    pub fn create_userdata<T: UserData>(&self, value: T) -> Result<AnyUserData> {
        let u = self.new_userdata(value)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// A userdata with a value and room for so many user values: Lua values that belong to it.
    pub fn create_userdata_with_user_values<T: UserData>(&self, value: T, count: u16) -> Result<AnyUserData> {
        let metatable = self.metatable_of_type::<T>()?;
        let u = self.place_userdata(value, metatable, count)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// A userdata with a value of a type that need not be [`UserData`]: scripts can do with it what
    /// [`Lua::register_userdata_type`] has said, or nothing.
    pub fn create_any_userdata<T: 'static>(&self, value: T) -> Result<AnyUserData> {
        let metatable = match self.known_metatable::<T>() {
            Some(metatable) => metatable,
            None => self.build_metatable::<T>(|_| ())?,
        };
        let u = self.place_userdata(value, metatable, 0)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// Says what scripts can do with values of a type of another crate.
    ///
    /// ```
    /// use std::time::Duration;
    /// use perilune::{Lua, UserDataMethods};
    ///
    /// let lua = Lua::new();
    /// lua.register_userdata_type::<Duration>(|registry| {
    ///     registry.add_method("seconds", |_, this, ()| Ok(this.as_secs_f64()));
    /// })?;
    /// lua.globals().set("burn", lua.create_any_userdata(Duration::from_millis(1500))?)?;
    /// assert_eq!(lua.load("burn:seconds()").eval::<f64>()?, 1.5);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn register_userdata_type<T: 'static>(&self, register: impl FnOnce(&mut UserDataRegistry<T>)) -> Result<()> {
        self.build_metatable::<T>(register).map(drop)
    }

    /// A new userdata, not kept alive.
    pub(crate) fn new_userdata<T: UserData>(&self, value: T) -> Result<Raw> {
        let metatable = self.metatable_of_type::<T>()?;
        self.place_userdata(value, metatable, 0)
    }

    fn place_userdata<T: 'static>(&self, value: T, metatable: u32, user_values: u16) -> Result<Raw> {
        self.safepoint()?;
        let data = Box::new(UserCell(RefCell::new(Some(Guarded::new(self, value)))));
        self.protect(|vm| {
            let metatable = vm.pinned(metatable).as_table();
            vm.userdata(data, metatable, user_values).map(Raw::userdata)
        })
    }

    fn known_metatable<T: 'static>(&self) -> Option<u32> {
        self.inner.constants.metatables.borrow().get(&TypeId::of::<T>()).copied()
    }

    fn metatable_of_type<T: UserData>(&self) -> Result<u32> {
        match self.known_metatable::<T>() {
            Some(metatable) => Ok(metatable),
            None => self.build_metatable::<T>(|registry| {
                T::add_fields(registry);
                T::add_methods(registry);
            }),
        }
    }

    #[cold]
    fn build_metatable<T: 'static>(&self, register: impl FnOnce(&mut UserDataRegistry<T>)) -> Result<u32> {
        let mut registry = UserDataRegistry::<T>::new(self)?;
        // Known from here on, for constants of the type itself.
        let place = self.inner.pin(registry.metatable.0.raw());
        let before = self.inner.constants.metatables.borrow_mut().insert(TypeId::of::<T>(), place);
        register(&mut registry);
        match registry.finish() {
            Ok(()) => Ok(place),
            Err(e) => {
                let mut metatables = self.inner.constants.metatables.borrow_mut();
                match before {
                    Some(before) => metatables.insert(TypeId::of::<T>(), before),
                    None => metatables.remove(&TypeId::of::<T>()),
                };
                Err(e)
            }
        }
    }
}

/// Where a type says what scripts can do with its values.
pub struct UserDataRegistry<T> {
    lua: Lua,
    metatable: Table,
    methods: Table,
    getters: Table,
    setters: Table,
    index: Value,
    new_index: Value,
    name: String,
    /// The first error of those that methods without a result met.
    error: Result<()>,
    types: PhantomData<fn(T)>,
}

impl<T: 'static> UserDataRegistry<T> {
    fn new(lua: &Lua) -> Result<UserDataRegistry<T>> {
        Ok(UserDataRegistry {
            lua: lua.clone(),
            metatable: lua.create_table()?,
            methods: lua.create_table()?,
            getters: lua.create_table()?,
            setters: lua.create_table()?,
            index: Value::Nil,
            new_index: Value::Nil,
            name: short_type_name::<T>(),
            error: Ok(()),
            types: PhantomData,
        })
    }

    /// Does something that can fail, unless something has failed.
    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> Result<()>) {
        if self.error.is_ok() {
            self.error = action(self);
        }
    }

    fn closure<F: 'static>(
        &self,
        name: &str,
        trampoline: perilune_vm::native::NativeFn,
        function: F,
    ) -> Result<Function> {
        let name = format!("{}.{name}", self.name);
        self.lua.native_closure(trampoline, function, Some(name.into()))
    }

    fn set_meta(&mut self, name: &str, value: Value) -> Result<()> {
        match restricted(name)? {
            "__index" => self.index = value,
            "__newindex" => self.new_index = value,
            _ => self.metatable.raw_set(name, value)?,
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.error?;
        let lua = &self.lua;
        let meta = &self.metatable;
        if meta.raw_get::<Value>("__name")?.is_nil() {
            meta.raw_set("__name", self.name.as_str())?;
        }
        meta.raw_set("__metatable", false)?;
        if self.index.is_nil() && self.getters.is_empty() {
            meta.raw_set("__index", &self.methods)?;
        } else {
            let frame = Frame::new(lua);
            let other = frame.push(&self.index)?;
            let upvalues = [self.methods.0.raw(), self.getters.0.raw(), other];
            let f = lua.inner.with(|vm| vm.native(index, Intrinsic::None, &upvalues));
            meta.raw_set("__index", Function(Handle::new(lua, f)))?;
        }
        if !self.new_index.is_nil() || !self.setters.is_empty() {
            let frame = Frame::new(lua);
            let other = frame.push(&self.new_index)?;
            let upvalues = [self.setters.0.raw(), other];
            let f = lua.inner.with(|vm| vm.native(new_index, Intrinsic::None, &upvalues));
            meta.raw_set("__newindex", Function(Handle::new(lua, f)))?;
        }
        Ok(())
    }
}

/// The last part of a type's path.
fn short_type_name<T>() -> String {
    let path = std::any::type_name::<T>();
    let (path, parameters) = path.split_at(path.find('<').unwrap_or(path.len()));
    let name = path.rsplit("::").next().unwrap_or(path);
    format!("{name}{parameters}")
}

/// `__index` of a type with getters: upvalues are methods, getters, and what else there is.
fn index(vm: &mut Vm) -> NativeResult {
    let (u, key) = (vm.arg(1), vm.arg(2));
    let method = field(vm.upvalue(1), key);
    if !method.is_nil() {
        return vm.ret(method);
    }
    let getter = field(vm.upvalue(2), key);
    if !getter.is_nil() {
        vm.push(getter);
        vm.push(u);
        return vm.return_call(1);
    }
    let other = vm.upvalue(3);
    if other.is_nil() {
        return vm.ret(Raw::NIL);
    }
    if other.is_function() {
        for v in [other, u, key] {
            vm.push(v);
        }
        return vm.return_call(2);
    }
    let v = vm.index(other, key)?;
    vm.ret(v)
}

/// `__newindex` of a type with setters: upvalues are setters, and what else there is.
fn new_index(vm: &mut Vm) -> NativeResult {
    let (u, key, value) = (vm.arg(1), vm.arg(2), vm.arg(3));
    let setter = field(vm.upvalue(1), key);
    if !setter.is_nil() {
        for v in [setter, u, value] {
            vm.push(v);
        }
        return vm.return_call(2);
    }
    let other = vm.upvalue(2);
    if other.is_nil() {
        let key = match key.as_str() {
            Some(s) => s.to_string_lossy().into_owned(),
            None => format!("of type {}", key.type_name()),
        };
        return Err(vm.error(&format!("attempt to set an unknown field '{key}'")));
    }
    if other.is_function() {
        for v in [other, u, key, value] {
            vm.push(v);
        }
        return vm.return_call(3);
    }
    vm.set_index(other, key, value)?;
    Ok(0)
}

fn field(table: Raw, key: Raw) -> Raw {
    table.as_table().map_or(Raw::NIL, |t| t.get(key))
}

/// Calls a Rust method with the arguments of the running native function, of which the first is the userdata.
#[inline]
fn run_method<T: 'static, F: 'static, R: IntoLuaMulti>(
    vm: &mut Vm,
    call: impl FnOnce(&F, &Lua, &UserCell<T>, Slots<'_>) -> Result<R>,
) -> NativeResult {
    let Some(closure) = running_closure::<F>(vm) else {
        return Err(no_closure(vm));
    };
    let (first, count) = (vm.args_height(), vm.nargs());
    callback(vm, &closure.owner, |lua| {
        let to = closure.name.as_deref();
        let this = Handle::new(lua, if count > 0 { lua.inner.slot(first) } else { Raw::NIL });
        let Some(cell) = this.cell::<T>() else {
            return Err(Error::bad_argument(to, 1, Some("self"), Error::UserDataTypeMismatch));
        };
        let purpose = Purpose::Arguments { to, before: 1 };
        let rest = Slots { lua, first: first + 1, count: count - 1, purpose };
        call(&closure.function, lua, cell, rest)?.push_all(&mut Stack { lua })
    })
}

fn method<T, M, A, R>(vm: &mut Vm) -> NativeResult
where
    T: 'static,
    M: Fn(&Lua, &T, A) -> Result<R> + 'static,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    run_method(vm, |f: &M, lua, cell, slots| {
        let args = A::from_slots(slots)?;
        let this = cell.borrow().map_err(|e| slots.bad_self(e))?;
        f(lua, &this, args)
    })
}

fn method_mut<T, M, A, R>(vm: &mut Vm) -> NativeResult
where
    T: 'static,
    M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    run_method(vm, |f: &M, lua, cell, slots| {
        let args = A::from_slots(slots)?;
        let mut this = cell.borrow_mut().map_err(|e| slots.bad_self(e))?;
        f(lua, &mut this, args)
    })
}

fn getter<T, M, R>(vm: &mut Vm) -> NativeResult
where
    T: 'static,
    M: Fn(&Lua, &T) -> Result<R> + 'static,
    R: IntoLua,
{
    run_method(vm, |f: &M, lua, cell, slots| {
        let this = cell.borrow().map_err(|e| slots.bad_self(e))?;
        f(lua, &this)
    })
}

impl<T: 'static> UserDataFields<T> for UserDataRegistry<T> {
    fn add_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V) {
        let name = name.into();
        self.attempt(|this| this.methods.raw_set(name, value));
    }

    fn add_field_method_get<M, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T) -> Result<R> + 'static,
        R: IntoLua,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, getter::<T, M, R>, method)?;
            this.getters.raw_set(name, f)
        });
    }

    fn add_field_method_set<M, A>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<()> + 'static,
        A: FromLua,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, method_mut::<T, M, A, ()>, method)?;
            this.setters.raw_set(name, f)
        });
    }

    fn add_field_function_get<F, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData) -> Result<R> + 'static,
        R: IntoLua,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.lua.create_function(function)?;
            this.getters.raw_set(name, f)
        });
    }

    fn add_field_function_set<F, A>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData, A) -> Result<()> + 'static,
        A: FromLua,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.lua.create_function(move |lua, (u, value): (AnyUserData, A)| function(lua, u, value))?;
            this.setters.raw_set(name, f)
        });
    }

    fn add_meta_field<V: IntoLua + 'static>(&mut self, name: impl Into<String>, value: V) {
        let name = name.into();
        self.attempt(|this| {
            let value = value.into_lua(&this.lua)?;
            this.set_meta(&name, value)
        });
    }
}

impl<T: 'static> UserDataMethods<T> for UserDataRegistry<T> {
    fn add_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, self::method::<T, M, A, R>, method)?;
            this.methods.raw_set(name, f)
        });
    }

    fn add_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, method_mut::<T, M, A, R>, method)?;
            this.methods.raw_set(name, f)
        });
    }

    fn add_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, crate::function::function_trampoline::<F, A, R>, function)?;
            this.methods.raw_set(name, f)
        });
    }

    fn add_function_mut<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.lua.create_function_mut(function)?;
            this.methods.raw_set(name, f)
        });
    }

    fn add_meta_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, self::method::<T, M, A, R>, method)?;
            this.set_meta(&name, Value::Function(f))
        });
    }

    fn add_meta_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, method_mut::<T, M, A, R>, method)?;
            this.set_meta(&name, Value::Function(f))
        });
    }

    fn add_meta_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let name = name.into();
        self.attempt(|this| {
            let f = this.closure(&name, crate::function::function_trampoline::<F, A, R>, function)?;
            this.set_meta(&name, Value::Function(f))
        });
    }
}
