//! Marking: from the roots to all that is reachable.
//!
//! A white object is *reached*: strings, and what refers to nothing, turn black at once; the rest turns gray and waits on a
//! stack. Traversing a gray object reaches what it refers to and turns it black, with these exceptions, which stay gray
//! because they change without barriers:
//! * threads: traversed again in the atomic step;
//! * open upvalues: their variable is on a stack; it is reached again in the atomic step, should the thread be dead;
//! * weak tables: settled in the atomic step, see `weak`.

use std::marker::PhantomData;

use super::pressure::push;
use super::stacks::{live_end, next_open, stack_slots};
use super::{Heap, Phase};
use crate::object::mark::{BLACK, WHITES};
use crate::object::{Gc, GcHeader, Kind, LuaClosure, NativeClosure, Proto, Str, Table, Thread, UpVal, UserData};
use crate::value::Value;

/// What the VM holds references in, besides heap objects.
pub trait Roots {
    /// Shows the marker every value and object that is live by itself: the main and the current thread, the registry, the
    /// metatables of the basic types, constants of the VM. Asked at the start of a cycle and again in the atomic step.
    fn trace(&mut self, marker: &mut Marker<'_>);

    /// Forgets what refers to objects without keeping them alive, and refers to one that is dead. Asked at the end of the
    /// atomic step: what is not reached by then is freed.
    fn forget_dead(&mut self, _reached: &Reached<'_>) {}
}

/// What marking has reached, once it is over.
#[derive(Debug)]
pub struct Reached<'h> {
    heap: PhantomData<&'h Heap>,
}

impl<'h> Reached<'h> {
    /// The caller has finished marking, and frees nothing while this lives.
    pub(super) fn new(heap: &'h Heap) -> Reached<'h> {
        debug_assert!(heap.in_atomic);
        Reached { heap: PhantomData }
    }

    /// Whether a value is no object that is about to be freed.
    ///
    /// # Safety
    /// An object was live when the cycle began, or was made since.
    pub unsafe fn value(&self, v: Value) -> bool {
        // SAFETY: the caller's duty.
        v.header().is_none_or(|h| unsafe { (*h).mark & WHITES == 0 })
    }

    /// Whether an object is not about to be freed.
    ///
    /// # Safety
    /// It was live when the cycle began, or was made since.
    pub unsafe fn object<T>(&self, o: Gc<T>) -> bool {
        // SAFETY: the caller's duty.
        unsafe { (*o.header()).mark & WHITES == 0 }
    }
}

/// Receives the roots.
#[derive(Debug)]
pub struct Marker<'h> {
    sink: Sink<'h>,
}

/// What is done with roots.
#[derive(Debug)]
enum Sink<'h> {
    Mark(&'h mut Heap),
    /// The heap is only being looked at.
    Collect(&'h mut Vec<*mut GcHeader>),
}

impl<'h> Marker<'h> {
    pub(super) fn collecting(list: &'h mut Vec<*mut GcHeader>) -> Marker<'h> {
        Marker { sink: Sink::Collect(list) }
    }

    /// A live value.
    #[inline]
    pub fn value(&mut self, v: Value) {
        if let Some(h) = v.header() {
            // SAFETY: a value in the mutator's hands refers to a live object.
            unsafe { self.header(h) }
        }
    }

    /// Live values.
    pub fn values(&mut self, values: &[Value]) {
        for &v in values {
            self.value(v);
        }
    }

    /// A live object.
    #[inline]
    pub fn object<T>(&mut self, o: Gc<T>) {
        // SAFETY: a reference in the mutator's hands is to a live object.
        unsafe { self.header(o.header()) }
    }

    /// A live object, or null.
    ///
    /// # Safety
    /// `o` is null or refers to a live heap object.
    #[inline]
    pub unsafe fn pointer<T>(&mut self, o: *mut T) {
        if !o.is_null() {
            // SAFETY: the caller's duty.
            unsafe { self.header(o.cast()) }
        }
    }

    /// # Safety
    /// `h` is the header of a live object.
    #[inline]
    unsafe fn header(&mut self, h: *mut GcHeader) {
        match &mut self.sink {
            // SAFETY: the caller's duty.
            Sink::Mark(heap) => unsafe { heap.mark_object(h) },
            Sink::Collect(list) => list.push(h),
        }
    }
}

impl Heap {
    /// Traces the roots of the VM and the heap's own.
    pub(super) fn mark_roots(&mut self, roots: &mut dyn Roots) {
        roots.trace(&mut Marker { sink: Sink::Mark(self) });
        for i in 0..self.to_finalize.len() {
            // SAFETY: the queue is a root itself: its objects are live.
            unsafe { self.mark_object(self.to_finalize[i]) }
        }
    }

    #[inline(always)]
    pub(super) fn mark_value(&mut self, v: Value) {
        if let Some(h) = v.header() {
            // SAFETY: the values of live objects and of roots refer to live objects.
            unsafe { self.mark_object(h) }
        }
    }

    /// Reaches an object, unless it is null.
    ///
    /// # Safety
    /// `p` is null or refers to a live object.
    #[inline(always)]
    pub(super) unsafe fn mark_pointer<T>(&mut self, p: *mut T) {
        if !p.is_null() {
            // SAFETY: the caller's duty.
            unsafe { self.mark_object(p.cast()) }
        }
    }

    /// Reaches an object.
    ///
    /// # Safety
    /// `h` is the header of a live object.
    #[inline(always)]
    pub(super) unsafe fn mark_object(&mut self, h: *mut GcHeader) {
        // SAFETY: the caller's duty.
        unsafe {
            if (*h).mark & WHITES != 0 {
                self.reach(h);
            }
        }
    }

    /// Turns a white object black or gray.
    ///
    /// # Safety
    /// `h` is the header of a live white object.
    #[inline]
    unsafe fn reach(&mut self, h: *mut GcHeader) {
        // SAFETY: the caller's duty; the kind says what the cell holds.
        unsafe {
            debug_assert!((*h).mark & self.dead_white() == 0, "this is a bug: a dead object is referred to");
            (*h).mark &= !WHITES;
            match (*h).kind {
                Kind::Str => (*h).mark |= BLACK,
                Kind::UpVal => self.reach_upval(h.cast()),
                Kind::NativeFn if (*h).word == 0 => (*h).mark |= BLACK,
                Kind::UserData if (*h).word == 0 => {
                    (*h).mark |= BLACK;
                    self.mark_pointer((*h.cast::<UserData>()).meta);
                }
                Kind::Table | Kind::LuaFn | Kind::NativeFn | Kind::UserData | Kind::Thread | Kind::Proto => {
                    self.push_gray(h);
                }
                Kind::Free => debug_assert!(false, "this is a bug: a freed object is referred to"),
            }
        }
    }

    /// # Safety
    /// `uv` is live and was just reached.
    unsafe fn reach_upval(&mut self, uv: *mut UpVal) {
        // SAFETY: the caller's duty; the slot is the upvalue's own, or in a stack that is not freed: the atomic step closes
        // the upvalues of dead threads.
        unsafe {
            if is_open(uv) {
                push(self.spare, &mut self.open_seen, uv);
            } else {
                (*uv).header.mark |= BLACK;
            }
            self.mark_value(*(*uv).slot);
        }
    }

    /// Traverses gray objects until there is none, or `budget` bytes are traversed. Returns the bytes traversed.
    pub(super) fn propagate(&mut self, budget: usize) -> usize {
        let mut done = 0;
        while done < budget {
            let Some(h) = self.gray.pop() else { break };
            // SAFETY: gray objects are live: nothing is freed while there are any.
            done += unsafe { self.traverse(h) };
        }
        done
    }

    /// Traverses a gray object. Returns its size, roughly.
    ///
    /// # Safety
    /// `h` is the header of a live gray object.
    pub(super) unsafe fn traverse(&mut self, h: *mut GcHeader) -> usize {
        // SAFETY: the caller's duty; the kind says what the cell holds, and the pointers of live objects are null or refer
        // to live objects.
        unsafe {
            (*h).mark |= BLACK;
            match (*h).kind {
                Kind::Table => self.traverse_table(h.cast()),
                Kind::LuaFn => {
                    let f: *mut LuaClosure = h.cast();
                    self.mark_pointer((*f).proto);
                    let upvals = LuaClosure::upvals(f);
                    let n = (*h).word as usize;
                    for i in 0..n {
                        self.mark_pointer(*upvals.add(i));
                    }
                    size_of::<LuaClosure>() + n * 8
                }
                Kind::NativeFn => {
                    let upvals = NativeClosure::upvals(h.cast());
                    let n = (*h).word as usize;
                    for i in 0..n {
                        self.mark_value(*upvals.add(i));
                    }
                    size_of::<NativeClosure>() + n * size_of::<Value>()
                }
                Kind::UserData => {
                    let u: *mut UserData = h.cast();
                    self.mark_pointer((*u).meta);
                    let n = (*h).word as usize;
                    for i in 0..n {
                        self.mark_value(*(*u).user_values.add(i));
                    }
                    size_of::<UserData>() + n * size_of::<Value>()
                }
                Kind::Thread => self.traverse_thread(h.cast()),
                Kind::Proto => self.traverse_proto(h.cast()),
                Kind::Str | Kind::UpVal => size_of::<Str>(),
                Kind::Free => {
                    debug_assert!(false, "this is a bug: a freed object is gray");
                    0
                }
            }
        }
    }

    /// # Safety
    /// `t` is a live table.
    unsafe fn traverse_table(&mut self, t: *mut Table) -> usize {
        // SAFETY: the caller's duty.
        unsafe {
            self.mark_pointer((*t).meta);
            match self.weakness((*t).meta) {
                None => self.traverse_strong(t),
                Some(weakness) => self.traverse_weak(t, weakness),
            }
        }
    }

    /// # Safety
    /// `p` is a live prototype.
    unsafe fn traverse_proto(&mut self, p: *mut Proto) -> usize {
        // SAFETY: the caller's duty. Keys of caches are among the constants; shapes keep their keys themselves.
        unsafe {
            let info = &mut *(*p).info;
            if !info.last_closure.is_null() && (*info.last_closure).header.mark & WHITES != 0 {
                info.last_closure = std::ptr::null_mut();
            }
            self.mark_value(info.source);
            for &v in info.consts() {
                self.mark_value(v);
            }
            for &child in &info.protos {
                self.mark_pointer(child);
            }
            size_of::<Proto>() + size_of_val(info.consts()) + size_of_val(&*info.protos)
        }
    }

    /// # Safety
    /// `th` is a live thread.
    unsafe fn traverse_thread(&mut self, th: *mut Thread) -> usize {
        // SAFETY: the caller's duty. The slots of a stack are initialised. Those below the live end refer to live objects:
        // what is above it was set to nil by the last atomic step, or written since.
        unsafe {
            (*th).header.mark &= !BLACK;
            if self.phase == Phase::Propagate && !self.in_atomic {
                self.push_gray_again(th.cast());
            }
            self.mark_value((*th).hook);
            self.mark_value((*th).error);
            self.mark_pointer((*th).resumer);
            if (*th).stack.is_null() {
                return size_of::<Thread>();
            }
            let mut uv = (*th).open_upvals;
            while !uv.is_null() {
                self.mark_object(uv.cast());
                uv = next_open(uv);
            }
            let stack = (*th).stack;
            let live = live_end(th).offset_from_unsigned(stack);
            for i in 0..live {
                self.mark_value(*stack.add(i));
            }
            let all = stack_slots(th);
            if self.in_atomic {
                for i in live..all {
                    *stack.add(i) = Value::NIL;
                }
            }
            size_of::<Thread>() + all * size_of::<Value>()
        }
    }
}

/// # Safety
/// `uv` is a live upvalue.
#[inline(always)]
pub(super) unsafe fn is_open(uv: *mut UpVal) -> bool {
    // SAFETY: the caller's duty.
    unsafe { (*uv).slot != &raw mut (*uv).closed }
}
