//! Table access, constructors, length and concatenation.

use perilune_bytecode::ops::Instr;
use perilune_runtime::object::{ANY_ELEMENTS, BOOL_ELEMENTS, Cache, Gc, Table, cache_of, is_flag, mark};
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use super::super::dispatch::{Handlers, after, next};
use super::super::{Exit, caches, concat, index, pointer, tag_of_kind};
use super::state::{a_of, again, b_of, bc_of, c_of, d_of, handler, next_apart, reg};
use super::values::upvalue;
use crate::call;
use crate::vm::Vm;

/// The cache that operand `d` names.
#[inline(always)]
unsafe fn cache(consts: *const Value, pc: *const Instr) -> *mut Cache {
    // SAFETY: operands name caches of the prototype, by verification.
    unsafe { cache_of(consts, d_of(pc) as usize) }
}

// Fields.

/// Goes on with the own field that a cache knows, or on the cold side when it does not.
macro_rules! load_own_field {
    ($cold:ident, $object:expr, $vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident) => {{
        let object: *const Value = $object;
        if (*object).tag == Tag::Table {
            let t = pointer::<Table>(*object);
            let cache = cache($consts, $pc);
            if (*t).shape == (*cache).shape {
                let v = (*t).slots.add((*cache).slot as usize);
                if !(*v).is_nil() {
                    *reg($base, a_of($pc)) = *v;
                    return next::<M>($vm, $pc, $base, $consts, $frame);
                }
            }
        }
        $cold::<M>($vm, $pc, $base, $consts, $frame)
    }};
}

handler!(get_tab_up(vm, pc, base, consts, frame) {
    load_own_field!(get_tab_up_cold, (*upvalue(frame, pc)).slot, vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_tab_up_cold(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    let object = *(*upvalue(frame, pc)).slot;
    after::<M>(vm, consts, index::get_field(vm, again(pc), cache(consts, pc), object))
});

handler!(get_field(vm, pc, base, consts, frame) {
    load_own_field!(get_field_cold, reg(base, b_of(pc)), vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_field_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_field(vm, again(pc), cache(consts, pc), *reg(base, b_of(pc))))
});

handler!(self_field(vm, pc, base, consts, frame) {
    let object = *reg(base, b_of(pc));
    if object.tag == Tag::Table {
        let v = caches::cached_place(pointer::<Table>(object), cache(consts, pc));
        if !v.is_null() && !(*v).is_nil() {
            let to = reg(base, a_of(pc));
            *to.add(1) = object;
            *to = *v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    self_field_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] self_field_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_method(vm, again(pc), cache(consts, pc), *reg(base, b_of(pc))))
});

/// Goes on with the store to an own field that is there, or on the cold side when there is none, or on the side of the
/// write barrier. A present field needs no look at `__newindex`.
macro_rules! store_own_field {
    ($cold:ident, $barrier:ident, $object:expr, $vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident) => {{
        let object: *const Value = $object;
        if (*object).tag == Tag::Table {
            let t = pointer::<Table>(*object);
            let cache = cache($consts, $pc);
            if (*t).shape == (*cache).shape {
                let slot = (*t).slots.add((*cache).slot as usize);
                if !(*slot).is_nil() {
                    let v = reg($base, c_of($pc));
                    (*slot).payload = (*v).payload;
                    (*slot).tag = (*v).tag;
                    if (*t).header.mark & mark::BLACK != 0 && (*v).is_object() {
                        return $barrier::<M>($vm, $pc, $base, $consts, $frame);
                    }
                    return next::<M>($vm, $pc, $base, $consts, $frame);
                }
            }
        }
        $cold::<M>($vm, $pc, $base, $consts, $frame)
    }};
}

handler!(set_tab_up(vm, pc, base, consts, frame) {
    let object = (*upvalue(frame, pc)).slot;
    store_own_field!(set_tab_up_cold, set_tab_up_barrier, object, vm, pc, base, consts, frame)
});

handler!(#[inline(never)] set_tab_up_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    let object = *(*upvalue(frame, pc)).slot;
    after::<M>(vm, consts, index::set_field(vm, cache(consts, pc), object, *reg(base, c_of(pc))))
});

handler!(#[cold] #[inline(never)] set_tab_up_barrier(vm, pc, base, consts, frame) {
    (*vm).heap.barrier_back(pointer(*(*upvalue(frame, pc)).slot));
    next::<M>(vm, pc, base, consts, frame)
});

handler!(set_field(vm, pc, base, consts, frame) {
    store_own_field!(set_field_cold, store_barrier, reg(base, a_of(pc)), vm, pc, base, consts, frame)
});

handler!(#[inline(never)] set_field_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_field(vm, cache(consts, pc), *reg(base, a_of(pc)), *reg(base, c_of(pc))))
});

// The write barrier of a store to the table in operand `a`.
handler!(#[cold] #[inline(never)] store_barrier(vm, pc, base, consts, frame) {
    (*vm).heap.barrier_back(pointer(*reg(base, a_of(pc))));
    next::<M>(vm, pc, base, consts, frame)
});

// Elements.

/// Goes on with the element under an integer key, if it is in the array part and not nil.
macro_rules! load_element {
    ($object:expr, $key:expr, $vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident) => {
        let t = pointer::<Table>($object);
        let key: u64 = $key;
        if key.wrapping_sub(1) < (*t).header.word as u64 {
            let kind = (*t).header.aux;
            if kind == ANY_ELEMENTS {
                let v = element::<Value>(t, key);
                if !(*v).is_nil() {
                    *reg($base, a_of($pc)) = *v;
                    return next_apart::<M, 1>($vm, $pc, $base, $consts, $frame);
                }
            } else if kind == BOOL_ELEMENTS {
                let tag = *element::<Tag>(t, key);
                if tag != Tag::Nil {
                    (*reg($base, a_of($pc))).tag = tag;
                    return next_apart::<M, 3>($vm, $pc, $base, $consts, $frame);
                }
            } else {
                // In this order the two ways have nothing in common that would be computed in front of them.
                let to = reg($base, a_of($pc));
                (*to).tag = tag_of_kind(kind);
                (*to).payload = *element::<u64>(t, key);
                return next_apart::<M, 2>($vm, $pc, $base, $consts, $frame);
            }
        }
    };
}

/// The place of the element under a key from 1 to the length of the array part, whose elements are `T`s.
#[inline(always)]
unsafe fn element<T>(t: *mut Table, key: u64) -> *mut T {
    // SAFETY: the key was compared with the length. The place in front of the first is not looked at.
    unsafe { (*t).array.cast::<T>().wrapping_sub(1).wrapping_add(key as usize) }
}

/// Whether an integer key that is no element of `t` is absent for sure.
#[inline(always)]
unsafe fn has_nothing_else(t: *mut Table) -> bool {
    // SAFETY: `t` is alive.
    unsafe { (*t).meta.is_null() && (*t).hash.is_null() }
}

/// The integer that a float key stands for, if it does. Where all numbers are floats, this is what most keys are: the
/// handlers for them call nothing, so that they keep no registers.
#[inline(always)]
fn index_of(key: Value) -> Option<u64> {
    let int = key.as_float()? as i64;
    if int as f64 == key.raw_float() { Some(int as u64) } else { None }
}

handler!(get_table(vm, pc, base, consts, frame) {
    let (object, key) = (reg(base, b_of(pc)), reg(base, c_of(pc)));
    if (*object).tag == Tag::Table && (*key).tag == Tag::Int {
        load_element!(*object, (*key).payload, vm, pc, base, consts, frame);
    }
    get_table_float::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_table_float(vm, pc, base, consts, frame) {
    let (object, key) = (reg(base, b_of(pc)), reg(base, c_of(pc)));
    if (*object).tag == Tag::Table
        && let Some(key) = index_of(*key)
    {
        load_element!(*object, key, vm, pc, base, consts, frame);
    }
    get_table_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_table_cold(vm, pc, base, consts, frame) {
    let (object, key) = (*reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if object.tag == Tag::Table && key.tag == Tag::Int && has_nothing_else(pointer(object)) {
        *reg(base, a_of(pc)) = Value::NIL;
        return next::<M>(vm, pc, base, consts, frame);
    }
    if let Some(t) = object.as_table() {
        let v = match key.tag {
            Tag::Str => t.get_str(Gc::from_address(key.payload)),
            Tag::Int => t.get_int(key.raw_int()),
            _ => Value::NIL,
        };
        if !v.is_nil() {
            *reg(base, a_of(pc)) = v;
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_table(vm, again(pc), object, key))
});

handler!(get_int(vm, pc, base, consts, frame) {
    let object = reg(base, b_of(pc));
    if (*object).tag == Tag::Table {
        load_element!(*object, d_of(pc) as i64 as u64, vm, pc, base, consts, frame);
    }
    get_int_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] get_int_cold(vm, pc, base, consts, frame) {
    let object = *reg(base, b_of(pc));
    if object.tag == Tag::Table && has_nothing_else(pointer(object)) {
        *reg(base, a_of(pc)) = Value::NIL;
        return next::<M>(vm, pc, base, consts, frame);
    }
    (*frame).pc = pc;
    after::<M>(vm, consts, index::get_table(vm, again(pc), object, (*vm).int_value(d_of(pc) as i64)))
});

/// Goes on with a store to the element under an integer key, if it is there and stays what it is: bare payloads are never
/// nil, and one that is present needs no look at `__newindex`.
macro_rules! store_element {
    ($object:expr, $key:expr, $vm:ident, $pc:ident, $base:ident, $consts:ident, $frame:ident) => {
        let t = pointer::<Table>($object);
        let key: u64 = $key;
        if key.wrapping_sub(1) < (*t).header.word as u64 {
            let v = reg($base, c_of($pc));
            let tag = (*v).tag;
            if (*t).header.aux == tag as u8 {
                *element::<u64>(t, key) = (*v).payload;
                if tag as u8 >= Tag::FIRST_OBJECT as u8 && (*t).header.mark & mark::BLACK != 0 {
                    return store_barrier::<M>($vm, $pc, $base, $consts, $frame);
                }
                return next_apart::<M, 1>($vm, $pc, $base, $consts, $frame);
            }
            if (*t).header.aux == ANY_ELEMENTS && tag != Tag::Nil {
                let slot = element::<Value>(t, key);
                if (*t).meta.is_null() || !(*slot).is_nil() {
                    (*slot).payload = (*v).payload;
                    (*slot).tag = tag;
                    if tag as u8 >= Tag::FIRST_OBJECT as u8 && (*t).header.mark & mark::BLACK != 0 {
                        return store_barrier::<M>($vm, $pc, $base, $consts, $frame);
                    }
                    return next_apart::<M, 2>($vm, $pc, $base, $consts, $frame);
                }
            }
            if (*t).header.aux == BOOL_ELEMENTS && is_flag(tag) && tag != Tag::Nil {
                let place = element::<Tag>(t, key);
                if (*t).meta.is_null() || *place != Tag::Nil {
                    *place = tag;
                    return next_apart::<M, 3>($vm, $pc, $base, $consts, $frame);
                }
            }
        }
    };
}

handler!(set_table(vm, pc, base, consts, frame) {
    let (object, key) = (reg(base, a_of(pc)), reg(base, b_of(pc)));
    if (*object).tag == Tag::Table && (*key).tag == Tag::Int {
        store_element!(*object, (*key).payload, vm, pc, base, consts, frame);
    }
    set_table_float::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] set_table_float(vm, pc, base, consts, frame) {
    let (object, key) = (reg(base, a_of(pc)), reg(base, b_of(pc)));
    if (*object).tag == Tag::Table
        && let Some(key) = index_of(*key)
    {
        store_element!(*object, key, vm, pc, base, consts, frame);
    }
    set_table_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] set_table_cold(vm, pc, base, consts, frame) {
    let (object, key, v) = (*reg(base, a_of(pc)), *reg(base, b_of(pc)), *reg(base, c_of(pc)));
    if object.tag == Tag::Table
        && key.tag == Tag::Int
        && index::append_element(vm, pointer(object), key.payload.wrapping_sub(1), v)
    {
        return next::<M>(vm, pc, base, consts, frame);
    }
    if object.tag == Tag::Table
        && let Some(key) = index_of(key)
        && index::append_element(vm, pointer(object), key.wrapping_sub(1), v)
    {
        return next::<M>(vm, pc, base, consts, frame);
    }
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_table(vm, object, key, v))
});

handler!(set_int(vm, pc, base, consts, frame) {
    let object = reg(base, a_of(pc));
    if (*object).tag == Tag::Table {
        store_element!(*object, d_of(pc) as i64 as u64, vm, pc, base, consts, frame);
    }
    set_int_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] set_int_cold(vm, pc, base, consts, frame) {
    let (object, key, v) = (*reg(base, a_of(pc)), d_of(pc) as i64, *reg(base, c_of(pc)));
    if object.tag == Tag::Table && index::append_element(vm, pointer(object), (key as u64).wrapping_sub(1), v) {
        return next::<M>(vm, pc, base, consts, frame);
    }
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_table(vm, object, (*vm).int_value(key), v))
});

// Constructors, length, concatenation.

handler!(new_table(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::new_table(vm, again(pc)))
});

handler!(new_record(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    let proto = (*(*frame).closure).proto;
    index::new_record(vm, reg(base, a_of(pc)), bc_of(pc), *(*proto).templates.add(d_of(pc) as usize));
    if (*vm).heap.bytes >= (*vm).heap.threshold {
        return after::<M>(vm, consts, call::collect_in_lua(vm));
    }
    next::<M>(vm, pc, base, consts, frame)
});

handler!(set_list(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::set_list(vm, again(pc)))
});

handler!(len(vm, pc, base, consts, frame) {
    let x = reg(base, b_of(pc));
    if (*x).tag == Tag::Table {
        let t = pointer::<Table>(*x);
        if (*t).meta.is_null() {
            *reg(base, a_of(pc)) = Value::int(Gc::from_ptr(t).length());
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    len_cold::<M>(vm, pc, base, consts, frame)
});

handler!(len_f(vm, pc, base, consts, frame) {
    let x = reg(base, b_of(pc));
    if (*x).tag == Tag::Table {
        let t = pointer::<Table>(*x);
        if (*t).meta.is_null() {
            *reg(base, a_of(pc)) = Value::float(Gc::from_ptr(t).length() as f64);
            return next::<M>(vm, pc, base, consts, frame);
        }
    }
    len_cold::<M>(vm, pc, base, consts, frame)
});

handler!(#[inline(never)] len_cold(vm, pc, base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, index::len(vm, again(pc), *reg(base, b_of(pc))))
});

handler!(concat_(vm, pc, _base, consts, frame) {
    (*frame).pc = pc;
    after::<M>(vm, consts, concat::concat(vm, again(pc)))
});
