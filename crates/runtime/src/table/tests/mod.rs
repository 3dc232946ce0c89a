//! Behaviour of tables: what the tests share, first of all a check of all invariants.

mod array;
mod bools;
mod keys;
mod model;
mod order;
mod props;

use std::collections::HashMap;

use super::array as array_part;
use super::hash::{DEAD_KEY, NO_ENTRY, REMOVED_KEY};
use super::{Cursor, FieldSlot, HashPart, InvalidKey, LONG_STRING_KEY, SetError, trace};
use crate::heap::Heap;
use crate::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Form, StrRef, TableRef, is_flag, is_packable, may_have_holes};
use crate::value::{Tag, Value};

fn heap() -> Heap {
    Heap::new(7)
}

fn new_str(heap: &mut Heap, text: &str) -> StrRef {
    heap.new_str(text.as_bytes())
}

fn str_value(heap: &mut Heap, text: &str) -> Value {
    Value::str(new_str(heap, text))
}

fn long(n: usize) -> String {
    format!("{n:0>60}")
}

#[track_caller]
fn assert_same(a: Value, b: Value) {
    assert!(same(a, b), "{a:?} is not {b:?}");
}

fn same(a: Value, b: Value) -> bool {
    a.tag == b.tag && a.raw_equals(b)
}

fn kind(t: TableRef) -> u8 {
    // SAFETY: tests never collect, so the table is live.
    unsafe { (*t.as_ptr()).header.aux }
}

fn is_dict(t: TableRef) -> bool {
    // SAFETY: as above; the shape lives as long as the heap.
    unsafe { (*(*t.as_ptr()).shape).is_dict() }
}

fn hash_len(t: TableRef) -> u32 {
    // SAFETY: as above.
    unsafe { if (*t.as_ptr()).hash.is_null() { 0 } else { (*(*t.as_ptr()).hash).used } }
}

/// Checks all invariants that the modules state.
fn check(t: TableRef) {
    // SAFETY: tests never collect, so the table is live, and nothing else uses it now.
    unsafe {
        let p = t.as_ptr();
        let len = array_part::len(p);
        let kind = (*p).header.aux;
        assert!(len <= (*p).array_cap);
        assert!(array_part::bytes(p).is_multiple_of(size_of::<Value>()));
        if may_have_holes(kind) {
            assert!(len == 0 || !array_part::element(p, len as usize - 1).is_nil());
        }
        match Form::of(kind) {
            Form::Values => {}
            Form::Payloads => {
                assert!(kind <= Tag::Thread as u8);
                assert!(len == 0 || is_packable(array_part::element(p, 0).tag));
            }
            Form::Tags => assert!((0..len as usize).all(|n| is_flag(array_part::element(p, n).tag))),
        }
        let shape = &*(*p).shape;
        assert!(shape.count <= u32::from((*p).slot_cap));
        let hash = (*p).hash;
        if hash.is_null() {
            return;
        }
        assert!((*hash).used <= (*hash).cap);
        let mut index_keys = 0;
        let mut seen = HashMap::new();
        for at in 0..(*hash).used {
            let entry = &*HashPart::entry(hash, at);
            assert!(entry.next == NO_ENTRY || entry.next < (*hash).used);
            let Some(key) = entry.key() else {
                assert!(entry.key_tag == REMOVED_KEY || entry.key_tag == DEAD_KEY);
                assert!(entry.value_tag == Tag::Nil);
                continue;
            };
            assert!(seen.insert((key.tag, key.payload), at).is_none(), "key {key:?} twice");
            if let Some(i) = key.as_int() {
                index_keys += u32::from(i > 0);
                assert!(i <= 0 || i > i64::from(len) + 1, "index key {i} with length {len}");
            }
            assert!(shape.is_dict() || key.tag != Tag::Str);
            if let Some(s) = key.as_str() {
                assert_eq!(s.is_short(), entry.key_tag != LONG_STRING_KEY);
            }
            assert_same(t.get(key), entry.value());
        }
        assert_eq!(index_keys, (*hash).index_keys);
        assert!(trace::buffer_bytes(p) > 0);
    }
}

/// All pairs, by `next`; and the same by cursors.
fn pairs(t: TableRef) -> Vec<(Value, Value)> {
    let mut found = Vec::new();
    let (mut key, mut cursor) = (Value::NIL, Cursor::START);
    while let Some((k, v)) = t.next(key).expect("keys of a traversal are valid") {
        assert_eq!(t.cursor_after(cursor, key), Ok(cursor));
        assert_eq!(t.cursor_after(Cursor(cursor.0 ^ 1), key), Ok(cursor));
        let (next, k2, v2) = t.next_at(cursor).expect("cursors and keys agree");
        assert_same(k, k2);
        assert_same(v, v2);
        found.push((k, v));
        (key, cursor) = (k, next);
    }
    assert!(t.next_at(cursor).is_none());
    found
}

fn keys(t: TableRef) -> Vec<Value> {
    pairs(t).into_iter().map(|(key, _)| key).collect()
}

#[track_caller]
fn assert_int_keys(t: TableRef, expected: &[i64]) {
    let found: Vec<i64> = keys(t).into_iter().filter_map(Value::as_int).collect();
    assert_eq!(found, expected);
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
}
