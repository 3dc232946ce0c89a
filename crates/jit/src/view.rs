//! What the recorder sees of the VM: a safe face over the frames, registers and objects, all of which stand still while it
//! looks.
//!
//! A [`View`] is made before each instruction and lives until the recorder has dealt with it. Nothing runs meanwhile, so
//! that everything reachable stays alive and in its place.

use std::marker::PhantomData;

use perilune_base::dialect::Dialect;
use perilune_base::num::convert::float_to_int;
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::Proto as Plain;
use perilune_bytecode::registers::Registers;
use perilune_runtime::heap::{Marker, Reached};
use perilune_runtime::object::{
    Gc, LuaClosure, NativeClosure, Proto, ProtoInfo, StrRef, Table, TableRef, ThreadRef, UpVal, cache_of, mark,
};
use perilune_runtime::stack::Frame;
use perilune_runtime::table::{FieldSlot, Shape, lookup_field, transition};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::Vm;
use perilune_vm::compiled;
use perilune_vm::control::Control;
use perilune_vm::meta::{self, Event};
use perilune_vm::tier;

/// Most instructions of a function that is worth a copy inside of itself.
const SMALL: usize = 24;

/// Most instructions of one that is worth two.
const TINY: usize = 12;

/// Most calls in them.
const SMALL_CALLS: usize = 2;

/// The VM in front of an instruction.
pub struct View<'a> {
    vm: *mut Vm,
    lives: PhantomData<&'a Vm>,
}

/// A prototype, by address: a tree that refers to it is forgotten when it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProtoAt(pub u64);

impl View<'_> {
    /// # Safety
    /// The VM's current frame is a Lua frame whose `pc` is stored, and nothing runs or collects while the view lives.
    pub unsafe fn new(vm: *mut Vm) -> Self {
        View { vm, lives: PhantomData }
    }

    fn vm(&self) -> &Vm {
        // SAFETY: by the contract of `new` nobody else uses the VM while the view lives.
        unsafe { &*self.vm }
    }

    /// The address of the strings of one byte.
    pub fn one_byte_strings(&self) -> Option<u64> {
        // SAFETY: as in `vm`; strings that are made move nothing, and nobody collects.
        let strings = unsafe { compiled::heap(self.vm) }.one_byte_strings()?;
        Some(strings.expose_provenance() as u64)
    }

    /// The language.
    pub fn dialect(&self) -> &'static Dialect {
        self.vm().dialect()
    }

    fn frame(&self) -> *mut Frame {
        // SAFETY: the current thread and its frame are alive.
        unsafe { (*self.vm().current_thread()).frame }
    }

    /// A number that tells the running coroutine from others.
    pub fn thread(&self) -> u64 {
        self.vm().current_thread().addr() as u64
    }

    /// See [`Vm::loops_on_host`].
    pub fn host_depth(&self) -> u32 {
        self.vm().loops_on_host()
    }

    /// Whether debug hooks are active.
    pub fn is_hooked(&self) -> bool {
        self.vm().is_hooked()
    }

    /// How many frames are below the current one.
    pub fn depth(&self) -> usize {
        // SAFETY: both pointers are into the thread's frame buffer.
        unsafe { self.frame().offset_from((*self.vm().current_thread()).frames) as usize }
    }

    /// Offset of register 0 from the start of the stack.
    pub fn base(&self, down: usize) -> usize {
        // SAFETY: a frame's base is inside the stack.
        unsafe { (*self.frame().sub(down)).base.offset_from((*self.vm().current_thread()).stack) as usize }
    }

    /// The prototype of the frame `down` below the current one.
    pub fn proto(&self, down: usize) -> ProtoAt {
        // SAFETY: as in `is_plain`.
        unsafe { ProtoAt(tier::proto_of(self.frame().sub(down)).addr() as u64) }
    }

    /// The function of the frame `down` below the current one.
    pub fn closure(&self, down: usize) -> u64 {
        // SAFETY: as in `is_plain`.
        unsafe { (*self.frame().sub(down)).closure.expose_provenance() as u64 }
    }

    /// The index of the next instruction of the frame `down` below the current one.
    pub fn pc(&self, down: usize) -> u32 {
        // SAFETY: as in `is_plain`; `pc` points into the code.
        unsafe {
            let frame = self.frame().sub(down);
            (*frame).pc.offset_from((*tier::proto_of(frame)).code) as u32
        }
    }

    fn raw(proto: ProtoAt) -> *mut Proto {
        std::ptr::with_exposed_provenance_mut(proto.0 as usize)
    }

    /// What stands behind the hot part of a prototype.
    fn info<'p>(proto: ProtoAt) -> &'p ProtoInfo {
        // SAFETY: prototypes of frames, of functions in registers, and of trees are alive, and nothing changes them.
        unsafe { &(*Self::raw(proto)).info }
    }

    /// The compiler's form of a prototype that runs.
    pub fn plain(&self, proto: ProtoAt) -> &Plain {
        &Self::info(proto).plain
    }

    /// How many copies a function is worth inside of itself: some if it is so short, with few ways through it, that calls are
    /// a good part of what it costs.
    pub fn worthy_copies(&self, proto: ProtoAt) -> usize {
        let code = &self.plain(proto).code;
        let is_loop = |i: &Instr| {
            matches!(i.op(), Some(Op::Loop | Op::ForLoop | Op::TForLoop | Op::ForPrepOld | Op::TForPrepOld))
        };
        let calls = code.iter().filter(|i| i.op() == Some(Op::Call)).count();
        if calls > SMALL_CALLS || code.iter().any(is_loop) {
            return 0;
        }
        usize::from(code.len() <= SMALL) + usize::from(code.len() <= TINY)
    }

    /// How many parameters a prototype has.
    pub fn parameters(proto: ProtoAt) -> u32 {
        u32::from(Self::info(proto).plain.num_params)
    }

    /// The bytecode of a prototype, without that of the functions inside of it.
    pub fn listing(proto: ProtoAt) -> String {
        perilune_bytecode::listing::list(&Self::info(proto).plain)
    }

    /// An instruction of a prototype.
    pub fn instr(&self, proto: ProtoAt, pc: u32) -> Instr {
        self.plain(proto).code[pc as usize]
    }

    /// The address of an instruction.
    pub fn code_address(proto: ProtoAt, pc: u32) -> *const Instr {
        // SAFETY: as in `plain`.
        unsafe { (*Self::raw(proto)).code.add(pc as usize) }
    }

    /// The source line of an instruction; 0 if it is not known.
    pub fn line(proto: ProtoAt, pc: u32) -> u32 {
        Self::info(proto).plain.lines.get(pc as usize).copied().unwrap_or(0)
    }

    /// The next call of a function is one that the tier wants to see.
    pub fn expect_call(&self, proto: ProtoAt) {
        // SAFETY: as in `plain`; nobody else looks at the count meanwhile.
        unsafe {
            (*Self::raw(proto)).counts_calls = true;
            tier::set_calls(Self::raw(proto), 1);
        }
    }

    /// A prototype, as the recorder names it.
    pub fn proto_at(proto: *mut Proto) -> ProtoAt {
        ProtoAt(proto.expose_provenance() as u64)
    }

    /// Whether no code may be made of a function.
    pub fn is_never_compiled(proto: ProtoAt) -> bool {
        // SAFETY: as in `plain`.
        unsafe { (*Self::raw(proto)).is_never_compiled }
    }

    /// Sets what runs when host code calls a function that has been compiled.
    pub fn set_entry(proto: ProtoAt, entry: *const ()) {
        // SAFETY: as in `mark_proto`: the function's tree refers to its prototype.
        unsafe { tier::set_entry(Self::raw(proto), entry) }
    }

    /// Marks the current frame, so that a recording goes on when it returns.
    pub fn watch_return(&self) {
        // SAFETY: the recorder has just seen a Lua instruction call the frame's function.
        unsafe { compiled::watch_return(self.vm) }
    }

    /// Marks the frame of a thread that has just resumed the running one, so that a recording goes on when that gives back.
    /// False if it has not.
    pub fn watch_resumer(&self, thread: u64) -> bool {
        // SAFETY: the VM is ours.
        unsafe { compiled::watch_resumer(self.vm, thread) }
    }

    /// Reports a prototype that a recording refers to.
    pub fn mark_proto(proto: ProtoAt, marker: &mut Marker<'_>) {
        // SAFETY: a prototype that was reported in each cycle since it was seen is alive.
        marker.object(unsafe { Gc::from_ptr(Self::raw(proto)) });
    }

    /// Whether a prototype that a tree refers to stays alive.
    pub fn is_proto_reached(proto: ProtoAt, reached: &Reached<'_>) -> bool {
        // SAFETY: it was alive at the end of the last cycle, or the tree would be gone, or else when it was recorded since.
        unsafe { reached.object(Gc::from_ptr(Self::raw(proto))) }
    }

    /// Whether an object that a tree refers to stays alive.
    pub fn is_root_reached(root: Value, reached: &Reached<'_>) -> bool {
        // SAFETY: as in `is_proto_reached`.
        unsafe { reached.value(root) }
    }

    /// Whether a function's variables may be closed: there are functions in it that capture some, or variables that wait
    /// for their `__close`.
    pub fn has_captures(&self, proto: ProtoAt) -> bool {
        self.has_captured_variables(proto)
            || self.plain(proto).code.iter().any(|i| matches!(i.op(), Some(Op::Tbc | Op::TForPrep)))
    }

    /// Whether there are functions in a function that capture some of its variables.
    pub fn has_captured_variables(&self, proto: ProtoAt) -> bool {
        let children = 0..Self::info(proto).protos.len();
        children.map(|n| self.child(proto, n)).any(|child| self.plain(child).upvals.iter().any(|up| up.in_stack))
    }

    /// The registers that closures of a child find variables in.
    pub fn captured(&self, proto: ProtoAt, child: usize) -> Registers {
        let upvalues = &self.plain(self.child(proto, child)).upvals;
        Registers::of(upvalues.iter().filter(|upvalue| upvalue.in_stack).map(|upvalue| upvalue.index))
    }

    /// A child prototype.
    pub fn child(&self, proto: ProtoAt, n: usize) -> ProtoAt {
        // SAFETY: as in `plain`; the child exists, by verification.
        unsafe { ProtoAt((*(*Self::raw(proto)).protos.add(n)).expose_provenance() as u64) }
    }

    /// A constant.
    pub fn constant(&self, proto: ProtoAt, n: usize) -> Value {
        Self::info(proto).consts()[n]
    }

    /// The key of an inline cache.
    pub fn cache_key(&self, proto: ProtoAt, n: usize) -> Value {
        assert!(n < self.plain(proto).caches.len());
        // SAFETY: as in `plain`; the cache exists.
        unsafe { (*cache_of((*Self::raw(proto)).consts, n)).key }
    }

    /// The shape of a record template.
    pub fn template(&self, proto: ProtoAt, n: usize) -> u64 {
        // SAFETY: as in `plain`; the template exists, by verification.
        unsafe { (*(*Self::raw(proto)).templates.add(n)).expose_provenance() as u64 }
    }

    /// A register of the current frame.
    pub fn reg(&self, n: u32) -> Value {
        // SAFETY: operands name registers of the frame, by verification.
        unsafe { *(*self.frame()).base.add(n as usize) }
    }

    /// Where the variable of upvalue `n` of a Lua function is: the upvalue, the variable's address, whether it is closed.
    pub fn upvalue(&self, closure: u64, n: u32) -> Upvalue {
        let closure: *mut LuaClosure = std::ptr::with_exposed_provenance_mut(closure as usize);
        // SAFETY: the closure of a running frame is alive and has the upvalue, by verification.
        unsafe {
            let up: *mut UpVal = *LuaClosure::upvals(closure).add(n as usize);
            let slot = (*up).slot;
            let thread = self.vm().current_thread();
            let offset = (slot.addr() as i64 - (*thread).stack.addr() as i64) / size_of::<Value>() as i64;
            let is_ours = slot >= (*thread).stack && slot <= (*thread).stack_limit;
            let proto: &Proto = &*(*closure).proto;
            let described = proto.info.plain.upvals.get(n as usize);
            Upvalue {
                value: *slot,
                stack_slot: is_ours.then_some(offset as usize),
                is_assigned: self.vm().has_joined_upvalues() || described.is_none_or(|upval| upval.is_assigned),
            }
        }
    }

    /// The prototype of a Lua function.
    pub fn proto_of(&self, function: Value) -> Option<ProtoAt> {
        // SAFETY: a value in a register is alive.
        function.as_lua_fn().map(|f| unsafe { ProtoAt((*f.as_ptr()).proto.expose_provenance() as u64) })
    }

    /// What a native function is known as; 0 for nothing.
    pub fn intrinsic(&self, function: Value) -> u32 {
        // SAFETY: as in `proto_of`.
        function.as_native_fn().map_or(0, |f: Gc<NativeClosure>| unsafe { (*f.as_ptr()).intrinsic })
    }

    /// A table's parts.
    pub fn table(&self, value: Value) -> Option<TableView> {
        value.as_table().map(TableView)
    }

    /// The metatable that all strings share.
    pub fn string_metatable(&self) -> Option<TableView> {
        // SAFETY: any live string will do to ask with; the event's name is one.
        meta::metatable(self.vm(), Value::str(self.event_name(Event::Index))).map(TableView)
    }

    /// The metatable of a userdata.
    pub fn userdata_metatable(&self, value: Value) -> Option<TableView> {
        meta::metatable(self.vm(), value).map(TableView)
    }

    /// The interned name of an event.
    pub fn event_name(&self, event: Event) -> StrRef {
        self.vm().event_name(event)
    }

    /// A slot of the stack, by its offset from the start.
    pub fn stack(&self, offset: usize) -> Value {
        // SAFETY: the recorder asks for slots of live frames.
        unsafe { *(*self.vm().current_thread()).stack.add(offset) }
    }

    /// How many values of an open list begin at an offset of the stack.
    pub fn open_count(&self, offset: usize) -> u32 {
        // SAFETY: the top is inside the stack, behind the list.
        unsafe {
            let th = self.vm().current_thread();
            (*th).top.offset_from((*th).stack.add(offset)).max(0) as u32
        }
    }

    /// The variable arguments of the current frame.
    pub fn var_args(&self) -> Vec<Value> {
        // SAFETY: the current frame is a Lua frame; its extra arguments are directly below its base.
        unsafe {
            let frame = (*self.vm().current_thread()).frame;
            let count = (*frame).extra as u32 as usize;
            std::slice::from_raw_parts((*frame).base.sub(count), count).to_vec()
        }
    }

    /// Whether variables from an offset of the stack up wait to be closed.
    pub fn has_pending_close(&self, offset: usize) -> bool {
        // SAFETY: the current thread is alive.
        unsafe { compiled::has_pending_close(self.vm, offset) }
    }

    /// Whether a native function is one that moves frames itself.
    pub fn is_control(&self, function: Value) -> bool {
        // SAFETY: as in `proto_of`.
        function.as_native_fn().is_none_or(|f| unsafe { (*f.as_ptr()).control != 0 })
    }

    /// Which of the functions that move frames a native function is.
    pub fn control(&self, function: Value) -> Option<Control> {
        // SAFETY: as in `proto_of`.
        function.as_native_fn().and_then(|f| unsafe { Control::of((*f.as_ptr()).control) })
    }

    /// What a coroutine is doing, as a number.
    pub fn status(&self, co: ThreadRef) -> i64 {
        // SAFETY: a value in a register is alive.
        unsafe { (*co.as_ptr()).status as i64 }
    }

    /// The first upvalue of a native function.
    pub fn native_upvalue(&self, function: Value) -> Option<Value> {
        let f = function.as_native_fn()?;
        // SAFETY: as in `proto_of`; `word` upvalues follow the object.
        unsafe { ((*f.as_ptr()).header.word > 0).then(|| *NativeClosure::upvals(f.as_ptr())) }
    }

    /// The shape of an empty table.
    pub fn root_shape(&self) -> u64 {
        // SAFETY: nobody else uses the VM while the view lives.
        unsafe { compiled::heap(self.vm).shapes.root().expose_provenance() as u64 }
    }

    /// Whether a shape says nothing of string keys.
    pub fn is_dictionary_shape(&self, shape: u64) -> bool {
        let shape: *const Shape = std::ptr::with_exposed_provenance(shape as usize);
        // SAFETY: shapes live as long as the heap.
        unsafe { (*shape).is_dict() }
    }

    /// The shape and the slot that a table gets with another key; `None` if it becomes a dictionary.
    pub fn transition(&self, table: TableView, key: StrRef) -> Option<(u64, u32)> {
        // SAFETY: nobody else uses the VM while the view lives; the table and its shape are alive.
        unsafe {
            let from = (*table.raw()).shape;
            let to = transition(compiled::heap(self.vm), from, key)?;
            Some((to.expose_provenance() as u64, (*from).count))
        }
    }

    /// The interned string of these bytes.
    pub fn interned(&self, bytes: &[u8]) -> Value {
        // SAFETY: nobody else uses the VM while the view lives; creating a string is no safepoint.
        unsafe { Value::str(compiled::heap(self.vm).new_str(bytes)) }
    }

    /// The name of a value's type, as `type` gives it.
    pub fn type_name(&self, v: Value) -> Option<Value> {
        Some(self.interned(v.type_name().as_bytes()))
    }

    /// Whether both are strings, and so long that the interpreter compares them.
    pub fn are_long_strings(&self, x: Value, y: Value) -> bool {
        match (x.as_str(), y.as_str()) {
            (Some(x), Some(y)) => perilune_vm::compiled::are_long(x.as_bytes(), y.as_bytes()),
            _ => false,
        }
    }

    /// Negative, zero or positive, as `<` orders strings.
    pub fn compare_strings(&self, x: Value, y: Value) -> i64 {
        match (x.as_str(), y.as_str()) {
            (Some(x), Some(y)) => x.as_bytes().cmp(y.as_bytes()) as i64,
            _ => 0,
        }
    }

    /// The pair that a generic loop in the registers from `a` on will get from `next`; `None` at the end.
    pub fn peek_next(&self, a: u32) -> Option<(Value, Value)> {
        let table = self.reg(a + 1).as_table()?;
        let has_integers = self.dialect().integers;
        let control = self.reg(a + 2);
        let as_kept = control.as_float().filter(|_| !has_integers).and_then(float_to_int);
        let control = as_kept.map_or(control, Value::int);
        let (_, key, value) = table.next_with_hint(control, self.reg(a + 3).payload).ok()??;
        let as_seen = key.as_int().filter(|_| !has_integers);
        Some((as_seen.map_or(key, |int| Value::float(int as f64)), value))
    }

    /// How many bytes a string has; 0 of what is none.
    pub fn string_len(&self, value: Value) -> usize {
        value.as_str().map_or(0, |s| s.len())
    }

    /// Byte `n` (from 0) of a string.
    pub fn string_byte(&self, value: Value, n: usize) -> Option<u8> {
        value.as_str().and_then(|s| s.as_bytes().get(n).copied())
    }

    /// Whether a string is interned: equal ones are the same object.
    pub fn is_short(&self, value: Value) -> bool {
        value.as_str().is_some_and(|s| s.is_short())
    }
}

/// An upvalue as the recorder sees it.
#[derive(Clone, Copy, Debug)]
pub struct Upvalue {
    /// The variable's value.
    pub value: Value,
    /// The variable's slot, when it is on the current stack.
    pub stack_slot: Option<usize>,
    /// Whether a function may assign to it through an upvalue.
    pub is_assigned: bool,
}

/// A live table.
#[derive(Clone, Copy, Debug)]
pub struct TableView(TableRef);

/// Where a table has a string key.
#[derive(Clone, Copy, Debug)]
pub enum Property {
    /// In this slot, with this value.
    Slot(u32, Value),
    /// Nowhere: the shape says so.
    Absent,
    /// The shape does not say.
    Unknown,
}

impl TableView {
    fn raw(self) -> *mut Table {
        self.0.as_ptr()
    }

    /// The address.
    pub fn address(self) -> u64 {
        self.0.address()
    }

    /// The address of the shape.
    pub fn shape(self) -> u64 {
        // SAFETY: the table is alive while the view is.
        unsafe { (*self.raw()).shape.expose_provenance() as u64 }
    }

    /// Whether string keys have no shape.
    pub fn is_dictionary(self) -> bool {
        // SAFETY: shapes live as long as the heap.
        unsafe { (*(*self.raw()).shape).is_dict() }
    }

    /// The number of the entry of the hash part that has a string key.
    pub fn entry(self, key: StrRef) -> Option<u32> {
        self.0.entry_of(key)
    }

    /// Whether it is known to be the metatable of more than one object.
    pub fn is_shared(self) -> bool {
        // SAFETY: as in `shape`.
        unsafe { (*self.raw()).header.mark & mark::SHARED != 0 }
    }

    /// The metatable.
    pub fn meta(self) -> Option<TableView> {
        self.0.metatable().map(TableView)
    }

    /// Where a string key is.
    pub fn property(self, key: StrRef) -> Property {
        // SAFETY: the table is alive; a slot of its shape is initialised.
        unsafe {
            match lookup_field(self.raw(), key) {
                FieldSlot::Own(slot) => Property::Slot(slot, *(*self.raw()).slots.add(slot as usize)),
                FieldSlot::Absent => Property::Absent,
                FieldSlot::Dict => Property::Unknown,
            }
        }
    }

    /// The element kind of the array part.
    pub fn kind(self) -> u8 {
        // SAFETY: as in `shape`.
        unsafe { (*self.raw()).header.aux }
    }

    /// The length of the array part.
    pub fn len(self) -> u64 {
        // SAFETY: as in `shape`.
        unsafe { (*self.raw()).header.word as u64 }
    }

    /// Whether there is a hash part.
    pub fn has_hash(self) -> bool {
        // SAFETY: as in `shape`.
        unsafe { !(*self.raw()).hash.is_null() }
    }

    /// Whether an element can be appended without anything growing.
    pub fn has_room(self) -> bool {
        // SAFETY: as in `shape`.
        let cap = unsafe { (*self.raw()).array_cap };
        !self.has_hash() && self.len() < u64::from(cap)
    }

    /// The value of any key, without metamethods.
    pub fn get(self, key: Value) -> Value {
        self.0.get(key)
    }

    /// Itself as a value.
    pub fn value(self) -> Value {
        Value { payload: self.0.address(), tag: Tag::Table }
    }
}
