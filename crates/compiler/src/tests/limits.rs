//! Limits, and sources that come close to them.

use std::cell::Cell;

use perilune_base::dialect::Dialect;
use perilune_bytecode::verify::verify;

use super::compiled;
use crate::Refused;
use crate::tests::errors::error;

/// `piece` repeated, with `#` replaced by the number of the repetition.
fn repeated(n: usize, piece: &str) -> String {
    (1..=n).map(|i| piece.replace('#', &i.to_string())).collect()
}

#[test]
fn left_chains_of_any_length_compile() {
    for (first, piece) in [
        ("local a; return a", " + a"),
        ("local a; return a", " < a"),
        ("return x", " and y"),
        ("return x", " or 1"),
        ("return x", ".y"),
        ("return x", "()"),
        ("return x", ":y{1}"),
        ("return 1", " + 1"),
    ] {
        let source = first.to_owned() + &piece.repeat(20_000);
        let proto = compiled(&source);
        assert_eq!(verify(&proto), Ok(()), "{piece}");
    }
}

/// In a time that grows with their number; what grows with its square takes minutes.
#[test]
#[expect(clippy::disallowed_methods, reason = "there is no VM here whose clock could be asked")]
fn any_number_of_labels_and_jumps_compiles() {
    const N: usize = 100_000;
    let jumps = repeated(N, "if x then goto a# end ");
    let labels = repeated(N, "::a#:: x = 1 ");
    for source in [
        jumps.clone() + &labels,
        labels + &jumps,
        format!("do ::l:: do {} end end", "do local a; do goto l end end ".repeat(N)),
    ] {
        let start = std::time::Instant::now();
        compiled(&source);
        assert!(start.elapsed().as_secs() < 15, "{}...", &source[..30]);
    }
}

/// Wherever the question comes: while parsing, while compiling, and while looking for an error in front of a syntax error.
#[test]
fn sources_are_given_up_at_any_question() {
    let statements = "x = {1, 2, 3} ".repeat(10_000);
    let operands = format!("return {}1", "1 + ".repeat(100_000));
    let elements = format!("return {{{}}}", "f, ".repeat(100_000));
    let broken = statements.clone() + ")";
    for source in [statements, operands, elements, broken] {
        let asked = Cell::new(0);
        let compile = |stop_at| {
            asked.set(0);
            let stop = || {
                asked.set(asked.get() + 1);
                asked.get() >= stop_at
            };
            crate::compile_source_at(0, source.as_bytes(), b"=test", Dialect::DEFAULT, &stop)
        };
        assert_ne!(compile(u32::MAX), Err(Refused::Stopped));
        let questions = asked.get();
        assert!(questions > 10, "{questions} questions");
        for stop_at in (1..=questions).step_by(5) {
            assert_eq!(compile(stop_at), Err(Refused::Stopped));
            assert_eq!(asked.get(), stop_at, "nothing is done after that");
        }
    }
}

#[test]
fn local_variables_are_limited() {
    assert_eq!(
        error(&repeated(201, "local a#\n")),
        "test:202: too many local variables (limit is 200) in main function near <eof>"
    );
    let list = format!("local {} b\n, c = 1", repeated(200, "a#, "));
    assert_eq!(error(&list), "test:2: too many local variables (limit is 200) in main function near ','");
    let source = format!("\n\nfunction f() {} for i = 1, 2 do end end", repeated(198, "local a#\n"));
    assert_eq!(error(&source), "test:201: too many local variables (limit is 200) in function at line 3 near '='");
    compiled(&repeated(200, "local a#\n"));
}

#[test]
fn upvalues_are_limited() {
    let outer = format!("{} function f() {}", repeated(150, "local a#\n"), repeated(150, "local b#\n"));
    let uses = repeated(150, "x = a#\n") + &repeated(105, "x = b#\n");
    let source = format!("{outer} function g() {uses} end end");
    assert_eq!(error(&source), "test:556: too many upvalues (limit is 255) in function at line 301 near 'end'");
}

#[test]
fn registers_are_limited() {
    assert_eq!(
        error(&format!("f({}1)", repeated(260, "#, "))),
        "test:1: function or expression needs too many registers near '255'"
    );
    assert_eq!(
        error(&format!("return {} 1, 2, 3, 4, 5, 6", repeated(250, "f()\n, "))),
        "test:251: function or expression needs too many registers near '6'"
    );
}

#[test]
fn records_give_way_when_registers_run_out() {
    let record = |value: &str| format!("{{{} last = {value}}}", repeated(40, "k# = #, "));
    let arguments = repeated(200, "#, ");
    let source = format!("local t = {}", record(&record(&record(&format!("f({arguments} 0)")))));
    let proto = compiled(&source);
    assert!(proto.templates.is_empty());
    assert!(!compiled(&format!("local t = {}", record(&record("0")))).templates.is_empty());
}

#[test]
fn long_constructors_are_stored_in_runs() {
    let proto = compiled(&format!("return {{{}}}", "1, ".repeat(1000)));
    assert_eq!(proto.max_stack, 51);
    assert_eq!(verify(&proto), Ok(()));
}

#[test]
fn many_constants_are_reached() {
    let source = format!("local t = {{{}}}\nreturn t == 'last', t < 1e300", repeated(70_000, "'s#', "));
    let proto = compiled(&source);
    assert_eq!(verify(&proto), Ok(()));
    assert!(proto.consts.len() > 70_000);
}
