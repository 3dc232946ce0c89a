//! `print`.

use perilune_base::num::format::write_int;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::host::StandardStream;
use perilune_vm::meta::Event;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::numbers::write_float;

/// `print` by `__tostring` and `__name`.
pub(super) fn print(vm: &mut Vm) -> NativeResult {
    print_with(vm, print_value)
}

/// `print` by the global function `tostring`, whatever that is.
pub(super) fn print_by_tostring(vm: &mut Vm) -> NativeResult {
    let globals = vm.thread_globals();
    let name = vm.string(b"tostring");
    let tostring = vm.index(globals, name)?;
    let count = vm.nargs();
    vm.push(tostring);
    let mut line = vm.take_buffer();
    for i in 1..=count {
        if let Err(raised) = print_converted(vm, tostring, i, &mut line) {
            write_output(vm, &mut line);
            vm.give_buffer(line);
            return Err(raised);
        }
    }
    end_line(vm, line)
}

fn print_with(vm: &mut Vm, print: fn(&mut Vm, usize, &mut Vec<u8>) -> Result<(), Raised>) -> NativeResult {
    let mut line = vm.take_buffer();
    for i in 1..=vm.nargs() {
        if let Err(raised) = print(vm, i, &mut line) {
            write_output(vm, &mut line);
            vm.give_buffer(line);
            return Err(raised);
        }
    }
    end_line(vm, line)
}

fn end_line(vm: &mut Vm, mut line: Vec<u8>) -> NativeResult {
    line.push(b'\n');
    write_output(vm, &mut line);
    vm.give_buffer(line);
    // Each line is out at once, as with the reference: whoever reads a pipe or a log sees how far a program is.
    let _ = vm.host().stream(StandardStream::Output).flush();
    Ok(0)
}

/// Appends what `tostring` makes of argument `i`.
fn print_converted(vm: &mut Vm, tostring: Value, i: usize, line: &mut Vec<u8>) -> Result<(), Raised> {
    // It may print too: what comes before it goes out before it.
    write_output(vm, line);
    let text = vm.call_value(tostring, &[vm.arg(i)])?;
    let Some(text) = vm.number_to_str(text) else {
        return Err(vm.error("'tostring' must return a string to 'print'"));
    };
    if i > 1 {
        line.push(b'\t');
    }
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| *byte == 0).filter(|_| vm.dialect().c_strings);
    add(vm, line, &bytes[..end.unwrap_or(bytes.len())]);
    Ok(())
}

/// Appends argument `i` to what is going to be printed.
fn print_value(vm: &mut Vm, i: usize, line: &mut Vec<u8>) -> Result<(), Raised> {
    let value = vm.arg(i);
    let separator: &[u8] = if i > 1 { b"\t" } else { b"" };
    if vm.metamethod(value, Event::ToString).is_nil() {
        line.extend_from_slice(separator);
        match value.tag {
            Tag::Int => {
                write_int(line, value.raw_int());
                return Ok(());
            }
            Tag::Float => {
                write_float(vm, line, value.raw_float());
                return Ok(());
            }
            Tag::Nil
            | Tag::False
            | Tag::True
            | Tag::Light
            | Tag::Str
            | Tag::Table
            | Tag::LuaFn
            | Tag::NativeFn
            | Tag::UserData
            | Tag::Thread => {}
        }
        match value.as_str() {
            Some(text) => add(vm, line, text.as_bytes()),
            None => {
                let text = vm.to_display(value)?;
                add(vm, line, text.as_bytes());
            }
        }
    } else {
        // The handler may print too: what comes before it goes out before it.
        write_output(vm, line);
        let text = vm.to_display(value)?;
        line.extend_from_slice(separator);
        add(vm, line, text.as_bytes());
    }
    Ok(())
}

/// Adds a text to the line. Much text goes out at once: the line lies outside the heap, where no limit counts it.
fn add(vm: &mut Vm, line: &mut Vec<u8>, text: &[u8]) {
    const MUCH: usize = 16 << 10;
    if line.len() + text.len() <= MUCH {
        line.extend_from_slice(text);
        return;
    }
    write_output(vm, line);
    let _ = vm.host().stream(StandardStream::Output).write(text);
}

/// Writes to the standard output and empties the buffer. As in the reference, nobody hears of a failure.
fn write_output(vm: &mut Vm, bytes: &mut Vec<u8>) {
    let _ = vm.host().stream(StandardStream::Output).write(bytes);
    bytes.clear();
}
