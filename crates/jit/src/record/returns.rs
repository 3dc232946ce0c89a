//! Returns and tail calls: how an inlined frame ends, and what its end closes.

use perilune_bytecode::ops::Instr;
use perilune_runtime::value::Tag;
use perilune_trace::ir::{Helper, Op as Ir, Ref, Ty};
use perilune_vm::frame;
use perilune_vm::meta::{self, Event};

use super::Recorder;
use super::call::Callee;
use super::state::Active;
use crate::abort::Abort;
use crate::view::View;

impl Recorder {
    /// Puts the results of a call where its caller wants them.
    pub(super) fn deliver(&mut self, func: u32, results: &[Ref], wanted: i32) {
        let count = if wanted < 0 { results.len() as u32 } else { wanted as u32 };
        for n in 0..count {
            let value = results.get(n as usize).copied();
            let value = value.unwrap_or_else(|| self.builder.primitive(Ty::Nil));
            self.put(func + n, value);
        }
        self.bury(func + count);
        self.open = (wanted < 0).then_some(func + count);
    }

    pub(super) fn tail_call(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let is_root = self.frames.len() == 1;
        if is_root && !self.is_function() {
            return Err(Abort::LeftLoop);
        }
        let frame = self.frame();
        let first = frame.base + u32::from(i.a());
        let nargs = self.count(i.b(), first + 1)?;
        let seen = view.reg(i.a().into());
        let function = self.get(view, i.a())?;
        if i.c() != 0 && view.has_captures(frame.proto) {
            self.close_from(view, frame.base, frame.base + u32::from(i.a()) + 1 + nargs)?;
        }
        match seen.tag {
            Tag::NativeFn => {
                self.in_tail = true;
                let results = self.native(view, function, seen, first, nargs, frame.nresults);
                self.in_tail = false;
                let results = results?;
                self.open = None;
                match results {
                    Some(results) => self.return_values(&results),
                    // The interpreter calls and returns at once.
                    None if self.pending_is_tail() => Ok(()),
                    None => Err(Abort::OpenResults),
                }
            }
            Tag::LuaFn if is_root => self.tail_from_root(view, function, seen, first, nargs),
            Tag::Table if is_root => Err(Abort::Callee),
            Tag::LuaFn | Tag::Table => {
                let mut moved = vec![function];
                for n in 0..nargs {
                    let seen = self.seen(view, first + 1 + n);
                    moved.push(self.slot(first + 1 + n, seen)?);
                }
                let (function, seen, nargs, fuel) = if seen.tag == Tag::Table {
                    // A table's handler takes its place, and gets it for its first argument.
                    let (handler, seen) = self.metamethod(view, function, seen, Event::Call)?.ok_or(Abort::Callee)?;
                    moved.insert(0, handler);
                    (handler, seen, nargs + 1, meta::fuel_of_call(u64::from(nargs) + 1) as u32)
                } else {
                    (function, seen, nargs, 0)
                };
                let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
                let callee = Callee {
                    func: frame.func,
                    nargs,
                    nresults: frame.nresults,
                    flags: frame.flags | frame::TAIL,
                    lost: if view.dialect().counts_tail_calls { frame.lost + 1 } else { 0 },
                    protected: frame.protected,
                    handled: frame.handled,
                    return_pc: frame.return_pc,
                };
                // Whatever can be refused is refused before the frame is gone.
                self.frames.pop();
                let allowed = match self.callable(view, proto, &callee) {
                    Some(_) => Ok(()),
                    None => self.may_enter(view, proto, nargs, callee.flags),
                };
                self.frames.push(frame);
                allowed?;
                moved[0] = self.guard_function(view, function, seen, proto)?;
                self.frames.pop();
                self.fuel += fuel;
                for (n, value) in moved.iter().enumerate() {
                    self.put(frame.func + n as u32, *value);
                }
                self.enter(view, moved[0], seen, callee)
            }
            _ => Err(Abort::Callee),
        }
    }

    pub(super) fn return_many(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        if self.frames.len() == 1 && !self.may_return() {
            return Err(Abort::LeftLoop);
        }
        let first = self.frame().base + u32::from(i.a());
        let n = self.count(i.b(), first)?;
        let mut values = Vec::new();
        for k in 0..n {
            let seen = self.seen(view, first + k);
            values.push(self.any_slot(first + k, seen)?);
        }
        if i.c() != 0 {
            // What is returned may be a variable, with others that were captured above it.
            let Active { base, proto, .. } = self.frame();
            let end = base + u32::from(view.plain(proto).max_stack);
            self.close_from(view, base, end.max(first + n))?;
        }
        self.open = None;
        self.return_values(&values)
    }

    /// Returns from the innermost frame.
    pub(super) fn return_values(&mut self, values: &[Ref]) -> Result<(), Abort> {
        if self.frames.len() == 1 {
            return self.return_from_root(values);
        }
        let Some(frame) = self.frames.pop() else { return Err(Abort::LeftLoop) };
        self.expected = frame.return_pc;
        self.has_left_one_of_many = self.notes.calls_many(self.frame().proto, frame.return_pc);
        if let Some(wanted) = frame.protected {
            let succeeded = self.boolean(true);
            let results: Vec<Ref> = std::iter::once(succeeded).chain(values.iter().copied()).collect();
            self.deliver(frame.first(), &results, wanted);
            return Ok(());
        }
        if frame.flags & frame::HANDLED != 0 {
            let result = values.first().copied();
            let result = result.unwrap_or_else(|| self.builder.primitive(Ty::Nil));
            self.bury(frame.func);
            self.finishing = Some(result);
            return Ok(());
        }
        self.deliver(frame.func, values, frame.nresults);
        Ok(())
    }

    /// Relies on no variable from slot `first` up waiting for its `__close`: then nothing is closed in a function whose variables
    /// nobody captures.
    fn nothing_is_pending(&mut self, first: u32) -> Result<(), Abort> {
        // All that the function of an inlined frame has done was recorded, and what marks variables is not. That of the root frame
        // may have been entered in the midst of a loop.
        if self.frames.len() > 1 {
            return Ok(());
        }
        let (place, zero) = (self.builder.place(first), self.builder.int(0));
        let pending = self.builder.call(Helper::Pending, &[place], Ty::Int, None);
        self.guard(Ir::Eq, &[pending, zero])
    }

    /// The upvalues of variables from slot `first` up are closed; the variables below `end` may have some.
    pub(super) fn close_from(&mut self, view: &View<'_>, first: u32, end: u32) -> Result<(), Abort> {
        if view.has_pending_close(self.root + first as usize) {
            return Err(Abort::Opcode);
        }
        if !view.has_captured_variables(self.frame().proto) {
            return self.nothing_is_pending(first);
        }
        for slot in first..end.max(first) {
            // Arguments may come in registers, those too that nothing has looked at so far.
            if self.is_function() && self.shadow_at(slot) == super::Shadow::Untouched && self.is_parameter(view, slot) {
                let seen = self.seen(view, slot);
                self.any_slot(slot, seen)?;
            }
            if let super::Shadow::Value(value) = self.shadow_at(slot) {
                self.builder.store_place(slot, value);
            } else if !self.builder.calls_out()
                && let Some(input) = self.builder.input(slot)
                && self.shadow_at(slot) == super::Shadow::Untouched
            {
                self.builder.store_place(slot, input);
            }
        }
        let place = self.builder.place(first);
        let snap = self.service();
        self.builder.call(Helper::Close, &[place], Ty::Void, Some(snap));
        Ok(())
    }
}
