//! File handles: the userdata behind `FILE*`.

use std::mem;

use perilune_runtime::object::UserDataRef;
use perilune_runtime::value::Value;
use perilune_vm::host::{Closed, OpenMode, StandardStream, Stream};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::outcome::{failed, process_end};

/// The name of the type, and of its metatable in the registry.
pub(super) const TYPE_NAME: &str = "FILE*";

/// What a file handle holds.
enum LuaFile {
    /// Nothing any more.
    Closed,
    /// A stream that belongs to the host.
    Standard(StandardStream),
    /// A file, or a pipe to a process.
    Owned(Stream),
}

/// The handle in argument `i`, open or closed.
pub(super) fn check(vm: &mut Vm, i: usize) -> Result<UserDataRef, Raised> {
    vm.check_userdata::<LuaFile>(i, TYPE_NAME)
}

/// The open handle in argument `i`.
pub(super) fn check_open(vm: &mut Vm, i: usize) -> Result<UserDataRef, Raised> {
    let file = check(vm, i)?;
    if is_closed(vm, file) { Err(vm.error("attempt to use a closed file")) } else { Ok(file) }
}

/// The handle that a value is.
pub(super) fn of_value(value: Value) -> Option<UserDataRef> {
    value.as_userdata().filter(|file| file.is::<LuaFile>())
}

/// Whether a handle is closed.
pub(super) fn is_closed(vm: &Vm, file: UserDataRef) -> bool {
    !matches!(file.downcast_ref::<LuaFile>(vm.heap()), Some(LuaFile::Standard(_) | LuaFile::Owned(_)))
}

/// A new handle of a stream.
pub(super) fn new(vm: &mut Vm, stream: Stream) -> Result<UserDataRef, Raised> {
    make(vm, LuaFile::Owned(stream))
}

/// A new handle of a standard stream.
pub(super) fn new_standard(vm: &mut Vm, which: StandardStream) -> Result<UserDataRef, Raised> {
    make(vm, LuaFile::Standard(which))
}

fn make(vm: &mut Vm, file: LuaFile) -> Result<UserDataRef, Raised> {
    let registry = vm.registry();
    let metatable = vm.get_field(registry, TYPE_NAME).as_table();
    let user_values = u16::from(vm.dialect().one_user_value);
    vm.userdata(Box::new(file), metatable, user_values)
}

/// Opens a file, or raises the error of functions that have no other way to fail.
pub(super) fn open_or_raise(vm: &mut Vm, path: &[u8], mode: OpenMode) -> Result<UserDataRef, Raised> {
    match vm.host().open(path, mode) {
        Ok(file) => new(vm, Stream::with_mode(file, mode)),
        Err(error) => {
            if vm.dialect().c_modes {
                let message = [path, format!(": {error}").as_bytes()].concat();
                return Err(vm.arg_error_bytes(1, &message));
            }
            let reason = format!("' ({error})");
            let message = [b"cannot open file '", path, reason.as_bytes()].concat();
            Err(vm.error_bytes(&message))
        }
    }
}

/// Does something with the stream of an open handle.
pub(super) fn with_stream<R>(vm: &mut Vm, file: UserDataRef, work: impl FnOnce(&mut Stream) -> R) -> Result<R, Raised> {
    match stream_of(vm, file) {
        Some(stream) => Ok(work(stream)),
        None => Err(vm.error("attempt to use a closed file")),
    }
}

/// The stream of a handle, if that is open.
#[inline]
pub(super) fn stream_of(vm: &mut Vm, file: UserDataRef) -> Option<&mut Stream> {
    let which = match file.downcast_ref::<LuaFile>(vm.heap())? {
        LuaFile::Owned(_) => {
            return match file.downcast_mut::<LuaFile>(vm.heap_mut())? {
                LuaFile::Owned(stream) => Some(stream),
                LuaFile::Standard(_) | LuaFile::Closed => None,
            };
        }
        LuaFile::Standard(which) => *which,
        LuaFile::Closed => return None,
    };
    let host = vm.host();
    // The reference's `print` writes at once. Ours waits, but not so long that anybody could tell from the order of what
    // appears, or miss a question that waits for its answer.
    let is_seen = match which {
        StandardStream::Input => !host.stream(StandardStream::Input).has_unread(),
        StandardStream::Output => false,
        StandardStream::Error => true,
    };
    if is_seen {
        host.stream(StandardStream::Output).flush_and_remember();
    }
    Some(host.stream(which))
}

/// Closes an open handle, and returns what its `close` returns.
pub(super) fn close(vm: &mut Vm, file: UserDataRef) -> NativeResult {
    let Some(handle) = file.downcast_mut::<LuaFile>(vm.heap_mut()) else { return Ok(0) };
    if let LuaFile::Standard(_) = handle {
        let message = vm.string(b"cannot close standard file");
        vm.push(Value::NIL);
        vm.push(message);
        return Ok(2);
    }
    match mem::replace(handle, LuaFile::Closed) {
        LuaFile::Owned(stream) => match stream.close() {
            Ok(Closed::File) => vm.ret(Value::TRUE),
            Ok(Closed::Process(_)) if vm.dialect().c_modes => vm.ret(Value::TRUE),
            Ok(Closed::Process(end)) => process_end(vm, end),
            Err(error) => failed(vm, &error, None),
        },
        LuaFile::Closed | LuaFile::Standard(_) => Ok(0),
    }
}
