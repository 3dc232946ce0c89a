//! Floats: where the language has no integers, no instruction makes one.

use super::control::op_of;
use super::{Problem, VerifyError};
use crate::ops::Op;
use crate::proto::{Const, Proto};

pub(super) fn check(proto: &Proto) -> Result<(), VerifyError> {
    if proto.consts.iter().any(|constant| matches!(constant, Const::Int(_))) {
        return Err(Problem::Integer.whole());
    }
    for (pc, &instr) in proto.code.iter().enumerate() {
        let is_float = match op_of(instr) {
            Op::LoadI
            | Op::Len
            | Op::AddI
            | Op::BAnd
            | Op::BOr
            | Op::BXor
            | Op::Shl
            | Op::Shr
            | Op::BAndK
            | Op::BOrK
            | Op::BXorK
            | Op::ShlI
            | Op::ShrI
            | Op::BNot
            | Op::ForPrep => false,
            // The loop may count in integers, which its variable never shows.
            Op::ForPrepOld => {
                let first = proto.code[pc + 1];
                op_of(first) == Op::ForFloat && u16::from(first.a()) == u16::from(instr.a()) + 3
            }
            _ => true,
        };
        if !is_float {
            return Err(Problem::Integer.at(pc));
        }
    }
    Ok(())
}
