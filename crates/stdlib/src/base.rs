//! The basic functions (§6.1 of the manual).

mod bygone;
mod collector;
mod environment;
mod load;
mod print;
mod tonumber;

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua54};
use perilune_base::num::convert::float_to_int;
use perilune_runtime::heap::Heap;
use perilune_runtime::object::Direct;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::control::Control;
use perilune_vm::meta::Event;
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::c_string;
use crate::row::{Life, Row, alias, intrinsic, row};

pub(crate) use load::load;
pub use load::load_file;
pub(crate) use load::with_handler;

/// The basic functions, except for those that [`open`] makes: `pairs` and `ipairs`, which hold the function that they
/// return, and the protected calls.
pub const ROWS: &[Row] = &[
    intrinsic("assert", assert, Intrinsic::Assert).direct(assert_direct).since(Lua53),
    intrinsic("assert", assert_with_text, Intrinsic::Assert).since(Lua52).until(Lua52),
    intrinsic("assert", assert_with_value_and_text, Intrinsic::Assert).until(Lua51),
    row("dofile", load::dofile),
    row("error", error).since(Lua53),
    row("error", error_of_numbers).until(Lua52),
    row("gcinfo", bygone::gcinfo).until(Lua51).not_in_manual(&[Lua51]),
    row("getfenv", environment::getfenv).until(Lua51),
    intrinsic("getmetatable", getmetatable, Intrinsic::GetMetatable),
    row("load", load).since(Lua52),
    row("load", load::load_function).until(Lua51),
    row("loadfile", load::loadfile).since(Lua52),
    row("loadfile", load::loadfile_by_name).until(Lua51),
    row("loadstring", load::loadstring).until(Lua51),
    row("newproxy", bygone::newproxy).until(Lua51).not_in_manual(&[Lua51]),
    intrinsic("next", next, Intrinsic::Next),
    row("print", print::print).since(Lua54),
    row("print", print::print_by_tostring).until(Lua53),
    intrinsic("rawequal", rawequal, Intrinsic::RawEqual).direct(rawequal_direct),
    intrinsic("rawget", rawget, Intrinsic::RawGet).direct(rawget_direct),
    intrinsic("rawlen", rawlen, Intrinsic::RawLen).direct(rawlen_direct).since(Lua52),
    intrinsic("rawset", rawset, Intrinsic::RawSet),
    intrinsic("select", select, Intrinsic::Select).direct(select_direct),
    row("setfenv", environment::setfenv).until(Lua51),
    intrinsic("setmetatable", setmetatable, Intrinsic::SetMetatable).direct(setmetatable_direct),
    intrinsic("tonumber", tonumber::tonumber, Intrinsic::ToNumber).direct(tonumber_direct).since(Lua53),
    intrinsic("tonumber", tonumber::tonumber_of_floats, Intrinsic::ToNumber).since(Lua52).until(Lua52),
    intrinsic("tonumber", tonumber::tonumber_as_c, Intrinsic::ToNumber).until(Lua51),
    intrinsic("tostring", tostring, Intrinsic::ToString).since(Lua53),
    intrinsic("tostring", tostring_of_any_result, Intrinsic::ToString).until(Lua51),
    intrinsic("tostring", tostring_of_numbers, Intrinsic::ToString).since(Lua52).until(Lua52),
    intrinsic("type", type_, Intrinsic::Type).direct(type_direct),
    row("warn", warn).since(Lua54),
];

/// Opens the library: its functions are globals.
pub fn open(vm: &mut Vm) {
    let globals = vm.globals();
    crate::row::register(vm, globals, ROWS);
    crate::row::register(vm, globals, collector::ROWS);
    let loadstring = Life::until(Lua52).since(Lua52).not_in_manual(&[Lua52]);
    alias(vm, (globals, "load"), (globals, "loadstring"), loadstring);
    let next =
        if vm.dialect().pairs_own_next { vm.native(next, Intrinsic::Next, &[]) } else { vm.get_field(globals, "next") };
    let pairs = vm.native(pairs, Intrinsic::Pairs, &[next]);
    vm.set_field(globals, "pairs", pairs);
    let step = if vm.dialect().raw_lists { raw_ipairs_step } else { ipairs_step };
    let step = vm.native(step, Intrinsic::IpairsStep, &[]);
    let ipairs = vm.native(ipairs, Intrinsic::Ipairs, &[step]);
    vm.set_field(globals, "ipairs", ipairs);
    for (name, control) in [("pcall", Control::PCall), ("xpcall", Control::XPCall)] {
        let function = vm.control_function(control, &[]);
        vm.set_field(globals, name, function);
    }
    vm.set_field(globals, "_G", Value::table(globals));
    let version = vm.string(vm.dialect().version.to_string().as_bytes());
    vm.set_field(globals, "_VERSION", version);
    crate::publish(vm, "_G", globals);
    if vm.dialect().warnings_on {
        vm.warn(b"@on", false);
    }
}

fn assert_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [v] if v.is_truthy() => Direct::One(*v),
        _ => Direct::Unknown,
    }
}

/// The message must be a string.
fn assert_with_text(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).is_truthy() {
        return Ok(vm.nargs() as u32);
    }
    let message = match vm.opt_str(2)? {
        Some(message) => vm.string(c_string(message.as_bytes())),
        None => vm.string(b"assertion failed!"),
    };
    Err(throw_from(vm, message, 1))
}

fn assert_with_value_and_text(vm: &mut Vm) -> NativeResult {
    vm.check_any(1)?;
    assert_with_text(vm)
}

fn assert(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).is_truthy() {
        return Ok(vm.nargs() as u32);
    }
    vm.check_any(1)?;
    let message = if vm.nargs() >= 2 { vm.arg(2) } else { vm.string(b"assertion failed!") };
    Err(throw_from(vm, message, 1))
}

/// A number counts as a string.
fn error_of_numbers(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).is_number() && vm.opt_int(2, 1)? as i32 > 0 {
        vm.check_str(1)?;
    }
    error(vm)
}

fn error(vm: &mut Vm) -> NativeResult {
    // C's `int`: what does not fit is cut.
    let level = vm.opt_int(2, 1)? as i32;
    let value = vm.arg(1);
    // What looks at this frame finds no values in it, as in the reference, where the error has left it.
    vm.set_top(0);
    Err(throw_from(vm, value, level))
}

/// Raises an error; a string gets the position of the function at `level` in front, if `level` is positive.
fn throw_from(vm: &mut Vm, value: Value, level: i32) -> Raised {
    match value.as_str() {
        Some(message) if level > 0 => {
            let mut text = vm.position(level as usize);
            text.extend_from_slice(message.as_bytes());
            let text = vm.string(&text);
            vm.throw(text)
        }
        _ => vm.throw(value),
    }
}

fn getmetatable(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    let Some(metatable) = vm.metatable_of(value) else { return vm.ret(Value::NIL) };
    let shown = vm.metamethod(value, Event::Metatable);
    vm.ret(if shown.is_nil() { Value::table(metatable) } else { shown })
}

/// A table that has no metatable gets one that is known to have no finalizer.
fn setmetatable_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    let [object, metatable] = args else { return Direct::Unknown };
    let (Some(table), Some(metatable)) = (object.as_table(), metatable.as_table()) else { return Direct::Unknown };
    if table.metatable().is_some() || metatable.flags() & (1 << Event::Gc as u8) == 0 {
        return Direct::Unknown;
    }
    table.set_metatable(heap, Some(metatable));
    Direct::One(*object)
}

fn setmetatable(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let metatable = vm.arg(2);
    if metatable.as_table().is_none() && !(metatable.is_nil() && vm.nargs() >= 2) {
        return Err(crate::expected(vm, 2, "nil or table"));
    }
    if !vm.metamethod(Value::table(table), Event::Metatable).is_nil() {
        return Err(vm.error("cannot change a protected metatable"));
    }
    vm.set_metatable(Value::table(table), metatable.as_table());
    vm.ret(Value::table(table))
}

fn next(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let mut key = vm.arg(2);
    if !vm.dialect().integers
        && let Some(n) = key.as_float().and_then(float_to_int)
    {
        // Here all numbers are floats, but tables keep integral keys as integers.
        key = Value::int(n);
    }
    /// Places that take long to look at.
    const MANY: u64 = 10_000;
    let next = table.next_counted(key).map(|(found, places)| {
        if places > MANY {
            vm.hurry();
        }
        found
    });
    match next {
        Ok(Some((key, value))) => {
            vm.push(vm.key_value(key));
            vm.push(value);
            Ok(2)
        }
        Ok(None) => vm.ret(Value::NIL),
        Err(_) => {
            let message = vm.string(b"invalid key to 'next'");
            Err(vm.throw(message))
        }
    }
}

/// Its upvalue is `next`.
fn pairs(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    let results = vm.dialect().pairs_results;
    let handler = if vm.dialect().pairs_handlers { vm.metamethod(value, Event::Pairs) } else { Value::NIL };
    if handler.is_nil() {
        check_list(vm)?;
    }
    if !handler.is_nil() {
        vm.push(handler);
        vm.push(value);
        if vm.dialect().closing_values {
            return vm.return_call_exactly(1, results as u16);
        }
        // Called from here, so that it cannot yield.
        vm.call(1, results as i32)?;
        return Ok(results as u32);
    }
    let next = vm.upvalue(1);
    vm.push(next);
    vm.push(value);
    for _ in 2..results {
        vm.push(Value::NIL);
    }
    Ok(results as u32)
}

/// Its upvalue is [`ipairs_step`].
fn ipairs(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    if vm.dialect().ipairs_handlers {
        let handler = vm.metafield(value, "__ipairs");
        if !handler.is_nil() {
            vm.push(handler);
            vm.push(value);
            return vm.return_call_exactly(1, 3);
        }
    }
    check_list(vm)?;
    let step = vm.upvalue(1);
    vm.push(step);
    vm.push(value);
    vm.push(vm.int_value(0));
    Ok(3)
}

/// Argument 1 must be something to go through.
fn check_list(vm: &mut Vm) -> Result<(), Raised> {
    if vm.dialect().raw_lists { vm.check_table(1).map(drop) } else { vm.check_any(1).map(drop) }
}

/// Without metamethods.
fn raw_ipairs_step(vm: &mut Vm) -> NativeResult {
    let index = vm.check_int(2)?.wrapping_add(1);
    let value = vm.check_table(1)?.get_int(index);
    if value.is_nil() {
        return Ok(0);
    }
    vm.push(vm.int_value(index));
    vm.push(value);
    Ok(2)
}

fn ipairs_step(vm: &mut Vm) -> NativeResult {
    let index = vm.check_int(2)?.wrapping_add(1);
    let list = vm.arg(1);
    let mut value = match list.as_table() {
        Some(table) => table.get_int(index),
        None => Value::NIL,
    };
    if value.is_nil() && vm.metatable_of(list).is_none() && list.as_table().is_some() {
        return vm.ret(Value::NIL);
    }
    if value.is_nil() {
        value = vm.index(list, vm.int_value(index))?;
        if value.is_nil() {
            return vm.ret(Value::NIL);
        }
    }
    vm.push(vm.int_value(index));
    vm.push(value);
    Ok(2)
}

fn warn(vm: &mut Vm) -> NativeResult {
    // All arguments are checked first, so that an error leaves no warning half said.
    vm.check_str(1)?;
    let count = vm.nargs();
    for i in 2..=count {
        vm.check_str(i)?;
    }
    for i in 1..=count {
        let part = vm.check_str(i)?;
        vm.warn(part.as_bytes(), i < count);
    }
    Ok(0)
}

fn rawequal_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [a, b, ..] => Direct::One(Value::bool(a.raw_equals(*b))),
        _ => Direct::Unknown,
    }
}

fn rawequal(vm: &mut Vm) -> NativeResult {
    let a = vm.check_any(1)?;
    let b = vm.check_any(2)?;
    vm.ret(Value::bool(a.raw_equals(b)))
}

fn rawget_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [table, key, ..] => table.as_table().map_or(Direct::Unknown, |table| Direct::One(table.get(*key))),
        _ => Direct::Unknown,
    }
}

fn rawget(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let key = vm.check_any(2)?;
    vm.ret(table.get(key))
}

fn rawset(vm: &mut Vm) -> NativeResult {
    let table = vm.check_table(1)?;
    let key = vm.check_any(2)?;
    let value = vm.check_any(3)?;
    vm.raw_set(table, key, value)?;
    vm.ret(Value::table(table))
}

fn rawlen_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args.first().and_then(|v| v.as_table()) {
        Some(table) => Direct::One(Value::int(table.length())),
        None => Direct::Unknown,
    }
}

fn rawlen(vm: &mut Vm) -> NativeResult {
    let value = vm.arg(1);
    let length = match (value.as_table(), value.as_str()) {
        (Some(table), _) => table.length(),
        (_, Some(text)) => text.as_bytes().len() as i64,
        (None, None) => return Err(crate::expected(vm, 1, "table or string")),
    };
    vm.ret(vm.int_value(length))
}

/// The count, and one value by its position from the front.
fn select_direct(_: &mut Heap, args: &[Value], wanted: i32) -> Direct {
    let [which, values @ ..] = args else { return Direct::Unknown };
    if which.tag == Tag::Int {
        return match values.get((which.raw_int() as usize).wrapping_sub(1)..) {
            Some([value]) => Direct::One(*value),
            Some([value, ..]) if wanted == 1 => Direct::One(*value),
            _ => Direct::Unknown,
        };
    }
    match which.as_str() {
        Some(text) if text.as_bytes() == b"#" => Direct::One(Value::int(values.len() as i64)),
        _ => Direct::Unknown,
    }
}

fn select(vm: &mut Vm) -> NativeResult {
    let count = vm.nargs() as i64;
    if vm.arg(1).as_str().is_some_and(|text| text.as_bytes().first() == Some(&b'#')) {
        return vm.ret(vm.int_value(count - 1));
    }
    let index = vm.check_int(1)?;
    // Without integers it is C's `int`.
    let index = if vm.dialect().integers { index } else { i64::from(index as i32) };
    let first = if index < 0 { count.saturating_add(index) } else { index.min(count) };
    if first < 1 {
        return Err(vm.arg_error(1, "index out of range"));
    }
    Ok((count - first) as u32)
}

fn tonumber_direct(_: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args {
        [v] if v.is_number() => Direct::One(*v),
        _ => Direct::Unknown,
    }
}

fn tostring(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    let text = vm.to_display(value)?;
    vm.ret(Value::str(text))
}

fn type_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args.first() {
        Some(v) => Direct::One(Value::str(heap.type_name(v.tag))),
        None => Direct::Unknown,
    }
}

/// What `__tostring` gives need not be a string.
fn tostring_of_any_result(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    let handler = vm.metamethod(value, Event::ToString);
    if handler.is_nil() {
        return tostring(vm);
    }
    // Called from here, so that it cannot yield.
    let text = vm.call_value(handler, &[value])?;
    vm.ret(text)
}

/// As [`tostring_of_any_result`], but a number becomes a string.
fn tostring_of_numbers(vm: &mut Vm) -> NativeResult {
    let count = tostring_of_any_result(vm)?;
    let text = vm.pop();
    let text = vm.number_to_str(text).map_or(text, Value::str);
    vm.push(text);
    Ok(count)
}

fn type_(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    let name = vm.string(value.type_name().as_bytes());
    vm.ret(name)
}
