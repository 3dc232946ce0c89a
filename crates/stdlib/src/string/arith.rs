//! Arithmetic on strings: the metamethods of their metatable, which convert numeric strings.

use perilune_runtime::value::{Tag, Value};
use perilune_vm::meta::Event;
use perilune_vm::native::NativeResult;
use perilune_vm::vm::Vm;

use crate::row::{Row, row};

/// The metamethods.
pub(super) const ROWS: &[Row] = &[
    row("__add", |vm| arith(vm, Event::Add)),
    row("__sub", |vm| arith(vm, Event::Sub)),
    row("__mul", |vm| arith(vm, Event::Mul)),
    row("__mod", |vm| arith(vm, Event::Mod)),
    row("__pow", |vm| arith(vm, Event::Pow)),
    row("__div", |vm| arith(vm, Event::Div)),
    row("__idiv", |vm| arith(vm, Event::IDiv)),
    row("__unm", |vm| arith(vm, Event::Unm)),
];

/// A second operand that is missing is the first one, if that is a number or can be converted: the reference finds there
/// what it has just made of the first.
fn arith(vm: &mut Vm, event: Event) -> NativeResult {
    let a = vm.arg(1);
    vm.before_conversion(a);
    vm.before_conversion(vm.arg(2));
    let b = if vm.nargs() == 1 && vm.to_number(a).is_some() { a } else { vm.arg(2) };
    match (vm.to_number(a), vm.to_number(b)) {
        (Some(a), Some(b)) => {
            // An operation of one operand takes the last.
            let first = if event == Event::Unm { b } else { a };
            let result = vm.arith(event, first, b)?;
            vm.ret(result)
        }
        _ => of_other_operand(vm, event, a, b),
    }
}

/// What the second operand makes of the operation, unless it is a string as well.
fn of_other_operand(vm: &mut Vm, event: Event, a: Value, b: Value) -> NativeResult {
    let handler = if b.tag == Tag::Str { Value::NIL } else { vm.metamethod(b, event) };
    if handler.is_nil() {
        let operation = event.name().trim_start_matches('_');
        let message = format!("attempt to {operation} a '{}' with a '{}'", a.type_name(), b.type_name());
        return Err(vm.error(&message));
    }
    let result = vm.call_value(handler, &[a, b])?;
    vm.ret(result)
}
