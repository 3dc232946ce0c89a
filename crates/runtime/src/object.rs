//! The heap objects: their header, their kinds and their layouts.
//!
//! All layouts are `repr(C)`, because compiled code addresses fields by offset. Objects never move.
//!
//! | kind | struct | variable tail |
//! |---|---|---|
//! | string | [`Str`] | the bytes |
//! | table | [`Table`] | inline property slots |
//! | Lua function | [`LuaClosure`] | upvalue pointers |
//! | native function | [`NativeClosure`] | upvalue values |
//! | userdata | [`UserData`] | – (user values in a buffer) |
//! | coroutine | [`Thread`] | – (stack and frames in buffers) |
//! | upvalue | [`UpVal`] | – |
//! | prototype | [`Proto`] | – (buffers) |

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use perilune_bytecode::ops::Instr;

use crate::heap::Heap;
use crate::stack::Frame;
use crate::table::{HashPart, Shape};
use crate::value::{Tag, Value};

/// What a heap cell holds. Kinds that a [`Value`] can refer to have their tag's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// a free cell
    Free = 0,
    /// [`Str`]
    Str = 6,
    /// [`Table`]
    Table = 7,
    /// [`LuaClosure`]
    LuaFn = 8,
    /// [`NativeClosure`]
    NativeFn = 9,
    /// [`UserData`]
    UserData = 10,
    /// [`Thread`]
    Thread = 11,
    /// [`UpVal`]
    UpVal = 12,
    /// [`Proto`]
    Proto = 13,
}

/// Bits of [`GcHeader::mark`]. An object without a colour bit is gray.
pub mod mark {
    /// One of the two whites; the collector's current white is the other side of what the last cycle freed.
    pub const WHITE0: u8 = 1;
    /// The other white.
    pub const WHITE1: u8 = 2;
    /// Both whites.
    pub const WHITES: u8 = 3;
    /// Reached, and all that it refers to is at least gray.
    pub const BLACK: u8 = 4;
    /// Registered for finalization (has a metatable that had `__gc` when it was set).
    pub const FINALIZER: u8 = 8;
    /// Its finalizer has been called.
    pub const FINALIZED: u8 = 32;
    /// Never freed before the heap is.
    pub const FIXED: u8 = 16;
    /// A table that has become the metatable of an object. Compiled code, which sets metatables too, does not note it.
    pub const METATABLE: u8 = 64;
    /// A table that has become the metatable of more than one.
    pub const SHARED: u8 = 128;
}

/// The first eight bytes of every cell.
#[derive(Debug)]
#[repr(C)]
pub struct GcHeader {
    /// What follows.
    pub kind: Kind,
    /// Colour, collector flags, and what a table is used for: see [`mark`].
    pub mark: u8,
    /// Kind-specific. Table: cached absence of metamethods, bit per event. String: see [`Str`]. Thread: unused.
    pub flags: u8,
    /// Kind-specific. Table: element kind of the array part. Native function: unused.
    pub aux: u8,
    /// Kind-specific. String: hash. Table: length of the array part. Closures and userdata: number of (up)values.
    pub word: u32,
}

const _: () = assert!(size_of::<GcHeader>() == 8);

/// A reference to a heap object: a non-null address, copied freely. It roots nothing; see the module `value`.
pub struct Gc<T> {
    ptr: NonNull<T>,
    owner: PhantomData<*mut T>,
}

impl<T> Clone for Gc<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Gc<T> {}

impl<T> PartialEq for Gc<T> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.ptr == other.ptr
    }
}

impl<T> Eq for Gc<T> {}

impl<T> fmt::Debug for Gc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gc({:p})", self.ptr)
    }
}

impl<T> Gc<T> {
    /// The reference behind a payload.
    ///
    /// # Safety
    /// `address` is the exposed address of a live object of type `T`.
    #[inline(always)]
    pub unsafe fn from_address(address: u64) -> Gc<T> {
        debug_assert!(address != 0);
        // SAFETY: the caller's duty: a live object is not at address zero.
        let ptr = unsafe { NonNull::new_unchecked(std::ptr::with_exposed_provenance_mut(address as usize)) };
        Gc { ptr, owner: PhantomData }
    }

    /// The reference to the object at `ptr`.
    ///
    /// # Safety
    /// `ptr` is the address of a live object of type `T`.
    #[inline(always)]
    pub unsafe fn from_ptr(ptr: *mut T) -> Gc<T> {
        debug_assert!(!ptr.is_null());
        // SAFETY: the caller's duty.
        Gc { ptr: unsafe { NonNull::new_unchecked(ptr) }, owner: PhantomData }
    }

    /// The address as a payload.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.ptr.as_ptr().expose_provenance() as u64
    }

    /// The pointer.
    #[inline(always)]
    pub fn as_ptr(self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// The pointer to the header, which every object begins with.
    #[inline(always)]
    pub fn header(self) -> *mut GcHeader {
        self.ptr.as_ptr().cast()
    }
}

/// A reference to a string.
pub type StrRef = Gc<Str>;
/// A reference to a table.
pub type TableRef = Gc<Table>;
/// A reference to a userdata.
pub type UserDataRef = Gc<UserData>;
/// A reference to a coroutine.
pub type ThreadRef = Gc<Thread>;

/// A string. Strings of at most [`Str::MAX_SHORT`] bytes are interned: equal ones are the same object.
#[repr(C)]
pub struct Str {
    /// `flags`: [`Str::SHORT`], [`Str::HASHED`]; `word`: the hash (of a long string only once `HASHED`).
    pub header: GcHeader,
    /// Length in bytes; the bytes follow this struct.
    pub len: usize,
}

impl Str {
    /// Longest interned string.
    pub const MAX_SHORT: usize = 40;
    /// Flag: interned.
    pub const SHORT: u8 = 1;
    /// Flag: `word` holds the hash.
    pub const HASHED: u8 = 2;
}

/// Element kind of an array part that holds any values, nils included, as 16-byte values.
/// The other kinds, but for [`BOOL_ELEMENTS`], are the tag number of all elements, which are then stored as 8-byte payloads and
/// are never nil.
pub const ANY_ELEMENTS: u8 = 0xff;

/// Element kind of an array part that holds booleans and nils, as tags of one byte.
pub const BOOL_ELEMENTS: u8 = 0xfe;

/// A table: an array part for keys `1..=len`, a property part for string keys, and a hash part for the rest.
///
/// * `header.word` is the array part's length, `header.aux` its element kind ([`ANY_ELEMENTS`], [`BOOL_ELEMENTS`] or a tag number).
///   The last element is never nil.
/// * `shape` says which string keys live in `slots`, and where. The dictionary shape says: none, all of them are in
///   `hash`. With any other shape `hash` holds no string key.
/// * `slots` points to the inline slots after this struct, or to a buffer once they are outgrown. A nil slot is an
///   absent property.
#[repr(C)]
pub struct Table {
    /// `flags`: bit `n` set when metamethod `n` is known to be absent (this table used as a metatable).
    pub header: GcHeader,
    /// Layout of the property part. Never null.
    pub shape: *mut Shape,
    /// The metatable or null.
    pub meta: *mut Table,
    /// The property slots.
    pub slots: *mut Value,
    /// The array elements: 16-byte values, 8-byte payloads or 1-byte tags, by the element kind.
    pub array: *mut u8,
    /// The hash part or null.
    pub hash: *mut HashPart,
    /// Room in `array`, in elements.
    pub array_cap: u32,
    /// Room in `slots`.
    pub slot_cap: u16,
    /// Room in the inline slots after this struct.
    pub inline_cap: u16,
}

/// An upvalue: a variable shared by closures, on a stack while its scope is active, in itself afterwards.
#[repr(C)]
pub struct UpVal {
    /// The header.
    pub header: GcHeader,
    /// The variable: a stack slot while open, `&self.closed` afterwards.
    pub slot: *mut Value,
    /// The value once closed. While open, its payload is the address of the next open upvalue further down the stack.
    pub closed: Value,
}

/// A Lua function: a prototype and its upvalues.
#[repr(C)]
pub struct LuaClosure {
    /// `word`: number of upvalues.
    pub header: GcHeader,
    /// The code.
    pub proto: *mut Proto,
    // `word` pointers to `UpVal` follow.
}

impl LuaClosure {
    /// The array of upvalue pointers behind the struct.
    ///
    /// # Safety
    /// `this` is a live closure.
    #[inline(always)]
    pub unsafe fn upvals(this: *mut LuaClosure) -> *mut *mut UpVal {
        // SAFETY: the allocation of a closure includes its upvalue array, directly behind the struct.
        unsafe { this.add(1).cast() }
    }
}

/// The code of a native function, with its type erased: this crate does not know the VM that it takes.
pub type ErasedNative = *const ();

/// What a direct call came to.
#[derive(Clone, Copy, Debug)]
pub enum Direct {
    /// Not a case that the direct form knows: call the function.
    Unknown,
    /// No result.
    Nothing,
    /// One result.
    One(Value),
}

/// The direct form of a native function: what it does in common cases, by its arguments alone and how many results are
/// wanted (-1 for all). It raises no error, calls no function and looks at no frame, so the interpreter and compiled code call
/// it without making one.
pub type DirectFn = fn(&mut Heap, &[Value], i32) -> Direct;

/// A native function and its upvalues.
#[repr(C)]
pub struct NativeClosure {
    /// `word`: number of upvalues. `aux`: nothing.
    pub header: GcHeader,
    /// The function.
    pub code: ErasedNative,
    /// What the recorder of a compiler tier knows it as; 0 for nothing.
    pub intrinsic: u32,
    /// Whether the interpreter must switch frames or threads for it (`pcall`, `resume`, ...); 0 for plain functions.
    pub control: u32,
    /// What is tried first, by the interpreter and by compiled code: it needs no frame.
    pub direct: Option<DirectFn>,
    // `word` values follow.
}

impl NativeClosure {
    /// The array of upvalues behind the struct.
    ///
    /// # Safety
    /// `this` is a live closure.
    #[inline(always)]
    pub unsafe fn upvals(this: *mut NativeClosure) -> *mut Value {
        // SAFETY: the allocation of a closure includes its upvalue array, directly behind the struct.
        unsafe { this.add(1).cast() }
    }
}

/// A full userdata: a host value with a metatable and user values.
#[repr(C)]
pub struct UserData {
    /// `word`: number of user values.
    pub header: GcHeader,
    /// The metatable or null.
    pub meta: *mut Table,
    /// The host's value; `None` after it was taken or finalized by the host.
    pub data: Option<Box<dyn Any>>,
    /// The user values, `word` of them; null when there are none.
    pub user_values: *mut Value,
    /// Bytes that the host's value refers to, as far as whoever made it has counted them.
    pub held: usize,
}

impl UserData {
    /// Bytes of the host's value and of what it refers to; none if it was taken.
    pub(crate) fn host_bytes(&self) -> usize {
        self.data.as_deref().map_or(0, |data| size_of_val(data) + self.held)
    }
}

/// What a coroutine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ThreadStatus {
    /// Not started, or yielded.
    Suspended,
    /// The current one.
    Running,
    /// Has resumed another one.
    Normal,
    /// Returned, failed, or closed.
    Dead,
}

/// A coroutine (the main program is one too): its stack of values and its stack of frames.
#[repr(C)]
pub struct Thread {
    /// The header.
    pub header: GcHeader,
    /// First slot of the stack; null for a coroutine whose buffers were released.
    pub stack: *mut Value,
    /// One past the last slot that frames may use; [`crate::stack::EXTRA_SLOTS`] more exist behind it.
    pub stack_limit: *mut Value,
    /// First slot above the live values, whenever a native function runs or a collection can happen.
    pub top: *mut Value,
    /// The frames; `frame` points into them.
    pub frames: *mut Frame,
    /// The current frame.
    pub frame: *mut Frame,
    /// The last frame that fits.
    pub frames_limit: *mut Frame,
    /// Open upvalues, highest slot first; null when there are none.
    pub open_upvals: *mut UpVal,
    /// Stack offsets of the variables that wait to be closed, lowest first.
    pub to_close: Vec<u32>,
    /// The thread that resumed this one; null for the main thread and for suspended ones.
    pub resumer: *mut Thread,
    /// What it is doing.
    pub status: ThreadStatus,
    /// Whether it has started: a suspended thread that has not starts with a call instead of a return from `yield`.
    pub started: bool,
    /// Calls in progress that cannot be yielded across.
    pub non_yieldable: u32,
    /// The hook function, or nil; with its mask and count see `perilune-vm`.
    pub hook: Value,
    /// Which events call the hook.
    pub hook_mask: u8,
    /// Whether a hook is running, so that it does not call itself.
    pub in_hook: bool,
    /// Instructions between count events, or what a script has given in its place: there are none unless it is positive.
    pub hook_count: i32,
    /// Instructions left before the next count event.
    pub hook_left: i32,
    /// The line of the last line event.
    pub hook_line: u32,
    /// The instruction of the last line event.
    pub hook_pc: u32,
    /// The error that killed it, kept for `coroutine.close`; nil otherwise.
    pub error: Value,
}

/// One inline cache of a field access. Shapes live as long as the heap, so a cache needs no tracing beyond its key.
///
/// | state | condition | the value is |
/// |---|---|---|
/// | own | `shape` is the object's shape | `object.slots[slot]` |
/// | inherited | `shape` is the object's shape (key absent), `meta_shape` the metatable's, `holder_shape` the table's in `__index` | `metatable.slots[index_slot]` is the holder; `holder.slots[slot]` |
/// | added (stores) | `shape` is the object's shape, no metatable | the object takes `new_shape` and stores into `slot` |
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Cache {
    /// The key, a short or long string constant.
    pub key: Value,
    /// The shape for which `slot` is the object's own slot; null when there is none.
    pub shape: *mut Shape,
    /// The object's shape for an inherited access or for an added property; null when there is none.
    pub outer_shape: *mut Shape,
    /// Inherited: the metatable's shape.
    pub meta_shape: *mut Shape,
    /// Inherited: the holder's shape. Added: the shape after.
    pub holder_shape: *mut Shape,
    /// Own: the slot.
    pub slot: u32,
    /// Inherited: the slot in the holder. Added: the slot in the object.
    pub holder_slot: u32,
    /// Inherited: the slot of `__index` in the metatable.
    pub index_slot: u32,
    /// How many times it missed, saturating.
    pub misses: u32,
}

/// A loaded prototype.
#[repr(C)]
pub struct Proto {
    /// The header.
    pub header: GcHeader,
    /// First instruction.
    pub code: *const Instr,
    /// The constants. The inline caches lie in front of them, the first one nearest; see [`cache_of`].
    pub consts: *const Value,
    /// The shapes of the record templates.
    pub templates: *const *mut Shape,
    /// The child prototypes.
    pub protos: *const *mut Proto,
    /// Fixed parameters.
    pub num_params: u8,
    /// Whether it takes further arguments.
    pub is_vararg: bool,
    /// Registers.
    pub max_stack: u8,
    /// Whether calls are counted: they are from the first one on.
    pub counts_calls: bool,
    /// Whether no compiler tier may make code of it.
    pub is_never_compiled: bool,
    /// Calls until a compiler tier is told that the function is called often; see `perilune_vm::tier`.
    pub calls_left: u32,
    /// What a compiler tier runs when host code calls the function, as the tier knows it; null for nothing. See
    /// `perilune_vm::tier`.
    pub entry: *const (),
    /// What is needed less often.
    pub info: Box<ProtoInfo>,
}

/// The parts of a prototype that running code does not touch. The buffers own what the pointers of [`Proto`] point to.
pub struct ProtoInfo {
    /// The plain form without its children: names, lines, upvalue descriptors, constants for dumping.
    pub plain: perilune_bytecode::proto::Proto,
    /// The source name as a Lua string.
    pub source: Value,
    /// Owner of what `Proto::consts` points into: the caches, last one first, then the constants.
    pub pool: Box<[u64]>,
    /// Number of caches in `pool`.
    pub cache_count: usize,
    /// Owner of `Proto::templates`.
    pub templates: Box<[*mut Shape]>,
    /// Owner of `Proto::protos`.
    pub protos: Box<[*mut Proto]>,
    /// The last closure made, where closures are used again; it is not kept alive.
    pub last_closure: *mut LuaClosure,
    /// Bytes counted for all of this at the heap.
    pub bytes: usize,
}

impl ProtoInfo {
    /// Words of a cache in `pool`.
    pub const CACHE_WORDS: usize = size_of::<Cache>() / size_of::<u64>();

    /// The constants.
    pub fn consts(&self) -> &[Value] {
        let first = self.cache_count * Self::CACHE_WORDS;
        let words = &self.pool[first..];
        // SAFETY: the words behind the caches were written as values when the prototype was loaded, and never since.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() / 2) }
    }
}

/// The `n`-th inline cache of the prototype with these constants.
///
/// # Safety
/// The prototype is alive and has that many caches.
#[inline(always)]
pub unsafe fn cache_of(consts: *const Value, n: usize) -> *mut Cache {
    // SAFETY: the caller's duty; the caches lie in front of the constants in one buffer.
    unsafe { consts.cast_mut().cast::<Cache>().sub(1 + n) }
}

/// How elements of the array part are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As values: [`ANY_ELEMENTS`].
    Values,
    /// As payloads, whose tag is the element kind.
    Payloads,
    /// As tags: [`BOOL_ELEMENTS`].
    Tags,
}

impl Form {
    /// The form of an element kind.
    #[inline(always)]
    pub const fn of(element_kind: u8) -> Form {
        match element_kind {
            ANY_ELEMENTS => Form::Values,
            BOOL_ELEMENTS => Form::Tags,
            _ => Form::Payloads,
        }
    }

    /// Bytes of an element.
    #[inline(always)]
    pub const fn size(self) -> usize {
        match self {
            Form::Values => size_of::<Value>(),
            Form::Payloads => size_of::<u64>(),
            Form::Tags => size_of::<Tag>(),
        }
    }
}

/// Whether an array of this element kind stores whole values.
#[inline(always)]
pub const fn is_any(element_kind: u8) -> bool {
    element_kind == ANY_ELEMENTS
}

/// Whether an array of this element kind may have holes. Where it may not, its elements are bare payloads.
#[inline(always)]
pub const fn may_have_holes(element_kind: u8) -> bool {
    element_kind >= BOOL_ELEMENTS
}

/// Whether an array of this element kind, without its kind being changed, can have elements with `tag`.
#[inline(always)]
pub const fn admits(element_kind: u8, tag: Tag) -> bool {
    element_kind == tag as u8 || is_any(element_kind) || (element_kind == BOOL_ELEMENTS && is_flag(tag))
}

/// Whether a value with `tag` is its tag alone, so that elements can be stored as tags.
#[inline(always)]
pub const fn is_flag(tag: Tag) -> bool {
    tag as u8 <= Tag::True as u8
}

/// Whether elements with `tag` can be stored as bare payloads.
#[inline(always)]
pub const fn is_packable(tag: Tag) -> bool {
    matches!(tag, Tag::Int | Tag::Float | Tag::Str | Tag::Table)
}
