//! Pattern matching against calls recorded from the reference interpreter, and what matching costs the meter.

use super::super::meter::testing::{Budget, UsedUp};
use super::*;

/// What `string.find` gives, written like the results of the recorded calls.
fn find(subject: &[u8], pattern: &[u8]) -> Vec<u8> {
    let (is_anchored, pattern) = match pattern {
        [b'^', pattern @ ..] => (true, pattern),
        pattern => (false, pattern),
    };
    let mut meter = Budget(u64::MAX);
    let mut matcher = Matcher::new(subject, pattern);
    let found = if is_anchored {
        matcher.try_at(&mut meter, 0).map(|end| end.map(|end| (0, end)))
    } else {
        matcher.find_lead();
        matcher.search(&mut meter, 0)
    };
    let error = |error: PatternError| format!("error: {error}").into_bytes();
    match found {
        Err(Stop::Meter(UsedUp)) => b"used up".to_vec(),
        Err(Stop::Pattern(e)) => error(e),
        Ok(None) => b"nil".to_vec(),
        Ok(Some((start, end))) => {
            let mut out = format!("{} {end}", start + 1).into_bytes();
            for index in 0..matcher.level() {
                match matcher.capture(index, start, end) {
                    Ok(Captured::Text(text)) => out.extend([b" '", text, b"'"].concat()),
                    Ok(Captured::Position(position)) => out.extend(format!(" {position}").bytes()),
                    Err(e) => return error(e),
                }
            }
            out
        }
    }
}

#[test]
fn finds_what_the_reference_finds() {
    // Recorded from `string.find` of the reference.
    let recorded: &[(&[u8], &[u8], &[u8])] = &[
        (b"hello world", b"o w", b"5 7"),
        (b"hello", b"l+", b"3 4"),
        (b"hello", b"(l)(l)", b"3 4 'l' 'l'"),
        (b"hello", b"()ll()", b"3 4 3 5"),
        (b"key = value", b"^(%w+)%s*=%s*(%w+)$", b"1 11 'key' 'value'"),
        (b"  trim me  ", b"^%s*(.-)%s*$", b"1 11 'trim me'"),
        (b"f(a(b)c)d", b"%b()", b"2 8"),
        (b"THE (quick) fox", b"%f[%a]%a+%f[%A]", b"1 3"),
        (b"THE", b"%f[%z]", b"4 3"),
        (b"abcabc", b"(abc)%1", b"1 6 'abc'"),
        (b"aXb", b"%u", b"2 2"),
        (b"a-b", b"[a%-]+", b"1 2"),
        (b"a]b", b"[]]", b"2 2"),
        (b"a^b", b"[b^]", b"2 2"),
        (b"a.b", b"%.", b"2 2"),
        (b"", b"^$", b"1 0"),
        (b"", b"a*", b"1 0"),
        (b"aaa", b"a-", b"1 0"),
        (b"aaab", b"a-b", b"1 4"),
        (b"aaab", b"^a?a?a?a?b", b"1 4"),
        (b"x", b"y[", b"nil"),
        (b"x", b"x[", b"error: malformed pattern (missing ']')"),
        (b"x", b"x%", b"error: malformed pattern (ends with '%')"),
        (b"x", b"y%", b"nil"),
        (b"x", b"(x", b"error: unfinished capture"),
        (b"x", b".)", b"error: invalid pattern capture"),
        (b"x", b"%1", b"error: invalid capture index %1"),
        (b"x", b"(%1)", b"error: invalid capture index %1"),
        (b"x", b"%0", b"error: invalid capture index %0"),
        (b"x", b"%f", b"error: missing '[' after '%f' in pattern"),
        (b"x", b"%b", b"error: malformed pattern (missing arguments to '%b')"),
        (b"x", b"%bx", b"error: malformed pattern (missing arguments to '%b')"),
        (b"x", b"()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()", b"error: too many captures"),
        (b"x", b"(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x(x", b"nil"),
        (b"2024-01-31", b"(%d+)-(%d+)-(%d+)", b"1 10 '2024' '01' '31'"),
        (b"a,b,,c", b"([^,]*),", b"1 2 'a'"),
        (b"path/to/file.txt", b"([^/]+)%.(%w+)$", b"9 16 'file' 'txt'"),
        (b"$100", b"%$(%d+)", b"1 4 '100'"),
        (b"a$b", b"a$b", b"1 3"),
        (b"a\x00b", b"%z", b"2 2"),
        (b"a\x00b", b"a\x00b", b"1 3"),
        (b"a\x00b", b"[%z]b", b"2 3"),
        (b"\xff\xfe", b"[\x80-\xff]+", b"1 2"),
        (b"x*y", b"x%*y", b"1 3"),
        (b"if x then", b"^if%s+(.-)%s+then", b"1 9 'x'"),
        (b"0x1F", b"^0[xX](%x+)$", b"1 4 '1F'"),
        (b"--[[c]]", b"^%-%-%[(=*)%[.-%]%1%]", b"1 7 ''"),
        (b"a=1, b=2", b"(%w+)=(%w+)", b"1 3 'a' '1'"),
        (b"abc", b"[c-a]", b"nil"),
        (b"a-z", b"[a-]+", b"1 2"),
        (b"%", b"[%%]", b"1 1"),
        (b"]", b"[^]]", b"nil"),
        (b"a", b"[^]]", b"1 1"),
        (b"abc", b"(a)(b)(c)(d?)", b"1 3 'a' 'b' 'c' ''"),
        (b"(x)", b"(%((.-)%))", b"1 3 '(x)' 'x'"),
        (b"abc", b"((a)(b))", b"1 2 'ab' 'a' 'b'"),
        (b"aab", b"(a*(.)b)", b"1 3 'aab' 'a'"),
        (b"x", b"%bxy", b"nil"),
        (b"xxyy", b"%bxy", b"1 4"),
        (b"alo", b"^", b"1 0"),
        (b"a^", b"a^", b"1 2"),
        (b"a", b"a$$", b"nil"),
        (b"a$", b"a$$", b"1 2"),
        (b"aaa", b"^(a-)$", b"1 3 'aaa'"),
        (b"aaa", b"(.-)%1$", b"2 3 'a'"),
        (b"0alo alo", b"%x*", b"1 2"),
        (b"one two  three", b"%S+%s*$", b"10 14"),
        (b"abc", b"a.c", b"1 3"),
        (b"ac", b"a.c", b"nil"),
        (b"a\nb", b"a.b", b"1 3"),
    ];
    for (subject, pattern, expected) in recorded {
        let found = find(subject, pattern);
        assert_eq!(
            found.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "find({:?}, {:?})",
            subject.escape_ascii().to_string(),
            pattern.escape_ascii().to_string(),
        );
    }
}

#[test]
fn deep_recursion_is_too_complex() {
    let optional = |count| [b"a?".repeat(count), b"a".repeat(count)].concat();
    assert_eq!(find(&b"a".repeat(300), &optional(300)), b"error: pattern too complex");
    assert_eq!(find(&b"a".repeat(300), &optional(150)), b"1 300");
}

#[test]
fn too_many_captures_are_an_error_only_when_met() {
    assert_eq!(find(b"x", &b"()".repeat(33)), b"error: too many captures");
    assert_eq!(find(b"x", &[&b"y".to_vec()[..], &b"()".repeat(33)].concat()), b"nil");
    assert_eq!(find(b"x", &b"(".repeat(33)), b"error: too many captures");
}

#[test]
fn catastrophic_patterns_are_stopped_by_the_meter() {
    let subject = b"a".repeat(200);
    let mut matcher = Matcher::new(&subject, b"(.-).-.-.-.-(.-)x");
    assert_eq!(matcher.try_at(&mut Budget(100_000), 0), Err(Stop::Meter(UsedUp)));
    let subject = b"(".repeat(20_000);
    let mut matcher = Matcher::new(&subject, b"%b()");
    matcher.find_lead();
    assert_eq!(matcher.search(&mut Budget(100_000), 0), Err(Stop::Meter(UsedUp)));
}

#[test]
fn a_position_mark_cannot_be_referred_to() {
    assert_eq!(find(b"aa", b"()a%1"), b"nil");
}
