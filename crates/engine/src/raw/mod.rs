//! Who may touch the VM, and when: the only unsafe code of this crate.
//!
//! # Terms
//! | type | what it is |
//! |---|---|
//! | [`Inner`] | owns the VM; one for all handles |
//! | [`Shared`] | a counted reference to it; the last one closes the VM |
//! | [`Handle`] | a [`Shared`] and a value that the VM keeps alive for it |
//! | [`OwnedRef`] | a borrow together with what it borrows from |
//! | [`scope::Scope`] | what borrows from the host's frames, and its end |
//!
//! # Whose turn it is
//! The VM and the host's code take turns on one thread. [`Inner::turn`] says whose turn it is:
//!
//! ```text
//!            Inner::with                      a Rust function is called (callback)
//!  host  ------------------->  VM is running ------------------------------------>  host, one level up
//!        <-------------------                <------------------------------------
//!             it returns                       it returns (a panic is caught and kept)
//! ```
//! Each arrow to the right lends the VM out: [`Inner::vm`] is the pointer derived from the innermost loan, and every
//! access goes through it. While the VM runs, host code that runs anyway (destructors of userdata, a `Host`) cannot
//! reach it: [`Inner::with`] panics, and dropped handles wait in a list.
//!
//! # What a panic does
//! A panic of a Rust function that Lua called is caught in [`callback`], travels through Lua as something that no script
//! can catch, and goes on where the host had called Lua. A panic that went through the VM itself (a bug, or a `Host`
//! that panicked) leaves it broken: it is never run again, and its memory is not freed.
//!
//! # Raw values
//! A [`Raw`] is not kept alive by anything. Between reading one and giving it to a stack, a table or a handle there is
//! no call of Lua code, no collection and no user's code; each function here and in the crate keeps to that.

pub(crate) mod scope;

use std::any::Any;
use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use perilune_vm::Vm;
use perilune_vm::native::{NativeResult, Raised};

use crate::error::{Error, Result};
use crate::lua::Lua;
use crate::userdata::UserCell;

pub(crate) use perilune_runtime::value::Value as Raw;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The host's: the VM may be used.
    Host,
    /// The VM's.
    Vm,
    /// Nobody's any more.
    Broken,
}

/// The exit code that stands for a panic on its way to the host.
const PANIC_EXIT: i32 = i32::MIN + 0x70a1;

/// The owner of a VM.
pub(crate) struct Inner {
    /// The pointer of the innermost loan.
    vm: Cell<NonNull<Vm>>,
    /// The pointer that came from the box.
    owned: NonNull<Vm>,
    turn: Cell<Turn>,
    /// Places of handles that were dropped while the VM ran.
    dropped: RefCell<Vec<u32>>,
    /// The panic on its way to the host.
    panic: RefCell<Option<Box<dyn Any + Send>>>,
    /// Whether there is one.
    has_panic: Cell<bool>,
    /// Places of values that the crate makes once for each VM.
    pub(crate) constants: Constants,
    /// The host's typed data.
    pub(crate) app_data: RefCell<BTreeMap<std::any::TypeId, Rc<dyn Any>>>,
}

/// Places of values made once for each VM.
#[derive(Default)]
pub(crate) struct Constants {
    /// The metatable of errors.
    pub(crate) error_metatable: Cell<Option<u32>>,
    /// `coroutine.resume`
    pub(crate) resume: Cell<Option<u32>>,
    /// The metatables of the types of userdata.
    pub(crate) metatables: RefCell<BTreeMap<std::any::TypeId, u32>>,
}

/// Gives the turn back, or breaks the VM when a panic goes through it.
struct TurnGuard<'a> {
    turn: &'a Cell<Turn>,
    returned: bool,
}

impl Drop for TurnGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let whole = self.returned && self.turn.get() != Turn::Broken;
        self.turn.set(if whole { Turn::Host } else { Turn::Broken });
    }
}

impl Inner {
    pub(crate) fn new(vm: Box<Vm>) -> Inner {
        let owned = NonNull::from(Box::leak(vm));
        Inner {
            vm: Cell::new(owned),
            owned,
            turn: Cell::new(Turn::Host),
            dropped: RefCell::default(),
            panic: RefCell::default(),
            has_panic: Cell::new(false),
            constants: Constants::default(),
            app_data: RefCell::default(),
        }
    }

    /// Runs an operation of the VM, which may run Lua code and call back.
    #[inline]
    pub(crate) fn with<R>(&self, operation: impl FnOnce(&mut Vm) -> R) -> R {
        self.check_turn();
        self.turn.set(Turn::Vm);
        let mut guard = TurnGuard { turn: &self.turn, returned: false };
        // SAFETY: it was the host's turn, so that no other reference to the VM is in use; and it stays the VM's turn
        // until the operation returns or lends the VM out itself, in `callback`, from the reference given here.
        let result = operation(unsafe { self.vm.get().as_mut() });
        guard.returned = true;
        result
    }

    #[inline]
    fn check_turn(&self) {
        if self.turn.get() != Turn::Host {
            self.refuse();
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(&self) -> ! {
        match self.turn.get() {
            Turn::Broken => panic!("a panic went through this Lua VM, it cannot be used any more"),
            Turn::Vm | Turn::Host => panic!("a Lua VM cannot be used while it is running (in a destructor or a Host)"),
        }
    }

    /// Whether it is the host's turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.turn.get() == Turn::Host
    }

    /// A short operation that runs no Lua code, collects nothing and calls no user's code.
    #[inline]
    fn leaf<R>(&self, operation: impl FnOnce(&mut Vm) -> R) -> R {
        self.check_turn();
        // SAFETY: as in `with`; the callers in this module lend the VM to functions of the VM only that do not call
        // back, so nothing else reaches it meanwhile.
        operation(unsafe { self.vm.get().as_mut() })
    }

    /// Keeps a value alive.
    #[inline]
    pub(crate) fn pin(&self, v: Raw) -> u32 {
        let waiting = self.dropped.borrow_mut().pop();
        self.leaf(|vm| match waiting {
            Some(place) => {
                vm.replace_pin(place, v);
                place
            }
            None => vm.pin(v),
        })
    }

    /// Gives up a place, now or later.
    #[inline]
    pub(crate) fn unpin(&self, place: u32) {
        match self.turn.get() {
            Turn::Host => self.leaf(|vm| vm.unpin(place)),
            Turn::Vm => self.dropped.borrow_mut().push(place),
            Turn::Broken => {}
        }
    }

    /// Gives up the places of handles that were dropped while the VM ran.
    pub(crate) fn flush_dropped(&self) {
        let dropped = std::mem::take(&mut *self.dropped.borrow_mut());
        for place in dropped {
            self.unpin(place);
        }
    }

    /// The value at a place.
    #[inline]
    pub(crate) fn pinned(&self, place: u32) -> Raw {
        self.leaf(|vm| vm.pinned(place))
    }

    /// The value at a height of the stack.
    #[inline]
    pub(crate) fn slot(&self, height: usize) -> Raw {
        self.leaf(|vm| vm.slot(height))
    }

    /// The height of the stack.
    #[inline]
    pub(crate) fn height(&self) -> usize {
        self.leaf(|vm| vm.stack_height())
    }

    /// Drops the values above a height.
    #[inline]
    pub(crate) fn truncate(&self, height: usize) {
        if self.turn.get() == Turn::Host {
            self.leaf(|vm| vm.truncate(height));
        }
    }

    /// Pushes a value, if there is room.
    #[inline]
    pub(crate) fn push(&self, v: Raw) -> Result<()> {
        self.leaf(|vm| match vm.ensure_stack(1) {
            Ok(()) => {
                vm.push(v);
                Ok(())
            }
            Err(_) => {
                // Errors of growing run no code; the error itself is of no interest.
                let _ = vm.take_error(false);
                Err(Error::runtime("stack overflow"))
            }
        })
    }

    /// Pushes an integer, as the language has it.
    #[inline]
    pub(crate) fn push_int(&self, n: i64) -> Result<()> {
        self.push(self.int_value(n))
    }

    /// An integer, as the language has it.
    #[inline]
    pub(crate) fn int_value(&self, n: i64) -> Raw {
        self.leaf(|vm| vm.int_value(n))
    }

    /// Makes a string.
    #[inline]
    pub(crate) fn string(&self, bytes: &[u8]) -> Raw {
        self.leaf(|vm| vm.string(bytes))
    }

    /// The metatable of a value, or nil.
    #[inline]
    pub(crate) fn metatable(&self, v: Raw) -> Raw {
        self.leaf(|vm| vm.metatable_of(v).map_or(Raw::NIL, Raw::table))
    }

    /// Whether the collector is due.
    #[inline]
    pub(crate) fn is_step_due(&self) -> bool {
        self.leaf(|vm| vm.heap().step_due())
    }

    /// Lets a panic go on that was caught while the VM ran, if there is one.
    #[inline]
    pub(crate) fn resume_panic(&self) {
        if self.has_panic.get() {
            self.resume_kept_panic();
        }
    }

    #[cold]
    fn resume_kept_panic(&self) {
        self.has_panic.set(false);
        let payload = self.panic.borrow_mut().take();
        if let Some(payload) = payload {
            resume_unwind(payload);
        }
    }

    /// Keeps the panic of a destructor that the collector ran; it goes on when the VM has returned to the host.
    pub(crate) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        self.panic.borrow_mut().get_or_insert(payload);
        self.has_panic.set(true);
    }

    /// Runs all finalizers, at the end of the VM's life.
    fn close(&self) {
        if self.turn.get() != Turn::Host {
            return;
        }
        let data = std::mem::take(&mut *self.app_data.borrow_mut());
        drop(data);
        self.with(|vm| vm.close());
        // Nobody is left to hear of a panic in a finalizer.
        let payload = self.panic.borrow_mut().take();
        self.has_panic.set(false);
        drop(payload);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.turn.get() == Turn::Host {
            self.turn.set(Turn::Vm);
            // SAFETY: `owned` came from a box, nobody else refers to the VM: all handles are gone.
            drop(unsafe { Box::from_raw(self.owned.as_ptr()) });
        }
    }
}

/// A counted reference to a VM. The last one to go closes it.
#[derive(Clone)]
pub(crate) struct Shared(Rc<Inner>);

impl Shared {
    pub(crate) fn new(inner: Inner) -> Shared {
        Shared(Rc::new(inner))
    }

    pub(crate) fn downgrade(&self) -> Weak<Inner> {
        Rc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &Weak<Inner>) -> Option<Shared> {
        weak.upgrade().map(Shared)
    }

    #[inline]
    pub(crate) fn is(&self, other: &Shared) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::ops::Deref for Shared {
    type Target = Inner;

    #[inline]
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Drop for Shared {
    #[inline]
    fn drop(&mut self) {
        if Rc::strong_count(&self.0) == 1 {
            self.0.close();
        }
    }
}

/// A value that is kept alive, and the VM that it belongs to.
pub(crate) struct Handle {
    lua: Lua,
    place: u32,
}

impl Handle {
    #[inline]
    pub(crate) fn new(lua: &Lua, v: Raw) -> Handle {
        Handle { place: lua.inner.pin(v), lua: lua.clone() }
    }

    /// The VM.
    #[inline]
    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// The value.
    #[inline]
    pub(crate) fn raw(&self) -> Raw {
        self.lua.inner.pinned(self.place)
    }

    /// The value, for use in a VM, which must be its own.
    #[inline]
    pub(crate) fn raw_in(&self, lua: &Lua) -> Result<Raw> {
        if self.lua.inner.is(&lua.inner) { Ok(self.raw()) } else { Err(Error::ForeignValue) }
    }

    /// The bytes of a string; none of another value.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.raw().as_str() {
            // SAFETY: the handle keeps the string alive as long as it is borrowed, and the VM with it; strings neither
            // move nor change.
            Some(s) => unsafe { std::slice::from_raw_parts(s.as_bytes().as_ptr(), s.len()) },
            None => &[],
        }
    }

    /// The host's value in a userdata, if it is a `T`.
    #[inline]
    pub(crate) fn cell<T: 'static>(&self) -> Option<&UserCell<T>> {
        let u = self.raw().as_userdata()?;
        // SAFETY: the handle keeps the userdata alive as long as it is borrowed, and the VM with it. The box inside does
        // not move, and nothing takes it out: that is only done to userdata of other types. Nobody borrows a cell exclusively.
        unsafe { u.peek() }
    }
}

/// A copy of the host's value in a userdata, if it is a `T`.
pub(crate) fn copy_of<T: Clone + 'static>(v: Raw) -> Option<T> {
    // SAFETY: a raw value is alive until Lua code runs or something is collected, which copying does not do. Nothing takes values out of
    // userdata but of cells, and nobody borrows one exclusively.
    unsafe { v.as_userdata()?.peek::<T>().cloned() }
}

impl Clone for Handle {
    #[inline]
    fn clone(&self) -> Handle {
        Handle::new(&self.lua, self.raw())
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Handle) -> bool {
        self.lua.inner.is(&other.lua.inner) && self.raw().raw_equals(other.raw())
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        self.lua.inner.unpin(self.place);
    }
}

/// What keeps a `C` at its address for as long as it lives, even if it moves itself.
///
/// # Safety
/// The reference that [`Keeper::kept`] gives stays valid until the keeper is dropped.
pub(crate) unsafe trait Keeper<C: 'static> {
    fn kept(&self) -> Option<&C>;
}

// SAFETY: the cell lies in a box of its own behind the userdata, which the handle keeps alive; see `Handle::cell`.
unsafe impl<T: 'static> Keeper<UserCell<T>> for Handle {
    fn kept(&self) -> Option<&UserCell<T>> {
        self.cell()
    }
}

// SAFETY: what an `Rc` refers to neither moves nor goes before the `Rc` does.
unsafe impl<T: 'static> Keeper<RefCell<T>> for Rc<RefCell<T>> {
    fn kept(&self) -> Option<&RefCell<T>> {
        Some(self)
    }
}

/// A shared borrow together with what keeps the borrowed value alive.
///
/// Fields are dropped in their order: the borrow ends before its owner goes. The borrow itself is never handed out, so its
/// lifetime does not matter.
pub(crate) struct OwnedRef<T: 'static, O> {
    borrow: Ref<'static, T>,
    _owner: O,
}

impl<T, O> OwnedRef<T, O> {
    /// Borrows from what `owner` keeps; `None` if it keeps no `C`.
    pub(crate) fn new<C: 'static, E>(
        owner: O,
        borrow: impl for<'a> FnOnce(&'a C) -> Result<Ref<'a, T>, E>,
    ) -> Option<Result<Self, E>>
    where
        O: Keeper<C>,
    {
        let kept: *const C = owner.kept()?;
        // SAFETY: `kept` is valid as long as the owner, which stays behind the borrow.
        Some(borrow(unsafe { &*kept }).map(|borrow| OwnedRef { borrow, _owner: owner }))
    }
}

impl<T, O> std::ops::Deref for OwnedRef<T, O> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.borrow
    }
}

/// As [`OwnedRef`], exclusively.
pub(crate) struct OwnedRefMut<T: 'static, O> {
    borrow: RefMut<'static, T>,
    _owner: O,
}

impl<T, O> OwnedRefMut<T, O> {
    /// Borrows from what `owner` keeps; `None` if it keeps no `C`.
    pub(crate) fn new<C: 'static, E>(
        owner: O,
        borrow: impl for<'a> FnOnce(&'a C) -> Result<RefMut<'a, T>, E>,
    ) -> Option<Result<Self, E>>
    where
        O: Keeper<C>,
    {
        let kept: *const C = owner.kept()?;
        // SAFETY: as in `OwnedRef::new`.
        Some(borrow(unsafe { &*kept }).map(|borrow| OwnedRefMut { borrow, _owner: owner }))
    }
}

impl<T, O> std::ops::Deref for OwnedRefMut<T, O> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.borrow
    }
}

impl<T, O> std::ops::DerefMut for OwnedRefMut<T, O> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.borrow
    }
}

/// A value of the host's whose destructor the collector may run: a panic there waits until the VM has returned.
pub(crate) struct Guarded<T> {
    value: ManuallyDrop<T>,
    owner: Weak<Inner>,
}

impl<T> Guarded<T> {
    pub(crate) fn new(lua: &Lua, value: T) -> Guarded<T> {
        Guarded { value: ManuallyDrop::new(value), owner: lua.inner.downgrade() }
    }

    /// The value, without a guard.
    pub(crate) fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: both fields are moved out, each once, and `this` is not dropped.
        unsafe {
            drop(std::ptr::read(&raw const this.owner));
            ManuallyDrop::take(&mut this.value)
        }
    }
}

impl<T> std::ops::Deref for Guarded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> std::ops::DerefMut for Guarded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // SAFETY: the value is dropped here and nowhere else, and not used any more.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(&mut self.value) }));
        if let Err(payload) = dropped {
            match self.owner.upgrade() {
                Some(inner) => inner.keep_panic(payload),
                // The VM is being dropped. Nobody is left to hear of it.
                None => drop(payload),
            }
        }
    }
}

/// Runs host code that Lua has called: lends the VM to it, and keeps its panics from the interpreter.
///
/// What it returns is the number of results that it has pushed.
#[inline]
pub(crate) fn callback(vm: &mut Vm, owner: &Weak<Inner>, code: impl FnOnce(&Lua) -> Result<u32>) -> NativeResult {
    let Some(inner) = Shared::upgrade(owner) else {
        return Err(vm.error("the VM is being dropped"));
    };
    let lua = Lua { inner };
    let outer = lua.inner.vm.replace(NonNull::from(&mut *vm));
    lua.inner.turn.set(Turn::Host);
    let result = catch_unwind(AssertUnwindSafe(|| code(&lua)));
    // The loan ends.
    lua.inner.vm.set(outer);
    if lua.inner.turn.get() == Turn::Broken {
        // A panic went through an inner loop of the interpreter: none of the outer ones may go on either.
        match result {
            Err(payload) => resume_unwind(payload),
            Ok(_) => lua.inner.refuse(),
        }
    }
    lua.inner.turn.set(Turn::Vm);
    match result {
        Ok(Ok(count)) => Ok(count),
        Ok(Err(error)) => Err(crate::error::raise(vm, &lua.inner, error)),
        Err(payload) => {
            lua.inner.keep_panic(payload);
            Err(abort_for_panic(vm))
        }
    }
}

fn abort_for_panic(vm: &mut Vm) -> Raised {
    vm.request_exit(PANIC_EXIT, false)
}
