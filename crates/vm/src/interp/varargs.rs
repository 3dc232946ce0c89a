//! The extra arguments of vararg functions.

use perilune_bytecode::ops::Instr;
use perilune_runtime::value::Value;

use crate::call::{self, Step};
use crate::frame;
use crate::native::Raised;
use crate::vm::Vm;

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
            if (*vm).ensure_stack(have).is_err() {
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
