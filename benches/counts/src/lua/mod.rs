//! Pieces of Lua whose instructions in the interpreter and in the libraries are counted.
//!
//! Each row of `scenarios.lua` is a function without arguments. It is called once to warm up, then the garbage is
//! collected, then the call is counted.

use perilune_base::dialect::Dialect;
use perilune_runtime::value::Value;
use perilune_vm::host::{DeterministicHost, NullHost};
use perilune_vm::limits::Limits;
use perilune_vm::load::LoadMode;
use perilune_vm::{Vm, VmOptions};

use crate::Work;

/// A table of scenarios: `["group/name"] = function() ... end`, one entry a line at its beginning.
const SOURCE: &str = include_str!("scenarios.lua");

/// A VM with all libraries, the same on every run.
pub fn vm() -> Box<Vm> {
    let host = Box::new(DeterministicHost::new(Box::new(NullHost::new()), 1));
    let mut vm = Vm::new(VmOptions { dialect: Dialect::DEFAULT, host, limits: Limits::default() });
    perilune_stdlib::open_all(&mut vm);
    vm
}

/// Compiles a piece of Lua.
pub fn chunk(vm: &mut Vm, source: &str) -> Value {
    match vm.load(source.as_bytes(), b"=scenario", LoadMode::Text, None) {
        Ok(function) => function,
        Err(message) => panic!("{}", text(message)),
    }
}

/// Calls a function without arguments: its first result.
pub fn call(vm: &mut Vm, function: Value) -> Value {
    match vm.host_call(function, &[], true) {
        Ok(results) => results.first().copied().unwrap_or(Value::NIL),
        Err(error) => panic!("the scenario failed: {error:?}"),
    }
}

fn text(message: Value) -> String {
    message.as_str().map_or_else(String::new, |text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}

/// The names, in the order of the source.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCE.lines().filter_map(|line| line.strip_prefix("[\"")?.split('"').next())
}

/// The function of a scenario, kept alive by the VM.
pub fn function(vm: &mut Vm, name: &str) -> Option<Value> {
    let load = chunk(vm, SOURCE);
    let table = call(vm, load).as_table().expect("the source returns a table");
    let key = vm.string(name.as_bytes());
    let function = table.get(key);
    if function.is_nil() {
        return None;
    }
    vm.pin(function);
    Some(function)
}

/// The scenario of that name, warmed up.
pub fn prepare(name: &str) -> Option<Work> {
    let mut vm = vm();
    let function = function(&mut vm, name)?;
    call(&mut vm, function);
    vm.collect().expect("scenarios have no finalizers");
    Some(Box::new(move || {
        call(&mut vm, function);
    }))
}
