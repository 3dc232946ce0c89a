//! The VM: one Lua state with everything that its coroutines share.

use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use perilune_base::dialect::Dialect;
use perilune_runtime::heap::{GrowError, Heap, Marker, Reached, Roots};
use perilune_runtime::object::{Gc, StrRef, TableRef, Thread, ThreadRef, ThreadStatus};
use perilune_runtime::stack::INITIAL_SLOTS;
use perilune_runtime::value::{Tag, Value};

use crate::call::Step;
use crate::frame;
use crate::host::Host;
use crate::interp::caches::{ROUTES, Route};
use crate::limits::{LEAST_DEPTH, Limits, Violation};
use crate::meta::Event;
use crate::sample::Sampler;
use crate::tier::{NullTier, Tier, Waits};

/// Why control leaves Lua code without a Lua error that a script could catch.
#[derive(Clone, Debug)]
pub(crate) enum Abort {
    /// A limit was reached.
    Limit(Violation),
    /// `os.exit` was called.
    Exit { code: i32, close: bool },
    /// The running coroutine closes itself.
    Close,
}

/// One Lua state.
///
/// The fields in front are the ones that running code touches.
#[repr(C)]
pub struct Vm {
    /// Units of fuel until the next look at limits and interrupts; see [`crate::limits`].
    pub(crate) fuel: i64,
    /// The running coroutine. Never null.
    pub(crate) thread: *mut Thread,
    /// The heap.
    pub(crate) heap: Heap,
    /// Where instructions that meet many shapes find fields.
    pub(crate) routes: [Route; ROUTES],
    /// Counters of loop headers for the tier.
    pub(crate) hot: crate::tier::HotCounters,
    /// The payload of a value that a helper returns to compiled code.
    pub(crate) scratch: u64,
    /// How far compiled code may call compiled code.
    pub(crate) room: perilune_runtime::stack::Room,
    /// Frames to make room for where compiled code calls compiled functions.
    pub(crate) call_frames: u32,
    /// What calls inside compiled code have left behind on their way out, the innermost first; see [`crate::compiled`].
    pub(crate) unwound: Vec<crate::compiled::Unwound>,
    /// Whether functions have got upvalues of others, which may assign to what nobody did before.
    pub(crate) upvalues_are_joined: bool,
    /// Whether the tier looks at each instruction.
    pub(crate) recording: bool,
    /// The interpreter's state between two instructions, in builds that keep it there.
    pub(crate) registers: crate::interp::Registers,
    /// Whether any thread has a hook: then the interpreter runs its hooked instance.
    pub(crate) hooked: bool,
    /// Threads that have a hook.
    pub(crate) hooked_threads: u32,
    /// What the running hook may look at.
    pub(crate) transfer: crate::hooks::Transfer,
    /// Native calls and interpreter loops on the host's stack.
    pub(crate) host_depth: u32,
    /// Coroutines that wait for one another.
    pub(crate) resume_depth: u32,
    /// Whether a stack overflow is on its way: what handles it may use the room kept for that.
    pub(crate) overflowing: bool,
    /// Whether the error on its way bypasses message handlers: calling one might raise it again.
    pub(crate) unhandled: bool,
    /// The main coroutine.
    pub(crate) main: *mut Thread,
    /// Metatables of the types that share one, by tag.
    pub(crate) type_metatables: [Option<TableRef>; Tag::Thread as usize + 1],
    /// The interned names of the events.
    event_names: Vec<StrRef>,
    /// The table that only host code sees.
    pub(crate) registry: TableRef,
    /// The table of globals.
    pub(crate) globals: TableRef,
    /// The error on its way to a handler.
    pub(crate) error: Value,
    /// Set while what is on its way cannot be caught.
    pub(crate) abort: Option<Abort>,
    /// Set by whoever wants to interrupt the running code.
    pub(crate) interrupt: Option<Arc<AtomicBool>>,
    /// What scripts may spend, and have spent.
    pub(crate) limits: Limits,
    /// Values that host handles keep alive.
    pub(crate) pins: Vec<Value>,
    /// Free places in `pins`.
    pub(crate) free_pins: Vec<u32>,
    /// Buffers for library functions, so that common operations allocate nothing.
    buffers: Vec<Vec<u8>>,
    /// Whether `warn` prints.
    pub(crate) warnings: WarnState,
    /// Whether a finalizer is running, so that they do not nest.
    pub(crate) finalizing: bool,
    /// Finalizers switched off while the VM is built and after it is closed.
    pub(crate) closed: bool,
    /// The language.
    pub(crate) dialect: &'static Dialect,
    pub(crate) host: Box<dyn Host>,
    pub(crate) tier: Rc<dyn Tier>,
    /// How often compiled code was flushed.
    pub(crate) epoch: u32,
    /// How the interpreter goes on after a call out of compiled code that did not come back.
    pub(crate) left_over: Step,
    /// The coroutines that compiled code has waited for.
    pub(crate) waits: Waits,
    /// Whether compiled code holds references in registers: nothing may be collected, and no Lua code may run.
    pub(crate) frozen: bool,
    /// Who looks at the program when a slice of fuel is used up.
    pub(crate) sampler: Option<Box<dyn Sampler>>,
    /// Distinguishes this VM's handles from those of others.
    pub(crate) id: u64,
}

/// What `warn` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WarnState {
    /// Messages are dropped.
    Off,
    /// Messages are printed.
    On,
    /// In the middle of a message of several parts that is being printed.
    Continuing,
}

/// How a VM is made.
pub struct VmOptions {
    /// The language.
    pub dialect: &'static Dialect,
    /// The outside world.
    pub host: Box<dyn Host>,
    /// What scripts may spend.
    pub limits: Limits,
}

impl Vm {
    /// A VM without libraries.
    pub fn new(options: VmOptions) -> Box<Vm> {
        let VmOptions { dialect, host, limits } = options;
        let seed = host.random_seed();
        let mut heap = Heap::new(seed.0 ^ 0x9e37_79b9_7f4a_7c15);
        let registry = heap.new_table(0, 8);
        let globals = heap.new_table(0, 64);
        let Ok(main) = new_thread(&mut heap) else {
            // The very first allocations of a process: without them there is nothing to report an error with.
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<Thread>());
        };
        let event_names: Vec<StrRef> = Event::ALL.iter().map(|e| heap.new_str(e.name().as_bytes())).collect();
        heap.set_ephemerons(dialect.ephemerons);
        heap.set_special_names(event_names[Event::Mode as usize], event_names[Event::Gc as usize]);
        if let Some(bytes) = limits.memory {
            heap.set_limit(bytes);
        }
        heap.set_max_frames(limits.depth.map(|depth| depth.max(LEAST_DEPTH) as usize));
        // SAFETY: `main` was just made.
        unsafe {
            (*main).status = ThreadStatus::Running;
            (*main).started = true;
            (*main).non_yieldable = 1;
        }
        let mut vm = Box::new(Vm {
            fuel: 0,
            thread: main,
            heap,
            routes: [Route::EMPTY; ROUTES],
            hot: crate::tier::HotCounters::new(),
            scratch: 0,
            room: perilune_runtime::stack::Room::default(),
            call_frames: crate::compiled::CALL_FRAMES,
            unwound: Vec::new(),
            upvalues_are_joined: false,
            recording: false,
            registers: crate::interp::Registers::EMPTY,
            hooked: false,
            hooked_threads: 0,
            transfer: crate::hooks::Transfer::default(),
            host_depth: 0,
            resume_depth: 0,
            overflowing: false,
            unhandled: false,
            main,
            type_metatables: [None; Tag::Thread as usize + 1],
            event_names,
            registry,
            globals,
            error: Value::NIL,
            abort: None,
            interrupt: None,
            limits,
            pins: Vec::new(),
            free_pins: Vec::new(),
            buffers: Vec::new(),
            warnings: WarnState::Off,
            finalizing: false,
            closed: false,
            dialect,
            host,
            tier: Rc::new(NullTier),
            epoch: 0,
            waits: Waits::default(),
            left_over: Step::Reload,
            frozen: false,
            sampler: None,
            id: seed.1,
        });
        vm.refill_fuel();
        vm
    }

    /// The interned name of an event.
    #[inline]
    pub fn event_name(&self, event: Event) -> StrRef {
        self.event_names[event as usize]
    }

    /// The language.
    #[inline]
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// A count, length or position as scripts see it: an integer, or a float where the language has no integers.
    #[inline]
    pub fn int_value(&self, n: i64) -> Value {
        if self.dialect.integers { Value::int(n) } else { Value::float(n as f64) }
    }

    /// A key that a table has given, as scripts see it: tables keep integral keys as integers.
    #[inline]
    pub fn key_value(&self, key: Value) -> Value {
        match key.as_int() {
            Some(n) => self.int_value(n),
            None => key,
        }
    }

    /// The heap.
    pub fn heap(&self) -> &Heap {
        &self.heap
    }

    /// The heap, for its settings.
    pub fn heap_mut(&mut self) -> &mut Heap {
        &mut self.heap
    }

    /// The outside world.
    pub fn host(&mut self) -> &mut dyn Host {
        &mut *self.host
    }

    /// The state of `math.random`: xoshiro256**.
    pub fn rng_state(&mut self) -> &mut [u64; 4] {
        &mut self.heap.random
    }

    /// A buffer for the duration of a library function; give it back with [`Vm::give_buffer`].
    pub fn take_buffer(&mut self) -> Vec<u8> {
        let mut b = self.buffers.pop().unwrap_or_default();
        b.clear();
        b
    }

    /// Returns a buffer for reuse. Very large ones are dropped.
    pub fn give_buffer(&mut self, buffer: Vec<u8>) {
        const KEEP: usize = 64 << 10;
        if buffer.capacity() <= KEEP && self.buffers.len() < 8 {
            self.buffers.push(buffer);
        }
    }

    /// The running coroutine, and whether it is the main one.
    pub fn running(&self) -> (ThreadRef, bool) {
        // SAFETY: the current thread is alive.
        (unsafe { Gc::from_ptr(self.thread) }, ptr::eq(self.thread, self.main))
    }

    /// The main coroutine.
    pub fn main_thread(&self) -> ThreadRef {
        // SAFETY: the main thread lives as long as the VM.
        unsafe { Gc::from_ptr(self.main) }
    }

    /// Sets the metatable shared by all values with `tag`.
    pub fn set_type_metatable(&mut self, tag: Tag, meta: Option<TableRef>) {
        self.type_metatables[tag as usize] = meta;
        self.flush_compiled();
        if matches!(tag, Tag::False | Tag::True) {
            self.type_metatables[Tag::False as usize] = meta;
            self.type_metatables[Tag::True as usize] = meta;
        }
        if matches!(tag, Tag::Int | Tag::Float) {
            self.type_metatables[Tag::Int as usize] = meta;
            self.type_metatables[Tag::Float as usize] = meta;
        }
        if matches!(tag, Tag::LuaFn | Tag::NativeFn) {
            self.type_metatables[Tag::LuaFn as usize] = meta;
            self.type_metatables[Tag::NativeFn as usize] = meta;
        }
    }

    /// Sets the metatable of any value, as `debug.setmetatable` does.
    pub fn set_metatable(&mut self, v: Value, meta: Option<TableRef>) {
        match (v.as_table(), v.as_userdata()) {
            (Some(t), _) => t.set_metatable(&mut self.heap, meta),
            (_, Some(u)) => u.set_metatable(&mut self.heap, meta),
            _ => return self.set_type_metatable(v.tag, meta),
        }
        if let Some(m) = meta
            && (self.dialect.gc_of_tables || v.tag == Tag::UserData)
            && !(self.dialect.finalized_once && Heap::is_finalized(v))
            && !crate::meta::handler(self, m, Event::Gc).is_nil()
        {
            self.heap.register_finalizer(v);
        }
    }

    /// Keeps `v` alive until [`Vm::unpin`], and gives the place where it is kept.
    pub fn pin(&mut self, v: Value) -> u32 {
        match self.free_pins.pop() {
            Some(i) => {
                self.pins[i as usize] = v;
                i
            }
            None => {
                self.pins.push(v);
                (self.pins.len() - 1) as u32
            }
        }
    }

    /// The value kept at a place.
    pub fn pinned(&self, place: u32) -> Value {
        self.pins[place as usize]
    }

    /// Gives up a place.
    pub fn unpin(&mut self, place: u32) {
        self.pins[place as usize] = Value::NIL;
        self.free_pins.push(place);
    }

    /// A number that no other VM of this process is likely to have.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The collector's view of this VM.
    pub(crate) fn roots(&mut self) -> (&mut Heap, VmRoots<'_>) {
        (
            &mut self.heap,
            VmRoots {
                thread: self.thread,
                main: self.main,
                type_metatables: &self.type_metatables,
                event_names: &self.event_names,
                registry: self.registry,
                globals: self.globals,
                error: self.error,
                pins: &self.pins,
                tier: &*self.tier,
                epoch: &mut self.epoch,
            },
        )
    }
}

/// A coroutine with an empty bottom frame.
pub(crate) fn new_thread(heap: &mut Heap) -> Result<*mut Thread, GrowError> {
    let th = heap.new_thread(INITIAL_SLOTS)?.as_ptr();
    // SAFETY: the thread was just made: its stack has INITIAL_SLOTS slots and its frame buffer room for the bottom frame.
    unsafe {
        let f = (*th).frame;
        (*f).func = (*th).stack;
        (*f).base = (*th).stack.add(1);
        (*f).top = (*th).stack.add(1);
        (*f).pc = ptr::null();
        (*f).nresults = 0;
        (*f).kind = frame::BOTTOM;
        (*f).resume = 0;
        (*f).flags = 0;
        (*f).extra = 0;
        (*th).top = (*th).stack.add(1);
    }
    Ok(th)
}

/// What the VM holds on to.
pub(crate) struct VmRoots<'a> {
    thread: *mut Thread,
    main: *mut Thread,
    type_metatables: &'a [Option<TableRef>],
    event_names: &'a [StrRef],
    registry: TableRef,
    globals: TableRef,
    error: Value,
    pins: &'a [Value],
    tier: &'a dyn Tier,
    epoch: &'a mut u32,
}

impl Roots for VmRoots<'_> {
    fn trace(&mut self, marker: &mut Marker<'_>) {
        // SAFETY: both threads are alive: one is running, the other lives as long as the VM. The resumers of the running
        // thread are traced by it.
        unsafe {
            marker.value(Value::thread(Gc::from_ptr(self.thread)));
            marker.value(Value::thread(Gc::from_ptr(self.main)));
        }
        marker.value(Value::table(self.registry));
        marker.value(Value::table(self.globals));
        marker.value(self.error);
        for m in self.type_metatables.iter().flatten() {
            marker.value(Value::table(*m));
        }
        for s in self.event_names {
            marker.value(Value::str(*s));
        }
        for v in self.pins {
            marker.value(*v);
        }
        self.tier.trace(marker);
    }

    fn forget_dead(&mut self, reached: &Reached<'_>) {
        if self.tier.forget_dead(reached) {
            // Code that waits for a call to return must not go on with objects that are gone.
            *self.epoch = self.epoch.wrapping_add(1);
        }
    }
}
