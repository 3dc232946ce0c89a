//! Exits: which of them become side segments, alternatives, or a reason to make code anew.

use std::rc::Rc;

use perilune_trace::ir::{End, ExitKind, HeaderId, SnapId, Snapshot, Start, Tree};
use perilune_vm::Vm;
use perilune_vm::tier::After;

use super::{Begun, Entry, Grown, Inner, Jit, JitOptions, Recording};
use crate::dump::Phase;
use crate::log::LogLevel;
use crate::record::{Notes, Recorder};
use crate::stats::Clock;
use crate::view::View;

/// Failures of hoisted guards before a header is pinned.
const MAX_HOISTED_EXITS: u32 = 8;

/// Instructions of a tree for which an exit must be taken once more before it is followed.
const INSTS_PER_EXIT: u32 = 8;

/// What an exit in front of a loop counts for, whose rounds are all interpreted then.
const WAITS_PER_LOOP: usize = 64;

/// Instructions from which on a tree is large: it grows only where very much is to be won.
const LARGE_INSTS: usize = 3000;

/// Side segments from one instruction that are many. One that meets ever more objects, each with a metatable or function of its
/// own, would be tested for each of them in turn.
const MANY_WAYS: usize = 12;

/// How many times the patience with an exit must have doubled for it to be followed where a tree is large, or the ways are many.
const TRIES_WHEN_LARGE: u32 = 3;

/// How many times as much as is large, or as many, there is at most.
const MOST_IS_LARGE: usize = 4;

/// Most headers of one place in one tree.
const MAX_COPIES: usize = 6;

impl Jit {
    /// Decides what happens after an exit, which stands for as many as the arrivals at which code was not entered because that
    /// is seldom worth it.
    ///
    /// # Safety
    /// The VM is ours, and stands at the snapshot, frames and all.
    pub(super) unsafe fn left(&self, inner: &mut Inner, vm: *mut Vm, at: usize, snap: SnapId, arrivals: u32) -> Entry {
        let Some(exit) = inner.exit(at, snap) else { return Entry::Left(After::Interpret) };
        if exit.leaves_to == LeavesTo::Call {
            inner.stats.service_exits += 1;
            return Entry::AtCall;
        }
        self.drop_waiting(inner);
        Entry::Left(match exit.leaves_to {
            LeavesTo::Call => After::Interpret,
            LeavesTo::Service { has_open_list } => {
                inner.stats.service_exits += 1;
                // An open list of values would be lost in a collection here; the next allocation makes up for it.
                // SAFETY: the VM is ours.
                let collects = !has_open_list && unsafe { (*vm).collector_is_due() };
                if collects { After::Collect } else { After::Interpret }
            }
            LeavesTo::End => {
                inner.stats.end_exits += 1;
                After::Interpret
            }
            // SAFETY: the caller's duty.
            LeavesTo::Guard => unsafe { self.failed(inner, vm, at, snap, arrivals) },
        })
    }

    /// The same where a guard has failed, or fuel was short.
    ///
    /// # Safety
    /// As [`Jit::left`].
    unsafe fn failed(&self, inner: &mut Inner, vm: *mut Vm, at: usize, snap: SnapId, arrivals: u32) -> After {
        let Some(Some(grown)) = inner.trees.get_mut(at) else { return After::Interpret };
        let exit = &mut grown.exits[snap.index()];
        // SAFETY: the VM is ours.
        let fuel = unsafe { (*vm).fuel_left() };
        let is_at_start = matches!(exit.role, Role::Header(_) | Role::Around);
        if is_at_start && fuel < grown.code.most_fuel() {
            // No guard has failed: the slice is used up, and how often that happens says nothing about the code.
            inner.stats.service_exits += 1;
            return After::Interpret;
        }
        inner.stats.guard_exits += 1;
        let before = exit.count;
        exit.count = before.saturating_add(arrivals);
        let role = exit.role;
        let next = match role {
            Role::Header(header) => grown.left_at_header(header, snap, self, inner.recording.is_some()),
            Role::Continued if grown.is_fragment_due(snap) => Next::Fragment,
            // A segment for the exit waits for its code.
            Role::Continued if grown.is_behind() => grown.compile_after(arrivals as usize, self),
            // There was no memory for what the segment begins with, or the collector comes first.
            Role::Continued => Next::Interpret,
            Role::Around | Role::Guard if inner.recording.is_some() => Next::Interpret,
            Role::Around | Role::Guard => grown.left_through_guard(snap, before, &self.options),
        };
        match next {
            Next::Interpret => After::Interpret,
            Next::Compile => self.compile_at_exit(inner, at, snap),
            Next::Fragment => {
                self.make_waiting(inner, at, snap);
                After::Interpret
            }
            // SAFETY: the VM stands at the snapshot, frames and all.
            Next::Alternative(header) => unsafe { self.record_from(inner, vm, at, snap, Some(header)) },
            // SAFETY: as above.
            Next::Side => unsafe { self.record_from(inner, vm, at, snap, None) },
        }
    }

    /// Decides what happens after an exit in front of a loop whose rounds are not all as one check has it.
    pub(super) fn left_ahead(&self, inner: &mut Inner, at: usize, snap: SnapId) -> After {
        self.drop_waiting(inner);
        inner.stats.guard_exits += 1;
        let Some(Some(grown)) = inner.trees.get_mut(at) else { return After::Interpret };
        match grown.left_ahead(snap, self) {
            Next::Compile => self.compile_at_exit(inner, at, snap),
            Next::Interpret | Next::Fragment | Next::Alternative(_) | Next::Side => After::Interpret,
        }
    }

    /// Makes the code of a tree anew, after exits that it would have saved.
    #[cold]
    fn compile_at_exit(&self, inner: &mut Inner, at: usize, snap: SnapId) -> After {
        self.log(LogLevel::Links, || format!("exit {} of tree {at} has waited for code", snap.0));
        self.compile_waiting(inner, at);
        After::Interpret
    }

    /// Begins a recording at an exit: of a side segment, or of an alternative for a header.
    #[cold]
    unsafe fn record_from(
        &self,
        inner: &mut Inner,
        vm: *mut Vm,
        at: usize,
        snap: SnapId,
        header: Option<HeaderId>,
    ) -> After {
        let clock = Clock::start();
        let shared = self.share(inner);
        let Some(Some(grown)) = inner.trees.get(at) else { return After::Interpret };
        // SAFETY: the caller's duty: the VM stands at the snapshot, frames and all.
        let view = unsafe { View::new(vm) };
        let (tree, notes) = (&grown.tree, grown.notes.clone());
        let recorder = match header {
            Some(header) => Recorder::alternative(&view, shared, grown.origin, tree, notes, header),
            None => {
                let begins_anew = grown.exits[snap.index()].begins != Begins::WithWhatIsKnown;
                Recorder::side(&view, shared, grown.origin, tree, notes, snap, begins_anew)
            }
        };
        let begun = Begun { place: std::ptr::null(), line: View::line(view.proto(0), view.pc(0)) };
        self.dump(Phase::Record, at, &format_args!("from exit {}", snap.0));
        self.log(LogLevel::Links, || {
            let what = if header.is_some() { "fails before the loop too often" } else { "is hot" };
            format!("exit {} of tree {at} at line {} {what}", snap.0, begun.line)
        });
        self.log(LogLevel::Recordings, || {
            format!("recording tree {at} from exit {}, where fails: {}", snap.0, grown.checks(snap))
        });
        // SAFETY: the VM is ours.
        inner.fuel_used = unsafe { (*vm).fuel_used() };
        let fuel_used = inner.fuel_used;
        inner.recording = Some(Box::new(Recording { recorder, tree: Some(at), begun, start: Some(snap), fuel_used }));
        inner.stats.record_time += clock.elapsed();
        After::Record
    }
}

/// What is known of an exit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    /// How often it was taken, since something was done about it.
    pub(super) count: u32,
    role: Role,
    leaves_to: LeavesTo,
    /// What a side segment may use.
    pub(super) begins: Begins,
    /// The instructions of the interpreter that lead there from the last header, and their fuel.
    pub(super) steps: u32,
    pub(super) fuel: u32,
}

impl Exit {
    /// Whether it leads in front of an instruction that is never compiled.
    pub(super) fn is_end(&self) -> bool {
        self.leaves_to == LeavesTo::End
    }

    /// Whether what is recorded there is a side segment.
    pub(super) fn is_side(&self) -> bool {
        matches!(self.role, Role::Around | Role::Guard)
    }
}

/// What a side segment may use that continues at an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// What was computed before the exit.
    WithWhatIsKnown,
    /// Slots alone: a segment that used more could not be code of its own. It is to be recorded at the next exit.
    AnewAtOnce,
    /// The same, after a recording.
    Anew,
}

/// What the interpreter does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeavesTo {
    /// What a failed guard asks for.
    Guard,
    /// A service, maybe with an open list of values.
    Service { has_open_list: bool },
    /// The first instruction of a function that could not be called.
    Call,
    /// What is never compiled.
    End,
}

impl LeavesTo {
    fn of(snapshot: &Snapshot) -> LeavesTo {
        match snapshot.kind {
            ExitKind::Guard => LeavesTo::Guard,
            ExitKind::End => LeavesTo::End,
            ExitKind::Service if snapshot.pc == 0 && !snapshot.frames.is_empty() => LeavesTo::Call,
            ExitKind::Service => LeavesTo::Service { has_open_list: snapshot.top.is_some() },
        }
    }
}

/// Where an exit leaves, as far as it matters at each.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// In front of a header.
    Header(HeaderId),
    /// Where a segment continues, if not in the code yet.
    Continued,
    /// Behind a round of a loop, in front of the next one.
    Around,
    /// At any other guard.
    Guard,
}

/// What follows from an exit.
enum Next {
    Interpret,
    /// Make the tree's code anew.
    Compile,
    /// Make code of the segments that continue there.
    Fragment,
    /// Record another way through the loop of a header, whose hoisted guards fail.
    Alternative(HeaderId),
    /// Record a side segment.
    Side,
}

impl Grown {
    /// Takes over a tree that has grown.
    pub(super) fn grow(&mut self, tree: Tree, notes: Notes) {
        let before = std::mem::replace(&mut self.exits, Grown::exits_of(&tree, &notes));
        for (exit, before) in self.exits.iter_mut().zip(before) {
            (exit.count, exit.begins) = (before.count, before.begins);
        }
        self.tree = tree;
        self.notes = notes;
    }

    /// The exits of a tree, none of which was taken.
    pub(super) fn exits_of(tree: &Tree, notes: &Notes) -> Vec<Exit> {
        let exit = |(n, snapshot): (usize, &Rc<Snapshot>)| Exit {
            count: 0,
            role: Role::Guard,
            leaves_to: LeavesTo::of(snapshot),
            begins: Begins::WithWhatIsKnown,
            steps: notes.steps.get(n).copied().unwrap_or(0),
            fuel: snapshot.fuel,
        };
        let mut exits: Vec<Exit> = tree.snapshots.iter().enumerate().map(exit).collect();
        for segment in &tree.segments {
            if let (End::Around(_), Some(snap)) = (segment.end, segment.end_snap) {
                exits[snap.index()].role = Role::Around;
            }
        }
        for segment in &tree.segments {
            if let Start::Snapshot(snap) = segment.start {
                exits[snap.index()].role = Role::Continued;
            }
        }
        for id in tree.header_ids() {
            exits[tree.header(id).snap.index()].role = Role::Header(id);
        }
        exits
    }

    /// A check of all rounds has failed: they are to be checked one by one.
    fn left_ahead(&mut self, snap: SnapId, jit: &Jit) -> Next {
        let count = &mut self.exits[snap.index()].count;
        *count += 1;
        if *count < MAX_HOISTED_EXITS {
            return Next::Interpret;
        }
        *count = 0;
        if let Some(id) = self.tree.header_ids().find(|id| self.tree.header(*id).snap == snap)
            && !self.tree.header(id).has_no_ranges
        {
            self.tree.header_mut(id).has_no_ranges = true;
            self.is_stale = true;
        }
        self.compile_after(MAX_HOISTED_EXITS as usize * WAITS_PER_LOOP, jit)
    }

    /// A hoisted guard has failed.
    fn left_at_header(&mut self, id: HeaderId, snap: SnapId, jit: &Jit, is_recording: bool) -> Next {
        let count = &mut self.exits[snap.index()].count;
        if *count < MAX_HOISTED_EXITS || is_recording {
            return Next::Interpret;
        }
        *count = 0;
        let place = (self.tree.header(id).pc, &self.tree.header(id).frames);
        let copies = self.tree.headers.iter().filter(|header| (header.pc, &header.frames) == place).count();
        let is_pending = self.pending() > 0;
        let header = self.tree.header(id);
        if self.is_stale || header.alternative.is_some() && is_pending {
            // It may be this header that has changed, or its alternative that has no code yet.
        } else if header.is_pinned {
            return Next::Interpret;
        } else if header.alternative.is_some() || copies >= MAX_COPIES {
            self.tree.header_mut(id).is_pinned = true;
            self.is_stale = true;
        } else {
            return Next::Alternative(id);
        }
        // Each time, the rounds of a whole loop are interpreted.
        self.compile_after(MAX_HOISTED_EXITS as usize * WAITS_PER_LOOP, jit)
    }

    /// The code is made anew when the exits that it would save have cost as much as making it does.
    fn compile_after(&mut self, exits: usize, jit: &Jit) -> Next {
        if self.has_waited(exits, jit.options.waits_per_inst, jit.first_effort()) {
            Next::Compile
        } else {
            Next::Interpret
        }
    }

    /// An exit was taken that was taken `before` times until then.
    fn left_through_guard(&mut self, snap: SnapId, before: u32, options: &JitOptions) -> Next {
        let size = self.tree.insts.len();
        let Exit { count, ref mut begins, .. } = self.exits[snap.index()];
        if *begins == Begins::AnewAtOnce {
            *begins = Begins::Anew;
            return Next::Side;
        }
        // The dearer the making of code has become, the more there must be to win.
        let threshold = options.hot_exit.max(1) + size as u32 / INSTS_PER_EXIT;
        // Exits that could not be followed are tried again at growing intervals.
        let tries = |count: u32| (count / threshold).checked_ilog2();
        if tries(count) <= tries(before) {
            return Next::Interpret;
        }
        let (segments, ways) = (self.tree.segments.len(), self.ways_from(snap));
        let exceeds = |times: usize| {
            segments >= times * options.max_segments || size > times * LARGE_INSTS || ways >= times * MANY_WAYS
        };
        let is_followed = !exceeds(1) || tries(count) >= Some(TRIES_WHEN_LARGE) && !exceeds(MOST_IS_LARGE);
        if is_followed { Next::Side } else { Next::Interpret }
    }

    /// The names of the instructions that leave by an exit, for the log.
    fn checks(&self, snap: SnapId) -> String {
        let leave = self.tree.insts.iter().filter(|inst| inst.snap == Some(snap));
        let mut names: Vec<&str> = leave.map(|inst| inst.op.mnemonic()).collect();
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    }

    /// How many side segments, each of which was left for the next one, begin at the instruction of a snapshot.
    fn ways_from(&self, snap: SnapId) -> usize {
        let place = |snap: SnapId| {
            let snapshot = self.tree.snapshot(snap);
            (snapshot.pc, &snapshot.frames)
        };
        let here = place(snap);
        let begins_here = |start: Start| matches!(start, Start::Snapshot(other) if place(other) == here);
        let line = self.tree.lineage(self.tree.snapshot(snap).segment);
        line.iter().filter(|id| begins_here(self.tree.segment(**id).start)).count()
    }
}
