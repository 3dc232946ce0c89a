//! A walker that proves the heap's invariants, for tests.
//!
//! It looks at every cell, then follows every reference from the roots:
//! * each reference leads to a live cell of the right kind, in weak tables and in slots above a stack's live end too;
//! * while marking, no black object refers to a white one;
//! * free lists hold free cells, each once, and all of those in swept blocks;
//! * the intern table holds exactly the short strings;
//! * `bytes` is the sum of cells, raw buffers and what else is counted.

use std::collections::{HashMap, HashSet};

use super::cells::{CLASSES, class_bytes, next_free};
use super::mark::is_open;
use super::stacks::{frame_count, next_open, stack_slots};
use super::{Heap, Marker, Phase, Roots, kind_of, raw_bytes};
use crate::object::mark::{BLACK, FINALIZER, FIXED, WHITES};
use crate::object::{GcHeader, Kind, LuaClosure, NativeClosure, Proto, Str, Table, Thread, UpVal, UserData};
use crate::stack::Frame;
use crate::table::trace;
use crate::value::Value;

/// How many, and how many bytes with their buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects.
    pub count: usize,
    /// Bytes of their cells and buffers.
    pub bytes: usize,
}

/// What a heap holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    allocated: [Tally; 14],
    reachable: [Tally; 14],
}

impl Census {
    /// All objects of a kind, dead ones that are not swept yet included.
    pub fn allocated(&self, kind: Kind) -> Tally {
        self.allocated[kind as usize]
    }

    /// The objects of a kind that the roots lead to.
    pub fn reachable(&self, kind: Kind) -> Tally {
        self.reachable[kind as usize]
    }

    /// All objects that the roots lead to.
    pub fn reachable_count(&self) -> usize {
        self.reachable.iter().map(|t| t.count).sum()
    }

    /// All objects.
    pub fn allocated_count(&self) -> usize {
        self.allocated.iter().map(|t| t.count).sum()
    }
}

/// A reference from one object to another.
struct Edge {
    to: *mut GcHeader,
    kind: Kind,
    /// Whether what it leads to is reachable by it.
    live: bool,
}

struct Walk<'h> {
    heap: &'h Heap,
    /// The bytes of every cell in use.
    cells: HashMap<*mut GcHeader, usize>,
    census: Census,
}

impl Heap {
    /// Walks the heap. The error says what is wrong.
    pub fn check(&self, roots: &mut dyn Roots) -> Result<Census, String> {
        let mut walk = Walk { heap: self, cells: HashMap::new(), census: Census::default() };
        walk.collect_cells()?;
        walk.compare_bytes()?;
        walk.compare_lists()?;
        let mut list = Vec::new();
        roots.trace(&mut Marker::collecting(&mut list));
        list.extend(self.to_finalize.iter());
        walk.follow(list)?;
        Ok(walk.census)
    }
}

impl Walk<'_> {
    fn collect_cells(&mut self) -> Result<(), String> {
        for class in 0..CLASSES {
            let blocks = &self.heap.blocks[class];
            let mut free = HashSet::new();
            for (index, block) in blocks.list.iter().enumerate().filter(|(_, b)| !b.start.is_null()) {
                let unswept = self.heap.phase == Phase::Sweep && (blocks.next_sweep..blocks.sweep_end).contains(&index);
                for i in 0..block.cells as usize {
                    // SAFETY: a block has `cells` cells of its class, each with an initialised header.
                    let (h, kind) = unsafe {
                        let h: *mut GcHeader = block.start.add(i * class_bytes(class)).cast();
                        (h, kind_of(h))
                    };
                    if kind != Kind::Free {
                        self.cells.insert(h, class_bytes(class));
                    } else if !unswept {
                        free.insert(h);
                    }
                }
            }
            let mut h = self.heap.free[class];
            while !h.is_null() {
                if !free.remove(&h) {
                    return Err(format!(
                        "class {class}: a cell on the free list is used, unswept, foreign or listed twice"
                    ));
                }
                // SAFETY: it is a free cell of a block.
                h = unsafe { *next_free(h) };
            }
            if !free.is_empty() {
                return Err(format!("class {class}: {} free cells are not on the free list", free.len()));
            }
        }
        for cell in &self.heap.large {
            self.cells.insert(cell.header, cell.bytes);
        }
        Ok(())
    }

    fn compare_bytes(&mut self) -> Result<(), String> {
        let heap = self.heap;
        let mut total = heap.interned.bytes() + heap.counted_shapes + heap.external;
        let mut short = 0;
        for (&h, &bytes) in &self.cells {
            // SAFETY: cells in use hold objects, dead ones too until they are swept, with their buffers.
            unsafe {
                let bytes = bytes + owned_bytes(h);
                total += bytes;
                let tally = &mut self.census.allocated[(*h).kind as usize];
                tally.count += 1;
                tally.bytes += bytes;
                if (*h).kind == Kind::Str && (*h).flags & Str::SHORT != 0 {
                    short += 1;
                    if heap.interned.find((*h).word, crate::string::bytes_of(h.cast())) != Some(h.cast()) {
                        return Err("a short string is not interned, or twice".into());
                    }
                }
            }
        }
        if short != heap.interned.len() {
            return Err(format!("{short} short strings, but {} interned ones", heap.interned.len()));
        }
        if total != heap.bytes {
            return Err(format!("{} bytes are counted, {total} are there", heap.bytes));
        }
        Ok(())
    }

    fn compare_lists(&self) -> Result<(), String> {
        let heap = self.heap;
        for &h in heap.with_finalizer.iter().chain(&heap.to_finalize) {
            // SAFETY: it is looked at only if it is a cell in use.
            if !self.cells.contains_key(&h) || unsafe { (*h).mark } & FINALIZER == 0 {
                return Err("an object in a list of finalizers is dead, or does not know it".into());
            }
        }
        if let Some(th) = heap.threads.iter().find(|&&th| !self.cells.contains_key(&th.cast())) {
            return Err(format!("thread {th:p} is freed, but still in the list"));
        }
        Ok(())
    }

    /// Follows all references from a list of objects.
    fn follow(&mut self, mut list: Vec<*mut GcHeader>) -> Result<(), String> {
        let heap = self.heap;
        let mut seen: HashSet<*mut GcHeader> = HashSet::new();
        let mut edges = Vec::new();
        if let Some(h) = list.iter().find(|h| !self.cells.contains_key(h)) {
            return Err(format!("root {h:p} is not a live cell"));
        }
        while let Some(h) = list.pop() {
            if !seen.insert(h) {
                continue;
            }
            // SAFETY: only cells in use get onto the list.
            let (kind, mark) = unsafe { ((*h).kind, (*h).mark) };
            if mark & heap.dead_white() != 0 && mark & FIXED == 0 {
                return Err(format!("a reachable {kind:?} has the colour of the dead"));
            }
            let tally = &mut self.census.reachable[kind as usize];
            tally.count += 1;
            // SAFETY: as above.
            unsafe {
                tally.bytes += self.cells[&h] + owned_bytes(h);
                collect_edges(h, &mut edges);
            }
            for Edge { to, kind: wanted, live } in edges.drain(..) {
                if !self.cells.contains_key(&to) {
                    return Err(format!("a {kind:?} refers to a {wanted:?} at {to:p}, which is not a live cell"));
                }
                // SAFETY: it is a cell in use.
                let (found, to_mark) = unsafe { ((*to).kind, (*to).mark) };
                if found != wanted {
                    return Err(format!("a {kind:?} refers to a {found:?} as a {wanted:?}"));
                }
                if live {
                    if heap.phase == Phase::Propagate && mark & BLACK != 0 && to_mark & WHITES != 0 {
                        return Err(format!("a black {kind:?} refers to a white {wanted:?}"));
                    }
                    list.push(to);
                }
            }
        }
        Ok(())
    }
}

/// The counted bytes that an object owns besides its cell.
///
/// # Safety
/// `h` is an object that is not freed.
unsafe fn owned_bytes(h: *mut GcHeader) -> usize {
    // SAFETY: the caller's duty; the kind says what the cell holds.
    unsafe {
        match (*h).kind {
            Kind::Table => trace::buffer_bytes(h.cast()),
            Kind::UserData => {
                let u: *mut UserData = h.cast();
                (*u).host_bytes() + raw_bytes((*h).word as usize * size_of::<Value>())
            }
            Kind::Thread => {
                let th: *mut Thread = h.cast();
                raw_bytes(stack_slots(th) * size_of::<Value>()) + raw_bytes(frame_count(th) * size_of::<Frame>())
            }
            Kind::Proto => (*h.cast::<Proto>()).info.bytes,
            Kind::Free | Kind::Str | Kind::LuaFn | Kind::NativeFn | Kind::UpVal => 0,
        }
    }
}

/// Collects what an object refers to.
///
/// # Safety
/// `h` is a live object.
unsafe fn collect_edges(h: *mut GcHeader, edges: &mut Vec<Edge>) {
    fn pointer<T>(edges: &mut Vec<Edge>, to: *mut T, kind: Kind) {
        if !to.is_null() {
            edges.push(Edge { to: to.cast(), kind, live: true });
        }
    }
    fn value(edges: &mut Vec<Edge>, v: Value, live: bool) {
        const KINDS: [Kind; 6] = [Kind::Str, Kind::Table, Kind::LuaFn, Kind::NativeFn, Kind::UserData, Kind::Thread];
        if let Some(to) = v.header() {
            edges.push(Edge { to, kind: KINDS[v.tag as usize - Kind::Str as usize], live });
        }
    }
    // SAFETY: the caller's duty; the kind says what the cell holds, and all that is read is initialised.
    unsafe {
        match (*h).kind {
            Kind::Free | Kind::Str => {}
            Kind::Table => {
                let t: *mut Table = h.cast();
                pointer(edges, (*t).meta, Kind::Table);
                trace::visit_strong(t, |v| value(edges, v, true));
            }
            Kind::LuaFn => {
                pointer(edges, (*h.cast::<LuaClosure>()).proto, Kind::Proto);
                for i in 0..(*h).word as usize {
                    pointer(edges, *LuaClosure::upvals(h.cast()).add(i), Kind::UpVal);
                }
            }
            Kind::NativeFn => {
                for i in 0..(*h).word as usize {
                    value(edges, *NativeClosure::upvals(h.cast()).add(i), true);
                }
            }
            Kind::UserData => {
                let u: *mut UserData = h.cast();
                pointer(edges, (*u).meta, Kind::Table);
                for i in 0..(*h).word as usize {
                    value(edges, *(*u).user_values.add(i), true);
                }
            }
            Kind::UpVal => {
                let uv: *mut UpVal = h.cast();
                value(edges, *(*uv).slot, true);
                if is_open(uv) && (*h).mark & BLACK != 0 {
                    // Must not be: it would need barriers. Shown as a reference that is wrong in any heap.
                    edges.push(Edge { to: std::ptr::null_mut(), kind: Kind::UpVal, live: false });
                }
            }
            Kind::Proto => {
                let info = &*(*h.cast::<Proto>()).info;
                value(edges, info.source, true);
                info.consts().iter().for_each(|&v| value(edges, v, true));
                info.protos.iter().for_each(|&p| pointer(edges, p, Kind::Proto));
            }
            Kind::Thread => {
                let th: *mut Thread = h.cast();
                value(edges, (*th).hook, true);
                value(edges, (*th).error, true);
                pointer(edges, (*th).resumer, Kind::Thread);
                let mut uv = (*th).open_upvals;
                while !uv.is_null() {
                    pointer(edges, uv, Kind::UpVal);
                    uv = next_open(uv);
                }
                let slots = stack_slots(th);
                let live = if slots == 0 { 0 } else { super::stacks::live_end(th).offset_from_unsigned((*th).stack) };
                for i in 0..slots {
                    value(edges, *(*th).stack.add(i), i < live);
                }
            }
        }
    }
}
