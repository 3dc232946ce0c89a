//! The trace compiler, over some of the interpreter's scenarios: what compiling them costs, and what they cost when
//! compiled.

use perilune_jit::{Jit, JitOptions};
use perilune_runtime::value::Value;
use perilune_vm::Vm;

use crate::lua::{call, function, vm};
use crate::{Scenario, Work};

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "trace/compile/integer-arithmetic", prepare: || cold("interp/integer-arithmetic") },
    Scenario { name: "trace/compile/branches", prepare: || cold("interp/branches") },
    Scenario { name: "trace/compile/methods", prepare: || cold("interp/methods") },
    Scenario { name: "trace/run/integer-arithmetic", prepare: || warm("interp/integer-arithmetic") },
    Scenario { name: "trace/run/float-arithmetic", prepare: || warm("interp/float-arithmetic") },
    Scenario { name: "trace/run/branches", prepare: || warm("interp/branches") },
    Scenario { name: "trace/run/calls", prepare: || warm("interp/calls") },
    Scenario { name: "trace/run/methods", prepare: || warm("interp/methods") },
    Scenario { name: "trace/run/field-get-set", prepare: || warm("interp/field-get-set") },
    Scenario { name: "trace/run/array-get-set", prepare: || warm("interp/array-get-set") },
];

/// Calls before a run counts as warm: side traces are compiled later than the loops they leave.
const WARMING: usize = 10;

/// A VM that compiles, and the function of an interpreter's scenario in it.
fn compiling(name: &str) -> (Box<Vm>, Value) {
    let mut vm = vm();
    vm.set_tier(Jit::new(JitOptions::default()));
    let function = function(&mut vm, name).expect("the scenario is there");
    (vm, function)
}

/// The first call: interpreted until its loop is hot, then recorded, compiled and run to its end.
fn cold(name: &str) -> Work {
    let (mut vm, function) = compiling(name);
    Box::new(move || {
        call(&mut vm, function);
    })
}

/// A call when all that gets hot is compiled.
fn warm(name: &str) -> Work {
    let (mut vm, function) = compiling(name);
    for _ in 0..WARMING {
        call(&mut vm, function);
    }
    vm.collect().expect("scenarios have no finalizers");
    Box::new(move || {
        call(&mut vm, function);
    })
}
