//! The property part: shapes and dictionaries.

use super::*;

#[test]
fn tables_with_the_same_history_share_their_shape() {
    let mut heap = heap();
    let (a, b) = (heap.new_table(0, 4), heap.new_table(0, 0));
    let names: Vec<StrRef> = (0..10).map(|i| new_str(&mut heap, &format!("n{i}"))).collect();
    for t in [a, b] {
        for (i, &name) in names.iter().enumerate() {
            t.set_field(&mut heap, name, Value::int(i as i64)).expect("memory");
        }
        check(t);
    }
    // SAFETY: both tables are live.
    unsafe {
        assert_eq!((*a.as_ptr()).shape, (*b.as_ptr()).shape);
        for (i, &name) in names.iter().enumerate() {
            assert_eq!(crate::table::lookup_field(a.as_ptr(), name), FieldSlot::Own(i as u32));
            assert_same(a.get_str(name), Value::int(i as i64));
        }
        let absent = new_str(&mut heap, "absent");
        assert_eq!(crate::table::lookup_field(a.as_ptr(), absent), FieldSlot::Absent);
    }
}

#[test]
fn branches_of_shapes_are_independent() {
    let mut heap = heap();
    let names: Vec<StrRef> = (0..20).map(|i| new_str(&mut heap, &format!("n{i}"))).collect();
    let mut random = Random(99);
    let mut tables = Vec::new();
    for _ in 0..300 {
        let t = heap.new_table(0, 0);
        let mut order: Vec<usize> = (0..20).collect();
        for i in (1..20).rev() {
            order.swap(i, random.below(3.min(i as u64 + 1)) as usize);
        }
        order.truncate(1 + random.below(20) as usize);
        for &i in &order {
            t.set_field(&mut heap, names[i], Value::int(i as i64)).expect("memory");
        }
        tables.push((t, order));
    }
    for (t, order) in tables {
        assert!(!is_dict(t));
        let found: Vec<usize> = pairs(t).iter().map(|(_, value)| value.raw_int() as usize).collect();
        assert_eq!(found, order);
        for (i, &name) in names.iter().enumerate() {
            let expected = if order.contains(&i) { Value::int(i as i64) } else { Value::NIL };
            assert_same(t.get_str(name), expected);
        }
    }
}

#[test]
fn removing_a_property_keeps_the_shape_and_its_place() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let (x, y) = (new_str(&mut heap, "x"), new_str(&mut heap, "y"));
    t.set_field(&mut heap, x, Value::int(1)).expect("memory");
    t.set_field(&mut heap, y, Value::int(2)).expect("memory");
    // SAFETY: the table is live.
    let shape = unsafe { (*t.as_ptr()).shape };
    t.set_str(&mut heap, x, Value::NIL).expect("memory");
    assert_eq!(keys(t).len(), 1);
    // SAFETY: the table is live.
    unsafe { (*t.as_ptr()).header.flags = 0xff };
    t.set_str(&mut heap, x, Value::int(3)).expect("memory");
    // SAFETY: the table is live.
    unsafe { assert_eq!(((*t.as_ptr()).shape, (*t.as_ptr()).header.flags), (shape, 0)) };
    assert_same(keys(t)[0], Value::str(x));
}

#[test]
fn computed_keys_make_a_map_and_constant_keys_a_record() {
    let mut heap = heap();
    let names: Vec<StrRef> = (0..200).map(|i| new_str(&mut heap, &format!("n{i}"))).collect();
    let map = heap.new_table(0, 0);
    map.set_str(&mut heap, names[0], Value::TRUE).expect("memory");
    assert!(is_dict(map));
    let mixed = heap.new_table(0, 0);
    mixed.set_field(&mut heap, names[0], Value::TRUE).expect("memory");
    // The one constant key allows for two more computed ones than the 16 there may be in any case.
    for (i, &name) in names[..20].iter().enumerate() {
        mixed.set_str(&mut heap, name, Value::int(i as i64)).expect("memory");
        assert_eq!(is_dict(mixed), i == 19);
    }
    check(mixed);
    assert_eq!(pairs(mixed).len(), 20);
    let record = heap.new_table(0, 0);
    for (i, &name) in names.iter().enumerate() {
        record.set_field(&mut heap, name, Value::int(i as i64)).expect("memory");
        assert_eq!(is_dict(record), i >= crate::table::MAX_PROPS as usize);
    }
    check(record);
    for (i, &name) in names.iter().enumerate() {
        assert_same(record.get_str(name), Value::int(i as i64));
    }
    // SAFETY: the table is live.
    assert_eq!(unsafe { crate::table::lookup_field(record.as_ptr(), names[0]) }, FieldSlot::Dict);
}

#[test]
fn the_number_of_shapes_is_limited() {
    let mut heap = heap();
    for i in 0..crate::table::MAX_SHAPES + 10 {
        let t = heap.new_table(0, 0);
        let key = new_str(&mut heap, &format!("only{i}"));
        t.set_field(&mut heap, key, Value::TRUE).expect("memory");
        assert_same(t.get_str(key), Value::TRUE);
    }
    assert_eq!(heap.shapes.len(), crate::table::MAX_SHAPES);
    let mut count = 0;
    heap.shapes.visit_keys(|_| count += 1);
    assert_eq!(count, crate::table::MAX_SHAPES - 2);
}
