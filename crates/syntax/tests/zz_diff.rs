#[test]
fn diff() {
    let src = std::fs::read("/tmp/src.bin").unwrap();
    let re = std::fs::read("/tmp/ref.bin").unwrap();
    let split = |d: &[u8]| { let mut v = vec![]; let mut p = 0; while p < d.len() { let n = u32::from_le_bytes(d[p..p+4].try_into().unwrap()) as usize; v.push(d[p+4..p+4+n].to_vec()); p += 4 + n; } v };
    let (s, r) = (split(&src), split(&re));
    let (mut bad, mut ok, mut sem) = (0, 0, 0);
    for (s, r) in s.iter().zip(&r) {
        let got = match perilune_syntax::parse(s, b"=c", Default::default()) { Ok(_) => b"ok".to_vec(), Err(e) => e.message };
        let rs = String::from_utf8_lossy(r);
        if got == *r { ok += 1 } else if rs.contains("label") || rs.contains("break outside") || rs.contains("const variable") || rs.contains("to-be-closed") || rs.contains("jumps into") { sem += 1 } else { bad += 1; if bad < 15 { println!("{}\n  ref {}\n  got {}", s.escape_ascii(), rs, String::from_utf8_lossy(&got)); } }
    }
    println!("ok {ok} sem {sem} bad {bad}");
}
