//! Where values are alive: spans of numbers, as many as it takes.
//!
//! A value is alive from where it is made to its last use, and in all blocks from which control can come to a use without
//! passing where it is made. Spans are in order, and do not touch. An exit is numbered behind all that is hot, so that
//! what it stores is alive there, and in between at nobody's cost.

use cranelift_codegen::ir::Value;

use super::order::Blocks;
use super::plan::index;

/// The first and the last number of a span.
pub(super) type Span = (u32, u32);

/// A use of a value: in which block of the order, and by which instruction's number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) value: Value,
    pub(super) rank: u32,
    pub(super) number: u32,
}

/// The spans of all values.
#[derive(Debug, Default)]
pub(super) struct Spans {
    all: Vec<Span>,
    /// By value: where its spans begin. They end where those of the next begin.
    first: Vec<u32>,
}

impl Spans {
    pub(super) fn of(&self, v: Value) -> &[Span] {
        &self.all[self.first[index(v)] as usize..self.first[index(v) + 1] as usize]
    }
}

#[cfg(test)]
impl From<&[&[Span]]> for Spans {
    fn from(of: &[&[Span]]) -> Spans {
        let mut spans = Spans::default();
        for list in of {
            spans.first.push(spans.all.len() as u32);
            spans.all.extend(*list);
        }
        spans.first.push(spans.all.len() as u32);
        spans
    }
}

/// Where a value is made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Home {
    /// The block's place in the order.
    pub(super) rank: u32,
    pub(super) number: u32,
}

/// Follows each value from its uses back to where it is made. `blocks` have the numbers in `bounds`, by their places in the order.
pub(super) fn find(blocks: &Blocks, bounds: &[Span], homes: &[Home], uses: &[Use]) -> Spans {
    let by_value = sorted(uses, homes.len());
    let mut spans = Spans::default();
    let mut finder =
        Finder { blocks, bounds, alive: vec![Alive::default(); bounds.len()], found: Vec::new(), todo: Vec::new() };
    let mut rest = &by_value[..];
    for (n, home) in (0..).zip(homes) {
        spans.first.push(spans.all.len() as u32);
        let count = rest.iter().take_while(|one| one.value == Value::from_u32(n)).count();
        let (own, others) = rest.split_at(count);
        rest = others;
        match own.iter().map(|one| one.number).max() {
            // Most are used where they are made.
            Some(last) if own.iter().all(|one| one.rank == home.rank) => spans.all.push((home.number, last)),
            Some(_) => finder.follow(*home, own, &mut spans.all),
            None => {}
        }
    }
    spans.first.push(spans.all.len() as u32);
    spans
}

/// The uses of each value together.
fn sorted(uses: &[Use], values: usize) -> Vec<Use> {
    let mut next = vec![0u32; values + 1];
    for one in uses {
        next[index(one.value) + 1] += 1;
    }
    for n in 0..values {
        next[n + 1] += next[n];
    }
    let mut sorted = uses.to_vec();
    for one in uses {
        let place = &mut next[index(one.value)];
        sorted[*place as usize] = *one;
        *place += 1;
    }
    sorted
}

/// What is known of one value in one block.
#[derive(Clone, Copy, Debug, Default)]
struct Alive {
    /// The last number where it is alive; 0 for nowhere.
    end: u32,
    /// Whether it comes in from other blocks.
    comes_in: bool,
}

struct Finder<'a> {
    blocks: &'a Blocks,
    bounds: &'a [Span],
    /// By place in the order; as by default between one value and the next.
    alive: Vec<Alive>,
    /// The blocks where the value is alive.
    found: Vec<u32>,
    /// Blocks at whose ends it is.
    todo: Vec<u32>,
}

impl Finder<'_> {
    fn follow(&mut self, home: Home, uses: &[Use], spans: &mut Vec<Span>) {
        for Use { rank, number, .. } in uses {
            self.reach(home, *rank, *number);
        }
        while let Some(rank) = self.todo.pop() {
            self.reach(home, rank, self.bounds[rank as usize].1);
        }
        self.found.sort_unstable();
        let first = spans.len();
        for rank in self.found.drain(..) {
            let Alive { end, comes_in } = std::mem::take(&mut self.alive[rank as usize]);
            let start = if comes_in { self.bounds[rank as usize].0 } else { home.number };
            match spans[first..].last_mut() {
                Some(last) if last.1 + 1 == start => last.1 = end,
                Some(_) | None => spans.push((start, end)),
            }
        }
    }

    /// The value is alive in a block up to a number: from where it is made there, or from where control comes.
    fn reach(&mut self, home: Home, rank: u32, end: u32) {
        let alive = &mut self.alive[rank as usize];
        if alive.end == 0 {
            self.found.push(rank);
        }
        alive.end = alive.end.max(end);
        if rank != home.rank && !std::mem::replace(&mut alive.comes_in, true) {
            let from = self.blocks.predecessors(self.blocks.order[rank as usize]).iter();
            // Control cannot come from where it does not come to.
            self.todo.extend(from.filter_map(|from| self.blocks.rank(*from).map(|rank| rank as u32)));
        }
    }
}

/// Whether two lists of spans have a number in common.
pub(super) fn meet(a: &[Span], b: &[Span]) -> bool {
    let (mut n, mut m) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(n), b.get(m)) {
        if x.1 < y.0 {
            n += 1;
        } else if y.1 < x.0 {
            m += 1;
        } else {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::meet;

    #[test]
    fn spans_meet_at_their_ends() {
        assert!(meet(&[(0, 4)], &[(4, 8)]));
        assert!(!meet(&[(0, 3), (9, 12)], &[(4, 8), (13, 13)]));
        assert!(meet(&[(0, 3), (9, 12)], &[(4, 8), (12, 13)]));
    }
}
