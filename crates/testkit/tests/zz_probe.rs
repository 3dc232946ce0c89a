//! probe
use perilune_testkit::lab::*;
#[test]
fn probe() {
    for n in [1, 2, 4, 8] {
    let mut lab = Lab::with_memory(n << 20);
    let l = lab.vm.heap().limit();
    let o = lab.run("local ok, m = pcall(function() local t = {} for i = 1, math.huge do t['k' .. i] = i end end) return ok, m");
    println!("{o:?} {} of {l}", lab.vm.heap().bytes);
    let o = lab.run("collectgarbage() return collectgarbage('count')*1024");
    println!("{o:?} {} of {l}", lab.vm.heap().bytes);
    println!("{:?}", lab.assert_sound());
    }
}
