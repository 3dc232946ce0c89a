//! Functions of `table` that newer versions lack.

use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::access::length;

/// The largest positive number among the keys.
pub(super) fn maxn(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let mut largest: f64 = 0.0;
    let mut key = Value::NIL;
    // The table does not change meanwhile, so each key has a successor.
    while let Ok(Some((next, _))) = table.next(key) {
        vm.charge(1)?;
        let number = next.as_float().or(next.as_int().map(|int| int as f64));
        largest = number.map_or(largest, |number| largest.max(number));
        key = next;
    }
    vm.ret(Value::float(largest))
}

pub(super) fn getn(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    vm.ret(vm.int_value(table.length()))
}

pub(super) fn setn(vm: &mut Vm) -> NativeResult {
    vm.check_table(1)?;
    Err(vm.error("'setn' is obsolete"))
}

/// Calls a function with all keys and values, until it returns something.
pub(super) fn foreach(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    vm.check_function(2)?;
    let mut key = Value::NIL;
    loop {
        match table.next(key) {
            Ok(Some((next, value))) => {
                key = next;
                // What is visited must stay, whatever the function does.
                vm.set_top(2);
                vm.push(key);
                if visit(vm, vm.key_value(key), value)? {
                    return Ok(1);
                }
            }
            Ok(None) => return Ok(0),
            Err(_) => {
                let message = vm.string(b"invalid key to 'next'");
                return Err(vm.throw(message));
            }
        }
    }
}

/// Calls a function with the elements of a list, until it returns something.
pub(super) fn foreachi(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let size = length(vm, Value::table(table))?;
    vm.check_function(2)?;
    for i in 1..=size {
        if visit(vm, vm.int_value(i), table.get_int(i))? {
            return Ok(1);
        }
    }
    Ok(0)
}

/// Calls argument 2 with a key and a value. Returns whether it returned something, which is then on top.
fn visit(vm: &mut Vm, key: Value, value: Value) -> Result<bool, Raised> {
    let function = vm.arg(2);
    vm.push(function);
    vm.push(key);
    vm.push(value);
    vm.call(2, 1)?;
    if vm.arg(vm.nargs()).is_nil() {
        vm.pop();
        return Ok(false);
    }
    Ok(true)
}
