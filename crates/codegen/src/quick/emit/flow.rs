//! Ways through the code: jumps, and the moves of block parameters on them.

use cranelift_assembler_x64::inst;

use super::super::alloc::{XMM_A, XMM_B};
use super::super::asm::{Condition, Label, Regs};
use super::super::moves::{self, Aside, Move, Place, Source};
use super::super::plan::Kind;
use super::calls::RESULTS;
use super::compare::Test;
use super::{Edge, Emitter, put};
use crate::mir::{Block, Edge as Way, Inst, Value};

impl Emitter<'_> {
    /// The moves of block parameters on the way to a block.
    pub(super) fn moves_to(&self, way: Way) -> Vec<Move> {
        let params = self.func.params(self.func.target(way));
        let pairs = params.iter().zip(self.func.edge_args(way));
        let moves = pairs.filter_map(|(param, arg)| {
            let to = self.places.of(*param)?;
            let from = self.source(*arg);
            (Source::Place(to) != from).then_some(Move { to, from })
        });
        moves.collect()
    }

    pub(super) fn source(&self, v: Value) -> Source {
        match (self.plan.kind(v), self.places.of(v)) {
            (Kind::Int(n), _) => Source::Int(n),
            (Kind::Float(bits), _) => Source::Float(bits),
            (_, Some(place)) => Source::Place(place),
            (kind, None) => {
                debug_assert!(false, "{v:?} has no place: {kind:?}");
                Source::Int(0)
            }
        }
    }

    pub(super) fn jump(&mut self, way: Way, next: Option<Block>) {
        let moves = self.moves_to(way);
        self.moves(moves);
        self.go_to(self.func.target(way), next);
    }

    pub(super) fn go_to(&mut self, to: Block, next: Option<Block>) {
        if next != Some(to) {
            let to = self.label(to);
            self.code.jump(to);
        }
    }

    /// Where a conditional jump to a block goes: to the block, or to the moves in front of it.
    pub(super) fn way_to(&mut self, way: Way) -> Label {
        let (moves, to) = (self.moves_to(way), self.func.target(way));
        if moves.is_empty() {
            return self.label(to);
        }
        let label = self.code.label();
        self.edges.push(Edge { label, moves, to });
        label
    }

    pub(super) fn branch(&mut self, flag: Value, [then, other]: [Way; 2], next: Option<Block>) {
        let then_is_next = next == Some(self.func.target(then));
        match self.test(flag) {
            Test::Always(is) => self.jump(if is { then } else { other }, next),
            Test::If(condition) if then_is_next => {
                let way = self.way_to(other);
                self.code.jump_if(condition.inverse(), way);
                self.jump(then, next);
            }
            Test::If(condition) => {
                let way = self.way_to(then);
                self.code.jump_if(condition, way);
                self.jump(other, next);
            }
            Test::FloatsEqual => self.branch_unless_equal(other, then, next),
            Test::FloatsDiffer => self.branch_unless_equal(then, other, next),
        }
    }

    /// The flags say whether two floats are equal.
    pub(super) fn branch_unless_equal(&mut self, unequal: Way, equal: Way, next: Option<Block>) {
        let way = self.way_to(unequal);
        self.code.jump_if(Condition::NotEqual, way);
        self.code.jump_if(Condition::Parity, way);
        self.jump(equal, next);
    }

    pub(super) fn return_(&mut self, inst: Inst) {
        for (v, register) in self.func.args(inst).iter().zip(RESULTS) {
            self.take(register, *v);
        }
        self.code.jump(self.epilogue);
    }

    pub(super) fn moves(&mut self, mut list: Vec<Move>) {
        let mut ordered = Vec::new();
        // No value is in these: circles of integers are as well put aside in a register for floats.
        let aside = Aside { gpr: Place::Xmm(XMM_A), xmm: Place::Xmm(XMM_B) };
        moves::order(&mut list, aside, |one| ordered.push(one));
        for one in ordered {
            self.one_move(one);
        }
    }

    pub(super) fn one_move(&mut self, one: Move) {
        match (one.to, one.from) {
            (Place::Gpr(to), Source::Int(n)) => self.load_int(to, n),
            (Place::Gpr(to), Source::Float(bits)) => self.load_int(to, bits as i64),
            (Place::Gpr(to), Source::Place(Place::Gpr(from))) => put!(self, movq_rm, to, from),
            (Place::Gpr(to), Source::Place(Place::Xmm(from))) => put!(self, movq_b, to, from),
            (Place::Gpr(to), Source::Place(memory)) => put!(self, movq_rm, to, Self::memory(memory)),
            (Place::Xmm(to), Source::Int(n)) => {
                let from = self.code.constant(n as u64);
                put!(self, movsd_a_m, to, from);
            }
            (Place::Xmm(to), Source::Float(0)) => put!(self, xorpd_a, to, to),
            (Place::Xmm(to), Source::Float(bits)) => {
                let from = self.code.constant(bits);
                put!(self, movsd_a_m, to, from);
            }
            (Place::Xmm(to), Source::Place(Place::Xmm(from))) => put!(self, movapd_a, to, from),
            (Place::Xmm(to), Source::Place(Place::Gpr(from))) => put!(self, movq_a, to, from),
            (Place::Xmm(to), Source::Place(memory)) => put!(self, movsd_a_m, to, Self::memory(memory)),
            (memory, Source::Place(Place::Gpr(from))) => put!(self, movq_mr, Self::memory(memory), from),
            (memory, Source::Place(Place::Xmm(from))) => put!(self, movsd_c_m, Self::memory(memory), from),
            (memory, Source::Int(n)) if i32::try_from(n).is_ok() => {
                put!(self, movq_mi_sxl, Self::memory(memory), n as i32);
            }
            (memory, Source::Int(n)) => self.move_through_xmm(memory, n as u64),
            (memory, Source::Float(bits)) => self.move_through_xmm(memory, bits),
            // Neither of the registers that values of circles are in.
            (memory, Source::Place(from)) => {
                put!(self, pushq_m, Self::memory(from));
                put!(self, popq_m, Self::memory(memory));
            }
        }
    }

    /// Stores a constant, when nothing is put aside any more.
    pub(super) fn move_through_xmm(&mut self, memory: Place, bits: u64) {
        let from = self.code.constant(bits);
        put!(self, movsd_a_m, XMM_A, from);
        put!(self, movsd_c_m, Self::memory(memory), XMM_A);
    }
}
