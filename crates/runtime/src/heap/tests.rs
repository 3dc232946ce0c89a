//! Behaviour of the allocator and the collector, through the heap's interface.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;

use perilune_bytecode::proto::{Const, Proto as Plain};

use super::*;
use crate::object::{Gc, LuaClosure, Str, TableRef, ThreadRef, UserDataRef};
use crate::stack::{EXTRA_SLOTS, INITIAL_SLOTS, MAX_SLOTS};
use crate::value::Value;

mod pressure;
mod random;
mod weak;

/// The values that a test holds on to.
#[derive(Default)]
struct Held(Vec<Value>);

impl Roots for Held {
    fn trace(&mut self, marker: &mut Marker<'_>) {
        marker.values(&self.0);
    }
}

/// Values that are held, and others that are only known.
struct Knowing {
    held: Held,
    known: Vec<Value>,
}

impl Roots for Knowing {
    fn trace(&mut self, marker: &mut Marker<'_>) {
        self.held.trace(marker);
    }

    fn forget_dead(&mut self, reached: &Reached<'_>) {
        // SAFETY: what was dead at the end of the last cycle is not known any more.
        self.known.retain(|v| unsafe { reached.value(*v) });
    }
}

fn nothing() -> Held {
    Held::default()
}

fn heap() -> Heap {
    let mut heap = Heap::new(42);
    let (mode, gc) = (heap.new_str(b"__mode"), heap.new_str(b"__gc"));
    heap.set_special_names(mode, gc);
    heap
}

/// A heap that a full collection leaves like this one.
fn settled() -> (Heap, usize) {
    let mut heap = heap();
    heap.full(&mut nothing());
    let bytes = heap.bytes;
    (heap, bytes)
}

#[track_caller]
fn check(heap: &Heap, roots: &mut Held) -> check::Census {
    heap.check(roots).expect("the heap is sound")
}

fn metatable(heap: &mut Heap, mode: &[u8]) -> TableRef {
    let meta = heap.new_table(0, 1);
    let (name, mode) = (heap.new_str(b"__mode"), heap.new_str(mode));
    meta.set_field(heap, name, Value::str(mode)).expect("there is memory");
    meta
}

fn set_meta(heap: &mut Heap, t: TableRef, meta: TableRef) {
    t.set_metatable(heap, Some(meta));
}

fn put(heap: &mut Heap, t: TableRef, key: Value, value: Value) {
    t.set(heap, key, value).expect("there is memory");
}

/// Steps of one unit until a phase begins.
fn step_until(heap: &mut Heap, roots: &mut Held, phase: Phase) {
    while heap.phase() != phase {
        heap.step(roots, 1);
    }
}

#[test]
fn short_strings_are_interned_and_long_ones_are_not() {
    let mut heap = heap();
    for n in [0usize, 1, 7, 8, 16, 17, 39, 40] {
        let bytes: Vec<u8> = (0..n as u8).collect();
        let (a, b) = (heap.new_str(&bytes), heap.new_str(&bytes));
        assert!(a == b && a.is_short() && a.as_bytes() == bytes);
    }
    let bytes = [b'x'; 41];
    let (a, b) = (heap.new_str(&bytes), heap.new_str(&bytes));
    assert!(a != b && a.str_eq(b) && a.hash() == b.hash() && !a.is_short());
    assert!(Value::str(a).raw_equals(Value::str(b)));
}

#[test]
fn strings_are_filled_in_place() {
    let mut heap = heap();
    for len in [0, 1, 50, 2000] {
        let filled = heap.new_str_with(len, |bytes| bytes.fill(7)).expect("there is memory");
        assert_eq!(filled.as_bytes(), vec![7; len]);
        assert_eq!(filled.is_short(), heap.new_str(&vec![7; len]) == filled, "short strings are interned");
    }
    check(&heap, &mut nothing());
}

#[test]
fn intern_table_grows_and_forgets_the_dead() {
    let (mut heap, before) = settled();
    let mut roots = nothing();
    for i in 0..20_000 {
        let s = heap.new_str(format!("s{i}").as_bytes());
        if i % 10 == 0 {
            roots.0.push(Value::str(s));
        }
    }
    heap.full(&mut roots);
    assert_eq!(check(&heap, &mut roots).allocated(Kind::Str).count, 2002);
    for i in (0..20_000).step_by(10) {
        let s = heap.new_str(format!("s{i}").as_bytes());
        assert!(Value::str(s).raw_equals(roots.0[i / 10]));
    }
    for i in 0..20_000 {
        heap.new_str(format!("t{i}").as_bytes());
        if i % 100 == 0 {
            heap.step(&mut roots, 5000);
        }
    }
    check(&heap, &mut roots);
    heap.full(&mut nothing());
    heap.full(&mut nothing());
    assert_eq!(heap.bytes, before);
}

#[test]
fn a_dead_string_found_before_it_is_swept_is_alive_again() {
    let mut heap = heap();
    let mut roots = nothing();
    let address = heap.new_str(b"phoenix").address();
    step_until(&mut heap, &mut roots, Phase::Sweep);
    let again = heap.new_str(b"phoenix");
    roots.0.push(Value::str(again));
    step_until(&mut heap, &mut roots, Phase::Pause);
    assert_eq!(again.as_bytes(), b"phoenix");
    assert_eq!(again.address(), address);
    check(&heap, &mut roots);
}

#[test]
fn cells_are_reused_after_a_cycle() {
    let (mut heap, before) = settled();
    let mut addresses = std::collections::HashSet::new();
    for _ in 0..10 {
        for _ in 0..1000 {
            addresses.insert(heap.new_table(0, 2).address());
        }
        heap.full(&mut nothing());
        assert_eq!(heap.bytes, before);
    }
    assert!(addresses.len() < 2500, "{} addresses", addresses.len());
}

#[test]
fn allocation_sweeps_on_demand() {
    let mut heap = heap();
    for _ in 0..10_000 {
        heap.new_closed_upval(Value::NIL);
    }
    step_until(&mut heap, &mut nothing(), Phase::Sweep);
    let bytes = heap.bytes;
    for _ in 0..5_000 {
        heap.new_closed_upval(Value::NIL);
    }
    assert!(heap.bytes <= bytes, "dead cells were not used");
    check(&heap, &mut nothing());
}

#[test]
fn everything_is_given_back() {
    let (mut heap, before) = settled();
    let mut roots = nothing();
    for i in 0..3000i64 {
        let t = heap.new_table(i as u32 % 50, (i % 70) as u16);
        for j in 0..i % 100 {
            put(&mut heap, t, Value::int(j * 3), Value::int(i));
        }
        let key = heap.new_str(format!("field{}", i % 30).as_bytes());
        put(&mut heap, t, Value::str(key), Value::table(t));
        let long = heap.new_str(&vec![b'l'; i as usize]);
        put(&mut heap, t, Value::str(long), Value::float(0.5));
        let data = heap.new_userdata(Box::new([0u64; 9]), 3, 1000).expect("there is memory");
        put(&mut heap, t, Value::userdata(data), Value::TRUE);
        let thread = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
        put(&mut heap, t, Value::thread(thread), Value::TRUE);
        let native = heap.new_native(std::ptr::null(), 0, None, &[Value::table(t), Value::NIL]);
        roots.0.push(Value::native_fn(native));
    }
    check(&heap, &mut roots);
    heap.full(&mut roots);
    let census = check(&heap, &mut roots);
    assert_eq!(census.allocated(Kind::Table).count, 3000);
    assert_eq!(census.reachable(Kind::Thread).count, 3000);
    heap.full(&mut nothing());
    // What remains is the shapes with their keys, and the size of the intern table.
    let shapes = heap.counted_shapes;
    let keys: usize = (0..30).map(|i| class_bytes(class_of(16 + format!("field{i}").len()))).sum();
    check(&heap, &mut nothing());
    assert!(heap.bytes <= before + shapes + keys + 4096, "{} {before} {shapes} {keys}", heap.bytes);
    assert_eq!(check(&heap, &mut nothing()).allocated(Kind::Table).count, 0);
}

#[test]
fn userdata_are_dropped_with_their_object_or_the_heap() {
    struct Counts(Rc<Cell<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let new = |heap: &mut Heap| -> UserDataRef {
        let data: Box<dyn Any> = Box::new(Counts(drops.clone()));
        heap.new_userdata(data, 0, 0).expect("there is memory")
    };
    let mut heap = heap();
    new(&mut heap);
    let kept = new(&mut heap);
    let taken = new(&mut heap);
    let mut roots = Held(vec![Value::userdata(kept), Value::userdata(taken)]);
    heap.full(&mut roots);
    assert_eq!(drops.get(), 1);
    drop(heap.take_userdata(taken));
    assert_eq!(drops.get(), 2);
    check(&heap, &mut roots);
    drop(heap);
    assert_eq!(drops.get(), 3);
}

#[test]
fn raw_buffers_keep_their_bytes_when_resized() {
    let (mut heap, before) = settled();
    // SAFETY: the buffer is this test's; sizes are passed on as they were given.
    unsafe {
        let mut size = 0;
        let mut p = std::ptr::null_mut();
        for new in [8, 16, 40, 1024, 1025, 5000, 100_000, 900, 17] {
            p = heap.realloc_raw(p, size, new);
            assert!(!p.is_null() && p.addr().is_multiple_of(16));
            for i in 0..size.min(new) {
                assert_eq!(*p.add(i), i as u8);
            }
            for i in 0..new {
                *p.add(i) = i as u8;
            }
            size = new;
            assert_eq!(heap.bytes, before + raw_bytes(size));
        }
        heap.free_raw(p, size);
    }
    assert_eq!(heap.bytes, before);
    assert!(heap.alloc_raw(usize::MAX).is_null() && heap.alloc_raw(isize::MAX as usize - 4096).is_null());
    assert_eq!(heap.bytes, before);
}

#[test]
fn unused_chunks_of_raw_buffers_are_given_back() {
    let (mut heap, before) = settled();
    let sizes = [16, 64, 100, 1000];
    let all: Vec<(*mut u8, usize)> = (0..40_000).map(|i| (heap.alloc_raw(sizes[i % 4]), sizes[i % 4])).collect();
    let held = heap.raw.held_bytes();
    for (i, &(p, size)) in all.iter().enumerate() {
        if i % 8000 != 0 {
            // SAFETY: allocated above, and freed once.
            unsafe { heap.free_raw(p, size) };
        }
    }
    heap.full(&mut nothing());
    assert!(heap.raw.held_bytes() < held / 10);
    for (i, &(p, size)) in all.iter().enumerate() {
        if i % 8000 == 0 {
            // SAFETY: as above.
            unsafe { heap.free_raw(p, size) };
        }
    }
    assert_eq!(heap.bytes, before);
}

#[test]
fn the_limit_bounds_reservations_and_the_threshold() {
    let mut heap = heap();
    heap.set_limit(1 << 20);
    assert_eq!(heap.limit(), 1 << 20);
    assert_eq!(heap.try_reserve(2 << 20), Err(OutOfMemory));
    assert_eq!(heap.try_reserve(usize::MAX), Err(OutOfMemory));
    assert!(heap.new_str_with(2 << 20, |_| ()).is_err());
    assert!(heap.new_thread(100_000).is_err());
    let mut roots = nothing();
    while !heap.over_limit() {
        assert!(heap.threshold <= heap.limit());
        let s = heap.new_str(&[1; 500]);
        roots.0.push(Value::str(s));
        if heap.step_due() && !heap.over_limit() {
            heap.safepoint(&mut roots).expect("it is not over the limit");
        }
    }
    assert_eq!(heap.safepoint(&mut roots), Err(OutOfMemory));
    roots.0.clear();
    assert_eq!(heap.safepoint(&mut roots), Ok(()));
    assert!(heap.bytes < 64 << 10);
}

#[test]
fn impossible_sizes_are_out_of_memory() {
    let mut heap = heap();
    for len in [usize::MAX, isize::MAX as usize, isize::MAX as usize - 64] {
        assert!(heap.new_str_with(len, |_| ()).is_err());
        assert!(heap.try_alloc_raw(len).is_err());
    }
    check(&heap, &mut nothing());
}

#[test]
fn a_stopped_collector_still_answers_the_limit() {
    let mut heap = heap();
    heap.stop();
    assert!(!heap.is_running());
    heap.set_limit(1 << 20);
    while !heap.step_due() {
        heap.new_table(0, 4);
    }
    assert!(heap.over_limit());
    assert_eq!(heap.safepoint(&mut nothing()), Ok(()));
    assert!(!heap.step_due());
    heap.restart();
    assert!(heap.is_running() && heap.step_due());
}

#[test]
fn stress_collects_at_every_safepoint() {
    let mut heap = heap();
    heap.set_stress(true);
    for _ in 0..5 {
        heap.new_table(0, 0);
        assert!(heap.step_due());
        let cycles = heap.cycles();
        heap.safepoint(&mut nothing()).expect("there is no limit");
        assert_eq!(heap.cycles(), cycles + 1);
        assert_eq!(check(&heap, &mut nothing()).allocated(Kind::Table).count, 0);
    }
    heap.set_stress(false);
    assert!(!heap.step_due());
}

#[test]
fn slices_finish_cycles_in_time() {
    let mut heap = heap();
    let mut roots = nothing();
    let keep = heap.new_table(0, 0);
    roots.0.push(Value::table(keep));
    let mut most = 0;
    for i in 0..300_000i64 {
        let t = heap.new_table(0, 1);
        put(&mut heap, keep, Value::int(i % 2000 + 1), Value::table(t));
        most = most.max(heap.bytes);
        if heap.step_due() {
            heap.safepoint(&mut roots).expect("there is no limit");
        }
    }
    assert!(heap.cycles() > 50);
    heap.full(&mut roots);
    assert!(most < heap.bytes * 5 / 2, "{most} of {}", heap.bytes);
    check(&heap, &mut roots);
}

#[test]
fn parameters_return_their_old_values() {
    let mut heap = heap();
    assert_eq!(heap.set_param(Param::Pause, 150), 200);
    assert_eq!(heap.set_param(Param::Pause, 200), 150);
    assert_eq!(heap.set_param(Param::StepMul, 1), 100);
    assert_eq!(heap.set_param(Param::StepSize, 70), 13);
    assert!(heap.step_kbytes(&mut nothing(), 1 << 20));
    assert_eq!(heap.set_mode(Mode::Generational).name(), "incremental");
    assert_eq!(heap.set_mode(Mode::Incremental).name(), "generational");
}

#[test]
fn barriers_keep_new_objects_of_traversed_owners() {
    for back in [true, false] {
        let mut heap = heap();
        let owner = heap.new_table(1, 0);
        let other = heap.new_table(0, 0);
        let mut roots = Held(vec![Value::table(owner)]);
        let chain = heap.new_table(1, 0);
        put(&mut heap, chain, Value::int(1), Value::table(other));
        roots.0.push(Value::table(chain));
        while heap.phase() != Phase::Propagate || !heap.gray.is_empty() {
            heap.step(&mut roots, 1);
        }
        let new = heap.new_table(0, 0);
        // SAFETY: all of these objects are live.
        unsafe {
            assert!(needs_barrier(owner.header(), Value::table(new)));
            assert!(!needs_barrier(owner.header(), Value::table(other)));
            assert!(!needs_barrier(new.header(), Value::table(new)));
            assert!(!needs_barrier(owner.header(), Value::int(1)));
            put(&mut heap, owner, Value::int(1), Value::table(new));
            if back {
                heap.barrier_back(owner.header());
            } else {
                heap.barrier_forward(owner.header(), Value::table(new));
            }
        }
        check(&heap, &mut roots);
        step_until(&mut heap, &mut roots, Phase::Pause);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
    }
}

#[test]
fn a_full_collection_forgets_a_cycle_in_progress() {
    let mut heap = heap();
    let t = heap.new_table(0, 0);
    let mut roots = Held(vec![Value::table(t)]);
    for phase in [Phase::Propagate, Phase::Sweep] {
        let dies = heap.new_table(0, 0);
        roots.0.push(Value::table(dies));
        step_until(&mut heap, &mut roots, phase);
        heap.step(&mut roots, 1);
        roots.0.pop();
        heap.full(&mut roots);
        assert_eq!(heap.phase(), Phase::Pause);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 1);
    }
}

fn closure_over(heap: &mut Heap, th: ThreadRef, index: usize) -> Gc<LuaClosure> {
    let proto = heap.new_proto(Plain { consts: vec![Const::Str((*b"k").into())], ..Plain::default() });
    // SAFETY: the objects are live; the index is within the stack.
    unsafe {
        let f = heap.new_lua_closure(proto.as_ptr(), 1);
        let uv = heap.find_upval(th.as_ptr(), (*th.as_ptr()).stack.add(index));
        *LuaClosure::upvals(f.as_ptr()) = uv;
        f
    }
}

#[test]
fn a_stack_grows_with_everything_that_points_into_it() {
    let mut heap = heap();
    let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
    let f = closure_over(&mut heap, th, 5);
    let g = closure_over(&mut heap, th, 3);
    let mut roots = Held(vec![Value::thread(th), Value::lua_fn(f), Value::lua_fn(g)]);
    // SAFETY: the thread is live, the indices are within its stack.
    unsafe {
        let t = th.as_ptr();
        for i in 0..10 {
            *(*t).stack.add(i) = Value::int(i as i64);
        }
        (*t).top = (*t).stack.add(10);
        assert!(heap.grow_stack(t, 5).is_ok());
        assert_eq!((*t).stack_limit.offset_from((*t).stack), INITIAL_SLOTS as isize);
        assert!(heap.grow_stack(t, 10_000).is_ok());
        assert!((*t).stack_limit.offset_from((*t).stack) >= 10_010);
        assert_eq!((*t).top.offset_from((*t).stack), 10);
        assert_eq!((*(*t).frame).base.offset_from((*t).stack), 1);
        assert_eq!((**LuaClosure::upvals(f.as_ptr())).slot, (*t).stack.add(5));
        assert!((*(**LuaClosure::upvals(g.as_ptr())).slot).raw_equals(Value::int(3)));
        assert_eq!(heap.find_upval(t, (*t).stack.add(3)), *LuaClosure::upvals(g.as_ptr()));
        assert_eq!(heap.grow_stack(t, MAX_SLOTS), Err(GrowError::Overflow));
        check(&heap, &mut roots);
        heap.close_upvals(t, (*t).stack.add(4));
        assert!((**LuaClosure::upvals(f.as_ptr())).closed.raw_equals(Value::int(5)));
        assert!(heap.shrink_stack(t));
        assert!((*t).stack_limit.offset_from((*t).stack) < 100);
        assert!((*(*t).top.sub(1)).raw_equals(Value::int(9)));
        for n in [8, 16, 32] {
            heap.grow_frames(t).expect("there is memory");
            assert_eq!((*t).frames_limit.offset_from((*t).frames) + 1, n);
        }
        check(&heap, &mut roots);
        heap.close_upvals(t, (*t).stack);
        heap.release_stack(t);
    }
    heap.full(&mut roots);
    check(&heap, &mut roots);
}

#[test]
fn live_stack_slots_are_roots_and_stale_ones_are_cleared() {
    let mut heap = heap();
    let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
    let mut roots = Held(vec![Value::thread(th)]);
    // SAFETY: the thread is live, the indices are within its stack, the extra slots included.
    unsafe {
        let t = th.as_ptr();
        for i in 1..INITIAL_SLOTS + EXTRA_SLOTS {
            *(*t).stack.add(i) = Value::table(heap.new_table(0, 0));
        }
        (*t).top = (*t).stack.add(4);
        step_until(&mut heap, &mut roots, Phase::Propagate);
        check(&heap, &mut roots);
        // Written after the thread was traversed for the first time, without a barrier.
        while !heap.gray.is_empty() {
            heap.step(&mut roots, 1);
        }
        *(*t).stack.add(2) = Value::table(heap.new_table(0, 0));
        heap.step(&mut roots, 1);
        assert_eq!(heap.phase(), Phase::Sweep);
        assert!((*(*t).stack.add(4)).is_nil());
        step_until(&mut heap, &mut roots, Phase::Pause);
        // What the new table replaced was reached already.
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
        heap.full(&mut roots);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 3);
        // A Lua frame's registers are live whatever `top` is.
        let code = [perilune_bytecode::ops::Instr(0)];
        (*(*t).frame).pc = code.as_ptr();
        (*(*t).frame).top = (*t).stack.add(8);
        *(*t).stack.add(7) = Value::table(heap.new_table(0, 0));
        heap.full(&mut roots);
        assert_eq!(check(&heap, &mut roots).allocated(Kind::Table).count, 4);
    }
}

#[test]
fn upvalues_of_a_dead_thread_keep_their_value() {
    for steps in [false, true] {
        let mut heap = heap();
        let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
        let f = closure_over(&mut heap, th, 3);
        let dies = closure_over(&mut heap, th, 2);
        let mut roots = Held(vec![Value::lua_fn(f)]);
        // SAFETY: the objects are live while they are used.
        unsafe {
            let t = th.as_ptr();
            (*t).top = (*t).stack.add(4);
            *(*t).stack.add(2) = Value::lua_fn(dies);
            if steps {
                step_until(&mut heap, &mut roots, Phase::Propagate);
                while !heap.gray.is_empty() {
                    heap.step(&mut roots, 1);
                }
            }
            // Assigned through the open upvalue, without a barrier.
            let value = heap.new_table(0, 0);
            *(**LuaClosure::upvals(f.as_ptr())).slot = Value::table(value);
            if steps {
                step_until(&mut heap, &mut roots, Phase::Pause);
            }
            heap.full(&mut roots);
            let uv = *LuaClosure::upvals(f.as_ptr());
            assert_eq!((*uv).slot, &raw mut (*uv).closed);
            assert!((*(*uv).slot).raw_equals(Value::table(value)));
        }
        let census = check(&heap, &mut roots);
        assert_eq!(census.allocated(Kind::Thread).count, 0);
        assert_eq!(census.allocated(Kind::UpVal).count, 1);
        assert_eq!(census.allocated(Kind::Table).count, 1);
    }
}

#[test]
fn prototypes_die_with_their_children() {
    let (mut heap, before) = settled();
    let mut roots = nothing();
    let child = Plain { consts: vec![Const::Str(vec![b'c'; 100].into())], ..Plain::default() };
    let plain = Plain { source: (*b"@x").into(), protos: vec![child.clone(), child], ..Plain::default() };
    let proto = heap.new_proto(plain);
    // SAFETY: the prototype is live.
    let f = unsafe { heap.new_lua_closure(proto.as_ptr(), 0) };
    roots.0.push(Value::lua_fn(f));
    heap.full(&mut roots);
    assert_eq!(check(&heap, &mut roots).allocated(Kind::Proto).count, 3);
    heap.full(&mut nothing());
    assert_eq!(heap.bytes, before);
}

#[test]
fn an_empty_heap_is_small() {
    let mut heap = heap();
    for i in 0..300 {
        heap.new_str(format!("library name {i}").as_bytes());
        heap.new_native(std::ptr::null(), 0, None, &[]);
    }
    let blocks: usize = heap.blocks.iter().map(|b| b.total).sum();
    assert!(blocks + heap.raw.held_bytes() < 48 << 10, "{blocks}");
    assert!(size_of::<Str>() == 16);
}

#[test]
fn what_is_only_known_is_forgotten_when_it_dies() {
    let mut heap = heap();
    let [kept, inner, lost] = [(); 3].map(|()| Value::table(heap.new_table(0, 0)));
    kept.as_table().expect("a table").set_int(&mut heap, 1, inner).expect("there is memory");
    let known = vec![kept, inner, lost, Value::int(1)];
    let mut roots = Knowing { held: Held(vec![kept]), known };
    heap.full(&mut roots);
    assert_eq!(roots.known.len(), 3);
    assert!(roots.known[1].raw_equals(inner));
    roots.held.0.clear();
    heap.full(&mut roots);
    assert_eq!(roots.known.len(), 1);
}
