//! Order and traversal.

use super::*;

#[test]
fn traversal_follows_insertion_in_properties_and_hash_part() {
    let mut heap = heap();
    let t = heap.new_table(0, 2);
    let names = ["z", "a", "m", "b", "y"];
    for name in names {
        let key = new_str(&mut heap, name);
        t.set_field(&mut heap, key, Value::TRUE).expect("memory");
    }
    let floats = [9.5, 1.5, 5.5, -3.5, 1e300];
    for float in floats {
        t.set(&mut heap, Value::float(float), Value::TRUE).expect("memory");
    }
    t.append(&mut heap, Value::TRUE).expect("memory");
    let found = keys(t);
    assert_same(found[0], Value::int(1));
    for (key, name) in found[1..6].iter().zip(names) {
        assert_eq!(key.as_str().expect("a string").as_bytes(), name.as_bytes());
    }
    for (key, float) in found[6..].iter().zip(floats) {
        assert_same(*key, Value::float(float));
    }
}

#[test]
fn order_in_a_dictionary_survives_growth_and_removal() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 0..500 {
        let key = str_value(&mut heap, &format!("key{i}"));
        t.set(&mut heap, key, Value::int(i)).expect("memory");
        if i % 3 == 0 {
            t.set(&mut heap, key, Value::NIL).expect("memory");
        }
    }
    assert!(is_dict(t));
    let found: Vec<i64> = pairs(t).iter().map(|(_, value)| value.raw_int()).collect();
    assert_eq!(found, (0..500).filter(|i| i % 3 != 0).collect::<Vec<_>>());
    check(t);
}

#[test]
fn all_fields_can_be_removed_during_a_traversal() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    for i in 1..=50 {
        t.append(&mut heap, Value::int(i)).expect("memory");
        t.set(&mut heap, Value::float(i as f64 + 0.5), Value::int(i)).expect("memory");
        let key = new_str(&mut heap, &format!("f{i}"));
        t.set_field(&mut heap, key, Value::int(i)).expect("memory");
    }
    let mut count = 0;
    let mut key = Value::NIL;
    while let Some((k, _)) = t.next(key).expect("valid") {
        t.set(&mut heap, k, Value::NIL).expect("memory");
        key = k;
        count += 1;
    }
    assert_eq!(count, 150);
    assert!(t.next(Value::NIL).expect("valid").is_none());
    assert_eq!(t.length(), 0);
    check(t);
}

#[test]
fn next_rejects_keys_that_were_never_there() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    t.append(&mut heap, Value::int(1)).expect("memory");
    let absent = str_value(&mut heap, "absent");
    assert_eq!(t.next(absent).err(), Some(InvalidKey));
    assert_eq!(t.next(Value::int(-1)).err(), Some(InvalidKey));
    assert_eq!(t.next(Value::int(1000)).err(), Some(InvalidKey));
    assert_eq!(t.next(Value::TRUE).err(), Some(InvalidKey));
}

#[test]
fn cursors_from_elsewhere_do_no_harm() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let key = new_str(&mut heap, "k");
    t.set_field(&mut heap, key, Value::TRUE).expect("memory");
    t.append(&mut heap, Value::int(1)).expect("memory");
    for cursor in [0, 1, 2, u64::MAX, 1 << 32, (1 << 32) + 9, 2 << 32, (2 << 32) + 9, 5 << 32] {
        let _ = t.next_at(Cursor(cursor));
        assert_eq!(t.cursor_after(Cursor(cursor), Value::int(1)), Ok(Cursor(1)));
        assert_eq!(t.cursor_after(Cursor(cursor), Value::NIL), Ok(Cursor::START));
    }
}

#[test]
fn a_tombstone_does_not_mislead_a_traversal_of_the_array() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    // The hash part knows 4, loses it to the array part, and the array part then shrinks below it.
    t.set(&mut heap, Value::float(0.5), Value::TRUE).expect("memory");
    t.set_int(&mut heap, 4, Value::int(4)).expect("memory");
    t.set_int(&mut heap, 4, Value::NIL).expect("memory");
    t.set(&mut heap, Value::float(1.5), Value::TRUE).expect("memory");
    for i in 1..=4 {
        t.set_int(&mut heap, i, Value::int(i)).expect("memory");
    }
    t.set_int(&mut heap, 4, Value::NIL).expect("memory");
    let (key, _) = t.next(Value::int(4)).expect("valid").expect("an entry");
    assert_same(key, Value::float(0.5));
}
