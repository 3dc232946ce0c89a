//! Fuel: what is left of it, and where it is short.
//!
//! It is in a variable, from which each path takes what it has cost when it ends. In a loop that counts it follows from the
//! counter instead, and the loop's own end is where it is found to be short: see `perilune_trace::opt::count`.
//!
//! ```text
//! preheader      spare = fuel - longest path      short of it: leave
//!                last = 0, or if fewer rounds than count can be paid, what the counter is in the last of those
//! each round     count == last?  ──no──> back to the loop
//!                  └─> count == 0?  ──yes──> the loop has ended
//!                        └─> the round is completed, and execution leaves in front of the next one
//! ```

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types;
use perilune_trace::ir::{Counted, End, Ref, SegmentId, SnapId};
use perilune_trace::opt::count;

use super::Lowering;
use crate::mir::{Block, Value};

/// From what the fuel in a loop follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    counted: Counted,
    /// What would be left when the counter is 0.
    at_end: Value,
    /// What the counter is in the last round that can be paid.
    last: Value,
}

/// Counters from which on no product is relied on.
const MANY: i64 = i32::MAX as i64;

impl Lowering<'_, '_> {
    pub(super) fn has_fuel(&mut self, left: Value) -> Value {
        let most = self.most_fuel;
        self.b.icmp_imm(IntCC::SignedGreaterThanOrEqual, left, most)
    }

    /// The fuel that is left at the start of the round.
    pub(super) fn fuel(&mut self) -> Value {
        let meter = self.metered.and_then(|header| self.meters[header.index()]);
        let Some(Meter { counted, at_end, .. }) = meter else { return self.b.use_var(self.fuel) };
        let count = self.value(counted.count);
        let to_come = self.b.imul_imm(count, i64::from(counted.cost));
        self.b.iadd(at_end, to_come)
    }

    /// The fuel that is left when the path so far is paid.
    pub(super) fn fuel_less(&mut self, cost: i64) -> Value {
        let fuel = self.fuel();
        if cost == 0 { fuel } else { self.b.iadd_imm(fuel, -cost) }
    }

    /// The VM gets the fuel that is left when the path so far is paid.
    pub(super) fn pay(&mut self, cost: i64) {
        let left = self.fuel_less(-cost);
        let vm = self.vm;
        self.store(left, vm, self.env.fuel);
    }

    /// Takes the fuel back from the VM; the path so far is to be paid again at its end.
    pub(super) fn read_fuel(&mut self, cost: i64) {
        debug_assert!(self.metered.is_none(), "loops that count call nothing that spends fuel");
        let vm = self.vm;
        let left = self.load(types::I64, vm, self.env.fuel);
        let fuel = self.b.iadd_imm(left, cost);
        self.b.def_var(self.fuel, fuel);
    }

    /// Puts the fuel of a loop that counts into the variable, for an exit.
    pub(super) fn read_meter(&mut self, snap: SnapId) {
        let header = self.tree.header_of(self.tree.snapshot(snap).segment);
        if self.meters[header.index()].is_some() {
            self.metered = Some(header);
            let fuel = self.fuel();
            self.b.def_var(self.fuel, fuel);
            self.metered = None;
        }
    }

    /// In the preheader of a loop that counts: how many rounds can be paid. Goes to `short` if not even one can.
    pub(super) fn meter(&mut self, counted: Counted, short: Block) -> Meter {
        let fuel = self.b.use_var(self.fuel);
        let most = self.most_fuel;
        let spare = self.b.iadd_imm(fuel, -most);
        let (on, seldom, paid) = (self.b.create_block(), self.cold_block(), self.b.create_block());
        let enough = self.b.icmp_imm(IntCC::SignedGreaterThanOrEqual, spare, 0);
        self.b.brif(enough, on, &[], short, &[]);
        self.go_on_in(on);

        let count = self.value(counted.count);
        let to_come = self.b.imul_imm(count, i64::from(counted.cost));
        let last = self.b.append_block_param(paid, types::I64);
        let few = self.b.icmp_imm(IntCC::UnsignedLessThan, count, MANY);
        let on = self.b.create_block();
        self.b.brif(few, on, &[], seldom, &[]);
        self.go_on_in(on);
        let enough = self.b.icmp(IntCC::SignedLessThanOrEqual, to_come, spare);
        let zero = self.int(0);
        self.b.brif(enough, paid, &[zero], seldom, &[]);

        self.b.switch_to_block(seldom);
        let cost = self.int(i64::from(counted.cost));
        let rounds = self.b.sdiv(spare, cost);
        let short_of = self.b.isub(count, rounds);
        let is_short = self.b.icmp(IntCC::UnsignedLessThan, rounds, count);
        let zero = self.int(0);
        let counter = self.b.select(is_short, short_of, zero);
        self.b.jump(paid, &[counter]);

        self.b.switch_to_block(paid);
        let at_end = self.b.isub(fuel, to_come);
        Meter { counted, at_end, last }
    }

    /// The test that ends the loop of the current segment, if it counts.
    pub(super) fn last_test(&self, id: SegmentId) -> Option<Ref> {
        let meter = self.meters[self.metered?.index()]?;
        let goes_back = matches!(self.tree.segment(id).end, End::Around(to) if Some(to) == self.metered);
        if goes_back { count::last_test(self.tree, id, meter.counted.count) } else { None }
    }

    /// The end of a round of a loop that counts: goes on unless it was the last one, or the last that can be paid. That one is
    /// completed by the `rest` of its segment in front of an exit.
    pub(super) fn test_counter(&mut self, id: SegmentId, test: Ref, rest: &[Ref]) {
        let meter = self.metered.and_then(|header| self.meters[header.index()]);
        let (Some(meter), Some(end)) = (meter, self.tree.segment(id).end_snap) else { return };
        let (on, last, short) = (self.b.create_block(), self.cold_block(), self.cold_block());
        let count = self.value(meter.counted.count);
        let goes_on = self.b.icmp(IntCC::NotEqual, count, meter.last);
        let snap = Self::snap(self.tree.inst(test));
        let goes_on = self.or_forced(goes_on, snap);
        self.b.brif(goes_on, on, &[], last, &[]);

        self.b.switch_to_block(last);
        let is_paid = self.b.icmp_imm(IntCC::NotEqual, count, 0);
        let exit = self.exit_of(snap);
        self.b.brif(is_paid, short, &[], exit, &[]);

        self.b.switch_to_block(short);
        rest.iter().for_each(|r| self.inst(*r));
        self.store_payloads(end);
        self.pay(0);
        let n = self.int(i64::from(end.0));
        self.give_back(n);
        self.go_on_in(on);
    }
}
