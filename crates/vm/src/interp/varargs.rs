//! The extra arguments of vararg functions.

use perilune_base::limits::MAX_REGISTERS;
use perilune_base::num::convert::float_to_int;
use perilune_bytecode::ops::Instr;
use perilune_runtime::stack::Frame;
use perilune_runtime::value::{Tag, Value};

use crate::call::{self, Step};
use crate::frame;
use crate::native::Raised;
use crate::vm::Vm;

/// The most extra arguments that a table may claim to have.
const MAX_COUNT: i64 = (i32::MAX / 2) as i64;

/// Values copied for a unit of fuel, of lists that are longer than a function has registers. Shorter ones, which are all
/// that compiled code copies, come with the instruction.
const COPIED_FOR_A_UNIT: usize = 16;

/// Charges for a list whose length is the program's choice: `f(1, ...)` that calls itself copies more each time.
fn charge_list(vm: &mut Vm, wanted: usize) -> Result<(), Raised> {
    if wanted > MAX_REGISTERS { vm.charge((wanted / COPIED_FOR_A_UNIT) as u64) } else { Ok(()) }
}

/// `VarArg`.
///
/// # Safety
/// The current frame is that of a vararg function, and its `pc` is stored; `i` is its instruction.
#[inline(never)]
pub(crate) unsafe fn spread(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the extra arguments lie directly below `base`, `extra` of them; for an open list room is made first.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let have = frame::varargs(f);
        let a = i.a() as usize;
        let wanted = if i.c() != 0 {
            i.c() as usize - 1
        } else {
            (*th).top = (*f).base.add(a);
            if charge_list(&mut *vm, have).is_err() || (*vm).reserve_stack(have).is_err() {
                return Step::Raise;
            }
            have
        };
        let base = (*f).base;
        let source = base.sub(have);
        let target = base.add(a);
        let copied = have.min(wanted);
        for n in 0..copied {
            *target.add(n) = *source.add(n);
        }
        for n in copied..wanted {
            *target.add(n) = Value::NIL;
        }
        if i.c() == 0 {
            (*th).top = target.add(wanted);
        }
        Step::Next
    }
}

/// `GetVarArg`: what the table of extra arguments, which is not made, would have at a key.
///
/// # Safety
/// `f` is the frame of a vararg function.
pub(crate) unsafe fn one(vm: *mut Vm, f: *const Frame, key: Value) -> Value {
    // SAFETY: the extra arguments lie directly below `base`, `extra` of them.
    unsafe {
        let have = frame::varargs(f);
        let index = match key.tag {
            Tag::Int => Some(key.raw_int()),
            Tag::Float => float_to_int(key.raw_float()),
            _ => None,
        };
        match index {
            Some(index) => match usize::try_from(index).ok().filter(|index| (1..=have).contains(index)) {
                Some(index) => *(*f).base.sub(have).add(index - 1),
                None => Value::NIL,
            },
            None if key.as_str().is_some_and(|key| key.as_bytes() == b"n") => (*vm).int_value(have as i64),
            None => Value::NIL,
        }
    }
}

/// `VarArgOf`: as [`spread`], from a table of extra arguments, which the program may have changed. Through `debug.setlocal`,
/// and in a binary chunk, it may also have put something else in its place.
///
/// # Safety
/// As [`spread`].
pub(crate) unsafe fn spread_table(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the operands are registers; for an open list room is made first.
    unsafe {
        let th = (*vm).thread;
        let f = (*th).frame;
        let table = (*(*f).base.add(i.b() as usize)).as_table();
        let count = table.and_then(|t| (*vm).get_field(t, "n").as_int()).filter(|n| (0..=MAX_COUNT).contains(n));
        let (Some(t), Some(count)) = (table, count) else {
            let _ = (*vm).run_error("vararg table has no proper 'n'");
            return Step::Raise;
        };
        let have = count as usize;
        let a = i.a() as usize;
        let wanted = if i.c() != 0 { i.c() as usize - 1 } else { have };
        if i.c() == 0 {
            (*th).top = (*f).base.add(a);
            if charge_list(&mut *vm, have).is_err() || (*vm).reserve_stack(have).is_err() {
                return Step::Raise;
            }
        }
        let target = (*f).base.add(a);
        for n in 0..wanted {
            *target.add(n) = if n < have { t.get_int(n as i64 + 1) } else { Value::NIL };
        }
        if i.c() == 0 {
            (*th).top = target.add(wanted);
        }
        Step::Next
    }
}

/// `VarArgTable`.
///
/// # Safety
/// As [`spread`].
pub(crate) unsafe fn table(vm: *mut Vm, i: Instr) -> Step {
    // SAFETY: the caller's duty; no safepoint comes before the table is in its register.
    unsafe {
        if fill_table(vm, i).is_err() {
            return Step::Raise;
        }
        if (*vm).heap.bytes >= (*vm).heap.threshold {
            return call::collect_in_lua(vm);
        }
        Step::Next
    }
}

/// Puts a table with the extra arguments, and their number in `n`, into the instruction's register.
unsafe fn fill_table(vm: *mut Vm, i: Instr) -> Result<(), Raised> {
    // SAFETY: as in `table`; the extra arguments lie directly below `base`.
    unsafe {
        let f = (*(*vm).thread).frame;
        let have = frame::varargs(f);
        let t = (*vm).table(have, 1);
        *(*f).base.add(i.a() as usize) = Value::table(t);
        for n in 0..have {
            let v = *(*f).base.sub(have).add(n);
            (*vm).raw_set_int(t, n as i64 + 1, v)?;
        }
        let count = (*vm).int_value(have as i64);
        (*vm).set_field(t, "n", count);
        Ok(())
    }
}
