//! What library functions return when the system did something, or did not.

use perilune_runtime::value::Value;
use perilune_vm::host::{HostError, HostResult, ProcessEnd};
use perilune_vm::native::NativeResult;
use perilune_vm::vm::Vm;

/// Returns true; or nil, the message (after a name, if the function has one), and the code of the error.
pub(crate) fn succeeded_or_failed(vm: &mut Vm, result: HostResult<()>, name: Option<&[u8]>) -> NativeResult {
    match result {
        Ok(()) => vm.ret(Value::TRUE),
        Err(error) => failed(vm, &error, name),
    }
}

/// Returns nil, the message (after a name, if the function has one), and the code of the error.
pub(crate) fn failed(vm: &mut Vm, error: &HostError, name: Option<&[u8]>) -> NativeResult {
    let mut message = Vec::new();
    if let Some(name) = name {
        message.extend_from_slice(name);
        message.extend_from_slice(b": ");
    }
    message.extend_from_slice(error.message.as_bytes());
    let message = vm.string(&message);
    vm.push(Value::NIL);
    vm.push(message);
    vm.push(vm.int_value(i64::from(error.code)));
    Ok(3)
}

/// Returns true (for an exit with status 0) or nil, how the process ended, and its status or signal.
pub(crate) fn process_end(vm: &mut Vm, end: ProcessEnd) -> NativeResult {
    let (how, code) = match end {
        ProcessEnd::Exit(status) => ("exit", status),
        ProcessEnd::Signal(signal) => ("signal", signal),
    };
    let how = vm.string(how.as_bytes());
    vm.push(if end == ProcessEnd::Exit(0) { Value::TRUE } else { Value::NIL });
    vm.push(how);
    vm.push(vm.int_value(i64::from(code)));
    Ok(3)
}
