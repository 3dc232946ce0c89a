//! Calls and returns. Lua functions are followed into their code: their frames exist in snapshots only.

use perilune_base::dialect::table::SharedHandlers;
use perilune_base::limits::MAX_REGISTERS;
use perilune_bytecode::ops::{Instr, Op};
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Effects, ExitKind, Field, Helper, Op as Ir, Ref, Ty};
use perilune_vm::control::Control;
use perilune_vm::frame;
use perilune_vm::meta::{self, Event};
use perilune_vm::native::Intrinsic;

use super::state::Active;
use super::{MAX_FRAMES, Recorder};
use crate::abort::Abort;
use crate::view::{ProtoAt, View};

/// Variable arguments of the root frame that are followed.
const MAX_VARARGS: u32 = 32;

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callee {
    /// The function's slot; the arguments follow it.
    pub func: u32,
    pub nargs: u32,
    pub nresults: i32,
    pub flags: u16,
    /// Calls that tail calls have replaced.
    pub lost: u32,
    /// Whether `pcall` or `xpcall` has called it, which wants its results; see [`InlinedFrame`](perilune_trace::ir::InlinedFrame).
    pub protected: Option<i32>,
    /// Whether it is `xpcall` that has called it.
    pub handled: bool,
    pub return_pc: u32,
}

impl Recorder {
    pub(super) fn call(&mut self, view: &View<'_>, i: Instr) -> Result<(), Abort> {
        let func = self.frame().base + u32::from(i.a());
        let nargs = self.count(i.b(), func + 1)?;
        let nresults = i32::from(i.c()) - 1;
        let seen = view.reg(i.a().into());
        let function = self.get(view, i.a())?;
        match seen.tag {
            Tag::LuaFn => {
                let return_pc = self.expected;
                self.enter(
                    view,
                    function,
                    seen,
                    Callee { func, nargs, nresults, flags: 0, lost: 0, protected: None, handled: false, return_pc },
                )
            }
            Tag::NativeFn if matches!(view.control(seen), Some(Control::PCall | Control::XPCall)) => {
                self.protected_call(view, function, seen, func, nargs, nresults)
            }
            Tag::NativeFn => {
                let results = self.native(view, function, seen, func, nargs, nresults)?;
                self.open = None;
                if let Some(results) = results {
                    self.deliver(func, &results, nresults);
                }
                Ok(())
            }
            Tag::Table => self.call_table(view, function, seen, (func, nargs, nresults)),
            _ => Err(Abort::Callee),
        }
    }

    /// A call of a table with a Lua function for its handler: that one takes its place, and gets it for its first argument.
    fn call_table(&mut self, view: &View<'_>, table: Ref, seen: Value, call: (u32, u32, i32)) -> Result<(), Abort> {
        let (func, nargs, nresults) = call;
        let (handler, seen) = self.metamethod(view, table, seen, Event::Call)?.ok_or(Abort::Callee)?;
        if seen.tag != Tag::LuaFn {
            return Err(Abort::Callee);
        }
        let flags = if view.dialect().extra_arguments { frame::with_extra_argument(0) } else { Some(0) };
        let flags = flags.ok_or(Abort::Callee)?;
        let mut args = vec![handler, table];
        for n in 0..nargs {
            let seen = self.seen(view, func + 1 + n);
            args.push(self.slot(func + 1 + n, seen)?);
        }
        // Whatever leaves in front of the call, or is refused, comes before the values move.
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        self.guard_function(view, handler, seen, proto)?;
        self.may_enter(view, proto, nargs + 1, flags)?;
        self.snap();
        for (n, value) in args.iter().enumerate() {
            self.put(func + n as u32, *value);
        }
        self.fuel += meta::fuel_of_call(u64::from(nargs) + 1) as u32;
        let return_pc = self.expected;
        let nargs = nargs + 1;
        self.follow(
            view,
            handler,
            seen,
            Callee { func, nargs, nresults, flags, lost: 0, protected: None, handled: false, return_pc },
        )
    }

    /// `pcall` or `xpcall` of a Lua function: goes on in its code. Errors are the interpreter's, which finds the frame of the
    /// protected call below that of the function.
    fn protected_call(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        func: u32,
        nargs: u32,
        nresults: i32,
    ) -> Result<(), Abort> {
        let handled = view.control(seen) == Some(Control::XPCall);
        let callee_seen = self.seen(view, func + 1);
        if nargs > 0 && !handled && callee_seen.tag == Tag::NativeFn {
            return self.call_out(view, function, seen, (func, nargs, nresults));
        }
        if nargs <= u32::from(handled) || callee_seen.tag != Tag::LuaFn {
            return Err(Abort::Native);
        }
        self.guard_native(view, function, seen)?;
        let callee_function = self.slot(func + 1, callee_seen)?;
        let passed = if handled { self.handler_first(view, func, nargs)? } else { nargs - 1 };
        self.put(func, function);
        self.reach(func + 24);
        let callee = Callee {
            func: func + 1 + u32::from(handled),
            nargs: passed,
            nresults: -1,
            flags: frame::HANDLED,
            lost: 0,
            protected: Some(nresults),
            handled,
            return_pc: self.expected,
        };
        let entered = self.enter(view, callee_function, callee_seen, callee);
        if entered.is_err() && handled {
            self.swap(func);
        }
        entered?;
        self.fuel += 1;
        Ok(())
    }

    /// Lets the function of an `xpcall` and its handler change places, as the interpreter does: how many arguments the function
    /// gets.
    fn handler_first(&mut self, view: &View<'_>, func: u32, nargs: u32) -> Result<u32, Abort> {
        let seen = self.seen(view, func + 2);
        if !seen.is_function() {
            // Some versions look at it before the call.
            return Err(Abort::Callee);
        }
        let passed = if view.dialect().xpcall_arguments { nargs - 2 } else { 0 };
        let callee = self.seen(view, func + 1);
        let (function, handler) = (self.slot(func + 1, callee)?, self.slot(func + 2, seen)?);
        self.put(func + 1, function);
        self.put(func + 2, handler);
        // What may leave in front of the call, or refuse it, comes before they change places.
        let proto = view.proto_of(callee).ok_or(Abort::Callee)?;
        self.guard_function(view, function, callee, proto)?;
        self.may_enter(view, proto, passed, 0)?;
        self.snap();
        self.swap(func);
        Ok(passed)
    }

    /// Lets the values of the two slots behind `func` change places.
    fn swap(&mut self, func: u32) {
        let (first, second) = (self.shadow_at(func + 1), self.shadow_at(func + 2));
        for (slot, shadow) in [(func + 1, second), (func + 2, first)] {
            if let super::Shadow::Value(value) = shadow {
                self.put(slot, value);
            }
        }
    }

    /// Calls the iterator of a generic loop, which stands with its arguments behind the loop's registers.
    pub(super) fn call_iterator(&mut self, view: &View<'_>, iterator: Ref, seen: Value, i: Instr) -> Result<(), Abort> {
        let func = self.frame().base + u32::from(i.a()) + 4;
        let return_pc = self.expected;
        let nresults = i32::from(i.c());
        self.enter(
            view,
            iterator,
            seen,
            Callee { func, nargs: 2, nresults, flags: 0, lost: 0, protected: None, handled: false, return_pc },
        )
    }

    /// How many values an instruction takes from slot `first` up.
    pub(super) fn count(&self, b: u8, first: u32) -> Result<u32, Abort> {
        match (b, self.open) {
            (0, Some(top)) => top.checked_sub(first).ok_or(Abort::OpenResults),
            (0, None) => Err(Abort::OpenResults),
            (b, _) => Ok(u32::from(b) - 1),
        }
    }

    /// Whether a call is a recursion that is not followed. One that hands on fewer and fewer variable arguments ends soon.
    fn recurses(&self, view: &View<'_>, proto: ProtoAt, nargs: u32, flags: u16) -> bool {
        let plain = view.plain(proto);
        let extra = nargs.saturating_sub(u32::from(plain.num_params));
        let outer = self.frames.iter().filter(|active| active.proto == proto && active.extra <= extra);
        // The last one may have no more extra arguments than the one before.
        outer.count() >= Recorder::most_copies(view, proto, flags) + usize::from(plain.is_vararg)
    }

    /// Goes on in the code of a Lua function, or calls it, if it is compiled and better called.
    fn enter(&mut self, view: &View<'_>, function: Ref, seen: Value, callee: Callee) -> Result<(), Abort> {
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        if let Some(known) = self.callable(view, proto, &callee) {
            return self.call_function(view, function, seen, callee, known);
        }
        self.follow(view, function, seen, callee)
    }

    /// Goes on in the code of a Lua function.
    pub(super) fn follow(&mut self, view: &View<'_>, function: Ref, seen: Value, callee: Callee) -> Result<(), Abort> {
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        self.may_enter(view, proto, callee.nargs, callee.flags)?;
        // The function that replaces the root frame's was relied on while there was a frame to leave with.
        if !self.frames.is_empty() {
            self.guard_function(view, function, seen, proto)?;
        }
        self.fuel += 1;
        self.open = None;
        let plain = view.plain(proto);
        let (params, is_vararg, max_stack) = (u32::from(plain.num_params), plain.is_vararg, u32::from(plain.max_stack));
        let args = callee.func + 1;
        let nil = self.builder.primitive(Ty::Nil);
        for n in callee.nargs..params {
            self.put(args + n, nil);
        }
        let (mut base, mut extra) = (args, 0);
        if is_vararg {
            extra = callee.nargs.saturating_sub(params);
            base = args + callee.nargs.max(params);
            for n in 0..params {
                let seen = self.seen(view, args + n);
                let value = self.slot(args + n, seen)?;
                self.put(base + n, value);
                self.put(args + n, nil);
            }
        }
        self.bury(base + params);
        if let Some(caller) = self.frames.last().map(|frame| frame.proto) {
            self.notes.follows(caller, callee.return_pc, proto);
        }
        self.frames.push(Active {
            proto,
            func: callee.func,
            base,
            extra,
            lost: callee.lost,
            protected: callee.protected,
            handled: callee.handled,
            always: None,
            return_pc: callee.return_pc,
            nresults: callee.nresults,
            flags: callee.flags,
        });
        self.liveness_of(view, proto);
        // It has a part in the tree, even if no snapshot lies in its code.
        self.proto_id(proto);
        self.reach(base + max_stack + 4);
        self.expected = 0;
        Ok(())
    }

    /// Whether the code of a function may be followed inside the frames that are there.
    fn may_enter(&mut self, view: &View<'_>, proto: ProtoAt, nargs: u32, flags: u16) -> Result<(), Abort> {
        if View::is_never_compiled(proto) {
            return Err(Abort::Off);
        }
        if self.frames.len() > MAX_FRAMES {
            return Err(Abort::TooDeep);
        }
        if self.recurses(view, proto, nargs, flags) {
            self.missed = Some(proto);
            return Err(Abort::Recursion);
        }
        Ok(())
    }

    /// Relies on what is called: on the very function, or, where functions are made on the way or differ from time to time, on
    /// its code. Gives what to take for the function from here on, which is nearer at hand than what was loaded.
    pub(super) fn guard_function(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        proto: ProtoAt,
    ) -> Result<Ref, Abort> {
        let inst = *self.builder.tree().inst(function);
        if self.builder.tree().is_const(function) {
            return Ok(function);
        }
        if let Some(own) = self.own_function(view, seen)? {
            self.guard(Ir::Eq, &[function, own])?;
            return Ok(self.same(function, own));
        }
        let is_same = self.met.closure((self.frame().proto, self.pc), proto, seen.payload);
        let is_made_here = inst.helper().is_some_and(|helper| helper.effects() == Effects::Allocates);
        if is_made_here || !is_same || self.is_side || matches!(inst.op, Ir::Slot | Ir::LoadElem | Ir::LoadPlace) {
            let code = self.load(Field::Proto, function);
            let expected = self.builder.pointer(proto.0);
            self.proto_id(proto);
            self.guard(Ir::Eq, &[code, expected])?;
            return Ok(function);
        }
        let expected = self.constant_of(seen)?;
        self.guard(Ir::Eq, &[function, expected])?;
        Ok(self.same(function, expected))
    }

    /// All slots that have a value have another from here on, which is the same: the one needs no register any more.
    fn same(&mut self, value: Ref, other: Ref) -> Ref {
        for shadow in &mut self.shadow {
            if *shadow == super::Shadow::Value(value) {
                *shadow = super::Shadow::Value(other);
            }
        }
        other
    }

    /// The function of the root frame, if that is the one that was seen: a recursion is relied on whichever closure it is of.
    fn own_function(&mut self, view: &View<'_>, seen: Value) -> Result<Option<Ref>, Abort> {
        let own = self.seen(view, 0);
        let is_own = self.frames[0].always.is_none() && own.tag == seen.tag && own.payload == seen.payload;
        if is_own { self.slot(0, own).map(Some) } else { Ok(None) }
    }

    /// Relies on a native function.
    pub(super) fn guard_native(&mut self, view: &View<'_>, function: Ref, seen: Value) -> Result<(), Abort> {
        if self.builder.tree().is_const(function) {
            return Ok(());
        }
        let known = Intrinsic::of(view.intrinsic(seen));
        if matches!(known, Intrinsic::Wrapped | Intrinsic::GmatchStep) {
            // Each of them is made anew: what it does is relied on.
            let loaded = self.load(Field::Known, function);
            let expected = self.builder.int(known as i64);
            return self.guard(Ir::Eq, &[loaded, expected]);
        }
        let expected = self.constant_of(seen)?;
        self.guard(Ir::Eq, &[function, expected])
    }

    /// Puts the results of a call where its caller wants them.
    fn deliver(&mut self, func: u32, results: &[Ref], wanted: i32) {
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

    // Metamethods.

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

    // Calls out of the tree.

    /// Calls a native function that is not known: everything goes to its place, and comes from there afterwards.
    pub(super) fn call_out(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        call: (u32, u32, i32),
    ) -> Result<(), Abort> {
        let (func, nargs, nresults) = call;
        // Code that compiled code calls must not leave for the time of a call: its callers' frames do not exist.
        let control = view.control(seen);
        let is_control = match control {
            // Compiled code waits for coroutines that it resumes, and so does the recording.
            Some(Control::Resume | Control::Wrapped) => false,
            // So is what a protected call of a native function does done when it returns.
            Some(Control::PCall) => view.is_control(self.seen(view, func + 1)),
            Some(Control::XPCall | Control::Yield | Control::HostXPCall) => true,
            None => view.is_control(seen),
        };
        if is_control || self.in_tail || self.is_function() {
            return Err(Abort::Native);
        }
        let wanted = u32::try_from(nresults).map_err(|_| Abort::OpenResults)?;
        self.guard_native(view, function, seen)?;
        for n in 0..nargs {
            let seen = self.seen(view, func + 1 + n);
            let value = self.slot(func + 1 + n, seen)?;
            self.put(func + 1 + n, value);
        }
        self.put(func, function);
        let mut live = self.live_slots(self.pc);
        let mut slots = self.written(&live);
        for slot in func..func + 1 + nargs {
            if let super::Shadow::Value(value) = self.shadow_at(slot)
                && !slots.iter().any(|known| known.slot == slot)
            {
                slots.push(perilune_trace::ir::SnapSlot { slot, value });
            }
        }
        self.open = None;
        live.extend(func..func + 1 + nargs);
        live.sort_unstable();
        live.dedup();
        let snap = self.snapshot_of(ExitKind::Service, self.expected, slots, live);
        self.builder.call_out(func, nargs, wanted, snap);
        self.resumes = matches!(control, Some(Control::Resume | Control::Wrapped));
        self.shadow.clear();
        self.bury_above(func + wanted);
        self.reach(func + 1 + nargs + 24);
        let snap = self.snapshot(ExitKind::Service, self.expected);
        self.builder.guard(Ir::Fuel, &[], snap)?;
        Ok(())
    }

    /// Slots from `first` up hold nothing of use.
    fn bury_above(&mut self, first: u32) {
        let end = self.notes.slots.max(first);
        if self.shadow.len() < end as usize {
            self.shadow.resize(end as usize, super::Shadow::Untouched);
        }
        self.bury(first);
    }

    // Varargs.

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
    fn is_parameter(&self, view: &View<'_>, slot: u32) -> bool {
        (1..=u32::from(view.plain(self.origin.proto).num_params)).contains(&slot)
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
