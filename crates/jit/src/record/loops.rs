//! Numeric and generic loops.

use perilune_base::num::{Num, for_loop};
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{ExitKind, Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::meta::Event;
use perilune_vm::native::Intrinsic;

use super::Recorder;
use super::field::MAX_CHAIN;
use super::state::type_of;
use crate::abort::Abort;
use crate::view::{TableView, View};

/// The longest step of a loop, either way, that is relied on where a loop may wrap around at its end.
const MAX_STEP: i64 = 1 << 32;

/// What the helper `NextPair` answers.
const MORE: i64 = 1;

/// Tells the helper `NextPair`, above the number of variables, that keys are floats.
pub(crate) const FLOAT_KEYS: i64 = 1 << 8;

/// The integer that a number is.
pub(super) fn int_of(number: Value) -> Option<i64> {
    match number.tag {
        Tag::Int => Some(number.raw_int()),
        Tag::Float => perilune_base::num::convert::float_to_int(number.raw_float()),
        _ => None,
    }
}

/// The value of a number as a float.
pub(super) fn float_of(number: Value) -> f64 {
    if number.tag == Tag::Int { number.raw_int() as f64 } else { number.raw_float() }
}

impl Recorder {
    pub(super) fn for_prep(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let a = i.a();
        let (start, limit, step) = (self.get(view, a)?, self.get(view, a + 1)?, self.get(view, a + 2)?);
        let seen = [0, 1, 2].map(|n| view.reg(u32::from(a) + n));
        if self.ty(start) == Ty::Int && self.ty(step) == Ty::Int {
            return self.for_prep_ints(i, [start, limit, step], seen);
        }
        self.for_prep_floats(i, [start, limit, step], seen)
    }

    /// An integer loop counts its rounds, which are known before it starts.
    fn for_prep_ints(&mut self, i: Instr, refs: [Ref; 3], seen: [Value; 3]) -> Result<(), Abort> {
        let [start, mut limit, step] = refs;
        let step_seen = seen[2].raw_int();
        if step_seen == 0 {
            return Err(Abort::Error);
        }
        let divisor = self.size_of_step(step, step_seen)?;
        let limit_seen = match self.ty(limit) {
            Ty::Int => seen[1].raw_int(),
            Ty::Float => {
                // Rounded towards the start; a limit that is no integer at all is for the interpreter.
                let rounding = if step_seen > 0 { Ir::FFloor } else { Ir::FCeil };
                let rounded = self.builder.value(rounding, &[limit]);
                limit = self.int_of(rounded)?;
                let float = seen[1].raw_float();
                let float = if step_seen > 0 { float.floor() } else { float.ceil() };
                perilune_base::num::convert::float_to_int(float).ok_or(Abort::NumericFor)?
            }
            _ => return Err(Abort::NumericFor),
        };
        let runs = for_loop::int_loop_count(seen[0].raw_int(), Num::Int(limit_seen), step_seen);
        let (holds, fails) = if step_seen > 0 { (Ir::Le, Ir::Gt) } else { (Ir::Ge, Ir::Lt) };
        let Some(_) = runs else {
            self.decide(fails, &[start, limit])?;
            self.jump(i.d());
            return Ok(());
        };
        self.decide(holds, &[start, limit])?;
        let range = if step_seen > 0 { [start, limit] } else { [limit, start] };
        let count = self.round_count(range, divisor)?;
        let a = i.a();
        self.set(a, start);
        self.set(a + 1, count);
        self.set(a + 2, step);
        self.set(a + 3, start);
        Ok(())
    }

    /// How far a step goes, whichever way that is: what is relied on is that it goes this way.
    fn size_of_step(&mut self, step: Ref, seen: i64) -> Result<Ref, Abort> {
        if seen == i64::MIN {
            return Err(Abort::NumericFor);
        }
        let size = if seen > 0 { step } else { self.builder.value(Ir::Neg, &[step]) };
        let zero = self.builder.int(0);
        self.guard(Ir::Gt, &[size, zero])?;
        Ok(size)
    }

    /// The rounds after the first one of a loop that runs.
    fn round_count(&mut self, [low, high]: [Ref; 2], step: Ref) -> Result<Ref, Abort> {
        let distance = self.builder.value(Ir::Sub, &[high, low]);
        if self.builder.tree().const_int(step) == Some(1) {
            return Ok(distance);
        }
        // The distance is unsigned, the division that of signed numbers.
        let zero = self.builder.int(0);
        self.guard(Ir::Ge, &[distance, zero])?;
        Ok(self.builder.value(Ir::IDiv, &[distance, step]))
    }

    fn for_prep_floats(&mut self, i: Instr, refs: [Ref; 3], seen: [Value; 3]) -> Result<(), Abort> {
        if refs.iter().any(|r| !matches!(self.ty(*r), Ty::Int | Ty::Float)) {
            return Err(Abort::NumericFor);
        }
        let numbers = seen.map(float_of);
        let [start, limit, step] = refs.map(|r| self.float_of(r));
        if numbers[2] == 0.0 {
            return Err(Abort::Error);
        }
        let rises = self.direction(step, numbers[2])?;
        if !rises {
            let zero = self.builder.float(0.0);
            self.guard(Ir::FNe, &[step, zero])?;
        }
        let runs = for_loop::float_loop_starts(numbers[0], numbers[1], numbers[2]);
        // With a NaN, the loop runs once.
        let operands = if rises { [limit, start] } else { [start, limit] };
        self.guard(if runs { Ir::FNotLt } else { Ir::FLt }, &operands)?;
        if !runs {
            self.jump(i.d());
            return Ok(());
        }
        let a = i.a();
        self.set(a, start);
        self.set(a + 1, limit);
        self.set(a + 2, step);
        self.set(a + 3, start);
        Ok(())
    }

    /// As [`Recorder::for_prep`], by the rules before 5.4.
    pub(super) fn for_prep_old(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let a = i.a();
        let refs = [self.get(view, a)?, self.get(view, a + 1)?, self.get(view, a + 2)?];
        let seen = [0, 1, 2].map(|n| view.reg(u32::from(a) + n));
        if self.ty(refs[0]) == Ty::Int && self.ty(refs[2]) == Ty::Int {
            self.ends_without_wrapping([refs[1], refs[2]], [seen[1], seen[2]])?;
            return self.for_prep_ints(i, refs, seen);
        }
        if refs.iter().any(|r| !matches!(self.ty(*r), Ty::Int | Ty::Float)) {
            return Err(Abort::NumericFor);
        }
        let [start_seen, limit_seen, step_seen] = seen.map(float_of);
        if !view.dialect().integers
            && let Some(narrowed) = for_loop::narrowed(start_seen, limit_seen, step_seen)
        {
            return self.for_prep_narrowed(i, refs, limit_seen, narrowed);
        }
        let [start, limit, step] = refs.map(|r| self.float_of(r));
        let rises = self.direction(step, step_seen)?;
        // The first value is that of a step from the value before it.
        let before = self.builder.value(Ir::FSub, &[start, step]);
        let start = self.builder.value(Ir::FAdd, &[before, step]);
        let runs = for_loop::float_loop_continues((start_seen - step_seen) + step_seen, limit_seen, step_seen);
        let operands = if rises { [start, limit] } else { [limit, start] };
        self.decide(if runs { Ir::FLe } else { Ir::FNotLe }, &operands)?;
        if !runs {
            self.jump(i.d());
            return Ok(());
        }
        self.set(a, start);
        self.set(a + 1, limit);
        self.set(a + 2, step);
        self.set(a + 3, start);
        Ok(())
    }

    /// A loop over floats that are small integers, which they are relied on to be.
    fn for_prep_narrowed(
        &mut self,
        i: Instr,
        refs: [Ref; 3],
        limit_seen: f64,
        narrowed: for_loop::Narrowed,
    ) -> Result<(), Abort> {
        let for_loop::Narrowed { start, limit, step } = narrowed;
        let [first, mut last, by] = refs;
        if limit as f64 != limit_seen {
            last = self.builder.value(if step > 0 { Ir::FFloor } else { Ir::FCeil }, &[last]);
        }
        let ints = [self.int_of(first)?, self.int_of(last)?, self.int_of(by)?];
        for int in ints {
            let snap = self.snap();
            self.builder.ensure_small(int, snap)?;
        }
        self.for_prep_ints(i, ints, [start, limit, step].map(Value::int))
    }

    /// The variable of a loop that may be narrowed, as the script has it.
    pub(super) fn for_float(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let variable = self.get(view, i.a())?;
        if self.ty(variable) == Ty::Int {
            let float = self.builder.value(Ir::SmallToF, &[variable]);
            self.set(i.a(), float);
        }
        Ok(())
    }

    /// Relies on an integer loop not wrapping around at its end, which the older rules have it do.
    fn ends_without_wrapping(&mut self, refs: [Ref; 2], seen: [Value; 2]) -> Result<(), Abort> {
        let [limit, step] = refs;
        let (limit_seen, step_seen) = (seen[0], seen[1].raw_int());
        let rises = step_seen > 0;
        let furthest = match self.builder.tree().const_int(step) {
            Some(step) => step,
            // A variable step is relied on as one that is not very long.
            None => {
                let furthest = if rises { MAX_STEP } else { -MAX_STEP };
                if step_seen.unsigned_abs() > MAX_STEP.unsigned_abs() {
                    return Err(Abort::NumericFor);
                }
                let bound = self.builder.int(furthest);
                self.guard(if rises { Ir::Le } else { Ir::Ge }, &[step, bound])?;
                furthest
            }
        };
        let edge = if rises { i64::MAX - furthest } else { i64::MIN.wrapping_sub(furthest) };
        match self.ty(limit) {
            Ty::Int => {
                if if rises { limit_seen.raw_int() > edge } else { limit_seen.raw_int() < edge } {
                    return Err(Abort::NumericFor);
                }
                let edge = self.builder.int(edge);
                self.guard(if rises { Ir::Le } else { Ir::Ge }, &[limit, edge])
            }
            // Floats that are taken for limits are integers of the range, but for the ends of it.
            Ty::Float => {
                let edge = edge as f64 * 0.5;
                if if rises { limit_seen.raw_float() > edge } else { limit_seen.raw_float() < edge } {
                    return Err(Abort::NumericFor);
                }
                let edge = self.builder.float(edge);
                self.guard(Ir::FLe, &if rises { [limit, edge] } else { [edge, limit] })
            }
            _ => Err(Abort::NumericFor),
        }
    }

    /// Relies on whether a loop with a float step rises.
    fn direction(&mut self, step: Ref, seen: f64) -> Result<bool, Abort> {
        let zero = self.builder.float(0.0);
        let rises = seen > 0.0;
        self.guard(if rises { Ir::FLt } else { Ir::FNotLt }, &[zero, step])?;
        Ok(rises)
    }

    pub(super) fn for_loop(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let a = i.a();
        let (index, limit, step) = (self.get(view, a)?, self.get(view, a + 1)?, self.get(view, a + 2)?);
        let seen = [0, 1, 2].map(|n| view.reg(u32::from(a) + n));
        if self.ty(step) == Ty::Int {
            let zero = self.builder.int(0);
            if seen[1].raw_int() == 0 {
                self.decide(Ir::Eq, &[limit, zero])?;
                return Ok(());
            }
            // Nothing that can be seen may stand behind the test: see `perilune_trace::opt::count`.
            let step = self.written_step(view, i, step, seen[2].raw_int())?;
            self.decide(Ir::Ne, &[limit, zero])?;
            let one = self.builder.int(1);
            let count = self.builder.value(Ir::Sub, &[limit, one]);
            let next = self.builder.value(Ir::Add, &[index, step]);
            self.set(a, next);
            self.set(a + 1, count);
            self.set(a + 3, next);
            self.take_back_edge(i.d());
            return Ok(());
        }
        if [index, limit, step].iter().any(|r| self.ty(*r) != Ty::Float) {
            return Err(Abort::NumericFor);
        }
        let rises = self.direction(step, seen[2].raw_float())?;
        let next = self.builder.value(Ir::FAdd, &[index, step]);
        let next_seen = seen[0].raw_float() + seen[2].raw_float();
        let goes_on = if rises { next_seen <= seen[1].raw_float() } else { seen[1].raw_float() <= next_seen };
        let operands = if rises { [next, limit] } else { [limit, next] };
        self.decide(if goes_on { Ir::FLe } else { Ir::FNotLe }, &operands)?;
        if goes_on {
            self.set(a, next);
            self.set(a + 3, next);
            self.take_back_edge(i.d());
        }
        Ok(())
    }

    /// The step of a loop as a constant, if the script has one there. It may be one of several: `for i = 1, n, x and 2 or 3`.
    fn written_step(&mut self, view: &View<'_>, i: Instr, step: Ref, seen: i64) -> Result<Ref, Abort> {
        if self.builder.tree().const_int(step).is_some() {
            return Ok(step);
        }
        // In front of the loop: its limit, its step, and the instruction that prepares it.
        let first = self.expected.wrapping_add_signed(i.d());
        let Some(made) = first.checked_sub(2).map(|pc| view.instr(self.frame().proto, pc)) else { return Ok(step) };
        if made.op() != Some(Op::LoadI) || made.a() != i.a() + 2 || i64::from(made.d()) != seen {
            return Ok(step);
        }
        let constant = self.builder.int(seen);
        self.guard(Ir::Eq, &[step, constant])?;
        Ok(constant)
    }

    // Generic loops.

    pub(super) fn t_for_prep(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let closing = self.get(view, i.a() + 3)?;
        if self.ty(closing) != Ty::Nil {
            return Err(Abort::Opcode);
        }
        // The place keeps the cursor of a traversal: see `next_pair`.
        let slot = self.frame().base + u32::from(i.a()) + 3;
        self.builder.store_place(slot, closing);
        self.jump(i.d());
        Ok(())
    }

    /// As [`Recorder::t_for_prep`], in versions where nothing is closed.
    pub(super) fn t_for_prep_old(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let fourth = self.get(view, i.a() + 3)?;
        if self.ty(fourth) == Ty::Nil {
            let slot = self.frame().base + u32::from(i.a()) + 3;
            self.builder.store_place(slot, fourth);
        }
        self.jump(i.d());
        Ok(())
    }

    pub(super) fn t_for_call(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let a = i.a();
        let iterator = self.get(view, a)?;
        let seen = view.reg(a.into());
        if seen.tag == Tag::NativeFn && view.reg(u32::from(a) + 1).tag == Tag::Table {
            let known = view.intrinsic(seen);
            if known == Intrinsic::Next as u32 || known == Intrinsic::NextFloat as u32 {
                self.guard_native(view, iterator, seen)?;
                return self.next_pair(view, i);
            }
            if known == Intrinsic::IpairsStep as u32 || known == Intrinsic::IpairsStepFloat as u32 {
                self.guard_native(view, iterator, seen)?;
                return self.next_element(view, i);
            }
        }
        if view.intrinsic(seen) == Intrinsic::GmatchStep as u32 {
            return self.next_match(view, i, iterator);
        }
        if !matches!(seen.tag, Tag::LuaFn | Tag::NativeFn) {
            return Err(Abort::Callee);
        }
        let (state, control) = (self.get(view, a + 1)?, self.get(view, a + 2)?);
        let values = [iterator, state, control];
        for (n, value) in values.into_iter().enumerate() {
            self.set(a + 4 + n as u8, value);
        }
        if seen.tag == Tag::NativeFn {
            let func = self.frame().base + u32::from(a) + 4;
            return self.call_out(view, iterator, seen, (func, 2, i32::from(i.c())));
        }
        self.call_iterator(view, iterator, seen, i)
    }

    /// The `TForLoop` behind a known iterator's `TForCall` belongs to it.
    fn go_round(&mut self, view: &View<'_>, more: bool) {
        let behind = view.instr(self.frame().proto, self.expected);
        self.expected += 1;
        if more {
            self.take_back_edge(behind.d());
        }
    }

    /// A step of `next`.
    fn next_pair(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        if self.walk_array(view, i)? {
            return Ok(());
        }
        let a = i.a();
        let base = self.frame().base + u32::from(a);
        let closing = self.get(view, a + 3)?;
        if self.ty(closing) != Ty::Nil {
            return Err(Abort::Native);
        }
        let (table, control) = (self.get(view, a + 1)?, self.get(view, a + 2)?);
        self.builder.store_place(base + 1, table);
        self.builder.store_place(base + 2, control);
        // What leaves from here on must be told of a state behind these stores.
        self.branch_snap = None;
        let place = self.builder.place(base);
        let wanted = self.builder.int(i64::from(i.c()) | if view.dialect().integers { 0 } else { FLOAT_KEYS });
        let answer = self.builder.call(Helper::NextPair, &[table, place, wanted], Ty::Int, None);
        let expected = self.builder.int(MORE);
        // Key, value and cursor stay in the loop's registers on the stack, where the helper works on them.
        let next = view.peek_next(u32::from(a));
        let Some((key, value)) = next else {
            // Where there is another pair, it is in the variables' places by then, and is not looked for once more.
            self.bury(base + 4);
            let snap = self.snapshot(ExitKind::Guard, self.expected);
            self.builder.keep_in_place(snap, base + 4..base + 4 + u32::from(i.c()));
            self.builder.guard(Ir::Ne, &[answer, expected], snap)?;
            let zero = self.builder.int(0);
            self.guard(Ir::Eq, &[answer, zero])?;
            self.go_round(view, false);
            return Ok(());
        };
        self.decide(Ir::Eq, &[answer, expected])?;
        let snap = self.own_snap();
        let key = self.builder.load_place(base + 4, type_of(key)?, snap);
        let mut values = vec![key];
        if i.c() >= 2 {
            values.push(self.builder.load_place(base + 5, type_of(value)?, snap));
        }
        self.set_variables(i, &values);
        self.go_round(view, true);
        Ok(())
    }

    /// A step of `next` from one element of an array part to the one behind it, as `ipairs` would do it, or from the last one
    /// to the end of a table that has nothing else. The cursor is left alone, as all who use it check it. False if it is no
    /// such step, or one through arrays of several element kinds: to them the helper does better.
    fn walk_array(&mut self, view: &View<'_>, i: Instr) -> Result<bool, Abort> {
        let a = i.a();
        let (last, closing) = (view.reg(u32::from(a) + 2), self.get(view, a + 3)?);
        let table = view.table(view.reg(u32::from(a) + 1)).ok_or(Abort::Types)?;
        let place = if last.is_nil() { Some(0) } else { int_of(last).filter(|last| *last > 0) };
        let Some(place) = place.filter(|place| *place as u64 <= table.len()) else { return Ok(false) };
        let next = view.peek_next(u32::from(a));
        let is_walk = match next {
            Some((key, _)) => int_of(key) == Some(place + 1) && table.len() > place as u64,
            None => place as u64 == table.len() && !table.has_hash() && table.shape() == view.root_shape(),
        };
        let site = (self.frame().proto, self.pc);
        if !is_walk || self.ty(closing) != Ty::Nil || table.len() > 0 && !self.met.walk(site, table.kind()) {
            return Ok(false);
        }
        let (object, control) = (self.get(view, a + 1)?, self.get(view, a + 2)?);
        let zero = self.builder.int(0);
        let n = if last.is_nil() { zero } else { self.int_of(control)? };
        if !last.is_nil() {
            // Other keys may be in the table, too.
            self.guard(Ir::Gt, &[n, zero])?;
        }
        if next.is_none() {
            self.end_walk(object, table, n)?;
            self.go_round(view, false);
            return Ok(true);
        }
        let one = self.builder.int(1);
        let key = self.builder.value(Ir::Add, &[n, one]);
        let value = self.int_element(object, table, key, place + 1)?;
        let key = match self.ty(control) {
            Ty::Float if !view.dialect().integers => {
                let one = self.builder.float(1.0);
                self.builder.value(Ir::FAdd, &[control, one])
            }
            _ => self.number_of(view, key),
        };
        self.set_variables(i, &[key, value]);
        self.go_round(view, true);
        Ok(true)
    }

    /// Relies on there being nothing in a table behind element `n`, the last one.
    fn end_walk(&mut self, object: Ref, table: TableView, n: Ref) -> Result<(), Abort> {
        let len = self.load(Field::Len, object);
        self.guard(Ir::Eq, &[n, len])?;
        let hash = self.load(Field::Hash, object);
        let null = self.builder.pointer(0);
        self.guard(Ir::Eq, &[hash, null])?;
        self.guard_shape(object, table)
    }

    /// The variables of a generic loop, and the control variable, become what a step has given; nil what it has not.
    fn set_variables(&mut self, i: Instr, values: &[Ref]) {
        for n in 0..i.c().max(1) {
            let value = values.get(usize::from(n)).copied();
            let value = value.unwrap_or_else(|| self.builder.primitive(Ty::Nil));
            self.set(i.a() + 4 + n, value);
        }
        self.set(i.a() + 2, values[0]);
    }

    /// A step of `string.gmatch`, whose functions are all different: what they do is relied on.
    fn next_match(&mut self, view: &View<'_>, i: Instr, iterator: Ref) -> Result<(), Abort> {
        let a = i.a();
        let (state, control) = (self.get(view, a + 1)?, self.get(view, a + 2)?);
        let known = self.load(Field::Known, iterator);
        let expected = self.builder.int(Intrinsic::GmatchStep as i64);
        self.guard(Ir::Eq, &[known, expected])?;
        let func = self.frame().base + u32::from(a) + 4;
        self.call_pure(iterator, func, &[state, control], i32::from(i.c()))
    }

    /// A step of `ipairs`.
    fn next_element(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let a = i.a();
        let (object, control) = (self.get(view, a + 1)?, self.get(view, a + 2)?);
        let table = view.table(view.reg(u32::from(a) + 1)).ok_or(Abort::Types)?;
        let last_seen = int_of(view.reg(u32::from(a) + 2)).ok_or(Abort::Types)?;
        let last = self.int_of(control)?;
        let one = self.builder.int(1);
        let n = self.builder.value(Ir::Add, &[last, one]);
        let seen = last_seen.wrapping_add(1);
        let mut value = self.int_element(object, table, n, seen)?;
        if self.ty(value) == Ty::Nil && !view.dialect().raw_lists {
            value = self.inherited_element(view, (object, table), (n, seen), value)?;
        }
        if self.ty(value) == Ty::Nil {
            self.go_round(view, false);
            return Ok(());
        }
        let n = match self.ty(control) {
            // From float to float, so that no round waits for the conversions of the one before; of integers the sum is
            // the same.
            Ty::Float if !view.dialect().integers => {
                let one = self.builder.float(1.0);
                self.builder.value(Ir::FAdd, &[control, one])
            }
            _ => self.number_of(view, n),
        };
        self.set_variables(i, &[n, value]);
        self.go_round(view, true);
        Ok(())
    }

    /// The element that a table without it has from the tables that its `__index` leads to; `absent`, which is nil, if none
    /// has it.
    fn inherited_element(
        &mut self,
        view: &View<'_>,
        object: (Ref, TableView),
        key: (Ref, i64),
        absent: Ref,
    ) -> Result<Ref, Abort> {
        let (mut object, mut table) = object;
        for _ in 0..MAX_CHAIN {
            let Some((handler, found)) = self.handler(view, object, table, Event::Index)? else { return Ok(absent) };
            object = handler;
            table = view.table(found).ok_or(Abort::Metamethod)?;
            let value = self.int_element(object, table, key.0, key.1)?;
            if self.ty(value) != Ty::Nil {
                return Ok(value);
            }
        }
        Err(Abort::Metamethod)
    }

    pub(super) fn t_for_loop(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let first = self.get(view, i.a() + 4)?;
        if self.ty(first) != Ty::Nil {
            self.set(i.a() + 2, first);
            self.take_back_edge(i.d());
        }
        Ok(())
    }
}
