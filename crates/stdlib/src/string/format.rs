//! `string.format`.

use perilune_base::num::format::{
    FloatStyle, IntConversion, Spec, format_bytes, format_float, format_int, write_float, write_int,
};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use super::buffer::{self, append};
use super::directive::{Directive, FLOAT_FLAGS, HEX_FLAGS, INT_FLAGS, TEXT_FLAGS, UNSIGNED_FLAGS};
use super::search::find_byte;

pub(super) fn format(vm: &mut Vm) -> NativeResult {
    let format = vm.check_str(1)?;
    let count = vm.nargs();
    let mut rest = format.as_bytes();
    let mut out = vm.take_buffer();
    let mut arg = 1;
    while let Some(at) = find_byte(rest, b'%') {
        append(vm, &mut out, &rest[..at])?;
        rest = &rest[at + 1..];
        if let [b'%', behind @ ..] = rest {
            out.push(b'%');
            rest = behind;
            continue;
        }
        arg += 1;
        if arg > count {
            return Err(vm.arg_error(arg, "no value"));
        }
        let (directive, behind) = Directive::split(rest).map_err(|message| vm.error_bytes(&message))?;
        rest = behind;
        convert(vm, &mut out, directive, arg)?;
    }
    append(vm, &mut out, rest)?;
    buffer::return_buffer(vm, out)
}

/// Appends an argument as a directive wants it.
#[inline]
fn convert(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, arg: usize) -> Result<(), Raised> {
    match directive.conversion {
        b'd' | b'i' => int(vm, out, directive, arg, INT_FLAGS, IntConversion::Decimal),
        b'u' => int(vm, out, directive, arg, UNSIGNED_FLAGS, IntConversion::Unsigned),
        b'o' => int(vm, out, directive, arg, HEX_FLAGS, IntConversion::Octal),
        b'x' => int(vm, out, directive, arg, HEX_FLAGS, IntConversion::LowerHex),
        b'X' => int(vm, out, directive, arg, HEX_FLAGS, IntConversion::UpperHex),
        b'a' | b'A' => hex_float(vm, out, directive, arg),
        b'f' => float(vm, out, directive, arg, FloatStyle::Fixed),
        b'e' | b'E' => float(vm, out, directive, arg, FloatStyle::Scientific),
        b'g' | b'G' => float(vm, out, directive, arg, FloatStyle::General),
        b'c' => {
            let spec = spec(vm, directive, TEXT_FLAGS, false)?;
            let byte = vm.check_int(arg)? as u8;
            format_bytes(out, &spec, &[byte]);
            Ok(())
        }
        b'p' => pointer(vm, out, directive, arg),
        b'q' if directive.is_bare() => literal(vm, out, arg),
        b'q' => Err(vm.error("specifier '%q' cannot have modifiers")),
        b's' => text(vm, out, directive, arg),
        _ => Err(vm.error_bytes(&directive.unknown())),
    }
}

fn spec(vm: &mut Vm, directive: Directive<'_>, flags: &[u8], may_have_precision: bool) -> Result<Spec, Raised> {
    directive.spec(flags, may_have_precision).map_err(|message| vm.error_bytes(&message))
}

#[inline]
fn int(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    directive: Directive<'_>,
    arg: usize,
    flags: &[u8],
    conversion: IntConversion,
) -> Result<(), Raised> {
    let int = vm.check_int(arg)?;
    if directive.is_bare() && conversion == IntConversion::Decimal {
        write_int(out, int);
    } else {
        format_int(out, &spec(vm, directive, flags, true)?, conversion, int);
    }
    Ok(())
}

fn float(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    directive: Directive<'_>,
    arg: usize,
    style: FloatStyle,
) -> Result<(), Raised> {
    let float = vm.check_float(arg)?;
    let spec = spec(vm, directive, FLOAT_FLAGS, true)?;
    format_float(out, &spec, style, directive.conversion.is_ascii_uppercase(), float);
    Ok(())
}

/// `%a`, whose modifiers are checked before its argument.
fn hex_float(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, arg: usize) -> Result<(), Raised> {
    let spec = spec(vm, directive, FLOAT_FLAGS, true)?;
    let float = vm.check_float(arg)?;
    format_float(out, &spec, FloatStyle::Hex, directive.conversion == b'A', float);
    Ok(())
}

/// `%p`: the address of what has an identity.
fn pointer(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, arg: usize) -> Result<(), Raised> {
    let spec = spec(vm, directive, TEXT_FLAGS, false)?;
    let value = vm.arg(arg);
    let start = out.len();
    if (value.is_object() || value.tag == Tag::Light) && value.payload != 0 {
        let alternate = Spec { flags: perilune_base::num::format::Flags { alternate: true, ..spec.flags }, ..spec };
        format_int(out, &alternate, IntConversion::LowerHex, value.payload as i64);
    } else {
        format_bytes(out, &spec, b"(null)");
    }
    debug_assert!(out.len() > start);
    Ok(())
}

/// `%s`
#[inline]
fn text(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, arg: usize) -> Result<(), Raised> {
    let value = vm.arg(arg);
    match (value.as_str(), value.tag) {
        (Some(text), _) => formatted_text(vm, out, directive, arg, text.as_bytes()),
        (None, Tag::Int) if directive.is_bare() && vm.metatable_of(value).is_none() => {
            write_int(out, value.raw_int());
            Ok(())
        }
        (None, Tag::Float) if directive.is_bare() && vm.metatable_of(value).is_none() => {
            write_float(out, value.raw_float());
            Ok(())
        }
        (None, _) => {
            let text = vm.to_display(value)?;
            vm.push(Value::str(text));
            formatted_text(vm, out, directive, arg, text.as_bytes())?;
            vm.pop();
            Ok(())
        }
    }
}

/// A string as `%s` has it. It must be rooted.
fn formatted_text(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    directive: Directive<'_>,
    arg: usize,
    text: &[u8],
) -> Result<(), Raised> {
    /// From this length on, no width has an effect.
    const TOO_LONG_TO_PAD: usize = 100;
    if directive.is_bare() {
        return append(vm, out, text);
    }
    if find_byte(text, 0).is_some() {
        return Err(vm.arg_error(arg, "string contains zeros"));
    }
    let spec = spec(vm, directive, TEXT_FLAGS, true)?;
    if !directive.has_point() && text.len() >= TOO_LONG_TO_PAD {
        return append(vm, out, text);
    }
    format_bytes(out, &spec, text);
    Ok(())
}

/// `%q`: a literal that Lua reads back.
fn literal(vm: &mut Vm, out: &mut Vec<u8>, arg: usize) -> Result<(), Raised> {
    let value = vm.arg(arg);
    match value.tag {
        Tag::Nil => out.extend_from_slice(b"nil"),
        Tag::False => out.extend_from_slice(b"false"),
        Tag::True => out.extend_from_slice(b"true"),
        Tag::Int if value.raw_int() == i64::MIN => out.extend_from_slice(b"0x8000000000000000"),
        Tag::Int => write_int(out, value.raw_int()),
        Tag::Float => write_float_literal(out, value.raw_float()),
        _ => match value.as_str() {
            Some(text) => {
                buffer::make_room(vm, out, text.len() + 2)?;
                write_quoted(out, text.as_bytes());
            }
            None => return Err(vm.arg_error(arg, "value has no literal form")),
        },
    }
    Ok(())
}

fn write_float_literal(out: &mut Vec<u8>, float: f64) {
    if float == f64::INFINITY {
        out.extend_from_slice(b"1e9999");
    } else if float == f64::NEG_INFINITY {
        out.extend_from_slice(b"-1e9999");
    } else if float.is_nan() {
        out.extend_from_slice(b"(0/0)");
    } else {
        format_float(out, &Spec::default(), FloatStyle::Hex, false, float);
    }
}

fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', byte]),
            _ if byte.is_ascii_control() => {
                out.push(b'\\');
                // A digit behind it must not be read as part of the number.
                if text.get(i + 1).is_some_and(u8::is_ascii_digit) {
                    out.extend_from_slice(&[b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]);
                } else {
                    write_int(out, i64::from(byte));
                }
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        out.escape_ascii().to_string()
    }

    #[test]
    fn quoted_strings_escape_what_would_not_be_read_back() {
        assert_eq!(written(|out| write_quoted(out, b"a\"b\\c\nd")), r#"\"a\\\"b\\\\c\\\nd\""#);
        assert_eq!(written(|out| write_quoted(out, b"\0\x001\r\x7f9\xff")), r#"\"\\0\\0001\\13\\1279\xff\""#);
    }

    #[test]
    fn float_literals_are_exact() {
        assert_eq!(written(|out| write_float_literal(out, 0.1)), "0x1.999999999999ap-4");
        assert_eq!(written(|out| write_float_literal(out, 1.0)), "0x1p+0");
        assert_eq!(written(|out| write_float_literal(out, f64::NEG_INFINITY)), "-1e9999");
        assert_eq!(written(|out| write_float_literal(out, f64::NAN)), "(0/0)");
    }
}
