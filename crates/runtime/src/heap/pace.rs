//! Pacing: when the collector works, and how much.
//!
//! A cycle starts when the heap has grown to `pause` percent of what the last cycle left. From then on, every
//! `2^stepsize` bytes of allocation a slice does `stepmul` times as many bytes of marking or sweeping. These are the
//! parameters of Lua 5.4, with the reference's defaults.
//!
//! The threshold never exceeds the memory limit, so that the safepoint after reaching the limit calls the collector even
//! when it was stopped.

use super::{Heap, OutOfMemory, Phase, Roots};

/// Default of [`Param::Pause`].
pub const DEFAULT_PAUSE: u32 = 200;
/// Default of [`Param::StepMul`].
pub const DEFAULT_STEPMUL: u32 = 100;
/// Default of [`Param::StepSize`].
pub const DEFAULT_STEPSIZE: u32 = 13;

/// A parameter of the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Percentage of the live bytes at which the next cycle starts.
    Pause,
    /// Bytes of work per byte of allocation.
    StepMul,
    /// Binary logarithm of the bytes of allocation between two slices.
    StepSize,
}

/// What the program asked for with `collectgarbage`. Both modes collect in the same way, incrementally: there is no
/// generational collector. The mode is kept so that switching reports the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `"incremental"`
    Incremental,
    /// `"generational"`
    Generational,
}

impl Mode {
    /// The name as `collectgarbage` gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Incremental => "incremental",
            Mode::Generational => "generational",
        }
    }
}

impl Heap {
    /// A parameter's value.
    pub fn param(&self, param: Param) -> u32 {
        match param {
            Param::Pause => self.pause,
            Param::StepMul => self.stepmul,
            Param::StepSize => self.stepsize,
        }
    }

    /// Sets a parameter and returns its old value.
    pub fn set_param(&mut self, param: Param, value: u32) -> u32 {
        let field = match param {
            Param::Pause => &mut self.pause,
            Param::StepMul => &mut self.stepmul,
            Param::StepSize => &mut self.stepsize,
        };
        std::mem::replace(field, value)
    }

    /// Sets the mode and returns the previous one.
    pub fn set_mode(&mut self, mode: Mode) -> Mode {
        std::mem::replace(&mut self.mode, mode)
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Stops the collector: it works only when it is told to, or when the limit is reached.
    pub fn stop(&mut self) {
        self.running = false;
        self.set_threshold(usize::MAX);
    }

    /// Lets the collector work again, from the next safepoint on.
    pub fn restart(&mut self) {
        self.running = true;
        self.set_threshold(self.bytes);
    }

    /// Whether it is not stopped.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Whether a safepoint has to call the collector.
    #[inline(always)]
    pub fn step_due(&self) -> bool {
        self.bytes >= self.threshold
    }

    /// What a safepoint does when a step is due: a slice, or a full collection in stress mode, at the limit, and when the
    /// system has refused memory. An error says that live objects leave too little.
    #[cold]
    #[inline(never)]
    pub fn safepoint(&mut self, roots: &mut dyn Roots) -> Result<(), OutOfMemory> {
        let is_short = self.over_limit() || self.is_pressed();
        if self.stress && self.running || is_short {
            self.full(roots);
        } else if self.running {
            self.slice(roots);
        } else {
            self.set_threshold(usize::MAX);
        }
        if is_short && self.lacks_memory() { Err(OutOfMemory) } else { Ok(()) }
    }

    /// The regular slice at a safepoint. Returns whether it finished a cycle.
    pub fn slice(&mut self, roots: &mut dyn Roots) -> bool {
        let debt = self.bytes.saturating_sub(self.threshold).saturating_add(self.step_bytes());
        self.step(roots, debt.saturating_mul(self.stepmul.max(1) as usize))
    }

    /// `collectgarbage("step", kbytes)`: the work of a basic step, or of so many KiB. It marks or sweeps about two bytes for
    /// each, so that a program needs as many steps for a cycle as with the reference. Returns whether it finished a cycle.
    pub fn step_kbytes(&mut self, roots: &mut dyn Roots, kbytes: usize) -> bool {
        let work = kbytes.max(1).saturating_mul(1024).saturating_mul(2 * self.stepmul as usize) / 100;
        self.step(roots, work)
    }

    /// Works for about `work` bytes, marked or swept, and at least one unit. Returns whether it finished a cycle.
    pub fn step(&mut self, roots: &mut dyn Roots, work: usize) -> bool {
        self.count_shapes();
        let mut left = work.max(1);
        let finished = loop {
            let (done, finished) = self.unit(roots, left);
            if finished {
                break true;
            }
            left = left.saturating_sub(done.max(1));
            if left == 0 {
                break false;
            }
        };
        if !finished {
            self.set_threshold(self.bytes.saturating_add(self.step_bytes()));
        }
        self.bury();
        finished
    }

    /// A full collection: everything that is unreachable now is freed (or queued for finalization).
    pub fn full(&mut self, roots: &mut dyn Roots) {
        self.count_shapes();
        match self.phase {
            Phase::Pause => {}
            Phase::Propagate => {
                // Marks made so far may be of objects that died since. Forget them: a sweep without swapped whites
                // frees nothing and turns everything white.
                self.forget_gray_lists();
                self.enter_sweep();
                self.sweep(usize::MAX);
                self.phase = Phase::Pause;
            }
            Phase::Sweep => {
                self.sweep(usize::MAX);
                self.phase = Phase::Pause;
            }
        }
        while !self.unit(roots, usize::MAX).1 {}
        self.relieve();
        self.bury();
    }

    /// One unit of work of the current phase, within the budget if it can be divided. Returns the work done and whether
    /// the cycle is finished.
    fn unit(&mut self, roots: &mut dyn Roots, budget: usize) -> (usize, bool) {
        match self.phase {
            Phase::Pause => {
                self.forget_gray_lists();
                self.phase = Phase::Propagate;
                self.mark_roots(roots);
                (1, false)
            }
            Phase::Propagate if self.gray.is_empty() => (self.find_lost() + self.atomic(roots), false),
            Phase::Propagate => (self.propagate(budget), false),
            Phase::Sweep => {
                let done = self.sweep(budget);
                let finished = self.swept();
                if finished {
                    self.finish_cycle();
                }
                (done, finished)
            }
        }
    }

    fn finish_cycle(&mut self) {
        self.phase = Phase::Pause;
        self.cycles += 1;
        let shrunk = self.interned.shrink();
        self.add_bytes(shrunk);
        self.trim_raw();
        self.large.shrink_to(self.large.len() * 2);
        self.threads.shrink_to(self.threads.len() * 2);
        let target = (self.estimate / 100).saturating_mul(self.pause as usize).max(Self::FIRST_THRESHOLD);
        self.set_threshold(target.max(self.bytes.saturating_add(self.step_bytes())));
    }

    /// Empties the lists of the marking phase. The lists do not hold on to much memory.
    pub(super) fn forget_gray_lists(&mut self) {
        const KEEP: usize = 64;
        self.gray.clear();
        self.gray.shrink_to(KEEP);
        self.gray_lost = false;
        self.gray_again_lost = false;
        self.gray_again.clear();
        self.gray_again.shrink_to(KEEP);
        self.open_seen.clear();
        self.open_seen.shrink_to(KEEP);
        self.weak_values.clear();
        self.weak_values.shrink_to(KEEP);
        self.ephemerons.clear();
        self.ephemerons.shrink_to(KEEP);
        self.all_weak.clear();
        self.all_weak.shrink_to(KEEP);
    }

    pub(super) fn set_threshold(&mut self, threshold: usize) {
        self.threshold = match (self.stress, self.running) {
            (true, true) => 0,
            (_, false) => self.limit,
            (false, true) => threshold.min(self.limit),
        };
    }

    fn step_bytes(&self) -> usize {
        1usize.checked_shl(self.stepsize).unwrap_or(usize::MAX / 2)
    }

    /// Brings the bytes of shapes into the count: they grow outside of the heap's sight.
    fn count_shapes(&mut self) {
        let now = self.shapes.bytes();
        self.add_bytes(now.wrapping_sub(self.counted_shapes) as isize);
        self.counted_shapes = now;
    }
}
