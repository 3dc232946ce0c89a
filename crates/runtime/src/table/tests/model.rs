//! Random operations, compared with a simple model.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum ModelKey {
    Int(i64),
    Float(u64),
    Str(Vec<u8>),
    Other(u8, u64),
}

impl ModelKey {
    fn of(key: Value) -> ModelKey {
        match key.tag {
            Tag::Int => ModelKey::Int(key.raw_int()),
            Tag::Float => {
                let f = key.raw_float();
                if f.fract() == 0.0 && f.abs() < 9.2e18 {
                    ModelKey::Int(f as i64)
                } else {
                    ModelKey::Float(f.to_bits())
                }
            }
            Tag::Str => ModelKey::Str(key.as_str().expect("a string").as_bytes().to_vec()),
            Tag::False | Tag::True => ModelKey::Other(key.tag as u8, 0),
            _ => ModelKey::Other(key.tag as u8, key.payload),
        }
    }
}

/// The reference: a map, and what Lua says about it.
#[derive(Default)]
struct Model(BTreeMap<ModelKey, Value>);

impl Model {
    fn set(&mut self, key: Value, value: Value) {
        if value.is_nil() {
            self.0.remove(&ModelKey::of(key));
        } else {
            self.0.insert(ModelKey::of(key), value);
        }
    }

    fn get(&self, key: Value) -> Value {
        self.0.get(&ModelKey::of(key)).copied().unwrap_or(Value::NIL)
    }

    fn check(&self, t: TableRef) {
        check(t);
        let n = t.length();
        assert!(n == 0 || !self.get(Value::int(n)).is_nil());
        assert!(self.get(Value::int(n + 1)).is_nil());
        let found = pairs(t);
        assert_eq!(found.len(), self.0.len());
        for (key, value) in found {
            assert_same(self.get(key), value);
        }
    }
}

struct Pool {
    strings: Vec<Value>,
    others: Vec<Value>,
}

impl Pool {
    fn new(heap: &mut Heap) -> Pool {
        let mut strings: Vec<Value> = (0..24).map(|i| str_value(heap, &format!("k{i}"))).collect();
        // Equal long strings that are different objects.
        strings.extend((0..6).map(|i| str_value(heap, &long(i / 2))));
        let mut others = vec![Value::TRUE, Value::FALSE, Value { payload: 9, tag: Tag::True }];
        others.extend((0..4).map(|_| Value::table(heap.new_table(0, 0))));
        others.extend((1..4).map(Value::light));
        others.extend([i64::MIN, i64::MAX, -1, 0, 1 << 53, (1 << 53) + 1].map(Value::int));
        others.extend([0.5, -0.0, 1e300, f64::INFINITY, -9_007_199_254_740_993.0, 3.0].map(Value::float));
        Pool { strings, others }
    }

    fn key(&self, random: &mut Random, style: u64) -> Value {
        let pick = |random: &mut Random, from: &[Value]| from[random.below(from.len() as u64) as usize];
        match (style, random.below(10)) {
            (0, 0..8) | (1, 0..2) => Value::int(random.below(40) as i64),
            (0, _) => Value::float(random.below(40) as f64),
            (1, 2..7) => pick(random, &self.strings),
            (2, 0..9) => pick(random, &self.strings),
            (3, 0..9) => Value::int(random.below(300) as i64),
            _ => pick(random, &self.others),
        }
    }

    fn value(&self, random: &mut Random, style: u64) -> Value {
        match (style, random.below(12)) {
            (_, 0..3) => Value::NIL,
            (0, _) => Value::int(random.below(1000) as i64),
            // Booleans, until something else comes among them.
            (3, _) if random.below(50) > 0 => Value::bool(random.below(2) == 0),
            (1, 3..11) => Value::float(random.below(1000) as f64 / 8.0),
            (2, 3..8) => self.strings[random.below(self.strings.len() as u64) as usize],
            _ => self.others[random.below(self.others.len() as u64) as usize],
        }
    }
}

/// One random operation on table and model. Values are kept in the model as stored.
fn random_step(heap: &mut Heap, t: TableRef, model: &mut Model, pool: &Pool, random: &mut Random, styles: (u64, u64)) {
    let key = pool.key(random, styles.0);
    let value = pool.value(random, styles.1);
    let len = t.length();
    match random.below(24) {
        0..8 => {
            t.set(heap, key, value).expect("a valid key");
            model.set(key, value);
        }
        8..10 => {
            if let Some(s) = key.as_str() {
                t.set_field(heap, s, value).expect("memory");
                model.set(key, value);
            }
        }
        10..13 => {
            let key = key.as_int().unwrap_or(len + 1);
            // SAFETY: the table and all values are live: tests never collect.
            if unsafe { crate::table::set_int_fast(t.as_ptr(), heap, key, value) } {
                model.set(Value::int(key), value);
            }
        }
        13..17 if !value.is_nil() => {
            t.append(heap, value).expect("memory");
            model.set(Value::int(len + 1), value);
        }
        17..19 if len > 0 => {
            t.set_int(heap, len, Value::NIL).expect("memory");
            model.set(Value::int(len), Value::NIL);
        }
        19 if len > 0 => {
            let pos = 1 + random.below(len as u64) as i64;
            t.array_insert(heap, pos as u32, value).expect("memory");
            for i in (pos..=len).rev() {
                model.set(Value::int(i + 1), model.get(Value::int(i)));
            }
            model.set(Value::int(pos), value);
        }
        20 if len > 0 => {
            let pos = 1 + random.below(len as u64) as i64;
            assert_same(t.array_remove(pos as u32), model.get(Value::int(pos)));
            for i in pos..=len {
                model.set(Value::int(i), if i < len { model.get(Value::int(i + 1)) } else { Value::NIL });
            }
        }
        21 => {
            let values: Vec<Value> = (0..random.below(12)).map(|_| pool.value(random, styles.1)).collect();
            let start = if random.below(3) == 0 { 1 } else { len + 1 };
            t.extend_from_slice(heap, start, &values).expect("memory");
            for (i, &value) in values.iter().enumerate() {
                model.set(Value::int(start + i as i64), value);
            }
        }
        22 if len > 0 => {
            let (a, b) = (1 + random.below(len as u64) as u32, 1 + random.below(len as u64) as u32);
            let (x, y) = (t.array_get(a), t.array_get(b));
            t.array_swap(a, b);
            model.set(Value::int(a.into()), y);
            model.set(Value::int(b.into()), x);
        }
        _ => remove_some_during_traversal(heap, t, model, random),
    }
}

fn remove_some_during_traversal(heap: &mut Heap, t: TableRef, model: &mut Model, random: &mut Random) {
    let modulus = 2 + random.below(3);
    let expected = keys(t);
    let mut seen = Vec::new();
    let (mut key, mut cursor) = (Value::NIL, Cursor::START);
    loop {
        cursor = t.cursor_after(cursor, key).expect("keys of a traversal stay valid");
        let Some((after, k, _)) = t.next_at(cursor) else { break };
        assert_eq!(t.next(key).expect("valid").map(|(k, _)| ModelKey::of(k)), Some(ModelKey::of(k)));
        if random.below(modulus) == 0 {
            t.set(heap, k, Value::NIL).expect("memory");
            model.set(k, Value::NIL);
        }
        if random.below(8) == 0 {
            // As the collector does: it forgets the keys of removed entries.
            // SAFETY: tests never collect, so the table is live.
            unsafe { trace::visit_strong(t.as_ptr(), |_| ()) };
        }
        seen.push(k);
        (key, cursor) = (k, after);
    }
    assert_eq!(seen.len(), expected.len());
    assert!(seen.iter().zip(&expected).all(|(a, b)| same(*a, *b)));
}

#[test]
fn agrees_with_a_model_on_random_operations() {
    for seed in 1..=160u64 {
        let mut heap = heap();
        let pool = Pool::new(&mut heap);
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let styles = (seed % 4, seed / 4 % 4);
        let t = heap.new_table(0, (seed % 5) as u16);
        let mut model = Model::default();
        for step in 0..400 {
            random_step(&mut heap, t, &mut model, &pool, &mut random, styles);
            let key = pool.key(&mut random, styles.0);
            assert_same(t.get(key), model.get(key));
            if step % 8 == 0 {
                model.check(t);
            }
        }
        model.check(t);
    }
}
