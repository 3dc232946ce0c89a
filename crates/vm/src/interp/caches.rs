//! Where the fields of tables are: what instructions remember of it, and what they share.
//!
//! An instruction's own [`Cache`] remembers one own and one inherited place. An instruction that meets many shapes, or finds
//! its key further up a chain of `__index` tables, looks at a *route*, of which all instructions share a table:
//!
//! ```text
//! Square.area, with the object's shape and its metatable's:
//!   object  -- metatable of shape M1, slot of __index -->  Square, of shape S1, without the key
//!   Square  -- metatable of shape M2, slot of __index -->  Box, of shape S2, with the key in a slot
//! ```
//!
//! Equal shapes prove where a key is, and that it is nowhere before. Neither caches nor routes need to be traced: shapes are
//! never freed, nor are their keys. A dead key may give its address to a new string, but no shape that lacked the one can
//! have the other.

use perilune_runtime::object::{Cache, StrRef, Table};
use perilune_runtime::table::{FieldSlot, Shape, lookup_field};
use perilune_runtime::value::{Tag, Value};

use super::pointer;
use crate::meta::Event;
use crate::vm::Vm;

/// Misses after which an instruction's own cache is left as it is: the instruction meets many shapes.
pub(crate) const MAX_MISSES: u32 = 8;

/// Routes that all instructions share.
pub(crate) const ROUTES: usize = 128;

/// Most `__index` tables on a route.
const MAX_HOPS: usize = 3;

/// One step of a route, from a table to the one in its metatable's `__index`.
#[derive(Clone, Copy)]
struct Hop {
    meta_shape: *mut Shape,
    index_slot: u32,
    /// The shape of the table that the step leads to.
    shape: *mut Shape,
}

/// What is at the end of a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The key, in this slot.
    Slot(u32),
    /// A table that lacks the key and has no metatable: the value is nil.
    Absent,
    /// Something else: the key has to be looked for.
    Unknown,
}

/// Where to find a key from tables of one shape whose metatables have one shape.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    key: u64,
    shape: *mut Shape,
    meta_shape: *mut Shape,
    hops: [Hop; MAX_HOPS],
    count: u32,
    end: End,
}

impl Route {
    const NO_HOP: Hop = Hop { meta_shape: std::ptr::null_mut(), index_slot: 0, shape: std::ptr::null_mut() };

    /// A route for nothing: no table has the null shape.
    pub(crate) const EMPTY: Route = Route {
        key: 0,
        shape: std::ptr::null_mut(),
        meta_shape: std::ptr::null_mut(),
        hops: [Route::NO_HOP; MAX_HOPS],
        count: 0,
        end: End::Unknown,
    };
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("shape", &self.shape).field("hops", &self.count).finish_non_exhaustive()
    }
}

/// What the way of a key is known to lead to.
pub(crate) enum Place {
    /// A slot, which may hold nil.
    Slot(*mut Value),
    /// Nil.
    Nil,
    /// Not known.
    Unknown,
}

/// Where an instruction's own cache finds its key for `t`: in its own field, or in one of the table in its metatable's
/// `__index`. Null when it does not know.
///
/// # Safety
/// `t` is a live table; `cache` belongs to the running prototype.
#[inline(always)]
pub(crate) unsafe fn cached_place(t: *mut Table, cache: *mut Cache) -> *const Value {
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

/// The shape of a table's metatable; null when it has none.
#[inline(always)]
unsafe fn meta_shape_of(t: *mut Table) -> *mut Shape {
    // SAFETY: a live table's metatable is null or alive.
    unsafe {
        let m = (*t).meta;
        if m.is_null() { std::ptr::null_mut() } else { (*m).shape }
    }
}

/// The place where the route for a table and a key is kept, if there is one.
#[inline(always)]
unsafe fn route_of(vm: *mut Vm, t: *mut Table, key: StrRef) -> *mut Route {
    // SAFETY: `t` is alive; the index is below the number of routes.
    unsafe {
        let from = (*t).shape.addr() >> 4 ^ meta_shape_of(t).addr() << 4;
        let mix = (from as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key.address() >> 3;
        let n = (mix ^ mix >> 17) as usize % ROUTES;
        (&raw mut (*vm).routes).cast::<Route>().add(n)
    }
}

/// Follows the shared route for a key from `t`, which it learns if there is none.
///
/// # Safety
/// `t` is a live table, not a dictionary, `key` a live short string.
#[inline]
pub(crate) unsafe fn routed_place(vm: *mut Vm, t: *mut Table, key: StrRef) -> Place {
    // SAFETY: the caller's duties; an equal shape proves that a slot exists.
    unsafe {
        let route = route_of(vm, t, key);
        if (*route).key != key.address() || (*route).shape != (*t).shape || (*route).meta_shape != meta_shape_of(t) {
            learn(vm, t, key, route);
        }
        if (*route).end == End::Unknown {
            return Place::Unknown;
        }
        let mut at = t;
        for hop in &(&(*route).hops)[..(*route).count as usize] {
            // Where the first table has a metatable of that shape, the tables behind may still be others.
            if meta_shape_of(at) != hop.meta_shape {
                return Place::Unknown;
            }
            let index = (*(*at).meta).slots.add(hop.index_slot as usize);
            if (*index).tag != Tag::Table || (*pointer::<Table>(*index)).shape != hop.shape {
                return Place::Unknown;
            }
            at = pointer(*index);
        }
        match (*route).end {
            End::Slot(slot) => Place::Slot((*at).slots.add(slot as usize)),
            End::Absent if (*at).meta.is_null() => Place::Nil,
            End::Absent | End::Unknown => Place::Unknown,
        }
    }
}

/// Finds out about the way of a key from `t`.
#[cold]
#[inline(never)]
unsafe fn learn(vm: *mut Vm, t: *mut Table, key: StrRef, route: *mut Route) {
    // SAFETY: `t` and the tables behind it are alive.
    unsafe {
        *route = Route { key: key.address(), shape: (*t).shape, meta_shape: meta_shape_of(t), ..Route::EMPTY };
        let mut at = t;
        loop {
            match lookup_field(at, key) {
                FieldSlot::Own(slot) => {
                    (*route).end = End::Slot(slot);
                    return;
                }
                FieldSlot::Dict => return,
                FieldSlot::Absent => {}
            }
            if (*at).meta.is_null() {
                (*route).end = End::Absent;
                return;
            }
            let Some((index_slot, holder)) = index_table(vm, (*at).meta) else { return };
            let count = (*route).count as usize;
            if count == MAX_HOPS {
                return;
            }
            (*route).hops[count] = Hop { meta_shape: (*(*at).meta).shape, index_slot, shape: (*holder).shape };
            (*route).count += 1;
            at = holder;
        }
    }
}

/// The slot of `__index` in a metatable, and the table in it.
unsafe fn index_table(vm: *mut Vm, m: *mut Table) -> Option<(u32, *mut Table)> {
    // SAFETY: `m` is alive.
    unsafe {
        let FieldSlot::Own(slot) = lookup_field(m, (*vm).event_name(Event::Index)) else { return None };
        let index = *(*m).slots.add(slot as usize);
        (index.tag == Tag::Table).then(|| (slot, pointer(index)))
    }
}

/// Remembers in an instruction's cache where `t` has its key, unless it has missed too often.
///
/// # Safety
/// `t` is a live table, `cache` belongs to the running prototype.
#[cold]
#[inline(never)]
pub(crate) unsafe fn remember_load(vm: *mut Vm, t: *mut Table, cache: *mut Cache) {
    // SAFETY: the caller's duties.
    unsafe {
        (*cache).misses = (*cache).misses.saturating_add(1);
        let Some(key) = (*cache).key.as_str() else { return };
        match lookup_field(t, key) {
            FieldSlot::Own(slot) => {
                (*cache).slot = slot;
                (*cache).shape = (*t).shape;
            }
            FieldSlot::Absent if !(*t).meta.is_null() => remember_inherited(vm, (*t).shape, (*t).meta, cache),
            FieldSlot::Absent | FieldSlot::Dict => {}
        }
    }
}

/// Remembers where objects of a shape with the metatable `m` have the key of a cache.
///
/// # Safety
/// `m` is a live table, `cache` belongs to the running prototype.
pub(crate) unsafe fn remember_inherited(vm: *mut Vm, outer: *mut Shape, m: *mut Table, cache: *mut Cache) {
    // SAFETY: the caller's duties.
    unsafe {
        let Some(key) = (*cache).key.as_str() else { return };
        let Some((index_slot, holder)) = index_table(vm, m) else { return };
        let FieldSlot::Own(holder_slot) = lookup_field(holder, key) else { return };
        (*cache).outer_shape = outer;
        (*cache).meta_shape = (*m).shape;
        (*cache).index_slot = index_slot;
        (*cache).holder_shape = (*holder).shape;
        (*cache).holder_slot = holder_slot;
    }
}

/// Remembers in an instruction's cache how to store its key to `t`.
///
/// # Safety
/// As [`remember_load`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn remember_store(vm: *mut Vm, t: *mut Table, cache: *mut Cache) {
    // SAFETY: the caller's duties.
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
