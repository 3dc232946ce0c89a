//! What a recursive function relies on is looked at once, when the recursion begins.
//!
//! ```lua
//! local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
//! ```
//!
//! The function finds itself in an upvalue, each time that it runs:
//!
//! ```text
//! %3    = load.upval %1 ptr         %1 is the function itself
//! %4    = load.upslot %3 ptr
//! %5      offwritten %4 -> snap 2
//! %6    = ldfix %4 lfn -> snap 2
//! %7      eq %6 %1 -> snap 2
//! ```
//!
//! These five are a *fact* about an upvalue of a closure. While code calls code nobody can change it: no function assigns to such
//! a variable as its upvalue, and the function that declares it stands still until its call comes back. So facts are hoisted to the
//! preheader of the function's entry, and a call of the very closure that runs passes that by. This works where nobody needs
//! the values that are loaded, because they are known: the function itself, or a constant.

use crate::ir::{End, Field, HeaderId, Op, Recipe, Ref, SnapId, Tree};

/// An upvalue by its number, and what it holds: a constant, or the function whose upvalue it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    upvalue: u32,
    holds: Option<Ref>,
}

/// The instructions of a fact, in their order.
type Chain = [Ref; 5];

/// Fills [`Header::hoisted`](crate::ir::Header::hoisted) of the entries of functions that are no loops.
pub fn run(tree: &mut Tree) {
    let entries = tree.header_ids().filter(|id| {
        let header = tree.header(*id);
        header.is_called && !header.is_pinned && header.hoisted.is_empty() && !is_loop(tree, *id)
    });
    let facts_at = |id: HeaderId| {
        let segments = tree.segment_ids().filter(|segment| tree.header_of(*segment) == id);
        let insts: Vec<Ref> = segments.flat_map(|segment| tree.body(segment)).collect();
        (id, chains(tree, id, &insts))
    };
    let with_facts: Vec<(HeaderId, Vec<(Fact, Chain)>)> =
        entries.map(facts_at).filter(|(_, all)| !all.is_empty()).collect();
    if with_facts.is_empty() {
        return;
    }
    let uses = uses(tree);
    for (id, all) in with_facts {
        // Where paths differ in what an upvalue holds, each of them has to look.
        let is_agreed = |fact: &Fact| all.iter().all(|(other, _)| other.upvalue != fact.upvalue || other == fact);
        let common = all.iter().filter(|(fact, chain)| is_agreed(fact) && are_its_own(chain, &uses));
        let mut hoisted: Vec<Ref> = common.flat_map(|(_, chain)| *chain).collect();
        hoisted.sort_unstable();
        tree.header_mut(id).hoisted = hoisted;
    }
}

/// Whether a path comes back to a header without passing its preheader.
fn is_loop(tree: &Tree, id: HeaderId) -> bool {
    tree.segments.iter().any(|segment| segment.end == End::Around(id))
}

/// The facts that some instructions of a header state.
fn chains(tree: &Tree, id: HeaderId, insts: &[Ref]) -> Vec<(Fact, Chain)> {
    let Some(function) = tree.input(id, 0) else { return Vec::new() };
    let chain_of = |guard: Ref| {
        let eq = tree.inst(guard);
        let holds = (eq.b() != function).then_some(eq.b());
        let fixed = eq.a();
        if eq.op != Op::Eq || holds.is_some_and(|r| !tree.is_const(r)) || tree.inst(fixed).op != Op::LoadFixed {
            return None;
        }
        let slot = tree.inst(fixed).a();
        let upvalue = tree.inst(slot).a();
        let is_off = |r: &&Ref| tree.inst(**r).op == Op::OffWritten && tree.inst(**r).a() == slot;
        let off = *insts.iter().find(is_off)?;
        let loads = tree.inst(slot).field() == Some(Field::UpSlot)
            && tree.inst(upvalue).field() == Some(Field::UpVal)
            && tree.inst(upvalue).a() == function;
        let chain = [upvalue, slot, off, fixed, guard];
        let is_here = chain.iter().all(|r| insts.contains(r));
        (loads && is_here).then(|| (Fact { upvalue: tree.inst(upvalue).aux, holds }, chain))
    };
    insts.iter().filter_map(|r| chain_of(*r)).collect()
}

/// By instruction: how many others use what it makes, and snapshots.
fn uses(tree: &Tree) -> Vec<u32> {
    let mut uses = vec![0; tree.insts.len()];
    let operands = tree.insts.iter().flat_map(|inst| inst.operands());
    let slots = tree.snapshots.iter().flat_map(|snap| snap.slots.iter().map(|slot| slot.value));
    let parts = tree.snapshots.iter().flat_map(|snap| snap.sunk.iter().flat_map(Recipe::parts));
    for r in operands.chain(slots).chain(parts) {
        uses[r.index()] += 1;
    }
    uses
}

/// Whether nobody else uses what the instructions of a chain make.
fn are_its_own([upvalue, slot, _, fixed, _]: &Chain, uses: &[u32]) -> bool {
    [(upvalue, 1), (slot, 2), (fixed, 1)].into_iter().all(|(r, own)| uses[r.index()] == own)
}

/// Where the facts about the function that runs are known to hold.
#[derive(Clone, Debug, Default)]
pub struct Recursion {
    /// By header: whether they do on all paths from there.
    holds: Vec<bool>,
    /// The entries whose preheaders do nothing but look at them.
    entries: Vec<HeaderId>,
}

impl Recursion {
    /// Looks at a tree after its passes.
    #[must_use]
    pub fn of(tree: &Tree) -> Recursion {
        let called: Vec<HeaderId> = tree.header_ids().filter(|id| tree.header(*id).is_called).collect();
        let hoisted = |id: HeaderId| chains(tree, id, &tree.header(id).hoisted);
        let facts = |id: HeaderId| {
            let mut facts: Vec<Fact> = hoisted(id).into_iter().map(|(fact, _)| fact).collect();
            facts.sort_unstable();
            facts.dedup();
            facts
        };
        let Some(needed) = called.first().map(|id| facts(*id)).filter(|facts| !facts.is_empty()) else {
            return Recursion::default();
        };
        let uses = uses(tree);
        // A call may be of any version of the entry: all look at the same, and at nothing else.
        let is_entry = |id: &HeaderId| {
            let chains = hoisted(*id);
            let is_all = chains.iter().map(|(_, chain)| chain.len()).sum::<usize>() == tree.header(*id).hoisted.len();
            is_all
                && chains.iter().all(|(_, chain)| are_its_own(chain, &uses))
                && facts(*id) == needed
                && !is_loop(tree, *id)
        };
        if !called.iter().all(is_entry) {
            return Recursion::default();
        }
        let looks = |id: HeaderId| {
            let its = facts(id);
            needed.iter().all(|fact| its.contains(fact))
        };
        let looked: Vec<bool> = tree.header_ids().map(looks).collect();
        Recursion { holds: spread(tree, looked), entries: called }
    }

    /// Whether a call on a path from `from` may pass by the preheader of the entry `to`, when it calls `function`.
    #[must_use]
    pub fn passes_by(&self, tree: &Tree, from: HeaderId, function: Ref, to: HeaderId) -> bool {
        self.holds.get(from.index()) == Some(&true) && tree.input(from, 0) == Some(function) && self.is_entry(to)
    }

    /// Whether the preheader of an entry may be passed by.
    #[must_use]
    pub fn is_entry(&self, id: HeaderId) -> bool {
        self.entries.contains(&id)
    }
}

/// Where facts hold, if `looked` says which headers look at them whenever they are entered: also at those which are entered only
/// from paths where they hold, with the same function.
fn spread(tree: &Tree, looked: Vec<bool>) -> Vec<bool> {
    // Execution begins only where no call is inlined.
    let may_hold = |id: HeaderId| looked[id.index()] || !tree.header(id).frames.is_empty();
    let mut holds: Vec<bool> = tree.header_ids().map(may_hold).collect();
    let ways: Vec<(HeaderId, HeaderId, SnapId, bool)> = tree
        .segment_ids()
        .filter_map(|id| {
            let segment = tree.segment(id);
            let (End::Around(to) | End::Enter(to)) = segment.end else { return None };
            Some((tree.header_of(id), to, segment.end_snap?, segment.calls_out))
        })
        .collect();
    loop {
        let mut is_done = true;
        for (from, to, snap, calls_out) in &ways {
            let function = tree.input(*from, 0);
            let mut written = tree.snapshot(*snap).slots.iter().filter(|written| written.slot == 0);
            let is_same = !calls_out
                && function.is_some()
                && tree.input(*to, 0).is_some()
                && written.all(|written| Some(written.value) == function);
            if holds[to.index()] && !looked[to.index()] && !(holds[from.index()] && is_same) {
                holds[to.index()] = false;
                is_done = false;
            }
        }
        for from in tree.header_ids() {
            if let Some(to) = tree.header(from).alternative
                && holds[to.index()]
                && !looked[to.index()]
            {
                holds[to.index()] = false;
                is_done = false;
            }
        }
        if is_done {
            return holds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Recursion;
    use crate::ir::{HeaderId, Ref, Tree};

    /// `local function f(n) if n == 0 then return 0 end return f(n - 1) end`, with a loop for tail calls.
    const COUNT: &str = "\
header 0 pc 0, snap 0, inputs %0=#0:lfn %1=#1:int, called
header 1 pc 0, snap 1, inputs %9=#0:lfn %10=#1:int
  frame func 0 base 1
segment 0 from header 0
  %2 ne %1 0 -> snap 0
  %3 = load.upval %0 #1 ptr
  %4 = load.upslot %3 ptr
  %5 offwritten %4 -> snap 0
  %6 = ldfix %4 lfn -> snap 0
  %7 eq %6 %0 -> snap 0
  %8 = add %1 -1 int
  enter header 1, snap 2
segment 1 from header 1
  %11 = add %10 -1 int
  %12 stplace %11 #0
  return 1, snap 3
snap 0 guard, pc 0
snap 1 guard, pc 0
snap 2 guard, pc 0, slots #1=%8
  frame func 0 base 1
snap 3 end, pc 9
";

    fn optimized(text: &str) -> Tree {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        for _ in 0..2 {
            super::run(&mut tree);
            assert_eq!(crate::verify::verify(&tree), Ok(()));
        }
        tree
    }

    fn hoisted(text: &str) -> String {
        let tree = optimized(text);
        tree.header(HeaderId(0)).hoisted.iter().map(|r| format!("%{}", r.0)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn facts_go_in_front_of_the_entry() {
        assert_eq!(hoisted(COUNT), "%3 %4 %5 %6 %7");
        assert_eq!(hoisted(&COUNT.replace("eq %6 %0", "eq %6 lfn@8")), "%3 %4 %5 %6 %7");
    }

    #[test]
    fn what_may_change_or_is_needed_stays() {
        assert_eq!(hoisted(&COUNT.replace("ldfix", "ldup")), "");
        assert_eq!(hoisted(&COUNT.replace("slots #1=%8", "slots #1=%8 #3=%6")), "");
        assert_eq!(hoisted(&COUNT.replace(", called", ", pinned, called")), "");
        assert_eq!(hoisted(&COUNT.replace(", called", "")), "");
        assert_eq!(hoisted(&COUNT.replace("enter header 1, snap 2", "around header 0, snap 2")), "");
    }

    /// Whether a call passes by the entry: from the entry's own paths, and from those of the loop.
    fn passes_by(text: &str) -> [bool; 2] {
        let tree = optimized(text);
        let recursion = Recursion::of(&tree);
        let function = |id| tree.input(HeaderId(id), 0).unwrap_or(Ref::NONE);
        [0, 1].map(|id| recursion.passes_by(&tree, HeaderId(id), function(id), HeaderId(0)))
    }

    #[test]
    fn the_function_that_runs_is_not_looked_at_again() {
        assert_eq!(passes_by(COUNT), [true, true]);
        let tree = optimized(COUNT);
        assert!(!Recursion::of(&tree).passes_by(&tree, HeaderId(0), Ref(6), HeaderId(0)), "another one is");
    }

    #[test]
    fn a_loop_that_is_entered_by_itself_or_with_another_function_knows_nothing() {
        assert_eq!(
            passes_by(
                &COUNT
                    .replace("  frame func 0 base 1\nsegment", "segment")
                    .replace("  frame func 0 base 1\nsnap 3", "snap 3")
            ),
            [true, false]
        );
        assert_eq!(passes_by(&COUNT.replace("slots #1=%8", "slots #0=lfn@8 #1=%8")), [true, false]);
    }
}
