//! Scopes: functions and userdata that borrow from the host's frames.
//!
//! What a scope makes is known to Lua, which may keep it for as long as it likes; what it borrows goes away with the
//! host's frames. So each such thing holds what it borrows in a cell, and the end of the scope empties all cells, however it
//! comes about. Nothing can be using a cell then:
//!
//! * a function of the scope that is running lies above [`Lua::scope`] on the host's stack;
//! * a borrow of a userdata's value that the host could keep is refused; any other lies above [`Lua::scope`] as well.
//!
//! Should something use one all the same, that is a bug, which ends the process.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::rc::Rc;

use perilune_vm::Vm;
use perilune_vm::native::NativeResult;

use super::callback;
use crate::error::{Error, Result};
use crate::function::{Function, no_closure};
use crate::lua::{Closure, Lua, running_closure};
use crate::stack::{Purpose, Slots, Stack};
use crate::userdata::{AnyUserData, UserData};
use crate::{FromLuaMulti, IntoLuaMulti};

/// What a function of a scope does, with all types but its lifetime erased.
type Body<'a> = dyn Fn(&Lua, Slots<'_>) -> Result<u32> + 'a;

/// A function of a scope; empty when the scope has ended.
type FunctionCell = RefCell<Option<Box<Body<'static>>>>;

/// Makes functions and userdata that borrow from the host, for as long as [`Lua::scope`] runs.
pub struct Scope<'scope, 'env: 'scope> {
    lua: Lua,
    ends: Rc<Ends>,
    /// Neither lifetime may be made longer or shorter.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// What empties the cells of a scope.
#[derive(Default)]
struct Ends(RefCell<Vec<Box<dyn FnOnce()>>>);

impl Ends {
    fn push(&self, end: impl FnOnce() + 'static) {
        self.0.borrow_mut().push(Box::new(end));
    }
}

/// Ends a scope when it is dropped.
struct Guard(Rc<Ends>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut panic = None;
        // What an end drops may make further functions. A panic of one must not keep the others from ending.
        loop {
            let next = self.0.0.borrow_mut().pop();
            let Some(end) = next else { break };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(end)) {
                panic.get_or_insert(payload);
            }
        }
        if let Some(payload) = panic
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

impl Lua {
    /// Runs a function with a [`Scope`], whose functions and userdata may borrow from the caller. When it ends, they stay
    /// in Lua as what they are, but calling or using them is an error.
    ///
    /// # Errors
    /// What the function fails with.
    ///
    /// ```
    /// use perilune::{Error, Function, Lua};
    ///
    /// let lua = Lua::new();
    /// let mut seen = Vec::new();
    /// lua.scope(|scope| {
    ///     let see = scope.create_function_mut(|_, n: i64| Ok(seen.push(n)))?;
    ///     lua.globals().set("see", see)?;
    ///     lua.load("for i = 1, 3 do see(i * i) end").exec()
    /// })?;
    /// assert_eq!(seen, [1, 4, 9]);
    ///
    /// let see: Function = lua.globals().get("see")?;
    /// assert!(see.call::<()>(16).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn scope<'env, R>(&self, run: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> Result<R>) -> Result<R> {
        let ends = Rc::<Ends>::default();
        let scope = Scope { lua: self.clone(), ends: ends.clone(), scope: PhantomData, env: PhantomData };
        // It is dropped first: what it ends may still refer to the scope.
        let _guard = Guard(ends);
        run(&scope)
    }
}

impl<'scope> Scope<'scope, '_> {
    /// As [`Lua::create_function`].
    ///
    /// # Errors
    /// As [`Lua::create_function`]: [`Error::MemoryError`] at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`] gives.
    pub fn create_function<F, A, R>(&'scope self, function: F) -> Result<Function>
    where
        F: Fn(&Lua, A) -> Result<R> + 'scope,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let body: Box<Body<'scope>> = Box::new(move |lua, slots| {
            let args = A::from_slots(slots)?;
            function(lua, args)?.push_all(&mut Stack { lua, for_key: false })
        });
        // SAFETY: only the lifetime is another. The cell is the only holder of the box, and the guard in `Lua::scope` empties
        // it before `'scope` is over, whether that function returns or a panic goes through it.
        let body: Box<Body<'static>> = unsafe { std::mem::transmute::<Box<Body<'scope>>, Box<Body<'static>>>(body) };
        let cell: Rc<FunctionCell> = Rc::new(RefCell::new(Some(body)));
        let held = cell.clone();
        self.ends.push(move || end(&held));
        self.lua.native_closure(trampoline, cell, None)
    }

    /// As [`Lua::create_function_mut`].
    ///
    /// # Errors
    /// As [`Lua::create_function_mut`]: [`Error::MemoryError`] at the limit of memory; if the collector runs, what
    /// [`Lua::gc_collect`] gives.
    pub fn create_function_mut<F, A, R>(&'scope self, function: F) -> Result<Function>
    where
        F: FnMut(&Lua, A) -> Result<R> + 'scope,
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let function = RefCell::new(function);
        self.create_function(move |lua, args: A| match function.try_borrow_mut() {
            Ok(mut function) => function(lua, args),
            Err(_) => Err(Error::RecursiveMutCallback),
        })
    }

    /// A userdata that is a borrowed value. Its mutable methods fail with [`Error::UserDataBorrowMutError`].
    ///
    /// There is no [`UserDataRef`](crate::UserDataRef) of it, which the host could keep: [`Error::UserDataLent`]. Use
    /// [`AnyUserData::borrow_scoped`].
    ///
    /// # Errors
    /// As [`Lua::create_userdata`]: [`Error::MetaMethodRestricted`] if the type has a metamethod that it may not have,
    /// for example, or [`Error::MemoryError`] at the limit of memory.
    pub fn create_userdata_ref<T: UserData>(&'scope self, value: &'scope T) -> Result<AnyUserData> {
        self.lend(Loan { value: NonNull::from(value), is_exclusive: false })
    }

    /// A userdata that is a value borrowed exclusively. As [`Scope::create_userdata_ref`], it has no
    /// [`UserDataRef`](crate::UserDataRef).
    ///
    /// # Errors
    /// As [`Lua::create_userdata`]: [`Error::MetaMethodRestricted`] if the type has a metamethod that it may not have,
    /// for example, or [`Error::MemoryError`] at the limit of memory.
    ///
    /// ```
    /// use perilune::{Lua, UserData, UserDataMethods};
    ///
    /// struct Counter(u32);
    /// impl UserData for Counter {
    ///     fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
    ///         methods.add_method_mut("count", |_, this, ()| Ok(this.0 += 1));
    ///     }
    /// }
    ///
    /// let lua = Lua::new();
    /// let mut counter = Counter(0);
    /// lua.scope(|scope| {
    ///     lua.globals().set("counter", scope.create_userdata_ref_mut(&mut counter)?)?;
    ///     lua.load("for i = 1, 5 do counter:count() end").exec()
    /// })?;
    /// assert_eq!(counter.0, 5);
    /// assert!(lua.load("counter:count()").exec().is_err());
    /// # Ok::<(), perilune::Error>(())
    /// ```
    pub fn create_userdata_ref_mut<T: UserData>(&'scope self, value: &'scope mut T) -> Result<AnyUserData> {
        self.lend(Loan { value: NonNull::from(value), is_exclusive: true })
    }

    fn lend<T: UserData>(&self, loan: Loan<T>) -> Result<AnyUserData> {
        let userdata = self.lua.create_lent_userdata(loan)?;
        let held = userdata.clone();
        let cell = held.0.cell::<T>().map(NonNull::from);
        self.ends.push(move || {
            if let Some(cell) = cell {
                // SAFETY: `held` keeps the userdata alive, in whose box the cell lies; see `Handle::cell`. A VM that is
                // broken frees nothing.
                unsafe { cell.as_ref() }.end_loan();
            }
            drop(held);
        });
        Ok(userdata)
    }
}

/// Empties the cell of a function.
fn end(cell: &FunctionCell) {
    match cell.try_borrow_mut() {
        Ok(mut body) => drop(body.take()),
        // It would be running below its own scope's end.
        Err(_) => still_used(),
    }
}

/// Ends the process, because what a scope has borrowed is about to be gone and still in use.
#[expect(clippy::disallowed_methods, reason = "the one way not to go on that nobody can catch")]
pub(crate) fn still_used() -> ! {
    std::process::abort()
}

/// What the functions of scopes run.
fn trampoline(vm: &mut Vm) -> NativeResult {
    let Some(closure) = running_closure::<Rc<FunctionCell>>(vm) else {
        return Err(no_closure(vm));
    };
    let closure: &Closure<Rc<FunctionCell>> = &closure;
    let (first, count) = (vm.args_height(), vm.nargs());
    callback(vm, &closure.owner, |lua| {
        let purpose = Purpose::Arguments { to: None, before: 0 };
        let body = closure.function.try_borrow().map_err(|_| Error::CallbackDestructed)?;
        match &*body {
            Some(body) => body(lua, Slots { lua, first, count, purpose }),
            None => Err(Error::CallbackDestructed),
        }
    })
}

/// A value that a scope has borrowed, for a cell that the scope's end empties.
pub(crate) struct Loan<T> {
    value: NonNull<T>,
    is_exclusive: bool,
}

impl<T> Loan<T> {
    /// The value.
    pub(crate) fn get(&self) -> &T {
        // SAFETY: the scope borrows the value, and its end takes the loan out of its cell before that borrow is over; the
        // reference given here is one into the cell.
        unsafe { self.value.as_ref() }
    }

    /// The value, to be changed, if it was borrowed for that.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: as in `get`; the borrow was an exclusive one, and this is the only loan of it.
        if self.is_exclusive { Some(unsafe { self.value.as_mut() }) } else { None }
    }
}
