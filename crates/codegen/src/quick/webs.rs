//! Webs: block parameters and their arguments that have one place.

use cranelift_codegen::ir::Value;

use super::plan::{Interval, index};

/// A parameter, and what it becomes on one edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) param: Value,
    pub(super) arg: Value,
    /// How much a move on that edge would cost.
    pub(super) weight: f32,
}

/// The intervals of a web's values, in order.
type Spans = Vec<(u32, u32)>;

struct Webs {
    /// By value: another value of its web, or itself.
    leaders: Vec<Value>,
    /// By value: of which entry of `spans` it is the leader, if it is in a pair.
    entries: Vec<Option<u32>>,
    spans: Vec<Spans>,
}

impl Webs {
    fn leader(&mut self, v: Value) -> Value {
        let mut at = v;
        while self.leaders[index(at)] != at {
            let next = self.leaders[index(at)];
            self.leaders[index(at)] = self.leaders[index(next)];
            at = next;
        }
        at
    }

    fn spans(&mut self, leader: Value, interval: Interval) -> usize {
        let entry = self.entries[index(leader)].get_or_insert_with(|| {
            self.spans.push(vec![(interval.start, interval.end)]);
            self.spans.len() as u32 - 1
        });
        *entry as usize
    }
}

/// Joins the two of each pair of values that need places, the dearest first, where no interval of the one web meets one of the other. Afterwards a leader's
/// interval spans those of its web. The leader of each value is returned.
pub(super) fn join(intervals: &mut [Interval], mut pairs: Vec<Pair>) -> Vec<Value> {
    let values = intervals.len() as u32;
    let mut webs = Webs {
        leaders: (0..values).map(Value::from_u32).collect(),
        entries: vec![None; intervals.len()],
        spans: Vec::new(),
    };
    pairs.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    for Pair { param, arg, .. } in pairs {
        let (a, b) = (webs.leader(param), webs.leader(arg));
        if a == b {
            continue;
        }
        let (of_a, of_b) = (webs.spans(a, intervals[index(a)]), webs.spans(b, intervals[index(b)]));
        if meet(&webs.spans[of_a], &webs.spans[of_b]) {
            continue;
        }
        let others = std::mem::take(&mut webs.spans[of_b]);
        webs.spans[of_a].extend(others);
        webs.spans[of_a].sort_unstable();
        webs.leaders[index(b)] = a;
        let joined = intervals[index(b)];
        let interval = &mut intervals[index(a)];
        interval.start = interval.start.min(joined.start);
        interval.end = interval.end.max(joined.end);
        interval.weight += joined.weight;
    }
    (0..values).map(|v| webs.leader(Value::from_u32(v))).collect()
}

/// Whether two lists of intervals, both in order, have a number in common.
fn meet(a: &[(u32, u32)], b: &[(u32, u32)]) -> bool {
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
    use cranelift_codegen::ir::Value;

    use super::super::plan::Interval;
    use super::{Pair, join, meet};

    fn interval(start: u32, end: u32) -> Interval {
        Interval { start, end, weight: 1.0, friend: None }
    }

    fn pair(param: u32, arg: u32, weight: f32) -> Pair {
        Pair { param: Value::from_u32(param), arg: Value::from_u32(arg), weight }
    }

    #[test]
    fn intervals_meet_at_their_ends() {
        assert!(meet(&[(0, 4)], &[(4, 8)]));
        assert!(!meet(&[(0, 3), (9, 12)], &[(4, 8), (13, 13)]));
        assert!(meet(&[(0, 3), (9, 12)], &[(4, 8), (12, 13)]));
    }

    #[test]
    fn what_is_counted_in_a_loop_has_one_place() {
        // v0 comes in, v1 is the parameter, v2 = v1 + 1 goes back.
        let mut intervals = [interval(1, 4), interval(6, 10), interval(11, 14)];
        let leaders = join(&mut intervals, vec![pair(1, 0, 1.0), pair(1, 2, 8.0)]);
        assert!(leaders.iter().all(|leader| *leader == leaders[0]));
        let web = intervals[leaders[0].as_u32() as usize];
        assert_eq!((web.start, web.end), (1, 14));
    }

    #[test]
    fn the_dearer_of_two_that_exclude_each_other_is_joined() {
        // v0 is still needed in the loop, whose parameter is v1.
        let mut intervals = [interval(1, 12), interval(6, 10), interval(11, 14)];
        let leaders = join(&mut intervals, vec![pair(1, 0, 1.0), pair(1, 2, 8.0)]);
        assert_eq!(leaders[1], leaders[2]);
        assert_ne!(leaders[0], leaders[1]);
    }
}
