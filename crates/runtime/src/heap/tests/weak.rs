//! Weak tables and finalizers.

use super::*;

fn table(heap: &mut Heap) -> Value {
    Value::table(heap.new_table(0, 0))
}

/// A table with this `__mode`, held by the roots.
fn weak_table(heap: &mut Heap, roots: &mut Held, mode: &[u8]) -> TableRef {
    let t = heap.new_table(0, 0);
    let meta = metatable(heap, mode);
    set_meta(heap, t, meta);
    roots.0.push(Value::table(t));
    t
}

/// Collects, all at once or in the smallest steps, twice so that what died late is gone too.
fn collect(heap: &mut Heap, roots: &mut Held, steps: bool) {
    for _ in 0..2 {
        if steps {
            step_until(heap, roots, Phase::Propagate);
            step_until(heap, roots, Phase::Pause);
        } else {
            heap.full(roots);
        }
    }
    check(heap, roots);
}

#[test]
fn weak_values_go_with_their_objects() {
    for steps in [false, true] {
        let mut heap = heap();
        let mut roots = nothing();
        let w = weak_table(&mut heap, &mut roots, b"v");
        let kept = table(&mut heap);
        roots.0.push(kept);
        for i in 1..=10 {
            let value = if i % 3 == 0 { kept } else { table(&mut heap) };
            put(&mut heap, w, Value::int(i), value);
            let key = heap.new_str(format!("k{i}").as_bytes());
            put(&mut heap, w, Value::str(key), value);
        }
        let key = table(&mut heap);
        put(&mut heap, w, key, kept);
        let s = heap.new_str(b"strings stay");
        put(&mut heap, w, Value::int(100), Value::str(s));
        collect(&mut heap, &mut roots, steps);
        for i in 1..=10 {
            assert_eq!(w.get(Value::int(i)).is_nil(), i % 3 != 0);
            let name = heap.new_str(format!("k{i}").as_bytes());
            assert_eq!(w.get_str(name).is_nil(), i % 3 != 0);
        }
        assert!(w.get(key).raw_equals(kept), "the key of a weak value is strong");
        assert_eq!(w.get_int(100).as_str().map(|s| s.len()), Some(12));
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
    }
}

#[test]
fn an_ephemeron_is_not_kept_by_its_own_value() {
    for steps in [false, true] {
        let mut heap = heap();
        let mut roots = nothing();
        let w = weak_table(&mut heap, &mut roots, b"k");
        let kept = heap.new_table(0, 0);
        roots.0.push(Value::table(kept));
        for i in 0..20 {
            let key = heap.new_table(1, 0);
            let value = heap.new_table(1, 0);
            put(&mut heap, value, Value::int(1), Value::table(key));
            put(&mut heap, w, Value::table(key), Value::table(value));
            if i % 4 == 0 {
                put(&mut heap, kept, Value::int(i), Value::table(key));
            }
        }
        let s = heap.new_str(b"string keys are not removed");
        let value = table(&mut heap);
        put(&mut heap, w, Value::str(s), value);
        collect(&mut heap, &mut roots, steps);
        let census = check(&heap, &mut roots);
        assert_eq!(census.allocated(Kind::Table).count, 3 + 2 * 5 + 1);
    }
}

#[test]
fn chains_of_ephemerons_are_followed() {
    for (steps, forward) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut heap = heap();
        let mut roots = nothing();
        let tables: Vec<TableRef> = (0..50).map(|_| weak_table(&mut heap, &mut roots, b"k")).collect();
        let keys: Vec<Value> = (0..=50).map(|_| table(&mut heap)).collect();
        for i in 0..50 {
            let t = tables[if forward { i } else { 49 - i }];
            put(&mut heap, t, keys[i], keys[i + 1]);
        }
        let orphan = table(&mut heap);
        let orphan_value = table(&mut heap);
        put(&mut heap, tables[7], orphan, orphan_value);
        roots.0.push(keys[0]);
        collect(&mut heap, &mut roots, steps);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 100 + 51);
        roots.0.pop();
        collect(&mut heap, &mut roots, steps);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 100);
    }
}

#[test]
fn all_weak_tables_keep_nothing() {
    for steps in [false, true] {
        let mut heap = heap();
        let mut roots = nothing();
        let w = weak_table(&mut heap, &mut roots, b"kv");
        let (a, b) = (table(&mut heap), table(&mut heap));
        roots.0.extend([a, b]);
        for (dead_key, dead_value) in [(false, true), (true, false), (true, true)] {
            let key = if dead_key { table(&mut heap) } else { a };
            let value = if dead_value { table(&mut heap) } else { b };
            put(&mut heap, w, key, value);
        }
        put(&mut heap, w, b, a);
        collect(&mut heap, &mut roots, steps);
        assert!(w.get(a).is_nil());
        assert!(w.get(b).raw_equals(a));
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
    }
}

#[test]
fn a_key_deleted_and_collected_during_traversal_is_passed() {
    let mut heap = heap();
    let mut roots = nothing();
    let t = heap.new_table(0, 0);
    roots.0.push(Value::table(t));
    for _ in 0..20 {
        let key = table(&mut heap);
        put(&mut heap, t, key, Value::TRUE);
    }
    let mut seen = 0;
    let mut key = Value::NIL;
    while let Ok(Some((k, _))) = t.next(key) {
        seen += 1;
        put(&mut heap, t, k, Value::NIL);
        heap.full(&mut roots);
        key = k;
    }
    assert_eq!(seen, 20);
    assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 1);
}

#[test]
fn finalizers_run_in_reverse_order_and_once() {
    for steps in [false, true] {
        let mut heap = heap();
        let mut roots = nothing();
        for i in 1..=5 {
            let t = heap.new_table(1, 0);
            let inner = table(&mut heap);
            put(&mut heap, t, Value::int(1), Value::int(i));
            put(&mut heap, t, Value::int(2), inner);
            heap.register_finalizer(Value::table(t));
            heap.register_finalizer(Value::table(t));
            if i == 3 {
                roots.0.push(Value::table(t));
            }
        }
        assert!(!heap.has_finalizable());
        collect(&mut heap, &mut roots, steps);
        let mut order = Vec::new();
        while let Some(v) = heap.next_finalizable() {
            let t = v.as_table().expect("tables were registered");
            assert!(t.get_int(2).as_table().is_some(), "what it refers to is alive");
            order.push(t.get_int(1).as_int());
        }
        assert_eq!(order, [5, 4, 2, 1].map(Some));
        collect(&mut heap, &mut roots, steps);
        assert!(heap.next_finalizable().is_none());
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 2);
        // Registered again: called again.
        let again = roots.0[0];
        roots.0.clear();
        collect(&mut heap, &mut roots, steps);
        assert!(heap.next_finalizable().is_some());
        heap.register_finalizer(again);
        collect(&mut heap, &mut roots, steps);
        assert!(heap.next_finalizable().is_some());
        collect(&mut heap, &mut roots, steps);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 0);
    }
}

#[test]
fn closing_queues_all_and_registers_no_more() {
    let mut heap = heap();
    let mut roots = nothing();
    let values: Vec<Value> = (0..3).map(|_| table(&mut heap)).collect();
    for &v in &values {
        heap.register_finalizer(v);
        roots.0.push(v);
    }
    heap.finalize_all();
    for &v in values.iter().rev() {
        assert!(heap.next_finalizable().is_some_and(|f| f.raw_equals(v)));
    }
    heap.register_finalizer(values[0]);
    heap.finalize_all();
    assert!(heap.next_finalizable().is_none());
}

#[test]
fn weak_values_are_cleared_before_resurrection_and_weak_keys_after() {
    for steps in [false, true] {
        let mut heap = heap();
        let mut roots = nothing();
        let by_value = weak_table(&mut heap, &mut roots, b"v");
        let by_key = weak_table(&mut heap, &mut roots, b"k");
        let dies = table(&mut heap);
        let held_by_dead = table(&mut heap);
        put(&mut heap, dies.as_table().expect("it is a table"), Value::int(1), held_by_dead);
        heap.register_finalizer(dies);
        put(&mut heap, by_value, Value::int(1), dies);
        put(&mut heap, by_value, Value::int(2), held_by_dead);
        put(&mut heap, by_key, dies, Value::int(1));
        put(&mut heap, by_key, held_by_dead, Value::int(2));
        collect(&mut heap, &mut roots, steps);
        assert!(by_value.get_int(1).is_nil() && by_value.get_int(2).is_nil());
        assert!(by_key.get(dies).raw_equals(Value::int(1)));
        assert!(by_key.get(held_by_dead).raw_equals(Value::int(2)));
        assert!(heap.next_finalizable().is_some());
        collect(&mut heap, &mut roots, steps);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
    }
}

#[test]
fn weak_tables_reached_only_by_a_finalizer_are_settled_too() {
    for mode in [b"k" as &[u8], b"v", b"kv"] {
        let mut heap = heap();
        let mut roots = nothing();
        let dies = heap.new_table(1, 0);
        heap.register_finalizer(Value::table(dies));
        let w = weak_table(&mut heap, &mut roots, mode);
        roots.0.clear();
        put(&mut heap, dies, Value::int(1), Value::table(w));
        let (key, value) = (table(&mut heap), table(&mut heap));
        put(&mut heap, w, key, value);
        collect(&mut heap, &mut roots, false);
        assert!(w.get(key).is_nil());
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 3);
    }
}

#[test]
fn a_finalizer_may_resurrect_a_thread_with_open_upvalues() {
    let mut heap = heap();
    let mut roots = nothing();
    let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
    let f = closure_over(&mut heap, th, 3);
    let dies = heap.new_table(1, 0);
    put(&mut heap, dies, Value::int(1), Value::thread(th));
    heap.register_finalizer(Value::table(dies));
    roots.0.push(Value::lua_fn(f));
    heap.full(&mut roots);
    // SAFETY: the closure is live.
    unsafe {
        let uv = *LuaClosure::upvals(f.as_ptr());
        assert!((*uv).slot != &raw mut (*uv).closed, "the thread lives, so the upvalue is open");
    }
    check(&heap, &mut roots);
    assert!(heap.next_finalizable().is_some());
    heap.full(&mut roots);
    assert_eq!(check(&heap, &mut roots).allocated(Kind::Thread).count, 0);
}
