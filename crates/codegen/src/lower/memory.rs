//! Loads, stores and barriers.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types;
use perilune_runtime::object::ANY_ELEMENTS;
use perilune_trace::ir::{Field, Inst, Op, Ref, Ty};

use super::Lowering;
use crate::layout::{self, Width};
use crate::mir::Value;

impl Lowering<'_, '_> {
    pub(super) fn memory(&mut self, r: Ref, inst: &Inst) {
        match inst.op {
            Op::Load => self.load_field(r, inst),
            Op::StoreField => self.store_field(inst),
            Op::LoadProp => self.load_checked_at(r, inst, inst.aux as i32 * layout::VALUE as i32),
            Op::LoadUp | Op::LoadFixed => self.load_checked_at(r, inst, 0),
            Op::LoadElem => {
                let (address, offset) = self.element(inst.a(), inst.b(), layout::VALUE);
                self.load_checked(r, inst, address, offset);
            }
            Op::TagProp | Op::RawProp => {
                let address = self.value(inst.a());
                self.load_part(r, inst, address, inst.aux as i32 * layout::VALUE as i32);
            }
            Op::TagUp | Op::RawUp => {
                let address = self.value(inst.a());
                self.load_part(r, inst, address, 0);
            }
            Op::TagElem | Op::RawElem => {
                let (address, offset) = self.element(inst.a(), inst.b(), layout::VALUE);
                self.load_part(r, inst, address, offset);
            }
            Op::TagMixed => self.load_mixed(r, inst),
            Op::RawMixed => {
                // Right in front of it, the tag was loaded.
                let address = self.elements.get(&inst.a()).copied().unwrap_or(self.vm);
                let v = self.load(types::I64, address, 0);
                self.define(r, v);
            }
            Op::LoadPacked => {
                let (address, offset) = self.element(inst.a(), inst.b(), 8);
                let v = self.load(Self::machine_type(inst.ty), address, offset);
                self.define(r, v);
            }
            Op::LoadFlag => {
                let (address, offset) = self.element(inst.a(), inst.b(), 1);
                let tag = self.b.uload8(types::I32, address, offset);
                let fits = self.is_tag(tag, inst.ty);
                self.leave_unless(fits, Self::snap(inst));
            }
            Op::HasProp => {
                let address = self.value(inst.a());
                self.not_nil(inst, address, inst.aux as i32 * layout::VALUE as i32);
            }
            Op::HasElem => {
                let (address, offset) = self.element(inst.a(), inst.b(), layout::VALUE);
                self.not_nil(inst, address, offset);
            }
            Op::StoreProp => {
                let address = self.value(inst.a());
                self.store_value(inst.b(), address, inst.aux as i32 * layout::VALUE as i32);
            }
            Op::StoreUp => {
                let address = self.value(inst.a());
                self.store_value(inst.b(), address, 0);
            }
            Op::StoreElem => {
                let (address, offset) = self.element(inst.a(), inst.b(), layout::VALUE);
                self.store_value(inst.c(), address, offset);
            }
            Op::StorePacked => {
                let (address, offset) = self.element(inst.a(), inst.b(), 8);
                let v = self.value(inst.c());
                self.store(v, address, offset);
            }
            Op::StoreFlag => {
                let (address, offset) = self.element(inst.a(), inst.b(), 1);
                let tag = self.tree.ty(inst.c()) as i64;
                let tag = self.b.iconst(types::I8, tag);
                self.store(tag, address, offset);
            }
            Op::LoadByte => {
                let (s, n) = (self.value(inst.a()), self.value(inst.b()));
                let address = self.b.iadd(s, n);
                let v = self.b.uload8(types::I64, address, layout::BYTES);
                self.define(r, v);
            }
            Op::Barrier => {
                let table = self.value(inst.a());
                self.barrier(table);
            }
            Op::BarrierUp => self.barrier_up(inst),
            Op::PlaceAddr => {
                let base = self.base();
                let v = self.b.iadd_imm(base, i64::from(Self::slot_offset(inst.aux)));
                self.define(r, v);
            }
            Op::UpIsPlace => self.up_is_place(inst),
            Op::LoadPlace => {
                let base = self.base();
                self.load_checked(r, inst, base, Self::slot_offset(inst.aux));
            }
            Op::StorePlace => self.store_place(inst),
            other => debug_assert!(false, "{other:?} is no access to memory"),
        }
    }

    fn load_field(&mut self, r: Ref, inst: &Inst) {
        let Some(field) = inst.field() else { return };
        let a = self.value(inst.a());
        let (offset, width) = layout::field(field, inst.aux);
        let v = match width {
            Width::Byte => self.b.uload8(types::I64, a, offset),
            Width::Half => self.b.uload32(a, offset),
            Width::Word => self.load(types::I64, a, offset),
        };
        self.define(r, v);
    }

    fn store_field(&mut self, inst: &Inst) {
        let Some(field) = inst.field() else { return };
        let (a, v) = (self.value(inst.a()), self.value(inst.b()));
        let (offset, width) = layout::field(field, inst.aux);
        match width {
            Width::Byte => {
                self.b.istore8(v, a, offset);
            }
            Width::Half => {
                self.b.istore32(v, a, offset);
            }
            Width::Word => self.store(v, a, offset),
        }
        if field == Field::Shape {
            // What was known of absent metamethods may be true no more.
            let zero = self.b.iconst(types::I8, 0);
            self.store(zero, a, layout::FLAGS);
        }
    }

    /// The address and the offset of element `n` behind a buffer. What is constant of `n` goes into the offset.
    fn element(&mut self, buffer: Ref, n: Ref, size: i64) -> (Value, i32) {
        let (index, constant) = self.split(n);
        let buffer = self.value(buffer);
        let offset = constant.checked_mul(size).and_then(|offset| i32::try_from(offset).ok());
        match (index, offset) {
            (None, Some(offset)) => (buffer, offset),
            (Some(index), Some(offset)) => {
                let distance = self.distance(index, size);
                (self.b.iadd(buffer, distance), offset)
            }
            (_, None) => {
                let distance = self.distance(n, size);
                (self.b.iadd(buffer, distance), 0)
            }
        }
    }

    /// So many elements in bytes.
    fn distance(&mut self, n: Ref, size: i64) -> Value {
        let n = self.value(n);
        if size == 1 { n } else { self.b.ishl_imm(n, i64::from(size.trailing_zeros())) }
    }

    /// An index as a variable and a constant part.
    fn split(&self, n: Ref) -> (Option<Ref>, i64) {
        if let Some(n) = self.tree.const_int(n) {
            return (None, n);
        }
        let inst = self.tree.inst(n);
        if inst.op == Op::Add
            && let Some(constant) = self.tree.const_int(inst.b())
        {
            return (Some(inst.a()), constant);
        }
        (Some(n), 0)
    }

    fn load_checked_at(&mut self, r: Ref, inst: &Inst, offset: i32) {
        let address = self.value(inst.a());
        self.load_checked(r, inst, address, offset);
    }

    /// Loads a value whose tag must be that of the instruction's type.
    fn load_checked(&mut self, r: Ref, inst: &Inst, address: Value, offset: i32) {
        let tag = self.load_tag(address, offset);
        let fits = self.is_tag(tag, inst.ty);
        self.leave_unless(fits, Self::snap(inst));
        if !inst.ty.is_primitive() {
            let v = self.load(Self::machine_type(inst.ty), address, offset);
            self.define(r, v);
        }
    }

    /// Loads the tag of a number, which must be one, or the payload.
    fn load_part(&mut self, r: Ref, inst: &Inst, address: Value, offset: i32) {
        if matches!(inst.op, Op::RawProp | Op::RawUp | Op::RawElem) {
            let v = self.load(types::I64, address, offset);
            return self.define(r, v);
        }
        let tag = self.b.uload8(types::I64, address, offset + layout::TAG);
        self.define_tag(r, inst, tag);
    }

    /// The tag of a number: leaves if it is that of anything else.
    fn define_tag(&mut self, r: Ref, inst: &Inst, tag: Value) {
        let beyond_int = self.b.iadd_imm(tag, -(Ty::Int as i64));
        let is_number = self.b.icmp_imm(IntCC::UnsignedLessThan, beyond_int, 2);
        self.leave_unless(is_number, Self::snap(inst));
        self.define(r, tag);
    }

    /// Loads the tag of an element, from behind its payload or, if the elements are packed, from the element kind, which is
    /// their tag. Elements of other sizes are none of numbers: they leave before anything is loaded.
    fn load_mixed(&mut self, r: Ref, inst: &Inst) {
        let (array, n, table) = (self.value(inst.a()), self.value(inst.b()), self.value(inst.c()));
        let (kind_at, _) = layout::field(Field::Kind, 0);
        let kind = self.b.uload8(types::I64, table, kind_at);
        let is_whole = self.b.icmp_imm(IntCC::Equal, kind, i64::from(ANY_ELEMENTS));
        let beyond_int = self.b.iadd_imm(kind, -(Ty::Int as i64));
        let is_packed = self.b.icmp_imm(IntCC::UnsignedLessThan, beyond_int, 2);
        let fits = self.b.bor(is_whole, is_packed);
        self.leave_unless(fits, Self::snap(inst));
        let wide = self.b.uextend(types::I64, is_whole);
        let shift = self.b.iadd_imm(wide, 3);
        let distance = self.b.ishl(n, shift);
        let element = self.b.iadd(array, distance);
        let behind = self.b.iadd_imm(element, i64::from(layout::TAG));
        let kind_place = self.b.iadd_imm(table, i64::from(kind_at));
        let place = self.b.select(is_whole, behind, kind_place);
        let tag = self.b.uload8(types::I64, place, 0);
        self.elements.insert(r, element);
        self.define_tag(r, inst, tag);
    }

    fn not_nil(&mut self, inst: &Inst, address: Value, offset: i32) {
        let tag = self.load_tag(address, offset);
        let present = self.b.icmp_imm(IntCC::NotEqual, tag, Ty::Nil as i64);
        self.leave_unless(present, Self::snap(inst));
    }

    /// A slot's place gets payload and tag; nil, false and true get the payload 0.
    fn store_place(&mut self, inst: &Inst) {
        let base = self.base();
        let offset = Self::slot_offset(inst.aux);
        if self.tree.ty(inst.a()).is_primitive() {
            let zero = self.int(0);
            self.store(zero, base, offset);
        }
        self.store_value(inst.a(), base, offset);
    }

    fn up_is_place(&mut self, inst: &Inst) {
        let up = self.value(inst.a());
        let (offset, _) = layout::field(Field::UpSlot, 0);
        let at = self.load(types::I64, up, offset);
        let base = self.base();
        let place = self.b.iadd_imm(base, i64::from(Self::slot_offset(inst.aux)));
        let same = self.b.icmp(IntCC::Equal, at, place);
        self.leave_unless(same, Self::snap(inst));
    }

    /// Whether an object is black, in the cold block that follows.
    fn if_black(&mut self, object: Value, then: impl FnOnce(&mut Self)) {
        let mark = self.b.uload8(types::I32, object, layout::MARK);
        let black = self.b.band_imm(mark, i64::from(perilune_runtime::object::mark::BLACK));
        let (slow, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(slow);
        self.b.brif(black, slow, &[], on, &[]);
        self.go_on_in(slow);
        then(self);
        self.b.jump(on, &[]);
        self.go_on_in(on);
    }

    /// Keeps the collector's invariant after a table has got a reference to an object.
    pub(super) fn barrier(&mut self, table: Value) {
        self.if_black(table, |this| {
            let vm = this.vm;
            this.call_address(this.env.barriers[0], &[vm, table], None);
        });
    }

    fn barrier_up(&mut self, inst: &Inst) {
        let up = self.value(inst.a());
        let (payload, tag) = (inst.b(), self.tree.ty(inst.b()) as i64);
        self.if_black(up, |this| {
            let (vm, payload, tag) = (this.vm, this.value(payload), this.int(tag));
            this.call_address(this.env.barriers[1], &[vm, up, payload, tag], None);
        });
    }
}
