//! `module` and `package.seeall` of Lua 5.1 and 5.2.

use perilune_base::dialect::table::Environments;
use perilune_runtime::object::TableRef;
use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

/// Creates the module of a name, lets it be the environment of the calling function, and applies the other arguments to it.
pub(super) fn module(vm: &mut Vm) -> NativeResult {
    let name = super::name_argument(vm, 1)?;
    let options = vm.nargs();
    let module = find_module(vm, name.as_bytes())?;
    vm.push(Value::table(module));
    if vm.get_field(module, "_NAME").is_nil() {
        describe(vm, module, name.as_bytes());
    }
    become_environment(vm, module)?;
    let takes_all = vm.dialect().environments == Environments::Functions;
    for i in 2..=options {
        let option = vm.arg(i);
        if takes_all || option.is_function() {
            vm.push(option);
            vm.push(Value::table(module));
            vm.call(1, 0)?;
        }
    }
    match vm.dialect().environments {
        Environments::Functions => Ok(0),
        Environments::Variable => vm.ret(Value::table(module)),
    }
}

/// The table in `package.loaded`, else the one in the global variable of that name, made if there is none.
fn find_module(vm: &mut Vm, name: &[u8]) -> Result<TableRef, Raised> {
    let loaded = crate::registry_table(vm, crate::LOADED);
    let key = vm.string(name);
    if let Some(module) = vm.index(Value::table(loaded), key)?.as_table() {
        return Ok(module);
    }
    let mut table = match vm.thread_globals().as_table() {
        Some(globals) => globals,
        None => vm.globals(),
    };
    for part in name.split(|byte| *byte == b'.') {
        let key = vm.string(part);
        let next = table.get(key);
        table = match (next.as_table(), next.is_nil()) {
            (Some(next), _) => next,
            (None, true) => {
                let next = vm.table(0, 0);
                vm.raw_set(table, key, Value::table(next))?;
                next
            }
            (None, false) => {
                return Err(vm.error_bytes(&[b"name conflict for module '", name, b"'"].concat()));
            }
        };
    }
    let key = vm.string(name);
    vm.set_index(Value::table(loaded), key, Value::table(table))?;
    Ok(table)
}

/// Sets the fields that tell a module who it is.
fn describe(vm: &mut Vm, module: TableRef, name: &[u8]) {
    vm.set_field(module, "_M", Value::table(module));
    let text = vm.string(name);
    vm.set_field(module, "_NAME", text);
    let end = name.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
    let package = vm.string(&name[..end]);
    vm.set_field(module, "_PACKAGE", package);
}

/// Lets the calling function find its global variables in a module.
fn become_environment(vm: &mut Vm, module: TableRef) -> Result<(), Raised> {
    let (thread, _) = vm.running();
    let caller = vm.frame_at(thread, 1).and_then(|frame| vm.frame_info(thread, frame).func);
    let Some(caller) = caller.filter(|caller| caller.as_lua_fn().is_some()) else {
        return Err(vm.error("'module' not called from a Lua function"));
    };
    match vm.dialect().environments {
        Environments::Functions => vm.set_environment(caller, module),
        Environments::Variable => {
            vm.set_function_upvalue(caller, 1, Value::table(module));
            Ok(())
        }
    }
}

/// Lets a module see the global variables.
pub(super) fn seeall(vm: &mut Vm) -> NativeResult {
    let module = vm.check_table(1)?;
    let metatable = match module.metatable() {
        Some(metatable) => metatable,
        None => {
            let metatable = vm.table(0, 1);
            vm.set_metatable(Value::table(module), Some(metatable));
            metatable
        }
    };
    let globals = vm.thread_globals();
    vm.set_field(metatable, "__index", globals);
    Ok(0)
}
