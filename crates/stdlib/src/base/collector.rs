//! `collectgarbage`.
//!
//! Each version has its own options; what they do is one function. The numbers that an option reports are those that the
//! script set before, or the version's defaults; they steer our collector as far as it has such a thing.

use perilune_runtime::heap::{Mode, Param};
use perilune_runtime::object::TableRef;
use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, row};
use perilune_base::dialect::LuaVersion;

/// What `collectgarbage` can be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Stop,
    Restart,
    Collect,
    Count,
    /// [`Request::Count`], followed by the bytes beyond whole kibibytes.
    CountAndRest,
    Step,
    SetPause,
    SetStepMul,
    SetMajorIncrement,
    IsRunning,
    /// Another mode, which gives the name of the old one.
    Become(Mode),
    /// Another mode, without a name.
    BecomeSilently(Mode),
    Param,
}

type Options = &'static [(&'static str, Request)];

const OF_51: Options = &[
    ("stop", Request::Stop),
    ("restart", Request::Restart),
    ("collect", Request::Collect),
    ("count", Request::Count),
    ("step", Request::Step),
    ("setpause", Request::SetPause),
    ("setstepmul", Request::SetStepMul),
];

const OF_52: Options = &[
    ("stop", Request::Stop),
    ("restart", Request::Restart),
    ("collect", Request::Collect),
    ("count", Request::CountAndRest),
    ("step", Request::Step),
    ("setpause", Request::SetPause),
    ("setstepmul", Request::SetStepMul),
    ("setmajorinc", Request::SetMajorIncrement),
    ("isrunning", Request::IsRunning),
    ("generational", Request::BecomeSilently(Mode::Generational)),
    ("incremental", Request::BecomeSilently(Mode::Incremental)),
];

const OF_53: Options = &[
    ("stop", Request::Stop),
    ("restart", Request::Restart),
    ("collect", Request::Collect),
    ("count", Request::Count),
    ("step", Request::Step),
    ("setpause", Request::SetPause),
    ("setstepmul", Request::SetStepMul),
    ("isrunning", Request::IsRunning),
];

const OF_54: Options = &[
    ("stop", Request::Stop),
    ("restart", Request::Restart),
    ("collect", Request::Collect),
    ("count", Request::Count),
    ("step", Request::Step),
    ("setpause", Request::SetPause),
    ("setstepmul", Request::SetStepMul),
    ("isrunning", Request::IsRunning),
    ("generational", Request::Become(Mode::Generational)),
    ("incremental", Request::Become(Mode::Incremental)),
];

const OF_55: Options = &[
    ("stop", Request::Stop),
    ("restart", Request::Restart),
    ("collect", Request::Collect),
    ("count", Request::Count),
    ("step", Request::Step),
    ("isrunning", Request::IsRunning),
    ("generational", Request::Become(Mode::Generational)),
    ("incremental", Request::Become(Mode::Incremental)),
    ("param", Request::Param),
];

/// The function of each version.
pub(super) const ROWS: &[Row] = &[
    row("collectgarbage", |vm| collectgarbage(vm, OF_51)).until(LuaVersion::Lua51),
    row("collectgarbage", |vm| collectgarbage(vm, OF_52)).since(LuaVersion::Lua52).until(LuaVersion::Lua52),
    row("collectgarbage", |vm| collectgarbage(vm, OF_53)).since(LuaVersion::Lua53).until(LuaVersion::Lua53),
    row("collectgarbage", |vm| collectgarbage(vm, OF_54)).since(LuaVersion::Lua54).until(LuaVersion::Lua54),
    row("collectgarbage", |vm| collectgarbage(vm, OF_55)).since(LuaVersion::Lua55),
];

/// Inside a finalizer no option may be obeyed; then the result is nil.
fn collectgarbage(vm: &mut Vm, options: Options) -> NativeResult {
    let names: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
    let (_, request) = options[vm.check_option(1, Some("collect"), &names)?];
    let numbers = [small_int(vm, 2, request)?, small_int(vm, 3, request)?, small_int(vm, 4, request)?];
    if vm.in_finalizer() && !vm.dialect().finalizers_collect {
        return vm.ret(Value::NIL);
    }
    let result = match request {
        Request::Stop => {
            vm.heap_mut().stop();
            vm.int_value(0)
        }
        Request::Restart => {
            vm.heap_mut().restart();
            vm.int_value(0)
        }
        Request::Collect => {
            vm.collect()?;
            vm.int_value(0)
        }
        Request::Count => kibibytes(vm),
        Request::CountAndRest => {
            let count = kibibytes(vm);
            let rest = vm.int_value((vm.heap().bytes % 1024) as i64);
            vm.push(count);
            vm.push(rest);
            return Ok(2);
        }
        Request::Step => {
            let size = if numbers[0] == 0 { vm.dialect().basic_step } else { numbers[0] };
            let finished = vm.collect_step(usize::try_from(size).unwrap_or(0))?;
            // In the reference, a collection of the young generation ends no cycle.
            Value::bool(finished && vm.heap().mode() == Mode::Incremental)
        }
        Request::SetPause => set_percentage(vm, Param::Pause, numbers[0]),
        Request::SetStepMul => {
            let multiplier = numbers[0].max(vm.dialect().least_step_multiplier);
            set_percentage(vm, Param::StepMul, multiplier)
        }
        Request::SetMajorIncrement => exchange(vm, "majorinc", 200, i64::from(numbers[0])),
        Request::IsRunning => Value::bool(vm.heap().is_running()),
        Request::BecomeSilently(mode) => {
            vm.heap_mut().set_mode(mode);
            vm.int_value(0)
        }
        Request::Become(mode) => become_with(vm, mode, numbers),
        Request::Param => param(vm)?,
    };
    vm.ret(result)
}

fn kibibytes(vm: &Vm) -> Value {
    Value::float(vm.heap().bytes as f64 / 1024.0)
}

/// Argument `i` of an option that has one, as C's `int`; 0 when absent.
fn small_int(vm: &mut Vm, i: usize, request: Request) -> Result<i32, Raised> {
    let last = match request {
        Request::Step | Request::SetPause | Request::SetStepMul | Request::SetMajorIncrement => 2,
        Request::Become(Mode::Generational) if vm.dialect().coded_collector_params => 3,
        Request::Become(Mode::Incremental) if vm.dialect().coded_collector_params => 4,
        Request::Become(_)
        | Request::BecomeSilently(_)
        | Request::Stop
        | Request::Restart
        | Request::Collect
        | Request::Count
        | Request::CountAndRest
        | Request::IsRunning
        | Request::Param => 1 + usize::from(vm.dialect().collector_takes_number),
    };
    if i <= last { Ok(vm.opt_int(i, 0)? as i32) } else { Ok(0) }
}

fn become_with(vm: &mut Vm, mode: Mode, [pause, step_multiplier, step_size]: [i32; 3]) -> Value {
    if mode == Mode::Incremental {
        if pause != 0 {
            set_percentage(vm, Param::Pause, pause);
        }
        if step_multiplier != 0 {
            set_percentage(vm, Param::StepMul, step_multiplier);
        }
        if step_size != 0 {
            vm.heap_mut().set_param(Param::StepSize, u32::from(step_size as u8));
        }
    }
    let previous = vm.heap_mut().set_mode(mode);
    vm.string(previous.name().as_bytes())
}

/// Sets a percentage and gives the old one. Since 5.4 the reference keeps a quarter of it in a byte.
fn set_percentage(vm: &mut Vm, param: Param, percent: i32) -> Value {
    if vm.dialect().coded_collector_params {
        let kept = u32::from((percent / 4) as u8) * 4;
        let old = i64::from(vm.heap_mut().set_param(param, kept));
        return vm.int_value(old);
    }
    // Here 200 is the default of both; ours does as much work with half the multiplier.
    let (name, ours) = match param {
        Param::Pause => ("pause", percent),
        Param::StepMul => ("stepmul", percent / 2),
        Param::StepSize => ("stepsize", percent),
    };
    vm.heap_mut().set_param(param, u32::try_from(ours).unwrap_or(0));
    exchange(vm, name, 200, i64::from(percent))
}

/// The parameters of 5.5 with their defaults.
const PARAMS: [(&str, i64); 6] =
    [("minormul", 20), ("majorminor", 50), ("minormajor", 68), ("pause", 250), ("stepmul", 200), ("stepsize", 9600)];

/// `collectgarbage("param", name [, value])`: the old value.
fn param(vm: &mut Vm) -> Result<Value, Raised> {
    let names = PARAMS.map(|(name, _)| name);
    let (name, default) = PARAMS[vm.check_option(2, None, &names)?];
    let value = vm.opt_int(3, -1)?;
    let Ok(value) = u32::try_from(value) else {
        let kept = kept_params(vm);
        let old = vm.get_field(kept, name);
        return Ok(if old.is_nil() { vm.int_value(default) } else { old });
    };
    let kept = percentage(code(value));
    let ours = u32::try_from(kept).unwrap_or(u32::MAX);
    match name {
        "pause" => drop(vm.heap_mut().set_param(Param::Pause, ours)),
        "stepmul" => drop(vm.heap_mut().set_param(Param::StepMul, ours / 2)),
        _ => {}
    }
    Ok(exchange(vm, name, default, kept))
}

/// The byte in which 5.5 keeps a percentage: three bits before the point of 128ths, in floating point.
fn code(percent: u32) -> u8 {
    const TOO_LARGE: u32 = (0x1f << 8) * 100;
    if percent >= TOO_LARGE {
        return u8::MAX;
    }
    let scaled = (percent * 128).div_ceil(100);
    if scaled < 0x10 {
        return scaled as u8;
    }
    let exponent = (scaled + 1).next_power_of_two().ilog2() - 5;
    ((scaled >> exponent) - 0x10) as u8 | ((exponent + 1) as u8) << 4
}

/// The percentage that such a byte stands for.
fn percentage(code: u8) -> i64 {
    let (fraction, exponent) = (i64::from(code & 0xf), code >> 4);
    let (mantissa, exponent) = if exponent > 0 { (fraction + 0x10, exponent - 1) } else { (fraction, 0) };
    ((100 * mantissa) << exponent) >> 7
}

/// Keeps a parameter, and gives the old one.
fn exchange(vm: &mut Vm, name: &str, default: i64, new: i64) -> Value {
    let kept = kept_params(vm);
    let old = vm.get_field(kept, name);
    let new = vm.int_value(new);
    vm.set_field(kept, name, new);
    if old.is_nil() { vm.int_value(default) } else { old }
}

/// The field of the registry with the parameters that scripts have set.
const KEPT: &str = "_COLLECTOR";

fn kept_params(vm: &mut Vm) -> TableRef {
    let registry = vm.registry();
    match vm.get_field(registry, KEPT).as_table() {
        Some(kept) => kept,
        None => {
            let kept = vm.table(0, PARAMS.len());
            vm.set_field(registry, KEPT, Value::table(kept));
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_kept_in_a_byte() {
        for (percent, kept) in [(0, 0), (7, 7), (20, 20), (50, 50), (70, 68), (100, 100), (200, 200), (250, 250)] {
            assert_eq!(percentage(code(percent)), kept, "{percent}");
        }
        assert_eq!(code(u32::MAX), u8::MAX);
        assert_eq!(percentage(code(9600)), 9600);
    }
}
