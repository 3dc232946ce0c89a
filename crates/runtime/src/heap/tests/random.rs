//! A random mutator against a model: what the collector keeps is what the model can reach.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::object::UpVal;

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// Slots of an object that the model knows. Slot 0 of tables and userdata is the metatable.
const SLOTS: usize = 8;

struct World {
    heap: Heap,
    roots: Held,
    random: Random,
    /// The objects that each object refers to, by address: the model.
    refs: HashMap<u64, BTreeMap<usize, Value>>,
    names: Vec<StrRef>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut heap = heap();
        let names: Vec<StrRef> = (0..SLOTS).map(|i| heap.new_str(format!("n{i}").as_bytes())).collect();
        for &s in &names {
            heap.fix(s);
        }
        World { heap, roots: nothing(), random: Random(seed), refs: HashMap::new(), names }
    }

    /// An object that the roots lead to, found by a random walk.
    fn pick(&mut self) -> Option<Value> {
        if self.roots.0.is_empty() {
            return None;
        }
        let mut at = self.roots.0[self.random.below(self.roots.0.len())];
        for _ in 0..self.random.below(6) {
            let refs = &self.refs[&at.payload];
            if refs.is_empty() {
                break;
            }
            let n = self.random.below(refs.len());
            at = *refs.values().nth(n)?;
        }
        Some(at)
    }

    fn create(&mut self) -> Value {
        let heap = &mut self.heap;
        let v = match self.random.below(8) {
            0 => Value::userdata(heap.new_userdata(Box::new(1u64), SLOTS as u32, 24).expect("there is memory")),
            1 => {
                let th = heap.new_thread(INITIAL_SLOTS).expect("there is memory");
                // SAFETY: the thread is new.
                unsafe { (*th.as_ptr()).top = (*th.as_ptr()).stack.add(1 + SLOTS) };
                Value::thread(th)
            }
            2 => {
                // SAFETY: the null prototype is never followed in this test; the upvalues are set at once.
                unsafe {
                    let f = heap.new_lua_closure(std::ptr::null_mut(), SLOTS as u32);
                    for i in 0..SLOTS {
                        *LuaClosure::upvals(f.as_ptr()).add(i) = heap.new_closed_upval(Value::NIL);
                    }
                    Value::lua_fn(f)
                }
            }
            _ => Value::table(heap.new_table(self.random.below(3) as u32, self.random.below(5) as u16)),
        };
        self.refs.insert(v.payload, BTreeMap::new());
        v
    }

    /// Stores a reference, or nil, with the barrier that the VM would use.
    fn store(&mut self, owner: Value, slot: usize, target: Option<Value>) {
        let heap = &mut self.heap;
        let v = target.unwrap_or(Value::NIL);
        if let Some(t) = owner.as_table() {
            match slot {
                0 if target.is_none_or(|v| v.as_table().is_some()) => t.set_metatable(heap, v.as_table()),
                0 => return,
                1..4 => put(heap, t, Value::int(slot as i64), v),
                4 => put(heap, t, Value::int(1 << 40), v),
                _ => put(heap, t, Value::str(self.names[slot]), v),
            }
        } else if let Some(u) = owner.as_userdata() {
            // SAFETY: the userdata is live and has `SLOTS` user values.
            unsafe {
                *(*u.as_ptr()).user_values.add(slot) = v;
                heap.barrier_back(u.header());
            }
        } else if let Some(th) = owner.as_thread() {
            // SAFETY: the thread is live; no barrier: stacks have none.
            unsafe { *(*th.as_ptr()).stack.add(1 + slot) = v };
        } else if let Some(f) = owner.as_lua_fn() {
            // SAFETY: the closure is live, its upvalues are closed ones.
            unsafe {
                let uv: *mut UpVal = *LuaClosure::upvals(f.as_ptr()).add(slot);
                *(*uv).slot = v;
                heap.barrier_forward(uv.cast(), v);
            }
        }
        let refs = self.refs.get_mut(&owner.payload).expect("the model knows all objects");
        match target {
            Some(v) => refs.insert(slot, v),
            None => refs.remove(&slot),
        };
    }

    fn mutate(&mut self) {
        match self.random.below(20) {
            0 => {
                let v = self.create();
                self.roots.0.push(v);
            }
            1 if self.roots.0.len() > 3 => {
                let i = self.random.below(self.roots.0.len());
                self.roots.0.swap_remove(i);
            }
            2..4 => {
                if let Some(owner) = self.pick() {
                    let slot = self.random.below(SLOTS);
                    self.store(owner, slot, None);
                }
            }
            4..12 => {
                let new = self.create();
                if let Some(owner) = self.pick() {
                    let slot = self.random.below(SLOTS);
                    self.store(owner, slot, Some(new));
                }
            }
            _ => {
                if let (Some(owner), Some(target)) = (self.pick(), self.pick()) {
                    let slot = self.random.below(SLOTS);
                    self.store(owner, slot, Some(target));
                }
            }
        }
    }

    /// Compares the heap with the model after a full collection.
    fn compare(&mut self) {
        self.heap.full(&mut self.roots);
        let mut reachable = HashSet::new();
        let mut list: Vec<Value> = self.roots.0.clone();
        let mut upvals = 0;
        while let Some(v) = list.pop() {
            if reachable.insert(v.payload) {
                upvals += if v.as_lua_fn().is_some() { SLOTS } else { 0 };
                list.extend(self.refs[&v.payload].values());
            }
        }
        self.refs.retain(|address, _| reachable.contains(address));
        let census = check(&self.heap, &mut self.roots);
        let strings = census.allocated(Kind::Str).count;
        assert_eq!(census.allocated_count() - strings, reachable.len() + upvals);
        for (&address, refs) in &self.refs {
            for (&slot, v) in refs {
                // SAFETY: the object is reachable, so it was not freed.
                let header = unsafe { &*std::ptr::with_exposed_provenance::<GcHeader>(address as usize) };
                if header.kind == Kind::Table && slot > 0 {
                    // SAFETY: as above.
                    let t = unsafe { TableRef::from_address(address) };
                    let found = match slot {
                        1..4 => t.get_int(slot as i64),
                        4 => t.get_int(1 << 40),
                        _ => t.get_str(self.names[slot]),
                    };
                    assert!(found.raw_equals(*v));
                }
            }
        }
    }
}

fn run(seed: u64, rounds: usize, step: impl Fn(&mut World)) {
    let mut world = World::new(seed);
    for round in 0..rounds {
        for _ in 0..40 {
            world.mutate();
            step(&mut world);
        }
        if round % 4 == 3 {
            check(&world.heap, &mut world.roots);
        }
        if round % 16 == 15 {
            world.compare();
        }
    }
    world.compare();
}

#[test]
fn steps_of_one_unit_between_mutations() {
    for seed in 1..=6 {
        run(seed * 7919, 200, |w| {
            w.heap.step(&mut w.roots, 1);
        });
    }
}

#[test]
fn steps_of_random_size_between_mutations() {
    for seed in 1..=6 {
        run(seed * 104_729, 200, |w| {
            if w.random.below(3) == 0 {
                let work = 1 << w.random.below(14);
                w.heap.step(&mut w.roots, work);
            }
        });
    }
}

#[test]
fn a_collection_after_every_mutation() {
    run(31337, 24, |w| {
        w.heap.set_stress(true);
        w.heap.safepoint(&mut w.roots).expect("there is no limit");
    });
}

#[test]
fn gray_lists_that_cannot_grow() {
    for seed in 1..=6 {
        run(seed * 15_485_863, 100, |w| {
            w.heap.gray_room = w.random.below(5);
            if w.random.below(3) == 0 {
                let work = 1 << w.random.below(14);
                w.heap.step(&mut w.roots, work);
            }
        });
    }
}
