//! What the heap does when the system refuses memory.

use super::*;

/// A chain of ephemerons whose links are the values of the last, one of them dead; and wide and deep tables.
fn world(heap: &mut Heap, roots: &mut Held) {
    let meta = metatable(heap, b"k");
    let weak = heap.new_table(0, 0);
    set_meta(heap, weak, meta);
    roots.0.push(Value::table(weak));
    let mut key = heap.new_table(0, 0);
    roots.0.push(Value::table(key));
    for _ in 0..50 {
        let next = heap.new_table(0, 0);
        put(heap, weak, Value::table(key), Value::table(next));
        key = next;
    }
    let (dead, value) = (heap.new_table(0, 0), heap.new_table(0, 0));
    put(heap, weak, Value::table(dead), Value::table(value));
    let mut deep = heap.new_table(0, 0);
    roots.0.push(Value::table(deep));
    for i in 1..=50 {
        let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
        let next = heap.new_table(0, 0);
        // SAFETY: the thread is new and has a stack.
        unsafe {
            (*th.as_ptr()).top = (*th.as_ptr()).stack.add(2);
            *(*th.as_ptr()).stack.add(1) = Value::table(next);
        }
        put(heap, deep, Value::int(1), Value::thread(th));
        for n in 2..i {
            let leaf = heap.new_table(0, 0);
            put(heap, deep, Value::int(n), Value::table(leaf));
        }
        deep = next;
    }
}

#[test]
fn marking_needs_no_memory() {
    let survivors = |room: usize, steps: bool| {
        let mut heap = heap();
        let mut roots = nothing();
        world(&mut heap, &mut roots);
        heap.gray_room = room;
        if steps {
            step_until(&mut heap, &mut roots, Phase::Propagate);
            step_until(&mut heap, &mut roots, Phase::Pause);
        } else {
            heap.full(&mut roots);
        }
        check(&heap, &mut roots).allocated_count()
    };
    let expected = survivors(usize::MAX, false);
    for room in [0, 1, 7, 1000] {
        for steps in [false, true] {
            assert_eq!(survivors(room, steps), expected, "room for {room}");
        }
    }
}

#[test]
fn refused_memory_makes_a_collection_due_that_takes_it_back() {
    static SPARE: SpareMemory = SpareMemory::new();
    let mut heap = heap();
    let mut roots = nothing();
    heap.set_spare(&SPARE);
    assert!(!heap.is_pressed() && !heap.step_due());
    SPARE.release();
    assert!(heap.is_pressed());
    for _ in 0..10_000 {
        heap.new_table(0, 0);
    }
    assert!(heap.step_due(), "the heap looks whenever it gets a block");
    let cycles = heap.cycles();
    heap.safepoint(&mut roots).expect("there is memory again");
    assert!(!heap.is_pressed() && !heap.lacks_memory());
    assert_eq!(heap.cycles(), cycles + 1);
    assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 0);
}
