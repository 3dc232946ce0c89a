//! `getfenv` and `setfenv` of Lua 5.1.

use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

pub(super) fn getfenv(vm: &mut Vm) -> NativeResult {
    let function = function_argument(vm, Some(1))?;
    let environment = match function.as_lua_fn() {
        Some(_) => vm.environment(function),
        // What a native function has for itself is nobody's business.
        None => vm.thread_globals(),
    };
    vm.ret(environment)
}

pub(super) fn setfenv(vm: &mut Vm) -> NativeResult {
    let environment = vm.check_table(2)?;
    let is_level = vm.arg(1).is_number() || vm.arg(1).as_str().is_some();
    if is_level && vm.check_int(1)? == 0 {
        let (thread, _) = vm.running();
        vm.set_environment(Value::thread(thread), environment)?;
        return Ok(0);
    }
    let function = function_argument(vm, None)?;
    if function.as_lua_fn().is_none() {
        return Err(vm.error("'setfenv' cannot change environment of given object"));
    }
    vm.set_environment(function, environment)?;
    vm.ret(function)
}

/// The function that argument 1 is, or that runs at the level that it gives.
fn function_argument(vm: &mut Vm, default: Option<i64>) -> Result<Value, Raised> {
    let value = vm.arg(1);
    if value.is_function() {
        return Ok(value);
    }
    let level = match default {
        Some(default) => vm.opt_int(1, default)?,
        None => vm.check_int(1)?,
    };
    let Ok(level) = usize::try_from(level as i32) else {
        return Err(vm.arg_error(1, "level must be non-negative"));
    };
    let (thread, _) = vm.running();
    let Some(frame) = vm.frame_at(thread, level) else {
        return Err(vm.arg_error(1, "invalid level"));
    };
    match vm.frame_info(thread, frame).func {
        Some(function) if !function.is_nil() => Ok(function),
        _ => Err(vm.error(&format!("no function environment for tail call at level {level}"))),
    }
}
