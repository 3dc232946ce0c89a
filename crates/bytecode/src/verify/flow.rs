//! Flow: a data-flow analysis of the registers.
//!
//! | fact       | meaning                                                     | where paths meet |
//! |------------|-------------------------------------------------------------|------------------|
//! | `assigned` | the register was written, and not destroyed since           | on all           |
//! | `tables`   | it holds a table made by this function, and nothing else    | on all           |
//! | `captured` | an upvalue may be open on it                                | on some          |
//! | `to_close` | it may be marked to be closed                               | on some          |
//!
//! The facts are computed at the targets of jumps, and followed from each to the next. The analysis starts with what
//! holds at the first instruction and repeats from a target whenever the facts there become weaker, which happens a
//! bounded number of times. The checks only get stricter as facts get weaker, so that they may be made on the way.

use super::control::{Control, op_of, open_producer};
use super::{Problem, VerifyError};
use crate::control::{goes_on, jump_target};
use crate::effects::{Effects, Span, effects};
use crate::ops::{Instr, Op};
use crate::proto::Proto;
use crate::registers::Registers;

/// What is known about the registers before an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Facts {
    assigned: Registers,
    tables: Registers,
    captured: Registers,
    to_close: Registers,
}

impl Facts {
    fn merge(&self, other: &Facts) -> Facts {
        Facts {
            assigned: self.assigned.intersection(other.assigned),
            tables: self.tables.intersection(other.tables),
            captured: self.captured.union(other.captured),
            to_close: self.to_close.union(other.to_close),
        }
    }

    /// Registers that must be closed before they are given up.
    fn needed(&self) -> Registers {
        self.captured.union(self.to_close)
    }

    fn destroy(&mut self, lost: Registers) -> Result<(), Problem> {
        if !self.needed().intersection(lost).is_empty() {
            return Err(Problem::NotClosed);
        }
        self.assigned = self.assigned.without(lost);
        self.tables = self.tables.without(lost);
        Ok(())
    }

    fn write(&mut self, written: Span) {
        let written = Registers::span(written);
        self.assigned = self.assigned.union(written);
        self.tables = self.tables.without(written);
    }
}

/// The analysis of one function.
struct Flow<'a> {
    proto: &'a Proto,
    control: &'a Control,
    /// The facts at the targets of jumps that have been reached.
    at_target: Vec<Option<Box<Facts>>>,
    /// Targets whose facts changed since they were followed.
    pending: Vec<usize>,
}

pub(super) fn check(proto: &Proto, control: &Control) -> Result<(), VerifyError> {
    let mut flow = Flow { proto, control, at_target: vec![None; proto.code.len()], pending: Vec::new() };
    let params = Span { first: 0, len: u16::from(proto.num_params) };
    let start = Facts {
        assigned: Registers::span(params),
        tables: Registers::default(),
        captured: Registers::default(),
        to_close: Registers::default(),
    };
    if control.is_target[0] {
        flow.reach(0, &start);
    } else {
        flow.follow(0, start)?;
    }
    while let Some(pc) = flow.pending.pop() {
        if let Some(facts) = &flow.at_target[pc] {
            let facts = **facts;
            flow.follow(pc, facts)?;
        }
    }
    Ok(())
}

impl Flow<'_> {
    /// Notes that a target is reached with these facts.
    fn reach(&mut self, target: usize, facts: &Facts) {
        let slot = &mut self.at_target[target];
        let merged = slot.as_ref().map_or(*facts, |old| old.merge(facts));
        if slot.as_deref() != Some(&merged) {
            *slot = Some(Box::new(merged));
            self.pending.push(target);
        }
    }

    /// Follows the code from `start` to where control does not go on, or to a target.
    fn follow(&mut self, start: usize, facts: Facts) -> Result<(), VerifyError> {
        let mut facts = facts;
        let mut pc = start;
        loop {
            let instr = self.proto.code[pc];
            let op = op_of(instr);
            let jumped = step(self.proto, pc, op, instr, &mut facts).map_err(|problem| problem.at(pc))?;
            if let Some(target) = jump_target(pc, instr) {
                self.reach(target as usize, &jumped);
            }
            pc += 1;
            if !goes_on(op) {
                return Ok(());
            }
            if self.control.is_target[pc] {
                self.reach(pc, &facts);
                return Ok(());
            }
        }
    }
}

/// Applies an instruction to the facts, for the case that it goes on; returns the facts for the case that it jumps.
fn step(proto: &Proto, pc: usize, op: Op, instr: Instr, facts: &mut Facts) -> Result<Facts, Problem> {
    let effects = effects(op, instr);
    check_reads(proto, pc, instr, &effects, facts)?;
    check_leaving(op, instr, facts)?;
    let before = *facts;
    facts.destroy(Registers::span(effects.destroys))?;
    let destroyed = *facts;
    facts.write(effects.writes);
    let a = instr.a();
    match op {
        Op::NewTable | Op::NewRecord => {
            facts.tables = facts.tables.union(Registers::span(Span::one(a)));
        }
        Op::Closure => capture(proto, instr, &destroyed, facts)?,
        Op::Close => {
            let closed = Registers::span(Span::above(a, 0));
            facts.captured = facts.captured.without(closed);
            facts.to_close = facts.to_close.without(closed);
        }
        Op::Tbc => mark_to_close(a, facts)?,
        Op::TForPrep => mark_to_close(a + 3, facts)?,
        Op::ForPrep | Op::ForPrepOld => {
            let state = Registers::span(Span::from(a, 0, 3));
            if !facts.captured.intersection(state).is_empty() {
                return Err(Problem::LoopState);
            }
            facts.assigned = facts.assigned.without(state);
            return Ok(Facts { assigned: before.assigned.without(state), ..before });
        }
        Op::TestSet | Op::ForLoop | Op::TForLoop => {
            // Written only if they jump.
            let mut jumped = *facts;
            *facts = destroyed;
            if op == Op::ForLoop {
                // Only the loop itself reads its state.
                jumped.assigned = jumped.assigned.without(Registers::span(Span::from(a, 0, 3)));
            }
            // Whatever was known to be a table may have been replaced in either case.
            facts.tables = jumped.tables;
            return Ok(jumped);
        }
        _ => {}
    }
    Ok(*facts)
}

fn check_reads(proto: &Proto, pc: usize, instr: Instr, effects: &Effects, facts: &Facts) -> Result<(), Problem> {
    let [first, second] = effects.reads;
    let also = effects.also_reads.map_or(Span::NONE, Span::one);
    // The fixed operands of an open instruction reach up to where the producer began.
    let fixed = open_producer(proto, pc)
        .map_or(Span::NONE, |producer| Span { first: u16::from(instr.a()), len: u16::from(producer.a() - instr.a()) });
    let read =
        [first, second, also, fixed].map(Registers::span).into_iter().fold(Registers::default(), Registers::union);
    // The state of a numeric loop is there: see point 3 of the module's documentation.
    if op_of(instr) != Op::ForLoop && !facts.assigned.contains_all(read) {
        return Err(Problem::Unassigned);
    }
    let needs_table = op_of(instr) == Op::SetList;
    let table = Registers::span(Span::one(instr.a()));
    if needs_table && (!facts.tables.contains_all(table) || !facts.captured.intersection(table).is_empty()) {
        return Err(Problem::NotTable);
    }
    Ok(())
}

/// A return leaves nothing open that it does not close. A tail call has no frame to close variables in.
fn check_leaving(op: Op, instr: Instr, facts: &Facts) -> Result<(), Problem> {
    let left = match op {
        Op::Return0 | Op::Return1 => facts.needed(),
        Op::Return | Op::TailCall if instr.c() == 0 => facts.needed(),
        Op::TailCall => facts.to_close,
        _ => return Ok(()),
    };
    if left.is_empty() { Ok(()) } else { Err(Problem::NotClosed) }
}

/// A closure captures registers that have a value, or the one that it is put into.
fn capture(proto: &Proto, instr: Instr, left: &Facts, facts: &mut Facts) -> Result<(), Problem> {
    let own = Registers::span(Span::one(instr.a()));
    let child = &proto.protos[instr.d() as usize];
    for upval in child.upvals.iter().filter(|upval| upval.in_stack) {
        let captured = Registers::span(Span::one(upval.index));
        if !left.assigned.union(own).contains_all(captured) {
            return Err(Problem::Unassigned);
        }
        facts.captured = facts.captured.union(captured);
        facts.tables = facts.tables.without(captured);
    }
    Ok(())
}

/// Variables are marked in the order of their registers, which is the reverse of the order of closing.
fn mark_to_close(reg: u8, facts: &mut Facts) -> Result<(), Problem> {
    let from_here = Registers::span(Span::above(reg, 0));
    if !facts.to_close.intersection(from_here).is_empty() {
        return Err(Problem::CloseOrder);
    }
    facts.to_close = facts.to_close.union(Registers::span(Span::one(reg)));
    Ok(())
}
