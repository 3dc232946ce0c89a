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
//! | `options` | what can be chosen |
//! | `bookkeeping` | what is held, and what runs count for |
//! | `place` | what is known of a loop header |
//! | `budget` | what may be spent on code |
//! | `entering` | what has code, and how was its run |
//! | `recording` | when is what recorded |
//! | `exits` | what follows from an exit |
//! | `growth` | when is code made of what was recorded |
//! | `fragments` | which code is made of new paths alone |
//!
//! Everything is kept behind a `RefCell` that is never borrowed while compiled code runs, so that a function which it
//! calls may come here again.

mod bookkeeping;
mod budget;
mod entering;
mod exits;
mod fragments;
mod growth;
mod options;
mod place;
mod recording;

pub use self::options::JitOptions;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use perilune_bytecode::listing;
use perilune_bytecode::ops::Instr;
use perilune_codegen::Machine;
use perilune_runtime::heap::{Marker, Reached};
use perilune_runtime::object::Proto;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{SnapId, Tree};
use perilune_vm::Vm;
use perilune_vm::tier::{self, After, Called, Tier, TierState};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::dump::Phase;
use crate::enter::{Compiled, Outcome};
use crate::function::{Function, Functions};
use crate::gate::Gate;
use crate::liveness::LivenessCache;
use crate::log::LogLevel;
use crate::record::{Notes, Origin, Recorder};
use crate::seen::Seen;
use crate::stats::Stats;
use crate::view::{ProtoAt, View};

use budget::Budget;
use fragments::Waiting;
use place::Place;

/// Recordings of one place that may fail before nobody tries again.
const MAX_TRIES: u32 = 6;

/// Fuel that quick code must have spent for each of its instructions until all work is put into it. Cranelift's code is seldom
/// much faster, takes five times as long to make, and the first of it some megabytes of memory.
const FUEL_PER_UPGRADE: i64 = 4_000_000;

/// Calls of a function that count as a round of a loop. Those that must be compiled on their own, because they call
/// themselves, are known from what was recorded elsewhere: see `Recorder::missed`.
const CALLS_PER_ROUND: u32 = 16;

/// Arrivals until the next look at a place, while nothing is compiled.
const PATIENCE_WHEN_OFF: u32 = 10_000;

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
        // SAFETY: the caller's duty.
        unsafe { self.step(vm) }
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
