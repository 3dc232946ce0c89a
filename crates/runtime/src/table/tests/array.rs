//! The array part: kinds, holes, moves from and to the hash part, bulk operations.

use super::*;

#[test]
fn integer_arrays_are_packed_and_popping_keeps_them_so() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=100 {
        t.set_int(&mut heap, i, Value::int(i * i)).expect("memory");
        assert_eq!(t.length(), i);
    }
    assert_eq!(kind(t), Tag::Int as u8);
    for i in (1..=100).rev() {
        assert_same(t.get_int(i), Value::int(i * i));
        t.set_int(&mut heap, i, Value::NIL).expect("memory");
        assert_eq!((t.length(), kind(t)), (i - 1, Tag::Int as u8));
    }
    check(t);
}

#[test]
fn another_type_makes_elements_any_until_the_array_is_empty() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    t.extend_from_slice(&mut heap, 1, &[1.5, 2.5, 3.5].map(Value::float)).expect("memory");
    assert_eq!(kind(t), Tag::Float as u8);
    t.set_int(&mut heap, 2, Value::int(7)).expect("memory");
    assert_eq!(kind(t), ANY_ELEMENTS);
    t.set_int(&mut heap, 2, Value::float(7.0)).expect("memory");
    assert_eq!(kind(t), ANY_ELEMENTS);
    assert_same(t.get_int(1), Value::float(1.5));
    for i in (1..=3).rev() {
        t.set_int(&mut heap, i, Value::NIL).expect("memory");
    }
    t.append(&mut heap, Value::int(1)).expect("memory");
    assert_eq!(kind(t), Tag::Int as u8);
    check(t);
}

#[test]
fn the_length_shrinks_over_holes() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=5 {
        t.append(&mut heap, Value::int(i)).expect("memory");
    }
    t.set_int(&mut heap, 3, Value::NIL).expect("memory");
    t.set_int(&mut heap, 4, Value::NIL).expect("memory");
    assert_eq!(t.length(), 5);
    t.set_int(&mut heap, 5, Value::NIL).expect("memory");
    assert_eq!(t.length(), 2);
    check(t);
}

#[test]
fn keys_filled_backwards_become_an_array() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in (1..=1000).rev() {
        t.set_int(&mut heap, i, Value::int(i)).expect("memory");
        check(t);
    }
    assert_eq!((t.length(), hash_len(t)), (1000, 0));
    assert_int_keys(t, &(1..=1000).collect::<Vec<_>>());
}

#[test]
fn keys_filled_from_two_become_an_array_with_a_hole() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 2..=1000 {
        t.set_int(&mut heap, i, Value::TRUE).expect("memory");
    }
    assert_eq!(t.array_len(), 1000);
    assert_eq!(hash_len(t), 0);
    check(t);
}

#[test]
fn sparse_keys_stay_in_the_hash_part() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=100 {
        t.set_int(&mut heap, i * 10, Value::int(i)).expect("memory");
    }
    assert_eq!(t.length(), 0);
    check(t);
}

#[test]
fn a_key_zero_does_not_slow_appending() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 0..=64 {
        t.set_int(&mut heap, i, Value::int(i)).expect("memory");
    }
    assert_eq!(t.length(), 64);
    // SAFETY: the table is live.
    assert_eq!(unsafe { crate::table::hash::index_keys(t.as_ptr()) }, 0);
}

#[test]
fn appending_takes_following_keys_from_the_hash_part() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in [10, 3, 4, 2] {
        t.set_int(&mut heap, i, Value::int(i)).expect("memory");
    }
    t.set_int(&mut heap, 1, Value::int(1)).expect("memory");
    assert_eq!(t.length(), 4);
    check(t);
    assert_int_keys(t, &[1, 2, 3, 4, 10]);
}

#[test]
fn a_queue_does_not_grow_forever() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let (mut head, mut tail) = (1, 1);
    for i in 0..100_000 {
        t.set_int(&mut heap, tail, Value::int(i)).expect("memory");
        tail += 1;
        if tail - head > 20 {
            assert!(!t.get_int(head).is_nil());
            t.set_int(&mut heap, head, Value::NIL).expect("memory");
            head += 1;
        }
    }
    check(t);
    // SAFETY: the table is live.
    assert!(unsafe { trace::buffer_bytes(t.as_ptr()) } < 10_000);
    assert_int_keys(t, &(head..tail).collect::<Vec<_>>());
}

#[test]
fn inserting_and_removing_move_the_rest() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=3 {
        t.append(&mut heap, Value::int(i)).expect("memory");
    }
    t.set_int(&mut heap, 5, Value::int(50)).expect("memory");
    assert_eq!((t.length(), hash_len(t)), (3, 1));
    t.array_insert(&mut heap, 1, Value::int(0)).expect("memory");
    // The key 5 follows the new end and came over.
    assert_eq!(t.length(), 5);
    check(t);
    assert_same(t.array_remove(2), Value::int(1));
    let mut out = [Value::NIL; 4];
    t.array_read(1, &mut out);
    assert_eq!(out.map(Value::raw_int), [0, 2, 3, 50]);
    assert_eq!(kind(t), Tag::Int as u8);
    t.array_insert(&mut heap, 4, Value::NIL).expect("memory");
    assert_same(t.get_int(4), Value::NIL);
    assert_eq!(t.length(), 5);
    check(t);
}

#[test]
fn slices_overwrite_what_the_hash_part_had() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    t.set_int(&mut heap, 2, Value::int(20)).expect("memory");
    t.set_int(&mut heap, 5, Value::int(50)).expect("memory");
    t.extend_from_slice(&mut heap, 1, &[Value::int(1), Value::NIL, Value::int(3), Value::NIL, Value::NIL])
        .expect("memory");
    check(t);
    assert_int_keys(t, &[1, 3]);
}

#[test]
fn slices_of_one_type_are_packed_and_trailing_nils_are_dropped() {
    let mut heap = heap();
    let t = heap.new_table(3, 0);
    t.extend_from_slice(&mut heap, 1, &[Value::int(1), Value::int(2), Value::NIL]).expect("memory");
    assert_eq!((t.length(), kind(t)), (2, Tag::Int as u8));
    let u = heap.new_table(3, 0);
    u.extend_from_slice(&mut heap, 1, &[Value::NIL, Value::NIL, Value::int(3)]).expect("memory");
    assert_eq!((u.length(), kind(u)), (3, ANY_ELEMENTS));
    let v = heap.new_table(3, 0);
    v.extend_from_slice(&mut heap, 1, &[Value::NIL, Value::NIL]).expect("memory");
    assert_eq!(v.length(), 0);
    for t in [t, u, v] {
        check(t);
    }
}

#[test]
fn arrays_of_one_type_are_sorted() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for f in [2.5, f64::NEG_INFINITY, -1.0, 1e10, 0.0] {
        t.append(&mut heap, Value::float(f)).expect("memory");
    }
    assert!(t.array_sort());
    let mut out = [Value::NIL; 5];
    t.array_read(1, &mut out);
    assert_eq!(out.map(Value::raw_float), [f64::NEG_INFINITY, -1.0, 0.0, 2.5, 1e10]);
    let u = heap.new_table(0, 0);
    for s in ["b", "", "ab", "a"] {
        let value = str_value(&mut heap, s);
        u.append(&mut heap, value).expect("memory");
    }
    assert!(u.array_sort());
    assert_eq!(u.array_get(4).as_str().expect("a string").as_bytes(), b"b");
    u.append(&mut heap, Value::TRUE).expect("memory");
    assert!(!u.array_sort());
}

#[test]
fn a_store_behind_a_hole_forgets_removed_keys_below_it() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=7 {
        t.append(&mut heap, Value::int(i)).expect("memory");
    }
    t.set_int(&mut heap, 10, Value::int(10)).expect("memory");
    t.set_int(&mut heap, 10, Value::NIL).expect("memory");
    t.append(&mut heap, Value::int(8)).expect("memory");
    t.set_int(&mut heap, 11, Value::int(11)).expect("memory");
    assert_eq!(t.length(), 11);
    check(t);
}
