//! Where values are alive: spans of numbers, as many as it takes.
//!
//! A value is alive from where it is made to its last use, and in all blocks from which control can come to a use without
//! passing where it is made. Spans are in order, and do not touch. An exit is numbered behind all that is hot, so that
//! what it stores is alive there, and in between at nobody's cost.

use std::ops::Range;

use crate::mir::Value;

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

/// Blocks in a row of the order, each but the first with the one in front of it for its only predecessor, as the guards of a path
/// make them. A value that is alive in one of them and made further up is alive in between: there is nothing to follow.
struct Runs {
    /// By place in the order: the run of the block.
    of: Vec<u32>,
    /// By run: its first number.
    starts: Vec<u32>,
    /// The ends of blocks from which control comes to the beginning of a run, for each run those in a row: the run of such a
    /// block, and its last number.
    from: Vec<(u32, u32)>,
    /// By run: where its row begins. It ends where the next one begins.
    rows: Vec<u32>,
}

impl Runs {
    fn of(blocks: &Blocks, bounds: &[Span]) -> Runs {
        let mut runs =
            Runs { of: Vec::with_capacity(bounds.len()), starts: Vec::new(), from: Vec::new(), rows: Vec::new() };
        let mut before = None;
        for (block, (start, _)) in blocks.order.iter().zip(bounds) {
            let goes_on = before.is_some_and(|before| blocks.predecessors(*block) == [before]);
            if !goes_on {
                runs.starts.push(*start);
            }
            runs.of.push(runs.starts.len() as u32 - 1);
            before = Some(*block);
        }
        let mut known = None;
        for (rank, block) in blocks.order.iter().enumerate() {
            if known.replace(runs.of[rank]) == Some(runs.of[rank]) {
                continue;
            }
            runs.rows.push(runs.from.len() as u32);
            // Control cannot come from where it does not come to.
            let from = blocks.predecessors(*block).iter().filter_map(|from| blocks.rank(*from));
            runs.from.extend(from.map(|from| (runs.of[from], bounds[from].1)));
        }
        runs.rows.push(runs.from.len() as u32);
        runs
    }

    fn predecessors(&self, run: u32) -> &[(u32, u32)] {
        &self.from[self.rows[run as usize] as usize..self.rows[run as usize + 1] as usize]
    }
}

/// Follows each value from its uses back to where it is made. `blocks` have the numbers in `bounds`, by their places in the order.
pub(super) fn find(blocks: &Blocks, bounds: &[Span], homes: &[Home], uses: &[Use]) -> Spans {
    let by_value = sorted(uses, homes.len());
    let mut spans = Spans { all: Vec::with_capacity(homes.len()), first: Vec::with_capacity(homes.len() + 1) };
    let runs = Runs::of(blocks, bounds);
    let alive = vec![Alive::default(); runs.starts.len()];
    let found = vec![0; alive.len() / 64 + 1];
    let mut finder = Finder { runs: &runs, alive, found, words: 0..0, todo: Vec::new() };
    let mut rest = &by_value[..];
    for (n, home) in (0..).zip(homes) {
        spans.first.push(spans.all.len() as u32);
        let count = rest.iter().take_while(|one| one.value == Value::from_u32(n)).count();
        let (own, others) = rest.split_at(count);
        rest = others;
        let run = runs.of[home.rank as usize];
        match own.iter().map(|one| one.number).max() {
            // Most are used in the run where they are made.
            Some(last) if own.iter().all(|one| runs.of[one.rank as usize] == run) => {
                spans.all.push((home.number, last))
            }
            Some(_) => finder.follow(run, home.number, own, &mut spans.all),
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

/// What is known of one value in one run.
#[derive(Clone, Copy, Debug, Default)]
struct Alive {
    /// The last number where it is alive.
    end: u32,
    /// Whether it comes in from other runs.
    comes_in: bool,
}

struct Finder<'a> {
    runs: &'a Runs,
    /// By run; as by default between one value and the next.
    alive: Vec<Alive>,
    /// The runs where the value is alive, a bit for each.
    found: Vec<u64>,
    /// The words of these that have any.
    words: Range<usize>,
    /// Runs in which it is alive up to a number.
    todo: Vec<(u32, u32)>,
}

impl Finder<'_> {
    /// Finds the spans of a value that is made in the run `home` with a number.
    fn follow(&mut self, home: u32, made: u32, uses: &[Use], spans: &mut Vec<Span>) {
        for Use { rank, number, .. } in uses {
            self.reach(home, self.runs.of[*rank as usize], *number);
        }
        while let Some((run, number)) = self.todo.pop() {
            self.reach(home, run, number);
        }
        let first = spans.len();
        for n in std::mem::take(&mut self.words) {
            let mut bits = std::mem::take(&mut self.found[n]);
            while bits != 0 {
                let run = n * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Alive { end, comes_in } = std::mem::take(&mut self.alive[run]);
                let start = if comes_in { self.runs.starts[run] } else { made };
                match spans[first..].last_mut() {
                    Some(last) if last.1 + 1 == start => last.1 = end,
                    Some(_) | None => spans.push((start, end)),
                }
            }
        }
    }

    /// The value is alive in a run up to a number: from where it is made there, or from where control comes.
    fn reach(&mut self, home: u32, run: u32, end: u32) {
        let alive = &mut self.alive[run as usize];
        let word = run as usize / 64;
        self.found[word] |= 1 << (run % 64);
        self.words = if self.words.is_empty() {
            word..word + 1
        } else {
            self.words.start.min(word)..self.words.end.max(word + 1)
        };
        alive.end = alive.end.max(end);
        if run != home && !std::mem::replace(&mut alive.comes_in, true) {
            self.todo.extend_from_slice(self.runs.predecessors(run));
        }
    }
}

/// How many times as long one list of spans must be for the spans of the other to be looked for in it one by one.
pub(super) const MUCH_LONGER: usize = 8;

/// Whether two lists of spans have a number in common.
pub(super) fn meet(a: &[Span], b: &[Span]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if long.len() > short.len() * MUCH_LONGER {
        let meets = |(start, end): &Span| {
            let n = long.partition_point(|other| other.1 < *start);
            long.get(n).is_some_and(|other| other.0 <= *end)
        };
        return short.iter().any(meets);
    }
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
