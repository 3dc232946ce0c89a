//! The first line of a file, which is not always Lua.

/// Skips a byte order mark, and then a first line that begins with `#`, whose line end stays so that
/// lines are counted right. Loaders of files do this; sources from strings have no such line.
#[must_use]
pub fn skip_shebang(source: &[u8]) -> &[u8] {
    let text = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
    if text.first() != Some(&b'#') {
        return text;
    }
    let len = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    &text[len..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_skipped_if_it_begins_with_a_hash() {
        assert_eq!(skip_shebang(b"#!/usr/bin/lua\nprint(1)"), b"\nprint(1)");
        assert_eq!(skip_shebang(b"# x"), b"");
        assert_eq!(skip_shebang(b"x\n#"), b"x\n#");
        assert_eq!(skip_shebang(b""), b"");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(skip_shebang(b"\xef\xbb\xbfx = 1"), b"x = 1");
        assert_eq!(skip_shebang(b"\xef\xbb\xbf#!lua\nx"), b"\nx");
    }
}
