//! Loops over variable arguments: each round has its own code.
//!
//! ```lua
//! for i = 1, select("#", ...) do s = s + select(i, ...) end
//! ```
//!
//! Once a call is followed, the number of its arguments is known, and so is how often such a loop runs. As a loop it would
//! need code that picks an argument by its number, of any type. Copied for each round, `i` is a constant, and `select(i, ...)`
//! is the argument itself, which may not even have been stored anywhere.

use perilune_bytecode::ops::Op;
use perilune_trace::ir::Ref;

use super::Recorder;
use super::state::Shadow;
use crate::view::View;

/// Most rounds that are copied.
const MAX_ROUNDS: u64 = 16;

impl Recorder {
    /// Whether the next instruction begins a round of a loop that is copied: a counted one with few rounds to come, in a
    /// function with variable arguments whose call is followed.
    pub(super) fn unrolls(&self, view: &View<'_>) -> bool {
        let frame = self.frame();
        let plain = view.plain(frame.proto);
        if self.frames.len() == 1 || !plain.is_vararg {
            return false;
        }
        let goes_back = |pc: usize, d: i32| (pc as u32 + 1).wrapping_add_signed(d) == self.expected;
        let mut loops = plain.code.iter().enumerate();
        let found = loops.find(|(pc, i)| i.op() == Some(Op::ForLoop) && goes_back(*pc, i.d()));
        let Some((_, i)) = found else { return false };
        let first = frame.base + u32::from(i.a());
        self.rounds_to_come(first).is_some_and(|rounds| rounds <= MAX_ROUNDS)
    }

    /// How many rounds of the loop with control variables from slot `first` on follow the present one, if that is known.
    fn rounds_to_come(&self, first: u32) -> Option<u64> {
        let [index, limit, step] = [0, 1, 2].map(|n| self.known(first + n));
        let tree = self.builder.tree();
        if let (Some(_), Some(count), Some(_)) = (tree.const_int(index?), tree.const_int(limit?), tree.const_int(step?))
        {
            return Some(count as u64);
        }
        let (index, limit, step) = (tree.const_float(index?)?, tree.const_float(limit?)?, tree.const_float(step?)?);
        let rounds = (limit - index) / step;
        (0.0..=MAX_ROUNDS as f64).contains(&rounds).then_some(rounds as u64)
    }

    /// The value of a slot that the path has written.
    fn known(&self, slot: u32) -> Option<Ref> {
        match self.shadow_at(slot) {
            Shadow::Value(value) => Some(value),
            Shadow::Untouched | Shadow::Dead => None,
        }
    }
}
