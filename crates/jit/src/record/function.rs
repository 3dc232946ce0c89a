//! Functions as code of their own: calls of compiled functions, and what a tree does that is one.
//!
//! A tree that begins at the first instruction of a function ends where the function returns. Other trees, and it itself,
//! call its code ([`Function`](crate::function::Function)); the frame of such a call is made only when it does not return.
//!
//! While such a call is recorded, it runs in the interpreter as any other: the recording waits for its return, to see
//! what results it has, and goes on from there.

use perilune_runtime::value::Value;
use perilune_trace::ir::{End, ExitKind, Op as Ir, Ref, Ty};
use perilune_vm::frame;

use super::Recorder;
use super::call::Callee;
use super::state::{Active, type_of};
use crate::abort::Abort;
use crate::function::Known;
use crate::view::{ProtoAt, View};

/// A call of a compiled function whose results are not there yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    func: u32,
    wanted: i32,
    /// How many results it has had.
    call: Ref,
    /// Whether its frame has been marked, so that the recording goes on when it returns.
    is_watched: bool,
}

impl Recorder {
    /// The compiled function with a prototype, if it is better called than followed.
    pub(super) fn callable(&self, view: &View<'_>, proto: ProtoAt, callee: &Callee) -> Option<Known> {
        let known = self.functions.get(proto)?;
        let copies = self.frames.iter().filter(|active| active.proto == proto).count();
        let is_called = match copies {
            0 => known.is_large(),
            _ => copies >= Recorder::most_copies(view, proto, callee.flags),
        };
        (is_called && callee.flags & frame::HANDLED == 0).then_some(known)
    }

    /// Most copies of a function inside one another. A tail call would go round and round.
    pub(super) fn most_copies(view: &View<'_>, proto: ProtoAt, flags: u16) -> usize {
        if flags & frame::TAIL != 0 { 1 } else { 1 + view.worthy_copies(proto) }
    }

    /// Calls a compiled function.
    pub(super) fn call_function(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        callee: Callee,
        known: Known,
    ) -> Result<(), Abort> {
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        let function = self.guard_function(view, function, seen, proto)?;
        let values = self.function_and_arguments(view, function, proto, callee.func, callee.nargs)?;
        let args = callee.func + 1;
        self.fuel += 1;
        self.open = None;
        for (n, value) in values.iter().enumerate() {
            self.builder.store_place(callee.func + n as u32, *value);
        }
        self.bury(callee.func);
        let max_stack = u32::from(view.plain(proto).max_stack);
        self.reach(args + max_stack + 4);
        self.frames.push(Active {
            proto,
            func: callee.func,
            base: args,
            extra: 0,
            lost: 0,
            protected: None,
            handled: false,
            always: None,
            return_pc: callee.return_pc,
            nresults: callee.nresults,
            flags: callee.flags,
        });
        self.liveness_of(view, proto);
        // The callee writes its other registers before this is looked at, if it leaves; without debug information all of them
        // count as variables.
        let end = callee.func + values.len() as u32;
        let mut live = self.live_slots(0);
        live.retain(|slot| *slot < end);
        let slots = self.written(&live);
        let snap = self.snapshot_of(ExitKind::Service, 0, slots, live);
        self.builder.keep_in_place(snap, callee.func..end);
        self.frames.pop();
        let cell = self.cell_of(known);
        let call = self.builder.call_fn(cell, callee.func, callee.nresults, snap);
        self.expected = callee.return_pc;
        self.waiting = Some(Waiting { func: callee.func, wanted: callee.nresults, call, is_watched: false });
        Ok(())
    }

    /// Lets the recording wait for a call of a compiled function, or for a coroutine, the first time that it is asked.
    pub(super) fn wait(&mut self, view: &View<'_>) -> Result<bool, Abort> {
        if self.resumes && view.thread() != self.thread {
            return if view.watch_resumer(self.thread) { Ok(true) } else { Err(Abort::Lost) };
        }
        self.resumes = false;
        let depth = self.depth() + 1;
        let Some(waiting) = &mut self.waiting else { return Ok(false) };
        if waiting.is_watched {
            return Ok(false);
        }
        waiting.is_watched = true;
        if view.is_hooked() || view.depth() != depth || view.pc(0) != 0 {
            return Err(Abort::Lost);
        }
        view.watch_return();
        Ok(true)
    }

    /// Takes the results of a compiled function's call, if there was one: the VM has them by now.
    pub(super) fn take_function_results(&mut self, view: &View<'_>) -> Result<(), Abort> {
        let Some(Waiting { func, wanted, call, .. }) = self.waiting.take() else { return Ok(()) };
        let n = if wanted < 0 { view.open_count(self.root + func as usize) } else { wanted as u32 };
        self.open = (wanted < 0).then_some(func + n);
        if wanted < 0 {
            let snap = self.snapshot(ExitKind::Service, self.expected);
            self.builder.keep_in_place(snap, func..func + n);
            self.builder.returned(call, func, n, snap);
        }
        let snap = self.snapshot(ExitKind::Guard, self.expected);
        self.builder.keep_in_place(snap, func..func + n);
        let mut results = Vec::new();
        for k in 0..n {
            let ty = type_of(self.seen(view, func + k))?;
            results.push(self.builder.load_place(func + k, ty, snap));
        }
        for (k, value) in results.iter().enumerate() {
            self.put(func + k as u32, *value);
        }
        // The function may have used the fuel up.
        let snap = self.snapshot(ExitKind::Service, self.expected);
        Ok(self.builder.guard(Ir::Fuel, &[], snap)?)
    }

    /// Whether the root frame's function has called another in its place.
    pub(super) fn is_replaced(&self) -> bool {
        self.frames[0].flags & frame::TAIL != 0
    }

    /// Whether the path is back where the tree began, or where a function begins that has been called before in the place
    /// of the root frame's: tail calls make loops.
    pub(super) fn is_at_origin(&self) -> bool {
        if self.frames.len() > 1 {
            return false;
        }
        let proto = self.frames[0].proto;
        if !self.is_replaced() {
            return self.expected == self.origin.pc;
        }
        let times = self.replacing.iter().filter(|other| **other == proto).count();
        self.expected == 0 && (proto == self.origin.proto || times > 1)
    }

    /// Whether the tree may end where the root frame's function returns: results are wanted in the slot of the function, which
    /// is not the root frame's slot 0 if it has variable arguments.
    pub(super) fn may_return(&self) -> bool {
        self.frames[0].always.is_none()
    }

    /// Whether the tree is the code of a function.
    pub(super) fn is_function(&self) -> bool {
        self.origin.pc == 0 && self.frames[0].always.is_none()
    }

    /// The root frame's function returns: the tree's code does.
    pub(super) fn return_from_root(&mut self, values: &[Ref]) -> Result<(), Abort> {
        if !self.may_return() {
            return Err(Abort::LeftLoop);
        }
        self.expected = self.pc;
        let snap = self.snapshot(ExitKind::End, self.pc);
        for (n, value) in values.iter().enumerate() {
            self.builder.store_place(n as u32, *value);
        }
        if values.is_empty() {
            // Whoever wants one result finds it.
            let nil = self.builder.primitive(Ty::Nil);
            self.builder.store_place(0, nil);
        }
        self.reach(values.len() as u32 + 1);
        self.builder.end(End::Return(snap, values.len() as u32), None);
        self.has_returned = true;
        Ok(())
    }

    /// The root frame's function calls another in its place.
    pub(super) fn tail_from_root(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        func: u32,
        nargs: u32,
    ) -> Result<(), Abort> {
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        if view.dialect().counts_tail_calls {
            // Where tail calls make a loop, how many calls have been replaced differs from round to round.
            let is_loop = proto == self.origin.proto || self.replacing.contains(&proto);
            return if is_loop { Err(Abort::Opcode) } else { self.replace_root(view, function, seen, func, nargs) };
        }
        let known = self.functions.get(proto).filter(|known| known.is_large() && proto != self.origin.proto);
        let Some(known) = known else { return self.replace_root(view, function, seen, func, nargs) };
        let function = self.guard_function(view, function, seen, proto)?;
        let values = self.function_and_arguments(view, function, proto, func, nargs)?;
        self.fuel += 1;
        let snap = self.snapshot(ExitKind::End, self.pc);
        for (n, value) in values.iter().enumerate() {
            self.builder.store_place(n as u32, *value);
        }
        self.reach(1 + u32::from(view.plain(proto).max_stack));
        let cell = self.cell_of(known);
        self.builder.end(End::Tail(snap, cell), None);
        self.has_returned = true;
        Ok(())
    }

    /// The root frame's function calls another in its place, whose code is followed.
    fn replace_root(
        &mut self,
        view: &View<'_>,
        function: Ref,
        seen: Value,
        func: u32,
        nargs: u32,
    ) -> Result<(), Abort> {
        let proto = view.proto_of(seen).ok_or(Abort::Callee)?;
        if view.plain(proto).is_vararg {
            return Err(Abort::Vararg);
        }
        let function = self.guard_function(view, function, seen, proto)?;
        let values = self.function_and_arguments(view, function, proto, func, nargs)?;
        let lost = if view.dialect().counts_tail_calls { self.frame().lost + 1 } else { 0 };
        self.frames.clear();
        for (n, value) in values.iter().enumerate() {
            self.put(n as u32, *value);
        }
        self.replacing.push(proto);
        let callee = Callee {
            func: 0,
            nargs: values.len() as u32 - 1,
            nresults: 0,
            flags: frame::TAIL,
            lost,
            protected: None,
            handled: false,
            return_pc: 0,
        };
        self.follow(view, function, seen, callee)
    }

    /// What a function is called with: itself, and as many arguments as it has parameters.
    fn function_and_arguments(
        &mut self,
        view: &View<'_>,
        function: Ref,
        proto: ProtoAt,
        func: u32,
        nargs: u32,
    ) -> Result<Vec<Ref>, Abort> {
        let mut values = vec![function];
        for n in 0..u32::from(view.plain(proto).num_params) {
            values.push(if n < nargs {
                let seen = self.seen(view, func + 1 + n);
                self.slot(func + 1 + n, seen)?
            } else {
                self.builder.primitive(Ty::Nil)
            });
        }
        Ok(values)
    }

    /// The cell of a function, which lives as long as the tree.
    fn cell_of(&mut self, known: Known) -> Ref {
        let address = known.cell.address();
        if !self.notes.functions.iter().any(|cell| cell.address() == address) {
            self.notes.functions.push(known.cell);
        }
        self.builder.pointer(address)
    }
}
