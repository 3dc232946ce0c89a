//! Moves invariants of the loop in front of it.
//!
//! The loop of a header is all segments on paths that come back to it by the loop's own back-edge ([`End::Around`]), inner
//! loops included. What enters the loop anew (from outside, or from a segment that ends in [`End::Enter`], as the body of an
//! outer loop does) passes the preheader, where the hoisted instructions run again.
//!
//! An instruction of the header's own segment is hoisted when
//!
//! * its operands are hoisted, constants, or inputs that no segment of the loop changes;
//! * no segment of the loop changes the memory that it reads;
//! * it cannot fault where it runs earlier: a division only by a constant other than zero, and a load from a buffer only
//!   when all guards in front of it that look at the buffer's owner are hoisted as well.
//!
//! A hoisted guard leaves through the header's snapshot: nothing has run yet, so that is always right. A guard that only
//! some rounds would have reached is checked before each; that costs time when it fails, never correctness, and a header
//! whose hoisted guards fail often is pinned.
//!
//! Only the header's own segment is looked at: instructions of side segments run on some paths only.
//!
//! ```text
//! for i = 1, n do s = s + t[i] end          hoisted    in the loop
//!
//! 0 slot #0 tab       t                      x
//! 1 load kind 0                              x
//! 2 eq 1 kint(3)                             x
//! 3 load len 0                               x
//! 4 load array 0                             x
//! 5 slot #4 int       i                                 (changes)
//! 6 sub 5 kint(1)                                       x
//! 7 below 6 3                                           x
//! 8 ldpack 4 6 int                                      x
//! ```

use crate::ir::{Effects, End, Field, Format, HeaderId, Inst, Op, Ref, SegmentId, Start, Tree};

/// Fills [`crate::ir::Header::hoisted`] of all headers.
pub fn run(tree: &mut Tree) {
    for id in tree.header_ids() {
        let hoisted = if tree.header(id).is_pinned { Vec::new() } else { collect(tree, id) };
        tree.header_mut(id).hoisted = hoisted;
    }
}

struct Hoist<'a> {
    tree: &'a Tree,
    header: HeaderId,
    /// The segments of the loop.
    inside: Vec<SegmentId>,
    /// By instruction: whether its value is the same in all rounds.
    is_fixed: Vec<bool>,
}

/// The segments on the paths from a header back to it by back-edges of its own loop.
fn loop_of(tree: &Tree, header: HeaderId) -> Vec<SegmentId> {
    let mut is_inside = vec![false; tree.segments.len()];
    let mut open: Vec<SegmentId> =
        tree.segment_ids().filter(|id| tree.segment(*id).end == End::Around(header)).collect();
    while let Some(id) = open.pop() {
        if std::mem::replace(&mut is_inside[id.index()], true) {
            continue;
        }
        match tree.segment(id).start {
            Start::Snapshot(snap) => open.push(tree.snapshot(snap).segment),
            Start::Header(at) if at == header => {}
            // An inner loop, with all that leads to it: the bytecode nests.
            Start::Header(at) => {
                let ways = ways_to(tree, at);
                open.extend(tree.segment_ids().filter(|id| match tree.segment(*id).end {
                    End::Around(to) | End::Enter(to) => ways.contains(&to),
                    End::Open | End::Exit(_) | End::Return(..) | End::Tail(..) => false,
                }));
            }
        }
    }
    tree.segment_ids().filter(|id| is_inside[id.index()]).collect()
}

/// The headers whose arrivals may go on at `at`: itself, and those that it is an alternative of.
fn ways_to(tree: &Tree, at: HeaderId) -> Vec<HeaderId> {
    let mut ways = vec![at];
    let mut next = 0;
    while let Some(to) = ways.get(next).copied() {
        next += 1;
        let others = tree.header_ids().filter(|id| tree.header(*id).alternative == Some(to));
        let new: Vec<HeaderId> = others.filter(|id| !ways.contains(id)).collect();
        ways.extend(new);
    }
    ways
}

/// The instructions that are hoisted of a header.
fn collect(tree: &Tree, header: HeaderId) -> Vec<Ref> {
    let inside = loop_of(tree, header);
    // Where no way leads from the header's own segment back to it, its instructions are no part of the loop: nothing is
    // known of what they may pass.
    match tree.starting(Start::Header(header)).filter(|own| inside.contains(own)) {
        Some(own) => Hoist { tree, header, inside, is_fixed: vec![false; tree.insts.len()] }.collect(own),
        None => Vec::new(),
    }
}

impl Hoist<'_> {
    /// Goes through the header's own segment.
    fn collect(mut self, own: SegmentId) -> Vec<Ref> {
        let tree = self.tree;
        for at in 0..tree.insts.len() {
            if tree.insts[at].op.format() == Format::Const {
                self.is_fixed[at] = true;
            }
        }
        for input in &tree.header(self.header).inputs {
            self.is_fixed[input.index()] = !self.changes_slot(tree.inst(*input).aux);
        }
        let mut hoisted = Vec::new();
        let mut kept_guards: Vec<Ref> = Vec::new();
        for r in tree.body(own) {
            let inst = tree.inst(r);
            if self.can_move(inst, &kept_guards) {
                self.is_fixed[r.index()] = true;
                hoisted.push(r);
            } else if inst.op.format() == Format::Guard {
                kept_guards.push(r);
            }
        }
        hoisted
    }

    /// Whether a round of the loop may leave another value in a slot than it found there.
    fn changes_slot(&self, slot: u32) -> bool {
        self.inside.iter().any(|id| {
            let segment = self.tree.segment(*id);
            let (End::Around(to) | End::Enter(to)) = segment.end else { return false };
            let header = self.tree.header_of(*id);
            // Where a header on the way does not carry the slot, it goes through its place: nothing is known.
            let Some(input) = self.tree.input(header, slot) else { return true };
            if segment.calls_out || self.tree.input(to, slot).is_none() {
                return true;
            }
            let Some(snap) = segment.end_snap else { return true };
            self.tree.snapshot(snap).slots.iter().any(|written| written.slot == slot && written.value != input)
        })
    }

    fn can_move(&self, inst: &Inst, kept_guards: &[Ref]) -> bool {
        if !inst.operands().all(|r| self.is_fixed[r.index()]) {
            return false;
        }
        match inst.op.format() {
            Format::Unary | Format::Ternary | Format::GuardUnary => true,
            Format::Guard => !self.is_kind_of_growing(inst),
            Format::Binary => match inst.op {
                Op::IDiv | Op::Mod => self.tree.const_int(inst.b()).is_some_and(|divisor| divisor != 0),
                Op::LoadByte => !self.is_guarded(inst.a(), kept_guards),
                Op::Barrier | Op::BarrierUp => false,
                _ => true,
            },
            Format::Field => !self.is_changed(inst),
            Format::Up => !self.is_changed(inst),
            Format::Prop | Format::Elem | Format::Packed => {
                let owner = self.tree.inst(inst.a()).a();
                !self.is_changed(inst) && owner.is_some() && !self.is_guarded(owner, kept_guards)
            }
            Format::Call => inst.helper().is_some_and(|h| h.effects() == Effects::Pure && !h.can_fail()),
            Format::GuardPlace => !self.inside.iter().any(|id| self.tree.segment(*id).calls_out || self.closes(*id)),
            Format::Const
            | Format::Slot
            | Format::Mixed
            | Format::GuardNullary
            | Format::StoreProp
            | Format::StoreElem
            | Format::StoreUp
            | Format::StoreField
            | Format::Place
            | Format::LoadPlace
            | Format::StorePlace
            | Format::CallOut
            | Format::CallFn
            | Format::Returned
            | Format::Gone => false,
        }
    }

    /// Whether a guard looks at the element kind of an array that the loop makes longer. An empty array gets its kind with the
    /// first element, so that the guard would fail in front of each loop that fills a new table, and never inside of it.
    fn is_kind_of_growing(&self, guard: &Inst) -> bool {
        let kind = self.tree.inst(guard.a());
        let grows = |inst: &Inst| inst.op == Op::StoreField && inst.field() == Some(Field::Len) && inst.a() == kind.a();
        kind.field() == Some(Field::Kind)
            && self.inside.iter().any(|id| self.tree.body(*id).any(|r| grows(self.tree.inst(r))))
    }

    /// Whether a segment closes upvalues.
    fn closes(&self, id: SegmentId) -> bool {
        self.tree.body(id).any(|r| self.tree.inst(r).helper().is_some_and(|h| h.effects() == Effects::Closes))
    }

    /// Whether the loop may change what a load reads.
    fn is_changed(&self, load: &Inst) -> bool {
        let Some(class) = load.class() else { return true };
        if load.field().is_some_and(|field| field.is_constant()) {
            return false;
        }
        let changes = |inst: &Inst| self.tree.clobbers(inst, class) && !self.tree.initializes(inst);
        self.inside.iter().any(|id| self.tree.body(*id).any(|r| changes(self.tree.inst(r))))
    }

    /// Whether a guard that stays in the loop looks at `owner`, or at one of its fields.
    fn is_guarded(&self, owner: Ref, kept_guards: &[Ref]) -> bool {
        kept_guards.iter().any(|guard| {
            self.tree.inst(*guard).operands().any(|r| {
                let operand = self.tree.inst(r);
                r == owner || operand.op == Op::Load && operand.a() == owner
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::{HeaderId, Tree};

    /// What is hoisted of a header, as the text says it.
    fn hoisted(text: &str, header: u32) -> String {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        super::run(&mut tree);
        assert_eq!(crate::verify::verify(&tree), Ok(()));
        let refs = &tree.header(HeaderId(header)).hoisted;
        refs.iter().map(|r| format!("%{}", r.0)).collect::<Vec<_>>().join(" ")
    }

    /// `for i = 1, n do s = s + t[i] end`
    const SUM: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int %2=#3:int
segment 0 from header 0
  %3 = load.kind %0 int
  %4 eq %3 3 -> snap 1
  %5 = load.len %0 int
  %6 = load.array %0 ptr
  %7 = sub %1 1 int
  %8 below %7 %5 -> snap 1
  %9 = ldpack %6 %7 int
  %10 = add %2 %9 int
  %11 = add %1 1 int
  around header 0, snap 2
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 1, slots #2=%11 #3=%10
";

    #[test]
    fn what_no_round_changes_goes_in_front() {
        assert_eq!(hoisted(SUM, 0), "%3 %4 %5 %6");
    }

    #[test]
    fn stores_keep_loads_of_their_class_in_the_loop() {
        let text = SUM.replace("%11 = add %1 1 int", "%11 = add %1 1 int\n  %12 stfield.len %0 %11");
        assert_eq!(hoisted(&text, 0), "%3 %6", "nor may the first element have given the array its kind");
        let text = SUM.replace("%11 = add %1 1 int", "%11 = add %1 1 int\n  %12 call.setint %0 %1 %1 -> snap 3");
        assert_eq!(hoisted(&(text + "snap 3 service, pc 1\n"), 0), "");
    }

    #[test]
    fn a_new_object_is_none_that_was_there() {
        let text = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int
segment 0 from header 0
  %2 = load.slots %0 ptr
  %3 = ldprop %2 [0 of ptr@20] int -> snap 1
  %4 = call.newrecord ptr@20 1 tab -> snap 2
  %5 = load.slots %4 ptr
  %6 stprop %5 [0 of ptr@20] %3
  %7 = add %1 1 int
  around header 0, snap 3
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 service, pc 1
snap 3 guard, pc 1, slots #2=%7
";
        assert_eq!(hoisted(text, 0), "%2 %3");
        assert_eq!(hoisted(&text.replace("stprop %5", "stprop %2"), 0), "%2");
    }

    #[test]
    fn an_element_goes_only_with_all_guards_of_its_table() {
        // The number is invariant, the bounds check is not: `len` changes. Nor is the guard of the kind then moved.
        let text = SUM
            .replace("sub %1 1", "sub 8 1")
            .replace("%11 = add %1 1 int", "%11 = add %1 1 int\n  %12 stfield.len %0 %11");
        assert_eq!(hoisted(&text, 0), "%3 %6 %7");
        assert_eq!(hoisted(&SUM.replace("sub %1 1", "sub 8 1"), 0), "%3 %4 %5 %6 %7 %8 %9");
    }

    #[test]
    fn divisions_go_only_by_constants() {
        let text = SUM.replace("%7 = sub %1 1 int", "%7 = idiv %3 %5 int");
        assert!(!hoisted(&text, 0).contains("%7"));
        let text = SUM.replace("%7 = sub %1 1 int", "%7 = idiv %3 7 int");
        assert!(hoisted(&text, 0).contains("%7"));
    }

    #[test]
    fn pinned_headers_keep_everything() {
        assert_eq!(hoisted(&SUM.replace("snap 0, inputs", "snap 0, pinned, inputs"), 0), "");
    }

    /// An inner loop that changes slot 2, entered from the outer one, which uses it; slot 3 is the outer loop's own.
    const NESTED: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:int %2=#3:int
header 1 pc 5, snap 1, inputs %8=#1:int %9=#2:int %10=#3:int
segment 0 from header 0
  %3 = add %0 1 int
  %4 = mul %1 7 int
  %5 = mul %2 7 int
  enter header 1, snap 2
segment 1 from header 1
  %11 = mul %10 3 int
  %12 = add %9 %11 int
  %13 lt %12 1000 -> snap 3
  around header 1, snap 4
segment 2 from snap 3
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 guard, pc 5, slots #1=%3
snap 3 guard, pc 9, slots #2=%12
snap 4 guard, pc 5, slots #2=%12
snap 5 guard, pc 1, slots #2=%12
";

    #[test]
    fn inner_loops_are_part_of_the_outer_one() {
        assert_eq!(hoisted(NESTED, 0), "%5");
        assert_eq!(hoisted(NESTED, 1), "%11");
    }

    /// The outer loop stores to what it loads. It comes back through a copy of the inner loop (header 2), to which no segment
    /// leads: execution begins there, or a guard of header 1 fails.
    const COPIED: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:tab %1=#2:int
header 1 pc 5, snap 1, inputs %8=#1:tab %9=#2:int
header 2 pc 5, snap 2, inputs %12=#1:tab %13=#2:int
segment 0 from header 0
  %2 = load.kind %0 int
  %3 = load.len %0 int
  %4 = add %3 1 int
  %5 stfield.len %0 %4
  enter header 1, snap 3
segment 1 from header 1
  %10 = load.kind %8 int
  %11 eq %10 3 -> snap 1
  around header 1, snap 4
segment 2 from header 2
  %14 = add %13 1 int
  around header 0, snap 5
snap 0 guard, pc 1
snap 1 guard, pc 5
snap 2 guard, pc 5
snap 3 guard, pc 5
snap 4 guard, pc 5
snap 5 guard, pc 1, slots #2=%14
";

    #[test]
    fn a_way_back_past_the_headers_own_segment_is_no_loop_of_it() {
        assert_eq!(hoisted(COPIED, 0), "");
        assert_eq!(hoisted(COPIED, 1), "%10 %11");
    }

    #[test]
    fn alternatives_are_ways_on() {
        let text = COPIED.replace("%9=#2:int", "%9=#2:int, alternative 2");
        assert_eq!(hoisted(&text, 0), "%2");
    }
}
