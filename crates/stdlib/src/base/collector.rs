//! `collectgarbage`.

use perilune_runtime::heap::{Mode, Param};
use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

const OPTIONS: [&str; 10] = [
    "stop",
    "restart",
    "collect",
    "count",
    "step",
    "setpause",
    "setstepmul",
    "isrunning",
    "generational",
    "incremental",
];

/// Inside a finalizer no option is obeyed, and the result is nil.
pub(super) fn collectgarbage(vm: &mut Vm) -> NativeResult {
    let option = OPTIONS[vm.check_option(1, Some("collect"), &OPTIONS)?];
    let numbers = [small_int(vm, 2, option)?, small_int(vm, 3, option)?, small_int(vm, 4, option)?];
    if vm.in_finalizer() {
        return vm.ret(Value::NIL);
    }
    let result = match option {
        "stop" => {
            vm.heap_mut().stop();
            Value::int(0)
        }
        "restart" => {
            vm.heap_mut().restart();
            Value::int(0)
        }
        "count" => Value::float(vm.heap().bytes as f64 / 1024.0),
        "step" => {
            let finished = vm.collect_step(usize::try_from(numbers[0]).unwrap_or(0))?;
            // In the reference, a collection of the young generation ends no cycle.
            Value::bool(finished && vm.heap().mode() == Mode::Incremental)
        }
        "setpause" => set_param(vm, Param::Pause, numbers[0]),
        "setstepmul" => set_param(vm, Param::StepMul, numbers[0]),
        "isrunning" => Value::bool(vm.heap().is_running()),
        "generational" => set_mode(vm, Mode::Generational),
        "incremental" => {
            let [pause, step_multiplier, step_size] = numbers;
            if pause != 0 {
                set_param(vm, Param::Pause, pause);
            }
            if step_multiplier != 0 {
                set_param(vm, Param::StepMul, step_multiplier);
            }
            if step_size != 0 {
                vm.heap_mut().set_param(Param::StepSize, u32::from(step_size as u8));
            }
            set_mode(vm, Mode::Incremental)
        }
        _ => {
            vm.collect()?;
            Value::int(0)
        }
    };
    vm.ret(result)
}

/// Argument `i` of an option that has one, as C's `int`; 0 when absent.
fn small_int(vm: &mut Vm, i: usize, option: &str) -> Result<i32, Raised> {
    let last = match option {
        "step" | "setpause" | "setstepmul" => 2,
        "generational" => 3,
        "incremental" => 4,
        _ => 1,
    };
    if i <= last { Ok(vm.opt_int(i, 0)? as i32) } else { Ok(0) }
}

/// Sets a percentage and gives the old one. The reference keeps a quarter of it in a byte.
fn set_param(vm: &mut Vm, param: Param, percent: i32) -> Value {
    let kept = u32::from((percent / 4) as u8) * 4;
    Value::int(i64::from(vm.heap_mut().set_param(param, kept)))
}

fn set_mode(vm: &mut Vm, mode: Mode) -> Value {
    let previous = vm.heap_mut().set_mode(mode);
    vm.string(previous.name().as_bytes())
}
