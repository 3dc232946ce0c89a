//! The library `jit`: what a script may say about the trace compiler, where the host lets it.
//!
//! No version of the language has it, so that it is opened by itself, never with the standard libraries.
//!
//! | call | does |
//! |---|---|
//! | `jit.on()`, `jit.off()` | compiles, or interprets everything |
//! | `jit.on(f [, inner])`, `jit.off(f [, inner])` | lets `f` be compiled, or not; with `inner`, the functions inside of it too |
//! | `jit.flush()`, `jit.flush(f)` | forgets all compiled code, or what `f` has a part in |
//! | `jit.status()` | whether it compiles, how many pieces of code there are, and how many bytes |
//! | `jit.status(f)` | whether `f` may be compiled, and whether it has code of its own |
//!
//! In place of `f`, `true` stands for the function that calls. Nothing of this changes what a script computes, or what it is
//! charged.

use perilune_runtime::object::{Gc, LuaClosure};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, row};

/// The functions of the library.
pub const ROWS: &[Row] = &[row("on", on), row("off", off), row("flush", flush), row("status", status)];

/// Opens the library.
pub fn open(vm: &mut Vm) {
    crate::new_library(vm, "jit", ROWS);
}

/// The function that the first argument names; `None` if there is none.
fn function(vm: &mut Vm) -> Result<Option<Gc<LuaClosure>>, Raised> {
    let named = vm.arg(1);
    let f = match named.tag {
        Tag::Nil => return Ok(None),
        Tag::True => caller(vm),
        _ => named,
    };
    match f.as_lua_fn() {
        Some(f) => Ok(Some(f)),
        None => Err(vm.type_error(1, "Lua function")),
    }
}

/// The function that has called the running one.
fn caller(vm: &Vm) -> Value {
    let thread = vm.running().0;
    vm.frame_at(thread, 1).and_then(|frame| vm.frame_info(thread, frame).func).unwrap_or(Value::NIL)
}

fn on(vm: &mut Vm) -> NativeResult {
    switch(vm, true)
}

fn off(vm: &mut Vm) -> NativeResult {
    switch(vm, false)
}

fn switch(vm: &mut Vm, on: bool) -> NativeResult {
    let with_inner = vm.arg(2).is_truthy();
    match function(vm)? {
        Some(f) => vm.let_compile(f, on, with_inner),
        None => vm.switch_tier(on),
    }
    Ok(0)
}

fn flush(vm: &mut Vm) -> NativeResult {
    match function(vm)? {
        Some(f) => vm.forget_compiled(f),
        None => vm.flush_compiled(),
    }
    Ok(0)
}

fn status(vm: &mut Vm) -> NativeResult {
    if let Some(f) = function(vm)? {
        let (is_allowed, has_code) = vm.compiles(f);
        vm.push(Value::bool(is_allowed));
        vm.push(Value::bool(has_code));
        return Ok(2);
    }
    let state = vm.tier_state();
    vm.push(Value::bool(state.is_on));
    for n in [state.pieces, state.bytes] {
        vm.push(vm.int_value(n as i64));
    }
    Ok(3)
}
