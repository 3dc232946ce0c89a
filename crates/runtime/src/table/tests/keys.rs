//! Keys of all types, and what the collector and the memory limit do.

use super::*;

#[test]
fn a_small_live_set_that_changes_keeps_the_hash_part_small() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 0..10_000 {
        t.set(&mut heap, Value::float(i as f64 + 0.5), Value::TRUE).expect("memory");
        t.set(&mut heap, Value::float(i as f64 - 9.5), Value::NIL).expect("memory");
    }
    // SAFETY: the table is live.
    assert!(unsafe { trace::buffer_bytes(t.as_ptr()) } < 2_000);
    assert_eq!(pairs(t).len(), 10);
}

#[test]
fn integral_floats_are_integer_keys() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    t.set(&mut heap, Value::float(1.0), Value::int(10)).expect("memory");
    t.set(&mut heap, Value::float(-0.0), Value::int(20)).expect("memory");
    t.set(&mut heap, Value::float(2f64.powi(53)), Value::int(30)).expect("memory");
    assert_same(t.get_int(1), Value::int(10));
    assert_same(t.get_int(0), Value::int(20));
    assert_same(t.get(Value::int(1 << 53)), Value::int(30));
    assert_same(t.get(Value::int((1 << 53) + 1)), Value::NIL);
    assert_same(t.get(Value::float(2f64.powi(63))), Value::NIL);
    t.set(&mut heap, Value::float(2f64.powi(63)), Value::int(40)).expect("memory");
    assert_same(t.get_int(i64::MIN), Value::NIL);
    t.set(&mut heap, Value::float(-(2f64.powi(63))), Value::int(50)).expect("memory");
    assert_same(t.get_int(i64::MIN), Value::int(50));
    assert!(keys(t).iter().filter(|key| key.tag == Tag::Float).count() == 1);
}

#[test]
fn extreme_integer_keys_are_ordinary() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for (i, key) in [i64::MIN, i64::MAX, -1, 0, i64::MIN + 1, 1 << 32, (1 << 32) + 1].into_iter().enumerate() {
        t.set_int(&mut heap, key, Value::int(i as i64)).expect("memory");
        assert_same(t.get_int(key), Value::int(i as i64));
        assert_same(t.get(Value::int(key)), Value::int(i as i64));
    }
    assert_eq!(t.length(), 0);
    check(t);
    assert_eq!(pairs(t).len(), 7);
}

#[test]
fn nil_and_nan_are_no_keys() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    assert_eq!(t.set(&mut heap, Value::NIL, Value::TRUE), Err(SetError::NilKey));
    assert_eq!(t.set(&mut heap, Value::float(f64::NAN), Value::TRUE), Err(SetError::NanKey));
    assert_same(t.get(Value::NIL), Value::NIL);
    assert_same(t.get(Value::float(f64::NAN)), Value::NIL);
    assert_eq!(t.next(Value::float(f64::NAN)).err(), Some(InvalidKey));
}

#[test]
fn a_traversal_goes_on_from_keys_as_they_were_given_only() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for key in [1, 2, 1 << 40] {
        t.set_int(&mut heap, key, Value::TRUE).expect("memory");
        assert!(t.next(Value::int(key)).is_ok());
        assert_eq!(t.next(Value::float(key as f64)).err(), Some(InvalidKey));
    }
}

#[test]
fn long_strings_are_keys_by_content() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let (a, b) = (new_str(&mut heap, &long(1)), new_str(&mut heap, &long(1)));
    assert!(a != b && !a.is_short());
    let x = new_str(&mut heap, "x");
    t.set_field(&mut heap, x, Value::int(1)).expect("memory");
    t.set_field(&mut heap, a, Value::NIL).expect("memory");
    assert!(!is_dict(t));
    t.set_field(&mut heap, a, Value::int(2)).expect("memory");
    assert!(is_dict(t));
    assert_same(t.get_str(b), Value::int(2));
    t.set_str(&mut heap, b, Value::int(3)).expect("memory");
    assert_same(t.get_str(a), Value::int(3));
    assert_same(t.get_str(x), Value::int(1));
    assert_eq!(pairs(t).len(), 2);
    check(t);
}

#[test]
fn weak_values_are_cleared_in_all_parts() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let (keep, die) = (heap.new_table(0, 0), heap.new_table(0, 0));
    for i in 1..=4 {
        t.append(&mut heap, Value::table(if i % 2 == 1 { keep } else { die })).expect("memory");
    }
    assert_eq!(kind(t), Tag::Table as u8);
    let (x, y) = (new_str(&mut heap, "x"), new_str(&mut heap, "y"));
    t.set_field(&mut heap, x, Value::table(die)).expect("memory");
    t.set_field(&mut heap, y, Value::table(keep)).expect("memory");
    t.set(&mut heap, Value::float(0.5), Value::table(die)).expect("memory");
    t.set(&mut heap, Value::table(keep), Value::table(die)).expect("memory");
    t.set(&mut heap, Value::table(die), Value::table(keep)).expect("memory");
    // SAFETY: the table is live, and the closure leaves it alone.
    unsafe { trace::clear_values(t.as_ptr(), &mut heap, |value| value.as_table() == Some(die)) };
    check(t);
    assert_eq!(t.length(), 3);
    assert_eq!(pairs(t).len(), 4);
    // The cleared key is dead now, and a traversal that stands on it goes on.
    assert_same(t.get(Value::table(keep)), Value::NIL);
    assert_same(t.next(Value::table(keep)).expect("valid").expect("an entry").0, Value::table(die));
    // SAFETY: as above.
    unsafe { trace::clear_entries(t.as_ptr(), |entry| entry.key().as_table() == Some(die)) };
    assert_eq!(pairs(t).len(), 3);
    check(t);
    let mut seen = 0;
    // SAFETY: as above.
    unsafe { trace::visit_strong(t.as_ptr(), |_| seen += 1) };
    assert_eq!(seen, 3);
}

#[test]
fn a_memory_limit_fails_stores_without_a_trace() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=64 {
        t.append(&mut heap, Value::int(i)).expect("memory");
        t.set(&mut heap, Value::float(i as f64 + 0.5), Value::TRUE).expect("memory");
    }
    let expected = pairs(t).len();
    heap.set_limit(heap.bytes);
    assert_eq!(t.append(&mut heap, Value::int(65)), Err(SetError::Memory));
    assert_eq!(t.set_int(&mut heap, 3, Value::TRUE), Err(SetError::Memory));
    assert_eq!(t.set(&mut heap, Value::float(0.5), Value::TRUE), Err(SetError::Memory));
    assert_eq!(pairs(t).len(), expected);
    check(t);
    heap.set_limit(usize::MAX);
    assert_eq!(t.append(&mut heap, Value::int(65)), Ok(()));
}

#[test]
fn freeing_returns_all_bytes() {
    let mut heap = heap();
    let t = heap.new_table(0, 2);
    let before = heap.bytes;
    for i in 1..=100 {
        t.append(&mut heap, Value::int(i)).expect("memory");
        t.set(&mut heap, Value::float(i as f64 + 0.5), Value::TRUE).expect("memory");
    }
    // SAFETY: the table is live.
    unsafe {
        assert_eq!(heap.bytes, before + trace::buffer_bytes(t.as_ptr()));
        trace::free_buffers(t.as_ptr(), &mut heap);
    }
    assert_eq!(heap.bytes, before);
}
