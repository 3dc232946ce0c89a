//! The text form of a tree, for people: stable, numbered, without addresses that differ from run to run.
//!
//! ```text
//! header 0 at pc 5: %0(#2 tab) %3(#4 int)
//!   hoisted: %1 %2
//! segment 0 from header 0
//!   %1 = load.kind %0
//!   %2   eq %1 kint(3)                          -> snap 1
//!   %4 = add %3 kint(1)
//!   around header 0, snap 2
//! ```

use std::fmt;

use super::inst::{Format, Inst, Op, Ref};
use super::tree::{End, Start, Tree};

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, header) in self.headers.iter().enumerate() {
            write!(f, "header {n} at pc {}, {} frames:", header.pc, header.frames.len())?;
            for input in &header.inputs {
                let inst = self.inst(*input);
                write!(f, " %{}(#{} {})", input.0, inst.aux, inst.ty.name())?;
            }
            writeln!(f)?;
            if !header.hoisted.is_empty() {
                let hoisted: Vec<String> = header.hoisted.iter().map(|r| format!("%{}", r.0)).collect();
                writeln!(f, "  hoisted: {}", hoisted.join(" "))?;
            }
        }
        for id in self.segment_ids() {
            let segment = self.segment(id);
            match segment.start {
                Start::Header(header) => writeln!(f, "segment {} from header {}", id.0, header.0)?,
                Start::Snapshot(snap) => {
                    let parent = self.snapshot(snap).segment;
                    writeln!(f, "segment {} from segment {}, snap {}", id.0, parent.0, snap.0)?;
                }
            }
            for r in self.body(id) {
                writeln!(f, "  {}", Line { tree: self, r })?;
            }
            let snap = segment.end_snap.map_or(String::new(), |snap| format!(", snap {}", snap.0));
            match segment.end {
                End::Around(to) => writeln!(f, "  around header {}{snap}", to.0)?,
                End::Enter(to) => writeln!(f, "  enter header {}{snap}", to.0)?,
                End::Exit(snap) => writeln!(f, "  exit snap {}", snap.0)?,
                End::Open => writeln!(f, "  open")?,
            }
        }
        for (n, snapshot) in self.snapshots.iter().enumerate() {
            write!(
                f,
                "snap {n} {:?} pc {} frames {} fuel {}:",
                snapshot.kind,
                snapshot.pc,
                snapshot.frames.len(),
                snapshot.fuel
            )?;
            for slot in &snapshot.slots {
                write!(f, " #{}={}", slot.slot, Operand { tree: self, r: slot.value })?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// One instruction.
struct Line<'a> {
    tree: &'a Tree,
    r: Ref,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inst = self.tree.inst(self.r);
        if inst.ty == super::Ty::Void {
            write!(f, "%{:<4}  ", self.r.0)?;
        } else {
            write!(f, "%{:<4}= ", self.r.0)?;
        }
        write!(f, "{}", name(inst))?;
        for r in inst.operands() {
            write!(f, " {}", Operand { tree: self.tree, r })?;
        }
        match inst.op.format() {
            Format::Place | Format::GuardPlace | Format::LoadPlace | Format::StorePlace | Format::CallOut => {
                write!(f, " #{}", inst.aux)?;
            }
            Format::Prop | Format::StoreProp => write!(f, " [{}]", inst.aux)?,
            _ => {}
        }
        if inst.ty != super::Ty::Void {
            write!(f, " {}", inst.ty.name())?;
        }
        if let Some(snap) = inst.snap {
            write!(f, " -> snap {}", snap.0)?;
        }
        Ok(())
    }
}

fn name(inst: &Inst) -> String {
    match (inst.field(), inst.helper()) {
        (Some(field), _) => format!("{}.{}", inst.op.mnemonic(), field.name()),
        (_, Some(helper)) => format!("{}.{}", inst.op.mnemonic(), helper.name()),
        _ => inst.op.mnemonic().to_owned(),
    }
}

/// A reference: constants are spelt out.
struct Operand<'a> {
    tree: &'a Tree,
    r: Ref,
}

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inst = self.tree.inst(self.r);
        match inst.op {
            Op::KInt => write!(f, "{}", inst.imm as i64),
            Op::KFloat => write!(f, "{:?}", f64::from_bits(inst.imm)),
            Op::KPrim => write!(f, "{}", inst.ty.name()),
            Op::KPtr if inst.imm == 0 => write!(f, "null"),
            // Objects are numbered by their place in the list: addresses differ from run to run.
            Op::KObj | Op::KPtr => write!(f, "{}@{}", inst.ty.name(), self.r.0),
            _ => write!(f, "%{}", self.r.0),
        }
    }
}
