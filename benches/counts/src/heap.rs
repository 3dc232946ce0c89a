//! Tables and the collector, called as the interpreter's slow paths call them.
//!
//! Work that only reads a table names the heap too, so that it owns it: a table is no longer than its heap.

use std::hint::black_box;

use perilune_runtime::heap::Heap;
use perilune_runtime::value::Value;

use crate::lua::{call, chunk, vm};
use crate::{Scenario, Work};

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "table/append", prepare: append },
    Scenario { name: "table/new-fields", prepare: new_fields },
    Scenario { name: "table/hash-insert", prepare: hash_insert },
    Scenario { name: "table/hash-get", prepare: hash_get },
    Scenario { name: "table/next", prepare: next },
    Scenario { name: "heap/intern", prepare: intern },
    Scenario { name: "heap/mark-and-sweep", prepare: mark_and_sweep },
    Scenario { name: "heap/all-dead", prepare: all_dead },
];

/// Any seed, always the same.
const SEED: u64 = 0x5eed;

fn append() -> Work {
    let mut heap = Heap::new(SEED);
    Box::new(move || {
        let table = heap.new_table(0, 0);
        for i in 1..=10_000 {
            table.set_int(&mut heap, i, Value::int(i)).expect("an integer is a key");
        }
        black_box(table.length());
    })
}

fn new_fields() -> Work {
    let mut heap = Heap::new(SEED);
    let names: Vec<_> = (0..8).map(|i| heap.new_str(format!("field{i}").as_bytes())).collect();
    Box::new(move || {
        for _ in 0..500 {
            let table = heap.new_table(0, 0);
            for &name in &names {
                table.set_str(&mut heap, name, Value::TRUE).expect("a string is a key");
            }
            black_box(table.get_str(names[7]));
        }
    })
}

/// Keys that have no place in an array.
fn sparse(i: i64) -> Value {
    Value::int(i * 1_000_003)
}

fn hash_insert() -> Work {
    let mut heap = Heap::new(SEED);
    Box::new(move || {
        let table = heap.new_table(0, 0);
        for i in 1..=5_000 {
            table.set(&mut heap, sparse(i), Value::TRUE).expect("an integer is a key");
        }
        black_box(table);
    })
}

fn hash_get() -> Work {
    let mut heap = Heap::new(SEED);
    let table = heap.new_table(0, 0);
    for i in 1..=5_000 {
        table.set(&mut heap, sparse(i), Value::TRUE).expect("an integer is a key");
    }
    Box::new(move || {
        black_box(&heap);
        for i in 1..=5_000 {
            black_box(table.get(sparse(i)));
        }
    })
}

fn next() -> Work {
    let mut heap = Heap::new(SEED);
    let table = heap.new_table(0, 0);
    for i in 1..=2_000 {
        table.set_int(&mut heap, i, Value::TRUE).expect("an integer is a key");
        table.set(&mut heap, sparse(i), Value::TRUE).expect("an integer is a key");
    }
    Box::new(move || {
        black_box(&heap);
        let mut key = Value::NIL;
        while let Some((next, value)) = table.next(key).expect("the key is the table's") {
            black_box(value);
            key = next;
        }
    })
}

fn intern() -> Work {
    let mut heap = Heap::new(SEED);
    let texts: Vec<String> = (0..1_000).map(|i| format!("name_{i}")).collect();
    Box::new(move || {
        for text in &texts {
            black_box(heap.new_str(text.as_bytes()));
            black_box(heap.new_str(text.as_bytes()));
        }
    })
}

/// A full collection over a heap of small objects that all live.
fn mark_and_sweep() -> Work {
    let mut vm = vm();
    let build = chunk(
        &mut vm,
        "kept = {}
         for i = 1, 3000 do kept[i] = { name = 'n' .. i, at = { i, i + 1 }, back = kept, f = function() return i end } end",
    );
    call(&mut vm, build);
    vm.collect().expect("nothing has a finalizer");
    Box::new(move || vm.collect().expect("nothing has a finalizer"))
}

/// A full collection over a heap of small objects of which none lives.
fn all_dead() -> Work {
    let mut vm = vm();
    vm.collect().expect("nothing has a finalizer");
    vm.heap_mut().stop();
    let litter = chunk(&mut vm, "for i = 1, 5000 do local t = { i, name = 'n' .. i, f = function() return i end } end");
    call(&mut vm, litter);
    Box::new(move || vm.collect().expect("nothing has a finalizer"))
}
