//! Leaves out tables that the path makes and nobody but an exit would see.
//!
//! A table that lives for one expression, such as the sum of two vectors, is known in every part while the path is recorded:
//! what is read from it is forwarded, and all that is left of it are stores. Such a table is *sunk*: it is not made where the
//! program says so, but where somebody needs it.
//!
//! * An exit needs it if it is in a slot there, or a property of another table that is. The snapshot gets a *recipe* for
//!   it, by which whoever runs the code makes it on the way out.
//! * A side segment needs it if it does anything with it that cannot be left out as well. The segment gets a *prologue* that
//!   makes it, as it is where the segment begins. Paths that do not need it never pay.
//! * If the segment that makes it needs it, it is made there as ever.
//!
//! ```text
//! %4  = call.newrecord ptr@3 1 tab -> snap 1        %4  = sunk tab
//! %5  = load.slots %4 ptr                           %5    gone
//! %6    stprop %5 %0 [0 of ptr@3]                   %6    gone
//! %7    nocoll -> snap 2                            %7    gone
//! %8    lt %0 9 -> snap 3                           %8    lt %0 9 -> snap 3
//! snap 3 ..., slots #2=%4                           snap 3 ..., slots #2=%4
//!                                                     sunk %4 shape ptr@3 meta null fields %0
//! ```
//!
//! A list whose values are known when it is made is sunk like a record: its length and its element kind are stores to the
//! table, its elements are stores to its array, at constant indices.
//!
//! What a segment needs is a least fixed point: a table that is stored into one that is needed is needed too.

use std::collections::{BTreeMap, BTreeSet};

use crate::ir::{
    End, Field, Format, Helper, Inst, Op, Recipe, Ref, Segment, SegmentId, SnapId, SnapSlot, Start, Tree, Ty,
};

/// Most properties of a sunk table: whoever makes it must have room for them in its cell, where nothing can fail.
pub const MAX_FIELDS: usize = 32;

/// Most elements of a sunk table: whoever makes it gets their buffer from a size class, where memory is kept back for what
/// cannot fail.
pub const MAX_ELEMENTS: usize = 32;

/// Sinks all tables of a tree that can be.
pub fn run(tree: &mut Tree) {
    if tree.insts.iter().any(|inst| made_by(tree, inst).is_some()) {
        let snaps = Snaps::of(tree);
        let needed = find_needed(tree, &snaps);
        Sink { null: constant(tree, Inst::new(Op::KPtr, Ty::Ptr)), tree, needed }.run(&snaps);
    }
}

/// By segment, the tables from outside of it that it needs, and those of its own that it makes as ever.
type Needed = BTreeSet<(SegmentId, Ref)>;

/// A table as the path has made it so far.
#[derive(Clone, Debug)]
struct Made {
    shape: Ref,
    meta: Option<Ref>,
    /// Room for elements; none for a record.
    room: Option<Ref>,
    /// Element kind, room and length, once stored.
    array: BTreeMap<Field, Ref>,
    fields: Vec<Option<Ref>>,
    elements: Vec<Option<Ref>>,
    /// By what its elements are stored, which goes with the element kind.
    store: Option<Op>,
}

impl Made {
    /// Its properties and elements.
    fn parts(&self) -> impl Iterator<Item = Option<Ref>> + '_ {
        self.fields.iter().chain(&self.elements).copied()
    }

    /// Whether an exit can make it: each of its parts has been stored, and they are not too many.
    fn is_whole(&self, tree: &Tree) -> bool {
        let len = self.array.get(&Field::Len).map_or(Some(0), |len| tree.const_int(*len));
        self.fields.len() <= MAX_FIELDS
            && self.elements.len() <= MAX_ELEMENTS
            && len == Some(self.elements.len() as i64)
            && self.parts().all(|part| part.is_some())
    }
}

/// Puts a part into its place.
fn put(parts: &mut Vec<Option<Ref>>, n: usize, value: Ref) {
    parts.resize(parts.len().max(n + 1), None);
    parts[n] = Some(value);
}

/// What is sunk at some point of a path.
#[derive(Clone, Debug, Default)]
struct Sunk {
    tables: BTreeMap<Ref, Made>,
    /// Pointers to slots and to arrays of these tables: whose, and which of both.
    buffers: BTreeMap<Ref, (Ref, Field)>,
    /// What has become of tables that were sunk further up the path, and of pointers to their buffers.
    renamed: BTreeMap<Ref, Ref>,
}

/// What an instruction does with sunk tables.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    None,
    /// It only makes one what it is.
    Builds,
    /// It takes these otherwise.
    Needs(Vec<Ref>),
}

impl Sunk {
    /// The sunk table that an operand is, or points into.
    fn table_of(&self, r: Ref) -> Option<Ref> {
        if self.tables.contains_key(&r) { Some(r) } else { self.buffers.get(&r).map(|(owner, _)| *owner) }
    }

    /// An instruction runs, which is none that makes a table.
    fn step(&mut self, tree: &Tree, r: Ref, inst: &Inst) -> Step {
        if self.tables.is_empty() {
            return Step::None;
        }
        let first = inst.operands().next().unwrap_or(Ref::NONE);
        let is_builder = match inst.op {
            Op::Load => {
                let field = inst.field().filter(|field| matches!(field, Field::Slots | Field::Array));
                let buffer = field.filter(|_| self.tables.contains_key(&first)).map(|field| (first, field));
                self.buffers.extend(buffer.map(|buffer| (r, buffer)));
                buffer.is_some()
            }
            Op::StoreProp => self.store(first, |made| put(&mut made.fields, inst.aux as usize, inst.b())),
            Op::StoreElem | Op::StorePacked | Op::StoreFlag => match tree.const_int(inst.b()).map(usize::try_from) {
                Some(Ok(n)) if n < MAX_ELEMENTS => self.store(first, |made| {
                    made.store = Some(inst.op);
                    put(&mut made.elements, n, inst.c());
                }),
                _ => false,
            },
            Op::StoreField => self.store_field(tree, first, inst),
            Op::Barrier => self.tables.contains_key(&first),
            Op::Call if inst.helper() == Some(Helper::AddProp) => match self.tables.get_mut(&first) {
                Some(made) => {
                    made.shape = inst.b();
                    made.fields.push(Some(inst.c()));
                    true
                }
                None => false,
            },
            _ => false,
        };
        if is_builder {
            return Step::Builds;
        }
        let needs: Vec<Ref> = inst.operands().filter_map(|operand| self.table_of(operand)).collect();
        if needs.is_empty() { Step::None } else { Step::Needs(needs) }
    }

    /// A store to a buffer: whether it is that of a sunk table, which gets the part.
    fn store(&mut self, buffer: Ref, store: impl FnOnce(&mut Made)) -> bool {
        let made = self.buffers.get(&buffer).and_then(|(owner, _)| self.tables.get_mut(owner));
        made.map(store).is_some()
    }

    /// A store to a field: whether it is that of a sunk table, which gets it.
    fn store_field(&mut self, tree: &Tree, table: Ref, inst: &Inst) -> bool {
        let Some((made, field)) = self.tables.get_mut(&table).zip(inst.field()) else { return false };
        match (field, tree.inst(inst.b()).op) {
            (Field::Meta, Op::KPtr) => made.meta = Some(inst.b()),
            (Field::Kind | Field::Cap | Field::Len, Op::KInt) => drop(made.array.insert(field, inst.b())),
            _ => return false,
        }
        true
    }

    /// The sunk tables that are in slots of a snapshot, and those that they refer to.
    fn seen_by(&self, tree: &Tree, snap: SnapId) -> BTreeSet<Ref> {
        let mut seen = BTreeSet::new();
        if self.tables.is_empty() {
            return seen;
        }
        let slots = tree.snapshot(snap).slots.iter().map(|slot| slot.value);
        let mut open: Vec<Ref> = slots.filter(|value| self.tables.contains_key(value)).collect();
        while let Some(table) = open.pop() {
            if seen.insert(table) {
                open.extend(self.parts_of(table));
            }
        }
        seen
    }

    /// The sunk tables that are properties or elements of one.
    fn parts_of(&self, table: Ref) -> impl Iterator<Item = Ref> + '_ {
        let parts = self.tables.get(&table).into_iter().flat_map(Made::parts);
        parts.filter_map(|part| part.filter(|value| self.tables.contains_key(value)))
    }

    /// What has become of a value.
    fn now(&self, value: Ref) -> Ref {
        self.renamed.get(&value).copied().unwrap_or(value)
    }

    fn forget(&mut self, table: Ref) {
        self.tables.remove(&table);
        self.buffers.retain(|_, (owner, _)| *owner != table);
    }
}

/// The table that an instruction makes, if it can be sunk.
fn made_by(tree: &Tree, inst: &Inst) -> Option<Made> {
    let room = match inst.helper()? {
        Helper::NewRecord => None,
        Helper::NewTable => Some(inst.b()),
        _ => return None,
    };
    let (fields, elements, array) = (Vec::new(), Vec::new(), BTreeMap::new());
    let made = Made { shape: inst.a(), meta: None, room, array, fields, elements, store: None };
    (tree.inst(inst.a()).op == Op::KPtr).then_some(made)
}

/// Where snapshots are on the paths of a tree, and tables are made.
struct Snaps {
    /// By segment: its snapshots, in the order of their places.
    of: Vec<Vec<SnapId>>,
    /// By snapshot: whether a segment begins there. What is sunk elsewhere needs not be kept.
    is_start: Vec<bool>,
    /// By segment: whether it makes tables that can be sunk.
    makes: Vec<bool>,
}

impl Snaps {
    fn of(tree: &Tree) -> Snaps {
        let mut of = vec![Vec::new(); tree.segments.len()];
        for id in (0..tree.snapshots.len() as u32).map(SnapId) {
            if let Some(list) = of.get_mut(tree.snapshot(id).segment.index()) {
                list.push(id);
            }
        }
        for list in &mut of {
            list.sort_by_key(|id| tree.snapshot(*id).at);
        }
        let mut is_start = vec![false; tree.snapshots.len()];
        for segment in &tree.segments {
            if let Start::Snapshot(snap) = segment.start {
                is_start[snap.index()] = true;
            }
        }
        let makes = |segment: &Segment| {
            let insts = &tree.insts[segment.first.index()..segment.end_at.index()];
            insts.iter().any(|inst| made_by(tree, inst).is_some())
        };
        let makes = tree.segments.iter().map(makes).collect();
        Snaps { of, is_start, makes }
    }
}

/// Whether an instruction of a segment is one that runs.
fn is_run(inst: &Inst) -> bool {
    !matches!(inst.op.format(), Format::Const | Format::Slot)
}

fn find_needed(tree: &Tree, snaps: &Snaps) -> Needed {
    let mut needed = Needed::new();
    loop {
        let known = needed.len();
        let mut at_snaps: BTreeMap<SnapId, Sunk> = BTreeMap::new();
        for id in tree.segment_ids() {
            let mut sunk = match tree.segment(id).start {
                Start::Header(_) => Sunk::default(),
                Start::Snapshot(snap) => at_snaps.get(&snap).cloned().unwrap_or_default(),
            };
            let here: Vec<Ref> = sunk.tables.keys().copied().filter(|table| needed.contains(&(id, *table))).collect();
            for table in &here {
                needed.extend(sunk.parts_of(*table).map(|part| (id, part)));
            }
            here.iter().for_each(|table| sunk.forget(*table));
            if sunk.tables.is_empty() && !snaps.makes[id.index()] {
                continue;
            }
            let mut next_snaps = snaps.of[id.index()].iter().peekable();
            let Segment { first, end_at, .. } = *tree.segment(id);
            for r in (first.0..=end_at.0).map(Ref) {
                while let Some(snap) = next_snaps.next_if(|snap| tree.snapshot(**snap).at <= r) {
                    let is_whole = |table: &Ref| sunk.tables.get(table).is_none_or(|made| made.is_whole(tree));
                    let incomplete = sunk.seen_by(tree, *snap).into_iter().filter(|table| !is_whole(table));
                    needed.extend(incomplete.map(|table| (id, table)));
                    if snaps.is_start[snap.index()] {
                        at_snaps.insert(*snap, sunk.clone());
                    }
                }
                if r == end_at {
                    break;
                }
                let inst = tree.inst(r);
                if !is_run(inst) {
                    continue;
                }
                if let Some(made) = made_by(tree, inst).filter(|_| !needed.contains(&(id, r))) {
                    sunk.tables.insert(r, made);
                } else if let Step::Needs(tables) = sunk.step(tree, r, inst) {
                    needed.extend(tables.into_iter().map(|table| (id, table)));
                }
                if let Some(snap) = inst.snap.filter(|_| matches!(inst.op, Op::CallOut | Op::CallFn | Op::Returned)) {
                    // The state is in memory during the call.
                    needed.extend(sunk.seen_by(tree, snap).into_iter().map(|table| (id, table)));
                }
            }
            let goes_on = match tree.segment(id).end {
                End::Around(_) | End::Enter(_) => tree.segment(id).end_snap,
                End::Return(snap, _) | End::Tail(snap, _) => Some(snap),
                End::Exit(_) | End::Open => None,
            };
            if let Some(snap) = goes_on {
                needed.extend(sunk.seen_by(tree, snap).into_iter().map(|table| (id, table)));
            }
        }
        if needed.len() == known {
            return needed;
        }
    }
}

/// The number of a constant, which is added if it is not there.
fn constant(tree: &mut Tree, constant: Inst) -> Ref {
    let at = tree.insts.iter().position(|inst| *inst == constant);
    Ref(at.unwrap_or_else(|| {
        tree.insts.push(constant);
        tree.insts.len() - 1
    }) as u32)
}

/// Changes the tree by what was found.
struct Sink<'a> {
    tree: &'a mut Tree,
    needed: Needed,
    null: Ref,
}

impl Sink<'_> {
    fn run(mut self, snaps: &Snaps) {
        let mut at_snaps: BTreeMap<SnapId, Sunk> = BTreeMap::new();
        for id in self.tree.segment_ids() {
            let mut sunk = match self.tree.segment(id).start {
                Start::Header(_) => Sunk::default(),
                Start::Snapshot(snap) => {
                    let mut sunk = at_snaps.get(&snap).cloned().unwrap_or_default();
                    self.make(&mut sunk, id, snap);
                    sunk
                }
            };
            // Whether a table was made since the last look at the collector.
            let mut is_collector_fed = !self.tree.segment(id).prologue.is_empty();
            let mut next_snaps = snaps.of[id.index()].iter().peekable();
            let Segment { first, end_at, .. } = *self.tree.segment(id);
            for r in (first.0..=end_at.0).map(Ref) {
                while let Some(snap) = next_snaps.next_if(|snap| self.tree.snapshot(**snap).at <= r) {
                    self.state(&sunk, *snap);
                    if snaps.is_start[snap.index()] {
                        at_snaps.insert(*snap, sunk.clone());
                    }
                }
                if r < end_at && is_run(self.tree.inst(r)) {
                    self.inst(&mut sunk, id, r, &mut is_collector_fed);
                }
            }
        }
    }

    fn inst(&mut self, sunk: &mut Sunk, id: SegmentId, r: Ref, is_collector_fed: &mut bool) {
        for operand in &mut self.tree.insts[r.index()].args {
            *operand = sunk.now(*operand);
        }
        let inst = *self.tree.inst(r);
        if let Some(made) = made_by(self.tree, &inst).filter(|_| !self.needed.contains(&(id, r))) {
            sunk.tables.insert(r, made);
            self.tree.insts[r.index()] = Inst::new(Op::Sunk, Ty::Table);
            return;
        }
        let is_done = match inst.op {
            Op::NoCollect => !std::mem::take(is_collector_fed),
            _ => sunk.step(self.tree, r, &inst) == Step::Builds,
        };
        if is_done {
            self.tree.insts[r.index()] = Inst::new(Op::Gone, Ty::Void);
        } else {
            *is_collector_fed |= matches!(inst.op.format(), Format::Call | Format::CallOut | Format::CallFn);
        }
    }

    /// Makes what a segment needs of its parents, in its prologue. A collector step comes before that if one is due.
    fn make(&mut self, sunk: &mut Sunk, id: SegmentId, snap: SnapId) {
        let tables: Vec<(Ref, Made)> = sunk.tables.iter().map(|(r, made)| (*r, made.clone())).collect();
        let tables: Vec<(Ref, Made)> = tables.into_iter().filter(|(r, _)| self.needed.contains(&(id, *r))).collect();
        if tables.is_empty() {
            return;
        }
        let count = |made: &Made| Inst { imm: made.fields.len() as u64, ..Inst::new(Op::KInt, Ty::Int) };
        let counts: Vec<Ref> = tables.iter().map(|(_, made)| constant(self.tree, count(made))).collect();
        let places = (0..MAX_ELEMENTS as u64).map(|n| Inst { imm: n, ..Inst::new(Op::KInt, Ty::Int) });
        let most = tables.iter().map(|(_, made)| made.elements.len()).max().unwrap_or(0);
        let places: Vec<Ref> = places.take(most).map(|place| constant(self.tree, place)).collect();
        let first = self.tree.insts.len() as u32;
        let snap = Some(snap);
        self.push(Inst { snap, ..Inst::new(Op::NoCollect, Ty::Void) });
        for ((table, made), count) in tables.iter().zip(counts) {
            let (helper, args) = match made.room {
                Some(room) => (Helper::NewTable, [made.shape, room, count]),
                None => (Helper::NewRecord, [made.shape, count, Ref::NONE]),
            };
            let new = self.push(Inst { imm: helper as u64, args, snap, ..Inst::new(Op::Call, Ty::Table) });
            sunk.renamed.insert(*table, new);
        }
        for (table, made) in &tables {
            self.fill(sunk, *table, made, &places);
            sunk.forget(*table);
        }
        self.tree.segments[id.index()].prologue = first..self.tree.insts.len() as u32;
    }

    /// Stores what a table has that was made. `places` are the numbers of elements.
    fn fill(&mut self, sunk: &mut Sunk, table: Ref, made: &Made, places: &[Ref]) {
        let new = sunk.renamed[&table];
        let imm = self.tree.inst(made.shape).imm;
        let slots = self.buffer(sunk, table, Field::Slots, made.fields.is_empty());
        for ((aux, field), slots) in (0..).zip(&made.fields).zip(slots.iter().cycle()) {
            let Some(field) = field else { continue };
            let args = [*slots, sunk.now(*field), Ref::NONE];
            self.push(Inst { args, aux, imm, ..Inst::new(Op::StoreProp, Ty::Void) });
        }
        for (field, value) in made.meta.iter().map(|meta| (&Field::Meta, meta)).chain(&made.array) {
            let args = [new, *value, Ref::NONE];
            self.push(Inst { args, imm: *field as u64, ..Inst::new(Op::StoreField, Ty::Void) });
        }
        let array = self.buffer(sunk, table, Field::Array, made.elements.is_empty());
        let Some((array, op)) = array.zip(made.store) else { return };
        for (n, element) in places.iter().zip(&made.elements) {
            let Some(element) = element else { continue };
            let args = [array, *n, sunk.now(*element)];
            self.push(Inst { args, ..Inst::new(op, Ty::Void) });
        }
    }

    /// Loads a buffer of a table that was made, which all pointers to that of the sunk one become. If there is nothing to
    /// be put into it, and no pointer, that would be for nothing.
    fn buffer(&mut self, sunk: &mut Sunk, table: Ref, field: Field, is_empty: bool) -> Option<Ref> {
        let is_this = |(_, of): &(&Ref, &(Ref, Field))| **of == (table, field);
        let pointers: Vec<Ref> = sunk.buffers.iter().filter(is_this).map(|(r, _)| *r).collect();
        if is_empty && pointers.is_empty() {
            return None;
        }
        let args = [sunk.renamed[&table], Ref::NONE, Ref::NONE];
        let buffer = self.push(Inst { args, imm: field as u64, ..Inst::new(Op::Load, Ty::Ptr) });
        sunk.renamed.extend(pointers.into_iter().map(|pointer| (pointer, buffer)));
        Some(buffer)
    }

    fn push(&mut self, inst: Inst) -> Ref {
        self.tree.insts.push(inst);
        Ref(self.tree.insts.len() as u32 - 1)
    }

    /// What a snapshot says of tables.
    fn state(&mut self, sunk: &Sunk, snap: SnapId) {
        let seen = sunk.seen_by(self.tree, snap).into_iter();
        let recipes = seen.map(|object| {
            let made = &sunk.tables[&object];
            let known = |part: &Option<Ref>| part.map_or(self.null, |value| sunk.now(value));
            let [fields, elements] = [&made.fields, &made.elements].map(|parts| parts.iter().map(known).collect());
            Recipe { object, shape: made.shape, meta: made.meta.unwrap_or(self.null), fields, elements }
        });
        let recipes: Vec<Recipe> = recipes.collect();
        let is_same = |slot: &SnapSlot| sunk.now(slot.value) == slot.value;
        if recipes.is_empty() && self.tree.snapshot(snap).slots.iter().all(is_same) {
            return;
        }
        let snapshot = self.tree.snapshot_mut(snap);
        snapshot.sunk = recipes;
        for slot in &mut snapshot.slots {
            slot.value = sunk.now(slot.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::Tree;

    /// The lines of a tree after the pass, from the first segment on.
    fn sunk(text: &str) -> Vec<String> {
        let mut tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        super::run(&mut tree);
        assert_eq!(crate::verify::verify(&tree), Ok(()), "{tree}");
        let text = tree.to_string();
        assert_eq!(text.parse::<Tree>().map(|tree| tree.to_string()).as_ref(), Ok(&text), "it can be read again");
        text.lines().skip(2).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    fn has(lines: &[String], line: &str) -> bool {
        lines.iter().any(|other| other == line)
    }

    const TEMPORARY: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:tab
segment 0 from header 0
  %2 = call.newrecord ptr@20 1 tab -> snap 1
  %3 = load.slots %2 ptr
  %4 stprop %3 [0 of ptr@20] %0
  %5 nocoll -> snap 2
  %6 = add %0 1 int
  %7 lt %6 9 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 service, pc 1
snap 2 service, segment 0, at 5, pc 2, slots #3=%2
snap 3 guard, segment 0, at 7, pc 5, slots #1=%6 #3=%2
snap 4 guard, pc 1, slots #1=%6
";

    #[test]
    fn exits_make_what_they_show() {
        let lines = sunk(TEMPORARY);
        for line in ["%2 = sunk tab", "%3 gone", "%4 gone", "%5 gone"] {
            assert!(has(&lines, line), "{line}: {lines:#?}");
        }
        let is_recipe =
            |line: &&String| line.starts_with("sunk %2 shape ptr@") && line.ends_with(" meta null fields %0");
        assert_eq!(lines.iter().filter(is_recipe).count(), 2, "{lines:#?}");
    }

    #[test]
    fn what_the_segment_needs_is_made_as_ever() {
        // It stays in a slot, it is looked at, another function sees it, a table that stays refers to it.
        let cases = [
            ("snap 4 guard, pc 1, slots #1=%6", "snap 4 guard, pc 1, slots #1=%6 #3=%2", "live 1 2 3"),
            ("%7 lt %6 9 -> snap 3", "%7 ne %2 %1 -> snap 3", "live 1 2"),
            ("%7 lt %6 9 -> snap 3", "%7 callout #4 0 to 0 -> snap 3", "live 1 2"),
            ("%7 lt %6 9 -> snap 3", "%7 stprop %3 [1 of ptr@20] 3\n  %8 barrier %1 %2", "live 1 2"),
        ];
        for (from, to, live) in cases {
            assert!(TEMPORARY.contains(from));
            let lines = sunk(&TEMPORARY.replace("%1=#2:tab", &format!("%1=#2:tab, {live}")).replace(from, to));
            assert!(lines.iter().any(|line| line.starts_with("%2 = call.newrecord")), "{to}: {lines:#?}");
            assert!(lines.iter().any(|line| line.starts_with("%5 nocoll")), "{to}");
        }
    }

    #[test]
    fn a_side_segment_makes_what_it_needs_itself() {
        let side =
            "segment 1 from snap 3\n  %8 ne %2 %1 -> snap 5\n  %9 stprop %3 [0 of ptr@20] 4\n  exit snap 6\nsnap 0";
        let text = TEMPORARY.replacen("snap 0 guard", &format!("{side} guard"), 1)
            + "snap 5 guard, segment 1, at 8, pc 6, slots #1=%6 #3=%2\nsnap 6 end, pc 7, slots #3=%2\n";
        let lines = sunk(&text);
        assert!(has(&lines, "%2 = sunk tab"), "{lines:#?}");
        let made = lines.iter().position(|line| line.contains("call.newrecord")).expect("it is made");
        let names = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        assert_eq!(lines[made - 1].split(' ').nth(1), Some("nocoll"), "the collector comes first");
        let (table, slots) = (names(&lines[made]), names(&lines[made + 1]));
        assert!(has(&lines, &format!("%8 ne {table} %1 -> snap 5")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with(&format!("%9 stprop {slots} 4"))), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("snap 6") && line.ends_with(&format!("#3={table}"))));
    }

    /// A slot has the outer one of two tables.
    const NESTED: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:tab
segment 0 from header 0
  %2 = call.newrecord ptr@20 1 tab -> snap 1
  %3 = load.slots %2 ptr
  %4 stprop %3 [0 of ptr@20] %0
  %5 = call.newrecord ptr@21 1 tab -> snap 2
  %6 = load.slots %5 ptr
  %7 stprop %6 [0 of ptr@21] %2
  %8 = add %0 1 int
  %9 lt %8 9 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 service, pc 1
snap 2 service, segment 0, at 5, pc 2, slots #4=%2
snap 3 guard, segment 0, at 9, pc 5, slots #1=%8 #3=%5
snap 4 guard, pc 1, slots #1=%8
";

    #[test]
    fn a_property_of_what_is_needed_is_needed() {
        assert!(has(&sunk(NESTED), "%2 = sunk tab"));
        let text = NESTED.replace("%1=#2:tab", "%1=#2:tab, live 1 2 3");
        let lines = sunk(&text.replace("snap 4 guard, pc 1, slots #1=%8", "snap 4 guard, pc 1, slots #1=%8 #3=%5"));
        assert!(!has(&lines, "%2 = sunk tab"), "{lines:#?}");
    }

    /// A list of two numbers, seen by an exit.
    const LIST: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:flt
segment 0 from header 0
  %2 = call.newtable ptr@20 2 0 tab -> snap 1
  %3 stfield.kind %2 4
  %4 stfield.len %2 2
  %5 = load.array %2 ptr
  %6 stpack %5 0 %1
  %7 stpack %5 1 0.5
  %8 nocoll -> snap 2
  %9 = add %0 1 int
  %10 lt %9 9 -> snap 3
  around header 0, snap 4
snap 0 guard, pc 1
snap 1 service, pc 1
snap 2 service, segment 0, at 8, pc 2, slots #3=%2
snap 3 guard, segment 0, at 10, pc 5, slots #1=%9 #3=%2
snap 4 guard, pc 1, slots #1=%9
";

    #[test]
    fn exits_make_lists_with_their_elements() {
        let lines = sunk(LIST);
        assert!(has(&lines, "%2 = sunk tab"), "{lines:#?}");
        assert!((3..=8).all(|n| has(&lines, &format!("%{n} gone"))), "{lines:#?}");
        let is_recipe = |line: &&String| line.starts_with("sunk %2 shape") && line.ends_with("fields elements %1 0.5");
        assert_eq!(lines.iter().filter(is_recipe).count(), 2, "{lines:#?}");
    }

    #[test]
    fn lists_that_are_not_known_are_made() {
        // An element has an unknown number, one is missing, the length is unknown, the room is looked at.
        let cases = [
            ("%7 stpack %5 1 0.5", "%7 stpack %5 %0 0.5"),
            ("%7 stpack %5 1 0.5", "%7 stpack %5 0 0.5"),
            ("%4 stfield.len %2 2", "%4 stfield.len %2 %0"),
            ("%9 = add %0 1 int", "%9 = load.cap %2 int"),
        ];
        for (from, to) in cases {
            let lines = sunk(&LIST.replace(from, to));
            assert!(lines.iter().any(|line| line.starts_with("%2 = call.newtable")), "{to}: {lines:#?}");
        }
    }

    #[test]
    fn a_side_segment_makes_the_list_that_it_needs() {
        let side = "segment 1 from snap 3\n  %11 stpack %5 1 4.5\n  %12 = load.cap %2 int\n  exit snap 5\nsnap 0";
        let text =
            LIST.replacen("snap 0 guard", &format!("{side} guard"), 1) + "snap 5 end, pc 7, slots #3=%2 #4=%12\n";
        let lines = sunk(&text);
        assert!(has(&lines, "%2 = sunk tab"), "{lines:#?}");
        let made = lines.iter().position(|line| line.contains("call.newtable")).expect("it is made");
        let of = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        let (table, array) = (of(&lines[made]), of(&lines[made + 3]));
        let expected = [
            format!("stfield.kind {table} 4"),
            format!("stfield.len {table} 2"),
            format!("{array} = load.array {table} ptr"),
            format!("stpack {array} 0 %1"),
            format!("stpack {array} 1 0.5"),
        ];
        let ends: Vec<bool> = lines[made + 1..].iter().zip(&expected).map(|(line, end)| line.ends_with(end)).collect();
        assert_eq!(ends, [true; 5], "{lines:#?}");
        assert!(has(&lines, &format!("%11 stpack {array} 1 4.5")), "{lines:#?}");
    }
}
