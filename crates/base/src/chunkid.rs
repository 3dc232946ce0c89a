//! How the name of a chunk is shown in messages (`luaO_chunkid`).

use crate::dialect::Dialect;
use crate::dialect::table::NameText;
use crate::limits::LUA_IDSIZE;

const DOTS: &[u8] = b"...";
const PREFIX: &[u8] = b"[string \"";
const SUFFIX: &[u8] = b"\"]";

/// The short form of a chunk name in run-time messages, at most [`LUA_IDSIZE`]` - 1` bytes.
///
/// `=name` is shown as it stands, cut at the end; `@file` is a file name, cut at its beginning; any
/// other name is source text, of which the first line is shown as `[string "..."]`. A zero byte ends
/// the name.
#[must_use]
pub fn chunkid(source: &[u8], dialect: &Dialect) -> Vec<u8> {
    chunkid_of_size(source, dialect.name_text, LUA_IDSIZE)
}

/// The short form of a chunk name in messages about its syntax.
#[must_use]
pub fn chunkid_of_syntax(source: &[u8], dialect: &Dialect) -> Vec<u8> {
    chunkid_of_size(source, dialect.name_text, dialect.syntax_name_size)
}

fn chunkid_of_size(source: &[u8], style: NameText, size: usize) -> Vec<u8> {
    /// What the reference once set aside around a file name and around source text.
    const FILE_PADDING: usize = 8;
    const TEXT_PADDING: usize = 17;
    let room = size - 1;
    let source = source.split(|&byte| byte == 0).next().unwrap_or_default();
    match source.split_first() {
        Some((b'=', name)) => name[..name.len().min(room)].to_vec(),
        Some((b'@', name)) if style == NameText::Padded => {
            let room = size - FILE_PADDING;
            let dots = if name.len() > room { DOTS } else { b"" };
            [dots, &name[name.len().saturating_sub(room)..]].concat()
        }
        Some((b'@', name)) if name.len() <= room => name.to_vec(),
        Some((b'@', name)) => {
            let tail = &name[name.len() - (room - DOTS.len())..];
            [DOTS, tail].concat()
        }
        _ => {
            let first_line = source.split(|&byte| byte == b'\n').next().unwrap_or_default();
            if style == NameText::Padded {
                // Here a carriage return ends a line too.
                let line = first_line.split(|&byte| byte == b'\r').next().unwrap_or_default();
                let head = &line[..line.len().min(size - TEXT_PADDING)];
                let dots = if head.len() < source.len() { DOTS } else { b"" };
                return [PREFIX, head, dots, SUFFIX].concat();
            }
            let is_whole = first_line.len() == source.len();
            let room = room - PREFIX.len() - DOTS.len() - SUFFIX.len();
            if is_whole && first_line.len() < room {
                [PREFIX, first_line, SUFFIX].concat()
            } else {
                let head = &first_line[..first_line.len().min(room)];
                [PREFIX, head, DOTS, SUFFIX].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        String::from_utf8(chunkid(source.as_bytes(), Dialect::DEFAULT)).unwrap()
    }

    #[test]
    fn names_that_are_given_are_cut_at_the_end() {
        assert_eq!(shown("=stdin"), "stdin");
        assert_eq!(shown("="), "");
        assert_eq!(shown(&format!("={}", "x".repeat(100))), "x".repeat(59));
    }

    #[test]
    fn file_names_are_cut_at_the_beginning() {
        assert_eq!(shown("@file.lua"), "file.lua");
        assert_eq!(shown(&format!("@{}", "x".repeat(59))), "x".repeat(59));
        let long = format!("@a{}z", "x".repeat(58));
        assert_eq!(shown(&long), format!("...{}z", "x".repeat(55)));
    }

    #[test]
    fn old_versions_leave_more_room() {
        let dialect = Dialect::of(crate::dialect::LuaVersion::Lua51, false);
        let shown = |source: String| chunkid(source.as_bytes(), dialect).len();
        assert_eq!((shown("x".repeat(43)), shown("x".repeat(44))), (54, 57));
        assert_eq!((shown(format!("@{}", "x".repeat(52))), shown(format!("@{}", "x".repeat(53)))), (52, 55));
        assert_eq!(chunkid_of_syntax("x".repeat(64).as_bytes(), dialect).len(), 77);
    }

    #[test]
    fn source_text_shows_its_first_line() {
        assert_eq!(shown("return 1"), "[string \"return 1\"]");
        assert_eq!(shown(""), "[string \"\"]");
        assert_eq!(shown("a\nb"), "[string \"a...\"]");
        assert_eq!(shown(&"x".repeat(44)), format!("[string \"{}\"]", "x".repeat(44)));
        assert_eq!(shown(&"x".repeat(45)), format!("[string \"{}...\"]", "x".repeat(45)));
    }
}
