//! How userdata come to be: the metatable of a type from what the type says of itself, and the functions in it.

use std::any::TypeId;
use std::marker::PhantomData;

use perilune_vm::Vm;
use perilune_vm::native::{Intrinsic, NativeResult};

use super::any::restricted;
use super::{AnyUserData, UserCell, UserData, UserDataFields, UserDataMethods};
use crate::error::{Error, Result};
use crate::function::{Function, no_closure};
use crate::lua::{Lua, running_closure};
use crate::raw::scope::Loan;
use crate::raw::{Handle, Raw, callback};
use crate::stack::{Frame, Purpose, Slots, Stack};
use crate::table::Table;
use crate::value::Value;
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

/// Userdata.
impl Lua {
    /// A userdata with a value.
    ///
    /// # Errors
    /// For the first value of a type, [`Error::MetaMethodRestricted`] if it has a metamethod that it may not have, and
    /// what [`IntoLua::into_lua`] gives for a constant. [`Error::MemoryError`] at the limit of memory; if the
    /// collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_userdata<T: UserData>(&self, value: T) -> Result<AnyUserData> {
        let u = self.new_userdata(value)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// A userdata with a value and room for so many user values: Lua values that belong to it.
    ///
    /// # Errors
    /// For the first value of a type, [`Error::MetaMethodRestricted`] if it has a metamethod that it may not have, and
    /// what [`IntoLua::into_lua`] gives for a constant. [`Error::MemoryError`] at the limit of memory; if the
    /// collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_userdata_with_user_values<T: UserData>(&self, value: T, count: u16) -> Result<AnyUserData> {
        let metatable = self.metatable_of_type::<T>()?;
        let u = self.place_userdata(value, metatable, count)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// A userdata with a value of a type that need not be [`UserData`]: scripts can do with it what
    /// [`Lua::register_userdata_type`] has said, or nothing.
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_any_userdata<T: 'static>(&self, value: T) -> Result<AnyUserData> {
        let metatable = match self.known_metatable::<T>() {
            Some(metatable) => metatable,
            None => self.build_metatable::<T>(|_| ())?,
        };
        let u = self.place_userdata(value, metatable, 0)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    /// A table of the functions, methods and constants of a type, for scripts that have no value of it yet.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] if the type has a metamethod that it may not have, and what
    /// [`IntoLua::into_lua`] gives for a constant. [`Error::MemoryError`] at the limit of memory; if the collector
    /// runs, what [`Lua::gc_collect`] gives.
    ///
    /// ```
    /// use perilune::{Lua, UserData, UserDataMethods};
    ///
    /// struct Crater(f64);
    /// impl UserData for Crater {
    ///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
    ///         methods.add_function("new", |lua, diameter: f64| lua.create_userdata(Crater(diameter)));
    ///         methods.add_method("area", |_, this, ()| Ok(this.0 * this.0 * 0.785));
    ///     }
    /// }
    ///
    /// let lua = Lua::new();
    /// lua.globals().set("Crater", lua.create_proxy::<Crater>()?)?;
    /// assert_eq!(lua.load("Crater.new(2):area()").eval::<f64>()?, 3.14);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn create_proxy<T: UserData>(&self) -> Result<Table> {
        let mut registry = UserDataRegistry::<T>::new(self)?;
        T::add_fields(&mut registry);
        T::add_methods(&mut registry);
        registry.error?;
        Ok(registry.methods)
    }

    /// Says what scripts can do with values of a type of another crate.
    ///
    /// # Errors
    /// [`Error::MetaMethodRestricted`] if the type gets a metamethod that it may not have, and what
    /// [`IntoLua::into_lua`] gives for a constant. [`Error::MemoryError`] at the limit of memory; if the collector
    /// runs, what [`Lua::gc_collect`] gives.
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

    /// A userdata whose value is the host's.
    pub(crate) fn create_lent_userdata<T: UserData>(&self, loan: Loan<T>) -> Result<AnyUserData> {
        let metatable = self.metatable_of_type::<T>()?;
        let u = self.place_cell(UserCell::lent(loan), metatable, 0)?;
        Ok(AnyUserData(Handle::new(self, u)))
    }

    fn place_userdata<T: 'static>(&self, value: T, metatable: u32, user_values: u16) -> Result<Raw> {
        self.place_cell(UserCell::new(self, value), metatable, user_values)
    }

    fn place_cell<T: 'static>(&self, cell: UserCell<T>, metatable: u32, user_values: u16) -> Result<Raw> {
        self.safepoint()?;
        let data = Box::new(cell);
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

/// Where a function of a type is kept.
#[derive(Clone, Copy)]
enum Place {
    Methods,
    Getters,
    Setters,
    Metatable,
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

    /// Puts a function where it belongs, unless something has failed.
    fn define(&mut self, place: Place, name: impl Into<String>, make: impl FnOnce(&Self, &str) -> Result<Function>) {
        let name = name.into();
        self.attempt(|this| {
            let function = make(this, &name)?;
            match place {
                Place::Methods => this.methods.raw_set(name, function),
                Place::Getters => this.getters.raw_set(name, function),
                Place::Setters => this.setters.raw_set(name, function),
                Place::Metatable => this.set_meta(&name, Value::Function(function)),
            }
        });
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
        call(&closure.function, lua, cell, rest)?.push_all(&mut Stack { lua, for_key: false })
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

fn method_once<T, M, A, R>(vm: &mut Vm) -> NativeResult
where
    T: 'static,
    M: Fn(&Lua, T, A) -> Result<R> + 'static,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    run_method(vm, |f: &M, lua, cell, slots| {
        let args = A::from_slots(slots)?;
        let this = cell.take().map_err(|e| slots.bad_self(e))?;
        f(lua, this, args)
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
        self.define(Place::Getters, name, |this, name| this.closure(name, getter::<T, M, R>, method));
    }

    fn add_field_method_set<M, A>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<()> + 'static,
        A: FromLua,
    {
        self.define(Place::Setters, name, |this, name| this.closure(name, method_mut::<T, M, A, ()>, method));
    }

    fn add_field_function_get<F, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData) -> Result<R> + 'static,
        R: IntoLua,
    {
        self.define(Place::Getters, name, |this, _| this.lua.create_function(function));
    }

    fn add_field_function_set<F, A>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, AnyUserData, A) -> Result<()> + 'static,
        A: FromLua,
    {
        self.define(Place::Setters, name, |this, _| {
            this.lua.create_function(move |lua, (u, value): (AnyUserData, A)| function(lua, u, value))
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
        self.define(Place::Methods, name, |this, name| this.closure(name, self::method::<T, M, A, R>, method));
    }

    fn add_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Methods, name, |this, name| this.closure(name, method_mut::<T, M, A, R>, method));
    }

    fn add_method_once<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Methods, name, |this, name| this.closure(name, method_once::<T, M, A, R>, method));
    }

    fn add_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Methods, name, |this, name| {
            this.closure(name, crate::function::function_trampoline::<F, A, R>, function)
        });
    }

    fn add_function_mut<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Methods, name, |this, _| this.lua.create_function_mut(function));
    }

    fn add_meta_method<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Metatable, name, |this, name| this.closure(name, self::method::<T, M, A, R>, method));
    }

    fn add_meta_method_mut<M, A, R>(&mut self, name: impl Into<String>, method: M)
    where
        M: Fn(&Lua, &mut T, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Metatable, name, |this, name| this.closure(name, method_mut::<T, M, A, R>, method));
    }

    fn add_meta_function<F, A, R>(&mut self, name: impl Into<String>, function: F)
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.define(Place::Metatable, name, |this, name| {
            this.closure(name, crate::function::function_trampoline::<F, A, R>, function)
        });
    }
}
