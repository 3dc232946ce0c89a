//! Recording: when the recorder is begun, shown instructions and given up.
//!
//! There is one recording at a time, of a new tree, of another version of a header, or from an exit (which `exits` begins).
//! What becomes of a complete one is said in `growth`.

use perilune_bytecode::ops::Instr;
use perilune_codegen::Effort;
use perilune_vm::Vm;
use perilune_vm::tier::After;

use super::place::Place;
use super::{Begun, Inner, Jit, MAX_TRIES, Recording, Way};
use crate::abort::Abort;
use crate::dump::Phase;
use crate::log::LogLevel;
use crate::record::{Flow, Recorder, Shared};
use crate::stats::Clock;
use crate::view::View;

/// Entries with other types before another version of a header is recorded.
const MAX_MISMATCHES: u32 = 3;

/// Trees at which all code is forgotten.
const MAX_TREES: usize = 500;

/// Fuel that a recording waits for a function to return.
const MAX_WAIT: u64 = 100_000;

/// Most headers of one place that are tried.
const MAX_VERSIONS: usize = 4;

impl Jit {
    /// Begins the recording of a loop or function: of a new tree, or of another version of a header.
    pub(super) unsafe fn begin(&self, vm: *mut Vm, place: *const Instr, way: Way) -> After {
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

    /// The analyses made so far, for a recording.
    pub(super) fn share(&self, inner: &mut Inner) -> Shared {
        if self.collects.take() {
            let alive = inner.living_protos();
            inner.liveness.keep(|address| alive.contains(&address));
        }
        let liveness = std::mem::take(&mut inner.liveness);
        Shared { liveness, functions: inner.functions.clone(), met: inner.met.clone() }
    }

    /// A recording that waits for a function to return has waited long enough, or its frames are gone.
    #[inline]
    pub(super) fn drop_waiting(&self, inner: &mut Inner) {
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

    /// Shows the recorder the instruction that comes next: whether it wants to see the one behind, too.
    ///
    /// # Safety
    /// As for [`Tier::record`](perilune_vm::tier::Tier::record).
    pub(super) unsafe fn step(&self, vm: *mut Vm) -> bool {
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
}
