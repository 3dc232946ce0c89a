//! `string.format`.

use perilune_base::dialect::library::{FormatInts, FormatText, Quoted};
use perilune_base::num::convert::float_to_int_as_c;
use perilune_base::num::format::{FloatStyle, IntConversion, Spec, format_bytes, format_float, format_int, write_int};
use perilune_runtime::value::{Tag, Value};
use perilune_vm::meta::Event;
use perilune_vm::native::{NativeResult, Raised};
use perilune_vm::vm::Vm;

use crate::numbers::write_float;

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
        let split = if vm.dialect().checked_formats { Directive::split } else { Directive::split_as_c };
        let (directive, behind) = split(rest).map_err(|message| vm.error_bytes(&message))?;
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
        b'a' | b'A' if vm.dialect().hex_float_format => hex_float(vm, out, directive, arg),
        b'f' => float(vm, out, directive, arg, FloatStyle::Fixed),
        b'e' | b'E' => float(vm, out, directive, arg, FloatStyle::Scientific),
        b'g' | b'G' => float(vm, out, directive, arg, FloatStyle::General),
        b'c' => {
            let spec = spec(vm, directive, TEXT_FLAGS, false)?;
            let byte = vm.check_int(arg)? as u8;
            if byte == 0 && vm.dialect().c_strings {
                // The zero ends it.
                format_bytes(out, &spec, &[byte]);
                let end = out.iter().rposition(|b| *b == 0).unwrap_or(out.len());
                out.truncate(end);
            } else {
                format_bytes(out, &spec, &[byte]);
            }
            Ok(())
        }
        b'p' if vm.dialect().pointer_format => pointer(vm, out, directive, arg),
        b'q' if directive.is_bare() || !vm.dialect().checked_formats => literal(vm, out, arg),
        b'q' => Err(vm.error("specifier '%q' cannot have modifiers")),
        b's' => text(vm, out, directive, arg),
        _ if vm.dialect().checked_formats => Err(vm.error_bytes(&directive.unknown())),
        _ => Err(unknown_option(vm, directive.conversion)),
    }
}

/// The error for a conversion that there is not, where directives are not checked as a whole.
#[cold]
fn unknown_option(vm: &mut Vm, conversion: u8) -> Raised {
    let mut message = b"invalid option '%".to_vec();
    match conversion {
        // What comes of `%c` in the message.
        0 if vm.dialect().c_strings => {}
        0 if vm.dialect().integers => message.extend_from_slice(b"<\\0>"),
        byte => message.push(byte),
    }
    message.extend_from_slice(b"' to 'format'");
    vm.error_bytes(&message)
}

fn spec(vm: &mut Vm, directive: Directive<'_>, flags: &[u8], may_have_precision: bool) -> Result<Spec, Raised> {
    if !vm.dialect().checked_formats {
        return Ok(directive.spec_as_c(flags, may_have_precision));
    }
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
    let int = match vm.dialect().format_ints {
        FormatInts::Exact => vm.check_int(arg)?,
        FormatInts::Cut | FormatInts::InRange => cut(vm, arg, conversion)?,
    };
    if directive.is_bare() && conversion == IntConversion::Decimal {
        write_int(out, int);
    } else {
        format_int(out, &spec(vm, directive, flags, true)?, conversion, int);
    }
    Ok(())
}

/// A float argument without its fraction, as C's cast to a signed or unsigned integer does it.
fn cut(vm: &mut Vm, arg: usize, conversion: IntConversion) -> Result<i64, Raised> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    let float = vm.check_float(arg)?;
    let is_signed = conversion == IntConversion::Decimal;
    if vm.dialect().format_ints == FormatInts::InRange {
        let fits = if is_signed { (-TWO_63..TWO_63).contains(&float) } else { float > -1.0 && float < 2.0 * TWO_63 };
        if !fits {
            let kind = if is_signed { "" } else { "non-negative " };
            return Err(vm.arg_error(arg, &format!("not a {kind}number in proper range")));
        }
    }
    Ok(if is_signed || float < TWO_63 || float.is_nan() {
        float_to_int_as_c(float)
    } else {
        float_to_int_as_c(float - TWO_63) ^ i64::MIN
    })
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
        format_int(out, &alternate, IntConversion::LowerHex, vm.shown_address(value)? as i64);
    } else {
        format_bytes(out, &spec, b"(null)");
    }
    debug_assert!(out.len() > start);
    Ok(())
}

/// `%s`
#[inline]
fn text(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, arg: usize) -> Result<(), Raised> {
    if vm.dialect().format_text == FormatText::Strings {
        vm.check_str(arg)?;
    }
    let value = vm.arg(arg);
    // Strings may have a `__tostring`, too, in the metatable that they share; 5.1 does not ask.
    let plain = value
        .as_str()
        .filter(|_| vm.dialect().format_text == FormatText::Strings || vm.metamethod(value, Event::ToString).is_nil());
    match (plain, value.tag) {
        (Some(text), _) if vm.dialect().format_text != FormatText::Whole => c_text(vm, out, directive, text.as_bytes()),
        (Some(text), _) => formatted_text(vm, out, directive, arg, text.as_bytes()),
        (None, Tag::Int) if directive.is_bare() && vm.metatable_of(value).is_none() => {
            write_int(out, value.raw_int());
            Ok(())
        }
        (None, Tag::Float) if directive.is_bare() && vm.metatable_of(value).is_none() => {
            write_float(vm, out, value.raw_float());
            Ok(())
        }
        (None, _) if vm.dialect().format_text == FormatText::Anything => {
            let text = displayed(vm, value)?;
            c_text(vm, out, directive, &text)
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

/// What `%s` makes of a value in a version that does not look at the result of `__tostring`.
fn displayed(vm: &mut Vm, value: Value) -> Result<Vec<u8>, Raised> {
    let handler = vm.metamethod(value, Event::ToString);
    if handler.is_nil() {
        return Ok(vm.to_display(value)?.as_bytes().to_vec());
    }
    let text = vm.call_value(handler, &[value])?;
    let text = vm.number_to_str(text);
    Ok(text.map_or(b"(null)".to_vec(), |text| text.as_bytes().to_vec()))
}

/// From this length on, no width has an effect.
const TOO_LONG_TO_PAD: usize = 100;

/// A string as C has it, which ends at a zero, unless it is so long that the reference does not ask C.
fn c_text(vm: &mut Vm, out: &mut Vec<u8>, directive: Directive<'_>, text: &[u8]) -> Result<(), Raised> {
    if !directive.has_point() && text.len() >= TOO_LONG_TO_PAD {
        return append(vm, out, text);
    }
    let end = find_byte(text, 0).unwrap_or(text.len());
    let spec = spec(vm, directive, TEXT_FLAGS, true)?;
    format_bytes(out, &spec, &text[..end]);
    Ok(())
}

/// A string as `%s` has it. It must be rooted.
fn formatted_text(
    vm: &mut Vm,
    out: &mut Vec<u8>,
    directive: Directive<'_>,
    arg: usize,
    text: &[u8],
) -> Result<(), Raised> {
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
    let quoted = vm.dialect().quoted;
    if matches!(quoted, Quoted::Lines | Quoted::Strings) {
        vm.check_str(arg)?;
    }
    let value = vm.arg(arg);
    match value.tag {
        // What all nils or booleans share may say how they are shown, but not in a way that would have to be read back.
        Tag::Nil | Tag::False | Tag::True if !vm.metamethod(value, Event::ToString).is_nil() => {
            let text = vm.to_display(value)?;
            vm.push(Value::str(text));
            append(vm, out, text.as_bytes())?;
            vm.pop();
        }
        Tag::Nil => out.extend_from_slice(b"nil"),
        Tag::False => out.extend_from_slice(b"false"),
        Tag::True => out.extend_from_slice(b"true"),
        Tag::Int if value.raw_int() == i64::MIN => out.extend_from_slice(b"0x8000000000000000"),
        Tag::Int => write_int(out, value.raw_int()),
        Tag::Float if quoted == Quoted::Literals => {
            format_float(out, &Spec::default(), FloatStyle::Hex, false, value.raw_float());
        }
        Tag::Float => write_float_literal(out, value.raw_float()),
        _ => match value.as_str() {
            Some(text) => quote(vm, out, text.as_bytes())?,
            None => return Err(vm.arg_error(arg, "value has no literal form")),
        },
    }
    Ok(())
}

/// A string between quotation marks. It must be rooted.
fn quote(vm: &mut Vm, out: &mut Vec<u8>, text: &[u8]) -> Result<(), Raised> {
    /// Bytes between two looks at the limits.
    const PIECE: usize = 4 << 10;
    /// Bytes that one unit of fuel pays for, when there are more.
    const BYTES_PER_UNIT: usize = 4;
    /// What a byte becomes at most: a backslash and three digits.
    const LONGEST: usize = 4;
    let write = match vm.dialect().quoted {
        Quoted::Lines => write_quoted_lines,
        Quoted::Strings | Quoted::Literals | Quoted::Expressions => write_quoted,
    };
    out.push(b'"');
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(PIECE));
        if text.len() > PIECE {
            vm.charge((piece.len() / BYTES_PER_UNIT) as u64)?;
        }
        buffer::make_room(vm, out, LONGEST * piece.len())?;
        write(out, piece, behind.first().copied());
        rest = behind;
    }
    out.push(b'"');
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

/// With zeros and carriage returns spelled out, and nothing else.
fn write_quoted_lines(out: &mut Vec<u8>, text: &[u8], _behind: Option<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', byte]),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\000"),
            _ => out.push(byte),
        }
    }
}

/// With control characters as numbers. `behind` follows the text.
fn write_quoted(out: &mut Vec<u8>, text: &[u8], behind: Option<u8>) {
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'"' | b'\\' | b'\n' => out.extend_from_slice(&[b'\\', byte]),
            _ if byte.is_ascii_control() => {
                out.push(b'\\');
                // A digit behind it must not be read as part of the number.
                let next = text.get(i + 1).copied().or(behind);
                if next.is_some_and(|next| next.is_ascii_digit()) {
                    out.extend_from_slice(&[b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]);
                } else {
                    write_int(out, i64::from(byte));
                }
            }
            _ => out.push(byte),
        }
    }
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
        assert_eq!(written(|out| write_quoted(out, b"a\"b\\c\nd", None)), r#"a\\\"b\\\\c\\\nd"#);
        assert_eq!(written(|out| write_quoted(out, b"\0\x001\r\x7f9\xff", None)), r#"\\0\\0001\\13\\1279\xff"#);
        assert_eq!(written(|out| write_quoted(out, b"\0", Some(b'1'))), r"\\000");
        assert_eq!(written(|out| write_quoted(out, b"\0", Some(b'x'))), r"\\0");
    }

    #[test]
    fn float_literals_are_exact() {
        assert_eq!(written(|out| write_float_literal(out, 0.1)), "0x1.999999999999ap-4");
        assert_eq!(written(|out| write_float_literal(out, 1.0)), "0x1p+0");
        assert_eq!(written(|out| write_float_literal(out, f64::NEG_INFINITY)), "-1e9999");
        assert_eq!(written(|out| write_float_literal(out, f64::NAN)), "(0/0)");
    }
}
