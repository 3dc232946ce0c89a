use perilune_base::num::{arith::*, compare::*, for_loop::*, Num};
fn dec(s: &str) -> Num { if let Some(i) = s.strip_prefix('i') { Num::Int(i.parse().unwrap()) } else if s == "fnan" { Num::Float(f64::NAN) } else { Num::Float(f64::from_bits(s[1..].parse::<i64>().unwrap() as u64)) } }
fn enc(n: Num) -> String { match n { Num::Int(i) => format!("i{i}"), Num::Float(f) if f.is_nan() => "fnan".into(), Num::Float(f) => format!("f{}", f.to_bits() as i64) } }
#[test]
fn diff() {
    let text = std::fs::read_to_string("/tmp/arith.txt").unwrap();
    let (mut bad, mut n) = (0, 0);
    for l in text.lines() {
        let p: Vec<&str> = l.split('\t').collect();
        let (a, b) = (dec(p[1]), dec(p[2]));
        let op = match p[0] { "+" => ArithOp::Add, "-" => ArithOp::Sub, "*" => ArithOp::Mul, "%" => ArithOp::Mod, "^" => ArithOp::Pow, "/" => ArithOp::Div, "//" => ArithOp::IDiv, "&" => ArithOp::BAnd, "|" => ArithOp::BOr, "~" => ArithOp::BXor, "<<" => ArithOp::Shl, ">>" => ArithOp::Shr, _ => ArithOp::Neg };
        let (got, want) = match p[0] { "<" => (lt(a, b).to_string(), p[3]), "<=" => (le(a, b).to_string(), p[3]), "==" => (eq(a, b).to_string(), p[3]),
            "for" => { let s = dec(p[3]); let mut r = vec![];
                if let (Num::Int(i), Num::Int(st)) = (a, s) { if let Some(c) = int_loop_count(i, b, st) { let mut v = i; for k in 0..=c { r.push(enc(Num::Int(v))); if r.len() == 4 { break } let _ = k; v = v.wrapping_add(st); } } }
                else { let (mut v, li, st) = (a.to_float(), b.to_float(), s.to_float()); if float_loop_starts(v, li, st) { loop { r.push(enc(Num::Float(v))); if r.len() == 4 { break } v += st; if !float_loop_continues(v, li, st) { break } } } }
                (r.join(","), p[4]) }
            _ => (arith(op, a, b).map_or("err".into(), enc), p[3]) };
        n += 1; if got != want { bad += 1; if bad < 20 { println!("{l} got {got}"); } }
    }
    println!("arith {n} bad {bad}");
}
