//! Operands: registers, indices, kinds of constants, flags.

use std::collections::HashSet;

use perilune_base::limits::MAX_RECORD;

use super::{Problem, VerifyError};
use crate::effects::{Span, effects};
use crate::ops::{Format, Instr, Op};
use crate::proto::{Const, Proto};

type Check = Result<(), Problem>;

pub(super) fn check(proto: &Proto) -> Result<(), VerifyError> {
    check_tables(proto).map_err(Problem::whole)?;
    for (pc, &instr) in proto.code.iter().enumerate() {
        let op = instr.op().ok_or_else(|| Problem::Opcode.at(pc))?;
        check_registers(proto, op, instr)
            .and_then(|()| check_indices(proto, op, instr))
            .and_then(|()| check_counts(proto, op, instr))
            .map_err(|problem| problem.at(pc))?;
    }
    Ok(())
}

/// What holds for the function as a whole.
fn check_tables(proto: &Proto) -> Check {
    if proto.max_stack < 2 || proto.num_params > proto.max_stack {
        return Err(Problem::StackSize);
    }
    if proto.upvals.len() > usize::from(u8::MAX) {
        return Err(Problem::Upvalue);
    }
    let sizes = [proto.consts.len(), proto.caches.len(), proto.templates.len(), proto.protos.len()];
    if sizes.into_iter().any(|size| i32::try_from(size).is_err()) {
        return Err(Problem::TableSize);
    }
    let is_string = |&key: &u32| matches!(proto.consts.get(key as usize), Some(Const::Str(_)));
    if !proto.caches.iter().all(is_string) {
        return Err(Problem::Key);
    }
    for template in &proto.templates {
        let mut seen = HashSet::new();
        let mut is_new = |&key: &u32| match proto.consts.get(key as usize) {
            Some(Const::Str(name)) => seen.insert(name),
            Some(Const::Nil | Const::Bool(_) | Const::Int(_) | Const::Float(_)) | None => false,
        };
        if !(1..=MAX_RECORD).contains(&template.len()) || !template.iter().all(&mut is_new) {
            return Err(Problem::Key);
        }
    }
    for child in &proto.protos {
        let refers_to_something = child.upvals.iter().all(|upval| {
            let index = usize::from(upval.index);
            let count = if upval.in_stack { usize::from(proto.max_stack) } else { proto.upvals.len() };
            index < count
        });
        if !refers_to_something {
            return Err(Problem::Upvalue);
        }
    }
    Ok(())
}

fn check_registers(proto: &Proto, op: Op, instr: Instr) -> Check {
    let limit = u16::from(proto.max_stack);
    let effects = effects(op, instr);
    let also = effects.also_reads.map_or(Span::NONE, Span::one);
    let [first, second] = effects.reads;
    let spans = [first, second, also, effects.writes, effects.needs];
    let is_valid = spans.into_iter().all(|span| span.len == 0 || span.end() <= limit);
    // Where an instruction begins may be one behind the last register if nothing is there.
    let base_is_valid = match op {
        Op::Close | Op::Return => u16::from(instr.a()) <= limit,
        _ => true,
    };
    if is_valid && base_is_valid { Ok(()) } else { Err(Problem::Register) }
}

fn check_indices(proto: &Proto, op: Op, instr: Instr) -> Check {
    let below = |index: i32, len: usize| {
        if usize::try_from(index).is_ok_and(|index| index < len) { Ok(()) } else { Err(Problem::Index) }
    };
    let cache = || below(instr.d(), proto.caches.len());
    let upval = || below(i32::from(instr.b()), proto.upvals.len());
    match op.format() {
        Format::AK | Format::ABK => check_constant(proto, op, instr.d()),
        Format::AKCond => check_constant(proto, op, i32::from(instr.bc())),
        Format::AUp => upval(),
        Format::ABCache | Format::ACCache => cache(),
        Format::AUpCache | Format::UpCCache => cache().and_then(|()| upval()),
        Format::NewRecord => {
            below(instr.d(), proto.templates.len())?;
            let template = &proto.templates[instr.d() as usize];
            if template.len() == usize::from(instr.bc()) { Ok(()) } else { Err(Problem::Flag) }
        }
        Format::Closure => below(instr.d(), proto.protos.len()),
        Format::None
        | Format::A
        | Format::AB
        | Format::ABC
        | Format::AImm
        | Format::ACount
        | Format::ABImm
        | Format::ACImm
        | Format::NewTable
        | Format::SetList
        | Format::Concat
        | Format::Jump
        | Format::ACond
        | Format::ABCond
        | Format::AImmCond
        | Format::Call
        | Format::Return
        | Format::AJump
        | Format::TForCall
        | Format::VarArg
        | Format::VarArgOf => Ok(()),
    }
}

fn check_constant(proto: &Proto, op: Op, index: i32) -> Check {
    let constant = usize::try_from(index).ok().and_then(|index| proto.consts.get(index));
    let constant = constant.ok_or(Problem::Index)?;
    let is_valid = match op {
        Op::BAndK | Op::BOrK | Op::BXorK => matches!(constant, Const::Int(_)),
        Op::LoadK | Op::EqK => true,
        Op::NewGlobal => matches!(constant, Const::Str(_)),
        _ => matches!(constant, Const::Int(_) | Const::Float(_)),
    };
    if is_valid { Ok(()) } else { Err(Problem::ConstantKind) }
}

fn check_counts(proto: &Proto, op: Op, instr: Instr) -> Check {
    let (b, c, d) = (instr.b(), instr.c(), instr.d());
    let len = proto.code.len();
    let is_valid = match op {
        Op::AddI => c <= 2,
        Op::AddK | Op::MulK | Op::BAndK | Op::BOrK | Op::BXorK => c <= 1,
        Op::SubK | Op::DivK | Op::ModK | Op::ModFK | Op::IDivK | Op::PowK => c == 0,
        Op::ShlI | Op::ShrI | Op::GetInt => c == 0,
        Op::Concat => c >= 2,
        Op::Return | Op::TailCall | Op::Closure => c <= 1,
        Op::TForCall => c >= 1,
        Op::SetList => d >= 0 && d.checked_add(i32::from(b)).is_some(),
        // Room for more items than there are instructions to fill it would only waste memory.
        Op::NewTable => usize::try_from(d).is_ok_and(|items| items <= len) && usize::from(instr.bc()) <= len,
        Op::VarArg | Op::VarArgTable | Op::GetVarArg if !proto.is_vararg => return Err(Problem::NoVarargs),
        _ => true,
    };
    if is_valid { Ok(()) } else { Err(Problem::Flag) }
}
