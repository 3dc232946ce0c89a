//! Making strings within the memory limit.
//!
//! The bytes that a library function collects in a [`Vm::take_buffer`] are not the heap's, so nothing would stop a script
//! from growing one without end. Therefore buffers grow through [`append`] and [`make_room`], which ask the limit.

use perilune_runtime::value::Value;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

/// Sizes above this are paid for, and asked for where they are not those of strings.
const LARGE: usize = 16 << 10;

/// Bytes that one unit of fuel pays for when they are only copied.
const BYTES_PER_UNIT: usize = 64;

/// Appends to a buffer. **(safepoint)**
#[inline]
pub(crate) fn append(vm: &mut Vm, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Raised> {
    make_room(vm, out, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Makes room in a buffer for `extra` more bytes. **(safepoint)**
#[inline]
pub(crate) fn make_room(vm: &mut Vm, out: &mut Vec<u8>, extra: usize) -> Result<(), Raised> {
    if out.capacity() - out.len() >= extra { Ok(()) } else { grow(vm, out, extra) }
}

#[cold]
#[inline(never)]
fn grow(vm: &mut Vm, out: &mut Vec<u8>, extra: usize) -> Result<(), Raised> {
    const FIRST: usize = 128;
    let wanted = out.len().saturating_add(extra).max(2 * out.capacity()).max(FIRST);
    ask(vm, wanted)?;
    out.try_reserve_exact(wanted - out.len()).map_err(|_| vm.memory_error())
}

/// Asks for memory, and pays for filling it, if it is much.
fn ask(vm: &mut Vm, bytes: usize) -> Result<(), Raised> {
    if bytes > LARGE {
        pay(vm, bytes)?;
        vm.reserve(bytes)?;
    }
    Ok(())
}

/// Pays for filling memory, if it is much.
fn pay(vm: &mut Vm, bytes: usize) -> Result<(), Raised> {
    if bytes > LARGE { vm.charge((bytes / BYTES_PER_UNIT) as u64) } else { Ok(()) }
}

/// A string, not rooted yet. **(safepoint, before it is made)**
#[inline]
pub(crate) fn string(vm: &mut Vm, bytes: &[u8]) -> Result<Value, Raised> {
    ask(vm, bytes.len())?;
    Ok(vm.string(bytes))
}

/// A string of `len` bytes that `write` fills, not rooted yet. **(safepoint, before it is made)**
#[inline]
pub(crate) fn string_with(vm: &mut Vm, len: usize, write: impl FnOnce(&mut [u8])) -> Result<Value, Raised> {
    pay(vm, len)?;
    vm.reserve_str(len)?;
    match vm.heap_mut().new_str_with(len, write) {
        Ok(s) => Ok(Value::str(s)),
        Err(_) => Err(vm.memory_error()),
    }
}

/// Gives a buffer back and returns its contents as the only result.
#[inline]
pub(crate) fn return_buffer(vm: &mut Vm, out: Vec<u8>) -> NativeResult {
    let result = string(vm, &out)?;
    vm.give_buffer(out);
    vm.ret(result)
}
