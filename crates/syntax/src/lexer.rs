//! Bytes to tokens.
//!
//! The lexer works on the whole source at once: names, numerals and strings without escapes are
//! slices of it until they are interned. Only a string with escapes is put together in a buffer.
//!
//! Lines: `\n`, `\r`, `\r\n` and `\n\r` end a line each. [`Lexer::line`] is the line in which the last
//! token read ends, which is the line that the reference puts into messages.

use perilune_base::dialect::Dialect;
use perilune_base::dialect::table::{EscapeText, Numerals};
use perilune_base::num::Num;
use perilune_base::num::parse::lexical_number;

use crate::error::SyntaxError;
use crate::intern::Interner;
use crate::token::Token;

/// May begin a name.
const ALPHA: u8 = 1 << 0;
/// A decimal digit.
const DIGIT: u8 = 1 << 1;
/// A hexadecimal digit.
const HEX: u8 = 1 << 2;
/// White space, line ends included.
const SPACE: u8 = 1 << 3;

/// The classes of all bytes. Names are ASCII.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphabetic() || b == b'_' {
            classes[byte] |= ALPHA;
        }
        if b.is_ascii_digit() {
            classes[byte] |= DIGIT;
        }
        if b.is_ascii_hexdigit() {
            classes[byte] |= HEX;
        }
        if matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r') {
            classes[byte] |= SPACE;
        }
        byte += 1;
    }
    classes
};

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// What `\` and a letter stand for.
fn simple_escape(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' | b'"' | b'\'' => letter,
        _ => return None,
    })
}

/// Reads the tokens of a source.
pub(crate) struct Lexer<'s> {
    dialect: &'s Dialect,
    source: &'s [u8],
    chunk_name: &'s [u8],
    /// The offset of the next byte.
    pos: usize,
    /// The offset of the first byte of the last token.
    start: usize,
    /// The current line.
    line: u32,
    /// The contents so far of a string with escapes.
    buffer: Vec<u8>,
    /// The names met.
    pub(crate) names: Interner,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s [u8], chunk_name: &'s [u8], dialect: &'s Dialect) -> Self {
        Lexer::at(source, chunk_name, dialect, 0, 1)
    }

    /// A lexer that starts at an offset, which lies in `line`.
    pub(crate) fn at(source: &'s [u8], chunk_name: &'s [u8], dialect: &'s Dialect, offset: usize, line: u32) -> Self {
        let pos = offset.min(source.len());
        Lexer { dialect, source, chunk_name, pos, start: pos, line, buffer: Vec::new(), names: Interner::default() }
    }

    /// The line in which the last token ends.
    #[inline]
    pub(crate) fn line(&self) -> u32 {
        self.line
    }

    /// Leaves out the rest of the source. The tokens that follow lie behind all of it, so that no place in it is theirs.
    pub(crate) fn finish(&mut self) {
        self.pos = self.source.len() + 1;
    }

    /// The offset of the last token.
    #[inline]
    pub(crate) fn start(&self) -> u32 {
        self.start as u32
    }

    /// The offset behind the last token.
    #[inline]
    pub(crate) fn end(&self) -> u32 {
        self.pos as u32
    }

    /// An error near a token, which must be the last one read.
    #[cold]
    pub(crate) fn error_near(&self, what: &[u8], token: Token) -> SyntaxError {
        let near = match token {
            // The reference's mark for "no token" is the zero byte.
            Token::Char(0) => None,
            Token::Name(_) | Token::Int(_) | Token::Float(_) => Some(quote(self.raw())),
            Token::Str(name) => {
                let delimiter = self.string_delimiter();
                let closing: Vec<u8> = delimiter.iter().map(|&byte| closing(byte)).collect();
                Some(quote(&[delimiter, self.names.name(name), &closing].concat()))
            }
            token => Some(token.shown(self.dialect.token_text)),
        };
        SyntaxError::with_token(self.chunk_name, self.dialect, self.line, what, near)
    }

    /// An error about the current line, without a token.
    #[cold]
    pub(crate) fn error_here(&self, what: &[u8]) -> SyntaxError {
        SyntaxError::new(self.chunk_name, self.dialect, self.line, what)
    }

    /// An error in a line, without a token.
    #[cold]
    pub(crate) fn error_at(&self, line: u32, what: &[u8]) -> SyntaxError {
        SyntaxError::new(self.chunk_name, self.dialect, line, what)
    }

    /// An error in the middle of a token, of which `text` has been read.
    #[cold]
    fn error_in_token(&self, what: &str, text: &[u8]) -> SyntaxError {
        SyntaxError::with_token(self.chunk_name, self.dialect, self.line, what.as_bytes(), Some(quote(text)))
    }

    /// The source of the last token.
    fn raw(&self) -> &'s [u8] {
        &self.source[self.start..self.pos]
    }

    /// What opens the string that is the last token: a quote, or a long bracket.
    fn string_delimiter(&self) -> &'s [u8] {
        let raw = &self.source[self.start..];
        let len = match raw {
            [b'[', rest @ ..] => 2 + rest.iter().take_while(|&&byte| byte == b'=').count(),
            _ => 1,
        };
        &raw[..len.min(raw.len())]
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.source.get(self.pos).copied()
    }

    #[inline]
    fn peek_is(&self, class: u8) -> bool {
        self.peek().is_some_and(|byte| is(byte, class))
    }

    /// Steps over a byte if it comes next.
    #[inline]
    fn skip_if(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.pos += usize::from(is_next);
        is_next
    }

    /// Steps over a line end, which begins at the current byte.
    #[inline]
    fn skip_newline(&mut self) {
        let first = self.peek();
        self.pos += 1;
        if let Some(second @ (b'\n' | b'\r')) = self.peek()
            && first != Some(second)
        {
            self.pos += 1;
        }
        self.line += 1;
    }

    /// Reads the next token.
    #[inline]
    pub(crate) fn next_token(&mut self) -> Result<Token, SyntaxError> {
        loop {
            let Some(byte) = self.peek() else {
                self.start = self.pos;
                return Ok(Token::Eof);
            };
            match byte {
                b'\n' | b'\r' => self.skip_newline(),
                b' ' | b'\t' | 0x0b | 0x0c => self.pos += 1,
                b'-' if self.source.get(self.pos + 1) == Some(&b'-') => {
                    self.start = self.pos;
                    self.pos += 2;
                    self.skip_comment()?;
                }
                _ => {
                    self.start = self.pos;
                    return self.token(byte);
                }
            }
        }
    }

    /// Reads the token that begins with `byte`, the current one.
    #[inline]
    fn token(&mut self, byte: u8) -> Result<Token, SyntaxError> {
        if is(byte, ALPHA) {
            return Ok(self.name_or_reserved());
        }
        if is(byte, DIGIT) {
            return self.numeral();
        }
        self.pos += 1;
        Ok(match byte {
            b'"' | b'\'' => return self.string(byte),
            b'[' => match self.long_bracket() {
                Some(level) => return self.long_string(level),
                None if self.peek() == Some(b'=') => {
                    self.pos += self.source[self.pos..].iter().take_while(|&&b| b == b'=').count();
                    return Err(self.error_in_token("invalid long string delimiter", self.raw()));
                }
                None => Token::Char(b'['),
            },
            b'=' if self.skip_if(b'=') => Token::Eq,
            b'<' if self.skip_if(b'=') => Token::Le,
            b'<' if self.has_integers() && self.skip_if(b'<') => Token::Shl,
            b'>' if self.skip_if(b'=') => Token::Ge,
            b'>' if self.has_integers() && self.skip_if(b'>') => Token::Shr,
            b'/' if self.has_integers() && self.skip_if(b'/') => Token::IDiv,
            b'~' if self.skip_if(b'=') => Token::Ne,
            b':' if self.dialect.goto && self.skip_if(b':') => Token::DoubleColon,
            b'.' if self.skip_if(b'.') => {
                if self.skip_if(b'.') {
                    Token::Dots
                } else {
                    Token::Concat
                }
            }
            b'.' if self.peek_is(DIGIT) => {
                self.pos -= 1;
                return self.numeral();
            }
            byte => Token::Char(byte),
        })
    }

    /// Whether there are the operators for integers.
    #[inline]
    fn has_integers(&self) -> bool {
        self.dialect.integer_operators
    }

    #[inline]
    fn name_or_reserved(&mut self) -> Token {
        let rest = &self.source[self.pos..];
        let len = rest.iter().position(|&byte| !is(byte, ALPHA | DIGIT)).unwrap_or(rest.len());
        self.pos += len;
        let word = &rest[..len];
        match Token::reserved(word) {
            Some(Token::Goto) if !self.dialect.goto => Token::Name(self.names.intern(word)),
            Some(Token::Global) if !self.dialect.global_reserved => Token::Name(self.names.intern(word)),
            Some(token) => token,
            None => Token::Name(self.names.intern(word)),
        }
    }

    /// Reads a numeral. As in the reference, everything that could belong to one is taken first, and then
    /// looked at as a whole.
    fn numeral(&mut self) -> Result<Token, SyntaxError> {
        if self.dialect.numerals == Numerals::Words {
            self.skip_number_word();
        } else {
            self.skip_number_digits();
        }
        match lexical_number(self.raw(), self.dialect) {
            Some(Num::Int(int)) => Ok(Token::Int(int)),
            Some(Num::Float(float)) => Ok(Token::Float(float)),
            None => Err(self.error_in_token("malformed number", self.raw())),
        }
    }

    /// Steps over what [`Numerals::Words`] takes for a numeral.
    fn skip_number_word(&mut self) {
        while self.peek().is_some_and(|byte| byte == b'.' || is(byte, DIGIT)) {
            self.pos += 1;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.pos += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.pos += 1;
            }
        }
        while self.peek_is(ALPHA | DIGIT) {
            self.pos += 1;
        }
    }

    /// Steps over what the other [`Numerals`] take for one.
    fn skip_number_digits(&mut self) {
        // A leading point does not hide the prefix, although no numeral is valid that way.
        self.skip_if(b'.');
        let is_hex = matches!(self.source[self.pos..], [b'0', b'x' | b'X', ..]);
        self.pos += if is_hex { 2 } else { 0 };
        let exponent = if is_hex { b'p' } else { b'e' };
        while let Some(byte) = self.peek() {
            if byte | 0x20 == exponent {
                self.pos += 1;
                if matches!(self.peek(), Some(b'+' | b'-')) {
                    self.pos += 1;
                }
            } else if is(byte, HEX) || byte == b'.' {
                self.pos += 1;
            } else {
                break;
            }
        }
        if self.dialect.numerals == Numerals::Separate && self.peek_is(ALPHA) {
            // The numeral touches a letter: take it along, so that the conversion fails.
            self.pos += 1;
        }
    }

    /// Steps over the rest of an opening long bracket, behind its first `[`, and returns its level; stays
    /// if there is none.
    fn long_bracket(&mut self) -> Option<usize> {
        let rest = &self.source[self.pos..];
        let level = rest.iter().take_while(|&&byte| byte == b'=').count();
        (rest.get(level) == Some(&b'[')).then(|| {
            self.pos += level + 1;
            level
        })
    }

    /// Steps over a comment, behind its two dashes.
    fn skip_comment(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(b'[') {
            self.pos += 1;
            if let Some(level) = self.long_bracket() {
                return self.skip_long_text(level, "comment", |_| {});
            }
        }
        let rest = &self.source[self.pos..];
        let len = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        self.pos += len.unwrap_or(rest.len());
        Ok(())
    }

    fn long_string(&mut self, level: usize) -> Result<Token, SyntaxError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.skip_long_text(level, "string", |run| buffer.extend_from_slice(run))?;
        let name = self.names.intern(&buffer);
        self.buffer = buffer;
        Ok(Token::Str(name))
    }

    /// Reads the text of a long bracket of this level up to behind its end, and gives it away in runs, with
    /// every line end as `\n` and without the line end that begins the text.
    fn skip_long_text(&mut self, level: usize, what: &str, mut take: impl FnMut(&[u8])) -> Result<(), SyntaxError> {
        let first_line = self.line;
        if matches!(self.peek(), Some(b'\n' | b'\r')) {
            self.skip_newline();
        }
        loop {
            let rest = &self.source[self.pos..];
            let run = rest.iter().position(|byte| matches!(byte, b']' | b'\n' | b'\r'));
            let run = run.unwrap_or(rest.len());
            if level == 0 && self.dialect.nested_brackets_refused && rest[..run].windows(2).any(|pair| pair == b"[[") {
                return Err(self.error_near(b"nesting of [[...]] is deprecated", Token::Char(b'[')));
            }
            take(&rest[..run]);
            self.pos += run;
            match self.peek() {
                None => {
                    let what = if self.dialect.long_text_starts {
                        format!("unfinished long {what} (starting at line {first_line})")
                    } else {
                        format!("unfinished long {what}")
                    };
                    return Err(self.error_near(what.as_bytes(), Token::Eof));
                }
                Some(b']') => {
                    let rest = &self.source[self.pos + 1..];
                    let equals = rest.iter().take_while(|&&byte| byte == b'=').count();
                    if equals == level && rest.get(level) == Some(&b']') {
                        self.pos += level + 2;
                        return Ok(());
                    }
                    // The next bracket may be the first one of the end.
                    take(&self.source[self.pos..=self.pos + equals]);
                    self.pos += 1 + equals;
                }
                Some(_) => {
                    self.skip_newline();
                    take(b"\n");
                }
            }
        }
    }

    /// Reads a string, behind its opening quote.
    fn string(&mut self, quote: u8) -> Result<Token, SyntaxError> {
        let first = self.plain_run(quote);
        if self.skip_if(quote) {
            return Ok(Token::Str(self.names.intern(first)));
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(first);
        loop {
            match self.peek() {
                None => return Err(self.error_near(b"unfinished string", Token::Eof)),
                Some(b'\n' | b'\r') => {
                    return Err(self.error_in_string("unfinished string", self.pos));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => break,
            }
            let run = self.plain_run(quote);
            self.buffer.extend_from_slice(run);
        }
        // A run stops at a quote, a backslash, a line end or the end of the source.
        self.pos += 1;
        Ok(Token::Str(self.names.intern(&self.buffer)))
    }

    /// Steps over the bytes of a string that stand for themselves.
    #[inline]
    fn plain_run(&mut self, quote: u8) -> &'s [u8] {
        let rest = &self.source[self.pos..];
        let is_special = |&byte: &u8| byte == quote || matches!(byte, b'\\' | b'\n' | b'\r');
        let len = rest.iter().position(is_special).unwrap_or(rest.len());
        self.pos += len;
        &rest[..len]
    }

    /// An error in a string, quoting what has been read of it: the contents so far, and the source from
    /// `escape` to the current byte.
    #[cold]
    fn error_in_string(&self, what: &str, escape: usize) -> SyntaxError {
        let quote = &self.source[self.start..=self.start];
        let text = [quote, &self.buffer, &self.source[escape..self.pos]].concat();
        self.error_in_token(what, &text)
    }

    /// The error that an escape is not as it has to be, quoting the byte in its way too.
    #[cold]
    fn error_in_escape(&mut self, what: &str, escape: usize) -> SyntaxError {
        match self.dialect.escape_text {
            EscapeText::Whole => {
                self.pos += usize::from(self.pos < self.source.len());
                self.error_in_string(what, escape)
            }
            EscapeText::Alone => {
                // Decimal digits have been taken already.
                let is_decimal = self.source.get(escape + 1).is_some_and(u8::is_ascii_digit);
                self.pos += usize::from(self.pos < self.source.len() && !is_decimal);
                self.error_in_token(what, &self.source[escape..self.pos])
            }
            EscapeText::Before => self.error_in_string(what, self.pos),
        }
    }

    /// Reads an escape sequence into the buffer.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        let start = self.pos;
        self.pos += 1;
        let Some(letter) = self.peek() else {
            // The end of the source is reported as the end of the string.
            return Ok(());
        };
        match letter {
            b'x' if self.dialect.hex_escapes => {
                self.pos += 1;
                let high = self.hex_digit(start)?;
                let low = self.hex_digit(start)?;
                self.buffer.push((high << 4 | low) as u8);
            }
            b'u' if let Some(max) = self.dialect.unicode_escapes => self.utf8_escape(start, max)?,
            b'z' if self.dialect.hex_escapes => {
                self.pos += 1;
                while let Some(byte) = self.peek().filter(|&byte| is(byte, SPACE)) {
                    if matches!(byte, b'\n' | b'\r') {
                        self.skip_newline();
                    } else {
                        self.pos += 1;
                    }
                }
            }
            b'\n' | b'\r' => {
                self.skip_newline();
                self.buffer.push(b'\n');
            }
            b'0'..=b'9' => self.decimal_escape(start)?,
            letter => match simple_escape(letter) {
                Some(byte) => {
                    self.pos += 1;
                    self.buffer.push(byte);
                }
                None if self.dialect.hex_escapes => return Err(self.error_in_escape("invalid escape sequence", start)),
                None => {
                    self.pos += 1;
                    self.buffer.push(letter);
                }
            },
        }
        Ok(())
    }

    /// Reads one hexadecimal digit of the escape that begins at `escape`.
    fn hex_digit(&mut self, escape: usize) -> Result<u32, SyntaxError> {
        match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
            Some(digit) => {
                self.pos += 1;
                Ok(digit)
            }
            None => Err(self.error_in_escape("hexadecimal digit expected", escape)),
        }
    }

    /// `\u{XXX}`
    fn utf8_escape(&mut self, escape: usize, max: u32) -> Result<(), SyntaxError> {
        self.pos += 1;
        if !self.skip_if(b'{') {
            return Err(self.error_in_escape("missing '{'", escape));
        }
        let mut value = self.hex_digit(escape)?;
        while let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
            match value.checked_mul(16).map(|value| value | digit) {
                Some(larger) if larger <= max => value = larger,
                _ => return Err(self.error_in_escape("UTF-8 value too large", escape)),
            }
            self.pos += 1;
        }
        if !self.skip_if(b'}') {
            return Err(self.error_in_escape("missing '}'", escape));
        }
        push_utf8(&mut self.buffer, value);
        Ok(())
    }

    /// `\ddd`
    fn decimal_escape(&mut self, escape: usize) -> Result<(), SyntaxError> {
        const MAX_DIGITS: usize = 3;
        let mut value = 0;
        for _ in 0..MAX_DIGITS {
            let Some(digit @ b'0'..=b'9') = self.peek() else {
                break;
            };
            self.pos += 1;
            value = value * 10 + u32::from(digit - b'0');
        }
        match u8::try_from(value) {
            Ok(byte) => {
                self.buffer.push(byte);
                Ok(())
            }
            Err(_) if self.dialect.escape_text == EscapeText::Before => {
                Err(self.error_in_escape("escape sequence too large", escape))
            }
            Err(_) => Err(self.error_in_escape("decimal escape too large", escape)),
        }
    }
}

/// The text of a token in quotes, as far as the reference's C strings show it.
fn quote(text: &[u8]) -> Vec<u8> {
    let shown = text.split(|&byte| byte == 0).next().unwrap_or_default();
    [b"'", shown, b"'"].concat()
}

/// What closes a string at the place of this byte of its opening delimiter.
fn closing(byte: u8) -> u8 {
    if byte == b'[' { b']' } else { byte }
}

/// Appends a code point of up to 31 bits in UTF-8 as it was first defined, in up to six bytes
/// (`luaO_utf8esc`).
fn push_utf8(out: &mut Vec<u8>, mut value: u32) {
    if let Ok(ascii @ 0..=0x7f) = u8::try_from(value) {
        out.push(ascii);
        return;
    }
    let mut bytes = [0; 6];
    let mut at = bytes.len();
    // The largest value that fits the first byte, which has one bit less for each byte that follows.
    let mut first_max = 0x3f;
    while value > first_max {
        at -= 1;
        bytes[at] = 0x80 | (value & 0x3f) as u8;
        value >>= 6;
        first_max >>= 1;
    }
    at -= 1;
    bytes[at] = (!first_max << 1) as u8 | value as u8;
    out.extend_from_slice(&bytes[at..]);
}

#[cfg(test)]
#[path = "lexer_tests.rs"]
mod tests;
