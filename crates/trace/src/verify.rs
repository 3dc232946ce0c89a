//! The rules of trees, checked: a tree that breaks one is a bug of the recorder or of a pass.
//!
//! | rule | checks |
//! |---|---|
//! | types | operands and results are of the types that the tables of operations and helpers say |
//! | order | what is used has run before, on the path from the header: in the same segment, or in a parent in front of the exit |
//! | exits | what can leave has a snapshot; it belongs to the segment and stands in front of the check, with no effect between |
//! | snapshots | values exist where the snapshot stands, or it makes them; inlined frames lie inside one another |
//! | headers | inputs are `slot` instructions of the header, one for each slot; live slots ascend and hold the inputs |
//! | hoisting | hoisted instructions are the header's own, or of paths of an entry, have no effect, and use constants, inputs and hoisted values alone |
//! | copies, counters | they are inputs; each back-edge is behind a test of the counter |
//! | ranges | their variables are inputs of the header, their length is hoisted, their checks stand on paths of the header |
//! | ends | segments end at headers that exist, with a snapshot of their own |

use std::fmt;

use crate::ir::{
    Arg, Effects, End, Field, Format, HeaderId, Inst, Op, Recipe, Ref, ResultType, SegmentId, SnapId, Snapshot, Start,
    Tree, Ty,
};
use crate::opt::count::last_test;

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Violation {}

type Checked = Result<(), Violation>;

/// Checks a tree whose segments are all ended.
///
/// # Errors
/// The first rule that is broken, with the place.
pub fn verify(tree: &Tree) -> Checked {
    for id in tree.segment_ids() {
        start(tree, id)?;
    }
    for id in tree.header_ids() {
        header(tree, id)?;
    }
    for id in tree.segment_ids() {
        segment(tree, id)?;
    }
    for (n, snapshot) in tree.snapshots.iter().enumerate() {
        check_snapshot(tree, SnapId(n as u32), snapshot)?;
    }
    Ok(())
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation(why())) }
}

/// Whether a tree has a snapshot.
fn has(tree: &Tree, snap: SnapId) -> Checked {
    ensure(snap.index() < tree.snapshots.len(), || format!("there is no snap {}", snap.0))
}

/// Segments begin at headers, or at snapshots of earlier segments: so paths have no circles, which all else relies on.
fn start(tree: &Tree, id: SegmentId) -> Checked {
    let segment = tree.segment(id);
    let count = tree.insts.len() as u32;
    ensure(segment.first <= segment.end_at && segment.end_at.0 <= count, || {
        format!("segment {}: its range is none", id.0)
    })?;
    match segment.start {
        Start::Header(header) => {
            ensure(header.index() < tree.headers.len(), || format!("segment {}: there is no header {}", id.0, header.0))
        }
        Start::Snapshot(snap) => {
            has(tree, snap)?;
            ensure(tree.snapshot(snap).segment < id, || format!("segment {}: its parent comes later", id.0))
        }
    }
}

fn ascends(numbers: &[u32]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

fn header(tree: &Tree, id: HeaderId) -> Checked {
    let header = tree.header(id);
    let wrong = |why: &str| Violation(format!("header {}: {why}", id.0));
    has(tree, header.snap)?;
    if tree.snapshot(header.snap).pc != header.pc {
        return Err(wrong("its snapshot is of another place"));
    }
    if !ascends(&header.live) {
        return Err(wrong("the list of live slots does not ascend"));
    }
    for (n, input) in header.inputs.iter().enumerate() {
        let inst = tree.insts.get(input.index()).ok_or_else(|| wrong("an input does not exist"))?;
        let is_own = inst.op == Op::Slot && inst.imm == u64::from(id.0) && inst.ty.has_tag();
        let is_first = header.inputs[..n].iter().all(|other| tree.inst(*other).aux != inst.aux);
        if !(is_own && is_first) {
            return Err(wrong("inputs are its own slots, each once"));
        }
        if header.live.binary_search(&inst.aux).is_err() {
            return Err(wrong("the slot of an input is not live"));
        }
    }
    let has_input = |slot: u32| tree.input(id, slot).is_some();
    if !header.stale.iter().chain(header.untagged.iter()).all(has_input) {
        return Err(wrong("slots without input are in their places"));
    }
    if let Some(other) = header.alternative {
        let there = tree.headers.get(other.index()).ok_or_else(|| wrong("its alternative does not exist"))?;
        if other == id || (there.pc, &there.frames) != (header.pc, &header.frames) {
            return Err(wrong("its alternative is of another place"));
        }
    }
    hoisted(tree, id)?;
    ranges(tree, id)?;
    rounds(tree, id)
}

fn rounds(tree: &Tree, id: HeaderId) -> Checked {
    let header = tree.header(id);
    let is_input = |r: &Ref| header.inputs.contains(r);
    for (copy, of) in &header.copies {
        let holds = is_input(copy) && is_input(of) && copy != of && tree.ty(*copy) == tree.ty(*of);
        ensure(holds, || format!("header {}: a copy that is no input, or of another type", id.0))?;
    }
    let Some(counted) = header.counted else { return Ok(()) };
    let goes_back = |s: &SegmentId| tree.segment(*s).end == End::Around(id);
    let is_tested = |s: SegmentId| tree.header_of(s) == id && last_test(tree, s, counted.count).is_some();
    let holds = is_input(&counted.count) && tree.segment_ids().filter(goes_back).all(is_tested);
    ensure(holds, || format!("header {}: a round that does not end with a test of the counter", id.0))
}

fn ranges(tree: &Tree, id: HeaderId) -> Checked {
    let header = tree.header(id);
    for range in &header.ranges {
        let variables = [range.variable, range.index, range.count];
        let is_step = |r: Ref| tree.is_const(r) || header.inputs.contains(&r);
        let holds = variables.iter().all(|r| header.inputs.contains(r)) && is_step(range.step);
        ensure(holds && header.hoisted.contains(&range.len), || {
            format!("header {}: a range of what changes, or is no input", id.0)
        })?;
        for check in &range.checks {
            let is_own = |segment: SegmentId| tree.header_of(segment) == id && tree.body(segment).any(|r| r == *check);
            ensure(tree.segment_ids().any(is_own) && tree.inst(*check).op == Op::Below, || {
                format!("header {}: a range instead of %{}, which is no check of its own", id.0, check.0)
            })?;
        }
    }
    Ok(())
}

fn hoisted(tree: &Tree, id: HeaderId) -> Checked {
    let header = tree.header(id);
    let wrong = |r: Ref, why: &str| Violation(format!("header {}: hoisted %{} {why}", id.0, r.0));
    let own = tree.starting(Start::Header(id));
    for (n, r) in header.hoisted.iter().enumerate() {
        // What a function's entry looks at is on any of its paths.
        let is_on_path = |segment: SegmentId| header.is_called && tree.header_of(segment) == id;
        let is_near = |segment: SegmentId| Some(segment) == own || is_on_path(segment);
        if !tree.segment_ids().any(|segment| is_near(segment) && tree.body(segment).any(|inst| inst == *r)) {
            return Err(wrong(*r, "is not of its segment"));
        }
        let inst = tree.inst(*r);
        if inst.has_effect() {
            return Err(wrong(*r, "has an effect"));
        }
        for operand in inst.operands() {
            let is_there =
                tree.is_const(operand) || is_fixed(tree, id, operand) || header.hoisted[..n].contains(&operand);
            if !is_there {
                return Err(wrong(*r, &format!("uses %{}, which is not there yet, or changes", operand.0)));
            }
        }
    }
    Ok(())
}

/// Whether a value is an input of a header that no way round its loop changes, as far as the header's own segments say.
fn is_fixed(tree: &Tree, id: HeaderId, r: Ref) -> bool {
    let inst = tree.inst(r);
    let changes = |segment: SegmentId| {
        let ends = tree.segment(segment).end == End::Around(id) && tree.header_of(segment) == id;
        let snap = tree.segment(segment).end_snap.filter(|snap| snap.index() < tree.snapshots.len());
        ends && snap
            .is_some_and(|snap| tree.snapshot(snap).slots.iter().any(|slot| slot.slot == inst.aux && slot.value != r))
    };
    tree.header(id).inputs.contains(&r) && !tree.segment_ids().any(changes)
}

fn segment(tree: &Tree, id: SegmentId) -> Checked {
    let segment = tree.segment(id);
    for r in tree.body(id) {
        inst(tree, id, r).map_err(|why| Violation(format!("segment {}, %{}: {why}", id.0, r.0)))?;
    }
    let wrong = |why: &str| Violation(format!("segment {}: {why}", id.0));
    let snap = match segment.end {
        End::Open => return Err(wrong("it is open")),
        End::Exit(snap) | End::Return(snap, _) => snap,
        End::Tail(snap, cell) => {
            let is_cell = cell.index() < tree.insts.len() && tree.inst(cell).op == Op::KPtr;
            ensure(is_cell, || format!("segment {}: it calls what is no cell", id.0))?;
            snap
        }
        End::Around(to) | End::Enter(to) => {
            if to.index() >= tree.headers.len() {
                return Err(wrong("it ends at a header that does not exist"));
            }
            segment.end_snap.ok_or_else(|| wrong("its end has no snapshot"))?
        }
    };
    has(tree, snap)?;
    ensure(tree.snapshot(snap).segment == id, || format!("segment {}: its end is of another segment", id.0))
}

/// Whether a value is there where a segment begins at a snapshot.
fn is_known_before(tree: &Tree, start: Start, r: Ref) -> bool {
    let Start::Snapshot(snap) = start else { return false };
    is_known(tree, tree.snapshot(snap).segment, tree.snapshot(snap).at, r)
}

/// Whether a value is there in front of position `at` of a segment.
fn is_known(tree: &Tree, id: SegmentId, at: Ref, r: Ref) -> bool {
    let Some(inst) = tree.insts.get(r.index()) else { return false };
    if tree.is_const(r) {
        return true;
    }
    if inst.op == Op::Slot {
        return tree.header(tree.header_of(id)).inputs.contains(&r);
    }
    let (mut id, mut at) = (id, at);
    loop {
        let segment = tree.segment(id);
        if segment.prologue.contains(&r.0) {
            return true;
        }
        if (segment.first..segment.end_at).contains(&r) {
            return r < at;
        }
        let Start::Snapshot(snap) = segment.start else { return false };
        (id, at) = (tree.snapshot(snap).segment, tree.snapshot(snap).at);
    }
}

fn inst(tree: &Tree, id: SegmentId, r: Ref) -> Checked {
    let inst = tree.inst(r);
    let count = inst.operands().count();
    let expected = operands(inst).ok_or_else(|| Violation("it has no such field or helper".to_owned()))?;
    ensure(count == expected.len() && inst.args[..count].iter().all(|r| r.is_some()), || {
        format!("{} takes {} operands", inst.op.mnemonic(), expected.len())
    })?;
    let segment = tree.segment(id);
    for (kind, operand) in expected.iter().zip(inst.operands()) {
        let is_there = if segment.prologue.contains(&r.0) {
            // Of its segment, only what is in front of it in the prologue has run.
            segment.prologue.contains(&operand.0) && operand < r || is_known_before(tree, segment.start, operand)
        } else {
            is_known(tree, id, r, operand)
        };
        ensure(is_there, || format!("%{} is used before it is there", operand.0))?;
        let ty = tree.ty(operand);
        ensure(kind.takes(ty), || format!("{} does not take {} for {kind:?}", inst.op.mnemonic(), ty.name()))?;
    }
    if matches!(inst.op, Op::Eq | Op::Ne) {
        let is_int = |r: Ref| tree.ty(r) == Ty::Int;
        ensure(is_int(inst.a()) == is_int(inst.b()), || "an integer is compared with an address".to_owned())?;
    }
    result(inst)?;
    match inst.snap {
        Some(snap) => exit(tree, id, r, snap),
        None => {
            let can_leave = inst.op.is_checked() || inst.helper().is_some_and(|helper| helper.can_fail());
            ensure(!can_leave && !matches!(inst.op, Op::CallOut | Op::CallFn), || {
                "it can leave, and has no snapshot".to_owned()
            })
        }
    }
}

fn result(inst: &Inst) -> Checked {
    let fits = match inst.op.result() {
        ResultType::Is(ty) => inst.ty == ty,
        ResultType::Given => inst.ty.has_tag(),
        ResultType::OfField => inst.field().is_some_and(|field| field.ty() == inst.ty),
        ResultType::OfHelper => inst.helper().is_some_and(|helper| match helper.result() {
            Some(ty) => ty == inst.ty,
            None => inst.ty.has_tag(),
        }),
    };
    ensure(fits, || format!("{} does not result in {}", inst.op.mnemonic(), inst.ty.name()))
}

/// The interpreter runs everything behind the snapshot again: nothing there may have had an effect.
fn exit(tree: &Tree, id: SegmentId, r: Ref, snap: SnapId) -> Checked {
    has(tree, snap)?;
    let snapshot = tree.snapshot(snap);
    let segment = tree.segment(id);
    if segment.prologue.contains(&r.0) {
        // What it makes is no effect that anything else sees.
        return ensure(segment.start == Start::Snapshot(snap), || format!("snap {} is not where it begins", snap.0));
    }
    ensure(snapshot.segment == id, || format!("snap {} is of another segment", snap.0))?;
    ensure(snapshot.at <= r, || format!("snap {} stands behind it", snap.0))?;
    let between = tree.body(id).filter(|other| (snapshot.at..r).contains(other));
    for other in between {
        let inst = tree.inst(other);
        let is_scratch = writes_scratch(tree, inst, snapshot);
        ensure(is_scratch || !inst.has_effect(), || format!("%{} behind snap {} has an effect", other.0, snap.0))?;
    }
    Ok(())
}

/// Whether all that an instruction changes are places that nobody looks at behind the exit, that the exit fills anyway, or
/// that get the value which they have: arguments of helpers, and the results of helpers that may run again.
fn writes_scratch(tree: &Tree, inst: &Inst, snapshot: &Snapshot) -> bool {
    if inst.op == Op::StorePlace {
        let input = tree.input(tree.header_of(snapshot.segment), inst.aux);
        return input == Some(inst.a())
            || snapshot.live.binary_search(&inst.aux).is_err()
            || snapshot.slots.iter().any(|slot| slot.slot == inst.aux);
    }
    inst.helper().is_some_and(|helper| helper.effects() == Effects::WritesPlaces)
}

fn check_snapshot(tree: &Tree, id: SnapId, snapshot: &Snapshot) -> Checked {
    let wrong = |why: &str| Violation(format!("snap {}: {why}", id.0));
    if snapshot.segment.index() >= tree.segments.len() {
        return Err(wrong("its segment does not exist"));
    }
    for slot in &snapshot.slots {
        if !is_known(tree, snapshot.segment, snapshot.at, slot.value) {
            return Err(wrong(&format!("%{} is not there", slot.value.0)));
        }
        if !tree.ty(slot.value).is_value() {
            return Err(wrong(&format!("%{} is no Lua value", slot.value.0)));
        }
    }
    if !ascends(&snapshot.live) {
        return Err(wrong("live slots do not ascend"));
    }
    recipes(tree, id, snapshot)?;
    let mut outer = 0;
    for frame in &snapshot.frames {
        if frame.func < outer || frame.base <= frame.func {
            return Err(wrong("frames do not lie inside one another"));
        }
        outer = frame.base;
    }
    Ok(())
}

/// The sunk tables that a snapshot names, or that are properties of such, must be all that it makes.
fn recipes(tree: &Tree, id: SnapId, snapshot: &Snapshot) -> Checked {
    let wrong = |why: &str| Violation(format!("snap {}: {why}", id.0));
    let is_sunk = |r: &Ref| tree.inst(*r).op == Op::Sunk;
    let named = snapshot.slots.iter().map(|slot| slot.value);
    for value in named.chain(snapshot.sunk.iter().flat_map(Recipe::parts)) {
        if !is_known(tree, snapshot.segment, snapshot.at, value) || !tree.ty(value).is_value() {
            return Err(wrong(&format!("%{} is no part of a table", value.0)));
        }
        if is_sunk(&value) && !snapshot.sunk.iter().any(|recipe| recipe.object == value) {
            return Err(wrong(&format!("%{} is not made", value.0)));
        }
    }
    for recipe in &snapshot.sunk {
        let is_constant = |r: Ref| r.index() < tree.insts.len() && tree.inst(r).op == Op::KPtr;
        if !is_sunk(&recipe.object) || !is_constant(recipe.shape) || !is_constant(recipe.meta) {
            return Err(wrong(&format!("%{} is made of nothing", recipe.object.0)));
        }
    }
    Ok(())
}

/// What an operand must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Float,
    /// An integer or an address.
    Word,
    /// An object, or another address.
    Address,
    Ptr,
    /// A table, or the address of one that is known as something's metatable.
    Table,
    Function,
    Str,
    /// Any Lua value.
    Value,
    /// What a field holds.
    Of(Ty),
}

impl Kind {
    fn takes(self, ty: Ty) -> bool {
        let is_address = ty as u8 >= Ty::Light as u8 && !matches!(ty, Ty::Void | Ty::Num);
        match self {
            Kind::Int => ty == Ty::Int,
            Kind::Float => ty == Ty::Float,
            Kind::Word => ty == Ty::Int || is_address,
            Kind::Address => is_address,
            Kind::Ptr => ty == Ty::Ptr,
            Kind::Table => matches!(ty, Ty::Table | Ty::Ptr),
            Kind::Function => ty == Ty::LuaFn,
            Kind::Str => ty == Ty::Str,
            Kind::Value => ty.is_value(),
            Kind::Of(field) => ty == field || field == Ty::Ptr && is_address,
        }
    }
}

/// The kinds of an instruction's operands; `None` if it names a field or helper that does not exist.
fn operands(inst: &Inst) -> Option<Vec<Kind>> {
    use Kind::{Address, Float, Function, Int, Ptr, Str, Table, Value, Word};
    let kinds: &[Kind] = match inst.op {
        Op::KInt | Op::KFloat | Op::KPrim | Op::KObj | Op::KPtr | Op::Slot => &[],
        Op::Add | Op::Sub | Op::Mul | Op::IDiv | Op::Mod | Op::IMax | Op::IMin => &[Int, Int],
        Op::And | Op::Or | Op::Xor | Op::Shl | Op::Shr | Op::Sar => &[Int, Int],
        Op::Neg | Op::Not | Op::IToF | Op::SmallToF => &[Int],
        Op::FAdd | Op::FSub | Op::FMul | Op::FDiv | Op::FMax | Op::FMin => &[Float, Float],
        Op::FNeg | Op::FAbs | Op::FSqrt | Op::FFloor | Op::FCeil | Op::FToI => &[Float],
        Op::AsTable => &[Ptr],
        Op::Num | Op::NToF => &[Int, Int],
        Op::NSel => &[Int, Int, Float],
        Op::AsFloat | Op::RawMixed => &[Int],
        Op::Eq | Op::Ne => &[Word, Word],
        Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Below | Op::NotBelow => &[Int, Int],
        Op::FEq | Op::FNe | Op::FLt | Op::FLe | Op::FNotLt | Op::FNotLe => &[Float, Float],
        Op::Sunk | Op::Gone | Op::Fuel | Op::NoCollect | Op::PlaceAddr | Op::LoadPlace | Op::CallOut => &[],
        Op::OffStack | Op::OffWritten | Op::UpIsPlace | Op::CallFn => &[Ptr],
        Op::Returned => &[Int],
        Op::StorePlace => &[Value],
        Op::Load => &[owner(inst.field()?)],
        Op::StoreField => return Some(vec![owner(inst.field()?), Kind::Of(inst.field()?.ty())]),
        Op::LoadProp | Op::HasProp | Op::TagProp | Op::RawProp | Op::LoadUp | Op::LoadFixed | Op::TagUp | Op::RawUp => {
            &[Ptr]
        }
        Op::HasElem | Op::LoadElem | Op::TagElem | Op::RawElem | Op::LoadPacked | Op::LoadFlag => &[Ptr, Int],
        Op::TagMixed => &[Ptr, Int, Table],
        Op::StoreProp | Op::StoreUp => &[Ptr, Value],
        Op::StoreElem | Op::StorePacked | Op::StoreFlag => &[Ptr, Int, Value],
        Op::Barrier => &[Table, Address],
        Op::BarrierUp => &[Ptr, Value],
        Op::LoadByte => &[Str, Int],
        Op::Call => {
            let kind = |arg: &Arg| match arg {
                Arg::Int => Int,
                Arg::Float => Float,
                Arg::Address => Address,
                Arg::Value => Value,
            };
            return Some(inst.helper()?.args().iter().map(kind).collect());
        }
    };
    debug_assert!(matches!(inst.op.format(), Format::Const | Format::Slot) || kinds.len() <= 3);
    return Some(kinds.to_vec());

    fn owner(field: Field) -> Kind {
        match field {
            Field::Shape | Field::Meta | Field::Slots | Field::Array | Field::Hash => Table,
            Field::Kind | Field::Len | Field::Cap => Table,
            Field::UpSlot => Ptr,
            Field::UpVal | Field::Proto => Function,
            Field::StrLen => Str,
            Field::Known => Kind::Of(Ty::NativeFn),
            Field::Status => Kind::Of(Ty::Thread),
            Field::UserMeta => Kind::Of(Ty::UserData),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::verify;
    use crate::ir::Tree;

    const GOOD: &str = "\
header 0 pc 1, snap 0, inputs %0=#1:int %1=#2:tab
  hoisted %2 %3
segment 0 from header 0
  %2 = load.kind %1 int
  %3 eq %2 3 -> snap 1
  %4 = add %0 1 int
  %5 le %4 100 -> snap 2
  around header 0, snap 3
segment 1 from snap 2
  %6 = mul %4 2 int
  %7 stplace %6 #4
  exit snap 4
snap 0 guard, pc 1
snap 1 guard, pc 1
snap 2 guard, pc 5, slots #1=%4
  frame func 3 base 4
snap 3 guard, pc 1, slots #1=%4
snap 4 end, pc 7, slots #1=%6
";

    fn violation(text: &str) -> Option<String> {
        let tree: Tree = text.parse().unwrap_or_else(|why| panic!("{why}"));
        verify(&tree).err().map(|violation| violation.0)
    }

    #[test]
    fn a_good_tree_passes() {
        assert_eq!(violation(GOOD), None);
    }

    #[test]
    fn each_rule_is_told() {
        let cases = [
            // Types.
            ("add %0 1 int", "add %0 1.5 int", "segment 0, %4: add does not take flt for Int"),
            ("add %0 1 int", "add %0 int", "segment 0, %4: add takes 2 operands"),
            ("load.kind %1 int", "load.kind %1 ptr", "segment 0, %2: load does not result in ptr"),
            ("load.kind %1 int", "load.strlen %1 int", "segment 0, %2: load does not take tab for Str"),
            ("eq %2 3", "eq %2 %1", "segment 0, %3: an integer is compared with an address"),
            // Order.
            ("add %0 1 int", "add %6 1 int", "segment 0, %4: %6 is used before it is there"),
            ("mul %4 2 int", "mul %7 2 int", "segment 1, %6: %7 is used before it is there"),
            // Exits.
            ("le %4 100 -> snap 2", "le %4 100", "segment 0, %5: it can leave, and has no snapshot"),
            ("eq %2 3 -> snap 1", "eq %2 3 -> snap 9", "segment 0, %3: there is no snap 9"),
            (
                "snap 1 guard, pc 1",
                "snap 1 guard, segment 1, at 6, pc 1",
                "segment 0, %3: snap 1 is of another segment",
            ),
            ("snap 1 guard, pc 1", "snap 1 guard, segment 0, at 5, pc 1", "segment 0, %3: snap 1 stands behind it"),
            ("%4 = add %0 1 int", "%4 stplace 1 #9", "segment 0, %5: le does not take - for Int"),
            // Snapshots.
            ("snap 4 end, pc 7, slots #1=%6", "snap 4 end, pc 7, slots #1=%7", "snap 4: %7 is no Lua value"),
            ("pc 1, slots #1=%4", "pc 1, slots #1=%6", "snap 3: %6 is not there"),
            ("frame func 3 base 4", "frame func 4 base 4", "snap 2: frames do not lie inside one another"),
            // Headers.
            ("pc 1, snap 0, inputs", "pc 2, snap 0, inputs", "header 0: its snapshot is of another place"),
            ("%1=#2:tab", "%1=#1:tab, live 1", "header 0: inputs are its own slots, each once"),
            ("%1=#2:tab", "%1=#2:tab, live 2", "header 0: the slot of an input is not live"),
            ("%1=#2:tab", "%1=#2:tab, stale 4", "header 0: slots without input are in their places"),
            ("%1=#2:tab", "%1=#2:tab, alternative 0", "header 0: its alternative is of another place"),
            // Hoisting.
            ("hoisted %2 %3", "hoisted %3", "header 0: hoisted %3 uses %2, which is not there yet, or changes"),
            ("hoisted %2 %3", "hoisted %4", "header 0: hoisted %4 uses %0, which is not there yet, or changes"),
            ("hoisted %2 %3", "hoisted %6", "header 0: hoisted %6 is not of its segment"),
            // Ranges.
            (
                "  hoisted %2 %3",
                "  hoisted %2 %3\n  range %0 index %0 step 1 count %0 len %4 offsets 0 0 checks %5",
                "header 0: a range of what changes, or is no input",
            ),
            (
                "  hoisted %2 %3",
                "  hoisted %2 %3\n  range %0 index %0 step 1 count %0 len %2 offsets 0 0 checks %5",
                "header 0: a range instead of %5, which is no check of its own",
            ),
            // Ends.
            ("exit snap 4", "open", "segment 1: it is open"),
            ("exit snap 4", "exit snap 3", "segment 1: its end is of another segment"),
            ("around header 0, snap 3", "around header 0", "segment 0: its end has no snapshot"),
            (
                "around header 0, snap 3",
                "around header 2, snap 3",
                "segment 0: it ends at a header that does not exist",
            ),
        ];
        for (from, to, why) in cases {
            assert!(GOOD.contains(from), "{from}");
            assert_eq!(violation(&GOOD.replace(from, to)).as_deref(), Some(why), "{to}");
        }
    }

    #[test]
    fn nothing_changes_between_a_snapshot_and_its_check() {
        let text =
            GOOD.replace("%6 = mul %4 2 int", "%6 stplace 1 #2").replace("%7 stplace %6 #4", "%7 lt %4 9 -> snap 5");
        let text = text.replace("slots #1=%6", "slots #1=%4") + "snap 5 guard, segment 1, at 6, pc 7, live 1 2\n";
        assert_eq!(violation(&text).as_deref(), Some("segment 1, %7: %6 behind snap 5 has an effect"));
    }
}
