//! Loading: from the compiler's plain prototypes to heap objects.
//!
//! The tree is loaded from the leaves up, without recursion: dumped code may nest deeper than a native stack. Nothing is
//! collected meanwhile, so that a half-loaded tree needs no roots.
//!
//! A child with the source of its parent (or with none) shares the parent's; its own copy of the name is dropped. Equal long
//! strings among the constants of a tree are one object.

use std::collections::HashMap;
use std::ptr;

use perilune_bytecode::assigned::find_assigned;
use perilune_bytecode::ops::Instr;
use perilune_bytecode::proto::{Const, LocVar, Proto as Plain, UpvalDesc};

use crate::heap::Heap;
use crate::object::{Cache, Gc, GcHeader, Kind, Proto, ProtoInfo, Str, cache_of};
use crate::table::Shape;
use crate::value::Value;

/// The long strings among the constants loaded so far.
type LongStrings = HashMap<Box<[u8]>, Value>;

/// A prototype whose children are being loaded.
struct Pending {
    plain: Plain,
    children: std::vec::IntoIter<Plain>,
    loaded: Vec<*mut Proto>,
    source: Value,
}

impl Heap {
    /// Loads a prototype with all that are inside it. Indices into the constants must have been verified: one that is out
    /// of range panics.
    pub fn new_proto(&mut self, mut plain: Plain) -> Gc<Proto> {
        find_assigned(&mut plain);
        let mut outer: Vec<Pending> = Vec::new();
        let mut long_strings = LongStrings::new();
        let mut current = self.begin(plain, Value::NIL);
        loop {
            if let Some(child) = current.children.next() {
                let child = self.begin(child, current.source);
                outer.push(std::mem::replace(&mut current, child));
                continue;
            }
            let proto = self.finish(current.plain, current.loaded, current.source, &mut long_strings);
            match outer.pop() {
                None => return proto,
                Some(mut parent) => {
                    parent.loaded.push(proto.as_ptr());
                    current = parent;
                }
            }
        }
    }

    fn begin(&mut self, mut plain: Plain, parent_source: Value) -> Pending {
        let same = plain.source.is_empty() || parent_source.as_str().is_some_and(|s| s.as_bytes() == &*plain.source);
        let source = if same {
            plain.source = Box::default();
            parent_source
        } else {
            Value::str(self.new_str(&plain.source))
        };
        let children = std::mem::take(&mut plain.protos);
        Pending { loaded: Vec::with_capacity(children.len()), children: children.into_iter(), plain, source }
    }

    fn finish(
        &mut self,
        plain: Plain,
        protos: Vec<*mut Proto>,
        source: Value,
        long_strings: &mut LongStrings,
    ) -> Gc<Proto> {
        let consts: Box<[Value]> = plain.consts.iter().map(|c| self.constant(c, long_strings)).collect();
        let cache_count = plain.caches.len();
        let mut pool = vec![0u64; cache_count * ProtoInfo::CACHE_WORDS + consts.len() * 2].into_boxed_slice();
        // SAFETY: the buffer has room for the caches and, behind them, the constants; both are plain words.
        unsafe {
            let first: *mut Value = pool.as_mut_ptr().add(cache_count * ProtoInfo::CACHE_WORDS).cast();
            ptr::copy_nonoverlapping(consts.as_ptr(), first, consts.len());
            for (n, &key) in plain.caches.iter().enumerate() {
                cache_of(first, n).write(empty_cache(consts[key as usize]));
            }
        }
        let templates = plain.templates.iter().map(|keys| self.template(keys, &consts)).collect();
        let mut info = Box::new(ProtoInfo {
            plain,
            source,
            pool,
            cache_count,
            templates,
            protos: protos.into_boxed_slice(),
            last_closure: std::ptr::null_mut(),
            bytes: 0,
        });
        info.bytes = info_bytes(&info);
        self.add_bytes(info.bytes as isize);
        let p: *mut Proto = self.alloc_cell(size_of::<Proto>()).cast();
        let header = GcHeader { kind: Kind::Proto, mark: self.white(), flags: 0, aux: 0, word: 0 };
        // SAFETY: the cell is new and has room for the struct. The pointers are taken from the buffers where they stay:
        // nothing changes `info` until the prototype is freed.
        unsafe {
            p.write(Proto {
                header,
                code: ptr::null(),
                consts: ptr::null(),
                templates: ptr::null(),
                protos: ptr::null(),
                num_params: info.plain.num_params,
                is_vararg: info.plain.is_vararg,
                max_stack: info.plain.max_stack,
                counts_calls: false,
                is_never_compiled: false,
                // The first call asks for a count.
                calls_left: 1,
                entry: ptr::null(),
                info,
            });
            let info = &mut *(*p).info;
            (*p).code = info.plain.code.as_ptr();
            // Taken from the whole buffer, so that it reaches the caches in front too.
            (*p).consts = info.pool.as_mut_ptr().add(info.cache_count * ProtoInfo::CACHE_WORDS).cast();
            (*p).templates = info.templates.as_ptr();
            (*p).protos = info.protos.as_ptr();
            Gc::from_ptr(p)
        }
    }

    fn constant(&mut self, c: &Const, long_strings: &mut LongStrings) -> Value {
        match c {
            Const::Nil => Value::NIL,
            Const::Bool(b) => Value::bool(*b),
            Const::Int(i) => Value::int(*i),
            Const::Float(f) => Value::float(*f),
            Const::Str(bytes) if bytes.len() <= Str::MAX_SHORT => Value::str(self.new_str(bytes)),
            Const::Str(bytes) => *long_strings.entry(bytes.clone()).or_insert_with(|| Value::str(self.new_str(bytes))),
        }
    }

    /// The shape with these keys, in this order; the dictionary shape when there is no such shape (a long key, or a limit).
    fn template(&mut self, keys: &[u32], consts: &[Value]) -> *mut Shape {
        let mut shape = self.shapes.root();
        for &key in keys {
            let Some(key) = consts[key as usize].as_str() else { return self.shapes.dict() };
            // SAFETY: the shape is of this heap, and the keys of a template are distinct.
            match unsafe { self.shapes.transition(shape, key) } {
                Some(next) => shape = next,
                None => return self.shapes.dict(),
            }
        }
        shape
    }
}

fn empty_cache(key: Value) -> Cache {
    Cache {
        key,
        shape: ptr::null_mut(),
        outer_shape: ptr::null_mut(),
        meta_shape: ptr::null_mut(),
        holder_shape: ptr::null_mut(),
        slot: 0,
        holder_slot: 0,
        index_slot: 0,
        misses: 0,
    }
}

/// The bytes behind a prototype, without its cell.
fn info_bytes(info: &ProtoInfo) -> usize {
    let plain = &info.plain;
    let strings: usize = plain.consts.iter().map(|c| if let Const::Str(s) = c { s.len() } else { 0 }).sum();
    let upvals: usize = plain.upvals.iter().map(|u| u.name.len() + size_of::<UpvalDesc>()).sum();
    let locals: usize = plain.locals.iter().map(|l| l.name.len() + size_of::<LocVar>()).sum();
    let template_keys: usize = plain.templates.iter().map(|t| size_of_val(&**t) + size_of_val(t)).sum();
    size_of::<ProtoInfo>()
        + plain.source.len()
        + plain.code.capacity() * size_of::<Instr>()
        + plain.lines.capacity() * size_of::<u32>()
        + plain.consts.capacity() * size_of::<Const>()
        + plain.caches.capacity() * size_of::<u32>()
        + strings
        + upvals
        + locals
        + template_keys
        + size_of_val(&*info.pool)
        + size_of_val(&*info.templates)
        + size_of_val(&*info.protos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(source: &[u8]) -> Plain {
        Plain {
            source: source.into(),
            consts: vec![Const::Str((*b"x").into()), Const::Int(7), Const::Str((*b"y").into())],
            caches: vec![2],
            templates: vec![Box::new([0, 2])],
            max_stack: 2,
            ..Plain::default()
        }
    }

    #[test]
    fn loads_constants_caches_and_templates() {
        let mut heap = Heap::new(1);
        let p = heap.new_proto(leaf(b"@a"));
        // SAFETY: nothing is collected in this test.
        unsafe {
            let p = &*p.as_ptr();
            assert!((*p.consts.add(1)).raw_equals(Value::int(7)));
            assert!((*cache_of(p.consts, 0)).key.raw_equals(*p.consts.add(2)));
            let shape = &**p.templates;
            assert_eq!(shape.count, 2);
            assert_eq!(shape.key_at(1).as_bytes(), b"y");
            assert_eq!(p.info.source.as_str().map(|s| s.as_bytes().to_vec()), Some(b"@a".to_vec()));
        }
    }

    #[test]
    fn loads_deeply_nested_prototypes_and_shares_the_source() {
        let mut heap = Heap::new(1);
        let mut plain = leaf(b"");
        for depth in 0..50_000 {
            let source: &[u8] = if depth % 2 == 0 { b"@a" } else { b"" };
            plain = Plain { protos: vec![plain, leaf(b"@b")], ..leaf(source) };
        }
        plain.source = (*b"@a").into();
        let mut p = heap.new_proto(plain).as_ptr();
        // SAFETY: nothing is collected in this test.
        unsafe {
            let source = (*p).info.source;
            for _ in 0..50_000 {
                let info = &*(*p).info;
                assert_eq!(info.protos.len(), 2);
                p = *(*p).protos;
                assert!((*p).info.source.raw_equals(source));
            }
        }
    }
}
