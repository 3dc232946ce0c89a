//! Upvalues and closures.
//!
//! The variable of an upvalue is in one of three places: in the upvalue itself, in a slot of the stack that the trace does
//! not hold, or in one that it does. In the last case the trace's own copy of the slot is the variable.

use perilune_bytecode::ops::Instr;
use perilune_runtime::value::Value;
use perilune_trace::ir::{Field, Helper, Op as Ir, Ref, Ty};

use super::Recorder;
use super::state::type_of;
use crate::abort::Abort;
use crate::seen::Load;
use crate::view::{Upvalue, View};

/// Where a recorded upvalue's variable is.
enum Variable {
    /// A slot of the trace.
    Slot(u32),
    /// At this address.
    Elsewhere(Ref),
}

impl Recorder {
    /// Where an upvalue's variable is. One that the path writes must not be in a register of whoever has called this code; one
    /// that it reads may be, if the place has the same value.
    fn variable(&mut self, view: &View<'_>, n: u8, writes: bool) -> Result<(Variable, Ref, Upvalue), Abort> {
        let seen = view.upvalue(view.closure(0), n.into());
        let function = self.function(view)?;
        let upvalue = self.builder.load_numbered(Field::UpVal, function, n.into());
        if let Some(slot) = seen.stack_slot.and_then(|at| at.checked_sub(self.root)) {
            let slot = u32::try_from(slot).map_err(|_| Abort::Upvalue)?;
            let snap = self.snap();
            self.builder.up_is_place(upvalue, slot, snap);
            return Ok((Variable::Slot(slot), upvalue, seen));
        }
        let place = self.load(Field::UpSlot, upvalue);
        self.guard(if writes { Ir::OffStack } else { Ir::OffWritten }, &[place])?;
        Ok((Variable::Elsewhere(place), upvalue, seen))
    }

    /// The value of an upvalue of the innermost frame's function.
    pub(super) fn upvalue(&mut self, view: &View<'_>, n: u8) -> Result<(Ref, Value), Abort> {
        let (variable, _, seen) = self.variable(view, n, false)?;
        let value = match variable {
            Variable::Slot(slot) => self.any_slot(slot, seen.value)?,
            Variable::Elsewhere(place) => {
                let (ty, snap) = (type_of(seen.value)?, self.snap());
                match self.load_as(ty, None) {
                    Load::Typed => self.builder.load_up(place, ty, seen.is_assigned, snap)?,
                    Load::Either | Load::Mixed => self.builder.number_up(place, snap)?,
                }
            }
        };
        Ok((value, seen.value))
    }

    pub(super) fn get_upval(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let (value, _) = self.upvalue(view, i.b())?;
        self.set(i.a(), value);
        Ok(())
    }

    pub(super) fn set_upval(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let value = self.get_number(view, i.a())?;
        let (variable, upvalue, _) = self.variable(view, i.b(), true)?;
        match variable {
            Variable::Slot(slot) => self.put(slot, value),
            Variable::Elsewhere(place) => {
                self.builder.store_up(place, value);
                if self.ty(value).is_object() {
                    self.builder.effect(Ir::BarrierUp, &[upvalue, value]);
                }
            }
        }
        Ok(())
    }

    pub(super) fn closure(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let proto = self.frame().proto;
        let child = view.child(proto, i.d() as usize);
        let function = self.function(view)?;
        let code = self.builder.pointer(child.0);
        let base = self.frame().base;
        let place = self.builder.place(base);
        let snap = self.service();
        // Where closures are reused, the interpreter's last one may be what a new one would be.
        let helper = if i.c() == 0 { Helper::NewClosure } else { Helper::SameClosure };
        let made = self.builder.call(helper, &[function, code, place], Ty::LuaFn, Some(snap));
        self.builder.assume(Field::Proto, made, code);
        self.proto_id(child);
        self.allocated = true;
        self.set(i.a(), made);
        Ok(())
    }

    pub(super) fn close(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let frame = self.frame();
        let first = frame.base + u32::from(i.a());
        let end = frame.base + u32::from(view.plain(frame.proto).max_stack);
        self.close_from(view, first, end)
    }
}
