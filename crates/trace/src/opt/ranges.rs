//! Checks the bounds of a counting loop's array accesses once, in front of the loop.
//!
//! In a loop whose variable `v` grows by `s` in each round, with `c` rounds to come, the elements `v + k` that its rounds
//! touch are `v + k, v + k + s, ..., v + k + c * s`. If the first and the last are below the array's length, all are.
//!
//! ```text
//! for i = 1, n do s = s + t[i] * t[i + 1] end       in front of the loop       gone from it
//!
//! 6 add %i -1
//! 7 below 6 len                                     i - 1 below len            x
//! 8 below %i len                                    i + c * step below len     x
//! ```
//!
//! What must hold for a loop at header `h`:
//!
//! * every back-edge to `h` comes from the paths of `h` itself, gives the variable its index's new value `index + step`,
//!   and the counter `count - 1`, and has checked that the counter was not 0 (this is what `ForLoop` records);
//! * the length is hoisted, so it is the same in all rounds;
//! * in front of the loop: `step` is from 1 to the length, variable and index are equal, `count` and `count * step` are
//!   below the length, and so are the smallest element of the first round and the largest of the last. Lengths have 32
//!   bits, so that the product does not wrap, and with it below the length the sum does not either.
//!
//! A constant step may be below 0. Then it is the smallest element of the last round, and the largest of the first.
//!
//! The last round of a loop that is left early is never reached: such a check may fail although no access would. Then
//! the header is told to have no ranges.

use super::count::{back_edges, counter, written};
use crate::ir::{HeaderId, Op, Range, Ref, SegmentId, Tree};

/// Fills [`crate::ir::Header::ranges`] of all headers.
pub fn run(tree: &mut Tree) {
    for id in tree.header_ids() {
        let header = tree.header(id);
        let ranges = if header.is_pinned || header.has_no_ranges { Vec::new() } else { find(tree, id) };
        tree.header_mut(id).ranges = ranges;
    }
}

/// The variables of a counting loop.
struct Counting {
    count: Ref,
    /// The inputs that get `index + step`, the index among them.
    variables: Vec<Ref>,
    index: Ref,
    step: Ref,
}

fn find(tree: &Tree, id: HeaderId) -> Vec<Range> {
    let Some(counting) = counting(tree, id) else { return Vec::new() };
    let hoisted = &tree.header(id).hoisted;
    let mut ranges: Vec<Range> = Vec::new();
    for segment in tree.segment_ids().filter(|segment| tree.header_of(*segment) == id) {
        for check in tree.body(segment) {
            let inst = tree.inst(check);
            if inst.op != Op::Below || hoisted.contains(&check) || !hoisted.contains(&inst.b()) {
                continue;
            }
            let Some((variable, offset)) = element(tree, &counting, inst.a()) else { continue };
            match ranges.iter_mut().find(|range| range.variable == variable && range.len == inst.b()) {
                Some(range) => {
                    range.offsets = (range.offsets.0.min(offset), range.offsets.1.max(offset));
                    range.checks.push(check);
                }
                None => ranges.push(Range {
                    variable,
                    index: counting.index,
                    step: counting.step,
                    count: counting.count,
                    len: inst.b(),
                    offsets: (offset, offset),
                    checks: vec![check],
                }),
            }
        }
    }
    ranges
}

/// An element's number as a variable of the loop and a constant.
fn element(tree: &Tree, counting: &Counting, n: Ref) -> Option<(Ref, i64)> {
    const FAR: i64 = 1 << 32;
    if counting.variables.contains(&n) {
        return Some((n, 0));
    }
    let inst = tree.inst(n);
    let offset = (inst.op == Op::Add).then(|| tree.const_int(inst.b())).flatten()?;
    (counting.variables.contains(&inst.a()) && offset.abs() < FAR).then_some((inst.a(), offset))
}

/// What counts in the loop of a header, if it is a counting loop.
fn counting(tree: &Tree, id: HeaderId) -> Option<Counting> {
    let back = back_edges(tree, id);
    let count = counter(tree, id, &back)?;
    let inputs = &tree.header(id).inputs;
    let (index, step) = inputs.iter().find_map(|input| {
        let next = tree.inst(written(tree, back[0], *input)?);
        let grows = next.op == Op::Add && next.a() == *input && *input != count;
        (grows && is_step(tree, id, &back, next.b())).then(|| (*input, next.b()))
    })?;
    let variables: Vec<Ref> = inputs
        .iter()
        .copied()
        .filter(|input| {
            back.iter().all(|s| {
                written(tree, *s, *input).is_some_and(|next| {
                    let next = tree.inst(next);
                    next.op == Op::Add && next.a() == index && next.b() == step
                })
            })
        })
        .collect();
    variables.contains(&index).then_some(Counting { count, variables, index, step })
}

/// Whether a step goes somewhere, or is an input that no round changes: then it is checked.
fn is_step(tree: &Tree, id: HeaderId, back: &[SegmentId], step: Ref) -> bool {
    match tree.const_int(step) {
        Some(n) => n != 0 && n != i64::MIN,
        None => {
            tree.header(id).inputs.contains(&step)
                && back.iter().all(|s| written(tree, *s, step).is_none_or(|v| v == step))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::{Model, Outcome, Val, run};
    use crate::ir::{Field, HeaderId, SnapId, Tree, Ty};

    /// `for i = 1, n do s = s + t[i] + t[i + 1] end`
    const NEIGHBOURS: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int %2=#3:int %3=#4:int
segment 0 from header 0
  %4 = load.len %0 int
  %5 = load.array %0 ptr
  %6 = add %1 -1 int
  %7 below %6 %4 -> snap 1
  %8 = ldpack %5 %6 int
  %9 below %1 %4 -> snap 1
  %10 = ldpack %5 %1 int
  %11 = add %3 %8 int
  %12 = add %11 %10 int
  %13 ne %2 0 -> snap 2
  %14 = add %2 -1 int
  %15 = add %1 1 int
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 9, slots #4=%12
snap 3 guard, pc 1, slots #2=%15 #3=%14 #4=%12
";

    fn passed(text: &str) -> Tree {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        crate::opt::hoist::run(&mut tree);
        super::run(&mut tree);
        assert_eq!(crate::verify::verify(&tree), Ok(()));
        tree
    }

    #[test]
    fn neighbours_are_checked_together() {
        let text = passed(NEIGHBOURS).to_string();
        assert!(text.contains("range %1 index %1 step 1 count %2 len %4 offsets -1 0 checks %7 %9\n"), "{text}");
        let again: Tree = text.parse().expect("its own text");
        assert_eq!(again.to_string(), text);
    }

    #[test]
    fn loops_that_count_otherwise_have_none() {
        for (from, to) in [
            ("%13 ne %2 0", "%13 ne %1 0"),
            ("%15 = add %1 1", "%15 = add %1 0"),
            ("%14 = add %2 -1", "%14 = add %2 -2"),
            ("%12 = add %11 %10 int", "%12 = add %11 %10 int\n  %16 stfield.len %0 %12"),
            ("snap 0, inputs", "snap 0, no ranges, inputs"),
        ] {
            assert!(!passed(&NEIGHBOURS.replace(from, to)).to_string().contains("range %"), "{to}");
        }
    }

    #[test]
    fn the_first_and_the_last_round_decide() {
        let with_step = |step| passed(&NEIGHBOURS.replace("%15 = add %1 1", &format!("%15 = add %1 {step}")));
        // Elements 1 to 4: with i from 1, the last round that has two is 3, which is two rounds on, or one of steps by two.
        for (i, count, step, outcome) in [
            (1, 2, 1, SnapId(2)),
            (1, 3, 1, SnapId(0)),
            (0, 1, 1, SnapId(0)),
            (3, 0, 1, SnapId(2)),
            (4, 0, 1, SnapId(0)),
            (1, -1, 1, SnapId(0)),
            (1, 1, 2, SnapId(2)),
            (2, 1, 2, SnapId(0)),
            (1, 2, 2, SnapId(0)),
            (3, 0, 4, SnapId(2)),
            (3, 0, 5, SnapId(0)),
            // The last element would be a small number again.
            (1, 2, i64::MAX, SnapId(0)),
            // Downwards, from i and i + 1 to 1 and 2.
            (3, 2, -1, SnapId(2)),
            (4, 2, -1, SnapId(0)),
            (3, 3, -1, SnapId(0)),
            (0, 0, -1, SnapId(0)),
            (3, 1, -2, SnapId(2)),
            (3, 2, -2, SnapId(0)),
            (1, 0, -5, SnapId(0)),
            (3, 1, -i64::MAX, SnapId(0)),
        ] {
            let tree = with_step(step);
            let mut model = Model { stack: 0x1000, fuel: 100, ..Model::default() };
            for (field, value) in [(Field::Len, 4), (Field::Array, 0x2000)] {
                model.fields.insert((0x3000, field, 0), value);
            }
            model.packed.extend((0..4).map(|n| (0x2000 + 8 * n, n)));
            let slots = [Val { ty: Ty::Table, bits: 0x3000 }, Val::int(i), Val::int(count), Val::int(0)];
            for (slot, value) in slots.into_iter().enumerate() {
                model.set_slot(slot as u32 + 1, value);
            }
            let left = run(&tree, &mut model, HeaderId::ROOT, u64::MAX).0;
            assert_eq!(left, Outcome::Left(outcome), "{i} {count} {step}");
        }
    }
}
