//! Numbers of either kind: what a place gives that has held integers and floats.
//!
//! Such a number is two values, payload and tag, which an instruction without machine code names together ([`Op::Num`]). So a
//! path goes on whatever it is: arithmetic computes both results and takes one, and only what must know the kind checks it.
//! A path for each kind of each number would be one for each combination of them.

use super::{Builder, Contradiction};
use crate::ir::{Inst, Op, Ref, SnapId, Ty};

/// Integers up to this size are floats without loss.
const EXACT: i64 = 1 << 53;

impl Builder {
    /// A number: property `n` behind the slots pointer of a table with a shape.
    pub fn number_prop(&mut self, slots: Ref, n: u32, shape: u64, snap: SnapId) -> Result<Ref, Contradiction> {
        let args = [slots, Ref::NONE, Ref::NONE];
        let tag = Inst { args, aux: n, imm: shape, snap: Some(snap), ..Inst::new(Op::TagProp, Ty::Int) };
        self.number(tag, Op::RawProp)
    }

    /// A number: element `n` (from 0) of an array part of whole values.
    pub fn number_elem(&mut self, array: Ref, n: Ref, snap: SnapId) -> Result<Ref, Contradiction> {
        let tag = Inst { args: [array, n, Ref::NONE], snap: Some(snap), ..Inst::new(Op::TagElem, Ty::Int) };
        self.number(tag, Op::RawElem)
    }

    /// A number: element `n` (from 0) of the array of a table, whose element kind is not relied on.
    pub fn number_mixed(&mut self, array: Ref, n: Ref, table: Ref, snap: SnapId) -> Ref {
        let inst = Inst { args: [array, n, table], snap: Some(snap), ..Inst::new(Op::TagMixed, Ty::Int) };
        let tag = self.push(inst);
        let inst = Inst { snap: Some(snap), ..self.shaped(Op::RawMixed, &[tag]) };
        let raw = self.push(inst);
        self.value(Op::Num, &[raw, tag])
    }

    /// A number: the variable at an address.
    pub fn number_up(&mut self, place: Ref, snap: SnapId) -> Result<Ref, Contradiction> {
        let args = [place, Ref::NONE, Ref::NONE];
        self.number(Inst { args, snap: Some(snap), ..Inst::new(Op::TagUp, Ty::Int) }, Op::RawUp)
    }

    fn number(&mut self, tag: Inst, raw: Op) -> Result<Ref, Contradiction> {
        match self.memory.known(&tag).map(|r| (r, self.tree.ty(r))) {
            Some((r, Ty::Num | Ty::Int | Ty::Float)) => return Ok(r),
            // All that is known is that it is not nil.
            Some((_, Ty::Void)) | None => {}
            Some(_) => return Err(Contradiction),
        }
        let raw = Inst { op: raw, ..tag };
        let tag = self.push(tag);
        let raw = self.push(raw);
        Ok(self.value(Op::Num, &[raw, tag]))
    }

    /// Payload and tag of a number; a float alone has no payload.
    fn parts(&mut self, x: Ref) -> (Ref, Ref) {
        let inst = *self.tree.inst(x);
        debug_assert!(matches!(inst.ty, Ty::Num | Ty::Int));
        if inst.op == Op::Num { (inst.a(), inst.b()) } else { (x, self.int(Ty::Int as i64)) }
    }

    /// A number of either kind as an integer or as a float, which it must be.
    pub fn typed_number(&mut self, x: Ref, ty: Ty, snap: SnapId) -> Result<Ref, Contradiction> {
        let (raw, tag) = self.parts(x);
        let expected = self.int(ty as i64);
        self.guard(Op::Eq, &[tag, expected], snap)?;
        Ok(if ty == Ty::Int { raw } else { self.value(Op::AsFloat, &[raw]) })
    }

    /// A number of either kind, or an integer, as a float.
    pub fn number_as_float(&mut self, x: Ref) -> Ref {
        let (raw, tag) = self.parts(x);
        if self.tree.ty(x) == Ty::Int { self.value(Op::IToF, &[raw]) } else { self.value(Op::NToF, &[raw, tag]) }
    }

    /// As [`Builder::number_as_float`], for comparisons: leaves if it is an integer that is no float.
    pub fn number_as_exact_float(&mut self, x: Ref, snap: SnapId) -> Result<Ref, Contradiction> {
        let (raw, tag) = self.parts(x);
        // All bits if it is an integer, none if it is a float, whose payload says nothing.
        let float = self.int(Ty::Float as i64);
        let mask = self.value(Op::Sub, &[tag, float]);
        let int = self.value(Op::And, &[raw, mask]);
        let (half, whole) = (self.int(EXACT), self.int(2 * EXACT));
        let moved = self.value(Op::Add, &[int, half]);
        self.guard(Op::Below, &[moved, whole], snap)?;
        Ok(self.number_as_float(x))
    }

    /// An operation on two numbers, of which one is of either kind and none is a float for sure: integers give an integer.
    pub fn number_op(&mut self, int: Op, float: Op, x: Ref, y: Ref) -> Ref {
        let ((x_raw, x_tag), (y_raw, y_tag)) = (self.parts(x), self.parts(y));
        // The float's tag is the larger one.
        let tag = self.value(Op::IMax, &[x_tag, y_tag]);
        let of_ints = self.value(int, &[x_raw, y_raw]);
        let (x, y) = (self.number_as_float(x), self.number_as_float(y));
        let of_floats = self.value(float, &[x, y]);
        let raw = self.value(Op::NSel, &[tag, of_ints, of_floats]);
        self.value(Op::Num, &[raw, tag])
    }

    /// A number of either kind with the other sign.
    pub fn number_negated(&mut self, x: Ref) -> Ref {
        let (raw, tag) = self.parts(x);
        let of_int = self.value(Op::Neg, &[raw]);
        let float = self.value(Op::AsFloat, &[raw]);
        let of_float = self.value(Op::FNeg, &[float]);
        let raw = self.value(Op::NSel, &[tag, of_int, of_float]);
        self.value(Op::Num, &[raw, tag])
    }
}

const _: () = assert!(Ty::Float as u8 == Ty::Int as u8 + 1);

#[cfg(test)]
mod tests {
    use crate::build::Builder;
    use crate::ir::{Op, Ref, SnapId, Ty};

    fn builder() -> (Builder, Ref, SnapId) {
        let mut b = Builder::default();
        let header = b.begin_at_header(1, Vec::new(), vec![1, 2], &[(1, Ty::Table), (2, Ty::Float)]);
        let table = b.input(1).expect("an input");
        let slots = b.load(crate::ir::Field::Slots, table);
        let snap = b.tree().header(header).snap;
        (b, slots, snap)
    }

    fn count(b: &Builder, op: Op) -> usize {
        b.tree().insts.iter().filter(|inst| inst.op == op).count()
    }

    #[test]
    fn a_number_is_loaded_once_and_known_from_then_on() {
        let (mut b, slots, snap) = builder();
        let x = b.number_prop(slots, 0, 9, snap).expect("no contradiction");
        assert_eq!(b.number_prop(slots, 0, 9, snap), Ok(x));
        let float = b.load_prop(slots, 0, 9, Ty::Float, snap).expect("no contradiction");
        assert_eq!((b.ty(x), b.ty(float)), (Ty::Num, Ty::Float));
        assert!(b.load_prop(slots, 0, 9, Ty::Str, snap).is_err(), "it is a number");
        assert_eq!((count(&b, Op::TagProp), count(&b, Op::RawProp), count(&b, Op::LoadProp)), (1, 1, 0));
    }

    #[test]
    fn a_stored_number_is_what_the_load_gives() {
        let (mut b, slots, snap) = builder();
        let x = b.number_prop(slots, 0, 9, snap).expect("no contradiction");
        b.store_prop(slots, 1, 9, x);
        assert_eq!(b.number_prop(slots, 1, 9, snap), Ok(x));
        let y = b.input(2).expect("an input");
        b.store_prop(slots, 1, 9, y);
        assert_eq!(b.number_prop(slots, 1, 9, snap), Ok(y));
    }

    #[test]
    fn the_kind_of_a_sum_is_a_float_if_one_operand_is() {
        let (mut b, slots, snap) = builder();
        let x = b.number_prop(slots, 0, 9, snap).expect("no contradiction");
        let one = b.int(1);
        let sum = b.number_op(Op::Add, Op::FAdd, x, one);
        assert_eq!(b.ty(sum), Ty::Num);
        assert_eq!((count(&b, Op::NSel), count(&b, Op::NToF)), (1, 1));
    }
}
