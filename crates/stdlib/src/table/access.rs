//! What may be used as a table, and how its elements are reached.

use perilune_runtime::object::TableRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::Raised;
use perilune_vm::vm::Vm;

/// The metamethods that something other than a table must have to be used as one (`TAB_R`, `TAB_W`, `TAB_L`).
#[derive(Clone, Copy)]
pub(super) struct Needs(&'static [&'static str]);

impl Needs {
    pub(super) const READ: Needs = Needs(&["__index"]);
    pub(super) const WRITE: Needs = Needs(&["__newindex"]);
    pub(super) const READ_LENGTH: Needs = Needs(&["__index", "__len"]);
    pub(super) const READ_WRITE_LENGTH: Needs = Needs(&["__index", "__newindex", "__len"]);
}

/// Argument `i`, which must be a table or behave like one (`checktab`).
#[inline]
pub(super) fn check(vm: &mut Vm, i: usize, needs: Needs) -> Result<Value, Raised> {
    let object = vm.arg(i);
    if object.tag == Tag::Table { Ok(object) } else { check_likeness(vm, i, object, needs) }
}

#[cold]
fn check_likeness(vm: &mut Vm, i: usize, object: Value, needs: Needs) -> Result<Value, Raised> {
    let has = |vm: &mut Vm, name: &&str| {
        let is_length_of_string = *name == "__len" && object.tag == Tag::Str && vm.dialect().unpack_checks;
        is_length_of_string || !vm.metafield(object, name).is_nil()
    };
    if !vm.dialect().raw_lists && vm.metatable_of(object).is_some() && needs.0.iter().all(|name| has(vm, name)) {
        Ok(object)
    } else {
        Err(vm.type_error(i, "table"))
    }
}

/// The table, if it has no metatable.
#[inline(always)]
pub(super) fn bare(object: Value) -> Option<TableRef> {
    object.as_table().filter(|table| table.metatable().is_none())
}

/// The table, if its elements are reached without metamethods.
#[inline(always)]
pub(super) fn plain(vm: &Vm, object: Value) -> Option<TableRef> {
    object.as_table().filter(|table| table.metatable().is_none() || vm.dialect().raw_lists)
}

/// A position among the arguments, `default` when absent. In versions without integers it is C's `int`.
#[inline]
pub(super) fn position(vm: &mut Vm, i: usize, default: Option<i64>) -> Result<i64, Raised> {
    let position = match default {
        Some(default) => vm.opt_int(i, default)?,
        None => vm.check_int(i)?,
    };
    Ok(if vm.dialect().integers { position } else { i64::from(position as i32) })
}

/// The length, which must be an integer. **(safepoint unless plain)**
#[inline]
pub(super) fn length(vm: &mut Vm, object: Value) -> Result<i64, Raised> {
    match object.as_table() {
        Some(table) if table.metatable().is_none() => Ok(table.length()),
        _ => vm.len_int(object),
    }
}

/// An element. **(safepoint unless plain)**
#[inline]
pub(super) fn element(vm: &mut Vm, object: Value, i: i64) -> Result<Value, Raised> {
    match plain(vm, object) {
        Some(table) => Ok(table.get_int(i)),
        None => vm.index(object, vm.int_value(i)),
    }
}

/// Stores an element. **(safepoint)**
#[inline]
pub(super) fn set_element(vm: &mut Vm, object: Value, i: i64, value: Value) -> Result<(), Raised> {
    match plain(vm, object) {
        Some(table) => vm.raw_set_int(table, i, value),
        None => vm.set_index(object, vm.int_value(i), value),
    }
}
