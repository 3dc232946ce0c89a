//! Arrays of booleans: stored as tags, with holes, until another type comes.

use super::*;

fn table_of(heap: &mut Heap, keys: impl Iterator<Item = i64>) -> TableRef {
    let t = heap.new_table(0, 0);
    for i in keys {
        t.set_int(heap, i, Value::bool(i % 3 == 0)).expect("memory");
    }
    t
}

fn assert_bools(t: TableRef, keys: impl Iterator<Item = i64>) {
    for i in keys {
        assert_same(t.get_int(i), Value::bool(i % 3 == 0));
    }
    check(t);
}

#[test]
fn booleans_take_a_byte_each() {
    let mut heap = heap();
    let t = table_of(&mut heap, 1..=1000);
    assert_eq!((t.length(), kind(t)), (1000, BOOL_ELEMENTS));
    // SAFETY: the table is live.
    assert!(unsafe { trace::buffer_bytes(t.as_ptr()) } <= 1024);
    assert_bools(t, 1..=1000);
    assert!(!t.array_sort());
}

#[test]
fn holes_are_allowed_and_the_length_shrinks_over_them() {
    let mut heap = heap();
    let t = table_of(&mut heap, 1..=20);
    for i in [5, 17, 18, 19] {
        t.set_int(&mut heap, i, Value::NIL).expect("memory");
    }
    assert_eq!((t.length(), kind(t)), (20, BOOL_ELEMENTS));
    assert_eq!(pairs(t).len(), 16);
    t.set_int(&mut heap, 20, Value::NIL).expect("memory");
    assert_eq!((t.length(), kind(t)), (16, BOOL_ELEMENTS));
    assert_same(t.get_int(5), Value::NIL);
    assert_bools(t, (1..=4).chain(6..=16));
}

#[test]
fn keys_from_the_hash_part_keep_the_kind() {
    let mut heap = heap();
    let t = table_of(&mut heap, 2..=1000);
    assert_eq!((t.array_len(), hash_len(t), kind(t)), (1000, 0, BOOL_ELEMENTS));
    assert_same(t.get_int(1), Value::NIL);
    assert_bools(t, 2..=1000);
    let t = table_of(&mut heap, (1..=1000).rev());
    assert_eq!((t.array_len(), hash_len(t), kind(t)), (1000, 0, BOOL_ELEMENTS));
    assert_bools(t, 1..=1000);
    // A number among the keys makes values of all.
    let t = table_of(&mut heap, 2..=8);
    t.set_int(&mut heap, 10, Value::int(7)).expect("memory");
    for i in 9..=40 {
        t.set_int(&mut heap, i, if i == 10 { Value::int(7) } else { Value::bool(i % 3 == 0) }).expect("memory");
    }
    assert_eq!((t.array_len(), kind(t)), (40, ANY_ELEMENTS));
    assert_bools(t, (2..=9).chain(11..=40));
}

#[test]
fn another_type_makes_values_of_them() {
    let mut heap = heap();
    for n in [1, 2, 3, 15, 16, 17, 100, 1000] {
        let t = table_of(&mut heap, 1..=n);
        t.set_int(&mut heap, n, Value::int(7)).expect("memory");
        assert_eq!((t.length(), kind(t)), (n, ANY_ELEMENTS));
        // SAFETY: the table is live.
        assert!(unsafe { trace::buffer_bytes(t.as_ptr()) } as i64 <= 32 * n.max(8));
        assert_same(t.get_int(n), Value::int(7));
        assert_bools(t, 1..n);
        let t = table_of(&mut heap, 1..=n);
        t.append(&mut heap, Value::float(0.5)).expect("memory");
        assert_same(t.get_int(n + 1), Value::float(0.5));
        assert_bools(t, 1..=n);
    }
}

#[test]
fn an_emptied_array_takes_another_kind_in_the_same_buffer() {
    let mut heap = heap();
    let t = table_of(&mut heap, 1..=64);
    // SAFETY: the table is live.
    let bytes = || unsafe { trace::buffer_bytes(t.as_ptr()) };
    let before = bytes();
    for round in 0..20 {
        for i in (1..=64).rev() {
            t.set_int(&mut heap, i, Value::NIL).expect("memory");
        }
        let value = if round % 2 == 0 { Value::int(1) } else { Value::TRUE };
        t.append(&mut heap, value).expect("memory");
        assert_eq!(bytes(), before);
        check(t);
    }
}

#[test]
fn slices_of_many_booleans_are_packed() {
    let mut heap = heap();
    let values = [Value::TRUE, Value::NIL, Value::FALSE, Value::TRUE].repeat(4);
    let t = heap.new_table(16, 0);
    t.extend_from_slice(&mut heap, 1, &values).expect("memory");
    assert_eq!((t.length(), kind(t)), (16, BOOL_ELEMENTS));
    t.extend_from_slice(&mut heap, 17, &[Value::TRUE, Value::FALSE]).expect("memory");
    assert_eq!((t.length(), kind(t)), (18, BOOL_ELEMENTS));
    let mut out = [Value::NIL; 18];
    t.array_read(1, &mut out);
    assert!(out[..16].iter().zip(&values).all(|(a, b)| same(*a, *b)));
    t.extend_from_slice(&mut heap, 19, &[Value::TRUE, Value::int(1)]).expect("memory");
    assert_eq!((t.length(), kind(t)), (20, ANY_ELEMENTS));
    check(t);
    let u = heap.new_table(2, 0);
    u.extend_from_slice(&mut heap, 1, &[Value::FALSE, Value::FALSE]).expect("memory");
    assert_eq!(kind(u), ANY_ELEMENTS);
}

#[test]
fn moves_and_exchanges_keep_the_kind() {
    let mut heap = heap();
    let t = table_of(&mut heap, 1..=9);
    t.array_insert(&mut heap, 1, Value::NIL).expect("memory");
    assert_eq!((t.length(), kind(t)), (10, BOOL_ELEMENTS));
    assert_same(t.get_int(4), Value::TRUE);
    assert_same(t.array_remove(1), Value::NIL);
    assert_bools(t, 1..=9);
    t.set_int(&mut heap, 2, Value::NIL).expect("memory");
    t.array_swap(2, 9);
    assert_eq!(t.length(), 8);
    assert_same(t.get_int(2), Value::TRUE);
    check(t);
    t.array_insert(&mut heap, 3, Value::int(1)).expect("memory");
    assert_eq!((t.length(), kind(t)), (9, ANY_ELEMENTS));
    check(t);
}
