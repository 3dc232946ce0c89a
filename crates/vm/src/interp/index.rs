//! Table access: inline caches, `__index` and `__newindex`, constructors, length.

use perilune_base::dialect::Dialect;
use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Cache, Gc, Table, is_flag, mark};
use perilune_runtime::table::{SetError, Shape, add_field_slot};
use perilune_runtime::value::{Tag, Value};

use super::caches::{self, MAX_MISSES, Place};
use super::{finish, pointer};
use crate::call::{self, Step};
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// Longest chain of `__index` or `__newindex` values, as in the reference.
const MAX_CHAIN: usize = 2000;

/// What a lookup came to.
enum Found {
    Value(Value),
    /// This function must be called with this object and the key.
    Handler(Value, Value),
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
                    return Err(crate::errors::index(vm, object));
                }
                h
            }
        };
        if handler.is_function() {
            return Ok(Found::Handler(handler, object));
        }
        object = handler;
    }
    Err(crate::errors::index_chain(vm))
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
            let v = field(vm, t, cache);
            if v.is_some() || (*t).meta.is_null() {
                *(*(*(*vm).thread).frame).base.add(i.a() as usize) = v.unwrap_or(Value::NIL);
                return Step::Next;
            }
        }
        let found = lookup(&mut *vm, object, key);
        conclude_load(vm, i, found, key)
    }
}

/// The field of `t` for a cache's key, if it is its own or known to be inherited, or known to be absent.
#[inline(always)]
unsafe fn field(vm: *mut Vm, t: *mut Table, cache: *mut Cache) -> Option<Value> {
    // SAFETY: the caller of `get_field` has promised that they are alive.
    unsafe {
        let known = caches::cached_place(t, cache);
        if !known.is_null() && !(*known).is_nil() {
            return Some(*known);
        }
        let name = (*cache).key.as_str()?;
        if !(*(*t).shape).is_dict() {
            if (*cache).misses >= MAX_MISSES {
                return match caches::routed_place(vm, t, name) {
                    Place::Slot(slot) => Some(*slot).filter(|v| !v.is_nil()),
                    Place::Nil => Some(Value::NIL),
                    Place::Unknown => None,
                };
            }
            caches::remember_load(vm, t, cache);
        }
        Some(Gc::from_ptr(t).get_str(name)).filter(|v| !v.is_nil())
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
                    caches::remember_inherited(vm, std::ptr::null_mut(), m, cache);
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
        } else if kind == BOOL_ELEMENTS && is_flag(v.tag) && !v.is_nil() {
            *(*t).array.cast::<Tag>().add(n as usize) = v.tag;
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
    // SAFETY: key and value are in registers or constants of the current frame. The table may be one that only a metatable
    // refers to, even weakly: it is kept while memory is collected.
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
                (*vm).collect_around([Value::table(Gc::from_ptr(t)), key, v]);
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
                    let is_bad = key.is_nil() || key.tag == Tag::Float && key.raw_float().is_nan();
                    let is_refused = is_bad && (*vm).dialect.keys_checked_first;
                    if h.is_nil() || is_refused || !t.get(key).is_nil() {
                        return store(vm, t.as_ptr(), key, v, constant);
                    }
                    h
                }
                None => {
                    let h = meta::metamethod(&*vm, object, Event::NewIndex);
                    if h.is_nil() {
                        let _ = crate::errors::index(&mut *vm, object);
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
        let _ = crate::errors::newindex_chain(&mut *vm);
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
                        caches::remember_store(vm, t, cache);
                    } else if let Some(slot) = own_place(vm, t, key) {
                        *slot = v;
                        barrier(vm, t, v);
                        return Step::Next;
                    }
                }
                return store(vm, t, key, v, true);
            }
        }
        store_with_meta(vm, object, key, v, true)
    }
}

/// The slot of a property that `t` has, by the shared routes.
#[inline]
unsafe fn own_place(vm: *mut Vm, t: *mut Table, key: Value) -> Option<*mut Value> {
    // SAFETY: `t` is alive.
    unsafe {
        match caches::routed_place(vm, t, key.as_str()?) {
            // One behind a metatable is not its own.
            Place::Slot(slot) if is_own(t, slot) && !(*slot).is_nil() => Some(slot),
            Place::Slot(_) | Place::Nil | Place::Unknown => None,
        }
    }
}

/// Whether a slot is one of `t`.
#[inline(always)]
unsafe fn is_own(t: *mut Table, slot: *mut Value) -> bool {
    // SAFETY: `t` is alive.
    unsafe { slot.addr().wrapping_sub((*t).slots.addr()) < (*(*t).shape).count as usize * size_of::<Value>() }
}

/// Whether the metatable of `t` is known to have no `__newindex`.
#[inline]
unsafe fn absent_new_index(vm: *mut Vm, t: *mut Table) -> bool {
    // SAFETY: the caller has checked that there is a metatable.
    unsafe { meta::handler(&*vm, Gc::from_ptr((*t).meta), Event::NewIndex).is_nil() }
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
            Ok(Found::Handler(h, x)) => finish::call_handler(vm, h, &length_arguments((*vm).dialect, x), 1),
            Err(_) => Step::Raise,
        }
    }
}

fn length(vm: &mut Vm, x: Value) -> Result<Found, Raised> {
    if let Some(s) = x.as_str() {
        return Ok(Found::Value(vm.int_value(s.len() as i64)));
    }
    let h =
        if x.tag == Tag::Table && !vm.dialect.len_of_tables { Value::NIL } else { meta::metamethod(vm, x, Event::Len) };
    if !h.is_nil() {
        return Ok(Found::Handler(h, x));
    }
    match x.as_table() {
        Some(t) => Ok(Found::Value(vm.int_value(t.length()))),
        None => Err(crate::errors::operand(vm, "get length of", x)),
    }
}

/// What the handler of `__len` is called with.
fn length_arguments(dialect: &Dialect, x: Value) -> [Value; 2] {
    [x, if dialect.len_gets_operand_twice { x } else { Value::NIL }]
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
                        return Err(crate::errors::index(self, object));
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
        Err(crate::errors::newindex_chain(self))
    }

    /// `#v` with metamethods. **(safepoint)**
    pub fn len(&mut self, v: Value) -> Result<Value, Raised> {
        match length(self, v)? {
            Found::Value(v) => Ok(v),
            Found::Handler(h, x) => self.call_value(h, &length_arguments(self.dialect, x)),
        }
    }

    /// `#v`, which must be an integer. **(safepoint)**
    pub fn len_int(&mut self, v: Value) -> Result<i64, Raised> {
        let n = self.len(v)?;
        match self.to_integer(n) {
            Some(n) => Ok(n),
            None => {
                let kind = if self.dialect.integers { "an integer" } else { "a number" };
                Err(self.error(&format!("object length is not {kind}")))
            }
        }
    }
}
