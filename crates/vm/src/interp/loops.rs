//! Loops: preparation, the two known iterators, counting and fuel.

use perilune_base::num::Num;
use perilune_base::num::convert::float_to_int;
use perilune_base::num::for_loop::{self, Narrowed};
use perilune_runtime::object::{Gc, Table, TableRef};
use perilune_runtime::value::{Tag, Value};

use super::pointer;
use crate::call::Step;
use crate::meta::{self, Event};
use crate::native::Raised;
use crate::vm::Vm;

/// `ForPrep`: prepares index, limit and step in the three slots from `ra`; true when the loop runs.
///
/// An integer loop keeps in its limit slot how many rounds are left, so that it cannot wrap around.
///
/// # Safety
/// `ra` is the first of the loop's four registers.
#[inline]
pub(crate) unsafe fn prepare(vm: *mut Vm, ra: *mut Value) -> Result<bool, Raised> {
    // SAFETY: the caller's duty.
    unsafe {
        let (start, limit, step) = (*ra, *ra.add(1), *ra.add(2));
        if start.tag == Tag::Int && step.tag == Tag::Int {
            if step.raw_int() == 0 {
                return Err((*vm).run_error("'for' step is zero"));
            }
            (*vm).before_conversion(limit);
            // A string that spells a number is accepted as a limit, as in the reference.
            let limit = match (*vm).to_number(limit) {
                Some(n) if n.tag == Tag::Int => Num::Int(n.raw_int()),
                Some(n) => Num::Float(n.raw_float()),
                None => return Err(crate::errors::for_loop(&mut *vm, "limit", limit)),
            };
            let Some(count) = for_loop::int_loop_count(start.raw_int(), limit, step.raw_int()) else {
                return Ok(false);
            };
            *ra.add(1) = Value { payload: count, tag: Tag::Int };
            *ra.add(3) = start;
            return Ok(true);
        }
        prepare_float(vm, ra)
    }
}

#[cold]
unsafe fn prepare_float(vm: *mut Vm, ra: *mut Value) -> Result<bool, Raised> {
    // SAFETY: as in `prepare`.
    unsafe {
        let [start, limit, step] = loop_numbers(vm, ra)?;
        if step == 0.0 {
            return Err((*vm).run_error("'for' step is zero"));
        }
        if !for_loop::float_loop_starts(start, limit, step) {
            return Ok(false);
        }
        *ra = Value::float(start);
        *ra.add(1) = Value::float(limit);
        *ra.add(2) = Value::float(step);
        *ra.add(3) = Value::float(start);
        Ok(true)
    }
}

/// `ForPrepOld`: as [`prepare`], by the rules before 5.4. Strings are numbers here, and the control variable gets its
/// first value by a step from the value before it, which is not the same for all floats. Where all numbers are floats, a
/// loop over integers is one of integers nevertheless, and `ForFloat` gives the script its variable.
///
/// # Safety
/// As [`prepare`].
#[inline(never)]
pub(crate) unsafe fn prepare_old(vm: *mut Vm, ra: *mut Value) -> Result<bool, Raised> {
    // SAFETY: the caller's duty.
    unsafe {
        let (start, limit, step) = (*ra, *ra.add(1), *ra.add(2));
        if start.tag == Tag::Int
            && step.tag == Tag::Int
            && let Some(limit) = (*vm).to_number(limit)
        {
            let limit = if limit.tag == Tag::Int { Num::Int(limit.raw_int()) } else { Num::Float(limit.raw_float()) };
            let Some((first, count)) = for_loop::wrapping_loop(start.raw_int(), limit, step.raw_int()) else {
                return Ok(false);
            };
            *ra = Value::int(first);
            *ra.add(1) = Value { payload: count, tag: Tag::Int };
            *ra.add(3) = Value::int(first);
            return Ok(true);
        }
        let [start, limit, step] = loop_numbers(vm, ra)?;
        if !(*vm).dialect.integers
            && let Some(narrowed) = for_loop::narrowed(start, limit, step)
        {
            return Ok(begin_narrowed(ra, narrowed));
        }
        let start = (start - step) + step;
        if !for_loop::float_loop_continues(start, limit, step) {
            return Ok(false);
        }
        *ra = Value::float(start);
        *ra.add(1) = Value::float(limit);
        *ra.add(2) = Value::float(step);
        *ra.add(3) = Value::float(start);
        Ok(true)
    }
}

/// Prepares a narrowed loop; true when it runs.
///
/// # Safety
/// As [`prepare`].
unsafe fn begin_narrowed(ra: *mut Value, narrowed: Narrowed) -> bool {
    let Narrowed { start, limit, step } = narrowed;
    let Some(count) = for_loop::int_loop_count(start, Num::Int(limit), step) else { return false };
    // SAFETY: the verifier has checked that the loop has four registers from `ra` on, which the caller's frame holds.
    unsafe {
        *ra = Value::int(start);
        *ra.add(1) = Value { payload: count, tag: Tag::Int };
        *ra.add(2) = Value::int(step);
        *ra.add(3) = Value::int(start);
    }
    true
}

/// Start, limit and step of a loop as floats, or the error about the first one that is no number.
unsafe fn loop_numbers(vm: *mut Vm, ra: *mut Value) -> Result<[f64; 3], Raised> {
    const START: (usize, &str) = (0, "initial value");
    const LIMIT: (usize, &str) = (1, "limit");
    const STEP: (usize, &str) = (2, "step");
    // SAFETY: as in `prepare`.
    unsafe {
        let order = if (*vm).dialect.integers { [LIMIT, STEP, START] } else { [START, LIMIT, STEP] };
        let mut numbers = [0.0; 3];
        for (at, what) in order {
            let v = *ra.add(at);
            (*vm).before_conversion(v);
            numbers[at] = match (*vm).to_number(v) {
                Some(n) => super::arith::as_float(n),
                None => return Err(crate::errors::for_loop(&mut *vm, what, v)),
            };
        }
        Ok(numbers)
    }
}

/// What a known iterator did.
pub(crate) enum Advance {
    /// The variables hold the next pair.
    More,
    /// The traversal is over.
    Done,
    /// Not a case for the fast path: call the function.
    Unknown,
}

/// One step of `next` over the table in `R[a+1]`.
///
/// The cursor waits in the payload of the closing value in `R[a+3]`, as long as that is nil; it is only a hint, which the
/// table checks against the control variable.
///
/// # Safety
/// `ra` is the first of a generic loop's registers; `R[a+1]` is a table.
#[inline]
pub(crate) unsafe fn next_pair(ra: *mut Value, wanted: u8) -> Advance {
    // SAFETY: the caller's duty; the verifier has checked that the variables exist.
    unsafe {
        if (*ra.add(3)).tag != Tag::Nil {
            return Advance::Unknown;
        }
        let t = Gc::from_ptr(pointer::<Table>(*ra.add(1)));
        let Ok(found) = t.next_with_hint(*ra.add(2), (*ra.add(3)).payload) else {
            return Advance::Unknown;
        };
        let Some((cursor, key, value)) = found else { return Advance::Done };
        (*ra.add(3)).payload = cursor;
        *ra.add(4) = key;
        fill(ra, wanted, value);
        Advance::More
    }
}

/// One step of `ipairs` over the table in `R[a+1]`.
///
/// # Safety
/// As [`next_pair`].
#[inline]
pub(crate) unsafe fn next_element(ra: *mut Value, wanted: u8) -> Advance {
    // SAFETY: the caller's duty.
    unsafe {
        if (*ra.add(2)).tag != Tag::Int {
            return Advance::Unknown;
        }
        let t = pointer::<Table>(*ra.add(1));
        let n = (*ra.add(2)).raw_int().wrapping_add(1);
        let v = Gc::from_ptr(t).get_int(n);
        if v.is_nil() {
            return if (*t).meta.is_null() { Advance::Done } else { Advance::Unknown };
        }
        *ra.add(4) = Value::int(n);
        fill(ra, wanted, v);
        Advance::More
    }
}

/// The longest chain of tables that [`inherited_element`] follows.
const MAX_CHAIN: usize = 8;

/// One step of `ipairs` over a list that lacks the next element, and has a metatable: as a rule there is a class that has none
/// either. It is apart from [`next_element`], whose loops it would slow down.
///
/// # Safety
/// As [`next_pair`].
#[cold]
pub(crate) unsafe fn next_inherited(vm: *mut Vm, ra: *mut Value, wanted: u8) -> Advance {
    // SAFETY: the caller's duty.
    unsafe {
        let control = *ra.add(2);
        let last = if (*vm).dialect.integers { control.as_int() } else { control.as_float().and_then(float_to_int) };
        let Some(n) = last.map(|last| last.wrapping_add(1)) else { return Advance::Unknown };
        let list = Gc::from_ptr(pointer::<Table>(*ra.add(1)));
        let inherited = if list.get_int(n).is_nil() { inherited_element(&*vm, list, n) } else { None };
        match inherited {
            None => Advance::Unknown,
            Some(v) if v.is_nil() => Advance::Done,
            Some(v) => {
                *ra.add(4) = (*vm).int_value(n);
                fill(ra, wanted, v);
                Advance::More
            }
        }
    }
}

/// What the metatable of a list that lacks an element makes of it. `None` where a function would have to say.
fn inherited_element(vm: &Vm, list: TableRef, n: i64) -> Option<Value> {
    if vm.dialect.raw_lists {
        return Some(Value::NIL);
    }
    let mut holder = list;
    for _ in 0..MAX_CHAIN {
        let handler = holder.metatable().map_or(Value::NIL, |meta| meta::handler(vm, meta, Event::Index));
        if handler.is_nil() {
            return Some(Value::NIL);
        }
        holder = handler.as_table()?;
        let value = holder.get_int(n);
        if !value.is_nil() {
            return Some(value);
        }
    }
    None
}

/// As [`next_pair`], where all numbers are floats: so are keys, which tables keep as integers.
///
/// # Safety
/// As [`next_pair`].
#[inline(never)]
pub(crate) unsafe fn next_pair_float(ra: *mut Value, wanted: u8) -> Advance {
    // SAFETY: the caller's duty.
    unsafe {
        let control = *ra.add(2);
        if let Some(int) = control.as_float().and_then(float_to_int) {
            *ra.add(2) = Value::int(int);
        }
        let advance = next_pair(ra, wanted);
        match advance {
            Advance::More => {
                if let Some(int) = (*ra.add(4)).as_int() {
                    *ra.add(4) = Value::float(int as f64);
                }
            }
            Advance::Done | Advance::Unknown => *ra.add(2) = control,
        }
        advance
    }
}

/// As [`next_element`], where all numbers are floats.
///
/// # Safety
/// As [`next_pair`].
#[inline(never)]
pub(crate) unsafe fn next_element_float(ra: *mut Value, wanted: u8) -> Advance {
    // SAFETY: the caller's duty.
    unsafe {
        let Some(last) = (*ra.add(2)).as_float().and_then(float_to_int) else { return Advance::Unknown };
        let control = *ra.add(2);
        *ra.add(2) = Value::int(last);
        let advance = next_element(ra, wanted);
        match advance {
            Advance::More => *ra.add(4) = Value::float(last as f64 + 1.0),
            Advance::Done | Advance::Unknown => *ra.add(2) = control,
        }
        advance
    }
}

/// Stores the second variable, and nil in those behind.
#[inline(always)]
unsafe fn fill(ra: *mut Value, wanted: u8, second: Value) {
    // SAFETY: the loop has `wanted` variables from R[a+4].
    unsafe {
        if wanted >= 2 {
            *ra.add(5) = second;
            for n in 2..wanted as usize {
                *ra.add(4 + n) = Value::NIL;
            }
        }
    }
}

/// The slow side of a back-edge's charge.
///
/// # Safety
/// The current frame is a Lua frame whose `pc` is stored.
#[cold]
#[inline(never)]
pub(crate) unsafe fn fuel_spent(vm: *mut Vm) -> Step {
    // SAFETY: the caller's duty.
    unsafe {
        match (*vm).fuel_spent() {
            Ok(()) => Step::Next,
            Err(_) => Step::Raise,
        }
    }
}
