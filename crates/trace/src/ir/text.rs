//! The text form of a tree: numbered, stable, complete. [`super::parse`] reads it.
//!
//! ```text
//! consts: %2=3 %5=1 %8=100
//! header 0 pc 5, snap 0, inputs %0=#2:tab %3=#4:int, live 2 4
//!   hoisted %1
//! segment 0 from header 0, insts 0..9
//!   %1    = load.kind %0 int
//!   %4      eq %1 3 -> snap 1
//!   %6    = add %3 1 int
//!   %7      le %6 100 -> snap 2
//!   around header 0, snap 3
//! snap 1 guard, segment 0, at 1, pc 5, fuel 0, live 2 4
//! ```
//!
//! Constants are spelt out where they are used. Objects are numbered by their place in the list, because addresses
//! differ from run to run; [`Tree::text_with_addresses`] tells those too.

use std::fmt::{self, Write};

use super::inst::{Format, Inst, Op, Ref, Ty};
use super::tree::{End, ExitKind, Header, InlinedFrame, Range, Recipe, SegmentId, Snapshot, Start, Tree};

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text { tree: self, addresses: false }.fmt(f)
    }
}

impl Tree {
    /// The text form with the addresses of constants, from which the very same tree can be read.
    #[must_use]
    pub fn text_with_addresses(&self) -> impl fmt::Display + '_ {
        Text { tree: self, addresses: true }
    }

    /// The snapshots alone.
    #[must_use]
    pub fn snapshots_text(&self) -> impl fmt::Display + '_ {
        Snapshots(self)
    }

    /// How a constant is spelt as an operand; `%n` for what is none.
    pub(crate) fn operand_text(&self, r: Ref) -> String {
        let Some(inst) = self.insts.get(r.index()) else { return "%none".to_owned() };
        match inst.op {
            Op::KInt => format!("{}", inst.imm as i64),
            // All NaNs look the same otherwise.
            Op::KFloat if f64::from_bits(inst.imm).is_nan() => format!("nan:{:#x}", inst.imm),
            Op::KFloat => format!("{:?}", f64::from_bits(inst.imm)),
            Op::KPrim => inst.ty.name().to_owned(),
            Op::KPtr if inst.imm == 0 => "null".to_owned(),
            Op::KObj | Op::KPtr => format!("{}@{}", inst.ty.name(), r.0),
            _ => format!("%{}", r.0),
        }
    }
}

struct Text<'a> {
    tree: &'a Tree,
    addresses: bool,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = self.tree;
        self.consts(f)?;
        for (n, header) in tree.headers.iter().enumerate() {
            self.header(f, n, header)?;
        }
        for id in tree.segment_ids() {
            self.segment(f, id)?;
        }
        Snapshots(tree).fmt(f)
    }
}

struct Snapshots<'a>(&'a Tree);

impl fmt::Display for Snapshots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text { tree: self.0, addresses: false };
        self.0.snapshots.iter().enumerate().try_for_each(|(n, snapshot)| text.snapshot(f, n, snapshot))
    }
}

impl Text<'_> {
    fn consts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        for (at, inst) in self.tree.insts.iter().enumerate() {
            let r = Ref(at as u32);
            if !self.tree.is_const(r) {
                continue;
            }
            write!(line, " %{at}={}", self.tree.operand_text(r))?;
            if self.addresses && matches!(inst.op, Op::KObj | Op::KPtr) && inst.imm != 0 {
                write!(line, ":{:#x}", inst.imm)?;
            }
        }
        if line.is_empty() { Ok(()) } else { writeln!(f, "consts:{line}") }
    }

    fn header(&self, f: &mut fmt::Formatter<'_>, n: usize, header: &Header) -> fmt::Result {
        write!(f, "header {n} pc {}, snap {}", header.pc, header.snap.0)?;
        if !header.inputs.is_empty() {
            write!(f, ", inputs")?;
            for input in &header.inputs {
                let inst = self.tree.inst(*input);
                write!(f, " %{}=#{}:{}", input.0, inst.aux, inst.ty.name())?;
            }
        }
        numbers(f, "live", &header.live)?;
        for (name, slots) in [("stale", &header.stale), ("untagged", &header.untagged)] {
            numbers(f, name, &slots.iter().collect::<Vec<u32>>())?;
        }
        if let Some(alternative) = header.alternative {
            write!(f, ", alternative {}", alternative.0)?;
        }
        if header.is_pinned {
            write!(f, ", pinned")?;
        }
        if header.is_called {
            write!(f, ", called")?;
        }
        if header.has_no_ranges {
            write!(f, ", no ranges")?;
        }
        writeln!(f)?;
        frames(f, &header.frames)?;
        if !header.hoisted.is_empty() {
            write!(f, "  hoisted")?;
            for r in &header.hoisted {
                write!(f, " %{}", r.0)?;
            }
            writeln!(f)?;
        }
        if !header.copies.is_empty() {
            write!(f, "  copies")?;
            for (copy, of) in &header.copies {
                write!(f, " %{}=%{}", copy.0, of.0)?;
            }
            writeln!(f)?;
        }
        if let Some(counted) = header.counted {
            writeln!(f, "  counted %{} cost {}", counted.count.0, counted.cost)?;
        }
        header.ranges.iter().try_for_each(|range| self.range(f, range))
    }

    fn range(&self, f: &mut fmt::Formatter<'_>, range: &Range) -> fmt::Result {
        let Range { variable, index, step, count, len, offsets, checks } = range;
        let text = |r: &Ref| self.tree.operand_text(*r);
        write!(f, "  range {} index {} step {}", text(variable), text(index), text(step))?;
        write!(f, " count {} len {} offsets {} {} checks", text(count), text(len), offsets.0, offsets.1)?;
        for check in checks {
            write!(f, " %{}", check.0)?;
        }
        writeln!(f)
    }

    fn segment(&self, f: &mut fmt::Formatter<'_>, id: SegmentId) -> fmt::Result {
        let segment = self.tree.segment(id);
        match segment.start {
            Start::Header(header) => write!(f, "segment {} from header {}", id.0, header.0)?,
            Start::Snapshot(snap) => write!(f, "segment {} from snap {}", id.0, snap.0)?,
        }
        write!(f, ", insts {}..{}", segment.first.0, segment.end_at.0)?;
        if !segment.prologue.is_empty() {
            write!(f, ", makes {}..{}", segment.prologue.start, segment.prologue.end)?;
        }
        writeln!(f, "{}", if segment.calls_out { ", calls out" } else { "" })?;
        for r in self.tree.body(id) {
            self.inst(f, r)?;
        }
        let snap = segment.end_snap.map_or(String::new(), |snap| format!(", snap {}", snap.0));
        match segment.end {
            End::Around(to) => writeln!(f, "  around header {}{snap}", to.0),
            End::Enter(to) => writeln!(f, "  enter header {}{snap}", to.0),
            End::Exit(snap) => writeln!(f, "  exit snap {}", snap.0),
            End::Return(snap, count) => writeln!(f, "  return {count}, snap {}", snap.0),
            End::Tail(snap, cell) => writeln!(f, "  tail {}, snap {}", self.tree.operand_text(cell), snap.0),
            End::Open => writeln!(f, "  open"),
        }
    }

    fn inst(&self, f: &mut fmt::Formatter<'_>, r: Ref) -> fmt::Result {
        let inst = self.tree.inst(r);
        let equals = if inst.ty == Ty::Void { ' ' } else { '=' };
        write!(f, "  %{:<4} {equals} {}", r.0, name(inst))?;
        for operand in inst.operands() {
            write!(f, " {}", self.tree.operand_text(operand))?;
        }
        match inst.op.format() {
            Format::Place | Format::GuardPlace | Format::LoadPlace | Format::StorePlace => write!(f, " #{}", inst.aux)?,
            Format::CallOut => {
                write!(f, " #{} {} to {}", inst.aux, inst.imm & 0xffff_ffff, inst.imm >> 32)?;
            }
            Format::CallFn => write!(f, " #{} to {}", inst.aux, inst.imm as i64)?,
            Format::Returned => write!(f, " #{} {}", inst.aux, inst.imm)?,
            Format::Prop | Format::StoreProp => write!(f, " [{} of {}]", inst.aux, self.shape(inst.imm))?,
            Format::Field | Format::StoreField if inst.aux != 0 => write!(f, " #{}", inst.aux)?,
            Format::Call if inst.aux != 0 => write!(f, " fuel {}", inst.aux)?,
            _ => {}
        }
        if inst.ty != Ty::Void {
            write!(f, " {}", inst.ty.name())?;
        }
        if let Some(snap) = inst.snap {
            write!(f, " -> snap {}", snap.0)?;
        }
        writeln!(f)
    }

    /// A shape: the constant with its address, or, without one, its place among the shapes that properties name.
    fn shape(&self, address: u64) -> String {
        let is_it = |inst: &Inst| inst.op == Op::KPtr && inst.imm == address;
        if let Some(at) = self.tree.insts.iter().position(is_it) {
            return self.tree.operand_text(Ref(at as u32));
        }
        if self.addresses {
            return format!("{address:#x}");
        }
        let mut shapes: Vec<u64> = Vec::new();
        for inst in self.tree.insts.iter().filter(|i| matches!(i.op.format(), Format::Prop | Format::StoreProp)) {
            if !shapes.contains(&inst.imm) {
                shapes.push(inst.imm);
            }
        }
        format!("shape{}", shapes.iter().position(|shape| *shape == address).unwrap_or_default())
    }

    fn snapshot(&self, f: &mut fmt::Formatter<'_>, n: usize, snapshot: &Snapshot) -> fmt::Result {
        let Snapshot { segment, at, pc, fuel, .. } = snapshot;
        let kind = kind_name(snapshot.kind);
        write!(f, "snap {n} {kind}, segment {}, at {}, pc {pc}, fuel {fuel}", segment.0, at.0)?;
        if let Some(top) = snapshot.top {
            write!(f, ", top {top}")?;
        }
        if snapshot.calls_out {
            write!(f, ", calls out")?;
        }
        numbers(f, "in place", &snapshot.in_place)?;
        numbers(f, "live", &snapshot.live)?;
        if !snapshot.slots.is_empty() {
            write!(f, ", slots")?;
            for slot in &snapshot.slots {
                write!(f, " #{}={}", slot.slot, self.tree.operand_text(slot.value))?;
            }
        }
        writeln!(f)?;
        frames(f, &snapshot.frames)?;
        snapshot.sunk.iter().try_for_each(|recipe| self.recipe(f, recipe))
    }

    fn recipe(&self, f: &mut fmt::Formatter<'_>, recipe: &Recipe) -> fmt::Result {
        let Recipe { object, shape, meta, fields, elements } = recipe;
        let text = |r: &Ref| self.tree.operand_text(*r);
        write!(f, "  sunk {} shape {} meta {} fields", text(object), text(shape), text(meta))?;
        for field in fields {
            write!(f, " {}", text(field))?;
        }
        if !elements.is_empty() {
            write!(f, " elements")?;
        }
        for element in elements {
            write!(f, " {}", text(element))?;
        }
        writeln!(f)
    }
}

fn numbers(f: &mut fmt::Formatter<'_>, what: &str, numbers: &[u32]) -> fmt::Result {
    if numbers.is_empty() {
        return Ok(());
    }
    write!(f, ", {what}")?;
    for n in numbers {
        write!(f, " {n}")?;
    }
    Ok(())
}

fn frames(f: &mut fmt::Formatter<'_>, frames: &[InlinedFrame]) -> fmt::Result {
    for frame in frames {
        let InlinedFrame { func, base, extra, lost, flags, protected, handled, proto, return_pc, nresults } = frame;
        write!(f, "  frame func {func} base {base} extra {extra} lost {lost} flags {flags} proto {}", proto.0)?;
        if let Some(wanted) = protected {
            write!(f, " {} {wanted}", if *handled { "handled" } else { "protected" })?;
        }
        writeln!(f, " return {return_pc} results {nresults}")?;
    }
    Ok(())
}

/// The word for a kind of exit.
pub(crate) fn kind_name(kind: ExitKind) -> &'static str {
    match kind {
        ExitKind::Guard => "guard",
        ExitKind::Service => "service",
        ExitKind::End => "end",
    }
}

fn name(inst: &Inst) -> String {
    match (inst.field(), inst.helper()) {
        (Some(field), _) => format!("{}.{}", inst.op.mnemonic(), field.name()),
        (_, Some(helper)) => format!("{}.{}", inst.op.mnemonic(), helper.name()),
        _ => inst.op.mnemonic().to_owned(),
    }
}
