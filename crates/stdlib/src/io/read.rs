//! What the read formats take from a stream. Everything is appended to a buffer of the caller.

use perilune_base::dialect::Dialect;
use perilune_base::limits::MAX_NUMERAL;
use perilune_base::num::Num;
use perilune_base::num::parse::text_to_number;
use perilune_vm::host::{HostResult, Stream};

/// What was read of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinePart {
    /// Its end.
    Last,
    /// Something that does not end it.
    Inner,
    /// Nothing: the file has ended.
    Missing,
}

/// Appends what the stream has at hand of a line, with the line's end if asked for.
pub(super) fn read_line_part(stream: &mut Stream, into: &mut Vec<u8>, keep_end: bool) -> HostResult<LinePart> {
    let unread = stream.fill()?;
    if unread.is_empty() {
        return Ok(LinePart::Missing);
    }
    match unread.iter().position(|&b| b == b'\n') {
        Some(end) => {
            into.extend_from_slice(&unread[..end + usize::from(keep_end)]);
            stream.consume(end + 1);
            Ok(LinePart::Last)
        }
        None => {
            into.extend_from_slice(unread);
            let count = unread.len();
            stream.consume(count);
            Ok(LinePart::Inner)
        }
    }
}

/// Whether nothing is left to read.
pub(super) fn is_at_end(stream: &mut Stream) -> HostResult<bool> {
    Ok(stream.fill()?.is_empty())
}

/// Reads the longest prefix of a numeral, and gives its value if it is a whole one. What is not part of a numeral is left
/// in the stream; what could have begun one is gone.
pub(super) fn read_number(stream: &mut Stream, dialect: &Dialect) -> HostResult<Option<Num>> {
    let mut text = Numeral { stream, text: Vec::new(), is_too_long: false };
    skip_space(text.stream)?;
    text.accept(b"+-")?;
    let mut is_hex = false;
    let mut digits = 0;
    if text.accept(b"0")? {
        if text.accept(b"xX")? {
            is_hex = true;
        } else {
            digits = 1;
        }
    }
    digits += text.accept_digits(is_hex)?;
    if text.accept(b".")? {
        digits += text.accept_digits(is_hex)?;
    }
    if digits > 0 && text.accept(if is_hex { b"pP" } else { b"eE" })? {
        text.accept(b"+-")?;
        text.accept_digits(false)?;
    }
    Ok(if text.is_too_long { None } else { text_to_number(&text.text, dialect) })
}

/// The next byte, which stays in the stream.
pub(super) fn peek(stream: &mut Stream) -> HostResult<Option<u8>> {
    Ok(stream.fill()?.first().copied())
}

/// Takes white space.
pub(super) fn skip_space(stream: &mut Stream) -> HostResult<()> {
    while let Some(b' ' | b'\t'..=b'\r') = peek(stream)? {
        stream.consume(1);
    }
    Ok(())
}

/// The beginning of a numeral, and the stream where it goes on.
struct Numeral<'s> {
    stream: &'s mut Stream,
    text: Vec<u8>,
    /// Longer than any numeral that is accepted: nothing more is taken.
    is_too_long: bool,
}

impl Numeral<'_> {
    fn accept(&mut self, set: &[u8]) -> HostResult<bool> {
        self.accept_if(|b| set.contains(&b))
    }

    fn accept_digits(&mut self, is_hex: bool) -> HostResult<usize> {
        let mut count = 0;
        while self.accept_if(|b| if is_hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() })? {
            count += 1;
        }
        Ok(count)
    }

    fn accept_if(&mut self, is_wanted: impl Fn(u8) -> bool) -> HostResult<bool> {
        match peek(self.stream)? {
            Some(byte) if is_wanted(byte) => {
                if self.text.len() >= MAX_NUMERAL {
                    self.is_too_long = true;
                    return Ok(false);
                }
                self.text.push(byte);
                self.stream.consume(1);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use perilune_vm::host::HostFile;

    use super::*;

    /// Gives three bytes at a time.
    struct Slow(Vec<u8>);

    impl HostFile for Slow {
        fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
            let count = self.0.len().min(3);
            into[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn stream(text: &str) -> Stream {
        Stream::new(Box::new(Slow(text.as_bytes().to_vec())), false)
    }

    /// A line, unless the file is at its end.
    fn line(stream: &mut Stream, keep_end: bool) -> Option<String> {
        let mut line = Vec::new();
        while read_line_part(stream, &mut line, keep_end).unwrap() == LinePart::Inner {}
        let line = String::from_utf8(line).unwrap();
        (!line.is_empty() || !is_at_end(stream).unwrap()).then_some(line)
    }

    fn rest(stream: &mut Stream) -> String {
        line(stream, true).unwrap_or_default()
    }

    #[test]
    fn lines_end_with_a_newline_or_the_file() {
        let mut s = stream("\n\nline one\nother");
        assert_eq!(line(&mut s, true).as_deref(), Some("\n"));
        assert_eq!(line(&mut s, false).as_deref(), Some(""));
        assert_eq!(line(&mut s, true).as_deref(), Some("line one\n"));
        assert_eq!(line(&mut s, true).as_deref(), Some("other"));
        assert_eq!(line(&mut s, true), None);
        assert_eq!(read_line_part(&mut s, &mut Vec::new(), true), Ok(LinePart::Missing));
    }

    #[test]
    fn numerals_end_where_they_cannot_go_on() {
        for (text, number, left) in [
            ("  -12.3-\t", Some(Num::Float(-12.3)), "-\t"),
            ("-0xffff+  ", Some(Num::Int(-0xffff)), "+  "),
            (".3|", Some(Num::Float(0.3)), "|"),
            ("5.E-3X", Some(Num::Float(5e-3)), "X"),
            ("+234e+13E", Some(Num::Float(234e13)), "E"),
            ("0xDEADBEEFDEADBEEFx", Some(Num::Int(0xDEAD_BEEF_DEAD_BEEF_u64 as i64)), "x"),
            ("0x1.13Ap+3e", Some(Num::Float(8.0 + 0x13A as f64 / 512.0)), "e"),
            (".e+", None, "e+"),
            ("0.e;", None, ";"),
            ("--;", None, "-;"),
            ("0xX;", None, "X;"),
            ("", None, ""),
            ("nan", None, "nan"),
        ] {
            let mut s = stream(text);
            assert_eq!(read_number(&mut s, Dialect::DEFAULT).unwrap(), number, "{text}");
            assert_eq!(rest(&mut s), left, "{text}");
        }
    }

    #[test]
    fn numerals_that_are_too_long_leave_their_tail() {
        let mut s = stream(&format!("1234{}\n", "0".repeat(1000)));
        assert_eq!(read_number(&mut s, Dialect::DEFAULT).unwrap(), None);
        assert_eq!(rest(&mut s), format!("{}\n", "0".repeat(804)));
    }
}
