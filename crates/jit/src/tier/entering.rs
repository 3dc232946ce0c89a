//! Entering: compiled code runs where the interpreter stands, if there is any for the types there, and what its run is worth
//! is noted.
//!
//! What follows from the exit that it leaves by is said in `exits`; where nothing was entered, `recording` may begin.

use perilune_bytecode::ops::Instr;
use perilune_vm::Vm;
use perilune_vm::tier::After;

use super::place::{Door, Place, Verdict};
use super::{Entry, Inner, Jit, Way};
use crate::enter::Outcome;
use crate::view::View;

/// What entering code costs that leaves in front of an instruction which is never compiled: the resuming of a coroutine, say.
/// Elsewhere code is expected to grow, and to leave less.
const STEPS_LOST_AT_END: i64 = 100;

/// What it costs compiled code to wait for a coroutine that it resumes, above what resuming costs the interpreter: a dozen
/// instructions. Here rounds count for the fuel that they have spent, each unit of which stands for several.
const STEPS_LOST_AT_RESUME: i64 = 2;

/// Where that makes code slower than the interpreter: arrivals until it is entered again, for each coroutine that it has waited
/// for. It may have grown by then.
const REST_PER_RESUME: u64 = 16;

/// Instructions that the interpreter runs in the time that it takes to go on in a fragment, and to come back.
const STEPS_PER_FOLLOWED: i64 = 20;

/// Entries after which all trees are looked at, whether code of them is to be made anew.
const ENTRIES_PER_LOOK: u64 = 256;

impl Jit {
    /// Enters the code of the place where the VM stands. Where that leaves in front of a function's first instruction, goes on
    /// there. What has no code, or not for these types, may be recorded. Says also when to look at the place again.
    pub(super) unsafe fn enter(&self, vm: *mut Vm, place: *const Instr, way: Way) -> (After, u32) {
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
    pub(super) unsafe fn conclude(&self, inner: &mut Inner, vm: *mut Vm, outcome: Outcome, arrivals: u32) -> Entry {
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
}
