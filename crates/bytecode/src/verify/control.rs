//! Control: jumps, pairs of instructions, and the structure of loops.

use super::{Problem, VerifyError};
use crate::control::{goes_on, is_back_edge, jump_target};
use crate::effects::{Span, effects};
use crate::ops::{Instr, Op};
use crate::proto::Proto;

/// What is known about the flow of control.
pub(super) struct Control {
    /// Whether an instruction is the target of a jump.
    pub is_target: Vec<bool>,
}

/// A numeric loop whose end has not been reached yet.
struct OpenLoop {
    prep: usize,
    base: u8,
    /// The `forloop`, which `forprep` exits behind.
    end: usize,
}

pub(super) fn check(proto: &Proto) -> Result<Control, VerifyError> {
    let is_target = check_jumps(proto)?;
    check_end(proto)?;
    check_pairs(proto, &is_target)?;
    check_generic_loops(proto)?;
    check_numeric_loops(proto)?;
    Ok(Control { is_target })
}

/// The opcode of a checked instruction.
pub(super) fn op_of(instr: Instr) -> Op {
    instr.op().expect("opcodes are checked first")
}

fn check_jumps(proto: &Proto) -> Result<Vec<bool>, VerifyError> {
    let mut is_target = vec![false; proto.code.len()];
    for (pc, &instr) in proto.code.iter().enumerate() {
        let Some(target) = jump_target(pc, instr) else { continue };
        let target = usize::try_from(target).map_err(|_| Problem::Target.at(pc))?;
        if is_back_edge(op_of(instr)) != (target <= pc) {
            return Err(Problem::Target.at(pc));
        }
        *is_target.get_mut(target).ok_or(Problem::Target.at(pc))? = true;
    }
    Ok(is_target)
}

fn check_end(proto: &Proto) -> Result<(), VerifyError> {
    let last = proto.code.len() - 1;
    if goes_on(op_of(proto.code[last])) { Err(Problem::NoEnd.at(last)) } else { Ok(()) }
}

/// Whether the instruction leaves values up to the top.
fn opens(op: Op, instr: Instr) -> bool {
    matches!(op, Op::Call | Op::VarArg | Op::VarArgOf) && instr.c() == 0
}

/// Whether the instruction uses values up to the top.
fn closes(op: Op, instr: Instr) -> bool {
    matches!(op, Op::Call | Op::TailCall | Op::Return | Op::SetList) && instr.b() == 0
}

/// The instruction before, if it leaves values up to the top that the one at `pc` uses.
pub(super) fn open_producer(proto: &Proto, pc: usize) -> Option<Instr> {
    let instr = proto.code[pc];
    if closes(op_of(instr), instr) { pc.checked_sub(1).map(|pc| proto.code[pc]) } else { None }
}

/// Open producers stand directly before their consumers, `tforcall` before `tforloop`; nothing jumps between.
fn check_pairs(proto: &Proto, is_target: &[bool]) -> Result<(), VerifyError> {
    let mut previous: Option<(Op, Instr)> = None;
    for (pc, &instr) in proto.code.iter().enumerate() {
        let op = op_of(instr);
        let producer = previous.filter(|&(op, instr)| opens(op, instr));
        if producer.is_some() != closes(op, instr) {
            return Err(Problem::Open.at(pc));
        }
        // All but a return have a fixed first operand: the function, the table.
        let first = u16::from(instr.a()) + u16::from(op != Op::Return);
        if producer.is_some_and(|(_, producer)| u16::from(producer.a()) < first) {
            return Err(Problem::Open.at(pc));
        }
        let call = previous.filter(|&(op, _)| op == Op::TForCall);
        if call.is_some() != (op == Op::TForLoop) || call.is_some_and(|(_, call)| call.a() != instr.a()) {
            return Err(Problem::LoopPair.at(pc));
        }
        if is_target[pc] && (producer.is_some() || call.is_some()) {
            return Err(Problem::Split.at(pc));
        }
        previous = Some((op, instr));
    }
    // The last instruction is a terminator, which opens nothing.
    Ok(())
}

/// `tforprep` goes to the `tforcall` of a loop that goes back to behind it, and each such loop has one.
fn check_generic_loops(proto: &Proto) -> Result<(), VerifyError> {
    let code = &proto.code;
    for (pc, &instr) in code.iter().enumerate() {
        let op = op_of(instr);
        let is_paired = match op {
            Op::TForPrep | Op::TForPrepOld => {
                let call = jump_target(pc, instr).map_or(0, |target| target as usize);
                op_of(code[call]) == Op::TForCall
                    && code[call].a() == instr.a()
                    && jump_target(call + 1, code[call + 1]) == Some(pc as i64 + 1)
            }
            Op::TForLoop => {
                let start = jump_target(pc, instr).map_or(0, |target| target as usize);
                start.checked_sub(1).is_some_and(|prep| {
                    matches!(op_of(code[prep]), Op::TForPrep | Op::TForPrepOld)
                        && jump_target(prep, code[prep]) == Some(pc as i64 - 1)
                })
            }
            _ => true,
        };
        if !is_paired {
            return Err(Problem::LoopPair.at(pc));
        }
    }
    Ok(())
}

/// The numeric loops of checked code: first and last instruction of the body with its `forloop`, and first register.
pub(super) fn loop_starts(proto: &Proto) -> impl Iterator<Item = (usize, usize, u8)> {
    proto.code.iter().enumerate().filter(|(_, instr)| matches!(instr.op(), Some(Op::ForPrep | Op::ForPrepOld))).map(
        |(pc, instr)| {
            let exit = pc as i64 + 1 + i64::from(instr.d());
            (pc + 1, usize::try_from(exit - 1).unwrap_or(0), instr.a())
        },
    )
}

/// The state registers of a numeric loop.
fn state(base: u8) -> Span {
    Span::from(base, 0, 3)
}

/// See point 3 of the module's documentation.
fn check_numeric_loops(proto: &Proto) -> Result<(), VerifyError> {
    // Innermost last. An inner loop writes its own state, which must not be that of an outer one: no more than 85 loops
    // can be open at once.
    let mut open: Vec<OpenLoop> = Vec::new();
    // The loops around each instruction, as the number of the innermost one; 0 for none.
    let mut innermost = Vec::with_capacity(proto.code.len());
    let mut parents = vec![0u32];
    let mut numbers: Vec<u32> = Vec::new();
    for (pc, &instr) in proto.code.iter().enumerate() {
        let op = op_of(instr);
        innermost.push(numbers.last().copied().unwrap_or(0));
        check_body_instr(proto, pc, op, instr, &open)?;
        match op {
            Op::ForPrep | Op::ForPrepOld => {
                let end = jump_target(pc, instr).map_or(0, |exit| exit as usize - 1);
                let outer_end = open.last().map_or(usize::MAX, |outer| outer.end);
                if end <= pc || end >= outer_end {
                    return Err(Problem::LoopPair.at(pc));
                }
                open.push(OpenLoop { prep: pc, base: instr.a(), end });
                let number = parents.len() as u32;
                parents.push(numbers.last().copied().unwrap_or(0));
                numbers.push(number);
            }
            // Only of the variable of such a loop it is known that it is small.
            Op::ForFloat => {
                let is_first = open.last().is_some_and(|open| {
                    open.prep + 1 == pc && open.base + 3 == instr.a() && op_of(proto.code[open.prep]) == Op::ForPrepOld
                });
                if !is_first {
                    return Err(Problem::LoopPair.at(pc));
                }
            }
            Op::ForLoop => {
                let matches = open.last().is_some_and(|open| {
                    open.end == pc && open.base == instr.a() && jump_target(pc, instr) == Some(open.prep as i64 + 1)
                });
                if !matches {
                    return Err(Problem::LoopPair.at(pc));
                }
                open.pop();
                numbers.pop();
            }
            _ if open.last().is_some_and(|open| open.end == pc) => {
                return Err(Problem::LoopPair.at(pc));
            }
            _ => {}
        }
    }
    // The loops are nested inside the code: each ended at its `forloop`.
    check_loop_entries(proto, &innermost, &parents)
}

/// Nothing in a loop but its own `forloop` touches its state.
fn check_body_instr(proto: &Proto, pc: usize, op: Op, instr: Instr, open: &[OpenLoop]) -> Result<(), VerifyError> {
    let effects = effects(op, instr);
    let touches = |span: Span| effects.writes.overlaps(span) || effects.destroys.overlaps(span);
    let captures = |span: Span| {
        op == Op::Closure
            && proto.protos[instr.d() as usize]
                .upvals
                .iter()
                .any(|upval| upval.in_stack && Span::one(upval.index).overlaps(span))
    };
    for open in open {
        let is_own_end = op == Op::ForLoop && open.end == pc;
        if (touches(state(open.base)) && !is_own_end) || captures(state(open.base)) {
            return Err(Problem::LoopState.at(pc));
        }
    }
    Ok(())
}

/// A jump may leave loops, but enter none.
fn check_loop_entries(proto: &Proto, innermost: &[u32], parents: &[u32]) -> Result<(), VerifyError> {
    for (pc, &instr) in proto.code.iter().enumerate() {
        let Some(target) = jump_target(pc, instr) else { continue };
        let target_loop = innermost[target as usize];
        let mut here = innermost[pc];
        while here != target_loop {
            if here == 0 {
                return Err(Problem::LoopEntry.at(pc));
            }
            here = parents[here as usize];
        }
    }
    Ok(())
}
