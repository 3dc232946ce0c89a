//! The trees of sources, and syntax errors compared with those of the reference interpreter.

use super::*;
use perilune_base::dialect::LuaVersion;

use crate::ast::{ExprKind, StatKind};
use crate::recorded_errors::RECORDED;

fn parsed(source: &[u8]) -> Chunk {
    parse(source, b"=c", Dialect::DEFAULT).unwrap_or_else(|error| panic!("{error}"))
}

fn dump(source: &str) -> String {
    parsed(source.as_bytes()).to_string()
}

fn error(source: impl AsRef<[u8]>) -> String {
    match parse(source.as_ref(), b"=c", Dialect::DEFAULT) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn errors_have_the_texts_of_the_reference() {
    let mut wrong = Vec::new();
    for &(source, expected) in RECORDED {
        let found = error(source);
        let expected = format!("c:{}", String::from_utf8_lossy(expected));
        if found != expected {
            wrong.push(format!("{}\n  {expected}\n  {found}", source.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn precedence_and_associativity() {
    assert_eq!(dump("return 1+2*3-4"), "(return (- (+ 1 (* 2 3)) 4))");
    assert_eq!(dump("return a..b..c, 2^3^2"), "(return (.. a (.. b c)) (^ 2 (^ 3 2)))");
    assert_eq!(dump("return -x^2, not a == b"), "(return (- (^ x 2)) (== (not a) b))");
    assert_eq!(dump("return 2^-3, - -x"), "(return (^ 2 (- 3)) (- (- x)))");
    assert_eq!(
        dump("return a or b and c < d | e ~ f & g << h .. i + j"),
        "(return (or a (and b (< c (| d (~ e (& f (<< g (.. h (+ i j))))))))))"
    );
    assert_eq!(dump("return #t % 2 // 3 / 4"), "(return (/ (// (% (# t) 2) 3) 4))");
    assert_eq!(dump("return a >> b ~= c >= d, ~a ~ ~b"), "(return (>= (~= (>> a b) c) d) (~ (~ a) (~ b)))");
}

#[test]
fn suffixes() {
    assert_eq!(
        dump("a.b[c]:d(e).f'g'{h}()"),
        "(do-call (call (call (call (. (method (. (. a \"b\") c) \"d\" e) \"f\") \"g\") (table h))))"
    );
    assert_eq!(dump("(f)'x'"), "(do-call (call (paren f) \"x\"))");
    assert_eq!(dump("return (f()), (...)"), "(return (paren (call f)) (paren ...))");
}

#[test]
fn tables() {
    assert_eq!(dump("return {1, x = 2; [y] = 3, z, f(), ...,}"), "(return (table 1 [\"x\"]=2 [y]=3 z (call f) ...))");
    assert_eq!(dump("return {{}, {a == b}}"), "(return (table (table) (table (== a b))))");
}

#[test]
fn locals_and_assignments() {
    assert_eq!(dump("local a <const>, b <close>, c = 1, f()"), "(local (a <const> b <close> c) 1 (call f))");
    assert_eq!(dump("local x"), "(local (x))");
    assert_eq!(dump("a, b.c, d[1] = ..."), "(set (a (. b \"c\") (. d 1)) ...)");
}

#[test]
fn functions() {
    assert_eq!(
        dump("function a.b:c(x, ...) end"),
        "(set-function (. (. a \"b\") \"c\") (function (self x) ...\n  ()))"
    );
    assert_eq!(dump("local function f(...) return ... end"), "(local-function f (function () ...\n  ((return ...))))");
    assert_eq!(dump("f = function() end"), "(set (f) (function ()\n  ()))");
}

#[test]
fn control_structures() {
    assert_eq!(
        dump("if a then b() elseif c then else d() e() end"),
        "(if a\n  ((do-call (call b))) c\n  () else\n  ((do-call (call d))\n   (do-call (call e))))"
    );
    assert_eq!(dump("while a do break end"), "(while a\n  ((break)))");
    assert_eq!(dump("repeat local x until x"), "(repeat\n  ((local (x))) x)");
    assert_eq!(dump("for i = 1, 2 do end"), "(for i 1 2\n  ())");
    assert_eq!(dump("for i = 1, 2, 3 do end"), "(for i 1 2 3\n  ())");
    assert_eq!(dump("for a, b in c, d do end"), "(for-in (a b) c d\n  ())");
    assert_eq!(dump("do ;;; end ; return;"), "(do\n  ())\n(return)");
}

#[test]
fn labels_know_whether_only_void_statements_follow() {
    assert_eq!(dump("goto a ::a:: x()"), "(goto a)\n(label a)\n(do-call (call x))");
    assert_eq!(dump("::a:: ; ::b:: ;"), "(label b last)\n(label a last)");
    assert_eq!(dump("repeat ::a:: until x"), "(repeat\n  ((label a)) x)");
    assert_eq!(dump("do ::a:: end"), "(do\n  ((label a last)))");
}

#[test]
fn nodes_know_their_lines() {
    let chunk = parsed(b"local x = a\n.b\n+\nc(\n1\n)\n");
    let [stat] = &chunk.stats[chunk.main.block.stats] else { panic!("one statement") };
    assert_eq!((stat.line, stat.end_line), (1, 6));
    let StatKind::Local { exprs, .. } = stat.kind else { panic!("a local") };
    let sum = &chunk.exprs[chunk.expr_lists[exprs][0]];
    let ExprKind::Binop { lhs, rhs, line, .. } = sum.kind else { panic!("a sum") };
    assert_eq!((sum.line, line, chunk.exprs[lhs].line), (6, 3, 2));
    let ExprKind::Call { line, .. } = chunk.exprs[rhs].kind else { panic!("a call") };
    assert_eq!((line, chunk.exprs[rhs].end), (4, 23));
    assert_eq!((chunk.main.block.last_line, chunk.main.block.end_line), (6, 7));
}

#[test]
fn functions_know_their_lines() {
    let chunk = parsed(b"\nfunction\nf() end local\nfunction g\n(\n)\nend\nx = function\n() \n end");
    let lines: Vec<_> =
        chunk.functions.as_slice().iter().map(|function| (function.line_defined, function.last_line_defined)).collect();
    assert_eq!(lines, [(2, 3), (5, 7), (9, 10)]);
}

#[test]
fn operands_come_before_their_expression() {
    let chunk = parsed(b"return a.b + c[d](e):f(g), {h, [i] = j}, -k, (l)");
    for (index, expr) in chunk.exprs.as_slice().iter().enumerate() {
        let is_before = |operand: ExprId| assert!(operand.index() < index);
        match expr.kind {
            ExprKind::Binop { lhs, rhs, .. } | ExprKind::Index { obj: lhs, key: rhs } => {
                is_before(lhs);
                is_before(rhs);
            }
            ExprKind::Call { callee, args, .. } => {
                is_before(callee);
                chunk.expr_lists[args].iter().copied().for_each(is_before);
            }
            ExprKind::Paren(operand) | ExprKind::Unop { operand, .. } => is_before(operand),
            _ => {}
        }
    }
}

/// The texts are those of `lua5.4` for a script; each row has the first count that fails.
#[test]
fn nesting_is_limited_where_the_reference_limits_it() {
    let rows: &[(&str, &str, &str, &str, usize)] = &[
        ("x=", "(", "1", ")", 197),
        ("", "do ", "", "end ", 199),
        ("x=", "{", "", "}", 198),
        ("x=", "function() return ", " 1 ", "end ", 99),
        ("", "local function f() ", "", "end ", 199),
        ("x=", "''..", "''", "", 197),
        ("x=", "1^", "1", "", 197),
        ("x=", "- ", "1", "", 197),
        ("x", ",x", "=1", "", 197),
        ("x=", "t[", "1", "]", 197),
        ("x=", "f(", "1", ")", 197),
        ("", "::a", "", "", 199),
    ];
    for &(before, open, middle, close, first_failing) in rows {
        let nested = |count: usize| match open {
            "::a" => (0..count).map(|index| format!("::a{index}::")).collect(),
            _ => [before, &open.repeat(count), middle, &close.repeat(count)].concat(),
        };
        assert_eq!(error(nested(first_failing - 1)), "no error", "{open}");
        assert_eq!(error(nested(first_failing)), "C stack overflow", "{open}");
        assert_eq!(error(nested(200_000)), "C stack overflow", "{open}");
    }
}

#[test]
fn left_chains_have_no_limit() {
    const LINKS: usize = 100_000;
    for (start, link) in [("a", "+a"), ("a", ".b"), ("f", "()"), ("a", "[1]"), ("a", ":b()"), ("a", " and b")] {
        let chunk = parsed(format!("x = {start}{}", link.repeat(LINKS)).as_bytes());
        assert!(chunk.exprs.len() > LINKS);
        assert!(chunk.to_string().len() > LINKS);
        drop(chunk.clone());
    }
    parsed(format!("if x then {} end", "elseif y then ".repeat(LINKS)).as_bytes());
    parsed(format!("return {}1", "1,".repeat(LINKS)).as_bytes());
    parsed(";".repeat(LINKS).as_bytes());
}

/// A small generator of pseudo-random numbers.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn no_bytes_make_the_parser_panic() {
    const PIECES: &[&str] = &[
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
        "not", "or", "repeat", "return", "then", "true", "until", "while", "x", "y.z", "(", ")", "{", "}", "[", "]",
        "[[", "]]", "[=[", "]=]", "--", "--[[", "\n", "\r", "'", "\"", "\\", "\\x", "\\u{", "\\z", "1", "0x", "1e",
        "1e5", ".", "..", "...", "::", ":", "=", "==", "<const>", ",", ";", "+", "-", "#", "~", "//", "\0", "$", "é",
    ];
    let mut state = 1;
    for _ in 0..20_000 {
        let len = random(&mut state) % 40;
        let bytes: Vec<u8> = (0..len).map(|_| random(&mut state) as u8).collect();
        error(&bytes);
        let text: String = (0..len)
            .map(|_| {
                let space = if random(&mut state).is_multiple_of(3) { "" } else { " " };
                PIECES[random(&mut state) % PIECES.len()].to_owned() + space
            })
            .collect();
        if let Ok(chunk) = parse(text.as_bytes(), b"=c", Dialect::DEFAULT) {
            chunk.to_string();
        }
    }
}

#[test]
fn errors_can_be_made_near_any_place() {
    let near = |offset| {
        SyntaxError::near(b"a = [[b\nc]] ..  'd\\q'", b"@f.lua", Dialect::DEFAULT, 1, offset, "no").to_string()
    };
    assert_eq!(near(0), "f.lua:1: no near 'a'");
    assert_eq!(near(1), "f.lua:1: no near '='");
    assert_eq!(near(3), "f.lua:2: no near '[[b\nc]]'");
    assert_eq!(near(16), "f.lua:1: invalid escape sequence near ''d\\q'");
    assert_eq!(near(1000), "f.lua:1: no near <eof>");
    assert_eq!(SyntaxError::new(b"x\ny", Dialect::DEFAULT, 3, "no").to_string(), "[string \"x...\"]:3: no");
}

#[test]
fn an_error_at_the_end_means_that_more_could_follow() {
    let is_incomplete = |source: &str| parse(source.as_bytes(), b"=c", Dialect::DEFAULT).unwrap_err().is_incomplete();
    assert!(is_incomplete("if x then"));
    assert!(is_incomplete("x = [["));
    assert!(!is_incomplete("x = = 1"));
    for version in LuaVersion::ALL {
        let error = parse(b"for i = 1, 2 do", b"=c", Dialect::of(version, false)).unwrap_err();
        assert!(error.is_incomplete(), "{version}: {error}");
    }
}
