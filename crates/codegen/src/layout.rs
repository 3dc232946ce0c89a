//! Where things are: what compiled code must know of the machine state that it works on.
//!
//! Objects are described by their structs in `perilune_runtime`; what only a running VM knows comes in an
//! [`Environment`].

use std::mem::{offset_of, size_of};

use perilune_runtime::object::{LuaClosure, NativeClosure, Str, Table, Thread, UpVal, UserData};
use perilune_runtime::stack::Room;
use perilune_runtime::value::Value;
use perilune_trace::ir::{Field, Helper};

/// The addresses and offsets of a VM.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Offset of the fuel counter in the VM.
    pub fuel: i32,
    /// Offset of the heap's bytes in the VM.
    pub heap_bytes: i32,
    /// Offset of the heap's threshold in the VM.
    pub heap_threshold: i32,
    /// Offset in the VM of the heap's first free cells, by size class.
    pub heap_free: i32,
    /// Offset in the VM of the heap's colour of new objects.
    pub heap_white: i32,
    /// Offset in the VM of the place where helpers leave payloads.
    pub scratch: i32,
    /// The helpers' addresses, by their numbers.
    pub helpers: Vec<u64>,
    /// The functions behind the operations `Barrier` and `BarrierUp`: `fn(vm, object)`, `fn(vm, upvalue, payload, tag)`.
    pub barriers: [u64; 2],
    /// Offset in the VM of the limits of calls, a [`Room`].
    pub room: i32,
    /// What a tree needs so that others can call its function; `None` if they must not.
    pub callable: Option<Callable>,
    /// The first slot for what exits hand over besides slots of the tree.
    pub spare: u32,
    /// The functions for calls of compiled functions.
    pub calls: Calls,
    /// The function that calls out: `fn(vm, exits, snapshot, func slot, nargs, nresults) -> base`, null if it did not come back.
    pub call_out: u64,
    /// What it gets as `exits`.
    pub exits: u64,
    /// Of the guards, each one whose number is a multiple of this fails always, to exercise exits; 0 for none.
    pub exit_every: u32,
}

/// A tree whose root header is the entry of a function that compiled code may call.
#[derive(Clone, Copy, Debug)]
pub struct Callable {
    /// Slots that the tree may touch, from slot 1 on.
    pub slots: u32,
    /// The function's parameters.
    pub params: u32,
    /// The cell by which its callers find its code: what it calls through this is itself.
    pub cell: u64,
}

/// Runtime functions around calls of compiled functions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// `fn(vm, registers) -> status`: calls the function that another has asked for in its place, and so on, until one does not.
    pub tail: u64,
    /// `fn(vm, registers, cell, status) -> status`: the code of the function with this cell, or, without one, of that which was called in
    /// its place, has left. Lets a fragment of it go on, if there is one.
    pub go_on: u64,
    /// `fn(vm, exits, snapshot, cell, status) -> status`: the call of the function with this cell, or, without one, of that
    /// which was called in its place, has not returned. Notes what the caller was doing, and says what the caller returns.
    pub unwound: u64,
    /// `fn(vm, exits, snapshot, top slot) -> status`: as `unwound`, when the list of results has another length.
    pub left_open: u64,
    /// `fn(func place, count, wanted)`: fills up the results.
    pub settle: u64,
}

impl Environment {
    /// The address of a helper.
    pub(crate) fn helper(&self, helper: Helper) -> u64 {
        self.helpers[helper as usize]
    }
}

/// Size of a slot, a property and an element of kind `Any`.
pub(crate) const VALUE: i64 = size_of::<Value>() as i64;
/// Offset of a value's tag.
pub(crate) const TAG: i32 = offset_of!(Value, tag) as i32;
/// Offset of an object's mark.
pub(crate) const MARK: i32 = offset_of!(perilune_runtime::object::GcHeader, mark) as i32;
/// Offset of an object's flags.
pub(crate) const FLAGS: i32 = offset_of!(perilune_runtime::object::GcHeader, flags) as i32;

/// How a field is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Byte,
    Half,
    Word,
}

/// Offset and width of a field.
pub(crate) fn field(field: Field, number: u32) -> (i32, Width) {
    let (offset, width) = match field {
        Field::Shape => (offset_of!(Table, shape), Width::Word),
        Field::Meta => (offset_of!(Table, meta), Width::Word),
        Field::Slots => (offset_of!(Table, slots), Width::Word),
        Field::Array => (offset_of!(Table, array), Width::Word),
        Field::Hash => (offset_of!(Table, hash), Width::Word),
        Field::Kind => (offset_of!(perilune_runtime::object::GcHeader, aux), Width::Byte),
        Field::Len => (offset_of!(perilune_runtime::object::GcHeader, word), Width::Half),
        Field::Cap => (offset_of!(Table, array_cap), Width::Half),
        Field::UpSlot => (offset_of!(UpVal, slot), Width::Word),
        Field::UpVal => (size_of::<LuaClosure>() + number as usize * size_of::<*mut UpVal>(), Width::Word),
        Field::Proto => (offset_of!(LuaClosure, proto), Width::Word),
        Field::StrLen => (offset_of!(Str, len), Width::Word),
        Field::Known => (offset_of!(NativeClosure, intrinsic), Width::Half),
        Field::Status => (offset_of!(Thread, status), Width::Byte),
        Field::UserMeta => (offset_of!(UserData, meta), Width::Word),
    };
    (offset as i32, width)
}

/// Offset of the first byte of a string.
pub(crate) const BYTES: i32 = size_of::<Str>() as i32;

/// Offset of the end of the stack slots in the limits of calls.
pub(crate) const ROOM_SLOTS: i32 = offset_of!(Room, slots_end) as i32;
/// Offset of the end of the host's stack in them.
pub(crate) const ROOM_HOST: i32 = offset_of!(Room, host_end) as i32;
/// Offset of the function that is called in another's place.
pub(crate) const ROOM_TAIL: i32 = offset_of!(Room, tail) as i32;
/// Offset of the first slot in them that compiled code may hold in a register.
pub(crate) const ROOM_HELD: i32 = offset_of!(Room, held) as i32;
/// Offset of the first slot in them of which only a register may have the value.
pub(crate) const ROOM_WRITTEN: i32 = offset_of!(Room, written) as i32;
