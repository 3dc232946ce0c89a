//! The tokens of sources, and the messages for what is no token.

use super::*;

/// The tokens of a source, in the form of messages, with the values of names, strings and numbers.
fn tokens(source: &[u8]) -> String {
    let mut lexer = Lexer::new(source, b"=c", Dialect::DEFAULT);
    let mut shown = Vec::new();
    loop {
        let token = match lexer.next_token() {
            Ok(Token::Eof) => return shown.join(" "),
            Ok(token) => token,
            Err(error) => return error.to_string(),
        };
        shown.push(match token {
            Token::Name(name) => lexer.names.name(name).escape_ascii().to_string(),
            Token::Str(name) => format!("\"{}\"", lexer.names.name(name).escape_ascii()),
            Token::Int(int) => format!("{int}"),
            Token::Float(float) => format!("{float:?}"),
            token => String::from_utf8(token.shown(Dialect::DEFAULT.token_text)).unwrap(),
        });
    }
}

#[test]
fn names_and_reserved_words() {
    assert_eq!(tokens(b"and _x1 ends end While while"), "'and' _x1 ends 'end' While 'while'");
    assert_eq!(tokens(b"a\xe9"), "a '<\\233>'");
}

#[test]
fn operators_take_as_many_characters_as_they_can() {
    assert_eq!(tokens(b"===~=~<=<<<>=>>>"), "'==' '=' '~=' '~' '<=' '<<' '<' '>=' '>>' '>'");
    assert_eq!(tokens(b":::://////."), "'::' '::' '//' '//' '//' '.'");
    assert_eq!(tokens(b"....... .. ."), "'...' '...' '.' '..' '.'");
    assert_eq!(tokens(b"[ = [] a[b[1]]"), "'[' '=' '[' ']' a '[' b '[' 1 ']' ']'");
}

#[test]
fn numerals() {
    assert_eq!(tokens(b"0 42 0xA 0Xff 9223372036854775807"), "0 42 10 255 9223372036854775807");
    assert_eq!(tokens(b"9223372036854775808"), "9.223372036854776e18");
    assert_eq!(tokens(b"0xffffffffffffffff"), "-1");
    assert_eq!(tokens(b"3. .5 3.5e2 1E-2 0x.8p1 0xA.8P-1"), "3.0 0.5 350.0 0.01 1.0 5.25");
    assert_eq!(tokens(b"3-2 3 .. 2"), "3 '-' 2 3 '..' 2");
}

#[test]
fn simple_escapes() {
    assert_eq!(tokens(br#""\a\b\f\n\r\t\v\\\"\'" 'a"b'"#), r#""\x07\x08\x0c\n\r\t\x0b\\\"\'" "a\"b""#);
}

#[test]
fn numeric_escapes() {
    assert_eq!(tokens(br#""\0\65\0651\255""#), r#""\x00AA1\xff""#);
    assert_eq!(tokens(br#""\x41\xfF""#), r#""A\xff""#);
    assert_eq!(tokens(br#""\u{41}\u{7f}\u{80}\u{7ff}""#), r#""A\x7f\xc2\x80\xdf\xbf""#);
    assert_eq!(tokens(br#""\u{800}\u{ffff}""#), r#""\xe0\xa0\x80\xef\xbf\xbf""#);
    assert_eq!(tokens(br#""\u{10000}\u{1fffff}""#), r#""\xf0\x90\x80\x80\xf7\xbf\xbf\xbf""#);
    assert_eq!(tokens(br#""\u{200000}""#), r#""\xf8\x88\x80\x80\x80""#);
    assert_eq!(tokens(br#""\u{7fffffff}""#), r#""\xfd\xbf\xbf\xbf\xbf\xbf""#);
}

#[test]
fn escapes_over_line_ends() {
    assert_eq!(tokens(b"'a\\z \n\r\n\t b'"), "\"ab\"");
    assert_eq!(tokens(b"'a\\\nb\\\r\nc\\\n\rd\\\re'"), r#""a\nb\nc\nd\ne""#);
}

#[test]
fn long_strings_normalize_line_ends_and_drop_the_first() {
    assert_eq!(tokens(b"[[\na\r\nb\n\rc\rd\n]]"), r#""a\nb\nc\nd\n""#);
    assert_eq!(tokens(b"[==[]]]=]]==]"), r#""]]]=]""#);
    assert_eq!(tokens(b"[==[a]=]==]"), r#""a]=""#);
    assert_eq!(tokens(b"[[\\n\0]]"), r#""\\n\x00""#);
}

#[test]
fn comments_are_skipped() {
    assert_eq!(tokens(b"a --b\nc --[[d\n]] e --[=[ ]] ]=] f --[=g\nh --"), "a c e f h");
    assert_eq!(tokens(b"--[==\nx"), "x");
}

#[test]
fn a_line_ends_where_the_reference_ends_it() {
    let mut lexer = Lexer::new(b"a\nb\r\nc\n\rd\re\n\nf [[\n\n]] 'x\\\ny'", b"=c", Dialect::DEFAULT);
    let lines: Vec<u32> = std::iter::from_fn(|| match lexer.next_token().unwrap() {
        Token::Eof => None,
        _ => Some(lexer.line()),
    })
    .collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 7, 9, 10]);
}
