//! Whether an output is the expected one, and a short account of where it is not.

use std::fmt::Write;

/// Lines shown before the first difference.
const BEFORE: usize = 2;

/// Lines shown of each side from the first difference on.
const AFTER: usize = 6;

/// Bytes shown of a line.
const WIDTH: usize = 300;

/// `Ok` if both are equal; else the first difference.
///
/// # Errors
/// The account of the difference.
pub fn same(what: &str, expected: &[u8], actual: &[u8]) -> Result<(), String> {
    if expected == actual { Ok(()) } else { Err(difference(what, expected, actual)) }
}

/// `Ok` if what was printed is the beginning of what is expected; else the first difference.
///
/// # Errors
/// The account of the difference.
pub fn beginning(what: &str, expected: &[u8], actual: &[u8]) -> Result<(), String> {
    if expected.starts_with(actual) { Ok(()) } else { Err(difference(what, expected, actual)) }
}

fn difference(what: &str, expected: &[u8], actual: &[u8]) -> String {
    let expected: Vec<&[u8]> = expected.split(|&b| b == b'\n').collect();
    let actual: Vec<&[u8]> = actual.split(|&b| b == b'\n').collect();
    let at = expected.iter().zip(&actual).take_while(|(e, a)| e == a).count();
    let mut text = format!("{what} differs at line {}:\n", at + 1);
    for line in &expected[at.saturating_sub(BEFORE)..at] {
        show(&mut text, ' ', line);
    }
    for (sign, lines) in [('-', &expected), ('+', &actual)] {
        for line in lines[at..].iter().take(AFTER) {
            show(&mut text, sign, line);
        }
        if lines.len() > at + AFTER {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{sign} ... {} more lines", lines.len() - at - AFTER);
        }
    }
    text
}

fn show(text: &mut String, sign: char, line: &[u8]) {
    let shown = &line[..line.len().min(WIDTH)];
    let rest = if line.len() > WIDTH { "..." } else { "" };
    let _ = writeln!(text, "{sign} {}{rest}", String::from_utf8_lossy(shown));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_with_its_surroundings() {
        assert_eq!(same("output", b"a\n", b"a\n"), Ok(()));
        let text = same("output", b"1\n2\n3\nx\n", b"1\n2\n3\ny\n").unwrap_err();
        assert_eq!(text, "output differs at line 4:\n  2\n  3\n- x\n- \n+ y\n+ \n");
    }

    #[test]
    fn a_beginning_is_enough_where_it_is_asked_for() {
        assert_eq!(beginning("output", b"abc\n", b"ab"), Ok(()));
        assert!(beginning("output", b"abc\n", b"ad").is_err());
    }
}
