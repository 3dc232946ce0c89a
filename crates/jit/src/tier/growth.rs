//! Growth: what becomes of a complete recording, and when code is made of it.
//!
//! A path that was recorded from an exit becomes a fragment, see `fragments`. All else is code when all of its tree is compiled at
//! once. So the tree grows by a part of itself before that happens again, and never by more than the program's running time affords; or
//! it happens when the lack of it has cost as much.

use std::rc::Rc;

use perilune_bytecode::ops::Instr;
use perilune_codegen::{Callable, Effort, Environment};
use perilune_runtime::spare::has_room;
use perilune_trace::ir::{End, HeaderId, Tree};
use perilune_trace::opt::PASSES;
use rustc_hash::FxHashMap;

use super::place::{Door, Place};
use super::{Begun, FUEL_PER_UPGRADE, Grown, Inner, Jit, MAX_TRIES, Recording};
use crate::abort::Abort;
use crate::code::CodeBlock;
use crate::dump::Phase;
use crate::enter::{Compiled, Exits, environment};
use crate::function::Function;
use crate::log::LogLevel;
use crate::perf;
use crate::record::{Notes, Origin, Recorded};
use crate::stats::Clock;
use crate::view::{ProtoAt, View};

/// Compiled segments for which one more recorded segment may wait for its code. All of a tree is compiled at once: so it
/// grows by a part of itself, and the cost of compiling stays in proportion to the size that it ends with.
const SEGMENTS_PER_PENDING: usize = 2;

/// Instructions of a tree from which on no more work is put into its code: registers are then given out in time that grows
/// with the square of them.
const MAX_FULL_INSTS: usize = 800;

/// Memory that making code takes for an instruction, at most.
const BYTES_PER_INST: usize = 8 << 10;

/// Segments that may wait for code in any case.
const MAX_PENDING: usize = 4;

/// How many times as much the lack of code must have cost as making it does, for it to be made in any case.
const COSTS_IN_ANY_CASE: u64 = 4;

/// What an exit counts for where compiled functions call each other: all calls that are under way are left with it.
const LEFT_AT_ONCE: usize = 4;

impl Jit {
    /// The recording is complete.
    pub(super) fn finish(&self, inner: &mut Inner, recording: Recording) {
        let Recording { recorder, tree, begun, start, .. } = recording;
        let origin = recorder.origin();
        inner.note_recording(&recorder);
        let stopped = recorder.stopped().map(|why| (recorder.line(), why.text()));
        let clock = Clock::start();
        let (Recorded { tree: mut grown, notes }, liveness) = recorder.finish();
        inner.stats.record_time += clock.elapsed();
        inner.liveness = liveness;
        inner.stats.segments += 1;
        let at = match tree {
            Some(at) => at,
            None => {
                inner.stats.trees += 1;
                inner.trees.push(None);
                inner.trees.len() - 1
            }
        };
        self.log(LogLevel::Traces, || {
            let from = start.map_or("root".to_owned(), |snap| format!("exit {}", snap.0));
            let end = stopped.map_or(String::new(), |(line, why)| format!("; ends at line {line}: {why}"));
            let (segments, instructions) = (grown.segments.len(), grown.insts.len());
            format!("tree {at}, {from}: {segments} segments, {instructions} instructions{end}")
        });
        self.log(LogLevel::Links, || format!("tree {at}, {}", destination(&grown)));
        let listed = inner.trees[at].as_ref().map_or(0, |known| known.notes.protos.len());
        for proto in notes.protos[listed..].iter().filter(|_| self.options.dump.has(Phase::Bc)) {
            self.dump(Phase::Bc, at, &View::listing(*proto));
        }
        if let Some(Some(known)) = inner.trees.get_mut(at) {
            // Nothing new: what was recorded for these types before has no code yet.
            let segments = known.tree.segments.len();
            let has_grown = grown.segments.len() > segments;
            let cut = start.filter(|_| has_grown).map(|start| (start, known.cut_of(&grown, segments as u32)));
            if let Some((start, None)) = cut
                && known.records_anew(start, &grown, &self.options)
            {
                self.log(LogLevel::Links, || format!("exit {} of tree {at} is recorded anew", start.0));
                return;
            }
            known.grow(grown, notes);
            if let Some((_, Some(fragment))) = cut
                && self.link_or_wait(inner, at, fragment, segments)
            {
                return;
            }
            let Some(Some(known)) = inner.trees.get_mut(at) else { return };
            known.has_repeated = !has_grown && known.pending() > 0;
            let is_due = if has_grown { known.is_due(self.options.hot_exit) } else { known.pending() > 0 };
            let size = known.tree.insts.len();
            let effort = self.first_effort();
            if is_due {
                self.compile_if_affordable(inner, at, size, effort);
            }
            return;
        }
        match self.generate(inner, at, &mut grown, &notes, origin, self.first_effort()) {
            Ok(code) => {
                let exits = Grown::exits_of(&grown, &notes);
                let compiled_segments = grown.segments.len();
                inner.trees[at] = Some(Grown {
                    tree: grown,
                    notes,
                    origin,
                    code,
                    exits,
                    compiled_segments,
                    linked_segments: 0,
                    waiting: Vec::new(),
                    is_stale: false,
                    waits: 0,
                    has_repeated: false,
                });
                self.register(inner, at);
            }
            Err(why) => self.give_up(inner, begun, why, None),
        }
    }

    /// Notes where a tree can be entered.
    fn register(&self, inner: &mut Inner, at: usize) {
        let Some(Some(grown)) = inner.trees.get(at) else { return };
        let mut doors: FxHashMap<*const Instr, Vec<HeaderId>> = FxHashMap::default();
        for id in grown.tree.header_ids() {
            let header = grown.tree.header(id);
            if header.frames.is_empty() {
                doors.entry(address(grown.origin.proto, header.pc)).or_default().push(id);
            }
        }
        let is_function = grown.origin.pc == 0 && inner.functions.get(grown.origin.proto).is_some();
        let is_first = |place: *const Instr| is_function && place == address(grown.origin.proto, 0);
        for (place, headers) in doors {
            let mismatches = match inner.places.get(&place) {
                // The tree that was there first keeps the place, unless it is of no use. The first instruction of a function
                // may begin a loop, too: then the function's tree has both.
                Some(Place::Compiled { door, .. }) if door.tree != at && !door.is_poor() && !is_first(place) => {
                    continue;
                }
                Some(Place::Blacklisted) => continue,
                Some(Place::Compiled { mismatches, .. }) => *mismatches,
                Some(Place::Cold { .. }) | None => 0,
            };
            let nests = is_first(place) && grown.nests();
            let door = Rc::new(Door::new(at, grown.code.clone(), headers.into(), grown.notes.function, nests));
            inner.places.insert(place, Place::Compiled { door, mismatches });
        }
    }

    /// Runs the passes and makes code, and counts the time of that, in vain or not.
    fn generate(
        &self,
        inner: &mut Inner,
        at: usize,
        tree: &mut Tree,
        notes: &Notes,
        origin: Origin,
        effort: Effort,
    ) -> Result<Rc<Compiled>, Abort> {
        let clock = Clock::start();
        let made = self.make_code(inner, at, tree, notes, origin, effort);
        inner.stats.compile_time += clock.elapsed();
        made
    }

    fn make_code(
        &self,
        inner: &mut Inner,
        at: usize,
        tree: &mut Tree,
        notes: &Notes,
        origin: Origin,
        effort: Effort,
    ) -> Result<Rc<Compiled>, Abort> {
        self.account(inner, tree.insts.len(), effort)?;
        let known = inner.functions.get(origin.proto).filter(|_| origin.pc == 0);
        let params = View::parameters(origin.proto);
        let callable = known.as_ref().map(|known| Callable { slots: notes.slots, params, cell: known.cell.address() });
        let gate = known.map(|known| known.cell.gate().clone());
        tree.set_called(callable.is_some());
        // It stays as it was recorded, for more to be recorded.
        let tree = &self.optimize(at, tree.clone());
        let exits = Exits::of(at, tree, notes.slots);
        let callable = callable.map(|callable| Callable { slots: exits.slots(), ..callable });
        let environment = environment(&exits, callable, self.options.exit_every);
        let (block, effort) = self.emit(inner, at, tree, &environment, effort)?;
        let upgrade_after = self.upgrade_after(tree, effort);
        let compiled = Rc::new(Compiled::new(block, exits, tree, notes, gate, upgrade_after));
        if callable.is_some() {
            let calls = !notes.functions.is_empty();
            inner.functions.grown(origin.proto, compiled.clone(), tree.segments.len(), calls);
        }
        Ok(compiled)
    }

    /// Notes that code is made of so many instructions, if there is memory for that.
    pub(super) fn account(&self, inner: &mut Inner, instructions: usize, effort: Effort) -> Result<(), Abort> {
        if !has_room(instructions * BYTES_PER_INST) {
            return Err(Abort::Memory);
        }
        inner.stats.compiled_instructions += instructions as u64;
        inner.budget.compiles(super::bookkeeping::work(instructions, effort));
        Ok(())
    }

    /// Machine code of what the passes have left of a tree, or of a fragment of one, and the work that was put into it.
    pub(super) fn emit(
        &self,
        inner: &mut Inner,
        at: usize,
        tree: &Tree,
        environment: &Environment,
        effort: Effort,
    ) -> Result<(CodeBlock, Effort), Abort> {
        let machine = inner.machine.as_mut().ok_or(Abort::Code)?;
        let code = machine.compile(tree, environment, effort).map_err(|why| {
            self.log(LogLevel::Traces, || why.to_string());
            Abort::Code
        })?;
        for (phase, text) in [(Phase::Clif, &code.clif), (Phase::Asm, &code.listing)] {
            if let Some(text) = text {
                self.dump(phase, at, text);
            }
        }
        if inner.code_bytes() + code.bytes.len() > self.options.max_code {
            return Err(Abort::Memory);
        }
        let block = CodeBlock::new(&code.bytes).map_err(|_| Abort::Memory)?;
        if self.options.perf_map {
            perf::name(block.address(), code.bytes.len(), &format!("lua tree {at}"));
        }
        inner.most_bytes += block.bytes();
        inner.stats.compilations += 1;
        self.log(LogLevel::Links, || {
            let (effort, segments) = (effort_name(code.effort), tree.segments.len());
            format!("tree {at}, {effort} code of {segments} segments: {} bytes", code.bytes.len())
        });
        Ok((block, code.effort))
    }

    /// What the passes make of a tree.
    pub(super) fn optimize(&self, at: usize, mut tree: Tree) -> Tree {
        check(&tree, "recording");
        self.dump(Phase::Ir, at, &tree);
        for pass in PASSES {
            if pass.is_optional && self.options.passes_off.iter().any(|off| off == pass.name) {
                continue;
            }
            (pass.run)(&mut tree);
            check(&tree, pass.name);
        }
        self.dump(Phase::Opt, at, &tree);
        self.dump(Phase::Snap, at, &tree.snapshots_text());
        tree
    }

    /// The work that is put into code that has proved nothing yet.
    pub(super) fn first_effort(&self) -> Effort {
        self.options.effort.unwrap_or(Effort::Quick)
    }

    /// The fuel after which all work is put into the code of a tree; none if that was done.
    fn upgrade_after(&self, tree: &Tree, effort: Effort) -> Option<i64> {
        let is_last = effort == Effort::Full || self.options.effort.is_some();
        (!is_last).then_some(tree.insts.len() as i64 * FUEL_PER_UPGRADE)
    }

    /// Puts all work into the code of a tree, which runs long enough for that, and of the functions that it calls.
    #[cold]
    pub(super) fn upgrade(&self, inner: &mut Inner, at: usize) {
        if !inner.may_upgrade(at) {
            return;
        }
        self.compile(inner, at, Effort::Full);
        let Some(Some(grown)) = inner.trees.get(at) else { return };
        let called: Vec<*const Function> = grown.notes.functions.iter().map(Rc::as_ptr).collect();
        for at in 0..inner.trees.len() {
            let Some(Some(grown)) = inner.trees.get(at) else { continue };
            let is_called = grown.origin.pc == 0
                && inner
                    .functions
                    .get(grown.origin.proto)
                    .is_some_and(|known| called.contains(&Rc::as_ptr(&known.cell)));
            if is_called && grown.code.is_quick() && inner.may_upgrade(at) {
                self.compile(inner, at, Effort::Full);
            }
        }
    }

    /// Makes the code of a tree anew that has waited for it, if the program has run long enough, or if the lack of it has cost much more
    /// than making it does: then little is wasted, however long the program runs.
    pub(super) fn compile_waiting(&self, inner: &mut Inner, at: usize) {
        let effort = self.first_effort();
        let Some(Some(grown)) = inner.trees.get(at) else { return };
        let cost = grown.cost(self.options.waits_per_inst, effort);
        if grown.waits as u64 > cost * COSTS_IN_ANY_CASE || inner.affords_tree(at, effort) {
            self.compile(inner, at, effort);
        } else {
            inner.has_waiting = true;
        }
    }

    /// Makes the code of a tree of so many instructions anew. Where the budget has no room for that, it comes before functions.
    pub(super) fn compile_if_affordable(&self, inner: &mut Inner, at: usize, size: usize, effort: Effort) {
        if inner.affords(size, effort) {
            self.compile(inner, at, effort);
            return;
        }
        inner.has_waiting = true;
        if let Some(Some(grown)) = inner.trees.get_mut(at) {
            // Asked again when some more exits have been taken.
            grown.waits -= grown.waits / 8;
        }
    }

    /// Makes the code of a tree anew.
    pub(super) fn compile(&self, inner: &mut Inner, at: usize, effort: Effort) {
        let Some(mut grown) = inner.trees.get_mut(at).and_then(Option::take) else { return };
        match self.generate(inner, at, &mut grown.tree, &grown.notes, grown.origin, effort) {
            Ok(code) => {
                grown.code = code;
                grown.is_stale = false;
                grown.compiled_segments = grown.tree.segments.len();
                grown.linked_segments = 0;
                grown.waiting.clear();
            }
            // The code that is there is still right: exits that have a continuation leave as before.
            Err(why) => inner.stats.aborted(why),
        }
        // Where there was no room for it, the next try waits as long.
        grown.waits = 0;
        grown.has_repeated = false;
        inner.has_waiting = false;
        inner.trees[at] = Some(grown);
        self.register(inner, at);
    }

    /// Entries by a door were not worth it. That may change: the paths that leave so soon may have segments that wait for
    /// their code.
    #[cold]
    pub(super) fn poor(&self, inner: &mut Inner, door: &Door, arrivals: u32) {
        let Some(Some(grown)) = inner.trees.get_mut(door.tree) else { return };
        if grown.is_behind() {
            let effort = self.first_effort();
            let has_waited = grown.has_waited(arrivals as usize, self.options.waits_per_inst, effort);
            if has_waited && inner.affords_tree(door.tree, effort) {
                self.compile(inner, door.tree, effort);
            }
        }
    }

    /// A recording, or the making of code, has failed.
    pub(super) fn give_up(&self, inner: &mut Inner, begun: Begun, why: Abort, line: Option<u32>) {
        let Begun { place, line: from } = begun;
        inner.stats.aborted(why);
        inner.functions.forget_unfinished();
        self.log(LogLevel::Traces, || {
            let at = line.map_or(String::new(), |line| format!(" at line {line}"));
            format!("abort{at} of what began at line {from}: {}", why.text())
        });
        if place.is_null() {
            return;
        }
        match inner.places.get_mut(&place) {
            Some(Place::Compiled { .. } | Place::Blacklisted) => {}
            Some(Place::Cold { tries }) => {
                *tries += 1;
                if *tries >= MAX_TRIES {
                    self.log(LogLevel::Traces, || format!("line {from} is given up"));
                    inner.places.insert(place, Place::Blacklisted);
                }
            }
            None => {
                inner.places.insert(place, Place::Cold { tries: 1 });
            }
        }
    }
}

impl Inner {
    /// Whether all work may be put into the code of a tree.
    fn may_upgrade(&self, at: usize) -> bool {
        let size = self.trees.get(at).and_then(Option::as_ref).map_or(usize::MAX, |grown| grown.tree.insts.len());
        size <= MAX_FULL_INSTS && self.affords(size, Effort::Full)
    }
}

impl Grown {
    /// Segments that wait for their code.
    pub(super) fn pending(&self) -> usize {
        self.tree.segments.len() - self.compiled_segments
    }

    /// Whether making the code anew would change it.
    pub(super) fn is_behind(&self) -> bool {
        self.is_stale || self.pending() > 0
    }

    /// Whether it is a function whose code calls functions, itself maybe: calls of it lie inside one another.
    fn nests(&self) -> bool {
        self.origin.pc == 0 && !self.notes.functions.is_empty()
    }

    /// Counts exits that other code would save: whether they have cost as much by now as making it does.
    pub(super) fn has_waited(&mut self, exits: usize, waits_per_inst: u32, effort: Effort) -> bool {
        let exits = exits * if self.nests() { LEFT_AT_ONCE } else { 1 };
        self.waits_for(exits, waits_per_inst, effort)
    }

    /// The same for anything else that costs as much as so many exits.
    pub(super) fn waits_for(&mut self, exits: usize, waits_per_inst: u32, effort: Effort) -> bool {
        self.waits += exits;
        self.waits as u64 > self.cost(waits_per_inst, effort)
    }

    /// The exits that cost as much as making its code does.
    fn cost(&self, waits_per_inst: u32, effort: Effort) -> u64 {
        super::bookkeeping::work(self.tree.insts.len(), effort) * u64::from(waits_per_inst)
            / super::bookkeeping::WORK_OF_FULL
    }

    /// Whether enough of them have come together, which is the sooner the sooner an exit is hot.
    fn is_due(&self, hot_exit: u32) -> bool {
        let patience = MAX_PENDING.min(hot_exit.max(1) as usize);
        let waiting: usize = self.waiting.iter().map(|waiting| waiting.segments.len()).sum();
        self.pending() - self.linked_segments - waiting >= patience + self.compiled_segments / SEGMENTS_PER_PENDING
    }
}

/// Where the newest segment of a tree leads, for the log.
fn destination(tree: &Tree) -> String {
    match tree.segments.last().map(|segment| segment.end) {
        Some(End::Around(header)) => format!("closes the loop of header {}", header.0),
        Some(End::Enter(header)) => format!("leads to header {}", header.0),
        Some(End::Exit(snap)) => format!("leaves by exit {}", snap.0),
        Some(End::Return(_, count)) => format!("returns {count} values"),
        Some(End::Tail(..)) => "calls a function in its place".to_owned(),
        Some(End::Open) | None => "is open".to_owned(),
    }
}

/// As the option `--code` has it.
const fn effort_name(effort: Effort) -> &'static str {
    match effort {
        Effort::Quick => "quick",
        Effort::Full => "full",
    }
}

/// In builds with debug assertions, a tree that breaks a rule is a panic: a bug of the recorder, or of a pass.
fn check(tree: &Tree, after: &str) {
    if cfg!(debug_assertions)
        && let Err(violation) = perilune_trace::verify::verify(tree)
    {
        panic!("after {after}: {violation}\n{tree}");
    }
}

/// The address of an instruction.
fn address(proto: ProtoAt, pc: u32) -> *const Instr {
    View::code_address(proto, pc)
}
