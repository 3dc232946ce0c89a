//! Where control goes from an instruction: what the verifier checks, and the trace compiler's analyses follow.
//!
//! Targets come from the operand format, so that an instruction which is added to the table has the right ones already; only
//! whether it may also go on with the next instruction is said here.

use crate::ops::{Format, Instr, Op};

/// Where an instruction may go besides the next one. In code that is not verified, that may be anywhere.
#[must_use]
pub fn jump_target(pc: usize, instr: Instr) -> Option<i64> {
    let op = instr.op()?;
    let offset = match op.format() {
        Format::Jump | Format::AJump => instr.d(),
        Format::ACond | Format::ABCond | Format::AKCond | Format::AImmCond => instr.cond_offset(),
        _ if op == Op::LoadFalseSkip => 1,
        _ => return None,
    };
    Some(pc as i64 + 1 + i64::from(offset))
}

/// Whether control may go from an instruction to the next one.
#[must_use]
pub fn goes_on(op: Op) -> bool {
    !matches!(
        op,
        Op::Jump
            | Op::Loop
            | Op::LoadFalseSkip
            | Op::TForPrep
            | Op::TForPrepOld
            | Op::TailCall
            | Op::Return
            | Op::Return0
            | Op::Return1
    )
}

/// Whether an instruction jumps backwards, where fuel is charged and loops are counted.
#[must_use]
pub fn is_back_edge(op: Op) -> bool {
    matches!(op, Op::Loop | Op::ForLoop | Op::TForLoop)
}

/// Where control may go from an instruction of verified code: to the next one first, if it may. A single successor is the
/// first.
#[must_use]
pub fn successors(pc: usize, instr: Instr) -> [Option<u32>; 2] {
    let Some(op) = instr.op() else { return [None, None] };
    let target = jump_target(pc, instr).map(|target| target as u32);
    if goes_on(op) { [Some(pc as u32 + 1), target] } else { [target, None] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_successor_comes_first() {
        let of = |op, d| successors(10, Instr::new(op, 0, 0, 0, d));
        assert_eq!(of(Op::Move, 5), [Some(11), None]);
        assert_eq!(of(Op::Jump, 5), [Some(16), None]);
        assert_eq!(of(Op::Loop, -8), [Some(3), None]);
        assert_eq!(of(Op::LoadFalseSkip, 5), [Some(12), None]);
        assert_eq!(of(Op::ForLoop, -8), [Some(11), Some(3)]);
        assert_eq!(of(Op::Return0, 5), [None, None]);
    }

    #[test]
    fn comparisons_jump_by_what_stands_above_their_condition() {
        for op in Op::ALL.iter().filter(|op| op.is_comparison()) {
            assert_eq!(successors(10, Instr::new(*op, 0, 0, 0, 5 << 1 | 1)), [Some(11), Some(16)], "{op:?}");
        }
    }

    #[test]
    fn an_unknown_instruction_leads_nowhere() {
        assert_eq!(successors(10, Instr(u64::MAX)), [None, None]);
    }
}
