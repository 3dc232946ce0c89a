//! The joining of paths: where a path arrives at a place where a loop begins.

use perilune_bytecode::ops::Op;
use perilune_runtime::value::Value;
use perilune_trace::ir::{End, ExitKind, HeaderId, InlinedFrame, Ty};

use super::state::{Shadow, type_of};
use super::{Flow, Recorder};
use crate::abort::Abort;
use crate::liveness::Liveness;
use crate::view::View;

/// Segments of a tree from which on side paths are merged.
const UNMERGED_SEGMENTS: usize = 3;

/// Most headers of one place, which differ in the types of their inputs.
const MAX_VERSIONS: usize = 4;

impl Recorder {
    /// If the next instruction is one where paths meet, ends the segment there: at a header that the tree has, or at a new
    /// one, where the recording goes on.
    pub(super) fn arrive(&mut self, view: &View<'_>) -> Result<Flow, Abort> {
        let is_first = self.builder.header().is_none();
        let proto = self.frame().proto;
        let mut is_loop = true;
        if std::mem::take(&mut self.begins_anew) {
            self.settle_numbers(view)?;
            let frames = self.inlined();
            self.begin(view, frames, false)?;
            return Ok(Flow::On);
        }
        if !is_first {
            let liveness = self.liveness_of(view, proto);
            is_loop = self.is_at_origin() || liveness.is_header(self.expected);
            let is_header = is_loop || self.merges(&liveness);
            if self.is_fresh || !is_header || self.open.is_some() || self.unrolls(view) {
                return Ok(Flow::On);
            }
        }
        let frames = self.inlined();
        let here: Vec<HeaderId> = self
            .builder
            .tree()
            .header_ids()
            .filter(|id| {
                let header = self.builder.tree().header(*id);
                header.pc == self.expected && header.frames == frames
            })
            .collect();
        // The path's own header comes first: what it has hoisted holds.
        let own = self.builder.header().filter(|own| here.contains(own));
        self.settle_numbers(view)?;
        for id in own.iter().chain(&here) {
            if self.alternative_of.is_none() && self.fits(view, *id)? {
                self.join(view, *id);
                return Ok(Flow::Done);
            }
        }
        if here.len() >= MAX_VERSIONS && self.alternative_of.is_none() {
            if !is_loop {
                // Paths need not meet where no loop begins.
                return Ok(Flow::On);
            }
            return if self.is_side { self.stop(Abort::TypeUnstable) } else { Err(Abort::TypeUnstable) };
        }
        self.begin(view, frames, is_first)?;
        Ok(Flow::On)
    }

    /// The inputs of the header that an alternative is recorded for: it must have them too.
    fn inputs_of_alternative(&self) -> Vec<(u32, Ty)> {
        let Some(of) = self.alternative_of else { return Vec::new() };
        let tree = self.builder.tree();
        tree.header(of).inputs.iter().map(|input| (tree.inst(*input).aux, tree.ty(*input))).collect()
    }

    /// Whether a side path should join others here. The first path through a loop stays undivided, for it is the one that
    /// is optimised as a whole; what leaves it would otherwise copy the rest of the loop once for every way through it.
    fn merges(&self, liveness: &Liveness) -> bool {
        self.is_side
            && self.builder.tree().segments.len() >= UNMERGED_SEGMENTS
            && (self.has_left_one_of_many || liveness.is_join(self.expected))
    }

    /// Whether the values here have the types that a header expects.
    fn fits(&self, view: &View<'_>, id: HeaderId) -> Result<bool, Abort> {
        let tree = self.builder.tree();
        for input in &tree.header(id).inputs {
            let inst = tree.inst(*input);
            if self.type_here(view, inst.aux)? != inst.ty {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The type of a slot's value at this point of the path.
    fn type_here(&self, view: &View<'_>, slot: u32) -> Result<Ty, Abort> {
        if let Shadow::Value(value) = self.shadow_at(slot) {
            return Ok(self.ty(value));
        }
        if !self.builder.calls_out()
            && let Some(input) = self.builder.input(slot)
        {
            return Ok(self.ty(input));
        }
        type_of(self.seen(view, slot))
    }

    /// What the VM has in a slot.
    pub(super) fn seen(&self, view: &View<'_>, slot: u32) -> Value {
        view.stack(self.root + slot as usize)
    }

    /// Whether the path, which comes to the beginning of a header's loop by a back-edge, has been inside of the loop all the
    /// time, so that what the header has hoisted holds. A generic loop is begun by its back-edge too:
    ///
    /// ```text
    ///  7 tforprep r4 -> 12
    ///  8 ...               the header
    /// 12 tforcall r4 ...   from 7 in the first round, from the body in others
    /// 13 tforloop r4 -> 8
    /// ```
    fn comes_around(&self, view: &View<'_>, id: HeaderId) -> bool {
        let tree = self.builder.tree();
        let (Some(from), to) = (self.builder.header(), tree.header(id)) else { return false };
        if from == id {
            return true;
        }
        // Where the path began, as seen from the loop's function.
        let from = tree.header(from);
        if !from.frames.starts_with(&to.frames) {
            return false;
        }
        let start = from.frames.get(to.frames.len()).map_or(from.pc, |callee| callee.return_pc);
        let end = match view.instr(self.frame().proto, self.pc).op() {
            Some(Op::TForCall) => self.pc,
            Some(Op::TForLoop) => self.pc - 1,
            _ => self.pc + 1,
        };
        // A copy of the loop for other types has hoisted things of its own.
        to.pc < start && start < end
    }

    /// Ends the segment at a header.
    fn join(&mut self, view: &View<'_>, id: HeaderId) {
        // Where an array has grown, which happens seldom, all that the loop has hoisted of it is loaded anew.
        let comes_around = self.back_edge && !self.has_grown && self.comes_around(view, id);
        let snap = self.snapshot(ExitKind::Guard, self.expected);
        let end = if comes_around { End::Around(id) } else { End::Enter(id) };
        self.builder.end(end, Some(snap));
    }

    /// Makes a header for this place and these types, and goes on from there.
    fn begin(&mut self, view: &View<'_>, frames: Vec<InlinedFrame>, is_first: bool) -> Result<(), Abort> {
        let proto = self.frame().proto;
        self.liveness_of(view, proto);
        let live = self.live_slots(self.expected);
        let mut inputs = self.inputs_of_alternative();
        for slot in &live {
            let known = match self.shadow_at(*slot) {
                Shadow::Value(value) => Some(value),
                Shadow::Untouched if !is_first && !self.builder.calls_out() => self.builder.input(*slot),
                Shadow::Untouched | Shadow::Dead => None,
            };
            if let Some(value) = known {
                inputs.push((*slot, self.ty(value)));
            }
        }
        if !is_first {
            let id = HeaderId(self.builder.tree().headers.len() as u32);
            let snap = self.snapshot(ExitKind::Guard, self.expected);
            self.builder.end(End::Enter(id), Some(snap));
        }
        let made = self.builder.begin_at_header(self.expected, frames, live, &inputs);
        if let Some(of) = self.alternative_of.take() {
            self.builder.set_alternative(of, made);
        }
        self.shadow.clear();
        self.snap = None;
        self.charged += i64::from(self.fuel);
        self.fuel = 0;
        self.path_steps = 0;
        self.is_fresh = true;
        Ok(())
    }
}
