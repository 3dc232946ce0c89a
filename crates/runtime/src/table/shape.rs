//! Shapes: which string keys a table's property slots hold, and in which order.
//!
//! A [`Shape`] is a node of a tree. The root has no property; a child has its parent's properties and one more, in the
//! next slot. Tables that got the same keys in the same order have the same shape, so "this table has that shape"
//! proves which keys are present in which slot, and that all other string keys are absent.
//!
//! ```text
//! local p = {}      -- root
//! p.x = 1           -- root -x-> S1   { x: slot 0 }
//! p.y = 2           -- S1   -y-> S2   { x: slot 0, y: slot 1 }
//! ```
//!
//! # Terms
//! * *Lineage*: a chain of shapes, each the child of the one before, that share one [`KeyTable`]. The shapes of a
//!   lineage are prefixes of one list of keys: an entry whose slot is not below `shape.count` is not a property of that
//!   shape.
//! * *Dictionary shape*: the one special shape without properties that means "all string keys are in the hash part".
//!   Nothing may be concluded from it, so it is never cached.
//!
//! # Invariants
//! * Keys of shapes are short (interned) strings: identity is equality. They are roots of the collector.
//! * A shape and its key table are immutable, except that a key table with room is extended by the *first* child of the
//!   last shape of its lineage. All other children get a copy.
//! * Shapes and key tables live as long as their [`ShapeTree`], which lives as long as the heap.
//! * There are at most [`MAX_SHAPES`] shapes; beyond them, and beyond [`MAX_PROPS`] properties, there are no
//!   transitions, and the callers turn to dictionary mode.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ptr;

use crate::object::{Str, StrRef};

/// Most properties of a shape.
pub const MAX_PROPS: u32 = 128;

/// Most shapes of a heap.
pub const MAX_SHAPES: usize = 20_000;

/// What `spread` multiplies with. Compiled code does so, too.
pub const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads the bits of an address or number; the upper bits of the result select a bucket.
#[inline(always)]
pub(super) fn spread(bits: u64) -> u64 {
    bits.wrapping_mul(SPREAD)
}

/// A layout of property slots. See the module documentation.
#[repr(C)]
pub struct Shape {
    /// Number of properties.
    pub count: u32,
    /// How many of them computed keys have added, at most.
    pub(super) computed: u32,
    /// Whether this is the dictionary shape.
    pub dict: bool,
    /// The keys of the lineage; the first `count` of them are the properties.
    pub(super) keys: *const KeyTable,
    /// The shape without the last property; null for the root and the dictionary shape.
    pub parent: *mut Shape,
    /// The key of the first child; null when there is none.
    child_key: *mut Str,
    /// The first child. Further ones are in [`ShapeTree::branches`].
    child: *mut Shape,
}

impl Shape {
    /// Is this the dictionary shape?
    #[inline(always)]
    pub fn is_dict(&self) -> bool {
        self.dict
    }

    /// The slot of a property.
    #[inline(always)]
    pub fn find(&self, key: StrRef) -> Option<u32> {
        // SAFETY: `keys` was made by `KeyTable::new` for this shape and lives as long as it (`ShapeTree` frees both).
        let slot = unsafe { KeyTable::find(self.keys, key.as_ptr()) };
        (slot < self.count).then_some(slot)
    }

    /// The key of a slot below `count`.
    #[inline]
    pub fn key_at(&self, slot: u32) -> StrRef {
        assert!(slot < self.count);
        // SAFETY: the first `count` keys of the lineage's table are written before the shape is made, and are roots.
        unsafe { StrRef::from_ptr(*KeyTable::keys(self.keys).add(slot as usize)) }
    }
}

/// An entry of the index of a [`KeyTable`].
#[repr(C)]
#[derive(Clone, Copy)]
struct IndexEntry {
    /// The key; null when free.
    key: *mut Str,
    /// Its slot.
    slot: u32,
}

/// The keys of a lineage, in slot order and indexed. The index, of twice `cap` entries, and then the keys follow the
/// struct.
#[repr(C)]
pub(super) struct KeyTable {
    /// 64 minus the binary logarithm of the index size.
    shift: u32,
    /// Number of keys.
    len: u32,
    /// Room for keys: a power of two.
    cap: u32,
}

const INDEX_OFFSET: usize = size_of::<KeyTable>().next_multiple_of(8);

impl KeyTable {
    fn layout(cap: u32) -> Layout {
        let bytes = INDEX_OFFSET + cap as usize * (2 * size_of::<IndexEntry>() + size_of::<*mut Str>());
        Layout::from_size_align(bytes, 8).expect("a key table has at most MAX_PROPS keys; a failure here is a bug")
    }

    /// An empty table with room for `cap` keys.
    fn new(cap: u32) -> *mut KeyTable {
        debug_assert!(cap.is_power_of_two());
        let layout = KeyTable::layout(cap);
        // SAFETY: the layout is not empty and covers the struct, `2 * cap` index entries and `cap` keys.
        unsafe {
            let table: *mut KeyTable = alloc(layout).cast();
            if table.is_null() {
                handle_alloc_error(layout);
            }
            table.write(KeyTable { shift: 64 - (2 * cap).trailing_zeros(), len: 0, cap });
            for i in 0..2 * cap as usize {
                KeyTable::index(table).add(i).write(IndexEntry { key: ptr::null_mut(), slot: 0 });
            }
            table
        }
    }

    #[inline(always)]
    unsafe fn index(table: *const KeyTable) -> *mut IndexEntry {
        // SAFETY: the caller passes a table of `new`, whose allocation has the index at this offset.
        unsafe { table.cast_mut().byte_add(INDEX_OFFSET).cast() }
    }

    #[inline(always)]
    unsafe fn keys(table: *const KeyTable) -> *mut *mut Str {
        // SAFETY: the caller passes a table of `new`, whose allocation has the keys behind the index.
        unsafe { KeyTable::index(table).add(2 * (*table).cap as usize).cast() }
    }

    /// The slot of a key; `u32::MAX` when it is not there.
    #[inline(always)]
    unsafe fn find(table: *const KeyTable, key: *mut Str) -> u32 {
        // SAFETY: the caller passes a live table of `new`. The index has `2^(64 - shift)` entries, at most half of them
        // taken, so that `at` stays within it and the loop meets a free one.
        unsafe {
            let shift = (*table).shift;
            let mask = (1u64 << (64 - shift)) - 1;
            let mut at = spread(key.addr() as u64) >> shift;
            loop {
                let entry = KeyTable::index(table).add(at as usize);
                if (*entry).key == key {
                    return (*entry).slot;
                }
                if (*entry).key.is_null() {
                    return u32::MAX;
                }
                at = (at + 1) & mask;
            }
        }
    }

    /// Adds a key that is not there, in the next slot.
    unsafe fn push(table: *mut KeyTable, key: *mut Str) {
        // SAFETY: the caller passes a live table with `len < cap`; for the index see `find`.
        unsafe {
            let slot = (*table).len;
            debug_assert!(slot < (*table).cap);
            let shift = (*table).shift;
            let mask = (1u64 << (64 - shift)) - 1;
            let mut at = spread(key.addr() as u64) >> shift;
            while !(*KeyTable::index(table).add(at as usize)).key.is_null() {
                at = (at + 1) & mask;
            }
            KeyTable::index(table).add(at as usize).write(IndexEntry { key, slot });
            KeyTable::keys(table).add(slot as usize).write(key);
            (*table).len = slot + 1;
        }
    }
}

/// Where compiled code finds the index of a shape's keys, which it searches as `KeyTable::find` does.
pub mod offsets {
    use super::{INDEX_OFFSET, IndexEntry, KeyTable, Shape};
    use std::mem::offset_of;

    /// In a shape: its key table.
    pub const KEYS: usize = offset_of!(Shape, keys);
    /// In a key table: by how much a spread address is shifted, 32 bits.
    pub const SHIFT: usize = offset_of!(KeyTable, shift);
    /// In a key table: half of the number of index entries, 32 bits.
    pub const CAP: usize = offset_of!(KeyTable, cap);
    /// In a key table: the first index entry.
    pub const INDEX: usize = INDEX_OFFSET;
    /// Bytes of an index entry.
    pub const ENTRY: usize = size_of::<IndexEntry>();
    /// In an index entry: the key, or null.
    pub const KEY: usize = offset_of!(IndexEntry, key);
    /// In an index entry: the slot, 32 bits.
    pub const SLOT: usize = offset_of!(IndexEntry, slot);
}

/// Mixes the two addresses that key a branch. Nothing iterates over the map, so addresses do not leak into behaviour.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.0 = spread(self.0.rotate_left(5) ^ n as u64);
    }
}

/// The parent's and the key's address.
type Branch = (usize, usize);

/// The shapes of a heap and their transitions.
pub struct ShapeTree {
    root: *mut Shape,
    dict: *mut Shape,
    /// All shapes, to free them.
    shapes: Vec<*mut Shape>,
    /// All key tables, to free them.
    key_tables: Vec<*mut KeyTable>,
    /// The children of each shape after its first.
    branches: HashMap<Branch, *mut Shape, BuildHasherDefault<AddressHasher>>,
    bytes: usize,
}

impl Default for ShapeTree {
    fn default() -> Self {
        ShapeTree::new()
    }
}

impl ShapeTree {
    /// A tree with the empty root and the dictionary shape.
    pub fn new() -> ShapeTree {
        let mut tree = ShapeTree {
            root: ptr::null_mut(),
            dict: ptr::null_mut(),
            shapes: Vec::new(),
            key_tables: Vec::new(),
            branches: HashMap::default(),
            bytes: 0,
        };
        let keys = tree.new_key_table(4);
        tree.root = tree.new_shape(0, false, keys, ptr::null_mut());
        let keys = tree.new_key_table(1);
        tree.dict = tree.new_shape(0, true, keys, ptr::null_mut());
        tree
    }

    /// The shape without properties.
    #[inline(always)]
    pub fn root(&self) -> *mut Shape {
        self.root
    }

    /// The dictionary shape.
    #[inline(always)]
    pub fn dict(&self) -> *mut Shape {
        self.dict
    }

    /// Number of shapes, the root and the dictionary shape included.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Never: there is always a root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of all shapes and key tables.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The shape with one more property, `key`, in the next slot. `None` when that is not to be: the shape is the
    /// dictionary shape, the key is a long string, or a limit is reached.
    ///
    /// # Safety
    /// `shape` is of this tree and `key`, a live string, is not among its properties.
    #[inline]
    pub unsafe fn transition(&mut self, shape: *mut Shape, key: StrRef) -> Option<*mut Shape> {
        // SAFETY: shapes of this tree live as long as it does.
        unsafe {
            if (*shape).child_key == key.as_ptr() {
                return Some((*shape).child);
            }
            self.branch(shape, key)
        }
    }

    /// The transition that is not to the first child: another one, or a new one.
    #[cold]
    #[inline(never)]
    unsafe fn branch(&mut self, shape: *mut Shape, key: StrRef) -> Option<*mut Shape> {
        // SAFETY: as `transition`, whose duties are passed on.
        unsafe {
            debug_assert!((*shape).find(key).is_none());
            if (*shape).dict || !key.is_short() {
                return None;
            }
            let branch = (shape.addr(), key.as_ptr().addr());
            if !(*shape).child_key.is_null()
                && let Some(&child) = self.branches.get(&branch)
            {
                return Some(child);
            }
            let count = (*shape).count;
            if count >= MAX_PROPS || self.shapes.len() >= MAX_SHAPES {
                return None;
            }
            let keys = self.key_table_for_child(shape);
            KeyTable::push(keys, key.as_ptr());
            let child = self.new_shape(count + 1, false, keys, shape);
            if (*shape).child_key.is_null() {
                (*shape).child_key = key.as_ptr();
                (*shape).child = child;
            } else {
                self.branches.insert(branch, child);
                self.bytes += size_of::<(Branch, *mut Shape)>();
            }
            Some(child)
        }
    }

    /// The key table of `shape` when a child can extend it, or else a copy of its keys with more room.
    unsafe fn key_table_for_child(&mut self, shape: *mut Shape) -> *mut KeyTable {
        // SAFETY: the caller's shape is of this tree. Its key table has the shape's keys and belongs to the tree, which
        // has the only right to write to it and holds no other pointer in use here.
        unsafe {
            let count = (*shape).count;
            let keys = (*shape).keys.cast_mut();
            if (*keys).len == count && count < (*keys).cap {
                return keys;
            }
            let copy = self.new_key_table((count + 1).next_power_of_two().max(4));
            for slot in 0..count as usize {
                KeyTable::push(copy, *KeyTable::keys(keys).add(slot));
            }
            copy
        }
    }

    fn new_key_table(&mut self, cap: u32) -> *mut KeyTable {
        let table = KeyTable::new(cap);
        self.key_tables.push(table);
        self.bytes += KeyTable::layout(cap).size() + size_of::<*mut KeyTable>();
        table
    }

    fn new_shape(&mut self, count: u32, dict: bool, keys: *const KeyTable, parent: *mut Shape) -> *mut Shape {
        // SAFETY: the callers, all in this file, pass null or a shape of this tree, which lives as long as the tree does.
        let computed = if parent.is_null() { 0 } else { unsafe { (*parent).computed } };
        let shape = Box::into_raw(Box::new(Shape {
            count,
            computed,
            dict,
            keys,
            parent,
            child_key: ptr::null_mut(),
            child: ptr::null_mut(),
        }));
        self.shapes.push(shape);
        self.bytes += size_of::<Shape>() + size_of::<*mut Shape>();
        shape
    }

    /// Calls `visit` with every key of every shape, at least once each. They are roots.
    pub fn visit_keys(&self, mut visit: impl FnMut(StrRef)) {
        for &table in &self.key_tables {
            // SAFETY: the tree's key tables live as long as it does; their keys, being roots, are live.
            unsafe {
                for slot in 0..(*table).len as usize {
                    visit(StrRef::from_ptr(*KeyTable::keys(table).add(slot)));
                }
            }
        }
    }
}

impl Drop for ShapeTree {
    fn drop(&mut self) {
        // SAFETY: `new_shape` and `new_key_table` made these, and nothing else frees them. Whoever holds a shape was
        // told that it lives as long as the heap, which is going.
        unsafe {
            for &shape in &self.shapes {
                drop(Box::from_raw(shape));
            }
            for &table in &self.key_tables {
                dealloc(table.cast(), KeyTable::layout((*table).cap));
            }
        }
    }
}
