//! Several values that change places at once: those of block parameters on an edge, those of arguments at a call.
//!
//! A move may go as soon as nobody needs what is in its target any more. Where only circles are left, one value is put aside.

/// A register, a stack slot by its distance from the frame pointer, or an argument by its distance from the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Gpr(u8),
    Xmm(u8),
    Slot(i32),
    Out(i32),
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Place(Place),
    Int(i64),
    Float(u64),
}

/// One value of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) to: Place,
    pub(super) from: Source,
}

/// What a value of a circle is put aside in. No move has them for its target or source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aside {
    pub(super) gpr: Place,
    pub(super) xmm: Place,
}

/// Puts moves that are meant at once into an order. Constants come last: they need nothing.
pub(super) fn order(moves: &mut Vec<Move>, aside: Aside, mut go: impl FnMut(Move)) {
    moves.retain(|one| Source::Place(one.to) != one.from);
    moves.sort_by_key(|one| !matches!(one.from, Source::Place(_)));
    let mut values = moves.iter().take_while(|one| matches!(one.from, Source::Place(_))).count();
    while values > 0 {
        let is_needed = |place: Place| moves[..values].iter().any(|one| one.from == Source::Place(place));
        if let Some(n) = (0..values).find(|n| !is_needed(moves[*n].to)) {
            go(moves[n]);
            moves.remove(n);
            values -= 1;
            continue;
        }
        let to = moves[0].to;
        let kept = if matches!(to, Place::Xmm(_)) { aside.xmm } else { aside.gpr };
        go(Move { to: kept, from: Source::Place(to) });
        for one in &mut moves[..values] {
            if one.from == Source::Place(to) {
                one.from = Source::Place(kept);
            }
        }
    }
    for one in moves.drain(..) {
        go(one);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Aside, Move, Place, Source, order};

    const ASIDE: Aside = Aside { gpr: Place::Xmm(15), xmm: Place::Xmm(14) };

    /// What is in all places after the moves, each of which held its own name.
    fn run(mut moves: Vec<Move>) -> HashMap<String, String> {
        let mut places: HashMap<String, String> = HashMap::new();
        order(&mut moves, ASIDE, |one| {
            let value = match one.from {
                Source::Place(place) => {
                    let name = format!("{place:?}");
                    places.get(&name).cloned().unwrap_or(name)
                }
                other => format!("{other:?}"),
            };
            places.insert(format!("{:?}", one.to), value);
        });
        places
    }

    #[test]
    fn moves_are_as_if_at_once() {
        let places = [Place::Gpr(1), Place::Gpr(2), Place::Slot(8), Place::Xmm(3), Place::Xmm(4)];
        // All assignments of five sources to five targets, as far as the kinds of registers allow moves in the machine.
        for code in 0..5_usize.pow(5) {
            let pick = |n: usize| places[code / 5_usize.pow(n as u32) % 5];
            let moves = (0..5).map(|n| Move { to: places[n], from: Source::Place(pick(n)) }).collect();
            let after = run(moves);
            for (n, to) in places.iter().enumerate() {
                let name = format!("{to:?}");
                assert_eq!(after.get(&name).unwrap_or(&name), &format!("{:?}", pick(n)), "{code}: {to:?}");
            }
        }
    }

    #[test]
    fn constants_overwrite_nothing_that_is_needed() {
        let one = Move { to: Place::Gpr(1), from: Source::Int(7) };
        let two = Move { to: Place::Gpr(2), from: Source::Place(Place::Gpr(1)) };
        let after = run(vec![one, two]);
        assert_eq!(after["Gpr(1)"], "Int(7)");
        assert_eq!(after["Gpr(2)"], "Gpr(1)");
    }
}
