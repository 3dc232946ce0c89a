//! Steps of `next` through a hash part, without a call.
//!
//! The registers of a generic loop are in their places: `R[a+1]` is the table, `R[a+2]` the key that was last, `R[a+3]` nil with
//! the cursor behind that key for a payload; key and value go to `R[a+4]` and `R[a+5]`. As `TableRef::next_with_hint` does, the
//! step trusts the cursor if the entry in front of it has the key. Everything else is the helper's: the array part and the
//! properties, entries without a value, long strings, and the end.

use std::mem::{offset_of, size_of};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value, types};
use perilune_runtime::object::Table;
use perilune_runtime::table::{Cursor, HashEntry, HashPart};
use perilune_trace::ir::{Helper, Inst, Ref, Ty};

use super::Lowering;
use super::lookup::{KEY, KEY_TAG, VALUE as ENTRY_VALUE, VALUE_TAG};
use crate::layout::{TAG, VALUE};

const HASH: i32 = offset_of!(Table, hash) as i32;
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

impl Lowering<'_, '_, '_> {
    pub(super) fn next_pair(&mut self, r: Ref, inst: &Inst) {
        let Some(wanted) = self.tree.const_int(inst.c()).filter(|wanted| (0..=MAX_WANTED).contains(wanted)) else {
            // More variables, or keys that must become floats.
            return self.plain_call(r, inst, Helper::NextPair);
        };
        let (table, registers) = (self.value(inst.a()), self.value(inst.b()));
        let (slow, done) = (self.cold_block(), self.b.create_block());
        self.b.append_block_param(done, types::I64);
        let (entry, cursor) = self.entry_at_cursor(table, registers, slow);
        self.check_last_key(entry, registers, slow);
        self.take_entry(entry, registers, wanted, slow);
        let next = self.b.ins().iadd_imm_s(cursor, 1);
        self.store(next, registers, CURSOR);
        let more = self.int(MORE);
        self.b.ins().jump(done, &[more.into()]);
        self.b.switch_to_block(slow);
        let answer = self.call_helper(inst, Helper::NextPair).unwrap_or(more);
        self.b.ins().jump(done, &[answer.into()]);
        self.b.switch_to_block(done);
        let answer = self.b.block_params(done)[0];
        self.define(r, answer);
    }

    /// Goes to `slow` unless a condition holds.
    fn or_slow(&mut self, holds: Value, slow: Block) {
        let on = self.b.create_block();
        self.b.ins().brif(holds, on, &[], slow, &[]);
        self.b.switch_to_block(on);
    }

    /// The entry behind the cursor, which is neither the first one nor the end, and the cursor.
    fn entry_at_cursor(&mut self, table: Value, registers: Value, slow: Block) -> (Value, Value) {
        let tag = self.load_tag(registers, CURSOR);
        let has_cursor = self.is_tag(tag, Ty::Nil);
        self.or_slow(has_cursor, slow);
        let cursor = self.load(types::I64, registers, CURSOR);
        let start = self.int(Cursor::HASH.0 as i64);
        let at = self.b.ins().isub(cursor, start);
        let hash = self.load(types::I64, table, HASH);
        self.or_slow(hash, slow);
        let used = self.b.ins().uload32(Self::flags(), hash, USED);
        let is_inside = self.b.ins().icmp(IntCC::UnsignedLessThan, at, used);
        self.or_slow(is_inside, slow);
        self.or_slow(at, slow);
        (self.entry_at(hash, at), cursor)
    }

    /// Goes on only if the entry in front has the key of the last step.
    fn check_last_key(&mut self, entry: Value, registers: Value, slow: Block) {
        let (last, key) = (self.load(types::I64, registers, CONTROL), self.load(types::I64, entry, BEFORE + KEY));
        let is_same = self.b.ins().icmp(IntCC::Equal, last, key);
        self.or_slow(is_same, slow);
        let tag = self.load_tag(registers, CONTROL);
        let key_tag = self.b.ins().uload8(types::I32, Self::flags(), entry, BEFORE + KEY_TAG);
        let is_same = self.b.ins().icmp(IntCC::Equal, tag, key_tag);
        self.or_slow(is_same, slow);
    }

    /// Sets the loop's variables, if the entry has a value, and a key that is held as it is.
    fn take_entry(&mut self, entry: Value, registers: Value, wanted: i64, slow: Block) {
        let value_tag = self.b.ins().uload8(types::I64, Self::flags(), entry, VALUE_TAG);
        self.or_slow(value_tag, slow);
        let key_tag = self.b.ins().uload8(types::I64, Self::flags(), entry, KEY_TAG);
        let is_exact = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, key_tag, Ty::Ptr as i64);
        self.or_slow(is_exact, slow);
        let key = self.load(types::I64, entry, KEY);
        self.store(key, registers, FIRST);
        self.b.ins().istore8(Self::flags(), key_tag, registers, FIRST + TAG);
        if wanted == MAX_WANTED {
            let value = self.load(types::I64, entry, ENTRY_VALUE);
            self.store(value, registers, SECOND);
            self.b.ins().istore8(Self::flags(), value_tag, registers, SECOND + TAG);
        }
    }
}
