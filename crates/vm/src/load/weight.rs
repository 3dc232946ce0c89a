//! How much memory a source takes to compile, estimated before it is.
//!
//! Almost all of it is for tokens: the compiler's nodes, instructions and constants. What stands in comments takes nothing,
//! and the text of a literal is only copied, so a file of data may be large without taking much:
//!
//! ```lua
//! -- A long comment.                      nothing
//! local text = "many words in a literal"  four tokens, and two copies of the text
//! ```
//! The scanner knows just enough of the lexical grammar to find where comments and literals end. Where a source
//! violates it, any estimate will do.

/// Memory that the compiler takes for a token, about the most that dense programs show.
const BYTES_PER_TOKEN: usize = 64;

/// How often the text of a literal exists: as the compiler's constant, and as the string made of it.
const COPIES: usize = 2;

/// About how many bytes the compilation of a source takes.
pub(super) fn of(source: &[u8]) -> usize {
    let (mut tokens, mut text) = (0_usize, 0_usize);
    let mut rest = source;
    while let Some(&first) = rest.first() {
        let len = match first {
            b'-' if rest.get(1) == Some(&b'-') => 2 + comment(&rest[2..]),
            b'"' | b'\'' => {
                let len = 1 + quoted(&rest[1..], first);
                text += len;
                tokens += 1;
                len
            }
            b'[' => {
                let len = bracketed(rest).unwrap_or(1);
                // A lone bracket has no text.
                text += len - 1;
                tokens += 1;
                len
            }
            _ if first.is_ascii_whitespace() => 1,
            _ => {
                tokens += 1;
                word(rest).max(1)
            }
        };
        rest = &rest[len..];
    }
    tokens.saturating_mul(BYTES_PER_TOKEN).saturating_add(text.saturating_mul(COPIES))
}

/// The length of the name or number that a source begins with.
fn word(source: &[u8]) -> usize {
    let goes_on = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    source.iter().position(|byte| !goes_on(byte)).unwrap_or(source.len())
}

/// The length of a comment after its dashes, the line's end excluded.
fn comment(source: &[u8]) -> usize {
    bracketed(source).unwrap_or_else(|| source.iter().position(|&byte| byte == b'\n').unwrap_or(source.len()))
}

/// The length of a literal after its first quote: up to the same one or, in what cannot be compiled, to the line's end.
fn quoted(source: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\n' => return at,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    source.len()
}

/// The length of a long literal (`[[...]]`, `[=[...]=]`) that a source begins with, if it does.
fn bracketed(source: &[u8]) -> Option<usize> {
    let level = source.strip_prefix(b"[")?.iter().take_while(|&&byte| byte == b'=').count();
    let opening = level + 2;
    if source.get(opening - 1) != Some(&b'[') {
        return None;
    }
    let mut at = opening;
    while let Some(found) = source[at..].iter().position(|&byte| byte == b']') {
        at += found + 1;
        let signs = source[at..].iter().take_while(|&&byte| byte == b'=').count();
        if signs == level && source.get(at + signs) == Some(&b']') {
            return Some(at + signs + 1);
        }
    }
    Some(source.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn weighs(source: &[u8], tokens: usize, text: usize) {
        assert_eq!(of(source), tokens * BYTES_PER_TOKEN + text * COPIES, "{}", source.escape_ascii());
    }

    #[test]
    fn tokens_are_words_and_other_characters() {
        weighs(b"", 0, 0);
        weighs(b"x=1 ", 3, 0);
        weighs(b"local value_2 = f(a.b, -c)\n", 12, 0);
        weighs(b"   \n\t ", 0, 0);
        weighs(b"a[b[1]]", 7, 0);
    }

    #[test]
    fn comments_weigh_nothing() {
        weighs(b"x -- y z\n= 1", 3, 0);
        weighs(b"x --[[ y\n z ]] = 1", 3, 0);
        weighs(b"x --[==[ y ]] ]=] z ]==] = 1", 3, 0);
        weighs(b"--[=x[ y\nz", 1, 0);
        weighs(b"--", 0, 0);
    }

    #[test]
    fn literals_are_one_token_and_their_text() {
        weighs(br#"x = "a b c""#, 3, 7);
        weighs(br#"x = 'it\'s "one"' y"#, 4, 13);
        weighs(b"f[[a b]] y", 3, 6);
        weighs(b"f[=[a ]] b]=]", 2, 11);
    }

    #[test]
    fn broken_sources_end() {
        for source in [&b"'"[..], b"'\\", b"'a\nb'", b"[[", b"[==[ ]=]", b"[=", b"[", b"--[["] {
            assert!(of(source) <= 4 * BYTES_PER_TOKEN + 10 * COPIES, "{}", source.escape_ascii());
        }
    }
}
