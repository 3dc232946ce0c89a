//! A model of memory as bytes, and back: where compiled code finds what the evaluator has in its maps.
//!
//! ```text
//! 0x0000  the VM: fuel, heap, scratch, the result, the end of the log
//! 0x0100  replies of the helpers
//! 0x0800  free cells, by size class
//! 0x1000  log of calls
//! 0x4000  stack
//! 0x8000  objects and buffers
//! 0x18000 hash parts, and the indices of shapes
//! ```

use std::mem::{offset_of, size_of};

use perilune_runtime::heap::{class_bytes, class_of};
use perilune_runtime::object::{ANY_ELEMENTS, GcHeader, Kind, Str, Table, mark};
use perilune_trace::eval::{Model, VALUE, Val};
use perilune_trace::ir::{Field, Helper, Tree, Ty};

use super::elf::{DATA, DATA_SIZE};
use super::tables;
use crate::handover::{SlotWrite, TableImage};
use crate::layout::{self, Width};

/// Offsets in the VM.
pub(super) const FUEL: i32 = 0;
pub(super) const HEAP_BYTES: i32 = 8;
pub(super) const HEAP_THRESHOLD: i32 = 16;
pub(super) const SCRATCH: i32 = 24;
pub(super) const RESULT: i32 = 32;
pub(super) const LOG_END: i32 = 40;
pub(super) const HEAP_WHITE: i32 = 48;
pub(super) const ROOM: i32 = 64;
pub(super) const HEAP_FREE: i32 = 0x800;
pub(super) const REPLIES: i32 = 0x100;

pub(super) const STACK: u64 = DATA + 0x4000;
pub(super) const OBJECTS: u64 = DATA + 0x8000;

const LOG: u64 = DATA + 0x1000;
/// Bytes of an entry of the log: the helper's number, and operands.
pub(super) const LOG_ENTRY: i64 = 64;

/// The size class of a record with room for `n` properties.
fn record_class(n: u64) -> usize {
    class_of(size_of::<Table>() + (n * VALUE) as usize)
}

/// Offset of the first free cell for records with room for `n` properties in the VM.
fn free_list(n: u64) -> i32 {
    HEAP_FREE + 8 * record_class(n) as i32
}

/// Offset of a helper's reply in the VM.
pub(super) const fn reply_of(helper: Helper) -> i32 {
    REPLIES + helper as i32 * 16
}

/// Bytes at the addresses from [`DATA`] on.
pub(super) struct Image(pub(super) Vec<u8>);

impl Image {
    pub(super) fn of(model: &Model, tree: &Tree) -> Image {
        let mut image = Image(vec![0; DATA_SIZE]);
        image.set_vm(FUEL, model.fuel as u64);
        image.set_vm(HEAP_THRESHOLD, if model.collects { 0 } else { u64::MAX });
        image.set_vm(LOG_END, LOG);
        image.set_vm(ROOM + layout::ROOM_SLOTS, u64::MAX);
        image.set_vm(ROOM + layout::ROOM_HELD, STACK);
        image.set_vm(ROOM + layout::ROOM_WRITTEN, STACK + u64::from(tree.first_written()) * VALUE);
        for (helper, reply) in &model.replies {
            image.set_vm(reply_of(*helper), reply.result);
            image.set_vm(reply_of(*helper) + 8, reply.scratch);
        }
        for ((object, field, number), value) in &model.fields {
            let (offset, width) = layout::field(*field, *number);
            image.set(object.wrapping_add_signed(offset.into()), &value.to_le_bytes()[..width_of(width)]);
        }
        for (address, value) in &model.values {
            image.set(*address, &value.bits.to_le_bytes());
            image.set(address + layout::TAG as u64, &[value.ty as u8]);
        }
        for (address, value) in &model.packed {
            image.set(*address, &value.to_le_bytes());
        }
        for (address, ty) in &model.flags {
            image.set(*address, &[*ty as u8]);
        }
        for (address, bytes) in &model.bytes {
            image.set(address + layout::BYTES as u64, bytes);
            image.set(address + layout::FLAGS as u64, &[Str::SHORT]);
        }
        tables::place(&mut image, model);
        for (n, cells) in &model.cells {
            let mut link = DATA + free_list(*n) as u64;
            for cell in cells {
                image.set(link, &cell.to_le_bytes());
                link = cell + size_of::<GcHeader>() as u64;
            }
        }
        image.set_vm(HEAP_WHITE, mark::WHITE1.into());
        image
    }

    pub(super) fn set(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - DATA) as usize;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn set_vm(&mut self, offset: i32, value: u64) {
        self.set(DATA + offset as u64, &value.to_le_bytes());
    }

    pub(super) fn word(&self, address: u64, bytes: usize) -> u64 {
        let at = (address - DATA) as usize;
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(&self.0[at..at + bytes]);
        u64::from_le_bytes(word)
    }

    pub(super) fn vm(&self, offset: i32) -> u64 {
        self.word(DATA + offset as u64, 8)
    }

    fn value(&self, address: u64) -> Val {
        let tag = self.word(address + layout::TAG as u64, 1) as u8;
        let ty = Ty::of_tag(tag).unwrap_or(Ty::Void);
        Val { ty, bits: if ty.is_primitive() { 0 } else { self.word(address, 8) } }
    }

    /// Does what is the caller's after an exit.
    pub(super) fn complete(&mut self, writes: &[SlotWrite], fuel: u32) {
        for write in writes {
            let place = STACK + u64::from(write.slot) * VALUE;
            self.set(place + layout::TAG as u64, &[write.ty as u8]);
            if let Some(payload) = write.payload {
                self.set(place, &payload.to_le_bytes());
            }
        }
        self.set_vm(FUEL, self.vm(FUEL).wrapping_sub(fuel.into()));
    }

    /// Makes tables as the caller does after an exit, in the free cells of their sizes.
    pub(super) fn make_tables(&mut self, tables: &[TableImage]) {
        let place = |slot: u32| STACK + u64::from(slot) * VALUE;
        let cells: Vec<u64> = tables.iter().map(|table| self.make_table(table)).collect();
        for (table, cell) in tables.iter().zip(&cells) {
            for slot in &table.slots {
                self.set(place(*slot), &cell.to_le_bytes());
                self.set(place(*slot) + layout::TAG as u64, &[Ty::Table as u8]);
            }
        }
        for (table, cell) in tables.iter().zip(cells) {
            for n in 0..table.count + table.elements {
                let at = (place(table.first + n) - DATA) as usize;
                let value: Vec<u8> = self.0[at..at + VALUE as usize].to_vec();
                self.set(cell + size_of::<Table>() as u64 + u64::from(n) * VALUE, &value);
            }
        }
    }

    /// A table without what is in it. Elements will be whole values behind its properties, as in the model.
    fn make_table(&mut self, table: &TableImage) -> u64 {
        let n = u64::from(table.count);
        let cell = self.vm(free_list(n));
        assert_ne!(cell, 0, "the model has a cell for each");
        let next = self.word(cell + size_of::<GcHeader>() as u64, 8);
        self.set_vm(free_list(n), next);
        self.set_vm(HEAP_BYTES, self.vm(HEAP_BYTES) + class_bytes(record_class(n)) as u64);
        let header = [Kind::Table as u8, mark::WHITE1, 0, perilune_runtime::table::EMPTY_ELEMENTS];
        self.set(cell, &header);
        let len = u64::from(table.elements);
        let (array, kind) = match len {
            0 => (0, Ty::Int as u64),
            _ => (cell + size_of::<Table>() as u64 + n * VALUE, u64::from(ANY_ELEMENTS)),
        };
        let fields = [(Field::Shape, table.shape), (Field::Meta, table.meta), (Field::Array, array), (Field::Hash, 0)];
        let counts = [(Field::Kind, kind), (Field::Len, len), (Field::Cap, len)];
        for (field, value) in fields.into_iter().chain(counts) {
            let (offset, width) = layout::field(field, 0);
            self.set(cell.wrapping_add_signed(offset.into()), &value.to_le_bytes()[..width_of(width)]);
        }
        self.set(cell + offset_of!(Table, slot_cap) as u64, &(n << 16 | n).to_le_bytes()[..4]);
        cell
    }

    /// What differs from a model, leaving out the slots of the stack that `is_live` does not name.
    pub(super) fn differences(&self, model: &Model, is_live: impl Fn(u32) -> bool) -> Vec<String> {
        let mut differences = Vec::new();
        let mut compare = |what: String, here: u64, there: u64| {
            if !same_bits(here, there) {
                differences.push(format!("{what}: {here:#x} instead of {there:#x}"));
            }
        };
        compare("fuel".to_owned(), self.vm(FUEL), model.fuel as u64);
        for ((object, field, number), value) in &model.fields {
            let (offset, width) = layout::field(*field, *number);
            let here = self.word(object.wrapping_add_signed(offset.into()), width_of(width));
            compare(format!("{object:#x}.{}", field.name()), here, *value);
        }
        for (address, value) in &model.values {
            let is_slot = (STACK..OBJECTS).contains(address);
            if is_slot && !is_live(((address - STACK) / VALUE) as u32) {
                continue;
            }
            let here = self.value(*address);
            compare(format!("tag at {address:#x}"), here.ty as u64, value.ty as u64);
            compare(format!("value at {address:#x}"), here.bits, value.bits);
        }
        for (address, value) in &model.packed {
            compare(format!("element at {address:#x}"), self.word(*address, 8), *value);
        }
        for (address, ty) in &model.flags {
            compare(format!("flag at {address:#x}"), self.word(*address, 1), *ty as u64);
        }
        for ((table, ty, key), here, there) in tables::entries(self, model) {
            let key = format!("{table:#x}[{} {key:#x}]", ty.name());
            compare(format!("tag of {key}"), here.ty as u64, there.ty as u64);
            compare(format!("value of {key}"), here.bits, there.bits);
        }
        let bytes = model.made.iter().map(|(n, _)| class_bytes(record_class(*n)) as u64).sum();
        compare("bytes of the heap".to_owned(), self.vm(HEAP_BYTES), bytes);
        for (n, cells) in &model.cells {
            let first = cells.first().copied().unwrap_or_default();
            compare(format!("free cells for {n} properties"), self.vm(free_list(*n)), first);
        }
        for (n, cell) in &model.made {
            let header = Kind::Table as u64 | u64::from(mark::WHITE1) << 8;
            compare(format!("header at {cell:#x}"), self.word(*cell, 3), header);
            let room = *n << 16 | n;
            compare(format!("room at {cell:#x}"), self.word(cell + offset_of!(Table, slot_cap) as u64, 4), room);
        }
        let calls = (self.vm(LOG_END) - LOG) / LOG_ENTRY as u64;
        compare("calls".to_owned(), calls, model.calls.len() as u64);
        for (n, (helper, operands)) in model.calls.iter().enumerate() {
            let entry = LOG + n as u64 * LOG_ENTRY as u64;
            compare(format!("call {n}"), self.word(entry, 8), *helper as u64);
            for (k, operand) in operands.iter().enumerate() {
                compare(format!("operand {k} of call {n}"), self.word(entry + 8 + 8 * k as u64, 8), *operand);
            }
        }
        differences
    }
}

fn width_of(width: Width) -> usize {
    match width {
        Width::Byte => 1,
        Width::Half => 4,
        Width::Word => 8,
    }
}

/// Machines make NaNs with different signs, which Lua programs do not see.
fn same_bits(x: u64, y: u64) -> bool {
    x == y || f64::from_bits(x).is_nan() && f64::from_bits(y).is_nan()
}
