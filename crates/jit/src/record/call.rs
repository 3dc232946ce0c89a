//! Calls and returns. Lua functions are followed into their code: their frames exist in snapshots only.

use perilune_bytecode::ops::Instr;
use perilune_runtime::value::{Tag, Value};
use perilune_trace::ir::{Effects, ExitKind, Field, Op as Ir, Ref, Ty};
use perilune_vm::control::Control;
use perilune_vm::frame;
use perilune_vm::meta::{self, Event};
use perilune_vm::native::Intrinsic;

use super::state::Active;
use super::{MAX_FRAMES, Recorder};
use crate::abort::Abort;
use crate::view::{ProtoAt, View};

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
    pub(super) fn enter(&mut self, view: &View<'_>, function: Ref, seen: Value, callee: Callee) -> Result<(), Abort> {
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
    pub(super) fn may_enter(&mut self, view: &View<'_>, proto: ProtoAt, nargs: u32, flags: u16) -> Result<(), Abort> {
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
}
