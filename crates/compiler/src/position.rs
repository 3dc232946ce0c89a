//! Where in the source the compiler stands.
//!
//! The reference compiles while it reads, so that the line of an instruction is the line of the last token consumed when
//! the instruction is emitted, and an error is reported at the token that follows. The walk over the tree keeps a
//! [`Position`] that imitates this. Tokens without a node of their own (commas, `then`, `do`) are found again in the
//! source, between two nodes.

/// The last token consumed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// Its line.
    pub line: u32,
    /// An offset behind it; `skip` bytes more if this is the offset in front of it.
    pub end: u32,
    /// See `end`.
    pub skip: u8,
}

impl Position {
    /// Behind the token that ends at `end`.
    pub(crate) fn behind(line: u32, end: u32) -> Position {
        Position { line, end, skip: 0 }
    }
}

/// Skips white space and comments from `offset`, which is in line `line`. Returns the offset and line of what follows.
pub(crate) fn skip_blank(source: &[u8], offset: u32, line: u32) -> (u32, u32) {
    let mut at = offset as usize;
    let mut line = line;
    while let Some(&byte) = source.get(at) {
        match byte {
            b'\n' | b'\r' => {
                at = behind_newline(source, at);
                line += 1;
            }
            b' ' | b'\t' | b'\x0b' | b'\x0c' => at += 1,
            b'-' if source.get(at + 1) == Some(&b'-') => (at, line) = skip_comment(source, at + 2, line),
            _ => break,
        }
    }
    (at as u32, line)
}

/// Skips a comment whose two dashes end at `at`.
fn skip_comment(source: &[u8], at: usize, line: u32) -> (usize, u32) {
    let rest = &source[at.min(source.len())..];
    let level = match rest.split_first() {
        Some((b'[', rest)) => {
            let level = rest.iter().take_while(|&&byte| byte == b'=').count();
            (rest.get(level) == Some(&b'[')).then_some(level)
        }
        _ => None,
    };
    match level {
        Some(level) => skip_long_bracket(source, at + level + 2, level, line),
        None => {
            let len = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            (at + len.unwrap_or(rest.len()), line)
        }
    }
}

/// Skips to behind the bracket that closes a long bracket of this level.
fn skip_long_bracket(source: &[u8], mut at: usize, level: usize, mut line: u32) -> (usize, u32) {
    while let Some(&byte) = source.get(at) {
        match byte {
            b'\n' | b'\r' => {
                at = behind_newline(source, at);
                line += 1;
            }
            b']' => {
                let rest = &source[at + 1..];
                let equals = rest.iter().take_while(|&&byte| byte == b'=').count();
                at += 1 + equals;
                if equals == level && source.get(at) == Some(&b']') {
                    return (at + 1, line);
                }
            }
            _ => at += 1,
        }
    }
    (at, line)
}

/// Behind the line break at `at`: one character, or a pair of two different ones.
fn behind_newline(source: &[u8], at: usize) -> usize {
    match source.get(at + 1) {
        Some(&next) if (next == b'\n' || next == b'\r') && next != source[at] => at + 2,
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::skip_blank;

    #[test]
    fn blanks_and_comments_are_skipped_and_lines_counted() {
        assert_eq!(skip_blank(b"  x", 0, 1), (2, 1));
        assert_eq!(skip_blank(b"\r\n\n\r x", 0, 1), (5, 3));
        assert_eq!(skip_blank(b"-- a\n--[[ b\n ]=]\n]] --[==[]]]==] x", 0, 7), (33, 10));
        assert_eq!(skip_blank(b"--[= not long\n-x", 0, 1), (14, 2));
        assert_eq!(skip_blank(b"--", 0, 1), (2, 1));
        assert_eq!(skip_blank(b"--[[", 0, 1), (4, 1));
        assert_eq!(skip_blank(b"", 0, 1), (0, 1));
    }
}
