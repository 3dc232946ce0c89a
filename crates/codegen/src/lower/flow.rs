//! Headers, edges, guards: how control goes.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types;
use perilune_trace::ir::{End, ExitKind, HeaderId, Helper, Inst, Op, Range, Ref, SegmentId, SnapId, SnapSlot, Ty};

use super::{HeaderBlocks, Leave, Lowering, Place};
use crate::layout::Callable;
use crate::mir::{Block, Value};
use crate::{AHEAD, ANY_VERSION, handover, layout};

impl Lowering<'_, '_> {
    pub(super) fn declare_headers(&mut self) {
        for id in self.tree.header_ids() {
            let header = self.tree.header(id);
            let [preheader, body, exit, failed, uneven, short] = [(); 6].map(|()| self.b.create_block());
            for block in [preheader, body] {
                for input in &header.inputs {
                    self.b.append_block_param(block, Self::machine_type(self.tree.ty(*input)));
                }
            }
            for block in [exit, failed, uneven, short] {
                self.b.set_cold_block(block);
            }
            for r in header.hoisted.iter().chain(header.ranges.iter().flat_map(|range| &range.checks)) {
                self.is_hoisted[r.index()] = true;
            }
            // With an inner loop in the tree, the loop may be met without its preheader.
            let has_inner = || {
                let mut ends = self.tree.segment_ids().zip(&self.tree.segments);
                ends.any(|(from, segment)| segment.end == End::Around(id) && self.inputs.header_of(from) != id)
            };
            let ready = (!header.hoisted.is_empty() && has_inner()).then(|| {
                for r in &header.hoisted {
                    let ty = self.tree.ty(*r);
                    if !ty.is_primitive() && !matches!(ty, Ty::Void | Ty::Num) {
                        let variable = self.b.declare_var(Self::machine_type(ty));
                        self.places[r.index()] = Place::Variable(variable);
                    }
                }
                self.b.declare_var(types::I64)
            });
            self.headers.push(HeaderBlocks { preheader, body, exit, failed, uneven, short, ready });
        }
    }

    /// The function's first block: which header is asked for.
    pub(super) fn entry(&mut self) {
        let params = self.params.clone();
        let vm = self.vm;
        let fuel = match self.env.callable {
            Some(_) => params[3],
            None => self.load(types::I64, vm, self.env.fuel),
        };
        self.b.def_var(self.fuel, fuel);
        self.define_absent();
        let function = self.env.callable.map(|callable| {
            let [called, mismatch] = [(); 2].map(|()| self.b.create_block());
            self.b.set_cold_block(mismatch);
            self.entered_by_call(params[2], &params, callable);
            (callable, called, mismatch)
        });
        // Fragments come to headers of inlined calls, too.
        let doors: Vec<(HeaderId, Block)> = self.tree.header_ids().map(|id| (id, self.b.create_block())).collect();
        // Nobody asks for what is no header: the last one needs no test.
        if let Some(((_, last), others)) = doors.split_last() {
            let doors = others.iter().map(|(id, door)| (i64::from(id.0), *door));
            let called = function.map(|(_, called, _)| (i64::from(ANY_VERSION), called));
            for (number, to) in doors.chain(called) {
                let is_it = self.b.icmp_imm(IntCC::Equal, params[2], number);
                let next = self.b.create_block();
                self.b.brif(is_it, to, &[], next, &[]);
                self.go_on_in(next);
            }
            self.b.jump(*last, &[]);
        }
        if let Some((callable, called, mismatch)) = function {
            self.b.switch_to_block(called);
            self.versions(&doors, callable, mismatch);
        }
        for (id, door) in doors {
            self.b.switch_to_block(door);
            self.door(id);
        }
    }

    /// A call with everything in its place: if there is room, tries the versions of the function's entry one after the other.
    fn versions(&mut self, doors: &[(HeaderId, Block)], callable: Callable, mismatch: Block) {
        self.check_room(callable, mismatch, &[]);
        for (id, door) in doors {
            if !self.tree.is_root(*id) {
                continue;
            }
            let next = self.b.create_block();
            for (slot, ty) in handover::entry_types(self.tree, *id) {
                let base = self.base();
                let tag = self.load_tag(base, Self::slot_offset(slot));
                let fits = self.is_tag(tag, ty);
                let on = self.b.create_block();
                self.b.brif(fits, on, &[], next, &[]);
                self.go_on_in(on);
            }
            self.b.jump(*door, &[]);
            self.b.switch_to_block(next);
        }
        self.b.jump(mismatch, &[]);
        self.b.switch_to_block(mismatch);
        self.refuse_call();
    }

    /// Gives the variables of hoisted values a value on paths where they are not there.
    fn define_absent(&mut self) {
        for id in self.tree.header_ids() {
            let Some(ready) = self.headers[id.index()].ready else { continue };
            let zero = self.int(0);
            self.b.def_var(ready, zero);
            let hoisted = self.tree.header(id).hoisted.clone();
            for r in hoisted {
                if let Place::Variable(variable) = self.places[r.index()] {
                    let absent = if self.tree.ty(r) == Ty::Float { self.b.f64const(0.0) } else { self.int(0) };
                    self.b.def_var(variable, absent);
                }
            }
        }
    }

    /// Loads the inputs of a header from their places, and goes there. The caller has seen to their types.
    fn door(&mut self, id: HeaderId) {
        let args: Vec<Value> = self.tree.header(id).inputs.iter().map(|input| self.load_slot(*input)).collect();
        self.arrive(id, false, &args, 0);
    }

    /// The payload in the place of an input's slot.
    fn load_slot(&mut self, input: Ref) -> Value {
        let inst = self.tree.inst(input);
        if inst.ty.is_primitive() {
            return self.int(0);
        }
        let base = self.base();
        self.load(Self::machine_type(inst.ty), base, Self::slot_offset(inst.aux))
    }

    /// Pays `cost` and goes to a header with its inputs.
    pub(super) fn arrive(&mut self, to: HeaderId, around: bool, args: &[Value], cost: u32) {
        // In a loop that counts, the counter pays for the rounds; what the inner one of two has cost, it pays on its way out.
        let is_metered = self.metered.is_some();
        let is_next_round = around && self.metered == Some(to);
        if !is_next_round && (is_metered || cost != 0) {
            let left = self.fuel_less(i64::from(cost));
            self.b.def_var(self.fuel, left);
        }
        let HeaderBlocks { preheader, body, ready, .. } = self.headers[to.index()];
        match (around, ready) {
            (false, _) => self.b.jump(preheader, args),
            (true, None) => self.b.jump(body, args),
            (true, Some(ready)) => {
                let is_ready = self.b.use_var(ready);
                self.b.brif(is_ready, body, args, preheader, args)
            }
        };
    }

    /// The parameters of one of a header's blocks; those that variables have added come behind them.
    fn inputs_of(&self, id: HeaderId, block: Block) -> Vec<Value> {
        self.b.block_params(block)[..self.tree.header(id).inputs.len()].to_vec()
    }

    /// Lets the places of a header's inputs be the parameters of one of its blocks.
    pub(super) fn take_inputs(&mut self, id: HeaderId, block: Block) {
        for (input, param) in self.tree.header(id).inputs.iter().zip(self.b.block_params(block)) {
            self.places[input.index()] = Place::Value(*param);
        }
    }

    /// The preheader of a header, and the start of its loop, which leaves if the fuel is short.
    pub(super) fn header_blocks(&mut self, id: HeaderId) {
        let HeaderBlocks { preheader, body, exit, failed, uneven, short, ready } = self.headers[id.index()];
        let header = self.tree.header(id);
        self.metered = None;
        self.b.switch_to_block(preheader);
        self.take_inputs(id, preheader);
        self.forget_copies(id);
        self.preheader_of = Some(failed);
        for r in &header.hoisted {
            self.inst(*r);
        }
        self.preheader_of = Some(uneven);
        for (copy, of) in &header.copies {
            self.check_copy(*copy, *of);
        }
        for range in &header.ranges {
            self.check_range(range, &header.copies);
        }
        self.preheader_of = None;
        if let Some(ready) = ready {
            let one = self.int(1);
            self.b.def_var(ready, one);
        }
        self.meters[id.index()] = header.counted.map(|counted| self.meter(counted, short));
        let args = self.inputs_of(id, preheader);
        self.b.jump(body, &args);
        self.b.switch_to_block(body);
        self.take_inputs(id, body);
        for (copy, of) in &header.copies {
            self.places[copy.index()] = self.places[of.index()];
        }
        if header.counted.is_some() {
            return;
        }
        let fuel = self.fuel();
        let enough = self.has_fuel(fuel);
        let on = self.b.create_block();
        self.b.brif(enough, on, &[], exit, &[]);
        self.go_on_in(on);
    }

    /// Checks the bounds of all rounds of a loop; see `perilune_trace::opt::ranges`.
    fn check_range(&mut self, range: &Range, copies: &[(Ref, Ref)]) {
        let snap = SnapId(0);
        let is_pair = |(a, b): (Ref, Ref), pair| (a, b) == pair || (b, a) == pair;
        if range.variable != range.index && !copies.iter().any(|copy| is_pair(*copy, (range.variable, range.index))) {
            self.check_copy(range.variable, range.index);
        }
        let variable = self.value(range.variable);
        let (count, len) = (self.value(range.count), self.value(range.len));
        let few = self.b.icmp(IntCC::UnsignedLessThan, count, len);
        self.leave_unless(few, snap);
        let distance = self.distance_of_rounds(range, (count, len));
        let falls = self.tree.const_int(range.step).is_some_and(|step| step < 0);
        let (at_first, at_last) = if falls { (range.offsets.1, range.offsets.0) } else { range.offsets };
        let first = self.b.iadd_imm(variable, at_first);
        let holds = self.b.icmp(IntCC::UnsignedLessThan, first, len);
        self.leave_unless(holds, snap);
        let last = if falls { self.b.isub(variable, distance) } else { self.b.iadd(variable, distance) };
        let last = self.b.iadd_imm(last, at_last);
        let holds = self.b.icmp(IntCC::UnsignedLessThan, last, len);
        self.leave_unless(holds, snap);
    }

    /// Leaves unless two inputs are equal.
    fn check_copy(&mut self, copy: Ref, of: Ref) {
        let (a, b) = (self.value(copy), self.value(of));
        let are_equal = self.b.icmp(IntCC::Equal, a, b);
        self.leave_unless(are_equal, SnapId(0));
    }

    /// How far a loop's variable goes: leaves unless a step that is no constant is above 0, and the distance below the length.
    fn distance_of_rounds(&mut self, range: &Range, (count, len): (Value, Value)) -> Value {
        let constant = self.tree.const_int(range.step);
        if constant.is_some_and(|step| step.abs() == 1) {
            return count;
        }
        let snap = SnapId(0);
        let step = match constant {
            Some(step) => self.int(step.abs()),
            None => self.value(range.step),
        };
        let less = self.b.iadd_imm(step, -1);
        let is_bounded = self.b.icmp(IntCC::UnsignedLessThan, less, len);
        self.leave_unless(is_bounded, snap);
        let distance = self.b.imul(count, step);
        let is_bounded = self.b.icmp(IntCC::UnsignedLessThan, distance, len);
        self.leave_unless(is_bounded, snap);
        distance
    }

    /// What other headers of the same place have hoisted holds no more: this copy of the loop may change it.
    fn forget_copies(&mut self, id: HeaderId) {
        let here = self.tree.header(id);
        for other in self.tree.header_ids().filter(|other| *other != id) {
            let there = self.tree.header(other);
            if let Some(ready) = self.headers[other.index()].ready
                && there.pc == here.pc
                && there.frames == here.frames
            {
                let zero = self.int(0);
                self.b.def_var(ready, zero);
            }
        }
    }

    /// Where failed guards of a preheader go: to the header's alternative if it has one that fits, or out.
    pub(super) fn failed(&mut self, id: HeaderId) {
        let HeaderBlocks { preheader, failed, uneven, short, .. } = self.headers[id.index()];
        let header = self.tree.header(id);
        if self.meters[id.index()].is_some() {
            self.b.switch_to_block(short);
            self.leave_from_preheader(id, 0);
        }
        if !(header.copies.is_empty() && header.ranges.is_empty()) {
            self.b.switch_to_block(uneven);
            self.leave_from_preheader(id, AHEAD);
        }
        let Some(to) = header.alternative else {
            if self.b.is_target(failed) {
                self.b.switch_to_block(failed);
                self.leave_from_preheader(id, 0);
            }
            return;
        };
        self.b.switch_to_block(failed);
        let params = self.inputs_of(id, preheader);
        let mut args = Vec::new();
        let mut refused = None;
        for input in self.tree.header(to).inputs.clone() {
            let inst = self.tree.inst(input);
            let carried = self.tree.header(id).inputs.iter().position(|r| self.tree.inst(*r).aux == inst.aux);
            match carried {
                Some(n) if self.tree.ty(self.tree.header(id).inputs[n]) == inst.ty => args.push(params[n]),
                Some(_) => {
                    self.leave_from_preheader(id, 0);
                    return self.refuse(id, refused);
                }
                None => {
                    let base = self.base();
                    let tag = self.load_tag(base, Self::slot_offset(inst.aux));
                    let fits = self.is_tag(tag, inst.ty);
                    let on = self.b.create_block();
                    let other = *refused.get_or_insert_with(|| self.b.create_block());
                    self.b.brif(fits, on, &[], other, &[]);
                    self.go_on_in(on);
                    args.push(self.load_slot(input));
                }
            }
        }
        self.store_dropped(id, to, &params);
        self.arrive(to, false, &args, 0);
        self.refuse(id, refused);
    }

    /// Leaves in the block for values that fit neither a header nor its alternative, if there is one.
    fn refuse(&mut self, id: HeaderId, refused: Option<Block>) {
        if let Some(block) = refused {
            self.b.set_cold_block(block);
            self.b.switch_to_block(block);
            self.leave_from_preheader(id, 0);
        }
    }

    /// Puts into their places the inputs of a header that another one has no inputs for.
    fn store_dropped(&mut self, from: HeaderId, to: HeaderId, params: &[Value]) {
        for (input, param) in self.tree.header(from).inputs.iter().zip(params) {
            let slot = self.tree.inst(*input).aux;
            if self.tree.input(to, slot).is_some() {
                continue;
            }
            let ty = self.tree.ty(*input);
            let (base, offset) = (self.base(), Self::slot_offset(slot));
            if !ty.is_primitive() {
                self.store(*param, base, offset);
            }
            let tag = self.b.iconst(types::I8, ty as i64);
            self.store(tag, base, offset + crate::layout::TAG);
        }
    }

    /// The end of a segment at a header: each slot goes to the header's input for it, or to its place.
    pub(super) fn edge(&mut self, id: SegmentId, to: HeaderId, around: bool) {
        let segment = self.tree.segment(id);
        let snap = segment.end_snap.unwrap_or(SnapId(0));
        let written = &self.tree.snapshot(snap).slots;
        let from = self.inputs.header_of(id);
        let mut args = Vec::new();
        for input in &self.tree.header(to).inputs {
            let inst = self.tree.inst(*input);
            match self.carried(segment.calls_out, written, from, inst.aux) {
                Some(value) if self.tree.ty(value) == inst.ty => args.push(self.value(value)),
                // The header has learnt of another type since: this path leaves in front of it.
                Some(_) => {
                    let block = self.exit_of(snap);
                    self.b.jump(block, &[]);
                    return;
                }
                None => {
                    let base = self.base();
                    let tag = self.load_tag(base, Self::slot_offset(inst.aux));
                    let fits = self.is_tag(tag, inst.ty);
                    self.leave_unless(fits, snap);
                    args.push(self.load_slot(*input));
                }
            }
        }
        let live = &self.tree.header(to).live;
        for slot in live {
            if self.inputs.input(to, *slot).is_none()
                && let Some(value) = self.carried(segment.calls_out, written, from, *slot)
            {
                let base = self.base();
                self.store_value(value, base, Self::slot_offset(*slot));
            }
        }
        self.arrive(to, around, &args, self.tree.snapshot(snap).fuel);
    }

    /// The value of a slot at the end of a path, if it is in a register.
    fn carried(&self, calls_out: bool, written: &[SnapSlot], from: HeaderId, slot: u32) -> Option<Ref> {
        if let Some(written) = written.iter().find(|written| written.slot == slot) {
            return Some(written.value);
        }
        // A call out has had all slots in their places, and may have changed them there.
        if calls_out { None } else { self.inputs.input(from, slot) }
    }

    /// Goes on only if `holds`; otherwise leaves through a snapshot.
    pub(super) fn leave_unless(&mut self, holds: Value, snap: SnapId) {
        let on = self.b.create_block();
        match self.preheader_of {
            Some(failed) => self.b.brif(holds, on, &[], failed, &[]),
            None => {
                let exit = self.exit_of(snap);
                self.b.brif(holds, on, &[], exit, &[])
            }
        };
        self.go_on_in(on);
    }

    // Guards.

    /// What holds where a segment continues at a snapshot: the opposite of the guard that has failed, if there is just one.
    pub(super) fn failed_at(&self, snap: SnapId) -> Option<(Op, [Ref; 3])> {
        let Leave::One(r) = self.leaving[snap.index()] else { return None };
        let is_end = self.tree.segments.iter().any(|segment| segment.end_snap == Some(snap));
        let is_header = self.tree.headers.iter().any(|header| header.snap == snap);
        // Those that fail to exercise exits say nothing.
        let is_certain = self.env.exit_every == 0 && !is_end && !is_header && !self.is_hoisted[r.index()];
        let inst = self.tree.inst(r);
        is_certain.then_some((inst.op.opposite()?, inst.args))
    }

    pub(super) fn guard(&mut self, r: Ref, inst: &Inst) {
        if self.holds == Some((inst.op, inst.args)) {
            return;
        }
        let snap = Self::snap(inst);
        let holds = match inst.op {
            Op::Eq => self.compare(IntCC::Equal, inst),
            Op::Ne => self.compare(IntCC::NotEqual, inst),
            Op::Lt => self.compare(IntCC::SignedLessThan, inst),
            Op::Le => self.compare(IntCC::SignedLessThanOrEqual, inst),
            Op::Gt => self.compare(IntCC::SignedGreaterThan, inst),
            Op::Ge => self.compare(IntCC::SignedGreaterThanOrEqual, inst),
            Op::Below => self.compare(IntCC::UnsignedLessThan, inst),
            Op::NotBelow => self.compare(IntCC::UnsignedGreaterThanOrEqual, inst),
            Op::FEq => self.compare_floats(FloatCC::Equal, inst),
            Op::FNe => self.compare_floats(FloatCC::NotEqual, inst),
            Op::FLt => self.compare_floats(FloatCC::LessThan, inst),
            Op::FLe => self.compare_floats(FloatCC::LessThanOrEqual, inst),
            // Unordered operands are not less.
            Op::FNotLt => self.compare_floats(FloatCC::UnorderedOrGreaterThanOrEqual, inst),
            Op::FNotLe => self.compare_floats(FloatCC::UnorderedOrGreaterThan, inst),
            Op::FToI => return self.float_to_int(r, inst),
            Op::Fuel => {
                let fuel = self.fuel();
                self.has_fuel(fuel)
            }
            Op::NoCollect => {
                let vm = self.vm;
                let bytes = self.load(types::I64, vm, self.env.heap_bytes);
                let threshold = self.load(types::I64, vm, self.env.heap_threshold);
                self.b.icmp(IntCC::UnsignedLessThan, bytes, threshold)
            }
            Op::OffStack => self.off_stack(inst, layout::ROOM_HELD),
            Op::OffWritten => self.off_stack(inst, layout::ROOM_WRITTEN),
            other => {
                debug_assert!(false, "{other:?} is no guard");
                return;
            }
        };
        let holds = match inst.op {
            // Behind an allocation, whose result is where the snapshot wants it.
            Op::NoCollect => self.forced(holds),
            Op::Ne if self.fetches(inst) => holds,
            _ => self.or_forced(holds, snap),
        };
        self.leave_unless(holds, snap);
    }

    /// Whether a guard leaves with what a helper has put into its places: that is there only if the guard fails.
    fn fetches(&self, inst: &Inst) -> bool {
        let is_answer = self.tree.inst(inst.a()).helper() == Some(Helper::NextPair);
        is_answer && !self.tree.snapshot(Self::snap(inst)).in_place.is_empty()
    }

    /// The condition of a guard, or false where this guard is one of those that always fail. Those that ask for a service
    /// may stand behind a call that must not run twice: they fail only if it has not run.
    pub(super) fn or_forced(&mut self, holds: Value, snap: SnapId) -> Value {
        if self.tree.snapshot(snap).kind == ExitKind::Guard { self.forced(holds) } else { holds }
    }

    /// The condition of a guard that may fail at any time.
    fn forced(&mut self, holds: Value) -> Value {
        if self.env.exit_every == 0 {
            return holds;
        }
        self.guards += 1;
        if self.guards.is_multiple_of(self.env.exit_every) { self.b.iconst(types::I8, 0) } else { holds }
    }

    fn compare(&mut self, condition: IntCC, inst: &Inst) -> Value {
        let a = self.value(inst.a());
        if let Some(n) = self.tree.const_int(inst.b()) {
            return self.b.icmp_imm(condition, a, n);
        }
        let b = self.value(inst.b());
        self.b.icmp(condition, a, b)
    }

    fn compare_floats(&mut self, condition: FloatCC, inst: &Inst) -> Value {
        let (a, b) = (self.value(inst.a()), self.value(inst.b()));
        self.b.fcmp(condition, a, b)
    }

    /// Whether an address is outside of the slots that the tree holds in registers, or of those of which only registers know
    /// the values, which begin where a field of [`Room`](perilune_runtime::stack::Room) says.
    fn off_stack(&mut self, inst: &Inst, first: i32) -> Value {
        let a = self.value(inst.a());
        let (base, vm) = (self.base(), self.vm);
        // The callers inside compiled code hold theirs too.
        let first = self.load(types::I64, vm, self.env.room + first);
        let distance = self.b.isub(a, first);
        let end = i64::from(Self::slot_offset(self.slots_end));
        let end = self.b.iadd_imm(base, end);
        let bytes = self.b.isub(end, first);
        self.b.icmp(IntCC::UnsignedGreaterThanOrEqual, distance, bytes)
    }
}
