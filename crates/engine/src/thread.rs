//! Coroutines.

use std::fmt;

use perilune_vm::Vm;
use perilune_vm::control::Control;

use crate::error::{Error, Result, traceback_text};
use crate::raw::{Handle, Inner, Raw};
use crate::stack::{Frame, Slots};
use crate::{FromLuaMulti, IntoLuaMulti};

/// What a coroutine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadStatus {
    /// It has not started, or has yielded.
    Resumable,
    /// It is the one that runs.
    Running,
    /// It has resumed another one.
    Normal,
    /// It has returned, or was closed.
    Finished,
    /// It has failed.
    Error,
}

/// A coroutine.
///
/// ```
/// use perilune::{Function, Lua, ThreadStatus};
///
/// let lua = Lua::new();
/// let count: Function = lua.load("function(n) for i = 1, n do coroutine.yield(i) end return 'lift-off' end").eval()?;
/// let thread = lua.create_thread(count)?;
/// assert_eq!(thread.resume::<i64>(2)?, 1);
/// assert_eq!(thread.resume::<i64>(())?, 2);
/// assert_eq!(thread.resume::<String>(())?, "lift-off");
/// assert_eq!(thread.status(), ThreadStatus::Finished);
/// # Ok::<(), perilune::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Thread(pub(crate) Handle);

impl Thread {
    /// Goes on with it: what it yields or returns comes back. The arguments are those of its function the first time, the
    /// results of `yield` later.
    ///
    /// # Errors
    /// [`Error::CoroutineUnresumable`] if it has ended, is running, or has resumed another one. Else as
    /// [`Function::call`](crate::Function::call): what its code ends with, and what the conversions give.
    pub fn resume<R: FromLuaMulti>(&self, args: impl IntoLuaMulti) -> Result<R> {
        let lua = self.0.lua();
        if self.status() != ThreadStatus::Resumable {
            return Err(Error::CoroutineUnresumable);
        }
        let frame = Frame::new(lua);
        let mut stack = frame.stack();
        stack.push(lua.inner.with(|vm| resume_function(vm, &lua.inner)))?;
        stack.push(self.0.raw())?;
        let count = args.push_all(&mut stack)? as usize;
        match lua.inner.with(|vm| vm.call_from_host(count + 1, -1)) {
            Ok(()) => lua.inner.resume_panic(),
            Err(e) => return Err(lua.failure(e)),
        }
        if frame.get(0).is_truthy() {
            let all = frame.results();
            return R::from_slots(Slots { first: all.first + 1, count: all.count - 1, ..all });
        }
        let co = self.0.raw().as_thread();
        let traceback = co.map(|co| lua.inner.with(|vm| vm.traceback(co, None, 0))).unwrap_or_default();
        Err(lua.error_from(frame.get(1), traceback_text(&traceback)))
    }

    /// What it is doing.
    pub fn status(&self) -> ThreadStatus {
        let Some(co) = self.0.raw().as_thread() else {
            return ThreadStatus::Finished;
        };
        self.0.lua().inner.with(|vm| match perilune_vm::control::status_of(co) {
            "suspended" => ThreadStatus::Resumable,
            "running" => ThreadStatus::Running,
            "normal" => ThreadStatus::Normal,
            _ if vm.coroutine_error(co).is_some() => ThreadStatus::Error,
            _ => ThreadStatus::Finished,
        })
    }

    /// Ends it, wherever it is, closing its variables. The error with which it had failed, or that closing made, comes
    /// back. A running one cannot be closed.
    ///
    /// # Errors
    /// [`Error::RuntimeError`] if it is running or has resumed another one. What it had failed with, or what closing
    /// its variables ends with: [`Error::RuntimeError`], [`Error::CallbackError`], [`Error::MemoryError`],
    /// [`Error::LimitReached`] or [`Error::Exit`].
    pub fn close(&self) -> Result<()> {
        let lua = self.0.lua();
        if matches!(self.status(), ThreadStatus::Running | ThreadStatus::Normal) {
            return Err(Error::runtime("cannot close a running coroutine"));
        }
        let Some(co) = self.0.raw().as_thread() else { return Ok(()) };
        match lua.protect(|vm| vm.close_coroutine(co))? {
            None => Ok(()),
            Some(error) => Err(lua.error_from(error, String::new())),
        }
    }

    /// Its traceback, with a message in front.
    pub fn traceback(&self, message: Option<&str>, level: usize) -> String {
        let Some(co) = self.0.raw().as_thread() else { return String::new() };
        let text = self.0.lua().inner.with(|vm| vm.traceback(co, message.map(str::as_bytes), level));
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The address, which tells coroutines apart while they live.
    pub fn to_pointer(&self) -> usize {
        self.0.raw().payload as usize
    }
}

/// `coroutine.resume`, whether or not scripts have it.
fn resume_function(vm: &mut Vm, inner: &Inner) -> Raw {
    if let Some(place) = inner.constants.resume.get() {
        return vm.pinned(place);
    }
    let f = vm.control_function(Control::Resume, &[]);
    let place = vm.pin(f);
    inner.constants.resume.set(Some(place));
    f
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thread(0x{:x})", self.to_pointer())
    }
}
