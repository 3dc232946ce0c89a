//! Bookkeeping: what the tier holds, how it is forgotten, and what runs of code count for.
//!
//! All that is decided elsewhere in the tier is decided by what is kept here. Nothing here begins a recording, runs code or
//! makes any.

use std::rc::Rc;

use perilune_codegen::Effort;
use perilune_trace::ir::SnapId;
use rustc_hash::FxHashSet;

use super::place::{Door, Place};
use super::{Grown, Inner, exits};
use crate::enter::Outcome;
use crate::gate::Gate;
use crate::record::Recorder;
use crate::view::ProtoAt;

/// How many times as long all work takes as little.
pub(super) const WORK_OF_FULL: u64 = 4;

/// The work that code of so many instructions takes.
pub(super) fn work(instructions: usize, effort: Effort) -> u64 {
    instructions as u64
        * match effort {
            Effort::Quick => 1,
            Effort::Full => WORK_OF_FULL,
        }
}

impl Inner {
    /// What is known of an exit of a tree, if that is there.
    pub(super) fn exit(&self, at: usize, snap: SnapId) -> Option<exits::Exit> {
        self.trees.get(at)?.as_ref()?.exits.get(snap.index()).copied()
    }

    /// The way into functions, if it can be made.
    pub(super) fn gate(&mut self) -> Option<Rc<Gate>> {
        if self.gate.is_none() {
            self.gate = Gate::new(self.machine.as_mut()?).ok();
        }
        self.gate.clone()
    }

    /// Forgets all code. What runs at the moment is kept by whoever runs it.
    pub(super) fn flush(&mut self) {
        self.trees.clear();
        self.places.clear();
        self.recording = None;
        self.liveness.clear();
        self.functions.clear();
        self.met.clear();
        self.wanted.clear();
        self.has_waiting = false;
    }

    /// Bytes of the code that trees have.
    pub(super) fn code_bytes(&self) -> usize {
        self.trees.iter().flatten().map(|grown| grown.code.bytes()).sum()
    }

    /// Whether trees have so many bytes of code. That is asked often, and seldom so.
    pub(super) fn has_code(&mut self, bytes: usize) -> bool {
        if self.most_bytes >= bytes {
            self.most_bytes = self.code_bytes();
        }
        self.most_bytes >= bytes
    }

    /// As [`Inner::flush`], for the trees that a prototype has a part in.
    pub(super) fn forget(&mut self, proto: ProtoAt) {
        self.forget_trees(|grown| grown.notes.protos.contains(&proto));
        self.wanted.remove(&proto);
        // It may be about to grow one of them.
        self.recording = None;
    }

    /// Forgets some of the trees: whether there are any.
    pub(super) fn forget_trees(&mut self, is_gone: impl Fn(&Grown) -> bool) -> bool {
        let gone: Vec<usize> =
            (0..self.trees.len()).filter(|at| self.trees[*at].as_ref().is_some_and(&is_gone)).collect();
        for at in &gone {
            if let Some(grown) = self.trees[*at].take()
                && grown.origin.pc == 0
            {
                self.functions.remove(grown.origin.proto);
            }
        }
        if !gone.is_empty() {
            self.places.retain(|_, place| !matches!(place, Place::Compiled { door, .. } if gone.contains(&door.tree)));
        }
        !gone.is_empty()
    }

    /// The addresses of the prototypes that the trees run through: they are alive.
    pub(super) fn living_protos(&self) -> FxHashSet<u64> {
        let protos = self.trees.iter().flatten().flat_map(|grown| &grown.notes.protos);
        protos.map(|proto| proto.0).collect()
    }

    /// Whether the program has run long enough for code of so many instructions.
    pub(super) fn affords(&self, instructions: usize, effort: Effort) -> bool {
        self.budget.affords(work(instructions, effort), self.fuel_used)
    }

    /// A recording is over, whatever becomes of it.
    pub(super) fn note_recording(&mut self, recorder: &Recorder) {
        let (steps, fuel) = recorder.pace();
        self.budget.recorded(steps, fuel);
    }

    /// The instructions of the interpreter that a run of compiled code stands for: the path that has ended it, and the fuel of
    /// the rounds before. Also, whether it has left where no other code can go on.
    pub(super) fn steps_of(&self, door: &Door, outcome: Outcome, spent: i64) -> (i64, bool) {
        let (steps, fuel, is_end) = match outcome {
            Outcome::Left(at, snap) => {
                self.exit(at, snap).map_or((0, 0, false), |exit| (exit.steps, exit.fuel, exit.is_end()))
            }
            Outcome::Returned(_) => {
                let grown = self.trees.get(door.tree).and_then(Option::as_ref);
                (grown.and_then(|grown| grown.notes.steps_to_return).unwrap_or(0), 0, false)
            }
            // Its rounds are still to come.
            Outcome::LeftAhead(..) => (0, 0, false),
            Outcome::NotEntered | Outcome::Replaced | Outcome::LeftOver => (0, 0, false),
        };
        (i64::from(steps) + self.budget.steps_of_rounds((spent - i64::from(fuel)).max(0)), is_end)
    }

    /// Whether it has run long enough for making the code of a tree anew.
    pub(super) fn affords_tree(&self, at: usize, effort: Effort) -> bool {
        self.trees.get(at).and_then(Option::as_ref).is_some_and(|grown| self.affords(grown.tree.insts.len(), effort))
    }
}
