//! Checks the bounds of a counting loop's array accesses once, in front of the loop.
//!
//! In a loop whose variable `v` grows by 1 in each round, with `c` rounds to come, the elements `v + k` that its rounds
//! touch are `v + k, ..., v + k + c`, without a gap. If the first and the last are below the array's length, all are.
//!
//! ```text
//! for i = 1, n do s = s + t[i] * t[i + 1] end       in front of the loop       gone from it
//!
//! 6 add %i -1
//! 7 below 6 len                                     i - 1 below len            x
//! 8 below %i len                                    i + c below len            x
//! ```
//!
//! What must hold for a loop at header `h`:
//!
//! * every back-edge to `h` comes from the paths of `h` itself, gives the variable its index's new value `index + step`,
//!   and the counter `count - 1`, and has checked that the counter was not 0 (this is what `ForLoop` records);
//! * the length is hoisted, so it is the same in all rounds;
//! * in front of the loop: `step` is 1, variable and index are equal, `count` is below the length, and so are the
//!   smallest element of the first round and the largest of the last. `count < len` makes sure that the sum does not wrap.
//!
//! The last round of a loop that is left early is never reached: such a check may fail although no access would. Then
//! the header is told to have no ranges.

use crate::ir::{End, HeaderId, Op, Range, Ref, SegmentId, Tree};

/// Fills [`crate::ir::Header::ranges`] of all headers.
pub fn run(tree: &mut Tree) {
    for id in tree.header_ids() {
        let header = tree.header(id);
        let ranges = if header.is_pinned || header.has_no_ranges { Vec::new() } else { find(tree, id) };
        tree.headers[id.index()].ranges = ranges;
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
    let back: Vec<SegmentId> = tree.segment_ids().filter(|s| tree.segment(*s).end == End::Around(id)).collect();
    if back.is_empty() || back.iter().any(|s| tree.header_of(*s) != id) {
        return None;
    }
    let inputs = &tree.header(id).inputs;
    let count = inputs.iter().copied().find(|input| back.iter().all(|s| counts_down(tree, *s, *input)))?;
    let (index, step) = inputs.iter().find_map(|input| {
        let next = tree.inst(written(tree, back[0], *input)?);
        let grows = next.op == Op::Add && next.a() == *input && *input != count;
        (grows && is_one(tree, id, &back, next.b())).then(|| (*input, next.b()))
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

/// Whether a step is 1, or an input that no round changes: then it is checked.
fn is_one(tree: &Tree, id: HeaderId, back: &[SegmentId], step: Ref) -> bool {
    match tree.const_int(step) {
        Some(n) => n == 1,
        None => {
            tree.header(id).inputs.contains(&step)
                && back.iter().all(|s| written(tree, *s, step).is_none_or(|v| v == step))
        }
    }
}

/// Whether a round that ends with a segment goes on only with a counter that is not 0, and leaves one less.
fn counts_down(tree: &Tree, segment: SegmentId, input: Ref) -> bool {
    let Some(next) = written(tree, segment, input) else { return false };
    let next = tree.inst(next);
    let is_less = next.op == Op::Add && next.a() == input && tree.const_int(next.b()) == Some(-1);
    is_less
        && tree.lineage(segment).into_iter().any(|s| {
            tree.body(s).any(|r| {
                let inst = tree.inst(r);
                inst.op == Op::Ne && inst.a() == input && tree.const_int(inst.b()) == Some(0)
            })
        })
}

/// The value that a segment leaves in the slot of an input.
fn written(tree: &Tree, segment: SegmentId, input: Ref) -> Option<Ref> {
    let snap = tree.segment(segment).end_snap?;
    let slot = tree.inst(input).aux;
    tree.snapshot(snap).slots.iter().find(|written| written.slot == slot).map(|written| written.value)
}
