//! The operating system library (§6.9 of the manual).

mod calendar;
mod format;

use perilune_base::num::convert::float_to_int_as_c;
use perilune_runtime::object::TableRef;
use perilune_runtime::value::{Tag, Value};
use perilune_vm::host::ProcessEnd;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::row::{Row, row};
use crate::{c_string, name_argument};

use self::calendar::{Calendar, Fields};
use self::format::{format_date, format_date_as_c};
use crate::io::outcome::{process_end, succeeded_or_failed};
use crate::string::buffer::{make_room, return_buffer};

/// The functions of the library.
pub const ROWS: &[Row] = &[
    row("clock", clock),
    row("date", date),
    row("difftime", difftime),
    row("execute", execute),
    row("exit", exit),
    row("getenv", getenv),
    row("remove", remove),
    row("rename", rename),
    row("setlocale", setlocale),
    row("time", time),
    row("tmpname", tmpname),
];

/// Opens the library.
pub fn open(vm: &mut Vm) {
    crate::new_library(vm, "os", ROWS);
}

fn clock(vm: &mut Vm) -> NativeResult {
    let seconds = vm.host().cpu_time().as_secs_f64();
    vm.ret(Value::float(seconds))
}

fn date(vm: &mut Vm) -> NativeResult {
    let given = vm.opt_str(1)?;
    let mut format = given.as_ref().map_or(&b"%c"[..], |text| text.as_bytes());
    if !vm.dialect().date_errors {
        format = format.split(|byte| *byte == 0).next().unwrap_or_default();
    }
    let instant = if vm.arg(2).is_nil() { vm.host().unix_time() } else { vm.check_int(2)? };
    let (format, date) = match format.strip_prefix(b"!") {
        Some(format) => (format, Calendar::universal(instant)),
        None => {
            let offset = vm.host().local_offset(instant);
            (format, Calendar::new(instant, offset))
        }
    };
    let Some(date) = date else {
        if !vm.dialect().date_errors {
            return vm.ret(Value::NIL);
        }
        let what = if vm.dialect().ordered_date_fields { "date" } else { "time" };
        return Err(vm.error(&format!("{what} result cannot be represented in this installation")));
    };
    // C compares up to a zero byte.
    if format == b"*t" || format.starts_with(b"*t\0") {
        let table = vm.table(0, DATE_FIELDS);
        for (name, value) in fields_of(vm, &date) {
            vm.set_field(table, name, value);
        }
        return vm.ret(Value::table(table));
    }
    let as_c = vm.dialect().c_dates;
    let mut text = vm.take_buffer();
    let mut rest = format;
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(end_of_piece(rest, as_c));
        // The limits are looked at between pieces of a long format.
        vm.charge(piece.len() as u64)?;
        make_room(vm, &mut text, piece.len() * MOST_PER_BYTE)?;
        if as_c {
            format_date_as_c(&mut text, piece, &date, instant);
        } else if let Err(wrong) = format_date(&mut text, piece, &date) {
            // Everything behind it, whatever piece that is in.
            let wrong = &rest[piece.len() - wrong.len()..];
            let shown = wrong.split(|&b| b == 0).next().unwrap_or_default();
            let message = [b"invalid conversion specifier '%", shown, b"'"].concat();
            vm.give_buffer(text);
            return Err(vm.arg_error_bytes(1, &message));
        }
        rest = others;
    }
    return_buffer(vm, text)
}

/// The most bytes that a byte of a format becomes: there are more only for years beyond all that are, and for zones with long names.
const MOST_PER_BYTE: usize = 16;

/// Where a piece of a format ends that is not too long, between two conversions; those of C alone have no modifiers.
fn end_of_piece(format: &[u8], as_c: bool) -> usize {
    const LENGTH: usize = 1024;
    let mut at = 0;
    while at < format.len() && at < LENGTH {
        at += match &format[at..] {
            [b'%', b'E' | b'O', ..] if !as_c => 3,
            [b'%', ..] => 2,
            _ => 1,
        };
    }
    at.min(format.len())
}

const DATE_FIELDS: usize = 9;

/// The fields of a date table.
fn fields_of(vm: &Vm, date: &Calendar) -> [(&'static str, Value); DATE_FIELDS] {
    [
        ("year", vm.int_value(date.year)),
        ("month", vm.int_value(date.month)),
        ("day", vm.int_value(date.day)),
        ("hour", vm.int_value(date.hour)),
        ("min", vm.int_value(date.minute)),
        ("sec", vm.int_value(date.second)),
        ("yday", vm.int_value(date.yearday + 1)),
        ("wday", vm.int_value(date.weekday + 1)),
        ("isdst", Value::bool(date.is_dst)),
    ]
}

fn time(vm: &mut Vm) -> NativeResult {
    const UNREPRESENTABLE: &str = "time result cannot be represented in this installation";
    if vm.arg(1).is_nil() {
        let now = vm.host().unix_time();
        return vm.ret(vm.int_value(now));
    }
    let table = vm.check_table(1)?;
    let fields =
        if vm.dialect().ordered_date_fields { read_fields(vm, table)? } else { read_fields_backwards(vm, table)? };
    let host = vm.host();
    let instant = fields.instant(|instant| host.local_offset(instant));
    let offset = host.local_offset(instant);
    // C's -1 is both an instant and an error.
    match Calendar::new(instant, offset) {
        _ if !vm.dialect().date_errors => {
            let is_error = instant == -1;
            vm.ret(if is_error { Value::NIL } else { vm.int_value(instant) })
        }
        Some(date) if instant != -1 => {
            write_fields(vm, table, &date)?;
            vm.ret(vm.int_value(instant))
        }
        Some(date) => {
            write_fields(vm, table, &date)?;
            Err(vm.error(UNREPRESENTABLE))
        }
        None => Err(vm.error(UNREPRESENTABLE)),
    }
}

fn write_fields(vm: &mut Vm, table: TableRef, date: &Calendar) -> Result<(), Raised> {
    for (name, value) in fields_of(vm, date) {
        let name = vm.string(name.as_bytes());
        vm.set_index(Value::table(table), name, value)?;
    }
    Ok(())
}

fn read_fields(vm: &mut Vm, table: TableRef) -> Result<Fields, Raised> {
    Ok(Fields {
        year: read_field(vm, table, "year", None, 1900)?,
        month: read_field(vm, table, "month", None, 1)?,
        day: read_field(vm, table, "day", None, 0)?,
        hour: read_field(vm, table, "hour", Some(12), 0)?,
        minute: read_field(vm, table, "min", Some(0), 0)?,
        second: read_field(vm, table, "sec", Some(0), 0)?,
        is_dst: {
            let value = field(vm, table, "isdst")?;
            (!value.is_nil()).then(|| value.is_truthy())
        },
    })
}

/// In the order of the versions that ask for the smallest field first.
fn read_fields_backwards(vm: &mut Vm, table: TableRef) -> Result<Fields, Raised> {
    let second = read_field(vm, table, "sec", Some(0), 0)?;
    let minute = read_field(vm, table, "min", Some(0), 0)?;
    let hour = read_field(vm, table, "hour", Some(12), 0)?;
    let day = read_field(vm, table, "day", None, 0)?;
    let month = read_field(vm, table, "month", None, 1)?;
    let year = read_field(vm, table, "year", None, 1900)?;
    let is_dst = field(vm, table, "isdst")?;
    let is_dst = (!is_dst.is_nil()).then(|| is_dst.is_truthy());
    Ok(Fields { year, month, day, hour, minute, second, is_dst })
}

fn field(vm: &mut Vm, table: TableRef, name: &str) -> Result<Value, Raised> {
    let name = vm.string(name.as_bytes());
    vm.index(Value::table(table), name)
}

/// An integer field; less `delta` it must fit in C's `int`.
fn read_field(vm: &mut Vm, table: TableRef, name: &str, default: Option<i64>, delta: i64) -> Result<i64, Raised> {
    let value = field(vm, table, name)?;
    let dialect = vm.dialect();
    match vm.to_integer(value) {
        Some(number) if !dialect.date_errors => {
            // C's `int`, which wraps around.
            Ok(i64::from((number as i32).wrapping_sub(delta as i32)) + delta)
        }
        Some(number) => {
            let fits = if dialect.ordered_date_fields {
                number.checked_sub(delta).is_some_and(|less| i32::try_from(less).is_ok())
            } else {
                number.unsigned_abs() <= i32::MAX as u64 / 2
            };
            if fits { Ok(number) } else { Err(vm.error(&format!("field '{name}' is out-of-bound"))) }
        }
        None if !value.is_nil() && dialect.date_errors => Err(vm.error(&format!("field '{name}' is not an integer"))),
        None => default.ok_or_else(|| vm.error(&format!("field '{name}' missing in date table"))),
    }
}

fn difftime(vm: &mut Vm) -> NativeResult {
    if !vm.dialect().integers {
        // C looks at the last argument first.
        let earlier = float_to_int_as_c(vm.opt_float(2, 0.0)?);
        let later = float_to_int_as_c(vm.check_float(1)?);
        return vm.ret(Value::float((i128::from(later) - i128::from(earlier)) as f64));
    }
    let later = vm.check_int(1)?;
    let earlier = vm.check_int(2)?;
    // Exact where floats are, unlike the difference of two floats.
    vm.ret(Value::float((i128::from(later) - i128::from(earlier)) as f64))
}

fn execute(vm: &mut Vm) -> NativeResult {
    let Some(command) = vm.opt_str(1)? else {
        let has_shell = vm.host().has_shell();
        let result = if vm.dialect().c_modes { vm.int_value(i64::from(has_shell)) } else { Value::bool(has_shell) };
        return vm.ret(result);
    };
    crate::io::flush_default_output(vm);
    match vm.host().execute(c_string(command.as_bytes())) {
        Ok(end) if vm.dialect().c_modes => {
            // As the system reports it: the exit status stands above the signal.
            let status = match end {
                ProcessEnd::Exit(status) => status << 8,
                ProcessEnd::Signal(signal) => signal,
            };
            vm.ret(vm.int_value(i64::from(status)))
        }
        Ok(end) => process_end(vm, end),
        Err(error) => succeeded_or_failed(vm, Err(error), None),
    }
}

/// The embedder decides what an exit is: it gets the request when all Lua code has been left.
fn exit(vm: &mut Vm) -> NativeResult {
    const SUCCESS: i32 = 0;
    const FAILURE: i32 = 1;
    if vm.dialect().exit_by_number {
        let code = vm.opt_int(1, i64::from(SUCCESS))? as i32;
        return Err(vm.request_exit(code, false));
    }
    let code = match vm.arg(1).tag {
        Tag::True => SUCCESS,
        Tag::False => FAILURE,
        Tag::Nil
        | Tag::Int
        | Tag::Float
        | Tag::Light
        | Tag::Str
        | Tag::Table
        | Tag::LuaFn
        | Tag::NativeFn
        | Tag::UserData
        | Tag::Thread => vm.opt_int(1, i64::from(SUCCESS))? as i32,
    };
    let close = vm.arg(2).is_truthy();
    Err(vm.request_exit(code, close))
}

fn getenv(vm: &mut Vm) -> NativeResult {
    let name = name_argument(vm, 1)?;
    let value = match vm.host().variable(name.as_bytes()) {
        Some(value) => vm.string(&value),
        None => Value::NIL,
    };
    vm.ret(value)
}

fn remove(vm: &mut Vm) -> NativeResult {
    let path = name_argument(vm, 1)?;
    let removed = vm.host().remove(path.as_bytes());
    succeeded_or_failed(vm, removed, Some(path.as_bytes()))
}

fn rename(vm: &mut Vm) -> NativeResult {
    let from = name_argument(vm, 1)?;
    let to = name_argument(vm, 2)?;
    let renamed = vm.host().rename(from.as_bytes(), to.as_bytes());
    let name = vm.dialect().c_modes.then(|| from.as_bytes());
    succeeded_or_failed(vm, renamed, name)
}

fn setlocale(vm: &mut Vm) -> NativeResult {
    const CATEGORIES: [&str; 6] = ["all", "collate", "ctype", "monetary", "numeric", "time"];
    let name = vm.opt_str(1)?;
    let category = CATEGORIES[vm.check_option(2, Some("all"), &CATEGORIES)?];
    let locale = vm.host().locale(category, name.as_ref().map(|name| name.as_bytes()));
    let locale = match locale {
        Some(locale) => vm.string(&locale),
        None => Value::NIL,
    };
    vm.ret(locale)
}

fn tmpname(vm: &mut Vm) -> NativeResult {
    match vm.host().temporary_name() {
        Ok(name) => {
            let name = vm.string(&name);
            vm.ret(name)
        }
        Err(_) => Err(vm.error("unable to generate a unique filename")),
    }
}
