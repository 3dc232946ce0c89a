//! Calls, by System V's convention.

use cranelift_assembler_x64::inst;
use cranelift_codegen::ir::types;

use super::super::Unknown;
use super::super::alloc::{RAX, RBP, RCX, RDI, RDX, RSI};
use super::super::asm::{Regs, at};
use super::super::moves::{Move, Place};
use super::{Emitter, put};
use crate::mir::{Inst, Signature, Value};

/// The registers of arguments, in order.
const ARGUMENTS: [u8; 6] = [RDI, RSI, RDX, RCX, 8, 9];
const FLOAT_ARGUMENTS: u8 = 8;

/// The registers of results, in order. None of them is any value's place. The third is LLVM's extension of the convention, which
/// Cranelift is asked for, too.
pub(super) const RESULTS: [u8; 3] = [RAX, RDX, RCX];

/// Whether calls of functions with a signature can be made.
pub(in super::super) fn knows(signature: &Signature) -> Result<(), Unknown> {
    let returns = &signature.returns;
    let fits = returns.len() <= RESULTS.len() && returns.iter().all(|result| *result != types::F64);
    let is_float = matches!(returns[..], [types::F64]);
    let floats = signature.params.len() - ints(signature);
    let is_known = (fits || is_float) && floats <= FLOAT_ARGUMENTS as usize;
    if is_known { Ok(()) } else { Err(Unknown::new(signature)) }
}

fn ints(signature: &Signature) -> usize {
    signature.params.iter().filter(|param| **param != types::F64).count()
}

/// How many arguments travel on the stack.
pub(in super::super) fn on_stack(signature: &Signature) -> usize {
    ints(signature).saturating_sub(ARGUMENTS.len())
}

impl Emitter<'_> {
    /// Calls the function that comes first among the operands, or the one whose code this is.
    pub(super) fn call(&mut self, inst: Inst, is_own: bool) {
        let number = self.plan.number(inst);
        for (place, slot) in self.places.saved(number) {
            match place {
                Place::Gpr(register) => put!(self, movq_mr, at(RBP, slot), register),
                Place::Xmm(register) => put!(self, movsd_c_m, at(RBP, slot), register),
                Place::Slot(_) | Place::Out(_) => {}
            }
        }
        match self.func.args(inst) {
            args if is_own => {
                let moves = self.arguments(args);
                self.moves(moves);
                self.code.call(self.own);
            }
            [callee, args @ ..] => {
                let mut moves = self.arguments(args);
                let address = self.source(*callee);
                moves.push(Move { to: Place::Gpr(RAX), from: address });
                self.moves(moves);
                put!(self, callq_m, RAX);
            }
            [] => debug_assert!(false, "there is nothing to call"),
        }
        let results = self.func.results(inst);
        for (result, register) in results.clone().zip(RESULTS) {
            if self.ty(result) == types::F64 {
                debug_assert!(results.len() == 1, "floats are returned alone");
                self.give_float(result, 0);
            } else {
                self.give(result, register);
            }
        }
        // A result may be one of a web that has the place on both sides of the call.
        let is_result = |place| results.clone().any(|result| self.places.of(result) == Some(place));
        let saved: Vec<(Place, i32)> = self.places.saved(number).filter(|(place, _)| !is_result(*place)).collect();
        for (place, slot) in saved {
            match place {
                Place::Gpr(register) => put!(self, movq_rm, register, at(RBP, slot)),
                Place::Xmm(register) => put!(self, movsd_a_m, register, at(RBP, slot)),
                Place::Slot(_) | Place::Out(_) => {}
            }
        }
    }

    /// The moves of arguments to where the convention wants them.
    pub(super) fn arguments(&self, args: &[Value]) -> Vec<Move> {
        let places = self.places_of_arguments(args);
        places.into_iter().zip(args).map(|(to, v)| Move { to, from: self.source(*v) }).collect()
    }

    pub(super) fn places_of_arguments(&self, args: &[Value]) -> Vec<Place> {
        let (mut ints, mut floats) = (0, 0);
        let place = |v: &Value| {
            if self.ty(*v) == types::F64 {
                debug_assert!(floats < FLOAT_ARGUMENTS, "nothing takes so many floats");
                floats += 1;
                return Place::Xmm(floats - 1);
            }
            ints += 1;
            match ARGUMENTS.get(ints - 1) {
                Some(register) => Place::Gpr(*register),
                None => Place::Out(8 * (ints - 1 - ARGUMENTS.len()) as i32),
            }
        };
        args.iter().map(place).collect()
    }
}
