//! Numbers in texts that libraries make.

use perilune_base::num::format::{write_float_as, write_int};
use perilune_vm::vm::Vm;

/// Appends a float as `tostring` shows it.
#[inline]
pub(crate) fn write_float(vm: &Vm, out: &mut Vec<u8>, float: f64) {
    write_float_as(out, float, vm.dialect().float_text);
}

/// Appends a position or count as `tostring` shows it.
#[inline]
pub(crate) fn write_count(vm: &Vm, out: &mut Vec<u8>, count: i64) {
    if vm.dialect().integers { write_int(out, count) } else { write_float(vm, out, count as f64) }
}
