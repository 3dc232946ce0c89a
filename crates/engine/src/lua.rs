//! A Lua VM, and how it is built.

use std::any::{Any, TypeId};
use std::cell::{BorrowError, BorrowMutError, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use perilune_base::dialect::{Dialect, LuaVersion};
use perilune_runtime::heap::Param;
use perilune_runtime::spare::SpareMemory;
use perilune_stdlib::Libraries;
use perilune_stdlib::sandbox::Sandbox;
use perilune_vm::host::{Host, SystemHost};
use perilune_vm::limits::Limits;
use perilune_vm::native::Intrinsic;
use perilune_vm::{Vm, VmOptions};

use crate::chunk::{AsChunk, Chunk};
use crate::error::{Error, Result};
use crate::function::{Function, function_mut_trampoline, function_trampoline};
use crate::raw::{Guarded, Handle, Inner, OwnedRef, OwnedRefMut, Raw, Shared};
use crate::stack::Frame;
use crate::string::LuaString;
use crate::table::Table;
use crate::thread::Thread;
use crate::value::{MultiValue, Value};
use crate::{FromLua, FromLuaMulti, IntoLua, IntoLuaMulti};

/// A Lua VM.
///
/// This is a counted reference: clones are the same VM, and so are all values that came from it. The VM lives as long as
/// one of them does. It belongs to one thread.
///
/// ```
/// use perilune::{Lua, Result};
///
/// # fn main() -> Result<()> {
/// let lua = Lua::new();
/// lua.globals().set("greet", lua.create_function(|_, name: String| Ok(format!("Hello, {name}!")))?)?;
/// let text: String = lua.load("greet('Moon')").eval()?;
/// assert_eq!(text, "Hello, Moon!");
/// # Ok(())
/// # }
/// ```
///
/// # Cycles
/// A Rust function or a userdata that holds a `Lua`, or any value of the same VM, keeps the VM alive for ever. Functions
/// are given a `&Lua`; what they need beyond that they can hold as a [`WeakLua`] or a [`RegistryKey`](crate::RegistryKey).
///
/// # Panics
/// When a Rust function panics that Lua has called, the panic passes through all Lua code, which cannot catch it, and goes
/// on in the Rust code that had called Lua. The VM can be used afterwards. Using a VM from a destructor that its collector
/// runs, or from its own [`Host`], is a panic.
#[derive(Clone)]
pub struct Lua {
    pub(crate) inner: Shared,
}

/// A reference to a VM that does not keep it alive.
///
/// ```
/// let lua = perilune::Lua::new();
/// let weak = lua.weak();
/// assert!(weak.upgrade().is_some());
/// drop(lua);
/// assert!(weak.upgrade().is_none());
/// ```
#[derive(Clone)]
pub struct WeakLua(Weak<Inner>);

impl WeakLua {
    /// The VM, if it is alive and not in the middle of something (as it is for destructors that its collector runs).
    pub fn upgrade(&self) -> Option<Lua> {
        let lua = Lua { inner: Shared::upgrade(&self.0)? };
        lua.inner.is_idle().then_some(lua)
    }
}

/// How a VM is to be.
///
/// ```
/// use perilune::{Error, Libraries, Limits, Lua};
///
/// let lua = Lua::builder()
///     .libraries(Libraries::ALL.without(Libraries::IO.union(Libraries::OS)))
///     .limits(Limits::new().with_instructions(1_000_000).with_memory(8 << 20))
///     .build()?;
/// assert!(matches!(lua.load("while true do end").exec(), Err(Error::LimitReached(_))));
/// # Ok::<(), Error>(())
/// ```
#[must_use]
pub struct LuaBuilder {
    version: LuaVersion,
    strict: bool,
    libraries: Libraries,
    sandbox: Option<Sandbox>,
    limits: Limits,
    host: Option<Box<dyn Host>>,
    jit: bool,
    jit_library: bool,
    spare: Option<&'static SpareMemory>,
}

impl LuaBuilder {
    /// The version of the language.
    pub fn version(mut self, version: LuaVersion) -> LuaBuilder {
        self.version = version;
        self
    }

    /// Whether scripts see only what the manual of the version has. Else they see what the reference interpreter has as it
    /// is usually built, which keeps some things that the manual has removed.
    ///
    /// ```
    /// use perilune::{Lua, LuaVersion};
    ///
    /// let has_pow = |strict| -> perilune::Result<bool> {
    ///     let lua = Lua::builder().version(LuaVersion::Lua54).strict(strict).build()?;
    ///     lua.load("return math.pow ~= nil").eval()
    /// };
    /// assert!(has_pow(false)? && !has_pow(true)?);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn strict(mut self, strict: bool) -> LuaBuilder {
        self.strict = strict;
        self
    }

    /// The standard libraries that scripts see. All, if nothing is said.
    pub fn libraries(mut self, libraries: Libraries) -> LuaBuilder {
        self.libraries = libraries;
        self
    }

    /// A preset for scripts that are not trusted: takes libraries and functions away, and limits what is not limited yet
    /// by [`LuaBuilder::limits`].
    ///
    /// ```
    /// use perilune::{Error, Lua, Sandbox};
    ///
    /// let lua = Lua::builder().sandbox(Sandbox::Restrictive).build()?;
    /// assert!(lua.load("return io == nil and load == nil and os.execute == nil").eval::<bool>()?);
    /// assert!(matches!(lua.load("while true do end").exec(), Err(Error::LimitReached(_))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sandbox(mut self, preset: Sandbox) -> LuaBuilder {
        self.sandbox = Some(preset);
        self
    }

    /// What scripts may spend. No limits, if nothing is said.
    pub fn limits(mut self, limits: Limits) -> LuaBuilder {
        self.limits = limits;
        self
    }

    /// The outside world. The real one, if nothing is said.
    pub fn host(mut self, host: Box<dyn Host>) -> LuaBuilder {
        self.host = Some(host);
        self
    }

    /// Whether hot code is compiled to native code. It is, if nothing is said, where the crate has the feature `jit`; what
    /// scripts see, and what they are charged, is the same.
    pub fn jit(mut self, jit: bool) -> LuaBuilder {
        self.jit = jit;
        self
    }

    /// Whether scripts have the library `jit`, by which they switch the compiler on and off, as a whole or for a function,
    /// let it forget its code, and ask what it has. They do not, if nothing is said.
    ///
    /// ```
    /// let lua = perilune::Lua::builder().jit_library(true).build()?;
    /// lua.load("jit.off(true) assert(not jit.status(true))").exec()?;
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn jit_library(mut self, jit_library: bool) -> LuaBuilder {
        self.jit_library = jit_library;
        self
    }

    /// The allocator of the program, if it is one that keeps memory back: then scripts get an error when the system refuses
    /// memory, and the program goes on.
    ///
    /// ```
    /// use perilune::{Lua, SpareMemory};
    ///
    /// #[global_allocator]
    /// static MEMORY: SpareMemory = SpareMemory::new();
    ///
    /// let lua = Lua::builder().spare_memory(&MEMORY).build()?;
    /// assert!(!MEMORY.is_spent());
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn spare_memory(mut self, spare: &'static SpareMemory) -> LuaBuilder {
        self.spare = Some(spare);
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// It never fails: there is a VM for all options.
    pub fn build(self) -> Result<Lua> {
        Ok(self.open())
    }

    fn open(self) -> Lua {
        let host = self.host.unwrap_or_else(|| Box::new(SystemHost::new()));
        let limits = match self.sandbox {
            Some(preset) => self.limits.or(preset.limits()),
            None => self.limits,
        };
        let lua = Lua::from_vm(Vm::new(VmOptions { dialect: Dialect::of(self.version, self.strict), host, limits }));
        if let Some(spare) = self.spare {
            lua.inner.with(|vm| vm.heap_mut().set_spare(spare));
        }
        lua.inner.with(|vm| match self.sandbox {
            Some(preset) => preset.open(vm, self.libraries),
            None => perilune_stdlib::open(vm, self.libraries),
        });
        if self.jit_library {
            lua.inner.with(perilune_stdlib::jit::open);
        }
        if self.jit {
            lua.inner.with(attach_jit);
        }
        lua
    }
}

/// Attaches the trace compiler.
#[cfg(feature = "jit")]
fn attach_jit(vm: &mut Vm) {
    vm.set_tier(perilune_jit::Jit::new(perilune_jit::JitOptions::default()));
}

#[cfg(not(feature = "jit"))]
fn attach_jit(_: &mut Vm) {}

/// The VM and its options.
impl Lua {
    /// A VM with all standard libraries, no limits and the real world.
    #[expect(clippy::new_without_default, reason = "reaching the real world should be visible")]
    pub fn new() -> Lua {
        Lua::builder().open()
    }

    /// A VM of choice.
    pub fn builder() -> LuaBuilder {
        LuaBuilder {
            version: LuaVersion::DEFAULT,
            strict: false,
            libraries: Libraries::ALL,
            sandbox: None,
            limits: Limits::default(),
            host: None,
            jit: true,
            jit_library: false,
            spare: None,
        }
    }

    fn from_vm(vm: Box<Vm>) -> Lua {
        Lua { inner: Shared::new(Inner::new(vm)) }
    }

    /// A reference that does not keep the VM alive.
    pub fn weak(&self) -> WeakLua {
        WeakLua(self.inner.downgrade())
    }

    /// Replaces all limits. What was spent before counts no more.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.with(|vm| vm.set_limits(limits));
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.inner.with(|vm| vm.limits().settings())
    }

    /// Sets the limit of memory in bytes, 0 for none, and gives the one before.
    pub fn set_memory_limit(&self, bytes: usize) -> usize {
        let limit = (bytes != 0).then_some(bytes);
        self.inner.with(|vm| vm.set_memory_limit(limit)).unwrap_or(0)
    }

    /// While the flag is set, running scripts are interrupted: they soon get the error `interrupted!`, which they can catch
    /// as any other, and the flag is reset. Whoever shares the flag may set it, at any time and from any thread.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// let lua = perilune::Lua::new();
    /// let flag = Arc::new(AtomicBool::new(false));
    /// lua.set_interrupt(flag.clone());
    /// let impatient = std::thread::spawn(move || flag.store(true, Ordering::Relaxed));
    /// let error = lua.load("while true do end").exec().unwrap_err();
    /// assert!(error.to_string().contains("interrupted!"));
    /// # impatient.join().unwrap();
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn set_interrupt(&self, flag: Arc<AtomicBool>) {
        self.inner.with(|vm| vm.set_interrupt(flag));
    }

    /// Units of fuel that scripts have spent: one for each call and for each instruction of a loop, more for long library
    /// operations. The same program on the same input spends the same, on every machine.
    ///
    /// ```
    /// let spent = |program: &str| -> perilune::Result<u64> {
    ///     let lua = perilune::Lua::new();
    ///     let before = lua.fuel_used();
    ///     lua.load(program).exec()?;
    ///     Ok(lua.fuel_used() - before)
    /// };
    /// assert_eq!(spent("for i = 1, 1000 do end")?, spent("for i = 1, 1000 do end")?);
    /// assert!(spent("for i = 1, 1000 do end")? < spent("for i = 1, 2000 do end")?);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn fuel_used(&self) -> u64 {
        self.inner.with(|vm| vm.fuel_used())
    }

    /// Bytes in use by the VM.
    pub fn used_memory(&self) -> usize {
        self.inner.with(|vm| vm.heap().bytes)
    }
}

/// The collector.
impl Lua {
    /// Lets the collector work if it is due, as it does while Lua code runs.
    #[inline]
    pub(crate) fn safepoint(&self) -> Result<()> {
        if self.inner.is_step_due() { self.safepoint_now() } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn safepoint_now(&self) -> Result<()> {
        self.inner.flush_dropped();
        self.protect(|vm| vm.safepoint())
    }

    /// A full collection, with the finalizers of what was found. What a finalizer makes unreachable goes with the next one.
    ///
    /// # Errors
    /// What a finalizer ends with: [`Error::LimitReached`] or [`Error::Exit`]; before Lua 5.4 also
    /// [`Error::RuntimeError`], [`Error::CallbackError`] or [`Error::MemoryError`], where later versions warn.
    pub fn gc_collect(&self) -> Result<()> {
        self.inner.flush_dropped();
        self.protect(|vm| vm.collect())?;
        self.inner.flush_dropped();
        Ok(())
    }

    /// A step of the collector: whether it ended a cycle.
    ///
    /// # Errors
    /// As [`Lua::gc_collect`]: [`Error::LimitReached`], for example, if a finalizer spends too much.
    pub fn gc_step(&self) -> Result<bool> {
        self.gc_step_kbytes(0)
    }

    /// As much work of the collector as so many KiB of allocation would cause: whether it ended a cycle.
    ///
    /// # Errors
    /// As [`Lua::gc_collect`]: [`Error::LimitReached`], for example, if a finalizer spends too much.
    pub fn gc_step_kbytes(&self, kbytes: usize) -> Result<bool> {
        self.inner.flush_dropped();
        self.protect(|vm| vm.collect_step(kbytes))
    }

    /// Stops the collector, until [`Lua::gc_restart`] or the limit of memory.
    pub fn gc_stop(&self) {
        self.inner.with(|vm| vm.heap_mut().stop());
    }

    /// Lets the collector work again.
    pub fn gc_restart(&self) {
        self.inner.with(|vm| vm.heap_mut().restart());
    }

    /// Whether the collector is not stopped.
    pub fn gc_is_running(&self) -> bool {
        self.inner.with(|vm| vm.heap().is_running())
    }

    /// Sets the parameters of the incremental collector, as `collectgarbage("incremental", ...)` does: 0 leaves one as it
    /// is.
    pub fn gc_inc(&self, pause: u32, step_multiplier: u32, step_size: u32) {
        self.inner.with(|vm| {
            for (param, value) in
                [(Param::Pause, pause), (Param::StepMul, step_multiplier), (Param::StepSize, step_size)]
            {
                if value != 0 {
                    vm.heap_mut().set_param(param, value);
                }
            }
        });
    }
}

/// Code.
impl Lua {
    /// A chunk of Lua code, which is neither compiled nor run yet.
    ///
    /// It has the name of the place in Rust that loads it, until [`Chunk::set_name`] gives it another.
    #[track_caller]
    pub fn load<'a>(&self, chunk: impl AsChunk<'a>) -> Chunk<'a> {
        Chunk::new(self, chunk, std::panic::Location::caller())
    }

    /// A traceback of the running coroutine, with a message in front.
    pub fn traceback(&self, message: Option<&str>, level: usize) -> String {
        let text = self.inner.with(|vm| {
            let (running, _) = vm.running();
            vm.traceback(running, message.map(str::as_bytes), level)
        });
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Emits a warning, as `warn` does.
    pub fn warning(&self, message: impl AsRef<str>, to_be_continued: bool) {
        self.inner.with(|vm| vm.warn(message.as_ref().as_bytes(), to_be_continued));
    }
}

/// Values.
impl Lua {
    /// The table of globals.
    pub fn globals(&self) -> Table {
        let t = self.inner.with(|vm| Raw::table(vm.globals()));
        Table(Handle::new(self, t))
    }

    /// Whether the language tells integers from floats.
    #[cfg(feature = "serde")]
    pub(crate) fn has_integers(&self) -> bool {
        self.inner.int_value(0).as_int().is_some()
    }

    /// A new table.
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_table(&self) -> Result<Table> {
        self.create_table_with_capacity(0, 0)
    }

    /// A new table with room for so many elements of a sequence and so many other fields.
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_table_with_capacity(&self, elements: usize, fields: usize) -> Result<Table> {
        self.safepoint()?;
        let t = self.inner.with(|vm| Raw::table(vm.table(elements, fields)));
        Ok(Table(Handle::new(self, t)))
    }

    /// A new table with these fields.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if a key or a value cannot be
    /// converted; [`Error::RuntimeError`] if a key is `nil` or NaN. [`Error::MemoryError`] at the limit of memory; if
    /// the collector runs, what [`Lua::gc_collect`] gives.
    ///
    /// ```
    /// # let lua = perilune::Lua::new();
    /// let t = lua.create_table_from([("x", 1.5), ("y", 2.5)])?;
    /// assert_eq!(t.get::<f64>("y")?, 2.5);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn create_table_from<K: IntoLua, V: IntoLua>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<Table> {
        let pairs = pairs.into_iter();
        let frame = Frame::new(self);
        crate::convert::push_map(&mut frame.stack(), pairs.size_hint().0, pairs)?;
        Ok(Table(Handle::new(self, frame.get(0))))
    }

    /// A new table with these elements, from 1 on.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if an element cannot be converted.
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_sequence_from<T: IntoLua>(&self, elements: impl IntoIterator<Item = T>) -> Result<Table> {
        let elements = elements.into_iter();
        let frame = Frame::new(self);
        crate::convert::push_sequence(&mut frame.stack(), elements.size_hint().0, elements)?;
        Ok(Table(Handle::new(self, frame.get(0))))
    }

    /// A string of any bytes.
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_string(&self, bytes: impl AsRef<[u8]>) -> Result<LuaString> {
        let bytes = bytes.as_ref();
        self.make_room(bytes.len())?;
        let s = self.inner.string(bytes);
        Ok(LuaString(Handle::new(self, s)))
    }

    /// A Lua function that calls a function of Rust.
    ///
    /// Arguments and results are whatever implements [`FromLuaMulti`] and [`IntoLuaMulti`], so tuples for several ones.
    /// Errors become Lua errors, which scripts can catch.
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    ///
    /// ```
    /// use perilune::Lua;
    ///
    /// let lua = Lua::new();
    /// let divmod = lua.create_function(|_, (a, b): (i64, i64)| Ok((a.div_euclid(b), a.rem_euclid(b))))?;
    /// let results: (i64, i64) = divmod.call((17, 5))?;
    /// assert_eq!(results, (3, 2));
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn create_function<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.native_closure(function_trampoline::<F, A, R>, function, None)
    }

    /// As [`Lua::create_function`], for a function that changes what it has captured. Calling it while it runs is
    /// [`Error::RecursiveMutCallback`].
    ///
    /// # Errors
    /// [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`] gives.
    pub fn create_function_mut<F, A, R>(&self, function: F) -> Result<Function>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        self.native_closure(function_mut_trampoline::<F, A, R>, RefCell::new(function), None)
    }

    /// A coroutine that will run a function.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the function is of another VM; [`Error::LimitReached`] if there may be no more
    /// coroutines. [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`]
    /// gives.
    pub fn create_thread(&self, function: Function) -> Result<Thread> {
        self.safepoint()?;
        let f = function.0.raw_in(self)?;
        let thread = self.protect(|vm| vm.new_coroutine(f))?;
        Ok(Thread(Handle::new(self, Raw::thread(thread))))
    }

    /// The running coroutine, or the main one.
    pub fn current_thread(&self) -> Thread {
        let thread = self.inner.with(|vm| Raw::thread(vm.running().0));
        Thread(Handle::new(self, thread))
    }

    /// Converts a value of Rust.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLua::into_lua`] gives, if it cannot be converted;
    /// [`Error::ForeignValue`] if what comes out is of another VM.
    pub fn pack(&self, value: impl IntoLua) -> Result<Value> {
        let value = value.into_lua(self)?;
        value.check_owner(self)?;
        Ok(value)
    }

    /// Converts a value of Lua.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the value is of another VM. [`Error::FromLuaConversionError`], or what else
    /// [`FromLua::from_lua`] gives, if it cannot be converted.
    pub fn unpack<T: FromLua>(&self, value: Value) -> Result<T> {
        value.check_owner(self)?;
        T::from_lua(value, self)
    }

    /// Converts a list of values of Rust.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLuaMulti::into_lua_multi`] gives, if one cannot be
    /// converted. [`Error::ForeignValue`] if one is of another VM.
    pub fn pack_multi(&self, values: impl IntoLuaMulti) -> Result<MultiValue> {
        let values = values.into_lua_multi(self)?;
        values.iter().try_for_each(|value| value.check_owner(self))?;
        Ok(values)
    }

    /// Converts a list of values of Lua.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if a value is of another VM. [`Error::FromLuaConversionError`], or what else
    /// [`FromLuaMulti::from_lua_multi`] gives, if one cannot be converted.
    pub fn unpack_multi<T: FromLuaMulti>(&self, values: MultiValue) -> Result<T> {
        values.iter().try_for_each(|value| value.check_owner(self))?;
        T::from_lua_multi(values, self)
    }

    /// The string that a value is, or that a number is as text.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the value is of another VM. [`Error::MemoryError`] at the limit of memory; if the
    /// collector runs, what [`Lua::gc_collect`] gives.
    pub fn coerce_string(&self, value: Value) -> Result<Option<LuaString>> {
        self.coerce(value)
    }

    /// The integer that a value is, equals, or spells.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the value is of another VM.
    pub fn coerce_integer(&self, value: Value) -> Result<Option<i64>> {
        self.coerce(value)
    }

    /// The number that a value is or spells.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the value is of another VM.
    pub fn coerce_number(&self, value: Value) -> Result<Option<f64>> {
        self.coerce(value)
    }

    fn coerce<T: FromLua>(&self, value: Value) -> Result<Option<T>> {
        match T::from_lua(value, self) {
            Ok(v) => Ok(Some(v)),
            Err(Error::FromLuaConversionError { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Metatables of types.
impl Lua {
    /// The metatable shared by all values of a type: `bool`, `f64` (all numbers), [`LuaString`], [`Function`], [`Thread`],
    /// or [`LightUserData`](crate::LightUserData).
    ///
    /// ```
    /// use perilune::{Function, Lua, LuaString};
    ///
    /// let lua = Lua::new();
    /// let strings = lua.type_metatable::<LuaString>().expect("the string library sets it");
    /// let index: perilune::Table = strings.get("__index")?;
    /// index.set("shout", lua.load("function(s) return s:upper() .. '!' end").eval::<Function>()?)?;
    /// assert_eq!(lua.load("('moon'):shout()").eval::<String>()?, "MOON!");
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn type_metatable<T: SharedMetatable>(&self) -> Option<Table> {
        let probe = T::probe();
        let metatable = self.inner.metatable(probe);
        (!metatable.is_nil()).then(|| Table(Handle::new(self, metatable)))
    }

    /// Sets or removes the metatable shared by all values of a type.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the metatable is of another VM.
    pub fn set_type_metatable<T: SharedMetatable>(&self, metatable: Option<Table>) -> Result<()> {
        let metatable = metatable.map(|t| t.0.raw_in(self)).transpose()?.and_then(Raw::as_table);
        self.inner.with(|vm| vm.set_type_metatable(T::probe().tag, metatable));
        Ok(())
    }
}

/// Types whose values share a metatable.
pub trait SharedMetatable: sealed::Sealed {}

mod sealed {
    use crate::raw::Raw;
    use perilune_runtime::value::Tag;

    pub trait Sealed {
        /// A value with the type's tag; its payload is not looked at.
        #[doc(hidden)]
        fn probe() -> Raw;
    }

    macro_rules! shared {
        ($($type:ty: $tag:ident)*) => {$(
            impl Sealed for $type {
                fn probe() -> Raw {
                    Raw { payload: 0, tag: Tag::$tag }
                }
            }

            impl super::SharedMetatable for $type {}
        )*};
    }
    shared! {
        bool: True
        f64: Float
        crate::LightUserData: Light
        crate::LuaString: Str
        crate::Function: NativeFn
        crate::Thread: Thread
    }
}

/// Functions of Rust.
impl Lua {
    /// A native function with a Rust closure behind it.
    pub(crate) fn native_closure<F: 'static>(
        &self,
        trampoline: perilune_vm::native::NativeFn,
        function: F,
        name: Option<Box<str>>,
    ) -> Result<Function> {
        self.safepoint()?;
        let closure = Rc::new(Closure { function: Guarded::new(self, function), owner: self.inner.downgrade(), name });
        let f = self.protect(|vm| {
            let data = vm.userdata(Box::new(closure), None, 0)?;
            Ok(vm.native(trampoline, Intrinsic::None, &[Raw::userdata(data)]))
        })?;
        Ok(Function(Handle::new(self, f)))
    }
}

/// What a native function of this crate has as its first upvalue.
pub(crate) struct Closure<F> {
    pub(crate) function: Guarded<F>,
    pub(crate) owner: Weak<Inner>,
    /// What errors call it.
    pub(crate) name: Option<Box<str>>,
}

/// The closure of the running native function.
///
/// The count keeps it alive while it runs, whatever happens to the upvalue.
#[inline]
pub(crate) fn running_closure<F: 'static>(vm: &Vm) -> Option<Rc<Closure<F>>> {
    vm.upvalue(1).as_userdata()?.downcast_ref::<Rc<Closure<F>>>(vm.heap()).cloned()
}

/// The host's typed data.
impl Lua {
    /// Keeps a value with the VM, one for each type, and gives the one before. While the one before is borrowed, the new
    /// one takes its place for later borrows, and `None` is returned.
    ///
    /// ```
    /// struct Config { verbose: bool }
    ///
    /// let lua = perilune::Lua::new();
    /// lua.set_app_data(Config { verbose: true });
    /// let is_verbose = lua.create_function(|lua, ()| {
    ///     Ok(lua.app_data_ref::<Config>().is_some_and(|config| config.verbose))
    /// })?;
    /// assert!(is_verbose.call::<bool>(())?);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn set_app_data<T: 'static>(&self, data: T) -> Option<T> {
        let cell: Rc<dyn Any> = Rc::new(RefCell::new(data));
        let before = self.inner.app_data.borrow_mut().insert(TypeId::of::<T>(), cell);
        before.and_then(owned_data)
    }

    /// The value of a type. `None` if there is none, or it is borrowed exclusively.
    pub fn app_data_ref<T: 'static>(&self) -> Option<AppDataRef<T>> {
        let cell = self.app_data_cell::<T>()?;
        let borrow = OwnedRef::new::<RefCell<T>, BorrowError>(cell, |cell| cell.try_borrow())?;
        borrow.ok().map(AppDataRef)
    }

    /// The value of a type, to change it. `None` if there is none, or it is borrowed.
    pub fn app_data_mut<T: 'static>(&self) -> Option<AppDataRefMut<T>> {
        let cell = self.app_data_cell::<T>()?;
        let borrow = OwnedRefMut::new::<RefCell<T>, BorrowMutError>(cell, |cell| cell.try_borrow_mut())?;
        borrow.ok().map(AppDataRefMut)
    }

    /// Takes the value of a type out. `None` if there is none, or it is borrowed.
    pub fn remove_app_data<T: 'static>(&self) -> Option<T> {
        drop(self.app_data_mut::<T>()?);
        let cell = self.inner.app_data.borrow_mut().remove(&TypeId::of::<T>())?;
        owned_data(cell)
    }

    fn app_data_cell<T: 'static>(&self) -> Option<Rc<RefCell<T>>> {
        let cell = self.inner.app_data.borrow().get(&TypeId::of::<T>())?.clone();
        cell.downcast().ok()
    }
}

fn owned_data<T: 'static>(cell: Rc<dyn Any>) -> Option<T> {
    let cell = cell.downcast::<RefCell<T>>().ok()?;
    Rc::into_inner(cell).map(RefCell::into_inner)
}

/// A borrow of [typed data](Lua::set_app_data).
pub struct AppDataRef<T: 'static>(OwnedRef<T, Rc<RefCell<T>>>);

impl<T> std::ops::Deref for AppDataRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An exclusive borrow of [typed data](Lua::set_app_data).
pub struct AppDataRefMut<T: 'static>(OwnedRefMut<T, Rc<RefCell<T>>>);

impl<T> std::ops::Deref for AppDataRefMut<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for AppDataRefMut<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl fmt::Debug for Lua {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lua").finish_non_exhaustive()
    }
}
