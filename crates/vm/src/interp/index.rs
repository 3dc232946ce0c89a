//! Table access: inline caches, `__index` and `__newindex`, constructors, length.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{ANY_ELEMENTS, Cache, Gc, Table, mark};
use perilune_runtime::table::{FieldSlot, SetError, Shape, add_field_slot, lookup_field};
use perilune_runtime::value::{Tag, Value};

use super::{finish, pointer};
use crate::call::{self, Step};
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// Longest chain of `__index` or `__newindex` values, as in the reference.
const MAX_CHAIN: usize = 2000;

/// Caches that all instructions share.
pub(crate) const SHARED_CACHES: usize = 256;

/// A cache that knows nothing.
pub(crate) const EMPTY_CACHE: Cache = Cache {
    key: Value::NIL,
    shape: std::ptr::null_mut(),
    outer_shape: std::ptr::null_mut(),
    meta_shape: std::ptr::null_mut(),
    holder_shape: std::ptr::null_mut(),
    slot: 0,
    holder_slot: 0,
    index_slot: 0,
    misses: 0,
};

/// What a lookup came to.
enum Found {
    Value(Value),
    /// This function must be called with this object and the key.
    Handler(Value, Value),
}

/// Where a cache finds its key for `t`: its own field, or one of the table in its metatable's `__index`. Null when the
/// cache does not know.
///
/// # Safety
/// `t` is a live table; `cache` belongs to the running prototype.
#[inline(always)]
pub(crate) unsafe fn cached_method(t: *mut Table, cache: *mut Cache) -> *const Value {
    // SAFETY: an equal shape proves that the slot exists; shapes are never freed.
    unsafe {
        let shape = (*t).shape;
        if shape == (*cache).outer_shape {
            let m = (*t).meta;
            if !m.is_null() && (*m).shape == (*cache).meta_shape {
                let index = (*m).slots.add((*cache).index_slot as usize);
                if (*index).tag == Tag::Table {
                    let holder = pointer::<Table>(*index);
                    if (*holder).shape == (*cache).holder_shape {
                        return (*holder).slots.add((*cache).holder_slot as usize);
                    }
                }
            }
        }
        if shape == (*cache).shape {
            return (*t).slots.add((*cache).slot as usize);
        }
        std::ptr::null()
    }
}

/// Misses after which an instruction's own cache is left as it is: the instruction meets many shapes.
const MAX_MISSES: u32 = 8;

/// The cache that all instructions share, for the shape of `t` and a key: instructions that meet many shapes look here.
#[inline(always)]
unsafe fn shared_cache(vm: *mut Vm, t: *mut Table, key: Value) -> *mut Cache {
    // SAFETY: `t` is alive; the index is below the number of caches.
    unsafe {
        let mix = ((*t).shape.addr() as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key.payload >> 3;
        let n = (mix ^ mix >> 17) as usize % SHARED_CACHES;
        (&raw mut (*vm).lookups).cast::<Cache>().add(n)
    }
}

/// Remembers where `t` has the key of `cache`: in the cache itself, or in the shared one when it has missed often.
///
/// The shared one needs no tracing: what it says of where a key *is* is about keys of shapes, which never die.
#[cold]
#[inline(never)]
unsafe fn remember_load(vm: *mut Vm, t: *mut Table, cache: *mut Cache) {
    // SAFETY: the caches are alive.
    unsafe {
        if (*cache).misses < MAX_MISSES {
            (*cache).misses += 1;
            return fill_load(vm, t, cache);
        }
        let shared = shared_cache(vm, t, (*cache).key);
        if is_hopeless(shared, t, (*cache).key) {
            return;
        }
        // What it knew was about another key.
        *shared = EMPTY_CACHE;
        (*shared).key = (*cache).key;
        fill_load(vm, t, shared);
        if (*shared).shape.is_null() && (*shared).outer_shape.is_null() {
            (*shared).holder_shape = (*t).shape;
        }
    }
}

/// Whether a shared cache says that no cache can help with this key in tables of this shape (it is found further up a
/// chain, or by a function). Should the key be another one that got the address of a dead one, then only time is lost.
#[inline(always)]
unsafe fn is_hopeless(shared: *const Cache, t: *mut Table, key: Value) -> bool {
    // SAFETY: both are alive.
    unsafe {
        (*shared).shape.is_null()
            && (*shared).outer_shape.is_null()
            && (*shared).key.payload == key.payload
            && (*shared).holder_shape == (*t).shape
    }
}

/// Fills a cache for a load of its key from `t`.
unsafe fn fill_load(vm: *mut Vm, t: *mut Table, cache: *mut Cache) {
    // SAFETY: `t` and the tables behind its metatable are alive.
    unsafe {
        let Some(key) = (*cache).key.as_str() else { return };
        match lookup_field(t, key) {
            FieldSlot::Own(slot) => {
                (*cache).slot = slot;
                (*cache).shape = (*t).shape;
            }
            FieldSlot::Absent => {
                let m = (*t).meta;
                if m.is_null() {
                    return;
                }
                fill_inherited(vm, (*t).shape, m, cache);
            }
            FieldSlot::Dict => {}
        }
    }
}

/// Fills a cache for a load of its key through the metatable `m` of objects with a shape.
unsafe fn fill_inherited(vm: *mut Vm, outer: *mut Shape, m: *mut Table, cache: *mut Cache) {
    // SAFETY: `m` is alive.
    unsafe {
        let Some(key) = (*cache).key.as_str() else { return };
        let FieldSlot::Own(index_slot) = lookup_field(m, (*vm).event_name(Event::Index)) else { return };
        let index = *(*m).slots.add(index_slot as usize);
        if index.tag != Tag::Table {
            return;
        }
        let holder = pointer::<Table>(index);
        let FieldSlot::Own(holder_slot) = lookup_field(holder, key) else { return };
        (*cache).outer_shape = outer;
        (*cache).meta_shape = (*m).shape;
        (*cache).index_slot = index_slot;
        (*cache).holder_shape = (*holder).shape;
        (*cache).holder_slot = holder_slot;
    }
}

/// `object[key]`, following `__index` tables.
fn lookup(vm: &mut Vm, mut object: Value, key: Value) -> Result<Found, Raised> {
    for _ in 0..MAX_CHAIN {
        let handler = match object.as_table() {
            Some(t) => {
                let v = t.get(key);
                if !v.is_nil() {
                    return Ok(Found::Value(v));
                }
                let Some(m) = t.metatable() else { return Ok(Found::Value(Value::NIL)) };
                let h = meta::handler(vm, m, Event::Index);
                if h.is_nil() {
                    return Ok(Found::Value(Value::NIL));
                }
                h
            }
            None => {
                let h = meta::metamethod(vm, object, Event::Index);
                if h.is_nil() {
                    return Err(crate::errors::index(vm, object, key));
                }
                h
            }
        };
        if handler.is_function() {
            return Ok(Found::Handler(handler, object));
        }
        object = handler;
    }
    Err(vm.run_error("'__index' chain too long; possible loop"))
}

/// Ends a load of the interpreter.
#[inline]
unsafe fn conclude_load(vm: *mut Vm, i: Instr, found: Result<Found, Raised>, key: Value) -> Step {
    // SAFETY: the current frame is a Lua frame whose `pc` is stored; `a` is one of its registers.
    unsafe {
        match found {
            Ok(Found::Value(v)) => {
                *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v;
                Step::Next
            }
            Ok(Found::Handler(h, object)) => finish::call_handler(vm, h, &[object, key], 1),
            Err(_) => Step::Raise,
        }
    }
}

/// `GetField` and `GetTabUp`, when the cached shape is another.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored; `i` is its instruction and `cache` its cache.
#[inline(never)]
pub(crate) unsafe fn get_field(vm: *mut Vm, i: Instr, cache: *mut Cache, object: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let key = (*cache).key;
        if object.tag == Tag::Table {
            let t = pointer::<Table>(object);
            let mut v = cached_method(t, cache);
            if v.is_null() && (*cache).misses >= MAX_MISSES {
                let shared = shared_cache(vm, t, key);
                if (*shared).key.payload == key.payload {
                    v = cached_method(t, shared);
                }
            }
            if !v.is_null() && !(*v).is_nil() {
                *(*(*(*vm).thread).frame).base.add(i.a() as usize) = *v;
                return Step::Next;
            }
            if !(*(*t).shape).is_dict() {
                remember_load(vm, t, cache);
            }
            if let Some(name) = key.as_str() {
                let v = Gc::from_ptr(t).get_str(name);
                if !v.is_nil() || (*t).meta.is_null() {
                    *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v;
                    return Step::Next;
                }
            }
        }
        let found = lookup(&mut *vm, object, key);
        conclude_load(vm, i, found, key)
    }
}

/// `SelfField`, when the cache does not know the method.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn get_method(vm: *mut Vm, i: Instr, cache: *mut Cache, object: Value) -> Step {
    // SAFETY: the caller's duty; the verifier has checked that R[a+1] exists.
    unsafe {
        *(*(*(*vm).thread).frame).base.add(i.a() as usize + 1) = object;
        if object.tag == Tag::Str {
            // Strings share a metatable, whose `__index` is usually the string library. The cache treats a string as
            // an object with the null shape behind that metatable.
            if let Some(m) = (*vm).type_metatables[Tag::Str as usize] {
                let m = m.as_ptr();
                if (*m).shape == (*cache).meta_shape && (*cache).outer_shape.is_null() {
                    let index = *(*m).slots.add((*cache).index_slot as usize);
                    if index.tag == Tag::Table && (*pointer::<Table>(index)).shape == (*cache).holder_shape {
                        let v = *(*pointer::<Table>(index)).slots.add((*cache).holder_slot as usize);
                        if !v.is_nil() {
                            *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v;
                            return Step::Next;
                        }
                    }
                }
                if (*cache).misses < MAX_MISSES {
                    (*cache).misses += 1;
                    fill_inherited(vm, std::ptr::null_mut(), m, cache);
                }
            }
        }
        get_field(vm, i, cache, object)
    }
}

/// `GetTable` and `GetInt`, when the key is no element of the array part.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn get_table(vm: *mut Vm, i: Instr, object: Value, key: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        if let Some(t) = object.as_table() {
            let v = match key.tag {
                Tag::Str => t.get_str(Gc::from_address(key.payload)),
                Tag::Int => t.get_int(key.raw_int()),
                _ => t.get(key),
            };
            if !v.is_nil() || (*t.as_ptr()).meta.is_null() {
                *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v;
                return Step::Next;
            }
        }
        let found = lookup(&mut *vm, object, key);
        conclude_load(vm, i, found, key)
    }
}

/// The write barrier of a table store.
#[inline(always)]
pub(crate) unsafe fn barrier(vm: *mut Vm, t: *mut Table, v: Value) {
    // SAFETY: `t` is a live table of this VM's heap.
    unsafe {
        if (*t).header.mark & mark::BLACK != 0 && v.is_object() {
            (*vm).heap.barrier_back(t.cast());
        }
    }
}

/// A store through a cache: to an own field that is present, or adding one to a table without metatable.
///
/// # Safety
/// `t` is a live table; `cache` belongs to the running prototype.
#[inline(always)]
pub(crate) unsafe fn store_cached(vm: *mut Vm, t: *mut Table, cache: *mut Cache, v: Value) -> bool {
    // SAFETY: an equal shape proves that the slot exists. A present field needs no look at `__newindex`.
    unsafe {
        if (*t).shape != (*cache).shape {
            return false;
        }
        let slot = (*t).slots.add((*cache).slot as usize);
        if (*slot).is_nil() {
            return false;
        }
        *slot = v;
        barrier(vm, t, v);
        true
    }
}

/// A store that appends to the array part with room (`n` counts from 0).
///
/// # Safety
/// `t` is a live table.
#[inline(always)]
pub(crate) unsafe fn append_element(vm: *mut Vm, t: *mut Table, n: u64, v: Value) -> bool {
    // SAFETY: `n` is compared with the array's length and room before it is used.
    unsafe {
        let len = (*t).header.word as u64;
        if n != len || n >= (*t).array_cap as u64 || !(*t).meta.is_null() || !no_index_keys(t) {
            return false;
        }
        let kind = (*t).header.aux;
        if kind == v.tag as u8 {
            *(*t).array.cast::<u64>().add(n as usize) = v.payload;
        } else if kind == ANY_ELEMENTS && !v.is_nil() {
            *(*t).array.cast::<Value>().add(n as usize) = v;
        } else {
            return false;
        }
        (*t).header.word = (len + 1) as u32;
        barrier(vm, t, v);
        true
    }
}

/// Whether no integer keys above zero are in the hash part, so that an append has nothing to take over from there.
#[inline(always)]
unsafe fn no_index_keys(t: *mut Table) -> bool {
    // SAFETY: a table's hash part is null or alive.
    unsafe { (*t).hash.is_null() || (*(*t).hash).index_keys == 0 }
}

/// `object[key] = v` in a table that needs no look at `__newindex`; a refused store is tried again after a collection.
unsafe fn store(vm: *mut Vm, t: *mut Table, key: Value, v: Value, constant: bool) -> Step {
    // SAFETY: all values are in registers or constants of the current frame.
    unsafe {
        let attempt = |vm: *mut Vm| {
            let t = Gc::from_ptr(t);
            match (constant, key.as_str()) {
                (true, Some(name)) => t.set_field(&mut (*vm).heap, name, v),
                _ => t.set(&mut (*vm).heap, key, v),
            }
        };
        let result = match attempt(vm) {
            Err(SetError::Memory) => {
                (*(*vm).thread).top = (*(*(*vm).thread).frame).top;
                (*vm).emergency_collect();
                attempt(vm)
            }
            r => r,
        };
        match result {
            Ok(()) if (*vm).heap.bytes >= (*vm).heap.threshold => call::collect_in_lua(vm),
            Ok(()) => Step::Next,
            Err(e) => {
                let _ = (*vm).set_error(e);
                Step::Raise
            }
        }
    }
}

/// A store, following `__newindex`.
unsafe fn store_with_meta(vm: *mut Vm, object: Value, key: Value, v: Value, constant: bool) -> Step {
    // SAFETY: the current frame is a Lua frame whose `pc` is stored.
    unsafe {
        let mut object = object;
        for _ in 0..MAX_CHAIN {
            let handler = match object.as_table() {
                Some(t) => {
                    let Some(m) = t.metatable() else {
                        return store(vm, t.as_ptr(), key, v, constant);
                    };
                    let h = meta::handler(&*vm, m, Event::NewIndex);
                    if h.is_nil() || !t.get(key).is_nil() {
                        return store(vm, t.as_ptr(), key, v, constant);
                    }
                    h
                }
                None => {
                    let h = meta::metamethod(&*vm, object, Event::NewIndex);
                    if h.is_nil() {
                        let _ = crate::errors::index(&mut *vm, object, key);
                        return Step::Raise;
                    }
                    h
                }
            };
            if handler.is_function() {
                return finish::call_handler(vm, handler, &[object, key, v], 0);
            }
            object = handler;
        }
        let _ = (*vm).run_error("'__newindex' chain too long; possible loop");
        Step::Raise
    }
}

/// `SetField` and `SetTabUp`, when the cached store does not apply.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn set_field(vm: *mut Vm, cache: *mut Cache, object: Value, v: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let key = (*cache).key;
        if object.tag == Tag::Table {
            let t = pointer::<Table>(object);
            let shape = (*t).shape;
            if (*t).meta.is_null() || absent_new_index(vm, t) {
                if shape == (*cache).outer_shape && !v.is_nil() {
                    let added = (*cache).holder_shape;
                    if add_field_slot(t, &mut (*vm).heap, added, (*cache).holder_slot, v).is_ok() {
                        if (*vm).heap.bytes >= (*vm).heap.threshold {
                            return call::collect_in_lua(vm);
                        }
                        return Step::Next;
                    }
                } else if !(*shape).is_dict() && !v.is_nil() {
                    if (*cache).misses < MAX_MISSES {
                        remember_store(vm, t, cache);
                    } else {
                        let shared = shared_cache(vm, t, key);
                        if (*shared).key.payload == key.payload && store_cached(vm, t, shared, v) {
                            return Step::Next;
                        }
                        if (*shared).key.payload != key.payload || (*shared).shape != shape {
                            remember_load(vm, t, cache);
                        }
                    }
                }
                return store(vm, t, key, v, true);
            }
        }
        store_with_meta(vm, object, key, v, true)
    }
}

/// Whether the metatable of `t` is known to have no `__newindex`.
#[inline]
unsafe fn absent_new_index(vm: *mut Vm, t: *mut Table) -> bool {
    // SAFETY: the caller has checked that there is a metatable.
    unsafe { meta::handler(&*vm, Gc::from_ptr((*t).meta), Event::NewIndex).is_nil() }
}

/// Fills a cache for a store of its key to `t`.
#[cold]
#[inline(never)]
unsafe fn remember_store(vm: *mut Vm, t: *mut Table, cache: *mut Cache) {
    // SAFETY: `t` is alive.
    unsafe {
        (*cache).misses = (*cache).misses.saturating_add(1);
        let Some(key) = (*cache).key.as_str() else { return };
        match lookup_field(t, key) {
            FieldSlot::Own(slot) => {
                (*cache).shape = (*t).shape;
                (*cache).slot = slot;
            }
            FieldSlot::Absent => {
                let from: *mut Shape = (*t).shape;
                if let Some(to) = (*vm).heap.shapes.transition(from, key) {
                    (*cache).outer_shape = from;
                    (*cache).holder_shape = to;
                    (*cache).holder_slot = (*from).count;
                }
            }
            FieldSlot::Dict => {}
        }
    }
}

/// `SetTable` and `SetInt`, when the store is not to a present element.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn set_table(vm: *mut Vm, object: Value, key: Value, v: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        if object.tag == Tag::Table {
            let t = pointer::<Table>(object);
            if (*t).meta.is_null() {
                return store(vm, t, key, v, false);
            }
        }
        store_with_meta(vm, object, key, v, false)
    }
}

/// `NewTable`.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn new_table(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        let t = (*vm).heap.new_table(i.d() as u32, i.bc());
        *(*(*(*vm).thread).frame).base.add(i.a() as usize) = Value::table(t);
        if (*vm).heap.bytes >= (*vm).heap.threshold {
            return call::collect_in_lua(vm);
        }
        Step::Next
    }
}

/// `NewRecord`: a table that has its shape and its values at once.
///
/// # Safety
/// As [`get_field`]; the values are the `n` registers behind `ra`, and `shape` is the template's.
#[inline]
pub(crate) unsafe fn new_record(vm: *mut Vm, ra: *mut Value, n: u16, shape: *mut Shape) {
    // SAFETY: a fresh table is white, so its stores need no barrier.
    unsafe {
        if (*shape).is_dict() {
            return new_dictionary(vm, ra);
        }
        let t = (*vm).heap.new_record(shape, ra.add(1), n);
        *ra = Value::table(t);
    }
}

/// A record whose keys have no shape.
#[cold]
#[inline(never)]
unsafe fn new_dictionary(vm: *mut Vm, ra: *mut Value) {
    // SAFETY: as in `new_record`; the keys are string constants of the running prototype.
    unsafe {
        let i = *(*(*(*vm).thread).frame).pc.sub(1);
        let proto = super::current_proto(vm);
        let info = &(*proto).info;
        let t = (*vm).heap.new_table(0, 0);
        for (n, &key) in info.plain.templates[i.d() as usize].iter().enumerate() {
            let key = info.consts()[key as usize];
            let stored = t.set(&mut (*vm).heap, key, *ra.add(1 + n));
            debug_assert!(stored.is_ok(), "a few string keys fit");
        }
        *ra = Value::table(t);
    }
}

/// `SetList`.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn set_list(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the values are registers, or end at `top` for an open list; `a` is the table that the constructor made.
    unsafe {
        let th = (*vm).thread;
        let ra = (*(*th).frame).base.add(i.a() as usize);
        let n = if i.b() != 0 { i.b() as usize } else { (*th).top.offset_from(ra) as usize - 1 };
        let Some(t) = (*ra).as_table() else { return Step::Next };
        if i.b() != 0 {
            (*th).top = (*(*th).frame).top;
        }
        let values = std::slice::from_raw_parts(ra.add(1), n);
        let first = i.d() as i64 + 1;
        if t.extend_from_slice(&mut (*vm).heap, first, values).is_err() {
            (*vm).emergency_collect();
            if let Err(e) = t.extend_from_slice(&mut (*vm).heap, first, values) {
                let _ = (*vm).set_error(e);
                return Step::Raise;
            }
        }
        if (*vm).heap.bytes >= (*vm).heap.threshold {
            return call::collect_in_lua(vm);
        }
        Step::Next
    }
}

/// `Len` of anything but a table without metatable.
///
/// # Safety
/// As [`get_field`].
#[inline(never)]
pub(crate) unsafe fn len(vm: *mut Vm, i: Instr, x: Value) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        match length(&mut *vm, x) {
            Ok(Found::Value(v)) => {
                *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v;
                Step::Next
            }
            Ok(Found::Handler(h, _)) => finish::call_handler(vm, h, &[x, x], 1),
            Err(_) => Step::Raise,
        }
    }
}

fn length(vm: &mut Vm, x: Value) -> Result<Found, Raised> {
    if let Some(s) = x.as_str() {
        return Ok(Found::Value(Value::int(s.len() as i64)));
    }
    let h = meta::metamethod(vm, x, Event::Len);
    if !h.is_nil() {
        return Ok(Found::Handler(h, x));
    }
    match x.as_table() {
        Some(t) => Ok(Found::Value(Value::int(t.length()))),
        None => Err(crate::errors::operand(vm, "get length of", x)),
    }
}

impl Vm {
    /// `object[key]` with metamethods. **(safepoint)**
    pub fn index(&mut self, object: Value, key: Value) -> Result<Value, Raised> {
        match lookup(self, object, key)? {
            Found::Value(v) => Ok(v),
            Found::Handler(h, object) => self.call_value(h, &[object, key]),
        }
    }

    /// `object[key] = value` with metamethods. **(safepoint)**
    pub fn set_index(&mut self, mut object: Value, key: Value, value: Value) -> Result<(), Raised> {
        for _ in 0..MAX_CHAIN {
            let handler = match object.as_table() {
                Some(t) => {
                    let h = match t.metatable() {
                        Some(m) => meta::handler(self, m, Event::NewIndex),
                        None => Value::NIL,
                    };
                    if h.is_nil() || !t.get(key).is_nil() {
                        return self.raw_set(t, key, value);
                    }
                    h
                }
                None => {
                    let h = meta::metamethod(self, object, Event::NewIndex);
                    if h.is_nil() {
                        return Err(crate::errors::index(self, object, key));
                    }
                    h
                }
            };
            if handler.is_function() {
                self.ensure_stack(5)?;
                for v in [handler, object, key, value] {
                    self.push(v);
                }
                return self.call(3, 0);
            }
            object = handler;
        }
        Err(self.run_error("'__newindex' chain too long; possible loop"))
    }

    /// `#v` with metamethods. **(safepoint)**
    pub fn len(&mut self, v: Value) -> Result<Value, Raised> {
        match length(self, v)? {
            Found::Value(v) => Ok(v),
            Found::Handler(h, x) => self.call_value(h, &[x, x]),
        }
    }

    /// `#v`, which must be an integer. **(safepoint)**
    pub fn len_int(&mut self, v: Value) -> Result<i64, Raised> {
        let n = self.len(v)?;
        match self.to_integer(n) {
            Some(n) => Ok(n),
            None => Err(self.error("object length is not an integer")),
        }
    }
}
