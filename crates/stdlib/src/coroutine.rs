//! The library `coroutine` (manual §6.2).
//!
//! Resuming and yielding move frames, which only the interpreter can do: those functions live in
//! [`perilune_vm::control`] and are published here.

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua54};
use perilune_runtime::heap::Heap;
use perilune_runtime::object::{Direct, ThreadRef};
use perilune_runtime::value::Value;
use perilune_vm::control::{Control, status_of};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, intrinsic, row};

/// The plain functions of the library.
pub const ROWS: &[Row] = &[
    row("create", create),
    row("wrap", wrap),
    intrinsic("status", status, Intrinsic::CoroutineStatus).direct(status_direct),
    row("running", running).since(Lua52),
    row("running", running_coroutine).until(Lua51),
    row("isyieldable", isyieldable).since(Lua53),
    row("close", close).since(Lua54),
];

/// Opens the library.
pub fn open(vm: &mut Vm) {
    let library = crate::new_library(vm, "coroutine", ROWS);
    for (name, control) in [("resume", Control::Resume), ("yield", Control::Yield)] {
        let f = vm.control_function(control, &[]);
        vm.set_field(library, name, f);
    }
}

/// The coroutine argument; the running one when it is optional and absent.
fn coroutine_argument(vm: &mut Vm, optional: bool) -> Result<ThreadRef, Raised> {
    if optional && vm.nargs() == 0 { Ok(vm.running().0) } else { vm.check_thread(1) }
}

/// What a coroutine is to run.
fn body_argument(vm: &mut Vm) -> Result<Value, Raised> {
    if vm.dialect().lua_bodies && vm.arg(1).as_lua_fn().is_none() {
        return Err(vm.arg_error(1, "Lua function expected"));
    }
    vm.check_function(1)
}

fn create(vm: &mut Vm) -> NativeResult {
    let body = body_argument(vm)?;
    let co = vm.new_coroutine(body)?;
    vm.ret(Value::thread(co))
}

fn wrap(vm: &mut Vm) -> NativeResult {
    let body = body_argument(vm)?;
    let co = vm.new_coroutine(body)?;
    let f = vm.control_function(Control::Wrapped, &[Value::thread(co)]);
    vm.ret(f)
}

fn status(vm: &mut Vm) -> NativeResult {
    let co = coroutine_argument(vm, false)?;
    let text = vm.string(status_of(co).as_bytes());
    vm.ret(text)
}

fn status_direct(heap: &mut Heap, args: &[Value], _: i32) -> Direct {
    match args.first().and_then(|v| v.as_thread()) {
        Some(co) => Direct::One(Value::str(heap.new_str(status_of(co).as_bytes()))),
        None => Direct::Unknown,
    }
}

fn running(vm: &mut Vm) -> NativeResult {
    let (co, is_main) = vm.running();
    vm.push(Value::thread(co));
    vm.push(Value::bool(is_main));
    Ok(2)
}

/// Nothing but a coroutine: the main thread is none.
fn running_coroutine(vm: &mut Vm) -> NativeResult {
    let (thread, is_main) = vm.running();
    vm.ret(if is_main { Value::NIL } else { Value::thread(thread) })
}

fn isyieldable(vm: &mut Vm) -> NativeResult {
    // Older versions tell of the running coroutine only.
    let co = if vm.dialect().closing_values { coroutine_argument(vm, true)? } else { vm.running().0 };
    let yieldable = vm.is_yieldable(co);
    vm.ret(Value::bool(yieldable))
}

fn close(vm: &mut Vm) -> NativeResult {
    let co = coroutine_argument(vm, vm.dialect().closes_itself)?;
    if vm.dialect().closes_itself {
        match vm.running() {
            (running, true) if running == co => return Err(vm.error("cannot close main thread")),
            (running, false) if running == co => return Err(vm.close_running()),
            _ => {}
        }
    }
    if vm.is_active(co) {
        let text = format!("cannot close a {} coroutine", status_of(co));
        return Err(vm.error(&text));
    }
    match vm.close_coroutine(co)? {
        None => vm.ret(Value::TRUE),
        Some(error) => {
            vm.push(Value::FALSE);
            vm.push(error);
            Ok(2)
        }
    }
}
