//! Limits: what a script may spend, and how it is stopped.
//!
//! Fuel is a count of units, charged where a program can spend time without end: one per call, one per instruction of a
//! loop's body at its back-edge, and in proportion to the work inside long library operations. The running code decrements
//! one counter, `Vm::fuel`, which holds a *slice* of what is left; when it goes below zero, `Vm::fuel_spent` accounts
//! for the slice, looks at the limits and the deadline, and hands out the next slice. The count of units of a program is
//! therefore the same on every run, whatever the slices were.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::native::Raised;
use crate::vm::{Abort, Vm};

/// Most units between two looks: when code is interpreted, they take less than a millisecond.
pub(crate) const SLICE: i64 = 50_000;

/// Fewest units between two looks. A unit may be a call of a function that takes a millisecond.
const LEAST_SLICE: i64 = 16;

/// The time between two looks that is aimed at when there is a deadline. Units take very different time.
const LOOKS_EVERY: Duration = Duration::from_micros(250);

/// The least depth of calls that a limit can ask for: the frames that a new coroutine has room for.
pub const LEAST_DEPTH: u32 = 4;

/// Most that a script may spend. `None` is no limit.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Units of fuel.
    pub instructions: Option<u64>,
    /// Bytes of heap.
    pub memory: Option<usize>,
    /// Time on the host's monotonic clock.
    pub time: Option<Duration>,
    /// Calls that wait for one another in a coroutine. Native functions count too, so that no small limit stops a script
    /// before it has begun: less than [`LEAST_DEPTH`] counts as that.
    pub depth: Option<u32>,
    /// Coroutines alive at once, the main one not counted.
    pub coroutines: Option<u32>,
    pub(crate) state: Spent,
}

/// What has been spent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// Units in finished slices.
    units: u64,
    /// Size of the slice that `fuel` counts down.
    slice: i64,
    /// When time is up, on the host's monotonic clock.
    deadline: Option<Duration>,
    /// The last look at that clock.
    looked: Duration,
    /// Units until the next look, as the time of the last slice suggests; only with a deadline.
    pace: Option<i64>,
    /// Coroutines that may be made before those alive are counted again.
    spare_coroutines: u64,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub kind: LimitKind,
    /// The limit: units, milliseconds or a count.
    pub limit: u64,
    /// What was reached when it was noticed, in the same unit.
    pub actual: u64,
}

/// The kinds of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitKind {
    /// Units of fuel.
    Instructions,
    /// Milliseconds.
    Time,
    /// Calls that wait for one another.
    Depth,
    /// Coroutines alive at once.
    Coroutines,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            LimitKind::Instructions => {
                write!(f, "instruction limit of {} reached ({} spent)", self.limit, self.actual)
            }
            LimitKind::Depth => write!(f, "call depth limit of {} reached", self.limit),
            LimitKind::Coroutines => write!(f, "limit of {} coroutines reached", self.limit),
            LimitKind::Time => write!(f, "time limit of {} ms reached ({} ms passed)", self.limit, self.actual),
        }
    }
}

impl Spent {
    /// Adapts the size of slices to the time that the last one, of so many units, took. After a slow one they grow again step
    /// by step: it may have waited for something.
    fn adapt(&mut self, now: Duration, units: u64) {
        let took = now.saturating_sub(self.looked).as_nanos().max(1);
        let fitting = u128::from(units) * LOOKS_EVERY.as_nanos() / took;
        let grown = self.pace.map_or(LEAST_SLICE, |pace| pace * 2).min(SLICE);
        self.pace = Some(i64::try_from(fitting).unwrap_or(SLICE).clamp(LEAST_SLICE, grown));
        self.looked = now;
    }
}

impl Limits {
    /// The same limits, and those of `others` where there is none.
    #[must_use]
    pub fn or(self, others: Limits) -> Limits {
        Limits {
            instructions: self.instructions.or(others.instructions),
            memory: self.memory.or(others.memory),
            time: self.time.or(others.time),
            depth: self.depth.or(others.depth),
            coroutines: self.coroutines.or(others.coroutines),
            state: self.state,
        }
    }

    /// A copy of the settings with nothing spent.
    #[must_use]
    pub fn settings(&self) -> Limits {
        Limits { state: Spent::default(), ..self.clone() }
    }
}

impl Vm {
    /// Charges units for a long operation.
    #[inline]
    pub fn charge(&mut self, units: u64) -> Result<(), Raised> {
        self.fuel -= units.min(i64::MAX as u64 / 2) as i64;
        if self.fuel < 0 { self.fuel_spent() } else { Ok(()) }
    }

    /// Makes the next look at the clock come with the next unit: what was just done took long, and its units do not say so,
    /// because they must not depend on how long. Collecting is such an operation. Compiled code, which may hold the counter itself,
    /// calls nothing that does this.
    #[inline]
    pub fn hurry(&mut self) {
        if self.fuel > 0 && !self.frozen && (self.limits.time.is_some() || self.interrupt.is_some()) {
            self.limits.state.slice -= self.fuel;
            self.fuel = 0;
        }
    }

    /// Makes the next charge look at limits and interrupts, even if it is of no units. As after [`Vm::hurry`], what was spent
    /// stays what it is.
    pub(crate) fn look_next(&mut self) {
        self.limits.state.slice -= self.fuel + 1;
        self.fuel = -1;
    }

    /// Whether time is up or someone interrupts, so that a look at the limits would end what runs.
    pub(crate) fn is_due(&self) -> bool {
        self.interrupt.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.limits.state.deadline.is_some_and(|deadline| self.host.monotonic() >= deadline)
    }

    /// Units charged so far.
    #[inline]
    pub fn fuel_used(&self) -> u64 {
        let s = &self.limits.state;
        s.units + (s.slice - self.fuel) as u64
    }

    /// Replaces the limits; what was spent before counts no more.
    pub fn set_limits(&mut self, limits: Limits) {
        match limits.memory {
            Some(bytes) => self.heap.set_limit(bytes),
            None => self.heap.set_limit(usize::MAX),
        }
        self.heap.set_max_frames(limits.depth.map(|depth| depth.max(LEAST_DEPTH) as usize));
        self.limits = limits.settings();
        if let Some(t) = self.limits.time {
            self.limits.state.looked = self.host.monotonic();
            self.limits.state.deadline = Some(self.limits.state.looked + t);
            self.limits.state.pace = Some(LEAST_SLICE);
        }
        self.refill_fuel();
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Hands out the next slice.
    pub(crate) fn refill_fuel(&mut self) {
        let left = match self.limits.instructions {
            Some(limit) => limit.saturating_sub(self.limits.state.units).min(i64::MAX as u64) as i64,
            None => i64::MAX,
        };
        // The time of limits that a VM was made with counts from the first unit on.
        let first = if self.limits.time.is_some() { LEAST_SLICE } else { SLICE };
        let slice = left.min(self.limits.state.pace.unwrap_or(first));
        self.limits.state.slice = slice;
        self.fuel = slice;
    }

    /// The slow side of every charge: `fuel` has gone below zero.
    #[cold]
    #[inline(never)]
    pub(crate) fn fuel_spent(&mut self) -> Result<(), Raised> {
        if self.frozen {
            return Err(Raised(()));
        }
        let used = (self.limits.state.slice - self.fuel) as u64;
        self.limits.state.units += used;
        self.limits.state.slice = 0;
        self.fuel = 0;
        self.ask_sampler(used);
        let actual = self.limits.state.units;
        if let Some(flag) = &self.interrupt
            && flag.swap(false, Ordering::Relaxed)
        {
            self.refill_fuel();
            return Err(self.run_error("interrupted!"));
        }
        if let Some(limit) = self.limits.instructions
            && actual > limit
        {
            return Err(self.violate(Violation { kind: LimitKind::Instructions, limit, actual }));
        }
        if let Some(time) = self.limits.time {
            let now = self.host.monotonic();
            self.limits.state.adapt(now, used);
            let deadline = *self.limits.state.deadline.get_or_insert(now + time);
            if now >= deadline {
                let limit = time.as_millis() as u64;
                let actual = (now + time).saturating_sub(deadline).as_millis() as u64;
                return Err(self.violate(Violation { kind: LimitKind::Time, limit, actual }));
            }
        }
        self.refill_fuel();
        Ok(())
    }

    /// While the flag is set, scripts are interrupted: at the next look at the limits, which is soon, the running code gets
    /// the error `interrupted!`, and the flag is reset. Whoever shares the flag may set it at any time.
    pub fn set_interrupt(&mut self, flag: Arc<AtomicBool>) {
        self.interrupt = Some(flag);
    }

    /// Whether one more call may wait in the running coroutine.
    pub(crate) fn check_depth(&mut self) -> Result<(), Raised> {
        let depth = self.frame_depth() as u64;
        match self.limits.depth.map(|limit| u64::from(limit.max(LEAST_DEPTH))) {
            Some(limit) if depth >= limit => {
                Err(self.violate(Violation { kind: LimitKind::Depth, limit, actual: depth + 1 }))
            }
            _ => Ok(()),
        }
    }

    /// Whether there may be one more coroutine. Those that nobody can reach any more are collected before the answer is no.
    /// **(safepoint)**
    pub(crate) fn check_coroutines(&mut self) -> Result<(), Raised> {
        let Some(limit) = self.limits.coroutines.map(u64::from) else { return Ok(()) };
        if self.limits.state.spare_coroutines > 0 {
            self.limits.state.spare_coroutines -= 1;
            return Ok(());
        }
        // The main coroutine is not counted.
        let mut live = self.heap.live_threads() as u64 - 1;
        if live >= limit {
            self.collect()?;
            live = self.heap.live_threads() as u64 - 1;
        }
        if live >= limit {
            return Err(self.violate(Violation { kind: LimitKind::Coroutines, limit, actual: live + 1 }));
        }
        self.limits.state.spare_coroutines = limit - live - 1;
        Ok(())
    }

    fn violate(&mut self, violation: Violation) -> Raised {
        let text = violation.to_string();
        self.error = self.string(text.as_bytes());
        self.abort = Some(Abort::Limit(violation));
        Raised(())
    }

    /// Asks to leave all Lua code, as `os.exit` does. The host decides what an exit is.
    pub fn request_exit(&mut self, code: i32, close: bool) -> Raised {
        self.abort = Some(Abort::Exit { code, close });
        Raised(())
    }
}
