//! Webs: block parameters and their arguments that have one place.

use crate::mir::Value;

use super::live::{MUCH_LONGER, Span, Spans, meet};
use super::plan::{Traits, index};

/// A parameter, and what it becomes on one edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) param: Value,
    pub(super) arg: Value,
    /// How much a move on that edge would cost.
    pub(super) weight: f32,
}

/// Which values have one place, and where those are alive.
pub(super) struct Webs {
    /// By value: another value of its web, or itself.
    leaders: Vec<Value>,
    /// The spans of values alone.
    single: Spans,
    /// By value: which entry of `spans` it has, if it is the leader of others.
    entries: Vec<Option<u32>>,
    spans: Vec<Vec<Span>>,
}

impl Webs {
    /// The value whose place a value has, itself for most.
    pub(super) fn leader(&self, v: Value) -> Value {
        self.leaders[index(v)]
    }

    /// The leader while webs are joined: those of others lead to it.
    fn find(&mut self, v: Value) -> Value {
        let mut at = v;
        while self.leaders[index(at)] != at {
            let next = self.leaders[index(at)];
            self.leaders[index(at)] = self.leaders[index(next)];
            at = next;
        }
        at
    }

    /// Where one of the values of a leader is alive.
    pub(super) fn spans(&self, leader: Value) -> &[Span] {
        match self.entries[index(leader)] {
            Some(entry) => &self.spans[entry as usize],
            None => self.single.of(leader),
        }
    }

    /// The second of two leaders has the place of the first.
    fn unite(&mut self, a: Value, b: Value) {
        self.leaders[index(b)] = a;
        let others = self.spans(b);
        if let Some(entry) = self.entries[index(a)]
            && self.spans[entry as usize].len() > others.len() * MUCH_LONGER
        {
            let others = others.to_vec();
            let spans = &mut self.spans[entry as usize];
            for span in others {
                spans.insert(spans.partition_point(|other| *other < span), span);
            }
            return;
        }
        let spans = both(self.spans(a), others);
        match self.entries[index(a)] {
            Some(entry) => self.spans[entry as usize] = spans,
            None => {
                self.entries[index(a)] = Some(self.spans.len() as u32);
                self.spans.push(spans);
            }
        }
    }
}

/// Two lists of spans, each in order, as one.
fn both(a: &[Span], b: &[Span]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(a.len() + b.len());
    let (mut n, mut m) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(n), b.get(m)) {
        let is_first = x < y;
        spans.push(if is_first { *x } else { *y });
        n += usize::from(is_first);
        m += usize::from(!is_first);
    }
    spans.extend_from_slice(&a[n..]);
    spans.extend_from_slice(&b[m..]);
    spans
}

/// Joins the two of each pair of values that need places, the dearest first, where those of the one web are never alive together
/// with those of the other. A leader gets the weight of all.
pub(super) fn join(single: Spans, traits: &mut [Traits], pairs: &[Pair]) -> Webs {
    let values = traits.len() as u32;
    let mut webs = Webs {
        leaders: (0..values).map(Value::from_u32).collect(),
        single,
        entries: vec![None; traits.len()],
        spans: Vec::new(),
    };
    for n in dearest_first(pairs.iter().map(|pair| pair.weight)) {
        let Pair { param, arg, .. } = pairs[n];
        let (a, b) = (webs.find(param), webs.find(arg));
        if a != b && !meet(webs.spans(a), webs.spans(b)) {
            webs.unite(a, b);
            traits[index(a)].weight += traits[index(b)].weight;
        }
    }
    webs.leaders = (0..values).map(|v| webs.find(Value::from_u32(v))).collect();
    webs
}

/// The places of numbers that are not negative, the largest first. Equal ones stay in order.
pub(super) fn dearest_first(numbers: impl Iterator<Item = f32>) -> impl Iterator<Item = usize> {
    // The bits of such numbers are in the order of the numbers.
    let key = |(n, number): (u64, f32)| u64::from(!number.to_bits()) << 32 | n;
    let mut keys: Vec<u64> = (0..).zip(numbers).map(key).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| (key & u64::from(u32::MAX)) as usize)
}

#[cfg(test)]
mod tests {
    use crate::mir::Value;

    use super::super::live::{Span, Spans};
    use super::super::plan::Traits;
    use super::{Pair, Webs, join};

    fn pair(param: u32, arg: u32, weight: f32) -> Pair {
        Pair { param: Value::from_u32(param), arg: Value::from_u32(arg), weight }
    }

    fn joined(spans: &[&[Span]], pairs: Vec<Pair>) -> (Webs, Vec<Value>) {
        let webs = join(Spans::from(spans), &mut vec![Traits::default(); spans.len()], &pairs);
        let leaders = (0..spans.len() as u32).map(|v| webs.leader(Value::from_u32(v))).collect();
        (webs, leaders)
    }

    #[test]
    fn what_is_counted_in_a_loop_has_one_place() {
        // v0 comes in, v1 is the parameter, v2 = v1 + 1 goes back.
        let (webs, leaders) = joined(&[&[(1, 4)], &[(6, 10)], &[(11, 14)]], vec![pair(1, 0, 1.0), pair(1, 2, 8.0)]);
        assert!(leaders.iter().all(|leader| *leader == leaders[0]));
        assert_eq!(webs.spans(leaders[0]), [(1, 4), (6, 10), (11, 14)]);
    }

    #[test]
    fn the_dearer_of_two_that_exclude_each_other_is_joined() {
        // v0 is still needed in the loop, whose parameter is v1.
        let (_, leaders) = joined(&[&[(1, 12)], &[(6, 10)], &[(11, 14)]], vec![pair(1, 0, 1.0), pair(1, 2, 8.0)]);
        assert_eq!(leaders[1], leaders[2]);
        assert_ne!(leaders[0], leaders[1]);
    }

    #[test]
    fn a_value_may_live_in_the_gaps_of_another() {
        let (_, leaders) = joined(&[&[(1, 4), (20, 24)], &[(6, 18)]], vec![pair(1, 0, 1.0)]);
        assert_eq!(leaders[0], leaders[1]);
    }
}
