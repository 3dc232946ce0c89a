//! Metamethods: handlers are functions that are followed; what they return ends the instruction that asked them.

use perilune_base::dialect::table::SharedHandlers;
use perilune_bytecode::ops::Op;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Op as Ir, Ref, Ty};
use perilune_vm::frame;
use perilune_vm::meta::Event;

use super::Recorder;
use super::call::Callee;
use crate::abort::Abort;
use crate::view::View;

impl Recorder {
    /// The handler of an event in a table's metatable, relied on; `None` if there is none.
    pub(super) fn metamethod(
        &mut self,
        view: &View<'_>,
        object: Ref,
        seen: Value,
        event: Event,
    ) -> Result<Option<(Ref, Value)>, Abort> {
        let table = view.table(seen).ok_or(Abort::Metamethod)?;
        self.handler(view, object, table, event)
    }

    /// A binary operator on operands that are no numbers: the call of a metamethod begins.
    pub(super) fn binary_metamethod(
        &mut self,
        view: &View<'_>,
        event: Event,
        operands: (Ref, Ref),
        seen: (Value, Value),
    ) -> Result<(), Abort> {
        let (x, y) = operands;
        if matches!(event, Event::Lt | Event::Le) && view.dialect().shared_handlers == SharedHandlers::Both {
            let handler = self.shared_handler(view, event, operands, seen)?.ok_or(Abort::Metamethod)?;
            return self.call_handler(view, handler.0, handler.1, &[x, y], 1);
        }
        for (object, value) in [(x, seen.0), (y, seen.1)] {
            if Self::is_numeric_string(value) && !matches!(event, Event::Concat) {
                return Err(Abort::Types);
            }
            if value.tag != Tag::Table {
                continue;
            }
            if let Some((function, handler)) = self.metamethod(view, object, value, event)? {
                return self.call_handler(view, function, handler, &[x, y], 1);
            }
        }
        Err(Abort::Metamethod)
    }

    /// The handler of an event that two tables have in common, relied on; `None` if they have none or others.
    pub(super) fn shared_handler(
        &mut self,
        view: &View<'_>,
        event: Event,
        operands: (Ref, Ref),
        seen: (Value, Value),
    ) -> Result<Option<(Ref, Value)>, Abort> {
        if seen.0.tag != Tag::Table || seen.1.tag != Tag::Table {
            return Err(Abort::Metamethod);
        }
        let Some(first) = self.metamethod(view, operands.0, seen.0, event)? else { return Ok(None) };
        let Some(second) = self.metamethod(view, operands.1, seen.1, event)? else { return Ok(None) };
        let is_same = first.1.raw_equals(second.1);
        self.guard(if is_same { Ir::Eq } else { Ir::Ne }, &[first.0, second.0])?;
        Ok(is_same.then_some(first))
    }

    /// Begins the call of a metamethod for the current instruction.
    pub(super) fn call_handler(
        &mut self,
        view: &View<'_>,
        function: Ref,
        handler: Value,
        args: &[Ref],
        nresults: i32,
    ) -> Result<(), Abort> {
        if handler.tag != Tag::LuaFn {
            return Err(Abort::Metamethod);
        }
        let frame = self.frame();
        let func = frame.base + u32::from(view.plain(frame.proto).max_stack);
        // Whatever can be refused is refused before the shadow of the stack changes.
        let proto = view.proto_of(handler).ok_or(Abort::Callee)?;
        self.guard_function(view, function, handler, proto)?;
        self.put(func, function);
        for (n, arg) in args.iter().enumerate() {
            self.put(func + 1 + n as u32, *arg);
        }
        let callee = Callee {
            func,
            nargs: args.len() as u32,
            nresults,
            flags: frame::HANDLED,
            lost: 0,
            protected: None,
            handled: false,
            return_pc: self.expected,
        };
        self.enter(view, function, handler, callee)
    }

    /// Finishes the instruction whose metamethod has returned.
    pub(super) fn finish_instruction(&mut self, view: &View<'_>, result: Ref) -> Result<(), Abort> {
        let i = view.instr(self.frame().proto, self.expected - 1);
        let op = i.op().ok_or(Abort::Opcode)?;
        match op {
            perilune_bytecode::comparison!() => {
                if !matches!(self.ty(result), Ty::Nil | Ty::False) == i.cond() {
                    self.jump(i.cond_offset());
                }
            }
            Op::SetTabUp | Op::SetTable | Op::SetInt | Op::SetField => {}
            _ => self.set(i.a(), result),
        }
        Ok(())
    }
}
