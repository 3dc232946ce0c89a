//! Functions.

use std::cell::RefCell;
use std::fmt;

use perilune_base::dialect::table::Environments;
use perilune_vm::Vm;
use perilune_vm::native::{Intrinsic, NativeResult};

use crate::error::{Error, Result};
use crate::lua::{Closure, Lua, running_closure};
use crate::raw::{Handle, Raw, callback};
use crate::stack::{Frame, Purpose, Slots, Stack};
use crate::table::Table;
use crate::value::Value;
use crate::{FromLuaMulti, IntoLua, IntoLuaMulti};

/// A function, of Lua or of Rust.
///
/// ```
/// use perilune::{Function, Lua};
///
/// let lua = Lua::new();
/// let f: Function = lua.load("function(a, b) return a .. b, #a + #b end").eval()?;
/// let (text, length): (String, usize) = f.call(("peri", "lune"))?;
/// assert_eq!((text.as_str(), length), ("perilune", 8));
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Function(pub(crate) Handle);

impl Function {
    /// Calls it. Results that are missing are `nil`, those that are too many are dropped.
    ///
    /// An error that no script catches comes back with a traceback. Code called this way cannot yield to a coroutine
    /// outside of it.
    ///
    /// # Errors
    /// What the code ends with: [`Error::RuntimeError`], [`Error::CallbackError`], [`Error::MemoryError`],
    /// [`Error::LimitReached`] or [`Error::Exit`]. [`Error::ToLuaConversionError`], or what else
    /// [`IntoLuaMulti::into_lua_multi`] gives, if an argument cannot be converted; [`Error::FromLuaConversionError`],
    /// or what else [`FromLuaMulti::from_lua_multi`] gives, if a result cannot.
    pub fn call<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua();
        let frame = Frame::new(lua);
        let mut stack = frame.stack();
        stack.push(self.0.raw())?;
        let count = args.push_all(&mut stack)?;
        run_call(lua, &frame, count)
    }

    /// A function that calls this one with these arguments in front of its own.
    ///
    /// # Errors
    /// [`Error::ToLuaConversionError`], or what else [`IntoLuaMulti::into_lua_multi`] gives, if an argument cannot be
    /// converted. [`Error::MemoryError`] at the limit of memory; if the collector runs, what [`Lua::gc_collect`]
    /// gives.
    ///
    /// ```
    /// use perilune::{Function, Lua};
    ///
    /// let lua = Lua::new();
    /// let add: Function = lua.load("function(a, b) return a + b end").eval()?;
    /// assert_eq!(add.bind(40)?.call::<i64>(2)?, 42);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn bind(&self, args: impl IntoLuaMulti) -> Result<Function> {
        let lua = self.0.lua();
        lua.safepoint()?;
        let frame = Frame::new(lua);
        let count = args.push_all(&mut frame.stack())?;
        let mut upvalues = vec![self.0.raw(), Raw::int(i64::from(count))];
        upvalues.extend((0..count as usize).map(|n| frame.get(n)));
        let f = lua.inner.with(|vm| vm.native(bound, Intrinsic::None, &upvalues));
        Ok(Function(Handle::new(lua, f)))
    }

    /// What is known about it.
    pub fn info(&self) -> FunctionInfo {
        let f = self.0.raw();
        let info = self.0.lua().inner.with(|vm| vm.function_info(f));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = |n: i64| u32::try_from(n).ok();
        FunctionInfo {
            what: info.what,
            source: text(&info.source),
            short_source: text(&info.short_source),
            line_defined: line(info.line_defined),
            last_line_defined: line(info.last_line_defined),
            params: info.params as usize,
            is_vararg: info.is_vararg,
            upvalues: info.upvalues as usize,
        }
    }

    /// The binary form of a Lua function, which [`Lua::load`] reads; without names and lines if it is stripped. `None` for
    /// a function of Rust.
    pub fn dump(&self, strip: bool) -> Option<Vec<u8>> {
        let f = self.0.raw();
        self.0.lua().inner.with(|vm| vm.dump(f, strip))
    }

    /// The table of globals that a Lua function sees: its upvalue `_ENV`, or its environment in Lua 5.1, where all functions
    /// have one.
    pub fn environment(&self) -> Option<Table> {
        let f = self.0.raw();
        let lua = self.0.lua();
        let env = lua.inner.with(|vm| match vm.dialect().environments {
            Environments::Functions => Some(vm.environment(f)),
            Environments::Variable => environment_index(vm, f).and_then(|n| vm.function_upvalue(f, n)).map(|(_, v)| v),
        });
        env?.as_table().map(|t| Table(Handle::new(lua, Raw::table(t))))
    }

    /// Gives a Lua function another table of globals: whether it has any use of globals. Functions that share the variable
    /// `_ENV` with it see the new one too; in Lua 5.1, each function has its own.
    ///
    /// # Errors
    /// [`Error::ForeignValue`] if the table is of another VM; [`Error::MemoryError`] at the limit of memory, for a
    /// function of Rust in Lua 5.1.
    pub fn set_environment(&self, globals: Table) -> Result<bool> {
        let lua = self.0.lua();
        let (f, globals) = (self.0.raw(), globals.0.raw_in(lua)?);
        lua.protect(|vm| match (vm.dialect().environments, globals.as_table()) {
            (Environments::Functions, Some(globals)) => vm.set_environment(f, globals).map(|()| true),
            _ => Ok(environment_index(vm, f).is_some_and(|n| vm.set_function_upvalue(f, n, globals).is_some())),
        })
    }

    /// A function of Rust as a value on its way to Lua, for places where there is no [`Lua`] to make it with.
    ///
    /// ```
    /// use perilune::{Function, Lua};
    ///
    /// let lua = Lua::new();
    /// lua.globals().set("twice", Function::wrap(|_, n: i64| Ok(n * 2)))?;
    /// assert_eq!(lua.load("twice(4)").eval::<i64>()?, 8);
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn wrap<F, A, R>(function: F) -> impl IntoLua
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        Wrapped(move |lua: &Lua| lua.create_function(function))
    }

    /// As [`Function::wrap`], for a function that changes what it has captured.
    pub fn wrap_mut<F, A, R>(function: F) -> impl IntoLua
    where
        F: FnMut(&Lua, A) -> Result<R> + 'static,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        Wrapped(move |lua: &Lua| lua.create_function_mut(function))
    }

    /// The address, which tells functions apart while they live.
    pub fn to_pointer(&self) -> usize {
        self.0.raw().payload as usize
    }
}

/// A function that is made when it is needed.
struct Wrapped<F>(F);

impl<F: FnOnce(&Lua) -> Result<Function>> IntoLua for Wrapped<F> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        (self.0)(lua).map(Value::Function)
    }
}

/// Calls the value of a method with its receiver in front of the arguments, as a script does with `receiver:name(...)`.
pub(crate) fn call_method<R: FromLuaMulti>(
    lua: &Lua,
    method: &Value,
    receiver: Raw,
    args: impl IntoLuaMulti,
) -> Result<R> {
    let frame = Frame::new(lua);
    let mut stack = frame.stack();
    method.push_ref(&mut stack)?;
    stack.push(receiver)?;
    let count = args.push_all(&mut stack)?;
    run_call(lua, &frame, count + 1)
}

/// Calls what a frame begins with; so many arguments follow.
fn run_call<R: FromLuaMulti>(lua: &Lua, frame: &Frame<'_>, count: u32) -> Result<R> {
    match lua.inner.with(|vm| vm.call_from_host(count as usize, R::WANTED)) {
        Ok(()) => lua.inner.resume_panic(),
        Err(e) => return Err(lua.failure(e)),
    }
    R::from_slots(frame.results())
}

/// What is known about a [`Function`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// `Lua`, `main` (a whole chunk) or `C` (a function of Rust).
    pub what: &'static str,
    /// The chunk's name as it was given.
    pub source: String,
    /// The chunk's name as messages have it.
    pub short_source: String,
    /// First line; none of a function of Rust.
    pub line_defined: Option<u32>,
    /// Last line.
    pub last_line_defined: Option<u32>,
    /// Number of fixed parameters.
    pub params: usize,
    /// Whether it takes more.
    pub is_vararg: bool,
    /// Number of upvalues.
    pub upvalues: usize,
}

/// The index of the upvalue `_ENV`.
fn environment_index(vm: &Vm, f: Raw) -> Option<i64> {
    f.as_lua_fn()?;
    let upvalues = i64::from(vm.function_info(f).upvalues);
    (1..=upvalues).find(|&n| vm.function_upvalue(f, n).is_some_and(|(name, _)| name == b"_ENV"))
}

/// Runs a bound function: upvalue 1 is the function, 2 the number of arguments, then they follow.
fn bound(vm: &mut Vm) -> NativeResult {
    let own = vm.nargs();
    let count = vm.upvalue(2).as_int().unwrap_or(0) as usize;
    vm.ensure_stack(own + count + 2)?;
    let f = vm.upvalue(1);
    vm.push(f);
    for n in 0..count {
        let v = vm.upvalue(3 + n);
        vm.push(v);
    }
    for n in 1..=own {
        let v = vm.arg(n);
        vm.push(v);
    }
    let all = own + count;
    if all < MAX_FORWARDED {
        // As a tail call: it may yield.
        return vm.return_call(all);
    }
    vm.call(all, -1)?;
    Ok((vm.nargs() - own) as u32)
}

/// Arguments up to which a native function may end in a call.
const MAX_FORWARDED: usize = 0xff;

/// Calls a Rust function with the arguments of the running native one.
#[inline]
fn run<F: 'static, A: FromLuaMulti, R: IntoLuaMulti>(
    vm: &mut Vm,
    call: impl FnOnce(&F, &Lua, A) -> Result<R>,
) -> NativeResult {
    let Some(closure) = running_closure::<F>(vm) else {
        return Err(no_closure(vm));
    };
    let closure: &Closure<F> = &closure;
    let (first, count) = (vm.args_height(), vm.nargs());
    callback(vm, &closure.owner, |lua| {
        let purpose = Purpose::Arguments { to: closure.name.as_deref(), before: 0 };
        let args = A::from_slots(Slots { lua, first, count, purpose })?;
        let results = call(&closure.function, lua, args)?;
        results.push_all(&mut Stack { lua, for_key: false })
    })
}

/// Only the debug library can do this.
#[cold]
pub(crate) fn no_closure(vm: &mut Vm) -> perilune_vm::native::Raised {
    vm.error("the function's upvalue was replaced")
}

/// What a function made by [`Lua::create_function`] runs.
pub(crate) fn function_trampoline<F, A, R>(vm: &mut Vm) -> NativeResult
where
    F: Fn(&Lua, A) -> Result<R> + 'static,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    run(vm, |f: &F, lua, args| f(lua, args))
}

/// What a function made by [`Lua::create_function_mut`] runs.
pub(crate) fn function_mut_trampoline<F, A, R>(vm: &mut Vm) -> NativeResult
where
    F: FnMut(&Lua, A) -> Result<R> + 'static,
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    run(vm, |f: &RefCell<F>, lua, args| match f.try_borrow_mut() {
        Ok(mut f) => f(lua, args),
        Err(_) => Err(Error::RecursiveMutCallback),
    })
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function(0x{:x})", self.to_pointer())
    }
}
