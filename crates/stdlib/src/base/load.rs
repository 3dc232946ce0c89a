//! `load`, `loadfile` and `dofile`.

use perilune_runtime::value::Value;
use perilune_vm::host::{HostError, OpenMode, StandardStream, Stream};
use perilune_vm::load::{LoadMode, TOO_DEEP};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::c_string;
use crate::string::buffer;

/// The first byte of a binary chunk.
const SIGNATURE: u8 = 0x1b;

/// What a mode names if there is none.
const ANY_MODE: &[u8] = b"bt";

/// `load` of 5.1, which takes functions only.
pub(super) fn load_function(vm: &mut Vm) -> NativeResult {
    let name = optional_bytes(vm, 2)?;
    let reader = vm.check_function(1)?;
    let loaded = load_pieces(vm, reader, name.as_deref(), ANY_MODE, None)?;
    return_loaded(vm, loaded)
}

/// `loadstring` of 5.1.
pub(super) fn loadstring(vm: &mut Vm) -> NativeResult {
    let source = vm.check_str(1)?;
    charge(vm, source.as_bytes())?;
    let name = vm.opt_str(2)?.unwrap_or(source);
    let loaded = load_chunk(vm, source.as_bytes(), c_string(name.as_bytes()), ANY_MODE, None);
    let loaded = with_handler(vm, loaded)?;
    return_loaded(vm, loaded)
}

/// `loadfile` of 5.1.
pub(super) fn loadfile_by_name(vm: &mut Vm) -> NativeResult {
    let path = optional_bytes(vm, 1)?;
    let loaded = load_file(vm, path.as_deref(), None, None);
    let loaded = with_handler(vm, loaded)?;
    return_loaded(vm, loaded)
}

/// What the pieces that a function returns are as a chunk, or the error message.
fn load_pieces(
    vm: &mut Vm,
    reader: Value,
    name: Option<&[u8]>,
    mode: &[u8],
    environment: Option<Value>,
) -> Result<Result<Value, Value>, Raised> {
    match read_pieces(vm, reader)? {
        Ok(source) => {
            let loaded = load_chunk(vm, &source, name.unwrap_or(b"=(load)"), mode, environment);
            with_handler(vm, loaded)
        }
        Err(error) => Ok(Err(error)),
    }
}

pub(crate) fn load(vm: &mut Vm) -> NativeResult {
    let chunk = vm.arg(1);
    let mode = mode_argument(vm, 3)?;
    let environment = (vm.nargs() >= 4).then(|| vm.arg(4));
    let mode = mode.as_deref().unwrap_or(ANY_MODE);
    let loaded = match vm.number_to_str(chunk) {
        Some(source) => {
            // A number has become a string that nothing else holds.
            vm.set_arg(1, Value::str(source));
            charge(vm, source.as_bytes())?;
            let name = vm.opt_str(2)?.unwrap_or(source);
            let loaded = load_chunk(vm, source.as_bytes(), c_string(name.as_bytes()), mode, environment);
            with_handler(vm, loaded)?
        }
        None => {
            let name = optional_bytes(vm, 2)?;
            let reader = vm.check_function(1)?;
            load_pieces(vm, reader, name.as_deref(), mode, environment)?
        }
    };
    return_loaded(vm, loaded)
}

pub(super) fn loadfile(vm: &mut Vm) -> NativeResult {
    let path = optional_bytes(vm, 1)?;
    let mode = mode_argument(vm, 2)?;
    let environment = (vm.nargs() >= 3).then(|| vm.arg(3));
    let loaded = load_file(vm, path.as_deref(), mode.as_deref(), environment);
    let loaded = with_handler(vm, loaded)?;
    return_loaded(vm, loaded)
}

pub(super) fn dofile(vm: &mut Vm) -> NativeResult {
    let path = optional_bytes(vm, 1)?;
    match load_file(vm, path.as_deref(), None, None) {
        Ok(function) => {
            vm.push(function);
            vm.return_call(0)
        }
        Err(message) => {
            vm.push(message);
            vm.charge(0)?;
            let message = vm.pop();
            Err(vm.throw(message))
        }
    }
}

/// Shows a stack overflow of the compiler to the message handler, as the reference does. Other errors of chunks are none of
/// its business. A chunk that was given up ends the script here.
pub(crate) fn with_handler(vm: &mut Vm, loaded: Result<Value, Value>) -> Result<Result<Value, Value>, Raised> {
    if let Err(message) = loaded {
        // Looking at the limits may make objects, and the message is nowhere else.
        vm.push(message);
        vm.charge(0)?;
        vm.pop();
    }
    match loaded {
        Err(message) if message.as_str().is_some_and(|text| text.as_bytes() == TOO_DEEP) => {
            Ok(Err(vm.handled_error(message)?))
        }
        loaded => Ok(loaded),
    }
}

fn return_loaded(vm: &mut Vm, loaded: Result<Value, Value>) -> NativeResult {
    match loaded {
        Ok(function) => vm.ret(function),
        Err(message) => {
            vm.push(Value::NIL);
            vm.push(message);
            Ok(2)
        }
    }
}

/// The kinds of chunks that may be loaded.
fn mode_argument(vm: &mut Vm, i: usize) -> Result<Option<Vec<u8>>, Raised> {
    let mode = optional_bytes(vm, i)?;
    if vm.dialect().refuses_fixed_chunks && mode.as_ref().is_some_and(|mode| mode.contains(&b'B')) {
        return Err(vm.arg_error(i, "invalid mode"));
    }
    Ok(mode)
}

fn optional_bytes(vm: &mut Vm, i: usize) -> Result<Option<Vec<u8>>, Raised> {
    Ok(vm.opt_str(i)?.map(|text| c_string(text.as_bytes()).to_vec()))
}

/// Bytes up to which a source is looked at with each piece.
const ALWAYS_LOOKED_AT: usize = 64;

/// All pieces that a reader function returns, or the error with which it ended.
fn read_pieces(vm: &mut Vm, reader: Value) -> Result<Result<Vec<u8>, Value>, Raised> {
    let mut source = Vec::new();
    let mut next_look = 0;
    let mut asks_again = vm.dialect().empty_readers_are_asked_again;
    loop {
        // As in the reference, which reads while it compiles, a reader is not asked for what follows an error. Looking for
        // one costs in all about as much as to compile.
        if source.len() >= next_look {
            if vm.is_hopeless_source(&source) {
                return Ok(Ok(source));
            }
            next_look = if source.len() < ALWAYS_LOOKED_AT { 0 } else { source.len() * 2 };
        }
        vm.push(reader);
        if let Err(error) = vm.call_caught(0, 1)? {
            return Ok(Err(error));
        }
        let piece = vm.pop();
        let text = vm.number_to_str(piece);
        if text.is_none() && !piece.is_nil() {
            let mut message = vm.position(1);
            message.extend_from_slice(b"reader function must return a string");
            let message = vm.string(&message);
            return Ok(Err(vm.handled_error(message)?));
        }
        let Some(text) = text.filter(|text| !text.as_bytes().is_empty()) else {
            if source.is_empty() && std::mem::take(&mut asks_again) {
                continue;
            }
            return Ok(Ok(source));
        };
        charge(vm, text.as_bytes())?;
        vm.charge(1)?;
        // The source lies outside the heap, but counts against its limit. Nothing else holds the piece.
        vm.push(Value::str(text));
        buffer::append(vm, &mut source, text.as_bytes())?;
        vm.pop();
    }
}

/// Pays for compiling a piece of source: a byte takes longer than an instruction.
fn charge(vm: &mut Vm, source: &[u8]) -> Result<(), Raised> {
    vm.charge(source.len() as u64)
}

/// Loads a chunk of a kind that `mode` names; else gives the error message.
fn load_chunk(
    vm: &mut Vm,
    source: &[u8],
    name: &[u8],
    mode: &[u8],
    environment: Option<Value>,
) -> Result<Value, Value> {
    let (letter, kind, load_mode) = match source.first() {
        Some(&SIGNATURE) => (b'b', "binary", LoadMode::Binary),
        _ => (b't', "text", LoadMode::Text),
    };
    if !mode.contains(&letter) {
        let mut message = format!("attempt to load a {kind} chunk (mode is '").into_bytes();
        message.extend_from_slice(mode);
        message.extend_from_slice(b"')");
        return Err(vm.string(&message));
    }
    vm.load(source, name, load_mode, environment)
}

/// Loads a file, or the standard input if there is no path; else gives the error message.
pub fn load_file(
    vm: &mut Vm,
    path: Option<&[u8]>,
    mode: Option<&[u8]>,
    environment: Option<Value>,
) -> Result<Value, Value> {
    let (name, text) = match path {
        Some(path) => {
            let mut file = match vm.host().open(path, OpenMode::READ) {
                Ok(file) => Stream::with_mode(file, OpenMode::READ),
                Err(error) => return Err(file_error(vm, "open", path, &error)),
            };
            ([b"@", path].concat(), read_all(vm, |_, text| file.read(text, usize::MAX)))
        }
        None => {
            let read = |vm: &mut Vm, text: &mut Vec<u8>| vm.host().stream(StandardStream::Input).read(text, usize::MAX);
            (b"=stdin".to_vec(), read_all(vm, read))
        }
    };
    match text {
        Ok(text) => {
            let text = if vm.dialect().byte_order_marks { without_mark(&text) } else { &text };
            load_chunk(vm, without_first_line(text), &name, mode.unwrap_or(ANY_MODE), environment)
        }
        Err(error) if vm.dialect().read_errors_have_reasons => Err(file_error(vm, "read", &name[1..], &error)),
        Err(_) => Err(vm.string(&[b"cannot read ", &name[1..]].concat())),
    }
}

/// Bytes of a file up to which nobody asks whether the rest is worth reading.
const READ_BLINDLY: usize = 1 << 20;

/// Everything that `read` appends until it appends nothing; less, if more could not be loaded. Not all files end.
fn read_all(
    vm: &mut Vm,
    mut read: impl FnMut(&mut Vm, &mut Vec<u8>) -> Result<usize, HostError>,
) -> Result<Vec<u8>, HostError> {
    let mut text = Vec::new();
    let mut next_look = READ_BLINDLY;
    while read(vm, &mut text)? > 0 {
        if text.len() >= next_look {
            if vm.is_hopeless_source(without_first_line(without_mark(&text))) {
                break;
            }
            next_look = text.len() * 2;
        }
    }
    Ok(text)
}

fn file_error(vm: &mut Vm, action: &str, path: &[u8], error: &HostError) -> Value {
    let mut message = format!("cannot {action} ").into_bytes();
    message.extend_from_slice(path);
    message.extend_from_slice(format!(": {error}").as_bytes());
    vm.string(&message)
}

/// A file without its byte order mark.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A file without its first line if that begins with `#`. The end of that line stays, so that lines keep their numbers,
/// except before a binary chunk.
fn without_first_line(text: &[u8]) -> &[u8] {
    if text.first() != Some(&b'#') {
        return text;
    }
    let end = text.iter().position(|&b| b == b'\n').unwrap_or(text.len());
    match &text[end..] {
        [b'\n', binary @ ..] if binary.first() == Some(&SIGNATURE) => binary,
        rest => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::{without_first_line, without_mark};

    #[test]
    fn marks_and_first_lines_are_no_part_of_a_chunk() {
        for (text, chunk) in [
            (&b"print(1)"[..], &b"print(1)"[..]),
            (b"\xef\xbb\xbfprint(1)", b"print(1)"),
            (b"\xef\xbbprint(1)", b"\xef\xbbprint(1)"),
            (b"#!/bin/lua\nprint(1)", b"\nprint(1)"),
            (b"\xef\xbb\xbf# x\nreturn 1", b"\nreturn 1"),
            (b"# no end", b""),
            (b"#x\n\x1bLua", b"\x1bLua"),
            (b"", b""),
        ] {
            assert_eq!(without_first_line(without_mark(text)), chunk);
        }
    }
}
