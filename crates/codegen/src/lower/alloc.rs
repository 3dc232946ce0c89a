//! New tables from the free cells of their size class, without a call.
//!
//! A cell is taken as `Heap::alloc_small` takes it, and becomes a table as `table::init` makes one. Where the class has no free
//! cell, the helper sweeps for one, or gets more memory. No collector runs before the path's next `nocoll`: until then
//! the slots of a new record may hold anything.

use std::mem::{offset_of, size_of};

use cranelift_codegen::ir::types;
use perilune_runtime::heap::{MAX_INLINE_SLOTS, class_bytes, class_of};
use perilune_runtime::object::{GcHeader, Kind, Table};
use perilune_runtime::table::EMPTY_ELEMENTS;
use perilune_trace::ir::{Helper, Inst, Ref};

use super::Lowering;
use crate::layout::VALUE;
use crate::mir::Value;

/// The next free cell of its class stands behind the header of one.
const NEXT_FREE: i32 = size_of::<GcHeader>() as i32;

/// The header of a table but for its colour, as a little-endian number. Flags and length are 0.
const HEADER: i64 = (Kind::Table as i64) << (8 * offset_of!(GcHeader, kind))
    | (EMPTY_ELEMENTS as i64) << (8 * offset_of!(GcHeader, aux));
/// Where the colour goes.
const COLOUR_SHIFT: i64 = 8 * offset_of!(GcHeader, mark) as i64;

const CAPS: usize = offset_of!(Table, array_cap);
const _: () = assert!(CAPS.is_multiple_of(8) && size_of::<Table>() == CAPS + 8, "the rooms are one word at the end");
const _: () = assert!(cfg!(target_endian = "little"), "machines that code is made for are little-endian");

/// Rooms of a table: none in its array, `n` slots in its cell.
const fn caps(n: i64) -> i64 {
    n << (8 * (offset_of!(Table, slot_cap) - CAPS)) | n << (8 * (offset_of!(Table, inline_cap) - CAPS))
}

impl Lowering<'_, '_> {
    /// A table with a shape, and with room for a constant number of properties in its cell.
    pub(super) fn new_record(&mut self, r: Ref, inst: &Inst) {
        let room = self.tree.const_int(inst.b()).filter(|n| (0..=i64::from(MAX_INLINE_SLOTS)).contains(n));
        let Some(room) = room else { return self.plain_call(r, inst, Helper::NewRecord) };
        let class = class_of(size_of::<Table>() + (room * VALUE) as usize);
        let free = self.env.heap_free + (class * size_of::<*mut GcHeader>()) as i32;
        let (slow, quick, done) = (self.cold_block(), self.b.create_block(), self.b.create_block());
        self.b.append_block_param(done, types::I64);
        let vm = self.vm;
        let cell = self.load(types::I64, vm, free);
        self.b.brif(cell, quick, &[], slow, &[]);
        self.go_on_in(quick);
        let next = self.load(types::I64, cell, NEXT_FREE);
        self.store(next, vm, free);
        let bytes = self.load(types::I64, vm, self.env.heap_bytes);
        let bytes = self.b.iadd_imm(bytes, class_bytes(class) as i64);
        self.store(bytes, vm, self.env.heap_bytes);
        self.init_table(cell, inst.a(), room);
        self.b.jump(done, &[cell]);
        self.go_on_in(slow);
        if let Some(made) = self.call_helper(inst, Helper::NewRecord) {
            self.leave_unless(made, Self::snap(inst));
            self.b.jump(done, &[made]);
        }
        self.go_on_in(done);
        let made = self.b.block_params(done)[0];
        self.define(r, made);
    }

    fn init_table(&mut self, cell: Value, shape: Ref, room: i64) {
        let vm = self.vm;
        let at = self.env.heap_white;
        let white = self.b.uload8(types::I64, vm, at);
        let colour = self.b.ishl_imm(white, COLOUR_SHIFT);
        let header = self.b.iadd_imm(colour, HEADER);
        self.store(header, cell, 0);
        let shape = self.value(shape);
        self.store(shape, cell, offset_of!(Table, shape) as i32);
        let slots = self.b.iadd_imm(cell, size_of::<Table>() as i64);
        self.store(slots, cell, offset_of!(Table, slots) as i32);
        let null = self.int(0);
        for field in [offset_of!(Table, meta), offset_of!(Table, array), offset_of!(Table, hash)] {
            self.store(null, cell, field as i32);
        }
        let caps = self.int(caps(room));
        self.store(caps, cell, CAPS as i32);
    }
}
