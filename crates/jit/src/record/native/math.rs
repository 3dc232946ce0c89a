//! `math`: rounding, extremes and the functions of floats become operations, or calls of the same helper.

use perilune_trace::ir::{Helper, Op as Ir, Ref, Ty};
use perilune_vm::native::Intrinsic;

use super::{Args, Replaced};
use crate::record::Recorder;
use crate::view::View;

impl Recorder {
    /// The first argument as a float.
    pub(super) fn float_arg(&mut self, args: &Args) -> Option<Ref> {
        let x = *args.refs.first()?;
        matches!(self.ty(x), Ty::Int | Ty::Float).then(|| self.float_of(x))
    }

    pub(super) fn float_helper(&mut self, helper: Helper, args: &Args) -> Replaced {
        Ok(self.float_arg(args).map(|x| vec![self.builder.call(helper, &[x], Ty::Float, None)]))
    }

    pub(super) fn rounded(&mut self, view: &View<'_>, intrinsic: Intrinsic, args: &Args) -> Replaced {
        let Some(&x) = args.refs.first() else { return Ok(None) };
        match self.ty(x) {
            Ty::Int => Ok(Some(vec![x])),
            Ty::Float => {
                let op = if intrinsic == Intrinsic::MathFloor { Ir::FFloor } else { Ir::FCeil };
                let float = self.builder.value(op, &[x]);
                if !view.dialect().integers {
                    return Ok(Some(vec![float]));
                }
                let seen = args.seen[0].raw_float();
                let seen = if op == Ir::FFloor { seen.floor() } else { seen.ceil() };
                if perilune_base::num::convert::float_to_int(seen).is_none() {
                    return Ok(None);
                }
                let snap = self.snap();
                let quotient = self.builder.quotient_to_int(float, Some(seen), snap);
                Ok(Some(vec![quotient.unwrap_or_else(|| self.builder.float_to_int(float, snap))]))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn absolute(&mut self, args: &Args) -> Replaced {
        let Some(&x) = args.refs.first() else { return Ok(None) };
        match self.ty(x) {
            Ty::Float => Ok(Some(vec![self.builder.value(Ir::FAbs, &[x])])),
            Ty::Int => {
                // The smallest integer is its own negation, here as there.
                let negated = self.builder.value(Ir::Neg, &[x]);
                Ok(Some(vec![self.builder.value(Ir::IMax, &[x, negated])]))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn extreme(&mut self, is_max: bool, args: &Args) -> Replaced {
        let Some(ty) = args.refs.first().map(|x| self.ty(*x)) else { return Ok(None) };
        if args.refs.iter().any(|x| self.ty(*x) != ty) {
            return Ok(None);
        }
        let op = match (ty, is_max) {
            (Ty::Int, true) => Ir::IMax,
            (Ty::Int, false) => Ir::IMin,
            (Ty::Float, true) => Ir::FMax,
            (Ty::Float, false) => Ir::FMin,
            _ => return Ok(None),
        };
        let mut best = args.refs[0];
        for x in &args.refs[1..] {
            best = self.builder.value(op, &[best, *x]);
        }
        Ok(Some(vec![best]))
    }

    pub(super) fn remainder(&mut self, args: &Args) -> Replaced {
        let [x, y] = args.refs[..] else { return Ok(None) };
        match (self.ty(x), self.ty(y)) {
            (Ty::Float, Ty::Float | Ty::Int) | (Ty::Int, Ty::Float) => {
                let (x, y) = (self.float_of(x), self.float_of(y));
                Ok(Some(vec![self.builder.call(Helper::FRem, &[x, y], Ty::Float, None)]))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn math_type(&mut self, view: &View<'_>, args: &Args) -> Replaced {
        let name = match self.ty(args.refs[0]) {
            Ty::Int => view.interned(b"integer"),
            Ty::Float => view.interned(b"float"),
            _ => return Ok(Some(vec![self.builder.primitive(Ty::Nil)])),
        };
        Ok(Some(vec![self.constant_of(name)?]))
    }
}
