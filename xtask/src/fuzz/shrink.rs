//! Makes a program smaller as long as it still shows a difference.
//!
//! A program has a statement a line, or a block whose first and last line stand one level out. What is tried, again and
//! again until nothing helps: to leave out a run of lines, a block, or only the first and last line of a block.

/// The smallest program found for which `differs` holds.
pub fn shrink(text: &str, mut differs: impl FnMut(&str) -> bool) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    loop {
        let before = lines.len();
        let mut at = lines.len();
        while at > 0 {
            at -= 1;
            for left in candidates(&lines, at) {
                if differs(&(left.join("\n") + "\n")) {
                    lines = left;
                    break;
                }
            }
            at = at.min(lines.len());
        }
        if lines.len() == before {
            return lines.join("\n") + "\n";
        }
    }
}

/// The programs that are left when something at a line is taken away, the smallest first.
fn candidates<'a>(lines: &[&'a str], at: usize) -> Vec<Vec<&'a str>> {
    let without = |from: usize, to: usize| [&lines[..from], &lines[to..]].concat();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    if at + 1 < lines.len() && indent(lines[at + 1]) > indent(lines[at]) {
        let body = lines[at + 1..].iter().take_while(|line| indent(line) > indent(lines[at])).count();
        let end = at + 1 + body;
        if end < lines.len() {
            found.push(without(at, end + 1));
            found.push([&lines[..at], &lines[at + 1..end], &lines[end + 1..]].concat());
        }
    }
    found.push(without(at, at + 1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let text =
            "local a = 1\nfor i = 1, 2 do\n  local b = 2\n  bad()\n  if a then\n    b = 3\n  end\nend\nprint(a)\n";
        assert_eq!(shrink(text, |text| text.contains("bad")), "  bad()\n");
        assert_eq!(shrink(text, |text| text.contains("b = 3") && text.contains("for")), "for i = 1, 2 do\n    b = 3\n");
    }
}
