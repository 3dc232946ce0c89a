//! Keys that compiled code looks for by itself, in front of the helpers that read or replace their values.
//!
//! ```text
//! table.hash ── null ────────────────────────────────> helper, in a cold block
//!     │ head of the key's bucket                          ^
//!     v                                                   │
//!  another entry? ── no: the key is absent ── is it? ─────┤ where that cannot be told
//!     │  ^                                                │
//!     v  └──── its key is another one                     │
//!   value ── none, where one is to be replaced ───────────┘
//! ```
//!
//! * Equal keys are those with equal payload and tag, but for long strings and floats: see `perilune_runtime::table`. Long
//!   strings have another tag in entries, so that they are not found, and floats are left to the helper.
//! * Whether the helper is called makes no difference to what happens: it finds what is found here.
//! * A shape's keys are indexed in the same manner, by open addressing; see `Shape::find`.

use std::mem::{offset_of, size_of};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types;
use perilune_runtime::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Str, Table};
use perilune_runtime::table::{HashEntry, HashPart, NO_ENTRY, SPREAD, Shape, shape_offsets as index};
use perilune_trace::ir::{Field, Helper, Inst, KeyUse, Op, Ref, Ty};

use super::Lowering;
use crate::layout::{self, FLAGS};
use crate::mir::{Block, Value};

const HASH: i32 = offset_of!(Table, hash) as i32;
const SHAPE: i32 = offset_of!(Table, shape) as i32;
const ARRAY: i32 = offset_of!(Table, array) as i32;
const SLOTS: i32 = offset_of!(Table, slots) as i32;
const HEADS: i32 = offset_of!(HashPart, heads) as i32;
const SHIFT: i32 = offset_of!(HashPart, shift) as i32;
const INDEX_KEYS: i32 = offset_of!(HashPart, index_keys) as i32;
const USED: i32 = offset_of!(HashPart, used) as i32;
const ENTRY: i64 = size_of::<HashEntry>() as i64;
/// The entries follow the head.
const ENTRIES: i32 = size_of::<HashPart>() as i32;
pub(super) const KEY: i32 = ENTRIES + offset_of!(HashEntry, key) as i32;
pub(super) const KEY_TAG: i32 = ENTRIES + offset_of!(HashEntry, key_tag) as i32;
const NEXT: i32 = ENTRIES + offset_of!(HashEntry, next) as i32;
pub(super) const VALUE: i32 = ENTRIES + offset_of!(HashEntry, value) as i32;
pub(super) const VALUE_TAG: i32 = ENTRIES + offset_of!(HashEntry, value_tag) as i32;
const IS_DICT: i32 = offset_of!(Shape, dict) as i32;
const COUNT: i32 = offset_of!(Shape, count) as i32;

const _: () = assert!(ENTRY == 24, "entry_at multiplies by three and by eight");
const _: () = assert!(index::ENTRY == 16, "index_entry shifts by four");

/// A key as entries hold it.
#[derive(Clone, Copy)]
struct ExactKey {
    payload: Value,
    /// The payload, if it is constant.
    constant: Option<u64>,
    ty: Ty,
}

impl Lowering<'_, '_> {
    /// Makes code for a helper that looks for a key, with the call in a cold block. False if it is none, or if the key may be
    /// in an entry in another form.
    pub(super) fn look_up(&mut self, r: Ref, inst: &Inst, helper: Helper) -> bool {
        let Some(key_use) = helper.key_use() else { return false };
        let Some(key) = self.exact_key(inst.b()) else { return false };
        match key_use {
            KeyUse::ReadsEntry => self.read_entry(r, inst, helper, key),
            KeyUse::ReadsKnownEntry => self.read_known_entry(r, inst, helper, key),
            KeyUse::ReadsProperty => self.read_property(r, inst, helper, key),
            KeyUse::ReplacesEntry => self.replace_entry(inst, helper, key),
        }
        true
    }

    fn exact_key(&mut self, r: Ref) -> Option<ExactKey> {
        let inst = self.tree.inst(r);
        let (ty, imm) = (inst.ty, inst.imm);
        let constant = match ty {
            Ty::Nil | Ty::Float | Ty::Num | Ty::Ptr | Ty::Void => return None,
            Ty::False | Ty::True => Some(0),
            Ty::Int | Ty::Light | Ty::Str | Ty::Table | Ty::LuaFn | Ty::NativeFn | Ty::UserData | Ty::Thread => {
                matches!(inst.op, Op::KInt | Op::KObj).then_some(imm)
            }
        };
        Some(ExactKey { payload: self.value(r), constant, ty })
    }

    /// Reads the value of a key: an entry's, nil if there is none, or what the helper says.
    fn read_entry(&mut self, r: Ref, inst: &Inst, helper: Helper, key: ExactKey) {
        let table = self.value(inst.a());
        let (slow, absent, done) = (self.cold_block(), self.b.create_block(), self.block_for_value(inst.ty));
        if key.ty == Ty::Int {
            self.read_element(table, key, inst.ty, done);
        }
        let bare = if key.ty == Ty::Str { self.b.create_block() } else { slow };
        let entry = self.find_entry(table, key, bare, absent);
        let tag = self.b.uload8(types::I64, entry, VALUE_TAG);
        self.give(done, inst.ty, tag, entry, VALUE);
        if key.ty == Ty::Str {
            // Without a hash part, and without properties, a table has no string key.
            self.go_on_in(bare);
            let shape = self.load(types::I64, table, SHAPE);
            let count = self.b.uload32(shape, COUNT);
            let empty = self.b.create_block();
            self.b.brif(count, slow, &[], empty, &[]);
            self.go_on_in(empty);
            self.give_nil(done, inst.ty);
        }
        self.go_on_in(absent);
        self.leave_if_unsure(table, key, slow);
        self.give_nil(done, inst.ty);
        self.ask(inst, helper, slow, done);
        self.take(r, inst, done);
    }

    /// Whether an integer key is that of an element: its index then. Code goes on where it is none.
    fn index_of_element(&mut self, table: Value, key: ExactKey) -> (Value, Value, Block) {
        let (inside, outside) = (self.b.create_block(), self.b.create_block());
        let n = self.b.iadd_imm(key.payload, -1);
        let (len_at, _) = layout::field(Field::Len, 0);
        let len = self.b.uload32(table, len_at);
        let is_element = self.b.icmp(IntCC::UnsignedLessThan, n, len);
        self.b.brif(is_element, inside, &[], outside, &[]);
        self.go_on_in(inside);
        (n, len, outside)
    }

    /// The elements of a table and their kind. Goes on where they are whole values; where they are not, the block is given.
    fn elements(&mut self, table: Value) -> (Value, Value, Block) {
        let [whole, packed] = [(); 2].map(|()| self.b.create_block());
        let array = self.load(types::I64, table, ARRAY);
        let kind = self.element_kind(table);
        let is_whole = self.b.icmp_imm(IntCC::Equal, kind, i64::from(ANY_ELEMENTS));
        self.b.brif(is_whole, whole, &[], packed, &[]);
        self.go_on_in(whole);
        (array, kind, packed)
    }

    /// Reads an element, if that is what the key is one of.
    fn read_element(&mut self, table: Value, key: ExactKey, ty: Ty, done: Block) {
        let (n, _, outside) = self.index_of_element(table, key);
        let (array, kind, packed) = self.elements(table);
        let distance = self.b.ishl_imm(n, 4);
        let place = self.b.iadd(array, distance);
        let tag = self.b.uload8(types::I64, place, layout::TAG);
        self.give(done, ty, tag, place, 0);
        self.go_on_in(packed);
        let [flags, payloads] = [(); 2].map(|()| self.b.create_block());
        let are_flags = self.b.icmp_imm(IntCC::Equal, kind, i64::from(BOOL_ELEMENTS));
        self.b.brif(are_flags, flags, &[], payloads, &[]);
        self.go_on_in(flags);
        let place = self.b.iadd(array, n);
        let tag = self.b.uload8(types::I64, place, 0);
        self.give_flag(done, ty, tag);
        self.go_on_in(payloads);
        let distance = self.b.ishl_imm(n, 3);
        let place = self.b.iadd(array, distance);
        // The kind is the tag of all elements.
        self.give(done, ty, kind, place, 0);
        self.go_on_in(outside);
    }

    /// Replaces an element, or appends one, if that is what the key is one of, and if the element kind and the room stay. Among
    /// elements of any type, and among booleans, nil may be stored, but the last one is never nil.
    fn replace_element(&mut self, value: Ref, table: Value, key: ExactKey, slow: Block, done: Block) {
        let ty = self.tree.ty(value);
        let (n, len, outside) = self.index_of_element(table, key);
        let store = self.b.create_block();
        let elsewhere = if ty == Ty::Nil {
            let is_last = self.b.icmp(IntCC::Equal, key.payload, len);
            self.b.brif(is_last, slow, &[], store, &[]);
            outside
        } else {
            self.b.jump(store, &[]);
            self.go_on_in(outside);
            self.append_element(ty, table, (n, len), store, slow)
        };
        self.go_on_in(store);
        let (array, kind, other) = self.elements(table);
        let distance = self.b.ishl_imm(n, 4);
        let place = self.b.iadd(array, distance);
        self.store_value(value, place, 0);
        self.finish_element(ty, table, done);
        self.go_on_in(other);
        if ty == Ty::Num {
            self.b.jump(slow, &[]);
        } else {
            self.store_small_element(value, kind, (array, n), slow);
            self.finish_element(ty, table, done);
        }
        self.go_on_in(elsewhere);
    }

    fn finish_element(&mut self, ty: Ty, table: Value, done: Block) {
        if ty.is_object() {
            self.barrier(table);
        }
        self.b.jump(done, &[]);
    }

    /// Goes to `store` with an array that is longer by one, if the key is the one behind its last element. Gives the block of
    /// keys that are elsewhere.
    fn append_element(&mut self, ty: Ty, table: Value, (n, len): (Value, Value), store: Block, slow: Block) -> Block {
        let [end, room, hashed, alone, fits, elsewhere] = [(); 6].map(|()| self.b.create_block());
        let is_end = self.b.icmp(IntCC::Equal, n, len);
        self.b.brif(is_end, end, &[], elsewhere, &[]);
        self.go_on_in(end);
        let (cap_at, _) = layout::field(Field::Cap, 0);
        let cap = self.b.uload32(table, cap_at);
        let has_room = self.b.icmp(IntCC::UnsignedLessThan, n, cap);
        self.b.brif(has_room, room, &[], slow, &[]);
        self.go_on_in(room);
        let hash = self.load(types::I64, table, HASH);
        self.b.brif(hash, hashed, &[], alone, &[]);
        self.go_on_in(hashed);
        // Those that follow the new element would have to move to the array.
        let index_keys = self.b.uload32(hash, INDEX_KEYS);
        self.b.brif(index_keys, slow, &[], alone, &[]);
        self.go_on_in(alone);
        let kind = self.element_kind(table);
        let is_whole = self.b.icmp_imm(IntCC::Equal, kind, i64::from(ANY_ELEMENTS));
        let is_same = self.b.icmp_imm(IntCC::Equal, kind, Self::packed_kind(ty));
        let takes_it = self.b.bor(is_whole, is_same);
        self.b.brif(takes_it, fits, &[], slow, &[]);
        self.go_on_in(fits);
        let longer = self.b.iadd_imm(len, 1);
        let (len_at, _) = layout::field(Field::Len, 0);
        self.b.istore32(longer, table, len_at);
        self.b.jump(store, &[]);
        elsewhere
    }

    /// The element kind of arrays that have values of a type, and not any value.
    fn packed_kind(ty: Ty) -> i64 {
        if ty.is_primitive() { i64::from(BOOL_ELEMENTS) } else { ty as i64 }
    }

    /// Stores the payload of a value into an array whose kind is its tag, or a tag into one of booleans.
    fn store_small_element(&mut self, value: Ref, kind: Value, (array, n): (Value, Value), slow: Block) {
        let same = self.b.create_block();
        let ty = self.tree.ty(value);
        let is_same = self.b.icmp_imm(IntCC::Equal, kind, Self::packed_kind(ty));
        self.b.brif(is_same, same, &[], slow, &[]);
        self.go_on_in(same);
        if ty.is_primitive() {
            let place = self.b.iadd(array, n);
            let tag = self.b.iconst(types::I8, ty as i64);
            return self.store(tag, place, 0);
        }
        let distance = self.b.ishl_imm(n, 3);
        let place = self.b.iadd(array, distance);
        let payload = self.value(value);
        self.store(payload, place, 0);
    }

    pub(super) fn element_kind(&mut self, table: Value) -> Value {
        let (kind_at, _) = layout::field(Field::Kind, 0);
        self.b.uload8(types::I64, table, kind_at)
    }

    /// Reads the value of a key from the entry where it was when the instruction was recorded: tables that are filled in the same
    /// order have it in the same place.
    fn read_known_entry(&mut self, r: Ref, inst: &Inst, helper: Helper, key: ExactKey) {
        let Some(n) = self.tree.const_int(inst.c()).and_then(|n| i32::try_from(n * ENTRY).ok()) else {
            return self.read_entry(r, inst, helper, key);
        };
        let table = self.value(inst.a());
        let (slow, done) = (self.cold_block(), self.block_for_value(inst.ty));
        let [some, first, same] = [(); 3].map(|()| self.b.create_block());
        let hash = self.load(types::I64, table, HASH);
        self.b.brif(hash, some, &[], slow, &[]);
        self.go_on_in(some);
        let used = self.b.uload32(hash, USED);
        let is_inside = self.b.icmp_imm(IntCC::UnsignedGreaterThan, used, i64::from(n) / ENTRY);
        self.b.brif(is_inside, first, &[], slow, &[]);
        self.go_on_in(first);
        let payload = self.load(types::I64, hash, n + KEY);
        let is_same = self.b.icmp(IntCC::Equal, payload, key.payload);
        self.b.brif(is_same, same, &[], slow, &[]);
        self.go_on_in(same);
        self.check_key_tag(key, hash, n, slow);
        let tag = self.b.uload8(types::I64, hash, n + VALUE_TAG);
        self.give(done, inst.ty, tag, hash, n + VALUE);
        self.ask(inst, helper, slow, done);
        self.take(r, inst, done);
    }

    /// Reads the value of a key from the slot that the table's shape has for it.
    fn read_property(&mut self, r: Ref, inst: &Inst, helper: Helper, key: ExactKey) {
        let table = self.value(inst.a());
        let (slow, absent, done) = (self.cold_block(), self.b.create_block(), self.block_for_value(inst.ty));
        let shape = self.load(types::I64, table, SHAPE);
        let entry = self.index_entry(shape, key, absent);
        let slot = self.b.uload32(entry, (index::INDEX + index::SLOT) as i32);
        let count = self.b.uload32(shape, COUNT);
        // Keys of larger shapes of the lineage are in the index, too.
        let is_here = self.b.icmp(IntCC::UnsignedLessThan, slot, count);
        let here = self.b.create_block();
        self.b.brif(is_here, here, &[], absent, &[]);
        self.go_on_in(here);
        let slots = self.load(types::I64, table, SLOTS);
        let distance = self.b.ishl_imm(slot, 4);
        let place = self.b.iadd(slots, distance);
        let tag = self.b.uload8(types::I64, place, layout::TAG);
        self.give(done, inst.ty, tag, place, 0);
        self.go_on_in(absent);
        let is_dict = self.b.uload8(types::I32, shape, IS_DICT);
        let nowhere = self.b.create_block();
        self.b.brif(is_dict, slow, &[], nowhere, &[]);
        self.go_on_in(nowhere);
        self.give_nil(done, inst.ty);
        self.ask(inst, helper, slow, done);
        self.take(r, inst, done);
    }

    /// Replaces the value of a key that has one. What else the helper may have to do, only it can.
    fn replace_entry(&mut self, inst: &Inst, helper: Helper, key: ExactKey) {
        let table = self.value(inst.a());
        let (slow, present, done) = (self.cold_block(), self.b.create_block(), self.b.create_block());
        if key.ty == Ty::Int {
            self.replace_element(inst.c(), table, key, slow, done);
        }
        let entry = self.find_entry(table, key, slow, slow);
        let tag = self.b.uload8(types::I32, entry, VALUE_TAG);
        let has_value = self.b.icmp_imm(IntCC::NotEqual, tag, Ty::Nil as i64);
        self.b.brif(has_value, present, &[], slow, &[]);
        self.go_on_in(present);
        self.store_parts(inst.c(), entry, VALUE, VALUE_TAG);
        if self.tree.ty(inst.c()).is_object() {
            self.barrier(table);
        }
        self.b.jump(done, &[]);
        self.go_on_in(slow);
        if let Some(success) = self.call_helper(inst, helper) {
            self.leave_unless(success, Self::snap(inst));
        }
        self.b.jump(done, &[]);
        self.go_on_in(done);
    }

    pub(super) fn cold_block(&mut self) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }

    /// What selects the bucket, before it is shifted.
    fn spread(&mut self, key: ExactKey) -> Value {
        if let Some(constant) = key.constant {
            return self.int(constant.wrapping_mul(SPREAD) as i64);
        }
        let factor = self.int(SPREAD as i64);
        self.b.imul(key.payload, factor)
    }

    /// The entry of a key, less the offset of the first one. Code goes on where it is found, and at `bare` where there is no
    /// hash part.
    fn find_entry(&mut self, table: Value, key: ExactKey, bare: Block, absent: Block) -> Value {
        let [first, look, some, next, found] = [(); 5].map(|()| self.b.create_block());
        let hash = self.load(types::I64, table, HASH);
        self.b.brif(hash, first, &[], bare, &[]);
        self.go_on_in(first);
        let spread = self.spread(key);
        let shift = self.b.uload32(hash, SHIFT);
        let bucket = self.b.ushr(spread, shift);
        let heads = self.load(types::I64, hash, HEADS);
        let distance = self.b.ishl_imm(bucket, 2);
        let head = self.b.iadd(heads, distance);
        let at = self.b.uload32(head, 0);
        self.b.append_block_param(look, types::I64);
        self.b.jump(look, &[at]);
        self.b.switch_to_block(look);
        let at = self.b.block_params(look)[0];
        // `NO_ENTRY` is above all numbers of entries, and this constant fits into an instruction.
        let is_none = self.b.icmp_imm(IntCC::UnsignedGreaterThan, at, i64::from(NO_ENTRY >> 1));
        self.b.brif(is_none, absent, &[], some, &[]);
        self.go_on_in(some);
        let entry = self.entry_at(hash, at);
        let payload = self.load(types::I64, entry, KEY);
        let is_same = self.b.icmp(IntCC::Equal, payload, key.payload);
        self.b.brif(is_same, found, &[], next, &[]);
        self.b.switch_to_block(next);
        let at = self.b.uload32(entry, NEXT);
        self.b.jump(look, &[at]);
        self.go_on_in(found);
        self.check_key_tag(key, entry, 0, next);
        self.b.seal_block(next);
        self.b.seal_block(look);
        entry
    }

    /// Goes to another block unless an entry has a key of this type.
    fn check_key_tag(&mut self, key: ExactKey, entry: Value, offset: i32, other: Block) {
        let tag = self.b.uload8(types::I32, entry, offset + KEY_TAG);
        let fits = self.is_tag(tag, key.ty);
        let on = self.b.create_block();
        self.b.brif(fits, on, &[], other, &[]);
        self.go_on_in(on);
    }

    /// The hash part plus the distance of an entry from the first one.
    pub(super) fn entry_at(&mut self, hash: Value, at: Value) -> Value {
        let twice = self.b.ishl_imm(at, 1);
        let thrice = self.b.iadd(at, twice);
        let distance = self.b.ishl_imm(thrice, 3);
        self.b.iadd(hash, distance)
    }

    /// The index entry of a key, less the offset of the first one. Code goes on where it is found.
    fn index_entry(&mut self, shape: Value, key: ExactKey, absent: Block) -> Value {
        let [look, other, next, found] = [(); 4].map(|()| self.b.create_block());
        let keys = self.load(types::I64, shape, index::KEYS as i32);
        let spread = self.spread(key);
        let shift = self.b.uload32(keys, index::SHIFT as i32);
        let at = self.b.ushr(spread, shift);
        self.b.append_block_param(look, types::I64);
        self.b.jump(look, &[at]);
        self.b.switch_to_block(look);
        let at = self.b.block_params(look)[0];
        let distance = self.b.ishl_imm(at, 4);
        let entry = self.b.iadd(keys, distance);
        let here = self.load(types::I64, entry, (index::INDEX + index::KEY) as i32);
        let is_same = self.b.icmp(IntCC::Equal, here, key.payload);
        self.b.brif(is_same, found, &[], other, &[]);
        self.go_on_in(other);
        self.b.brif(here, next, &[], absent, &[]);
        self.go_on_in(next);
        let cap = self.b.uload32(keys, index::CAP as i32);
        let size = self.b.ishl_imm(cap, 1);
        let mask = self.b.iadd_imm(size, -1);
        let behind = self.b.iadd_imm(at, 1);
        let at = self.b.band(behind, mask);
        self.b.jump(look, &[at]);
        self.b.seal_block(look);
        self.go_on_in(found);
        entry
    }

    /// A key without an entry is absent, unless it is a string that entries or shapes hold in another way.
    fn leave_if_unsure(&mut self, table: Value, key: ExactKey, slow: Block) {
        let sure = self.b.create_block();
        match key.ty {
            Ty::Str => {
                let shape = self.load(types::I64, table, SHAPE);
                let is_dict = self.b.uload8(types::I32, shape, IS_DICT);
                let dict = self.b.create_block();
                self.b.brif(is_dict, dict, &[], slow, &[]);
                self.go_on_in(dict);
                let flags = self.b.uload8(types::I32, key.payload, FLAGS);
                let is_short = self.b.band_imm(flags, i64::from(Str::SHORT));
                self.b.brif(is_short, sure, &[], slow, &[]);
            }
            Ty::Nil
            | Ty::False
            | Ty::True
            | Ty::Int
            | Ty::Float
            | Ty::Light
            | Ty::Table
            | Ty::LuaFn
            | Ty::NativeFn
            | Ty::UserData
            | Ty::Thread
            | Ty::Ptr
            | Ty::Void
            | Ty::Num => {
                self.b.jump(sure, &[]);
            }
        }
        self.go_on_in(sure);
    }

    // The value that was found: its tag, and the payload if the expected type has one.

    fn block_for_value(&mut self, ty: Ty) -> Block {
        let block = self.b.create_block();
        self.b.append_block_param(block, types::I64);
        if !ty.is_primitive() {
            self.b.append_block_param(block, Self::machine_type(ty));
        }
        block
    }

    /// Goes to `done` with a tag, and the payload at an address.
    fn give(&mut self, done: Block, ty: Ty, tag: Value, address: Value, offset: i32) {
        if ty.is_primitive() {
            self.b.jump(done, &[tag]);
            return;
        }
        let payload = self.load(Self::machine_type(ty), address, offset);
        self.b.jump(done, &[tag, payload]);
    }

    fn give_nil(&mut self, done: Block, ty: Ty) {
        let tag = self.int(Ty::Nil as i64);
        self.give_flag(done, ty, tag);
    }

    /// Goes to `done` with the tag of a boolean or of nil, and whatever for a payload.
    fn give_flag(&mut self, done: Block, ty: Ty, tag: Value) {
        if ty.is_primitive() {
            self.b.jump(done, &[tag]);
            return;
        }
        let payload = if ty == Ty::Float { self.b.f64const(0.0) } else { tag };
        self.b.jump(done, &[tag, payload]);
    }

    /// The cold block: what the helper says.
    fn ask(&mut self, inst: &Inst, helper: Helper, slow: Block, done: Block) {
        self.go_on_in(slow);
        let Some(tag) = self.call_helper(inst, helper) else { return };
        let vm = self.vm;
        self.give(done, inst.ty, tag, vm, self.env.scratch);
    }

    /// At `done`: leaves unless the value has the expected type.
    fn take(&mut self, r: Ref, inst: &Inst, done: Block) {
        self.go_on_in(done);
        let tag = self.b.block_params(done)[0];
        let fits = self.b.icmp_imm(IntCC::Equal, tag, inst.ty as i64);
        self.leave_unless(fits, Self::snap(inst));
        if let Some(payload) = self.b.block_params(done).get(1).copied() {
            self.define(r, payload);
        }
    }
}
