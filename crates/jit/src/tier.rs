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
//! Everything is kept behind a `RefCell` that is never borrowed while compiled code runs, so that a function which it
//! calls may come here again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::time::Duration;

use perilune_bytecode::ops::Instr;
use perilune_codegen::Machine;
use perilune_runtime::heap::Marker;
use perilune_trace::ir::{ExitKind, HeaderId, SnapId, Tree};
use perilune_trace::opt::PASSES;
use perilune_vm::Vm;
use perilune_vm::tier::{After, Tier};

use crate::abort::Abort;
use crate::code::CodeBlock;
use crate::enter::{Compiled, Exits, Outcome, environment};
use crate::liveness::LivenessCache;
use crate::record::{Flow, Notes, Origin, Recorded, Recorder};
use crate::stats::Stats;
use crate::view::{ProtoAt, View};

/// Settings of the trace compiler.
#[derive(Clone, Debug)]
pub struct JitOptions {
    /// Rounds of a loop before it is recorded.
    pub hot: u32,
    /// Exits through a guard before a side segment is recorded.
    pub hot_exit: u32,
    /// Most segments of a tree.
    pub max_segments: usize,
    /// Most bytes of code.
    pub max_code: usize,
    /// Of the guards of a tree, each so many-th always fails, to exercise exits; 0 for none.
    pub exit_every: u32,
    /// Print what happens to standard error: 0 for nothing, 1 for a line for each recording, 2 for trees as well.
    pub log: u8,
    /// Print machine code too.
    pub log_code: bool,
}

impl Default for JitOptions {
    fn default() -> Self {
        JitOptions {
            hot: 120,
            hot_exit: 12,
            max_segments: 160,
            max_code: 32 << 20,
            exit_every: 0,
            log: 0,
            log_code: false,
        }
    }
}

/// Recordings of one place that may fail before nobody tries again.
const MAX_TRIES: u32 = 6;

/// Failures of hoisted guards before a header is pinned.
const MAX_HOISTED_EXITS: u32 = 8;

/// Entries with other types before another version of a header is recorded.
const MAX_MISMATCHES: u32 = 3;

/// Instructions of a tree for which an exit must be taken once more before it is followed.
const INSTS_PER_EXIT: u32 = 8;

/// Compiled segments for which one more recorded segment may wait for its code. All of a tree is compiled at once: so it
/// grows by a part of itself, and the cost of compiling stays in proportion to the size that it ends with.
const SEGMENTS_PER_PENDING: usize = 2;

/// Trees at which all code is forgotten.
const MAX_TREES: usize = 500;

/// Fuel that must have been spent for each instruction that is made code of: the time for about ten times as long.
const FUEL_PER_INST: u64 = 16_000;

/// Instructions that are made code of without asking.
const FREE_INSTS: u64 = 3_000;

/// Segments that may wait for code in any case.
const MAX_PENDING: usize = 4;

/// Exits that a segment may wait for its code, for each instruction of the tree.
const WAITS_PER_INST: usize = 4;

/// Instructions from which on a tree grows no more.
const MAX_INSTS: usize = 3000;

/// Most headers of one place in one tree.
const MAX_COPIES: usize = 6;

/// Most headers of one place that are tried.
const MAX_VERSIONS: usize = 4;

/// What is known of a loop header.
#[derive(Clone, Debug)]
enum Place {
    /// No code yet.
    Cold { tries: u32 },
    /// A tree has headers here.
    Compiled { door: Rc<Door>, mismatches: u32 },
    /// Not worth a try.
    Blacklisted,
}

/// The way into a tree at one place.
#[derive(Debug)]
struct Door {
    tree: usize,
    code: Rc<Compiled>,
    /// The headers of the place, which differ in the types that they expect.
    headers: Box<[HeaderId]>,
    /// The function that the root frame must run.
    function: Option<u64>,
    /// Entries since the last account, and the fuel that was spent in the code.
    entries: Cell<u32>,
    spent: Cell<i64>,
}

/// Entries after which a door is judged.
const ACCOUNTED: u32 = 1024;

/// Fuel that an entry must be worth on the average: about so many instructions does the interpreter run in the time that
/// it takes to enter and to leave.
const WORTH: i64 = 20;

impl Door {
    /// Notes an entry that has spent so much fuel: whether entering is worth it.
    fn pays(&self, spent: i64) -> bool {
        // The counter may have been filled up meanwhile, by a call.
        self.spent.set(self.spent.get() + if spent < 0 { WORTH } else { spent });
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() < ACCOUNTED {
            return true;
        }
        let pays = self.spent.get() >= i64::from(ACCOUNTED) * WORTH;
        self.entries.set(0);
        self.spent.set(0);
        pays
    }
}

/// A hash of addresses: instructions are eight bytes apart.
#[derive(Default)]
struct PlaceHasher(u64);

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0.rotate_left(5) ^ (n as u64 >> 3)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}

/// A tree with its code.
struct Grown {
    tree: Tree,
    notes: Notes,
    origin: Origin,
    code: Rc<Compiled>,
    exits: Vec<u32>,
    /// Segments that the code has.
    compiled_segments: usize,
    /// Segments recorded since.
    pending: usize,
    /// Exits taken although there is a segment for them, which has no code yet.
    waits: usize,
}

/// A recording under way.
struct Recording {
    recorder: Recorder,
    /// The tree that grows, for side segments and new versions.
    tree: Option<usize>,
    /// Where it started.
    place: *const Instr,
    start: Option<SnapId>,
}

/// The trace compiler of one VM.
pub struct Jit {
    inner: RefCell<Inner>,
    /// Whether the collector has run since the last recording began: prototypes may have died, and their addresses may be
    /// those of others by now.
    collects: Cell<bool>,
    options: JitOptions,
}

struct Inner {
    machine: Option<Machine>,
    places: HashMap<*const Instr, Place, BuildHasherDefault<PlaceHasher>>,
    trees: Vec<Option<Grown>>,
    recording: Option<Recording>,
    liveness: LivenessCache,
    stats: Stats,
    /// Instructions that were made code of so far, however often.
    compiled: u64,
    /// Fuel that the program has spent so far.
    fuel_used: u64,
}

impl Inner {
    /// Forgets all code. What runs at the moment is kept by whoever runs it.
    fn flush(&mut self) {
        self.trees.clear();
        self.places.clear();
        self.recording = None;
        self.liveness.clear();
        self.stats.code_bytes = 0;
    }

    /// Whether the program has run long enough for code of so many instructions: compiling must stay a small part of the
    /// whole. Fuel is the clock, so that the answer is the same on every run.
    fn affords(&self, instructions: usize) -> bool {
        self.compiled + instructions as u64 <= FREE_INSTS + self.fuel_used / FUEL_PER_INST
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
            machine.explain = options.log_code;
            machine
        });
        let inner = Inner {
            machine,
            places: HashMap::default(),
            trees: Vec::new(),
            recording: None,
            liveness: LivenessCache::default(),
            stats: Stats::default(),
            compiled: 0,
            fuel_used: 0,
        };
        Rc::new(Jit { inner: RefCell::new(inner), collects: Cell::new(false), options })
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.inner.borrow();
        let mut stats = inner.stats.clone();
        for (at, grown) in inner.trees.iter().enumerate() {
            let Some(grown) = grown else { continue };
            stats.instructions += grown.tree.insts.len();
            for (snap, count) in grown.exits.iter().enumerate().filter(|(_, count)| **count > 0) {
                let snapshot = grown.tree.snapshot(SnapId(snap as u32));
                let proto = snapshot
                    .frames
                    .last()
                    .map_or(grown.origin.proto, |frame| grown.notes.protos[frame.proto.0 as usize]);
                stats.hot_exits.push((at, snap as u32, View::line(proto, snapshot.pc), *count));
            }
        }
        stats.hot_exits.sort_by_key(|exit| std::cmp::Reverse(exit.3));
        stats
    }

    fn log(&self, level: u8, text: impl FnOnce() -> String) {
        if self.options.log >= level {
            eprintln!("{}", text());
        }
    }

    /// Enters the code that a place has, if its types fit.
    unsafe fn enter(&self, vm: *mut Vm, place: *const Instr) -> Option<After> {
        let door = match self.inner.borrow().places.get(&place) {
            Some(Place::Compiled { door, .. }) => door.clone(),
            Some(Place::Cold { .. } | Place::Blacklisted) | None => return None,
        };
        // SAFETY: the caller's duty: the current frame stands at the place, which is the headers' own.
        unsafe {
            let closure = View::new(vm).closure(0);
            if door.function.is_some_and(|function| function != closure) {
                return None;
            }
            let before = (*vm).fuel_left();
            if before < door.code.most_fuel() {
                return Some(After::Interpret);
            }
            let mut outcome = Outcome::NotEntered;
            for header in &door.headers {
                outcome = door.code.run(vm, *header);
                if outcome != Outcome::NotEntered {
                    break;
                }
            }
            let pays = door.pays(before - (*vm).fuel_left());
            let mut inner = self.inner.borrow_mut();
            inner.fuel_used = (*vm).fuel_used();
            inner.stats.entries += 1;
            if !pays {
                inner.places.insert(place, Place::Blacklisted);
            }
            match outcome {
                Outcome::NotEntered => {
                    inner.stats.mismatches += 1;
                    None
                }
                Outcome::Left(snap) => Some(self.left(&mut inner, vm, door.tree, snap)),
                Outcome::LeftOver => {
                    inner.stats.left_over += 1;
                    Some(After::LeftOver)
                }
            }
        }
    }

    /// The analyses made so far, for a recording.
    fn take_liveness(&self, liveness: &mut LivenessCache) -> LivenessCache {
        if self.collects.take() {
            liveness.clear();
        }
        std::mem::take(liveness)
    }

    /// Decides what happens after an exit.
    unsafe fn left(&self, inner: &mut Inner, vm: *mut Vm, at: usize, snap: SnapId) -> After {
        let Some(Some(grown)) = inner.trees.get_mut(at) else { return After::Interpret };
        let snapshot = grown.tree.snapshot(snap);
        match snapshot.kind {
            ExitKind::Service => {
                inner.stats.service_exits += 1;
                // An open list of values would be lost in a collection here; the next allocation makes up for it.
                // SAFETY: the VM is ours.
                let collects = snapshot.top.is_none() && unsafe { (*vm).collector_is_due() };
                return if collects { After::Collect } else { After::Interpret };
            }
            ExitKind::End => {
                inner.stats.end_exits += 1;
                return After::Interpret;
            }
            ExitKind::Guard => inner.stats.guard_exits += 1,
        }
        let count = &mut grown.exits[snap.index()];
        *count = count.saturating_add(1);
        let header = grown.tree.header_ids().find(|id| grown.tree.header(*id).snap == snap);
        if let Some(header) = header {
            // Short of fuel, or a hoisted guard.
            // SAFETY: the VM is ours.
            let is_short = unsafe { (*vm).fuel_left() } < i64::from(grown.tree.most_fuel());
            if is_short {
                *count -= 1;
                return After::Interpret;
            }
            if *count < MAX_HOISTED_EXITS || inner.recording.is_some() {
                return After::Interpret;
            }
            *count = 0;
            let known = grown.tree.header(header);
            let place = (known.pc, &known.frames);
            let copies = grown.tree.headers.iter().filter(|h| (h.pc, &h.frames) == place).count();
            if known.is_pinned {
                return After::Interpret;
            }
            if !known.ranges.is_empty() && !known.has_no_ranges {
                grown.tree.headers[header.index()].has_no_ranges = true;
                self.compile(inner, at);
                return After::Interpret;
            }
            if known.alternative.is_some() || copies >= MAX_COPIES {
                grown.tree.headers[header.index()].is_pinned = true;
                self.compile(inner, at);
                return After::Interpret;
            }
            // SAFETY: the VM stands at the header, frames and all.
            let view = unsafe { View::new(vm) };
            let liveness = self.take_liveness(&mut inner.liveness);
            let recorder =
                Recorder::alternative(&view, liveness, grown.origin, grown.tree.clone(), grown.notes.clone(), header);
            inner.recording = Some(Recording { recorder, tree: Some(at), place: std::ptr::null(), start: Some(snap) });
            return After::Record;
        }
        if grown.tree.continuation(snap).is_some() {
            grown.waits += 1;
            let size = grown.tree.insts.len();
            if grown.waits > size * WAITS_PER_INST && inner.affords(size) {
                self.compile(inner, at);
            }
            return After::Interpret;
        }
        // The dearer the making of code has become, the more there must be to win.
        let threshold = self.options.hot_exit.max(1) + grown.tree.insts.len() as u32 / INSTS_PER_EXIT;
        // Exits that could not be followed are tried again at growing intervals.
        let is_hot = *count >= threshold && (*count / threshold).is_power_of_two() && *count % threshold == 0;
        if !is_hot
            || inner.recording.is_some()
            || grown.tree.segments.len() >= self.options.max_segments
            || grown.tree.insts.len() > MAX_INSTS
        {
            return After::Interpret;
        }
        // SAFETY: the VM stands at the snapshot, frames and all.
        let view = unsafe { View::new(vm) };
        let liveness = self.take_liveness(&mut inner.liveness);
        let recorder = Recorder::side(&view, liveness, grown.origin, grown.tree.clone(), grown.notes.clone(), snap);
        inner.recording = Some(Recording { recorder, tree: Some(at), place: std::ptr::null(), start: Some(snap) });
        After::Record
    }

    /// Begins the recording of a loop: of a new tree, or of another version of a header.
    unsafe fn begin(&self, vm: *mut Vm, place: *const Instr) -> After {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        // SAFETY: the caller's duty.
        inner.fuel_used = unsafe { (*vm).fuel_used() };
        if inner.recording.is_some() || inner.machine.is_none() || !inner.affords(0) {
            return After::Interpret;
        }
        if inner.trees.len() >= MAX_TREES || inner.stats.code_bytes >= self.options.max_code {
            // Programs that load code again and again would keep all of it alive.
            inner.flush();
        }
        // SAFETY: the caller's duty.
        let view = unsafe { View::new(vm) };
        let mut tree = None;
        if let Some(Place::Compiled { door, mismatches }) = inner.places.get_mut(&place) {
            *mismatches += 1;
            let is_full = door.headers.len() >= MAX_VERSIONS;
            if *mismatches < MAX_MISMATCHES || is_full || *mismatches > MAX_MISMATCHES * (1 + MAX_TRIES) {
                return After::Interpret;
            }
            tree = Some(door.tree);
        }
        let liveness = self.take_liveness(&mut inner.liveness);
        let grown = tree.and_then(|at| inner.trees.get(at)).and_then(Option::as_ref);
        let recorder = match grown {
            Some(grown) if grown.notes.function.is_none_or(|f| f == view.closure(0)) => {
                Recorder::again(&view, liveness, grown.origin, grown.tree.clone(), grown.notes.clone())
            }
            _ => {
                tree = None;
                Recorder::root(&view, liveness)
            }
        };
        inner.recording = Some(Recording { recorder, tree, place, start: None });
        After::Record
    }

    /// The recording is complete.
    fn finish(&self, inner: &mut Inner, recording: Recording) {
        let Recording { recorder, tree, place, start } = recording;
        let origin = recorder.origin();
        let (Recorded { tree: mut grown, notes }, liveness) = recorder.finish();
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
        self.log(1, || {
            let from = start.map_or("root".to_owned(), |snap| format!("exit {}", snap.0));
            format!("jit: tree {at}, {from}: {} segments, {} instructions", grown.segments.len(), grown.insts.len())
        });
        if let Some(Some(known)) = inner.trees.get_mut(at) {
            known.exits.resize(grown.snapshots.len(), 0);
            known.tree = grown;
            known.notes = notes;
            known.pending += 1;
            let size = known.tree.insts.len();
            if known.pending >= MAX_PENDING + known.compiled_segments / SEGMENTS_PER_PENDING && inner.affords(size) {
                self.compile(inner, at);
            }
            return;
        }
        match self.generate(inner, &mut grown, &notes) {
            Ok(code) => {
                let exits = vec![0; grown.snapshots.len()];
                let compiled_segments = grown.segments.len();
                inner.trees[at] =
                    Some(Grown { tree: grown, notes, origin, code, exits, compiled_segments, pending: 0, waits: 0 });
                self.register(inner, at);
            }
            Err(why) => self.give_up(inner, place, why),
        }
    }

    /// Notes where a tree can be entered.
    fn register(&self, inner: &mut Inner, at: usize) {
        let Some(Some(grown)) = inner.trees.get(at) else { return };
        let mut doors: HashMap<*const Instr, Vec<HeaderId>> = HashMap::new();
        for id in grown.tree.header_ids() {
            let header = grown.tree.header(id);
            if header.frames.is_empty() {
                doors.entry(address(grown.origin.proto, header.pc)).or_default().push(id);
            }
        }
        for (place, headers) in doors {
            let mismatches = match inner.places.get(&place) {
                // The tree that was there first keeps the place.
                Some(Place::Compiled { door, .. }) if door.tree != at => continue,
                Some(Place::Blacklisted) => continue,
                Some(Place::Compiled { mismatches, .. }) => *mismatches,
                Some(Place::Cold { .. }) | None => 0,
            };
            let door = Rc::new(Door {
                tree: at,
                code: grown.code.clone(),
                headers: headers.into(),
                function: grown.notes.function,
                entries: Cell::new(0),
                spent: Cell::new(0),
            });
            inner.places.insert(place, Place::Compiled { door, mismatches });
        }
    }

    /// Runs the passes and makes code.
    fn generate(&self, inner: &mut Inner, tree: &mut Tree, notes: &Notes) -> Result<Rc<Compiled>, Abort> {
        let begun = now();
        inner.compiled += tree.insts.len() as u64;
        for pass in PASSES {
            (pass.run)(tree);
        }
        self.log(2, || format!("{tree}"));
        let exits = Exits::of(tree);
        let machine = inner.machine.as_mut().ok_or(Abort::Code)?;
        let code = machine.compile(tree, &environment(&exits, self.options.exit_every)).map_err(|why| {
            self.log(1, || format!("jit: {why}"));
            Abort::Code
        })?;
        if let (Some(clif), Some(listing)) = (&code.clif, &code.listing) {
            self.log(2, || format!("{clif}\n{listing}"));
        }
        if inner.stats.code_bytes + code.bytes.len() > self.options.max_code {
            return Err(Abort::Memory);
        }
        let block = CodeBlock::new(&code.bytes).map_err(|_| Abort::Memory)?;
        inner.stats.compilations += 1;
        inner.stats.code_bytes += block.bytes();
        inner.stats.compile_time += begun.elapsed();
        let compiled = Compiled::new(block, exits, notes.slots, notes.frames, tree.most_fuel());
        Ok(Rc::new(compiled))
    }

    /// Makes the code of a tree anew.
    fn compile(&self, inner: &mut Inner, at: usize) {
        let Some(mut grown) = inner.trees.get_mut(at).and_then(Option::take) else { return };
        match self.generate(inner, &mut grown.tree, &grown.notes) {
            Ok(code) => {
                grown.code = code;
                grown.pending = 0;
                grown.waits = 0;
                grown.compiled_segments = grown.tree.segments.len();
            }
            // The code that is there is still right: exits that have a continuation leave as before.
            Err(why) => inner.stats.aborted(why),
        }
        inner.trees[at] = Some(grown);
        self.register(inner, at);
    }

    /// A recording, or the making of code, has failed.
    fn give_up(&self, inner: &mut Inner, place: *const Instr, why: Abort) {
        inner.stats.aborted(why);
        self.log(1, || format!("jit: abort: {}", why.text()));
        if place.is_null() {
            return;
        }
        match inner.places.get_mut(&place) {
            Some(Place::Compiled { .. } | Place::Blacklisted) => {}
            Some(Place::Cold { tries }) => {
                *tries += 1;
                if *tries >= MAX_TRIES {
                    inner.places.insert(place, Place::Blacklisted);
                }
            }
            None => {
                inner.places.insert(place, Place::Cold { tries: 1 });
            }
        }
    }

    /// Arrivals until the next look at a place.
    fn patience_of(&self, place: *const Instr) -> u32 {
        match self.inner.borrow().places.get(&place) {
            None => self.options.hot.max(1),
            Some(Place::Cold { tries }) => self.options.hot.max(1).saturating_mul(1 << (*tries).min(16)),
            Some(Place::Compiled { .. }) => 1,
            Some(Place::Blacklisted) => u32::MAX,
        }
    }
}

/// The address of an instruction.
fn address(proto: ProtoAt, pc: u32) -> *const Instr {
    View::code_address(proto, pc)
}

/// The time, for statistics alone: nothing that a script can see depends on it.
#[expect(clippy::disallowed_methods, reason = "statistics of the compiler, which no script sees")]
fn now() -> Clock {
    Clock(std::time::Instant::now())
}

struct Clock(std::time::Instant);

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "statistics of the compiler, which no script sees")]
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Tier for Jit {
    fn counts(&self) -> bool {
        true
    }

    fn patience(&self, header: *const Instr) -> u32 {
        self.patience_of(header)
    }

    unsafe fn hot(&self, vm: *mut Vm) -> After {
        // SAFETY: the caller's duty: the current frame is a Lua frame with `pc` stored, and the VM is ours.
        unsafe {
            let place = (*(*(*vm).current_thread()).frame).pc;
            let after = match self.enter(vm, place) {
                Some(after) => after,
                None => self.begin(vm, place),
            };
            let patience = self.patience_of(place);
            (*vm).hot_counters().set(place, patience);
            after
        }
    }

    unsafe fn record(&self, vm: *mut Vm) -> bool {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(mut recording) = inner.recording.take() else { return false };
        // SAFETY: the caller's duty: the current frame is a Lua frame with `pc` stored, and nothing runs meanwhile.
        let view = unsafe { View::new(vm) };
        match recording.recorder.step(&view) {
            Ok(Flow::On) => {
                inner.recording = Some(recording);
                true
            }
            Ok(Flow::Done) => {
                self.finish(inner, recording);
                false
            }
            Err(why) => {
                let place = recording.place;
                inner.liveness = recording.recorder.dismiss();
                self.give_up(inner, place, why);
                false
            }
        }
    }

    fn flush(&self) {
        self.inner.borrow_mut().flush();
    }

    fn trace(&self, marker: &mut Marker<'_>) {
        self.collects.set(true);
        let inner = self.inner.borrow();
        let recorded = inner.recording.iter().map(|recording| recording.recorder.notes());
        for notes in inner.trees.iter().flatten().map(|grown| &grown.notes).chain(recorded) {
            marker.values(&notes.roots);
            for proto in &notes.protos {
                View::mark_proto(*proto, marker);
            }
        }
    }
}
