//! Basic functions that newer versions lack: `unpack` and `loadstring` have moved, `gcinfo` and `newproxy` are gone.

use perilune_runtime::object::TableRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::NativeResult;
use perilune_vm::vm::Vm;

/// The field of the registry with the metatables of proxies, as weak keys.
const PROXIES: &str = "_PROXIES";

pub(super) fn gcinfo(vm: &mut Vm) -> NativeResult {
    let kibibytes = vm.heap().bytes >> 10;
    vm.ret(vm.int_value(kibibytes as i64))
}

/// An empty userdata, with a metatable of its own or with that of another one.
pub(super) fn newproxy(vm: &mut Vm) -> NativeResult {
    let shape = vm.arg(1);
    let metatable = if !shape.is_truthy() {
        None
    } else if shape.tag == Tag::True {
        let metatable = vm.table(0, 0);
        vm.push(Value::table(metatable));
        let proxies = metatables_of_proxies(vm);
        vm.raw_set(proxies, Value::table(metatable), Value::TRUE)?;
        Some(metatable)
    } else {
        let metatable = shape.as_userdata().and_then(|_| vm.metatable_of(shape));
        let proxies = metatables_of_proxies(vm);
        match metatable.filter(|metatable| proxies.get(Value::table(*metatable)).is_truthy()) {
            Some(metatable) => Some(metatable),
            None => return Err(vm.arg_error(1, "boolean or proxy expected")),
        }
    };
    let proxy = vm.userdata(Box::new(()), metatable, 0)?;
    if metatable.is_some() {
        // Whether there is a finalizer is asked when the proxy has died.
        vm.heap_mut().register_finalizer(Value::userdata(proxy));
    }
    vm.ret(Value::userdata(proxy))
}

fn metatables_of_proxies(vm: &mut Vm) -> TableRef {
    let registry = vm.registry();
    if let Some(proxies) = vm.get_field(registry, PROXIES).as_table() {
        return proxies;
    }
    let proxies = vm.table(0, 0);
    vm.set_field(registry, PROXIES, Value::table(proxies));
    // It is its own metatable.
    let mode = vm.string(b"k");
    vm.set_field(proxies, "__mode", mode);
    vm.set_metatable(Value::table(proxies), Some(proxies));
    proxies
}
