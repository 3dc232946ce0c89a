//! The input and output library (§6.8 of the manual).
//!
//! `io.read` and `io.write` work on the default files, which the registry keeps; methods work on their first argument.
//! Everything else is common to both.

mod handle;
pub(crate) mod outcome;
mod read;
mod scan;

use std::io::SeekFrom;

use perilune_base::dialect::LuaVersion::{Lua51, Lua52, Lua53, Lua54};
use perilune_base::dialect::table::{FloatText, ReadTooMuch};
use perilune_base::num::Num;
use perilune_base::num::format::{FLOAT_DIGITS, FloatStyle, Spec, format_float, write_int};
use perilune_runtime::object::UserDataRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::host::{Buffering, HostError, HostResult, OpenMode, PipeMode, StandardStream, Stream};
use perilune_vm::native::{Intrinsic, NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Life, Row, alias, intrinsic, row};
use crate::{c_string, name_argument};

use crate::numbers::write_float;

use self::outcome::{failed, succeeded_or_failed};
use self::read::LinePart;

/// The functions of the library.
pub const ROWS: &[Row] = &[
    row("close", io_close),
    row("flush", io_flush),
    row("input", io_input),
    row("lines", io_lines),
    row("open", io_open),
    row("output", io_output),
    row("popen", io_popen),
    row("read", io_read),
    row("tmpfile", io_tmpfile),
    row("type", io_type),
    intrinsic("write", io_write, Intrinsic::IoWrite),
];

/// The methods of file handles.
const METHODS: &[Row] = &[
    row("close", file_close_or_nil).until(Lua51),
    row("close", file_close).since(Lua53),
    row("flush", file_flush),
    row("lines", file_lines),
    row("read", file_read),
    row("seek", file_seek),
    row("setvbuf", file_setvbuf),
    intrinsic("write", file_write, Intrinsic::IoWrite),
];

/// The metamethods of file handles.
const METAMETHODS: &[Row] =
    &[row("__gc", file_release), row("__close", file_release).since(Lua54), row("__tostring", file_tostring)];

/// A default file.
#[derive(Clone, Copy)]
enum DefaultFile {
    Input,
    Output,
}

impl DefaultFile {
    /// Where the registry keeps it.
    const fn field(self) -> &'static str {
        match self {
            DefaultFile::Input => "_IO_input",
            DefaultFile::Output => "_IO_output",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            DefaultFile::Input => "input",
            DefaultFile::Output => "output",
        }
    }
}

/// Opens the library.
pub fn open(vm: &mut Vm) {
    let metatable = vm.table(0, METAMETHODS.len() + 2);
    crate::row::register(vm, metatable, METAMETHODS);
    let methods = if vm.dialect().file_methods_apart { vm.table(0, METHODS.len()) } else { metatable };
    crate::row::register(vm, methods, METHODS);
    vm.set_field(metatable, "__index", Value::table(methods));
    if vm.dialect().type_names {
        let name = vm.string(handle::TYPE_NAME.as_bytes());
        vm.set_field(metatable, "__name", name);
    }
    let registry = vm.registry();
    vm.set_field(registry, handle::TYPE_NAME, Value::table(metatable));

    let library = crate::new_library(vm, "io", ROWS);
    alias(vm, (library, "close"), (methods, "close"), Life::until(Lua52).since(Lua52));
    for (name, which, default) in [
        ("stdin", StandardStream::Input, Some(DefaultFile::Input)),
        ("stdout", StandardStream::Output, Some(DefaultFile::Output)),
        ("stderr", StandardStream::Error, None),
    ] {
        // A memory limit that leaves no room for the libraries is met again by the first thing that a script does.
        let Ok(file) = handle::new_standard(vm, which).map(Value::userdata) else { return };
        vm.set_field(library, name, file);
        if let Some(default) = default {
            vm.set_field(registry, default.field(), file);
        }
    }
}

fn default_file(vm: &mut Vm, which: DefaultFile) -> Value {
    let registry = vm.registry();
    vm.get_field(registry, which.field())
}

fn open_default_file(vm: &mut Vm, which: DefaultFile) -> Result<UserDataRef, Raised> {
    match handle::of_value(default_file(vm, which)) {
        Some(file) if !handle::is_closed(vm, file) => Ok(file),
        _ => Err(vm.error(&format!("{} {} file is closed", vm.dialect().default_file_word, which.name()))),
    }
}

/// Writes what waits for the default output: before another process runs.
pub(crate) fn flush_default_output(vm: &mut Vm) {
    if let Some(file) = handle::of_value(default_file(vm, DefaultFile::Output))
        && !handle::is_closed(vm, file)
    {
        let _ = handle::with_stream(vm, file, Stream::flush_and_remember);
    }
}

// Opening and closing.

fn io_open(vm: &mut Vm) -> NativeResult {
    let path = name_argument(vm, 1)?;
    let mode = match vm.opt_str(2)? {
        Some(mode) => OpenMode::parse(c_string(mode.as_bytes())),
        None => Some(OpenMode::READ),
    };
    let Some(mode) = mode.or_else(|| lax_mode(vm)) else {
        if vm.dialect().c_modes {
            return failed(vm, &HostError::invalid_argument(), Some(path.as_bytes()));
        }
        return Err(vm.arg_error(2, "invalid mode"));
    };
    match vm.host().open(path.as_bytes(), mode) {
        Ok(file) => return_stream(vm, Stream::with_mode(file, mode)),
        Err(error) => failed(vm, &error, Some(path.as_bytes())),
    }
}

/// What C's `fopen` makes of argument 2, in versions that leave it to that: what follows the letter may be anything.
fn lax_mode(vm: &mut Vm) -> Option<OpenMode> {
    let mode = vm.arg(2).as_str().filter(|_| vm.dialect().c_modes)?;
    let (letter, rest) = c_string(mode.as_bytes()).split_first()?;
    let update: &[u8] = if rest.contains(&b'+') { b"+" } else { b"" };
    OpenMode::parse(&[&[*letter], update].concat())
}

fn io_popen(vm: &mut Vm) -> NativeResult {
    let command = name_argument(vm, 1)?;
    let mode = match vm.opt_str(2)? {
        None => PipeMode::Read,
        Some(mode) => match c_string(mode.as_bytes()) {
            b"r" => PipeMode::Read,
            b"w" => PipeMode::Write,
            _ if vm.dialect().c_pipe_modes => {
                return failed(vm, &HostError::invalid_argument(), Some(command.as_bytes()));
            }
            _ => return Err(vm.arg_error(2, "invalid mode")),
        },
    };
    flush_default_output(vm);
    match vm.host().open_process(command.as_bytes(), mode) {
        Ok(file) => return_stream(vm, Stream::with_pipe_mode(file, mode)),
        Err(error) => failed(vm, &error, Some(command.as_bytes())),
    }
}

fn io_tmpfile(vm: &mut Vm) -> NativeResult {
    match vm.host().temporary_file() {
        Ok(file) => return_stream(vm, Stream::with_mode(file, OpenMode::WRITE_UPDATE)),
        Err(error) => failed(vm, &error, None),
    }
}

fn return_stream(vm: &mut Vm, stream: Stream) -> NativeResult {
    let file = handle::new(vm, stream)?;
    vm.ret(Value::userdata(file))
}

fn io_close(vm: &mut Vm) -> NativeResult {
    if vm.nargs() == 0 {
        let file = default_file(vm, DefaultFile::Output);
        vm.push(file);
    }
    file_close(vm)
}

/// `close` of a handle in 5.1 is its `io.close`, and looks for a default file where there is none.
fn file_close_or_nil(vm: &mut Vm) -> NativeResult {
    if vm.nargs() == 0 {
        vm.push(Value::NIL);
    }
    file_close(vm)
}

fn file_close(vm: &mut Vm) -> NativeResult {
    let file = handle::check_open(vm, 1)?;
    handle::close(vm, file)
}

/// `__gc` and `__close`
fn file_release(vm: &mut Vm) -> NativeResult {
    let file = handle::check(vm, 1)?;
    if !handle::is_closed(vm, file) {
        handle::close(vm, file)?;
    }
    Ok(0)
}

// Asking about handles and choosing the default ones.

fn io_type(vm: &mut Vm) -> NativeResult {
    let value = vm.check_any(1)?;
    let kind = match handle::of_value(value) {
        Some(file) if handle::is_closed(vm, file) => vm.string(b"closed file"),
        Some(_) => vm.string(b"file"),
        None => Value::NIL,
    };
    vm.ret(kind)
}

fn file_tostring(vm: &mut Vm) -> NativeResult {
    let file = handle::check(vm, 1)?;
    let text = if handle::is_closed(vm, file) {
        vm.string(b"file (closed)")
    } else {
        let address = vm.shown_address(vm.arg(1))?;
        vm.string(format!("file (0x{address:x})").as_bytes())
    };
    vm.ret(text)
}

fn io_input(vm: &mut Vm) -> NativeResult {
    choose_default(vm, DefaultFile::Input, OpenMode::READ)
}

fn io_output(vm: &mut Vm) -> NativeResult {
    choose_default(vm, DefaultFile::Output, OpenMode::WRITE)
}

/// Makes the file that argument 1 is or names a default file, if there is one, and returns the default file.
fn choose_default(vm: &mut Vm, which: DefaultFile, mode: OpenMode) -> NativeResult {
    let chosen = vm.arg(1);
    if !chosen.is_nil() {
        let file = match vm.number_to_str(chosen) {
            Some(path) => handle::open_or_raise(vm, c_string(path.as_bytes()), mode)?,
            None => handle::check_open(vm, 1)?,
        };
        let registry = vm.registry();
        vm.set_field(registry, which.field(), Value::userdata(file));
    }
    let file = default_file(vm, which);
    vm.ret(file)
}

// Reading.

fn io_read(vm: &mut Vm) -> NativeResult {
    let file = open_default_file(vm, DefaultFile::Input)?;
    read_formats(vm, file, 1)
}

fn file_read(vm: &mut Vm) -> NativeResult {
    let file = handle::check_open(vm, 1)?;
    read_formats(vm, file, 2)
}

/// Reads as the arguments from `first` on say, a line if there is none. Results end with a nil at the first that fails.
fn read_formats(vm: &mut Vm, file: UserDataRef, first: usize) -> NativeResult {
    let last = vm.nargs();
    vm.ensure_stack(last + 2)?;
    // Finalizers run between formats, and may drop the default file.
    vm.push(Value::userdata(file));
    if last < first {
        return match read_line(vm, file, false)? {
            Ok(line) => vm.ret(line),
            Err(error) => failed(vm, &error, None),
        };
    }
    let mut count = 0;
    for i in first..=last {
        match read_format(vm, file, i)? {
            Ok(value) => {
                vm.push(value);
                count += 1;
                if value.is_nil() {
                    break;
                }
            }
            Err(error) => return failed(vm, &error, None),
        }
    }
    Ok(count)
}

/// Reads as argument `i` says; nil if there is nothing of the kind.
fn read_format(vm: &mut Vm, file: UserDataRef, i: usize) -> Result<HostResult<Value>, Raised> {
    if vm.arg(i).is_number() {
        let count = vm.check_int(i)?;
        return match usize::try_from(count) {
            Ok(count) => read_bytes(vm, file, count),
            // The buffer is not asked for before something is read only here.
            Err(_) if vm.dialect().c_modes => read_bytes(vm, file, usize::MAX),
            Err(_) => Err(too_much(vm)),
        };
    }
    if vm.dialect().starred_formats && vm.arg(i).as_str().is_none() {
        return Err(vm.arg_error(i, "invalid option"));
    }
    let format = vm.check_str(i)?;
    let format = format.as_bytes();
    let letter = match format.strip_prefix(b"*") {
        None if vm.dialect().starred_formats => return Err(vm.arg_error(i, "invalid option")),
        stripped => stripped.unwrap_or(format).first(),
    };
    match letter {
        Some(b'n') => {
            let dialect = vm.dialect();
            let number = handle::with_stream(vm, file, |stream| match dialect.scanned_numbers {
                true => scan::scan_number(stream, dialect),
                false => read::read_number(stream, dialect),
            })?;
            Ok(number.map(|number| match number {
                Some(Num::Int(int)) => Value::int(int),
                Some(Num::Float(float)) => Value::float(float),
                None => Value::NIL,
            }))
        }
        Some(b'l') => read_line(vm, file, false),
        Some(b'L') if !vm.dialect().c_modes => read_line(vm, file, true),
        Some(b'a') => read_up_to(vm, file, usize::MAX),
        _ => Err(vm.arg_error(i, "invalid format")),
    }
}

/// The error for a negative count, which is more than fits into memory as the reference counts.
#[cold]
fn too_much(vm: &mut Vm) -> Raised {
    match vm.dialect().read_too_much {
        ReadTooMuch::Memory => vm.memory_error(),
        ReadTooMuch::Block => vm.run_error("memory allocation error: block too big"),
        ReadTooMuch::Buffer => vm.error("not enough memory for buffer allocation"),
        ReadTooMuch::Result => vm.error("resulting string too large"),
    }
}

fn read_line(vm: &mut Vm, file: UserDataRef, keep_end: bool) -> Result<HostResult<Value>, Raised> {
    let mut line = vm.take_buffer();
    let mut granted = NO_RESERVATION;
    let value = loop {
        let before = line.len();
        match handle::with_stream(vm, file, |stream| read::read_line_part(stream, &mut line, keep_end))? {
            Ok(LinePart::Inner) => ask_for_more(vm, line.len() - before, line.len(), &mut granted)?,
            Ok(LinePart::Missing) if line.is_empty() => break Ok(Value::NIL),
            Ok(LinePart::Missing | LinePart::Last) => break Ok(new_string(vm, &line)?),
            Err(error) => break Err(error),
        }
    };
    vm.give_buffer(line);
    Ok(value)
}

/// At least one byte, else nil; for a count of zero, an empty string unless the file is at its end.
fn read_bytes(vm: &mut Vm, file: UserDataRef, count: usize) -> Result<HostResult<Value>, Raised> {
    let value = if count == 0 {
        let is_at_end = handle::with_stream(vm, file, read::is_at_end)?;
        is_at_end.map(|is_at_end| if is_at_end { Value::NIL } else { vm.string(b"") })
    } else {
        let is_empty = |value: Value| value.as_str().is_some_and(|text| text.as_bytes().is_empty());
        read_up_to(vm, file, count)?.map(|value| if is_empty(value) { Value::NIL } else { value })
    };
    Ok(value)
}

/// Everything up to the end of the file or a number of bytes.
fn read_up_to(vm: &mut Vm, file: UserDataRef, limit: usize) -> Result<HostResult<Value>, Raised> {
    let mut bytes = vm.take_buffer();
    let mut granted = NO_RESERVATION;
    while bytes.len() < limit {
        let left = limit - bytes.len();
        match handle::with_stream(vm, file, |stream| stream.read(&mut bytes, left))? {
            Ok(0) => break,
            Ok(read) => ask_for_more(vm, read, bytes.len(), &mut granted)?,
            Err(error) => {
                vm.give_buffer(bytes);
                return Ok(Err(error));
            }
        }
    }
    let value = new_string(vm, &bytes)?;
    vm.give_buffer(bytes);
    Ok(Ok(value))
}

/// Bytes for which nobody is asked.
const NO_RESERVATION: usize = 16 << 10;

/// Bytes that one unit of fuel pays for.
const BYTES_PER_UNIT: usize = 64;

/// Pays for bytes that were added to a buffer, and asks for the buffer if it has outgrown what was granted. The bytes are not in
/// the heap yet, but will be, and not all files end: limits must hold while they are read. **(safepoint)**
fn ask_for_more(vm: &mut Vm, added: usize, bytes: usize, granted: &mut usize) -> Result<(), Raised> {
    if bytes > NO_RESERVATION {
        vm.charge((added / BYTES_PER_UNIT) as u64)?;
    }
    while bytes > *granted {
        *granted *= 2;
        vm.reserve(*granted)?;
    }
    Ok(())
}

fn new_string(vm: &mut Vm, bytes: &[u8]) -> Result<Value, Raised> {
    if bytes.len() > NO_RESERVATION {
        vm.reserve(bytes.len())?;
    }
    Ok(vm.string(bytes))
}

// Lines.

fn file_lines(vm: &mut Vm) -> NativeResult {
    let file = handle::check_open(vm, 1)?;
    let iterator = new_iterator(vm, file, false)?;
    vm.ret(iterator)
}

fn io_lines(vm: &mut Vm) -> NativeResult {
    if vm.arg(1).is_nil() {
        // With C's modes the default file stands behind the arguments, of which the first one is then looked at.
        let file = if vm.dialect().c_modes && vm.nargs() > 0 {
            handle::check_open(vm, 1)?
        } else {
            open_default_or_raise(vm)?
        };
        let iterator = new_iterator(vm, file, false)?;
        return vm.ret(iterator);
    }
    let path = name_argument(vm, 1)?;
    let file = handle::open_or_raise(vm, path.as_bytes(), OpenMode::READ)?;
    let iterator = new_iterator(vm, file, true)?;
    if !vm.dialect().closing_values {
        return vm.ret(iterator);
    }
    // The fourth result closes the file when a loop ends early.
    vm.push(iterator);
    vm.push(Value::NIL);
    vm.push(Value::NIL);
    vm.push(Value::userdata(file));
    Ok(4)
}

fn open_default_or_raise(vm: &mut Vm) -> Result<UserDataRef, Raised> {
    match handle::of_value(default_file(vm, DefaultFile::Input)) {
        Some(file) if !handle::is_closed(vm, file) => Ok(file),
        _ => Err(vm.error("attempt to use a closed file")),
    }
}

/// A function that reads from a file with the formats from argument 2 on: [`next_line`]. Its upvalues are the file,
/// whether it is closed at its end, the number of formats, and the formats.
fn new_iterator(vm: &mut Vm, file: UserDataRef, closes: bool) -> Result<Value, Raised> {
    const MAX_FORMATS: usize = 250;
    let formats = if vm.dialect().c_modes { 0 } else { vm.nargs().saturating_sub(1) };
    if formats > MAX_FORMATS {
        return Err(vm.arg_error(MAX_FORMATS + 2, "too many arguments"));
    }
    let mut upvalues = vec![Value::userdata(file), Value::bool(closes), Value::int(formats as i64)];
    upvalues.extend((2..=formats + 1).map(|i| vm.arg(i)));
    Ok(vm.native(next_line, Intrinsic::None, &upvalues))
}

/// The iterator of `lines`.
fn next_line(vm: &mut Vm) -> NativeResult {
    let Some(file) = handle::of_value(vm.upvalue(1)) else { return Ok(0) };
    if handle::is_closed(vm, file) {
        return Err(vm.error("file is already closed"));
    }
    let formats = vm.upvalue(3).raw_int() as usize;
    vm.set_top(1);
    vm.ensure_stack(formats)?;
    for i in 1..=formats {
        let format = vm.upvalue(3 + i);
        vm.push(format);
    }
    let count = read_formats(vm, file, 2)?;
    let first = vm.nargs() + 1 - count as usize;
    if vm.arg(first).is_truthy() {
        return Ok(count);
    }
    if count > 1 {
        let message = vm.check_str(first + 1)?;
        return Err(vm.error_bytes(message.as_bytes()));
    }
    if vm.upvalue(2).is_truthy() {
        handle::close(vm, file)?;
    }
    Ok(0)
}

// Writing.

fn io_write(vm: &mut Vm) -> NativeResult {
    let file = open_default_file(vm, DefaultFile::Output)?;
    write_arguments(vm, file, 1)
}

fn file_write(vm: &mut Vm) -> NativeResult {
    let file = handle::check_open(vm, 1)?;
    write_arguments(vm, file, 2)
}

/// Writes arguments that are strings, as nearly all are, if they have room in the stream's buffer: then nothing can fail. False if
/// nothing was written.
fn write_texts(vm: &mut Vm, file: UserDataRef, first: usize) -> bool {
    let mut size = 0;
    for i in first..=vm.nargs() {
        let Some(text) = vm.arg(i).as_str() else { return false };
        size += text.len();
    }
    if !handle::stream_of(vm, file).is_some_and(|stream| stream.has_room(size)) {
        return false;
    }
    for i in first..=vm.nargs() {
        let text = vm.arg(i).as_str();
        if let Some((stream, text)) = handle::stream_of(vm, file).zip(text) {
            let written = stream.write(text.as_bytes());
            debug_assert!(written.is_ok(), "there is room");
        }
    }
    true
}

/// Writes the arguments from `first` on, and returns the file.
fn write_arguments(vm: &mut Vm, file: UserDataRef, first: usize) -> NativeResult {
    if write_texts(vm, file, first) {
        return vm.ret(if vm.dialect().c_modes { Value::TRUE } else { Value::userdata(file) });
    }
    let mut total = 0;
    for i in first..=vm.nargs() {
        let value = vm.arg(i);
        let written = match value.tag {
            Tag::Int | Tag::Float => write_number(vm, file, value)?,
            Tag::Nil
            | Tag::False
            | Tag::True
            | Tag::Light
            | Tag::Str
            | Tag::Table
            | Tag::LuaFn
            | Tag::NativeFn
            | Tag::UserData
            | Tag::Thread => {
                let text = vm.check_str(i)?;
                let written = handle::with_stream(vm, file, |stream| stream.write(text.as_bytes()))?;
                written.map(|()| text.len())
            }
        };
        match written {
            Ok(count) => total += count,
            Err(error) => {
                let count = failed(vm, &error, None)?;
                if !vm.dialect().counts_written {
                    return Ok(count);
                }
                vm.push(vm.int_value(total as i64));
                return Ok(count + 1);
            }
        }
    }
    vm.ret(if vm.dialect().c_modes { Value::TRUE } else { Value::userdata(file) })
}

/// Writes a number as `%d` or `%.14g`: unlike `tostring`, without `.0` after integral floats.
fn write_number(vm: &mut Vm, file: UserDataRef, value: Value) -> Result<HostResult<usize>, Raised> {
    let spec = Spec { precision: Some(FLOAT_DIGITS), ..Spec::default() };
    let mut text = vm.take_buffer();
    match value.as_int() {
        Some(int) => write_int(&mut text, int),
        None if vm.dialect().float_text == FloatText::RoundTrip => write_float(vm, &mut text, value.raw_float()),
        None => format_float(&mut text, &spec, FloatStyle::General, false, value.raw_float()),
    }
    let written = handle::with_stream(vm, file, |stream| stream.write(&text));
    let count = text.len();
    vm.give_buffer(text);
    Ok(written?.map(|()| count))
}

fn io_flush(vm: &mut Vm) -> NativeResult {
    let file = open_default_file(vm, DefaultFile::Output)?;
    let flushed = handle::with_stream(vm, file, Stream::flush)?;
    succeeded_or_failed(vm, flushed, None)
}

fn file_flush(vm: &mut Vm) -> NativeResult {
    let file = handle::check_open(vm, 1)?;
    let flushed = handle::with_stream(vm, file, Stream::flush)?;
    succeeded_or_failed(vm, flushed, None)
}

// Positions and buffers.

fn file_seek(vm: &mut Vm) -> NativeResult {
    const WHENCE: [&str; 3] = ["set", "cur", "end"];
    let file = handle::check_open(vm, 1)?;
    let whence = WHENCE[vm.check_option(2, Some("cur"), &WHENCE)?];
    let offset = vm.opt_int(3, 0)?;
    let to = match (whence, u64::try_from(offset)) {
        ("set", Ok(offset)) => Ok(SeekFrom::Start(offset)),
        ("set", Err(_)) => Err(HostError::invalid_argument()),
        ("end", _) => Ok(SeekFrom::End(offset)),
        _ => Ok(SeekFrom::Current(offset)),
    };
    match handle::with_stream(vm, file, |stream| stream.seek(to?))? {
        Ok(position) => vm.ret(vm.int_value(position as i64)),
        Err(error) => failed(vm, &error, None),
    }
}

fn file_setvbuf(vm: &mut Vm) -> NativeResult {
    const MODES: [(&str, Buffering); 3] =
        [("no", Buffering::None), ("full", Buffering::Full), ("line", Buffering::Line)];
    let file = handle::check_open(vm, 1)?;
    let (_, buffering) = MODES[vm.check_option(2, None, &MODES.map(|(name, _)| name))?];
    let size = usize::try_from(vm.opt_int(3, 0)?).unwrap_or(0);
    let changed = handle::with_stream(vm, file, |stream| stream.set_buffering(buffering, size))?;
    succeeded_or_failed(vm, changed, None)
}
