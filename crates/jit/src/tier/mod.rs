//! The policy: when is what recorded, compiled and entered.
//!
//! ```text
//!            hot                       recorded                 exit often
//!   (none) ───────> recording root ──────────────> compiled ─────────────────> recording side
//!     ^                  │ abort                    │   ^                            │
//!     └── patience ──────┤                          │   └────────── recorded ────────┤
//!                        v tries used up            v flushed                        v abort
//!                   blacklisted                   (none)                   exit is tried less often
//! ```
//!
//! | module | question it answers |
//! |---|---|
//! | `place` | what is known of a loop header |
//! | `budget` | what may be spent on code |
//! | `exits` | what follows from an exit |
//! | `growth` | when is code made of what was recorded |
//! | `fragments` | which code is made of new paths alone |
//!
//! Everything is kept behind a `RefCell` that is never borrowed while compiled code runs, so that a function which it
//! calls may come here again.

mod budget;
mod exits;
mod fragments;
mod growth;
mod place;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use perilune_bytecode::listing;
use perilune_bytecode::ops::Instr;
use perilune_codegen::{Effort, Machine};
use perilune_runtime::heap::{Marker, Reached};
use perilune_runtime::object::Proto;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::tier::{self, After, Called, Tier, TierState};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::abort::Abort;
use crate::dump::{Dump, Phase, Sink};
use crate::enter::{Compiled, Outcome};
use crate::function::{Function, Functions};
use crate::gate::Gate;
use crate::liveness::LivenessCache;
use crate::log::LogLevel;
use crate::record::{Flow, Notes, Origin, Recorder, Shared};
use crate::seen::Seen;
use crate::stats::{Clock, Stats};
use crate::view::{ProtoAt, View};

use budget::Budget;
use fragments::Waiting;
use place::{Door, Place, Verdict};

/// Settings of the trace compiler.
#[derive(Clone, Debug)]
pub struct JitOptions {
    /// Rounds of a loop before it is recorded.
    pub hot: u32,
    /// Exits through a guard before a side segment is recorded.
    pub hot_exit: u32,
    /// How much work is put into code; if nothing is said, little at first, and all when the code has proved its worth.
    pub effort: Option<Effort>,
    /// Exits that code which would save them may be waited for, for each instruction that it would be made of with all work.
    /// They have cost as much then as making it does.
    pub waits_per_inst: u32,
    /// Instructions that are made code of with little work, without asking how long the program has run.
    pub free_insts: u64,
    /// Instructions of a tree for which a path that cannot be code of its own is recorded once more, so that it can, rather than code
    /// made of all.
    pub insts_to_record_anew: usize,
    /// Segments of a tree that are many: it has more only where very much is to be won.
    pub max_segments: usize,
    /// Most bytes of code.
    pub max_code: usize,
    /// Of the guards of a tree, each so many-th always fails, to exercise exits; 0 for none.
    pub exit_every: u32,
    /// What to tell on standard error, a line for each event.
    pub log: LogLevel,
    /// Phases of each compilation to print.
    pub dump: Dump,
    /// Where they go.
    pub dump_to: Sink,
    /// Passes that do not run, by their names; those that others rely on run anyway.
    pub passes_off: Vec<String>,
    /// Whether to name code for `perf`.
    pub perf_map: bool,
}

impl Default for JitOptions {
    fn default() -> Self {
        JitOptions {
            hot: 300,
            hot_exit: 12,
            effort: None,
            waits_per_inst: 32,
            free_insts: 700,
            insts_to_record_anew: 1_000,
            max_segments: 160,
            max_code: 32 << 20,
            exit_every: 0,
            log: LogLevel::Off,
            dump: Dump::default(),
            dump_to: Sink::default(),
            passes_off: Vec::new(),
            perf_map: false,
        }
    }
}

impl JitOptions {
    /// Everything is hot at once, as tests want it, which are short.
    #[must_use]
    pub fn eager() -> JitOptions {
        JitOptions {
            hot: 1,
            hot_exit: 1,
            waits_per_inst: 8,
            free_insts: 60_000,
            insts_to_record_anew: 0,
            ..JitOptions::default()
        }
    }
}

/// Recordings of one place that may fail before nobody tries again.
const MAX_TRIES: u32 = 6;

/// Entries with other types before another version of a header is recorded.
const MAX_MISMATCHES: u32 = 3;

/// Trees at which all code is forgotten.
const MAX_TREES: usize = 500;

/// Fuel that quick code must have spent for each of its instructions until all work is put into it. Cranelift's code is seldom
/// much faster, takes five times as long to make, and the first of it some megabytes of memory.
const FUEL_PER_UPGRADE: i64 = 4_000_000;

/// What entering code costs that leaves in front of an instruction which is never compiled: the resuming of a coroutine, say.
/// Elsewhere code is expected to grow, and to leave less.
const STEPS_LOST_AT_END: i64 = 100;

/// What it costs compiled code to wait for a coroutine that it resumes, above what resuming costs the interpreter: a dozen
/// instructions. Here rounds count for the fuel that they have spent, each unit of which stands for several.
const STEPS_LOST_AT_RESUME: i64 = 2;

/// Where that makes code slower than the interpreter: arrivals until it is entered again, for each coroutine that it has waited
/// for. It may have grown by then.
const REST_PER_RESUME: u64 = 16;

/// Calls of a function that count as a round of a loop. Those that must be compiled on their own, because they call
/// themselves, are known from what was recorded elsewhere: see `Recorder::missed`.
const CALLS_PER_ROUND: u32 = 16;

/// Fuel that a recording waits for a function to return.
const MAX_WAIT: u64 = 100_000;

/// Arrivals until the next look at a place, while nothing is compiled.
const PATIENCE_WHEN_OFF: u32 = 10_000;

/// Instructions that the interpreter runs in the time that it takes to go on in a fragment, and to come back.
const STEPS_PER_FOLLOWED: i64 = 20;

/// Entries after which all trees are looked at, whether code of them is to be made anew.
const ENTRIES_PER_LOOK: u64 = 256;

/// Most headers of one place that are tried.
const MAX_VERSIONS: usize = 4;

/// How the interpreter has come to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By a back-edge.
    Loop,
    /// By a call: it is the first instruction of a function.
    Call,
}

/// What came of trying to enter code.
enum Entry {
    /// Nothing has run.
    Refused,
    Left(After),
    /// It has left in front of the first instruction of a function that it would have called.
    AtCall,
}

/// A tree with its code.
struct Grown {
    tree: Tree,
    notes: Notes,
    origin: Origin,
    code: Rc<Compiled>,
    exits: Vec<exits::Exit>,
    /// Segments that the code has.
    compiled_segments: usize,
    /// Segments beyond those that have code of their own: fragments.
    linked_segments: usize,
    /// Those that a fragment can be made of later.
    waiting: Vec<Waiting>,
    /// Whether the code lacks what was decided about headers since.
    is_stale: bool,
    /// Exits taken that other code would have saved: there is a segment for them, which has no code yet.
    waits: usize,
    /// Whether a version of a header was recorded again, because that has no code yet.
    has_repeated: bool,
}

/// Where a recording started.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// Null for an exit.
    place: *const Instr,
    line: u32,
}

/// A recording under way.
struct Recording {
    recorder: Recorder,
    /// The tree that grows, for side segments and new versions.
    tree: Option<usize>,
    begun: Begun,
    /// The exit that it started from, unless it is a root.
    start: Option<SnapId>,
    /// The fuel that the program had spent by then.
    fuel_used: u64,
}

/// How many times as long all work takes as little.
const WORK_OF_FULL: u64 = 4;

/// The work that code of so many instructions takes.
fn work(instructions: usize, effort: Effort) -> u64 {
    instructions as u64
        * match effort {
            Effort::Quick => 1,
            Effort::Full => WORK_OF_FULL,
        }
}

/// The trace compiler of one VM.
pub struct Jit {
    inner: RefCell<Inner>,
    /// Whether the collector has run since the analyses of prototypes were looked through: some may have died, and their
    /// addresses may be those of others by now.
    collects: Cell<bool>,
    /// Calls of compiled functions by host code.
    callbacks: Cell<u64>,
    /// Whether anything is compiled.
    is_on: Cell<bool>,
    options: JitOptions,
}

struct Inner {
    machine: Option<Machine>,
    /// The way into functions, once there is one.
    gate: Option<Rc<Gate>>,
    places: FxHashMap<*const Instr, Place>,
    trees: Vec<Option<Grown>>,
    /// Bytes of code that trees have at most.
    most_bytes: usize,
    /// In a box: it is taken out for each instruction.
    recording: Option<Box<Recording>>,
    liveness: LivenessCache,
    functions: Functions,
    met: Seen,
    stats: Stats,
    /// Fuel that the program has spent so far.
    fuel_used: u64,
    budget: Budget,
    /// Functions that must be compiled on their own, as recordings have found.
    wanted: FxHashSet<ProtoAt>,
    /// Whether a tree has grown that the budget had no code for: functions wait until it has.
    has_waiting: bool,
}

impl Inner {
    /// What is known of an exit of a tree, if that is there.
    fn exit(&self, at: usize, snap: SnapId) -> Option<exits::Exit> {
        self.trees.get(at)?.as_ref()?.exits.get(snap.index()).copied()
    }

    /// The way into functions, if it can be made.
    fn gate(&mut self) -> Option<Rc<Gate>> {
        if self.gate.is_none() {
            self.gate = Gate::new(self.machine.as_mut()?).ok();
        }
        self.gate.clone()
    }

    /// Forgets all code. What runs at the moment is kept by whoever runs it.
    fn flush(&mut self) {
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
    fn code_bytes(&self) -> usize {
        self.trees.iter().flatten().map(|grown| grown.code.bytes()).sum()
    }

    /// Whether trees have so many bytes of code. That is asked often, and seldom so.
    fn has_code(&mut self, bytes: usize) -> bool {
        if self.most_bytes >= bytes {
            self.most_bytes = self.code_bytes();
        }
        self.most_bytes >= bytes
    }

    /// As [`Inner::flush`], for the trees that a prototype has a part in.
    fn forget(&mut self, proto: ProtoAt) {
        self.forget_trees(|grown| grown.notes.protos.contains(&proto));
        self.wanted.remove(&proto);
        // It may be about to grow one of them.
        self.recording = None;
    }

    /// Forgets some of the trees: whether there are any.
    fn forget_trees(&mut self, is_gone: impl Fn(&Grown) -> bool) -> bool {
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
    fn living_protos(&self) -> FxHashSet<u64> {
        let protos = self.trees.iter().flatten().flat_map(|grown| &grown.notes.protos);
        protos.map(|proto| proto.0).collect()
    }

    /// Whether the program has run long enough for code of so many instructions.
    fn affords(&self, instructions: usize, effort: Effort) -> bool {
        self.budget.affords(work(instructions, effort), self.fuel_used)
    }

    /// A recording is over, whatever becomes of it.
    fn note_recording(&mut self, recorder: &Recorder) {
        let (steps, fuel) = recorder.pace();
        self.budget.recorded(steps, fuel);
    }

    /// The instructions of the interpreter that a run of compiled code stands for: the path that has ended it, and the fuel of
    /// the rounds before. Also, whether it has left where no other code can go on.
    fn steps_of(&self, door: &Door, outcome: Outcome, spent: i64) -> (i64, bool) {
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
    fn affords_tree(&self, at: usize, effort: Effort) -> bool {
        self.trees.get(at).and_then(Option::as_ref).is_some_and(|grown| self.affords(grown.tree.insts.len(), effort))
    }
}

impl std::fmt::Debug for Jit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jit").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Jit {
    /// A trace compiler for this machine. Where no code can be made, it does nothing.
    #[must_use]
    pub fn new(options: JitOptions) -> Rc<Jit> {
        let machine = Machine::host().ok().map(|mut machine| {
            machine.explain = options.dump.explains();
            machine
        });
        let inner = Inner {
            machine,
            gate: None,
            places: FxHashMap::default(),
            trees: Vec::new(),
            most_bytes: 0,
            recording: None,
            liveness: LivenessCache::default(),
            functions: Functions::default(),
            met: Seen::default(),
            stats: Stats::default(),
            fuel_used: 0,
            budget: Budget::new(options.free_insts),
            wanted: FxHashSet::default(),
            has_waiting: false,
        };
        Rc::new(Jit {
            inner: RefCell::new(inner),
            collects: Cell::new(false),
            callbacks: Cell::new(0),
            is_on: Cell::new(true),
            options,
        })
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.inner.borrow();
        let (callbacks, code_bytes) = (self.callbacks.get(), inner.code_bytes());
        let mut stats = Stats { callbacks, code_bytes, ..inner.stats.clone() };
        for (at, grown) in inner.trees.iter().enumerate() {
            let Some(grown) = grown else { continue };
            stats.instructions += grown.tree.insts.len();
            for (snap, count) in grown.exits.iter().map(|exit| exit.count).enumerate().filter(|(_, count)| *count > 0) {
                let snapshot = grown.tree.snapshot(SnapId(snap as u32));
                let proto = snapshot
                    .frames
                    .last()
                    .map_or(grown.origin.proto, |frame| grown.notes.protos[frame.proto.0 as usize]);
                stats.hot_exits.push((at, snap as u32, View::line(proto, snapshot.pc), count));
            }
        }
        stats.hot_exits.sort_by_key(|exit| std::cmp::Reverse(exit.3));
        stats
    }

    /// Tells of an event, from a level on.
    fn log(&self, level: LogLevel, text: impl FnOnce() -> String) {
        if self.options.log >= level {
            eprintln!("jit: {}", text());
        }
    }

    /// Shows a phase of a tree.
    fn dump(&self, phase: Phase, at: usize, text: &dyn std::fmt::Display) {
        if self.options.dump.has(phase) {
            self.options.dump_to.line(format_args!("== tree {at}, {}\n{text}", phase.word()));
        }
    }

    /// Shows the instruction that the recorder is about to look at.
    fn dump_step(&self, view: &View<'_>) {
        if self.options.dump.has(Phase::Record) {
            let (depth, proto, pc) = (view.depth(), view.proto(0), view.pc(0));
            let (line, text) = (View::line(proto, pc), listing::instruction(view.plain(proto), pc as usize));
            self.options.dump_to.line(format_args!("  {depth}: {pc} [{line}] {text}"));
        }
    }

    /// Enters the code of the place where the VM stands. Where that leaves in front of a function's first instruction, goes on
    /// there. What has no code, or not for these types, may be recorded. Says also when to look at the place again.
    unsafe fn enter(&self, vm: *mut Vm, place: *const Instr, way: Way) -> (After, u32) {
        // SAFETY: the caller's duty; after a call the current frame stands at the function's first instruction.
        unsafe {
            let is_wanted = way == Way::Call && self.is_wanted(vm);
            let (entry, rest) = if is_wanted { (Entry::Refused, None) } else { self.enter_once(vm, place) };
            let after = if let Entry::Left(after) = entry { after } else { self.go_on(vm, place, way, entry) };
            (after, rest.unwrap_or_else(|| self.patience_of(place, way)))
        }
    }

    /// Goes on where code was not entered, or has left in front of a function's first instruction.
    #[cold]
    unsafe fn go_on(&self, vm: *mut Vm, mut at: *const Instr, mut by: Way, mut entry: Entry) -> After {
        // SAFETY: as `enter`.
        unsafe {
            loop {
                match entry {
                    Entry::Refused => return self.begin(vm, at, by),
                    Entry::Left(after) => return after,
                    Entry::AtCall => {}
                }
                (at, by) = ((*(*(*vm).current_thread()).frame).pc, Way::Call);
                if !matches!(self.inner.borrow().places.get(&at), Some(Place::Compiled { .. })) {
                    return After::Interpret;
                }
                (entry, _) = self.enter_once(vm, at);
            }
        }
    }

    /// Whether the function whose first instruction comes next must be compiled on its own, and is not yet.
    unsafe fn is_wanted(&self, vm: *mut Vm) -> bool {
        let inner = self.inner.borrow();
        // SAFETY: the caller's duty: the current frame is a Lua frame.
        !inner.wanted.is_empty() && inner.wanted.contains(&unsafe { View::new(vm) }.proto(0))
    }

    /// Enters the code of a place, if it has any. Says also how many arrivals it rests then, unless something has become
    /// known of the place.
    #[inline]
    unsafe fn enter_once(&self, vm: *mut Vm, place: *const Instr) -> (Entry, Option<u32>) {
        let door = match self.inner.borrow().places.get(&place) {
            Some(Place::Compiled { door, .. }) => door.clone(),
            Some(Place::Cold { .. } | Place::Blacklisted) | None => return (Entry::Refused, None),
        };
        // SAFETY: the caller's duty: the current frame stands at the place, which is the headers' own.
        unsafe {
            let closure = View::new(vm).closure(0);
            if door.function.is_some_and(|function| function != closure) {
                return (Entry::Refused, None);
            }
            let before = (*vm).fuel_left();
            if before < door.code.most_fuel() {
                return (Entry::Left(After::Interpret), Some(1));
            }
            let waits = (*vm).waits();
            let mut outcome = Outcome::NotEntered;
            for header in &door.headers {
                outcome = door.code.run(vm, *header);
                if outcome != Outcome::NotEntered {
                    break;
                }
            }
            // What coroutines have spent, the interpreter has run. The counter may have been filled up meanwhile, by a call.
            let resumes = (*vm).waits().resumes - waits.resumes;
            let spent = (before - (*vm).fuel_left() - ((*vm).waits().fuel - waits.fuel)).max(0);
            let mut inner = self.inner.borrow_mut();
            inner.fuel_used = (*vm).fuel_used();
            let (arrivals, rest) = self.note_run(&mut inner, &door, outcome, spent, resumes);
            (self.conclude(&mut inner, vm, outcome, arrivals), rest)
        }
    }

    /// Notes a run of compiled code: the arrivals that it stands for, and how many its place rests then, unless something has become
    /// known of it.
    fn note_run(
        &self,
        inner: &mut Inner,
        door: &Door,
        outcome: Outcome,
        spent: i64,
        resumes: u64,
    ) -> (u32, Option<u32>) {
        let (steps, is_end) = inner.steps_of(door, outcome, spent);
        let steps = steps - resumes as i64 * STEPS_LOST_AT_RESUME;
        let followed = door.code.take_followed();
        inner.budget.entered(steps - i64::from(followed) * STEPS_PER_FOLLOWED);
        let arrivals = door.rest();
        let verdict = door.account(steps - if is_end { STEPS_LOST_AT_END } else { 0 });
        inner.stats.entries += 1;
        if door.code.has_proved_itself(spent) {
            self.upgrade(inner, door.tree);
        }
        if followed > 0 {
            self.note_followed(inner, door.tree, followed);
        }
        if inner.stats.entries.is_multiple_of(ENTRIES_PER_LOOK) {
            self.note_all_followed(inner);
        }
        let mut rest = Some(door.rest());
        if let Verdict::Poor(in_vain) = verdict {
            self.poor(inner, door, in_vain);
            rest = None;
        }
        if outcome == Outcome::NotEntered {
            rest = None;
        } else if resumes > 0 && steps < 0 {
            // It may stay for thousands of rounds, each of which is a loss.
            let least = u32::try_from(resumes * REST_PER_RESUME).unwrap_or(u32::MAX);
            rest = Some(least.max(door.rest()));
        }
        (arrivals, rest)
    }

    /// What follows from a run of compiled code, which stands for so many arrivals.
    ///
    /// # Safety
    /// The VM is ours, and stands where the outcome says.
    unsafe fn conclude(&self, inner: &mut Inner, vm: *mut Vm, outcome: Outcome, arrivals: u32) -> Entry {
        match outcome {
            Outcome::NotEntered => {
                inner.stats.mismatches += 1;
                Entry::Refused
            }
            Outcome::Replaced => Entry::AtCall,
            // SAFETY: the caller's duty.
            Outcome::Left(tree, snap) => unsafe { self.left(inner, vm, tree, snap, arrivals) },
            Outcome::LeftAhead(tree, snap) => Entry::Left(self.left_ahead(inner, tree, snap)),
            Outcome::Returned(count) => {
                inner.stats.returns += 1;
                Entry::Left(After::Return(count))
            }
            Outcome::LeftOver => {
                inner.stats.left_over += 1;
                Entry::Left(After::LeftOver)
            }
        }
    }

    /// The analyses made so far, for a recording.
    fn share(&self, inner: &mut Inner) -> Shared {
        if self.collects.take() {
            let alive = inner.living_protos();
            inner.liveness.keep(|address| alive.contains(&address));
        }
        let liveness = std::mem::take(&mut inner.liveness);
        Shared { liveness, functions: inner.functions.clone(), met: inner.met.clone() }
    }

    /// A recording that waits for a function to return has waited long enough, or its frames are gone.
    #[inline]
    fn drop_waiting(&self, inner: &mut Inner) {
        if inner.recording.is_some() {
            self.drop_late(inner);
        }
    }

    #[cold]
    fn drop_late(&self, inner: &mut Inner) {
        let is_late = inner.recording.as_ref().is_some_and(|recording| {
            recording.recorder.waits() && inner.fuel_used.saturating_sub(recording.fuel_used) > MAX_WAIT
        });
        if is_late && let Some(recording) = inner.recording.take() {
            let begun = recording.begun;
            inner.note_recording(&recording.recorder);
            inner.liveness = recording.recorder.dismiss();
            self.give_up(inner, begun, Abort::Late, None);
        }
    }

    /// Begins the recording of a loop or function: of a new tree, or of another version of a header.
    unsafe fn begin(&self, vm: *mut Vm, place: *const Instr, way: Way) -> After {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        // SAFETY: the caller's duty.
        inner.fuel_used = unsafe { (*vm).fuel_used() };
        self.drop_waiting(inner);
        // SAFETY: the caller's duty.
        let is_pressed = unsafe { (*vm).heap().is_pressed() };
        if is_pressed || inner.recording.is_some() || inner.machine.is_none() || !inner.affords(0, Effort::Quick) {
            return After::Interpret;
        }
        if inner.trees.len() >= MAX_TREES || inner.has_code(self.options.max_code) {
            // Programs that load code again and again would keep all of it alive.
            inner.flush();
        }
        // SAFETY: the caller's duty.
        let view = unsafe { View::new(vm) };
        if !self.is_on.get() || View::is_never_compiled(view.proto(0)) {
            return After::Interpret;
        }
        // A loop at the beginning of a function is compiled for itself, but for functions that must be.
        let is_wanted = way == Way::Call && inner.wanted.remove(&view.proto(0));
        if way == Way::Call && !is_wanted && inner.has_waiting {
            return After::Interpret;
        }
        let mut tree = None;
        if !is_wanted && let Some(Place::Compiled { door, mismatches }) = inner.places.get_mut(&place) {
            *mismatches += 1;
            let is_full = door.headers.len() >= MAX_VERSIONS;
            if *mismatches < MAX_MISMATCHES || is_full || *mismatches > MAX_MISMATCHES * (1 + MAX_TRIES) {
                return After::Interpret;
            }
            tree = Some(door.tree);
        }
        if let Some(at) = tree
            && let Some(Some(grown)) = inner.trees.get_mut(at)
            && grown.has_repeated
        {
            // It would be recorded once more, and still has no code.
            let effort = self.first_effort();
            if grown.has_waited(1, self.options.waits_per_inst, effort) && inner.affords_tree(at, effort) {
                self.compile(inner, at, effort);
            }
            return After::Interpret;
        }
        let shared = self.share(inner);
        let grown = tree.and_then(|at| inner.trees.get(at)).and_then(Option::as_ref);
        let recorder = match grown {
            Some(grown) if grown.notes.function.is_none_or(|f| f == view.closure(0)) => {
                Recorder::again(&view, shared, grown.origin, &grown.tree, grown.notes.clone())
            }
            _ => {
                tree = None;
                if way == Way::Call && !view.plain(view.proto(0)).is_vararg {
                    let Some(gate) = inner.gate() else { return After::Interpret };
                    inner.functions.begin(view.proto(0), &gate);
                }
                Recorder::root(&view, shared)
            }
        };
        let at = tree.unwrap_or(inner.trees.len());
        let begun = Begun { place, line: View::line(view.proto(0), view.pc(0)) };
        self.dump(Phase::Record, at, &format_args!("from line {}", begun.line));
        self.log(LogLevel::Recordings, || format!("recording tree {at} from line {}", begun.line));
        let fuel_used = inner.fuel_used;
        inner.recording = Some(Box::new(Recording { recorder, tree, begun, start: None, fuel_used }));
        After::Record
    }

    /// Arrivals until the next look at a place.
    fn patience_of(&self, place: *const Instr, way: Way) -> u32 {
        if !self.is_on.get() {
            return PATIENCE_WHEN_OFF;
        }
        // Loops come first: most functions are better followed from there.
        let hot = self.options.hot.max(1).saturating_mul(if way == Way::Call { CALLS_PER_ROUND } else { 1 });
        match self.inner.borrow().places.get(&place) {
            None => hot,
            Some(Place::Cold { tries }) => hot.saturating_mul(1 << (*tries).min(16)),
            Some(Place::Compiled { door, .. }) => door.rest(),
            Some(Place::Blacklisted) => u32::MAX,
        }
    }
}

impl Tier for Jit {
    fn counts(&self) -> bool {
        true
    }

    fn patience(&self, header: *const Instr) -> u32 {
        self.patience_of(header, Way::Loop)
    }

    fn calls(&self, first: *const Instr) -> u32 {
        self.patience_of(first, Way::Call)
    }

    unsafe fn hot(&self, vm: *mut Vm) -> After {
        // SAFETY: the caller's duty: the current frame is a Lua frame with `pc` stored, and the VM is ours.
        unsafe {
            let place = (*(*(*vm).current_thread()).frame).pc;
            let (after, patience) = self.enter(vm, place, Way::Loop);
            (*vm).hot_counters().set(place, patience);
            after
        }
    }

    unsafe fn entered(&self, vm: *mut Vm) -> After {
        // SAFETY: the caller's duty: the current frame is a Lua frame at its function's first instruction.
        unsafe {
            let frame = (*(*vm).current_thread()).frame;
            let (proto, place) = (tier::proto_of(frame), (*frame).pc);
            let (after, patience) = self.enter(vm, place, Way::Call);
            tier::set_calls(proto, patience);
            after
        }
    }

    unsafe fn call(&self, vm: *mut Vm, entry: *const (), func: *mut Value, nresults: i32) -> Called {
        let function: *const Function = entry.cast();
        // SAFETY: an entry is the cell of a function, which is kept as long as it is one. Its code stays while it runs: code of
        // functions never calls out, so that nobody can replace it meanwhile. The function and its arguments are the caller's
        // duty.
        let outcome = unsafe {
            match (*function).compiled() {
                Some(compiled) => (*compiled).call(vm, func, nresults),
                None => Outcome::NotEntered,
            }
        };
        match outcome {
            Outcome::NotEntered => return Called::Refused,
            Outcome::Returned(count) => {
                self.callbacks.set(self.callbacks.get() + 1);
                return Called::Returned(count);
            }
            Outcome::Left(..) | Outcome::LeftAhead(..) | Outcome::Replaced | Outcome::LeftOver => {}
        }
        let mut inner = self.inner.borrow_mut();
        // SAFETY: the VM stands where the outcome says.
        Called::Left(match unsafe { self.conclude(&mut inner, vm, outcome, 1) } {
            Entry::Left(after) => after,
            Entry::Refused | Entry::AtCall => After::Interpret,
        })
    }

    unsafe fn record(&self, vm: *mut Vm) -> bool {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(mut recording) = inner.recording.take() else { return false };
        // SAFETY: the caller's duty: the current frame is a Lua frame with `pc` stored, and nothing runs meanwhile.
        let view = unsafe { View::new(vm) };
        self.dump_step(&view);
        if self.collects.take() {
            recording.recorder.forget_dead(&inner.living_protos());
        }
        let clock = Clock::start();
        let stepped = recording.recorder.step(&view);
        inner.stats.record_time += clock.elapsed();
        match stepped {
            Ok(Flow::On) => {
                inner.recording = Some(recording);
                true
            }
            Ok(Flow::Wait) => {
                inner.recording = Some(recording);
                false
            }
            Ok(Flow::Done) => {
                self.finish(inner, *recording);
                false
            }
            Err(why) => {
                let (begun, line) = (recording.begun, recording.recorder.line());
                if let Some(proto) = recording.recorder.missed() {
                    view.expect_call(proto);
                    if inner.functions.get(proto).is_none() && !view.plain(proto).is_vararg {
                        inner.wanted.insert(proto);
                    }
                }
                inner.note_recording(&recording.recorder);
                inner.liveness = recording.recorder.dismiss();
                self.give_up(inner, begun, why, Some(line));
                false
            }
        }
    }

    fn flush(&self) {
        self.inner.borrow_mut().flush();
    }

    fn forget(&self, proto: *mut Proto) {
        self.inner.borrow_mut().forget(View::proto_at(proto));
    }

    fn switch(&self, on: bool) {
        self.is_on.set(on);
    }

    fn state(&self) -> TierState {
        let inner = self.inner.borrow();
        let pieces = inner.trees.iter().flatten().count();
        TierState { is_on: self.is_on.get() && inner.machine.is_some(), pieces, bytes: inner.code_bytes() }
    }

    fn has_code(&self, proto: *mut Proto) -> bool {
        let proto = View::proto_at(proto);
        self.inner.borrow().trees.iter().flatten().any(|grown| grown.origin.proto == proto)
    }

    fn trace(&self, marker: &mut Marker<'_>) {
        let inner = self.inner.borrow();
        // Strings are all the same to a program, and some are made for code.
        for notes in inner.trees.iter().flatten().map(|grown| &grown.notes) {
            notes.roots.iter().filter(|root| root.tag == Tag::Str).for_each(|root| marker.value(*root));
        }
        if let Some(recording) = &inner.recording {
            let notes = recording.recorder.notes();
            marker.values(&notes.roots);
            for proto in &notes.protos {
                View::mark_proto(*proto, marker);
            }
        }
    }

    fn forget_dead(&self, reached: &Reached<'_>) -> bool {
        self.collects.set(true);
        let mut inner = self.inner.borrow_mut();
        inner.forget_trees(|grown| !grown.notes.is_alive(reached))
    }
}
