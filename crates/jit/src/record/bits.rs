//! The library of bit operations on words of 32 bits: operations on integers, whose results are cut to words.
//!
//! Its numbers are floats where the language has no integers. The conversions of a word to a float and back cancel out, so
//! that a chain of these functions is a chain of integer operations.

use perilune_runtime::value::Value;
use perilune_trace::ir::{Op as Ir, Ref, Ty};
use perilune_vm::native::Intrinsic;

use super::Recorder;
use super::loops::int_of;
use crate::abort::Abort;

/// The bits of a word.
const WORD: i64 = 0xffff_ffff;

/// How many they are.
const BITS: i64 = 32;

impl Recorder {
    /// The result of a function for these arguments; `None` if they are not simple.
    pub(super) fn bits(&mut self, function: Intrinsic, refs: &[Ref], seen: &[Value]) -> Result<Option<Ref>, Abort> {
        match (function, refs, seen) {
            (Intrinsic::BitAnd, ..) => self.join_words(Ir::And, WORD, refs, seen),
            (Intrinsic::BitOr, ..) => self.join_words(Ir::Or, 0, refs, seen),
            (Intrinsic::BitXor, ..) => self.join_words(Ir::Xor, 0, refs, seen),
            (Intrinsic::BitNot, [x], [x_seen]) => {
                let Some(word) = self.word(*x, *x_seen)? else { return Ok(None) };
                let all = self.builder.int(WORD);
                Ok(Some(self.builder.value(Ir::Xor, &[word, all])))
            }
            (Intrinsic::BitTest, ..) => {
                let Some(word) = self.join_words(Ir::And, WORD, refs, seen)? else { return Ok(None) };
                let zero = self.builder.int(0);
                let common = seen.iter().filter_map(|x| int_of(*x)).fold(WORD, |all, x| all & x);
                self.guard(if common == 0 { Ir::Eq } else { Ir::Ne }, &[word, zero])?;
                Ok(Some(self.boolean(common != 0)))
            }
            (Intrinsic::BitExtract, [x, field], [x_seen, field_seen]) => {
                let one = (self.builder.int(1), Value::int(1));
                self.extracted((*x, *x_seen), (*field, *field_seen), one)
            }
            (Intrinsic::BitExtract, [x, field, width], [x_seen, field_seen, width_seen]) => {
                self.extracted((*x, *x_seen), (*field, *field_seen), (*width, *width_seen))
            }
            (Intrinsic::BitExtract, ..) => Ok(None),
            (_, [x, by], [x_seen, by_seen]) => self.shifted(function, (*x, *x_seen), (*by, *by_seen)),
            _ => Ok(None),
        }
    }

    fn join_words(&mut self, op: Ir, start: i64, refs: &[Ref], seen: &[Value]) -> Result<Option<Ref>, Abort> {
        let mut result = self.builder.int(start);
        for (x, x_seen) in refs.iter().zip(seen) {
            let Some(word) = self.word(*x, *x_seen)? else { return Ok(None) };
            result = self.builder.value(op, &[result, word]);
        }
        Ok(Some(result))
    }

    /// A field of a word: how wide it is is relied on.
    fn extracted(&mut self, x: (Ref, Value), field: (Ref, Value), width: (Ref, Value)) -> Result<Option<Ref>, Abort> {
        let (Some(from), Some(bits)) = (int_of(field.1), int_of(width.1)) else { return Ok(None) };
        let is_inside = (1..=BITS).contains(&bits) && (0..=BITS - bits).contains(&from);
        if !is_inside || ![field.0, width.0].iter().all(|n| matches!(self.ty(*n), Ty::Int | Ty::Float)) {
            return Ok(None);
        }
        let Some(word) = self.word(x.0, x.1)? else { return Ok(None) };
        let (field, width) = (self.int_of(field.0)?, self.int_of(width.0)?);
        let expected = self.builder.int(bits);
        self.guard(Ir::Eq, &[width, expected])?;
        let end = self.builder.int(BITS - bits + 1);
        self.guard(Ir::Below, &[field, end])?;
        let shifted = self.builder.value(Ir::Shr, &[word, field]);
        let mask = self.builder.int((1 << bits) - 1);
        Ok(Some(self.builder.value(Ir::And, &[shifted, mask])))
    }

    /// A shift or rotation by less than a word.
    fn shifted(&mut self, function: Intrinsic, x: (Ref, Value), by: (Ref, Value)) -> Result<Option<Ref>, Abort> {
        if !int_of(by.1).is_some_and(|n| (0..BITS).contains(&n)) {
            return Ok(None);
        }
        let Some(word) = self.word(x.0, x.1)? else { return Ok(None) };
        let by = self.int_of(by.0)?;
        let bits = self.builder.int(BITS);
        self.guard(Ir::Below, &[by, bits])?;
        Ok(match function {
            Intrinsic::BitLshift => Some(self.shifted_left(word, by)),
            Intrinsic::BitRshift => Some(self.builder.value(Ir::Shr, &[word, by])),
            Intrinsic::BitLrotate => {
                let rest = self.builder.value(Ir::Sub, &[bits, by]);
                let (high, low) = (self.shifted_left(word, by), self.builder.value(Ir::Shr, &[word, rest]));
                Some(self.builder.value(Ir::Or, &[high, low]))
            }
            Intrinsic::BitRrotate => {
                let rest = self.builder.value(Ir::Sub, &[bits, by]);
                let (high, low) = (self.shifted_left(word, rest), self.builder.value(Ir::Shr, &[word, by]));
                Some(self.builder.value(Ir::Or, &[high, low]))
            }
            Intrinsic::BitArshift => {
                // The bits that come in are those of the sign.
                let (all, top) = (self.builder.int(WORD), self.builder.int(BITS - 1));
                let low = self.builder.value(Ir::Shr, &[word, by]);
                let kept = self.builder.value(Ir::Shr, &[all, by]);
                let sign = self.builder.value(Ir::Shr, &[word, top]);
                let signs = self.builder.value(Ir::Neg, &[sign]);
                let high = self.builder.value(Ir::Xor, &[all, kept]);
                let high = self.builder.value(Ir::And, &[signs, high]);
                Some(self.builder.value(Ir::Or, &[low, high]))
            }
            _ => None,
        })
    }

    fn shifted_left(&mut self, word: Ref, by: Ref) -> Ref {
        let all = self.builder.int(WORD);
        let shifted = self.builder.value(Ir::Shl, &[word, by]);
        self.builder.value(Ir::And, &[shifted, all])
    }

    /// A number as a word: that of an integer is its lower half.
    fn word(&mut self, x: Ref, seen: Value) -> Result<Option<Ref>, Abort> {
        if !matches!(self.ty(x), Ty::Int | Ty::Float) || int_of(seen).is_none() {
            return Ok(None);
        }
        let int = self.int_of(x)?;
        let all = self.builder.int(WORD);
        let is_word = self.builder.tree().inst(int);
        if is_word.op == Ir::And && is_word.b() == all {
            return Ok(Some(int));
        }
        Ok(Some(self.builder.value(Ir::And, &[int, all])))
    }
}
