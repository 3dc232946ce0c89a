//! Numbers as C's `fscanf` with `%lf` takes them from a stream, as glibc does it.
//!
//! It decides byte by byte, with no way back: what was taken for the beginning of a numeral is gone when it turns out not
//! to be one. Of what was taken, the longest prefix that is a numeral counts: `1e+` is 1, and nothing of it is left.

use perilune_base::dialect::Dialect;
use perilune_base::num::Num;
use perilune_base::num::parse::text_to_number;
use perilune_vm::host::{HostResult, Stream};

use super::read::{peek, skip_space};

/// Takes a number from a stream; `None` if there is none.
pub(super) fn scan_number(stream: &mut Stream, dialect: &Dialect) -> HostResult<Option<Num>> {
    let mut scan = Scan { stream, text: Vec::new() };
    skip_space(scan.stream)?;
    scan.accept(|b| matches!(b, b'+' | b'-'))?;
    let float = match peek(scan.stream)?.map(|b| b.to_ascii_lowercase()) {
        Some(b'n') => scan.word(b"nan")?.then_some(f64::NAN),
        Some(b'i') => (scan.word(b"inf")? && scan.rest_of_infinity()?).then_some(f64::INFINITY),
        _ => {
            scan.numeral()?;
            return Ok(longest_numeral(&scan.text, dialect));
        }
    };
    let is_negative = scan.text.first() == Some(&b'-');
    Ok(float.map(|float| Num::Float(if is_negative { -float } else { float })))
}

/// The value of the longest prefix that has one. What a scan takes too much is an exponent without digits, or `x.`.
fn longest_numeral(text: &[u8], dialect: &Dialect) -> Option<Num> {
    if text.ends_with(b"x") || text.ends_with(b"X") {
        return None;
    }
    (1..=text.len()).rev().find_map(|end| text_to_number(&text[..end], dialect))
}

/// What has been taken, and the stream where it goes on.
struct Scan<'s> {
    stream: &'s mut Stream,
    text: Vec<u8>,
}

impl Scan<'_> {
    fn accept(&mut self, is_wanted: impl Fn(u8) -> bool) -> HostResult<bool> {
        let Some(byte) = peek(self.stream)?.filter(|byte| is_wanted(*byte)) else { return Ok(false) };
        self.text.push(byte);
        self.stream.consume(1);
        Ok(true)
    }

    /// Takes a word in any case. The byte that is not of the word is gone too.
    fn word(&mut self, word: &[u8]) -> HostResult<bool> {
        for wanted in word {
            if !self.accept(|b| b.eq_ignore_ascii_case(wanted))? {
                if peek(self.stream)?.is_some() {
                    self.stream.consume(1);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Behind `inf`: all of `inity`, if its first letter is there.
    fn rest_of_infinity(&mut self) -> HostResult<bool> {
        match peek(self.stream)? {
            Some(b'i' | b'I') => self.word(b"inity"),
            _ => Ok(true),
        }
    }

    /// Takes what a decimal or hexadecimal numeral may consist of.
    fn numeral(&mut self) -> HostResult<()> {
        let has_zero = self.accept(|b| b == b'0')?;
        let is_hex = has_zero && self.accept(|b| matches!(b, b'x' | b'X'))?;
        let is_digit = |b: u8| if is_hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        let mut has_digits = has_zero && !is_hex;
        let mut has_dot = false;
        loop {
            if self.accept(is_digit)? {
                has_digits = true;
            } else if !has_dot && self.accept(|b| b == b'.')? {
                has_dot = true;
            } else {
                break;
            }
        }
        let exponent = if is_hex { b'p' } else { b'e' };
        if has_digits && self.accept(|b| b.eq_ignore_ascii_case(&exponent))? {
            self.accept(|b| matches!(b, b'+' | b'-'))?;
            while self.accept(|b| b.is_ascii_digit())? {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use perilune_base::dialect::LuaVersion;
    use perilune_vm::host::HostFile;

    use super::*;

    struct Text(Vec<u8>);

    impl HostFile for Text {
        fn read(&mut self, into: &mut [u8]) -> HostResult<usize> {
            let count = self.0.len().min(into.len());
            into[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    #[test]
    fn what_was_taken_is_gone() {
        let infinite = f64::INFINITY;
        for (text, number, left) in [
            ("  -12.3-", Some(-12.3), "-"),
            ("1.2.3", Some(1.2), ".3"),
            ("1e+;", Some(1.0), ";"),
            ("0x1p;", Some(1.0), ";"),
            ("0x.;", Some(0.0), ";"),
            ("0x;", None, ";"),
            (".e1", None, "e1"),
            ("-x", None, "x"),
            ("InfX", Some(infinite), "X"),
            ("-infinity1", Some(-infinite), "1"),
            ("infinite;", None, ";"),
            ("nay", None, ""),
            ("", None, ""),
        ] {
            let mut stream = Stream::new(Box::new(Text(text.as_bytes().to_vec())), false);
            let dialect = Dialect::of(LuaVersion::Lua51, false);
            assert_eq!(scan_number(&mut stream, dialect).unwrap(), number.map(Num::Float), "{text}");
            assert_eq!(stream.fill().unwrap(), left.as_bytes(), "{text}");
        }
    }
}
