//! Steps of `next` through an array part or a hash part, without a call.
//!
//! The registers of a generic loop are in their places: `R[a+1]` is the table, `R[a+2]` the key that was last, `R[a+3]` nil with
//! the cursor behind that key for a payload; key and value go to `R[a+4]` and `R[a+5]`. As `TableRef::next_with_hint` does, the
//! step trusts the cursor if what is in front of it has the key.
//!
//! ```text
//! cursor ── in the array part ── is the key the one in front? ── an element? ── the pair
//!    │                                                  └── the end, and no other part? ── no more
//!    └──── in the hash part ── is the key that of the entry in front? ── the pair
//! ```
//!
//! Everything else is the helper's: properties, elements and entries without a value, long strings, the way from one part to
//! another, the end of the hash part.

use std::mem::{offset_of, size_of};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types;
use perilune_runtime::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Table};
use perilune_runtime::table::{Cursor, HashEntry, HashPart, Shape};
use perilune_trace::ir::{Field, Helper, Inst, Ref, Ty};

use super::Lowering;
use super::lookup::{KEY, KEY_TAG, VALUE as ENTRY_VALUE, VALUE_TAG};
use crate::layout::{self, TAG, VALUE};
use crate::mir::{Block, Value};

const HASH: i32 = offset_of!(Table, hash) as i32;
const SHAPE: i32 = offset_of!(Table, shape) as i32;
const COUNT: i32 = offset_of!(Shape, count) as i32;
const USED: i32 = offset_of!(HashPart, used) as i32;
/// From an entry to the one in front of it.
const BEFORE: i32 = -(size_of::<HashEntry>() as i32);

/// Where registers of the loop are, from the first one on.
const CONTROL: i32 = 2 * VALUE as i32;
const CURSOR: i32 = 3 * VALUE as i32;
const FIRST: i32 = 4 * VALUE as i32;
const SECOND: i32 = 5 * VALUE as i32;

/// Most variables that are set here.
const MAX_WANTED: i64 = 2;

/// What the helper answers when there is a pair.
const MORE: i64 = 1;
/// What it answers at the end.
const DONE: i64 = 0;

/// What a step works on.
struct Step {
    table: Value,
    registers: Value,
    cursor: Value,
    /// How many variables are set.
    wanted: i64,
    /// Asks the helper.
    slow: Block,
    /// Takes the answer.
    done: Block,
}

impl Lowering<'_, '_> {
    pub(super) fn next_pair(&mut self, r: Ref, inst: &Inst) {
        let Some(wanted) = self.tree.const_int(inst.c()).filter(|wanted| (0..=MAX_WANTED).contains(wanted)) else {
            // More variables, or keys that must become floats.
            return self.plain_call(r, inst, Helper::NextPair);
        };
        let (table, registers) = (self.value(inst.a()), self.value(inst.b()));
        let [in_array, in_hash, done] = [(); 3].map(|()| self.b.create_block());
        let slow = self.cold_block();
        self.b.append_block_param(done, types::I64);
        let tag = self.load_tag(registers, CURSOR);
        let has_cursor = self.is_tag(tag, Ty::Nil);
        self.or_slow(has_cursor, slow);
        let cursor = self.load(types::I64, registers, CURSOR);
        let is_in_array = self.b.icmp_imm(IntCC::UnsignedLessThan, cursor, Cursor::BEHIND_ARRAY.0 as i64);
        self.b.brif(is_in_array, in_array, &[], in_hash, &[]);
        let step = Step { table, registers, cursor, wanted, slow, done };
        self.go_on_in(in_array);
        self.step_in_array(&step);
        self.go_on_in(in_hash);
        let entry = self.entry_at_cursor(&step);
        self.check_last_key(entry, registers, slow);
        self.take_entry(entry, registers, wanted, slow);
        self.go_on(&step);
        self.go_on_in(slow);
        let answer = match self.call_helper(inst, Helper::NextPair) {
            Some(answer) => answer,
            None => self.int(MORE),
        };
        self.b.jump(done, &[answer]);
        self.go_on_in(done);
        let answer = self.b.block_params(done)[0];
        self.define(r, answer);
    }

    /// Goes to `slow` unless a condition holds.
    fn or_slow(&mut self, holds: Value, slow: Block) {
        let on = self.b.create_block();
        self.b.brif(holds, on, &[], slow, &[]);
        self.go_on_in(on);
    }

    /// The variables are set: the cursor moves by one.
    fn go_on(&mut self, step: &Step) {
        let next = self.b.iadd_imm(step.cursor, 1);
        self.store(next, step.registers, CURSOR);
        let more = self.int(MORE);
        self.b.jump(step.done, &[more]);
    }

    /// A step whose cursor, in the array part, is the key in front of it, or 0.
    fn step_in_array(&mut self, step: &Step) {
        let [inside, end] = [(); 2].map(|()| self.b.create_block());
        let &Step { table, registers, cursor, .. } = step;
        self.check_last_index(step);
        let (len_at, _) = layout::field(Field::Len, 0);
        let len = self.b.uload32(table, len_at);
        let is_inside = self.b.icmp(IntCC::UnsignedLessThan, cursor, len);
        self.b.brif(is_inside, inside, &[], end, &[]);
        self.go_on_in(inside);
        self.take_element(step, step.wanted == MAX_WANTED);
        let key = self.b.iadd_imm(cursor, 1);
        self.store(key, registers, FIRST);
        let tag = self.b.iconst(types::I8, Ty::Int as i64);
        self.store(tag, registers, FIRST + TAG);
        self.go_on(step);
        self.go_on_in(end);
        self.end_behind_array(step, len);
    }

    /// Goes on only if the key of the last step is the cursor's number, or nil where that is 0.
    fn check_last_index(&mut self, step: &Step) {
        let [later, same] = [(); 2].map(|()| self.b.create_block());
        let tag = self.load_tag(step.registers, CONTROL);
        let first = self.b.create_block();
        self.b.brif(step.cursor, later, &[], first, &[]);
        self.go_on_in(first);
        let is_nil = self.is_tag(tag, Ty::Nil);
        self.b.brif(is_nil, same, &[], step.slow, &[]);
        self.go_on_in(later);
        let is_int = self.is_tag(tag, Ty::Int);
        self.or_slow(is_int, step.slow);
        let last = self.load(types::I64, step.registers, CONTROL);
        let is_last = self.b.icmp(IntCC::Equal, last, step.cursor);
        self.b.brif(is_last, same, &[], step.slow, &[]);
        self.go_on_in(same);
    }

    /// Goes on only if the element behind the cursor is not nil, and sets the second variable to it if that is wanted.
    fn take_element(&mut self, step: &Step, is_wanted: bool) {
        let [whole, small, flags, payloads, taken] = [(); 5].map(|()| self.b.create_block());
        let &Step { table, registers, cursor, slow, .. } = step;
        let (array_at, _) = layout::field(Field::Array, 0);
        let array = self.load(types::I64, table, array_at);
        let kind = self.element_kind(table);
        let is_whole = self.b.icmp_imm(IntCC::Equal, kind, i64::from(ANY_ELEMENTS));
        self.b.brif(is_whole, whole, &[], small, &[]);
        self.go_on_in(whole);
        let distance = self.b.ishl_imm(cursor, 4);
        let place = self.b.iadd(array, distance);
        let tag = self.b.uload8(types::I64, place, TAG);
        self.or_slow(tag, slow);
        self.set_second(registers, is_wanted.then_some((tag, Some(place))), taken);
        self.go_on_in(small);
        let are_flags = self.b.icmp_imm(IntCC::Equal, kind, i64::from(BOOL_ELEMENTS));
        self.b.brif(are_flags, flags, &[], payloads, &[]);
        self.go_on_in(flags);
        let place = self.b.iadd(array, cursor);
        let tag = self.b.uload8(types::I64, place, 0);
        self.or_slow(tag, slow);
        self.set_second(registers, is_wanted.then_some((tag, None)), taken);
        self.go_on_in(payloads);
        let distance = self.b.ishl_imm(cursor, 3);
        let place = self.b.iadd(array, distance);
        // The kind is the tag of all elements.
        self.set_second(registers, is_wanted.then_some((kind, Some(place))), taken);
        self.go_on_in(taken);
    }

    /// Sets the second variable to a tag and what is at an address, if it has a payload.
    fn set_second(&mut self, registers: Value, value: Option<(Value, Option<Value>)>, then: Block) {
        if let Some((tag, place)) = value {
            if let Some(place) = place {
                let payload = self.load(types::I64, place, 0);
                self.store(payload, registers, SECOND);
            }
            self.b.istore8(tag, registers, SECOND + TAG);
        }
        self.b.jump(then, &[]);
    }

    /// The end of the traversal, if the cursor is behind the last element of a table that has nothing but its array part.
    fn end_behind_array(&mut self, step: &Step, len: Value) {
        let is_end = self.b.icmp(IntCC::Equal, step.cursor, len);
        self.or_slow(is_end, step.slow);
        let hash = self.load(types::I64, step.table, HASH);
        let (bare, empty) = (self.b.create_block(), self.b.create_block());
        self.b.brif(hash, step.slow, &[], bare, &[]);
        self.go_on_in(bare);
        let shape = self.load(types::I64, step.table, SHAPE);
        let count = self.b.uload32(shape, COUNT);
        self.b.brif(count, step.slow, &[], empty, &[]);
        self.go_on_in(empty);
        let done = self.int(DONE);
        self.b.jump(step.done, &[done]);
    }

    /// The entry behind the cursor, which is neither the first one nor the end.
    fn entry_at_cursor(&mut self, step: &Step) -> Value {
        let &Step { table, cursor, slow, .. } = step;
        let start = self.int(Cursor::HASH.0 as i64);
        let at = self.b.isub(cursor, start);
        let hash = self.load(types::I64, table, HASH);
        self.or_slow(hash, slow);
        let used = self.b.uload32(hash, USED);
        let is_inside = self.b.icmp(IntCC::UnsignedLessThan, at, used);
        self.or_slow(is_inside, slow);
        self.or_slow(at, slow);
        self.entry_at(hash, at)
    }

    /// Goes on only if the entry in front has the key of the last step.
    fn check_last_key(&mut self, entry: Value, registers: Value, slow: Block) {
        let (last, key) = (self.load(types::I64, registers, CONTROL), self.load(types::I64, entry, BEFORE + KEY));
        let is_same = self.b.icmp(IntCC::Equal, last, key);
        self.or_slow(is_same, slow);
        let tag = self.load_tag(registers, CONTROL);
        let key_tag = self.b.uload8(types::I32, entry, BEFORE + KEY_TAG);
        let is_same = self.b.icmp(IntCC::Equal, tag, key_tag);
        self.or_slow(is_same, slow);
    }

    /// Sets the loop's variables, if the entry has a value, and a key that is held as it is.
    fn take_entry(&mut self, entry: Value, registers: Value, wanted: i64, slow: Block) {
        let value_tag = self.b.uload8(types::I64, entry, VALUE_TAG);
        self.or_slow(value_tag, slow);
        let key_tag = self.b.uload8(types::I64, entry, KEY_TAG);
        let is_exact = self.b.icmp_imm(IntCC::UnsignedLessThan, key_tag, Ty::Ptr as i64);
        self.or_slow(is_exact, slow);
        let key = self.load(types::I64, entry, KEY);
        self.store(key, registers, FIRST);
        self.b.istore8(key_tag, registers, FIRST + TAG);
        if wanted == MAX_WANTED {
            let value = self.load(types::I64, entry, ENTRY_VALUE);
            self.store(value, registers, SECOND);
            self.b.istore8(value_tag, registers, SECOND + TAG);
        }
    }
}
