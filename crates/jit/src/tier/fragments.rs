//! Fragments: code of a new path alone, until the tree is compiled anew.
//!
//! Making code of a tree takes long when the tree is large, and a path that waits for it is interpreted. A fragment costs what the
//! path costs, and is there at once; only going from one piece of code to the next costs something each time, and that is
//! what the tree is compiled anew for at last.
//!
//! Where the program has not run long enough for any more code, the path waits until its exit has been taken so often that
//! code would have cost less.

use std::ops::Range;
use std::rc::Rc;

use perilune_codegen::Effort;
use perilune_trace::fragment::{self, Fragment};
use perilune_trace::ir::{SegmentId, SnapId, Tree};

use super::exits::Begins;
use super::{Grown, Inner, Jit, JitOptions};
use crate::abort::Abort;
use crate::enter::{Compiled, Exits, environment};
use crate::log::LogLevel;
use crate::stats::Clock;

/// Fragments that go on for which as much time is lost as for one exit to the interpreter.
const FOLLOWED_PER_WAIT: usize = 4;

/// Exits that cost as much as making code of an instruction does.
const EXITS_PER_INST: usize = 16;

impl Jit {
    /// Makes code of a fragment, which is the segments of a tree from one on, or lets them wait: whether it has, or they do.
    pub(super) fn link_or_wait(&self, inner: &mut Inner, at: usize, fragment: Fragment, first: usize) -> bool {
        let Some(Some(grown)) = inner.trees.get(at) else { return false };
        let segments = first as u32..grown.tree.segments.len() as u32;
        if inner.affords(fragment.tree.insts.len(), self.first_effort()) {
            return self.add_fragment(inner, at, fragment, segments);
        }
        if let Some(Some(grown)) = inner.trees.get_mut(at) {
            grown.waiting.push(Waiting { start: fragment.start, due: grown.due(&segments), segments });
        }
        true
    }

    /// Makes a fragment of the segments that wait at an exit.
    pub(super) fn make_waiting(&self, inner: &mut Inner, at: usize, snap: SnapId) {
        let Some(Some(grown)) = inner.trees.get_mut(at) else { return };
        let waiting = grown.waiting_at(snap).map(|n| grown.waiting.swap_remove(n));
        let Some(Waiting { segments, .. }) = waiting else { return };
        if let Some(fragment) = grown.cut(&grown.tree, segments.clone()) {
            self.add_fragment(inner, at, fragment, segments);
        }
    }

    /// Makes the code of a fragment: whether that could be.
    fn add_fragment(&self, inner: &mut Inner, at: usize, mut fragment: Fragment, segments: Range<u32>) -> bool {
        let clock = Clock::start();
        let tree = std::mem::take(&mut fragment.tree);
        let made = self.make_fragment(inner, at, &fragment, tree, self.first_effort());
        inner.stats.compile_time += clock.elapsed();
        let Some(Some(grown)) = inner.trees.get_mut(at) else { return false };
        match made {
            Ok(code) => {
                self.log(LogLevel::Links, || format!("exit {} of tree {at} goes on in a fragment", fragment.start.0));
                inner.stats.fragments += 1;
                grown.code.link(&fragment, code);
                grown.linked_segments += segments.len();
                true
            }
            Err(why) => {
                inner.stats.aborted(why);
                false
            }
        }
    }

    /// As [`Jit::add_fragment`]; `tree` is the fragment's own.
    fn make_fragment(
        &self,
        inner: &mut Inner,
        at: usize,
        fragment: &Fragment,
        tree: Tree,
        effort: Effort,
    ) -> Result<Rc<Compiled>, Abort> {
        self.account(inner, tree.insts.len(), effort)?;
        let tree = self.optimize(at, tree);
        let Some(Some(grown)) = inner.trees.get(at) else { return Err(Abort::Code) };
        let notes = grown.notes.clone();
        let exits = Exits::of_fragment(at, fragment, &tree, notes.slots, grown.code.found_at(fragment.start));
        let environment = environment(&exits, None, self.options.exit_every);
        let (block, _) = self.emit(inner, at, &tree, &environment, effort)?;
        Ok(Rc::new(Compiled::new(block, exits, &tree, &notes, None, None)))
    }

    /// Counts how often fragments of a tree have gone on: the tree is compiled anew when that has cost as much as doing so does.
    pub(super) fn note_followed(&self, inner: &mut Inner, at: usize, followed: u32) {
        let followed = followed as usize;
        let Some(Some(grown)) = inner.trees.get_mut(at).filter(|_| followed > 0) else { return };
        inner.stats.followed += followed as u64;
        let waits = followed.div_ceil(FOLLOWED_PER_WAIT);
        if grown.waits_for(waits, self.options.waits_per_inst, self.first_effort()) && grown.is_behind() {
            self.compile_waiting(inner, at);
        }
    }

    /// The same for all trees, those of functions among them that only compiled code calls.
    #[cold]
    pub(super) fn note_all_followed(&self, inner: &mut Inner) {
        for at in 0..inner.trees.len() {
            let followed = inner.trees[at].as_ref().map_or(0, |grown| grown.code.take_followed());
            self.note_followed(inner, at, followed);
        }
    }
}

impl Grown {
    /// The fragment that the segments from one on are, of the tree or of what it grows to.
    pub(super) fn cut_of(&self, tree: &Tree, first: u32) -> Option<Fragment> {
        self.cut(tree, first..tree.segments.len() as u32)
    }

    fn cut(&self, tree: &Tree, segments: Range<u32>) -> Option<Fragment> {
        let from = tree.header_of(SegmentId(segments.start));
        fragment::cut(tree, segments, self.code.checked_inputs(from))
    }

    /// The path that was recorded from an exit cannot be code of its own. Where making code of the whole tree would be dear, it is
    /// recorded once more, so that it can.
    pub(super) fn records_anew(&mut self, start: SnapId, tree: &Tree, options: &JitOptions) -> bool {
        let exit = &mut self.exits[start.index()];
        // An open list of values has no header.
        let is_worth_it = exit.begins == Begins::WithWhatIsKnown
            && exit.is_side()
            && tree.insts.len() >= options.insts_to_record_anew
            && tree.snapshot(start).top.is_none();
        if is_worth_it {
            exit.begins = Begins::AnewAtOnce;
        }
        is_worth_it
    }

    /// Which of the waiting segments continue at an exit.
    fn waiting_at(&self, snap: SnapId) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.start == snap)
    }

    /// Whether an exit has been taken so often that code for what waits there is worth making in any case.
    pub(super) fn is_fragment_due(&self, snap: SnapId) -> bool {
        let count = self.exits[snap.index()].count as usize;
        self.waiting_at(snap).is_some_and(|n| count > self.waiting[n].due)
    }

    /// How often an exit must be taken more than for code of segments to be worth making.
    fn due(&self, segments: &Range<u32>) -> usize {
        let ends = [segments.start, segments.end - 1].map(|n| self.tree.segment(SegmentId(n)));
        (ends[1].end_at.0 - ends[0].first.0) as usize * EXITS_PER_INST
    }
}

/// Segments that a fragment can be made of, as they were recorded together.
pub(super) struct Waiting {
    pub(super) segments: Range<u32>,
    /// The exit where they continue.
    start: SnapId,
    /// How often it is taken before code is worth making.
    due: usize,
}
