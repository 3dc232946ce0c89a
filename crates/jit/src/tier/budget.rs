//! What may be spent on code.
//!
//! Compiling must stay a small part of a program's time, unless code has shown that it saves more than that. Both are
//! estimated in instructions of the interpreter, so that the answers are the same on every run:
//!
//! - Fuel alone is no clock. It counts calls and the lengths of back-edges, and an instruction in a long straight function
//!   costs none of it, while the unit of a loop full of branches stands for a fraction of one. Recordings see both the
//!   instructions and their fuel, in the code that is hot.
//! - What compiled code has run is known from the exit by which it left: the instructions that lead there from the last
//!   header, and the fuel of the rounds before.

/// Instructions that the interpreter runs in the time that it takes to make code of one instruction of a trace, with little
/// work.
const STEPS_PER_INST: u64 = 1_000;

/// What the making of code takes before the first instruction, in instructions of a trace: most fragments are small, and a program may have
/// hundreds of them.
const INSTS_PER_TREE: u64 = 40;

/// How many times as long it takes as to record an instruction.
const RECORDED_PER_INST: u64 = 4;

/// Of a program's time, the part that may go into code that has shown nothing yet, in percent.
const PERCENT: u64 = 50;

/// The same later on, as a multiple of the square root of the time: less and less is left to be found.
const PER_ROOT: u64 = 2_000;

/// How much must have been saved for what is spent beyond that, as a multiple of it.
const SAVED_PER_STEP: u64 = 2;

/// Of what compiled code runs, the part of the interpreter's time that it saves, in percent.
const PERCENT_SAVED: i64 = 60;

/// Instructions that the interpreter runs in the time that it takes to enter code, and to leave it.
const STEPS_PER_ENTRY: i64 = 40;

/// What was recorded before anything was recorded, as it were: the first recordings are short.
const FIRST_STEPS: u64 = 100;
const FIRST_FUEL: u64 = 50;

/// The accounts of the whole program.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    /// Instructions of traces that code is made of in any case.
    free_insts: u64,
    /// Those that it was made of so far: all that takes time is counted in them.
    work: u64,
    /// Recorded instructions, and the fuel that the interpreter takes for them.
    steps: u64,
    fuel: u64,
    /// Instructions that compiled code has saved the interpreter, less what entering it has cost.
    saved: i64,
}

impl Budget {
    /// That of a program which has not begun.
    pub(super) fn new(free_insts: u64) -> Budget {
        Budget { free_insts, work: 0, steps: FIRST_STEPS, fuel: FIRST_FUEL, saved: 0 }
    }

    /// Notes that code is made with so much work.
    pub(super) fn compiles(&mut self, work: u64) {
        self.work += work + INSTS_PER_TREE;
    }

    /// Notes a recording of so many instructions, for which the interpreter takes this fuel.
    pub(super) fn recorded(&mut self, steps: u64, fuel: u64) {
        self.steps += steps;
        self.fuel += fuel;
        self.work += steps / RECORDED_PER_INST;
    }

    /// Notes an entry into code that has run so many instructions.
    pub(super) fn entered(&mut self, steps: i64) {
        self.saved += steps * PERCENT_SAVED / 100 - STEPS_PER_ENTRY;
    }

    /// Whether a program that has spent this fuel has run long enough, or has saved enough, for so much more work.
    pub(super) fn affords(&self, work: u64, fuel_used: u64) -> bool {
        let needed = (self.work + work).saturating_sub(self.free_insts) * STEPS_PER_INST;
        let needed = needed.saturating_sub(self.saved.max(0) as u64 / SAVED_PER_STEP);
        if needed == 0 {
            return true;
        }
        let clock = self.steps_of(fuel_used);
        needed <= clock / 100 * PERCENT && needed <= clock.isqrt() * PER_ROOT
    }

    /// The instructions that compiled rounds stand for which have spent this fuel: a unit is one at least, but where recordings have
    /// seen that units are less. They count all of a loop's body, of which a round may run a small part.
    pub(super) fn steps_of_rounds(&self, fuel: i64) -> i64 {
        if self.steps >= self.fuel {
            return fuel;
        }
        self.steps_of(fuel.max(0) as u64) as i64
    }

    /// The instructions that the program has run while it spent this fuel.
    fn steps_of(&self, fuel: u64) -> u64 {
        match fuel.checked_mul(self.steps) {
            Some(product) => product / self.fuel,
            None => (u128::from(fuel) * u128::from(self.steps) / u128::from(self.fuel)) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_program_that_has_not_run_has_what_is_free() {
        let mut budget = Budget::new(500);
        assert!(budget.affords(500, 0) && !budget.affords(501, 0));
        budget.compiles(400);
        assert!(budget.affords(50, 0) && !budget.affords(100, 0), "each time costs something by itself");
    }

    #[test]
    fn fuel_is_worth_what_recordings_have_seen() {
        let (mut straight, mut branchy) = (Budget::new(0), Budget::new(0));
        straight.recorded(10_000, 100);
        branchy.recorded(10_000, 100_000);
        let least = |budget: &Budget| (0..).map(|n| n * 10_000).find(|fuel| budget.affords(1_000, *fuel));
        let (straight, branchy) = (least(&straight), least(&branchy));
        assert!(straight < Some(200_000), "a unit of fuel stands for many instructions: {straight:?}");
        assert!(branchy > Some(10_000_000), "instructions take many units of fuel: {branchy:?}");
    }

    #[test]
    fn a_unit_of_a_compiled_round_is_one_instruction_at_most() {
        let mut budget = Budget::new(0);
        budget.recorded(10_000, 5_000);
        assert_eq!(budget.steps_of_rounds(600), 600);
        budget.recorded(10_000, 95_000);
        assert!((100..150).contains(&budget.steps_of_rounds(600)), "a round runs a fifth of the body");
    }

    #[test]
    fn the_part_of_compiling_falls_with_time() {
        let budget = Budget::new(0);
        assert!(budget.affords(1_900, 2_000_000), "nearly half of four million instructions");
        assert!(!budget.affords(100_000, 500_000_000), "less than a tenth of a milliard");
    }

    #[test]
    fn code_that_saves_pays_for_more() {
        let mut budget = Budget::new(0);
        budget.entered(100_000);
        assert!(budget.affords(29, 0) && !budget.affords(30, 0), "half of what it has saved");
        let mut budget = Budget::new(5);
        for _ in 0..1_000 {
            budget.entered(10);
        }
        assert!(
            budget.affords(5, 0) && !budget.affords(6, 0),
            "it is entered for too little, but nothing is taken away"
        );
    }
}
