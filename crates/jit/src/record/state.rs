//! The shadow stack, frames and snapshots of a recording.

use std::rc::Rc;

use perilune_runtime::value::{Tag, Value};
use perilune_trace::build::Builder;
use perilune_trace::ir::{ExitKind, Field, InlinedFrame, ProtoId, Ref, SnapId, SnapSlot, Snapshot, Ty};

use super::{Notes, Origin, Recorder, Shared, calls};
use crate::abort::Abort;
use crate::liveness::Liveness;
use crate::view::{ProtoAt, View};

/// What the shadow stack knows of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shadow {
    /// As it was at the header; after a call out of the tree: in its place.
    Untouched,
    /// Written by the path.
    Value(Ref),
    /// Its value is of no use any more.
    Dead,
}

/// A frame on the path: the root's, or that of an inlined call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub proto: ProtoAt,
    /// The slot of the function.
    pub func: u32,
    /// The slot of register 0.
    pub base: u32,
    /// Extra arguments, directly below `base`.
    pub extra: u32,
    /// Calls that tail calls have replaced, where the language counts them.
    pub lost: u32,
    /// How many results `pcall` or `xpcall` wants, which has called it.
    pub protected: Option<i32>,
    /// Whether it is `xpcall`.
    pub handled: bool,
    /// The function, where it is always the same.
    pub always: Option<u64>,
    /// For inlined calls: where the caller goes on, and how many results it wants.
    pub return_pc: u32,
    pub nresults: i32,
    pub flags: u16,
}

impl Active {
    /// The first slot of the call: that of the function, or of `pcall` or `xpcall`, which has called it.
    pub fn first(&self) -> u32 {
        self.func - u32::from(self.protected.is_some()) - u32::from(self.handled)
    }
}

/// The state in front of an instruction.
#[derive(Default)]
pub(super) struct Mark {
    shadow: Vec<Shadow>,
    frames: Vec<Active>,
    open: Option<u32>,
    fuel: u32,
    effects: u32,
}

impl Recorder {
    /// Notes the state as it is now.
    pub(super) fn set_mark(&mut self) {
        // Their memory is used again.
        self.mark.shadow.clone_from(&self.shadow);
        self.mark.frames.clone_from(&self.frames);
        (self.mark.open, self.mark.fuel, self.mark.effects) = (self.open, self.fuel, self.builder.effects());
    }

    /// Takes the state back to what it was when it was noted; false if the path has changed something since, which cannot be
    /// taken back.
    pub(super) fn go_back(&mut self) -> bool {
        let Mark { shadow, frames, open, fuel, effects } = std::mem::take(&mut self.mark);
        (self.shadow, self.frames, self.open, self.fuel) = (shadow, frames, open, fuel);
        (self.pending, self.waiting) = (None, None);
        effects == self.builder.effects()
    }

    pub(super) fn with(
        builder: Builder,
        origin: Origin,
        notes: Notes,
        view: &View<'_>,
        shared: Shared,
        inlined: usize,
    ) -> Recorder {
        let is_vararg = view.plain(origin.proto).is_vararg;
        let mut recorder = Recorder {
            builder,
            origin,
            notes,
            liveness: shared.liveness,
            functions: shared.functions,
            met: shared.met,
            waiting: None,
            resumes: false,
            replacing: Vec::new(),
            missed: None,
            has_returned: false,
            thread: view.thread(),
            host_depth: view.host_depth(),
            root_depth: view.depth() - inlined,
            root: view.base(inlined) - 1,
            frames: vec![Active {
                proto: origin.proto,
                func: 0,
                base: 1,
                extra: 0,
                lost: 0,
                protected: None,
                handled: false,
                // The function of a vararg frame is not in slot 0.
                always: is_vararg.then(|| view.closure(inlined)),
                return_pc: 0,
                nresults: 0,
                flags: 0,
            }],
            shadow: Vec::new(),
            mark: Mark::default(),
            open: None,
            fuel: 0,
            charged: 0,
            steps: 0,
            path_steps: 0,
            is_side: false,
            snap: None,
            branch_snap: None,
            pc: view.pc(0),
            expected: view.pc(0),
            back_edge: false,
            has_left_one_of_many: false,
            allocated: false,
            finishing: None,
            redirections: 0,
            pending: None,
            in_tail: false,
            refused: None,
            alternative_of: None,
            stopped: None,
            begins_anew: false,
            is_fresh: true,
            has_grown: false,
        };
        recorder.liveness_of(view, origin.proto);
        recorder.proto_id(origin.proto);
        recorder.reach(1 + u32::from(view.plain(origin.proto).max_stack));
        recorder
    }

    /// Takes over the state that a snapshot tells.
    pub(super) fn restore(&mut self, view: &View<'_>, snapshot: &Snapshot) -> Result<(), Abort> {
        for slot in &snapshot.slots {
            self.put(slot.slot, slot.value);
        }
        for (n, frame) in snapshot.frames.iter().enumerate() {
            let down = calls(&snapshot.frames[n + 1..]);
            self.liveness_of(view, view.proto(down));
            if frame.func == 0 {
                self.frames.clear();
            }
            self.frames.push(Active {
                proto: view.proto(down),
                func: frame.func,
                base: frame.base,
                extra: frame.extra,
                lost: frame.lost,
                protected: frame.protected,
                handled: frame.handled,
                always: None,
                return_pc: frame.return_pc,
                nresults: frame.nresults,
                flags: frame.flags,
            });
        }
        self.open = snapshot.top;
        self.fuel = snapshot.fuel;
        self.charged = -i64::from(snapshot.fuel);
        self.expected = view.pc(0);
        self.fetch(view, &snapshot.in_place)
    }

    /// Loads what is in its place only.
    fn fetch(&mut self, view: &View<'_>, in_place: &[u32]) -> Result<(), Abort> {
        if in_place.is_empty() {
            return Ok(());
        }
        let snap = self.snapshot(ExitKind::Guard, self.expected);
        self.builder.keep_in_place(snap, in_place.iter().copied());
        for slot in in_place {
            let ty = type_of(self.seen(view, *slot))?;
            let value = self.builder.load_place(*slot, ty, snap);
            self.put(*slot, value);
        }
        Ok(())
    }

    /// The number of a prototype in the tree.
    pub(super) fn proto_id(&mut self, proto: ProtoAt) -> ProtoId {
        let known = self.notes.protos.iter().position(|p| *p == proto);
        let at = known.unwrap_or_else(|| {
            self.notes.protos.push(proto);
            self.notes.protos.len() - 1
        });
        ProtoId(at as u32)
    }

    /// Notes that slots below `end` may be touched.
    pub(super) fn reach(&mut self, end: u32) {
        self.notes.slots = self.notes.slots.max(end);
    }

    /// How many frames are below the innermost one.
    pub(super) fn depth(&self) -> usize {
        let protected = self.frames.iter().filter(|frame| frame.protected.is_some()).count();
        self.root_depth + self.frames.len() - 1 + protected
    }

    /// The innermost frame.
    pub(super) fn frame(&self) -> Active {
        self.frames[self.frames.len() - 1]
    }

    pub(super) fn liveness_of(&mut self, view: &View<'_>, proto: ProtoAt) -> Rc<Liveness> {
        self.liveness.of(proto.0, view.plain(proto), |child| view.captured(proto, child))
    }

    // The shadow stack.

    pub(super) fn shadow_at(&self, slot: u32) -> Shadow {
        self.shadow.get(slot as usize).copied().unwrap_or(Shadow::Untouched)
    }

    pub(super) fn put(&mut self, slot: u32, value: Ref) {
        let at = slot as usize;
        if at >= self.shadow.len() {
            self.shadow.resize(at + 1, Shadow::Untouched);
        }
        self.shadow[at] = Shadow::Value(value);
        self.reach(slot + 1);
    }

    /// Forgets all slots from `first` up.
    pub(super) fn bury(&mut self, first: u32) {
        for shadow in self.shadow.iter_mut().skip(first as usize) {
            *shadow = Shadow::Dead;
        }
    }

    /// The value of a slot, whose value in the VM is `seen`, and whose type is that of it from here on.
    pub(super) fn slot(&mut self, slot: u32, seen: Value) -> Result<Ref, Abort> {
        let value = self.any_slot(slot, seen)?;
        if self.ty(value) != Ty::Num {
            return Ok(value);
        }
        let typed = self.typed(value, seen)?;
        self.put(slot, typed);
        Ok(typed)
    }

    /// As [`Recorder::slot`]; numbers may be of either kind.
    pub(super) fn any_slot(&mut self, slot: u32, seen: Value) -> Result<Ref, Abort> {
        match self.shadow_at(slot) {
            Shadow::Value(r) => Ok(r),
            Shadow::Dead => Err(Abort::DeadRegister),
            Shadow::Untouched => {
                let ty = type_of(seen)?;
                if self.builder.calls_out() {
                    let snap = self.snap();
                    let value = self.builder.load_place(slot, ty, snap);
                    self.put(slot, value);
                    return Ok(value);
                }
                self.reach(slot + 1);
                self.builder.slot(slot, ty).ok_or(Abort::TypeUnstable)
            }
        }
    }

    /// A register of the innermost frame.
    pub(super) fn get(&mut self, view: &View<'_>, register: u8) -> Result<Ref, Abort> {
        self.get_wide(view, u32::from(register))
    }

    pub(super) fn get_wide(&mut self, view: &View<'_>, register: u32) -> Result<Ref, Abort> {
        self.slot(self.frame().base + register, view.reg(register))
    }

    /// Register `register` of the innermost frame becomes `value`.
    pub(super) fn set(&mut self, register: u8, value: Ref) {
        self.put(self.frame().base + u32::from(register), value);
    }

    pub(super) fn constant(&mut self, register: u8, value: Value) -> Result<(), Abort> {
        let v = self.constant_of(value)?;
        self.set(register, v);
        Ok(())
    }

    /// A value that the bytecode, or a guard, fixes.
    pub(super) fn constant_of(&mut self, value: Value) -> Result<Ref, Abort> {
        let ty = type_of(value)?;
        Ok(match ty {
            Ty::Nil | Ty::False | Ty::True => self.builder.primitive(ty),
            Ty::Int => self.builder.int(value.raw_int()),
            Ty::Float => self.builder.float(value.raw_float()),
            _ => {
                if ty.is_object() && !self.notes.roots.iter().any(|root| root.payload == value.payload) {
                    self.notes.roots.push(value);
                }
                self.builder.object(ty, value.payload)
            }
        })
    }

    pub(super) fn boolean(&mut self, value: bool) -> Ref {
        self.builder.primitive(if value { Ty::True } else { Ty::False })
    }

    /// The function of the innermost frame.
    pub(super) fn function(&mut self, view: &View<'_>) -> Result<Ref, Abort> {
        let frame = self.frame();
        match frame.always {
            Some(address) => {
                self.notes.function = Some(address);
                self.constant_of(Value { payload: address, tag: Tag::LuaFn })
            }
            None => self.slot(frame.func, Value { payload: view.closure(0), tag: Tag::LuaFn }),
        }
    }

    // Snapshots.

    /// A snapshot for checks of the current instruction: that of an earlier one, if nothing was changed since then, for
    /// the interpreter may run what lies between once more.
    pub(super) fn snap(&mut self) -> SnapId {
        if let Some((snap, effects)) = self.snap
            && effects == self.builder.effects()
        {
            return snap;
        }
        self.own_snap()
    }

    /// A snapshot of the current instruction itself, for checks that are likely to fail: those that decide which way the
    /// path goes.
    pub(super) fn own_snap(&mut self) -> SnapId {
        if let Some(snap) = self.branch_snap {
            return snap;
        }
        let snap = self.snapshot(ExitKind::Guard, self.pc);
        self.snap = Some((snap, self.builder.effects()));
        self.branch_snap = Some(snap);
        snap
    }

    /// A snapshot for work that the interpreter must do at the current instruction: no side segment starts there.
    pub(super) fn service(&mut self) -> SnapId {
        self.snapshot(ExitKind::Service, self.pc)
    }

    /// A snapshot of the state in front of instruction `pc` of the innermost frame.
    pub(super) fn snapshot(&mut self, kind: ExitKind, pc: u32) -> SnapId {
        let live = self.live_slots(pc);
        let slots = self.written(&live);
        self.snapshot_of(kind, pc, slots, live)
    }

    /// A snapshot with these slots.
    pub(super) fn snapshot_of(&mut self, kind: ExitKind, pc: u32, slots: Vec<SnapSlot>, live: Vec<u32>) -> SnapId {
        let frames = self.inlined();
        self.notes.frames = self.notes.frames.max(calls(&frames) as u32);
        let (top, fuel) = (self.open, self.fuel);
        let snap = self.builder.snapshot(Snapshot { frames, slots, live, top, fuel, ..Snapshot::new(kind, pc) });
        let known = self.notes.steps.len().max(snap.index() + 1);
        self.notes.steps.resize(known, self.path_steps);
        snap
    }

    /// As the snapshot `before` a call of a native function that is paid for by now, and is called again from there: it is not
    /// charged twice, unless it has charged for much work.
    pub(super) fn snapshot_again(&mut self, before: SnapId) -> SnapId {
        let state = self.builder.tree().snapshot(before).clone();
        let fuel = state.fuel.saturating_sub(1);
        let snap = self.builder.snapshot(Snapshot { fuel, ..state });
        let known = self.notes.steps.len().max(snap.index() + 1);
        self.notes.steps.resize(known, self.path_steps);
        snap
    }

    /// The frames above the root frame, which is among them if its function was replaced.
    pub(super) fn inlined(&mut self) -> Vec<InlinedFrame> {
        let first = usize::from(!self.is_replaced());
        let mut frames = Vec::with_capacity(self.frames.len() - first);
        for n in first..self.frames.len() {
            let active = self.frames[n];
            frames.push(InlinedFrame {
                func: active.func,
                base: active.base,
                extra: active.extra,
                lost: active.lost,
                protected: active.protected,
                handled: active.handled,
                flags: active.flags,
                proto: self.proto_id(active.proto),
                return_pc: active.return_pc,
                nresults: active.nresults,
            });
        }
        frames
    }

    /// The slots that hold something when the innermost frame stands in front of instruction `pc`.
    pub(super) fn live_slots(&self, pc: u32) -> Vec<u32> {
        let mut live = Vec::new();
        let frames = &self.frames;
        for (n, frame) in frames.iter().enumerate() {
            let Some(liveness) = self.liveness.known(frame.proto.0) else { continue };
            let above = frames.get(n + 1);
            let (at, end) = above.map_or((pc, 256), |above| (above.return_pc, above.first() - frame.base));
            let registers = liveness.at(at);
            if n > 0 {
                live.extend(frame.first()..frame.func + 1);
                live.extend(frame.base - frame.extra..frame.base);
            } else if frame.always.is_none() {
                live.push(0);
            }
            let registers = registers.below(end);
            live.reserve(registers.size_hint().0);
            registers.for_each(|r| live.push(frame.base + r));
        }
        if let Some(top) = self.open {
            // What reads the list is said to read all registers from its first value on.
            live.retain(|slot| *slot < top);
            let base = self.frame().base;
            live.extend(base..top);
        }
        live.sort_unstable();
        live.dedup();
        live
    }

    /// The live slots that the path has written.
    pub(super) fn written(&self, live: &[u32]) -> Vec<SnapSlot> {
        live.iter()
            .filter_map(|&slot| match self.shadow_at(slot) {
                Shadow::Value(value) if self.builder.input(slot) != Some(value) || self.builder.calls_out() => {
                    Some(SnapSlot { slot, value })
                }
                Shadow::Value(_) | Shadow::Untouched | Shadow::Dead => None,
            })
            .collect()
    }

    pub(super) fn load(&mut self, field: Field, object: Ref) -> Ref {
        self.builder.load(field, object)
    }

    pub(super) fn ty(&self, r: Ref) -> Ty {
        self.builder.ty(r)
    }
}

/// The type of a value in a trace.
pub(super) fn type_of(value: Value) -> Result<Ty, Abort> {
    Ty::of_tag(value.tag as u8).ok_or(Abort::Types)
}
