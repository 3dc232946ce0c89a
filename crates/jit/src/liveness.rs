//! Which registers hold something that may still be read, for every instruction of a prototype.
//!
//! A register is live if it holds a variable in scope, which hooks and closures may look at at any time, or a temporary
//! value that a later instruction reads. Snapshots and headers carry live registers only.
//!
//! The analysis is the usual one, backwards to a fixed point; what an instruction reads and destroys is said by
//! [`perilune_bytecode::effects`].
//!
//! A variable need not be read by any instruction of the function itself. Closures find it in its register, from when one of
//! them is made, which may be before its scope begins, until it is closed, which is when the scope has ended; and so does
//! `__close`. In between the register is *open*, and live whatever the scopes are said to be: those of a binary chunk may be
//! anything.
//!
//! ```text
//!  0 newtable r1        local t, u = {}, {}: t is in scope from 2 on
//!  1 newtable r2
//!    ...
//!  7 closure r6 ...     function() return v end, which finds v in r5
//!  8 settable r1 r7 r6
//!  9 close r5           v is in scope no more, but its upvalue takes what r5 holds
//! ```

use std::rc::Rc;

use perilune_bytecode::control;
use perilune_bytecode::effects::{Span, effects};
use perilune_bytecode::ops::{Instr, Op};
use perilune_bytecode::proto::Proto;
use perilune_bytecode::registers::Registers;
use rustc_hash::FxHashMap;

/// The live registers in front of each instruction of a prototype, and the targets of its back-edges.
#[derive(Debug)]
pub struct Liveness {
    live: Vec<Registers>,
    headers: Vec<u32>,
    joins: Vec<u32>,
}

impl Liveness {
    /// The analysis of a prototype, the closures of whose n-th child find variables in the registers `captured(n)`.
    pub fn new(proto: &Proto, captured: impl Fn(usize) -> Registers) -> Liveness {
        let live = flow(proto, &open(proto, captured));
        let mut headers: Vec<u32> = (0..proto.code.len()).filter_map(|pc| back_edge(proto, pc)).collect();
        headers.sort_unstable();
        headers.dedup();
        Liveness { live, headers, joins: joins(proto) }
    }

    /// The registers that are live in front of an instruction.
    pub fn at(&self, pc: u32) -> Registers {
        self.live.get(pc as usize).copied().unwrap_or_default()
    }

    /// Whether control comes to an instruction from more than one place, and paths that meet there are worth being joined.
    pub fn is_join(&self, pc: u32) -> bool {
        self.joins.binary_search(&pc).is_ok()
    }

    /// Whether some back-edge leads to an instruction.
    pub fn is_header(&self, pc: u32) -> bool {
        self.headers.binary_search(&pc).is_ok()
    }
}

/// Most instructions between a join and the end of its round that are rather recorded once more, for each path that comes there,
/// than shared: what all values have for their places in common costs more to arrive at.
const SHORT_TAIL: usize = 4;

/// Whether a round, or the function, ends a few instructions behind one, whichever way control has come there.
fn ends_soon(code: &[Instr], mut pc: u32) -> bool {
    for _ in 0..=SHORT_TAIL {
        let Some(op) = code.get(pc as usize).and_then(|i| i.op()) else { return false };
        match op {
            Op::Loop | Op::ForLoop | Op::TForLoop | Op::Return0 | Op::Return1 => return true,
            Op::Call | Op::TailCall | Op::TForCall => return false,
            _ => {}
        }
        let [Some(next), None] = successors(code, pc as usize) else { return false };
        pc = next;
    }
    false
}

/// The instructions that control comes to from more than one place, in ascending order, but for the last few of a round where two
/// ways meet.
fn joins(proto: &Proto) -> Vec<u32> {
    let mut arrivals = vec![0u8; proto.code.len() + 1];
    for pc in 0..proto.code.len() {
        for next in successors(&proto.code, pc).into_iter().flatten() {
            if let Some(count) = arrivals.get_mut(next as usize) {
                *count = count.saturating_add(1);
            }
        }
    }
    let is_join = |pc: &u32| match arrivals[*pc as usize] {
        0 | 1 => false,
        2 => !ends_soon(&proto.code, *pc),
        _ => true,
    };
    (0..proto.code.len() as u32).filter(is_join).collect()
}

/// How many variables are in scope at each instruction; without debug information, as many as there are registers.
fn variables(proto: &Proto) -> Vec<u16> {
    if proto.locals.is_empty() && proto.lines.is_empty() {
        return vec![u16::from(proto.max_stack); proto.code.len()];
    }
    let mut begun = vec![0i32; proto.code.len() + 1];
    for local in &proto.locals {
        begun[local.start as usize] += 1;
        begun[local.end as usize] -= 1;
    }
    // No more than there are registers, as the verifier has checked.
    let counts = begun.iter().scan(0, |count, begun| {
        *count += begun;
        Some(*count as u16)
    });
    counts.take(proto.code.len()).collect()
}

fn back_edge(proto: &Proto, pc: usize) -> Option<u32> {
    let i = proto.code[pc];
    match i.op()? {
        Op::Loop | Op::ForLoop | Op::TForLoop => Some((pc as u32 + 1).wrapping_add_signed(i.d())),
        _ => None,
    }
}

/// The registers whose values are read by a later instruction, or are there when a variable comes into scope. That is after
/// all values of its statement have been computed, and maybe only closures read it then.
fn flow(proto: &Proto, open: &[Registers]) -> Vec<Registers> {
    let code = &proto.code;
    let mut in_scope = open.to_vec();
    for (registers, count) in in_scope.iter_mut().zip(variables(proto)) {
        registers.add(Span::from(0, 0, count));
    }
    let mut live = vec![Registers::default(); code.len() + 1];
    // What comes later is known when it is asked for, but for what a jump back leads to.
    let goes_back = |pc: usize| successors(code, pc).into_iter().flatten().any(|next| next as usize <= pc);
    let has_loops = (0..code.len()).any(goes_back);
    loop {
        let mut changed = false;
        for pc in (0..code.len()).rev() {
            let [next, jump] = successors(code, pc).map(|next| match next {
                Some(next) => live.get(next as usize).copied().unwrap_or_default(),
                None => Registers::default(),
            });
            let before = transfer(code[pc], next, jump).union(in_scope[pc]);
            if before != live[pc] {
                live[pc] = before;
                changed = true;
            }
        }
        if !changed || !has_loops {
            return live;
        }
    }
}

/// The registers that are open in front of each instruction.
fn open(proto: &Proto, captured: impl Fn(usize) -> Registers) -> Vec<Registers> {
    let code = &proto.code;
    let mut open = vec![Registers::default(); code.len()];
    let opens = |i: &Instr| matches!(i.op(), Some(Op::Closure | Op::Tbc | Op::TForPrep));
    if !code.iter().any(opens) {
        return open;
    }
    loop {
        let mut changed = false;
        for pc in 0..code.len() {
            let i = code[pc];
            let mut behind = open[pc];
            match i.op() {
                Some(Op::Closure) => behind = behind.union(captured(i.d() as usize)),
                Some(Op::Tbc) => behind.add(Span::one(i.a())),
                // The fourth value of a generic loop.
                Some(Op::TForPrep) => behind.add(Span::one(i.a().saturating_add(3))),
                Some(Op::Close) => behind.remove(Span::above(i.a(), 0)),
                _ => {}
            }
            for next in successors(code, pc).into_iter().flatten() {
                if let Some(there) = open.get_mut(next as usize) {
                    let joined = there.union(behind);
                    changed |= joined != *there;
                    *there = joined;
                }
            }
        }
        if !changed {
            return open;
        }
    }
}

/// The registers that are live in front of an instruction, by those at its first and second successor.
fn transfer(i: Instr, mut next: Registers, mut jump: Registers) -> Registers {
    let Some(op) = i.op() else { return next.union(jump) };
    let effects = effects(op, i);
    // Some write on one of their ways only.
    if !matches!(op, Op::TestSet | Op::ForLoop | Op::TForLoop) {
        next.remove(effects.writes);
    }
    if !matches!(op, Op::ForPrep | Op::ForPrepOld) {
        jump.remove(effects.writes);
    }
    let mut set = next.union(jump);
    set.remove(effects.destroys);
    for span in effects.reads {
        set.add(span);
    }
    if let Some(register) = effects.also_reads {
        set.add(Span::one(register));
    }
    // An open list reaches from the first operand to the top.
    if matches!(op, Op::Call | Op::TailCall | Op::Return | Op::SetList) && i.b() == 0 {
        set.add(Span::above(i.a(), 0));
    }
    set
}

/// Where control may go from an instruction. A tail call counts as one that goes on, though it never does: so what another path
/// jumps to behind it is a join, and what lives there counts as read, which is safe.
fn successors(code: &[Instr], pc: usize) -> [Option<u32>; 2] {
    let i = code[pc];
    if i.op() == Some(Op::TailCall) { [Some(pc as u32 + 1), None] } else { control::successors(pc, i) }
}

/// The analyses made so far, by the prototype's address.
#[derive(Debug, Default)]
pub struct LivenessCache {
    known: FxHashMap<u64, Rc<Liveness>>,
}

impl LivenessCache {
    /// The analysis of the prototype at an address, whose plain form is `proto`; see [`Liveness::new`].
    pub fn of(&mut self, address: u64, proto: &Proto, captured: impl Fn(usize) -> Registers) -> Rc<Liveness> {
        self.known.entry(address).or_insert_with(|| Rc::new(Liveness::new(proto, captured))).clone()
    }

    /// The analysis of the prototype at an address, if it was made.
    pub fn known(&self, address: u64) -> Option<Rc<Liveness>> {
        self.known.get(&address).cloned()
    }

    /// Forgets those at other addresses: they may be used again.
    pub fn keep(&mut self, is_kept: impl Fn(u64) -> bool) {
        self.known.retain(|address, _| is_kept(*address));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use perilune_bytecode::proto::LocVar;

    use super::*;

    fn has(registers: Registers, register: u32) -> bool {
        registers.below(256).any(|other| other == register)
    }

    fn local(start: u32, end: u32) -> LocVar {
        LocVar { name: (*b"x").into(), start, end }
    }

    /// The debug information of a binary chunk may know nothing of a variable that a closure has.
    #[test]
    fn what_a_closure_captured_is_live_until_it_is_closed() {
        let code = vec![
            Instr::new(Op::LoadI, 1, 0, 0, 7),
            Instr::new(Op::Closure, 2, 0, 0, 0),
            Instr::new(Op::Move, 0, 2, 0, 0),
            Instr::new(Op::Close, 1, 0, 0, 0),
            Instr::new(Op::Return1, 0, 0, 0, 0),
        ];
        let proto =
            Proto { max_stack: 4, lines: vec![1; code.len()], code, locals: vec![local(4, 5)], ..Proto::default() };
        let liveness = Liveness::new(&proto, |_| Registers::of([1].into_iter()));
        let live: Vec<bool> = (0..5).map(|pc| has(liveness.at(pc), 1)).collect();
        assert_eq!(live, [false, true, true, true, false]);
    }

    /// Looking through all variables at each instruction would take minutes.
    #[test]
    fn many_variables_are_no_burden() {
        const MANY: u32 = 300_000;
        let mut code = vec![Instr::new(Op::LoadI, 0, 0, 0, 7); MANY as usize];
        code.push(Instr::new(Op::Return0, 0, 0, 0, 0));
        let locals = (0..MANY).map(|pc| local(pc, pc + 1)).collect();
        let proto = Proto { max_stack: 2, lines: vec![1; code.len()], code, locals, ..Proto::default() };
        let liveness = Liveness::new(&proto, |_| Registers::default());
        assert!(has(liveness.at(MANY - 1), 0) && !has(liveness.at(MANY), 0));
    }

    /// A loop whose body is `if r0 then r1 = 7 end` and `tail`.
    fn joins_with(tail: &[Instr]) -> Vec<u32> {
        let mut code = vec![Instr::new(Op::Test, 0, 0, 0, 2), Instr::new(Op::LoadI, 1, 0, 0, 7)];
        code.extend(tail);
        code.push(Instr::new(Op::Loop, 0, 0, 0, -(code.len() as i32) - 1));
        code.push(Instr::new(Op::Return0, 0, 0, 0, 0));
        joins(&Proto { max_stack: 4, code, ..Proto::default() })
    }

    #[test]
    fn two_ways_to_the_end_of_a_round_are_not_joined() {
        let simple = Instr::new(Op::Move, 2, 1, 0, 0);
        assert_eq!(joins_with(&[]), [] as [u32; 0]);
        assert_eq!(joins_with(&[simple; SHORT_TAIL]), [] as [u32; 0]);
        assert_eq!(joins_with(&[simple; SHORT_TAIL + 1]), [2]);
        assert_eq!(joins_with(&[Instr::new(Op::Call, 1, 1, 1, 0)]), [2], "a call may be long");
    }
}
