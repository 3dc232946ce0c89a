//! What is known of all rounds of a loop before the first one: inputs that stay equal, and what the rounds cost.
//!
//! ```text
//! for i = 1, n do s = s + i end       copies %3=%1        the index of the loop, and the script's variable
//!                                     counted %2 cost 5   the rounds to come, and the fuel of each
//! ```
//!
//! **Copies.** Two inputs that get the same value at each back-edge are equal in all rounds if they are in the first one. That is
//! checked in front of the loop; then the loop needs only one of them.
//!
//! **Counted fuel.** Where each round takes one off a counter and costs the same, the fuel that is left follows from the counter:
//! `fuel of the first round - cost * (count of the first round - count)`. So nothing is counted beside it. And the round behind
//! which the fuel is short is known in front of the loop, so that the comparison which ends the loop sees to that, too:
//!
//! ```text
//! count ne 0          count ne last       last is 0, or what the counter has when the fuel for another round is short
//! ```
//!
//! What must hold for a loop at header `h`:
//!
//! * every back-edge to `h` comes from the paths of `h` itself, and costs the same;
//! * the segment with the back-edge has checked that the counter is not 0, and does nothing behind that which could be
//!   seen: then a round can be completed in front of an exit;
//! * no path of the loop looks at the fuel or changes it otherwise, as calls do.

use crate::ir::{Counted, End, Format, HeaderId, Op, Ref, SegmentId, Tree, Ty};

/// Fills [`crate::ir::Header::copies`] and [`crate::ir::Header::counted`] of all headers.
pub fn run(tree: &mut Tree) {
    for id in tree.header_ids() {
        let header = tree.header(id);
        let back = back_edges(tree, id);
        let copies = if header.is_pinned || header.has_no_ranges { Vec::new() } else { copies(tree, id, &back) };
        let counted = counted(tree, id, &back);
        let header = tree.header_mut(id);
        (header.copies, header.counted) = (copies, counted);
    }
}

/// The segments that go back to a header, if all of them are of its own loop.
pub(super) fn back_edges(tree: &Tree, id: HeaderId) -> Vec<SegmentId> {
    let back: Vec<SegmentId> = tree.segment_ids().filter(|s| tree.segment(*s).end == End::Around(id)).collect();
    if back.iter().any(|s| tree.header_of(*s) != id) { Vec::new() } else { back }
}

/// Inputs with those before them that get the same values.
fn copies(tree: &Tree, id: HeaderId, back: &[SegmentId]) -> Vec<(Ref, Ref)> {
    let inputs = &tree.header(id).inputs;
    let is_copy = |copy: Ref, of: Ref| {
        tree.ty(of) == Ty::Int
            && back.iter().all(|s| written(tree, *s, of).is_some_and(|next| written(tree, *s, copy) == Some(next)))
    };
    let of = |n: usize| inputs[..n].iter().copied().find(|of| is_copy(inputs[n], *of));
    if back.is_empty() {
        return Vec::new();
    }
    (0..inputs.len())
        .filter(|n| tree.ty(inputs[*n]) == Ty::Int)
        .filter_map(|n| of(n).map(|of| (inputs[n], of)))
        .collect()
}

/// The counter of a loop whose rounds all cost the same.
fn counted(tree: &Tree, id: HeaderId, back: &[SegmentId]) -> Option<Counted> {
    let count = counter(tree, id, back)?;
    let cost = |s: &SegmentId| tree.segment(*s).end_snap.map(|snap| tree.snapshot(snap).fuel);
    let cost_of_all = cost(back.first()?).filter(|cost| *cost > 0)?;
    let is_completed = |s: &SegmentId| last_test(tree, *s, count).is_some() && cost(s) == Some(cost_of_all);
    let spends = |s: SegmentId| tree.body(s).any(|r| spends_fuel(tree, r));
    let spends_otherwise = tree.segment_ids().filter(|s| tree.header_of(*s) == id).any(spends);
    (back.iter().all(is_completed) && !spends_otherwise).then_some(Counted { count, cost: cost_of_all })
}

fn spends_fuel(tree: &Tree, r: Ref) -> bool {
    let inst = tree.inst(r);
    match inst.op.format() {
        Format::CallOut | Format::CallFn | Format::Returned => true,
        Format::Call => inst.helper().is_none_or(|helper| helper.pays()),
        _ => inst.op == Op::Fuel,
    }
}

/// The input that each round takes one off, and that is not 0 when another follows.
pub(super) fn counter(tree: &Tree, id: HeaderId, back: &[SegmentId]) -> Option<Ref> {
    let counts = |input: &Ref| !back.is_empty() && back.iter().all(|s| counts_down(tree, *s, *input));
    tree.header(id).inputs.iter().copied().find(counts)
}

/// Whether a round that ends with a segment goes on only with a counter that is not 0, and leaves one less.
fn counts_down(tree: &Tree, segment: SegmentId, input: Ref) -> bool {
    let Some(next) = written(tree, segment, input) else { return false };
    let next = tree.inst(next);
    let is_less = next.op == Op::Add && next.a() == input && tree.const_int(next.b()) == Some(-1);
    is_less && tree.lineage(segment).into_iter().any(|s| tree.body(s).any(|r| tests_counter(tree, r, input)))
}

fn tests_counter(tree: &Tree, r: Ref, count: Ref) -> bool {
    let inst = tree.inst(r);
    inst.op == Op::Ne && inst.a() == count && tree.const_int(inst.b()) == Some(0)
}

/// The test of the counter in the segment of a back-edge, if what follows it there can be done in front of an exit as well.
#[must_use]
pub fn last_test(tree: &Tree, segment: SegmentId, count: Ref) -> Option<Ref> {
    let mut rest = tree.body(segment).rev().skip_while(|r| tree.inst(*r).op.is_pure());
    rest.next().filter(|r| tests_counter(tree, *r, count))
}

/// The value that a segment leaves in the slot of an input.
pub(super) fn written(tree: &Tree, segment: SegmentId, input: Ref) -> Option<Ref> {
    let snap = tree.segment(segment).end_snap?;
    let slot = tree.inst(input).aux;
    tree.snapshot(snap).slots.iter().find(|written| written.slot == slot).map(|written| written.value)
}

#[cfg(test)]
mod tests {
    use crate::ir::Tree;

    /// `for i = 1, n do s = s + i end`
    const SUM: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:int %3=#4:int
segment 0 from header 0
  %4 = add %3 %1 int
  %5 ne %2 0 -> snap 1
  %6 = add %2 -1 int
  %7 = add %0 1 int
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 9, slots #4=%4
snap 2 guard, pc 1, slots #1=%7 #2=%7 #3=%6 #4=%4, fuel 5
";

    fn passed(text: &str) -> String {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        crate::opt::hoist::run(&mut tree);
        super::run(&mut tree);
        assert_eq!(crate::verify::verify(&tree), Ok(()));
        tree.to_string()
    }

    #[test]
    fn a_sum_is_counted() {
        let text = passed(SUM);
        assert!(text.contains("  copies %1=%0\n  counted %2 cost 5\n"), "{text}");
        let again: Tree = text.parse().expect("its own text");
        assert_eq!(again.to_string(), text);
    }

    #[test]
    fn loops_with_fuel_of_their_own_are_not() {
        for (from, to) in [
            ("%5 ne %2 0", "%5 ne %1 0"),
            ("%6 = add %2 -1", "%6 = add %2 -2"),
            // Something that can be seen behind the test.
            ("%7 = add %0 1 int", "%7 = add %0 1 int\n  %8 lt %7 100 -> snap 1"),
            (", fuel 5", ""),
            ("%4 = add %3 %1 int", "%4 = add %3 %1 int\n  %8 fuel -> snap 1"),
        ] {
            assert!(SUM.contains(from), "{from}");
            assert!(!passed(&SUM.replace(from, to)).contains("counted"), "{to}");
        }
    }

    #[test]
    fn what_gets_another_value_is_no_copy() {
        for (from, to) in [("#2=%7", "#2=1"), ("#2=%7 ", ""), ("snap 0, inputs", "snap 0, no ranges, inputs")] {
            assert!(SUM.contains(from), "{from}");
            assert!(!passed(&SUM.replace(from, to)).contains("copies"), "{to}");
        }
    }
}
