//! Variable arguments: how many there are is relied on, so each of them is a value of its own.

use perilune_base::limits::MAX_REGISTERS;
use perilune_bytecode::ops::Instr;
use perilune_runtime::value::Value;
use perilune_trace::ir::{Helper, Op as Ir, Ty};

use super::Recorder;
use crate::abort::Abort;
use crate::view::View;

/// Variable arguments of the root frame that are followed.
const MAX_VARARGS: u32 = 32;

impl Recorder {
    pub(super) fn vararg(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let frame = self.frame();
        let target = frame.base + u32::from(i.a());
        if self.frames.len() == 1 {
            return self.vararg_of_root(view, i.c(), target);
        }
        // A longer list is charged for; see `vm::interp::varargs`.
        if frame.extra as usize > MAX_REGISTERS {
            return Err(Abort::Vararg);
        }
        let wanted = if i.c() == 0 { frame.extra } else { u32::from(i.c()) - 1 };
        let mut values = Vec::new();
        for n in 0..wanted.min(frame.extra) {
            let slot = frame.base - frame.extra + n;
            let seen = self.seen(view, slot);
            values.push(self.slot(slot, seen)?);
        }
        for n in 0..wanted {
            let value = values.get(n as usize).copied();
            let value = value.unwrap_or_else(|| self.builder.primitive(Ty::Nil));
            self.put(target + n, value);
        }
        if i.c() == 0 {
            self.open = Some(target + wanted);
            self.bury(target + wanted);
        }
        Ok(())
    }

    /// Variable arguments of the root frame, which are below all slots of the trace: a helper fetches them. Where all are wanted,
    /// how many there are is relied on.
    fn vararg_of_root(&mut self, view: &View<'_>, c: u8, target: u32) -> Result<(), Abort> {
        let seen = view.var_args();
        let count = if c == 0 { seen.len() as u32 } else { u32::from(c) - 1 };
        if count > MAX_VARARGS {
            return Err(Abort::Vararg);
        }
        let snap = self.own_snap();
        self.reach(target + count + 1);
        let (place, wanted) = (self.builder.place(target), self.builder.int(i64::from(count)));
        let there = self.builder.call(Helper::VarArg, &[place, wanted], Ty::Int, None);
        if c == 0 {
            let expected = self.builder.int(i64::from(count));
            self.builder.guard(Ir::Eq, &[there, expected], snap)?;
        }
        for n in 0..count {
            let ty = super::state::type_of(seen.get(n as usize).copied().unwrap_or(Value::NIL))?;
            let value = self.builder.load_place(target + n, ty, snap);
            self.put(target + n, value);
        }
        if c == 0 {
            self.open = Some(target + count);
            self.bury(target + count);
        }
        Ok(())
    }

    /// Whether a slot is that of a parameter of the root frame's function.
    pub(super) fn is_parameter(&self, view: &View<'_>, slot: u32) -> bool {
        (1..=u32::from(view.plain(self.origin.proto).num_params)).contains(&slot)
    }
}
