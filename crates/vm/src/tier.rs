//! What a compiler tier is to the interpreter, and what an observer of the interpreter's loop is.
//!
//! The VM owns these traits and never knows who implements them. A tier is reached in four ways:
//!
//! * at a hot back-edge ([`Tier::hot`]), when a counter in [`HotCounters`] has run down: it may run compiled code, or ask
//!   to see the instructions that follow;
//! * at the entry of a function that is called often ([`Tier::entered`]), when the counter of its prototype has run down;
//! * when host code calls a function for which it has something to run ([`Tier::call`]);
//! * while it records ([`Tier::record`]), before each instruction, from an instance of the interpreter's loop made for
//!   that. The plain loop knows nothing of it.

use std::rc::Rc;

use perilune_bytecode::ops::Instr;
use perilune_runtime::heap::{Marker, Reached};
use perilune_runtime::object::{LuaClosure, Proto, Thread};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::Value;

use crate::call::Step;
use crate::interp::pointer;
use crate::vm::Vm;

/// How the interpreter goes on after a tier has had control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// In the current frame, at its `pc`.
    Interpret,
    /// As `Interpret`, and each instruction is shown to [`Tier::record`] before it runs.
    Record,
    /// As `Interpret`, after the collector step that the last instruction of the compiled code has made due.
    Collect,
    /// As a call out of compiled code has left it.
    LeftOver,
    /// Behind the return of the current frame's function, which has that many results: they stand at its slot.
    Return(u32),
}

/// What became of a call by host code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Nothing has happened.
    Refused,
    /// It has returned so many results, which begin at its slot.
    Returned(u32),
    /// Its frame was made, and the interpreter goes on.
    Left(After),
}

/// What a tier has and does, for people and scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierState {
    /// Whether it compiles, and runs what it has compiled.
    pub is_on: bool,
    /// Pieces of code.
    pub pieces: usize,
    /// Bytes of code.
    pub bytes: usize,
}

/// What compiled code has waited for so far. Coroutines that are resumed while it waits for another one are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// How many times it has resumed a coroutine.
    pub resumes: u64,
    /// The fuel that those have spent.
    pub fuel: i64,
}

/// A compiler tier: it is told about hot places.
pub trait Tier {
    /// Whether hot counters should be kept. Asked once when an interpreter loop is entered: a tier that says no costs
    /// nothing.
    fn counts(&self) -> bool;

    /// How many arrivals at a loop header to count down before the next [`Tier::hot`]; asked when the place gets a counter.
    fn patience(&self, header: *const Instr) -> u32;

    /// How many calls of a function to count down before the next [`Tier::entered`]; asked at its first call, with the place
    /// of its first instruction.
    fn calls(&self, first: *const Instr) -> u32;

    /// The current frame stands at the header of a loop that was reached often. Its back-edge is charged already. The
    /// tier sets the place's counter for the next time.
    ///
    /// # Safety
    /// `vm` is exclusively the tier's for the call, and its current frame is a Lua frame with `pc` stored.
    unsafe fn hot(&self, vm: *mut Vm) -> After;

    /// The current frame's function is about to begin, and is called often. Its call is charged already. The tier sets the
    /// prototype's count of calls for the next time, with [`set_calls`].
    ///
    /// # Safety
    /// As [`Tier::hot`].
    unsafe fn entered(&self, vm: *mut Vm) -> After;

    /// Host code calls the function in slot `func`, for which the tier has something to run: the `entry` of its prototype, see
    /// [`set_entry`]. All arguments that it takes are there.
    ///
    /// # Safety
    /// `vm` is exclusively the tier's for the call, and has no hook.
    unsafe fn call(&self, vm: *mut Vm, entry: *const (), func: *mut Value, nresults: i32) -> Called;

    /// The current frame's instruction at `pc` is about to run. False ends the recording, or interrupts it until a frame
    /// with the flag [`WATCHED`](crate::frame::WATCHED) returns.
    ///
    /// # Safety
    /// As [`Tier::hot`].
    unsafe fn record(&self, vm: *mut Vm) -> bool;

    /// Something has changed that compiled code relies on without looking: it must not be entered any more.
    fn flush(&self);

    /// As [`Tier::flush`], for the code in which a prototype has a part.
    fn forget(&self, proto: *mut Proto);

    /// Switches it on or off. Off, it compiles nothing; whoever switches it off flushes it.
    fn switch(&self, on: bool);

    /// What it has and does.
    fn state(&self) -> TierState;

    /// Whether there is code that begins in a prototype.
    fn has_code(&self, proto: *mut Proto) -> bool;

    /// Reports the objects that must live while it works on them.
    fn trace(&self, marker: &mut Marker<'_>);

    /// Forgets the code that refers to dead objects, or stands for dead prototypes: whether there was any. Code keeps nothing
    /// alive, so that a program cannot tell from its weak tables and finalizers what was compiled.
    fn forget_dead(&self, reached: &Reached<'_>) -> bool;
}

/// The tier that compiles nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullTier;

impl Tier for NullTier {
    fn counts(&self) -> bool {
        false
    }

    fn patience(&self, _header: *const Instr) -> u32 {
        u32::MAX
    }

    fn calls(&self, _first: *const Instr) -> u32 {
        u32::MAX
    }

    unsafe fn hot(&self, _vm: *mut Vm) -> After {
        After::Interpret
    }

    unsafe fn entered(&self, _vm: *mut Vm) -> After {
        After::Interpret
    }

    unsafe fn call(&self, _vm: *mut Vm, _entry: *const (), _func: *mut Value, _nresults: i32) -> Called {
        Called::Refused
    }

    unsafe fn record(&self, _vm: *mut Vm) -> bool {
        false
    }

    fn flush(&self) {}

    fn forget(&self, _proto: *mut Proto) {}

    fn switch(&self, _on: bool) {}

    fn state(&self) -> TierState {
        TierState::default()
    }

    fn has_code(&self, _proto: *mut Proto) -> bool {
        false
    }

    fn trace(&self, _marker: &mut Marker<'_>) {}

    fn forget_dead(&self, _reached: &Reached<'_>) -> bool {
        false
    }
}

/// The counter of one loop header.
#[derive(Clone, Copy, Debug)]
struct HotCounter {
    header: *const Instr,
    left: u32,
}

/// Counters of loop headers, found by the header's address. Two headers may share a place, and then push each other out:
/// that delays compilation, and nothing else.
#[derive(Debug)]
pub struct HotCounters {
    places: [HotCounter; HotCounters::PLACES],
}

impl HotCounters {
    const PLACES: usize = 512;

    /// Counters that know no header.
    pub(crate) const fn new() -> HotCounters {
        HotCounters { places: [HotCounter { header: std::ptr::null(), left: 0 }; HotCounters::PLACES] }
    }

    #[inline(always)]
    fn place(header: *const Instr) -> usize {
        // Instructions are eight bytes apart; the upper bits tell the functions apart.
        let word = header.addr() >> 3;
        (word ^ word >> 9) % HotCounters::PLACES
    }

    /// Counts an arrival: whether it is the one that was waited for. `None` when the header has no counter.
    #[inline(always)]
    pub(crate) fn count(&mut self, header: *const Instr) -> Option<bool> {
        let place = &mut self.places[HotCounters::place(header)];
        if place.header != header {
            return None;
        }
        place.left = place.left.wrapping_sub(1);
        Some(place.left == 0)
    }

    /// Gives a header a counter with `arrivals` to go.
    pub fn set(&mut self, header: *const Instr, arrivals: u32) {
        self.places[HotCounters::place(header)] = HotCounter { header, left: arrivals };
    }
}

/// What a compiler tier needs to know about a VM's inside. Offsets are in bytes from the start of [`Vm`].
#[derive(Clone, Copy, Debug)]
pub struct VmOffsets {
    /// `i64`: units of fuel until the next look at limits.
    pub fuel: usize,
    /// `usize`: bytes that the heap has allocated.
    pub heap_bytes: usize,
    /// `usize`: with that many bytes the collector has work to do.
    pub heap_threshold: usize,
    /// Pointers, one for each size class: the first free cell.
    pub heap_free: usize,
    /// `u8`: the colour of new objects.
    pub heap_white: usize,
    /// `u64`: the payload of a value that a helper returns.
    pub scratch: usize,
    /// The limits of calls inside compiled code; see [`Room`](perilune_runtime::stack::Room).
    pub room: usize,
}

/// Where compiled code finds the VM's fields.
pub const VM_OFFSETS: VmOffsets = VmOffsets {
    fuel: std::mem::offset_of!(Vm, fuel),
    heap_bytes: std::mem::offset_of!(Vm, heap) + std::mem::offset_of!(perilune_runtime::heap::Heap, bytes),
    heap_threshold: std::mem::offset_of!(Vm, heap) + std::mem::offset_of!(perilune_runtime::heap::Heap, threshold),
    heap_free: std::mem::offset_of!(Vm, heap) + perilune_runtime::heap::Heap::FREE,
    heap_white: std::mem::offset_of!(Vm, heap) + perilune_runtime::heap::Heap::WHITE,
    scratch: std::mem::offset_of!(Vm, scratch),
    room: std::mem::offset_of!(Vm, room),
};

impl Vm {
    /// Attaches a compiler tier, in place of the one before, which forgets its code.
    pub fn set_tier(&mut self, tier: Rc<dyn Tier>) {
        std::mem::replace(&mut self.tier, tier).flush();
    }

    /// The running coroutine, for a tier.
    pub fn current_thread(&self) -> *mut Thread {
        self.thread
    }

    /// The counters of loop headers.
    pub fn hot_counters(&mut self) -> &mut HotCounters {
        &mut self.hot
    }

    /// Where helpers leave the payload of a value that they return to compiled code.
    pub fn set_scratch(&mut self, payload: u64) {
        self.scratch = payload;
    }

    /// Forgets compiled code, because something has changed that it relies on without looking. Code that is waiting for a
    /// call to return is left when it does.
    pub fn flush_compiled(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        let tier = self.tier.clone();
        tier.flush();
    }

    /// Whether a collector step is due.
    pub fn collector_is_due(&self) -> bool {
        self.heap.bytes >= self.heap.threshold
    }

    /// The coroutines that compiled code has waited for.
    pub fn waits(&self) -> Waits {
        self.waits
    }

    /// Units of fuel until the next look at limits.
    pub fn fuel_left(&self) -> i64 {
        self.fuel
    }

    /// Native calls and interpreter loops on the host's stack: a recording belongs to one of them.
    pub fn loops_on_host(&self) -> u32 {
        self.host_depth
    }

    /// Whether hooks watch the instructions.
    pub fn is_hooked(&self) -> bool {
        self.hooked
    }

    /// The flags of a plain Lua frame, and its kind.
    #[must_use]
    pub const fn plain_frame(frame: &Frame) -> bool {
        frame.kind == crate::frame::LUA && frame.flags == 0
    }
}

/// The slow side of a back-edge that was counted.
///
/// # Safety
/// The current frame is a Lua frame whose `pc`, stored, is a loop header.
#[cold]
#[inline(never)]
pub(crate) unsafe fn hot(vm: *mut Vm) -> Step {
    // SAFETY: the tier is not part of the VM while it works: it is shared with it.
    unsafe {
        let tier = (*vm).tier.clone();
        go_on(vm, tier.hot(vm))
    }
}

/// The slow side of a call that was counted.
///
/// # Safety
/// The current frame is a Lua frame whose `pc`, stored, is its function's first instruction.
#[cold]
#[inline(never)]
pub(crate) unsafe fn entered(vm: *mut Vm) -> Step {
    // SAFETY: as in `hot`.
    unsafe {
        let tier = (*vm).tier.clone();
        let frame = (*(*vm).thread).frame;
        let proto = proto_of(frame);
        if !(*proto).counts_calls {
            (*proto).counts_calls = true;
            // This call counts.
            let calls = tier.calls((*frame).pc);
            (*proto).calls_left = calls.saturating_sub(1).max(1);
            if calls > 1 {
                return Step::Reload;
            }
        }
        go_on(vm, tier.entered(vm))
    }
}

/// Calls the function in slot `func` for host code, if there is compiled code for it that returns. The results are where the
/// host wants them, then, and no frame was made.
///
/// # Safety
/// `func` holds a Lua function, its `nargs` arguments are behind it up to the thread's top.
#[inline]
pub(crate) unsafe fn call(vm: *mut Vm, func: *mut Value, nargs: usize, nresults: i32) -> Called {
    // SAFETY: the caller's duty. Nobody replaces the tier while compiled code runs that host code has called: it calls
    // nothing that could.
    unsafe {
        let proto = (*pointer::<LuaClosure>(*func)).proto;
        if (*proto).entry.is_null() || (*vm).hooked || (*vm).recording || nargs < (*proto).num_params as usize {
            return Called::Refused;
        }
        let tier = Rc::as_ptr(&(*vm).tier);
        let called = (*tier).call(vm, (*proto).entry, func, nresults);
        if let Called::Returned(count) = called {
            let wanted = usize::try_from(nresults).unwrap_or(count as usize);
            crate::compiled::settle(func, count as usize, wanted);
            (*(*vm).thread).top = func.add(wanted);
        }
        called
    }
}

/// Host code has called a Lua function, whose frame was pushed: counts the call, and says how the host's loop goes on.
///
/// # Safety
/// The current frame is that of the function, marked [`FRESH`](crate::frame::FRESH).
#[inline]
pub(crate) unsafe fn called(vm: *mut Vm) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let proto = proto_of((*(*vm).thread).frame);
        let is_watched = (*vm).hooked || (*vm).recording;
        if !is_watched && counts_call(proto) && (*vm).tier.counts() { entered(vm) } else { Step::Reload }
    }
}

/// Counts a call of a function: whether it is the one that was waited for.
///
/// # Safety
/// `proto` is alive.
#[inline(always)]
pub(crate) unsafe fn counts_call(proto: *mut Proto) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        (*proto).calls_left = (*proto).calls_left.wrapping_sub(1);
        (*proto).calls_left == 0
    }
}

/// Sets how many calls of a function to count down before the next [`Tier::entered`].
///
/// # Safety
/// `proto` is alive.
pub unsafe fn set_calls(proto: *mut Proto, calls: u32) {
    // SAFETY: the caller's duty.
    unsafe { (*proto).calls_left = calls }
}

/// Sets what [`Tier::call`] gets when host code calls a function.
///
/// # Safety
/// `proto` is alive.
pub unsafe fn set_entry(proto: *mut Proto, entry: *const ()) {
    // SAFETY: the caller's duty.
    unsafe { (*proto).entry = entry }
}

/// # Safety
/// `after` is a tier's answer for the current frame.
pub(crate) unsafe fn go_on(vm: *mut Vm, after: After) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        match after {
            After::Interpret => Step::Reload,
            After::Record => {
                (*vm).recording = true;
                Step::Switch
            }
            After::Collect => match crate::call::collect_in_lua(vm) {
                Step::Next => Step::Reload,
                step => step,
            },
            After::LeftOver => (*vm).left_over,
            After::Return(count) => {
                let func = (*(*(*vm).thread).frame).func;
                crate::call::return_values(vm, func, count as usize)
            }
        }
    }
}

/// A header that has no counter gets one.
///
/// # Safety
/// `vm` is exclusively the caller's.
#[cold]
#[inline(never)]
pub(crate) unsafe fn meet(vm: *mut Vm, header: *const Instr) -> bool {
    // SAFETY: the caller's duty.
    unsafe {
        let patience = (*vm).tier.patience(header);
        // This arrival counts.
        (*vm).hot.set(header, patience.saturating_sub(1).max(1));
        patience <= 1
    }
}

/// Shows the next instruction to the recording tier: whether it wants to see more.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored.
pub(crate) unsafe fn before_instruction(vm: *mut Vm) -> bool {
    // SAFETY: as in `hot`.
    unsafe {
        let tier = (*vm).tier.clone();
        let goes_on = tier.record(vm);
        (*vm).recording = goes_on;
        goes_on
    }
}

/// An instance of the interpreter's loop. The loop's source is one; what a mode does not do costs its instance nothing.
pub(crate) trait Mode {
    /// Whether something looks at each instruction before it runs.
    const INSPECTS: bool;
    /// Whether debug hooks are called.
    const HOOKS: bool;
    /// Whether back-edges are counted for the tier.
    const COUNTS: bool;
}

/// Nobody looks.
pub(crate) struct Plain;
/// Back-edges are counted.
pub(crate) struct Counting;
/// Debug hooks look at each instruction.
pub(crate) struct Hooked;
/// The tier looks at each instruction.
pub(crate) struct Recording;

impl Mode for Plain {
    const INSPECTS: bool = false;
    const HOOKS: bool = false;
    const COUNTS: bool = false;
}

impl Mode for Counting {
    const INSPECTS: bool = false;
    const HOOKS: bool = false;
    const COUNTS: bool = true;
}

impl Mode for Hooked {
    const INSPECTS: bool = true;
    const HOOKS: bool = true;
    const COUNTS: bool = false;
}

impl Mode for Recording {
    const INSPECTS: bool = true;
    const HOOKS: bool = false;
    const COUNTS: bool = false;
}

/// The prototype that a Lua frame runs.
///
/// # Safety
/// `frame` is a live Lua frame.
pub unsafe fn proto_of(frame: *const Frame) -> *mut Proto {
    // SAFETY: the caller's duty.
    unsafe { (*(*frame).closure).proto }
}
